# SPDX-License-Identifier: Apache-2.0
"""Pure: what an article reports that somebody says, and the stance somebody takes: sentence by sentence.

    "Borealia would continue to help, the ministry said in a statement."
        -> Statement(stance="continues", speaker=Actor(…the ministry), holder=Actor(…Borealia), start=…, end=…)

The speaker is who stands beside a verb of saying, the holder who stands before the words of the stance; either may be
missing. A sentence with no other stance in it is one of "says". What is meant beyond the words (irony, a denial of a
denial) is not read.
"""

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from comity.intake.article.bodies import Body
from comity.intake.article.people import Named
from comity.intake.article.places import PLACE, Place
from comity.intake.article.scene import Scene
from comity.intake.article.text import Span
from comity.intake.article.words import Hit, choose_longest

__all__ = ["Actor", "Cast", "Statement", "find_statements", "make_cast"]

SAYS: Final = "says"
_CLAIMED: Final = "in what is claimed"
_ASKS: Final = "asks-clarification"
_QUOTES: Final = frozenset('"\u201c\u201d\u00ab\u00bb')
_FILLERS: Final = frozenset(
    [
        "has",
        "have",
        "had",
        "also",
        "later",
        "then",
        "again",
        "repeatedly",
        "once",
        "since",
        "already",
        "still",
        "on",
        "in",
        "a",
        "an",
        "the",
        "this",
        "that",
        "week",
        "month",
        "year",
        "monday",
        "tuesday",
        "wednesday",
        "thursday",
        "friday",
        "saturday",
        "sunday",
        "today",
        "yesterday",
        "now",
        "firmly",
        "flatly",
        "openly",
        "publicly",
        "twice",
        "therefore",
        "however",
        "but",
        "and",
        "would",
        "will",
        "was",
        "is",
        "been",
    ]
)
_PRONOUNS: Final = frozenset({"he", "she"})
_FIRST_PERSON: Final = frozenset({"we", "i"})
_PASSIVE: Final = frozenset({"been", "was", "were", "are", "is", "be"})
_NOT_SUBJECT: Final = frozenset(
    [
        "in",
        "from",
        "with",
        "to",
        "by",
        "and",
        "or",
        "for",
        "at",
        "between",
        "near",
        "against",
        "on",
        "over",
        "than",
        "like",
        "as",
    ]
)
_PAPERS: Final = frozenset({"statement", "communique", "letter", "declaration", "release", "note"})
_QUOTE = re.compile(f"[{''.join(sorted(_QUOTES))}]")
_CLAIMS: Final = frozenset(
    [
        "report",
        "reports",
        "claim",
        "claims",
        "allegation",
        "allegations",
        "rumour",
        "rumours",
        "rumor",
        "rumors",
        "suggestion",
        "suggestions",
        "accusation",
        "accusations",
    ]
)
_CLAIM_WORDS = 40
_MAX_FILLERS = 4
_MAX_COMMAS = 3
_COMMA_WORDS = 60
"""Words back to the first of those commas."""
_AHEAD = 9
"""Words from a verb of saying forward to the name of who speaks."""


class Actor(NamedTuple):
    """Who can speak: `kind` is "person", "body", "organisation" or "state", `key` names whom; words by number."""

    kind: str
    key: str
    first: int
    last: int


class Statement(NamedTuple):
    """A sentence (`start` to before `end`) and the stance in it; `words_at` is where the words of the stance stand."""

    start: int
    end: int
    stance: str
    speaker: Actor | None
    holder: Actor | None
    words_at: Span
    rule: str


@dataclass(slots=True)
class Cast:
    """All who can speak, in the order of the text, and who did last."""

    actors: list[Actor]
    by_last: dict[int, Actor] = field(default_factory=dict)
    by_first: dict[int, Actor] = field(default_factory=dict)
    firsts: list[int] = field(default_factory=list)
    persons: list[Actor] = field(default_factory=list)
    spoke: Actor | None = None
    paper: Actor | None = None

    def __post_init__(self) -> None:
        self.by_last = {actor.last: actor for actor in self.actors}
        self.by_first = {actor.first: actor for actor in self.actors}
        self.firsts = [actor.first for actor in self.actors]
        self.persons = [actor for actor in self.actors if actor.kind == "person"]

    def find_person_before(self, first: int) -> Actor | None:
        """The last person named before a word; who spoke last, where that is a person."""
        if self.spoke is not None and self.spoke.kind == "person":
            return self.spoke
        index = bisect_left(self.persons, first, key=lambda actor: actor.first)
        return self.persons[index - 1] if index else None


def make_cast(
    places: Sequence[Place], bodies: Sequence[Body], organisations: Sequence[Hit], named: Sequence[Named]
) -> Cast:
    """All who can speak; where two lie over one another, the person, then the body."""
    actors = [Actor(kind="person", key=str(one.person), first=one.first, last=one.last) for one in named]
    actors += [Actor(kind="body", key=body.value, first=body.first, last=body.last) for body in bodies]
    actors += [Actor(kind="organisation", key=hit.sense.value, first=hit.first, last=hit.last) for hit in organisations]
    actors += [
        Actor(kind="state", key=place.code, first=place.hit.first, last=place.hit.last)
        for place in places
        if place.hit.sense.kind in {"state", "capital"} and place.rule != PLACE
    ]
    chosen = list[Actor]()
    ranks = {"person": 0, "body": 1, "organisation": 2, "state": 3}
    covered = set[int]()
    for actor in sorted(actors, key=lambda one: (ranks[one.kind], one.first)):
        if covered.isdisjoint(range(actor.first, actor.last)):
            covered.update(range(actor.first, actor.last))
            chosen.append(actor)
    return Cast(sorted(chosen, key=lambda one: one.first))


def find_statements(scene: Scene, cast: Cast) -> Iterator[Statement]:
    """The statements in the paragraphs, in the order of the text; not in the title or below a picture."""
    speech = _Placed(scene.list_hits("speech"))
    stances = _Placed(choose_longest(scene.list_hits("stance")))
    for part in scene.article.paragraphs:
        if not speech.list_inside(part) and not stances.list_inside(part):
            continue
        quoted = _find_quoted(scene.article.text, part)
        for sentence in scene.find_sentences(part):
            spoken, taken = speech.list_inside(sentence), stances.list_inside(sentence)
            if spoken or taken:
                yield from _read_sentence(_Sentence(scene, cast, sentence, quoted), spoken, taken)


class _Placed:
    """Hits by their places."""

    def __init__(self, hits: Sequence[Hit]) -> None:
        self._hits = hits
        self._starts = [hit.start for hit in hits]

    def list_inside(self, span: Span) -> Sequence[Hit]:
        """Those that begin inside a span."""
        return self._hits[bisect_left(self._starts, span.start) : bisect_left(self._starts, span.end)]


def _find_quoted(text: str, part: Span) -> list[int]:
    """The places of the marks of quotation in a part, in turn the first of a pair and the second."""
    return [match.start() for match in _QUOTE.finditer(text, part.start, part.end)]


class _Sentence(NamedTuple):
    scene: Scene
    cast: Cast
    span: Span
    quoted: Sequence[int]

    def is_quoted(self, at: int) -> bool:
        """Whether a place lies between two marks of quotation."""
        return bisect_right(self.quoted, at) % 2 == 1

    def gap(self, index: int) -> str:
        gaps = self.scene.words.gaps
        return gaps[index] if 0 <= index < len(gaps) - 1 else ""


def _read_sentence(sentence: _Sentence, speech: Sequence[Hit], stances: Sequence[Hit]) -> Iterator[Statement]:
    speaker, spoken = _find_speaker(sentence, speech)
    found = _find_stances(sentence, stances)
    if speaker is None and not spoken and (_is_all_quoted(sentence) or _ASKS in found):
        speaker = sentence.cast.spoke  # "Clarification is needed.": nobody is named again
    for stance, (hit, holder) in found.items():
        if _is_claimed(sentence, hit):
            # "reports that X had agreed": who speaks does not say so, and X is only said to.
            if holder is not None:
                yield _make(sentence, hit, stance=stance, speaker=holder, holder=holder, rule=_CLAIMED)
        elif speaker is not None or holder is not None or spoken:
            yield _make(sentence, hit, stance=stance, speaker=speaker or holder, holder=holder, rule=hit.sense.rule)
    if spoken and not found:
        yield _make(sentence, speech[0], stance=SAYS, speaker=speaker, holder=None, rule="verb of saying")
    actor = speaker or next((holder for _, holder in found.values() if holder is not None), None)
    if actor is not None:
        _remember(sentence, actor)


def _find_stances(sentence: _Sentence, hits: Sequence[Hit]) -> dict[str, tuple[Hit, Actor | None]]:
    """The stances in a sentence in the order in which they count, each with its words and with whose it is."""
    found = dict[str, tuple[Hit, Actor | None]]()
    for hit in hits:
        if _counts(sentence, hit) and (hit.sense.value not in found or found[hit.sense.value][1] is None):
            found[hit.sense.value] = (hit, _look_left(sentence, hit.first) or _look_by(sentence, hit.last))
    if len(found) < 2:  # noqa: PLR2004 (nothing to be ordered)
        return found
    order = {stance: place for place, stance in enumerate(sentence.scene.rules.stances)}
    return {stance: found[stance] for stance in sorted(found, key=lambda one: order.get(one, len(order)))}


def _look_by(sentence: _Sentence, last: int) -> Actor | None:
    """Whose stance it is where the words are passive: "denied by Moscow"."""
    words = sentence.scene.words
    if last >= len(words.values) or words.values[last] != "by":
        return None
    return sentence.cast.by_first.get(last + 1)


def _remember(sentence: _Sentence, actor: Actor) -> None:
    """Who spoke last, and in a statement or a letter: "she" and "the statement" are of them."""
    sentence.cast.spoke = actor
    first = sentence.scene.find_word(sentence.span.start)
    last = sentence.scene.find_word(sentence.span.end - 1)
    if not _PAPERS.isdisjoint(sentence.scene.words.values[first : last + 1]):
        sentence.cast.paper = actor


def _make(
    sentence: _Sentence, hit: Hit, *, stance: str, speaker: Actor | None, holder: Actor | None, rule: str
) -> Statement:
    return Statement(
        start=sentence.span.start,
        end=sentence.span.end,
        stance=stance,
        speaker=speaker,
        holder=holder,
        words_at=Span(hit.start, hit.end),
        rule=rule,
    )


def _is_claimed(sentence: _Sentence, hit: Hit) -> bool:
    """Whether the words stand behind "reports that", "the claim that" and the like, outside of a quotation."""
    words = sentence.scene.words
    index = hit.first - 1
    while index > 0 and words.starts[index] >= sentence.span.start and hit.first - index < _CLAIM_WORDS:
        if words.values[index] == "that" and words.values[index - 1] in _CLAIMS:
            return True
        index -= 1
    return False


def _counts(sentence: _Sentence, hit: Hit) -> bool:
    """Not "did not agree"; and what is a denial only in somebody's own words, only there."""
    words, rules = sentence.scene.words, sentence.scene.rules
    before = words.values[max(0, hit.first - 2) : hit.first]
    if hit.sense.value == "agrees" and not rules.negations.isdisjoint(before):
        return False
    if hit.sense.rule in rules.only_quoted:
        return sentence.is_quoted(hit.start) and not _FIRST_PERSON.isdisjoint(before)
    return True


def _is_all_quoted(sentence: _Sentence) -> bool:
    """Whether nothing of a sentence stands outside of marks of quotation."""
    text, span = sentence.scene.article.text, sentence.span
    first = span.start + 1 if text[span.start] in _QUOTES else span.start
    marks = [at for at in sentence.quoted if span.start < at < span.end - 1]
    return sentence.is_quoted(first) and not marks


def _find_speaker(sentence: _Sentence, speech: Sequence[Hit]) -> tuple[Actor | None, bool]:
    """Who speaks by the verbs of saying in a sentence, and whether there is such a verb outside of quotations."""
    spoken = False
    for hit in speech:
        gap = sentence.gap(hit.first - 1)
        before = sentence.scene.words.values[hit.first - 1] if gap == " " else ""
        if sentence.is_quoted(hit.start) or before in _PASSIVE or before in _FIRST_PERSON:
            continue
        if before in sentence.scene.rules.negations or before == "it" or not _may_speak(sentence, hit):
            continue
        weak = hit.sense.value == "weak"
        spoken = spoken or not weak
        if hit.sense.value in {"before", "document"} or not _QUOTES.isdisjoint(gap):
            actor = _look_right(sentence, hit.last)
        else:
            actor = _look_left(sentence, hit.first) or (
                _look_right(sentence, hit.last) if "," in gap and not weak else None
            )
        if actor is not None:
            return actor, True
    return None, spoken


def _may_speak(sentence: _Sentence, hit: Hit) -> bool:
    """A verb that says something only beside a quotation wants one in its sentence."""
    if hit.sense.value != "quoting":
        return True
    first = bisect_left(sentence.quoted, sentence.span.start)
    return first < len(sentence.quoted) and sentence.quoted[first] < sentence.span.end


def _look_left(sentence: _Sentence, first: int) -> Actor | None:
    """Who stands before a verb: directly, over small words, or over what stands between commas."""
    words = sentence.scene.words
    at = first
    for _ in range(_MAX_FILLERS + 1):
        if at == 0 or words.starts[at - 1] < sentence.span.start:
            return None
        if "," in sentence.gap(at - 1):
            return _look_over_commas(sentence, at)
        actor = _find_actor(sentence, at)
        if actor is not None:
            return actor
        if words.values[at - 1] not in _FILLERS:
            return _look_over_of(sentence, at)
        at -= 1
    return None


def _look_over_of(sentence: _Sentence, at: int) -> Actor | None:
    """Who stands before "of the Maltese police", directly before a verb."""
    words = sentence.scene.words
    for index in range(at - 1, max(at - 6, 0), -1):
        if words.starts[index] < sentence.span.start or sentence.gap(index) != " ":
            return None
        if words.values[index] == "of":
            actor = sentence.cast.by_last.get(index)
            return actor if actor is not None and actor.kind == "person" else None
    return None


def _find_actor(sentence: _Sentence, last: int) -> Actor | None:
    """Who is named by the words that end before `last`."""
    words, cast = sentence.scene.words, sentence.cast
    actor = cast.by_last.get(last)
    if actor is not None:
        return _find_head(sentence, actor) if actor.kind == "state" else actor
    value = words.values[last - 1]
    if value in _PRONOUNS:
        return cast.find_person_before(last - 1)
    if value in _PAPERS and last > 1 and words.values[last - 2] == "the":
        return cast.paper
    return None


def _find_head(sentence: _Sentence, state: Actor) -> Actor | None:
    """The state, where it speaks; in "Elin Varga of Borealia" it is she, and in "a man from Borealia" nobody."""
    if state.first == 0:
        return state
    words = sentence.scene.words
    value = words.values[state.first - 1]
    if words.starts[state.first - 1] < sentence.span.start or sentence.gap(state.first - 1) != " ":
        return state
    if value == "of":
        return sentence.cast.by_last.get(state.first - 1)
    return None if value in _NOT_SUBJECT else state


def _look_over_commas(sentence: _Sentence, at: int) -> Actor | None:
    """Who stands before a comma.

    Alone between two of them ("the president, Ana Ruiz, said"), or before what stands between them ("Ana Ruiz, speaking
    after a meeting with Ilse Verhoeven, said").
    """
    words = sentence.scene.words
    beside = _find_actor(sentence, at)
    if beside is not None and (
        "," in sentence.gap(beside.first - 1) or words.starts[beside.first] <= sentence.span.start + 1
    ):
        return beside
    return _look_further(sentence, at) or beside


def _look_further(sentence: _Sentence, at: int) -> Actor | None:
    """The nearest comma before which somebody is named."""
    words = sentence.scene.words
    before = words.ends[at - 1]
    low = max(sentence.span.start, words.starts[max(at - _COMMA_WORDS, 0)])
    for _ in range(_MAX_COMMAS):
        before = words.folded.rfind(",", low, before)
        index = bisect_right(words.ends, before) - 1
        if before < 0 or index < 0 or words.starts[index] < sentence.span.start:
            return None
        if (actor := _find_actor(sentence, index + 1)) is not None:
            return actor
    return None


def _look_right(sentence: _Sentence, last: int) -> Actor | None:
    """The first who is named within some words behind a verb: "said Foreign Minister Ilse Verhoeven"."""
    words, cast = sentence.scene.words, sentence.cast
    index = bisect_left(cast.firsts, last)
    fallback: Actor | None = None
    for actor in cast.actors[index : index + 4]:
        if actor.first - last > _AHEAD or words.starts[actor.first] >= sentence.span.end:
            break
        if actor.kind != "state":
            return actor
        fallback = fallback or (actor if actor.first == last else None)
    if last < len(words.values) and words.values[last] in _PRONOUNS:
        return cast.find_person_before(last)
    return fallback
