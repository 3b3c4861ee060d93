# SPDX-License-Identifier: Apache-2.0
"""Shell: what this party's own objects name of others', outside of what is called a reference.

An id tells that the object is there (ADR 0011), in a text or in a property of an analyst's own as well as in
`object_refs`. So the id of what came from another party, wherever it stands in an own object, is a reference of it: the
object goes where that one may go. What one's own ids stand in is one's own to say, and an id that nothing is known of
says nothing of anybody.
"""

import json
import re
from collections.abc import Collection, Iterator
from dataclasses import replace
from typing import Final

from comity.canonical import Json
from comity.ids import ObjectId
from comity.stix.markings import TLP_IDS
from comity.stix.objects import ParsedBundle, StixObject
from comity.store import Transaction, deletions, objects
from comity.store.objects import Holding

__all__ = ["refer_to_named"]

_TAIL: Final = re.compile(rb"--[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_HEAD: Final = re.compile(rb"[a-z][a-z0-9-]*\Z")
_ESCAPE: Final = re.compile(rb"\\u[0-9A-Fa-f]{4}|\\.")
_LONGEST: Final = 64
"""Characters of a type that are looked at."""

_FORMAL: Final = ("extension-definition--", "marking-definition--")
"""What says of which form something is, or how it is marked: that is read where it stands."""


def refer_to_named(transaction: Transaction, parsed: ParsedBundle, holding: Holding) -> ParsedBundle:
    """The same bundle of own objects, in which whatever names something of another party refers to it."""
    named = [_list_named(item, value) for item, value in parsed.good]
    ids = frozenset[ObjectId]().union(*named)
    if not ids:
        return parsed
    others = {name for name, item in objects.read_current(transaction, ids).items() if _is_other(item, holding)}
    stones = deletions.read_tombstones(transaction, ids - others)
    others |= {name for name, deleted in stones.items() if any(_is_other(stone, holding) for stone in deleted)}
    if not others:
        return parsed
    good = tuple(
        (item._replace(references=item.references | (names & others)), value)
        for (item, value), names in zip(parsed.good, named, strict=True)
    )
    return replace(parsed, good=good)


def _is_other(item: objects.StoredObject | deletions.Tombstone, holding: Holding) -> bool:
    return item.originator != holding.originator


def _list_named(item: StixObject, value: dict[str, Json]) -> frozenset[ObjectId]:
    """The ids that stand anywhere in an object, besides its own and those that it refers to."""
    data = item.data
    if b"\\u00" in data:  # characters of an id may be written as numbers
        data = json.dumps(value, ensure_ascii=False).encode("utf-8", "replace")
    if b"\\" in data:  # the n of "\n" before an id is none of it
        data = _ESCAPE.sub(b" ", data)
    known = item.references | TLP_IDS.keys() | {item.id}
    return frozenset(_find_ids(data.lower(), known)) - known


def _find_ids(data: bytes, known: Collection[ObjectId]) -> Iterator[ObjectId]:
    """Besides those that are known: in "report-of-identity--…" each that it can be, as a type may have hyphens."""
    for tail in _TAIL.finditer(data):
        head = _HEAD.search(data[max(0, tail.start() - _LONGEST) : tail.start()])
        if head is None:
            continue
        name = (head[0] + tail[0]).decode()
        if name in known or name.startswith(_FORMAL):
            continue
        words = head[0].decode().split("-")
        yield from (ObjectId("-".join(words[first:]) + tail[0].decode()) for first in range(len(words)))
