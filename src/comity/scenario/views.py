# SPDX-License-Identifier: Apache-2.0
"""Pure: one party's node as a scenario has it: its own record of agreements, and its own store of objects.

Nothing is decided here by rules of its own. State, gate, history, decision, redaction and labels are the functions that
a node calls (`node.explain`, `node.poll`, `node.ingest`); a view only holds what a node would have on disk.

Not here: keys and signatures, and manifests that run out.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from comity.agreement.events import Event
from comity.agreement.lifecycle import Standing, compute_standing
from comity.agreement.recognition import Policy, Recognised, Refusal, judge
from comity.agreement.terms import Channel, LegalBasis, Terms
from comity.canonical import Json
from comity.errors import MalformedObject
from comity.ids import AgreementId, Digest, Instant, ObjectId, PartyId, parse_instant
from comity.release.decision import Decision, Redact, Withhold, decide, decide_gate, decide_history
from comity.release.history import find_threshold
from comity.release.receiving import Restrictions
from comity.release.redaction import redact
from comity.release.verdict import Verdict, put_in_words, rank_verdict
from comity.stix.labels import Label, make_label, read_tags, restate
from comity.stix.markings import read_markings
from comity.stix.objects import StixObject, find_statements
from comity.stix.references import Version, settle_labels

__all__ = ["Coming", "Held", "Offer", "Reading", "View"]


@dataclass(slots=True, kw_only=True)
class Held:
    """One version of an object in a store: the bytes as they came, from whom, and at which place and time."""

    name: str
    object: StixObject
    value: dict[str, Json]
    own: Label
    originator: PartyId
    added_at: Instant
    first_seq: int

    @property
    def version_at(self) -> Instant:
        """Which of several versions is newer."""
        return parse_instant(self.object.version)


@dataclass(frozen=True, slots=True, kw_only=True)
class Coming:
    """An object on its way into a store."""

    name: str
    object: StixObject
    value: dict[str, Json]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What one channel of one agreement says of one object towards one party."""

    agreement: AgreementId
    terms: Terms
    channel: Channel
    gated: bool
    decision: Decision
    verdict: Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """What one channel lets go of one object, as the bytes that leave."""

    held: Held
    reading: Reading
    data: bytes


@dataclass(slots=True, kw_only=True)
class View:
    """What one party has on record and holds. `floors` are the places from which history is counted (`store.feeds`)."""

    party: PartyId
    policy: Policy
    versions: dict[AgreementId, dict[Digest, Terms]] = field(default_factory=dict)
    events: dict[AgreementId, list[Event]] = field(default_factory=dict)
    floors: dict[tuple[AgreementId, str, PartyId], int] = field(default_factory=dict)
    held: list[Held] = field(default_factory=list)
    taken: set[tuple[AgreementId, str, ObjectId, str]] = field(default_factory=set)
    labels: dict[int, Label] = field(default_factory=dict)

    # --- agreements ---------------------------------------------------------------------------------------------------

    def record(self, event: Event, terms: Terms, *, now: Instant) -> None:
        """Put an event on record, with the text it is about; then history counts for each feed that it opened."""
        self.versions.setdefault(event.agreement, {}).setdefault(terms.hash, terms)
        self.events.setdefault(event.agreement, []).append(event)
        standing = self.standing(event.agreement, now=now)
        if standing is None or standing.current is None:
            return
        for channel in standing.current.channels:
            for giver, receiver in channel.pairs(standing.members):
                if giver == self.party:
                    self.floors.setdefault((event.agreement, channel.id, receiver), len(self.held))

    def standing(self, agreement: AgreementId, *, now: Instant) -> Standing | None:
        """Where an agreement stands by what this party has on record; None when that is nothing."""
        versions = self.versions.get(agreement)
        if not versions:
            return None
        return compute_standing(tuple(versions.values()), self.events[agreement], now=now)

    def judge(self, terms: Terms, *, now: Instant, joining: Iterable[LegalBasis] = ()) -> Recognised | Refusal:
        """What this party's own policy says of a text."""
        return judge(self.policy, terms, party=self.party, now=now, joining=tuple(joining))

    # --- objects ------------------------------------------------------------------------------------------------------

    def take_in(
        self, coming: Iterable[Coming], *, originator: PartyId, restrictions: Restrictions, now: Instant
    ) -> None:
        """Take objects into the store, those of one bundle together, and renew every label.

        Raises:
            MalformedObject: it is held in other bytes, or came from another party before.
        """
        bundle = tuple(coming)
        known = [(held.object, held.value) for held in self.held if held.originator == originator]
        definitions = find_statements([*known, *((one.object, one.value) for one in bundle)])
        for one in bundle:
            label = make_label(
                one.object,
                read_markings(one.value, definitions=definitions),
                read_tags(one.value),
                originators=restrictions.originators,
                audience=restrictions.audience,
                excluded_frameworks=restrictions.excluded_frameworks,
            )
            self._keep(one, label, originator=originator, now=now)
        self.labels = self._settle()

    def _keep(self, one: Coming, label: Label, *, originator: PartyId, now: Instant) -> None:
        versions = [held for held in self.held if held.object.id == one.object.id]
        for held in versions:
            if held.object.version == one.object.version:
                if held.object.digest != one.object.digest:
                    raise MalformedObject(f"{self.party} holds {one.name} in this version with other bytes")
                held.own = restate(held.own, label)
                return
        if versions and versions[0].originator != originator:
            raise MalformedObject(f"{one.name} came to {self.party} from {versions[0].originator} before")
        self.held.append(
            Held(
                name=one.name,
                object=one.object,
                value=one.value,
                own=label,
                originator=originator,
                added_at=now,
                first_seq=len(self.held) + 1,
            )
        )

    def _settle(self) -> dict[int, Label]:
        newest = self._find_newest()
        versions = [
            Version(
                key=held.first_seq,
                id=held.object.id,
                type=held.object.type,
                own=held.own,
                references=held.object.references,
                newest=newest[held.object.id] is held,
            )
            for held in self.held
        ]
        return settle_labels(versions, outside={})

    def _find_newest(self) -> dict[ObjectId, Held]:
        found: dict[ObjectId, Held] = {}
        for held in self.held:
            if held.object.id not in found or found[held.object.id].version_at < held.version_at:
                found[held.object.id] = held
        return found

    def find_held(self, name: str) -> Held | None:
        """The object of that name, if this party holds it."""
        return next((held for held in self.held if held.name == name), None)

    # --- decisions ----------------------------------------------------------------------------------------------------

    def list_channels(
        self, receiver: PartyId, *, now: Instant, under: AgreementId | None = None, channel: str | None = None
    ) -> Iterator[tuple[AgreementId, Standing, Channel]]:
        """The channels in which this party may give to `receiver`, gate open or not: of any agreement, or one."""
        for agreement in self.versions if under is None else [under]:
            standing = self.standing(agreement, now=now)
            if standing is None:
                continue
            for each in (standing.current or standing.latest).channels:
                if (self.party, receiver) in each.pairs(standing.members) and channel in {None, each.id}:
                    yield agreement, standing, each

    def read(
        self,
        held: Held,
        receiver: PartyId,
        *,
        now: Instant,
        under: AgreementId | None = None,
        channel: str | None = None,
    ) -> tuple[Reading, ...]:
        """What each channel towards `receiver` says of an object: gate first, then history, then the scope."""
        return tuple(
            self._read(held, receiver, agreement=agreement, standing=standing, channel=each, now=now)
            for agreement, standing, each in self.list_channels(receiver, now=now, under=under, channel=channel)
        )

    def _read(
        self,
        held: Held,
        receiver: PartyId,
        *,
        agreement: AgreementId,
        standing: Standing,
        channel: Channel,
        now: Instant,
    ) -> Reading:
        terms = standing.current or standing.latest
        recognition = self.judge(terms, now=now, joining=standing.joining_bases(self.party))
        gate = decide_gate(standing, recognition, channel=channel, giver=self.party, receiver=receiver)
        floor = self.floors.get((agreement, channel.id, receiver), len(self.held))
        threshold = find_threshold(channel.history, floor=floor, joined=receiver not in terms.founders)
        old = decide_history(threshold, first_seq=held.first_seq, added_at=held.added_at)
        scope = channel.scope_for(self.party)
        decision = gate or old or decide(scope, self.labels[held.first_seq], recipient=receiver)
        return Reading(
            agreement=agreement,
            terms=terms,
            channel=channel,
            gated=gate is not None,
            decision=decision,
            verdict=put_in_words(decision, data=held.object.data),
        )

    def find_verdict(
        self,
        held: Held,
        receiver: PartyId,
        *,
        now: Instant,
        under: AgreementId | None = None,
        channel: str | None = None,
    ) -> Verdict:
        """The most that any channel lets go of an object to `receiver`."""
        readings = self.read(held, receiver, now=now, under=under, channel=channel)
        ranked = min(readings, key=lambda one: rank_verdict(one.verdict, gated=one.gated), default=None)
        if ranked is not None:
            return ranked.verdict
        nothing = f"no agreement on record lets {self.party} give anything to {receiver}"
        return Verdict(decision="withhold", clause="status", reason=nothing)

    def list_offers(
        self, receiver: PartyId, *, now: Instant, under: AgreementId | None = None, channel: str | None = None
    ) -> tuple[Offer, ...]:
        """What `receiver` is given when it asks: of each object and channel the newest version that may go."""
        offers: dict[tuple[AgreementId, str, ObjectId], Offer] = {}
        for held in sorted(self.held, key=lambda one: one.version_at):
            for reading in self.read(held, receiver, now=now, under=under, channel=channel):
                if not isinstance(reading.decision, Withhold):
                    data = _apply(reading.decision, held)
                    key = (reading.agreement, reading.channel.id, held.object.id)
                    offers[key] = Offer(held=held, reading=reading, data=data)
        return tuple(offers.values())


def _apply(decision: Decision, held: Held) -> bytes:
    if isinstance(decision, Redact):
        return redact(held.object.data, decision.properties, only=decision.only).data
    return held.object.data
