# SPDX-License-Identifier: Apache-2.0
"""Pure: what Comity reads of an object, in one pass, where the object is as nearly all are.

    read_usual({"type": "tool", "id": "tool--…", …}, b"…") == ("tool--…", "tool", created, modified, frozenset(), False)

Nothing is refused here and nothing is let pass that `stix.objects` would refuse: what is not certainly good is left,
and read there check by check, with the rule that each enforces.
"""

from typing import Final, TypeAlias, cast

from comity.canonical import Json
from comity.errors import MalformedRequest
from comity.ids import Instant, ObjectId, is_object_id, parse_instant
from comity.stix.markings import TLP_IDS

__all__ = ["SDO_SRO", "read_plain_references", "read_usual"]

SDO_SRO: Final = frozenset(
    {
        "attack-pattern",
        "campaign",
        "course-of-action",
        "extension-definition",
        "grouping",
        "identity",
        "incident",
        "indicator",
        "infrastructure",
        "intrusion-set",
        "language-content",
        "location",
        "malware",
        "malware-analysis",
        "note",
        "observed-data",
        "opinion",
        "relationship",
        "report",
        "sighting",
        "threat-actor",
        "tool",
        "vulnerability",
    }
)
"""The types that say when they were made and changed (STIX 2.1 §3.2)."""

_USUAL_REFERENCES: Final = {
    "created_by_ref": False,
    "object_marking_refs": True,
    "object_ref": False,
    "object_refs": True,
    "observed_data_refs": True,
    "sample_refs": True,
    "sighting_of_ref": False,
    "source_ref": False,
    "target_ref": False,
    "where_sighted_refs": True,
}
"""Properties by which most objects refer to others, and whether each is a list."""

_USUAL_NAMES: Final = frozenset(_USUAL_REFERENCES)

_Usual: TypeAlias = tuple[ObjectId, str, Instant, Instant, frozenset[ObjectId], bool]
"""Id, type, the times it was created and modified, what it refers to, and whether it was revoked."""


def read_usual(value: dict[str, Json], data: bytes) -> _Usual | None:
    """What is read of the object `value`, whose bytes are `data`; None where it has to be looked into."""
    kind, name = value.get("type"), value.get("id")
    created, modified = value.get("created"), value.get("modified")
    revoked = value.get("revoked", False)
    if (
        not (isinstance(kind, str) and isinstance(name, str) and isinstance(created, str) and isinstance(modified, str))
        or kind not in SDO_SRO
        or not name.startswith(f"{kind}--")
        or not is_object_id(name)
        or value.get("spec_version") != "2.1"
        or not isinstance(revoked, bool)
        or "granular_markings" in value
    ):
        return None
    if (marked := value.get("object_marking_refs")) is not None and not _are_definitions(marked):
        return None
    references = read_plain_references(value, data)
    if references is None:
        return None
    try:
        first = parse_instant(created)
        last = first if modified == created else parse_instant(modified)
    except MalformedRequest:
        return None
    own = ObjectId(name)
    if last < first:
        return None
    return own, kind, first, last, references - {own} if own in references else references, revoked


def _are_definitions(marked: Json) -> bool:
    """Whether it is a list of ids of marking definitions."""
    if not isinstance(marked, list):
        return False
    for one in marked:
        if not isinstance(one, str) or not one.startswith("marking-definition--"):
            return False
        if one not in TLP_IDS and not is_object_id(one):
            return False
    return True


def read_plain_references(value: dict[str, Json], data: bytes) -> frozenset[ObjectId] | None:
    """What an object refers to by its own usual properties alone, itself too; None where it has to be walked."""
    named = _USUAL_NAMES.intersection(value)
    # Where no character is written as a number, `_ref` stands there at least as often as there are such names. As often
    # as it stands in the names at the top that it is known of: there is none besides.
    known = len(named) + ("external_references" in value)
    if data.count(b"_ref") != known or (b"\\" in data and b"\\u" in data):
        return None
    found: list[Json] = []
    for name in named:
        item = value[name]
        if not _USUAL_REFERENCES[name]:
            found.append(item)
        elif not isinstance(item, list):
            return None
        elif name != "object_marking_refs":
            found += item
        else:
            found += [one for one in item if not (isinstance(one, str) and one in TLP_IDS)]
    for one in found:
        if not (isinstance(one, str) and is_object_id(one)):
            return None
    return frozenset(cast("list[ObjectId]", found))
