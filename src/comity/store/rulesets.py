# SPDX-License-Identifier: Apache-2.0
"""Shell: rule sets that were applied, and what an application has yet to do."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from comity.ids import Digest, Instant, ObjectId
from comity.store.transaction import Row, Transaction

__all__ = [
    "RuleStep",
    "StoredRules",
    "add_steps",
    "count_steps",
    "drop_ends",
    "end_rules",
    "keep_rules",
    "list_rules",
    "list_standing",
    "read_rules",
    "take_steps",
]

_COLUMNS = "digest, name, text, lists, applied_at, ended_at, standing"


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredRules:
    """A rule set as it was applied last; `lists` are the versions of the lists that it looked names up on, by list.

    One that is `standing` also says its words of what comes in later, until it is ended.
    """

    digest: Digest
    name: str
    text: bytes
    lists: Mapping[str, str]
    applied_at: Instant
    ended_at: Instant | None
    standing: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleStep:
    """A word that a rule set begins to say of an object, or ends to."""

    object: ObjectId
    field: str
    word: str
    why: str
    ends: bool


def keep_rules(transaction: Transaction, rules: StoredRules) -> None:
    """Keep that a rule set was applied, or taken back, just then."""
    transaction.run(
        f"INSERT OR REPLACE INTO rule_set ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?)",
        (
            rules.digest,
            rules.name,
            rules.text,
            json.dumps(dict(rules.lists), sort_keys=True),
            rules.applied_at,
            rules.ended_at,
            int(rules.standing),
        ),
    )


def end_rules(transaction: Transaction, digest: Digest, *, now: Instant) -> None:
    """The rule set says nothing any more, once its steps are done."""
    transaction.run("UPDATE rule_set SET ended_at = ? WHERE digest = ?", (now, digest))


def read_rules(transaction: Transaction, digest: Digest) -> StoredRules | None:
    """The rule set of that digest, if it was ever applied."""
    row = transaction.row(f"SELECT {_COLUMNS} FROM rule_set WHERE digest = ?", (digest,))
    return None if row is None else _build(row)


def list_rules(transaction: Transaction) -> list[StoredRules]:
    """Every rule set that was ever applied, the last applied one first."""
    return [
        _build(row) for row in transaction.rows(f"SELECT {_COLUMNS} FROM rule_set ORDER BY applied_at DESC, digest")
    ]


def list_standing(transaction: Transaction) -> list[StoredRules]:
    """Rule sets that say their words of what comes in, the first applied one first."""
    return [
        _build(row)
        for row in transaction.rows(
            f"SELECT {_COLUMNS} FROM rule_set WHERE ended_at IS NULL AND standing = 1 ORDER BY applied_at, digest"
        )
    ]


def drop_ends(transaction: Transaction, rules: Digest, said: Iterable[tuple[ObjectId, str, str]]) -> None:
    """These words are not to be ended by the set any more: what is held by now meets its conditions."""
    if count_steps(transaction, rules):
        transaction.run_many(
            "DELETE FROM rule_step WHERE rules = ? AND object = ? AND field = ? AND word = ? AND ends = 1",
            [(rules, *place) for place in said],
        )


def add_steps(transaction: Transaction, rules: Digest, steps: Iterable[RuleStep]) -> None:
    """Keep what is to be done, in place of what was to be done by the same set before."""
    transaction.run("DELETE FROM rule_step WHERE rules = ?", (rules,))
    transaction.run_many(
        "INSERT INTO rule_step VALUES (?, ?, ?, ?, ?, ?)",
        [(rules, step.object, step.field, step.word, step.why, int(step.ends)) for step in steps],
    )


def count_steps(transaction: Transaction, rules: Digest) -> int:
    """How much of it is to be done yet."""
    row = transaction.row("SELECT COUNT(*) FROM rule_step WHERE rules = ?", (rules,))
    return int(row[0]) if row else 0


def take_steps(transaction: Transaction, rules: Digest, *, objects: int) -> list[RuleStep]:
    """The steps on the next so many objects, which are then no more to be done."""
    ids = [
        row[0]
        for row in transaction.rows(
            "SELECT DISTINCT object FROM rule_step WHERE rules = ? ORDER BY object LIMIT ?", (rules, objects)
        )
    ]
    wanted = rules, json.dumps(ids)
    rows = transaction.rows(
        "SELECT object, field, word, why, ends FROM rule_step WHERE rules = ? AND object IN"
        " (SELECT value FROM json_each(?)) ORDER BY object, field, word",
        wanted,
    )
    transaction.run("DELETE FROM rule_step WHERE rules = ? AND object IN (SELECT value FROM json_each(?))", wanted)
    return [RuleStep(object=ObjectId(row[0]), field=row[1], word=row[2], why=row[3], ends=bool(row[4])) for row in rows]


def _build(row: Row) -> StoredRules:
    return StoredRules(
        digest=Digest(row[0]),
        name=row[1],
        text=bytes(row[2]),
        lists=json.loads(row[3]),
        applied_at=Instant(row[4]),
        ended_at=None if row[5] is None else Instant(row[5]),
        standing=bool(row[6]),
    )
