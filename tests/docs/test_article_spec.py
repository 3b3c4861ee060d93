# SPDX-License-Identifier: Apache-2.0
"""docs/spec/article-drafts.md says what the code reads."""

import re
import tomllib
from pathlib import Path

from comity.articles import read_tables
from comity.intake.article import rules
from comity.intake.article.mentions import Kind
from comity.intake.article.observables import find_observables
from comity.intake.article.reading import read_article
from comity.intake.article.rules import compile_rules
from tests.intake.annotated import PARTS, read_all, read_gazetteer

TEXT = (Path(__file__).parents[2] / "docs" / "spec" / "article-drafts.md").read_text(encoding="utf-8")


def read_cells(heading: str, column: int) -> set[str]:
    """The words in code in one column of the table below a heading."""
    _, _, below = TEXT.partition(f"## {heading}\n")
    section = below.partition("\n## ")[0]
    rows = [line.split("|") for line in section.splitlines() if line.startswith("| ")][2:]
    return {word for row in rows for word in re.findall(r"`([^`]+)`", row[column])}


def test_every_kind_of_mention_is_there() -> None:
    assert read_cells("Mentions", 1) == {kind.value for kind in Kind}


def test_every_rule_that_finds_something_in_the_corpus_is_there() -> None:
    named = read_cells("Mentions", 3)
    found = {
        mention.rule
        for part in PARTS
        for _, reading in read_all(part)
        for mention in reading.mentions
        if mention.kind is not Kind.STATEMENT
    }
    assert found <= named
    assert len(found) > 30


def test_every_section_of_rules_is_there() -> None:
    assert read_cells("Rules", 1) == set(rules._LEAVES)


def test_every_stance_is_there() -> None:
    stances = compile_rules(read_tables()).stances
    _, _, below = TEXT.partition("Stances: ")
    named = re.findall(r"`([a-z-]+)`", below.partition("\n\n")[0])
    assert named == list(stances)


def test_the_gazetteer_in_it_is_one() -> None:
    _, _, below = TEXT.partition("## Gazetteer\n")
    (entry,) = tomllib.loads(below.partition("```toml\n")[2].partition("```")[0])["known"]
    known = read_gazetteer().known[entry["id"]]
    assert (entry["name"], entry["kind"], entry["good"], entry["low"]) == (
        known.name,
        known.kind,
        list(known.good),
        list(known.low),
    )


def test_it_names_what_is_there() -> None:
    assert callable(find_observables)
    assert callable(read_article)
