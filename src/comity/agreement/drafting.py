# SPDX-License-Identifier: Apache-2.0
"""Pure: an agreement as people write it (TOML) becomes the document that parties sign (RFC 8785 JSON), once.

    convert_terms(b'format = "comity-terms/1" …') -> b'{"channels":[…],"format":"comity-terms/1",…}'

Comments and layout are lost on purpose: what is signed is only what has a meaning. Errors name the line of the TOML.
"""

import re
import tomllib
from datetime import UTC, datetime

from comity.agreement.reader import Reader
from comity.agreement.terms import LegalBasis, parse_terms, read_bases
from comity.canonical import Json, canonical_bytes
from comity.errors import MalformedJson, MalformedTerms
from comity.ids import Instant, PartyId, format_instant

__all__ = ["MAX_TOML_BYTES", "convert_terms", "parse_bases", "parse_toml", "with_line"]

MAX_TOML_BYTES = 512 * 1024
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LINE = re.compile(r"\(at line (\d+), column \d+\)")
_KEY = r"""(?:[A-Za-z0-9_-]+|"[^"\n]*"|'[^'\n]*')"""
_KEYS = re.compile(rf"{_KEY}(?:[ \t]*\.[ \t]*{_KEY})*")
_HEADER = re.compile(rf"[ \t]*(\[\[?)[ \t]*({_KEYS.pattern})[ \t]*\]")
_ASSIGNMENT = re.compile(rf"[ \t]*({_KEYS.pattern})[ \t]*=")
# The standard library's reader takes time and memory by the square of the parts of one dotted key.
_TOO_MANY_PARTS = re.compile(rf"(?:^|[\[{{,])[ \t]*(?:{_KEY}[ \t]*\.[ \t]*){{16}}", re.MULTILINE)
_MAX_DEPTH = 16


def convert_terms(toml: bytes) -> bytes:
    """The canonical document of an agreement written as TOML.

    Raises:
        MalformedTerms: what is wrong, with its line, and what is allowed there.
    """
    text, value = parse_toml(toml)
    try:
        document = canonical_bytes(value)
        parse_terms(document)
    except MalformedTerms as error:
        raise with_line(error, text) from error
    except MalformedJson as error:
        raise with_line(MalformedTerms(f"not an agreement: {error.detail}", where=error.where), text) from error
    return document


def parse_bases(toml: bytes, *, party: PartyId) -> tuple[LegalBasis, ...]:
    """The legal bases that `party` cites for itself when it joins a group: [[legal_bases]] as in an agreement.

    Raises:
        MalformedTerms: what is wrong, with its line.
    """
    text, value = parse_toml(toml)
    fields = Reader(value, "", MalformedTerms)
    try:
        fields.open()
        bases = read_bases(fields, [party])
        fields.close()
    except MalformedTerms as error:
        raise with_line(error, text) from error
    return bases


def parse_toml(toml: bytes) -> tuple[str, Json]:
    """The text, and its value as JSON: times as RFC 3339 in UTC.

    Raises:
        MalformedTerms: not UTF-8, too large, not TOML, or a value that no document may hold.
    """
    text = _read_text(toml)
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        found = _LINE.search(str(error))
        line = found[1] if found else str(text.count("\n") + 1)
        raise MalformedTerms(f"line {line}: not TOML: {error}", where=f"line {line}") from error
    except (RecursionError, ValueError) as error:  # ValueError: an integer of thousands of digits
        raise MalformedTerms("not TOML that can be followed: nested too deep, or a number too long") from error
    try:
        return text, _to_json(table, "")
    except MalformedTerms as error:
        raise with_line(error, text) from error


def with_line(error: MalformedTerms, text: str) -> MalformedTerms:
    """The same error with the line of `text` in front that its JSON pointer leads to, as far as it can be found."""
    places = _find_places(text)
    steps = tuple(step.replace("~1", "/").replace("~0", "~") for step in error.where.split("/")[1:])
    known = (steps[:length] for length in range(len(steps), 0, -1))
    line = next((places[step] for step in known if step in places), None)
    if line is None:
        return error
    return MalformedTerms(f"line {line}: {error.detail}", where=f"line {line}")


def _read_text(toml: bytes) -> str:
    if len(toml) > MAX_TOML_BYTES:
        raise MalformedTerms(f"the file has {len(toml)} bytes where at most {MAX_TOML_BYTES} are taken")
    try:
        text = toml.decode("utf-8-sig")  # editors on Windows write a byte order mark
    except UnicodeDecodeError as error:
        line = toml[: error.start].count(b"\n") + 1
        raise MalformedTerms(f"line {line}: not UTF-8; save the file as UTF-8", where=f"line {line}") from error
    if found := _TOO_MANY_PARTS.search(text):
        line = text.count("\n", 0, found.end()) + 1
        raise MalformedTerms(f"line {line}: a name of more than 16 parts; no field has one", where=f"line {line}")
    return text


def _find_places(text: str) -> dict[tuple[str, ...], int]:
    """The line, from 1, on which each table and field is written, by its steps: ("channels", "0", "regions").

    Read line by line without the grammar: a line inside a text of several lines may be taken for a field. The line of
    an error is then a wrong hint; what is refused is not decided here.
    """
    places: dict[tuple[str, ...], int] = {}
    counts: dict[tuple[str, ...], int] = {}
    table: tuple[str, ...] = ()
    for number, line in enumerate(text.split("\n"), start=1):
        if header := _HEADER.match(line):
            table = tuple(_split_key(header[2]))
            places.setdefault(table, number)
            if header[1] == "[[":
                counts[table] = counts.get(table, -1) + 1
                table = (*table, str(counts[table]))
                places.setdefault(table, number)
        elif field := _ASSIGNMENT.match(line):
            parts = tuple(_split_key(field[1]))
            for length in range(1, len(parts) + 1):
                places.setdefault((*table, *parts[:length]), number)
    return places


def _split_key(key: str) -> list[str]:
    return [part.strip("\"'") for part in re.findall(_KEY, key)]


def _to_json(value: object, where: str) -> Json:
    if where.count("/") > _MAX_DEPTH:
        raise MalformedTerms(f"tables and lists lie more than {_MAX_DEPTH} deep inside one another", where=where)
    match value:
        case bool() | str() | int():
            return value
        case datetime():
            return _to_timestamp(value, where)
        case dict():
            return {str(name): _to_json(item, f"{where}/{_escape(str(name))}") for name, item in value.items()}
        case list():
            return [_to_json(item, f"{where}/{index}") for index, item in enumerate(value)]
        case _:
            raise MalformedTerms(
                f"{where}: a {type(value).__name__} has no place in an agreement; use texts, whole numbers and times",
                where=where,
            )


def _to_timestamp(value: datetime, where: str) -> str:
    if value.tzinfo is None:
        raise MalformedTerms(f"{where}: a time without an offset; write it in UTC, ending in Z", where=where)
    micros = (value - _EPOCH) // datetime.resolution
    try:
        return format_instant(Instant(micros))
    except OverflowError as error:
        raise MalformedTerms(f"{where}: a time outside the years 1 to 9999 in UTC", where=where) from error


def _escape(key: str) -> str:
    """One step of a JSON pointer (RFC 6901 §3)."""
    return key.replace("~", "~0").replace("/", "~1")
