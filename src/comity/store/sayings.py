# SPDX-License-Identifier: Apache-2.0
"""Shell: what a source said of the things that became objects, kept beside them for this party's own people.

One saying stands for several objects, and goes with the first of them that is deleted: it may say what that one said.
"""

import hashlib
import json
from collections.abc import Collection, Iterable

from comity.ids import ObjectId
from comity.store.names import NAMED, list_keys
from comity.store.transaction import Transaction

__all__ = ["add_sayings", "delete_sayings_of", "list_sayings"]


def add_sayings(transaction: Transaction, sayings: Iterable[tuple[int, bytes]]) -> None:
    """Keep what was said of each version, by its key; the same again is kept once."""
    found = [(key, hashlib.sha256(data).digest(), data) for key, data in sayings]
    transaction.run_many(
        "INSERT INTO saying (digest, data) VALUES (?, ?) ON CONFLICT DO NOTHING",
        sorted({(digest, data) for _, digest, data in found}),
    )
    transaction.run_many(
        "INSERT INTO saying_of SELECT ?, number FROM saying WHERE digest = ? ON CONFLICT DO NOTHING",
        [(key, digest) for key, digest, _ in found],
    )


def list_sayings(transaction: Transaction, ids: Collection[ObjectId]) -> list[bytes]:
    """What was said of any version of `ids`, in the order in which it came."""
    keys = list_keys(ids)
    rows = transaction.rows(
        "SELECT data FROM saying WHERE number IN (SELECT s.saying FROM saying_of s JOIN object o ON o.pk = s.object"
        f" WHERE o.pk IN {NAMED} AND o.id IN (SELECT value FROM json_each(?))) ORDER BY number",
        (keys, keys, json.dumps(sorted(ids))),
    )
    return [bytes(row[0]) for row in rows]


def delete_sayings_of(transaction: Transaction, key: int) -> None:
    """Whatever was said of that version, of whatever else it was said."""
    gone = [(number,) for (number,) in transaction.rows("SELECT saying FROM saying_of WHERE object = ?", (key,))]
    transaction.run_many("DELETE FROM saying WHERE number = ?", gone)
    transaction.run_many("DELETE FROM saying_of WHERE saying = ?", gone)
