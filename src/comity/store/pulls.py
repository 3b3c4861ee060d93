# SPDX-License-Identifier: Apache-2.0
"""Shell: where this node stands in the feeds of its partners."""

from comity.ids import Instant, PartyId
from comity.store.transaction import Transaction

__all__ = ["read_position", "set_position"]


def read_position(transaction: Transaction, party: PartyId, collection: str) -> Instant | None:
    """The `date_added` up to which the collection was taken in; None before the first page."""
    row = transaction.row(
        "SELECT added_after FROM pull_position WHERE party = ? AND collection = ?", (party, collection)
    )
    return Instant(row[0]) if row else None


def set_position(transaction: Transaction, party: PartyId, collection: str, added_after: Instant) -> None:
    """Everything up to and with `added_after` was taken in, in the transaction that takes it in."""
    transaction.run(
        "INSERT INTO pull_position VALUES (?, ?, ?)"
        " ON CONFLICT (party, collection) DO UPDATE SET added_after = MAX(added_after, excluded.added_after)",
        (party, collection, added_after),
    )
