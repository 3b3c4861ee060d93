# SPDX-License-Identifier: Apache-2.0
"""Shell: what the processes of one node count together, in memory that each of them has: takers, and connections.

A limit is the node's, not a worker's. So the buckets of `taxii.rates` stand on shelves that all workers read and write,
each change under a lock of the operating system, and each worker says how many connections it has.

    head       the key of the hashes, how many workers there are, and how large a table of connections is
    shelves    one table for each of SHELVES: takers and their buckets
    doors      for each worker: its connections in all, and a table of them by neighbourhood

A table has rows of eight records; a taker can stand in one row only, and where that is full takes the place of whoever
has not taken for the longest. Which row that is follows from a secret: nobody can choose to be in another's.

The memory is a file without a name that each process inherits and opens for itself, so that its lock is its own
(flock(2)). A process that is killed gives it up; a record that it was just changing may be wrong, and is that taker's
alone.
"""

import fcntl
import hashlib
import mmap
import os
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Self

from comity.taxii.guard import SHELVES
from comity.taxii.rates import Bucket, Shelf

__all__ = ["KEY_BYTES", "Tally", "WorkerDoor"]

KEY_BYTES = 16

_HEAD = struct.Struct("=16sII")
_RECORD = struct.Struct("=16sdd")
_BUCKET = struct.Struct("=dd")
_COUNT = struct.Struct("=d")
_PAGE = 4_096
_IN_A_ROW = 8
_ROW = _RECORD.size * _IN_A_ROW
_SHELF_ROWS = 2_048
"""For 16,384 takers on a shelf."""

_MOST_DOOR_ROWS = 8_192
_NOBODY = bytes(KEY_BYTES)


class Tally:
    """The memory, as one process has it."""

    def __init__(self, handle: int) -> None:
        self.handle = handle
        self._own = os.open(f"/proc/self/fd/{handle}", os.O_RDWR | os.O_CLOEXEC)
        self._memory = mmap.mmap(handle, 0)
        self._key, self.workers, self._door_rows = _HEAD.unpack_from(self._memory)

    @classmethod
    def begin(cls, *, workers: int, connections: int, key: bytes) -> Self:
        """Memory in which nothing was counted yet, for so many workers and connections; `key` is 16 random bytes."""
        rows = 16
        while rows < min(connections, _MOST_DOOR_ROWS * 2) // 2:  # four times as many records as connections
            rows *= 2
        handle = os.memfd_create("comity-tally")
        os.truncate(handle, _PAGE + len(SHELVES) * _SHELF_ROWS * _ROW + workers * _door_size(rows))
        os.pwrite(handle, _HEAD.pack(key, workers, rows), 0)
        return cls(handle)

    def shelve(self, name: str) -> Shelf:
        """The shelf of that name in SHELVES."""
        start = _PAGE + SHELVES.index(name) * _SHELF_ROWS * _ROW
        return _SharedShelf(self._own, _Table(self._memory, start, _SHELF_ROWS, self._key))

    def door(self, worker: int) -> "WorkerDoor":
        """Where the worker of that number, from 0 on, says what connections it has."""
        doors = [self._door(number) for number in range(self.workers)]
        return WorkerDoor(doors.pop(worker), doors)

    def count_connections(self) -> int:
        """How many connections all workers have."""
        return sum(self._door(number).total for number in range(self.workers))

    def clear(self, worker: int) -> None:
        """Forget the connections of a worker that has ended."""
        start, size = self._find_door(worker), _door_size(self._door_rows)
        self._memory[start : start + size] = bytes(size)

    def close(self) -> None:
        """Give the memory up; safe to call twice."""
        if not self._memory.closed:
            self._memory.close()
            os.close(self._own)
            os.close(self.handle)

    def _door(self, worker: int) -> "_Door":
        return _Door(self._memory, self._find_door(worker), self._door_rows, self._key)

    def _find_door(self, worker: int) -> int:
        return _PAGE + len(SHELVES) * _SHELF_ROWS * _ROW + worker * _door_size(self._door_rows)


class WorkerDoor:
    """The connections of one worker, which it alone writes, and those of all others, which it reads."""

    def __init__(self, own: "_Door", others: list["_Door"]) -> None:
        self._own = own
        self._others = others

    def put(self, neighbourhood: str, count: int, *, total: int) -> None:
        """Say how many connections this worker has, from one neighbourhood and in all."""
        self._own.put(neighbourhood, count, total)

    def count_elsewhere(self, neighbourhood: str) -> tuple[int, int]:
        """The connections of all other workers, and those among them from one neighbourhood."""
        return self.total_elsewhere(), sum(door.find(neighbourhood) for door in self._others)

    def total_elsewhere(self) -> int:
        """The connections of all other workers."""
        return sum(door.total for door in self._others)

    def has_more_than_another(self) -> bool:
        """Whether another worker has fewer connections than this one."""
        return bool(self._others) and self._own.total > min(door.total for door in self._others)


class _Table:
    """Rows of records in memory, each under the hash of a taker's name."""

    def __init__(self, memory: mmap.mmap, start: int, rows: int, key: bytes) -> None:
        self._memory = memory
        self._start = start
        self._rows = rows
        self._key = key

    def find(self, taker: str) -> Bucket | None:
        """What stands under the name.

        No lock is taken: who reads while another process changes this very record may miss that one change.
        """
        mark, start = self._place(taker)
        at = self._find(mark, start)
        return None if at is None else Bucket(*_BUCKET.unpack_from(self._memory, at + KEY_BYTES))

    def put(self, taker: str, bucket: Bucket) -> None:
        """Let this stand under the name, in place of the oldest where the row is full."""
        mark, start = self._place(taker)
        at = self._find(mark, start)
        if at is None:
            ages = [_RECORD.unpack_from(self._memory, start + n * _RECORD.size) for n in range(_IN_A_ROW)]
            oldest = min(range(_IN_A_ROW), key=lambda n: (ages[n][0] != _NOBODY, ages[n][2]))
            at = start + oldest * _RECORD.size
        _write(self._memory, at, _RECORD.pack(mark, *bucket))

    def remove(self, taker: str) -> None:
        """Let nothing stand under the name."""
        mark, start = self._place(taker)
        at = self._find(mark, start)
        if at is not None:
            _write(self._memory, at, _RECORD.pack(_NOBODY, 0.0, 0.0))

    def count(self) -> int:
        """How many records there are."""
        whole = self._memory[self._start : self._start + self._rows * _ROW]
        return sum(mark != _NOBODY for mark, _, _ in _RECORD.iter_unpack(whole))

    def _place(self, taker: str) -> tuple[bytes, int]:
        """The hash of a name, and where its row begins."""
        name = taker.encode("utf-8", "surrogatepass")
        mark = hashlib.blake2b(name, digest_size=KEY_BYTES, key=self._key).digest()
        row = int.from_bytes(mark[:4], "big") % self._rows
        return mark, self._start + row * _ROW

    def _find(self, mark: bytes, start: int) -> int | None:
        row = self._memory[start : start + _ROW]
        for place in range(0, _ROW, _RECORD.size):
            if row.startswith(mark, place):
                return start + place
        return None


class _SharedShelf:
    """A `Shelf` that all workers have."""

    def __init__(self, handle: int, table: _Table) -> None:
        self._handle = handle
        self._table = table

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Until the block ends no other process changes a bucket on any shelf."""
        fcntl.flock(self._handle, fcntl.LOCK_EX)
        try:
            yield
        finally:
            fcntl.flock(self._handle, fcntl.LOCK_UN)

    def find(self, taker: str) -> Bucket | None:
        """As `Shelf`."""
        return self._table.find(taker)

    def put(self, taker: str, bucket: Bucket) -> None:
        """As `Shelf`."""
        self._table.put(taker, bucket)

    def __len__(self) -> int:
        """As `Shelf`."""
        return self._table.count()


class _Door:
    """What one worker says of its connections. It alone writes here, so that no lock is needed."""

    def __init__(self, memory: mmap.mmap, start: int, rows: int, key: bytes) -> None:
        self._memory = memory
        self._start = start
        self._table = _Table(memory, start + _ROW, rows, key)

    @property
    def total(self) -> int:
        """Its connections in all."""
        return int(_COUNT.unpack_from(self._memory, self._start)[0])

    def find(self, neighbourhood: str) -> int:
        """Its connections from there."""
        found = self._table.find(neighbourhood)
        return 0 if found is None else int(found.tokens)

    def put(self, neighbourhood: str, count: int, total: int) -> None:
        """Say both. Where a row is full, another neighbourhood is forgotten: others then count it too low."""
        _write(self._memory, self._start, _COUNT.pack(total))
        if count:
            self._table.put(neighbourhood, Bucket(count, 1.0))
        else:
            self._table.remove(neighbourhood)


def _write(memory: mmap.mmap, at: int, record: bytes) -> None:
    """Put a record in its place by one copy.

    `pack_into` empties the place first: another process that reads just then would find a bucket with nothing in it.
    """
    memory[at : at + len(record)] = record


def _door_size(rows: int) -> int:
    return _ROW * (rows + 1)
