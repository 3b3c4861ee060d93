# SPDX-License-Identifier: Apache-2.0
"""Shell: decisions whether two objects are about one person, and the objects that can be."""

import json
from collections.abc import Collection
from dataclasses import dataclass

from comity.ids import Instant, ObjectId
from comity.store.names import FIND_ONE
from comity.store.transaction import Row, Transaction

__all__ = [
    "StoredLikeness",
    "add_likeness",
    "delete_likeness_of",
    "list_likeness",
    "read_identities",
    "read_identities_between",
    "read_likeness",
    "read_persons",
]

_COLUMNS = "one, other, same, agreeing, decided_at, decided_by, reason"


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredLikeness:
    """That two objects are about one person, or about two; `agreeing` are the identifiers that agreed then."""

    one: ObjectId
    other: ObjectId
    same: bool
    agreeing: frozenset[str]
    decided_at: Instant
    decided_by: str
    reason: str


def add_likeness(transaction: Transaction, likeness: StoredLikeness) -> None:
    """Keep a decision; it counts in place of any before it on the same two."""
    transaction.run(
        f"INSERT INTO same_person ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?)",
        (
            likeness.one,
            likeness.other,
            int(likeness.same),
            json.dumps(sorted(likeness.agreeing)),
            likeness.decided_at,
            likeness.decided_by,
            likeness.reason,
        ),
    )


def delete_likeness_of(transaction: Transaction, item: ObjectId) -> None:
    """Nothing stays of decisions on an object of which no version is held any more."""
    transaction.run(
        "DELETE FROM same_person WHERE (one = ?1 OR other = ?1) AND NOT EXISTS (SELECT 1 FROM object WHERE"
        f" pk IN {FIND_ONE.format('?1')} AND id = ?1)",
        (item,),
    )


def list_likeness(transaction: Transaction, item: ObjectId | None = None) -> list[StoredLikeness]:
    """Every decision there ever was, on one object or on all, oldest first."""
    where, values = ("", ()) if item is None else (" WHERE one = ? OR other = ?", (item, item))
    return [_build(row) for row in transaction.rows(f"SELECT {_COLUMNS} FROM same_person{where} ORDER BY id", values)]


def read_likeness(transaction: Transaction, one: ObjectId, other: ObjectId) -> StoredLikeness | None:
    """The decision on the two that counts."""
    row = transaction.row(
        f"SELECT {_COLUMNS} FROM same_person WHERE one = ? AND other = ? ORDER BY id DESC LIMIT 1",
        (min(one, other), max(one, other)),
    )
    return None if row is None else _build(row)


def read_identities(transaction: Transaction, *, after: int, most: int) -> list[tuple[int, bytes]]:
    """The versions of identities behind the key `after`, by key: key and bytes of at most so many."""
    rows = transaction.rows(
        "SELECT o.pk, b.data FROM object o INDEXED BY object_by_type JOIN body b ON b.object = o.pk"
        " WHERE o.type = 'identity' AND o.pk > ? ORDER BY o.pk LIMIT ?",
        (after, most),
    )
    return [(int(pk), bytes(data)) for pk, data in rows]


def read_identities_between(
    transaction: Transaction, *, after: int, through: int, most: int
) -> list[tuple[int, int, bytes]]:
    """The versions of identities behind one place in the order of commit up to another: place, key and bytes.

    Of at most so many, in that order.
    """
    rows = transaction.rows(
        "SELECT o.seq, o.pk, b.data FROM object o JOIN body b ON b.object = o.pk"
        " WHERE o.seq > ? AND o.seq <= ? AND +o.type = 'identity' ORDER BY o.seq LIMIT ?",
        (after, through, most),
    )
    return [(int(seq), int(pk), bytes(data)) for seq, pk, data in rows]


def read_persons(transaction: Transaction, keys: Collection[int]) -> list[tuple[ObjectId, bytes]]:
    """Id and bytes of those of `keys` that are the newest version of an identity."""
    rows = transaction.rows(
        "SELECT o.id, b.data FROM object o JOIN body b ON b.object = o.pk"
        " WHERE o.pk IN (SELECT value FROM json_each(?)) AND o.current = 1 AND +o.type = 'identity'",
        (json.dumps([*keys]),),
    )
    return [(ObjectId(name), bytes(data)) for name, data in rows]


def _build(row: Row) -> StoredLikeness:
    return StoredLikeness(
        one=ObjectId(row[0]),
        other=ObjectId(row[1]),
        same=bool(row[2]),
        agreeing=frozenset(json.loads(row[3])),
        decided_at=Instant(row[4]),
        decided_by=row[5],
        reason=row[6],
    )
