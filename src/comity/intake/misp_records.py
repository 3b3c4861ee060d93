# SPDX-License-Identifier: Apache-2.0
"""Pure: what a converter made of a MISP event becomes one record, each object marked and with its audience."""

import re
from collections.abc import Collection, Generator, Mapping, Sequence
from typing import Final

from comity.canonical import Json, canonical_bytes
from comity.ids import PartyId
from comity.intake.misp import Plan
from comity.intake.misp_mapping import UUID
from comity.intake.misp_sayings import cut_sayings, list_references
from comity.intake.records import Record, run_steps
from comity.intake.restrictions import (
    Restriction,
    define_markings,
    find_markings,
    join_restrictions,
    make_uuid,
)
from comity.stix.markings import TLP_IDS

__all__ = ["mark_objects", "mark_objects_in_steps"]

_ID = re.compile(rf"([a-z0-9-]{{1,250}})--({UUID.pattern})", re.ASCII)
_DEFINITION: Final = "marking-definition"
_MOST_NAMED: Final = 10
_OBJECTS_AT_ONCE: Final = 500
"""Between two pauses: some milliseconds."""
_ORGANISATION_MADE: Final = "2010-01-01T00:00:00.000Z"
"""When identities of organisations say that they were made: else each event would bring a new version of them."""

_Objects = dict[str, dict[str, Json]]


def mark_objects(plan: Plan, objects: Sequence[Json], *, party: PartyId) -> Record:
    """The record of the event: `objects`, as the converter made them, each restricted as its part of the event is.

    An audience always holds `party` itself. Identities of organisations have an id for each restriction of an event: an
    organisation that is named in a strict event and in an open one must not close the open one, nor open the strict.
    """
    return run_steps(mark_objects_in_steps(plan, objects, party=party))


def mark_objects_in_steps(plan: Plan, objects: Sequence[Json], *, party: PartyId) -> Generator[None, None, Record]:
    """The same, with a pause wherever others may get a turn."""
    made: _Objects = {str(item["id"]): item for item in objects if isinstance(item, dict) and _is_whole(item)}
    yield
    placed = yield from _place(plan, made, organisations=_rename_organisations(plan, made))
    yield
    ordered = yield from _sort(made)
    kept = [item for name, item in ordered if name not in TLP_IDS]
    yield
    defined, made_of = define_markings([placed[str(item["id"])] for item in kept]), dict[str, bytes]()
    audiences: dict[str, frozenset[PartyId]] = {}
    for index, item in enumerate(kept):
        if index % _OBJECTS_AT_ONCE == 0:
            yield
        name = str(item["id"])
        restriction = placed[name]
        if item["type"] != _DEFINITION:
            _mark(item, restriction)
        if restriction.audience is not None:
            audiences[name] = restriction.audience | {party}
        made_of[name] = canonical_bytes(item)
    sayings, left = yield from cut_sayings(plan, made, audiences)
    named = ", ".join(left[:_MOST_NAMED])
    stricter = [f"{len(left)} are stricter than what they lie in, became no object, and were left out: {named}"]
    return Record(
        place=plan.event.place,
        objects=(*defined, *made_of.values()),
        audiences=audiences,
        notes=(*plan.notes, *_list_lost(plan, made), *(stricter if left else ())),
        sayings={made_of[name]: said for name, said in sayings.items()},
    )


def _is_whole(item: Mapping[str, Json]) -> bool:
    return isinstance(item.get("type"), str) and _ID.fullmatch(str(item.get("id"))) is not None


def _mark(item: dict[str, Json], restriction: Restriction) -> None:
    """Put the markings of `restriction` in place of any TLP the converter gave it; others that it gave stay."""
    own = item.get("object_marking_refs")
    others = [ref for ref in (own if isinstance(own, list) else ()) if isinstance(ref, str) and ref not in TLP_IDS]
    refs = [*dict.fromkeys([*find_markings(restriction), *others])]
    if refs:
        item["object_marking_refs"] = list[Json](refs)
    else:
        item.pop("object_marking_refs", None)


def _place(
    plan: Plan, made: _Objects, *, organisations: Collection[str]
) -> Generator[None, None, dict[str, Restriction]]:
    """How far each object may travel; the `organisations` that made the event, as far as the event."""
    placed = {name: found for name in made if (found := plan.parts.get(name.partition("--")[2])) is not None}
    placed |= dict.fromkeys(organisations, plan.restriction)
    left = {name for name in made if name not in placed}
    links = yield from _link(made, organisations)
    while ready := {name for name in left if links[name] & placed.keys()}:
        placed |= {
            name: join_restrictions(plan.restriction, *(placed[other] for other in sorted(links[name] & placed.keys())))
            for name in ready
        }
        left -= ready
    return placed | dict.fromkeys(left, plan.whole)


def _link(made: _Objects, organisations: Collection[str]) -> Generator[None, None, dict[str, set[str]]]:
    """What each object refers to and is referred to by, `organisations` and the event's own object left aside.

    The object of the event lists all that is in it: it would make everything as strict as the event alone.
    """
    links: dict[str, set[str]] = {name: set() for name in made}
    for index, (name, item) in enumerate(made.items()):
        if index % _OBJECTS_AT_ONCE == 0:
            yield
        if item["type"] in {"grouping", "report"}:
            continue
        for other in list_references(item):
            if other in made and other not in organisations:
                links[name].add(other)
                links[other].add(name)
    return links


def _rename_organisations(plan: Plan, made: _Objects) -> frozenset[str]:
    """The identities of the organisations that made the event, with an id for its restriction each."""
    names: dict[str, str] = {}
    for key in ("Orgc", "Org"):
        value = plan.event.value.get(key)
        uuid = str(value.get("uuid")).lower() if isinstance(value, dict) else ""
        old = f"identity--{uuid}"
        if old in made and uuid not in plan.parts:
            new = f"identity--{make_uuid('misp-organisation', uuid, *_spell(plan.restriction))}"
            names[old] = new
            item = made.pop(old)
            reference: dict[str, Json] = {"source_name": "misp-organisation", "external_id": uuid}
            made[new] = item | {
                "id": new,
                "created": _ORGANISATION_MADE,
                "modified": _ORGANISATION_MADE,
                "external_references": [reference],
            }
    if names:
        for name, item in made.items():
            made[name] = {key: _rename(value, names) if key != "id" else value for key, value in item.items()}
    return frozenset(names.values())


def _rename(value: Json, names: Mapping[str, str]) -> Json:
    match value:
        case str():
            return names.get(value, value)
        case list():
            return [_rename(item, names) for item in value]
        case dict():
            return {key: _rename(item, names) for key, item in value.items()}
        case _:
            return value


def _spell(restriction: Restriction) -> list[str]:
    """The restriction in words, always the same for the same one."""
    audience = ["any"] if restriction.audience is None else sorted(restriction.audience)
    return [restriction.tlp or "", restriction.pap or "", *sorted(restriction.foreign), "", *audience]


def _sort(made: _Objects) -> Generator[None, None, list[tuple[str, dict[str, Json]]]]:
    """Each object after those that it refers to, as far as they refer to each other in no circle."""
    done: dict[str, dict[str, Json]] = {}
    for index, start in enumerate(made):
        if index % _OBJECTS_AT_ONCE == 0:
            yield
        if start in done:
            continue
        stack = [(start, iter(sorted(list_references(made[start]))))]
        under = {start}
        while stack:
            name, references = stack[-1]
            other = next((one for one in references if one in made and one not in done and one not in under), None)
            if other is not None:
                under.add(other)
                stack.append((other, iter(sorted(list_references(made[other])))))
                continue
            done.setdefault(name, made[name])
            stack.pop()
    return list(done.items())


def _list_lost(plan: Plan, made: _Objects) -> list[str]:
    """What of the event is in no object that came out of the converter."""
    there = {name.partition("--")[2].lower() for name in made}
    attributes = plan.content["Attribute"]
    lost = [
        str(item["uuid"])
        for item in (attributes if isinstance(attributes, list) else ())
        if isinstance(item, dict) and str(item["uuid"]).lower() not in there
    ]
    return [f"attribute {name} became no object" for name in lost]
