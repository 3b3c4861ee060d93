# SPDX-License-Identifier: Apache-2.0
"""Labels counted: groups, refusals, ages, and one flow held against another."""

import dataclasses

import pytest

from comity.ids import Instant, PartyId
from comity.release import facets, preview
from comity.release.clauses import CLAUSES
from comity.release.facets import Facet, Inventory
from comity.release.preview import (
    HISTORY,
    Flow,
    Relation,
    Verdicts,
    compare_flows,
    count_effect,
    count_flow,
    find_common,
    find_withheld,
    list_flows,
)
from tests.parties import AURELIA, BOREALIA, MERIDIA, make_terms

NONE = frozenset[str]()
FACETS, OTHER, SILENT = (
    [{"tlp_ceiling": "green", "subjects": subjects}.get(name, "0") for name in facets.FACETS]
    for subjects in ("ashfall", "tidewater", "silent")
)
INVENTORY = Inventory(
    places=[
        (1, "report", "aurelia", 0, 5),
        (1, "report", "aurelia", 1, 7),
        (2, "indicator", "meridia", 1, 2),
        (3, "report", "aurelia", 0, 1),
        (4, "report", "aurelia", 1, 4),
    ],
    labels={1: FACETS, 2: FACETS, 3: OTHER, 4: SILENT},
    facets={
        "0": Facet("types", frozenset()),
        "green": Facet("tlp_ceiling", frozenset({frozenset({"green"})})),
        "ashfall": Facet("subjects", frozenset({frozenset({"national:b", "national:a"})})),
        "tidewater": Facet("subjects", frozenset({frozenset({"national:b"}), frozenset({"national:a"})})),
        "silent": Facet("subjects", frozenset({NONE})),
    },
    since=(Instant(1_000),),
)
FLOW = list_flows(make_terms(), giver=AURELIA)[0]


def give(*, youngest: int = 0, **released: frozenset[str]) -> Verdicts:
    """Verdicts by label ("l1" and so on); the clause of all others is the TLP ceiling."""
    numbers = {int(name[1:]): properties for name, properties in released.items()}
    refused = {number: "tlp_ceiling" for number in INVENTORY.labels if number not in numbers}
    return Verdicts(released=numbers, withheld=refused, youngest=youngest)


def test_flows_are_every_channel_for_each_receiver() -> None:
    terms = make_terms(AURELIA, BOREALIA, MERIDIA)
    keys = [flow.key for flow in list_flows(terms)]
    assert len(keys) == 6
    assert [flow.key for flow in list_flows(terms, giver=MERIDIA)] == [
        ("meridia", MERIDIA, AURELIA),
        ("meridia", MERIDIA, BOREALIA),
    ]
    assert all(flow.scope == terms.channels[0].scope for flow in list_flows(terms, giver=AURELIA))


def test_groups_of_the_same_words_are_one_and_the_largest_comes_first() -> None:
    counts = count_flow(INVENTORY, give(l1=NONE, l2=NONE, l3=NONE), samples=9)
    assert (counts.released, counts.redacted, counts.withheld) == (15, 0, 4)
    rows = [(group.type, group.tlp, group.originator, group.subjects, group.amount.objects) for group in counts.groups]
    subjects = ("national:a", "national:b")
    assert rows == [
        ("report", "green", "aurelia", subjects, 13),
        ("indicator", "green", "meridia", subjects, 2),
    ]
    assert [place[0] for place in counts.groups[0].amount.places] == [1, 1, 3]
    assert [(clause, amount.objects) for clause, amount in counts.refusals] == [("tlp_ceiling", 4)]


def test_what_is_redacted_is_a_group_of_its_own() -> None:
    counts = count_flow(INVENTORY, give(l1=NONE, l3=frozenset({"b", "a"})), samples=1)
    assert counts.redacted == 1
    assert [group.redacted for group in counts.groups] == [(), ("a", "b")]
    assert len(counts.groups[0].amount.places) == 1


def test_nobody_has_said_the_subject() -> None:
    (group,) = count_flow(INVENTORY, give(l4=NONE), samples=1).groups
    assert group.subjects == ()


def test_what_was_taken_in_before_the_channel_begins_is_withheld_by_its_history() -> None:
    counts = count_flow(INVENTORY, give(l1=NONE, youngest=1), samples=1)
    assert counts.released == 7
    refusals = {clause: amount.objects for clause, amount in counts.refusals}
    assert refusals == {HISTORY: 5, "tlp_ceiling": 7}
    assert list(refusals)[-1] == HISTORY


def test_small_groups_are_counted_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preview, "MAX_GROUPS", 1)
    counts = count_flow(INVENTORY, give(l1=NONE, l2=NONE), samples=1)
    assert (counts.released, len(counts.groups), counts.more_groups, counts.more_objects) == (14, 1, 1, 2)


def test_an_effect_tells_gained_lost_and_redacted_otherwise() -> None:
    before, after = give(l1=NONE, l2=NONE, l3=NONE), give(l2=NONE, l3=frozenset({"a"}), l4=NONE)
    effect = count_effect(INVENTORY, before, after, relation=Relation.NEITHER, samples=1)
    found = (effect.gained, effect.lost, effect.changed, effect.unchanged)
    assert [amount.objects for amount in found] == [4, 12, 1, 2]


def test_a_channel_that_begins_or_ends_gains_or_loses_all() -> None:
    given = give(l1=NONE)
    assert count_effect(INVENTORY, None, given, relation=Relation.WIDER, samples=1).gained.objects == 12
    assert count_effect(INVENTORY, given, None, relation=Relation.NARROWER, samples=1).lost.objects == 12


def test_a_later_beginning_loses_what_is_older() -> None:
    effect = count_effect(INVENTORY, give(l1=NONE), give(l1=NONE, youngest=1), relation=Relation.NARROWER, samples=1)
    assert (effect.lost.objects, effect.unchanged.objects) == (5, 7)


def test_what_two_flows_have_in_common_is_counted_by_label_and_object() -> None:
    labels, amount = find_common(INVENTORY, give(l1=NONE, l2=NONE), give(l1=NONE, l3=NONE), samples=1)
    assert (labels, amount.objects) == (1, 12)


def test_what_one_clause_withholds_of_an_originator() -> None:
    labels, amount = find_withheld(
        INVENTORY, give(l1=NONE), clause="tlp_ceiling", originator=PartyId("meridia"), samples=1
    )
    assert (labels, amount.objects) == (1, 2)


def change(**fields: object) -> Flow:
    return dataclasses.replace(FLOW, scope=dataclasses.replace(FLOW.scope, **fields))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("after", "relation"),
    [
        (FLOW, Relation.EQUAL),
        (change(regions=frozenset({"IQ"})), Relation.NARROWER),
        (change(regions=frozenset({"IQ", "SY", "JO"})), Relation.WIDER),
        (change(regions=frozenset({"IQ", "JO"})), Relation.NEITHER),
        (change(tlp_ceiling="red"), Relation.WIDER),
        (change(kinds=frozenset({"arms"})), Relation.NARROWER),
        (change(regions=frozenset({"IQ"}), tlp_ceiling="red"), Relation.NEITHER),
        (dataclasses.replace(FLOW, since=Instant(5)), Relation.NARROWER),
        (dataclasses.replace(change(tlp_ceiling="red"), since=Instant(5)), Relation.NEITHER),
        (dataclasses.replace(FLOW, receiver=PartyId("meridia")), Relation.NEITHER),
        (None, Relation.NARROWER),
    ],
)
def test_a_flow_is_narrower_or_wider_by_every_clause(after: Flow | None, relation: Relation) -> None:
    assert compare_flows(FLOW, after) is relation


def test_a_field_that_no_clause_reads_cannot_be_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    others = tuple(clause for clause in CLAUSES if clause.name != "regions")
    monkeypatch.setattr("comity.release.preview.CLAUSES", others)
    assert compare_flows(FLOW, change(regions=frozenset({"IQ"}))) is Relation.NEITHER


def test_what_begins_is_wider_and_nothing_is_like_nothing() -> None:
    assert compare_flows(None, FLOW) is Relation.WIDER
    assert compare_flows(None, None) is Relation.EQUAL
