# SPDX-License-Identifier: Apache-2.0
"""The screen that says why: what would go is what a poll gives, and looking at it leaves no trace."""

import pytest

from comity.agreement.events import EventKind
from comity.agreement.people import Role
from comity.canonical import Json
from comity.console.explain import compare_properties, list_attributes
from comity.store.log import HOUSE, read_size
from tests.consoles import Desk, make_person
from tests.worlds import World, make_object, object_id, tlp_id

ANALYST = make_person("aurelia-analyst", Role.ANALYST)
AUDITOR = make_person("aurelia-auditor", Role.AUDITOR)
OPERATOR = make_person("aurelia-operator", Role.OPERATOR)
X, Y = object_id("report", "x"), object_id("report", "y")
SECRET = "<script>alert(1)</script> for few \N{RIGHT-TO-LEFT OVERRIDE}"
MARKED: dict[str, Json] = {
    "description": SECRET,
    "granular_markings": [{"marking_ref": tlp_id("red"), "selectors": ["description"]}],
}


@pytest.fixture
def agreement(world: World) -> str:
    agreement = world.sign_all(world.terms(title="<b>Ashfall</b>"))
    world.add("aurelia", make_object("x", more=MARKED), make_object("y", tlp="red"))
    return agreement


def count_records(world: World) -> tuple[int, int]:
    with world.nodes["aurelia"].store.read() as transaction:
        released = transaction.row("SELECT COUNT(*) FROM release")
        assert released is not None
        return read_size(transaction, HOUSE), int(released[0])


@pytest.mark.usefixtures("agreement")
def test_what_a_party_would_receive_is_what_it_receives(world: World, desk: Desk) -> None:
    before = count_records(world)
    seen = desk.visit(ANALYST).get(f"/explain.json?object={X}&to=borealia").json()["explanation"]
    assert count_records(world) == before
    assert (seen["decision"], seen["redacted"]) == ("redact", ["description"])
    assert "for few" in seen["original"]
    assert seen["received"].encode() == world.read("borealia")[X]
    refused = desk.visit(ANALYST).get(f"/explain.json?object={Y}&to=borealia").json()["explanation"]
    assert (refused["received"], refused["clause"]) == (None, "tlp_ceiling")


def test_while_suspended_nothing_would_go(world: World, desk: Desk, agreement: str) -> None:
    world.act("aurelia", agreement, EventKind.SUSPEND)
    answer = desk.visit(ANALYST).get(f"/explain.json?object={X}&to=borealia").json()
    assert answer["explanation"]["received"] is None
    assert [item["clause"] for item in answer["recipients"]["parties"]] == ["status"]


def test_the_page_says_each_clause_and_what_is_removed(desk: Desk, agreement: str) -> None:
    page = desk.visit(ANALYST).get(f"/explain?object={X[:20]}&to=borealia")
    assert page.status_code == 200
    assert "released without" in page.text
    assert "<del>removed</del>" in page.text
    assert "description</bdi>" in page.text
    for clause in ("gate", "types", "tlp_ceiling", "audience"):
        assert clause in page.text
    assert f'href="/agreements/{agreement}"' in page.text


@pytest.mark.usefixtures("agreement")
def test_nothing_received_is_markup(desk: Desk) -> None:
    page = desk.visit(ANALYST).get(f"/explain?object={X}&to=borealia").text
    assert "<script>alert" not in page
    assert "<b>Ashfall" not in page
    assert "\N{RIGHT-TO-LEFT OVERRIDE}" not in page


@pytest.mark.usefixtures("agreement")
def test_an_auditor_learns_the_reason_and_not_the_content(desk: Desk) -> None:
    for path in (f"/explain?object={X}&to=borealia", f"/explain.json?object={X}&to=borealia"):
        answer = desk.visit(AUDITOR).get(path)
        assert answer.status_code == 200
        assert "for few" not in answer.text
        assert "original" not in answer.text
        assert "tlp_ceiling" in answer.text


@pytest.mark.usefixtures("agreement")
def test_an_operator_finds_nothing(desk: Desk) -> None:
    for path in (f"/explain?object={X}&to=borealia", f"/explain.json?object={X}&to=borealia"):
        answer = desk.visit(OPERATOR).get(path)
        assert answer.status_code == 404
        assert "tlp_ceiling" not in answer.text


@pytest.mark.usefixtures("agreement")
def test_without_a_party_every_party_is_told(desk: Desk) -> None:
    page = desk.visit(ANALYST).get(f"/explain?object={X}").text
    assert f"/explain?object={X}&amp;to=borealia" in page
    assert "Clause by clause" not in page


def test_with_nothing_asked_there_is_the_form(desk: Desk) -> None:
    page = desk.visit(ANALYST).get("/explain")
    assert page.status_code == 200
    assert "Name an object" in page.text
    assert desk.visit(ANALYST).get("/explain.json").json()["explanation"] is None


def test_what_is_not_held_is_said(desk: Desk) -> None:
    assert desk.visit(ANALYST).get(f"/explain?object={X}&to=borealia").status_code == 404


@pytest.mark.usefixtures("agreement")
def test_where_it_could_end_up_is_asked_for_when_it_is_wanted(desk: Desk) -> None:
    assert desk.visit(ANALYST).get(f"/explain.json?object={X}&to=borealia").json()["reach"] is None
    reach = desk.visit(ANALYST).get(f"/explain.json?object={X}&to=borealia&reach=yes").json()["reach"]
    assert [item["party"] for item in reach["reached"]] == ["borealia"]
    assert "tlp=green" in reach["attributes"]


def test_properties_are_compared_one_by_one() -> None:
    held = '{"a":"x","b":[1,2],"c":{"d":1}}'
    found = compare_properties(held, '{"a":"x","c":{}}')
    assert [(item.name, item.held, item.goes, item.state) for item in found] == [
        ("a", "x", "x", "same"),
        ("b", "[1, 2]", None, "removed"),
        ("c", '{"d": 1}', "{}", "changed"),
    ]
    assert {item.state for item in compare_properties(held, None)} == {"removed"}


def test_what_nobody_has_said_is_left_free() -> None:
    clauses = [
        {"clause": "tlp_ceiling", "found": [["unmarked"]]},
        {"clause": "subjects", "found": [[], ["national:ashfall"]]},
        {"clause": "markings", "found": [["recalled"]]},
    ]
    assert list_attributes([{"clauses": clauses}]) == ["subject=national:ashfall"]
    assert list_attributes([]) == []
