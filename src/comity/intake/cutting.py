# SPDX-License-Identifier: Apache-2.0
"""Pure: the objects cut out of a STIX bundle or a TAXII envelope of any length, a part of the file at a time.

    cutter = Cutter()
    cutter.feed(b'{"type":"bundle","objects":[{"a":1},{"b"')  == [b'{"a":1}']
    cutter.feed(b':2}],"id":"bundle--…"}')                    == [b'{"b":2}']
    cutter.close()                                            == []

No more of the file is in memory than one object and what was fed last. Only brackets and strings are looked at: what is
inside an object is for whoever parses it. One that is over the bound of an object is passed over, and stands in its
place as a text that says so (`TooLong`). What is around the list is read as strictly as anything.
"""

import re
from dataclasses import dataclass
from typing import Final, TypeAlias

from comity.canonical import BUNDLE_LIMITS, OBJECT_LIMITS, parse_json
from comity.errors import MalformedFile, MalformedJson
from comity.stix.envelopes import MARKED_WHOLE, find_marking_of_all

__all__ = ["Cutter", "Element", "TooLong"]


@dataclass(frozen=True, slots=True)
class TooLong:
    """An element of over so many bytes as an object may have."""

    most: int


Element: TypeAlias = bytes | TooLong

_MOST_BESIDE: Final = 128 * 1024
"""Bytes before the list of objects, and behind it."""

_SPACE: Final = re.compile(rb"[ \t\n\r]*+")
_STRING: Final = rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"'
_TO_BRACKET: Final = re.compile(rb'(?:[^"\[\]{}]++|' + _STRING + rb")*+([\[\]{}])", re.DOTALL)
_NESTED: Final = 6


def _match_whole(depth: int) -> bytes:
    """An array or object in which no others are nested deeper than that."""
    inside = rb'(?:[^"\[\]{}]++|' + _STRING + rb")*+"
    whole = rb"[\[{]" + inside + rb"[\]}]"
    for _ in range(depth):
        whole = rb"[\[{]" + inside + rb"(?:" + whole + inside + rb")*+[\]}]"
    return whole


_WHOLE: Final = re.compile(_match_whole(_NESTED), re.DOTALL)
"""Tried once for each element, as it begins: the usual one is found so at once, any other bracket by bracket."""
_SCALAR: Final = re.compile(rb"(?:" + _STRING + rb'|[^"\[\]{},\s]++)[ \t\n\r]*+(?=[,\]])', re.DOTALL)
# A string that has no end yet is one token: were it none, what is in it would be looked through once for each quote.
_TOKEN: Final = re.compile(
    rb"(" + _STRING + rb")([ \t\n\r]*+:[ \t\n\r]*+(\[)?)?|[\[\]{}]|" + _STRING[:-1] + rb"\\?\Z", re.DOTALL
)
_TYPE: Final = re.compile(rb'"type"[ \t\n\r]*+:[ \t\n\r]*+("[^"]*+")')
_PLAIN: Final = re.compile(rb'[^"\[\]{}]*+')
_QUOTED: Final = re.compile(rb'[^"\\]*+(?:\\.[^"\\]*+)*+', re.DOTALL)
_OPENING: Final = (b"[", b"{")


class Cutter:
    """Gives the elements of `objects`, in their order, as they are complete; or the one object that the file is."""

    def __init__(self, *, most: int = OBJECT_LIMITS.max_bytes) -> None:
        self._most = most
        self._head: bytes | None = None
        self._rest = b""
        # Where the list begins is looked for from the first byte on, so not before there is twice as much.
        self._look_at = 0
        # Where the next element begins in what is left, how far it was looked through, and how deep that is in it.
        self._start, self._at, self._depth = 0, 0, 0
        self._dropping, self._quoted = False, False
        self._is_over = False
        self._count = 0

    def feed(self, chunk: bytes) -> list[Element]:
        """The elements that are complete with `chunk`.

        Raises:
            MalformedFile: it is not JSON with a list of objects, as far as brackets and strings go.
        """
        self._rest += chunk
        if self._head is None and (len(self._rest) < min(self._look_at, self._most + 1) or not self._open()):
            return []
        return self._cut_all()

    def _cut_all(self) -> list[Element]:
        found = list[Element]()
        while not self._is_over and (element := self._cut()) is not None:
            found.append(element)
            self._count += 1
        self._rest = self._rest[self._start :]
        self._at, self._start = self._at - self._start, 0
        if self._is_over and len(self._rest) > _MOST_BESIDE:
            raise MalformedFile(f"over {_MOST_BESIDE} bytes stand behind `objects`; send the objects in it alone")
        return found

    def close(self) -> list[Element]:
        """The end of the file: the one object that it is, if it has no list of objects.

        Raises:
            MalformedFile: it is cut short, or what is beside the objects is not that of a bundle or an envelope.
        """
        found = self._cut_all() if self._head is None and self._open() else []
        if self._head is None:
            # No list: one object, which is read as such by whoever parses it.
            return [self._rest.strip(b" \t\n\r")]
        if not self._is_over:
            raise MalformedFile(
                f"the file ends within /objects/{self._count}; it was cut short, or a bracket or quote is missing",
                where=f"/objects/{self._count}",
            )
        try:
            beside = parse_json(self._head + b"[]" + self._rest, limits=BUNDLE_LIMITS)
        except MalformedJson as error:
            raise MalformedFile(f"beside the objects: {error.detail}", where=error.where) from None
        if not isinstance(beside, dict) or beside.get("type", "bundle") != "bundle":
            raise MalformedFile("its `type` is not bundle; send a bundle, an envelope or one object", where="/type")
        if (marking := find_marking_of_all(beside)) is not None:
            raise MalformedFile(MARKED_WHOLE, where=f"/{marking}")
        if not self._count and beside.keys() - {"more", "next", "objects"}:
            raise MalformedFile(
                "no object is in it; send a STIX bundle with a list `objects` that is not empty, or one object",
                where="/objects",
            )
        return found

    def _open(self) -> bool:
        """Whether the list of objects has begun; then what is before it is set apart."""
        depth = 0
        for match in _TOKEN.finditer(self._rest):
            if match[1] is None and match[0][:1] == b'"':
                break
            if match[1] is None:
                depth += 1 if match[0] in _OPENING else -1
            elif match[3] is not None:
                if depth == 1 and match[1] == b'"objects"' and not self._names_another_type(match.start()):
                    self._head, self._rest = self._rest[: match.end() - 1], self._rest[match.end() :]
                    return True
                depth += 1
            if depth <= 0:
                break
        if len(self._rest) > max(_MOST_BESIDE, self._most):
            raise MalformedFile(
                "it is neither a bundle with a list `objects` near its beginning nor one object within the bound of"
                f" {self._most} bytes",
                where="/objects",
            )
        self._look_at = 2 * len(self._rest)
        return False

    def _names_another_type(self, end: int) -> bool:
        """Whether what is before the list says already that it is no bundle: an object may have a list of that name."""
        named = _TYPE.search(self._rest, 0, end)
        return named is not None and named[1] != b'"bundle"'

    def _cut(self) -> Element | None:
        """The next element, or None where it is not complete yet, or there is none."""
        if self._dropping:
            return self._drop()
        if self._depth == 0:
            start = self._find_element()
            if start is None:
                return None
            if self._rest[start : start + 1] not in _OPENING:
                return self._take_scalar(start)
            self._start = self._at = start
            if (whole := _WHOLE.match(self._rest, start)) is not None:
                return self._take(whole.end())
        return self._go_on()

    def _go_on(self) -> Element | None:
        """The element that has begun, looked through from bracket to bracket as far as it is there."""
        while match := _TO_BRACKET.match(self._rest, self._at):
            self._at = match.end()
            self._depth += 1 if match[1] in _OPENING else -1
            if self._depth == 0:
                return self._take(self._at)
        if len(self._rest) - self._start <= self._most:
            return None
        self._dropping, self._start = True, self._at
        return self._drop()

    def _find_element(self) -> int | None:
        """Where the next element begins, if that is known yet; the end of the list is passed over."""
        start = self._skip(self._start)
        sign = self._rest[start : start + 1]
        if sign == b"]":
            self._start, self._is_over = start + 1, True
            return None
        if self._count and sign:
            if sign != b",":
                raise self._refuse("',' or ']' was expected")
            start = self._skip(start + 1)
        return None if start == len(self._rest) else start

    def _take_scalar(self, start: int) -> Element | None:
        """What is no array or object: whoever parses it refuses it."""
        scalar = _SCALAR.match(self._rest, start)
        if scalar is not None:
            self._start = start
            return self._take(scalar.end())
        if len(self._rest) - start > self._most or self._rest[start : start + 1] in {b",", b"]", b"}", b":"}:
            raise self._refuse("an object was expected")
        return None

    def _skip(self, start: int) -> int:
        match = _SPACE.match(self._rest, start)
        return start if match is None else match.end()

    def _take(self, end: int) -> Element:
        element, self._start = self._rest[self._start : end], end
        return element.rstrip(b" \t\n\r") if len(element) <= self._most else TooLong(self._most)

    def _drop(self) -> Element | None:
        """Pass over an element that is too long, keeping nothing of it."""
        while self._start < len(self._rest):
            skipped = (_QUOTED if self._quoted else _PLAIN).match(self._rest, self._start)
            self._start = self._start if skipped is None else skipped.end()
            sign = self._rest[self._start : self._start + 1]
            if not sign or sign == b"\\":
                break  # the rest of it is in the next part of the file
            self._start += 1
            if sign == b'"':
                self._quoted = not self._quoted
                continue
            self._depth += 1 if sign in _OPENING else -1
            if self._depth == 0:
                self._dropping = False
                return TooLong(self._most)
        self._at = self._start
        return None

    def _refuse(self, problem: str) -> MalformedFile:
        where = f"/objects/{self._count}"
        return MalformedFile(f"{where}: {problem}; the file is not JSON (RFC 8259) of that form", where=where)
