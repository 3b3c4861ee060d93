# SPDX-License-Identifier: Apache-2.0
"""Shell: a thread of the first process that ends whoever keeps a turn and does nothing (`store.turns`).

A process that is stopped, or hangs, while it is its turn holds up everybody who writes: other workers, and the first
process on its event loop, so that nothing that waits there can notice, and no suspension could be put on record. So a
thread looks, which needs neither a turn nor that loop.

It counts looks, not seconds: while the machine sleeps, or stops all processes of the node, nobody looks. Who is ended
loses its answers under way; what it had committed is committed, and what it had not never was.
"""

import logging
import threading
from collections import Counter
from collections.abc import Callable, Collection, Iterable
from typing import Protocol

from comity.store import Turns

__all__ = ["Overdue", "Taker"]

_LOOK_SECONDS = 0.5

_log = logging.getLogger("comity.workers")


class Taker(Protocol):
    """A process that takes turns."""

    number: int

    @property
    def pid(self) -> int:
        """Its number with the operating system."""

    def kill(self) -> None:
        """End it now."""


class Overdue:
    """Looks after `turns`, until `stop`; `list_takers` may be called by another thread than made this."""

    def __init__(
        self,
        turns: Turns,
        list_takers: Callable[[], Iterable[Taker]],
        *,
        seconds: float,
        look_seconds: float = _LOOK_SECONDS,
    ) -> None:
        """Let whoever has a turn have it for `seconds`."""
        self._turns = turns
        self._list_takers = list_takers
        self._most_looks = max(1, round(seconds / look_seconds))
        self._look_seconds = look_seconds
        self._looks = Counter[tuple[int, int]]()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._look_always, name="comity-overdue", daemon=True)

    def start(self) -> None:
        """Begin to look."""
        self._thread.start()

    def stop(self) -> None:
        """Look no more; call it before the turns are closed."""
        self._ended.set()
        if self._thread.is_alive():
            self._thread.join()

    def _look_always(self) -> None:
        while not self._ended.wait(self._look_seconds):
            self._look()

    def _look(self) -> None:
        held = self._turns.find_held()
        # Held as before, and taken by nobody since: by the same process all the time.
        looks = Counter({turn: self._looks[turn] + 1 for turn in held})
        # Whoever has an earlier turn may wait for one that stays with the same process: it is counted from its end on.
        last = max((lock for (lock, _), seen in looks.items() if seen > 1), default=0)
        self._looks = Counter({turn: seen for turn, seen in looks.items() if turn[0] >= last})
        overdue = [turn for turn, looks in self._looks.items() if looks > self._most_looks]
        if overdue:
            self._looks.clear()
            self._end_holders(overdue)

    def _end_holders(self, overdue: Collection[tuple[int, int]]) -> None:
        takers = list(self._list_takers())
        holders = [taker for taker in takers if any(self._turns.is_held_by(taker.pid, lock) for lock, _ in overdue)]
        # Who was late, and has given it back since, is not ended; nor is whoever took it after that.
        if self._turns.find_held().isdisjoint(overdue):
            return
        # A kernel that does not say who has a lock leaves one way: to end all of them. Others come in their place.
        for taker in holders or takers:
            _log.error("worker %d keeps others from writing, and is ended: its answers under way are cut", taker.number)
            taker.kill()
