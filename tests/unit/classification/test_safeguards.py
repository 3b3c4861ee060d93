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
        ("mentalHealth", "health"),
        ("hiv_status", "health"),
        ("disabilities", "health"),
        ("vaccination_status", "health"),
        ("religiousCommunity", "religious_or_philosophical_beliefs"),
        ("ethnic_background", "racial_or_ethnic_origin"),
        ("skin_tone", "racial_or_ethnic_origin"),
        ("political_views", "political_opinions"),
        ("union_member", "trade_union_membership"),
        ("sexual_preference", "sex_life_or_orientation"),
        ("transgender", "sex_life_or_orientation"),
        ("faceEmbedding", "biometric_data"),
        ("biometric_template", "biometric_data"),
        ("genetic_marker", "genetic_data"),
        ("Gesundheit", "health"),
        ("santé", "health"),
        ("orientación_sexual", "sex_life_or_orientation"),
        ("opinions_politiques", "political_opinions"),
        ("Parteizugehörigkeit", "political_opinions"),
        ("Gewerkschaft", "trade_union_membership"),
        ("этническая_принадлежность", "racial_or_ethnic_origin"),
        ("الدين", "religious_or_philosophical_beliefs"),
        ("宗教", "religious_or_philosophical_beliefs"),
    ],
)
def test_a_field_counts_by_its_name_at_any_depth(name: str, category: str) -> None:
    assert find(**{name: "said"}) == ([category], False, [f"/{name}"])
    inside: Json = {"extension-definition--x": {"people": [{"more": {name: ["said"]}}]}}
    assert find(extensions=inside)[0] == [category]
    assert find(extensions=inside)[2] == [f"/extensions/extension-definition--x/people/0/more/{name}"]


@pytest.mark.parametrize(
    ("name", "category"),
    [
        ("x_misp_religion", "religious_or_philosophical_beliefs"),
        ("x_example_com_religion", "religious_or_philosophical_beliefs"),
        ("xReligion", "religious_or_philosophical_beliefs"),
        ("religionCode", "religious_or_philosophical_beliefs"),
        ("religion_code", "religious_or_philosophical_beliefs"),
        ("x_misp_religion_name", "religious_or_philosophical_beliefs"),
        ("suspectBloodType", "health"),
        ("patient_health", "health"),
        ("suspectFingerprints", "biometric_data"),
        ("x_misp_race", "racial_or_ethnic_origin"),
        ("x_example_com_race", "racial_or_ethnic_origin"),
        ("x_orientation", "sex_life_or_orientation"),
        ("x_misp_sexual_orientation", "sex_life_or_orientation"),
        ("religion_en", "religious_or_philosophical_beliefs"),
        ("ethnicity_ru", "racial_or_ethnic_origin"),
    ],
)
def test_a_name_counts_by_its_last_words(name: str, category: str) -> None:
    assert find(**{name: "said"}) == ([category], False, [f"/{name}"])


@pytest.mark.parametrize(
    "name",
    [
        *("x_region", "x_misp_trace", "x_stage", "home_page", "x_misp_orientation", "page_orientation", "storage"),
        *("place_of_birth", "x_misp_place_of_birth", "birth_name", "max_age", "x_cache_max_age", "os_version_minor"),
        *(
            "service_health",
            "x_ssh_fingerprint",
            "x_misp_jarm_fingerprint",
            "x509-fingerprint-sha1",
            "european_union",
            "child_refs",
            "data_race",
        ),
    ],
)
def test_a_name_that_ends_in_other_words_does_not_count(name: str) -> None:
    assert find(**{name: "said"}) == ([], False, [])


@pytest.mark.parametrize("name", ["x_misp_date_of_birth", "x_example_com_date_of_birth", "victimDOB", "dob_value"])
def test_a_birth_counts_by_the_last_words_too(name: str) -> None:
    assert find(**{name: "2015-03-12"}) == ([], True, [f"/{name}"])
    assert find(**{name: "1971-03-12"}) == ([], False, [])


@pytest.mark.parametrize(
    "key",
    [
        *("attribute", "field", "field_name", "k", "key", "label", "name", "object_relation", "property", "title"),
        *("type", "x_misp_type"),
    ],
)
@pytest.mark.parametrize("place", ["content", "text", "v", "val", "value", "x_misp_value"])
def test_a_name_that_is_said_beside_its_value_counts(key: str, place: str) -> None:
    def say(name: str, said: str) -> tuple[list[str], bool, list[str]]:
        return find(x_misp_attributes=[{"category": "Person", key: name, place: said}])

    assert say("date-of-birth", "2015-03-12") == ([], True, [f"/x_misp_attributes/0/{place}"])
    assert say("date-of-birth", "1971-03-12") == ([], False, [])
    assert say("religion", "said")[0] == ["religious_or_philosophical_beliefs"]
    assert say("ssh-fingerprint", "said") == ([], False, [])


def test_it_counts_at_the_top_of_the_object_too() -> None:
    assert find(x_misp_type="date-of-birth", value="2015-03-12") == ([], True, ["/value"])
    assert find(x_misp_type="date-of-birth", x_misp_value="2015-03-12") == ([], True, ["/x_misp_value"])


def test_it_counts_inside_of_what_holds_no_fields_as_a_rule() -> None:
    file: dict[str, Json] = {"source_name": "file", "date_of_birth": "2015-03-12"}
    assert find(external_references=[file]) == ([], True, ["/external_references/0/date_of_birth"])
    assert find(contact_information={"religion": "said"})[0] == ["religious_or_philosophical_beliefs"]


@pytest.mark.parametrize(
    "name", ["religión", "Konfession", "Religionszugehörigkeit", "x_religião", "Религия", "Вероисповедание"]
)
def test_it_counts_in_other_languages(name: str) -> None:
    assert find(**{name: "said"})[0] == ["religious_or_philosophical_beliefs"]


@pytest.mark.parametrize(
    "name",
    [
        *("Geburtsdatum", "x_misp_geburtsdatum", "date_de_naissance", "Fecha de nacimiento", "Дата рождения"),
        *("nacimiento", "geboren_am", "data_urodzenia", "doğum_tarihi", "تاريخ_الميلاد", "出生日期", "生年月日"),
        *("bornOn", "yob"),
    ],
)
def test_a_birth_counts_in_other_languages(name: str) -> None:
    assert find(**{name: "12.03.2015"})[1]
    assert not find(**{name: "12.03.1971"})[1]


@pytest.mark.parametrize("name", ["age_group", "ageRange", "edad", "возраст"])
def test_an_age_counts_by_other_names_too(name: str) -> None:
    assert find(**{name: "12-17"}) == ([], True, [f"/{name}"])
    assert find(**{name: "18-25"}) == ([], False, [])


def test_it_counts_behind_any_number_of_other_fields() -> None:
    other: Json = {"type": "a", "key": "b", "name": "c", "field": "d", "value": "e", "x_misp_value": "f"}
    assert find(x_list=[other] * 8_000, x_religion="said")[2] == ["/x_religion"]


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
        ("in the spring", True),  # nobody can read it
        ("unknown", False),
        ([{"from": "2001", "to": "2010", "kind": "BETWEEN"}], True),
        ([{"date": "1971-01-01"}], False),
        ([{"date": "1971-01-01", "kind": "EXACT"}, {"kind": "EXACT"}], True),
        ({"year": 1971, "month": 3, "day": 2}, False),
        ({"year": 2015, "month": 3, "day": 2}, True),
        ("20150312", True),
        (20150312, True),
        (19710312, False),
        ("12/03/2015", True),
        ("12.03.2015", True),
        ("12. 3. 1971", False),
        ("11/26/2008", False),
        ("11/12/2008", True),  # it may be of December
        ("12/03/15", True),
        ("12/03/71", False),
        ("12/06/28", True),  # it may be of 2012
        ("120315", True),
        ("1971/03/02", False),
        ("20150312T101500Z", True),
        ("20150312101500", True),
        ("12032015", True),
        (1426118400, True),
        (1426118400000, True),
        ("1426118400", True),
        (37000000, False),
        (37000000000, False),
        (-37000000, False),
        (1.5, True),
        (15, True),
        (0, True),
        (True, True),
        (10**400, True),
        ("2031-01-01", True),
        ("1890", False),
    ],
)
def test_who_may_be_under_eighteen_is_a_minor(birth: Json, minor: bool) -> None:
    for name in ("birthDate", "dates_of_birth", "x_dob", "year of birth"):
        assert find(**{name: birth})[1] is minor, name


@pytest.mark.parametrize(
    ("age", "minor"),
    [
        *((17, True), (18, False), ("9", True), ("40", False), (True, True), (-1, True), (0, True), (2009, True)),
        *(("17 years", True), ("40 years old", False), ("12-14", True), ("30 - 40", False), ("16 to 20", True)),
        *(([15], True), ([40, 15], True), ([40], False), ({"years": 15}, True), ({"years": 40, "months": 3}, False)),
        *(({"value": 40, "unit": "months"}, True), ({"min": 12, "max": 14}, True), ({"min": 20, "kind": "x"}, False)),
        *(("under 20", True), ("forty", True), ("8 months", True), ("unknown", False), ([], False), (None, False)),
    ],
)
def test_an_age_says_it_too(age: Json, minor: bool) -> None:
    assert find(age=age)[1] is minor
    assert find(x_misp_age=age)[1] is minor
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
