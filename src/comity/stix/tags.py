# SPDX-License-Identifier: Apache-2.0
"""Pure: tags, what people say of an object: subjects, regions, kinds and safeguards.

They are read from the classification extension (docs/spec/classification.md). Nothing here infers a tag from free text.
"""

import re
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Final

from comity.canonical import Json
from comity.errors import MalformedObject
from comity.vocabulary import HANDLING, KINDS, PERSON_CLASSES, REGIONS, SPECIAL_CATEGORIES

__all__ = [
    "CLASSIFICATION_EXTENSION",
    "VOCABULARIES",
    "Check",
    "Tags",
    "forget_tags",
    "join_tags",
    "make_tags",
    "read_tags",
    "read_texts",
]

CLASSIFICATION_EXTENSION: Final = "extension-definition--77b577be-cae3-44af-8f74-64e0b45e3272"
"""The property-extension that carries `Tags`; its fields are lists of the same names."""

_SUBJECT = re.compile(r"[a-z][a-z0-9-]{0,31}:[!-~]{1,255}", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tags:
    """What people say of an object; an empty set means that nobody has said."""

    subjects: frozenset[str]
    regions: frozenset[str]
    kinds: frozenset[str]
    person_classes: frozenset[str]
    special_categories: frozenset[str]
    handling: frozenset[str]


Check = Callable[[str], bool]


def _is_subject(word: str) -> bool:
    return _SUBJECT.fullmatch(word) is not None


VOCABULARIES: Final[dict[str, tuple[Check, str]]] = {
    "subjects": (_is_subject, 'scheme:id, for example "unsc:QDe.901" or "stix:intrusion-set--…"'),
    "regions": (REGIONS.__contains__, 'an ISO 3166-1 alpha-2 code in upper case, for example "IQ"'),
    "kinds": (KINDS.__contains__, f"one of {', '.join(sorted(KINDS))}"),
    "person_classes": (PERSON_CLASSES.__contains__, f"one of {', '.join(sorted(PERSON_CLASSES))}"),
    "special_categories": (SPECIAL_CATEGORIES.__contains__, f"one of {', '.join(sorted(SPECIAL_CATEGORIES))}"),
    "handling": (HANDLING.__contains__, f"one of {', '.join(sorted(HANDLING))}"),
}
"""Per field, what tells whether a word is one of it, and what it has to be."""


_MOST_REMEMBERED = 64
"""Words of an object whose meaning is remembered: whoever writes may say the same ones thousands of times in each."""


def make_tags(
    *,
    subjects: Collection[str] = (),
    regions: Collection[str] = (),
    kinds: Collection[str] = (),
    person_classes: Collection[str] = (),
    special_categories: Collection[str] = (),
    handling: Collection[str] = (),
) -> Tags:
    """The tags that these words are, each word checked against the vocabulary of its field.

    Raises:
        MalformedObject: a word that is not in the vocabulary; `where` is "/field/word number".
    """
    return Tags(
        subjects=_check_words("subjects", subjects),
        regions=_check_words("regions", regions),
        kinds=_check_words("kinds", kinds),
        person_classes=_check_words("person_classes", person_classes),
        special_categories=_check_words("special_categories", special_categories),
        handling=_check_words("handling", handling),
    )


def read_tags(value: dict[str, Json]) -> Tags:
    """What the classification extension of the object `value` says; without one, nothing is said.

    A `location` whose `country` is an ISO 3166-1 alpha-2 code lies in that region, tagged or not.

    Raises:
        MalformedObject: an unknown field or word in the extension: a restriction that is not understood is not dropped.
    """
    extensions = value.get("extensions", {})
    if not isinstance(extensions, dict):
        raise MalformedObject("extensions is not a JSON object; give {extension id: {…}}", where="/extensions")
    tags = _read_extension(extensions)
    country = value.get("country") if value.get("type") == "location" else None
    if isinstance(country, str) and country.upper() in REGIONS:
        tags = replace(tags, regions=tags.regions | {country.upper()})
    return tags


def join_tags(tags: Tags, *others: Tags) -> Tags:
    """Everything that any of them says."""
    for other in others:
        tags = Tags(
            subjects=tags.subjects | other.subjects,
            regions=tags.regions | other.regions,
            kinds=tags.kinds | other.kinds,
            person_classes=tags.person_classes | other.person_classes,
            special_categories=tags.special_categories | other.special_categories,
            handling=tags.handling | other.handling,
        )
    return tags


def _read_extension(extensions: dict[str, Json]) -> Tags:
    where = f"/extensions/{CLASSIFICATION_EXTENSION}"
    if CLASSIFICATION_EXTENSION not in extensions:
        return _UNTAGGED
    extension = extensions[CLASSIFICATION_EXTENSION]
    if not isinstance(extension, dict):
        raise MalformedObject("the classification extension is not a JSON object; give its fields", where=where)
    if extension.get("extension_type") != "property-extension":
        raise MalformedObject(
            'the classification extension must say "extension_type": "property-extension"',
            where=f"{where}/extension_type",
        )
    words: dict[str, list[str]] = {}
    for field, listed in extension.items():
        if field in VOCABULARIES:
            words[field] = read_texts(listed, where=f"{where}/{field}")
        elif field != "extension_type":
            raise MalformedObject(
                f"the classification extension has no field {field[:64]!r}; use {', '.join(VOCABULARIES)}",
                where=f"{where}/{field[:64].replace('~', '~0').replace('/', '~1')}",
            )
    try:
        few = sum(map(len, words.values())) <= _MOST_REMEMBERED
        return (_remember_words if few else _read_words)(
            tuple([(field, tuple(listed)) for field, listed in words.items()])
        )
    except MalformedObject as error:
        raise MalformedObject(error.detail, where=f"{where}{error.where}") from None


def _read_words(words: tuple[tuple[str, tuple[str, ...]], ...]) -> Tags:
    """The tags by field; most objects that come together are tagged alike."""
    return make_tags(**dict(words))


_remember_words = lru_cache(maxsize=4_096)(_read_words)


def forget_tags() -> None:
    """Keep nothing in memory of what anybody said of an object: it may be deleted."""
    _remember_words.cache_clear()


def read_texts(listed: Json, *, where: str) -> list[str]:
    """The list of texts that `listed` is.

    Raises:
        MalformedObject: it is none.
    """
    if not isinstance(listed, list):
        raise MalformedObject("not a list; give a list of words", where=where)
    texts = [word for word in listed if isinstance(word, str)]
    if len(texts) != len(listed):
        raise MalformedObject("holds something that is not text; give a list of words", where=where)
    return texts


def _check_words(field: str, words: Iterable[str]) -> frozenset[str]:
    is_known, expected = VOCABULARIES[field]
    checked: set[str] = set()
    for index, word in enumerate(words):
        if not is_known(word):
            raise MalformedObject(
                f"{word[:80]!r} in {field} is not understood; give {expected}", where=f"/{field}/{index}"
            )
        checked.add(word)
    return frozenset(checked)


_UNTAGGED: Final = make_tags()
