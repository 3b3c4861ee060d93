# SPDX-License-Identifier: Apache-2.0
# ruff: noqa: RUF001 (letters of other scripts are what this is about)
"""Pure: whether two objects may be about one person: what they have in common, and what that is worth.

    compare_persons(one, other)
        -> Likeness(agreeing={"date_of_birth", "document"}, differing=set(), names="variant")

Nobody is matched here. An identifier is a whole name, a day of birth, a place of birth with its country, or the number
of a document with its issuer. Two of different kinds that agree are the least that a person may confirm on; names that
only sound alike, in whatever transliteration, and aliases of low quality are reasons to look, and no identifiers. What
differs is said as loudly as what agrees. There is no score.
"""

import re
import unicodedata
from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import date
from types import MappingProxyType
from typing import Final, Literal

from comity.canonical import Json

__all__ = ["IDENTIFIERS", "LEAST", "Likeness", "Person", "compare_persons", "order_name", "read_person", "sound_out"]

IDENTIFIERS: Final = ("name", "date_of_birth", "place_of_birth", "document")
"""The kinds of identifiers."""

LEAST: Final = 2
"""Identifiers of different kinds that must agree before anybody may say that two are one."""

Names = Literal["same", "variant", "weak", "different"]
"""How names agree: a whole one is the same; one sounds like another; only by an alias of low quality; not at all."""

_MOST_NAMES: Final = 200
_LETTERS: Final[Mapping[str, str]] = MappingProxyType(
    dict(
        pair.split("=")
        for pair in re.findall(
            r"\S+",
            "а=a б=b в=v г=g д=d е=e ё=e ж=zh з=z и=i й=i к=k л=l м=m н=n о=o п=p р=r с=s т=t у=u ф=f х=kh ц=ts ч=ch"
            " ш=sh щ=sh ъ= ы=i ь= э=e ю=iu я=ia і=i ї=i є=e ґ=g"
            " ا=a أ=a إ=i آ=a ب=b ت=t ث=th ج=j ح=h خ=kh د=d ذ=dh ر=r ز=z س=s ش=sh ص=s ض=d ط=t ظ=z ع= غ=gh ف=f ق=q ك=k"
            " ل=l م=m ن=n ه=h ة=a و=w ي=y ى=a ء= ؤ=w ئ=y پ=p چ=ch ژ=zh گ=g"
            " ł=l ø=o đ=d ð=d þ=th ß=ss æ=ae œ=oe ı=i ħ=h",
        )
    )
)
"""Letters that no decomposition makes Latin."""

_SOUNDS: Final = (
    ("tch", "s"), ("sch", "s"), ("dzh", "x"), ("ch", "s"), ("sh", "s"), ("zh", "x"), ("kh", "h"), ("gh", "g"),
    ("dh", "d"), ("th", "t"), ("ph", "f"), ("ck", "k"), ("dj", "x"), ("dz", "x"), ("ts", "s"), ("tz", "s"),
    ("q", "k"), ("w", "v"), ("y", "i"), ("j", "i"), ("c", "k"), ("z", "s"), ("g", "k"), ("d", "t"), ("b", "p"),
    ("f", "v"),
)  # fmt: skip
"""What different tables of transliteration write for one sound, brought together in this order."""

_PARTICLES: Final = frozenset(
    re.findall(
        r"\S+",
        "al el ul bin ibn ben bint abu abou umm de da del della di van von der den la le",
    )
)
_ARTICLE: Final = "al"
_LONG_ENOUGH: Final = 6
_DATE: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", re.ASCII)
_ABOUT: Final = ("approx", "between", "circa")
"""How kinds of dates begin that are no day."""
_NOTHING: Final = frozenset(
    re.findall(r"\S+", "available given known na name nil no none not null recorded specified unknown unspecified")
)
"""Words of what stands where nothing is known: alone they are in common to all of whom nothing is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """What an object says that tells a person from others.

    Everything is in a form that can be compared. `ordered` are whole names, good aliases among them, and `sounds` what
    they sound like; `weak_sounds` is that of aliases of low quality. They are worked out once, for a person is compared
    with many.
    """

    ordered: frozenset[str]
    sounds: frozenset[str]
    weak_sounds: frozenset[str]
    dates_of_birth: frozenset[str]
    places_of_birth: frozenset[str]
    documents: frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Likeness:
    """What two persons have in common: kinds of identifiers that agree, and those that both have and that differ."""

    agreeing: frozenset[str]
    differing: frozenset[str]
    names: Names

    @property
    def is_candidate(self) -> bool:
        """Whether a person should look at the two."""
        return self.names != "different" or "document" in self.agreeing

    @property
    def may_be_confirmed(self) -> bool:
        """Whether enough agrees for a person to say that they are one."""
        return len(self.agreeing) >= LEAST


def read_person(value: dict[str, Json], listing: str) -> Person | None:
    """What the identity `value` says of a person; None of anything else. `listing` is the id of the extension of lists.

    It need not be whole: what is not of the form that the extension has is passed over.
    """
    if value.get("type") != "identity" or value.get("identity_class", "individual") != "individual":
        return None
    extensions = value.get("extensions")
    said = extensions.get(listing) if isinstance(extensions, dict) else None
    fields = said if isinstance(said, dict) else {}
    name = value.get("name")
    names = {name} if isinstance(name, str) else set[str]()
    names |= {*_texts(fields.get("names"))} | {*_texts(fields.get("original_script"))}
    names |= {*_members(fields.get("aliases"), "name")}
    names = {name for name in names if _says_something(name)}
    whole, weak = sorted(names)[:_MOST_NAMES], sorted(_texts(fields.get("weak_aliases")))[:_MOST_NAMES]
    return Person(
        ordered=frozenset(map(order_name, whole)),
        sounds=frozenset(map(sound_out, whole)) - {""},
        weak_sounds=frozenset(map(sound_out, weak)) - {""},
        dates_of_birth=frozenset(_read_days(fields.get("dates_of_birth"))),
        places_of_birth=frozenset(_read_pairs(fields.get("places_of_birth"), "city", "country")),
        documents=frozenset(_read_pairs(fields.get("documents"), "number", "country", "country_of_issue")),
    )


def compare_persons(one: Person, other: Person) -> Likeness:
    """What the two have in common, and what they have that differs; the order of the two does not matter."""
    names = _compare_names(one, other)
    agreeing = {"name"} if names == "same" else set[str]()
    differing = {"name"} if names == "different" and one.ordered and other.ordered else set[str]()
    pairs = {
        "date_of_birth": (one.dates_of_birth, other.dates_of_birth),
        "place_of_birth": (one.places_of_birth, other.places_of_birth),
        "document": (one.documents, other.documents),
    }
    for kind, (first, second) in pairs.items():
        if first & second:
            agreeing.add(kind)
        elif first and second:
            differing.add(kind)
    return Likeness(agreeing=frozenset(agreeing), differing=frozenset(differing), names=names)


def _compare_names(one: Person, other: Person) -> Names:
    # A single word is the name of too many to be anybody's identifier.
    if any(" " in name for name in one.ordered & other.ordered):
        return "same"
    if one.sounds & other.sounds:
        return "variant"
    return "weak" if (one.sounds | one.weak_sounds) & (other.sounds | other.weak_sounds) else "different"


def order_name(name: str) -> str:
    """The name without case, accents and punctuation, its words in the order of the alphabet, in its own script."""
    return " ".join(sorted(_split(name, {})))


def sound_out(name: str) -> str:
    """What is left of a name when what transliterations do differently is brought together; words are sorted.

    Vowels and particles go, doubled letters are one. Two names of one sound are no more than a reason to look.
    """
    return " ".join(sorted(filter(None, (_sound(word) for word in _split(name) if word not in _PARTICLES))))


def _split(name: str, letters: Mapping[str, str] = _LETTERS) -> list[str]:
    bare = unicodedata.normalize("NFKD", name.casefold())
    plain = "".join(letters.get(sign, sign) for sign in bare if not unicodedata.combining(sign))
    return re.findall(r"[^\W_]+", plain.replace("'", "").replace("\u2019", "").replace("\u02bc", ""))


def _sound(word: str) -> str:
    if word.startswith(_ARTICLE) and len(word) >= _LONG_ENOUGH:
        word = word.removeprefix(_ARTICLE)  # written together with the name, or not
    for written, sound in _SOUNDS:
        word = word.replace(written, sound)
    first, rest = word[:1], re.sub(r"[aeiouh]", "", word[1:])
    return re.sub(r"(.)\1+", r"\1", ("" if first in "aeiouh" else first) + rest)


def _texts(value: Json) -> Iterator[str]:
    yield from (item for item in _list(value) if isinstance(item, str) and item.strip())


def _members(value: Json, name: str) -> Iterator[str]:
    for item in _list(value):
        found = item.get(name) if isinstance(item, dict) else None
        if isinstance(found, str) and found.strip():
            yield found


def _read_days(value: Json) -> Iterator[str]:
    """The days that are said; what is about right, and what is no day, is none."""
    for item in _list(value):
        said = item.get("date") if isinstance(item, dict) else None
        kind = item.get("kind") if isinstance(item, dict) else None
        if not isinstance(said, str) or _DATE.fullmatch(said) is None or str(kind).casefold().startswith(_ABOUT):
            continue
        with suppress(ValueError):
            yield date.fromisoformat(said).isoformat()


def _says_something(text: str) -> bool:
    """Whether a text is more than what is written where nothing is known."""
    words = _split(text)
    signs = set("".join(words))
    is_nothing = _NOTHING.issuperset(words) or "".join(words) in _NOTHING  # n/a is written in many ways
    return bool(signs) and signs not in ({"0"}, {"x"}, {"9"}) and not is_nothing


def _read_pairs(value: Json, first: str, *others: str) -> Iterator[str]:
    """What is said first together with the first of the others that is said; nothing where one is missing."""
    for item in _list(value):
        if not isinstance(item, dict):
            continue
        said = [item.get(name) for name in (first, *others)]
        texts = [" ".join(_split(text)) if isinstance(text, str) and _says_something(text) else "" for text in said]
        second = next((text for text in texts[1:] if text), "")
        if texts[0] and second:
            yield f"{texts[0].replace(' ', '') if first == 'number' else texts[0]}|{second}"


def _list(value: Json) -> Collection[Json]:
    match value:
        case list():
            return value
        case None:
            return ()
        case _:
            return (value,)
