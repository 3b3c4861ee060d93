# SPDX-License-Identifier: Apache-2.0
"""Labels read by what they say to each clause."""

import dataclasses

from hypothesis import given

from comity.release.clauses import CLAUSES
from comity.release.facets import FACETS, GRANULAR, find_facets, parse_facet
from comity.stix.labels import Label
from tests.strategies import labels


@given(labels())
def test_a_facet_is_what_the_clause_finds(label: Label) -> None:
    facets = [parse_facet(clause, said) for clause, said in find_facets(label)]
    assert tuple(facet.clause for facet in facets) == FACETS
    for clause, facet in zip(CLAUSES, facets, strict=False):
        assert facet.groups == clause.found(label)


@given(labels(), labels())
def test_labels_that_say_the_same_have_the_same_facets(one: Label, other: Label) -> None:
    assert (find_facets(one) == find_facets(other)) == (one == other)


def test_saying_nothing_is_not_saying_an_empty_word() -> None:
    assert parse_facet("regions", "").groups == frozenset()
    assert parse_facet("regions", "\n").groups == {frozenset()}
    assert parse_facet("regions", "IQ SY\nJO\n").groups == {frozenset({"IQ", "SY"}), frozenset({"JO"})}


@given(labels())
def test_granular_markings_are_the_last_facet(label: Label) -> None:
    bare = dataclasses.replace(label, granular=())
    assert find_facets(label)[:-1] == find_facets(bare)[:-1]
    assert find_facets(bare)[-1] == (GRANULAR, "")
