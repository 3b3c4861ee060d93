# SPDX-License-Identifier: Apache-2.0
"""What must follow an operation before it is answered, and in which order."""

import asyncio
import logging
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from comity.cli import serve
from comity.cli.serve import _Serving
from comity.config import Address
from comity.errors import MalformedRequest, StoreFull
from comity.ids import AgreementId
from comity.node.correspond import export_messages, import_messages
from comity.node.node import Node, open_node
from comity.node.outbox import list_due
from comity.node.standing import find_agreement
from comity.node.upkeep import keep_up
from comity.operations import acting, journal
from comity.operations.acting import act
from comity.operations.outcome import Arguments, Outcome
from comity.operations.reply import Json, Reply
from comity.operations.table import OPERATIONS
from comity.taxii.listen import TaxiiServer
from tests.unit.cli.conftest import Party
from tests.unit.cli.test_commands import propose
from tests.unit.cli.test_help import COMMANDS


class Witness:
    """Surroundings that note what is asked of them, and what is on record at that moment."""

    def __init__(self, node: Node) -> None:
        self.node = node
        self.seen: list[tuple[str, str]] = []

    async def drain(self, agreement: AgreementId) -> None:
        self._note("drain", agreement)

    async def forget(self) -> None:
        self.seen.append(("forget", ""))

    async def check(self, *, seconds: float) -> None:
        self.seen.append(("check", ""))

    async def deliver(self, *, seconds: float) -> None:
        self.seen.append(("deliver", ""))

    async def cosign(self, *, seconds: float) -> None:
        self.seen.append(("cosign", ""))

    def _note(self, what: str, agreement: str) -> None:
        with self.node.store.read() as transaction:
            dossier = find_agreement(self.node, transaction, agreement)
        self.seen.append((what, dossier.standing(now=self.node.clock()).state.value))


@pytest.fixture
def proposed(aurelia: Party, terms: Path) -> Iterator[tuple[Node, str]]:
    """The node of a party that has proposed, and the agreement."""
    agreement = propose(aurelia, terms)
    node = open_node(aurelia.folder)
    yield node, agreement
    node.close()


def do(node: Node, operation: str, arguments: dict[str, Json]) -> tuple[Reply, list[tuple[str, str]]]:
    """What became of the operation by the hand of the legal officer."""
    witness = Witness(node)
    badge = (node.folder / "badges" / "legal.badge").read_text(encoding="utf-8")
    return asyncio.run(act(node, operation, {"badge": badge, **arguments}, around=witness)), witness.seen


@pytest.mark.parametrize(("verb", "state"), [("reject", "rejected")])
def test_what_stops_is_on_record_before_it_waits_and_waits_before_it_delivers(
    proposed: tuple[Node, str], verb: str, state: str
) -> None:
    node, agreement = proposed
    reply, seen = do(node, f"agreement.{verb}", {"id": agreement})
    assert reply.code == 0
    assert seen == [("drain", state), ("deliver", "")]


def test_what_stops_nothing_waits_for_nothing(proposed: tuple[Node, str]) -> None:
    node, agreement = proposed
    _, seen = do(node, "agreement.clarify", {"id": agreement, "clause": "purposes", "text": "Which?"})
    assert seen == [("deliver", "")]


def test_reading_delivers_nothing(proposed: tuple[Node, str]) -> None:
    node, agreement = proposed
    assert do(node, "agreement.status", {"id": agreement})[1] == []


def test_a_failure_is_a_reply(proposed: tuple[Node, str]) -> None:
    node, agreement = proposed
    reply, seen = do(node, "agreement.accept", {"id": agreement})
    assert (reply.code, reply.result, seen) == (6, None, [])


def test_every_command_that_needs_a_node_has_its_operation() -> None:
    alone = {("init",), ("serve",), ("log", "verify"), ("agreement", "test")}
    alone |= {("witness", name) for name in ("init", "add-log", "serve", "show", "verify-evidence")}
    alone |= {("fsck",), ("restore",), ("recover",), ("verify",), ("audit",)}
    alone |= {("party", "protect-keys"), ("party", "unprotect-keys")}
    # The command audits by itself, whether a process serves or not; in the console the one that serves has it done.
    # One command exports, whatever the format. One act that waits is shown in the console alone: `approvals` lists all.
    # Which of the objects of an entry are held is asked by its page, for its links; `object show` tells it of one.
    beside = {"audit", "object.export_misp", "approvals.show", "object.held"}
    named = {"approve": "approvals.approve", "decline": "approvals.decline"}
    commands = {".".join(path) for path in COMMANDS if path not in alone}
    assert {named.get(name, name) for name in commands} == OPERATIONS.keys() - beside


@pytest.mark.parametrize(
    ("operation", "arguments"),
    [
        ("nothing", {}),
        ("object.show", {}),
        ("object.show", {"id": 1}),
        ("object.add", {"data": "not base64!"}),
        ("object.add", {"data": "", "regions": "IQ"}),
        ("object.add", {"data": "", "regions": [1]}),
        ("log.list", {"last": True}),
        ("log.list", {"last": -1}),
        ("log.list", {"last": 10**9}),
        ("log.show", {"entry": 1}),
        ("agreement.answer", {"id": "ffff", "text": None}),
        ("agreement.suspend", {"id": "ffff", "reason": ["x"]}),
        ("agreement.suspend", {"id": "ffff", "badge": "x"}),
        ("agreement.suspend", {"id": "ffff", "badge": {}}),
        ("agreement.suspend", {"id": "ffff", "role": "king"}),
        ("person.add", {"person": "x", "name": "X", "roles": "legal"}),
        ("person.add", {"person": "x", "name": "X", "roles": []}),
        ("person.add", {"person": "x", "name": " ", "roles": ["legal"]}),
        ("person.add", {"person": "X", "name": "X", "roles": ["legal"]}),
        ("party.add", {"manifest": "e30=", "digest": 5}),
    ],
    ids=str,
)
def test_arguments_of_another_kind_are_refused(
    proposed: tuple[Node, str], operation: str, arguments: dict[str, Json]
) -> None:
    reply, _ = do(proposed[0], operation, arguments)
    assert reply.code == 2
    assert reply.error is not None
    assert reply.error["code"] == "malformed-request"


def test_arguments_are_what_they_are() -> None:
    values = Arguments({"t": "x", "n": 3, "l": ["a"], "d": "YQ==", "none": None})
    assert (values.text("t"), values.number("n", most=3), values.texts("l"), values.data("d")) == ("x", 3, ["a"], b"a")
    assert (values.optional("none"), values.optional("absent"), values.texts("absent")) == (None, None, [])
    with pytest.raises(MalformedRequest):
        values.number("n", most=2)


def test_a_word_that_is_no_text_is_refused_wherever_it_stands() -> None:
    values = Arguments({"t": "\udcff", "l": ["a", "\ud800"]})
    for take in (lambda: values.text("t"), lambda: values.optional("t"), lambda: values.texts("l")):
        with pytest.raises(MalformedRequest, match="not a text in UTF-8"):
            take()


def test_what_nobody_foresaw_does_not_end_the_serving_process(
    proposed: tuple[Node, str], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(_: Node, __: Arguments) -> Outcome:
        raise ZeroDivisionError("secret")

    async def ask() -> Reply:
        server = TaxiiServer(proposed[0], Address(host="127.0.0.1", port=0))
        return await _Serving(proposed[0], server).handle("log.list", {})

    monkeypatch.setattr(journal, "list_last", fail)
    with caplog.at_level(logging.ERROR, logger="comity.serve"):
        reply = asyncio.run(ask())
    assert (reply.code, reply.result) == (1, None)
    assert reply.error is not None
    assert reply.error["code"] == "bug"
    assert "secret" not in str(reply.error)
    facts = reply.error["facts"]
    assert isinstance(facts, dict)
    assert str(facts["incident"]) in caplog.text
    assert "ZeroDivisionError: secret" in caplog.text


def test_answers_are_drained_though_messages_could_not_be_looked_at(
    proposed: tuple[Node, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    node, agreement = proposed
    drained = list[str]()

    async def fail(_: Node) -> int:
        raise StoreFull("no room")

    async def note(_: TaxiiServer, stopped: AgreementId) -> None:
        drained.append(stopped)

    async def stop() -> None:
        await _Serving(node, TaxiiServer(node, Address(host="127.0.0.1", port=0))).drain(AgreementId(agreement))

    monkeypatch.setattr(serve, "stop_held", fail)
    monkeypatch.setattr(TaxiiServer, "drain", note)
    with pytest.raises(StoreFull):
        asyncio.run(stop())
    assert drained == [agreement]


# --- what time brings -------------------------------------------------------------------------------------------------


@pytest.fixture
def lost(proposed: tuple[Node, str], borealia: Party, monkeypatch: pytest.MonkeyPatch) -> tuple[Node, str]:
    """The node of a party in an agreement in force, which it recognises no more."""
    node, agreement = proposed
    partner = open_node(borealia.folder)
    import_messages(partner, export_messages(node, agreement))
    partner.close()
    borealia.ask("agreement", "accept", agreement)
    partner = open_node(borealia.folder)
    import_messages(node, export_messages(partner, agreement))
    import_messages(partner, export_messages(node, agreement))
    partner.close()
    assert read_state(node, agreement) == "in force"
    (node.folder / "recognition.toml").write_text("", encoding="utf-8")
    monkeypatch.setattr(serve, "_UPKEEP_PAUSE_SECONDS", 0.01)
    return node, agreement


def read_state(node: Node, agreement: str) -> str:
    with node.store.read() as transaction:
        return find_agreement(node, transaction, agreement).standing(now=node.clock()).state.value


async def wait_for(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not holds():  # noqa: ASYNC110 (it is the store that is looked at)
            await asyncio.sleep(0.01)


def test_while_serving_what_is_recognised_no_more_is_suspended_drained_and_told(
    lost: tuple[Node, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    node, agreement = lost
    drained = list[tuple[str, str]]()

    async def drain(_: _Serving, stopped: AgreementId) -> None:
        drained.append((stopped, read_state(node, agreement)))

    async def run() -> None:
        serving = _Serving(node, TaxiiServer(node, Address(host="127.0.0.1", port=0)))
        working = asyncio.create_task(serving.keep_up_always())
        await wait_for(serving.server.queued.is_set)
        working.cancel()

    monkeypatch.setattr(_Serving, "drain", drain)
    asyncio.run(run())
    assert drained == [(agreement, "suspended")]
    assert list_due(node)[-1].party == "borealia"


def test_upkeep_goes_on_after_whatever_failed(
    lost: tuple[Node, str], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    node, agreement = lost
    failures = [ZeroDivisionError("unforeseen"), StoreFull("the disk is full"), OSError("gone")]

    def fail_thrice(given: Node) -> object:
        if failures:
            raise failures.pop()
        return keep_up(given)

    async def run() -> None:
        serving = _Serving(node, TaxiiServer(node, Address(host="127.0.0.1", port=0)))
        working = asyncio.create_task(serving.keep_up_always())
        await wait_for(lambda: read_state(node, agreement) == "suspended")
        assert not working.done()
        working.cancel()

    monkeypatch.setattr(serve, "keep_up", fail_thrice)
    with caplog.at_level(logging.ERROR, logger="comity.serve"):
        asyncio.run(run())
    assert failures == []
    assert "the disk is full" in caplog.text
    assert "ZeroDivisionError: unforeseen" in caplog.text


def test_a_command_that_is_alone_does_first_what_is_due(lost: tuple[Node, str], aurelia: Party) -> None:
    node, agreement = lost
    node.close()
    assert aurelia.ask("agreement", "list")["agreements"][0]["state"] == "suspended"
    (lock,) = aurelia.ask("agreement", "status", agreement)["suspensions"]
    assert lock["reason"].startswith("suspended by itself: aurelia recognises none of the bases")


def test_upkeep_that_fails_keeps_no_command_away(
    lost: tuple[Node, str], aurelia: Party, monkeypatch: pytest.MonkeyPatch
) -> None:
    node, agreement = lost
    node.close()

    def fail(_: Node) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(acting, "keep_up", fail)
    assert aurelia.ask("agreement", "suspend", agreement)["state"] == "suspended"


def test_a_command_that_is_alone_gives_a_slow_partner_up(
    aurelia: Party, borealia: Party, terms: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(acting, "DELIVERY_SECONDS", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        aurelia.pin(borealia, f"http://127.0.0.1:{silent.getsockname()[1]}")
        started = time.monotonic()
        result = aurelia.ask("agreement", "propose", terms)
    assert time.monotonic() - started < 25  # whoever says nothing for 30 seconds has not answered
    assert [item["party"] for item in result["waiting"]] == ["borealia"]
