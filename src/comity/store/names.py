# SPDX-License-Identifier: Apache-2.0
"""Shell: by which ids objects are found: for each version held, a short key of its id.

Ids are random, so that in one index each new id has a page to be written for itself. Here what comes in stands in a
small table first, `name_recent`, whose pages many ids share, and moves into the great one, `name`, in the order of
keys: with each part that comes in, what is in the next stretch of all keys moves. So a page of the great one is written
once for some ids too. A stretch is told by the places of the objects: nothing has to be counted or remembered.

A key is 62 bits of a SHA-256. Two ids can have one key: whoever finds an object by it compares the id as well.
"""

import json
from collections.abc import Collection, Sequence
from functools import lru_cache
from hashlib import sha256
from typing import Final

from comity.ids import ObjectId
from comity.store.transaction import Transaction

__all__ = ["FIND_ONE", "NAMED", "NAMED_SO", "add_names", "drop_name", "list_keys", "tell_key"]

_ROUND: Final = 1 << 15
"""So many objects come in while all keys are gone through once: half as many ids are recent, in about a hundred pages.
"""
_STRETCH: Final = (1 << 62) // _ROUND
"""Keys that are gone through for each object that comes in."""

_FOUND = "SELECT object FROM name WHERE key {0} UNION ALL SELECT object FROM name_recent WHERE key {0}"

NAMED: Final = f"({_FOUND.format('IN (SELECT value FROM json_each(?))')})"
"""In SQL, the keys of the rows of objects whose ids have one of the keys in two parameters, each `list_keys`."""

NAMED_SO: Final = f"({_FOUND.format('= ?')})"
"""In SQL, the same for one id, whose key is both parameters (`tell_key`); a third of the work."""

FIND_ONE: Final = f"({_FOUND.format('= name_key({0})')})"
"""In SQL, the same for the one id that an expression says."""


@lru_cache(maxsize=4_096)
def tell_key(name: str) -> int:
    """The key of an id; `name_key` in SQL."""
    return int.from_bytes(sha256(name.encode()).digest()[:8], "big") >> 2


def list_keys(ids: Collection[ObjectId]) -> str:
    """The keys of `ids`, for `NAMED`."""
    return json.dumps(sorted(map(tell_key, ids)))


def add_names(transaction: Transaction, ids: Sequence[ObjectId], keys: range) -> None:
    """Let the objects in the rows `keys`, which have `ids`, be found."""
    transaction.run_many("INSERT INTO name_recent VALUES (?, ?)", sorted(zip(map(tell_key, ids), keys, strict=True)))
    first = keys.start % _ROUND
    for start, stop in ((first, first + len(keys)), (0, first + len(keys) - _ROUND)):
        # At the end of all keys it begins anew; of more than all of them, all move.
        bounds = start * _STRETCH, min(stop, _ROUND) * _STRETCH
        if bounds[0] < bounds[1]:
            stretch = "FROM name_recent WHERE key >= ? AND key < ?"
            transaction.run(f"INSERT INTO name SELECT key, object {stretch}", bounds)
            transaction.run(f"DELETE {stretch}", bounds)


def drop_name(transaction: Transaction, name: ObjectId, row: int) -> None:
    """Let the object in that row, which has this id, be found no more."""
    for table in ("name", "name_recent"):
        transaction.run(f"DELETE FROM {table} WHERE key = ? AND object = ?", (tell_key(name), row))
