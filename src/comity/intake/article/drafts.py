# SPDX-License-Identifier: Apache-2.0
"""Pure: what the mentions of an article would become, as STIX 2.1 objects without a creator or a marking.

| Mentioned | Draft |
| --- | --- |
| a state, a capital as a place, a region | `location` |
| an organisation of the gazetteer | the object that the node holds, or an object of the kind that the gazetteer says |
| a ministry, a state that speaks | `identity`, an organisation |
| a person | `identity`, an individual, with the office as role |
| a statement | `note`; one that denies, or neither confirms nor denies, also an `opinion` on what was claimed |
| a day, a month, a year | `note` on what else its sentences mention; on the report where that is nothing |
| an observable | its SCO; a telephone or account number a `user-account` |

A draft is no fact: only what a person confirms is put into a report (`assembly`). No draft is a class of people.
"""

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from comity.canonical import Json
from comity.ids import ObjectId
from comity.intake.article.gazetteer import Known
from comity.intake.article.mentions import Kind
from comity.intake.article.observables import Observable
from comity.intake.article.people import Person
from comity.intake.article.rules import Rules
from comity.intake.article.statements import Statement
from comity.intake.article.text import Article, Span

__all__ = ["Draft", "Drafting", "NamedDay"]

_OPINIONS: Final[Mapping[str, str]] = {
    "denies": "disagree",
    "neither": "neutral",
    "asks-clarification": "neutral",
}
"""The opinion (STIX 2.1 §4.15) of one who takes such a stance on what was claimed."""

_BEGINS = 3
"""Characters before words that begin a sentence: a mark of quotation."""
_HASHES: Final = {"md5": "MD5", "sha1": "SHA-1", "sha256": "SHA-256", "sha512": "SHA-512"}
_ADDRESSES: Final = {
    "ipv4": "ipv4-addr",
    "ipv6": "ipv6-addr",
    "domain": "domain-name",
    "url": "url",
    "email": "email-addr",
}


class Draft(NamedTuple):
    """An object that an article would become, and what to know before it is confirmed.

    `key` names it within its article, and stays the same when the article is read again by the same rules.
    `properties` have no id, times, creator or markings: these come when it is confirmed; where they refer to another
    draft (`object_refs`), they hold its key. `names` is what the id follows from (`making.Maker`). `held` is the object
    that the node holds: then it is only referred to. `warnings` are special categories (Regulation (EU) 2016/794,
    Article 30) that its text may hold: a person weighs them.
    """

    key: str
    kind: Kind
    type: str
    title: str
    properties: Mapping[str, Json]
    names: tuple[str, ...] = ()
    refers: tuple[str, ...] = ()
    held: ObjectId | None = None
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


@dataclass(slots=True, kw_only=True)
class NamedDay:
    """A day, month, year or two with "/" between (`value`), and where it is named; `sentences` are at most five.

    `more` is how often it is named behind these, `about` are the keys of the drafts that its sentences mention, and
    `told_from` is the day of publication where some of the words mean this day only on that one.
    """

    value: str
    words: dict[str, None] = field(default_factory=dict)
    sentences: list[Span] = field(default_factory=list)
    more: int = 0
    about: dict[str, None] = field(default_factory=dict)
    told_from: str | None = None


@dataclass(slots=True)
class Drafting:
    """The drafts of one article, each once, in the order in which they are first asked for."""

    article: Article
    rules: Rules
    special: Sequence[tuple[int, str]] = ()
    """Where words for a religion or an ethnic group stand, in order, each with its special category."""
    drafts: dict[str, Draft] = field(default_factory=dict)

    def add_state(self, code: str) -> str:
        """The location of a state."""
        name = self.rules.names.get(code, code)
        return self._add_place(code, name, {"country": code})

    def add_capital(self, code: str, name: str) -> str:
        """The location of a capital as a place."""
        return self._add_place(f"{code}/{name}", name, {"country": code, "city": name})

    def add_region(self, key: str) -> str:
        """The location of a region, its frozen list of states in words; `region` is that of STIX where one fits."""
        region = self.rules.regions[key]
        listed = f"These states and no others: {' '.join(region.codes)}."
        return self._add_place(key, region.name, {"region": region.stix or key, "description": listed})

    def add_known(self, known: Known) -> str:
        """The object that the node holds of an organisation, or one of the kind that its gazetteer says."""
        scheme, _, number = known.id.partition(":")
        references: list[Json] = [{"source_name": scheme, "external_id": number}]
        properties: dict[str, Json] = {"name": known.name, "external_references": references}
        if known.kind == "identity":
            properties["identity_class"] = "organization"
        return self._keep(
            Draft(
                key=f"known/{known.id}",
                kind=Kind.ORGANISATION,
                type=known.kind,
                title=known.name,
                properties={} if known.object is not None else properties,
                # The same for every article: the gazetteer says what it is.
                names=("known", known.id),
                held=known.object,
            )
        )

    def add_body(self, title: str, state: str | None) -> str:
        """The identity of a ministry or another body."""
        name = f"{title} of {self.rules.names.get(state, state)}" if state else title
        notes = () if state else ("no state is named with it: say of which it is before you confirm it",)
        properties: dict[str, Json] = {"name": name, "identity_class": "organization", "sectors": ["government"]}
        return self._add("identity", Kind.BODY, f"body/{title}/{state or ''}", name, properties, notes=notes)

    def add_government(self, code: str) -> str:
        """The identity of a state that speaks; a capital is an alias of it."""
        name = f"Government of {self.rules.names.get(code, code)}"
        properties: dict[str, Json] = {"name": name, "identity_class": "organization", "sectors": ["government"]}
        notes = ("the article speaks of the state or its capital; that its government is meant is for a person to say",)
        return self._add("identity", Kind.STATE, f"government/{code}", name, properties, notes=notes)

    def add_person(self, person: Person) -> str:
        """The identity of a person, with the office as a role."""
        key = f"person/{person.name}/{person.office}/{person.state}"
        if key in self.drafts:
            return key
        role = person.office
        if role and person.state:
            role = f"{role} of {self.rules.names.get(person.state, person.state)}"
        properties: dict[str, Json] = {"name": person.name, "identity_class": "individual"}
        if role:
            properties["roles"] = [role]
        notes = tuple(f"also written {spelling}" for spelling in person.spellings)
        title = f"{person.name}, {role}" if role else person.name
        return self._add("identity", Kind.PERSON, key, title, properties, notes=notes)

    def add_observable(self, found: Observable) -> str:
        """The SCO of an observable."""
        properties: dict[str, Json]
        if found.type in _HASHES:
            kind, properties = "file", {"hashes": {_HASHES[found.type]: found.value}}
        elif found.type in _ADDRESSES:
            kind, properties = _ADDRESSES[found.type], {"value": found.value}
        else:
            kind, properties = "user-account", {"account_type": found.type, "user_id": found.value}
        return self._keep(
            Draft(
                key=f"observable/{found.type}/{found.value}",
                kind=Kind.OBSERVABLE,
                type=kind,
                title=f"{found.type} {found.value}",
                properties=properties,
            )
        )

    def add_day(self, day: NamedDay) -> str:
        """The note of a day: which one it is, in what words, and the sentences that name it."""
        quotes = [self._quote(span) for span in day.sentences]
        if day.more:
            quotes.append(f"(It is named {day.more} time{'' if day.more == 1 else 's'} more.)")
        words = ", ".join(f'"{one}"' for one in day.words)
        title = f"{day.value}, in the article: {words}"
        properties: dict[str, Json] = {"abstract": title, "content": "\n".join(quotes), "object_refs": list(day.about)}
        notes = (f"told from the day of publication, {day.told_from}",) if day.told_from else ()
        warnings = tuple(sorted({word for span in day.sentences for word in self._find_warnings(span)}))
        return self._add(
            "note",
            Kind.DATE,
            f"date/{day.value}",
            title,
            properties,
            refers=tuple(day.about),
            notes=notes,
            warnings=warnings,
        )

    def add_statement(
        self,
        statement: Statement,
        speaker: tuple[str, str] | None,
        mentioned: Sequence[tuple[int, str]],
    ) -> list[str]:
        """The note of a statement, and the opinion on what was claimed where the stance is one on a claim.

        It needs somebody or something to be about: without a speaker, what is mentioned in the sentence, each with the
        place where it stands.
        """
        about = tuple(dict.fromkeys([speaker[0]] if speaker is not None else [one for _, one in mentioned]))
        if not about:
            return []
        means = self.rules.stances.get(statement.stance, statement.stance)
        who = speaker[1] if speaker is not None else "Somebody whom no rule could name"
        title = f"{who}: {means}"
        span = Span(statement.start, statement.end)
        key = f"{statement.start}/{statement.stance}"
        properties: dict[str, Json] = {"abstract": title, "content": self._quote(span), "object_refs": list(about)}
        if speaker is not None:
            properties["authors"] = [speaker[1]]
        warnings = self._find_warnings(span)
        note = self._add("note", Kind.STATEMENT, f"statement/{key}", title, properties, refers=about, warnings=warnings)
        if statement.stance not in _OPINIONS or speaker is None:
            return [note]
        claim = self._find_claim(statement)
        inside = tuple(dict.fromkeys(one for at, one in mentioned if claim.start <= at < claim.end))
        if not inside:
            return [note]
        opinion = _OPINIONS[statement.stance]
        return [
            note,
            *self._add_opinion(
                key, title, opinion=opinion, author=speaker[1], claim=claim, about=inside, sentence=span
            ),
        ]

    def _find_claim(self, statement: Statement) -> Span:
        """What was claimed: behind the words of the stance, up to the comma where these begin the sentence."""
        text, start = self.article.text, statement.words_at.end
        comma = text.find(",", start, statement.end)
        begins = statement.words_at.start - statement.start <= _BEGINS
        return Span(start, comma if begins and comma >= 0 else statement.end)

    def _add_opinion(
        self,
        key: str,
        title: str,
        *,
        opinion: str,
        author: str,
        claim: Span,
        about: tuple[str, ...],
        sentence: Span,
    ) -> list[str]:
        """What was claimed, as a note, and the opinion on that note: one on a person would say something else."""
        words = self._quote(claim).strip(' ,.;:\u201d"')
        claimed: dict[str, Json] = {
            "abstract": "Claimed, as the article reports it",
            "content": words,
            "object_refs": list(about),
        }
        warnings = self._find_warnings(claim)
        note = self._add(
            "note", Kind.STATEMENT, f"claim/{key}", f"Claimed: {words}", claimed, refers=about, warnings=warnings
        )
        said: dict[str, Json] = {
            "opinion": opinion,
            "explanation": self._quote(sentence),
            "authors": [author],
            "object_refs": [note],
        }
        warnings = self._find_warnings(sentence)
        found = self._add("opinion", Kind.STATEMENT, f"opinion/{key}", title, said, refers=(note,), warnings=warnings)
        return [note, found]

    def _quote(self, span: Span) -> str:
        return " ".join(self.article.quote(span).split())

    def _find_warnings(self, span: Span) -> tuple[str, ...]:
        first = bisect_left(self.special, (span.start, ""))
        last = bisect_left(self.special, (span.end, ""))
        return tuple(sorted({category for _, category in self.special[first:last]}))

    def _add_place(self, key: str, name: str, where: Mapping[str, Json]) -> str:
        if (known := f"place/{key}") in self.drafts:
            return known
        kind = Kind.REGION if "region" in where else Kind.CAPITAL if "city" in where else Kind.STATE
        return self._keep(
            Draft(
                key=known,
                kind=kind,
                type="location",
                title=name,
                properties={"name": name, **where},
                # The same for every article of this party.
                names=("place", key),
            )
        )

    def _add(
        self,
        object_type: str,
        kind: Kind,
        key: str,
        title: str,
        properties: Mapping[str, Json],
        *,
        refers: tuple[str, ...] = (),
        notes: tuple[str, ...] = (),
        warnings: tuple[str, ...] = (),
    ) -> str:
        if key in self.drafts:
            return key
        return self._keep(
            Draft(
                key=key,
                kind=kind,
                type=object_type,
                title=title,
                properties=properties,
                # A person in two articles is two objects until people say that both are one.
                names=("article", self.article.digest, key),
                refers=refers,
                notes=notes,
                warnings=warnings,
            )
        )

    def _keep(self, draft: Draft) -> str:
        self.drafts.setdefault(draft.key, draft)
        return draft.key
