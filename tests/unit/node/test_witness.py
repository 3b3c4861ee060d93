# SPDX-License-Identifier: Apache-2.0
"""A node as the witness of its partners: what is cosigned, kept and answered, also when requests race or nodes die."""

import logging
import os
import stat
import threading
import time
from pathlib import Path

import apsw
import pytest

from comity.errors import MalformedNote, NotFoundError, StoreFull
from comity.ids import PartyId
from comity.node import witness
from comity.node import witness as node_witness
from comity.node.node import Node, join_node
from comity.node.parties import find_party
from comity.node.witness import add_checkpoint, find_witness_keys, list_evidence, list_witnessed, write_evidence
from comity.signing import Role, Signer
from comity.store import SqliteStore
from comity.store import witness as tables
from comity.store.witness import StoredHead
from comity.tlog.cosignature import sign_cosignature, verify_cosignature
from comity.tlog.evidence import Verdict, parse_fork_evidence, verify_fork_evidence
from comity.tlog.note import Note, VerifierKey, parse_checkpoint, parse_note
from comity.tlog.origin import next_origin
from comity.tlog.witness import decide_checkpoint, parse_cosignatures
from tests.witnesses import History
from tests.worlds import World

BOREALIA = PartyId("borealia")


class PartnerLog(History):
    """A history of a partner's log, signed with the log key of its node."""

    def __init__(self, world: World, length: int, *, branch: str = "", common: int = 0, name: str = "borealia") -> None:
        self.log_signer = world.nodes[name].signers[Role.LOG]
        super().__init__(length, origin=f"comity/{name}", branch=branch, common=common)

    def __post_init__(self) -> None:
        super().__post_init__()
        self.signer: Signer = self.log_signer  # type: ignore[assignment] # any signer will do


def ask(world: World, body: bytes, *, party: str = "borealia") -> tuple[int, bytes]:
    answer = add_checkpoint(world.nodes["aurelia"], PartyId(party), body)
    return answer.status, answer.body


def own_key(world: World, name: str = "aurelia") -> VerifierKey:
    (key,) = find_witness_keys(world.manifests[name])
    return key


def test_a_partner_gets_a_cosignature_that_verifies(world: World) -> None:
    log = PartnerLog(world, 20)
    status, body = ask(world, log.request(0, 12))
    assert status == 200
    signed = parse_note(log.checkpoint(12))
    cosigned = Note(text=signed.text, signatures=parse_cosignatures(body))
    assert own_key(world).name == "comity/aurelia/witness"
    assert verify_cosignature(cosigned, own_key(world)) == world.now // 1_000_000
    assert ask(world, log.request(12, 20))[0] == 200
    assert [(head.origin, head.size) for head in list_witnessed(world.nodes["aurelia"].store)] == [
        ("comity/borealia", 20)
    ]


def test_what_was_cosigned_is_remembered_by_the_next_process(world: World) -> None:
    log, fork = PartnerLog(world, 20), PartnerLog(world, 20, branch="fork", common=5)
    assert ask(world, log.request(0, 12))[0] == 200
    world.nodes["aurelia"].close()
    world.open("aurelia")
    assert ask(world, log.request(0, 20)) == (409, b"12\n")
    assert ask(world, fork.request(12, 20))[0] == 422


def test_the_answer_is_made_after_the_commit(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another connection reads the head at the moment at which the cosignature is made."""
    node, seen = world.nodes["aurelia"], []

    def sign(*args: object, **kwargs: object) -> object:
        other = SqliteStore.inspect(node.folder / "store.db")
        seen.extend(list_witnessed(other))
        other.close()
        return real(*args, **kwargs)  # type: ignore[arg-type]

    real = sign_cosignature
    monkeypatch.setattr(witness, "sign_cosignature", sign)
    assert ask(world, PartnerLog(world, 20).request(0, 12))[0] == 200
    assert [head.size for head in seen] == [12]


def test_what_could_not_be_kept_is_not_cosigned(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise apsw.FullError("no room")

    signed = []
    monkeypatch.setattr(tables, "put_seen", fail)
    monkeypatch.setattr(witness, "sign_cosignature", lambda *args, **_: signed.append(args))
    with pytest.raises(StoreFull):
        ask(world, PartnerLog(world, 20).request(0, 12))
    assert signed == []
    assert list_witnessed(world.nodes["aurelia"].store) == []


def test_the_same_head_again_writes_nothing(world: World) -> None:
    log, node = PartnerLog(world, 20), world.nodes["aurelia"]
    assert ask(world, log.request(0, 12))[0] == 200
    before = node.store.row("PRAGMA data_version"), list_witnessed(node.store)
    world.tick(3_600_000_000)
    status, body = ask(world, log.request(12, 12))
    assert status == 200
    assert (node.store.row("PRAGMA data_version"), list_witnessed(node.store)) == before
    cosigned = Note(text=parse_note(log.checkpoint(12)).text, signatures=parse_cosignatures(body))
    assert verify_cosignature(cosigned, own_key(world)) == world.now // 1_000_000


# --- who may ask --------------------------------------------------------------------------------------------------


def test_a_partner_is_witnessed_for_its_own_log_alone(world: World) -> None:
    with pytest.raises(NotFoundError):
        ask(world, PartnerLog(world, 20, name="aurelia").request(0, 12))
    with pytest.raises(NotFoundError):
        ask(world, PartnerLog(world, 20).request(0, 12), party="meridia")
    assert list_witnessed(world.nodes["aurelia"].store) == []


def test_the_log_of_a_relationship_is_another_log(world: World) -> None:
    """It begins anew beside that of the house. What goes on from that has another name (`test_origins`)."""
    log, other = PartnerLog(world, 20), PartnerLog(world, 20, branch="other")
    other.origin = next_origin(BOREALIA, b"\x01" * 8)
    assert ask(world, log.request(0, 12))[0] == 200
    assert ask(world, other.request(12, 10, proof=()))[0] == 400
    assert ask(world, other.request(0, 10))[0] == 200
    assert ask(world, other.request(10, 20))[0] == 200
    assert ask(world, log.request(12, 13))[0] == 200
    assert list_evidence(world.nodes["aurelia"].store) == []


def test_a_partner_has_so_many_logs_and_no_more(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(node_witness, "_MAX_LOGS", 16)
    log = PartnerLog(world, 20)
    for number in range(16):
        log.origin = next_origin(BOREALIA, bytes([number] * 8))
        assert ask(world, log.request(0, 12))[0] == 200
    log.origin = "comity/borealia"
    assert ask(world, log.request(0, 12)) == (403, b"forbidden\n0\n")
    log.origin = next_origin(BOREALIA, bytes(8))
    assert ask(world, log.request(12, 13))[0] == 200
    assert len(list_witnessed(world.nodes["aurelia"].store)) == 16


@pytest.mark.parametrize("origin", ["comity/borealia/", "comity/borealia/x", "comity/borealiax", "comity", "borealia"])
def test_what_only_looks_like_a_log_of_the_partner_is_none(world: World, origin: str) -> None:
    log = PartnerLog(world, 20)
    log.origin = origin
    with pytest.raises(NotFoundError):
        ask(world, log.request(0, 12))


def test_a_head_signed_with_another_key_of_the_partner_is_forbidden(world: World) -> None:
    log = PartnerLog(world, 20)
    log.signer = world.nodes["borealia"].signers[Role.AGREEMENT]
    assert ask(world, log.request(0, 12))[0] == 403


def test_what_is_no_request_is_malformed(world: World) -> None:
    for body in (b"", b"old 0\n\n", b"x" * 200_000):
        with pytest.raises(MalformedNote):
            ask(world, body)


def test_a_node_without_a_witness_key_works_and_witnesses_nothing(world: World) -> None:
    """One of before there were witnesses: its manifest does not name such a key, and there is none in its folder."""
    node = world.nodes["aurelia"]
    node.close()
    (node.folder / "keys" / "witness.pem").unlink()
    world.open("aurelia")
    assert Role.WITNESS not in world.nodes["aurelia"].signers
    with pytest.raises(NotFoundError):
        ask(world, PartnerLog(world, 20).request(0, 12))
    assert find_party(world.nodes["aurelia"], BOREALIA).manifest == world.manifests["borealia"]


# --- races and crashes --------------------------------------------------------------------------------------------


@pytest.fixture
def other(world: World) -> Node:
    """The node of aurelia once more, as a worker process has it: a connection of its own to the same store."""
    node = world.nodes["aurelia"]
    lock, turns = node.share()
    joined = join_node(node.folder, node.settings, lock=os.dup(lock), turns=os.dup(turns), passphrase=None)
    joined.clock = lambda: world.now
    return joined


def test_of_two_requests_that_race_one_sees_the_other(
    world: World, other: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both extend the same head, and each is held between its decision and its COMMIT for as long as it takes."""
    log = PartnerLog(world, 20)
    assert ask(world, log.request(0, 3))[0] == 200

    def decide(*args: object, **kwargs: object) -> object:
        found = real(*args, **kwargs)  # type: ignore[arg-type]
        time.sleep(0.2)
        return found

    real = decide_checkpoint
    monkeypatch.setattr(witness, "decide_checkpoint", decide)
    answers: dict[int, tuple[int, bytes]] = {}

    def run(node: Node, size: int) -> None:
        answer = add_checkpoint(node, BOREALIA, log.request(3, size))
        answers[size] = answer.status, answer.body

    threads = [threading.Thread(target=run, args=args) for args in ((world.nodes["aurelia"], 20), (other, 7))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    other.close()
    won = [size for size, (status, _) in answers.items() if status == 200]
    assert len(won) == 1
    assert {status for status, _ in answers.values()} == {200, 409}
    assert b"%d\n" % won[0] in {body for _, body in answers.values()}
    assert [head.size for head in list_witnessed(world.nodes["aurelia"].store)] == won


def test_the_store_itself_does_not_go_back(world: World) -> None:
    log, node = PartnerLog(world, 20), world.nodes["aurelia"]
    assert ask(world, log.request(0, 12))[0] == 200
    for size in (11, 12):
        head = StoredHead(origin="comity/borealia", size=size, checkpoint=b"another", cosigned_at=world.now)
        with pytest.raises(apsw.ConstraintError), node.store.write() as transaction:
            tables.put_seen(transaction, head)
    with pytest.raises(apsw.ConstraintError), node.store.write() as transaction:
        transaction.run("DELETE FROM witnessed_head")


# --- evidence -----------------------------------------------------------------------------------------------------


def test_two_roots_for_one_size_leave_a_proof(world: World, caplog: pytest.LogCaptureFixture) -> None:
    log, fork = PartnerLog(world, 20), PartnerLog(world, 20, branch="fork", common=5)
    assert ask(world, log.request(0, 12))[0] == 200
    with caplog.at_level(logging.ERROR, "comity.witness"):
        assert ask(world, fork.request(12, 12)) == (409, b"12\n")
    node = world.nodes["aurelia"]
    (found,) = list_evidence(node.store)
    evidence = parse_fork_evidence(found.evidence)
    assert (found.origin, found.proved, evidence.noted_by) == ("comity/borealia", True, "comity/aurelia/witness")
    assert verify_fork_evidence(evidence, [fork.key]).verdict is Verdict.PROVED
    (path,) = (node.folder / "evidence").iterdir()
    assert path.read_bytes() == found.evidence
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert f"the log comity/borealia signed two histories: see {path}" in caplog.text
    assert ask(world, log.request(12, 20))[0] == 200  # the history that it knows goes on


def test_growth_of_another_history_leaves_a_proof(world: World) -> None:
    """The proof that a forked log gives leads to its own root: that is what shows that it has another history."""
    log, fork = PartnerLog(world, 20), PartnerLog(world, 20, branch="fork", common=5)
    assert ask(world, log.request(0, 11))[0] == 200
    assert ask(world, fork.request(11, 20))[0] == 422
    (found,) = list_evidence(world.nodes["aurelia"].store)
    assert found.proved
    shown = verify_fork_evidence(parse_fork_evidence(found.evidence), [fork.key])
    assert shown.true_root == fork.root(11)


def test_a_bad_proof_leaves_an_accusation(world: World) -> None:
    log = PartnerLog(world, 20)
    assert ask(world, log.request(0, 11))[0] == 200
    assert ask(world, log.request(11, 20, proof=[bytes(32)] * 3))[0] == 422
    (found,) = list_evidence(world.nodes["aurelia"].store)
    assert not found.proved
    assert verify_fork_evidence(parse_fork_evidence(found.evidence), [log.key]).verdict is Verdict.ACCUSED
    assert [path.name[:10] for path in (world.nodes["aurelia"].folder / "evidence").iterdir()] == ["accusation"]


def test_evidence_is_kept_once_and_only_so_much(world: World) -> None:
    log = PartnerLog(world, 60)
    assert ask(world, log.request(0, 11))[0] == 200
    for _ in range(3):
        world.tick()
        assert ask(world, log.request(11, 20, proof=[bytes(32)]))[0] == 422
    assert len(list_evidence(world.nodes["aurelia"].store)) == 1
    for size in range(21, 50):
        assert ask(world, log.request(11, size, proof=[bytes(32)]))[0] == 422
    assert len(list_evidence(world.nodes["aurelia"].store)) == tables.MAX_EVIDENCE
    fork = PartnerLog(world, 60, branch="fork", common=5)
    assert ask(world, fork.request(11, 20))[0] == 422  # a proof finds room beside accusations
    assert sum(found.proved for found in list_evidence(world.nodes["aurelia"].store)) == 1


def test_a_fork_is_kept_however_many_accusations_came_before_and_after(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    """From a power of two no proof holds the old root: such a fork is an accusation like those of anybody."""
    log, fork = PartnerLog(world, 100), PartnerLog(world, 100, branch="fork", common=5)
    node = world.nodes["aurelia"]
    assert ask(world, log.request(0, 32))[0] == 200
    for size in range(33, 60):
        world.tick()
        assert ask(world, log.request(32, size, proof=[bytes(32)]))[0] == 422
    world.tick()
    assert ask(world, fork.request(32, 64))[0] == 422
    heads = [parse_fork_evidence(found.evidence).second for found in list_evidence(node.store)]
    shown = [parse_checkpoint(parse_note(head).text) for head in heads]
    assert [head.size for head in shown] == [*range(61 - tables.MAX_EVIDENCE, 60), 64]
    assert shown[-1].root == fork.root(64)
    assert len(list((node.folder / "evidence").iterdir())) == tables.MAX_EVIDENCE
    said = [record for record in caplog.records if record.name == "comity.witness"]
    assert {record.levelname for record in said} == {"WARNING"}
    assert len(said) == tables.MAX_EVIDENCE
    assert ask(world, fork.request(32, 32))[0] == 409  # two roots for one size: a proof, which nothing displaces
    for size in range(60, 90):
        world.tick()
        assert ask(world, log.request(32, size, proof=[bytes(32)]))[0] == 422
    assert [found.proved for found in list_evidence(node.store)].count(True) == 1


def test_a_late_or_stale_request_leaves_nothing(world: World) -> None:
    log = PartnerLog(world, 20)
    assert ask(world, log.request(0, 12))[0] == 200
    assert ask(world, log.request(0, 11)) == (409, b"12\n")
    assert ask(world, log.request(0, 20)) == (409, b"12\n")
    assert ask(world, log.request(12, 12, proof=[bytes(32)]))[0] == 422
    assert list_evidence(world.nodes["aurelia"].store) == []
    assert not (world.nodes["aurelia"].folder / "evidence").exists()


def test_evidence_without_a_file_is_written_again(world: World, tmp_path: Path) -> None:
    log, fork = PartnerLog(world, 20), PartnerLog(world, 20, branch="fork", common=5)
    node = world.nodes["aurelia"]
    assert ask(world, log.request(0, 12))[0] == 200
    (node.folder / "evidence").write_text("in the way")
    assert ask(world, fork.request(12, 12))[0] == 409
    (node.folder / "evidence").unlink()
    (found,) = list_evidence(node.store)
    assert write_evidence(node.folder, found).read_bytes() == found.evidence
