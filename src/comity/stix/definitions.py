# SPDX-License-Identifier: Apache-2.0
"""Pure: what a marking definition says (STIX 2.1 §7.2.1): a statement, a published TLP level, or neither."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from comity.canonical import Json
from comity.errors import MalformedError, MalformedObject
from comity.ids import ObjectId, parse_instant
from comity.stix.markings import STATEMENT, TLP1_AMBER, TLP1_GREEN, TLP1_RED, TLP1_WHITE, TLP_EXTENSION, TLP_IDS
from comity.stix.tags import CLASSIFICATION_EXTENSION
from comity.stix.ways import format_pointer

__all__ = ["check_tlp_definition", "is_statement"]

_TLP1_NAMES: Final[Mapping[ObjectId, str]] = MappingProxyType(
    {TLP1_WHITE: "white", TLP1_GREEN: "green", TLP1_AMBER: "amber", TLP1_RED: "red"}
)


def is_statement(value: dict[str, Json]) -> bool:
    """Whether a marking definition says a statement and nothing else (STIX 2.1 §7.2.1.3).

    One that says more restricts in a way that is not understood; what it is about itself may stand beside.
    """
    definition, extensions = value.get("definition"), value.get("extensions", {})
    return (
        value.get("definition_type") == STATEMENT
        and isinstance(definition, dict)
        and [*definition] == [STATEMENT]
        and isinstance(definition[STATEMENT], str)
        and isinstance(extensions, dict)
        and extensions.keys() <= {CLASSIFICATION_EXTENSION}
    )


def check_tlp_definition(value: dict[str, Json]) -> None:
    """Return when `value` is not one of the nine TLP definitions, or is exactly the published one.

    Nothing is ever learnt from such an object (its id alone is understood), but one that says something else under
    that id would tell the next reader a lie.

    Raises:
        MalformedObject: the id of a TLP definition, and other content.
    """
    marking = value.get("id")
    if not isinstance(marking, str) or marking not in TLP_IDS:
        return
    published = _publish_tlp_definition(ObjectId(marking))
    for name in (*value, *published):
        if name == "name" and name not in value and marking in _TLP1_NAMES:
            continue  # STIX 2.1 prints the TLP 1 definitions with a name; many producers leave it out.
        if not _equal(name, value.get(name), published.get(name)):
            raise MalformedObject(
                f"{marking} is the published TLP definition, but {name!r} differs from it; leave the object out (its "
                "id is understood without it) or send it as published",
                where=format_pointer([name]),
            )


def _equal(name: str, found: Json, published: Json) -> bool:
    if name != "created" or not isinstance(found, str) or not isinstance(published, str):
        return found == published
    try:
        return parse_instant(found) == parse_instant(published)
    except MalformedError:
        return False


def _publish_tlp_definition(marking: ObjectId) -> dict[str, Json]:
    content: dict[str, Json] = {"type": "marking-definition", "spec_version": "2.1", "id": marking}
    if marking in _TLP1_NAMES:
        level = _TLP1_NAMES[marking]
        content |= {"created": "2017-01-20T00:00:00.000Z", "definition_type": "tlp", "definition": {"tlp": level}}
    else:
        level = TLP_IDS[marking]
        extension: Json = {"extension_type": "property-extension", "tlp_2_0": level}
        content |= {"created": "2022-10-01T00:00:00.000Z", "extensions": {TLP_EXTENSION: extension}}
    return content | {"name": f"TLP:{level.upper()}"}
