# SPDX-License-Identifier: Apache-2.0
"""Shell: the open connections: how many there may be, how long a request may take to arrive, and which to cut.

uvicorn knows how long a connection may be idle and how many there may be in all. What it does not know stands here: how
many from one address, a deadline for the TLS handshake and for the head and the body of a request, bounds on the head,
on what stands between and behind the pieces of a body, and on how many requests wait behind one that is being answered.
Who is over any of these is cut without a word.

Where several processes serve one node, both counts are those of all of them (`Elsewhere`). Two that admit at the same
moment do not see each other: there can be one connection too many for each further process.
"""

import asyncio
from collections import Counter
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Protocol

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from comity.config import Limits
from comity.taxii.gathering import GatheringTransport
from comity.taxii.rates import find_neighbourhood, is_loopback
from comity.taxii.tls import Tls

__all__ = ["MAX_HEADERS", "MAX_HEAD_BYTES", "MAX_PIPELINED", "Connections", "Elsewhere"]

MAX_HEAD_BYTES = 512 * 1024
"""A request line with the longest query, and headers; well over the 256 KiB that asyncio reads at once."""

MAX_HEADERS = 1_024
"""Each costs some thirty times the four bytes that it can be sent in."""

MAX_PIPELINED = 16
"""Requests that wait behind the one that is being answered; 18 bytes make one, and some 4 KB are kept of it."""

_OVERFLOW = 64
"""How many connections over the limit are let in, to be told so by a 503."""


class Elsewhere(Protocol):
    """The connections that other processes of this node have, and where to say which this one has."""

    def put(self, neighbourhood: str, count: int, *, total: int) -> None:
        """Say how many this process has, from one neighbourhood and in all."""

    def count_elsewhere(self, neighbourhood: str) -> tuple[int, int]:
        """Those of all other processes, and those among them from one neighbourhood."""

    def total_elsewhere(self) -> int:
        """Those of all other processes."""


class Connections:
    """The open connections. From the address of the proxy any number may come.

    Where no proxy is named, that is every address of this machine: one may be there all the same, and then all clients
    have its address.
    """

    def __init__(
        self, limits: Limits, *, tls: Tls | None = None, proxy: str | None = None, elsewhere: Elsewhere | None = None
    ) -> None:
        self.limits = limits
        self._elsewhere = elsewhere
        self._tls = tls
        self._proxy = proxy
        self._open: set[asyncio.Transport] = set()
        self._by_neighbourhood: Counter[str] = Counter()
        self._transports: dict[tuple[str, int], GatheringTransport] = {}
        self.said_all: Callable[[tuple[str, int]], None] = _let_be
        """Told of a client that will say nothing more, and may have gone, while its request is being answered."""

    def __len__(self) -> int:
        return len(self._open)

    def abort(self, client: tuple[str, int]) -> None:
        """Drop the connection and whatever is not yet handed over."""
        transport = self._transports.get(client)
        if transport is not None:
            transport.abort()

    def gather(self, client: tuple[str, int]) -> AbstractContextManager[Any]:
        """What is written to the connection in the block is handed over at its end, as far as it is taken."""
        return self._transports.get(client) or nullcontext()

    def abort_all(self) -> None:
        """Drop every connection and whatever is not yet handed over."""
        for transport in list(self._open):
            transport.abort()

    def make_protocol(self, **given: Any) -> asyncio.BaseProtocol:  # noqa: ANN401 (uvicorn's own parameters)
        """A protocol for a connection that was just accepted; uvicorn calls this in place of a class."""
        protocol = BoundedProtocol(self, **given)
        if self._tls is None:
            return protocol
        return self._tls.wrap(protocol, self, handshake_seconds=self.limits.head_seconds)

    def admit(self, transport: asyncio.Transport) -> bool:
        """Whether a new connection may stay."""
        address = _find_address(transport)
        neighbourhood = find_neighbourhood(address)
        mine = self._by_neighbourhood[neighbourhood]
        others, near = (0, 0) if self._elsewhere is None else self._elsewhere.count_elsewhere(neighbourhood)
        shared = is_loopback(address) if self._proxy is None else address == self._proxy
        if len(self._open) + others >= self.limits.connections + _OVERFLOW or (
            mine + near >= self.limits.connections_per_address and not shared
        ):
            return False
        self._open.add(transport)
        self._count(neighbourhood, mine + 1)
        return True

    def find_room(self) -> int:
        """How many connections may be open here, so that those of all processes are not too many; at least one."""
        others = 0 if self._elsewhere is None else self._elsewhere.total_elsewhere()
        return max(1, self.limits.connections - others)

    def closed(self, transport: asyncio.Transport) -> None:
        """Take note that a connection is gone, admitted or not."""
        if transport not in self._open:
            return
        self._open.discard(transport)
        neighbourhood = find_neighbourhood(_find_address(transport))
        self._count(neighbourhood, self._by_neighbourhood[neighbourhood] - 1)

    def _count(self, neighbourhood: str, count: int) -> None:
        self._by_neighbourhood[neighbourhood] = count
        if not count:
            del self._by_neighbourhood[neighbourhood]
        if self._elsewhere is not None:
            self._elsewhere.put(neighbourhood, count, total=len(self._open))

    def enter(self, client: tuple[str, int], transport: GatheringTransport) -> None:
        """Know the transport of a connection, which is ready for requests, by its client's address."""
        self._transports[client] = transport

    def leave(self, client: tuple[str, int], transport: GatheringTransport) -> None:
        """Know it no more. The address may already stand for the client's next connection."""
        if self._transports.get(client) is transport:
            del self._transports[client]

    @property
    def encrypted(self) -> bool:
        """Whether the connections carry TLS."""
        return self._tls is not None


class _OverBoundError(Exception):
    """Raised inside the parser, so that it stops at once: a connection that was cut is not read on."""


class BoundedProtocol(HttpToolsProtocol):
    """uvicorn's protocol on a transport that keeps nothing back, with deadlines for what the client has to send."""

    def __init__(self, connections: Connections, **given: Any) -> None:  # noqa: ANN401 (uvicorn's own parameters)
        super().__init__(**given)
        self._connections = connections
        self._beneath: asyncio.Transport | None = None
        self._due: float | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._head_bytes = 0
        self._in_body = False
        self._gets_on = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Wait for the first request, if the connection may be there."""
        if not self._connections.encrypted and not self._connections.admit(transport):
            self.transport = transport
            transport.abort()
            return
        self._beneath, gathering = transport, GatheringTransport(transport)
        super().connection_made(gathering)  # type: ignore[arg-type] # it does what uvicorn asks of a transport
        # asyncio's TLS layer says also of an empty buffer that it has reached a limit of 0, and what it has still to
        # send of the handshake counts: only from here on is there somebody to be told.
        transport.set_write_buffer_limits(high=1 if self._connections.encrypted else 0, low=0)
        self._expect(self._connections.limits.head_seconds)
        if self.client is not None:
            self._connections.enter(self.client, gathering)

    def eof_received(self) -> bool:  # type: ignore[override]
        """Whether the connection stays: a client that has said all it had to say still gets its answer.

        Not through TLS: asyncio ends it there, and would warn of each that was to stay.
        """
        cycle: RequestResponseCycle | None = self.cycle  # there is none before the first request
        if cycle is None or cycle.response_complete or self._connections.encrypted:
            return False
        if cycle.more_body and not self.pipeline:
            # The rest of the request can never come. What is answered before it has its own cycle in front of it.
            return False
        cycle.keep_alive = False
        if self.client is not None:
            self._connections.said_all(self.client)
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        self._expect(None)
        if self._timer is not None:
            self._timer.cancel()
        if self._beneath is not None and self.client is not None:
            self._connections.leave(self.client, self.transport)  # type: ignore[arg-type] # as in connection_made
        if self._beneath is not None and not self._connections.encrypted:
            self._connections.closed(self._beneath)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take bytes of a request. The first one after a whole request begins the time that the next one has."""
        if self._due is None:
            self._expect(self._connections.limits.head_seconds)
        self._gets_on = False
        super().data_received(data)
        # What came with the end of a head, or with a piece of a body, is no longer counted: the parser has taken it.
        # What stands between those pieces and behind them (RFC 9112 §7.1) is bounded as a head is.
        self._head_bytes = 0 if self._gets_on or self._due is None else self._head_bytes + len(data)
        if self._head_bytes > MAX_HEAD_BYTES:
            self.transport.abort()

    def send_400_response(self, msg: str) -> None:
        """Say that this is no HTTP; but nothing is written into an answer that is under way, nor after a cut."""
        cycle: RequestResponseCycle | None = self.cycle
        begun = cycle is not None and cycle.response_started and not cycle.response_complete
        if self.transport.is_closing() or begun or self.pipeline:
            self.transport.abort()
        else:
            super().send_400_response(msg)

    def on_message_begin(self) -> None:
        """Begin the time for the head of a request, also of one that came in one piece with the one before."""
        if len(self.pipeline) >= MAX_PIPELINED:
            self._cut_short()
        if self._due is None:
            self._expect(self._connections.limits.head_seconds)
        super().on_message_begin()

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header. Fields behind a body are dropped (RFC 9110 §6.5.1): by then who asks has been decided."""
        if self._in_body:
            return
        if len(self.headers) >= MAX_HEADERS:
            self._cut_short()
        super().on_header(name, value)

    def on_body(self, body: bytes) -> None:
        """Take a piece of a body."""
        self._gets_on = True
        super().on_body(body)

    def on_headers_complete(self) -> None:
        """Begin the time for the body."""
        self._in_body = self._gets_on = True
        self._expect(self._connections.limits.body_seconds)
        self.limit_concurrency = self._connections.find_room()
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """Wait for nothing: the whole request is here."""
        self._in_body = False
        self._expect(None)
        super().on_message_complete()

    def _cut_short(self) -> None:
        """Cut the connection in the middle of what was read of it."""
        self.transport.abort()
        raise _OverBoundError

    def _expect(self, seconds: float | None) -> None:
        """Cut the connection unless what is expected has come by then; None expects nothing.

        One timer looks at what is due when it rings, so that a request that comes in time costs none.
        """
        if seconds is None:
            self._due = None
            return
        self._due = self.loop.time() + seconds
        if self._timer is None or self._timer.when() > self._due:
            self._set_timer(self._due)

    def _set_timer(self, at: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self.loop.call_at(at, self._look)

    def _look(self) -> None:
        """Drop a client that is late, unless this side has stopped reading: then it may have sent everything."""
        self._timer = None
        if self._due is None:
            return
        if self._due > self.loop.time():
            self._set_timer(self._due)
        elif self.flow.read_paused:
            self._expect(self._connections.limits.body_seconds)
        else:
            self.transport.abort()


def _let_be(_: tuple[str, int]) -> None:
    """What is done about a client that has said all, where nothing waits."""


def _find_address(transport: asyncio.Transport) -> str:
    peer = transport.get_extra_info("peername")
    return str(peer[0]) if peer else ""
