# SPDX-License-Identifier: Apache-2.0
"""Shell: what this party says of objects, word by word, with who said it; and what is said of them without that."""

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from comity.canonical import OBJECT_LIMITS, canonical_bytes, parse_json
from comity.errors import CorruptionError
from comity.ids import Digest, Instant, ObjectId
from comity.stix.tags import VOCABULARIES, Tags, make_tags, read_texts
from comity.store.names import FIND_ONE
from comity.store.transaction import Row, Transaction

__all__ = [
    "StoredTag",
    "add_tags",
    "delete_tags_of",
    "drop_said",
    "end_tags",
    "find_tagged_by",
    "keep_said",
    "list_tags",
    "read_good",
    "read_said",
    "read_taken_off",
]

_COLUMNS = "id, object, field, word, list, version, person, rules, said_at, reason, ended_at, ended_by, ended_why"


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredTag:
    """One word that this party says, or said, of an object.

    `person` or else `rules` says who. `list` and `version` are those that a subject stood on when it was said; None
    where no list of its scheme was held. `ended_at` is None while it is said.
    """

    key: int
    object: ObjectId
    field: str
    word: str
    list: str | None
    version: str | None
    person: str | None
    rules: Digest | None
    said_at: Instant
    reason: str
    ended_at: Instant | None = None
    ended_by: str | None = None
    ended_why: str | None = None


def add_tags(transaction: Transaction, tags: Iterable[StoredTag]) -> None:
    """Keep what is said from this moment on; keys are given by the store."""
    transaction.run_many(
        "INSERT INTO tag (object, field, word, list, version, person, rules, said_at, reason)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        [
            (tag.object, tag.field, tag.word, tag.list, tag.version, tag.person, tag.rules, tag.said_at, tag.reason)
            for tag in tags
        ],
    )


def end_tags(transaction: Transaction, keys: Iterable[int], *, by: str, why: str, now: Instant) -> None:
    """Let these be said no more; they are kept."""
    transaction.run_many(
        "UPDATE tag SET ended_at = ?, ended_by = ?, ended_why = ? WHERE id = ?",
        [(now, by, why, key) for key in keys],
    )


def list_tags(transaction: Transaction, item: ObjectId) -> list[StoredTag]:
    """All that this party ever said of an object, in the order of saying."""
    return [
        _build(row) for row in transaction.rows(f"SELECT {_COLUMNS} FROM tag WHERE object = ? ORDER BY id", (item,))
    ]


def read_good(transaction: Transaction, ids: Collection[ObjectId]) -> dict[ObjectId, list[StoredTag]]:
    """What this party says of each of `ids` of which it says anything, in the order of saying."""
    found: dict[ObjectId, list[StoredTag]] = {}
    if transaction.row("SELECT 1 FROM tag LIMIT 1") is None:
        return found
    for row in transaction.rows(
        f"SELECT {_COLUMNS} FROM tag WHERE ended_at IS NULL AND object IN (SELECT value FROM json_each(?)) ORDER BY id",
        (json.dumps(sorted(ids)),),
    ):
        found.setdefault(ObjectId(row[1]), []).append(_build(row))
    return found


def find_tagged_by(transaction: Transaction, rules: Digest) -> list[StoredTag]:
    """What a rule set says, of all objects, by object."""
    rows = transaction.rows(
        f"SELECT {_COLUMNS} FROM tag WHERE rules = ? AND ended_at IS NULL ORDER BY object, id", (rules,)
    )
    return [_build(row) for row in rows]


def read_taken_off(
    transaction: Transaction, rules: Digest, ids: Collection[ObjectId], *, besides: str
) -> set[tuple[ObjectId, str, str]]:
    """Objects, fields and words that the rule set said and that somebody `besides` this one ended, for `ids`."""
    rows = transaction.rows(
        "SELECT DISTINCT object, field, word FROM tag WHERE rules = ? AND ended_at IS NOT NULL AND ended_by <> ?"
        " AND object IN (SELECT value FROM json_each(?))",
        (rules, besides, json.dumps(sorted(ids))),
    )
    return {(ObjectId(row[0]), row[1], row[2]) for row in rows}


def delete_tags_of(transaction: Transaction, item: ObjectId) -> None:
    """An object is deleted of which no version is left: what was said of it goes too."""
    transaction.run(
        f"DELETE FROM tag WHERE object = ?1 AND NOT EXISTS (SELECT 1 FROM object WHERE pk IN {FIND_ONE.format('?1')}"
        " AND id = ?1)",
        (item,),
    )


def read_said(transaction: Transaction, keys: Collection[int]) -> dict[int, Tags]:
    """What is said of each of these versions without the words of this party, where there are such words.

    Raises:
        CorruptionError: the store has lost it.
    """
    rows = transaction.rows(
        "SELECT object, tags FROM said WHERE object IN (SELECT value FROM json_each(?))", (json.dumps([*keys]),)
    )
    return {key: _parse_said(text) for key, text in rows}


def keep_said(transaction: Transaction, said: Mapping[int, Tags]) -> None:
    """Keep what is said of versions without the words of this party."""
    transaction.run_many("INSERT OR REPLACE INTO said VALUES (?, ?)", [(pk, _format_said(t)) for pk, t in said.items()])


def drop_said(transaction: Transaction, keys: Sequence[int]) -> None:
    """These versions have no words of this party any more."""
    transaction.run_many("DELETE FROM said WHERE object = ?", [(key,) for key in keys])


def _format_said(tags: Tags) -> str:
    return canonical_bytes({field: [*sorted(getattr(tags, field))] for field in VOCABULARIES}).decode()


def _parse_said(text: str) -> Tags:
    value = parse_json(text.encode(), limits=OBJECT_LIMITS)
    if not isinstance(value, dict) or value.keys() != VOCABULARIES.keys():
        raise CorruptionError("what is said of an object is not kept as it was; restore a backup")
    return make_tags(**{field: read_texts(value[field], where=field) for field in VOCABULARIES})


def _build(row: Row) -> StoredTag:
    return StoredTag(
        key=row[0],
        object=ObjectId(row[1]),
        field=row[2],
        word=row[3],
        list=row[4],
        version=row[5],
        person=row[6],
        rules=None if row[7] is None else Digest(row[7]),
        said_at=Instant(row[8]),
        reason=row[9],
        ended_at=None if row[10] is None else Instant(row[10]),
        ended_by=row[11],
        ended_why=row[12],
    )
