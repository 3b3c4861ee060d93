# SPDX-License-Identifier: Apache-2.0
"""Rule sets: what they may ask and say, what they read of an object, and what they say of it."""

import pytest

from comity.agreement.recognition import Refusal
from comity.canonical import Json
from comity.classification.rules import RuleSet, convert_rules, find_said_by, parse_rules, read_facts
from comity.errors import MalformedTerms

HEAD = 'format = "comity-rules/1"\nname = "r"\n'


def make(when: str, say: str = 'regions = ["IQ"]') -> RuleSet:
    text = f'{HEAD}[[rules]]\nid = "a"\nwhy = "w"\n[rules.when]\n{when}\n[rules.say]\n{say}\n'
    rules = convert_rules(text.encode())
    assert isinstance(rules, RuleSet), rules
    return rules


def meets(when: str, value: dict[str, Json], names: dict[str, dict[str, frozenset[str]]] | None = None) -> bool:
    return bool(find_said_by(make(when), read_facts(value), names=names or {}))


INDICATOR: dict[str, Json] = {
    "type": "indicator",
    "name": "Relay  198.51.100.2 of the HARBOUR",
    "pattern": "[ipv4-addr:value = '198.51.100.2']",
    "labels": ["Watch-List"],
    "external_references": [{"source_name": "desk", "external_id": "AC-1"}, {"source_name": "x"}],
}


@pytest.mark.parametrize(
    "when",
    [
        'types = ["indicator", "report"]',
        'names = ["relay 198.51.100.2 OF the harbour"]',
        'name_words = ["harbour"]',
        'name_parts = ["98.51"]',
        'pattern_parts = ["198.51.100."]',
        'labels = ["watch-list"]',
        'external_ids = ["desk:AC-1"]',
        'types = ["indicator"]\nlabels = ["other", "watch-list"]',
    ],
)
def test_conditions_that_hold(when: str) -> None:
    assert meets(when, INDICATOR)


@pytest.mark.parametrize(
    "when",
    [
        'types = ["report"]',
        'names = ["relay"]',
        'name_words = ["harb"]',
        'name_parts = ["203.0"]',
        'pattern_parts = ["203.0.113."]',
        'labels = ["watch"]',
        'external_ids = ["desk:AC-2"]',
        'types = ["indicator"]\nlabels = ["other"]',
        'subjects = ["national:a"]',
    ],
)
def test_conditions_that_do_not(when: str) -> None:
    assert not meets(when, INDICATOR)


def test_the_file_that_it_came_from_counts_by_its_name() -> None:
    facts = read_facts(INDICATOR, files=["Harbour.CSV"])
    assert find_said_by(make('files = ["harbour.csv"]'), facts, names={})
    assert not find_said_by(make('files = ["other.csv"]'), facts, names={})
    assert not meets('files = ["harbour.csv"]', INDICATOR)


@pytest.mark.parametrize("value", [{}, {"type": "report", "name": 7, "labels": "x", "pattern": [], "aliases": [3]}])
def test_any_object_can_be_held_against_them(value: dict[str, Json]) -> None:
    assert not meets('name_words = ["harbour"]', value)


def test_the_first_rule_that_says_a_word_is_named() -> None:
    rule = '[[rules]]\nid = "{}"\nwhy = "{}"\n[rules.when]\ntypes = ["report"]\n[rules.say]\nregions = ["IQ", "{}"]\n'
    rules = convert_rules((HEAD + rule.format("a", "one", "SY") + rule.format("b", "two", "JO")).encode())
    assert isinstance(rules, RuleSet)
    said = find_said_by(rules, read_facts({"type": "report"}), names={})
    assert said == {("regions", "IQ"): "a: one", ("regions", "SY"): "a: one", ("regions", "JO"): "b: two"}


def test_a_set_is_named_by_what_it_says_and_read_again_the_same() -> None:
    one = make('types = ["report"]')
    assert parse_rules(one.text) == one
    assert make('# a comment\ntypes = [ "report" ]') == one
    assert make('types = ["note"]').digest != one.digest


@pytest.mark.parametrize(
    ("when", "say", "match"),
    [
        ("", 'regions = ["IQ"]', "must ask for something"),
        ('types = ["report"]', "", "must say something"),
        ('types = ["report"]', 'regions = ["Iraq"]', "ISO 3166"),
        ('types = ["report"]', 'score = ["9"]', "score"),
        ('types = ["report"]', 'evaluation = ["9"]', "no evaluation"),
        ('name_parts = ["ab"]', 'regions = ["IQ"]', "too short"),
        ('colour = ["red"]', 'regions = ["IQ"]', "colour"),
        ('subjects = ["nobody"]', 'regions = ["IQ"]', "scheme:id"),
        ("types = 7", 'regions = ["IQ"]', "types"),
    ],
)
def test_what_is_not_of_its_form_is_told_with_its_place(when: str, say: str, match: str) -> None:
    with pytest.raises(MalformedTerms, match=match):
        make(when, say)


@pytest.mark.parametrize("text", [b"", b"\xff", b"name = 1", b'format = "comity-rules/2"', HEAD.encode()])
def test_what_is_no_rule_set_is_told(text: bytes) -> None:
    with pytest.raises(MalformedTerms):
        convert_rules(text)


def test_rules_may_say_that_data_is_special_which_keeps_it_back() -> None:
    rules = convert_rules(
        f'{HEAD}[[rules]]\nid = "a"\nwhy = "w"\n[rules.when]\nlabels = ["medical"]\n[rules.say]\n'
        'special_categories = ["health"]\n'.encode()
    )
    assert not isinstance(rules, Refusal)
