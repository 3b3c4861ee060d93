# SPDX-License-Identifier: Apache-2.0

"""Nobody is the same person by a name that sounds alike; two identifiers are the least."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from comity.canonical import Json
from comity.classification.persons import Person, compare_persons, order_name, read_person, sound_out

LISTING = "extension-definition--3a87894c-316e-4380-86af-0a3ba7d22855"


def person(name: str, **listing: Json) -> Person:
    value: dict[str, Json] = {"type": "identity", "identity_class": "individual", "name": name}
    found = read_person(value | {"extensions": {LISTING: listing}}, LISTING)
    assert found is not None
    return found


BORN: Json = [{"date": "1971-03-02"}]
PASSPORT: Json = [{"kind": "Passport", "number": "AB 12 345", "country": "Aurelia"}]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Mohammed al-Rashid", "Мухаммед Рашид"),
        ("Mohammed al-Rashid", "محمد الرشيد"),
        ("Mohammed al-Rashid", "Mohamed Rachid"),
        ("Sergei Ivanov", "Ivanoff, Sergey"),
        ("Sergei Ivanov", "Сергей Иванов"),
        ("Dzhokhar Dudov", "Djohar Doudov"),
        ("Yusuf Qadir", "Youssef Kadir"),
        ("Łukasz Żak", "Lukas Zak"),
    ],
)
def test_what_sounds_alike_is_a_candidate_and_no_identifier(one: str, other: str) -> None:
    found = compare_persons(person(one), person(other))
    assert found.is_candidate
    assert found.names == "variant"
    assert found.agreeing == frozenset()
    assert not found.may_be_confirmed


@pytest.mark.parametrize(("one", "other"), [("Ivan Petrov", "Sergei Ivanov"), ("Ana Blum", "Ben Roth"), ("", "")])
def test_other_names_are_no_candidates(one: str, other: str) -> None:
    assert not compare_persons(person(one), person(other)).is_candidate


def test_a_name_alone_is_one_identifier_however_it_is_written() -> None:
    found = compare_persons(person("Ondrej Marrow"), person("MARROW, Ondřej"))
    assert found.names == "same"
    assert found.agreeing == {"name"}
    assert not found.may_be_confirmed


def test_a_single_word_is_nobodys_name() -> None:
    assert compare_persons(person("Ondrej"), person("Ondrej")).names == "variant"


def test_two_identifiers_of_different_kinds_may_be_confirmed() -> None:
    one = person("Ondrej Marrow", dates_of_birth=BORN, documents=PASSPORT)
    other = person(
        "Andrei Marov", dates_of_birth=BORN, documents=[{"number": "ab12345", "country_of_issue": "AURELIA"}]
    )
    found = compare_persons(one, other)
    assert found.agreeing == {"date_of_birth", "document"}
    assert found.is_candidate
    assert found.may_be_confirmed
    alone = compare_persons(one, person("Ondrej Marrow", dates_of_birth=[{"date": "1972-03-02"}]))
    assert alone.agreeing == {"name"}
    assert alone.differing == {"date_of_birth"}
    assert not alone.may_be_confirmed


def test_a_year_a_city_and_a_number_without_its_issuer_identify_nobody() -> None:
    said: dict[str, Json] = {
        "dates_of_birth": [{"year": "1971"}, {"date": "1971"}],
        "places_of_birth": [{"city": "Marrow Ford"}],
        "documents": [{"number": "AB12345"}],
    }
    found = compare_persons(person("Ondrej Marrow", **said), person("Ben Roth", **said))
    assert found.agreeing == frozenset()
    assert not found.is_candidate


@pytest.mark.parametrize("nothing", ["unknown", "Not known", "n/a", "N.A.", "-", "none", "0000000", "XXXXX", "?"])
def test_what_only_says_that_nothing_is_known_identifies_nobody(nothing: str) -> None:
    said: dict[str, Json] = {
        "documents": [{"number": nothing, "country": "Aurelia"}, {"number": "AB12345", "country": nothing}],
        "places_of_birth": [{"city": nothing, "country": "Aurelia"}, {"city": "Marrow Ford", "country": nothing}],
    }
    found = compare_persons(person("Ondrej Marrow", **said), person("Andrei Marov", **said))
    assert found.agreeing == found.differing == frozenset()


def test_a_place_of_one_letter_is_a_place() -> None:
    one = person("Ondrej Marrow", places_of_birth=[{"city": "Å", "country": "Aurelia"}])
    assert compare_persons(one, one).agreeing == {"name", "place_of_birth"}


@pytest.mark.parametrize("name", ["Unknown Unknown", "not available", "Name Unknown", "n/a"])
def test_a_name_that_is_not_known_is_none(name: str) -> None:
    found = compare_persons(person(name, dates_of_birth=BORN), person(name, dates_of_birth=BORN))
    assert found.agreeing == {"date_of_birth"}


@pytest.mark.parametrize(
    "born",
    [
        {"date": "0000-00-00"},
        {"date": "1971-00-00"},
        {"date": "9999-99-99"},
        {"date": "1971-03-02", "kind": "APPROXIMATELY"},
        {"date": "1971-03-02", "kind": "Between"},
    ],
)
def test_a_day_that_is_none_or_is_about_right_identifies_nobody(born: Json) -> None:
    one = person("Ondrej Marrow", dates_of_birth=[born])
    assert compare_persons(one, one).agreeing == {"name"}
    exact: Json = [{"date": "1971-03-02", "kind": "EXACT"}]
    assert "date_of_birth" not in compare_persons(one, person("Ondrej Marrow", dates_of_birth=exact)).agreeing


def test_an_alias_of_low_quality_is_a_weak_reason_to_look() -> None:
    found = compare_persons(person("Ondrej Marrow", weak_aliases=["The Reed Cutter"]), person("The Reed Cutter"))
    assert found.names == "weak"
    assert found.agreeing == frozenset()
    good = compare_persons(person("Ondrej Marrow", aliases=[{"name": "The Reed Cutter"}]), person("The Reed Cutter"))
    assert good.agreeing == {"name"}


def test_only_persons_are_read() -> None:
    assert read_person({"type": "identity", "identity_class": "organization", "name": "x"}, LISTING) is None
    assert read_person({"type": "threat-actor", "name": "x"}, LISTING) is None


JSON = st.recursive(
    st.none() | st.integers() | st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)
)
FIELDS = st.dictionaries(
    st.sampled_from(["names", "aliases", "weak_aliases", "dates_of_birth", "places_of_birth", "documents"]), JSON
)


@given(st.text(), FIELDS, st.text(), FIELDS)
def test_a_comparison_has_no_order_and_takes_whatever_stands_there(
    one: str, first: dict[str, Json], other: str, second: dict[str, Json]
) -> None:
    left, right = person(one, **first), person(other, **second)
    assert compare_persons(left, right) == compare_persons(right, left)


@given(st.text(), st.text())
def test_the_order_of_words_does_not_matter(one: str, other: str) -> None:
    assert order_name(f"{one} {other}") == order_name(f"{other} {one}")
    assert sound_out(f"{one} {other}") == sound_out(f"{other} {one}")
