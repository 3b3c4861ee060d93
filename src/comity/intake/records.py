# SPDX-License-Identifier: Apache-2.0
"""Pure: what a reader of a foreign format gives: records that became objects, and those that did not."""

from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final, TypeVar

from comity.ids import PartyId

__all__ = ["Converted", "Record", "Unread", "pack", "run_steps"]

_T = TypeVar("_T")

_AT_ONCE: Final = 200
_BYTES_AT_ONCE: Final = 512 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One record of a file and what it became.

    `place` is where a person finds it ("row 17", "/Event/Attribute/3", "INDIVIDUAL 6908555"). `objects` are STIX 2.1
    objects as JSON text, each after those that it refers to; those that were made here have ids that follow from their
    content, so that the same record read again is the same objects. The strictest marking of the record and of what it
    lay in is on each of them. `audiences` say, by id, which of them no party may ever be given but those, this one
    among them; what is not there is restricted by its markings alone. `notes` say what a person has to know: what was
    not carried over, and why. `sayings` are, by object as it stands in `objects`, what its source said
    that the object does not: they are kept beside it, and never given away.
    """

    place: str
    objects: tuple[bytes, ...]
    audiences: Mapping[str, frozenset[PartyId]] = field(default_factory=lambda: MappingProxyType({}))
    notes: tuple[str, ...] = ()
    sayings: Mapping[bytes, Sequence[bytes]] = field(default_factory=lambda: MappingProxyType({}))


@dataclass(frozen=True, slots=True, kw_only=True)
class Unread:
    """One record that was not understood: where it is, what is wrong with it, and what to do."""

    place: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Converted:
    """A file, or a part of it: what was read, and what was not; one bad record takes no good one with it.

    `facts` are what the file says of itself, as `list_version`: they go on record with the file, and with no object.
    """

    records: tuple[Record, ...]
    unread: tuple[Unread, ...] = ()
    facts: Mapping[str, str] = field(default_factory=dict)


def pack(found: Iterable[Record | Unread | None]) -> Iterator[Converted]:
    """What was read in parts of a bounded size, in its order, but for what is bad within one part.

    None is for what was read and is no record yet: a part of nothing else is empty, and others may get a turn.
    """
    records, unread, size, count = list[Record](), list[Unread](), 0, 0
    for one in found:
        count += 1
        if isinstance(one, Record):
            records.append(one)
            size += sum(map(len, one.objects))
        elif one is not None:
            unread.append(one)
        if count >= _AT_ONCE or size >= _BYTES_AT_ONCE:
            yield Converted(records=tuple(records), unread=tuple(unread))
            records, unread, size, count = [], [], 0, 0
    if records or unread:
        yield Converted(records=tuple(records), unread=tuple(unread))


def run_steps(steps: Generator[None, None, _T]) -> _T:
    """What comes of work that pauses, with no turn for anybody else."""
    while True:
        try:
            next(steps)
        except StopIteration as done:
            result: _T = done.value
            return result
