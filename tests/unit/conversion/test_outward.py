# SPDX-License-Identifier: Apache-2.0
"""Own objects through the real misp-stix to MISP and back: what went in comes out, or is told."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from comity.conversion import events as converting
from comity.conversion import outward
from comity.conversion.child import Bounds
from comity.conversion.events import convert_events
from comity.conversion.outward import MadeEvent, make_events
from comity.errors import NotInstalled
from comity.ids import PartyId
from comity.intake.misp_mapping import MispMapping
from comity.intake.misp_outward import Loss
from comity.intake.records import Record
from comity.stix.markings import TLP_IDS
from tests.unit.intake.misp_events import (
    EVENT,
    make_attribute,
    make_event,
    make_filename,
    make_object,
    name_part,
    tag,
    write,
)
from tests.unit.intake.test_misp_outward import AT, make

AURELIA = PartyId("aurelia")
TWINS = Path(__file__).parents[4] / "shared" / "data" / "misp"


def take_in(data: bytes) -> list[dict[str, Any]]:
    records = [item for item in convert_events(data, MispMapping(), party=AURELIA) if isinstance(item, Record)]
    return [json.loads(text) for record in records for text in record.objects]


def give(values: Sequence[dict[str, Any]]) -> tuple[list[dict[str, Any]], list[Loss]]:
    definitions = {str(one["id"]): one for one in values if one["type"] == "marking-definition"}
    made = [one for one in make_events(values, definitions=definitions, title="Ours", turn=0.01) if one is not None]
    return [dict(one.event) for one in made if isinstance(one, MadeEvent)], [
        one for one in made if isinstance(one, Loss)
    ]


def fold(values: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Objects by id, without the markings and what grows of them."""
    left = {"object_marking_refs", "labels", "created_by_ref", "object_refs"}
    kept = [one for one in values if one["type"] not in {"identity", "marking-definition"}]
    return {str(one["id"]): {name: item for name, item in one.items() if name not in left} for one in kept}


def levels(values: Sequence[dict[str, Any]]) -> dict[str, set[str]]:
    kept = [one for one in values if one["type"] not in {"identity", "marking-definition"}]
    return {str(one["id"]): set(one.get("object_marking_refs", ())) for one in kept}


def test_an_event_comes_back_with_its_ids_values_and_markings() -> None:
    event = make_event(
        *(make_attribute(number, comment=f"seen at {number}") for number in (1, 2)),
        make_attribute(4, to_ids=False),
        objects=(make_object(6, make_filename(7)),),
        Tag=tag("tlp:amber", "PAP:GREEN", "iep:commercial-use", "relay"),
    )
    objects = take_in(write(event))
    (made,), lost = give(objects)
    assert lost == []
    assert (made["uuid"], made["info"], made["Orgc"]) == (EVENT, event["info"], event["Orgc"])
    assert {item["uuid"]: item["value"] for item in made["Attribute"]} == {
        name_part(number): f"198.51.100.{number}" for number in (1, 2, 4)
    }
    again = take_in(write(made))
    assert fold(again) == fold(objects)
    assert levels(again) == levels(objects)


def test_a_stricter_attribute_stays_stricter_and_none_becomes_wider() -> None:
    event = make_event(make_attribute(1), make_attribute(2, Tag=tag("tlp:red")), Tag=tag("tlp:green"))
    objects = take_in(write(event))
    (made,), lost = give(objects)
    assert lost == []
    said = {item["uuid"]: [one["name"] for one in item["Tag"]] for item in made["Attribute"]}
    assert said == {name_part(1): ["tlp:green"], name_part(2): ["tlp:red"]}
    assert made["Tag"][-1]["name"] == "tlp:red"
    before, after = levels(objects), levels(take_in(write(made)))
    ranks = [*dict.fromkeys(TLP_IDS.values())]
    order: dict[str, int] = {name: ranks.index(level) for name, level in TLP_IDS.items()}
    assert before.keys() == after.keys()
    for name, marks in before.items():
        assert max(map(order.__getitem__, after[name])) >= max(map(order.__getitem__, marks)), name


def test_objects_of_other_origin_are_carried_or_told() -> None:
    indicator = make("indicator", 1, pattern="[ipv4-addr:value = '198.51.100.1']", pattern_type="stix", valid_from=AT)
    malware = make("malware", 2, name="Ashfall", is_family=False)
    sighting = make("sighting", 3, sighting_of_ref=indicator["id"], count=3)
    link = make("relationship", 4, relationship_type="indicates", source_ref=indicator["id"], target_ref=malware["id"])
    (made,), lost = give([indicator, malware, sighting, link, make("x-desk-thing", 5, x_words="Marrow Ford")])
    told = {one.id.partition("--")[0] for one in lost if one.id}
    assert told == {"sighting", "relationship", "x-desk-thing"}
    assert [item["uuid"] for item in made["Attribute"]] == [name_part(1)]


def test_a_converter_that_gives_up_loses_its_group_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outward, "_BOUNDS", Bounds(memory=3 << 30, seconds=60, answer=10_000))
    names = [f"ipv4-addr--{name_part(number)}" for number in range(1, 80)]
    addresses = [{"type": "ipv4-addr", "spec_version": "2.1", "id": name, "value": "198.51.100.1"} for name in names]
    report = make("report", 90, name="Long", published=AT, object_refs=names)
    short = {"type": "ipv4-addr", "spec_version": "2.1", "id": f"ipv4-addr--{name_part(99)}", "value": "203.0.113.1"}
    events, lost = give([*addresses, report, short])
    assert [[item["uuid"] for item in event["Attribute"]] for event in events] == [[name_part(99)]]
    assert {one.id for one in lost} == {*names, report["id"]}


def test_without_misp_stix_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(converting, "find_spec", lambda _: None)
    with pytest.raises(NotInstalled, match=r"comity\[misp\]"):
        give([])


def test_the_twins_of_misp_stix_come_back() -> None:
    if not TWINS.is_dir():
        pytest.skip("the files of MISP and their STIX twins are not here")
    data = (TWINS / "test_events_collection_1.json").read_bytes()
    objects = take_in(data)
    events, lost = give(objects)
    assert lost == []
    before = {one["Event"]["uuid"]: one["Event"] for one in json.loads(data)["response"]}
    assert {event["uuid"] for event in events} == before.keys()
    for event in events:
        for kind in ("Attribute", "Object"):
            assert {item["uuid"] for item in event[kind]} == {
                item["uuid"] for item in before[event["uuid"]].get(kind, ())
            }
        values = {item["uuid"]: item["value"] for item in event["Attribute"]}
        assert values == {item["uuid"]: item["value"] for item in before[event["uuid"]].get("Attribute", ())}
    assert fold(take_in(write(*events))) == fold(objects)
