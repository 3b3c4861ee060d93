# SPDX-License-Identifier: Apache-2.0
"""No envelope within the limits, whatever is in it, keeps others waiting: none of its steps is long."""

import dataclasses
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from comity.errors import MalformedError
from comity.ids import PartyId
from comity.node import accept
from comity.node.accept import accept_in_steps, list_write_collections
from comity.node.node import Node
from comity.node.schemas import read_schemas
from comity.node.steps import advance
from tests.hostile import BODIES, make_body
from tests.processor import measure_million
from tests.worlds import World

BOREALIA = PartyId("borealia")

MOST_MILLIONS = 20
"""Of additions, in the time of which every step is taken (`measure_million`): twice what the longest one needs, a
fraction of what the same bodies take unbounded."""


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    with closing(World(tmp_path)) as world:
        world.found("aurelia", "borealia")
        world.sign_all(world.terms(giver="borealia", receivers=("aurelia",)), proposer="borealia")
        read_schemas()
        yield world.nodes["aurelia"]


def measure_steps(node: Node, body: bytes, *, alone: bool = False) -> list[float]:
    """The processor time of each step."""
    (target,) = list_write_collections(node, BOREALIA)
    steps = accept_in_steps(node, body, giver=BOREALIA, collection=target.id, is_alone=lambda: alone)
    taken, done = list[float](), None
    while done is None:
        started = time.thread_time()
        try:
            done = advance(steps)
        except MalformedError:
            return [*taken, time.thread_time() - started]
        taken.append(time.thread_time() - started)
    return taken


@pytest.mark.slow
@pytest.mark.parametrize("alone", [False, True])
@pytest.mark.parametrize("name", BODIES)
def test_no_step_of_an_envelope_is_long(node: Node, name: str, alone: bool) -> None:
    """Nor while nobody polls: who begins to has to wait for one step."""
    taken = measure_steps(node, make_body(name), alone=alone)
    assert max(taken) < MOST_MILLIONS * measure_million(), (taken.index(max(taken)), max(taken))


@pytest.mark.slow
def test_an_envelope_of_the_most_that_may_be_is_taken_in(node: Node) -> None:
    """The bodies are what they are for: most of them are read to their end."""
    node.settings = dataclasses.replace(node.settings, write_objects_per_day=accept.MAX_ENVELOPE_OBJECTS)
    assert len(measure_steps(node, make_body("plain"))) > accept.MAX_ENVELOPE_OBJECTS // accept.PART_OBJECTS
    node.settings = dataclasses.replace(node.settings, write_objects_per_day=2 * accept.MAX_ENVELOPE_OBJECTS)
    with node.store.read() as transaction:
        row = transaction.row("SELECT objects FROM write_use")
    assert row == (accept.MAX_ENVELOPE_OBJECTS,)
