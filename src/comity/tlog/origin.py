# SPDX-License-Identifier: Apache-2.0
"""Pure: what the logs of a party are called (C2SP tlog-checkpoint: the origin, which is the name of its key too).

    comity/aurelia                      the log of the house, from the party's founding on
    comity/aurelia/9f86d081884c7d65     the log of a relationship, or that of the house after a recovery

Which of the two one with a token is, and of which relationship, it does not say: a token is drawn at random, or is a
keyed hash under a secret.

One origin never signs two histories that do not fit. A log that lost entries which others may hold goes on under
another origin, drawn at random: a number that counts would be given twice where one backup is restored twice.
"""

import re

from comity.errors import MalformedError, MalformedNote, MalformedRequest
from comity.ids import PartyId, parse_party_id

__all__ = ["TOKEN_BYTES", "find_token", "first_origin", "is_origin", "name_origin", "next_origin", "parse_origin"]

TOKEN_BYTES = 8

_ORIGIN = re.compile(r"comity/([a-z0-9.-]+)(?:/([0-9a-f]{16}))?", re.ASCII)


def first_origin(party: PartyId) -> str:
    """The origin of a party's house log from its founding on, until a recovery."""
    return f"comity/{party}"


def next_origin(party: PartyId, token: bytes) -> str:
    """The origin of a log for which `token` was drawn."""
    return name_origin(party, token.hex())


def name_origin(party: PartyId, token: str) -> str:
    """The origin with that token, which is in hexadecimal."""
    return f"comity/{party}/{token}"


def find_token(origin: str) -> str | None:
    """The token that the origin of a log ends in; None for that of a first house log, and for any other name."""
    found = _ORIGIN.fullmatch(origin)
    return None if found is None else found[2]


def is_origin(origin: str, party: PartyId) -> bool:
    """Whether a log of this party, the first or a later one, can have this origin."""
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
