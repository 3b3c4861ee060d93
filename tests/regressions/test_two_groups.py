# SPDX-License-Identifier: Apache-2.0
"""A state in two groups: nothing that it is given in the first can be noticed in the second, by any answer.

Each test plays the same in two worlds, of which one has what Borealia gave in the first group, and compares all that
Meridia can ask in the second (`tests.regressions.groups`).
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from comity.canonical import Json
from comity.ids import ObjectId
from tests.regressions.groups import Groups, add, make, make_groups, pull
from tests.worlds import World, object_id

PLACE, HIDDEN = object_id("identity", "Harbour Authority"), "Harbour Authority"
OWN = make("indicator", "own indicator")
REFERRER = object_id("indicator", "r")


@pytest.fixture(scope="module")
def groups(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Groups]:
    with make_groups(tmp_path_factory.mktemp("groups")) as made:
        yield made


def give(world: World, groups: Groups, *items: dict[str, Json]) -> None:
    """Borealia gives these to Aurelia in the first group."""
    add(world, "borealia", *items)
    intake = pull(world, "aurelia", giver="borealia", agreement=groups.first)
    assert not intake.bad, intake.bad
    assert {str(item["id"]) for item in items} <= set(intake.added)


REFERRING = {
    "a relationship": [make("relationship", "r", source_ref=OWN["id"], target_ref=PLACE)],
    "a relationship the other way": [make("relationship", "r", source_ref=PLACE, target_ref=OWN["id"])],
    "a report": [make("report", "r", object_refs=[OWN["id"], PLACE])],
    "a grouping": [make("grouping", "r", object_refs=[OWN["id"], PLACE])],
    "a sighting of it": [make("sighting", "r", sighting_of_ref=PLACE)],
    "a sighting by it": [make("sighting", "r", sighting_of_ref=OWN["id"], where_sighted_refs=[PLACE])],
    "a note": [make("note", "r", object_refs=[OWN["id"], PLACE])],
    "an opinion": [make("opinion", "r", object_refs=[PLACE])],
    "a maker": [make("indicator", "r", created_by_ref=PLACE)],
    "a reference of its own": [make("indicator", "r", x_seen_at_ref=PLACE)],
    "a chain": [
        make("relationship", "r", source_ref=OWN["id"], target_ref=PLACE),
        make("note", "n", object_refs=[object_id("relationship", "r")]),
        make("report", "s", object_refs=[object_id("note", "n")]),
    ],
}


@pytest.mark.parametrize("way", REFERRING)
def test_an_object_of_the_first_group_shows_through_nothing_that_refers_to_it(
    groups: Groups, tmp_path: Path, way: str
) -> None:
    """Seen elsewhere: the hidden end of a relation is left out, and the relation itself tells that it is there."""

    def play(world: World, hides: bool) -> None:
        add(world, "aurelia", OWN)
        if hides:
            give(world, groups, make("identity", HIDDEN))
        world.read("meridia")
        add(world, "aurelia", *REFERRING[way], make("report", "later"))
        world.tick()

    about = [PLACE, object_id("indicator", "own indicator"), *(ObjectId(str(item["id"])) for item in REFERRING[way])]
    given = groups.compare(tmp_path, play, about=about, secrets=[HIDDEN, PLACE])
    assert given.keys() == {str(OWN["id"]), object_id("report", "later")}


NAMING: dict[str, dict[str, Json]] = {
    "in a property of its own": {"x_seen_at": PLACE},
    "deep in one": {"x_seen": {"at": [{"where": PLACE}]}},
    "as the name of a property": {"x_seen": {PLACE: 1}},
    "in words": {"description": f"Seen at {PLACE}, by night."},
    "in capitals": {"x_seen_at": PLACE.upper()},
    "in a label": {"labels": [PLACE]},
    "in an external reference": {"external_references": [{"source_name": "partner", "external_id": PLACE}]},
    "in an address": {"external_references": [{"source_name": "partner", "url": f"https://x.example/{PLACE}"}]},
}


@pytest.mark.parametrize("way", NAMING)
def test_what_names_an_object_of_the_first_group_goes_no_further_than_that(
    groups: Groups, tmp_path: Path, way: str
) -> None:
    """Seen elsewhere: the reference is held back, and the id goes in a comment or in a field that somebody added."""

    def play(world: World, names: bool) -> None:
        add(world, "aurelia", OWN)
        give(world, groups, make("identity", HIDDEN))
        world.read("meridia")
        if names:
            add(world, "aurelia", make("indicator", "r", **NAMING[way]), make("note", "n", object_refs=[REFERRER]))
        add(world, "aurelia", make("report", "later", description="Of no place."))
        world.tick()

    about = [PLACE, REFERRER, object_id("note", "n")]
    given = groups.compare(tmp_path, play, about=about, secrets=[HIDDEN, PLACE])
    assert given.keys() == {str(OWN["id"]), object_id("report", "later")}


TALK = {
    "a sighting": [make("sighting", "t", sighting_of_ref=OWN["id"])],
    "a note": [make("note", "t", object_refs=[OWN["id"]])],
    "an opinion": [make("opinion", "t", object_refs=[OWN["id"]])],
    "a relationship": [
        make("identity", HIDDEN),
        make("relationship", "t", source_ref=OWN["id"], target_ref=PLACE),
    ],
    "a report": [make("report", "t", object_refs=[OWN["id"]])],
    "a translation": [make("language-content", "t", object_ref=OWN["id"])],
}


@pytest.mark.parametrize("way", TALK)
def test_what_the_first_group_says_of_an_object_that_both_groups_have_stays_there(
    groups: Groups, tmp_path: Path, way: str
) -> None:
    """Seen elsewhere: sightings, opinions and comments follow the object, with who said them."""

    def play(world: World, hides: bool) -> None:
        add(world, "aurelia", OWN)
        world.read("meridia")
        if hides:
            # Borealia has the object from Aurelia too, which is no matter here: it is Borealia's word on it.
            add(world, "borealia", OWN)
            give_about(world, groups, *TALK[way])
        world.tick()
        add(world, "aurelia", make("report", "later", object_refs=[OWN["id"]]))

    about = [ObjectId(str(OWN["id"])), *(ObjectId(str(item["id"])) for item in TALK[way])]
    given = groups.compare(tmp_path, play, about=about, secrets=[HIDDEN, *about[1:], "borealia"])
    assert given.keys() == {str(OWN["id"]), object_id("report", "later")}


def give_about(world: World, groups: Groups, *items: dict[str, Json]) -> None:
    """Borealia gives these, and with them its copy of what they are about."""
    add(world, "borealia", *items)
    intake = pull(world, "aurelia", giver="borealia", agreement=groups.first)
    assert not intake.bad, intake.bad
    assert {str(item["id"]) for item in items} <= set(intake.added)


def test_the_same_object_in_the_first_group_takes_none_away_in_the_second(groups: Groups, tmp_path: Path) -> None:
    """Seen elsewhere: who also has an object shows by what happens to it."""
    address: dict[str, Json] = {
        "type": "ipv4-addr",
        "spec_version": "2.1",
        "id": "ipv4-addr--ff26c055-6336-5bc5-b98d-13d6226742dd",
        "value": "198.51.100.3",
        "object_marking_refs": OWN["object_marking_refs"],
        "extensions": OWN["extensions"],
    }

    def play(world: World, hides: bool) -> None:
        add(world, "aurelia", OWN, address, make("report", "on it", object_refs=[address["id"]]))
        assert len(world.read("meridia")) == 3
        if hides:
            add(world, "borealia", OWN, address)
            assert pull(world, "aurelia", giver="borealia", agreement=groups.first).known == 2
        world.tick()
        add(world, "aurelia", make("report", "later", object_refs=[address["id"]]))

    given = groups.compare(tmp_path, play, about=[ObjectId(str(address["id"])), ObjectId(str(OWN["id"]))])
    assert len(given) == 4


@pytest.mark.parametrize("count", [1, 7, 40])
def test_how_much_the_first_group_gives_and_when_shows_in_no_count_page_or_time(
    groups: Groups, tmp_path: Path, count: int
) -> None:
    """Seen elsewhere: totals, page ends and the times of a feed count what the reader may not see."""

    def play(world: World, hides: bool) -> None:
        for step in range(4):
            if hides:
                give(world, groups, *(make("report", f"{HIDDEN} {step} {number}") for number in range(count)))
            add(world, "aurelia", *(make("report", f"own {step} {number}") for number in range(3)))
            if step % 2:
                world.read("meridia")
                world.tick(7)
            if hides:
                give(world, groups, make("indicator", f"{HIDDEN} {step} after"))

    names: Sequence[str] = [f"{HIDDEN} {step} {number}" for step in range(4) for number in range(count)]
    about = [object_id("report", names[0]), object_id("report", names[-1]), object_id("report", "own 0 0")]
    given = groups.compare(tmp_path, play, about=about, secrets=[HIDDEN, *about[:2]])
    assert len(given) == 12


def test_a_label_that_grows_by_what_the_first_group_says_moves_nothing_in_the_feed(
    groups: Groups, tmp_path: Path
) -> None:
    """Seen elsewhere: an object is sent again, or comes to the top, when something hidden was attached to it."""

    def play(world: World, hides: bool) -> None:
        add(world, "aurelia", OWN, make("report", "r", object_refs=[OWN["id"]]))
        world.read("meridia")
        world.tick()
        if hides:
            add(world, "borealia", OWN)
            give(
                world,
                groups,
                make("identity", HIDDEN),
                make("malware", "tool"),
                make("relationship", "uses", source_ref=PLACE, target_ref=object_id("malware", "tool")),
                make("relationship", "shows", source_ref=OWN["id"], target_ref=object_id("malware", "tool")),
                make("sighting", "there", sighting_of_ref=OWN["id"], where_sighted_refs=[PLACE]),
            )
        world.tick()
        add(world, "aurelia", make("note", "n", object_refs=[OWN["id"]]))

    given = groups.compare(tmp_path, play, about=[PLACE, object_id("report", "r")], secrets=[HIDDEN, PLACE])
    assert len(given) == 3


def test_a_new_version_by_the_first_group_of_an_id_that_the_second_has_changes_nothing(
    groups: Groups, tmp_path: Path
) -> None:
    """Seen elsewhere: one was asked about and another was changed; who may write overwrites what is not its own."""
    changed = {**OWN, "modified": "2025-06-01T00:00:00.000000Z", "name": "changed by Borealia", "revoked": True}

    def play(world: World, hides: bool) -> None:
        add(world, "aurelia", OWN)
        world.read("meridia")
        if hides:
            add(world, "borealia", changed)
            intake = pull(world, "aurelia", giver="borealia", agreement=groups.first)
            assert not intake.added
            assert "aurelia" in intake.bad[0].detail
        world.tick()

    given = groups.compare(tmp_path, play, about=[ObjectId(str(OWN["id"]))], secrets=["changed by Borealia"])
    assert given[str(OWN["id"])]["name"] == "own indicator"


def test_a_statement_that_the_first_group_defines_makes_no_object_of_the_second_readable(
    groups: Groups, tmp_path: Path
) -> None:
    """A marking that only Borealia's definition explains is not understood for Meridia: the object stays."""
    statement: dict[str, Json] = {
        "type": "marking-definition",
        "spec_version": "2.1",
        "id": object_id("marking-definition", "of borealia"),
        "created": "2025-01-01T00:00:00.000Z",
        "definition_type": "statement",
        "definition": {"statement": f"Of {HIDDEN}"},
        "object_marking_refs": OWN["object_marking_refs"],
        "extensions": OWN["extensions"],
    }
    marks = OWN["object_marking_refs"]
    assert isinstance(marks, list)

    def play(world: World, hides: bool) -> None:
        if hides:
            give(world, groups, statement)
        add(world, "aurelia", OWN, make("report", "marked", object_marking_refs=[*marks, statement["id"]]))
        world.tick()

    about = [object_id("marking-definition", "of borealia"), object_id("report", "marked")]
    assert groups.compare(tmp_path, play, about=about, secrets=[HIDDEN, *about]).keys() == {str(OWN["id"])}
