# SPDX-License-Identifier: Apache-2.0
"""A node served over real HTTP: the server on an event loop in a thread of its own, requests as bytes on a socket."""

import asyncio
import base64
import socket
import ssl
import threading
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, TypeVar, cast

from comity.config import Address, Limits
from comity.node.node import Node
from comity.store import SqliteStore
from comity.taxii.listen import TaxiiServer

__all__ = ["Served", "basic", "bearer", "format_request", "read_all", "without_date"]

_T = TypeVar("_T")
_SECONDS = 120.0
"""For whatever has to come true, on a machine that has other work."""

UNLIMITED = Limits(
    requests_per_second=10**9, bytes_per_minute=2**50, unknown_per_minute=10**9, unknown_total_per_minute=10**9
)
"""What is asked in a test, and how fast, must not decide what is answered."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """A node that is being served. Whatever a test does to the node it does by `call`: a node lives on one thread.

    What reads the store alone may do so from the test's thread: the server's loop stands still meanwhile.
    """

    node: Node
    server: TaxiiServer
    host: str
    port: int
    loop: asyncio.AbstractEventLoop

    @classmethod
    @contextmanager
    def start(cls, node: Node) -> Iterator["Served"]:
        """Serve until the block ends; without limits on who asks, unless the node's settings have unusual ones."""
        if node.settings.limits == Limits():
            node.settings = replace(node.settings, limits=UNLIMITED)
        loop = asyncio.new_event_loop()
        thread = threading.Thread(target=loop.run_forever, name="served")
        thread.start()
        store = node.store
        node.store = cast("SqliteStore", _BetweenRequests(store, loop, thread))
        try:
            server = _run(loop, _make(node))
            address = _run(loop, server.start())
            try:
                yield cls(node=node, server=server, host=address.host, port=address.port, loop=loop)
            finally:
                _run(loop, server.stop())
        finally:
            loop.call_soon_threadsafe(loop.stop)
            thread.join(_SECONDS)
            loop.close()
            node.store = store

    @property
    def url(self) -> str:
        """Where it is, without a last slash."""
        return f"{'https' if self.server.encrypted else 'http'}://{self.host}:{self.port}"

    def call(self, act: Callable[[], _T]) -> _T:
        """What `act` gives, run on the server's loop, between two requests."""

        async def run() -> _T:
            return act()

        return self.run(run())

    def run(self, awaitable: Awaitable[_T]) -> _T:
        """What `awaitable` gives on the server's loop, while requests go on."""
        return _run(self.loop, awaitable)

    def open(self, *, receive_buffer: int | None = None) -> socket.socket:
        """A connection to the server, through TLS where it speaks that; whose certificate it shows is not looked at."""
        connection = self.open_raw(receive_buffer=receive_buffer)
        if not self.server.encrypted:
            return connection
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        return context.wrap_socket(connection)

    def open_raw(self, *, receive_buffer: int | None = None) -> socket.socket:
        """A TCP connection to the server."""
        connection = socket.socket()
        connection.settimeout(_SECONDS)
        if receive_buffer is not None:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        connection.connect((self.host, self.port))
        return connection

    def ask(self, method: str, path: str, *, headers: Mapping[str, str] | None = None, body: bytes = b"") -> bytes:
        """The whole answer as it came over the wire, status line to last byte."""
        with self.open() as connection:
            connection.sendall(format_request(method, path, headers={"Connection": "close", **(headers or {})}) + body)
            return read_all(connection)


class _BetweenRequests:
    """The store of a node that is being served: from another thread it is used while the server's loop stands still.

    Used by both at once it would fail now and then, and tell nothing of either.
    """

    def __init__(self, store: SqliteStore, loop: asyncio.AbstractEventLoop, thread: threading.Thread) -> None:
        self._store, self._loop, self._owner = store, loop, thread

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 (whatever a store has)
        found = getattr(self._store, name)
        if threading.current_thread() is self._owner or not callable(found):
            return found
        if name in {"read", "write"}:
            return partial(self._begin, found)
        return partial(self._ask, found)

    @contextmanager
    def _begin(self, begin: Callable[..., AbstractContextManager[Any]], *arguments: Any) -> Iterator[Any]:  # noqa: ANN401
        with self._still(), begin(*arguments) as transaction:
            yield transaction

    def _ask(self, ask: Callable[..., Any], *arguments: Any, **named: Any) -> Any:  # noqa: ANN401
        with self._still():
            return ask(*arguments, **named)

    @contextmanager
    def _still(self) -> Iterator[None]:
        begun, ended, owner = threading.Event(), threading.Event(), self._owner

        def stand() -> None:
            begun.set()
            ended.wait(_SECONDS)

        self._loop.call_soon_threadsafe(stand)
        assert begun.wait(_SECONDS), "the server's loop does not come to stand still"
        self._owner = threading.current_thread()
        try:
            yield
        finally:
            self._owner = owner
            ended.set()


def format_request(method: str, path: str, *, headers: Mapping[str, str]) -> bytes:
    """The head of a request, with the headers given and no others but Host."""
    lines = [f"{method} {path} HTTP/1.1", "Host: node.example", *(f"{name}: {text}" for name, text in headers.items())]
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


def read_all(connection: socket.socket) -> bytes:
    """Everything until the other side ends or drops the connection."""
    received = bytearray()
    while True:
        try:
            part = connection.recv(1 << 16)
        except (ConnectionResetError, ssl.SSLEOFError):
            part = b""
        if not part:
            return bytes(received)
        received += part


def without_date(answer: bytes) -> bytes:
    """The answer without its Date line, which nobody can keep equal."""
    head, separator, body = answer.partition(b"\r\n\r\n")
    kept = [line for line in head.split(b"\r\n") if not line.lower().startswith(b"date:")]
    return b"\r\n".join(kept) + separator + body


def basic(user: str, password: str) -> dict[str, str]:
    """The header of HTTP Basic (RFC 7617)."""
    return {"Authorization": "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()}


def bearer(token: str) -> dict[str, str]:
    """The header of a bearer token (RFC 6750)."""
    return {"Authorization": f"Bearer {token}"}


async def _make(node: Node) -> TaxiiServer:
    return TaxiiServer(node, Address(host="127.0.0.1", port=0))


def _run(loop: asyncio.AbstractEventLoop, awaitable: Awaitable[_T]) -> _T:
    async def wait() -> _T:
        return await awaitable

    return asyncio.run_coroutine_threadsafe(wait(), loop).result(_SECONDS)
