# SPDX-License-Identifier: Apache-2.0
"""Objects as other people publish them; the files lie beside the repository and are not part of it."""

import re
from collections import Counter
from pathlib import Path

import pytest

from comity.errors import MalformedError
from comity.ids import PartyId
from comity.stix.labels import format_label, make_label, parse_label, read_tags
from comity.stix.markings import STATEMENT, GranularMarking, Markings, read_markings
from comity.stix.objects import ParsedBundle, parse_bundle

_DATA = Path(__file__).parents[3].parent / "shared" / "data"


def load(name: str) -> bytes:
    path = _DATA / name
    if not path.is_file():
        pytest.skip(f"the public sample {name} is not beside the repository")
    return path.read_bytes()


def read_all(parsed: ParsedBundle) -> list[Markings]:
    definitions = {obj.id: STATEMENT for obj, value in parsed.good if value.get("definition_type") == STATEMENT}
    return [read_markings(value, definitions=definitions) for _, value in parsed.good]


@pytest.mark.parametrize(
    ("name", "count"),
    [
        ("stix/attack-ics.json", 1826),
        ("stix/poisonivy.json", 155),
        ("stix/geography.json", 539),
        ("stix/using-granular-markings.json", 4),
        ("stix/using-marking-definitions.json", 4),
        ("stix/sighting-of-an-indicator.json", 4),
        ("stix/identifying-a-threat-actor-profile.json", 3),
        ("stix/validator/identity.json", 1),
        ("stix/validator/tool.json", 1),
        ("stix/validator/tlp-amber.json", 1),
        ("misp/test_event1_stix21.json", 9),
        ("misp/test_events_collection_stix21.json", 20),
        ("misp/test_objects_collection_stix21.json", 18),
    ],
)
def test_every_object_is_kept_byte_for_byte_and_labelled(name: str, count: int) -> None:
    data = load(name)
    parsed = parse_bundle(data)
    assert parsed.bad == ()
    assert len(parsed.good) == count
    at = 0
    for obj, value in parsed.good:
        at = data.index(obj.data, at) + len(obj.data)
        assert value["id"] == obj.id
        label = make_label(
            obj,
            read_markings(value, definitions={}),
            read_tags(value),
            originators=frozenset({PartyId("aurelia")}),
            audience=None,
        )
        assert parse_label(format_label(label)) == label


@pytest.mark.parametrize(
    ("name", "where", "says"),
    [
        ("invalid_braces", "1:1", "an object, beginning with"),
        ("invalid_comma", "9:1", "a key in double quotes"),
        ("invalid_identity", "/modified", "modified is missing"),
        ("invalid_timestamp", "/modified", "modified is earlier than created"),
    ],
)
def test_broken_files_say_what_and_where(name: str, where: str, says: str) -> None:
    with pytest.raises(MalformedError, match=says) as caught:
        parse_bundle(load(f"stix/validator/{name}.json"))
    assert caught.value.where == where


def test_misp_events_that_were_not_converted_are_refused() -> None:
    with pytest.raises(MalformedError, match=r"STIX 2\.1 bundle"):
        parse_bundle(load("misp/test_events_collection_1.json"))


def test_references_are_those_that_the_plainest_reading_finds() -> None:
    parsed = parse_bundle(load("stix/attack-ics.json"))
    assert len([obj for obj, _ in parsed.good if obj.references]) == 1826
    for obj, _ in parsed.good:
        pairs = re.findall(rb'"[a-z_]+_refs?": ?(?:"([^"]+)"|\[([^]]*)\])', obj.data)
        plain = {one for single, several in pairs for one in (single, *several.replace(b'"', b"").split(b","))}
        assert {one.encode() for one in obj.references} == {one.strip() for one in plain} - {b"", obj.id.encode()}


def test_tlp_1_white_of_a_whole_gazetteer_is_clear() -> None:
    parsed = parse_bundle(load("stix/geography.json"))
    assert Counter(markings.tlp for markings in read_all(parsed)) == {"clear": 539}
    # It gives countries in three letters, which no terms name: nothing is guessed from them.
    assert {region for _, value in parsed.good for region in read_tags(value).regions} == set()


def read_indicator(name: str) -> Markings:
    parsed = parse_bundle(load(name))
    return next(
        markings for (obj, _), markings in zip(parsed.good, read_all(parsed), strict=True) if obj.type == "indicator"
    )


def test_the_statement_of_the_specification_example() -> None:
    assert read_indicator("stix/using-marking-definitions.json") == Markings(
        tlp="amber", others=frozenset({"statement"}), granular=()
    )


def test_the_granular_markings_of_the_specification_example() -> None:
    # Its pattern is green; an indicator cannot lack a pattern, and green does not loosen an unmarked object.
    assert read_indicator("stix/using-granular-markings.json") == Markings(
        tlp="unmarked",
        others=frozenset(),
        granular=(
            GranularMarking(property="description", tlp="red"),
            GranularMarking(property="indicator_types", tlp="amber"),
            GranularMarking(property="name", tlp="green"),
        ),
    )
