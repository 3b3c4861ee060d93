# SPDX-License-Identifier: Apache-2.0
"""The report of an article: of confirmed drafts alone, corrected as people say, as STIX 2.1 and the schemas have it."""

import json
from dataclasses import replace
from typing import Any

import pytest

from comity.errors import MalformedRequest
from comity.ids import ObjectId, PartyId
from comity.intake.article.assembly import Correction, Review, assemble_report
from comity.intake.article.reading import Reading, read_article
from comity.intake.article.text import Source, parse_plain
from comity.intake.making import Maker
from comity.node.schemas import read_schemas
from comity.stix.objects import parse_bundle
from comity.stix.validation import validate_bundle
from tests.intake.annotated import PARTS, RETRIEVED, read_all, read_gazetteer, read_rules

TEXT = b"""Lucent and Norrhaven talk

March 4, 2031

Aurelian Foreign Minister Ilse Verhoeven denied reports that Borealia had paid the Rimward Front in Lisbon.

Halcyon Relief said that it had seen hxxp://a[.]example/x and the hash
3f79bb7b435b05321651daefd374cdc681dc06faa65e374e38337b88ca046dea.

Original url:
https://wire.example/a
"""
PERSON = "person/Ilse Verhoeven/Foreign Minister/XA"
HELD = ObjectId("identity--f431f809-377b-45e0-aa1c-6a4751cae5ff")
CLEAR = ObjectId("marking-definition--94868c89-83c2-464b-929b-a1a8aa3c8487")


def read() -> Reading:
    return read_article(parse_plain(TEXT, source=Source(retrieved_at=RETRIEVED)), read_rules(), read_gazetteer())


def make_maker() -> Maker:
    return Maker(party=PartyId("aurelia"), at=RETRIEVED, markings=(CLEAR,))


def assemble(*confirmed: str, review: Review | None = None, author: ObjectId | None = None) -> dict[str, Any]:
    """The objects by their names or values, and the notes."""
    said = replace(review or Review(confirmed=frozenset()), confirmed=frozenset(confirmed))
    record = assemble_report(read(), said, make_maker(), author=author)
    objects = [json.loads(data) for data in record.objects]
    named = {one.get("name", one.get("value", one["id"])): one for one in objects}
    return {**named, "all": objects, "notes": record.notes, "report": objects[-1]}


def test_the_report_says_where_the_article_came_from_and_holds_no_text_of_it() -> None:
    report = assemble(PERSON)["report"]
    assert report["type"] == "report"
    assert report["name"] == "Lucent and Norrhaven talk"
    assert report["published"] == "2031-03-04T00:00:00.000Z"
    (source,) = report["external_references"]
    assert (source["source_name"], source["url"]) == ("wire.example", "https://wire.example/a")
    assert source["hashes"] == {"SHA-256": read().article.digest}
    assert "denied" not in json.dumps(report)


def test_only_what_is_confirmed_is_in_it() -> None:
    found = assemble(PERSON, "place/XB")
    assert [one["type"] for one in found["all"]] == ["location", "identity", "report"]
    assert set(found["report"]["object_refs"]) == {found["Ilse Verhoeven"]["id"], found["Borealia"]["id"]}
    assert "Halcyon" not in json.dumps(found["all"])


def test_each_object_stands_behind_what_it_refers_to() -> None:
    reading = read()
    record = assemble_report(reading, Review(confirmed=frozenset(reading.drafts)), make_maker())
    seen = set[str]()
    held = {draft.held for draft in reading.drafts.values()}
    for data in record.objects:
        value = json.loads(data)
        refers = {*value.get("object_refs", ())} - held
        assert refers <= seen
        seen.add(value["id"])


def test_a_note_whose_speaker_is_struck_is_left_out_and_said_so() -> None:
    reading = read()
    note = next(key for key in reading.drafts if key.startswith("statement/"))
    found = assemble(note, "place/XB")
    assert [one["type"] for one in found["all"]] == ["location", "report"]
    assert found["notes"] == ("left out, as nothing that it is about is confirmed: Ilse Verhoeven: denies",)


def test_an_opinion_needs_its_claim() -> None:
    keys = [key for key in read().drafts if key.startswith(("claim/", "opinion/"))]
    opinion = [key for key in keys if key.startswith("opinion/")]
    assert [one["type"] for one in assemble(*opinion, PERSON)["all"]] == ["identity", "report"]
    types = [one["type"] for one in assemble(*keys, PERSON, "place/XB")["all"]]
    assert types == ["location", "identity", "note", "opinion", "report"]


def test_an_organisation_that_is_held_is_referred_to_and_not_made() -> None:
    found = assemble("known/national:rimward-front")
    held = read_gazetteer().known["national:rimward-front"].object
    assert found["report"]["object_refs"] == [held]
    assert len(found["all"]) == 1


def test_a_correction_changes_a_property_and_none_removes_one() -> None:
    corrections = {PERSON: Correction(set={"name": "Ilse Verhoeven-Maas", "roles": None})}
    person = assemble(PERSON, review=Review(confirmed=frozenset(), corrections=corrections))["Ilse Verhoeven-Maas"]
    assert "roles" not in person


def test_a_draft_can_stand_for_an_object_that_is_held() -> None:
    note = next(key for key in read().drafts if key.startswith("statement/"))
    found = assemble(
        PERSON, note, review=Review(confirmed=frozenset(), corrections={PERSON: Correction(stands_for=HELD)})
    )
    assert [one["type"] for one in found["all"]] == ["note", "report"]
    assert found["all"][0]["object_refs"] == [HELD]
    assert HELD in found["report"]["object_refs"]


def test_the_head_can_be_corrected() -> None:
    head = Review(
        confirmed=frozenset(),
        title="T",
        published="2031-03-05",
        publisher="P",
        url="https://p.example/",
        report_types=("threat-report",),
    )
    report = assemble(PERSON, review=head)["report"]
    assert (report["name"], report["published"][:10], report["report_types"]) == ("T", "2031-03-05", ["threat-report"])
    assert report["external_references"][0]["url"] == "https://p.example/"


def test_the_author_and_the_markings_are_on_every_object() -> None:
    found = assemble(*read().drafts, author=HELD)
    for one in found["all"]:
        assert one["object_marking_refs"] == [CLEAR]
        assert one.get("created_by_ref") == (None if one["type"] in {"url", "file"} else HELD)


def test_the_same_review_gives_the_same_bytes_and_another_party_other_ids() -> None:
    review = Review(confirmed=frozenset(read().drafts))
    first, again = (assemble_report(read(), review, make_maker()) for _ in range(2))
    other = assemble_report(read(), review, Maker(party=PartyId("borealia"), at=RETRIEVED))
    assert first == again
    assert {json.loads(one)["id"] for one in first.objects}.isdisjoint(json.loads(one)["id"] for one in other.objects)


@pytest.mark.parametrize(
    ("review", "match"),
    [
        (Review(confirmed=frozenset()), "nothing is confirmed"),
        (Review(confirmed=frozenset({"place/ZZ"})), "is no draft of this article"),
        (Review(confirmed=frozenset({PERSON}), corrections={"x": Correction()}), "is no draft of this article"),
        (
            Review(confirmed=frozenset({PERSON}), corrections={PERSON: Correction(set={"id": "x"})}),
            "cannot be corrected",
        ),
        (
            Review(confirmed=frozenset({PERSON}), corrections={PERSON: Correction(stands_for=ObjectId("x"))}),
            "cannot stand for",
        ),
        (Review(confirmed=frozenset({PERSON}), published="March"), "is no day"),
    ],
)
def test_what_cannot_be_assembled(review: Review, match: str) -> None:
    with pytest.raises(MalformedRequest, match=match):
        assemble_report(read(), review, make_maker())


def test_without_a_day_of_publication_nobody_makes_one_up() -> None:
    article = parse_plain(b"A title\n\nIt rained in Norway.", source=Source(retrieved_at=RETRIEVED))
    reading = read_article(article, read_rules(), read_gazetteer())
    with pytest.raises(MalformedRequest, match="no day of publication"):
        assemble_report(reading, Review(confirmed=frozenset(reading.drafts)), make_maker())


@pytest.mark.parametrize("part", PARTS)
def test_all_drafts_of_the_corpus_are_as_stix_says(part: str) -> None:
    for marked, reading in read_all(part):
        published = reading.article.published or "2031-01-01"
        review = Review(confirmed=frozenset(reading.drafts), published=published, about=(HELD,))
        record = assemble_report(reading, review, make_maker(), author=HELD)
        bundle = b'{"objects":[' + b",".join(record.objects) + b"]}"
        parsed = validate_bundle(read_schemas(), parse_bundle(bundle))
        assert parsed.bad == (), marked.name
        assert len(parsed.good) == len(record.objects), marked.name
