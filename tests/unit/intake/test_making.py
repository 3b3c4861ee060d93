# SPDX-License-Identifier: Apache-2.0
"""What is made of a record is the same object again, whoever reads it when; markings add up, and none is lost."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from comity.canonical import Json
from comity.errors import MalformedObject
from comity.ids import Instant, PartyId, parse_instant
from comity.intake.making import Maker, join_marked, renew
from comity.intake.marking import FOREIGN_MARKING_EXTENSION, read_marking
from comity.node.schemas import read_schemas
from comity.stix.markings import TLP2_AMBER, TLP2_CLEAR, TLP2_GREEN, TLP2_RED, read_markings
from comity.stix.objects import parse_object
from comity.stix.tags import make_tags, read_tags
from comity.stix.validation import check_object

AURELIA, BOREALIA = PartyId("aurelia"), PartyId("borealia")
MONDAY, TUESDAY = parse_instant("2026-11-23T09:00:00Z"), parse_instant("2026-11-24T09:00:00Z")
PERSON: dict[str, Json] = {"name": "Ondrej Fictional", "identity_class": "individual"}


def maker(**said: Any) -> Maker:  # noqa: ANN401 (its own parameters)
    return Maker(**{"party": AURELIA, "at": MONDAY, **said})


def read(data: bytes) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(data)
    return found


def test_what_is_made_is_an_object_as_stix_says() -> None:
    made = maker().make("identity", ("list", "1"), PERSON)
    item, value = parse_object(made.data)
    check_object(read_schemas(), value)
    assert (item.id, item.version) == (made.id, "2026-11-23T09:00:00.000000Z")


def test_the_id_follows_from_party_type_and_key_alone() -> None:
    first = maker().make("identity", ("list", "1"), PERSON).id
    assert maker(at=TUESDAY, markings=[TLP2_RED]).make("identity", ("list", "1"), {"name": "Other"}).id == first
    others = {
        maker(party=BOREALIA).find_id("identity", ("list", "1")),
        maker().find_id("identity", ("list", "2")),
        maker().find_id("identity", ("list1",)),
        maker().find_id("location", ("list", "1")),
    }
    assert len(others) == 4
    assert first not in others


def test_an_observable_is_another_one_with_another_marking() -> None:
    one, other = (
        maker(markings=marks).make("ipv4-addr", ("any",), {"value": "198.51.100.1"}) for marks in ([], [TLP2_RED])
    )
    again = maker(at=TUESDAY).make("ipv4-addr", ("key",), {"value": "198.51.100.1"})
    assert one == again
    assert one.id != other.id
    for made in (one, other):
        check_object(read_schemas(), parse_object(made.data)[1])


def test_markings_of_file_and_record_add_up() -> None:
    made = maker(markings=[TLP2_GREEN]).make("identity", ("1",), PERSON, markings=[TLP2_AMBER])
    assert read(made.data)["object_marking_refs"] == [TLP2_AMBER]
    assert read_markings(read(made.data), definitions={}).others == frozenset()


def test_tags_come_to_those_that_are_said() -> None:
    tags = make_tags(subjects=["unsc:QDi.901"], regions=["IQ"])
    first = maker().make("identity", ("1",), PERSON, tags=tags)
    second = maker().make("identity", ("1",), read(first.data), tags=make_tags(subjects=["unsc:QDe.902"]))
    assert read_tags(read(first.data)) == tags
    assert read_tags(read(second.data)) == make_tags(subjects=["unsc:QDi.901", "unsc:QDe.902"], regions=["IQ"])


@pytest.mark.parametrize("bad", [float("nan"), "\ud800"])
def test_what_is_no_json_is_refused(bad: Json) -> None:
    with pytest.raises(MalformedObject):
        maker().make("identity", ("1",), {"name": bad})
    with pytest.raises(MalformedObject):
        maker().make("url", ("1",), {"value": bad})


# --- versions ---------------------------------------------------------------------------------------------------------


def test_the_same_content_is_the_version_that_is_held() -> None:
    held = maker().make("identity", ("1",), PERSON).data
    assert renew(maker(at=TUESDAY).make("identity", ("1",), PERSON).data, held, at=TUESDAY) == held


def test_another_content_is_a_later_version_of_the_same_object() -> None:
    held = maker().make("identity", ("1",), PERSON).data
    for at in (TUESDAY, MONDAY, Instant(MONDAY - 1)):
        value = read(renew(maker(at=at).make("identity", ("1",), {**PERSON, "name": "Other"}).data, held, at=at))
        assert (value["created"], value["name"]) == (read(held)["created"], "Other")
        assert parse_instant(value["modified"]) > MONDAY
        check_object(read_schemas(), parse_object(json.dumps(value).encode())[1])


def test_what_says_when_it_was_read_says_when_it_was_read_first() -> None:
    def make(at: Instant, name: str) -> bytes:
        return maker(at=at).make("indicator", ("1",), {"name": name, "valid_from": maker(at=at).written_at}).data

    held = make(MONDAY, "a")
    assert renew(make(TUESDAY, "a"), held, at=TUESDAY) == held
    assert read(renew(make(TUESDAY, "b"), held, at=TUESDAY))["valid_from"] == read(held)["created"]


def test_a_marking_that_was_put_on_is_another_content() -> None:
    held = maker().make("identity", ("1",), PERSON).data
    new = renew(maker(at=TUESDAY, markings=[TLP2_RED]).make("identity", ("1",), PERSON).data, held, at=TUESDAY)
    assert new != held
    assert read(new)["object_marking_refs"] == [TLP2_RED]


# --- markings ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["TLP:AMBER", "amber", " Tlp:Amber ", "tlp amber", "TLP: AMBER"])
def test_a_level_is_understood_however_it_is_written(text: str) -> None:
    assert read_marking(text, maker=maker()).markings == (TLP2_AMBER,)


@pytest.mark.parametrize("text", ["", " ; ", "\n"])
def test_nothing_marks_nothing(text: str) -> None:
    assert read_marking(text, maker=maker()).markings == ()


def test_white_is_clear() -> None:
    assert read_marking("TLP:WHITE", maker=maker()).markings == (TLP2_CLEAR,)


@pytest.mark.parametrize(
    "text", ["Eyes of the desk only", "TLP:PURPLE", "TLP:AMBER+", "TLP:GREEN; NOFORN", "red green"]
)
def test_what_is_not_understood_withholds(text: str) -> None:
    marked = read_marking(text, maker=maker(markings=[TLP2_GREEN]))
    made = maker().make("identity", ("1",), PERSON, markings=marked.markings)
    others = read_markings(read(made.data), definitions={}).others
    assert any(word.startswith("unknown:") for word in others)
    assert marked.notes
    (definition,) = marked.definitions
    item, value = parse_object(definition)
    check_object(read_schemas(), value)
    assert item.id in marked.markings
    assert "object_marking_refs" not in value
    assert read(definition)["extensions"][FOREIGN_MARKING_EXTENSION]["words"] in text


def test_levels_that_contradict_each_other_withhold() -> None:
    marked = read_marking("TLP:GREEN, TLP:RED", maker=maker())
    assert {TLP2_GREEN, TLP2_RED} < set(marked.markings)
    assert len(marked.definitions) == 1
    assert "contradict" in marked.notes[0]


def test_a_level_said_twice_contradicts_nothing() -> None:
    assert read_marking("TLP:GREEN; green", maker=maker()).markings == (TLP2_GREEN,)


@given(st.text(max_size=60))
def test_any_words_mark_or_are_no_text(text: str) -> None:
    try:
        marked = read_marking(text, maker=maker())
    except MalformedObject:
        return
    assert bool(marked.markings) == bool(
        [
            part
            for part in text.replace("|", ";").replace(",", ";").replace("\r", ";").replace("\n", ";").split(";")
            if part.strip()
        ]
    )


# --- what a converter made of a thing, in a strict place and an open one ---------------------------------------------


def convert(at: str, *markings: str, **said: Json) -> bytes:
    times = {"created": "2026-11-23T09:00:00.000Z", "modified": at}
    marked = {"object_marking_refs": [*markings]} if markings else {}
    name = "threat-actor--4b2e5f2e-8f0e-4a52-9d0c-111111111119"
    return json.dumps(
        {"type": "threat-actor", "spec_version": "2.1", "id": name, "name": "A"} | times | marked | said
    ).encode()


NINE, NEXT = "2026-11-23T09:00:00.000Z", "2026-11-23T09:00:01.000Z"


def test_what_is_of_another_second_or_says_other_things_is_as_it_was_made() -> None:
    made = convert(NINE, TLP2_GREEN)
    assert join_marked(made, []) == made
    assert join_marked(made, [convert(NEXT, TLP2_RED)]) == made
    assert join_marked(made, [convert(NINE, TLP2_RED, name="B")]) == made
    unversioned = b'{"type":"ipv4-addr","id":"ipv4-addr--4b2e5f2e-8f0e-4a52-9d0c-111111111119","value":"198.51.100.1"}'
    assert join_marked(unversioned, [convert(NINE, TLP2_RED)]) == unversioned


def test_of_one_second_the_newest_that_bears_all_of_it_is_it() -> None:
    green, red = convert(NINE, TLP2_GREEN), convert("2026-11-23T09:00:00.001Z", TLP2_RED)
    for made in (green, convert(NINE, TLP2_AMBER), convert(NINE), convert(NINE, TLP2_RED)):
        assert join_marked(made, [green, red]) == join_marked(made, [red, green]) == red


def test_of_one_second_what_is_stricter_is_a_version_behind_the_newest_with_all_markings() -> None:
    other = "marking-definition--4b2e5f2e-8f0e-4a52-9d0c-111111111119"
    found = read(join_marked(convert(NINE, TLP2_AMBER), [convert(NINE, TLP2_GREEN, other)]))
    assert found["modified"] == "2026-11-23T09:00:00.001000Z"
    assert sorted(found["object_marking_refs"]) == sorted([other, TLP2_AMBER])
    assert found | {"modified": NINE, "object_marking_refs": 0} == read(convert(NINE)) | {"object_marking_refs": 0}
