# SPDX-License-Identifier: Apache-2.0
"""Labels read by what they say to each clause."""

import dataclasses

from hypothesis import given
from hypothesis import strategies as st

from comity.release.clauses import CLAUSES
from comity.release.facets import FACETS, GRANULAR, TABLE, THIS_TABLE, find_facets, parse_facet
from comity.stix.labels import OVERFULL, Label
from comity.stix.markings import GranularMarking
from tests.strategies import labels


@given(labels())
def test_a_facet_is_what_the_clause_finds(label: Label) -> None:
    facets = [parse_facet(clause, said) for clause, said in find_facets(label)]
    said = {facet.clause: facet.groups for facet in facets}
    assert list(said) == [name for name in FACETS if name in said]
    for clause in CLAUSES:
        assert said.get(clause.name, frozenset()) == clause.found(label)


def test_only_what_silence_passes_is_left_out() -> None:
    """A clause that must be told something is told so also where that is nothing."""
    silent = {name for name, _ in find_facets(OVERFULL)}
    assert set(FACETS) - silent == {"person_classes", "special_categories", "handling", "frameworks"}
    assert find_facets(OVERFULL)[0] == (TABLE, THIS_TABLE)


@given(labels(), labels())
def test_labels_that_say_the_same_have_the_same_facets(one: Label, other: Label) -> None:
    assert (find_facets(one) == find_facets(other)) == (one == other)


def test_saying_nothing_is_not_saying_an_empty_word() -> None:
    assert parse_facet("regions", "").groups == frozenset()
    assert parse_facet("regions", "\n").groups == {frozenset()}
    assert parse_facet("regions", "IQ SY\nJO\n").groups == {frozenset({"IQ", "SY"}), frozenset({"JO"})}


@given(labels(), st.frozensets(st.text(" \\\nsn\u2003é", min_size=1, max_size=6), max_size=3))
def test_names_of_frameworks_are_kept_whole(label: Label, names: frozenset[str]) -> None:
    named = dataclasses.replace(label, excluded_frameworks=names)
    said = [parse_facet(clause, text).groups for clause, text in find_facets(named) if clause == "frameworks"]
    assert said == ([frozenset(frozenset({name}) for name in names)] if names else [])


@given(labels())
def test_granular_markings_are_one_facet(label: Label) -> None:
    bare = dataclasses.replace(label, granular=())
    place = FACETS.index(GRANULAR)
    assert find_facets(bare)[place] == (GRANULAR, "")
    assert [said for said in find_facets(label) if said[0] != GRANULAR] == [
        said for said in find_facets(bare) if said[0] != GRANULAR
    ]


@given(labels())
def test_a_property_that_is_marked_is_told_apart_from_one_that_repeats(label: Label) -> None:
    """Terms that admit tear lines alone decide differently on them: one preview must not stand for both."""
    marked, repeated = (
        dataclasses.replace(label, granular=(GranularMarking(property="labels", tlp="green", repeats=again),))
        for again in (False, True)
    )
    assert find_facets(marked) != find_facets(repeated)
