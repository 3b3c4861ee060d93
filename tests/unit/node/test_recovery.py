# SPDX-License-Identifier: Apache-2.0
"""A restored log goes on under another name, by an act of two people that is on record, and never forks the old one."""

import base64
import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from comity.agreement.people import Person, Role
from comity.audit import LoggedEntry, verify_logs
from comity.canonical import Json, canonical_bytes, parse_signed_json
from comity.errors import (
    AuthenticationError,
    ComityError,
    ConfigError,
    LogMismatch,
    MalformedError,
    MalformedMessage,
    MalformedNote,
    MalformedRequest,
    RolledBack,
    StoreBusy,
    TransitionError,
    VerificationError,
)
from comity.ids import PartyId, PersonId
from comity.keys import open_key
from comity.node import agree, recovery
from comity.node.audit import audit_folder
from comity.node.backup import make_backup, restore_backup
from comity.node.heads import split_heads
from comity.node.invitations import find_invited, invite_person
from comity.node.journal import find_entry, list_relationships, verify_folder
from comity.node.node import Node, open_node
from comity.node.outbox import list_due
from comity.node.parties import issue_credential, list_credentials, revoke_credential
from comity.node.people import (
    Waiting,
    add_person,
    find_present,
    list_matters,
    list_people,
    record_change,
    remove_person,
)
from comity.node.programs import end_program, find_program, make_program
from comity.node.purge import Forgotten, Selection, purge_by_order
from comity.node.recovery import Asking, Recovered, recover_folder
from comity.node.sessions import begin_session, find_session, list_sessions
from comity.node.soundness import examine_folder
from comity.node.succession import is_succession, list_successions, receive_succession
from comity.release.disclosure import EntryType, PeopleChange
from comity.release.recovery import Asked, parse_succession
from comity.signing import parse_signed_document
from comity.store import log, logs
from comity.tlog.note import Checkpoint, format_checkpoint, format_note, parse_checkpoint, parse_note, sign_note
from comity.tlog.origin import find_token, first_origin, house_origin, is_house, next_origin, parse_origin
from tests.unit.node.test_purge import drop_triggers
from tests.unit.test_audit import alter
from tests.worlds import World, make_object


@pytest.fixture
def world(tmp_path: Path) -> World:
    """A node that gave two more disclosures after its backup; its folder was then replaced by that backup."""
    world = World(tmp_path)
    world.found("aurelia", "borealia")
    world.sign_all(world.terms())
    world.add("aurelia", make_object("a"))
    world.poll("borealia")
    world.poll("borealia")
    node = world.nodes["aurelia"]
    make_backup(node.folder, tmp_path / "backup", secrets=True)
    world.add("aurelia", make_object("lost"))
    world.poll("borealia")
    world.poll("borealia")
    node.close()
    node.folder.rename(tmp_path / "destroyed")
    restore_backup(tmp_path / "backup", node.folder)
    shutil.copytree(tmp_path / "destroyed" / "badges", node.folder / "badges")
    return world


@pytest.fixture
def folder(world: World) -> Path:
    return world.folder / "aurelia"


def lost_head(world: World) -> bytes:
    return (world.folder / "destroyed" / "head").read_bytes()


def recover(
    world: World, *, reason: str = "disk lost", heads: dict[str, bytes] | None = None, witnesses: Asking | None = None
) -> Recovered:
    done: object = None
    for role in (Role.LIAISON, Role.LEGAL):
        assert not isinstance(done, Recovered)
        done = recover_folder(
            world.folder / "aurelia",
            reason=reason,
            badge=world.badges["aurelia", role],
            role=None,
            why=None,
            heads=heads or {},
            witnesses=witnesses,
        )
    assert isinstance(done, Recovered), done
    return done


def heads_of(node: Node) -> list[tuple[int, str]]:
    with node.store.read() as transaction:
        return [(size, parse_checkpoint(parse_note(note).text).origin) for size, note in log.read_heads(transaction)]


def test_the_log_goes_on_under_another_name_and_everything_verifies(world: World, folder: Path) -> None:
    before = verify_folder(folder)
    known = lost_head(world)
    house, other = split_heads(known)
    size = parse_checkpoint(parse_note(other).text).size
    done = recover(world, heads={"the lost head": known})
    assert (done.position, done.entry, done.ended) == (before.house, before.size, 1)
    assert done.lost == size - before.logs[0].size == 2
    assert (done.recovery.known, done.recovery.others) == (house, (other,))
    assert parse_origin(done.recovery.origin) == "aurelia"
    assert done.recovery.origin != done.recovery.previous == "comity/aurelia"
    node = world.open("aurelia")
    assert node.origin == done.recovery.origin
    entry = find_entry(node, str(done.entry))
    assert (entry.leaf.type, entry.place) == (EntryType.RECOVERY, done.position)
    assert isinstance(entry.content, dict)
    approvals = entry.content["approvals"]
    assert isinstance(approvals, list)
    assert {item["person"] for item in approvals if isinstance(item, dict)} == {"aurelia-liaison", "aurelia-legal"}
    assert (entry.content["known"], entry.content["reason"]) == (house.decode(), "disk lost")
    assert entry.content["others"] == [other.decode()]
    # It goes on: new entries, new heads under the new name, the old ones as they were.
    world.resume_all("aurelia")
    world.read("borealia")
    verified = verify_folder(folder)
    assert verified.origin == done.recovery.origin
    assert {origin for at, origin in heads_of(node) if at <= before.house} == {"comity/aurelia"}
    assert {origin for at, origin in heads_of(node) if at > before.house} == {done.recovery.origin}
    # The log of the relationship is as it was restored, and what is given next is in another one.
    old, new = verified.logs
    assert (old.size, old.closed, new.size, new.closed) == (before.logs[0].size, True, 1, False)
    assert len({old.origin, new.origin, verified.origin, "comity/aurelia"}) == 4
    assert examine_folder(folder).is_sound
    assert not (folder / "restored").exists()


def test_what_witnesses_have_seen_of_every_log_counts_as_lost(world: World, folder: Path) -> None:
    """Of each log the most that is known counts, once; a log that is not here is lost whole."""
    before, known = verify_folder(folder), lost_head(world)
    (own,) = before.logs
    gone = "comity/aurelia/0123456789abcdef"
    asked = [
        Asked(name="north", size=before.house + 4, problem=None, answered=True, others={own.origin: own.size + 1}),
        Asked(name="south", size=before.house, problem=None, answered=True, others={own.origin: own.size + 3, gone: 5}),
    ]
    done = recover(world, heads={"the lost head": known}, witnesses=Asking(ask=lambda _: asked, go_on_without=False))
    assert done.lost == 4 + 3 + 5
    content = find_entry(world.open("aurelia"), str(done.entry)).content
    assert isinstance(content, dict)
    assert content["witnesses"] == [
        {
            "name": "north",
            "size": before.house + 4,
            "problem": None,
            "logs": [{"origin": own.origin, "size": own.size + 1}],
        },
        {
            "name": "south",
            "size": before.house,
            "problem": None,
            "logs": sorted(
                ({"origin": origin, "size": size} for origin, size in asked[1].others.items()),
                key=lambda item: str(item["origin"]),
            ),
        },
    ]
    verify_folder(folder)


def test_no_origin_has_signed_two_histories(world: World, folder: Path) -> None:
    """The backup is restored twice, each time as another log: neither signs what the lost one, or the other, signed."""
    recovered = list[Recovered]()
    for number in range(2):
        recovered.append(recover(world))
        node = world.open("aurelia")
        world.resume_all("aurelia")
        world.read("borealia")
        node.close()
        folder.rename(world.folder / f"copy{number}")
        restore_backup(world.folder / "backup", folder)
    origins = {item.recovery.origin for item in recovered}
    assert len(origins) == 2
    assert "comity/aurelia" not in origins


def test_a_second_loss_is_recovered_too(world: World, folder: Path) -> None:
    first = recover(world)
    node = world.open("aurelia")
    make_backup(folder, world.folder / "second", secrets=True)
    node.close()
    shutil.rmtree(folder)
    restore_backup(world.folder / "second", folder)
    second = recover(world)
    assert second.recovery.previous == first.recovery.origin
    node = world.open("aurelia")
    assert verify_folder(folder).origin == second.recovery.origin == node.origin
    assert [origin for _, origin in heads_of(node)][-2:] == [first.recovery.origin, second.recovery.origin]


def test_who_was_signed_out_since_the_backup_does_not_come_in_again(world: World, folder: Path) -> None:
    recover(world)
    node, liaison = world.open("aurelia"), PersonId("aurelia-liaison")
    with node.act() as act:
        invited = find_present(act.transaction, liaison).person
        record_change(act, PeopleChange.INVITE, invited)
    invitation = invite_person(node, PersonId("aurelia-legal"))
    made = make_program(node, liaison, name="Feeds", may=("take-in",), days=300)
    with node.act() as act:
        session = begin_session(act, node, invited, factor="password")
    waiting = agree.propose(node, world.terms(title="Taken back"), by=world.actor("aurelia", Role.LIAISON))
    assert isinstance(waiting, Waiting)
    make_backup(folder, world.folder / "second", secrets=True)
    end_program(node, liaison, made.program.id)
    node.close()
    shutil.rmtree(folder)
    restore_backup(world.folder / "second", folder)
    recover(world)
    node = world.open("aurelia")
    assert find_program(node, made.token) is None
    assert (find_session(node, session.token), list_sessions(node), list_matters(node)) == (None, [], [])
    with pytest.raises(AuthenticationError):
        find_invited(node, invitation.code)
    assert audit_folder(folder, now=world.now).findings == ()


def test_who_is_let_in_as_the_backup_has_it_is_named(world: World, folder: Path) -> None:
    recover(world)
    node, borealia = world.open("aurelia"), PartyId("borealia")
    for name in ("left-before", "left-since"):
        add_person(node, Person(id=PersonId(name), name=name, roles=frozenset({Role.ANALYST})))
    remove_person(node, PersonId("left-before"))
    revoked, kept = (issue_credential(node, borealia, days=300)[1].id for _ in range(2))
    revoke_credential(node, revoked)
    before = {each.person.id for each in list_people(node) if each.removed_at is None}
    make_backup(folder, world.folder / "second", secrets=True)
    revoke_credential(node, kept)
    remove_person(node, PersonId("left-since"))
    node.close()
    shutil.rmtree(folder)
    restore_backup(world.folder / "second", folder)
    done = recover(world)
    assert ("left-since" in before, {*done.persons}) == (True, before)
    good = [each.id for each in list_credentials(world.open("aurelia")) if each.is_good(world.now)]
    assert (kept in good, revoked in good, done.credentials) == (True, False, (borealia,) * len(good))


def test_one_person_alone_recovers_nothing(world: World, folder: Path) -> None:
    size = verify_folder(folder).size
    for _ in range(2):
        done = recover_folder(folder, reason="x", badge=world.badges["aurelia", Role.LEGAL], role=None, why=None)
        assert isinstance(done, Waiting)
    assert verify_folder(folder).size == size
    with pytest.raises(RolledBack):
        open_node(folder)
    with pytest.raises(AuthenticationError):
        recover_folder(folder, reason="x", badge=None, role=None, why=None)
    # Another reason is another matter.
    done = recover_folder(folder, reason="y", badge=world.badges["aurelia", Role.LIAISON], role=None, why=None)
    assert isinstance(done, Waiting)


def test_where_nobody_is_registered_whoever_has_the_folder_recovers(world: World, folder: Path) -> None:
    alter_unwatched(folder, "UPDATE person SET removed_at = 1")
    done = recover_folder(folder, reason="x", badge=None, role=None, why=None)
    assert isinstance(done, Recovered)
    assert done.approvals == ()


def alter_unwatched(folder: Path, statement: str) -> None:
    drop_triggers(folder)
    alter(folder, statement)


def test_a_sound_node_is_not_recovered(world: World, folder: Path) -> None:
    recover(world)
    with pytest.raises(TransitionError, match="nothing to recover"):
        recover(world)
    node = world.open("aurelia")
    with pytest.raises(StoreBusy):
        recover(world)
    node.close()


def test_an_older_store_beside_its_newer_head_is_recovered_with_that_head(world: World, folder: Path) -> None:
    (folder / "restored").unlink()
    shutil.copyfile(world.folder / "destroyed" / "head", folder / "head")
    with pytest.raises(RolledBack, match="comity recover"):
        open_node(folder)
    assert recover(world).recovery.others == tuple(split_heads(lost_head(world))[1:])
    world.open("aurelia")
    assert verify_folder(folder).origin != "comity/aurelia"


def test_a_crash_between_the_entry_and_the_end_of_a_recovery(
    world: World, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing that was signed under the name in between has left: the folder does not start until it is done."""

    def die(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(recovery, "write_head", die)
        with pytest.raises(KeyboardInterrupt):
            recover(world)
    with pytest.raises(RolledBack, match="comity recover"):
        open_node(folder)
    between = verify_folder(folder).origin
    done = recover(world)
    assert done.recovery.previous == between != "comity/aurelia"
    assert world.open("aurelia").origin == verify_folder(folder).origin == done.recovery.origin


def test_a_missing_or_damaged_head_is_recovered(world: World, folder: Path) -> None:
    (folder / "restored").unlink()
    recover(world)
    (folder / "head").write_bytes(b"\xff")
    recover(world)
    assert open_node(folder).origin == verify_folder(folder).origin


@pytest.mark.parametrize("which", ["another party's", "another log's", "altered", "none"])
def test_a_checkpoint_that_is_not_of_this_log_is_not_believed(world: World, folder: Path, which: str) -> None:
    good = lost_head(world)
    note = {
        "another party's": (world.folder / "borealia" / "head").read_bytes(),
        "another log's": good.replace(b"comity/aurelia\n", b"comity/aurelia/0000000000000000\n"),
        "altered": good.replace(b"\n" + good.split(b"\n")[1] + b"\n", b"\n99\n", 1),
        "none": b"x",
    }[which]
    with pytest.raises((LogMismatch, MalformedNote), match="given"):
        recover(world, heads={"given": note})
    with pytest.raises(RolledBack):
        open_node(folder)


def test_a_checkpoint_of_another_log_by_this_partys_own_key_is_not_believed(world: World, folder: Path) -> None:
    text = format_checkpoint(Checkpoint(origin="comity/aurelia/witness", size=99, root=bytes(32)))
    note = format_note(sign_note(text, "comity/aurelia", open_key(folder / "keys" / "log.pem")))
    with pytest.raises(LogMismatch, match="of comity/aurelia/witness"):
        recover(world, heads={"given": note})


def test_what_does_not_verify_is_not_recovered(world: World, folder: Path) -> None:
    alter(folder, "UPDATE log_opening SET content = x'00' WHERE position = 3")
    with pytest.raises(LogMismatch, match="entry 3"):
        recover(world)


def test_keys_have_to_be_there(world: World, folder: Path) -> None:
    shutil.rmtree(folder / "keys")
    with pytest.raises(ConfigError):
        recover(world)


def test_a_recovery_is_never_purged(world: World, folder: Path) -> None:
    done = recover(world)
    node = world.open("aurelia")
    purged: object = None
    for role in (Role.LIAISON, Role.LEGAL):
        purged = purge_by_order(
            node, Selection(recipient=PartyId("borealia")), reason="x", by=world.actor("aurelia", role)
        )
    assert isinstance(purged, Forgotten)
    assert find_entry(node, str(done.entry)).content is not None
    assert verify_folder(folder).purged == 2


# --- what an audit holds against a recovery ---------------------------------------------------------------------------


def test_a_head_of_the_old_name_after_a_recovery_is_refused(world: World, folder: Path) -> None:
    recover(world)
    node = world.open("aurelia")
    node._origin = "comity/aurelia"
    with node.act() as act:
        act.record(EntryType.PEOPLE, b"{}", terms=None, recipient=None, count=1)
    with pytest.raises(LogMismatch, match="of comity/aurelia"):
        verify_folder(folder)


def test_a_recovery_of_another_log_is_refused(world: World, folder: Path) -> None:
    recover(world)
    node = world.open("aurelia")
    with node.store.read() as transaction:
        there = logs.list_logs(transaction)
        heads = {number: log.read_heads(transaction, number) for number in (0, *(each.number for each in there))}
        entries = [LoggedEntry(*row) for row in log.read_logged(transaction, 0, log.count_entries(transaction))]

    def read_tile(level: int, index: int, number: int) -> bytes:
        with node.store.read() as transaction:
            return log.read_tile(transaction, level, index, number)

    numbers = {f"comity/aurelia/{each.token}": each.number for each in there}
    with pytest.raises(LogMismatch, match="which this is not"):
        verify_logs(entries, heads, read_tile=read_tile, numbers=numbers, origin="comity/borealia", chain=[])


# --- what partners are told -------------------------------------------------------------------------------------------


def test_partners_learn_of_it_by_a_signed_statement(world: World, folder: Path) -> None:
    done = recover(world)
    node, other = world.open("aurelia"), world.nodes["borealia"]
    assert done.told == ("borealia",)
    world.tick(3_600_000_000)  # a recovery goes by the clock of the system
    due = [item for item in list_due(node) if is_succession(item.envelope)]
    # It is told beside what is for everybody which of its logs have ended.
    ((party, own),) = [(item.party, item.envelope) for item in due]
    said = parse_succession(parse_signed_document(own).payload)
    (ended,) = (each for each in list_relationships(node) if each.closed_at is not None)
    assert (party, [(each.origin, each.size) for each in said.logs]) == ("borealia", [(ended.origin, ended.size)])
    world.resume_all("aurelia")
    world.read("borealia")
    (opened,) = (each for each in list_relationships(node) if each.closed_at is None)
    assert [(each.agreement, each.next) for each in said.logs] == [(ended.agreement, opened.origin)]
    assert replace(said, logs=()) == parse_succession(parse_signed_document(done.statement).payload)
    assert receive_succession(other, done.statement).new
    assert not receive_succession(other, done.statement).new
    for at in (node, other):
        with at.store.read() as transaction:
            (said,) = list_successions(transaction, PartyId("aurelia"))
        assert (said.recovery, said.position) == (done.recovery, done.position)


def test_a_statement_that_is_not_the_partys_own_is_refused(world: World, folder: Path) -> None:
    done = recover(world)
    other = world.nodes["borealia"]
    envelope = json.loads(done.statement)
    said = parse_signed_json(base64.b64decode(envelope["payload"]))
    assert isinstance(said, dict)
    changes: tuple[tuple[dict[str, Json], type[ComityError]], ...] = (
        ({"position": 1}, VerificationError),
        ({"party": "borealia"}, MalformedError),
        ({"origin": "comity/borealia/house/0000000000000000"}, MalformedError),
        ({"origin": said["previous"]}, MalformedError),
        ({"known": "x"}, MalformedError),
        ({"position": -1}, MalformedError),
    )
    for change, error in changes:
        altered = canonical_bytes(said | change)
        with pytest.raises(error):
            receive_succession(other, json.dumps(envelope | {"payload": base64.b64encode(altered).decode()}).encode())
    with pytest.raises(MalformedMessage):
        receive_succession(other, json.dumps(envelope | {"payloadType": "x/y"}).encode())
    with pytest.raises(VerificationError, match="own"):
        receive_succession(world.open("aurelia"), done.statement)
    with other.store.read() as transaction:
        assert list_successions(transaction, PartyId("aurelia")) == []


def test_origins() -> None:
    party = PartyId("aurelia")
    first, house, other = first_origin(party), house_origin(party, bytes(8)), next_origin(party, bytes(8))
    assert first == "comity/aurelia"
    assert house == "comity/aurelia/house/0000000000000000"
    assert other == "comity/aurelia/0000000000000000"
    assert [parse_origin(name) for name in (first, house, other)] == [party] * 3
    # A name says by itself whether it is one of a house's log: none can be shown as the other.
    assert [is_house(name) for name in (first, house, other)] == [True, True, False]
    assert [find_token(name) for name in (first, house, other)] == [None, None, "0000000000000000"]
    for wrong in (
        "comity/aurelia/witness",
        "comity/",
        "aurelia",
        "comity/aurelia/00",
        "comity/aurelia\n",
        "comity/-",
        "comity/aurelia/house",
        "comity/aurelia/house/",
        "comity/aurelia/House/0000000000000000",
        "comity/aurelia/house/0000000000000000/0000000000000000",
    ):
        assert not is_house(wrong) or wrong == "comity/-"
        with pytest.raises((MalformedNote, MalformedRequest)):
            parse_origin(wrong)
