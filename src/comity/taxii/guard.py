# SPDX-License-Identifier: Apache-2.0
"""Shell: an ASGI layer around the application: how much each asker may take, and what is noted of each request.

A party that asks too much is told so: 429 with `Retry-After`, for it is known here anyway. Who is not known is told
nothing: whoever has shown too often what this node does not know is answered as if it had shown nothing, so by the very
same bytes, and nothing of what it shows is looked at. Three are let through all the same, so that a flood does not keep
partners out: a credential that was good within the last hour, and, where only the limit for all together is reached,
an address from which a party came within the last hour. Where no proxy is named, addresses of this machine have no
limit of their own: a proxy may be there all the same, and then all who ask have its address.

    application  tells the `Visit` of a request which party it is (`Visit.admit`, which may refuse) and what was asked
    Guard        tells every observer (`taxii.access`, `taxii.metrics`) of the visit when its answer has ended

Not here: connections and their deadlines (`taxii.connections`), and how long an answer may take (`taxii.sends`).
"""

import hashlib
import hmac
import math
import time
from collections.abc import Awaitable, Callable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

from comity.config import Limits, Proxy
from comity.errors import ConfigError, RateLimited
from comity.ids import PartyId
from comity.taxii import wire
from comity.taxii.rates import Bucket, Buckets, OwnShelf, Shelf, find_neighbourhood, is_loopback

__all__ = ["SHELVES", "VISIT", "Guard", "Observer", "TrustedProxy", "Visit", "read_proxy"]

VISIT = "comity.visit"
"""Where the visit stands in the scope of a request."""

SHELVES = ("requests", "octets", "outsiders", "together", "messages", "credentials", "addresses")
"""What is counted, or remembered, for each of many takers."""

PROXY_SECRET_HEADER = "x-comity-proxy"  # noqa: S105 (the name of a header)
PROXY_ADDRESS_HEADER = "x-real-ip"

_BURST_SECONDS = 10
_MINUTE = 60.0
_REMEMBERED_SECONDS = 3_600.0
_MIN_SECRET_CHARACTERS = 32
_MOST_CHARACTERS = 128
"""Of a credential that is remembered; those that a node gives have 64."""
_ALL = ""
"""The one taker of the bucket that all who are not known share."""

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]


def _admit_all(_: PartyId) -> None:
    """What is done about limits where there is no guard."""


@dataclass(slots=True, kw_only=True)
class Visit:
    """One request: what the application says of it, and what was seen of its answer. Never what was asked for in it."""

    address: str
    method: str
    admit: Callable[[PartyId], None] = _admit_all
    """Called by the application with the party that asks, before anything is done for it.

    Raises:
        RateLimited: the party has taken too much.
    """
    party: PartyId | None = None
    resource: str = "none"
    objects: int = 0
    crowded: bool = False
    """Whether there was no room for its body (`taxii.bodies`)."""
    waited: float = 0.0
    """Seconds in which it only waited for something to be released (`taxii.waits`)."""
    status: int = 0
    body_bytes: int = 0
    sent_bytes: int = 0
    """Of the body that the asker sent."""
    started: float = 0.0
    seconds: float = 0.0


Observer = Callable[[Visit], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class TrustedProxy:
    """The proxy whose word counts: it comes from this address and shows this secret."""

    address: str
    secret: bytes

    @classmethod
    def read(cls, proxy: Proxy) -> Self:
        """The proxy of the settings, with its secret.

        Raises:
            ConfigError: the secret cannot be read, can be read by others, or is too short.
        """
        try:
            mode = proxy.secret.stat().st_mode & 0o777
            text = proxy.secret.read_bytes().strip()
        except OSError as error:
            raise ConfigError(
                f"{proxy.secret}: the secret of the proxy cannot be read ({error.strerror or error}); make one with:"
                f" (umask 077; openssl rand -hex 32 > {proxy.secret})"
            ) from error
        if mode & 0o077:
            raise ConfigError(f"{proxy.secret} can be read by others (mode {mode:o}); run: chmod 600 {proxy.secret}")
        if len(text) < _MIN_SECRET_CHARACTERS:
            raise ConfigError(
                f"{proxy.secret}: the secret of the proxy has to have {_MIN_SECRET_CHARACTERS} characters"
            )
        return cls(address=proxy.address, secret=text)

    def find_address(self, peer: str, headers: Mapping[bytes, bytes]) -> str:
        """Where the request came from: what the proxy says if it is the proxy that says so, else the peer itself."""
        shown = headers.get(PROXY_SECRET_HEADER.encode(), b"")
        same = hmac.compare_digest(shown, self.secret)
        if not same or peer != self.address:
            return peer
        return headers.get(PROXY_ADDRESS_HEADER.encode(), b"").decode("latin-1").strip() or peer


def read_proxy(proxy: Proxy | None) -> TrustedProxy | None:
    """The proxy of the settings, if there is one.

    Raises:
        ConfigError: as `TrustedProxy.read`.
    """
    return None if proxy is None else TrustedProxy.read(proxy)


class _Remembered:
    """What was seen within the last hour, a bounded number of things."""

    def __init__(self, shelf: Shelf) -> None:
        self._shelf = shelf

    def add(self, thing: str, *, now: float) -> None:
        with self._shelf.alone():
            self._shelf.put(thing, Bucket(0.0, now))

    def drop(self, thing: str, *, now: float) -> None:
        if self.holds(thing, now=now):
            with self._shelf.alone():
                self._shelf.put(thing, Bucket(0.0, now - _REMEMBERED_SECONDS))

    def holds(self, thing: str, *, now: float) -> bool:
        seen = self._shelf.find(thing)
        return seen is not None and now - seen.at < _REMEMBERED_SECONDS


@dataclass(slots=True, kw_only=True)
class _Budgets:
    requests: Buckets
    octets: Buckets
    outsiders: Buckets
    together: Buckets
    messages: Buckets
    credentials: _Remembered
    addresses: _Remembered


class Guard:
    """The application within its limits; `observers` hear of every visit.

    `shelve` gives the shelf of each name in SHELVES: where several processes serve one node, they share them.
    """

    def __init__(
        self,
        app: App,
        limits: Limits,
        *,
        observers: Sequence[Observer] = (),
        proxy: TrustedProxy | None = None,
        clock: Callable[[], float] = time.monotonic,
        shelve: Callable[[str], Shelf] = lambda _: OwnShelf(),
    ) -> None:
        self._app = app
        self._observers = observers
        self._proxy = proxy
        self._clock = clock
        a_second, a_minute = limits.requests_per_second, limits.bytes_per_minute
        alone, together = limits.unknown_per_minute, limits.unknown_total_per_minute
        self._budgets = _Budgets(
            requests=Buckets(rate=a_second, most=a_second * _BURST_SECONDS, shelf=shelve("requests")),
            octets=Buckets(rate=a_minute / _MINUTE, most=a_minute, shelf=shelve("octets")),
            outsiders=Buckets(rate=alone / _MINUTE, most=alone, shelf=shelve("outsiders")),
            together=Buckets(rate=together / _MINUTE, most=together, shelf=shelve("together")),
            # Messages of partners' nodes come without a credential: whose one is shows only when it has been verified.
            messages=Buckets(rate=a_second, most=a_second * _BURST_SECONDS, shelf=shelve("messages")),
            credentials=_Remembered(shelve("credentials")),
            addresses=_Remembered(shelve("addresses")),
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one HTTP request (ASGI 3)."""
        if scope["type"] != "http":
            return
        headers = dict(scope["headers"])
        started = self._clock()
        visit = Visit(address=self._find_address(scope, headers), method=scope["method"], started=started)
        visit.admit = lambda party: self._admit(visit, party)
        neighbourhood = find_neighbourhood(visit.address)
        mark = _mark_secret(headers)
        looked_at = self._may_try(visit, neighbourhood, mark)
        if not looked_at:
            scope = {**scope, "headers": [item for item in scope["headers"] if item[0] not in wire.SECRET_HEADERS]}
            receive = _without_body(receive)
        scope[VISIT] = visit
        try:
            await self._app(scope, _counted(receive, visit), _watched(send, visit))
        finally:
            self._settle(visit, neighbourhood, mark, looked_at=looked_at)

    def _find_address(self, scope: Scope, headers: Mapping[bytes, bytes]) -> str:
        peer = str(scope["client"][0]) if scope.get("client") else ""
        return peer if self._proxy is None else self._proxy.find_address(peer, headers)

    def _may_try(self, visit: Visit, neighbourhood: str, mark: str | None) -> bool:
        """Whether what the asker shows is looked at."""
        budgets, now = self._budgets, visit.started
        shared = self._proxy is None and is_loopback(visit.address)
        if visit.method == "POST" and not shared and budgets.messages.wait(neighbourhood, now=now):
            return False
        if mark is not None and budgets.credentials.holds(mark, now=now):
            return True
        if not shared and budgets.outsiders.wait(neighbourhood, now=now):
            return False
        return not budgets.together.wait(_ALL, now=now) or budgets.addresses.holds(neighbourhood, now=now)

    def _admit(self, visit: Visit, party: PartyId) -> None:
        visit.party = party
        budgets, now = self._budgets, visit.started
        wait = max(budgets.requests.wait(party, now=now), budgets.octets.wait(party, now=now))
        if wait:
            raise RateLimited(
                "this party asks for more than it may here at once; go on after the seconds that Retry-After says",
                retry_after=math.ceil(wait),
            )
        budgets.requests.charge(party, 1, now=now)

    def _settle(self, visit: Visit, neighbourhood: str, mark: str | None, *, looked_at: bool) -> None:
        """Charge what was taken, and tell the observers.

        What was not looked at is not charged: else a flood would be paid for long after its end.
        """
        now = self._clock()
        visit.seconds = now - visit.started - visit.waited
        budgets = self._budgets
        if visit.party is not None:
            given = 0 if visit.status == _TOO_MANY else visit.body_bytes
            budgets.octets.charge(visit.party, given + visit.sent_bytes, now=now)
            budgets.addresses.add(neighbourhood, now=now)
            if mark is not None:
                budgets.credentials.add(mark, now=now)
        elif visit.status == _ACCEPTED:
            budgets.messages.charge(neighbourhood, 1, now=now)
        elif looked_at:
            if mark is not None:
                # It was good, and is no more: from here on whoever shows it is an outsider like others.
                budgets.credentials.drop(mark, now=now)
            budgets.outsiders.charge(neighbourhood, 1, now=now)
            budgets.together.charge(_ALL, 1, now=now)
        for observe in self._observers:
            observe(visit)


_TOO_MANY = 429
_ACCEPTED = 202
"""A signed message of a pinned party, which is its own credential."""


def _mark_secret(headers: Mapping[bytes, bytes]) -> str | None:
    """What a credential is remembered by: its hash, never itself. A token of a node is shown once, and longer."""
    secret = wire.parse_secret(*(headers.get(name, b"").decode("latin-1") for name in wire.SECRET_HEADERS))
    if secret is None or len(secret) > _MOST_CHARACTERS:
        return None
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


def _without_body(receive: Receive) -> Receive:
    """The same body, as long and with nothing in it: it is read as far as any other."""

    async def receive_nothing() -> Message:
        message = await receive()
        return (
            {**message, "body": bytes(len(message.get("body", b"")))} if message["type"] == "http.request" else message
        )

    return receive_nothing


def _counted(receive: Receive, visit: Visit) -> Receive:
    async def receive_on() -> Message:
        message = await receive()
        visit.sent_bytes += len(message.get("body", b""))
        return message

    return receive_on


def _watched(send: Send, visit: Visit) -> Send:
    async def send_on(message: Message) -> None:
        if message["type"] == "http.response.start":
            visit.status = message["status"]
        elif visit.method != "HEAD":
            visit.body_bytes += len(message.get("body", b""))
        await send(message)

    return send_on
