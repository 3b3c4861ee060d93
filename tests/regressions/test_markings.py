# SPDX-License-Identifier: Apache-2.0
"""A marking holds as it is written: none is taken for the widest, ranked by a setting, or lost on the way."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from comity.canonical import Json
from comity.ids import AgreementId, ObjectId
from comity.stix.markings import TLP1_WHITE
from tests.regressions.groups import EVERY_TYPE, add, make, pull, read_told, see, tell
from tests.worlds import World, object_id, tlp_id

LEVELS = ("clear", "green", "amber", "amber+strict", "red")
NAME = "Ministry of Tides"


@pytest.mark.parametrize("ceiling", LEVELS)
def test_the_order_of_markings_is_fixed_and_no_setting_can_change_it(tmp_path: Path, ceiling: str) -> None:
    """Seen elsewhere: an administrator had given the strictest marking the rank of a wider one."""
    world = World(tmp_path)
    world.found("aurelia", "meridia")
    world.sign_all(world.terms(receivers=("meridia",), types=EVERY_TYPE, tlp=ceiling))
    add(world, "aurelia", *(make("report", f"at {level}", object_marking_refs=[tlp_id(level)]) for level in LEVELS))
    about = [object_id("report", f"at {level}") for level in LEVELS]
    answers = see(world, "meridia", about=about)
    below = LEVELS[: LEVELS.index(ceiling) + 1]
    assert read_told(answers).keys() == {object_id("report", f"at {level}") for level in below}
    above = [object_id("report", f"at {level}") for level in LEVELS if level not in below]
    assert tell(answers, *above) == {}
    world.close()


CLAIMS: dict[str, dict[str, Json]] = {
    "nothing": {},
    "a label that says clear": {"labels": ["tlp:clear", "TLP:WHITE"]},
    "a property that says so": {"x_tlp": "TLP:CLEAR", "confidence": 100},
    "a language": {"granular_markings": [{"lang": "en", "selectors": ["name"]}]},
    "clear in one part": {"granular_markings": [{"marking_ref": tlp_id("clear"), "selectors": ["name"]}]},
}


@pytest.mark.parametrize("claim", CLAIMS)
def test_what_is_not_marked_is_never_taken_for_clear(tmp_path: Path, claim: str) -> None:
    """Seen elsewhere: data that came without a marking was imported as TLP:CLEAR, and went to everybody."""
    world = World(tmp_path)
    world.found("aurelia", "meridia")
    world.sign_all(world.terms(receivers=("meridia",), types=EVERY_TYPE, tlp="red"))
    unmarked = make("report", NAME)
    del unmarked["object_marking_refs"]
    add(world, "aurelia", {**unmarked, **CLAIMS[claim]}, make("report", "marked"))
    answers = see(world, "meridia", about=[object_id("report", NAME)])
    assert tell(answers, NAME, object_id("report", NAME)) == {}
    assert read_told(answers).keys() == {object_id("report", "marked")}
    world.close()


def test_of_two_levels_nobody_knows_which_was_meant(world: World) -> None:
    """Seen elsewhere: two levels could stand on one object, and a converter took the first."""
    pairs = (("green", "red"), ("red", "green"), ("clear", "amber+strict"), ("clear", "green"))
    for number, pair in enumerate(pairs):
        add(world, "aurelia", make("report", f"x{number}", object_marking_refs=[tlp_id(level) for level in pair]))
    add(world, "aurelia", make("report", "open", object_marking_refs=[tlp_id("clear"), str(TLP1_WHITE)]))
    answers = see(world, "meridia", about=[object_id("report", f"x{number}") for number in range(len(pairs))])
    assert read_told(answers).keys() == {object_id("report", "open")}


def make_definition(name: str, **fields: Json) -> dict[str, Json]:
    return {
        "type": "marking-definition",
        "spec_version": "2.1",
        "id": object_id("marking-definition", name),
        "created": "2025-01-01T00:00:00.000Z",
        "name": name,
        "object_marking_refs": [tlp_id("green")],
        "extensions": make("report", "x")["extensions"],
        **fields,
    }


FOREIGN: dict[str, dict[str, Json]] = {
    "one of another scheme": make_definition(
        "further sharing: none", definition_type="statement", definition={"statement": "no further sharing"}
    ),
    "one that calls itself clear": make_definition(
        "TLP:CLEAR", definition_type="statement", definition={"statement": "TLP:CLEAR"}
    ),
}


@pytest.mark.parametrize("scheme", [*FOREIGN, "one that is not held"])
def test_a_restriction_of_another_scheme_is_not_dropped_because_it_is_not_understood(world: World, scheme: str) -> None:
    """Seen elsewhere: access privileges and rules on further sharing were lost when objects were imported."""
    definition = FOREIGN.get(scheme)
    refs: list[Json] = [tlp_id("green"), definition["id"] if definition else object_id("marking-definition", "gone")]
    marked = [make("report", NAME, object_marking_refs=refs), make("report", "open")]
    add(world, "aurelia", *([definition] if definition else []), *marked)
    answers = see(world, "meridia", about=[object_id("report", NAME)])
    assert tell(answers, NAME, object_id("report", NAME)) == {}
    assert object_id("report", "open") in read_told(answers)


@pytest.fixture
def chain(tmp_path: Path) -> Iterator[tuple[World, AgreementId]]:
    """Aurelia gives to Borealia, who may give it to Meridia."""
    made = World(tmp_path)
    made.found("aurelia", "borealia", "meridia")
    first = made.terms(types=EVERY_TYPE, channel_extra='releasable_to = ["meridia"]')
    signed = made.sign_all(first.replace(b'onward = "none"', b'onward = "listed"'))
    onward = made.terms(
        giver="borealia", receivers=("meridia",), types=EVERY_TYPE, channel_extra='originators = ["aurelia"]'
    )
    made.sign_all(onward, proposer="borealia")
    yield made, AgreementId(signed)
    made.close()


def test_markings_go_all_the_way_with_the_bytes(chain: tuple[World, AgreementId]) -> None:
    """Seen elsewhere: a connector never read the markings of what it passed on, so that the next had it without."""
    world, agreement = chain
    given = make("report", "x", object_marking_refs=[tlp_id("amber")], labels=["tlp:clear"])
    strict = make("report", "y", object_marking_refs=[tlp_id("amber+strict")])
    add(world, "aurelia", given, strict)
    pull(world, "borealia", giver="aurelia", agreement=agreement)
    answers = see(world, "meridia", about=[ObjectId(str(given["id"])), ObjectId(str(strict["id"]))], giver="borealia")
    assert read_told(answers) == {given["id"]: given}
    assert world.read("meridia", giver="borealia")[str(given["id"])] == json.dumps(given).encode()
