# SPDX-License-Identifier: Apache-2.0
"""What is written in a block leaves in one call, whole and in order, and nothing of it is left uncounted."""

import asyncio
import os
import random
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from comity.taxii.gathering import GatheringTransport

DRAW = random.Random(7)


class Told(asyncio.Protocol):
    """What a transport told its protocol."""

    def __init__(self) -> None:
        self.paused = False
        self.lost = asyncio.Event()

    def pause_writing(self) -> None:
        self.paused = True

    def resume_writing(self) -> None:
        self.paused = False

    def connection_lost(self, _: Exception | None) -> None:
        self.lost.set()


@asynccontextmanager
async def connect() -> AsyncIterator[tuple[GatheringTransport, Told, socket.socket]]:
    """A transport with nothing kept back, its protocol, and the other end of its connection."""
    loop = asyncio.get_running_loop()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        far = socket.create_connection(listener.getsockname())
        near, _ = listener.accept()
    transport, told = await loop.connect_accepted_socket(Told, near)
    transport.set_write_buffer_limits(high=0)
    far.settimeout(0)
    try:
        yield GatheringTransport(transport), told, far
    finally:
        transport.abort()
        far.close()


async def read(far: socket.socket, count: int) -> bytes:
    data = b""
    async with asyncio.timeout(60):
        while len(data) < count:
            data += await asyncio.get_running_loop().sock_recv(far, 1 << 20)
    return data


def test_parts_leave_in_one_call(monkeypatch: pytest.MonkeyPatch) -> None:
    calls, real = list[int](), os.writev

    def write(handle: int, parts: list[bytes]) -> int:
        calls.append(len(parts))
        return real(handle, parts)

    monkeypatch.setattr(os, "writev", write)

    async def run() -> None:
        async with connect() as (gathering, told, far):
            with gathering:
                gathering.write(b"head ")
                gathering.write(b"")
                gathering.write(b"body")
                await asyncio.sleep(0)
                with pytest.raises(BlockingIOError):
                    far.recv(100)
            assert far.recv(100) == b"head body"
            assert (calls, told.paused, gathering.get_write_buffer_size()) == ([2], False, 0)
            gathering.write(b"outside")
            assert far.recv(100) == b"outside"

    asyncio.run(run())


def test_what_is_not_taken_waits_in_the_buffer_and_is_told() -> None:
    parts = [DRAW.randbytes(size) for size in (300, 3_000_000, 1, 7_000_000, 5)]

    async def run() -> None:
        async with connect() as (gathering, told, far):
            with gathering:
                for part in parts:
                    gathering.write(part)
            assert told.paused
            assert gathering.get_write_buffer_size() > 0
            begun = far.recv(1 << 24)  # there is room again, and the loop does not know it yet
            with gathering:
                gathering.write(b"later ")
                gathering.write(b"on")
            whole = b"".join(parts) + b"later on"
            assert begun + await read(far, len(whole) - len(begun)) == whole
            assert not told.paused
            assert gathering.get_write_buffer_size() == 0

    asyncio.run(run())


def test_more_parts_than_one_call_takes_come_in_order() -> None:
    parts = [b"%06d" % number for number in range(3_000)]

    async def run() -> None:
        async with connect() as (gathering, _, far):
            with gathering:
                for part in parts:
                    gathering.write(part)
            assert await read(far, 18_000) == b"".join(parts)

    asyncio.run(run())


def test_a_connection_that_is_gone_is_found_by_the_transport() -> None:
    async def run() -> None:
        async with connect() as (gathering, told, far):
            far.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            far.close()
            await asyncio.sleep(0)
            with gathering:
                gathering.write(b"head ")
                gathering.write(b"body")
            async with asyncio.timeout(5):
                await told.lost.wait()

    asyncio.run(run())


def test_what_was_kept_leaves_before_the_connection_closes() -> None:
    async def run() -> None:
        async with connect() as (gathering, told, far):
            with gathering:
                gathering.write(b"head ")
                gathering.write(b"body")
                gathering.close()
            assert await read(far, 9) == b"head body"
            async with asyncio.timeout(5):
                await told.lost.wait()
            assert await asyncio.get_running_loop().sock_recv(far, 1) == b""

    asyncio.run(run())
