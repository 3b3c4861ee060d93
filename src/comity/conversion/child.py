# SPDX-License-Identifier: Apache-2.0
"""Shell: one process that converts, asked frame by frame, and what it may use.

A library that reads what others wrote may loop, fill the memory or end the interpreter. It runs in a child that has no
more than `Bounds` gives it; whatever becomes of the child, this process goes on, with one refusal that says so. The
child gets nothing of this process but its standard streams: no file of the node is open there, and it can write none.

A frame is four bytes of length, big-endian, then as many bytes. The child answers each with one. `Child.answer` does
not wait longer than it is told to, so that whoever serves partners can give them turns in between.

A child that is long in getting ready may be asked many times (`serve_frames_apart`): it gets ready by its first frame,
which is of whoever started it, and has each later one read and answered by a process of that frame alone, a copy of
itself. So what one stranger's file does to its reader is gone before the next is read.
"""

import gc
import os
import resource
import select
import selectors
import signal
import struct
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import IO, Self

from comity.errors import MalformedRequest

__all__ = ["Bounds", "Child", "read_frame", "serve_frames", "serve_frames_apart", "write_frame"]

_LENGTH = struct.Struct(">I")
_CHUNK = 1 << 16
_MOST_READ = 1 << 20


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
            process_group=0,
        )
        assert self._process.stdin is not None  # noqa: S101 (it is a pipe)
        self._started_by = os.getpid()
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
        if process.returncode is None and os.getpid() == self._started_by:
            # With what it has started, which is of its group; its number is its own until it is waited for.
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        for stream in (process.stdin, process.stdout):
            if stream is not None:
                stream.close()

    def forget(self) -> None:
        """Leave the process alone: what is a copy of the one that started it has not started it."""
        self._process.returncode = 0
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                stream.close()

    @property
    def ended(self) -> bool:
        """Whether the process is gone."""
        process = self._process
        looked = os.WEXITED | os.WNOHANG | os.WNOWAIT
        return process.returncode is not None or os.waitid(os.P_PID, process.pid, looked) is not None

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
    seconds, most = _begin()
    stdin, stdout = sys.stdin.buffer, sys.stdout.buffer
    sys.stdout = sys.stderr
    while _serve_one(stdin, stdout, respond, seconds=seconds, most=most):
        pass


def serve_frames_apart(prepare: Callable[[bytes], bytes], respond: Callable[[bytes], bytes], *, idle: float) -> None:
    """What such a child's main function does: get ready by the first frame, and have each later one answered apart.

    It ends with its standard input, after `idle` seconds without a frame, and when a process that it started does not
    end well.
    """
    seconds, most = _begin()
    stdin, stdout = sys.stdin.buffer, sys.stdout.buffer
    sys.stdout = sys.stderr
    if not _serve_one(stdin, stdout, prepare, seconds=seconds, most=most):
        return
    # What is ready is in no collection of garbage again: it stays shared with the copies.
    gc.freeze()
    while select.select([stdin], [], [], idle)[0] and (frame := read_frame(stdin)) is not None:
        answer = _answer_apart(frame, respond, stdin, seconds=seconds, most=most)
        if answer is None:
            return
        write_frame(stdout, answer)


def _answer_apart(
    frame: bytes, respond: Callable[[bytes], bytes], stdin: IO[bytes], *, seconds: int, most: int
) -> bytes | None:
    """What a copy of this process answers, which has no stream but its answer; None where it does not end well.

    While it works nothing is asked: when standard input says something, who asked is gone, and the copy goes too.
    """
    reading, writing = os.pipe()
    if (copy := os.fork()) == 0:
        for stream in (0, 1, reading):
            os.close(stream)
        _bound(resource.RLIMIT_CPU, seconds + 1)
        with os.fdopen(writing, "wb") as answered:
            answered.write(respond(frame)[: most + 1])
        os._exit(0)
    os.close(writing)
    answer = bytearray()
    try:
        while stdin.fileno() not in select.select([reading, stdin.fileno()], [], [])[0] and len(answer) <= most + 1:
            if not (chunk := os.read(reading, _MOST_READ)):
                return bytes(answer) if os.waitpid(copy, 0)[1] == 0 else None
            answer += chunk
    finally:
        os.close(reading)
    os.kill(copy, signal.SIGKILL)
    os.waitpid(copy, 0)
    return None


def _begin() -> tuple[int, int]:
    """The seconds for a frame and the bytes of an answer, from where on the other bounds hold."""
    memory, seconds, most = (int(word) for word in sys.argv[1:4])
    _bound(resource.RLIMIT_AS, memory)
    _bound(resource.RLIMIT_FSIZE, 0)
    _bound(resource.RLIMIT_CORE, 0)
    return seconds, most


def _serve_one(
    stdin: IO[bytes], stdout: IO[bytes], respond: Callable[[bytes], bytes], *, seconds: int, most: int
) -> bool:
    if (frame := read_frame(stdin)) is None:
        return False
    used = int(sum(resource.getrusage(resource.RUSAGE_SELF)[:2]))
    _bound(resource.RLIMIT_CPU, used + seconds + 1)
    write_frame(stdout, respond(frame)[: most + 1])
    return True


def _bound(what: int, most: int) -> None:
    _, hard = resource.getrlimit(what)
    kept = most if hard == resource.RLIM_INFINITY else min(most, hard)
    resource.setrlimit(what, (kept, hard))


def read_frame(stream: IO[bytes]) -> bytes | None:
    """The next frame; None at the end of the stream, also within a frame."""
    head = _read_whole(stream, _LENGTH.size)
    return None if head is None else _read_whole(stream, *_LENGTH.unpack(head))


def _read_whole(stream: IO[bytes], size: int) -> bytes | None:
    came = bytearray()
    while len(came) < size:
        if not (chunk := stream.read(min(size - len(came), _MOST_READ))):
            return None
        came += chunk
    return bytes(came)


def write_frame(stream: IO[bytes], frame: bytes) -> None:
    """Write one frame, and all of it."""
    left = memoryview(_LENGTH.pack(len(frame)) + frame)
    while left:
        left = left[stream.write(left) :]
    stream.flush()
