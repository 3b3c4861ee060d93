# SPDX-License-Identifier: Apache-2.0
"""Shell: a version that its giver may not give here is not kept, and what is older and comes after it goes to nobody.

It said of its object what is not known here any more: how far that may travel, or what it holds. Versions that came
before are as strict as it said (`node.ingest`); in whichever order they come, none goes further than by that.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace

from comity.ids import ObjectId
from comity.stix.labels import OVERFULL, OVERTAKEN, Label, is_overfull
from comity.stix.objects import StixObject
from comity.store import Transaction, overtaking
from comity.store.objects import Holding
from comity.store.overtaking import Overtaking

__all__ = ["Overtaken"]


class Overtaken:
    """What of `ids` is overtaken where it comes as `holding` says: by what came before, or with it."""

    def __init__(self, transaction: Transaction, ids: Collection[ObjectId], holding: Holding) -> None:
        self._transaction = transaction
        self._giver = holding.originator
        received = holding.received_under is not None
        self._known = overtaking.read_overtaking(transaction, self._giver, ids) if received else {}
        self._new = dict[ObjectId, Overtaking]()

    def note(self, items: Iterable[StixObject]) -> None:
        """These were given, and are not kept."""
        for item in items:
            known = self._known.get(item.id)
            if known is None or known.version_at < item.version_at:
                self._known[item.id] = self._new[item.id] = Overtaking(item.version_at, item.digest)

    def settle(self, added: Sequence[tuple[StixObject, Label]]) -> list[tuple[StixObject, Label]]:
        """What is added, with the labels that it has for this; and it is kept what is known from here on.

        Where terms are others by now, what was not kept may come after all: then it is held, and binds by itself.
        """
        came = {item.id for item, _ in added if (item.version_at, item.digest) == self._known.get(item.id)}
        if came:
            overtaking.drop_overtaking(self._transaction, self._giver, came)
        for name in came:
            del self._known[name]
            self._new.pop(name, None)
        if self._new:
            overtaking.put_overtaking(self._transaction, self._giver, self._new)
        return [(item, self._mark(item, label)) for item, label in added] if self._known else [*added]

    def _mark(self, item: StixObject, label: Label) -> Label:
        known = self._known.get(item.id)
        if known is None or item.version_at > known.version_at or label == OVERFULL:
            return label
        marked = replace(label, markings=label.markings | {OVERTAKEN})
        return OVERFULL if is_overfull(marked) else marked
