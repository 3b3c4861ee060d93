# SPDX-License-Identifier: Apache-2.0
"""Shell: what is held, for people to look through: newest first, what is around one object, and who may fetch it.

Nothing is decided here, and nothing leaves.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from comity.canonical import OBJECT_LIMITS, parse_json
from comity.ids import AgreementId, ObjectId, PartyId
from comity.node.explain import find_object
from comity.node.node import Node
from comity.node.standing import list_dossiers
from comity.stix.labels import Label
from comity.store import Transaction, beginnings, browsing, deletions, objects, subjects
from comity.store.browsing import Position, Released, Wanted
from comity.store.objects import StoredObject
from comity.store.subjects import StoredList

__all__ = [
    "Around",
    "Given",
    "Listing",
    "Position",
    "Released",
    "Wanted",
    "find_around",
    "find_given",
    "find_held",
    "list_objects",
    "name_object",
    "name_objects",
]

_MOST_ORIGINATORS = 500
_MOST_RELEASES = 1_000
_MOST_SUBJECTS = 500
_NAMED_BY = ("name", "value", "relationship_type", "pattern", "path", "abstract", "opinion", "key")
_NAME_CHARACTERS = 200
_STIX = "stix:"


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """A part of what is held, with what each is called and its label; and what can be looked for.

    `subjects` says what those of their subjects are called that stand on a list which was loaded here, or are held.
    """

    objects: tuple[StoredObject, ...]
    names: Mapping[int, str]
    labels: Mapping[int, Label]
    subjects: Mapping[str, str]
    next: Position | None
    types: tuple[str, ...]
    originators: tuple[PartyId, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Around:
    """What an object refers to and what refers to it; `names` say what those that are held are called.

    The object stands in layer 0, what something refers to one layer behind it, what refers to it one before. `links` go
    from who refers. `more` says that not all is here.
    """

    object: StoredObject
    layers: Mapping[ObjectId, int]
    names: Mapping[ObjectId, str]
    links: tuple[tuple[ObjectId, ObjectId], ...]
    more: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """To whom versions of an object were released, with the titles of the agreements."""

    object: StoredObject
    released: tuple[Released, ...]
    titles: Mapping[AgreementId, str]
    more: bool


def list_objects(
    node: Node, wanted: Wanted, *, prefix: str | None = None, before: Position | None = None, limit: int
) -> Listing:
    """At most `limit` newest versions behind the position; with a prefix, those whose id begins with it, by id."""
    with node.store.read() as transaction:
        if prefix:
            whole = objects.read_current(transaction, [ObjectId(prefix)])
            found = tuple(whole.values()) or tuple(beginnings.find_objects(transaction, prefix, limit=limit))
            following: Position | None = None
        else:
            part = browsing.list_newest(transaction, wanted, before=before, limit=limit)
            found, following = part.objects, part.next
        labels = objects.read_labels(transaction, {item.label for item in found})
        return Listing(
            objects=found,
            names=_read_names(transaction, [item.pk for item in found]),
            labels=labels,
            subjects=_name_subjects(transaction, labels.values()),
            next=following,
            types=tuple(browsing.list_types(transaction)),
            originators=tuple(browsing.list_originators(transaction, limit=_MOST_ORIGINATORS)),
        )


def find_around(node: Node, prefix: str, *, steps: int, most: int) -> Around:
    """What the object that `prefix` names refers to and what refers to it, `steps` away; at most `most` objects.

    A relationship counts as a step of its own: it refers to both its ends.

    Raises:
        NotFoundError, MalformedRequest: as `find_object`.
    """
    with node.store.read() as transaction:
        item = find_object(transaction, prefix)
        growing = _Growing(item, most=most)
        edge = [item]
        for _ in range(steps):
            edge = [other for current in edge for other in growing.add(transaction, current)]
        named = _read_names(transaction, [one.pk for one in growing.held.values()])
    return Around(
        object=item,
        layers=growing.layers,
        names={name: named.get(one.pk, "") for name, one in growing.held.items()},
        links=tuple(growing.links),
        more=growing.more,
    )


class _Growing:
    """What was found around an object so far."""

    def __init__(self, item: StoredObject, *, most: int) -> None:
        self._most = most
        self.layers: dict[ObjectId, int] = {item.id: 0}
        self.held: dict[ObjectId, StoredObject] = {item.id: item}
        self.links: dict[tuple[ObjectId, ObjectId], None] = {}
        self.more = False

    def add(self, transaction: Transaction, current: StoredObject) -> list[StoredObject]:
        """What is held of what `current` refers to and what refers to it, and was not found before."""
        targets = sorted(objects.read_references(transaction, [current.pk]).get(current.pk, ()))
        referrers = browsing.list_referrers(transaction, current.id, limit=self._most + 1)
        held = {**objects.read_current(transaction, targets[: self._most]), **{one.id: one for one in referrers}}
        layer = self.layers[current.id]
        added = [name for name in targets if self._link(current.id, name, other=name, layer=layer + 1)]
        added += [one.id for one in referrers if self._link(one.id, current.id, other=one.id, layer=layer - 1)]
        near = {name: held[name] for name in added if name in held}
        self.held |= near
        return [*near.values()]

    def _link(self, source: ObjectId, target: ObjectId, *, other: ObjectId, layer: int) -> bool:
        """Keep the link, unless there is no room for what it leads to; whether that is new."""
        is_new = other not in self.layers
        if is_new and len(self.layers) >= self._most:
            self.more = True
            return False
        self.links[source, target] = None
        self.layers.setdefault(other, layer)
        return is_new


def find_given(node: Node, prefix: str) -> Given:
    """To whom versions of the object that `prefix` names were released, the last release first.

    Released is what its recipient may fetch; what left is in the log.

    Raises:
        NotFoundError, MalformedRequest: as `find_object`.
    """
    with node.store.read() as transaction:
        item = find_object(transaction, prefix)
        keys = [version.pk for version in objects.read_versions_of(transaction, [item.id])]
        released = browsing.list_releases(transaction, keys, limit=_MOST_RELEASES + 1)
        wanted = {one.agreement for one in released}
        titles = {
            dossier.id: dossier.versions[-1].title
            for dossier in list_dossiers(node, transaction)
            if dossier.id in wanted
        }
    return Given(
        object=item, released=tuple(released[:_MOST_RELEASES]), titles=titles, more=len(released) > _MOST_RELEASES
    )


def find_held(node: Node, ids: Collection[ObjectId]) -> tuple[frozenset[ObjectId], frozenset[ObjectId]]:
    """Those of `ids` of which some version is held; and those of the others that were deleted here."""
    with node.store.read() as transaction:
        held = objects.read_held(transaction, ids)
        deleted = frozenset(deletions.read_tombstones(transaction, frozenset(ids) - held))
    return held, deleted


def name_object(data: bytes) -> str:
    """What an object is called, by the first property that says it; empty where none does."""
    said = parse_json(data, limits=OBJECT_LIMITS)
    if not isinstance(said, dict):
        return ""
    found = (said[name] for name in _NAMED_BY if isinstance(said.get(name), str))
    return str(next(found, ""))[:_NAME_CHARACTERS]


def name_objects(node: Node, ids: Collection[ObjectId]) -> dict[ObjectId, str]:
    """What each of `ids` is called by its newest version; without those that are not held or say no name."""
    with node.store.read() as transaction:
        held = objects.read_current(transaction, ids)
        named = _read_names(transaction, [item.pk for item in held.values()])
    return {name: named[item.pk] for name, item in held.items() if named.get(item.pk)}


def _name_subjects(transaction: Transaction, labels: Iterable[Label]) -> dict[str, str]:
    """The first name of each subject on the last version of its list, whose name is the scheme of the subject.

    A subject `stix:ID` is called as the object of that id is.
    """
    named, latest = dict[str, str](), dict[str, StoredList | None]()
    wanted = sorted({subject for label in labels for group in label.subjects for subject in group})
    for subject in wanted[:_MOST_SUBJECTS]:
        scheme = subject.partition(":")[0]
        if scheme not in latest:
            latest[scheme] = subjects.read_latest(transaction, scheme)
        stored = latest[scheme]
        entry = None if stored is None else subjects.find_entry(transaction, stored.key, subject)
        if entry is not None and entry.names:
            named[subject] = entry.names[0]
    ids = {ObjectId(subject.removeprefix(_STIX)) for subject in wanted[:_MOST_SUBJECTS] if subject.startswith(_STIX)}
    held = objects.read_current(transaction, ids)
    names = _read_names(transaction, [item.pk for item in held.values()])
    return named | {f"{_STIX}{name}": names[item.pk] for name, item in held.items() if names.get(item.pk)}


def _read_names(transaction: Transaction, keys: list[int]) -> dict[int, str]:
    return {pk: name_object(data) for pk, data in browsing.read_short_bodies(transaction, keys).items()}
