# SPDX-License-Identifier: Apache-2.0
"""Parts of a bundle: everything once, nothing before what it refers to, circles and versions whole."""

from hypothesis import given
from hypothesis import strategies as st

from comity.canonical import canonical_bytes
from comity.ids import ObjectId
from comity.stix.objects import StixObject, parse_object
from comity.stix.parts import divide, weigh
from tests.worlds import make_object, object_id


def make(name: str, *refs: str, day: int = 1) -> StixObject:
    listed = [object_id("report", ref) for ref in refs]
    return parse_object(canonical_bytes(make_object(name, refs=listed, day=day)))[0]


def names(objects: list[StixObject], parts: list[list[int]]) -> list[list[ObjectId]]:
    return [[objects[place].id for place in part] for part in parts]


def test_what_fits_is_one_part_in_its_order() -> None:
    objects = [make("a", "b"), make("b")]
    assert divide(objects, held=[], most=2) == [[0, 1]]
    assert divide([], held=[], most=2) == [[]]


def test_what_is_referred_to_comes_first_and_the_rest_keeps_its_order() -> None:
    objects = [make("a", "e"), make("b"), make("c"), make("d"), make("e")]
    assert divide(objects, held=[], most=2) == [[1, 2], [3, 4], [0]]


def test_a_circle_and_the_versions_of_one_object_are_in_one_part() -> None:
    circle = [make("a", "b"), make("x"), make("b", "c"), make("c", "a"), make("y", "a")]
    assert divide(circle, held=[], most=1) == [[1], [0, 2, 3], [4]]
    versions = [make("a", "b", day=2), make("b"), make("a", day=1)]
    assert divide(versions, held=[], most=1) == [[1], [0, 2]]


def test_what_is_held_comes_first_with_all_that_it_refers_to() -> None:
    objects = [make("a"), make("b", "c"), make("c"), make("d", "b"), make("e")]
    assert divide(objects, held=[objects[1].id], most=1) == [[1, 2], [0], [3], [4]]
    assert divide(objects, held=[objects[3].id], most=2) == [[1, 2, 3], [0, 4]]


def test_what_costs_as_much_as_many_counts_as_many() -> None:
    listed = make("list", *(f"target {number}" for number in range(64)))
    long = parse_object(canonical_bytes(make_object("long", more={"description": "x" * 8_192})))[0]
    plain = make("plain")
    assert weigh(plain) == 1
    assert weigh(listed) >= 5
    assert weigh(long) == 5
    assert divide([plain, listed, long], held=[], most=weigh(listed) + weigh(long)) == [[0, 1], [2]]
    assert divide([plain, listed, long], held=[], most=2) == [[0], [1], [2]]
    assert divide([plain, listed, long], held=[], most=1 + weigh(listed) + weigh(long)) == [[0, 1, 2]]


GRAPHS = st.lists(
    st.tuples(st.sampled_from("abcdefgh"), st.integers(1, 3), st.sets(st.sampled_from("abcdefghz"), max_size=3)),
    max_size=14,
    unique_by=lambda entry: entry[:2],
)


@given(GRAPHS, st.integers(1, 5), st.sets(st.sampled_from("abcdefgh"), max_size=3))
def test_no_part_refers_to_a_later_one(listed: list[tuple[str, int, set[str]]], most: int, held: set[str]) -> None:
    objects = [make(name, *refs, day=day) for name, day, refs in listed]
    known = {object_id("report", name) for name in held}
    parts = divide(objects, held=known, most=most)
    assert sorted(place for part in parts for place in part) == [*range(len(objects))]
    assert all(part == sorted(part) for part in parts)
    at = {objects[place].id: number for number, part in enumerate(parts) for place in part}
    for number, part in enumerate(parts):
        for place in part:
            assert at[objects[place].id] == number
            assert all(at.get(target, 0) <= number for target in objects[place].references)
    assert all(at.get(name, 0) == 0 for name in known)
    for part in parts[1:]:
        together = {objects[place].id for place in part}
        assert len(part) <= most or len(together) == 1 or _reach(objects, objects[part[0]].id) >= together


def _reach(objects: list[StixObject], start: ObjectId) -> set[ObjectId]:
    reached, left = {start}, [start]
    while left:
        name = left.pop()
        further = {target for item in objects if item.id == name for target in item.references} - reached
        reached |= further
        left += further
    return reached
