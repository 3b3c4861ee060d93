# SPDX-License-Identifier: Apache-2.0
"""Shell: pages read by a process beside this one, while this one verifies and stores the page before.

    aside = Aside()                      nothing is started yet
    page = await aside.read(data)        a ReadPage, or None: read it here

To read a page (`node.receive.read_page`) is half of what it costs, and needs nothing but its bytes. The process holds
no file and no secret of a node, sees nothing of its environment, may write no file, and has so much memory and time
(`conversion.child`). It runs the same code as this one would. Nothing of what it says is believed that the receipt of
the page does not show, but that objects are well formed; whatever becomes of it, pages are read here, as before.
"""

import asyncio
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from contextlib import suppress
from os import sched_getaffinity
from typing import Any, Final

from msgspec import MsgspecError, Struct
from msgspec.msgpack import Decoder, Encoder

from comity.conversion.child import Bounds, serve_frames
from comity.errors import MalformedError
from comity.node.parts import ReadBundle
from comity.node.receive import ReadPage, read_page
from comity.node.steps import finish
from comity.release.contents import Listing
from comity.stix.objects import BadObject, ParsedBundle, StixObject

__all__ = ["Aside", "decode_page", "encode_page", "main"]

_BOUNDS: Final = Bounds(memory=2 << 30, seconds=60, answer=128 << 20)
_LEAST_PAGES: Final = 3
"""To start the process costs as much as to read some fifteen pages: who is in step never has it."""

_LEAST_BYTES: Final = 64 * 1024
_LENGTH: Final = 4


class _Answer(Struct, array_like=True):
    """A page as it was read. `marks` are the values that say how objects are labelled, `marked` which one each has."""

    objects: list[StixObject]
    places: list[int]
    marks: list[dict[str, Any]]
    marked: list[int]
    bad: list[BadObject]
    repeats: list[tuple[int, int]]
    versions: dict[int, str]
    patterns: dict[int, str]
    listing: Listing | None


_ENCODER: Final = Encoder()
_DECODER: Final = Decoder(_Answer)


class Aside:
    """One such process, for one event loop; it is started once some pages came, and has to be closed."""

    def __init__(self) -> None:
        self._process: Process | None = None
        self._starting: asyncio.Task[bool] | None = None
        self._asked = 0
        # One processor has no room beside what it does.
        self._gone = len(sched_getaffinity(0)) == 1
        self._turn = asyncio.Lock()

    async def read(self, data: bytes, *, most: int) -> ReadPage | None:
        """The page, of at most `most` objects; None where it has to be read here."""
        self._asked += len(data) >= _LEAST_BYTES
        if self._gone or self._asked <= _LEAST_PAGES or len(data) < _LEAST_BYTES:
            return None
        self._starting = self._starting or asyncio.create_task(self._start())
        if not self._starting.done():
            return None  # nobody waits for it to start
        async with self._turn:
            answer = await self._ask(data, most)
        return decode_page(answer, data) if answer else None

    async def _start(self) -> bool:
        """Start it, and have it answer once: from then on it does so at once."""
        return await self._ask(b"", 0) is not None

    async def _ask(self, data: bytes, most: int) -> bytes | None:
        """What it says; empty where it could not read the page, None where it has ended."""
        try:
            async with asyncio.timeout(_BOUNDS.seconds):
                if self._gone:
                    return None
                process = self._process = self._process or await _start()
                return await _exchange(process, most.to_bytes(_LENGTH, "big") + data)
        except (OSError, EOFError, TimeoutError):
            await self._end()
            return None
        except BaseException:
            await self._end()  # an answer that nobody waited for must not be taken for that of the next question
            raise

    async def aclose(self) -> None:
        """End the process; from here on nothing is read by one."""
        self._gone = True
        if self._starting is not None:
            self._starting.cancel()
            await asyncio.gather(self._starting, return_exceptions=True)
        await self._end()

    async def _end(self) -> None:
        self._gone = True
        process, self._process = self._process, None
        if process is None:
            return
        with suppress(ProcessLookupError):
            process.kill()
        assert process.stdin is not None  # noqa: S101 (it is a pipe)
        process.stdin.close()
        await process.wait()


async def _exchange(process: Process, frame: bytes) -> bytes:
    """What the process says to the frame.

    Raises:
        OSError, EOFError: it has ended, or says more than it may.
    """
    assert process.stdin is not None  # noqa: S101 (they are pipes)
    assert process.stdout is not None  # noqa: S101
    process.stdin.writelines((len(frame).to_bytes(_LENGTH, "big"), frame))
    await process.stdin.drain()
    size = int.from_bytes(await process.stdout.readexactly(_LENGTH), "big")
    if size > _BOUNDS.answer:
        raise EOFError(f"an answer of {size} bytes")
    return await process.stdout.readexactly(size)


async def _start() -> Process:
    command = (sys.executable, "-I", "-m", "comity.aside", *map(str, (_BOUNDS.memory, _BOUNDS.seconds, _BOUNDS.answer)))
    return await asyncio.create_subprocess_exec(
        *command, stdin=PIPE, stdout=PIPE, stderr=DEVNULL, cwd="/", env={}, limit=1 << 20
    )


def encode_page(page: ReadPage) -> bytes:
    """The page for another process, without its bytes; empty where it is none that can be taken in."""
    read = page.read
    if isinstance(read, MalformedError):
        return b""
    checked, marks, kinds = read.checked, list[dict[str, Any]](), dict[int, int]()
    for _, value in checked.good:
        if kinds.setdefault(id(value), len(marks)) == len(marks):
            marks.append(value)
    answer = _Answer(
        objects=[item for item, _ in checked.good],
        places=[*checked.places],
        marks=marks,
        marked=[kinds[id(value)] for _, value in checked.good],
        bad=[*checked.bad],
        repeats=[*checked.repeats],
        versions={**read.versions},
        patterns={**read.patterns},
        listing=page.listing,
    )
    try:
        return _ENCODER.encode(answer)
    except (ValueError, OverflowError, RecursionError):
        return b""  # an integer that is too long, half a character, what lies too deep


def decode_page(answer: bytes, data: bytes) -> ReadPage | None:
    """The page `data` that `encode_page` wrote; None where it is none."""
    try:
        said = _DECODER.decode(answer)
        good = tuple([(item, said.marks[kind]) for item, kind in zip(said.objects, said.marked, strict=True)])
    except (MsgspecError, ValueError, IndexError):
        return None
    checked = ParsedBundle(good=good, places=tuple(said.places), bad=tuple(said.bad), repeats=tuple(said.repeats))
    read = ReadBundle(checked=checked, versions=said.versions, patterns=said.patterns)
    return ReadPage(data=data, read=read, listing=said.listing)


def main() -> None:
    """Read pages for the process that started this one, within the bounds that it gives."""
    serve_frames(_respond)


def _respond(frame: bytes) -> bytes:
    most = int.from_bytes(frame[:_LENGTH], "big")
    return encode_page(finish(read_page(frame[_LENGTH:], most=most)))


if __name__ == "__main__":
    main()
