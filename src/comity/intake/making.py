# SPDX-License-Identifier: Apache-2.0
"""Pure: STIX 2.1 objects made of what other formats say: ids that follow from content, the markings of all around.

    maker = Maker(party=PartyId("aurelia"), at=now, markings=(TLP2_AMBER,))
    maker.make("identity", ("un-list", "QDi.901"), {"name": "Ondrej Fictional", "identity_class": "individual"})
        -> Made("identity--…", b'{"type":"identity","spec_version":"2.1","id":"identity--…","created":…,"name":…}')

The id of an object follows from this party and from the key that its reader gives: what names the record for good, such
as its number in a list. So the same record read again is the same object, and two parties that read one list make two
objects, each its own. Which version it is follows from what is held (`renew`): its times are those of the first reading
of this content, and a changed record is a new version.

STIX Cyber-observable Objects have no versions. The id of one follows from all that is said in it, its markings too:
what is said otherwise is another object. It is not the id of STIX 2.1 §2.9, under which the same address with a
stricter marking could not be kept beside it (ADR 0074).

Not checked here: whether what is made is as STIX says (`stix.validation`, on its way into the store).
"""

import json
import uuid
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from comity.canonical import OBJECT_LIMITS, Json, canonical_bytes, parse_json
from comity.errors import MalformedJson, MalformedObject
from comity.ids import Instant, ObjectId, PartyId, format_instant, parse_instant
from comity.stix.markings import add_markings
from comity.stix.tags import CLASSIFICATION_EXTENSION, Tags, make_tags

__all__ = ["OBSERVABLES", "Made", "Maker", "format_object", "join_marked", "renew"]

_NAMESPACE: Final = uuid.UUID("06c56a66-2cab-464a-8016-09f68e038e85")
"""Of all that Comity makes of files; each party has its own inside it."""

OBSERVABLES: Final = frozenset(
    {
        "artifact",
        "autonomous-system",
        "directory",
        "domain-name",
        "email-addr",
        "email-message",
        "file",
        "ipv4-addr",
        "ipv6-addr",
        "mac-addr",
        "mutex",
        "network-traffic",
        "process",
        "software",
        "url",
        "user-account",
        "windows-registry-key",
        "x509-certificate",
    }
)
"""The types of STIX Cyber-observable Objects (STIX 2.1 §6)."""

_TIMES: Final = frozenset({"created", "modified"})
_UNORDERED: Final = frozenset({"labels", "object_refs"})
"""Lists whose order says nothing (STIX 2.1 §3.2, §4)."""

_MILLISECOND: Final = 1_000
_SECOND: Final = 1_000_000
_UNTAGGED: Final = make_tags()


class Made(NamedTuple):
    """An object that was made, as JSON text."""

    id: ObjectId
    data: bytes


class Maker:
    """Makes the objects of one file that was retrieved by `party` at `at`; `markings` hold on all of them."""

    def __init__(self, *, party: PartyId, at: Instant, markings: Sequence[ObjectId] = ()) -> None:
        self.party = party
        self.at = at
        self.markings = tuple(dict.fromkeys(markings))
        self._namespace = uuid.uuid5(_NAMESPACE, party)

    @property
    def written_at(self) -> str:
        """When the file was retrieved, as it stands in `created`: what says so is not what makes a new version."""
        return format_instant(self.at)

    def find_id(self, kind: str, key: Sequence[str]) -> ObjectId:
        """The id of an object of type `kind` that is known by `key`; not that of an observable.

        Raises:
            MalformedObject: the key holds what is no text.
        """
        return self._name(kind, [*key])

    def make(
        self,
        kind: str,
        key: Sequence[str],
        properties: Mapping[str, Json],
        *,
        markings: Sequence[ObjectId] = (),
        tags: Tags = _UNTAGGED,
    ) -> Made:
        """The object: a version of `find_id(kind, key)`, or an observable, for which `key` counts nothing.

        `markings` come to those of the file, and of all their levels the strictest holds (`stix.markings`). `tags` come
        to what `properties` say in the classification extension. A property that is None is left out.

        Raises:
            MalformedObject: a property holds what is no JSON, or no text.
        """
        said: dict[str, Json] = {name: value for name, value in properties.items() if value is not None}
        # A definition says what a marking is, the same whatever file it came with: it bears none of them.
        marked = [] if kind == "marking-definition" else add_markings(markings, self.markings)
        if marked:
            said["object_marking_refs"] = [*marked]
        if tags != _UNTAGGED:
            said["extensions"] = _add_tags(said.get("extensions"), tags)
        head: dict[str, Json] = {"type": kind, "spec_version": "2.1"}
        if kind in OBSERVABLES:
            name = self._name(kind, said)
            return Made(name, format_object({**head, "id": name, **said}))
        name, at = self.find_id(kind, key), self.written_at
        times: dict[str, Json] = {"created": at} if kind == "marking-definition" else {"created": at, "modified": at}
        return Made(name, format_object({**head, "id": name, **times, **said}))

    def _name(self, kind: str, content: Json) -> ObjectId:
        named = _write_content([kind, content])
        return ObjectId(f"{kind}--{uuid.uuid5(self._namespace, named)}")


def _write_content(value: Json) -> str:
    """One text for one content.

    Raises:
        MalformedObject: it has none.
    """
    try:
        return canonical_bytes(value).decode()
    except MalformedJson as error:
        raise MalformedObject(error.detail) from None


def format_object(value: Mapping[str, Json]) -> bytes:
    """The object as JSON text, its members in their order.

    Raises:
        MalformedObject: it holds what is no JSON, or no text.
    """
    try:
        return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()
    except (ValueError, RecursionError) as error:
        raise MalformedObject(f"what was read cannot be written as JSON: {error}") from None


def renew(made: bytes, held: bytes, *, at: Instant) -> bytes:
    """The version that `made` is beside `held`, the newest one of its id: `held` itself where both say the same.

    Else it has the `created` of `held`, and a `modified` that is `at`, or later than that of `held`. What says when it
    was read says when it was read first.

    Raises:
        MalformedError: either is not one JSON object with times.
    """
    new, old = _read(made), _read(held)
    read_at, first = new.get("created"), old.get("created")
    if _bare(new) == _bare(old):
        return held
    if "modified" not in new or "modified" not in old:
        return made
    last = parse_instant(str(old["modified"]))
    modified = format_instant(Instant(max(at, last + _MILLISECOND)))
    return format_object(
        {**{name: first if value == read_at else value for name, value in new.items()}, "modified": modified}
    )


def join_marked(made: bytes, others: Sequence[bytes]) -> bytes:
    """The version that `made` is beside `others` of its id: of those in its second that say the same, as strict as all.

    A converter knows the time of a thing to the second alone, and makes the same of it in a strict event and an open
    one, but for the markings. Where the newest of `others` bears all that `made` does it is that one; else a version
    just behind it, with the markings of both. It is `made` where there are none of its second.

    Raises:
        MalformedError: one is not one JSON object with times.
    """
    new = _read(made)
    if "modified" not in new:
        return made
    alike = {
        at: old
        for old in map(_read, others)
        if (at := parse_instant(str(old["modified"]))) // _SECOND == parse_instant(str(new["modified"])) // _SECOND
        and _compare(old) == _compare(new)
    }
    if not alike:
        return made
    last = max(alike)
    newest = alike[last]
    marked = add_markings(_list_markings(new), _list_markings(newest))
    if set(marked) == set(_list_markings(newest)):
        return next(data for data in others if _read(data) == newest)
    said: dict[str, Json] = {"object_marking_refs": [*marked], "modified": format_instant(Instant(last + _MILLISECOND))}
    return canonical_bytes(newest | said)


def _compare(value: dict[str, Json]) -> dict[str, Json]:
    """What an object says besides its markings; MISP gives the parts of an event now in one order, now in another."""
    return {
        name: list[Json](sorted(map(str, item))) if isinstance(item, list) and name in _UNORDERED else item
        for name, item in value.items()
        if name not in {"modified", "object_marking_refs"}
    }


def _list_markings(value: dict[str, Json]) -> list[ObjectId]:
    listed = value.get("object_marking_refs")
    return [ObjectId(str(one)) for one in listed] if isinstance(listed, list) else []


def _bare(value: dict[str, Json]) -> dict[str, Json]:
    """What an object says besides when it was read: a property that says so is as it was at the first reading."""
    read_at = value.get("created")
    return {name: None if item == read_at else item for name, item in value.items() if name not in _TIMES}


def _read(data: bytes) -> dict[str, Json]:
    value = parse_json(data, limits=OBJECT_LIMITS)
    if not isinstance(value, dict):
        raise MalformedObject("not a JSON object; a STIX object is one", where="/")
    return value


def _add_tags(extensions: Json, tags: Tags) -> Json:
    """The extensions with what is said by `tags` in that of classification."""
    others = extensions if isinstance(extensions, dict) else {}
    there = others.get(CLASSIFICATION_EXTENSION)
    said: dict[str, Json] = dict(there) if isinstance(there, dict) else {"extension_type": "property-extension"}
    for field in Tags.__slots__:
        words: frozenset[str] = getattr(tags, field)
        listed = said.get(field)
        before = {word for word in listed if isinstance(word, str)} if isinstance(listed, list) else set[str]()
        if words | before:
            said[field] = [*sorted(words | before)]
    return {**others, CLASSIFICATION_EXTENSION: said}
