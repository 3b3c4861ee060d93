# SPDX-License-Identifier: Apache-2.0
"""Shell: being asked: the serving side of the control socket (`cli.control` says what goes over it)."""

import asyncio
import socket
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from comity.cli.control import (
    LENGTH,
    MAX_FRAME_BYTES,
    SOCKET_NAME,
    format_frame,
    format_progress,
    named,
    parse_request,
)
from comity.errors import MalformedRequest
from comity.node.steps import Tell
from comity.operations.reply import Json, Reply, fail_with, format_reply

__all__ = ["Handler", "Listener"]

Handler = Callable[[str, dict[str, Json], Tell | None], Awaitable[Reply]]
"""What answers an operation with its arguments, and is to tell how far it is if anybody wants to know."""

_REQUEST_SECONDS = 30.0
_BACKLOG = 64
_TOLD_SECONDS = 0.2
"""How often who asked for it is told how far the work is."""


class Listener:
    """The control socket of the node in `folder`, whose store this process owns; `handle` answers each request."""

    def __init__(self, folder: Path, handle: Handler) -> None:
        self._folder = folder
        self._handle = handle
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Listen. A socket left by a process that was killed is replaced: who owns the store owns the socket."""
        path = self._folder / SOCKET_NAME
        path.unlink(missing_ok=True)
        listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        with named(self._folder) as name:
            listening.bind(name)
        # Nobody can connect before `listen`, so that nobody can between these two lines.
        path.chmod(0o600)
        listening.listen(_BACKLOG)
        listening.setblocking(False)  # noqa: FBT003 (the library's own signature)
        self._server = await asyncio.start_unix_server(self._connected, sock=listening)

    async def stop(self) -> None:
        """Listen no more, and let nobody wait for an answer that will not come."""
        if self._server is None:
            return
        (self._folder / SOCKET_NAME).unlink(missing_ok=True)
        self._server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 (a connection is served by a task of its own)
        self._tasks.add(task)
        try:
            await self._serve(reader, writer)
        except (asyncio.CancelledError, ConnectionError, TimeoutError, asyncio.IncompleteReadError):
            writer.transport.abort()
        finally:
            self._tasks.discard(task)
            writer.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(_REQUEST_SECONDS):
                operation, arguments, tells = parse_request(await _read_frame(reader))
        except MalformedRequest as error:
            reply = fail_with(error)
        else:
            reply = await self._handle(operation, arguments, _make_tell(writer) if tells else None)
        try:
            frame = format_frame(format_reply(reply))
        except MalformedRequest:
            frame = format_frame(format_reply(fail_with(MalformedRequest("the answer is too large; ask for less"))))
        writer.write(frame)
        await writer.drain()


def _make_tell(writer: asyncio.StreamWriter) -> Tell:
    """What tells the other side how far it is, now and then; who does not listen is told nothing more meanwhile."""
    due = 0.0

    def tell(done: int, of: int) -> None:
        nonlocal due
        now = time.monotonic()
        if now >= due and not writer.transport.is_closing() and not writer.transport.get_write_buffer_size():
            due = now + _TOLD_SECONDS
            writer.write(format_progress(done, of))

    return tell


async def _read_frame(reader: asyncio.StreamReader) -> bytes:
    """One frame; nothing of one over the bound is read."""
    (length,) = LENGTH.unpack(await reader.readexactly(LENGTH.size))
    if length > MAX_FRAME_BYTES:
        raise MalformedRequest(f"a request holds at most {MAX_FRAME_BYTES} bytes; this one announces {length}")
    return await reader.readexactly(length)
