# SPDX-License-Identifier: Apache-2.0
"""Pure: what a party may say now, asked before it signs; and who owes the next step.

A message of another party is not held against this: it may have been right where it was written, and the state follows
from the set of events whatever was said (`agreement.lifecycle`).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from comity.agreement.events import TALK, Event, EventKind
from comity.agreement.lifecycle import Standing
from comity.agreement.record import count_admitting
from comity.agreement.terms import Terms, clause_names
from comity.agreement.transitions import MAY, State
from comity.errors import MalformedMessage, TransitionError
from comity.ids import PartyId, format_instant
from comity.vocabulary import RESERVATION_GROUNDS

__all__ = ["NextStep", "check_event", "choose_proposal", "choose_terms", "find_confirmable", "find_next_steps"]

_ON_THE_WHOLE = frozenset({EventKind.SUSPEND, EventKind.RESUME, EventKind.TERMINATE, EventKind.LEAVE})
"""What holds on the agreement and not on one version of it."""

_OF_MEMBERS = frozenset({EventKind.SUSPEND, EventKind.RESUME, EventKind.TERMINATE, EventKind.LEAVE, EventKind.ADMIT})


@dataclass(frozen=True, slots=True, kw_only=True)
class NextStep:
    """What `party` could do next, and why it is its turn; `response` names the time it was given for it, if any."""

    party: PartyId
    act: str
    why: str
    response: str | None = None


def choose_proposal(standing: Standing | None) -> EventKind:
    """How the next version is put: as a counter-proposal to one still open, which that refuses; else as a proposal."""
    if standing is None or standing.refused_by or standing.state is State.LAPSED:
        return EventKind.PROPOSE
    return EventKind.PROPOSE if standing.latest.founders <= standing.signed_by else EventKind.COUNTER


def choose_terms(kind: EventKind, standing: Standing) -> Terms:
    """The version an event is about: negotiation is about the latest, stopping about the one all signed."""
    return standing.current or standing.latest if kind in _ON_THE_WHOLE else standing.latest


def find_confirmable(standing: Standing, party: PartyId) -> Terms | None:
    """The version that every party signed and `party` has not confirmed, where it may; its own policy is not asked."""
    terms = standing.current
    if terms is None or party not in terms.founders - standing.left - standing.confirmed_by:
        return None
    return terms if EventKind.CONFIRM in MAY[standing.state] else None


def check_event(standing: Standing | None, event: Event, terms: Terms) -> None:
    """Nothing, when the party of `event` may say it about `terms` at `event.at`; `standing` is None before the first.

    Raises:
        TransitionError: not in this state, not this party, or said already; the message says what is possible.
        MalformedMessage: a clause or channel that `terms` does not have, or a question or answer without a text.
    """
    _check_sender(standing, event, terms)
    _check_words(event, terms)
    state = State.DRAFT if standing is None else standing.state
    if event.kind not in MAY[state]:
        possible = ", ".join(sorted(MAY[state])) or "nothing any more"
        stands = "nothing was proposed yet" if standing is None else standing.sentence
        raise TransitionError(f"{event.kind} is not possible now: {stands}; possible is: {possible}")
    if standing is not None and event.party in standing.left:
        raise TransitionError(f"{event.party} has left; whoever left comes back by another agreement")
    if standing is not None and event.kind in _OWN_CHECKS:
        _OWN_CHECKS[event.kind](standing, event, terms)


def _check_sender(standing: Standing | None, event: Event, terms: Terms) -> None:
    if event.kind is EventKind.ACCEDE:
        if event.party in terms.founders:
            raise TransitionError(f"{event.party} is a party of {terms.title!r} already: accept it")
    elif event.party not in _find_concerned(standing, event, terms):
        raise TransitionError(f"{event.party} is not a party of {terms.title!r}, so it has no say in it")


def _find_concerned(standing: Standing | None, event: Event, terms: Terms) -> frozenset[PartyId]:
    """Whose word of this kind counts: a text is negotiated by those it names; joiners have a say in what binds them.

    A text that replaces another is put by a party of that one: naming itself is no way in.
    """
    if standing is None:
        return terms.founders
    if event.kind in {EventKind.PROPOSE, EventKind.COUNTER}:
        bound = standing.current is not None and standing.current.hash == standing.latest.hash
        return terms.founders & (standing.latest.founders | (standing.members if bound else frozenset[PartyId]()))
    if event.kind not in _OF_MEMBERS | TALK:
        return terms.founders
    if event.kind in TALK and (standing.current is None or terms.hash != standing.current.hash):
        return terms.founders
    return terms.founders | standing.members


def _check_words(event: Event, terms: Terms) -> None:
    if event.kind in TALK and not event.text:
        raise MalformedMessage("a question or an answer needs a text", where="text")
    if event.kind is EventKind.CLARIFY and event.clause not in (names := clause_names(terms)):
        raise MalformedMessage(
            f"{event.clause!r} is not a clause of {terms.title!r}; its clauses are {', '.join(names)}", where="clause"
        )
    if event.channel is not None and terms.channel(event.channel) is None:
        known = ", ".join(channel.id for channel in terms.channels)
        raise MalformedMessage(
            f"{event.channel!r} is not a channel of {terms.title!r}; its channels are {known}", where="channel"
        )
    for reservation in event.reservations:
        if reservation.clause not in terms.reservable:
            allowed = ", ".join(sorted(terms.reservable)) or "none"
            raise TransitionError(
                f"{terms.title!r} allows no reservation on {reservation.clause} (allowed on: {allowed});"
                " counter it with a text that does"
            )
        if reservation.ground not in RESERVATION_GROUNDS:
            grounds = ", ".join(sorted(RESERVATION_GROUNDS))
            raise MalformedMessage(f"{reservation.ground!r} is no ground; use one of {grounds}", where="ground")


def _check_suspending(standing: Standing, event: Event, _: Terms) -> None:
    if any(lock.party == event.party and lock.channel in {None, event.channel} for lock in standing.locks):
        raise TransitionError(f"{event.party} has suspended it already: {standing.sentence}")


def _check_answer(standing: Standing, event: Event, _: Terms) -> None:
    if event.re not in {question.digest for question in standing.open_questions}:
        raise TransitionError("that question is not open; only an open one can be answered")


def _check_confirmation(standing: Standing, event: Event, _: Terms) -> None:
    if event.party in standing.confirmed_by:
        raise TransitionError(f"{event.party} has confirmed this version already")


def _check_proposal(standing: Standing, event: Event, terms: Terms) -> None:
    latest = standing.latest
    if terms.hash == latest.hash:
        raise TransitionError(f"this very text is on record as version {latest.version}: accept it, or change it")
    if terms.version != latest.version + 1:
        raise TransitionError(f"version {latest.version} is on record; the next one is {latest.version + 1}")
    if terms.supersedes != latest.hash:
        raise TransitionError(f'the next version replaces the latest one on record: write supersedes = "{latest.hash}"')
    _check_time(event, terms)
    _check_nobody_left_out(standing, latest.founders, terms)
    if event.kind is not choose_proposal(standing):
        raise TransitionError(f"{event.kind} is not possible now: {standing.sentence}; use {choose_proposal(standing)}")


def _check_nobody_left_out(standing: Standing, named: frozenset[PartyId], terms: Terms) -> None:
    """Who is bound, or named by the version to be replaced, is named by the next one: nobody is put out by others.

    Else a lock of whoever is left out would stand on one side, and be unknown to whoever is new on the other.
    """
    bound = named if standing.current is None else named | standing.members
    if missing := bound - standing.left - terms.founders:
        raise TransitionError(
            f"version {terms.version} leaves out {_list(missing)}: a next version names every party of the one before"
            " that has not left. Whoever goes says so by leave; other parties begin another agreement"
        )


def _check_signing(standing: Standing, event: Event, terms: Terms) -> None:
    latest = standing.latest
    if standing.current is not None and standing.current.hash == terms.hash:
        raise TransitionError("every party has signed this version: use suspend, leave or terminate to stop it")
    if terms.hash != latest.hash:
        raise TransitionError(f"version {terms.version} was countered; {event.kind} version {latest.version} instead")
    if standing.refused_by:
        raise TransitionError(
            f"version {terms.version} is refused by {_list(standing.refused_by)}: propose a new version"
        )
    if event.kind is EventKind.ACCEPT:
        _check_nobody_left_out(standing, frozenset(), terms)
        if event.party in standing.signed_by:
            raise TransitionError(f"{event.party} has signed this version already: {standing.sentence}")
        _check_time(event, terms)
    if event.kind is EventKind.WITHDRAW and event.party not in standing.signed_by:
        raise TransitionError(f"{event.party} has not signed this version, so it cannot withdraw: reject it")


def _check_time(event: Event, terms: Terms) -> None:
    """A text that has run out would, signed by all, end what it replaces."""
    if terms.valid_until is not None and event.at >= terms.valid_until:
        ended = format_instant(terms.valid_until)
        raise TransitionError(f"version {terms.version} ran out on {ended}: propose one that is still to come")


def _check_lifting(standing: Standing, event: Event, _: Terms) -> None:
    holders = {lock.event: lock.party for lock in standing.locks}
    holder = None if event.re is None else holders.get(event.re)
    if holder is None:
        raise TransitionError(f"that suspension is not in effect, so it cannot be lifted: {standing.sentence}")
    if holder != event.party:
        raise TransitionError(f"only {holder}, who suspended, can resume")


def _check_ending(_: Standing, event: Event, terms: Terms) -> None:
    if event.kind is EventKind.TERMINATE and terms.structure.group:
        raise TransitionError(f"{terms.title!r} is a group, which goes on without one party: use leave")
    if event.kind is EventKind.LEAVE and not terms.structure.group:
        raise TransitionError(f"{terms.title!r} is between two parties: use terminate")


def _check_joining(standing: Standing, event: Event, terms: Terms) -> None:
    if not count_admitting(terms):
        raise TransitionError(f"{terms.title!r} is closed: a new version that names the party can be proposed")
    if standing.current is None or standing.current.hash != terms.hash:
        raise TransitionError(f"only the version that every party signed can be joined: {standing.sentence}")
    joiner = event.joiner if event.kind is EventKind.ADMIT else event.party
    if joiner in standing.members:
        raise TransitionError(f"{joiner} is a member already")
    if joiner in standing.left:
        raise TransitionError(f"{joiner} has left; whoever left comes back by another agreement")
    if event.kind is EventKind.ACCEDE and not _is_admitted(standing, event, terms):
        raise TransitionError(f"{event.party} is not admitted by enough of the founders ({_list(terms.founders)}) yet")
    if event.kind is EventKind.ADMIT and event.party not in terms.founders:
        raise TransitionError(
            f"the founders admit joiners ({_list(terms.founders)}), and {event.party} is none of them"
        )
    if any(
        said.kind is event.kind
        and said.party == event.party
        and said.joiner == event.joiner
        and said.manifest == event.manifest
        for said in standing.admissions
    ):
        raise TransitionError(f"{event.party} has said so already: {standing.sentence}")


def _is_admitted(standing: Standing, event: Event, terms: Terms) -> bool:
    """Whether those whom the text asks admit the sender by its manifest, as far as it knows: else nobody takes it."""
    admitting = {
        said.party
        for said in standing.admissions
        if (said.kind, said.joiner, said.manifest) == (EventKind.ADMIT, event.party, event.manifest)
    }
    return len(admitting & terms.founders) >= count_admitting(terms)


_OWN_CHECKS: Mapping[EventKind, Callable[[Standing, Event, Terms], None]] = {
    EventKind.PROPOSE: _check_proposal,
    EventKind.COUNTER: _check_proposal,
    EventKind.ACCEPT: _check_signing,
    EventKind.REJECT: _check_signing,
    EventKind.WITHDRAW: _check_signing,
    EventKind.CONFIRM: _check_confirmation,
    EventKind.ANSWER: _check_answer,
    EventKind.SUSPEND: _check_suspending,
    EventKind.RESUME: _check_lifting,
    EventKind.TERMINATE: _check_ending,
    EventKind.LEAVE: _check_ending,
    EventKind.ADMIT: _check_joining,
    EventKind.ACCEDE: _check_joining,
}
"""What depends on the party itself: what it has signed, which locks it holds. Asking a question depends on nothing."""


def find_next_steps(standing: Standing) -> tuple[NextStep, ...]:
    """Whose turn it is, and for what, by party; empty where nobody owes anything."""
    steps = [*_owed_negotiation(standing), *_owed_standing(standing), *_owed_joining(standing)]
    return tuple(sorted(steps, key=lambda step: (step.party, step.act, step.why)))


def _owed_negotiation(standing: Standing) -> list[NextStep]:
    latest = standing.latest
    steps = list[NextStep]()
    for question in standing.open_questions:
        asked = (standing.proposed_by or latest.founders) - {question.party} or latest.founders - {question.party}
        steps += [
            NextStep(
                party=party,
                act="answer",
                why=f"{question.party} asks about {question.clause}",
                response="clarification",
            )
            for party in asked
        ]
    closed = standing.refused_by or standing.state in {State.LAPSED, State.TERMINATED, State.CONFLICTING}
    if not closed:
        steps += [
            NextStep(
                party=party, act="accept, counter or reject", why=f"version {latest.version}", response="acceptance"
            )
            for party in latest.founders - standing.signed_by
        ]
    return steps


def _owed_standing(standing: Standing) -> list[NextStep]:
    current = standing.current
    if current is None or standing.state in {State.TERMINATED, State.EXPIRED}:
        return []
    steps = [
        NextStep(party=party, act="confirm", why=f"version {current.version} is signed by all")
        for party in current.founders - standing.left - standing.confirmed_by
    ]
    steps += [
        NextStep(
            party=lock.party, act="resume", why=f"suspended {f'channel {lock.channel}' if lock.channel else 'by it'}"
        )
        for lock in standing.locks
    ]
    return steps + [NextStep(party=lapse.party, act="renew", why=lapse.reason) for lapse in standing.lapses]


def _find_admitting(standing: Standing) -> dict[PartyId, frozenset[PartyId]]:
    """Each party that a founder has admitted, member already or not, with those founders."""
    admitting: dict[PartyId, frozenset[PartyId]] = {}
    for said in standing.admissions:
        if said.kind is EventKind.ADMIT and said.joiner is not None:
            admitting[said.joiner] = admitting.get(said.joiner, frozenset()) | {said.party}
    return admitting


def _owed_joining(standing: Standing) -> list[NextStep]:
    current = standing.current
    if current is None:
        return []
    steps = list[NextStep]()
    for joiner, founders in _find_admitting(standing).items():
        if joiner in standing.members:
            continue
        if len(founders & current.founders) >= count_admitting(current):
            steps.append(NextStep(party=joiner, act="accede", why=f"admitted by {_list(founders)}"))
            continue
        steps += [
            NextStep(party=party, act="admit", why=f"{joiner} is admitted by {_list(founders)} only")
            for party in current.founders - founders - standing.left
        ]
    return steps


def _list(words: frozenset[PartyId] | set[PartyId]) -> str:
    return ", ".join(sorted(words))
