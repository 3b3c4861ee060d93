# SPDX-License-Identifier: Apache-2.0
"""What the bytes of a version say has to be in the label that it was given by."""

import json
from dataclasses import replace

import pytest

from comity.canonical import Json
from comity.release import clauses
from comity.release.decision import find_reason
from comity.release.said import Said, find_unsaid, read_said
from comity.stix.labels import Label, make_label, read_tags
from comity.stix.markings import CONTRADICTORY, Markings, read_markings
from comity.stix.objects import parse_object
from tests.worlds import make_object, tlp_id

UNKNOWN = "marking-definition--00000000-0000-4000-8000-000000000000"


def read(*markings: str) -> tuple[Said, Label]:
    """What an object with these markings says, and the label that follows from it."""
    marked: dict[str, Json] = {"object_marking_refs": [*markings]}
    data = json.dumps(make_object("a", kind="identity", more=marked)).encode()
    item, value = parse_object(data)
    found: Markings = read_markings(value, definitions={})
    label = make_label(item, found, read_tags(value), originators=frozenset(), audience=None)
    return read_said(data), label


@pytest.mark.parametrize("markings", [[tlp_id("green")], [tlp_id("clear"), tlp_id("red")]])
def test_the_label_that_follows_says_all(markings: list[str]) -> None:
    assert find_unsaid(*read(*markings)) is None


def test_a_label_made_before_levels_could_contradict_each_other_says_all_by_the_strictest() -> None:
    said, label = read(tlp_id("clear"), tlp_id("red"))
    before = replace(label, markings=label.markings - {CONTRADICTORY})
    assert before != label
    assert find_unsaid(said, before) is None
    assert "marked red" in str(find_unsaid(said, replace(before, tlp="clear")))


def test_another_marking_beside_is_not_let_pass_with_it() -> None:
    said, label = read(tlp_id("clear"), tlp_id("red"), UNKNOWN)
    assert UNKNOWN in str(find_unsaid(said, replace(label, markings=frozenset())))


def test_the_reason_says_that_levels_contradict_each_other() -> None:
    found = clauses.Finding(
        clause="markings",
        test=clauses.Test.ONLY,
        holds=False,
        found=frozenset({frozenset({CONTRADICTORY})}),
        allowed=frozenset(),
    )
    assert "several TLP levels" in find_reason(found)
