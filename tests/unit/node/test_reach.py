# SPDX-License-Identifier: Apache-2.0
"""REACH with real nodes: no chain of polls leaves what was computed from the agreements on record."""

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest

from comity.agreement import terms as agreement_terms
from comity.agreement.lifecycle import EventKind, State
from comity.agreement.terms import Scope
from comity.errors import CertificateRefused, NotFoundError
from comity.ids import Instant, ObjectId, PartyId
from comity.node import agree
from comity.node.explain import explain, show_object
from comity.node.follow import plan_pull
from comity.node.ingest import Received, receive_page
from comity.node.parties import add_party, export_manifest
from comity.node.poll import PollRequest, Selection, VersionChoice, list_open_collections, poll
from comity.node.reach import Answer, certify, find_reach, read_known
from comity.release.disclosure import Answer as Resource
from comity.release.reach import Consent, Memory
from comity.stix.labels import Label
from comity.stix.markings import TLP_ORDER
from tests.worlds import World, make_object, object_id

A, B, C, D = map(PartyId, ("aurelia", "borealia", "cimbria", "meridia"))


@pytest.fixture
def passing_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """Channels admit objects of every originator, so that something can be passed on at all."""
    read = agreement_terms._read_scope

    def read_for_all(*arguments: object) -> Scope:
        scope = read(*arguments)  # type: ignore[arg-type]
        return dataclasses.replace(scope, originators=frozenset({A, B, C, D}))

    monkeypatch.setattr(agreement_terms, "_read_scope", read_for_all)


@pytest.fixture
def chain(passing_on: None, tmp_path: Path) -> Iterator[World]:
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
    extra: str = "",
    tlp: str = "amber",
) -> str:
    """The id of an agreement in which `giver` gives to `receiver`, who may pass it on to `listed`."""
    title = f"{giver} to {receiver}"
    toml = world.terms(giver=giver, receivers=(receiver,), title=title, extra=extra, tlp=tlp)
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


def know_all(world: World, *, memory: Memory, question: dict[str, frozenset[str]], originator: PartyId) -> set[PartyId]:
    """The reach over the agreements that any of the nodes has on record."""
    counted = {
        item.terms.hash: item for node in world.nodes.values() for item in read_known(node, proposed=False).counted
    }
    known = dataclasses.replace(read_known(world.nodes[originator], proposed=False), counted=tuple(counted.values()))
    answer = find_reach(known, question, originators=[originator], consent=Consent.GRANTED, memory=memory)
    assert {item.party for item in answer.reached} | {*answer.never} | {originator} == known.parties
    return {item.party for item in answer.reached}


def holds(world: World, party: str, name: ObjectId) -> Label | None:
    try:
        return show_object(world.nodes[party], name).label
    except NotFoundError:
        return None


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(6))
def test_no_walk_of_real_polls_leaves_the_reach(chain: World, seed: int) -> None:
    random = Random(seed)
    parties = [A, B, C]
    for giver, receiver in ((A, B), (B, C), (C, A), (A, C), (B, A)):
        if random.random() < 0.8:
            listed = tuple(sorted(random.sample([A, B, C, D], 2))) if random.random() < 0.7 else ()
            extra = random.choice(["", 'excluded_frameworks = ["coalition-dawn"]', 'framework = "coalition-dawn"'])
            sign(chain, giver, receiver, listed=listed, extra=extra, tlp=random.choice(["green", "amber", "red"]))
    own = dict[ObjectId, tuple[PartyId, str]]()
    for number in range(9):
        origin, tlp = random.choice(parties), random.choice(["green", "amber", "red"])
        own[object_id("report", f"x{number}")] = (origin, tlp)
        chain.add(origin, make_object(f"x{number}", tlp=tlp))
    for _ in range(14):
        giver, receiver = random.sample(parties, 2)
        if list_open_collections(chain.nodes[giver], receiver):
            pull_all(chain, giver, receiver)
    moved = 0
    for name, (origin, tlp) in own.items():
        question = {"tlp_ceiling": frozenset({tlp}), "types": frozenset({"report"})}
        reached = [know_all(chain, memory=memory, question=question, originator=origin) for memory in Memory]
        for party in {A, B, C} - {origin}:
            if holds(chain, party, name) is not None:
                moved += 1
                assert all(party in some for some in reached)
    assert moved


def test_an_object_goes_on_only_as_far_as_each_giver_lists(chain: World) -> None:
    sign(chain, A, B, listed=(C,))
    sign(chain, B, C)
    sign(chain, C, D)
    chain.add(A, make_object("x"))
    for giver, receiver in ((A, B), (B, C), (C, D)):
        pull_all(chain, giver, receiver)
    name = object_id("report", "x")
    assert [holds(chain, party, name) is not None for party in (B, C, D)] == [True, True, False]
    assert know_all(chain, memory=Memory.STICKY, question={}, originator=A) == {B, C}
    assert know_all(chain, memory=Memory.LAST_HOP, question={}, originator=A) == {B, C}


def test_what_a_later_giver_lists_beyond_the_first_is_counted_unless_every_party_holds_to_every_hop(
    chain: World,
) -> None:
    sign(chain, A, B, listed=(C,))
    sign(chain, B, C, listed=(D,))
    sign(chain, C, D)
    chain.add(A, make_object("x"))
    for giver, receiver in ((A, B), (B, C), (C, D)):
        pull_all(chain, giver, receiver)
    # Cimbria has never seen the terms by which Aurelia gave it to Borealia, and passes it on by those it knows.
    assert holds(chain, D, object_id("report", "x")) is not None
    assert know_all(chain, memory=Memory.LAST_HOP, question={}, originator=A) == {B, C, D}
    assert know_all(chain, memory=Memory.STICKY, question={}, originator=A) == {B, C}


def test_what_came_under_terms_that_exclude_a_framework_does_not_go_on_inside_it(chain: World) -> None:
    sign(chain, A, B, listed=(C, D), extra='excluded_frameworks = ["coalition-dawn"]')
    sign(chain, B, C, extra='framework = "coalition-dawn"')
    sign(chain, B, D, extra='framework = "coalition-dusk"')
    chain.add(A, make_object("x"))
    chain.add(B, make_object("own"))
    for giver, receiver in ((A, B), (B, C), (B, D)):
        pull_all(chain, giver, receiver)
    name = object_id("report", "x")
    label = holds(chain, B, name)
    assert label is not None
    assert label.excluded_frameworks == {"coalition-dawn"}
    assert [holds(chain, party, name) is not None for party in (C, D)] == [False, True]
    assert holds(chain, C, object_id("report", "own")) is not None
    told = explain(chain.nodes[B], name, to=C)
    assert told.verdict.clause == "frameworks"
    assert "coalition-dawn" in (told.verdict.reason or "")
    for memory in Memory:
        assert know_all(chain, memory=memory, question={}, originator=A) == {B, D}


# --- what counts ------------------------------------------------------------------------------------------------------


def ask(world: World, name: str, *, proposed: bool = False) -> Answer:
    known = read_known(world.nodes[name], proposed=proposed)
    return find_reach(known, {}, originators=[A], consent=Consent.GRANTED, memory=Memory.LAST_HOP)


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
    world.sign_all(world.terms(until="2031-01-01T00:00:00Z"))
    world.now = Instant(world.now + 40 * 365 * 86_400_000_000)
    assert ask(world, "aurelia").never == (B,)
    world.now = Instant(0)
    (counted,) = read_known(world.nodes["aurelia"], proposed=False).counted
    assert counted.state is State.AGREED
    assert ask(world, "aurelia").reached


def test_proposals_count_when_they_are_asked_for_and_nobody_rejected_them(world: World) -> None:
    recorded = agree.propose(world.nodes["aurelia"], world.terms())
    assert isinstance(recorded, agree.Recorded)
    world.deliver()
    assert ask(world, "aurelia").never == ask(world, "borealia").never == (B,)
    assert [item.party for item in ask(world, "borealia", proposed=True).reached] == [B]
    world.act("borealia", recorded.event.agreement, EventKind.REJECT)
    assert ask(world, "borealia", proposed=True).never == (B,)


def test_a_narrower_amendment_counts_beside_what_is_in_force(world: World) -> None:
    agreement = world.sign_all(world.terms(tlp="green"))
    wider = world.terms(tlp="red", version=2, agreement=agreement, supersedes=agreement)
    assert isinstance(agree.propose(world.nodes["aurelia"], wider), agree.Recorded)
    question = {"tlp_ceiling": frozenset({"red"})}
    for proposed, reached in ((False, []), (True, [B])):
        known = read_known(world.nodes["aurelia"], proposed=proposed)
        answer = find_reach(known, question, originators=(), consent=Consent.GRANTED, memory=Memory.STICKY)
        assert [item.party for item in answer.reached] == reached
        assert answer.never == tuple(party for party in (A, B) if party not in reached)


def test_consent_counts_as_granted_unless_it_is_asked_otherwise(chain: World) -> None:
    toml = chain.terms().replace(b'onward = "none"', b'onward = "originator_consent"')
    chain.sign_all(toml)
    sign(chain, B, C)
    known = read_known(chain.nodes[B], proposed=False)
    for consent, reached in ((Consent.GRANTED, [B, C]), (Consent.REFUSED, [B])):
        answer = find_reach(known, {}, originators=[A], consent=consent, memory=Memory.STICKY)
        assert [item.party for item in answer.reached] == reached


def test_a_party_that_nobody_knows_is_not_answered_for(world: World) -> None:
    known = read_known(world.nodes["aurelia"], proposed=False)
    with pytest.raises(NotFoundError, match="zephyria"):
        find_reach(known, {}, originators=[PartyId("zephyria")], consent=Consent.GRANTED, memory=Memory.STICKY)


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
            memory=Memory.STICKY,
        ).reached
    ]
    assert reached == ["clear", "green", "amber"]
