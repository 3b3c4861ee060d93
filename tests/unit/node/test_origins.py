# SPDX-License-Identifier: Apache-2.0
"""A log that goes on under another name, and what a node that witnesses it makes of that: one history, however called.

Each test plays an owner that would have two, a thief who puts a store back, or an operator who does so by mistake.
"""

import logging
import os
import shutil
from pathlib import Path

import pytest

from comity.agreement.people import Role as PersonRole
from comity.errors import ConflictError, CorruptionError, MalformedMessage, NotFoundError, StoreFull, VerificationError
from comity.ids import Instant
from comity.node import cosigning, kept
from comity.node import witness as node_witness
from comity.node.backup import make_backup, restore_backup
from comity.node.recovery import Recovered, recover_folder
from comity.node.rotation import revoke_key
from comity.node.soundness import examine_folder
from comity.node.succession import list_successions, receive_succession
from comity.node.witness import add_checkpoint, list_evidence, list_witnessed, take_checkpoint
from comity.release.recovery import (
    SUCCESSION_TYPE,
    Recovery,
    Succession,
    format_contradiction,
    format_succession,
    verify_contradiction,
)
from comity.signing import Role, format_signed_document, sign_document
from comity.tlog.evidence import Verdict, parse_fork_evidence, verify_fork_evidence
from comity.tlog.note import VerifierKey
from comity.tlog.origin import house_origin, next_origin
from comity.tlog.witness import Seen
from tests.unit.node.test_rotation import rotate
from tests.unit.node.test_witness import BOREALIA, PartnerLog, ask
from tests.unit.test_audit import alter
from tests.worlds import World

FIRST, NEXT, OTHER = "comity/borealia", house_origin(BOREALIA, b"\x01" * 8), house_origin(BOREALIA, b"\x02" * 8)
DAY = 86_400_000_000


def state(
    world: World, *, position: int, origin: str = NEXT, previous: str = FIRST, by: Role = Role.MANIFEST, size: int = 12
) -> bytes:
    """Borealia's statement that the log `previous` goes on as `origin` from that entry on."""
    before = PartnerLog(world, 20)
    before.origin = previous
    said = Succession(
        party=BOREALIA,
        recovery=Recovery(origin=origin, previous=previous, known=before.checkpoint(size)),
        position=position,
        at=Instant(world.now),
    )
    signer = world.nodes["borealia"].signers[by]
    return format_signed_document(sign_document(SUCCESSION_TYPE, format_succession(said), [signer]))


def go_on(world: World, length: int, *, common: int = 20, origin: str = NEXT) -> PartnerLog:
    """The log under its next name, with so many entries of the one before."""
    log = PartnerLog(world, length, branch="next", common=min(common, length))
    log.origin = origin
    return log


def sizes(world: World) -> dict[str, int]:
    return {head.origin: head.size for head in list_witnessed(world.nodes["aurelia"].store)}


# --- a further name of one log ------------------------------------------------------------------------------------


def test_a_house_goes_on_under_a_name_that_it_has_spoken_of_and_no_other(world: World) -> None:
    assert ask(world, PartnerLog(world, 20).request(0, 12))[0] == 200
    log = go_on(world, 20, common=15)
    for body in (log.request(0, 20), log.request(12, 20)):
        with pytest.raises(NotFoundError, match="has not said that the log of its house goes on as"):
            ask(world, body)
    assert sizes(world) == {FIRST: 12}


def test_it_has_to_contain_what_was_cosigned_before(world: World) -> None:
    """The proof is asked for as C2SP has it: the size that has to be proved from is in the answer."""
    assert ask(world, PartnerLog(world, 20).request(0, 12))[0] == 200
    receive_succession(world.nodes["aurelia"], state(world, position=15))
    log = go_on(world, 20, common=15)
    assert ask(world, log.request(0, 20)) == (409, b"12\n")
    assert ask(world, log.request(12, 20))[0] == 200
    assert sizes(world) == {FIRST: 12, NEXT: 20}
    assert ask(world, log.request(20, 20))[0] == 200
    assert list_evidence(world.nodes["aurelia"].store) == []


def test_one_that_does_not_contain_it_is_refused_and_kept_as_evidence(world: World) -> None:
    node = world.nodes["aurelia"]
    assert ask(world, PartnerLog(world, 20).request(0, 12))[0] == 200
    receive_succession(node, state(world, position=15))
    fork = go_on(world, 20, common=5)
    assert ask(world, fork.request(12, 20))[0] == 422
    (found,) = list_evidence(node.store)
    keys = [VerifierKey(name=name, type=fork.key.type, public_key=fork.key.public_key) for name in (FIRST, NEXT)]
    shown = verify_fork_evidence(parse_fork_evidence(found.evidence), keys)
    # An accusation: the party may have lost entries, and is asked.
    assert (shown.verdict, shown.first.origin, shown.second.origin) == (Verdict.ACCUSED, FIRST, NEXT)
    assert sizes(world) == {FIRST: 12}


def test_the_name_before_is_not_cosigned_any_more(world: World) -> None:
    node, log = world.nodes["aurelia"], PartnerLog(world, 20)
    assert ask(world, log.request(0, 12))[0] == 200
    receive_succession(node, state(world, position=15))
    # Nothing was cosigned under the next name yet: it is over all the same.
    assert ask(world, log.request(12, 13)) == (409, b"15\n")
    assert ask(world, go_on(world, 18, common=15).request(12, 18))[0] == 200
    assert ask(world, log.request(12, 16)) == (409, b"18\n")
    assert list_evidence(node.store) == []
    # Two heads after one: what is over more than was cosigned under the next name contradicts that.
    assert ask(world, log.request(12, 20))[0] == 422
    (found,) = list_evidence(node.store)
    evidence = parse_fork_evidence(found.evidence)
    keys = [VerifierKey(name=name, type=log.key.type, public_key=log.key.public_key) for name in (FIRST, NEXT)]
    assert verify_fork_evidence(evidence, keys).verdict is Verdict.ACCUSED
    assert sizes(world) == {FIRST: 12, NEXT: 18}


def test_what_was_lost_is_kept_and_the_rest_is_held_against_what_was_cosigned_of_it(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    """The heads of days before stay: whoever says to have lost the last entry cannot write all others anew."""
    log, node = PartnerLog(world, 20), world.nodes["aurelia"]
    for old, new in ((0, 5), (5, 9), (9, 12)):
        assert ask(world, log.request(old, new))[0] == 200
        world.tick(DAY)
    assert ask(world, log.request(12, 18))[0] == 200
    receive_succession(node, state(world, position=10, size=18))
    forged = go_on(world, 20, common=8)
    assert ask(world, forged.request(0, 20)) == (409, b"9\n")
    assert ask(world, forged.request(9, 20))[0] == 422
    with caplog.at_level(logging.ERROR, "comity.witness"):
        assert ask(world, go_on(world, 20, common=10).request(9, 20))[0] == 200
    assert "says that it has lost entries that were cosigned here" in caplog.text
    assert sizes(world) == {FIRST: 18, NEXT: 20}


def test_a_log_that_goes_on_twice_over_is_held_against_the_name_that_was_cosigned(world: World) -> None:
    """Of the names between the two nothing was ever shown here."""
    assert ask(world, PartnerLog(world, 20).request(0, 12))[0] == 200
    node = world.nodes["aurelia"]
    receive_succession(node, state(world, position=14))
    receive_succession(node, state(world, position=16, origin=OTHER, previous=NEXT, size=15))
    log = go_on(world, 20, common=14, origin=OTHER)
    assert ask(world, log.request(0, 20)) == (409, b"12\n")
    assert ask(world, log.request(12, 20))[0] == 200
    for name in (FIRST, NEXT):
        again = PartnerLog(world, 20)
        again.origin = name
        assert ask(world, again.request(0, 13))[0] == 409


# --- statements -------------------------------------------------------------------------------------------------------


def test_a_log_goes_on_once_and_a_second_statement_is_a_proof(world: World, tmp_path: Path) -> None:
    node, first = world.nodes["aurelia"], state(world, position=15)
    receive_succession(node, first)
    for second in (state(world, position=15, origin=OTHER), state(world, position=14)):
        with pytest.raises(ConflictError, match="has said something else of what follows comity/borealia"):
            receive_succession(node, second)
    assert not receive_succession(node, first).new
    with node.store.read() as transaction:
        assert [each.recovery.origin for each in list_successions(transaction, BOREALIA)] == [NEXT]
    found = list_evidence(node.store)
    assert [(one.origin, one.proved) for one in found] == [(FIRST, True)] * 2
    manifests = list(world.manifests.values())
    shown = [verify_contradiction(one.evidence, manifests) for one in found]
    assert {each.recovery.origin for pair in shown for each in pair} == {NEXT, OTHER}
    with pytest.raises(VerificationError):
        verify_contradiction(found[0].evidence, [world.manifests["aurelia"]])


def test_two_statements_that_can_stand_beside_one_another_show_nothing(world: World) -> None:
    first, after = state(world, position=15), state(world, position=16, origin=OTHER, previous=NEXT)
    for second in (first, after):
        data = format_contradiction(first, second, noted_at=Instant(world.now))
        with pytest.raises(VerificationError, match="shows nothing"):
            verify_contradiction(data, list(world.manifests.values()))


def test_a_log_of_a_relationship_is_no_name_that_a_house_goes_on_as(world: World) -> None:
    """A witness takes such a one for a log that begins anew."""
    with pytest.raises(MalformedMessage, match="no name of a house's log"):
        receive_succession(world.nodes["aurelia"], state(world, position=15, origin=next_origin(BOREALIA, bytes(8))))


def test_a_statement_by_another_key_is_none(world: World) -> None:
    with pytest.raises(VerificationError):
        receive_succession(world.nodes["aurelia"], state(world, position=15, by=Role.LOG))


# --- a store that was put back ----------------------------------------------------------------------------------------


@pytest.fixture
def log(world: World) -> PartnerLog:
    return PartnerLog(world, 100)


def put_back(world: World, copy: Path) -> None:
    """The store of aurelia from before, in the place of its own; its log has not grown since, so that it opens."""
    node = world.nodes["aurelia"]
    node.close()
    for name in ("store.db-wal", "store.db-shm"):
        (node.folder / name).unlink(missing_ok=True)
    shutil.copyfile(copy, node.folder / "store.db")
    world.open("aurelia")


def copy_store(world: World, place: Path) -> Path:
    node = world.nodes["aurelia"]
    node.close()
    shutil.copyfile(node.folder / "store.db", place)
    world.open("aurelia")
    return place


def test_a_witness_whose_store_was_put_back_knows_what_it_cosigned(
    world: World, log: PartnerLog, tmp_path: Path
) -> None:
    fork = PartnerLog(world, 100, branch="fork", common=5)
    assert ask(world, log.request(0, 5))[0] == 200
    copy = copy_store(world, tmp_path / "copy")
    assert ask(world, log.request(5, 50))[0] == 200
    put_back(world, copy)
    assert sizes(world) == {FIRST: 5}
    assert ask(world, fork.request(5, 50)) == (409, b"50\n")
    assert ask(world, fork.request(50, 50)) == (409, b"50\n")
    (found,) = list_evidence(world.nodes["aurelia"].store)
    assert found.proved
    assert ask(world, log.request(50, 60))[0] == 200
    assert sizes(world) == {FIRST: 60}


def test_a_witness_whose_store_was_put_back_knows_what_a_log_is_called(
    world: World, log: PartnerLog, tmp_path: Path
) -> None:
    """The store is from before the statement came: the name before is over all the same, and the next one goes on."""
    assert ask(world, log.request(0, 5))[0] == 200
    copy = copy_store(world, tmp_path / "copy")
    receive_succession(world.nodes["aurelia"], state(world, position=15))
    after = go_on(world, 60, common=15)
    assert ask(world, after.request(5, 20))[0] == 200
    put_back(world, copy)
    assert ask(world, log.request(5, 18)) == (409, b"20\n")
    assert ask(world, log.request(5, 50))[0] == 422
    assert ask(world, after.request(20, 60))[0] == 200
    assert ask(world, log.request(5, 50)) == (409, b"60\n")


def test_a_witness_that_lost_its_files_too_cosigns_nothing_by_that_key(
    world: World, log: PartnerLog, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assert ask(world, log.request(0, 5))[0] == 200
    shutil.rmtree(world.nodes["aurelia"].folder / kept.FOLDER)
    with caplog.at_level(logging.ERROR, "comity.witness"):
        assert ask(world, log.request(5, 50)) == (503, b"stopped\n")
    assert "cosigns nothing by this key" in caplog.text
    assert sizes(world) == {FIRST: 5}
    rotate_witness(world)
    assert ask(world, log.request(5, 50))[0] == 200


def rotate_witness(world: World) -> None:
    rotate(world, "aurelia", Role.WITNESS)


def test_a_file_is_ahead_of_the_store_by_what_a_crash_left_and_never_behind(
    world: World, log: PartnerLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    def write_and_die(folder: Path, seen: Seen) -> None:
        real(folder, seen)
        raise KeyboardInterrupt

    real = kept.write_kept
    assert ask(world, log.request(0, 5))[0] == 200
    with monkeypatch.context() as patched:
        patched.setattr(node_witness, "write_kept", write_and_die)
        with pytest.raises(KeyboardInterrupt):
            ask(world, log.request(5, 50))
    assert sizes(world) == {FIRST: 5}
    # It may have been cosigned: the log is told so, and has it.
    assert ask(world, log.request(5, 60)) == (409, b"50\n")
    assert ask(world, log.request(50, 60))[0] == 200


def test_what_cannot_be_kept_beside_the_store_is_not_cosigned(
    world: World, log: PartnerLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    assert ask(world, log.request(0, 5))[0] == 200
    monkeypatch.setattr(node_witness, "write_kept", fail)
    with pytest.raises(StoreFull):
        ask(world, log.request(5, 50))
    assert sizes(world) == {FIRST: 5}


def test_a_head_has_its_name_on_the_disk_before_the_act_that_cosigns_it_is_committed(
    world: World, log: PartnerLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = list[str]()

    def sync(handle: int) -> None:
        real_sync(handle)
        if os.fstat(handle).st_ino == (world.nodes["aurelia"].folder / kept.FOLDER).stat().st_ino:
            done.append("its folder is on the disk")

    def rename(path: Path, target: Path) -> Path:
        done.append("it has its name")
        return real_rename(path, target)

    real_sync, real_rename = os.fsync, Path.replace
    monkeypatch.setattr(os, "fsync", sync)
    monkeypatch.setattr(Path, "replace", rename)
    assert ask(world, log.request(0, 5))[0] == 200
    assert done[:2] == ["it has its name", "its folder is on the disk"]


def test_a_file_that_was_altered_stops_its_log_alone_and_is_found(world: World, log: PartnerLog) -> None:
    other = PartnerLog(world, 20)
    other.origin = next_origin(BOREALIA, bytes(8))
    for one in (log, other):
        assert ask(world, one.request(0, 5))[0] == 200
    folder = world.nodes["aurelia"].folder
    path = folder / kept.FOLDER / kept.list_kept(folder)[0][0]
    stopped, going = (log, other) if b"\n" + FIRST.encode() + b"\n" in b"\n" + path.read_bytes() else (other, log)
    path.write_bytes(b"x")
    with pytest.raises(CorruptionError):
        ask(world, stopped.request(5, 9))
    assert ask(world, going.request(5, 9))[0] == 200
    assert [(found.where, found.count) for found in examine_folder(folder).findings] == [(f"witnessed/{path.name}", 1)]


def test_a_store_behind_its_witnessed_heads_is_found(world: World, log: PartnerLog, tmp_path: Path) -> None:
    assert ask(world, log.request(0, 5))[0] == 200
    copy = copy_store(world, tmp_path / "copy")
    assert ask(world, log.request(5, 50))[0] == 200
    folder = world.nodes["aurelia"].folder
    assert examine_folder(folder).findings == ()
    put_back(world, copy)
    (found,) = examine_folder(folder).findings
    assert "comity/borealia over 50 entries" in found.what


def test_the_files_of_a_store_from_before_begin_with_what_it_has(world: World, log: PartnerLog) -> None:
    assert ask(world, log.request(0, 5))[0] == 200
    node = world.nodes["aurelia"]
    node.close()
    shutil.rmtree(node.folder / kept.FOLDER)
    alter(node.folder, "DELETE FROM meta WHERE name = 'witness-kept'")
    world.open("aurelia")
    assert ask(world, log.request(5, 50))[0] == 200
    assert [(head.origin, head.size) for _, head in kept.list_kept(node.folder) if head] == [(FIRST, 50)]


# --- a node that was restored and recovered ---------------------------------------------------------------------------


def test_a_node_that_was_recovered_cosigns_nothing_until_it_has_another_key(world: World, tmp_path: Path) -> None:
    """Its backup is from before it cosigned anything; what it has cosigned since is in no log of its own."""
    log, fork = PartnerLog(world, 100), PartnerLog(world, 100, branch="fork", common=5)
    node = world.nodes["aurelia"]
    make_backup(node.folder, tmp_path / "backup", secrets=True)
    assert ask(world, log.request(0, 50))[0] == 200
    node.close()
    node.folder.rename(tmp_path / "destroyed")
    restore_backup(tmp_path / "backup", node.folder)
    shutil.copytree(tmp_path / "destroyed" / "badges", node.folder / "badges")
    done: object = None
    for role in (PersonRole.LIAISON, PersonRole.LEGAL):
        badge = world.badges["aurelia", role]
        done = recover_folder(node.folder, reason="disk lost", badge=badge, role=None, why=None)
    assert isinstance(done, Recovered)
    assert done.stopped
    world.open("aurelia")
    world.tick(3_600_000_000)
    for body in (fork.request(0, 60), log.request(0, 60)):
        assert ask(world, body) == (503, b"stopped\n")
    before = node_witness.find_witness_keys(world.manifests["aurelia"])
    rotate_witness(world)
    assert ask(world, log.request(0, 60))[0] == 200
    assert world.nodes["aurelia"].signers[Role.WITNESS].public_key not in {key.public_key for key in before}


# --- keys ---------------------------------------------------------------------------------------------------------


def test_the_keys_of_a_log_are_those_of_the_transaction_that_decides(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another process takes the revocation in after the request was read, and before it is decided."""
    node, given = world.nodes["borealia"], world.nodes["aurelia"]
    head = cosigning.read_own_head(node)
    assert head is not None
    body = cosigning.make_request(node, head, old_size=0)

    def take(*args: object, **kwargs: object) -> object:
        revoke_key(node, Role.LOG, since=Instant(world.now), by=world.actor("borealia"))
        world.deliver()
        return take_checkpoint(*args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(node_witness, "take_checkpoint", take)
    assert add_checkpoint(given, BOREALIA, body).status == 403
    assert list_witnessed(given.store) == []


def test_a_head_by_a_key_that_was_followed_is_told_what_was_cosigned_since(world: World) -> None:
    """It may be a store that was put back, which has to learn that there is more."""
    log, node = PartnerLog(world, 20), world.nodes["borealia"]
    assert ask(world, log.request(0, 12))[0] == 200
    rotate(world, "borealia", Role.LOG)
    world.deliver()
    for body in (log.request(0, 7), log.request(12, 13), log.request(12, 12)):
        assert ask(world, body) == (409, b"12\n")
    stranger = PartnerLog(world, 20)
    stranger.signer = node.signers[Role.AGREEMENT]
    assert ask(world, stranger.request(12, 13)) == (403, b"forbidden\n12\n")
    after = PartnerLog(world, 20)
    assert ask(world, after.request(12, 13))[0] == 200


def test_so_many_logs_are_counted_in_the_transaction_that_decides(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(node_witness, "_MAX_LOGS", 1)
    one, other = PartnerLog(world, 20), PartnerLog(world, 20)
    other.origin = next_origin(BOREALIA, bytes(8))
    real = take_checkpoint

    def take(*args: object, **kwargs: object) -> object:
        monkeypatch.setattr(node_witness, "take_checkpoint", real)
        assert ask(world, other.request(0, 3))[0] == 200
        return real(*args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(node_witness, "take_checkpoint", take)
    assert ask(world, one.request(0, 3))[0] == 403
