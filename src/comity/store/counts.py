# SPDX-License-Identifier: Apache-2.0
"""Shell: how many newest versions carry each label, and a few of them, without reading the objects.

What comes in is counted where it is stored (`store.objects`); what changes or leaves is counted by triggers, in the
statement that changes it: no act can forget that. The counts do not tell apart by when an object came in; where that
matters, one index over every newest version is read instead, by the condition that a poll reads (`release.history`).
"""

from collections.abc import Collection, Sequence
from typing import NamedTuple

from comity.ids import ObjectId
from comity.release.clauses import Condition
from comity.release.facets import TABLE, THIS_TABLE, Facet, Inventory, Place, find_facets, parse_facet
from comity.release.history import Threshold, read_history_sql
from comity.stix.labels import parse_label
from comity.store.transaction import Transaction

__all__ = ["Sample", "read_inventory", "read_samples"]

_AT_ONCE = 100
"""Conditions joined in one expression: SQLite bounds how deep expressions nest."""


class Sample(NamedTuple):
    """A newest version of an object that is held."""

    id: ObjectId
    version: str


def read_inventory(transaction: Transaction, *, history: Collection[Threshold] = ()) -> Inventory:
    """What is held, label by label; counted apart by which thresholds of `history` it counts by.

    Where none of them is a limit, the counts that are kept are read; else one index over every newest version.
    """
    thresholds = tuple(dict.fromkeys(threshold for threshold in history if threshold.is_limit))
    if thresholds:
        told = _tell_history(thresholds)
        rows = transaction.rows(
            f"SELECT o.label, o.type, o.originator, {told.sql} AS history, COUNT(*)"
            " FROM object o INDEXED BY object_by_count WHERE o.current = 1"
            " GROUP BY o.label, o.type, o.originator, history",
            told.parameters,
        )
    else:
        rows = transaction.rows("SELECT label, type, originator, '', objects FROM label_count")
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
    return Inventory(places=rows, labels=labels, facets=facets, thresholds=thresholds)


def read_samples(
    transaction: Transaction, place: Place, *, thresholds: Sequence[Threshold], limit: int
) -> list[Sample]:
    """At most `limit` of the objects counted at `place`, the last ones taken in first; `thresholds` of the counts."""
    label, kind, originator, history, _ = place
    told = _tell_history(thresholds)
    return [
        Sample(ObjectId(row[0]), row[1])
        for row in transaction.rows(
            "SELECT o.id, o.version FROM object o INDEXED BY object_by_count WHERE o.current = 1 AND o.label = ?"
            f" AND o.type = ? AND o.originator = ? AND {told.sql} = ? ORDER BY o.first_seq DESC LIMIT ?",
            (label, kind, originator, *told.parameters, history, limit),
        )
    ]


def _tell_history(thresholds: Sequence[Threshold]) -> Condition:
    """The expression on a row `o` of objects that is its history, a character for each threshold."""
    conditions = [read_history_sql(threshold) for threshold in thresholds]
    told = [f"CASE WHEN {condition.sql} THEN '1' ELSE '0' END" for condition in conditions]
    parts = [" || ".join(told[first : first + _AT_ONCE]) for first in range(0, len(told), _AT_ONCE)]
    return Condition(
        sql=f"({' || '.join(f'({part})' for part in parts)})" if parts else "''",
        parameters=tuple(parameter for condition in conditions for parameter in condition.parameters),
    )


def _read_body(transaction: Transaction, label: int, facets: dict[str, Facet]) -> list[str]:
    """The facets of a label that was stored without them, or under another clause table; they are added to `facets`."""
    row = transaction.row("SELECT body FROM label WHERE id = ?", (label,))
    assert row is not None  # noqa: S101 (it was read in this transaction)
    said = find_facets(parse_label(bytes(row[0])))
    facets |= {f"{clause} {text}": parse_facet(clause, text) for clause, text in said}
    return [f"{clause} {text}" for clause, text in said]
