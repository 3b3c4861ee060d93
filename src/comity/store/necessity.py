# SPDX-License-Identifier: Apache-2.0
"""Shell: decisions that it is strictly necessary to give data of a special category, or of a minor."""

import json
from collections.abc import Collection
from dataclasses import dataclass

from comity.ids import Instant, ObjectId
from comity.store.names import FIND_ONE
from comity.store.transaction import Row, Transaction

__all__ = ["StoredNecessity", "add_decision", "delete_decisions_of", "end_decisions", "list_decisions", "read_decided"]

_COLUMNS = "id, object, words, decided_at, decided_by, reason, ended_at, ended_by, ended_why"


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredNecessity:
    """One decision on `words` of an object; `ended_at` is None while it is good."""

    key: int
    object: ObjectId
    words: frozenset[str]
    decided_at: Instant
    decided_by: str
    reason: str
    ended_at: Instant | None = None
    ended_by: str | None = None
    ended_why: str | None = None


def add_decision(transaction: Transaction, decision: StoredNecessity) -> None:
    """Keep a decision; its key is given by the store."""
    transaction.run(
        "INSERT INTO necessity (object, words, decided_at, decided_by, reason) VALUES (?, ?, ?, ?, ?)",
        (
            decision.object,
            json.dumps(sorted(decision.words)),
            decision.decided_at,
            decision.decided_by,
            decision.reason,
        ),
    )


def end_decisions(transaction: Transaction, item: ObjectId, *, by: str, why: str, now: Instant) -> None:
    """All decisions on the object are good no more."""
    transaction.run(
        "UPDATE necessity SET ended_at = ?, ended_by = ?, ended_why = ? WHERE object = ? AND ended_at IS NULL",
        (now, by, why, item),
    )


def delete_decisions_of(transaction: Transaction, item: ObjectId) -> None:
    """Nothing stays of decisions on an object of which no version is held any more."""
    transaction.run(
        "DELETE FROM necessity WHERE object = ?1 AND NOT EXISTS (SELECT 1 FROM object WHERE"
        f" pk IN {FIND_ONE.format('?1')} AND id = ?1)",
        (item,),
    )


def list_decisions(transaction: Transaction, item: ObjectId | None = None) -> list[StoredNecessity]:
    """Every decision there ever was, on one object or on all, oldest first."""
    where, values = ("", ()) if item is None else (" WHERE object = ?", (item,))
    return [_build(row) for row in transaction.rows(f"SELECT {_COLUMNS} FROM necessity{where} ORDER BY id", values)]


def read_decided(transaction: Transaction, ids: Collection[ObjectId]) -> dict[ObjectId, frozenset[str]]:
    """What good decisions let go, of each of `ids` on which there is one."""
    if transaction.row("SELECT 1 FROM necessity WHERE ended_at IS NULL LIMIT 1") is None:
        return {}
    found: dict[ObjectId, frozenset[str]] = {}
    for name, words in transaction.rows(
        "SELECT object, words FROM necessity WHERE ended_at IS NULL AND object IN (SELECT value FROM json_each(?))",
        (json.dumps([*ids]),),
    ):
        found[ObjectId(name)] = found.get(ObjectId(name), frozenset()) | frozenset(json.loads(words))
    return found


def _build(row: Row) -> StoredNecessity:
    return StoredNecessity(
        key=row[0],
        object=ObjectId(row[1]),
        words=frozenset(json.loads(row[2])),
        decided_at=Instant(row[3]),
        decided_by=row[4],
        reason=row[5],
        ended_at=None if row[6] is None else Instant(row[6]),
        ended_by=row[7],
        ended_why=row[8],
    )
