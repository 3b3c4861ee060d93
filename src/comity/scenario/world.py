# SPDX-License-Identifier: Apache-2.0
"""Pure: the parties of a scenario and its clock: what was written happens, and what follows by itself.

Each party acts by its own record and policy, checked as its node checks it, and each confirms by itself what all have
signed and it recognises. Messages arrive at once, or when the scenario says, and never before an earlier one of the
same sender. At one time, in this order: objects come in, messages arrive, then the events as they are written.
"""

import heapq
from dataclasses import dataclass, field, replace
from itertools import groupby

from comity.agreement.addressing import find_addressed
from comity.agreement.events import CARRIES_TERMS, Event, EventKind
from comity.agreement.lifecycle import Standing
from comity.agreement.moves import check_event, choose_proposal, find_confirmable
from comity.agreement.recognition import Recognised, Refusal, find_lost_recognition, take_positions
from comity.agreement.terms import Terms
from comity.errors import MalformedMessage, MalformedObject, NotFoundError, TransitionError
from comity.ids import AgreementId, Digest, Instant, PartyId, format_instant
from comity.release.receiving import find_restrictions, make_unrestricted
from comity.scenario.drafts import derive_digest
from comity.scenario.happenings import Happening, Short
from comity.scenario.material import Item
from comity.scenario.parse import Scenario
from comity.scenario.views import Coming, Offer, View
from comity.stix.objects import parse_object

__all__ = ["Failure", "World", "start_world"]

_OBJECTS, _MESSAGE, _HAPPENING, _LAST = range(4)
_ON_WHAT_STANDS = frozenset(
    {
        EventKind.SUSPEND,
        EventKind.RESUME,
        EventKind.TERMINATE,
        EventKind.LEAVE,
        EventKind.ADMIT,
        EventKind.ACCEDE,
    }
)
"""The kinds that are about the version that every party signed, whichever of the agreement is named."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """What is not as the scenario says: the line, what it expects, what was found, and why."""

    line: int
    expected: str
    found: str
    clause: str | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Message:
    event: Event
    terms: Terms
    to: PartyId


@dataclass(frozen=True, slots=True, kw_only=True)
class _Step:
    """What waits for its time: objects, a message, or what one party does of something that is written."""

    items: tuple[Item, ...] = ()
    message: _Message | None = None
    happening: Happening | None = None
    party: PartyId | None = None


@dataclass(slots=True, kw_only=True)
class World:
    """Every party's view at the time that `advance` has reached; `failures` of what was written and could not be."""

    scenario: Scenario
    views: dict[PartyId, View]
    failures: list[Failure] = field(default_factory=list)
    _waiting: list[tuple[Instant, int, int, _Step]] = field(default_factory=list)
    _under_way: dict[PartyId, Instant] = field(default_factory=dict)
    _said: dict[str, Digest] = field(default_factory=dict)
    _sent: set[tuple[Digest, PartyId]] = field(default_factory=set)
    _count: int = 0

    def advance(self, until: Instant) -> None:
        """Let everything happen up to `until` and at it."""
        self.put(until, _LAST, _Step())  # nodes keep up at that time too, and what they say of it arrives
        while self._waiting and self._waiting[0][0] <= until:
            now, _, _, step = heapq.heappop(self._waiting)
            self._take(step, now=now)
            self._keep_up(now)

    def put(self, at: Instant, rank: int, step: _Step) -> None:
        """Let a step wait for its time."""
        self._count += 1
        heapq.heappush(self._waiting, (at, rank, self._count, step))

    def _take(self, step: _Step, *, now: Instant) -> None:
        if step.items:
            self._add(step.items, now=now)
        if step.message is not None:
            self._receive(step.message, now=now)
        if step.happening is not None and step.party is not None:
            self._happen(step.happening, step.party, now=now)

    def _receive(self, message: _Message, *, now: Instant) -> None:
        view, event = self.views[message.to], message.event
        view.record(event, message.terms, now=now)
        self._tell(view, event.agreement, now=now, arrives=now)

    def _add(self, items: tuple[Item, ...], *, now: Instant) -> None:
        party = items[0].originator
        coming = [Coming(name=item.name, object=item.object, value=item.value) for item in items]
        self.views[party].take_in(coming, originator=party, restrictions=make_unrestricted(party), now=now)

    # --- what is written ----------------------------------------------------------------------------------------------

    def _happen(self, happening: Happening, party: PartyId, *, now: Instant) -> None:
        what = f"{party} can {happening.kind} at {format_instant(now)}"
        try:
            refusal = self._act(happening, party, now=now)
        except (TransitionError, MalformedMessage, NotFoundError) as error:
            refusal = Refusal(clause=error.code, reason=error.detail)
        except MalformedObject as error:
            self._fail(happening, what, found="what it is given cannot be kept", reason=error.detail)
            return
        if refusal is not None and happening.refused != refusal.clause:
            found = f"refused: {refusal.clause}"
            expected = what if happening.refused is None else f"refused: {happening.refused}"
            self._fail(happening, expected, found=found, clause=refusal.clause, reason=refusal.reason)
        if refusal is None and happening.refused is not None:
            self._fail(happening, f"refused: {happening.refused}", found=what)

    def _fail(
        self, happening: Happening, expected: str, *, found: str, clause: str | None = None, reason: str | None = None
    ) -> None:
        failure = Failure(line=happening.line, expected=expected, found=found, clause=clause, reason=reason)
        self.failures.append(failure)

    def _act(self, happening: Happening, party: PartyId, *, now: Instant) -> Refusal | None:
        """None when it is done; what the party's own policy says against it."""
        if happening.agreement is None:
            self._pull(happening, party, now=now)
            return None
        view, named = self.views[party], self.scenario.agreements[happening.agreement]
        standing = view.standing(named.agreement_id, now=now)
        terms = _find_terms(happening, named, standing)
        kind = _find_kind(happening, view, named, standing)
        begins = kind is EventKind.PROPOSE and terms.version == 1
        if standing is None and not begins and not happening.unchecked:
            raise NotFoundError(f"{party} has nothing on record that {happening.agreement} could be about")
        if kind in CARRIES_TERMS and not happening.unchecked:
            refusal = view.judge(terms, now=now, joining=happening.bases)
            if isinstance(refusal, Refusal):
                return refusal
        draft = self._draft(view, kind, terms, now=now)
        draft = replace(
            draft,
            clause=happening.clause,
            channel=happening.channel,
            text=happening.text,
            joiner=happening.joiner,
            bases=happening.bases,
            reservations=happening.reservations,
            manifest=self._find_manifest(happening, party),
        )
        for re in self._find_meant(happening, kind, party, standing):
            # What is refused was never said: nobody learns of it.
            event = replace(draft, re=re, digest=self._next_digest())
            if not happening.unchecked:
                check_event(view.standing(event.agreement, now=now), event, terms)
            if happening.refused is None:
                self._say(view, event, terms, now=now, arrives=happening.arrives)
            if happening.name is not None:
                self._said[happening.name] = event.digest
        return None

    def _find_manifest(self, happening: Happening, party: PartyId) -> Digest | None:
        if happening.joiner is not None:
            return self.scenario.manifests[happening.joiner]
        return self.scenario.manifests[party] if happening.kind is EventKind.ACCEDE else None

    def _find_meant(
        self, happening: Happening, kind: EventKind, party: PartyId, standing: Standing | None
    ) -> list[Digest | None]:
        """What is answered or lifted: what the scenario names; else the one open question, or all that it suspended."""
        if happening.re is not None:
            return [self._said.get(happening.re)]
        if kind is EventKind.ANSWER and standing is not None:
            return [question.digest for question in standing.open_questions[:1]] or [None]
        if kind is EventKind.RESUME and standing is not None:
            held = [lock for lock in standing.locks if happening.channel in {None, lock.channel}]
            return [lock.event for lock in [lock for lock in held if lock.party == party] or held[:1]] or [None]
        return [None]

    def _pull(self, happening: Happening, party: PartyId, *, now: Instant) -> None:
        """What the giver lets go now, taken in channel by channel under the terms it comes under."""
        receiver, giver = self.views[party], happening.giver
        if giver is None:
            return
        offers = sorted(self.views[giver].list_offers(party, now=now), key=_find_collection)
        for _, group in groupby(offers, key=_find_collection):
            page, coming = list(group), list[Coming]()
            for offer in page:
                came = (offer.reading.agreement, offer.reading.channel.id, offer.held.object.id, offer.held.name)
                if came in receiver.taken or offer.held.originator == party:
                    continue  # read before, or what this party gave, which says nothing new (`node.ingest`)
                receiver.taken.add(came)
                found, value = parse_object(offer.data)
                coming.append(Coming(name=offer.held.name, object=found, value=value))
            restrictions = find_restrictions(page[0].reading.channel, giver=giver, receiver=party)
            receiver.take_in(coming, originator=giver, restrictions=restrictions, now=now)

    # --- what is said -------------------------------------------------------------------------------------------------

    def _draft(self, view: View, kind: EventKind, terms: Terms, *, now: Instant) -> Event:
        positions = take_positions(view.policy, terms) if kind in CARRIES_TERMS | {EventKind.CONFIRM} else ()
        return Event(
            digest=self._next_digest(),
            kind=kind,
            agreement=terms.agreement_id,
            terms=terms.hash,
            party=view.party,
            at=now,
            positions=positions,
        )

    def _next_digest(self) -> Digest:
        self._count += 1
        return derive_digest("event", str(self._count))

    def _say(self, view: View, event: Event, terms: Terms, *, now: Instant, arrives: Instant) -> None:
        """Put an event on its sender's record, and on its way to everybody else."""
        view.record(event, terms, now=now)
        arrives = max(arrives, self._under_way.get(view.party, arrives))
        self._under_way[view.party] = arrives
        self._tell(view, event.agreement, now=now, arrives=arrives)

    def _tell(self, view: View, agreement: AgreementId, *, now: Instant, arrives: Instant) -> None:
        """Put on their way what the newest event on record makes due."""
        versions, events = view.versions[agreement], view.events[agreement]
        standing = view.standing(agreement, now=now)
        if standing is not None:
            due = find_addressed([*versions.values()], events, standing, party=view.party, newest=events[-1:])
            for party, event in due:
                self._send(event, versions[event.terms], to=party, arrives=arrives)

    def _send(self, event: Event, terms: Terms, *, to: PartyId, arrives: Instant) -> None:
        """Let an event be on its way to a party; once, however many tell it."""
        if (event.digest, to) not in self._sent:
            self._sent.add((event.digest, to))
            self.put(arrives, _MESSAGE, _Step(message=_Message(event=event, terms=terms, to=to)))

    def _keep_up(self, now: Instant) -> None:
        """What each node signs by itself (`node.recording`, `node.upkeep`).

        That a text which all have signed counts for it; or that its own policy no longer lets it count.
        """
        for view in self.views.values():
            for agreement in view.versions:
                standing = view.standing(agreement, now=now)
                if standing is not None:
                    self._keep_up_one(view, standing, now=now)

    def _keep_up_one(self, view: View, standing: Standing, *, now: Instant) -> None:
        terms = find_confirmable(standing, view.party)
        if terms is not None and isinstance(view.judge(terms, now=now), Recognised):
            self._say(view, self._draft(view, EventKind.CONFIRM, terms, now=now), terms, now=now, arrives=now)
            return
        lost = find_lost_recognition(view.policy, standing, party=view.party, now=now)
        if lost is not None and standing.current is not None:
            draft = replace(self._draft(view, EventKind.SUSPEND, standing.current, now=now), text=lost.reason)
            self._say(view, draft, standing.current, now=now, arrives=now)


def start_world(scenario: Scenario) -> World:
    """The parties of a scenario before anything has happened."""
    views = {party: View(party=party, policy=policy) for party, policy in scenario.policies.items()}
    world = World(scenario=scenario, views=views)
    for (at, _), items in groupby(sorted(scenario.items, key=_find_bundle), key=_find_bundle):
        world.put(at, _OBJECTS, _Step(items=tuple(items)))
    for happening in scenario.happenings:
        for party in happening.parties or _find_founders(scenario, happening):
            world.put(happening.at, _HAPPENING, _Step(happening=happening, party=party))
    return world


def _find_collection(offer: Offer) -> tuple[AgreementId, str]:
    """What comes in one channel is taken in together."""
    return offer.reading.agreement, offer.reading.channel.id


def _find_founders(scenario: Scenario, happening: Happening) -> tuple[PartyId, ...]:
    """All: the founders of the version it is about; for a pull all but the giver."""
    if happening.agreement is None:
        return tuple(party for party in scenario.manifests if party != happening.giver)
    return tuple(party.id for party in scenario.agreements[happening.agreement].parties)


def _find_bundle(item: Item) -> tuple[Instant, PartyId]:
    """What one party takes in at one time comes as one bundle."""
    return item.added, item.originator


def _find_terms(happening: Happening, named: Terms, standing: Standing | None) -> Terms:
    if happening.kind in _ON_WHAT_STANDS and standing is not None:
        return standing.current or standing.latest
    return named


def _find_kind(happening: Happening, view: View, named: Terms, standing: Standing | None) -> EventKind:
    if isinstance(happening.kind, EventKind):
        return happening.kind
    assert happening.kind is Short.SIGN  # noqa: S101 (a pull names no agreement)
    known = named.hash in view.versions.get(named.agreement_id, {})
    return EventKind.ACCEPT if known else choose_proposal(standing)
