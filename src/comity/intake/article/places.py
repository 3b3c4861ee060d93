# SPDX-License-Identifier: Apache-2.0
"""Pure: states, capitals and regions that an article mentions.

A capital is an alias: of a government ("Lisbon denied it") or a place ("in Lisbon"), as the word before it says; which
of the two is the rule of its mention, and neither is a fact. A name that is more than a state's ("Georgia", "Jordan",
"Chad") is one where the nearest word of the table `traps` speaks for it; where none does, the mention says its doubt.
"""

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from comity.intake.article.mentions import Kind, Mention
from comity.intake.article.scene import Scene
from comity.intake.article.words import Hit, choose_longest, find_hits

__all__ = ["GOVERNMENT", "PLACE", "Place", "find_places", "list_place_mentions"]

GOVERNMENT: Final = "capital-for-government"
PLACE: Final = "capital-as-place"
_NEAR = 40
"""Words between a trap and what decides it."""
_LOOKED_AT = 4
"""Of those words, on either side."""
_NO_CUE: Final = "nothing near says whether this is the state"


class Place(NamedTuple):
    """A hit that counts, and by which rule; `doubt` as in a mention."""

    hit: Hit
    rule: str
    doubt: str | None = None

    @property
    def code(self) -> str:
        """The state, or the key of a region."""
        return self.hit.sense.value


def find_places(scene: Scene) -> list[Place]:
    """The places that count, in the order of the text."""
    hits = choose_longest(scene.list_hits("state", "adjective", "capital", "region", "not-state"))
    cues = _find_cues(scene, hits)
    found = list[Place]()
    for hit in hits:
        match hit.sense.kind:
            case "not-state":
                continue
            case "state" | "adjective":
                rule = hit.sense.rule
            case "capital":
                rule = _read_use(scene, hit, found)
            case _:
                rule = hit.sense.rule
        name = scene.words.folded[hit.start : hit.end]
        if name not in scene.rules.traps:
            found.append(Place(hit, rule))
        elif (judged := _judge(scene, hit, cues.get(name, []))) is not None:
            found.append(Place(hit, rule, judged or None))
    return found


def list_place_mentions(places: Sequence[Place], drafts: Sequence[str | None]) -> Iterator[Mention]:
    """The mentions of the places, each with its draft."""
    kinds = {"state": Kind.STATE, "adjective": Kind.STATE, "capital": Kind.CAPITAL, "region": Kind.REGION}
    for place, draft in zip(places, drafts, strict=True):
        yield Mention(
            kind=kinds[place.hit.sense.kind],
            start=place.hit.start,
            end=place.hit.end,
            rule=place.rule,
            value=place.code,
            doubt=place.doubt,
            draft=draft,
        )


def _find_cues(scene: Scene, hits: list[Hit]) -> dict[str, list[Hit]]:
    """By trap, the words that decide it; nothing is looked for where no trap is in the article."""
    names = {scene.words.folded[hit.start : hit.end] for hit in hits} & scene.rules.traps.keys()
    found = dict[str, list[Hit]]()
    if names:
        for hit in find_hits(scene.words, scene.rules.cues):
            if hit.sense.value in names:
                found.setdefault(hit.sense.value, []).append(hit)
    return found


def _judge(scene: Scene, hit: Hit, cues: list[Hit]) -> str | None:
    """None where the trap is no state, "" where it is one, and otherwise what to doubt."""
    if not scene.is_title(hit.start) and _is_in_name(scene, hit):
        return None
    best: tuple[int, bool] | None = None
    near = bisect_left(cues, hit.first, key=lambda cue: cue.first)
    for cue in cues[max(0, near - _LOOKED_AT) : near + _LOOKED_AT]:
        if cue.first < hit.last and cue.last > hit.first:
            continue
        distance = cue.first - hit.last if cue.first >= hit.last else hit.first - cue.last
        if distance <= _NEAR and (best is None or (distance, cue.sense.rule == "else") < best):
            best = (distance, cue.sense.rule == "else")
    if best is None:
        return _NO_CUE
    return None if best[1] else ""


def _is_in_name(scene: Scene, hit: Hit) -> bool:
    """Whether a name stands directly before or after it: "Chad Morrow", "Michael Jordan"."""
    words, rules = scene.words, scene.rules
    for index, gap_at in ((hit.last, hit.last - 1), (hit.first - 1, hit.first - 1)):
        if 0 <= index < len(words.values) and words.gaps[gap_at] == " " and words.capitals[index]:
            value = words.values[index]
            if value not in rules.no_names and not any(
                phrase.sense.kind in {"state", "adjective", "capital", "office", "known", "body"}
                for phrase in (rules.lexicon[value].list_all() if value in rules.lexicon else ())
            ):
                return True
    return False


def _read_use(scene: Scene, hit: Hit, before: list[Place]) -> str:
    """Whether a capital stands for its government or is a place, by what stands around it."""
    words = scene.words
    if scene.find_part(hit.start) is not None and _is_dateline(scene, hit):
        return PLACE
    if hit.first == 0:
        return GOVERNMENT
    word, gap = words.values[hit.first - 1], words.gaps[hit.first - 1]
    if gap != " ":
        return GOVERNMENT
    if word == "and":
        last = before[-1] if before else None
        joined = last is not None and last.hit.last == hit.first - 1
        return last.rule if last is not None and joined and last.hit.sense.kind == "capital" else GOVERNMENT
    return PLACE if word in scene.rules.located else GOVERNMENT


def _is_dateline(scene: Scene, hit: Hit) -> bool:
    """At the start of a part, before a dash, a bracket or a date: "LISBON (Northern Wire) -"."""
    part = scene.find_part(hit.start)
    if part is None or scene.parts[part].start != hit.start:
        return False
    after = scene.article.text[hit.end : hit.end + 3].lstrip()
    return after[:1] in {"(", "-", "\u2013", "\u2014", ","} and scene.article.text[hit.start : hit.end].isupper()
