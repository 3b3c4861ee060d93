# SPDX-License-Identifier: Apache-2.0
"""Shell: what is given to nobody any more, what became of it here, what is kept all the same; and who was given it."""

import json
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from comity.ids import AgreementId, Digest, Instant, ObjectId, PartyId
from comity.letters.recall import Change, Outcome, Result
from comity.store.names import FIND_ONE, NAMED, list_keys
from comity.store.parties import read_meta, write_meta
from comity.store.transaction import Row, Transaction

__all__ = [
    "Hold",
    "Recalled",
    "add_clashed",
    "add_recalled",
    "find_disclosures",
    "find_undecided",
    "has_lost_openings",
    "iterate_recalled",
    "list_revoked",
    "mark_looked",
    "mark_passed",
    "put_hold",
    "put_results",
    "read_clashed",
    "read_foretold",
    "read_holds",
    "read_passed",
    "read_recalled",
    "read_released",
    "read_results",
    "read_spared",
    "read_spared_before",
    "settle_results",
    "was_ever_released",
]

_LOOKED = "recall-looked"
_PASSED = "recall-passed"
_LISTED = re.compile(rb'"id":"([^"]+)"')


@dataclass(frozen=True, slots=True, kw_only=True)
class Recalled:
    """One version that is given to nobody any more; `letter` asked for it, None: this party's own people did."""

    id: ObjectId
    version_at: Instant
    version: str
    digest: Digest
    change: Change
    newer: str | None
    reason: str
    letter: Digest | None
    recalled_at: Instant


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold:
    """Somebody's decision to keep an object though it is recalled."""

    id: ObjectId
    reason: str
    by: str
    held_at: Instant


def add_recalled(transaction: Transaction, items: Sequence[Recalled]) -> None:
    """Keep what is recalled; what was recalled before stays as it was."""
    transaction.run_many(
        "INSERT INTO recalled VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
        [
            (
                item.id,
                item.version_at,
                item.version,
                item.digest,
                item.change.value,
                item.newer,
                item.reason,
                item.letter,
                item.recalled_at,
            )
            for item in items
        ],
    )


def read_recalled(transaction: Transaction, ids: Collection[ObjectId]) -> dict[ObjectId, list[Recalled]]:
    """What of each of `ids` is recalled, oldest version first; those of which nothing is are absent."""
    found: dict[ObjectId, list[Recalled]] = {}
    if transaction.row("SELECT 1 FROM recalled LIMIT 1") is None:
        return found
    for row in transaction.rows(
        "SELECT id, version_at, version, digest, change, newer, reason, letter, recalled_at FROM recalled"
        " WHERE id IN (SELECT value FROM json_each(?)) ORDER BY id, version_at",
        (json.dumps(sorted(ids)),),
    ):
        found.setdefault(ObjectId(row[0]), []).append(_build(row))
    return found


def read_foretold(
    transaction: Transaction, ids: Collection[ObjectId], *, giver: PartyId, agreement: AgreementId
) -> frozenset[tuple[ObjectId, Digest]]:
    """What of `ids` letters of `giver` under the agreement recalled that was not kept from it then, by its bytes."""
    if transaction.row("SELECT 1 FROM letter WHERE kind = 'recall' AND sent = 0 LIMIT 1") is None:
        return frozenset()
    # From the ids onwards, in this order: a partner can have sent very many letters.
    rows = transaction.rows(
        "SELECT x.id, x.digest FROM json_each(?) i CROSS JOIN letter_object x ON x.id = i.value"
        " CROSS JOIN letter l ON l.position = x.letter AND l.party = ? AND l.agreement = ? AND l.sent = 0"
        " CROSS JOIN recall_result r ON r.letter = l.digest AND r.place = x.place AND (r.outcome = ? OR r.spared"
        " AND EXISTS (SELECT 1 FROM clashed c WHERE c.id = x.id AND c.digest = x.digest AND c.giver = l.party))",
        (json.dumps(sorted(ids)), giver, agreement, Outcome.ABSENT.value),
    )
    return frozenset((ObjectId(name), Digest(digest)) for name, digest in rows)


def iterate_recalled(transaction: Transaction) -> Iterator[Recalled]:
    """Everything that is recalled, by object, oldest version first."""
    rows = transaction.iterate(
        "SELECT id, version_at, version, digest, change, newer, reason, letter, recalled_at FROM recalled"
        " ORDER BY id, version_at"
    )
    return map(_build, rows)


def put_results(
    transaction: Transaction, letter: Digest, results: Sequence[Result], *, spared: Collection[int], now: Instant
) -> None:
    """Keep what became of each version that the letter is about; about those at the places `spared` nothing is done."""
    transaction.run_many(
        "INSERT INTO recall_result (letter, place, outcome, reason, settled_at, spared) VALUES (?, ?, ?, ?, ?, ?)",
        [
            (
                letter,
                place,
                item.outcome.value,
                item.reason,
                None if item.outcome is Outcome.STOPPED else now,
                int(place in spared),
            )
            for place, item in enumerate(results)
        ],
    )


def settle_results(transaction: Transaction, letter: Digest, results: Mapping[int, Result], *, now: Instant) -> None:
    """Keep what became of these in the end, by their places."""
    transaction.run_many(
        "UPDATE recall_result SET outcome = ?, reason = ?, settled_at = ? WHERE letter = ? AND place = ?",
        [(result.outcome.value, result.reason, now, letter, place) for place, result in results.items()],
    )


def read_results(transaction: Transaction, letter: Digest) -> tuple[Result, ...]:
    """What became of each version that the letter is about, in its order."""
    rows = transaction.rows("SELECT outcome, reason FROM recall_result WHERE letter = ? ORDER BY place", (letter,))
    return tuple(Result(outcome=Outcome(outcome), reason=reason) for outcome, reason in rows)


def read_spared(transaction: Transaction, letter: Digest) -> frozenset[int]:
    """The places of the versions about which nothing is done, whatever the letter's sender hears."""
    rows = transaction.rows("SELECT place FROM recall_result WHERE letter = ? AND spared", (letter,))
    return frozenset(int(place) for (place,) in rows)


def read_spared_before(
    transaction: Transaction, ids: Collection[ObjectId], *, giver: PartyId, agreement: AgreementId
) -> dict[tuple[ObjectId, Digest], bool]:
    """What of `ids` was spared when `giver` recalled it under the agreement, by its bytes.

    True where `giver` has heard of it that nothing is held any more.
    """
    if transaction.row("SELECT 1 FROM recall_result WHERE spared LIMIT 1") is None:
        return {}
    rows = transaction.rows(
        "SELECT x.id, x.digest, MAX(r.settled_at IS NOT NULL) FROM json_each(?) i"
        " CROSS JOIN letter_object x ON x.id = i.value"
        " CROSS JOIN letter l ON l.position = x.letter AND l.party = ? AND l.agreement = ? AND l.sent = 0"
        " CROSS JOIN recall_result r ON r.letter = l.digest AND r.place = x.place AND r.spared GROUP BY x.id, x.digest",
        (json.dumps(sorted(ids)), giver, agreement),
    )
    return {(ObjectId(name), Digest(digest)): bool(settled) for name, digest, settled in rows}


def find_undecided(transaction: Transaction) -> frozenset[Digest]:
    """The letters by which something was stopped of which nobody has said what becomes."""
    rows = transaction.rows("SELECT DISTINCT letter FROM recall_result WHERE settled_at IS NULL AND spared = 0")
    return frozenset(Digest(letter) for (letter,) in rows)


def add_clashed(
    transaction: Transaction, giver: PartyId, terms: Digest, items: Iterable[tuple[ObjectId, Digest, Instant]]
) -> None:
    """Keep that `giver` gave these versions under `terms`, each by its id, digest and time, and that none was kept.

    Of each version the bytes that it gave first.
    """
    transaction.run_many(
        "INSERT OR IGNORE INTO clashed VALUES (?, ?, ?, ?, ?)",
        [(name, version_at, giver, terms, digest) for name, digest, version_at in items],
    )


def read_clashed(
    transaction: Transaction, ids: Collection[ObjectId], *, giver: PartyId, terms: Collection[Digest] | None = None
) -> dict[tuple[ObjectId, Digest], Instant]:
    """The time of each version of `ids` that `giver` gave, under one of `terms` if any are named, and was not kept."""
    rows = transaction.rows(
        "SELECT id, digest, version_at FROM clashed WHERE id IN (SELECT value FROM json_each(?1)) AND giver = ?2"
        " AND (?3 IS NULL OR terms IN (SELECT value FROM json_each(?3)))",
        (json.dumps(sorted(ids)), giver, None if terms is None else json.dumps(sorted(terms))),
    )
    return {(ObjectId(name), Digest(digest)): Instant(version_at) for name, digest, version_at in rows}


def put_hold(transaction: Transaction, hold: Hold) -> None:
    """Keep the decision, in the place of an earlier one."""
    transaction.run(
        "INSERT OR REPLACE INTO recall_hold VALUES (?, ?, ?, ?)", (hold.id, hold.reason, hold.by, hold.held_at)
    )


def read_holds(transaction: Transaction, ids: Collection[ObjectId]) -> dict[ObjectId, Hold]:
    """The decision for each of `ids` that one was made for."""
    rows = transaction.rows(
        "SELECT id, reason, person, held_at FROM recall_hold WHERE id IN (SELECT value FROM json_each(?))",
        (json.dumps(sorted(ids)),),
    )
    return {
        ObjectId(name): Hold(id=ObjectId(name), reason=reason, by=by, held_at=Instant(held_at))
        for name, reason, by, held_at in rows
    }


def was_ever_released(transaction: Transaction, ids: Collection[ObjectId]) -> frozenset[ObjectId]:
    """Those of `ids` of which a version stands in some feed, or was deleted, which takes it out of all feeds."""
    rows = transaction.rows(
        "SELECT value FROM json_each(?1) WHERE EXISTS (SELECT 1 FROM object o JOIN release r ON r.object = o.pk"
        f" WHERE o.pk IN {FIND_ONE.format('value')} AND o.id = value)"
        " OR EXISTS (SELECT 1 FROM tombstone t WHERE t.id = value)",
        (json.dumps(sorted(ids)),),
    )
    return frozenset(ObjectId(row[0]) for row in rows)


def find_disclosures(transaction: Transaction, ids: Collection[ObjectId]) -> list[int]:
    """The positions in the log of disclosures that name one of `ids`, in order.

    All listings are read, once for all of `ids`: half a second for each million objects that they list.
    """
    wanted = {name.encode() for name in ids}
    named = [
        key
        for key, data in transaction.iterate("SELECT id, data FROM log_listing")
        if not wanted.isdisjoint(_LISTED.findall(data))
    ]
    found = {
        int(position)
        for (position,) in transaction.rows(
            "SELECT position FROM log_opening WHERE listing IN (SELECT value FROM json_each(?))", (json.dumps(named),)
        )
    }
    # In the first format a disclosure has its objects in itself.
    found |= {
        int(position)
        for position, content in transaction.iterate(
            "SELECT position, content FROM log_opening WHERE listing IS NULL AND substr(content, 1, 10) = ?",
            (b'{"answer":',),
        )
        if not wanted.isdisjoint(_LISTED.findall(content))
    }
    return sorted(found)


def has_lost_openings(transaction: Transaction) -> bool:
    """Whether content of entries was purged: then the log does not say any more of every object who was given it."""
    row = transaction.row("SELECT (SELECT COUNT(*) FROM log_entry) > (SELECT COUNT(*) FROM log_opening)")
    return bool(row and row[0])


def read_released(
    transaction: Transaction, ids: Collection[ObjectId]
) -> list[tuple[PartyId, Digest, ObjectId, str, Digest]]:
    """Who was released which versions of `ids` under which terms last, whether it asked for them or not.

    In this order: recipient, terms, id, version, digest of the version as it is held here.
    """
    keys = list_keys(ids)
    rows = transaction.rows(
        "SELECT DISTINCT f.recipient, f.under, o.id, o.version, o.digest FROM object o"
        " JOIN release r ON r.object = o.pk JOIN feed f ON f.id = r.feed"
        f" WHERE f.under IS NOT NULL AND o.pk IN {NAMED} AND o.id IN (SELECT value FROM json_each(?))"
        " ORDER BY 1, 2, 3, 4",
        (keys, keys, json.dumps(sorted(ids))),
    )
    return [
        (PartyId(recipient), Digest(under), ObjectId(name), version, Digest(digest))
        for recipient, under, name, version, digest in rows
    ]


def list_revoked(transaction: Transaction, own: PartyId, *, window: int) -> tuple[list[ObjectId], int | None]:
    """Objects of `own` that took one of the next `window` places since the last look and may be revoked; how far it is.

    Only those of which an older version is held; whether they are revoked is for who reads the bytes to say. Where it
    is None there is nothing to look at.
    """
    row = transaction.row("SELECT value FROM meta WHERE name = 'seq'")
    head, after = 0 if row is None else int(row[0]), int(read_meta(transaction, _LOOKED) or 0)
    if head <= after:
        return [], None
    reached = min(head, after + window)
    rows = transaction.rows(
        "SELECT o.id FROM object o WHERE o.seq > ? AND o.seq <= ? AND o.current = 1 AND o.originator = ?"
        f" AND EXISTS (SELECT 1 FROM object p WHERE p.pk IN {FIND_ONE.format('o.id')} AND p.id = o.id"
        " AND p.version_at < o.version_at)"
        " AND EXISTS (SELECT 1 FROM body b WHERE b.object = o.pk AND instr(b.data, CAST('\"revoked\"' AS BLOB)) > 0)",
        (after, reached, own),
    )
    return [ObjectId(row[0]) for row in rows], reached


def mark_looked(transaction: Transaction, reached: int) -> None:
    """What took its place up to there was looked at."""
    write_meta(transaction, _LOOKED, str(reached))


def read_passed(transaction: Transaction) -> int:
    """Behind which position of letters to look next for recalls that can be settled."""
    return int(read_meta(transaction, _PASSED) or 0)


def mark_passed(transaction: Transaction, position: int) -> None:
    """Letters up to there were looked at; 0 begins anew."""
    write_meta(transaction, _PASSED, str(position))


def _build(row: Row) -> Recalled:
    return Recalled(
        id=ObjectId(row[0]),
        version_at=Instant(row[1]),
        version=row[2],
        digest=Digest(row[3]),
        change=Change(row[4]),
        newer=row[5],
        reason=row[6],
        letter=None if row[7] is None else Digest(row[7]),
        recalled_at=Instant(row[8]),
    )
