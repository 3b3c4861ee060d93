# SPDX-License-Identifier: Apache-2.0
"""Shell: objects taken out of the store, and what stays of them: that they were here, and why they are not.

`secure_delete` overwrites in the file what is deleted. What the write-ahead log still holds goes with
`SqliteStore.empty_wal`; until then, and until unused labels are swept, `is_unfinished` says so, also after a crash.
"""

import json
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from comity.ids import Digest, Instant, ObjectId, PartyId
from comity.release.facets import forget_facets
from comity.stix.labels import forget_labels
from comity.store import patterns
from comity.store.letters import forget_letters
from comity.store.likeness import delete_likeness_of
from comity.store.names import FIND_ONE, drop_name
from comity.store.necessity import delete_decisions_of
from comity.store.objects import StoredObject
from comity.store.parties import read_meta, write_meta
from comity.store.sayings import delete_sayings_of
from comity.store.tags import delete_tags_of
from comity.store.transaction import Row, Transaction

__all__ = [
    "Tombstone",
    "Way",
    "delete_object",
    "find_tombstones",
    "is_unfinished",
    "iterate_tombstones",
    "list_deleted_since",
    "mark_finished",
    "mark_unfinished",
    "read_deleted_since",
    "read_tombstones",
    "read_ways",
    "sweep_labels",
    "sweep_remarks",
]

_UNFINISHED = "deletion-unfinished"
# Each is answered by an index of its own: no object is looked through.
_UNUSED = " AND ".join(
    f"NOT EXISTS (SELECT 1 FROM object AS o WHERE {has})"
    for has in ("o.own_label = l.id", "o.label = l.id AND o.current = 1", "o.label = l.id AND o.current = 0")
)
_COLUMNS = "id, version_at, version, digest, originator, terms, clause, person, reason, deleted_at, receipt"


class Way(NamedTuple):
    """One way a version had come that was deleted here; `receipt` as of an arrival."""

    giver: PartyId
    terms: Digest
    receipt: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Tombstone:
    """What stays of one version: `clause` of `terms` by which it was deleted, or the `reason` that somebody gave.

    `by` is who deleted it, where that was said; None for a rule. `terms` are those it was received under, `receipt` the
    number of the disclosure by which its originator gave it under them, where it was shown.
    """

    id: ObjectId
    version_at: Instant
    version: str
    digest: Digest
    originator: PartyId
    terms: Digest | None
    clause: str | None
    by: str | None
    reason: str | None
    deleted_at: Instant
    receipt: int | None = None


def delete_object(transaction: Transaction, item: StoredObject, stone: Tombstone) -> None:
    """Take one version out of every table and put `stone` in its place, and every way it came.

    The newest version left becomes the current one; the labels of it and of what refers to it follow in the same
    transaction (`node.relabel`). What was released leaves its feeds; their places and times stay taken.
    """
    if item.received_under is not None:
        transaction.run(
            "INSERT OR REPLACE INTO came_before SELECT ?, ?, terms, giver, receipt FROM arrival WHERE object = ?",
            (item.id, item.version_at, item.pk),
        )
    patterns.drop_object(transaction, item.pk)
    drop_name(transaction, item.id, item.pk)
    delete_sayings_of(transaction, item.pk)
    for table, column in (
        ("release", "object"),
        ("reference", "object"),
        ("body", "object"),
        ("arrival", "object"),
        ("came_back", "object"),
        ("said", "object"),
        ("assessment", "object"),
        ("from_file", "object"),
        ("object", "pk"),
    ):
        transaction.run(f"DELETE FROM {table} WHERE {column} = ?", (item.pk,))
    delete_tags_of(transaction, item.id)
    delete_decisions_of(transaction, item.id)
    delete_likeness_of(transaction, item.id)
    if item.current:
        transaction.run(
            "UPDATE object SET current = 1 WHERE pk ="
            f" (SELECT pk FROM object WHERE pk IN {FIND_ONE.format('?1')} AND id = ?1"
            " ORDER BY version_at DESC LIMIT 1)",
            (item.id,),
        )
    transaction.run(
        # Which programs of this party's own may have a copy follows from the place (`store.usable`): a version that
        # was here before, and came again, has its first.
        f"INSERT OR REPLACE INTO tombstone ({_COLUMNS}, place) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11,"
        " min(?12, coalesce((SELECT place FROM tombstone WHERE id = ?1 AND version_at = ?2), ?12)))",
        (
            stone.id,
            stone.version_at,
            stone.version,
            stone.digest,
            stone.originator,
            stone.terms,
            stone.clause,
            stone.by,
            stone.reason,
            stone.deleted_at,
            stone.receipt,
            item.first_seq,
        ),
    )
    mark_unfinished(transaction)


def mark_unfinished(transaction: Transaction) -> None:
    """Something was deleted of which the write-ahead log may still hold a copy."""
    write_meta(transaction, _UNFINISHED, "yes")


def sweep_labels(transaction: Transaction) -> None:
    """Take out the labels that no object has any more: a label can name what an object was about.

    Facets, which say the same clause by clause, go with the last label that has them.
    """
    forget_labels()
    forget_facets()
    forget_letters()
    transaction.run(f"DELETE FROM label_word WHERE label IN (SELECT l.id FROM label AS l WHERE {_UNUSED})")
    transaction.run(f"DELETE FROM label AS l WHERE {_UNUSED}")
    transaction.run(
        "DELETE FROM facet WHERE id NOT IN (SELECT key.value FROM label, json_each('[' || label.facets || ']') AS key)"
    )


def sweep_remarks(transaction: Transaction) -> None:
    """Take out what was said of versions of deleted objects that stood in files and could not be taken in.

    A remark tells what it could not read. What stands in a file that came after the deletion is left.
    """
    transaction.run(
        "DELETE FROM file_remark WHERE EXISTS (SELECT 1 FROM tombstone AS t JOIN file AS f"
        " WHERE t.id = file_remark.object AND f.number = file_remark.file AND f.retrieved_at <= t.deleted_at)"
        f" AND NOT EXISTS (SELECT 1 FROM object AS o WHERE o.pk IN {FIND_ONE.format('file_remark.object')}"
        " AND o.id = file_remark.object)"
    )


def is_unfinished(transaction: Transaction) -> bool:
    """Whether labels or the write-ahead log may still hold something of what was deleted."""
    return read_meta(transaction, _UNFINISHED) is not None


def mark_finished(transaction: Transaction) -> None:
    """Nothing of what was deleted is left."""
    transaction.run("DELETE FROM meta WHERE name = ?", (_UNFINISHED,))


def read_tombstones(transaction: Transaction, ids: Collection[ObjectId]) -> dict[ObjectId, list[Tombstone]]:
    """What stays of deleted versions of each of `ids`, oldest version first; a version may be held again."""
    found: dict[ObjectId, list[Tombstone]] = {}
    if transaction.row("SELECT 1 FROM tombstone LIMIT 1") is None:
        return found
    for row in transaction.rows(
        f"SELECT {_COLUMNS} FROM tombstone WHERE id IN (SELECT value FROM json_each(?)) ORDER BY id, version_at",
        (json.dumps(sorted(ids)),),
    ):
        found.setdefault(ObjectId(row[0]), []).append(_build(row))
    return found


def read_ways(transaction: Transaction, ids: Collection[ObjectId]) -> dict[tuple[ObjectId, Instant], list[Way]]:
    """Every way each deleted version of `ids` had come from elsewhere, by id and time; what is own came none."""
    found: dict[tuple[ObjectId, Instant], list[Way]] = {}
    for name, version_at, giver, terms, receipt in transaction.rows(
        "SELECT id, version_at, giver, terms, receipt FROM came_before WHERE id IN (SELECT value FROM json_each(?))",
        (json.dumps(sorted(ids)),),
    ):
        way = Way(PartyId(giver), Digest(terms), receipt)
        found.setdefault((ObjectId(name), Instant(version_at)), []).append(way)
    return found


def find_tombstones(transaction: Transaction, prefix: str, *, limit: int) -> list[Tombstone]:
    """Of objects whose id, or the part of the id behind "--", begins with `prefix`; by id, oldest version first."""
    rows = transaction.rows(
        f"SELECT {_COLUMNS} FROM tombstone WHERE substr(id, 1, length(?1)) = ?1"
        " OR substr(id, instr(id, '--') + 2, length(?1)) = ?1 ORDER BY id, version_at LIMIT ?2",
        (prefix, limit),
    )
    return [_build(row) for row in rows]


def iterate_tombstones(transaction: Transaction) -> Iterator[tuple[Tombstone, bool]]:
    """Every tombstone, by id, oldest version first; and whether that version is held, and was before it was deleted."""
    held = (
        f"EXISTS (SELECT 1 FROM object AS o WHERE o.pk IN {FIND_ONE.format('t.id')} AND o.id = t.id"
        " AND o.version_at = t.version_at AND o.added_at < t.deleted_at)"
    )
    rows = transaction.iterate(f"SELECT {_COLUMNS}, {held} FROM tombstone AS t ORDER BY id, version_at")
    return ((_build(row), bool(row[-1])) for row in rows)


def read_deleted_since(
    transaction: Transaction, after: Instant
) -> list[tuple[Digest | None, str | None, int, Instant, Instant]]:
    """What was deleted after `after`, by terms and clause: how many versions, and when the first and the last."""
    rows = transaction.rows(
        "SELECT terms, clause, COUNT(*), MIN(deleted_at), MAX(deleted_at) FROM tombstone WHERE deleted_at > ?"
        " GROUP BY terms, clause ORDER BY 4, 1, 2",
        (after,),
    )
    return [
        (None if terms is None else Digest(terms), clause, count, Instant(first), Instant(last))
        for terms, clause, count, first, last in rows
    ]


def list_deleted_since(transaction: Transaction, after: Instant, *, limit: int) -> list[Tombstone]:
    """What stays of versions that were deleted after `after`, the last deleted first."""
    rows = transaction.rows(
        f"SELECT {_COLUMNS} FROM tombstone WHERE deleted_at > ? ORDER BY deleted_at DESC, id, version_at LIMIT ?",
        (after, limit),
    )
    return [_build(row) for row in rows]


def _build(row: Row) -> Tombstone:
    return Tombstone(
        id=ObjectId(row[0]),
        version_at=Instant(row[1]),
        version=row[2],
        digest=Digest(row[3]),
        originator=PartyId(row[4]),
        terms=None if row[5] is None else Digest(row[5]),
        clause=row[6],
        by=row[7],
        reason=row[8],
        deleted_at=Instant(row[9]),
        receipt=row[10],
    )
