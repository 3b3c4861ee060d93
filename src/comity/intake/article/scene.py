# SPDX-License-Identifier: Apache-2.0
"""Pure: an article as its words, the phrases found among them, and its parts and sentences: what each rule looks at."""

import re
import sys
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from comity.intake.article.gazetteer import Gazetteer
from comity.intake.article.rules import Rules
from comity.intake.article.text import Article, Span
from comity.intake.article.words import Hit, Words, find_hits, split_words

__all__ = ["Scene", "set_scene"]

_END = re.compile(r"[.!?]+[\"'\u201d\u2019)\]]{0,3}(?=\s)")
_OPENS = re.compile(r"\s{1,40}[\"'\u201c\u2018(\[]{0,3}[^\W_]")
_ABBREVIATED: Final = frozenset(
    [
        "mr",
        "mrs",
        "ms",
        "dr",
        "prof",
        "sir",
        "st",
        "gen",
        "col",
        "lt",
        "maj",
        "capt",
        "sen",
        "gov",
        "amb",
        "rep",
        "no",
        "vs",
        "inc",
        "jr",
        "sr",
        "jan",
        "feb",
        "mar",
        "apr",
        "jun",
        "jul",
        "aug",
        "sep",
        "sept",
        "oct",
        "nov",
        "dec",
        "fig",
        "dept",
        "est",
        "approx",
    ]
)
_WORD_BEFORE = re.compile(r"(\w+)$")
_BEYOND: Final = Span(sys.maxsize, sys.maxsize)


@dataclass(frozen=True, slots=True)
class Scene:
    """What rules look at. `hits` are by kind of sense, only inside the parts of the article that are read."""

    article: Article
    rules: Rules
    known: Gazetteer
    words: Words
    parts: Sequence[Span]
    hits: Mapping[str, Sequence[Hit]]
    sentences: dict[Span, list[Span]]
    """Of the parts that were asked for."""

    def list_hits(self, *kinds: str) -> list[Hit]:
        """The hits of these kinds, in the order of the text."""
        found = [hit for kind in kinds for hit in self.hits.get(kind, ())]
        return sorted(found) if len(kinds) > 1 else found

    def find_word(self, at: int) -> int:
        """The number of the first word that ends after a place in the text."""
        return bisect_right(self.words.ends, at)

    def find_part(self, at: int) -> int | None:
        """The number of the part in which a place lies."""
        index = bisect_right(self.parts, (at, len(self.words.text) + 1)) - 1
        return index if index >= 0 and at < self.parts[index].end else None

    def find_sentences(self, part: Span) -> list[Span]:
        """The sentences of a part of the text."""
        if part not in self.sentences:
            self.sentences[part] = _find_sentences(self.article.text, part)
        return self.sentences[part]

    def is_title(self, at: int) -> bool:
        """Whether a place lies in the title, where every word may have a capital."""
        title = self.article.title
        return title is not None and title.start <= at < title.end


def set_scene(article: Article, rules: Rules, known: Gazetteer) -> Scene:
    """The scene of an article, worked out in one pass over its words."""
    words = split_words(article.text)
    parts = article.list_parts()
    hits = dict[str, list[Hit]]()
    for lexicon in (rules.lexicon, known.lexicon):
        for hit in _list_inside(find_hits(words, lexicon), parts):
            hits.setdefault(hit.sense.kind, []).append(hit)
    return Scene(article, rules, known, words, parts, hits, {})


def _list_inside(hits: Iterable[Hit], parts: Sequence[Span]) -> Iterator[Hit]:
    """The hits that begin in one of the parts; both are in the order of the text."""
    following = iter(parts)
    start = end = 0
    for hit in hits:
        while hit.start >= end:
            start, end = next(following, _BEYOND)
        if hit.start >= start:
            yield hit


def _find_sentences(text: str, part: Span) -> list[Span]:
    """The sentences of a part of the text; a full stop after a short form or an initial ends none."""
    found, start = list[Span](), part.start
    for match in _END.finditer(text, part.start, part.end):
        if match[0][0] == "." and _is_short(text, match.start()):
            continue
        opened = _OPENS.match(text, match.end(), part.end)
        # A capital letter, a digit or a letter that has no capital begins a sentence.
        if opened is None or text[opened.end() - 1].islower():
            continue
        found.append(Span(start, match.end()))
        start = match.end()
        while start < part.end and text[start].isspace():
            start += 1
    if start < part.end:
        found.append(Span(start, part.end))
    return found


def _is_short(text: str, stop: int) -> bool:
    found = _WORD_BEFORE.search(text, max(0, stop - 12), stop)
    if found is None:
        return False
    word = found[1]
    return word.lower() in _ABBREVIATED or (len(word) == 1 and word.isupper())
