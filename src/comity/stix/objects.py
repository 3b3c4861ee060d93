# SPDX-License-Identifier: Apache-2.0
"""Pure: a received STIX 2.1 object, its bytes kept, and the few fields that Comity reads.

    parse_object(b'{"type":"tool","spec_version":"2.1","id":"tool--…","created":…,"modified":…,"name":"VNC"}')
        -> (StixObject(id="tool--…", type="tool", version="2016-04-06T20:03:48.000Z", references=frozenset(), …), {…})
    parse_bundle(b'{"type":"bundle","id":"bundle--…","objects":[…]}')
        -> ParsedBundle(good=((object, value), …), bad=(BadObject(index=12, where="/objects/12/modified", …),))

An object is refused only for what would make a later decision wrong: an identity or version that is not clear, a
reference or a marking that cannot be read. The rest of what STIX asks of each type is checked in `stix.validation`.
Tags are read in `stix.labels`.
"""

from collections.abc import Generator, Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate, chain, repeat, takewhile
from typing import Final, NamedTuple, TypeAlias

from comity.canonical import (
    BUNDLE_LIMITS,
    OBJECT_LIMITS,
    Json,
    Member,
    parse_json,
    sha256_digest,
    split_members,
)
from comity.certain import read_all_certain
from comity.errors import MalformedError, MalformedJson, MalformedObject
from comity.gradual import split_members_in_steps
from comity.ids import Digest, Instant, ObjectId, is_object_id, parse_instant, parse_object_id
from comity.stix.definitions import check_tlp_definition, is_statement
from comity.stix.envelopes import MARKED_WHOLE, find_marking_of_all, split_objects
from comity.stix.markings import STATEMENT, TLP_IDS, read_markings
from comity.stix.usual import SDO_SRO, read_plain_references, read_usual
from comity.stix.ways import find_references, format_pointer

__all__ = [
    "MAX_BUNDLE_OBJECTS",
    "UNVERSIONED",
    "BadObject",
    "BundleReading",
    "ParsedBundle",
    "StixObject",
    "find_statements",
    "join_bundles",
    "parse_bundle",
    "parse_object",
]

MAX_BUNDLE_OBJECTS: Final = 100_000
"""Objects in one bundle; the largest public one (MITRE ATT&CK Enterprise) holds about 25,000."""

UNVERSIONED: Final = "1970-01-01T00:00:00.000Z"
"""The version of an object that has neither `modified` nor `created` (most SCOs); TAXII 2.1 asks for a fixed one."""

_UNVERSIONED_AT: Final = Instant(0)

_SHOWN = 80
# STIX 2.1 §3.2: what each object of these types carries.
_REQUIRED_TIMES: Final = dict.fromkeys(SDO_SRO, ("created", "modified")) | {"marking-definition": ("created",)}


class StixObject(NamedTuple):
    """One version of an object; `data` are the received bytes and `digest` is their SHA-256.

    `version` is the received text of `modified`, else of `created`, else `UNVERSIONED`. `references` are the ids in
    every property named `*_ref` or `*_refs` at any depth, without the object's own id and the predefined TLP markings.
    """

    id: ObjectId
    type: str
    spec_version: str
    version: str
    created: Instant | None
    modified: Instant | None
    references: frozenset[ObjectId]
    revoked: bool
    digest: Digest
    data: bytes

    @property
    def version_at(self) -> Instant:
        """The time that `version` says."""
        if self.modified is not None:
            return self.modified
        return _UNVERSIONED_AT if self.created is None else self.created


_Parsed: TypeAlias = tuple[StixObject, dict[str, Json]]


@dataclass(frozen=True, slots=True, kw_only=True)
class BadObject:
    """An object that cannot be kept: its place (`index` from 0, `where` a JSON pointer), its id if legible, and why."""

    index: int
    id: ObjectId | None
    where: str
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ParsedBundle:
    """What a bundle held, in its order: objects that can be kept, each with its parsed JSON, and those that cannot.

    `places` are the positions in the bundle of `good`, from 0. `repeats` are those of exact repeats, each with the one
    of the first. `others` are of `bad` those that are a version in other bytes than the first, each behind its place.
    """

    good: tuple[tuple[StixObject, dict[str, Json]], ...]
    places: tuple[int, ...]
    bad: tuple[BadObject, ...]
    repeats: tuple[tuple[int, int], ...] = ()
    others: tuple[tuple[int, _Parsed], ...] = ()


def parse_object(data: bytes) -> tuple[StixObject, dict[str, Json]]:
    """The object that `data` is, and its parsed JSON.

    Raises:
        MalformedJson: not strict JSON, or over `OBJECT_LIMITS`.
        MalformedObject: not an object whose identity, version, references and markings are clear; `where` is the
            JSON pointer.
    """
    value = _parse_members(data)
    return _read_object(value, data), value


def parse_bundle(data: bytes, *, most: int | None = None) -> ParsedBundle:
    """The objects of a STIX bundle, of a TAXII envelope {"objects": […]}, or the one object that `data` is.

    One bad object never spoils the others. Exact repeats count once; a second object with the id and version of an
    earlier one and other bytes is bad. A TAXII envelope may be empty, a bundle may not. What holds over `most` objects
    (`MAX_BUNDLE_OBJECTS`) is refused before any of them is read: each costs, whatever it is.

    Raises:
        MalformedJson: the bundle as a whole is not JSON (truncated, for example), or over `BUNDLE_LIMITS`.
        MalformedObject: it holds no object, or more than `most`.
    """
    reading = BundleReading(data, most=MAX_BUNDLE_OBJECTS if most is None else most)
    return reading.parse(reading.count)


class BundleReading:
    """A bundle that is parsed some objects at a time, so that others get a turn in between: `parse_bundle` in steps.

    `count` objects are in it, good or bad.
    """

    @classmethod
    def in_steps(cls, data: bytes) -> Generator[None, None, "BundleReading"]:
        """`BundleReading(data)`, with a pause wherever others may get a turn."""
        most, array = MAX_BUNDLE_OBJECTS, "objects"
        try:
            others, members = yield from split_members_in_steps(data, array=array, limits=BUNDLE_LIMITS, most=most)
        except MalformedJson as error:
            return cls(data, opened=_open_alone(data, error))
        return cls(data, opened=_check_bundle(data, others, members, most=most))

    def __init__(
        self,
        data: bytes,
        *,
        most: int = MAX_BUNDLE_OBJECTS,
        beside: int | None = None,
        opened: "_Opened | None" = None,
    ) -> None:
        """Find where each object ends; over `most` of them are refused before any is read.

        Of who may have made the bytes so that this takes long, over `beside` of them are read as `split_objects` does.

        Raises:
            MalformedJson, MalformedObject: as `parse_bundle`.
        """
        self._alone, self._members = opened or _open_bundle(data, most=most, beside=beside)
        self._next = 0
        # By time and not by text: "…:00Z" and "…:00.000Z" are one version, and may not be two objects.
        self._seen: dict[tuple[ObjectId, Instant], tuple[int, Digest]] = {}
        self.count = 1 if self._alone is not None else len(self._members)

    def is_done(self) -> bool:
        """Whether nothing is left to be parsed."""
        return self._alone is None and self._next == len(self._members)

    def parse(self, most: int, *, most_bytes: int | None = None) -> ParsedBundle:
        """The next `most` objects, or as many as have `most_bytes`, but one at least; empty at the end."""
        if self._alone is not None:
            alone, self._alone = self._alone, None
            return ParsedBundle(good=(alone,), places=(0,), bad=())
        members = self._members[self._next : self._next + most]
        if most_bytes is not None:
            sizes = accumulate(len(member.data) for member in members)
            members = members[: max(1, sum(1 for _ in takewhile(most_bytes.__ge__, sizes)))]
        self._next += len(members)
        return self._collect(members)

    def _collect(self, members: Sequence[Member]) -> ParsedBundle:
        good: list[tuple[StixObject, dict[str, Json]]] = []
        places: list[int] = []
        bad: list[BadObject] = []
        repeats: list[tuple[int, int]] = []
        others: list[tuple[int, _Parsed]] = []
        read = _parse_quickly([member.data for member in members])
        for member, quick in zip(members, read, strict=False):
            value = quick if isinstance(quick, dict) else None
            try:
                if value is None:
                    value = _parse_members(member.data)
                found = _read_object(value, member.data)
                first, digest = self._seen.setdefault((found.id, found.version_at), (member.index, found.digest))
                if first == member.index:
                    good.append((found, value))
                    places.append(member.index)
                elif digest != found.digest:
                    others.append((first, (found, value)))
                    raise _differing_repeat(found)
                else:
                    repeats.append((member.index, first))
            except MalformedError as error:
                bad.append(_describe(error, member.index, value))
        return ParsedBundle(
            good=tuple(good), places=tuple(places), bad=tuple(bad), repeats=tuple(repeats), others=tuple(others)
        )


def join_bundles(parts: Sequence[ParsedBundle]) -> ParsedBundle:
    """What the parts of one bundle held, in its order."""
    return ParsedBundle(
        good=tuple(chain.from_iterable(part.good for part in parts)),
        places=tuple(chain.from_iterable(part.places for part in parts)),
        bad=tuple(chain.from_iterable(part.bad for part in parts)),
        repeats=tuple(chain.from_iterable(part.repeats for part in parts)),
        others=tuple(chain.from_iterable(part.others for part in parts)),
    )


def find_statements(found: Iterable[tuple[StixObject, dict[str, Json]]]) -> dict[ObjectId, str]:
    """The statement definitions among objects and their JSON, for `read_markings` (STIX 2.1 §7.2.1.3)."""
    return {item.id: STATEMENT for item, value in found if item.type == "marking-definition" and is_statement(value)}


_Opened = tuple[_Parsed | None, tuple[Member, ...]]
"""The one object that some bytes are, or what a bundle or an envelope holds, each still to be parsed."""


def _open_bundle(data: bytes, *, most: int, beside: int | None) -> _Opened:
    try:
        if beside is None:
            others, members = split_members(data, array="objects", limits=BUNDLE_LIMITS, most=most)
        else:
            others, members = split_objects(data, limits=BUNDLE_LIMITS, most=most, beside=beside)
    except MalformedJson as error:
        return _open_alone(data, error)
    return _check_bundle(data, others, members, most=most)


def _open_alone(data: bytes, error: MalformedJson) -> _Opened:
    """One observed-data object may carry a dictionary where a bundle has its list (STIX 2.1 §4.14, deprecated)."""
    if error.where != "/objects":
        raise error
    value = _parse_members(data)
    if value.get("type", "bundle") == "bundle":
        raise error
    return (_read_object(value, data), value), ()


def _check_bundle(data: bytes, others: dict[str, Json], members: tuple[Member, ...], *, most: int) -> _Opened:
    if others.get("type", "bundle") != "bundle":
        return parse_object(data), ()
    if (marking := find_marking_of_all(others)) is not None:
        raise MalformedObject(MARKED_WHOLE, where=f"/{marking}")
    if not members and others.keys() - {"more", "next"}:
        raise MalformedObject(
            "no object is in it; send a STIX 2.1 bundle with a list `objects` that is not empty, or one object with "
            "its `type`",
            where="/objects" if "type" in others else "/type",
        )
    if len(members) > most:
        raise MalformedObject(
            f"over {most} objects are in it, which is the bound; split it, send 1 to {most} at once", where="/objects"
        )
    return None, members


def _differing_repeat(found: StixObject) -> MalformedObject:
    return MalformedObject(
        f"{found.id} of version {found.version} is in this bundle twice, with different bytes; keep one, or give the "
        "newer one a later `modified`",
        where="/id",
    )


def _describe(error: MalformedError, index: int, value: dict[str, Json] | None) -> BadObject:
    # A place in the text of one element (line:column) is no place in the bundle; the detail still says it.
    inside = error.where.rstrip("/") if error.where.startswith("/") else ""
    return BadObject(index=index, id=_read_legible_id(value), where=f"/objects/{index}{inside}", detail=error.detail)


def _read_legible_id(value: dict[str, Json] | None) -> ObjectId | None:
    text = None if value is None else value.get("id")
    if not isinstance(text, str):
        return None
    try:
        return parse_object_id(text)
    except MalformedError:
        return None


def _parse_quickly(elements: Sequence[bytes]) -> Iterable[object]:
    """What each element is, or nothing where each has to be read for itself."""
    bounds = OBJECT_LIMITS
    read = read_all_certain(
        elements, max_bytes=bounds.max_bytes, max_depth=bounds.max_depth, max_items=bounds.max_items
    )
    return read or repeat(None)


def _parse_members(data: bytes) -> dict[str, Json]:
    value = parse_json(data, limits=OBJECT_LIMITS)
    if not isinstance(value, dict):
        raise MalformedObject(f"{_show(value)} is not a JSON object; a STIX object is one", where="/")
    return value


def _read_object(value: dict[str, Json], data: bytes) -> StixObject:
    """The fields that Comity reads, each check with the rule it enforces."""
    usual = read_usual(value, data)
    if usual is not None:
        name, kind, first, last, others, ended = usual
        said, digest = str(value["modified"]), sha256_digest(data)
        return StixObject(name, kind, "2.1", said, first, last, others, ended, digest, data)
    object_type = _read_type(value)
    object_id = _read_id(value, object_type)
    _check_spec_version(value, object_type)
    created = _read_time(value, "created", object_type)
    # A first version says the same time twice.
    same = created is not None and value.get("modified") == value["created"]
    modified = created if same else _read_time(value, "modified", object_type)
    if created is not None and modified is not None and modified < created:
        raise MalformedObject(
            "modified is earlier than created (STIX 2.1 §3.6 forbids it); correct one of them", where="/modified"
        )
    check_tlp_definition(value)
    # Read here only to refuse on arrival what could not be labelled later; definitions change no form.
    read_markings(value, definitions={})
    references = _read_references(value, data)
    version = value.get("modified", value.get("created", UNVERSIONED))
    return StixObject(
        object_id,
        object_type,
        "2.1",
        str(version),
        created,
        modified,
        references - {object_id} if object_id in references else references,
        _read_revoked(value),
        sha256_digest(data),
        data,
    )


def _read_type(value: dict[str, Json]) -> str:
    object_type = value.get("type")
    if not isinstance(object_type, str) or not object_type:
        raise MalformedObject("type is missing or not text; every STIX object names its type", where="/type")
    if object_type == "bundle":
        raise MalformedObject(
            "a bundle cannot be one of the objects; put its objects into the outer list", where="/type"
        )
    return object_type


def _read_id(value: dict[str, Json], object_type: str) -> ObjectId:
    text = value.get("id")
    if not isinstance(text, str):
        raise MalformedObject("id is missing or not text; give type--uuid", where="/id")
    if is_object_id(text) and text.startswith(f"{object_type}--"):
        return ObjectId(text)
    object_id = _parse_id(text, where="/id")
    named = object_id.partition("--")[0]
    if named != object_type:
        raise MalformedObject(
            f"id names the type {named!r}, type says {_show(object_type)}; they must be equal (STIX 2.1 §2.9)",
            where="/id",
        )
    return object_id


def _parse_id(text: str, *, where: str) -> ObjectId:
    try:
        return parse_object_id(text)
    except MalformedError:
        raise MalformedObject(
            f"{_show(text)} is not a STIX identifier; give type--uuid in lower case (STIX 2.1 §2.9)", where=where
        ) from None


def _check_spec_version(value: dict[str, Json], object_type: str) -> None:
    if "spec_version" not in value:
        # STIX 2.1 §3.2: SCOs may leave it out. Nothing with a version of its own may: that is how STIX 2.0 looks.
        if object_type not in _REQUIRED_TIMES and not value.keys() & {"created", "modified"}:
            return
        raise MalformedObject(
            'spec_version is missing, as in STIX 2.0; convert the object to STIX 2.1 and say "spec_version": "2.1"',
            where="/spec_version",
        )
    if value["spec_version"] != "2.1":
        raise MalformedObject(
            f"spec_version {_show(value['spec_version'])} is not understood; convert the object to STIX 2.1",
            where="/spec_version",
        )


def _read_time(value: dict[str, Json], name: str, object_type: str) -> Instant | None:
    if name not in value:
        if name in _REQUIRED_TIMES.get(object_type, ()):
            raise MalformedObject(f"{name} is missing; STIX 2.1 §3.2 requires it of {object_type}", where=f"/{name}")
        return None
    text = value[name]
    if not isinstance(text, str):
        raise MalformedObject(f"{name} is not text; give YYYY-MM-DDTHH:MM:SS.sssZ", where=f"/{name}")
    try:
        return parse_instant(text)
    except MalformedError as error:
        raise MalformedObject(f"{name}: {error.detail}; give a time in UTC", where=f"/{name}") from None


def _read_revoked(value: dict[str, Json]) -> bool:
    revoked = value.get("revoked", False)
    if not isinstance(revoked, bool):
        raise MalformedObject(f"revoked is {_show(revoked)}; give true or false", where="/revoked")
    return revoked


def _read_references(value: dict[str, Json], data: bytes) -> frozenset[ObjectId]:
    """The ids in every `*_ref` and `*_refs`; one that cannot be read is refused, for it might be a reference."""
    plain = read_plain_references(value, data)
    if plain is not None:
        return plain
    found: set[ObjectId] = set()
    for path, item in find_references(value):
        name, where = str(path[-1]), format_pointer(path)
        listed = name.endswith("s")
        if listed and not isinstance(item, list):
            raise MalformedObject(f"{_show(item)} is not a list of STIX identifiers; give one", where=where)
        for index, one in enumerate(item if isinstance(item, list) and listed else (item,)):
            # The TLP definitions are the same everywhere and need not be held or released to be understood.
            known = isinstance(one, str) and one in TLP_IDS and name in {"object_marking_refs", "marking_ref"}
            # An empty text can name nothing; MITRE ATT&CK publishes such references.
            if not known and (listed or one != ""):
                found.add(_read_reference(one, where=f"{where}/{index}" if listed else where))
    return frozenset(found)


def _read_reference(item: Json, *, where: str) -> ObjectId:
    if not isinstance(item, str):
        raise MalformedObject(f"{_show(item)} is not a STIX identifier; give type--uuid as text", where=where)
    return _parse_id(item, where=where)


def _show(value: Json) -> str:
    """The beginning of what was found, for a message."""
    text = repr(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
