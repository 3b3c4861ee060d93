# SPDX-License-Identifier: Apache-2.0
"""What a MISP event says of who may have it."""

import json

import pytest

from comity.canonical import Json
from comity.errors import MalformedJson
from comity.ids import PartyId
from comity.intake.misp import Plan, is_foreign, parse_misp, plan_event, plan_event_in_steps
from comity.intake.misp_mapping import MispMapping
from comity.intake.restrictions import Restriction
from tests.unit.intake.misp_events import (
    EVENT,
    GROUP,
    ORGANISATION,
    Fields,
    make_attribute,
    make_event,
    make_filename,
    make_object,
    name_part,
    tag,
    write,
)

BOREALIA, MERIDIA = PartyId("borealia"), PartyId("meridia")
NOBODY: frozenset[PartyId] = frozenset()
MAPPING = MispMapping(
    levels={"community": frozenset({BOREALIA}), "all": None},
    sharing_groups={GROUP: frozenset({MERIDIA})},
    organisations={ORGANISATION: BOREALIA},
)


def plan(event: Fields, mapping: MispMapping = MAPPING) -> Plan:
    (read,) = parse_misp(write(event)).events
    return plan_event(read, mapping)


def test_events_come_in_four_wrappings() -> None:
    event = make_event()
    for data in (event, {"Event": event}, [{"Event": event}], [event], {"response": [{"Event": event}]}):
        reading = parse_misp(json.dumps(data).encode())
        assert [one.uuid for one in reading.events] == [EVENT]
        assert reading.unread == ()


def test_what_is_no_event_takes_no_other_with_it() -> None:
    parts = [{"Event": make_event()}, {"Event": {"info": "x"}}, 3, {"Object": {}}, {"Event": {"uuid": EVENT}}]
    reading = parse_misp(json.dumps({"response": parts}).encode())
    assert len(reading.events) == 1
    assert [one.place for one in reading.unread] == [f"/response/{index}/Event" for index in range(1, 5)]
    assert "whole events" in reading.unread[2].reason


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        ({"Attribute": [{"type": "ip-dst", "value": "198.51.100.1"}]}, "whole events"),
        ({"Object": {}}, "whole events"),
        ({"info": "x", "Attribute": []}, "uuid"),
        ({"Tag": []}, "uuid"),
    ],
)
def test_a_file_without_an_event_says_so(data: object, reason: str) -> None:
    reading = parse_misp(json.dumps(data).encode())
    assert reading.events == ()
    assert [(one.place, reason in one.reason) for one in reading.unread] == [("/Event", True)]


@pytest.mark.parametrize("data", [b"", b"{", b"[", b"null", b'{"response": 1}', b"\xff"])
def test_what_is_no_json_is_refused_whole(data: bytes) -> None:
    with pytest.raises(MalformedJson):
        parse_misp(data)


@pytest.mark.parametrize(
    ("level", "audience"),
    [
        *(("0", NOBODY), ("1", {BOREALIA}), ("2", NOBODY), ("3", None), (3, None), ("4", NOBODY), ("9", NOBODY)),
        *(("all", NOBODY), ("community", NOBODY), ("missing", NOBODY), (None, NOBODY), (True, NOBODY), (" 3", NOBODY)),
    ],
)
def test_a_distribution_is_an_audience(level: Json, audience: object) -> None:
    assert plan(make_event(distribution=level)).restriction.audience == audience


def test_an_event_without_distribution_goes_to_nobody_unless_somebody_says_so() -> None:
    event = make_event()
    del event["distribution"]
    assert plan(event).restriction.audience == NOBODY
    said = MispMapping(levels={"all": None, "missing": None})
    assert plan(event, said).restriction.audience is None


def test_an_event_that_is_not_published_goes_to_nobody() -> None:
    assert plan(make_event(published=False)).restriction.audience == NOBODY
    assert plan(make_event(published="0")).restriction.audience == NOBODY


@pytest.mark.parametrize(
    ("group", "audience"),
    [
        ({"uuid": GROUP}, {MERIDIA}),
        ({"uuid": GROUP.upper()}, {MERIDIA}),
        ({"uuid": name_part(1)}, NOBODY),
        ({"uuid": name_part(1), "SharingGroupOrg": []}, NOBODY),
        ({"uuid": name_part(1), "SharingGroupOrg": [{"Organisation": {"uuid": ORGANISATION}}]}, {BOREALIA}),
        ({"uuid": name_part(1), "SharingGroupOrg": [{"Organisation": {"uuid": name_part(2)}}, 7]}, NOBODY),
        ("x", NOBODY),
        (None, NOBODY),
    ],
)
def test_a_sharing_group_is_an_audience_and_an_empty_one_is_nobody(group: Json, audience: object) -> None:
    assert plan(make_event(distribution="4", SharingGroup=group)).restriction.audience == audience


def test_the_strictest_of_event_object_and_attribute_holds() -> None:
    plain = make_attribute(1)
    strict = make_attribute(2, distribution="0", Tag=tag("tlp:red"))
    loose = make_attribute(3, Tag=tag("tlp:clear"))
    inside = make_filename(5, distribution="4", SharingGroup={"uuid": GROUP}, Tag=tag("PAP:RED"))
    found = plan(
        make_event(plain, strict, loose, objects=(make_object(4, inside, make_filename(6)),), Tag=tag("TLP:Amber"))
    )
    assert found.restriction == Restriction(tlp="amber")
    assert found.parts[name_part(1)] == Restriction(tlp="amber")
    assert found.parts[name_part(2)] == Restriction(tlp="red", audience=NOBODY)
    assert found.parts[name_part(3)] == Restriction(tlp="amber")
    for number in (4, 5, 6):  # whatever is in an object counts for all of it
        assert found.parts[name_part(number)] == Restriction(tlp="amber", pap="red", audience=frozenset({MERIDIA}))
    assert found.whole == Restriction(tlp="red", pap="red", audience=NOBODY)


def test_two_levels_of_one_scale_on_one_thing_are_withheld() -> None:
    found = plan(make_event(Tag=tag("tlp:white", "tlp:red"))).restriction
    assert found.tlp == "red"
    assert found.foreign == {"contradictory: clear, red"}


@pytest.mark.parametrize(
    ("name", "foreign"),
    [
        ("tlp:ex:chr", True),
        ("tlp:unclear", True),
        ("tlp", True),
        ("pap:purple", True),
        ('iep:commercial-use="may"', True),
        ("iep:red", True),
        ("nato:classification", True),
        ("tlp:amber+strict", False),
        ("tlp:white", False),
        ("pap:white", False),
        ("pap:red", False),
        ('acs-marking:formal_determination="nf"', True),
        ('ais-marking:aisconsent="none"', True),
        ("misp:should-not-sync", True),
        ("misp:tool", False),
        ("secret//noforn", True),
        ("dissem:orcon", True),
        ("rel to xa, xb", True),
        ("top secret", True),
        ("infoleak:confidential", False),
        ('handling:tlp="red"', True),
        ("desk: tlp red", True),
        ("tlpred", True),
        ("ttlp:red", True),
        ("t.l.p:red", True),
        ("tpl:amber", True),
        ("tlp\u0440:red", True),
        ("traffic-light-protocol:red", True),
        ("tlpish:red", False),
        ("papaya:red", False),
        ("papers:green", False),
        ('misp-galaxy:threat-actor="x"', False),
    ],
)
def test_a_tag_that_restricts_and_is_not_understood_is_kept_as_a_foreign_marking(name: str, foreign: bool) -> None:
    assert is_foreign(name) is foreign
    found = plan(make_event(Tag=tag(name)))
    assert (name in found.restriction.foreign) is foreign
    left = [item["name"] for item in found.content["Tag"]]  # type: ignore[index,union-attr,call-overload]
    assert (left == []) is (foreign or name in {"tlp:amber+strict", "tlp:white", "pap:red"})


def test_what_is_deleted_or_proposed_is_left_out_and_said() -> None:
    found = plan(make_event(make_attribute(1, deleted=True), make_attribute(2), ShadowAttribute=[make_attribute(3)]))
    assert [item["uuid"] for item in found.content["Attribute"]] == [name_part(2)]  # type: ignore[index,union-attr,call-overload]
    assert "ShadowAttribute" not in found.content
    assert len(found.notes) == 2


@pytest.mark.parametrize(
    "bad",
    [
        {"uuid": "x"},
        {"value": None},
        {"value": {"a": 1}},
        {"type": 3},
        {"timestamp": "yesterday"},
        {"timestamp": True},
    ],
)
def test_a_bad_attribute_takes_no_other_with_it(bad: Fields) -> None:
    found = plan(make_event(make_attribute(1), make_attribute(2) | bad, make_attribute(3)))
    assert len(found.content["Attribute"]) == 2  # type: ignore[arg-type]
    assert [one.place for one in found.unread] == ["/response/0/Event/Attribute/1"]


def test_parts_that_are_no_lists_are_said() -> None:
    found = plan(make_event(Attribute={"uuid": 1}, Object="x", Tag="y", Galaxy=3))
    assert [one.place for one in found.unread] == ["/response/0/Event/Attribute", "/response/0/Event/Object"]


# --- what hangs on parts, odd forms -----------------------------------------------------------------------------------


def hang(number: int, **more: Json) -> Fields:
    return {"uuid": name_part(number)} | more


@pytest.mark.parametrize("kind", ["EventReport", "Note", "Opinion", "GalaxyCluster"])
def test_what_hangs_on_a_part_is_as_strict_as_both(kind: str) -> None:
    strict: Fields = {kind: [hang(7, distribution="0", Tag=tag("tlp:red"), Note=[hang(8)])]}
    for event in (make_event() | strict, make_event(make_attribute(1) | strict)):
        found = plan(event)
        for number in (7, 8):
            assert found.parts[name_part(number)] == Restriction(tlp="red", audience=NOBODY)
    inside: Json = [hang(5, GalaxyCluster=[hang(7, distribution="0")])]
    assert plan(make_event(Galaxy=inside)).parts[name_part(7)].audience == NOBODY


def test_what_hangs_on_a_part_and_is_deleted_is_left_out() -> None:
    found = plan(make_event(EventReport=[hang(7, deleted=True), hang(8)]))
    assert found.content["EventReport"] == [hang(8)]


@pytest.mark.parametrize("kind", ["EventReport", "GalaxyCluster", "Note", "Opinion", "Relationship", "Sighting"])
@pytest.mark.parametrize("uuid", [None, "x", 7])
def test_what_hangs_on_a_part_without_a_uuid_is_left_out_and_said(kind: str, uuid: Json) -> None:
    """What a converter makes of it could not be told from what is less strict."""
    named: Fields = {} if uuid is None else {"uuid": uuid}
    strict: Fields = named | {"distribution": "0", "Tag": tag("tlp:red")}
    part: Fields = {kind: [hang(5), strict]}
    found = plan(make_event(make_attribute(1) | part) | {kind: [strict]})
    content = json.loads(json.dumps(found.content))
    assert [item["uuid"] for item in content["Attribute"][0][kind]] == [name_part(5)]
    assert content[kind] == []
    assert [one.place for one in found.unread] == [
        f"/response/0/Event/{kind}/0",
        f"/response/0/Event/Attribute/0/{kind}/1",
    ]


def test_what_misp_correlates_with_is_of_other_events_and_left_out() -> None:
    other: Json = [{"Event": {"uuid": name_part(999), "info": "Night Ford", "distribution": "0"}}]
    found = plan(make_event(make_attribute(1, RelatedAttribute=other), RelatedEvent=other))
    assert "Night Ford" not in json.dumps(found.content)


def test_what_stands_twice_is_as_strict_as_both() -> None:
    found = plan(make_event(make_attribute(1, distribution="0"), make_attribute(1)))
    assert found.parts[name_part(1)].audience == NOBODY


@pytest.mark.parametrize(
    "tags",
    [
        {"name": "tlp:red"},
        ["tlp:red"],
        [{"name": 3}],
        "tlp:red",
        [{"name": "TLP-RED"}],
        [{"name": "tlp red"}],
        [{"name": "NOFORN"}],
        [{"name": 'csirt_case_classification:sensitivity-classification="red"'}],
    ],
)
def test_tags_in_odd_forms_withhold(tags: Json) -> None:
    assert plan(make_event(Tag=tags)).restriction.foreign


@pytest.mark.parametrize("name", ["tlp\u200b:red", "\uff34\uff2c\uff30\uff1aRED", " Tlp:Red "])
def test_a_tag_that_only_looks_different_is_the_same(name: str) -> None:
    assert plan(make_event(Tag=[{"name": name}])).restriction == Restriction(tlp="red")


def test_a_tag_that_is_longer_than_any_withholds_unread() -> None:
    assert plan(make_event(Tag=tag("x" * 1_001))).restriction.foreign
    assert not plan(make_event(Tag=tag("x" * 1_000))).restriction.foreign


def test_others_get_turns_by_the_tags_that_are_read() -> None:
    tagged = [make_attribute(1, Tag=tag(*(f"tag {number}" for number in range(900)))) for _ in range(10)]
    (event,) = parse_misp(write(make_event(*tagged))).events
    assert sum(1 for _ in plan_event_in_steps(event, MAPPING)) >= 10


def test_tags_in_the_wrapping_of_the_database_are_read() -> None:
    assert plan(make_event(EventTag=[{"Tag": {"name": "tlp:red"}}])).restriction.tlp == "red"
    found = plan(make_event(make_attribute(1, AttributeTag=[{"Tag": {"name": "tlp:red"}}])))
    assert found.parts[name_part(1)].tlp == "red"


def test_tags_that_misp_keeps_to_itself_leave_with_nothing() -> None:
    tags: Json = [
        {"name": "a"},
        {"name": "b", "local": True},
        {"name": "c", "exportable": False},
        {"name": "d", "local": 1},
    ]
    assert plan(make_event(Tag=tags)).content["Tag"] == [{"name": "a"}]


@pytest.mark.parametrize("said", ["false", "no", None, [], 0, "0"])
def test_only_what_says_that_it_is_published_is(said: Json) -> None:
    assert plan(make_event(published=said)).restriction.audience == NOBODY


@pytest.mark.parametrize("said", ["true", 1, [], "yes", {}])
def test_only_what_says_that_it_is_not_deleted_is_not(said: Json) -> None:
    assert plan(make_event(make_attribute(1, deleted=said))).content["Attribute"] == []
