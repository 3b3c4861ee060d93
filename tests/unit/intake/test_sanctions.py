# SPDX-License-Identifier: Apache-2.0
"""The UN list becomes identities, weak aliases apart; what no such list holds is never followed."""

import json
import time
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from comity.errors import MalformedFile
from comity.ids import PartyId, parse_instant
from comity.intake.listing import LISTING_EXTENSION
from comity.intake.making import Maker
from comity.intake.records import Converted
from comity.intake.sanctions import read_un_list
from comity.node.schemas import read_schemas
from comity.stix.markings import TLP2_GREEN
from comity.stix.objects import parse_object
from comity.stix.tags import read_tags
from comity.stix.validation import check_object

MAKER = Maker(party=PartyId("aurelia"), at=parse_instant("2026-11-23T09:00:00Z"), markings=[TLP2_GREEN])
PERSON = """<INDIVIDUAL><DATAID>6999901</DATAID><VERSIONNUM>2</VERSIONNUM><FIRST_NAME>ONDREJ</FIRST_NAME>
<SECOND_NAME>FICTIONAL</SECOND_NAME><UN_LIST_TYPE>Invented</UN_LIST_TYPE><REFERENCE_NUMBER>QDi.901</REFERENCE_NUMBER>
<LISTED_ON>2026-01-02</LISTED_ON><NAME_ORIGINAL_SCRIPT>Ондрей</NAME_ORIGINAL_SCRIPT>
<COMMENTS1>Invented for  tests.</COMMENTS1>
<DESIGNATION><VALUE>Toll keeper</VALUE></DESIGNATION><NATIONALITY><VALUE>Aurelia</VALUE></NATIONALITY>
<LAST_DAY_UPDATED><VALUE>2026-02-03</VALUE><VALUE/></LAST_DAY_UPDATED>
<INDIVIDUAL_ALIAS><QUALITY>Good</QUALITY><ALIAS_NAME>The Reed Cutter</ALIAS_NAME></INDIVIDUAL_ALIAS>
<INDIVIDUAL_ALIAS><QUALITY>Low</QUALITY><ALIAS_NAME>Reed</ALIAS_NAME></INDIVIDUAL_ALIAS>
<INDIVIDUAL_ALIAS><QUALITY>Odd</QUALITY><ALIAS_NAME>Cutter</ALIAS_NAME></INDIVIDUAL_ALIAS>
<INDIVIDUAL_ALIAS><QUALITY/><ALIAS_NAME/></INDIVIDUAL_ALIAS>
<INDIVIDUAL_DATE_OF_BIRTH><TYPE_OF_DATE>BETWEEN</TYPE_OF_DATE><FROM_YEAR>1971</FROM_YEAR><TO_YEAR>1973</TO_YEAR></INDIVIDUAL_DATE_OF_BIRTH>
<INDIVIDUAL_PLACE_OF_BIRTH><CITY>Marrow Ford</CITY><COUNTRY>Aurelia</COUNTRY></INDIVIDUAL_PLACE_OF_BIRTH>
<INDIVIDUAL_DOCUMENT><TYPE_OF_DOCUMENT>Passport</TYPE_OF_DOCUMENT><NUMBER>X-901</NUMBER></INDIVIDUAL_DOCUMENT>
<INDIVIDUAL_DOCUMENT/></INDIVIDUAL>"""
BODY = """<ENTITY><DATAID>6999902</DATAID>
<FIRST_NAME>ASHFALL COLUMN</FIRST_NAME><REFERENCE_NUMBER>QDe.901</REFERENCE_NUMBER>
<ENTITY_ALIAS><QUALITY>f.k.a.</QUALITY><ALIAS_NAME>Cinder Column</ALIAS_NAME></ENTITY_ALIAS>
<ENTITY_ADDRESS><STREET>Toll Road 1</STREET><COUNTRY>Aurelia</COUNTRY></ENTITY_ADDRESS></ENTITY>"""


def make_list(people: str = PERSON, bodies: str = BODY, *, date: str = "2026-11-01") -> str:
    return (
        f'<?xml version="1.0" encoding="UTF-8"?><CONSOLIDATED_LIST dateGenerated="{date}">'
        f"<INDIVIDUALS>{people}</INDIVIDUALS><ENTITIES>{bodies}</ENTITIES></CONSOLIDATED_LIST>"
    )


def read(text: str | bytes, size: int = 1 << 20) -> Converted:
    data = text.encode() if isinstance(text, str) else text
    parts = [*read_un_list([data[start : start + size] for start in range(0, len(data), size)], maker=MAKER)]
    return Converted(
        records=tuple(one for part in parts for one in part.records),
        unread=tuple(one for part in parts for one in part.unread),
        facts=parts[-1].facts,
    )


def values(found: Converted) -> list[dict[str, Any]]:
    objects = [data for record in found.records for data in record.objects]
    for data in objects:
        check_object(read_schemas(), parse_object(data)[1])
    return [json.loads(data) for data in objects]


@pytest.mark.parametrize("size", [1, 100, 1 << 20])
def test_a_person_and_a_body_become_identities(size: int) -> None:
    found = read(make_list(), size)
    person, body = values(found)
    assert [one.place for one in found.records] == ["INDIVIDUAL QDi.901", "ENTITY QDe.901"]
    assert (person["name"], person["identity_class"], person["roles"]) == (
        "ONDREJ FICTIONAL",
        "individual",
        ["Toll keeper"],
    )
    assert (body["name"], body["identity_class"]) == ("ASHFALL COLUMN", "organization")
    assert read_tags(person).subjects == {"unsc:QDi.901"}
    assert read_tags(body).subjects == {"unsc:QDe.901"}
    assert {one["type"] for one in (person, body)} == {"identity"}
    assert person["object_marking_refs"] == body["object_marking_refs"] == [TLP2_GREEN]


@pytest.mark.parametrize(
    ("text", "place"),
    [
        (make_list().replace("<ENTITY>", "<Entity>").replace("</ENTITY>", "</Entity>"), "Entity no. 2"),
        (make_list().replace("<ENTITIES>", "").replace("</ENTITIES>", ""), "ENTITY no. 2"),
    ],
)
def test_what_stands_as_a_record_and_is_none_is_not_passed_over(text: str, place: str) -> None:
    found = read(text)
    assert [one.place for one in found.records] == ["INDIVIDUAL QDi.901"]
    assert [one.place for one in found.unread] == [place]


def test_what_stix_has_no_place_for_stands_in_the_extension() -> None:
    person, body = (one["extensions"][LISTING_EXTENSION] for one in values(read(make_list())))
    assert person["aliases"] == [{"name": "The Reed Cutter", "quality": "Good"}]
    assert person["weak_aliases"] == ["Reed", "Cutter"]
    assert person["dates_of_birth"] == [{"kind": "BETWEEN", "from": "1971", "to": "1973"}]
    assert person["places_of_birth"] == [{"city": "Marrow Ford", "country": "Aurelia"}]
    assert person["documents"] == [{"kind": "Passport", "number": "X-901"}]
    assert (person["nationalities"], person["updated_on"], person["original_script"]) == (
        ["Aurelia"],
        ["2026-02-03"],
        "Ондрей",
    )
    assert body["aliases"] == [{"name": "Cinder Column", "quality": "f.k.a.", "former": True}]
    assert body["addresses"] == [{"street": "Toll Road 1", "country": "Aurelia"}]


def test_others_get_a_turn_while_a_long_list_is_read() -> None:
    people = "".join(PERSON.replace("QDi.901", f"QDi.{number}") for number in range(1_000))
    parts = [*read_un_list([make_list(people).encode()], maker=MAKER)]
    first = next(place for place, part in enumerate(parts) if part.records)
    assert first >= 5
    assert max(len(part.records) for part in parts) <= 200
    assert sum(len(part.records) for part in parts) == 1_001


def test_no_tag_follows_from_a_nationality() -> None:
    (person, _) = values(read(make_list()))
    tags = read_tags(person)
    assert not tags.regions | tags.kinds | tags.person_classes | tags.special_categories


def test_the_date_of_the_list_is_a_fact_of_the_file_and_changes_no_object() -> None:
    first, later = read(make_list()), read(make_list(date="2026-11-08"))
    assert (first.facts["list_version"], later.facts["list_version"]) == ("2026-11-01", "2026-11-08")
    assert first.records == later.records


def test_a_record_without_a_number_or_a_name_is_said_and_the_others_stay() -> None:
    found = read(
        make_list(
            PERSON
            + "<INDIVIDUAL><DATAID>7</DATAID></INDIVIDUAL>"
            + "<INDIVIDUAL><REFERENCE_NUMBER>QDi.902</REFERENCE_NUMBER></INDIVIDUAL>"
        )
    )
    assert len(found.records) == 2
    assert [one.place for one in found.unread] == ["INDIVIDUAL 7", "INDIVIDUAL QDi.902"]
    assert "REFERENCE_NUMBER" in found.unread[0].reason
    assert "no name" in found.unread[1].reason


BOMB = '<!DOCTYPE x [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;"><!ENTITY c "&b;&b;&b;&b;">]>'


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (make_list().replace("?>", f"?>{BOMB}", 1).replace("ONDREJ", "&c;"), "document type or an entity"),
        (make_list().replace("?>", '?><!DOCTYPE x SYSTEM "file:///etc/passwd">', 1), "document type or an entity"),
        (make_list()[:-20], "not well formed"),
        (make_list()[:-20], "the file ends there: was it cut short"),
        (make_list().replace("</FIRST_NAME>", "</NAME>", 1), "line 1"),
        (make_list().replace(' dateGenerated="2026-11-01"', ""), "no dateGenerated"),
        ("<LIST/>", "first element is 'LIST'"),
        (make_list("<INDIVIDUAL>" + "<A>" * 20 + "</A>" * 20 + "</INDIVIDUAL>"), "deep inside"),
        (make_list("<INDIVIDUAL>" + "<A/>" * 6_000 + "</INDIVIDUAL>"), "over 5000 elements"),
        ("", "not well formed"),
        (make_list().replace("UTF-8", "martian", 1), "encoding"),
    ],
)
def test_what_is_no_such_list_is_refused_whole(text: str, words: str) -> None:
    with pytest.raises(MalformedFile) as refused:
        read(text)
    assert words in refused.value.detail


def test_a_deep_list_is_refused_before_it_is_read() -> None:
    started = time.process_time()
    with pytest.raises(MalformedFile, match="deep inside"):
        read("<CONSOLIDATED_LIST>" + "<A>" * 2_000_000, 65_536)
    assert time.process_time() - started < 1


@given(st.text(max_size=80))
def test_any_text_is_read_or_refused(text: str) -> None:
    with suppress(MalformedFile):
        read(make_list(text.encode("utf-8", "replace").decode()))
