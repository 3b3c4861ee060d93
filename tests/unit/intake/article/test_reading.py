# SPDX-License-Identifier: Apache-2.0
"""What a reading finds: states and traps, capitals and their use, regions, persons, bodies, statements and stances."""

import pytest

from comity.intake.article.mentions import Kind
from comity.intake.article.reading import Reading, read_article
from comity.intake.article.text import Source, parse_plain
from tests.intake.annotated import RETRIEVED, read_gazetteer, read_rules

RULES = read_rules()


def read(text: str) -> Reading:
    data = f"A title\n\nFriday, 21 November 2031\n\n{text}\n".encode()
    return read_article(parse_plain(data, source=Source(retrieved_at=RETRIEVED)), RULES, read_gazetteer())


def list_of(kind: Kind, text: str) -> list[tuple[str, str]]:
    reading = read(text)
    return [(reading.article.text[one.start : one.end], one.value) for one in reading.mentions if one.kind is kind]


def list_said(text: str) -> list[tuple[str, str | None]]:
    return [(one.stance, one.speaker) for one in read(text).statements]


# --- states -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "codes"),
    [
        ("Norway, the U.K. and the United States of America.", ["NO", "GB", "US"]),
        ("A Guinea-Bissau doctor, one from Papua New Guinea, one from Equatorial Guinea.", ["GW", "PG", "GQ"]),
        ("Niger and Nigeria; Sudan and South Sudan.", ["NE", "NG", "SD", "SS"]),
        ("The Republic of the Congo and the Democratic Republic of the Congo.", ["CG", "CD"]),
        ("Côte d\u2019Ivoire and Cote d'Ivoire.", ["CI", "CI"]),
        ("China and Turkey; TURKEY.", ["CN", "TR", "TR"]),
        ("The US said; tell us; join us.", ["US"]),
        ("New Mexico, the Gulf of Mexico and Mexico.", ["MX"]),
        ("norway and polish", []),
    ],
)
def test_states_by_name(text: str, codes: list[str]) -> None:
    assert [value for _, value in list_of(Kind.STATE, text)] == codes


@pytest.mark.parametrize(
    ("text", "codes"),
    [
        ("Growers in Savannah, in Georgia, drove home.", []),
        ("The road from Tbilisi through Georgia was shut.", ["GE"]),
        ("Georgian wine from Georgia.", ["GE", "GE"]),
        ("It was seen in Georgia and Alabama.", []),
        ("Michael Jordan and Jordan Pike played.", []),
        ("Amman said that Jordan would wait.", ["JO"]),
        ("Chad Morrow came.", []),
        ("Troops left Chad for Niger.", ["TD", "NE"]),
    ],
)
def test_traps_are_decided_by_what_stands_near(text: str, codes: list[str]) -> None:
    assert [value for _, value in list_of(Kind.STATE, text)] == codes


def test_a_trap_that_nothing_decides_says_so() -> None:
    (found,) = [one for one in read("It happened in Georgia.").mentions if one.kind is Kind.STATE]
    assert found.doubt == "nothing near says whether this is the state"


@pytest.mark.parametrize(
    ("text", "rule", "has_draft"),
    [
        ("They met in Lisbon.", "capital-as-place", True),
        ("LISBON (Wire) - It rained.", "capital-as-place", True),
        ("The mayor of Lisbon waved.", "capital-as-place", True),
        ("Lisbon denied it.", "capital-for-government", False),
        ("It blamed Lisbon.", "capital-for-government", False),
    ],
)
def test_a_capital_is_a_place_or_an_alias_and_the_alias_becomes_no_object(
    text: str, rule: str, has_draft: bool
) -> None:
    (found,) = [one for one in read(text).mentions if one.kind is Kind.CAPITAL]
    assert (found.value, found.rule, found.draft is not None) == ("PT", rule, has_draft)


def test_an_adjective_is_a_mention_and_no_object() -> None:
    reading = read("Norwegian boats.")
    assert [(one.kind, one.value, one.draft) for one in reading.mentions] == [(Kind.STATE, "NO", None)]
    assert reading.drafts == {}


def test_a_region_is_a_frozen_list() -> None:
    reading = read("In the Middle East and in Central Asia.")
    assert [one.value for one in reading.mentions] == ["middle-east", "central-asia"]
    east, asia = reading.drafts["place/middle-east"], reading.drafts["place/central-asia"]
    assert "AE BH EG IL IQ IR JO KW LB OM PS QA SA SY TR YE" in str(east.properties["description"])
    assert asia.properties["region"] == "central-asia"


# --- persons and bodies -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "name", "office", "state"),
    [
        ("Borealian Foreign Minister Tomas Ekdal left.", "Tomas Ekdal", "Foreign Minister", "XB"),
        ("U.S. Secretary of State Ann Lee left.", "Ann Lee", "Secretary Of State", "US"),
        ("President Bram de Wit of Aurelia left.", "Bram de Wit", "President", "XA"),
        ("Ana Freixo, Portugal's environment minister, left.", "Ana Freixo", "Environment Minister", "PT"),
        ("Karl Osterman, the Estonian president, left.", "Karl Osterman", "President", "EE"),
        ("Meridia's president, Adil Sefrioui, left.", "Adil Sefrioui", "President", "XM"),
        ("Borealia's ambassador in Lucent, Nils Odegard, left.", "Nils Odegard", "Ambassador", "XB"),
        ("The deputy foreign minister of Norway, Ida Moe, left.", "Ida Moe", "Deputy Foreign Minister", "NO"),
        ("Mr. Pedro Lanz left.", "Pedro Lanz", "", ""),
        ('"No," said Marta Quintela.', "Marta Quintela", "", ""),
        ("Gen. Jean-Luc O'Hara of France left.", "Jean-Luc O'Hara", "General", "FR"),
    ],
)
def test_a_person_with_office_and_state(text: str, name: str, office: str, state: str) -> None:
    (person,) = read(text).persons
    assert (person.name, person.office.casefold(), person.state) == (name, office.casefold(), state)


def test_a_surname_names_the_same_person_again() -> None:
    found = list_of(Kind.PERSON, "Foreign Minister Tomas Ekdal left. Ekdal came back. Ekdal's car did not.")
    assert found == [("Tomas Ekdal", "Tomas Ekdal"), ("Ekdal", "Tomas Ekdal"), ("Ekdal", "Tomas Ekdal")]


def test_two_spellings_of_one_minister_are_one_person_with_a_note() -> None:
    reading = read("Borealian Foreign Minister Sergej Ekdal left. Borealian Foreign Minister Sergei Ekdal came.")
    (person,) = reading.persons
    assert person.spellings == ("Sergei Ekdal",)
    (draft,) = [one for one in reading.drafts.values() if one.kind is Kind.PERSON]
    assert draft.notes == ("also written Sergei Ekdal",)


def test_two_first_names_that_sound_unlike_are_two_persons() -> None:
    reading = read("Borealian Foreign Minister Sara Ekdal left. Borealian Foreign Minister Sven Ekdal came.")
    assert [person.name for person in reading.persons] == ["Sara Ekdal", "Sven Ekdal"]


def test_two_ministers_of_one_surname_are_two() -> None:
    reading = read("Borealian Foreign Minister Tomas Ekdal met Aurelian Finance Minister Anna Ekdal.")
    assert [person.name for person in reading.persons] == ["Tomas Ekdal", "Anna Ekdal"]


@pytest.mark.parametrize(
    "text",
    ["Foreign ministers met.", "The Foreign Minister and others.", "General Motors of Norway.", "A Captain In Norway"],
)
def test_an_office_without_a_name_is_no_person(text: str) -> None:
    assert [person.name for person in read(text).persons if person.name != "Motors"] == []


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("Japan's Foreign Ministry wrote.", ["Foreign Ministry of JP"]),
        ("The Ministry of Defence of Borealia wrote.", ["Defence Ministry of XB"]),
        ("The Borealian Foreign Ministry wrote. The ministry said no.", ["Foreign Ministry of XB"] * 2),
        ("The Foreign Ministry wrote. The Borealian ministry said no.", ["Foreign Ministry of XB"] * 2),
        ("Aurelia, said its Foreign Ministry.", ["Foreign Ministry of XA"]),
        ("The Foreign Ministry wrote.", ["Foreign Ministry"]),
        ("The Kremlin and the White House.", ["Kremlin of RU", "White House of US"]),
        ("A ministry of its own.", []),
    ],
)
def test_bodies_and_their_states(text: str, values: list[str]) -> None:
    assert [value for _, value in list_of(Kind.BODY, text)] == values


# --- statements -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Norway said that it rained.", [("says", "NO")]),
        ("Norway denied that it rained.", [("denies", "NO")]),
        ("Norway neither confirmed nor denied it.", [("neither", "NO")]),
        ("Oslo declined on Friday to confirm or deny it.", [("neither", "NO")]),
        ("Norway refuses to pay.", [("refuses", "NO")]),
        ("Norway will continue to help.", [("continues", "NO")]),
        ("Norway asked Iceland for clarification.", [("asks-clarification", "NO")]),
        ("Norway agreed to pay.", [("agrees", "NO")]),
        ("Norway has unilaterally suspended the group.", [("stops", "NO")]),
        ("Prime Minister Ida Moe said Norway would not pay.", [("refuses", "Ida Moe")]),
        ('"We will not pay," said Prime Minister Ida Moe.', [("refuses", "Ida Moe")]),
        ("Prime Minister Ida Moe spoke. She denied it.", [("denies", "Ida Moe")]),
        ("Ida Moe, speaking after a meeting with Prime Minister Jon Lie, said it rained.", [("says", "Ida Moe")]),
        ("According to Prime Minister Ida Moe, it rained.", [("says", "Ida Moe")]),
        ("A man from Norway said it rained.", [("says", None)]),
        ("Sweden and Norway said it rained.", [("says", None)]),
        ("Buyers are told to pay.", []),
        ("It rained in Norway.", []),
        ("Norway did not agree.", []),
    ],
)
def test_stance_and_speaker(text: str, expected: list[tuple[str, str | None]]) -> None:
    assert list_said(f"Mr. Ida Moe came. {text}" if text.startswith("Ida Moe,") else text) == expected


def test_in_reports_that_somebody_agreed_the_speaker_agrees_to_nothing() -> None:
    (neither, agreed) = read(
        "Without denying it, Norway said of reports that Sweden had agreed that it was early."
    ).statements
    assert (neither.stance, neither.speaker) == ("neither", "NO")
    assert (agreed.stance, agreed.speaker) == ("agrees", "SE")


def test_a_denial_of_a_claim_is_an_opinion_on_the_claim() -> None:
    reading = read("Prime Minister Ida Moe of Norway denied reports that Sweden had paid.")
    claim, opinion = (
        next(one for key, one in reading.drafts.items() if key.startswith(kind)) for kind in ("claim/", "opinion/")
    )
    assert claim.properties["content"] == "reports that Sweden had paid"
    assert claim.refers == ("place/SE",)
    assert (opinion.type, opinion.properties["opinion"], opinion.refers) == ("opinion", "disagree", (claim.key,))
    assert opinion.properties["authors"] == ["Ida Moe"]
    assert opinion.properties["object_refs"] == [claim.key]


def test_a_statement_is_a_note_on_who_speaks() -> None:
    reading = read("Prime Minister Ida Moe of Norway said it rained.")
    (note,) = [one for one in reading.drafts.values() if one.type == "note"]
    assert note.refers == ("person/Ida Moe/Prime Minister/NO",)
    assert note.properties["content"] == "Prime Minister Ida Moe of Norway said it rained."


def test_a_date_inside_an_address_is_no_date() -> None:
    reading = read("See https://a.example/2031-10-02/x for more.")
    assert [one.kind for one in reading.mentions] == [Kind.OBSERVABLE]


@pytest.mark.parametrize("address", ["198.51.100.7", "x@y.example", "https://a.example/b", "2001:db8::17"])
def test_what_is_last_of_all_that_is_read_is_read_whole(address: str) -> None:
    data = f"A title\n\nFriday, 21 November 2031\n\nIt rained.\n\nIt goes to {address}".encode()
    reading = read_article(parse_plain(data, source=Source(retrieved_at=RETRIEVED)), RULES, read_gazetteer())
    assert [one.value for one in reading.mentions if one.kind is Kind.OBSERVABLE] == [address]


def test_nothing_is_read_in_the_trailer() -> None:
    reading = read("It rained.\n\nOriginal url: https://norway.example/norway-denied")
    assert reading.mentions == ()


@pytest.mark.parametrize("words", ["did not agree to", "never agreed to", "had yet to accept"])
def test_who_did_not_agree_does_not_agree(words: str) -> None:
    assert "agrees" not in {stance for stance, _ in list_said(f"Lisbon {words} the paper. Madrid denied that.")}
    assert ("agrees", "PT") in list_said("Lisbon agreed to the paper.")
