# SPDX-License-Identifier: Apache-2.0
"""Pure: which patterns of indicators are parsed here, and which of those need no parser to be known to parse.

    find_unsettled({"type": "indicator", "pattern_type": "stix", "pattern": "[a:b = 1] WITHIN 5 SECONDS", …})
        -> "[a:b = 1] WITHIN 5 SECONDS"      only a parser knows (`stix.grammar`)
    find_unsettled({… "pattern": "[url:value = 'https://depot.example/']" …})
        -> None                              it certainly parses

Parsed are patterns of the type `stix`, in version 2.1 or in none that is named (STIX 2.1 §4.7). Other languages are
"not checked here": who matches by them knows them.

Most patterns that are exchanged compare one property, or a few, with a text or a number. Those are of a form that one
regular expression knows, without ever going back, in a microsecond: what it matches, the grammar of OASIS accepts. What
it does not match may be right as well, and is held back until a parser has read it (`node.patterns`).
"""

import re
from collections.abc import Mapping
from typing import Final

from comity.canonical import Json

__all__ = ["UNCHECKED", "UNPARSABLE", "find_language", "find_unsettled", "is_certain"]

UNCHECKED: Final = "unchecked-pattern"
"""The marking of an indicator whose pattern no parser has read yet; no terms can name it."""

UNPARSABLE: Final = "unparsable-pattern"
"""The marking of an indicator whose pattern does not parse; no terms can name it."""

_TEXT = r"'[^'\\]*+(?:\\['\\][^'\\]*+)*+'"
_NAME = r"(?!(?:true|false)\b)[a-z_][a-z0-9_]*+"
_STEP = rf"\.(?:{_NAME}|[A-Z]++[0-9]++|{_TEXT})"
_PATH = rf"(?!(?:true|false)\b)[a-z][a-z0-9_]*+(?:-[a-z0-9_]++)*+:(?:{_NAME}|{_TEXT})(?:{_STEP})*+"
_NUMBER = r"(?:0|[1-9][0-9]{0,17}+)(?![0-9.])"
_TEST = rf"{_PATH} ?(?:(?:=|!=) ?(?:{_TEXT}|{_NUMBER})|(?<= )(?:LIKE|MATCHES) ?{_TEXT})"
_CERTAIN = re.compile(rf"\[ ?{_TEST}(?: (?:OR|AND) {_TEST})*+ ?\]", re.ASCII)

_VERSION: Final = "2.1"


def is_certain(pattern: str) -> bool:
    """Whether a pattern certainly parses. Linear in its length; False says nothing."""
    return _CERTAIN.fullmatch(pattern) is not None


def find_unsettled(value: Mapping[str, Json]) -> str | None:
    """The pattern of an object, where only a parser can tell whether it parses; None of any other object."""
    pattern = value.get("pattern")
    if not isinstance(pattern, str) or value.get("type") != "indicator" or _CERTAIN.fullmatch(pattern):
        return None
    return pattern if find_language(value) is None else None


def find_language(value: Mapping[str, Json]) -> str | None:
    """The language of an indicator's pattern, where it is none that is parsed here: "sigma", "stix 2.0"."""
    kind, version = value.get("pattern_type"), value.get("pattern_version", _VERSION)
    if kind == "stix" and version == _VERSION:
        return None
    return f"{kind} {version}" if kind == "stix" else str(kind)
