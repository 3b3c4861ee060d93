# SPDX-License-Identifier: Apache-2.0
"""Who else may be a person is shown by what agrees and differs; one person or two is for people to say."""

import re

import pytest

from comity.agreement.people import Role
from comity.canonical import Json
from comity.node.identity import list_judged
from tests.consoles import Browser, Desk, make_person
from tests.unit.node.test_safeguards import list_as
from tests.unit.node.test_safeguards import make_person as make_identity
from tests.worlds import World, make_object, object_id

X, Y, Z, FAR = (object_id("identity", name) for name in ("x", "y", "z", "far"))
BORN: Json = [{"date": "1971-03-02"}]
PAGE = f"/identity/{X}"
HOSTILE = "<img src=x onerror=alert(1)>"


@pytest.fixture
def desk(world: World) -> Desk:
    """Y agrees in name and day of birth, Z in name alone, and FAR is another name of the same religion."""
    world.register("aurelia", "aurelia-analyst", Role.ANALYST)
    world.add(
        "aurelia",
        list_as("x", dates_of_birth=BORN) | {"x_religion": "quaker", "x_ethnicity": "marsh"},
        list_as("y", dates_of_birth=BORN),
        list_as("z", dates_of_birth=[{"date": "1980-01-01"}]),
        make_identity("far", name="Ben Roth", x_religion="quaker", x_ethnicity="marsh"),
    )
    return Desk(world.nodes["aurelia"])


@pytest.fixture
def analyst(desk: Desk) -> Browser:
    return desk.visit(make_person("aurelia-analyst", Role.ANALYST))


def list_said(world: World) -> list[tuple[str, str, bool, str]]:
    return [(item.one, item.other, item.same, item.reason) for item in list_judged(world.nodes["aurelia"])]


def test_candidates_stand_by_id_with_what_agrees_and_differs(analyst: Browser) -> None:
    twin = analyst.get(f"{PAGE}.json").json()
    assert [item["object"] for item in twin["candidates"]] == sorted([Y, Z])
    found = {item["object"]: item for item in twin["candidates"]}
    assert (found[Y]["agreeing"], found[Y]["may_be_confirmed"]) == (["date_of_birth", "name"], True)
    assert (found[Z]["agreeing"], found[Z]["differing"]) == (["name"], ["date_of_birth"])
    page = analyst.get(PAGE).text
    assert "date of birth" in page
    assert page.count("They are one person") == 2, "of Y, and of another that is named by its id"
    assert "fewer than two identifiers agree" in page
    assert f'href="{PAGE}"' in analyst.get(f"/objects/{X}").text


def test_nothing_is_said_or_suggested_by_religion_or_ethnicity(analyst: Browser) -> None:
    page, twin = analyst.get(PAGE).text, analyst.get(f"{PAGE}.json").text
    for word in ("quaker", "marsh", "religion", "ethnic", 'score"', "rank", "%", FAR):
        assert word not in page.replace("nobody is scored", ""), word
        assert word not in twin, word


def test_one_person_says_that_two_are_one_or_are_not(analyst: Browser, world: World) -> None:
    done = analyst.post(f"{PAGE}/same", PAGE, other=Y, reason="Passport seen.")
    assert done.headers["location"] == f"{PAGE}?said=done"
    assert "that they are one person" in analyst.get(PAGE).text
    done = analyst.post(f"{PAGE}/differ", PAGE, other=Z, reason="Brothers.")
    assert done.headers["location"] == f"{PAGE}?said=done"
    assert [item["object"] for item in analyst.get(f"{PAGE}.json").json()["candidates"]] == [Y]
    assert {(same, reason) for _, _, same, reason in list_said(world)} == {
        (True, "Passport seen."),
        (False, "Brothers."),
    }
    page = analyst.get(PAGE).text
    assert page.index("Brothers.") < page.index("Passport seen."), "the last one first"
    other = analyst.get(f"/identity/{Z}.json").json()
    assert [(item["other"], item["same"]) for item in other["judged"]] == [(X, False)]
    assert analyst.get(f"/identity/{FAR}.json").json()["judged"] == []


def test_same_is_refused_with_its_reason_where_too_little_agrees(analyst: Browser, world: World) -> None:
    answer = analyst.post(f"{PAGE}/same", PAGE, other=Z, reason="It seems so.")
    assert answer.status_code == 400
    assert "2 identifiers of different kinds have to agree" in answer.text
    assert "agree: name" in answer.text
    assert analyst.post(f"{PAGE}/same", PAGE, other=Y, reason=" ").status_code == 400
    assert analyst.post(f"{PAGE}/differ", PAGE, other=X, reason="r").status_code == 400
    assert analyst.post(f"{PAGE}/differ", PAGE, other="identity--none", reason="r").status_code == 404
    assert list_said(world) == []


def test_only_persons_have_such_a_page(analyst: Browser, world: World) -> None:
    firm = make_identity("firm", identity_class="organization")
    world.add("aurelia", firm, make_object("r"))
    for name in (object_id("identity", "firm"), object_id("report", "r")):
        assert "/identity/" not in analyst.get(f"/objects/{name}").text
        assert analyst.get(f"/identity/{name}").status_code == 400
    assert analyst.get("/identity/identity--none").status_code == 404


@pytest.mark.parametrize("role", [Role.AUDITOR, Role.OPERATOR])
def test_who_may_not_read_objects_finds_nothing(desk: Desk, world: World, role: Role) -> None:
    other = desk.visit(make_person("somebody", role))
    for path in (PAGE, f"{PAGE}.json"):
        answer = other.get(path)
        assert answer.status_code == 404
        assert "Marrow" not in answer.text
    for act in ("same", "differ"):
        answer = other.send_form(f"{PAGE}/{act}", form_key="0" * 64, other=Y, reason="r")
        assert answer.status_code == 404
    assert list_said(world) == []


def test_a_form_of_another_session_says_nothing(desk: Desk, analyst: Browser, world: World) -> None:
    key = re.search(r'name="form_key" value="([0-9a-f]{64})"', analyst.get(PAGE).text)
    assert key is not None
    other = desk.visit(make_person("aurelia-legal", Role.LEGAL))
    for act in ("same", "differ"):
        answer = other.send_form(f"{PAGE}/{act}", form_key=key[1], other=Y, reason="r")
        assert answer.status_code == 400
        assert "of another session" in answer.text
    assert list_said(world) == []


def test_what_was_received_and_said_is_text(analyst: Browser, world: World) -> None:
    evil = object_id("identity", "evil")
    world.add("aurelia", list_as("evil", dates_of_birth=BORN, names=["Ondrej Marrow"]) | {"name": HOSTILE})
    analyst.post(f"{PAGE}/same", PAGE, other=evil, reason=HOSTILE)
    for path in (PAGE, f"/identity/{evil}"):
        page = analyst.get(path).text
        assert HOSTILE not in page
        assert "&lt;img" in page


def test_pages_are_bounded_and_say_that_there_are_more(analyst: Browser, world: World) -> None:
    world.add("aurelia", *(list_as(f"n{number}") for number in range(120)))
    first, second = analyst.get(PAGE).text, analyst.get(f"{PAGE}?page=2").text
    assert first.count("<article") == second.count("<article") == 50
    assert "There are more: the first 100 by id are shown." in first
    assert 'rel="next" href="?page=2"' in first
    assert 'rel="next"' not in second
    assert analyst.get(f"{PAGE}?page=999").status_code == 200
