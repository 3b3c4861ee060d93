# SPDX-License-Identifier: Apache-2.0
"""Entities of FollowTheMoney become objects; what links them may stand before them; nobody is selected by religion."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from comity.errors import MalformedFile
from comity.ids import PartyId, parse_instant
from comity.intake import money
from comity.intake.listing import LISTING_EXTENSION
from comity.intake.making import Maker
from comity.intake.money import read_money
from comity.intake.records import Record, Unread
from comity.node.schemas import read_schemas
from comity.stix.objects import parse_object
from comity.stix.validation import check_object
from tests.strategies import json_values

MAKER = Maker(party=PartyId("aurelia"), at=parse_instant("2026-11-23T09:00:00Z"))


def entity(key: str, schema: str, /, **properties: Any) -> dict[str, Any]:  # noqa: ANN401 (whatever an object says)
    return {
        "id": key,
        "schema": schema,
        "properties": {name: value if isinstance(value, list) else [value] for name, value in properties.items()},
    }


PERSON = entity(
    "q1",
    "Person",
    name=["Ondrej Fictional", "O. Fictional"],
    weakAlias="Reed",
    birthDate="1971",
    topics="crime.terror",
    nationality="xa",
)
COMPANY = entity("q2", "Company", name="Marrow Ford Tolls", registrationNumber="7", country="xa")
SHIP = entity("q3", "Vessel", name="Reed Barge", imoNumber="IMO1", flag="xa")
PLACE = entity("q4", "Address", full="Toll Road 1, Marrow Ford", city="Marrow Ford", country="iq")
SANCTION = entity(
    "q5", "Sanction", entity="q1", authority="Invented", program="XX-1", unscId="QDi.901", reason="Invented."
)
PASSPORT = entity("q6", "Passport", holder="q1", number="X-901", country="xa")
MEMBER = entity("q7", "Membership", member="q1", organization="q2", role="keeper")
FAMILY = entity("q8", "Family", person="q1", relative="q9", relationship="brother")
BROTHER = entity("q9", "Person", name="Jarmil Fictional")
ALL = [SANCTION, PASSPORT, MEMBER, FAMILY, PERSON, COMPANY, SHIP, PLACE, BROTHER]


def read(*entities: object, size: int = 1 << 20, source: str = "watch") -> tuple[list[Record], list[Unread]]:
    data = b"\n".join(one if isinstance(one, bytes) else json.dumps(one).encode() for one in entities)
    parts = [*read_money([data[at : at + size] for at in range(0, len(data), size)], source=source, maker=MAKER)]
    return [one for part in parts for one in part.records], [one for part in parts for one in part.unread]


def values(records: list[Record]) -> dict[str, dict[str, Any]]:
    objects = [data for record in records for data in record.objects]
    for data in objects:
        check_object(read_schemas(), parse_object(data)[1])
    found = [json.loads(data) for data in objects]
    return {value["external_references"][0]["external_id"]: value for value in found}


@pytest.mark.parametrize("size", [1, 50, 1 << 20])
def test_each_schema_becomes_what_the_table_says(size: int) -> None:
    records, unread = read(*ALL, size=size)
    found = values(records)
    assert unread == []
    assert {key: value["type"] for key, value in found.items()} == {
        "q1": "identity",
        "q2": "identity",
        "q3": "infrastructure",
        "q4": "location",
        "q5": "note",
        "q6": "note",
        "q7": "relationship",
        "q8": "relationship",
        "q9": "identity",
    }
    assert (found["q1"]["identity_class"], found["q2"]["identity_class"]) == ("individual", "organization")
    assert found["q1"]["labels"] == ["crime.terror"]
    assert found["q4"]["country"] == "IQ"
    assert (found["q5"]["object_refs"], "QDi.901" in found["q5"]["content"]) == ([found["q1"]["id"]], True)
    assert (found["q7"]["source_ref"], found["q7"]["target_ref"], found["q7"]["relationship_type"]) == (
        found["q1"]["id"],
        found["q2"]["id"],
        "member-of",
    )
    listing = found["q1"]["extensions"][LISTING_EXTENSION]
    assert (listing["aliases"], listing["weak_aliases"]) == ([{"name": "O. Fictional"}], ["Reed"])
    assert "weak_aliases" not in found["q2"]["extensions"][LISTING_EXTENSION]


def test_everything_comes_after_what_it_refers_to() -> None:
    seen = set[str]()
    for record in read(*ALL)[0]:
        for data in record.objects:
            item = parse_object(data)[0]
            assert item.references <= seen
            seen.add(item.id)


@pytest.mark.parametrize("name", ["religion", "ethnicity", "political"])
def test_what_nobody_is_selected_by_is_not_carried_over_and_that_is_said(name: str) -> None:
    (record,), _ = read(entity("q1", "Person", name="Ondrej Fictional", **{name: "Marker-Word"}))
    assert b"Marker-Word" not in record.objects[0]
    assert name in record.notes[0]


@pytest.mark.parametrize(
    ("bad", "words"),
    [
        (entity("z", "Thing", name="x"), "the schema 'Thing' is not understood"),
        (entity("z", "Person"), "no name"),
        (entity("z", "Address", city="x"), "no country"),
        (entity("z", "Sanction"), "says no entity"),
        (entity("z", "Ownership", owner="q1", asset="nobody"), "'nobody' is in no line"),
        ({"id": "z"}, "not an entity"),
        ({"id": "z", "schema": "Person", "properties": {"name": [7]}}, "not text"),
        (b'{"id":"z","schema":"Person","properties":{', "not JSON"),
        (b"\xff", "UTF-8"),
        (b'{"id":"z","schema":"Person","properties":{"name":["' + b"x" * 300_000 + b'"]}}', "bytes where at most"),
        (entity("q1", "Person", name="Again"), "earlier line"),
    ],
)
def test_a_bad_line_says_what_and_leaves_the_others(bad: object, words: str) -> None:
    records, unread = read(PERSON, bad, BROTHER, size=1_000)
    assert len(records) == 2
    (one,) = unread
    assert one.place.startswith("line 2")
    assert words in one.reason


def test_what_waits_for_others_is_bounded_by_its_bytes_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(money, "_MOST_WAITING_BYTES", 20_000)
    long = [entity(f"s{number}", "Sanction", entity="q1", reason="x" * 5_000) for number in range(5)]
    with pytest.raises(MalformedFile, match="split the file"):
        read(PERSON, *long)
    assert len(read(PERSON, *long[:3])[0]) == 4


def test_an_id_of_any_length_is_none() -> None:
    records, unread = read(PERSON, entity("q" * 300, "Person", name="Jarmil Fictional"))
    assert (len(records), [one.place for one in unread]) == (1, ["line 2"])
    assert "255" in unread[0].reason


def test_others_get_a_turn_while_nothing_but_what_waits_is_read() -> None:
    lines = iter(
        [json.dumps(entity(f"s{number}", "Sanction", entity="q1")).encode() + b"\n" for number in range(1_000)]
    )
    assert next(read_money(lines, source="watch", maker=MAKER)).records == ()
    assert len([*lines]) > 700


def test_a_nested_entity_counts_by_its_id() -> None:
    records, _ = read(entity("q5", "Sanction", entity=PERSON, program="X"), PERSON)
    found = values(records)
    assert found["q5"]["object_refs"] == [found["q1"]["id"]]


def test_the_same_entity_of_another_data_set_is_another_object() -> None:
    one, other = (values(read(PERSON, source=source)[0])["q1"]["id"] for source in ("a", "b"))
    assert one != other


@given(st.lists(json_values(), max_size=4), st.sampled_from(["Person", "Sanction", "Address", "Membership"]))
def test_any_lines_are_read_or_said(lines: list[Any], schema: str) -> None:
    made = [{"id": "x", "schema": schema, "properties": line} for line in lines]
    records, unread = read(*lines, *made)
    assert len(records) + len(unread) == 2 * len(lines)
    assert all(one.place and one.reason for one in unread)


@pytest.mark.parametrize("size", [1 << 16, 1 << 20])
def test_of_what_is_too_long_no_length_is_said_that_it_has_not(size: int) -> None:
    data = b'{"id":"z","schema":"Person","properties":{"name":["' + b"x" * 3_000_000 + b'"]}}'
    _, (found,) = read(data, size=size)
    assert found.reason == "more bytes where at most 262144 are taken of one entity; leave out what is long"
