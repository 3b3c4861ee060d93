# SPDX-License-Identifier: Apache-2.0
"""A page that is read by a process beside this one is what it would be here; without the process it is read here."""

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest
from msgspec import msgpack

from comity import aside
from comity.aside import Aside, decode_page, encode_page
from comity.node.receive import ReadPage, read_page
from comity.node.steps import finish
from tests.worlds import make_object

MARKED: dict[str, Any] = {
    **make_object("marked in part"),
    "granular_markings": [
        {"marking_ref": "marking-definition--bab4a63c-aed9-4cf5-a766-dfca5abac2bb", "selectors": ["name"]}
    ],
}
INDICATOR = {
    "type": "indicator",
    "spec_version": "2.1",
    "id": "indicator--8e2e2d2b-17d4-4cbf-938f-98ee46b3cd3f",
    "created": "2026-01-01T00:00:00.000Z",
    "modified": "2026-01-01T00:00:00.000Z",
    "pattern": "[ipv4-addr:value = '198.51.100.1'] FOLLOWEDBY [ipv4-addr:value = '198.51.100.2']",
    "pattern_type": "stix",
    "valid_from": "2026-01-01T00:00:00Z",
}


def write(*objects: object) -> bytes:
    return json.dumps({"more": True, "objects": objects}).encode()


PLAIN = write(*(make_object(f"n{number}") for number in range(300)))
MIXED = write(
    make_object("a"),
    make_object("a"),
    make_object("b", subjects=("national:other",)),
    MARKED,
    INDICATOR,
    {**make_object("c"), "created": "yesterday"},
    {**make_object("d"), "published": "yesterday"},
    7,
)


def read(data: bytes, most: int = 1_000) -> ReadPage:
    return finish(read_page(data, most=most))


@pytest.mark.parametrize("data", [PLAIN, MIXED, write()])
def test_what_is_told_of_a_page_is_all_that_was_read(data: bytes) -> None:
    assert decode_page(encode_page(read(data)), data) == read(data)


def test_what_is_labelled_alike_is_one_value_on_both_sides() -> None:
    told = decode_page(encode_page(read(PLAIN)), PLAIN)
    for page in (read(PLAIN), told):
        assert page is not None
        assert not isinstance(page.read, Exception)
        assert len({id(value) for _, value in page.read.checked.good}) == 1


@pytest.mark.parametrize("data", [b"no page", b'{"objects":[1', PLAIN])
def test_nothing_is_told_of_what_is_no_page(data: bytes) -> None:
    assert encode_page(read(data, most=299)) == b""


def test_what_cannot_be_told_is_read_here() -> None:
    assert encode_page(read(write({**MARKED, "x_number": 10**30}))) == b""


@pytest.mark.parametrize("answer", [b"", b"\xc1", b"\x90"])
def test_what_is_no_answer_is_no_page(answer: bytes) -> None:
    assert decode_page(answer, PLAIN) is None


@pytest.mark.parametrize(("place", "value"), [(2, []), (3, []), (3, [99])])
def test_an_answer_whose_parts_do_not_fit_is_no_page(place: int, value: list[int]) -> None:
    answer = msgpack.decode(encode_page(read(MIXED)))
    assert decode_page(msgpack.encode(answer), MIXED) is not None
    answer[place] = value
    assert decode_page(msgpack.encode(answer), MIXED) is None


def run(do: Callable[[Aside], Any]) -> Any:  # noqa: ANN401
    async def run() -> Any:  # noqa: ANN401
        beside = Aside()
        try:
            return await do(beside)
        finally:
            await beside.aclose()

    return asyncio.run(run())


async def start(beside: Aside) -> None:
    """Let it start: the pages before are read here."""
    for _ in range(4):
        assert await beside.read(PLAIN, most=1_000) is None
    assert beside._starting is not None
    assert await beside._starting


@pytest.fixture(autouse=True)
def two_processors(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aside, "sched_getaffinity", lambda _: {0, 1})


def test_a_process_reads_pages_once_some_have_come() -> None:
    async def do(beside: Aside) -> tuple[ReadPage | None, ...]:
        await start(beside)
        return tuple(await asyncio.gather(*(beside.read(data, most=1_000) for data in (PLAIN, MIXED, PLAIN))))

    assert run(do) == (read(PLAIN), None, read(PLAIN))


def test_what_the_process_cannot_read_is_read_here_and_it_goes_on() -> None:
    async def do(beside: Aside) -> tuple[ReadPage | None, ...]:
        await start(beside)
        return await beside.read(PLAIN, most=299), await beside.read(PLAIN, most=300)

    assert run(do) == (None, read(PLAIN))


def test_a_process_that_is_gone_is_not_missed() -> None:
    async def do(beside: Aside) -> tuple[ReadPage | None, ...]:
        await start(beside)
        assert beside._process is not None
        beside._process.kill()
        return await beside.read(PLAIN, most=1_000), await beside.read(PLAIN, most=1_000)

    assert run(do) == (None, None)


def test_an_answer_that_nobody_waited_for_is_not_that_of_the_next_page() -> None:
    async def do(beside: Aside) -> ReadPage | None:
        await start(beside)
        first = asyncio.create_task(beside.read(PLAIN, most=1_000))
        await asyncio.sleep(0)
        first.cancel()
        await asyncio.gather(first, return_exceptions=True)
        other = write(*(make_object(f"other{number}") for number in range(300)))
        return await beside.read(other, most=1_000)

    assert run(do) is None


def test_one_processor_has_no_process_beside(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aside, "sched_getaffinity", lambda _: {0})

    async def do(beside: Aside) -> bool:
        for _ in range(6):
            assert await beside.read(PLAIN, most=1_000) is None
        return beside._starting is None

    assert run(do)
