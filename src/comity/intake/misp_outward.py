# SPDX-License-Identifier: Apache-2.0
"""Pure: objects of this party's own become MISP events that are as strict as they are.

    split = split_objects(values, definitions=…)    which objects become one event, and which must not become any

Each part is an object with how far it may travel. One of which no tag says that does not become part of an event. What
MISP itself said of the rest is put back by `misp_restoring`, what it becomes is marked by `misp_completing`, and what
no event says of it is for `misp_losses`.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Final

from comity.canonical import Json
from comity.errors import MalformedObject
from comity.ids import PartyId
from comity.intake.marking import FOREIGN_MARKING_EXTENSION
from comity.intake.misp import fold_tag, is_foreign
from comity.intake.misp_sayings import CONTAINERS, list_references, uuid_of
from comity.intake.restrictions import PAP_IDS, Restriction, join_restrictions
from comity.stix.definitions import is_statement
from comity.stix.markings import STATEMENT, TLP_IDS, read_markings

__all__ = ["CONTAINERS", "Group", "Loss", "Part", "Split", "find_creator", "list_ends", "split_objects"]

_DEFINITIONS: Final = frozenset({"extension-definition", "marking-definition"})
_LINKS: Final = frozenset({"note", "opinion", "relationship", "sighting"})
"""Types of objects that go with what they refer to, although nothing refers to them."""

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Split:
    """The groups that become events, and what becomes part of none."""

    groups: tuple[Group, ...]
    lost: tuple[Loss, ...]


def split_objects(
    values: Sequence[Fields],
    *,
    definitions: Mapping[str, Fields] = MappingProxyType({}),
    audiences: Mapping[str, frozenset[PartyId] | None] = MappingProxyType({}),
) -> Split:
    """The groups of `values`: a report or a grouping with all that it refers to, and one of what is in none.

    An object is in one group, the first: MISP has each thing in one event. `definitions` are the marking definitions of
    this party's own that the objects refer to, by id; `audiences` say whom an object may ever reach, None any party.
    """
    parts, lost, borne = dict[str, Part](), list[Loss](), set[str]()
    for value in values:
        name = str(value["id"])
        if value["type"] in _DEFINITIONS:
            continue
        read = _read_part(name, value, definitions)
        if isinstance(read, Part):
            reach = Restriction(audience=audiences.get(name))
            parts[name] = replace(read, restriction=join_restrictions(read.restriction, reach))
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
            shown = names | {str(parts[name].value.get("created_by_ref")) for name in names}
            yield Group(container=part, parts=tuple(one for name, one in parts.items() if name in shown))
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
            if link in left and all(ref in found or ref not in left for ref in list_ends(left[link]))
        ]
        for other in nexts:
            if other not in found:
                found.add(other)
                open_.append(other)
    return found


def _is_free(name: str, left: Mapping[str, Part]) -> bool:
    return name in left and left[name].type not in CONTAINERS


def list_ends(part: Part) -> Iterator[str]:
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
