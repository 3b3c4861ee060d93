# SPDX-License-Identifier: Apache-2.0
"""Days as drafts: one for each, with its sentences, on what these mention; never that of publication alone."""

import json
from typing import Any

import pytest

from comity.errors import MalformedRequest
from comity.ids import Instant, PartyId
from comity.intake.article.assembly import Review, assemble_report
from comity.intake.article.drafts import Draft
from comity.intake.article.mentions import Kind
from comity.intake.article.numbering import number_drafts
from comity.intake.article.reading import Reading, read_article
from comity.intake.article.review import (
    Decision,
    Step,
    check_correction,
    find_fields,
    review_drafts,
    revise_drafts,
)
from comity.intake.article.text import Source, parse_plain
from comity.intake.making import Maker
from tests.intake.annotated import RETRIEVED, read_gazetteer, read_rules

RULES = read_rules()
ALONE = "The vote was on 2 February 2031. Portugal was silent."


def read(text: str) -> Reading:
    data = f"Lucent and Norrhaven talk\n\nMarch 4, 2031\n\n{text}\n".encode()
    return read_article(parse_plain(data, source=Source(retrieved_at=RETRIEVED)), RULES, read_gazetteer())


def list_days(text: str) -> dict[str, Draft]:
    return {key: draft for key, draft in read(text).drafts.items() if draft.kind is Kind.DATE}


def assemble(text: str, *struck: str) -> list[dict[str, Any]]:
    reading = read(text)
    review = Review(confirmed=frozenset(reading.drafts) - {*struck})
    record = assemble_report(reading, review, Maker(party=PartyId("aurelia"), at=RETRIEVED))
    return [json.loads(data) for data in record.objects]


def test_a_day_is_a_note_on_what_its_sentence_mentions() -> None:
    (draft,) = list_days("Portugal signed on 2 February 2031 with Halcyon Relief. Norway did not.").values()
    assert draft.key == "date/2031-02-02"
    assert draft.type == "note"
    assert draft.properties["abstract"] == '2031-02-02, in the article: "2 February 2031"'
    assert draft.properties["content"] == "Portugal signed on 2 February 2031 with Halcyon Relief."
    assert draft.refers[0] == "place/PT"
    assert "place/NO" not in draft.refers
    assert draft.properties["object_refs"] == [*draft.refers]
    assert draft.notes == ()


def test_one_day_in_several_sentences_is_one_draft() -> None:
    text = "Portugal signed on Monday.\n\nNorway signed on 3 March 2031. Spain signed in February 2031, and in 2030."
    days = list_days(text)
    assert [*days] == ["date/2031-03-03", "date/2031-02", "date/2030"]
    day = days["date/2031-03-03"]
    assert day.title == '2031-03-03, in the article: "Monday", "3 March 2031"'
    assert day.properties["content"] == "Portugal signed on Monday.\nNorway signed on 3 March 2031."
    assert day.refers == ("place/PT", "place/NO")
    assert day.notes == ("told from the day of publication, 2031-03-04",)
    (numbered,) = [one for one in number_drafts(read(text)) if one.draft.key == "date/2031-03-03"]
    assert (numbered.places, numbered.rule) == (2, "weekday")


@pytest.mark.parametrize(
    "text",
    [
        "LISBON, March 4 (Fictional Wire) - Portugal was silent.",
        "March 4, 2031 \u2014 Portugal was silent.",
        "Portugal was silent.\n\nMarch 4, 2031",
    ],
)
def test_the_day_of_publication_alone_is_no_draft(text: str) -> None:
    assert list_days(text) == {}


@pytest.mark.parametrize(
    "text",
    [
        "Portugal signed on March 4, 2031.",
        "Portugal signed today.",
        "Portugal was silent on March 4 - as before.",
        "LISBON, March 3 (Fictional Wire) - Portugal was silent.",
    ],
)
def test_the_day_of_publication_is_a_draft_where_something_is_said_of_it(text: str) -> None:
    assert len(list_days(text)) == 1


def test_a_text_that_names_nothing_but_days_has_no_drafts() -> None:
    assert read("It was on 2 February 2031.").drafts == {}


def test_a_statement_is_not_about_a_day() -> None:
    reading = read('"It was agreed on 2 February 2031 in Portugal," somebody said.')
    assert all("date/" not in key for draft in reading.drafts.values() for key in draft.refers)
    assert "date/2031-02-02" in reading.drafts


def test_a_long_sentence_is_cut_around_the_day_and_many_are_counted() -> None:
    far = "Norway " + "and so on " * 200
    (day,) = list_days(f"{far}and Portugal signed on 2 February 2031 {'with more words ' * 100}in Spain.").values()
    content = str(day.properties["content"])
    assert "Portugal signed on 2 February 2031 with" in content
    assert len(content) <= 600
    assert day.refers == ("place/PT",)
    (many,) = list_days("\n\n".join(f"Portugal signed paper {n} on 2 February 2031." for n in range(9))).values()
    assert str(many.properties["content"]).splitlines()[5:] == ["(It is named 4 times more.)"]


def test_words_for_a_religion_in_the_sentence_warn() -> None:
    (day,) = list_days("Portugal received Muslims on 2 February 2031.").values()
    assert day.warnings == ("religious_or_philosophical_beliefs",)


def test_a_day_of_which_nothing_else_is_confirmed_is_a_note_on_the_report() -> None:
    *_, report, note = assemble(ALONE)
    assert (report["type"], note["type"]) == ("report", "note")
    assert note["object_refs"] == [report["id"]]
    assert note["id"] not in report["object_refs"]


def test_a_day_is_in_the_report_where_its_sentence_mentions_what_is_confirmed() -> None:
    text = "Portugal signed on 2 February 2031. Norway was silent."
    *_, report = assemble(text)
    assert report["type"] == "report"
    assert any(name.startswith("note--") for name in report["object_refs"])
    *_, report, note = assemble(text, "place/PT")
    assert note["object_refs"] == [report["id"]]


def test_the_keys_and_ids_of_days_stay() -> None:
    assert [one["id"] for one in assemble(ALONE)] == [one["id"] for one in assemble(ALONE)]
    assert number_drafts(read(ALONE)) == number_drafts(read(ALONE))


def test_a_person_corrects_which_day_it_is() -> None:
    drafts = {one.number: one for one in number_drafts(read(ALONE))}
    (item,) = [one for one in drafts.values() if one.draft.kind is Kind.DATE]
    assert find_fields(item.draft)[0] == "day"
    for good in ("2031-02-03", "2031-02", "2031", "2031-02-03/2031-02-05"):
        check_correction(item, "day", good, drafts=drafts, rules=RULES)
    for bad in ("2031-02-30", "3 February", "2031/2030", "2031-01/2031", "2031-W05", "2031/2032/2033", "20310203"):
        with pytest.raises(MalformedRequest, match="no day"):
            check_correction(item, "day", bad, drafts=drafts, rules=RULES)
    said = Decision(number=item.number, step=Step.CORRECT, at=Instant(1), by="anna", field="day", value="2031-02-03")
    revised, _ = revise_drafts(review_drafts(drafts.values(), [said]), RULES.stances)
    assert revised[item.draft.key].properties["abstract"] == '2031-02-03, in the article: "2 February 2031"'
