# SPDX-License-Identifier: Apache-2.0
"""Each act of a node, with its store failing at each step in turn, in each way in which a disk fails.

After each failure the caller has an error that says so, or the act went well all the same. What is in the store is what
one of the act's commits left, and no later one than went well: never a part. `fsck` and `audit` find nothing, nothing
that was in the log is missing from it or is another, and the checkpoint outside the store is one of it. Then the act is
done again, by the same process or by the next one: it comes to what it would have come to without the failure, and
nothing is there twice.

The steps are counted first, by a run in which nothing fails. There are about two thousand of them, three ways each.
COMITY_FAULTS=all tries all, in a quarter of an hour, and COMITY_FAULTS=30 so many of each act; without it a few are
tried, drawn from one seed, with every COMMIT among them.
"""

import random
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from comity.errors import ComityError
from tests.faults.acts import ACTS, Act, Drawn, Staged, stage
from tests.faults.breadth import read_breadth
from tests.faults.faulty import Fault, Script, faulty_connections
from tests.faults.folders import check_sound, read_tables
from tests.worlds import World

pytestmark = [pytest.mark.slow]

SEED = 20_261_126
SAMPLE = 6
"""Steps of each act that are tried beside its commits, each in one of the ways."""

Running = Callable[[Script], Any]


@dataclass(frozen=True, slots=True)
class Known:
    """What a run without a failure showed: the steps, and what the store held at first and after each commit."""

    steps: tuple[str, ...]
    states: tuple[str, ...]
    ends: tuple[dict[str, int], ...]
    """How many rows of which table there may be when it has been done: once, or once and then again."""


@pytest.fixture(scope="module")
def running() -> Iterator[Running]:
    with faulty_connections() as running:
        yield running


def describe(folder: Path, act: Act) -> str:
    """What the store holds, to be compared."""
    held = count(folder) if act.fresh else read_tables(folder)
    return sha256(repr(sorted(held.items())).encode()).hexdigest()


def count(folder: Path) -> dict[str, int]:
    return {name: len(rows) for name, rows in read_tables(folder).items()}


def begin(staged: Staged, place: Path) -> World:
    world = staged.begin(place)
    open_one(world, staged.act, process=1)
    return world


def open_one(world: World, act: Act, *, process: int) -> None:
    if act.opens:
        world.open(act.by).draw = Drawn(process)


def learn(staged: Staged, place: Path, running: Running) -> Known:
    """What the act does when nothing fails, once and then again."""
    world = begin(staged, place)
    script, folder = Script(), place / staged.act.by
    states = [describe(folder, staged.act)]
    script.committed = lambda: states.append(describe(folder, staged.act))
    with running(script):
        staged.act.run(world, staged.given)
    world.close()
    states.append(describe(folder, staged.act))
    ends = [count(folder)]
    check(world, staged)
    open_one(world, staged.act, process=2)
    try:
        staged.act.run(world, staged.given)
    except ComityError:
        assert not staged.act.repeats
    world.close()
    if staged.act.repeats:
        ends.append(count(folder))
    else:
        assert count(folder) == ends[0], f"doubled: {differences(count(folder), ends[0])}"
    return Known(tuple(script.steps), tuple(states), tuple(ends))


def check(world: World, staged: Staged) -> None:
    check_sound(world.folder / staged.act.by, since=read_tables(staged.folder), now=world.now)


def try_step(staged: Staged, known: Known, place: Path, running: Running, script: Script, *, goes_on: bool) -> None:
    act = staged.act
    world = begin(staged, place)
    folder = place / act.by
    failed, came = False, None
    with running(script):
        try:
            came = act.run(world, staged.given)
        except ComityError:
            failed = True
    assert script.failed is not None, "the step was not reached"
    state, counts = describe(folder, act), count(folder)
    assert state in known.states, "the act is there in part"
    assert not failed or state == known.states[script.commits], "it is not as its last commit left it"
    assert failed or state == known.states[-1] or (act.spares and not getattr(came, "gone", False)), "it is not there"
    if not goes_on:
        world.close()
        check(world, staged)
        open_one(world, act, process=2)
    ends = known.ends if state == known.states[-1] else known.ends[:1]
    try:
        act.run(world, staged.given)
    except ComityError:
        # It is done, or begun: nobody does it twice, and there is nothing more of it than before.
        assert state != known.states[0]
        ends = (*ends, counts)
    world.close()
    check(world, staged)
    found = count(folder)
    if act.beside is not None:
        ends = tuple(end | {act.beside: found[act.beside]} for end in ends)
    assert act.restarts or found in ends, differences(found, ends[0])


def differences(found: dict[str, int], expected: dict[str, int]) -> dict[str, tuple[int | None, int | None]]:
    return {
        name: (found.get(name), expected.get(name))
        for name in found.keys() | expected.keys()
        if found.get(name) != expected.get(name)
    }


def choose(known: Known, act: Act) -> list[tuple[int, Fault, bool]]:
    """The steps that are tried, how each fails, and whether the same process goes on."""
    every = [(at, fault) for at in range(len(known.steps)) for fault in Fault]
    breadth = read_breadth(SAMPLE)
    if breadth is None:
        return [(at, fault, goes_on) for at, fault in every for goes_on in ((False, True) if act.opens else (False,))]
    chance = random.Random(f"{SEED} {act.name}")
    commits = [(at, fault) for at, fault in every if known.steps[at] == "COMMIT" and fault is not Fault.UNDONE]
    some = chance.sample(every, min(breadth, len(every)))
    return [(at, fault, act.opens and chance.random() < 0.5) for at, fault in sorted({*commits, *some})]


@pytest.mark.parametrize("act", ACTS, ids=lambda act: act.name)
def test_an_act_is_done_or_not_wherever_the_store_fails(act: Act, tmp_path: Path, running: Running) -> None:
    staged = stage(act, tmp_path / "staged")
    known = learn(staged, tmp_path / "known", running)
    assert "COMMIT" in known.steps or act.name == "restore"
    for at, fault, goes_on in choose(known, act):
        then = "the same process goes on" if goes_on else "opened again"
        what = f"step {at} of {len(known.steps)} ({known.steps[at][:100]!r}) {fault}; {then}"
        try:
            try_step(staged, known, tmp_path / "tried", running, Script(at, fault), goes_on=goes_on)
        except BaseException as error:
            error.add_note(what)
            raise
    shutil.rmtree(tmp_path / "tried")
