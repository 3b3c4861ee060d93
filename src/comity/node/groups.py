# SPDX-License-Identifier: Apache-2.0
"""Shell: the records of a file put together into groups that are taken in one after another."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from comity.canonical import OBJECT_LIMITS, parse_json
from comity.errors import MalformedError, MalformedJson
from comity.ids import Instant, ObjectId, PartyId, format_instant, parse_instant, parse_object_id
from comity.intake.formats import Format
from comity.intake.making import join_marked, renew
from comity.intake.records import Converted, Record, Unread
from comity.node.looking import AS_RECEIVED
from comity.node.node import Node
from comity.node.steps import Steps
from comity.stix.labels import intersect_audiences
from comity.stix.objects import BundleReading
from comity.store import Transaction, objects
from comity.store.files import MOST_REMARKS, Remark, TakenFile, list_origins
from comity.store.objects import StoredObject

__all__ = ["LIST_VERSION", "MOST_PLACE", "MOST_REMARK", "Gathering", "Group", "open_group"]

_GROUP_BYTES: Final = 8 * 1024 * 1024
_LONG_GROUP_BYTES: Final = 2 * 1024 * 1024
"""Of a file of any length: to take in so much takes some 100 MiB of memory, of which SQLite has a third."""

_GROUP_OBJECTS: Final = 10_000
_SECOND: Final = 1_000_000
"""In microseconds."""

_AT_ONCE: Final = 100
"""Objects that are read in one step: what was made here is short, what is held of it is an object at most."""

LIST_VERSION: Final = "list_version"
"""The fact of a file that says of when the list in it is."""

_DAY: Final = 24 * 3_600 * _SECOND

NOTHING: Final = Remark(place="the whole file", remark="no record is in it, so nothing came of it", is_unread=False)
"""What people have to know of a file that is as it should be, and empty: they may have meant another one."""

MOST_PLACE: Final = 200
MOST_REMARK: Final = 1_000
"""Characters that are kept of where something is, and of what is said of it."""


@dataclass(slots=True, kw_only=True)
class Group:
    """Records that are taken in together: their objects, and where each was in the file; or a `whole` bundle."""

    whole: bytes | None = None
    elements: Sequence[tuple[bytes, str]] = ()
    unread: Sequence[Unread] = ()
    notes: Sequence[Remark] = ()
    records: int = 0
    position: int = 0
    facts: Mapping[str, str] = field(default_factory=dict)
    audiences: Mapping[ObjectId, frozenset[PartyId]] = field(default_factory=dict)
    sayings: Mapping[bytes, Sequence[bytes]] = field(default_factory=dict)

    def add_notes(self, notes: Iterable[Remark]) -> None:
        """What people have to know besides."""
        self.notes = [*self.notes, *notes]

    def list_sayings(self, pairs: Iterable[tuple[int, int]]) -> list[tuple[int, bytes]]:
        """What was said of the objects at these places, by the keys beside the places."""
        if not self.sayings:
            return []
        # An object that many events have, as the organisation that made them, stands in the group as often.
        named = dict.fromkeys((key, self.elements[index][0]) for index, key in pairs)
        return [(key, said) for key, data in named for said in self.sayings.get(data, ())]

    def name_place(self, index: int) -> str:
        """Where in the file the object was that has this place in the bundle."""
        return f"/objects/{index}" if self.whole is not None else self.elements[index][1]


class Gathering:
    """Records put together into groups of a bounded size."""

    def __init__(self, *, done: int, is_long: bool) -> None:
        self._most = _LONG_GROUP_BYTES if is_long else _GROUP_BYTES
        self._skip = done
        self._records = done
        self._taken = list[tuple[bytes, str]]()
        self._bytes = 0
        self._unread = list[Unread]()
        self._notes = list[Remark]()
        self._facts = dict[str, str]()
        self._audiences = dict[ObjectId, frozenset[PartyId]]()
        self._sayings = dict[bytes, list[bytes]]()

    def close(self, position: int) -> Group:
        """The last group; of a file that is in order and says nothing, that is said."""
        group = self.finish(position)
        if not self._records:
            group.add_notes([NOTHING])
        return group

    def add(self, converted: Converted, position: int) -> Iterator[Group]:
        """The group that is full with this part, if one is.

        A reader gives the same parts in the same order each time, so that a number of records names a place in them.
        """
        self._facts.update(converted.facts)
        left = self._leave_out(len(converted.records))
        for record in converted.records[left:]:
            self._keep(record)
        left = self._leave_out(len(converted.unread))
        self._unread += converted.unread[left:]
        if self._bytes >= self._most or len(self._taken) >= _GROUP_OBJECTS or len(self._unread) >= _GROUP_OBJECTS:
            yield self.finish(position)

    def finish(self, position: int) -> Group:
        """The group of what is left."""
        group = Group(
            elements=self._taken,
            unread=self._unread,
            notes=self._notes,
            records=self._records,
            position=position,
            facts=dict(self._facts),
            audiences=self._audiences,
            sayings=self._sayings,
        )
        self._taken, self._bytes, self._unread, self._notes, self._audiences = [], 0, [], [], {}
        self._sayings = {}
        return group

    def _leave_out(self, count: int) -> int:
        """How many of the next `count` records were dealt with before; the others count from here on."""
        left = min(self._skip, count)
        self._skip -= left
        self._records += count - left
        return left

    def _keep(self, record: Record) -> None:
        place = record.place[:MOST_PLACE]
        self._taken += [(data, place) for data in record.objects]
        self._bytes += sum(map(len, record.objects))
        for name, parties in record.audiences.items():
            # Two records that say the same object may each be as strict: whoever both let have it, may.
            item = ObjectId(name)
            self._audiences[item] = self._audiences.get(item, parties) & parties
        for data, texts in record.sayings.items():  # two records may say the same object
            self._sayings.setdefault(data, []).extend(texts)
        if record.notes and len(self._notes) < MOST_REMARKS:
            said = "; ".join(record.notes)[:MOST_REMARK]
            self._notes.append(Remark(place=place, remark=said, is_unread=False))


def _open_bundle(elements: Sequence[tuple[bytes, str]]) -> Steps[BundleReading]:
    """The objects as one bundle, each at its place among them.

    Raises:
        MalformedJson: one of them is no JSON, which keeps the others from being told apart.
    """
    return BundleReading.in_steps(b'{"objects":[' + b",".join(data for data, _ in elements) + b"]}")


def _split_json(elements: Sequence[tuple[bytes, str]]) -> Steps[tuple[list[tuple[bytes, str]], list[Unread]]]:
    """Those that are JSON, and what is said of the others."""
    left, unread = list[tuple[bytes, str]](), list[Unread]()
    for number, (data, place) in enumerate(elements):
        if number % _AT_ONCE == 0:
            yield
        try:
            parse_json(data, limits=OBJECT_LIMITS)
            left.append((data, place))
        except MalformedJson as error:
            unread.append(Unread(place=place, reason=error.detail))
    return left, unread


def open_group(node: Node, group: Group, form: Format, *, at: Instant) -> Steps[BundleReading]:
    """The bundle of a group; what in it is no JSON becomes unread. Others get their turns.

    Each object that was made here is put beside what is held of it: it has no version of its own, or, of MISP, one that
    is known to the second.

    Raises:
        MalformedJson, MalformedObject: a bundle that is taken in whole cannot be read.
    """
    if group.whole is not None:
        reading = yield from BundleReading.in_steps(group.whole)
        if not reading.count:
            group.add_notes([NOTHING])
        return reading
    if form is Format.MISP_EVENT:
        yield from _Joining(node, group).run()
    elif form not in AS_RECEIVED:
        yield from _Renewing(node, group, form, at=at).run()
    try:
        return (yield from _open_bundle(group.elements))
    except MalformedJson:
        group.elements, unread = yield from _split_json(group.elements)
        group.unread = [*group.unread, *unread]
        return (yield from _open_bundle(group.elements))


class _Renewing:
    """Each object as the version that it is beside what is held; without those of which a later list says otherwise."""

    def __init__(self, node: Node, group: Group, form: Format, *, at: Instant) -> None:
        self._node = node
        self._group = group
        self._at = at
        self._listed = group.facts.get(LIST_VERSION) if form is Format.UN_LIST else None

    def run(self) -> Steps[None]:
        """Have the group hold these versions."""
        renewed, notes = list[tuple[bytes, str]](), list[Remark]()
        elements = self._group.elements
        for first in range(0, len(elements), _AT_ONCE):
            yield
            self._renew_some(elements[first : first + _AT_ONCE], renewed, notes)
        self._group.elements = renewed
        self._group.add_notes(notes[:MOST_REMARKS])

    def _renew_some(
        self, elements: Sequence[tuple[bytes, str]], renewed: list[tuple[bytes, str]], notes: list[Remark]
    ) -> None:
        named = [_read_id(data) for data, _ in elements]
        with self._node.store.read() as transaction:
            held = objects.read_current(transaction, {name for name in named if name is not None})
            for name, (data, place) in zip(named, elements, strict=True):
                item = None if name is None else held.get(name)
                body = None if item is None else objects.read_body(transaction, item.pk)
                made = data if body is None else renew(data, body, at=self._at)
                later = None if item is None or made == body else self._find_later(transaction, item.pk)
                if later is None:
                    renewed.append((made, place))
                    continue
                said = f"the list of {later.facts[LIST_VERSION]} (file {later.number}), which is later, says otherwise"
                notes.append(Remark(place=place, remark=f"{said}, and that stays", is_unread=False))

    def _find_later(self, transaction: Transaction, key: int) -> TakenFile | None:
        """The file with the latest of the later lists that said the version which is held; None where none did.

        One that is dated ahead of the day on which it was read is no later one: it would keep out all that come.
        """
        if self._listed is None:
            return None
        later = [
            file
            for file in (origin.file for origin in list_origins(transaction, key))
            if file.format == Format.UN_LIST.value
            and self._listed < file.facts.get(LIST_VERSION, "") <= format_instant(Instant(file.retrieved_at + _DAY))
        ]
        return max(later, key=lambda file: file.facts[LIST_VERSION], default=None)


def _read_id(made: bytes) -> ObjectId | None:
    """The id of an object that was made; None for one that has no versions, and for what is no object."""
    try:
        value = parse_json(made, limits=OBJECT_LIMITS)
        return parse_object_id(str(value["id"])) if isinstance(value, dict) and "created" in value else None
    except (MalformedError, KeyError):
        return None


class _Joining:
    """What was converted, put beside what of it is held or came before it in the group, of one second and alike."""

    def __init__(self, node: Node, group: Group) -> None:
        self._node = node
        self._group = group
        self._came = defaultdict[ObjectId, list[bytes]](list)
        self._elements = list[tuple[bytes, str]]()
        self._sayings = defaultdict[bytes, list[bytes]](list)
        self._audiences = dict(group.audiences)

    def run(self) -> Steps[None]:
        """Have the group hold the versions that its objects are."""
        elements = self._group.elements
        for first in range(0, len(elements), _AT_ONCE):
            yield
            self._join_some(elements[first : first + _AT_ONCE])
        self._group.elements = self._elements
        self._group.sayings = self._sayings
        self._group.audiences = self._audiences

    def _join_some(self, elements: Sequence[tuple[bytes, str]]) -> None:
        named = [_read_id(data) for data, _ in elements]
        with self._node.store.read() as transaction:
            held = defaultdict[ObjectId, list[StoredObject]](list)
            for one in objects.read_versions_of(transaction, {name for name in named if name is not None}):
                if one.originator == self._node.party and one.received_under is None:
                    held[one.id].append(one)
            for name, (data, place) in zip(named, elements, strict=True):
                made = data if name is None else self._join(transaction, name, data, held.get(name, ()))
                self._elements.append((made, place))
                if data in self._group.sayings:
                    self._sayings[made] += self._group.sayings[data]

    def _join(self, transaction: Transaction, name: ObjectId, data: bytes, held: Sequence[StoredObject]) -> bytes:
        came, made = self._came[name], data
        if held or came:
            near = [one for one in held if one.version_at // _SECOND == _read_version(data) // _SECOND]
            made = join_marked(data, [*(objects.read_body(transaction, one.pk) for one in near), *came])
            if near and made != data:
                # As with what one second brings in one file: it may reach whom all of it let have it.
                audience = objects.read_label(transaction, near[-1].own_label).audience
                if (both := intersect_audiences(self._audiences.get(name), audience)) is not None:
                    self._audiences[name] = both
        came.append(made)
        return made


def _read_version(made: bytes) -> Instant:
    """The version of what was converted; of what has none the time that all such have."""
    value = parse_json(made, limits=OBJECT_LIMITS)
    assert isinstance(value, dict)  # noqa: S101 (it was read as one)
    return parse_instant(str(value.get("modified", value["created"])))
