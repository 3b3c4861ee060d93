# SPDX-License-Identifier: Apache-2.0
# ruff: noqa: RUF001 (what looks alike is what this is about)
"""No rule selects people by religion or ethnicity: also not spaced, accented, disguised, or put together from parts."""

import pytest

from comity.agreement.recognition import Refusal
from comity.classification.rules import RuleSet, convert_rules, parse_rules
from comity.classification.traits import CLAUSE, find_trait, is_trait_alone
from comity.errors import MalformedTerms


def rule(when: str) -> RuleSet | Refusal:
    text = (
        f'format = "comity-rules/1"\nname = "r"\n[[rules]]\nid = "a"\nwhy = "w"\n[rules.when]\n{when}\n'
        '[rules.say]\nregions = ["IQ"]\n'
    )
    return convert_rules(text.encode())


@pytest.mark.parametrize(
    "text",
    [
        "muslim",
        "Muslims in the town",
        "CHRISTIAN",
        "jew",
        "Jewish school",
        "Kurdish",
        "ethnic Chechens",
        "mosque",
        "Мусульмане",
        "еврейский",
        "чеченец",
        "مسلم",
        "الكردي كردي",
        "יהודי",
        "m u s l i m",
        "m.u.s.l.i.m",
        "mus lim",
        "musl-im",
        "mUsLíM",
        "ｍｕｓｌｉｍ",
        "mus1im",
        "mu5lim",
        "musl!m",
        "мuslim",
        "ΜUSLIM",
        "muslim2026",
        "roma",
        "sunni",
        "Hasidic",
        "Hasidim",
        "Haredi",
        "Shiism",
        "clergy",
        "Mullah",
        "the mullahs",
        "Ayatollahs",
        "mu11ah",
        "Pentecostal women",
        "moslims",
        "católicos",
        "ortodoxo",
        "religieux",
        "etnia",
        "gitans",
        "muzułmanin",
        "Çerkes",
        "شیعه",
        "یهودی",
        "کردها",
        "мусулман",
        "Μουσουλμάνοι",
        "穆斯林",
        "muslım",
        "ᴍᴜꜱʟɪᴍ",
        "religious",
        "gdpr religious-or-philosophical-beliefs",
        "creed 3",
        "caste 4",
        "nonmuslims",
        "Anti-Christian",
        "interracial",
        "mussulman",
        "muslem",
        "Mohammedans",
        "wahabis",
        "Nusayri",
        "Quran readers",
        "masjid",
        "Bedouins",
        "Lezgins",
        "Ossetians",
        "Waislamu",
        "المسلمين",
        "والمسيحيين",
        "للأكراد",
        "نصارى",
        "يهود",
        "علويين",
        "היהודים",
        "והמוסלמים",
        "мечеть",
        "синагога",
        "ムスリム",
        "ユダヤ人",
        "クルド人",
        "무슬림",
        "기독교인",
        "मुसलमान",
        "हिन्दू",
        "মুসলিম",
        "มุสลิม",
    ],
)
def test_words_for_what_people_are_are_found(text: str) -> None:
    assert find_trait([text]) == text
    refused = rule(f'name_words = ["{text}"]')
    assert isinstance(refused, Refusal)
    assert refused.clause == CLAUSE


@pytest.mark.parametrize("text", ["m\u200bu\u200bslim", "mu\u00adslim", "\u2067muslim\u2069"])
def test_what_is_not_seen_hides_nothing(text: str) -> None:
    assert find_trait([text]) == text
    with pytest.raises(MalformedTerms):
        rule(f'name_words = ["{text}"]')


@pytest.mark.parametrize(
    "text",
    [
        "relay",
        "198.51.100.",
        "romania",
        "turkmenistan",
        "latin",
        "kurdistan",
        "roman numerals",
        "island",
        "islamabad",
        "harbour",
        "marrow ford",
        "ashfall",
        "jewel",
        "sector",
        "kurdt-c.example",
        "the front",
        "case 12",
        "christmas",
        "racecar",
        "international",
        "Mullah Road",
        "Ayatollah Street Pier",
        "Priestfield",
        "sunny",
        "sunnyside",
        "shipping",
        "shi ming road",
        "Shire",
        "Shinjuku",
        "jewellery",
        "Baptiste",
        "Haredale",
        "Tutsham",
        "Ashkenazy",
        "copter",
        "mullard",
        "gitanjali",
        "etna",
        "judiasville",
        "catalog",
        "ortho",
        "slimming",
        "anti-virus",
        "export",
        "proxy",
        "nonce",
        "Rio Negro",
        "platino",
        "musl",
        "tibet",
        "parsing",
        "united",
        "البنك",
        "השלום",
    ],
)
def test_other_words_are_not(text: str) -> None:
    assert find_trait([text], parts=[text]) is None
    assert isinstance(rule(f'name_parts = ["{text}"]'), RuleSet)


@pytest.mark.parametrize(
    "part",
    [
        "uslim",
        "musli",
        "hristian",
        "chriſtian",
        "urdish",
        "sunn",
        "SUNN",
        "unni",
        "shi",
        " Shi ",
        "5unn",
        "mulla",
        "druz",
        "hristi",
        "heche",
        "ethn",
    ],
)
def test_a_part_of_such_a_word_that_is_looked_for_inside_of_names_is_found(part: str) -> None:
    assert find_trait([], parts=[part]) == part
    assert isinstance(rule(f'name_parts = ["{part}"]'), Refusal)
    assert isinstance(rule(f'pattern_parts = ["{part}"]'), Refusal)


@pytest.mark.parametrize(
    "when",
    [
        'name_parts = ["musl", "imah"]',
        'names = ["mus"]\nname_parts = ["lim"]',
        'labels = ["chris"]\nname_parts = ["tian"]',
        'name_words = ["kur", "dish"]',
        f"name_words = {[*(f'relay {number}' for number in range(200)), 'kur', 'dish']}",
        'name_words = ["ro", "ma"]',
    ],
)
def test_put_together_from_several_selectors_of_one_rule_they_are_found(when: str) -> None:
    refused = rule(when)
    assert isinstance(refused, Refusal)
    assert "+" in refused.reason


@pytest.mark.parametrize("word", ["sunn", "shi", "alaw", "mulla"])
def test_a_short_part_that_is_a_whole_word_of_a_name_finds_that_word_alone(word: str) -> None:
    assert find_trait([word]) is None
    assert isinstance(rule(f'name_words = ["{word}"]'), RuleSet)


def test_a_word_that_only_begins_like_a_short_one_is_not_put_together() -> None:
    assert find_trait(["ro", "mania"]) is None
    assert find_trait(["s", "s"]) is None


@pytest.mark.parametrize(
    "field",
    ["special_categories", "religion", "ethnicity", "race", "racial_or_ethnic_origin", "person_classes", "nationality"],
)
def test_a_field_that_asks_for_it_is_refused_and_not_unknown(field: str) -> None:
    refused = rule(f'types = ["report"]\n{field} = ["any"]')
    assert isinstance(refused, Refusal)
    assert refused.clause == CLAUSE
    assert field in refused.reason


@pytest.mark.parametrize(
    "when",
    [
        'types = ["x-muslim"]',
        'types = ["x-kurdish-person"]',
        'labels = ["sunni"]',
        'external_ids = ["desk:muslim-7"]',
        'names = ["Kurdish"]',
        'named_on = "muslims"',
    ],
)
def test_every_selector_of_a_rule_is_looked_at(when: str) -> None:
    assert isinstance(rule(when), Refusal)


def test_no_rule_says_a_subject_that_is_everybody_of_a_religion() -> None:
    """Else whoever selects by that subject, another rule or an agreement, selects by what this one found."""
    text = rule('labels = ["group-7"]')
    assert isinstance(text, RuleSet)
    said = text.text.replace(b'"regions":["IQ"]', b'"subjects":["national:kurdish-men"]')
    refused = parse_rules(said)
    assert isinstance(refused, Refusal)
    assert refused.clause == CLAUSE
    assert isinstance(parse_rules(said.replace(b"kurdish-men", b"kurdish-ash-brigade")), RuleSet)


def test_one_such_rule_refuses_the_whole_set() -> None:
    good = '[[rules]]\nid = "{}"\nwhy = "w"\n[rules.when]\nname_words = ["{}"]\n[rules.say]\nregions = ["IQ"]\n'
    text = 'format = "comity-rules/1"\nname = "r"\n' + good.format("a", "relay") + good.format("b", "muslim")
    refused = convert_rules(text.encode())
    assert isinstance(refused, Refusal)
    assert "the rule b" in refused.reason


@pytest.mark.parametrize(
    "name", ["Muslims", "the Kurdish people", "Young Christian men", "Sunni Kurds", "мусульмане", "the mullahs"]
)
def test_a_name_that_says_nothing_else_can_be_no_group_on_a_list(name: str) -> None:
    assert is_trait_alone(name)


@pytest.mark.parametrize(
    "name", ["Islamic Relay Front", "Marrow Ford", "Kurdish Ash Brigade", "Muslim Harbour League", "Mullah Road"]
)
def test_a_group_whose_name_holds_such_a_word_can_be(name: str) -> None:
    assert not is_trait_alone(name)
