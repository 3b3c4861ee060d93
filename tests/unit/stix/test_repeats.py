# SPDX-License-Identifier: Apache-2.0
"""A text that is marked in one property is found wherever else in the object it stands, and nothing else is."""

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from comity.canonical import Json
from comity.stix.repeats import find_places
from tests.processor import measure_least

NAME = "Karim Holt"


@pytest.mark.parametrize(
    "said",
    [
        "seen with Karim Holt in May",
        "KARIM HOLT",
        "Karim\n\tHolt",
        "karim\N{NO-BREAK SPACE}holt",
        "\N{FULLWIDTH LATIN CAPITAL LETTER K}arim Holt",
        "the karim holts of this world",
        ["other", "karim holt"],
        {"deep": [{"deeper": "(Karim Holt)"}]},
        {"karim holt": 1},
    ],
)
def test_a_name_is_found_however_it_is_written_and_wherever_it_lies(said: Json) -> None:
    assert find_places({"aliases": [NAME], "x_other": said}, ["aliases.[0]"]) == frozenset({"x_other"})


@pytest.mark.parametrize("said", ["Karim and Holt", "Karimholt", "", [], 7, None, {"karim": "holt"}])
def test_what_is_not_the_text_is_not_found(said: Json) -> None:
    assert find_places({"aliases": [NAME], "x_other": said}, ["aliases.[0]"]) == frozenset()


@pytest.mark.parametrize(
    ("said", "found"),
    [("KH", True), ("by kh.", True), ("report_kh.pdf", True), ("khaki", False), ("okh", False), ("k h", False)],
)
def test_a_short_text_is_found_where_it_stands_by_itself(said: str, *, found: bool) -> None:
    assert find_places({"aliases": ["KH"], "name": said}, ["aliases.[0]"]) == ({"name"} if found else frozenset())


def test_an_address_in_a_longer_one_is_found() -> None:
    value: dict[str, Json] = {
        "external_references": [{"source_name": "a", "url": "https://drop.example/x"}, {"source_name": "elsewhere"}],
        "pattern": "[url:value = 'https://drop.example/x?id=7']",
        "description": "elsewhere",
    }
    assert find_places(value, ["external_references.[0].url"]) == frozenset({"pattern"})
    assert find_places(value, ["external_references"]) == frozenset({"pattern", "description"})


def test_what_everybody_sees_of_an_object_says_nothing_of_what_is_marked() -> None:
    value: dict[str, Json] = {
        "type": "report",
        "created": "2025-01-01T00:00:00Z",
        "modified": "2025-01-01T00:00:00Z",
        "labels": ["report"],
        "x_seen": "2025-01-01T00:00:00Z",
        "granular_markings": [{"selectors": ["labels"]}],
    }
    assert find_places(value, ["labels", "x_seen"]) == frozenset()


@given(st.text(min_size=1, max_size=3), st.text(max_size=12))
def test_short_texts_are_found_exactly_between_what_is_no_letter_or_digit(text: str, around: str) -> None:
    folded = find_places({"a": text, "b": f"{around} {text} {around}"}, ["a"])
    assert folded == ({"b"} if text.strip() else frozenset()) or not text.strip(string.whitespace)


@pytest.mark.parametrize("size", [4_000, 40_000, 400_000])
@pytest.mark.parametrize("length", [5, 20, 98, 99])
def test_what_was_made_to_be_dear_is_given_up_or_cheap(size: int, length: int) -> None:
    half = length // 2
    texts: list[Json] = ["a" * half + chr(0x4E00 + n) + "a" * (length - half - 1) for n in range(size // length // 2)]
    value: dict[str, Json] = {"labels": texts, "description": "a" * (size // 2)}
    assert find_places(value, ["labels"]) in (None, frozenset())
    assert measure_least(lambda: find_places(value, ["labels"])) < 0.5


def test_more_texts_than_can_be_looked_for_may_stand_anywhere() -> None:
    texts: list[Json] = [f"text {number}" for number in range(257)]
    assert find_places({"labels": texts, "description": "x"}, ["labels"]) is None
    assert find_places({"labels": texts[1:], "description": "x"}, ["labels"]) == frozenset()
