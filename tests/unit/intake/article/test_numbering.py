# SPDX-License-Identifier: Apache-2.0
"""Drafts by number: each once, in the order of the text, each where the text asks for it; and as JSON and back."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from comity.errors import MalformedArticle, MalformedRequest
from comity.intake.article.numbering import (
    MOST_DRAFTS,
    describe_numbered,
    format_numbers,
    list_special,
    number_drafts,
    parse_numbers,
    read_numbered,
)
from comity.intake.article.reading import Reading, read_article
from comity.intake.article.text import Source, parse_plain
from tests.intake.annotated import PARTS, RETRIEVED, load, read_gazetteer, read_rules


def read(text: str) -> Reading:
    article = parse_plain(text.encode(), source=Source(retrieved_at=RETRIEVED))
    return read_article(article, read_rules(), read_gazetteer())


@pytest.mark.parametrize("part", PARTS)
def test_every_draft_of_every_article_has_a_number_and_a_place(part: str) -> None:
    for marked in load(part):
        reading = read_article(marked.article, read_rules(), read_gazetteer())
        numbered = number_drafts(reading)
        assert [item.number for item in numbered] == [*range(1, len(reading.drafts) + 1)]
        assert {item.draft.key for item in numbered} == reading.drafts.keys()
        assert [item.start for item in numbered] == sorted(item.start for item in numbered)
        for item in numbered:
            assert reading.article.text[item.start : item.end].strip(), item
            assert item.rule
            again = json.loads(json.dumps(describe_numbered(item)))
            assert read_numbered(again, length=len(reading.article.text)) == item


def test_what_is_mentioned_often_has_its_first_place() -> None:
    reading = read("Rain\n\n3 May 2031\n\nGermany rained. It rained in Germany, and then in Germany.")
    (place,) = [item for item in number_drafts(reading) if item.draft.key == "place/DE"]
    assert (reading.article.text[place.start :].startswith("Germany rained"), place.places) == (True, 3)


def test_only_title_and_caption_say_what_a_report_may_hold() -> None:
    assert list_special(read("Rain\n\n3 May 2031\n\nGermany said that Muslims pray.")) == frozenset()
    assert list_special(read("Muslims pray\n\n3 May 2031\n\nGermany said that it rained.")) == {
        "religious_or_philosophical_beliefs"
    }


def test_more_drafts_than_anybody_reviews_are_refused() -> None:
    text = "T\n\n3 May 2031\n\n" + " ".join(f"http://h{index}.example.com/" for index in range(MOST_DRAFTS + 1))
    with pytest.raises(MalformedArticle, match="10001 things"):
        number_drafts(read(text))


@given(st.sets(st.integers(1, MOST_DRAFTS), max_size=60))
def test_numbers_are_read_as_they_are_written(numbers: set[int]) -> None:
    assert parse_numbers(format_numbers(numbers)) == tuple(sorted(numbers))


def test_ten_thousand_alternating_numbers_are_few_enough_for_an_entry() -> None:
    assert len(format_numbers(range(1, MOST_DRAFTS, 2))) < 30_000


@pytest.mark.parametrize("text", ["0", "-1", "3-1", "x", "1,,2", "1 2", "10001", "1-10001", "٣", "1-2-3", " "])
def test_what_is_no_number_is_refused(text: str) -> None:
    with pytest.raises(MalformedRequest, match="names no drafts"):
        parse_numbers(text)
