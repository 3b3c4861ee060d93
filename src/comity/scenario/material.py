# SPDX-License-Identifier: Apache-2.0
"""Pure: the objects of a scenario, in a short form, become the STIX 2.1 bytes that its parties hold.

    report:                                             {"type": "report", "id": "report--…", "name": "report",
      {type: report, from: aurelia, tlp: amber,   ──▶    "object_refs": ["location--…"], "object_marking_refs": […],
       added: …, regions: [IQ], refers_to: [town]}       "extensions": {…: {"regions": ["IQ"]}}, …}

An id follows from the name, so that objects can name one another in any order. Tags are written into the object itself,
where its receivers read them too. Properties that STIX asks for and no decision depends on are filled in.
"""

import hashlib
import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass

from comity.agreement.reader import Reader
from comity.canonical import Json
from comity.errors import MalformedError, MalformedScenario
from comity.ids import Instant, PartyId, format_instant, parse_object_id
from comity.stix.labels import CLASSIFICATION_EXTENSION
from comity.stix.markings import (
    REQUIRED_PROPERTIES,
    TLP2_AMBER,
    TLP2_AMBER_STRICT,
    TLP2_CLEAR,
    TLP2_GREEN,
    TLP2_RED,
)
from comity.stix.objects import StixObject, parse_object
from comity.vocabulary import HANDLING, KINDS, PERSON_CLASSES, REGIONS, SPECIAL_CATEGORIES, STIX_TYPES, TLP_LEVELS, TYPE

__all__ = ["Item", "read_items"]

_MAX_OBJECTS = 200
_TLP = dict(zip(TLP_LEVELS, (TLP2_CLEAR, TLP2_GREEN, TLP2_AMBER, TLP2_AMBER_STRICT, TLP2_RED), strict=True))
_WORDS = {
    "regions": REGIONS,
    "kinds": KINDS,
    "person_classes": PERSON_CLASSES,
    "special_categories": SPECIAL_CATEGORIES,
    "handling": HANDLING,
}
_FILLED: Mapping[str, Mapping[str, Json]] = {
    "indicator": {"pattern": "[ipv4-addr:value = '198.51.100.7']", "pattern_type": "stix"},
    "malware": {"is_family": False},
    "note": {"content": "a note"},
    "opinion": {"opinion": "agree"},
    "observed-data": {"number_observed": 1},
    "relationship": {"relationship_type": "related-to"},
    "grouping": {"context": "unspecified"},
}
_DATED: Mapping[str, tuple[str, ...]] = {
    "indicator": ("valid_from",),
    "report": ("published",),
    "observed-data": ("first_observed", "last_observed"),
}
_ABOUT_SOMETHING = frozenset({"grouping", "note", "opinion", "report"})
"""What says of no other object what it is about is about itself: STIX asks for one, and no decision counts this one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One version of an object, by its name in the scenario; `originator` takes it in at `added`."""

    name: str
    originator: PartyId
    added: Instant
    object: StixObject
    value: dict[str, Json]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Names:
    """What objects call one another: the id of each, and when each began to exist."""

    ids: Mapping[str, str]
    created: Mapping[str, Instant]


def read_items(fields: Reader, parties: Mapping[PartyId, object]) -> tuple[Item, ...]:
    """The objects, in the order written.

    Raises:
        MalformedScenario: what is wrong, and where.
    """
    readers = dict(fields.entries("objects", most=_MAX_OBJECTS))
    names = _Names(ids={}, created={})
    ids, created = dict[str, str](), dict[str, Instant]()
    for name, reader in readers.items():
        inner = reader.open()
        if inner.has("updates"):
            earlier = inner.text("updates")
            if earlier not in ids:
                raise inner.refuse("updates", f"names an object written above it: {', '.join(ids) or 'there is none'}")
            ids[name], created[name] = ids[earlier], created[earlier]
        else:
            ids[name], created[name] = _name_id(inner, name), inner.instant("added")
    names = _Names(ids=ids, created=created)
    return tuple(_read_item(name, reader, names=names, parties=parties) for name, reader in readers.items())


def _name_id(fields: Reader, name: str) -> str:
    kind = _read_type(fields)
    if fields.has("id"):
        return fields.text("id")
    seed = hashlib.sha256(f"comity-scenario/1 object {name}".encode()).digest()
    return f"{kind}--{uuid.UUID(bytes=seed[:16], version=4)}"


def _read_type(fields: Reader) -> str:
    kind = fields.text("type")
    if TYPE.fullmatch(kind) is None or (kind not in STIX_TYPES and not kind.startswith("x-")):
        raise fields.refuse("type", f"{kind[:64]!r} is no type of STIX 2.1; a type of your own begins with 'x-'")
    return kind


def _read_item(name: str, reader: Reader, *, names: _Names, parties: Mapping[PartyId, object]) -> Item:
    fields = reader.open()
    added, originator = fields.instant("added"), fields.party("from", parties)
    kind = names.ids[name].partition("--")[0]
    if fields.has("type") and fields.text("type") != kind:
        raise fields.refuse("type", f"must be {kind}, which the id says")
    fields.has("updates"), fields.has("id")
    value: dict[str, Json] = {
        "type": kind,
        "spec_version": "2.1",
        "id": names.ids[name],
        "created": format_instant(names.created[name]),
        "modified": format_instant(added),
        **({"name": name} if "name" in REQUIRED_PROPERTIES.get(kind, ()) else {}),
        **_FILLED.get(kind, {}),
        **dict.fromkeys(_DATED.get(kind, ()), format_instant(added)),
    }
    if fields.has("statement"):
        value |= {"definition_type": "statement", "definition": {"statement": fields.text("statement")}}
    value |= _read_refs(fields, names) | _read_tags(fields)
    if fields.has("country"):
        value["country"] = fields.word("country", REGIONS)
    value |= _read_more(fields)
    if kind in _ABOUT_SOMETHING:
        value.setdefault("object_refs", [names.ids[name]])
    if kind == "location" and not value.keys() & {"country", "region", "latitude"}:
        value |= {"latitude": 0, "longitude": 0}
    value |= _read_markings(fields, names) | _read_granular(fields, value)
    if kind == "marking-definition":
        value.pop("modified")
    fields.close()
    return _parse(value, reader.where, name=name, originator=originator, added=added)


def _parse(value: dict[str, Json], where: str, *, name: str, originator: PartyId, added: Instant) -> Item:
    data = json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
    try:
        found, parsed = parse_object(data)
    except MalformedError as error:
        raise MalformedScenario(f"{name} is no STIX object that can be kept: {error.detail}", where=where) from error
    return Item(name=name, originator=originator, added=added, object=found, value=parsed)


def _read_more(fields: Reader) -> dict[str, Json]:
    """Properties of STIX as they are; the places of references and markings have words of their own."""
    if not fields.has("stix"):
        return {}
    more = fields.item("stix").value
    if not isinstance(more, dict):
        raise fields.refuse("stix", "must be a table of STIX properties")
    return more


def _read_refs(fields: Reader, names: _Names) -> dict[str, Json]:
    found: dict[str, Json] = {}
    if fields.has("refers_to"):
        found["object_refs"] = [_find_id(fields, "refers_to", name, names) for name in _list(fields, "refers_to")]
    for prop, reader in fields.entries("refs", most=16):
        match reader.value:
            case str(name):
                found[prop] = _find_id(fields, "refs", name, names)
            case list(listed):
                found[prop] = [_find_id(fields, "refs", str(name), names) for name in listed]
            case _:
                raise fields.refuse("refs", f"{prop} names an object, or a list of objects")
    return found


def _list(fields: Reader, name: str) -> list[str]:
    """The texts of a list, in the order written."""
    fields.texts(name, least=1)
    value = fields.item(name).value
    return [str(item) for item in value] if isinstance(value, list) else []


def _find_id(fields: Reader, field: str, name: str, names: _Names) -> Json:
    """The id of the object `name`; a STIX id stands for itself, and may be one that nobody holds."""
    if name in names.ids:
        return names.ids[name]
    try:
        return parse_object_id(name)
    except MalformedError:
        known = ", ".join(names.ids)
        raise fields.refuse(field, f"{name[:64]!r} is no object of the scenario ({known}), and no STIX id") from None


def _read_tags(fields: Reader) -> dict[str, Json]:
    said: dict[str, Json] = {}
    if fields.has("subjects"):
        said["subjects"] = list[Json](sorted(fields.texts("subjects")))
    for field, words in _WORDS.items():
        if fields.has(field):
            said[field] = list[Json](sorted(fields.words(field, words)))
    if not said:
        return {}
    return {"extensions": {CLASSIFICATION_EXTENSION: {"extension_type": "property-extension", **said}}}


def _read_markings(fields: Reader, names: _Names) -> dict[str, Json]:
    refs: list[Json] = []
    if fields.has("tlp"):
        refs.append(_TLP[fields.word("tlp", TLP_LEVELS)])
    if fields.has("markings"):
        refs += [_find_id(fields, "markings", name, names) for name in _list(fields, "markings")]
    return {"object_marking_refs": refs} if refs else {}


def _read_granular(fields: Reader, value: dict[str, Json]) -> dict[str, Json]:
    """Property → TLP; a property that is not there yet is there then."""
    marks: list[Json] = []
    texts: dict[str, Json] = {}
    for prop, reader in fields.entries("granular", most=16):
        level = reader.value
        if not isinstance(level, str) or level not in _TLP:
            raise fields.refuse("granular", f"{prop} has a TLP level: {', '.join(TLP_LEVELS)}")
        if prop not in value:
            texts[prop] = f"the {prop}"
        marks.append({"marking_ref": _TLP[level], "selectors": [prop]})
    return texts | ({"granular_markings": marks} if marks else {})
