# SPDX-License-Identifier: Apache-2.0
"""Pure: where a text that is marked in one property of an object stands again in another.

    {"description": "run by Karim Holt", "aliases": ["Karim Holt"]}, selectors ["aliases.[0]"]   -> {"description"}

To remove the one and leave the other would give away what was removed (`stix.markings`). Compared are texts alone,
without regard to case, to the width of characters and to how they are spaced: a text of four characters or more is
found anywhere, also inside a word, an address or the name of a file; a shorter one where it stands by itself.

Not found: a translation, another spelling, an encoding; a part of a marked text; numbers; anything in another object.
"""

import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence

from comity.canonical import Json

__all__ = ["find_places"]

# What these say of an object everybody sees of it, whatever of it is marked; granular markings name properties.
_SAY_NOTHING = frozenset(
    {"created", "granular_markings", "id", "modified", "object_marking_refs", "spec_version", "type"}
)
_SHORT = 3
_MOST_TEXTS = 256
_MOST_WORK = 2_000
"""Comparisons of characters for each character of an object that was made to be dear, in `_is_bounded`."""

_LINEAR = 100
"""A text of so many characters is found by Python in a time that does not grow with its length, as good as."""

_STEP = re.compile(r"[^.]+")
_SPACES = re.compile(r"\s+")
_LETTER = re.compile(r"[^\W_]")


def find_places(value: dict[str, Json], selectors: Sequence[str]) -> frozenset[str] | None:
    """The properties, beside those that `selectors` lie in, in which a text that one of them selects stands again.

    None where more is marked than can be looked for in a bounded time: then it may be anywhere. Each selector points
    at something in `value` (`stix.markings`).
    """
    texts = {text for selector in selectors for text in _fold_all(_select(value, selector)) if text}
    passed_over = _SAY_NOTHING | {selector.partition(".")[0] for selector in selectors}
    others = {name: item for name, item in value.items() if name not in passed_over}
    pages = {name: "\n".join(_fold_all(item)) for name, item in others.items()}
    if len(texts) > _MOST_TEXTS or not _is_bounded(texts, pages.values()):
        return None
    short = {text for text in texts if len(text) <= _SHORT}
    long = texts - short
    return frozenset(
        name
        for name, page in pages.items()
        if any(text in page for text in long) or (short and not short.isdisjoint(_find_short(page)))
    )


def _is_bounded(texts: Iterable[str], pages: Iterable[str]) -> bool:
    """Whether looking for each text in each page is little work, also if every comparison fails at its last step."""
    size, lengths = sum(map(len, pages)), [len(text) for text in texts]
    work = size * sum(length if length < _LINEAR else 1 for length in lengths)
    return work <= _MOST_WORK * (size + sum(lengths))


def _find_short(page: str) -> Iterator[str]:
    """Every text of a few characters that begins and ends where no letter or digit is next to it."""
    is_letter = [_LETTER.match(character) is not None for character in page]
    for start in range(len(page)):
        if start and is_letter[start - 1]:
            continue
        for end in range(start + 1, min(start + _SHORT, len(page)) + 1):
            if end == len(page) or not is_letter[end]:
                yield page[start:end]


def _select(value: Json, selector: str) -> Json:
    """What a selector points at (STIX 2.1 §7.2.3.1)."""
    here = value
    for step in _STEP.findall(selector):
        if isinstance(here, list):
            here = here[int(step[1:-1])]
        elif isinstance(here, dict):
            here = here[step]
    return here


def _fold_all(value: Json) -> Iterator[str]:
    """Every text in `value`, names of members too; the depth was bounded when it was parsed."""
    if isinstance(value, str):
        yield _fold(value)
    elif isinstance(value, list):
        for item in value:
            yield from _fold_all(item)
    elif isinstance(value, dict):
        for name, item in value.items():
            yield _fold(name)
            yield from _fold_all(item)


def _fold(text: str) -> str:
    """The text as it is compared."""
    return _SPACES.sub(" ", unicodedata.normalize("NFKC", text).casefold()).strip()
