# SPDX-License-Identifier: Apache-2.0
"""The write-ahead log is copied beside the acts, has a bound, and is empty when it has to be."""

import threading
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import cast

import apsw
import pytest

from comity.store import SqliteStore, checkpoints


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteStore]:
    opened = SqliteStore.open(tmp_path / "store.db")
    with opened.write() as transaction:
        transaction.run("CREATE TABLE filled (at INTEGER PRIMARY KEY, data BLOB)")
    yield opened
    opened.close()


def fill(store: SqliteStore, pages: int) -> None:
    with store.write() as transaction:
        transaction.run_many("INSERT INTO filled (data) VALUES (?)", [(b"x" * 4_000,)] * pages)


def wal_size(folder: Path) -> int:
    return (folder / "store.db-wal").stat().st_size


def find_thread(store: SqliteStore) -> threading.Thread | None:
    """The thread that copies for this store; those of other stores in this process are none of its."""
    assert store._checkpoints is not None
    return store._checkpoints._thread


def wait_until_copied(store: SqliteStore) -> None:
    """Return when all of the log is in the file; nothing is copied by looking."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        written, copied = store._connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_NOOP)
        if written == copied > 0:
            return
        time.sleep(0.02)
    pytest.fail("what was committed is not in the file")


def test_what_is_committed_gets_into_the_file_beside_the_acts(store: SqliteStore, tmp_path: Path) -> None:
    assert find_thread(store) is None
    fill(store, 3_000)
    wait_until_copied(store)
    thread = find_thread(store)
    assert thread is not None
    assert thread.is_alive()
    assert store._checkpoints is not None
    with store._checkpoints.paused():  # what is being copied has been
        pass
    before = wal_size(tmp_path)
    fill(store, 3_000)
    # All of the log was copied: it began again from its start.
    assert wal_size(tmp_path) < before * 1.2
    store.close()
    assert not thread.is_alive()


def test_the_thread_rests_between_two_copies_and_leaves_nothing(
    store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun = list[float]()
    copy = checkpoints.Checkpoints._copy

    def note_and_copy(self: checkpoints.Checkpoints, connection: apsw.Connection) -> None:
        begun.append(time.monotonic())
        copy(self, connection)

    monkeypatch.setattr(checkpoints.Checkpoints, "_copy", note_and_copy)
    fill(store, 2_000)
    deadline = time.monotonic() + 60
    while len(begun) < 4 and time.monotonic() < deadline:
        fill(store, 1)  # the log is long, and each of these makes it longer
        if len(begun) == 1:
            fill(store, 1_000)
    wait_until_copied(store)
    assert len(begun) >= 4
    assert all(later - earlier >= checkpoints._REST for earlier, later in pairwise(begun))


def test_a_small_log_starts_no_thread(store: SqliteStore) -> None:
    fill(store, 100)
    assert find_thread(store) is None


def test_the_log_has_a_bound_where_commits_follow_without_a_pause(
    store: SqliteStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkpoints.Checkpoints, "_copy", lambda *_: None)  # the thread never gets to it
    monkeypatch.setattr(checkpoints, "_MOST_PAGES", 2_000)
    for _ in range(20):
        fill(store, 500)
    assert wal_size(tmp_path) < 4_000 * 4_096


def test_the_log_is_empty_at_once_when_it_has_to_be(store: SqliteStore, tmp_path: Path) -> None:
    for _ in range(5):
        fill(store, 2_000)
        assert store.empty_wal()
        assert wal_size(tmp_path) == 0


def test_nothing_is_lost_when_it_is_closed_in_the_middle(tmp_path: Path) -> None:
    opened = SqliteStore.open(tmp_path / "store.db")
    with opened.write() as transaction:
        transaction.run("CREATE TABLE filled (at INTEGER PRIMARY KEY, data BLOB)")
    fill(opened, 5_000)
    opened.close()
    opened.close()
    again = SqliteStore.open(tmp_path / "store.db")
    with again.read() as transaction:
        assert transaction.row("SELECT COUNT(*) FROM filled") == (5_000,)
    again.close()


def test_a_copy_that_fails_is_told_and_loses_nothing(
    store: SqliteStore, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried = threading.Event()

    class Failing:
        """A connection whose disk is full."""

        def wal_checkpoint(self, **_: object) -> None:
            tried.set()
            raise apsw.FullError("database or disk is full")

    copy = checkpoints.Checkpoints._copy
    failing = cast("apsw.Connection", Failing())
    monkeypatch.setattr(checkpoints.Checkpoints, "_copy", lambda self, _: copy(self, failing))
    fill(store, 2_000)
    assert tried.wait(60)
    store.close()
    assert "could not be copied" in caplog.text


def test_a_copy_that_fails_within_a_commit_is_no_failure_of_the_act(
    store: SqliteStore, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    class Failing:
        """A connection whose disk is full when the log is copied."""

        def wal_checkpoint(self, **_: object) -> None:
            raise apsw.FullError("database or disk is full")

    note = checkpoints.Checkpoints.note
    monkeypatch.setattr(checkpoints, "_MOST_PAGES", 1_000)
    monkeypatch.setattr(checkpoints.Checkpoints, "_copy", lambda *_: None)
    of = store._checkpoints
    assert of is not None
    assert note(of, cast("apsw.Connection", Failing()), "main", 2_000) == apsw.SQLITE_OK
    assert "could not be copied" in caplog.text
