# SPDX-License-Identifier: Apache-2.0
"""`request` as people type it, and what `work` says of it."""

from collections.abc import Callable
from pathlib import Path

import pytest

from comity.ids import Instant
from comity.letters.request import Urgency
from comity.node import correspond
from comity.node.node import open_node
from comity.node.outbox import list_due, settle
from comity.operations.reply import Exit
from comity.vocabulary import URGENCIES
from tests.chains import introduce, pull_all, sign_onward
from tests.unit.cli.conftest import Comity, Done
from tests.worlds import World, make_object, object_id

X = object_id("report", "x")
NAMES = ("aurelia", "borealia")
Type = Callable[..., Done]


@pytest.fixture
def agreement(tmp_path: Path) -> str:
    """Two nodes, closed: aurelia gave borealia a report under this agreement."""
    world = World(tmp_path)
    world.found(*NAMES)
    introduce(world, [NAMES])
    made = sign_onward(world, *NAMES, listed=[])
    world.add("aurelia", make_object("x"))
    pull_all(world, "aurelia", "borealia")
    world.close()
    return made


@pytest.fixture
def at(tmp_path: Path, comity: Comity) -> Type:
    """A command at a node, by one of its people."""

    def type_in(name: str, *words: str, role: str = "liaison") -> Done:
        folder = tmp_path / name
        return comity("--node", folder, "--as", folder / "badges" / f"{role}.badge", *words)

    return type_in


def carry(folder: Path) -> None:
    """Take every message over, as the network would some minutes later: a try has failed just before."""
    world = World(folder)
    for name in NAMES:
        world.nodes[name] = node = open_node(folder / name)
        later = Instant(node.clock() + 600_000_000)
        node.clock = lambda later=later: later  # type: ignore[misc]
    while due := [(node, message) for node in world.nodes.values() for message in list_due(node)]:
        for node, message in due:
            correspond.receive_any(world.nodes[message.party], message.envelope)
            settle(node, message, problem=None)
    world.close()


def ask(at: Type, folder: Path, agreement: str, *more: str) -> str:
    words = ("request", "send", "aurelia", "--agreement", agreement[:12], "--urgency", "soon", "--question", "When?")
    done = at("borealia", *words, *more, "--json")
    assert done.code == 0, done.err
    carry(folder)
    return str(done.result["letter"])


def test_what_is_asked_is_answered(at: Type, tmp_path: Path, agreement: str) -> None:
    assert "Nobody has asked" in at("aurelia", "request", "list").out
    letter = ask(at, tmp_path, agreement, "--object", X)
    work = at("aurelia", "work").out
    assert "request-to-answer" in work
    assert "request of borealia to answer until" in work
    shown = at("aurelia", "request", "show", letter[:12]).out
    assert "When?" in shown
    assert X in shown
    said = at("aurelia", "request", "answer", letter[:12], "--text", "In June.", "--object", X).out
    assert "to borealia" in said
    carry(tmp_path)
    assert "In June." in at("borealia", "request", "show", letter[:12]).out
    assert "answered" in at("borealia", "request", "list").out
    (asked,) = at("borealia", "request", "list", "--json").result["sent"]
    assert asked["state"] == "answered"
    assert [about["id"] for about in asked["answers"][0]["about"]] == [X]


def test_what_is_asked_is_declined(at: Type, tmp_path: Path, agreement: str) -> None:
    letter = ask(at, tmp_path, agreement)
    assert at("aurelia", "request", "answer", letter, "--decline").code != 0
    assert at("aurelia", "request", "answer", letter, "--decline", "--text", "Its source.").code == 0
    carry(tmp_path)
    assert "declined on" in at("borealia", "request", "show", letter).out


def test_what_is_asked_is_taken_back(at: Type, tmp_path: Path, agreement: str) -> None:
    letter = ask(at, tmp_path, agreement, "--object", X)
    assert at("borealia", "request", "withdraw", letter, role="legal").code == Exit.REFUSED
    done = at("borealia", "request", "withdraw", letter[:12])
    assert "request-withdrawal" in done.out
    carry(tmp_path)
    for name in ("aurelia", "borealia"):
        assert "taken back on" in at(name, "request", "show", letter).out
        assert "withdrawn" in at(name, "request", "list").out
        assert "request-to-answer" not in at(name, "work").out
    assert at("aurelia", "request", "answer", letter, "--text", "x").code != 0


def test_what_it_is_about_is_shown_by_what_who_asks_can_know(at: Type, tmp_path: Path, agreement: str) -> None:
    letter = ask(at, tmp_path, agreement, "--object", X)
    (about,) = at("aurelia", "request", "show", letter, "--json").result["about"]
    assert about["known"]
    assert "NOT KNOWN" not in at("aurelia", "request", "show", letter).out
    assert "known" not in at("borealia", "request", "show", letter, "--json").result["about"][0]


def test_who_may_not_is_told_so_and_bad_words_are_named(at: Type, tmp_path: Path, agreement: str) -> None:
    letter = ask(at, tmp_path, agreement)
    assert at("aurelia", "request", "answer", letter, "--text", "x", role="legal").code == Exit.REFUSED
    for words, said in (
        (("request", "answer", letter), "say something"),
        (("request", "answer", "abc", "--text", "x"), "too short"),
        (("request", "answer", letter, "--object", "report--0"), "no object"),
        (("request", "show", "ffff"), "no letter"),
    ):
        done = at("aurelia", *words)
        assert done.code != 0
        assert said in done.err, done.err


def test_the_urgencies_that_can_be_said_are_those_of_letters() -> None:
    assert [item.value for item in Urgency] == [*URGENCIES]


def test_why_it_cannot_be_answered_is_said(at: Type, tmp_path: Path, agreement: str) -> None:
    letter = ask(at, tmp_path, agreement, "--object", X)
    assert "cannot be answered" not in at("aurelia", "request", "show", letter).out
    assert at("aurelia", "agreement", "suspend", agreement[:12], "--reason", "A source.").code == 0
    assert "it cannot be answered now: nothing is asked or answered" in at("aurelia", "request", "show", letter).out
    shown = at("aurelia", "request", "show", letter, "--json").result
    assert (shown["possible"], [about["held"] for about in shown["about"]]) == ([], [True])
    assert at("borealia", "request", "show", letter, "--json").result["possible"] == ["withdraw"]
