# SPDX-License-Identifier: Apache-2.0
"""Shell: entries of the log by what they say, newest first, looking through a bounded number of them.

No index is kept of what a leaf says: each would be written with every disclosure. What is given to one party, or under
one agreement, stands in logs of its own, which are read from their ends; of all else so many entries are looked through
as one answer may take, and the answer says how far that was.
"""

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Final

from comity.ids import AgreementId, Digest, Instant, ObjectId, PartyId, format_instant
from comity.store.log import HOUSE, count_entries, find_place, read_size
from comity.store.logs import read_shown_size
from comity.store.transaction import SqlValue, Transaction

__all__ = [
    "MOST_LOOKED",
    "Found",
    "Wanted",
    "count_given",
    "find_agreements",
    "find_entries",
    "list_citing",
    "list_terms",
    "read_rows",
]

MOST_LOOKED: Final = 50_000
"""Entries that are looked through for one answer."""

_MOST_LISTED_BYTES: Final = 32 * 1024 * 1024
"""Of listings that are looked through for an object."""

_MOST_OPENINGS: Final = 10_000
"""Entries of which the content is looked into for an object."""

_MOST_LOGS: Final = 100
"""Logs of relationships that are read side by side; where there are more, all entries are looked through."""

_DRIFT: Final = 15 * 60 * 1_000_000
"""By how much the times of entries can be out of order: a clock that was further ahead is told to the operator."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What an entry has to say. None: anything; of sets one has to hold, or, `no_…`, none may."""

    recipients: Collection[PartyId] | None = None
    no_recipients: Collection[PartyId] = ()
    terms: Collection[Digest] | None = None
    no_terms: Collection[Digest] = ()
    kinds: Collection[str] | None = None
    no_kinds: Collection[str] = ()
    objects: Sequence[ObjectId] = ()
    no_objects: Sequence[ObjectId] = ()
    since: Instant | None = None
    until: Instant | None = None
    agreements: Collection[AgreementId] | None = None
    """Those that `terms` are of, where it is agreements that were asked for: their logs are read, and the house's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """Positions, newest first. `looked` entries were looked through, down to position `reached`; 0: all there are."""

    positions: list[int]
    looked: int
    reached: int


@dataclass(slots=True)
class _Budget:
    """How much may still be looked through, and what is known already of listings."""

    listed_bytes: int = _MOST_LISTED_BYTES
    listings: dict[tuple[int, str], bool] = field(default_factory=dict)


def find_entries(transaction: Transaction, wanted: Wanted, *, before: int, limit: int) -> Found:
    """At most `limit` entries at positions below `before` that say what is wanted."""
    stop = min(before, count_entries(transaction))
    if wanted.until is not None:
        stop = min(stop, _find_position(transaction, wanted.until + _DRIFT, stop))
    start = 0 if wanted.since is None else _find_position(transaction, wanted.since - _DRIFT, stop)
    numbers = _find_logs(transaction, wanted)
    budget, most = _Budget(), max(limit, 500, MOST_LOOKED // len(numbers))
    scans = [
        _scan(transaction, wanted, budget, number, start=start, stop=stop, limit=limit, most=most) for number in numbers
    ]
    # Where one log was read less far than another, what stands before that in the other is for the next answer.
    reached = max(scan.reached for scan in scans)
    positions = sorted((each for scan in scans for each in scan.positions if each >= reached), reverse=True)
    looked = sum(scan.looked for scan in scans)
    if len(positions) > limit:
        reached = positions[limit - 1]
    return Found(positions=positions[:limit], looked=looked, reached=reached if reached > start else 0)


def count_given(transaction: Transaction, *, before: Instant) -> int:
    """How many entries of an earlier time than that are in the logs of relationships, all of them together."""
    position = _find_position(transaction, before, count_entries(transaction))
    return position - _count_before(transaction, HOUSE, position, read_size(transaction))


def read_rows(
    transaction: Transaction, positions: Sequence[int]
) -> list[tuple[int, bytes, tuple[int, int], bytes | None]]:
    """Of each entry its position, its leaf, its log and place there, and its content if not purged; without listing."""
    rows = transaction.rows(
        "SELECT e.position, e.leaf, e.log, e.place, o.content FROM log_entry e LEFT JOIN log_opening o USING (position)"
        " WHERE e.position IN (SELECT value FROM json_each(?)) ORDER BY e.position",
        (json.dumps(list(positions)),),
    )
    return [
        (position, bytes(leaf), (log, place), None if content is None else bytes(content))
        for position, leaf, log, place, content in rows
    ]


def find_agreements(transaction: Transaction, terms: Collection[Digest]) -> dict[Digest, AgreementId]:
    """The agreement of each text, of those that are on record."""
    rows = transaction.rows(
        "SELECT hash, agreement FROM terms WHERE hash IN (SELECT value FROM json_each(?))", (_list(terms),)
    )
    return {Digest(text): AgreementId(agreement) for text, agreement in rows}


def list_terms(transaction: Transaction, prefix: str) -> tuple[set[AgreementId], set[Digest]]:
    """The agreements whose id, or one of whose texts, begins with `prefix`; and every text of them."""
    agreements = {
        AgreementId(row[0])
        for row in transaction.rows(
            # Digests are lower-case hexadecimal: nothing which begins so is beyond the one with a "g" behind it.
            "SELECT id FROM agreement WHERE id >= ?1 AND id < ?1 || 'g'"
            " UNION SELECT agreement FROM terms WHERE hash >= ?1 AND hash < ?1 || 'g'",
            (prefix,),
        )
    }
    texts = {
        Digest(row[0])
        for agreement in agreements
        for row in transaction.rows(
            "SELECT hash FROM terms WHERE agreement = ?1 UNION SELECT terms FROM event WHERE agreement = ?1",
            (agreement,),
        )
    }
    return agreements, texts


def list_citing(transaction: Transaction, reference: str) -> set[Digest]:
    """The texts that cite a legal basis of this reference, for whichever party."""
    rows = transaction.rows(
        "SELECT hash FROM terms WHERE EXISTS (SELECT 1 FROM json_each(CAST(document AS TEXT), '$.legal_bases') AS basis"
        " WHERE json_extract(basis.value, '$.reference') = ?)",
        (reference,),
    )
    return {Digest(row[0]) for row in rows}


def _find_logs(transaction: Transaction, wanted: Wanted) -> list[int | None]:
    """The logs that can hold what is wanted; None alone where it is all of them, or too many to read side by side."""
    if wanted.recipients is None and wanted.agreements is None:
        return [None]
    conditions, values = list[str](), list[SqlValue]()
    for column, allowed in (("recipient", wanted.recipients), ("agreement", wanted.agreements)):
        if allowed is not None:
            conditions.append(f"{column} IN (SELECT value FROM json_each(?))")
            values.append(_list(allowed))
    rows = transaction.rows(f"SELECT number FROM relationship_log WHERE {' AND '.join(conditions)}", tuple(values))
    if len(rows) > _MOST_LOGS:
        return [None]
    return [HOUSE, *(int(row[0]) for row in rows)]


def _scan(
    transaction: Transaction,
    wanted: Wanted,
    budget: _Budget,
    number: int | None,
    *,
    start: int,
    stop: int,
    limit: int,
    most: int,
) -> Found:
    """What is wanted of one log, or of all (None), at positions start ≤ p < stop."""
    if wanted.objects or wanted.no_objects:
        most = min(most, _MOST_OPENINGS)
    if number is None:
        last, low = stop, max(start, stop - most)
        source, order, values = "position >= ? AND position < ?", "position", [low, last]
        reached = low
    else:
        last = _find_place_before(transaction, number, stop, wanted)
        first = _find_place_before(transaction, number, start, wanted)
        low = max(first, last - most)
        # In one log places have the order of positions, and there is an index of them.
        source, order, values = "log = ? AND place >= ? AND place < ?", "place", [number, low, last]
        reached = start if low == first else _position_at(transaction, number, low)
    condition, more = _make_condition(wanted)
    has_objects = bool(wanted.objects or wanted.no_objects)
    rows = transaction.rows(
        f"SELECT position FROM (SELECT position, place, CAST(leaf AS TEXT) AS leaf FROM log_entry WHERE {source})"
        f" WHERE {condition} ORDER BY {order} DESC{'' if has_objects else ' LIMIT ?'}",
        (*values, *more, *(() if has_objects else (limit,))),
    )
    positions = [int(row[0]) for row in rows]
    if has_objects:
        positions, short = _filter_objects(transaction, wanted, budget, positions, limit=limit)
        reached = max(reached, short)
    if len(positions) >= limit:
        reached = max(reached, positions[-1])
    return Found(positions=positions, looked=max(0, last - low), reached=reached)


def _make_condition(wanted: Wanted) -> tuple[str, list[SqlValue]]:
    conditions, values = ["1"], list[SqlValue]()
    for member, allowed, forbidden in (
        ("recipient", wanted.recipients, wanted.no_recipients),
        ("terms", wanted.terms, wanted.no_terms),
        ("type", wanted.kinds, wanted.no_kinds),
    ):
        if allowed is not None:
            conditions.append(f"json_extract(leaf, '$.{member}') IN (SELECT value FROM json_each(?))")
            values.append(_list(allowed))
        if forbidden:
            conditions.append(f"ifnull(json_extract(leaf, '$.{member}'), '') NOT IN (SELECT value FROM json_each(?))")
            values.append(_list(forbidden))
    for sign, at in ((">=", wanted.since), ("<", wanted.until)):
        if at is not None:
            # Every time of a leaf is written with the same number of digits.
            conditions.append(f"json_extract(leaf, '$.at') {sign} ?")
            values.append(format_instant(at))
    return " AND ".join(conditions), values


def _filter_objects(
    transaction: Transaction, wanted: Wanted, budget: _Budget, positions: Sequence[int], *, limit: int
) -> tuple[list[int], int]:
    """Those of the entries whose content or listing names the objects; and down to which position that was seen."""
    found = list[int]()
    for position in positions:
        if budget.listed_bytes <= 0:
            return found, position + 1
        row = transaction.row("SELECT content, listing FROM log_opening WHERE position = ?", (position,))
        content, listing = (b"", None) if row is None else (bytes(row[0]), row[1])

        def names(item: ObjectId, content: bytes = content, listing: int | None = listing) -> bool:
            return item.encode() in content or _is_listed(transaction, budget, listing, item)

        if wanted.objects and not any(map(names, wanted.objects)):
            continue
        if not any(map(names, wanted.no_objects)):
            found.append(position)
        if len(found) == limit:
            return found, position
    return found, 0


def _is_listed(transaction: Transaction, budget: _Budget, listing: int | None, item: ObjectId) -> bool:
    if listing is None:
        return False
    known = budget.listings.get((listing, item))
    if known is None:
        row = transaction.row(
            "SELECT instr(data, ?), length(data) FROM log_listing WHERE id = ?", (item.encode(), listing)
        )
        known = budget.listings[listing, item] = bool(row and row[0])
        budget.listed_bytes -= int(row[1]) if row else 0
    return known


def _find_position(transaction: Transaction, at: int, stop: int) -> int:
    """The first position below `stop` whose entry is of the time `at` or later, by halving; `stop` if there is none."""
    wanted, low, high = format_instant(Instant(max(0, at))), 0, stop
    while low < high:
        middle = (low + high) // 2
        row = transaction.row(
            "SELECT json_extract(CAST(leaf AS TEXT), '$.at') FROM log_entry WHERE position = ?", (middle,)
        )
        if row is not None and str(row[0]) < wanted:
            low = middle + 1
        else:
            high = middle
    return low


def _find_place_before(transaction: Transaction, number: int, position: int, wanted: Wanted) -> int:
    """How many entries of a log stand at positions below `position`.

    Of the house's log, where only what went to a party is asked for, what went into it before there were others.
    """
    if number == HOUSE and wanted.recipients is not None:
        return _count_before(transaction, number, position, read_shown_size(transaction))
    return _count_before(transaction, number, position, read_size(transaction, number))


def _count_before(transaction: Transaction, number: int, position: int, high: int) -> int:
    """How many of the first `high` entries of a log stand at positions below `position`, by halving."""
    at = find_place(transaction, position)
    if at is not None and at[0] == number:
        return min(at[1], high)
    low = 0
    while low < high:
        middle = (low + high) // 2
        if _position_at(transaction, number, middle) < position:
            low = middle + 1
        else:
            high = middle
    return low


def _position_at(transaction: Transaction, number: int, place: int) -> int:
    row = transaction.row("SELECT position FROM log_entry WHERE log = ? AND place = ?", (number, place))
    return 0 if row is None else int(row[0])


def _list(values: Collection[str]) -> str:
    return json.dumps(sorted(values))
