# SPDX-License-Identifier: Apache-2.0
"""Pure: STIX 2.1 as it was received: each object of a bundle or an envelope a record, its bytes kept."""

from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Final

from comity.intake.cutting import Cutter, Element, TooLong
from comity.intake.records import Converted, Record, Unread

__all__ = ["count_elements", "cut_elements", "describe_too_long", "read_stix"]

_AT_ONCE: Final = 500


def count_elements(chunks: Iterable[bytes]) -> int:
    """How many objects are in the file, good or bad; nothing is kept of them.

    Raises:
        MalformedFile: it is no bundle, envelope or object, or is cut short.
    """
    return sum(1 for _ in cut_elements(chunks))


def cut_elements(chunks: Iterable[bytes]) -> Iterator[Element]:
    """Each element of the list of objects, in its order, or the one object that the file is.

    Raises:
        MalformedFile: as `count_elements`, at the place where that shows.
    """
    cutter = Cutter()
    yield from chain.from_iterable(cutter.feed(chunk) for chunk in chunks)
    yield from cutter.close()


def read_stix(chunks: Iterable[bytes]) -> Iterator[Converted]:
    """Each object as a record of its own; whether it is one is for whoever takes it in.

    Raises:
        MalformedFile: as `count_elements`, at the place where that shows: who must know before asks that first.
    """
    records, unread = list[Record](), list[Unread]()
    for index, element in enumerate(cut_elements(chunks)):
        place = f"/objects/{index}"
        if isinstance(element, TooLong):
            unread.append(describe_too_long(place, element))
        else:
            records.append(Record(place=place, objects=(element,)))
        if len(records) + len(unread) == _AT_ONCE:
            yield Converted(records=tuple(records), unread=tuple(unread))
            records, unread = [], []
    if records or unread:
        yield Converted(records=tuple(records), unread=tuple(unread))


def describe_too_long(place: str, element: TooLong) -> Unread:
    """What is said of an object that is over the bound."""
    return Unread(
        place=place, reason=f"over {element.most} bytes, which is the bound of an object; take out what is long"
    )
