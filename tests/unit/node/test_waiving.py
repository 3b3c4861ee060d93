# SPDX-License-Identifier: Apache-2.0
"""A receipt that can never come: nothing goes on silently, two people let it stand without, and pulling goes on."""

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from comity import peers
from comity.agreement.people import Role
from comity.agreement.recognition import Refusal
from comity.agreement.work import WorkItem, WorkKind
from comity.errors import MalformedRequest, NotFoundError, TransitionError
from comity.ids import Instant, PartyId
from comity.node import people
from comity.node.audit import audit_folder
from comity.node.journal import find_entry, list_entries, verify_folder
from comity.node.node import Node
from comity.node.parties import add_party, export_manifest
from comity.node.people import Actor, Waiting
from comity.node.purge import Forgotten, Selection, purge_by_order
from comity.node.soundness import examine_folder
from comity.node.waiving import Waived, list_waived, waive_receipts
from comity.node.work import list_work
from comity.release.acknowledgement import parse_acknowledgement
from comity.store import receipts, successions, waivers
from tests.served import Served
from tests.worlds import World, make_object

AURELIA, BOREALIA, MERIDIA = PartyId("aurelia"), PartyId("borealia"), PartyId("meridia")
REASON = "aurelia has purged what it is made of; asked and answered on paper"


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """Borealia has pulled disclosure 1. Disclosures 2 and 3 never came, and aurelia has purged them."""
    made = World(tmp_path)
    made.found("aurelia", "borealia", "meridia")
    made.add("aurelia", make_object("first"))
    made.sign_all(made.terms())
    assert pull(made).refused is None
    for _ in range(2):
        made.poll("borealia")
    node = made.nodes["aurelia"]
    given = [item.position for item in list_entries(node, start=0, limit=99) if item.leaf.recipient == BOREALIA]
    entries = Selection(entries=frozenset(given[1:]))
    purge_by_order(node, entries, reason="order 12", by=made.actor("aurelia", Role.LIAISON))
    done = purge_by_order(node, entries, reason="order 12", by=made.actor("aurelia", Role.LEGAL))
    assert isinstance(done, Forgotten)
    made.add("aurelia", make_object("second"))
    yield made
    made.close()


def pull(world: World) -> peers.Pulled:
    node = world.nodes["borealia"]
    world.tick()
    with Served.start(world.nodes["aurelia"]) as served:
        add_party(node, export_manifest(world.nodes["aurelia"]), digest=None, url=served.url)
        (pulled,) = asyncio.run(peers.pull(node, AURELIA))
    return pulled


def waive(world: World, through: int, *, reason: str = REASON) -> Waived | Waiting | Refusal:
    node = world.nodes["borealia"]
    done = waive_receipts(node, AURELIA, through=through, reason=reason, by=world.actor("borealia", Role.LIAISON))
    assert isinstance(done, Waiting), done
    return waive_receipts(node, AURELIA, through=through, reason=reason, by=world.actor("borealia", Role.LEGAL))


def work(node: Node) -> list[WorkItem]:
    kinds = (WorkKind.NO_RECEIPT, WorkKind.WITHOUT_RECEIPT)
    return [item for item in list_work(node) if item.kind in kinds]


def audit(node: Node) -> tuple[int, list[tuple[int, int]]]:
    done = audit_folder(node.folder, now=node.clock())
    return done.found, [(item.first, item.through) for item in done.waived]


def test_people_let_it_stand_and_the_next_pull_goes_on(world: World) -> None:
    node = world.nodes["borealia"]
    for _ in range(2):
        refused = pull(world).refused
        assert refused is not None
        assert "gives no receipt for its disclosure 2 (404)" in refused.detail
        assert "log waive aurelia --through 2" in refused.detail
    (item,) = work(node)
    assert (item.kind, item.party) == (WorkKind.NO_RECEIPT, AURELIA)
    assert "its disclosure 2" in item.why
    assert audit(node) == (0, [])

    done = waive(world, 3)
    assert isinstance(done, Waived), done
    assert (done.waiver.first, done.waiver.through, len(done.approvals)) == (2, 3, 2)
    (item,) = work(node)
    assert (item.kind, item.count) == (WorkKind.WITHOUT_RECEIPT, 2)
    # The two pages that were refused come after it: their receipts are there, and are asked for.
    pulled = pull(world)
    assert (pulled.refused, pulled.missing, len(pulled.added)) == (None, 2, 1)
    with node.store.read() as transaction:
        assert transaction.rows("SELECT sequence, arrived FROM receipt") == [(1, 1), (4, 0), (5, 0), (6, 1)]
        assert waivers.count_waived(transaction, AURELIA, through=6) == 2
    assert [(item.first, item.through) for item in list_waived(node, AURELIA)] == [(2, 3)]
    content = find_entry(node, str(done.waiver.entry)).content
    assert isinstance(content, dict)
    assert (content["reason"], content["first"], content["through"]) == (REASON, 2, 3)
    assert audit(node) == (0, [(2, 3)])
    verify_folder(node.folder)
    assert examine_folder(node.folder).is_sound


def test_what_the_giver_is_told_counts_them_as_not_received(world: World) -> None:
    assert isinstance(waive(world, 3), Waived)
    assert pull(world).refused is None
    entries = list_entries(world.nodes["aurelia"], start=-2, limit=2)
    assert [entry.leaf.type.value for entry in entries] == ["acknowledgement", "log-heads"]
    with world.nodes["borealia"].store.read() as transaction:
        ((envelope,),) = transaction.rows("SELECT envelope FROM acknowledgement WHERE sent = 1")
    said, _ = parse_acknowledgement(envelope)
    assert (said.sequence, said.unreceived) == (4, 2)


def test_nobody_alone_and_nothing_beyond_what_comes_next(world: World) -> None:
    node, legal = world.nodes["borealia"], world.actor("borealia", Role.LEGAL)

    def by_legal(giver: PartyId = AURELIA, *, through: int = 3, reason: str = REASON) -> object:
        return waive_receipts(node, giver, through=through, reason=reason, by=legal)

    for _ in range(2):
        assert isinstance(by_legal(), Waiting)
    for through, reason in ((2, REASON), (3, "another")):
        other = world.actor("borealia", Role.LIAISON)
        assert isinstance(waive_receipts(node, AURELIA, through=through, reason=reason, by=other), Waiting)
    analyst = Actor(person=people.identify(node, world.register("borealia", "an-analyst", Role.ANALYST)))
    assert isinstance(waive_receipts(node, AURELIA, through=3, reason=REASON, by=analyst), Refusal)
    for wrong in (0, 1, 10_002):
        with pytest.raises(MalformedRequest, match="from 2 to 10001"):
            by_legal(through=wrong)
    with pytest.raises(TransitionError):
        by_legal(MERIDIA)
    with pytest.raises(NotFoundError):
        by_legal(PartyId("nobody"))
    with pytest.raises(MalformedRequest):
        by_legal(reason=" ")
    assert list_waived(node) == []
    assert pull(world).refused is not None


def test_after_one_that_was_waived_everything_is_asked_for_again(world: World) -> None:
    """Only what two people named: the disclosure after it is not taken in without its receipt."""
    assert isinstance(waive(world, 2), Waived)
    refused = pull(world).refused
    assert refused is not None
    assert "no receipt for its disclosure 3" in refused.detail
    assert isinstance(waive(world, 3), Waived)
    assert pull(world).refused is None
    assert [(item.first, item.through) for item in list_waived(world.nodes["borealia"])] == [(2, 2), (3, 3)]


def test_an_audit_finds_what_the_log_does_not_say(world: World) -> None:
    node = world.nodes["borealia"]
    done = waive(world, 2)
    assert isinstance(done, Waived)
    with node.store.write() as transaction:
        transaction.run("UPDATE receipt_waiver SET through = 3")
    assert audit(node) == (1, [(2, 3)])
    with node.store.write() as transaction:
        transaction.run("UPDATE receipt_waiver SET through = 2, entry = entry - 1")
    assert audit(node)[0] == 2
    with node.store.write() as transaction:
        transaction.run("DROP TRIGGER receipt_waiver_stays")
        transaction.run("DELETE FROM receipt_waiver")
    assert audit(node) == (1, [])


def test_a_waiver_is_of_one_log_and_not_of_the_one_that_follows(world: World) -> None:
    """A giver that recovered numbers anew from where it lost: those are asked for, whatever was waived before."""
    node = world.nodes["borealia"]
    assert isinstance(waive(world, 3), Waived)
    with node.store.write() as transaction:
        assert waivers.read_reached(transaction, AURELIA) == 3
        successions.add_succession(
            transaction, "comity/aurelia/0123456789abcdef", party=AURELIA, envelope=b"x", now=Instant(world.now + 1)
        )
        assert waivers.read_reached(transaction, AURELIA) == 1
        kept = receipts.read_receipt(transaction, AURELIA, 1)
        assert kept is not None
        again = replace(kept, sequence=2, received_at=Instant(world.now + 2))
        receipts.add_receipts(transaction, [again])
        assert waivers.read_reached(transaction, AURELIA) == 2
