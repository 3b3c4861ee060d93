# SPDX-License-Identifier: Apache-2.0
"""Shell: who may read the log over HTTP, and the hashes of the secrets that were given to them."""

from dataclasses import dataclass

from comity.ids import Digest, Instant
from comity.store.transaction import Row, Transaction

__all__ = ["LogReader", "add_reader", "find_reader", "list_readers", "remove_reader", "use_reader"]


@dataclass(frozen=True, slots=True, kw_only=True)
class LogReader:
    """One permission to read the log; `used_day` counts days since 1970-01-01, None: never used."""

    id: str
    name: str
    created_at: Instant
    expires_at: Instant
    removed_at: Instant | None
    used_day: int | None

    def is_good(self, now: Instant) -> bool:
        """Whether it lets the reader read at `now`."""
        return self.removed_at is None and now < self.expires_at


_READER = "SELECT id, name, created_at, expires_at, removed_at, used_day FROM log_reader"


def add_reader(transaction: Transaction, reader: LogReader, *, secret_hash: Digest) -> None:
    """Keep a permission, with the hash of its secret."""
    transaction.run(
        "INSERT INTO log_reader VALUES (?, ?, ?, ?, ?, NULL, NULL)",
        (reader.id, secret_hash, reader.name, reader.created_at, reader.expires_at),
    )


def find_reader(transaction: Transaction, secret_hash: Digest) -> LogReader | None:
    """The permission whose secret has this hash, good or not."""
    row = transaction.row(f"{_READER} WHERE hash = ?", (secret_hash,))
    return _reader(row) if row else None


def list_readers(transaction: Transaction) -> list[LogReader]:
    """Every permission ever given: by name, oldest first."""
    return [_reader(row) for row in transaction.rows(f"{_READER} ORDER BY name, created_at, id")]


def remove_reader(transaction: Transaction, reader: str, *, now: Instant) -> None:
    """Let the permission of this id let nobody read from here on."""
    transaction.run("UPDATE log_reader SET removed_at = ? WHERE id = ? AND removed_at IS NULL", (now, reader))


def use_reader(transaction: Transaction, reader: str, *, day: int) -> None:
    """Note the day on which the permission was used last."""
    transaction.run("UPDATE log_reader SET used_day = ? WHERE id = ?", (day, reader))


def _reader(row: Row) -> LogReader:
    return LogReader(
        id=str(row[0]),
        name=str(row[1]),
        created_at=Instant(row[2]),
        expires_at=Instant(row[3]),
        removed_at=None if row[4] is None else Instant(row[4]),
        used_day=row[5],
    )
