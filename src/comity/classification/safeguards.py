# SPDX-License-Identifier: Apache-2.0
"""Pure: data of a special category, and minors, told from the fields of an object, never from its prose.

    find_sensitive({"type": "identity", "extensions": {"x": {"religion": "…", "birthDate": "2019-04-01"}}}, now=…)
        -> Sensitive(special_categories={"religious_or_philosophical_beliefs"}, minor=True, places=(…))

A field counts by its name, wherever it stands in the object, and only where it says something. Whether to hold or to
give such data is strictly necessary no machine can tell: what this finds can only keep an object back until people have
decided (`node.necessity`). What people say of an object themselves (`stix.tags`) counts the same.

Not found here: what stands in a name, a description or any other text. A child's age in a sentence is for the person
who reads it.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from types import MappingProxyType
from typing import Final

from comity.canonical import Json
from comity.ids import Instant

__all__ = ["MINOR", "Sensitive", "find_sensitive"]

MINOR: Final = "minor"
"""The person class of whoever is under eighteen."""

_ADULT_AT: Final = 18
_MOST_PLACES: Final = 20
_MOST_FIELDS: Final = 50_000
_MICROSECONDS: Final = 1_000_000

_CATEGORIES: Final[Mapping[str, str]] = MappingProxyType(
    {
        name: category
        for category, names in {
            "biometric_data": "biometric biometrics biometricdata fingerprint fingerprints faceprint facetemplate"
            " facialtemplate facialimage iris irisscan irisimage voiceprint palmprint gait",
            "genetic_data": "dna dnaprofile dnasample genetic geneticdata genome genotype",
            "health": "health healthdata healthstatus medical medicalhistory medicalcondition diagnosis disability"
            " bloodtype bloodgroup illness disease medication pregnancy pregnant",
            "political_opinions": "political politicalopinion politicalopinions politicalaffiliation politicalparty"
            " partymembership partyaffiliation politics",
            "racial_or_ethnic_origin": "race racialorigin ethnicity ethnic ethnicorigin ethnicgroup ethnicities tribe"
            " skincolour skincolor complexion",
            "religious_or_philosophical_beliefs": "religion religions religiousaffiliation religiousbelief"
            " religiousbeliefs religious denomination faith belief beliefs creed sect",
            "sex_life_or_orientation": "sexualorientation sexuality orientation sexlife genderidentity",
            "trade_union_membership": "tradeunion tradeunionmembership unionmembership union unions",
        }.items()
        for name in names.split()
    }
)
"""Names of fields, in small letters without what separates words, and the category of what such a field holds."""

_PLAIN: Final = frozenset(
    re.findall(
        r"\S+",
        "type spec_version id created created_by_ref modified revoked labels confidence lang"
        " external_references object_marking_refs granular_markings defanged name description pattern pattern_type"
        " pattern_version valid_from valid_until indicator_types kill_chain_phases relationship_type source_ref"
        " target_ref start_time stop_time sighting_of_ref observed_data_refs where_sighted_refs first_seen last_seen"
        " count number_observed first_observed last_observed object_refs published report_types identity_class"
        " sectors roles contact_information content abstract authors value hashes size",
    )
)
"""Properties of STIX that hold no such field; most objects have no others."""

_BIRTH: Final = frozenset(
    re.findall(r"\S+", "birthdate dateofbirth dob born birth birthday datesofbirth birthdates yearofbirth birthyear")
)
_AGE: Final = frozenset({"age", "ageyears", "ageinyears"})
_MINOR: Final = frozenset({"minor", "isminor", "child", "ischild", "juvenile", "underage"})
_YEAR: Final = re.compile(r"(?<![0-9])((?:19|20)[0-9]{2})(?:-([0-9]{2})(?:-([0-9]{2}))?)?(?![0-9])", re.ASCII)
_SEPARATORS: Final = re.compile(r"[^a-z]")
_NOTHING: Final = frozenset({"", "unknown", "none", "n/a", "na", "-", "not known", "no", "false"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Sensitive:
    """What was found: categories, whether somebody in it is or may be under eighteen, and where, as JSON pointers."""

    special_categories: frozenset[str]
    minor: bool
    places: tuple[str, ...]

    def __bool__(self) -> bool:
        """Whether anything was found."""
        return self.minor or bool(self.special_categories)


_NOTHING_FOUND: Final = Sensitive(special_categories=frozenset(), minor=False, places=())


def find_sensitive(value: dict[str, Json], *, now: Instant) -> Sensitive:
    """What of the object `value` is data of a special category, or of somebody who is under eighteen at `now`.

    Of a birth of which only the year is known the latest day of it counts, and of several the latest.
    """
    categories, minor, places = set[str](), False, list[str]()
    today = datetime.fromtimestamp(now // _MICROSECONDS, tz=UTC).date()
    others = {name: item for name, item in value.items() if name not in _PLAIN}
    if not others:
        return _NOTHING_FOUND
    for count, (pointer, name, item) in enumerate(_walk(others, "")):
        if count >= _MOST_FIELDS:
            break
        category = _CATEGORIES.get(name)
        young = _says_minor(name, item, today)
        if category is not None and _says(item):
            categories.add(category)
        elif not young:
            continue
        minor = minor or young
        places.append(pointer)
    return Sensitive(special_categories=frozenset(categories), minor=minor, places=tuple(places[:_MOST_PLACES]))


def _walk(value: Json, pointer: str) -> Iterator[tuple[str, str, Json]]:
    """Every member of every object inside: its place, its bare name, its value."""
    match value:
        case dict():
            for name, item in value.items():
                inner = f"{pointer}/{name.replace('~', '~0').replace('/', '~1')}"
                # `xReligion` of one tool is `x_religion` of another; STIX names custom properties x_….
                yield inner, _SEPARATORS.sub("", name.lower().removeprefix("x_")), item
                yield from _walk(item, inner)
        case list():
            for index, item in enumerate(value):
                yield from _walk(item, f"{pointer}/{index}")
        case _:
            return


def _says(value: Json) -> bool:
    """Whether a field says anything at all."""
    match value:
        case None | False:
            return False
        case str():
            return value.strip().lower() not in _NOTHING
        case list():
            return any(map(_says, value))
        case dict():
            return any(map(_says, value.values()))
        case _:
            return True


def _says_minor(name: str, value: Json, today: date) -> bool:
    if name in _MINOR:
        return _says(value)
    if name in _AGE:
        return _is_young(value)
    return name in _BIRTH and any(_is_under_age(found, today) for found in _list_births(value))


def _is_young(value: Json) -> bool:
    if isinstance(value, str) and value.strip().isdecimal():
        value = int(value.strip()[:4])
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < _ADULT_AT


def _list_births(value: Json) -> Iterator[date]:
    """The latest day that each date could be."""
    match value:
        case str():
            for match in _YEAR.finditer(value[:1_000]):
                if (found := _read_latest(match)) is not None:
                    yield found
        case int() if not isinstance(value, bool):
            yield from _list_births(str(value))
        case list():
            for item in value:
                yield from _list_births(item)
        case dict():
            for item in value.values():
                yield from _list_births(item)
        case _:
            return


def _read_latest(match: re.Match[str]) -> date | None:
    year, month, day = int(match[1]), match[2], match[3]
    try:
        if day is not None:
            return date(year, int(month), int(day))
        if month is not None:
            later = date(year + int(month) // 12, int(month) % 12 + 1, 1)
            return date.fromordinal(later.toordinal() - 1)
    except ValueError:
        pass
    return date(year, 12, 31)


def _is_under_age(born: date, today: date) -> bool:
    if born > today:
        return born.year == today.year  # a year alone, which has not ended
    years = today.year - born.year - ((today.month, today.day) < (born.month, born.day))
    return years < _ADULT_AT
