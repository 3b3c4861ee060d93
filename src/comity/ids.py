# SPDX-License-Identifier: Apache-2.0
"""Pure: the names of things, so that two kinds of name cannot be mixed up.

Every id is a `str` at run time and its own type to the checker; an `Instant` is an `int` of microseconds
since 1970-01-01T00:00:00Z, so that release times can be unique, ordered and added to.

    parse_instant("2026-11-23T09:00:00Z") == 1795424400000000
"""

import re
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import NewType

from comity.errors import MalformedRequest

__all__ = [
    "AgreementId",
    "Digest",
    "Instant",
    "ObjectId",
    "PartyId",
    "PersonId",
    "format_instant",
    "is_object_id",
    "parse_digest",
    "parse_instant",
    "parse_object_id",
    "parse_party_id",
    "parse_person_id",
]

PartyId = NewType("PartyId", str)
"""A party's own identifier: lower-case letters, digits, "." and "-", 1 to 63 characters."""

PersonId = NewType("PersonId", str)
"""A person's identifier within one party, written as a party's is."""

Digest = NewType("Digest", str)
"""A SHA-256, as 64 lower-case hexadecimal digits."""

AgreementId = NewType("AgreementId", str)
"""The terms hash of an agreement's first version; later versions keep it."""

ObjectId = NewType("ObjectId", str)
"""A STIX 2.1 identifier, "type--uuid" (STIX 2.1 §2.9)."""

Instant = NewType("Instant", int)
"""Microseconds since 1970-01-01T00:00:00Z."""

_PARTY = re.compile(r"[a-z0-9](?:[a-z0-9.-]{0,61}[a-z0-9])?", re.ASCII)
_DIGEST = re.compile(r"[0-9a-f]{64}", re.ASCII)
# Any UUID version: producers in the field use 1, 3, 4, 5 and 7, and the id is only a name here.
_OBJECT = re.compile(
    r"[a-z0-9]++(?:-[a-z0-9]++)*+--[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", re.ASCII
)
_OBJECT_LENGTHS = range(3 + 38, 250 + 38 + 1)
"""A type of 3 to 250 characters, two hyphens and a UUID."""
_DIGITS = bytes.maketrans(b"123456789", b"000000000")
_FRACTIONS = (b"", *(b"." + b"0" * digits for digits in range(1, 10)))
_INSTANTS = frozenset(b"0000-00-00T00:00:00" + fraction + b"Z" for fraction in _FRACTIONS)
"""Every form of a timestamp, each digit written as 0: to look there is faster than to match a pattern."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def parse_party_id(text: str) -> PartyId:
    """The party id that `text` is.

    Raises:
        MalformedRequest: other characters, or over 63 of them.
    """
    if _PARTY.fullmatch(text) is None:
        raise MalformedRequest(
            f"{text!r} is not a party id: use 1 to 63 lower-case letters, digits, '.' and '-', "
            "beginning and ending with a letter or digit"
        )
    return PartyId(text)


def parse_person_id(text: str) -> PersonId:
    """The person id that `text` is.

    Raises:
        MalformedRequest: other characters, or over 63 of them.
    """
    if _PARTY.fullmatch(text) is None:
        raise MalformedRequest(
            f"{text[:80]!r} is not a person's id: use 1 to 63 lower-case letters, digits, '.' and '-', "
            "beginning and ending with a letter or digit"
        )
    return PersonId(text)


def parse_digest(text: str) -> Digest:
    """The SHA-256 that `text` is.

    Raises:
        MalformedRequest: not 64 lower-case hexadecimal digits.
    """
    if _DIGEST.fullmatch(text) is None:
        raise MalformedRequest(f"{text!r} is not a SHA-256 in 64 lower-case hexadecimal digits")
    return Digest(text)


def is_object_id(text: str) -> bool:
    """Whether `parse_object_id` takes the text: for the many that are one."""
    return _OBJECT.fullmatch(text) is not None and len(text) in _OBJECT_LENGTHS


def parse_object_id(text: str) -> ObjectId:
    """The STIX identifier that `text` is (STIX 2.1 §2.9); any UUID version, lower case.

    Raises:
        MalformedRequest: not "type--uuid".
    """
    if not is_object_id(text):
        raise MalformedRequest(f"{text!r} is not a STIX identifier of the form type--uuid, in lower case")
    return ObjectId(text)


def parse_instant(text: str) -> Instant:
    """The time that an RFC 3339 timestamp in UTC says, 0 to 9 fraction digits (STIX 2.1 §2.16, TAXII 2.1 §2).

    Digits beyond the microsecond are cut, never rounded up: a time is never placed later than it was.

    Raises:
        MalformedRequest: not of that form, or no such day or hour.
    """
    if text.encode(errors="surrogatepass").translate(_DIGITS) not in _INSTANTS:
        raise MalformedRequest(f"{text!r} is not a timestamp of the form YYYY-MM-DDTHH:MM:SS[.ffffff]Z")
    try:
        since = datetime.fromisoformat(text) - _EPOCH
    except ValueError as error:
        raise _refuse_instant(text, error) from error
    if text[11:13] == "24":  # which later versions of Python take for the next day's midnight
        raise _refuse_instant(text, None)
    return Instant((since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds)


def _refuse_instant(text: str, error: ValueError | None) -> MalformedRequest:
    beyond = text[11:13] > "23" or text[14:16] > "59" or text[17:19] > "59"
    why = "no day has that hour, minute or second" if beyond else error
    return MalformedRequest(f"{text!r} is not a time that exists: {why}")


@lru_cache(maxsize=1_024)
def format_instant(instant: Instant) -> str:
    """The timestamp with exactly six fraction digits, as TAXII 2.1 §2 asks."""
    return (_EPOCH + instant * _MICROSECOND).isoformat(timespec="microseconds")[:26] + "Z"
