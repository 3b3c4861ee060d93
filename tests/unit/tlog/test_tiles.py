# SPDX-License-Identifier: Apache-2.0
"""Where the parts of a log lie: one path for each part, and entries behind their lengths (C2SP tlog-tiles)."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from comity.errors import MalformedNote, MalformedRequest
from comity.tlog.tiles import EntryBundle, TilePart, format_bundle, parse_bundle, parse_part, part_path

GOOD: dict[str, TilePart | EntryBundle] = {
    "tile/0/000": TilePart(level=0, index=0, width=256),
    "tile/0/067": TilePart(level=0, index=67, width=256),
    "tile/1/000.p/17": TilePart(level=1, index=0, width=17),
    "tile/63/000.p/1": TilePart(level=63, index=0, width=1),
    "tile/0/x001/x234/067": TilePart(level=0, index=1_234_067, width=256),
    "tile/0/x001/x234/067.p/255": TilePart(level=0, index=1_234_067, width=255),
    "tile/entries/x001/000": EntryBundle(index=1_000, width=256),
    "tile/entries/000.p/9": EntryBundle(index=0, width=9),
}
BAD = (
    "",
    "checkpoint/",
    "tile",
    "tile/0",
    "tile/0/",
    "tile/0/0",
    "tile/0/67",
    "tile/0/0067",
    "tile/0/000/",
    "/tile/0/000",
    "tile/00/000",
    "tile/01/000",
    "tile/64/000",
    "tile/99/000",
    "tile/100/000",
    "tile/-1/000",
    "tile/+1/000",
    "tile/0/001/067",
    "tile/0/x001",
    "tile/0/x001/x067",
    "tile/0/x000/067",
    "tile/0/x000/x001/067",
    "tile/0/X001/067",
    "tile/0/000.p",
    "tile/0/000.p/",
    "tile/0/000.p/0",
    "tile/0/000.p/01",
    "tile/0/000.p/256",
    "tile/0/000.p/257",
    "tile/0/000.p/1/",
    "tile/0/000.p/1.p/1",
    "tile/0/000.P/1",
    "tile/entries/000.p/256",
    "tile/Entries/000",
    "tile/data/000",
    "tile/entries",
    "tile/0/\u0660\u0660\u0660",
    "tile/0/000\n",
    "tile/0/000 ",
    "tile/0/../0/000",
    "tile/0/x999/x999/x999/x999/x999/999",
    "tile/0/x001/x000/x000/x000/x000/x000/x000/000",
)


@pytest.mark.parametrize("path", GOOD)
def test_a_part_has_its_path(path: str) -> None:
    assert parse_part(path) == GOOD[path]
    assert part_path(GOOD[path]) == path


@pytest.mark.parametrize("path", BAD)
def test_what_is_spelled_in_another_way_names_nothing(path: str) -> None:
    assert parse_part(path) is None


@given(st.integers(0, 63), st.integers(0, 2**55 - 1), st.integers(1, 256))
@example(0, 2**55 - 1, 256)
def test_every_part_is_found_by_its_path(level: int, index: int, width: int) -> None:
    tile, bundle = TilePart(level=level, index=index, width=width), EntryBundle(index=index, width=width)
    assert parse_part(part_path(tile)) == tile
    assert parse_part(part_path(bundle)) == bundle


def test_an_index_whose_entries_no_checkpoint_could_count_names_nothing() -> None:
    assert parse_part(part_path(EntryBundle(index=2**55, width=256))) is None


@given(st.text(max_size=40) | st.from_regex(r"tile/[a-z0-9]*/[x0-9/]*(\.p/[0-9]*)?", fullmatch=True))
def test_a_path_is_read_as_written_or_not_at_all(path: str) -> None:
    part = parse_part(path)
    assert part is None or part_path(part) == path


@given(st.lists(st.binary(max_size=300), min_size=1, max_size=256))
@example([b"\xff" * 65_535])
@example([b""])
def test_a_bundle_gives_its_entries_back(entries: list[bytes]) -> None:
    assert parse_bundle(format_bundle(entries)) == tuple(entries)


def test_a_bundle_is_lengths_of_two_bytes_the_higher_first() -> None:
    assert format_bundle([b"ab", b"", b"c" * 258]) == b"\x00\x02ab\x00\x00\x01\x02" + b"c" * 258


def test_an_entry_that_is_too_long_is_not_cut() -> None:
    with pytest.raises(MalformedRequest, match="65536 bytes"):
        format_bundle([b"x" * 65_536])


@given(st.binary(max_size=2_000))
def test_any_bytes_are_a_bundle_or_malformed(data: bytes) -> None:
    try:
        entries = parse_bundle(data)
    except MalformedNote:
        return
    assert format_bundle(entries) == data


@pytest.mark.parametrize("data", [b"", b"\x00", b"\x00\x02a", b"\x00\x01a\x00", b"\x00\x00" * 257])
def test_what_ends_too_early_or_too_late_is_no_bundle(data: bytes) -> None:
    with pytest.raises(MalformedNote):
        parse_bundle(data)
