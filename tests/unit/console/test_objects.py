# SPDX-License-Identifier: Apache-2.0
"""What is held: found, browsed and shown, and what people do from there."""

import json
import re

import pytest

from comity.agreement.people import Role
from comity.canonical import Json
from comity.classification.lists import parse_subject_list
from comity.console.objects import list_moments
from comity.ids import ObjectId
from comity.node.lists import load_list
from comity.node.recall import list_recalls_of
from comity.store import browsing
from tests.consoles import Browser, Desk, make_person
from tests.unit.console.test_outdated import find_form, send
from tests.worlds import World, make_object, object_id

ANALYST = make_person("aurelia-analyst", Role.ANALYST)
LIAISON = make_person("aurelia-liaison", Role.LIAISON)
AUDITOR = make_person("aurelia-auditor", Role.AUDITOR)
OPERATOR = make_person("aurelia-operator", Role.OPERATOR)
X, Y, Z = (object_id("report", name) for name in "xyz")
HOSTILE = "<img src=x onerror=alert(1)>" + "n" * 10_000 + "\N{RIGHT-TO-LEFT OVERRIDE}"


@pytest.fixture
def analyst(desk: Desk) -> Browser:
    return desk.visit(ANALYST)


def list_ids(browser: Browser, query: str = "") -> list[str]:
    return [item["id"] for item in browser.get(f"/objects.json{query}").json()["objects"]]


def test_an_empty_node_says_how_objects_come_in(analyst: Browser) -> None:
    page = analyst.get("/objects")
    assert page.status_code == 200
    assert "Nothing is held yet" in page.text


def test_what_is_held_is_listed_newest_first_and_narrowed(world: World, analyst: Browser) -> None:
    world.add("aurelia", make_object("x"), make_object("y", tlp="red"), make_object("z", kind="indicator"))
    z = object_id("indicator", "z")
    world.add("aurelia", make_object("x", day=2), make_object("o", kind="identity", subjects=("national:other",)))
    other = object_id("identity", "o")
    assert set(list_ids(analyst)) == {X, Y, z, other}
    assert set(list_ids(analyst)[:2]) == {X, other}
    assert list_ids(analyst, "?type=indicator") == [z]
    assert list_ids(analyst, "?tlp=red") == [Y]
    assert list_ids(analyst, "?subject=national:other") == [other]
    assert set(list_ids(analyst, "?originator=aurelia&subject=national:ashfall&tlp=green")) == {X, z}
    assert list_ids(analyst, "?originator=borealia") == []
    assert analyst.get("/objects?tlp=purple").status_code == 400
    assert analyst.get("/objects?before=x").status_code == 400


@pytest.mark.parametrize("query", ["", "type=report&", "subject=national:ashfall&"])
@pytest.mark.parametrize("places", [0, 200])
def test_pages_go_through_everything_once(
    world: World, analyst: Browser, monkeypatch: pytest.MonkeyPatch, query: str, places: int
) -> None:
    monkeypatch.setattr(browsing, "MOST_PLACES", places)
    monkeypatch.setattr(browsing, "MOST_LOOKED_AT", 37)
    monkeypatch.setattr("comity.console.objects._PAGE", 10)
    for batch in range(3):
        made = [make_object(f"{batch}-{number}", regions=("IQ", "SY")[number % 2 :]) for number in range(15)]
        world.add("aurelia", *made, make_object(f"i{batch}", kind="identity", subjects=("national:none",)))
    found, following = list[str](), ""
    for _ in range(20):
        part = analyst.get(f"/objects.json?{query}{following}").json()
        assert len(part["objects"]) <= 10
        found += [item["id"] for item in part["objects"]]
        if part["next"] is None:
            break
        following = f"before={part['next']}"
    assert len(found) == len(set(found)) == (48 if not query else 45)
    with world.nodes["aurelia"].store.read() as transaction:
        order = [row[0] for row in transaction.rows("SELECT id FROM object ORDER BY pk DESC")]
    assert found == [name for name in order if name in set(found)]


def test_an_id_leads_to_its_object_and_its_beginning_too(world: World, analyst: Browser) -> None:
    world.add("aurelia", make_object("x"), make_object("y"))
    for asked in (X, X.partition("--")[2][:9]):
        assert analyst.get(f"/objects?id={asked}").headers["location"] == f"/objects/{X}"
    page = analyst.get("/objects?id=report--")
    assert (X in page.text, Y in page.text) == (True, True)
    assert "Nothing that is held" in analyst.get("/objects?id=nothing").text


def test_one_object_is_shown_with_its_bytes_and_what_is_around_it(world: World, analyst: Browser) -> None:
    world.add("aurelia", make_object("y"), make_object("x", refs=[Y]), make_object("z", refs=[X]))
    page = analyst.get(f"/objects/{X}")
    assert page.status_code == 200
    assert f'<a href="/objects/{Y}"' in page.text
    assert "<svg" in page.text
    twin = analyst.get(f"/objects/{X}.json").json()
    with world.nodes["aurelia"].store.read() as transaction:
        row = transaction.row("SELECT data FROM body JOIN object ON pk = object WHERE id = ?", (X,))
    assert row is not None
    assert twin["received"].encode() == row[0]
    assert {item["id"]: item["layer"] for item in twin["around"]["objects"]} == {X: 0, Y: 1, Z: -1}
    assert [(link["from"], link["to"]) for link in twin["around"]["links"]] == [(X, Y), (Z, X)]


def test_what_refers_to_very_much_is_a_table(world: World, analyst: Browser) -> None:
    targets = [make_object(f"t{number}") for number in range(70)]
    world.add("aurelia", *targets, make_object("x", refs=[str(item["id"]) for item in targets]))
    page = analyst.get(f"/objects/{X}")
    assert "There is more than this" in page.text
    assert page.text.count("refers to this") == 1
    assert len(analyst.get(f"/objects/{X}.json").json()["around"]["objects"]) == 60


def test_nothing_received_is_markup(world: World, analyst: Browser) -> None:
    more: dict[str, Json] = {"name": HOSTILE, "description": HOSTILE}
    world.add("aurelia", make_object("x", more=more), make_object("y", refs=[X]))
    for path in ("/objects", f"/objects/{X}", f"/objects/{Y}", f"/explain?object={X}"):
        page = analyst.get(path).text
        assert "<img" not in page
        assert "\N{RIGHT-TO-LEFT OVERRIDE}" not in page
        assert len(page) < 60_000


def test_who_may_fetch_it_is_for_those_who_may_see_the_log(world: World, desk: Desk) -> None:
    world.sign_all(world.terms())
    world.add("aurelia", make_object("x"))
    liaison, analyst = desk.visit(LIAISON), desk.visit(ANALYST)
    assert liaison.get(f"/objects/{X}.json").json()["given"]["released"] == []
    world.read("borealia")
    (given,) = liaison.get(f"/objects/{X}.json").json()["given"]["released"]
    assert (given["party"], given["channel"], given["title"]) == ("borealia", "main", "Exchange on Ashfall")
    assert "released to borealia" in liaison.get(f"/objects/{X}").text
    for path in (f"/objects/{X}", f"/objects/{X}.json"):
        assert "borealia" not in analyst.get(path).text


@pytest.mark.parametrize("person", [OPERATOR, AUDITOR], ids=lambda person: str(person.id))
def test_who_may_not_see_objects_finds_none(world: World, desk: Desk, person: object) -> None:
    world.add("aurelia", make_object("x"))
    browser = desk.visit(person)  # type: ignore[arg-type]
    for path in ("/objects", "/objects.json", f"/objects/{X}", f"/objects/{X}.json"):
        answer = browser.get(path)
        assert answer.status_code == 404
        assert X not in answer.text.replace(path, "")


def test_a_recall_is_sent_from_the_page_by_whoever_may(world: World, desk: Desk) -> None:
    world.sign_all(world.terms())
    world.register("aurelia", "aurelia-analyst", Role.ANALYST)
    world.add("aurelia", make_object("x"))
    world.read("borealia")
    analyst = desk.visit(ANALYST)
    done = analyst.post(f"/objects/{X}/recall", f"/objects/{X}", reason="An error in the name.")
    assert (done.status_code, done.headers["location"]) == (303, f"/objects/{X}?said=done")
    (recalled,) = list_recalls_of(world.nodes["aurelia"], ObjectId(X))[0]
    assert recalled.reason == "An error in the name."
    page = analyst.get(done.headers["location"]).text
    assert "Done, and on record." in page
    assert "Not acknowledged yet by" in page
    assert X not in world.read("borealia")


def test_a_recall_without_a_reason_or_by_another_session_is_none(world: World, desk: Desk) -> None:
    world.add("aurelia", make_object("x"))
    analyst = desk.visit(ANALYST)
    assert analyst.post(f"/objects/{X}/recall", f"/objects/{X}").status_code == 400
    found = re.search(r'name="form_key" value="([0-9a-f]{64})"', desk.visit(LIAISON).get(f"/objects/{X}").text)
    assert found is not None
    headers = {"origin": "http://localhost:8460", "sec-fetch-site": "same-origin"}
    sent = {"form_key": found[1], "reason": "x"}
    assert analyst.send("POST", f"/objects/{X}/recall", data=sent, headers=headers).status_code == 400
    assert list_recalls_of(world.nodes["aurelia"], ObjectId(X))[0] == ()


def test_the_timeline_is_the_last_first() -> None:
    result = {
        "added_at": "2026-01-02",
        "originator": "borealia",
        "ways": [{"at": "2026-01-01", "giver": "borealia"}],
        "came_back": [],
        "disputes": [],
        "deleted": [],
        "recalled": [{"at": "2026-01-03", "version": "v", "reason": "wrong"}],
        "given": None,
        "said": None,
        "asked": None,
    }
    assert [moment.what for moment in list_moments(result)] == ["version v recalled", "taken in", "came"]


def test_chosen_versions_are_recalled_and_the_others_go_on(world: World, desk: Desk) -> None:
    world.register("aurelia", "aurelia-analyst", Role.ANALYST)
    for day in (1, 2, 3):
        world.add("aurelia", make_object("x", day=day))
        world.tick()
    browser, page = desk.visit(ANALYST), f"/objects/{X}"
    versions = re.findall(r'name="version" value="([^"]+)"', browser.get(page).text)
    assert versions == browser.get(f"{page}.json").json()["versions"]
    assert len(versions) == 3
    said = {"reason": "The second was of somebody else."}
    for fields in ({"which": "chosen"}, {"which": "all", "version": versions[0]}, {"which": "chosen", "version": "x"}):
        assert browser.post(f"{page}/recall", page, **said, **fields).status_code in {400, 404}, fields
    assert list_recalls_of(world.nodes["aurelia"], ObjectId(X))[0] == ()
    done = browser.post(f"{page}/recall", page, **said, which="chosen", version=versions[1])
    assert done.headers["location"] == f"{page}?said=done", done.text
    recalled = list_recalls_of(world.nodes["aurelia"], ObjectId(X))[0]
    assert [item.version for item in recalled] == [versions[1]]
    left = re.findall(r'name="version" value="([^"]+)"', browser.get(page).text)
    assert left == [versions[0], versions[2]]
    assert browser.post(f"{page}/recall", page, **said, which="all").headers["location"].endswith("said=done")
    assert len(list_recalls_of(world.nodes["aurelia"], ObjectId(X))[0]) == 3


def test_the_heading_says_what_it_is_called_and_of_which_type(world: World, analyst: Browser) -> None:
    world.add("aurelia", make_object(HOSTILE), make_object("b", kind="indicator"))
    page = analyst.get(f"/objects/{object_id('report', HOSTILE)}").text
    heading = re.search(r"<h1>(.*?)</h1>", page)
    assert heading is not None
    assert "&lt;img src=x" in heading[1]
    assert heading[1].startswith('<bdi dir="auto">')
    assert heading[1].endswith('<small><bdi dir="auto">report</bdi></small>')
    assert len(heading[1]) < 300
    assert "<img" not in page
    assert analyst.get(f"/objects/{object_id('indicator', 'b')}.json").json()["name"]


def test_subjects_are_called_as_their_list_calls_them(world: World, analyst: Browser) -> None:
    world.add("aurelia", make_object("x", subjects=("national:ashfall",)), make_object("y", subjects=("national:o",)))
    entry = {"subject": "national:ashfall", "kind": "entity", "names": ["Ashfall <b>Column</b>"]}
    value = {"format": "comity-subject-list/1", "list": "national", "version": "1", "entries": [entry]}
    load_list(
        world.nodes["aurelia"],
        parse_subject_list(json.dumps(value).encode()),
        reason="new",
        by=world.actor("aurelia", Role.LIAISON),
    )
    assert analyst.get("/objects.json").json()["subject_names"] == {"national:ashfall": "Ashfall <b>Column</b>"}
    page = analyst.get("/objects").text
    said = '<bdi dir="auto">Ashfall &lt;b&gt;Column&lt;/b&gt;</bdi> <small><code>national:ashfall</code></small>'
    assert said in page
    assert "<code>national:o</code>" in page


def test_a_subject_that_is_held_as_an_object_is_called_as_that_is(world: World, analyst: Browser) -> None:
    group = make_object("Ashfall <b>Column</b>", kind="intrusion-set", subjects=("national:none",))
    gone = f"stix:{object_id('intrusion-set', 'gone')}"
    world.add("aurelia", group, make_object("x", subjects=(f"stix:{group['id']}", gone, "stix:x")))
    assert analyst.get("/objects.json").json()["subject_names"] == {f"stix:{group['id']}": "Ashfall <b>Column</b>"}
    assert "Ashfall &lt;b&gt;Column&lt;/b&gt;</bdi> <small><code>stix:intrusion-set--" in analyst.get("/objects").text


def test_a_correction_recalls_what_is_older_than_the_version_on_the_page(world: World, desk: Desk) -> None:
    """One that came since would have the shown one recalled too."""
    world.register("aurelia", ANALYST.id, Role.ANALYST)
    world.add("aurelia", make_object("x"), make_object("x", day=2))
    browser, page, said = desk.visit(ANALYST), f"/objects/{X}", {"reason": "A wrong name.", "newer": "yes"}
    form = find_form(browser, page, f"{page}/recall")
    world.add("aurelia", make_object("x", day=3))
    status, text = send(browser, f"{page}/recall", form, **said)
    assert (status, "another version is the newest" in text) == (409, True), text
    assert list_recalls_of(world.nodes["aurelia"], ObjectId(X))[0] == ()
    assert send(browser, f"{page}/recall", find_form(browser, page, f"{page}/recall"), **said)[0] == 303
    assert len(list_recalls_of(world.nodes["aurelia"], ObjectId(X))[0]) == 2
