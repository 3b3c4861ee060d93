# SPDX-License-Identifier: Apache-2.0
"""Rules as people write them: what is checked, what lies over what, and the tables that come with the program."""

import subprocess
import sys
from pathlib import Path

import pytest

from comity.articles import read_tables
from comity.errors import MalformedRequest
from comity.intake.article.gazetteer import EMPTY
from comity.intake.article.mentions import Kind
from comity.intake.article.reading import read_article
from comity.intake.article.rules import compile_rules, parse_tables
from comity.intake.article.text import Source, parse_plain
from comity.vocabulary import REGIONS, SPECIAL_CATEGORIES

ROOT = Path(__file__).parents[4]
BUILT_IN = compile_rules(read_tables())
USER_ASSIGNED = {"XK"}


def find_states(text: str, *own: bytes, language: str = "en") -> list[str]:
    rules = compile_rules([*read_tables(), *map(parse_tables, own)], language=language)
    article = parse_plain(f"A title\n\n{text}\n".encode(), source=Source(retrieved_at=0, language=language))  # type: ignore[arg-type]
    return [one.value for one in read_article(article, rules, EMPTY).mentions if one.kind is Kind.STATE]


def test_the_table_of_states_is_what_the_script_writes() -> None:
    done = subprocess.run(
        [sys.executable, "scripts/places", "--check"], cwd=ROOT, env={"PYTHONPATH": "src"}, check=False, timeout=120
    )
    assert done.returncode == 0, "run scripts/places"


def test_every_state_has_a_name() -> None:
    assert len(BUILT_IN.names) > 240
    assert set(BUILT_IN.names) <= REGIONS | USER_ASSIGNED


def test_every_code_of_a_region_is_a_state() -> None:
    for key, region in BUILT_IN.regions.items():
        assert region.codes, key
        assert set(region.codes) <= set(BUILT_IN.names), key
        assert len(set(region.codes)) == len(region.codes), key


def test_the_safeguards_are_special_categories() -> None:
    assert set(BUILT_IN.safeguards.values()) <= SPECIAL_CATEGORIES
    assert BUILT_IN.safeguards["muslims"] == "religious_or_philosophical_beliefs"


def test_no_word_for_a_faith_or_a_people_is_a_rule_that_finds_something() -> None:
    """The safeguards only ever refuse and warn; neither an office nor an alias may be made of them."""
    for word in BUILT_IN.safeguards:
        entry = BUILT_IN.lexicon.get(word)
        alone = entry.alone if entry is not None else ()
        assert {phrase.sense.kind for phrase in alone} <= {"safeguard"}, word


def test_a_party_adds_a_state_and_corrects_a_capital() -> None:
    own = b'[names.en]\nXA = "Aurelia"\n[aliases.XA]\nadjectives = ["Aurelian"]\n'
    assert find_states("An Aurelian in Norway, far from Aurelia.") == ["NO"]
    assert find_states("An Aurelian in Norway, far from Aurelia.", own) == ["XA", "NO", "XA"]


def test_names_in_another_language_count_only_in_that_language() -> None:
    assert find_states("Die Reise nach Island und Norwegen.") == []
    assert find_states("Die Reise nach Island und Norwegen.", language="de") == ["IS", "NO"]
    assert find_states("An island in Norway.", language="de") == ["NO"]
    assert find_states("Это было в Норвегия.", language="ru") == ["NO"]


@pytest.mark.parametrize(
    ("document", "where"),
    [
        (b"names = ", "line 1"),
        (b"\xff", "line 1"),
        (b"[places_of_worship]\na = 1", "/places_of_worship"),
        (b"[names.en]\nRU = 7", "/names/en/RU"),
        (b"[names.en]\nRU = { a = 1 }", "/names/en/RU"),
        (b'[aliases.Russia]\nnames = ["R"]', "/aliases/Russia"),
        (b'[aliases.RU]\nnames = [""]', "/aliases/RU/names/0"),
        (b'[regions.here]\nnames = ["Here"]\ncodes = "RU xx"', "/regions/here/codes"),
        (b'[safeguards.shoe_size]\nwords = ["big"]', "/safeguards/shoe_size"),
        (b'order = ["says", 1]', "/order/1"),
    ],
)
def test_what_is_no_document_of_rules_says_where(document: bytes, where: str) -> None:
    with pytest.raises(MalformedRequest) as refused:
        parse_tables(document)
    assert refused.value.where == where
