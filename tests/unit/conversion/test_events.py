# SPDX-License-Identifier: Apache-2.0
"""MISP events through the real misp-stix: ids kept, markings and audiences on everything, one bad thing alone."""

import json
from importlib.machinery import ModuleSpec
from pathlib import Path

import pytest

from comity.canonical import Json
from comity.conversion import events as converting
from comity.conversion.child import Bounds
from comity.conversion.events import convert_events
from comity.errors import MalformedJson, NotInstalled
from comity.ids import PartyId
from comity.intake.misp_mapping import MispMapping
from comity.intake.records import Record, Unread
from comity.stix.markings import TLP2_AMBER, TLP2_RED, TLP_IDS
from tests.unit.intake.misp_events import (
    EVENT,
    GROUP,
    Fields,
    make_attribute,
    make_event,
    make_filename,
    make_object,
    name_part,
    tag,
    write,
)

AURELIA, BOREALIA = PartyId("aurelia"), PartyId("borealia")
MAPPING = MispMapping(sharing_groups={GROUP: frozenset({BOREALIA})})
_MADE_ANEW = ("identity--", "marking-definition--", "relationship--")
"""Of MISP's own relations, the ids of the twins were drawn at random."""
TWINS = Path(__file__).parents[4] / "shared" / "data" / "misp"


def convert(data: bytes) -> tuple[list[Record], list[Unread]]:
    found = [item for item in convert_events(data, MAPPING, party=AURELIA) if item is not None]
    return (
        [item for item in found if isinstance(item, Record)],
        [item for item in found if isinstance(item, Unread)],
    )


def read(record: Record) -> list[Fields]:
    return [json.loads(data) for data in record.objects]


def test_an_amber_event_is_amber_in_all_its_parts() -> None:
    attributes = [make_attribute(number) for number in range(1, 5)]
    red = make_attribute(5, Tag=tag("tlp:red"), distribution="4", SharingGroup={"uuid": GROUP})
    file = make_object(6, make_filename(7))
    (record,), unread = convert(write(make_event(*attributes, red, objects=(file,), Tag=tag("tlp:amber"))))
    assert unread == []
    objects = read(record)
    assert len(objects) > 20
    strict = {str(item["id"]) for item in objects if str(item["id"]).endswith(name_part(5))}
    strict |= {str(item["id"]) for item in objects if strict & set(map(str, item.values()))}
    for item in objects:
        assert item["object_marking_refs"] == [TLP2_RED if item["id"] in strict else TLP2_AMBER], item
    assert record.audiences == dict.fromkeys(strict, frozenset({AURELIA, BOREALIA}))


def test_a_bad_part_and_a_bad_event_take_no_other_with_them() -> None:
    bad = make_attribute(2, type="no-such-type", category="No such category")
    parts: list[Json] = [
        make_event(make_attribute(1), bad),
        {"info": "x"},
        make_event(make_attribute(3), uuid=name_part(9)),
    ]
    data = json.dumps({"response": [{"Event": part} for part in parts]}).encode()
    records, unread = convert(data)
    assert len(records) == 2
    assert any(str(item["id"]).endswith(name_part(1)) for item in read(records[0]))
    assert "/response/1/Event" in [one.place for one in unread]
    assert any("misp-stix" in one.reason for one in unread) or records[0].notes


def test_the_same_file_read_again_is_the_same_objects() -> None:
    data = write(make_event(make_attribute(1), objects=(make_object(6, make_filename(7)),), Tag=tag("tlp:green")))
    first, again = convert(data)[0][0], convert(data)[0][0]
    stable = [text for text in first.objects if b'"relationship"' not in text]
    assert stable == [text for text in again.objects if b'"relationship"' not in text]
    assert [item["id"] for item in read(first)] == [item["id"] for item in read(again)]


def test_a_converter_that_gives_up_takes_one_event_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(converting, "_BOUNDS", Bounds(memory=3 << 30, seconds=60, answer=30_000))
    long = make_event(*(make_attribute(number) for number in range(1, 60)))
    records, unread = convert(write(long, make_event(make_attribute(1), uuid=name_part(9))))
    assert [record.place for record in records] == ["/response/1/Event"]
    assert [one.place for one in unread] == ["/response/0/Event"]
    assert "longer" in unread[0].reason


def test_who_reads_gets_turns_while_the_converter_works() -> None:
    turns = [
        item for item in convert_events(write(make_event(make_attribute(1))), MAPPING, party=AURELIA) if item is None
    ]
    assert turns  # it takes a second to start


def test_what_is_no_json_is_refused_whole() -> None:
    with pytest.raises(MalformedJson):
        convert(b"{")


def test_without_misp_stix_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    def find(_: str) -> ModuleSpec | None:
        return None

    monkeypatch.setattr(converting, "find_spec", find)
    with pytest.raises(NotInstalled, match=r"comity\[misp\]"):
        convert(write(make_event()))


def test_ids_are_those_of_the_twins_that_misp_stix_made() -> None:
    if not TWINS.is_dir():
        pytest.skip("the files of MISP and their STIX twins are not here")
    events = (TWINS / "test_events_collection_1.json").read_bytes()
    twin = json.loads((TWINS / "test_events_collection_stix21.json").read_bytes())
    records, unread = convert(events)
    assert unread == []
    made = {str(item["id"]) for record in records for item in read(record)}
    expected = {item["id"] for item in twin["objects"]}
    kept = {name for name in made if not name.startswith(_MADE_ANEW)}
    assert kept
    assert kept <= expected
    assert all(record.audiences.keys() == {str(item["id"]) for item in read(record)} for record in records)


def test_an_event_keeps_its_own_id() -> None:
    (record,), _ = convert(write(make_event(make_attribute(1))))
    assert any(str(item["id"]).endswith(EVENT) for item in read(record))
    assert not {str(item["id"]) for item in read(record)} & set(TLP_IDS)
