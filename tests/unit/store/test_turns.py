# SPDX-License-Identifier: Apache-2.0
"""Processes that write one store take turns, each waits for the one before, and the dead hold up nobody."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from comity.errors import StoreBusy
from comity.store import SqliteStore, Turns

WRITER = """
import sys, time
from pathlib import Path
from comity.store import SqliteStore
path, lock, turns, count, hold = Path(sys.argv[1]), *map(int, sys.argv[2:5]), float(sys.argv[5])
store = SqliteStore.join(path, lock=lock, turns=turns)
print("ready", flush=True)
waited = []
for _ in range(count):
    begun = time.monotonic()
    with store.write() as transaction:
        waited.append(time.monotonic() - begun)
        (value,) = transaction.row("SELECT value FROM meta WHERE name = 'turn'")
        transaction.run("UPDATE meta SET value = ? WHERE name = 'turn'", (str(int(value) + 1),))
        time.sleep(hold)
print(sorted(waited)[int(len(waited) * 0.99)], flush=True)
"""


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteStore]:
    with closing(SqliteStore.open(tmp_path / "store.db")) as made:
        with made.write() as transaction:
            transaction.run("INSERT INTO meta VALUES ('turn', '0')")
        yield made


def begin(tmp_path: Path, store: SqliteStore, *, count: int, hold: float) -> subprocess.Popen[str]:
    handles = store.share()
    words = [str(tmp_path / "store.db"), *map(str, handles), str(count), str(hold)]
    process = subprocess.Popen(
        [sys.executable, "-c", WRITER, *words], pass_fds=handles, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def read_turn(store: SqliteStore) -> int:
    with store.read() as transaction:
        row = transaction.row("SELECT value FROM meta WHERE name = 'turn'")
    assert row is not None
    return int(row[0])


def test_what_several_write_is_all_there_and_none_waits_long(tmp_path: Path, store: SqliteStore) -> None:
    writers, begun = [begin(tmp_path, store, count=100, hold=0.001) for _ in range(3)], time.monotonic()
    longest = [float(writer.communicate(timeout=120)[0]) for writer in writers]
    whole = time.monotonic() - begun
    assert [writer.returncode for writer in writers] == [0, 0, 0]
    assert read_turn(store) == 300
    # Two others go first, each with a commit; SQLite's own way of waiting has sleeps of 100 ms on top. On a slow disk
    # each commit takes longer, and so do all three hundred.
    assert max(longest) < max(0.5, whole / 5)


def test_who_is_killed_in_its_turn_gives_it_up_and_leaves_nothing(tmp_path: Path, store: SqliteStore) -> None:
    writer = begin(tmp_path, store, count=1, hold=60)
    assert store.turns is not None
    while store.turns.take():  # until the other has its turn
        store.turns.give_back()
        time.sleep(0.01)
    os.kill(writer.pid, signal.SIGKILL)
    writer.communicate(timeout=60)
    started = time.monotonic()
    with store.write() as transaction:
        transaction.run("UPDATE meta SET value = '7' WHERE name = 'turn'")
    assert time.monotonic() - started < 20
    assert read_turn(store) == 7


def test_the_store_is_owned_until_the_last_has_gone(tmp_path: Path, store: SqliteStore) -> None:
    writer = begin(tmp_path, store, count=1, hold=600)
    store.close()
    with pytest.raises(StoreBusy):
        SqliteStore.open(tmp_path / "store.db")
    os.kill(writer.pid, signal.SIGKILL)
    writer.communicate(timeout=60)
    SqliteStore.open(tmp_path / "store.db").close()


def test_alone_there_are_no_turns(store: SqliteStore) -> None:
    assert store.turns is None


def test_a_store_for_reading_only_is_not_shared(tmp_path: Path, store: SqliteStore) -> None:
    with closing(SqliteStore.inspect(tmp_path / "store.db")) as reader, pytest.raises(StoreBusy):
        reader.share()


# ---- a turn that is waited for by another thread ---------------------------------------------------------------------


@pytest.fixture
def pair() -> Iterator[tuple[Turns, Turns]]:
    """The turns of two processes, as far as the operating system can tell."""
    first = Turns.begin()
    second = Turns(os.dup(first.handle))
    with closing(first), closing(second):
        yield first, second


def test_a_turn_that_was_taken_lasts_until_it_is_given_back(pair: tuple[Turns, Turns]) -> None:
    first, second = pair
    assert first.take()
    with first.writing(), first.keeping():
        assert not second.take()
    assert not second.take()
    assert first.take()
    first.give_back()
    assert second.take()
    assert not first.take()
    second.give_back()


def test_who_waits_gets_the_turn_when_it_is_given_back(pair: tuple[Turns, Turns]) -> None:
    first, second = pair
    assert first.take()
    waiting = threading.Thread(target=second.wait)
    waiting.start()
    time.sleep(0.05)
    assert waiting.is_alive()
    first.give_back()
    waiting.join(60)
    assert not first.take()
    with second.writing():
        assert not first.take()
    second.give_back()
    assert first.take()
    first.give_back()


def test_a_process_that_writes_while_it_waits_does_not_lose_what_it_waited_for(pair: tuple[Turns, Turns]) -> None:
    """Its two threads have one lock: whoever releases it must not take the turn from the other."""
    first, second = pair
    for _ in range(200):
        assert first.take()
        waiting = threading.Thread(target=second.wait)
        waiting.start()
        first.give_back()
        with second.writing():
            assert not first.take()
        waiting.join(60)
        assert not waiting.is_alive()
        assert not first.take()
        second.give_back()


def keep(turns: Turns) -> None:
    with turns.keeping():
        pass


def test_a_thread_that_waits_makes_no_deadlock_out_of_other_locks(pair: tuple[Turns, Turns]) -> None:
    """One process has its turn and wants to keep the head; the other keeps it, and waits for its turn meanwhile."""
    first, second = pair
    assert first.take()
    with second.keeping():
        waiting = threading.Thread(target=second.wait)
        waiting.start()
        keeping = threading.Thread(target=keep, args=(first,))
        keeping.start()
        time.sleep(0.05)
        assert keeping.is_alive()
    keeping.join(60)
    assert not keeping.is_alive()
    first.give_back()
    waiting.join(60)
    assert not waiting.is_alive()


def test_what_another_has_is_seen_and_how_often_it_was_taken(pair: tuple[Turns, Turns]) -> None:
    first, second = pair
    assert first.find_held() == frozenset()
    with second.writing():
        (held,) = first.find_held()
        assert second.find_held() == frozenset()  # its own is not another's
        assert first.find_held() == {held}
    assert first.find_held() == frozenset()
    with second.writing(), second.keeping():
        again = first.find_held()
        assert len(again) == 2
        assert held not in again


def test_the_kernel_says_who_has_a_turn(tmp_path: Path, store: SqliteStore) -> None:
    writer, idle = begin(tmp_path, store, count=1, hold=600), begin(tmp_path, store, count=0, hold=0)
    assert store.turns is not None
    while store.turns.take():
        store.turns.give_back()
        time.sleep(0.01)
    ((lock, _),) = store.turns.find_held()
    assert store.turns.is_held_by(writer.pid, lock)
    assert not store.turns.is_held_by(writer.pid, lock + 1)  # the other one
    assert not store.turns.is_held_by(idle.pid, lock)
    assert not store.turns.is_held_by(os.getpid(), lock)
    with store.turns.keeping():
        assert store.turns.is_held_by(os.getpid(), lock + 1)
        assert not store.turns.is_held_by(os.getpid(), lock)
    os.kill(writer.pid, signal.SIGKILL)
    for process in (writer, idle):
        process.communicate(timeout=60)
    assert not store.turns.is_held_by(writer.pid, lock)
