# SPDX-License-Identifier: Apache-2.0
"""Pure: what is asked of the log, in one line of qualifiers.

    to:borealia under:3f2a9c object:report--6a1f… basis:"S/RES/9101" since:2026-01 until:2027 kind:purge -to:meridia

Qualifiers of one name stand for any of them, those of different names for all of them, and one behind a `-` for none.
There is no free text: a log holds none that could be looked through.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from comity.errors import MalformedError, MalformedRequest
from comity.ids import Instant, parse_instant, parse_object_id, parse_party_id
from comity.release.disclosure import EntryType

__all__ = ["LogQuery", "Qualifier", "QualifierName", "parse_query"]

_MOST_CHARACTERS: Final = 2_000
_MOST_QUALIFIERS: Final = 20
_SHOWN: Final = 60
_WORD = re.compile(r'(-?)([A-Za-z-]*):(?:"([^"]*)"|([^\s"]*))(?=\s|$)|(\S+)')
_PREFIX = re.compile(r"[0-9a-f]{6,64}", re.ASCII)
_TIME = re.compile(r"(\d{4})(?:-(\d{2})(?:-(\d{2}))?)?", re.ASCII)


class QualifierName(StrEnum):
    """What can be asked of an entry: the party it went to, its agreement, an object in it, a basis its terms cite, …"""

    TO = "to"
    UNDER = "under"
    OBJECT = "object"
    BASIS = "basis"
    SINCE = "since"
    UNTIL = "until"
    KIND = "kind"


_ONCE: Final = frozenset({QualifierName.SINCE, QualifierName.UNTIL})


@dataclass(frozen=True, slots=True)
class Qualifier:
    """One qualifier; `excluded` asks for entries of which it does not hold."""

    name: QualifierName
    value: str
    excluded: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class LogQuery:
    """What is asked for. `since` is included, `until` is not."""

    qualifiers: tuple[Qualifier, ...] = ()
    since: Instant | None = None
    until: Instant | None = None

    def list_wanted(self, name: QualifierName) -> list[str]:
        """The values of which one has to hold; empty: any may."""
        return [item.value for item in self.qualifiers if item.name is name and not item.excluded]

    def list_excluded(self, name: QualifierName) -> list[str]:
        """The values of which none may hold."""
        return [item.value for item in self.qualifiers if item.name is name and item.excluded]


def parse_query(text: str) -> LogQuery:
    """The query in a line; an empty one asks for every entry.

    Raises:
        MalformedRequest: a qualifier that is not known, or without a good value, or free text; it says which there are.
    """
    if len(text) > _MOST_CHARACTERS:
        raise _malformed(f"a query holds at most {_MOST_CHARACTERS} characters")
    found = [_parse_word(word) for word in _WORD.finditer(text)]
    if len(found) > _MOST_QUALIFIERS:
        raise _malformed(f"a query holds at most {_MOST_QUALIFIERS} qualifiers")
    times = {name: _find_time(found, name) for name in _ONCE}
    return LogQuery(
        qualifiers=tuple(item for item in found if item.name not in _ONCE),
        since=times[QualifierName.SINCE],
        until=times[QualifierName.UNTIL],
    )


def _parse_word(word: re.Match[str]) -> Qualifier:
    minus, name, quoted, bare, free = word.groups()
    if free is not None:
        raise _malformed(f"{free[:_SHOWN]!r} is no qualifier")
    try:
        known = QualifierName(name)
    except ValueError:
        raise _malformed(f"{name[:_SHOWN]!r} is not known") from None
    value = bare if quoted is None else quoted
    if not value:
        raise _malformed(f"{name}: has no value")
    problem = _find_problem(known, value)
    if problem is not None:
        raise _malformed(f"{name}: {problem}")
    return Qualifier(known, value, excluded=bool(minus))


def _find_problem(name: QualifierName, value: str) -> str | None:
    """Why the qualifier cannot have this value; None where it can."""
    try:
        match name:
            case QualifierName.TO:
                parse_party_id(value)
            case QualifierName.OBJECT:
                parse_object_id(value)
            case QualifierName.SINCE | QualifierName.UNTIL:
                _read_time(value)
            case QualifierName.UNDER if _PREFIX.fullmatch(value) is None:
                return "takes the id of an agreement or of a text, or 6 characters or more of it"
            case QualifierName.KIND if value not in set(EntryType):
                return f"{value[:_SHOWN]!r} is no kind of entry; there are {', '.join(sorted(EntryType))}"
            case QualifierName.UNDER | QualifierName.KIND | QualifierName.BASIS:
                pass
    except MalformedError as error:
        return error.detail
    return None


def _find_time(found: Sequence[Qualifier], name: QualifierName) -> Instant | None:
    named = [item for item in found if item.name is name]
    if len(named) > 1 or any(item.excluded for item in named):
        raise _malformed(f"{name}: stands once, and without a -")
    return _read_time(named[0].value) if named else None


def _read_time(text: str) -> Instant:
    """A year, a month, a day or an instant, as its first moment."""
    short = _TIME.fullmatch(text)
    return parse_instant(text if short is None else f"{short[1]}-{short[2] or '01'}-{short[3] or '01'}T00:00:00Z")


def _malformed(problem: str) -> MalformedRequest:
    known = ", ".join(f"{name}:" for name in QualifierName)
    return MalformedRequest(f"{problem}; qualifiers are {known} each with a value, and with - before it to exclude")
