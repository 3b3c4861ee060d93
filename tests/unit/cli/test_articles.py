# SPDX-License-Identifier: Apache-2.0
"""`article` on the command line: added, looked at, decided on, made; and words that cannot steer a terminal."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from comity.cli import session
from comity.node.node import Node, open_node
from comity.operations import acting
from tests.unit.cli.conftest import Party
from tests.unit.cli.test_commands import documented

TEXT = """Lucent and Norrhaven talk

March 4, 2031

Russian Foreign Minister Ivan Petrov denied reports that Germany had paid the rebels in Lisbon.

Original url:
https://wire.example/a
"""
HOSTILE = (
    "Talks\x1b]0;owned\x07 \u202egnitset\u202c <script>alert(1)</script>\n\n3 May 2031\n\n"
    "Germany\x1b[2J denied \u202ethat\u2066 it\u200b had seen [red]http://a.example/x\x9b31m[/red].\r\n"
    "Germany\x08 denied it.\x85"
)
STEERS = ("\x1b", "\x07", "\x08", "\u202e", "\u2066", "\u200b", "\x85", "\x9b", "\r")


@pytest.fixture
def talks(tmp_path: Path) -> Path:
    path = tmp_path / "talks.txt"
    path.write_text(TEXT)
    return path


def find(aurelia: Party, kind: str) -> dict[str, Any]:
    return dict(aurelia.ask("article", "show", "1", "--kind", kind)["drafts"][0])


def test_an_article_from_file_to_report(aurelia: Party, talks: Path) -> None:
    done = aurelia.ask("article", "add", talks, "--publisher", "Wire", "--retrieved", "2025-01-02T03:04:05Z")
    assert done.keys() == documented("article add")
    (added,) = done["articles"]
    assert (added["publisher"], added["added_by"], added["open"]) == ("Wire", "liaison", 6)
    listed = aurelia.ask("article", "list")
    assert listed.keys() == documented("article list")
    assert {**listed["articles"][0], "file": str(talks), "already": False} == added
    shown = aurelia.ask("article", "show", "1")
    assert shown.keys() == documented("article show ID")
    text = aurelia.ask("article", "text", "1")
    assert text.keys() == documented("article text ID")
    assert (text["text"], text["next"]) == (TEXT, None)
    person = find(aurelia, "person")
    assert (person["text"], person["state"], person["by"]) == ("Ivan Petrov", "open", None)
    assert TEXT[person["offset"] :].startswith("Ivan Petrov")
    assert TEXT.index(person["before"] + person["text"] + person["after"]) == person["offset"] - len(person["before"])
    assert person["rule"] == "office-before-name"

    confirmed = aurelia.ask("article", "confirm", "1", str(person["number"]), "--why", "read it")
    assert confirmed.keys() == documented("article confirm")
    assert (confirmed["drafts"], confirmed["confirmed"], confirmed["unmade"]) == ([person["number"]], 1, True)
    again = find(aurelia, "person")
    assert (again["state"], again["by"]) == ("confirmed", "liaison (liaison)")
    corrected = aurelia.ask("article", "correct", "1", str(person["number"]), "--value", "Iwan Petrow")
    assert corrected["drafts"] == [person["number"]]
    assert [item["value"] for item in find(aurelia, "person")["corrections"]] == ["Iwan Petrow"]
    assert aurelia.ask("article", "correct", "1", str(person["number"]), "--undo")["drafts"] == [person["number"]]
    assert find(aurelia, "person")["corrections"] == []

    refused = aurelia.do("article", "make", "1")
    assert (refused.code, "5 drafts are open" in refused.err) == (6, True)
    made = aurelia.ask("article", "make", "1", "--strike-open", "--tlp", "amber", "--region", "PT")
    assert made.keys() == documented("article make")
    assert (len(made["added"]), len(made["struck"]), made["tlp"]) == (2, 5, "amber")
    assert aurelia.ask("object", "show", made["report"])["label"]["regions"] == [["PT"]]
    assert aurelia.do("article", "make", "1").out == f"{made['report']} is made so already: nothing was done\n"
    assert aurelia.do("audit").code == 0


def test_an_article_is_deleted_and_taken_in_again(aurelia: Party, talks: Path) -> None:
    (added,) = aurelia.ask("article", "add", talks)["articles"]
    person = str(find(aurelia, "person")["number"])
    aurelia.ask("article", "confirm", "1", person)
    aurelia.ask("article", "correct", "1", person, "--value", "Iwan Petrow")
    made = aurelia.ask("article", "make", "1", "--strike-open", "--tlp", "amber")
    assert aurelia.do("article", "delete", "1").code == 2
    deleted = aurelia.ask("article", "delete", added["digest"][:8], "--reason", "Order 12")
    assert deleted.keys() == documented("article delete")
    assert (deleted["number"], deleted["digest"], deleted["drafts"]) == (1, added["digest"], 6)
    assert (deleted["report"], deleted["gone"], len(deleted["entries"])) == (made["report"], True, 1)
    for command in (
        ("show", "1"),
        ("text", "1"),
        ("confirm", "1", "1"),
        ("make", "1"),
        ("delete", "1", "--reason", "r"),
    ):
        done = aurelia.do("article", *command)
        assert (done.code, "no article has the number 1;" in done.err) == (5, True), (command, done)
    assert aurelia.ask("object", "show", made["report"])["object"] is not None
    again = aurelia.do("article", "add", talks).out
    assert "is article 2: 6 open" in again
    aurelia.ask("article", "correct", "2", person, "--value", "Iwan Petrow")
    told = aurelia.do("article", "delete", "2", "--reason", "Order 13").out
    assert "article 2 deleted, with its text and 6 drafts\n" in told
    assert "purge order --entry N" in told
    assert aurelia.do("audit").code == 0
    assert aurelia.do("fsck").code == 0


def test_what_is_told_says_what_is_to_be_done(aurelia: Party, talks: Path) -> None:
    added = aurelia.do("article", "add", talks).out
    assert "is article 1: 6 open, 0 confirmed, 0 struck" in added
    assert "Nothing of it is an object yet" in added
    assert "nothing was done" in aurelia.do("article", "add", talks).out
    number = find(aurelia, "person")["number"]
    shown = aurelia.do("article", "show", "1", "--kind", "person").out
    assert f"? {number} person Ivan Petrov, Foreign Minister of Russia" in shown
    assert "Russian Foreign Minister [Ivan Petrov] denied reports" in shown
    assert "article-to-review" in {item["kind"] for item in aurelia.ask("work")["items"]}
    assert "article show 1" in aurelia.do("work").out
    struck = aurelia.do("article", "strike", "1", "1-6", "--reason", "no news").out
    assert "6 drafts struck; 0 open, 0 confirmed, 6 struck" in struck
    assert "nothing to do" in aurelia.do("article", "strike", "1", "1").out
    confirmed = aurelia.do("article", "confirm", "1", "--all-of", "person")
    assert "nothing to do" in confirmed.out  # struck by people: not open
    confirmed = aurelia.do("article", "confirm", "1", str(number))
    assert "Every draft is decided on: article make 1" in confirmed.out
    assert "report to make" in aurelia.do("article", "list").out
    made = aurelia.do("article", "make", "1").out
    assert "not marked: it goes to nobody" in made
    assert "made" in aurelia.do("article", "list").out
    assert "not marked: it goes to nobody" in aurelia.do("article", "show", "1", "--state", "confirmed").out


def test_drafts_are_shown_by_parts(aurelia: Party, talks: Path) -> None:
    aurelia.ask("article", "add", talks)
    first = aurelia.ask("article", "show", "1", "--most", "4")
    assert ([item["number"] for item in first["drafts"]], first["next"]) == ([1, 2, 3, 4], 5)
    rest = aurelia.ask("article", "show", "1", "--from", "5")
    assert ([item["number"] for item in rest["drafts"]], rest["next"]) == ([5, 6], None)
    assert "more: article show 1 --from 5" in aurelia.do("article", "show", "1", "--most", "4").out
    assert aurelia.ask("article", "show", "1", "--state", "struck")["drafts"] == []
    assert aurelia.do("article", "show", "1", "--state", "odd").code == 2
    for option, asked in (("--kind", ("show", "1")), ("--all-of", ("confirm", "1"))):
        refused = aurelia.do("article", *asked, option, "class")
        assert (refused.code, refused.err.startswith(f"error: {option}: ")) == (2, True), refused.err
        assert "person, date, statement" in refused.err


def test_who_shows_no_badge_decides_nothing(aurelia: Party, talks: Path) -> None:
    aurelia.ask("article", "add", talks)
    for command in (
        ("confirm", "1", "1"),
        ("strike", "1", "1"),
        ("correct", "1", "1", "--undo"),
        ("make", "1"),
        ("delete", "1", "--reason", "r"),
    ):
        done = aurelia.comity("--node", aurelia.folder, "article", *command, "--json")
        assert done.error["code"] == "not-authenticated", command
    aurelia.register("operator")
    done = aurelia.do_as("operator", "article", "confirm", "1", "1")
    assert (done.code, "which confirm-drafts needs\nNothing was done." in done.out) == (3, True)
    assert aurelia.ask("article", "show", "1", "--state", "confirmed")["drafts"] == []


@pytest.mark.parametrize(
    "words",
    [("correct", "1", "1"), ("correct", "1", "1-2", "--value", "x"), ("correct", "1", "1", "--value", "x", "--undo")],
)
def test_what_is_typed_wrong_is_said(aurelia: Party, talks: Path, words: tuple[str, ...]) -> None:
    aurelia.ask("article", "add", talks)
    assert aurelia.do("article", *words).code == 2


def test_one_bad_file_takes_no_good_one_with_it(aurelia: Party, talks: Path, tmp_path: Path) -> None:
    bad, scan = tmp_path / "list.xml", tmp_path / "scan.pdf"
    bad.write_text("<CONSOLIDATED_LIST/>")
    scan.write_bytes(b"%PDF-1.4 nothing")
    done = aurelia.do("article", "add", bad, scan, talks, "--json")
    assert (done.code, len(done.result["articles"])) == (1, 1)
    assert [Path(item["file"]).name for item in done.result["bad"]] == ["list.xml", "scan.pdf"]
    assert "cannot be read" in aurelia.do("article", "add", bad).out


def test_a_long_text_says_that_it_is_being_read(aurelia: Party, tmp_path: Path) -> None:
    long = tmp_path / "long.txt"
    long.write_text(TEXT.replace("denied", "denied " + "and then it rained for days " * 12_000))
    done = aurelia.do("article", "add", long)
    assert (done.code, "reading" in done.err, "partners are answered" in done.err) == (0, True, True)


def test_nothing_that_an_article_says_steers_a_terminal(aurelia: Party, tmp_path: Path) -> None:
    file = tmp_path / "hostile.txt"
    file.write_bytes(HOSTILE.encode())
    said = [aurelia.do("article", "add", file)]
    count = aurelia.ask("article", "list")["articles"][0]["open"]
    assert count
    drafts = aurelia.ask("article", "show", "1")["drafts"]
    assert any("\u202e" in item["text"] + item["before"] + item["after"] for item in drafts)  # as received, in JSON
    said += [aurelia.do("article", "list"), aurelia.do("article", "show", "1"), aurelia.do("work")]
    said.append(aurelia.do("article", "confirm", "1", f"1-{count}"))
    said.append(aurelia.do("article", "make", "1", "--publisher", "W\u202e"))
    said.append(aurelia.do("article", "show", "1"))
    for done in said:
        assert done.code == 0, done.err
        for sign in STEERS:
            assert sign not in done.out + done.err, (sign, done.out)
    report = aurelia.ask("article", "list")["articles"][0]["report"]
    assert json.dumps(aurelia.ask("object", "show", report)["object"]["name"])


def count_openings(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The folder of the node, once for each time that it is opened from here on."""
    opened = list[Path]()

    def open_counted(folder: Path, unlock: Callable[[], bytes] | None = None) -> Node:
        opened.append(folder)
        return open_node(folder, unlock)

    monkeypatch.setattr(acting, "open_node", open_counted)
    return opened


def test_a_folder_of_articles_is_taken_in_by_one_act_each_with_the_node_opened_once(
    aurelia: Party, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = count_openings(monkeypatch)
    files = [tmp_path / f"{number}.txt" for number in range(3)]
    for number, file in enumerate(files):
        file.write_text(f"{TEXT}\nThe paper {number}.\n" if number != 1 else "\x00")
    done = aurelia.do("article", "add", *files, "--json")
    assert done.code == 1
    assert [item["name"] for item in done.result["articles"]] == ["0.txt", "2.txt"]
    assert [Path(item["file"]).name for item in done.result["bad"]] == ["1.txt"]
    assert len({item["added_at"] for item in done.result["articles"]}) == 2
    assert len(opened) == 1


def test_a_folder_that_takes_long_lets_others_have_the_node(
    aurelia: Party, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = count_openings(monkeypatch)
    monkeypatch.setattr(session, "_HELD_SECONDS", 0.0)
    files = [tmp_path / f"{number}.txt" for number in range(3)]
    for number, file in enumerate(files):
        file.write_text(f"{TEXT}\nThe paper {number}.\n")
    assert len(aurelia.ask("article", "add", *files)["articles"]) == 3
    assert len(opened) == 3
