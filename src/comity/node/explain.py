# SPDX-License-Identifier: Apache-2.0
"""Shell: which clause decided, for release and for refusal, and because of which object.

The same gate and the same decision as a poll, asked for one object and without releasing anything. Where an object is
refused for what it refers to, the chain of references to the one that is refused by itself is named.
"""

from collections import deque
from dataclasses import dataclass

from comity.agreement.channels import Channel, Scope
from comity.agreement.lifecycle import Standing
from comity.errors import MalformedRequest, NotFoundError
from comity.ids import AgreementId, ObjectId, PartyId, format_instant
from comity.node.gate import ask_gate
from comity.node.grants import keep_grants
from comity.node.node import Node
from comity.node.parties import find_party
from comity.node.provenance import Provenance, find_provenance
from comity.node.standing import Dossier, list_dossiers
from comity.node.tagging import keep_lapsed
from comity.release.clauses import Finding, read_findings
from comity.release.decision import Withhold, decide, decide_history
from comity.release.history import find_threshold
from comity.release.verdict import Verdict, put_in_words, rank_verdict
from comity.stix.labels import Label
from comity.stix.markings import Repeat, find_repeats
from comity.stix.objects import parse_object
from comity.store import Transaction, deletions, feeds, objects
from comity.store.deletions import Tombstone
from comity.store.objects import StoredObject

__all__ = [
    "Explanation",
    "Reading",
    "Repeat",
    "Shown",
    "Tombstone",
    "Verdict",
    "explain",
    "find_deleted",
    "find_object",
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """The verdict that counts (the most any channel lets go) and the reading of every channel towards the party.

    `repeats` say what is marked in the object and stands again in it, so that more is restricted than is marked.
    """

    object: StoredObject
    recipient: PartyId
    verdict: Verdict
    readings: tuple[Reading, ...]
    repeats: tuple[Repeat, ...] = ()


def find_object(transaction: Transaction, prefix: str) -> StoredObject:
    """The newest version of the one object that `prefix` names: a whole id, or a unique beginning of it.

    Raises:
        NotFoundError: it fits none.
        MalformedRequest: it fits several.
    """
    found = objects.find_objects(transaction, prefix, limit=_MAX_SHOWN + 1)
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
    find_party(node, to)
    keep_grants(node)
    keep_lapsed(node)
    with node.store.read() as transaction:
        item = find_object(transaction, prefix)
        readings = tuple(
            _read(node, transaction, item, dossier=dossier, standing=standing, channel=channel, to=to)
            for dossier in list_dossiers(node, transaction)
            for standing in [dossier.standing(now=node.clock())]
            for channel in (standing.current or standing.latest).channels
            if (node.party, to) in channel.pairs(standing.members)
        )
        repeats = _find_repeats(objects.read_body(transaction, item.pk))
    nothing = Withhold(clause="status", reason=f"no agreement on record lets this node give anything to {to}")
    best = min(readings, key=_rank, default=None)
    verdict = put_in_words(nothing, data=b"") if best is None else best.verdict
    return Explanation(object=item, recipient=to, verdict=verdict, readings=readings, repeats=repeats)


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


def _read(
    node: Node,
    transaction: Transaction,
    item: StoredObject,
    *,
    dossier: Dossier,
    standing: Standing,
    channel: Channel,
    to: PartyId,
) -> Reading:
    terms = standing.current or standing.latest
    gate = ask_gate(node, transaction, standing, channel, recipient=to)
    label = objects.read_label(transaction, item.label)
    scope = channel.scope_for(node.party)
    decided = decide(scope, label, recipient=to)
    because: tuple[ObjectId, ...] = ()
    if isinstance(decided, Withhold):
        because = _find_cause(transaction, item, scope=scope, to=to)
        decided = _name_cause(decided, because)
    feed = feeds.read_feed(transaction, dossier.id, channel.id, to)
    floor = objects.read_head_seq(transaction) if feed is None else feed.floor
    threshold = find_threshold(channel.history, floor=floor, joined=to not in terms.founders)
    old = decide_history(threshold, first_seq=item.first_seq, added_at=item.added_at)
    return Reading(
        agreement=dossier.id,
        title=terms.title,
        channel=channel.id,
        verdict=put_in_words(gate or old or decided, data=objects.read_body(transaction, item.pk)),
        gate=gate,
        history=old,
        findings=read_findings(scope, label, recipient=to),
        because=because,
    )


def _find_cause(transaction: Transaction, item: StoredObject, *, scope: Scope, to: PartyId) -> tuple[ObjectId, ...]:
    """The shortest chain of references to an object that is refused, or missing, by itself."""
    paths: dict[ObjectId, tuple[ObjectId, ...]] = {item.id: ()}
    waiting = deque([item])
    while waiting and len(paths) < _MAX_WALKED:
        current = waiting.popleft()
        own = objects.read_label(transaction, current.own_label)
        if isinstance(decide(scope, own, recipient=to), Withhold):
            return paths[current.id]
        targets = objects.read_references(transaction, [current.pk]).get(current.pk, frozenset())
        held = objects.read_current(transaction, targets)
        if missing := targets - held.keys():
            return (*paths[current.id], min(missing))
        for target in sorted(held.keys() - paths.keys()):
            paths[target] = (*paths[current.id], target)
            waiting.append(held[target])
    return ()


def _name_cause(decision: Withhold, because: tuple[ObjectId, ...]) -> Withhold:
    if not because:
        return decision
    return Withhold(clause=decision.clause, reason=f"{decision.reason} (it refers to {' → '.join(because)})")


def _rank(reading: Reading) -> tuple[int, bool]:
    return rank_verdict(reading.verdict, gated=reading.gate is not None)
