# SPDX-License-Identifier: Apache-2.0
"""The fast reading says what the strict one says, or nothing."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from comity.canonical import BUNDLE_LIMITS, OBJECT_LIMITS, Json, Limits, split_members
from comity.certain import (
    MOST_COUNTED,
    UNCERTAIN,
    NotCutError,
    cut_out,
    read_all_certain,
    read_certain,
    read_texts,
    slice_certain,
    write_compact,
)
from comity.errors import MalformedError
from comity.stix.envelopes import split_objects


def read(data: bytes, limits: Limits = OBJECT_LIMITS) -> object:
    return read_certain(data, max_bytes=limits.max_bytes, max_depth=limits.max_depth, max_items=limits.max_items)


def read_all(elements: list[bytes]) -> object:
    limits = OBJECT_LIMITS
    return read_all_certain(
        elements, max_bytes=limits.max_bytes, max_depth=limits.max_depth, max_items=limits.max_items
    )


def read_strictly(data: bytes) -> object:
    """What the standard library reads, `UNCERTAIN` where a key is twice or a number has a fraction."""

    def members(pairs: list[tuple[str, object]]) -> dict[str, object]:
        assert len(dict(pairs)) == len(pairs)
        return dict(pairs)

    return json.loads(data.decode(), object_pairs_hook=members)


PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)
LAYOUTS: st.SearchStrategy[dict[str, Any]] = st.sampled_from([{}, {"indent": 1}, {"separators": (",", ":")}])


@given(PLAIN, LAYOUTS)
def test_what_is_plain_is_read_at_once_however_it_is_laid_out(value: object, layout: dict[str, Any]) -> None:
    data = json.dumps(value, ensure_ascii=False, **layout).encode()
    assert read(data, BUNDLE_LIMITS) == value


@pytest.mark.parametrize(
    "data",
    [
        b'{"a":1,"a":1}',
        b'{"a":1,"\\u0061":1}',
        b'{"a":1,"a":1,"bb":1e5}',
        b'{"a":1,"a":1,"b":100000000000000000000000.0}',
        b'{"a":1,"a":1,"b":"\\b\\f\\n\\r\\t\x7f"}',
        b'[{"x":{"b":1,"c":2,"b":3}}]',
        b"1.0",
        b"-0.0",
        b"1e400",
        b"NaN",
        b"-Infinity",
        b"01",
        b"9" * 310,
        b"[-" + b"9" * 5000 + b"]",
        b'"\\ud800"',
        b'"\\udc00\\ud800"',
        b'"\xff"',
        b'"\xed\xa0\x80"',
        b'{"\xc0\x80":1}',
        b'"\x01"',
        b"\xef\xbb\xbf1",
        b"1 1",
        b"[1,]",
        b"\x0c1",
        b"",
        b"[" * 33 + b"]" * 33,
        b"[" * 100_000 + b"]" * 100_000,
        b"[" + b"1," * 50_001 + b"1]",
        b'"' + b"a" * OBJECT_LIMITS.max_bytes + b'"',
    ],
    ids=lambda data: repr(data[:30]),
)
def test_what_the_strict_reading_may_refuse_is_left(data: bytes) -> None:
    assert read(data) is UNCERTAIN
    for elements in ([data], [b"[1]", data], [data, b'{"a":"b"}']):
        assert read_all(elements) is None


def test_brackets_inside_text_and_side_by_side_do_not_count_as_depth() -> None:
    assert read(b'["' + b"[" * 100 + b'"]') == ["[" * 100]
    assert read(b"[" + b"[]," * 100 + b"[]]") == [[]] * 101
    assert read(b"[" * 32 + b"]" * 32) is not UNCERTAIN


@given(st.lists(st.tuples(PLAIN, LAYOUTS)))
def test_what_is_plain_is_read_together_too(listed: list[tuple[object, dict[str, Any]]]) -> None:
    elements = [json.dumps(value, ensure_ascii=False, **layout).encode() for value, layout in listed]
    assert read_all(elements) == [value for value, _ in listed]


def test_a_key_that_is_lost_in_one_element_is_not_made_up_for_by_another() -> None:
    for other in (b'"\\u0061\\/"', b"[ 1 , 2 ]", b'{"a" : {}}', b"1e5", b'"\xc3\xa9"', b"1000000000000000000000000000"):
        assert read_all([other, b'{"a":1,"a":2}', other]) is None


def test_depth_and_length_are_each_element_s_own() -> None:
    assert read_all([b"[" * 32 + b"]" * 32] * 40) is not None
    assert read_all([b"1", b"[" * 33 + b"]" * 33]) is None
    assert read_all([b'"' + b"a" * 49_000 + b'"'] * 30) is not None
    assert read_all([]) == []


@settings(max_examples=500)
@given(st.lists(st.text(alphabet='{}[]",:\\u0061bd8e.-1 \n\té\x00nt', max_size=12), min_size=1, max_size=4))
def test_together_nothing_is_read_that_the_strict_reading_refuses(texts: list[str]) -> None:
    elements = [f'{{"a":"{text}","b":1}}' for text in texts]
    try:
        decoder = json.JSONDecoder(strict=False)
        if any(decoder.raw_decode(element)[1] < len(element) for element in elements):
            return
    except ValueError:
        return
    values = read_all([element.encode() for element in elements])
    if values is not None:
        assert repr(values) == repr([read_strictly(element.encode()) for element in elements])


TEXTS = st.text(alphabet='{}[]",:\\u0061bd8e.-1 \n\té\x00nt', max_size=40)


@settings(max_examples=1_000)
@given(
    TEXTS | TEXTS.map(lambda text: f'{{"a":"{text}","b":1}}') | TEXTS.map(lambda text: f'{{"a":{text},"a":[{text}]}}')
)
def test_nothing_is_read_that_the_strict_reading_refuses_or_reads_otherwise(text: str) -> None:
    value = read(text.encode())
    if value is not UNCERTAIN:
        strict = read_strictly(text.encode())
        assert value == strict
        assert repr(value) == repr(strict)


@settings(max_examples=500)
@given(st.binary(max_size=12).map(lambda octets: b'{"a":"' + octets + b'"}'))
def test_bytes_that_are_no_text_are_left(data: bytes) -> None:
    value = read(data)
    assert value is UNCERTAIN or value == read_strictly(data)


@settings(max_examples=500)
@given(st.lists(TEXTS, max_size=5), st.sampled_from(["", " ", "\n\t"]))
def test_elements_are_cut_where_the_strict_reading_cuts_them(texts: list[str], space: str) -> None:
    joined = f",{space}".join(texts)
    data = f'{{"type":"bundle","objects":[{space}{joined}{space}]{space}}}{space}'.encode()
    fast = slice_certain(data[data.index(b"[") : data.rindex(b"]") + 1])
    try:
        # What follows the array keeps the fast way out.
        _, members = split_members(data[: data.rindex(b"}")] + b',"more":false}', array="objects", limits=BUNDLE_LIMITS)
    except MalformedError:
        assert fast is None
        return
    _, again = split_members(data, array="objects", limits=BUNDLE_LIMITS)
    assert again == members
    assert fast is None or list(fast) == [member.data for member in members]


def test_of_too_many_elements_no_more_is_told_than_that() -> None:
    assert slice_certain(b"[1, 2 ,{}]", most=3) == [b"1", b"2", b"{}"]
    assert slice_certain(b"[]", most=3) == []
    sliced = slice_certain(b"[" + b"1," * MOST_COUNTED + b"1]", most=3)
    assert sliced is not None
    assert len(sliced) == 4
    assert slice_certain(b"[1,2,3,4]", most=3) == sliced
    assert slice_certain(b"[" + b"1," * MOST_COUNTED + b"%%%", most=MOST_COUNTED) == [b""] * (MOST_COUNTED + 1)
    assert slice_certain(b"[" + b"1," * MOST_COUNTED + b"1]", most=MOST_COUNTED + 1) == [b"1"] * (MOST_COUNTED + 1)
    for data in (b"{}", b"1", b"[1", b"[1}", b"[1] 2"):
        assert slice_certain(data, most=3) is None


def test_the_objects_are_cut_out_of_what_is_around_them() -> None:
    assert cut_out(b'{"a":{"objects":1},"objects" : [1, 2] ,"b":[]}') == b"[1, 2]"
    assert cut_out(b'{"a":1}') == b""
    for data in (b"[]", b'{"objects":[1}', b'{"objects":[NaN]}', b"[" * 100_000, b'{"objects":[1]', b"\xff"):
        with pytest.raises(NotCutError):
            cut_out(data)


OTHERS = st.dictionaries(st.sampled_from(["a", "b", "type", "[]", ""]), PLAIN, max_size=3)


@settings(deadline=None)
@given(OTHERS, st.lists(PLAIN, max_size=5), OTHERS, LAYOUTS)
def test_objects_are_split_the_same_both_ways(
    before: dict[str, Any], elements: list[object], behind: dict[str, Any], layout: dict[str, Any]
) -> None:
    whole = {**before, "objects": [*elements, "long " * 100], **behind}
    data = json.dumps(whole, ensure_ascii=False, **layout).encode()
    beside = len(data) - 500
    slow = split_members(data, array="objects", limits=BUNDLE_LIMITS)
    assert split_objects(data, limits=BUNDLE_LIMITS, most=10, beside=max(1, beside)) == slow


def test_an_object_of_texts_is_read_and_what_is_none_is_left() -> None:
    assert read_texts(b'{"a":"\\u00e9","b":null}') == {"a": "\u00e9", "b": None}
    for data in (
        b"[]",
        b'{"a":1}',
        b'{"a":["x"]}',
        b'{"a":"x"',
        b'{"a":"x"}}',
        b"\xff",
        b'{"a":"\\ud800"}',
        b"[" * 5_000,
    ):
        assert read_texts(data) is None


def test_what_differs_is_written_differently() -> None:
    values: list[Json] = [None, {}, {"a": None}, {"a": "1"}, {"a": 1}, {"a": True}, {"a": [1]}, {"a": [[1]]}, {"b": 1}]
    written = [write_compact(value) for value in values]
    assert None not in written
    assert len(set(written)) == len(values)
    assert write_compact({"a": "\ud800"}) is None
