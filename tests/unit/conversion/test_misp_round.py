# SPDX-License-Identifier: Apache-2.0
"""MISP events taken in and given out again: as they were, and never wider than their objects are."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from comity.canonical import Json
from comity.conversion.events import Converter
from comity.conversion.outward import MadeEvent, make_events
from comity.ids import PartyId
from comity.intake.misp_mapping import MispMapping
from comity.intake.misp_outward import Loss
from comity.intake.misp_sayings import NAMED
from comity.intake.records import Record
from comity.stix.markings import TLP2_AMBER, TLP2_GREEN, TLP2_RED
from tests.unit.intake.misp_events import EVENT, GROUP, Fields, make_attribute, make_event, name_part, tag, write
from tests.unit.intake.misp_rich import make_cluster, make_data, make_galaxy, make_inner, make_rich_event, make_sighting
from tests.unit.intake.test_misp_outward import AT, make

AURELIA, BOREALIA = PartyId("aurelia"), PartyId("borealia")
TWINS = Path(__file__).parents[4] / "shared" / "data" / "misp"
MAPPING = MispMapping(
    levels={"all": None, "community": frozenset({BOREALIA})}, sharing_groups={GROUP: frozenset({BOREALIA})}
)


@dataclass
class Held:
    """What was taken in: objects by id, what was said beside them, whom each may reach, and what was noted."""

    objects: dict[str, dict[str, Any]]
    sayings: list[bytes]
    audiences: dict[str, frozenset[PartyId] | None]
    notes: list[str]


@pytest.fixture(scope="module")
def converter() -> Iterator[Converter]:
    with Converter(MAPPING, party=AURELIA) as made:
        yield made


def take_in(converter: Converter, data: bytes) -> Held:
    records = [item for item in converter.convert(data) if isinstance(item, Record)]
    objects = [json.loads(text) for record in records for text in record.objects]
    said = dict.fromkeys(text for record in records for found in record.sayings.values() for text in found)
    audiences = {name: parties for record in records for name, parties in record.audiences.items()}
    notes = [note for record in records for note in record.notes]
    return Held({one["id"]: one for one in objects}, [*said], {**audiences}, notes)


def give(held: Held, *, sayings: Sequence[bytes] | None = None) -> tuple[list[dict[str, Any]], list[Loss]]:
    definitions = {name: one for name, one in held.objects.items() if one["type"] == "marking-definition"}
    made = [
        *make_events(
            [*held.objects.values()],
            definitions=definitions,
            sayings=held.sayings if sayings is None else sayings,
            audiences=held.audiences,
            title="Ours",
            turn=0.01,
        )
    ]
    events = [dict(one.event) for one in made if isinstance(one, MadeEvent)]
    return events, [one for one in made if isinstance(one, Loss)]


def leave_levels(value: Any) -> Any:  # noqa: ANN401 (any JSON)
    """Without the levels of TLP among tags, which each attribute bears by itself when it leaves."""
    match value:
        case list():
            return [leave_levels(item) for item in value if "tlp:" not in str(item) or not is_tag(item)]
        case dict():
            return {name: leave_levels(item) for name, item in value.items() if name != "Tag" or item}
        case _:
            return value


def is_tag(value: Any) -> bool:  # noqa: ANN401 (any JSON)
    return isinstance(value, dict) and "name" in value and "uuid" not in value


def fold(event: Mapping[str, Any]) -> Any:  # noqa: ANN401 (any JSON)
    return {name: item for name, item in leave_levels(leave_levels(event)).items() if item not in ([], None)}


def list_uuids(value: Any) -> Iterator[str]:  # noqa: ANN401 (any JSON)
    if isinstance(value, dict):
        if "uuid" in value:
            yield str(value["uuid"]).lower()
        for item in value.values():
            yield from list_uuids(item)
    elif isinstance(value, list):
        for item in value:
            yield from list_uuids(item)


def tags_of(event: Mapping[str, Any], number: int) -> list[str]:
    (found,) = find(event, number)
    return [one["name"] for one in found.get("Tag", ())]


def find(value: Any, number: int) -> Iterator[dict[str, Any]]:  # noqa: ANN401 (any JSON)
    if isinstance(value, dict):
        if value.get("uuid") == name_part(number):
            yield value
        for item in value.values():
            yield from find(item, number)
    elif isinstance(value, list):
        for item in value:
            yield from find(item, number)


# --- as it was ------------------------------------------------------------------------------------------------------


def test_everything_that_misp_said_comes_out_as_it_went_in(converter: Converter) -> None:
    event = make_rich_event()
    held = take_in(converter, write(event))
    (made,), lost = give(held)
    assert lost == []
    assert fold(made) == fold(event)
    assert tags_of(made, 1) == ['misp-galaxy:threat-actor="Ashfall"', "relay", "tlp:green"]


def test_every_stix_id_comes_back_with_its_markings_relationships_and_reach(converter: Converter) -> None:
    group: Fields = {"distribution": "4", "sharing_group_id": "3", "SharingGroup": {"uuid": GROUP, "name": "Desks"}}
    event = make_rich_event(Tag=tag("tlp:amber", "PAP:GREEN", "iep:commercial-use"), **group)
    held = take_in(converter, write(event))
    (made,), _ = give(held)
    again = take_in(converter, write(made))
    sensor = f"identity--{name_part(401)}"  # the converter says that it was made when it was converted
    assert {name: one for name, one in again.objects.items() if name != sensor} == {
        name: one for name, one in held.objects.items() if name != sensor
    }
    assert again.audiences == held.audiences
    assert set(held.audiences.values()) == {frozenset({AURELIA, BOREALIA})}


def test_without_what_misp_said_ids_are_lost_and_told(converter: Converter) -> None:
    held = take_in(converter, write(make_rich_event()))
    (made,), lost = give(held, sayings=[])
    assert name_part(22) not in set(list_uuids(made))
    assert {one.id for one in lost} >= {f"sighting--{name_part(301)}", f"x-misp-galaxy-cluster--{name_part(114)}"}


def test_the_twins_of_misp_stix_come_out_as_they_went_in(converter: Converter) -> None:
    if not TWINS.is_dir():
        pytest.skip("the files of MISP and their STIX twins are not here")
    data = (TWINS / "test_events_collection_1.json").read_bytes()
    objects = json.loads((TWINS / "test_objects_collection_1.json").read_bytes())["response"]
    with_objects = make_event(objects=tuple(one["Object"] for one in objects))
    events = [one["Event"] for one in json.loads(data)["response"]] + [with_objects]
    held = take_in(converter, write(*events))
    made, lost = give(held)
    assert lost == []
    kept = {event["uuid"]: event for event in made}
    assert kept.keys() == {event["uuid"] for event in events}
    for event in events:
        assert set(list_uuids(kept[event["uuid"]])) == set(list_uuids(event))
        assert kept[event["uuid"]].get("Object") or fold(event).get("Object", []) == []


# --- as strict as the objects are -----------------------------------------------------------------------------------


def test_each_attribute_and_the_event_are_marked_as_misp_marked_them(converter: Converter) -> None:
    event = make_event(make_attribute(1), make_attribute(2, Tag=tag("tlp:red", "in person")), Tag=tag("tlp:green"))
    (made,), lost = give(take_in(converter, write(event)))
    assert lost == []
    assert [one["name"] for one in made["Tag"]] == ["tlp:green"]
    assert (tags_of(made, 1), tags_of(made, 2)) == (["tlp:green"], ["in person", "tlp:red"])


def test_what_is_marked_more_strictly_here_leaves_so_with_its_ids(converter: Converter) -> None:
    held = take_in(converter, write(make_rich_event()))
    later = "2026-05-05T10:00:00.000Z"
    for kind, number in (("indicator", 21), ("threat-actor", 111)):
        held.objects[f"{kind}--{name_part(number)}"] |= {"object_marking_refs": [TLP2_RED], "modified": later}
    (made,), lost = give(held)
    assert lost == []
    assert set(list_uuids(made)) == set(list_uuids(make_rich_event()))
    assert {level(made, number) for number in (22, 23, 24)} == {"tlp:red"}  # an object of MISP bears no tag itself
    assert (level(made, 1), level(made, 2)) == ("tlp:red", "tlp:green")  # the cluster hangs on the first
    (changed,) = find(made, 21)
    assert (changed["timestamp"], changed["Attribute"][1]["timestamp"]) == ("1777975200", "1603642999")


def level(event: Mapping[str, Any], number: int) -> str:
    (found,) = [name for name in tags_of(event, number) if name.startswith("tlp:")]
    return found


def test_what_may_reach_fewer_by_now_is_distributed_to_nobody(converter: Converter) -> None:
    held = take_in(converter, write(make_rich_event(distribution="1")))
    assert held.audiences[f"indicator--{name_part(1)}"] == frozenset({AURELIA, BOREALIA})
    held.audiences[f"indicator--{name_part(1)}"] = frozenset({AURELIA})
    (made,), lost = give(held)
    assert lost == []
    levels = {item["uuid"]: item["distribution"] for item in made["Attribute"]}
    assert (levels[name_part(1)], levels[name_part(2)], made["distribution"]) == ("0", "5", "1")
    del held.audiences[f"report--{EVENT}"]  # any party
    (made,), _ = give(held)
    assert made["distribution"] == "1"


@pytest.mark.parametrize(
    ("kind", "hung"),
    [
        ("Note", make_data(311, "Note", 1, note="For few", distribution="0")),
        ("Sighting", make_sighting(303, "2") | {"distribution": "0"}),
    ],
    ids=["became an object", "became none"],
)
def test_what_is_stricter_than_what_it_hangs_on_is_not_said_of_that(
    converter: Converter, kind: str, hung: Fields
) -> None:
    event = make_event(make_attribute(1) | {kind: [hung]}, make_attribute(2), Tag=tag("tlp:green"))
    held = take_in(converter, write(event))
    (own,) = [text for text in held.sayings if json.loads(text)["uuid"] == name_part(1)]
    assert b"For few" not in own
    assert name_part(303).encode() not in own
    (made,), lost = give(held)
    if kind == "Note":
        assert set(list_uuids(made)) == set(list_uuids(event))
    else:
        assert held.notes[0].endswith(f"were left out: Sighting {name_part(303)}")
    assert lost == []


def test_a_galaxy_hangs_on_what_is_strict_and_on_what_is_not(converter: Converter) -> None:
    few, many = make_cluster(111, "threat-actor", "Ashfall"), make_cluster(115, "threat-actor", "Millrace")
    hung: list[Fields] = [{"Galaxy": [make_galaxy(101, "threat-actor", "Actor", one)]} for one in (few, many)]
    event = make_event(
        make_attribute(1) | hung[0] | {"Tag": tag("tlp:red")}, make_attribute(2) | hung[1], Tag=tag("tlp:green")
    )
    held = take_in(converter, write(event))
    assert held.notes == []
    (made,), lost = give(held)
    assert lost == []
    assert fold(made) == fold(event)
    assert (level(made, 1), level(made, 2)) == ("tlp:red", "tlp:green")
    held.objects[f"threat-actor--{name_part(115)}"]["revoked"] = True
    (made,), lost = give(held)
    assert "Millrace" not in json.dumps(made)
    assert {one.id for one in lost} >= {f"threat-actor--{name_part(115)}"}


def make_named(*, on_event: bool) -> Fields:
    """An event of which the tags say the names of its clusters, as MISP writes it."""
    hung: Fields = {
        "Galaxy": [make_galaxy(101, "threat-actor", "Actor", make_cluster(111, "threat-actor", "Millrace"))],
        "Tag": tag("relay", 'misp-galaxy:threat-actor="Millrace"', "tlp:green"),
    }
    if on_event:
        return make_event(make_attribute(1), make_attribute(2), objects=(), **hung)
    # A converter says the tags of an attribute in what is to be detected, and in nothing else.
    return make_event(make_attribute(1, to_ids=False, **hung), make_attribute(2), Tag=tag("tlp:green"))


@pytest.mark.parametrize("on_event", [True, False])
def test_a_tag_that_says_a_cluster_goes_with_the_cluster(converter: Converter, *, on_event: bool) -> None:
    event = make_named(on_event=on_event)
    held = take_in(converter, write(event))
    name = f"threat-actor--{name_part(111)}"
    (made,), lost = give(held)
    assert lost == []
    assert fold(made) == fold(event)
    assert all(name in json.loads(text)["became"] for text in held.sayings if b"Millrace" in text)
    narrowed = replace(held, audiences={**held.audiences, name: frozenset({AURELIA})})
    (made,), _ = give(narrowed)
    assert [one["distribution"] for one in (made, *made["Attribute"])] == (
        ["0", "5", "5"] if on_event else ["3", "0", "5"]
    )
    held.objects[name]["revoked"] = True
    (made,), lost = give(held)
    assert "Millrace" not in json.dumps(made)
    assert "relay" in json.dumps(made)


def test_what_hangs_on_a_thing_and_may_reach_fewer_by_now_keeps_it_here(converter: Converter) -> None:
    event = make_event(make_attribute(1, Sighting=[make_sighting(301, "0")]), make_attribute(2), Tag=tag("tlp:green"))
    held = take_in(converter, write(event))
    held.audiences[f"sighting--{name_part(301)}"] = frozenset({AURELIA})
    (made,), _ = give(held)
    assert [one["distribution"] for one in made["Attribute"]] == ["0", "5"]


def test_a_sighting_by_whom_nobody_has_is_told_and_the_rest_leaves(converter: Converter) -> None:
    event = make_event(make_attribute(1, Sighting=[make_sighting(301, "0")]), Tag=tag("tlp:green"))
    held = take_in(converter, write(event))
    del held.objects[f"identity--{name_part(401)}"]
    (made,), lost = give(held)
    assert "Sensor Desk" not in json.dumps(made)
    assert [one["uuid"] for one in made["Attribute"]] == [name_part(1)]
    assert {one.id for one in lost if one.id} == {f"sighting--{name_part(301)}"}


@pytest.mark.parametrize(("name", "call"), [(401, "Sensor Desk"), (0, "Marrow Ford CERT")])
def test_whoever_is_withdrawn_is_not_named(converter: Converter, name: int, call: str) -> None:
    sightings: list[Json] = [make_sighting(301, "0"), make_sighting(303, "2")]
    event = make_event(make_attribute(1, Sighting=sightings), Tag=tag("tlp:green"))
    held = take_in(converter, write(event))
    (maker,) = [one for one in held.objects.values() if one["type"] == "identity" and one["name"] == call]
    assert (maker["id"] == f"identity--{name_part(401)}") is bool(name)
    maker["revoked"] = True
    (made,), _ = give(held)
    assert call not in json.dumps(made)
    assert [one["uuid"] for one in made["Attribute"]] == [name_part(1)]


def test_what_was_said_of_a_strict_thing_is_not_said_of_an_open_one(converter: Converter) -> None:
    event = make_event(make_attribute(2, to_ids=False, comment="who told us"), Tag=tag("tlp:red", "PAP:RED"))
    held = take_in(converter, write(event))
    (made,), _ = give(held)
    assert "who told us" in json.dumps(made)
    for marks in ([TLP2_GREEN], []):
        wider = {name: {**one, "object_marking_refs": marks} for name, one in held.objects.items()}
        (made,), _ = give(replace(held, objects=wider))
        assert "who told us" not in json.dumps(made)
        assert "198.51.100.2" in json.dumps(made)


def test_what_was_said_of_an_older_version_is_not_said_again_though_it_comes_later(converter: Converter) -> None:
    new, old = (
        take_in(converter, write(make_event(make_attribute(1), threat_level_id=level, timestamp=at)))
        for level, at in (("3", "1703642920"), ("1", "1603642920"))
    )
    held = replace(new, sayings=new.sayings + old.sayings)
    (made,), _ = give(held)
    assert made["threat_level_id"] == "3"
    (made,), _ = give(replace(new, sayings=old.sayings))
    assert (made["threat_level_id"], made["timestamp"]) == ("1", "1703642920")


def test_a_file_names_nothing_of_another_event(converter: Converter) -> None:
    ours = make_event(make_attribute(1, comment="ours alone"), uuid=name_part(901), distribution="0")
    name: Json = {NAMED: ["Attribute", name_part(1)]}
    group: Fields = {"distribution": "4", "SharingGroup": {"uuid": GROUP, "name": "Desks", "x": name}}
    note = make_data(311, "Note", 2, note="words") | {"x": name}
    hostile = make_event(make_attribute(2, x=[name], **group), uuid=name_part(902), Note=[note], SharingGroup=name)
    first, second = take_in(converter, write(ours)), take_in(converter, write(hostile))
    held = Held(first.objects | second.objects, first.sayings + second.sayings, first.audiences | second.audiences, [])
    events, _ = give(held)
    assert len(events) == 2
    assert ["ours alone" in json.dumps(one) for one in events] == [one["uuid"] == name_part(901) for one in events]


def test_what_is_too_deep_to_be_read_again_is_converted(converter: Converter) -> None:
    event = make_event(make_attribute(1, comment="words"), Tag=tag("tlp:green"))
    held = take_in(converter, write(event))
    (saying,) = [text for text in held.sayings if json.loads(text)["kind"] == "Attribute"]
    deep = saying.replace(b'"words"', b"[" * 500 + b"]" * 500)
    (made,), _ = give(held, sayings=[one if one != saying else deep for one in held.sayings])
    assert [one["uuid"] for one in made["Attribute"]] == [name_part(1)]


# --- while the objects say that still -------------------------------------------------------------------------------


def test_what_people_changed_leaves_as_they_changed_it_and_the_rest_as_it_was(converter: Converter) -> None:
    held = take_in(converter, write(make_rich_event()))
    name = f"indicator--{name_part(2)}"
    held.objects[f"observed-data--{name_part(2)}"]["number_observed"] = 3
    assert name not in held.objects  # it is not to be detected
    (made,), lost = give(held)
    assert {one.id for one in lost} == {f"observed-data--{name_part(2)}"}
    assert set(list_uuids(make_rich_event())) <= set(list_uuids(made))
    (first,), (second,) = find(made, 1), find(made, 2)
    assert (first["disable_correlation"], second["value"]) == (True, "198.51.100.2")
    assert (made["distribution"], made["threat_level_id"], made["Orgc"]["id"]) == ("0", "1", "7")


def test_what_people_withdrew_is_not_said(converter: Converter) -> None:
    held = take_in(converter, write(make_rich_event()))
    held.objects[f"note--{name_part(311)}"]["revoked"] = True
    (made,), lost = give(held)
    assert [one.id for one in lost] == [f"note--{name_part(311)}"]
    assert "Analyst's words" not in json.dumps(made)


def test_what_people_added_stands_beside_what_misp_said(converter: Converter) -> None:
    held = take_in(converter, write(make_rich_event()))
    pattern = {"pattern": "[domain-name:value = 'new.example']", "pattern_type": "stix", "valid_from": AT}
    new, odd = (
        make("indicator", 801, TLP2_AMBER, **pattern),
        make("x-desk-thing", 802, TLP2_AMBER, x_words="Marrow Ford"),
    )
    held.objects |= {new["id"]: new, odd["id"]: odd}
    held.objects[f"report--{EVENT}"]["object_refs"] += [new["id"], odd["id"]]
    (made,), lost = give(held)
    assert {one.id for one in lost if one.id} == {odd["id"]}
    assert set(list_uuids(make_rich_event())) <= set(list_uuids(made))
    assert (level(made, 1), level(made, 801)) == ("tlp:green", "tlp:amber")
    assert [one["name"] for one in made["Tag"]][-1] == "tlp:amber"
    (attribute,), (added,) = find(made, 1), find(made, 801)
    assert (made["distribution"], attribute["distribution"], added["distribution"]) == ("0", "5", "0")


def test_a_cluster_of_two_events_is_in_both(converter: Converter) -> None:
    galaxy: Fields = {
        "Galaxy": [make_galaxy(101, "threat-actor", "Actor", make_cluster(111, "threat-actor", "Ashfall"))]
    }
    events = [make_event(make_attribute(number, **galaxy), uuid=name_part(900 + number)) for number in (1, 2)]
    made, lost = give(take_in(converter, write(*events)))
    assert lost == []
    assert [sorted(list_uuids(one)) for one in made] == [sorted(list_uuids(one)) for one in events]


# --- whatever it is -------------------------------------------------------------------------------------------------


@st.composite
def events_of_misp(draw: st.DrawFn) -> Fields:
    """A small event, of anything, marked anyhow."""
    number = iter(range(1, 1_000))
    words = st.sampled_from(["", "seen", "quiet road", "\u0435x \u00e9 '"])
    marks = st.sampled_from([[], tag("tlp:green"), tag("tlp:red", "relay"), tag("PAP:RED"), tag("tlp:ex:chr")])
    levels = st.sampled_from(["0", "1", "3", "5"])
    clusters = {kind: make_cluster(700 + place, kind, kind.title()) for place, kind in enumerate(KINDS)}

    def hang(about: int) -> Fields:
        kind = draw(st.sampled_from(["", *KINDS]))
        hung: dict[str, Any] = (
            {"Galaxy": [make_galaxy(800 + len(kind), kind, kind.title(), clusters[kind])]} if kind else {}
        )
        if draw(st.booleans()):
            kinds = draw(st.lists(st.sampled_from(["0", "1", "2"]), max_size=2))
            hung["Sighting"] = [make_sighting(next(number), one) for one in kinds]
            hung["Note"] = [make_data(next(number), "Note", about, note="N", distribution=draw(levels))]
            hung["Opinion"] = [make_data(next(number), "Opinion", about, opinion="20", comment="C")]
        return hung

    def attribute(make_one: Any, *plain: Any) -> Fields:  # noqa: ANN401 (a function of the twins)
        own = next(number)
        more: Fields = {"comment": draw(words), "to_ids": draw(st.booleans()), "distribution": draw(levels)}
        more |= {"disable_correlation": draw(st.booleans()), "timestamp": str(draw(st.integers(1, 2_000_000_000)))}
        made: Fields = make_one(own, *plain, Tag=draw(marks), **more, **hang(own))
        return made

    attributes = [
        attribute(make_attribute) | dict(zip(("type", "value"), draw(st.sampled_from(VALUES)), strict=True))
        for _ in range(draw(st.integers(0, 3)))
    ]
    objects = list[Fields]()
    for name, relations in draw(st.lists(st.sampled_from(OBJECTS), max_size=2)):
        own = next(number)
        inner = [attribute(make_inner, *relation) for relation in relations]
        others = [one["uuid"] for one in (*attributes, *objects)]
        references: list[Fields] = [
            {"uuid": name_part(next(number)), "referenced_uuid": other, "relationship_type": "related-to"}
            for other in draw(st.lists(st.sampled_from(others), max_size=2))
            if others
        ] if others else []  # fmt: skip
        made: Fields = {"uuid": name_part(own), "name": name, "meta-category": "misc", "timestamp": "1603642920"}
        made |= {"distribution": draw(levels), "Attribute": [*inner], "ObjectReference": [*references]}
        objects.append(made)
    more: Fields = {"Tag": draw(marks), "distribution": draw(st.sampled_from(["0", "1", "3"]))}
    return make_event(*attributes, objects=tuple(objects), **more, **hang(0))


KINDS = ("threat-actor", "malware", "desk-galaxy")
VALUES = (
    ("ip-dst", "198.51.100.9"),
    ("domain", "relay.example"),
    ("url", "https://relay.example/x?y='z'"),
    ("sha1", "d" * 40),
    ("text", "words"),
    ("email-src", "a@example.org"),
    ("vulnerability", "CVE-2026-1000"),
    ("regkey|value", "HKLM\\x|y"),
)
OBJECTS = (
    ("file", (("filename", "filename", "x.exe"), ("md5", "md5", "e" * 32))),
    ("domain-ip", (("domain", "domain", "b.example"), ("ip", "ip-dst", "198.51.100.8"))),
    ("email", (("from", "email-src", "b@example.org"), ("subject", "email-subject", "hello"))),
    ("desk-thing", (("thing", "text", "same"), ("thing", "text", "same"))),
    ("person", (("last-name", "last-name", "Person"),)),
)


@settings(max_examples=60, deadline=None)
@given(event=events_of_misp())
def test_every_uuid_of_any_event_comes_out_or_is_told_and_nothing_is_wider(converter: Converter, event: Fields) -> None:
    held = take_in(converter, write(event))
    made, lost = give(held)
    told = json.dumps([one.id for one in lost]) + " ".join(held.notes)
    out = {uuid for one in made for uuid in list_uuids(one)}
    missing = {uuid for uuid in list_uuids(event) if uuid not in out and uuid not in told}
    assert not missing, told
    again = take_in(converter, write(*made))
    for name, one in held.objects.items():
        if one["type"] in {"identity", "marking-definition"}:
            continue
        back = again.objects.get(name)
        assert back is not None or name in told, name
        if back is not None:
            assert rank(back) >= rank(one), name
            assert (
                again.audiences.get(name) is None
                or held.audiences.get(name) is None
                or (
                    again.audiences[name] <= held.audiences[name]  # type: ignore[operator]
                )
            ), name


def rank(value: Mapping[str, Any]) -> int:
    refs = value.get("object_marking_refs", ())
    return max(
        (place for place, one in enumerate((TLP2_GREEN, TLP2_AMBER, TLP2_RED), start=1) if one in refs), default=0
    )
