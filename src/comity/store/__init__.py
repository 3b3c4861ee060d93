# SPDX-License-Identifier: Apache-2.0
"""Shell: what a node keeps. One transaction per act; only `comity.node` comes in here.

A `Transaction` is the door; `objects`, `arrivals`, `deletions`, `agreements`, `feeds`, `pulls`, `log` and `parties` are
the tables behind it, each a set of functions that take the open transaction, so that an act can never be half a commit.
"""

from comity.store.sqlite import SqliteStore
from comity.store.transaction import Transaction
from comity.store.turns import Turns

__all__ = ["SqliteStore", "Transaction", "Turns"]
