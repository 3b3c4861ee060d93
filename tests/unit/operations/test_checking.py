# SPDX-License-Identifier: Apache-2.0
"""The process that reads patterns: it answers, is bounded in time, and its end leaves nothing unsaid or half said."""

import asyncio
import json
import signal
from asyncio.subprocess import Process
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pytest

from comity.errors import UnavailableError
from comity.node.explain import show_object
from comity.node.patterns import has_due, list_due
from comity.operations import checking as checking_module
from comity.operations import parser
from comity.operations.checking import Checking
from comity.stix.grammar import find_pattern_problem
from tests.worlds import World, make_object, object_id

GOOD = "[a:b = {}] WITHIN 5 SECONDS"
BAD = "[a:b = {}]]"


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path)
    made.found("aurelia", "borealia")
    yield made
    made.close()


def add(world: World, *patterns: str) -> None:
    world.add("aurelia", *(make_object(text, kind="indicator", more={"pattern": text}) for text in patterns))


def is_unparsable(world: World, pattern: str) -> bool:
    words = show_object(world.nodes["aurelia"], object_id("indicator", pattern)).label.markings
    assert words <= {"unparsable-pattern"}
    return bool(words)


def run(world: World, act: Callable[[Checking], Awaitable[None]]) -> None:
    async def go() -> None:
        checking = Checking(world.nodes["aurelia"])
        try:
            await act(checking)
        finally:
            await checking.close()

    asyncio.run(go())


def test_what_is_due_is_read_by_a_process_of_its_own(world: World) -> None:
    texts = [form.format(number) for number in range(150) for form in (GOOD, BAD)]
    add(world, *texts)
    run(world, Checking.check)
    assert not has_due(world.nodes["aurelia"])
    assert [text for text in texts if is_unparsable(world, text)] == [BAD.format(number) for number in range(150)]


def test_no_process_is_started_where_nothing_is_due(world: World) -> None:
    add(world, "[a:b = 1]")

    async def check(checking: Checking) -> None:
        await checking.check()
        assert checking._process is None

    run(world, check)


def test_what_comes_while_others_are_read_is_read_too_and_by_one_process(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    add(world, GOOD.format(1))
    start, started = checking_module._start, list[Process]()

    async def start_noted() -> Process:
        started.append(await start())
        return started[-1]

    monkeypatch.setattr(checking_module, "_start", start_noted)

    async def check(checking: Checking) -> None:
        first, second = asyncio.create_task(checking.check()), asyncio.create_task(checking.check())
        await asyncio.sleep(0)
        add(world, BAD.format(2))
        await asyncio.gather(first, second)

    run(world, check)
    assert is_unparsable(world, BAD.format(2))
    assert len(started) == 1


def test_a_process_that_ends_leaves_what_it_did_not_answer_due(world: World) -> None:
    add(world, GOOD.format(1))

    async def check(checking: Checking) -> None:
        await checking.check()
        assert checking._process is not None
        checking._process.kill()
        add(world, GOOD.format(2), BAD.format(3))
        with pytest.raises(UnavailableError, match="asked again"):
            await checking.check()
        assert len(list_due(world.nodes["aurelia"])) == 2
        await checking.check()

    run(world, check)
    assert (is_unparsable(world, GOOD.format(2)), is_unparsable(world, BAD.format(3))) == (False, True)


def test_an_answer_that_nobody_waited_for_is_not_taken_for_the_next(world: World) -> None:
    add(world, GOOD.format(1))

    async def check(checking: Checking) -> None:
        await checking.check()
        add(world, BAD.format(2))
        asking = asyncio.create_task(checking.check())
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
        add(world, GOOD.format(3))
        await checking.check()

    run(world, check)
    assert (is_unparsable(world, BAD.format(2)), is_unparsable(world, GOOD.format(3))) == (True, False)


@pytest.mark.slow
def test_a_process_that_has_read_very_much_is_replaced(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checking_module, "_CHARACTERS_AT_ONCE", 1)
    long = ["[a:b = '{}'] WITHIN {} SECONDS".format("x" * 60_000, number) for number in range(1, 71)]
    add(world, *long)
    run(world, Checking.check)
    assert not has_due(world.nodes["aurelia"])
    assert not any(is_unparsable(world, text) for text in long)


def never_ends(pattern: str) -> object:
    while pattern:
        pass
    return None


def fails(pattern: str) -> object:
    raise AttributeError(pattern)


@pytest.mark.parametrize(("parse", "said"), [(never_ends, "took longer than"), (fails, "failed on it")])
def test_what_the_parser_does_not_get_through_is_refused_and_the_rest_is_left(
    parse: Callable[[str], object], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parser, "PATTERN_SECONDS", 0.05)
    before = signal.signal(signal.SIGVTALRM, parser._stop)
    try:

        def read(pattern: str) -> object:
            return parse(pattern) if pattern == "bad" else find_pattern_problem(pattern)

        answers, goes_on = parser._answer(["[a:b = 1]", "bad", "[a:b = 2]"], read)
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)
    assert not goes_on
    assert answers[0] is None
    assert len(answers) == 2
    assert said in str(answers[1])
    assert "bad" not in json.dumps(answers)
