# SPDX-License-Identifier: Apache-2.0
"""Connections to a store that fail at one step when told to, each in the ways in which a disk fails.

A step is one call by which `store` hands SQLite something to do: a statement, a series of one, BEGIN, COMMIT, or the
copying of the write-ahead log. Steps are counted over all connections that are opened meanwhile.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from enum import StrEnum
from typing import Any

import apsw
import pytest

__all__ = ["Fault", "PlainConnection", "Script", "faulty_connections"]

PlainConnection = apsw.Connection
"""One that never fails."""


class Fault(StrEnum):
    """How a step fails."""

    NOT_DONE = "not done"
    DONE = "done but reported failed"
    UNDONE = "not done, and the whole transaction undone by SQLite"
    """What a full disk makes of it: SQLite rolls back by itself."""


class Script:
    """Which step fails, and how; what was done until then."""

    def __init__(self, at: int | None = None, fault: Fault = Fault.NOT_DONE) -> None:
        self.at = at
        self.fault = fault
        self.steps = list[str]()
        self.commits = 0
        self.failed: str | None = None
        self.committed: Callable[[], object] = lambda: None

    def step(self, connection: apsw.Connection, what: str, do: Callable[[], Any]) -> Any:  # noqa: ANN401 (the driver's)
        """What `do` gives, unless it is its turn to fail."""
        self.steps.append(what)
        if len(self.steps) - 1 != self.at:
            return self._do(what, do)
        self.failed = what
        if self.fault is Fault.DONE:
            self._do(what, do)
            raise apsw.IOError("the disk failed after it had done it")
        if self.fault is Fault.UNDONE and connection.in_transaction:
            apsw.Connection.execute(connection, "ROLLBACK")
            raise apsw.FullError("the disk is full")
        raise apsw.IOError("the disk failed")

    def _do(self, what: str, do: Callable[[], Any]) -> Any:  # noqa: ANN401 (the driver's own)
        done = do()
        if what == "COMMIT":
            self.commits += 1
            self.committed()
        return done


_running: list[Script] = []


class FaultyConnection(apsw.Connection):
    """A connection whose steps are those of the script that runs."""

    def execute(self, sql: str, parameters: Sequence[Any] = (), **more: Any) -> apsw.Cursor:  # type: ignore[override] # noqa: ANN401
        """As the driver's; undoing is what follows a failure, and is none of the steps."""
        if not _running or sql == "ROLLBACK":
            return super().execute(sql, parameters, **more)
        step = _running[-1].step
        return step(self, sql, lambda: super(FaultyConnection, self).execute(sql, parameters, **more))  # type: ignore[no-any-return]

    def executemany(self, sql: str, rows: Any, **more: Any) -> apsw.Cursor:  # type: ignore[override] # noqa: ANN401
        """As the driver's."""
        if not _running:
            return super().executemany(sql, rows, **more)
        step = _running[-1].step
        return step(self, sql, lambda: super(FaultyConnection, self).executemany(sql, rows, **more))  # type: ignore[no-any-return]

    def wal_checkpoint(self, *arguments: Any, **more: Any) -> tuple[int, int]:  # noqa: ANN401 (the driver's own)
        """As the driver's."""
        if not _running:
            return super().wal_checkpoint(*arguments, **more)
        step = _running[-1].step
        return step(self, "checkpoint", lambda: super(FaultyConnection, self).wal_checkpoint(*arguments, **more))  # type: ignore[no-any-return]


@contextmanager
def faulty_connections() -> Iterator[Callable[[Script], Any]]:
    """Connections opened until the block ends can fail: in each block of what this gives, by the script given to it."""

    @contextmanager
    def running(script: Script) -> Iterator[Script]:
        _running.append(script)
        try:
            yield script
        finally:
            _running.pop()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(apsw, "Connection", FaultyConnection)
        yield running
