# SPDX-License-Identifier: Apache-2.0
"""What is read in one pass is what is read check by check: of every object, the same or the same refusal."""

import json
from itertools import product

import pytest

from comity.errors import MalformedObject, MalformedRequest
from comity.ids import is_object_id, parse_instant
from comity.stix import objects
from comity.stix.objects import parse_object
from comity.stix.usual import read_usual

_ID = "report--8e2e2d2b-17d4-4cbf-938f-98ee46b3cd3f"
_OTHER = "identity--f431f809-377b-45e0-aa1c-6a4751cae5ff"
_TLP = "marking-definition--bab4a63c-aed9-4cf5-a766-dfca5abac2bb"
_STATEMENT = "marking-definition--d81f86b9-975b-4c0b-875e-810c5ad45a4f"
_USUAL: dict[str, object] = {
    "type": "report",
    "spec_version": "2.1",
    "id": _ID,
    "created": "2016-04-06T20:03:48.000Z",
    "modified": "2017-04-06T20:03:48.000Z",
    "created_by_ref": _OTHER,
    "object_marking_refs": [_TLP, _STATEMENT],
    "object_refs": [_ID, _OTHER],
    "name": "Lantern",
}

_CHANGES: list[tuple[str, object]] = [
    *product(
        ["type", "id", "spec_version", "created", "modified", "created_by_ref", "object_marking_refs", "object_refs"],
        [..., None, 7, True, "", [], {}, [7], "x", ["x"], [[]], [_TLP], [_OTHER, _STATEMENT], "tool", _OTHER],
    ),
    ("type", "marking-definition"),
    ("type", "bundle"),
    ("spec_version", "2.0"),
    ("id", _ID.upper()),
    ("id", _TLP),
    ("created", "2017-04-06T20:03:48Z"),
    ("created", "2018-04-06T20:03:48Z"),
    ("modified", "2016-04-06T20:03:48.000Z"),
    ("modified", "2017-02-30T20:03:48Z"),
    ("modified", "2017-02-28T24:00:00Z"),
    ("revoked", True),
    ("revoked", 1),
    ("x_ref", _OTHER),
    ("x_ref", "nothing"),
    ("x", [{"deep_refs": [_OTHER]}]),
    ("name", "object_ref"),
    ("name", "\\u005fref"),
    ("external_references", [{"source_name": "x", "description": "seen"}]),
    ("external_references", [{"source_name": "x", "some_ref": _OTHER}]),
    ("granular_markings", [{"marking_ref": _TLP, "selectors": ["name"]}]),
    ("granular_markings", [{"marking_ref": _TLP, "selectors": ["missing"]}]),
    ("sample_refs", [_OTHER]),
    ("target_ref", _OTHER),
]


def read(data: bytes) -> object:
    try:
        return parse_object(data)
    except MalformedObject as error:
        return error.detail, error.where


@pytest.mark.parametrize(("name", "item"), _CHANGES, ids=lambda one: repr(one)[:40])
def test_the_same_is_read_as_check_by_check(monkeypatch: pytest.MonkeyPatch, name: str, item: object) -> None:
    value = {key: one for key, one in (_USUAL | {name: item}).items() if one is not ...}
    data = json.dumps(value).encode()
    quick = read(data)
    monkeypatch.setattr(objects, "read_usual", lambda value, data: None)
    assert quick == read(data)


def test_what_is_usual_is_read_at_once() -> None:
    data = json.dumps(_USUAL).encode()
    first, last = (parse_instant(str(_USUAL[name])) for name in ("created", "modified"))
    assert read_usual(json.loads(data), data) == (_ID, "report", first, last, frozenset({_OTHER, _STATEMENT}), False)


@pytest.mark.parametrize(
    "text",
    [
        "2026-01-01T00:00:00+00:00",
        "2026-01-01 00:00:00Z",
        "2026-01-01T00:00:00.Z",
        "2026-01-01T00:00:00.1234567890Z",
        "2026-W01-1T00:00:00Z",
        "2026-01-01T00:00:00Z\n",
        "2026-01-01T00:00:0\u0661Z",
        "2026-01-01T00:00:0\ud800Z",
        "2026-01-01T24:00:00Z",
        "2026-01-01T23:60:00Z",
        "2026-01-01T23:59:60Z",
        "2026-02-29T00:00:00Z",
    ],
)
def test_no_other_text_is_a_time(text: str) -> None:
    with pytest.raises(MalformedRequest):
        parse_instant(text)


@pytest.mark.parametrize("fraction", ["", *("." + "123456789"[:digits] for digits in range(1, 10))])
def test_a_time_is_cut_to_the_microsecond(fraction: str) -> None:
    said = int((fraction[1:] + "000000")[:6])
    assert parse_instant(f"1970-01-02T00:00:01{fraction}Z") == 86_401_000_000 + said


@pytest.mark.parametrize(
    ("kind", "good"),
    [
        ("abc", True),
        ("ab", False),
        ("a" * 250, True),
        ("a" * 251, False),
        ("a-b", True),
        ("a--b", False),
        ("-ab", False),
        ("ab-", False),
        ("a_b", False),
        ("x-1-2", True),
    ],
)
def test_an_id_names_a_type_of_three_to_250_characters(kind: str, good: bool) -> None:
    assert is_object_id(f"{kind}--8e2e2d2b-17d4-4cbf-938f-98ee46b3cd3f") is good
