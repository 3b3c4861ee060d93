# SPDX-License-Identifier: Apache-2.0
"""A wire between two ends that looks at the sender's store before it lets a byte pass.

It takes connections and hands their bytes on to where they were meant for. Before the first byte of what either end
sends is handed on, the store of that end is read by a connection of the wire's own, as any other process would read it:
what is not committed at that moment is not seen. So what was sent can be held against what was on record then.
"""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import apsw

__all__ = ["Message", "Moment", "Wire"]

_SECONDS = 120.0


@dataclass(frozen=True, slots=True)
class Moment:
    """What of a store was committed when a byte came: log entries, its heads and those it witnessed.

    A head is named by the origin and the size in it.
    """

    entries: int
    heads: frozenset[tuple[str, int]]
    witnessed: frozenset[tuple[str, int]]

    @classmethod
    def read(cls, folder: Path) -> "Moment":
        connection = apsw.Connection(f"file:{folder / 'store.db'}?mode=ro", flags=apsw.SQLITE_OPEN_READONLY | 0x40)
        try:
            connection.set_busy_timeout(5_000)
            with connection:
                ((entries,),) = connection.execute("SELECT COUNT(*) FROM log_entry")
                heads, witnessed = (
                    frozenset(_name_head(note) for (note,) in connection.execute(f"SELECT checkpoint FROM {table}"))
                    for table in ("log_head", "witnessed_head")
                )
        finally:
            connection.close()
        return cls(entries, heads, witnessed)


def _name_head(note: bytes) -> tuple[str, int]:
    origin, size, _ = note.decode().split("\n", 2)
    return origin, int(size)


@dataclass(slots=True)
class Message:
    """One HTTP message as it passed, and the moment at which its first byte came."""

    moment: Moment
    head: bytes = b""
    body: bytes = b""

    @property
    def line(self) -> str:
        return self.head.split(b"\r\n", 1)[0].decode()

    @property
    def status(self) -> int:
        return int(self.line.split()[1])

    def header(self, name: str) -> str:
        found = [line.partition(b":")[2] for line in self.head.split(b"\r\n") if line.lower().startswith(name.encode())]
        return found[0].strip().decode() if found else ""


@dataclass(slots=True)
class _Stream:
    """What one end sends over one connection: with the places at which a look was taken at its store."""

    folder: Path | None
    data: bytearray = field(default_factory=bytearray)
    looks: list[tuple[int, Moment]] = field(default_factory=list)

    def take(self, part: bytes) -> None:
        if self.folder is not None:
            self.looks.append((len(self.data), Moment.read(self.folder)))
        self.data += part

    def messages(self) -> Iterator[Message]:
        """The whole HTTP messages in it; each has a Content-Length, or no body."""
        start = 0
        while self.looks and (end := self.data.find(b"\r\n\r\n", start)) >= 0:
            # The look that was taken with its first byte: the last one at or before it.
            moment = [moment for place, moment in self.looks if place <= start][-1]
            message = Message(moment, bytes(self.data[start:end]))
            start = end + 4
            length = int(message.header("content-length") or 0)
            message.body = bytes(self.data[start : start + length])
            start += length
            yield message


class Wire:
    """A listener in front of `address`, between a caller whose store is in `calls` and the node of `answers`."""

    def __init__(self, address: tuple[str, int], *, calls: Path | None = None, answers: Path | None = None) -> None:
        self._address, self._calls, self._answers = address, calls, answers
        self._streams = list[tuple[_Stream, _Stream]]()
        self._threads = list[threading.Thread]()
        self._sockets = list[socket.socket]()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.settimeout(0.1)
        self._stopping = False
        self.problems = list[str]()

    @classmethod
    @contextmanager
    def before(cls, url: str, *, calls: Path | None = None, answers: Path | None = None) -> Iterator["Wire"]:
        """A wire to the node at `url`, until the block ends."""
        host, _, port = url.removeprefix("http://").partition(":")
        wire = cls((host, int(port)), calls=calls, answers=answers)
        accepting = threading.Thread(target=wire._accept, daemon=True)
        accepting.start()
        try:
            yield wire
        finally:
            wire._stopping = True
            accepting.join(_SECONDS)
            wire._listener.close()
            for each in wire._sockets:  # a connection that is kept open would be waited for
                with suppress(OSError):
                    each.shutdown(socket.SHUT_RDWR)
            for thread in wire._threads:
                thread.join(_SECONDS)
                assert not thread.is_alive()
            for each in wire._sockets:
                each.close()
        assert not wire.problems, wire.problems

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    def asked(self) -> list[Message]:
        """What callers have sent, connection by connection."""
        return [message for there, _ in self._streams for message in there.messages()]

    def answered(self) -> list[Message]:
        """What they were answered."""
        return [message for _, back in self._streams for message in back.messages()]

    def _accept(self) -> None:
        while not self._stopping:
            with suppress(TimeoutError):
                caller, _ = self._listener.accept()
                caller.settimeout(_SECONDS)
                beyond = socket.create_connection(self._address, timeout=_SECONDS)
                there, back = _Stream(self._calls), _Stream(self._answers)
                self._streams.append((there, back))
                self._sockets += [caller, beyond]
                for source, target, stream in ((caller, beyond, there), (beyond, caller, back)):
                    thread = threading.Thread(target=self._hand_on, args=(source, target, stream), daemon=True)
                    self._threads.append(thread)
                    thread.start()

    def _hand_on(self, source: socket.socket, target: socket.socket, stream: _Stream) -> None:
        try:
            while part := source.recv(1 << 16):
                stream.take(part)
                target.sendall(part)
        except (ConnectionError, TimeoutError):
            pass
        except apsw.Error as error:
            self.problems.append(repr(error))
        finally:
            with suppress(OSError):
                target.shutdown(socket.SHUT_WR)
