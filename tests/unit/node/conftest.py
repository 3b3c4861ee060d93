# SPDX-License-Identifier: Apache-2.0
"""A world with two parties for the tests of the node's acts."""

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from comity.store.sqlite import SqliteTransaction
from comity.store.transaction import Row, SqlValue
from tests.worlds import World


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path)
    made.found("aurelia", "borealia")
    yield made
    made.close()


@pytest.fixture
def ran(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How many statements ran and rows were read, by whichever transaction."""
    counted = Counter[str]()
    plain_rows, plain_row, plain_run = SqliteTransaction.rows, SqliteTransaction.row, SqliteTransaction.run

    def rows(self: SqliteTransaction, sql: str, parameters: Sequence[SqlValue] = ()) -> list[Row]:
        found = plain_rows(self, sql, parameters)
        counted["statements"] += 1
        counted["rows"] += len(found)
        return found

    def row(self: SqliteTransaction, sql: str, parameters: Sequence[SqlValue] = ()) -> Row | None:
        counted["statements"] += 1
        return plain_row(self, sql, parameters)

    def run(self: SqliteTransaction, sql: str, parameters: Sequence[SqlValue] = ()) -> int:
        counted["statements"] += 1
        return plain_run(self, sql, parameters)

    monkeypatch.setattr(SqliteTransaction, "rows", rows)
    monkeypatch.setattr(SqliteTransaction, "row", row)
    monkeypatch.setattr(SqliteTransaction, "run", run)
    return counted
