# SPDX-License-Identifier: Apache-2.0
import json

import pytest

from comity.canonical import OBJECT_LIMITS, sha256_digest
from comity.errors import MalformedError, MalformedJson, MalformedObject
from comity.ids import parse_instant
from comity.stix import objects
from comity.stix.markings import TLP1_GREEN, TLP2_AMBER, TLP2_GREEN
from comity.stix.objects import (
    UNVERSIONED,
    BundleReading,
    ParsedBundle,
    join_bundles,
    parse_bundle,
    parse_object,
)

_TOOL = "tool--8e2e2d2b-17d4-4cbf-938f-98ee46b3cd3f"
_DESK = "identity--f431f809-377b-45e0-aa1c-6a4751cae5ff"
_GROUP = "intrusion-set--11111111-1111-4111-8111-111111111111"
_STATEMENT = "marking-definition--d81f86b9-975b-4c0b-875e-810c5ad45a4f"


def tool(**changes: object) -> dict[str, object]:
    value: dict[str, object] = {
        "type": "tool",
        "spec_version": "2.1",
        "id": _TOOL,
        "created": "2016-04-06T20:03:48.000Z",
        "modified": "2016-04-06T20:03:48.000Z",
        "name": "Lantern",
    }
    return {name: item for name, item in (value | changes).items() if item is not ...}


def encode(value: object) -> bytes:
    return json.dumps(value).encode()


def bundle(*values: object) -> bytes:
    return encode({"type": "bundle", "id": "bundle--63ab8e67-acac-4817-845a-d09f0e86954c", "objects": [*values]})


def test_reads_the_few_fields_and_keeps_the_bytes() -> None:
    data = b' { "name":"L\\u00e4ntern" ,' + encode(tool(created_by_ref=_DESK, name=...))[1:] + b"\n"
    obj, value = parse_object(data)
    assert (obj.id, obj.type, obj.spec_version, obj.version) == (_TOOL, "tool", "2.1", "2016-04-06T20:03:48.000Z")
    assert obj.created == obj.modified == parse_instant("2016-04-06T20:03:48Z")
    assert obj.references == {_DESK}
    assert not obj.revoked
    assert obj.data == data
    assert obj.digest == sha256_digest(data)
    assert value["name"] == "L\u00e4ntern"


def test_version_is_the_received_text_of_modified_else_created_else_fixed() -> None:
    assert parse_object(encode(tool(modified="2017-01-01T00:00:00.1Z")))[0].version == "2017-01-01T00:00:00.1Z"
    marking = {
        "type": "marking-definition",
        "spec_version": "2.1",
        "id": _STATEMENT,
        "created": "2017-04-14T13:07:49.812Z",
        "definition_type": "statement",
        "definition": {"statement": "For the parties."},
    }
    assert parse_object(encode(marking))[0].version == "2017-04-14T13:07:49.812Z"
    address = {
        "type": "ipv4-addr",
        "id": "ipv4-addr--ff26c055-6336-5bc5-b98d-13d6226742dd",
        "value": "198.51.100.3",
    }
    obj, _ = parse_object(encode(address))
    assert (obj.version, obj.spec_version, obj.created, obj.modified) == (UNVERSIONED, "2.1", None, None)


def test_references_are_found_at_any_depth_and_tlp_markings_are_none() -> None:
    nested = {"hops": [{"via_ref": _GROUP}], "more_refs": ["report--22222222-2222-4222-8222-222222222222"]}
    obj, _ = parse_object(
        encode(
            tool(
                created_by_ref=_DESK,
                object_marking_refs=[TLP2_AMBER, TLP1_GREEN, _STATEMENT],
                granular_markings=[{"marking_ref": TLP2_GREEN, "selectors": ["x_route"]}],
                x_route=nested,
                x_self_ref=_TOOL,
                x_empty_ref="",
                external_references=[{"source_name": "a", "external_id": "_ref"}],
            )
        )
    )
    assert obj.references == {_DESK, _GROUP, "report--22222222-2222-4222-8222-222222222222", _STATEMENT}


@pytest.mark.parametrize(
    ("inside", "found"),
    [
        (b'"created_by_ref":"%s"' % _DESK.encode(), {_DESK}),
        (b'"x_note":"ends in _ref","created_by_ref":"%s"' % _DESK.encode(), {_DESK}),
        (b'"x":[{"created_by_ref":"%s"}]' % _DESK.encode(), {_DESK}),
        (b'"x":{"a":{"b_refs":["%s"]}},"created_by_ref":"%s"' % (_GROUP.encode(), _DESK.encode()), {_DESK, _GROUP}),
        # A key that is written with numbers for characters, which would make up for one that lies deeper.
        (b'"created_by_re\\u0066":"%s","x":{"a_ref":"%s"}' % (_DESK.encode(), _GROUP.encode()), {_DESK, _GROUP}),
        (b'"x":{"\\u0061_\\u0072ef":"%s"}' % _GROUP.encode(), {_GROUP}),
        (b'"x_\\"_ref":"%s"' % _GROUP.encode(), {_GROUP}),
        (b'"object_marking_refs":["%s"],"object_refs":["%s"]' % ((TLP2_GREEN.encode(),) * 2), {TLP2_GREEN}),
    ],
)
def test_no_reference_is_missed_however_it_is_written(inside: bytes, found: set[str]) -> None:
    data = encode(tool())[:-1] + b"," + inside + b"}"
    assert parse_object(data)[0].references == found


def test_a_bundle_is_parsed_some_objects_at_a_time_to_the_same_end() -> None:
    other = {"id": _TOOL.replace("8e", "9e")}
    data = bundle(tool(), 5, tool(), tool(**other), tool(name="Lamp"), tool(**other))
    for most in (1, 2, 4):
        reading = BundleReading(data)
        parts = [reading.parse(most) for _ in range(0, reading.count, most)]
        assert join_bundles(parts) == parse_bundle(data)
        assert reading.parse(most) == ParsedBundle(good=(), places=(), bad=())
    whole = parse_bundle(data)
    assert (whole.places, whole.repeats, [one.index for one in whole.bad]) == ((0, 3), ((2, 0), (5, 3)), [1, 4])
    alone = BundleReading(encode(tool()))
    assert (alone.count, alone.parse(1).places, alone.parse(1).places) == (1, (0,), ())


def test_a_tlp_definition_that_something_other_than_a_marking_refers_to_is_a_reference() -> None:
    obj, _ = parse_object(encode(tool(x_about_ref=TLP2_GREEN)))
    assert obj.references == {TLP2_GREEN}


def test_a_revoked_object_says_so() -> None:
    assert parse_object(encode(tool(revoked=True)))[0].revoked


@pytest.mark.parametrize(
    ("changes", "where", "says"),
    [
        ({"type": ...}, "/type", "missing"),
        ({"type": 7}, "/type", "type"),
        ({"type": "bundle"}, "/type", "outer list"),
        ({"id": ...}, "/id", "missing"),
        ({"id": "tool--1"}, "/id", "type--uuid"),
        ({"id": _TOOL.upper()}, "/id", "lower case"),
        ({"id": _DESK}, "/id", "must be equal"),
        ({"type": "malware"}, "/id", "must be equal"),
        ({"spec_version": "2.0"}, "/spec_version", "STIX 2.1"),
        ({"spec_version": "2.2"}, "/spec_version", "not understood"),
        ({"spec_version": 2.1}, "/spec_version", "not understood"),
        ({"spec_version": ...}, "/spec_version", "STIX 2.0"),
        ({"created": ...}, "/created", "missing"),
        ({"modified": ...}, "/modified", "missing"),
        ({"modified": "2016-04-06T20:03:47.999Z"}, "/modified", "earlier than created"),
        ({"modified": "2017-02-30T00:00:00Z"}, "/modified", "not a time that exists"),
        ({"modified": "2017-01-01T00:00:00+00:00"}, "/modified", "UTC"),
        ({"created": "1999-13-01T00:00:00Z"}, "/created", "not a time that exists"),
        ({"created": 5}, "/created", "not text"),
        ({"revoked": "true"}, "/revoked", "true or false"),
        ({"created_by_ref": "the desk"}, "/created_by_ref", "type--uuid"),
        ({"created_by_ref": [_DESK]}, "/created_by_ref", "type--uuid"),
        ({"object_refs": _DESK}, "/object_refs", "not a list"),
        ({"object_refs": [_DESK, 3]}, "/object_refs/1", "type--uuid"),
        ({"x/y~": [{"a_ref": "b"}]}, "/x~1y~0/0/a_ref", "type--uuid"),
        ({"object_marking_refs": [_DESK]}, "/object_marking_refs/0", "marking-definition"),
        ({"object_marking_refs": [""]}, "/object_marking_refs/0", "marking-definition"),
        ({"granular_markings": [{"selectors": ["name"]}]}, "/granular_markings/0", "either"),
    ],
)
def test_refuses_what_would_make_a_later_decision_wrong(changes: dict[str, object], where: str, says: str) -> None:
    with pytest.raises(MalformedObject, match=says) as caught:
        parse_object(encode(tool(**changes)))
    assert caught.value.where == where
    # In a bundle the place is the whole way.
    assert (
        parse_bundle(bundle(tool(name="other", id=f"tool--{'0' * 8}-0000-4000-8000-{'0' * 12}"), tool(**changes)))
        .bad[0]
        .where
        == f"/objects/1{where}"
    )


@pytest.mark.parametrize(
    "data",
    [b"", b"[]", b"null", b'"tool"', b"{", encode(tool())[:-1], encode(tool()) + b"x", b"\xff", b"\xef\xbb\xbf{}"],
)
def test_refuses_what_is_no_object(data: bytes) -> None:
    for parse in (parse_object, parse_bundle):
        with pytest.raises(MalformedError) as caught:
            parse(data)
        assert caught.value.detail


def test_a_custom_object_without_times_is_unversioned_and_one_with_times_must_say_its_spec_version() -> None:
    custom = {"type": "x-thing", "id": "x-thing--8e2e2d2b-17d4-4cbf-938f-98ee46b3cd3f"}
    assert parse_object(encode(custom))[0].version == UNVERSIONED
    with pytest.raises(MalformedObject, match=r"STIX 2\.0"):
        parse_object(encode(custom | {"created": "2016-04-06T20:03:48.000Z"}))


@pytest.mark.parametrize(
    ("changes", "where"),
    [
        (
            {"extensions": {"extension-definition--60a3c5c5-0d10-413e-aab3-9e08dde9e88d": {"tlp_2_0": "clear"}}},
            "/extensions",
        ),
        ({"name": "TLP:CLEAR"}, "/name"),
        ({"name": ...}, "/name"),
        ({"created": "2022-10-02T00:00:00.000Z"}, "/created"),
        ({"x_note": "also for the press"}, "/x_note"),
        ({"definition_type": "statement", "definition": {"statement": "free"}}, "/definition_type"),
    ],
)
def test_refuses_a_tlp_definition_with_other_content(changes: dict[str, object], where: str) -> None:
    extension = {"extension_type": "property-extension", "tlp_2_0": "amber"}
    published = {
        "type": "marking-definition",
        "spec_version": "2.1",
        "id": TLP2_AMBER,
        "created": "2022-10-01T00:00:00.000Z",
        "name": "TLP:AMBER",
        "extensions": {"extension-definition--60a3c5c5-0d10-413e-aab3-9e08dde9e88d": extension},
    }
    assert parse_object(encode(published))[0].id == TLP2_AMBER
    assert parse_object(encode(published | {"created": "2022-10-01T00:00:00Z"}))[0].id == TLP2_AMBER
    tampered = {name: item for name, item in (published | changes).items() if item is not ...}
    with pytest.raises(MalformedObject, match="published TLP definition") as caught:
        parse_object(encode(tampered))
    assert caught.value.where == where


def test_takes_a_tlp_1_definition_with_and_without_its_name() -> None:
    published = {
        "type": "marking-definition",
        "spec_version": "2.1",
        "id": TLP1_GREEN,
        "created": "2017-01-20T00:00:00.000Z",
        "definition_type": "tlp",
        "definition": {"tlp": "green"},
    }
    assert parse_object(encode(published))[0].id == TLP1_GREEN
    assert parse_object(encode(published | {"name": "TLP:GREEN"}))[0].id == TLP1_GREEN
    for wrong in ({"name": "TLP:WHITE"}, {"definition": {"tlp": "white"}}, {"definition_type": "statement"}):
        with pytest.raises(MalformedObject, match="published TLP definition"):
            parse_object(encode(published | wrong))


def test_one_bad_object_never_spoils_the_good_ones() -> None:
    good = encode(tool())
    twice = b'{"type":"tool","type":"tool","id":"' + _TOOL.encode() + b'"}'
    deep = b'{"a":' * 40 + b"1" + b"}" * 40
    broken = encode(tool(created="x", id=_TOOL))
    elements = [b"7", good, twice, b"null", deep, broken]
    parsed = parse_bundle(b'{"type":"bundle","id":"bundle--1","objects":[' + b", ".join(elements) + b"]}")
    assert [obj.data for obj, _ in parsed.good] == [good]
    assert [(bad.index, bad.id, bad.where) for bad in parsed.bad] == [
        (0, None, "/objects/0"),
        (2, None, "/objects/2/type"),
        (3, None, "/objects/3"),
        (4, None, "/objects/4"),
        (5, _TOOL, "/objects/5/created"),
    ]
    assert all(bad.detail for bad in parsed.bad)


def test_an_object_over_the_size_bound_is_bad_by_itself() -> None:
    big = encode(tool(description="x" * OBJECT_LIMITS.max_bytes, id=_TOOL.replace("8e2e", "9e2e")))
    parsed = parse_bundle(b'{"objects":[' + big + b"," + encode(tool()) + b"]}")
    assert len(parsed.good) == 1
    assert [bad.index for bad in parsed.bad] == [0]
    assert "bytes" in parsed.bad[0].detail


def test_exact_repeats_collapse_and_differing_ones_are_bad() -> None:
    first, newer = tool(), tool(modified="2020-01-01T00:00:00Z", name="Lantern 2")
    parsed = parse_bundle(bundle(first, first, newer, tool(name="other")))
    assert [value["name"] for _, value in parsed.good] == ["Lantern", "Lantern 2"]
    assert [(bad.index, bad.id, bad.where) for bad in parsed.bad] == [(3, _TOOL, "/objects/3/id")]


def test_one_version_written_in_two_ways_is_one_version() -> None:
    parsed = parse_bundle(bundle(tool(), tool(modified="2016-04-06T20:03:48Z", name="other")))
    assert len(parsed.good) == 1
    assert parsed.bad[0].index == 1


def test_takes_a_bundle_an_envelope_or_one_object() -> None:
    for data in (bundle(tool()), encode({"objects": [tool()], "more": False}), encode(tool())):
        parsed = parse_bundle(data)
        assert [value for _, value in parsed.good] == [tool()]
    observed = {
        "type": "observed-data",
        "spec_version": "2.1",
        "id": "observed-data--8e2e2d2b-17d4-4cbf-938f-98ee46b3cd3f",
        "created": "2016-04-06T20:03:48.000Z",
        "modified": "2016-04-06T20:03:48.000Z",
        "objects": {"0": {"type": "file", "name": "a"}},
    }
    assert parse_bundle(encode(observed)).good[0][0].type == "observed-data"
    assert parse_bundle(encode(observed | {"objects": []})).good[0][0].type == "observed-data"


def test_an_empty_envelope_is_empty_and_an_empty_bundle_is_refused() -> None:
    empties: list[dict[str, object]] = [{}, {"objects": []}, {"more": False}, {"more": True, "objects": []}]
    for empty in empties:
        parsed = parse_bundle(encode(empty))
        assert (parsed.good, parsed.bad) == ((), ())
    for data in (bundle(), encode({"type": "bundle", "id": "bundle--1"})):
        with pytest.raises(MalformedObject, match="no object is in it") as caught:
            parse_bundle(data)
        assert caught.value.where == "/objects"


@pytest.mark.parametrize("name", ["object_marking_refs", "granular_markings", "x_tlp", "TLP", "x_marking"])
def test_a_marking_of_a_bundle_as_a_whole_is_not_lost_without_a_word(name: str) -> None:
    marked: dict[str, object] = {"type": "bundle", "id": "bundle--1", "objects": [tool()]}
    with pytest.raises(MalformedObject, match="mark each object") as caught:
        parse_bundle(encode(marked | {name: ["marking-definition--e828b379-4e03-4974-9ac4-e53a884c97c1"]}))
    assert caught.value.where == f"/{name}"
    assert len(parse_bundle(encode(marked | {name: []})).good) == 1


def test_what_is_neither_says_that_its_type_is_missing() -> None:
    with pytest.raises(MalformedObject, match="type") as caught:
        parse_bundle(encode({"Event": {"info": "another format"}}))
    assert caught.value.where == "/type"


def test_a_bundle_whose_objects_are_no_list_is_refused() -> None:
    with pytest.raises(MalformedError) as caught:
        parse_bundle(encode({"type": "bundle", "id": "bundle--1", "objects": {"a": tool()}}))
    assert caught.value.where == "/objects"


def test_a_truncated_bundle_is_refused_with_the_place() -> None:
    data = bundle(tool(), tool())
    with pytest.raises(MalformedJson, match="line 1:"):
        parse_bundle(data[:-20])


def test_more_objects_than_a_bundle_may_hold_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(objects, "MAX_BUNDLE_OBJECTS", 2)
    assert len(parse_bundle(bundle(tool(), tool())).good) == 1
    with pytest.raises(MalformedObject, match="split it"):
        parse_bundle(bundle(tool(), tool(), tool()))


def test_what_is_behind_too_many_objects_is_not_looked_at() -> None:
    with pytest.raises(MalformedObject, match="over 3 objects"):
        parse_bundle(b'{"objects":[0,0,0,0,%%%', most=3)
    with pytest.raises(MalformedJson):
        parse_bundle(b'{"objects":[0,0,0,%%%', most=3)
    assert len(parse_bundle(b'{"objects":[0,0,0]}', most=3).bad) == 3
