# SPDX-License-Identifier: Apache-2.0
"""Pure: STIX 2.1 as it was received: each object of a bundle or an envelope a record, its bytes kept."""

from collections.abc import Iterable, Iterator
from itertools import chain

from comity.intake.cutting import Cutter, Element, TooLong
from comity.intake.records import Converted, Record, Unread, pack

__all__ = ["cut_elements", "describe_too_long", "read_stix"]


def cut_elements(chunks: Iterable[bytes]) -> Iterator[Element]:
    """Each element of the list of objects, in its order, or the one object that the file is.

    Raises:
        MalformedFile: it is no bundle, envelope or object, or is cut short, at the place where that shows.
    """
    cutter = Cutter()
    yield from chain.from_iterable(cutter.feed(chunk) for chunk in chunks)
    yield from cutter.close()


def read_stix(chunks: Iterable[bytes]) -> Iterator[Converted]:
    """Each object as a record of its own; whether it is one is for whoever takes it in.

    Raises:
        MalformedFile: as `cut_elements`: who must know before it keeps anything cuts the whole file first.
    """
    return pack(
        describe_too_long(f"/objects/{index}", element)
        if isinstance(element, TooLong)
        else Record(place=f"/objects/{index}", objects=(element,))
        for index, element in enumerate(cut_elements(chunks))
    )


def describe_too_long(place: str, element: TooLong) -> Unread:
    """What is said of an object that is over the bound."""
    return Unread(
        place=place, reason=f"over {element.most} bytes, which is the bound of an object; take out what is long"
    )
