# SPDX-License-Identifier: Apache-2.0
"""The demonstration's bundle is what its script makes, and shows each outcome by a named object."""

import re
from collections import Counter
from functools import reduce
from pathlib import Path

import pytest

from comity.canonical import Json
from comity.ids import ObjectId, PartyId
from comity.stix.labels import Label, join, make_label, read_tags, with_unresolved
from comity.stix.markings import STATEMENT, TLP_IDS, read_markings, tlp_rank
from comity.stix.objects import ParsedBundle, parse_bundle
from examples.make_bundle import EXAMPLES, SUBJECT_ASHFALL, SUBJECT_TIDEWATER, count, format_bundle, make_bundle

_PATH = Path(__file__).parents[3] / "examples" / "bundle.json"
_TYPES = frozenset(
    {
        "identity",
        "indicator",
        "intrusion-set",
        "location",
        "malware",
        "marking-definition",
        "note",
        "relationship",
        "report",
        "sighting",
        "threat-actor",
        "tool",
    }
)


@pytest.fixture(scope="module")
def parsed() -> ParsedBundle:
    return parse_bundle(_PATH.read_bytes())


@pytest.fixture(scope="module")
def labels(parsed: ParsedBundle) -> dict[str, Label]:
    """Every object's own label joined with those of all that it leads to."""
    definitions = {obj.id: STATEMENT for obj, value in parsed.good if value.get("definition_type") == STATEMENT}
    own: dict[ObjectId, Label] = {}
    references: dict[ObjectId, frozenset[ObjectId]] = {}
    for obj, value in parsed.good:
        markings = read_markings(value, definitions=definitions)
        own[obj.id] = make_label(
            obj, markings, read_tags(value), originators=frozenset({PartyId("aurelia")}), audience=None
        )
        references[obj.id] = obj.references
    return {start: _follow(start, own, references) for start in own}


def _follow(start: ObjectId, own: dict[ObjectId, Label], references: dict[ObjectId, frozenset[ObjectId]]) -> Label:
    reached, waiting = {start}, [start]
    while waiting:
        new = references.get(waiting.pop(), frozenset()) - reached
        reached |= new
        waiting += new
    label = reduce(join, [own[one] for one in sorted(reached - {start}) if one in own], own[start])
    return label if reached <= own.keys() else with_unresolved(label)


def refusals(label: Label) -> list[str]:
    """Which clauses of terms for Ashfall in IQ and SY, up to TLP:AMBER, refuse this label; written out plainly."""
    refused = {
        "types": not label.types <= _TYPES,
        "tlp_ceiling": tlp_rank(label.tlp) > tlp_rank("amber"),
        "markings": bool(label.markings),
        "subjects": not all(SUBJECT_ASHFALL in group for group in label.subjects),
        "regions": not all(group & {"IQ", "SY"} for group in label.regions),
        "person_classes": bool(label.person_classes),
        "special_categories": bool(label.special_categories),
        "handling": bool(label.handling),
    }
    return [clause for clause, is_refused in refused.items() if is_refused]


def test_the_committed_file_is_what_the_script_makes() -> None:
    data = _PATH.read_bytes()
    assert format_bundle(make_bundle()) == data
    assert len(data) <= 600_000


def test_every_object_can_be_kept_and_is_classified(parsed: ParsedBundle) -> None:
    assert parsed.bad == ()
    assert len(parsed.good) == 349
    for obj, value in parsed.good:
        tags = read_tags(value)
        is_tlp = obj.id in TLP_IDS
        assert bool(tags.subjects) == bool(tags.regions) == bool(tags.kinds) == (not is_tlp)
        assert tags.subjects <= {SUBJECT_ASHFALL, SUBJECT_TIDEWATER}
        assert tags.regions <= {"IQ", "SY", "JO", "TR"}


def test_about_half_is_releasable(labels: dict[str, Label]) -> None:
    outcomes = Counter(
        "withheld" if refusals(label) else "redacted" if _redacted(label) else "released" for label in labels.values()
    )
    assert outcomes == {"released": 159, "redacted": 11, "withheld": 179}


def _redacted(label: Label) -> set[str]:
    return {mark.property for mark in label.granular if tlp_rank(mark.tlp) > tlp_rank("amber")}


@pytest.mark.parametrize(
    ("case", "clauses"),
    [
        ("released", []),
        ("redacted", []),
        ("out_of_region", ["regions"]),
        ("other_subject", ["subjects"]),
        ("above_ceiling", ["tlp_ceiling"]),
        ("above_ceiling_strict", ["tlp_ceiling"]),
        ("unmarked", ["tlp_ceiling"]),
        ("refers_to_withheld", ["tlp_ceiling"]),
        ("statement", ["markings"]),
        ("unknown_marking", ["markings"]),
        ("person_class", ["person_classes"]),
        ("handling", ["handling"]),
        ("special_category", ["special_categories"]),
        ("type_not_listed", ["types"]),
    ],
)
def test_each_case_has_an_object_and_only_one_reason(labels: dict[str, Label], case: str, clauses: list[str]) -> None:
    assert refusals(labels[EXAMPLES[case]]) == clauses


def test_the_cases_are_what_their_names_say(parsed: ParsedBundle, labels: dict[str, Label]) -> None:
    own = {str(obj.id): read_markings(value, definitions={}) for obj, value in parsed.good}
    assert own[EXAMPLES["unmarked"]].tlp == "unmarked"
    assert own[EXAMPLES["above_ceiling"]].tlp == "red"
    assert own[EXAMPLES["above_ceiling_strict"]].tlp == "amber+strict"
    # Its own marking would let it go; what it refers to would not.
    assert tlp_rank(own[EXAMPLES["refers_to_withheld"]].tlp) <= tlp_rank("amber")
    assert labels[EXAMPLES["refers_to_withheld"]].tlp == "red"
    assert _redacted(labels[EXAMPLES["redacted"]]) == {"description"}
    assert labels[EXAMPLES["statement"]].markings == {"statement"}
    assert not _redacted(labels[EXAMPLES["released"]])
    assert len(set(EXAMPLES.values())) == len(EXAMPLES)


def test_nothing_names_a_real_address_or_a_place_on_a_map(parsed: ParsedBundle) -> None:
    text = _PATH.read_text()
    assert set(re.findall(r"\b\d+\.\d+\.\d+\.\d+\b", text)) <= {
        f"{net}.{host}" for net in ("192.0.2", "198.51.100") for host in range(256)
    }
    assert all(host.endswith(".example") for host in re.findall(r"https?://([^/']+)", text))
    members = {name for _, value in parsed.good for name in _member_names(value)}
    assert not members & {"latitude", "longitude", "precision", "administrative_area", "city", "street_address"}


def _member_names(value: Json) -> set[str]:
    if isinstance(value, dict):
        return set(value).union(*(_member_names(item) for item in value.values()))
    return set().union(*(_member_names(item) for item in value)) if isinstance(value, list) else set()


def test_the_table_counts_every_object(parsed: ParsedBundle) -> None:
    lines = list(count([{name: str(value[name]) for name in ("type",)} for _, value in parsed.good]))
    assert lines[0].split() == ["type", "clear", "green", "amber", "amber+strict", "red", "unmarked", "all"]
    assert f"all {'0 ' * 5}349 349".split() in [line.split() for line in lines]
