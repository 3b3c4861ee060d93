# SPDX-License-Identifier: Apache-2.0
"""What is read in steps is what is read at once: the same values, the same elements, and refused where that is."""

import json
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from itertools import count
from typing import TypeVar

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from comity import gradual
from comity.canonical import BUNDLE_LIMITS, Json, Limits, Member, parse_json, split_members
from comity.errors import MalformedJson
from comity.gradual import read_in_steps, split_members_in_steps

_T = TypeVar("_T")
FEW = Limits(max_bytes=4_000, max_depth=5, max_items=60)

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=4),
    max_leaves=25,
)
spoilt = st.tuples(st.integers(0, 400), st.sampled_from(['"', "{", "]", ",", ":", "\\", "1", " ", '"a":1,', "\\ud800"]))


def run(steps: Generator[None, None, _T]) -> tuple[_T, int]:
    """What comes of the steps, and how many there were."""
    for number in count(1):
        try:
            next(steps)
        except StopIteration as done:
            value: _T = done.value
            return value, number
    raise AssertionError


SMALL = pytest.mark.parametrize("small", [(0, (1, 2)), (2, (4, 9)), (6, (4_096,))], ids=str)
"""Levels and lengths so small that texts of a test are gone through in every way."""


@contextmanager
def made_small(small: tuple[int, tuple[int, ...]]) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(gradual, "_LEVELS", small[0])
        patch.setattr(gradual, "_TRIED", small[1])
        yield


def read(data: bytes, limits: Limits) -> object:
    try:
        return parse_json(data, limits=limits)
    except MalformedJson:
        return MalformedJson


def read_gradually(data: bytes, limits: Limits) -> object:
    try:
        return run(read_in_steps(data, limits=limits))[0]
    except MalformedJson:
        return MalformedJson


@SMALL
@pytest.mark.parametrize("limits", [BUNDLE_LIMITS, FEW], ids=["many", "few"])
@given(value=values, indent=st.sampled_from([None, 1]), spoils=st.lists(spoilt, max_size=2))
def test_values_are_those_that_are_read_at_once(
    small: tuple[int, tuple[int, ...]], limits: Limits, value: Json, indent: int | None, spoils: list[tuple[int, str]]
) -> None:
    text = json.dumps(value, indent=indent)
    for place, what in spoils:
        text = text[: place % (len(text) + 1)] + what + text[place % (len(text) + 1) :]
    data = text.encode()
    with made_small(small):
        assert repr(read_gradually(data, limits)) == repr(read(data, limits))


@SMALL
@given(
    elements=st.lists(values, max_size=5),
    beside=st.dictionaries(st.sampled_from(["type", "id", "x"]), values, max_size=3),
    spoils=st.lists(spoilt, max_size=2),
    most=st.sampled_from([None, 3]),
)
@example(elements=[0.5, 1e30, -2e-30, 7], beside={}, spoils=[], most=None)
def test_elements_are_those_that_are_cut_at_once(
    small: tuple[int, tuple[int, ...]],
    elements: list[Json],
    beside: dict[str, Json],
    spoils: list[tuple[int, str]],
    most: int | None,
) -> None:
    text = json.dumps({**beside, "objects": elements, "last": 1}, indent=1)
    for place, what in spoils:
        text = text[: place % (len(text) + 1)] + what + text[place % (len(text) + 1) :]
    found = list[object]()
    for slicing in (_split, _split_gradually):
        try:
            with made_small(small):
                found.append(slicing(text.encode(), most))
        except MalformedJson:
            found.append(MalformedJson)
    assert repr(found[0]) == repr(found[1])


def _split(data: bytes, most: int | None) -> tuple[dict[str, Json], tuple[Member, ...]]:
    return split_members(data, array="objects", limits=BUNDLE_LIMITS, most=most)


def _split_gradually(data: bytes, most: int | None) -> tuple[dict[str, Json], tuple[Member, ...]]:
    return run(split_members_in_steps(data, array="objects", limits=BUNDLE_LIMITS, most=most))[0]


@pytest.mark.parametrize("tail", [".5", "e5", "e+5", "E-5"])
@pytest.mark.parametrize("length", range(4_090, 4_098))
def test_a_number_goes_on_behind_the_part_in_which_its_end_is_looked_for(length: int, tail: str) -> None:
    data = f'{{"objects":[{"1" * length}{tail},2]}}'.encode()
    assert repr(_split_gradually(data, None)) == repr(_split(data, None))


def test_a_long_text_is_read_in_many_steps() -> None:
    part = {"value": "x" * 1_000, "tags": [{"name": "tlp:green"}]}
    data = json.dumps({"response": [{"Event": {"Attribute": [part] * 2_000}}]}).encode()
    value, steps = run(read_in_steps(data, limits=BUNDLE_LIMITS))
    assert value == json.loads(data)
    assert steps > len(data) // (256 * 1024)
    (_, members), steps = run(split_members_in_steps(data, array="response", limits=BUNDLE_LIMITS))
    assert members[0].data == data[len(b'{"response": [') : -len(b"]}")]
    assert steps > len(data) // (256 * 1024)


@pytest.mark.parametrize(
    ("data", "where"),
    [
        (b'{"a": {"b": [1, {"c": 1, "c": 2}]}}', "/a/b/1/c"),
        (b'{"a": 1, "a": 2}', "/a"),
        (b'{"a": [1, 2', "1:12"),
        (b'{"a": 1} x', "1:10"),
        (b'["\\ud800"]', "/0"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(data: bytes, where: str) -> None:
    with pytest.raises(MalformedJson) as told:
        run(read_in_steps(data, limits=BUNDLE_LIMITS))
    assert told.value.where == where


@pytest.mark.parametrize("levels", [0, 5, 20, 30])
def test_others_get_their_turns_however_deep_a_long_value_lies(levels: int) -> None:
    data = b'{"a":' + b"[" * levels + b"[" + b",".join([b"[1,2]"] * 200_000) + b"]" + b"]" * levels + b"}"
    value, steps = run(read_in_steps(data, limits=BUNDLE_LIMITS))
    assert steps > len(data) // (128 * 1024) - 1
    assert value == parse_json(data, limits=BUNDLE_LIMITS)


def test_what_lies_too_deep_is_refused_before_what_is_in_it_is_read() -> None:
    data = b"[" * 40 + b"no JSON" * 100_000
    with pytest.raises(MalformedJson, match="34 deep"):
        run(read_in_steps(data, limits=BUNDLE_LIMITS))
