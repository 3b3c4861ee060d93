# SPDX-License-Identifier: Apache-2.0
"""How far this node is with each giver: what pauses a channel, what ends that, and how much came on a day."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from comity.ids import Instant
from comity.store import SqliteStore, Transaction, pulls
from comity.store.pulls import Use

GIVER, CHANNEL = "source:north", "main"


@pytest.fixture
def transaction(tmp_path: Path) -> Iterator[Transaction]:
    store = SqliteStore.open(tmp_path / "store.db")
    with store.write() as opened:
        yield opened
    store.close()


def paused(transaction: Transaction) -> Instant | None:
    return pulls.read_progress(transaction, GIVER, CHANNEL).paused_until


def test_a_pause_is_no_failure_and_takes_away_none(transaction: Transaction) -> None:
    pulls.note_failure(transaction, GIVER, CHANNEL, now=Instant(5), problem="away")
    pulls.note_paused(transaction, GIVER, CHANNEL, Instant(100))
    known = pulls.read_progress(transaction, GIVER, CHANNEL)
    assert (known.paused_until, known.failures, known.problem, known.failed_at) == (100, 1, "away", 5)


def test_what_comes_in_ends_a_pause_and_so_does_the_end_of_what_there_is(transaction: Transaction) -> None:
    for note in (pulls.note_taken, pulls.note_in_step):
        pulls.note_paused(transaction, GIVER, CHANNEL, Instant(100))
        assert paused(transaction) == 100
        note(transaction, GIVER, CHANNEL, now=Instant(50))
        assert paused(transaction) is None


def test_each_giver_and_day_is_counted_by_itself(transaction: Transaction) -> None:
    for giver, day, size in (("a", 1, 10), ("a", 1, 5), ("b", 1, 7), ("a", 2, 3)):
        pulls.add_use(transaction, giver, day, Use(bytes=size, objects=1))
    assert pulls.read_use(transaction, "a", 2) == Use(bytes=3, objects=1)
    assert pulls.read_use(transaction, "b", 1) == Use(bytes=7, objects=1)
    assert pulls.read_use(transaction, "a", 1) == Use(bytes=0, objects=0)  # it is over, and forgotten
    assert pulls.read_use(transaction, "nobody", 1) == Use(bytes=0, objects=0)
