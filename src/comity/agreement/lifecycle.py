# SPDX-License-Identifier: Apache-2.0
"""Pure: the state of an agreement, computed from the set of its signed events and the clock.

Rules for this file: no state is kept, only computed; no event is believed for the time it claims, nor for the order
it came in.

Theory. Two nodes that have the same events show the same state, whatever was late, repeated or out of order. So each
rule is a statement about a set: "every party has signed", "a suspension that its holder has not lifted", never "the
last event was". An answer or a lifting that arrives before what it is about simply waits for it. Where a party has said
two things that cannot both hold, the one under which less is given counts. The words belongs, sealed, head, refused,
joined and left are defined in `agreement.record`.

    versions + events + now  ──compute_standing──▶  Standing(state=IN_FORCE, sentence="in force: agreed by all …", …)

From signed by all to in force, each party's node says for itself that the text counts for it (CONFIRM): all founders
that have not left must have. After that, what ends for one party closes what that party gives and receives: a basis or
an assurance that has run out, leaving, a reservation. Where fewer than two parties remain, nothing is in force.

What stops can only add up. A refusal of the head closes the agreement until a newer version is sealed, and does not
bring the one before back: that may give more. A suspension is its holder's lock, on the agreement or one channel and
not on a version; it holds until the same party lifts that very suspension, or leaves. A termination by a party of a
sealed version between two is final. So, for every set of events: SUSPEND, TERMINATE of an agreement between two,
REJECT, WITHDRAW, CLARIFY and ANSWER never bring an agreement in force.

Not here: what a party may say in this state (`agreement.moves`), recognition (`agreement.recognition`), which each node
judges for itself, and signatures (`comity.exchange`).
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from comity.agreement.events import Event, EventKind, Reservation
from comity.agreement.record import Record, find_head, find_joined, find_members, find_parties, sort_out
from comity.agreement.terms import Channel, LegalBasis, Terms
from comity.agreement.transitions import State
from comity.ids import Digest, Instant, PartyId, format_instant

__all__ = ["Lapse", "Lock", "Obstacle", "Standing", "compute_standing", "find_constancy", "is_valid", "split_time"]

_FIRST, _LAST = Instant(0), Instant(2**63 - 1)
_FEWEST = 2
"""Parties without which there is nobody to give or nobody to receive."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lock:
    """One suspension, of `channel` or (None) of all; only `party`, who holds it, can lift it."""

    party: PartyId
    event: Digest
    at: Instant
    reason: str | None
    channel: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Lapse:
    """What has run out for `party`, by the `clause` of the terms: it neither gives nor receives."""

    party: PartyId
    clause: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Obstacle:
    """What keeps one channel closed between two parties: the clause, and a sentence."""

    clause: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """The state of an agreement at one time, and what led to it.

    `current` is the head: the version that every party signed last, None when there is none, or somebody refuses it.
    `latest` is the newest version that belongs, with the parties of it that signed it, those that refuse it, and the
    questions on it that nobody has answered. `members` are those bound by `current`, else the parties of `latest`;
    `joined` are the joiners among them, with the bases they cite. `superseded` are the versions a sealed one replaced.
    `sentence` is the state for people.
    """

    state: State
    sentence: str
    current: Terms | None
    latest: Terms
    signed_by: frozenset[PartyId]
    proposed_by: frozenset[PartyId]
    refused_by: frozenset[PartyId]
    open_questions: tuple[Event, ...]
    locks: tuple[Lock, ...]
    lapses: tuple[Lapse, ...]
    members: frozenset[PartyId]
    left: frozenset[PartyId]
    joined: tuple[Event, ...]
    confirmed_by: frozenset[PartyId]
    reservations: tuple[tuple[PartyId, Reservation], ...]
    admissions: tuple[Event, ...]
    superseded: frozenset[Digest]

    def joining_bases(self, party: PartyId) -> tuple[LegalBasis, ...]:
        """What `party` cited for itself when it joined, beside the text."""
        return tuple(basis for event in self.joined if event.party == party for basis in event.bases)

    def obstacle(self, channel: Channel, giver: PartyId, receiver: PartyId) -> Obstacle | None:
        """What keeps `channel` closed from `giver` to `receiver`, by this state; None when nothing does."""
        if self.state is not State.IN_FORCE:
            return Obstacle(clause="status", reason=f"the agreement is not in force: {self.sentence}")
        if (giver, receiver) not in channel.pairs(self.members):
            gone = sorted({giver, receiver} & self.left)
            nothing = f"{giver} gives {receiver} nothing in the channel {channel.id}"
            return Obstacle(clause="parties", reason=f"{gone[0]} has left the agreement" if gone else nothing)
        for lock in self.locks:
            if lock.channel == channel.id:
                return Obstacle(clause="status", reason=f"the channel {channel.id} is {_name_lock(lock)}")
        for lapse in self.lapses:
            if lapse.party in {giver, receiver}:
                return Obstacle(clause=lapse.clause, reason=lapse.reason)
        for party, reservation in self.reservations:
            if party in {giver, receiver} and f"{reservation.clause}.".startswith(f"channels.{channel.id}."):
                reason = f"{party} signed with a reservation on {reservation.clause} ({reservation.ground})"
                return Obstacle(clause="reservations", reason=reason)
        return None


def compute_standing(versions: Sequence[Terms], events: Sequence[Event], *, now: Instant) -> Standing:
    """The standing of the agreement that `versions` (at least one) and `events` are all that is on record of.

    Neither order nor repetition of either changes it.
    """
    record = sort_out(versions, events)
    head, latest = find_head(record), record.versions[-1]
    counts = head or latest
    joined = find_joined(counts, record.events)
    members = find_members(record, counts)
    lapses = _find_lapses(counts, joined.values(), members=members, now=now) if head else ()
    state, sentence = _name_state(record, head, lapses=lapses, now=now)
    return Standing(
        state=state,
        sentence=sentence,
        current=head if head is not None and not record.refused[head.hash] else None,
        latest=latest,
        signed_by=record.signers[latest.hash],
        proposed_by=_find_proposers(record, latest),
        refused_by=frozenset(record.refused[latest.hash]),
        open_questions=_open_questions(record, latest),
        locks=_locks(record),
        lapses=lapses,
        members=members,
        left=record.left,
        joined=tuple(joined[party] for party in sorted(joined.keys() & members)),
        confirmed_by=find_parties(counts, record.events, frozenset({EventKind.CONFIRM})),
        reservations=_reservations(record, counts, joined.values()),
        admissions=_admissions(record, counts),
        superseded=frozenset(terms.hash for terms in record.versions if head and terms.version < head.version),
    )


def find_constancy(versions: Sequence[Terms], events: Sequence[Event], *, now: Instant) -> tuple[Instant, Instant]:
    """From when until when (not included) the clock alone changes neither the standing nor who recognises what.

    Every date that the clock is held against stands in a text, or in a basis that a joiner cites.
    """
    bases = [basis for terms in versions for basis in terms.legal_bases]
    bases += [basis for event in events for basis in event.bases]
    dates = {date for basis in bases for date in (basis.valid_from, basis.valid_until)}
    dates |= {date for terms in versions for date in (terms.valid_from, terms.valid_until)}
    dates |= {assurance.valid_until for terms in versions for assurance in terms.assurances}
    return split_time(dates, now=now)


def split_time(dates: Iterable[Instant | None], *, now: Instant) -> tuple[Instant, Instant]:
    """The last of `dates` up to `now`, and the first after it; before and after all of them, time without end."""
    known = [date for date in dates if date is not None]
    begun = max((date for date in known if date <= now), default=_FIRST)
    return begun, min((date for date in known if date > now), default=_LAST)


def is_valid(basis: LegalBasis, now: Instant) -> bool:
    """Whether `now` lies within the validity of `basis`."""
    begun = basis.valid_from is None or basis.valid_from <= now
    return begun and (basis.valid_until is None or now < basis.valid_until)


# --- what follows from the record -------------------------------------------------------------------------------------


def _open_questions(record: Record, terms: Terms) -> tuple[Event, ...]:
    """What parties of `terms` asked about it and no party of it has answered."""
    bound = find_members(record, terms) | terms.founders
    said = [event for event in record.events if event.party in bound]
    answered = {event.re for event in said if event.kind is EventKind.ANSWER}
    asked = [event for event in said if event.kind is EventKind.CLARIFY and event.terms == terms.hash]
    left = [event for event in asked if event.digest not in answered]
    return tuple(sorted(left, key=lambda event: (event.at, event.digest)))


def _locks(record: Record) -> tuple[Lock, ...]:
    lifted = {(event.party, event.re) for event in record.events if event.kind is EventKind.RESUME}
    held = [
        Lock(party=event.party, event=event.digest, at=event.at, reason=event.text, channel=event.channel)
        for event in record.events
        if event.kind is EventKind.SUSPEND
        and event.party in record.stoppers - record.left
        and (event.party, event.digest) not in lifted
    ]
    return tuple(sorted(held, key=lambda lock: (lock.at, lock.event)))


def _find_lapses(
    terms: Terms, joined: Collection[Event], *, members: frozenset[PartyId], now: Instant
) -> tuple[Lapse, ...]:
    """What the clock alone says has run out, the same on every node."""
    bases = (*terms.legal_bases, *(basis for event in joined for basis in event.bases))
    lapses = list[Lapse]()
    for party in sorted(members):
        own = [basis for basis in bases if basis.party == party]
        if not any(is_valid(basis, now) for basis in own):
            named = ", ".join(f"{basis.kind} {basis.reference}" for basis in own) or "none is cited"
            reason = f"no legal basis of {party} is valid at this time ({named})"
            lapses.append(Lapse(party=party, clause="legal_bases", reason=reason))
    for assurance in terms.assurances:
        if assurance.given_by in members and now >= assurance.valid_until:
            ended = format_instant(assurance.valid_until)
            reason = f"the assurance {assurance.kind} of {assurance.given_by} ran out on {ended}"
            lapses.append(Lapse(party=assurance.given_by, clause="assurances", reason=reason))
    return tuple(lapses)


def _reservations(record: Record, terms: Terms, joined: Collection[Event]) -> tuple[tuple[PartyId, Reservation], ...]:
    made = {
        (event.party, reservation)
        for event in (*record.events, *joined)
        if event.terms == terms.hash and event.party in terms.founders | {each.party for each in joined}
        for reservation in event.reservations
    }
    return tuple(sorted(made, key=lambda item: (item[0], item[1].clause, item[1].ground, item[1].text or "")))


def _admissions(record: Record, terms: Terms) -> tuple[Event, ...]:
    """What is said of joiners: which founder admits whom, and who of them has acceded, admitted by enough or not."""
    about = [event for event in record.events if event.terms == terms.hash]
    admitting = [event for event in about if event.kind is EventKind.ADMIT and event.party in terms.founders]
    named = {event.joiner for event in admitting}
    acceding = [event for event in about if event.kind is EventKind.ACCEDE and event.party in named]
    return tuple(sorted((*admitting, *acceding), key=lambda event: (event.at, event.digest)))


def _find_proposers(record: Record, terms: Terms) -> frozenset[PartyId]:
    return find_parties(terms, record.events, frozenset({EventKind.PROPOSE, EventKind.COUNTER}))


# --- naming the state -------------------------------------------------------------------------------------------------


def _name_state(record: Record, head: Terms | None, *, lapses: Collection[Lapse], now: Instant) -> tuple[State, str]:
    """The state and its sentence; what ends an agreement is asked first, what opens it last."""
    latest = record.versions[-1]
    if ended := _find_ending(record, head):
        return State.TERMINATED, ended
    if head is None and record.sealed:
        return State.CONFLICTING, "signed by all in versions that do not follow one another; nothing is in force"
    if head is None:
        return _name_negotiation(record, latest, now=now)
    if record.refused[head.hash]:
        return _name_refused_head(record, head, now=now)
    state, sentence = _name_validity(record, head, lapses=lapses, now=now)
    if latest.hash != head.hash:
        sentence += f"; version {latest.version} is {_name_negotiation(record, latest, now=now)[1]}"
    return state, sentence


def _name_refused_head(record: Record, head: Terms, *, now: Instant) -> tuple[State, str]:
    """A version signed by all that is refused is closed; what was proposed after it can still be signed."""
    latest = record.versions[-1]
    state, how = _name_refusal(record, head)
    if latest.hash == head.hash:
        return state, f"signed by all, but version {head.version} is {how}; nothing is in force"
    state, pending = _name_negotiation(record, latest, now=now)
    return state, f"{pending} (version {head.version}, signed by all, is {how}: nothing is in force)"


def _find_ending(record: Record, head: Terms | None) -> str | None:
    """How the agreement ended for good, if it did."""
    if record.ended_by:
        return f"terminated by {_list(record.ended_by)}"
    counts = head or record.versions[0]
    if record.sealed and record.left & counts.founders and len(find_members(record, counts)) < _FEWEST:
        return f"ended: left by {_list(record.left)}"
    return None


def _name_validity(record: Record, head: Terms, *, lapses: Collection[Lapse], now: Instant) -> tuple[State, str]:
    """What clock, locks and confirmations say of a version that every party signed."""
    if head.valid_until is not None and now >= head.valid_until:
        return State.EXPIRED, f"expired on {format_instant(head.valid_until)}"
    locks = _locks(record)
    if whole := [lock for lock in locks if lock.channel is None]:
        return State.SUSPENDED, "; ".join(_name_lock(lock) for lock in whole)
    signed = f"agreed by all ({_list(head.founders)}), version {head.version}"
    waiting = head.founders - record.left - find_parties(head, record.events, frozenset({EventKind.CONFIRM}))
    if waiting:
        return State.AGREED, f"{signed}; waits for the confirmation of {_list(waiting)}"
    if now < head.valid_from:
        return State.AGREED, f"{signed}, in force from {format_instant(head.valid_from)}"
    members = find_members(record, head)
    if len(members - {lapse.party for lapse in lapses}) < _FEWEST:
        return State.SUSPENDED, f"suspended by itself: {'; '.join(lapse.reason for lapse in lapses)}"
    notes = [f"{lapse.party} is suspended by itself: {lapse.reason}" for lapse in lapses]
    notes += [f"channel {lock.channel} {_name_lock(lock)}" for lock in locks if head.channel(lock.channel or "")]
    if joined := members - head.founders:
        notes.append(f"joined by {_list(joined)}")
    if gone := record.left & head.founders:
        notes.append(f"left by {_list(gone)}")
    return State.IN_FORCE, "; ".join([f"in force: {signed}", *notes])


def _name_negotiation(record: Record, latest: Terms, *, now: Instant) -> tuple[State, str]:
    """How far the parties are with a version that not all of them have signed."""
    signed = record.signers[latest.hash]
    if record.refused[latest.hash]:
        return _name_refusal(record, latest)
    if latest.valid_until is not None and now >= latest.valid_until:
        return State.LAPSED, f"lapsed: not signed by all before {format_instant(latest.valid_until)}"
    countered = find_parties(latest, record.events, frozenset({EventKind.COUNTER}))
    proposers = _find_proposers(record, latest)
    missing = _say_missing(latest.founders - signed)
    by = f"proposed by {_list(proposers)}" if proposers else "on record"
    if countered:
        by = f"countered by {_list(countered)} with version {latest.version}"
    if asked := _open_questions(record, latest):
        what = "; ".join(f"{event.party} asks about {event.clause}" for event in asked)
        return State.IN_CLARIFICATION, f"{by}, not agreed: {what}"
    if accepted := signed - proposers:
        return State.ACCEPTED, f"{by}, accepted by {_list(accepted)} only; {missing}"
    return State.COUNTERED if countered else State.PROPOSED, f"{by}; {missing}"


def _name_refusal(record: Record, terms: Terms) -> tuple[State, str]:
    """Withdrawn, when a party took its own back; else rejected. A counter-proposal refuses what it replaces."""
    refused = record.refused[terms.hash]
    state = State.WITHDRAWN if EventKind.WITHDRAW in refused.values() else State.REJECTED
    words = {EventKind.REJECT: "rejected", EventKind.WITHDRAW: "withdrawn", EventKind.COUNTER: "countered"}
    said = [
        f"{words[how]} by {_list([party for party, each in refused.items() if each is how])}"
        for how in (EventKind.WITHDRAW, EventKind.REJECT, EventKind.COUNTER)
        if how in refused.values()
    ]
    return state, " and ".join(said)


def _say_missing(parties: Collection[PartyId]) -> str:
    return f"{_list(parties) or 'nobody'} {'have' if len(parties) > 1 else 'has'} not signed"


def _name_lock(lock: Lock) -> str:
    return f"suspended by {lock.party} since {format_instant(lock.at)}"


def _list(words: Collection[str]) -> str:
    return ", ".join(sorted(words))
