# SPDX-License-Identifier: Apache-2.0
"""Shell: the logs of relationships: which there are, for whom, and how much of each the house's log has named."""

from dataclasses import dataclass

from comity.ids import AgreementId, Instant, PartyId
from comity.store.parties import read_meta
from comity.store.transaction import Row, Transaction

__all__ = [
    "RelationshipLog",
    "add_log",
    "close_logs",
    "find_log",
    "find_open_log",
    "list_closed",
    "list_logs",
    "list_newest",
    "list_unanchored",
    "list_uncosigned",
    "read_first_unnamed",
    "read_log",
    "read_namings",
    "read_shown_size",
    "write_anchored",
]

_SHOWN = "house-shown"
"""What the migration keeps the size of the house's log under that partners have receipts from."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RelationshipLog:
    """The log of what is given to one recipient under one agreement; `token` is the end of its origin."""

    number: int
    token: str
    agreement: AgreementId
    recipient: PartyId
    opened_at: Instant
    closed_at: Instant | None


_COLUMNS = "number, token, agreement, recipient, opened_at, closed_at"


def add_log(
    transaction: Transaction, token: str, *, agreement: AgreementId, recipient: PartyId, now: Instant
) -> RelationshipLog:
    """A new log for a relationship that has none open."""
    number = transaction.insert(
        "INSERT INTO relationship_log (token, agreement, recipient, opened_at) VALUES (?, ?, ?, ?)",
        (token, agreement, recipient, now),
    )
    return RelationshipLog(
        number=number, token=token, agreement=agreement, recipient=recipient, opened_at=now, closed_at=None
    )


def find_open_log(transaction: Transaction, agreement: AgreementId, recipient: PartyId) -> int | None:
    """The number of the log that what is given in this relationship goes to; None before the first."""
    row = transaction.row(
        "SELECT number FROM relationship_log WHERE agreement = ? AND recipient = ? AND closed_at IS NULL",
        (agreement, recipient),
    )
    return int(row[0]) if row else None


def find_log(transaction: Transaction, token: str) -> RelationshipLog | None:
    """The log whose origin ends so."""
    row = transaction.row(f"SELECT {_COLUMNS} FROM relationship_log WHERE token = ?", (token,))
    return _build(row) if row else None


def read_log(transaction: Transaction, number: int) -> RelationshipLog | None:
    """The log with that number."""
    row = transaction.row(f"SELECT {_COLUMNS} FROM relationship_log WHERE number = ?", (number,))
    return _build(row) if row else None


def list_logs(transaction: Transaction) -> list[RelationshipLog]:
    """Every log of a relationship, in the order in which they were opened."""
    return [_build(row) for row in transaction.rows(f"SELECT {_COLUMNS} FROM relationship_log ORDER BY number")]


def list_unanchored(transaction: Transaction) -> list[tuple[RelationshipLog, int]]:
    """The logs that have grown since the house's log named their head last, each with its size."""
    rows = transaction.rows(
        f"SELECT {_COLUMNS}, (SELECT MAX(size) FROM log_head WHERE log = number) AS size FROM relationship_log"
        " WHERE size > anchored ORDER BY number"
    )
    return [(_build(row), int(row[6])) for row in rows]


def list_closed(transaction: Transaction) -> set[int]:
    """The numbers of the logs that get no more entries."""
    return {int(row[0]) for row in transaction.rows("SELECT number FROM relationship_log WHERE closed_at IS NOT NULL")}


def list_newest(transaction: Transaction, *, limit: int) -> list[tuple[int, PartyId]]:
    """Number and recipient of the logs that have entries, those opened last first."""
    rows = transaction.rows(
        "SELECT number, recipient FROM relationship_log WHERE closed_at IS NULL ORDER BY number DESC LIMIT ?", (limit,)
    )
    return [(int(number), PartyId(recipient)) for number, recipient in rows]


def list_uncosigned(
    transaction: Transaction,
    witness: str,
    *,
    recipient: PartyId | None,
    since: Instant,
    closed_since: Instant,
    limit: int,
) -> list[tuple[int, int]]:
    """Logs, of `recipient` where it is given, that have grown since the witness cosigned them, and how much it has.

    Those also that it has cosigned last before `since`. Those that were closed come last, and only if that was after
    `closed_since`.
    """
    rows = transaction.rows(
        "SELECT number, (SELECT MAX(size) FROM log_head WHERE log = number) AS size,"
        " COALESCE((SELECT MAX(size) FROM cosignature WHERE log = number AND witness = ?1), 0) AS cosigned,"
        " (SELECT MAX(timestamp) FROM cosignature WHERE log = number AND witness = ?1) AS last"
        " FROM relationship_log WHERE (?2 IS NULL OR recipient = ?2)"
        " AND (size > cosigned OR (last < ?3 / 1000000 AND closed_at IS NULL)) AND COALESCE(closed_at, ?4) >= ?4"
        " ORDER BY closed_at IS NOT NULL, size <= cosigned, number LIMIT ?5",
        (witness, recipient, since, closed_since, limit),
    )
    return [(int(number), int(cosigned)) for number, _, cosigned, _ in rows]


def read_first_unnamed(transaction: Transaction) -> list[bytes]:
    """Of each log that has grown since its head was named, the first leaf of what came since."""
    rows = transaction.rows(
        "SELECT leaf FROM relationship_log JOIN log_entry ON log_entry.log = number AND log_entry.place = anchored"
    )
    return [bytes(row[0]) for row in rows]


def write_anchored(transaction: Transaction, number: int, size: int) -> None:
    """The house's log has named the head of a log over `size` entries."""
    transaction.run("UPDATE relationship_log SET anchored = ? WHERE number = ?", (size, number))


def close_logs(transaction: Transaction, *, now: Instant) -> None:
    """Let no log that is open get any more entries: what is given next opens others."""
    transaction.run("UPDATE relationship_log SET closed_at = ? WHERE closed_at IS NULL", (now,))


def read_namings(transaction: Transaction, start: int, stop: int) -> list[tuple[int, bytes, bytes]]:
    """Place, salt and content of the entries of the house's log at start ≤ place < stop that name other logs."""
    return [
        (int(place), bytes(salt), bytes(content))
        for place, salt, content in transaction.rows(
            "SELECT e.place, o.salt, o.content FROM log_entry AS e JOIN log_opening AS o USING (position)"
            " WHERE e.log = 0 AND e.place >= ? AND e.place < ?"
            # A leaf is canonical JSON, so that its type stands at its end.
            ' AND (CAST(e.leaf AS TEXT) LIKE \'%"type":"log-opening"}\' OR CAST(e.leaf AS TEXT) LIKE'
            ' \'%"type":"log-heads"}\') ORDER BY e.place',
            (start, stop),
        )
    ]


def read_shown_size(transaction: Transaction) -> int:
    """The size of the house's log that partners are shown, who have receipts from it; 0 where none has."""
    return int(read_meta(transaction, _SHOWN) or 0)


def _build(row: Row) -> RelationshipLog:
    return RelationshipLog(
        number=int(row[0]),
        token=str(row[1]),
        agreement=AgreementId(row[2]),
        recipient=PartyId(row[3]),
        opened_at=Instant(row[4]),
        closed_at=None if row[5] is None else Instant(row[5]),
    )
