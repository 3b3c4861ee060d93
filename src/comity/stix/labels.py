# SPDX-License-Identifier: Apache-2.0
"""Pure: the label, the few facts of an object that terms can test, and the join of labels.

Terms never see an object, only its label. An object that refers to others is judged by the join of its own label with
theirs, so that it goes out only if every one of them would: sets grow, the TLP rises, the audience shrinks, and
`subjects` and `regions` keep one group of words for each object that the label stands for. Excluded frameworks are a
set that grows: those inside which the object must not be used or passed on, by the terms it was received under.

    a report about one group in Iraq, in which a location in Jordan is named:
    join(report, location).regions == {frozenset({"IQ"}), frozenset({"JO"})}      terms on Iraq alone admit it no more

Not decided here: what is admitted (`release.clauses`), and which references could be followed (`with_unresolved` is for
whoever finds one missing).
"""

import json
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Final

from comity.canonical import OBJECT_LIMITS, Json, canonical_bytes, parse_json
from comity.errors import MalformedError, MalformedObject
from comity.ids import PartyId, parse_object_id, parse_party_id
from comity.stix.markings import CONTRADICTORY, STATEMENT, TLP_ORDER, GranularMarking, Markings, tlp_rank
from comity.stix.objects import StixObject
from comity.stix.patterns import UNCHECKED, UNPARSABLE
from comity.stix.tags import (
    CLASSIFICATION_EXTENSION,
    VOCABULARIES,
    Check,
    Tags,
    forget_tags,
    join_tags,
    make_tags,
    read_tags,
    read_texts,
)
from comity.vocabulary import HANDLING, KINDS, PERSON_CLASSES, SPECIAL_CATEGORIES

__all__ = [
    "CLASSIFICATION_EXTENSION",
    "LAPSED",
    "MAX_MARKINGS",
    "MAX_WORDS",
    "OVERFULL",
    "OVERTAKEN",
    "QUESTIONED",
    "RECALLED",
    "UNDECIDED",
    "UNRESOLVED",
    "UNSPECIFIED",
    "Label",
    "Tags",
    "admit_to",
    "forget_labels",
    "format_label",
    "intersect_audiences",
    "is_overfull",
    "join",
    "join_tags",
    "make_label",
    "make_tags",
    "parse_label",
    "read_tags",
    "restate",
    "with_unresolved",
]

UNSPECIFIED: Final = "unspecified"
"""The kind of an object whose kind nobody has said; no terms can name it."""

MAX_WORDS: Final = 512
"""In one label: far above what people tag and refer to within one exchange."""

MAX_MARKINGS: Final = 32
"""Of the words of a label: each is as long as twenty others, and terms would have to name every one of them."""

UNRESOLVED: Final = "unresolved-reference"
"""The marking of an object that refers to one the node does not hold; no terms can name it."""

RECALLED: Final = "recalled"
"""The marking of a version that was withdrawn or corrected (`node.withdrawal`); no terms can name it."""

QUESTIONED: Final = "subject-in-question"
"""The marking of an object about a subject that left its list, until a person decides; no terms can name it."""

UNDECIDED: Final = "necessity-undecided"
"""The marking of data of a special category, or of a minor, until people decide; no terms can name it."""

LAPSED: Final = "expired-assessment"
"""The marking of a threat assessment whose time has passed; no terms can name it."""

OVERTAKEN: Final = "overtaken-version"
"""The marking of a version that came after one which could not be kept, and is no newer; no terms can name it."""

_OURS: Final = frozenset(
    {
        CONTRADICTORY,
        LAPSED,
        OVERTAKEN,
        QUESTIONED,
        RECALLED,
        STATEMENT,
        UNCHECKED,
        UNDECIDED,
        UNPARSABLE,
        UNRESOLVED,
        "too-many-words",
    }
)
"""Words of markings that are no ids."""

_TYPE = re.compile(r"[a-z0-9](?:[a-z0-9]|-(?!-)){1,248}[a-z0-9]", re.ASCII)
_PROPERTY = re.compile(r"[A-Za-z0-9_-]{1,250}", re.ASCII)

_MOST_WORDS_REMEMBERED = 64
_MOST_BYTES_REMEMBERED = 4_096
"""Of a label that is remembered; longer ones are read and written anew. Property names make one as long as an object.
"""

_MAX_FRAMEWORK = 4_000
"""Characters of a framework's name, as in terms (`agreement.reader.MAX_TEXT`)."""

_LONG_WORD = 256
"""A framework's name counts as one word more for each of these characters: a full label fits into its bounds as JSON.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Label:
    """What terms can test, of one object or of the join of several.

    `subjects` and `regions` hold one group for each object joined: {frozenset({"IQ"}), frozenset({"JO", "SY"})}; an
    empty group is an object of which nobody has said. `originators` are all that the objects could be of. `audience`
    None means any party, an empty one means nobody.
    """

    types: frozenset[str]
    tlp: str
    markings: frozenset[str]
    originators: frozenset[PartyId]
    subjects: frozenset[frozenset[str]]
    regions: frozenset[frozenset[str]]
    kinds: frozenset[str]
    person_classes: frozenset[str]
    special_categories: frozenset[str]
    handling: frozenset[str]
    audience: frozenset[PartyId] | None
    excluded_frameworks: frozenset[str]
    granular: tuple[GranularMarking, ...]


OVERFULL: Final = Label(
    types=frozenset(),
    tlp="unmarked",
    markings=frozenset({"too-many-words"}),
    originators=frozenset(),
    subjects=frozenset(),
    regions=frozenset(),
    kinds=frozenset(),
    person_classes=frozenset(),
    special_categories=frozenset(),
    handling=frozenset(),
    audience=frozenset(),
    excluded_frameworks=frozenset(),
    granular=(),
)
"""The label of what refers, near or far, to more than a label can hold; no terms can admit it."""

# --- labels -------------------------------------------------------------------------------------------------------


def make_label(
    obj: StixObject,
    markings: Markings,
    tags: Tags,
    *,
    originators: frozenset[PartyId],
    audience: frozenset[PartyId] | None,
    excluded_frameworks: frozenset[str] = frozenset(),
) -> Label:
    """The label of one object by itself; references are joined by the caller.

    `originators` are all that it could be of. An object of no kind is of the kind "unspecified", so that terms which
    name kinds do not admit it. What is marked, tagged or restricted with more than a label can hold is OVERFULL.
    """
    label = Label(
        types=frozenset({obj.type}),
        tlp=markings.tlp,
        markings=markings.others,
        originators=originators,
        subjects=frozenset({tags.subjects}),
        regions=frozenset({tags.regions}),
        kinds=tags.kinds or frozenset({UNSPECIFIED}),
        person_classes=tags.person_classes,
        special_categories=tags.special_categories,
        handling=tags.handling,
        audience=audience,
        excluded_frameworks=excluded_frameworks,
        granular=markings.granular,
    )
    return OVERFULL if is_overfull(label) else label


def with_unresolved(label: Label) -> Label:
    """The label of an object that refers to one the node does not hold: nothing admits it until it is there."""
    return replace(label, markings=label.markings | {UNRESOLVED})


def admit_to(label: Label, parties: frozenset[PartyId]) -> Label:
    """The label with an audience that is wider by `parties`.

    It stays as it is where anybody is admitted already, and where it could not hold them all.
    """
    if label.audience is None or label == OVERFULL or parties <= label.audience:
        return label
    wider = replace(label, audience=label.audience | parties)
    return label if is_overfull(wider) else wider


def join(label: Label, *others: Label) -> Label:
    """The strictest of all of them, with the granular markings of the first, whose properties they are.

    Associative, idempotent, and commutative but for `granular`; what admits the join admits each. A join of over
    MAX_WORDS words, or MAX_MARKINGS of them markings, is OVERFULL, which nothing admits: a bound on what a chain of
    references can cost.
    """
    for other in others:
        if other is label or label == OVERFULL:
            continue
        label = Label(
            types=label.types | other.types,
            tlp=max(label.tlp, other.tlp, key=tlp_rank),
            markings=label.markings | other.markings,
            originators=label.originators | other.originators,
            subjects=label.subjects | other.subjects,
            regions=label.regions | other.regions,
            kinds=label.kinds | other.kinds,
            person_classes=label.person_classes | other.person_classes,
            special_categories=label.special_categories | other.special_categories,
            handling=label.handling | other.handling,
            audience=intersect_audiences(label.audience, other.audience),
            excluded_frameworks=label.excluded_frameworks | other.excluded_frameworks,
            granular=label.granular,
        )
        if OVERFULL.markings <= label.markings or is_overfull(label):
            label = OVERFULL
    return label


def restate(label: Label, newer: Label) -> Label:
    """The label of one object of which more is said than before: every statement counts, and every restriction.

    Not `join`, which stands for two objects: subjects and regions said at different times are one object's. Where it
    may be of others by the one than by the other, it is `join`: nobody's words let go what another says too little of.
    """
    if label.originators != newer.originators or not (_is_of_one(label) and _is_of_one(newer)):
        return join(label, newer)
    kinds = (label.kinds | newer.kinds) - {UNSPECIFIED}
    return replace(
        join(label, newer),
        subjects=frozenset({frozenset[str]().union(*label.subjects, *newer.subjects)}),
        regions=frozenset({frozenset[str]().union(*label.regions, *newer.regions)}),
        kinds=kinds or frozenset({UNSPECIFIED}),
    )


def _is_of_one(label: Label) -> bool:
    """Whether subjects, regions and kinds are said by one alone."""
    several = UNSPECIFIED in label.kinds and len(label.kinds) > 1
    return len(label.subjects) <= 1 and len(label.regions) <= 1 and not several


def is_overfull(label: Label) -> bool:
    """Whether it has more words than a label can hold; then it has to be OVERFULL."""
    return len(label.markings) > MAX_MARKINGS or _count_words(label) > MAX_WORDS


def _count_words(label: Label) -> int:
    return sum(
        len(words)
        for words in (
            label.types,
            label.markings,
            label.originators,
            label.kinds,
            *label.subjects,
            *label.regions,
            label.audience or (),
        )
    ) + sum(1 + len(name) // _LONG_WORD for name in label.excluded_frameworks)


def intersect_audiences(one: frozenset[PartyId] | None, other: frozenset[PartyId] | None) -> frozenset[PartyId] | None:
    """Whom both admit; None is anybody."""
    if one is None or other is None:
        return other if one is None else one
    return one & other


# --- bytes --------------------------------------------------------------------------------------------------------


def format_label(label: Label) -> bytes:
    """The one canonical form of a label (RFC 8785): equal labels have equal bytes, and are stored once.

    `excluded_frameworks` is written only where there are any, as labels were before they had it.
    """
    short = _count_words(label) + len(label.granular) <= _MOST_WORDS_REMEMBERED
    return (_remember_bytes if short else _format_label)(label)


def _format_label(label: Label) -> bytes:
    excluded: dict[str, Json] = {"excluded_frameworks": _sorted(label.excluded_frameworks)}
    return _write(
        {
            "types": _sorted(label.types),
            "tlp": label.tlp,
            "markings": _sorted(label.markings),
            "originators": _sorted(label.originators),
            "subjects": _sorted_groups(label.subjects),
            "regions": _sorted_groups(label.regions),
            "kinds": _sorted(label.kinds),
            "person_classes": _sorted(label.person_classes),
            "special_categories": _sorted(label.special_categories),
            "handling": _sorted(label.handling),
            "audience": None if label.audience is None else _sorted(label.audience),
            "granular": [_write_granular(mark) for mark in label.granular],
            **(excluded if label.excluded_frameworks else {}),
        }
    )


def _write_granular(mark: GranularMarking) -> Json:
    """`repeats` is written only where it is so, as labels were before they had it."""
    repeats: dict[str, Json] = {"repeats": True} if mark.repeats else {}
    return {"property": mark.property, "tlp": mark.tlp, **repeats}


def _write(value: dict[str, Json]) -> bytes:
    """`canonical_bytes` of what holds text alone, ten times as fast where all of it is ASCII.

    Then it is sorted alike by code points and by UTF-16 code units (RFC 8785 §3.2.3), and escaped alike (§3.2.2.2).
    """
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), sort_keys=True)
    return text.encode() if text.isascii() else canonical_bytes(value)


def parse_label(data: bytes) -> Label:
    """The label whose canonical form `data` is.

    Raises:
        MalformedJson: not strict JSON.
        MalformedObject: a field that is missing, unknown or not of its form, or bytes that `format_label` would not
            have written.
    """
    return (_remember_label if len(data) <= _MOST_BYTES_REMEMBERED else _parse_label)(data)


def _parse_label(data: bytes) -> Label:
    value = parse_json(data, limits=OBJECT_LIMITS)
    if not isinstance(value, dict) or value.keys() | {"excluded_frameworks"} != set(Label.__slots__):
        raise MalformedObject(
            f"a label is a JSON object with exactly the fields {', '.join(Label.__slots__)}", where="/"
        )
    label = Label(
        types=_read_set(value, "types", lambda word: _TYPE.fullmatch(word) is not None),
        tlp=_read_tlp(value["tlp"], where="/tlp"),
        markings=_read_set(value, "markings", _is_marking_word),
        originators=frozenset(map(PartyId, _read_set(value, "originators", _is_party))),
        subjects=_read_groups(value, "subjects"),
        regions=_read_groups(value, "regions"),
        kinds=_read_set(value, "kinds", (KINDS | {UNSPECIFIED}).__contains__),
        person_classes=_read_set(value, "person_classes", PERSON_CLASSES.__contains__),
        special_categories=_read_set(value, "special_categories", SPECIAL_CATEGORIES.__contains__),
        handling=_read_set(value, "handling", HANDLING.__contains__),
        audience=_read_audience(value),
        excluded_frameworks=_check_set(
            value.get("excluded_frameworks", []), _is_framework, where="/excluded_frameworks"
        ),
        granular=_read_granular(value["granular"]),
    )
    if format_label(label) != data:
        raise MalformedObject("not the canonical form of a label; write it with format_label", where="/")
    return label


_remember_bytes = lru_cache(maxsize=4_096)(_format_label)
_remember_label = lru_cache(maxsize=4_096)(_parse_label)


def forget_labels() -> None:
    """Keep nothing in memory of any label: what was deleted may stand in one."""
    forget_tags()
    _remember_bytes.cache_clear()
    _remember_label.cache_clear()


def _sorted(words: Iterable[str]) -> list[Json]:
    return [*sorted(words)]


def _sorted_groups(groups: Iterable[frozenset[str]]) -> list[Json]:
    return [_sorted(group) for group in sorted(groups, key=sorted)]


def _read_set(value: dict[str, Json], field: str, is_known: Check) -> frozenset[str]:
    return _check_set(value[field], is_known, where=f"/{field}")


def _check_set(listed: Json, is_known: Check, *, where: str) -> frozenset[str]:
    words = frozenset(read_texts(listed, where=where))
    for word in sorted(words):
        if not is_known(word):
            raise MalformedObject(f"{word[:80]!r} is not a word of this field", where=where)
    return words


def _read_groups(value: dict[str, Json], field: str) -> frozenset[frozenset[str]]:
    groups = value[field]
    if not isinstance(groups, list):
        raise MalformedObject("not a list of groups of words", where=f"/{field}")
    is_known = VOCABULARIES[field][0]
    return frozenset(_check_set(group, is_known, where=f"/{field}/{index}") for index, group in enumerate(groups))


def _read_audience(value: dict[str, Json]) -> frozenset[PartyId] | None:
    if value["audience"] is None:
        return None
    return frozenset(map(PartyId, _read_set(value, "audience", _is_party)))


def _read_tlp(level: Json, *, where: str) -> str:
    if not isinstance(level, str) or level not in TLP_ORDER:
        raise MalformedObject(f"not one of {', '.join(TLP_ORDER)}", where=where)
    return level


def _read_granular(listed: Json) -> tuple[GranularMarking, ...]:
    if not isinstance(listed, list):
        raise MalformedObject("not a list of {property, tlp}", where="/granular")
    found = tuple(_read_granular_marking(entry, where=f"/granular/{index}") for index, entry in enumerate(listed))
    if list(found) != sorted({mark.property: mark for mark in found}.values()):
        raise MalformedObject("not sorted, or a property twice", where="/granular")
    return found


def _read_granular_marking(entry: Json, *, where: str) -> GranularMarking:
    if not isinstance(entry, dict) or entry.keys() | {"repeats"} != {"property", "tlp", "repeats"}:
        raise MalformedObject(
            "a granular marking has the fields property, tlp, and repeats where it is so", where=where
        )
    if entry.get("repeats", True) is not True:
        raise MalformedObject("not true; leave it out where it is not so", where=f"{where}/repeats")
    name = entry["property"]
    if not isinstance(name, str) or _PROPERTY.fullmatch(name) is None:
        raise MalformedObject("not the name of a property", where=f"{where}/property")
    tlp = _read_tlp(entry["tlp"], where=f"{where}/tlp")
    return GranularMarking(property=name, tlp=tlp, repeats="repeats" in entry)


def _is_marking_word(word: str) -> bool:
    if word in _OURS:
        return True
    prefix, _, marking = word.partition(":")
    return prefix == "unknown" and marking.startswith("marking-definition--") and _parses(parse_object_id, marking)


def _is_framework(word: str) -> bool:
    return 1 <= len(word) <= _MAX_FRAMEWORK


def _is_party(word: str) -> bool:
    return _parses(parse_party_id, word)


def _parses(parse: Callable[[str], object], text: str) -> bool:
    try:
        parse(text)
    except MalformedError:
        return False
    return True
