# SPDX-License-Identifier: Apache-2.0
"""Shell: what of receipts and refused pages of partners can be taken away, so that places in their logs are left."""

from dataclasses import dataclass

from comity.ids import Instant, PartyId
from comity.store.deletions import mark_unfinished
from comity.store.transaction import Transaction

__all__ = ["WholeReceipt", "count_refused", "delete_refused", "list_whole", "shorten_receipt"]

_PLACE = '"format":"comity-receipt-place/1"'


@dataclass(frozen=True, slots=True, kw_only=True)
class WholeReceipt:
    """A receipt that is kept whole; `origin` is the lost log of which it is evidence, None for the one that goes on."""

    giver: PartyId
    origin: str | None
    sequence: int
    data: bytes


def list_whole(transaction: Transaction, giver: PartyId, *, until: Instant, most: int) -> list[WholeReceipt]:
    """At most `most` receipts of `giver` that came before `until` and are whole, oldest number first."""
    return [
        WholeReceipt(giver=giver, origin=origin, sequence=sequence, data=bytes(data))
        for origin, sequence, data in transaction.rows(
            "SELECT NULL AS origin, sequence, data FROM receipt WHERE giver = ?1 AND received_at < ?2"
            " AND instr(data, CAST(?3 AS BLOB)) = 0 UNION ALL SELECT origin, sequence, data FROM receipt_set_aside"
            " WHERE giver = ?1 AND received_at < ?2 AND instr(data, CAST(?3 AS BLOB)) = 0"
            " ORDER BY origin, sequence LIMIT ?4",
            (giver, until, _PLACE, most),
        )
    ]


def shorten_receipt(transaction: Transaction, receipt: WholeReceipt, *, place: bytes) -> None:
    """Keep of the receipt its place alone; the schema refuses anything else."""
    if receipt.origin is None:
        transaction.run(
            "UPDATE receipt SET data = ? WHERE giver = ? AND sequence = ?", (place, receipt.giver, receipt.sequence)
        )
    else:
        transaction.run(
            "UPDATE receipt_set_aside SET data = ? WHERE giver = ? AND origin = ? AND sequence = ?",
            (place, receipt.giver, receipt.origin, receipt.sequence),
        )
    mark_unfinished(transaction)


def count_refused(transaction: Transaction, giver: PartyId, *, until: Instant) -> int:
    """How many refused pages of `giver` from before `until` are kept."""
    row = transaction.row("SELECT COUNT(*) FROM refused_page WHERE giver = ? AND at < ?", (giver, until))
    return int(row[0]) if row else 0


def delete_refused(transaction: Transaction, giver: PartyId, *, until: Instant) -> int:
    """How many refused pages of `giver` from before `until` are gone, with the receipts and proofs beside them."""
    deleted = transaction.run("DELETE FROM refused_page WHERE giver = ? AND at < ?", (giver, until))
    if deleted:
        mark_unfinished(transaction)
    return deleted
