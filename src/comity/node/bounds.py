# SPDX-License-Identifier: Apache-2.0
"""Shell: what the text that something came under lets go of it, read from the bytes that lie in the store."""

from comity.agreement.channels import Channel
from comity.agreement.receiving import ReceiptTerms, parse_receipt_terms
from comity.agreement.terms import Terms, parse_terms
from comity.canonical import sha256_digest
from comity.errors import MalformedError
from comity.ids import Digest, PartyId
from comity.replayed import Bounds
from comity.store import Transaction, agreements, sources

__all__ = ["can_give", "read_bounds"]


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
