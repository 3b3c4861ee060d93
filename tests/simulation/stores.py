# SPDX-License-Identifier: Apache-2.0
"""A store whose COMMIT fails when told to: "failed, and not done" or "failed, but done"."""

from collections.abc import Iterator
from contextlib import contextmanager

from comity.errors import StoreFull
from comity.node.node import Node
from comity.store.sqlite import SqliteStore, SqliteTransaction

__all__ = ["DONE", "NOT_DONE", "FaultyStore", "make_faulty"]

NOT_DONE = "not done"
DONE = "done"


class FaultyStore(SqliteStore):
    """The store it was made from; `fault` is what happens to an act that writes, after `spared` others."""

    fault: str | None = None
    spared: int = 0

    @contextmanager
    def write(self) -> Iterator[SqliteTransaction]:
        """One transaction, which ends as `fault` says."""
        fault = None
        if self.spared:
            self.spared -= 1
        else:
            fault, self.fault = self.fault, None
        with super().write() as transaction:
            yield transaction
            if fault == NOT_DONE:
                raise StoreFull("the disk of this history is full; nothing was kept")
        if fault == DONE:
            raise StoreFull("the disk of this history failed after it had kept everything")


def make_faulty(node: Node) -> FaultyStore:
    """The node's own store, able to fail."""
    store = FaultyStore(node.store._connection, node.store._lock)
    node.store = store
    return store
