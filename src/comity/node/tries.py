# SPDX-License-Identifier: Apache-2.0
"""Shell: how often somebody may try to sign in: by name, and all together, in a memory that has a bound.

After five tries that failed, each next one of the same name waits twice as long, five minutes at most, so that nobody
is locked out for ever; an hour without a try forgets them, and so does a sign-in. A name that nobody has is counted
like any other, so that a limit tells nothing of who exists. A try counts when it begins: many at once are many.

All together there are at most 30 at once and one more every two seconds. So within the hour that a name is remembered
there can be no more names than are kept, and nobody makes this forget a name by trying others.

A browser in which somebody has signed in before has tries of its own for that person (`console.door`).

Counted in the memory of the one process that serves the console: whoever restarts it controls the folder.
"""

import hashlib

from comity.errors import RateLimited
from comity.ids import Instant

__all__ = ["MOST_NAMES", "Tries"]

_SECOND = 1_000_000
_FREE = 5
_LONGEST_WAIT = 300 * _SECOND
_REMEMBERED = 3_600 * _SECOND
_BURST = 30
_REFILL = 2 * _SECOND
MOST_NAMES = _REMEMBERED // _REFILL + _BURST + 1
"""So many names at most can be tried while one is remembered."""

_KEY_BURST, _KEY_REFILL = 50, _SECOND // 5


class _Bucket:
    def __init__(self, burst: int, refill: int) -> None:
        self._burst, self._refill = burst, refill
        self._full_at = 0

    def take(self, now: int) -> int:
        """0 when one was taken, else how long until there is one."""
        # The time at which all would be there again says all: each that is taken moves it on.
        full_at = max(self._full_at, now) + self._refill
        wait = full_at - now - self._burst * self._refill
        if wait > 0:
            return wait
        self._full_at = full_at
        return 0


class Tries:
    """The tries to sign in at one node."""

    def __init__(self) -> None:
        self._names: dict[bytes, tuple[int, int]] = {}
        self._all = _Bucket(_BURST, _REFILL)
        self._keys = _Bucket(_KEY_BURST, _KEY_REFILL)

    def begin(self, name: str, now: Instant) -> None:
        """Count a try with a password.

        Raises:
            RateLimited: too early; nothing may be verified, and nothing was counted.
        """
        key = _key(name)
        count, last = self._names.get(key, (0, 0))
        if now - last >= _REMEMBERED:
            count = 0
        if (wait := last + _find_wait(count) - now) > 0 or (wait := self._all.take(now)) > 0:
            raise _refuse(wait)
        # Put in anew, so that the oldest stand in front.
        self._names.pop(key, None)
        self._names[key] = (count + 1, now)
        self._forget(now)

    def begin_key(self, now: Instant) -> None:
        """Count a try with a passkey, which cannot be guessed: only all together are bounded.

        Raises:
            RateLimited: too early.
        """
        if (wait := self._keys.take(now)) > 0:
            raise _refuse(wait)

    def succeed(self, name: str) -> None:
        """Forget what was tried by that name."""
        self._names.pop(_key(name), None)

    def __len__(self) -> int:
        """How many names are remembered."""
        return len(self._names)

    def _forget(self, now: int) -> None:
        for key, (_, last) in list(self._names.items()):
            if now - last < _REMEMBERED and len(self._names) <= MOST_NAMES:
                return
            del self._names[key]


def _find_wait(count: int) -> int:
    return 0 if count < _FREE else min(_SECOND << min(count - _FREE, 30), _LONGEST_WAIT)


def _refuse(wait: int) -> RateLimited:
    seconds = -(-wait // _SECOND)
    return RateLimited(f"too many tries to sign in; wait {seconds} seconds", retry_after=seconds)


def _key(name: str) -> bytes:
    return hashlib.sha256(name.encode("utf-8", "surrogatepass")).digest()
