# SPDX-License-Identifier: Apache-2.0
r"""Pure: a text as words with places, and phrases found among them in one pass.

    lexicon = make_lexicon([Phrase.of("United Nations", Sense(kind="known", value="un"))])
    find_hits(split_words("The United\nNations met."), lexicon)
        -> [Hit(start=4, end=18, first=1, last=3, sense=Sense(…))]

Words are compared folded: without case and without accents, one character for each of the text, so that places stay.
What is between the words of a phrase must stand between them in the text; any white space stands for a space. A phrase
wants capital letters where it has them itself; one in capitals alone ("US") wants all of them.
"""

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate, chain, compress, pairwise
from typing import Final, NamedTuple

__all__ = [
    "Entry",
    "Hit",
    "Lexicon",
    "Phrase",
    "Sense",
    "Words",
    "choose_longest",
    "find_hits",
    "fold",
    "make_lexicon",
    "split_words",
]

_WORD = re.compile(r"\w++")
_WORDS = re.compile(r"(\w++)")
_PLAIN: Final = frozenset([" ", ", ", ". ", "'", "-"])
"""Most of what stands between words; there is no white space in it to be made one space."""
_SPACE = re.compile(r"\s+")
_MAX_GAP = 4
"""Characters between two words of a phrase: a break of a line with an indent has more, and is no phrase."""
_MAX_SKIPPED = 4
"""Words that a `*` in a phrase stands for."""
_ANY: Final = "*"
_LIKE: Final = {"\u2019": "'", "\u2018": "'", "\u02bc": "'", "`": "'", "\u2010": "-", "\u2011": "-", "\u2013": "-"}


class _Folding(dict[int, int]):
    """Each character to the one that it is compared as, worked out when it is first met."""

    def __missing__(self, code: int) -> int:
        char = chr(code)
        like = _LIKE.get(char)
        if like is None:
            lower = char.lower()
            base = unicodedata.normalize("NFD", lower)[:1]
            like = base if len(lower) == 1 and base.isalnum() else lower if len(lower) == 1 else char
        self[code] = ord(like)
        return self[code]


_FOLDING: Final = _Folding()


@dataclass(frozen=True, slots=True)
class Words:
    """The words of a text: `values` folded, `starts` and `ends` their places; `text` as it is, `folded` as compared.

    `gaps` are what stands behind each word, white space as one space; `capitals` whether it begins with a capital.
    """

    text: str
    folded: str
    values: Sequence[str]
    starts: Sequence[int]
    ends: Sequence[int]
    gaps: Sequence[str]
    capitals: Sequence[bool]


class Sense(NamedTuple):
    """What a phrase is: its kind, what it stands for, and the rule by which it counts."""

    kind: str
    value: str
    rule: str = ""


class Phrase(NamedTuple):
    """Words to be found in this order with these gaps; `tail` is a full stop that belongs to it where one stands."""

    words: tuple[str, ...]
    gaps: tuple[str, ...]
    tail: str
    capitals: tuple[bool, ...]
    """Which words begin with a capital; empty where all letters are capitals."""
    sense: Sense

    @classmethod
    def of(cls, text: str, sense: Sense, *, any_case: bool = False) -> "Phrase | None":
        """The phrase of a text, or None where no word is in it; `any_case`: no letter needs to be a capital."""
        folded = fold(text)
        found = list(_WORD.finditer(folded.replace(_ANY, " ")))
        stars = [index for index, part in enumerate(folded.split()) if part == _ANY]
        if not found:
            return None
        words = tuple(match[0] for match in found)
        gaps = tuple(_SPACE.sub(" ", folded[left.end() : right.start()]) for left, right in pairwise(found))
        if stars:
            gaps = tuple(_ANY if _ANY in gap else gap for gap in gaps)
        tail = "." if folded.rstrip().endswith(".") else ""
        if any_case:
            return cls(words, gaps, tail, (False,) * len(words), sense)
        letters = [char for char in text if char.isalpha()]
        if len(letters) > 1 and all(char.isupper() for char in letters):
            return cls(words, gaps, tail, (), sense)
        return cls(words, gaps, tail, tuple(text[match.start()].isupper() for match in found), sense)


class Hit(NamedTuple):
    """A phrase found: its place, its words by number (`last` is the one after), and what it is."""

    start: int
    end: int
    first: int
    last: int
    sense: Sense


class Entry(NamedTuple):
    """The phrases that begin with one word: of that word alone, by the second word, and with a `*` behind the first."""

    alone: tuple[Phrase, ...]
    by_second: Mapping[str, tuple[Phrase, ...]]
    stars: tuple[Phrase, ...]

    def list_all(self) -> tuple[Phrase, ...]:
        """Every phrase that begins with the word."""
        return (*chain.from_iterable(self.by_second.values()), *self.stars, *self.alone)


Lexicon = Mapping[str, Entry]
"""Phrases by their first word, the longest first."""


def make_lexicon(phrases: Iterable[Phrase | None]) -> Lexicon:
    """The phrases by first word; the same words with the same sense count once."""
    found = dict[str, dict[Phrase, None]]()
    for phrase in phrases:
        if phrase is not None:
            found.setdefault(phrase.words[0], {})[phrase] = None
    return {word: _make_entry(some) for word, some in found.items()}


def _make_entry(phrases: Iterable[Phrase]) -> Entry:
    alone, stars, by_second = list[Phrase](), list[Phrase](), dict[str, list[Phrase]]()
    for phrase in sorted(phrases, key=lambda one: (-len(one.words), -len(one.tail), one.sense)):
        if len(phrase.words) == 1:
            alone.append(phrase)
        elif phrase.gaps[0] == _ANY:
            stars.append(phrase)
        else:
            by_second.setdefault(phrase.words[1], []).append(phrase)
    return Entry(tuple(alone), {word: tuple(some) for word, some in by_second.items()}, tuple(stars))


def fold(text: str) -> str:
    """The text as it is compared, of the same length."""
    return text.translate(_FOLDING)


def split_words(text: str) -> Words:
    """The words of a text with their places."""
    folded = fold(text)
    # What stands before the first word, the word, what stands behind it, the second word, …
    parts: list[str] = _WORDS.split(folded)
    # The places in turn: where the first word begins, where it ends, where the second begins, …
    places = list(accumulate(map(len, parts)))
    starts = places[:-1:2]
    gaps = [gap if gap in _PLAIN else _SPACE.sub(" ", gap) for gap in parts[2::2]]
    capitals = [*map(str.isupper, map(text.__getitem__, starts))]
    return Words(text, folded, parts[1::2], starts, places[1::2], gaps, capitals)


def find_hits(words: Words, lexicon: Lexicon) -> list[Hit]:
    """Every phrase at every word, in the order of the text, the longest first where several begin."""
    hits = list[Hit]()
    values, capitals = words.values, words.capitals
    last = len(values) - 1
    for index in compress(range(len(values)), map(lexicon.__contains__, values)):
        alone, by_second, stars = lexicon[values[index]]
        following = by_second.get(values[index + 1], ()) if by_second and index < last else ()
        for phrase in (*following, *stars) if stars else following:
            if (end := _follow(words, phrase, index)) and _has_form(words, phrase, index, end):
                hits.append(_make_hit(words, phrase, index, end))
        for phrase in alone:
            if (capitals[index] and phrase.capitals) or _has_form(words, phrase, index, index + 1):
                hits.append(_make_hit(words, phrase, index, index + 1))
    return hits


def _make_hit(words: Words, phrase: Phrase, first: int, last: int) -> Hit:
    end = words.ends[last - 1]
    if phrase.tail and words.folded.startswith(phrase.tail, end):
        end += 1
    return Hit(words.starts[first], end, first, last, phrase.sense)


def choose_longest(hits: Iterable[Hit]) -> list[Hit]:
    """Of hits that lie over one another, the one that begins first, and of those the longest."""
    chosen = list[Hit]()
    for hit in sorted(hits, key=lambda one: (one.first, -one.last, -one.end)):
        if not chosen or hit.first >= chosen[-1].last:
            chosen.append(hit)
    return chosen


def _follow(words: Words, phrase: Phrase, index: int) -> int:
    """The number after the last word of the phrase that begins at `index`, or 0."""
    at, values = index, words.values
    for gap, word in zip(phrase.gaps, phrase.words[1:], strict=True):
        if gap == _ANY:
            at = next((to for to in range(at + 1, min(at + 2 + _MAX_SKIPPED, len(values))) if values[to] == word), 0)
            if not at:
                return 0
            continue
        at += 1
        if at >= len(values) or values[at] != word or words.gaps[at - 1] != gap:
            return 0
        between = words.folded[words.ends[at - 1] : words.starts[at]]
        if between != gap and (len(between) > _MAX_GAP or "\n\n" in between):
            return 0
    return at + 1


def _has_form(words: Words, phrase: Phrase, index: int, last: int) -> bool:
    if not phrase.capitals:
        return words.text[words.starts[index] : words.ends[last - 1]].isupper()
    if last == index + 1:
        return words.capitals[index] or not phrase.capitals[0]
    # With a `*` the words do not stand side by side; such phrases want no capitals.
    return not any(capital and not words.capitals[index + step] for step, capital in enumerate(phrase.capitals))
