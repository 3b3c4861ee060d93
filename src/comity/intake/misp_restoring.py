# SPDX-License-Identifier: Apache-2.0
"""Pure: what MISP said of things, put back into the event that their objects become, while they say that still.

    sayings = yield from read_sayings(kept, parts)  those of which every object is there, and says what it said
    restored = restore_event(group, sayings)        the event as MISP wrote it, as far as they go
    left = list_left(group, restored, parts)        what a converter has to make the rest of
    made = merge_made(restored, made)               both

A saying holds while each object that its thing became is exported too, with the same content, no wider than it was, and
so is each identity that it calls by name: markings may be stricter, and a report may hold more. One that does not hold
is left aside whole, and its objects are converted.
"""

from collections.abc import Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from comity.canonical import BUNDLE_LIMITS, Json, parse_json
from comity.errors import MalformedJson
from comity.ids import ObjectId
from comity.intake.misp import HANGING
from comity.intake.misp_outward import Fields, Group, Part
from comity.intake.misp_sayings import CONTAINERS, NAMED, digest_object, list_references, read_uuid, uuid_of
from comity.intake.restrictions import PAP_IDS, Restriction, join_restrictions
from comity.stix.markings import TLP_IDS

__all__ = ["Restored", "Sayings", "list_left", "merge_made", "read_sayings", "restore_event"]

_ONLY_HERE: Final = "0"
_AT_ONCE: Final = 50
"""Sayings between two pauses: some milliseconds."""

_GROUPS: Final = frozenset({"SharingGroup", "sharing_group_id"})
_KINDS: Final = ("Attribute", "Object")
_CLUSTERS: Final = "GalaxyCluster"
_REFERENCES: Final = "ObjectReference"

_Key = tuple[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Saying:
    said: Fields
    became: frozenset[str]
    is_newer: bool
    is_open: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Sayings:
    """What holds, by kind and UUID, and by object; `beside` are makers that an event names and that are unchanged."""

    by_key: Mapping[_Key, _Saying]
    by_object: Mapping[str, Sequence[_Key]]
    beside: frozenset[str]


@dataclass(slots=True, kw_only=True)
class Restored:
    """An event as far as MISP's own words go.

    `ties` are, by UUID of an attribute or object in it, the objects that it and what hangs on it became, `hung` those
    that the event itself did; `placed` are all objects that it says. Of some of these things an object has a `newer`
    version; to some a converter added something, so that they are `merged`; and some are `spread`, distributed as MISP
    said, because nothing that they became may reach fewer parties than then.
    """

    event: dict[str, Json] | None = None
    parts: dict[str, list[dict[str, Json]]] = field(default_factory=lambda: {kind: [] for kind in _KINDS})
    ties: dict[str, set[str]] = field(default_factory=dict)
    newer: set[str] = field(default_factory=set)
    spread: set[str] = field(default_factory=set)
    hung: set[str] = field(default_factory=set)
    placed: set[str] = field(default_factory=set)
    merged: set[str] = field(default_factory=set)


def read_sayings(kept: Iterable[bytes], parts: Mapping[str, Part]) -> Generator[None, None, Sayings]:
    """Those of `kept` that hold of the objects `parts`; of two about one thing, the later.

    One that was said of the very versions that are there goes before others. With pauses.
    """
    digests: dict[str, str] = {}

    def is_said(name: str, digest: Json) -> bool:
        if name in parts and name not in digests:
            digests[name] = digest_object(parts[name].value)
        return digests.get(name) == digest

    by_key, beside = dict[_Key, _Saying](), set[str]()
    for index, data in enumerate(kept):
        if index % _AT_ONCE == 0:
            yield
        try:
            value = parse_json(data, limits=BUNDLE_LIMITS)
        except MalformedJson:
            continue  # the file was within these bounds, and this is a little deeper
        assert isinstance(value, dict)  # noqa: S101 (it was written here)
        became, said = value["became"], value["said"]
        assert isinstance(became, dict) and isinstance(said, dict)  # noqa: S101, PT018 (as above)
        words = {name: one for name, one in became.items() if isinstance(one, list)}
        named = [(name, digest) for name, (digest, *_) in words.items()]
        if all(is_said(*one) for one in (*named, *_items(value["names"]))) and not any(
            _is_wider(parts[name], marks) for name, (*_, marks) in words.items()
        ):
            own = {name: at for name, (_, at, *_) in words.items() if uuid_of(name) == value["uuid"]}
            key = str(value["kind"]), str(value["uuid"])
            found = _Saying(
                said=said,
                became=frozenset(words),
                is_newer=any(parts[name].value.get("modified") != at for name, at in own.items()),
                is_open=all(_reaches(parts[name], only) for name, (*_, only, _) in words.items()),
            )
            if not found.is_newer or by_key.get(key, found).is_newer:
                by_key[key] = found
            makers = value["beside"]
            beside |= {name for name, digest in _items(makers) if is_said(name, digest)}
    by_object: dict[str, list[_Key]] = {}
    for key, one in by_key.items():
        for name in one.became:
            by_object.setdefault(name, []).append(key)
    return Sayings(by_key=by_key, by_object=by_object, beside=frozenset(beside))


def restore_event(group: Group, sayings: Sayings) -> Restored:
    """The event of the group as MISP wrote it, and what of it MISP wrote where the event itself is no longer so."""
    restoring = _Restoring(sayings)
    if group.container is not None:
        restoring.put_event(("Event", group.container.uuid))
    for part in group.parts:
        for key in sayings.by_object.get(part.id, ()):
            if key[0] in _KINDS:
                restoring.put(key)
    restored = restoring.restored
    if restored.event is not None:
        assert group.container is not None  # noqa: S101 (the event is its)
        maker = str(group.container.value.get("created_by_ref"))
        restored.hung |= {maker} & sayings.beside
        placed = [part for part in group.parts if part.id in restored.placed]
        restored.placed |= {name for part in placed for name in list_references(part.value) if name in sayings.beside}
    return restored


def _reaches(part: Part, only: Json) -> bool:
    """Whether an object may reach everybody still whom it was to reach when it came in."""
    now = part.restriction.audience
    return now is None or (isinstance(only, list) and now >= {name for name in only if isinstance(name, str)})


def _is_wider(part: Part, marks: Json) -> bool:
    """Whether an object may travel farther than when it came in: what was said beside it was as strict as it was."""
    then = _read_marks(marks)
    now = join_restrictions(part.restriction, _read_marks(part.value.get("object_marking_refs")))
    return join_restrictions(now, then) != now


def _read_marks(refs: Json) -> Restriction:
    names = [ObjectId(one) for one in (refs if isinstance(refs, list) else ()) if isinstance(one, str)]
    scales = [Restriction(tlp=TLP_IDS[one]) for one in names if one in TLP_IDS]
    scales += [Restriction(pap=PAP_IDS[one]) for one in names if one in PAP_IDS]
    others = frozenset(names) - TLP_IDS.keys() - PAP_IDS.keys()
    return join_restrictions(Restriction(foreign=frozenset[str](others)), *scales)


class _Restoring:
    """One event, put together from what holds."""

    def __init__(self, sayings: Sayings) -> None:
        self._sayings = sayings
        self._under = set[_Key]()
        self._closes = False
        self._done = set[_Key]()
        self.restored = Restored()

    def put_event(self, key: _Key) -> None:
        found = self._sayings.by_key.get(key)
        if found is None:
            return
        said = dict(found.said)
        for kind in _KINDS:
            for item in _list(said.pop(kind, None)):
                if (named := _read_name(item)) is not None:
                    self.put(named)
                else:
                    self._keep(kind, item, found)
        event, ties, is_open = self._put_together(said, found)
        self.restored.event = event
        self.restored.placed |= ties
        self.restored.hung |= ties
        self._note(key[1], found, is_open=is_open)

    def put(self, key: _Key) -> None:
        """An attribute or an object, once, if what was said of it holds."""
        found = self._sayings.by_key.get(key)
        if found is not None and key not in self._done:
            self._done.add(key)
            self._keep(key[0], found.said, found)

    def _keep(self, kind: str, said: Fields, found: _Saying) -> None:
        item, ties, is_open = self._put_together(said, found)
        self.restored.parts[kind].append(item)
        self.restored.ties.setdefault(read_uuid(item), set()).update(ties)
        self.restored.placed |= ties
        self._note(read_uuid(item), found, is_open=is_open)

    def _put_together(self, said: Fields, found: _Saying) -> tuple[dict[str, Json], set[str], bool]:
        """The thing with what hangs on it, the objects that it became, and whether it goes where MISP said."""
        self._closes = False
        ties, is_open = set(found.became), found.is_open
        item = self._resolve(dict(said), ties, is_open=is_open)
        if is_open and self._closes:
            is_open = False
            item = self._resolve(dict(said), ties, is_open=False)
        assert isinstance(item, dict)  # noqa: S101 (it is no name)
        return item, ties, is_open

    def _note(self, uuid: str, found: _Saying, *, is_open: bool) -> None:
        if found.is_newer:
            self.restored.newer.add(uuid)
        if is_open:
            self.restored.spread.add(uuid)

    def _resolve(self, value: Json, ties: set[str], *, is_open: bool) -> Json:
        """The value with everything in it that it only names; None for what does not hold.

        What is not open is distributed to nobody but its owner.
        """
        if isinstance(value, list):
            found = [self._resolve(item, ties, is_open=is_open) for item in value]
            return [item for item, old in zip(found, value, strict=True) if item is not None or old is None]
        if not isinstance(value, dict):
            return value
        named = _read_name(value)
        if named is None:
            left = frozenset[str]() if is_open else _GROUPS
            kept = {
                name: self._resolve(item, ties, is_open=is_open) for name, item in value.items() if name not in left
            }
            if value.get(_CLUSTERS) and not kept[_CLUSTERS]:
                return None  # a galaxy of which no cluster holds
            return kept | ({"distribution": _ONLY_HERE} if "distribution" in kept and not is_open else {})
        held = self._sayings.by_key.get(named)
        if held is None or named in self._under:
            return None
        # What has no distribution of its own goes where that goes which it hangs on.
        self._closes |= not held.is_open and "distribution" not in held.said
        self._under.add(named)
        ties |= held.became
        item = self._resolve(dict(held.said), ties, is_open=held.is_open)
        self._under.discard(named)
        return item


def list_left(group: Group, restored: Restored, parts: Mapping[str, Part]) -> list[Json]:
    """The objects that a converter makes the rest of: what is in no word of MISP, and what that refers to."""
    rest = [part for part in group.parts if part.id not in restored.placed and part is not group.container]
    left = [part for part in rest if not _lacks_place(part, parts)]
    if not rest and (restored.event is not None or group.container is None):
        return []
    left = left if left or group.container is not None else rest
    found = {part.id: part for part in left}
    open_ = [*left]
    while open_:
        for name in list_references(open_.pop().value):
            if name in parts and name not in found and parts[name].type not in CONTAINERS:
                found[name] = parts[name]
                open_.append(parts[name])
    if group.container is not None:
        found[group.container.id] = group.container
        maker = str(group.container.value.get("created_by_ref"))
        if maker in parts:
            found.setdefault(maker, parts[maker])
    # By such labels a converter tells what was MISP once, and reads nothing else beside it.
    was_misp = restored.event is None or any(_labels(part, was_misp=True) for part in left)
    return [_write_plain(part, found, was_misp=was_misp) for part in found.values()]


def _lacks_place(part: Part, parts: Mapping[str, Part]) -> bool:
    """Whether it is a sighting by somebody who is not in the export: at one such a converter gives all up."""
    seen_by = part.value.get("where_sighted_refs")
    return any(name not in parts for name in (seen_by if isinstance(seen_by, list) else ()))


def _labels(part: Part, *, was_misp: bool) -> list[Json]:
    said = part.value.get("labels")
    return [one for one in (said if isinstance(said, list) else ()) if str(one).startswith("misp:") == was_misp]


def _write_plain(part: Part, found: Mapping[str, Part], *, was_misp: bool) -> Json:
    """The object without its markings, for a converter; a container with what is converted with it."""
    left = ("object_marking_refs", "granular_markings")
    plain: dict[str, Json] = {name: item for name, item in part.value.items() if name not in left}
    if not was_misp and (labels := _labels(part, was_misp=False)) != plain.get("labels", []):
        plain["labels"] = labels or ["x"]
    held = plain.get("object_refs")
    if part.type in CONTAINERS and isinstance(held, list):
        plain["object_refs"] = [name for name in held if name in found] or held[:1]
    return plain


def merge_made(restored: Restored, made: Fields, *, group: Group) -> dict[str, Json]:
    """The event with MISP's own words, and with what a converter made of the rest."""
    event = dict(made) if restored.event is None else dict(restored.event)
    known = {uuid_of(name) for name in restored.placed} | {
        uuid for items in restored.parts.values() for item in items for uuid in _list_uuids(item)
    }
    for kind in _KINDS:
        twins = {read_uuid(item): item for item in _list(made.get(kind))}
        items = [
            _merge(item, twins[uuid], restored) if (uuid := read_uuid(item)) in twins else item
            for item in restored.parts[kind]
        ]
        event[kind] = [*items, *(item for uuid, item in twins.items() if uuid not in known)]
    if restored.event is not None and group.container is not None:
        event = _merge(event, {name: made[name] for name in HANGING if name in made}, restored)
    return event


def _merge(item: Fields, twin: Fields, restored: Restored) -> dict[str, Json]:
    """The thing with what hangs on its twin besides."""
    merged, there = dict(item), set(_list_uuids(item))
    links = {(_fold(one, "referenced_uuid"), _fold(one, "relationship_type")) for one in _list(item.get(_REFERENCES))}
    more: dict[str, list[Json]] = {
        kind: [one for one in _list(twin.get(kind)) if read_uuid(one) not in there]
        for kind in HANGING
        if kind != "Galaxy"
    }
    more[_REFERENCES] = [
        one
        for one in _list(twin.get(_REFERENCES))
        if (_fold(one, "referenced_uuid"), _fold(one, "relationship_type")) not in links
    ]
    more["Galaxy"] = [
        {**one, _CLUSTERS: list[Json](clusters)}
        for one in _list(twin.get("Galaxy"))
        if (clusters := [each for each in _list(one.get(_CLUSTERS)) if read_uuid(each) not in there])
    ]
    for kind, added in more.items():
        if added:
            merged[kind] = [*_list(item.get(kind)), *added]
            restored.merged.add(read_uuid(item))
    return merged


def _fold(item: Fields, name: str) -> str:
    return str(item.get(name)).lower()


def _read_name(item: Fields) -> _Key | None:
    named = item.get(NAMED)
    return (str(named[0]), str(named[1])) if isinstance(named, list) else None


def _list_uuids(value: "Json | Fields") -> Iterable[str]:
    """The UUID of everything in it."""
    if isinstance(value, Mapping):
        if uuid := read_uuid(value):
            yield uuid
        for item in value.values():
            yield from _list_uuids(item)
    elif isinstance(value, list):
        for item in value:
            yield from _list_uuids(item)


def _items(value: Json) -> Iterable[tuple[str, Json]]:
    return value.items() if isinstance(value, dict) else ()


def _list(value: Json) -> list[dict[str, Json]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []
