# SPDX-License-Identifier: Apache-2.0
"""Laws of labels, markings and received objects."""

import json
from contextlib import suppress
from dataclasses import replace

from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import strategies as st

from comity.canonical import Json, sha256_digest
from comity.errors import MalformedJson, MalformedObject
from comity.ids import ObjectId, PartyId
from comity.release import clauses
from comity.stix.labels import (
    OVERFULL,
    Label,
    format_label,
    join,
    make_label,
    parse_label,
    read_tags,
    with_unresolved,
)
from comity.stix.markings import CONTRADICTORY, STATEMENT, TLP2_GREEN, TLP_IDS, read_markings, tlp_rank
from comity.stix.objects import parse_bundle, parse_object
from comity.stix.worded import tighten
from tests.strategies import json_values, labels, object_bytes, objects, tlp_ids, unknown_marking_ids

# A busy machine is no reason to fail.
_FEW = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
_AURELIA = PartyId("aurelia")


def _bare(label: Label) -> Label:
    return replace(label, granular=())


@_FEW
@given(labels(), labels(), labels())
def test_join_is_associative(one: Label, two: Label, three: Label) -> None:
    assert join(join(one, two), three) == join(one, join(two, three)) == join(one, two, three)


@_FEW
@given(labels(), labels())
def test_join_is_commutative_but_for_granular(one: Label, two: Label) -> None:
    assert _bare(join(one, two)) == _bare(join(two, one))
    assert join(one, two).granular == one.granular


@_FEW
@given(labels(), labels())
def test_join_is_idempotent(one: Label, two: Label) -> None:
    joined = join(one, two)
    assert join(one) == join(one, one) == one
    assert join(joined, two) == join(joined, one) == joined


@_FEW
@given(labels(), labels())
def test_join_is_never_wider_than_any_of_its_members(one: Label, two: Label) -> None:
    joined = join(one, two)
    for member in (one, two):
        assert tlp_rank(joined.tlp) >= tlp_rank(member.tlp)
        assert joined.types >= member.types
        assert joined.markings >= member.markings
        assert joined.originators >= member.originators
        assert joined.subjects >= member.subjects
        assert joined.regions >= member.regions
        assert joined.kinds >= member.kinds
        assert joined.person_classes >= member.person_classes
        assert joined.special_categories >= member.special_categories
        assert joined.handling >= member.handling
        if member.audience is not None:
            assert joined.audience is not None
            assert joined.audience <= member.audience


@_FEW
@given(labels())
def test_format_then_parse_is_identity(label: Label) -> None:
    data = format_label(label)
    assert parse_label(data) == label
    assert format_label(parse_label(data)) == data


@_FEW
@given(labels(), labels())
def test_equal_labels_and_only_they_have_equal_bytes(one: Label, two: Label) -> None:
    assert (format_label(one) == format_label(two)) == (one == two)


@_FEW
@given(labels())
def test_an_unresolved_reference_stays_in_every_join(label: Label) -> None:
    marked = with_unresolved(label)
    assert "unresolved-reference" in join(label, marked).markings
    assert parse_label(format_label(marked)) == marked


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.binary(max_size=60) | json_values().map(lambda value: json.dumps(value).encode()))
@example(b"")
@example(b"[" * 100_000)
@example(b'{"type":"bundle","objects":' + b"[" * 1000)
@example(b'{"objects":{}}')
@example(b'\xef\xbb\xbf{"type":"tool"}')
def test_any_bytes_are_values_or_malformed(data: bytes) -> None:
    for parse in (parse_object, parse_bundle, parse_label):
        with suppress(MalformedJson, MalformedObject):
            parse(data)


@_FEW
@given(objects(), st.data())
def test_any_change_of_a_good_object_gives_a_value_or_malformed(value: dict[str, Json], data: st.DataObject) -> None:
    name = data.draw(st.sampled_from([*sorted(value), "revoked", "x_custom_ref", "x_custom_refs", "extensions"]))
    value[name] = data.draw(json_values())
    try:
        obj, parsed = parse_object(json.dumps(value).encode())
        label = make_label(
            obj,
            read_markings(parsed, definitions={}),
            read_tags(parsed),
            originators=frozenset({_AURELIA}),
            audience=None,
        )
    except MalformedObject as error:
        refused = error
    else:
        assert parse_label(format_label(label)) == label
        return
    assert refused.where.startswith("/")
    assert refused.detail


@_FEW
@given(object_bytes())
def test_bytes_are_kept_exactly(data: bytes) -> None:
    obj, value = parse_object(data)
    assert obj.data == data
    assert obj.digest == sha256_digest(data)
    assert value == json.loads(data)
    assert obj.version == value["modified"]
    assert obj.id not in obj.references


@_FEW
@given(st.lists(object_bytes(), min_size=1, max_size=4, unique_by=lambda data: str(json.loads(data)["id"])))
def test_objects_of_a_bundle_are_sliced_as_received(documents: list[bytes]) -> None:
    data = b'{"type": "bundle", "id": "bundle--0", "objects": [ ' + b" ,\n ".join(documents) + b" ]}"
    parsed = parse_bundle(data)
    assert [obj.data for obj, _ in parsed.good] == documents
    assert parsed.bad == ()


@_FEW
@given(objects(), st.lists(unknown_marking_ids(), max_size=3), st.booleans())
def test_unknown_marking_never_yields_a_known_tlp(
    value: dict[str, Json],
    unknown: list[ObjectId],
    says_statement: bool,
) -> None:
    value["object_marking_refs"] = [*unknown]
    value["granular_markings"] = [{"marking_ref": one, "selectors": ["description", "name"]} for one in unknown]
    # Whatever is claimed of a definition, it is a statement or unknown; "green" is no claim that is heard.
    claimed = dict.fromkeys(unknown, STATEMENT if says_statement else "green")
    markings = read_markings(value, definitions=claimed)
    assert markings.tlp == "unmarked"
    assert {mark.tlp for mark in markings.granular} <= {"unmarked"}
    assert bool(markings.others) == bool(unknown)


@_FEW
@given(objects(), st.permutations(sorted(TLP_IDS)), st.integers(1, 9))
def test_the_strictest_of_several_tlp_levels_holds_in_any_order(
    value: dict[str, Json], order: list[ObjectId], count: int
) -> None:
    value.pop("granular_markings", None)
    value["object_marking_refs"] = [*order[:count]]
    markings = read_markings(value, definitions={})
    assert tlp_rank(markings.tlp) == max(tlp_rank(TLP_IDS[one]) for one in order[:count])
    said = {TLP_IDS[one] for one in order[:count]}
    assert markings.others == ({CONTRADICTORY} if len(said) > 1 else frozenset())


@_FEW
@given(objects(), tlp_ids(), st.sampled_from(("description", "name", "labels.[0]", "id")))
def test_a_granular_marking_only_ever_tightens(value: dict[str, Json], marking: ObjectId, selector: str) -> None:
    value.pop("granular_markings", None)
    without = read_markings(value, definitions={})
    value["granular_markings"] = [{"marking_ref": marking, "selectors": [selector]}]
    within = read_markings(value, definitions={})
    assert tlp_rank(within.tlp) >= tlp_rank(without.tlp)
    assert within.others >= without.others


@_FEW
@given(labels(), labels())
def test_a_label_is_tightened_by_every_clause_that_restricts(label: Label, stricter: Label) -> None:
    """By the clause table, so that a clause that is added to it is not forgotten there."""
    tight = tighten(label, stricter)
    assume(tight != OVERFULL)
    restricting = [clause for clause in clauses.CLAUSES if clause.test is clauses.Test.ONLY]
    assert {clause.name for clause in restricting if not clause.found(stricter) <= clause.found(tight)} == set()
    assert {clause.name for clause in restricting if not clause.found(label) <= clause.found(tight)} == set()
    for one in (label, stricter):
        assert one.audience is None or (tight.audience is not None and tight.audience <= one.audience)


def test_the_green_of_one_property_does_not_make_an_unmarked_object_green() -> None:
    value: dict[str, Json] = {"type": "tool", "name": "x"}
    value["granular_markings"] = [{"marking_ref": TLP2_GREEN, "selectors": ["name"]}]
    assert read_markings(value, definitions={}).tlp == "unmarked"
