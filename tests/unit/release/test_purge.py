# SPDX-License-Identifier: Apache-2.0
"""What a purge of entries says, and what no reader takes for one."""

import json
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from comity.canonical import canonical_bytes
from comity.errors import MalformedJson
from comity.ids import Digest, Instant
from comity.release.disclosure import EntryType, Leaf
from comity.release.purge import (
    MAX_PURGED,
    PURGEABLE,
    Range,
    format_log_purge,
    merge_ranges,
    parse_log_purge,
    size_of,
)

LEAF = Leaf(
    type=EntryType.PURGE,
    terms=None,
    recipient=None,
    sequence=None,
    count=4,
    at=Instant(0),
    commitment=Digest("0" * 64),
)
RANGES = (Range(3, 5), Range(9, 9))


@given(st.sets(st.integers(0, 60)))
def test_ranges_are_the_positions_and_no_others(positions: set[int]) -> None:
    ranges = merge_ranges(Range(position, position) for position in positions)
    assert [p for item in ranges for p in range(item.first, item.last + 1)] == sorted(positions)
    assert size_of(ranges) == len(positions)
    assert all(a.last + 1 < b.first for a, b in pairwise(ranges))


@given(st.lists(st.tuples(st.integers(0, 60), st.integers(0, 60)).map(lambda pair: Range(min(pair), max(pair)))))
def test_ranges_that_overlap_are_merged(ranges: list[Range]) -> None:
    wanted = {p for item in ranges for p in range(item.first, item.last + 1)}
    assert {p for item in merge_ranges(ranges) for p in range(item.first, item.last + 1)} == wanted


def test_a_purge_is_read_as_it_was_written() -> None:
    content = format_log_purge(RANGES, rule=None, reason="order 12")
    assert parse_log_purge(LEAF, content) == RANGES
    assert content == (
        b'{"approvals":[],"format":"comity-log-purge/1","ranges":[[3,5],[9,9]],"reason":"order 12","rule":null}'
    )


def test_the_longest_list_can_be_read() -> None:
    ranges = tuple(Range(2 * n + 10**9, 2 * n + 10**9) for n in range(MAX_PURGED))
    content = format_log_purge(ranges, rule=None, reason="x" * 4_096)
    assert parse_log_purge(replace(LEAF, count=MAX_PURGED), content) == ranges


def test_the_purge_of_an_object_and_other_entries_are_none() -> None:
    content = format_log_purge(RANGES, rule=None, reason="order 12")
    assert parse_log_purge(replace(LEAF, type=EntryType.REVIEW), content) is None
    assert parse_log_purge(LEAF, b'{"format":"comity-purge/1"}') is None
    assert EntryType.AGREEMENT_EVENT not in PURGEABLE


@pytest.mark.parametrize(
    "change",
    [
        {"ranges": [[9, 9], [3, 5]]},
        {"ranges": [[3, 5], [5, 5]]},
        {"ranges": [[3, 4], [5, 6]]},
        {"ranges": [[5, 3], [9, 9]]},
        {"ranges": [[-3, 0]]},
        {"ranges": [[3, 5, 9]]},
        {"ranges": ["3"]},
        {"ranges": {}},
        {"ranges": []},
        {"ranges": [[3, 5]]},
        {"ranges": [[True, 4]]},
        {"more": 1},
    ],
)
def test_a_list_that_is_none_is_refused(change: dict[str, Any]) -> None:
    value = json.loads(format_log_purge(RANGES, rule=None, reason="order 12"))
    with pytest.raises(MalformedJson):
        parse_log_purge(LEAF, canonical_bytes(value | change))
