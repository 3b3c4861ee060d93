# SPDX-License-Identifier: Apache-2.0
"""`recall` as people type it, and what `work`, `explain` and `object show` say of it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from comity.ids import Instant
from comity.node import correspond
from comity.node.node import open_node
from comity.node.outbox import list_due, settle
from comity.node.recalled import DECISION_TIME
from comity.node.upkeep import keep_up
from comity.node.work import list_work
from comity.operations.reply import Exit
from tests.chains import introduce, pull_all, sign_onward
from tests.unit.cli.conftest import Comity, Done
from tests.worlds import World, make_object, object_id

X = object_id("report", "x")
RETENTION = '[retention]\nreview_after = "P6M"\nno_decision = "delete"\n[response_times]\nrecall = "P2D"'
Type = Callable[..., Done]


@pytest.fixture
def made(tmp_path: Path) -> str:
    """Two nodes, closed: aurelia gave borealia a report, under terms with a review and a time to answer recalls."""
    world = World(tmp_path)
    world.found("aurelia", "borealia")
    introduce(world, [("aurelia", "borealia")])
    agreement = sign_onward(world, "aurelia", "borealia", listed=[], extra=RETENTION)
    world.add("aurelia", make_object("x"), make_object("y", refs=[X]))
    pull_all(world, "aurelia", "borealia")
    world.close()
    return agreement


@pytest.fixture
def at(tmp_path: Path, comity: Comity) -> Type:
    """A command at a node, by its liaison."""

    def type_in(name: str, *words: str | Path) -> Done:
        folder = tmp_path / name
        return comity("--node", folder, "--as", folder / "badges" / "liaison.badge", *words)

    return type_in


def ask(at: Type, name: str, *words: str) -> dict[str, Any]:
    done = at(name, *words, "--json")
    assert done.code == 0, done.err
    result: dict[str, Any] = done.result
    return result


def carry(folder: Path) -> None:
    """Take every message over, as the network would some minutes later: a try has failed just before."""
    world = World(folder)
    for name in ("aurelia", "borealia"):
        world.nodes[name] = node = open_node(folder / name)
        later = Instant(node.clock() + 600_000_000)
        node.clock = lambda later=later: later  # type: ignore[misc]
    while due := [(node, message) for node in world.nodes.values() for message in list_due(node)]:
        for node, message in due:
            correspond.receive_any(world.nodes[message.party], message.envelope)
            settle(node, message, problem=None)
    world.close()


def test_a_recall_from_typing_it_to_its_end(made: str, tmp_path: Path, at: Type) -> None:
    sent = ask(at, "aurelia", "recall", "send", X[:16], "--reason", "Not true.", "--why", "told so")
    (letter,) = sent["letters"]
    assert (sent["object"], sent["change"], letter["to"], letter["agreement"]) == (X, "withdraw", "borealia", made)
    assert [(item["person"], item["role"]) for item in sent["approvals"]] == [("aurelia-liaison", "liaison")]
    (waiting,) = sent["waiting"]
    assert waiting["party"] == "borealia"

    # It is shown as unacknowledged wherever people look.
    listed = at("aurelia", "recall", "list").out
    assert "UNACKNOWLEDGED" in listed
    (work,) = [item for item in ask(at, "aurelia", "work")["items"] if item["kind"] == "recall-unacknowledged"]
    assert (work["party"], work["overdue"], work["agreement"]) == ("borealia", False, made)
    shown = ask(at, "aurelia", "object", "show", X)
    assert (shown["unacknowledged"], [item["reason"] for item in shown["recalled"]]) == (["borealia"], ["Not true."])
    assert "RECALLED" in at("aurelia", "object", "show", X).out
    said = ask(at, "aurelia", "explain", X, "--to", "borealia")
    assert (said["decision"], said["clause"], len(said["recalled"])) == ("withhold", "markings", 1)
    assert "was recalled" in said["reason"]
    assert "RECALLED" in at("aurelia", "explain", X, "--to", "borealia").out
    about = ask(at, "aurelia", "explain", object_id("report", "y"), "--to", "borealia")
    assert about["decision"] == "withhold"

    carry(tmp_path)
    (received,) = ask(at, "borealia", "recall", "list")["received"]
    stopped = {"outcome": "stopped", "reason": None, "spared": False}
    assert (received["stage"], received["results"]) == ("stopped", [stopped])
    assert "to be decided by" in at("borealia", "recall", "list").out
    (work,) = [item for item in ask(at, "borealia", "work")["items"] if item["kind"] == "recall-to-decide"]
    assert work["due"] == received["due"]
    assert ask(at, "aurelia", "recall", "show", letter["letter"][:8])["stage"] == "stopped"

    kept = ask(at, "borealia", "recall", "keep", X, "--reason", "Evidence.")
    assert (kept["by"], kept["told"], kept["recalls"]) == ("borealia-liaison (liaison)", ["aurelia"], 1)
    carry(tmp_path)
    done = ask(at, "aurelia", "recall", "show", letter["letter"])
    assert (done["stage"], done["state"], done["results"]) == (
        "done",
        "closed",
        [{"outcome": "kept", "reason": "Evidence.", "spared": False}],
    )
    assert [item["stage"] for item in done["acknowledgements"]] == ["stopped", "done"]
    text = at("aurelia", "recall", "show", letter["letter"]).out
    assert "kept: Evidence." in text
    assert "acknowledged on" in text
    assert not [item for item in ask(at, "aurelia", "work")["items"] if item["kind"].startswith("recall")]
    assert ask(at, "aurelia", "object", "show", X)["unacknowledged"] == []
    for name in ("aurelia", "borealia"):
        assert at(name, "log", "verify").code == 0
        assert at(name, "audit").code == 0
        assert at(name, "fsck").code == 0
    listed = ask(at, "aurelia", "log", "list", "--last", "4")["entries"]
    assert [(item["type"], item["kind"], item["party"]) for item in listed] == [
        ("recall", "withdraw", None),
        ("letter", "recall", "borealia"),
        ("letter", "recall-acknowledgement", "borealia"),
        ("letter", "recall-acknowledgement", "borealia"),
    ]
    assert "None" not in at("aurelia", "log", "show", str(listed[0]["entry"])).out


def test_what_nobody_was_given_is_recalled_all_the_same(made: str, at: Type) -> None:
    assert (
        at("borealia", "recall", "send", X, "--reason", "r").out.splitlines()[-1].startswith("It was given to nobody")
    )
    assert (
        "given to nobody from here on" in at("aurelia", "recall", "send", object_id("report", "y"), "--reason", "r").out
    )


def test_nothing_was_recalled(made: str, at: Type) -> None:
    assert at("aurelia", "recall", "list").out == "Nothing was recalled.\n"


def test_a_version_and_a_newer_one(made: str, at: Type, tmp_path: Path) -> None:
    assert at("aurelia", "recall", "send", X, "--reason", "r", "--newer").code == Exit.NOT_IN_THIS_STATE
    assert (
        at("aurelia", "recall", "send", X, "--reason", "r", "--version", "2031-01-01T00:00:00Z").code == Exit.NOT_FOUND
    )
    assert at("aurelia", "recall", "send", X, "--reason", "r", "--version", "2031").code == Exit.USAGE
    done = ask(at, "aurelia", "recall", "send", X, "--reason", "r", "--version", "2025-01-02T00:00:00Z")
    assert done["versions"] == ["2025-01-02T00:00:00.000000Z"]
    again = at("aurelia", "recall", "send", X, "--reason", "r")
    assert again.code == Exit.NOT_IN_THIS_STATE
    assert "recalled before" in again.err


def test_it_takes_a_person_and_a_reason(made: str, at: Type, comity: Comity, tmp_path: Path) -> None:
    assert at("aurelia", "recall", "send", X).code == Exit.USAGE
    assert at("aurelia", "recall", "send", X, "--reason", "hid\x1b[31mden").code == Exit.USAGE
    assert at("borealia", "recall", "keep", X, "--reason", "hid\x1b[31mden").code == Exit.USAGE
    assert comity("--node", tmp_path / "aurelia", "recall", "send", X, "--reason", "r").code != 0
    assert comity("--node", tmp_path / "aurelia", "recall", "keep", X, "--reason", "r").code != 0


def test_what_waits_is_overdue_once_its_time_has_passed(made: str, at: Type, tmp_path: Path) -> None:
    """Nobody answers; and where nobody decides, what was recalled goes by itself."""
    assert at("aurelia", "recall", "send", X, "--reason", "r").code == 0
    node = open_node(tmp_path / "aurelia")
    late = Instant(node.clock() + DECISION_TIME)
    node.clock = lambda: late
    overdue = [item for item in list_work(node) if item.is_overdue(late)]
    node.close()
    assert [item.kind.value for item in overdue] == ["recall-unacknowledged"]
    carry(tmp_path)
    node = open_node(tmp_path / "borealia")
    node.clock = lambda: late
    keep_up(node)
    node.close()
    assert ask(at, "borealia", "object", "show", X)["object"] is None
