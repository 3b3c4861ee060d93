# SPDX-License-Identifier: Apache-2.0
"""What rests on a party's keys goes on when they are other ones: receipts, witnesses, recovery, backups, the audit."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from comity.agreement.people import Role as PersonRole
from comity.canonical import sha256_digest
from comity.errors import NotFoundError, ReceiptRefused
from comity.ids import Instant, PartyId
from comity.keys import Keyring
from comity.node.audit import audit_folder
from comity.node.backup import make_backup, restore_backup
from comity.node.clock import draw_bytes
from comity.node.delivery import expect_receipt, find_kept_receipt
from comity.node.follow import plan_pull
from comity.node.heads import sign_head
from comity.node.journal import verify_folder
from comity.node.lineage import read_chain
from comity.node.node import open_node
from comity.node.parties import add_party, export_manifest, find_manifest
from comity.node.people import Actor, Waiting
from comity.node.receipts import give_consistency, give_receipt
from comity.node.receive import Received, receive_shown
from comity.node.recovery import Recovered, recover_folder
from comity.node.rotation import Rotated, protect_keys, revoke_key, rotate_keys
from comity.node.soundness import examine_folder
from comity.node.witness import add_checkpoint
from comity.operations.showing import verify_files
from comity.release.delivery import find_sizes, verify_next
from comity.release.receipt import parse_receipt, verify_receipt
from comity.signing import Manifest, Role, Signer
from comity.store import log
from comity.tlog.merkle import consistency_proof
from comity.tlog.note import parse_checkpoint, parse_note
from comity.tlog.witness import format_add_checkpoint
from tests.worlds import World, make_object

GIVER, RECEIVER = PartyId("aurelia"), PartyId("borealia")
PASSPHRASE = b"seven words that nobody has written down"


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path)
    made.found("aurelia", "borealia")
    made.sign_all(made.terms())
    made.add("aurelia", make_object("a"))
    add_party(made.nodes["borealia"], export_manifest(made.nodes["aurelia"]), digest=None, url="http://127.0.0.1:1")
    yield made
    made.close()


def both(world: World, act: Callable[[Actor], object]) -> object:
    first = act(world.actor("aurelia", PersonRole.LIAISON))
    return act(world.actor("aurelia", PersonRole.LEGAL)) if isinstance(first, Waiting) else first


def rotate(world: World) -> None:
    done = both(world, lambda by: rotate_keys(world.nodes["aurelia"], tuple(Role), by=by))
    assert isinstance(done, Rotated)
    world.deliver()


def pull(world: World) -> int:
    """The number of a disclosure that borealia has got, with the receipt that shows it."""
    page = b'{"objects":[' + b",".join(item.data for item in world.poll("borealia").items) + b"]}"
    node = world.nodes["borealia"]
    with world.nodes["aurelia"].store.read() as transaction:
        number = log.read_sequence(transaction, RECEIVER)
    expected = expect_receipt(node, GIVER, number)
    data = give_receipt(world.nodes["aurelia"], RECEIVER, number)
    sizes = find_sizes(data, expected.seen)
    proof = b"" if sizes is None else give_consistency(world.nodes["aurelia"], RECEIVER, *sizes)
    (target,) = plan_pull(node, GIVER)
    received = Received(
        giver=GIVER,
        terms=target.terms,
        channel=target.channel,
        collection=target.collection,
        added_after=Instant(world.now),
    )
    receive_shown(node, page, received, verify_next(data, proof, expected, now=world.now))
    return number


def manifests(world: World) -> list[Manifest]:
    with world.nodes["borealia"].store.read() as transaction:
        return [version.manifest for version in read_chain(transaction, GIVER)]


def test_receipts_of_before_and_after_are_shown_by_the_manifest_of_their_time(world: World) -> None:
    before = pull(world)
    rotate(world)
    world.tick()
    after = pull(world)
    first, second = manifests(world)
    for number, good, bad in ((before, first, second), (after, second, first)):
        _, data = find_kept_receipt(world.nodes["borealia"], GIVER, number)
        assert verify_receipt(parse_receipt(data), manifests=[bad, good]).manifest == good.digest
    found = audit_folder(world.nodes["aurelia"].folder, now=world.now)
    assert (found.found, found.decided) == (0, 2)
    assert examine_folder(world.nodes["aurelia"].folder).is_sound


@pytest.mark.parametrize("holder", ["aurelia", "borealia"])
def test_the_manifest_of_a_time_is_found_with_both_and_shows_the_receipt_of_that_time(
    world: World, holder: str
) -> None:
    before, at = pull(world), world.now
    world.tick()
    rotate(world)
    node = world.nodes[holder]
    first, second = find_manifest(node, GIVER, number=1), find_manifest(node, GIVER, number=2)
    assert first != second == find_manifest(node, GIVER) == export_manifest(world.nodes["aurelia"])
    assert find_manifest(node, GIVER, at=at) == first
    assert find_manifest(node, GIVER, at=world.now) == second
    _, data = find_kept_receipt(world.nodes["borealia"], GIVER, before)
    shown = verify_files(data, manifests={"now": second, "then": first}, policy=None, objects={})
    assert shown["manifest"] == manifests(world)[0].digest
    with pytest.raises(ReceiptRefused, match=r"checkpoint: .* the manifest of its time is needed too"):
        verify_files(data, manifests={"now": second}, policy=None, objects={})
    for number, when in ((3, None), (2, at), (None, Instant(0))):
        with pytest.raises(NotFoundError, match=r"kept are, by number: 1 of \S+, 2 of"):
            find_manifest(node, GIVER, number=number, at=when)
    with pytest.raises(NotFoundError, match="meridia is not a party this node knows"):
        find_manifest(node, PartyId("meridia"))


def test_what_a_stolen_log_key_signed_is_shown_by_no_old_manifest_beside_the_one_that_revokes_it(world: World) -> None:
    """The thief has the folder of before, and writes whatever time it likes."""
    node, folder = world.nodes["aurelia"], world.nodes["aurelia"].folder
    old = export_manifest(node)
    node.close()
    shutil.copytree(folder, folder.with_name("thief"))
    honest = world.open("aurelia")
    assert isinstance(revoke_key(honest, Role.LOG, since=world.now, by=world.actor("aurelia")), Rotated)
    new = export_manifest(honest)
    world.nodes["aurelia"] = thief = open_node(folder.with_name("thief"))
    thief.clock = lambda: Instant(world.now)
    world.poll("borealia")
    stolen = give_receipt(thief, PartyId("borealia"), 1)
    for files in ({"old": old, "new": new}, {"new": new, "old": old}):
        with pytest.raises(ReceiptRefused, match="called revoked since"):
            verify_files(stolen, manifests=files, policy=None, objects={})
    honest.close()


def test_an_honest_receipt_of_before_a_theft_is_made_anew_with_the_key_of_now(world: World) -> None:
    number = pull(world)
    old = export_manifest(world.nodes["aurelia"])
    assert isinstance(revoke_key(world.nodes["aurelia"], Role.LOG, since=world.now, by=world.actor("aurelia")), Rotated)
    anew = give_receipt(world.nodes["aurelia"], PartyId("borealia"), number)
    files = {"old": old, "new": export_manifest(world.nodes["aurelia"])}
    assert verify_files(anew, manifests=files, policy=None, objects={})["giver"] == "aurelia"


def ask_witness(world: World, *, old_size: int, signer: Signer | None = None) -> tuple[int, int]:
    """The status that borealia answers with, and the size of the head it was asked about; `signer` signs it anew."""
    node = world.nodes["aurelia"]
    with node.store.read() as transaction:
        head = log.read_head(transaction) or b""
        checkpoint = parse_checkpoint(parse_note(head).text)
        size = checkpoint.size
        if signer is not None:
            head = sign_head(checkpoint.origin, size, checkpoint.root, signer=signer)
        proof = consistency_proof(lambda level, at: log.read_tile(transaction, level, at), old_size, size)
    answer = add_checkpoint(world.nodes["borealia"], GIVER, format_add_checkpoint(old_size, proof, head))
    return answer.status, size


def test_a_witness_knows_the_log_by_its_new_key(world: World) -> None:
    old = world.nodes["aurelia"].signers[Role.LOG]
    status, size = ask_witness(world, old_size=0)
    assert status == 200
    done = both(world, lambda by: rotate_keys(world.nodes["aurelia"], tuple(Role), by=by))
    assert isinstance(done, Rotated)
    # Until the manifest has come, the new key is nobody's.
    assert ask_witness(world, old_size=size)[0] == 403
    world.deliver()
    # From then on it is the old one, which is told how far the log is: a store that was put back has only that.
    assert ask_witness(world, old_size=size, signer=old)[0] == 409
    assert ask_witness(world, old_size=size)[0] == 200


def test_a_log_is_recovered_after_its_key_was_replaced(world: World, tmp_path: Path) -> None:
    world.poll("borealia")
    rotate(world)
    world.poll("borealia")
    node = world.nodes["aurelia"]
    make_backup(node.folder, tmp_path / "backup", secrets=True)
    world.poll("borealia")
    node.close()
    node.folder.rename(tmp_path / "lost")
    restore_backup(tmp_path / "backup", node.folder)
    shutil.copytree(tmp_path / "lost" / "badges", node.folder / "badges")
    done: object = None
    for role in (PersonRole.LIAISON, PersonRole.LEGAL):
        badge = world.badges["aurelia", role]
        done = recover_folder(node.folder, reason="disk lost", badge=badge, role=None, why=None)
    assert isinstance(done, Recovered), done
    world.open("aurelia")
    world.resume_all("aurelia")
    rotate(world)
    world.poll("borealia")
    verified = verify_folder(node.folder)
    assert verified.origin == done.recovery.origin
    assert audit_folder(node.folder, now=world.now).found == 0
    assert examine_folder(node.folder).is_sound


def test_encrypted_keys_are_backed_up_as_they_lie_there(world: World, tmp_path: Path) -> None:
    node = world.nodes["aurelia"]
    protect_keys(node, PASSPHRASE)
    make_backup(node.folder, tmp_path / "backup", secrets=True, unlock=lambda: PASSPHRASE)
    node.close()
    restored = tmp_path / "restored"
    restore_backup(tmp_path / "backup", restored)
    assert Keyring(restored / "keys", None, draw_bytes).list_plain() == ()
    assert examine_folder(restored).is_sound
    done: object = None
    for role in (PersonRole.LIAISON, PersonRole.LEGAL):
        done = recover_folder(
            restored,
            reason="moved",
            badge=world.badges["aurelia", role],
            role=None,
            why=None,
            unlock=lambda: PASSPHRASE,
        )
    assert isinstance(done, Recovered)
    again = open_node(restored, lambda: PASSPHRASE)
    assert {signer.public_key for signer in again.signers.values()} == {
        signer.public_key for signer in node.signers.values()
    }
    again.close()
    assert sha256_digest((restored / "keys" / "log.pem").read_bytes()) == sha256_digest(
        (node.folder / "keys" / "log.pem").read_bytes()
    )
