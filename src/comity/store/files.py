# SPDX-License-Identifier: Apache-2.0
"""Shell: files of this party's own that were taken in: what was asked of each, how far it is, what came of it."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from comity.ids import Digest, Instant, ObjectId, PersonId
from comity.store.transaction import Row, Transaction

__all__ = [
    "MOST_REMARKS",
    "Origin",
    "Remark",
    "TakenFile",
    "add_file",
    "add_remarks",
    "count_of_file",
    "find_file",
    "find_files",
    "find_latest",
    "find_said",
    "link_objects",
    "list_alike",
    "list_files",
    "list_gone",
    "list_origins",
    "list_remarks",
    "read_file",
    "read_names",
    "restart",
    "set_progress",
]

MOST_REMARKS = 1_000
"""Kept of each file: who has more of them corrects the file, and adds it again."""

_MOST_DIGITS = 15

_COLUMNS = (
    "number, act, digest, name, bytes, format, taken_by, retrieved_at, facts, records, position, added, known, unread,"
    " done_at"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class TakenFile:
    """One file and what was asked of it; `records` and `position` are how many records and bytes were dealt with.

    `added` and `known` count objects, `unread` records. `done_at` is None while it is under way, or was cut off.
    """

    number: int
    act: Digest
    digest: Digest
    name: str
    bytes: int
    format: str
    taken_by: PersonId | None
    retrieved_at: Instant
    facts: Mapping[str, str]
    records: int = 0
    position: int = 0
    added: int = 0
    known: int = 0
    unread: int = 0
    done_at: Instant | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Remark:
    """What people have to know of one record of a file: why it was not read, or what was not carried over.

    `object` is the id of what was not kept, where that was legible.
    """

    place: str
    remark: str
    is_unread: bool
    object: ObjectId | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """A file that said a version of an object, and where in it; `added` says that it came in by that."""

    file: TakenFile
    place: str
    added: bool


def add_file(transaction: Transaction, file: TakenFile) -> TakenFile:
    """The file on record, under a number of its own."""
    number = transaction.insert(
        "INSERT INTO file (act, digest, name, bytes, format, taken_by, retrieved_at, facts, records, position, added,"
        " known, unread, done_at) VALUES (?, ?, ?, ?, ?, ?, ?, '{}', 0, 0, 0, 0, 0, NULL)",
        (file.act, file.digest, file.name, file.bytes, file.format, file.taken_by, file.retrieved_at),
    )
    return read_file(transaction, number)


def read_file(transaction: Transaction, number: int) -> TakenFile:
    """The file under that number, which is there."""
    (row,) = transaction.rows(f"SELECT {_COLUMNS} FROM file WHERE number = ?", (number,))
    return _build(row)


def find_file(transaction: Transaction, act: Digest) -> TakenFile | None:
    """The file of which just this was asked, if any."""
    row = transaction.row(f"SELECT {_COLUMNS} FROM file WHERE act = ?", (act,))
    return None if row is None else _build(row)


def find_files(transaction: Transaction, prefix: str) -> list[TakenFile]:
    """The file of that number, or two at most whose digest begins so; few digits are a number alone."""
    if prefix.isascii() and prefix.isdigit() and len(prefix) <= _MOST_DIGITS:
        rows = transaction.rows(f"SELECT {_COLUMNS} FROM file WHERE number = ?", (int(prefix),))
        return [_build(row) for row in rows]
    rows = transaction.rows(
        f"SELECT {_COLUMNS} FROM file WHERE substr(digest, 1, ?) = ? ORDER BY number LIMIT 2", (len(prefix), prefix)
    )
    return [_build(row) for row in rows]


def list_files(transaction: Transaction, *, limit: int) -> list[TakenFile]:
    """The last files, oldest first."""
    rows = transaction.rows(f"SELECT {_COLUMNS} FROM file ORDER BY number DESC LIMIT ?", (limit,))
    return [_build(row) for row in reversed(rows)]


def list_alike(transaction: Transaction, digest: Digest, *, besides: Digest) -> list[TakenFile]:
    """The files of the same bytes of which something else was asked than `besides`."""
    rows = transaction.rows(
        f"SELECT {_COLUMNS} FROM file WHERE digest = ? AND act <> ? ORDER BY number", (digest, besides)
    )
    return [_build(row) for row in rows]


def find_said(transaction: Transaction, number: int) -> bytes | None:
    """One object that the file said and that is held, as it is held."""
    row = transaction.row(
        "SELECT b.data FROM from_file f JOIN body b ON b.object = f.object WHERE f.file = ? ORDER BY f.object LIMIT 1",
        (number,),
    )
    return None if row is None else bytes(row[0])


def link_objects(transaction: Transaction, number: int, places: Iterable[tuple[int, str]], *, added: bool) -> None:
    """Keep that the file said each version, where; the same again changes nothing, and counts for nothing."""
    column = "added" if added else "known"
    count = transaction.run(
        "INSERT INTO from_file (object, file, place, added)"
        " SELECT json_extract(value, '$[0]'), ?2, json_extract(value, '$[1]'), ?3 FROM json_each(?1) WHERE true"
        " ON CONFLICT DO NOTHING",
        (json.dumps([*places]), number, int(added)),
    )
    if count:
        transaction.run(f"UPDATE file SET {column} = {column} + ? WHERE number = ?", (count, number))


def count_of_file(transaction: Transaction, number: int) -> int:
    """How many versions that the file said are held still."""
    row = transaction.row("SELECT COUNT(*) FROM from_file WHERE file = ?", (number,))
    return int(row[0]) if row else 0


def read_names(transaction: Transaction, keys: Iterable[int]) -> dict[int, frozenset[str]]:
    """The names of the files that said each of these versions, where any did."""
    found: dict[int, set[str]] = {}
    for pk, name in transaction.rows(
        "SELECT f.object, file.name FROM from_file f JOIN file ON file.number = f.file WHERE f.object IN"
        " (SELECT value FROM json_each(?))",
        (json.dumps([*keys]),),
    ):
        found.setdefault(pk, set()).add(name)
    return {pk: frozenset(names) for pk, names in found.items()}


def find_latest(transaction: Transaction, form: str, *, by: str, besides: int) -> TakenFile | None:
    """Of the files of that format that are done, besides one, the one with the greatest of the fact `by`."""
    row = transaction.row(
        f"SELECT {_COLUMNS} FROM file WHERE format = ? AND done_at IS NOT NULL AND number <> ?"
        " ORDER BY json_extract(facts, '$.' || ?) DESC, done_at DESC, number DESC LIMIT 1",
        (form, besides, by),
    )
    return None if row is None else _build(row)


def list_gone(transaction: Transaction, number: int, *, since: int) -> list[str]:
    """The places in the file `since` of objects of which the file `number` says no version; the first thousand."""
    rows = transaction.rows(
        "SELECT f.place FROM from_file f JOIN object o ON o.pk = f.object WHERE f.file = ?2 AND o.id NOT IN"
        " (SELECT p.id FROM from_file g JOIN object p ON p.pk = g.object WHERE g.file = ?1) ORDER BY f.place LIMIT ?3",
        (number, since, MOST_REMARKS),
    )
    return [row[0] for row in rows]


def set_progress(
    transaction: Transaction,
    number: int,
    *,
    records: int,
    position: int,
    unread: int,
    facts: Mapping[str, str],
    done_at: Instant | None,
) -> None:
    """So many records and bytes were dealt with from the beginning; `unread` more of them were not read."""
    transaction.run(
        "UPDATE file SET records = ?, position = ?, unread = unread + ?, facts = ?, done_at = ? WHERE number = ?",
        (records, position, unread, json.dumps(dict(facts), sort_keys=True), done_at, number),
    )


def restart(transaction: Transaction, number: int, *, at: Instant) -> None:
    """It is taken in again from its beginning; what was counted is counted anew."""
    transaction.run("DELETE FROM file_remark WHERE file = ?", (number,))
    transaction.run("DELETE FROM from_file WHERE file = ?", (number,))
    transaction.run(
        "UPDATE file SET records = 0, position = 0, added = 0, known = 0, unread = 0, done_at = NULL,"
        " retrieved_at = ? WHERE number = ?",
        (at, number),
    )


def add_remarks(transaction: Transaction, number: int, remarks: Iterable[Remark]) -> None:
    """Keep what people have to know, up to the bound of a file."""
    row = transaction.row("SELECT COUNT(*) FROM file_remark WHERE file = ?", (number,))
    room = MOST_REMARKS - (int(row[0]) if row else 0)
    for remark in remarks:
        if room <= 0:
            return
        room -= transaction.run(
            "INSERT INTO file_remark (file, place, is_unread, object, remark) VALUES (?, ?, ?, ?, ?)"
            " ON CONFLICT DO NOTHING",
            (number, remark.place, int(remark.is_unread), remark.object, remark.remark),
        )


def list_remarks(transaction: Transaction, number: int) -> list[Remark]:
    """What is kept of a file, what was not read first."""
    rows = transaction.rows(
        "SELECT place, remark, is_unread, object FROM file_remark WHERE file = ? ORDER BY is_unread DESC, rowid",
        (number,),
    )
    return [
        Remark(
            place=place,
            remark=remark,
            is_unread=bool(is_unread),
            object=None if name is None else ObjectId(name),
        )
        for place, remark, is_unread, name in rows
    ]


def list_origins(transaction: Transaction, key: int) -> list[Origin]:
    """Every file that said this version, the first one first."""
    columns = ", ".join(f"f.{name.strip()}" for name in _COLUMNS.split(","))
    rows = transaction.rows(
        f"SELECT o.place, o.added, {columns} FROM from_file o JOIN file f ON f.number = o.file WHERE o.object = ?"
        " ORDER BY o.file",
        (key,),
    )
    return [Origin(file=_build(row[2:]), place=row[0], added=bool(row[1])) for row in rows]


def _build(row: Row) -> TakenFile:
    return TakenFile(
        number=row[0],
        act=Digest(row[1]),
        digest=Digest(row[2]),
        name=row[3],
        bytes=row[4],
        format=row[5],
        taken_by=None if row[6] is None else PersonId(row[6]),
        retrieved_at=Instant(row[7]),
        facts=json.loads(row[8]),
        records=row[9],
        position=row[10],
        added=row[11],
        known=row[12],
        unread=row[13],
        done_at=None if row[14] is None else Instant(row[14]),
    )
