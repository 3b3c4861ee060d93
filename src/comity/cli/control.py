# SPDX-License-Identifier: Apache-2.0
"""Shell: asking the process that serves: the control socket, its frames, and the asking side.

One connection carries one request and one answer, each a frame: eight bytes of length, big-endian, then that many bytes
of JSON. Who asks for it, by "tell": true, is told before the answer how far the work is, by frames of their own. The
socket is `control.sock` in the folder of the node, and only its owner can open it (mode 0600): the file system decides
who may ask, as it decides who may read the keys.

    request   {"operation": "agreement.status", "arguments": {"id": "3f2a"}}
    told      {"done": 1048576, "of": 8388608}
    answer    {"code": 0, "result": {…}, "error": null}

A socket that nobody listens on is a leaving of a process that was killed, and means the same as none. Whether the store
is free is not asked here: the lock on it decides.
"""

import json
import os
import socket
import struct
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from comity.errors import MalformedRequest, UnavailableError
from comity.node.steps import Tell, tell_nobody
from comity.operations.reply import Json, Reply, parse_reply

__all__ = [
    "LENGTH",
    "MAX_FRAME_BYTES",
    "SOCKET_NAME",
    "ask",
    "format_frame",
    "format_progress",
    "named",
    "parse_request",
]

SOCKET_NAME = "control.sock"

MAX_FRAME_BYTES = 96 * 1024 * 1024
"""A file of 64 MiB in base64, and what goes with it."""

LENGTH = struct.Struct(">Q")

_MOST_PROGRESS = 100
_CONNECT_SECONDS = 5.0
_ANSWER_SECONDS = 600.0
"""Far above the longest act; a process that is stopped or stuck must not keep a script waiting for ever."""


@contextmanager
def named(folder: Path) -> Iterator[str]:
    """A short name for the socket in `folder`, whose own may be over the 107 bytes a socket may have (unix(7))."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{handle}/{SOCKET_NAME}"
    finally:
        os.close(handle)


def format_frame(body: bytes) -> bytes:
    """`body` behind its length.

    Raises:
        MalformedRequest: it is over the bound.
    """
    if len(body) > MAX_FRAME_BYTES:
        raise MalformedRequest(f"the command comes to {len(body)} bytes; at most {MAX_FRAME_BYTES} can be handed over")
    return LENGTH.pack(len(body)) + body


def parse_request(body: bytes) -> tuple[str, dict[str, Json], bool]:
    """The operation, its arguments, and whether to tell how far it is.

    Raises:
        MalformedRequest: not of that form.
    """
    try:
        match json.loads(body):
            case {"operation": str(operation), "arguments": dict(arguments), "tell": True, **rest} if not rest:
                return operation, arguments, True
            case {"operation": str(operation), "arguments": dict(arguments), **rest} if not rest:
                return operation, arguments, False
    except (ValueError, RecursionError):
        pass
    raise MalformedRequest('a request is a JSON object {"operation": "…", "arguments": {…}}')


def format_progress(done: int, of: int) -> bytes:
    """What who asked for it is told before the answer."""
    return format_frame(json.dumps({"done": done, "of": of}).encode())


def ask(
    folder: Path,
    operation: str,
    arguments: Mapping[str, Json],
    *,
    seconds: float = _ANSWER_SECONDS,
    tell: Tell | None = None,
) -> Reply | None:
    """What the process serving `folder` answers within `seconds`; None when there is no such process.

    `tell` is told meanwhile how much of how much is done, where the work has a measure; then the seconds begin anew.

    Raises:
        MalformedRequest: the request is over the bound.
        UnavailableError: the process took the request and did not answer: what became of it is not known.
    """
    asked = {"operation": operation, "arguments": arguments, **({} if tell is None else {"tell": True})}
    frame = format_frame(json.dumps(asked).encode())
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(_CONNECT_SECONDS)
        try:
            with named(folder) as name:
                connection.connect(name)
        except (FileNotFoundError, NotADirectoryError, ConnectionRefusedError, BlockingIOError, TimeoutError):
            return None
        except PermissionError as error:
            raise UnavailableError(
                f"{folder / SOCKET_NAME} belongs to another user; run the command as the user who serves this node"
            ) from error
        connection.settimeout(seconds)
        return parse_reply(_exchange(connection, frame, tell or tell_nobody))


def _exchange(connection: socket.socket, frame: bytes, tell: Tell) -> bytes:
    try:
        # A request can be refused half-way, with an answer that says why and can still be read.
        with suppress(BrokenPipeError, ConnectionResetError):
            connection.sendall(frame)
        return _wait_for_answer(connection, tell)
    except OSError as error:
        raise UnavailableError(
            f"the serving process took the command but did not answer ({error}); it may have been done: look before you"
            " do it again"
        ) from error


def _wait_for_answer(connection: socket.socket, tell: Tell) -> bytes:
    while (told := _read_progress(frame := _read_frame(connection))) is not None:
        tell(*told)
    return frame


def _read_frame(connection: socket.socket) -> bytes:
    (length,) = LENGTH.unpack(_read_exactly(connection, LENGTH.size))
    if length > MAX_FRAME_BYTES:
        raise UnavailableError(f"the serving process announced an answer of {length} bytes; it was not read")
    return _read_exactly(connection, length)


def _read_progress(frame: bytes) -> tuple[int, int] | None:
    """How much of how much is done, if that is what the frame says: else it is the answer."""
    if len(frame) > _MOST_PROGRESS:
        return None
    try:
        match json.loads(frame):
            case {"done": int(done), "of": int(of), **rest} if not rest:
                return done, of
    except (ValueError, RecursionError):
        pass
    return None


def _read_exactly(connection: socket.socket, count: int) -> bytes:
    data = bytearray()
    while len(data) < count:
        part = connection.recv(min(count - len(data), 1 << 20))
        if not part:
            raise ConnectionResetError("it closed the connection")
        data += part
    return bytes(data)
