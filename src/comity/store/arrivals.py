# SPDX-License-Identifier: Apache-2.0
"""Shell: the ways objects came: who gave each, under which terms, when, and when it was last decided to keep it."""

import json
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple

from comity.ids import Digest, Instant, PartyId
from comity.store.transaction import Transaction

__all__ = [
    "BEGINNING",
    "Arrival",
    "Column",
    "Position",
    "Return",
    "Taken",
    "Way",
    "add_arrivals",
    "add_returns",
    "count_taken",
    "find_arrived",
    "has_arrived",
    "list_texts",
    "mark_decided",
    "read_arrivals",
    "read_arrived",
    "read_returns",
    "read_ways",
    "split_ways",
    "strike",
]

_CHUNK = 200
_FOREVER = 2**63 - 1

Column = Literal["received_at", "decided_at"]
"""By which of its times an object is looked for."""


class Position(NamedTuple):
    """Where a part of what came ended: at which time, with which object."""

    at: Instant
    object: int


BEGINNING: Final = Position(Instant(-(2**62)), 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrival:
    """One way one version of an object came; `receipt` is the number of the giver's disclosure, where it was shown."""

    object: int
    terms: Digest
    giver: PartyId
    received_at: Instant
    decided_at: Instant
    receipt: int | None = None


class Way(NamedTuple):
    """What of a way one came decides how long it may be kept: many came the same way."""

    terms: Digest
    giver: PartyId
    received_at: Instant
    decided_at: Instant


@dataclass(frozen=True, slots=True, kw_only=True)
class Return:
    """One way one version of an object came back to this party, which had given it; `at` is when it first did."""

    object: int
    terms: Digest
    giver: PartyId
    at: Instant


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """How many versions of objects that are held came from one giver under one text in one month (YYYY-MM, UTC)."""

    terms: Digest
    giver: PartyId
    month: str
    objects: int


def add_arrivals(
    transaction: Transaction,
    keys: Iterable[int],
    *,
    terms: Digest,
    giver: PartyId,
    now: Instant,
    receipt: int | None = None,
) -> None:
    """Keep how each of `keys` came. The same way again adds a receipt where none is; time runs from the first time."""
    transaction.run(
        "INSERT INTO arrival (object, terms, giver, received_at, decided_at, receipt)"
        " SELECT value, ?2, ?3, ?4, ?4, ?5 FROM json_each(?1) WHERE true"
        " ON CONFLICT (object, terms, giver) DO UPDATE SET receipt = excluded.receipt"
        " WHERE receipt IS NULL AND excluded.receipt IS NOT NULL",
        (json.dumps([*keys]), terms, giver, now, receipt),
    )


def read_arrivals(transaction: Transaction, keys: Collection[int]) -> dict[int, list[Arrival]]:
    """Every way each of `keys` came; those that came no way are absent."""
    found: dict[int, list[Arrival]] = {}
    for pk, terms, giver, received_at, decided_at, receipt in transaction.rows(
        "SELECT object, terms, giver, received_at, decided_at, receipt FROM arrival"
        " WHERE object IN (SELECT value FROM json_each(?)) ORDER BY object, received_at, terms, giver",
        (json.dumps([*keys]),),
    ):
        arrival = Arrival(
            object=pk,
            terms=Digest(terms),
            giver=PartyId(giver),
            received_at=Instant(received_at),
            decided_at=Instant(decided_at),
            receipt=receipt,
        )
        found.setdefault(pk, []).append(arrival)
    return found


def read_ways(transaction: Transaction, keys: Collection[int]) -> dict[int, str]:
    """By which ways each of `keys` came, in one text for `split_ways`; those that came no way are absent.

    It is the same text for all that came the same way at the same time, as most of a page did.
    """
    rows = transaction.rows(
        "SELECT object, group_concat(terms || ' ' || giver || ' ' || received_at || ' ' || decided_at)"
        " FROM json_each(?) asked CROSS JOIN arrival ON object = asked.value GROUP BY asked.key",
        (json.dumps([*keys]),),
    )
    return dict(rows)


def split_ways(text: str) -> tuple[Way, ...]:
    """The ways that `read_ways` found."""
    ways = (way.split(" ") for way in text.split(","))
    return tuple(Way(Digest(way[0]), PartyId(way[1]), Instant(int(way[2])), Instant(int(way[3]))) for way in ways)


def has_arrived(transaction: Transaction, pk: int) -> bool:
    """Whether this version came any way from elsewhere that counts."""
    return transaction.row("SELECT 1 FROM arrival WHERE object = ? LIMIT 1", (pk,)) is not None


def add_returns(transaction: Transaction, keys: Iterable[int], *, terms: Digest, giver: PartyId, now: Instant) -> None:
    """Keep that each of `keys` came back; the same way again changes nothing."""
    transaction.run_many(
        "INSERT INTO came_back (object, terms, giver, at) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING",
        [(pk, terms, giver, now) for pk in keys],
    )


def read_returns(transaction: Transaction, pk: int) -> list[Return]:
    """Every way this version came back, the earliest first."""
    rows = transaction.rows(
        "SELECT object, terms, giver, at FROM came_back WHERE object = ? ORDER BY at, terms, giver", (pk,)
    )
    return [Return(object=row[0], terms=Digest(row[1]), giver=PartyId(row[2]), at=Instant(row[3])) for row in rows]


def count_taken(transaction: Transaction, *, since: Instant | None, until: Instant | None) -> list[Taken]:
    """How much of what was received from `since` up to `until` (not included) is held, by text, giver and month."""
    rows = transaction.rows(
        "SELECT terms, giver, strftime('%Y-%m', received_at / 1000000, 'unixepoch') AS month, COUNT(*) FROM arrival"
        " WHERE received_at >= ? AND received_at < ? GROUP BY terms, giver, month ORDER BY terms, giver, month",
        (since or 0, _FOREVER if until is None else until),
    )
    return [Taken(terms=Digest(row[0]), giver=PartyId(row[1]), month=row[2], objects=row[3]) for row in rows]


def strike(transaction: Transaction, keys: Collection[int], *, giver: PartyId, terms: Collection[Digest]) -> None:
    """Each of `keys` did not come from `giver` under any of `terms`: it has taken back what it gave."""
    transaction.run(
        "DELETE FROM arrival WHERE object IN (SELECT value FROM json_each(?)) AND giver = ?"
        " AND terms IN (SELECT value FROM json_each(?))",
        (json.dumps([*keys]), giver, json.dumps(sorted(terms))),
    )


def list_texts(transaction: Transaction) -> frozenset[Digest]:
    """The texts under which anything that is held came: by steps from one to the next in an index."""
    rows = transaction.rows(
        "WITH each(terms) AS (SELECT MIN(terms) FROM arrival UNION ALL"
        " SELECT (SELECT MIN(terms) FROM arrival WHERE terms > each.terms) FROM each WHERE terms IS NOT NULL)"
        " SELECT terms FROM each WHERE terms IS NOT NULL"
    )
    return frozenset(Digest(row[0]) for row in rows)


def mark_decided(transaction: Transaction, keys: Collection[int], *, now: Instant) -> None:
    """It was decided to keep each of `keys`; a clock that went back takes no earlier decision away."""
    transaction.run(
        "UPDATE arrival SET decided_at = MAX(decided_at, ?) WHERE object IN (SELECT value FROM json_each(?))",
        (now, json.dumps([*keys])),
    )


def find_arrived(transaction: Transaction, terms: Digest, *, column: Column, bound: Instant) -> Iterator[int]:
    """The objects that came from elsewhere under `terms` by `bound`, or were last decided on by then; oldest first.

    Read a part at a time, so that a caller who stops early has read little.
    """
    after: Position | None = BEGINNING
    while after is not None:
        keys, after = read_arrived(transaction, terms, column=column, bound=bound, after=after)
        yield from keys


def read_arrived(
    transaction: Transaction, terms: Digest, *, column: Column, bound: Instant, after: Position, most: int = _CHUNK
) -> tuple[list[int], Position | None]:
    """A part of what `find_arrived` finds, and behind what the next part begins; None where there is none."""
    rows = transaction.rows(
        f"SELECT a.{column}, a.object, o.received_under IS NOT NULL FROM arrival a JOIN object o ON o.pk = a.object"
        f" WHERE a.terms = ? AND a.{column} <= ? AND (a.{column}, a.object) > (?, ?)"
        f" ORDER BY a.{column}, a.object LIMIT ?",
        (terms, bound, *after, most),
    )
    end = None if len(rows) < most else Position(Instant(rows[-1][0]), rows[-1][1])
    return [row[1] for row in rows if row[2]], end
