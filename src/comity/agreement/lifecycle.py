# SPDX-License-Identifier: Apache-2.0
"""Pure: the state of an agreement, computed from the set of its signed events and the clock.

Rules for this file: no state is kept, only computed; no event is believed for the time it claims, nor for the order
it came in.

Theory. Two nodes that have the same events show the same state, whatever was late, repeated or out of order. So each
rule is a statement about a set: "every party has signed", "a suspension that its holder has not lifted", never "the
last event was". An answer or a lifting that arrives before what it is about simply waits for it. Where a party has said
two things that cannot both hold, the one under which less is given counts.

    versions + events + now  ──compute_standing──▶  Standing(state=IN_FORCE, sentence="in force: agreed by all …", …)

Three words carry the rest:

    belongs  a version is part of the agreement if it is the first one, whose hash is the agreement's id; or if it is
             the next one after one that belongs, and a party of that one signed it. Whoever is in none of them can say
             what it likes about an agreement whose id it learned: nothing of it counts.
    sealed   every party of a version that belongs has signed it. Signatures are never taken back, so what is sealed
             stays sealed: a late event can add to it and not undo it.
    head     the newest sealed version, if the sealed ones form one line in which each replaces the one before; with two
             lines there is no head, and nothing is in force. Proposals never sealed are steps of a line.

What stops can only add up. A rejection of the head closes the agreement until a newer version is sealed, and does not
bring the one before back: that may give more. A suspension is its holder's lock, on the agreement and not on a version;
it holds until the same party lifts that very suspension. A termination by a party of the first or any sealed version is
final. So, for every set of events: SUSPEND, TERMINATE, REJECT, CLARIFY and ANSWER never bring an agreement in force.

What a party may do *now* is another question, asked before it signs (`check_event`); a message of another party is not
held against it, because it may have been right where it was written.

Not here: recognition (`agreement.recognition`), which each node judges for itself, and signatures (`comity.exchange`).
"""

from collections.abc import Mapping, Sequence
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
_SIGNS = frozenset({EventKind.PROPOSE, EventKind.ACCEPT})
_NEGOTIATE = _SIGNS | _TALK | {EventKind.REJECT}

MAY: dict[State, frozenset[EventKind]] = {
    State.PROPOSED: _NEGOTIATE,
    State.IN_CLARIFICATION: _NEGOTIATE,
    State.ACCEPTED: _NEGOTIATE,
    State.REJECTED: _STOP | {EventKind.PROPOSE},
    State.AGREED: _NEGOTIATE | _STOP,
    State.IN_FORCE: _NEGOTIATE | _STOP,
    State.SUSPENDED: _NEGOTIATE | _STOP,
    State.EXPIRED: frozenset({EventKind.PROPOSE, EventKind.TERMINATE}) | _TALK,
    State.TERMINATED: frozenset(),
    State.CONFLICTING: _STOP | _TALK,
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

    `current` is the head: the version that every party signed last, None when there is none, or somebody rejects it.
    `latest` is the newest version that belongs, with the parties of it that signed it, those that rejected it, and the
    questions on it that nobody has answered. `sentence` is the state for people.
    """

    state: State
    sentence: str
    current: Terms | None
    latest: Terms
    signed_by: frozenset[PartyId]
    open_questions: tuple[Event, ...]
    locks: tuple[Lock, ...]
    rejected_by: frozenset[PartyId] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Record:
    """What is on record, sorted out: from here on nothing depends on the order it came in."""

    events: tuple[Event, ...]  # each once
    versions: tuple[Terms, ...]  # those that belong, oldest first; all of them while the first is not on record yet
    sealed: tuple[Terms, ...]  # those of them that every party signed
    signers: Mapping[Digest, frozenset[PartyId]]  # of each version on record, by its hash
    rejecters: Mapping[Digest, frozenset[PartyId]]
    stoppers: frozenset[PartyId]  # whose suspensions and terminations count


def compute_standing(versions: Sequence[Terms], events: Sequence[Event], *, now: Instant) -> Standing:
    """The standing of the agreement that `versions` (at least one) and `events` are all that is on record of.

    Neither order nor repetition of either changes it.
    """
    record = _sort_out(versions, events)
    head, latest = _find_head(record), record.versions[-1]
    state, sentence = _name_state(record, head, now=now)
    return Standing(
        state=state,
        sentence=sentence,
        current=head if head is not None and not record.rejecters[head.hash] else None,
        latest=latest,
        signed_by=record.signers[latest.hash],
        open_questions=_open_questions(record, latest),
        locks=_locks(record),
        rejected_by=record.rejecters[latest.hash],
    )


def check_event(standing: Standing | None, event: Event, terms: Terms) -> None:
    """Nothing, when the party of `event` may say it now about `terms`; `standing` is None before the first proposal.

    Raises:
        TransitionError: not in this state, not this party, or said already; the message says what is possible.
        MalformedMessage: a question names no clause of `terms`, or a question or answer has no text.
    """
    if event.party not in {party.id for party in terms.parties}:
        raise TransitionError(f"{event.party} is not a party of {terms.title!r}, so it has no say in it")
    if event.kind in _TALK and not event.text:
        raise MalformedMessage("a question or an answer needs a text", where="text")
    names = clause_names(terms)
    if event.kind is EventKind.CLARIFY and event.clause not in names:
        raise MalformedMessage(
            f"{event.clause!r} is not a clause of {terms.title!r}; its clauses are {', '.join(names)}", where="clause"
        )
    if standing is None:
        if event.kind is not EventKind.PROPOSE:
            raise TransitionError("nothing was proposed yet; possible is: propose")
        return
    if event.kind not in MAY[standing.state]:
        possible = ", ".join(sorted(MAY[standing.state])) or "nothing any more"
        raise TransitionError(f"{event.kind} is not possible now: {standing.sentence}; possible is: {possible}")
    _check_own(standing, event, terms)


def _check_own(standing: Standing, event: Event, terms: Terms) -> None:
    """What depends on the party itself: what it has signed, and which locks it holds."""
    match event.kind:
        case EventKind.ACCEPT | EventKind.REJECT:
            _check_signing(standing, event, terms)
        case EventKind.PROPOSE:
            _check_proposal(standing, terms)
        case EventKind.SUSPEND:
            if any(lock.party == event.party for lock in standing.locks):
                raise TransitionError(f"{event.party} has suspended it already: {standing.sentence}")
        case EventKind.RESUME:
            _check_lifting(standing, event)
        case EventKind.ANSWER:
            if event.re not in {question.digest for question in standing.open_questions}:
                raise TransitionError("that question is not open; only an open one can be answered")
        case EventKind.CLARIFY | EventKind.TERMINATE:
            pass


def _check_proposal(standing: Standing, terms: Terms) -> None:
    latest = standing.latest
    if terms.hash == latest.hash:
        raise TransitionError(f"this very text is on record as version {latest.version}: accept it, or change it")
    if terms.version != latest.version + 1:
        raise TransitionError(f"version {latest.version} is on record; the next one is {latest.version + 1}")
    if terms.supersedes != latest.hash:
        raise TransitionError(f'the next version replaces the latest one on record: write supersedes = "{latest.hash}"')


def _check_signing(standing: Standing, event: Event, terms: Terms) -> None:
    latest = standing.latest
    if standing.current is not None and standing.current.hash == terms.hash:
        raise TransitionError("every party has signed this version: use suspend or terminate to stop it")
    if terms.hash != latest.hash:
        raise TransitionError(f"version {terms.version} was countered; {event.kind} version {latest.version} instead")
    if standing.rejected_by:
        raise TransitionError(
            f"version {terms.version} is rejected by {_list(sorted(standing.rejected_by))}: propose a new version"
        )
    if event.kind is EventKind.ACCEPT and event.party in standing.signed_by:
        raise TransitionError(f"{event.party} has signed this version already: {standing.sentence}")


def _check_lifting(standing: Standing, event: Event) -> None:
    holders = {lock.event: lock.party for lock in standing.locks}
    holder = None if event.re is None else holders.get(event.re)
    if holder is None:
        raise TransitionError(f"that suspension is not in effect, so it cannot be lifted: {standing.sentence}")
    if holder != event.party:
        raise TransitionError(f"only {holder}, who suspended, can resume")


# --- sorting out what is on record ------------------------------------------------------------------------------------


def _sort_out(versions: Sequence[Terms], events: Sequence[Event]) -> _Record:
    said = tuple({event.digest: event for event in events}.values())
    known = {terms.hash: terms for terms in versions}
    ordered = tuple(sorted(known.values(), key=lambda terms: (terms.version, terms.hash)))
    signers = {terms.hash: _find_parties(terms, said, _SIGNS) for terms in ordered}
    belonging = _find_belonging(ordered, signers)
    sealed = tuple(terms for terms in belonging if signers[terms.hash] == _members(terms))
    return _Record(
        events=said,
        versions=belonging or ordered,
        sealed=sealed,
        signers=signers,
        rejecters={terms.hash: _find_parties(terms, said, frozenset({EventKind.REJECT})) for terms in ordered},
        stoppers=frozenset[PartyId]().union(*(_members(terms) for terms in (*belonging[:1], *sealed))),
    )


def _members(terms: Terms) -> frozenset[PartyId]:
    return frozenset(party.id for party in terms.parties)


def _find_parties(terms: Terms, events: Sequence[Event], kinds: frozenset[EventKind]) -> frozenset[PartyId]:
    """The parties of `terms` that said one of `kinds` about it. Others may say it too; it does not count."""
    return _members(terms) & {event.party for event in events if event.kind in kinds and event.terms == terms.hash}


def _find_belonging(ordered: Sequence[Terms], signers: Mapping[Digest, frozenset[PartyId]]) -> tuple[Terms, ...]:
    """The versions that belong, oldest first, so that the first one is in front; none while that one is unknown.

    A version that arrives before the one it replaces waits: it belongs as soon as that one does.
    """
    belonging: dict[Digest, Terms] = {}
    for terms in ordered:
        replaced = None if terms.supersedes is None else belonging.get(terms.supersedes)
        if terms.agreement is None or (
            replaced is not None
            and replaced.version + 1 == terms.version
            and replaced.agreement_id == terms.agreement_id
            and not signers[terms.hash].isdisjoint(_members(replaced))
        ):
            belonging[terms.hash] = terms
    return tuple(belonging.values())


def _find_head(record: _Record) -> Terms | None:
    """The newest sealed version, when each sealed one descends from the one sealed before it; else None."""
    supersedes = {terms.hash: terms.supersedes for terms in record.versions}
    for earlier, later in pairwise(record.sealed):
        step = later.supersedes
        while step is not None and step != earlier.hash:
            step = supersedes.get(step)
        if step is None:
            return None
    return record.sealed[-1] if record.sealed else None


def _open_questions(record: _Record, terms: Terms) -> tuple[Event, ...]:
    """What parties of `terms` asked about it and no party of it has answered."""
    said = [event for event in record.events if event.party in _members(terms)]
    answered = {event.re for event in said if event.kind is EventKind.ANSWER}
    asked = [event for event in said if event.kind is EventKind.CLARIFY and event.terms == terms.hash]
    left = [event for event in asked if event.digest not in answered]
    return tuple(sorted(left, key=lambda event: (event.at, event.digest)))


def _locks(record: _Record) -> tuple[Lock, ...]:
    lifted = {(event.party, event.re) for event in record.events if event.kind is EventKind.RESUME}
    held = [
        Lock(party=event.party, event=event.digest, at=event.at, reason=event.text)
        for event in record.events
        if event.kind is EventKind.SUSPEND
        and event.party in record.stoppers
        and (event.party, event.digest) not in lifted
    ]
    return tuple(sorted(held, key=lambda lock: (lock.at, lock.event)))


# --- naming the state -------------------------------------------------------------------------------------------------


def _name_state(record: _Record, head: Terms | None, *, now: Instant) -> tuple[State, str]:
    """The state and its sentence; what ends an agreement is asked first, what opens it last."""
    ended = {event.party for event in record.events if event.kind is EventKind.TERMINATE} & record.stoppers
    latest = record.versions[-1]
    if ended:
        return State.TERMINATED, f"terminated by {_list(sorted(ended))}"
    if head is None and record.sealed:
        return State.CONFLICTING, "signed by all in versions that do not follow one another; nothing is in force"
    if head is None:
        return _name_negotiation(record, latest)
    if refused := record.rejecters[head.hash]:
        by = _list(sorted(refused))
        return State.REJECTED, f"signed by all, but version {head.version} is rejected by {by}; nothing is in force"
    state, sentence = _name_validity(head, _locks(record), now=now)
    if latest.hash == head.hash:
        return state, sentence
    return state, f"{sentence}; version {latest.version} is {_name_negotiation(record, latest)[1]}"


def _name_validity(head: Terms, locks: Sequence[Lock], *, now: Instant) -> tuple[State, str]:
    """What clock and locks say of a version that every party signed."""
    if head.valid_until is not None and now >= head.valid_until:
        return State.EXPIRED, f"expired on {format_instant(head.valid_until)}"
    if locks:
        held = "; ".join(f"{lock.party} since {format_instant(lock.at)}" for lock in locks)
        return State.SUSPENDED, f"suspended by {held}"
    signed = f"agreed by all ({_list([party.id for party in head.parties])}), version {head.version}"
    if now < head.valid_from:
        return State.AGREED, f"{signed}, in force from {format_instant(head.valid_from)}"
    return State.IN_FORCE, f"in force: {signed}"


def _name_negotiation(record: _Record, latest: Terms) -> tuple[State, str]:
    """How far the parties are with a version that not all of them have signed."""
    signed, refused = record.signers[latest.hash], record.rejecters[latest.hash]
    if refused:
        return State.REJECTED, f"rejected by {_list(sorted(refused))}"
    proposers = _find_parties(latest, record.events, frozenset({EventKind.PROPOSE}))
    missing = _list(sorted(_members(latest) - signed)) or "nobody"
    by = f"proposed by {_list(sorted(proposers))}" if proposers else "on record"
    if asked := _open_questions(record, latest):
        what = "; ".join(f"{event.party} asks about {event.clause}" for event in asked)
        return State.IN_CLARIFICATION, f"{by}, not agreed: {what}"
    if accepted := signed - proposers:
        return State.ACCEPTED, f"{by}, accepted by {_list(sorted(accepted))} only; {missing} has not signed"
    return State.PROPOSED, f"{by}; {missing} has not signed"


def _list(words: Sequence[str]) -> str:
    return ", ".join(words)
