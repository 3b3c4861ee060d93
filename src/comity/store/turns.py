# SPDX-License-Identifier: Apache-2.0
"""Shell: processes that write one store, one after the other.

SQLite lets one writer in at a time too, but who waits for it sleeps and looks again: up to a tenth of a second while
the others go by. Here the operating system keeps those who wait in the order in which they came, and wakes the next.

The locks are byte ranges of a file in memory without a name, which each process inherits: there is nothing on the disk
to be left behind. They belong to a process's own opening of that file (F_OFD_SETLK, fcntl(2)), so that all threads of a
process have a lock when one has, and the kernel suspects no deadlock where one thread waits while another holds one. A
process that is killed gives up what it held. One that is stopped does not: in the file stands how often each lock was
taken, so that somebody can see that it is stuck, and the kernel says who has it (proc_pid_fdinfo(5)).
"""

import fcntl
import mmap
import os
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Self

__all__ = ["Turns"]

_WRITING, _KEEPING = 0, 1
_LOCKS = (_WRITING, _KEEPING)
"""The byte that stands for each lock."""

_FLOCK = struct.Struct("@hhqqi4x")
"""struct flock on Linux of 64 bits: type, whence, start, length, and a process, which is 0 here."""

_COUNT = struct.Struct("@Q")


class Turns:
    """The turns of this process among those that have inherited the file `handle`."""

    def __init__(self, handle: int) -> None:
        self.handle = handle
        self._own = os.open(f"/proc/self/fd/{handle}", os.O_RDWR | os.O_CLOEXEC)
        self._counts = mmap.mmap(handle, 0)
        self._taken = False
        self._changing = threading.Lock()

    @classmethod
    def begin(cls) -> Self:
        """Turns that no other process takes, until it is given the handle."""
        handle = os.memfd_create("comity-turns")
        os.truncate(handle, _COUNT.size * len(_LOCKS))
        return cls(handle)

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Until the block ends no other process writes; take it before the transaction begins. Not to be nested."""
        if not self._taken:
            self._lock(fcntl.F_OFD_SETLKW, fcntl.F_WRLCK, _WRITING)
        try:
            yield
        finally:
            self._release()

    def take(self) -> bool:
        """Whether it is this process's turn at once; then it is until `give_back`, for every `writing` meanwhile."""
        with self._changing:
            self._taken = self._taken or self._try()
            return self._taken

    def wait(self) -> None:
        """Wait for the turn and take it, as `take` does. For another thread than that which writes."""
        while True:
            self._lock(fcntl.F_OFD_SETLKW, fcntl.F_WRLCK, _WRITING)
            # The lock is the process's, not the thread's: who writes may have released it since the line above.
            if self.take():
                return

    def find_held(self) -> frozenset[tuple[int, int]]:
        """Each lock that another process has now, by its number, with how often it was taken so far, by whomever.

        A process may wait for one while it has one of a lower number, and never the other way round.
        """
        return frozenset((byte, self._count(byte)) for byte in _LOCKS if self._is_held(byte))

    def is_held_by(self, pid: int, lock: int) -> bool:
        """Whether the kernel says that this process has that lock, as `find_held` names it; False: it says nothing."""
        mark = f":{os.fstat(self.handle).st_ino} {lock} {lock}"
        return any("OFDLCK" in line and line.endswith(mark) for line in _read_handles(pid))

    def close(self) -> None:
        """Take none any more."""
        self._counts.close()
        os.close(self._own)
        os.close(self.handle)

    def give_back(self) -> None:
        """End a turn that was taken."""
        self._taken = False
        self._release()

    def _try(self) -> bool:
        try:
            self._lock(fcntl.F_OFD_SETLK, fcntl.F_WRLCK, _WRITING)
        except BlockingIOError:
            return False
        return True

    def _release(self) -> None:
        with self._changing:
            if not self._taken:
                self._lock(fcntl.F_OFD_SETLK, fcntl.F_UNLCK, _WRITING)

    def _lock(self, command: int, kind: int, byte: int) -> None:
        fcntl.fcntl(self._own, command, _FLOCK.pack(kind, os.SEEK_SET, byte, 1, 0))
        if kind == fcntl.F_WRLCK:
            _COUNT.pack_into(self._counts, byte * _COUNT.size, self._count(byte) + 1)

    def _count(self, byte: int) -> int:
        return int(_COUNT.unpack_from(self._counts, byte * _COUNT.size)[0])

    def _is_held(self, byte: int) -> bool:
        asked = _FLOCK.pack(fcntl.F_WRLCK, os.SEEK_SET, byte, 1, 0)
        return bool(_FLOCK.unpack(fcntl.fcntl(self._own, fcntl.F_OFD_GETLK, asked))[0] != fcntl.F_UNLCK)

    @contextmanager
    def keeping(self) -> Iterator[None]:
        """Until the block ends nobody else writes the file `head`."""
        self._lock(fcntl.F_OFD_SETLKW, fcntl.F_WRLCK, _KEEPING)
        try:
            yield
        finally:
            self._lock(fcntl.F_OFD_SETLK, fcntl.F_UNLCK, _KEEPING)


def _read_handles(pid: int) -> Iterator[str]:
    """What the kernel says of each file that a process has open, line by line."""
    with suppress(OSError):  # the process has ended
        for handle in Path(f"/proc/{pid}/fdinfo").iterdir():
            with suppress(OSError):  # closed since
                yield from handle.read_text(encoding="ascii").splitlines()
