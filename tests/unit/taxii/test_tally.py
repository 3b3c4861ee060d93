# SPDX-License-Identifier: Apache-2.0
"""What several processes count together: nothing is lost between them, and no memory is enough for them to grow."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing

import pytest

from comity.taxii import tally as tallies
from comity.taxii.guard import SHELVES
from comity.taxii.rates import Bucket, Buckets
from comity.taxii.tally import Tally

KEY = b"0123456789abcdef"


@pytest.fixture
def tally() -> Iterator[Tally]:
    with closing(Tally.begin(workers=3, connections=512, key=KEY)) as made:
        yield made


def test_a_bucket_is_the_same_for_all_who_have_the_shelf(tally: Tally) -> None:
    one = Buckets(rate=2, most=3, shelf=tally.shelve("requests"))
    other = Buckets(rate=2, most=3, shelf=Tally(tally.handle).shelve("requests"))
    taken = 0
    while not one.wait("a", now=10):
        (one, other)[taken % 2].charge("a", 1, now=10)
        taken += 1
    assert taken == 3
    assert other.wait("a", now=10) == pytest.approx(0.5)
    assert other.wait("b", now=10) == 0
    assert one.wait("a", now=10.5) == 0


def test_shelves_are_apart(tally: Tally) -> None:
    for number, name in enumerate(SHELVES):
        tally.shelve(name).put("a", Bucket(float(number), 1.0))
    assert [tally.shelve(name).find("a") for name in SHELVES] == [Bucket(float(n), 1.0) for n in range(len(SHELVES))]


def test_who_has_not_taken_for_the_longest_is_forgotten(monkeypatch: pytest.MonkeyPatch, tally: Tally) -> None:
    monkeypatch.setattr(tallies, "_SHELF_ROWS", 1)
    shelf = tally.shelve("outsiders")
    for number in range(10):
        shelf.put(f"taker {number}", Bucket(0.0, 100.0 + number))
    assert len(shelf) == 8
    assert [shelf.find(f"taker {number}") is None for number in range(10)] == [True] * 2 + [False] * 8


def test_many_takers_find_room_and_none_has_the_bucket_of_another(tally: Tally) -> None:
    shelf = tally.shelve("outsiders")
    for number in range(10_000):
        shelf.put(f"192.0.2.{number}", Bucket(float(number), 1.0 + number))
    found = {number: bucket for number in range(10_000) if (bucket := shelf.find(f"192.0.2.{number}"))}
    assert all(bucket.tokens == number for number, bucket in found.items())
    assert len(found) > 9_000
    assert all(number in found for number in range(9_900, 10_000))


CHARGE = """
import sys
from comity.taxii.rates import Buckets
from comity.taxii.tally import Tally
buckets = Buckets(rate=0.001, most=1e9, shelf=Tally(int(sys.argv[1])).shelve("requests"))
for _ in range(5_000):
    buckets.charge("a", 1, now=10)
"""


def test_no_charge_is_lost_between_processes(tally: Tally) -> None:
    processes = [
        subprocess.Popen([sys.executable, "-c", CHARGE, str(tally.handle)], pass_fds=[tally.handle]) for _ in range(3)
    ]
    assert [process.wait(300) for process in processes] == [0, 0, 0]
    assert tally.shelve("requests").find("a") == Bucket(1e9 - 15_000, 10.0)


HAMMER = """
import sys
from comity.taxii.rates import Bucket
from comity.taxii.tally import Tally

shelf = Tally(int(sys.argv[1])).shelve("requests")
print("ready", flush=True)
while True:
    for number in (5.0, 6.0):
        shelf.put("borealia", Bucket(number, number))
"""


def test_who_reads_while_another_writes_finds_no_empty_bucket(tally: Tally) -> None:
    shelf = tally.shelve("requests")
    shelf.put("borealia", Bucket(5.0, 5.0))
    writer = subprocess.Popen(
        [sys.executable, "-c", HAMMER, str(tally.handle)], pass_fds=[tally.handle], stdout=subprocess.PIPE
    )
    try:
        assert writer.stdout is not None
        assert writer.stdout.readline() == b"ready\n"
        found = {shelf.find("borealia") for _ in range(400_000)}
    finally:
        writer.kill()
        writer.communicate()
    assert {number for bucket in found for number in (bucket or (0.0,))} == {5.0, 6.0}


def test_each_worker_sees_the_connections_of_the_others_and_not_its_own(tally: Tally) -> None:
    doors = [tally.door(number) for number in range(3)]
    doors[0].put("198.51.100.7", 4, total=5)
    doors[1].put("198.51.100.7", 2, total=2)
    doors[2].put("203.0.113.9", 1, total=1)
    assert [door.count_elsewhere("198.51.100.7") for door in doors] == [(3, 2), (6, 4), (7, 6)]
    assert doors[0].count_elsewhere("203.0.113.9") == (3, 1)
    assert tally.count_connections() == 8
    doors[0].put("198.51.100.7", 0, total=0)
    assert doors[1].count_elsewhere("198.51.100.7") == (1, 0)
    tally.clear(1)
    assert tally.count_connections() == 1
    assert doors[0].count_elsewhere("198.51.100.7") == (1, 0)


@pytest.mark.parametrize("connections", [1, 512, 2**53])
def test_memory_is_bounded_whatever_the_settings_say(connections: int) -> None:
    with closing(Tally.begin(workers=64, connections=connections, key=KEY)) as made:
        made.door(63).put("a", 1, total=1)
        assert made.door(0).count_elsewhere("a") == (1, 1)
