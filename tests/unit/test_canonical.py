# SPDX-License-Identifier: Apache-2.0
import json
import math
import sys
import time

import pytest

from comity.canonical import (
    BUNDLE_LIMITS,
    OBJECT_LIMITS,
    SIGNED_LIMITS,
    Json,
    Limits,
    Member,
    canonical_bytes,
    parse_json,
    parse_signed_json,
    sha256_digest,
    split_members,
)
from comity.errors import MalformedJson

TINY = Limits(max_bytes=100, max_depth=3, max_items=5)
BOUNDLESS = Limits(max_bytes=1 << 40, max_depth=1 << 40, max_items=1 << 40)


def shown(value: object) -> str | None:
    """A name for a case: its first bytes, since some cases are a million bytes long."""
    return repr(value[:24]) if isinstance(value, bytes) else None


def where_of(data: bytes, *, limits: Limits = OBJECT_LIMITS) -> str:
    with pytest.raises(MalformedJson) as caught:
        parse_json(data, limits=limits)
    return caught.value.where


def split(data: bytes, *, limits: Limits = BUNDLE_LIMITS) -> tuple[dict[str, Json], list[bytes]]:
    others, members = split_members(data, array="objects", limits=limits)
    assert [member.index for member in members] == list(range(len(members)))
    return others, [member.data for member in members]


# --- parse_json ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "value"),
    [
        (b"null", None),
        (b" \t\r\n[ true , false ] \n", [True, False]),
        (b'{"a":{"b":[1,-2,3.5]},"":""}', {"a": {"b": [1, -2, 3.5]}, "": ""}),
        (b"-0", 0),
        (b"1e308", 1e308),
        (b"9007199254740993", 2**53 + 1),
        (b'"\\ud83d\\ude00"', "\U0001f600"),
        (b'"\\\\ud800"', "\\ud800"),
        (b'"\\u0000"', "\0"),
        ('"\U0001f600\ufeff\u2028"'.encode(), "\U0001f600\ufeff\u2028"),
        (b'{"a":1,"A":2}', {"a": 1, "A": 2}),
    ],
    ids=shown,
)
def test_strict_json_is_read(data: bytes, value: Json) -> None:
    assert parse_json(data, limits=OBJECT_LIMITS) == value


@pytest.mark.parametrize(
    ("data", "where"),
    [
        (b"", "1:1"),
        (b" \n ", "2:2"),
        (b"\xef\xbb\xbf{}", "1:1"),
        (b"\xfe\xff\x00{", "1:1"),
        (b'{"a":\n"\xff"}', "2:2"),
        (b'"\xed\xa0\x80"', "1:2"),
        (b'"\xc0\x80"', "1:2"),
        (b"{'a':1}", "1:2"),
        (b"[1,]", "1:4"),
        (b'{"a":1,}', "1:8"),
        (b"[1 2]", "1:4"),
        (b'{"a":1', "1:7"),
        (b"[1]\n x", "2:2"),
        (b"1 1", "1:3"),
        (b'"\t"', "1:2"),
        (b'"a', "1:1"),
        (b'"\\x"', "1:2"),
        (b'"\\u12G4"', "1:3"),
        (b"01", "1:2"),
        (b"+1", "1:1"),
        (b".5", "1:1"),
        (b"1.", "1:2"),
        (b"0x10", "1:2"),
        (b"True", "1:1"),
        (b"nan", "1:1"),
        ("٣".encode(), "1:1"),
        (b"\x0b1", "1:1"),
        ("\u00a01".encode(), "1:1"),
        (b"// note\n1", "1:1"),
        (b'[{"a":1,"a":2} x', "1:16"),
        (b"[NaN", "1:5"),
    ],
    ids=shown,
)
def test_what_is_not_json_is_refused_with_line_and_column(data: bytes, where: str) -> None:
    assert where_of(data) == where


@pytest.mark.parametrize(
    ("data", "where"),
    [
        (b'{"a":1,"a":1}', "/a"),
        (b'{"a":1,"\\u0061":1}', "/a"),
        (b'[0,{"x":[{"b":1,"c":2,"b":3}]}]', "/1/x/0/b"),
        (b'{"a/b":{"~":1,"~":1}}', "/a~1b/~0"),
        (b"NaN", "1:1"),
        (b'{"a":[1,Infinity]}', "/a/1"),
        (b" -Infinity", "1:2"),
        (b"[1e400]", "/0"),
        (b"[-1e400]", "/0"),
        (b"[" + b"9" * 310 + b"]", "/0"),
        (b"[" + b"9" * 5000 + b"]", "/0"),
        (b"[-" + b"9" * 1_000_000 + b"]", "/0"),
        (b'"\\ud800"', "1:1"),
        (b'["\\udc00\\ud800"]', "/0"),
        (b'["\\ud83d\\ude00","\\uD83D"]', "/1"),
        (b'{"\\udfff":1}', "/\\udfff"),
        (b'{"a":{"b\\ud900":1}}', "/a/b\\ud900"),
    ],
    ids=shown,
)
def test_what_json_leaves_open_is_refused_with_a_pointer(data: bytes, where: str) -> None:
    assert where_of(data) == where


def test_a_long_key_does_not_fill_the_message() -> None:
    key = b"k" * 100_000
    where = where_of(b'{"' + key + b'":1,"' + key + b'":1}')
    assert where == "/" + "k" * 64 + "…"


def test_an_integer_of_309_digits_is_exact() -> None:
    assert parse_json(b"9" * 309, limits=OBJECT_LIMITS) == 10**309 - 1


def test_a_limit_of_the_interpreter_on_digits_changes_nothing() -> None:
    before = sys.get_int_max_str_digits()
    sys.set_int_max_str_digits(0)
    try:
        assert where_of(b"9" * 5000) == "1:1"
    finally:
        sys.set_int_max_str_digits(before)


def test_bytes_are_bounded() -> None:
    assert parse_json(b'"' + b"x" * 98 + b'"', limits=TINY) == "x" * 98
    with pytest.raises(MalformedJson, match="101 bytes where at most 100"):
        parse_json(b'"' + b"x" * 99 + b'"', limits=TINY)


@pytest.mark.parametrize(
    ("data", "deep"),
    [
        (b"[[[]]]", False),
        (b'[{"a":[]},[[]],{}]', False),
        (b"[[[[]]]]", True),
        (b'[[[{"a":1}]]]', True),
        (b'["[[[[[", {"{{{{":"[[\\"[["}]', False),
        (b"[[[[", True),
    ],
    ids=shown,
)
def test_depth_is_bounded(data: bytes, *, deep: bool) -> None:
    if deep:
        with pytest.raises(MalformedJson, match="more than 3 deep"):
            parse_json(data, limits=TINY)
    else:
        assert parse_json(data, limits=TINY) == json.loads(data)


@pytest.mark.parametrize(
    ("data", "items"),
    [
        (b"[1,2,3,4,5]", 5),
        (b"[1,2,3,4,5,6]", 6),
        (b"[[ ],[1],{ }]", 4),
        (b"[[],[],{},{},[]]", 5),
        (b'[[1],[2],["a,b,c,d"]]', 6),
        (b'{"a":1,"b":[2,3],"c":"[,{,"}', 5),
        (b'[",,,,,,,\\",,,,[{"]', 1),
    ],
    ids=shown,
)
def test_items_are_bounded(data: bytes, items: int) -> None:
    if items > TINY.max_items:
        with pytest.raises(MalformedJson, match=f"^{items} array elements"):
            parse_json(data, limits=TINY)
    else:
        assert parse_json(data, limits=TINY) == json.loads(data)


@pytest.mark.parametrize(
    "data",
    [
        b"[" * 100_000 + b"]" * 100_000,
        b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
        b"[" * 900 + b"NaN" + b"]" * 900,
        b"[" * 900 + b'"\\ud800"' + b"]" * 900,
    ],
    ids=shown,
)
def test_what_the_interpreter_cannot_follow_is_malformed_too(data: bytes) -> None:
    with pytest.raises(MalformedJson):
        parse_json(data, limits=BOUNDLESS)


def test_a_string_that_is_never_closed_is_passed_over_once() -> None:
    # Looking for its end again from each quote inside would take a hundred times as long.
    data = b'["' + b',\\"' * 40_000
    start = time.process_time()
    with pytest.raises(MalformedJson, match="Unterminated"):
        parse_json(data, limits=Limits(max_bytes=len(data), max_depth=1, max_items=1))
    assert time.process_time() - start < 1


# --- parse_signed_json, canonical_bytes ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    "data",
    [
        b"[]",
        b'{"a":[1,-1,0,true,null],"b":{"c":""}}',
        b"9007199254740991",
        b"-9007199254740991",
        '{"\U0001f600":1,"\ufb00":2}'.encode(),  # in order of UTF-16 code units, not of code points
        '"\u00e9\u2028\u007f"'.encode(),
        b'"\\b\\f\\n\\r\\t\\"\\\\\\u000f/"',
    ],
    ids=shown,
)
def test_canonical_bytes_are_what_may_be_signed(data: bytes) -> None:
    value = parse_signed_json(data)
    assert canonical_bytes(value) == data


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"1.0", "fraction or exponent"),
        (b"[1e2]", "/0 is a number with a fraction"),
        (b"9007199254740992", "beyond 2"),
        (b'{"a":-9007199254740992}', "/a is an integer beyond"),
        ('{"a":"e\u0301"}'.encode(), "/a holds text that is not in Unicode form NFC"),
        ('{"e\u0301":1}'.encode(), "NFC"),
        (b'"e\\u0301"', "NFC"),
        (b'"\xe2\x84\xab"', "NFC"),
        (b'{"b":1,"a":2}', "byte 2 differs from the canonical form"),
        ('{"\ufb00":2,"\U0001f600":1}'.encode(), "byte 2 differs"),
        (b"[1, 2]", "byte 3 differs"),
        (b"[1]\n", "byte 3 differs"),
        (b"-0", "byte 0 differs"),
        (b'"\\u0041"', "byte 1 differs"),
        (b'"\\/"', "byte 1 differs"),
        (b'"\\u000A"', "byte 2 differs"),
        (b'"\\u00e9"', "byte 1 differs"),
        (b'{"a":1,"a":1}', "already in this object"),
        (b"[" * 17 + b"]" * 17, "more than 16 deep"),
        (b'"' + b"x" * (1 << 20) + b'"', "1048578 bytes"),
    ],
    ids=shown,
)
def test_anything_else_is_not_signed(data: bytes, problem: str) -> None:
    with pytest.raises(MalformedJson, match=problem):
        parse_signed_json(data)


def test_numbers_are_written_as_rfc_8785_writes_them() -> None:
    # RFC 8785 §3.2.4 and appendix B.
    value: Json = [333333333.33333329, 1e30, 4.50, 2e-3, 0.000000000000000000000000001, -0.0, 5e-324, 1e21, 1e-7]
    expected = b"[333333333.3333333,1e+30,4.5,0.002,1e-27,0,5e-324,1e+21,1e-7]"
    assert canonical_bytes(value) == expected


@pytest.mark.parametrize("value", [math.nan, math.inf, 2**53, -(2**53), "\ud800", {"\ud800": 1}, ["\udfff"]])
def test_what_has_no_canonical_form_is_malformed(value: Json) -> None:
    with pytest.raises(MalformedJson):
        canonical_bytes(value)


def test_an_integer_too_long_to_print_is_malformed() -> None:
    with pytest.raises(MalformedJson):
        canonical_bytes(10**5000)


def test_a_value_inside_itself_is_malformed() -> None:
    inside: list[Json] = []
    inside.append(inside)
    with pytest.raises(MalformedJson, match="deeper"):
        canonical_bytes(inside)


def test_digests_are_sha256_in_small_hexadecimal() -> None:
    assert sha256_digest(b"abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def test_limits_of_a_bundle_leave_room_for_its_objects() -> None:
    assert BUNDLE_LIMITS.max_depth == OBJECT_LIMITS.max_depth + 2
    assert SIGNED_LIMITS.max_depth < OBJECT_LIMITS.max_depth


# --- split_members ------------------------------------------------------------------------------------------------


def test_elements_are_the_received_bytes() -> None:
    data = '{ "type" : "bundle",\n"objects":[ {"a" : 1} ,\t[ 2 ],"é\U0001f600", 1.50,null ] , "id":["x"] }'.encode()
    others, elements = split(data)
    assert others == {"type": "bundle", "id": ["x"]}
    assert elements == [b'{"a" : 1}', b"[ 2 ]", '"é\U0001f600"'.encode(), b"1.50", b"null"]


def test_a_member_knows_its_place() -> None:
    _, members = split_members(b'{"objects":[1,2]}', array="objects", limits=BUNDLE_LIMITS)
    assert members == (Member(index=0, data=b"1"), Member(index=1, data=b"2"))


def test_without_the_array_there_are_no_elements() -> None:
    assert split(b" {} ") == ({}, [])
    assert split(b'{"more":false}') == ({"more": False}, [])
    assert split(b'{"objects":[ ]}') == ({}, [])


def test_an_element_that_is_not_strict_does_not_spoil_its_neighbours() -> None:
    bad = [
        b'{"a":1,"a":2}',
        b"NaN",
        b"-Infinity",
        b"1e999",
        b"9" * 5000,
        b'"\\ud800"',
        b'"\x01"',
        b"[" * 5000 + b"]" * 5000,
        b'{"a":' * 2000 + b'"]}[{\\""' + b"}" * 2000,
    ]
    _, elements = split(b'{"objects":[{},' + b",".join(bad) + b",[]]}")
    assert elements == [b"{}", *bad, b"[]"]
    for element in bad:
        with pytest.raises(MalformedJson):
            parse_json(element, limits=OBJECT_LIMITS)


@pytest.mark.parametrize(
    ("data", "where"),
    [
        (b"", "1:1"),
        (b"[]", "1:1"),
        (b'"objects"', "1:1"),
        (b'{"objects":{}}', "/objects"),
        (b'{"objects":null}', "/objects"),
        (b'{"objects":[]', "1:14"),
        (b'{"objects":[{"a":1},\n{"b":', "2:6"),
        (b'{"objects":[{"a":1}\n', "2:1"),
        (b'{"objects":[1', "1:14"),
        (b'{"objects":[', "1:13"),
        (b'{"objects":[1,]}', "1:15"),
        (b'{"objects":[,1]}', "1:13"),
        (b'{"objects":[1 2]}', "1:15"),
        (b'{"objects":[1}', "1:14"),
        (b'{"objects":[1]]', "1:15"),
        (b'{"objects":[1]}x', "1:16"),
        (b'{"objects":[1],}', "1:16"),
        (b'{"objects":[1],"objects":[2]}', "/objects"),
        (b'{"objects":[1],"o\\u0062jects":[2]}', "/objects"),
        (b'{"a":1,"objects":[1],"a":2}', "/a"),
        (b'{"a":{"b":1,"b":2},"objects":[]}', "/a/b"),
        (b'{"a":[NaN]}', "/a/0"),
        (b'{"a":"\\ud800"}', "/a"),
        (b'{"\\ud800":1}', "1:2"),
        (b'{"a" 1}', "1:6"),
        (b"{a:1}", "1:2"),
        (b'{"a":}', "1:6"),
        (b'{"a":1 "b":2}', "1:8"),
        (b"{,}", "1:2"),
        (b"\xef\xbb\xbf{}", "1:1"),
        (b'{"objects":[' + b"[" * 5000, "1:13"),
        (b'{"objects":[' + b"[" * 5000 + b"]" * 4999 + b"}", "1:10013"),
    ],
    ids=shown,
)
def test_a_bundle_that_is_not_json_is_refused_with_the_place(data: bytes, where: str) -> None:
    with pytest.raises(MalformedJson) as caught:
        split(data)
    assert caught.value.where == where


def test_the_bounds_hold_for_the_whole() -> None:
    assert split(b'{"objects":[1,2,[3,4]]}', limits=Limits(max_bytes=100, max_depth=3, max_items=6))[1][2] == b"[3,4]"
    with pytest.raises(MalformedJson, match=r"^6 array elements"):
        split(b'{"objects":[1,2,[3,4]]}', limits=TINY)
    with pytest.raises(MalformedJson, match="at most 100"):
        split(b'{"objects":["' + b"x" * 100 + b'"]}', limits=TINY)


def test_depth_counts_for_the_other_members_and_not_for_elements() -> None:
    assert split(b'{"a":[[]]}', limits=TINY) == ({"a": [[]]}, [])
    with pytest.raises(MalformedJson, match="more than 3 deep"):
        split(b'{"a":[[[]]]}', limits=TINY)
    assert split(b'{"objects":[[[[[]]]]]}', limits=TINY) == ({}, [b"[[[[]]]]"])
    with pytest.raises(MalformedJson, match="more than 34 deep"):
        split(b'{"a":' + b"[" * 2000 + b'"\\ud800"' + b"]" * 2000 + b"}")
