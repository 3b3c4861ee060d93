# SPDX-License-Identifier: Apache-2.0
"""Shell: what became of what partners wrote: the status each may read, how much it wrote, and what was not kept."""

from dataclasses import dataclass

from comity.ids import Digest, Instant, ObjectId, PartyId
from comity.store.transaction import Transaction

__all__ = [
    "Unkept",
    "Use",
    "add_status",
    "add_unkept",
    "add_use",
    "find_unkept",
    "forget",
    "has_forgettable",
    "list_unkept",
    "read_status",
    "read_use",
]

_MOST_FOUND = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Use:
    """How much a party has written on one day."""

    bytes: int
    objects: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Unkept:
    """One version that `giver` wrote in a channel and that was not kept, because it clashed with what was held."""

    at: Instant
    giver: PartyId
    terms: Digest
    channel: str
    id: ObjectId
    version: str
    reason: str


def add_status(transaction: Transaction, party: PartyId, name: str, *, at: Instant, body: bytes) -> None:
    """Keep what became of one envelope of `party` under an id of random bits."""
    transaction.run("INSERT OR REPLACE INTO write_status VALUES (?, ?, ?, ?)", (party, name, at, body))


def read_status(transaction: Transaction, party: PartyId, name: str, *, after: Instant) -> bytes | None:
    """What became of the envelope, if `party` wrote it, and after `after`."""
    row = transaction.row("SELECT body FROM write_status WHERE party = ? AND id = ? AND at > ?", (party, name, after))
    return None if row is None else bytes(row[0])


def read_use(transaction: Transaction, party: PartyId, day: int) -> Use:
    """How much `party` has written on that day."""
    row = transaction.row("SELECT bytes, objects FROM write_use WHERE party = ? AND day = ?", (party, day))
    return Use(bytes=row[0], objects=row[1]) if row else Use(bytes=0, objects=0)


def add_use(transaction: Transaction, party: PartyId, day: int, use: Use) -> None:
    """Count `use` towards that day."""
    transaction.run(
        "INSERT INTO write_use VALUES (?, ?, ?, ?) ON CONFLICT (party, day)"
        " DO UPDATE SET bytes = bytes + excluded.bytes, objects = objects + excluded.objects",
        (party, day, use.bytes, use.objects),
    )


def add_unkept(transaction: Transaction, item: Unkept) -> None:
    """Keep that something was not kept, and why."""
    transaction.run(
        "INSERT INTO unkept (at, giver, terms, channel, id, version, reason) VALUES (?, ?, ?, ?, ?, ?, ?)",
        (item.at, item.giver, item.terms, item.channel, item.id, item.version, item.reason),
    )


def list_unkept(transaction: Transaction, *, limit: int) -> list[Unkept]:
    """The last `limit` things that were not kept, oldest first."""
    return _read_unkept(transaction, "", (), limit=limit)


def find_unkept(transaction: Transaction, name: ObjectId, *, limit: int = _MOST_FOUND) -> list[Unkept]:
    """The last `limit` things of that id that were not kept, oldest first."""
    return _read_unkept(transaction, " WHERE id = ?", (name,), limit=limit)


def _read_unkept(transaction: Transaction, where: str, values: tuple[str, ...], *, limit: int) -> list[Unkept]:
    rows = transaction.rows(
        f"SELECT at, giver, terms, channel, id, version, reason FROM unkept{where} ORDER BY position DESC LIMIT ?",
        (*values, limit),
    )
    return [
        Unkept(
            at=Instant(at),
            giver=PartyId(giver),
            terms=Digest(terms),
            channel=channel,
            id=ObjectId(name),
            version=version,
            reason=reason,
        )
        for at, giver, terms, channel, name, version, reason in reversed(rows)
    ]


def has_forgettable(transaction: Transaction, *, statuses: Instant, unkept: Instant) -> bool:
    """Whether `forget` would find anything."""
    row = transaction.row(
        "SELECT EXISTS (SELECT 1 FROM write_status WHERE at <= ?) OR EXISTS (SELECT 1 FROM unkept WHERE at <= ?)",
        (statuses, unkept),
    )
    return bool(row and row[0])


def forget(transaction: Transaction, *, statuses: Instant, unkept: Instant, day: int) -> None:
    """Take out statuses up to `statuses`, what is said of unkept objects up to `unkept`, and days before `day`."""
    transaction.run("DELETE FROM write_status WHERE at <= ?", (statuses,))
    transaction.run("DELETE FROM unkept WHERE at <= ?", (unkept,))
    transaction.run("DELETE FROM write_use WHERE day < ?", (day,))
