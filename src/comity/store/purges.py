# SPDX-License-Identifier: Apache-2.0
"""Shell: openings of log entries, found and deleted; the entries themselves stay.

`secure_delete` overwrites in the file what is deleted, and the mark of `store.deletions` says that the write-ahead log
may still hold it. A listing goes when the last opening that names it has gone, and so do grounds: that is looked for
once, at the end, because it reads all openings, and a mark of its own says that it is still to be done.
"""

import json
from collections.abc import Collection

from comity.ids import AgreementId, Digest, ObjectId
from comity.store.deletions import mark_unfinished
from comity.store.parties import read_meta, write_meta
from comity.store.transaction import Transaction

__all__ = ["delete_openings", "find_opened", "read_opened", "read_terms_of", "sweep_listings"]

_UNSWEPT = "listings-unswept"


def read_opened(
    transaction: Transaction, start: int, limit: int, *, item: ObjectId | None = None
) -> list[tuple[int, bytes, bytes, bytes]]:
    """Position, leaf, salt and content of at most `limit` entries from `start` on that have their content, in order.

    With `item` those whose content or listing names that object.
    """
    named = (
        " AND (instr(CAST(o.content AS TEXT), ?3) > 0 OR instr(CAST(l.data AS TEXT), ?3) > 0)"
        if item is not None
        else " AND ?3 IS NULL"
    )
    return [
        (position, bytes(leaf), bytes(salt), bytes(content))
        for position, leaf, salt, content in transaction.rows(
            "SELECT o.position, e.leaf, o.salt, o.content FROM log_opening AS o"
            " JOIN log_entry AS e ON e.position = o.position LEFT JOIN log_listing AS l ON l.id = o.listing"
            f" WHERE o.position >= ?1{named} ORDER BY o.position LIMIT ?2",
            (start, limit, item),
        )
    ]


def read_terms_of(transaction: Transaction, agreement: AgreementId) -> frozenset[Digest]:
    """The hash of every version of the agreement on record."""
    rows = transaction.rows("SELECT hash FROM terms WHERE agreement = ?", (agreement,))
    return frozenset(Digest(row[0]) for row in rows)


def find_opened(transaction: Transaction, positions: Collection[int]) -> tuple[int, ...]:
    """Those of the positions whose entries have their content, in order."""
    rows = transaction.rows(
        "SELECT position FROM log_opening WHERE position IN (SELECT value FROM json_each(?)) ORDER BY position",
        (json.dumps(sorted(positions)),),
    )
    return tuple(int(row[0]) for row in rows)


def delete_openings(transaction: Transaction, positions: Collection[int]) -> int:
    """How many entries have lost salt and content."""
    deleted = transaction.run(
        "DELETE FROM log_opening WHERE position IN (SELECT value FROM json_each(?))", (json.dumps(sorted(positions)),)
    )
    mark_unfinished(transaction)
    write_meta(transaction, _UNSWEPT, "yes")
    return deleted


def sweep_listings(transaction: Transaction) -> int:
    """How many listings no entry names any more; none is looked for where nothing was purged since the last time."""
    if read_meta(transaction, _UNSWEPT) is None:
        return 0
    swept = transaction.run(
        "DELETE FROM log_listing WHERE id NOT IN (SELECT listing FROM log_opening WHERE listing IS NOT NULL)"
    )
    # By the label of an object somebody could guess at what it was about.
    transaction.run(
        "DELETE FROM log_grounds WHERE id NOT IN (SELECT grounds FROM log_opening WHERE grounds IS NOT NULL)"
    )
    # The policy that nothing is held against any more: its text may say why this party broke with somebody.
    transaction.run(
        "DELETE FROM log_policy WHERE NOT EXISTS (SELECT 1 FROM log_grounds WHERE instr(log_grounds.data,"
        " CAST(lower(hex(log_policy.digest)) AS BLOB)) > 0)"
    )
    transaction.run("DELETE FROM meta WHERE name = ?", (_UNSWEPT,))
    return swept
