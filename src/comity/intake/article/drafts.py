# SPDX-License-Identifier: Apache-2.0
"""Pure: what the mentions of an article would become, as STIX 2.1 objects without a creator or a marking.

| Mentioned | Draft |
| --- | --- |
| a state, a capital as a place, a region | `location` |
| an organisation of the gazetteer | the object that the node holds, or an object of the kind that the gazetteer says |
| a ministry, a state that speaks | `identity`, an organisation |
| a person | `identity`, an individual, with the office as role |
| a statement | `note`; one that denies, or neither confirms nor denies, also an `opinion` on what was claimed |
| an observable | its SCO; a telephone or account number a `user-account` |

A draft is no fact: only what a person confirms is put into a report (`assembly`). No draft is a class of people.
"""

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from comity.canonical import Json
from comity.ids import Instant, ObjectId, format_instant
from comity.intake.article.gazetteer import Known
from comity.intake.article.identifiers import make_article_id, make_sco_id, make_state_id
from comity.intake.article.mentions import Kind
from comity.intake.article.observables import Observable
from comity.intake.article.people import Person
from comity.intake.article.rules import Rules
from comity.intake.article.statements import Statement
from comity.intake.article.text import Article, Span

__all__ = ["TABLE_MADE", "Draft", "Drafting"]

TABLE_MADE: Final = "2026-11-26T00:00:00.000000Z"
"""When the table of states was made: a location of a state is the same bytes for every article."""

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """An object that an article would become: its id, its properties, and what to know before it is confirmed.

    `refers` are the drafts and held objects that it refers to. `held` says that the node holds the object: then it is
    only referred to, and `properties` are empty. `warnings` name special categories (Regulation (EU) 2016/794 Article 30)
    that its text holds: a person weighs them.
    """

    id: ObjectId
    kind: Kind
    title: str
    properties: Mapping[str, Json]
    refers: tuple[ObjectId, ...] = ()
    held: bool = False
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


@dataclass(slots=True)
class Drafting:
    """The drafts of one article, each once, in the order in which they are first asked for."""

    article: Article
    rules: Rules
    special: Sequence[tuple[int, str]] = ()
    """Where words for a religion or an ethnic group stand, in order, each with its special category."""
    drafts: dict[ObjectId, Draft] = field(default_factory=dict)

    @property
    def created(self) -> str:
        """When the article was taken in: the first version of each object is of that time."""
        return format_instant(Instant(self.article.retrieved_at))

    def add_state(self, code: str) -> ObjectId:
        """The location of a state."""
        name = self.rules.names.get(code, code)
        return self._add_place(code, name, {"country": code})

    def add_capital(self, code: str, name: str) -> ObjectId:
        """The location of a capital as a place."""
        return self._add_place(f"{code} {name}", name, {"country": code, "city": name})

    def add_region(self, key: str) -> ObjectId:
        """The location of a region, with its frozen list of states in words; `region` is that of STIX where one fits."""
        region = self.rules.regions[key]
        listed = f"These states and no others: {' '.join(region.codes)}."
        return self._add_place(key, region.name, {"region": region.stix or key, "description": listed})

    def add_known(self, known: Known) -> ObjectId:
        """The object that the node holds of an organisation, or one of the kind that its gazetteer says."""
        if known.object is not None:
            draft = Draft(id=known.object, kind=Kind.ORGANISATION, title=known.name, properties={}, held=True)
            return self._keep(draft)
        properties: dict[str, Json] = {"name": known.name}
        if known.kind == "identity":
            properties["identity_class"] = "organization"
        references: list[Json] = [
            {"source_name": known.id.partition(":")[0], "external_id": known.id.partition(":")[2]}
        ]
        properties["external_references"] = references
        return self._add(known.kind, Kind.ORGANISATION, known.id, known.name, properties)

    def add_body(self, title: str, state: str | None) -> ObjectId:
        """The identity of a ministry or another body."""
        name = f"{title} of {self.rules.names.get(state, state)}" if state else title
        notes = () if state else ("no state is named with it: say of which it is before you confirm it",)
        properties: dict[str, Json] = {"name": name, "identity_class": "organization", "sectors": ["government"]}
        return self._add("identity", Kind.BODY, f"body {title} {state or ''}", name, properties, notes=notes)

    def add_government(self, code: str) -> ObjectId:
        """The identity of a state that speaks; a capital is an alias of it."""
        name = f"Government of {self.rules.names.get(code, code)}"
        properties: dict[str, Json] = {"name": name, "identity_class": "organization", "sectors": ["government"]}
        notes = ("the article speaks of the state or its capital; that its government is meant is for a person to say",)
        return self._add("identity", Kind.STATE, f"government {code}", name, properties, notes=notes)

    def add_person(self, person: Person) -> ObjectId:
        """The identity of a person, with the office as a role."""
        role = person.office
        if role and person.state:
            role = f"{role} of {self.rules.names.get(person.state, person.state)}"
        properties: dict[str, Json] = {"name": person.name, "identity_class": "individual"}
        if role:
            properties["roles"] = [role]
        notes = tuple(f"also written {spelling}" for spelling in person.spellings)
        title = f"{person.name}, {role}" if role else person.name
        key = f"person {person.name} {person.office} {person.state}"
        return self._add("identity", Kind.PERSON, key, title, properties, notes=notes)

    def add_observable(self, found: Observable) -> ObjectId:
        """The SCO of an observable."""
        properties: dict[str, Json]
        if found.type in _HASHES:
            properties = {"type": "file", "hashes": {_HASHES[found.type]: found.value}}
        elif found.type in _ADDRESSES:
            properties = {"type": _ADDRESSES[found.type], "value": found.value}
        else:
            properties = {"type": "user-account", "account_type": found.type, "user_id": found.value}
        properties = {**properties, "spec_version": "2.1"}
        draft = Draft(
            id=make_sco_id(properties),
            kind=Kind.OBSERVABLE,
            title=f"{found.type} {found.value}",
            properties=properties,
        )
        return self._keep(draft)

    def add_statement(
        self,
        statement: Statement,
        speaker: tuple[ObjectId, str] | None,
        mentioned: Sequence[tuple[int, ObjectId]],
    ) -> list[ObjectId]:
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
        key = f"{statement.start} {statement.stance}"
        properties: dict[str, Json] = {"abstract": title, "content": self._quote(span), "object_refs": list(about)}
        if speaker is not None:
            properties["authors"] = [speaker[1]]
        warnings = self._find_warnings(span)
        note = self._add("note", Kind.STATEMENT, f"statement {key}", title, properties, refers=about, warnings=warnings)
        if statement.stance not in _OPINIONS or speaker is None:
            return [note]
        claim = self._find_claim(statement)
        inside = tuple(dict.fromkeys(one for at, one in mentioned if claim.start <= at < claim.end))
        if not inside:
            return [note]
        return [note, *self._add_opinion(key, statement.stance, speaker, claim, span, inside)]

    def _find_claim(self, statement: Statement) -> Span:
        """What was claimed: behind the words of the stance, up to the comma where these begin the sentence."""
        text, start = self.article.text, statement.words_at.end
        comma = text.find(",", start, statement.end)
        begins = statement.words_at.start - statement.start <= _BEGINS
        return Span(start, comma if begins and comma >= 0 else statement.end)

    def _add_opinion(  # noqa: PLR0913 (what an opinion is made of)
        self,
        key: str,
        stance: str,
        speaker: tuple[ObjectId, str],
        claim: Span,
        sentence: Span,
        about: tuple[ObjectId, ...],
    ) -> list[ObjectId]:
        """What was claimed, as a note, and the opinion on that note: an opinion on a person would say something else."""
        words = self._quote(claim).strip(' ,.;:\u201d"')
        claimed: dict[str, Json] = {
            "abstract": "Claimed, as the article reports it",
            "content": words,
            "object_refs": list(about),
        }
        warnings = self._find_warnings(claim)
        note = self._add(
            "note", Kind.STATEMENT, f"claim {key}", f"Claimed: {words}", claimed, refers=about, warnings=warnings
        )
        said: dict[str, Json] = {
            "opinion": _OPINIONS[stance],
            "explanation": self._quote(sentence),
            "authors": [speaker[1]],
            "object_refs": [note],
        }
        title = f"{speaker[1]}: {self.rules.stances.get(stance, stance)}"
        warnings = self._find_warnings(sentence)
        opinion = self._add("opinion", Kind.STATEMENT, f"opinion {key}", title, said, refers=(note,), warnings=warnings)
        return [note, opinion]

    def _quote(self, span: Span) -> str:
        return " ".join(self.article.quote(span).split())

    def _find_warnings(self, span: Span) -> tuple[str, ...]:
        first = bisect_left(self.special, (span.start, ""))
        last = bisect_left(self.special, (span.end, ""))
        return tuple(sorted({category for _, category in self.special[first:last]}))

    def _add_place(self, key: str, name: str, where: Mapping[str, Json]) -> ObjectId:
        properties: dict[str, Json] = {
            "type": "location",
            "spec_version": "2.1",
            "created": TABLE_MADE,
            "modified": TABLE_MADE,
            "name": name,
            **where,
        }
        kind = Kind.REGION if "region" in where else Kind.CAPITAL if "city" in where else Kind.STATE
        return self._keep(Draft(id=make_state_id(key), kind=kind, title=name, properties=properties))

    def _add(  # noqa: PLR0913 (what a draft is made of)
        self,
        object_type: str,
        kind: Kind,
        key: str,
        title: str,
        properties: Mapping[str, Json],
        *,
        refers: tuple[ObjectId, ...] = (),
        notes: tuple[str, ...] = (),
        warnings: tuple[str, ...] = (),
    ) -> ObjectId:
        whole: dict[str, Json] = {
            "type": object_type,
            "spec_version": "2.1",
            "created": self.created,
            "modified": self.created,
            **properties,
        }
        return self._keep(
            Draft(
                id=make_article_id(object_type, self.article.digest, key),
                kind=kind,
                title=title,
                properties=whole,
                refers=refers,
                notes=notes,
                warnings=warnings,
            )
        )

    def _keep(self, draft: Draft) -> ObjectId:
        self.drafts.setdefault(draft.id, draft)
        return draft.id
