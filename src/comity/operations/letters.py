# SPDX-License-Identifier: Apache-2.0
"""Shell: lists of letters by parts: which side of them is asked for, and where a part begins."""

import re
from collections.abc import Sequence

from comity.errors import MalformedRequest
from comity.node.requests import Spot
from comity.operations.outcome import Arguments

__all__ = ["format_spot", "read_side", "read_spot"]

_SPOT = re.compile(r"(waiting|settled)-([0-9]{1,18})", re.ASCII)


def read_side(arguments: Arguments, sides: Sequence[str]) -> str | None:
    """The one side that is asked for; None: all.

    Raises:
        MalformedRequest: it is none of `sides`.
    """
    side = arguments.optional("side")
    if side is not None and side not in sides:
        raise MalformedRequest(f"side must be one of {', '.join(sides)}", where="side")
    return side


def read_spot(arguments: Arguments) -> Spot | None:
    """Where another part ended, as its `next` says; None: at the beginning.

    Raises:
        MalformedRequest: no part says that.
    """
    text = arguments.optional("before")
    if text is None:
        return None
    found = _SPOT.fullmatch(text)
    if found is None:
        raise MalformedRequest("before must be the next of another part", where="before")
    return Spot(found[1] == "waiting", int(found[2]))


def format_spot(spot: Spot | None) -> str | None:
    """The same, for whoever asks for the next part; None: there is none."""
    return None if spot is None else f"{'waiting' if spot.waits else 'settled'}-{spot.position}"
