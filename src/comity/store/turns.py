# SPDX-License-Identifier: Apache-2.0
"""Shell: processes that write one store, one after the other.

SQLite lets one writer in at a time too, but who waits for it sleeps and looks again: up to a tenth of a second while
the others go by. Here the operating system keeps those who wait in the order in which they came, and wakes the next.

The locks are byte ranges of a file in memory without a name, which each process inherits: there is nothing on the disk
to be left behind. A process that is killed gives up what it held.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Self

__all__ = ["Turns"]

_WRITING, _KEEPING = 0, 1
"""The byte that stands for each lock."""


class Turns:
    """The turns of this process among those that have the file `handle` open, which stays open until the process ends.

    Closing any descriptor of the file would give up every lock of the process (fcntl(2)).
    """

    def __init__(self, handle: int) -> None:
        self.handle = handle

    @classmethod
    def begin(cls) -> Self:
        """Turns that no other process takes, until it is given the handle."""
        return cls(os.memfd_create("comity-turns"))

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Until the block ends nobody else writes; take it before the transaction begins. Not to be nested."""
        fcntl.lockf(self.handle, fcntl.LOCK_EX, 1, _WRITING)
        try:
            yield
        finally:
            fcntl.lockf(self.handle, fcntl.LOCK_UN, 1, _WRITING)

    @contextmanager
    def keeping(self) -> Iterator[None]:
        """Until the block ends nobody else writes the file `head`."""
        fcntl.lockf(self.handle, fcntl.LOCK_EX, 1, _KEEPING)
        try:
            yield
        finally:
            fcntl.lockf(self.handle, fcntl.LOCK_UN, 1, _KEEPING)
