# SPDX-License-Identifier: Apache-2.0
"""Who reads has the greater share of the loop while long work is done, and long works take turns."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

import pytest

from comity.node.steps import Steps
from comity.taxii.pace import Pace

STEP = 0.01
T = TypeVar("T")


class Loop(asyncio.SelectorEventLoop):
    """A loop whose time goes on only by what is slept and worked: how busy the machine is makes no difference."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 100.0

    def time(self) -> float:
        """The time so far."""
        return self.now

    def _run_once(self) -> None:
        if not self._ready and self._scheduled:  # type: ignore[attr-defined]
            self.now = max(self.now, self._scheduled[0].when())  # type: ignore[attr-defined]
        super()._run_once()  # type: ignore[misc]


def run(made: Callable[[Loop], Coroutine[Any, Any, T]]) -> T:
    """What comes of it in such a loop."""
    with asyncio.Runner(loop_factory=Loop) as runner:
        loop = runner.get_loop()
        assert isinstance(loop, Loop)
        return runner.run(made(loop))


def work(loop: Loop, steps: int, *, name: str = "", order: list[str] | None = None) -> Steps[int]:
    """Steps that each take `STEP` seconds, in which nobody else has the loop."""
    for _ in range(steps):
        loop.now += STEP
        if order is not None:
            order.append(name)
        yield
    return steps


def test_while_somebody_polls_six_sevenths_of_the_time_are_for_others() -> None:
    async def poll_beside(loop: Loop) -> float:
        pace, started = Pace(clock=loop.time), loop.time()

        async def poll() -> None:
            while True:
                pace.note_poll()
                await asyncio.sleep(0.002)

        polling = asyncio.create_task(poll())
        await asyncio.sleep(0)
        assert await pace.run(work(loop, 10)) == 10
        polling.cancel()
        return loop.time() - started

    # The last step is followed by the end.
    assert run(poll_beside) >= 10 * STEP + 9 * 6 * STEP


def test_nobody_is_alone_for_a_quarter_of_a_second_after_a_poll() -> None:
    now = 100.0
    pace = Pace(clock=lambda: now)
    assert pace.is_alone()
    pace.note_poll()
    now = 100.2
    assert not pace.is_alone()
    now = 100.3
    assert pace.is_alone()


def test_while_nobody_polls_the_work_is_not_held_up_but_others_get_their_turns() -> None:
    async def count_beside(loop: Loop) -> tuple[float, int]:
        pace, started, turns = Pace(clock=loop.time), loop.time(), 0

        async def count() -> None:
            nonlocal turns
            while True:
                await asyncio.sleep(0)
                turns += 1

        counting = asyncio.create_task(count())
        await pace.run(work(loop, 10))
        counting.cancel()
        return loop.time() - started, turns

    whole, turns = run(count_beside)
    assert whole == pytest.approx(10 * STEP)
    assert turns >= 30


def test_a_poll_that_is_long_past_holds_nothing_up() -> None:
    async def work_late(loop: Loop) -> float:
        pace = Pace(clock=loop.time)
        pace.note_poll()
        loop.now += 10.0
        started = loop.time()
        await pace.run(work(loop, 3))
        return loop.time() - started

    assert run(work_late) == pytest.approx(3 * STEP)


def test_who_polls_now_and_then_holds_the_work_up_for_a_moment_only() -> None:
    async def work_after_one(loop: Loop) -> float:
        pace, started = Pace(clock=loop.time), loop.time()
        pace.note_poll()
        await pace.run(work(loop, 5))
        return loop.time() - started - 5 * STEP

    # Six sevenths for others would be 240 ms.
    assert 0 < run(work_after_one) < 0.06


def test_two_works_take_turns() -> None:
    async def work_together(loop: Loop) -> list[str]:
        pace, order = Pace(clock=loop.time), list[str]()
        await asyncio.gather(*(pace.run(work(loop, 3, name=name, order=order)) for name in ("one", "two")))
        return order

    assert run(work_together) == ["one", "two"] * 3


def test_a_failure_lets_the_next_work_run() -> None:
    def fail() -> Steps[int]:
        yield
        raise ValueError("no")

    async def work_after_it(loop: Loop) -> int:
        pace = Pace(clock=loop.time)
        with pytest.raises(ValueError, match="no"):
            await pace.run(fail())
        return await pace.run(work(loop, 1))

    assert run(work_after_it) == 1
