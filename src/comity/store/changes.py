# SPDX-License-Identifier: Apache-2.0
"""Shell: the count under which what was computed can be remembered."""

from comity.store.transaction import Transaction

__all__ = ["read_changes"]


def read_changes(transaction: Transaction) -> int:
    """A number that is another one whenever agreements, pinned parties or labels that are gone have changed."""
    row = transaction.row("SELECT value FROM change_count")
    return int(row[0]) if row else 0
