# SPDX-License-Identifier: Apache-2.0
"""Shell: how often it was tried to sign in, by name and all together; `node.tries` says what that means."""

from comity.ids import Instant
from comity.store.transaction import Transaction

__all__ = [
    "bound_full_at",
    "correct_times",
    "count_names",
    "drop_tries",
    "forget_tries",
    "put_tries",
    "read_full_at",
    "read_tries",
    "write_full_at",
]


def read_tries(transaction: Transaction, kind: str, name: bytes) -> tuple[int, Instant] | None:
    """How many tries of the name are remembered, and when the last one was."""
    row = transaction.row("SELECT count, last_at FROM sign_in_try WHERE kind = ? AND name = ?", (kind, name))
    return (int(row[0]), Instant(row[1])) if row else None


def put_tries(transaction: Transaction, kind: str, name: bytes, *, count: int, last_at: Instant) -> None:
    """Remember so many tries of the name."""
    transaction.run("INSERT OR REPLACE INTO sign_in_try VALUES (?, ?, ?, ?)", (kind, name, count, last_at))


def drop_tries(transaction: Transaction, kind: str, name: bytes) -> None:
    """Remember none of the name."""
    transaction.run("DELETE FROM sign_in_try WHERE kind = ? AND name = ?", (kind, name))


def forget_tries(transaction: Transaction, *, by: Instant) -> None:
    """Remember no name any more whose last try was then, or before."""
    transaction.run("DELETE FROM sign_in_try WHERE last_at <= ?", (by,))


def correct_times(transaction: Transaction, now: Instant) -> None:
    """Let no try be later than now, as it is where the clock was set back."""
    transaction.run("UPDATE sign_in_try SET last_at = ?1 WHERE last_at > ?1", (now,))


def count_names(transaction: Transaction, kind: str) -> int:
    """How many names are remembered."""
    row = transaction.row("SELECT COUNT(*) FROM sign_in_try WHERE kind = ?", (kind,))
    return int(row[0]) if row else 0


def read_full_at(transaction: Transaction, kind: str) -> int:
    """When all tries of that kind will be there again, in microseconds; 0 where none was ever taken."""
    row = transaction.row("SELECT full_at FROM sign_in_allowance WHERE kind = ?", (kind,))
    return int(row[0]) if row else 0


def write_full_at(transaction: Transaction, kind: str, full_at: int) -> None:
    """Note when all of them will be there again."""
    transaction.run("INSERT OR REPLACE INTO sign_in_allowance VALUES (?, ?)", (kind, full_at))


def bound_full_at(transaction: Transaction, kind: str, latest: int) -> None:
    """Let all of them be there again by then, however it was noted before the clock was set back."""
    transaction.run("UPDATE sign_in_allowance SET full_at = ?2 WHERE kind = ?1 AND full_at > ?2", (kind, latest))
