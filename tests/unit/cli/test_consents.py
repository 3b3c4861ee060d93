# SPDX-License-Identifier: Apache-2.0
"""`consent` as people type it, and what `work`, `explain` and `object show` say of it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from comity.ids import Instant
from comity.node import correspond
from comity.node.node import open_node
from comity.node.outbox import list_due, settle
from comity.operations.reply import Exit
from tests.chains import introduce, pull_all, sign_consent, sign_onward
from tests.unit.cli.conftest import Comity, Done
from tests.worlds import World, make_object, object_id

X = object_id("report", "x")
NAMES = ("aurelia", "borealia", "cimbria")
Type = Callable[..., Done]


@pytest.fixture(autouse=True)
def made(tmp_path: Path) -> None:
    """Three nodes, closed: aurelia gave borealia a report by consent, and borealia gives cimbria."""
    world = World(tmp_path)
    world.found(*NAMES)
    introduce(world, [("aurelia", "borealia"), ("borealia", "cimbria")])
    sign_consent(world, "aurelia", "borealia", extra='[response_times]\nconsent = "P7D"')
    sign_onward(world, "borealia", "cimbria", listed=[])
    world.add("aurelia", make_object("x"))
    pull_all(world, "aurelia", "borealia")
    world.close()


@pytest.fixture
def at(tmp_path: Path, comity: Comity) -> Type:
    """A command at a node, by one of its people."""

    def type_in(name: str, *words: str | Path, role: str = "liaison") -> Done:
        folder = tmp_path / name
        return comity("--node", folder, "--as", folder / "badges" / f"{role}.badge", *words)

    return type_in


def ask(at: Type, name: str, *words: str, role: str = "liaison") -> dict[str, Any]:
    done = at(name, *words, "--json", role=role)
    assert done.code == 0, done.err
    result: dict[str, Any] = done.result
    return result


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


def request(at: Type, folder: Path) -> str:
    words = ("consent", "request", X, "--to", "cimbria", "--purpose", "exchange", "--reason", "They hold the rest.")
    (letter,) = ask(at, "borealia", *words)["letters"]
    carry(folder)
    return str(letter["letter"])


def grant(at: Type, folder: Path, letter: str) -> str:
    words = ("consent", "grant", letter[:12], "--until", "2099-01-01T00:00:00Z", "--condition", "orally only")
    waiting = at("aurelia", *words)
    assert waiting.code == Exit.WAITING
    assert "a second person, who acts as legal" in waiting.out
    (made,) = ask(at, "aurelia", *words, role="legal")["letters"]
    carry(folder)
    return str(made["letter"])


def test_what_is_asked_is_granted_and_revoked(at: Type, tmp_path: Path) -> None:
    letter = request(at, tmp_path)
    work = at("aurelia", "work").out
    assert "consent-to-decide" in work
    assert "borealia asks to pass" in work
    shown = at("aurelia", "consent", "show", letter[:12]).out
    assert "They hold the rest." in shown
    assert "NOT GIVEN" not in shown
    assert "LEFT" not in shown
    made = grant(at, tmp_path, letter)
    assert "release" in at("borealia", "explain", X, "--to", "cimbria").out.lower()
    explained = ask(at, "borealia", "explain", X, "--to", "cimbria")
    assert [item["state"] for item in explained["consents"]] == ["good"]
    assert "granted for cimbria, exchange" in at("borealia", "object", "show", X).out
    assert "conditions: orally only" in at("borealia", "consent", "show", made[:12]).out
    listed = at("borealia", "consent", "list").out
    assert "granted" in listed
    assert "cimbria" in listed
    assert "revoked" in at("aurelia", "consent", "revoke", letter[:12], "--reason", "It is public.", "--recall").out
    carry(tmp_path)
    assert ask(at, "borealia", "explain", X, "--to", "cimbria")["decision"] == "withhold"
    assert ask(at, "borealia", "consent", "show", letter)["answer"] == "revoked"
    assert "It is public." in at("borealia", "consent", "show", letter[:12]).out
    assert at("cimbria", "consent", "list").out.strip() == "Nobody has asked for consent."


def test_what_is_asked_is_refused(at: Type, tmp_path: Path) -> None:
    letter = request(at, tmp_path)
    assert "refused" in at("aurelia", "consent", "refuse", letter[:12], "--reason", "Its source is at risk.").out
    carry(tmp_path)
    assert "Its source is at risk." in at("borealia", "consent", "show", letter[:12]).out


def test_a_sanitised_version_is_named(at: Type, tmp_path: Path) -> None:
    letter = request(at, tmp_path)
    words = ("consent", "grant", letter[:12], "--sanitised", X)
    at("aurelia", *words)
    ask(at, "aurelia", *words, role="legal")
    carry(tmp_path)
    assert f"instead {X}" in at("borealia", "consent", "show", letter[:12]).out
    assert ask(at, "borealia", "explain", X, "--to", "cimbria")["decision"] == "withhold"


def test_bad_words_are_named(at: Type, tmp_path: Path) -> None:
    letter = request(at, tmp_path)
    for words, said in (
        (("consent", "grant", letter), "until when"),
        (("consent", "grant", letter, "--until", "soon"), "soon"),
        (("consent", "grant", letter, "--until", "2099-01-01T00:00:00Z", "--actions", "all"), "'all' is none of"),
        (("consent", "revoke", letter), "granted nothing"),
        (("consent", "show", "ffff"), "no letter"),
        (("consent", "grant", "abc", "--until", "2099-01-01T00:00:00Z"), "too short"),
    ):
        done = at("aurelia", *words)
        assert done.code != 0
        assert said in done.err, done.err


def test_people_who_decide_are_told_that_whoever_asks_has_left(at: Type, tmp_path: Path) -> None:
    letter = request(at, tmp_path)
    agreement = ask(at, "aurelia", "consent", "show", letter)["agreement"]
    assert ask(at, "borealia", "agreement", "terminate", agreement, "--reason", "It is over.")["state"] == "terminated"
    carry(tmp_path)
    assert ask(at, "aurelia", "consent", "show", letter)["left"] is True
    assert "LEFT: borealia is in this agreement no more" in at("aurelia", "consent", "show", letter[:12]).out
