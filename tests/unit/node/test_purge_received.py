# SPDX-License-Identifier: Apache-2.0
"""What receipts and refused pages list is gone from every file once purged; their places in the giver's log stay."""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path

import apsw
import pytest

from comity import peers
from comity.agreement.people import Role
from comity.agreement.recognition import Refusal
from comity.errors import MalformedReceipt, MalformedRequest, NotFoundError, ReceiptRefused
from comity.ids import Digest, Instant, PartyId
from comity.node import delivery
from comity.node.audit import audit_folder
from comity.node.journal import find_entry, verify_folder
from comity.node.node import Node
from comity.node.parties import add_party, export_manifest
from comity.node.people import Waiting
from comity.node.purge import search_folder
from comity.node.purge_received import PurgedReceived, purge_received
from comity.node.soundness import examine_folder
from comity.node.steps import finish
from comity.release.receipt import format_place, parse_receipt, read_place
from comity.signing import Role as KeyRole
from comity.store import receipts
from comity.tlog.merkle import leaf_hash, verify_inclusion
from comity.tlog.note import parse_checkpoint, parse_note, verify_note
from comity.tlog.origin import parse_origin
from tests.served import Served
from tests.unit.node.test_purge import raw
from tests.worlds import World, make_object

AURELIA, MERIDIA = PartyId("aurelia"), PartyId("meridia")
SECRET = b"kestrel-under-the-bridge"


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """Borealia has taken in three pages of aurelia, has set aside a receipt of a lost log, and has refused a page."""
    made = World(tmp_path)
    made.found("aurelia", "borealia", "meridia")
    made.sign_all(made.terms())
    for name in ("first", "second", "third"):
        made.add("aurelia", make_object(name))
        pull(made)
    node = made.nodes["borealia"]
    with node.store.write() as transaction:
        transaction.run(
            "INSERT INTO receipt_set_aside SELECT giver, 'comity/aurelia/lost', sequence, terms, at, received_at,"
            " arrived, data FROM receipt WHERE sequence = 1"
        )
    refused = ReceiptRefused("listing: another page", part="listing")
    for giver in (AURELIA, MERIDIA):
        delivery.keep_refused(
            node,
            refused,
            giver=giver,
            terms=Digest("0" * 64),
            channel="main",
            page=SECRET + giver.encode(),
            receipt=SECRET,
            proof=b"",
        )
    made.tick()
    yield made
    made.close()


def pull(world: World) -> None:
    node = world.nodes["borealia"]
    world.tick()
    with Served.start(world.nodes["aurelia"]) as served:
        add_party(node, export_manifest(world.nodes["aurelia"]), digest=None, url=served.url)
        (pulled,) = asyncio.run(peers.pull(node, AURELIA))
    assert (pulled.refused, len(pulled.added)) == (None, 1)


def order(world: World, *, until: Instant | None = None) -> PurgedReceived | Waiting | Refusal:
    node = world.nodes["borealia"]
    by, until = world.actor("borealia", Role.LIAISON), until or Instant(world.now)
    assert isinstance(purge_received(node, AURELIA, until=until, reason="order 12", by=by), Waiting)
    return purge_received(node, AURELIA, until=until, reason="order 12", by=world.actor("borealia", Role.LEGAL))


def whole(node: Node) -> list[tuple[int, bytes]]:
    with node.store.read() as transaction:
        found = transaction.rows("SELECT sequence, data FROM receipt ORDER BY sequence")
    return [(sequence, bytes(data)) for sequence, data in found]


def traces(data: bytes) -> list[bytes]:
    """What of a receipt must be nowhere: its salt, its content and its listing, as they stand in it."""
    receipt = parse_receipt(data)
    spelled = [json.dumps(part.decode(), ensure_ascii=False).encode() for part in (receipt.content, receipt.listing)]
    return [receipt.salt.hex().encode(), *spelled]


def test_what_they_list_is_gone_and_their_places_verify(world: World) -> None:
    node = world.nodes["borealia"]
    before = whole(node)
    doomed = [trace for _, data in before for trace in traces(data)]
    assert all(trace in raw(node.folder) for trace in doomed)
    done = order(world)
    assert isinstance(done, PurgedReceived), done
    assert [(each.first, each.last) for each in done.ranges] == [(1, 3)]
    assert (done.set_aside, done.refused, done.more, done.gone) == (1, 1, False, True)

    # Gone from database, write-ahead log and free pages; of another partner nothing is.
    left = raw(node.folder)
    assert not any(trace in left for trace in doomed)
    assert SECRET + b"aurelia" not in left
    assert SECRET + b"meridia" in left
    assert finish(search_folder(node.folder, done.salts)).found == ()

    # What is left verifies: the leaf is in the tree that aurelia's key has signed.
    key = world.nodes["aurelia"].signers[KeyRole.LOG].public_key
    for sequence, data in whole(node):
        place = read_place(data)
        note = parse_note(place.proof.checkpoint)
        tree = parse_checkpoint(note.text)
        assert parse_origin(tree.origin) == "aurelia"
        verify_note(note, tree.origin, key)
        verify_inclusion(leaf_hash(place.leaf_data), place.proof.index, tree.size, place.proof.hashes, tree.root)
        assert place == read_place(before[sequence - 1][1])
        with pytest.raises(MalformedReceipt):
            parse_receipt(data)
        with pytest.raises(NotFoundError, match="was purged here"):
            delivery.find_kept_receipt(node, AURELIA, sequence)

    # It is on record, the log and the folder are whole, and there is nothing to purge any more.
    content = find_entry(node, str(done.purge)).content
    assert isinstance(content, dict)
    assert (content["receipts"], content["set_aside"], content["refused"]) == ([[1, 3]], 1, 1)
    assert verify_folder(node.folder).size > done.purge
    assert examine_folder(node.folder).is_sound
    assert audit_folder(node.folder, now=node.clock()).found == 0
    by = world.actor("borealia")
    with pytest.raises(NotFoundError, match="fits that has its content"):
        purge_received(node, AURELIA, until=world.now, reason="order 12", by=by)
    with pytest.raises(NotFoundError, match="not a party"):
        purge_received(node, PartyId("nobody"), until=world.now, reason="order 12", by=by)


def test_pulling_goes_on_from_the_place_that_is_left(world: World) -> None:
    assert isinstance(order(world), PurgedReceived)
    world.add("aurelia", make_object("fourth"))
    pull(world)
    with world.nodes["borealia"].store.read() as transaction:
        assert receipts.read_last_receipt(transaction, AURELIA) == 4
        ((acknowledged,),) = transaction.rows("SELECT sequence FROM acknowledgement WHERE sent = 1")
    assert acknowledged == 4
    delivery.find_kept_receipt(world.nodes["borealia"], AURELIA, 4)


def test_what_came_after_the_date_stays_whole(world: World) -> None:
    node = world.nodes["borealia"]
    with node.store.read() as transaction:
        ((until,),) = transaction.rows("SELECT received_at FROM receipt WHERE sequence = 3")
    kept = whole(node)[2]
    done = order(world, until=Instant(until))
    assert isinstance(done, PurgedReceived)
    assert [(each.first, each.last) for each in done.ranges] == [(1, 2)]
    assert (done.refused, whole(node)[2]) == (0, kept)
    delivery.find_kept_receipt(node, AURELIA, 3)


def test_what_arrives_between_two_approvals_is_not_purged(world: World) -> None:
    node, until = world.nodes["borealia"], world.now
    by = world.actor("borealia", Role.LIAISON)
    with pytest.raises(MalformedRequest, match="has come"):
        purge_received(node, AURELIA, until=Instant(until + 1), reason="order 12", by=by)
    assert isinstance(purge_received(node, AURELIA, until=until, reason="order 12", by=by), Waiting)
    world.add("aurelia", make_object("fourth"))
    pull(world)
    done = purge_received(node, AURELIA, until=until, reason="order 12", by=world.actor("borealia", Role.LEGAL))
    assert isinstance(done, PurgedReceived)
    assert [(each.first, each.last) for each in done.ranges] == [(1, 3)]
    delivery.find_kept_receipt(node, AURELIA, 4)


def test_the_schema_lets_nothing_else_be_written_into_a_receipt(world: World) -> None:
    node = world.nodes["borealia"]
    ((_, data), *_) = whole(node)
    for other in (b"{}", data.replace(b"main", b"mair"), format_place(parse_receipt(data)) + b" " * len(data)):
        with pytest.raises(apsw.ConstraintError), node.store.write() as transaction:
            transaction.run("UPDATE receipt SET data = ? WHERE sequence = 1", (other,))
    with pytest.raises(apsw.ConstraintError), node.store.write() as transaction:
        transaction.run("UPDATE receipt SET at = at + 1 WHERE sequence = 1")
