# SPDX-License-Identifier: Apache-2.0
"""Pure: what an object's bytes say of themselves, which no label that it is decided by may leave out.

    said = read_said(data)                 # its type, its TLP, its markings, the types of what it refers to
    find_unsaid(said, label)               -> "its bytes are marked red, and the label says green"; None where it fits

A label says more than this: tags of people, restrictions of terms, and all that what it refers to says. Whether that is
right follows from more than the bytes, and is not asked here. An object without a TLP can count as marked, by the terms
of receipt of the source that it came from; so nothing is asked of the level of one.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from comity.canonical import Json
from comity.stix.labels import OVERFULL, UNRESOLVED, Label
from comity.stix.markings import CONTRADICTORY, STATEMENT, TLP_ORDER, Markings, read_markings, tlp_rank
from comity.stix.objects import StixObject, parse_object

__all__ = ["Said", "find_said", "find_unsaid", "read_said"]

_UNMARKED = TLP_ORDER[-1]


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """What the bytes of one version say: its type, its markings, and the types of all that it refers to."""

    type: str
    markings: Markings
    refers_to: frozenset[str]


def read_said(data: bytes) -> Said:
    """What the bytes say.

    Raises:
        MalformedJson, MalformedObject: they are no object.
    """
    return find_said(*parse_object(data))


def find_said(item: StixObject, value: dict[str, Json]) -> Said:
    """What an object that has been read says."""
    return Said(
        type=item.type,
        markings=read_markings(value, definitions={}),
        refers_to=frozenset(target.split("--")[0] for target in item.references),
    )


def find_unsaid(said: Said, label: Label) -> str | None:
    """What the bytes say and the label does not; None where there is nothing. A label that nothing admits says all."""
    return None if OVERFULL.markings <= label.markings else next(_list_unsaid(said, label), None)


def _list_unsaid(said: Said, label: Label) -> Iterator[str]:
    marked = said.markings
    if marked.tlp != _UNMARKED and tlp_rank(marked.tlp) > tlp_rank(label.tlp):
        yield f"its bytes are marked {marked.tlp}, and the label says {label.tlp}"
    if said.type not in label.types:
        yield f"it is of the type {said.type}, and the label is of others"
    # Whether a definition was held, and known as a statement, can have changed since.
    # A label that was made before levels could contradict each other says the strictest of them.
    unsaid = marked.others - label.markings - {CONTRADICTORY}
    if STATEMENT not in label.markings and unsaid:
        yield f"its bytes carry the marking {min(unsaid)}, and the label does not"
    levels = {mark.property: mark.tlp for mark in label.granular}
    for mark in marked.granular:
        if tlp_rank(mark.tlp) > max(tlp_rank(label.tlp), tlp_rank(levels.get(mark.property, label.tlp))):
            yield f"its property {mark.property} is marked {mark.tlp}, and the label does not say so"
    if UNRESOLVED not in label.markings and not said.refers_to <= label.types:
        yield f"it refers to a {min(said.refers_to - label.types)}, and the label counts none"
