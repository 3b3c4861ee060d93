# SPDX-License-Identifier: Apache-2.0
"""A label goes with the last version that has it, whichever way it has it, and no object is looked through for that."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import cast

import pytest

from comity.store import SqliteStore, Transaction
from comity.store.deletions import sweep_labels
from comity.store.transaction import Row, SqlValue


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteStore]:
    opened = SqliteStore.open(tmp_path / "store.db")
    yield opened
    opened.close()


def fill(store: SqliteStore, objects: Sequence[tuple[int, int, int]]) -> None:
    """Five labels with a word each, and objects: the label by itself, the one with references, and if it is current."""
    with store.write() as transaction:
        transaction.run_many(
            "INSERT INTO label (id, digest, partly_marked, body) VALUES (?1, ?1, 0, x'')",
            [(key,) for key in range(1, 6)],
        )
        transaction.run_many("INSERT INTO label_word VALUES (?, 'subjects', 0, 'w')", [(key,) for key in range(1, 6)])
        transaction.run_many(
            "INSERT INTO object (pk, id, version, version_at, type, spec_version, digest, originator, own_label, label,"
            " current, seq, added_at)"
            " VALUES (?1, 'report--' || ?1, 'v', 0, 'report', '2.1', 'd', 'aurelia', ?2, ?3, ?4, ?1, 0)",
            [(row, *item) for row, item in enumerate(objects, start=1)],
        )


def test_a_label_stays_while_any_version_has_it(store: SqliteStore) -> None:
    fill(store, [(1, 2, 1), (1, 3, 0)])
    with store.write() as transaction:
        sweep_labels(transaction)
        assert [row[0] for row in transaction.rows("SELECT id FROM label ORDER BY id")] == [1, 2, 3]
        assert [row[0] for row in transaction.rows("SELECT label FROM label_word ORDER BY label")] == [1, 2, 3]


def test_no_object_is_looked_through(store: SqliteStore) -> None:
    plans = list[str]()
    with store.write() as transaction:

        class Explaining:
            """Asks how each statement is carried out, in place of carrying it out."""

            def run(self, sql: str, parameters: Sequence[SqlValue] = ()) -> int:
                plans.extend(str(row[3]) for row in transaction.rows(f"EXPLAIN QUERY PLAN {sql}", parameters))
                return 0

            def rows(self, sql: str, parameters: Sequence[SqlValue] = ()) -> list[Row]:
                self.run(sql, parameters)
                return []

        sweep_labels(cast("Transaction", Explaining()))
    of_objects = [plan for plan in plans if " o " in f"{plan} " or "object" in plan]
    assert of_objects
    assert not [plan for plan in of_objects if plan.startswith("SCAN")]
    assert [plan for plan in plans if "object_by_label_before" in plan]
