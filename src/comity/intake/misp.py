# SPDX-License-Identifier: Apache-2.0
"""Pure: MISP events, read for what they say of who may have them, before and after they are converted.

    read = parse_misp(data)                       events, each cut out and checked, and what is none
    plan = plan_event(event, mapping)             what may be converted, and how far each part of it may travel
    record = mark_objects(plan, objects, party=…) what the converter made of it, each object marked

A converter marks the report of an event and leaves what is in it unmarked, and it knows no distribution. So the
strictest of an event, an object and an attribute is worked out here, by their UUIDs, which the converter's ids keep. An
object that is of no one part counts as the parts it refers to and that refer to it; one that cannot be placed, as the
whole event.

A thing that stands twice is as strict as both. What is deleted in MISP, and what is only proposed, is left out, with a
note; so are tags that MISP keeps to itself (local, or not exportable).
"""

import re
import unicodedata
from collections.abc import Generator, Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

from comity.canonical import BUNDLE_LIMITS, Json
from comity.errors import MalformedJson
from comity.gradual import read_in_steps, split_members_in_steps
from comity.ids import PartyId
from comity.intake.misp_mapping import LEVELS, MISSING, UUID, MispMapping
from comity.intake.records import Unread, run_steps
from comity.intake.restrictions import OPEN, Restriction, join_restrictions
from comity.vocabulary import TLP_LEVELS

__all__ = [
    "HANGING",
    "MispEvent",
    "MispReading",
    "Plan",
    "fold_tag",
    "is_foreign",
    "leave_plain_tags",
    "parse_misp",
    "plan_event",
    "plan_event_in_steps",
    "read_misp_in_steps",
]

_ONLY_HERE: Final[frozenset[PartyId]] = frozenset()
_INHERIT: Final = "5"
_GROUP: Final = "4"
_SAID = frozenset({"distribution", "sharing_group_id", "SharingGroup"})
"""What a part says of who may have it: it is read here, and no business of the converter."""
_LEFT = _SAID | {"Attribute", "Object", "ShadowAttribute"}
_CORRELATED: Final = frozenset({"RelatedAttribute", "RelatedEvent"})
"""What MISP found in other events, of which nothing here says how far they may travel."""
_GALAXY: Final = "Galaxy"
HANGING: Final = ("EventReport", "Galaxy", "GalaxyCluster", "Note", "Opinion", "Relationship", "Sighting")
"""What can hang on an event, on its objects and attributes, and on one another, with restrictions of its own."""
_WRAPPED = ("EventTag", "AttributeTag")
_OF_AN_EVENT: Final = frozenset({"Event", "uuid", "info", "Attribute", "Object"})
"""Members of which one at the top of a file says that an event, or what should lie in one, is meant."""
_MOST_TAGS = 1_000
_LONGEST_TAG = 1_000
_NUMBER = re.compile(r"-?[0-9]{1,12}", re.ASCII)

_TLP: Final[Mapping[str, str]] = {**{f"tlp:{level}": level for level in TLP_LEVELS}, "tlp:white": "clear"}
_SCALE: Final = re.compile(
    r"(?<![a-z])(?:tlp|pap)(?![a-z])|(?:tlp|pap)(?:white|clear|green|amber|red)|traffic[^a-z]?light[^a-z]?protocol"
)
"""What names a scale, and is none of its levels."""
_LEVEL: Final = re.compile(r"(?P<scale>[^:=]+)[:=]\W*(?:white|clear|green|amber(?:\+strict)?|red)\W*")
_MISSPELT: Final = re.compile(r"[tlp]{2,4}", re.ASCII)
"""The letters of TLP in another order, or one too many or few."""
_PAP: Final[Mapping[str, str]] = {f"pap:{level}": level for level in ("green", "amber", "red")}
_PAP_OPEN: Final = frozenset({"pap:clear", "pap:white"})
_RESTRICTING: Final = frozenset(
    {
        "tlp",
        "pap",
        "acs-marking",
        "ais-marking",
        "iep",
        "iep2-policy",
        "iep2-reference",
        "dni-ism",
        "euci",
        "nato",
        "de-vs",
        "fr-classif",
        "cssa",
        "stix-ttp-sharing",
        "information-security-indicators-sharing",
    }
)
_RESTRICTING_PREDICATES: Final = frozenset(
    {
        "csirt_case_classification:sensitivity-classification",
        "misp:should-not-sync",
        "thales_group:distribution",
        "thales_group:tlp",
    }
)
"""Taxonomies that say how far something may travel; what of them has no scale here is carried as a foreign marking."""
_CAVEATS: Final = re.compile(
    r"(?<![a-z])(?:no[ -]?forn|orcon|relido|propin|fouo|eyes[ -]?only|no[ -]foreign|(?:rel|releasable)[ -]to)(?![a-z])"
)
_WHOLE: Final = frozenset(
    {"classified", "confidential", "restricted", "secret", "top secret", "top-secret", "do not share", "do-not-share"}
)
"""What is written of such things in tags of no taxonomy: within one, and as all of one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MispEvent:
    """One event: where it stands in the file, and what it says."""

    place: str
    uuid: str
    value: dict[str, Json]


@dataclass(frozen=True, slots=True, kw_only=True)
class MispReading:
    """The events of a file, and what of it is none."""

    events: tuple[MispEvent, ...]
    unread: tuple[Unread, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """An event that may be converted, and how far it and its parts may travel, by UUID in lower case.

    `whole` is the strictest of everything in it; `notes` and `unread` say what was left out of it. `distributions` are,
    by UUID, the words in which MISP said whom the event, an attribute or an object may reach.
    """

    event: MispEvent
    content: dict[str, Json]
    restriction: Restriction
    parts: Mapping[str, Restriction]
    whole: Restriction
    notes: tuple[str, ...]
    unread: tuple[Unread, ...]
    distributions: Mapping[str, Mapping[str, Json]] = field(default_factory=lambda: MappingProxyType({}))


def parse_misp(data: bytes) -> MispReading:
    """The events of a MISP JSON file: one event, a list of them, or what its API answers (`{"response": [...]}`).

    Raises:
        MalformedJson: the file as a whole is no JSON, or over a bound.
    """
    return run_steps(read_misp_in_steps(data))


def read_misp_in_steps(data: bytes) -> Generator[None, None, MispReading]:
    """The same, with a pause wherever others may get a turn.

    Raises:
        MalformedJson: as there.
    """
    prefix = "/response"
    if data.lstrip()[:1] == b"[":
        data, prefix = b'{"response":' + data + b"}", ""
    events, unread = list[MispEvent](), list[Unread]()
    members, items = yield from split_members_in_steps(data, array="response", limits=BUNDLE_LIMITS)
    if members.keys() & _OF_AN_EVENT or (members and not items):
        _put_event(members, "/Event", events, unread)
    for item in items:
        place = f"{prefix}/{item.index}/Event"
        try:
            value = yield from read_in_steps(item.data, limits=BUNDLE_LIMITS)
        except MalformedJson as error:
            unread.append(Unread(place=place, reason=error.detail))
            continue
        _put_event(value, place, events, unread)
    return MispReading(events=tuple(events), unread=tuple(unread))


def _put_event(value: Json, place: str, events: list[MispEvent], unread: list[Unread]) -> None:
    """Keep the event that the value is, or why it is none."""
    found = value.get("Event", value) if isinstance(value, dict) else None
    problem = _find_problem(found)
    if problem is not None or not isinstance(found, dict):
        unread.append(Unread(place=place, reason=problem or "not a MISP event"))
        return
    events.append(MispEvent(place=place, uuid=str(found["uuid"]).lower(), value=found))


def _find_problem(value: Json) -> str | None:
    """Why it is no event; None if it is one."""
    if not isinstance(value, dict):
        return "not a MISP event: a JSON object with uuid and info is wanted"
    if not value.keys() & {"uuid", "info"} and value.keys() & {"Attribute", "Object"}:
        return "without its event nothing says how far it may travel; export whole events"
    if UUID.fullmatch(str(value.get("uuid"))) is None:
        return "its uuid is missing, or none; export the event again with its uuid"
    if not isinstance(value.get("info"), str):
        return "it has no info, the title of a MISP event"
    return None


def plan_event(event: MispEvent, mapping: MispMapping, *, floor: Restriction = OPEN) -> Plan:
    """What of the event may be converted, and how far each part of it may travel: no farther than `floor`."""
    return run_steps(plan_event_in_steps(event, mapping, floor=floor))


def plan_event_in_steps(
    event: MispEvent, mapping: MispMapping, *, floor: Restriction = OPEN
) -> Generator[None, None, Plan]:
    """The same, with a pause wherever others may get a turn: one event can hold hundreds of thousands of attributes."""
    return _Planner(mapping).plan(event, floor)


_PARTS_AT_ONCE: Final = 200
"""Parts of an event, and tags of them, between two pauses: some milliseconds."""


class _Planner:
    """One event, part by part."""

    def __init__(self, mapping: MispMapping) -> None:
        self._mapping = mapping
        self._parts: dict[str, Restriction] = {}
        self._notes: list[str] = []
        self._unread: list[Unread] = []
        self._distributions: dict[str, dict[str, Json]] = {}
        self._read = 0

    def plan(self, event: MispEvent, floor: Restriction) -> Generator[None, None, Plan]:
        value = event.value
        own = join_restrictions(floor, self._read_distribution(value, missing=True), self._read_tags(value))
        if "published" in value and not _is_yes(value["published"]):
            own = join_restrictions(own, Restriction(audience=_ONLY_HERE))
            self._notes.append("not published in MISP: it goes to nobody until it is taken in as published")
        self._put(event.uuid, own)
        self._note_distribution(event.uuid, value)
        content = self._read_nested({name: item for name, item in value.items() if name not in _LEFT}, own, event.place)
        content["Tag"] = leave_plain_tags(value)
        content["Attribute"] = yield from self._read_parts(value, "Attribute", own, event.place)
        content["Object"] = yield from self._read_objects(value, own, event.place)
        if value.get("ShadowAttribute"):
            self._notes.append("proposals (ShadowAttribute) were left out: nobody has accepted them")
        return Plan(
            event=event,
            content=content,
            restriction=own,
            parts=self._parts,
            whole=join_restrictions(own, *self._parts.values()),
            notes=tuple(self._notes),
            unread=tuple(self._unread),
            distributions=self._distributions,
        )

    def _read_objects(
        self, value: Mapping[str, Json], own: Restriction, place: str
    ) -> Generator[None, None, list[Json]]:
        kept = list[Json]()
        read = yield from self._read_parts(value, "Object", own, place)
        for item in read:
            assert isinstance(item, dict)  # noqa: S101 (it was read as one)
            name = str(item["uuid"]).lower()
            inner = yield from self._read_parts(item, "Attribute", self._parts[name], f"{place}/Object/{name}")
            # A converter makes one thing of an object: whatever is in it counts for all of it.
            strictest = join_restrictions(self._parts[name], *(self._parts[_name(one)] for one in inner))
            self._parts |= dict.fromkeys((name, *map(_name, inner)), strictest)
            kept.append({**item, "Attribute": inner})
        return kept

    def _read_parts(
        self, value: Mapping[str, Json], kind: str, outer: Restriction, place: str
    ) -> Generator[None, None, list[Json]]:
        kept, left = list[Json](), 0
        listed = value.get(kind) or []
        if not isinstance(listed, list):
            self._unread.append(Unread(place=f"{place}/{kind}", reason="must be a list"))
            return kept
        for index, item in enumerate(listed):
            if index == 0 or self._read >= _PARTS_AT_ONCE:
                self._read = 0
                yield
            self._read += 1
            problem = _find_part_problem(item, kind)
            if problem is not None or not isinstance(item, dict):
                self._unread.append(Unread(place=f"{place}/{kind}/{index}", reason=problem or "not a JSON object"))
            elif "deleted" in item and not _is_no(item["deleted"]):
                left += 1
            else:
                said = join_restrictions(outer, self._read_distribution(item, missing=False), self._read_tags(item))
                self._put(_name(item), said)
                self._note_distribution(_name(item), item)
                nested = self._read_nested(item, said, f"{place}/{kind}/{index}")
                told = {name: part for name, part in nested.items() if name not in _SAID}
                kept.append(told | {"Tag": leave_plain_tags(item)})
        if left:
            self._notes.append(f"{left} under {kind} are deleted in MISP and were left out")
        return kept

    def _put(self, uuid: str, restriction: Restriction) -> None:
        """A part, as strict as it is said here and as it was said before."""
        self._parts[uuid] = join_restrictions(self._parts.get(uuid, OPEN), restriction)

    def _note_distribution(self, uuid: str, value: Mapping[str, Json]) -> None:
        """Keep its words; of a thing that stands twice with different ones there are none."""
        words = {name: item for name, item in value.items() if name in _SAID}
        if self._distributions.setdefault(uuid, words) != words:
            self._distributions[uuid] = {"distribution": "0"}

    def _read_nested(self, value: Mapping[str, Json], outer: Restriction, place: str) -> dict[str, Json]:
        """The part without what hangs on it and is deleted; the rest is as strict as the part and as itself."""
        kept = {name: item for name, item in value.items() if name not in _CORRELATED}
        for kind in HANGING:
            listed = value.get(kind)
            if isinstance(listed, list):
                found = [self._read_hanging(item, outer, f"{place}/{kind}/{at}") for at, item in enumerate(listed)]
                kept[kind] = [item for item in found if item is not None]
        return kept

    def _read_hanging(self, item: Json, outer: Restriction, place: str) -> Json:
        if not isinstance(item, dict) or ("deleted" in item and not _is_no(item["deleted"])):
            return None
        is_named = UUID.fullmatch(str(item.get("uuid"))) is not None
        if not is_named and place.split("/")[-2] != _GALAXY:
            # By its UUID is known what it becomes, and how far that may travel. A galaxy becomes nothing by itself.
            self._unread.append(Unread(place=place, reason="its uuid is missing, or none; export the event again"))
            return None
        said = join_restrictions(outer, self._read_tags(item))
        if "distribution" in item:
            said = join_restrictions(said, self._read_distribution(item, missing=False))
        if is_named:
            self._put(_name(item), said)
        return self._read_nested(item, said, place)

    def _read_distribution(self, value: Mapping[str, Json], *, missing: bool) -> Restriction:
        if missing and "distribution" not in value:
            return Restriction(audience=self._mapping.reach_level(MISSING))
        level = str(value.get("distribution", _INHERIT))
        if level == _INHERIT and not missing:
            return OPEN
        if level == _GROUP:
            return Restriction(audience=self._find_group(value))
        # The words of a mapping are no levels: what is none of MISP's own numbers reaches nobody.
        return Restriction(audience=self._mapping.reach_level(LEVELS[level]) if level in LEVELS else _ONLY_HERE)

    def _find_group(self, value: Mapping[str, Json]) -> frozenset[PartyId]:
        """Whom a sharing group reaches; one that is not known, or empty, reaches nobody."""
        group = value.get("SharingGroup")
        if not isinstance(group, dict):
            return _ONLY_HERE
        found = self._mapping.sharing_groups.get(str(group.get("uuid")).lower())
        if found is not None:
            return found
        members = group.get("SharingGroupOrg")
        organisations = [
            one.get("Organisation") for one in (members if isinstance(members, list) else ()) if isinstance(one, dict)
        ]
        names = [str(one.get("uuid")).lower() for one in organisations if isinstance(one, dict)]
        known = self._mapping.organisations
        return frozenset(known[name] for name in names if name in known)

    def _read_tags(self, value: Mapping[str, Json]) -> Restriction:
        """What its tags restrict. Two levels of one scale contradict each other: a foreign marking says so."""
        names = [*dict.fromkeys(_list_tags(value))]
        self._read += len(names)
        if _UNREADABLE in names:
            return Restriction(foreign=frozenset({_UNREADABLE}))
        if len(names) > _MOST_TAGS:
            return Restriction(foreign=frozenset({f"more than {_MOST_TAGS} tags"}))
        tlp = sorted({_TLP[name] for name in names if name in _TLP}, key=TLP_LEVELS.index)
        pap = sorted({_PAP[name] for name in names if name in _PAP})
        foreign = {name for name in names if is_foreign(name)}
        foreign |= {f"contradictory: {', '.join(levels)}" for levels in (tlp, pap) if len(levels) > 1}
        levels = [Restriction(tlp=level) for level in tlp] + [Restriction(pap=level) for level in pap]
        return join_restrictions(Restriction(foreign=frozenset(foreign)), *levels)


def leave_plain_tags(value: Mapping[str, Json]) -> list[Json]:
    """The tags of an event or a part of one that are no markings, and that MISP gives on."""
    tags = value.get("Tag")
    return [tag for tag in (tags if isinstance(tags, list) else ()) if _is_given_on(tag)]


_UNREADABLE: Final = "a tag that cannot be read"


def _list_tags(value: Mapping[str, Json]) -> Iterator[str]:
    """The names of all tags, folded; `_UNREADABLE` for what is none."""
    for key in ("Tag", *_WRAPPED):
        tags = value.get(key)
        if tags is None:
            continue
        for tag in tags if isinstance(tags, list) else (tags,):
            inner = tag.get("Tag", tag) if isinstance(tag, dict) else tag
            name = _name_tag(inner) if isinstance(tags, list) else None
            yield _UNREADABLE if name is None else name


def _name_tag(tag: Json) -> str | None:
    """The name of a tag, folded."""
    name = tag.get("name") if isinstance(tag, dict) else None
    if not isinstance(name, str) or len(name) > _LONGEST_TAG:
        return None
    return fold_tag(name)


def fold_tag(name: str) -> str:
    """A tag without what only looks different: width, case, signs that do not show."""
    plain = unicodedata.normalize("NFKC", name)
    return "".join(sign for sign in plain if unicodedata.category(sign) != "Cf").strip().lower()


def is_foreign(name: str) -> bool:
    """Whether a tag, folded, restricts in a way that has no scale here."""
    if name in _TLP or name in _PAP or name in _PAP_OPEN:
        return False
    space, predicate = (re.split("[:=]", f"{name}:", maxsplit=2)[place].strip() for place in (0, 1))
    return (
        space in _RESTRICTING
        or f"{space}:{predicate}" in _RESTRICTING_PREDICATES
        or _SCALE.search(name) is not None
        or _CAVEATS.search(name) is not None
        or name in _WHOLE
        or _is_nearly_level(name)
    )


def _is_nearly_level(name: str) -> bool:
    """Whether it ends as a level does, of a scale that is nearly TLP: misspelt, or in letters that look like others."""
    found = _LEVEL.fullmatch(name)
    if found is None:
        return False
    letters = "".join(sign for sign in found["scale"] if sign.isalpha())
    return not letters.isascii() or _MISSPELT.fullmatch(letters) is not None


def _is_given_on(tag: Json) -> bool:
    name = _name_tag(tag)
    if name is None or not isinstance(tag, dict):
        return False
    marks = name in _TLP or name in _PAP or is_foreign(name)
    return not marks and _is_no(tag.get("local")) and ("exportable" not in tag or _is_yes(tag["exportable"]))


def _is_yes(value: Json) -> bool:
    return value is True or (isinstance(value, int | str) and str(value).strip().lower() in {"1", "true"})


def _is_no(value: Json) -> bool:
    return value in (None, False) or (isinstance(value, int | str) and str(value).strip().lower() in {"0", "false", ""})


def _find_part_problem(item: Json, kind: str) -> str | None:
    """Why it is no attribute or object that can be converted; None if it is one."""
    if not isinstance(item, dict):
        return "not a JSON object"
    if UUID.fullmatch(str(item.get("uuid"))) is None:
        return "its uuid is missing, or none"
    wanted = ("type", "value") if kind == "Attribute" else ("name",)
    if missing := next((name for name in wanted if not isinstance(item.get(name), str)), None):
        return f"{missing} must be a text"
    at = item.get("timestamp", "0")
    if isinstance(at, bool) or _NUMBER.fullmatch(str(at)) is None:
        return "timestamp must be seconds since 1970"
    return None


def _name(item: Json) -> str:
    assert isinstance(item, dict)  # noqa: S101 (it was read as one)
    return str(item["uuid"]).lower()
