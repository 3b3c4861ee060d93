# SPDX-License-Identifier: Apache-2.0
"""Shell: which clause decided, for release and for refusal, and because of which object.

The same gate and the same decision as a poll, asked for one object and without releasing anything. Where an object is
refused for what it refers to, the chain of references to the one that is refused by itself is named.
"""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from comity.agreement.channels import Channel, Scope
from comity.agreement.lifecycle import Standing
from comity.agreement.terms import Terms
from comity.errors import MalformedRequest, NotFoundError
from comity.ids import AgreementId, ObjectId, PartyId, format_instant
from comity.node.gate import ask_gates
from comity.node.grants import keep_grants
from comity.node.node import Node
from comity.node.parties import find_party
from comity.node.provenance import Provenance, find_provenance
from comity.node.standing import Dossier, list_dossiers
from comity.node.tagging import keep_lapsed
from comity.release.clauses import Finding, read_findings
from comity.release.decision import Decision, Redact, Release, Withhold, decide, decide_history
from comity.release.history import find_threshold
from comity.release.redaction import redact
from comity.release.verdict import GOES_WHOLE, Verdict, put_in_words, rank_verdict
from comity.stix.labels import Label
from comity.stix.markings import Repeat, find_repeats
from comity.stix.objects import parse_object
from comity.store import Transaction, beginnings, deletions, feeds, objects
from comity.store.deletions import Tombstone
from comity.store.objects import StoredObject

__all__ = [
    "Explanation",
    "Reading",
    "Recipient",
    "Repeat",
    "Seen",
    "Shown",
    "Tombstone",
    "Verdict",
    "explain",
    "find_deleted",
    "find_object",
    "list_recipients",
    "see_object",
    "show_object",
]

_MAX_SHOWN = 10
_MAX_STONES = 1_000
_MAX_WALKED = 10_000
"""Objects looked at for a chain; beyond it the clause is named without one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """An object as it is held: its newest version, the label that counts, and the versions held, oldest first.

    `deleted` is what stays of versions that are not held any more.
    """

    object: StoredObject
    label: Label
    versions: tuple[str, ...]
    data: bytes
    provenance: Provenance
    repeats: tuple[Repeat, ...] = ()
    deleted: tuple[Tombstone, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What one channel says: the gate's answer first, then history's, then the scope's, clause by clause.

    `because` is the chain of references from the object to the one that is refused by itself; empty when it is itself.
    """

    agreement: AgreementId
    title: str
    channel: str
    verdict: Verdict
    gate: Withhold | None
    history: Withhold | None
    findings: tuple[Finding, ...]
    because: tuple[ObjectId, ...]
    decision: Decision


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """The verdict that counts (the most any channel lets go) and the readings of channels towards the party.

    `channels` is how many lead there, whether all of them were read or not. `repeats` say what is marked in the object
    and stands again in it, so that more is restricted than is marked.
    """

    object: StoredObject
    recipient: PartyId
    verdict: Verdict
    readings: tuple[Reading, ...]
    channels: int
    repeats: tuple[Repeat, ...] = ()

    @property
    def best(self) -> Reading | None:
        """The reading whose verdict counts; None where no channel leads to the party."""
        return min(self.readings, key=_rank, default=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """An object beside what a party would receive of it at this moment: the very bytes, None when nothing goes.

    `recipients` are as of `list_recipients`, where they were asked for.
    """

    explanation: Explanation
    original: bytes
    received: bytes | None
    recipients: tuple["Recipient", ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipient:
    """What one party would be given of an object, by the channel that lets the most of it go."""

    party: PartyId
    agreement: AgreementId
    title: str
    channel: str
    verdict: Verdict


def find_object(transaction: Transaction, prefix: str) -> StoredObject:
    """The newest version of the one object that `prefix` names: a whole id, or a unique beginning of it.

    Raises:
        NotFoundError: it fits none.
        MalformedRequest: it fits several.
    """
    whole = objects.read_current(transaction, [ObjectId(prefix)])
    if whole:
        return whole[ObjectId(prefix)]
    found = beginnings.find_objects(transaction, prefix, limit=_MAX_SHOWN + 1)
    if not found and (stones := deletions.find_tombstones(transaction, prefix, limit=1)):
        gone = format_instant(stones[0].deleted_at)
        raise NotFoundError(f"{stones[0].id} was deleted here on {gone}; `object show` says why")
    if not found:
        raise NotFoundError(f"no object {prefix!r} is held here")
    if len(found) > 1:
        shown = ", ".join(item.id for item in found[:_MAX_SHOWN])
        raise MalformedRequest(f"{prefix!r} fits several objects: {shown}{' …' if len(found) > _MAX_SHOWN else ''}")
    return found[0]


def explain(node: Node, prefix: str, *, to: PartyId) -> Explanation:
    """Why the object that `prefix` names goes, or does not go, to the party `to` at this moment.

    Raises:
        NotFoundError: the object, or the party.
        MalformedRequest: the prefix fits several objects.
    """
    return see_object(node, prefix, to=to).explanation


def see_object(node: Node, prefix: str, *, to: PartyId, most: int | None = None, everyone: bool = False) -> Seen:
    """`explain`, with the bytes that are held and those that would go; nothing is released or put on record by it.

    With `most`, so many channels at most are read clause by clause: those that let the most go, these first. With
    `everyone`, what each party would be given is said too: each channel is asked once for both.

    Raises:
        NotFoundError, MalformedRequest: as `explain`.
    """
    find_party(node, to)
    keep_grants(node)
    keep_lapsed(node)
    with node.store.read() as transaction:
        asking = _Asking(node, transaction, find_object(transaction, prefix))
        places = [*_list_places(node, transaction)]
        asked = [asking.ask(place) for place in places if place.to == to]
        others = (place for place in places if place.to != to)
        recipients = asking.find_recipients(others, known=asked) if everyone else ()
        chosen = asked if most is None else sorted(asked, key=lambda one: one.rank)[:most]
        readings = tuple(asking.read(one) for one in chosen)
    data = asking.data
    nothing = Withhold(clause="status", reason=f"no agreement on record lets this node give anything to {to}")
    best = min(readings, key=_rank, default=None)
    verdict = put_in_words(nothing, data=b"") if best is None else best.verdict
    explanation = Explanation(
        object=asking.item,
        recipient=to,
        verdict=verdict,
        readings=readings,
        channels=len(asked),
        repeats=_find_repeats(data),
    )
    received = None if best is None else _cut(best.decision, data)
    return Seen(explanation=explanation, original=data, received=received, recipients=recipients)


def list_recipients(node: Node, prefix: str) -> tuple[StoredObject, tuple[Recipient, ...]]:
    """The object that `prefix` names, and what each party that some channel leads to would be given of it, by party.

    The same verdicts as `explain`, without the chains of references.

    Raises:
        NotFoundError, MalformedRequest: as `find_object`.
    """
    keep_grants(node)
    keep_lapsed(node)
    with node.store.read() as transaction:
        item = find_object(transaction, prefix)
        asking = _Asking(node, transaction, item)
        return item, asking.find_recipients(_list_places(node, transaction))


def show_object(node: Node, prefix: str) -> Shown:
    """The object that `prefix` names, as it is held.

    Raises:
        NotFoundError, MalformedRequest: as `find_object`.
    """
    keep_grants(node)
    keep_lapsed(node)
    with node.store.read() as transaction:
        item = find_object(transaction, prefix)
        held = [version.version for version in objects.read_versions_of(transaction, [item.id])]
        stones = deletions.read_tombstones(transaction, [item.id]).get(item.id, [])
        data = objects.read_body(transaction, item.pk)
        return Shown(
            object=item,
            label=objects.read_label(transaction, item.label),
            versions=tuple(held),
            data=data,
            provenance=find_provenance(node, transaction, item),
            repeats=_find_repeats(data),
            deleted=tuple(stone for stone in stones if stone.version not in held),
        )


def find_deleted(node: Node, prefix: str) -> tuple[Tombstone, ...]:
    """What stays of the one object that `prefix` names: its deleted versions, oldest first; empty when there are none.

    Raises:
        MalformedRequest: it fits several objects.
    """
    with node.store.read() as transaction:
        stones = deletions.find_tombstones(transaction, prefix, limit=_MAX_STONES)
    if len({stone.id for stone in stones}) > 1:
        raise MalformedRequest(f"{prefix!r} fits several deleted objects; give more characters")
    return tuple(stones)


def _find_repeats(data: bytes) -> tuple[Repeat, ...]:
    return find_repeats(parse_object(data)[1])


@dataclass(frozen=True, slots=True, kw_only=True)
class _Place:
    """One channel of one agreement, towards one party."""

    dossier: Dossier
    standing: Standing
    channel: Channel
    to: PartyId

    @property
    def terms(self) -> Terms:
        """The terms that are read: those that count, or the latest."""
        return self.standing.current or self.standing.latest


@dataclass(frozen=True, slots=True, kw_only=True)
class _Answer:
    """What is said of the object in one place: by the gate, by when it came in, and by the scope; and what counts."""

    place: _Place
    gate: Withhold | None
    history: Withhold | None
    decided: Decision
    verdict: Verdict

    @property
    def counts(self) -> Decision:
        """The decision: what stops an object before the clauses are asked is named first."""
        return self.gate or self.history or self.decided

    @property
    def rank(self) -> tuple[int, bool]:
        """The less, the more goes."""
        return rank_verdict(self.verdict, gated=self.gate is not None)


def _list_places(node: Node, transaction: Transaction) -> Iterator[_Place]:
    """Every channel by which this party may give, towards each party it leads to."""
    now = node.clock()
    for dossier in list_dossiers(node, transaction):
        standing = dossier.standing(now=now)
        for channel in (standing.current or standing.latest).channels:
            receivers = (to for giver, to in channel.pairs(standing.members) if giver == node.party)
            yield from (_Place(dossier=dossier, standing=standing, channel=channel, to=to) for to in receivers)


def _name_recipient(answer: _Answer) -> Recipient:
    place = answer.place
    return Recipient(
        party=place.to,
        agreement=place.dossier.id,
        title=place.terms.title,
        channel=place.channel.id,
        verdict=answer.verdict,
    )


class _Asking:
    """What is asked about: the object, the label that counts, its bytes; and whoever answers, within a transaction.

    One party may be in a thousand agreements: whatever is the same for all channels is read once.
    """

    def __init__(self, node: Node, transaction: Transaction, item: StoredObject) -> None:
        self.item = item
        self.label = objects.read_label(transaction, item.label)
        self.data = objects.read_body(transaction, item.pk)
        self._party = node.party
        self._ask_gate = ask_gates(node, transaction)
        self._floors = feeds.read_all_floors(transaction)
        self._head = objects.read_head_seq(transaction)
        self._walk = _Walk(transaction, item)

    def ask(self, place: _Place) -> _Answer:
        """What the place says of the object, without the chain of references."""
        gate = self._ask_gate(place.dossier, place.channel, place.to)
        floor = self._floors.get((place.dossier.id, place.channel.id, place.to), self._head)
        joined = place.to not in place.terms.founders
        threshold = find_threshold(place.channel.history, floor=floor, joined=joined)
        history = decide_history(threshold, first_seq=self.item.first_seq, added_at=self.item.added_at)
        decided = decide(place.channel.scope_for(self._party), self.label, recipient=place.to)
        verdict = put_in_words(gate or history or decided, data=self.data)
        return _Answer(place=place, gate=gate, history=history, decided=decided, verdict=verdict)

    def find_recipients(self, places: Iterable[_Place], *, known: Sequence[_Answer] = ()) -> tuple[Recipient, ...]:
        """What each party would be given, by these places and by what is `known` of others."""
        found: dict[PartyId, _Answer] = {}
        for one in known:
            if one.place.to not in found or one.rank < found[one.place.to].rank:
                found[one.place.to] = one
        for place in places:
            best = found.get(place.to)
            if best is not None and best.rank == GOES_WHOLE:
                continue  # one party may be in a thousand agreements
            one = self.ask(place)
            if best is None or one.rank < best.rank:
                found[place.to] = one
        return tuple(_name_recipient(found[party]) for party in sorted(found))

    def read(self, answer: _Answer) -> Reading:
        """What the place says, clause by clause."""
        place = answer.place
        scope = place.channel.scope_for(self._party)
        because: tuple[ObjectId, ...] = ()
        if isinstance(answer.decided, Withhold):
            because = self._walk.find_refused(scope, to=place.to)
            answer = self._name(answer, answer.decided, because)
        return Reading(
            agreement=place.dossier.id,
            title=place.terms.title,
            channel=place.channel.id,
            verdict=answer.verdict,
            gate=answer.gate,
            history=answer.history,
            findings=read_findings(scope, self.label, recipient=place.to),
            because=because,
            decision=answer.counts,
        )

    def _name(self, answer: _Answer, decided: Withhold, because: tuple[ObjectId, ...]) -> _Answer:
        """The answer that says because of which object."""
        if not because:
            return answer
        reason = f"{decided.reason} (it refers to {' → '.join(because)})"
        named = replace(answer, decided=Withhold(clause=decided.clause, reason=reason))
        return replace(named, verdict=put_in_words(named.counts, data=self.data))


class _Walk:
    """What an object refers to, step by step; each step is read once, whoever asks."""

    def __init__(self, transaction: Transaction, item: StoredObject) -> None:
        self._taken = list[_Step]()
        self._rest = _walk(transaction, item)

    def find_refused(self, scope: Scope, *, to: PartyId) -> tuple[ObjectId, ...]:
        """The shortest chain of references to an object that is refused, or missing, by itself; empty: to none."""
        for chain, label in self._take():
            if label is None or isinstance(decide(scope, label, recipient=to), Withhold):
                return chain
        return ()

    def _take(self) -> Iterator["_Step"]:
        yield from self._taken
        for step in self._rest:
            self._taken.append(step)
            yield step


_Step = tuple[tuple[ObjectId, ...], Label | None]
"""The chain of references to an object, and what it is labelled by itself; None where it is not held."""


def _walk(transaction: Transaction, item: StoredObject) -> Iterator[_Step]:
    """The object and all it refers to, the nearest first, up to the first that is not held."""
    paths: dict[ObjectId, tuple[ObjectId, ...]] = {item.id: ()}
    waiting = deque([item])
    while waiting and len(paths) < _MAX_WALKED:
        current = waiting.popleft()
        yield paths[current.id], objects.read_label(transaction, current.own_label)
        targets = objects.read_references(transaction, [current.pk]).get(current.pk, frozenset())
        held = objects.read_current(transaction, targets)
        if missing := targets - held.keys():
            yield (*paths[current.id], min(missing)), None
            return
        for target in sorted(held.keys() - paths.keys()):
            paths[target] = (*paths[current.id], target)
            waiting.append(held[target])


def _cut(decision: Decision, data: bytes) -> bytes | None:
    """The bytes that go by this decision."""
    match decision:
        case Release():
            return data
        case Redact(properties=properties, only=only):
            return redact(data, properties, only=only).data
        case Withhold():
            return None


def _rank(reading: Reading) -> tuple[int, bool]:
    return rank_verdict(reading.verdict, gated=reading.gate is not None)
