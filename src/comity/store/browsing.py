# SPDX-License-Identifier: Apache-2.0
"""Shell: what is held, newest first, and what is around one object: bounded steps into indexes, whatever is held.

Objects that are looked for by what their labels say are found at their places (`store.counts`), each of which is in the
order in which its objects came in. Where the places are many, what is held is gone through instead, so far at once: a
part of it then may hold little that was looked for, or nothing, and says where the next one begins.
"""

import heapq
import json
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import NamedTuple

from comity.ids import AgreementId, Instant, ObjectId, PartyId
from comity.store.objects import COLUMNS, StoredObject, build_object, read_objects
from comity.store.transaction import Transaction

__all__ = [
    "MOST_LOOKED_AT",
    "Part",
    "Position",
    "Released",
    "Wanted",
    "list_at_places",
    "list_newest",
    "list_originators",
    "list_referrers",
    "list_releases",
    "list_types",
    "read_short_bodies",
]

MOST_PLACES = 200
"""Places that are asked one by one."""
MOST_LOOKED_AT = 20_000
"""Objects that are gone through at once."""

SHORT_BYTES = 64 * 1024
"""A longer object is not read to say what it is called."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What is looked for; None looks for all."""

    type: str | None = None
    originator: str | None = None
    tlp: str | None = None
    subject: str | None = None

    @property
    def is_all(self) -> bool:
        """Whether nothing narrows it."""
        return self == Wanted()


class Position(NamedTuple):
    """The last object of a part: its key, and the place at which it came in."""

    pk: int
    first_seq: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """Newest versions, the last taken in first; `next` is where to go on, None at the end."""

    objects: tuple[StoredObject, ...]
    next: Position | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Released:
    """One feed that a version was released in, and when."""

    agreement: AgreementId
    channel: str
    recipient: PartyId
    version: str
    at: Instant


def list_newest(transaction: Transaction, wanted: Wanted, *, before: Position | None, limit: int) -> Part:
    """At most `limit` newest versions that were taken in before the position (None: at any time)."""
    if wanted.is_all:
        rows = transaction.rows(
            f"SELECT {COLUMNS} FROM object o WHERE o.current = 1 AND o.pk < ? ORDER BY o.pk DESC LIMIT ?",
            (_ENDLESS if before is None else before.pk, limit + 1),
        )
        found = [build_object(row) for row in rows]
        return Part(objects=tuple(found[:limit]), next=_place(found[limit - 1]) if len(found) > limit else None)
    return list_at_places(transaction, _find_places(transaction, wanted), before=before, limit=limit)


def list_at_places(
    transaction: Transaction, places: Collection[tuple[int, str, str]], *, before: Position | None, limit: int
) -> Part:
    """The same, of those that are counted at places: label, type and originator of each."""
    if len(places) > MOST_PLACES:
        return _go_through(transaction, set(places), before=before, limit=limit)
    until = _ENDLESS if before is None else before.first_seq
    each = [_list_at(transaction, place, until=until, limit=limit + 1) for place in places]
    chosen = [*islice(heapq.merge(*each, reverse=True), limit + 1)]
    held = {item.pk: item for item in read_objects(transaction, [pk for _, pk in chosen[:limit]])}
    listed = tuple(held[pk] for _, pk in chosen[:limit])
    return Part(objects=listed, next=_place(listed[-1]) if len(chosen) > limit else None)


def list_types(transaction: Transaction) -> list[str]:
    """The types of what is held."""
    return [str(row[0]) for row in transaction.rows("SELECT DISTINCT type FROM label_count ORDER BY type")]


def list_originators(transaction: Transaction, *, limit: int) -> list[PartyId]:
    """The parties that what is held was received from."""
    sql = "SELECT DISTINCT originator FROM label_count ORDER BY originator LIMIT ?"
    return [PartyId(row[0]) for row in transaction.rows(sql, (limit,))]


def list_referrers(transaction: Transaction, item: ObjectId, *, limit: int) -> list[StoredObject]:
    """At most `limit` newest versions that refer to the object."""
    rows = transaction.rows(
        f"SELECT {COLUMNS} FROM reference r CROSS JOIN object o ON o.pk = r.object"
        " WHERE r.target = ? AND o.current = 1 LIMIT ?",
        (item, limit),
    )
    return [build_object(row) for row in rows]


def list_releases(transaction: Transaction, keys: Collection[int], *, limit: int) -> list[Released]:
    """The feeds in which versions were released, the last release first; a release is what its recipient may fetch."""
    rows = transaction.rows(
        "SELECT f.agreement, f.channel, f.recipient, o.version, r.at FROM release r JOIN feed f ON f.id = r.feed"
        " JOIN object o ON o.pk = r.object WHERE r.object IN (SELECT value FROM json_each(?))"
        " ORDER BY r.at DESC LIMIT ?",
        (json.dumps([*keys]), limit),
    )
    return [
        Released(
            agreement=AgreementId(row[0]),
            channel=row[1],
            recipient=PartyId(row[2]),
            version=row[3],
            at=Instant(row[4]),
        )
        for row in rows
    ]


def read_short_bodies(transaction: Transaction, keys: Collection[int]) -> dict[int, bytes]:
    """The received bytes of each of `keys`, where they are few."""
    rows = transaction.rows(
        "SELECT object, data FROM body WHERE object IN (SELECT value FROM json_each(?)) AND length(data) <= ?",
        (json.dumps([*keys]), SHORT_BYTES),
    )
    return {int(pk): bytes(data) for pk, data in rows}


_ENDLESS = 2**62
_Place = tuple[int, str, str]


def _place(item: StoredObject) -> Position:
    return Position(item.pk, item.first_seq)


def _find_places(transaction: Transaction, wanted: Wanted) -> list[_Place]:
    """Where objects are counted that are what is looked for: one row for each label in use, type and originator."""
    return [
        (int(label), str(kind), str(originator))
        for label, kind, originator in transaction.rows(
            "SELECT c.label, c.type, c.originator FROM label_count c WHERE c.objects > 0"
            " AND (?1 IS NULL OR c.type = ?1) AND (?2 IS NULL OR c.originator = ?2)"
            " AND (?3 IS NULL OR EXISTS (SELECT 1 FROM label_word w WHERE w.label = c.label"
            " AND w.clause = 'tlp_ceiling' AND w.word = ?3))"
            " AND (?4 IS NULL OR EXISTS (SELECT 1 FROM label_word w WHERE w.label = c.label"
            " AND w.clause = 'subjects' AND w.word = ?4))",
            (wanted.type, wanted.originator, wanted.tlp, wanted.subject),
        )
    ]


def _list_at(transaction: Transaction, place: _Place, *, until: int, limit: int) -> list[tuple[int, int]]:
    """Where the last objects at this place came in, and their keys: some steps in one index."""
    return [
        (int(first_seq), int(pk))
        for first_seq, pk in transaction.rows(
            "SELECT o.first_seq, o.pk FROM object o INDEXED BY object_by_count WHERE o.current = 1 AND o.label = ?"
            " AND o.type = ? AND o.originator = ? AND o.first_seq < ? ORDER BY o.first_seq DESC LIMIT ?",
            (*place, until, limit),
        )
    ]


def _go_through(transaction: Transaction, places: Collection[_Place], *, before: Position | None, limit: int) -> Part:
    found, last = list[int](), None
    rows = _walk(transaction, before=before)
    for position, place in rows:
        if place in places:
            if len(found) == limit:
                break
            found.append(position.pk)
        last = position
    else:
        last = last if _is_more(transaction, last) else None
    held = {item.pk: item for item in read_objects(transaction, found)}
    return Part(objects=tuple(held[pk] for pk in found), next=last)


def _walk(transaction: Transaction, *, before: Position | None) -> Iterator[tuple[Position, _Place]]:
    rows: Sequence[tuple[int, int, int, str, str]] = transaction.rows(
        "SELECT o.pk, o.first_seq, o.label, o.type, o.originator FROM object o WHERE o.current = 1 AND o.pk < ?"
        " ORDER BY o.pk DESC LIMIT ?",
        (_ENDLESS if before is None else before.pk, MOST_LOOKED_AT),
    )
    for pk, first_seq, label, kind, originator in rows:
        yield Position(pk, first_seq), (label, kind, originator)


def _is_more(transaction: Transaction, last: Position | None) -> bool:
    if last is None:
        return False
    return transaction.row("SELECT 1 FROM object WHERE current = 1 AND pk < ? LIMIT 1", (last.pk,)) is not None
