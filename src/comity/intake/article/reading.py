# SPDX-License-Identifier: Apache-2.0
"""Pure: an article read by the rules: every mention with its place, and the drafts they would become.

    reading = read_article(article, rules, gazetteer)
    reading.mentions    (Mention(kind=Kind.STATE, start=17, end=23, rule="name-of-state", value="RU", …), …)
    reading.drafts      {"place/RU": Draft(…), …}

The same article, rules and gazetteer give the same reading. It takes time linear in the text.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Final, NamedTuple

from comity.intake.article.bodies import Body, find_bodies, list_body_mentions
from comity.intake.article.dates import find_dates
from comity.intake.article.days import draft_days
from comity.intake.article.drafts import Draft, Drafting
from comity.intake.article.gazetteer import Gazetteer
from comity.intake.article.mentions import Kind, Mention
from comity.intake.article.observables import Observable, find_observables
from comity.intake.article.organisations import find_organisations, list_organisation_mentions
from comity.intake.article.people import Person, find_people, list_people_mentions
from comity.intake.article.places import PLACE, Place, find_places, list_place_mentions
from comity.intake.article.rules import Rules
from comity.intake.article.scene import Scene, set_scene
from comity.intake.article.statements import Actor, Statement, find_statements, make_cast
from comity.intake.article.text import Article
from comity.intake.article.words import Hit

__all__ = ["Reading", "Said", "read_article"]

_PLACE: Final = attrgetter("start", "end", "kind")
"""The order of the text."""

_NO_SUBJECTS: Final = frozenset({Kind.DATE, Kind.OBSERVABLE})
"""What a statement is not about."""


class Said(NamedTuple):
    """A statement as people look through them: the stance, who speaks and whose it is, each as a mention calls it."""

    stance: str
    speaker: str | None
    holder: str | None
    start: int
    end: int
    drafts: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What was read out of an article. Mentions are in the order of the text.

    `special` is where words for a religion or an ethnic group stand, in order, each with its special category.
    """

    article: Article
    mentions: tuple[Mention, ...]
    drafts: Mapping[str, Draft]
    persons: tuple[Person, ...]
    statements: tuple[Said, ...]
    special: tuple[tuple[int, str], ...] = ()


def read_article(article: Article, rules: Rules, known: Gazetteer) -> Reading:
    """The mentions of an article and their drafts."""
    scene = set_scene(article, rules, known)
    places = find_places(scene)
    organisations = find_organisations(scene)
    bodies = find_bodies(scene, places)
    persons, named = find_people(scene, places, bodies, organisations)
    drafting = Drafting(article, rules, _find_special(scene, organisations, places))
    mentions = [*list_place_mentions(places, [_draft_place(place, drafting) for place in places])]
    mentions += list_organisation_mentions(
        organisations, [drafting.add_known(known.known[hit.sense.value]) for hit in organisations]
    )
    mentions += list_body_mentions(scene, bodies, [drafting.add_body(body.title, body.state) for body in bodies])
    mentions += list_people_mentions(scene, persons, named, drafts=[drafting.add_person(person) for person in persons])
    mentions += _read_parts(scene, drafting)
    mentions = draft_days(scene, sorted(mentions, key=_PLACE), drafting)
    found = list(find_statements(scene, make_cast(places, bodies, organisations, named)))
    teller = _Teller(drafting, known, persons, {body.value: body for body in bodies})
    said = teller.tell(found, mentions)
    mentions += [_mention_statement(one, said_one) for one, said_one in zip(found, said, strict=True)]
    return Reading(
        article=article,
        mentions=tuple(sorted(mentions, key=_PLACE)),
        drafts=drafting.drafts,
        persons=tuple(persons),
        statements=tuple(said),
        special=tuple(drafting.special),
    )


def _find_special(scene: Scene, organisations: Sequence[Hit], places: Sequence[Place]) -> list[tuple[int, str]]:
    """Where words for a religion or an ethnic group stand that are not in the name of an organisation or a state."""
    found = scene.list_hits("safeguard")
    if not found:
        return []
    named = {index for hit in organisations for index in range(hit.first, hit.last)}
    named |= {index for place in places for index in range(place.hit.first, place.hit.last)}
    return [(hit.start, hit.sense.value) for hit in found if hit.first not in named]


def _draft_place(place: Place, drafting: Drafting) -> str | None:
    """An adjective is a mention of the state and becomes no object by itself; nor does a capital for its government."""
    match place.hit.sense.kind:
        case "state":
            return drafting.add_state(place.code)
        case "capital" if place.rule == PLACE:
            return drafting.add_capital(place.code, place.hit.sense.rule)
        case "region":
            return drafting.add_region(place.code)
        case _:
            return None


def _read_parts(scene: Scene, drafting: Drafting) -> list[Mention]:
    """Dates and observables, where they lie in the parts that are read."""
    article, words = scene.article, scene.words
    end = scene.parts[-1].end if scene.parts else 0
    found = [
        _mention_observable(one, drafting)
        for one in find_observables(article.text[:end], scene.rules)
        if scene.find_part(one.start) is not None
    ]
    found += [
        Mention(kind=Kind.DATE, start=date.start, end=date.end, rule=date.rule, value=date.value)
        for date in find_dates(article.text, published=article.published, words=(words.values, words.starts))
        if scene.find_part(date.start) is not None
    ]
    return _drop_dates_in_observables(found)


def _mention_observable(one: Observable, drafting: Drafting) -> Mention:
    return Mention(
        kind=Kind.OBSERVABLE,
        start=one.start,
        end=one.end,
        rule=one.type,
        value=one.value,
        draft=drafting.add_observable(one),
    )


def _drop_dates_in_observables(found: list[Mention]) -> list[Mention]:
    """Without "…/2031-10-02/…" in an address, which is no date of the article."""
    kept, end = list[Mention](), 0
    for mention in sorted(found, key=lambda one: (one.start, one.kind != Kind.OBSERVABLE)):
        if mention.kind is Kind.OBSERVABLE:
            end = mention.end
        elif mention.start < end:
            continue
        kept.append(mention)
    return kept


@dataclass(slots=True)
class _Teller:
    """Statements as drafts: who the actors are, and what each sentence mentions."""

    drafting: Drafting
    known: Gazetteer
    persons: Sequence[Person]
    bodies: Mapping[str, Body]

    def tell(self, statements: Sequence[Statement], mentions: Sequence[Mention]) -> list[Said]:
        """Each statement with its drafts; `mentions` in the order of the text, and so are the statements."""
        told = list[Said]()
        first = 0
        for one in statements:
            while first < len(mentions) and mentions[first].start < one.start:
                first += 1
            inside = list[tuple[int, str]]()
            index = first
            while index < len(mentions) and mentions[index].start < one.end:
                mention = mentions[index]
                if mention.draft is not None and mention.kind not in _NO_SUBJECTS:
                    inside.append((mention.start, mention.draft))
                index += 1
            speaker = self._find_identity(one.speaker)
            told.append(
                Said(
                    stance=one.stance,
                    speaker=self._name(one.speaker),
                    holder=self._name(one.holder),
                    start=one.start,
                    end=one.end,
                    drafts=tuple(self.drafting.add_statement(one, speaker, inside)),
                )
            )
        return told

    def _name(self, actor: Actor | None) -> str | None:
        if actor is None:
            return None
        return self.persons[int(actor.key)].name if actor.kind == "person" else actor.key

    def _find_identity(self, actor: Actor | None) -> tuple[str, str] | None:
        """The draft of who speaks, and the name that authors are called by."""
        if actor is None:
            return None
        match actor.kind:
            case "person":
                person = self.persons[int(actor.key)]
                return self.drafting.add_person(person), person.name
            case "body":
                body = self.bodies[actor.key]
                found = self.drafting.add_body(body.title, body.state)
            case "organisation":
                known = self.known.known[actor.key]
                return self.drafting.add_known(known), known.name
            case _:
                found = self.drafting.add_government(actor.key)
        return found, self.drafting.drafts[found].title


def _mention_statement(statement: Statement, said: Said) -> Mention:
    return Mention(
        kind=Kind.STATEMENT,
        start=statement.start,
        end=statement.end,
        rule=statement.rule,
        value=f"{statement.stance}: {said.speaker or ''}",
        doubt=None if said.speaker else "no rule could name who speaks",
        draft=said.drafts[0] if said.drafts else None,
    )
