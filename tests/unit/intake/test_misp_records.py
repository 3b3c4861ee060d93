# SPDX-License-Identifier: Apache-2.0
"""What a converter made of an event is marked as strictly as its part of the event, whatever the converter did."""

import json

from hypothesis import given
from hypothesis import strategies as st

from comity.canonical import Json
from comity.ids import PartyId
from comity.intake.misp import Plan, parse_misp, plan_event
from comity.intake.misp_mapping import MispMapping
from comity.intake.misp_records import mark_objects
from comity.intake.records import Record
from comity.stix.markings import TLP1_RED, TLP1_WHITE, TLP2_AMBER, TLP2_CLEAR, TLP2_RED
from tests.unit.intake.misp_events import (
    EVENT,
    GROUP,
    ORGANISATION,
    Fields,
    make_attribute,
    make_event,
    name_part,
    tag,
    write,
)

AURELIA, BOREALIA = PartyId("aurelia"), PartyId("borealia")
MAPPING = MispMapping(sharing_groups={GROUP: frozenset({BOREALIA})})
MADE = "2026-03-03T00:00:00.000Z"
OTHER = "11111111-1111-4111-8111-111111111111"


def plan(event: Fields) -> Plan:
    (read,) = parse_misp(write(event)).events
    return plan_event(read, MAPPING)


def make(kind: str, uuid: str, **more: Json) -> Fields:
    return {"type": kind, "spec_version": "2.1", "id": f"{kind}--{uuid}", "created": MADE, "modified": MADE} | more


def mark(event: Fields, *objects: Json) -> Record:
    return mark_objects(plan(event), objects, party=AURELIA)


def index(record: Record) -> dict[str, Fields]:
    read = [json.loads(data) for data in record.objects]
    return {item["id"]: item for item in read}


EVENT_OBJECT = make("grouping", EVENT, created_by_ref=f"identity--{ORGANISATION}", object_refs=[])
ORGANISATION_OBJECT = make("identity", ORGANISATION, name="Marrow Ford CERT")


def test_children_of_a_marked_event_are_marked() -> None:
    event = make_event(make_attribute(1), make_attribute(2, Tag=tag("tlp:red")), Tag=tag("tlp:amber"))
    found = index(mark(event, EVENT_OBJECT, make("indicator", name_part(1)), make("indicator", name_part(2))))
    assert found[f"indicator--{name_part(1)}"]["object_marking_refs"] == [TLP2_AMBER]
    assert found[f"indicator--{name_part(2)}"]["object_marking_refs"] == [TLP2_RED]
    assert found[f"grouping--{EVENT}"]["object_marking_refs"] == [TLP2_AMBER]


def test_what_the_converter_marked_more_openly_is_marked_anew_and_other_markings_stay() -> None:
    statement = f"marking-definition--{OTHER}"
    loose = make("indicator", name_part(1), object_marking_refs=[TLP1_WHITE, statement])
    record = mark(
        make_event(make_attribute(1), Tag=tag("tlp:red")), loose, {"type": "marking-definition", "id": TLP1_RED}
    )
    found = index(record)
    assert found[f"indicator--{name_part(1)}"]["object_marking_refs"] == [TLP2_RED, statement]
    assert TLP1_RED not in found


def test_an_unmarked_event_stays_unmarked() -> None:
    found = index(
        mark(make_event(make_attribute(1)), make("indicator", name_part(1), object_marking_refs=[TLP1_WHITE]))
    )
    assert "object_marking_refs" not in found[f"indicator--{name_part(1)}"]


def test_what_is_of_no_one_part_is_as_strict_as_what_it_is_tied_to() -> None:
    event = make_event(make_attribute(1), make_attribute(2, distribution="0"), make_attribute(3), Tag=tag("tlp:clear"))
    indicators = [make("indicator", name_part(number)) for number in (1, 2, 3)]
    tied = make("relationship", OTHER, source_ref=indicators[0]["id"], target_ref=indicators[1]["id"])
    far = make("relationship", name_part(90), source_ref=tied["id"], target_ref=f"note--{name_part(91)}")
    note = make("note", name_part(91))
    free = make("relationship", name_part(92), source_ref=indicators[0]["id"], target_ref=indicators[2]["id"])
    listing = make("grouping", EVENT, object_refs=[item["id"] for item in indicators])
    record = mark(event, *indicators, tied, far, note, free, listing)
    strict = {str(item["id"]) for item in (indicators[1], tied, far, note)}
    assert record.audiences == dict.fromkeys(strict, frozenset({AURELIA}))
    assert all(item["object_marking_refs"] == [TLP2_CLEAR] for item in index(record).values())


def test_what_cannot_be_placed_is_as_strict_as_the_whole_event() -> None:
    event = make_event(make_attribute(1, Tag=tag("tlp:red"), distribution="0"), Tag=tag("tlp:clear"))
    record = mark(event, make("note", OTHER))
    assert index(record)[f"note--{OTHER}"]["object_marking_refs"] == [TLP2_RED]
    assert record.audiences == {f"note--{OTHER}": frozenset({AURELIA})}


def test_an_organisation_of_a_strict_event_and_an_open_one_are_two_objects() -> None:
    ids = set()
    for more in ({"Tag": tag("tlp:red")}, {"Tag": tag("tlp:clear")}, {"Tag": tag("tlp:clear"), "distribution": "0"}):
        record = mark(make_event(**more), EVENT_OBJECT, ORGANISATION_OBJECT)
        found = index(record)
        (name,) = (name for name in found if name.startswith("identity--"))
        assert found[f"grouping--{EVENT}"]["created_by_ref"] == name
        assert found[name]["external_references"] == [{"source_name": "misp-organisation", "external_id": ORGANISATION}]
        ids.add(name)
    assert len(ids) == 3


def test_the_same_organisation_of_two_like_events_is_one_version() -> None:
    later = ORGANISATION_OBJECT | {"created": "2027-01-01T00:00:00.000Z", "modified": "2027-01-01T00:00:00.000Z"}
    first, second = (mark(make_event(), item).objects for item in (ORGANISATION_OBJECT, later))
    assert first == second


def test_objects_come_after_what_they_refer_to_also_in_a_circle() -> None:
    first = make("note", name_part(1), object_refs=[f"note--{name_part(2)}"])
    second = make("note", name_part(2), object_refs=[f"note--{name_part(1)}", f"note--{name_part(3)}"])
    third = make("note", name_part(3))
    names = [*index(mark(make_event(), first, second, third))]
    assert sorted(names) == sorted(str(item["id"]) for item in (first, second, third))
    assert names[0] == third["id"]


def test_an_attribute_that_became_nothing_is_said() -> None:
    assert mark(make_event(make_attribute(1))).notes == (f"attribute {name_part(1)} became no object",)


@given(
    st.lists(
        st.recursive(
            st.none() | st.text() | st.integers(),
            lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(["id", "type", "a_ref", "b_refs"]), inner),
        ),
        max_size=4,
    )
)
def test_whatever_a_converter_says_is_taken_or_left(objects: list[Json]) -> None:
    mark(make_event(), *objects)


def test_an_identity_that_made_no_event_is_as_strict_as_its_part() -> None:
    event = make_event(make_attribute(1, distribution="0"), Tag=tag("tlp:green"))
    indicator, desk = make("indicator", name_part(1)), make("identity", OTHER, name="Secret Desk")
    sighting = make("sighting", name_part(90), sighting_of_ref=indicator["id"], where_sighted_refs=[desk["id"]])
    record = mark(event, indicator, desk, sighting, EVENT_OBJECT, ORGANISATION_OBJECT)
    assert record.audiences[str(desk["id"])] == frozenset({AURELIA})
    assert not [name for name in record.audiences if name.startswith("identity--") and name != desk["id"]]
