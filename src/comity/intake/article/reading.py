# SPDX-License-Identifier: Apache-2.0
"""Pure: an article read by the rules: every mention with its place, and the drafts they would become.

    reading = read_article(article, rules, gazetteer)
    reading.mentions    (Mention(kind=Kind.STATE, start=17, end=23, rule="name-of-state", value="RU", draft="location--…"), …)
    reading.drafts      {"location--…": Draft(…), …}

The same article, rules and gazetteer give the same reading. It takes time linear in the text.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from comity.ids import ObjectId
from comity.intake.article.bodies import Body, find_bodies, list_body_mentions
from comity.intake.article.dates import find_dates
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """A statement as people look through them: the stance, who speaks and whose stance it is, each as a mention calls it."""

    stance: str
    speaker: str | None
    holder: str | None
    start: int
    end: int
    drafts: tuple[ObjectId, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What was read out of an article. Mentions are in the order of the text."""

    article: Article
    mentions: tuple[Mention, ...]
    drafts: Mapping[ObjectId, Draft]
    persons: tuple[Person, ...]
    statements: tuple[Said, ...]


def read_article(article: Article, rules: Rules, known: Gazetteer) -> Reading:
    """The mentions of an article and their drafts."""
    scene = set_scene(article, rules, known)
    places = find_places(scene)
    organisations = find_organisations(scene)
    bodies = find_bodies(scene, places)
    persons, named = find_people(scene, places, bodies, organisations)
    drafting = Drafting(article, rules, _find_special(scene, organisations))
    mentions = _link_places(places, drafting)
    mentions += [
        replace(mention, draft=drafting.add_known(known.known[mention.value]))
        for mention in list_organisation_mentions(organisations)
    ]
    mentions += [
        replace(mention, draft=drafting.add_body(body.title, body.state))
        for mention, body in zip(list_body_mentions(scene, bodies), bodies, strict=True)
    ]
    mentions += [
        replace(mention, draft=drafting.add_person(persons[one.person]))
        for mention, one in zip(list_people_mentions(scene, persons, named), named, strict=True)
    ]
    mentions += _read_parts(scene, drafting)
    found = list(find_statements(scene, make_cast(places, bodies, organisations, named)))
    teller = _Teller(drafting, known, persons, {body.value: body for body in bodies})
    said = teller.tell(found, sorted(mentions, key=lambda one: one.start))
    mentions += [_mention_statement(one, said_one) for one, said_one in zip(found, said, strict=True)]
    return Reading(
        article=article,
        mentions=tuple(sorted(mentions, key=lambda one: (one.start, one.end, one.kind))),
        drafts=drafting.drafts,
        persons=tuple(persons),
        statements=tuple(said),
    )


def _find_special(scene: Scene, organisations: Sequence[Hit]) -> list[tuple[int, str]]:
    """Where words for a religion or an ethnic group stand that are not in the name of an organisation."""
    named = {index for hit in organisations for index in range(hit.first, hit.last)}
    safeguards, words = scene.rules.safeguards, scene.words
    return [
        (words.starts[index], safeguards[value])
        for index, value in enumerate(words.values)
        if value in safeguards and index not in named
    ]


def _link_places(places: Sequence[Place], drafting: Drafting) -> list[Mention]:
    """An adjective is a mention of the state and becomes no object by itself; nor does a capital for its government."""
    linked = list[Mention]()
    for place, mention in zip(places, list_place_mentions(list(places)), strict=True):
        draft: ObjectId | None = None
        match place.hit.sense.kind:
            case "state":
                draft = drafting.add_state(place.code)
            case "capital" if place.rule == PLACE:
                draft = drafting.add_capital(place.code, place.hit.sense.rule)
            case "region":
                draft = drafting.add_region(place.code)
        linked.append(replace(mention, draft=draft))
    return linked


def _read_parts(scene: Scene, drafting: Drafting) -> list[Mention]:
    """Dates and observables, part by part."""
    found = list[Mention]()
    article = scene.article
    for part in scene.parts:
        words = article.quote(part)
        for one in find_observables(words, scene.rules):
            found.append(_mention_observable(one, part.start, drafting))
        for date in find_dates(words, published=article.published):
            start, end = part.start + date.start, part.start + date.end
            found.append(Mention(kind=Kind.DATE, start=start, end=end, rule=date.rule, value=date.value))
    return _drop_dates_in_observables(found)


def _mention_observable(one: Observable, start: int, drafting: Drafting) -> Mention:
    return Mention(
        kind=Kind.OBSERVABLE,
        start=start + one.start,
        end=start + one.end,
        rule=one.type,
        value=one.value,
        draft=drafting.add_observable(one),
    )


def _drop_dates_in_observables(found: list[Mention]) -> list[Mention]:
    """ "…/2031-10-02/…" in an address is no date of the article."""
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
            inside = list[tuple[int, ObjectId]]()
            index = first
            while index < len(mentions) and mentions[index].start < one.end:
                mention = mentions[index]
                if mention.draft is not None and mention.kind is not Kind.OBSERVABLE:
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

    def _find_identity(self, actor: Actor | None) -> tuple[ObjectId, str] | None:
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
        return found, str(self.drafting.drafts[found].properties["name"])


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
