# SPDX-License-Identifier: Apache-2.0
"""Shell: the HTTP servers of a node: uvicorn on this process's event loop, for partners and for the operator.

A suspension must know when the last byte of an answer has left this process. A transport says so once its write buffer
is set to hold nothing: then every `send` waits until what was written before has been handed to the operating system,
and the empty last part of each answer is that wait. `taxii.connections` sets it, and `taxii.tls` makes it true of TLS.
"""

import asyncio
import contextlib
import socket
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import Any

import uvicorn

from comity.config import Address, Limits
from comity.errors import ConfigError
from comity.ids import AgreementId, Digest, Instant, format_instant
from comity.node.figures import read_figures
from comity.node.node import Node
from comity.node.standing import remember_dossiers
from comity.release.facets import forget_facets
from comity.stix.labels import forget_labels
from comity.taxii.access import AccessLog
from comity.taxii.admin import AdminApp, find_problems
from comity.taxii.connections import Connections
from comity.taxii.guard import App, Guard, read_proxy
from comity.taxii.metrics import Counted, Metrics
from comity.taxii.sends import Sends
from comity.taxii.server import TaxiiApp
from comity.taxii.tally import Tally
from comity.taxii.tls import Tls

__all__ = [
    "ADMIN_LIMITS",
    "LAST_SECONDS",
    "SharedListener",
    "Site",
    "TaxiiServer",
    "Together",
    "describe_reload",
    "listen",
]

_BACKLOG = 128
_ONE_AT_A_TIME = 1
_LEAVE_SECONDS = 0.002
"""How long a worker leaves a new connection to others that have fewer, before it takes it all the same."""

ADMIN_LIMITS = Limits(connections=16, stop_seconds=1)
LAST_SECONDS = 2
"""For what is left to do once every connection was cut; then whatever still runs is cancelled."""


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


class Site:
    """One address, and the connections to it that are open."""

    def __init__(self, address: Address, connections: Connections, listener: socket.socket | None = None) -> None:
        self._address = address
        self._connections = connections
        self._listener = listener
        self._server: _Quiet | None = None
        self._task: asyncio.Task[None] | None = None

    @property
    def listening(self) -> bool:
        """Whether new connections are taken."""
        return self._server is not None and self._server.ready.is_set() and not self._server.should_exit

    async def start(self, app: App, *, setting: str) -> Address:
        """The address it listens on, once it does, for `app` to answer.

        Raises:
            ConfigError: the address cannot be had; `setting` is where to choose another.
        """
        listener = self._listener or listen(self._address, setting=setting)
        bound = listener.getsockname()
        limits = self._connections.limits
        config = uvicorn.Config(
            app,
            http=self._connections.make_protocol,  # type: ignore[arg-type] # called with the parameters of a class
            loop="asyncio",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            # A connection is dropped by the address it has here; what a header says of it must not take its place.
            proxy_headers=False,
            ws="none",
            limit_concurrency=limits.connections,
            # From a socket that several processes have, each takes one connection when it gets to it, so that those
            # that come together do not all go to whoever was first.
            backlog=_BACKLOG if self._listener is None else _ONE_AT_A_TIME,
            timeout_keep_alive=limits.idle_seconds,
            timeout_graceful_shutdown=limits.stop_seconds + LAST_SECONDS,
        )
        self._server = _Quiet(config)
        self._task = asyncio.create_task(self._server.serve(sockets=[listener]))
        await self._server.ready.wait()
        listener.listen(_BACKLOG)  # asyncio has given the number above to the operating system too
        return Address(host=bound[0], port=bound[1])

    async def stop(self) -> int:
        """How many connections had to be cut: no more are taken, and answers under way have `stop_seconds` to end."""
        if self._server is None or self._task is None:
            return 0
        self._server.should_exit = True
        await asyncio.wait({self._task}, timeout=self._connections.limits.stop_seconds)
        cut = 0 if self._task.done() else len(self._connections)
        self._connections.abort_all()
        await self._task
        return cut


class SharedListener(socket.socket):
    """A listening socket that several processes accept from: who has more connections than another lets that one.

    All are woken for each new connection, and without this whoever is the quickest would get all that come one by one.
    asyncio takes BlockingIOError for "somebody else has it", and is woken again at once as long as nobody has.
    """

    def __init__(self, handle: int, has_more: Callable[[], bool]) -> None:
        super().__init__(fileno=handle)
        self._has_more = has_more
        self._left_at: float | None = None

    def accept(self) -> tuple[socket.socket, Any]:
        """The next connection, and where it came from.

        Raises:
            BlockingIOError: there is none, or it is left to another process.
        """
        if self._has_more():
            now = time.monotonic()
            if self._left_at is None or now - self._left_at > 2 * _LEAVE_SECONDS:
                self._left_at = now  # what was left before has been taken long since
            if now - self._left_at < _LEAVE_SECONDS:
                raise BlockingIOError
        self._left_at = None
        return super().accept()


@dataclass(frozen=True, slots=True, kw_only=True)
class Together:
    """What one of several processes that serve a node shares with the others; `number` is which worker it is.

    `drain` returns when no answer given under an agreement before an event is under way in any of them; `heard` says
    that a partner's message may have called for an answer.
    """

    listener: socket.socket
    tally: Tally
    number: int
    drain: Callable[[AgreementId, Digest], Awaitable[object]]
    heard: Callable[[], None]


class TaxiiServer:
    """The node's HTTP server; `queued` is set when a partner's message may have called for an answer.

    What else it serves and notes stands in the settings of the node: TLS, limits, an access log, an address for the
    operator.
    """

    def __init__(self, node: Node, address: Address, together: Together | None = None) -> None:
        """Read the files that the settings name. Alone, it is all that serves the node.

        Raises:
            ConfigError: one cannot be used.
        """
        settings = node.settings
        self._node = node
        self._tls = None if settings.tls is None else Tls(settings.tls, node.clock)
        proxy = read_proxy(settings.proxy)
        self._access = None if settings.access_log is None else AccessLog(settings.access_log, node.clock)
        self._together = together
        self._connections = Connections(
            settings.limits,
            tls=self._tls,
            proxy=None if proxy is None else proxy.address,
            elsewhere=None if together is None else together.tally.door(together.number),
        )
        self.queued = asyncio.Event()
        self.app = TaxiiApp(
            node,
            abort=self._connections.abort,
            received=self.queued.set if together is None else together.heard,
            drain=None if together is None else together.drain,
            gather=self._connections.gather,
        )
        self._connections.said_all = self.app.waits.hang_up
        self._metrics = Metrics(
            lambda: read_figures(node),
            connections=lambda: len(self._connections),
            certificate_expires_at=self._find_certificate_expiry,
            held=lambda: self.app.bodies.held,
        )
        self._proxy = proxy
        self._site = Site(address, self._connections, None if together is None else together.listener)
        self._admin = None if settings.admin is None else Site(settings.admin, Connections(ADMIN_LIMITS))

    @property
    def sends(self) -> Sends:
        """The answers under way."""
        return self.app.sends

    @property
    def encrypted(self) -> bool:
        """Whether it speaks TLS."""
        return self._tls is not None

    async def start(self) -> Address:
        """The address it listens on for partners, once it does, and for the operator too.

        Raises:
            ConfigError: an address cannot be had.
        """
        remember_dossiers(self._node)
        if self._admin is not None:
            admin = AdminApp(self._metrics, self._find_problems)
            await self._admin.start(admin, setting="another as admin in node.toml")
        observers = [self._metrics.observe, *([] if self._access is None else [self._access.write])]
        limits = self._connections.limits
        if self._together is None:
            guard = Guard(self.app, limits, observers=observers, proxy=self._proxy)
        else:
            shelve = self._together.tally.shelve
            guard = Guard(self.app, limits, observers=observers, proxy=self._proxy, shelve=shelve)
        return await self._site.start(guard, setting="another with --listen")

    async def drain(self, agreement: AgreementId) -> None:
        """Return when no answer given under `agreement` is under way in this process."""
        await self.sends.drain(agreement)

    async def forget(self) -> None:
        """Have nothing of any object in memory: no page, and no words of a label."""
        self._node.pages.clear()
        forget_labels()
        forget_facets()

    def count_requests(self) -> Counted:
        """What this process has counted of requests."""
        return self._metrics.count_requests()

    async def reload(self) -> list[str]:
        """What was done, a sentence each: the certificate taken anew, the access log begun anew.

        Raises:
            ConfigError: a file cannot be used; the one before stays in use. What came before it was done.
        """
        if self._access is not None:
            self._access.reopen()
        if self._tls is not None:
            self._tls.reload()
        return describe_reload(access_log=self._access is not None, tls=self._tls)

    async def stop(self) -> int:
        """How many connections had to be cut: answer what was asked, within `stop_seconds`, and listen no more."""
        self.app.waits.close()
        cut = await self._site.stop()
        if self._admin is not None:
            await self._admin.stop()
        if self._access is not None:
            self._access.close()
        return cut

    def _find_problems(self) -> list[str]:
        """Why partners cannot be served now."""
        listens = [] if self._site.listening else ["it does not listen for partners"]
        return listens + find_problems(self._node, certificate_expires_at=self._find_certificate_expiry())

    def _find_certificate_expiry(self) -> Instant | None:
        return None if self._tls is None else self._tls.certificate.expires_at


def describe_reload(*, access_log: bool, tls: Tls | None) -> list[str]:
    """What was done, a sentence each, when the files in the settings were taken anew."""
    done = ["the access log goes on in the file of that name"] if access_log else []
    if tls is not None:
        expires_at = format_instant(tls.certificate.expires_at)
        done.append(f"new connections get the certificate that is good until {expires_at}")
    return done


def listen(address: Address, *, setting: str) -> socket.socket:
    """A socket that listens there, not yet accepted from.

    Raises:
        ConfigError: the address cannot be had; `setting` is where to choose another.
    """
    try:
        listener = socket.create_server(
            (address.host, address.port),
            family=socket.AF_INET6 if ":" in address.host else socket.AF_INET,
            backlog=_BACKLOG,
        )
    except OSError as error:
        named = f"{address.host}:{address.port}"
        raise ConfigError(f"cannot listen on {named} ({error}); choose {setting}") from error
    # Its connections inherit it. asyncio sets it too, but not on sockets made without a protocol number. Without it the
    # body of a small answer waits until the client has acknowledged the head, some 40 ms.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener
