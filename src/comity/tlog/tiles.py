# SPDX-License-Identifier: Apache-2.0
"""Pure: where the parts of a log lie below its prefix, and how entries stand in a bundle (C2SP tlog-tiles).

    checkpoint                     the last signed checkpoint
    tile/0/x001/067                tile 1067 of level 0, all 256 hashes of it
    tile/1/000.p/17                the first 17 hashes of tile 0 of level 1
    tile/entries/x001/067          entries 273152 to 273407

A part has one path: what is spelled in another way names nothing. Not here: whether a log has the part, and who may
read it (`node.readers`).
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from comity.errors import MalformedNote, MalformedRequest
from comity.tlog.merkle import tile_path

__all__ = [
    "CHECKPOINT",
    "TILE_WIDTH",
    "EntryBundle",
    "TilePart",
    "format_bundle",
    "parse_bundle",
    "parse_part",
    "part_path",
]

CHECKPOINT = "checkpoint"
TILE_WIDTH = 256
_ENTRY_BYTES = 65_535
_MOST_INDEX = 2**55
"""An index below it times 256 is a size that a checkpoint can have (2^63 - 1)."""
_PATH = re.compile(
    r"tile/(?P<level>entries|0|[1-9][0-9]?)/(?P<index>(?:x[0-9]{3}/){0,5}[0-9]{3})(?:\.p/(?P<width>[1-9][0-9]{0,2}))?",
    re.ASCII,
)
_LENGTH_BYTES = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class TilePart:
    """The first `width` hashes of tile `index` at `level`; a width of 256 is the full tile."""

    level: int
    index: int
    width: int


@dataclass(frozen=True, slots=True, kw_only=True)
class EntryBundle:
    """The first `width` entries of those that tile `index` of level 0 holds the hashes of."""

    index: int
    width: int


def parse_part(path: str) -> TilePart | EntryBundle | None:
    """The part that `path`, below the prefix of a log, names; None when it names none.

    Levels are 0 to 63, widths 1 to 255 or, for what is full, not there (C2SP tlog-tiles, "Merkle Tree").
    """
    match = _PATH.fullmatch(path)
    if match is None:
        return None
    index, width = int(match["index"].replace("x", "").replace("/", "")), int(match["width"] or TILE_WIDTH)
    part = (
        EntryBundle(index=index, width=width)
        if match["level"] == "entries"
        else TilePart(level=int(match["level"]), index=index, width=width)
    )
    try:
        # "x000/067" and ".p/256" are other spellings of what has one.
        return part if index < _MOST_INDEX and part_path(part) == path else None
    except MalformedRequest:
        return None


def part_path(part: TilePart | EntryBundle) -> str:
    """Where the part lies below the prefix of its log.

    Raises:
        MalformedRequest: no log has such a part.
    """
    match part:
        case TilePart(level=level, index=index, width=width):
            return tile_path(level, index, width)
        case EntryBundle(index=index, width=width):
            return tile_path(0, index, width).replace("tile/0/", "tile/entries/", 1)


def format_bundle(entries: Sequence[bytes]) -> bytes:
    """Entries one after another, each behind its length in two bytes, the higher one first.

    Raises:
        MalformedRequest: an entry over 65,535 bytes.
    """
    for entry in entries:
        if len(entry) > _ENTRY_BYTES:
            raise MalformedRequest(
                f"an entry of {len(entry)} bytes, where a bundle takes {_ENTRY_BYTES}", where="entry"
            )
    return b"".join([part for entry in entries for part in (len(entry).to_bytes(_LENGTH_BYTES), entry)])


def parse_bundle(data: bytes) -> tuple[bytes, ...]:
    """The 1 to 256 entries of a bundle. That they are those of a log is not verified here.

    Raises:
        MalformedNote: it ends within an entry, or holds none or too many.
    """
    entries: list[bytes] = []
    start = 0
    while start < len(data):
        stop = start + _LENGTH_BYTES
        stop += int.from_bytes(data[start:stop])
        if stop > len(data) or len(entries) == TILE_WIDTH:
            raise MalformedNote(
                f"the bundle ends within entry {len(entries)}, or holds more than {TILE_WIDTH}", where=f"byte {start}"
            )
        entries.append(data[start + _LENGTH_BYTES : stop])
        start = stop
    if not entries:
        raise MalformedNote("the bundle holds no entry", where="byte 0")
    return tuple(entries)
