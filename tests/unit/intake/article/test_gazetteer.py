# SPDX-License-Identifier: Apache-2.0
"""The organisations that a node knows: aliases by quality, and no entry that selects people by faith or descent."""

import pytest

from comity.errors import MalformedRequest
from comity.intake.article.gazetteer import Gazetteer, parse_gazetteer
from comity.intake.article.mentions import Kind
from comity.intake.article.reading import read_article
from comity.intake.article.text import Source, parse_plain
from tests.intake.annotated import RETRIEVED, read_gazetteer, read_rules

RULES = read_rules()


def parse(text: str) -> Gazetteer:
    return parse_gazetteer(text.encode(), rules=RULES)


def entry(name: str, **more: str) -> str:
    return "\n".join(
        ["[[known]]", 'id = "a:b"', f'name = "{name}"', *(f"{key} = {value}" for key, value in more.items())]
    )


def find(text: str) -> list[tuple[str, str]]:
    article = parse_plain(f"A title\n\n{text}\n".encode(), source=Source(retrieved_at=RETRIEVED))
    reading = read_article(article, RULES, read_gazetteer())
    return [(article.text[one.start : one.end], one.rule) for one in reading.mentions if one.kind is Kind.ORGANISATION]


def test_a_name_and_a_good_alias_count_alone() -> None:
    assert find("Police named the Rimward Front today.") == [("Rimward Front", "name")]
    assert find("The Rimward\nLiberation Front was named.") == [("Rimward\nLiberation Front", "good-alias")]


def test_a_low_alias_never_counts_alone() -> None:
    assert find("At the Front, the Front and The Front.") == []


def test_a_low_alias_counts_beside_a_name() -> None:
    assert find("The Rimward Front fled. The Front denied it; at the front nothing moved.") == [
        ("Rimward Front", "name"),
        ("The Front", "low-alias"),
    ]


def test_a_low_alias_of_another_organisation_stays_out() -> None:
    assert find("The Rimward Front met the Brigade.") == [("Rimward Front", "name")]


@pytest.mark.parametrize(
    "name",
    [
        "Muslims",
        "Muslims from the North Caucasus",
        "Russian Muslims",
        "Muslims of Russia",
        "Young Kurds",
        "Kurdish minority",
        "Chechens",
        "the Jews of France",
        "Sunni Arabs",
        "Christian families in Iraq",
        "Muslim extremists",
    ],
)
@pytest.mark.parametrize("field", ["name", "good", "low"])
def test_people_of_a_faith_or_an_ethnic_group_are_no_organisation(name: str, field: str) -> None:
    text = entry(name) if field == "name" else entry("Rimward Front", **{field: f'["{name}"]'})
    with pytest.raises(MalformedRequest, match=r"names people by .* nobody is selected by that"):
        parse(text)


@pytest.mark.parametrize(
    "name", ["Islamic State", "Muslim Aid Association", "Arab League", "Kurdish Red Crescent", "Order of the Salt Road"]
)
def test_an_organisation_with_such_a_word_in_its_name_is_one(name: str) -> None:
    assert parse(entry(name)).known["a:b"].name == name


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("x", "line 1"),
        ("known = 3", "/known"),
        ("[other]\na = 1", "/known"),
        ("known = [3]", "/known/0"),
        (entry("A", colour='"red"'), "/known/0"),
        ('[[known]]\nid = "A B"\nname = "A"', "/known/0/id"),
        ('[[known]]\nid = "a:b"', "/known/0/name"),
        (entry("A", kind='"malware"'), "/known/0/kind"),
        (entry("A", object='"malware--x"'), "/known/0/object"),
        (entry("A", good='"B"'), "/known/0/good"),
        (entry("A", good="[1]"), "/known/0/good"),
        (entry("A") + "\n" + entry("B"), "/known/1/id"),
        (entry("---"), "/known/0"),
    ],
)
def test_what_is_no_gazetteer_says_where(text: str, where: str) -> None:
    with pytest.raises(MalformedRequest) as refused:
        parse(text)
    assert refused.value.where == where


def test_an_empty_gazetteer_is_one() -> None:
    assert parse("").known == {}
