# SPDX-License-Identifier: Apache-2.0
"""Pure: STIX 2.0 becomes STIX 2.1, object by object: ids, versions and markings kept (STIX 2.1 Appendix C).

    labels of indicator, malware, report, …          indicator_types, malware_types, report_types, …
    labels of identity                               roles
    malware                                          is_family is not said in 2.0: a family, with a note
    objects of observed-data                         objects of their own, and object_refs
    file created, process binary_ref, …              ctime, image_ref, …

An observable gets an id that follows from the observed-data, its version and its place there, and bears all markings
of it. What 2.1 has no place for is left out with a note. A granular marking of what moved or went counts for the whole
object: it restricts more, and nothing is lost. An object that says it is of 2.1 is left as it was received.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

from comity.canonical import OBJECT_LIMITS, Json, parse_json
from comity.errors import MalformedError, MalformedObject
from comity.ids import ObjectId
from comity.intake.cutting import Element, TooLong
from comity.intake.making import OBSERVABLES, Maker, format_object
from comity.intake.records import Converted, Record, Unread, pack
from comity.intake.stix import cut_elements, describe_too_long
from comity.stix.markings import TLP_IDS, add_markings, tlp_rank

__all__ = ["elevate", "read_stix_20"]

_SHOWN: Final = 80
_MOST_DEPTH: Final = 24

_TYPES_OF: Final[Mapping[str, str]] = {
    "identity": "roles",
    "indicator": "indicator_types",
    "malware": "malware_types",
    "report": "report_types",
    "threat-actor": "threat_actor_types",
    "tool": "tool_types",
}
"""Where 2.1 has what 2.0 said in `labels`."""

_RENAMED: Final[Mapping[str, Mapping[str, str]]] = {
    "directory": {"created": "ctime", "modified": "mtime", "accessed": "atime"},
    "file": {"created": "ctime", "modified": "mtime", "accessed": "atime"},
    "process": {"binary_ref": "image_ref", "created": "created_time"},
    "user-account": {"password_last_changed": "credential_last_changed"},
    "windows-registry-key": {"modified": "modified_time"},
}
_GONE: Final[Mapping[str, frozenset[str]]] = {
    "file": frozenset({"is_encrypted", "encryption_algorithm", "decryption_key"}),
    "process": frozenset({"name", "arguments"}),
}


def read_stix_20(chunks: Iterable[bytes], *, maker: Maker) -> Iterator[Converted]:
    """Each object as a record of its own, an observed-data with what it holds.

    Raises:
        MalformedFile: it is no bundle or object, or is cut short, at the place where that shows.
    """
    return pack(_read_element(f"/objects/{index}", one, maker) for index, one in enumerate(cut_elements(chunks)))


def _read_element(place: str, element: Element, maker: Maker) -> Record | Unread:
    if isinstance(element, TooLong):
        return describe_too_long(place, element)
    try:
        objects, notes = elevate(element, maker=maker)
    except MalformedError as error:
        return Unread(place=place, reason=f"{error.where}: {error.detail}".removeprefix(": "))
    return Record(place=place, objects=objects, notes=notes)


def elevate(element: bytes, *, maker: Maker) -> tuple[tuple[bytes, ...], tuple[str, ...]]:
    """One object of STIX 2.0 as objects of 2.1, those that it holds first, and what a person has to know of it.

    Raises:
        MalformedError: it is no JSON object with a type and an id, or what it refers to inside itself is not there.
    """
    value = parse_json(element, limits=OBJECT_LIMITS)
    if not isinstance(value, dict):
        raise MalformedObject("not a JSON object; a STIX object is one", where="/")
    kind, name = value.get("type"), value.get("id")
    if not isinstance(kind, str) or not isinstance(name, str):
        raise MalformedObject("`type` or `id` is missing or no text; every STIX object has both", where="/id")
    if value.get("spec_version") == "2.1":
        if maker.markings and kind != "marking-definition":
            raise MalformedObject(
                "it is of STIX 2.1, whose bytes are kept as they are: mark it in the file, or take it in without --tlp",
                where="/spec_version",
            )
        return (element,), ()
    notes = list[str]()
    said = _rename_labels(value, kind)
    if kind == "indicator":
        said.setdefault("pattern_type", "stix")
    if kind == "malware" and "is_family" not in said:
        said["is_family"] = True
        notes.append("STIX 2.0 does not say whether malware is a family: taken as one")
    held = said.pop("objects", None) if kind == "observed-data" else None
    _fold_granular(said, before=value, notes=notes)
    if kind != "marking-definition" and maker.markings:
        said["object_marking_refs"] = _add_markings(said.get("object_marking_refs"), maker.markings)
    observables = list[bytes]()
    if held is not None:
        observables, said["object_refs"] = _Holder(held, said, name, maker, notes).convert()
    ordered: dict[str, Json] = {"type": kind, "spec_version": "2.1", "id": name}
    return (*observables, format_object({**ordered, **said, "spec_version": "2.1"})), tuple(notes)


def _rename_labels(value: Mapping[str, Json], kind: str) -> dict[str, Json]:
    """The object, what 2.0 said in `labels` where 2.1 has it."""
    said = dict(value)
    target = _TYPES_OF.get(kind)
    if target is not None and target not in said and "labels" in said:
        said[target] = said.pop("labels")
    return said


def _fold_granular(said: dict[str, Json], *, before: Mapping[str, Json], notes: list[str]) -> None:
    """Markings of what is not where it was count for the whole object."""
    listed = said.get("granular_markings")
    if not isinstance(listed, list):
        return
    kept, folded = list[Json](), list[ObjectId]()
    for item in listed:
        selectors = item.get("selectors") if isinstance(item, dict) else None
        marking = item.get("marking_ref") if isinstance(item, dict) else None
        named = (
            [one.partition(".")[0] for one in selectors if isinstance(one, str)] if isinstance(selectors, list) else []
        )
        moved = [one for one in named if one in before and one not in said]
        if moved and isinstance(marking, str):
            folded.append(ObjectId(marking))
            notes.append(f"what marks {', '.join(moved)} in part marks all of the object: it is elsewhere in STIX 2.1")
        else:
            kept.append(item)
    if not folded:
        return
    # What is on several parts contradicts nothing: of their levels the strictest is that of all of them.
    strictest = max((TLP_IDS[one] for one in folded if one in TLP_IDS), key=tlp_rank, default=None)
    around = [one for one in dict.fromkeys(reversed(folded)) if TLP_IDS.get(one, strictest) == strictest]
    said["object_marking_refs"] = _add_markings(said.get("object_marking_refs"), around)
    said["granular_markings"] = kept
    if not kept:
        del said["granular_markings"]


def _add_markings(marked: Json, more: Sequence[ObjectId]) -> Json:
    """The list of markings with more; what is no list is left for whoever reads it to refuse."""
    if marked and not (isinstance(marked, list) and all(isinstance(one, str) for one in marked)):
        return marked
    own = [ObjectId(str(one)) for one in marked] if isinstance(marked, list) else []
    return [*add_markings(own, more)]


class _Holder:
    """The `objects` of an observed-data, becoming objects of their own."""

    def __init__(self, held: Json, said: Mapping[str, Json], name: str, maker: Maker, notes: list[str]) -> None:
        if not isinstance(held, dict) or not held:
            raise MalformedObject("`objects` is not a table of observables; give one at least", where="/objects")
        self._held = held
        self._maker = maker
        self._notes = notes
        self._marked: dict[str, Json] = (
            {"object_marking_refs": said["object_marking_refs"]} if "object_marking_refs" in said else {}
        )
        version = str(said.get("modified", ""))
        self._ids = {key: self._find_id(key, value, (name, version)) for key, value in held.items()}

    def convert(self) -> tuple[list[bytes], list[Json]]:
        """The observables, and what refers to all of them."""
        made = [self._convert(key, value) for key, value in self._held.items() if isinstance(value, dict)]
        return made, [*self._ids.values()]

    def _find_id(self, key: str, value: Json, holder: tuple[str, str]) -> ObjectId:
        kind = value.get("type") if isinstance(value, dict) else None
        if not isinstance(kind, str):
            raise MalformedObject("it has no `type`", where=f"/objects/{key[:_SHOWN]}")
        return self._maker.find_id(kind, ("stix-2.0", *holder, key))

    def _convert(self, key: str, value: Mapping[str, Json]) -> bytes:
        kind = str(value["type"])
        renamed, gone = _RENAMED.get(kind, {}), _GONE.get(kind, frozenset())
        said = dict[str, Json]()
        for name, item in value.items():
            if name in gone:
                self._notes.append(f"{kind} {key[:_SHOWN]}: {name} has no place in STIX 2.1 and is left out")
                continue
            said[renamed.get(name, name)] = self._resolve(name, item, where=f"/objects/{key[:_SHOWN]}", depth=0)
        if kind not in OBSERVABLES:
            self._notes.append(
                f"{kind[:_SHOWN]} {key[:_SHOWN]}: of a type that STIX 2.1 does not define; kept as it is"
            )
        head: dict[str, Json] = {"type": kind, "spec_version": "2.1", "id": self._ids[key]}
        return format_object({**head, **said, **self._marked})

    def _resolve(self, name: str, item: Json, *, where: str, depth: int) -> Json:
        """What stands under a name, with ids where it refers to others in the table by their key."""
        place = f"{where}/{name[:_SHOWN]}"
        if depth > _MOST_DEPTH:
            raise MalformedObject("it is nested too deep to be followed", where=place)
        if isinstance(item, dict):
            return {inner: self._resolve(inner, value, where=place, depth=depth + 1) for inner, value in item.items()}
        if name.endswith("_refs") and isinstance(item, list):
            return [self._refer(one, where=place) for one in item]
        if name.endswith("_ref"):
            return self._refer(item, where=place)
        if isinstance(item, list):
            return [self._resolve("", one, where=place, depth=depth + 1) for one in item]
        return item

    def _refer(self, key: Json, *, where: str) -> Json:
        if not isinstance(key, str) or key not in self._ids:
            raise MalformedObject(f"it refers to {str(key)[:_SHOWN]!r}, which is not in `objects`", where=where)
        return self._ids[key]
