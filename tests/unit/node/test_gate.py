# SPDX-License-Identifier: Apache-2.0
"""The answer of a gate is that of its time, whatever state whoever asks has read before."""

import pytest

from comity.errors import NotFoundError
from comity.ids import AgreementId, Instant, PartyId, format_instant, parse_instant
from comity.node.audit import audit_folder
from comity.node.explain import explain
from comity.node.gate import list_open_collections
from comity.node.matrix import Way, find_matrix
from comity.node.poll import PollRequest, Selection, poll
from comity.node.standing import collection_id
from comity.node.steps import finish
from comity.release.disclosure import Answer
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


@pytest.mark.parametrize(("field", "shut", "still"), [("until", 1, -1), ("from", -1, 1)])
def test_what_goes_on_record_at_a_time_is_let_go_at_that_time(world: World, field: str, shut: int, still: int) -> None:
    """The clock is put back over the end, or passes the beginning, between the start of a poll and its gate."""
    date = until(world, 60)
    written = {"from": "2020-01-01T00:00:00Z", "until": "2036-01-01T00:00:00Z"}[field]
    agreement = world.sign_all(world.terms().replace(f'{field} = "{written}"'.encode(), f'{field} = "{date}"'.encode()))
    world.add(A, make_object("x"))
    node, at = world.nodes[A], parse_instant(date)
    times = iter([Instant(at + shut)])
    node.clock = lambda: next(times, Instant(at + still))
    request = PollRequest(
        recipient=B,
        collection=collection_id(AgreementId(agreement), "main", giver=node.party, recipient=B),
        answer=Answer.OBJECTS,
        selection=Selection(after=Instant(0)),
    )
    with pytest.raises(NotFoundError):
        poll(node, request)
    world.close()
    assert audit_folder(node.folder, now=Instant(at + SECOND)).findings == ()
