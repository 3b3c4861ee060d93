# SPDX-License-Identifier: Apache-2.0
"""Shell: the backups that this node made, and the copying of the database itself."""

from dataclasses import dataclass

from comity.ids import Instant
from comity.store.transaction import Transaction

__all__ = ["StoredBackup", "add_backup", "list_backups"]


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredBackup:
    """One backup: where it was written, the size of the log in it, and its bytes."""

    id: str
    made_at: Instant
    place: str
    size: int
    bytes: int
    with_keys: bool


def add_backup(transaction: Transaction, backup: StoredBackup) -> None:
    """Keep that the backup was made."""
    transaction.run(
        "INSERT INTO backup VALUES (?, ?, ?, ?, ?, ?)",
        (backup.id, backup.made_at, backup.place, backup.size, backup.bytes, int(backup.with_keys)),
    )


def list_backups(transaction: Transaction) -> list[StoredBackup]:
    """Every backup that was made, the newest first."""
    return [
        StoredBackup(
            id=row[0], made_at=Instant(row[1]), place=row[2], size=row[3], bytes=row[4], with_keys=bool(row[5])
        )
        for row in transaction.rows(
            "SELECT id, made_at, place, size, bytes, with_keys FROM backup ORDER BY made_at DESC, id"
        )
    ]
