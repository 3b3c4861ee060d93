# SPDX-License-Identifier: Apache-2.0
"""Who reads has the greater share of the loop while long work is done, and long works take turns."""

import asyncio
import time

import pytest

from comity.node.steps import Steps
from comity.taxii.pace import Pace

STEP = 0.01


def work(steps: int, ran: list[float], *, name: str = "", order: list[str] | None = None) -> Steps[int]:
    for _ in range(steps):
        started = time.monotonic()
        while time.monotonic() < started + STEP:
            pass
        ran.append(time.monotonic() - started)
        if order is not None:
            order.append(name)
        yield
    return steps


def test_while_somebody_polls_six_sevenths_of_the_time_are_for_others() -> None:
    async def run() -> tuple[float, float]:
        pace, ran, started = Pace(), list[float](), time.monotonic()

        async def poll() -> None:
            while True:
                pace.note_poll()
                await asyncio.sleep(0.002)

        polling = asyncio.create_task(poll())
        await asyncio.sleep(0)
        assert await pace.run(work(10, ran)) == 10
        polling.cancel()
        return sum(ran), time.monotonic() - started

    busy, whole = asyncio.run(run())
    assert busy / whole < 0.16


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
    async def run() -> tuple[float, float, int]:
        pace, ran, started, turns = Pace(), list[float](), time.monotonic(), 0

        async def count() -> None:
            nonlocal turns
            while True:
                await asyncio.sleep(0)
                turns += 1

        counting = asyncio.create_task(count())
        await pace.run(work(10, ran))
        counting.cancel()
        return sum(ran), time.monotonic() - started, turns

    busy, whole, turns = asyncio.run(run())
    assert busy / whole > 0.8
    assert turns >= 30


def test_a_poll_that_is_long_past_holds_nothing_up() -> None:
    now = [0.0]
    slept: list[float] = []

    async def run() -> None:
        pace = Pace(clock=lambda: now[0])
        pace.note_poll()
        now[0] = 10.0
        started = time.monotonic()
        await pace.run(work(3, []))
        slept.append(time.monotonic() - started)

    asyncio.run(run())
    assert slept[0] < 6 * STEP


def test_who_polls_now_and_then_holds_the_work_up_for_a_moment_only() -> None:
    async def run() -> float:
        pace, started, waited = Pace(), time.monotonic(), list[float]()
        pace.note_poll()
        await pace.run(work(5, waited))
        return time.monotonic() - started - sum(waited)

    # Six sevenths for others would be 300 ms.
    assert asyncio.run(run()) < 0.15


def test_two_works_take_turns() -> None:
    async def run() -> list[str]:
        pace, order = Pace(), list[str]()
        await asyncio.gather(*(pace.run(work(3, [], name=name, order=order)) for name in ("one", "two")))
        return order

    assert asyncio.run(run()) == ["one", "two"] * 3


def test_a_failure_lets_the_next_work_run() -> None:
    def fail() -> Steps[int]:
        yield
        raise ValueError("no")

    async def run() -> int:
        pace = Pace()
        with pytest.raises(ValueError, match="no"):
            await pace.run(fail())
        return await pace.run(work(1, []))

    assert asyncio.run(run()) == 1
