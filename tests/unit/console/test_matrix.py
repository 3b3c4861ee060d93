# SPDX-License-Identifier: Apache-2.0
"""Who would get what, held against what polls give; and that looking leaves no trace."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from comity.agreement.events import EventKind
from comity.agreement.people import Role
from comity.canonical import Json
from comity.store import browsing
from comity.store.log import count_entries
from tests.consoles import Browser, Desk, make_person
from tests.worlds import World, make_object, object_id, tlp_id

ANALYST = make_person("aurelia-analyst", Role.ANALYST)
AUDITOR = make_person("aurelia-auditor", Role.AUDITOR)
OPERATOR = make_person("aurelia-operator", Role.OPERATOR)
SECRET = "<script>alert(1)</script> for few"
MARKED: dict[str, Json] = {
    "description": SECRET,
    "granular_markings": [{"marking_ref": tlp_id("red"), "selectors": ["description"]}],
}


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path)
    made.found("aurelia", "borealia", "meridia")
    yield made
    made.close()


@pytest.fixture
def analyst(desk: Desk) -> Browser:
    return desk.visit(ANALYST)


def find_cells(browser: Browser, party: str, query: str = "") -> dict[str | None, dict[str, Any]]:
    found = browser.get(f"/matrix.json{query}").json()
    (row,) = [row for row in found["parties"] if row["party"] == party]
    return {column["word"]: cell for column, cell in zip(found["columns"], row["cells"], strict=True)}


def see_all(browser: Browser, party: str, query: str = "") -> dict[str, bytes]:
    found, following = dict[str, bytes](), query
    for _ in range(50):
        part = browser.get(f"/matrix/{party}.json?{following}").json()
        for item in part["objects"]:
            assert item["id"] not in found
            found[item["id"]] = item["received"].encode()
        if part["next"] is None:
            break
        following = f"collection={part['collection']}&before={part['next']}"
    return found


def fill(world: World) -> None:
    world.add(
        "aurelia",
        make_object("plain"),
        make_object("marked", more=MARKED),
        make_object("red", tlp="red"),
        make_object("amber", tlp="amber", subjects=("national:other",)),
        make_object("both", subjects=("national:ashfall", "national:second")),
    )


def test_cells_count_what_polls_give(world: World, analyst: Browser) -> None:
    world.sign_all(world.terms())
    world.sign_all(world.terms(receivers=("meridia",), subjects=("national:other",), title="Other"))
    fill(world)
    cells = find_cells(analyst, "borealia")
    green = cells["green"]
    assert (green["way"], green["full"], green["redacted"], green["withheld"]) == ("full", 2, 1, 0)
    assert (cells["red"]["way"], cells["red"]["withheld"]) == ("none", 1)
    assert [reason["clause"] for reason in cells["red"]["reasons"]] == ["tlp_ceiling"]
    assert [reason["clause"] for reason in cells["amber"]["reasons"]] == ["subjects"]
    assert find_cells(analyst, "meridia")["amber"]["way"] == "full"
    assert find_cells(analyst, "meridia")["green"]["way"] == "none"
    given = world.read("borealia")
    assert len(given) == green["full"] + green["redacted"]
    assert green["example"] in given
    # A word for all is said of all alone.
    table, _, _ = analyst.get("/matrix").text.partition("How to read it")
    cells_of_all = [cell for row in analyst.get("/matrix.json").json()["parties"] for cell in row["cells"]]
    whole = [cell for cell in cells_of_all if cell["way"] == "full" and cell["withheld"] + cell["redacted"] == 0]
    assert (table.count(">full<"), table.count(">in part<")) == (len(whole), 1)


def test_an_object_of_several_subjects_counts_for_each(world: World, analyst: Browser) -> None:
    world.sign_all(world.terms())
    fill(world)
    cells = find_cells(analyst, "borealia", "?by=subjects")
    assert (cells["national:ashfall"]["full"], cells["national:ashfall"]["redacted"]) == (2, 1)
    assert cells["national:second"]["full"] == 1
    assert cells["national:other"]["way"] == "none"


def test_what_is_suspended_is_told_from_what_is_refused(world: World, analyst: Browser) -> None:
    agreement = world.sign_all(world.terms())
    fill(world)
    world.act("aurelia", agreement, EventKind.SUSPEND)
    cells = find_cells(analyst, "borealia")
    assert (cells["green"]["way"], cells["green"]["waiting"], cells["green"]["full"]) == ("suspended", 3, 0)
    assert cells["red"]["way"] == "none"
    assert "suspended" in analyst.get("/matrix").text
    assert see_all(analyst, "borealia") == {}
    collection = analyst.get("/matrix/borealia.json").json()["collections"][0]
    assert collection["gate"]["clause"] == "status"
    assert analyst.get(f"/matrix/borealia.json?collection={collection['id']}").json()["objects"] == []


def test_another_open_channel_lets_go_what_one_that_is_closed_holds(world: World, analyst: Browser) -> None:
    agreement = world.sign_all(world.terms())
    world.sign_all(world.terms(title="Second"))
    fill(world)
    world.act("aurelia", agreement, EventKind.SUSPEND)
    assert find_cells(analyst, "borealia")["green"]["way"] == "full"


@pytest.mark.parametrize("history", ["all", "none"])
@pytest.mark.parametrize("places", [0, 200])
def test_seen_as_a_party_is_what_a_poll_gives_it(
    world: World, analyst: Browser, monkeypatch: pytest.MonkeyPatch, history: str, places: int
) -> None:
    monkeypatch.setattr(browsing, "MOST_PLACES", places)
    monkeypatch.setattr(browsing, "MOST_LOOKED_AT", 3)
    monkeypatch.setattr("comity.console.matrix._SEEN", 2)
    world.add("aurelia", make_object("early"), make_object("early-red", tlp="red"))
    world.sign_all(world.terms(history=history))
    fill(world)
    world.add("aurelia", make_object("plain", day=2), *(make_object(f"n{number}") for number in range(5)))
    seen = see_all(analyst, "borealia")
    assert seen == world.read("borealia")
    assert (object_id("report", "early") in seen) == (history == "all")
    assert len(seen) == (9 if history == "all" else 8)


def test_a_cell_that_hangs_on_history_says_that_it_is_the_most(world: World, analyst: Browser) -> None:
    world.add("aurelia", make_object("early"))
    world.sign_all(world.terms(history="none"))
    world.add("aurelia", make_object("late"))
    cell = find_cells(analyst, "borealia")["green"]
    assert (cell["full"], cell["at_most"]) == (2, True)
    assert "at most 2 whole" in analyst.get("/matrix").text


def test_looking_releases_nothing_and_is_not_on_record(world: World, analyst: Browser) -> None:
    world.sign_all(world.terms())
    fill(world)
    with world.nodes["aurelia"].store.read() as transaction:
        before = count_entries(transaction), transaction.row("SELECT COUNT(*) FROM release")
    for path in ("/matrix", "/matrix?by=subjects", "/matrix/borealia"):
        assert analyst.get(path).status_code == 200
    with world.nodes["aurelia"].store.read() as transaction:
        after = count_entries(transaction), transaction.row("SELECT COUNT(*) FROM release")
    assert after == before


def test_an_auditor_sees_counts_and_no_content(world: World, desk: Desk) -> None:
    world.sign_all(world.terms())
    fill(world)
    auditor = desk.visit(AUDITOR)
    assert auditor.get("/matrix").status_code == 200
    assert 'href="/matrix/borealia"' not in auditor.get("/matrix").text
    for path in ("/matrix/borealia", "/matrix/borealia.json"):
        answer = auditor.get(path)
        assert answer.status_code == 404
        assert "report--" not in answer.text


@pytest.mark.parametrize("path", ["/matrix", "/matrix.json", "/matrix/borealia", "/matrix/borealia.json"])
def test_an_operator_finds_nothing(world: World, desk: Desk, path: str) -> None:
    world.sign_all(world.terms())
    fill(world)
    answer = desk.visit(OPERATOR).get(path)
    assert answer.status_code == 404
    assert "green" not in answer.text


def test_nothing_received_is_markup(world: World, analyst: Browser) -> None:
    world.sign_all(world.terms(title="<b>bold</b>" + "t" * 150))
    fill(world)
    for path in ("/matrix", "/matrix?by=subjects", "/matrix/borealia"):
        page = analyst.get(path).text
        assert "<b>bold" not in page
        assert "<script>alert" not in page


def test_parties_come_by_pages(world: World, analyst: Browser, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("comity.console.matrix._PARTIES", 1)
    world.sign_all(world.terms(receivers=("borealia", "meridia")))
    fill(world)
    first = analyst.get("/matrix.json").json()
    assert ([row["party"] for row in first["parties"]], first["next"]) == (["borealia"], "borealia")
    assert "/matrix?by=tlp&amp;after=borealia" in analyst.get("/matrix").text
    second = analyst.get("/matrix.json?after=borealia").json()
    assert ([row["party"] for row in second["parties"]], second["next"]) == (["meridia"], None)


def test_with_nothing_there_it_says_so(world: World, analyst: Browser) -> None:
    assert "leads to anybody" in analyst.get("/matrix").text
    assert "lets this node give" in analyst.get("/matrix/borealia").text
    world.sign_all(world.terms())
    assert "Nothing is held yet" in analyst.get("/matrix").text
    assert "Nothing goes now" in analyst.get("/matrix/borealia").text
    assert analyst.get("/matrix?by=colour").status_code == 400
    assert analyst.get("/matrix/nobody").status_code == 404
    assert analyst.get("/matrix/borealia?collection=nothing").status_code == 404
