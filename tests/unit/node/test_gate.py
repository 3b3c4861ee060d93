# SPDX-License-Identifier: Apache-2.0
"""The answer of a gate is that of its time, whatever state whoever asks has read before."""

import pytest

from comity.ids import Instant, PartyId, format_instant
from comity.node.explain import explain
from comity.node.gate import list_open_collections
from comity.node.matrix import Way, find_matrix
from comity.node.steps import finish
from tests.worlds import World, make_object, object_id

A, B = "aurelia", PartyId("borealia")
X = object_id("report", "x")
SECOND = 1_000_000
DAY = 86_400 * SECOND


def until(world: World, seconds: int) -> str:
    return format_instant(Instant((world.now // SECOND + seconds) * SECOND))


def is_given(world: World) -> bool:
    return bool(list_open_collections(world.nodes[A], B)) and X in world.read(B)


@pytest.mark.parametrize("steps_before", [1, 0])
def test_an_agreement_that_runs_out_while_a_matrix_is_worked_out_lets_nothing_go(
    world: World, steps_before: int
) -> None:
    world.sign_all(world.terms(until=until(world, 60)))
    world.add(A, make_object("x"))
    steps = find_matrix(world.nodes[A], "tlp", after=None, limit=9)
    for _ in range(steps_before):
        next(steps)
    world.tick(70 * SECOND)
    matrix = finish(steps)
    assert all(cell.way is not Way.FULL for row in matrix.rows for cell in row.cells)
    assert not is_given(world)
    world.tick(30 * DAY)
    assert not is_given(world)


def test_an_agreement_that_begins_while_a_matrix_is_worked_out_lets_go(world: World) -> None:
    begins = until(world, 60)
    toml = world.terms().replace(b'from = "2020-01-01T00:00:00Z"', f'from = "{begins}"'.encode())
    world.sign_all(toml)
    world.add(A, make_object("x"))
    assert not is_given(world)
    steps = find_matrix(world.nodes[A], "tlp", after=None, limit=9)
    next(steps)
    world.tick(70 * SECOND)
    finish(steps)
    assert is_given(world)


def test_who_was_told_why_keeps_nothing_open(world: World) -> None:
    world.sign_all(world.terms(until=until(world, 60)))
    world.add(A, make_object("x"))
    assert explain(world.nodes[A], X, to=B).verdict.decision == "release"
    assert is_given(world)
    world.tick(70 * SECOND)
    assert not is_given(world)
