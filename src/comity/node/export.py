# SPDX-License-Identifier: Apache-2.0
"""Shell: objects of this party's own, for its own people to keep or to work with elsewhere: as they are held.

It is no disclosure: there is no recipient, and nothing in it came from anybody. What came from a partner or a source,
also after this party had it, stays here under its terms: for that there is no way out but a channel.

As MISP events they are what misp-stix makes of them in a process of its own, as strict as they are (`misp_outward`);
what no event says of them is told object by object. What is said of an object here and not by its bytes counts too: a
level of TLP that came later in other bytes is a tag, and what waits for people, or bears a handling code, stays in the
organisation whose MISP it is.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from comity.canonical import OBJECT_LIMITS, Json, parse_json
from comity.conversion.outward import MadeEvent, make_events
from comity.errors import MalformedRequest
from comity.ids import ObjectId, PartyId
from comity.intake.marking import TLP_WORDS
from comity.intake.misp_outward import Loss
from comity.intake.misp_sayings import list_references
from comity.node.node import Node
from comity.node.steps import Steps
from comity.stix.labels import Label
from comity.stix.markings import STATEMENT, TLP_IDS, Markings, read_markings, tlp_rank
from comity.stix.patterns import UNCHECKED, UNPARSABLE
from comity.store import objects, sayings

__all__ = ["ExportPart", "Loss", "MispExport", "export_misp_in_steps", "export_part"]

_PART_BYTES = 8 * 1024 * 1024
_PART_OBJECTS = 2_000
_MOST_BYTES: Final = 16 * 1024 * 1024
_MOST_OBJECTS: Final = 20_000
"""What is made into MISP events at once: a converter holds all of an event in memory, several times over."""

_TURN: Final = 0.005
"""Seconds for which others wait at most while a converter works."""

_DEFINITION: Final = "marking-definition"
_SAID_ELSEWHERE: Final = frozenset({STATEMENT, UNCHECKED, UNPARSABLE})
"""Words of labels that keep nothing from anybody's eyes, or are a tag of MISP already."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportPart:
    """Some objects, each with its bytes as they are held; `after` is where the next part begins, None at the end."""

    objects: tuple[tuple[ObjectId, bytes], ...]
    after: int | None


def export_part(node: Node, *, after: int, types: frozenset[str] = frozenset(), file: int | None = None) -> ExportPart:
    """The next own objects behind `after` (0 at first), the newest version of each, in the order in which they came in.

    `types` and `file` narrow it to some types, and to what one file said.
    """
    found, size, last = list[tuple[ObjectId, bytes]](), 0, after
    with node.store.read() as transaction:
        rows = objects.list_own(transaction, node.party, after=after, limit=_PART_OBJECTS + 1, types=types, file=file)
        for key, name, data in rows[:_PART_OBJECTS]:
            if found and size + len(data) > _PART_BYTES:
                return ExportPart(objects=tuple(found), after=last)
            found.append((name, data))
            size, last = size + len(data), key
    return ExportPart(objects=tuple(found), after=last if len(rows) > _PART_OBJECTS else None)


@dataclass(frozen=True, slots=True, kw_only=True)
class MispExport:
    """Events of MISP, how many objects are in them, and what of these and of others is in none."""

    events: tuple[Mapping[str, Json], ...]
    objects: int
    lost: tuple[Loss, ...]


def export_misp_in_steps(
    node: Node, *, types: frozenset[str] = frozenset(), file: int | None = None
) -> Steps[MispExport]:
    """What `export_part` selects, all of it, as MISP events; a step for each turn that others get.

    Raises:
        MalformedRequest: it is more than one such export may hold.
        NotInstalled: misp-stix is not there.
    """
    values = list[dict[str, Json]]()
    size = 0
    after: int | None = 0
    while after is not None:
        part = export_part(node, after=after, types=types, file=file)
        size, after = size + sum(len(data) for _, data in part.objects), part.after
        if size > _MOST_BYTES or len(values) + len(part.objects) > _MOST_OBJECTS:
            raise _refuse_size()
        values += [_parse(data) for _, data in part.objects]
        yield
    said, labels = _read_beside(node, [ObjectId(str(value["id"])) for value in values])
    if sum(map(len, said)) > _MOST_BYTES:
        raise _refuse_size()
    events, lost = list[MadeEvent](), list[Loss]()
    made = make_events(
        [_mark(value, labels) for value in values],
        definitions=_read_definitions(node, values),
        sayings=said,
        audiences={str(value["id"]): _find_audience(value, labels) for value in values},
        title=f"Objects of {node.party}",
        turn=_TURN,
    )
    for item in made if values else ():
        match item:
            case None:
                yield
            case Loss():
                lost.append(item)
            case MadeEvent():
                events.append(item)
    return MispExport(
        events=tuple(item.event for item in events),
        objects=sum(item.objects for item in events),
        lost=tuple(lost),
    )


def _refuse_size() -> MalformedRequest:
    return MalformedRequest(
        f"more than {_MOST_OBJECTS} objects or {_MOST_BYTES} bytes cannot be made into MISP events at once;"
        " narrow the export: --from NUMBER, --type T"
    )


def _read_beside(node: Node, names: Sequence[ObjectId]) -> tuple[list[bytes], dict[str, Label]]:
    """What MISP said of the things that the objects were made of, and the own label of each object."""
    with node.store.read() as transaction:
        held = objects.read_current(transaction, set(names))
        known = objects.read_labels(transaction, {item.own_label for item in held.values()})
        labels: dict[str, Label] = {name: known[item.own_label] for name, item in held.items()}
        return sayings.list_sayings(transaction, names), labels


def _mark(value: dict[str, Json], labels: Mapping[str, Label]) -> dict[str, Json]:
    """The object with the level of TLP that its label says, where that is stricter than its bytes say."""
    label = labels.get(str(value["id"]))
    if label is None or label.tlp not in TLP_WORDS or tlp_rank(label.tlp) <= tlp_rank(_read_said(value).tlp):
        return value
    listed = value.get("object_marking_refs")
    others = [one for one in (listed if isinstance(listed, list) else []) if one not in TLP_IDS]
    return {**value, "object_marking_refs": [TLP_WORDS[label.tlp], *others]}


def _find_audience(value: dict[str, Json], labels: Mapping[str, Label]) -> frozenset[PartyId] | None:
    """Whom the object may ever reach: nobody, where its label says more than MISP can be told."""
    label = labels.get(str(value["id"]))
    if label is None:
        return None
    said = _read_said(value)
    beyond = label.markings - said.others - _SAID_ELSEWHERE
    return frozenset() if beyond or label.handling or label.granular != said.granular else label.audience


def _read_said(value: dict[str, Json]) -> Markings:
    return read_markings(value, definitions={})


def _read_definitions(node: Node, values: Sequence[Mapping[str, Json]]) -> dict[str, dict[str, Json]]:
    """The marking definitions of this party's own that `values` refer to; what another party's says is not written."""
    names = {ObjectId(name) for value in values for name in list_references(value) if name.startswith(_DEFINITION)}
    with node.store.read() as transaction:
        held = objects.read_current(transaction, names - TLP_IDS.keys())
        return {
            name: _parse(objects.read_body(transaction, item.pk))
            for name, item in held.items()
            if item.originator == node.party and item.received_under is None
        }


def _parse(data: bytes) -> dict[str, Json]:
    value = parse_json(data, limits=OBJECT_LIMITS)
    assert isinstance(value, dict)  # noqa: S101 (it is a held object)
    return value
