# SPDX-License-Identifier: Apache-2.0
"""Pure: an envelope of somebody who may want its reading to take long, taken apart in a bounded time.

    split_objects(b'{"objects":[{ },{"x":1}]}', limits=BUNDLE_LIMITS, most=1_000, beside=131_072)
        == ({}, (Member(index=0, data=b"{ }"), Member(index=1, data=b'{"x":1}')))

What is in an object is not looked at here further than to find its end.

A bundle bears no marking of its own (STIX 2.1 §8). One that does all the same would lose it with its objects: it is
refused.
"""

from collections.abc import Mapping
from typing import Final

from comity.canonical import Json, Limits, Member, split_members
from comity.certain import NotCutError, cut_out, slice_certain
from comity.errors import MalformedJson

__all__ = ["MARKED_WHOLE", "find_marking_of_all", "split_objects"]

MARKED_WHOLE: Final = "a bundle has no marking of its own in STIX 2.1, which all in it would lose: mark each object"
"""Why a bundle is refused that says one."""

_MARKINGS: Final = frozenset({"object_marking_refs", "granular_markings", "tlp", "marking", "markings"})


def find_marking_of_all(beside: Mapping[str, Json]) -> str | None:
    """The member beside the objects that marks all of them; None where none does."""
    return next((name for name, said in beside.items() if said and name.lower().removeprefix("x_") in _MARKINGS), None)


def split_objects(data: bytes, *, limits: Limits, most: int, beside: int) -> tuple[dict[str, Json], tuple[Member, ...]]:
    """`split_members` of `objects`, in a time that whoever made the bytes cannot stretch.

    Of over `beside` bytes all have to be JSON, or nothing is split: to find the ends of what is not JSON, or is nested
    without end, takes a hundred times as long. No more than `beside` bytes may stand beside the elements.

    Raises:
        MalformedJson: as `split_members`, or for one of these.
    """
    if len(data) > limits.max_bytes:
        raise MalformedJson(f"{len(data)} bytes where at most {limits.max_bytes} are taken; send less at a time")
    # White space is no work; what is said of a place in a short body is counted from its first byte.
    bare = data.strip(b" \t\n\r")
    if len(bare) <= beside:
        return split_members(data, array="objects", limits=limits, most=most)
    try:
        listed = cut_out(bare)
    except NotCutError as error:
        raise MalformedJson(f"{error}; the bytes are not JSON (RFC 8259) that can be taken apart") from None
    if len(bare) - len(listed) > beside:
        raise MalformedJson(
            f"over {beside} bytes stand beside `objects`, or there is no such list; send the objects in it alone"
        )
    before, behind = _leave_out(bare, listed)
    others, _ = split_members(before + b"[]" + behind, array="objects", limits=limits)
    elements = slice_certain(listed, most=most)
    if elements is None:
        raise MalformedJson("/objects is not an array", where="/objects")
    return others, tuple([Member(index=index, data=element) for index, element in enumerate(elements)])


def _leave_out(data: bytes, listed: bytes) -> tuple[bytes, bytes]:
    """What stands before and behind the elements; they are longer than what is before, and found where they stand."""
    start = data.find(b"[")
    if start >= 0 and data.startswith(listed, start):
        return data[:start], data[start + len(listed) :]
    before, _, behind = data.partition(listed)
    return before, behind
