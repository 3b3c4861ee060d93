# SPDX-License-Identifier: Apache-2.0
"""What each kind of event does to an agreement, and who may say what when."""

from collections.abc import Sequence

import pytest

from comity.agreement.events import Event, EventKind, Reservation
from comity.agreement.lifecycle import Standing, compute_standing
from comity.agreement.moves import check_event, find_next_steps
from comity.agreement.terms import Terms, parse_terms
from comity.agreement.transitions import MAY, State
from comity.errors import MalformedMessage, TransitionError
from comity.ids import Instant, PartyId, parse_instant
from tests.agreement_strategies import (
    FIRST,
    GROUP,
    LATER,
    RIVAL,
    SECOND,
    TAVRIA,
    TAVRIA_MANIFEST,
    THREE,
    VERSIONS,
    WIDER,
    event,
    join,
    sign_all,
)
from tests.parties import AURELIA, BOREALIA, MERIDIA, change_terms, make_terms

NOW = parse_instant("2026-06-01T00:00:00Z")
LINE = (FIRST, SECOND)
SHOWN = TAVRIA_MANIFEST
PROPOSED = event(EventKind.PROPOSE, AURELIA, FIRST)
ACCEPTED = event(EventKind.ACCEPT, BOREALIA, FIRST)
SIGNED = (PROPOSED, ACCEPTED)
AGREED = (*SIGNED, event(EventKind.CONFIRM, AURELIA, FIRST), event(EventKind.CONFIRM, BOREALIA, FIRST))
NEXT = event(EventKind.PROPOSE, AURELIA, SECOND)
NEXT_ACCEPTED = event(EventKind.ACCEPT, BOREALIA, SECOND)
NEXT_AGREED = (NEXT, NEXT_ACCEPTED, *(event(EventKind.CONFIRM, party, SECOND) for party in (AURELIA, BOREALIA)))
REJECTED = event(EventKind.REJECT, BOREALIA, FIRST)
QUESTION = event(EventKind.CLARIFY, BOREALIA, FIRST, clause="channels.aurelia.regions", text="All of IQ?")
ANSWER = event(EventKind.ANSWER, AURELIA, FIRST, text="Yes.", re=QUESTION.digest)
SUSPENDED = event(EventKind.SUSPEND, BOREALIA, FIRST, text="a breach")
RESUMED = event(EventKind.RESUME, BOREALIA, FIRST, re=SUSPENDED.digest)
RESUMED_BY_OTHER = event(EventKind.RESUME, AURELIA, FIRST, re=SUSPENDED.digest)
TERMINATED = event(EventKind.TERMINATE, BOREALIA, FIRST)
THREE_SIGNED = tuple(sign_all(THREE))


def stand(*said: Event, versions: tuple[Terms, ...] = (FIRST,), now: Instant = NOW) -> Standing:
    return compute_standing(versions, said, now=now)


# --- the state ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("said", "versions", "state", "sentence"),
    [
        ((), (FIRST,), State.PROPOSED, "on record; aurelia, borealia have not signed"),
        ((PROPOSED,), (FIRST,), State.PROPOSED, "proposed by aurelia; borealia has not signed"),
        ((PROPOSED, QUESTION), (FIRST,), State.IN_CLARIFICATION, "borealia asks about channels.aurelia.regions"),
        ((PROPOSED, QUESTION, ANSWER), (FIRST,), State.PROPOSED, "proposed by aurelia"),
        ((ACCEPTED,), (FIRST,), State.ACCEPTED, "accepted by borealia only; aurelia has not signed"),
        (SIGNED, (FIRST,), State.AGREED, "version 1; waits for the confirmation of aurelia, borealia"),
        ((*SIGNED, *AGREED[-1:]), (FIRST,), State.AGREED, "version 1; waits for the confirmation of aurelia"),
        (AGREED[2:], (FIRST,), State.PROPOSED, "on record; aurelia, borealia have not signed"),
        (AGREED, (FIRST,), State.IN_FORCE, "in force: agreed by all (aurelia, borealia), version 1"),
        ((*AGREED, QUESTION), (FIRST,), State.IN_FORCE, "in force"),
        ((PROPOSED, REJECTED), (FIRST,), State.REJECTED, "rejected by borealia"),
        ((*AGREED, REJECTED), (FIRST,), State.REJECTED, "signed by all, but version 1 is rejected by borealia"),
        ((*AGREED, SUSPENDED), (FIRST,), State.SUSPENDED, "suspended by borealia since 2026-02-01T00:00:00.000000Z"),
        ((*AGREED, SUSPENDED, RESUMED), (FIRST,), State.IN_FORCE, "in force"),
        ((*AGREED, SUSPENDED, RESUMED_BY_OTHER), (FIRST,), State.SUSPENDED, "suspended by borealia"),
        ((*AGREED, TERMINATED), (FIRST,), State.TERMINATED, "terminated by borealia"),
        ((*AGREED, SUSPENDED, TERMINATED), (FIRST,), State.TERMINATED, "terminated by borealia"),
        ((*AGREED, NEXT), LINE, State.IN_FORCE, "version 1; version 2 is proposed by aurelia; borealia has not signed"),
        (
            (*AGREED, *NEXT_AGREED),
            LINE,
            State.IN_FORCE,
            "in force: agreed by all (aurelia, borealia), version 2",
        ),
        (NEXT_AGREED, LINE, State.IN_FORCE, "version 2"),
    ],
)
def test_the_state_that_events_lead_to(
    said: tuple[Event, ...], versions: tuple[Terms, ...], state: State, sentence: str
) -> None:
    standing = stand(*said, versions=versions)
    assert standing.state is state
    assert sentence in standing.sentence


def test_the_older_version_stays_in_force_while_the_newer_is_only_proposed() -> None:
    standing = stand(*AGREED, NEXT, versions=LINE)
    assert standing.current == FIRST
    assert standing.latest == SECOND
    assert standing.signed_by == {AURELIA}


def test_a_rejected_proposal_leaves_the_version_in_force_alone() -> None:
    standing = stand(*AGREED, NEXT, event(EventKind.REJECT, BOREALIA, SECOND), versions=LINE)
    assert (standing.state, standing.current) == (State.IN_FORCE, FIRST)
    assert standing.refused_by == {BOREALIA}


def test_a_no_to_what_all_signed_does_not_bring_the_version_before_back() -> None:
    standing = stand(*AGREED, *NEXT_AGREED, event(EventKind.REJECT, AURELIA, SECOND), versions=LINE)
    assert (standing.state, standing.current) == (State.REJECTED, None)


def test_a_newer_version_that_all_sign_reopens_what_a_no_closed() -> None:
    closed = (*AGREED, REJECTED)
    waiting = stand(*closed, NEXT, versions=LINE)
    assert (waiting.state, waiting.current) == (State.PROPOSED, None)
    assert waiting.sentence.endswith("(version 1, signed by all, is rejected by borealia: nothing is in force)")
    assert stand(*closed, *NEXT_AGREED, versions=LINE).state is State.IN_FORCE


@pytest.mark.parametrize("named", [RIVAL, THREE])
def test_versions_that_do_not_follow_one_another_conflict(named: Terms) -> None:
    signed = [event(EventKind.ACCEPT, party.id, terms) for terms in (SECOND, RIVAL) for party in terms.parties]
    standing = stand(*AGREED, *signed, event(EventKind.PROPOSE, AURELIA, named), versions=VERSIONS)
    assert (standing.state, standing.current) == (State.CONFLICTING, None)


def test_a_proposal_never_agreed_is_a_step_of_the_line() -> None:
    standing = stand(*AGREED, NEXT, *THREE_SIGNED, versions=(*LINE, THREE))
    assert (standing.state, standing.current) == (State.IN_FORCE, THREE)


def test_a_version_whose_predecessor_is_missing_waits() -> None:
    assert stand(*AGREED, *THREE_SIGNED, versions=(FIRST, THREE)).current == FIRST


def test_a_version_signed_by_no_party_of_the_one_before_is_not_part_of_the_agreement() -> None:
    made_up = make_terms(MERIDIA, BOREALIA, replaces=FIRST, title="Made up")
    strange = [event(kind, MERIDIA, made_up) for kind in (EventKind.PROPOSE, EventKind.TERMINATE, EventKind.SUSPEND)]
    standing = stand(*AGREED, *strange, versions=(FIRST, made_up))
    assert standing == stand(*AGREED)


def test_a_version_must_be_the_next_one() -> None:
    """Else a party could use the highest number there is up, and nobody could ever amend the agreement."""
    jump = parse_terms(change_terms(SECOND, version=1_000_000))
    standing = stand(*AGREED, event(EventKind.PROPOSE, AURELIA, jump), versions=(FIRST, jump))
    assert standing == stand(*AGREED)


def test_a_party_that_has_not_joined_stops_nothing_and_one_that_has_does() -> None:
    stop = event(EventKind.SUSPEND, MERIDIA, THREE)
    proposed = (*AGREED, *NEXT_AGREED, event(EventKind.PROPOSE, AURELIA, THREE))
    assert stand(*proposed, stop, versions=(*LINE, THREE)).state is State.IN_FORCE
    assert stand(*proposed, *THREE_SIGNED, stop, versions=(*LINE, THREE)).state is State.SUSPENDED


def test_a_lock_holds_on_the_agreement_not_on_a_version() -> None:
    standing = stand(*AGREED, SUSPENDED, *NEXT_AGREED, versions=LINE)
    assert standing.state is State.SUSPENDED
    assert [(lock.party, lock.event, lock.reason) for lock in standing.locks] == [
        (BOREALIA, SUSPENDED.digest, "a breach")
    ]


def test_every_lock_must_be_lifted() -> None:
    mine = event(EventKind.SUSPEND, AURELIA, FIRST)
    assert {lock.party for lock in stand(*AGREED, SUSPENDED, mine).locks} == {AURELIA, BOREALIA}
    assert stand(*AGREED, SUSPENDED, mine, RESUMED).state is State.SUSPENDED
    lifted = event(EventKind.RESUME, AURELIA, FIRST, re=mine.digest)
    assert stand(*AGREED, SUSPENDED, mine, RESUMED, lifted).state is State.IN_FORCE


def test_a_question_of_no_party_and_an_answer_of_no_party_do_not_count() -> None:
    foreign = event(EventKind.CLARIFY, MERIDIA, FIRST)
    assert stand(PROPOSED, foreign).open_questions == ()
    assert stand(PROPOSED, QUESTION, event(EventKind.ANSWER, MERIDIA, FIRST, re=QUESTION.digest)).open_questions == (
        QUESTION,
    )


@pytest.mark.parametrize(
    ("at", "state"),
    [
        ("2025-12-31T23:59:59.999999Z", State.AGREED),
        ("2026-01-01T00:00:00Z", State.IN_FORCE),
        ("2035-12-31T23:59:59.999999Z", State.IN_FORCE),
        ("2036-01-01T00:00:00Z", State.EXPIRED),
    ],
)
def test_in_force_from_the_first_instant_until_before_the_last(at: str, state: State) -> None:
    assert stand(*AGREED, now=parse_instant(at)).state is state


def test_without_an_end_it_does_not_expire() -> None:
    open_ended = make_terms(AURELIA, BOREALIA, valid_until=None)
    said = sign_all(open_ended)
    assert stand(*said, versions=(open_ended,), now=parse_instant("9999-01-01T00:00:00Z")).state is State.IN_FORCE


def test_expired_and_suspended_is_expired() -> None:
    assert stand(*AGREED, SUSPENDED, now=parse_instant("2036-01-01T00:00:00Z")).state is State.EXPIRED


def test_a_newer_version_not_begun_yet_closes_the_older_one() -> None:
    said = sign_all(SECOND) + sign_all(LATER)
    standing = stand(*AGREED, *said, versions=(*LINE, LATER))
    assert (standing.state, standing.current) == (State.AGREED, LATER)
    assert "in force from 2030-01-01T00:00:00.000000Z" in standing.sentence


# --- what may be said now -----------------------------------------------------------------------------------------


def test_every_state_is_in_the_table() -> None:
    assert MAY.keys() == set(State)


TALK = "answer clarify"
NEXT_TEXT = "accept counter propose reject withdraw " + TALK


@pytest.mark.parametrize(
    ("states", "words"),
    [
        ([State.DRAFT, State.LAPSED], "propose"),
        ([State.PROPOSED, State.COUNTERED, State.ACCEPTED], "accept clarify counter reject withdraw"),
        ([State.IN_CLARIFICATION], "accept answer clarify counter reject withdraw"),
        ([State.REJECTED, State.WITHDRAWN], "leave propose resume suspend terminate"),
        ([State.AGREED, State.SUSPENDED], f"accede admit confirm leave resume suspend terminate {NEXT_TEXT}"),
        ([State.IN_FORCE], f"accede admit leave resume suspend terminate {NEXT_TEXT}"),
        ([State.EXPIRED], f"leave terminate {NEXT_TEXT}"),
        ([State.CONFLICTING], f"leave resume suspend terminate {TALK}"),
        ([State.TERMINATED], ""),
    ],
)
def test_what_may_be_said_in_each_state(states: list[State], words: str) -> None:
    """One can always stop what could be open, and nothing is said of what has ended."""
    for state in states:
        assert {kind.value for kind in MAY[state]} == set(words.split())


@pytest.mark.parametrize("state", [state for state in State if EventKind.SUSPEND in MAY[state]])
def test_who_can_suspend_can_resume(state: State) -> None:
    assert EventKind.RESUME in MAY[state]


PARTNER_SUSPENDED = event(EventKind.SUSPEND, AURELIA, FIRST)


@pytest.mark.parametrize(
    ("said", "versions", "now_said"),
    [
        ((PROPOSED,), (FIRST,), ACCEPTED),
        ((PROPOSED,), (FIRST,), QUESTION),
        ((PROPOSED,), (FIRST,), REJECTED),
        ((PROPOSED,), (FIRST,), event(EventKind.REJECT, AURELIA, FIRST)),
        ((PROPOSED, QUESTION), (FIRST,), ANSWER),
        ((PROPOSED,), (FIRST,), event(EventKind.COUNTER, BOREALIA, SECOND)),
        ((PROPOSED,), (FIRST,), event(EventKind.WITHDRAW, AURELIA, FIRST)),
        (SIGNED, (FIRST,), AGREED[2]),
        ((PROPOSED, REJECTED), (FIRST,), event(EventKind.PROPOSE, BOREALIA, SECOND)),
        (AGREED, (FIRST,), SUSPENDED),
        ((*AGREED, PARTNER_SUSPENDED), (FIRST,), SUSPENDED),
        ((*AGREED, SUSPENDED), (FIRST,), RESUMED),
        (AGREED, (FIRST,), TERMINATED),
        (AGREED, (FIRST,), NEXT),
        ((*AGREED, NEXT), LINE, NEXT_ACCEPTED),
        ((*AGREED, NEXT), LINE, SUSPENDED),
        ((*AGREED, REJECTED), (FIRST,), TERMINATED),
    ],
)
def test_what_is_possible(said: tuple[Event, ...], versions: tuple[Terms, ...], now_said: Event) -> None:
    check_event(stand(*said, versions=versions), now_said, find(now_said))


@pytest.mark.parametrize(
    ("said", "versions", "now_said", "told"),
    [
        ((PROPOSED,), (FIRST,), event(EventKind.ACCEPT, MERIDIA, FIRST), "meridia is not a party"),
        ((PROPOSED,), (FIRST,), event(EventKind.ACCEPT, AURELIA, FIRST), "aurelia has signed this version already"),
        ((PROPOSED,), (FIRST,), SUSPENDED, "possible is: accept, clarify, counter, reject, withdraw"),
        ((PROPOSED,), (FIRST,), TERMINATED, "terminate is not possible now: proposed by aurelia"),
        (AGREED, (FIRST,), event(EventKind.ACCEPT, AURELIA, FIRST), "use suspend, leave or terminate"),
        (AGREED, (FIRST,), REJECTED, "use suspend, leave or terminate"),
        ((PROPOSED, REJECTED), (FIRST,), ACCEPTED, "possible is: leave, propose, resume"),
        ((*AGREED, SUSPENDED), (FIRST,), RESUMED_BY_OTHER, "only borealia, who suspended, can resume"),
        (AGREED, (FIRST,), RESUMED, "not in effect"),
        ((*AGREED, SUSPENDED, RESUMED), (FIRST,), RESUMED, "not in effect"),
        ((*AGREED, SUSPENDED), (FIRST,), SUSPENDED, "borealia has suspended it already"),
        ((PROPOSED,), (FIRST,), ANSWER, "answer is not possible now"),
        ((PROPOSED, QUESTION, ANSWER), (FIRST,), ANSWER, "answer is not possible now"),
        (AGREED, (FIRST,), ANSWER, "only an open one can be answered"),
        ((*AGREED, TERMINATED), (FIRST,), RESUMED, "possible is: nothing any more"),
        (AGREED, (FIRST,), event(EventKind.PROPOSE, BOREALIA, FIRST), "accept it, or change it"),
        ((*AGREED, NEXT), LINE, event(EventKind.PROPOSE, BOREALIA, RIVAL), "the next one is 3"),
        ((*AGREED, NEXT), LINE, event(EventKind.ACCEPT, BOREALIA, RIVAL), "version 2 was countered"),
        ((*AGREED, NEXT, event(EventKind.REJECT, AURELIA, SECOND)), LINE, NEXT_ACCEPTED, "is refused by aurelia"),
    ],
)
def test_what_is_not_possible_and_what_is_instead(
    said: tuple[Event, ...], versions: tuple[Terms, ...], now_said: Event, told: str
) -> None:
    with pytest.raises(TransitionError, match=told):
        check_event(stand(*said, versions=versions), now_said, find(now_said))


def test_a_text_that_has_run_out_is_neither_proposed_nor_signed() -> None:
    """Signed by all it would end what it replaces."""
    ran_out = make_terms(AURELIA, BOREALIA, replaces=FIRST, valid_until="2026-07-01T00:00:00Z")
    now = parse_instant("2026-07-01T00:00:00Z")
    for before, kind in ((1, None), (0, "ran out on 2026-07-01")):
        at = Instant(now - before)
        proposal = event(EventKind.PROPOSE, AURELIA, ran_out, at=at)
        pending = stand(*AGREED, proposal, versions=(FIRST, ran_out), now=at)
        acceptance = event(EventKind.ACCEPT, BOREALIA, ran_out, at=at)
        if kind is None:
            check_event(stand(*AGREED, now=at), proposal, ran_out)
            check_event(pending, acceptance, ran_out)
            continue
        with pytest.raises(TransitionError, match=kind):
            check_event(stand(*AGREED, now=at), proposal, ran_out)
        with pytest.raises(TransitionError, match=kind):
            check_event(pending, acceptance, ran_out)
        check_event(pending, event(EventKind.REJECT, BOREALIA, ran_out, at=at), ran_out)


def test_a_joiner_has_a_say_in_what_binds_it_and_none_in_the_next_text_of_others() -> None:
    joined = [*sign_all(GROUP), *join(GROUP, by=[AURELIA, BOREALIA])]
    proposed = event(EventKind.PROPOSE, AURELIA, WIDER)
    standing = stand(*joined, proposed, versions=(GROUP, WIDER))
    for kind in (EventKind.SUSPEND, EventKind.LEAVE):
        check_event(standing, event(kind, TAVRIA, GROUP), GROUP)
    check_event(stand(*joined, versions=(GROUP,)), event(EventKind.CLARIFY, TAVRIA, GROUP), GROUP)
    for kind in (EventKind.ACCEPT, EventKind.REJECT, EventKind.WITHDRAW, EventKind.CLARIFY):
        with pytest.raises(TransitionError, match="tavria is not a party"):
            check_event(standing, event(kind, TAVRIA, WIDER), WIDER)
    with pytest.raises(TransitionError, match="the founders admit joiners"):
        check_event(standing, event(EventKind.ADMIT, TAVRIA, GROUP, joiner=PartyId("cimbria"), manifest=SHOWN), GROUP)


def test_a_group_is_left_and_an_agreement_between_two_is_terminated() -> None:
    group = stand(*sign_all(GROUP), versions=(GROUP,))
    with pytest.raises(TransitionError, match="use leave"):
        check_event(group, event(EventKind.TERMINATE, AURELIA, GROUP), GROUP)
    with pytest.raises(TransitionError, match="use terminate"):
        check_event(stand(*AGREED), event(EventKind.LEAVE, AURELIA, FIRST), FIRST)
    left = stand(*sign_all(GROUP), event(EventKind.LEAVE, AURELIA, GROUP), versions=(GROUP,))
    assert (left.state, left.members) == (State.IN_FORCE, frozenset({BOREALIA, MERIDIA}))
    with pytest.raises(TransitionError, match="aurelia has left"):
        check_event(left, event(EventKind.SUSPEND, AURELIA, GROUP), GROUP)


@pytest.mark.parametrize("kind", [EventKind.REJECT, EventKind.WITHDRAW])
def test_a_group_that_is_closed_can_still_be_left(kind: EventKind) -> None:
    closed = stand(*sign_all(GROUP), event(kind, BOREALIA, GROUP), versions=(GROUP,))
    check_event(closed, event(EventKind.LEAVE, AURELIA, GROUP), GROUP)


@pytest.mark.parametrize(
    ("said", "now_said", "told"),
    [
        ((), event(EventKind.ADMIT, AURELIA, GROUP, joiner=MERIDIA, manifest=SHOWN), "meridia is a member already"),
        (
            join(GROUP, by=[AURELIA])[1:],
            event(EventKind.ADMIT, AURELIA, GROUP, joiner=TAVRIA, manifest=SHOWN),
            "has said so already",
        ),
        (
            [*join(GROUP, by=[AURELIA, BOREALIA]), event(EventKind.LEAVE, TAVRIA, GROUP)],
            event(EventKind.ADMIT, AURELIA, GROUP, joiner=TAVRIA, manifest=SHOWN),
            "tavria has left",
        ),
        ((), event(EventKind.ACCEDE, AURELIA, GROUP, manifest=SHOWN), "is a party of .* already: accept it"),
        (
            [event(EventKind.SUSPEND, AURELIA, GROUP)],
            event(EventKind.SUSPEND, AURELIA, GROUP, channel="all"),
            "has suspended it already",
        ),
    ],
)
def test_what_is_not_possible_in_a_group(said: Sequence[Event], now_said: Event, told: str) -> None:
    with pytest.raises(TransitionError, match=told):
        check_event(stand(*sign_all(GROUP), *said, versions=(GROUP,)), now_said, GROUP)


def test_an_agreement_between_two_is_closed_to_joiners() -> None:
    with pytest.raises(TransitionError, match="is closed"):
        check_event(stand(*AGREED), event(EventKind.ADMIT, AURELIA, FIRST, joiner=MERIDIA, manifest=SHOWN), FIRST)


def test_one_channel_can_be_suspended_beside_another_and_must_be_there() -> None:
    one = event(EventKind.SUSPEND, AURELIA, GROUP, channel="all")
    standing = stand(*sign_all(GROUP), one, versions=(GROUP,))
    assert standing.state is State.IN_FORCE
    assert "channel all suspended by aurelia" in standing.sentence
    check_event(standing, event(EventKind.SUSPEND, AURELIA, GROUP, channel="aurelia"), GROUP)
    check_event(standing, event(EventKind.SUSPEND, AURELIA, GROUP), GROUP)
    with pytest.raises(MalformedMessage, match="its channels are"):
        check_event(standing, event(EventKind.SUSPEND, AURELIA, GROUP, channel="nowhere"), GROUP)


def test_a_reservation_is_made_where_the_text_allows_it() -> None:
    proposed = stand(event(EventKind.PROPOSE, AURELIA, GROUP), versions=(GROUP,))
    good, bad = (
        event(EventKind.ACCEPT, BOREALIA, GROUP, reservations=(Reservation(clause=clause, ground=ground, text=None),))
        for clause, ground in (("channels.aurelia", "national_law"), ("purposes", "national_law"))
    )
    check_event(proposed, good, GROUP)
    with pytest.raises(TransitionError, match="allows no reservation on purposes"):
        check_event(proposed, bad, GROUP)
    signed = [one for one in sign_all(GROUP) if one.party != BOREALIA or one.kind is not EventKind.ACCEPT]
    assert stand(*signed, good, versions=(GROUP,)).state is State.IN_FORCE
    assert stand(*signed, bad, versions=(GROUP,)).sentence.startswith("signed by all, but version 1 is rejected by")


def test_a_party_first_named_in_a_later_version_reads_it_alone_and_no_other_stands_alone_there() -> None:
    """Else one party could use up the highest number there is, where the others do not see the first version."""
    said = sign_all(THREE)
    assert stand(*said, versions=(THREE,)).state is State.IN_FORCE
    made_up = parse_terms(change_terms(THREE, version=1_000_000, supersedes="7" * 64))
    jumped = stand(*said, event(EventKind.PROPOSE, AURELIA, made_up), versions=(THREE, made_up))
    assert jumped == stand(*said, versions=(THREE,))


@pytest.mark.parametrize(
    ("said", "owed"),
    [
        ((PROPOSED,), [("borealia", "accept, counter or reject")]),
        ((PROPOSED, QUESTION), [("aurelia", "answer"), ("borealia", "accept, counter or reject")]),
        ((PROPOSED, REJECTED), []),
        (SIGNED, [("aurelia", "confirm"), ("borealia", "confirm")]),
        (AGREED, []),
        ((*AGREED, SUSPENDED), [("borealia", "resume")]),
        ((*AGREED, TERMINATED), []),
    ],
)
def test_whose_turn_it_is(said: tuple[Event, ...], owed: list[tuple[str, str]]) -> None:
    assert [(step.party, step.act) for step in find_next_steps(stand(*said))] == owed


def test_whose_turn_it_is_when_somebody_wants_to_join() -> None:
    admitted = join(GROUP, by=[AURELIA])[1:]
    steps = find_next_steps(stand(*sign_all(GROUP), *admitted, versions=(GROUP,)))
    assert [(step.party, step.act) for step in steps] == [("borealia", "admit"), ("meridia", "admit")]
    enough = join(GROUP, by=[AURELIA, BOREALIA])[1:]
    steps = find_next_steps(stand(*sign_all(GROUP), *enough, versions=(GROUP,)))
    assert [(step.party, step.act) for step in steps] == [("tavria", "accede")]


def test_a_version_replaces_the_latest_on_record() -> None:
    behind = make_terms(AURELIA, BOREALIA, replaces=RIVAL, title="After the rival")
    with pytest.raises(TransitionError, match=f'write supersedes = "{SECOND.hash}"'):
        check_event(stand(*AGREED, NEXT, versions=LINE), event(EventKind.PROPOSE, AURELIA, behind), behind)


def test_before_anything_is_proposed_one_can_only_propose() -> None:
    check_event(None, PROPOSED, FIRST)
    with pytest.raises(TransitionError, match="possible is: propose"):
        check_event(None, ACCEPTED, FIRST)


@pytest.mark.parametrize("clause", ["channels.nowhere", "regions", "channels.aurelia.retention", None])
def test_a_question_names_a_clause_that_is_there(clause: str | None) -> None:
    asked = ask(BOREALIA, clause=clause, text="?")
    with pytest.raises(MalformedMessage, match=r"its clauses are form, .*channels\.aurelia\.regions"):
        check_event(stand(PROPOSED), asked, FIRST)


@pytest.mark.parametrize("kind", [EventKind.CLARIFY, EventKind.ANSWER])
def test_a_question_and_an_answer_have_a_text(kind: EventKind) -> None:
    said = event(kind, BOREALIA, FIRST, text="", re=QUESTION.digest)
    with pytest.raises(MalformedMessage, match="needs a text"):
        check_event(stand(PROPOSED, QUESTION), said, FIRST)


def find(said: Event) -> Terms:
    return next(terms for terms in VERSIONS if terms.hash == said.terms)


def ask(party: PartyId, *, clause: str | None, text: str) -> Event:
    return Event(
        digest=QUESTION.digest,
        kind=EventKind.CLARIFY,
        agreement=FIRST.agreement_id,
        terms=FIRST.hash,
        party=party,
        at=NOW,
        clause=clause,
        text=text,
    )
