# SPDX-License-Identifier: Apache-2.0
"""Pure: what a client would like of an answer (RFC 7240); of all that can be preferred, `wait` is understood.

read_wait('respond-async, wait=10; x="y"')  ->  10
"""

import re

__all__ = ["format_applied", "read_wait"]

_MOST_BYTES = 1_024
_WAIT = re.compile(r'wait[ \t]*=[ \t]*("?)([0-9]{1,9})\1[ \t]*(?:;.*)?', re.ASCII | re.IGNORECASE | re.DOTALL)


def read_wait(prefer: str | None) -> int | None:
    """How many seconds the client would wait (§4.3), by the first that is said; None where nothing legible is.

    A preference that is not understood is no error: the request is answered as if it had not been made (§2).
    """
    if prefer is None or len(prefer) > _MOST_BYTES:
        return None
    for item in prefer.split(","):
        found = _WAIT.fullmatch(item.strip(" \t"))
        if found is not None:
            return int(found[2])
    return None


def format_applied(seconds: int) -> tuple[bytes, bytes]:
    """The header that says so (§3): it was waited, or would have been."""
    return b"preference-applied", b"wait=%d" % seconds
