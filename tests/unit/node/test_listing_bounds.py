# SPDX-License-Identifier: Apache-2.0
"""What lists and tables take does not grow with what they do not show, and what is remembered is what is held."""

import json
from collections import Counter

import pytest

from comity.agreement.events import EventKind
from comity.agreement.people import Role
from comity.agreement.work import WorkKind
from comity.classification.lists import parse_subject_list
from comity.ids import ObjectId, PartyId
from comity.node import identity
from comity.node.agree import propose
from comity.node.classify import Classified, say
from comity.node.identity import find_candidates
from comity.node.lists import Loaded, foresee_list, list_questions, load_list
from comity.node.matrix import find_matrix, see_as
from comity.node.people import Actor, identify, list_matters
from comity.node.retention import delete
from comity.node.steps import finish
from comity.node.work import list_work
from comity.release import clauses, sieve
from comity.store import Transaction, likeness, objects
from comity.store.changes import read_changes
from tests.unit.node.test_retention import REVIEWED, agree, list_due, meet, receive
from tests.unit.node.test_safeguards import list_as
from tests.worlds import World, make_object, object_id

A, B = "aurelia", PartyId("borealia")
MANY = 40
DAY = 86_400_000_000


def make_list(version: str, numbers: range) -> bytes:
    entries = [{"subject": f"national:{n}", "kind": "entity", "names": [f"Name {n}"], "aliases": []} for n in numbers]
    listed = {"format": "comity-subject-list/1", "list": "national", "version": version, "entries": entries}
    return json.dumps(listed).encode()


def load(world: World, version: str, numbers: range) -> None:
    done = load_list(world.nodes[A], parse_subject_list(make_list(version, numbers)), reason="new", by=world.actor(A))
    assert isinstance(done, Loaded)


@pytest.fixture
def left(world: World) -> World:
    """Many have left a list; about the second of them are two objects, about each other one is one."""
    load(world, "1", range(10 * MANY))
    about = [make_object(f"x{n}", subjects=[f"national:{n}"]) for n in range(MANY)]
    world.add(A, *about, make_object("more", subjects=["national:1", "national:2"]))
    load(world, "2", range(MANY, 10 * MANY))
    return world


def test_who_left_a_list_is_counted_in_a_few_statements(left: World, ran: Counter[str]) -> None:
    found = {item.subject: many for item, many in list_questions(left.nodes[A])}
    assert found == {f"national:{n}": 1 + (n in {1, 2}) for n in range(MANY)}
    assert ran["statements"] < 10
    ran.clear()
    seen = foresee_list(left.nodes[A], parse_subject_list(make_list("3", range(MANY, 2 * MANY))))
    assert (len(seen.leaving), seen.stopped) == (8 * MANY, 0)
    assert ran["statements"] < 10


def test_objects_about_a_subject_are_found_by_an_index(left: World) -> None:
    with left.nodes[A].store.read() as transaction:
        plans = [
            transaction.rows(
                "EXPLAIN QUERY PLAN SELECT id FROM object WHERE own_label IN (SELECT label FROM label_word"
                " WHERE clause = 'subjects' AND word IN (SELECT value FROM json_each(?)))",
                ('["national:1"]',),
            )
        ]
        assert len(objects.find_about(transaction, ["national:1"])) == 2
    assert any("object_by_own_label" in str(row) for plan in plans for row in plan)


def test_work_reads_no_entry_of_a_list_that_nobody_names(left: World, ran: Counter[str]) -> None:
    left.sign_all(left.terms(subjects=["national:1", f"national:{50 * MANY}"], title="Named"))
    ran.clear()
    work = list_work(left.nodes[A])
    assert ran["rows"] < 5 * MANY
    asked = [item for item in work if item.kind is WorkKind.SUBJECT_TO_DECIDE]
    assert len(asked) == MANY
    (why,) = [item.why for item in asked if "terms that name it" in item.why]
    assert why.startswith("national:1 left the list national with version 2: what is about it, 2 objects, goes to")
    assert why.endswith("nobody; terms that name it: Named")
    unlisted = [item.why for item in work if item.kind is WorkKind.LIST_CHANGED and "Named" in item.why]
    assert len(unlisted) == 1
    assert f"Named names national:{50 * MANY}, not on the list national" in unlisted[0]


def test_what_waits_for_a_second_person_is_listed_in_a_few_statements(world: World, ran: Counter[str]) -> None:
    for number in range(12):
        propose(world.nodes[A], world.terms(title=f"Proposal {number}"), by=world.actor(A, Role.LIAISON))
        world.tick()
    ran.clear()
    listed = list_matters(world.nodes[A])
    assert [[one.person for one in item.approvals] for item in listed] == [["aurelia-liaison"]] * 12
    assert ran["statements"] < 6


def test_what_is_due_is_judged_many_at_a_time(world: World, ran: Counter[str]) -> None:
    meet(world, B, A)
    receive(world, agree(world, REVIEWED), *(make_object(f"x{n}") for n in range(3 * MANY)))
    world.tick(70 * DAY)
    ran.clear()
    due = list_due(world.nodes[B])
    assert [item.object.id for item in due] == [object_id("report", f"x{n}") for n in range(3 * MANY)]
    assert ran["statements"] < MANY


def test_a_matrix_tests_what_a_label_says_once_for_each_word_that_terms_allow(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    for n in range(6):
        world.sign_all(world.terms(subjects=[f"national:{n}"], title=f"Exchange {n}"))
    world.add(A, *(make_object(f"x{n}", subjects=[f"national:{n}"]) for n in range(MANY)))
    tested = Counter[str]()

    def count(test: clauses.Test, found: clauses.Groups, allowed: frozenset[str] | None) -> bool:
        tested["all"] += 1
        return clauses.admits_groups(test, found, allowed)

    monkeypatch.setattr(sieve, "admits_groups", count)
    found = finish(find_matrix(world.nodes[A], "types", after=None, limit=9))
    ((cell,),) = [row.cells for row in found.rows]
    assert (cell.full, cell.withheld) == (6, MANY - 6)
    assert 0 < tested["all"] < MANY
    tested.clear()
    finish(find_matrix(world.nodes[A], "types", after=None, limit=9))
    assert tested["all"] == 0
    world.add(A, make_object("new", subjects=["national:0", "national:new"]))
    ((cell,),) = [row.cells for row in finish(find_matrix(world.nodes[A], "types", after=None, limit=9)).rows]
    assert (cell.full, cell.withheld) == (7, MANY - 6)


def test_collections_of_a_party_are_asked_about_again_only_when_something_has_changed(
    world: World, ran: Counter[str]
) -> None:
    made = [world.sign_all(world.terms(title=f"Exchange {n}")) for n in range(12)]
    see_as(world.nodes[A], B, collection=None, before=None, limit=1)
    ran.clear()
    shown = see_as(world.nodes[A], B, collection=None, before=None, limit=1)
    assert [item.gate for item in shown.collections] == [None] * 12
    assert ran["statements"] < 20
    with world.nodes[A].store.read() as transaction:
        changes = read_changes(transaction)
    world.act(A, made[3], EventKind.SUSPEND)
    shown = see_as(world.nodes[A], B, collection=None, before=None, limit=1)
    assert {item.agreement: item.gate is None for item in shown.collections} == {name: name != made[3] for name in made}
    with world.nodes[A].store.read() as transaction:
        assert read_changes(transaction) > changes


def list_candidates(world: World, name: str = "x") -> list[ObjectId]:
    return [item.id for item in finish(find_candidates(world.nodes[A], object_id("identity", name))).items]


def name(*keys: str) -> list[ObjectId]:
    return sorted(object_id("identity", key) for key in keys)


def test_who_may_be_the_same_person_is_read_once_and_found_by_what_came_since(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.add(A, list_as("x"), list_as("y"), *(list_as(f"n{n}") | {"name": f"Other{n} Name{n}"} for n in range(MANY)))
    assert list_candidates(world) == name("y")
    read = list[int]()
    plain = likeness.read_persons

    def count(transaction: object, keys: list[int]) -> list[tuple[ObjectId, bytes]]:
        read.extend(keys)
        return plain(transaction, keys)  # type: ignore[arg-type]

    monkeypatch.setattr(likeness, "read_persons", count)
    monkeypatch.setattr(likeness, "read_identities", lambda *_, **__: pytest.fail("all of them are read again"))
    assert list_candidates(world) == name("y")
    assert len(read) == 2
    world.add(A, list_as("z"))
    assert list_candidates(world) == name("y", "z")


def test_who_is_known_is_held_and_called_so_now(world: World) -> None:
    world.register(A, "aurelia-analyst", Role.ANALYST)
    world.add(A, list_as("x"), list_as("y"), list_as("z"), list_as("last"))
    assert list_candidates(world) == name("y", "z", "last")
    delete(world.nodes[A], object_id("identity", "last"), reason="Nobody needs it.", by="desk")
    assert list_candidates(world) == name("y", "z")
    # Whatever is added next has the key of what was deleted.
    world.add(A, list_as("next"))
    assert list_candidates(world) == name("y", "z", "next")
    newer = list_as("y") | {"name": "Ben Roth", "modified": "2025-06-01T00:00:00.000000Z"}
    world.add(A, newer)
    assert list_candidates(world) == name("z", "next")


def test_what_is_said_of_the_same_persons_again_and_again_uses_up_no_reading(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(identity, "_MOST_READ", 4)
    world.add(A, list_as("x"), list_as("y"), list_as("z"))
    assert list_candidates(world) == name("y", "z")
    analyst = Actor(person=identify(world.nodes[A], world.register(A, "aurelia-analyst", Role.ANALYST)))
    for region in ("SY", "JO", "TR", "LB"):
        said = say(world.nodes[A], object_id("identity", "y"), {"regions": [region]}, reason="It says so.", by=analyst)
        assert isinstance(said, Classified)
        assert list_candidates(world) == name("y", "z")
    world.add(A, list_as("next"))
    assert list_candidates(world) == name("y", "z", "next")


@pytest.mark.parametrize(("name_of", "most"), [("_MOST_READ", 2), ("_MOST_MARKS", 3)])
def test_where_no_more_is_read_of_persons_the_answer_says_that_there_can_be_more(
    world: World, monkeypatch: pytest.MonkeyPatch, name_of: str, most: int
) -> None:
    world.add(A, list_as("x"), list_as("y"))
    x = object_id("identity", "x")
    assert not finish(find_candidates(world.nodes[A], x)).more
    monkeypatch.setattr(identity, name_of, most)
    assert finish(find_candidates(world.nodes[A], x)).more


def test_what_came_in_together_is_read_in_small_steps(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.add(A, list_as("x"))
    assert list_candidates(world) == []
    monkeypatch.setattr(identity, "_READ_AT_ONCE", 3)
    world.add(A, *(list_as(f"y{n}") for n in range(10)))
    read = list[int]()
    plain = likeness.read_identities_between

    def count(transaction: Transaction, *, after: int, through: int, most: int) -> list[tuple[int, int, bytes]]:
        rows = plain(transaction, after=after, through=through, most=most)
        read.append(len(rows))
        return rows

    monkeypatch.setattr(likeness, "read_identities_between", count)
    assert list_candidates(world) == name(*(f"y{n}" for n in range(10)))
    assert max(read) == 3
