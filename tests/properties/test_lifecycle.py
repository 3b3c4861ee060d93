# SPDX-License-Identifier: Apache-2.0
"""The state is a function of the set of events; agreed means signed; what stops never opens; a lock is its holder's."""

from collections.abc import Sequence
from dataclasses import replace

from hypothesis import example, given, settings
from hypothesis import strategies as st

from comity.agreement.events import SIGNS, Event, EventKind
from comity.agreement.lifecycle import compute_standing
from comity.agreement.terms import Terms
from comity.agreement.transitions import State
from comity.ids import Instant
from tests.agreement_strategies import (
    FIRST,
    NOWS,
    PARTIES,
    RIVAL,
    SECOND,
    VERSIONS,
    event,
    event_sets,
    events,
    sign_all,
    version_sets,
)
from tests.parties import AURELIA, BOREALIA, MERIDIA, make_terms

NOW = NOWS[2]
NEVER_OPENS = (
    EventKind.SUSPEND,
    EventKind.REJECT,
    EventKind.WITHDRAW,
    EventKind.CLARIFY,
    EventKind.ANSWER,
)
OUTSIDE = make_terms(MERIDIA, BOREALIA, replaces=FIRST, title="What a stranger says of it")

LINES = (FIRST, SECOND, RIVAL)


def is_open(versions: Sequence[Terms], said: Sequence[Event], now: Instant = NOW) -> bool:
    return compute_standing(versions, said, now=now).state is State.IN_FORCE


nows = st.sampled_from(NOWS)


@settings(max_examples=200)
@given(version_sets(), event_sets(), nows, st.data())
def test_order_and_repetition_change_nothing(
    versions: list[Terms], said: list[Event], now: Instant, data: st.DataObject
) -> None:
    repeated = data.draw(st.lists(st.sampled_from(said), max_size=4)) if said else []
    mixed = data.draw(st.permutations(said + repeated))
    documents = data.draw(st.permutations([*versions, versions[0]]))
    assert compute_standing(documents, mixed, now=now) == compute_standing(versions, said, now=now)


@settings(max_examples=200)
@given(version_sets(), event_sets(), nows)
def test_in_force_means_that_every_party_signed_and_none_said_no(
    versions: list[Terms], said: list[Event], now: Instant
) -> None:
    standing = compute_standing(versions, said, now=now)
    if standing.state not in {State.AGREED, State.IN_FORCE}:
        return
    current = standing.current
    assert current is not None
    about = [one for one in said if one.terms == current.hash]
    assert {one.party for one in about if one.kind in SIGNS} >= {party.id for party in current.parties}
    assert not {one.party for one in about if one.kind is EventKind.REJECT} & {party.id for party in current.parties}
    confirmed = {one.party for one in about if one.kind is EventKind.CONFIRM}
    waits = bool(current.founders - confirmed - standing.left)
    assert (current.valid_from <= now and not waits) == (standing.state is State.IN_FORCE)
    assert current.valid_until is None or now < current.valid_until


@settings(max_examples=200)
@given(version_sets(), event_sets(), events(), nows)
@example(
    list(VERSIONS[:3]),
    sign_all(FIRST) + sign_all(SECOND) + sign_all(RIVAL),
    event(EventKind.REJECT, AURELIA, RIVAL),
    NOW,
)
@example(list(VERSIONS), sign_all(FIRST) + sign_all(VERSIONS[4]), event(EventKind.REJECT, AURELIA, VERSIONS[4]), NOW)
@example(list(VERSIONS), sign_all(FIRST) + sign_all(VERSIONS[5]), event(EventKind.REJECT, AURELIA, VERSIONS[5]), NOW)
def test_no_event_but_a_signature_or_a_lifting_brings_an_agreement_in_force(
    versions: Sequence[Terms], said: list[Event], more: Event, now: Instant
) -> None:
    if more.kind in NEVER_OPENS and is_open(versions, [*said, more], now):
        assert is_open(versions, said, now)


@settings(max_examples=200)
@given(version_sets(), event_sets(), events(), nows)
@example(VERSIONS, sign_all(FIRST) + sign_all(SECOND), event(EventKind.REJECT, AURELIA, SECOND), NOW)
def test_no_stop_makes_an_older_version_count(
    versions: Sequence[Terms], said: list[Event], more: Event, now: Instant
) -> None:
    """A "no" to the newer version must not bring the older, perhaps wider, one back."""
    before = compute_standing(versions, said, now=now)
    after = compute_standing(versions, [*said, more], now=now)
    if more.kind in NEVER_OPENS and after.state is State.IN_FORCE:
        assert after.current == before.current


@settings(max_examples=200)
@given(version_sets(), event_sets(), event_sets(), nows)
def test_terminated_is_final(versions: list[Terms], said: list[Event], more: list[Event], now: Instant) -> None:
    if compute_standing(versions, said, now=now).sentence.startswith("terminated by"):
        assert compute_standing(versions, said + more, now=now).state is State.TERMINATED


@settings(max_examples=200)
@given(version_sets(), event_sets(), event_sets(), nows, st.data())
def test_only_its_holder_lifts_a_lock(
    versions: list[Terms], said: list[Event], more: list[Event], now: Instant, data: st.DataObject
) -> None:
    """Whatever else arrives, a lock is gone exactly when its own party's RESUME that names it is there."""
    before = compute_standing(versions, said, now=now).locks
    for lock in before:
        liftings = data.draw(st.sets(st.sampled_from(PARTIES)))
        more.extend(event(EventKind.RESUME, party, FIRST, re=lock.event) for party in liftings)
    after = compute_standing(versions, said + more, now=now)
    lifted = {(one.party, one.re) for one in more if one.kind is EventKind.RESUME}
    for lock in before:
        assert (lock in after.locks) != ((lock.party, lock.event) in lifted or lock.party in after.left)


@given(event_sets(), nows, st.data())
def test_what_was_lifted_before_it_arrived_holds_nothing(said: list[Event], now: Instant, data: st.DataObject) -> None:
    suspension = event(EventKind.SUSPEND, AURELIA, FIRST, text=data.draw(st.sampled_from("abc")))
    lifting = event(EventKind.RESUME, AURELIA, FIRST, re=suspension.digest)
    locks = compute_standing(VERSIONS, [lifting, *said, suspension], now=now).locks
    assert suspension.digest not in {lock.event for lock in locks}


@settings(max_examples=200)
@given(
    event_sets(VERSIONS[:3]), st.lists(st.tuples(st.sampled_from(EventKind), st.sampled_from([FIRST, OUTSIDE]))), nows
)
def test_nothing_a_stranger_says_counts(
    said: list[Event], strange: list[tuple[EventKind, Terms]], now: Instant
) -> None:
    """Meridia is in no version of FIRST's agreement but one that it made up itself."""
    own = [one for one in said if one.party != MERIDIA]
    noise = [event(kind, MERIDIA, terms) for kind, terms in strange]
    quiet = compute_standing(LINES, own, now=now)
    assert compute_standing([*LINES, OUTSIDE], own + noise, now=now) == quiet


@given(version_sets(), event_sets(), event_sets(), nows)
def test_signatures_are_never_taken_back(
    versions: list[Terms], said: list[Event], more: list[Event], now: Instant
) -> None:
    before = compute_standing(versions, said, now=now)
    after = compute_standing(versions, said + more, now=now)
    if after.latest == before.latest:
        assert after.signed_by >= before.signed_by
        assert after.refused_by >= before.refused_by


@given(version_sets(), event_sets(), nows)
def test_a_claimed_time_decides_nothing(versions: list[Terms], said: list[Event], now: Instant) -> None:
    same = [replace(one, at=NOWS[0]) for one in said]
    before, after = compute_standing(versions, said, now=now), compute_standing(versions, same, now=now)
    assert (before.state, before.current, before.signed_by) == (after.state, after.current, after.signed_by)
    assert {lock.event for lock in before.locks} == {lock.event for lock in after.locks}


def test_the_sets_reach_every_state() -> None:
    """The laws above are worth what their examples reach."""
    reached: set[State] = set()

    @settings(max_examples=800, database=None, derandomize=True)
    @given(version_sets(), event_sets(), nows)
    def note(versions: list[Terms], said: list[Event], now: Instant) -> None:
        reached.add(compute_standing(versions, said, now=now).state)

    note()
    assert reached == set(State)
