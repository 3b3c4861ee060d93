# SPDX-License-Identifier: Apache-2.0
"""Who may act is shown to those who answer for it, and what an act needs is what the node demands."""

from comity.agreement.people import NEEDS, Person, Role
from comity.ids import PersonId
from comity.node.people import add_person
from comity.node.sessions import begin_session, note_failure
from tests.consoles import Desk, make_person
from tests.worlds import World


def test_people_and_needs_are_shown(world: World, desk: Desk) -> None:
    world.register("aurelia", "zoe", Role.ANALYST)
    browser = desk.visit(make_person("aurelia-legal", Role.LEGAL))
    twin = browser.get("/people.json").json()
    assert [item["person"] for item in twin["people"]] == ["aurelia-legal", "aurelia-liaison", "zoe"]
    assert {item["act"]: item["people"] for item in twin["acts"]} == {kind: need.people for kind, need in NEEDS.items()}
    assert "secret" not in browser.get("/people").text
    assert ">Zoe<" in browser.get("/people").text


def test_who_does_not_answer_for_people_sees_none(desk: Desk) -> None:
    browser = desk.visit(make_person("aurelia-analyst", Role.ANALYST))
    assert browser.get("/people").text == browser.get("/nowhere").text
    assert browser.get("/people.json").json() == browser.get("/nowhere.json").json()
    assert 'href="/people"' not in browser.get("/").text


def test_an_auditor_sees_who_is_signed_in_and_who_tried_and_nobody_else_does(world: World, desk: Desk) -> None:
    node = world.nodes["aurelia"]
    auditor, legal = make_person("auditor", Role.AUDITOR), make_person("aurelia-legal", Role.LEGAL)
    assert "Nobody has tried to sign in." in desk.visit(auditor).get("/people").text
    with node.act() as act:
        begin_session(act, node, legal, factor="passkey")
        note_failure(act, None, "refused", factor="password")
    page, twin = desk.visit(auditor).get("/people").text, desk.visit(auditor).get("/people.json").json()
    assert [(item["person"], item["what"]) for item in twin["records"]] == [(None, "refused"), (legal.id, "sign-in")]
    assert [item["person"] for item in twin["sessions"]] == [legal.id]
    assert "nobody of this node" in page
    other, theirs = desk.visit(legal).get("/people").text, desk.visit(legal).get("/people.json").json()
    assert not {"sessions", "records"} & theirs.keys()
    assert "Who is signed in" not in other
    assert theirs["people"][0]["last_sign_in"] == twin["records"][1]["at"]


def test_a_name_full_of_markup_is_text(world: World, desk: Desk) -> None:
    name = "<script>alert(1)</script>\u202eevil"
    add_person(world.nodes["aurelia"], Person(id=PersonId("eve"), name=name, roles=frozenset({Role.ANALYST})))
    page = desk.visit(make_person("aurelia-legal", Role.LEGAL)).get("/people").text
    assert "<script>alert" not in page
    assert "\u202e" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;\\u202eevil" in page
