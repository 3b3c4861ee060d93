# SPDX-License-Identifier: Apache-2.0
"""MISP events made of own objects: never wider than the objects are, each object in one of them."""

from typing import Any

import pytest

from comity.intake.marking import FOREIGN_MARKING_EXTENSION
from comity.intake.misp_completing import complete_event
from comity.intake.misp_outward import Group, split_objects
from comity.intake.misp_restoring import Restored
from comity.stix.markings import TLP2_AMBER, TLP2_GREEN, TLP2_RED
from tests.unit.intake.misp_events import name_part

AT = "2026-03-03T10:00:00.500Z"
SECONDS = "1772532000"
DEFINITION = "marking-definition--00000000-0000-4000-8000-0000000000dd"
PAP_RED = "marking-definition--740d36e5-7714-4c30-961a-3ae632ceee0e"


def make(kind: str, number: int, *marks: str, **more: Any) -> dict[str, Any]:  # noqa: ANN401 (fields of any object)
    plain = {"type": kind, "spec_version": "2.1", "id": f"{kind}--{name_part(number)}", "created": AT, "modified": AT}
    return plain | ({"object_marking_refs": [*marks]} if marks else {}) | more


def define(words: str) -> dict[str, Any]:
    extension = {FOREIGN_MARKING_EXTENSION: {"extension_type": "property-extension", "words": words}}
    return {"type": "marking-definition", "id": DEFINITION, "created": AT, "name": words, "extensions": extension}


def one_group(*values: dict[str, Any], **more: Any) -> Group:  # noqa: ANN401
    split = split_objects(values, **more)
    assert split.lost == ()
    (group,) = split.groups
    return group


def tags(item: dict[str, Any]) -> list[str]:
    return [tag["name"] for tag in item["Tag"]]


def complete(group: Group, **made: Any) -> dict[str, Any]:  # noqa: ANN401
    parts = {part.id: part for part in group.parts}
    return complete_event(group, made, title="Ours", restored=Restored(), parts=parts)


def attribute(number: int, **more: Any) -> dict[str, Any]:  # noqa: ANN401
    return {"uuid": name_part(number), "type": "ip-dst", "value": f"198.51.100.{number}"} | more


def test_each_attribute_is_as_strict_as_its_object_and_the_event_as_the_strictest() -> None:
    group = one_group(make("indicator", 1, TLP2_GREEN), make("indicator", 2, TLP2_RED, PAP_RED), make("indicator", 3))
    event = complete(group, Attribute=[attribute(1), attribute(2), attribute(3)])
    assert [tags(item) for item in event["Attribute"]] == [["tlp:green"], ["tlp:red", "PAP:RED"], []]
    assert tags(event) == ["tlp:red", "PAP:RED"]
    assert (event["distribution"], event["published"], event["info"]) == ("0", False, "Ours")
    assert {item["distribution"] for item in event["Attribute"]} == {"0"}
    assert {item["timestamp"] for item in (event, *event["Attribute"])} == {SECONDS}


def test_what_cannot_be_placed_is_as_strict_as_everything() -> None:
    group = one_group(make("indicator", 1, TLP2_GREEN), make("malware", 2, TLP2_RED))
    event = complete(group, Attribute=[attribute(1), attribute(9)])
    assert [tags(item) for item in event["Attribute"]] == [["tlp:green"], ["tlp:red"]]


def test_what_hangs_on_an_attribute_counts_for_it() -> None:
    group = one_group(
        make("indicator", 1, TLP2_GREEN),
        make("indicator", 3, TLP2_GREEN),
        make("malware", 2, TLP2_AMBER),
        make(
            "relationship", 4, TLP2_RED, source_ref=f"indicator--{name_part(1)}", target_ref=f"malware--{name_part(2)}"
        ),
    )
    galaxy = {"Galaxy": [{"GalaxyCluster": [{"value": "Ashfall"}]}]}
    event = complete(group, Attribute=[attribute(1, **galaxy), attribute(3, **galaxy)])
    assert [tags(item) for item in event["Attribute"]] == [["tlp:red"], ["tlp:amber"]]


@pytest.mark.parametrize(
    ("values", "more"),
    [
        ((make("observed-data", 1, TLP2_GREEN, object_refs=[f"ipv4-addr--{name_part(2)}"]),), {}),
        ((make("indicator", 1, TLP2_GREEN),), {"comment": f"Indicator ID: ipv4-addr--{name_part(2)}"}),
        ((make("indicator", 1, TLP2_GREEN), make("ipv6-addr", 1, TLP2_RED)), {}),
    ],
    ids=["referred to", "mentioned", "of the same UUID"],
)
def test_what_stands_for_several_objects_is_as_strict_as_all(values: Any, more: dict[str, Any]) -> None:  # noqa: ANN401
    group = one_group(*values, make("ipv4-addr", 2, TLP2_RED))
    event = complete(group, Attribute=[attribute(1, **more), attribute(2)])
    assert [tags(item) for item in event["Attribute"]] == [["tlp:red"], ["tlp:red"]]


def test_the_attributes_of_an_object_of_misp_bear_its_tags() -> None:
    group = one_group(make("indicator", 1, TLP2_AMBER))
    event = complete(group, Object=[{"uuid": name_part(1), "Attribute": [attribute(7), attribute(8)]}])
    assert [tags(item) for item in event["Object"][0]["Attribute"]] == [["tlp:amber"]] * 2


def test_a_level_that_an_object_calls_itself_is_no_tag() -> None:
    group = one_group(make("indicator", 1, TLP2_RED, labels=["tlp:clear", "relay"]))
    event = complete(group, Attribute=[attribute(1, Tag=[{"name": "TLP:CLEAR"}, {"name": "relay"}])])
    assert tags(event["Attribute"][0]) == ["relay", "tlp:red"]


def test_a_granular_marking_counts_for_the_whole() -> None:
    marked = [{"marking_ref": TLP2_RED, "selectors": ["description"]}]
    group = one_group(make("indicator", 1, TLP2_GREEN, description="d", granular_markings=marked))
    assert tags(complete(group, Attribute=[attribute(1)])["Attribute"][0]) == ["tlp:red"]


@pytest.mark.parametrize(
    "definition",
    [None, define("Eyes of the desk only"), define("contradictory: green, red"), define("iep:" + "x" * 300)],
    ids=["not this party's", "no tag", "no restriction as a tag", "too long"],
)
def test_an_object_of_which_no_tag_says_the_restriction_is_left_out(definition: dict[str, Any] | None) -> None:
    definitions = {} if definition is None else {DEFINITION: definition}
    split = split_objects([make("indicator", 1, TLP2_GREEN, DEFINITION)], definitions=definitions)
    assert split.groups == ()
    assert [(one.id, DEFINITION in one.reason) for one in split.lost] == [(f"indicator--{name_part(1)}", True)]
    marked = [{"marking_ref": DEFINITION, "selectors": ["description"]}]
    value = make("indicator", 1, TLP2_GREEN, description="d", granular_markings=marked)
    assert split_objects([value], definitions=definitions).groups == ()


def test_a_marking_that_was_a_tag_is_one_again_and_a_statement_is_said() -> None:
    group = one_group(make("indicator", 1, DEFINITION), definitions={DEFINITION: define("IEP:commercial-use")})
    assert tags(complete(group, Attribute=[attribute(1)])["Attribute"][0]) == ["IEP:commercial-use"]
    statement = {"type": "marking-definition", "definition_type": "statement", "definition": {"statement": "(c) Ours"}}
    group = one_group(make("indicator", 1, DEFINITION), definitions={DEFINITION: statement})
    assert tags(complete(group, Attribute=[attribute(1)])["Attribute"][0]) == ["statement:(c) Ours"]


def test_what_is_revoked_is_left_out() -> None:
    split = split_objects([make("indicator", 1, revoked=True)])
    assert (split.groups, [one.reason for one in split.lost]) == ((), ["it is revoked, which MISP does not say of it"])


def test_each_object_is_in_one_event_with_what_is_about_it() -> None:
    names = [f"indicator--{name_part(number)}" for number in range(4)]
    maker = make("identity", 9, name="Ours")
    values = [
        maker,
        *(make("indicator", number, created_by_ref=maker["id"]) for number in range(4)),
        make("relationship", 5, source_ref=names[0], target_ref=names[1]),
        make("relationship", 6, source_ref=names[0], target_ref=names[3]),
        make("report", 7, object_refs=names[:2], created_by_ref=maker["id"]),
        make("grouping", 8, object_refs=names[1:3], created_by_ref=maker["id"]),
    ]
    first, second, third = split_objects(values).groups
    members = [
        {part.id.replace("00000000-0000-4000-8000-0000000000", "") for part in one.parts}
        for one in (first, second, third)
    ]
    assert members == [
        {"identity--09", "indicator--00", "indicator--01", "relationship--05", "report--07"},
        {"identity--09", "indicator--02", "grouping--08"},
        {"indicator--03", "relationship--06"},
    ]
    event = complete(second, uuid=name_part(8), Tag=[{"name": 'misp-galaxy:producer="Ours"'}, {"name": "x"}])
    assert (event["Orgc"], tags(event)) == ({"name": "Ours", "uuid": name_part(9)}, ["x"])
    assert (event["uuid"], event["date"]) == (name_part(8), "2026-03-03")


def test_the_same_objects_are_the_same_event() -> None:
    values = [make("indicator", 1), make("indicator", 2)]
    events = [complete(one_group(*some)) for some in (values, values[::-1], values[:1])]
    assert events[0]["uuid"] == events[1]["uuid"] != events[2]["uuid"]
