# SPDX-License-Identifier: Apache-2.0
"""Shell: patterns of indicators that a parser has to read, what it said of each, and which indicators hold one.

What is said of a pattern is kept for each giver by itself: to one it must not show by anything that another gave the
same. A pattern that was read and does not parse stays as long as an indicator that holds it; of others nothing is
kept for longer than somebody may ask what became of them (`node.accept`).
"""

import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from comity.ids import Digest, Instant, ObjectId, PartyId
from comity.store.transaction import Transaction

__all__ = [
    "DuePattern",
    "KnownPattern",
    "Unparsable",
    "add_patterns",
    "drop_object",
    "find_shown",
    "find_unread",
    "find_waiting",
    "finish_pattern",
    "forget",
    "has_due",
    "has_forgettable",
    "link",
    "list_due",
    "list_unparsable",
    "mark_shown",
    "read_problems",
    "read_said",
    "read_unread",
    "set_read",
    "show_again",
    "take_unread",
]

_UNREAD = 0
_IS_DUE = "state < 2"
"""As the index says it: SQLite does not conclude it from `state = 1`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DuePattern:
    """One that no parser has read."""

    id: int
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownPattern:
    """What is known of one: whether it was read, and then what is wrong with it, if anything."""

    id: int
    is_read: bool
    problem: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Unparsable:
    """Indicators of one giver that hold a pattern that does not parse: one of them, how many, and since when."""

    giver: PartyId
    example: ObjectId
    count: int
    since: Instant


def add_patterns(
    transaction: Transaction, giver: PartyId, texts: Mapping[Digest, str], *, now: Instant
) -> dict[Digest, KnownPattern]:
    """What is known of each of `texts`, which are kept to be read where nothing is."""
    transaction.run_many(
        "INSERT INTO pattern (giver, digest, added_at, state, text, problem, held) VALUES (?, ?, ?, 0, ?, NULL, 0)"
        " ON CONFLICT (giver, digest) DO UPDATE SET added_at = excluded.added_at",
        [(giver, digest, now, text) for digest, text in texts.items()],
    )
    return read_said(transaction, giver, texts.keys())


def read_said(transaction: Transaction, giver: PartyId, digests: Collection[Digest]) -> dict[Digest, KnownPattern]:
    """What is known of those of `digests` that `giver` gave."""
    rows = transaction.rows(
        "SELECT digest, id, state, problem FROM pattern WHERE giver = ? AND digest IN (SELECT value FROM json_each(?))",
        (giver, json.dumps(sorted(digests))),
    )
    return {
        Digest(digest): KnownPattern(id=key, is_read=state > _UNREAD, problem=problem)
        for digest, key, state, problem in rows
    }


def link(transaction: Transaction, pairs: Iterable[tuple[int, int]], *, shows: bool) -> None:
    """Each of the objects holds the pattern; `shows` says that its label shows what the parser said."""
    found = [*pairs]
    transaction.run_many(
        "INSERT OR REPLACE INTO indicator_pattern VALUES (?, ?, ?)", [(pk, key, int(shows)) for pk, key in found]
    )
    transaction.run_many("UPDATE pattern SET held = 1 WHERE id = ?", [(key,) for key in {key for _, key in found}])


def has_due(transaction: Transaction) -> bool:
    """Whether anything is to be read, shown, or gone through."""
    row = transaction.row(
        f"SELECT EXISTS (SELECT 1 FROM pattern WHERE {_IS_DUE}) OR EXISTS (SELECT 1 FROM indicator_unread)"
    )
    return bool(row and row[0])


def list_due(transaction: Transaction, *, each: int) -> list[DuePattern]:
    """Those that no parser has read, oldest first, at most so many of each giver: nobody waits behind another."""
    rows = transaction.rows(
        "SELECT d.id, d.text FROM party p CROSS JOIN pattern d ON d.id IN"
        f" (SELECT id FROM pattern WHERE state = 0 AND {_IS_DUE} AND giver = p.id ORDER BY id LIMIT ?) ORDER BY d.id",
        (each,),
    )
    return [DuePattern(id=key, text=text) for key, text in rows]


def find_waiting(transaction: Transaction, keys: Collection[int]) -> frozenset[int]:
    """Those of these objects whose labels do not show yet what is to be said of their patterns."""
    rows = transaction.rows(
        "SELECT object FROM indicator_pattern WHERE shows = 0 AND object IN (SELECT value FROM json_each(?))",
        (json.dumps([*keys]),),
    )
    return frozenset(pk for (pk,) in rows)


def set_read(transaction: Transaction, said: Mapping[int, str | None]) -> None:
    """What the parser said of each; one that is not waiting any more is left as it is."""
    transaction.run_many(
        "UPDATE pattern SET state = 1, text = NULL, problem = ? WHERE id = ? AND state = 0",
        [(problem, key) for key, problem in said.items()],
    )


def find_shown(transaction: Transaction, *, most: int) -> tuple[int, str | None, list[int]] | None:
    """A pattern that was read, what was said of it, and at most so many indicators that do not show it yet."""
    row = transaction.row(f"SELECT id, problem FROM pattern WHERE state = 1 AND {_IS_DUE} LIMIT 1")
    if row is None:
        return None
    rows = transaction.rows(
        "SELECT object FROM indicator_pattern WHERE pattern = ? AND shows = 0 LIMIT ?", (row[0], most)
    )
    return row[0], row[1], [pk for (pk,) in rows]


def mark_shown(transaction: Transaction, keys: Collection[int], *, parses: bool) -> None:
    """The labels of these indicators show what was said; where it parses, nothing is left to be said of them."""
    sql = (
        "DELETE FROM indicator_pattern WHERE object = ?"
        if parses
        else "UPDATE indicator_pattern SET shows = 1 WHERE object = ?"
    )
    transaction.run_many(sql, [(pk,) for pk in keys])


def finish_pattern(transaction: Transaction, key: int) -> None:
    """All indicators show what was said of it."""
    transaction.run(
        "UPDATE pattern SET state = 2, held = EXISTS (SELECT 1 FROM indicator_pattern WHERE pattern = ?1)"
        " WHERE id = ?1",
        (key,),
    )


def show_again(transaction: Transaction, key: int) -> None:
    """One more indicator has to show what was said of a pattern that was read before."""
    transaction.run("UPDATE pattern SET state = 1 WHERE id = ? AND state = 2", (key,))


def read_unread(transaction: Transaction, *, most: int) -> list[int]:
    """Indicators from before patterns were parsed that were not gone through."""
    return [pk for (pk,) in transaction.rows("SELECT object FROM indicator_unread ORDER BY object LIMIT ?", (most,))]


def take_unread(transaction: Transaction, keys: Collection[int]) -> None:
    """These were gone through."""
    transaction.run_many("DELETE FROM indicator_unread WHERE object = ?", [(pk,) for pk in keys])


def drop_object(transaction: Transaction, pk: int) -> None:
    """The object is deleted, and with it the text of its pattern, unless another indicator holds it."""
    transaction.run("DELETE FROM indicator_unread WHERE object = ?", (pk,))
    row = transaction.row("DELETE FROM indicator_pattern WHERE object = ? RETURNING pattern", (pk,))
    if row is None or transaction.row("SELECT 1 FROM indicator_pattern WHERE pattern = ?", (row[0],)) is not None:
        return
    transaction.run("DELETE FROM pattern WHERE id = ? AND state = 0", (row[0],))
    transaction.run("UPDATE pattern SET held = 0 WHERE id = ?", (row[0],))


def find_unread(transaction: Transaction, keys: Collection[int]) -> frozenset[int]:
    """Those of these objects whose pattern is still to be read."""
    rows = transaction.rows(
        "SELECT i.object FROM indicator_pattern i JOIN pattern p ON p.id = i.pattern"
        " WHERE i.object IN (SELECT value FROM json_each(?)) AND p.state = 0",
        (json.dumps([*keys]),),
    )
    return frozenset(pk for (pk,) in rows)


def has_forgettable(transaction: Transaction, *, until: Instant) -> bool:
    """Whether `forget` would find anything."""
    return transaction.row(f"SELECT 1 FROM pattern WHERE {_FORGETTABLE} LIMIT 1", (until,)) is not None


def forget(transaction: Transaction, *, until: Instant) -> None:
    """Take out what was said, up to then, of patterns that no indicator holds."""
    transaction.run(f"DELETE FROM pattern WHERE {_FORGETTABLE}", (until,))


_FORGETTABLE = "held = 0 AND state = 2 AND added_at <= ?"


def list_unparsable(transaction: Transaction) -> list[Unparsable]:
    """Indicators that hold a pattern that does not parse, by giver."""
    rows = transaction.rows(
        "SELECT p.giver, MIN(o.id), COUNT(*), MIN(p.added_at) FROM pattern p INDEXED BY pattern_bad"
        " CROSS JOIN indicator_pattern i ON i.pattern = p.id CROSS JOIN object o ON o.pk = i.object"
        " WHERE p.held = 1 AND p.problem IS NOT NULL AND o.current = 1 GROUP BY p.giver ORDER BY p.giver"
    )
    return [
        Unparsable(giver=PartyId(giver), example=ObjectId(example), count=count, since=Instant(since))
        for giver, example, count, since in rows
    ]


def read_problems(transaction: Transaction, keys: Collection[int]) -> dict[int, str]:
    """What is wrong with the patterns of those of these objects that hold one that does not parse."""
    rows = transaction.rows(
        "SELECT i.object, p.problem FROM indicator_pattern i JOIN pattern p ON p.id = i.pattern"
        " WHERE p.problem IS NOT NULL AND i.object IN (SELECT value FROM json_each(?))",
        (json.dumps([*keys]),),
    )
    return dict(rows)
