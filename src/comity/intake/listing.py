# SPDX-License-Identifier: Apache-2.0
"""Pure: what a list says of a person or a body, that no property of STIX holds: the extension for it.

    extensions: {"extension-definition--3a87894c-…": {
        "extension_type": "property-extension",
        "aliases": [{"name": "The Reed Cutter", "quality": "good"}],
        "weak_aliases": ["Reed"],                                   # never enough by themselves to match anybody
        "dates_of_birth": [{"from": "1971", "to": "1973", "kind": "BETWEEN"}], …}}

STIX identities have no aliases, documents, nationalities or dates of birth. They are kept as a list says them, each in
a field of its own (docs/spec/intake.md). Nothing here is a tag: nobody is selected by them.
"""

from collections.abc import Mapping
from typing import Final

from comity.canonical import Json
from comity.ids import ObjectId

__all__ = ["LISTING_EXTENSION", "LISTING_FIELDS", "make_listing"]

LISTING_EXTENSION: Final = ObjectId("extension-definition--3a87894c-316e-4380-86af-0a3ba7d22855")

LISTING_FIELDS: Final = (
    "list",
    "reference",
    "record",
    "version",
    "listed_on",
    "updated_on",
    "names",
    "original_script",
    "titles",
    "aliases",
    "weak_aliases",
    "nationalities",
    "countries",
    "dates_of_birth",
    "places_of_birth",
    "documents",
    "addresses",
    "gender",
    "numbers",
)
"""Every field, in the order in which it is written."""


def make_listing(fields: Mapping[str, Json]) -> dict[str, Json]:
    """The extensions of an object, with the fields that say something."""
    said: dict[str, Json] = {"extension_type": "property-extension"}
    for name in LISTING_FIELDS:
        value = fields.get(name)
        if value:
            said[name] = value
    return {LISTING_EXTENSION: said}
