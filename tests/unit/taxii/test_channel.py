# SPDX-License-Identifier: Apache-2.0
"""What two processes of a node say to each other: whole, in any pieces, within bounds; and what its end does."""

import asyncio
import json
import logging
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest

from comity.errors import UnavailableError
from comity.taxii import channel as channels
from comity.taxii.channel import MAX_FRAME_BYTES, Channel, Values, open_channel


@dataclass(slots=True)
class Side:
    """One side, and what it heard."""

    channel: Channel
    heard: list[tuple[str, Values]] = field(default_factory=list)
    lost: asyncio.Event = field(default_factory=asyncio.Event)


Answer = Callable[[str, Values], Awaitable[Values]]


async def echo(word: str, values: Values) -> Values:
    return {"word": word, **values}


async def make_side(connection: socket.socket, answer: Answer = echo) -> Side:
    heard = list[tuple[str, Values]]()
    lost = asyncio.Event()

    async def handle(word: str, values: Values) -> Values:
        heard.append((word, values))
        return await answer(word, values)

    return Side(await open_channel(connection, handle, lost.set), heard, lost)


@asynccontextmanager
async def pair(answer: Answer = echo) -> AsyncIterator[tuple[Side, Side]]:
    one, other = socket.socketpair()
    first, second = await make_side(one, answer), await make_side(other, answer)
    yield first, second
    first.channel.close()
    second.channel.close()
    await asyncio.gather(first.lost.wait(), second.lost.wait())


@asynccontextmanager
async def raw(answer: Answer = echo) -> AsyncIterator[tuple[Side, socket.socket]]:
    """A side whose other side a test writes byte by byte."""
    one, other = socket.socketpair()
    side = await make_side(one, answer)
    with other:
        other.settimeout(0)
        yield side, other
        side.channel.close()
        await side.lost.wait()


def frame(said: object) -> bytes:
    body = json.dumps(said).encode()
    return struct.pack(">I", len(body)) + body


def run(test: Callable[[], Awaitable[None]]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(10):
            await test()

    asyncio.run(bounded())


def test_questions_are_answered_each_with_its_own_answer() -> None:
    async def late(word: str, values: Values) -> Values:
        await asyncio.sleep(0.05 if values["n"] % 2 else 0)
        return {"n": values["n"]}

    async def test() -> None:
        async with pair(late) as (first, second):
            answers = await asyncio.gather(
                *(first.channel.ask("a", n=n) for n in range(50)), *(second.channel.ask("b", n=n) for n in range(50))
            )
            assert [answer["n"] for answer in answers] == [*range(50), *range(50)]
            first.channel.tell("c", n=1)
            await first.channel.ask("a", n=0)
            assert ("c", {"n": 1}) in second.heard

    run(test)


def test_frames_in_any_pieces_are_frames() -> None:
    async def test() -> None:
        async with raw() as (side, other):
            sent = b"".join(frame({"say": "x", "number": None, "with": {"n": n}}) for n in range(5))
            for position in range(0, len(sent), 3):
                other.send(sent[position : position + 3])
                await asyncio.sleep(0)
            while len(side.heard) < 5:  # noqa: ASYNC110 (it is the other side that hears)
                await asyncio.sleep(0.01)
            assert [values["n"] for _, values in side.heard] == [0, 1, 2, 3, 4]

    run(test)


def test_a_frame_that_was_torn_is_not_heard_and_ends_the_channel() -> None:
    async def test() -> None:
        async with raw() as (side, other):
            other.send(frame({"say": "x", "number": None, "with": {}})[:-1])
            other.shutdown(socket.SHUT_WR)
            await side.lost.wait()
            assert side.heard == []

    run(test)


@pytest.mark.parametrize(
    "sent",
    [
        struct.pack(">I", MAX_FRAME_BYTES + 1),
        b"\xff" * 16,
        struct.pack(">I", 3) + b"not",
        struct.pack(">I", 0),
        frame([]),
        frame({"say": "x"}),
        frame({"say": 1, "number": None, "with": {}}),
        frame({"say": "x", "number": "1", "with": {}}),
        frame({"answer": 1, "with": []}),
        struct.pack(">I", 200_000) + b"[" * 200_000,
    ],
)
def test_what_is_no_frame_ends_the_channel(sent: bytes, caplog: pytest.LogCaptureFixture) -> None:
    async def test() -> None:
        async with raw() as (side, other):
            await asyncio.get_running_loop().sock_sendall(other, sent)
            await side.lost.wait()
            assert side.heard == []

    with caplog.at_level(logging.ERROR, logger="comity.workers"):
        run(test)
    assert "the channel to another process of this node was ended" in caplog.text


def test_an_answer_to_nothing_is_passed_over() -> None:
    async def test() -> None:
        async with raw() as (side, other):
            other.send(frame({"answer": 77, "with": {}}))
            asking = asyncio.ensure_future(side.channel.ask("x"))
            await asyncio.sleep(0.02)
            other.send(frame({"answer": 1, "with": {"ok": 1}}) * 2)
            assert await asking == {"ok": 1}

    run(test)


def test_nobody_waits_for_an_answer_when_the_other_side_has_gone() -> None:
    async def test() -> None:
        async with raw() as (side, other):
            asking = [asyncio.ensure_future(side.channel.ask("x")) for _ in range(3)]
            await asyncio.sleep(0)
            other.close()
            for each in asking:
                with pytest.raises(UnavailableError):
                    await each
            with pytest.raises(UnavailableError):
                await side.channel.ask("x")
            side.channel.tell("x")  # it is lost, and that is all

    run(test)


def test_who_cannot_answer_ends_the_channel(caplog: pytest.LogCaptureFixture) -> None:
    async def fail(word: str, values: Values) -> Values:
        raise ZeroDivisionError("unforeseen")

    async def test() -> None:
        async with pair(fail) as (first, second):
            with pytest.raises(UnavailableError):
                await first.channel.ask("x")
            await second.lost.wait()

    with caplog.at_level(logging.ERROR, logger="comity.workers"):
        run(test)
    assert "ZeroDivisionError: unforeseen" in caplog.text


def test_a_side_that_takes_nothing_is_given_up() -> None:
    async def test() -> None:
        async with raw() as (side, _):
            said = 0
            while not side.lost.is_set():
                side.channel.tell("x", text="y" * 1_000_000)
                said += 1
                await asyncio.sleep(0)
            assert said < 40

    run(test)


def test_a_frame_over_the_bound_is_not_sent() -> None:
    async def test() -> None:
        async with raw() as (side, _):
            with pytest.raises(UnavailableError):
                await side.channel.ask("x", text="y" * MAX_FRAME_BYTES)

    run(test)


def test_only_so_many_questions_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    async def test() -> None:
        async with raw() as (side, _):
            asking = [asyncio.ensure_future(side.channel.ask("x")) for _ in range(4)]
            await asyncio.sleep(0)
            with pytest.raises(UnavailableError):
                await side.channel.ask("x")
            for each in asking:
                each.cancel()
            await asyncio.gather(*asking, return_exceptions=True)
            one_more = asyncio.ensure_future(side.channel.ask("x"))  # who waits no more makes room
            await asyncio.sleep(0)
            one_more.cancel()
            await asyncio.gather(one_more, return_exceptions=True)

    monkeypatch.setattr(channels, "MOST_UNANSWERED", 4)
    run(test)
