# SPDX-License-Identifier: Apache-2.0
"""Shell: how often somebody may try to sign in: by name, and all together, of which a bounded number is kept.

After five tries that failed, each next one of the same name waits twice as long, five minutes at most, so that nobody
is locked out for ever; an hour without a try forgets them, and so does a sign-in. A name that nobody has is counted
like any other, so that a limit tells nothing of who exists. A try counts when it begins: many at once are many.

All together there are at most 30 at once and one more every two seconds. So within the hour that a name is remembered
there can be no more names than are kept, and nobody makes this forget a name by trying others.

A browser in which somebody has signed in before has tries of its own for that person (`console.door`).

They lie in the store, each committed before anything is verified: a restart, or a crash, gives nobody new ones. Of a
name a digest is kept, since a password may have been typed in its place: under the key that seals passwords, as soon
as there is one. Where the clock was set back, what was tried later counts as tried now.
"""

import hashlib
import hmac

from comity.counting import say_count
from comity.errors import RateLimited
from comity.ids import Instant
from comity.node.node import Node
from comity.store import Transaction
from comity.store import tries as kept

__all__ = ["MOST_NAMES", "Tries", "refuse"]

_SECOND = 1_000_000
_FREE = 5
_LONGEST_WAIT = 300 * _SECOND
_REMEMBERED = 3_600 * _SECOND
_BURST = 30
_REFILL = 2 * _SECOND
MOST_NAMES = _REMEMBERED // _REFILL + _BURST + 1
"""So many names at most can be tried while one is remembered."""

_KEY_BURST, _KEY_REFILL = 50, _SECOND // 5


class Tries:
    """The tries of one kind to sign in at a node; nothing of them is kept here."""

    def __init__(self, kind: str = "strangers") -> None:
        self._kind = kind

    def begin(self, node: Node, name: str) -> None:
        """Count a try with a password; it is on the disk when this returns.

        Raises:
            RateLimited: too early; nothing may be verified, and nothing was counted.
        """
        key = _key(node, name)
        with node.act() as act:
            wait = self.take(act.transaction, key, act.now)
        if wait > 0:
            raise refuse(wait)

    def take(self, transaction: Transaction, key: bytes, now: Instant) -> int:
        """0 when a try of the name with this key was counted, else how many microseconds it is too early."""
        kept.correct_times(transaction, now)
        kept.bound_full_at(transaction, self._kind, now + _BURST * _REFILL)
        kept.forget_tries(transaction, by=Instant(now - _REMEMBERED))
        count, last = kept.read_tries(transaction, self._kind, key) or (0, Instant(0))
        wait = last + _find_wait(count) - now if count else 0
        if wait <= 0:
            wait = _take_one(transaction, self._kind, now, burst=_BURST, refill=_REFILL)
        if wait <= 0:
            kept.put_tries(transaction, self._kind, key, count=count + 1, last_at=now)
        return max(wait, 0)

    def begin_key(self, node: Node) -> None:
        """Count a try that cannot be guessed; it is on the disk when this returns.

        Raises:
            RateLimited: too early.
        """
        with node.act() as act:
            wait = self.take_key(act.transaction, act.now)
        if wait > 0:
            raise refuse(wait)

    def take_key(self, transaction: Transaction, now: Instant) -> int:
        """The same of a try with a passkey, which cannot be guessed: only all together are bounded."""
        kind = f"{self._kind} by passkey"
        kept.bound_full_at(transaction, kind, now + _KEY_BURST * _KEY_REFILL)
        return _take_one(transaction, kind, now, burst=_KEY_BURST, refill=_KEY_REFILL)

    def succeed(self, node: Node, transaction: Transaction, name: str) -> None:
        """Forget what was tried by that name."""
        kept.drop_tries(transaction, self._kind, _key(node, name))

    def count_names(self, transaction: Transaction) -> int:
        """How many names are remembered."""
        return kept.count_names(transaction, self._kind)


def refuse(wait: int) -> RateLimited:
    """What is said to whoever is so many microseconds too early."""
    seconds = -(-wait // _SECOND)
    return RateLimited(f"too many tries to sign in; wait {say_count(seconds, 'second')}", retry_after=seconds)


def _take_one(transaction: Transaction, kind: str, now: Instant, *, burst: int, refill: int) -> int:
    """0 when one of all tries was taken, else how long until there is one."""
    # The time at which all would be there again says all: each that is taken moves it on.
    latest = now + burst * refill
    full_at = max(kept.read_full_at(transaction, kind), now) + refill
    if full_at > latest:
        return full_at - latest
    kept.write_full_at(transaction, kind, full_at)
    return 0


def _find_wait(count: int) -> int:
    return 0 if count < _FREE else min(_SECOND << min(count - _FREE, 30), _LONGEST_WAIT)


def _key(node: Node, name: str) -> bytes:
    typed = name.encode("utf-8", "surrogatepass")
    if not node.keyring.has_sealing():  # nor is there a password that could have been typed
        return hashlib.sha256(typed).digest()
    return hmac.digest(node.keyring.open_sealing(), b"comity-try/1\n" + typed, "sha256")
