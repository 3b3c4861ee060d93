# SPDX-License-Identifier: Apache-2.0
"""Whoever keeps a turn and does nothing is ended; whoever works, waits or has ended its turn is not."""

import os
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field

import pytest

from comity.node.overdue import Overdue
from comity.store import Turns
from tests.e2e.conftest import wait_until

LOOK = 0.02


@dataclass
class Taker:
    number: int
    turns: Turns
    kills: list[int] = field(default_factory=list)
    pid: int = 0

    def kill(self) -> None:
        self.kills.append(self.number)
        self.turns.give_back()


@pytest.fixture
def turns() -> Iterator[tuple[Turns, Turns]]:
    """Of the first process, and of one that takes turns: as far as the kernel can tell both are this one."""
    first = Turns.begin()
    second = Turns(os.dup(first.handle))
    with closing(first), closing(second):
        yield first, second


@contextmanager
def looking(turns: Turns, *takers: Taker) -> Iterator[None]:
    overdue = Overdue(turns, lambda: takers, seconds=20 * LOOK, look_seconds=LOOK)
    overdue.start()
    try:
        yield
    finally:
        overdue.stop()


def test_who_keeps_a_turn_is_ended_and_nobody_else(turns: tuple[Turns, Turns]) -> None:
    first, second = turns
    stuck, idle = Taker(0, second, pid=os.getpid()), Taker(1, second, pid=1)
    with looking(first, stuck, idle):
        assert second.take()
        wait_until(lambda: bool(stuck.kills))
        time.sleep(30 * LOOK)
    assert stuck.kills == [0]
    assert idle.kills == []


def test_where_the_kernel_does_not_say_who_it_is_all_are_ended(turns: tuple[Turns, Turns]) -> None:
    first, second = turns
    takers = [Taker(number, second, pid=1) for number in range(2)]
    with looking(first, *takers):
        assert second.take()
        wait_until(lambda: all(taker.kills for taker in takers))


@pytest.mark.parametrize("taken_anew", [False, True])
def test_who_gives_it_back_at_the_last_moment_is_left_alone_and_so_is_the_next(
    turns: tuple[Turns, Turns], *, taken_anew: bool
) -> None:
    first, second = turns
    taker, looked = Taker(0, second, pid=os.getpid()), list[bool]()

    def list_takers() -> list[Taker]:
        second.give_back()
        if taken_anew:
            assert second.take()
        looked.append(taken_anew)
        return [taker]

    overdue = Overdue(first, list_takers, seconds=20 * LOOK, look_seconds=LOOK)
    assert second.take()
    overdue.start()
    wait_until(lambda: bool(looked))
    overdue.stop()
    assert taker.kills == []


def test_who_takes_turn_after_turn_is_left_alone(turns: tuple[Turns, Turns]) -> None:
    first, second = turns
    taker = Taker(0, second, pid=os.getpid())
    with looking(first, taker):
        end = time.monotonic() + 60 * LOOK
        while time.monotonic() < end:
            with second.writing():
                time.sleep(2 * LOOK)
    assert taker.kills == []


def test_the_first_process_may_have_its_own_turn_as_long_as_it_likes(turns: tuple[Turns, Turns]) -> None:
    first, second = turns
    taker = Taker(0, second, pid=os.getpid())
    with looking(first, taker), first.writing(), first.keeping():
        time.sleep(60 * LOOK)
    assert taker.kills == []
