# SPDX-License-Identifier: Apache-2.0
"""Shell: what this party's own programs may read of what is held, in the order of commit, and how far each of them got.

The order is that of `object.seq`: what gets another label takes a new place, so that a program meets it again. When a
place was first offered stands in `offered`; it is what TAXII calls the time at which an object was added.
"""

import json
from collections.abc import Collection, Iterable
from dataclasses import dataclass

from comity.ids import Digest, Instant, ObjectId, PersonId
from comity.store.objects import COLUMNS, StoredObject, build_object, read_current, read_head_seq, read_versions_of
from comity.store.transaction import SqlValue, Transaction

__all__ = [
    "Handed",
    "Wish",
    "find_handed",
    "find_last_offered",
    "find_offered",
    "is_handed",
    "list_usable",
    "mark_handed",
    "mark_offered",
]

_SECOND = 1_000_000
_SKEW = 2 * _SECOND


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What a program asks for; empty sets ask for nothing special. `terms` are those that let it have an object."""

    terms: frozenset[Digest]
    ids: frozenset[ObjectId] = frozenset()
    types: frozenset[str] = frozenset()
    spec_versions: frozenset[str] = frozenset()
    versions: frozenset[Instant] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Handed:
    """A program that may have got an object, whose it is, what it does, and when it last got anything."""

    program: str
    person: PersonId
    name: str
    actions: str
    at: Instant


def mark_offered(transaction: Transaction, *, now: Instant) -> int:
    """The last place in the order of commit that is offered; what came in since the last time is from now on.

    Times are whole seconds, at most one for each, so that a client which cuts a time off asks for nothing twice: what
    came in within the second in which something was offered waits for the next.
    """
    head = read_head_seq(transaction)
    row = transaction.row("SELECT seq, at FROM offered ORDER BY seq DESC LIMIT 1")
    last, at = (0, 0) if row is None else (int(row[0]), int(row[1]))
    later = -(-now // _SECOND) * _SECOND
    if now < at - _SKEW:
        later = at + _SECOND  # the clock was put back: nothing waits until it is there again
    if head <= last or later <= at:
        return last
    transaction.run("INSERT INTO offered VALUES (?, ?)", (head, later))
    return head


def find_last_offered(transaction: Transaction) -> int:
    """The last place that was offered; 0 when none was."""
    row = transaction.row("SELECT MAX(seq) FROM offered")
    return int(row[0] or 0) if row else 0


def find_offered(transaction: Transaction, at: Instant) -> int:
    """The last place that was offered by this time; 0 when none was."""
    row = transaction.row("SELECT seq FROM offered WHERE at <= ? ORDER BY at DESC LIMIT 1", (at,))
    return 0 if row is None else int(row[0])


def list_usable(
    transaction: Transaction, wish: Wish, *, after: int, until: int, limit: int
) -> list[tuple[StoredObject, Instant]]:
    """At most `limit` newest versions at the places after < p ≤ until that fit, in order; with when each was offered.

    What came in by any way under other terms than those of the wish does not fit. What its label says is not looked at.
    """
    narrowed, values = _narrow(transaction, wish)
    # What is named is fewer than what is at the places; everything else is looked at place by place, in order.
    place = "+o.seq" if wish.ids else "o.seq"
    rows = transaction.rows(
        f"SELECT {COLUMNS}, (SELECT at FROM offered f WHERE f.seq >= o.seq ORDER BY f.seq LIMIT 1) FROM object o"
        f" WHERE {place} > ? AND {place} <= ? AND o.current = 1"
        " AND (o.received_under IS NULL OR o.received_under IN (SELECT value FROM json_each(?)))"
        " AND NOT EXISTS (SELECT 1 FROM arrival a WHERE a.object = o.pk"
        f" AND a.terms NOT IN (SELECT value FROM json_each(?))){narrowed} ORDER BY o.seq LIMIT ?",
        (after, until, *[json.dumps(sorted(wish.terms))] * 2, *values, limit),
    )
    return [(build_object(row[:-1]), Instant(row[-1])) for row in rows]


def _narrow(transaction: Transaction, wish: Wish) -> tuple[str, list[SqlValue]]:
    sql, values = "", list[SqlValue]()
    if wish.ids:
        found = read_current(transaction, wish.ids)
        sql, values = " AND o.pk IN (SELECT value FROM json_each(?))", [_list(item.pk for item in found.values())]
    for column, said in (("type", wish.types), ("spec_version", wish.spec_versions), ("version_at", wish.versions)):
        if said:
            sql += f" AND +o.{column} IN (SELECT value FROM json_each(?))"
            values.append(_list(said))
    return sql, values


def _list(items: Iterable[SqlValue]) -> str:
    return json.dumps([*items])


def mark_handed(
    transaction: Transaction, *, program: str, person: PersonId, name: str, actions: str, through: int, now: Instant
) -> None:
    """The program may have got everything up to this place; it never has less than it had."""
    transaction.run(
        "INSERT INTO handed VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT (program, actions)"
        " DO UPDATE SET seq = max(seq, ?5), at = max(at, ?6)",
        (program, actions, person, name, through, now),
    )


def is_handed(transaction: Transaction, program: str, actions: str, *, through: int, since: Instant) -> bool:
    """Whether it is kept that the program may have got everything up to this place, and got something since then."""
    row = transaction.row("SELECT seq, at FROM handed WHERE program = ? AND actions = ?", (program, actions))
    return row is not None and row[0] >= through and row[1] > since


def find_handed(transaction: Transaction, items: Collection[ObjectId]) -> list[Handed]:
    """The programs that may have a copy of a version of one of the objects, also of one that is deleted.

    They got as far as the place at which the first of these versions came in that a program could read.
    """
    held = [one.first_seq for one in read_versions_of(transaction, items)]
    gone = transaction.rows(
        "SELECT place FROM tombstone WHERE id IN (SELECT value FROM json_each(?)) AND place IS NOT NULL",
        (_list(items),),
    )
    places = [*held, *(int(row[0]) for row in gone)]
    if not places:
        return []
    rows = transaction.rows(
        "SELECT program, person, name, actions, at FROM handed WHERE seq >= ? ORDER BY name, program, actions",
        (min(places),),
    )
    return [
        Handed(program=str(row[0]), person=PersonId(row[1]), name=str(row[2]), actions=str(row[3]), at=Instant(row[4]))
        for row in rows
    ]
