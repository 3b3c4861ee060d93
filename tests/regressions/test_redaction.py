# SPDX-License-Identifier: Apache-2.0
"""A name that is kept back in one property is kept back in all, and an object that cannot be without it stays.

Seen elsewhere: a value was removed where it was marked and stood in the clear in a description, in a label, in a link,
or in a second list beside the references.
"""

import json
from pathlib import Path

import pytest

from comity.canonical import Json
from comity.ids import ObjectId, PartyId
from comity.node.explain import explain
from tests.regressions.groups import EVERY_TYPE, add, make, make_groups, read_told, see, tell
from tests.worlds import World, object_id, tlp_id

NAME = "Karim Holt"
SOURCE: dict[str, Json] = {
    "x_source": NAME,
    "granular_markings": [{"marking_ref": tlp_id("red"), "selectors": ["x_source"]}],
}
ELSEWHERE: dict[str, dict[str, Json]] = {
    "a description": {"description": "As KARIM HOLT told us."},
    "a label": {"labels": ["open", "source:karim holt"]},
    "a link": {
        "external_references": [{"source_name": "files", "url": "https://files.example/Karim%20Holt?n=Karim Holt"}]
    },
    "the title of a link": {"external_references": [{"source_name": "files", "description": "letter of Karim  Holt"}]},
    "the name of a file": {"x_files": [{"name": "statement-karim holt-2025.pdf"}]},
    "an alias": {"aliases": ["K. H.", "karim\u00a0holt"]},
    "a depth": {"x_deep": {"a": [{"b": {"c": [NAME]}}]}},
}
TAGS = make("indicator", "x")["extensions"]
assert isinstance(TAGS, dict)
NOTED: dict[str, Json] = {"extension_type": "property-extension", "handler": NAME}
NEEDED: dict[str, tuple[str, dict[str, Json]]] = {
    "a name": ("report", {"name": f"Statement of {NAME}"}),
    "a pattern": ("indicator", {"pattern": f"[user-account:display_name = '{NAME}']"}),
    "an extension": (
        "indicator",
        {"extensions": {**TAGS, "extension-definition--71a06a5f-4b4e-4e2c-9e9c-3f6f2b6d1a10": NOTED}},
    ),
}


@pytest.mark.parametrize("where", ELSEWHERE)
def test_a_name_that_is_removed_goes_from_every_other_place_that_can_be_removed(world: World, where: str) -> None:
    (name,) = ELSEWHERE[where]
    add(world, "aurelia", make("indicator", "x", x_open="stays", **SOURCE, **ELSEWHERE[where]))
    answers = see(world, "meridia", about=[object_id("indicator", "x")])
    assert tell(answers, NAME, "holt", "KARIM") == {}
    (told,) = read_told(answers).values()
    assert told["x_open"] == "stays"
    assert told.keys().isdisjoint({"x_source", "granular_markings", name})
    (repeat,) = explain(world.nodes["aurelia"], object_id("indicator", "x"), to=PartyId("meridia")).repeats
    assert (sorted(repeat.marked), sorted(repeat.again), repeat.whole) == (["x_source"], [name], False)


@pytest.mark.parametrize("where", NEEDED)
def test_an_object_that_cannot_be_without_the_name_stays(world: World, where: str) -> None:
    kind, fields = NEEDED[where]
    (name,) = fields
    add(world, "aurelia", make(kind, "x", **{**SOURCE, **fields}), make("report", "open"))
    answers = see(world, "meridia", about=[object_id(kind, "x")])
    assert tell(answers, NAME, "holt", object_id(kind, "x")) == {}
    assert read_told(answers).keys() == {object_id("report", "open")}
    told = explain(world.nodes["aurelia"], object_id(kind, "x"), to=PartyId("meridia"))
    (repeat,) = told.repeats
    assert (told.verdict.decision, told.verdict.clause) == ("withhold", "tlp_ceiling")
    assert (sorted(repeat.fixed), repeat.whole) == ([name], True)


def test_a_reference_that_is_removed_does_not_stand_in_a_list_that_stays(world: World) -> None:
    """A report whose victim is marked, and stands among what the report is on."""
    victim = make("identity", "open victim")
    marked: list[Json] = [{"marking_ref": tlp_id("red"), "selectors": ["x_victim_ref"]}]
    report = make("report", "x", x_victim_ref=victim["id"], object_refs=[victim["id"]], granular_markings=marked)
    add(world, "aurelia", victim, report)
    assert read_told(see(world, "meridia", about=[])).keys() == {victim["id"]}


def test_what_the_terms_admit_is_not_removed_because_it_stands_twice(tmp_path: Path) -> None:
    """A name marked TLP:AMBER goes whole to who may have TLP:AMBER, and nowhere to who may not."""
    marked: list[Json] = [{"marking_ref": tlp_id("amber"), "selectors": ["x_source"]}]
    said: dict[str, Json] = {**SOURCE, "granular_markings": marked}
    item = make("indicator", "x", description=f"by {NAME}", **said)
    for ceiling, goes in (("amber", True), ("green", False)):
        world = World(tmp_path / ceiling)
        world.found("aurelia", "meridia")
        world.sign_all(world.terms(receivers=("meridia",), types=EVERY_TYPE, tlp=ceiling))
        add(world, "aurelia", item)
        (data,) = world.read("meridia").values()
        assert (data == json.dumps(item).encode()) is goes
        assert (NAME.encode() in data) is goes
        world.close()


def test_in_an_older_version_it_is_removed_too(world: World) -> None:
    older = make("indicator", "x", description=f"by {NAME}", **SOURCE)
    add(world, "aurelia", older)
    world.read("meridia")
    add(world, "aurelia", {**older, "modified": "2025-05-01T00:00:00.000000Z", "description": "by somebody"})
    assert tell(see(world, "meridia", about=[object_id("indicator", "x")]), NAME) == {}


def test_what_was_redacted_in_the_first_group_shows_in_no_property_in_the_second(tmp_path: Path) -> None:
    """Two worlds: of two objects of Aurelia, one has the name and one never had it; Meridia is given the same."""
    with make_groups(tmp_path / "groups") as groups:

        def play(world: World, hides: bool) -> None:
            marks: list[Json] = [{"marking_ref": tlp_id("red"), "selectors": ["x_source"]}]
            said: dict[str, Json] = {"description": f"by {NAME if hides else 'Ilse Brandt'}"}
            fields: dict[str, Json] = {"x_source": NAME if hides else "Ilse Brandt", "granular_markings": marks}
            add(world, "aurelia", make("indicator", "x", **fields, **said))

        # A receipt has the digest of what left: equal, because what left is equal to the last byte.
        told = groups.compare(tmp_path, play, about=[object_id("indicator", "x")], secrets=[NAME, "Ilse"])
        assert [ObjectId(name) for name in told] == [object_id("indicator", "x")]
