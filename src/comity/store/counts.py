# SPDX-License-Identifier: Apache-2.0
"""Shell: how many newest versions carry each label, and a few of them, without reading the objects.

The counts are written by triggers, in the statement that changes an object: no act can forget them.
"""

import json
from collections.abc import Collection, Sequence
from typing import NamedTuple

from comity.ids import Instant, ObjectId
from comity.release.facets import TABLE, THIS_TABLE, Facet, Inventory, Place, find_facets, parse_facet
from comity.stix.labels import parse_label
from comity.store.transaction import Transaction

__all__ = ["Sample", "read_inventory", "read_samples"]

_LEAST, _MOST = -(2**63), 2**63 - 1
"""No time is before the one or after the other (SQLite's integers)."""


class Sample(NamedTuple):
    """A newest version of an object that is held."""

    id: ObjectId
    version: str


def read_inventory(transaction: Transaction, *, since: Collection[Instant] = ()) -> Inventory:
    """What is held, label by label; counted apart by the ages that the times `since` divide it into.

    Without `since` the counts that are kept are read; with it, one index over every newest version.
    """
    bounds = sorted(since)
    if bounds:
        rows = transaction.rows(
            "SELECT label, type, originator,"
            " (SELECT COUNT(*) FROM json_each(?) b WHERE b.value <= o.added_at) AS age, COUNT(*)"
            " FROM object o INDEXED BY object_by_count WHERE current = 1 GROUP BY label, type, originator, age",
            (json.dumps(bounds),),
        )
    else:
        rows = transaction.rows("SELECT label, type, originator, 0, objects FROM label_count")
    facets, table = dict[str, Facet](), ""
    for key, clause, said in transaction.rows("SELECT id, clause, said FROM facet"):
        facets[str(key)] = parse_facet(clause, said)
        if clause == TABLE and said == THIS_TABLE:
            table = str(key)
    labels = dict[int, Sequence[str]]()
    for label, text in transaction.rows(
        "SELECT id, facets FROM label WHERE id IN (SELECT DISTINCT label FROM label_count)"
    ):
        keys = text.split(",")
        labels[label] = keys if table and keys[0] == table else _read_body(transaction, label, facets)
    return Inventory(places=rows, labels=labels, facets=facets, since=tuple(bounds))


def read_samples(transaction: Transaction, place: Place, *, since: Sequence[Instant], limit: int) -> list[Sample]:
    """At most `limit` of the objects counted at `place`, the last ones taken in first; `since` as for the counts."""
    label, kind, originator, age, _ = place
    floor = since[age - 1] if age else _LEAST
    ceiling = since[age] if age < len(since) else _MOST
    return [
        Sample(ObjectId(row[0]), row[1])
        for row in transaction.rows(
            "SELECT id, version FROM object INDEXED BY object_by_count WHERE current = 1 AND label = ? AND type = ?"
            " AND originator = ? AND added_at >= ? AND added_at < ? ORDER BY added_at DESC LIMIT ?",
            (label, kind, originator, floor, ceiling, limit),
        )
    ]


def _read_body(transaction: Transaction, label: int, facets: dict[str, Facet]) -> list[str]:
    """The facets of a label that was stored without them, or under another clause table; they are added to `facets`."""
    row = transaction.row("SELECT body FROM label WHERE id = ?", (label,))
    assert row is not None  # noqa: S101 (it was read in this transaction)
    said = find_facets(parse_label(bytes(row[0])))
    facets |= {f"{clause} {text}": parse_facet(clause, text) for clause, text in said}
    return [f"{clause} {text}" for clause, text in said]
