# SPDX-License-Identifier: Apache-2.0
"""Pure: JSON read several times as fast as by the strict reading of `canonical`, where both certainly say the same.

What is not certain is left: `canonical` reads it, accepts it or says what is wrong and where. So nothing is decided
here, and whoever calls these two has both readings.

    read_certain(b'{"a": [1, "é"]}', …) == {"a": [1, "é"]}
    read_certain(b'{"a": 1, "a": 2}', …) is UNCERTAIN       a key twice
    read_certain(b'{"a": 1.5}', …) is UNCERTAIN             a number with a fraction
    slice_certain(b'[{ }, {"x":1}]') == [b"{ }", b'{"x":1}']
    cut_out(b'{"objects":[1],"id":"x"}') == b"[1]"

No key is there twice if the value, written anew, is as long as the text without its white space: the writer writes each
string and each integer as short as JSON can, so a member that was lost is not made up for. Numbers with a fraction can
be written longer than they were, and are left.
"""

from collections.abc import Iterable, Sequence
from enum import Enum
from functools import lru_cache
from typing import Final

from msgspec import MsgspecError, Raw, Struct, ValidationError, defstruct
from msgspec.json import Decoder, Encoder
from msgspec.json import format as reformat
from msgspec.structs import astuple

__all__ = [
    "MOST_COUNTED",
    "UNCERTAIN",
    "NotCutError",
    "Uncertain",
    "cut_out",
    "read_all_certain",
    "read_certain",
    "read_texts",
    "slice_certain",
    "write_compact",
]

MOST_COUNTED: Final = 10_000
"""So many elements can be told from more without any of what is behind them being looked at."""


class Uncertain(Enum):
    """What `read_certain` says of bytes that have to be read strictly."""

    UNCERTAIN = "uncertain"


UNCERTAIN: Final = Uncertain.UNCERTAIN


class _LeftError(Exception):
    """Raised inside the decoder at what is left."""


def _leave(_: str) -> float:
    raise _LeftError


_DECODER: Final = Decoder(float_hook=_leave)
_SLICER: Final = Decoder(list[Raw])
_TEXTS: Final = Decoder(dict[str, str | None])


class _Envelope(Struct):
    """The one member that is cut out of a bundle or an envelope; all others are passed over."""

    objects: Raw = Raw(b"")


_CUTTER: Final = Decoder(_Envelope)
_NONE: Final = Raw(b"")
_ENCODER: Final = Encoder()
_DIGITS: Final = bytes.maketrans(b"123456789", b"000000000")
_LONG_NUMBER: Final = b"0" * 310
"""One digit more than the largest double has."""

# A RecursionError: nested too deep for the interpreter, or for a caller that is deep itself. A UnicodeDecodeError, and
# an integer of over 4,300 digits, are a ValueError.
_LEFT: Final = (MsgspecError, ValueError, RecursionError, _LeftError)


def read_certain(data: bytes, *, max_bytes: int, max_depth: int, max_items: int) -> object:
    """The JSON value that `data` is, if it is certain that the strict reading gives the same, else `UNCERTAIN`.

    The bounds are those of `canonical.Limits`; what is not certainly within them is left too.
    """
    if len(data) > max_bytes or _LONG_NUMBER in data.translate(_DIGITS):
        return UNCERTAIN
    # There are no more items than bytes, and nothing is deeper than it is long.
    opened = 0 if len(data) <= min(max_depth, max_items) else data.count(b"[") + data.count(b"{")
    if len(data) > max_items < opened + data.count(b","):
        return UNCERTAIN
    try:
        value: object = _DECODER.decode(data)
        length = len(_ENCODER.encode(value))
        same = length == len(data) or length == len(reformat(data, indent=-1))
    except _LEFT:
        return UNCERTAIN
    return value if same and (opened <= max_depth or not _is_deeper(value, max_depth)) else UNCERTAIN


def read_all_certain(
    elements: Sequence[bytes], *, max_bytes: int, max_depth: int, max_items: int
) -> Sequence[object] | None:
    """The values that `elements` are, where `read_certain` is certain of every one; None where it is of none, or not.

    Each has to be one JSON value as far as brackets and strings go, as what `slice_certain` gives is. They are read as
    one array: written anew, none of them is longer than it was, so that all are as long as they were if the array is.
    """
    if max(map(len, elements), default=0) > min(max_bytes, max_items):
        return None
    together = b"[" + b",".join(elements) + b"]"
    values = read_certain(together, max_bytes=len(together), max_depth=len(together), max_items=len(together))
    if not isinstance(values, list) or len(values) != len(elements):
        return None
    for element, value in zip(elements, values, strict=True):
        if element.count(b"[") + element.count(b"{") > max_depth and _is_deeper(value, max_depth):
            return None
    return values


def read_texts(data: bytes) -> dict[str, str | None] | None:
    """The texts and nulls of the JSON object that `data` may be; None where it is none of them alone.

    Here nothing is certain: whoever calls this knows how such an object is written, writes it anew, and reads strictly
    what is not the same bytes.
    """
    try:
        return _TEXTS.decode(data)
    except _LEFT:
        return None


def slice_certain(data: bytes, *, most: int | None = None) -> Sequence[bytes] | None:
    """The elements of the JSON array that `data` is, as received, without the white space around them; None if unsure.

    What is inside an element was not looked at further than to find its end. Where there are over `most`, which is at
    most MOST_COUNTED, that many and one come back, and say nothing but that.
    """
    bound = MOST_COUNTED if most is None else most
    try:
        if most is None or bound > MOST_COUNTED:
            return [bytes(element) for element in _SLICER.decode(data)]
        counted = _make_counter(bound).decode(data)
    except ValidationError as error:
        # The only other thing that can be wrong with an array of anything is that it is none.
        return [b""] * (bound + 1) if "at most length" in str(error) else None
    except _LEFT:
        return None
    return [bytes(element) for element in astuple(counted) if element is not _NONE]


@lru_cache(maxsize=4)
def _make_counter(most: int) -> Decoder[Struct]:
    """What reads an array of so many elements, each with nothing where it is not there, and stops at one too many.

    A list is measured only when all of it was read, and three million elements are 300 MB by then.
    """
    fields = [(f"at_{place}", Raw, _NONE) for place in range(most)]
    return Decoder(defstruct("_Counted", fields, array_like=True, forbid_unknown_fields=True))


def write_compact(value: object) -> bytes | None:
    """The JSON of a value that was read of JSON, members in their order: what differs is written differently.

    None where it holds a lone surrogate, or an integer that is too long to be written.
    """
    try:
        return _ENCODER.encode(value)
    except (*_LEFT, OverflowError):
        return None


class NotCutError(Exception):
    """The bytes are not JSON that this reading can follow; its text says why."""


def cut_out(data: bytes) -> bytes:
    """The member `objects` of the JSON object that `data` is, as received; empty bytes where there is none.

    Where there are several, the last one. What is inside it, or beside it, was only passed over.

    Raises:
        NotCutError: no JSON object, or one that is nested too deep to be passed over.
    """
    try:
        return bytes(_CUTTER.decode(data).objects)
    except RecursionError:
        raise NotCutError("arrays and objects lie too deep inside one another") from None
    except (MsgspecError, ValueError) as error:
        raise NotCutError(str(error)) from None


def _is_deeper(value: object, depth: int) -> bool:
    """Whether arrays and objects lie more than `depth` deep inside one another."""
    inside: Iterable[object]
    if isinstance(value, dict):
        inside = value.values()
    elif isinstance(value, list):
        inside = value
    else:
        return False
    return depth == 0 or any(_is_deeper(one, depth - 1) for one in inside)
