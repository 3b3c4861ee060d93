# SPDX-License-Identifier: Apache-2.0
"""Pure: strict JSON in, RFC 8785 bytes and SHA-256 out.

Decides what counts as JSON here: RFC 8259 in UTF-8 without a byte order mark, no key twice in one object, no NaN or
Infinity, no lone surrogate, no number beyond a double, within `Limits`. What is signed must be its own canonical form.
What a value means is decided by whoever parses it next.

    parse_json(b'{"a": 1, "a": 2}', limits=OBJECT_LIMITS)   raises MalformedJson, where "/a"
    canonical_bytes({"b": 1, "a": []}) == b'{"a":[],"b":1}'
    split_members(b'{"type": "bundle", "objects": [{ }, {"x":1}]}', array="objects", limits=BUNDLE_LIMITS)
        == ({"type": "bundle"}, (Member(index=0, data=b"{ }"), Member(index=1, data=b'{"x":1}')))

Bytes that were received are sliced, never written anew (`split_members`): what was signed or hashed is kept.
"""

import hashlib
import json
import math
import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias, cast

import rfc8785

from comity.certain import UNCERTAIN, read_certain, slice_certain
from comity.errors import MalformedJson
from comity.ids import Digest

__all__ = [
    "BUNDLE_LIMITS",
    "OBJECT_LIMITS",
    "SIGNED_LIMITS",
    "Json",
    "Limits",
    "Member",
    "canonical_bytes",
    "parse_json",
    "parse_signed_json",
    "sha256_digest",
    "split_members",
]

Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json] | None"
"""A JSON value as the standard library gives it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Bounds that are checked before any value is built."""

    max_bytes: int
    max_depth: int
    """Arrays and objects inside one another; a scalar alone has depth 0."""
    max_items: int
    """Elements of all arrays plus members of all objects, at every depth."""


SIGNED_LIMITS = Limits(max_bytes=1 << 20, max_depth=16, max_items=50_000)
"""For what parties sign: an agreement of 32 parties needs a tenth of it."""

OBJECT_LIMITS = Limits(max_bytes=1 << 20, max_depth=32, max_items=50_000)
"""For one STIX object."""

BUNDLE_LIMITS = Limits(max_bytes=64 << 20, max_depth=34, max_items=20_000_000)
"""For one bundle or TAXII envelope: two levels above its objects."""


class Member(NamedTuple):
    """One element of an array as it was received."""

    index: int  # type: ignore[assignment] # it hides a method of tuples that nobody uses here
    """0-based place in the array."""
    data: bytes
    """The received bytes of the element, without the white space around it."""


class _NotStrictError(Exception):
    """Raised inside the decoder, where the place is not known; `_refusal` finds it."""


@dataclass(frozen=True, slots=True)
class _Refused:
    """Stands for a number or constant that is refused, while its place is looked for."""

    reason: str


@dataclass(frozen=True, slots=True)
class _Pairs:
    """The members of an object, repeated keys and all."""

    pairs: list[tuple[str, object]]


_MAX_INTEGER_CHARACTERS = 309  # as many digits as the largest double has; what a double cannot hold is refused
_TAIL = 64  # characters after the elements of a bundle, looked through for the end of it
_MAX_KEY_SHOWN = 64  # as much of a key as a message bears
_MAX_SAFE_INTEGER = 2**53 - 1  # RFC 8785 §3.2.2.3, I-JSON (RFC 7493 §2.2)
_SPACE = re.compile(r"[ \t\n\r]*")
# Possessive, with an optional end: one pass whatever the text, also when a string is never closed.
_STRING = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+"?', re.DOTALL)
_NOT_BRACKET = re.compile(r"[^\[\]{}]+")
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")
_BRACKET = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+"?|[\[\]{}]', re.DOTALL)


# --- numbers, constants, keys: what the standard decoder is told --------------------------------------------------


def _read_integer(text: str) -> int:
    if len(text) > _MAX_INTEGER_CHARACTERS:
        raise _NotStrictError
    return int(text)


def _read_float(text: str) -> float:
    value = float(text)
    if math.isinf(value):
        raise _NotStrictError
    return value


def _refuse_constant(_: str) -> Json:
    raise _NotStrictError


def _read_members(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise _NotStrictError
    return members


_STRICT = json.JSONDecoder(
    object_pairs_hook=_read_members,
    parse_int=_read_integer,
    parse_float=_read_float,
    parse_constant=_refuse_constant,
)

_FINDING = json.JSONDecoder(
    object_pairs_hook=_Pairs,
    parse_int=lambda text: 0 if len(text) <= _MAX_INTEGER_CHARACTERS else _Refused("a number too large for a double"),
    parse_float=lambda text: _Refused("a number too large for a double") if math.isinf(float(text)) else 0.0,
    parse_constant=lambda text: _Refused(f"{text}, which is not JSON"),
)
"""Accepts what `_STRICT` refuses, and keeps enough to say where it was."""

_SLICING = json.JSONDecoder(parse_int=len, strict=False)
"""Finds where an element ends. Whether it may be kept is for the caller's `parse_json`, element by element."""


# --- saying where -------------------------------------------------------------------------------------------------


def escape(key: str) -> str:
    """One reference token of a JSON pointer (RFC 6901 §3); a key that is long or not text is shortened."""
    shown = key if len(key) <= _MAX_KEY_SHOWN else f"{key[:_MAX_KEY_SHOWN]}…"
    return shown.encode("utf-8", "backslashreplace").decode("utf-8").replace("~", "~0").replace("/", "~1")


def _place(text: str, position: int) -> str:
    """The "line:column" of a character, both from 1."""
    line = text.count("\n", 0, position) + 1
    return f"{line}:{position - text.rfind(chr(10), 0, position)}"


def refuse_syntax(text: str, position: int, problem: str) -> MalformedJson:
    where = _place(text, position)
    return MalformedJson(f"line {where}: {problem}; the bytes are not JSON (RFC 8259)", where=where)


def _first_refused(value: object, pointer: str) -> tuple[str, str] | None:
    """Where and what the first thing is that `_STRICT` refused in a value that `_FINDING` read."""
    if isinstance(value, _Refused):
        return pointer, value.reason
    children: list[tuple[str, object]] = []
    if isinstance(value, _Pairs):
        seen: set[str] = set()
        for key, child in value.pairs:
            if key in seen:
                return f"{pointer}/{escape(key)}", "a key that is already in this object"
            seen.add(key)
            children.append((escape(key), child))
    elif isinstance(value, list):
        children = [(str(index), child) for index, child in enumerate(value)]
    for token, child in children:
        found = _first_refused(child, f"{pointer}/{token}")
        if found is not None:
            return found
    return None


def _refusal(text: str, start: int, pointer: str) -> MalformedJson:
    """The error for the value at `start`, that `_STRICT` refused for more than its syntax."""
    try:
        found = _first_refused(_FINDING.raw_decode(text, start)[0], pointer)
    except json.JSONDecodeError as error:
        return refuse_syntax(text, error.pos, error.msg)
    where, reason = found if found is not None else (pointer, "something that is not strict JSON")
    return MalformedJson(f"{where or 'the value'} is {reason}", where=where or _place(text, start))


def decode_at(text: str, start: int, *, pointer: str) -> tuple[Json, int]:
    """The strict value that begins at `start`, and the position after it."""
    try:
        return _decode_strict(text, start, pointer)
    except RecursionError:
        # Only with a `max_depth` beyond what the interpreter can follow, or a caller already that deep itself.
        where = _place(text, start)
        raise MalformedJson(f"line {where}: arrays or objects lie too deep; flatten them", where=where) from None


def _decode_strict(text: str, start: int, pointer: str) -> tuple[Json, int]:
    try:
        value, end = _STRICT.raw_decode(text, start)
    except json.JSONDecodeError as error:
        raise refuse_syntax(text, error.pos, error.msg) from None
    except _NotStrictError:
        raise _refusal(text, start, pointer) from None
    if _SURROGATE.search(text, start, end) is not None:
        _check_surrogates(value, pointer, _place(text, start))
    return value, end


# --- walking a value ----------------------------------------------------------------------------------------------


def _scalars(value: Json, pointer: str) -> Iterator[tuple[str, bool | int | float | str | None]]:
    """Every key and scalar with its pointer, in document order. The depth was bounded before."""
    if isinstance(value, dict):
        for key, child in value.items():
            inside = f"{pointer}/{escape(key)}"
            yield inside, key
            yield from _scalars(child, inside)
    elif isinstance(value, list):
        for index, child in enumerate(value):
            yield from _scalars(child, f"{pointer}/{index}")
    else:
        yield pointer, value


def _check_surrogates(value: Json, pointer: str, start: str) -> None:
    for where, scalar in _scalars(value, pointer):
        try:
            if isinstance(scalar, str):
                scalar.encode("utf-8")
        except UnicodeEncodeError:
            raise MalformedJson(
                f"{where or 'the value'} holds a lone surrogate (an unpaired \\ud800 to \\udfff), which is not text",
                where=where or start,
            ) from None


def _check_signable(value: Json) -> None:
    """Refuse what two implementations could read in two ways: floats, big integers, unnormalised text."""
    for where, scalar in _scalars(value, ""):
        shown = where or "1:1"
        if isinstance(scalar, str):
            if not unicodedata.is_normalized("NFC", scalar):
                raise MalformedJson(f"{shown} holds text that is not in Unicode form NFC; normalise it", where=shown)
        elif isinstance(scalar, float):
            raise MalformedJson(f"{shown} is a number with a fraction or exponent; use an integer", where=shown)
        elif isinstance(scalar, int) and abs(scalar) > _MAX_SAFE_INTEGER:
            raise MalformedJson(f"{shown} is an integer beyond 2^53 - 1; use a string", where=shown)


# --- bounds -------------------------------------------------------------------------------------------------------


def read_text(data: bytes, limits: Limits) -> str:
    if len(data) > limits.max_bytes:
        raise MalformedJson(f"{len(data)} bytes where at most {limits.max_bytes} are taken; send less at a time")
    if data.startswith(b"\xef\xbb\xbf"):
        raise MalformedJson("the bytes begin with a byte order mark; send UTF-8 without it", where="1:1")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        before = data[: error.start].decode("utf-8")
        where = _place(before, len(before))
        raise MalformedJson(f"line {where}: a byte that is not UTF-8", where=where) from None


def check_items(text: str, limits: Limits) -> None:
    # First a sound upper bound at the speed of str.count; brackets and commas inside strings only raise it.
    if len(text) <= limits.max_items or text.count(",") + text.count("[") + text.count("{") <= limits.max_items:
        return
    bare = _STRING.sub('""', text)
    for space in " \t\n\r":
        bare = bare.replace(space, "")
    # Empty ones are counted, never listed: a list takes twenty times the memory of the text.
    items = bare.count(",") + bare.count("[") + bare.count("{") - bare.count("[]") - bare.count("{}")
    if items > limits.max_items:
        raise MalformedJson(f"{items} array elements and object members where at most {limits.max_items} are taken")


def check_depth(text: str, max_depth: int, *, outer: int = 0) -> None:
    """Refuse text whose brackets nest too deep, `outer` levels around it counted in."""
    if outer + text.count("[") + text.count("{") <= max_depth:
        return
    depth = outer
    for bracket in _NOT_BRACKET.sub("", _STRING.sub("", text)):
        depth += 1 if bracket in "[{" else -1
        if depth > max_depth:
            raise MalformedJson(f"arrays and objects lie more than {max_depth} deep inside one another; flatten them")


# --- the public readings ------------------------------------------------------------------------------------------


def parse_json(data: bytes, *, limits: Limits) -> Json:
    """The value that strict JSON bytes hold (RFC 8259; unique keys as I-JSON asks, RFC 7493 §2.3).

    Integers are exact up to 309 digits; "1.0" and "1e0" are floats.

    Raises:
        MalformedJson: not UTF-8, a byte order mark, not JSON, a key twice in one object, NaN or Infinity, a number
            beyond a double, a lone surrogate, or over a bound. `where` is "line:column" or a JSON pointer.
    """
    quick = read_certain(data, max_bytes=limits.max_bytes, max_depth=limits.max_depth, max_items=limits.max_items)
    return _read_slowly(data, limits) if quick is UNCERTAIN else cast("Json", quick)


def _read_slowly(data: bytes, limits: Limits) -> Json:
    text = read_text(data, limits)
    check_items(text, limits)
    check_depth(text, limits.max_depth)
    start = skip_space(text, 0)
    value, end = decode_at(text, start, pointer="")
    end = skip_space(text, end)
    if end != len(text):
        raise refuse_syntax(text, end, "more follows after the value")
    return value


def parse_signed_json(data: bytes) -> Json:
    """The value of bytes that are signed: strict JSON that is its own canonical form (RFC 8785).

    One value has one signed form: text is NFC, numbers are integers within 2^53 - 1, and the bytes are exactly
    what `canonical_bytes` gives for the value.

    Raises:
        MalformedJson: what `parse_json` refuses under `SIGNED_LIMITS`, a float, a larger integer, text not in NFC,
            or bytes that are not canonical.
    """
    value = parse_json(data, limits=SIGNED_LIMITS)
    _check_signable(value)
    canonical = canonical_bytes(value)
    if canonical != data:
        same = next((i for i, (a, b) in enumerate(zip(data, canonical, strict=False)) if a != b), len(canonical))
        raise MalformedJson(
            f"byte {same} differs from the canonical form (RFC 8785: keys in order, no white space, shortest escapes)",
            where=f"1:{same + 1}",
        )
    return value


def canonical_bytes(value: Json) -> bytes:
    """The one canonical form of a value (RFC 8785), in UTF-8.

    Raises:
        MalformedJson: a number that is not finite, an integer beyond 2^53 - 1, a lone surrogate, or a type that is
            not JSON.
    """
    try:
        return rfc8785.dumps(value)
    except ValueError as error:  # the library's own errors, and UnicodeEncodeError from a key
        raise MalformedJson(f"the value has no canonical form (RFC 8785): {error}") from None
    except RecursionError:
        raise MalformedJson("the value lies deeper inside itself than can be written") from None


def sha256_digest(data: bytes) -> Digest:
    """The SHA-256 of the bytes, as 64 lower-case hexadecimal digits."""
    return Digest(hashlib.sha256(data).hexdigest())


def split_members(
    data: bytes, *, array: str, limits: Limits, most: int | None = None
) -> tuple[dict[str, Json], tuple[Member, ...]]:
    """The members of a top-level object but for `array`, and the elements of `array` as received bytes.

    The other members are read as strictly as by `parse_json`. An element is only delimited, so that what is wrong in
    it does not spoil its neighbours: the caller gives each to `parse_json`, and `max_depth` is not applied inside it.
    `max_items` and `max_bytes` hold for the whole. Without `array` there are no elements. At most `most` + 1 elements
    are looked for: where so many come back, nothing behind them was read, and the caller refuses the whole.

    Raises:
        MalformedJson: no object, cut short, a key twice, an `array` that is none, a member not strict, or over a bound.
    """
    text = read_text(data, limits)
    check_items(text, limits)
    position = skip_space(text, 0)
    if not text.startswith("{", position):
        raise refuse_syntax(text, position, "an object, beginning with '{', was expected")
    others: dict[str, Json] = {}
    members: tuple[Member, ...] | None = None
    position = skip_space(text, position + 1)
    more = not text.startswith("}", position)
    while more:
        key, position = read_key(text, position)
        if key in others or (key == array and members is not None):
            where = f"/{escape(key)}"
            raise MalformedJson(f"{where} holds a key that is already in this object", where=where)
        if key == array:
            members, position = _slice_elements(text, position, array, most=most)
            if most is not None and len(members) > most:
                break
        else:
            check_depth(text[position : find_end(text, position)], limits.max_depth, outer=1)
            others[key], position = decode_at(text, position, pointer=f"/{escape(key)}")
        more, position = read_separator(text, position, "}")
    else:
        position = skip_space(text, position + 1)
        if position != len(text):
            raise refuse_syntax(text, position, "more follows after the object")
    return others, members or ()


def skip_space(text: str, position: int) -> int:
    match = _SPACE.match(text, position)
    return position if match is None else match.end()


def read_key(text: str, position: int) -> tuple[str, int]:
    """The key that begins at `position`, and where its value begins."""
    if not text.startswith('"', position):
        raise refuse_syntax(text, position, "a key in double quotes was expected here")
    key, end = decode_at(text, position, pointer="")
    end = skip_space(text, end)
    if not text.startswith(":", end):
        raise refuse_syntax(text, end, "':' was expected here")
    return str(key), skip_space(text, end + 1)


def read_separator(text: str, position: int, closing: str) -> tuple[bool, int]:
    """Whether another element follows, and where it, or the closing bracket, is."""
    position = skip_space(text, position)
    if text.startswith(",", position):
        return True, skip_space(text, position + 1)
    if text.startswith(closing, position):
        return False, position
    raise refuse_syntax(text, position, f"',' or '{closing}' was expected here")


def _slice_elements(text: str, position: int, array: str, *, most: int | None) -> tuple[tuple[Member, ...], int]:
    """The elements of the array that begins at `position`, and the position after its ']'.

    Where there are over `most`, that many and one, and a position that says nothing.
    """
    if not text.startswith("[", position):
        where = f"/{escape(array)}"
        raise MalformedJson(f"line {_place(text, position)}: {where} is not an array", where=where)
    if (quick := _slice_quickly(text, position)) is not None:
        return quick
    members: list[Member] = []
    position = skip_space(text, position + 1)
    more = not text.startswith("]", position)
    while more and (most is None or len(members) <= most):
        end = find_end(text, position)
        members.append(Member(index=len(members), data=text[position:end].encode("utf-8")))
        more, position = read_separator(text, end, "]")
    return tuple(members), position + 1


def _slice_quickly(text: str, position: int) -> tuple[tuple[Member, ...], int] | None:
    """The same, where nothing but the end of the object follows the array, as in most bundles and envelopes."""
    tail = text[-_TAIL:]
    end = len(text) - len(tail) + len(tail.rstrip(" \t\n\r}"))
    elements = slice_certain(text[position:end].encode("utf-8")) if text.endswith("]", position, end) else None
    if elements is None:
        return None
    return tuple(Member(index=index, data=data) for index, data in enumerate(elements)), end


def find_end(text: str, start: int) -> int:
    """The position after the element that begins at `start`."""
    try:
        return _SLICING.raw_decode(text, start)[1]
    except json.JSONDecodeError as error:
        raise refuse_syntax(text, error.pos, error.msg) from None
    except RecursionError:
        return _match_bracket(text, start)


def _match_bracket(text: str, start: int) -> int:
    """The position after the bracket that closes the one at `start`: for elements the decoder cannot follow.

    Nothing inside is checked; the caller's `parse_json` refuses such an element for its depth.
    """
    depth = 0
    for match in _BRACKET.finditer(text, start):
        character = text[match.start()]
        if character != '"':
            depth += 1 if character in "[{" else -1
        if depth == 0:
            return match.end()
    raise refuse_syntax(text, start, "an array or object begins here that is never closed")
