# SPDX-License-Identifier: Apache-2.0
"""Shell: a file looked through before it is taken in: what of it was understood, and what would become of it.

It is read by the same readers, and held against the same schemas and the same store, as when it is taken in
(`node.intake`); nothing is kept of it, and no act is begun. What it says besides holds for the store as it is at that
moment. What a parser would say of patterns is not looked at here: that takes place after the objects are held.
"""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from comity.classification.assessment import find_expiry
from comity.errors import ComityError
from comity.ids import ObjectId
from comity.node.again import is_taken
from comity.node.clashes import find_same
from comity.node.definitions import find_given
from comity.node.files import File
from comity.node.groups import Group
from comity.node.intake import open_groups
from comity.node.looking import Look, Plan, check_plan, look_through
from comity.node.node import Node
from comity.node.reading import read_in_steps
from comity.node.steps import Steps
from comity.node.withdrawal import check_recalled
from comity.stix.markings import read_markings, tlp_rank
from comity.stix.objects import ParsedBundle, StixObject
from comity.store import deletions, objects, recalls
from comity.store.files import Remark
from comity.store.objects import Holding, StoredObject

__all__ = ["Example", "Foreseen", "Unkept", "foresee_steps"]

_MOST_TOLD: Final = 1_000
_EXAMPLES: Final = 50
_HELD_AT_ONCE: Final = 500


@dataclass(frozen=True, slots=True)
class Unkept:
    """What would not be kept: where in the file it is, and why."""

    place: str
    reason: str


@dataclass(frozen=True, slots=True)
class Example:
    """One object that would come in, with the TLP level that holds on it, and where in the file it is."""

    id: ObjectId
    tlp: str
    place: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Foreseen:
    """What would become of a file: how many objects would be `added`, are `known`, or would not be kept.

    Of what is told in words the first thousand are here. `types` and `markings` count what was understood, by the type
    of STIX and by TLP level; `strictest` is the strictest of the levels, None where nothing was understood.
    """

    look: Look
    already: bool
    added: int
    known: int
    bad: Sequence[Unkept]
    bad_count: int
    notes: Sequence[Remark]
    types: Mapping[str, int]
    markings: Mapping[str, int]
    examples: Sequence[Example]
    facts: Mapping[str, str]

    @property
    def strictest(self) -> str | None:
        """The strictest TLP level of what was understood."""
        return max(self.markings, key=tlp_rank, default=None)


def foresee_steps(node: Node, file: File, plan: Plan) -> Steps[Foreseen]:
    """What would become of a file, and a turn for others between its parts.

    Raises:
        MalformedFile, MalformedJson, MalformedObject: it cannot be read as a whole.
        MalformedRequest: what is asked does not fit it.
    """
    look = yield from look_through(file, plan)
    check_plan(plan, look.form)
    looking = _Looking(node, look)
    for opened in open_groups(node, file, look, plan, at=node.clock()):
        yield
        if opened is not None:
            group, reading = opened
            read = yield from read_in_steps(reading)
            bad = [Unkept(one.place, one.reason) for one in group.unread]
            bad += [Unkept(_name(group, one.index, one.where), one.detail) for one in read.checked.bad]
            looking.tell(bad)
            yield from looking.hold_against_store(group, read.checked)
            looking.notes += group.notes[: max(0, _MOST_TOLD - len(looking.notes))]
            looking.facts |= group.facts
    return looking.describe(already=is_taken(node, look, plan))


class _Looking:
    """What was seen of a file so far."""

    def __init__(self, node: Node, look: Look) -> None:
        self._node = node
        self._look = look
        self._seen = set[tuple[ObjectId, str]]()
        self._added, self._known, self._bad_count = 0, 0, 0
        self._bad = list[Unkept]()
        self._types, self._markings = Counter[str](), Counter[str]()
        self._examples = list[Example]()
        self.notes = list[Remark]()
        self.facts = dict[str, str]()

    def tell(self, bad: Sequence[Unkept]) -> None:
        """Take note of what would not be kept."""
        self._bad_count += len(bad)
        self._bad += bad[: max(0, _MOST_TOLD - len(self._bad))]

    def hold_against_store(self, group: Group, bundle: ParsedBundle) -> Steps[None]:
        """Hold well-formed objects against what is held: what is there already, and what cannot stand beside it."""
        definitions = find_given(bundle.good)
        for first in range(0, len(bundle.good), _HELD_AT_ONCE):
            part = slice(first, first + _HELD_AT_ONCE)
            yield
            self._hold(group, replace(bundle, good=bundle.good[part], places=bundle.places[part]), definitions)

    def _hold(self, group: Group, bundle: ParsedBundle, definitions: Mapping[ObjectId, str]) -> None:
        ids = {item.id for item, _ in bundle.good}
        holding = Holding(originator=self._node.party, received_under=None, added_at=self._node.clock())
        with self._node.store.read() as transaction:
            held = defaultdict[ObjectId, list[StoredObject]](list)
            for stored in objects.read_versions_of(transaction, ids):
                held[stored.id].append(stored)
            deleted = deletions.read_tombstones(transaction, ids)
            recalled = recalls.read_recalled(transaction, ids)
        for place, (item, value) in zip(bundle.places, bundle.good, strict=True):
            try:
                tlp = read_markings(value, definitions=definitions).tlp
                find_expiry(value)
                same = find_same(held[item.id], deleted.get(item.id, ()), item, holding=holding)
                if same is None:
                    check_recalled(recalled.get(item.id, ()), item)
            except ComityError as error:
                self.tell([Unkept(_name(group, place), error.detail)])
                continue
            self._count(item, tlp, group.name_place(place), is_held=same is not None)

    def _count(self, item: StixObject, tlp: str, place: str, *, is_held: bool) -> None:
        self._types[item.type] += 1
        self._markings[tlp] += 1
        if is_held or (item.id, item.version) in self._seen:
            self._known += 1
            return
        self._seen.add((item.id, item.version))
        self._added += 1
        if len(self._examples) < _EXAMPLES:
            self._examples.append(Example(item.id, tlp, place))

    def describe(self, *, already: bool) -> Foreseen:
        """All of it."""
        return Foreseen(
            look=self._look,
            already=already,
            added=self._added,
            known=self._known,
            bad=self._bad,
            bad_count=self._bad_count,
            notes=self.notes,
            types=dict(self._types.most_common()),
            markings={name: self._markings[name] for name in sorted(self._markings, key=tlp_rank)},
            examples=self._examples,
            facts=self.facts,
        )


def _name(group: Group, index: int, where: str = "") -> str:
    inside = where.removeprefix(f"/objects/{index}")
    return f"{group.name_place(index)}{inside if group.whole is not None else f': {inside}' if inside else ''}"
