# SPDX-License-Identifier: Apache-2.0
"""Shell: objects of one originator that articles can name: by their type, and identities by what they are of."""

import json
from collections.abc import Sequence

from comity.ids import ObjectId, PartyId
from comity.store.transaction import Transaction

__all__ = ["count_of_type", "list_identities", "list_of_type", "read_newest"]


def list_of_type(
    transaction: Transaction, kind: str, *, originator: PartyId, limit: int
) -> list[tuple[ObjectId, bytes]]:
    """Newest versions of that type and originator, the last taken in first, with their bytes."""
    rows = transaction.rows(
        "SELECT o.id, b.data FROM object o JOIN body b ON b.object = o.pk"
        " WHERE o.type = ? AND o.current = 1 AND o.originator = ? ORDER BY o.pk DESC LIMIT ?",
        (kind, originator, limit),
    )
    return [(ObjectId(row[0]), bytes(row[1])) for row in rows]


def count_of_type(transaction: Transaction, kind: str, *, originator: PartyId) -> int:
    """How many newest versions of that type and originator there are."""
    (row,) = transaction.rows(
        "SELECT coalesce(sum(objects), 0) FROM label_count WHERE type = ? AND originator = ?", (kind, originator)
    )
    return int(row[0])


def list_identities(
    transaction: Transaction, *, originator: PartyId, before: int | None, most: int
) -> list[tuple[int, str]]:
    """The key, and the `identity_class`, of newest versions of identities of that originator, the last taken in first.

    Of at most so many; `before` is the key at which another list ended.
    """
    rows = transaction.rows(
        "SELECT o.pk, json_extract(CAST(b.data AS TEXT), '$.identity_class')"
        " FROM object o INDEXED BY object_by_type JOIN body b ON b.object = o.pk WHERE o.type = 'identity'"
        " AND o.current = 1 AND o.originator = ?1 AND (?2 IS NULL OR o.pk < ?2) ORDER BY o.pk DESC LIMIT ?3",
        (originator, before, most),
    )
    return [(int(key), str(said)) for key, said in rows]


def read_newest(transaction: Transaction, keys: Sequence[int]) -> list[tuple[ObjectId, bytes]]:
    """The id and the bytes of those of these rows that are newest versions, by key, the last first."""
    rows = transaction.rows(
        "SELECT o.id, b.data FROM object o JOIN body b ON b.object = o.pk"
        " WHERE o.pk IN (SELECT value FROM json_each(?)) AND o.current = 1 ORDER BY o.pk DESC",
        (json.dumps([*keys]),),
    )
    return [(ObjectId(row[0]), bytes(row[1])) for row in rows]
