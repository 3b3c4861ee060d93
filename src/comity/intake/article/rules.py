# SPDX-License-Identifier: Apache-2.0
"""Pure: the rules that articles are read with: TOML that people read and correct, made into what finds mentions.

    rules = compile_rules([parse_tables(built_in) for …] + [parse_tables(own)], language="en")

Each document holds some of the sections below; what a later one says of a key takes the place of what an earlier one
said of it. So a party adds its own states, offices and words, or corrects one, in a file of its own. The files that
come with the program lie in `tables/`; whoever has a disk reads them (docs/spec/article-drafts.md).
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from comity.agreement.drafting import parse_toml
from comity.canonical import Json
from comity.errors import MalformedRequest, MalformedTerms
from comity.intake.article.words import Lexicon, Phrase, Sense, fold, make_lexicon
from comity.vocabulary import SPECIAL_CATEGORIES

__all__ = ["Region", "Rules", "Tables", "Trap", "check_tables", "compile_rules", "join_tables", "parse_tables"]

_MAX_TEXT = 200
_MAX_ENTRIES = 60_000
_LEAVES: Final[Mapping[str, int]] = {
    # How deep the texts lie below each section: 1 for {key = "text"} and {key = ["text", …]}.
    "names": 2,
    "aliases": 2,
    "not_states": 1,
    "traps": 2,
    "regions": 2,
    "departments": 1,
    "offices": 2,
    "bodies": 2,
    "order": 0,
    "negations": 0,
    "speech": 1,
    "stances": 2,
    "safeguards": 2,
    "people": 1,
    "domains": 1,
    "addresses": 1,
    "iban": 1,
    "places": 1,
    "names_of_people": 1,
}

Tables = Mapping[str, Json]
"""The sections of one document, checked for their shape."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Region:
    """A region as a frozen list of ISO 3166-1 alpha-2 codes; `stix` is the word of region-ov, where one fits."""

    name: str
    codes: tuple[str, ...]
    stix: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Trap:
    """A name that may be a state or something else, with the words that speak for either."""

    code: str
    for_state: tuple[str, ...]
    for_else: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What mentions are found by. `lexicon` holds every phrase of every kind; the rest says what they mean."""

    lexicon: Lexicon
    names: Mapping[str, str]
    """The English name of each state, by its code."""
    regions: Mapping[str, Region]
    traps: Mapping[str, Trap]
    """By the folded name."""
    cues: Lexicon
    """The words of the traps: the sense is the folded name, and "state" or "else"."""
    stances: Mapping[str, str]
    """In words, by stance, in the order in which they count."""
    only_quoted: frozenset[str]
    negations: frozenset[str]
    safeguards: Mapping[str, str]
    """The special category of each folded word for a religion or an ethnic group."""
    people: frozenset[str]
    top_domains: frozenset[str]
    not_domains: frozenset[str]
    version_words: frozenset[str]
    iban_lengths: Mapping[str, int]
    located: frozenset[str]
    """Words before a capital that is meant as a place."""
    particles: frozenset[str]
    """Words inside the name of a person that begin with a small letter."""
    no_names: frozenset[str]
    """Words with a capital that are no part of a name."""


def parse_tables(data: bytes) -> Tables:
    """The sections of one document of rules.

    Raises:
        MalformedRequest: not TOML, a section that is not known, or a value of another shape; with the place.
    """
    try:
        _, value = parse_toml(data)
    except MalformedTerms as error:
        raise MalformedRequest(f"rules for articles: {error.detail}", where=error.where) from error
    if not isinstance(value, dict):  # a document of TOML is a table
        raise MalformedRequest("rules for articles: not a table of sections")
    check_tables(value)
    return value


def check_tables(value: Mapping[str, Json]) -> None:
    """Return when that is a table of sections, each of the shape that it has.

    Raises:
        MalformedRequest: a section that is not known, or a value of another shape; with the place.
    """
    counted = 0
    for section, content in value.items():
        depth = _LEAVES.get(section)
        if depth is None:
            raise MalformedRequest(
                f"rules for articles have no section {section[:40]!r}; use {', '.join(_LEAVES)}",
                where=f"/{section[:40]}",
            )
        counted += _check_shape(content, depth, f"/{section}")
    if counted > _MAX_ENTRIES:
        raise MalformedRequest(f"rules for articles: {counted} texts where at most {_MAX_ENTRIES} are read")
    _check_meanings(value)


def join_tables(documents: Sequence[Tables]) -> Tables:
    """The sections of all documents as one; what a later one says of a key takes the place of what an earlier said."""
    joined, lists = _join(documents)
    return {**{section: list[Json](texts) for section, texts in lists.items()}, **joined}


def compile_rules(documents: Sequence[Tables], *, language: str = "en") -> Rules:
    """The rules of all documents, for articles in `language`, whose names of states count beside the English ones."""
    joined, lists = _join(documents)
    sections = _Sections(joined, lists)
    traps = _read_traps(sections)
    return Rules(
        lexicon=make_lexicon(_list_phrases(sections, language)),
        names=_read_names(sections, "en"),
        regions=_read_regions(sections),
        traps=traps,
        cues=make_lexicon(_list_cues(traps)),
        stances={one: sections.text("stances", one, "means") or one for one in lists.get("order", [])},
        only_quoted=frozenset(
            fold(text) for one in sections.keys("stances") for text in sections.texts("stances", one, "only_quoted")
        ),
        negations=frozenset(map(fold, lists.get("negations", []))),
        safeguards={
            fold(word): category
            for category in sections.keys("safeguards")
            for word in sections.texts("safeguards", category, "words")
        },
        people=frozenset(map(fold, sections.texts("people", "words"))),
        top_domains=_read_top_domains(sections),
        not_domains=frozenset(map(fold, sections.texts("domains", "not_domains"))),
        version_words=frozenset(map(fold, sections.texts("addresses", "version_words"))),
        located=frozenset(map(fold, sections.texts("places", "located"))),
        particles=frozenset(map(fold, sections.texts("names_of_people", "particles"))),
        no_names=frozenset(map(fold, sections.texts("names_of_people", "not"))),
        iban_lengths={code: _integer(length) for code, length in joined.get("iban", {}).items()},
    )


def _join(documents: Sequence[Tables]) -> tuple[dict[str, dict[str, Json]], dict[str, list[str]]]:
    """The sections that are tables, and those that are lists."""
    joined = dict[str, dict[str, Json]]()
    lists = dict[str, list[str]]()
    for document in documents:
        for section, content in document.items():
            if isinstance(content, list):
                lists[section] = _texts(content)
            elif isinstance(content, dict):
                _lay_over(joined.setdefault(section, {}), content, _LEAVES[section])
    return joined, lists


@dataclass(frozen=True, slots=True)
class _Sections:
    """The joined documents, read by the steps to a value; what is not there is empty."""

    tables: Mapping[str, Mapping[str, Json]]
    lists: Mapping[str, Sequence[str]]

    def keys(self, *steps: str) -> list[str]:
        found = self._at(steps)
        return list(found) if isinstance(found, dict) else []

    def texts(self, *steps: str) -> list[str]:
        return _texts(self._at(steps))

    def text(self, *steps: str) -> str | None:
        found = self._at(steps)
        return found if isinstance(found, str) else None

    def _at(self, steps: Sequence[str]) -> Json:
        found: Json = dict(self.tables.get(steps[0], {}))
        for step in steps[1:]:
            found = found.get(step) if isinstance(found, dict) else None
        return found


def _texts(value: Json) -> list[str]:
    if isinstance(value, str):
        return [value]
    return [one for one in value if isinstance(one, str)] if isinstance(value, list) else []


def _integer(value: Json) -> int:
    return value if isinstance(value, int) else 0


def _check_shape(value: Json, depth: int, where: str) -> int:
    """How many texts lie in a value of that depth."""
    if isinstance(value, dict) and depth > 0:
        return sum(_check_shape(item, depth - 1, f"{where}/{name[:40]}") for name, item in value.items())
    if isinstance(value, list):
        for index, item in enumerate(value):
            if not isinstance(item, str) or not 0 < len(item) <= _MAX_TEXT:
                raise MalformedRequest(
                    f"rules for articles: {where}/{index} is not a text of 1 to {_MAX_TEXT} characters",
                    where=f"{where}/{index}",
                )
        return len(value)
    if isinstance(value, str) and len(value) <= _MAX_TEXT * 3:
        return 1
    if isinstance(value, int) and where.startswith("/iban/"):
        return 1
    raise MalformedRequest(f"rules for articles: {where} is not of the shape that this section has", where=where)


def _check_meanings(value: Mapping[str, Json]) -> None:
    """What is wrong in a way that a person would not see in what is found: codes and categories."""
    for section in ("aliases", "traps", "iban"):
        content = value.get(section)
        for code in content if isinstance(content, dict) else ():
            _check_code(code, f"/{section}/{code[:40]}")
    for category in _keys(value, "safeguards"):
        if category not in SPECIAL_CATEGORIES:
            raise MalformedRequest(
                f"rules for articles: {category[:40]!r} is no special category; "
                f"use {', '.join(sorted(SPECIAL_CATEGORIES))}",
                where=f"/safeguards/{category[:40]}",
            )
    regions = value.get("regions")
    for name, region in regions.items() if isinstance(regions, dict) else ():
        codes = region.get("codes") if isinstance(region, dict) else None
        for code in codes.split() if isinstance(codes, str) else ():
            _check_code(code, f"/regions/{name[:40]}/codes")


def _keys(value: Mapping[str, Json], section: str) -> Iterator[str]:
    content = value.get(section)
    if isinstance(content, dict):
        yield from content


def _check_code(code: str, where: str) -> None:
    if len(code) != 2 or not code.isascii() or not code.isalpha() or not code.isupper():  # noqa: PLR2004 (alpha-2)
        raise MalformedRequest(
            f"rules for articles: {code[:40]!r} is not two capital letters (ISO 3166-1 alpha-2)", where=where
        )


def _lay_over(below: dict[str, Json], above: Mapping[str, Json], depth: int) -> None:
    """What `above` says, in the place of what `below` said of the same key."""
    for key, item in above.items():
        old = below.get(key)
        if depth > 1 and isinstance(item, dict) and isinstance(old, dict):
            below[key] = {**old, **item}
        else:
            below[key] = item


def _read_names(sections: _Sections, language: str) -> dict[str, str]:
    return {code: sections.text("names", language, code) or code for code in sections.keys("names", language)}


def _read_regions(sections: _Sections) -> dict[str, Region]:
    return {
        key: Region(
            name=(sections.texts("regions", key, "names") or [key])[0],
            codes=tuple((sections.text("regions", key, "codes") or "").split()),
            stix=sections.text("regions", key, "stix"),
        )
        for key in sections.keys("regions")
    }


def _read_traps(sections: _Sections) -> dict[str, Trap]:
    return {
        fold(sections.text("traps", code, "name") or code): Trap(
            code=code,
            for_state=tuple(sections.texts("traps", code, "state")),
            for_else=tuple(sections.texts("traps", code, "else")),
        )
        for code in sections.keys("traps")
    }


def _read_top_domains(sections: _Sections) -> frozenset[str]:
    top = set((sections.text("domains", "top") or "").split())
    codes = {code.lower() for code in sections.keys("names", "en")} | ({"uk"} if top else set())
    return frozenset(top | (codes - set((sections.text("domains", "not_top") or "").split())))


def _list_cues(traps: Mapping[str, Trap]) -> Iterator[Phrase | None]:
    for name, trap in traps.items():
        for text in trap.for_state:
            yield Phrase.of(text, Sense("cue", name, "state"))
        for text in trap.for_else:
            yield Phrase.of(text, Sense("cue", name, "else"))


def _list_phrases(sections: _Sections, language: str) -> Iterator[Phrase | None]:
    yield from _list_places(sections, language)
    for category in sections.keys("safeguards"):
        for text in sections.texts("safeguards", category, "words"):
            yield Phrase.of(text, Sense("safeguard", category), any_case=True)
    yield from _list_offices(sections)
    yield from _list_bodies(sections)
    for stance in sections.keys("stances"):
        for text in sections.texts("stances", stance, "phrases"):
            yield Phrase.of(text, Sense("stance", stance, fold(text)), any_case=True)
    for key in ("verbs", "weak", "quoting", "before"):
        for text in sections.texts("speech", key):
            yield Phrase.of(text, Sense("speech", "verb" if key == "verbs" else key), any_case=True)
    for text in sections.texts("speech", "documents"):
        for link in sections.texts("speech", "document_links"):
            yield Phrase.of(f"{text} {link}", Sense("speech", "document"), any_case=True)


def _list_places(sections: _Sections, language: str) -> Iterator[Phrase | None]:
    for tongue in dict.fromkeys(("en", language)):
        for code, name in _read_names(sections, tongue).items():
            yield Phrase.of(name, Sense("state", code, "name-of-state"))
    for code in sections.keys("aliases"):
        for text in sections.texts("aliases", code, "names"):
            yield Phrase.of(text, Sense("state", code, "name-of-state"))
        for text in sections.texts("aliases", code, "adjectives"):
            yield Phrase.of(text, Sense("adjective", code, "adjective"))
        for text in sections.texts("aliases", code, "capitals"):
            yield Phrase.of(text, Sense("capital", code, text))
    for text in sections.texts("not_states", "names"):
        yield Phrase.of(text, Sense("not-state", text))
    for key in sections.keys("regions"):
        for text in sections.texts("regions", key, "names"):
            yield Phrase.of(text, Sense("region", key, "frozen-list"))


def _list_offices(sections: _Sections) -> Iterator[Phrase | None]:
    for department in sections.keys("departments"):
        for word in sections.texts("departments", department):
            for form in (f"{word} minister", f"minister of {word}", f"minister for {word}", f"{word}s minister"):
                yield Phrase.of(form, Sense("office", f"{department} Minister", "before"), any_case=True)
    for key, rule in (("titles", "before"), ("behind", "behind"), ("with", "with"), ("past", "past")):
        for text in sections.texts("offices", key):
            kind = "office" if rule in ("before", "behind") else f"office-{rule}"
            yield Phrase.of(text, Sense(kind, _title(text), rule), any_case=True)
    for text in sections.texts("offices", "honorifics"):
        yield Phrase.of(text, Sense("honorific", text))
    for short in sections.keys("offices", "short"):
        whole = sections.text("offices", "short", short) or short
        yield Phrase.of(short, Sense("office", whole, "before"))


def _title(text: str) -> str:
    return " ".join(word if word in ("of", "the") else word[:1].upper() + word[1:] for word in text.split(" "))


def _list_bodies(sections: _Sections) -> Iterator[Phrase | None]:
    for department in sections.keys("departments"):
        for word in sections.texts("departments", department):
            for form in (f"{word} ministry", f"ministry of {word}", f"ministry for {word}"):
                yield Phrase.of(form, Sense("body", f"{department} Ministry", "department"), any_case=True)
            yield Phrase.of(
                f"department of {word}", Sense("body", f"{department} Department", "department"), any_case=True
            )
    for name in sections.keys("bodies", "named"):
        code, title = (*sections.texts("bodies", "named", name), name, name)[:2]
        yield Phrase.of(name, Sense("named-body", title, code))
    for text in sections.texts("bodies", "others", "names"):
        yield Phrase.of(text, Sense("body", _title(text), "other"), any_case=True)
    yield Phrase.of("ministry", Sense("body-again", "Ministry"), any_case=True)
