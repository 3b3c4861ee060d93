# SPDX-License-Identifier: Apache-2.0
"""The bodies of one process: whoever sends as much as it can leaves room for others, and nothing is held too long."""

import json
import select
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, suppress
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from comity.errors import RateLimited, UnavailableError
from comity.ids import PartyId
from comity.node.accept import list_write_collections
from comity.node.parties import create_credential
from comity.taxii.bodies import SHORT_BYTES, Bodies
from tests.served import UNLIMITED, Served, bearer, format_request, without_date
from tests.worlds import World, make_object

MIB = 1024 * 1024
BUDGET = 40 * MIB


def fill(bodies: Bodies, taker: str, piece: int = SHORT_BYTES) -> int:
    """What `taker` is given when it takes all it can."""
    taken = 0
    while True:
        try:
            bodies.take(taker, piece)
        except UnavailableError:
            return taken
        taken += piece


def test_who_floods_leaves_half_and_two_who_do_leave_a_quarter() -> None:
    bodies = Bodies(BUDGET)
    assert [fill(bodies, taker) // MIB for taker in ("one", "two", "three")] == [20, 10, 5]
    assert bodies.held == 35 * MIB
    bodies.give_back("one", 20 * MIB)
    assert fill(bodies, "two") == 7.5 * MIB


def test_who_is_over_its_share_is_told_so_and_who_finds_no_room_is_told_that() -> None:
    bodies = Bodies(BUDGET)
    fill(bodies, "one")
    with pytest.raises(RateLimited) as over:
        bodies.take("one", SHORT_BYTES)
    assert over.value.facts["retry_after"] == 2
    with pytest.raises(UnavailableError) as full:
        bodies.take("two", 21 * MIB)
    assert not isinstance(full.value, RateLimited)
    assert full.value.facts["retry_after"] == 2


def test_a_short_body_fits_until_nothing_does() -> None:
    bodies = Bodies(BUDGET)
    for number in range(BUDGET // SHORT_BYTES):
        bodies.take(f"taker {number}", SHORT_BYTES)
    assert bodies.held == BUDGET
    with pytest.raises(UnavailableError):
        bodies.take("late", 1)


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(1, 9_000_000), st.booleans()), max_size=60))
def test_the_budget_is_never_passed_and_all_of_it_comes_back(asked: list[tuple[str, int, bool]]) -> None:
    bodies = Bodies(BUDGET)
    with ExitStack() as stack:
        for taker, size, ends in asked:
            hold = bodies.begin()
            with suppress(UnavailableError):
                hold.add(taker, size)
            assert bodies.held <= BUDGET
            stack.enter_context(hold)
            if ends:
                stack.pop_all().close()
    assert bodies.held == 0
    assert not bodies._by_taker


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    served: Served
    secrets: dict[str, str]
    paths: dict[str, str]

    def open(self, party: str | None, body: bytes, *, length: int, path: str | None = None) -> socket.socket:
        """A connection on which the head and the beginning of a body were sent."""
        connection = self.served.open()
        named = {
            "Content-Type": "application/taxii+json;version=2.1",
            "Content-Length": str(length),
            **({} if party is None else bearer(self.secrets[party])),
        }
        head = format_request("POST", path or self.paths[party or "borealia"], headers=named)
        with suppress(BrokenPipeError, ConnectionResetError):  # it was answered before all of it was sent
            connection.sendall(head + body)
        return connection

    def send(self, party: str | None, body: bytes, *, length: int) -> socket.socket:
        """The same, once all of it has been read, or refused and given up."""
        before = self.served.call(lambda: self.served.server.app.bodies.held)
        connection = self.open(party, body, length=length)
        self.wait(
            lambda held: held == (before if select.select([connection], [], [], 0)[0] else before + len(body)),
        )
        return connection

    def wait(self, holds: Callable[[int], bool]) -> int:
        """How much is held, once it is as said."""
        deadline = time.monotonic() + 60
        while not holds(held := self.served.call(lambda: self.served.server.app.bodies.held)):
            assert time.monotonic() < deadline, held
            time.sleep(0.02)
        return held


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with closing(World(tmp_path)) as world:
        world.found("aurelia", "borealia", "meridia")
        secrets, paths, node = dict[str, str](), dict[str, str](), world.nodes["aurelia"]
        for giver in ("borealia", "meridia"):
            world.sign_all(world.terms(giver=giver, receivers=("aurelia",)), proposer=giver)
            (target,) = list_write_collections(node, PartyId(giver))
            secrets[giver] = create_credential(node, PartyId(giver))
            paths[giver] = f"/taxii2/{giver}/collections/{target.id}/objects/"
        node.settings = replace(node.settings, limits=replace(UNLIMITED, held_bytes=BUDGET, body_seconds=600))
        with Served.start(node) as served:
            yield Site(served=served, secrets=secrets, paths=paths)


def read_status(connection: socket.socket) -> tuple[int, bytes]:
    answer = connection.recv(1 << 16)
    return int(answer.split(b" ", 2)[1]), answer


@pytest.mark.slow
def test_one_partner_that_floods_a_served_node_leaves_room_for_another(site: Site) -> None:
    with ExitStack() as stack:
        flood = [
            stack.enter_context(site.open("borealia", b'{"objects":["' + b"x" * (6 * MIB), length=9 * MIB))
            for _ in range(3)
        ]
        site.wait(lambda held: held > 17 * MIB)
        more = stack.enter_context(site.open("borealia", b'{"objects":["' + b"x" * (6 * MIB), length=9 * MIB))
        status, answer = read_status(more)
        assert status == 429
        assert b"retry-after: 2" in answer
        held = site.wait(lambda held: held < 21 * MIB)
        assert held > 17 * MIB
        body = json.dumps({"objects": [make_object("a", more={"description": "y" * (900 * 1024)})]}).encode()
        other = stack.enter_context(site.open("meridia", body, length=len(body)))
        assert read_status(other)[0] == 202
        for connection in flood:
            connection.close()
        site.wait(lambda held: held == 0)
    counted = site.served.server.count_requests()["comity_bodies_refused"]
    assert {json.loads(name)[1]["party"]: count for name, count in counted.items()} == {"borealia": 1.0}


def ask_as_nobody(site: Site, path: str) -> set[bytes]:
    """The answers to six bodies of somebody who is not known, each of which comes when all of the body has."""
    most, early = 2 * MIB, 19 * MIB // 10
    with ExitStack() as stack:
        asked = [stack.enter_context(site.open(None, b"x" * early, length=most, path=path)) for _ in range(6)]
        assert select.select(asked, [], [], 0.5)[0] == []
        answers = set[bytes]()
        for connection in asked:
            connection.sendall(b"x" * (most - early))
            answer = b""
            while not answer.endswith(b"}"):
                answer += connection.recv(1 << 16)
            answers.add(without_date(answer))
        return answers


@pytest.mark.slow
def test_who_is_not_known_cannot_tell_whether_there_is_room(site: Site) -> None:
    """Neither by the answer nor by its moment: else it would learn how much partners are sending just then."""
    paths = (site.paths["borealia"], "/comity/exchange/", "/comity/acknowledgements/", "/nothing/")
    free = [ask_as_nobody(site, path) for path in paths]
    with ExitStack() as stack:
        for party in ("borealia",) * 4 + ("meridia",) * 4:
            stack.enter_context(site.send(party, b'{"objects":["' + b"x" * (5 * MIB), length=9 * MIB))
        assert site.wait(lambda _: True) > 24 * MIB
        full = [ask_as_nobody(site, path) for path in paths]
    counted = site.served.server.count_requests()["comity_bodies_refused"]
    assert any(json.loads(name)[1]["party"] == "" for name in counted), counted
    assert full == free
    (answer,) = set[bytes]().union(*free)
    assert answer.startswith(b"HTTP/1.1 404 ")


def test_nothing_is_held_when_a_request_has_been_answered(site: Site) -> None:
    assert b" 202 " in site.served.ask(
        "POST",
        site.paths["borealia"],
        headers={
            "Content-Type": "application/taxii+json;version=2.1",
            "Content-Length": str(len(body := json.dumps({"objects": [make_object("a")]}).encode())),
            **bearer(site.secrets["borealia"]),
        },
        body=body,
    )
    assert site.served.call(lambda: site.served.server.app.bodies.held) == 0
