# SPDX-License-Identifier: Apache-2.0
"""Pure: the markings in effect on an object, by marking-definition id and never by name.

A TLP level is understood only through the nine ids that STIX 2.1 §7.2.1.4 and FIRST's TLP 2.0 extension fix, because
names in the field are free text. Whatever else is referred to stays a word, and of these terms can name "statement"
alone.

    object_marking_refs: TLP:GREEN and an id nobody knows     Markings(tlp="green", others={"unknown:marking-…"})
    object_marking_refs: TLP:CLEAR and TLP:RED                Markings(tlp="red", others={"contradictory-tlp"})
    no markings at all                                        Markings(tlp="unmarked")
    granular marking TLP:RED on "description"                 Markings(…, granular=("description" up to red,))
    TLP:RED on an observable inside observed data             Markings(tlp="red")

What is marked in one property and stands again in another counts as marked there too (`stix.repeats`).

Not decided here: whether a marking is acceptable (`release.clauses`), and what is removed (`release.redaction`).
"""

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from types import MappingProxyType
from typing import Final, cast

from comity.canonical import Json
from comity.errors import MalformedError, MalformedObject
from comity.ids import ObjectId, parse_object_id
from comity.stix.repeats import find_places
from comity.stix.ways import find_references, format_pointer
from comity.vocabulary import TLP_LEVELS

__all__ = [
    "CONTRADICTORY",
    "REQUIRED_PROPERTIES",
    "STATEMENT",
    "TLP1_AMBER",
    "TLP1_GREEN",
    "TLP1_RED",
    "TLP1_WHITE",
    "TLP2_AMBER",
    "TLP2_AMBER_STRICT",
    "TLP2_CLEAR",
    "TLP2_GREEN",
    "TLP2_RED",
    "TLP_EXTENSION",
    "TLP_IDS",
    "TLP_ORDER",
    "GranularMarking",
    "Markings",
    "Repeat",
    "add_markings",
    "contradict",
    "find_inner",
    "find_repeats",
    "find_required",
    "read_markings",
    "tlp_rank",
]

TLP_ORDER: Final = (*TLP_LEVELS, "unmarked")
"""From the widest to the strictest; "unmarked" also stands for "no TLP understood"."""

CONTRADICTORY: Final = "contradictory-tlp"
"""The word for several TLP levels of one object: which of them was meant nobody knows, and no terms can name it."""

STATEMENT: Final = "statement"
"""The word for a marking-definition that the node holds and whose definition_type is "statement"."""

TLP2_CLEAR: Final = ObjectId("marking-definition--94868c89-83c2-464b-929b-a1a8aa3c8487")
TLP2_GREEN: Final = ObjectId("marking-definition--bab4a63c-aed9-4cf5-a766-dfca5abac2bb")
TLP2_AMBER: Final = ObjectId("marking-definition--55d920b0-5e8b-4f79-9ee9-91f868d9b421")
TLP2_AMBER_STRICT: Final = ObjectId("marking-definition--939a9414-2ddd-4d32-a0cd-375ea402b003")
TLP2_RED: Final = ObjectId("marking-definition--e828b379-4e03-4974-9ac4-e53a884c97c1")
TLP1_WHITE: Final = ObjectId("marking-definition--613f2e26-407d-48c7-9eca-b8e91df99dc9")
TLP1_GREEN: Final = ObjectId("marking-definition--34098fce-860f-48ae-8e50-ebd3cc5e41da")
TLP1_AMBER: Final = ObjectId("marking-definition--f88d31f6-486f-44da-b317-01333bde0b82")
TLP1_RED: Final = ObjectId("marking-definition--5e57c739-391a-4eb3-b6be-7d15ca92d5ed")

TLP_EXTENSION: Final = ObjectId("extension-definition--60a3c5c5-0d10-413e-aab3-9e08dde9e88d")

TLP_IDS: Final[Mapping[ObjectId, str]] = MappingProxyType(
    {
        TLP2_CLEAR: "clear",
        TLP2_GREEN: "green",
        TLP2_AMBER: "amber",
        TLP2_AMBER_STRICT: "amber+strict",
        TLP2_RED: "red",
        TLP1_WHITE: "clear",
        TLP1_GREEN: "green",
        # TLP 1 amber let the recipient's clients see; that is amber, not amber+strict, in TLP 2.0.
        TLP1_AMBER: "amber",
        TLP1_RED: "red",
    }
)
"""Every id that is understood as a TLP level."""

# Without these an object is no longer the same object, or its restrictions or its withdrawal would be lost.
_UNDETACHABLE: Final = frozenset(
    {
        "created",
        "created_by_ref",
        "extensions",
        "granular_markings",
        "id",
        "modified",
        "object_marking_refs",
        "revoked",
        "spec_version",
        "type",
    }
)

REQUIRED_PROPERTIES: Final[Mapping[str, frozenset[str]]] = MappingProxyType(
    {
        "attack-pattern": frozenset({"name"}),
        "campaign": frozenset({"name"}),
        "course-of-action": frozenset({"name"}),
        "extension-definition": frozenset({"name", "schema", "version", "extension_types", "extension_properties"}),
        "grouping": frozenset({"context", "object_refs"}),
        "identity": frozenset({"name"}),
        "incident": frozenset({"name"}),
        "indicator": frozenset({"pattern", "pattern_type", "valid_from"}),
        "infrastructure": frozenset({"name"}),
        "intrusion-set": frozenset({"name"}),
        "language-content": frozenset({"object_ref", "contents"}),
        "location": frozenset({"region", "country", "latitude", "longitude"}),
        "malware": frozenset({"is_family", "name"}),
        "malware-analysis": frozenset({"product", "result", "analysis_sco_refs"}),
        "marking-definition": frozenset({"name", "definition", "definition_type"}),
        "note": frozenset({"content", "object_refs"}),
        "observed-data": frozenset({"first_observed", "last_observed", "number_observed", "objects", "object_refs"}),
        "opinion": frozenset({"opinion", "object_refs"}),
        "relationship": frozenset({"relationship_type", "source_ref", "target_ref"}),
        "report": frozenset({"name", "published", "object_refs"}),
        "sighting": frozenset({"sighting_of_ref"}),
        "threat-actor": frozenset({"name"}),
        "tool": frozenset({"name"}),
        "vulnerability": frozenset({"name"}),
    }
)
"""Per type, what an object cannot lack (STIX 2.1 §4 to §7), with every property of an "at least one of" group.

A type that is not here has no property known to be dispensable: a marking on any of them is a marking of the object.
The SCOs are not here on purpose: their ids are made from their properties (§2.9), so what was removed could be guessed
and the guess confirmed.
"""

_PROPERTY = re.compile(r"[A-Za-z0-9_-]{1,250}", re.ASCII)
_SHOWN = 80
_MOST_REMEMBERED = 16
"""Markings of an object whose meaning is remembered: whoever writes has room for thousands in each object."""

_MOST_SOUGHT = 32
"""Markings whose texts are sought elsewhere in the object; one with more of them is given to nobody (`stix.labels`)."""

_INDEX = re.compile(r"\[(0|[1-9][0-9]{0,5})\]", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class GranularMarking:
    """One top-level property that may go only up to `tlp`; "unmarked" when its marking is not a known TLP.

    `repeats` says that no marking is on the property itself, but on another one, whose text stands again in it: such a
    property is never a tear line.
    """

    property: str
    tlp: str
    repeats: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Markings:
    """What holds on an object: the strictest TLP, the other markings as words, and granular ones, sorted.

    CONTRADICTORY among `others` says that the object names several levels for all of itself.
    """

    tlp: str
    others: frozenset[str]
    granular: tuple[GranularMarking, ...]


@dataclass(frozen=True, slots=True)
class _Granular:
    """One marking, and the top-level property that each of its selectors lies in."""

    marking: ObjectId
    selectors: Mapping[str, str]

    @property
    def properties(self) -> frozenset[str]:
        return frozenset(self.selectors.values())

    @property
    def tlp(self) -> str:
        return TLP_IDS.get(self.marking, "unmarked")


@dataclass(frozen=True, slots=True, kw_only=True)
class Repeat:
    """What a granular marking of level `tlp` marks, in the properties `marked`, stands again in others.

    `again` are those that can be removed, `fixed` those that the object cannot lack; `lost` says that more is marked
    than can be looked for.
    """

    marking: ObjectId
    tlp: str
    marked: frozenset[str]
    again: frozenset[str]
    fixed: frozenset[str]
    lost: bool

    @property
    def whole(self) -> bool:
        """Whether the marking counts for the whole object because of it."""
        return self.lost or bool(self.fixed)


def tlp_rank(name: str) -> int:
    """The place of a TLP level in `TLP_ORDER`; higher is stricter.

    Raises:
        MalformedObject: not one of them. An unknown word has no rank: as a ceiling it would admit everything.
    """
    if name not in TLP_ORDER:
        raise MalformedObject(f"{name!r} is not a TLP level; use one of {', '.join(TLP_ORDER)}", where="/tlp")
    return TLP_ORDER.index(name)


def read_markings(value: dict[str, Json], *, definitions: Mapping[ObjectId, str]) -> Markings:
    """The markings in effect on the object `value` (STIX 2.1 §7.2).

    `definitions` says of marking-definitions that the node holds what they are: {"marking-definition--…": "statement"}.
    Of several TLP levels the strictest holds, and they are CONTRADICTORY where all are of the whole object. A granular
    marking can only tighten: on a property that the object cannot lack it counts as a marking of the whole object. So
    it does where what it marks stands again in such a property; where it stands in another one, that is marked too. One
    with `lang` only restricts nothing. What is marked inside a property, as an observable of observed data (§4.14), is
    no selector's: its marking tightens the whole object.

    Raises:
        MalformedObject: `object_marking_refs` or `granular_markings` are not of the form STIX 2.1 §7.2 gives, or a
            selector points at nothing; a restriction that cannot be placed is never dropped.
    """
    whole, tightened = _read_marking_refs(value), [*dict.fromkeys(find_inner(value))]
    if "granular_markings" not in value:
        return _mark(whole, tuple(tightened), _find_statements((*whole, *tightened), definitions))
    partly: dict[str, str] = {}
    required = find_required(value)
    listed = [*_read_granular(value)]
    for granular in listed:
        detachable = frozenset[str]() if required is None else granular.properties - required
        if detachable != granular.properties:
            tightened.append(granular.marking)
        for name in detachable:
            partly[name] = _strictest(partly.get(name, "clear"), granular.tlp)
    repeated: dict[str, str] = {}
    for repeat in _find_repeats(value, listed, tlp=_mark(whole, tuple(tightened), frozenset()).tlp):
        if repeat.whole:
            tightened.append(repeat.marking)
        for name in repeat.again:
            repeated[name] = _strictest(repeated.get(name, "clear"), repeat.tlp)
    marked = _mark(whole, tuple(tightened), _find_statements((*whole, *tightened), definitions))
    return replace(marked, granular=tuple(_join_granular(partly, repeated)))


def contradict(markings: Iterable[ObjectId]) -> bool:
    """Whether several TLP levels are among them; both ids of one level, of TLP 1 and of 2.0, say the same."""
    return len({TLP_IDS[one] for one in markings if one in TLP_IDS}) > 1


def add_markings(own: Sequence[ObjectId], around: Sequence[ObjectId]) -> list[ObjectId]:
    """What an object bears that says `own` and lies in what says `around`: all of it, and one TLP level, the strictest.

    Several levels that one of them says by itself contradict each other, and stay as they are.
    """
    marked = [*dict.fromkeys((*around, *own))]
    if contradict(own) or contradict(around):
        return marked
    strictest = max((TLP_IDS[one] for one in marked if one in TLP_IDS), key=tlp_rank, default=None)
    return [one for one in marked if TLP_IDS.get(one, strictest) == strictest]


def find_inner(value: dict[str, Json]) -> Iterator[ObjectId]:
    """The markings of what lies inside the object, at any depth, each as often as it stands there.

    Raises:
        MalformedObject: one is not the id of a marking-definition.
    """
    for path, item in find_references(value):
        if path[-1] == "object_marking_refs" and len(path) > 1:
            listed = item if isinstance(item, list) else [item]
        elif path[-1] == "marking_ref" and path[0] != "granular_markings":
            listed = [item]
        else:
            continue
        where = format_pointer(path)
        yield from (_read_marking_id(one, where=where) for one in listed)


def find_repeats(value: dict[str, Json]) -> tuple[Repeat, ...]:
    """What is marked in the object `value` and stands again elsewhere in it: why more is restricted than is marked.

    Raises:
        MalformedObject: as `read_markings`.
    """
    if "granular_markings" not in value:
        return ()
    required = find_required(value) or value.keys()
    listed = [*_read_granular(value)]
    tightened = [granular.marking for granular in listed if not granular.properties.isdisjoint(required)]
    tightened += find_inner(value)
    whole = _mark(_read_marking_refs(value), tuple(tightened), frozenset())
    return tuple(_find_repeats(value, listed, tlp=whole.tlp))


def _find_repeats(value: dict[str, Json], listed: Sequence[_Granular], *, tlp: str) -> Iterator[Repeat]:
    """One for each marking whose text stands again; one that is no stricter than `tlp` restricts nothing."""
    required = find_required(value) or value.keys()
    stricter: dict[ObjectId, dict[str, str]] = {}
    for granular in listed:
        if tlp_rank(granular.tlp) > tlp_rank(tlp):
            stricter.setdefault(granular.marking, {}).update(granular.selectors)
    for marking, selectors in stricter.items():
        found = find_places(value, [*selectors]) if len(stricter) <= _MOST_SOUGHT else None
        if found is None or found:
            yield Repeat(
                marking=marking,
                tlp=TLP_IDS.get(marking, "unmarked"),
                marked=frozenset(selectors.values()),
                again=(found or frozenset()) - required,
                fixed=(found or frozenset()) & required,
                lost=found is None,
            )


def _join_granular(partly: Mapping[str, str], repeated: Mapping[str, str]) -> Iterator[GranularMarking]:
    for name in sorted(partly.keys() | repeated.keys()):
        tlp = _strictest(partly.get(name, "clear"), repeated.get(name, "clear"))
        yield GranularMarking(property=name, tlp=tlp, repeats=name not in partly)


def _find_statements(markings: Collection[ObjectId], definitions: Mapping[ObjectId, str]) -> frozenset[ObjectId]:
    if not definitions:
        return frozenset()
    return frozenset(one for one in markings if one not in TLP_IDS and definitions.get(one) == STATEMENT)


def _mark(whole: tuple[ObjectId, ...], tightened: tuple[ObjectId, ...], statements: frozenset[ObjectId]) -> Markings:
    """What the markings of a whole object, and those that count as such, come to; most objects are marked alike."""
    few = len(whole) + len(tightened) <= _MOST_REMEMBERED
    return (_remember_mark if few else _join_markings)(whole, tightened, statements)


def _join_markings(
    whole: tuple[ObjectId, ...], tightened: tuple[ObjectId, ...], statements: frozenset[ObjectId]
) -> Markings:
    tlp = _strictest("clear", *[TLP_IDS[one] for one in whole if one in TLP_IDS])
    if not any(one in TLP_IDS for one in whole):
        tlp = "unmarked"
    # Only "statement" is a word of its own: any other claim about a definition stays unknown.
    foreign = [one for one in (*whole, *tightened) if one not in TLP_IDS]
    others = {STATEMENT if one in statements else f"unknown:{one}" for one in foreign}
    return Markings(
        tlp=_strictest(tlp, *[TLP_IDS[one] for one in tightened if one in TLP_IDS]),
        others=frozenset(others | {CONTRADICTORY} if contradict(whole) else others),
        granular=(),
    )


_remember_mark = lru_cache(maxsize=1_024)(_join_markings)


def find_required(value: dict[str, Json]) -> frozenset[str] | None:
    """What this object cannot lack; None when that is not known of its type."""
    object_type = value.get("type")
    required = REQUIRED_PROPERTIES.get(object_type) if isinstance(object_type, str) else None
    return None if required is None else required | _UNDETACHABLE


def _strictest(*levels: str) -> str:
    return max(levels, key=tlp_rank)


def _read_marking_refs(value: dict[str, Json]) -> tuple[ObjectId, ...]:
    if "object_marking_refs" not in value:
        return ()
    refs = value["object_marking_refs"]
    if not isinstance(refs, list):
        raise MalformedObject(
            "object_marking_refs is not a list; give a list of marking-definition ids", where="/object_marking_refs"
        )
    for ref in refs:
        if not isinstance(ref, str) or ref not in TLP_IDS:
            break
    else:
        return tuple(cast("list[ObjectId]", refs))
    return tuple(_read_marking_id(ref, where=f"/object_marking_refs/{index}") for index, ref in enumerate(refs))


def _read_marking_id(ref: Json, *, where: str) -> ObjectId:
    if isinstance(ref, str) and ref.startswith("marking-definition--"):
        try:
            return parse_object_id(ref)
        except MalformedError:
            pass  # the one message below serves both
    raise MalformedObject(
        f"{_show(ref)} is not the id of a marking-definition; give marking-definition--<uuid> in lower case",
        where=where,
    )


def _read_granular(value: dict[str, Json]) -> Iterator[_Granular]:
    """Every granular marking that restricts something (STIX 2.1 §7.2.3), checked whole."""
    if "granular_markings" not in value:
        return
    entries = value["granular_markings"]
    if not isinstance(entries, list):
        raise MalformedObject(
            "granular_markings is not a list; give a list of {marking_ref, selectors}", where="/granular_markings"
        )
    for index, entry in enumerate(entries):
        where = f"/granular_markings/{index}"
        if not isinstance(entry, dict):
            raise MalformedObject("not a JSON object; give {marking_ref, selectors}", where=where)
        selectors = _read_selectors(entry, value, where=where)
        if ("lang" in entry) == ("marking_ref" in entry):
            raise MalformedObject("give either marking_ref or lang, and not both", where=where)
        if "marking_ref" in entry:
            yield _Granular(_read_marking_id(entry["marking_ref"], where=f"{where}/marking_ref"), selectors)
        elif not isinstance(entry["lang"], str):
            raise MalformedObject("not a string; give an RFC 5646 language tag", where=f"{where}/lang")


def _read_selectors(entry: dict[str, Json], value: dict[str, Json], *, where: str) -> Mapping[str, str]:
    """Each selector, and the top-level property that it lies in."""
    selectors = entry.get("selectors")
    if not isinstance(selectors, list) or not selectors:
        raise MalformedObject(
            "selectors is not a list with at least one selector; name what the marking holds on",
            where=f"{where}/selectors",
        )
    found = [_resolve(selector, value, where=f"{where}/selectors/{index}") for index, selector in enumerate(selectors)]
    return dict(found)


def _resolve(selector: Json, value: dict[str, Json], *, where: str) -> tuple[str, str]:
    """A selector such as "external_references.[0].url", and the top-level property that it lies in."""
    if not isinstance(selector, str):
        raise MalformedObject(f"{_show(selector)} is not a selector; give a property path as text", where=where)
    steps = selector.split(".")
    here: Json = value
    for step in steps:
        index = _INDEX.fullmatch(step)
        if index is not None and isinstance(here, list) and int(index[1]) < len(here):
            here = here[int(index[1])]
        elif isinstance(here, dict) and _PROPERTY.fullmatch(step) is not None and step in here:
            here = here[step]
        else:
            raise MalformedObject(
                f"selector {_show(selector)} points at nothing in this object; name a property that is there "
                '(STIX 2.1 §7.2.3.1, for example "description" or "labels.[0]")',
                where=where,
            )
    return selector, steps[0]


def _show(value: Json) -> str:
    """The beginning of what was found, for a message."""
    text = repr(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
