# SPDX-License-Identifier: Apache-2.0
"""Pure: data of a special category, and minors, told from the fields of an object, never from its prose.

    find_sensitive({"type": "identity", "extensions": {"x": {"religion": "…", "birthDate": "2019-04-01"}}}, now=…)
        -> Sensitive(special_categories={"religious_or_philosophical_beliefs"}, minor=True, places=(…))

A field counts by its name, wherever it stands in the object, and only where it says something; a name also by its last
words (`x_misp_date_of_birth`), and where it is said beside the value (`{"object_relation": "religion", "value": …}`).
A birth or an age that cannot be read is that of a minor; how both are read is in `classification.births`.

Whether to hold or to give such data is strictly necessary no machine can tell: what this finds can only keep an object
back until people have decided (`node.necessity`). What people say of an object themselves (`stix.tags`) counts the
same.

Not found here: what stands in a name, a description or any other text. A child's age in a sentence is for the person
who reads it.
"""

import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import lru_cache
from itertools import chain
from types import MappingProxyType
from typing import Final

from comity.canonical import Json
from comity.classification.births import may_be_born_young, may_be_young, says_something
from comity.ids import Instant

__all__ = ["MINOR", "Sensitive", "find_sensitive", "is_sensitive_name"]

MINOR: Final = "minor"
"""The person class of whoever is under eighteen."""

_MOST_PLACES: Final = 20
_MICROSECONDS: Final = 1_000_000

_CATEGORIES: Final[Mapping[str, str]] = MappingProxyType(
    {
        name: category
        for category, names in {
            "biometric_data": "biometric biometrics biometricdata fingerprint fingerprints faceprint facetemplate"
            " facialtemplate facialimage iris irisscan irisimage voiceprint palmprint gait"
            " biometrictemplate biometrictemplates faceembedding facerecognition facialrecognition iriscode"
            " voicesample",
            "genetic_data": "dna dnaprofile dnasample genetic geneticdata genome genotype geneticmarker geneticmarkers",
            "health": "health healthdata healthstatus medical medicalhistory medicalcondition diagnosis disability"
            " bloodtype bloodgroup illness disease medication pregnancy pregnant"
            " mentalhealth hiv hivstatus allergies vaccination vaccinationstatus disabilities diagnoses"
            " addiction gesundheit krankheit behinderung salud sante maladie здоровье",
            "political_opinions": "political politicalopinion politicalopinions politicalaffiliation politicalparty"
            " partymembership partyaffiliation politics"
            " politicalview politicalviews votingpreference partei parteizugehorigkeit"
            " afiliacionpolitica opinionspolitiques",
            "racial_or_ethnic_origin": "race racialorigin ethnicity ethnic ethnicorigin ethnicgroup ethnicities tribe"
            " skincolour skincolor complexion ethnie etnia etnicidad raza rasse национальность"
            " ethnicbackground skintone caste origineethnique этническаяпринадлежность 民族",
            "religious_or_philosophical_beliefs": "religion religions religiousaffiliation religiousbelief"
            " religiousbeliefs religious denomination faith belief beliefs creed sect konfession glaube"
            " religionszugehorigkeit religione religiao религия вероисповедание"
            " religiouscommunity placeofworship glaubensbekenntnis weltanschauung mezhep wyznanie"
            " конфессия вера الدين ديانة 宗教",
            "sex_life_or_orientation": "sexualorientation sexuality orientation sexlife genderidentity"
            " sexualpreference sexualpreferences lgbtq transgender orientacionsexual",
            "trade_union_membership": "tradeunion tradeunionmembership unionmembership union unions"
            " tradeunionmember unionmember sindicato syndicat gewerkschaft",
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
"""Properties of STIX that hold no such field, where they hold no fields at all; most objects have no others."""

_REFERENCE: Final = frozenset({"source_name", "description", "url", "external_id"})
"""Properties of an external reference, which nearly every object has: texts, as the schemas see to."""

_MINOR: Final = frozenset({"minor", "isminor", "child", "ischild", "juvenile", "underage", "minderjahrig", "mineur"})
_BIRTH: Final = frozenset(
    re.findall(
        r"\S+",
        "birthdate dateofbirth dob born birth birthday datesofbirth birthdates yearofbirth birthyear geburtsdatum"
        " geburtstag geburtsjahr datenaissance datedenaissance anneenaissance anneedenaissance fechanacimiento"
        " fechadenacimiento datadinascita datanascita datadenascimento датарождения годрождения"
        " bornon yob nacimiento geboren geborenam dataurodzenia dogumtarihi تاريخالميلاد 出生日期 生年月日",
    )
)
_UNSURE: Final = frozenset({"birth", "born", "agegroup", "agerange"})
_AGE: Final = frozenset({"age", "ageyears", "ageinyears", "agegroup", "agerange", "edad", "возраст"})
_KNOWN: Final = frozenset(_CATEGORIES) | _MINOR | _BIRTH | _AGE

_ONLY_WHOLE: Final = frozenset({"orientation"})
_ONLY_OF_PERSONS: Final = frozenset({"fingerprint", "fingerprints"})
_LOOSE: Final = frozenset(
    re.findall(
        r"\S+",
        "age belief beliefs biometrics born birth child diagnosis dna denomination faith fingerprint fingerprints gait"
        " genetic health healthdata healthstatus iris ischild medical minor political race sect union unions",
    )
)
"""Names that are also words of technology or of other things: behind other words they count where a person is meant,
or directly behind the name of who made the field."""

_PERSONS: Final = frozenset(
    re.findall(r"\S+", "person persons personal people individual subject suspect victim patient human offender")
)
_THINGS: Final = frozenset(
    re.findall(
        r"\S+",
        "account bank cache cert certificate client condition cookie credit crl customs data device disk domain"
        " european file geo good has header host image is issuer key log max min node of os page parent pe process"
        " product server service session signer software ssh ssl sub system tcp time tls token version",
    )
)
"""What is no name of who made a field."""

_TAILS: Final = frozenset(
    re.findall(
        r"\S+",
        "code codes data description details id ids info label name names status text type value values"
        " ar de en es fr it ru tr uk",
    )
)
"""Last words that say no more than the ones before them."""

_MOST_WORDS: Final = 4
_LONGEST_NAME: Final = 200
_WORDS: Final = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+", re.ASCII)
_SEPARATORS: Final = re.compile(r"[\W\d_]")
_SAYS_NAME: Final = (
    *("attribute", "field", "field_name", "k", "key", "label", "name", "object_relation", "property", "title", "type"),
    "x_misp_type",
)
_SAYS_VALUE: Final = frozenset({"content", "text", "v", "val", "value", "x_misp_value"})


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
    others = {
        name: item
        for name, item in value.items()
        if name not in _PLAIN or (not isinstance(item, str) and _holds_fields(item))
    }
    if not _names_any(value) and not _holds_any(others):
        return _NOTHING_FOUND
    categories, minor, places = set[str](), False, list[str]()
    today = datetime.fromtimestamp(now // _MICROSECONDS, tz=UTC).date()
    for pointer, name, item in chain(_list_named(value, ""), _walk(others, "")):
        meant = _find_meaning(name)
        if meant is None:
            continue
        category = _CATEGORIES.get(meant.name)
        young = _says_minor(meant, item, today)
        if category is not None and says_something(item):
            categories.add(category)
        elif not young:
            continue
        minor = minor or young
        places.append(pointer)
    return Sensitive(special_categories=frozenset(categories), minor=minor, places=tuple(places[:_MOST_PLACES]))


def is_sensitive_name(name: str) -> bool:
    """Whether `find_sensitive` may find something under that name; what it is follows from what stands there."""
    return _find_meaning(name) is not None


def _holds_fields(item: Json) -> bool:
    match item:
        case dict():
            return True
        case list():
            return any(not one.keys() <= _REFERENCE if isinstance(one, dict) else isinstance(one, list) for one in item)
        case _:
            return False


def _holds_any(value: Mapping[str, Json]) -> bool:
    """Whether a name inside is known; of most objects none is, and nobody need know where each of them stands."""
    return any(map(_find_meaning, value)) or any(map(_is_any, value.values()))


def _is_any(item: Json) -> bool:
    match item:
        case dict():
            return _names_any(item) or _holds_any(item)
        case list():
            return any(map(_is_any, item))
        case _:
            return False


def _names_any(value: Mapping[str, Json]) -> bool:
    """Whether an object says a known name beside a value."""
    return any(_find_meaning(name) for _, name, _ in _list_named(value, ""))


def _walk(value: Json, pointer: str) -> Iterator[tuple[str, str, Json]]:
    """Every member of every object inside: its place, its name, its value."""
    match value:
        case dict():
            for name, item in value.items():
                inner = f"{pointer}/{name.replace('~', '~0').replace('/', '~1')}"
                yield inner, name, item
                if isinstance(item, dict):
                    yield from _list_named(item, inner)
                yield from _walk(item, inner)
        case list():
            for index, item in enumerate(value):
                inner = f"{pointer}/{index}"
                if isinstance(item, dict):
                    yield from _list_named(item, inner)
                yield from _walk(item, inner)
        case _:
            return


def _list_named(value: Mapping[str, Json], pointer: str) -> Iterator[tuple[str, str, Json]]:
    """What an object says as a name and a value beside it: the place of the value, the name, the value."""
    if _SAYS_VALUE.isdisjoint(value):
        return
    places = sorted(_SAYS_VALUE.intersection(value))
    names = {name for key in _SAYS_NAME if isinstance(name := value.get(key), str)}
    for name in sorted(names):
        for place in places:
            yield f"{pointer}/{place}", name, value[place]


@dataclass(frozen=True, slots=True)
class _Meaning:
    """The known name that a field's name comes to; `sure` where nothing else can stand in such a field."""

    name: str
    sure: bool


@lru_cache(maxsize=8_192)
def _find_meaning(name: str) -> _Meaning | None:
    """What the name of a field means, whole or by its last words.

    `xReligion` of one tool is `x_religion` of another; STIX names custom properties x_….
    """
    name = _fold(name[-_LONGEST_NAME:])
    whole = _SEPARATORS.sub("", name.lower().removeprefix("x_"))
    if whole in _KNOWN:
        return _Meaning(whole, sure=True)
    words = [word.lower() for word in _WORDS.findall(name)]
    found = _find_last(words)
    if found is not None:
        return _Meaning(found, sure=found not in _UNSURE)
    while len(words) > 1 and words[-1] in _TAILS:
        words.pop()
        found = _find_last(words)
        if found is not None and found not in _MINOR:
            return _Meaning(found, sure=False)
    return None


def _fold(name: str) -> str:
    """The name without accents, of which `religión` and `religion` are one."""
    if name.isascii():
        return name
    return "".join(sign for sign in unicodedata.normalize("NFKD", name) if not unicodedata.combining(sign))


def _find_last(words: Sequence[str]) -> str | None:
    """The longest known name that the last of the words come to."""
    for length in range(min(_MOST_WORDS, len(words)), 0, -1):
        found, before = "".join(words[-length:]), words[:-length]
        if found in _KNOWN:
            return found if _may_stand_behind(found, before) else None
    return None


def _may_stand_behind(found: str, before: Sequence[str]) -> bool:
    if not before or before == ["x"]:
        return True
    if found in _ONLY_WHOLE:
        return False
    if found not in _LOOSE or before[-1] in _PERSONS:
        return True
    if found in _ONLY_OF_PERSONS:
        return False
    # x_misp_race, x_example_com_race: behind the name of who made it, and not of what it is about.
    return before[0] == "x" and len(before) <= _MOST_WORDS and _THINGS.isdisjoint(before)


def _says_minor(meant: _Meaning, value: Json, today: date) -> bool:
    if meant.name in _MINOR:
        return says_something(value)
    if meant.name in _AGE:
        return may_be_young(value, unread=meant.sure)
    return meant.name in _BIRTH and may_be_born_young(value, today, unread=meant.sure)
