# SPDX-License-Identifier: Apache-2.0
"""The log in the console: what is found by which qualifiers, the proof of an entry, and what nobody else may see."""

import base64
import csv
import hashlib
import io
import json
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import apsw
import pytest

from comity.agreement.people import Role
from comity.console.log import COLUMNS, format_csv
from comity.node.retention import delete
from comity.tlog.merkle import verify_inclusion
from tests.consoles import Browser, Desk, make_person
from tests.worlds import BASIS, World, make_object, object_id

AUDITOR = make_person("aurelia-auditor", Role.AUDITOR)
LEGAL = make_person("aurelia-legal", Role.LEGAL)
STRANGERS = [make_person("aurelia-analyst", Role.ANALYST), make_person("aurelia-operator", Role.OPERATOR)]
PATHS = ["/log", "/log.csv", "/log/0", "/log/relationships", "/log/0/receipt"]


@pytest.fixture
def given(tmp_path: Path) -> Iterator[tuple[World, dict[str, str]]]:
    """Aurelia gave one object to Borealia and to Meridia, each under an agreement of its own; and their ids."""
    world = World(tmp_path)
    world.found("aurelia", "borealia", "meridia")
    ids = {
        name: world.sign_all(world.terms(receivers=(name,), title=f"With {name}")) for name in ("borealia", "meridia")
    }
    made = make_object("first")
    ids["object"] = str(made["id"])
    world.add("aurelia", made)
    for name in ("borealia", "meridia"):
        world.tick()
        assert len(world.poll(name).items) == 1
    yield world, ids
    world.close()


def browse(world: World) -> Browser:
    return Desk(world.nodes["aurelia"]).visit(AUDITOR)


def find(browser: Browser, q: str) -> list[tuple[str, str | None]]:
    answer = browser.send("GET", "/log.json", params={"q": q})
    assert answer.status_code == 200, answer.text
    return [(item["type"], item["recipient"]) for item in answer.json()["entries"]]


def test_the_log_is_read_by_qualifiers(given: tuple[World, dict[str, str]]) -> None:
    world, ids = given
    browser = browse(world)
    both = [("disclosure", "borealia"), ("disclosure", "meridia")]
    assert find(browser, "kind:disclosure") == both
    assert find(browser, "to:borealia") == both[:1]
    assert find(browser, "to:borealia to:meridia") == both
    assert find(browser, "kind:disclosure -to:borealia") == both[1:]
    assert find(browser, f"object:{ids['object']}") == both
    assert find(browser, f"kind:disclosure -object:{ids['object']}") == []
    assert find(browser, f"under:{ids['meridia'][:8]} kind:disclosure") == both[1:]
    assert find(browser, f"under:{ids['meridia']} to:borealia") == []
    assert find(browser, f"kind:disclosure -under:{ids['meridia']}") == both[:1]
    assert find(browser, f'basis:"{BASIS}" kind:disclosure') == both
    assert find(browser, "basis:S/RES/1 kind:disclosure") == []
    assert find(browser, f"kind:disclosure -basis:{BASIS}") == []
    events = find(browser, f"under:{ids['borealia']} -kind:disclosure")
    assert {kind for kind, _ in events} == {"agreement-event"}
    assert len(events) >= 2
    assert find(browser, "under:abcdef") == []


def test_times_are_from_and_up_to(given: tuple[World, dict[str, str]]) -> None:
    world, _ = given
    browser = browse(world)
    shown = browser.send("GET", "/log.json", params={"q": "kind:disclosure"}).json()["entries"]
    second = shown[1]["at"]
    assert find(browser, f"kind:disclosure since:{second}") == [("disclosure", "meridia")]
    assert find(browser, f"kind:disclosure until:{second}") == [("disclosure", "borealia")]
    assert find(browser, "until:2020") == []
    assert find(browser, "since:2999-01-01") == []
    assert find(browser, f"to:meridia since:{second}") == [("disclosure", "meridia")]


@pytest.mark.parametrize("q", ["from:borealia", "free text", "to:", "kind:nothing", "since:yesterday", "-since:2026"])
def test_an_unknown_qualifier_says_which_there_are(given: tuple[World, dict[str, str]], q: str) -> None:
    browser = browse(given[0])
    answer = browser.send("GET", "/log", params={"q": q})
    assert answer.status_code == 400
    for name in ("to:", "under:", "object:", "basis:", "since:", "until:", "kind:"):
        assert name in answer.text
    assert 'role="alert"' in answer.text
    twin = browser.send("GET", "/log.json", params={"q": q})
    assert (twin.status_code, twin.json()["error"]["code"]) == (400, "malformed-request")


@pytest.mark.parametrize("q", ["to:borealia to:meridia", "kind:disclosure", "kind:disclosure -to:nobody", ""])
def test_pages_follow_one_another_without_gap_or_repetition(given: tuple[World, dict[str, str]], q: str) -> None:
    """Also where two logs are read side by side, of which one is much longer."""
    world, _ = given
    for number in range(105):
        world.tick()
        world.poll("meridia" if number % 5 == 0 else "borealia")
    browser, seen, before = browse(world), list[int](), ""
    while True:
        page = browser.send("GET", "/log.json", params={"q": q, "before": before}).json()
        seen += [item["entry"] for item in reversed(page["entries"])]
        if page["next"] is None:
            break
        before = str(page["next"])
    assert seen == sorted(set(seen), reverse=True)
    with world.nodes["aurelia"].store.read() as transaction:
        condition = "instr(CAST(leaf AS TEXT), 'recipient\":\"') > 0" if q else "1"
        (expected,) = transaction.row(f"SELECT COUNT(*) FROM log_entry WHERE {condition}") or (0,)
    assert len(seen) == expected


def test_a_page_looks_through_a_bounded_number_of_entries(
    given: tuple[World, dict[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """And says where it stopped, and leads on to where the entry is found."""
    world, _ = given
    for _ in range(600):
        world.poll("borealia")
    monkeypatch.setattr("comity.store.entries.MOST_LOOKED", 200)
    browser = browse(world)
    page = browser.get("/log?q=kind:people")
    assert "Stopped at entry" in page.text
    before, hops = "", 0
    while not (found := browser.send("GET", "/log.json", params={"q": "kind:people", "before": before}).json())[
        "entries"
    ]:
        assert found["looked"] <= 500
        before, hops = str(found["next"]), hops + 1
    assert hops == 1
    assert [item["type"] for item in found["entries"]] == ["people", "people"]
    # What went to one party is found at once, whatever lies between: it has logs of its own.
    page = browser.send("GET", "/log.json", params={"q": "to:meridia"}).json()
    assert ([item["recipient"] for item in page["entries"]], page["looked"], page["next"]) == (["meridia"], 1, None)
    page = browser.send("GET", "/log.json", params={"q": "to:borealia kind:purge"}).json()
    assert (page["entries"], page["looked"]) == ([], 500)
    assert page["next"] is not None


def test_an_entry_shows_whom_what_and_the_proof(given: tuple[World, dict[str, str]]) -> None:
    world, ids = given
    browser = browse(world)
    (entry,) = browser.send("GET", "/log.json", params={"q": "to:meridia"}).json()["entries"]
    page = browser.get(f"/log/{entry['entry']}").text
    assert ids["object"] in page
    assert f'href="/agreements/{ids["meridia"]}"' in page
    assert f'href="/objects/{ids["object"]}"' not in page  # an auditor is not shown objects
    assert (
        f'href="/objects/{ids["object"]}"'
        in Desk(world.nodes["aurelia"]).visit(LEGAL).get(f"/log/{entry['entry']}").text
    )
    proof = browser.get(f"/log/{entry['entry']}.json").json()["proof"]
    leaf = hashlib.sha256(b"\0" + proof["leaf"].encode()).digest()
    assert base64.b64decode(proof["leaf_hash"]) == leaf
    hashes = [base64.b64decode(each) for each in proof["hashes"]]
    verify_inclusion(leaf, proof["index"], proof["size"], hashes, base64.b64decode(proof["root"]))
    assert proof["leaf_hash"] in page
    assert "Every part" not in page
    verified = browser.get(f"/log/{entry['entry']}?verify=1").text
    assert "Every part that is there holds." in verified
    checks = {item["check"]: item["holds"] for item in proof["checks"]}
    assert checks == {"opening": True, "inclusion": True, "checkpoint": True, "receipt": True}


def test_a_receipt_is_given_as_a_file(given: tuple[World, dict[str, str]]) -> None:
    browser = browse(given[0])
    (entry,) = browser.send("GET", "/log.json", params={"q": "to:meridia"}).json()["entries"]
    answer = browser.get(f"/log/{entry['entry']}/receipt")
    assert answer.status_code == 200
    assert "attachment" in answer.headers["content-disposition"]
    assert json.loads(answer.content)["format"].startswith("comity-receipt/")
    assert browser.get("/log/0/receipt").status_code == 404


@pytest.mark.parametrize(
    ("what", "failed"),
    [
        ("INSERT INTO log_tile SELECT DISTINCT log, 0, 0, zeroblob(8192) FROM log_entry", {"inclusion", "receipt"}),
        ("UPDATE log_opening SET salt = zeroblob(32)", {"opening", "receipt"}),
        (
            (
                "UPDATE log_head SET checkpoint = CAST(replace(CAST(checkpoint AS TEXT),"
                " substr(CAST(checkpoint AS TEXT), -20, 4), 'AAAA') AS BLOB)"
            ),
            {"checkpoint", "receipt"},
        ),
    ],
)
def test_what_was_altered_does_not_hold(given: tuple[World, dict[str, str]], what: str, failed: set[str]) -> None:
    world, _ = given
    for _ in range(3):
        world.poll("borealia")
    browser = browse(world)
    found = browser.send("GET", "/log.json", params={"q": "to:borealia"}).json()["entries"]
    connection = apsw.Connection(str(world.folder / "aurelia" / "store.db"))
    for (name,) in list(connection.execute("SELECT name FROM sqlite_schema WHERE type = 'trigger'")):
        connection.execute(f"DROP TRIGGER {name}")
    connection.execute(what)
    connection.close()
    page = browser.get(f"/log/{found[0]['entry']}?verify=1")
    assert "Something does not hold." in page.text
    proof = browser.get(f"/log/{found[0]['entry']}.json").json()["proof"]
    assert {item["check"] for item in proof["checks"] if item["holds"] is False} == failed


def test_what_a_spreadsheet_would_compute_is_text() -> None:
    hostile = ["=1+1", "+1", "-1", "@x", "\t=1", "\r=1"]
    entries = [dict.fromkeys(COLUMNS) | {"person": text, "entry": number} for number, text in enumerate(hostile)]
    rows = list(csv.DictReader(io.StringIO(format_csv(list(entries)))))
    assert [row["person"] for row in rows] == [f"'{text}" for text in reversed(hostile)]
    assert [row["entry"] for row in rows] == ["5", "4", "3", "2", "1", "0"]


def test_the_export_is_what_is_shown(given: tuple[World, dict[str, str]]) -> None:
    browser = browse(given[0])
    answer = browser.get("/log.csv?q=kind:disclosure")
    assert answer.headers["content-type"].startswith("text/csv")
    assert [row["recipient"] for row in csv.DictReader(io.StringIO(answer.text))] == ["meridia", "borealia"]


def test_objects_that_are_held_are_led_to_and_of_others_it_is_said_to_whom_it_is_for(world: World) -> None:
    """An entry with an object that is held, one that was deleted, and one of which there is nothing here any more."""
    node = world.nodes["aurelia"]
    world.sign_all(world.terms())
    world.add("aurelia", *(make_object(name) for name in ("held", "deleted", "lost")))
    world.tick()
    assert len(world.poll("borealia").items) == 3
    delete(node, object_id("report", "deleted"), reason="It was wrong.")
    delete(node, object_id("report", "lost"), reason="It was wrong.")
    with node.store.write() as transaction:
        transaction.run("DROP TRIGGER IF EXISTS tombstone_stays")
        transaction.run("DELETE FROM tombstone WHERE id = ?", (object_id("report", "lost"),))
    desk = Desk(node)
    (entry,) = [
        item["entry"] for item in desk.visit(LEGAL).get("/log.json").json()["entries"] if item["type"] == "disclosure"
    ]
    page = desk.visit(LEGAL).get(f"/log/{entry}").text
    assert set(re.findall(r'href="/objects/([^"]+)"', page)) == {
        object_id("report", "held"),
        object_id("report", "deleted"),
    }
    assert (page.count("deleted here"), page.count("not held here")) == (1, 1)
    for name, status in (("held", 200), ("deleted", 200), ("lost", 404)):
        assert desk.visit(LEGAL).get(f"/objects/{object_id('report', name)}").status_code == status
    twin = desk.visit(LEGAL).get(f"/log/{entry}.json").json()
    assert twin["here"] == {"held": [object_id("report", "held")], "deleted": [object_id("report", "deleted")]}
    other = desk.visit(AUDITOR).get(f"/log/{entry}").text
    assert object_id("report", "held") in other
    assert 'href="/objects/' not in other
    assert "held here" not in other
    assert "deleted here" not in other
    assert "here" not in desk.visit(AUDITOR).get(f"/log/{entry}.json").json()


@pytest.mark.parametrize("path", [*PATHS, "/log.json", "/log/0.json"])
def test_others_find_no_log(given: tuple[World, dict[str, str]], path: str) -> None:
    desk = Desk(given[0].nodes["aurelia"])
    for person in STRANGERS:
        answer = desk.visit(person).get(path)
        assert answer.status_code == 404
        assert "disclosure" not in answer.text
        assert "borealia" not in answer.text


def test_logs_of_relationships_are_listed(given: tuple[World, dict[str, str]]) -> None:
    world, ids = given
    page = browse(world).get("/log/relationships").text
    for name in ("borealia", "meridia"):
        assert f'href="/agreements/{ids[name]}"' in page
    assert "house" in page


def test_a_new_node_has_a_log_of_its_people(desk: Desk) -> None:
    browser = desk.visit(AUDITOR)
    assert browser.get("/log").status_code == 200
    assert "Nothing was given to anybody yet." in browser.get("/log/relationships").text
    assert "No entry says this." in browser.get("/log?q=kind:disclosure").text
    assert browser.get("/log/0?verify=1").text.count("holds") >= 3
    assert browser.get("/log/99").status_code == 404
    assert browser.get("/log/x").status_code == 404
    assert browser.get("/log?before=x").status_code == 400


def test_received_text_is_no_markup(world: World) -> None:
    """A person's name, of ten thousand characters, with markup and with what turns the order of a line around."""
    world.register("aurelia", "hostile-person", Role.ANALYST)
    node = world.nodes["aurelia"]
    hostile = "<script>alert(1)</script>\u202e\u2066" + "x" * 10_000
    with node.store.write() as transaction:
        for trigger in ("log_opening_kept", "log_opening_stays"):
            transaction.run(f"DROP TRIGGER IF EXISTS {trigger}")
        position = transaction.row("SELECT MAX(position) FROM log_opening")
        content = {
            "format": "x",
            "change": hostile,
            "party": hostile,
            "objects": [{"id": hostile, "version": hostile, "digest": None, "redacted": [hostile]}],
        }
        data = json.dumps(content, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()
        transaction.run("UPDATE log_opening SET content = ? WHERE position = ?", (data, position[0] if position else 0))
    browser = Desk(node).visit(LEGAL)
    for path in ("/log", f"/log/{position[0] if position else 0}?verify=1"):
        page = browser.get(path).text
        assert "<script>alert" not in page
        assert "\u202e" not in page
        assert "&lt;script&gt;" in page


def test_figures_are_those_of_the_entries(given: tuple[World, dict[str, str]]) -> None:
    world, ids = given
    world.tick(40 * 86_400_000_000)
    for _ in range(3):
        world.poll("borealia")
    browser = browse(world)
    figures = browser.get("/log/figures.json").json()
    entries = browser.send("GET", "/log.json", params={"q": "kind:disclosure"}).json()["entries"]
    assert figures["answers"] == len(entries) == 5
    assert figures["recipients"] == [{"party": "borealia", "answers": 4}, {"party": "meridia", "answers": 1}]
    assert [(item["agreement"], item["title"], item["answers"]) for item in figures["agreements"]] == [
        (ids["borealia"], "With borealia", 4),
        (ids["meridia"], "With meridia", 1),
    ]
    months = Counter(item["at"][:7] for item in entries)
    assert {item["month"]: item["answers"] for item in figures["months"] if item["answers"]} == months
    assert len(months) == 2
    page = browser.get("/log/figures").text
    assert "With borealia" in page
    assert 'href="/audit"' in page


def test_nobody_else_finds_figures(given: tuple[World, dict[str, str]]) -> None:
    desk = Desk(given[0].nodes["aurelia"])
    for person in STRANGERS:
        assert desk.visit(person).get("/log/figures").status_code == 404
        assert desk.visit(person).get("/log/figures.json").status_code == 404
