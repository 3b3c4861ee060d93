# SPDX-License-Identifier: Apache-2.0
"""Pure: an agreement as people write it (TOML) becomes the document that parties sign (RFC 8785 JSON), once.

    convert_terms(b'format = "comity-terms/1" …') -> b'{"channels":[…],"format":"comity-terms/1",…}'

Comments and layout are lost on purpose: what is signed is only what has a meaning. Errors name the line of the TOML.
"""

import re
import tomllib
from datetime import UTC, datetime

from comity.agreement.terms import parse_terms
from comity.canonical import Json, canonical_bytes
from comity.errors import MalformedJson, MalformedTerms
from comity.ids import Instant, format_instant

__all__ = ["MAX_TOML_BYTES", "convert_terms", "parse_toml", "with_line"]

MAX_TOML_BYTES = 1024 * 1024
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LINE = re.compile(r"\(at line (\d+), column \d+\)")


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
        raise MalformedTerms(f"not an agreement document: {error.detail}", where=error.where) from error
    return document


def parse_toml(toml: bytes) -> tuple[str, Json]:
    """The text, and its value as JSON: times as RFC 3339 in UTC.

    Raises:
        MalformedTerms: not UTF-8, too large, not TOML, or a value that no document may hold.
    """
    if len(toml) > MAX_TOML_BYTES:
        raise MalformedTerms(f"the file is over {MAX_TOML_BYTES} bytes")
    try:
        text = toml.decode("utf-8")
        table = tomllib.loads(text)
    except UnicodeDecodeError as error:
        raise MalformedTerms(f"not UTF-8 at byte {error.start}; save the file as UTF-8") from error
    except tomllib.TOMLDecodeError as error:
        found = _LINE.search(str(error))
        where = f"line {found[1]}" if found else ""
        raise MalformedTerms(f"not TOML: {error}", where=where) from error
    except RecursionError as error:
        raise MalformedTerms("nested too deeply") from error
    return text, _to_json(table, "")


def with_line(error: MalformedTerms, text: str) -> MalformedTerms:
    """The same error with the line of `text` in front that its JSON pointer leads to, as far as it can be found."""
    steps = [step.replace("~1", "/").replace("~0", "~") for step in error.where.split("/")[1:]]
    line = _find_line(text.splitlines(), steps)
    if line is None:
        return error
    return MalformedTerms(f"line {line}: {error.detail}", where=f"line {line}")


def _find_line(lines: list[str], steps: list[str]) -> int | None:
    """The line of the last of `steps` that is written down, walking down tables and lists of tables."""
    start, found, path = 0, None, ""
    for step in steps:
        if step.isdigit():
            header = re.compile(rf"\s*\[\[\s*{re.escape(path)}\s*\]\]")
            places = [n for n, line in enumerate(lines) if header.match(line)]
            if int(step) < len(places):
                start = found = places[int(step)]
            continue
        path = f"{path}.{step}" if path else step
        wanted = re.compile(rf"\s*(?:\[+\s*{re.escape(path)}\s*\]|{re.escape(step)}\s*=|\"{re.escape(step)}\"\s*=)")
        place = next((n for n in range(start, len(lines)) if wanted.match(lines[n])), None)
        if place is None:
            break
        start = found = place
    return None if found is None else found + 1


def _to_json(value: object, where: str) -> Json:
    match value:
        case bool() | str() | int():
            return value
        case datetime():
            if value.tzinfo is None:
                raise MalformedTerms(f"{where}: a time without an offset; write it in UTC, ending in Z", where=where)
            micros = (value - _EPOCH) // (datetime.resolution)
            return format_instant(Instant(micros))
        case dict():
            return {str(name): _to_json(item, f"{where}/{name}") for name, item in value.items()}
        case list():
            return [_to_json(item, f"{where}/{index}") for index, item in enumerate(value)]
        case _:
            raise MalformedTerms(
                f"{where}: a {type(value).__name__} has no place in an agreement; use texts, whole numbers and times",
                where=where,
            )
