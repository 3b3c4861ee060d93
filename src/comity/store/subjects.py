# SPDX-License-Identifier: Apache-2.0
"""Shell: versions of lists of subjects with their entries, and the subjects that people have yet to decide on."""

import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from comity.classification.lists import Changes, Entry, is_called, parse_entry
from comity.ids import Digest, Instant
from comity.store.transaction import Row, Transaction

__all__ = [
    "KEEP",
    "STOP",
    "Question",
    "StoredList",
    "add_list",
    "ask",
    "count_entries",
    "decide",
    "find_entry",
    "find_listed",
    "list_lists",
    "list_questions",
    "look_through_entries",
    "mark_reviewed",
    "read_entries",
    "read_forms",
    "read_latest",
    "read_question",
    "read_questioned",
]

KEEP, STOP = "keep", "stop"

_COLUMNS = "id, list, version, digest, loaded_at, loaded_by, changes, reviewed_at"
_QUESTION = "subject, list, version, asked_at, decision, decided_by, decided_at, reason"


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredList:
    """One version of a list as it was loaded, what it changed, and when a person last looked at that (None: nobody)."""

    key: int
    list: str
    version: str
    digest: Digest
    loaded_at: Instant
    loaded_by: str
    changes: Changes
    reviewed_at: Instant | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """A subject that left its list with `version`; `decision` is "keep" or "stop", None while nobody has decided."""

    subject: str
    list: str
    version: str
    asked_at: Instant
    decision: str | None
    decided_by: str | None
    decided_at: Instant | None
    reason: str | None


def add_list(transaction: Transaction, stored: StoredList, forms: Mapping[str, bytes]) -> None:
    """Keep a version; its key is given by the store. `forms` are its entries in canonical form, by subject.

    Entries of versions before the last two are dropped.
    """
    said = {"listed": stored.changes.listed, "delisted": stored.changes.delisted, "changed": stored.changes.changed}
    key = transaction.insert(
        "INSERT INTO subject_list (list, version, digest, loaded_at, loaded_by, changes) VALUES (?, ?, ?, ?, ?, ?)",
        (stored.list, stored.version, stored.digest, stored.loaded_at, stored.loaded_by, json.dumps(said)),
    )
    transaction.run_many(
        "INSERT INTO list_entry VALUES (?, ?, ?)",
        [(key, subject, form.decode()) for subject, form in forms.items()],
    )
    transaction.run(
        "DELETE FROM list_entry WHERE list IN"
        " (SELECT id FROM subject_list WHERE list = ? ORDER BY id DESC LIMIT -1 OFFSET 2)",
        (stored.list,),
    )


def list_lists(transaction: Transaction) -> list[StoredList]:
    """Every version that was ever loaded, the last first."""
    return [_build(row) for row in transaction.rows(f"SELECT {_COLUMNS} FROM subject_list ORDER BY id DESC")]


def read_latest(transaction: Transaction, name: str) -> StoredList | None:
    """The last version of the list that was loaded."""
    row = transaction.row(f"SELECT {_COLUMNS} FROM subject_list WHERE list = ? ORDER BY id DESC LIMIT 1", (name,))
    return None if row is None else _build(row)


def mark_reviewed(transaction: Transaction, key: int, *, now: Instant) -> None:
    """A person has looked at what that version changes."""
    transaction.run("UPDATE subject_list SET reviewed_at = ? WHERE id = ?", (now, key))


def read_entries(transaction: Transaction, key: int) -> dict[str, Entry]:
    """The entries of one of the last two versions, by subject."""
    rows = transaction.rows("SELECT subject, entry FROM list_entry WHERE list = ? ORDER BY subject", (key,))
    return {subject: parse_entry(entry.encode()) for subject, entry in rows}


def find_listed(transaction: Transaction, key: int, named: Collection[str]) -> frozenset[str]:
    """Those of the subjects `named` that are on one of the last two versions."""
    rows = transaction.rows(
        "SELECT subject FROM list_entry WHERE list = ? AND subject IN (SELECT value FROM json_each(?))",
        (key, json.dumps([*named])),
    )
    return frozenset(row[0] for row in rows)


def read_forms(transaction: Transaction, key: int) -> dict[str, bytes]:
    """The entries of one of the last two versions in canonical form, by subject."""
    rows = transaction.rows("SELECT subject, entry FROM list_entry WHERE list = ?", (key,))
    return {str(subject): str(entry).encode() for subject, entry in rows}


def look_through_entries(transaction: Transaction, key: int, *, wanted: str, after: str, limit: int) -> list[Entry]:
    """The first entries of a version behind the subject `after`, by subject, that `wanted` fits ("": any)."""
    where, by = "FROM list_entry WHERE list = ? AND subject > ? ORDER BY subject", (key, after)
    if not wanted:
        rows = transaction.rows(f"SELECT entry {where} LIMIT ?", (*by, limit))
        return [parse_entry(row[0].encode()) for row in rows]
    found = list[Entry]()
    for row in transaction.rows(f"SELECT entry {where}", by):
        if len(found) < limit and is_called(json.loads(row[0]), wanted):
            found.append(parse_entry(row[0].encode()))
    return found


def count_entries(transaction: Transaction, key: int) -> int:
    """How many entries a version has; none any more, where it is not one of the last two of its list."""
    row = transaction.row("SELECT COUNT(*) FROM list_entry WHERE list = ?", (key,))
    return int(row[0]) if row else 0


def find_entry(transaction: Transaction, key: int, subject: str) -> Entry | None:
    """One entry of a version."""
    row = transaction.row("SELECT entry FROM list_entry WHERE list = ? AND subject = ?", (key, subject))
    return None if row is None else parse_entry(row[0].encode())


def ask(transaction: Transaction, questions: Iterable[Question]) -> None:
    """Keep that these subjects left their lists: whatever was decided before is to be decided anew."""
    transaction.run_many(
        f"INSERT OR REPLACE INTO questioned_subject ({_QUESTION}) VALUES (?, ?, ?, ?, NULL, NULL, NULL, NULL)",
        [(item.subject, item.list, item.version, item.asked_at) for item in questions],
    )


def decide(transaction: Transaction, subject: str, decision: str, *, by: str, reason: str, now: Instant) -> None:
    """Keep what people decided."""
    transaction.run(
        "UPDATE questioned_subject SET decision = ?, decided_by = ?, decided_at = ?, reason = ? WHERE subject = ?",
        (decision, by, now, reason, subject),
    )


def read_question(transaction: Transaction, subject: str) -> Question | None:
    """What is asked of the subject, or was decided."""
    row = transaction.row(f"SELECT {_QUESTION} FROM questioned_subject WHERE subject = ?", (subject,))
    return None if row is None else _build_question(row)


def list_questions(transaction: Transaction) -> list[Question]:
    """Every subject that left a list, the one asked about first in front."""
    rows = transaction.rows(f"SELECT {_QUESTION} FROM questioned_subject ORDER BY asked_at, subject")
    return [_build_question(row) for row in rows]


def read_questioned(transaction: Transaction, *, besides: Collection[str] = ()) -> frozenset[str]:
    """The subjects about which nothing goes out: nobody has decided yet, or that it stops; `besides` are left out."""
    rows = transaction.rows("SELECT subject FROM questioned_subject WHERE decision IS NOT ?", (KEEP,))
    return frozenset(row[0] for row in rows) - frozenset(besides)


def _build(row: Row) -> StoredList:
    said = json.loads(row[6])
    return StoredList(
        key=row[0],
        list=row[1],
        version=row[2],
        digest=Digest(row[3]),
        loaded_at=Instant(row[4]),
        loaded_by=row[5],
        changes=Changes(listed=tuple(said["listed"]), delisted=tuple(said["delisted"]), changed=tuple(said["changed"])),
        reviewed_at=None if row[7] is None else Instant(row[7]),
    )


def _build_question(row: Row) -> Question:
    return Question(
        subject=row[0],
        list=row[1],
        version=row[2],
        asked_at=Instant(row[3]),
        decision=row[4],
        decided_by=row[5],
        decided_at=None if row[6] is None else Instant(row[6]),
        reason=row[7],
    )
