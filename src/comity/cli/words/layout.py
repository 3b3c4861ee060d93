# SPDX-License-Identifier: Apache-2.0
"""Shell: how results are laid out: plain text, aligned in columns, without colour."""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from comity.operations.plain import printable

__all__ = ["columns", "fields", "join_words", "outline", "printable", "shorten", "shorten_ids", "shorten_time"]

_SHORT = 12
_UUID = re.compile(r"--([0-9a-f]{8})-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")


def columns(rows: Sequence[Sequence[str]], *, indent: str = "") -> list[str]:
    """The rows with every column but the last one filled up to its widest word."""
    widths = [max(map(len, column)) for column in zip(*(row[:-1] for row in rows), strict=True)]
    return [
        (indent + "  ".join([*(word.ljust(width) for word, width in zip(row, widths, strict=False)), row[-1]])).rstrip()
        for row in rows
    ]


def fields(pairs: Iterable[tuple[str, object]], *, indent: str = "") -> list[str]:
    """One line for each pair whose value is there."""
    return columns([(name, printable(str(value))) for name, value in pairs if value is not None], indent=indent)


def join_words(words: Iterable[str]) -> str:
    """The words in one line; "none" when there are none."""
    return ", ".join(map(printable, words)) or "none"


def shorten(digest: str) -> str:
    """Enough of a digest to name the thing by."""
    return digest[:_SHORT]


def shorten_ids(text: str) -> str:
    """The text with the UUID of each STIX id in it cut to its first eight digits, which commands take too."""
    return _UUID.sub(r"--\1", text)


def shorten_time(text: str) -> str:
    """A timestamp without its fraction, for tables."""
    return text.partition(".")[0].rstrip("Z") + "Z"


def outline(value: object, *, indent: str = "") -> list[str]:
    """Any JSON value as indented lines: `name: value`, lists with dashes."""
    match value:
        case dict() if value:
            return [line for name, item in value.items() for line in _entry(f"{printable(str(name))}:", item, indent)]
        case list() if value:
            return [line for item in value for line in _entry("-", item, indent)]
        case _:
            return [f"{indent}{_scalar(value)}"]


def _entry(head: str, value: Any, indent: str) -> list[str]:  # noqa: ANN401 (any JSON value)
    if isinstance(value, list) and value and not any(isinstance(item, dict | list) for item in value):
        return [f"{indent}{head} {', '.join(map(_scalar, value))}"]
    if not (isinstance(value, Mapping | list) and value):
        return [f"{indent}{head} {_scalar(value)}"]
    inner = outline(value, indent=f"{indent}  ")
    if head == "-":
        return [f"{indent}- {inner[0].strip()}", *inner[1:]]
    return [f"{indent}{head}", *inner]


def _scalar(value: object) -> str:
    match value:
        case None:
            return "none"
        case True | False:
            return "yes" if value else "no"
        case dict() | list():
            return "none"
        case _:
            return printable(str(value))
