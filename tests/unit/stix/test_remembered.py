# SPDX-License-Identifier: Apache-2.0
"""What is remembered of what others send is bounded in bytes, not only in number: nobody can fill memory with it."""

import gc
import tracemalloc
from collections.abc import Callable, Iterator

import pytest

from comity.canonical import Json
from comity.ids import ObjectId, PartyId
from comity.stix.labels import CLASSIFICATION_EXTENSION, forget_labels, format_label, make_label, make_tags, parse_label
from comity.stix.markings import read_markings
from comity.stix.objects import parse_object
from comity.stix.tags import read_tags

ROUNDS = 40
MOST_KEPT = 2 * 1024 * 1024
"""Bytes that may be left of ROUNDS objects with some 100 kB each."""

_THING = parse_object(b'{"type":"x-thing","id":"x-thing--8e2e2d2b-17d4-4cbf-938f-98ee46b3cd3f"}')[0]


def mark(number: int) -> dict[str, Json]:
    """An object marked in a thousand ways."""
    listed: list[Json] = [
        f"marking-definition--{number * 1_000 + place:08}-0000-4000-8000-000000000000" for place in range(1_000)
    ]
    return {"object_marking_refs": listed}


def mark_partly(number: int) -> dict[str, Json]:
    """An object with a thousand properties, each marked."""
    names = [f"x_{'p' * 80}_{number}_{place}" for place in range(1_000)]
    marks: list[Json] = [{"marking_ref": _RED, "selectors": [*names]}]
    return {**dict.fromkeys(names, 1), "type": "indicator", "granular_markings": marks}


def tag(number: int) -> dict[str, Json]:
    """An object said to be of one region ten thousand times."""
    words: list[Json] = ["Iq".upper() for _ in range(10_000 + number)]
    return {"extensions": {CLASSIFICATION_EXTENSION: {"extension_type": "property-extension", "regions": words}}}


_RED = ObjectId("marking-definition--e828b379-4e03-4974-9ac4-e53a884c97c1")


def label(value: dict[str, Json]) -> None:
    """Everything that is made of it on its way into the store and out again."""
    markings = read_markings(value, definitions={})
    made = make_label(_THING, markings, read_tags(value), originators=frozenset({PartyId("aurelia")}), audience=None)
    assert parse_label(format_label(made)) == made


@pytest.fixture(autouse=True)
def nothing() -> Iterator[None]:
    """Begin and end with nothing in memory."""
    forget_labels()
    yield
    forget_labels()


@pytest.mark.parametrize("make", [mark, mark_partly, tag])
def test_what_is_remembered_of_long_objects_is_little(make: Callable[[int], dict[str, Json]]) -> None:
    label(make(ROUNDS))
    gc.collect()
    tracemalloc.start()
    try:
        for number in range(ROUNDS):
            label(make(number))
        gc.collect()
        kept, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert kept < MOST_KEPT
    assert most > kept


def test_what_most_objects_say_is_remembered() -> None:
    value: dict[str, Json] = {"object_marking_refs": [_RED]}
    assert read_markings(value, definitions={}) is read_markings(value, definitions={})
    tags = tag(-9_999)
    assert read_tags(tags) is read_tags(tags)
    made = make_label(
        _THING,
        read_markings(value, definitions={}),
        make_tags(),
        originators=frozenset({PartyId("aurelia")}),
        audience=None,
    )
    assert format_label(made) is format_label(made)
    assert parse_label(format_label(made)) is parse_label(format_label(made))
