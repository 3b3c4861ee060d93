# SPDX-License-Identifier: Apache-2.0
"""Shell: what partners took back over TAXII (§5.7) of what they had written, and what became of it here."""

from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import accumulate
from typing import Final, NamedTuple

from comity.ids import AgreementId, Digest, Instant, ObjectId, PartyId
from comity.letters.recall import Outcome, Result
from comity.store.parties import read_meta, write_meta
from comity.store.transaction import Row, Transaction

__all__ = [
    "BEGINNING",
    "Mark",
    "Retracted",
    "Retraction",
    "add_retraction",
    "count_since",
    "find_retractions",
    "iterate_retractions",
    "list_behind",
    "list_late",
    "list_of_object",
    "list_retractions",
    "list_waiting",
    "read_mark",
    "read_retracted_before",
    "read_retraction",
    "set_due",
    "set_mark",
    "settle_versions",
]

_PASSED = "retraction-passed"
_NAMED = (
    "SELECT name, (SELECT COUNT(*) FROM retraction_version v WHERE v.retraction = r.name), due_at, position"
    " FROM retraction r"
)
_COLUMNS = "name, at, giver, agreement, terms, channel, object, asked, due_at"


@dataclass(frozen=True, slots=True, kw_only=True)
class Retracted:
    """One version that was taken back, and what became of it."""

    version_at: Instant
    version: str
    digest: Digest
    result: Result


@dataclass(frozen=True, slots=True, kw_only=True)
class Retraction:
    """One request of a partner to take back versions of `object` that it had written; `name` is of random bits.

    `asked` says which, in the words of TAXII: `all`, `first`, `last`, times. `versions` are those that this party had
    from it and that it had not taken back before, oldest first. Of those `due_at` is the date on which is deleted what
    nobody decides on; None while nothing waits.
    """

    name: Digest
    at: Instant
    giver: PartyId
    agreement: AgreementId
    terms: Digest
    channel: str
    object: ObjectId
    asked: str
    due_at: Instant | None
    versions: tuple[Retracted, ...] = ()


def add_retraction(transaction: Transaction, item: Retraction) -> None:
    """Keep it, with its versions as they stand."""
    transaction.run(
        f"INSERT INTO retraction ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            item.name,
            item.at,
            item.giver,
            item.agreement,
            item.terms,
            item.channel,
            item.object,
            item.asked,
            item.due_at,
        ),
    )
    transaction.run_many(
        "INSERT INTO retraction_version VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        [
            (
                item.name,
                place,
                one.version_at,
                one.version,
                one.digest,
                one.result.outcome.value,
                one.result.reason,
                None if one.result.outcome is Outcome.STOPPED else item.at,
            )
            for place, one in enumerate(item.versions)
        ],
    )


def settle_versions(transaction: Transaction, name: Digest, results: Mapping[int, Result], *, now: Instant) -> None:
    """Keep what became in the end of those of its versions that stand at these places."""
    transaction.run_many(
        "UPDATE retraction_version SET outcome = ?, reason = ?, settled_at = ? WHERE retraction = ? AND place = ?",
        [(result.outcome.value, result.reason, now, name, place) for place, result in results.items()],
    )


def set_due(transaction: Transaction, name: Digest, due_at: Instant | None) -> None:
    """Let what waits of it be deleted at that time; None: nothing waits any more."""
    transaction.run("UPDATE retraction SET due_at = ? WHERE name = ?", (due_at, name))


def count_since(transaction: Transaction, giver: PartyId, since: Instant) -> int:
    """How often `giver` took something back from `since` on, or tried to."""
    row = transaction.row("SELECT COUNT(*) FROM retraction WHERE giver = ? AND at >= ?", (giver, since))
    return int(row[0]) if row else 0


def read_retracted_before(
    transaction: Transaction, item: ObjectId, *, giver: PartyId, agreement: AgreementId
) -> frozenset[Instant]:
    """The versions of the object that `giver` has taken back under the agreement."""
    rows = transaction.rows(
        "SELECT v.version_at FROM retraction r JOIN retraction_version v ON v.retraction = r.name"
        " WHERE r.object = ? AND r.giver = ? AND r.agreement = ?",
        (item, giver, agreement),
    )
    return frozenset(Instant(at) for (at,) in rows)


def read_retraction(transaction: Transaction, name: Digest) -> Retraction | None:
    """The one of that name."""
    found = _read(transaction, "WHERE name = ?", (name,))
    return found[0] if found else None


def find_retractions(transaction: Transaction, prefix: str, *, limit: int) -> list[Retraction]:
    """Those whose name begins with `prefix`."""
    return _read(transaction, "WHERE substr(name, 1, length(?1)) = ?1 ORDER BY position LIMIT ?2", (prefix, limit))


def list_retractions(transaction: Transaction, *, limit: int, before: Digest | None = None) -> list[Retraction]:
    """The last ones, newest first; those before the one of that name where it is given, none where there is no such."""
    if before is None:
        return _read(transaction, "ORDER BY position DESC LIMIT ?", (limit,))
    condition = "WHERE position < (SELECT position FROM retraction WHERE name = ?) ORDER BY position DESC LIMIT ?"
    return _read(transaction, condition, (before, limit))


def list_of_object(transaction: Transaction, item: ObjectId) -> list[Retraction]:
    """Those about the object, oldest first."""
    return _read(transaction, "WHERE object = ? ORDER BY position", (item,))


def list_waiting(transaction: Transaction) -> list[Retraction]:
    """Those of which something waits for people, the earliest date first."""
    return _read(transaction, "WHERE due_at IS NOT NULL ORDER BY due_at, position", ())


class Mark(NamedTuple):
    """How far those of which something waits were looked at, in the order of their dates."""

    due_at: Instant
    position: int


BEGINNING: Final = Mark(Instant(0), 0)


def list_late(transaction: Transaction, *, now: Instant, most: int) -> list[Digest]:
    """The names of those that are past their date, the earliest first: of at most `most` versions, or of one alone."""
    rows = transaction.rows(
        f"{_NAMED} WHERE due_at <= ? ORDER BY due_at, position LIMIT ?",
        (now, most),
    )
    return [row[0] for row in _cut(rows, most)]


def list_behind(transaction: Transaction, mark: Mark, *, most: int) -> tuple[list[Digest], Mark]:
    """The names of those behind the mark of which something waits, in order, as many as in `list_late`.

    Beside it the mark behind which to go on, after the last the beginning.
    """
    rows = transaction.rows(
        f"{_NAMED} WHERE (due_at, position) > (?, ?) ORDER BY due_at, position LIMIT ?",
        (*mark, most + 1),
    )
    found = _cut(rows, most)
    after = BEGINNING if len(found) == len(rows) else Mark(Instant(found[-1][2]), int(found[-1][3]))
    return [row[0] for row in found], after


def read_mark(transaction: Transaction) -> Mark:
    """Behind which mark to look next for what can be settled."""
    due_at, position = (read_meta(transaction, _PASSED) or "0 0").split()
    return Mark(Instant(int(due_at)), int(position))


def set_mark(transaction: Transaction, mark: Mark) -> None:
    """Those up to there were looked at."""
    write_meta(transaction, _PASSED, f"{mark.due_at} {mark.position}")


def _cut(rows: list[Row], most: int) -> list[Row]:
    """As many as have `most` versions, which stand behind the name, and at least one."""
    return rows[: max(bisect_right([*accumulate(int(row[1]) for row in rows)], most), 1)]


def iterate_retractions(transaction: Transaction) -> list[Retraction]:
    """All of them, in the order of record."""
    return _read(transaction, "ORDER BY position", ())


def _read(transaction: Transaction, condition: str, values: tuple[str | int, ...]) -> list[Retraction]:
    return [
        _build(transaction, row) for row in transaction.rows(f"SELECT {_COLUMNS} FROM retraction {condition}", values)
    ]


def _build(transaction: Transaction, row: Row) -> Retraction:
    name, at, giver, agreement, terms, channel, item, asked, due_at = row
    rows = transaction.rows(
        "SELECT version_at, version, digest, outcome, reason FROM retraction_version"
        " WHERE retraction = ? ORDER BY place",
        (name,),
    )
    return Retraction(
        name=Digest(name),
        at=Instant(at),
        giver=PartyId(giver),
        agreement=AgreementId(agreement),
        terms=Digest(terms),
        channel=channel,
        object=ObjectId(item),
        asked=asked,
        due_at=None if due_at is None else Instant(due_at),
        versions=tuple(
            Retracted(
                version_at=Instant(version_at),
                version=version,
                digest=Digest(digest),
                result=Result(outcome=Outcome(outcome), reason=reason),
            )
            for version_at, version, digest, outcome, reason in rows
        ),
    )
