# SPDX-License-Identifier: Apache-2.0
"""Pollers in a process of their own, which reads whatever comes as fast as it comes.

    python pollers.py PORT PATH SECRET FAST SLOW

FAST connections read at once and ask when they have read. SLOW ones ask for eight answers at once and take 64 kB a
hundred times a second, so that what the operating system holds for them is full and the rest of an answer stays in the
server. For each line that it is given it answers with one: how many bytes of pages it has received so far, how many
whole pages, how many refusals (404), and how many connections were cut.
"""

import json
import selectors
import socket
import sys
import time
from dataclasses import dataclass, field

_PART = 1 << 18
_SLOW_PART, _SLOW_SECONDS, _SLOW_ASKS = 1 << 16, 0.01, 8


@dataclass(slots=True)
class Poller:
    """One connection; `left` are the bytes of the body that are still to come, None while the head is read."""

    connection: socket.socket
    slow: bool
    head: bytearray = field(default_factory=bytearray)
    left: int | None = None
    is_page: bool = False


class Pollers:
    """All of them, and what they have received."""

    def __init__(self, port: int, path: str, secret: str, *, fast: int, slow: int) -> None:
        lines = [f"GET {path} HTTP/1.1", "Host: 127.0.0.1", f"Authorization: Bearer {secret}"]
        self._request = "\r\n".join([*lines, "Accept-Encoding: identity", "", ""]).encode()
        self._port = port
        self._selector = selectors.DefaultSelector()
        self._selector.register(sys.stdin.fileno(), selectors.EVENT_READ)
        self._counts = {"page_bytes": 0, "pages": 0, "refusals": 0, "cut": 0}
        self._buffer = bytearray(_PART)
        self._resting = list[Poller]()
        self._rested_at = time.monotonic()
        for number in range(fast + slow):
            self._open(slow=number >= fast)

    def run(self) -> None:
        """Poll until nobody listens any more."""
        while True:
            for key, _ in self._selector.select(_SLOW_SECONDS if self._resting else None):
                if isinstance(key.data, Poller):
                    self._read(key.data)
                elif not sys.stdin.readline():
                    return
                else:
                    print(json.dumps(self._counts), flush=True)
            if self._resting and time.monotonic() - self._rested_at >= _SLOW_SECONDS:
                self._rested_at = time.monotonic()
                for poller in self._resting:
                    self._selector.register(poller.connection, selectors.EVENT_READ, poller)
                self._resting.clear()

    def _open(self, *, slow: bool) -> None:
        connection = socket.create_connection(("127.0.0.1", self._port))
        connection.sendall(self._request * (_SLOW_ASKS if slow else 1))
        self._selector.register(connection, selectors.EVENT_READ, Poller(connection, slow))

    def _read(self, poller: Poller) -> None:
        try:
            count = poller.connection.recv_into(self._buffer, _SLOW_PART if poller.slow else _PART)
        except ConnectionError:
            count = 0
        if not count:
            self._counts["cut"] += 1
            self._selector.unregister(poller.connection)
            poller.connection.close()
            self._open(slow=poller.slow)
            return
        if poller.slow:
            self._selector.unregister(poller.connection)
            self._resting.append(poller)
        data = memoryview(self._buffer)[:count]
        while data:
            data = self._take(poller, data)

    def _take(self, poller: Poller, data: memoryview) -> memoryview:
        """What of `data` belongs to the next answer; the next request is sent where this one ends."""
        if poller.left is None:
            known = len(poller.head)
            poller.head += data
            end = poller.head.find(b"\r\n\r\n")
            if end < 0:
                return data[len(data) :]
            data = data[end + 4 - known :]
            lines = bytes(poller.head[:end]).lower().split(b"\r\n")
            poller.is_page = b" 200 " in lines[0]
            poller.left = next(int(line[15:]) for line in lines if line.startswith(b"content-length:"))
            poller.head.clear()
        taken = min(poller.left, len(data))
        poller.left -= taken
        self._counts["page_bytes"] += taken if poller.is_page else 0
        if not poller.left:
            self._counts["pages" if poller.is_page else "refusals"] += 1
            poller.left = None
            poller.connection.sendall(self._request)
        return data[taken:]


if __name__ == "__main__":
    Pollers(int(sys.argv[1]), sys.argv[2], sys.argv[3], fast=int(sys.argv[4]), slow=int(sys.argv[5])).run()
