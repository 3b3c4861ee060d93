# SPDX-License-Identifier: Apache-2.0
"""Pure: objects of this party's own become MISP events that are as strict as they are.

    split = split_objects(values, definitions=…)    which objects become one event, and which must not become any
    event = complete_event(group, made)             what a converter made of a group, marked part by part

A converter says least of what matters here, so it is given objects without their markings, and what stands in an event
for an object is marked by the object's id, which MISP keeps as a UUID. What stands for several objects, or has some
attached to it, is as strict as all of them; what cannot be placed, as the whole group. The event is as strict as the
strictest in it. Everything is distributed to "your organisation only": who widens that in MISP does it part by part.

An object of which no tag says the restriction does not become part of an event. What an event does not say of the rest
is for `misp_losses`.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from comity.canonical import Json
from comity.errors import MalformedObject
from comity.ids import parse_instant
from comity.intake.marking import FOREIGN_MARKING_EXTENSION
from comity.intake.misp import fold_tag, is_foreign, leave_plain_tags
from comity.intake.misp_records import list_references
from comity.intake.restrictions import PAP_IDS, Restriction, join_restrictions, make_uuid
from comity.stix.markings import STATEMENT, TLP_IDS, is_statement, read_markings

__all__ = ["CONTAINERS", "Group", "Loss", "Part", "Split", "complete_event", "find_creator", "split_objects", "uuid_of"]

CONTAINERS: Final = frozenset({"grouping", "report"})
"""Types of objects that become an event of their own."""

_DEFINITIONS: Final = frozenset({"extension-definition", "marking-definition"})
_LINKS: Final = frozenset({"note", "opinion", "relationship", "sighting"})
"""Types of objects that go with what they refer to, although nothing refers to them."""

_HANGING: Final = ("Galaxy", "Note", "ObjectReference", "Opinion", "Relationship", "Sighting")
_ONLY_HERE: Final = "0"
_PRODUCER: Final = "misp-galaxy:producer="
_UNKNOWN: Final = "unknown:"
_MOST_TAG: Final = 255
_SHOWN: Final = 80

Fields = Mapping[str, Json]


@dataclass(frozen=True, slots=True, kw_only=True)
class Loss:
    """What does not leave as it is: of which object (empty for a whole event), and what of it."""

    id: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One object, how far it may travel, and the statements that it bears."""

    id: str
    value: Fields
    restriction: Restriction
    statements: frozenset[str]

    @property
    def uuid(self) -> str:
        """What MISP calls it."""
        return uuid_of(self.id)

    @property
    def type(self) -> str:
        """Its STIX type."""
        return self.id.partition("--")[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """The objects of one event; `container` is the one that is the event itself, where there is one."""

    container: Part | None
    parts: tuple[Part, ...]

    def list_plain(self) -> list[Json]:
        """The objects without their markings, for a converter."""
        left = ("object_marking_refs", "granular_markings")
        return [{name: item for name, item in part.value.items() if name not in left} for part in self.parts]


@dataclass(frozen=True, slots=True, kw_only=True)
class Split:
    """The groups that become events, and what becomes part of none."""

    groups: tuple[Group, ...]
    lost: tuple[Loss, ...]


def uuid_of(name: str) -> str:
    """The UUID in a STIX id, in lower case."""
    return name.partition("--")[2].lower()


def split_objects(values: Sequence[Fields], *, definitions: Mapping[str, Fields] = MappingProxyType({})) -> Split:
    """The groups of `values`: a report or a grouping with all that it refers to, and one of what is in none.

    An object is in one group, the first: MISP has each thing in one event. `definitions` are the marking definitions of
    this party's own that the objects refer to, by id.
    """
    parts, lost, borne = dict[str, Part](), list[Loss](), set[str]()
    for value in values:
        name = str(value["id"])
        if value["type"] in _DEFINITIONS:
            continue
        read = _read_part(name, value, definitions)
        if isinstance(read, Part):
            parts[name] = read
            borne |= set(list_references(value))
        else:
            lost.append(read)
    lost += [
        Loss(id=str(value["id"]), reason="no object of the export bears it, and MISP has no place for it alone")
        for value in values
        if value["type"] in _DEFINITIONS and (value["type"] != "marking-definition" or value["id"] not in borne)
    ]
    return Split(groups=tuple(_gather(parts)), lost=tuple(lost))


def _read_part(name: str, value: Fields, definitions: Mapping[str, Fields]) -> Part | Loss:
    """The object with its restriction; why it must not leave, if no tag says that."""
    if value.get("revoked") is True:
        return Loss(id=name, reason="it is revoked, which MISP does not say of it")
    try:
        markings = read_markings(dict(value), definitions={})
    except MalformedObject as error:
        return Loss(id=name, reason=error.detail)
    found = Restriction(tlp=None if markings.tlp == "unmarked" else markings.tlp)
    statements = set[str]()
    for word in markings.others:
        marking = word.removeprefix(_UNKNOWN)
        definition = definitions.get(marking, {})
        if marking in PAP_IDS:
            found = join_restrictions(found, Restriction(pap=PAP_IDS[marking]))
        elif is_statement(dict(definition)):
            statements.add(_read_statement(definition))
        elif (said := _read_foreign(definition)) is not None:
            found = join_restrictions(found, Restriction(foreign=frozenset({said})))
        else:
            return Loss(id=name, reason=f"it bears {marking[:_SHOWN]}, which no tag of MISP says")
    for marked in markings.granular:
        if marked.tlp not in TLP_IDS.values():
            return Loss(id=name, reason=f"its {marked.property} bears a marking that no tag of MISP says")
        found = join_restrictions(found, Restriction(tlp=marked.tlp))
    return Part(id=name, value=value, restriction=found, statements=frozenset(statements))


def _read_statement(definition: Fields) -> str:
    content = definition["definition"]
    assert isinstance(content, dict)  # noqa: S101 (it is a statement)
    return f"{STATEMENT}:{content[STATEMENT]}"


def _read_foreign(definition: Fields) -> str | None:
    """The tag that a definition was made of, if who reads it takes it for a restriction again."""
    extensions = definition.get("extensions")
    extension = extensions.get(FOREIGN_MARKING_EXTENSION) if isinstance(extensions, dict) else None
    words = extension.get("words") if isinstance(extension, dict) else None
    if not isinstance(words, str) or len(words) > _MOST_TAG or not is_foreign(fold_tag(words)):
        return None
    return words


def _gather(parts: Mapping[str, Part]) -> Iterator[Group]:
    left, links = dict(parts), _link(parts)
    for part in parts.values():
        if part.type in CONTAINERS:
            names = _reach(part, left, links)
            # Who made things is named in each event that needs it; all else is in one.
            makers = {str(parts[name].value.get("created_by_ref")) for name in names}
            yield Group(container=part, parts=tuple(one for name, one in parts.items() if name in names | makers))
            for name in names:
                del left[name]
    if left:
        yield Group(container=None, parts=tuple(left.values()))


def _link(parts: Mapping[str, Part]) -> dict[str, list[str]]:
    """Per object, the relationships, notes and the like that refer to it."""
    links: dict[str, list[str]] = {}
    for name, part in parts.items():
        if part.type in _LINKS:
            for other in list_references(part.value):
                links.setdefault(other, []).append(name)
    return links


def _reach(container: Part, left: Mapping[str, Part], links: Mapping[str, Sequence[str]]) -> set[str]:
    """What a container holds: all it refers to, near or far, and what refers to nothing else."""
    found, open_ = {container.id}, [container.id]
    while open_:
        name = open_.pop()
        nexts = [other for other in list_references(left[name].value) if _is_free(other, left)]
        nexts += [
            link
            for link in links.get(name, ())
            if link in left and all(ref in found or ref not in left for ref in _list_ends(left[link]))
        ]
        for other in nexts:
            if other not in found:
                found.add(other)
                open_.append(other)
    return found


def _is_free(name: str, left: Mapping[str, Part]) -> bool:
    return name in left and left[name].type not in CONTAINERS


def _list_ends(part: Part) -> Iterator[str]:
    """What it is about; who made it is no end of it."""
    return list_references({name: item for name, item in part.value.items() if name != "created_by_ref"})


def find_creator(group: Group) -> tuple[Part, str] | None:
    """Who made the container of the group, and the UUID that MISP knows that organisation by."""
    maker = None if group.container is None else group.container.value.get("created_by_ref")
    part = next((one for one in group.parts if one.id == maker and one.type == "identity"), None)
    if part is None:
        return None
    references = part.value.get("external_references")
    named = [
        str(one.get("external_id"))
        for one in (references if isinstance(references, list) else ())
        if isinstance(one, dict) and one.get("source_name") == "misp-organisation"
    ]
    return part, (named[0].lower() if named else part.uuid)


def complete_event(group: Group, made: Fields, *, title: str) -> dict[str, Json]:
    """The event that a converter `made` of the group, with its restrictions; `title` is for one without container."""
    event = dict(made)
    marker = _Marker(group, event)
    event["Attribute"] = [marker.mark(item) for item in _list(event.get("Attribute"))]
    event["Object"] = [marker.mark_object(item) for item in _list(event.get("Object"))]
    event["EventReport"] = [{**item, "distribution": _ONLY_HERE} for item in _list(event.get("EventReport"))]
    whole = join_restrictions(*(part.restriction for part in group.parts))
    container = group.container
    statements = frozenset[str]() if container is None else container.statements
    tags = _tag(event, whole, statements)
    event |= {"distribution": _ONLY_HERE, "published": False, "analysis": "2", "threat_level_id": "4"}
    if container is None:
        event["uuid"] = make_uuid("misp-event", *sorted(part.id for part in group.parts))
        event["info"] = title
    elif (creator := find_creator(group)) is not None:
        organisation: dict[str, Json] = {"name": creator[0].value.get("name"), "uuid": creator[1]}
        event["Orgc"] = organisation
        tags = [tag for tag in tags if not _is_producer(tag)]
    event["Tag"] = tags
    seconds = max((_read_modified(part) for part in ([container] if container else group.parts)), default=0)
    event["timestamp"] = str(seconds)
    event["date"] = _format_day(container, group)
    return event


class _Marker:
    """What stands in one event, each as strict as what it stands for."""

    def __init__(self, group: Group, event: Fields) -> None:
        self._parts = {part.id: part for part in group.parts if part.type not in CONTAINERS}
        self._by_uuid: dict[str, list[Part]] = {}
        for part in self._parts.values():
            self._by_uuid.setdefault(part.uuid, []).append(part)
        self._whole = join_restrictions(*(part.restriction for part in group.parts))
        shown = {str(item.get("uuid")).lower() for kind in ("Attribute", "Object") for item in _list(event.get(kind))}
        self._hidden = [part for part in self._parts.values() if part.uuid not in shown and part.type != "relationship"]

    def mark_object(self, item: Fields) -> dict[str, Json]:
        """An object of MISP; it can bear no tag, so each of its attributes does."""
        restriction, statements = self._find(item)
        at, comment = self._find_time(item), self._find_comment(item)
        inner: list[Json] = [
            {**at, **one, "Tag": _tag(one, restriction, statements), "distribution": _ONLY_HERE}
            for one in _list(item.get("Attribute"))
        ]
        return {**item, **at, **comment, "Attribute": inner, "distribution": _ONLY_HERE}

    def mark(self, item: Fields) -> Json:
        """An attribute of the event itself."""
        restriction, statements = self._find(item)
        return {
            **item,
            **self._find_time(item),
            **self._find_comment(item),
            "Tag": _tag(item, restriction, statements),
            "distribution": _ONLY_HERE,
        }

    def _find(self, item: Fields) -> tuple[Restriction, frozenset[str]]:
        """How far something of the event may travel, and the statements that its objects bear."""
        uuid = str(item.get("uuid")).lower()
        names = [part.id for part in self._by_uuid.get(uuid, ())]
        names += [word for word in _list_words(item) if word in self._parts]
        found, open_ = set(names), list(names)
        while open_:
            for other in _list_ends(self._parts[open_.pop()]):
                if other in self._parts and other not in found:
                    found.add(other)
                    open_.append(other)
        if not found:
            return self._whole, frozenset()
        stands = [self._parts[name] for name in sorted(found)]
        if any(one.get(kind) for one in (item, *_list(item.get("Attribute"))) for kind in _HANGING):
            stands += self._hidden
            stands += [part for part in self._parts.values() if part.type == "relationship" and _is_of(part, uuid)]
        return join_restrictions(*(part.restriction for part in stands)), frozenset(
            text for part in stands for text in part.statements
        )

    def _find_time(self, item: Fields) -> dict[str, Json]:
        """When the objects of this UUID were last changed, as MISP says it; nothing where none of them says."""
        at = max((_read_modified(part) for part in self._by_uuid.get(str(item.get("uuid")).lower(), ())), default=0)
        return {"timestamp": str(at)} if at else {}

    def _find_comment(self, item: Fields) -> dict[str, Json]:
        """The description of what stands here, where the converter has left the place for it empty."""
        if item.get("comment"):
            return {}
        said = [part.value.get("description") for part in self._by_uuid.get(str(item.get("uuid")).lower(), ())]
        texts = [text for text in said if isinstance(text, str)]
        return {"comment": texts[0]} if texts else {}


def _is_of(part: Part, uuid: str) -> bool:
    return any(uuid_of(name) == uuid for name in _list_ends(part))


def _tag(item: Fields, restriction: Restriction, statements: Collection[str]) -> list[Json]:
    """The tags that it has and that are no markings, and those of its restriction."""
    names = [] if restriction.tlp is None else [f"tlp:{restriction.tlp}"]
    names += [] if restriction.pap is None else [f"PAP:{restriction.pap.upper()}"]
    names += [*sorted(restriction.foreign), *sorted(statements)]
    plain = [tag for tag in leave_plain_tags(item) if not isinstance(tag, dict) or tag.get("name") not in names]
    marks: list[Json] = [{"name": name} for name in names]
    return [*plain, *marks]


def _is_producer(tag: Json) -> bool:
    return isinstance(tag, dict) and str(tag.get("name")).startswith(_PRODUCER)


def _read_modified(part: Part) -> int:
    """Seconds since 1970; 0 for what has no version."""
    said = part.value.get("modified")
    return parse_instant(said) // 1_000_000 if isinstance(said, str) else 0


def _format_day(container: Part | None, group: Group) -> str:
    """The day on which the container, or else the first of the objects, was made."""
    made = [str(part.value["created"])[:10] for part in group.parts if "created" in part.value]
    return str(container.value["created"])[:10] if container else min(made, default="1970-01-01")


def _list(value: Json) -> list[dict[str, Json]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _list_words(value: "Json | Fields") -> Iterator[str]:
    """Every word of every text in it."""
    match value:
        case str():
            yield from value.split()
        case list():
            for item in value:
                yield from _list_words(item)
        case Mapping():
            for item in value.values():
                yield from _list_words(item)
        case _:
            return
