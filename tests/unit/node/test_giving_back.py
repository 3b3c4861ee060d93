# SPDX-License-Identifier: Apache-2.0
"""Sightings and opinions of what a party was given go back to whoever gave it, and to nobody else."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from comity.ids import PartyId
from comity.node.explain import explain
from tests.chains import introduce, pull_all, sign_onward
from tests.worlds import World, make_object, object_id

A, B, C = map(PartyId, ("aurelia", "borealia", "cimbria"))
X = object_id("report", "x")
TIME = "2025-01-01T00:00:00Z"
SIGHTING = make_object("s", kind="sighting", more={"sighting_of_ref": X, "count": 2})
OPINION = make_object("o", kind="opinion", more={"object_refs": [X], "opinion": "agree"})
NOTE = make_object("n", kind="note", more={"object_refs": [X], "content": "Seen twice."})
FEEDBACK = (SIGHTING, OPINION, NOTE)


@pytest.fixture
def world(tmp_path: Path, listed: list[str]) -> Iterator[World]:
    """Aurelia has given borealia a report; borealia gives aurelia, and cimbria, what it says of it."""
    made = World(tmp_path)
    made.found(A, B, C)
    introduce(made, [(A, B), (B, C), (A, C)])
    sign_onward(made, A, B, listed=listed)
    made.add(A, make_object("x"))
    pull_all(made, A, B)
    for to in (A, C):
        toml = made.terms(
            giver=B,
            receivers=(to,),
            types=("sighting", "opinion", "note", "report"),
            title=f"Feedback to {to}",
            channel_extra=f"originators = {[*made.nodes, 'own']}",
        )
        made.sign_all(toml, proposer=B)
    yield made
    made.close()


@pytest.mark.parametrize("listed", [[A]])
@pytest.mark.parametrize("said", FEEDBACK, ids=lambda said: str(said["type"]))
def test_it_goes_back_to_whoever_gave_it_and_to_nobody_else(world: World, said: dict[str, object]) -> None:
    world.add(B, said)  # type: ignore[arg-type]
    name = str(said["id"])
    assert pull_all(world, B, A) == {name, X}
    assert pull_all(world, B, C) == set()


@pytest.mark.parametrize("listed", [[]])
def test_it_goes_back_only_where_the_channel_lists_its_giver(world: World) -> None:
    world.add(B, SIGHTING)
    (reading,) = explain(world.nodes[B], str(SIGHTING["id"]), to=A).readings
    assert reading.verdict.decision == "withhold"
    assert "audience" in {finding.clause for finding in reading.findings if not finding.holds}
    assert pull_all(world, B, A) == set()
