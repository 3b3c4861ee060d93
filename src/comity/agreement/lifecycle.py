# SPDX-License-Identifier: Apache-2.0
"""Pure: the state of an agreement, computed from the set of its signed events and the clock.

Rules for this file: no state is kept, only computed; no event is believed for the time it claims, nor for the order
it came in.

Theory. Two nodes that have the same events show the same state, whatever was late, repeated or out of order. So each
rule is a statement about a set: "every party has signed", "a suspension that its holder has not lifted"; never "the
last event was". An answer or a lifting that arrives before what it is about simply waits for it. Where a party has said
two things that cannot both hold, the one under which less is given counts.

    versions + events + now  ──compute_standing──▶  Standing(state=IN_FORCE, sentence="in force since …", …)

What a party may do *now* is another question, asked before it signs (`check_event`); a message of another party is not
held against it, because it may have been right where it was written.

Not here: recognition (`agreement.recognition`), which each node judges for itself, and signatures (`comity.exchange`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise

from comity.agreement.terms import Terms, clause_names
from comity.errors import MalformedMessage, TransitionError
from comity.ids import AgreementId, Digest, Instant, PartyId, format_instant

__all__ = ["MAY", "Event", "EventKind", "Lock", "Standing", "State", "check_event", "compute_standing"]


class EventKind(StrEnum):
    """What a party can say of an agreement."""

    PROPOSE = "propose"
    ACCEPT = "accept"
    REJECT = "reject"
    CLARIFY = "clarify"
    ANSWER = "answer"
    SUSPEND = "suspend"
    RESUME = "resume"
    TERMINATE = "terminate"


class State(StrEnum):
    """Where an agreement stands; the table in `MAY` says what a party may do in each."""

    PROPOSED = "proposed"
    IN_CLARIFICATION = "in clarification"
    ACCEPTED = "accepted"
    REJECTED = "rejected"
    AGREED = "agreed"
    IN_FORCE = "in force"
    SUSPENDED = "suspended"
    EXPIRED = "expired"
    TERMINATED = "terminated"
    CONFLICTING = "conflicting"


_TALK = frozenset({EventKind.CLARIFY, EventKind.ANSWER})
_STOP = frozenset({EventKind.SUSPEND, EventKind.RESUME, EventKind.TERMINATE})
_NEGOTIATE = frozenset({EventKind.PROPOSE, EventKind.ACCEPT, EventKind.REJECT}) | _TALK

MAY: dict[State, frozenset[EventKind]] = {
    State.PROPOSED: _NEGOTIATE,
    State.IN_CLARIFICATION: _NEGOTIATE,
    State.ACCEPTED: _NEGOTIATE,
    State.REJECTED: frozenset({EventKind.PROPOSE}),
    State.AGREED: _NEGOTIATE | _STOP,
    State.IN_FORCE: _NEGOTIATE | _STOP,
    State.SUSPENDED: _NEGOTIATE | _STOP,
    State.EXPIRED: frozenset({EventKind.PROPOSE, EventKind.TERMINATE}) | _TALK,
    State.TERMINATED: frozenset(),
    State.CONFLICTING: frozenset({EventKind.TERMINATE, EventKind.SUSPEND}) | _TALK,
}
"""State → what any party may say in it, subject to what is about that party alone (it has signed, it holds no lock)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One signed event. `digest` is the SHA-256 of its payload and its identity; `at` is the sender's claim.

    `re` is the question that an ANSWER answers, or the SUSPEND that a RESUME lifts.
    """

    digest: Digest
    kind: EventKind
    agreement: AgreementId
    terms: Digest
    party: PartyId
    at: Instant
    clause: str | None = None
    text: str | None = None
    re: Digest | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Lock:
    """One suspension; only `party`, who holds it, can lift it."""

    party: PartyId
    event: Digest
    at: Instant
    reason: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """The state of an agreement at one time, and what led to it.

    `current` is the version that every party signed last, None when there is none; `latest` the newest on record, with
    the parties that signed it and the questions on it that nobody has answered. `sentence` is the state for people.
    """

    state: State
    sentence: str
    current: Terms | None
    latest: Terms
    signed_by: frozenset[PartyId]
    open_questions: tuple[Event, ...]
    locks: tuple[Lock, ...]


def compute_standing(versions: Sequence[Terms], events: Sequence[Event], *, now: Instant) -> Standing:
    """The standing of the agreement that `versions` (at least one) and `events` are all that is on record of.

    Neither order nor repetition of either changes it.
    """
    unique = {event.digest: event for event in events}
    said = [unique[digest] for digest in sorted(unique)]
    ordered = sorted({terms.hash: terms for terms in versions}.values(), key=lambda terms: (terms.version, terms.hash))
    members = frozenset(party.id for terms in ordered for party in terms.parties)
    said = [event for event in said if event.party in members]
    agreed = [terms for terms in ordered if _is_agreed(terms, said)]
    current = agreed[-1] if agreed else None
    latest = ordered[-1]
    signed = _signers(latest, said)
    questions = _open_questions(latest, said)
    locks = _locks(said)
    state, sentence = _name_state(ordered, agreed, said, now=now)
    return Standing(
        state=state,
        sentence=sentence,
        current=current,
        latest=latest,
        signed_by=signed,
        open_questions=questions,
        locks=locks,
    )


def check_event(standing: Standing | None, event: Event, terms: Terms) -> None:
    """Nothing, when the party of `event` may say it now about `terms`; `standing` is None before the first proposal.

    Raises:
        TransitionError: not in this state, not this party, or said already; the message says what is possible.
        MalformedMessage: no such clause in `terms`, or a question or answer without text.
    """
    if event.party not in {party.id for party in terms.parties}:
        raise TransitionError(f"{event.party} is not a party of {terms.title!r}")
    if event.kind in _TALK and not event.text:
        raise MalformedMessage("a question or an answer needs a text", where="text")
    if event.clause is not None and event.clause not in clause_names(terms):
        raise MalformedMessage(
            f"{event.clause!r} is not a clause of {terms.title!r}; its clauses are {', '.join(clause_names(terms))}",
            where="clause",
        )
    if standing is None:
        if event.kind is not EventKind.PROPOSE:
            raise TransitionError("nothing was proposed yet")
        return
    if event.kind not in MAY[standing.state]:
        possible = ", ".join(sorted(MAY[standing.state])) or "nothing any more"
        raise TransitionError(f"the agreement is {standing.sentence}; possible is: {possible}")
    _check_own(standing, event, terms)


def _check_own(standing: Standing, event: Event, terms: Terms) -> None:
    """What depends on the party itself: what it has signed, and which locks it holds."""
    match event.kind:
        case EventKind.ACCEPT | EventKind.REJECT:
            _check_signing(standing, event, terms)
        case EventKind.PROPOSE:
            expected = standing.latest.version + 1
            if terms.version != expected:
                raise TransitionError(f"version {standing.latest.version} is on record; the next one is {expected}")
        case EventKind.SUSPEND:
            if any(lock.party == event.party for lock in standing.locks):
                raise TransitionError(f"{event.party} has suspended it already: {standing.sentence}")
        case EventKind.RESUME:
            _check_lifting(standing, event)
        case EventKind.ANSWER:
            if event.re not in {question.digest for question in standing.open_questions}:
                raise TransitionError("that question is not open")
        case EventKind.CLARIFY | EventKind.TERMINATE:
            pass


def _check_signing(standing: Standing, event: Event, terms: Terms) -> None:
    if standing.current is not None and standing.current.hash == terms.hash:
        raise TransitionError("every party has signed this version; use suspend or terminate to stop it")
    if event.kind is EventKind.ACCEPT and event.party in standing.signed_by:
        raise TransitionError(f"{event.party} has signed this version already: {standing.sentence}")


def _check_lifting(standing: Standing, event: Event) -> None:
    holders = {lock.event: lock.party for lock in standing.locks}
    if event.re not in holders:
        raise TransitionError(f"that suspension is not in effect; the agreement is {standing.sentence}")
    if holders[event.re] != event.party:
        raise TransitionError(f"only {holders[event.re]}, who suspended, can resume")


def _signers(terms: Terms, events: Sequence[Event]) -> frozenset[PartyId]:
    members = {party.id for party in terms.parties}
    return frozenset(
        event.party
        for event in events
        if event.kind in {EventKind.PROPOSE, EventKind.ACCEPT} and event.terms == terms.hash and event.party in members
    )


def _rejecters(terms: Terms, events: Sequence[Event]) -> frozenset[PartyId]:
    return frozenset(event.party for event in events if event.kind is EventKind.REJECT and event.terms == terms.hash)


def _is_agreed(terms: Terms, events: Sequence[Event]) -> bool:
    """Every party signed these very bytes, and none said no to them: a no counts whenever it was said."""
    return _signers(terms, events) == {party.id for party in terms.parties} and not _rejecters(terms, events)


def _open_questions(terms: Terms, events: Sequence[Event]) -> tuple[Event, ...]:
    answered = {event.re for event in events if event.kind is EventKind.ANSWER}
    asked = [
        event
        for event in events
        if event.kind is EventKind.CLARIFY and event.terms == terms.hash and event.digest not in answered
    ]
    return tuple(sorted(asked, key=lambda event: (event.at, event.digest)))


def _locks(events: Sequence[Event]) -> tuple[Lock, ...]:
    lifted = {(event.party, event.re) for event in events if event.kind is EventKind.RESUME}
    held = [
        Lock(party=event.party, event=event.digest, at=event.at, reason=event.text)
        for event in events
        if event.kind is EventKind.SUSPEND and (event.party, event.digest) not in lifted
    ]
    return tuple(sorted(held, key=lambda lock: (lock.at, lock.event)))


def _name_state(
    versions: Sequence[Terms], agreed: Sequence[Terms], events: Sequence[Event], *, now: Instant
) -> tuple[State, str]:
    """The state and its sentence; what ends an agreement is asked first, what opens it last."""
    if ended := sorted({event.party for event in events if event.kind is EventKind.TERMINATE}):
        return State.TERMINATED, f"terminated by {_list(ended)}"
    if not agreed:
        return _name_negotiation(versions[-1], events)
    if not _follow_each_other(versions, agreed):
        return State.CONFLICTING, "signed by all in versions that do not follow one another; nothing is in force"
    if locks := _locks(events):
        return State.SUSPENDED, "suspended by " + "; ".join(
            f"{lock.party} since {format_instant(lock.at)}" for lock in locks
        )
    return _name_validity(agreed[-1], now=now)


def _name_validity(current: Terms, *, now: Instant) -> tuple[State, str]:
    """What the clock says of a version that every party signed and nobody has suspended."""
    if current.valid_until is not None and now >= current.valid_until:
        return State.EXPIRED, f"expired on {format_instant(current.valid_until)}"
    signed = f"agreed by all ({_list([party.id for party in current.parties])}), version {current.version}"
    if now < current.valid_from:
        return State.AGREED, f"{signed}, in force from {format_instant(current.valid_from)}"
    return State.IN_FORCE, f"in force: {signed}"


def _name_negotiation(latest: Terms, events: Sequence[Event]) -> tuple[State, str]:
    refused = sorted(_rejecters(latest, events))
    if refused:
        return State.REJECTED, f"rejected by {_list(refused)}"
    signed = _signers(latest, events)
    missing = _list(sorted({party.id for party in latest.parties} - signed))
    proposers = sorted(
        {event.party for event in events if event.kind is EventKind.PROPOSE and event.terms == latest.hash}
    )
    by = f"proposed by {_list(proposers)}" if proposers else f"signed by {_list(sorted(signed))}"
    if _open_questions(latest, events):
        asked = _open_questions(latest, events)
        what = "; ".join(f"{event.party} asks about {event.clause}" for event in asked)
        return State.IN_CLARIFICATION, f"{by}, not agreed: {what}"
    if signed - set(proposers):
        return State.ACCEPTED, f"{by}, signed by {_list(sorted(signed))} only; {missing} has not signed"
    return State.PROPOSED, f"{by}; {missing} has not signed"


def _follow_each_other(versions: Sequence[Terms], agreed: Sequence[Terms]) -> bool:
    """Whether each version that all signed descends from the one that all signed before it.

    Proposals in between that were never agreed are steps of the descent.
    """
    supersedes = {terms.hash: terms.supersedes for terms in versions}
    for earlier, later in pairwise(agreed):
        step, seen = later.supersedes, set[Digest]()
        while step is not None and step != earlier.hash and step not in seen:
            seen.add(step)
            step = supersedes.get(step)
        if step != earlier.hash:
            return False
    return True


def _list(words: Sequence[str]) -> str:
    return ", ".join(words)
