# SPDX-License-Identifier: Apache-2.0
"""Indicators whose pattern only a parser can tell the truth of: withheld until then, and after if it does not parse."""

import json
from collections.abc import Sequence
from typing import Any, cast

import pytest

from comity.canonical import Json
from comity.ids import Instant, PartyId
from comity.node import patterns
from comity.node.accept import STATUS_LIFETIME, Status, accept_objects, forget_old, list_write_collections, read_status
from comity.node.explain import explain, show_object
from comity.node.patterns import describe_pattern, has_due, keep_said, list_due, read_concerns, show_in_steps
from comity.node.retention import delete
from comity.node.steps import finish
from comity.node.work import list_work
from comity.stix.grammar import MAX_PATTERN, find_pattern_problem
from comity.store import Transaction
from comity.store import patterns as store_patterns
from comity.store.transaction import Row, SqlValue
from tests.worlds import World, make_object, object_id

BOREALIA = PartyId("borealia")
GOOD = "[ipv4-addr:value = '192.0.2.1'] WITHIN 5 SECONDS"
BAD = "[ipv4-addr:value == '192.0.2.1']]"


def indicator(name: str, pattern: str, *, day: int = 1, **more: Json) -> dict[str, Json]:
    return make_object(name, kind="indicator", day=day, more={"pattern": pattern, **more})


def check(world: World, name: str = "aurelia") -> int:
    """Do what the serving process does, with the parser in this one; how many patterns were read."""
    node, read = world.nodes[name], 0
    finish(show_in_steps(node))
    while due := list_due(node):
        read += len(due)
        problems = {item.id: find_pattern_problem(item.text) for item in due}
        keep_said(node, {key: None if problem is None else str(problem) for key, problem in problems.items()})
        finish(show_in_steps(node))
    assert not has_due(node)
    return read


def markings(world: World, name: str, party: str = "aurelia") -> frozenset[str]:
    return show_object(world.nodes[party], object_id("indicator", name)).label.markings


def count(world: World, table: str, party: str = "aurelia") -> int:
    with world.nodes[party].store.read() as transaction:
        row = transaction.row(f"SELECT COUNT(*) FROM {table}")
    assert row is not None
    return int(row[0])


def write(world: World, *objects: object) -> Status:
    (target,) = list_write_collections(world.nodes["aurelia"], BOREALIA)
    data = json.dumps({"objects": list(objects)}).encode()
    done = accept_objects(world.nodes["aurelia"], data, giver=BOREALIA, collection=target.id)
    assert isinstance(done, Status), done
    return done


def names(details: Any) -> list[str]:  # noqa: ANN401
    return [item.id for item in details]


def test_nobody_receives_an_indicator_before_its_pattern_was_read(world: World) -> None:
    world.sign_all(world.terms())
    world.add("aurelia", indicator("usual", "[url:value = 'x']"), indicator("good", GOOD), indicator("bad", BAD))
    assert set(world.read("borealia")) == {object_id("indicator", "usual")}
    assert check(world) == 2
    assert set(world.read("borealia")) == {object_id("indicator", "usual"), object_id("indicator", "good")}
    assert markings(world, "good") == frozenset()
    assert markings(world, "bad") == {"unparsable-pattern"}


def test_what_refers_to_one_is_withheld_and_released_with_it(world: World) -> None:
    world.sign_all(world.terms())
    refs = [object_id("indicator", "good")]
    world.add("aurelia", indicator("good", GOOD), make_object("r", refs=refs), make_object("s", refs=[*refs]))
    assert world.read("borealia") == {}
    check(world)
    assert len(world.read("borealia")) == 3


def test_explain_names_the_marking_and_the_chain_to_it(world: World) -> None:
    world.sign_all(world.terms())
    world.add("aurelia", indicator("bad", BAD), make_object("r", refs=[object_id("indicator", "bad")]))
    node = world.nodes["aurelia"]
    assert "unchecked-pattern" in (explain(node, object_id("indicator", "bad"), to=BOREALIA).verdict.reason or "")
    check(world)
    said = explain(node, object_id("report", "r"), to=BOREALIA).verdict
    assert (said.decision, said.clause) == ("withhold", "markings")
    assert "unparsable-pattern" in (said.reason or "")
    assert object_id("indicator", "bad") in (said.reason or "")


def test_show_and_work_say_where_the_pattern_fails(world: World) -> None:
    world.add("aurelia", indicator("bad", BAD), indicator("good", GOOD), indicator("s", "x", pattern_type="sigma"))
    node = world.nodes["aurelia"]

    def describe(kind: str, name: str) -> str | None:
        shown = show_object(node, object_id(kind, name))
        return describe_pattern(node, shown.object.pk, shown.data)

    assert describe("indicator", "bad") == "not read by a parser yet"
    check(world)
    assert (describe("indicator", "bad") or "").startswith("does not parse: line 1, column 33, in pattern: ")
    assert describe("indicator", "good") == "parses"
    assert describe("indicator", "s") == "not checked here: sigma"
    (item,) = [item for item in list_work(node) if item.kind == "unparsable-pattern"]
    assert item.count == 1
    assert object_id("indicator", "bad") in item.why
    ids = frozenset({object_id("indicator", "bad"), object_id("indicator", "good")})
    assert list(read_concerns(node, ids).problems) == [object_id("indicator", "bad")]


def test_a_corrected_version_goes(world: World) -> None:
    world.sign_all(world.terms())
    world.add("aurelia", indicator("a", BAD))
    check(world)
    world.add("aurelia", indicator("a", GOOD, day=2))
    assert world.read("borealia") == {}
    check(world)
    assert set(world.read("borealia")) == {object_id("indicator", "a")}
    assert list_work(world.nodes["aurelia"]) == ()


def test_a_later_version_that_does_not_parse_takes_the_earlier_one_back(world: World) -> None:
    world.sign_all(world.terms())
    world.add("aurelia", indicator("a", GOOD))
    check(world)
    assert world.read("borealia")
    world.add("aurelia", indicator("a", BAD, day=2))
    check(world)
    assert world.read("borealia") == {}


def test_the_same_again_changes_nothing_of_what_is_known(world: World) -> None:
    for pattern in (GOOD, BAD):
        world.add("aurelia", indicator(pattern, pattern))
    world.add("aurelia", indicator(GOOD, GOOD), indicator(BAD, BAD))
    check(world)
    world.add("aurelia", indicator(GOOD, GOOD), indicator(BAD, BAD))
    assert markings(world, GOOD) == frozenset()
    assert markings(world, BAD) == {"unparsable-pattern"}


def test_each_pattern_is_read_once_for_each_giver(world: World) -> None:
    world.add("aurelia", *(indicator(f"{number}", GOOD) for number in range(5)))
    assert check(world) == 1
    world.add("aurelia", indicator("later", GOOD), indicator("bad", BAD))
    assert markings(world, "later") == frozenset()
    assert check(world) == 1
    world.add("aurelia", indicator("later bad", BAD))
    assert markings(world, "later bad") == {"unparsable-pattern"}
    ids = {object_id("indicator", name) for name in ("bad", "later bad", "later")}
    concerns = read_concerns(world.nodes["aurelia"], frozenset(ids))
    assert (len(concerns.problems), concerns.waiting) == (2, 0)
    assert check(world) == 0


def test_a_crash_on_the_way_leaves_withheld_what_was_not_shown_yet(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(patterns, "_LABELS_AT_ONCE", 2)
    world.sign_all(world.terms())
    world.add("aurelia", *(indicator(f"{number}", GOOD) for number in range(5)))
    node = world.nodes["aurelia"]
    keep_said(node, {item.id: None for item in list_due(node)})
    steps = show_in_steps(node)
    next(steps)
    assert len(world.read("borealia")) == 2
    world.nodes["aurelia"].close()
    world.nodes["aurelia"] = world.open("aurelia")
    assert check(world) == 0
    assert len(world.read("borealia")) == 5


def test_nobody_waits_behind_another_who_gives_very_many(world: World) -> None:
    world.sign_all(world.terms(giver="borealia", receivers=("aurelia",)), proposer="borealia")
    write(world, *(indicator(f"{number}", f"[a:b = {number}] WITHIN 1 SECONDS") for number in range(200)))
    world.add("aurelia", indicator("own", GOOD))
    due = list_due(world.nodes["aurelia"])
    assert GOOD in [item.text for item in due]
    assert len(due) == patterns.PATTERNS_AT_ONCE + 1


class TestStatus:
    """What who wrote it is told (TAXII 2.1 §4.3.1)."""

    @pytest.fixture(autouse=True)
    def agreement(self, world: World) -> None:
        world.sign_all(world.terms(giver="borealia", receivers=("aurelia",)), proposer="borealia")

    def test_it_is_pending_until_the_pattern_was_read_and_then_a_success_or_a_failure(self, world: World) -> None:
        sent = [indicator("usual", "[a:b = 1]"), indicator("good", GOOD), indicator("bad", BAD), make_object("r")]
        status = write(world, *sent, sent[2])
        node = world.nodes["aurelia"]
        for read in (status, read_status(node, party=BOREALIA, name=status.id)):
            assert names(read.successes) == [sent[0]["id"], sent[3]["id"]]
            assert names(read.pendings) == [sent[1]["id"], sent[2]["id"], sent[2]["id"]]
        check(world)
        read = read_status(node, party=BOREALIA, name=status.id)
        assert sorted(names(read.successes)) == sorted(str(sent[place]["id"]) for place in (0, 1, 3))
        assert names(read.failures) == [sent[2]["id"]] * 2
        assert read.pendings == ()
        assert read.failures[0].message.startswith("/pattern: line 1, column 33, in pattern: ")

    def test_usual_patterns_are_complete_at_once(self, world: World) -> None:
        assert write(world, indicator("a", "[a:b = 1]"), indicator("s", "x", pattern_type="yara")).pendings == ()

    def test_a_pattern_that_is_too_long_is_refused_when_it_is_read(self, world: World) -> None:
        status = write(world, indicator("long", "[a:b = 1] OR " * (MAX_PATTERN // 10)))
        check(world)
        (failure,) = read_status(world.nodes["aurelia"], party=BOREALIA, name=status.id).failures
        assert "longer than" in failure.message

    def test_it_shows_nothing_of_what_others_gave(self, world: World) -> None:
        """The same pattern of this party, read before; and an object that clashes with what is held."""
        world.add("aurelia", indicator("own", GOOD), indicator("own bad", BAD))
        check(world)
        sent = [indicator("b", GOOD), indicator("own", BAD), indicator("own bad", BAD)]
        status = write(world, *sent)
        assert names(status.pendings) == [item["id"] for item in sent]
        assert markings(world, "own") == frozenset()
        check(world)
        read = read_status(world.nodes["aurelia"], party=BOREALIA, name=status.id)
        assert names(read.successes) == [sent[0]["id"]]
        assert names(read.failures) == [sent[1]["id"], sent[2]["id"]]
        assert markings(world, "own") == frozenset()

    def test_what_a_partner_gave_is_not_known_of_what_another_gives(self, world: World) -> None:
        world.add("aurelia", indicator("own", GOOD))
        check(world)
        write(world, indicator("theirs", GOOD))
        world.add("aurelia", indicator("own too", GOOD))
        assert markings(world, "theirs") == {"unchecked-pattern"}
        assert markings(world, "own too") == frozenset()

    def test_what_is_said_is_forgotten_with_the_status(self, world: World) -> None:
        write(world, indicator("good", GOOD), indicator("bad", BAD))
        check(world)
        world.tick(STATUS_LIFETIME)
        forget_old(world.nodes["aurelia"])
        assert (count(world, "pattern"), count(world, "indicator_pattern")) == (1, 1)
        assert markings(world, "bad") == {"unparsable-pattern"}


@pytest.mark.parametrize("read", [True, False])
def test_with_the_last_indicator_that_holds_it_a_pattern_is_gone(world: World, *, read: bool) -> None:
    world.add("aurelia", indicator("a", BAD), indicator("b", BAD))
    if read:
        check(world)
    node = world.nodes["aurelia"]
    delete(node, object_id("indicator", "a"), reason="a mistake")
    assert count(world, "pattern") == 1
    delete(node, object_id("indicator", "b"), reason="a mistake")
    assert count(world, "indicator_pattern") == 0
    with node.store.read() as transaction:
        assert transaction.rows("SELECT text FROM pattern WHERE text IS NOT NULL") == []
    check(world)
    world.tick(STATUS_LIFETIME)
    forget_old(node)
    assert count(world, "pattern") == 0


@pytest.mark.parametrize("read", [False, True], ids=["unread", "read before"])
def test_what_came_before_patterns_were_parsed_is_gone_through(world: World, *, read: bool) -> None:
    world.sign_all(world.terms())
    old = {"good": GOOD, "bad": BAD, "usual": "[a:b = 1]"}
    world.add("aurelia", *(indicator(name, pattern) for name, pattern in old.items()))
    node = world.nodes["aurelia"]
    check(world)
    with node.store.write() as transaction:  # as the migration leaves them
        for statement in (
            "DELETE FROM indicator_pattern",
            "SELECT 1" if read else "DELETE FROM pattern",
            "UPDATE object SET own_label = (SELECT own_label FROM object WHERE id = ?1)",
            "UPDATE object SET label = (SELECT label FROM object WHERE id = ?1)",
            "INSERT INTO indicator_unread SELECT pk FROM object WHERE type = 'indicator'",
        ):
            transaction.run(statement, (object_id("indicator", "usual"),) if "?1" in statement else ())
    node.remembered.clear()
    assert len(world.read("borealia")) == 3
    assert check(world) == (0 if read else 2)
    assert count(world, "indicator_unread") == 0
    assert set(world.read("borealia")) == {object_id("indicator", "good"), object_id("indicator", "usual")}


def test_what_a_partner_gave_is_listed_under_its_name(world: World) -> None:
    world.sign_all(world.terms(giver="borealia", receivers=("aurelia",)), proposer="borealia")
    write(world, indicator("bad", BAD))
    check(world)
    (item,) = [item for item in list_work(world.nodes["aurelia"]) if item.kind == "unparsable-pattern"]
    assert item.party == BOREALIA


def test_what_is_due_is_found_by_an_index_however_much_was_read(world: World) -> None:
    plans = list[str]()
    node = world.nodes["aurelia"]
    with node.store.read() as transaction:
        rows = transaction.rows

        class Explaining:
            """Asks how each query is answered, in place of asking it."""

            def rows(self, sql: str, parameters: Sequence[SqlValue] = ()) -> list[Row]:
                plans.extend(row[3] for row in rows(f"EXPLAIN QUERY PLAN {sql}", parameters))
                return []

            def row(self, sql: str, parameters: Sequence[SqlValue] = ()) -> None:
                self.rows(sql, parameters)

        asked = cast("Transaction", Explaining())
        store_patterns.list_due(asked, each=1)
        store_patterns.find_shown(asked, most=1)
        store_patterns.has_due(asked)
        store_patterns.has_forgettable(asked, until=Instant(0))
        store_patterns.list_unparsable(asked)
    scans = {plan for plan in plans if plan.startswith("SCAN") and "CONSTANT ROW" not in plan}
    assert len(plans) > len(scans)
    assert scans == {
        "SCAN p",  # the parties, of whom there are few
        "SCAN indicator_unread",  # it ends at the first row
        "SCAN p USING INDEX pattern_bad",
    }
