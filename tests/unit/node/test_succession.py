# SPDX-License-Identifier: Apache-2.0
"""What a party that receives makes of a partner's statement that its logs go on under other names.

Nothing that was seen is forgotten for it: what was lost is kept, and the rest is held against what was seen of it.
"""

import asyncio
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from comity import peers
from comity.agreement.people import Role
from comity.agreement.work import WorkKind
from comity.errors import MalformedError, ReceiptRefused
from comity.ids import AgreementId, Digest, Instant, PartyId
from comity.node import succession
from comity.node.acknowledge import acknowledge, settle_acknowledgement, take_acknowledgement
from comity.node.backup import make_backup, restore_backup
from comity.node.delivery import expect_receipt, find_kept_receipt, keep_missing
from comity.node.follow import Target, plan_pull
from comity.node.journal import list_relationships
from comity.node.node import Node
from comity.node.parties import add_party, export_manifest
from comity.node.receipts import give_receipt
from comity.node.recovery import Recovered, recover_folder
from comity.node.soundness import examine_folder
from comity.node.succession import receive_succession
from comity.node.work import list_work
from comity.release.delivery import Seen, verify_next
from comity.release.receipt import Place, parse_receipt, read_place
from comity.release.recovery import (
    SUCCESSION_TYPE,
    EndedLog,
    Recovery,
    Succession,
    format_succession,
    parse_succession,
)
from comity.signing import Role as KeyRole
from comity.signing import format_signed_document, parse_signed_document, sign_document
from comity.store import receipts, successions
from comity.tlog.note import parse_checkpoint, parse_note
from comity.tlog.origin import house_origin, next_origin
from tests.served import Served
from tests.unit.node.test_beside import edit, problems
from tests.unit.node.test_delivery import GIVER, poll, show, take
from tests.worlds import World, make_object

RECEIVER = PartyId("borealia")


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """Aurelia gave borealia two pages, and was backed up; then two more, which borealia has too."""
    made = World(tmp_path)
    made.found("aurelia", "borealia", "meridia")
    made.sign_all(made.terms())
    add_party(made.nodes["borealia"], export_manifest(made.nodes["aurelia"]), digest=None, url="http://127.0.0.1:1")
    give(made, "a")
    give(made, "b")
    make_backup(made.nodes["aurelia"].folder, tmp_path / "backup", secrets=True)
    give(made, "c")
    give(made, "d")
    yield made
    made.close()


def give(world: World, name: str) -> None:
    """One more page to borealia, taken in with its receipt."""
    world.add("aurelia", make_object(name))
    world.tick()
    page = poll(world)
    take(world, page, show(world, last(world) + 1))
    world.tick()


def last(world: World) -> int:
    with world.nodes["borealia"].store.read() as transaction:
        return receipts.read_last_receipt(transaction, GIVER) or 0


def recover(world: World, *, backup: str = "backup") -> Recovered:
    node = world.nodes["aurelia"]
    node.close()
    gone = world.folder / f"gone-{backup}"
    node.folder.rename(gone)
    restore_backup(world.folder / backup, node.folder)
    shutil.copytree(gone / "badges", node.folder / "badges")
    done: object = None
    for role in (Role.LIAISON, Role.LEGAL):
        badge = world.badges["aurelia", role]
        done = recover_folder(node.folder, reason="disk lost", badge=badge, role=None, why=None)
    assert isinstance(done, Recovered), done
    world.open("aurelia")
    world.tick(3_600_000_000)  # a recovery goes by the clock of the system
    world.resume_all("aurelia")
    return done


def own_log(world: World) -> str:
    (found,) = (each.origin for each in list_relationships(world.nodes["aurelia"]) if each.closed_at is None)
    return found


def seen(world: World) -> dict[str, Seen]:
    with world.nodes["borealia"].store.read() as transaction:
        return receipts.read_seen(transaction, GIVER)


def test_what_was_lost_is_kept_and_the_rest_is_held_against_what_was_seen_of_it(world: World) -> None:
    node, log = world.nodes["borealia"], own_log(world)
    before = seen(world)[log]
    assert before.size == 4
    recover(world)
    world.deliver()
    with node.store.read() as transaction:
        (lost,) = receipts.list_lost(transaction)
        ended = receipts.read_ended(transaction, GIVER)
    assert (lost.origin, lost.size, lost.held, lost.checkpoint) == (log, 4, 2, before.checkpoint)
    assert ended[log] == 2
    (item,) = (item for item in list_work(node) if item.kind is WorkKind.LOG_LOST)
    assert (item.party, item.count) == (GIVER, 2)
    world.tick(31 * 86_400_000_000)
    assert WorkKind.LOG_LOST not in {item.kind for item in list_work(node)}
    # The receipts of what was lost are set aside; the greatest head within what is left is the measure from here on.
    assert last(world) == 2
    assert node.store.row("SELECT COUNT(*) FROM receipt_set_aside") == (2,)
    left = seen(world)[log]
    assert left.size == 2
    kept = parse_receipt(find_kept_receipt(node, GIVER, 2)[1])
    assert left.checkpoint == kept.proof.checkpoint
    assert examine_folder(node.folder).is_sound


def test_another_beginning_of_a_log_that_ended_is_refused(world: World) -> None:
    """Whoever says to have lost the end of a log cannot show another beginning of it."""
    log = own_log(world)
    recover(world)
    world.deliver()
    giver, receiver = world.nodes["aurelia"], world.nodes["borealia"]
    data = give_receipt(giver, RECEIVER, 2)
    expected = replace(expect_receipt(receiver, GIVER, 2), sequence=2, bound={})
    assert expected.seen[log].size == 2
    assert verify_next(data, b"", expected, now=Instant(world.now)).verified.sequence == 2
    forged = replace(expected.seen[log], root=bytes(32))
    with pytest.raises(ReceiptRefused, match="not one history"):
        verify_next(data, b"", replace(expected, seen={log: forged}), now=Instant(world.now))


def test_what_did_not_come_yet_of_a_log_that_ended_is_still_taken(world: World) -> None:
    """Its number is before those of the next log, and it is in a tree that is consistent with what was seen."""
    giver, receiver = world.nodes["aurelia"], world.nodes["borealia"]
    for name in "ef":
        world.add("aurelia", make_object(name))
        world.tick()
        poll(world)
    make_backup(giver.folder, world.folder / "all", secrets=True)
    log = own_log(world)
    recover(world, backup="all")
    world.deliver()
    assert last(world) == 4
    keep_missing(receiver, [show(world, 5)])
    assert last(world) == 5
    assert seen(world)[log].size == 6
    give_more(world)


def give_more(world: World) -> None:
    keep_missing(world.nodes["borealia"], [show(world, 6)])
    give(world, "g")
    assert last(world) == 7


def test_the_log_that_follows_is_the_one_that_was_told_and_no_other(world: World) -> None:
    recover(world)
    world.deliver()
    receiver = world.nodes["borealia"]
    expected = expect_receipt(receiver, GIVER, 3)
    (following,) = set(expected.bound.values())
    give(world, "e")
    assert own_log(world) == following
    assert set(seen(world)) >= {following}
    data = give_receipt(world.nodes["aurelia"], RECEIVER, 3)
    other = dict.fromkeys(expected.bound, "comity/aurelia/0123456789abcdef")
    with pytest.raises(ReceiptRefused, match="is in comity/aurelia/0123456789abcdef"):
        verify_next(data, b"", replace(expected, bound=other), now=Instant(world.now))


def acknowledged(world: World) -> int | None:
    """What borealia acknowledges now, taken by aurelia; None where it has said all."""
    made = acknowledge(world.nodes["borealia"], GIVER)
    if made is None:
        return None
    said = take_acknowledgement(world.nodes["aurelia"], made[1])
    settle_acknowledgement(world.nodes["borealia"], GIVER, said.sequence)
    world.tick()
    return said.sequence


def test_what_is_numbered_anew_is_acknowledged_anew_and_both_audits_are_clean(world: World) -> None:
    assert acknowledged(world) == 4
    recover(world)
    world.deliver()
    assert acknowledged(world) == 2, "what aurelia has left"
    give(world, "e")
    assert acknowledged(world) == 3
    assert acknowledged(world) is None
    give(world, "f")
    assert acknowledged(world) == 4
    assert [problems(world, name) for name in ("aurelia", "borealia")] == [[], []]


def test_what_is_kept_as_received_later_is_named_after_a_recovery_too(world: World) -> None:
    """Of the log that goes on and of the one that ended alike."""
    assert acknowledged(world) == 4
    recover(world)
    world.deliver()
    give(world, "e")
    assert acknowledged(world) == 3
    days = 30 * 86_400_000_000
    edit(world, f"UPDATE receipt SET received_at = received_at + {days} WHERE sequence > 1", name="borealia")
    found = [each.partition(" was acknowledged at")[0] for each in problems(world, "borealia")]
    assert [each for each in found if each.startswith("disclosure")] == [
        "disclosure 2 of aurelia",
        "disclosure 3 of aurelia",
    ]


def test_after_a_second_recovery_the_log_after_that_is_told(world: World) -> None:
    """Nothing was given in the one in between, which partners were told of all the same."""
    first = recover(world)
    world.deliver()
    make_backup(world.nodes["aurelia"].folder, world.folder / "second", secrets=True)
    second = recover(world, backup="second")
    assert second.recovery.previous == first.recovery.origin
    world.deliver()
    give(world, "e")
    assert last(world) == 3


def test_what_was_first_given_after_the_backup_is_told_to_have_ended_too(world: World) -> None:
    """The store of the giver knows of no log of it, but how it was called."""
    world.sign_all(world.terms(title="Later"))
    make_backup(world.nodes["aurelia"].folder, world.folder / "later", secrets=True)
    with world.nodes["borealia"].store.read() as transaction:
        known = set(receipts.read_seen(transaction, GIVER))
    targets = {target.terms for target in plan(world)}
    assert len(targets) == 2
    take_all(world)
    (opened,) = set(seen(world)) - known
    recover(world, backup="later")
    world.deliver()
    with world.nodes["borealia"].store.read() as transaction:
        ended = receipts.read_ended(transaction, GIVER)
        bound = receipts.read_bound(transaction, GIVER)
    assert ended[opened] == 0
    assert opened not in bound.values()
    take_all(world)
    assert set(seen(world)) & set(bound.values())


def plan(world: World) -> list[Target]:
    return list(plan_pull(world.nodes["borealia"], GIVER))


def take_all(world: World) -> None:
    """Everything that aurelia has for borealia, over HTTP."""
    with Served.start(world.nodes["aurelia"]) as served:
        add_party(world.nodes["borealia"], export_manifest(world.nodes["aurelia"]), digest=None, url=served.url)
        pulled = asyncio.run(peers.pull(world.nodes["borealia"], GIVER))
    assert [item.refused for item in pulled] == [None] * len(pulled)


# --- statements that were made up -------------------------------------------------------------------------------------


AGREEMENT, NEXT = AgreementId(Digest("ab" * 32)), next_origin(GIVER, b"\x05" * 8)


def say(
    world: World,
    *ended: EndedLog,
    position: int = 0,
    origin: str = house_origin(GIVER, b"\x01" * 8),
    whole: bool = True,
) -> bytes:
    """A statement of aurelia; with `whole` it leaves nothing out."""
    node = world.nodes["aurelia"]
    with node.store.read() as transaction:
        row = transaction.row("SELECT checkpoint FROM log_head WHERE log = 0 ORDER BY size DESC LIMIT 1")
    assert row is not None
    recovery = Recovery(origin=origin, previous=node.origin, known=bytes(row[0]))
    filled = tuple(replace(each, agreement=each.agreement or AGREEMENT, next=each.next or NEXT) for each in ended)
    logs = filled if whole else ended
    said = Succession(party=GIVER, recovery=recovery, position=position, at=Instant(world.now), logs=logs)
    signers = [node.signers[KeyRole.MANIFEST]]
    return format_signed_document(sign_document(SUCCESSION_TYPE, format_succession(said), signers))


def test_a_statement_forgets_nothing_however_much_it_says_to_be_lost(world: World) -> None:
    node, log = world.nodes["borealia"], own_log(world)
    before = seen(world)[log]
    receive_succession(node, say(world, EndedLog(origin=log, size=0, next=next_origin(GIVER, bytes(8)))))
    with node.store.read() as transaction:
        assert [(lost.size, lost.held) for lost in receipts.list_lost(transaction, GIVER)] == [(4, 0)]
        assert receipts.list_lost(transaction, PartyId("meridia")) == []
    assert before.checkpoint == lost_head(node)
    assert node.store.row("SELECT COUNT(*) FROM receipt_set_aside") == (4,)
    assert last(world) == 0
    with pytest.raises(ReceiptRefused, match="ended with 0 entries"):
        show(world, 1)


def lost_head(node: Node) -> bytes:
    row = node.store.row("SELECT checkpoint FROM lost_head")
    assert row is not None
    return bytes(row[0])


def test_a_statement_that_nothing_was_lost_leaves_the_measure_as_it_was(world: World) -> None:
    node, log = world.nodes["borealia"], own_log(world)
    before = seen(world)
    receive_succession(node, say(world, EndedLog(origin=log, size=4), position=1_000))
    assert seen(world) == before
    assert last(world) == 4
    with node.store.read() as transaction:
        assert receipts.list_lost(transaction) == []


def test_a_statement_costs_one_receipt_for_each_log_however_many_are_kept(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = list[bytes]()

    def note(data: bytes) -> Place:
        read.append(data)
        return read_place(data)

    monkeypatch.setattr(succession, "read_place", note)
    for name in "efgh":
        give(world, name)
    receive_succession(world.nodes["borealia"], say(world, EndedLog(origin=own_log(world), size=1)))
    assert len(read) == 1
    assert last(world) == 1


def test_the_next_log_is_told_for_the_agreement_before_anything_was_seen_of_it(world: World) -> None:
    node = world.nodes["borealia"]
    (found,) = list_relationships(world.nodes["aurelia"])
    following = next_origin(GIVER, b"\x07" * 8)
    never = next_origin(GIVER, b"\x08" * 8)
    with node.store.write() as transaction:
        transaction.run("DELETE FROM seen_checkpoint")
    ended = EndedLog(origin=never, size=0, agreement=found.agreement, next=following)
    receive_succession(node, say(world, ended, position=1_000))
    with node.store.read() as transaction:
        assert set(receipts.read_bound(transaction, GIVER).values()) == {following}


@pytest.mark.parametrize(
    "follows", ["comity/aurelia", "comity/aurelia/house/0101010101010101", "comity/borealia/" + "00" * 8]
)
def test_what_follows_a_log_of_a_relationship_is_one(world: World, follows: str) -> None:
    with pytest.raises(MalformedError):
        receive_succession(
            world.nodes["borealia"], say(world, EndedLog(origin=own_log(world), size=4, next=follows), position=1_000)
        )


@pytest.mark.parametrize(("position", "held"), [(7, True), (3, True), (2, False)])
def test_a_house_that_is_called_as_before_is_held_against_the_name_before(
    world: World, position: int, held: bool
) -> None:
    """Statements that were on record when houses' logs were called as those of relationships still are."""
    node, origin = world.nodes["borealia"], next_origin(GIVER, b"\x09" * 8)
    before = Seen(size=3, root=bytes(32), checkpoint=b"x")
    with node.store.write() as transaction:
        receipts.write_seen(transaction, GIVER, "comity/aurelia", before, agreement=None, now=Instant(world.now))
        envelope = say(world, position=position, origin=origin)
        successions.add_succession(transaction, origin, party=GIVER, envelope=envelope, now=Instant(world.now))
    assert expect_receipt(node, GIVER, 5).seen.get(origin) == (before if held else None)


@pytest.mark.parametrize("left_out", ["agreement", "next"])
def test_what_follows_a_log_that_ended_is_not_left_out(world: World, left_out: str) -> None:
    """Else the next one could be any."""
    ended = EndedLog(origin=own_log(world), size=4, agreement=AGREEMENT, next=NEXT)
    short = replace(ended, **{left_out: None})  # type: ignore[arg-type]
    node = world.nodes["borealia"]
    with pytest.raises(MalformedError, match="without its agreement, or what follows it"):
        receive_succession(node, say(world, short, position=1_000, whole=False))
    with node.store.read() as transaction:
        assert receipts.read_ended(transaction, GIVER) == {}


def test_a_log_is_named_once(world: World) -> None:
    twice = [EndedLog(origin=own_log(world), size=size) for size in (1, 2)]
    payload = parse_signed_document(say(world, *twice)).payload
    with pytest.raises(MalformedError, match="twice"):
        parse_succession(payload)


def test_places_are_those_of_the_proofs_in_stores_of_before(world: World) -> None:
    """What the migration reads out of receipts that were kept without their places."""
    node = world.nodes["borealia"]
    migration = Path(receipts.__file__).parent / "migrations" / "0028_origins.sql"
    text = migration.read_text()
    filling = text[text.index("CREATE TABLE proof_before") : text.index("CREATE INDEX receipt_by_log")]
    with node.store.read() as transaction:
        before = transaction.rows("SELECT sequence, origin, place, tree FROM receipt ORDER BY sequence")
    with node.store.write() as transaction:
        transaction.run("UPDATE receipt SET origin = '', place = 0, tree = 0")
        transaction.run(filling)
        assert transaction.rows("SELECT sequence, origin, place, tree FROM receipt ORDER BY sequence") == before
    for sequence, origin, place, tree in before:
        proof = parse_receipt(find_kept_receipt(node, GIVER, int(str(sequence)))[1]).proof
        checkpoint = parse_checkpoint(parse_note(proof.checkpoint).text)
        assert (origin, place, tree) == (checkpoint.origin, proof.index, checkpoint.size)
