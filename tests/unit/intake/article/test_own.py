# SPDX-License-Identifier: Apache-2.0
"""Own rules: they add, change and take out; they loosen no guard; and all rules can be read, and read again."""

import pytest

from comity.articles import read_rules, read_tables
from comity.errors import MalformedRequest
from comity.intake.article.mentions import Kind
from comity.intake.article.own import OwnRules, format_tables, parse_own_rules
from comity.intake.article.reading import read_article
from comity.intake.article.rules import compile_rules, join_tables, parse_tables
from comity.intake.article.text import Source, parse_plain
from tests.intake.annotated import RETRIEVED, read_gazetteer

BELOW = join_tables(read_tables())


def own(toml: str) -> OwnRules:
    return parse_own_rules(toml.encode(), below=BELOW)


def find(kind: Kind, text: str, toml: str) -> list[str]:
    """What is found, as the text has it, and what it stands for."""
    article = parse_plain(
        f"A title\n\n3 May 2031\n\n{text}\n".encode(), source=Source(retrieved_at=RETRIEVED, published="2031-05-03")
    )
    reading = read_article(article, read_rules(toml.encode()), read_gazetteer())
    return [f"{article.text[one.start : one.end].strip()}: {one.value}" for one in reading.mentions if one.kind is kind]


def test_an_entry_is_added_changed_and_taken_out() -> None:
    text = "Lusitania met Portugal in Oslo."
    assert find(Kind.STATE, text, "") == ["Portugal: PT"]
    assert find(Kind.STATE, text, '[add.aliases.PT]\nnames = ["Lusitania"]') == ["Lusitania: PT", "Portugal: PT"]
    assert find(Kind.CAPITAL, text, "") == ["Oslo: NO"]
    assert find(Kind.CAPITAL, text, '[remove.aliases.NO]\ncapitals = ["oslo"]') == []
    assert find(Kind.CAPITAL, text, "[remove.aliases]\nNO = []") == []
    assert find(Kind.CAPITAL, text, '[aliases.NO]\ncapitals = ["Bergen"]') == []


def test_an_office_and_a_word_of_saying_are_added() -> None:
    text = "Harbour Master Ana Ruiz thundered that Portugal was late."
    added = '[add.offices]\ntitles = ["harbour master"]\n[add.speech]\nverbs = ["thundered"]'
    assert find(Kind.PERSON, text, "") == []
    assert find(Kind.PERSON, text, added) == ["Ana Ruiz: Ana Ruiz"]
    assert find(Kind.STATEMENT, text, added) == [f"{text}: says: Ana Ruiz"]


def test_what_lies_below_stays_as_it_is() -> None:
    before = format_tables(BELOW)
    own('[add.aliases.PT]\nnames = ["Lusitania"]\n[remove.aliases.PT]\ncapitals = ["Lisbon"]')
    assert format_tables(BELOW) == before


def test_the_rules_written_out_are_the_rules() -> None:
    assert parse_tables(format_tables(BELOW).encode()) == BELOW
    assert compile_rules([parse_tables(format_tables(BELOW).encode())]) == compile_rules(read_tables())
    odd = own('[names.en]\n"a\\u007f\\u202e\\"" = "b\\n\\\\"\n[iban]\nPT = 25').tables
    assert parse_tables(format_tables(odd).encode()) == odd


def test_organisations_are_left_out_by_id() -> None:
    assert own('[remove]\nknown = ["unsc:QDe.901"]').no_known == {"unsc:QDe.901"}


@pytest.mark.parametrize(
    ("toml", "words", "where"),
    [
        ("[add", "own rules", ""),
        ("add = 1", "'add' is a table", "/add"),
        ("[add]\nknown = ['a:b']", "no section 'known'", "/known"),
        ("[remove]\nknown = 'a:b'", "list of at most", "/remove/known"),
        ("[remove.safeguards.racial_or_ethnic_origin]\nwords = ['Arab']", "never taken out", "/safeguards"),
        ("[safeguards.racial_or_ethnic_origin]\nwords = []", "never taken out", "/safeguards"),
        ("[people]\nwords = []", "never taken out", "/people"),
        ("[add.offices]\ntitles = ['chief rabbi']", "find people by 'rabbi'", "/offices"),
        ("[add.offices.short]\nImam = 'Teacher'", "find people by 'imam'", "/offices"),
        (
            "[add]\nsafeguards.racial_or_ethnic_origin.words = ['Marshfolk']\noffices.titles = ['Marshfolk elder']",
            "find people by 'marshfolk'",
            "/offices",
        ),
        ("[add.offices]\ntitles = ['elder of Jehovah\u2019s Witnesses']", "find people by 'jehovah", "/offices"),
        ("[departments]\nFaith = ['Muslim']", "find people by 'muslim'", "/departments"),
        ("[add.aliases.IQ]\nnames = ['the Kurds']", "find people by 'kurds'", "/aliases"),
        ("[add.aliases.IQ]\nadjectives = ['Kurdish']", "find people by 'kurdish'", "/aliases"),
        ("[regions.north]\nnames = ['Muslims of the North']\ncodes = 'PT'", "find people by", "/regions"),
        ("[bodies.named]\n'The Imams' = ['PT', 'The Imams']", "find people by 'imams'", "/bodies"),
        ("[remove.aliases.PT]\ncapitals = ['Atlantis']", "takes out 'Atlantis', which is not there", "/remove/aliases"),
        ("[remove.aliases]\nQQ = []", "takes out what no rule has", "/remove/aliases/QQ"),
        ("[add]\naliases = ['x']", "not of the shape", "/add/aliases"),
        ("[remove]\naliases = ['x']", "not of the shape", "/remove/aliases"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(toml: str, words: str, where: str) -> None:
    with pytest.raises(MalformedRequest, match=words) as refused:
        own(toml)
    assert (refused.value.where or "").startswith(where)


def test_a_name_that_holds_such_a_word_beside_others_is_a_name() -> None:
    own("[bodies.named]\n'Ministry of Islamic Affairs' = ['PT', 'Ministry of Islamic Affairs']")
    own("[add.safeguards.racial_or_ethnic_origin]\nwords = ['Marshfolk']")
