# SPDX-License-Identifier: Apache-2.0
"""What a redaction leaves: nothing outside the clause, everything else as it was."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from comity.release.redaction import Redacted, redact

NAMES = st.sampled_from(["name", "description", "labels", "aliases", "x_note"])
values = st.dictionaries(NAMES, st.text(max_size=5) | st.lists(st.text(max_size=3), max_size=3))


def test_the_property_and_the_markings_on_it_are_gone_and_the_others_stay() -> None:
    value = {
        "type": "report",
        "name": "Ünder the bridge",
        "description": "secret",
        "labels": ["a", "b"],
        "granular_markings": [
            {"marking_ref": "m1", "selectors": ["description", "name"]},
            {"marking_ref": "m2", "selectors": ["labels.[1]"]},
            {"marking_ref": "m3", "selectors": ["labels.[0]", "description"]},
        ],
    }
    left = redact(json.dumps(value).encode(), frozenset({"description", "labels", "aliases"}))
    assert left.removed == ("description", "labels")
    assert json.loads(left.data) == {
        "type": "report",
        "name": "Ünder the bridge",
        "granular_markings": [{"marking_ref": "m1", "selectors": ["name"]}],
    }


def test_no_shape_of_what_was_removed_stays() -> None:
    value = {"description": "x", "granular_markings": [{"marking_ref": "m", "selectors": ["description"]}]}
    assert redact(json.dumps(value).encode(), frozenset({"description"})) == Redacted(b"{}", ("description",))


MAKER = "identity--7b1f2a44-5c1e-4c0e-8d3c-111111111111"


@pytest.mark.parametrize("kind", ["report", "x-desk-note"])
def test_who_made_it_stands_nowhere_else_in_what_is_left(kind: str) -> None:
    value = {
        "type": kind,
        "id": f"{kind}--1",
        "name": "A report",
        "created_by_ref": MAKER,
        "description": f"By {MAKER}.",
        "extensions": {"extension-definition--1": {"deep": [{"created_by_ref": MAKER}]}},
        "external_references": [{"source_name": "desk", "external_id": "7"}],
        "x_by": MAKER.replace("i", "\\u0069", 1),
        "labels": ["stays"],
        "granular_markings": [{"marking_ref": "m1", "selectors": ["description", "labels"]}],
    }
    left = redact(json.dumps(value).replace("\\\\u0069", "\\u0069").encode(), frozenset({"created_by_ref"}))
    assert left.removed == ("created_by_ref", "description", "extensions", "x_by")
    assert json.loads(left.data) == {
        "type": kind,
        "id": f"{kind}--1",
        "name": "A report",
        "external_references": [{"source_name": "desk", "external_id": "7"}],
        "labels": ["stays"],
        "granular_markings": [{"marking_ref": "m1", "selectors": ["labels"]}],
    }
    assert redact(left.data, frozenset({"created_by_ref"})) == Redacted(left.data, ())


def test_what_an_object_cannot_lack_stays_though_its_maker_stands_in_it() -> None:
    value = {"type": "report", "id": "report--1", "name": "x", "created_by_ref": MAKER, "object_refs": [MAKER]}
    assert json.loads(redact(json.dumps(value).encode(), frozenset({"created_by_ref"})).data)["object_refs"] == [MAKER]


def test_of_a_tear_line_what_the_object_cannot_lack_stays_beside_it_and_nothing_else() -> None:
    value = {
        "type": "report",
        "id": "report--1",
        "name": "needed",
        "published": "needed",
        "object_refs": ["needed"],
        "description": "torn off",
        "labels": ["stays"],
        "x_note": "torn off",
        "object_marking_refs": ["m1"],
        "granular_markings": [
            {"marking_ref": "m1", "selectors": ["labels"]},
            {"marking_ref": "m2", "selectors": ["description"]},
        ],
    }
    left = redact(json.dumps(value).encode(), frozenset({"description"}), only=frozenset({"labels"}))
    assert {"description", "x_note"} <= set(left.removed)
    kept = json.loads(left.data)
    assert kept["labels"] == ["stays"]
    assert kept["granular_markings"] == [{"marking_ref": "m1", "selectors": ["labels"]}]
    assert {"type", "id", "name", "published", "object_refs", "object_marking_refs"} <= kept.keys()
    assert "torn off" not in left.data.decode()
    assert redact(left.data, frozenset({"description"}), only=frozenset({"labels"})).data == left.data


def test_where_nothing_goes_the_bytes_stay_as_they_are() -> None:
    data = b'{"name" : "a",  "description":"b"}'
    assert redact(data, frozenset({"labels"})) == Redacted(data, ())


@given(values, st.frozensets(NAMES))
def test_twice_is_once_and_order_is_kept(value: dict[str, object], names: frozenset[str]) -> None:
    once = redact(json.dumps(value).encode(), names).data
    assert redact(once, names) == Redacted(once, ())
    assert list(json.loads(once)) == [name for name in value if name not in names]
    assert all(json.loads(once)[name] == value[name] for name in json.loads(once))
