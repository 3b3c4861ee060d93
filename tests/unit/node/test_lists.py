# SPDX-License-Identifier: Apache-2.0
"""Who leaves a list is in question: nothing about that subject goes until people decide, whatever else is said."""

import json
from pathlib import Path

import pytest

from comity.agreement.people import Role
from comity.agreement.work import WorkKind
from comity.classification.lists import parse_subject_list
from comity.errors import ConflictError, MalformedRequest, NotFoundError, TransitionError
from comity.ids import PartyId
from comity.node.audit import audit_folder
from comity.node.classify import Classified, say, take_back
from comity.node.explain import explain
from comity.node.lists import (
    Decided,
    Loaded,
    decide_subject,
    foresee_list,
    list_lists,
    list_questions,
    load_list,
    read_list,
    review_list,
    show_list,
)
from comity.node.people import Waiting
from comity.node.rules import end_rules
from comity.node.steps import finish
from comity.node.work import list_work
from tests.chains import introduce, pull_all, sign_onward
from tests.unit.node.test_beside import edit
from tests.unit.node.test_rules import apply, parse
from tests.worlds import World, make_object, object_id

A, B, C = map(PartyId, ("aurelia", "borealia", "cimbria"))
X, Y = object_id("report", "x"), object_id("report", "y")
ASHFALL, OTHER = "national:ashfall", "national:other"
RULES = """
format = "comity-rules/1"
name = "subjects"
[[rules]]
id = "named"
why = "is called so"
[rules.when]
names = ["z"]
[rules.say]
subjects = ["national:ashfall"]
"""
ENTRY = {"subject": "other:1", "kind": "entity", "names": ["One"]}


def make_list(version: str, *subjects: str, name: str = "One Name") -> bytes:
    entries = [{"subject": subject, "kind": "entity", "names": [f"{name} of {subject}"]} for subject in subjects]
    return json.dumps(
        {"format": "comity-subject-list/1", "list": "national", "version": version, "entries": entries}
    ).encode()


def load(world: World, party: str, data: bytes) -> Loaded:
    done = load_list(world.nodes[party], parse_subject_list(data), reason="new", by=world.actor(party))
    assert isinstance(done, Loaded), done
    return done


def decide(world: World, decision: str, *roles: Role) -> Decided | Waiting:
    done: object = None
    for role in roles:
        done = decide_subject(world.nodes[A], ASHFALL, decision, reason="looked at", by=world.actor(A, role))
    assert isinstance(done, Decided | Waiting), done
    return done


@pytest.fixture
def listed(world: World) -> World:
    """A world in which x goes, y refers to it, and its subject stands on a list."""
    world.sign_all(world.terms(subjects=[ASHFALL, OTHER]))
    world.add(A, make_object("x"), make_object("y", subjects=[OTHER], refs=[X]), make_object("z", subjects=[OTHER]))
    load(world, A, make_list("2026-01", ASHFALL, OTHER))
    assert {X, Y} <= set(world.read(B))
    return world


def test_the_first_version_stops_nothing(world: World) -> None:
    world.add(A, make_object("x"))
    done = load(world, A, make_list("2026-01", OTHER))
    assert (done.first, done.stopped, done.changes.delisted) == (True, 0, ())
    assert list_questions(world.nodes[A]) == []


def test_who_leaves_the_list_is_given_to_nobody_with_reason_and_clause(listed: World) -> None:
    done = load(listed, A, make_list("2026-02", OTHER))
    assert (done.changes.delisted, done.stopped) == ((ASHFALL,), 1)
    assert set(listed.read(B)) == {object_id("report", "z")}
    for name in (X, Y):
        verdict = explain(listed.nodes[A], name, to=B).verdict
        assert (verdict.decision, verdict.clause) == ("withhold", "markings")
        assert verdict.reason is not None
        assert "left its list" in verdict.reason
    assert audit_folder(listed.folder / A, now=listed.now).found == 0


def test_what_a_version_would_do_is_what_it_then_does(listed: World) -> None:
    listed.add(A, make_object("x2", subjects=[ASHFALL]), make_object("both", subjects=[ASHFALL, OTHER]))
    version = parse_subject_list(make_list("2026-02", "national:new", name="Two"))
    before = set(listed.read(B))
    seen = foresee_list(listed.nodes[A], version)
    assert set(listed.read(B)) == before
    assert [item.version for item in list_lists(listed.nodes[A])] == ["2026-01"]
    assert (seen.before, seen.digest, seen.entries) == ("2026-01", version.digest, 1)
    about = dict(seen.leaving)
    assert set(about) == {ASHFALL, OTHER}
    done = load(listed, A, make_list("2026-02", "national:new", name="Two"))
    assert (seen.changes, seen.stopped) == (done.changes, done.stopped)
    assert {item.subject: many for item, many in list_questions(listed.nodes[A])} == about
    assert max(about.values()) < seen.stopped < sum(about.values())  # one is about both


def test_of_a_first_version_nothing_would_be_stopped_and_an_old_one_is_refused(listed: World) -> None:
    first = {**json.loads(make_list("1", OTHER)), "list": "other", "entries": [ENTRY]}
    seen = foresee_list(listed.nodes[A], parse_subject_list(json.dumps(first).encode()))
    assert (seen.before, seen.leaving, seen.stopped) == (None, (), 0)
    with pytest.raises(ConflictError, match="sorts behind it"):
        foresee_list(listed.nodes[A], parse_subject_list(make_list("2026-01", OTHER)))


def test_an_entry_that_is_written_otherwise_and_says_the_same_has_not_changed(listed: World) -> None:
    entries = [
        {"aliases": [], "names": [f"One Name of {subject}"], "kind": "entity", "subject": subject}
        for subject in (OTHER, ASHFALL)
    ]
    value = {"format": "comity-subject-list/1", "list": "national", "version": "2026-02", "entries": entries}
    done = load(listed, A, json.dumps(value, indent=3).encode())
    assert (done.changes.listed, done.changes.delisted, done.changes.changed) == ((), (), ())


def test_what_comes_in_or_is_classified_later_is_stopped_too(listed: World) -> None:
    load(listed, A, make_list("2026-02", OTHER))
    listed.add(A, make_object("late"), make_object("later", subjects=[OTHER]), make_object("x", day=2))
    done = say(
        listed.nodes[A],
        object_id("report", "later"),
        {"regions": ["SY"]},
        reason="r",
        by=listed.actor(A),
    )
    assert isinstance(done, Classified)
    given = set(listed.read(B))
    assert given == {object_id("report", "z"), object_id("report", "later")}
    with pytest.raises(MalformedRequest, match="is not on the list"):
        say(listed.nodes[A], object_id("report", "z"), {"subjects": [ASHFALL]}, reason="r", by=listed.actor(A))


def test_written_anew_without_its_subject_it_stays_stopped_until_two_people_decide(listed: World) -> None:
    load(listed, A, make_list("2026-02", OTHER))
    listed.add(A, make_object("x", subjects=[OTHER], day=2))
    listed.add(A, make_object("x", subjects=[OTHER], day=2), make_object("x", subjects=[OTHER], day=3))
    listed.add(A, make_object("v", subjects=[OTHER], day=2), make_object("v"))
    assert set(listed.read(B)) == {object_id("report", "z")}
    decide(listed, "keep", Role.LIAISON, Role.LEGAL)
    assert {X, Y, object_id("report", "v")} <= set(listed.read(B))
    assert audit_folder(listed.folder / A, now=listed.now).found == 0


def test_who_leaves_later_stops_what_an_earlier_version_said_as_was_foreseen(listed: World) -> None:
    listed.add(A, make_object("x", subjects=[OTHER], day=2))
    assert X in listed.read(B)
    seen = foresee_list(listed.nodes[A], parse_subject_list(make_list("2026-02", OTHER)))
    load(listed, A, make_list("2026-02", OTHER))
    assert seen.stopped == 1
    assert set(listed.read(B)) == {object_id("report", "z")}


def test_a_subject_in_question_is_taken_back_by_two_people(listed: World) -> None:
    name, words = object_id("report", "z"), {"subjects": [ASHFALL]}
    say(listed.nodes[A], name, words, reason="r", by=listed.actor(A))
    load(listed, A, make_list("2026-02", OTHER))
    for role, kind in ((Role.LIAISON, Waiting), (Role.LEGAL, Classified)):
        assert listed.read(B) == {}
        done = take_back(listed.nodes[A], name, words, reason="another group", by=listed.actor(A, role))
        assert isinstance(done, kind)
    assert name in listed.read(B)
    assert audit_folder(listed.folder / A, now=listed.now).found == 0


def test_rules_that_say_a_subject_in_question_are_ended_by_two_people(listed: World) -> None:
    apply(listed, parse(RULES))
    assert object_id("report", "z") in listed.read(B)
    load(listed, A, make_list("2026-02", OTHER))
    for role in (Role.LIAISON, Role.LEGAL):
        assert listed.read(B) == {}
        finish(end_rules(listed.nodes[A], "subjects", reason="closed", by=listed.actor(A, role)))
    assert object_id("report", "z") in listed.read(B)


def test_two_people_let_it_go_on_and_one_stops_it(listed: World) -> None:
    load(listed, A, make_list("2026-02", OTHER))
    assert isinstance(decide(listed, "keep", Role.LEGAL), Waiting)
    assert X not in listed.read(B)
    kept = decide(listed, "keep", Role.LIAISON)
    assert isinstance(kept, Decided)
    assert kept.objects == 1
    assert {X, Y} <= set(listed.read(B))
    with pytest.raises(TransitionError, match="so already"):
        decide(listed, "keep", Role.LEGAL)
    assert isinstance(decide(listed, "stop", Role.LIAISON), Decided)
    assert X not in listed.read(B)
    assert audit_folder(listed.folder / A, now=listed.now).found == 0


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        ("UPDATE questioned_subject SET decision = 'keep'", f"decided of {ASHFALL} is kept otherwise"),
        ("UPDATE questioned_subject SET reason = 'heard'", f"decided of {ASHFALL} is kept otherwise"),
        (
            "UPDATE questioned_subject SET decided_by = 'aurelia-legal (legal)'",
            f"decided of {ASHFALL} is kept otherwise",
        ),
        ("DELETE FROM questioned_subject", f"{ASHFALL} left its list by the log"),
        (
            "UPDATE questioned_subject SET subject = 'x'",
            "decided of x is kept otherwise",
        ),
        (
            "UPDATE subject_list SET digest = 'ab' WHERE version = '2026-02'",
            "version 2026-02 of the list national is kept",
        ),
        ("UPDATE subject_list SET loaded_by = 'x' WHERE version = '2026-02'", "is kept otherwise than the log"),
        ("UPDATE subject_list SET reviewed_at = 1 WHERE version = '2026-02'", "is kept otherwise than the log"),
        ("UPDATE subject_list SET version = '2026-03' WHERE version = '2026-02'", "no act in the log has loaded it"),
        ("DELETE FROM list_entry WHERE subject = 'national:ashfall'", "version 2026-01 of the list national is kept"),
        ("DELETE FROM subject_list WHERE version = '2026-02'", "was loaded by the log, and is not kept"),
    ],
)
def test_what_people_did_not_decide_of_lists_is_found(listed: World, statement: str, said: str) -> None:
    """Whoever writes the table lets go what is about somebody who was struck off."""
    load(listed, A, make_list("2026-02", OTHER))
    decide(listed, "stop", Role.LIAISON)
    edit(listed, statement)
    found = [finding.problem for finding in audit_folder(listed.folder / A, now=listed.now).findings]
    assert any(said in problem for problem in found), found


def test_to_be_listed_again_decides_nothing(listed: World) -> None:
    load(listed, A, make_list("2026-02", OTHER))
    load(listed, A, make_list("2026-03", ASHFALL, OTHER))
    assert X not in listed.read(B)
    decide(listed, "keep", Role.LIAISON, Role.LEGAL)
    assert X in listed.read(B)
    load(listed, A, make_list("2026-04", OTHER))
    assert X not in listed.read(B)


def test_what_others_gave_about_it_is_not_passed_on(tmp_path: Path) -> None:
    chain = World(tmp_path)
    chain.found(A, B, C)
    introduce(chain, [(A, B), (B, C)])
    sign_onward(chain, A, B, listed=[C])
    sign_onward(chain, B, C, listed=[])
    load(chain, B, make_list("2026-01", ASHFALL, OTHER))
    load(chain, B, make_list("2026-02", OTHER))
    chain.add(A, make_object("x"))
    assert X in pull_all(chain, A, B)
    assert X not in pull_all(chain, B, C)
    chain.close()


UN = """<?xml version="1.0"?><CONSOLIDATED_LIST dateGenerated="{}"><INDIVIDUALS><INDIVIDUAL>
<DATAID>1</DATAID><FIRST_NAME>Ondrej</FIRST_NAME><SECOND_NAME>Fictional</SECOND_NAME>
<REFERENCE_NUMBER>QDi.901</REFERENCE_NUMBER>
<INDIVIDUAL_ALIAS><QUALITY>Good</QUALITY><ALIAS_NAME>The Reed Cutter</ALIAS_NAME></INDIVIDUAL_ALIAS>
<INDIVIDUAL_ALIAS><QUALITY>Low</QUALITY><ALIAS_NAME>Reed</ALIAS_NAME></INDIVIDUAL_ALIAS>
</INDIVIDUAL></INDIVIDUALS><ENTITIES>{}</ENTITIES></CONSOLIDATED_LIST>"""
ENTITY = "<ENTITY><DATAID>2</DATAID><FIRST_NAME>Marrow Ford</FIRST_NAME>{}</ENTITY>"
NUMBER = "<REFERENCE_NUMBER>QDe.901</REFERENCE_NUMBER>"


def test_the_list_of_the_security_council_is_read_as_it_is_published(world: World) -> None:
    node = world.nodes[A]
    listed = read_list(node, UN.format("2026-11-01", ENTITY.format(NUMBER)).encode())
    assert (listed.list, listed.version) == ("unsc", "2026-11-01")
    assert listed.entries.keys() == {"unsc:QDi.901", "unsc:QDe.901"}
    person = listed.entries["unsc:QDi.901"]
    assert (person.kind, person.names) == ("individual", ("Ondrej Fictional",))
    assert [(alias.name, alias.good) for alias in person.aliases] == [("Reed", False), ("The Reed Cutter", True)]
    loaded = [
        load_list(node, read_list(node, UN.format(day, data).encode()), reason="r", by=world.actor(A))
        for day, data in (("2026-11-01", ENTITY.format(NUMBER)), ("2026-11-02", ""))
    ]
    assert isinstance(loaded[1], Loaded)
    assert loaded[1].changes.delisted == ("unsc:QDe.901",)
    with pytest.raises(MalformedRequest, match="would pass for one that left"):
        read_list(node, UN.format("2026-11-03", ENTITY.format("")).encode())
    with pytest.raises(MalformedRequest):
        read_list(node, b"<html></html>")


def test_nobody_asks_about_who_is_listed(listed: World) -> None:
    with pytest.raises(NotFoundError, match="has left no list"):
        decide(listed, "keep", Role.LEGAL)


def test_an_older_version_or_the_same_is_refused(listed: World) -> None:
    for version in ("2026-01", "2025-12"):
        with pytest.raises(ConflictError, match="sorts behind"):
            load(listed, A, make_list(version, OTHER))
    assert [item.version for item in list_lists(listed.nodes[A])] == ["2026-01"]


def test_changes_and_questions_are_work_until_people_see_to_them(listed: World) -> None:
    def kinds() -> set[str]:
        return {item.kind.value for item in list_work(listed.nodes[A])}

    assert not kinds() & {"list-changed", "subject-to-decide"}
    load(listed, A, make_list("2026-02", OTHER, name="New Name"))
    assert {"list-changed", "subject-to-decide"} <= kinds()
    (asked,) = [item for item in list_work(listed.nodes[A]) if item.kind.value == "subject-to-decide"]
    assert "terms that name it: Exchange on Ashfall" in asked.why
    decide(listed, "stop", Role.LEGAL)
    assert "subject-to-decide" not in kinds()
    reviewed = review_list(listed.nodes[A], "national", reason="seen", by=listed.actor(A))
    assert not isinstance(reviewed, Waiting)
    assert "list-changed" not in kinds()
    with pytest.raises(TransitionError, match="looked at already"):
        review_list(listed.nodes[A], "national", reason="seen", by=listed.actor(A))
    shown, entries = show_list(listed.nodes[A], "national")
    assert (shown.changes.delisted, shown.changes.changed) == ((ASHFALL,), (OTHER,))
    assert entries[OTHER].names == (f"New Name of {OTHER}",)


def test_terms_that_name_who_is_on_no_version_go_on_and_are_work(world: World) -> None:
    world.sign_all(world.terms(subjects=[ASHFALL, OTHER]))
    world.add(A, make_object("x"))
    load(world, A, make_list("2026-01", OTHER))
    assert X in world.read(B)
    (item,) = [one for one in list_work(world.nodes[A]) if one.kind is WorkKind.LIST_CHANGED]
    assert (ASHFALL in item.why, OTHER in item.why, item.count) == (True, False, 1)
    review_list(world.nodes[A], "national", reason="seen", by=world.actor(A))
    assert WorkKind.LIST_CHANGED not in {one.kind for one in list_work(world.nodes[A])}


def test_who_is_listed_after_the_signature_is_given_by_no_list(world: World) -> None:
    """Terms name subjects, not lists: a version with another name, or another subject, lets nothing go by itself."""
    world.sign_all(world.terms(subjects=[ASHFALL]))
    load(world, A, make_list("2026-01", ASHFALL))
    world.add(A, make_object("Ashfall", subjects=[]), make_object("other", subjects=[OTHER]))
    load(world, A, make_list("2026-02", ASHFALL, OTHER))
    assert world.read(B) == {}
