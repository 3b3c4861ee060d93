# SPDX-License-Identifier: Apache-2.0
"""Hypothesis strategies for STIX things: ids, times, objects as JSON, markings, tags, labels."""

import json
from datetime import UTC, datetime

from hypothesis import strategies as st

from comity.canonical import Json
from comity.ids import Instant, ObjectId, PartyId, format_instant, parse_instant
from comity.stix.labels import CLASSIFICATION_EXTENSION, LAPSED, QUESTIONED, UNRESOLVED, UNSPECIFIED, Label, Tags
from comity.stix.markings import STATEMENT, TLP_IDS, TLP_ORDER, GranularMarking
from comity.vocabulary import HANDLING, KINDS, PERSON_CLASSES, SPECIAL_CATEGORIES

__all__ = [
    "FRAMEWORKS",
    "STIX_TYPES",
    "TAG_FIELDS",
    "granular_markings",
    "instants",
    "json_scalars",
    "json_values",
    "labels",
    "object_bytes",
    "object_ids",
    "objects",
    "parties",
    "subjects",
    "tags",
    "tlp_ids",
    "tlp_levels",
    "unknown_marking_ids",
]

STIX_TYPES = ("identity", "indicator", "intrusion-set", "location", "note", "relationship", "report", "x-example-thing")
FRAMEWORKS = ("coalition-dawn", "coalition-dusk", "Gruppe “Süd”")
TAG_FIELDS = ("subjects", "regions", "kinds", "person_classes", "special_categories", "handling")
_REGIONS = ("IQ", "JO", "SY", "TR")
_FIRST = parse_instant("2000-01-01T00:00:00Z")
_LAST = parse_instant("2030-12-31T23:59:59Z")


def object_ids(object_type: str | None = None) -> st.SearchStrategy[ObjectId]:
    types = st.sampled_from(STIX_TYPES) if object_type is None else st.just(object_type)
    return st.builds(lambda name, uuid: ObjectId(f"{name}--{uuid}"), types, st.uuids())


def unknown_marking_ids() -> st.SearchStrategy[ObjectId]:
    return object_ids("marking-definition").filter(lambda marking: marking not in TLP_IDS)


def tlp_ids() -> st.SearchStrategy[ObjectId]:
    return st.sampled_from(sorted(TLP_IDS))


def tlp_levels() -> st.SearchStrategy[str]:
    return st.sampled_from(TLP_ORDER)


def instants() -> st.SearchStrategy[Instant]:
    return st.integers(_FIRST, _LAST).map(Instant)


def parties() -> st.SearchStrategy[PartyId]:
    return st.sampled_from(("aurelia", "borealis", "cimbria", "dorvania")).map(PartyId)


def subjects() -> st.SearchStrategy[str]:
    own = object_ids("intrusion-set").map(lambda group: f"stix:{group}")
    return st.one_of(st.sampled_from(("national:ashfall", "national:tidewater", "unsc:QDe.901")), own)


def json_values() -> st.SearchStrategy[Json]:
    """Small values; text without lone surrogates, numbers that a double holds."""
    return st.recursive(
        json_scalars(),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_text(), inner, max_size=3),
        max_leaves=8,
    )


def json_scalars() -> st.SearchStrategy[Json]:
    numbers = st.integers(-(2**53) + 1, 2**53 - 1) | st.floats(allow_nan=False, allow_infinity=False)
    return st.one_of(st.none(), st.booleans(), numbers, _text())


def _text() -> st.SearchStrategy[str]:
    return st.text(st.characters(exclude_categories=["Cs"]), max_size=12)


def tags() -> st.SearchStrategy[Tags]:
    return st.builds(
        Tags,
        subjects=st.frozensets(subjects(), max_size=3),
        regions=st.frozensets(st.sampled_from(_REGIONS), max_size=3),
        kinds=_some(KINDS),
        person_classes=_some(PERSON_CLASSES),
        special_categories=_some(SPECIAL_CATEGORIES),
        handling=_some(HANDLING),
    )


def granular_markings() -> st.SearchStrategy[tuple[GranularMarking, ...]]:
    """Sorted, each property once, as `read_markings` gives them."""
    marks = st.tuples(tlp_levels(), st.booleans())
    named = st.dictionaries(st.sampled_from(("description", "labels", "x_note")), marks, max_size=3)
    return named.map(
        lambda said: tuple(
            sorted(GranularMarking(property=name, tlp=tlp, repeats=again) for name, (tlp, again) in said.items())
        )
    )


def labels() -> st.SearchStrategy[Label]:
    """Labels of one object and of several joined, with every word that a field may hold."""
    words = st.sampled_from((LAPSED, QUESTIONED, STATEMENT, UNRESOLVED))
    return st.builds(
        Label,
        types=_some(frozenset(STIX_TYPES), least=1),
        tlp=tlp_levels(),
        markings=st.frozensets(words | unknown_marking_ids().map(lambda one: f"unknown:{one}"), max_size=2),
        originators=st.frozensets(parties(), min_size=1, max_size=3),
        subjects=_groups(subjects()),
        regions=_groups(st.sampled_from(_REGIONS)),
        kinds=_some(KINDS | {UNSPECIFIED}, least=1),
        person_classes=_some(PERSON_CLASSES),
        special_categories=_some(SPECIAL_CATEGORIES),
        handling=_some(HANDLING),
        audience=st.none() | st.frozensets(parties(), max_size=3),
        excluded_frameworks=st.frozensets(st.sampled_from(FRAMEWORKS), max_size=2),
        granular=granular_markings(),
    )


@st.composite
def objects(draw: st.DrawFn) -> dict[str, Json]:
    """STIX 2.1 objects that can be kept, as JSON: references, markings, tags, custom properties."""
    object_id = draw(object_ids())
    created, modified = sorted(draw(st.tuples(instants(), instants())))
    value: dict[str, Json] = {
        "type": object_id.partition("--")[0],
        "spec_version": "2.1",
        "id": object_id,
        "created": format_instant(created),
        "modified": draw(_times(modified)),
        "name": draw(_text()),
        "description": "text",
        "labels": ["one", "two"],
        "x_note": draw(json_scalars()),
    }
    if draw(st.booleans()):
        value["object_marking_refs"] = [*draw(st.lists(tlp_ids() | unknown_marking_ids(), max_size=3))]
    if draw(st.booleans()):
        value["granular_markings"] = [*draw(st.lists(_granular_entries(), min_size=1, max_size=3))]
    if draw(st.booleans()):
        value["object_refs"] = [*draw(st.lists(object_ids(), max_size=3))]
    if draw(st.booleans()):
        value["extensions"] = {CLASSIFICATION_EXTENSION: _to_extension(draw(tags()))}
    return value


@st.composite
def object_bytes(draw: st.DrawFn) -> bytes:
    """The bytes of an object, in one of several ways to write the same JSON."""
    value = draw(objects())
    indent = draw(st.sampled_from((None, 1, "\t")))
    return json.dumps(value, indent=indent, ensure_ascii=draw(st.booleans()), sort_keys=draw(st.booleans())).encode()


def _times(instant: Instant) -> st.SearchStrategy[str]:
    exact = format_instant(instant)
    whole = datetime.fromtimestamp(instant // 1_000_000, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    # A longer fraction says the same microsecond; fewer digits only where none is lost, so that order is kept.
    return st.sampled_from([exact, f"{exact[:-1]}000Z", *([f"{whole}Z"] if instant % 1_000_000 == 0 else [])])


def _granular_entries() -> st.SearchStrategy[Json]:
    selectors = st.lists(
        st.sampled_from(("description", "labels", "labels.[1]", "name", "x_note")), min_size=1, max_size=2
    )
    return st.builds(
        lambda marking, chosen: {"marking_ref": marking, "selectors": chosen},
        tlp_ids() | unknown_marking_ids(),
        selectors,
    )


def _to_extension(said: Tags) -> dict[str, Json]:
    words: dict[str, Json] = {field: [*sorted(getattr(said, field))] for field in TAG_FIELDS if getattr(said, field)}
    return {"extension_type": "property-extension"} | words


def _some(words: frozenset[str], *, least: int = 0) -> st.SearchStrategy[frozenset[str]]:
    return st.frozensets(st.sampled_from(sorted(words)), min_size=least, max_size=3)


def _groups(words: st.SearchStrategy[str]) -> st.SearchStrategy[frozenset[frozenset[str]]]:
    return st.frozensets(st.frozensets(words, max_size=2), min_size=1, max_size=3)
