# SPDX-License-Identifier: Apache-2.0
"""REACH with real nodes: no chain of polls leaves what was computed from the agreements on record.

CHAIN with real nodes: nobody outside the first giver's audience gets an object, whatever those behind it list.
"""

import dataclasses
import itertools
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest

from comity.agreement.events import EventKind
from comity.agreement.transitions import State
from comity.errors import CertificateRefused, NotFoundError
from comity.ids import Instant, ObjectId, PartyId
from comity.node import agree
from comity.node.explain import explain, show_object
from comity.node.follow import plan_pull
from comity.node.gate import list_open_collections
from comity.node.parties import add_party, export_manifest
from comity.node.poll import PollRequest, Selection, VersionChoice, poll
from comity.node.reach import Answer, certify, find_reach, read_known
from comity.node.receive import Received, receive_page
from comity.release.disclosure import Answer as Resource
from comity.release.reach import Consent
from comity.stix.labels import Label
from comity.stix.markings import TLP_ORDER
from comity.store import objects
from tests.worlds import World, make_object, object_id

A, B, C, D = map(PartyId, ("aurelia", "borealia", "cimbria", "meridia"))


@pytest.fixture
def chain(tmp_path: Path) -> Iterator[World]:
    """Four nodes that have pinned one another."""
    made = World(tmp_path)
    made.found(A, B, C, D)
    for name, node in made.nodes.items():
        for other, manifest in made.manifests.items():
            if other != name:
                url = f"http://127.0.0.1:1/{other}"
                add_party(node, export_manifest(made.nodes[other]), digest=manifest.digest, url=url)
    yield made
    made.close()


def sign(
    world: World,
    giver: str,
    receiver: str,
    *,
    listed: tuple[str, ...] = (),
    originators: tuple[str, ...] = (A, B, C, D, "own"),
    extra: str = "",
    tlp: str = "amber",
) -> str:
    """The id of an agreement: `giver` gives `receiver` what is of `originators`, to be passed on to `listed`."""
    title = f"{giver} to {receiver}"
    named = f"originators = {[*originators]}"
    toml = world.terms(giver=giver, receivers=(receiver,), title=title, extra=extra, tlp=tlp, channel_extra=named)
    if listed:
        toml = toml.replace(b'onward = "none"', f'onward = "listed"\nreleasable_to = {[*listed]}'.encode())
    return world.sign_all(toml, proposer=giver)


def pull_all(world: World, giver: str, receiver: str) -> None:
    """Everything that `giver` gives `receiver` now, taken in, without the network."""
    for collection in list_open_collections(world.nodes[giver], PartyId(receiver)):
        request = PollRequest(
            recipient=PartyId(receiver),
            collection=collection.id,
            answer=Resource.OBJECTS,
            selection=Selection(after=Instant(0), versions=VersionChoice(every=True)),
        )
        page = poll(world.nodes[giver], request)
        (target,) = [
            target for target in plan_pull(world.nodes[receiver], PartyId(giver)) if target.collection == collection.id
        ]
        received = Received(
            giver=target.giver,
            terms=target.terms,
            channel=target.channel,
            collection=target.collection,
            added_after=None,
        )
        data = b'{"objects":[' + b",".join(item.data for item in page.items) + b"]}"
        receive_page(world.nodes[receiver], data, received)


def know_all(world: World, *, question: dict[str, frozenset[str]], originator: PartyId) -> set[PartyId]:
    """The reach over the agreements that any of the nodes has on record."""
    counted = {
        item.terms.hash: item for node in world.nodes.values() for item in read_known(node, proposed=False).counted
    }
    known = dataclasses.replace(read_known(world.nodes[originator], proposed=False), counted=tuple(counted.values()))
    answer = find_reach(known, question, originators=[originator], consent=Consent.GRANTED)
    assert {item.party for item in answer.reached} | {*answer.never} | {originator} == known.parties
    return {item.party for item in answer.reached}


def holds(world: World, party: str, name: ObjectId) -> Label | None:
    try:
        return show_object(world.nodes[party], name).label
    except NotFoundError:
        return None


ALONE = ("own",)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(6))
def test_no_walk_of_real_polls_leaves_the_reach_or_the_first_givers_audience(chain: World, seed: int) -> None:
    random = Random(seed)
    first = dict[PartyId, list[set[PartyId]]]()
    pairs = [(A, B), (B, C), (C, D), (A, C), (B, D), (B, A)]
    for giver, receiver in pairs:
        listed = random.choice([(A, B, C, D), {A: (C, D), B: (D,)}.get(giver, ()), tuple(random.sample([A, C, D], 2))])
        extra = random.choice(["", "", 'excluded_frameworks = ["coalition-dawn"]', 'framework = "coalition-dawn"'])
        originators = random.choice([(A, B, C, D, "own"), (A, B, "own"), ALONE])
        sign(
            chain,
            giver,
            receiver,
            listed=tuple(party for party in listed if party != receiver),
            extra=extra,
            tlp=random.choice(["green", "amber", "red"]),
            originators=originators,
        )
        first.setdefault(giver, []).append({receiver, *listed})
    own = dict[ObjectId, tuple[PartyId, str]]()
    for number in range(12):
        origin, tlp = random.choice([A, A, B, C]), random.choice(["green", "amber", "red"])
        own[object_id("report", f"x{number}")] = (origin, tlp)
        chain.add(origin, make_object(f"x{number}", tlp=tlp))
    for _ in range(18):
        pull_all(chain, *random.choice(pairs))
    moved = 0
    for name, (origin, tlp) in own.items():
        question = {"tlp_ceiling": frozenset({tlp}), "types": frozenset({"report"})}
        reached = know_all(chain, question=question, originator=origin)
        for party in {A, B, C, D} - {origin}:
            label = holds(chain, party, name)
            if label is not None:
                moved += 1
                assert party in reached
                assert origin in label.originators
                assert label.audience is not None
                assert party in label.audience
                assert any(label.audience <= audience for audience in first[origin])
    assert moved


def pass_along(world: World) -> None:
    """From each to the next, as far as anything goes."""
    for giver, receiver in itertools.pairwise((A, B, C, D)):
        pull_all(world, giver, receiver)


def where(world: World, name: str) -> list[str]:
    """Who of the others holds the report."""
    return [party for party in (B, C, D) if holds(world, party, object_id("report", name)) is not None]


def test_an_object_goes_on_only_as_far_as_the_first_giver_lists(chain: World) -> None:
    sign(chain, A, B, listed=(C,))
    sign(chain, B, C)
    sign(chain, C, D)
    chain.add(A, make_object("x"))
    pass_along(chain)
    assert where(chain, "x") == [B, C]
    assert know_all(chain, question={}, originator=A) == {B, C}
    label = holds(chain, C, object_id("report", "x"))
    assert label is not None
    assert (label.originators, label.audience) == (frozenset({A, B, C, D}), frozenset({C}))
    with chain.nodes[C].store.read() as transaction:
        (kept,) = objects.read_versions_of(transaction, [object_id("report", "x")])
    assert kept.originator == B


def test_what_the_whole_chain_lists_goes_all_the_way(chain: World) -> None:
    sign(chain, A, B, listed=(C, D), originators=ALONE)
    sign(chain, B, C, listed=(D,), originators=(A, "own"))
    sign(chain, C, D, originators=(A, B, "own"))
    chain.add(A, make_object("x"))
    pass_along(chain)
    assert where(chain, "x") == [B, C, D]
    assert know_all(chain, question={}, originator=A) == {B, C, D}
    labels = [holds(chain, party, object_id("report", "x")) for party in (B, C, D)]
    assert all(label is not None for label in labels)
    assert [label.originators for label in labels if label] == list(map(frozenset, ({A}, {A, B}, {A, B, C})))
    assert [label.audience for label in labels if label] == list(map(frozenset, ({B, C, D}, {C, D}, {D})))


def test_what_a_later_giver_lists_beyond_the_first_is_withheld_and_explained(chain: World) -> None:
    sign(chain, A, B, listed=(C,))
    sign(chain, B, C, listed=(D,))
    sign(chain, C, D)
    chain.add(A, make_object("x"))
    chain.add(B, make_object("own"))
    pass_along(chain)
    # Cimbria could not know the terms by which Aurelia gave it; Borealia does, and promises no less than it was asked.
    assert where(chain, "x") == [B]
    assert where(chain, "own") == [B, C, D]
    assert know_all(chain, question={}, originator=A) == {B}
    told = explain(chain.nodes[B], object_id("report", "x"), to=C)
    assert told.verdict.clause == "audience"
    assert "would let it go to meridia:" in (told.verdict.reason or "")


def test_an_object_goes_on_only_where_every_originator_it_may_have_is_admitted(chain: World) -> None:
    sign(chain, A, B, listed=(C, D), originators=ALONE)
    sign(chain, B, C, listed=(D,), originators=(A, "own"))
    sign(chain, C, D, originators=(A, "own"))
    chain.add(A, make_object("x"))
    pass_along(chain)
    # To Cimbria it may be Borealia's, and Borealia's do not go to Meridia.
    assert where(chain, "x") == [B, C]
    told = explain(chain.nodes[C], object_id("report", "x"), to=D)
    assert told.verdict.clause == "originators"
    assert "found borealia" in (told.verdict.reason or "")


def test_a_channel_for_what_is_the_givers_own_lets_nothing_received_go_on(chain: World) -> None:
    sign(chain, A, B, listed=(C,), originators=ALONE)
    sign(chain, B, C, originators=ALONE)
    chain.add(A, make_object("x"))
    pass_along(chain)
    assert where(chain, "x") == [B]
    assert know_all(chain, question={}, originator=A) == {B}


def test_what_is_given_back_says_nothing_new(chain: World) -> None:
    sign(chain, A, B, listed=(A, C))
    sign(chain, B, A)
    chain.add(A, make_object("x"))
    before = holds(chain, A, object_id("report", "x"))
    pull_all(chain, A, B)
    assert [item.id for item in chain.poll(A, giver=B).items] == [object_id("report", "x")]
    pull_all(chain, B, A)
    assert holds(chain, A, object_id("report", "x")) == before


def test_what_came_by_two_ways_is_restricted_by_both(chain: World) -> None:
    sign(chain, A, B, listed=(C, D), originators=ALONE)
    sign(chain, A, C, listed=(D,), originators=ALONE)
    sign(chain, B, C, originators=(A,))
    sign(chain, C, D)
    chain.add(A, make_object("x"))
    pull_all(chain, A, C)
    label = holds(chain, C, object_id("report", "x"))
    assert label is not None
    assert label.audience == frozenset({C, D})
    pass_along(chain)
    label = holds(chain, C, object_id("report", "x"))
    assert label is not None
    assert (label.originators, label.audience) == (frozenset({A}), frozenset({C}))
    assert where(chain, "x") == [B, C]


def test_what_came_under_terms_that_exclude_a_framework_goes_on_only_where_it_stays_excluded(chain: World) -> None:
    sign(chain, A, B, listed=(C, D), extra='excluded_frameworks = ["coalition-dawn"]')
    sign(chain, B, C, extra='framework = "coalition-dawn"')
    sign(chain, B, D, extra='framework = "coalition-dusk"\nexcluded_frameworks = ["coalition-dawn"]')
    chain.add(A, make_object("x"))
    chain.add(B, make_object("own"))
    for giver, receiver in ((A, B), (B, C), (B, D)):
        pull_all(chain, giver, receiver)
    name = object_id("report", "x")
    label = holds(chain, B, name)
    assert label is not None
    assert label.excluded_frameworks == {"coalition-dawn"}
    assert where(chain, "x") == [B, D]
    assert where(chain, "own") == [B, C, D]
    told = explain(chain.nodes[B], name, to=C)
    assert told.verdict.clause == "frameworks"
    assert "coalition-dawn" in (told.verdict.reason or "")
    assert know_all(chain, question={}, originator=A) == {B, D}


def test_terms_that_are_silent_on_a_framework_that_was_excluded_are_not_enough(chain: World) -> None:
    sign(chain, A, B, listed=(C, D), extra='excluded_frameworks = ["coalition-dawn"]')
    sign(chain, B, C, listed=(D,))
    sign(chain, C, D, extra='framework = "coalition-dawn"')
    chain.add(A, make_object("x"))
    pass_along(chain)
    assert where(chain, "x") == [B]
    assert know_all(chain, question={}, originator=A) == {B}


# --- what counts ------------------------------------------------------------------------------------------------------


def ask(world: World, name: str, *, proposed: bool = False) -> Answer:
    known = read_known(world.nodes[name], proposed=proposed)
    return find_reach(known, {}, originators=[A], consent=Consent.GRANTED)


def test_what_all_signed_counts_until_it_has_ended(world: World) -> None:
    agreement = world.sign_all(world.terms())
    for act, reached in ((None, True), (EventKind.SUSPEND, True), (EventKind.TERMINATE, False)):
        if act is not None:
            world.act("borealia", agreement, act)
            world.deliver()
        answer = ask(world, "aurelia")
        assert [item.party for item in answer.reached] == ([B] if reached else [])
        assert answer.never == (() if reached else (B,))
        assert certify(answer, answer.reaches[0]).implications >= 1


def test_what_has_run_out_does_not_count_and_what_is_not_valid_yet_does(world: World) -> None:
    world.sign_all(world.terms(until="2031-01-01T00:00:00Z").replace(b"2020-01-01", b"2030-01-01"))
    (counted,) = read_known(world.nodes["aurelia"], proposed=False).counted
    assert counted.state is State.AGREED
    assert ask(world, "aurelia").reached
    world.now = Instant(world.now + 40 * 365 * 86_400_000_000)
    assert ask(world, "aurelia").never == (B,)


def test_proposals_count_when_they_are_asked_for_and_nobody_rejected_them(world: World) -> None:
    recorded = world.propose("aurelia", world.terms())
    assert isinstance(recorded, agree.Recorded)
    world.deliver()
    assert ask(world, "aurelia").never == ask(world, "borealia").never == (B,)
    assert [item.party for item in ask(world, "borealia", proposed=True).reached] == [B]
    world.act("borealia", recorded.event.agreement, EventKind.REJECT)
    assert ask(world, "borealia", proposed=True).never == (B,)


def test_a_narrower_amendment_counts_beside_what_is_in_force(world: World) -> None:
    agreement = world.sign_all(world.terms(tlp="green"))
    wider = world.terms(tlp="red", version=2, agreement=agreement, supersedes=agreement)
    assert isinstance(world.propose("aurelia", wider), agree.Recorded)
    question = {"tlp_ceiling": frozenset({"red"})}
    for proposed, reached in ((False, []), (True, [B])):
        known = read_known(world.nodes["aurelia"], proposed=proposed)
        answer = find_reach(known, question, originators=(), consent=Consent.GRANTED)
        assert [item.party for item in answer.reached] == reached
        assert answer.never == tuple(party for party in (A, B) if party not in reached)


def test_consent_counts_as_granted_unless_it_is_asked_otherwise(chain: World) -> None:
    toml = chain.terms().replace(b'onward = "none"', b'onward = "originator_consent"')
    chain.sign_all(toml)
    sign(chain, B, C)
    known = read_known(chain.nodes[B], proposed=False)
    for consent, reached in ((Consent.GRANTED, [B, C]), (Consent.REFUSED, [B])):
        answer = find_reach(known, {}, originators=[A], consent=consent)
        assert [item.party for item in answer.reached] == reached


def test_a_party_that_nobody_knows_is_not_answered_for(world: World) -> None:
    known = read_known(world.nodes["aurelia"], proposed=False)
    with pytest.raises(NotFoundError, match="zephyria"):
        find_reach(known, {}, originators=[PartyId("zephyria")], consent=Consent.GRANTED)


def test_a_refused_certificate_is_a_failure(world: World) -> None:
    world.sign_all(world.terms())
    answer = ask(world, "aurelia")
    (reach,) = answer.reaches
    struck = dataclasses.replace(reach, boxes=tuple(box for box in reach.boxes if box.holder != B))
    with pytest.raises(CertificateRefused, match="counterexample"):
        certify(answer, struck)


def test_every_level_of_tlp_can_be_asked_for(world: World) -> None:
    world.sign_all(world.terms(tlp="amber"))
    known = read_known(world.nodes["aurelia"], proposed=False)
    reached = [
        level
        for level in TLP_ORDER
        if find_reach(
            known,
            {"tlp_ceiling": frozenset({level})},
            originators=[A],
            consent=Consent.GRANTED,
        ).reached
    ]
    assert reached == ["clear", "green", "amber"]
