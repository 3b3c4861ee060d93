# SPDX-License-Identifier: Apache-2.0
"""Pure: spans of time as terms write them (ISO 8601 §5.5.2), in whole years, months, days and hours.

    add_duration(parse_instant("2026-01-31T00:00:00Z"), parse_duration("P1M"))  ->  2026-02-28T00:00:00Z

A month is a month of the calendar in UTC: a day that the month does not have becomes its last. Weeks, minutes, seconds
and fractions are refused: retention and response times are not counted in them.
"""

import re
from calendar import monthrange
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache

from comity.errors import MalformedRequest
from comity.ids import Instant

__all__ = ["Duration", "add_duration", "format_duration", "parse_duration", "subtract_duration"]

_FORM = re.compile(r"P(?=\d|T\d)(?:(\d{1,3})Y)?(?:(\d{1,4})M)?(?:(\d{1,5})D)?(?:T(\d{1,6})H)?", re.ASCII)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MONTHS_OF_A_YEAR = 12
_LAST_YEAR = 9999
_SLACK = 4 * 86_400_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Duration:
    """A span of calendar months and of hours; never empty."""

    months: int
    hours: int


def parse_duration(text: str) -> Duration:
    """The span that `text` says: "P1Y6M", "P30D", "PT8H".

    Raises:
        MalformedRequest: another form, or a span of nothing.
    """
    match = _FORM.fullmatch(text)
    if match is None:
        raise MalformedRequest(f"{text[:64]!r} is not a duration such as P1Y, P6M, P30D or PT8H (ISO 8601)")
    years, months, days, hours = (int(part or "0") for part in match.groups())
    duration = Duration(months=years * _MONTHS_OF_A_YEAR + months, hours=days * 24 + hours)
    if not duration.months and not duration.hours:
        raise MalformedRequest(f"{text!r} is a duration of nothing")
    return duration


def format_duration(duration: Duration) -> str:
    """The one way to write it: years, months, days, hours, each where there are any."""
    years, months = divmod(duration.months, _MONTHS_OF_A_YEAR)
    days, hours = divmod(duration.hours, 24)
    date = "".join(f"{count}{unit}" for count, unit in ((years, "Y"), (months, "M"), (days, "D")) if count)
    return f"P{date}" + (f"T{hours}H" if hours else "")


@lru_cache(maxsize=4_096)  # what came in together is kept as long, and is asked about one by one
def add_duration(instant: Instant, duration: Duration) -> Instant:
    """The time `duration` after `instant`; at the latest the last day that a timestamp can write."""
    start = _EPOCH + timedelta(microseconds=instant)
    month = start.month - 1 + duration.months
    year = start.year + month // _MONTHS_OF_A_YEAR
    last = datetime(_LAST_YEAR, 12, 31, tzinfo=UTC)
    if year > _LAST_YEAR:
        return _to_instant(last)
    number = month % _MONTHS_OF_A_YEAR + 1
    moved = start.replace(year=year, month=number, day=min(start.day, monthrange(year, number)[1]))
    if moved >= last - timedelta(hours=duration.hours):
        return _to_instant(last)
    return _to_instant(moved + timedelta(hours=duration.hours))


def subtract_duration(instant: Instant, duration: Duration) -> Instant:
    """A time after which nothing can have begun that has lasted `duration` by `instant`.

    Up to four days later than need be: months differ, and `add_duration` does not rise strictly at their ends.
    """
    first = datetime(1, 1, 1, tzinfo=UTC)
    moment = _EPOCH + timedelta(microseconds=instant)
    if moment < first + timedelta(hours=duration.hours):
        return _to_instant(first)
    moment -= timedelta(hours=duration.hours)
    month = moment.month - 1 - duration.months
    year = moment.year + month // _MONTHS_OF_A_YEAR
    if year < 1:
        return _to_instant(first)
    number = month % _MONTHS_OF_A_YEAR + 1
    moved = moment.replace(year=year, month=number, day=min(moment.day, monthrange(year, number)[1]))
    return Instant(_to_instant(moved) + _SLACK)


def _to_instant(moment: datetime) -> Instant:
    return Instant((moment - _EPOCH) // timedelta(microseconds=1))
