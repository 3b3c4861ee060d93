# SPDX-License-Identifier: Apache-2.0
"""Spans of time are read in one form only, and added by the calendar."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from comity.agreement.duration import Duration, add_duration, format_duration, parse_duration
from comity.errors import MalformedRequest
from comity.ids import Instant, format_instant, parse_instant


@pytest.mark.parametrize(
    ("text", "months", "hours"),
    [
        ("P1Y", 12, 0),
        ("P1Y6M", 18, 0),
        ("P30D", 0, 720),
        ("PT8H", 0, 8),
        ("P1Y2M3DT4H", 14, 76),
        ("P0Y1M", 1, 0),
    ],
)
def test_a_span_is_read(text: str, months: int, hours: int) -> None:
    assert parse_duration(text) == Duration(months=months, hours=hours)


NO_SPANS = (
    "",
    "P",
    "PT",
    "P1",
    "1Y",
    "P1W",
    "PT1M",
    "PT1S",
    "P1.5Y",
    "P-1Y",
    "P1M1Y",
    "P1DT",
    "p1y",
    "P1Y ",
    "P0D",
    "P٣D",
)


@pytest.mark.parametrize("text", [*NO_SPANS, "P1000Y", "P100000D"])
def test_another_form_and_a_span_of_nothing_are_refused(text: str) -> None:
    with pytest.raises(MalformedRequest):
        parse_duration(text)


@pytest.mark.parametrize(
    ("start", "text", "end"),
    [
        ("2026-01-31T12:00:00Z", "P1M", "2026-02-28T12:00:00Z"),
        ("2028-01-31T12:00:00Z", "P1M", "2028-02-29T12:00:00Z"),
        ("2028-02-29T00:00:00Z", "P1Y", "2029-02-28T00:00:00Z"),
        ("2026-12-31T23:00:00.000001Z", "PT1H", "2027-01-01T00:00:00.000001Z"),
        ("2026-11-30T00:00:00Z", "P3MT24H", "2027-03-01T00:00:00Z"),
        ("9999-06-01T00:00:00Z", "P1Y", "9999-12-31T00:00:00Z"),
    ],
)
def test_a_month_is_a_month_of_the_calendar(start: str, text: str, end: str) -> None:
    assert add_duration(parse_instant(start), parse_duration(text)) == parse_instant(end)


@given(st.integers(0, 999 * 12), st.integers(0, 99_999 * 24))
def test_a_span_is_written_in_one_way(months: int, hours: int) -> None:
    if not months and not hours:
        return
    span = Duration(months=months, hours=hours)
    assert parse_duration(format_duration(span)) == span


@given(
    st.integers(parse_instant("1970-01-01T00:00:00Z"), parse_instant("9999-12-30T00:00:00Z")),
    st.integers(0, 999 * 12),
    st.integers(0, 1_000_000),
)
def test_what_is_later_stays_later_and_can_be_written(at: int, months: int, hours: int) -> None:
    span, start = Duration(months=months, hours=hours), Instant(at)
    end = add_duration(start, span)
    assert end >= start
    assert parse_instant(format_instant(end)) == end
    assert add_duration(Instant(at + 1), span) >= end
