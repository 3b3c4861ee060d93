# SPDX-License-Identifier: Apache-2.0
"""Pure: dates in English text, absolute or told from the day of publication, with their places.

    find_dates("It began on Thursday and ended on Oct. 14, 2014.", published="2014-10-17")
        -> [Found(12, 20, "2014-10-16", "weekday"), Found(34, 47, "2014-10-14", "day")]

A value is a day "2014-10-14", a month "2014-10", a year "2014", or two of them with "/" between, both included. Days
written in numbers are read only as YYYY-MM-DD and DD.MM.YYYY: elsewhere nobody can tell the day from the month.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from typing import Final, NamedTuple

__all__ = ["Found", "find_dates", "find_days", "is_value"]

_MONTHS: Final = (
    *("january", "february", "march", "april", "may", "june", "july"),
    *("august", "september", "october", "november", "december"),
)
_SHORT: Final = {month[:3]: number for number, month in enumerate(_MONTHS, start=1)} | {"sept": 9}
_NUMBERS: Final[Mapping[str, int]] = {month: number for number, month in enumerate(_MONTHS, start=1)} | _SHORT
_WEEKDAYS: Final = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_COUNTS: Final = {
    word: number
    for number, word in enumerate(
        ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"), start=1
    )
} | {"a": 1, "an": 1}

_S = r"(?:[ \t\u00a0]{1,3}(?:\n[ \t\u00a0]{0,3})?|\n[ \t\u00a0]{0,3})"
_MONTH = rf"(?P<month>{'|'.join(sorted(_NUMBERS, key=len, reverse=True))})\b\.?"
_WEEKDAY = rf"(?P<weekday>{'|'.join(_WEEKDAYS)})\b"
_DAY = r"(?P<day>\d{1,2})(?:st|nd|rd|th)?"
_YEAR = r"(?P<year>(?:1[89]|20|21)\d\d)"

_Forms = tuple[tuple[str, re.Pattern[str]], ...]
"""In the order in which they are tried, each with the rule that it is; a form that matches has all of its parts."""


def _form(rule: str, form: str) -> tuple[str, re.Pattern[str]]:
    return rule, re.compile(form, re.IGNORECASE | re.ASCII)


_AT_YEARS: Final = (
    _form("day", rf"(?<![\w.-]){_YEAR}-(?P<number>\d\d)-{_DAY}(?![\d-])"),
    _form("years", rf"(?<![\w.,-]){_YEAR}[-\u2013](?P<until>(?:1[89]|20|21)?\d\d)(?![\w-])"),
)
_AT_NUMBER: Final = (
    _form("day", rf"(?<![\w.-])(?P<day>\d{{1,2}})\.{_S}?(?P<number>\d{{1,2}})\.{_S}?{_YEAR}(?!\.?\d)"),
    _form("day", rf"(?<![\w,.-]){_DAY}{_S}(?:of{_S})?{_MONTH},?{_S}{_YEAR}\b"),
    _form("day-of-year", rf"(?<![\w,.-]){_DAY}{_S}(?:of{_S})?{_MONTH}"),
    _form("ago", rf"(?<![\w,.-])(?P<count>\d{{1,3}}){_S}(?P<unit>day|week|month|year)s?{_S}ago\b"),
)
_AT_YEAR: Final = (_form("year", rf"(?<![\w,.-]){_YEAR}(?![,.-]?\w)"),)
_AT_MONTH: Final = (
    _form("day", rf"{_MONTH}{_S}{_DAY},?{_S}{_YEAR}\b"),
    _form("day-of-year", rf"{_MONTH}{_S}{_DAY}\b(?!,?\s?\d)"),
    _form("month", rf"{_MONTH},?{_S}{_YEAR}\b"),
)
_AT_MONTH_ALONE: Final = (_form("month-of-year", rf"{_MONTH}"),)
_AT_WEEKDAY: Final = (_form("weekday", _WEEKDAY),)
_AT_TURN: Final = (
    _form("weekday", rf"(?P<turn>next|last|this|coming|past){_S}{_WEEKDAY}"),
    _form("turn", rf"(?P<turn>next|last|this){_S}(?P<unit>week|month|year)\b"),
    _form("turn", rf"(?:earlier|later){_S}(?P<turn>next|last|this){_S}(?P<unit>week|month|year)\b"),
)
_AT_NEAR: Final = (_form("near", r"(?P<near>today|yesterday|tomorrow)\b"),)
_AT_COUNT: Final = (
    _form(
        "ago",
        rf"(?P<count>{'|'.join(sorted(_COUNTS, key=len, reverse=True))}){_S}(?P<unit>day|week|month|year)s?{_S}ago\b",
    ),
)
_BY_WORD: Final[Mapping[str, _Forms]] = {
    **dict.fromkeys(_NUMBERS, _AT_MONTH),
    **dict.fromkeys(_WEEKDAYS, _AT_WEEKDAY),
    **dict.fromkeys(("next", "last", "this", "coming", "past", "earlier", "later"), _AT_TURN),
    **dict.fromkeys(("today", "yesterday", "tomorrow"), _AT_NEAR),
    **dict.fromkeys(_COUNTS, _AT_COUNT),
}
_UNITS: Final = ("day", "days", "week", "weeks", "month", "months", "year", "years")
_NEEDS: Final[Mapping[str, frozenset[str]]] = {
    **dict.fromkeys(_COUNTS, frozenset(_UNITS)),
    **dict.fromkeys(("next", "last", "this", "coming", "past"), frozenset((*_UNITS, *_WEEKDAYS))),
    **dict.fromkeys(("earlier", "later"), frozenset(("next", "last", "this"))),
}
"""What must stand behind these for a form to match."""

_BEFORE: Final = frozenset(
    [
        "in",
        "since",
        "from",
        "until",
        "till",
        "of",
        "by",
        "for",
        "during",
        "before",
        "after",
        "last",
        "next",
        "early",
        "late",
        "mid",
        "through",
        "to",
        "between",
    ]
)
"""Behind one of these a month or a year counts alone."""

_ANY: Final = frozenset({"a", "each", "every"})
"""Before a weekday: "on a Friday" is no day."""
_ANY_YEAR = re.compile(_YEAR, re.ASCII)
_TOKEN = re.compile(r"\w++")
_VALUE = re.compile(r"[0-9]{4}(-[0-9]{2}(-[0-9]{2})?)?", re.ASCII)
_MOST_VALUES = 2
_MAX_AHEAD = 62
"""Days: what names no year lies in the past, unless it is about to come."""


class Found(NamedTuple):
    """A date in a text: its place, what it says, and the rule that read it."""

    start: int
    end: int
    value: str
    rule: str


def is_value(text: str) -> bool:
    """Whether that is a day, a month or a year, or two of one form with "/" between, the earlier first."""
    values = text.split("/")
    return (
        len(values) <= _MOST_VALUES
        and len({len(value) for value in values}) == 1
        and all(map(_is_single, values))
        and values == sorted(set(values))
    )


def _is_single(value: str) -> bool:
    try:
        return _VALUE.fullmatch(value) is not None and bool(date.fromisoformat((value + "-01-01")[:10]))
    except ValueError:
        return False


def find_days(text: str) -> list[Found]:
    """The days that a text names in full, year and all, in its order."""
    if _ANY_YEAR.search(text) is None:
        return []
    return [found for found in find_dates(text, published=None) if found.rule == "day"]


def find_dates(
    text: str, *, published: str | None, words: tuple[Sequence[str], Sequence[int]] | None = None
) -> list[Found]:
    """Every date, in the order of the text; without a day of publication only those that are said in full.

    `words` are the words of the text in small letters with their places, where they are known already.
    """
    day = date.fromisoformat(published) if published else None
    values, starts = words or _split(text)
    taken, last = list[Found](), 0
    for index in [index for index, word in enumerate(values) if word < ":" or word in _BY_WORD]:
        found = _match(text, starts[index], _list_forms(values, index), day) if starts[index] >= last else None
        if found is not None:
            taken.append(found)
            last = found.end
    return taken


def _list_forms(values: Sequence[str], index: int) -> _Forms:
    """The forms in which a date may begin with a word, by the words beside it."""
    word, before = values[index], values[index - 1] if index else ""
    if word[0] <= "9":
        forms = _AT_YEARS if len(word) == 4 and word.isdigit() else _AT_NUMBER  # noqa: PLR2004 (digits of a year)
        return forms + _AT_YEAR if before in _BEFORE else forms
    if word in _NEEDS and (index + 1 == len(values) or values[index + 1] not in _NEEDS[word]):
        return ()
    if before in _ANY and word in _WEEKDAYS:
        return ()
    return _BY_WORD[word] + _AT_MONTH_ALONE if before in _BEFORE and word in _NUMBERS else _BY_WORD[word]


def _split(text: str) -> tuple[list[str], list[int]]:
    found = list(_TOKEN.finditer(text))
    return [match[0].lower() for match in found], [match.start() for match in found]


def _match(text: str, at: int, forms: _Forms, published: date | None) -> Found | None:
    for rule, form in forms:
        match = form.match(text, at)
        if match is None:
            continue
        parts: dict[str, str] = match.groupdict()
        if (value := _read(rule, parts, published)) is not None:
            end = match.end()
            # The full stop after a month that is no short form ends the sentence.
            whole = text[end - 1] == "." and parts.get("month", "").lower() in _MONTHS
            return Found(at, end - 1 if whole else end, value, rule)
    return None


def _read(rule: str, parts: Mapping[str, str], published: date | None) -> str | None:
    month = _NUMBERS.get(parts.get("month", "").lower(), 0) or int(parts.get("number", "0"))
    year = int(parts.get("year", "0"))
    if rule == "day":
        return _day(year, month, int(parts["day"]))
    if rule == "month":
        return f"{year:04}-{month:02}"
    if rule == "years":
        return _years(parts["year"], parts["until"])
    if rule == "year":
        return parts["year"]
    if published is None:
        return None
    return _RELATIVE[rule](parts, month, published)


def _day(year: int, month: int, day: int) -> str | None:
    try:
        return date(year, month, day).isoformat()
    except ValueError:
        return None


def _years(first: str, last: str) -> str | None:
    whole = last if len(last) == len(first) else first[: len(first) - len(last)] + last
    return f"{first}/{whole}" if whole > first else None


def _read_day_of_year(parts: Mapping[str, str], month: int, published: date) -> str | None:
    """The nearest such day that is past, or not far ahead."""
    for year in (published.year + 1, published.year, published.year - 1):
        found = _day(year, month, int(parts["day"]))
        if found is not None and date.fromisoformat(found) <= _move(published, _MAX_AHEAD):
            return found
    return None


def _read_month(parts: Mapping[str, str], month: int, published: date) -> str | None:
    """The nearest such month; with a capital: "May" may be a verb, and "March" a march."""
    if not parts["month"][0].isupper():
        return None
    ahead = (month - published.month) % 12
    back = ahead > 6  # noqa: PLR2004 (half a year: what lies further ahead was meant as past)
    year = published.year + (month < published.month) - back
    return f"{year:04}-{month:02}"


def _read_weekday(parts: Mapping[str, str], _: int, published: date) -> str | None:
    """The last such day up to the day of publication, or the next one after it."""
    if not parts["weekday"][0].isupper():
        return None
    number, turn = _WEEKDAYS.index(parts["weekday"].lower()), parts.get("turn", "").strip().lower()
    back = (published.weekday() - number) % 7
    if turn in ("next", "coming"):
        return _move(published, 7 - back).isoformat()
    if turn in ("last", "past") and back == 0:
        back = 7
    return _move(published, -back).isoformat()


def _read_ago(parts: Mapping[str, str], _: int, published: date) -> str | None:
    said = parts["count"].lower()
    count = _COUNTS.get(said) or int(said)
    match parts["unit"].lower():
        case "day":
            return _move(published, -count).isoformat()
        case "week":
            return _move(published, -7 * count).isoformat()
        case "month":
            months = published.year * 12 + published.month - 1 - count
            return f"{months // 12:04}-{months % 12 + 1:02}"
        case _:
            return f"{published.year - count:04}"


def _read_near(parts: Mapping[str, str], _: int, published: date) -> str | None:
    return _move(published, {"today": 0, "yesterday": -1, "tomorrow": 1}[parts["near"].lower()]).isoformat()


def _read_turn(parts: Mapping[str, str], _: int, published: date) -> str | None:
    step = {"next": 1, "last": -1, "this": 0}[parts["turn"].lower()]
    match parts["unit"].lower():
        case "week":
            monday = _move(published, 7 * step - published.weekday())
            end = published if step == 0 and published.weekday() else _move(monday, 6)
            return f"{monday.isoformat()}/{end.isoformat()}"
        case "month":
            months = published.year * 12 + published.month - 1 + step
            return f"{months // 12:04}-{months % 12 + 1:02}"
        case _:
            return f"{published.year + step:04}"


def _move(day: date, days: int) -> date:
    """Some days later or earlier, held inside the calendar."""
    return date.fromordinal(min(max(day.toordinal() + days, date.min.toordinal()), date.max.toordinal()))


_RELATIVE: Final[Mapping[str, Callable[[Mapping[str, str], int, date], str | None]]] = {
    "day-of-year": _read_day_of_year,
    "month-of-year": _read_month,
    "weekday": _read_weekday,
    "ago": _read_ago,
    "near": _read_near,
    "turn": _read_turn,
}
