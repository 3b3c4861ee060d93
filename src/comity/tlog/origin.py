# SPDX-License-Identifier: Apache-2.0
"""Pure: what the logs of a party are called (C2SP tlog-checkpoint: the origin, which is the name of its key too).

    comity/aurelia                            the log of the house, from the party's founding on
    comity/aurelia/house/0f3b5c7e9d1a2b4c     the same after a recovery
    comity/aurelia/9f86d081884c7d65           the log of a relationship

Of which relationship one is, its name does not say: the token is a keyed hash under a secret. That a log is one of a
house its name does say: so a log that follows another cannot be shown as one that begins anew, nor the other way.

One origin never signs two histories that do not fit. A log that lost entries which others may hold goes on under
another origin, drawn at random: a number that counts would be given twice where one backup is restored twice.

Of before this there are houses' logs after a recovery that are called as those of relationships are. They stay.
"""

import re

from comity.errors import MalformedError, MalformedNote, MalformedRequest
from comity.ids import PartyId, parse_party_id

__all__ = [
    "TOKEN_BYTES",
    "find_token",
    "first_origin",
    "house_origin",
    "is_house",
    "is_origin",
    "name_origin",
    "next_origin",
    "parse_origin",
]

TOKEN_BYTES = 8

_ORIGIN = re.compile(r"comity/([a-z0-9.-]+)(?:/(house/)?([0-9a-f]{16}))?", re.ASCII)


def first_origin(party: PartyId) -> str:
    """The origin of a party's house log from its founding on, until a recovery."""
    return f"comity/{party}"


def house_origin(party: PartyId, token: bytes) -> str:
    """The origin of a party's house log after the recovery for which `token` was drawn."""
    return f"comity/{party}/house/{token.hex()}"


def next_origin(party: PartyId, token: bytes) -> str:
    """The origin of the log of a relationship for which `token` was made."""
    return name_origin(party, token.hex())


def name_origin(party: PartyId, token: str) -> str:
    """The origin with that token, which is in hexadecimal."""
    return f"comity/{party}/{token}"


def find_token(origin: str) -> str | None:
    """The token that the origin of the log of a relationship ends in; None for that of a house's log, and any other."""
    found = _ORIGIN.fullmatch(origin)
    return None if found is None or found[2] else found[3]


def is_house(origin: str) -> bool:
    """Whether this is a name that the log of a house alone has, the first one or a later one."""
    found = _ORIGIN.fullmatch(origin)
    return found is not None and (found[2] is not None or found[3] is None)


def is_origin(origin: str, party: PartyId) -> bool:
    """Whether a log of this party can have this origin."""
    try:
        return parse_origin(origin) == party
    except MalformedError:
        return False


def parse_origin(origin: str) -> PartyId:
    """The party whose log has this origin.

    Raises:
        MalformedNote: no party's log can have it.
    """
    found = _ORIGIN.fullmatch(origin)
    if found is None:
        raise MalformedNote(f"{origin[:120]!r} is not the origin of a party's log")
    try:
        return parse_party_id(found[1])
    except MalformedRequest as error:
        raise MalformedNote(f"{origin[:120]!r} is not the origin of a party's log: {error.detail}") from error
