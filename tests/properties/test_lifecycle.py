# SPDX-License-Identifier: Apache-2.0
"""The state is a function of the set of events; agreed means signed; what stops never opens; a lock is its holder's."""

from collections.abc import Sequence
from dataclasses import replace

from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from comity.agreement.events import SIGNS, Event, EventKind
from comity.agreement.lifecycle import Standing, compute_standing, is_valid
from comity.agreement.record import count_admitting
from comity.agreement.terms import Terms
from comity.agreement.transitions import State
from comity.ids import Instant, PartyId
from tests.agreement_strategies import (
    FIRST,
    GROUP,
    GROUPS,
    LATER,
    NOWS,
    OTHER_MANIFEST,
    PARTIES,
    RIVAL,
    SECOND,
    SHORT,
    TAVRIA,
    TAVRIA_MANIFEST,
    VERSIONS,
    WIDER,
    Case,
    cases,
    event,
    event_sets,
    identify,
    join,
    reserve,
    sign_all,
)
from tests.parties import AURELIA, BOREALIA, MERIDIA, make_terms

NOW = NOWS[2]
NEVER_OPENS = frozenset({EventKind.SUSPEND, EventKind.REJECT, EventKind.WITHDRAW, EventKind.CLARIFY, EventKind.ANSWER})
OUTSIDE = make_terms(MERIDIA, BOREALIA, replaces=FIRST, title="What a stranger says of it")
LINES = (FIRST, SECOND, RIVAL)

Way = tuple[str, PartyId, PartyId]
nows = st.sampled_from(NOWS)


def find_open(standing: Standing) -> set[Way]:
    """Every channel, giver and receiver between whom nothing stands."""
    if standing.current is None:
        return set()
    return {
        (channel.id, giver, receiver)
        for channel in standing.current.channels
        for giver in PARTIES
        for receiver in PARTIES
        if standing.obstacle(channel, giver, receiver) is None
    }


def stand(versions: Sequence[Terms], said: Sequence[Event], now: Instant = NOW) -> Standing:
    return compute_standing(versions, said, now=now)


@settings(max_examples=300)
@given(cases(), nows, st.data())
def test_order_and_repetition_change_nothing(case: Case, now: Instant, data: st.DataObject) -> None:
    repeated = data.draw(st.lists(st.sampled_from(case.said), max_size=4)) if case.said else []
    mixed = data.draw(st.permutations(case.said + repeated))
    documents = data.draw(st.permutations([*case.versions, case.versions[0]]))
    assert compute_standing(documents, mixed, now=now) == compute_standing(case.versions, case.said, now=now)


@settings(max_examples=300)
@given(cases(), nows)
def test_in_force_means_that_every_party_signed_and_confirmed_and_none_said_no(case: Case, now: Instant) -> None:
    standing = stand(case.versions, case.said, now)
    if standing.state not in {State.AGREED, State.IN_FORCE}:
        return
    current = standing.current
    assert current is not None
    about = [one for one in case.said if one.terms == current.hash]
    assert {one.party for one in about if one.kind in SIGNS} >= current.founders
    refused = {one.party for one in about if one.kind in {EventKind.REJECT, EventKind.WITHDRAW}}
    replacing = {terms.hash for terms in case.versions if terms.supersedes == current.hash}
    refused |= {one.party for one in case.said if one.kind is EventKind.COUNTER and one.terms in replacing}
    forbidden = [
        one
        for one in about
        if one.kind in SIGNS and any(each.clause not in current.reservable for each in one.reservations)
    ]
    assert not (refused | {one.party for one in forbidden}) & current.founders
    assert current.valid_until is None or now < current.valid_until
    assert not any(lock.channel is None for lock in standing.locks)
    confirmed = {one.party for one in about if one.kind is EventKind.CONFIRM}
    waits = bool(current.founders - confirmed - standing.left)
    assert (current.valid_from <= now and not waits) == (standing.state is State.IN_FORCE)
    if standing.state is State.IN_FORCE:
        assert len(standing.members - {lapse.party for lapse in standing.lapses}) >= 2


@settings(max_examples=300)
@given(cases(), nows)
@example(Case([*GROUPS], reserve(sign_all(GROUP), MERIDIA, "channels.all.regions"), []), NOWS[1])
@example(Case([*GROUPS], reserve(sign_all(GROUP), BOREALIA, "channels.aurelia"), []), NOWS[1])
@example(Case([*GROUPS], [*sign_all(GROUP), event(EventKind.SUSPEND, MERIDIA, GROUP, channel="aurelia")], []), NOWS[1])
@example(Case([*GROUPS], sign_all(GROUP), []), NOWS[2])
def test_exactly_who_is_in_and_has_all_that_is_needed_gives_and_receives(case: Case, now: Instant) -> None:
    """Whoever lapsed or reserved neither gives nor receives, by that channel or at all; the others go on."""
    standing = stand(case.versions, case.said, now)
    if standing.state is not State.IN_FORCE:
        assert find_open(standing) == set()
        return
    current = standing.current
    assert current is not None
    locked = {lock.channel for lock in standing.locks}
    lapsed = {
        party
        for party in standing.members
        if not any(is_valid(basis, now) for basis in current.legal_bases if basis.party == party)
        and not any(is_valid(basis, now) for basis in standing.joining_bases(party))
    } | {each.given_by for each in current.assurances if each.valid_until <= now}
    assert {lapse.party for lapse in standing.lapses} == lapsed & standing.members
    reserved = {(item.clause.split(".")[1], party) for party, item in standing.reservations if "." in item.clause}
    assert find_open(standing) == {
        (channel.id, giver, receiver)
        for channel in current.channels
        for giver, receiver in channel.pairs(standing.members)
        if channel.id not in locked
        and not lapsed & {giver, receiver}
        and not reserved & {(channel.id, giver), (channel.id, receiver)}
    }


@settings(max_examples=400)
@given(cases(), nows)
@example(
    Case(
        [*LINES],
        sign_all(FIRST) + sign_all(SECOND) + sign_all(RIVAL),
        [event(EventKind.REJECT, AURELIA, RIVAL)],
    ),
    NOW,
)
@example(Case([*VERSIONS], sign_all(FIRST) + sign_all(LATER), [event(EventKind.REJECT, AURELIA, LATER)]), NOW)
@example(Case([*VERSIONS], sign_all(FIRST) + sign_all(SHORT), [event(EventKind.WITHDRAW, AURELIA, SHORT)]), NOW)
@example(Case([*VERSIONS], sign_all(FIRST) + sign_all(SECOND), [event(EventKind.REJECT, AURELIA, SECOND)]), NOW)
@example(Case([*GROUPS], sign_all(GROUP) + sign_all(WIDER), [event(EventKind.WITHDRAW, MERIDIA, WIDER)]), NOW)
def test_what_stops_opens_nothing(case: Case, now: Instant) -> None:
    """Neither the agreement, nor an older version of it, nor one channel between two parties."""
    stops = [one for one in case.more if one.kind in NEVER_OPENS]
    before, after = stand(case.versions, case.said, now), stand(case.versions, case.said + stops, now)
    assert find_open(after) <= find_open(before)
    if after.state is State.IN_FORCE:
        assert before.state is State.IN_FORCE
        assert after.current == before.current


@settings(max_examples=300)
@given(cases(), nows, st.sampled_from((EventKind.REJECT, EventKind.WITHDRAW, EventKind.COUNTER)), st.data())
def test_a_no_of_a_founder_closes_what_all_signed_until_a_newer_version(
    case: Case, now: Instant, kind: EventKind, data: st.DataObject
) -> None:
    before = stand(case.versions, case.said, now)
    assume(before.current is not None)
    current = before.current
    assert current is not None
    newer = [terms for terms in case.versions if terms.supersedes == current.hash]
    assume(newer or kind is not EventKind.COUNTER)
    about = data.draw(st.sampled_from(newer)) if kind is EventKind.COUNTER else current
    no = event(kind, data.draw(st.sampled_from(sorted(current.founders))), about)
    after = stand(case.versions, [*case.said, no], now)
    assert after.current != current
    assert after.current is None or after.current.version > current.version


@settings(max_examples=200)
@given(cases([VERSIONS]), nows)
def test_terminated_between_two_is_final(case: Case, now: Instant) -> None:
    if stand(case.versions, case.said, now).sentence.startswith("terminated by"):
        assert stand(case.versions, case.said + case.more, now).state is State.TERMINATED


@settings(max_examples=300)
@given(cases(), nows, st.data())
def test_only_its_holder_lifts_a_lock(case: Case, now: Instant, data: st.DataObject) -> None:
    """Whatever else arrives, a lock is gone exactly when its own party's RESUME that names it is there, or it left."""
    before = stand(case.versions, case.said, now).locks
    more = list(case.more)
    for lock in before:
        liftings = data.draw(st.sets(st.sampled_from(PARTIES)))
        more.extend(event(EventKind.RESUME, party, case.versions[0], re=lock.event) for party in liftings)
    after = stand(case.versions, case.said + more, now)
    lifted = {(one.party, one.re) for one in more if one.kind is EventKind.RESUME}
    for lock in before:
        assert (lock in after.locks) != ((lock.party, lock.event) in lifted or lock.party in after.left)


@given(event_sets(), nows, st.data())
def test_what_was_lifted_before_it_arrived_holds_nothing(said: list[Event], now: Instant, data: st.DataObject) -> None:
    suspension = event(EventKind.SUSPEND, AURELIA, FIRST, text=data.draw(st.sampled_from("abc")))
    lifting = event(EventKind.RESUME, AURELIA, FIRST, re=suspension.digest)
    locks = stand(VERSIONS, [lifting, *said, suspension], now).locks
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
    assert stand([*LINES, OUTSIDE], own + noise, now) == stand(LINES, own, now)


@settings(max_examples=200)
@given(event_sets(GROUPS), event_sets(GROUPS), nows)
def test_nothing_counts_of_whoever_nobody_admitted(said: list[Event], more: list[Event], now: Instant) -> None:
    """Tavria knows the text of an open group, and says what it likes of it."""
    own = [one for one in said if one.party != TAVRIA and one.kind is not EventKind.ADMIT]
    noise = [identify(replace(one, party=TAVRIA)) for one in more]
    assert stand(GROUPS, own + noise, now) == stand(GROUPS, own, now)


@settings(max_examples=300)
@given(event_sets(GROUPS), nows)
@example(sign_all(GROUP) + join(GROUP, by=[AURELIA]), NOWS[1])
@example(sign_all(GROUP) + join(GROUP, by=[AURELIA, BOREALIA], manifest=OTHER_MANIFEST), NOWS[1])
@example(sign_all(GROUP) + join(GROUP, by=[AURELIA, TAVRIA]), NOWS[1])
@example(reserve(sign_all(GROUP) + join(GROUP, by=[AURELIA, BOREALIA]), TAVRIA, "purposes"), NOWS[1])
@example(reserve(sign_all(GROUP) + join(GROUP, by=[AURELIA, BOREALIA]), TAVRIA, "channels.aurelia"), NOWS[1])
def test_a_joiner_is_in_with_as_many_founders_as_the_text_asks_by_one_manifest(said: list[Event], now: Instant) -> None:
    standing = stand(GROUPS, said, now)
    terms = standing.current
    if terms is None:
        return
    about = [one for one in said if one.terms == terms.hash]
    shown = {
        one.manifest
        for one in about
        if one.kind is EventKind.ACCEDE
        and one.party == TAVRIA
        and all(each.clause in terms.reservable for each in one.reservations)
    }
    counts = {
        manifest: {
            one.party
            for one in about
            if (one.kind, one.joiner, one.manifest) == (EventKind.ADMIT, TAVRIA, manifest)
            and one.party in terms.founders
        }
        for manifest in shown
    }
    needed = {"majority": 2, "any_member": 1}[terms.structure.accession]
    assert needed == count_admitting(terms)
    let_in = any(len(founders) >= needed for founders in counts.values())
    assert (TAVRIA in standing.members) == (let_in and TAVRIA not in standing.left)


def test_a_joiner_that_enough_admitted_gives_and_receives() -> None:
    """The laws about joiners are not about nothing."""
    standing = stand(GROUPS, sign_all(GROUP) + join(GROUP, by=[AURELIA, BOREALIA]), NOWS[1])
    assert {("all", AURELIA, TAVRIA), ("all", TAVRIA, BOREALIA)} <= find_open(standing)
    assert standing.sentence.endswith("joined by tavria")


@settings(max_examples=300)
@given(event_sets(GROUPS), nows, st.sampled_from(PARTIES), st.sampled_from((EventKind.LEAVE, EventKind.TERMINATE)))
def test_who_leaves_a_group_is_out_and_the_others_go_on(
    said: list[Event], now: Instant, party: PartyId, kind: EventKind
) -> None:
    before, after = stand(GROUPS, said, now), stand(GROUPS, [*said, event(kind, party, GROUP)], now)
    if party not in after.left:
        assert after == before
        return
    assert party not in after.members
    assert not any(lock.party == party for lock in after.locks)
    assert not any(party in way for way in find_open(after))
    assert {way for way in find_open(before) if party not in way} <= find_open(after)


@given(cases(), nows)
def test_signatures_are_never_taken_back(case: Case, now: Instant) -> None:
    before, after = stand(case.versions, case.said, now), stand(case.versions, case.said + case.more, now)
    assert after.left >= before.left
    if after.latest == before.latest:
        assert after.signed_by >= before.signed_by
        assert after.refused_by >= before.refused_by


@given(cases(), nows)
def test_a_claimed_time_decides_nothing(case: Case, now: Instant) -> None:
    same = [replace(one, at=NOWS[0]) for one in case.said]
    before, after = stand(case.versions, case.said, now), stand(case.versions, same, now)
    assert (before.state, before.current, before.signed_by) == (after.state, after.current, after.signed_by)
    assert (before.members, find_open(before)) == (after.members, find_open(after))
    assert {lock.event for lock in before.locks} == {lock.event for lock in after.locks}


def test_the_sets_reach_every_state() -> None:
    """The laws above are worth what their examples reach. A draft is on nobody's record."""
    reached: set[State] = set()
    ways: set[Way] = set()

    @settings(max_examples=800, database=None, derandomize=True)
    @given(cases(), nows)
    def note(case: Case, now: Instant) -> None:
        standing = stand(case.versions, case.said, now)
        reached.add(standing.state)
        ways.update(find_open(standing))

    note()
    assert reached == set(State) - {State.DRAFT}
    assert any(TAVRIA in way for way in ways)
    assert TAVRIA_MANIFEST != OTHER_MANIFEST
