# SPDX-License-Identifier: Apache-2.0
"""Shell: long work step by step on the event loop, with the greater share of it for who reads.

A step holds the loop, and with it everybody who asks this process for something. After each, others have the loop: for
as long as is needed to have six sevenths of it, while partners poll without a pause; until a pause, while they poll now
and then; for a few turns, while nobody does. Of several long works one step is run at a time, so that they share what
is left.
"""

import asyncio
import math
import time
from collections.abc import Callable

from comity.node.steps import Steps, T, advance

__all__ = ["Pace"]

_SHARE = 6
"""How long others have the loop for each second that a step took."""

_RECENTLY_SECONDS = 0.25
_PAUSE_SECONDS = 0.01
"""Who polls without a pause reads a page, and asks for the next, in less."""

_LOOK_SECONDS = 0.001
_IDLE_TURNS = 4
"""Of the loop: what has arrived is read, asked for, and answered within so many."""


class Pace:
    """The long works of one process."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._polled = -math.inf
        self._step = asyncio.Lock()

    def note_poll(self) -> None:
        """Somebody polls now, or was just answered."""
        self._polled = self._clock()

    def is_alone(self) -> bool:
        """Whether nobody has polled for a while."""
        return self._clock() - self._polled > _RECENTLY_SECONDS

    async def run(self, steps: Steps[T]) -> T:
        """What comes of the work, others having had their turns."""
        while True:
            async with self._step:
                started = self._clock()
                done = advance(steps)
                if done is not None:
                    return done.result
                await self._give_way(self._clock() - started)

    async def _give_way(self, took: float) -> None:
        now = self._clock()
        if self.is_alone():
            for _ in range(_IDLE_TURNS):
                await asyncio.sleep(0)
            return
        # While the step ran, nobody could be heard.
        heard, end = now, now + took * _SHARE
        while now < end and now - heard < _PAUSE_SECONDS:
            await asyncio.sleep(_LOOK_SECONDS)
            now, heard = self._clock(), max(heard, self._polled)
