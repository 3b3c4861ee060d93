# SPDX-License-Identifier: Apache-2.0
"""Taking in by the console: nothing is kept before the second step, and what is kept is what was shown."""

import json
import re
from typing import Any

import httpx
import pytest

from comity.agreement.people import Person, Role
from comity.canonical import Json
from comity.console import intake
from comity.console.intake import FORMATS, TLP
from comity.intake.formats import Format
from comity.intake.marking import TLP_WORDS
from tests.consoles import URL, Browser, Desk, make_person
from tests.worlds import World, make_object

ANALYST = make_person("aurelia-analyst", Role.ANALYST)
LIAISON = make_person("aurelia-liaison", Role.LIAISON)
STRANGERS = [make_person("aurelia-auditor", Role.AUDITOR), make_person("aurelia-operator", Role.OPERATOR)]
MAPPING = """format = "comity-mapping/1"
source = "watch"
marking = { column = "TLP" }
[[objects]]
name = "who"
type = "identity"
[objects.properties]
name = { column = "Name" }
identity_class = { constant = "group" }
"""
CSV = b"name;reference\nAshfall Column;QDe.901\nBorder Group;QDe.902\n"


@pytest.fixture
def desk(world: World) -> Desk:
    """Long work asks in between whether whoever began it is still there."""
    world.register("aurelia", ANALYST.id, Role.ANALYST)
    return Desk(world.nodes["aurelia"])


def bundle(*objects: dict[str, Json]) -> bytes:
    return json.dumps(
        {"type": "bundle", "id": "bundle--6a1f2c1e-0000-4000-8000-000000000001", "objects": list(objects)}
    ).encode()


def count(world: World) -> int:
    with world.nodes["aurelia"].store.read() as transaction:
        row = transaction.row("SELECT COUNT(*) FROM object")
    return int(row[0]) if row else 0


def bring(browser: Browser, data: bytes, name: str = "b.json", page: str = "/intake", **fields: str) -> httpx.Response:
    found = re.search(r'name="form_key" value="([0-9a-f]{64})"', browser.get(page).text)
    assert found is not None
    return browser.send(
        "POST",
        "/intake",
        data={"form_key": found[1], **fields},
        files={"file": (name, data)},
        headers={"origin": URL, "sec-fetch-site": "same-origin"},
    )


def look(browser: Browser, data: bytes, name: str = "b.json", **fields: str) -> tuple[str, dict[str, Any]]:
    """The page of what was understood, and the same as its twin says."""
    answer = bring(browser, data, name, **fields)
    assert answer.status_code == 303, answer.text
    job = answer.headers["location"]
    page, twin = browser.get(job), browser.get(f"{job}.json")
    assert page.status_code == 200, page.text
    result: dict[str, Any] = twin.json()["result"]
    return page.text, result


def test_nothing_is_kept_before_the_second_step(world: World, desk: Desk) -> None:
    browser = desk.visit(ANALYST)
    good, bad = [make_object("first"), make_object("second", tlp="red")], make_object("third") | {"published": "never"}
    page, seen = look(browser, bundle(*good, bad))
    assert (seen["added"], seen["known"], seen["bad_count"], seen["format"]) == (2, 0, 1, "stix-2.1")
    assert seen["markings"] == {"green": 1, "red": 1}
    assert seen["strictest"] == "red"
    assert seen["bad"][0]["place"].startswith("/objects/2")
    assert "/objects/2" in page
    assert count(world) == 0
    assert browser.get("/intake.json").json() == {
        "files": [],
        "waiting": {"name": "b.json", "bytes": len(bundle(*good, bad))},
    }
    done = browser.post(
        "/intake/take", "/intake/take", subjects="national:ashfall", regions="IQ SY", kinds="threat_assessment"
    )
    assert done.status_code == 303
    result = browser.get(done.headers["location"] + ".json").json()["result"]
    assert (result["added_count"], result["bad_count"]) == (seen["added"], seen["bad_count"])
    page = browser.get(done.headers["location"]).text
    assert "/objects/2" in page
    assert f'href="/objects/{good[0]["id"]}"' in page
    assert count(world) == 2
    shown = browser.get("/intake/files/1").text
    assert "/objects/2" in shown
    assert "aurelia-analyst" in shown
    assert 'href="/intake/files/1"' in browser.get("/intake").text
    assert browser.get("/intake.json").json()["waiting"] is None


def test_what_is_here_already_is_said(world: World, desk: Desk) -> None:
    first = make_object("first")
    world.add("aurelia", first)
    changed = first | {"name": "other words in the same version"}
    _, seen = look(desk.visit(ANALYST), bundle(first, make_object("second")))
    assert (seen["added"], seen["known"], seen["bad_count"]) == (1, 1, 0)
    _, seen = look(desk.visit(ANALYST), bundle(changed))
    assert (seen["added"], seen["known"], seen["bad_count"]) == (0, 0, 1)
    assert "other bytes" in seen["bad"][0]["message"]


def test_what_was_shown_is_what_then_happens(world: World, desk: Desk) -> None:
    """Of good, bad, known, clashing, unmarked and twice."""
    held = make_object("held")
    world.add("aurelia", held)
    objects = [
        held,
        make_object("new"),
        make_object("new"),
        make_object("unmarked", tlp=None),
        held | {"name": "clash"},
        make_object("bad") | {"published": 7},
        make_object("pattern", kind="indicator"),
    ]
    browser = desk.visit(ANALYST)
    _, seen = look(browser, bundle(*objects))
    done = browser.post("/intake/take", "/intake/take")
    result = browser.get(done.headers["location"] + ".json").json()["result"]
    assert (seen["added"], seen["known"], seen["bad_count"]) == (
        result["added_count"],
        result["known"],
        result["bad_count"],
    )
    assert seen["strictest"] == "unmarked"


def test_what_two_parts_of_a_file_say_is_new_once(world: World, desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """A table is read by the mapping in the form; its rows share a marking that nobody knows, and withhold by it."""
    monkeypatch.setattr("comity.node.groups._GROUP_BYTES", 1)
    table = b"Name,TLP\nAshfall Column,Eyes of the desk only\nBorder Group,Eyes of the desk only\n"
    browser = desk.visit(ANALYST)
    page, seen = look(browser, table, "list.csv", mapping=MAPPING)
    assert (seen["format"], seen["bad"], seen["strictest"]) == ("csv", [], "unmarked")
    assert (seen["added"], seen["known"]) == (3, 0)  # the rows, and the marking once
    assert "goes to nobody" in page
    done = browser.post("/intake/take", "/intake/take")
    result = browser.get(done.headers["location"] + ".json").json()["result"]
    assert (seen["added"], seen["known"]) == (result["added_count"], result["known"])
    assert count(world) == 3


def test_a_table_is_read_by_its_mapping(world: World, desk: Desk) -> None:
    browser = desk.visit(LIAISON)
    answer = bring(browser, CSV, "list.csv")
    job = browser.get(answer.headers["location"])
    assert job.status_code >= 400  # no mapping: what to do is said
    assert "mapping" in job.text
    assert count(world) == 0


def test_a_mapping_that_cannot_be_used_is_shown_again(desk: Desk) -> None:
    """What somebody wrote for an hour stands beside what is wrong with it, and for nobody else."""
    browser = desk.visit(LIAISON)
    answer = bring(browser, CSV, "list.csv", mapping="not = [toml", source="one")
    at = answer.headers["location"]
    job = browser.get(at)
    assert job.status_code >= 400
    assert "not = [toml</textarea>" in job.text
    assert "one</textarea>" in job.text
    assert "not = [toml" not in browser.get(f"{at}.json").text
    assert desk.visit(ANALYST).get(at).status_code == 404


def test_a_file_of_no_known_format_is_refused_with_why(world: World, desk: Desk) -> None:
    browser = desk.visit(ANALYST)
    answer = bring(browser, b"\x00\x01\x02", "x.bin")
    job = browser.get(answer.headers["location"])
    assert job.status_code >= 400
    assert count(world) == 0
    assert bring(browser, b"{}", "x.json", format="no such").headers["location"]


def test_a_file_is_of_who_brought_it(world: World, desk: Desk) -> None:
    """Another person neither sees it nor takes it in, and the work on it is not shown."""
    browser = desk.visit(ANALYST)
    other = Browser(browser.app, {"comity": "token-other"})
    desk.sessions["token-other"] = LIAISON
    answer = bring(browser, bundle(make_object("first")))
    assert other.get(answer.headers["location"]).status_code == 404
    assert other.get("/intake.json").json()["waiting"] is None
    assert other.get("/intake/take").status_code == 404
    assert other.post("/intake/take", "/intake").status_code == 404
    assert count(world) == 0


def test_a_file_that_is_dropped_is_gone(world: World, desk: Desk) -> None:
    browser = desk.visit(ANALYST)
    bring(browser, bundle(make_object("first")))
    assert browser.post("/intake/drop", "/intake").status_code == 303
    assert browser.get("/intake/take").status_code == 404
    assert count(world) == 0


def test_files_that_wait_are_few_and_forgotten(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    browser = desk.visit(ANALYST)
    app = browser.app
    for number in range(5):
        desk.sessions[f"t{number}"] = make_person(f"person-{number}", Role.ANALYST)
        answer = bring(Browser(app, {"comity": f"t{number}"}), bundle(make_object("first")))
        assert answer.status_code == (303 if number < 4 else 409)
    monkeypatch.setattr(intake, "_HELD_SECONDS", -1.0)
    assert Browser(app, {"comity": "t0"}).get("/intake/take").status_code == 404
    monkeypatch.setattr(intake, "_HELD_SECONDS", 3_600.0)
    assert bring(browser, bundle(make_object("first"))).status_code == 303


def test_what_is_too_large_is_refused(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(intake, "MOST_BYTES", 1_000)
    browser = desk.visit(ANALYST)
    assert bring(browser, b"x" * 1_001).status_code == 400
    assert bring(browser, b"x" * 2_000_000).status_code == 400
    assert browser.get("/intake.json").json()["waiting"] is None


@pytest.mark.parametrize("person", STRANGERS)
def test_whoever_takes_nothing_in_finds_nothing(world: World, desk: Desk, person: Person) -> None:
    browser = desk.visit(person)
    for path in ("/intake", "/intake.json", "/intake/take", "/intake/files/1"):
        assert browser.get(path).status_code == 404
    visit = desk.visit(ANALYST)
    key = re.search(r'name="form_key" value="([0-9a-f]{64})"', visit.get("/intake").text)
    assert key is not None
    headers = {"origin": URL, "sec-fetch-site": "same-origin"}
    for path in ("/intake", "/intake/take", "/intake/drop"):
        assert browser.send("POST", path, data={"form_key": key[1]}, headers=headers).status_code == 404
    assert count(world) == 0


def test_a_form_of_another_session_takes_nothing_in(world: World, desk: Desk) -> None:
    one, other = desk.visit(ANALYST), desk.visit(ANALYST)
    bring(one, bundle(make_object("first")))
    key = re.search(r'name="form_key" value="([0-9a-f]{64})"', other.get("/intake").text)
    assert key is not None
    headers = {"origin": URL, "sec-fetch-site": "same-origin"}
    assert one.send("POST", "/intake/take", data={"form_key": key[1]}, headers=headers).status_code == 400
    assert count(world) == 0


def test_a_person_names_no_file_of_the_machine(world: World, desk: Desk) -> None:
    browser = desk.visit(ANALYST)
    bring(browser, bundle(make_object("first")), path="/etc/passwd")
    assert all("path" not in arguments for name, arguments in desk.asked if name.startswith("object."))


def test_hostile_names_and_places_are_text(world: World, desk: Desk) -> None:
    hostile = "<script>alert(1)</script>\u202e"
    browser = desk.visit(ANALYST)
    bad = make_object("first") | {"name": hostile + "x" * 10_000, hostile: 1, "published": hostile}
    page, _ = look(browser, bundle(bad, make_object("second")), name=hostile + "n" * 150 + ".json")
    done = browser.post("/intake/take", "/intake/take")
    pages = [
        page,
        browser.get(done.headers["location"]).text,
        browser.get("/intake").text,
        browser.get("/intake/files/1").text,
    ]
    for each in pages:
        assert "<script>alert" not in each
        assert "\u202e" not in each
    assert "&lt;script&gt;" in browser.get("/intake/files/1").text


def test_the_words_offered_are_those_there_are() -> None:
    assert set(FORMATS) <= {form.value for form in Format}
    assert set(TLP) <= set(TLP_WORDS)
