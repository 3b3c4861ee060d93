# SPDX-License-Identifier: Apache-2.0
"""The table of states is true: every step that parties make is in it, and every row of it is a step they make."""

from hypothesis import given, settings
from hypothesis import strategies as st

from comity.agreement.events import EventKind
from comity.agreement.transitions import BY_CLOCK, MAY, TRANSITIONS, State, draw_states
from tests.agreement_walks import Step, Tick, find_situations, list_steps, list_ticks, walk

TABLE = {(state, kind, lead) for state, row in TRANSITIONS.items() for kind, leads in row.items() for lead in leads}
CLOCK = {(state, lead) for state, leads in BY_CLOCK.items() for lead in leads}
PROPOSED: Step = (State.DRAFT, EventKind.PROPOSE, State.PROPOSED)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32))
def test_every_step_of_a_negotiation_is_in_the_table(seed: int) -> None:
    for happened in walk(seed):
        if len(happened) == 2:
            assert happened in CLOCK
        else:
            assert happened in TABLE


def test_every_row_of_the_table_is_a_step_and_every_step_is_in_it() -> None:
    """From every situation, every move that a party may make, and whatever time does."""
    steps, ticks = {PROPOSED}, set[Tick]()
    for situation, now in find_situations():
        steps.update(list_steps(situation, now))
        ticks.update(list_ticks(situation))
    assert steps == TABLE
    assert ticks == CLOCK


def test_a_walk_gets_somewhere() -> None:
    """The walks are worth what they reach: every founder's signature and confirmation, joiners, leavers, stops."""
    seen = {happened for seed in range(60) for happened in walk(seed)}
    kinds = {happened[1] for happened in seen if len(happened) == 3}
    assert kinds == set(EventKind)
    by_time = {State.LAPSED, State.EXPIRED}
    assert {happened[-1] for happened in seen} | by_time == set(State) - {State.DRAFT, State.CONFLICTING}


def test_what_a_party_may_say_is_what_the_table_has_rows_for() -> None:
    assert {(state, kind) for state, kinds in MAY.items() for kind in kinds} == {(row[0], row[1]) for row in TABLE}
    assert MAY[State.TERMINATED] == frozenset()


def test_the_diagram_has_every_way_from_one_state_to_another_with_all_that_causes_it() -> None:
    drawn = set[tuple[str, str, str]]()
    for line in draw_states().splitlines():
        ways, _, causes = line.strip().partition(": ")
        before, arrow, after = ways.partition(" --> ")
        if arrow and causes:
            drawn |= {(before, cause, after) for cause in causes.split(", ")}
    wanted = {(state, kind.value, lead) for state, kind, lead in TABLE if state is not lead}
    wanted |= {(state, "clock", lead) for state, lead in CLOCK}
    assert drawn == {(before.replace(" ", "_"), cause, after.replace(" ", "_")) for before, cause, after in wanted}
