# SPDX-License-Identifier: Apache-2.0
"""Pure: the bytes of an object without the properties that the terms do not admit.

Removal is by whole top-level property: a granular marking on one item of a list removes the list (STIX 2.1 §7.2.3
selectors are by index, and the rest would shift under the markings that stay). Markings on what was removed go too, so
that not even the shape of the removed part stays. Where the maker goes (`created_by_ref`), so does every other property
in which the maker's id stands, in an extension or a text, unless an object cannot lack it. The result is new bytes:
this is the one place where a stored object is written again, and `release.disclosure` records the digest of what really
left.

Not here: which properties (`release.decision`); properties an object cannot lack (`stix.markings` counts a marking on
such a property as a marking of the whole object).
"""

import json
from dataclasses import dataclass
from typing import Final

from comity.canonical import OBJECT_LIMITS, Json, parse_json
from comity.errors import CorruptionError
from comity.stix.markings import find_required

__all__ = ["Redacted", "redact"]

_ALWAYS: Final = frozenset({"type", "id", "spec_version", "created", "modified"})
"""What an object of a type that nobody here knows cannot lack."""


@dataclass(frozen=True, slots=True)
class Redacted:
    """What is left of an object, and the top-level properties that were there and are not any more, sorted."""

    data: bytes
    removed: tuple[str, ...]


def redact(data: bytes, properties: frozenset[str], *, only: frozenset[str] | None = None) -> Redacted:
    """The object as compact JSON in UTF-8, member order kept, without `properties` and the granular markings on them.

    With `only`, what stays is what the object cannot lack and these: its tear line. Where nothing of that is there,
    the bytes stay as they are; doing it twice is doing it once.

    Raises:
        CorruptionError: the stored bytes are not a JSON object; they were one when they came in.
    """
    value = parse_json(data, limits=OBJECT_LIMITS)
    if not isinstance(value, dict):
        raise CorruptionError("a stored object is not a JSON object; run `comity log verify` and restore the store")
    if only is not None:
        properties |= value.keys() - only - (find_required(value) or value.keys())
    properties &= value.keys()
    if not properties:
        return Redacted(data, ())
    if "created_by_ref" in properties:
        properties |= _find_naming(value, value["created_by_ref"])
    kept: dict[str, Json] = {name: item for name, item in value.items() if name not in properties}
    markings = kept.pop("granular_markings", None)
    if isinstance(markings, list):
        left: list[Json] = [narrowed for mark in markings if (narrowed := _narrow(mark, properties)) is not None]
        if left:
            kept["granular_markings"] = left
    text = json.dumps(kept, ensure_ascii=False, separators=(",", ":"))
    return Redacted(text.encode(), tuple(sorted(properties)))


def _find_naming(value: dict[str, Json], maker: Json) -> frozenset[str]:
    """The properties in which the maker's id stands, of those that the object can lack."""
    required = (find_required(value) or _ALWAYS) - {"extensions"}
    return frozenset(name for name, item in value.items() if name not in required and str(maker) in json.dumps(item))


def _narrow(mark: Json, properties: frozenset[str]) -> Json:
    """The granular marking without selectors into `properties`; None when none is left."""
    if not isinstance(mark, dict):
        return None
    selectors = mark.get("selectors")
    if not isinstance(selectors, list):
        return None
    left: list[Json] = [
        selector for selector in selectors if isinstance(selector, str) and selector.split(".")[0] not in properties
    ]
    return {**mark, "selectors": left} if left else None
