# SPDX-License-Identifier: Apache-2.0
"""ONE-MEANING: labels read at once are decided as each alone; and what is said of two scopes holds of every label."""

import dataclasses
from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from comity.agreement.terms import Scope
from comity.ids import Instant, PartyId
from comity.release.conflicts import overlaps
from comity.release.decision import Redact, Release, Withhold, decide
from comity.release.facets import Inventory, find_facets, parse_facet
from comity.release.history import Threshold, admits_history
from comity.release.preview import Flow, Relation, Verdicts, compare_flows, judge, pick_labels, sort_labels
from comity.release.sieve import Sieve
from comity.stix.labels import Label
from comity.stix.markings import TLP_ORDER
from tests.properties.test_one_meaning import PARTIES, RECIPIENT, likely, scopes
from tests.strategies import labels

ALL = Threshold()
full_scopes = st.builds(
    dataclasses.replace,
    scopes,
    sanitise=st.sampled_from(("none", "tear_line_allowed", "tear_line_required")),
    attribution=st.sampled_from(("may", "must", "must-not")),
)


def make_flow(scope: Scope, *, receiver: PartyId = RECIPIENT, history: Threshold = ALL) -> Flow:
    return Flow(
        channel="main",
        giver=PartyId("aurelia"),
        receiver=receiver,
        scope=scope,
        onward="none",
        releasable_to=frozenset(),
        history=history,
        joined=False,
    )


def make_inventory(held: Sequence[Label]) -> Inventory:
    """A store that holds one object of each label."""
    said = {number: find_facets(label) for number, label in enumerate(held)}
    return Inventory(
        places=[(number, "report", "aurelia", "", 1) for number in said],
        labels={number: [f"{clause} {text}" for clause, text in facets] for number, facets in said.items()},
        facets={f"{clause} {text}": parse_facet(clause, text) for facets in said.values() for clause, text in facets},
    )


def judge_all(flow: Flow, held: Sequence[Label]) -> Verdicts:
    inventory = make_inventory(held)
    found = sort_labels(inventory, flow)
    picked = pick_labels(inventory, found)
    return judge(inventory, flow, found, labels={key: held[number] for key, number in picked.items()})


@given(full_scopes, st.lists(st.tuples(labels(), st.booleans()), max_size=6), st.sampled_from(PARTIES).map(PartyId))
def test_labels_read_at_once_are_decided_as_each_alone(
    scope: Scope, drawn: list[tuple[Label, bool]], receiver: PartyId
) -> None:
    held = [likely(scope, label) if near else label for label, near in drawn]
    verdicts = judge_all(make_flow(scope, receiver=receiver), held)
    for number, label in enumerate(held):
        match decide(scope, label, recipient=receiver):
            case (Release() | Redact()) as admitted:
                assert verdicts.released[number] == admitted
            case Withhold(clause=clause):
                assert number not in verdicts.released
                assert verdicts.withheld[number] == clause


@given(
    st.lists(st.tuples(full_scopes, st.sampled_from(PARTIES).map(PartyId)), min_size=1, max_size=3),
    st.lists(st.tuples(labels(), st.booleans()), max_size=12),
)
def test_a_sieve_sorts_labels_by_many_scopes_as_each_scope_does(
    wanted: list[tuple[Scope, PartyId]], drawn: list[tuple[Label, bool]]
) -> None:
    held = [likely(wanted[0][0], label) if near else label for label, near in drawn]
    inventory = make_inventory(held)
    sieve = Sieve(inventory)
    for scope, receiver in wanted:
        found = sort_labels(inventory, make_flow(scope, receiver=receiver))
        sifted = sieve.sort(scope, recipient=receiver)
        assert sieve.list_labels(sifted.admitted) == list(found.admitted)
        refused = {label: clause for clause, some in sifted.refused.items() for label in sieve.list_labels(some)}
        assert refused == found.refused
        marked = {key: some & sifted.admitted for key, some in sieve.marked.items() if some & sifted.admitted}
        assert {key: sieve.find_first(some) for key, some in marked.items()} == pick_labels(inventory, found)


def admits(flow: Flow, label: Label) -> bool:
    return not isinstance(decide(flow.scope, label, recipient=flow.receiver), Withhold)


def give(flow: Flow, label: Label) -> frozenset[str]:
    """What goes of an object with that label: itself, what is marked in it, who made it, and the rest of it."""
    whole = frozenset({"itself", "created_by_ref", "rest", *(mark.property for mark in label.granular)})
    match decide(flow.scope, label, recipient=flow.receiver):
        case Release():
            return whole
        case Redact(properties=properties, only=only):
            return (whole if only is None else frozenset({"itself", *only})) - properties
        case Withhold():
            return frozenset()


@given(full_scopes, full_scopes, labels(), st.data())
def test_what_a_relation_says_holds_of_every_label(
    scope: Scope, other: Scope, label: Label, data: st.DataObject
) -> None:
    column = data.draw(st.sampled_from([field.name for field in dataclasses.fields(Scope)]))
    near = dataclasses.replace(scope, **{column: getattr(other, column)})
    one, two = make_flow(scope), make_flow(near)
    relation = compare_flows(one, two)
    for tried in (label, likely(scope, label), likely(near, label)):
        if relation in {Relation.NARROWER, Relation.EQUAL}:
            assert give(two, tried) <= give(one, tried)
        if relation in {Relation.WIDER, Relation.EQUAL}:
            assert give(one, tried) <= give(two, tried)
    backwards = {
        Relation.EQUAL: Relation.EQUAL,
        Relation.NEITHER: Relation.NEITHER,
        Relation.NARROWER: Relation.WIDER,
        Relation.WIDER: Relation.NARROWER,
    }
    assert compare_flows(two, one) is backwards[relation]


thresholds = st.builds(
    Threshold, after_seq=st.none() | st.integers(0, 3), since=st.none() | st.integers(0, 3).map(Instant)
)


@given(scopes, thresholds, thresholds, st.integers(0, 4), st.integers(0, 4).map(Instant))
def test_what_a_relation_says_holds_of_every_place_and_time(
    scope: Scope, one: Threshold, two: Threshold, place: int, time: Instant
) -> None:
    relation = compare_flows(make_flow(scope, history=one), make_flow(scope, history=two))
    counts = [admits_history(threshold, first_seq=place, added_at=time) for threshold in (one, two)]
    if relation in {Relation.NARROWER, Relation.EQUAL}:
        assert counts[0] >= counts[1]
    if relation in {Relation.WIDER, Relation.EQUAL}:
        assert counts[1] >= counts[0]
    assert (relation is Relation.EQUAL) == (one == two)


@given(scopes, scopes, labels())
def test_what_both_admit_is_called_an_overlap(scope: Scope, other: Scope, label: Label) -> None:
    one, two = make_flow(scope), make_flow(other)
    for tried in (label, likely(scope, label), likely(other, likely(scope, label))):
        assert overlaps(one, two) or not (admits(one, tried) and admits(two, tried))


@given(scopes, scopes)
def test_what_is_called_an_overlap_is_admitted_by_both(one: Scope, two: Scope) -> None:
    """The label of an object that says no more than it must."""
    flows = make_flow(one), make_flow(two)
    if not overlaps(*flows):
        return
    kinds = one.kinds if two.kinds is None else two.kinds if one.kinds is None else one.kinds & two.kinds
    label = Label(
        types=frozenset([min(one.types & two.types)]),
        tlp=TLP_ORDER[0],
        markings=frozenset(),
        originators=frozenset([min(one.originators & two.originators)]),
        subjects=frozenset({frozenset({min(one.subjects), min(two.subjects)})}),
        regions=frozenset({frozenset({min(one.regions), min(two.regions)})}),
        kinds=frozenset(["strategic"]) if kinds is None else frozenset([min(kinds)]),
        person_classes=frozenset(),
        special_categories=frozenset(),
        handling=frozenset(),
        audience=None,
        excluded_frameworks=frozenset(),
        granular=(),
    )
    assert all(admits(flow, label) for flow in flows)
