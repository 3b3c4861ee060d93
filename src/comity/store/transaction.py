# SPDX-License-Identifier: Apache-2.0
"""Shell: the door that every table of the store is reached through."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Protocol

__all__ = ["Row", "SqlValue", "Transaction"]

SqlValue = None | int | float | str | bytes
Row = tuple[Any, ...]
"""One row; the columns' types are those of the schema's STRICT tables."""


class Transaction(Protocol):
    """An open transaction: all of it is committed, or none."""

    def rows(self, sql: str, parameters: Sequence[SqlValue] = ()) -> list[Row]:
        """All rows of a query."""

    def iterate(self, sql: str, parameters: Sequence[SqlValue] = ()) -> Iterator[Row]:
        """The rows of a query, each read when it is asked for; nothing else is run before the last one."""

    def row(self, sql: str, parameters: Sequence[SqlValue] = ()) -> Row | None:
        """The first row of a query, if any."""

    def run(self, sql: str, parameters: Sequence[SqlValue] = ()) -> int:
        """The number of rows that a statement changed."""

    def run_many(self, sql: str, parameters: Iterable[Sequence[SqlValue]]) -> None:
        """One statement for each of `parameters`."""

    def insert(self, sql: str, parameters: Sequence[SqlValue] = ()) -> int:
        """The integer key of the row that an INSERT made."""

    def has_written(self) -> bool:
        """Whether anything was changed in it, by whoever."""
