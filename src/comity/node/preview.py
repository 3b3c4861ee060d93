# SPDX-License-Identifier: Apache-2.0
"""Shell: see before you sign: what terms would release of what is held, and what they would change; nothing is signed.

The labels in use are read, decided by the clause table and the decision that a poll asks (`release.preview`), and
counted. No object is read but the few that are shown. One read transaction: all of it is of one moment.

Grants of consent whose time has passed end first, as they would with the next poll: that is all that it writes.

The gate does not change the counts. What stops everything is told beside them: where the agreement stands, this party's
own recognition, and what keeps each flow closed: now, where the terms are the version that counts; else, what would
when all had signed.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass

from comity.agreement.comparison import TextChange, compare_texts
from comity.agreement.drafting import convert_terms
from comity.agreement.events import Event, EventKind
from comity.agreement.lifecycle import Obstacle, Standing, compute_standing
from comity.agreement.recognition import Refusal
from comity.agreement.record import find_members, sort_out
from comity.agreement.terms import Terms, parse_terms
from comity.agreement.transitions import State
from comity.errors import NotFoundError
from comity.ids import AgreementId, Digest, Instant, PartyId
from comity.node.agree import find_problems
from comity.node.gate import ask_gate
from comity.node.grants import keep_grants
from comity.node.node import Node
from comity.node.standing import Dossier, find_agreement, judge_signing, list_dossiers, read_dossier
from comity.release.conflicts import ConflictKind, Contradiction, Side, describe_witness, find_contradictions
from comity.release.facets import Place
from comity.release.preview import (
    Amount,
    Counts,
    Effect,
    Flow,
    Relation,
    Verdicts,
    compare_flows,
    count_effect,
    count_flow,
    find_common,
    find_withheld,
    judge,
    list_flows,
    pick_labels,
    sort_labels,
)
from comity.store import Transaction, counts, feeds, objects
from comity.store.counts import Sample

__all__ = [
    "MAX_SAMPLES",
    "Amount",
    "ChannelComparison",
    "Comparison",
    "Conflict",
    "Draft",
    "Effect",
    "Flow",
    "FlowPreview",
    "Preview",
    "Sample",
    "Samples",
    "check_terms",
    "compare_versions",
    "preview_terms",
]

MAX_SAMPLES = 100

_BINDING = frozenset({State.AGREED, State.IN_FORCE, State.SUSPENDED})
"""Signed by all and not ended: what this party is bound by, whether anything is given under it now or not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Conflict:
    """A contradiction with the version that counts of another agreement, and what is held today of what it is about."""

    found: Contradiction
    dossier: Dossier
    other: Terms
    standing: Standing
    labels: int
    amount: Amount
    sentence: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FlowPreview:
    """What one flow would give (None: the terms have it no more), and how that differs from what it gives now.

    `closed` is what keeps it closed, whatever the counts.
    """

    flow: Flow
    closed: Obstacle | None
    counts: Counts | None
    effect: Effect | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Samples:
    """A few of the objects at each place that is shown, at most `limit` of any amount."""

    limit: int
    found: Mapping[Place, tuple[Sample, ...]]

    def of(self, amount: Amount) -> tuple[Sample, ...]:
        """The samples of `amount`."""
        return tuple(sample for place in amount.places for sample in self.found.get(place, ()))[: self.limit]


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """Terms held against this party's own recognition and against what it is bound by.

    `problems` are why a text in a file could not be proposed now, each as a sentence.
    """

    terms: Terms
    problems: tuple[str, ...]
    refusal: Refusal | None
    conflicts: tuple[Conflict, ...]
    samples: Samples


@dataclass(frozen=True, slots=True, kw_only=True)
class Preview:
    """What `terms` would do.

    `standing` is that of their agreement, None when it is not on record; `replaces` is the other version of it that all
    have signed, if there is one.
    """

    terms: Terms
    standing: Standing | None
    replaces: Terms | None
    draft: Draft
    flows: tuple[FlowPreview, ...]
    samples: Samples


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelComparison:
    """One channel for one giver and receiver, in either text; `effect` is None where another party is the giver."""

    channel: str
    giver: PartyId
    receiver: PartyId
    relation: Relation
    effect: Effect | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Two texts: the clauses that differ, and what becomes of each channel."""

    before: Terms
    after: Terms
    changes: tuple[TextChange, ...]
    channels: tuple[ChannelComparison, ...]
    samples: Samples


def preview_terms(node: Node, source: bytes | str, *, samples: int = 3) -> Preview:
    """What the terms would do: TOML as bytes, or the name of an agreement or version on record.

    The id of an agreement names its latest version, the hash of a later version names that version.

    Raises:
        MalformedTerms: the TOML, with its line.
        NotFoundError, MalformedRequest: nothing on record has that name, or several have.
    """
    keep_grants(node)
    with node.store.read() as transaction:
        terms, dossier = _read_latest(node, transaction, source)
        standing = dossier.standing(now=node.clock()) if dossier else None
        replaces = standing.current if standing else None
        if replaces is not None and replaces.hash == terms.hash:
            replaces = None
        after = {flow.key: flow for flow in _list_flows(transaction, terms, dossier, giver=node.party)}
        before = {}
        if replaces is not None:
            before = {flow.key: flow for flow in _list_flows(transaction, replaces, dossier, giver=node.party)}
        others = _find_contradictions(node, transaction, terms, dossier)
        gate = _Gate(node, transaction, terms, dossier)
        desk = _Desk(transaction, [*after.values(), *before.values(), *_list_concerned(others)], samples=samples)
        flows = tuple(
            FlowPreview(
                flow=flow,
                closed=gate.ask(flow) if key in after else None,
                counts=desk.count(after[key]) if key in after else None,
                effect=desk.compare(before.get(key), after.get(key)) if replaces else None,
            )
            for key, flow in {**before, **after}.items()
        )
        conflicts = tuple(desk.witness(node.party, item) for item in others)
        shown = desk.sample([*_list_amounts(flows), *(item.amount for item in conflicts)])
        problems = _list_problems(node, transaction, terms) if isinstance(source, bytes) else ()
        refusal = _judge(node, terms, standing)
        draft = Draft(terms=terms, problems=problems, refusal=refusal, conflicts=conflicts, samples=shown)
        return Preview(terms=terms, standing=standing, replaces=replaces, draft=draft, flows=flows, samples=shown)


def check_terms(node: Node, toml: bytes, *, samples: int = 3) -> Draft:
    """What would keep this party from proposing the terms now, and their conflicts with what it is bound by.

    Raises:
        MalformedTerms: the TOML, with its line.
    """
    terms = parse_terms(convert_terms(toml))
    keep_grants(node)
    with node.store.read() as transaction:
        others = _find_contradictions(node, transaction, terms, read_dossier(node, transaction, terms.agreement_id))
        desk = _Desk(transaction, _list_concerned(others), samples=samples)
        conflicts = tuple(desk.witness(node.party, item) for item in others)
        shown = desk.sample([item.amount for item in conflicts])
        problems = _list_problems(node, transaction, terms)
    return Draft(terms=terms, problems=problems, refusal=_judge(node, terms, None), conflicts=conflicts, samples=shown)


def compare_versions(node: Node, before: bytes | str, after: bytes | str, *, samples: int = 3) -> Comparison:
    """How two texts differ: each is TOML as bytes, or the beginning of the hash of a version on record.

    Raises:
        MalformedTerms, NotFoundError, MalformedRequest: as `preview_terms`.
    """
    keep_grants(node)
    with node.store.read() as transaction:
        (old, first), (new, second) = (_read_version(node, transaction, source) for source in (before, after))
        then = {flow.key: flow for flow in _list_flows(transaction, old, first)}
        now = {flow.key: flow for flow in _list_flows(transaction, new, second)}
        flows = {**then, **now}
        own = [flow for flow in [*then.values(), *now.values()] if flow.giver == node.party]
        desk = _Desk(transaction, own, samples=samples)
        channels = tuple(
            ChannelComparison(
                channel=flow.channel,
                giver=flow.giver,
                receiver=flow.receiver,
                relation=compare_flows(then.get(key), now.get(key)),
                effect=desk.compare(then.get(key), now.get(key)) if flow.giver == node.party else None,
            )
            for key, flow in sorted(flows.items())
        )
        shown = desk.sample(amount for item in channels if item.effect for amount in _list_effect(item.effect))
    return Comparison(before=old, after=new, changes=compare_texts(old, new), channels=channels, samples=shown)


class _Desk:
    """The labels in use in one transaction, and the verdicts of each flow on them, each asked for once."""

    def __init__(self, transaction: Transaction, flows: Collection[Flow], *, samples: int) -> None:
        self._transaction = transaction
        self._samples = samples
        self._inventory = counts.read_inventory(transaction, history=[flow.history for flow in flows])
        self._verdicts: dict[Flow, Verdicts] = {}

    def judge(self, flow: Flow) -> Verdicts:
        if flow not in self._verdicts:
            found = sort_labels(self._inventory, flow)
            picked = pick_labels(self._inventory, found)
            known = objects.read_labels(self._transaction, picked.values())
            labels = {facet: known[label] for facet, label in picked.items()}
            self._verdicts[flow] = judge(self._inventory, flow, found, labels=labels)
        return self._verdicts[flow]

    def count(self, flow: Flow) -> Counts:
        return count_flow(self._inventory, self.judge(flow), samples=self._samples)

    def compare(self, before: Flow | None, after: Flow | None) -> Effect:
        return count_effect(
            self._inventory,
            None if before is None else self.judge(before),
            None if after is None else self.judge(after),
            relation=compare_flows(before, after),
            samples=self._samples,
        )

    def witness(self, party: PartyId, conflict: "_Found") -> Conflict:
        """The conflict with what is held of what it is about: only what this party itself would give can be told."""
        found = conflict.found
        labels, amount = 0, Amount(objects=0, places=())
        if found.flow.giver == party:
            verdicts = self.judge(found.flow)
            match found.kind:
                case ConflictKind.DUTIES:
                    other = self.judge(found.other_flow)
                    labels, amount = find_common(self._inventory, verdicts, other, samples=self._samples)
                case ConflictKind.ONWARD | ConflictKind.FRAMEWORK:
                    clause = "audience" if found.kind is ConflictKind.ONWARD else "frameworks"
                    labels, amount = find_withheld(
                        self._inventory, verdicts, clause=clause, originator=found.giver, samples=self._samples
                    )
        told = describe_witness(found, party=party, labels=labels, objects=amount.objects)
        return Conflict(
            found=found,
            dossier=conflict.dossier,
            other=conflict.other,
            standing=conflict.standing,
            labels=labels,
            amount=amount,
            sentence=f"{found.sentence}. {told}",
        )

    def sample(self, amounts: Iterable[Amount]) -> Samples:
        """Some of the objects of each amount: for each one or two steps into an index, whatever is held."""
        found = dict[Place, tuple[Sample, ...]]()
        for amount in amounts:
            missing = self._samples
            for place in amount.places:
                if missing <= 0:
                    break
                if place not in found:
                    read = counts.read_samples(
                        self._transaction, place, thresholds=self._inventory.thresholds, limit=self._samples
                    )
                    found[place] = tuple(read)
                missing -= len(found[place])
        return Samples(limit=self._samples, found=found)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Found:
    """A contradiction, and the agreement that it is with."""

    found: Contradiction
    dossier: Dossier
    other: Terms
    standing: Standing


class _Gate:
    """What keeps flows of `terms` closed: by what is on record, or as it would be if every party signed this moment.

    Nothing that is on record goes away by that: a suspension holds for the next version too.
    """

    def __init__(self, node: Node, transaction: Transaction, terms: Terms, dossier: Dossier | None) -> None:
        self._node, self._transaction, self._terms = node, transaction, terms
        self._now = node.clock()
        standing = None if dossier is None else dossier.standing(now=self._now)
        counts_now = standing is not None and standing.current is not None and standing.current.hash == terms.hash
        self._standing = standing if counts_now else None
        self._supposed = _suppose_signed(terms, dossier, now=self._now)

    def ask(self, flow: Flow) -> Obstacle | None:
        channel = self._terms.channel(flow.channel)
        assert channel is not None  # noqa: S101 (the flow is one of these terms)
        if self._standing is not None:
            shut = ask_gate(self._node, self._transaction, self._standing, channel, recipient=flow.receiver)
            return None if shut is None else Obstacle(clause=shut.clause, reason=shut.reason)
        if self._supposed.current is None or self._supposed.current.hash != self._terms.hash:
            reason = f"version {self._terms.version} cannot count any more: {self._supposed.sentence}"
            return Obstacle(clause="status", reason=reason)
        return self._supposed.obstacle(channel, flow.giver, flow.receiver)


def _suppose_signed(terms: Terms, dossier: Dossier | None, *, now: Instant) -> Standing:
    """Where the agreement would stand if every party signed `terms`, and confirmed them, at `now`."""
    said = [
        Event(
            digest=Digest(f"supposed {kind} {party}"),
            kind=kind,
            agreement=terms.agreement_id,
            terms=terms.hash,
            party=party,
            at=now,
        )
        for party in terms.founders
        for kind in (EventKind.ACCEPT, EventKind.CONFIRM)
    ]
    versions, events = ((), ()) if dossier is None else (dossier.versions, dossier.events)
    return compute_standing([*versions, terms], [*events, *said], now=now)


def _list_flows(
    transaction: Transaction, terms: Terms, dossier: Dossier | None, *, giver: PartyId | None = None
) -> tuple[Flow, ...]:
    """The flows of `terms` as they would be: among its founders who have not left, and who joined this very version."""
    versions, events = ((), ()) if dossier is None else (dossier.versions, dossier.events)
    return list_flows(
        terms,
        members=find_members(sort_out([*versions, terms], events), terms),
        head=objects.read_head_seq(transaction),
        floors=feeds.read_floors(transaction, terms.agreement_id),
        giver=giver,
    )


def _list_problems(node: Node, transaction: Transaction, terms: Terms) -> tuple[str, ...]:
    return tuple(problem.detail for problem in find_problems(node, transaction, terms, now=node.clock()))


def _find_contradictions(node: Node, transaction: Transaction, terms: Terms, own: Dossier | None) -> list[_Found]:
    """With every agreement that this party is bound by, but the one that `terms` are a version of."""
    side, now = Side(terms=terms, flows=_list_flows(transaction, terms, own)), node.clock()
    head, floors = objects.read_head_seq(transaction), defaultdict[AgreementId, dict[tuple[str, PartyId], int]](dict)
    for (agreement, channel, recipient), floor in feeds.read_all_floors(transaction).items():
        floors[agreement][channel, recipient] = floor
    found = list[_Found]()
    for dossier in list_dossiers(node, transaction):
        standing = dossier.standing(now=now)
        current = standing.current
        if dossier.id == terms.agreement_id or standing.state not in _BINDING or current is None:
            continue
        flows = list_flows(current, members=standing.members, head=head, floors=floors[dossier.id])
        contradictions = find_contradictions(side, Side(terms=current, flows=flows), party=node.party)
        found += [_Found(found=one, dossier=dossier, other=current, standing=standing) for one in contradictions]
    return found


def _list_concerned(others: Iterable[_Found]) -> list[Flow]:
    return [flow for item in others for flow in (item.found.flow, item.found.other_flow)]


def _judge(node: Node, terms: Terms, standing: Standing | None) -> Refusal | None:
    """What this party's own policy says, if it says no; who joined cites its bases beside the text."""
    joined = [event for event in (standing.joined if standing else ()) if event.party == node.party]
    judged = judge_signing(
        node,
        terms,
        now=node.clock(),
        joining=[basis for event in joined if event.terms == terms.hash for basis in event.bases],
    )
    return judged if isinstance(judged, Refusal) else None


def _read_latest(node: Node, transaction: Transaction, source: bytes | str) -> tuple[Terms, Dossier | None]:
    """As `_read_version`, but that the id of an agreement names its latest version and not its first."""
    terms, dossier = _read_version(node, transaction, source)
    if isinstance(source, str) and dossier is not None and dossier.id.startswith(source.lower()):
        return dossier.standing(now=node.clock()).latest, dossier
    return terms, dossier


def _read_version(node: Node, transaction: Transaction, source: bytes | str) -> tuple[Terms, Dossier | None]:
    if isinstance(source, bytes):
        terms = parse_terms(convert_terms(source))
        return terms, read_dossier(node, transaction, terms.agreement_id)
    dossier = find_agreement(node, transaction, source)
    return _find_version(dossier, source), dossier


def _find_version(dossier: Dossier, prefix: str) -> Terms:
    """The oldest version whose hash begins with `prefix`; the hash of the first is the agreement's id."""
    found = (terms for terms in dossier.versions if terms.hash.startswith(prefix.lower()))
    terms = next(found, None)
    if terms is None:
        raise NotFoundError(f"no version {prefix!r} is on record here; `agreement show` gives the hashes")
    return terms


def _list_amounts(flows: Iterable[FlowPreview]) -> Iterator[Amount]:
    for item in flows:
        if item.counts is not None:
            yield from (group.amount for group in item.counts.groups)
            yield from (amount for _, amount in item.counts.refusals)
        if item.effect is not None:
            yield from _list_effect(item.effect)


def _list_effect(effect: Effect) -> tuple[Amount, ...]:
    return effect.gained, effect.lost, effect.changed, effect.unchanged
