# SPDX-License-Identifier: Apache-2.0
"""Shell: what the text that something came under lets go of it, read from the bytes that lie in the store.

A version is bound by every way it came. What was deleted and comes again is bound by the ways of before too: else what
the strictest of its givers kept here would go as soon as another gave it once more.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from comity.agreement.channels import Channel
from comity.agreement.receiving import ReceiptTerms, parse_receipt_terms
from comity.agreement.terms import Terms, parse_terms
from comity.canonical import sha256_digest
from comity.errors import CorruptionError, MalformedError
from comity.ids import Digest, PartyId
from comity.release.receiving import find_carriers, needs_consent
from comity.replayed import Bounds
from comity.store import Transaction, agreements, arrivals, deletions, sources
from comity.store.arrivals import Arrival
from comity.store.deletions import Way
from comity.store.objects import StoredObject

__all__ = ["Onward", "can_give", "read_bounds", "read_every_way", "read_onward"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Onward:
    """What a way lets go of an object of one type that came by it, in whichever of `channels` that was.

    `listed` are to whom without anybody's consent; `by_consent` says whether also to whom its giver grants. What came
    from a source came in no channel.
    """

    channels: tuple[Channel, ...]
    listed: frozenset[PartyId]
    by_consent: bool
    originators: frozenset[PartyId]
    excluded: frozenset[str]


def read_onward(transaction: Transaction, party: PartyId, way: Arrival | Way, *, kind: str) -> Onward:
    """What that way lets go on from `party` of objects of the type `kind`.

    Raises:
        CorruptionError: the store has lost the text.
    """
    match _read_text(transaction, party, way.terms):
        case Terms() as text:
            channels = find_carriers(text.channels, giver=way.giver, receiver=party, kind=kind)
            listed = [channel.releasable_to for channel in channels]
            return Onward(
                channels=channels,
                listed=frozenset[PartyId].intersection(*listed) if listed else frozenset(),
                by_consent=needs_consent(channels),
                originators=frozenset({way.giver}).union(
                    *(channel.scope_for(way.giver).originators for channel in channels)
                ),
                excluded=text.excluded_frameworks,
            )
        case ReceiptTerms() as text:
            return Onward(
                channels=(),
                listed=text.onward_to,
                by_consent=False,
                originators=frozenset({text.originator}),
                excluded=frozenset(),
            )
        case None:
            raise CorruptionError("the terms of an arrival are missing from the store; restore a backup")


def read_every_way(transaction: Transaction, versions: Sequence[StoredObject]) -> Mapping[int, list[Arrival | Way]]:
    """Every way each of `versions` came, by its key; also those by which it had come before it was deleted."""
    came = arrivals.read_arrivals(transaction, [item.pk for item in versions])
    before = deletions.read_ways(transaction, {item.id for item in versions})
    found = dict[int, list[Arrival | Way]]()
    for item in versions:
        ways: list[Arrival | Way] = [*came.get(item.pk, ())]
        known = {(way.giver, way.terms) for way in ways}
        ways += [way for way in before.get((item.id, item.version_at), ()) if (way.giver, way.terms) not in known]
        found[item.pk] = ways
    return found


def read_bounds(transaction: Transaction, party: PartyId, *, giver: PartyId, terms: Digest) -> Bounds | None:
    """What binds all that `giver` gave `party` under these terms; None where they are not on record."""
    match _read_text(transaction, party, terms):
        case Terms() as text:
            carriers = _find_carriers(text, party, giver)
            onward_to = frozenset[PartyId]().union(*(channel.scope.onward_to for channel in carriers))
            return Bounds(onward_to=onward_to, excluded=text.excluded_frameworks)
        case ReceiptTerms() as text:
            return Bounds(onward_to=text.onward_to, excluded=frozenset())
        case None:
            return None


def can_give(transaction: Transaction, party: PartyId, *, giver: PartyId, terms: Digest) -> bool:
    """Whether `giver` can give `party` anything under these terms; so too where they are not on record."""
    match _read_text(transaction, party, terms):
        case Terms() as text:
            return bool(_find_carriers(text, party, giver))
        case ReceiptTerms() as text:
            return text.originator == giver
        case None:
            return True


def _read_text(transaction: Transaction, party: PartyId, terms: Digest) -> Terms | ReceiptTerms | None:
    """The text with that hash, or the terms of receipt; None where there is none whose bytes have it."""
    document = agreements.read_terms(transaction, terms)
    try:
        if document is not None:
            text = parse_terms(document)
            return text if text.hash == terms else None
        records = sources.list_records(transaction)
        record = next((one for one in records if sha256_digest(one) == terms), None)
        return None if record is None else parse_receipt_terms(record, party=party)
    except MalformedError:
        return None


def _find_carriers(text: Terms, party: PartyId, giver: PartyId) -> list[Channel]:
    return [
        channel
        for channel in text.channels
        if channel.giver in {None, giver} and (channel.receivers is None or party in channel.receivers)
    ]
