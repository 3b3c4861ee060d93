# SPDX-License-Identifier: Apache-2.0
"""Shell: what the first process and a worker say to each other: frames over a pair of sockets that only they have.

A frame is four bytes of length, big-endian, then that many bytes of JSON: a question with its number, a statement
without one, or the answer to a question.

    {"say": "drain", "number": 7, "with": {"agreement": "3f2a…"}}
    {"say": "heard", "number": null, "with": {}}
    {"answer": 7, "with": {}}

Who is at the other side is of this program, so nobody is asked for patience: a frame that was torn, is none, or is over
the bound, and a side that takes nothing any more, end the channel. What its end means is for each side to say.
"""

import asyncio
import contextlib
import json
import logging
import socket
import struct
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from comity.errors import UnavailableError

__all__ = ["MAX_FRAME_BYTES", "MOST_UNANSWERED", "Channel", "Values", "open_channel"]

MAX_FRAME_BYTES = 4 * 1024 * 1024
"""Far above the figures of a node with hundreds of partners, which are the longest frame."""

MOST_UNANSWERED = 4_096
"""Questions under way at one side: more than there are connections that could have led to one."""

_MAX_WAITING_BYTES = 2 * MAX_FRAME_BYTES
_LENGTH = struct.Struct(">I")

Values = dict[str, Any]
Handler = Callable[[str, Values], Awaitable[Values]]

_log = logging.getLogger("comity.workers")


class Channel(asyncio.Protocol):
    """One side. `handle` gives the answer to what the other side says; `lost` is called once, when this has ended."""

    def __init__(self, handle: Handler, lost: Callable[[], None]) -> None:
        self._handle = handle
        self._lost = lost
        self._transport: asyncio.Transport | None = None
        self._received = bytearray()
        self._number = 0
        self._asked: dict[int, asyncio.Future[Values]] = {}
        self._answering: set[asyncio.Task[None]] = set()

    async def ask(self, word: str, **values: Any) -> Values:  # noqa: ANN401 (whatever JSON can say)
        """What the other side answers.

        Raises:
            UnavailableError: the channel has ended, or does before the answer: what became of it is not known.
        """
        if len(self._asked) >= MOST_UNANSWERED:
            raise UnavailableError(f"{MOST_UNANSWERED} questions to another process of this node have no answer yet")
        self._number += 1
        number = self._number
        answer: asyncio.Future[Values] = asyncio.get_running_loop().create_future()
        self._asked[number] = answer
        try:
            self._send({"say": word, "number": number, "with": values})
            return await answer
        finally:
            self._asked.pop(number, None)

    def tell(self, word: str, **values: Any) -> None:  # noqa: ANN401 (whatever JSON can say)
        """Say something that needs no answer. What is said after the end is lost."""
        with contextlib.suppress(UnavailableError):
            self._send({"say": word, "number": None, "with": values})

    def close(self) -> None:
        """End it, once what was said has been handed over."""
        if self._transport is not None:
            self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 (a stream)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Take frames apart, as far as they have come."""
        self._received += data
        while len(self._received) >= _LENGTH.size:
            (length,) = _LENGTH.unpack_from(self._received)
            if length > MAX_FRAME_BYTES:
                self._abort(f"a frame of {length} bytes")
                return
            if len(self._received) < _LENGTH.size + length:
                return
            body = bytes(self._received[_LENGTH.size : _LENGTH.size + length])
            del self._received[: _LENGTH.size + length]
            if not self._take(body):
                self._abort("a frame that is none")
                return

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 (asyncio's signature)
        """Let nobody wait for an answer that will not come."""
        self._transport = None
        for answer in self._asked.values():
            if not answer.done():
                answer.set_exception(UnavailableError("another process of this node has ended"))
        for task in self._answering:
            task.cancel()
        self._lost()

    def _take(self, body: bytes) -> bool:
        """Whether the frame is one of ours; then it is dealt with."""
        try:
            said = json.loads(body)
        except (ValueError, RecursionError):
            return False
        match said:
            case {"answer": int(number), "with": dict(values)}:
                answer = self._asked.get(number)
                if answer is not None and not answer.done():
                    answer.set_result(values)
            case {"say": str(word), "number": int() | None as number, "with": dict(values)}:
                task = asyncio.get_running_loop().create_task(self._answer(word, number, values))
                self._answering.add(task)
                task.add_done_callback(self._answering.discard)
            case _:
                return False
        return True

    async def _answer(self, word: str, number: int | None, values: Values) -> None:
        try:
            answer = await self._handle(word, values)
            if number is not None:
                self._send({"answer": number, "with": answer})
        except UnavailableError:
            return  # the other side has gone meanwhile
        except Exception:  # noqa: BLE001 (whatever it was, the other side waits)
            # Who asked must not wait for ever: the end of the channel is an answer too.
            _log.exception("%s: another process of this node could not be answered", word)
            self._abort("no answer")

    def _send(self, said: Mapping[str, Any]) -> None:
        transport = self._transport
        if transport is None or transport.is_closing():
            raise UnavailableError("another process of this node has ended")
        body = json.dumps(said, separators=(",", ":")).encode()
        if len(body) > MAX_FRAME_BYTES or transport.get_write_buffer_size() > _MAX_WAITING_BYTES:
            self._abort(f"{len(body)} bytes to say, and {transport.get_write_buffer_size()} not taken")
            raise UnavailableError("another process of this node takes nothing any more")
        transport.write(_LENGTH.pack(len(body)) + body)

    def _abort(self, why: str) -> None:
        _log.error("the channel to another process of this node was ended: %s", why)
        if self._transport is not None:
            self._transport.abort()


async def open_channel(connection: socket.socket, handle: Handler, lost: Callable[[], None]) -> Channel:
    """The side of the channel that `connection` is."""
    connection.setblocking(False)  # noqa: FBT003 (the library's own signature)
    _, channel = await asyncio.get_running_loop().create_unix_connection(lambda: Channel(handle, lost), sock=connection)
    return channel
