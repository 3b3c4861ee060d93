# SPDX-License-Identifier: Apache-2.0
"""An operator acts in the name of people, lets somebody in, or dates entries as it suits, and the audit names it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from comity.agreement.events import Event, EventKind
from comity.agreement.people import Approval, Role
from comity.errors import LogMismatch
from comity.exchange import make_message, parse_message
from comity.ids import Digest, Instant, PartyId, PersonId
from comity.node import classify, people, purge, readers, recording, retention, standing
from comity.node.audit import audit_folder
from comity.node.parties import create_credential, revoke_credential
from comity.release.disclosure import OF_NO_TERMS, EntryType
from comity.release.purge import Range, format_log_purge
from comity.signing import Role as KeyRole
from comity.store import audited, log, purges
from tests.unit.node.test_beside import edit, examine, problems
from tests.worlds import World, make_object, object_id

BOREALIA = PartyId("borealia")
DAY = 86_400_000_000


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path)
    made.found("aurelia", "borealia")
    yield made
    made.close()


def resume_past_people(world: World, agreement: str, approvals: tuple[Approval, ...]) -> None:
    """The key signs what lets everything go on, and the record says of people what the operator likes."""
    node = world.nodes["aurelia"]
    with node.act() as act:
        dossier = standing.find_agreement(node, act.transaction, agreement)
        suspension = next(event for event in dossier.events if event.kind is EventKind.SUSPEND)
        draft = Event(
            digest=Digest("0" * 64),
            kind=EventKind.RESUME,
            agreement=dossier.id,
            terms=dossier.versions[-1].hash,
            party=node.party,
            at=act.now,
            re=suspension.digest,
        )
        envelope = make_message(draft, nonce=act.draw(16), signers=[node.signers[KeyRole.AGREEMENT]])
        event = parse_message(envelope).event
        recording.put_event(act, event, envelope=envelope, approvals=approvals)


def by(person: str, role: Role, at: Instant) -> Approval:
    return Approval(person=PersonId(person), role=role, reason=None, at=at)


@pytest.mark.parametrize(
    ("who", "said"),
    [
        ((), "this act (resume) lacks 2 different people, one of whom acts as legal"),
        ((("aurelia-legal", Role.LEGAL, 0),), "lacks a second person"),
        ((("aurelia-legal", Role.LEGAL, 0), ("nobody", Role.LIAISON, 0)), "nobody, who approved it, was not on record"),
        ((("aurelia-legal", Role.LEGAL, 0), ("aurelia-liaison", Role.LEGAL, 0)), "and was not on record as that"),
        ((("aurelia-legal", Role.LEGAL, 0), ("aurelia-liaison", Role.LIAISON, 15)), "is of another time than this act"),
        ((("aurelia-legal", Role.LEGAL, 0), ("gone", Role.LIAISON, 0)), "gone, who approved it, was no person of this"),
    ],
)
def test_what_the_key_signed_past_the_people_is_found(world: World, who: Any, said: str) -> None:  # noqa: ANN401
    node, agreement = world.nodes["aurelia"], world.sign_all(world.terms())
    world.register("aurelia", "gone", Role.LIAISON)
    people.remove_person(node, PersonId("gone"))
    world.act("aurelia", agreement, EventKind.SUSPEND)
    world.tick(30 * DAY)
    assert problems(world) == []
    resume_past_people(
        world, agreement, tuple(by(person, role, Instant(world.now - days * DAY)) for person, role, days in who)
    )
    found = problems(world)
    assert any(said in problem for problem in found), found


def test_two_people_who_were_there_are_believed(world: World) -> None:
    """That they showed badges nobody can tell afterwards."""
    agreement = world.sign_all(world.terms())
    world.act("aurelia", agreement, EventKind.SUSPEND)
    approvals = by("aurelia-legal", Role.LEGAL, world.now), by("aurelia-liaison", Role.LIAISON, world.now)
    resume_past_people(world, agreement, approvals)
    assert problems(world) == []


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        ("UPDATE person SET roles = 'legal liaison' WHERE id = 'aurelia-liaison'", "kept as another one"),
        ("UPDATE person SET id = 'mole' WHERE id = 'aurelia-liaison'", "the person mole is kept as another one"),
        ("UPDATE person SET removed_at = 1 WHERE id = 'aurelia-liaison'", "kept as another one"),
        ("UPDATE person SET roles = 'chief' WHERE id = 'aurelia-liaison'", "cannot be read"),
        (
            "UPDATE manifest SET expires_at = expires_at + 1 WHERE party = 'borealia'",
            "a version, or an end, not its own",
        ),
        ("UPDATE manifest SET version = version + 1 WHERE party = 'borealia'", "a version, or an end, not its own"),
        ("DELETE FROM person WHERE id = 'aurelia-liaison'", "the person aurelia-liaison is in the log and not kept"),
    ],
)
def test_people_who_are_kept_are_those_on_record(world: World, statement: str, said: str) -> None:
    assert problems(world) == []
    edit(world, statement)
    assert any(said in problem for problem in problems(world))


def purge_entries(world: World, position: int, *, rule: str | None, approvals: tuple[Approval, ...] = ()) -> None:
    """Content of an entry goes, as the product takes it, for a reason that the operator writes down."""
    with world.nodes["aurelia"].act() as act:
        assert purges.delete_openings(act.transaction, [position]) == 1
        reason = None if rule is not None else "order of a court"
        content = format_log_purge((Range(position, position),), rule=rule, reason=reason, approvals=approvals)
        act.record(EntryType.PURGE, content, terms=None, recipient=None, count=1)


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        (None, "this act (purge) lacks 2 different people"),
        ("content_days = 30", "by the rule content_days = 30, which that was too young for"),
        ("as we like", "by a rule that there is not"),
        ("content_days = 29", None),
    ],
)
def test_a_purge_that_hides_what_was_given_is_found(world: World, rule: str | None, said: str | None) -> None:
    """Once its content is gone nobody can decide a disclosure again."""
    world.sign_all(world.terms())
    world.add("aurelia", make_object("a"))
    world.poll("borealia")
    node = world.nodes["aurelia"]
    with node.store.read() as transaction:
        entries = log.read_entries(transaction, 0, log.count_entries(transaction))
    position = next(place for place, leaf in entries if b'"type":"disclosure"' in leaf)
    world.tick(29 * DAY)
    purge_entries(world, position, rule=rule)
    found = problems(world)
    assert (found == []) if said is None else any(said in problem for problem in found), found


def test_an_honest_purge_by_rule_is_clean(world: World) -> None:
    world.sign_all(world.terms())
    world.add("aurelia", make_object("a"))
    world.poll("borealia")
    node = world.nodes["aurelia"]
    object.__setattr__(node.settings, "content_days", 30)
    world.tick(31 * DAY)
    assert purge.purge_due(node).purge is not None
    # Its entries of people are gone too: who approved nobody can tell any more, and who is kept was on record.
    assert problems(world) == []
    world.register("aurelia", "third", Role.LEGAL)
    assert problems(world) == []


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        ("UPDATE credential SET party = 'aurelia' WHERE revoked_at IS NULL", "is kept otherwise than the log"),
        ("UPDATE credential SET expires_at = NULL WHERE revoked_at IS NULL", "is kept otherwise than the log"),
        ("UPDATE credential SET revoked_at = NULL WHERE revoked_at IS NOT NULL", "is kept otherwise than the log"),
        ("UPDATE credential SET id = 'abcdef' WHERE revoked_at IS NULL", "the credential abcdef of borealia is kept"),
        ("DELETE FROM credential WHERE revoked_at IS NULL", "is in the log and not kept"),
        ("UPDATE log_reader SET name = 'press'", "of press is kept otherwise than the log"),
        ("DELETE FROM log_reader", "of oversight is in the log and not kept"),
        (
            "INSERT INTO log_reader SELECT 'abc', 'ff', 'press', created_at, expires_at, NULL, NULL FROM log_reader",
            "the reader abc of press is kept otherwise",
        ),
    ],
)
def test_who_may_come_in_is_who_was_put_on_record(world: World, statement: str, said: str) -> None:
    node = world.nodes["aurelia"]
    create_credential(node, BOREALIA)
    create_credential(node, BOREALIA)
    with node.store.read() as transaction:
        row = transaction.row("SELECT id FROM credential LIMIT 1")
    assert row is not None
    revoke_credential(node, row[0])
    readers.add_reader(node, "oversight")
    assert problems(world) == []
    edit(world, statement)
    assert any(said in problem for problem in problems(world)), problems(world)


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        (
            "INSERT INTO source_record VALUES ('ab', 'feed', x'7b7d', 1)",
            "terms of receipt ab are kept, and in no entry",
        ),
        (
            (
                "INSERT INTO source_record VALUES ('ab', 'feed', x'7b7d', 1);"
                "INSERT INTO source (name, url, collection, record) VALUES ('feed', 'https://x.example', 'c', 'ab')"
            ),
            "the source feed is not followed as the log has put it on record",
        ),
    ],
)
def test_a_source_that_nobody_decided_on_is_found(world: World, statement: str, said: str) -> None:
    edit(world, *statement.split(";"))
    assert any(said in problem for problem in problems(world)), problems(world)


def test_an_entry_that_is_dated_back_is_found(world: World) -> None:
    """What had run out is given as of before, and every decision of that time fits."""
    world.sign_all(world.terms())
    world.add("aurelia", make_object("a"))
    world.tick(DAY)
    world.poll("borealia")
    assert problems(world) == []
    world.tick(-DAY)
    node = world.nodes["aurelia"]
    node._last = Instant(0)
    world.poll("borealia")
    assert any("and one before it at" in problem for problem in problems(world))


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        ("UPDATE tag SET word = 'IR' WHERE word = 'SY'", "IR is said of"),
        ("UPDATE tag SET object = 'report--x' WHERE word = 'SY'", "SY is said of report--x"),
        ("UPDATE tag SET said_at = said_at - 1 WHERE word = 'SY'", "SY is said of"),
        ("UPDATE tag SET ended_at = said_at + 1 WHERE word = 'SY'", "SY is said of"),
        ("UPDATE tag SET person = NULL, rules = 'ab' WHERE word = 'SY'", "no act of people in the log says so"),
        ("DELETE FROM tag WHERE word = 'SY'", "SY was said of"),
        ("UPDATE tag SET ended_at = NULL, ended_by = NULL, ended_why = NULL WHERE word = 'JO'", "took it back"),
        ("UPDATE tag SET person = 'aurelia-legal (legal)' WHERE word = 'SY'", "by others, or for another reason"),
        ("UPDATE tag SET ended_why = 'heard' WHERE word = 'SY'", "by others, or for another reason"),
        ("UPDATE tag SET ended_why = 'heard' WHERE word = 'JO'", "by others, or for another reason"),
        ("UPDATE tag SET ended_by = 'aurelia-legal (legal)' WHERE word = 'JO'", "by others, or for another reason"),
        ("UPDATE tag SET reason = 'heard' WHERE word = 'SY'", "by others, or for another reason"),
    ],
)
def test_words_that_no_people_said_are_found(world: World, statement: str, said: str) -> None:
    """What an object is about decides where it goes."""
    node = world.nodes["aurelia"]
    world.add("aurelia", make_object("a"))
    words = {"regions": ["SY", "JO"]}
    for text in words["regions"]:
        classify.say(
            node, object_id("report", "a"), {"regions": [text]}, reason="read", by=world.actor("aurelia", Role.LIAISON)
        )
    world.tick()
    classify.take_back(
        node, object_id("report", "a"), {"regions": ["JO"]}, reason="no", by=world.actor("aurelia", Role.LIAISON)
    )
    assert problems(world) == []
    edit(world, statement)
    assert any(said in problem for problem in problems(world)), problems(world)


def test_words_are_no_finding_where_what_says_them_was_purged_or_the_object_deleted(world: World) -> None:
    node = world.nodes["aurelia"]
    world.add("aurelia", make_object("a"), make_object("b"))
    for name in ("a", "b"):
        by_liaison = world.actor("aurelia", Role.LIAISON)
        classify.say(node, object_id("report", name), {"regions": ["SY"]}, reason="read", by=by_liaison)
    world.tick()
    retention.delete(node, object_id("report", "a"), reason="asked for")
    assert problems(world) == []
    with node.store.read() as transaction:
        (_, last) = [place for place, _, _ in audited.iterate_entries_of(transaction, EntryType.CLASSIFICATION)]
    order = purge.Selection(entries=frozenset({last}))
    for role in (Role.LIAISON, Role.LEGAL):
        world.tick()
        purge.purge_by_order(node, order, reason="order 12", by=world.actor("aurelia", role))
    assert node.store.row("SELECT 1 FROM log_opening WHERE position = ?", (last,)) is None
    assert problems(world) == []


def test_what_is_dated_ahead_is_told(world: World) -> None:
    """By a clock that is years ahead, what is deleted by date goes at once: the log says when, and no more."""
    world.sign_all(world.terms())
    world.add("aurelia", make_object("a"))
    before = world.now
    world.tick(DAY)
    world.poll("borealia")
    found = audit_folder(world.nodes["aurelia"].folder, now=before)
    assert (found.found, len(found.open)) == (0, 1)
    assert "dated later than the clock of this audit" in next(iter(found.open))
    assert audit_folder(world.nodes["aurelia"].folder, now=world.now).open == {}


@pytest.mark.parametrize("kind", sorted(set(EntryType) - {EntryType.DISCLOSURE}))
@pytest.mark.parametrize("content", [b"\xff", b"[]", b'{"format":"x"}'])
def test_an_entry_that_says_nothing_legible_is_a_finding_and_no_end(
    world: World, kind: EntryType, content: bytes
) -> None:
    """Nothing that an operator writes keeps an audit from naming what is wrong, down to the entry."""
    agreement = world.sign_all(world.terms())
    node = world.nodes["aurelia"]
    with node.act() as act:
        terms = standing.find_agreement(node, act.transaction, agreement).versions[-1].hash
        of = None if kind in OF_NO_TERMS else terms
        position = act.position
        act.record(kind, content, terms=of, recipient=None, count=1)
    try:
        named: list[object] = [finding.entry for finding in examine(world).findings]
    except LogMismatch as error:  # what the trees are read by
        named = [error.facts["entry"]]
    assert position in named
