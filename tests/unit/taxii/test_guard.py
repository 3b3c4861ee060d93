# SPDX-License-Identifier: Apache-2.0
"""The limits round the application: partners are told, outsiders are not, and a flood keeps no partner out.

Requests go through the real application and a real node; only the addresses they come from, and the time, are made up.
"""

import asyncio
import json
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from comity.config import Limits, Proxy
from comity.errors import ConfigError
from comity.exchange import make_access
from comity.ids import PartyId
from comity.node.outbox import list_due
from comity.node.parties import create_credential, list_credentials, revoke_credential
from comity.signing import Role
from comity.taxii import rates
from comity.taxii.guard import Guard, TrustedProxy, Visit
from comity.taxii.server import TaxiiApp
from tests.certificates import write_private
from tests.served import basic, bearer
from tests.worlds import World, make_object

FAR, NEAR, BOTNET = "198.51.100.7", "203.0.113.9", "192.0.2."
SECRET = "0123456789abcdef0123456789abcdef"


@dataclass(frozen=True, slots=True)
class Got:
    """An answer: all of it that comes from this program."""

    status: int
    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes


@dataclass(slots=True)
class Ground:
    """Aurelia's application within limits. Borealia has a credential and an agreement."""

    world: World
    limits: Limits
    proxy: TrustedProxy | None = None
    now: float = 1_000.0
    visits: list[Visit] = field(default_factory=list)
    guard: Guard = field(init=False)
    password: str = field(init=False)

    def __post_init__(self) -> None:
        node = self.world.nodes["aurelia"]
        self.password = create_credential(node, PartyId("borealia"))
        self.guard = Guard(
            TaxiiApp(node, abort=lambda _: None, received=lambda: None),
            self.limits,
            observers=[self.visits.append],
            proxy=self.proxy,
            clock=lambda: self.now,
        )

    def ask(
        self,
        path: str = "/taxii2/",
        *,
        by: Mapping[str, str] | None = None,
        come_from: str = FAR,
        method: str = "GET",
        body: bytes = b"",
    ) -> Got:
        sent: list[Any] = []
        given = by or {}
        scope: dict[str, Any] = {
            "type": "http",
            "method": method,
            "path": path,
            "query_string": b"",
            "headers": [(name.lower().encode(), text.encode()) for name, text in given.items()],
            "client": (come_from, 50_000),
        }

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": body, "more_body": False}

        async def send(message: Any) -> None:  # noqa: ANN401 (ASGI's own)
            sent.append(message)

        asyncio.run(self.guard(scope, receive, send))
        return Got(
            status=sent[0]["status"],
            headers=tuple(sent[0]["headers"]),
            body=b"".join(message.get("body", b"") for message in sent[1:]),
        )

    @property
    def known(self) -> dict[str, str]:
        return basic("borealia", self.password)

    def token(self) -> dict[str, str]:
        """A fresh access token of Borealia's node."""
        world = self.world
        world.tick(1_000)
        signer = world.nodes["borealia"].signers[Role.TRANSPORT]
        manifest = world.manifests["borealia"]
        nonce = world.nodes["borealia"].draw(16)
        return bearer(make_access(manifest.party, PartyId("aurelia"), now=world.now, nonce=nonce, signers=[signer]))

    def flood(self, count: int, *, come_from: str = FAR) -> list[int]:
        return [self.ask(by=basic("x", f"guess {number}"), come_from=come_from).status for number in range(count)]


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    world = World(tmp_path)
    world.found("aurelia", "borealia")
    world.sign_all(world.terms())
    world.add("aurelia", *[make_object(f"r{number}") for number in range(5)])
    with closing(world):
        yield world


# --- partners ---------------------------------------------------------------------------------------------------------


def test_a_party_that_asks_too_often_is_told_when_to_go_on(world: World) -> None:
    ground = Ground(world, Limits(requests_per_second=2))
    assert [ground.ask(by=ground.known).status for _ in range(20)] == [200] * 20
    refused = ground.ask(by=ground.known)
    assert refused.status == 429
    assert dict(refused.headers)[b"retry-after"] == b"1"
    assert json.loads(refused.body)["http_status"] == "429"
    ground.now += 1
    assert [ground.ask(by=ground.known).status for _ in range(3)] == [200, 200, 429]


def test_a_party_is_limited_by_what_it_is_not_by_where_it_is(world: World) -> None:
    ground = Ground(world, Limits(requests_per_second=1))
    assert [ground.ask(by=ground.known, come_from=f"{BOTNET}{n}").status for n in range(12)].count(429) == 2
    other = create_credential(world.nodes["aurelia"], PartyId("aurelia"))
    assert ground.ask(by=basic("aurelia", other)).status == 200


def test_a_party_is_limited_by_the_bytes_it_was_given(world: World) -> None:
    ground = Ground(world, Limits(bytes_per_minute=1_000))
    path = f"/taxii2/borealia/collections/{_collection(ground)}/objects/"
    assert ground.ask(path, by=ground.known).status == 200
    given = sum(visit.body_bytes for visit in ground.visits)
    assert given > 2_000
    refused = ground.ask(by=ground.known)
    wait = int(dict(refused.headers)[b"retry-after"])
    assert refused.status == 429
    assert (given - 1_000) * 60 / 1_000 <= wait <= given * 60 / 1_000
    ground.now += wait - 1
    assert ground.ask(by=ground.known).status == 429
    ground.now += 10
    assert ground.ask(by=ground.known).status == 200


def test_a_party_is_limited_by_the_bytes_it_sends_too(world: World) -> None:
    ground = Ground(world, Limits(bytes_per_minute=20_000))
    by = {**ground.known, "content-type": "application/taxii+json;version=2.1"}
    path = "/taxii2/borealia/collections/nothing/objects/"
    assert ground.ask(path, by=by, method="POST", body=b"x" * 30_000).status == 404
    assert ground.visits[-1].sent_bytes == 30_000
    refused = ground.ask(by=ground.known)
    assert refused.status == 429
    assert 30 <= int(dict(refused.headers)[b"retry-after"]) <= 95
    # What is sent while it is over its limit has been read as well.
    assert ground.ask(path, by=by, method="POST", body=b"x" * 30_000).status == 429
    assert int(dict(ground.ask(by=ground.known).headers)[b"retry-after"]) >= 115


def test_a_head_request_is_not_charged_for_a_body(world: World) -> None:
    ground = Ground(world, Limits())
    ground.ask(by=ground.known, method="HEAD")
    assert ground.visits[-1].body_bytes == 0


def _collection(ground: Ground) -> str:
    listed = json.loads(ground.ask("/taxii2/borealia/collections/", by=ground.known).body)
    return str(listed["collections"][0]["id"])


# --- outsiders --------------------------------------------------------------------------------------------------------


def test_who_guesses_too_often_is_answered_the_same_and_not_looked_at(world: World) -> None:
    ground = Ground(world, Limits(unknown_per_minute=5))
    before = [ground.ask(path, by=basic("x", "guess")) for path in ("/taxii2/", "/taxii2/borealia/", "/nothing/")]
    ground.flood(10)
    assert [
        ground.ask(path, by=basic("x", "guess")) for path in ("/taxii2/", "/taxii2/borealia/", "/nothing/")
    ] == before
    # Even what is right is not looked at, so that a guesser who hits does not learn it.
    right = ground.ask("/taxii2/borealia/", by=ground.known)
    assert right == before[1]
    assert ground.visits[-1].party is None
    ground.now += 60
    assert ground.ask("/taxii2/borealia/", by=ground.known).status == 200


@pytest.mark.parametrize("header", ["Authorization", "X-API-Key"])
def test_neither_header_is_looked_at(world: World, header: str) -> None:
    ground = Ground(world, Limits(unknown_per_minute=3))
    ground.flood(3)
    shown = {"Authorization": f"bearer {ground.password}"} if header == "Authorization" else {header: ground.password}
    assert ground.ask("/taxii2/borealia/", by=shown).status == 404
    assert ground.ask("/taxii2/borealia/", by=shown, come_from=NEAR).status == 200


def test_a_credential_that_was_good_lately_is_good_in_a_flood_from_its_address(world: World) -> None:
    ground = Ground(world, Limits(unknown_per_minute=3))
    assert ground.ask(by=ground.known).status == 200
    ground.flood(20)
    assert ground.ask(by=ground.known).status == 200
    assert ground.ask(by=ground.token()).status == 401
    ground.now += 3_601
    ground.flood(20)
    assert ground.ask(by=ground.known).status == 401


def test_one_address_takes_nothing_from_another(world: World) -> None:
    ground = Ground(world, Limits(unknown_per_minute=3))
    ground.flood(20)
    assert ground.ask(by=ground.known, come_from=NEAR).status == 200


def test_all_outsiders_together_are_bounded_and_partners_come_in_all_the_same(world: World) -> None:
    ground = Ground(world, Limits(unknown_total_per_minute=30))
    assert ground.ask(by=ground.token(), come_from=NEAR).status == 200
    for number in range(40):
        ground.flood(1, come_from=f"{BOTNET}{number}")
    assert ground.ask(by=ground.token(), come_from=NEAR).status == 200
    assert ground.ask(by=ground.token(), come_from=FAR).status == 401
    ground.now += 60
    assert ground.ask(by=ground.token(), come_from=FAR).status == 200


def test_a_revoked_credential_is_not_kept_good_by_having_been_good(world: World) -> None:
    ground = Ground(world, Limits(unknown_per_minute=3))
    assert ground.ask(by=ground.known).status == 200
    (item,) = list_credentials(world.nodes["aurelia"], PartyId("borealia"))
    revoke_credential(world.nodes["aurelia"], item.id)
    assert ground.ask(by=ground.known).status == 401


def test_a_credential_that_is_good_no_more_takes_nothing_from_others(world: World) -> None:
    """Whoever kept one must not use up by it what all who are not known have together."""
    ground = Ground(world, Limits(unknown_per_minute=3, unknown_total_per_minute=30))
    assert ground.ask(by=ground.known).status == 200
    (item,) = list_credentials(world.nodes["aurelia"], PartyId("borealia"))
    revoke_credential(world.nodes["aurelia"], item.id)
    for _ in range(40):
        assert ground.ask(by=ground.known).status == 401
    assert ground.ask(by=ground.token(), come_from=NEAR).status == 200


def test_one_party_does_not_make_the_node_forget_the_credentials_of_another(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A node shows a token of its own making for each request, as many as it likes."""
    monkeypatch.setattr(rates, "_MOST_TAKERS", 20)
    ground = Ground(world, Limits(unknown_per_minute=3))
    secret = create_credential(world.nodes["aurelia"], PartyId("aurelia"))
    assert ground.ask(by=basic("x", secret)).status == 200
    for _ in range(30):
        assert ground.ask(by=ground.token(), come_from=NEAR).status == 200
    ground.flood(20)
    assert ground.ask(by=basic("x", secret)).status == 200


@pytest.mark.parametrize("over", [False, True])
def test_a_body_over_the_bound_is_answered_at_the_same_byte_over_the_limit_too(world: World, over: bool) -> None:
    """Who sends on after the bound must not see by the moment of the answer that nothing of it was looked at."""
    ground = Ground(world, Limits(unknown_per_minute=3))
    if over:
        ground.flood(20)
    taken = 0
    sent: list[Any] = []

    async def receive() -> dict[str, Any]:
        nonlocal taken
        taken += 1 << 16
        return {"type": "http.request", "body": b" " * (1 << 16), "more_body": taken < 1 << 24}

    async def send(message: Any) -> None:  # noqa: ANN401 (ASGI's own)
        sent.append(message)

    scope: dict[str, Any] = {"type": "http", "method": "POST", "path": "/x", "query_string": b"", "headers": []}
    asyncio.run(ground.guard({**scope, "client": (FAR, 50_000)}, receive, send))
    assert sent[0]["status"] == 404
    assert taken == (2 << 20) + (1 << 16)


def test_messages_from_one_address_are_bounded(world: World) -> None:
    ground = Ground(world, Limits(requests_per_second=1, unknown_per_minute=1_000))
    world.propose("borealia", world.terms(title="Another", giver="borealia", receivers=("aurelia",)))
    (message,) = list_due(world.nodes["borealia"])

    def hand_in(address: str) -> int:
        return ground.ask("/comity/exchange/", method="POST", body=message.envelope, come_from=address).status

    assert [hand_in(FAR) for _ in range(12)] == [202] * 10 + [404] * 2
    assert hand_in(NEAR) == 202


def test_without_a_proxy_loopback_has_no_limit_of_its_own(world: World) -> None:
    """A proxy nobody told the node of gives every client one address."""
    ground = Ground(world, Limits(unknown_per_minute=3))
    ground.flood(20, come_from="127.0.0.1")
    assert ground.ask(by=ground.token(), come_from="127.0.0.1").status == 200


# --- a proxy that may say where a request came from -------------------------------------------------------------------


@pytest.fixture
def proxy() -> TrustedProxy:
    return TrustedProxy(address="127.0.0.1", secret=SECRET.encode())


def test_the_address_that_the_proxy_tells_counts(world: World, proxy: TrustedProxy) -> None:
    ground = Ground(world, Limits(unknown_per_minute=3), proxy)
    through = {"X-Comity-Proxy": SECRET}
    for _ in range(10):
        ground.ask(by={**through, "X-Real-IP": FAR, **basic("x", "guess")}, come_from="127.0.0.1")
    assert ground.visits[-1].address == FAR
    ask = {**through, **ground.known}
    assert ground.ask(by={**ask, "X-Real-IP": FAR}, come_from="127.0.0.1").status == 401
    assert ground.ask(by={**ask, "X-Real-IP": NEAR}, come_from="127.0.0.1").status == 200


@pytest.mark.parametrize(
    ("come_from", "shown"),
    [
        ("127.0.0.1", {}),
        ("127.0.0.1", {"X-Comity-Proxy": ""}),
        ("127.0.0.1", {"X-Comity-Proxy": SECRET[:-1]}),
        ("127.0.0.2", {"X-Comity-Proxy": SECRET}),
        (FAR, {"X-Comity-Proxy": SECRET}),
    ],
)
def test_nobody_else_can_say_where_a_request_came_from(
    world: World, proxy: TrustedProxy, come_from: str, shown: dict[str, str]
) -> None:
    ground = Ground(world, Limits(), proxy)
    ground.ask(by={**shown, "X-Real-IP": NEAR}, come_from=come_from)
    assert ground.visits[-1].address == come_from


def test_the_secret_of_a_proxy_is_a_secret(tmp_path: Path) -> None:
    path = tmp_path / "proxy.secret"
    settings = Proxy(address="127.0.0.1", secret=path)
    with pytest.raises(ConfigError, match=r"cannot be read.*openssl rand"):
        TrustedProxy.read(settings)
    write_private(path, b"short\n")
    with pytest.raises(ConfigError, match="has to have 32 characters"):
        TrustedProxy.read(settings)
    write_private(path, SECRET.encode() + b"\n")
    assert TrustedProxy.read(settings) == TrustedProxy(address="127.0.0.1", secret=SECRET.encode())
    path.chmod(0o640)
    with pytest.raises(ConfigError, match="chmod 600"):
        TrustedProxy.read(settings)


# --- what is noted ----------------------------------------------------------------------------------------------------


def test_a_visit_says_who_and_what_kind_and_how_much(world: World) -> None:
    ground = Ground(world, Limits())
    path = f"/taxii2/borealia/collections/{_collection(ground)}/objects/"
    got = ground.ask(path, by=ground.known)
    visit = ground.visits[-1]
    assert (visit.party, visit.resource, visit.objects, visit.status) == ("borealia", "objects", 5, 200)
    assert (visit.method, visit.address, visit.body_bytes) == ("GET", FAR, len(got.body))
    ground.ask("/nothing/")
    assert (ground.visits[-1].party, ground.visits[-1].resource, ground.visits[-1].status) == (None, "none", 404)
    ground.ask("/comity/exchange/", method="POST")
    assert ground.visits[-1].resource == "exchange"
