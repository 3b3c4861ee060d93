# SPDX-License-Identifier: Apache-2.0
"""Objects are found by the beginning of their ids in steps into an index, whichever run of rows they stand in."""

import hashlib
import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from comity.ids import ObjectId
from comity.store import SqliteStore, beginnings
from comity.store.beginnings import find_objects

_KINDS = ("attack-pattern", "indicator", "x-depot")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteStore]:
    opened = SqliteStore.open(tmp_path / "store.db")
    yield opened
    opened.close()


def make_id(number: int) -> ObjectId:
    kind, draw = _KINDS[number % 3], hashlib.sha256(b"%d" % number).digest()[:16]
    return ObjectId(f"{kind}--{uuid.UUID(bytes=draw, version=4)}")


def fill(store: SqliteStore, rows: Sequence[int], *, current: int = 1) -> list[ObjectId]:
    """Rows of objects with these keys, as SQL alone makes them."""
    ids = [make_id(row) for row in rows]
    with store.write() as transaction:
        transaction.run("INSERT OR IGNORE INTO label (id, digest, partly_marked, body) VALUES (1, 'd', 0, x'')")
        transaction.run_many(
            "INSERT INTO object (pk, id, version, version_at, type, spec_version, digest, originator, own_label, label,"
            " seq, current, added_at) VALUES (?, ?, 'v', 0, ?, '2.1', 'd', 'aurelia', 1, 1, ?, ?, 0)",
            [(row, name, name.partition("--")[0], row, current) for row, name in zip(rows, ids, strict=True)],
        )
    return ids


def find(store: SqliteStore, prefix: str, *, limit: int = 10) -> list[ObjectId]:
    with store.read() as transaction:
        return [item.id for item in find_objects(transaction, prefix, limit=limit)]


ROWS = (*range(1, 300), *range(16_300, 16_500), *range(49_000, 49_200))
"""In three runs, with an empty one between them."""


def test_what_is_found_is_what_begins_so_and_the_first_of_it(store: SqliteStore) -> None:
    ids = sorted(fill(store, ROWS))
    whole = ids[100]
    beginnings_of = [whole[:length] for length in range(1, len(whole) + 1)]
    behind = whole.partition("--")[2]
    for prefix in ("", *beginnings_of, *(behind[:length] for length in range(1, 37)), "a", "ff", "x-", "--", "none"):
        fits = [name for name in ids if name.startswith(prefix) or name.partition("--")[2].startswith(prefix)]
        assert find(store, prefix) == fits[:10], prefix
        assert find(store, prefix, limit=700) == fits, prefix


def test_versions_that_are_not_the_newest_are_not_found(store: SqliteStore) -> None:
    fill(store, range(1, 50))
    (old,) = fill(store, [70], current=0)
    assert find(store, old) == []
    assert find(store, old.partition("--")[2][:4]) == []


def test_nothing_that_is_no_object_is_found_in_an_empty_store(store: SqliteStore) -> None:
    assert find(store, "indicator--") == []


def test_signs_of_patterns_are_signs_like_others(store: SqliteStore) -> None:
    fill(store, range(1, 50))
    for prefix in ("%", "indicator--%", "_", "*", "indicator--?", "'", '"', "\\", "\x00", "\U0010ffff"):
        assert find(store, prefix) == []


def test_it_is_never_gone_through(store: SqliteStore) -> None:
    """Each table is reached by a step into an index: nothing is read for what is not found."""
    fill(store, ROWS)
    with store.read() as transaction:
        for sql, values in ((beginnings._SQL, ("[]", 5)), (beginnings._TYPES, ())):
            plan = [str(row[3]) for row in transaction.rows(f"EXPLAIN QUERY PLAN {sql}", values)]
            assert not [step for step in plan if step in {"SCAN o", "SCAN i", "SCAN object"}], plan
            assert any("USING" in step for step in plan), plan
