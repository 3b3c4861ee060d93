# SPDX-License-Identifier: Apache-2.0
"""Whoever keeps a turn and does nothing is ended; whoever works, waits or has ended its turn is not."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
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


PROCESS = """
import sys
from comity.store import Turns
turns, taken = Turns(int(sys.argv[1])), []
print("ready", flush=True)
for line in sys.stdin:
    taken.append(getattr(turns, line.strip())())
    taken[-1].__enter__()
    print(line, end="", flush=True)
"""


class Process:
    """A process that takes the turns it is told to, and gives none back."""

    def __init__(self, turns: Turns, number: int) -> None:
        self.number = number
        self.is_killed = False
        self._process = subprocess.Popen(
            [sys.executable, "-c", PROCESS, str(turns.handle)],
            pass_fds=[turns.handle],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.finish() == "ready"

    @property
    def pid(self) -> int:
        return self._process.pid

    def begin(self, turn: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{turn}\n")
        self._process.stdin.flush()

    def finish(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()

    def kill(self) -> None:
        self.is_killed = True
        self._process.kill()

    def close(self) -> None:
        self._process.kill()
        self._process.communicate()


@pytest.fixture
def turns() -> Iterator[tuple[Turns, Turns]]:
    """Of the first process, and of one that takes turns: as far as the kernel can tell both are this one."""
    first = Turns.begin()
    second = Turns(os.dup(first.handle))
    with closing(first), closing(second):
        yield first, second


@contextmanager
def looking(turns: Turns, *takers: Taker | Process, looks: int = 20) -> Iterator[None]:
    overdue = Overdue(turns, lambda: takers, seconds=looks * LOOK, look_seconds=LOOK)
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


@pytest.mark.parametrize("keeps_first", [False, True])
def test_who_waits_for_the_one_that_is_stuck_with_a_turn_of_its_own_is_not_ended(
    turns: tuple[Turns, Turns], *, keeps_first: bool
) -> None:
    first, _ = turns
    with ExitStack() as stack:
        stuck, other = (stack.enter_context(closing(Process(first, number))) for number in range(2))
        steps = [(other, "writing"), (stuck, "keeping")]
        with looking(first, stuck, other, looks=100):
            for process, turn in reversed(steps) if keeps_first else steps:
                process.begin(turn)
                assert process.finish() == turn
            other.begin("keeping")
            assert other.finish() == "keeping"  # which comes when the one that is stuck was ended
        assert stuck.is_killed
        assert not other.is_killed


def test_one_that_is_stuck_in_each_turn_is_ended_and_then_the_other(turns: tuple[Turns, Turns]) -> None:
    first, _ = turns
    with ExitStack() as stack:
        takers = [stack.enter_context(closing(Process(first, number))) for number in range(2)]
        with looking(first, *takers, looks=100):
            for process, turn in zip(takers, ("writing", "keeping"), strict=True):
                process.begin(turn)
                assert process.finish() == turn
            wait_until(lambda: all(process.is_killed for process in takers))


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
