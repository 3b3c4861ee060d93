# SPDX-License-Identifier: Apache-2.0
"""Shell: what this party's own programs may read of what is held, in the order of commit, and how far each of them got.

The order is that of `object.seq`: what gets another label takes a new place, so that a program meets it again. When a
place was first offered stands in `offered`, a row for all that was offered at once: the last of them has the time of
the row, and each one before it a microsecond less. That is what TAXII calls the time at which an object was added.
"""

import json
from collections.abc import Collection, Iterable
from dataclasses import dataclass

from comity.ids import Digest, Instant, ObjectId, PersonId
from comity.store.objects import read_current, read_head_seq, read_versions_of
from comity.store.transaction import SqlValue, Transaction

__all__ = [
    "Fit",
    "Handed",
    "Question",
    "Usable",
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
class Question:
    """What a program asks for of what it may use for `actions`; empty sets ask for nothing special."""

    actions: str
    ids: frozenset[ObjectId] = frozenset()
    types: frozenset[str] = frozenset()
    spec_versions: frozenset[str] = frozenset()
    versions: frozenset[Instant] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Fit:
    """What fits: the texts that let a program have an object, and the labels with which it may."""

    terms: frozenset[Digest]
    labels: frozenset[int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Usable:
    """One object that may be handed over: its key, its place, since when it is offered, and how long it is."""

    pk: int
    place: int
    at: Instant
    id: ObjectId
    version: str
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Handed:
    """A program that may have got an object, whose it is, what it does, and when it last got anything."""

    program: str
    person: PersonId
    name: str
    actions: str
    at: Instant


def mark_offered(transaction: Transaction, *, now: Instant) -> tuple[int, Instant]:
    """As `find_last_offered`, after what came in since was offered too.

    The last time of an offer is a whole second, so that a client which cuts it off asks for nothing twice; none of its
    times is earlier than now, so that one which asks by its own clock misses nothing. What comes in within the second
    in which something was offered waits for the next.
    """
    head = read_head_seq(transaction)
    last, at = find_last_offered(transaction)
    if head <= last or at - _SKEW <= now <= at:
        return last, at
    # After `at` also where the clock was put back: nothing waits until it is there again.
    later = -(-(max(now, at + 1) + head - last) // _SECOND) * _SECOND
    transaction.run("INSERT INTO offered VALUES (?, ?)", (head, later))
    return head, Instant(later)


def find_last_offered(transaction: Transaction) -> tuple[int, Instant]:
    """The last place that was offered, and since when; zeros when none was."""
    row = transaction.row("SELECT seq, at FROM offered ORDER BY seq DESC LIMIT 1")
    return (0, Instant(0)) if row is None else (int(row[0]), Instant(row[1]))


def find_offered(transaction: Transaction, at: Instant) -> int:
    """The last place that was offered by this time; 0 when none was."""
    before = transaction.row("SELECT seq FROM offered WHERE at <= ? ORDER BY at DESC LIMIT 1", (at,))
    behind = transaction.row("SELECT seq, at FROM offered WHERE at > ? ORDER BY at LIMIT 1", (at,))
    last = 0 if before is None else int(before[0])
    return last if behind is None else max(last, int(behind[0]) - (int(behind[1]) - at))


def list_usable(
    transaction: Transaction,
    question: Question,
    fit: Fit,
    *,
    after: int,
    until: int,
    limit: int,
    keys: Collection[int] | None = None,
) -> list[Usable]:
    """At most `limit` newest versions at the places after < p ≤ until that fit, in order; of `keys` alone, if given.

    What came in by any way under a text that does not fit does not fit; nor what had, before it was deleted.
    """
    named = set(keys) if keys is not None else None
    if question.ids:
        found = {item.pk for item in read_current(transaction, question.ids).values()}
        named = found if named is None else named & found
    # What is named is fewer than what is at the places; everything else is looked at place by place, in order.
    place = "o.seq" if named is None else "+o.seq"
    sql = (
        "SELECT o.pk, o.seq, o.id, o.version, (SELECT length(data) FROM body WHERE object = o.pk),"
        " (SELECT f.at - (f.seq - o.seq) FROM offered f WHERE f.seq >= o.seq ORDER BY f.seq LIMIT 1) FROM object o"
        f" WHERE {place} > ? AND {place} <= ? AND o.current = 1 AND +o.label IN (SELECT value FROM json_each(?))"
        " AND (o.received_under IS NULL OR o.received_under IN (SELECT value FROM json_each(?)))"
        " AND NOT EXISTS (SELECT 1 FROM arrival a WHERE a.object = o.pk"
        " AND a.terms NOT IN (SELECT value FROM json_each(?)))"
        " AND NOT EXISTS (SELECT 1 FROM came_before c WHERE c.id = o.id AND c.version_at = o.version_at"
        " AND c.terms NOT IN (SELECT value FROM json_each(?)))"
    )
    values: list[SqlValue] = [after, until, _list(sorted(fit.labels)), *[_list(sorted(fit.terms))] * 3]
    narrowing: list[tuple[str, Iterable[SqlValue]]] = [
        ("type", question.types),
        ("spec_version", question.spec_versions),
        ("version_at", question.versions),
    ]
    for column, said in narrowing:
        if said:
            sql += f" AND +o.{column} IN (SELECT value FROM json_each(?))"
            values.append(_list(said))
    if named is not None:
        sql += " AND o.pk IN (SELECT value FROM json_each(?))"
        values.append(_list(named))
    rows = transaction.rows(f"{sql} ORDER BY {place} LIMIT ?", (*values, limit))
    return [
        Usable(pk=row[0], place=row[1], id=ObjectId(row[2]), version=row[3], size=int(row[4] or 0), at=Instant(row[5]))
        for row in rows
    ]


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
