# SPDX-License-Identifier: Apache-2.0
"""Delivery: whose node does not answer keeps no message to another waiting, and nobody is tried twice at once."""

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from comity import peers
from comity.agreement.events import EventKind
from comity.agreement.people import Role
from comity.exchange import EVENT_TYPE
from comity.ids import PartyId
from comity.letters.letter import LETTER_TYPE
from comity.letters.request import Urgency
from comity.node.node import Node
from comity.node.outbox import list_due, list_waiting
from comity.node.parties import add_party, export_manifest
from comity.node.requests import Sent, send_request
from comity.peers import deliver, stop_held
from tests.worlds import World

PARTNERS = ("borealia", "meridia")


class Partner:
    """A node of a partner that takes each message when it is let to."""

    def __init__(self, *, open_to_all: bool, refuses: bytes | None = None) -> None:
        self.refuses = refuses
        self.let = asyncio.Event()
        self.came = asyncio.Event()
        self.done = asyncio.Event()
        self.connections = 0
        self.taken = 0
        self.url = ""
        if open_to_all:
            self.let.set()

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.came.set()
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                (length,) = (
                    int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length")
                )
                body = await reader.readexactly(length)
                await self.let.wait()
                refused = self.refuses is not None and self.refuses in body
                self.taken += not refused
                status = b"404 Not Found" if refused else b"202 Accepted"
                writer.write(b"HTTP/1.1 %s\r\ncontent-length: 0\r\n\r\n" % status)
                await writer.drain()
                self.done.set()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


@asynccontextmanager
async def serve(node: Node, world: World, partners: dict[str, Partner]) -> AsyncIterator[None]:
    """Every partner listens, and the node knows where."""
    servers = [await asyncio.start_server(partner.answer, "127.0.0.1", 0) for partner in partners.values()]
    for (name, partner), server in zip(partners.items(), servers, strict=True):
        partner.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        add_party(node, export_manifest(world.nodes[name]), digest=None, url=partner.url)
    try:
        yield
    finally:
        for server in servers:
            server.close()


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path)
    made.found("aurelia", *PARTNERS)
    yield made
    made.close()


def test_a_partner_that_does_not_answer_keeps_nothing_from_another(world: World) -> None:
    node = world.nodes["aurelia"]

    async def run() -> None:
        partners = {"borealia": Partner(open_to_all=False), "meridia": Partner(open_to_all=True)}
        busy = set[PartyId]()
        world.propose("aurelia", world.terms(receivers=("borealia",)))
        async with serve(node, world, partners):
            stuck = asyncio.create_task(deliver(node, busy=busy))
            await asyncio.wait_for(partners["borealia"].came.wait(), 60)
            world.propose("aurelia", world.terms(receivers=("meridia",), title="Another"))
            assert await deliver(node, busy=busy) == 1
            assert partners["meridia"].taken == 1
            assert await deliver(node, busy=busy) == 0
            assert partners["borealia"].connections == 1, "it was tried twice at once"
            partners["borealia"].let.set()
            assert await stuck == 1
            assert busy == set()

    asyncio.run(run())


def test_who_is_delivered_to_anew_stays_busy_when_an_earlier_delivery_ends(world: World) -> None:
    node = world.nodes["aurelia"]

    async def run() -> None:
        partners = {"borealia": Partner(open_to_all=False), "meridia": Partner(open_to_all=True)}
        busy = set[PartyId]()
        both = world.terms(receivers=PARTNERS, extra='structure = {kind = "group"}')
        world.propose("aurelia", both)
        async with serve(node, world, partners):
            first = asyncio.create_task(deliver(node, busy=busy))
            await asyncio.wait_for(partners["meridia"].done.wait(), 60)
            while "meridia" in busy:  # noqa: ASYNC110 (its task has only to end)
                await asyncio.sleep(0)
            partners["meridia"].let.clear()
            partners["meridia"].came.clear()
            world.propose("aurelia", world.terms(receivers=("meridia",), title="Another"))
            second = asyncio.create_task(deliver(node, busy=busy))
            await asyncio.wait_for(partners["meridia"].came.wait(), 60)
            partners["borealia"].let.set()
            assert await first == 2
            assert busy == {"meridia"}
            partners["meridia"].let.set()
            assert await second == 1
            assert busy == set()

    asyncio.run(run())


def test_what_is_queued_while_a_partner_is_delivered_to_goes_with_it(world: World) -> None:
    node = world.nodes["aurelia"]

    async def run() -> None:
        partners = {"borealia": Partner(open_to_all=False)}
        agreement = world.sign_all(world.terms())
        world.act("aurelia", agreement, EventKind.SUSPEND)
        async with serve(node, world, partners):
            first = asyncio.create_task(deliver(node, busy=set()))
            await asyncio.wait_for(partners["borealia"].came.wait(), 60)
            world.act("aurelia", agreement, EventKind.RESUME)
            partners["borealia"].let.set()
            assert await first == 2
        assert list_due(node) == []

    asyncio.run(run())


def test_what_asks_does_not_leave_when_its_agreement_was_suspended_while_another_message_was_on_its_way(
    world: World,
) -> None:
    node, borealia = world.nodes["aurelia"], Partner(open_to_all=False)

    async def run() -> None:
        agreement = world.sign_all(world.terms())
        for question in ("Where?", "When?"):
            asked = send_request(
                node,
                agreement,
                to=PartyId("borealia"),
                question=question,
                urgency=Urgency.SOON,
                by=world.actor("aurelia", Role.LIAISON),
            )
            assert isinstance(asked, Sent)
        async with serve(node, world, {"borealia": borealia}):
            delivering = asyncio.create_task(deliver(node))
            await borealia.came.wait()
            world.act("aurelia", agreement, EventKind.SUSPEND)
            borealia.let.set()
            assert await delivering == 2, "the first question, which was on its way, and the suspension"
        assert list_due(node) == []

    asyncio.run(run())


@pytest.mark.slow
def test_what_asks_is_cut_while_a_partner_does_not_take_the_connection(world: World) -> None:
    """Its machine takes no more connections until the suspension has returned; the first thing that comes is that."""
    node = world.nodes["aurelia"]
    agreement = world.sign_all(world.terms())

    async def run(listener: socket.socket) -> bytes:
        delivering = asyncio.create_task(deliver(node))
        await asyncio.sleep(0.5)
        world.act("aurelia", agreement, EventKind.SUSPEND)
        await stop_held(node)
        full, _ = await asyncio.to_thread(listener.accept)  # what left no room for others
        taken, _ = await asyncio.to_thread(listener.accept)
        came = bytearray()
        with full, taken:
            while b'"payloadType"' not in came:
                came += await asyncio.to_thread(taken.recv, 65_536)
        delivering.cancel()
        await asyncio.wait({delivering})
        return bytes(came)

    with socket.create_server(("127.0.0.1", 0), backlog=0) as listener:
        listener.settimeout(60)
        host, port = listener.getsockname()
        add_party(node, export_manifest(world.nodes["borealia"]), digest=None, url=f"http://{host}:{port}")
        by = world.actor("aurelia", Role.LIAISON)
        asked = send_request(node, agreement, to=PartyId("borealia"), question="?", urgency=Urgency.SOON, by=by)
        assert isinstance(asked, Sent)
        with socket.create_connection((host, port)):
            came = asyncio.run(run(listener))
    assert EVENT_TYPE.encode() in came
    assert LETTER_TYPE.encode() not in came


def test_what_a_partner_refuses_keeps_no_suspension_waiting(world: World) -> None:
    """It takes no more requests than it has answered, say; what stops something is behind them, and arrives."""
    node, borealia = world.nodes["aurelia"], Partner(open_to_all=True, refuses=LETTER_TYPE.encode())

    async def run() -> None:
        agreement, other = world.sign_all(world.terms()), world.sign_all(world.terms(title="Another exchange"))
        by = world.actor("aurelia", Role.LIAISON)
        asked = send_request(node, agreement, to=PartyId("borealia"), question="?", urgency=Urgency.SOON, by=by)
        assert isinstance(asked, Sent)
        world.act("aurelia", other, EventKind.SUSPEND)
        async with serve(node, world, {"borealia": borealia}):
            assert await deliver(node) == 1
        (waiting,) = list_waiting(node)
        assert waiting.messages == 1
        assert "answered 404" in str(waiting.problem)

    asyncio.run(run())


def test_a_failure_leaves_nobody_busy(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    node = world.nodes["aurelia"]
    busy = set[PartyId]()

    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("foreseen")

    monkeypatch.setattr(peers, "settle", fail)
    world.propose("aurelia", world.terms(receivers=PARTNERS, extra='structure = {kind = "group"}'))
    with pytest.raises(RuntimeError, match="foreseen"):
        asyncio.run(deliver(node, busy=busy))
    assert busy == set()


def test_where_nothing_is_due_nothing_is_opened(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peers, "open_client", None)
    assert asyncio.run(deliver(world.nodes["aurelia"])) == 0
