# SPDX-License-Identifier: Apache-2.0
"""STIX 2.0 becomes 2.1 with its ids, versions and markings; what is lost is said, what is restricted stays so."""

import json
import time
from typing import Any

import pytest

from comity.errors import MalformedFile, MalformedObject
from comity.ids import PartyId, parse_instant
from comity.intake.elevation import elevate, read_stix_20
from comity.intake.making import Maker
from comity.node.schemas import read_schemas
from comity.stix.markings import TLP1_AMBER, TLP1_RED, TLP2_RED, read_markings
from comity.stix.objects import parse_object
from comity.stix.validation import check_object

MAKER = Maker(party=PartyId("aurelia"), at=parse_instant("2026-11-23T09:00:00Z"))


def make(kind: str, **said: Any) -> dict[str, Any]:  # noqa: ANN401 (whatever an object says)
    return {
        "type": kind,
        "id": f"{kind}--4b2e5f2e-8f0e-4a52-9d0c-111111111119",
        "created": "2016-04-06T20:03:48.000Z",
        "modified": "2016-04-06T20:03:48.000Z",
        **said,
    }


def lift(value: dict[str, Any], maker: Maker = MAKER) -> tuple[list[dict[str, Any]], tuple[str, ...]]:
    objects, notes = elevate(json.dumps(value).encode(), maker=maker)
    for data in objects:
        check_object(read_schemas(), parse_object(data)[1])
    return [json.loads(data) for data in objects], notes


OBSERVED = make(
    "observed-data",
    first_observed="2016-04-06T19:58:16.000Z",
    last_observed="2016-04-06T19:58:16.000Z",
    number_observed=2,
    object_marking_refs=[TLP1_AMBER],
    objects={
        "0": {"type": "file", "name": "reed.exe", "created": "2016-01-01T00:00:00Z", "parent_directory_ref": "1"},
        "1": {"type": "directory", "path": "C:\\reed", "contains_refs": ["0"], "modified": "2016-01-02T00:00:00Z"},
        "2": {"type": "process", "pid": 7, "name": "reed", "binary_ref": "0", "created": "2016-01-01T00:00:00Z"},
        "3": {
            "type": "email-message",
            "is_multipart": True,
            "body_multipart": [{"content_disposition": "inline", "body_raw_ref": "0"}],
        },
    },
)


@pytest.mark.parametrize(
    ("kind", "said", "name"),
    [
        (
            "indicator",
            {"pattern": "[ipv4-addr:value = '198.51.100.1']", "valid_from": "2016-01-01T00:00:00Z"},
            "indicator_types",
        ),
        ("malware", {"name": "Reed"}, "malware_types"),
        (
            "report",
            {
                "name": "r",
                "published": "2016-01-01T00:00:00Z",
                "object_refs": ["identity--4b2e5f2e-8f0e-4a52-9d0c-111111111119"],
            },
            "report_types",
        ),
        ("threat-actor", {"name": "Reed Cutters"}, "threat_actor_types"),
        ("tool", {"name": "VNC"}, "tool_types"),
        ("identity", {"name": "Desk", "identity_class": "group"}, "roles"),
    ],
)
def test_labels_go_where_2_1_has_them(kind: str, said: dict[str, Any], name: str) -> None:
    (value,), _ = lift(make(kind, labels=["a-word"], x_own=1, **said))
    assert (value[name], "labels" in value, value["x_own"], value["spec_version"]) == (["a-word"], False, 1, "2.1")
    assert (value["id"], value["modified"]) == (make(kind)["id"], make(kind)["modified"])


def test_labels_stay_where_2_1_has_no_other_place() -> None:
    (value,), notes = lift(make("campaign", name="c", labels=["a-word"]))
    assert (value["labels"], notes) == (["a-word"], ())


def test_a_malware_is_taken_as_a_family_and_that_is_said() -> None:
    (value,), notes = lift(make("malware", name="Reed", labels=["x"]))
    assert value["is_family"] is True
    assert "taken as one" in notes[0]


def test_what_an_observation_holds_becomes_objects_that_refer_to_each_other() -> None:
    (file, directory, process, mail, observed), notes = lift(OBSERVED)
    assert observed["object_refs"] == [one["id"] for one in (file, directory, process, mail)]
    assert "objects" not in observed
    assert (file["ctime"], directory["mtime"], process["created_time"]) == (
        "2016-01-01T00:00:00Z",
        "2016-01-02T00:00:00Z",
        "2016-01-01T00:00:00Z",
    )
    assert (file["parent_directory_ref"], directory["contains_refs"]) == (directory["id"], [file["id"]])
    assert (process["image_ref"], mail["body_multipart"][0]["body_raw_ref"]) == (file["id"], file["id"])
    assert notes == ("process 2: name has no place in STIX 2.1 and is left out",)


def test_everything_of_an_observation_bears_its_markings_and_those_of_the_file() -> None:
    marked, _ = lift(OBSERVED, Maker(party=MAKER.party, at=MAKER.at, markings=[TLP2_RED]))
    assert [one["object_marking_refs"] for one in marked] == [[TLP2_RED]] * 5
    assert [read_markings(one, definitions={}).others for one in marked] == [frozenset()] * 5


def test_the_same_observation_is_the_same_objects_and_a_later_version_others() -> None:
    first, again = lift(OBSERVED)[0], lift(OBSERVED)[0]
    later = lift({**OBSERVED, "modified": "2017-01-01T00:00:00.000Z"})[0]
    assert first == again
    assert not {one["id"] for one in first[:4]} & {one["id"] for one in later[:4]}


@pytest.mark.parametrize("selector", ["objects.0.name", "objects"])
def test_a_marking_of_what_moved_counts_for_all(selector: str) -> None:
    granular = [
        {"selectors": [selector], "marking_ref": TLP1_RED},
        {"selectors": ["number_observed"], "marking_ref": TLP1_RED},
    ]
    (*observables, observed), notes = lift({**OBSERVED, "granular_markings": granular})
    assert all(TLP1_RED in one["object_marking_refs"] for one in (*observables, observed))
    assert read_markings(observed, definitions={}).tlp == "red"
    assert observed["granular_markings"] == granular[1:]
    assert "marks all of the object" in notes[0]


def test_a_marking_of_labels_that_moved_counts_for_all() -> None:
    value = make(
        "tool", name="VNC", labels=["a"], granular_markings=[{"selectors": ["labels.[0]"], "marking_ref": TLP1_RED}]
    )
    (lifted,), _ = lift(value)
    assert lifted["object_marking_refs"] == [TLP1_RED]
    assert "granular_markings" not in lifted


def test_an_object_of_2_1_is_left_as_it_was_received() -> None:
    data = json.dumps(make("tool", name="VNC", spec_version="2.1", labels=["a"]), indent=3).encode()
    assert elevate(data, maker=MAKER) == ((data,), ())


def test_a_marking_definition_stays_what_it_is() -> None:
    value = {
        "type": "marking-definition",
        "id": TLP1_AMBER,
        "created": "2017-01-20T00:00:00.000Z",
        "definition_type": "tlp",
        "definition": {"tlp": "amber"},
    }
    (lifted,), _ = lift(value, Maker(party=MAKER.party, at=MAKER.at, markings=[TLP2_RED]))
    assert lifted == {**value, "spec_version": "2.1"}


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ({"type": "tool"}, "`type` or `id`"),
        ([], "not a JSON object"),
        ({**OBSERVED, "objects": {}}, "not a table of observables"),
        ({**OBSERVED, "objects": []}, "not a table of observables"),
        ({**OBSERVED, "objects": {"0": {"name": "x"}}}, "no `type`"),
        ({**OBSERVED, "objects": {"0": {"type": "file", "content_ref": "9"}}}, "'9', which is not in `objects`"),
        ({**OBSERVED, "objects": {"0": {"type": "file", "content_ref": ["0"]}}}, "which is not in `objects`"),
    ],
)
def test_what_cannot_be_followed_is_refused(value: object, words: str) -> None:
    with pytest.raises(MalformedObject) as refused:
        elevate(json.dumps(value).encode(), maker=MAKER)
    assert words in refused.value.detail


def test_a_bad_object_takes_no_good_one_with_it() -> None:
    data = json.dumps(
        {
            "type": "bundle",
            "id": "x",
            "spec_version": "2.0",
            "objects": [make("tool", name="a"), 7, {"a": 1}, make("tool", name="b")],
        }
    )
    parts = [*read_stix_20([data.encode()], maker=MAKER)]
    assert [one.place for part in parts for one in part.records] == ["/objects/0", "/objects/3"]
    assert [one.place for part in parts for one in part.unread] == ["/objects/1", "/objects/2"]


def test_what_is_cut_short_is_told() -> None:
    with pytest.raises(MalformedFile, match="cut short"):
        [*read_stix_20([b'{"spec_version":"2.0","objects":[{"a":1}'], maker=MAKER)]


def test_any_number_of_folded_markings_is_folded_in_a_short_time() -> None:
    named = [f"marking-definition--{number:08d}-0000-4000-8000-000000000000" for number in range(6_000)]
    marked = [{"selectors": ["labels"], "marking_ref": one} for one in (TLP1_AMBER, *named, TLP1_RED, TLP1_AMBER)]
    value = make("tool", name="VNC", labels=["a"], object_marking_refs=[TLP1_AMBER], granular_markings=marked)
    started = time.process_time()
    (data,), _ = elevate(json.dumps(value).encode(), maker=MAKER)
    assert time.process_time() - started < 3
    assert sorted(json.loads(data)["object_marking_refs"]) == sorted([*named, TLP1_RED])
