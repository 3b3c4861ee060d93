# SPDX-License-Identifier: Apache-2.0
"""What an object is about is seen before it is said, said and taken back on a page of its own."""

import pytest

from comity.agreement.people import Role
from comity.classification.words import FIELDS as SAID_FIELDS
from comity.console.saying import FIELDS
from comity.stix.tags import VOCABULARIES
from tests.chains import introduce, pull_all
from tests.consoles import Browser, Desk, make_person
from tests.worlds import World, make_object, object_id

ANALYST = make_person("aurelia-analyst", Role.ANALYST)
LIAISON = make_person("aurelia-liaison", Role.LIAISON)
LEGAL = make_person("aurelia-legal", Role.LEGAL)
AUDITOR = make_person("aurelia-auditor", Role.AUDITOR)
X = object_id("report", "x")
PAGE = f"/objects/{X}/say"
ABOUT = "subjects=national:ashfall&regions=IQ"


@pytest.fixture
def analyst(desk: Desk) -> Browser:
    return desk.visit(ANALYST)


@pytest.fixture
def unsaid(world: World) -> World:
    """An object of which nobody has said what it is about, and terms under which it then goes."""
    world.register("aurelia", ANALYST.id, Role.ANALYST)
    world.sign_all(world.terms())
    world.add("aurelia", make_object("x", subjects=(), regions=()))
    return world


def list_said(browser: Browser) -> list[tuple[str, str]]:
    return [(item["field"], item["word"]) for item in browser.get(f"{PAGE}.json").json()["said"]]


def count_given(world: World) -> int:
    return len(world.poll("borealia").items)


def test_every_field_that_can_be_said_is_in_the_form(unsaid: World, analyst: Browser) -> None:
    assert {field.name for field in FIELDS} == set(SAID_FIELDS)
    page = analyst.get(PAGE).text
    for field in FIELDS:
        assert f'name="{field.name}"' in page
        for word in field.choices:
            assert VOCABULARIES[field.name][0](word)
            assert f'value="{word}"' in page


def test_words_are_said_only_below_what_they_would_change(unsaid: World, analyst: Browser) -> None:
    assert count_given(unsaid) == 0
    assert "Say so, of every version of it" not in analyst.get(PAGE).text
    page = analyst.get(f"{PAGE}?{ABOUT}").text
    assert "Say so, of every version of it" in page
    assert f'href="/explain?object={X}&amp;to=borealia"' in page
    assert (list_said(analyst), count_given(unsaid)) == ([], 0)
    (effect,) = analyst.get(f"{PAGE}.json?{ABOUT}").json()["effects"]
    assert (effect["recipient"], effect["gained_objects"], effect["lost"]) == ("borealia", [X], 0)


def test_what_is_said_lets_it_go_and_taking_it_back_stops_it(unsaid: World, analyst: Browser) -> None:
    asked = f"{PAGE}?{ABOUT}"
    words = {"subjects": "national:ashfall", "regions": "IQ"}
    done = analyst.post(PAGE, asked, **words, reason="Named in it.")
    assert done.headers["location"] == f"{PAGE}?said=done", done.text
    assert set(list_said(analyst)) == {("subjects", "national:ashfall"), ("regions", "IQ")}
    unsaid.tick()
    assert count_given(unsaid) == 1
    back = analyst.post(f"/objects/{X}/take-back", PAGE, said="regions IQ", reason="Another place.")
    assert back.headers["location"] == f"{PAGE}?said=done", back.text
    assert list_said(analyst) == [("subjects", "national:ashfall")]
    history = analyst.get(f"/objects/{X}.json").json()["said"]
    assert {item["ended_why"] for item in history} == {None, "Another place."}


def test_several_words_of_a_field_are_typed_as_people_type_them(unsaid: World, analyst: Browser) -> None:
    query = "subjects=national:ashfall++national:other%20national:ashfall&regions=iq,sy+lb&kinds=arms&kinds=financing"
    wanted = analyst.get(f"{PAGE}.json?{query}").json()["wanted"]
    assert wanted == {
        "subjects": ["national:ashfall", "national:other"],
        "regions": ["IQ", "SY", "LB"],
        "kinds": ["arms", "financing"],
    }


def test_what_is_not_understood_is_told_and_the_form_keeps_what_was_typed(unsaid: World, analyst: Browser) -> None:
    page = analyst.get(f"{PAGE}?regions=Iraq&subjects=national:ashfall")
    assert page.status_code == 200
    assert "is not understood" in page.text
    assert 'value="IRAQ"' in page.text
    assert "Say so, of every version of it" not in page.text
    assert analyst.get(f"{PAGE}.json?regions=Iraq").json()["effects"] is None
    assert analyst.post(PAGE, f"{PAGE}?{ABOUT}", regions="Iraq", reason="It is.").status_code == 400
    assert analyst.post(PAGE, f"{PAGE}?{ABOUT}", regions="IQ").status_code == 400
    assert list_said(analyst) == []


@pytest.mark.parametrize("said", ["", "x", "nothing IQ", "regions SY"])
def test_what_was_not_said_is_not_taken_back(unsaid: World, analyst: Browser, said: str) -> None:
    analyst.post(PAGE, f"{PAGE}?{ABOUT}", regions="IQ", reason="Named in it.")
    assert analyst.post(f"/objects/{X}/take-back", PAGE, said=said, reason="No.").status_code in {400, 404}
    assert list_said(analyst) == [("regions", "IQ")]


def test_a_safeguard_is_taken_back_by_two_people(unsaid: World, desk: Desk) -> None:
    analyst, legal = desk.visit(ANALYST), desk.visit(LEGAL)
    analyst.post(PAGE, f"{PAGE}?person_classes=minor", person_classes="minor", reason="Aged 15.")
    back = {"said": "person_classes minor", "reason": "Aged 51."}
    first = analyst.post(f"/objects/{X}/take-back", PAGE, **back)
    assert first.headers["location"] == f"{PAGE}?said=waits", first.text
    assert list_said(analyst) == [("person_classes", "minor")]
    assert "Approve the same" not in analyst.get(PAGE).text
    page = legal.get(PAGE).text
    assert "Approve the same" in page
    assert 'value="Aged 51."' in page
    second = legal.post(f"/objects/{X}/take-back", PAGE, **back)
    assert second.headers["location"] == f"{PAGE}?said=done", second.text
    assert list_said(analyst) == []


def test_a_safeguard_is_taken_back_where_the_second_person_reads_what_waits(unsaid: World, desk: Desk) -> None:
    analyst, legal = desk.visit(ANALYST), desk.visit(LEGAL)
    both = {"person_classes": "minor", "regions": "IQ"}
    analyst.post(PAGE, f"{PAGE}?person_classes=minor&regions=IQ", **both, reason="Aged 15.")
    analyst.post(f"/objects/{X}/take-back", PAGE, said="person_classes minor", reason="Aged 51.")
    (matter,) = legal.get("/work.json").json()["matters"]
    page = f"/approvals/{matter['matter']}"
    assert "Aged 51." in legal.get(page).text
    assert analyst.post(f"{page}/approve", page).status_code == 409
    done = legal.post(f"{page}/approve", page)
    assert done.headers["location"] == "/?said=done", done.text
    assert list_said(analyst) == [("regions", "IQ")]


def test_what_waits_of_another_object_is_not_on_its_page(unsaid: World, desk: Desk) -> None:
    unsaid.add("aurelia", make_object("y"))
    analyst, legal = desk.visit(ANALYST), desk.visit(LEGAL)
    analyst.post(PAGE, f"{PAGE}?person_classes=minor", person_classes="minor", reason="Aged 15.")
    analyst.post(f"/objects/{X}/take-back", PAGE, said="person_classes minor", reason="Aged 51.")
    assert "Aged 51." in legal.get(PAGE).text
    assert "Aged 51." not in legal.get(f"/objects/{object_id('report', 'y')}/say").text


def test_two_tabs_of_one_person_take_no_safeguard_back(unsaid: World, desk: Desk) -> None:
    legal = desk.visit(LEGAL)
    legal.post(PAGE, f"{PAGE}?person_classes=minor", person_classes="minor", reason="Aged 15.")
    for _ in range(2):
        done = legal.post(f"/objects/{X}/take-back", PAGE, said="person_classes minor", reason="Aged 51.")
        assert done.headers.get("location", "") != f"{PAGE}?said=done"
    assert list_said(legal) == [("person_classes", "minor")]


def test_of_what_another_party_gave_it_says_that_it_can_only_be_kept_back(unsaid: World) -> None:
    unsaid.add("aurelia", make_object("y"))
    unsaid.tick()
    y = object_id("report", "y")
    introduce(unsaid, [("aurelia", "borealia")])
    assert pull_all(unsaid, "aurelia", "borealia") == {y}
    theirs = Desk(unsaid.nodes["borealia"]).visit(make_person("borealia-analyst", Role.ANALYST))
    assert "can only keep it back" in theirs.get(f"/objects/{y}/say").text


def test_it_is_not_there_for_who_may_not_read_objects(unsaid: World, desk: Desk) -> None:
    auditor = desk.visit(AUDITOR)
    assert auditor.get(PAGE).status_code == 404
    assert auditor.get(f"{PAGE}?{ABOUT}").status_code == 404
    form = {"regions": "IQ", "reason": "Named in it."}
    assert desk.visit(LIAISON).send_form(PAGE, form_key="0" * 64, **form).status_code == 400
    assert list_said(desk.visit(LIAISON)) == []


def test_no_word_is_markup(unsaid: World, analyst: Browser) -> None:
    evil = "%3Cimg%20src=x%3E"
    for field in ("subjects", "regions", "kinds", "evaluation"):
        page = analyst.get(f"{PAGE}?{field}={evil}").text
        assert "<img" not in page
