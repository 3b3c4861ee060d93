# SPDX-License-Identifier: Apache-2.0
"""What a MISP event does not say of the objects it was made of is told, property by property."""

from typing import Any

import pytest

from comity.intake.misp_losses import find_losses
from comity.intake.misp_outward import split_objects
from tests.unit.intake.misp_events import name_part
from tests.unit.intake.test_misp_outward import AT, SECONDS, make

PATTERN = "[ipv4-addr:value = '198.51.100.1']"
INDICATOR = make("indicator", 1, pattern=PATTERN, pattern_type="stix", valid_from=AT)
ATTRIBUTE = {"uuid": name_part(1), "value": "198.51.100.1", "timestamp": SECONDS}


def losses(*values: dict[str, Any], again: tuple[dict[str, Any], ...] = (), **event: Any) -> dict[str, str]:  # noqa: ANN401
    (group,) = split_objects(values).groups
    return {one.id: one.reason for one in find_losses(group, event, again=again)}


def test_what_stands_in_the_event_is_not_lost() -> None:
    assert losses(INDICATOR, Attribute=[ATTRIBUTE]) == {}


@pytest.mark.parametrize(
    ("more", "lost"),
    [
        ({"description": "Relays at Marrow Ford"}, "description"),
        ({"valid_until": "2027-01-01T00:00:00Z"}, "valid_until"),
        ({"confidence": 80}, "confidence"),
        ({"labels": ["198.51.100.1", "relay"]}, "labels"),
        ({"pattern": "[ipv4-addr:value = '203.0.113.7']"}, "pattern"),
        ({"x_urgent": True}, "x_urgent"),
        ({"name": "19"}, "name"),
        ({"external_references": [{"source_name": "desk"}]}, "external_references"),
        ({"extensions": {"extension-definition--x": {"subjects": ["national:ashfall"]}}}, "extensions"),
        ({"created_by_ref": f"identity--{name_part(5)}"}, "created_by_ref"),
    ],
)
def test_each_property_that_is_not_there_is_told(more: dict[str, Any], lost: str) -> None:
    assert losses(INDICATOR | more, Attribute=[ATTRIBUTE]) == {INDICATOR["id"]: f"not in the event: {lost}"}


def test_what_stands_elsewhere_in_the_event_is_lost_here() -> None:
    value = INDICATOR | {"description": "Relays at Marrow Ford"}
    other = {"uuid": name_part(2), "comment": value["description"]}
    assert losses(value, Attribute=[ATTRIBUTE, other]) == {value["id"]: "not in the event: description"}
    assert losses(value, Attribute=[ATTRIBUTE | {"comment": value["description"]}]) == {}


def test_an_object_that_is_nowhere_is_lost_and_so_is_an_id() -> None:
    malware = make("malware", 2, name="Ashfall")
    assert losses(malware) == {malware["id"]: "not in the event: all of it"}
    cluster = {"uuid": name_part(77), "value": "Ashfall"}
    assert losses(malware, Galaxy=[{"GalaxyCluster": [cluster]}]) == {malware["id"]: "not in the event: its id"}


def test_what_comes_back_the_same_is_whole_and_what_comes_back_otherwise_is_not() -> None:
    data = make("network-traffic", 3, protocols=["tcp"], dst_ref="x")
    assert losses(data, again=({"object_marking_refs": ["y"], **data, "created": "later"},)) == {}
    assert losses(data, again=(data | {"protocols": ["udp"]},)) == {data["id"]: "not in the event: all of it"}


def test_a_relationship_is_there_with_both_ends_and_its_type() -> None:
    ends = {"source_ref": f"malware--{name_part(1)}", "target_ref": f"malware--{name_part(2)}"}
    value = make("relationship", 3, relationship_type="uses", **ends)

    def said(uuid: int, other: int, kind: str) -> dict[str, str]:
        link = {"referenced_uuid": name_part(other), "relationship_type": kind}
        return losses(value, Object=[{"uuid": name_part(uuid), "ObjectReference": [link]}])

    assert said(1, 2, "uses") == {}
    assert {value["id"]} == said(2, 1, "uses").keys() == said(1, 2, "drops").keys() == said(1, 3, "uses").keys()
    told = value | {"description": "seen once"}
    link = {"referenced_uuid": name_part(2), "relationship_type": "uses"}
    assert losses(told, Object=[{"uuid": name_part(1), "ObjectReference": [link]}])
