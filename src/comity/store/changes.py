# SPDX-License-Identifier: Apache-2.0
"""Shell: the count under which what was computed can be remembered."""

from collections.abc import Sequence
from typing import Protocol

from comity.store.transaction import Row, SqlValue

__all__ = ["read_changes"]


class _Readable(Protocol):
    """A transaction, or a store, where it is read in a view of its own."""

    def row(self, sql: str, parameters: Sequence[SqlValue] = (), /) -> Row | None:
        """The first row of a query, if any."""


def read_changes(transaction: _Readable) -> int:
    """A number that is another one whenever agreements, pinned parties or labels that are gone have changed."""
    row = transaction.row("SELECT value FROM change_count")
    return int(row[0]) if row else 0
