# SPDX-License-Identifier: Apache-2.0
"""Shell: one process that converts, asked frame by frame, and what it may use.

A library that reads what others wrote may loop, fill the memory or end the interpreter. It runs in a child that has no
more than `Bounds` gives it; whatever becomes of the child, this process goes on, with one refusal that says so. The
child gets nothing of this process but its standard streams: no file of the node is open there, and it can write none.

A frame is four bytes of length, big-endian, then as many bytes. The child answers each with one. `Child.answer` does
not wait longer than it is told to, so that whoever serves partners can give them turns in between.
"""

import os
import resource
import selectors
import struct
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import IO, Self

from comity.errors import MalformedRequest

__all__ = ["Bounds", "Child", "read_frame", "serve_frames", "write_frame"]

_LENGTH = struct.Struct(">I")
_CHUNK = 1 << 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """What a child may use: `memory` in bytes of address space, `seconds` for each answer, `answer` in bytes."""

    memory: int
    seconds: int
    answer: int


class Child:
    """A process that runs `module`; a context manager, at whose end the process is gone."""

    def __init__(self, module: str, *, bounds: Bounds) -> None:
        self._bounds = bounds
        self._module = module
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-m", module, str(bounds.memory), str(bounds.seconds), str(bounds.answer)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            bufsize=0,
            cwd="/",
            env={},
        )
        assert self._process.stdin is not None  # noqa: S101 (it is a pipe)
        os.set_blocking(self._process.stdin.fileno(), False)
        self._came = bytearray()
        self._left = memoryview(b"")
        self._ends = 0.0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the process, if it has not ended by itself."""
        process = self._process
        process.kill()
        process.wait()
        for stream in (process.stdin, process.stdout):
            if stream is not None:
                stream.close()

    def ask(self, frame: bytes) -> None:
        """Send one question; `answer` brings what is said to it. One is asked at a time."""
        self._left = memoryview(_LENGTH.pack(len(frame)) + frame)
        self._ends = time.monotonic() + self._bounds.seconds
        self._came.clear()

    def answer(self, *, wait: float) -> bytes | None:
        """What the child says, or None if it has not said it within `wait` seconds.

        Raises:
            MalformedRequest: it ended, took longer than its bound, or says more than it may.
        """
        until, moved = time.monotonic() + wait, False
        while True:
            if (whole := self._find_whole()) is not None:
                return whole
            now = time.monotonic()
            if now > self._ends:
                raise self._refuse(f"it took longer than {self._bounds.seconds} s")
            if now >= until and moved:
                return None
            self._exchange(min(until, self._ends) - now)
            moved = True

    def _find_whole(self) -> bytes | None:
        if len(self._came) < _LENGTH.size:
            return None
        (size,) = _LENGTH.unpack_from(self._came)
        if size > self._bounds.answer:
            raise self._refuse(f"its answer is longer than {self._bounds.answer} bytes")
        end = _LENGTH.size + size
        return bytes(self._came[_LENGTH.size : end]) if len(self._came) >= end else None

    def _exchange(self, wait: float) -> None:
        """Move what can be moved at once, or after at most `wait` seconds."""
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None and stdout is not None  # noqa: S101, PT018 (both are pipes)
        with selectors.DefaultSelector() as selector:
            selector.register(stdout, selectors.EVENT_READ)
            if self._left:
                selector.register(stdin, selectors.EVENT_WRITE)
            for key, _ in selector.select(max(0.0, wait)):
                if key.fileobj is stdout:
                    self._receive(stdout)
                else:
                    self._send(stdin)

    def _receive(self, stdout: IO[bytes]) -> None:
        chunk = stdout.read(_CHUNK)  # unbuffered: what is there, at once
        if not chunk:
            raise self._refuse("it ended before it answered: the file needs more memory or time than one may")
        self._came += chunk

    def _send(self, stdin: IO[bytes]) -> None:
        try:
            sent = os.write(stdin.fileno(), self._left[:_CHUNK])
        except BrokenPipeError as error:
            raise self._refuse("it ended before it was asked") from error
        self._left = self._left[sent:]

    def _refuse(self, reason: str) -> MalformedRequest:
        self.close()
        name = self._module.rpartition(".")[2]
        return MalformedRequest(f"the reader of {name} gave up: {reason}; split the file, or leave this part out")


def serve_frames(respond: Callable[[bytes], bytes]) -> None:
    """What the child's main function does: answer frames of standard input until it ends, within the bounds given.

    Whatever a library prints is thrown away: standard output is for answers alone.
    """
    memory, seconds, most = (int(word) for word in sys.argv[1:4])
    _bound(resource.RLIMIT_AS, memory)
    _bound(resource.RLIMIT_FSIZE, 0)
    _bound(resource.RLIMIT_CORE, 0)
    stdin, stdout = sys.stdin.buffer, sys.stdout.buffer
    sys.stdout = sys.stderr
    while (frame := read_frame(stdin)) is not None:
        used = int(sum(resource.getrusage(resource.RUSAGE_SELF)[:2]))
        _bound(resource.RLIMIT_CPU, used + seconds + 1)
        answer = respond(frame)
        write_frame(stdout, answer[: most + 1])


def _bound(what: int, most: int) -> None:
    _, hard = resource.getrlimit(what)
    kept = most if hard == resource.RLIM_INFINITY else min(most, hard)
    resource.setrlimit(what, (kept, hard))


def read_frame(stream: IO[bytes]) -> bytes | None:
    """The next frame; None at the end of the stream, also within a frame."""
    head = stream.read(_LENGTH.size)
    if len(head) < _LENGTH.size:
        return None
    (size,) = _LENGTH.unpack(head)
    frame = stream.read(size)
    return frame if len(frame) == size else None


def write_frame(stream: IO[bytes], frame: bytes) -> None:
    """Write one frame, and all of it."""
    stream.write(_LENGTH.pack(len(frame)) + frame)
    stream.flush()
