# SPDX-License-Identifier: Apache-2.0
"""Shell: what the text that something came under lets go of it, read from the bytes that lie in the store."""

from comity.agreement.receiving import parse_receipt_terms
from comity.agreement.terms import parse_terms
from comity.canonical import sha256_digest
from comity.errors import MalformedError
from comity.ids import Digest, PartyId
from comity.replayed import Bounds
from comity.store import Transaction, agreements, sources

__all__ = ["read_bounds"]


def read_bounds(transaction: Transaction, party: PartyId, *, giver: PartyId, terms: Digest) -> Bounds | None:
    """What binds all that `giver` gave `party` under these terms; None where they are not on record."""
    try:
        document = agreements.read_terms(transaction, terms)
        if document is None:
            records = sources.list_records(transaction)
            record = next((one for one in records if sha256_digest(one) == terms), None)
            said = None if record is None else parse_receipt_terms(record, party=party)
            return None if said is None else Bounds(onward_to=said.onward_to, excluded=frozenset())
        text = parse_terms(document)
    except MalformedError:
        return None
    if text.hash != terms:
        return None
    carriers = [
        channel
        for channel in text.channels
        if channel.giver in {None, giver} and (channel.receivers is None or party in channel.receivers)
    ]
    onward_to = frozenset[PartyId]().union(*(channel.scope.onward_to for channel in carriers))
    return Bounds(onward_to=onward_to, excluded=text.excluded_frameworks)
