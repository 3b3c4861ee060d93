# SPDX-License-Identifier: Apache-2.0
"""Shell: numbered SQL files, applied once each and in order, their digests kept.

A store whose applied files differ from the ones shipped, or that was written by a newer version, does not open.
"""

import hashlib
from importlib import resources

from comity.errors import ConfigError, CorruptionError
from comity.store.transaction import Transaction

__all__ = ["is_migrated", "migrate"]


def migrate(transaction: Transaction) -> int:
    """The number of the last migration, all of them now applied in `transaction`.

    Raises:
        CorruptionError: an applied migration is not the one shipped under its number.
        ConfigError: the store was written by a newer version.
    """
    transaction.run("CREATE TABLE IF NOT EXISTS migration (number INTEGER PRIMARY KEY, digest TEXT NOT NULL) STRICT")
    applied: dict[int, str] = dict(transaction.rows("SELECT number, digest FROM migration"))
    shipped = _load()
    if applied and max(applied) > len(shipped):
        raise ConfigError(
            f"the store was written by a newer Comity (schema {max(applied)}, this one knows {len(shipped)}); "
            "install that version or restore an older backup"
        )
    for number, text in enumerate(shipped, start=1):
        digest = hashlib.sha256(text.encode()).hexdigest()
        if number not in applied:
            transaction.run(text)
            transaction.run("INSERT INTO migration VALUES (?, ?)", (number, digest))
        elif applied[number] != digest:
            raise CorruptionError(f"migration {number} in the store is not the one this Comity ships; restore a backup")
    return len(shipped)


def is_migrated(transaction: Transaction) -> bool:
    """Whether all migrations are applied: a store that is only inspected is left as its version wrote it."""
    row = transaction.row("SELECT MAX(number) FROM migration")
    return row is not None and row[0] == len(_load())


def _load() -> list[str]:
    folder = resources.files("comity.store") / "migrations"
    files = sorted((item for item in folder.iterdir() if item.name.endswith(".sql")), key=lambda item: item.name)
    return [item.read_text(encoding="utf-8") for item in files]
