# SPDX-License-Identifier: Apache-2.0
"""Tests of what a disclosure was decided by, as it is put on record."""

import json
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from comity.canonical import Json, canonical_bytes, sha256_digest
from comity.errors import MalformedJson
from comity.ids import Digest, Instant
from comity.release.grounds import format_grounds, parse_grounds, tag_grounds

POLICY = sha256_digest(b"policy")
LABELS = [sha256_digest(bytes([number])) for number in range(5)]


@given(st.integers(0, 2**53 - 1), st.lists(st.sampled_from(LABELS), min_size=1, max_size=40))
def test_each_object_has_its_label_again(floor: int, labels: list[Digest]) -> None:
    data = format_grounds(floor=floor, labels=labels, policy=POLICY)
    found = parse_grounds(data)
    assert canonical_bytes(json.loads(data)) == data
    assert (found.floor, found.policy) == (floor, POLICY)
    assert [found.label_of(place) for place in range(len(labels))] == labels


def test_a_page_has_as_many_labels_as_it_can_hold_objects() -> None:
    labels = [sha256_digest(str(number).encode()) for number in range(1_000)]
    found = parse_grounds(format_grounds(floor=0, labels=labels, policy=POLICY))
    assert [found.label_of(place) for place in range(1_000)] == labels


def test_one_label_for_all_takes_no_more_for_many() -> None:
    assert format_grounds(floor=1, labels=LABELS[:1], policy=POLICY) == format_grounds(
        floor=1, labels=LABELS[:1] * 1_000, policy=POLICY
    )


def change(name: str, value: Json) -> Callable[[dict[str, Json]], object]:
    return lambda grounds: grounds.__setitem__(name, value)


@pytest.mark.parametrize(
    "mutate",
    [
        change("floor", "1"),
        change("format", "comity-grounds/2"),
        change("labels", []),
        change("labels", [1]),
        change("labels", ["ab"]),
        change("labels", LABELS[0]),
        change("of", "AA=="),
        change("of", "AAB"),
        change("of", "AAk="),
        change("of", None),
        change("policy", "ab"),
        change("more", 1),
        lambda grounds: grounds.pop("policy"),
    ],
)
def test_other_forms_are_refused(mutate: Callable[[dict[str, Json]], object]) -> None:
    grounds = json.loads(format_grounds(floor=1, labels=LABELS[:2], policy=POLICY))
    mutate(grounds)
    with pytest.raises(MalformedJson):
        parse_grounds(canonical_bytes(grounds))


def test_a_tag_is_of_one_disclosure_and_one_key() -> None:
    def tag(key: bytes = b"k" * 32, grounds: Digest = LABELS[0], at: int = 7, listing: Digest = LABELS[1]) -> Digest:
        return tag_grounds(key, grounds, at=Instant(at), listing=listing)

    assert tag() == tag()
    others = [tag(key=b"l" * 32), tag(grounds=LABELS[2]), tag(at=8), tag(listing=LABELS[2])]
    assert len({tag(), *others}) == 5
