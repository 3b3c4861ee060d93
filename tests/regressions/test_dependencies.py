# SPDX-License-Identifier: Apache-2.0
"""What an object refers to is never sent along, and never shown, because of what refers to it.

Each test asks everything that a partner can ask, of what it may see and of ids that it guessed.
"""

import pytest

from comity.canonical import Json
from comity.ids import ObjectId
from tests.regressions.groups import add, make, read_told, see, tell
from tests.worlds import World, object_id, tlp_id

SECRET = "Ministry of Tides"
VICTIM, INDICATOR = object_id("identity", SECRET), object_id("indicator", SECRET)
OPEN = make("indicator", "open indicator")
RED: dict[str, Json] = {"object_marking_refs": [tlp_id("red")]}
PATTERN = "[ipv4-addr:value = '203.0.113.77']"


def read(world: World, *items: dict[str, Json]) -> dict[str, dict[str, Json]]:
    """What Meridia is given, when Aurelia holds these and what they must not betray."""
    add(world, "aurelia", OPEN, make("identity", SECRET, **RED), make("indicator", SECRET, pattern=PATTERN, **RED))
    add(world, "aurelia", *items)
    about = [VICTIM, INDICATOR, *(ObjectId(str(item["id"])) for item in items)]
    answers = see(world, "meridia", about=about)
    assert tell(answers, SECRET, VICTIM, INDICATOR, "203.0.113.77") == {}
    return read_told(answers)


DRAGGING = {
    "a relationship": [make("relationship", "x", source_ref=OPEN["id"], target_ref=INDICATOR)],
    "a relationship the other way": [make("relationship", "x", source_ref=INDICATOR, target_ref=OPEN["id"])],
    "a report": [make("report", "x", object_refs=[OPEN["id"], INDICATOR])],
    "a report of a report": [
        make("report", "y", object_refs=[INDICATOR]),
        make("report", "x", object_refs=[object_id("report", "y")]),
    ],
    "a circle": [
        make("report", "y", object_refs=[object_id("report", "x"), INDICATOR]),
        make("report", "x", object_refs=[object_id("report", "y")]),
    ],
    "observed data": [
        {
            "type": "ipv4-addr",
            "spec_version": "2.1",
            "id": object_id("ipv4-addr", SECRET),
            "value": "203.0.113.77",
            "extensions": OPEN["extensions"],
            **RED,
        },
        make("observed-data", "x", object_refs=[object_id("ipv4-addr", SECRET)]),
    ],
}


@pytest.mark.parametrize("way", DRAGGING)
def test_a_feed_capped_at_a_marking_resolves_no_dependency_that_is_stricter(world: World, way: str) -> None:
    """Seen elsewhere: a stream capped at a marking sent stricter objects whole, as dependencies of what it sent."""
    assert read(world, *DRAGGING[way]).keys() == {OPEN["id"]}


def test_no_context_around_an_object_carries_the_id_or_value_of_a_hidden_one(world: World) -> None:
    """Seen elsewhere: the id and value of an indicator stood in the context that a stream sent with another object."""
    context: dict[str, Json] = {"x_context": {"about_ref": INDICATOR, "value": PATTERN}}
    assert read(world, make("note", "x", object_refs=[OPEN["id"]], **context)).keys() == {OPEN["id"]}


def test_where_something_was_sighted_is_not_told_by_its_name_where_its_reference_is_kept_back(world: World) -> None:
    """Seen elsewhere: the references to victims were filtered, and a second property still had their names."""
    sighting = make(
        "sighting",
        "x",
        sighting_of_ref=OPEN["id"],
        where_sighted_refs=[VICTIM],
        x_where_sighted_values=[SECRET],
        granular_markings=[{"marking_ref": tlp_id("red"), "selectors": ["where_sighted_refs"]}],
    )
    assert read(world, sighting).keys() == {OPEN["id"]}


@pytest.mark.parametrize("kind", ["relationship", "sighting", "report"])
def test_what_connects_two_open_objects_and_is_not_marked_itself_stays(world: World, kind: str) -> None:
    """Seen elsewhere: an importer marked objects and left the relationships between them unmarked, so all could see."""
    fields: dict[str, dict[str, Json]] = {
        "relationship": {"source_ref": OPEN["id"], "target_ref": object_id("malware", "open malware")},
        "sighting": {"sighting_of_ref": OPEN["id"]},
        "report": {"object_refs": [OPEN["id"]]},
    }
    connecting = make(kind, "x", **fields[kind])
    del connecting["object_marking_refs"]
    malware = make("malware", "open malware")
    assert read(world, malware, connecting).keys() == {OPEN["id"], malware["id"]}


def test_a_type_that_the_terms_leave_out_comes_by_no_relation_either(world: World) -> None:
    """Seen elsewhere: what a filter excluded was dragged along by a relation to what it let through."""
    tool: dict[str, Json] = make("tool", "left out")
    used = make("relationship", "x", source_ref=OPEN["id"], target_ref=tool["id"])
    told = read(world, tool, used, make("report", "on it", object_refs=[tool["id"]]), make("report", "open report"))
    assert told.keys() == {OPEN["id"], object_id("report", "open report")}
