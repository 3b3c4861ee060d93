# SPDX-License-Identifier: Apache-2.0
"""Shell: disclosures of partners that people of this party let stand without receipts."""

from dataclasses import dataclass
from typing import Final

from comity.ids import Instant, PartyId
from comity.store import receipts
from comity.store.transaction import Transaction

__all__ = ["Waiver", "add_waiver", "count_waived", "find_contents", "list_waivers", "read_reached"]

_COLUMNS = "giver, first, through, at, entry"
_NEVER: Final = 2**63 - 1
"""No entry has a position as high."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiver:
    """Disclosures `first` through `through` of `giver` stand without receipts, as log entry `entry` says."""

    giver: PartyId
    first: int
    through: int
    at: Instant
    entry: int

    @property
    def count(self) -> int:
        """How many disclosures it is about."""
        return self.through - self.first + 1


def add_waiver(transaction: Transaction, waiver: Waiver) -> None:
    """Let them stand; `first` is the number after the one that was reached."""
    transaction.run(
        f"INSERT INTO receipt_waiver ({_COLUMNS}) VALUES (?, ?, ?, ?, ?)",
        (waiver.giver, waiver.first, waiver.through, waiver.at, waiver.entry),
    )


def list_waivers(transaction: Transaction, giver: PartyId | None = None) -> list[Waiver]:
    """All of them, or those about one giver, oldest first."""
    where, given = ("", ()) if giver is None else (" WHERE giver = ?", (giver,))
    return [
        Waiver(giver=PartyId(party), first=first, through=through, at=Instant(at), entry=entry)
        for party, first, through, at, entry in transaction.rows(
            f"SELECT {_COLUMNS} FROM receipt_waiver{where} ORDER BY entry", given
        )
    ]


def count_waived(transaction: Transaction, giver: PartyId, *, through: int) -> int:
    """How many disclosures of `giver` up to number `through` have no receipt here, and stand without."""
    waived = {
        number
        for waiver in list_waivers(transaction, giver)
        for number in range(waiver.first, min(waiver.through, through) + 1)
    }
    row = transaction.row(
        "SELECT COUNT(*) FROM receipt WHERE giver = ?1 AND EXISTS (SELECT 1 FROM receipt_waiver w WHERE w.giver = ?1"
        " AND sequence BETWEEN w.first AND MIN(w.through, ?2))",
        (giver, through),
    )
    return len(waived) - (0 if row is None else int(row[0]))


def find_contents(
    transaction: Transaction, text: bytes, *, start: int = 0, stop: int = _NEVER
) -> list[tuple[int, bytes]]:
    """Position and content of every log entry in the content of which `text` stands; those at start ≤ p < stop."""
    return [
        (position, bytes(content))
        for position, content in transaction.rows(
            "SELECT position, content FROM log_opening WHERE position >= ? AND position < ? AND instr(content, ?) > 0"
            " ORDER BY position",
            (start, stop, text),
        )
    ]


def read_reached(transaction: Transaction, giver: PartyId) -> int | None:
    """The number of the last disclosure of `giver` that a receipt was kept of, or that stands without; None before any.

    A waiver goes on from the last receipt, and is of the log that this was of: what a log that follows it numbers anew
    is waived by none of before.
    """
    reached = receipts.read_last_receipt(transaction, giver)
    if reached is None:
        return None
    row = transaction.row(
        "SELECT MAX(received_at, COALESCE((SELECT MAX(recorded_at) FROM succession WHERE party = ?1), 0))"
        " FROM receipt WHERE giver = ?1 AND sequence = ?2",
        (giver, reached),
    )
    since = 0 if row is None else int(row[0])
    for waiver in list_waivers(transaction, giver):
        if waiver.at >= since and waiver.first == reached + 1:
            reached = waiver.through
    return reached
