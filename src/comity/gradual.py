# SPDX-License-Identifier: Apache-2.0
"""Pure: JSON of any length read in steps: what `canonical` reads, with a pause wherever others may get a turn.

    read_in_steps(b'{"a": [1, 2]}', limits=BUNDLE_LIMITS)             a generator that returns {"a": [1, 2]}
    split_members_in_steps(data, array="objects", limits=…)           one that returns what `split_members` does

One call of a decoder holds the interpreter until it has read all it was given. So what is short is read by one call
each, and what is around it here, bracket by bracket. It takes two to three times as long, and no value and no refusal
differs but in its words.
"""

from collections.abc import Generator
from dataclasses import replace
from typing import Final, TypeAlias, TypeVar

from comity.canonical import (
    Json,
    Limits,
    Member,
    check_depth,
    check_items,
    decode_at,
    escape,
    find_end,
    parse_json,
    read_key,
    read_separator,
    read_text,
    refuse_syntax,
    skip_space,
)
from comity.errors import MalformedJson

__all__ = ["read_in_steps", "split_members_in_steps"]

_T = TypeVar("_T")
_Steps: TypeAlias = Generator[None, None, _T]

_AT_ONCE: Final = 128 * 1024
"""Characters between two pauses: some milliseconds, and up to thirty where they were made to be dear."""

_LEVELS: Final = 64
"""What lies as deep is read by one call, however long; no limits here let anything lie so deep."""

_TRIED: Final = (1 << 12, 1 << 16)
"""Characters among which the end of an element is looked for by one call; what is longer is gone through in steps."""

_NUMBER_GOES_ON: Final = len("e+")
"""Characters that are part of a number only if a digit follows them (RFC 8259 §6)."""


def read_in_steps(data: bytes, *, limits: Limits) -> _Steps[Json]:
    """The value that `canonical.parse_json` gives.

    Raises:
        MalformedJson: as there.
    """
    text = read_text(data, limits)
    yield
    check_items(text, limits)
    yield
    value, end = yield from _Reading(text, limits).read(skip_space(text, 0), "", 0)
    end = skip_space(text, end)
    if end != len(text):
        raise refuse_syntax(text, end, "more follows after the value")
    return value


def split_members_in_steps(
    data: bytes, *, array: str, limits: Limits, most: int | None = None
) -> _Steps[tuple[dict[str, Json], tuple[Member, ...]]]:
    """What `canonical.split_members` gives.

    Raises:
        MalformedJson: as there.
    """
    text = read_text(data, limits)
    yield
    check_items(text, limits)
    yield
    reading = _Reading(text, limits)
    position = skip_space(text, 0)
    if not text.startswith("{", position):
        raise refuse_syntax(text, position, "an object, beginning with '{', was expected")
    others: dict[str, Json] = {}
    members: tuple[Member, ...] | None = None
    position = skip_space(text, position + 1)
    more = not text.startswith("}", position)
    while more:
        key, position = read_key(text, position)
        where = f"/{escape(key)}"
        if key in others or (key == array and members is not None):
            raise MalformedJson(f"{where} holds a key that is already in this object", where=where)
        if key == array:
            members, position = yield from reading.slice(position, where, most)
            if most is not None and len(members) > most:
                return others, members
        else:
            others[key], position = yield from reading.read(position, where, 1)
        more, position = read_separator(text, position, "}")
    position = skip_space(text, position + 1)
    if position != len(text):
        raise refuse_syntax(text, position, "more follows after the object")
    return others, members or ()


class _Reading:
    """One text, and how far it was read before the last pause."""

    def __init__(self, text: str, limits: Limits) -> None:
        self._text = text
        self._limits = limits
        self._paused_at = 0

    def read(self, position: int, pointer: str, depth: int) -> _Steps[tuple[Json, int]]:
        """The value that begins at `position`, so many levels deep, and the position after it."""
        opening = self._text[position : position + 1]
        quick = self._read_quickly(position, depth) if opening in {"{", "["} else None
        if quick is None:
            check_depth(opening, self._limits.max_depth, outer=depth)
        if quick is not None:
            value, end = quick
        elif depth < _LEVELS and opening == "{":
            return (yield from self._read_object(position, pointer, depth))
        elif depth < _LEVELS and opening == "[":
            return (yield from self._read_array(position, pointer, depth))
        else:
            value, end = decode_at(self._text, position, pointer=pointer)
            check_depth(self._text[position:end], self._limits.max_depth, outer=depth)
        if end - self._paused_at > _AT_ONCE:
            self._paused_at = end
            yield
        return value, end

    def _read_quickly(self, position: int, depth: int) -> tuple[Json, int] | None:
        """The same, of what is short and strict; None where it has to be read so that what is wrong can be said."""
        part = self._text[position : position + _TRIED[0]]
        within = replace(self._limits, max_depth=self._limits.max_depth - depth)
        try:
            end = find_end(part, 0)
            return parse_json(part[:end].encode(), limits=within), position + end
        except MalformedJson:
            return None

    def slice(self, position: int, where: str, most: int | None) -> _Steps[tuple[tuple[Member, ...], int]]:
        """The elements of the array that begins at `position`, as received, and the position after it."""
        text = self._text
        if not text.startswith("[", position):
            raise MalformedJson(f"{where} is not an array", where=where)
        members = list[Member]()
        position = skip_space(text, position + 1)
        more = not text.startswith("]", position)
        while more and (most is None or len(members) <= most):
            end = yield from self._find_end(position)
            members.append(Member(index=len(members), data=text[position:end].encode("utf-8")))
            more, position = read_separator(text, end, "]")
        return tuple(members), position + 1

    def _read_object(self, position: int, pointer: str, depth: int) -> _Steps[tuple[Json, int]]:
        text, members = self._text, dict[str, Json]()
        position = skip_space(text, position + 1)
        more = not text.startswith("}", position)
        while more:
            key, position = read_key(text, position)
            inside = f"{pointer}/{escape(key)}"
            if key in members:
                raise MalformedJson(f"{inside} is a key that is already in this object", where=inside)
            members[key], position = yield from self.read(position, inside, depth + 1)
            more, position = read_separator(text, position, "}")
        return members, position + 1

    def _read_array(self, position: int, pointer: str, depth: int) -> _Steps[tuple[Json, int]]:
        text, elements = self._text, list[Json]()
        position = skip_space(text, position + 1)
        more = not text.startswith("]", position)
        while more:
            value, position = yield from self.read(position, f"{pointer}/{len(elements)}", depth + 1)
            elements.append(value)
            more, position = read_separator(text, position, "]")
        return elements, position + 1

    def _find_end(self, position: int) -> _Steps[int]:
        """The position after the element that begins at `position`."""
        text = self._text
        for most in _TRIED:
            part = text[position : position + most]
            try:
                found = find_end(part, 0)
            except MalformedJson:
                continue
            # A number at the end of the part could go on behind it, also where "." or "e+" is all that is seen of that.
            if found + _NUMBER_GOES_ON < len(part) or position + most >= len(text):
                if position + found - self._paused_at > _AT_ONCE:
                    self._paused_at = position + found
                    yield
                return position + found
        yield
        try:
            _, end = yield from self.read(position, "", 2)
        except MalformedJson:
            return find_end(text, position)
        return end
