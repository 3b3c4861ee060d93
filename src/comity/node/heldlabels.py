# SPDX-License-Identifier: Apache-2.0
"""Shell: every version that is held, against what it is kept as: its bytes, its names, and the label that lets it go.

bytes     are those of the digest that they are kept under
names     id, type, version and form are those that the bytes say
label     leaves out nothing that the bytes say (`release.said`); is the join of the own one and those of all that it
          refers to (`node.relabel`), the own one with all that people said and decided (`node.tagging`); and of what
          came from elsewhere reaches nobody but whom each text that it came under lists, or its giver has granted

What a label lets go is on record only once it has gone. So this is looked at before: whoever can write the store could
else give an object the label of another one, and have it given at the next poll. How an own object may travel by what
the file said in which it came is not looked at here.
"""

from collections.abc import Iterator, Sequence

from comity.canonical import sha256_digest
from comity.errors import MalformedError
from comity.ids import Digest, Instant, PartyId
from comity.node.bounds import can_give, read_bounds
from comity.node.relabel import find_others
from comity.node.tagging import find_misworded
from comity.release.said import find_said, find_unsaid
from comity.replayed import Bounds
from comity.stix.labels import OVERFULL, Label
from comity.stix.objects import parse_object
from comity.store import Transaction, arrivals, consents, objects
from comity.store.arrivals import Arrival
from comity.store.objects import StoredObject

__all__ = ["HeldLabels"]

_DEFINITION = "marking-definition"
"""Nobody understands an object without those that mark it: they have no audience."""


class HeldLabels:
    """The versions that `party` holds; None: whose they are is not known, and not whom they may reach."""

    def __init__(self, party: PartyId | None) -> None:
        self._party = party
        self._givers: dict[tuple[PartyId, Digest], bool] = {}
        self._bounds: dict[tuple[PartyId, Digest], Bounds | None] = {}

    def find_otherwise(
        self, transaction: Transaction, held: Sequence[tuple[StoredObject, bytes]]
    ) -> Iterator[tuple[str, str]]:
        """Those of `held` that are kept as what they are not, by name, and the first thing that is wrong with each."""
        known, others, misworded = dict[int, Label](), set[int](), set[int]()
        try:
            known = objects.read_labels(transaction, {item.label for item, _ in held})
            ids = {item.id for item, _ in held}
            others = find_others(transaction, ids)
            misworded = set() if self._party is None else find_misworded(transaction, ids, self._party)
        except (MalformedError, LookupError) as error:
            yield f"object {held[0][0].id} and the next ones", f"labels that let them go cannot be read ({error})"
        came = arrivals.read_arrivals(transaction, [item.pk for item, _ in held])
        for item, data in held:
            label, ways = known.get(item.label), came.get(item.pk, [])
            found = _find_altered(item, data, label)
            if found is None and item.pk in others:
                found = "its label is not the one of itself and of all that it refers to"
            if found is None and item.pk in misworded:
                found = "its label is not what people have said and decided of it"
            if found is None and self._party is not None:
                found = self._find_elsewhere(transaction, self._party, item, label, ways)
            if found is not None:
                yield f"object {item.id} {item.version}", found

    def _find_elsewhere(
        self, transaction: Transaction, party: PartyId, item: StoredObject, label: Label | None, ways: Sequence[Arrival]
    ) -> str | None:
        """What is wrong with whose the version is said to be, from whom, and to whom it may go on."""
        if item.received_under is None and item.originator != party:
            return f"it is kept as this party's own, and as of {item.originator}"
        if (giver := self._find_no_giver(transaction, party, ways)) is not None:
            return f"it is kept as come from {giver}, who gives this party nothing under those terms"
        if item.received_under is None or label is None:
            return None
        return self._find_wider(transaction, party, item, label, ways)

    def _find_no_giver(self, transaction: Transaction, party: PartyId, ways: Sequence[Arrival]) -> PartyId | None:
        """From whom the version is kept as come, though the text that it came under lets that one give nothing."""
        for way in ways:
            key = way.giver, way.terms
            if key not in self._givers:
                self._givers[key] = can_give(transaction, party, giver=way.giver, terms=way.terms)
            if not self._givers[key]:
                return way.giver
        return None

    def _find_wider(
        self, transaction: Transaction, party: PartyId, item: StoredObject, label: Label, ways: Sequence[Arrival]
    ) -> str | None:
        """Whom what came these ways may reach by its label, and by none of the texts that it came under."""
        if item.type == _DEFINITION or label == OVERFULL:
            return None
        if label.audience is None:
            return "it came from elsewhere, and its label lets it go to anybody"
        bounds = [found for way in ways if (found := self._read_bounds(transaction, party, way)) is not None]
        onward = frozenset[PartyId].intersection(*(each.onward_to for each in bounds)) if bounds else frozenset()
        beyond = label.audience - onward - {party}
        if beyond:
            granted = consents.list_granted(transaction, [item.id], past=True, now=Instant(0))
            beyond -= {one.grant.recipient for one in granted if one.digest == item.digest}
        if beyond:
            return f"its label lets it go to {min(beyond)}, whom no text that it came under lists"
        excluded = frozenset[str]().union(*(each.excluded for each in bounds))
        if not excluded <= label.excluded_frameworks:
            return f"it came under terms that exclude {min(excluded - label.excluded_frameworks)}, and its label not"
        return None

    def _read_bounds(self, transaction: Transaction, party: PartyId, way: Arrival) -> Bounds | None:
        key = way.giver, way.terms
        if key not in self._bounds:
            self._bounds[key] = read_bounds(transaction, party, giver=way.giver, terms=way.terms)
        return self._bounds[key]


def _find_altered(item: StoredObject, data: bytes, label: Label | None) -> str | None:
    """What the bytes are not, or do not say, of what the version is kept as."""
    if sha256_digest(data) != item.digest:
        return "its bytes are not those of its digest"
    try:
        read, value = parse_object(data)
    except MalformedError:
        return "its bytes are no object"
    if (read.id, read.type, read.version, read.spec_version) != (item.id, item.type, item.version, item.spec_version):
        return "it is kept under an id, a type or a version that its bytes do not say"
    return None if label is None else find_unsaid(find_said(read, value), label)
