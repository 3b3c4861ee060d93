# SPDX-License-Identifier: Apache-2.0
"""YAML is taken as far as it is plain, and no further."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from comity.errors import MalformedScenario
from comity.scenario.document import MAX_BYTES, MAX_DEPTH, MAX_VALUES, read_document


def test_values_are_what_they_look_like() -> None:
    document = read_document(b"""
regions: [NO, ON, SY]
quoted: "7"
whole: 7
fraction: 0.5
yes: yes
flag: true
at: 2026-10-14T12:00:00Z
octal: 0123
clock: 12:30:00
folded: >
  two
  lines
""")
    assert document.value == {
        "regions": ["NO", "ON", "SY"],
        "quoted": "7",
        "whole": 7,
        "fraction": 0.5,
        "yes": "yes",
        "flag": True,
        "at": "2026-10-14T12:00:00Z",
        "octal": "0123",
        "clock": "12:30:00",
        "folded": "two lines\n",
    }


def test_every_value_has_its_line() -> None:
    document = read_document(b"a:\n  - b: 1\n    c: [x,\n      y]\n'd/e~f': 2\n")
    assert document.places == {
        "": 1,
        "/a": 1,
        "/a/0": 2,
        "/a/0/b": 2,
        "/a/0/c": 3,
        "/a/0/c/0": 3,
        "/a/0/c/1": 4,
        "/d~1e~0f": 5,
    }
    assert document.find_line("/a/0/c/1") == 4
    assert document.find_line("/a/0/filled/in") == 2
    assert document.find_line("/elsewhere") == 1


def test_a_table_takes_in_another_and_its_own_word_counts() -> None:
    document = read_document(b"a: &a {x: 1, y: 2}\nb: &b {y: 3, z: 4}\nc: {z: 5, <<: [*a, *b]}\nd: {<<: *a, y: 9}\n")
    assert document.value == {
        "a": {"x": 1, "y": 2},
        "b": {"y": 3, "z": 4},
        "c": {"x": 1, "y": 2, "z": 5},
        "d": {"x": 1, "y": 9},
    }
    assert document.places["/d/x"] == 1
    assert document.places["/d/y"] == 4


@pytest.mark.parametrize(
    ("text", "line", "problem"),
    [
        ("a: 1\nb: 2\na: 3\n", 3, "'a' stands in this table twice"),
        ("a: 1\nb: {c: 1, c: 2}\n", 2, "'c' stands in this table twice"),
        ("a:\nb: 2\n", 1, "nothing stands here"),
        ("a: 1\nb: ~\n", 2, "nothing stands here"),
        ("a: 1\nb: !!python/object/apply:os.system [ls]\n", 2, "the tag .* is not taken"),
        ("a: !!str 5\n", 1, "the tag .* is not taken"),
        ("a: !own {b: 1}\n", 1, "the tag .* is not taken"),
        ("a: 1\n? [b]\n: 2\n", 2, "a name must be a text"),
        ("a: &x [*x]\n", 1, "in themselves|not YAML"),
        ("a: 1\nb: {<<: 5}\n", 2, "<< takes in a table"),
        ("a: &a {b: 1, <<: *a}\n", 1, "in themselves|not YAML"),
        ("a: [1, 2\nb: 3\n", 2, "not YAML"),
        ("a: *nobody\n", 1, "not YAML: found undefined alias"),
        ("a: 1\n---\nb: 2\n", 2, "not YAML"),
        ("a: 1\n\tb: 2\n", 2, "not YAML"),
        ("a: 1\n" + "b: " + "[" * (MAX_DEPTH + 1), 2, "deep"),
    ],
)
def test_what_is_wrong_is_refused_with_its_line(text: str, line: int, problem: str) -> None:
    with pytest.raises(MalformedScenario, match=problem) as refused:
        read_document(text.encode())
    assert refused.value.where == f"line {line}"
    assert refused.value.detail.startswith(f"line {line}: ")


def test_a_file_that_is_no_text_or_empty_is_refused() -> None:
    with pytest.raises(MalformedScenario, match="line 2: not UTF-8"):
        read_document(b"a: 1\nb: \xff\n")
    with pytest.raises(MalformedScenario, match="the file is empty"):
        read_document(b"# nothing\n")
    with pytest.raises(MalformedScenario, match="not YAML"):
        read_document(b"a: \x07\n")
    with pytest.raises(MalformedScenario, match=f"at most {MAX_BYTES} are taken"):
        read_document(b"a" * (MAX_BYTES + 1))


@pytest.mark.parametrize(
    "bomb",
    [
        "\n".join(
            [
                "a0: &a0 [x, x, x, x, x, x, x, x, x]",
                *(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 9)),
            ]
        ),
        "\n".join(
            [
                "a0: &a0 {k: x}",
                *(f"a{n}: &a{n} {{p: *a{n - 1}, q: *a{n - 1}}}" for n in range(1, 14)),
                *(f"b{n}: *a13" for n in range(9)),
            ]
        ),
        "a: &a {" + ", ".join(f"k{n}: 1" for n in range(2_000)) + "}\nb: [" + ", ".join(["{<<: *a}"] * 2_000) + "]",
        "a: &a {k: 1}\nb: {<<: [" + ", ".join(["*a"] * (MAX_VALUES + 1)) + "]}",
        "a: &a {" + ", ".join(f"k{n}: 1" for n in range(2_000)) + "}\nb: {<<: [" + ", ".join(["*a"] * 20_000) + "]}",
        "[" * 200_000,
        "{a: " * 60_000,
        "- " * 100_000,
        "? " * 100_000,
        "a: [" + ", ".join(["1"] * (MAX_VALUES + 1)) + "]",
    ],
    ids=[
        "lists",
        "tables",
        "merges",
        "merge-list",
        "merge-wide",
        "deep",
        "deep-tables",
        "deep-lists",
        "deep-keys",
        "long",
    ],
)
def test_a_bomb_is_refused_before_it_goes_off(bomb: str) -> None:
    began = time.process_time()
    with pytest.raises(MalformedScenario, match=r"deep|values|bytes"):
        read_document(bomb.encode())
    assert time.process_time() - began < 15


@given(st.binary(max_size=200) | st.text("ab:-[]{}&*<! \n\"'?|>#%@", max_size=60).map(str.encode))
def test_any_bytes_are_a_document_or_malformed(data: bytes) -> None:
    try:
        document = read_document(data)
    except MalformedScenario:
        return
    assert all(line >= 1 for line in document.places.values())
