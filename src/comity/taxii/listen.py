# SPDX-License-Identifier: Apache-2.0
"""Shell: the HTTP server under the TAXII application: uvicorn on this process's event loop.

A suspension must know when the last byte of an answer has left this process. uvicorn's transport says so once its write
buffer is set to hold nothing: then every `send` waits until what was written before has been handed to the operating
system, and the empty last part of each answer is that wait. A connection can be dropped by its client's address.
"""

import asyncio
import contextlib
import socket
from collections.abc import Iterator

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from comity.config import Address
from comity.errors import ConfigError
from comity.node.node import Node
from comity.taxii.sends import Sends
from comity.taxii.server import TaxiiApp

__all__ = ["TaxiiServer"]

_BACKLOG = 128
_MAX_CONNECTIONS = 512
_SHUTDOWN_SECONDS = 4


class _Connections:
    """The open connections by the client's address."""

    def __init__(self) -> None:
        self._transports: dict[tuple[str, int], asyncio.Transport] = {}

    def abort(self, client: tuple[str, int]) -> None:
        """Drop the connection and whatever is not yet handed over."""
        transport = self._transports.get(client)
        if transport is not None:
            transport.abort()

    def protocol(self) -> type[HttpToolsProtocol]:
        """A protocol whose transports keep nothing back, registered here while they live."""
        transports = self._transports

        class UnbufferedProtocol(HttpToolsProtocol):
            def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
                transport.set_write_buffer_limits(high=0)
                super().connection_made(transport)
                if self.client is not None:
                    transports[self.client] = transport

            def eof_received(self) -> bool:  # type: ignore[override]
                """Whether the connection stays: a client that has said all it had to say still gets its answer."""
                cycle: RequestResponseCycle | None = self.cycle  # there is none before the first request
                if cycle is None or cycle.response_complete:
                    return False
                cycle.keep_alive = False
                return True

            def connection_lost(self, exc: Exception | None) -> None:
                # The address may already stand for the client's next connection.
                if self.client is not None and transports.get(self.client) is self.transport:
                    del transports[self.client]
                super().connection_lost(exc)

        return UnbufferedProtocol


class _Quiet(uvicorn.Server):
    """uvicorn without its own signal handlers: the command that serves decides when to stop."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.ready = asyncio.Event()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.ready.set()


class TaxiiServer:
    """The node's HTTP server; `queued` is set when a partner's message may have called for an answer."""

    def __init__(self, node: Node, address: Address) -> None:
        self._address = address
        self._connections = _Connections()
        self.queued = asyncio.Event()
        self.app = TaxiiApp(node, abort=self._connections.abort, received=self.queued.set)
        self._server: _Quiet | None = None
        self._task: asyncio.Task[None] | None = None

    @property
    def sends(self) -> Sends:
        """The answers under way."""
        return self.app.sends

    async def start(self) -> Address:
        """The address it listens on, once it does.

        Raises:
            ConfigError: the address cannot be had.
        """
        try:
            listener = socket.create_server(
                (self._address.host, self._address.port),
                family=socket.AF_INET6 if ":" in self._address.host else socket.AF_INET,
                backlog=_BACKLOG,
            )
        except OSError as error:
            named = f"{self._address.host}:{self._address.port}"
            raise ConfigError(f"cannot listen on {named} ({error}); choose another with --listen") from error
        # Its connections inherit it. asyncio sets it too, but not on sockets made without a protocol number. Without it
        # the body of a small answer waits until the client has acknowledged the head, some 40 ms.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        bound = listener.getsockname()
        config = uvicorn.Config(
            self.app,
            http=self._connections.protocol(),
            loop="asyncio",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            # A connection is dropped by the address it has here; what a header says of it must not take its place.
            proxy_headers=False,
            ws="none",
            limit_concurrency=_MAX_CONNECTIONS,
            timeout_graceful_shutdown=_SHUTDOWN_SECONDS,
        )
        self._server = _Quiet(config)
        self._task = asyncio.create_task(self._server.serve(sockets=[listener]))
        await self._server.ready.wait()
        return Address(host=bound[0], port=bound[1])

    async def stop(self) -> None:
        """Answer what was asked, within a few seconds, and listen no more."""
        if self._server is None or self._task is None:
            return
        self._server.should_exit = True
        await self._task
