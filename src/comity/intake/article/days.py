# SPDX-License-Identifier: Apache-2.0
"""Pure: the days that an article names as drafts: one for each day, month or year, with the sentences that name it.

A day is a `note` on whatever else its sentences mention (places, organisations, bodies, persons); on the report where
they mention nothing. The day of publication is a draft where a sentence says something of it, and none where it only
stands in the head, before a dash at the beginning of a paragraph, or alone. Where nothing else is a draft no day is
one: no report is about a day.
"""

import re
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from typing import Final

from comity.intake.article.drafts import Drafting, NamedDay
from comity.intake.article.mentions import Kind, Mention
from comity.intake.article.scene import Scene
from comity.intake.article.text import Span

__all__ = ["draft_days"]

_MOST_QUOTED: Final = 600
"""Characters of one sentence: of a longer one, what stands around the day."""
_MOST_SENTENCES: Final = 5
_MOST_WORDS: Final = 5
"""Different words for one day."""
_MOST_ABOUT: Final = 50
_NO_SUBJECTS: Final = frozenset({Kind.DATE, Kind.OBSERVABLE, Kind.STATEMENT})
_TOLD: Final = frozenset({"weekday", "ago", "near", "turn", "day-of-year", "month-of-year"})
"""The rules that tell a day from that of publication."""
_WRITTEN: Final = frozenset({"day", "day-of-year"})
_MOST_HEAD: Final = 80
_DASH: Final = re.compile(r"[^.!?\u2013\u2014-]{0,40}(?:--?|[\u2013\u2014])\s")


def draft_days(scene: Scene, mentions: Sequence[Mention], drafting: Drafting) -> list[Mention]:
    """The mentions, which are in the order of the text, those of days with their drafts."""
    if not drafting.drafts:
        return [*mentions]
    subjects = [one for one in mentions if one.draft is not None and one.kind not in _NO_SUBJECTS]
    starts = [one.start for one in subjects]
    days, named = dict[str, NamedDay](), dict[int, str]()
    for number, mention in enumerate(mentions):
        span = _find_sentence(scene, mention) if mention.kind is Kind.DATE else None
        if span is None or _is_head(scene, mention, span):
            continue
        named[number] = mention.value
        day = days.setdefault(mention.value, NamedDay(value=mention.value))
        inside = subjects[bisect_left(starts, span.start) : bisect_left(starts, span.end)]
        _note(day, scene, mention, span, [str(one.draft) for one in inside])
    keys = {value: drafting.add_day(day) for value, day in days.items()}
    drafted = [*mentions]
    for number, value in named.items():
        drafted[number] = mentions[number]._replace(draft=keys[value])
    return drafted


def _note(day: NamedDay, scene: Scene, mention: Mention, span: Span, about: Sequence[str]) -> None:
    if len(day.words) < _MOST_WORDS:
        day.words[" ".join(scene.article.text[mention.start : mention.end].split())] = None
    if mention.rule in _TOLD:
        day.told_from = scene.article.published
    if day.sentences and day.sentences[-1].end >= mention.end:
        return
    if len(day.sentences) == _MOST_SENTENCES:
        day.more += 1
        return
    day.sentences.append(span)
    for key in about[: _MOST_ABOUT - len(day.about)]:
        day.about[key] = None


def _is_head(scene: Scene, mention: Mention, sentence: Span) -> bool:
    """Whether it is the day of publication, and nothing is said of it here."""
    article = scene.article
    if mention.value != article.published:
        return False
    at, text = article.published_at, article.text
    if at is not None and at.start < mention.end and mention.start < at.end:
        return True
    if not any(char.isalnum() for char in text[sentence.start : mention.start] + text[mention.end : sentence.end]):
        return True
    part = scene.find_part(mention.start)
    if part is None or mention.rule not in _WRITTEN or mention.start - scene.parts[part].start > _MOST_HEAD:
        return False
    before = text[scene.parts[part].start : mention.start].split()
    return not any(word[:1].islower() for word in before) and _DASH.match(text, mention.end) is not None


def _find_sentence(scene: Scene, mention: Mention) -> Span | None:
    """The sentence that holds a mention, cut at words where it is long."""
    part = scene.find_part(mention.start)
    if part is None:
        return None
    sentences = scene.find_sentences(scene.parts[part])
    index = bisect_right(sentences, mention.start, key=lambda one: one.start) - 1
    return _cut(scene, sentences[index], mention) if index >= 0 else None


def _cut(scene: Scene, sentence: Span, mention: Mention) -> Span:
    if sentence.end - sentence.start <= _MOST_QUOTED:
        return sentence
    words, around = scene.words, (_MOST_QUOTED - (mention.end - mention.start)) // 2
    first = bisect_left(words.starts, max(sentence.start, mention.start - around))
    last = bisect_right(words.ends, min(sentence.end, mention.end + around)) - 1
    start = min(words.starts[first], mention.start) if first < len(words.starts) else mention.start
    return Span(start, max(words.ends[last], mention.end) if last >= 0 else mention.end)
