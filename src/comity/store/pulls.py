# SPDX-License-Identifier: Apache-2.0
"""Shell: where this node stands in the feeds of its partners, how it went when it asked them last, and what came."""

from dataclasses import dataclass

from comity.ids import Instant, PartyId
from comity.store.transaction import Transaction

__all__ = [
    "Progress",
    "Use",
    "add_use",
    "note_failure",
    "note_in_step",
    "note_paused",
    "note_taken",
    "read_position",
    "read_progress",
    "read_use",
    "set_due",
    "set_position",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How it stands with one channel that is followed.

    `in_step_at` is when its giver last had nothing more in it. `problem` is why the last `failures` tries failed, the
    last of them at `failed_at`; `due_at` is when the next one is. Until `paused_until` nothing is asked for: the giver
    has brought in as much as it may.
    """

    taken_at: Instant | None = None
    in_step_at: Instant | None = None
    failures: int = 0
    failed_at: Instant | None = None
    problem: str | None = None
    due_at: Instant | None = None
    paused_until: Instant | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Use:
    """How much a giver has brought in on one day."""

    bytes: int
    objects: int


def read_use(transaction: Transaction, giver: str, day: int) -> Use:
    """How much of `giver` came in on that day."""
    row = transaction.row("SELECT bytes, objects FROM pull_use WHERE giver = ? AND day = ?", (giver, day))
    return Use(bytes=row[0], objects=row[1]) if row else Use(bytes=0, objects=0)


def add_use(transaction: Transaction, giver: str, day: int, use: Use) -> None:
    """Count `use` towards that day; earlier days of that giver are forgotten."""
    transaction.run("DELETE FROM pull_use WHERE giver = ? AND day < ?", (giver, day))
    transaction.run(
        "INSERT INTO pull_use VALUES (?, ?, ?, ?) ON CONFLICT (giver, day)"
        " DO UPDATE SET bytes = bytes + excluded.bytes, objects = objects + excluded.objects",
        (giver, day, use.bytes, use.objects),
    )


def read_position(transaction: Transaction, party: PartyId, collection: str) -> Instant | None:
    """The `date_added` up to which the collection was taken in; None before the first page."""
    row = transaction.row(
        "SELECT added_after FROM pull_position WHERE party = ? AND collection = ?", (party, collection)
    )
    return Instant(row[0]) if row else None


def set_position(
    transaction: Transaction, party: PartyId, collection: str, added_after: Instant, *, now: Instant
) -> None:
    """Everything up to and with `added_after` was taken in, in the transaction that takes it in."""
    transaction.run(
        "INSERT INTO pull_position VALUES (?, ?, ?)"
        " ON CONFLICT (party, collection) DO UPDATE SET added_after = MAX(added_after, excluded.added_after)",
        (party, collection, added_after),
    )
    note_taken(transaction, party, collection, now=now)


def note_taken(transaction: Transaction, giver: str, collection: str, *, now: Instant) -> None:
    """Something of the collection came in."""
    transaction.run(
        "INSERT INTO following (giver, collection, taken_at) VALUES (?, ?, ?)"
        " ON CONFLICT (giver, collection) DO UPDATE SET taken_at = excluded.taken_at, paused_until = NULL",
        (giver, collection, now),
    )


def note_in_step(transaction: Transaction, giver: str, collection: str, *, now: Instant) -> None:
    """The giver had nothing more in it; what failed before is past."""
    transaction.run(
        "INSERT INTO following (giver, collection, in_step_at) VALUES (?, ?, ?)"
        " ON CONFLICT (giver, collection) DO UPDATE SET in_step_at = excluded.in_step_at, failures = 0,"
        " failed_at = NULL, problem = NULL, due_at = NULL, paused_until = NULL",
        (giver, collection, now),
    )


def note_paused(transaction: Transaction, giver: str, collection: str, until: Instant) -> None:
    """Nothing of it is asked for until then; that is no failure."""
    transaction.run(
        "INSERT INTO following (giver, collection, paused_until) VALUES (?, ?, ?)"
        " ON CONFLICT (giver, collection) DO UPDATE SET paused_until = excluded.paused_until",
        (giver, collection, until),
    )


def note_failure(transaction: Transaction, giver: str, collection: str, *, now: Instant, problem: str) -> int:
    """How many tries in a row have failed, this one among them."""
    transaction.run(
        "INSERT INTO following (giver, collection, failures, failed_at, problem) VALUES (?, ?, 1, ?, ?)"
        " ON CONFLICT (giver, collection) DO UPDATE SET failures = failures + 1, failed_at = excluded.failed_at,"
        " problem = excluded.problem",
        (giver, collection, now, problem),
    )
    return read_progress(transaction, giver, collection).failures


def set_due(transaction: Transaction, giver: str, collection: str, due_at: Instant) -> None:
    """When the next try is."""
    transaction.run("UPDATE following SET due_at = ? WHERE giver = ? AND collection = ?", (due_at, giver, collection))


def read_progress(transaction: Transaction, giver: str, collection: str) -> Progress:
    """How it stands with the collection; nothing is known of one that was never asked for."""
    row = transaction.row(
        "SELECT taken_at, in_step_at, failures, failed_at, problem, due_at, paused_until FROM following"
        " WHERE giver = ? AND collection = ?",
        (giver, collection),
    )
    if row is None:
        return Progress()
    taken_at, in_step_at, failures, failed_at, problem, due_at, paused_until = row
    return Progress(
        taken_at=taken_at,
        in_step_at=in_step_at,
        failures=failures,
        failed_at=failed_at,
        problem=problem,
        due_at=due_at,
        paused_until=paused_until,
    )
