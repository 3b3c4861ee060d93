# SPDX-License-Identifier: Apache-2.0
"""What is held, who would get it and what they would get, as commands say it."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from comity.cli.words.browsing import describe_around, describe_given, describe_listing
from comity.cli.words.matrix import describe_matrix
from comity.cli.words.matrix import describe_seen as describe_party
from comity.cli.words.objects import describe_object, describe_recipients, describe_seen
from comity.node.node import Node
from comity.operations.reply import Json
from comity.operations.table import perform
from tests.worlds import World, make_object, object_id, tlp_id

X, Y = object_id("report", "x"), object_id("report", "y")
MARKED: dict[str, Json] = {
    "description": "for few",
    "granular_markings": [{"marking_ref": tlp_id("red"), "selectors": ["description"]}],
}


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    world = World(tmp_path)
    world.found("aurelia", "borealia")
    world.sign_all(world.terms())
    world.add("aurelia", make_object("y", tlp="red"), make_object("x", more={**MARKED, "name": "one\x1b[31m"}))
    world.add("aurelia", make_object("z", refs=[X]))
    world.read("borealia")
    yield world.nodes["aurelia"]
    world.close()


def ask(node: Node, operation: str, **arguments: Json) -> dict[str, Json]:
    return asyncio.run(perform(node, operation, arguments)).result


def test_a_list_says_how_to_go_on(node: Node) -> None:
    first = ask(node, "object.list", last=2)
    text = describe_listing(first)
    assert text.splitlines()[-1] == f"more with --before {first['next']}"
    assert "\x1b" not in text
    rest = describe_listing(ask(node, "object.list", last=2, before=first["next"]))
    assert (Y in rest, "--before" in rest) == (True, False)
    assert "nothing that is held" in describe_listing(ask(node, "object.list", last=2, type="malware"))


def test_what_is_around_an_object_and_who_may_fetch_it(node: Node) -> None:
    lines = describe_around(ask(node, "object.around", id=X, steps=1)).splitlines()
    assert len(lines) == 1
    assert lines[0].startswith(object_id("report", "z"))
    assert X in lines[0]
    assert "refers to nothing" in describe_around(ask(node, "object.around", id=Y, steps=1))
    assert "borealia" in describe_given(ask(node, "object.given", id=X))
    assert "to anybody" in describe_given(ask(node, "object.given", id=Y))


def test_what_a_party_would_receive(node: Node) -> None:
    text = describe_seen(ask(node, "object.see", id=X, to="borealia"))
    assert text.startswith("RELEASE, REDACTED")
    assert "for few" not in text
    assert "TLP" not in text
    assert describe_seen(ask(node, "object.see", id=Y, to="borealia")).splitlines()[1].startswith("  tlp_ceiling: ")
    assert "WITHHOLD" in describe_recipients(ask(node, "object.recipients", id=Y))


def test_who_would_get_what(node: Node) -> None:
    lines = describe_matrix(ask(node, "matrix.show", by="tlp", parties=5)).splitlines()
    assert lines[0] == "borealia"
    assert any(line.split()[:4] == ["green", "full", "1", "whole,"] for line in lines), lines
    assert any(line.split()[:2] == ["red", "none"] and "tlp_ceiling" in line for line in lines)
    text = describe_party(ask(node, "matrix.see", party="borealia", last=5))
    assert "open" in text
    assert "without description" in text
    assert "for few" not in text


def test_an_object_says_once_for_each_reason_for_what_programs_may_not_use_it(node: Node) -> None:
    shown = ask(node, "object.show", id=X)
    use: dict[str, Json] = {"none": None, "contact-for-instruction": None, "internally-visible-actions": "it is so"}
    use["externally-visible-direct-actions"] = "it is so"
    handed: list[Json] = [
        {"program": "1f", "person": "vera", "name": "Sensors", "actions": "none", "at": "2026-01-02T03:04:05.000000Z"}
    ]
    lines = describe_object({**shown, "use": use, "handed": handed}).splitlines()
    assert [line for line in lines if "program" in line] == [
        "  programs may use it for people to look at, contact-for-instruction",
        "  programs may not use it for internally-visible-actions, externally-visible-direct-actions: it is so",
        "  program Sensors (1f) of vera may have a copy, for none; it last read at 2026-01-02T03:04:05Z",
    ]
