# SPDX-License-Identifier: Apache-2.0
"""Pure: whether what a field says of a birth or an age may be of somebody under eighteen, in the forms people write.

    may_be_born_young("12.03.2015", today)     also 20150312, 12/03/15, 2015, epoch seconds and milliseconds
    may_be_young("12-14")                      also 15, "17 years", [15], {"years": 15}

Of what can be read in several ways the latest day counts that is not in a year to come. What says something that cannot
be read counts as young: it can only keep an object back.
"""

import re
from collections.abc import Iterator, Sequence
from datetime import date
from typing import Final, TypeVar

from comity.canonical import Json

__all__ = ["may_be_born_young", "may_be_young", "says_something"]

_Found = TypeVar("_Found")

_ADULT_AT: Final = 18
_OLDEST: Final = 130
_CENTURIES: Final = (1900, 2000)
_FIRST_YEAR: Final = 1800
_LAST_YEAR: Final = 2099
_LONGEST_TEXT: Final = 1_000
_LONGEST_AGE: Final = 60
_TOO_GREAT: Final = 10**17
_EPOCH_DAY: Final = date(1970, 1, 1).toordinal()
_DAY_SECONDS: Final = 86_400
_EPOCHS: Final = ((10**7, 10**10, 1), (10**10, 10**13, 1_000), (10**13, 10**16, 1_000_000))
"""From, up to, and how many of it are a second: what is smaller may be anything."""

_NOTHING: Final = frozenset(
    {"", "unknown", "none", "null", "n/a", "n.a.", "na", "-", "?", "not known", "not available", "no", "false"}
)
_NUMBER: Final = re.compile(r"-?[0-9]{1,17}", re.ASCII)
_DATE: Final = re.compile(
    r"(?<![0-9])(?:"
    r"(?P<a>[0-9]{1,4})(?P<between>\s?[-/.]\s?|\s)(?P<b>[0-9]{1,2})(?P=between)(?P<c>[0-9]{1,4})"
    r"|(?P<year>[0-9]{4})-(?P<month>[0-9]{2})"
    r"|(?P<digits>[0-9]{4,17})"
    r")(?![0-9])",
    re.ASCII,
)
_AGES: Final = re.compile(
    r"(?:over|>=?)?\s*([0-9]{1,3})(?:\s*(?:-|\u2013|to|or|and|/|,)\s*([0-9]{1,3}))?\s*\+?\s*"
    r"(?:(?:years?|yrs?|y\.?)[ -]?(?:old|of age|o\.?)?)?",
    re.ASCII | re.IGNORECASE,
)
_SHORT_UNITS: Final = re.compile(r"(?:month|week|day|hour)s?", re.ASCII | re.IGNORECASE)


def says_something(value: Json) -> bool:
    """Whether a field says anything at all."""
    match value:
        case None | False:
            return False
        case str():
            return value.strip().lower() not in _NOTHING
        case list():
            return any(map(says_something, value))
        case dict():
            return any(map(says_something, value.values()))
        case _:
            return True


def may_be_young(value: Json, *, unread: bool = True) -> bool:
    """Whether the age may be under eighteen; `unread` is the answer where it cannot be read."""
    return any(unread if age is None else age < _ADULT_AT for age in _list_ages(value))


def may_be_born_young(value: Json, today: date, *, unread: bool = True) -> bool:
    """Whether who was born then may be under eighteen today; `unread` is the answer where it cannot be read."""
    return any(unread if born is None else _is_under_age(born, today) for born in _list_births(value, today))


def _list_ages(value: Json) -> Iterator[float | None]:
    """Each age; None for one that cannot be read. Of an object what can be read counts, if anything."""
    match value:
        case True:
            yield None
        case int() | float() if value is not False:
            yield value if 0 <= value <= _OLDEST else None
        case str() if says_something(value):
            matched = _AGES.fullmatch(value.strip()) if len(value) <= _LONGEST_AGE else None
            numbers = [] if matched is None else [int(number) for number in matched.groups() if number is not None]
            yield min(numbers) if numbers and max(numbers) <= _OLDEST else None
        case list():
            for item in value:
                yield from _list_ages(item)
        case dict():
            if any(isinstance(item, str) and _SHORT_UNITS.fullmatch(item.strip()) for item in value.values()):
                yield None
                return
            ages = [age for name, item in value.items() if not _SHORT_UNITS.fullmatch(name) for age in _list_ages(item)]
            yield from _keep_read(ages)
        case _:
            return


def _list_births(value: Json, today: date) -> Iterator[date | None]:
    """The latest day that each date could be, or None, as with ages."""
    match value:
        case True:
            yield None
        case int() | float() if value is not False:
            yield (
                _choose(_read_number(str(int(value))), today)
                if abs(value) < _TOO_GREAT and value == int(value)
                else None
            )
        case str() if says_something(value):
            text = value.strip()
            if _NUMBER.fullmatch(text):
                yield _choose(_read_number(text), today)
                return
            each = [_choose(_read_match(match), today) for match in _DATE.finditer(text[:_LONGEST_TEXT])]
            yield from _keep_read([*each, None])
        case list():
            for item in value:
                yield from _list_births(item, today)
        case dict():
            births = [born for item in value.values() for born in _list_births(item, today)]
            yield from _keep_read(births)
        case _:
            return


def _keep_read(found: list[_Found | None]) -> Sequence[_Found | None]:
    """Those that could be read, or that none could."""
    return [item for item in found if item is not None] or found[:1]


def _choose(days: list[date], today: date) -> date | None:
    """The latest, of those that are not in years to come if there are others."""
    return max([day for day in days if day.year <= today.year] or days, default=None)


def _read_match(match: re.Match[str]) -> list[date]:
    if match["digits"] is not None:
        return _read_number(match["digits"])
    if match["year"] is not None:
        return _end_month(match["year"], match["month"]) or _end_year(match["year"])
    parts = (match["a"], match["b"], match["c"])
    return _read_parts(*parts) or [day for part in parts for day in _end_year(part)]


def _read_number(text: str) -> list[date]:
    """What digits without anything between them can mean: a year, a day, or a time since 1970."""
    found = list[date]()
    match 0 if text.startswith("-") else len(text):
        case 4:
            return _end_year(text)
        case 6:
            found = [*_read_parts(text[:2], text[2:4], text[4:]), *_end_month(text[:4], text[4:])]
        case 8:
            found = [*_read_parts(text[:4], text[4:6], text[6:]), *_read_parts(text[:2], text[2:4], text[4:])]
            found = found or _end_year(text[:4])
        case 12 | 14:
            found = _read_parts(text[:4], text[4:6], text[6:8])
        case _:
            pass
    return found or _read_epoch(int(text))


def _read_epoch(number: int) -> list[date]:
    for least, bound, in_second in _EPOCHS:
        if least <= abs(number) < bound:
            try:
                return [date.fromordinal(_EPOCH_DAY + number // (in_second * _DAY_SECONDS))]
            except ValueError:
                return []
    return []


def _read_parts(a: str, b: str, c: str) -> list[date]:
    """Every day that three numbers can be: year, month, day, or day, month, year, or month, day, year."""
    found = list[date]()
    for year, month, day in ((a, b, c), (c, b, a), (c, a, b)):
        if len(month) > 2 or len(day) > 2:  # noqa: PLR2004
            continue
        for whole in _complete_year(year):
            try:
                found.append(date(whole, int(month), int(day)))
            except ValueError:
                continue
    return found


def _complete_year(text: str) -> list[int]:
    if len(text) == 2:  # noqa: PLR2004
        return [century + int(text) for century in _CENTURIES]
    return [int(text)] if _is_year(text) else []


def _is_year(text: str) -> bool:
    return len(text) == 4 and _FIRST_YEAR <= int(text) <= _LAST_YEAR  # noqa: PLR2004


def _end_month(year: str, month: str) -> list[date]:
    if not _is_year(year) or not 1 <= int(month) <= 12:  # noqa: PLR2004
        return []
    later = date(int(year) + int(month) // 12, int(month) % 12 + 1, 1)
    return [date.fromordinal(later.toordinal() - 1)]


def _end_year(year: str) -> list[date]:
    return [date(int(year), 12, 31)] if _is_year(year) else []


def _is_under_age(born: date, today: date) -> bool:
    years = today.year - born.year - ((today.month, today.day) < (born.month, born.day))
    return years < _ADULT_AT
