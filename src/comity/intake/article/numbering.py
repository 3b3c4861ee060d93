# SPDX-License-Identifier: Apache-2.0
"""Pure: the drafts of a reading numbered in the order of the text, each with its place; and as JSON.

    number_drafts(reading)  -> (Numbered(number=1, draft=Draft(…), start=0, end=8, rule="name", places=3), …)
    list_special(reading)   -> frozenset({"religious_or_philosophical_beliefs"})    of title and caption

What no mention stands for by itself, as the government that a capital speaks for, or what was claimed, has the place of
the sentence that it is needed for.

    parse_numbers("1-3,7") == (1, 2, 3, 7)        format_numbers([1, 2, 3, 7]) == "1-3,7"
"""

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple

from comity.canonical import Json
from comity.errors import MalformedArticle, MalformedRequest
from comity.ids import ObjectId, is_object_id
from comity.intake.article.drafts import Draft
from comity.intake.article.mentions import Kind
from comity.intake.article.reading import Reading

__all__ = [
    "MOST_DRAFTS",
    "Numbered",
    "describe_numbered",
    "format_numbers",
    "list_special",
    "number_drafts",
    "parse_numbers",
    "read_numbered",
]

MOST_DRAFTS: Final = 10_000
"""Of one article: nobody reviews more of them at once."""

_KINDS: Final = frozenset(kind.value for kind in Kind)
_RANGE = re.compile(r"([1-9][0-9]{0,6})(?:-([1-9][0-9]{0,6}))?", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Numbered:
    """A draft by its number in its article, from 1, and where the text first asks for it.

    `rule` found it there, `doubt` is what a person should look at; `places` is how often it is mentioned.
    """

    number: int
    draft: Draft
    start: int
    end: int
    rule: str
    doubt: str | None
    places: int


class _Place(NamedTuple):
    start: int
    end: int
    rule: str
    doubt: str | None


def number_drafts(reading: Reading) -> tuple[Numbered, ...]:
    """Every draft of the reading, in the order of the text.

    Raises:
        MalformedArticle: there are more than `MOST_DRAFTS`.
    """
    if len(reading.drafts) > MOST_DRAFTS:
        raise MalformedArticle(
            f"the article mentions {len(reading.drafts)} things where people review at most {MOST_DRAFTS} at once; "
            "cut it, or add what it lists as a table"
        )
    places, counts = _find_places(reading)
    order = sorted(reading.drafts, key=lambda key: (places[key].start, places[key].end))
    return tuple(
        Numbered(
            number=number,
            draft=reading.drafts[key],
            start=places[key].start,
            end=places[key].end,
            rule=places[key].rule,
            doubt=places[key].doubt,
            places=max(1, counts[key]),
        )
        for number, key in enumerate(order, start=1)
    )


def list_special(reading: Reading) -> frozenset[str]:
    """The special categories of data that the title and the caption may hold: a report repeats these two."""
    parts = [part for part in (reading.article.title, reading.article.caption) if part is not None]
    return frozenset(word for at, word in reading.special if any(part.start <= at < part.end for part in parts))


def _find_places(reading: Reading) -> tuple[dict[str, _Place], Counter[str]]:
    places, counts = dict[str, _Place](), Counter[str]()
    sentences = dict[int, _Place]()
    for mention in reading.mentions:
        place = _Place(mention.start, mention.end, mention.rule, mention.doubt)
        if mention.kind is Kind.STATEMENT:
            sentences.setdefault(mention.start, place)
        if mention.draft is not None:
            places.setdefault(mention.draft, place)
            counts[mention.draft] += 1
    for said in reading.statements:
        place = sentences.get(said.start, _Place(said.start, said.end, "statement", None))
        for key in said.drafts:
            places.setdefault(key, place)
    for key, draft in reading.drafts.items():
        for other in draft.refers:
            places.setdefault(other, places.get(key, _Place(0, 0, "statement", None)))
    for key in reading.drafts:
        places.setdefault(key, _Place(0, 0, "statement", None))
    return places, counts


# --- as JSON ----------------------------------------------------------------------------------------------------------


def describe_numbered(item: Numbered) -> dict[str, Json]:
    """All of it, as `read_numbered` reads it again."""
    draft = item.draft
    return {
        "number": item.number,
        "key": draft.key,
        "kind": draft.kind.value,
        "type": draft.type,
        "title": draft.title,
        "start": item.start,
        "end": item.end,
        "rule": item.rule,
        "doubt": item.doubt,
        "places": item.places,
        "properties": dict(draft.properties),
        "names": [*draft.names],
        "refers": [*draft.refers],
        "held": draft.held,
        "notes": [*draft.notes],
        "warnings": [*draft.warnings],
    }


def read_numbered(value: Json, *, length: int) -> Numbered:
    """What `describe_numbered` gave, of a text of `length` characters.

    Raises:
        MalformedArticle: it is not of that form, or its place is not in the text.
    """
    if not isinstance(value, dict):
        raise _refuse()
    match value:
        case {
            "number": int(number),
            "key": str(key),
            "kind": str(kind),
            "type": str(object_type),
            "title": str(title),
            "start": int(start),
            "end": int(end),
            "rule": str(rule),
            "doubt": (str() | None) as doubt,
            "places": int(places),
            "properties": dict(properties),
            "held": (str() | None) as held,
        } if 0 <= start <= end <= length and kind in _KINDS and (held is None or is_object_id(held)):
            draft = Draft(
                key=key,
                kind=Kind(kind),
                type=object_type,
                title=title,
                properties=properties,
                names=_texts(value, "names"),
                refers=_texts(value, "refers"),
                held=None if held is None else ObjectId(held),
                notes=_texts(value, "notes"),
                warnings=_texts(value, "warnings"),
            )
            return Numbered(number=number, draft=draft, start=start, end=end, rule=rule, doubt=doubt, places=places)
        case _:
            raise _refuse()


def _texts(value: Mapping[str, Json], name: str) -> tuple[str, ...]:
    listed = value.get(name)
    if not isinstance(listed, list) or not all(isinstance(item, str) for item in listed):
        raise _refuse()
    return tuple(str(item) for item in listed)


def _refuse() -> MalformedArticle:
    return MalformedArticle("a draft of the article is not of the form that drafts have; add the article again")


# --- numbers as people type them --------------------------------------------------------------------------------------


def parse_numbers(text: str) -> tuple[int, ...]:
    """The numbers that the text names, in their order, each once: "4", "7-9", "1,3"; none where it is empty.

    Raises:
        MalformedRequest: a part of it names none, or one that no draft has.
    """
    found = set[int]()
    for word in text.split(",") if text else ():
        match = _RANGE.fullmatch(word.strip())
        first, last = (0, 0) if match is None else (int(match[1]), int(match[2] or match[1]))
        if not 1 <= first <= last <= MOST_DRAFTS:
            raise MalformedRequest(
                f"{word[:40]!r} names no drafts; give numbers as `article show` has them: 4, or 7-9", where="N"
            )
        found.update(range(first, last + 1))
    return tuple(sorted(found))


def format_numbers(numbers: Iterable[int]) -> str:
    """The numbers in as few words as `parse_numbers` reads."""
    runs = list[list[int]]()
    for number in sorted(set(numbers)):
        if runs and runs[-1][1] == number - 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    return ",".join(str(first) if first == last else f"{first}-{last}" for first, last in runs)
