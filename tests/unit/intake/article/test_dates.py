# SPDX-License-Identifier: Apache-2.0
"""Dates in a text, absolute and told from the day of publication."""

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from comity.intake.article.dates import find_dates, find_days

FRIDAY = "2014-10-17"


@pytest.mark.parametrize(
    ("words", "value"),
    [
        ("October 17, 2014", "2014-10-17"),
        ("Oct. 14, 2014", "2014-10-14"),
        ("17 October 2014", "2014-10-17"),
        ("the 3rd of May 2014", "2014-05-03"),
        ("2014-10-17", "2014-10-17"),
        ("17.10.2014", "2014-10-17"),
        ("October 2014", "2014-10"),
        ("in 2014", "2014"),
        ("1994-96", "1994/1996"),
        ("1999–2000", "1999/2000"),
        ("Thursday", "2014-10-16"),
        ("Friday", "2014-10-17"),
        ("last Friday", "2014-10-10"),
        ("next Monday", "2014-10-20"),
        ("Oct. 3", "2014-10-03"),
        ("December 24", "2013-12-24"),
        ("12 November", "2014-11-12"),
        ("in March", "2015-03"),
        ("since June", "2014-06"),
        ("yesterday", "2014-10-16"),
        ("today", "2014-10-17"),
        ("tomorrow", "2014-10-18"),
        ("three weeks ago", "2014-09-26"),
        ("2 days ago", "2014-10-15"),
        ("a year ago", "2013"),
        ("two months ago", "2014-08"),
        ("earlier this week", "2014-10-13/2014-10-17"),
        ("last week", "2014-10-06/2014-10-12"),
        ("next month", "2014-11"),
        ("last year", "2013"),
    ],
)
def test_dates_are_read(words: str, value: str) -> None:
    text = f"It was {words} when it began."
    (found,) = find_dates(text, published=FRIDAY)
    assert found.value == value
    assert text[found.start : found.end] in words


@pytest.mark.parametrize("turn", ["next", "last", "this"])
@pytest.mark.parametrize("unit", ["week", "month", "year"])
@pytest.mark.parametrize("before", ["", "earlier ", "later "])
def test_every_turn_is_read_whole(before: str, turn: str, unit: str) -> None:
    words = f"{before}{turn} {unit}"
    (found,) = find_dates(f"It began {words}.", published=FRIDAY)
    assert (found.start, found.end) == (9, 9 + len(words))


@pytest.mark.parametrize("turn", ["next", "last", "this", "coming", "past"])
@pytest.mark.parametrize("day", ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"])
def test_every_weekday_with_its_turn_is_read_whole(turn: str, day: str) -> None:
    (found,) = find_dates(f"It began {turn} {day}.", published=FRIDAY)
    assert (found.start, found.end, found.rule) == (9, 10 + len(turn) + len(day), "weekday")


@pytest.mark.parametrize("count", ["a", "an", "one", "six", "twelve", "2", "40"])
@pytest.mark.parametrize("unit", ["day", "days", "week", "weeks", "month", "months", "year", "years"])
def test_every_count_of_units_ago_is_read_whole(count: str, unit: str) -> None:
    words = f"{count} {unit} ago"
    (found,) = find_dates(f"It began {words}.", published=FRIDAY)
    assert (found.start, found.end, found.rule) == (9, 9 + len(words), "ago")


@pytest.mark.parametrize(
    "words",
    [
        "the 31st",
        "03/04/2014",
        "a Friday",
        "it may rain",
        "the march went on",
        "room 2014",
        "1,994 people",
        "version 2014.10.1.2",
        "1996-94",
    ],
)
def test_what_only_looks_like_a_date_is_none(words: str) -> None:
    assert find_dates(f"So {words}, they said", published=FRIDAY) == []


def test_without_a_day_of_publication_only_what_is_said_in_full_counts() -> None:
    found = find_dates("On Thursday, on 3 May, on 3 May 2014, in 2013 and yesterday.", published=None)
    assert [one.value for one in found] == ["2014-05-03", "2013"]


def test_a_full_stop_behind_a_whole_month_ends_the_sentence() -> None:
    text = "It began in May. It ended on Oct. 3."
    assert [text[one.start : one.end] for one in find_dates(text, published=FRIDAY)] == ["May", "Oct. 3"]


def test_a_date_over_a_broken_line_is_one_but_not_over_an_empty_line() -> None:
    assert [one.value for one in find_days("October\n17, 2014")] == ["2014-10-17"]
    assert find_days("October\n\n17, 2014") == []


@given(st.dates(date(1900, 1, 1), date(2199, 12, 31)))
def test_every_day_in_three_forms(day: date) -> None:
    month = day.strftime("%B")
    for text in (day.isoformat(), f"{month} {day.day}, {day.year}", f"{day.day} {month[:3]}. {day.year}"):
        (found,) = find_days(text)
        assert found.value == day.isoformat()


@given(st.dates(date(1900, 1, 1), date(2199, 12, 31)), st.integers(0, 6))
def test_a_weekday_is_the_last_one_up_to_publication(published: date, back: int) -> None:
    day = published - timedelta(days=back)
    (found,) = find_dates(f"They met {day.strftime('%A')}.", published=published.isoformat())
    assert found.value == day.isoformat()
