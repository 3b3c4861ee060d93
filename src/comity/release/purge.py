# SPDX-License-Identifier: Apache-2.0
"""Pure: which entries of the log have lost their content, as the entry that purged them says.

    content  {"approvals":[…],"format":"comity-log-purge/1","ranges":[[3,5],[9,9]],"reason":"…","rule":null}

A purge of the log deletes salt and content of earlier entries and leaves the leaves: every proof still verifies, and a
commitment whose salt is gone cannot be held against a guess. Its own content names each entry that it purged. So it
can never be purged itself, nor can what an agreement or a recovery of the log rests on (`PURGEABLE`).

Not here: the deletion (`node.purge`), and that what is missing is what was purged (`audit`).
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from comity.agreement.people import Approval
from comity.canonical import Json, canonical_bytes, parse_signed_json
from comity.errors import MalformedJson
from comity.ids import format_instant
from comity.release.disclosure import EntryType, Leaf

__all__ = [
    "MAX_PURGED",
    "PURGEABLE",
    "Range",
    "Ranges",
    "find_first_beyond",
    "format_log_purge",
    "merge_ranges",
    "parse_log_purge",
    "size_of",
]

MAX_PURGED = 10_000
"""Entries that one purge names: each apart from the others, their list is still within the bounds of signed JSON."""

PURGEABLE = frozenset(
    {
        EntryType.DISCLOSURE,
        EntryType.PEOPLE,
        EntryType.CREDENTIAL,
        EntryType.REVIEW,
        EntryType.PURGE,
        EntryType.CLASSIFICATION,
    }
)
"""Types whose content can be purged. An agreement's events stay: what was disclosed is held against them. Of the type
`purge` it is the purge of an object alone, never that of entries."""

_FORMAT = "comity-log-purge/1"
_FIELDS = frozenset({"format", "ranges", "rule", "reason", "approvals"})


@dataclass(frozen=True, slots=True, order=True)
class Range:
    """Entries `first` to `last`, both of them included."""

    first: int
    last: int


Ranges: TypeAlias = tuple[Range, ...]
"""Ranges in rising order that neither overlap nor touch."""


def merge_ranges(positions: Iterable[Range]) -> Ranges:
    """The same entries as ranges, fewest possible, in order."""
    merged = list[Range]()
    for item in sorted(positions):
        if merged and item.first <= merged[-1].last + 1:
            merged[-1] = Range(merged[-1].first, max(merged[-1].last, item.last))
        else:
            merged.append(item)
    return tuple(merged)


def find_first_beyond(ranges: Ranges, known: Ranges) -> int | None:
    """The first entry of `ranges` that is in none of `known`; both are merged, so that one covers whole what it can."""
    place = 0
    for item in ranges:
        while place < len(known) and known[place].last < item.first:
            place += 1
        if place == len(known) or known[place].first > item.first:
            return item.first
        if known[place].last < item.last:
            return known[place].last + 1
    return None


def size_of(ranges: Ranges) -> int:
    """How many entries they are."""
    return sum(item.last - item.first + 1 for item in ranges)


def format_log_purge(
    ranges: Ranges, *, rule: str | None, reason: str | None, approvals: Sequence[Approval] = ()
) -> bytes:
    """The content of a purge of entries, canonical: by `rule`, or by the `approvals` of people for a `reason`."""
    return canonical_bytes(
        {
            "format": _FORMAT,
            "ranges": [[item.first, item.last] for item in ranges],
            "rule": rule,
            "reason": reason,
            "approvals": [
                {"person": item.person, "role": item.role.value, "reason": item.reason, "at": format_instant(item.at)}
                for item in approvals
            ],
        }
    )


def parse_log_purge(leaf: Leaf, content: bytes) -> Ranges | None:
    """The entries that an entry with this leaf and content purged; None where it is no purge of entries.

    Raises:
        MalformedJson: it says that it is one, and is none that this version knows; or the leaf counts other ones.
    """
    if leaf.type is not EntryType.PURGE:
        return None
    value = parse_signed_json(content)
    if not isinstance(value, dict) or value.get("format") != _FORMAT:
        return None
    if value.keys() != _FIELDS:
        raise MalformedJson(f"a purge of entries of the format {_FORMAT} has other members")
    ranges = _read_ranges(value["ranges"])
    if ranges != merge_ranges(ranges) or size_of(ranges) != leaf.count or not ranges:
        raise MalformedJson("the entries that were purged are not in order, or not as many as the leaf counts")
    return ranges


def _read_ranges(value: Json) -> Ranges:
    found = list[Range]()
    for item in value if isinstance(value, list) else [None]:
        match item:
            case [int(first), int(last)] if 0 <= first <= last and not isinstance(first, bool):
                found.append(Range(first, last))
            case _:
                raise MalformedJson("a range of purged entries is two numbers, the first and the last")
    return tuple(found)
