# SPDX-License-Identifier: Apache-2.0
"""Pure: ministries and other bodies of states that an article mentions, and which state each belongs to.

The state is the one that stands beside ("Japan's Foreign Ministry", "the Ministry of Defence of Borealia", "the
ministry in Doha"); or, where none does, that of the same ministry elsewhere in the article, or behind "its" the state
of the sentence. Otherwise the body has none, and a person says it.
"""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from comity.intake.article.mentions import Kind, Mention
from comity.intake.article.places import Place
from comity.intake.article.scene import Scene
from comity.intake.article.words import Hit, choose_longest

__all__ = ["Beside", "Body", "find_bodies", "list_body_mentions"]

_OWN: Final = frozenset({"its", "their"})
_BARE: Final = frozenset({"the", "this"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Body:
    """A body: its words by number, its title ("Foreign Ministry"), the code of its state where known, and the rule."""

    first: int
    last: int
    title: str
    state: str | None
    rule: str

    @property
    def value(self) -> str:
        """As mentions and drafts call it."""
        return f"{self.title} of {self.state}" if self.state else self.title


class Beside:
    """Which state stands directly before or after some words."""

    def __init__(self, scene: Scene, places: Sequence[Place]) -> None:
        self._scene = scene
        named = [place for place in places if place.hit.sense.kind in {"state", "adjective"}]
        self._by_first = {place.hit.first: place for place in named}
        self._by_last = {place.hit.last: place for place in named}
        self._named = named
        self._capitals = {place.hit.first: place for place in places if place.hit.sense.kind == "capital"}

    def find_before(self, first: int) -> Place | None:
        """The state whose name, adjective or possessive ends where `first` begins."""
        words = self._scene.words
        place = self._by_last.get(first)
        if place is not None and words.gaps[first - 1] in {" ", ". "}:
            return place
        # "Japan's": the s is a word of its own, behind an apostrophe.
        if (
            first > 1
            and words.values[first - 1] == "s"
            and words.gaps[first - 2] == "'"
            and words.gaps[first - 1] == " "
        ):
            return self._by_last.get(first - 1)
        return None

    def find_after(self, last: int) -> Place | None:
        """The state that follows as "of Borealia", "of the Maltese police"."""
        words, at = self._scene.words, last
        if at >= len(words.values) or words.values[at] != "of" or words.gaps[at - 1] != " ":
            return None
        at += 1
        if at < len(words.values) and words.values[at] == "the":
            at += 1
        return self._by_first.get(at)

    def find_seat(self, last: int) -> Place | None:
        """The capital that follows as "in Abu Dhabi"."""
        words = self._scene.words
        if last >= len(words.values) or words.values[last] != "in" or words.gaps[last - 1] != " ":
            return None
        return self._capitals.get(last + 1)

    def find_last(self, first: int, start: int) -> Place | None:
        """The last state that is named before the word `first` and not before `start` in the text."""
        index = bisect_right(self._named, first, key=lambda place: place.hit.last)
        place = self._named[index - 1] if index else None
        return place if place is not None and place.hit.start >= start else None


def find_bodies(scene: Scene, places: Sequence[Place]) -> list[Body]:
    """The bodies, in the order of the text."""
    beside = Beside(scene, places)
    found = list[Body]()
    for hit in choose_longest(scene.list_hits("body", "named-body", "body-again")):
        body = _read_body(scene, hit, beside)
        if body is not None:
            found.append(body)
    return _settle_again(_settle_states(found))


def list_body_mentions(scene: Scene, bodies: Sequence[Body], drafts: Sequence[str]) -> list[Mention]:
    """The mentions of the bodies, each with its draft."""
    words = scene.words
    return [
        Mention(
            kind=Kind.BODY,
            start=words.starts[body.first],
            end=words.ends[body.last - 1],
            rule=body.rule,
            value=body.value,
            doubt=None if body.state else "no state is named with it",
            draft=draft,
        )
        for body, draft in zip(bodies, drafts, strict=True)
    ]


def _read_body(scene: Scene, hit: Hit, beside: Beside) -> Body | None:
    sense = hit.sense
    if sense.kind == "named-body":
        return Body(first=hit.first, last=hit.last, title=sense.value, state=sense.rule, rule="named-body")
    before, after = beside.find_before(hit.first), beside.find_after(hit.last)
    if before is None and after is None:
        after = beside.find_seat(hit.last)
    place = before or after
    first = before.hit.first if before is not None and before.hit.last == hit.first else hit.first
    state, rule = (place.code, "body-with-state") if place is not None else (None, "body")
    word = scene.words.values[hit.first - 1] if hit.first else ""
    if place is None and word in _OWN:
        own = _find_owner(scene, hit, beside)
        state, rule = (own.code, "body-of-the-sentence") if own is not None else (None, "body")
    if sense.kind == "body-again":
        if state is None and word not in _BARE and not scene.words.capitals[hit.first]:
            return None
        return Body(first=first, last=hit.last, title="", state=state, rule="body-again")
    if sense.rule == "other" and state is None:
        return None
    return Body(first=first, last=hit.last, title=sense.value, state=state, rule=rule)


def _find_owner(scene: Scene, hit: Hit, beside: Beside) -> Place | None:
    """The last state before "its", in the same part."""
    part = scene.find_part(hit.start)
    return beside.find_last(hit.first, scene.parts[part].start) if part is not None else None


def _settle_states(bodies: list[Body]) -> list[Body]:
    """Ministries without a state get that of the same one, or of "the Russian ministry", where there is one such."""
    settled = list(bodies)
    for title in {body.title for body in bodies if body.state is None and body.title}:
        states = {body.state for body in bodies if body.title == title and body.state}
        if not states:
            states = {body.state for body in bodies if not body.title and body.state}
        if len(states) == 1:
            (state,) = states
            settled = [
                replace(body, state=state, rule="body-of-the-article")
                if body.title == title and body.state is None
                else body
                for body in settled
            ]
    return settled


def _settle_again(bodies: list[Body]) -> list[Body]:
    """What "the ministry" is: the one that was named last, or the first that is named at all, of the same state."""
    named = [body for body in bodies if body.title.endswith("Ministry")]
    by_state = dict[str | None, Body]()
    for body in reversed(named):
        by_state[body.state] = body
    settled, last = list[Body](), None
    for body in bodies:
        if body.title:
            last = body if body.title.endswith("Ministry") else last
            settled.append(body)
            continue
        like = by_state.get(body.state) if body.state else last or (named[0] if named else None)
        if like is not None:
            settled.append(replace(body, title=like.title, state=like.state))
        elif body.state:
            settled.append(replace(body, title="Ministry"))
    return settled
