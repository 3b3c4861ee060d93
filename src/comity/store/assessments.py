# SPDX-License-Identifier: Apache-2.0
"""Shell: until when versions of threat assessments are good, and whether their labels show that it is past."""

from collections.abc import Iterable
from dataclasses import dataclass

from comity.ids import Instant, ObjectId, PartyId
from comity.store.transaction import Transaction

__all__ = [
    "StoredAssessment",
    "add_assessments",
    "list_assessments",
    "list_ending",
    "list_lapsing",
    "look_through_assessments",
    "mark_lapsed",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredAssessment:
    """The newest version of a threat assessment: its key and id, and until when it is good."""

    key: int
    id: ObjectId
    expires_at: Instant


def add_assessments(transaction: Transaction, expiries: Iterable[tuple[int, Instant]], *, now: Instant) -> None:
    """Keep until when versions are good; the label of one whose time has passed already shows it."""
    transaction.run_many(
        "INSERT OR REPLACE INTO assessment VALUES (?, ?, ?)",
        [(key, until, int(until <= now)) for key, until in expiries],
    )


def list_lapsing(transaction: Transaction, *, now: Instant) -> list[int]:
    """Versions whose time has passed, and whose label does not show it."""
    return [
        row[0] for row in transaction.rows("SELECT object FROM assessment WHERE lapsed = 0 AND expires_at <= ?", (now,))
    ]


def mark_lapsed(transaction: Transaction, keys: Iterable[int]) -> None:
    """Their labels show it."""
    transaction.run_many("UPDATE assessment SET lapsed = 1 WHERE object = ?", [(key,) for key in keys])


def list_assessments(transaction: Transaction) -> list[StoredAssessment]:
    """The newest versions of all assessments, the one that ends first in front."""
    # The order of the join is that of the words: looked at is what is an assessment, not every object.
    rows = transaction.rows(
        "SELECT o.pk, o.id, a.expires_at FROM assessment a CROSS JOIN object o ON o.pk = a.object WHERE o.current = 1"
        " ORDER BY a.expires_at, o.id"
    )
    return [StoredAssessment(key=pk, id=ObjectId(name), expires_at=Instant(until)) for pk, name, until in rows]


def look_through_assessments(
    transaction: Transaction,
    *,
    after: Instant | None,
    by: Instant | None,
    before: tuple[Instant, int] | None,
    latest_first: bool,
    limit: int,
) -> list[StoredAssessment]:
    """Of the newest versions that end after `after` and by `by` the first ones: the one that ends first in front.

    With `latest_first` it is the other way round. `before` is where another part ended: when its last one ends, and
    the key of that.
    """
    where, values = "", list[int]()
    for condition, value in (("a.expires_at > ?", after), ("a.expires_at <= ?", by)):
        if value is not None:
            where, values = f"{where} AND {condition}", [*values, value]
    if before is not None:
        where = f"{where} AND (a.expires_at, a.object) {'<' if latest_first else '>'} (?, ?)"
        values += before
    way = "DESC" if latest_first else "ASC"
    rows = transaction.rows(
        "SELECT o.pk, o.id, a.expires_at FROM assessment a CROSS JOIN object o ON o.pk = a.object WHERE o.current = 1"
        f"{where} ORDER BY a.expires_at {way}, a.object {way} LIMIT ?",
        (*values, limit),
    )
    return [StoredAssessment(key=pk, id=ObjectId(name), expires_at=Instant(until)) for pk, name, until in rows]


def list_ending(
    transaction: Transaction, originator: PartyId, *, by: Instant, limit: int
) -> tuple[list[StoredAssessment], int]:
    """Of the newest versions of a party's own that end by then the first ones, and how many more there are."""
    where = (
        "FROM assessment a CROSS JOIN object o ON o.pk = a.object"
        " WHERE a.expires_at <= ? AND o.current = 1 AND o.originator = ?"
    )
    rows = transaction.rows(
        f"SELECT o.pk, o.id, a.expires_at {where} ORDER BY a.expires_at LIMIT ?", (by, originator, limit + 1)
    )
    more = 0
    if len(rows) > limit and (counted := transaction.row(f"SELECT COUNT(*) {where}", (by, originator))):
        more = counted[0] - limit
    return [
        StoredAssessment(key=pk, id=ObjectId(name), expires_at=Instant(until)) for pk, name, until in rows[:limit]
    ], more
