# SPDX-License-Identifier: Apache-2.0
"""Shell: whether anything was committed that can matter to a question that waits, in this process or another."""

from collections.abc import Collection
from dataclasses import dataclass

from comity.ids import PartyId
from comity.node.gate import find_open_collection
from comity.node.node import Node
from comity.store import objects
from comity.store.changes import read_changes

__all__ = ["Moment", "Watch", "find_closed"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """The store, as far as it can matter.

    `objects` is another number when any came in or was labelled anew, `changes` when agreements or parties changed.
    """

    objects: int
    changes: int


class Watch:
    """What was seen of the store last; to look again costs some microseconds where nothing was committed."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._version: tuple[int, int] | None = None
        self._moment = Moment(objects=0, changes=0)

    def look(self) -> Moment:
        """The store as it is.

        Raises:
            UnavailableError, CorruptionError: it cannot be read.
        """
        version = self._node.store.read_version()
        if version != self._version:
            with self._node.store.read() as transaction:
                self._moment = Moment(objects=objects.read_head_seq(transaction), changes=read_changes(transaction))
            # What was committed between the two is in what was read, and looked at once more.
            self._version = version
        return self._moment


def find_closed(node: Node, places: Collection[tuple[PartyId, str]]) -> set[tuple[PartyId, str]]:
    """Those among the parties and their collections that the party may not poll now: the clock closes gates too."""
    with node.store.read() as transaction:
        changes = read_changes(transaction)
        return {
            (party, collection)
            for party, collection in places
            if find_open_collection(node, transaction, party, collection, changes=changes) is None
        }
