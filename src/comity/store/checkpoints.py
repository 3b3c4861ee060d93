# SPDX-License-Identifier: Apache-2.0
"""Shell: a thread that copies what is committed from the write-ahead log into the file, so that no act waits for it.

It has a connection of its own and writes nothing but what is committed. It begins when the log has become so long that
copying is worth it, and stops nobody: what other connections do meanwhile goes on, and where another process copies
already there is nothing to do. The log begins again from its start when all of it was copied and nobody reads in it.
It rests after each copy: else, once the log is long, it would wake for every commit, and both would wait for one disk.

Where that does not come about by itself, because commits follow upon one another without a pause, `Checkpoints.note`
copies the rest itself, after the commit that made the log too long and before the act goes on: so it has a bound.
"""

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import apsw

__all__ = ["Checkpoints"]

_WORTH_PAGES = 1_000
_MOST_PAGES = 25_000
"""About a hundred megabytes; what one act writes comes on top."""

_REST = 0.1
"""Seconds between two copies by the thread."""

_log = logging.getLogger("comity.store")


class Checkpoints:
    """The thread of one store; it is started when there is something to do for the first time."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._thread: threading.Thread | None = None
        self._due = threading.Event()
        self._stopping = threading.Event()
        self._copying = threading.Lock()

    def note(self, connection: apsw.Connection, _: str, pages: int) -> int:
        """The log has so many pages after a commit on `connection`: the hook that SQLite calls, and its answer."""
        if pages < _WORTH_PAGES:
            return apsw.SQLITE_OK
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="comity-checkpoints", daemon=True)
            self._thread.start()
        if not self._due.is_set():
            self._due.set()
        if pages >= _MOST_PAGES:
            with self._copying:
                _copy_log(connection)
        return apsw.SQLITE_OK

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Nothing is copied by the thread meanwhile."""
        with self._copying:
            yield

    def close(self) -> None:
        """Stop, when what is being copied is done; safe to call twice."""
        self._stopping.set()
        self._due.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def _run(self) -> None:
        connection = apsw.Connection(str(self._path), flags=apsw.SQLITE_OPEN_READWRITE)
        try:
            connection.execute("PRAGMA synchronous=FULL")
            while self._due.wait() and not self._stopping.is_set():
                self._due.clear()
                self._copy(connection)
                self._stopping.wait(_REST)
        finally:
            connection.close()

    def _copy(self, connection: apsw.Connection) -> None:
        with self._copying:
            _copy_log(connection)


def _copy_log(connection: apsw.Connection) -> None:
    """Copy as much as can be without waiting for anybody.

    The act is committed: what goes wrong here is no failure of it, and loses nothing. The log keeps what was not
    copied, and the next commit brings the next try.
    """
    try:
        connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)
    except apsw.BusyError:
        pass  # another process does it
    except apsw.Error as error:
        _log.warning("the write-ahead log could not be copied into the store: %s", error)
