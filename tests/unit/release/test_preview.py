# SPDX-License-Identifier: Apache-2.0
"""Labels counted: groups, refusals, history, and one flow held against another."""

import dataclasses

import pytest

from comity.agreement.terms import Terms
from comity.ids import Instant, PartyId, parse_instant
from comity.release import facets, preview
from comity.release.clauses import CLAUSES
from comity.release.decision import Redact, Release
from comity.release.facets import Facet, Inventory
from comity.release.history import Threshold
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
from tests.parties import AURELIA, BOREALIA, MERIDIA, change_channel, make_terms

NONE = frozenset[str]()
LATE = Threshold(since=Instant(1_000))
FACETS, OTHER, SILENT = (
    [{"tlp_ceiling": "green", "subjects": subjects}.get(name, "0") for name in facets.FACETS]
    for subjects in ("ashfall", "tidewater", "silent")
)
INVENTORY = Inventory(
    places=[
        (1, "report", "aurelia", "0", 5),
        (1, "report", "aurelia", "1", 7),
        (2, "indicator", "meridia", "1", 2),
        (3, "report", "aurelia", "0", 1),
        (4, "report", "aurelia", "1", 4),
    ],
    labels={1: FACETS, 2: FACETS, 3: OTHER, 4: SILENT},
    facets={
        "0": Facet("types", frozenset()),
        "green": Facet("tlp_ceiling", frozenset({frozenset({"green"})})),
        "ashfall": Facet("subjects", frozenset({frozenset({"national:b", "national:a"})})),
        "tidewater": Facet("subjects", frozenset({frozenset({"national:b"}), frozenset({"national:a"})})),
        "silent": Facet("subjects", frozenset({NONE})),
    },
    thresholds=(LATE,),
)


def flows_of(terms: Terms, *members: PartyId, floors: dict[tuple[str, PartyId], int] | None = None) -> list[Flow]:
    """What aurelia gives."""
    return [*list_flows(terms, members=members or terms.founders, head=9, floors=floors or {}, giver=AURELIA)]


FLOW = flows_of(change_channel(make_terms(), AURELIA, history="all"))[0]


def give(*, late: bool = False, **released: frozenset[str]) -> Verdicts:
    """Verdicts by label ("l1" and so on): the properties it goes without; the TLP ceiling refuses all others."""
    numbers = {
        int(name[1:]): Redact(properties=properties) if properties else Release()
        for name, properties in released.items()
    }
    refused = {number: "tlp_ceiling" for number in INVENTORY.labels if number not in numbers}
    return Verdicts(released=numbers, withheld=refused, threshold=0 if late else None)


def test_flows_are_every_channel_for_each_receiver() -> None:
    terms = make_terms(AURELIA, BOREALIA, MERIDIA)
    keys = [flow.key for flow in list_flows(terms, members=terms.founders, head=0, floors={})]
    assert len(keys) == 6
    assert [flow.key for flow in flows_of(terms)] == [("aurelia", AURELIA, BOREALIA), ("aurelia", AURELIA, MERIDIA)]
    assert [flow.key for flow in flows_of(terms, AURELIA, MERIDIA)] == [("aurelia", AURELIA, MERIDIA)]
    scope = dataclasses.replace(terms.channels[0].scope, originators=frozenset({AURELIA}))
    assert all(flow.scope == scope for flow in flows_of(terms))


@pytest.mark.parametrize(
    ("history", "threshold"),
    [
        ("all", Threshold()),
        ("none", Threshold(after_seq=9)),
        ("2026-01-01T00:00:00Z", Threshold(since=parse_instant("2026-01-01T00:00:00Z"))),
    ],
)
def test_history_begins_where_the_feed_did_and_else_here_and_a_joiner_has_none(
    history: str, threshold: Threshold
) -> None:
    terms = change_channel(make_terms(AURELIA, BOREALIA, MERIDIA), AURELIA, history=history, receivers=["members"])
    cimbria = PartyId("cimbria")
    found = {flow.receiver: flow for flow in flows_of(terms, *terms.founders, cimbria)}
    assert (found[BOREALIA].history, found[BOREALIA].joined) == (threshold, False)
    assert (found[cimbria].history, found[cimbria].joined) == (Threshold(after_seq=9), True)
    floors = {("aurelia", BOREALIA): 3, ("other", MERIDIA): 3, ("aurelia", cimbria): 4}
    found = {flow.receiver: flow for flow in flows_of(terms, *terms.founders, cimbria, floors=floors)}
    assert found[BOREALIA].history == (Threshold(after_seq=3) if history == "none" else threshold)
    assert found[MERIDIA].history == threshold
    assert found[cimbria].history == Threshold(after_seq=4)


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


def test_a_tear_line_is_a_group_of_its_own() -> None:
    verdicts = give(l1=NONE, l3=frozenset({"b"}))
    torn = Redact(properties=NONE, only=frozenset({"d", "c"}))
    verdicts = dataclasses.replace(verdicts, released={**verdicts.released, 1: torn})
    counts = count_flow(INVENTORY, verdicts, samples=1)
    assert counts.redacted == 13
    rows = [(group.redacted, group.tear_line, group.amount.objects) for group in counts.groups]
    assert rows == [((), ("c", "d"), 12), (("b",), (), 1)]


def test_nobody_has_said_the_subject() -> None:
    (group,) = count_flow(INVENTORY, give(l4=NONE), samples=1).groups
    assert group.subjects == ()


def test_what_was_taken_in_before_the_channel_begins_is_withheld_by_its_history() -> None:
    counts = count_flow(INVENTORY, give(l1=NONE, late=True), samples=1)
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
    effect = count_effect(INVENTORY, give(l1=NONE), give(l1=NONE, late=True), relation=Relation.NARROWER, samples=1)
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
        (change(sanitise="none"), Relation.NARROWER),
        (change(sanitise="tear_line_required"), Relation.NARROWER),
        (change(attribution="must"), Relation.EQUAL),
        (change(attribution="must-not"), Relation.NARROWER),
        (change(attribution="must-not", tlp_ceiling="red"), Relation.NEITHER),
        (dataclasses.replace(FLOW, history=LATE), Relation.NARROWER),
        (dataclasses.replace(change(tlp_ceiling="red"), history=LATE), Relation.NEITHER),
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


@pytest.mark.parametrize(
    ("one", "other", "relation"),
    [
        (Threshold(after_seq=5), Threshold(after_seq=5), Relation.EQUAL),
        (Threshold(after_seq=5), Threshold(after_seq=4), Relation.WIDER),
        (Threshold(after_seq=5), LATE, Relation.NEITHER),
        (Threshold(after_seq=5, since=Instant(9)), LATE, Relation.NEITHER),
        (Threshold(after_seq=5, since=Instant(1_000)), LATE, Relation.WIDER),
        (LATE, Threshold(), Relation.WIDER),
    ],
)
def test_history_is_held_against_history(one: Threshold, other: Threshold, relation: Relation) -> None:
    flows = [dataclasses.replace(FLOW, history=threshold) for threshold in (one, other)]
    assert compare_flows(*flows) is relation


def test_ways_of_sanitising_that_each_keep_something_back_are_not_compared() -> None:
    assert compare_flows(change(sanitise="none"), change(sanitise="tear_line_required")) is Relation.NEITHER
    assert compare_flows(change(sanitise="none"), FLOW) is Relation.WIDER


def test_what_begins_is_wider_and_nothing_is_like_nothing() -> None:
    assert compare_flows(None, FLOW) is Relation.WIDER
    assert compare_flows(None, None) is Relation.EQUAL
