# SPDX-License-Identifier: Apache-2.0
"""The corpus of articles that people annotated by hand: each article, what it mentions, and how a reading compares.

An annotation names what it marks by its words, in the order of the text: "Aurelian | XA". `corpus/README.md` says how.
"""

import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from comity.ids import Instant, parse_instant
from comity.intake.article.gazetteer import Gazetteer, parse_gazetteer
from comity.intake.article.html import parse_html
from comity.intake.article.mentions import Kind
from comity.intake.article.pdf import parse_pdf
from comity.intake.article.reading import Reading, read_article
from comity.intake.article.rules import Rules, Tables, compile_rules, parse_tables
from comity.intake.article.text import Article, Source, Span, parse_plain
from tests.intake.pdfs import make_pdf

__all__ = ["CORPUS", "PARTS", "Marked", "Score", "load", "read_gazetteer", "read_rules", "score"]

CORPUS = Path(__file__).parent / "corpus"
TABLES = Path(__file__).parents[2] / "src" / "comity" / "intake" / "article" / "tables"
RETRIEVED: Instant = parse_instant("2032-01-01T00:00:00Z")

_FIELDS = {
    "states": Kind.STATE,
    "capitals": Kind.CAPITAL,
    "regions": Kind.REGION,
    "organisations": Kind.ORGANISATION,
    "persons": Kind.PERSON,
    "bodies": Kind.BODY,
    "dates": Kind.DATE,
    "observables": Kind.OBSERVABLE,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """What a person marked: its words, where they stand (None where a reader lost them), and what they are."""

    words: str
    span: Span | None
    value: str
    facts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Marked:
    """An article of the corpus with its annotation."""

    name: str
    article: Article
    head: Mapping[str, str]
    marks: Mapping[str, Sequence[Mark]]


@dataclass(slots=True)
class Score:
    """Of one kind: what was marked, what was found, and how much of both is the same."""

    marked: int = 0
    found: int = 0
    right: int = 0

    def add(self, other: "Score") -> None:
        self.marked += other.marked
        self.found += other.found
        self.right += other.right

    @property
    def precision(self) -> float | None:
        """Of what was found, how much is right; None where nothing was found."""
        return self.right / self.found if self.found else None

    @property
    def recall(self) -> float | None:
        """Of what was marked, how much was found; None where nothing was marked."""
        return self.right / self.marked if self.marked else None


@cache
def read_tables() -> tuple[Tables, ...]:
    """The rules that come with the program, and the fictional states."""
    files = [*sorted(TABLES.glob("*.toml")), CORPUS / "fictional.toml"]
    return tuple(parse_tables(file.read_bytes()) for file in files)


@cache
def read_rules() -> Rules:
    """The rules for the corpus."""
    return compile_rules(read_tables())


@cache
def read_gazetteer() -> Gazetteer:
    """The fictional organisations."""
    return parse_gazetteer((CORPUS / "gazetteer.toml").read_bytes(), rules=read_rules())


PARTS = ("first", "second", "third")


def load(part: str) -> list[Marked]:
    """The articles of one part, in the order of their names."""
    return [_load_one(path) for path in sorted((CORPUS / part).iterdir()) if not path.name.endswith(".marks.toml")]


def _load_one(path: Path) -> Marked:
    source = Source(retrieved_at=RETRIEVED)
    data = path.read_bytes()
    if path.name.endswith(".pdf.txt"):
        article = parse_pdf(make_pdf(data.decode()), source=source)
    elif path.suffix == ".html":
        article = parse_html(data, source=source)
    else:
        article = parse_plain(data, source=source)
    stem = path.name.split(".", maxsplit=1)[0]
    marks = tomllib.loads((path.parent / f"{stem}.marks.toml").read_text(encoding="utf-8"))
    head = {name: marks[name] for name in ("title", "published", "publisher", "url", "caption")}
    return Marked(
        name=path.name,
        article=article,
        head=head,
        marks={
            name: _locate(article, name, marks[name], strict=path.suffix == ".txt" and ".pdf" not in path.name)
            for name in marks
            if name not in head
        },
    )


def _locate(article: Article, name: str, listed: Sequence[str], *, strict: bool) -> list[Mark]:
    found, at = list[Mark](), 0
    for line in listed:
        parts = [part.strip() for part in line.split("|")]
        words, value, facts = _split_mark(name, parts)
        pattern = re.compile(r"\s+".join(map(re.escape, words.split())))
        match = pattern.search(article.text, 0 if name == "statements" else at)
        if match is None and strict:
            raise AssertionError(f"{name}: {words!r} does not stand in the text after place {at}")
        if match is not None:
            at = match.end()
        found.append(Mark(words=words, span=Span(*match.span()) if match else None, value=value, facts=facts))
    return found


def _split_mark(name: str, parts: Sequence[str]) -> tuple[str, str, tuple[str, ...]]:
    match name:
        case "statements":
            stance, speaker, words = parts
            return words, f"{stance}: {speaker}", (stance,)
        case "observables":
            kind, value, words = parts
            return words, value, (kind,)
        case "bodies":
            words, title, state = parts
            return words, f"{title} of {state}" if state else title, ()
        case _:
            return parts[0], parts[1], tuple(parts[2:])


def score(marked: Marked, reading: Reading) -> dict[str, Score]:
    """How a reading compares with the marks, by kind."""
    scores = dict[str, Score]()
    head = reading.article.published_at
    for name, kind in _FIELDS.items():
        marks = marked.marks[name]
        if kind is Kind.DATE:
            marks = [mark for mark in marks if not _is_head(marked.article, mark, head)]
        found = [mention for mention in reading.mentions if mention.kind is kind]
        pairs = _pair(
            [(mark.span, _value(name, mark.value)) for mark in marks],
            [(Span(one.start, one.end), one.value) for one in found],
        )
        scores[name] = Score(len(marks), len(found), len(pairs))
        if name == "capitals":
            uses = [marks[left].facts[0] in found[right].rule for left, right in pairs]
            scores["capitals: use"] = Score(len(pairs), len(pairs), sum(uses))
        if name == "persons":
            scores |= _score_offices(marks, found, pairs, reading)
    return scores | _score_statements(marked, reading)


def _is_head(article: Article, mark: Mark, head: Span | None) -> bool:
    """The day of publication in the head is no part that is read for mentions: it is held against the head."""
    if mark.value != article.published:
        return False
    return mark.span is None or not any(part.start <= mark.span.start < part.end for part in article.list_parts())


def _value(name: str, value: str) -> str:
    return f"national:{value}" if name == "organisations" else value


def _pair(left: Sequence[tuple[Span | None, str]], right: Sequence[tuple[Span, str]]) -> list[tuple[int, int]]:
    """Which mark is which mention: the same value, and places that lie over one another; each once."""
    pairs, used = list[tuple[int, int]](), set[int]()
    for number, (span, value) in enumerate(left):
        if span is None:
            continue
        for other, (place, said) in enumerate(right):
            if other not in used and said == value and place.start < span.end and span.start < place.end:
                pairs.append((number, other))
                used.add(other)
                break
    return pairs


def _score_offices(
    marks: Sequence[Mark], found: Sequence[Any], pairs: Sequence[tuple[int, int]], reading: Reading
) -> dict[str, Score]:
    """Of the persons found, whether office and state are what was marked."""
    persons = {person.name: person for person in reading.persons}
    office, state = Score(), Score()
    for left, right in pairs:
        person, (said, where) = persons[found[right].value], marks[left].facts[:2]
        right_office = bool(person.office) and person.office.casefold() in said.casefold()
        office.add(Score(int(bool(said)), int(bool(person.office)), int(right_office)))
        state.add(Score(int(bool(where)), int(bool(person.state)), int(bool(where) and person.state == where)))
    return {"persons: office": office, "persons: state": state}


def _score_statements(marked: Marked, reading: Reading) -> dict[str, Score]:
    names = {entry.id: entry.name for entry in read_gazetteer().known.values()}
    marks = marked.marks["statements"]
    said = [
        (Span(one.start, one.end), one.stance, names.get(one.speaker or "", one.speaker or ""))
        for one in reading.statements
    ]
    stances = _pair([(mark.span, mark.facts[0]) for mark in marks], [(span, stance) for span, stance, _ in said])
    whole = _pair(
        [(mark.span, mark.value) for mark in marks], [(span, f"{stance}: {who}") for span, stance, who in said]
    )
    return {
        "statements": Score(len(marks), len(said), len(whole)),
        "statements: stance": Score(len(marks), len(said), len(stances)),
    }


def read_all(part: str) -> list[tuple[Marked, Reading]]:
    """The articles of one part, read."""
    return [(one, read_article(one.article, read_rules(), read_gazetteer())) for one in load(part)]
