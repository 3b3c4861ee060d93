# SPDX-License-Identifier: Apache-2.0
"""The objects of a bundle are cut out as they were received, however the file is divided."""

import json
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from comity.canonical import BUNDLE_LIMITS, split_members
from comity.errors import MalformedFile, MalformedJson
from comity.intake.cutting import Cutter, Element, TooLong
from tests.strategies import json_values


def cut(data: bytes, size: int = 1 << 20, *, most: int = 1 << 20) -> list[Element]:
    cutter = Cutter(most=most)
    found = [one for start in range(0, len(data), size) for one in cutter.feed(data[start : start + size])]
    return found + cutter.close()


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1_000])
@pytest.mark.parametrize(
    ("data", "elements"),
    [
        (b'{"objects":[]}', []),
        (b'{"objects":[{}]}', [b"{}"]),
        (
            b' {"type":"bundle", "objects" : [ {"a":"]}\\""} ,\n{"b":[[{}],{}]} ] , "id":"x"} ',
            [b'{"a":"]}\\""}', b'{"b":[[{}],{}]}'],
        ),
        (b'{"x":{"objects":[1]},"objects":[{"objects":[2]}]}', [b'{"objects":[2]}']),
        (b'{"objects":[1,"a,b", null ,{"c":1}]}', [b"1", b'"a,b"', b"null", b'{"c":1}']),
        (b'{"type":"report","name":"x"}', [b'{"type":"report","name":"x"}']),
        (b'{"type":"observed-data","objects":{"0":{}}}', [b'{"type":"observed-data","objects":{"0":{}}}']),
        (b'{"type":"x-list","objects":[{"a":1}]}', [b'{"type":"x-list","objects":[{"a":1}]}']),
    ],
)
def test_each_object_comes_out_as_it_was(data: bytes, elements: list[bytes], size: int) -> None:
    assert cut(data, size) == elements


@pytest.mark.parametrize("size", [1, 5, 1_000])
@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b'{"objects":[{"a":1}', "cut short"),
        (b'{"objects":[{"a":"}]}', "cut short"),
        (b'{"objects":[{} {}]}', "',' or ']'"),
        (b'{"objects":[{},]}', "an object was expected"),
        (b'{"objects":[,{}]}', "an object was expected"),
        (b'{"objects":[{}]', "beside the objects"),
        (b'{"objects":[{}]} x', "beside the objects"),
        (b'{"objects":[{}],"objects":[]}', "already in this object"),
        (b'{"objects":[{}],"type":"report"}', "not bundle"),
        (b'{"type":"bundle","id":"x","objects":[]}', "no object is in it"),
        (b'{"type":"bundle","objects":[{}],"object_marking_refs":["x"]}', "mark each object"),
    ],
)
def test_what_is_no_bundle_is_refused(data: bytes, words: str, size: int) -> None:
    with pytest.raises(MalformedFile, match=words.replace("]", r"\]")):
        cut(data, size)


@pytest.mark.parametrize("size", [1, 9, 64, 1_000])
def test_an_object_that_is_too_long_is_passed_over_and_the_next_is_not(size: int) -> None:
    long = json.dumps({"a": 'x\\"]{' * 40, "b": [{"c": "}"}]}).encode()
    data = b'{"objects":[{"a":1},' + long + b',{"b":2}],"id":"x"}'
    assert cut(data, size, most=64) == [b'{"a":1}', TooLong(64), b'{"b":2}']


def test_nothing_is_kept_of_what_is_too_long() -> None:
    cutter = Cutter(most=1_000)
    tracemalloc.start()
    found = cutter.feed(b'{"objects":[{"a":"')
    for _ in range(200):
        found += cutter.feed(b"x\\" * 5_000 + b"{")
    found += cutter.feed(b'"}]}') + cutter.close()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert found == [TooLong(1_000)]
    assert peak < 200_000


@pytest.mark.parametrize("beside", [b'{"x":"' + b"y" * 1_200_000, b'{"objects":[{}],"x":"' + b"y" * 200_000])
def test_what_stands_beside_the_objects_is_bounded(beside: bytes) -> None:
    with pytest.raises(MalformedFile):
        cut(beside)


@given(
    st.lists(st.dictionaries(st.text(), json_values(), max_size=4), max_size=6),
    st.integers(1, 40),
    st.sampled_from([None, 1]),
)
def test_it_cuts_as_the_whole_is_split(objects: list[object], size: int, indent: int | None) -> None:
    data = json.dumps({"next": "x", "objects": objects, "more": False}, indent=indent).encode()
    assert cut(data, size) == [one.data for one in split_members(data, array="objects", limits=BUNDLE_LIMITS)[1]]


@given(st.binary(max_size=200), st.integers(1, 20))
def test_any_bytes_are_cut_or_refused(data: bytes, size: int) -> None:
    try:
        cut(b'{"objects":[' + data, size)
    except (MalformedFile, MalformedJson):
        return
