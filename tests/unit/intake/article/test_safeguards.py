# SPDX-License-Identifier: Apache-2.0
"""Nobody is read out of an article by religion or ethnicity: no person, class, subject, office or selector."""

import json
from collections.abc import Iterator
from functools import reduce

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from comity.canonical import Json
from comity.ids import PartyId
from comity.intake.article.assembly import Review, assemble_report
from comity.intake.article.mentions import Kind, Mention
from comity.intake.article.reading import Reading, read_article
from comity.intake.article.text import Source, parse_plain
from comity.intake.article.words import split_words
from comity.intake.making import Maker
from comity.stix.tags import CLASSIFICATION_EXTENSION
from tests.intake.annotated import PARTS, RETRIEVED, read_all, read_gazetteer, read_rules

RULES = read_rules()
WORDS = sorted(RULES.safeguards)
"""Every word for a faith or an ethnic group, folded."""

SENTENCES = [
    (
        "Meridian Interior Minister Leila Tamsin said that {} from the North Caucasus "
        "were in the ranks of the Rimward Front."
    ),
    "A number of {} from Russia's North Caucasus region have joined.",
    "{} from Norway said that they would not pay.",
    "{} leaders denied it.",
    "Young {} met President Bram de Wit of Aurelia in Lucent.",
    '"We are {}," said Mr. Pedro Lanz.',
    "The {} of Borealia will continue to help.",
]
NEUTRAL = "villagers"


def read(text: str) -> Reading:
    data = f"A title\n\n21 November 2031\n\n{text}\n".encode()
    return read_article(parse_plain(data, source=Source(retrieved_at=RETRIEVED)), RULES, read_gazetteer())


def list_texts(value: Json) -> Iterator[str]:
    if isinstance(value, dict):
        for item in value.values():
            yield from list_texts(item)
    elif isinstance(value, list):
        for item in value:
            yield from list_texts(item)
    elif isinstance(value, str):
        yield value


def forget_states(text: str) -> str:
    """Without the names of states: that of the Emirates holds a word for a people."""
    return reduce(lambda left, name: left.replace(name, ""), RULES.names.values(), text)


def selects(reading: Reading) -> list[str]:
    """Words of the safeguards in anything that names or selects: all but the quoted words of a note or an opinion."""
    found = list[str]()
    for draft in reading.drafts.values():
        named = {
            name: value
            for name, value in draft.properties.items()
            if not (draft.type in {"note", "opinion"} and name in {"content", "explanation"})
        }
        if draft.kind is Kind.ORGANISATION:
            continue  # a name of the gazetteer, which was held against the safeguards itself
        for text in [
            *map(forget_states, list_texts(named)),
            draft.key,
            "" if draft.key.startswith("claim/") else forget_states(draft.title),
        ]:
            found += [word for word in split_words(text).values if word in RULES.safeguards]
    for person in reading.persons:
        found += [word for word in split_words(f"{person.name} {person.office}").values if word in RULES.safeguards]
    return found


def shape(reading: Reading, word: str) -> list[tuple[str, str, str]]:
    """What was found, without the places: these differ with the length of a word."""
    text = reading.article.text

    def name(one: Mention) -> str:
        return text[one.start : one.end].replace(word, "…") if one.kind is Kind.STATEMENT else text[one.start : one.end]

    return [(one.kind.value, one.value, name(one)) for one in reading.mentions]


def test_muslims_from_the_north_caucasus_become_nobody() -> None:
    reading = read(SENTENCES[0].format("Muslims"))
    assert selects(reading) == []
    assert [person.name for person in reading.persons] == ["Leila Tamsin"]
    for draft in reading.drafts.values():
        assert draft.properties.get("identity_class") in {None, "individual", "organization"}
    identities = {draft.title for draft in reading.drafts.values() if draft.type == "identity"}
    assert identities == {"Leila Tamsin, Interior Minister of Meridia"}


@pytest.mark.parametrize("sentence", SENTENCES)
@given(word=st.sampled_from(WORDS), capital=st.booleans())
@settings(max_examples=60)
def test_no_word_for_a_faith_or_a_people_changes_what_is_found(sentence: str, word: str, capital: bool) -> None:
    """Whichever it is, the same is found as of people of whom nothing is said."""
    written = word.capitalize() if capital else word
    if word not in {"han", "roma", "maya", "sami"}:  # beside a name these may be read as names
        reading = read(sentence.format(written))
        assert selects(reading) == []
        assert shape(reading, written) == shape(read(sentence.format(NEUTRAL)), NEUTRAL)


@pytest.mark.parametrize("sentence", SENTENCES)
@given(word=st.sampled_from(WORDS))
@settings(max_examples=20)
def test_what_such_a_text_becomes_carries_no_class_and_no_tag(sentence: str, word: str) -> None:
    reading = read(sentence.format(word.capitalize()) + " It rained in Norway.")
    record = assemble_report(
        reading, Review(confirmed=frozenset(reading.drafts)), Maker(party=PartyId("aurelia"), at=RETRIEVED)
    )
    for data in record.objects:
        value = json.loads(data)
        assert value.get("identity_class") in {None, "individual", "organization"}
        assert CLASSIFICATION_EXTENSION not in value.get("extensions", {})
        assert "labels" not in value


def test_a_note_that_quotes_such_a_word_warns_whoever_confirms_it() -> None:
    reading = read(SENTENCES[0].format("Muslims"))
    (note,) = [draft for draft in reading.drafts.values() if draft.type == "note"]
    assert note.warnings == ("religious_or_philosophical_beliefs",)
    reading = read(SENTENCES[0].format("Kurds"))
    (note,) = [draft for draft in reading.drafts.values() if draft.type == "note"]
    assert note.warnings == ("racial_or_ethnic_origin",)
    assert all(draft.warnings == () for draft in read(SENTENCES[0].format(NEUTRAL)).drafts.values())


@pytest.mark.parametrize("words", ["Shi'ite families", "a Baha\u2019i house", "Jehovah's Witnesses", "Sunni Arabs"])
def test_words_of_several_parts_warn_too(words: str) -> None:
    reading = read(f"Prime Minister Ida Moe of Norway said that {words} were there.")
    (note,) = [draft for draft in reading.drafts.values() if draft.type == "note"]
    assert "religious_or_philosophical_beliefs" in note.warnings


def test_the_name_of_a_state_or_of_an_organisation_warns_nobody() -> None:
    reading = read("Prime Minister Ida Moe of Norway said that the United Arab Emirates would pay.")
    assert all(draft.warnings == () for draft in reading.drafts.values())


def test_an_office_of_a_religion_makes_no_person() -> None:
    for office in (
        "Imam",
        "Rabbi",
        "Bishop",
        "Father",
        "Sheikh",
        "Ayatollah",
        "Muslim leader",
        "Kurdish chief",
        "Patriarch",
    ):
        reading = read(f"{office} Anton Morrow was there.")
        assert all(person.office.casefold() != office.casefold() for person in reading.persons), office
        assert selects(reading) == []


def test_no_draft_of_the_corpus_selects_anybody_so() -> None:
    for part in PARTS:
        for marked, reading in read_all(part):
            assert selects(reading) == [], marked.name
