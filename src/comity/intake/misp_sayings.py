# SPDX-License-Identifier: Apache-2.0
"""Pure: what MISP said of each thing in an event, kept beside the objects that the thing became.

    sayings = yield from cut_sayings(plan, made, audiences)     by object, what MISP said of what became it

A converter leaves much of MISP unsaid: the UUIDs of attributes in objects, of references and galaxies, whether a value
correlates, who sighted it. So each thing that became objects is kept as MISP wrote it, and what lies in it and became
others is only named in it, by kind and UUID. What became no object stays where it lies if it is no stricter than that:
else whoever may have the one would have the other, and a note says that it was left out.

Each saying names the objects that the thing became, and of each a digest, its version, whom it may reach, and its
markings; and the identities of those whom it calls by name: `misp_restoring` puts the saying back into an event while
the objects say that still. It is for whoever took the event in: no object bears it, and no partner is given it.
"""

import hashlib
import json
import re
from collections.abc import Generator, Iterable, Iterator, Mapping
from typing import Final

from comity.canonical import Json, canonical_bytes
from comity.ids import PartyId
from comity.intake.misp import HANGING, Plan
from comity.intake.misp_mapping import UUID
from comity.intake.restrictions import Restriction, join_restrictions

__all__ = ["CONTAINERS", "NAMED", "cut_sayings", "digest_object", "list_references", "read_uuid", "uuid_of"]

CONTAINERS: Final = frozenset({"grouping", "report"})
"""Types of objects that are an event."""

NAMED: Final = "comity-said-of"
"""The one member of what stands for a thing in another: the kind and the UUID by which its own saying is found."""

_KINDS: Final = ("Attribute", "Object")
_GALAXY: Final = "Galaxy"
_CLUSTER: Final = "GalaxyCluster"
_LINK: Final = "relationship"
_UNTIED: Final = frozenset({"extension-definition", "identity", "marking-definition"})
_NOT_FOLDED: Final = frozenset({"created", "granular_markings", "modified", "object_marking_refs"})
_AT_ONCE: Final = 100
"""Things between two pauses: some milliseconds."""
_TEXT: Final = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"')

_Fields = Mapping[str, Json]
_Key = tuple[str, str]


def list_references(value: "Json | _Fields") -> Iterator[str]:
    """Every id that a `_ref` or `_refs` in it holds, at any depth."""
    if isinstance(value, Mapping):
        for name, item in value.items():
            if name.endswith("_ref") and isinstance(item, str):
                yield item
            elif name.endswith("_refs") and isinstance(item, list):
                yield from (one for one in item if isinstance(one, str))
            else:
                yield from list_references(item)
    elif isinstance(value, list):
        for item in value:
            yield from list_references(item)


def uuid_of(name: str) -> str:
    """The UUID in a STIX id, in lower case."""
    return name.partition("--")[2].lower()


def read_uuid(item: "Json | _Fields") -> str:
    """The UUID of a thing of MISP, in lower case; empty where it has none."""
    said = str(item.get("uuid")) if isinstance(item, Mapping) else ""
    return said.lower() if UUID.fullmatch(said) is not None else ""


def digest_object(value: _Fields) -> str:
    """What an object says, in one word: but for its markings, its times, and what a container holds."""
    left = _NOT_FOLDED | ({"object_refs"} if value.get("type") in CONTAINERS else set())
    kept: dict[str, Json] = {name: item for name, item in value.items() if name not in left}
    return hashlib.sha256(canonical_bytes(kept)).hexdigest()


def cut_sayings(
    plan: Plan, made: Mapping[str, _Fields], audiences: Mapping[str, frozenset[PartyId]]
) -> Generator[None, None, tuple[dict[str, list[bytes]], list[str]]]:
    """By object of `made`, what MISP said of what became it; and what is in no saying. With pauses."""
    cutter = _Cutter(plan, made)
    yield from cutter.cut()
    return (yield from cutter.put_down(audiences)), cutter.left


class _Cutter:
    """One event, thing by thing."""

    def __init__(self, plan: Plan, made: Mapping[str, _Fields]) -> None:
        self._plan = plan
        self._made = made
        self.left: list[str] = []
        self._by_uuid: dict[str, list[str]] = {}
        self._links: dict[tuple[str, ...], list[str]] = {}
        for name, value in made.items():
            if value["type"] != "marking-definition":
                self._by_uuid.setdefault(uuid_of(name), []).append(name)
            if value["type"] == _LINK:
                ends = [uuid_of(str(value.get(end))) for end in ("source_ref", "target_ref")]
                self._links.setdefault((*ends, str(value.get("relationship_type"))), []).append(name)
        self._said: dict[_Key, Json] = {}
        self._became: dict[_Key, set[str]] = {}
        self._ties: dict[str, set[_Key]] = {}

    def cut(self) -> Generator[None, None, None]:
        content, within = self._plan.content, self._plan.restriction
        event = self._cut(_unname({name: item for name, item in content.items() if name not in _KINDS}), within)
        for kind in _KINDS:
            kept = list[Json]()
            for index, item in enumerate(_list(content.get(kind))):
                if index % _AT_ONCE == 0:
                    yield
                if (found := self._hang(kind, _unname(item), within)) is not None:
                    kept.append(found)
            event[kind] = kept
        key = ("Event", self._plan.event.uuid)
        containers = [name for name in self._list_became(key[1]) if self._made[name]["type"] in CONTAINERS]
        if containers:
            self._tie(key, event, containers)
        yield from self._tie_rest()

    def _hang(self, kind: str, item: _Fields, within: Restriction) -> Json:
        """What stands for it in what it lies in: its name if it has become an object, else itself; None if stricter."""
        key = (kind, read_uuid(item))
        if key in self._said:
            return {NAMED: [*key]}
        own = self._plan.parts.get(key[1], within)
        names = self._list_became(key[1])
        if names:
            self._tie(key, self._cut(item, own), names)
            return {NAMED: [*key]}
        # A galaxy only holds clusters together, and is the same one wherever some of them hang.
        if kind != _GALAXY and join_restrictions(within, own) != within:
            self.left.append(f"{kind} {key[1]}".strip())
            return None
        return self._cut(item, within)

    def _list_became(self, uuid: str) -> list[str]:
        return self._by_uuid.get(uuid, [])

    def _cut(self, item: _Fields, within: Restriction) -> dict[str, Json]:
        """The thing, with what hangs on it named or left in it."""
        kept = {**item, **_unname(self._plan.distributions.get(read_uuid(item), {}))}
        for kind in HANGING:
            if kind in item:
                hung = [self._hang(kind, one, within) for one in _list(item[kind])]
                kept[kind] = [one for one in hung if one is not None]
        if _GALAXY in item and "Tag" in item:
            kept["Tag"] = self._name_tags(item)
        if "ObjectReference" in item:
            source = read_uuid(item)
            kept["ObjectReference"] = [self._refer(source, one) for one in _list(item["ObjectReference"])]
        if "name" in item and "Attribute" in item:
            # What is in an object of MISP is part of it, and the object is as strict as all of it.
            kept["Attribute"] = [self._cut(one, within) for one in _list(item["Attribute"])]
        return kept

    def _name_tags(self, item: _Fields) -> list[Json]:
        """Its tags: one that says the name of a cluster is only named, unless what the thing became says it too."""
        clusters = [one for galaxy in _list(item[_GALAXY]) for one in _list(galaxy.get(_CLUSTER))]
        names = {_name_cluster(one): key for one in clusters if (key := (_CLUSTER, read_uuid(one))) in self._said}
        own = self._list_became(read_uuid(item))
        labels = {str(label) for name in own for label in _strings(self._made[name].get("labels"))}
        tags = item["Tag"]
        kept = list[Json]()
        for index, tag in enumerate(tags if isinstance(tags, list) else ()):
            name = str(tag.get("name")) if isinstance(tag, dict) else ""
            if name not in names or name in labels:
                kept.append(tag)
                continue
            key = ("Tag", f"{read_uuid(item)}/{index}")
            self._tie(key, tag, [*own, *sorted(self._became[names[name]])])
            kept.append({NAMED: [*key]})
        return kept

    def _refer(self, source: str, item: _Fields) -> Json:
        """What stands for a reference: its name, where it has become relationships."""
        words = (source, str(item.get("referenced_uuid")).lower(), str(item.get("relationship_type")))
        key = ("ObjectReference", read_uuid(item))
        if words not in self._links or not key[1]:
            return dict(item)
        self._tie(key, dict(item), self._links[words])
        return {NAMED: [*key]}

    def _tie(self, key: _Key, said: Json, names: Iterable[str]) -> None:
        self._said[key] = said
        for name in names:
            self._became.setdefault(key, set()).add(name)
            self._ties.setdefault(name, set()).add(key)

    def _tie_rest(self) -> Generator[None, None, None]:
        """What has no UUID of MISP belongs to what refers to it, or else to what it refers to."""
        self._tie_inner()
        left = {name for name, value in self._made.items() if name not in self._ties and value["type"] not in _UNTIED}
        while left:
            found: dict[str, set[_Key]] = {}
            for index, name in enumerate(self._made):
                if index % _AT_ONCE == 0:
                    yield
                if name in self._ties or name in left:
                    self._look(name, left, found)
            if not found:
                return
            for name, keys in found.items():
                for key in keys:
                    self._tie(key, self._said[key], [name])
            left -= found.keys()

    def _tie_inner(self) -> None:
        for key, said in [*self._said.items()]:
            if key[0] == "Object" and isinstance(said, dict):
                for one in _list(said.get("Attribute")):
                    names = [name for name in self._list_became(read_uuid(one)) if name not in self._ties]
                    self._tie(key, said, names)

    def _look(self, name: str, left: set[str], found: dict[str, set[_Key]]) -> None:
        value = self._made[name]
        if value["type"] in CONTAINERS:
            return
        others = [*list_references({key: one for key, one in value.items() if key != "created_by_ref"})]
        if name in left:
            source = value.get("source_ref")
            first = [str(source)] if source in self._ties else [one for one in others if one in self._ties][:1]
            for other in first:
                found.setdefault(name, set()).update(self._ties[other])
            return
        for other in others:
            if other in left:
                found.setdefault(other, set()).update(self._ties[name])

    def put_down(self, audiences: Mapping[str, frozenset[PartyId]]) -> Generator[None, None, dict[str, list[bytes]]]:
        """Each saying under every object that its thing became."""
        words = dict[str, list[Json]]()
        for index, name in enumerate(self._ties):
            if index % _AT_ONCE == 0:
                yield
            reach = audiences.get(name)
            only: Json = None if reach is None else list[Json](sorted(reach))
            marks: Json = [*_strings(self._made[name].get("object_marking_refs"))]
            words[name] = [digest_object(self._made[name]), self._made[name].get("modified"), only, marks]
        makers: dict[str, Json] = {name: digest_object(one) for name, one in self._made.items() if self._is_maker(name)}
        called: dict[str, set[str]] = {}
        for name in makers:
            for call in _list_calls(self._made[name]):
                called.setdefault(call, set()).add(name)
        found: dict[str, list[bytes]] = {}
        for index, (key, said) in enumerate(self._said.items()):
            if index % _AT_ONCE == 0:
                yield
            became, text = sorted(self._became[key]), _dump(said)
            calls = called.keys() & set(_TEXT.findall(text.lower()))
            names = sorted({name for call in calls for name in called[call]})
            head: dict[str, Json] = {
                "kind": key[0],
                "uuid": key[1],
                "became": {name: words[name] for name in became},
                "names": {name: makers[name] for name in names},
                "beside": makers if key[0] == "Event" else {},
            }
            data = f'{_dump(head)[:-1]},"said":{text}}}'.encode()
            for name in (*became, *names):
                found.setdefault(name, []).append(data)
        return found

    def _is_maker(self, name: str) -> bool:
        return self._made[name]["type"] == "identity" and name not in self._ties


def _unname(item: _Fields) -> _Fields:
    """The thing as MISP wrote it, without what would name the saying of another: a file may hold that word too."""
    found = _strip(dict(item)) if f'"{NAMED}":' in _dump(dict(item)) else item
    assert isinstance(found, Mapping)  # noqa: S101 (it was one)
    return found


def _strip(value: Json) -> Json:
    match value:
        case dict():
            return {name: _strip(item) for name, item in value.items() if name != NAMED}
        case list():
            return [_strip(item) for item in value]
        case _:
            return value


def _dump(value: Json) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _list_calls(maker: _Fields) -> list[str]:
    """How a thing of MISP calls an organisation, folded: by its name, or by its UUID."""
    references = [one.get("external_id") for one in _list(maker.get("external_references"))]
    words = [maker.get("name"), uuid_of(str(maker["id"])), *references]
    return [_dump(word).lower() for word in words if isinstance(word, str) and word]


def _name_cluster(cluster: _Fields) -> str:
    """The tag that says it."""
    return str(cluster.get("tag_name") or f'misp-galaxy:{cluster.get("type")}="{cluster.get("value")}"')


def _strings(value: Json) -> Iterator[str]:
    return (one for one in (value if isinstance(value, list) else ()) if isinstance(one, str))


def _list(value: Json) -> list[dict[str, Json]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []
