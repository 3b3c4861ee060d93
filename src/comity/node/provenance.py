# SPDX-License-Identifier: Apache-2.0
"""Shell: where an object is from: each way it came, with what the terms of that way say; how it came back; disputes.

The same object by two ways is one source. Of the chain before the last giver nothing is known here: no party tells the
next whom it had something from (ADR 0032), so that a way names all whose it can be. What a received object is about can
lead back to what this party itself said; then it confirms nothing of it.

Nothing is decided here: what restricts an object stands in its label, and when it is deleted in `node.retention`.
"""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass

from comity.agreement.terms import Terms
from comity.ids import AgreementId, Digest, Instant, ObjectId, PartyId
from comity.node.node import Node
from comity.node.standing import list_dossiers
from comity.release.receipt import Handling, make_handling, parse_receipt
from comity.stix.objects import parse_object
from comity.store import Transaction, arrivals, objects, receipts, statuses
from comity.store.arrivals import Arrival
from comity.store.objects import StoredObject
from comity.store.statuses import Unkept

__all__ = ["Provenance", "Unkept", "Way", "find_provenance"]

_MAX_WALKED = 1_000
_MAX_CIRCLES = 10
_MADE_FROM = frozenset({"based-on", "derived-from", "duplicate-of"})
"""Relationships (STIX 2.1 §3.7.1, §5.1) by which their source is made from their target."""

_NO_REPORT = frozenset({"extension-definition", "identity", "location", "marking-definition"})
"""Types that say who, where and how: what refers to them reports nothing of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """One way an object came, or came back: from whom, under which terms, when first.

    `receipt` is the number of the giver's disclosure, where there is a receipt; by it the channel is known, else only
    where the terms have one alone for this. `handling` is what the terms say for that channel.
    """

    giver: PartyId
    terms: Digest
    agreement: AgreementId | None
    channel: str | None
    at: Instant
    receipt: int | None
    handling: Handling | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Provenance:
    """Where one version of an object is from; `source` are all whose it can be, and it is one of them.

    `returns` are ways by which it came back to this party, which had given it; `disputes` what partners gave as another
    version, or other bytes, of it, and was not kept. `circles` are chains of what a received object is about, each to
    an object of this party's own.
    """

    source: frozenset[PartyId]
    ways: tuple[Way, ...]
    returns: tuple[Way, ...]
    disputes: tuple[Unkept, ...]
    circles: tuple[tuple[ObjectId, ...], ...]


def find_provenance(node: Node, transaction: Transaction, item: StoredObject) -> Provenance:
    """Where the object is from, in the order of time."""
    came = arrivals.read_arrivals(transaction, [item.pk]).get(item.pk, [])
    back = arrivals.read_returns(transaction, item.pk)
    known = {terms.hash: terms for dossier in list_dossiers(node, transaction) for terms in dossier.versions}
    return Provenance(
        source=objects.read_label(transaction, item.own_label).originators,
        ways=tuple(_describe(node, transaction, arrival, known) for arrival in came),
        returns=tuple(_describe(node, transaction, entry, known) for entry in back),
        disputes=tuple(statuses.find_unkept(transaction, item.id)),
        circles=() if item.received_under is None else tuple(_find_circles(transaction, item)),
    )


def _describe(
    node: Node, transaction: Transaction, way: Arrival | arrivals.Return, known: Mapping[Digest, Terms]
) -> Way:
    terms = known.get(way.terms)
    receipt = way.receipt if isinstance(way, Arrival) else None
    channel = _read_channel(transaction, way.giver, receipt)
    handling: Handling | None = None
    if terms is not None:
        both = terms.founders | {way.giver, node.party}
        open_to = [one for one in terms.channels if (way.giver, node.party) in one.pairs(both)]
        if channel is None and len(open_to) == 1:
            channel = open_to[0].id
        found = next((one for one in open_to if one.id == channel), None)
        if found is not None:
            handling = make_handling(terms, found, giver=way.giver, recipient=node.party)
    return Way(
        giver=way.giver,
        terms=way.terms,
        agreement=None if terms is None else terms.agreement_id,
        channel=channel,
        at=way.received_at if isinstance(way, Arrival) else way.at,
        receipt=receipt,
        handling=handling,
    )


def _read_channel(transaction: Transaction, giver: PartyId, number: int | None) -> str | None:
    """The channel of a disclosure, as its receipt says."""
    kept = None if number is None else receipts.read_receipt(transaction, giver, number)
    return None if kept is None else parse_receipt(kept.data).disclosure.channel


def _find_circles(transaction: Transaction, item: StoredObject) -> list[tuple[ObjectId, ...]]:
    """The shortest chain of references to each of the first objects of this party's own that are reached."""
    paths: dict[ObjectId, tuple[ObjectId, ...]] = {item.id: (item.id,)}
    circles, waiting = list[tuple[ObjectId, ...]](), deque([item])
    while waiting and len(paths) < _MAX_WALKED and len(circles) < _MAX_CIRCLES:
        current = waiting.popleft()
        if current.received_under is None:
            circles.append(paths[current.id])
            continue
        held = objects.read_current(transaction, _find_subjects(transaction, current))
        for name in sorted(held.keys() - paths.keys()):
            paths[name] = (*paths[current.id], name)
            waiting.append(held[name])
    return circles


def _find_subjects(transaction: Transaction, item: StoredObject) -> set[ObjectId]:
    """What an object is about: what it refers to, and what relationships say that it was made from."""
    about = set(objects.read_references(transaction, [item.pk]).get(item.pk, frozenset()))
    relations = [name for name in objects.read_referrers(transaction, [item.id]) if name.startswith("relationship--")]
    for relation in objects.read_current(transaction, relations[:_MAX_WALKED]).values():
        _, said = parse_object(objects.read_body(transaction, relation.pk))
        target = said.get("target_ref")
        if said.get("relationship_type") in _MADE_FROM and said.get("source_ref") == item.id:
            about |= {ObjectId(target)} if isinstance(target, str) else set()
    return {name for name in about if name.partition("--")[0] not in _NO_REPORT}
