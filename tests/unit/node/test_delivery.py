# SPDX-License-Identifier: Apache-2.0
"""Receipts of partners are kept in order, in the act that takes their pages in, and never against what is past."""

import shutil
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from comity.agreement.events import EventKind
from comity.agreement.people import Role
from comity.errors import ConfigError, ConflictError, MalformedError, NotFoundError, ReceiptRefused
from comity.ids import Instant, PartyId
from comity.node import ingest, receive
from comity.node.delivery import expect_receipt, find_kept_receipt, keep_missing, keep_refused, list_refused_pages
from comity.node.follow import plan_pull
from comity.node.node import Node, inspect_node
from comity.node.parties import add_party, export_manifest
from comity.node.proof import Check, prove_entry
from comity.node.receipts import give_consistency, give_receipt, write_receipt
from comity.node.retention import delete
from comity.node.rotation import rotate_keys
from comity.node.steps import finish
from comity.release.delivery import Shown, find_sizes, verify_next
from comity.release.receipt import parse_receipt, verify_object, verify_receipt
from comity.signing import Role as KeyRole
from comity.store import log, pulls, witness
from comity.store.pulls import Use
from comity.tlog.cosignature import sign_cosignature
from comity.tlog.note import SignatureType, VerifierKey, format_signature_line, format_vkey, parse_note
from tests.signers import SeedSigner
from tests.worlds import World, make_object, object_id

NORTH = VerifierKey(
    name="north.example", type=SignatureType.ED25519_COSIGNATURE, public_key=SeedSigner("north").public_key
)
GIVER, RECEIVER = PartyId("aurelia"), PartyId("borealia")


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path)
    made.found("aurelia", "borealia")
    made.add("aurelia", make_object("a"), make_object("b"))
    made.sign_all(made.terms())
    add_party(made.nodes["borealia"], export_manifest(made.nodes["aurelia"]), digest=None, url="http://127.0.0.1:1")
    yield made
    made.close()


def show(world: World, number: int) -> Shown:
    """What the receipt of that number shows, as `peers` asks for it."""
    expected = expect_receipt(world.nodes["borealia"], GIVER, number)
    data = give_receipt(world.nodes["aurelia"], RECEIVER, number)
    sizes = find_sizes(data, expected.seen)
    proof = b"" if sizes is None else give_consistency(world.nodes["aurelia"], RECEIVER, *sizes)
    return verify_next(data, proof, expected, now=world.now)


def take(world: World, page: bytes, shown: Shown) -> ingest.Intake:
    (target,) = plan_pull(world.nodes["borealia"], GIVER)
    received = receive.Received(
        giver=GIVER,
        terms=target.terms,
        channel=target.channel,
        collection=target.collection,
        added_after=Instant(world.now),
    )
    return receive.receive_shown(world.nodes["borealia"], page, received, shown)


def poll(world: World) -> bytes:
    return b'{"objects":[' + b",".join(item.data for item in world.poll("borealia").items) + b"]}"


def count(node: Node, table: str) -> int:
    row = node.store.row(f"SELECT COUNT(*) FROM {table}")
    assert row is not None
    return int(row[0])


def test_a_page_and_its_receipt_are_kept_together(world: World) -> None:
    page = poll(world)
    assert len(take(world, page, show(world, 1)).added) == 2
    kept, data = find_kept_receipt(world.nodes["borealia"], GIVER, 1)
    receipt = parse_receipt(data)
    assert receipt.terms is not None
    assert parse_receipt(kept.data).terms is None
    verified = verify_receipt(receipt, manifests=[world.manifests["aurelia"]])
    assert verify_object(verified, world.poll("borealia").items[0].data) == verified.objects[0]
    assert expect_receipt(world.nodes["borealia"], GIVER, 9).sequence == 2
    with pytest.raises(NotFoundError):
        find_kept_receipt(world.nodes["borealia"], GIVER, 2)


def test_a_page_that_is_refused_leaves_nothing(world: World) -> None:
    node, page = world.nodes["borealia"], poll(world)
    shown = show(world, 1)
    with pytest.raises(ReceiptRefused):
        take(world, page.replace(b'"a"', b'"A"'), shown)
    assert [count(node, table) for table in ("object", "arrival", "receipt", "seen_checkpoint", "pull_position")] == [
        0
    ] * 5


def test_what_stands_in_a_page_twice_and_in_its_receipt_once_is_refused(world: World) -> None:
    page, shown = poll(world), show(world, 1)
    (*_, last) = world.poll("borealia").items
    with pytest.raises(ReceiptRefused, match="the page has 3 objects and the receipt lists 2"):
        take(world, page.removesuffix(b"]}") + b"," + last.data + b"]}", shown)


@pytest.mark.parametrize("most", [1, 2])
def test_a_page_that_its_receipt_lists_and_that_is_none_is_refused(world: World, most: int) -> None:
    node, page = world.nodes["borealia"], poll(world)
    (target,) = plan_pull(node, GIVER)
    received = receive.Received(
        giver=GIVER, terms=target.terms, channel=target.channel, collection=target.collection, added_after=None
    )
    read = finish(receive.read_page(page, most=most))
    if most == 1:
        with pytest.raises(ReceiptRefused, match="over 1 objects") as refused:
            finish(receive.receive_in_steps(node, read, received, show(world, 1)))
        assert refused.value.facts["part"] == "page"
        with pytest.raises(MalformedError):
            finish(receive.receive_in_steps(node, read, received, None))
    else:
        assert len(finish(receive.receive_in_steps(node, read, received, show(world, 1))).added) == 2
    assert count(node, "receipt") == most - 1


def used(world: World) -> Use:
    with world.nodes["borealia"].store.read() as transaction:
        return pulls.read_use(transaction, GIVER, world.now // (86_400 * 1_000_000))


def test_receipts_count_towards_what_a_giver_may_bring_in_on_a_day(world: World) -> None:
    node, page = world.nodes["borealia"], poll(world)
    take(world, page, show(world, 1))
    first = len(find_kept_receipt(node, GIVER, 1)[0].data)
    assert used(world) == Use(bytes=len(page) + first, objects=2)
    poll(world)
    keep_missing(node, [show(world, 2)])
    second = len(find_kept_receipt(node, GIVER, 2)[0].data)
    assert used(world) == Use(bytes=len(page) + first + second, objects=2)


def test_what_clashes_counts_towards_it_too(world: World) -> None:
    node, page = world.nodes["borealia"], poll(world)
    world.add("borealia", {**make_object("a"), "name": "another"})
    take(world, page, show(world, 1))
    kept = len(find_kept_receipt(node, GIVER, 1)[0].data)
    assert count(node, "unkept") == 1
    assert used(world) == Use(bytes=len(page) + kept + receive._UNKEPT_BYTES, objects=1)


def test_a_receipt_for_what_came_without_one_is_kept_with_its_arrival(world: World) -> None:
    node, page = world.nodes["borealia"], poll(world)
    (target,) = plan_pull(node, GIVER)
    received = receive.Received(
        giver=GIVER, terms=target.terms, channel=target.channel, collection=target.collection, added_after=None
    )
    receive.receive_page(node, page, received)

    def arrived() -> list[tuple[int, int | None]]:
        with node.store.read() as transaction:
            return list(transaction.rows("SELECT received_at, receipt FROM arrival ORDER BY object"))

    before = arrived()
    assert [number for _, number in before] == [None, None]
    world.tick()
    assert take(world, page, show(world, 1)).known == 2
    assert arrived() == [(at, 1) for at, _ in before]
    poll(world)
    world.tick()
    take(world, page, show(world, 2))
    receive.receive_page(node, page, received)
    assert arrived() == [(at, 1) for at, _ in before]


def test_what_was_not_to_be_given_is_not_kept_and_the_receipt_is_evidence(world: World) -> None:
    """A giver that does not keep to the terms: its own store says of an object in red what it says of one in green."""
    cheat, node = world.nodes["aurelia"], world.nodes["borealia"]
    world.add("aurelia", make_object("c", tlp="red"), make_object("d"))
    with cheat.act() as act:
        act.transaction.run(
            "UPDATE object SET (own_label, label) = (SELECT own_label, label FROM object WHERE id = ?1) WHERE id = ?2",
            (object_id("report", "a"), object_id("report", "c")),
        )
    page = poll(world)
    intake = take(world, page, show(world, 1))
    assert object_id("report", "c").encode() in page
    assert [(one.id, one.detail) for one in intake.bad] == [
        (object_id("report", "c"), "outside of the terms it was given under: tlp_ceiling admits no red")
    ]
    assert set(intake.added) == {object_id("report", name) for name in "abd"}
    assert count(node, "object") == 3
    (refused,) = list_refused_pages(node)
    assert (refused.giver, refused.part, refused.page) == (GIVER, "scope", b"")
    assert object_id("report", "c") in refused.reason
    verified = verify_receipt(parse_receipt(refused.receipt), manifests=[world.manifests["aurelia"]])
    assert object_id("report", "c") in {listed.id for listed in verified.objects}


@pytest.mark.parametrize("kind", [EventKind.SUSPEND, EventKind.TERMINATE])
def test_a_page_that_was_asked_for_before_a_stop_is_not_taken_in(world: World, kind: EventKind) -> None:
    page, node = poll(world), world.nodes["borealia"]
    shown = show(world, 1)
    (target,) = plan_pull(node, GIVER)
    world.act("borealia", target.agreement, kind)
    received = receive.Received(
        giver=GIVER,
        terms=target.terms,
        channel=target.channel,
        collection=target.collection,
        added_after=Instant(world.now),
    )
    with pytest.raises(ConflictError, match="and since then"):
        receive.receive_shown(node, page, received, shown)
    assert [count(node, table) for table in ("object", "receipt", "pull_position")] == [0] * 3


def test_what_was_verified_against_what_is_past_is_not_taken_in(world: World) -> None:
    page, node = poll(world), world.nodes["borealia"]
    shown = show(world, 1)
    assert take(world, page, shown).known == 0
    objects = count(node, "object")
    for again in (shown,):
        with pytest.raises(ConflictError):
            take(world, page, again)
        with pytest.raises(ConflictError):
            keep_missing(node, [again])
    assert (count(node, "receipt"), count(node, "object")) == (1, objects)


def test_receipts_of_what_never_came_are_kept_in_their_order(world: World) -> None:
    node = world.nodes["borealia"]
    page = poll(world)
    take(world, page, show(world, 1))
    poll(world)
    poll(world)
    keep_missing(node, [])
    keep_missing(node, [show(world, 2)])
    third = show(world, 3)
    assert take(world, page, third).known == 2
    assert [find_kept_receipt(node, GIVER, number)[0].arrived for number in (1, 2, 3)] == [True, False, True]


@pytest.mark.parametrize("text", ["quorum nobody\n", "quorum none", "nonsense\n"])
def test_a_policy_that_cannot_be_used_stops_everything(world: World, text: str) -> None:
    poll(world)
    (world.nodes["borealia"].folder / "witnesses.policy").write_text(text)
    with pytest.raises(ConfigError, match=r"witnesses\.policy"):
        show(world, 1)


def test_a_policy_without_a_quorum_asks_for_nobody(world: World) -> None:
    poll(world)
    (world.nodes["borealia"].folder / "witnesses.policy").write_text("quorum none\n")
    assert show(world, 1).verified.witnesses == {}


def cosign(world: World) -> None:
    """The head of aurelia's log of what borealia is given gets the line of a witness called north."""
    node = world.nodes["aurelia"]
    with node.store.write() as transaction:
        head = log.read_head(transaction, 1)
        assert head is not None
        line = sign_cosignature(parse_note(head).text, NORTH, SeedSigner("north"), timestamp=world.now // 1_000_000)
        added = [("north", world.now // 1_000_000, format_signature_line(line).encode())]
        witness.add_cosignatures(transaction, log.read_size(transaction, 1), added, log=1)


def test_a_receipt_is_proven_in_a_tree_that_a_witness_has_cosigned(world: World) -> None:
    node = world.nodes["borealia"]
    (node.folder / "witnesses.policy").write_text(f"witness north {format_vkey(NORTH)}\nquorum north\n")
    page = poll(world)
    with pytest.raises(ReceiptRefused, match="witnesses"):
        show(world, 1)
    cosign(world)
    poll(world)
    shown = show(world, 1)
    assert shown.verified.witnesses == {"north": world.now // 1_000_000}
    assert shown.verified.size == 1
    take(world, page, shown)
    with pytest.raises(ReceiptRefused, match="witnesses"):
        show(world, 2)
    cosign(world)
    assert show(world, 2).seen.size == shown.verified.size + 1


def test_evidence_is_kept_apart_from_everything_else(world: World) -> None:
    node = world.nodes["borealia"]
    (target,) = plan_pull(node, GIVER)
    refused = ReceiptRefused("listing: another", part="listing")
    for place in range(6):
        kept = keep_refused(
            node,
            refused,
            giver=GIVER,
            terms=target.terms,
            channel="main",
            page=b"page",
            receipt=b"receipt",
            proof=b"",
        )
        assert kept == (place < 4)
    assert [page.part for page in list_refused_pages(node)] == ["listing"] * 4
    assert count(node, "object") == 0


def test_a_refused_page_loses_its_bytes_when_an_object_in_it_is_deleted(world: World) -> None:
    node, page = world.nodes["borealia"], poll(world)
    take(world, page, show(world, 1))
    (target,) = plan_pull(node, GIVER)
    for sent in (page, b'{"objects":[]}'):
        refused = ReceiptRefused("witnesses: too few", part="witnesses")
        keep_refused(
            node,
            refused,
            giver=GIVER,
            terms=target.terms,
            channel="main",
            page=sent,
            receipt=b"receipt",
            proof=b"proof",
        )
    delete(node, object_id("report", "b"), reason="Found to be wrong.")
    assert [(kept.page, kept.receipt) for kept in list_refused_pages(node)] == [
        (b"", b"receipt"),
        (b'{"objects":[]}', b"receipt"),
    ]
    data = b"".join(path.read_bytes() for path in sorted(node.folder.rglob("store.db*")))
    assert page not in data


def test_there_are_receipts_for_disclosures_alone(world: World) -> None:
    poll(world)
    node = world.nodes["aurelia"]
    size = count(node, "log_entry")
    # Behind it is the head of its log, before it the opening.
    assert parse_receipt(write_receipt(node, size - 2)).leaf.recipient == RECEIVER
    for position in (0, size - 3, size - 1, size, 10**9):
        with pytest.raises(NotFoundError):
            write_receipt(node, position)


@pytest.mark.parametrize("rotated", [False, True])
def test_a_copy_without_keys_has_the_receipts_as_they_were_signed(world: World, tmp_path: Path, rotated: bool) -> None:
    poll(world)
    node = world.nodes["aurelia"]
    position, written = count(node, "log_entry") - 2, write_receipt(node, count(node, "log_entry") - 2)
    if rotated:
        for role in (Role.LIAISON, Role.LEGAL):
            rotate_keys(node, [KeyRole.LOG], by=world.actor("aurelia", role))
    for name in ("node.toml", "head", *(path.name for path in node.folder.glob("store.db*"))):
        shutil.copy2(node.folder / name, tmp_path / name)
    with closing(inspect_node(tmp_path)) as copy:
        assert write_receipt(copy, position) == written
        proof = prove_entry(copy, position)
    assert proof.holds
    assert [check.holds for check in proof.checks if check.check is Check.RECEIPT] == [True]
    assert (write_receipt(node, position) != written) is rotated


def test_a_disclosure_whose_content_was_deleted_has_no_receipt(world: World) -> None:
    poll(world)
    node = world.nodes["aurelia"]
    with node.store.write() as transaction:
        transaction.run("DELETE FROM log_opening")
    with pytest.raises(NotFoundError):
        give_receipt(node, RECEIVER, 1)
