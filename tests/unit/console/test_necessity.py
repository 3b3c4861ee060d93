# SPDX-License-Identifier: Apache-2.0
"""Special categories and minors wait in the console for two people, one of them legal, and are ended by one."""

import re

import pytest

from comity.agreement.people import Role
from comity.node.audit import audit_folder
from comity.node.necessity import list_necessity, list_undecided
from comity.node.people import list_matters
from tests.consoles import Browser, Desk, make_person
from tests.unit.node.test_safeguards import admit_all
from tests.unit.node.test_safeguards import make_person as make_identity
from tests.worlds import World, object_id

X, Y = object_id("identity", "x"), object_id("identity", "y")
WHY = "To find the child."
PAGE = "/necessity"
HOSTILE = "<script>alert(1)</script>"


@pytest.fixture
def desk(world: World) -> Desk:
    world.register("aurelia", "aurelia-analyst", Role.ANALYST)
    world.add("aurelia", make_identity("x", x_health="an illness"), make_identity("y", name="Bea Roth", x_religion="r"))
    return Desk(world.nodes["aurelia"])


def visit(desk: Desk, role: Role) -> Browser:
    return desk.visit(make_person(f"aurelia-{role}", role))


def decide(browser: Browser, name: str = X, reason: str = WHY) -> str:
    return str(browser.post(f"{PAGE}/decide", PAGE, object=name, reason=reason).headers.get("location", ""))


def list_waiting(world: World) -> set[str]:
    return {item.id for item in list_undecided(world.nodes["aurelia"])}


def test_what_waits_stands_there_by_name_and_on_its_own_page(desk: Desk) -> None:
    legal = visit(desk, Role.LEGAL)
    page = legal.get(PAGE).text
    assert f'<a href="/objects/{Y}"><bdi dir="auto">Bea Roth</bdi></a>' in page
    twin = legal.get(f"{PAGE}.json").json()
    assert {item["object"]: (item["name"], item["words"]) for item in twin["undecided"]} == {
        X: ("Ondrej Marrow", ["health"]),
        Y: ("Bea Roth", ["religious_or_philosophical_beliefs"]),
    }
    assert f'<a href="{PAGE}">' in legal.get("/objects").text
    assert f'href="{PAGE}?object={X}#undecided"' in legal.get(f"/objects/{X}").text
    alone = legal.get(f"{PAGE}.json?object={X}").json()
    assert [item["object"] for item in alone["undecided"]] == [X]
    assert f'<a href="{PAGE}">Do this here</a>' in legal.get("/").text


def test_two_people_decide_by_the_same_form_and_one_ends_it(desk: Desk, world: World) -> None:
    admit_all(world)
    assert X not in world.read("borealia")
    analyst, legal = visit(desk, Role.ANALYST), visit(desk, Role.LEGAL)
    assert decide(analyst) == f"{PAGE}?said=waits"
    assert decide(analyst) == f"{PAGE}?said=waits", "nobody counts twice"
    assert decide(legal, reason="Another one.") == f"{PAGE}?said=waits", "another reason is another decision"
    assert list_waiting(world) == {X, Y}
    assert decide(legal) == f"{PAGE}?said=done"
    assert list_waiting(world) == {Y}
    assert X in world.read("borealia")
    (kept,) = list_necessity(world.nodes["aurelia"])
    assert (kept.reason, sorted(kept.words)) == (WHY, ["health"])
    assert WHY in analyst.get(PAGE).text
    assert WHY in analyst.get(f"/objects/{X}").text
    done = analyst.post(f"{PAGE}/end", PAGE, object=X, reason="Found.", alone="yes")
    assert done.headers["location"] == f"{PAGE}?object={X}&said=done"
    assert list_waiting(world) == {X, Y}
    assert X not in world.read("borealia")
    (shown,) = analyst.get(f"{PAGE}.json").json()["decisions"]
    assert (shown["ended_by"], shown["ended_why"]) == ("aurelia-analyst (analyst)", "Found.")


def test_the_second_person_sees_who_approved_and_why_and_approves_the_very_same(desk: Desk, world: World) -> None:
    analyst, legal = visit(desk, Role.ANALYST), visit(desk, Role.LEGAL)
    decide(analyst)
    (matter,) = list_matters(world.nodes["aurelia"])
    waiting = f"/approvals/{matter.digest}"
    page = legal.get(PAGE).text
    assert WHY in page
    assert f'<a href="{waiting}">Look, and approve the very same or decline it</a>' in page
    assert "You have approved it; somebody else has to." in analyst.get(PAGE).text
    assert "aurelia-analyst" in page
    shown = legal.get(waiting).text
    assert WHY in shown
    assert f'href="/objects/{X}"' in shown
    assert analyst.post(f"{waiting}/approve", waiting).status_code == 409
    assert legal.post(f"{waiting}/approve", waiting).headers["location"] == "/?said=done"
    assert list_waiting(world) == {Y}
    assert list_matters(world.nodes["aurelia"]) == []
    assert audit_folder(world.folder / "aurelia", now=world.now).found == 0


def test_what_was_found_since_is_not_approved_with_the_rest(desk: Desk, world: World) -> None:
    decide(visit(desk, Role.ANALYST))
    (matter,) = list_matters(world.nodes["aurelia"])
    world.add("aurelia", make_identity("x", x_health="ill", x_minor=True, modified="2031-01-01T00:00:00.000Z"))
    waiting = f"/approvals/{matter.digest}"
    assert visit(desk, Role.LEGAL).post(f"{waiting}/approve", waiting).status_code == 409
    assert list_waiting(world) == {X, Y}


def test_a_second_person_who_is_not_legal_does_not_complete_it(desk: Desk, world: World) -> None:
    decide(visit(desk, Role.ANALYST))
    liaison = visit(desk, Role.LIAISON)
    assert "Look, and approve" not in liaison.get(PAGE).text
    assert decide(liaison) == f"{PAGE}?said=waits"
    assert list_waiting(world) == {X, Y}


def test_what_is_refused_says_why(desk: Desk, world: World) -> None:
    legal = visit(desk, Role.LEGAL)
    empty = legal.post(f"{PAGE}/decide", PAGE, object=X, reason=" ")
    assert empty.status_code == 400
    ended = legal.post(f"{PAGE}/end", PAGE, object=X, reason="Found.")
    assert ended.status_code == 404
    assert "nothing is decided on" in ended.text
    decide(visit(desk, Role.LIAISON))
    decide(legal)
    again = legal.post(f"{PAGE}/decide", PAGE, object=X, reason=WHY)
    assert again.status_code == 409
    assert "everything in it was decided on" in again.text
    assert list_waiting(world) == {Y}


@pytest.mark.parametrize("role", [Role.AUDITOR, Role.OPERATOR])
def test_who_may_not_read_objects_finds_nothing(desk: Desk, world: World, role: Role) -> None:
    other = visit(desk, role)
    decide(visit(desk, Role.LIAISON))
    for path in (PAGE, f"{PAGE}.json"):
        answer = other.get(path)
        assert answer.status_code == 404
        assert "Bea" not in answer.text
    page = other.get("/").text
    assert X not in page
    assert PAGE not in page
    for act in ("decide", "end"):
        answer = other.send_form(f"{PAGE}/{act}", form_key="0" * 64, object=X, reason=WHY)
        assert answer.status_code == 404
    assert list_waiting(world) == {X, Y}


def test_a_form_of_another_session_decides_nothing(desk: Desk, world: World) -> None:
    liaison, legal = visit(desk, Role.LIAISON), visit(desk, Role.LEGAL)
    key = re.search(r'name="form_key" value="([0-9a-f]{64})"', legal.get(PAGE).text)
    assert key is not None
    for act in ("decide", "end"):
        answer = liaison.send_form(f"{PAGE}/{act}", form_key=key[1], object=X, reason=WHY)
        assert answer.status_code == 400
        assert "of another session" in answer.text
    assert list_matters(world.nodes["aurelia"]) == []


def test_what_was_received_and_said_is_text(desk: Desk, world: World) -> None:
    world.add("aurelia", make_identity("evil", name=HOSTILE, x_health="ill"))
    decide(visit(desk, Role.LIAISON), object_id("identity", "evil"), HOSTILE)
    legal = visit(desk, Role.LEGAL)
    for path in (PAGE, f"/objects/{object_id('identity', 'evil')}"):
        assert HOSTILE not in legal.get(path).text
    decide(legal, object_id("identity", "evil"), HOSTILE)
    assert HOSTILE not in legal.get(PAGE).text
    assert "&lt;script&gt;" in legal.get(PAGE).text


def test_pages_are_bounded_and_lead_on(desk: Desk, world: World) -> None:
    world.add("aurelia", *(make_identity(f"n{number}", x_health="ill") for number in range(60)))
    legal = visit(desk, Role.LEGAL)
    page, seen = PAGE, set[str]()
    for _ in range(3):
        text = legal.get(page).text
        found = set(re.findall(r'<th scope="row"><a href="/objects/([^"]+)"', text))
        assert len(found) <= 50
        assert not found & seen
        seen |= found
        following = re.search(r'<a rel="next" href="([^"#]+)', text)
        if following is None:
            break
        page = following[1].replace("&amp;", "&")
    assert seen == list_waiting(world)
    for query in ("?waiting=999", "?decided=999", "?waiting=x", "?waiting=99999999999", "?waiting=-1"):
        assert legal.get(f"{PAGE}{query}").status_code == 200
    assert legal.get(f"{PAGE}?object=identity--nobody").status_code == 404
