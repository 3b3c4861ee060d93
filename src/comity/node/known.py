# SPDX-License-Identifier: Apache-2.0
"""Shell: the organisations that a node knows, by which articles are read: its own objects and the lists it loaded.

Lists write names in capitals, which articles do not: such a name is also looked for with one capital, unless it is
short enough to be an abbreviation. What a person gives beside comes first, then what is in the node's folder
(`node.wording`), whose own rules also say what is not looked for. Of one id, and of one name, the first entry
counts; one that no gazetteer may hold, because it has no word or would select people by religion or ethnicity, is left
out. Beyond the bounds nothing is looked at, and how much that is, is told.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Final, NamedTuple, cast

from comity.canonical import OBJECT_LIMITS, Json, parse_json
from comity.errors import MalformedRequest
from comity.ids import ObjectId
from comity.intake.article.gazetteer import Known, parse_gazetteer
from comity.intake.article.rules import Rules
from comity.node.node import Node
from comity.node.steps import Steps, finish
from comity.node.wording import find_rules, find_wording, read_organisations
from comity.store import Transaction, bodies, objects, subjects

__all__ = ["Gazetteer", "learn_bodies", "list_known", "list_known_in_steps"]

_TYPES: Final = ("identity", "intrusion-set", "threat-actor")
_BODIES: Final = frozenset({"group", "organization"})
"""What an identity is that an article can name as a body (STIX 2.1 §10.7). One that does not say may be a person."""

_MOST_OBJECTS: Final = 2_000
_AT_ONCE: Final = 2_000
"""Identities that are looked at in one step."""

_MOST_ALIASES: Final = 100
_MOST_NAME: Final = 200
_MOST_ABBREVIATION: Final = 6
_MOST_BYTES: Final = 450_000
"""Of the gazetteer that is made here; one that is read has half a mebibyte at most."""


class Gazetteer(NamedTuple):
    """Organisations in TOML, and how many objects and entries of lists were too many to be among them."""

    data: bytes
    left_out: int


def list_known(node: Node, *, given: bytes = b"") -> Gazetteer:
    """`given`, which a person gave, and after it what the node knows by itself.

    Raises:
        MalformedRequest: `given` or the one in the node's folder is no gazetteer, or the own rules are none.
    """
    return finish(list_known_in_steps(node, given=given))


def list_known_in_steps(node: Node, *, given: bytes = b"") -> Steps[Gazetteer]:
    """`list_known`, and a turn for others while the node's identities are looked through."""
    keys = yield from learn_bodies(node)
    rules, unwanted = find_rules(node), find_wording(node).no_known
    known = parse_gazetteer(given, rules=rules).known
    ids, taken = set(known) | unwanted, {name.casefold() for one in known.values() for name in _list_names(one)}
    with node.store.read() as transaction:
        found = [*_list_kept(node, rules), *_list_objects(transaction, node, keys), *_list_listed(transaction)]
        left_out = _count_left_out(transaction, node, keys)
    parts, size = [given, b"\n"], len(given)
    for index, entry in enumerate(found):
        if entry.id in ids or entry.name.casefold() in taken or not _is_name(entry.name):
            continue
        part = _format_entry(entry)
        try:
            # One that cannot be read would take all others with it.
            parse_gazetteer(part, rules=rules)
        except MalformedRequest:
            continue
        size += len(part)
        if size > _MOST_BYTES:
            left_out += len(found) - index
            break
        ids.add(entry.id)
        taken |= {name.casefold() for name in _list_names(entry)}
        parts.append(part)
    return Gazetteer(data=b"".join(parts), left_out=left_out)


def _list_kept(node: Node, rules: Rules) -> Iterable[Known]:
    """Organisations in the node's folder."""
    try:
        return parse_gazetteer(read_organisations(node), rules=rules).known.values()
    except MalformedRequest as error:
        raise MalformedRequest(f"article-organisations.toml: {error.detail}", where=error.where) from error


def learn_bodies(node: Node) -> Steps[list[int]]:
    """The keys of this party's own identities that articles can name, the last taken in first.

    They are remembered until an object comes or goes. Of a list of persons nearly none is one: the bound is on those
    that are, or the persons of one list would take the place of all organisations.
    """
    with node.store.read() as transaction:
        head = objects.read_head_seq(transaction)
        count = bodies.count_of_type(transaction, "identity", originator=node.party)
    known_at, known = node.remembered.get("bodies", (0, (0, list[int]())))
    known_count, keys = cast("tuple[int, list[int]]", known)
    if (known_at, known_count) == (head, count):
        return keys
    keys, before = list[int](), None
    while True:
        with node.store.read() as transaction:
            part = bodies.list_identities(transaction, originator=node.party, before=before, most=_AT_ONCE)
        keys += [key for key, said in part if said in _BODIES]
        if len(part) < _AT_ONCE:
            break
        before = part[-1][0]
        yield
    node.remembered["bodies"] = (head, (count, keys))
    return keys


def _list_objects(transaction: Transaction, node: Node, keys: Sequence[int]) -> Iterator[Known]:
    """Organisations and groups among this party's own objects, the last taken in first."""
    for kind in _TYPES:
        for name, data in _read_objects(transaction, node, kind, keys):
            value = parse_json(data, limits=OBJECT_LIMITS)
            if not isinstance(value, dict) or not isinstance(value.get("name"), str):
                continue
            aliases = _read_names(value.get("aliases"))
            yield Known(id=f"stix:{name}", name=str(value["name"]), kind=kind, object=name, good=aliases)


def _read_objects(transaction: Transaction, node: Node, kind: str, keys: Sequence[int]) -> list[tuple[ObjectId, bytes]]:
    if kind == "identity":
        return bodies.read_newest(transaction, keys[:_MOST_OBJECTS])
    return bodies.list_of_type(transaction, kind, originator=node.party, limit=_MOST_OBJECTS)


def _count_left_out(transaction: Transaction, node: Node, keys: Sequence[int]) -> int:
    """Own objects that `_list_objects` does not look at, and that articles could name."""
    others = (kind for kind in _TYPES if kind != "identity")
    counts = [bodies.count_of_type(transaction, kind, originator=node.party) for kind in others]
    return sum(max(0, count - _MOST_OBJECTS) for count in (len(keys), *counts))


def _list_listed(transaction: Transaction) -> Iterator[Known]:
    """Entities on the last version of each list."""
    seen = set[str]()
    for stored in subjects.list_lists(transaction):
        if stored.list in seen:
            continue
        seen.add(stored.list)
        for entry in subjects.read_entries(transaction, stored.key).values():
            if entry.kind == "entity" and entry.names:
                yield Known(
                    id=entry.subject,
                    name=entry.names[0],
                    good=(*entry.names[1:], *(alias.name for alias in entry.aliases if alias.good)),
                    low=tuple(alias.name for alias in entry.aliases if not alias.good),
                )


def _list_names(entry: Known) -> tuple[str, ...]:
    return (entry.name, *entry.good)


def _read_names(value: Json) -> tuple[str, ...]:
    return tuple(one for one in value if isinstance(one, str)) if isinstance(value, list) else ()


def _format_entry(entry: Known) -> bytes:
    """The table of one entry; JSON strings are TOML basic strings."""
    fields: dict[str, Json] = {"id": entry.id, "name": entry.name, "kind": entry.kind}
    if entry.object is not None:
        fields["object"] = entry.object
    good = (*_list_quiet([entry.name, *entry.good]), *entry.good)
    for name, listed in (("good", good), ("low", (*_list_quiet(entry.low), *entry.low))):
        fields[name] = list[Json](one for one in listed if _is_name(one))[:_MOST_ALIASES]
    lines = [f"{name} = {json.dumps(value, ensure_ascii=False)}" for name, value in fields.items()]
    return "\n".join(["[[known]]", *lines, "", ""]).encode()


def _list_quiet(names: Iterable[str]) -> tuple[str, ...]:
    """Those in capitals alone, with the first as the only one that has to be there."""
    loud = (name for name in names if name.isupper() and (len(name) > _MOST_ABBREVIATION or " " in name))
    return tuple(name.capitalize() for name in loud)


def _is_name(text: str) -> bool:
    return 0 < len(text) <= _MOST_NAME and text.isprintable()
