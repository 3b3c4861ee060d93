# SPDX-License-Identifier: Apache-2.0
"""What counts as an edge, what a chain is, and where the fixpoint and the proof stop."""

import dataclasses
import itertools

import pytest

from comity.agreement.terms import Channel, Scope
from comity.errors import MalformedRequest
from comity.ids import PartyId
from comity.release import reach
from comity.release.decision import Release, decide
from comity.release.proof import make_symbols, state_label, verify_reach
from comity.release.reach import Consent, Edge, compute_reach, make_example, read_edges
from comity.release.receiving import find_restrictions
from tests.parties import AURELIA, BOREALIA, MERIDIA, make_terms

TERMS = make_terms(AURELIA, BOREALIA, MERIDIA)
"""Each gives to the two others, objects of its own alone."""


def edges_of(*, onward: str, listed: frozenset[PartyId] = frozenset(), consent: Consent) -> tuple[Edge, ...]:
    channels = tuple(
        dataclasses.replace(item, onward=onward, scope=dataclasses.replace(item.scope, onward_to=listed))
        for item in TERMS.channels
    )
    return read_edges(dataclasses.replace(TERMS, channels=channels), TERMS.founders, consent=consent)


def admit_all(edge: Edge, **change: object) -> Edge:
    """The edge, for objects of every originator."""
    everybody = frozenset({AURELIA, BOREALIA, MERIDIA})
    scope: Scope = dataclasses.replace(edge.scope, originators=everybody)
    return dataclasses.replace(
        edge,
        scope=dataclasses.replace(scope, **change),  # type: ignore[arg-type]
        restrictions=dataclasses.replace(edge.restrictions, originators=everybody),
    )


def test_every_channel_gives_an_edge_to_each_of_its_receivers() -> None:
    edges = read_edges(TERMS, TERMS.founders, consent=Consent.GRANTED)
    pairs = [(edge.giver, edge.receiver) for edge in edges]
    assert sorted(pairs) == sorted(itertools.permutations((AURELIA, BOREALIA, MERIDIA), 2))
    assert {edge.restrictions.excluded_frameworks for edge in edges} == {frozenset({"coalition-dawn"})}
    assert {(edge.agreement, edge.terms, edge.title) for edge in edges} == {
        (TERMS.agreement_id, TERMS.hash, "Exchange on Ashfall")
    }
    channels: dict[str, Channel] = {channel.id: channel for channel in TERMS.channels}
    assert all(edge.scope == channels[edge.channel].scope_for(edge.giver) for edge in edges)
    assert all(edge.restrictions.originators == {edge.giver} for edge in edges)


def test_in_a_channel_of_the_members_each_gives_to_every_other_member() -> None:
    (channel, *_) = TERMS.channels
    between = dataclasses.replace(channel, giver=None, receivers=None)
    terms = dataclasses.replace(TERMS, channels=(between,))
    joiner = PartyId("cimbria")
    for members in ({AURELIA, BOREALIA, joiner}, {AURELIA, joiner}, {AURELIA}):
        edges = read_edges(terms, members, consent=Consent.REFUSED)
        assert sorted((edge.giver, edge.receiver) for edge in edges) == sorted(itertools.permutations(members, 2))
        for edge in edges:
            assert edge.restrictions == find_restrictions(between, giver=edge.giver, receiver=edge.receiver)
            assert edge.restrictions.originators == edge.scope.originators == {edge.giver}
            assert edge.restrictions.audience == frozenset({edge.receiver})


@pytest.mark.parametrize(
    ("onward", "listed", "consent", "audience"),
    [
        ("none", (), Consent.GRANTED, {BOREALIA}),
        ("listed", (MERIDIA,), Consent.REFUSED, {BOREALIA, MERIDIA}),
        ("originator_consent", (), Consent.GRANTED, None),
        ("originator_consent", (), Consent.REFUSED, {BOREALIA}),
    ],
)
def test_the_audience_is_what_the_receiver_may_pass_on_to(
    onward: str, listed: tuple[PartyId, ...], consent: Consent, audience: set[PartyId] | None
) -> None:
    edges = edges_of(onward=onward, listed=frozenset(listed), consent=consent)
    (edge,) = [item for item in edges if (item.giver, item.receiver) == (AURELIA, BOREALIA)]
    assert edge.restrictions.audience == (None if audience is None else frozenset(audience))


def test_channels_for_objects_of_the_giver_alone_make_no_chain() -> None:
    edges = edges_of(onward="originator_consent", consent=Consent.GRANTED)
    ways = [edge for edge in edges if edge.receiver != MERIDIA or edge.giver == BOREALIA]
    found = compute_reach(ways, {}, originator=AURELIA)
    assert set(found.chains) == {BOREALIA}
    found = compute_reach(list(map(admit_all, ways)), {}, originator=AURELIA)
    assert [edge.receiver for edge in found.chains[MERIDIA]] == [BOREALIA, MERIDIA]


def test_the_example_goes_along_the_first_hop_and_says_what_was_asked() -> None:
    question = {"types": frozenset({"indicator"}), "regions": frozenset({"SY", "TR"}), "handling": frozenset({"H1"})}
    edges = [
        admit_all(edge, handling=frozenset({"H1"}))
        for edge in read_edges(TERMS, TERMS.founders, consent=Consent.GRANTED)
    ]
    found = compute_reach(edges, question, originator=AURELIA)
    label = make_example(question, found.chains[BOREALIA], originator=AURELIA)
    assert (label.types, label.regions, label.handling) == (
        frozenset({"indicator"}),
        frozenset({frozenset({"SY"})}),
        frozenset({"H1"}),
    )
    assert decide(found.chains[BOREALIA][0].scope, label, recipient=BOREALIA) == Release()
    for word in ("H2", "H3"):
        nothing = compute_reach(edges, {"handling": frozenset({word})}, originator=AURELIA)
        assert not nothing.chains


def test_too_much_to_follow_is_refused_and_not_answered(monkeypatch: pytest.MonkeyPatch) -> None:
    edges = list(map(admit_all, edges_of(onward="originator_consent", consent=Consent.GRANTED)))
    assert compute_reach(edges, {}, originator=AURELIA).chains
    monkeypatch.setattr(reach, "MAX_BOXES", 1)
    with pytest.raises(MalformedRequest, match="more attributes"):
        compute_reach(edges, {}, originator=AURELIA)


def test_what_nobody_can_give_is_certified_by_one_box() -> None:
    edges = read_edges(TERMS, TERMS.founders, consent=Consent.GRANTED)
    question = {"tlp_ceiling": frozenset({"red"})}
    found = compute_reach(edges, question, originator=AURELIA)
    assert (found.chains, [box.holder for box in found.boxes]) == ({}, [AURELIA])
    assert verify_reach(found, edges).implications == 3


def test_symbols_that_cannot_be_a_label_say_so() -> None:
    label = make_example({}, read_chain(), originator=AURELIA)
    with pytest.raises(ValueError, match="types"):
        state_label(make_symbols({}), label)


def read_chain() -> tuple[Edge, ...]:
    edges = read_edges(TERMS, TERMS.founders, consent=Consent.GRANTED)
    return compute_reach(edges, {}, originator=AURELIA).chains[BOREALIA]
