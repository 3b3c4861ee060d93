# SPDX-License-Identifier: Apache-2.0
"""Pure: a MISP event made of own objects, as strict as they are.

    event = complete_event(group, made, restored=…)     what was restored and converted of a group, marked part by part

A converter says least of what matters here, so it is given objects without their markings. What MISP wrote itself is as
strict as the objects that it became, with what hangs on it; so is the event, where MISP wrote all of it. What a
converter made is marked by the object's id, which MISP keeps as a UUID: what stands for several objects, or has some
attached to it, is as strict as all of them; what cannot be placed, as the whole group, and the event as the strictest
in it. All of that is distributed to "your organisation only": who widens that in MISP does it part by part.
"""

from collections.abc import Collection, Iterator, Mapping
from typing import Final

from comity.canonical import Json
from comity.ids import parse_instant
from comity.intake.misp import leave_plain_tags
from comity.intake.misp_outward import Fields, Group, Part, find_creator, list_ends
from comity.intake.misp_restoring import Restored
from comity.intake.misp_sayings import CONTAINERS, read_uuid, uuid_of
from comity.intake.restrictions import Restriction, join_restrictions, make_uuid

__all__ = ["complete_event"]

_HANGING: Final = ("Galaxy", "Note", "ObjectReference", "Opinion", "Relationship", "Sighting")
_ONLY_HERE: Final = "0"
_PRODUCER: Final = "misp-galaxy:producer="


def complete_event(
    group: Group, made: Fields, *, title: str, restored: Restored, parts: Mapping[str, Part]
) -> dict[str, Json]:
    """The event `made` of the group and restored, with its restrictions; `title` is for one without container.

    `parts` are all objects of the export: what MISP said of one event may name what stands in another too.
    """
    event = dict(made)
    marker = _Marker(group, event, restored, parts)
    event["Attribute"] = [marker.mark(item) for item in _list(event.get("Attribute"))]
    event["Object"] = [marker.mark_object(item) for item in _list(event.get("Object"))]
    is_whole = restored.event is not None and all(part.id in restored.placed for part in group.parts)
    stands = [parts[name] for name in sorted(restored.hung)] if is_whole else marker.everything
    container = group.container
    statements = frozenset[str]() if container is None else container.statements
    event["Tag"] = _tag(event, join_restrictions(*(part.restriction for part in stands)), statements)
    if not is_whole or read_uuid(event) not in restored.spread:
        event["distribution"] = _ONLY_HERE
        event["EventReport"] = [{**item, "distribution": _ONLY_HERE} for item in _list(event.get("EventReport"))]
    if restored.event is None:
        event |= {"analysis": "2", "threat_level_id": "4"} | _head_event(group, event, title)
    if restored.event is None or read_uuid(event) in restored.newer:
        seconds = max((_read_modified(part) for part in ([container] if container else group.parts)), default=0)
        event["timestamp"] = str(seconds)
    return event


def _head_event(group: Group, event: Fields, title: str) -> dict[str, Json]:
    """What an event says of itself that MISP has not said of it."""
    container = group.container
    head: dict[str, Json] = {"date": _format_day(container, group), "published": False}
    if container is not None and container.type == "report":
        # An event that is not published would come back as a grouping. Being distributed to nobody, it goes nowhere.
        head |= {"published": True, "publish_timestamp": str(_read_seconds(container.value.get("published")))}
    if container is None:
        return head | {"uuid": make_uuid("misp-event", *sorted(part.id for part in group.parts)), "info": title}
    if (creator := find_creator(group)) is not None:
        tags = event["Tag"]
        head["Orgc"] = {"name": creator[0].value.get("name"), "uuid": creator[1]}
        head["Tag"] = [tag for tag in (tags if isinstance(tags, list) else ()) if not _is_producer(tag)]
    return head


class _Marker:
    """What stands in one event, each as strict as what it stands for."""

    def __init__(self, group: Group, event: Fields, restored: Restored, parts: Mapping[str, Part]) -> None:
        self._restored = restored
        self._said = {uuid: [parts[name] for name in sorted(names)] for uuid, names in restored.ties.items()}
        self._parts = {part.id: part for part in group.parts if part.type not in CONTAINERS}
        self._all = {**parts, **self._parts}
        self._by_uuid: dict[str, list[Part]] = {}
        for part in self._parts.values():
            self._by_uuid.setdefault(part.uuid, []).append(part)
        placed = [parts[name] for name in sorted(restored.placed)]
        self.everything = [*group.parts, *placed]
        self._whole = join_restrictions(*(part.restriction for part in self.everything))
        shown = {read_uuid(item) for kind in ("Attribute", "Object") for item in _list(event.get(kind))}
        self._hidden = [part for part in self._parts.values() if part.uuid not in shown and part.type != "relationship"]

    def mark_object(self, item: Fields) -> dict[str, Json]:
        """An object of MISP; it can bear no tag, so each of its attributes does."""
        restriction, statements = self._find(item)
        at, comment = self._find_time(item), self._find_comment(item)
        only = self._find_distribution(item)
        inner: list[Json] = [
            {**at, **one, "Tag": _tag(one, restriction, statements), **only} for one in _list(item.get("Attribute"))
        ]
        return {**item, **at, **comment, "Attribute": inner, **only}

    def mark(self, item: Fields) -> Json:
        """An attribute of the event itself."""
        restriction, statements = self._find(item)
        return {
            **item,
            **self._find_time(item),
            **self._find_comment(item),
            "Tag": _tag(item, restriction, statements),
            **self._find_distribution(item),
        }

    def _find_distribution(self, item: Fields) -> dict[str, Json]:
        """Nothing where MISP's own words hold; else that it goes to nobody."""
        uuid = read_uuid(item)
        is_said = uuid in self._restored.spread and uuid not in self._restored.merged
        return {} if is_said else {"distribution": _ONLY_HERE}

    def _find(self, item: Fields) -> tuple[Restriction, frozenset[str]]:
        """How far something of the event may travel, and the statements that its objects bear."""
        uuid = read_uuid(item)
        said = self._said.get(uuid, [])
        names = [part.id for part in (*self._by_uuid.get(uuid, ()), *said)]
        if not said:
            names += [word for word in _list_words(item) if word in self._parts]
        found, open_ = set(names), list(names)
        while open_:
            for other in list_ends(self._all[open_.pop()]):
                if other in self._parts and other not in found:
                    found.add(other)
                    open_.append(other)
        if not found:
            return self._whole, frozenset()
        stands = [self._all[name] for name in sorted(found)]
        is_exact = said and uuid not in self._restored.merged
        if not is_exact and any(one.get(kind) for one in (item, *_list(item.get("Attribute"))) for kind in _HANGING):
            stands += self._hidden
            stands += [part for part in self._parts.values() if part.type == "relationship" and _is_of(part, uuid)]
        return join_restrictions(*(part.restriction for part in stands)), frozenset(
            text for part in stands for text in part.statements
        )

    def _find_time(self, item: Fields) -> dict[str, Json]:
        """When the objects of this UUID were last changed, as MISP says it; nothing where none of them says."""
        uuid = read_uuid(item)
        if uuid in self._said and uuid not in self._restored.newer:
            return {}
        at = max((_read_modified(part) for part in self._by_uuid.get(uuid, ())), default=0)
        return {"timestamp": str(at)} if at else {}

    def _find_comment(self, item: Fields) -> dict[str, Json]:
        """The description of what stands here, where the converter has left the place for it empty."""
        if item.get("comment") or read_uuid(item) in self._said:
            return {}
        said = [part.value.get("description") for part in self._by_uuid.get(read_uuid(item), ())]
        texts = [text for text in said if isinstance(text, str)]
        return {"comment": texts[0]} if texts else {}


def _is_of(part: Part, uuid: str) -> bool:
    return any(uuid_of(name) == uuid for name in list_ends(part))


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
    return _read_seconds(part.value.get("modified"))


def _read_seconds(said: Json) -> int:
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
