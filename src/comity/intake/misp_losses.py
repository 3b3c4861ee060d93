# SPDX-License-Identifier: Apache-2.0
"""Pure: what a MISP event does not say of the objects that it was made of.

    find_losses(group, event, again=…)     of each object that does not come through whole, what is missing

A converter says nothing of most of what it leaves out, so it is not asked. An object comes through whole if the event,
converted back, gives it again with the same content, or if every text, number and time in it stands in the event where
its UUID does. MISP has one time for each thing, in seconds: `created`, and what is finer, it cannot say of any object.
"""

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Final

from comity.canonical import Json
from comity.errors import MalformedError
from comity.ids import parse_instant
from comity.intake.misp_outward import Fields, Group, Loss, Part, find_creator
from comity.intake.misp_sayings import CONTAINERS, uuid_of

__all__ = ["find_losses"]

_UNSAID: Final = frozenset(
    {"created", "created_by_ref", "granular_markings", "id", "modified", "object_marking_refs", "spec_version", "type"}
)
"""Properties that are not looked for: ids, times and markings have a place of their own in MISP (`misp_outward`)."""

_FILLED: Final[Mapping[str, frozenset[Json]]] = {
    "context": frozenset({"suspicious-activity"}),
    "kill_chain_name": frozenset({"misp-category"}),
    "number_observed": frozenset({1}),
    "pattern_type": frozenset({"stix"}),
    "pattern_version": frozenset({"2.1"}),
}
"""What of a property says no more than that the property has to be there."""

_OF_MISP: Final = re.compile(r'misp:[a-z0-9-]+="(.*)"')
"""A label in which misp-stix keeps a field of MISP."""

_LITERAL: Final = re.compile(r"'((?:[^'\\]|\\.)*)'")
_SHORT: Final = 4
"""Texts shorter than this stand in too many others to be found in them."""


def find_losses(
    group: Group, event: Fields, *, again: Sequence[Fields], placed: Collection[str] = frozenset()
) -> list[Loss]:
    """What of each object of the group the event does not say; `again` is what the event is when converted back.

    `placed` are those that it says in MISP's own words.
    """
    back = {str(item.get("id")): item for item in again}
    places, creator = _Places(event), find_creator(group)
    lost = list[Loss]()
    for part in group.parts:
        if part.id in placed or (part.id in back and _fold_object(part.value) == _fold_object(back[part.id])):
            continue
        if creator is not None and creator[0] is part:
            missing = _list_missing(part, _Texts([event.get("Orgc")]), skip={"external_references", "identity_class"})
        elif part.type == "relationship":
            missing = [] if places.has_link(part) else ["all of it"]
        elif (found := places.find(part.id)) is not None:
            missing = _list_missing(part, found, skip=set())
            maker = part.value.get("created_by_ref")
            if maker is not None and part.type not in CONTAINERS and (creator is None or creator[0].id != maker):
                missing.append("created_by_ref")
        else:
            missing = ["its id"] if places.has_name(part) else ["all of it"]
        if missing:
            lost.append(Loss(id=part.id, reason=f"not in the event: {', '.join(missing)}"))
    return lost


def _list_missing(part: Part, texts: "_Texts", *, skip: set[str]) -> list[str]:
    return sorted(name for name, item in part.value.items() if name not in _UNSAID | skip and not texts.say(name, item))


class _Places:
    """Where in an event each UUID stands."""

    def __init__(self, event: Fields) -> None:
        self._by_uuid: dict[str, list[Fields]] = {}
        self._by_mention: dict[str, list[Fields]] = {}
        self._names = set[str]()
        self._links = set[tuple[str, str, str]]()
        for node in _list_nodes(event):
            self._add(node)

    def _add(self, node: Fields) -> None:
        uuid = str(node.get("uuid")).lower()
        self._by_uuid.setdefault(uuid, []).append(node)
        for item in node.values():
            if isinstance(item, str) and "--" in item:
                for word in item.split():
                    self._by_mention.setdefault(word, []).append(node)
        if "uuid" in node and isinstance(node.get("value"), str):
            self._names.add(str(node["value"]))
        references = node.get("ObjectReference")
        for one in references if isinstance(references, list) else ():
            if isinstance(one, dict):
                link = (str(one.get("referenced_uuid")).lower(), str(one.get("relationship_type")))
                self._links.add((uuid, *link))

    def find(self, name: str) -> "_Texts | None":
        """The texts where an object stands, None where it stands nowhere."""
        nodes = [*self._by_uuid.get(uuid_of(name), ()), *self._by_mention.get(name, ())]
        return _Texts(nodes) if nodes else None

    def has_link(self, part: Part) -> bool:
        """Whether the event says a relationship with both ends and its type, and the relationship says no more."""
        value = part.value
        ends = [uuid_of(str(value.get(name))) for name in ("source_ref", "target_ref")]
        known = {"source_ref", "target_ref", "relationship_type"} | _UNSAID
        return value.keys() <= known and (ends[0], ends[1], str(value.get("relationship_type"))) in self._links

    def has_name(self, part: Part) -> bool:
        """Whether something with another UUID is called the same."""
        return part.value.get("name") in self._names


class _Texts:
    """What stands in some part of an event."""

    def __init__(self, nodes: "Sequence[Json | Fields]") -> None:
        self._leaves = {text for node in nodes for text in _list_leaves(node)}
        self._all = "\n".join(sorted(self._leaves))

    def say(self, name: str, item: Json) -> bool:
        """Whether all of a property stands there; where it only refers to others, each of these is looked for."""
        match item:
            case bool():
                return not item  # whether it is this property that is true there cannot be told
            case str():
                return item in _FILLED.get(name, ()) or name.endswith("_ref") or self._says_text(name, item)
            case int() | float():
                return item in _FILLED.get(name, ()) or str(item) in self._leaves
            case None:
                return True
            case list():
                return name.endswith("_refs") or all(self.say(name, one) for one in item)
            case dict():
                return all(self.say(key, one) for key, one in item.items())

    def _says_text(self, name: str, text: str) -> bool:
        if self._has(text):
            return True
        if (kept := _OF_MISP.fullmatch(text)) is not None:
            return self._has(kept[1])
        if name == "pattern":
            literals = _LITERAL.findall(text)
            return bool(literals) and all(self._has(one.replace("\\'", "'").replace("\\\\", "\\")) for one in literals)
        seconds = _read_seconds(text)
        return seconds is not None and (str(seconds) in self._leaves or text[:19] in self._all)

    def _has(self, text: str) -> bool:
        return text in self._leaves or (len(text) >= _SHORT and text in self._all)


def _read_seconds(text: str) -> int | None:
    try:
        return parse_instant(text) // 1_000_000
    except MalformedError:
        return None


def _list_nodes(value: "Json | Fields") -> Iterator[Fields]:
    """Every JSON object in it, itself first."""
    if isinstance(value, Mapping):
        yield value
        for item in value.values():
            yield from _list_nodes(item)
    elif isinstance(value, list):
        for item in value:
            yield from _list_nodes(item)


def _list_leaves(value: "Json | Fields") -> Iterator[str]:
    if isinstance(value, Mapping):
        for item in value.values():
            yield from _list_leaves(item)
    elif isinstance(value, list):
        for item in value:
            yield from _list_leaves(item)
    elif value is not None and not isinstance(value, bool):
        yield str(value)


def _fold_object(value: Fields) -> dict[str, Json]:
    """An object without what has a place of its own, and with lists and times in one form."""
    left = _UNSAID - {"id", "type"}
    return {name: _fold(item) for name, item in value.items() if name not in left}


def _fold(value: Json) -> Json:
    match value:
        case str():
            seconds = _read_seconds(value)
            return value if seconds is None else seconds
        case list():
            return sorted((_fold(item) for item in value), key=repr)
        case dict():
            return {name: _fold(item) for name, item in sorted(value.items())}
        case _:
            return value
