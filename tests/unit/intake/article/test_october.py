# SPDX-License-Identifier: Apache-2.0
"""The news report that Comity answers to, of 17 October 2014: what is drafted of it. Its text is not here.

COMITY_ARTICLES names a folder with it; else the folder `shared/data/articles` beside the repository is looked at.
"""

import os
from pathlib import Path

import pytest

from comity.articles import read_tables
from comity.intake.article.gazetteer import Known, make_gazetteer
from comity.intake.article.mentions import Kind
from comity.intake.article.reading import Reading, read_article
from comity.intake.article.rules import compile_rules
from comity.intake.article.text import Source, parse_plain
from tests.intake.annotated import RETRIEVED

NAME = "000_bb7ed350cabb7fbf.txt"
ROOT = Path(__file__).parents[4]
PLACES = [Path(named) for named in [os.environ.get("COMITY_ARTICLES")] if named] + [
    parent / "shared" / "data" / "articles" for parent in ROOT.parents
]
FOUND = next((place / NAME for place in PLACES if (place / NAME).is_file()), None)

pytestmark = pytest.mark.skipif(
    FOUND is None,
    reason=f"the report is for tests only and not in this repository: name the folder of {NAME} in COMITY_ARTICLES",
)
ISLAMIC_STATE = Known(id="unsc:QDe.115", name="Islamic State", kind="intrusion-set", good=("ISIL",))


def read(*known: Known) -> Reading:
    assert FOUND is not None
    rules = compile_rules(read_tables())
    article = parse_plain(FOUND.read_bytes(), source=Source(retrieved_at=RETRIEVED))
    return read_article(article, rules, make_gazetteer([*known], rules=rules))


def list_values(reading: Reading, kind: Kind) -> set[str]:
    return {one.value for one in reading.mentions if one.kind is kind}


def test_the_head() -> None:
    article = read().article
    assert article.title is not None
    assert article.caption is not None
    assert article.quote(article.title).startswith("Russia Says It Won't Breach")
    assert article.quote(article.caption).endswith("in Paris, Oct. 14, 2014.")
    assert (article.published, article.publisher) == ("2014-10-17", "themoscowtimes.com")
    assert article.url is not None
    assert article.url.endswith("/russia-says-it-wont-breach-international-law-to-fight-islamic-state-a40497")
    assert len(article.paragraphs) == 8


def test_persons_with_office_and_state() -> None:
    persons = {person.name: person for person in read().persons}
    assert set(persons) == {"John Kerry", "Sergey Lavrov"}
    assert (persons["John Kerry"].office, persons["John Kerry"].state) == ("Secretary of State", "US")
    assert (persons["Sergey Lavrov"].office, persons["Sergey Lavrov"].state) == ("Foreign Minister", "RU")
    assert persons["Sergey Lavrov"].spellings == ("Sergei Lavrov",)


def test_states_and_places() -> None:
    reading = read()
    assert list_values(reading, Kind.STATE) == {"US", "RU", "SY", "IQ"}
    assert {draft.title for draft in reading.drafts.values() if draft.type == "location"} >= {"Paris", "Syria", "Iraq"}
    moscow = [one for one in reading.mentions if one.kind is Kind.CAPITAL and one.value == "RU"]
    assert {one.rule for one in moscow} >= {"capital-for-government"}
    assert all(one.draft is None for one in moscow if one.rule == "capital-for-government")
    assert list_values(reading, Kind.REGION) == {"north-caucasus"}


def test_the_group_only_where_the_node_knows_it() -> None:
    assert list_values(read(), Kind.ORGANISATION) == set()
    assert list_values(read(ISLAMIC_STATE), Kind.ORGANISATION) == {"unsc:QDe.115"}


def test_dates() -> None:
    dates = {one.value for one in read().mentions if one.kind is Kind.DATE}
    assert dates == {"2014-10-14", "2014-10-16", "2014-10-13/2014-10-17", "1994/1996", "1999/2000"}


def test_stances() -> None:
    """Each row of the table in the product's design that the report says something to."""
    said = {(one.stance, one.speaker) for one in read().statements}
    ministry = "Foreign Ministry of RU"
    assert said == {
        ("refuses", "RU"),  # "Moscow refuses to be involved in coalitions"
        ("neither", ministry),  # "without denying that cooperation existed"
        ("asks-clarification", ministry),
        ("agrees", "Sergey Lavrov"),  # in reports that he had: it is theirs, and not the ministry's
        ("agrees", "John Kerry"),
        ("continues", ministry),
        ("refuses", ministry),
        ("stops", ministry),
    }


def test_nobody_is_drafted_by_faith() -> None:
    reading = read(ISLAMIC_STATE)
    titles = " ".join(draft.title for draft in reading.drafts.values() if draft.type == "identity")
    assert "Muslim" not in titles
    assert {draft.properties.get("identity_class") for draft in reading.drafts.values()} <= {
        None,
        "individual",
        "organization",
    }
