# SPDX-License-Identifier: Apache-2.0
"""Special categories and minors are told from fields, wherever they stand, and never from prose."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from comity.canonical import Json
from comity.classification.safeguards import find_sensitive
from comity.ids import Instant, parse_instant
from comity.vocabulary import SPECIAL_CATEGORIES

NOW = parse_instant("2026-11-26T12:00:00Z")


def find(**said: Json) -> tuple[list[str], bool, list[str]]:
    found = find_sensitive({"type": "identity", "name": "Ondrej Fictional", **said}, now=NOW)
    return sorted(found.special_categories), found.minor, list(found.places)


@pytest.mark.parametrize(
    ("name", "category"),
    [
        ("religion", "religious_or_philosophical_beliefs"),
        ("x_religious_affiliation", "religious_or_philosophical_beliefs"),
        ("Ethnic-Group", "racial_or_ethnic_origin"),
        ("ethnicOrigin", "racial_or_ethnic_origin"),
        ("politicalParty", "political_opinions"),
        ("blood_type", "health"),
        ("DNA_profile", "genetic_data"),
        ("fingerprints", "biometric_data"),
        ("sexual orientation", "sex_life_or_orientation"),
        ("trade_union", "trade_union_membership"),
    ],
)
def test_a_field_counts_by_its_name_at_any_depth(name: str, category: str) -> None:
    assert find(**{name: "said"}) == ([category], False, [f"/{name}"])
    inside: Json = {"extension-definition--x": {"people": [{"more": {name: ["said"]}}]}}
    assert find(extensions=inside)[0] == [category]
    assert find(extensions=inside)[2] == [f"/extensions/extension-definition--x/people/0/more/{name}"]


def test_every_category_can_be_found() -> None:
    names = ("religion", "race", "party_membership", "health", "dna", "iris", "union", "sexuality")
    assert set(find(**dict.fromkeys(names, "x"))[0]) == SPECIAL_CATEGORIES


@pytest.mark.parametrize("empty", [None, "", " ", "unknown", "N/A", [], {}, [None, ""], {"a": ""}, False])
def test_a_field_that_says_nothing_is_no_finding(empty: Json) -> None:
    assert find(religion=empty, x_minor=empty) == ([], False, [])


@pytest.mark.parametrize("name", ["description", "name", "region", "roles", "illustration", "traced", "abstract"])
def test_prose_and_other_fields_are_never_read(name: str) -> None:
    assert find(**{name: "a Muslim boy of twelve, born 2014, of ill health"})[:2] == ([], False)


@pytest.mark.parametrize(
    ("birth", "minor"),
    [
        ("2008-11-26", False),  # eighteen today
        ("2008-11-27", True),
        ("2008-11", True),  # its last day is meant
        ("2008-10", False),
        ("2008", True),
        ("2007", False),
        (2008, True),
        (2007, False),
        ("2026", True),
        ("1971", False),
        ("26 Nov. 2012", True),
        ("2012-13-45", True),  # no day; the year stands
        ("in the spring", False),
        ([{"from": "2001", "to": "2010", "kind": "BETWEEN"}], True),
        ([{"date": "1971-01-01"}], False),
    ],
)
def test_who_may_be_under_eighteen_is_a_minor(birth: Json, minor: bool) -> None:
    for name in ("birthDate", "dates_of_birth", "x_dob", "year of birth"):
        assert find(**{name: birth})[1] is minor, name


@pytest.mark.parametrize(
    ("age", "minor"), [(17, True), (18, False), ("9", True), ("40", False), (True, False), (-1, False)]
)
def test_an_age_says_it_too(age: Json, minor: bool) -> None:
    assert find(age=age)[1] is minor
    assert find(stage=age)[1] is False


def test_a_flag_says_it_too() -> None:
    assert find(minor=True)[1]
    assert not find(minor=False)[1]


def test_who_was_a_minor_is_one_no_more_later() -> None:
    value: dict[str, Json] = {"type": "identity", "dob": "2010-06-01"}
    assert find_sensitive(value, now=NOW).minor
    assert not find_sensitive(value, now=parse_instant("2028-06-01T00:00:00Z")).minor


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text() | st.sampled_from(["dob", "race"]), inner),
)


@given(st.dictionaries(st.text() | st.sampled_from(["dob", "age", "religion"]), JSON), st.integers(0, 2**52))
def test_whatever_stands_there_is_looked_through(value: dict[str, Json], now: int) -> None:
    found = find_sensitive(value, now=Instant(now))
    assert bool(found) == bool(found.places)
