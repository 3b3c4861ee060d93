# SPDX-License-Identifier: Apache-2.0
"""Objects against the STIX 2.1 schemas, and against what no schema can say."""

import json
import time
from importlib import resources
from typing import Any

import pytest

from comity.canonical import Json
from comity.errors import CorruptionError, MalformedObject
from comity.ids import ObjectId
from comity.node.schemas import read_schemas
from comity.stix.markings import TLP_IDS
from comity.stix.objects import parse_bundle, parse_object
from comity.stix.validation import check_object, compile_schemas, validate_bundle
from tests.unit.stix.test_real_files import load
from tests.worlds import make_object, object_id

SEEN: dict[str, Json] = {"first_seen": "2025-01-02T00:00:00Z", "last_seen": "2025-01-01T23:59:59.999Z"}
MALWARE: dict[str, Json] = {"is_family": False}


def check(kind: str = "indicator", /, **more: Any) -> None:  # noqa: ANN401
    value = make_object("a", kind=kind, more=more)
    check_object(read_schemas(), parse_object(json.dumps(value).encode())[1])


@pytest.mark.parametrize("kind", sorted(read_schemas().validators))
def test_every_type_of_the_standard_has_a_schema_that_asks_for_something(kind: str) -> None:
    with pytest.raises(MalformedObject, match=f"schema of {kind}"):
        check_object(read_schemas(), {"type": kind, "id": f"{kind}--{object_id('x', 'y')[3:]}", "labels": None})


@pytest.mark.parametrize(
    ("kind", "more", "where", "says"),
    [
        ("indicator", {"pattern": 5}, "/pattern", 'not of type "string"'),
        ("indicator", {"labels": []}, "/labels", "minItems"),
        ("indicator", {"confidence": 150}, "/confidence", "maximum of 100"),
        ("indicator", {"lang": None}, "/lang", "anyOf|type"),
        ("indicator", {"X y": 1}, "", "'X y' was unexpected"),
        ("indicator", {"valid_from": "2025-02-30T00:00:00Z"}, "/valid_from", "a day that exists"),
        ("indicator", {"valid_from": "2023-02-29T00:00:00Z"}, "/valid_from", "a day that exists"),
        ("indicator", {"valid_from": "1900-02-29T00:00:00Z"}, "/valid_from", "a day that exists"),
        ("indicator", {"valid_from": "2025-04-31T00:00:00Z"}, "/valid_from", "a day that exists"),
        ("indicator", {"created": "2025-01-01T00:00:00Z"}, "/created", "millisecond"),
        ("indicator", {"valid_until": "2025-01-02T00:00:00.000Z"}, "/valid_until", "not later than valid_from"),
        ("indicator", {"valid_until": "2020-01-01T00:00:00Z"}, "/valid_until", "not later than valid_from"),
        ("malware", {**MALWARE, **SEEN}, "/last_seen", "earlier than first_seen"),
        ("threat-actor", SEEN, "/last_seen", "earlier than first_seen"),
        ("campaign", SEEN, "/last_seen", "earlier than first_seen"),
        ("malware", {}, "/is_family", "is_family is missing"),
        (
            "report",
            {"external_references": [{"source_name": "x", "hashes": {"MD5": "zz"}}]},
            "/external_references/0/hashes/MD5",
            "does not match",
        ),
    ],
)
def test_what_is_wrong_is_said_with_its_rule_and_place(kind: str, more: dict[str, Json], where: str, says: str) -> None:
    with pytest.raises(MalformedObject, match=says) as caught:
        check(kind, **more)
    assert caught.value.where == where
    assert kind in caught.value.detail


@pytest.mark.parametrize(
    "more",
    [
        {"valid_from": "2024-02-29T00:00:00Z"},
        {"valid_from": "2000-02-29T23:59:60.123456789123Z"},
        {"valid_from": "2025-01-01T00:00:00.1Z", "valid_until": "2025-01-01T00:00:00.11Z"},
        {"granular_markings": [{"lang": "fr", "selectors": ["name"]}]},
        {"x_anything": {"Deep": [1, "two", {"three": True}]}},
        {"extensions": {object_id("extension-definition", "e"): {"extension_type": "property-extension", "x": []}}},
        {"x_big": 10**300},
    ],
)
def test_what_the_standard_lets_pass_passes(more: dict[str, Json]) -> None:
    check(**more)


def test_equal_times_are_in_order_where_the_standard_says_so() -> None:
    check("campaign", first_seen="2025-01-01T00:00:00Z", last_seen="2025-01-01T00:00:00.000Z")
    with pytest.raises(MalformedObject, match="not later"):
        check("indicator", valid_from="2025-01-01T00:00:00.10Z", valid_until="2025-01-01T00:00:00.1Z")


@pytest.mark.parametrize("version", range(1, 9))
def test_ids_of_any_uuid_version_pass(version: int) -> None:
    value = make_object("a", kind="indicator")
    value["id"] = f"indicator--01890a5d-ac96-{version}74b-0c0a-6b1e2a8f0d11"
    value["created_by_ref"] = f"identity--01890a5d-ac96-{version}74b-ac0a-6b1e2a8f0d11"
    check_object(read_schemas(), parse_object(json.dumps(value).encode())[1])


def test_a_type_that_nobody_here_knows_is_taken_as_it_is() -> None:
    value = make_object("a", kind="x-odd", more={"labels": [], "confidence": "very"})
    check_object(read_schemas(), parse_object(json.dumps(value).encode())[1])


@pytest.mark.parametrize("name", sorted(TLP_IDS))
def test_the_tlp_markings_are_left_to_their_own_check(name: ObjectId) -> None:
    check_object(read_schemas(), {"type": "marking-definition", "id": name})


@pytest.mark.parametrize(
    "name",
    [
        "stix/attack-ics.json",
        "stix/poisonivy.json",
        "stix/geography.json",
        "stix/using-granular-markings.json",
        "stix/validator/tlp-amber.json",
        "misp/test_event1_stix21.json",
        "misp/test_events_collection_stix21.json",
        "misp/test_objects_collection_stix21.json",
    ],
)
def test_what_others_publish_passes(name: str) -> None:
    parsed = parse_bundle(load(name))
    assert validate_bundle(read_schemas(), parsed) == parsed


def test_the_good_are_kept_in_order_and_the_bad_named_by_their_place() -> None:
    made = [make_object(f"o{n}", more={"labels": []} if n % 3 == 1 else {}) for n in range(7)]
    parsed = parse_bundle(json.dumps({"objects": [*made[:2], {"type": "report"}, *made[2:], made[0]]}).encode())
    checked = validate_bundle(read_schemas(), parsed)
    assert checked.places == (0, 3, 4, 6, 7)
    assert [(bad.index, bad.where) for bad in checked.bad] == [
        (1, "/objects/1/labels"),
        (2, "/objects/2/id"),
        (5, "/objects/5/labels"),
    ]
    assert checked.repeats == ((8, 0),)


def test_a_pattern_that_explodes_elsewhere_takes_linear_time() -> None:
    started = time.process_time()
    value: dict[str, Json] = {"type": "indicator", "id": object_id("indicator", "a"), "x": "a"}
    with pytest.raises(MalformedObject):
        check_object(read_schemas(), value | {"extensions": {"a" * 100_000 + "!": {}}})
    assert time.process_time() - started < 1


def test_a_message_is_bounded_and_says_nothing_of_the_value() -> None:
    with pytest.raises(MalformedObject) as caught:
        check(published="s3cret" * 50_000, pattern="x" * 100_000, confidence="s3cret" * 50_000)
    assert len(caught.value.detail) < 500
    assert "s3cret" not in caught.value.detail


@pytest.mark.parametrize(
    "document",
    [
        b"[]",
        b"{}",
        b'{"$id":"x/common/timestamp.json","pattern":"^$"}',
        b'{"$id":"x:/schemas/sdos/tool.json","type":"nonsense"}',
        b'{"$id":"x:/schemas/sdos/tool.json","$ref":"elsewhere.json"}',
        b'{"$id":"x:/schemas/sdos/tool.json","pattern":"^(?=a)(a+)+$"}',
    ],
)
def test_other_schemas_are_refused(document: bytes) -> None:
    with pytest.raises(CorruptionError):
        compile_schemas([document])


def test_the_licence_travels_with_the_schemas() -> None:
    text = (resources.files("comity.stix") / "schemas" / "LICENSE").read_text()
    assert "OASIS Open" in text
