# SPDX-License-Identifier: Apache-2.0
"""Patterns of indicators: which are parsed, which need no parser, and where one does not parse."""

import time

import pytest

from comity.canonical import Json
from comity.stix.grammar import MAX_NESTING, MAX_PATTERN, find_pattern_problem
from comity.stix.patterns import find_language, find_unsettled, is_certain
from tests.processor import measure_least, measure_million

CERTAIN = [
    "[ipv4-addr:value = '198.51.100.3']",
    "[url:value='https://depot.example/a?b=c']",
    "[ file:hashes.'SHA-256' = 'aec070645fe53ee3b3763059376134f058cc337247c978add178b6ccdfb0019f' ]",
    "[file:hashes.MD5 = 'd41d8cd98f00b204e9800998ecf8427e' AND file:name = 'it\\'s']",
    "[domain-name:value = 'a.example' OR domain-name:value = 'b.example']",
    "[network-traffic:dst_port = 443 AND network-traffic:dst_ref.value != '198.51.100.3']",
    "[email-message:subject LIKE '%toll%']",
    "[file:name MATCHES '^a\\\\.b$']",
    "[windows-registry-key:'key' = '\\\\HKLM']",
]
LEFT_TO_THE_PARSER = [
    "[a:b = 1] WITHIN 5 SECONDS",
    "[a:b = 1] FOLLOWEDBY [a:c = 2]",
    "[a:b IN ('x', 'y')]",
    "[a:b > 1.5 AND (a:c = h'00' OR a:d NOT = true)]",
    "[file:sections[*].entropy > 7]",
    "[a:b = 1] START t'2026-01-01T00:00:00Z' STOP t'2026-02-01T00:00:00Z'",
    "/* why */ [a:b = 'é']",
]
BAD = {
    "": (1, 1, "observationExpression"),
    "ipv4-addr:value = '198.51.100.3'": (1, 1, "observationExpression"),
    "[ipv4-addr:value = 198.51.100.3]": (1, 26, "observationExpression"),
    "[ipv4-addr:value = '198.51.100.3'": (1, 34, "observationExpression"),
    "[a:b = 'x']\nAND OR [a:b = 'y']": (2, 5, "observationExpression"),
    "[a:true = 'x']": (1, 4, "propTest"),
    "[a:b = 1 and a:c = 2]": (1, 10, "observationExpression"),
    "[3a:b = 1]": (1, 2, "propTest"),
    "[a:b = t'2026-13-45T00:00:00Z']": (1, 8, "primitiveLiteral"),
    "[a:b = 007]": (1, 9, "observationExpression"),
    "[a:b = 1] WITHIN 5 SECONDS WITHIN 6 SECONDS": (1, 44, "observationExpression"),
    "[a:b = 'x'": (1, 11, "observationExpression"),
    "[a:b = 'x' # OR a:c = 1]": (1, 12, "observationExpression"),
}


def indicator(pattern: str, **more: Json) -> dict[str, Json]:
    return {"type": "indicator", "pattern_type": "stix", "pattern": pattern, **more}


@pytest.mark.parametrize("pattern", CERTAIN)
def test_what_is_of_the_usual_form_needs_no_parser_and_parses(pattern: str) -> None:
    assert is_certain(pattern)
    assert find_pattern_problem(pattern) is None
    assert find_unsettled(indicator(pattern)) is None


@pytest.mark.parametrize("pattern", LEFT_TO_THE_PARSER)
def test_what_is_of_another_form_is_left_to_the_parser(pattern: str) -> None:
    assert find_unsettled(indicator(pattern)) == pattern
    assert find_pattern_problem(pattern) is None


@pytest.mark.parametrize("pattern", BAD)
def test_what_does_not_parse_is_told_with_its_place_and_the_rule_of_the_grammar(pattern: str) -> None:
    assert find_unsettled(indicator(pattern)) == pattern
    problem = find_pattern_problem(pattern)
    assert problem is not None
    assert (problem.line, problem.column, problem.rule) == BAD[pattern]
    assert str(problem).startswith(f"line {problem.line}, column {problem.column}, in {problem.rule}: ")


def test_no_message_repeats_what_the_pattern_says() -> None:
    for pattern in ("[a:b = SECRETWORD]", "SECRETWORD", "[a:b = 'x'] SECRETWORD", "[a:b = 'x' SECRETWORD 1]"):
        assert "SECRETWORD" not in str(find_pattern_problem(pattern))


def test_other_languages_are_not_parsed_and_named() -> None:
    assert find_language(indicator("[a:b = 1]")) is None
    assert find_language(indicator("[a:b = 1]", pattern_version="2.1")) is None
    assert find_language(indicator("[a:b = 1]", pattern_version="2.0")) == "stix 2.0"
    sigma = indicator("title: x") | {"pattern_type": "sigma"}
    assert find_language(sigma) == "sigma"
    assert find_unsettled(sigma) is None
    assert find_unsettled(indicator("not a pattern", pattern_version="2.0")) is None


def test_only_indicators_hold_patterns() -> None:
    assert find_unsettled(indicator("nonsense") | {"type": "x-rule"}) is None
    assert find_unsettled({"type": "indicator", "pattern_type": "stix"}) is None


@pytest.mark.parametrize(
    "hostile",
    [
        "(" * 10_000,
        "[" + "(" * 10_000,
        "(" * 30_000 + "[a:b = 1]" + ")" * 30_000,
        "[" + "(" * 30_000 + "a:b = 1" + ")" * 30_000 + "]",
        "/* ' */" + "(" * 2_000 + "/* ' */",
        "/* ' */[" + "(" * 2_000 + "/* ' */",
        "]" * MAX_PATTERN,
        "'" * MAX_PATTERN,
        "\0" * MAX_PATTERN,
        "[a:b" + ".c" * 5_000,
        "[a:b" + "[1]" * 3_000 + " = ",
        "[a:b = '" + "\\" * 20_001,
        "[" + "a-" * 20_000,
        "/*" * 20_000,
        "[a:b = 1]" + " REPEATS 2 TIMES" * 3_000,
        "x" * (MAX_PATTERN + 1),
    ],
)
def test_hostile_patterns_are_refused_in_bounded_time_and_depth(hostile: str) -> None:
    assert find_unsettled(indicator(hostile)) == hostile
    assert measure_least(lambda: find_unsettled(indicator(hostile))) < 0.1
    started = time.process_time()
    assert find_pattern_problem(hostile) is not None
    assert time.process_time() - started < 5


@pytest.mark.slow
def test_the_longest_patterns_parse_in_bounded_time() -> None:
    for unit, joint in (("a:b=1", " OR "), ("(" * 60 + "a:b=1" + ")" * 60, " AND ")):
        count = (MAX_PATTERN - 2 + len(joint)) // (len(unit) + len(joint))
        started = time.process_time()
        assert find_pattern_problem("[" + joint.join([unit] * count) + "]") is None
        assert time.process_time() - started < max(8, 60 * measure_million())


def test_length_is_bounded_before_anything_is_parsed() -> None:
    fitting = "[a:b = 1] WITHIN 5 SECONDS".ljust(MAX_PATTERN)
    assert find_pattern_problem(fitting) is None
    problem = find_pattern_problem(fitting + " ")
    assert problem is not None
    assert "longer than" in problem.detail


def test_brackets_are_bounded_where_they_are_brackets() -> None:
    def nest(depth: int) -> str:
        return "(" * depth + "[a:b = 1]" + ")" * depth

    assert find_pattern_problem(nest(MAX_NESTING - 1)) is None
    problem = find_pattern_problem(nest(MAX_NESTING))
    assert problem is not None
    assert "nested deeper" in problem.detail
    assert find_pattern_problem(f"[a:b = '{'(' * 1_000}'] WITHIN 5 SECONDS") is None
