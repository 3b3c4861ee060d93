# SPDX-License-Identifier: Apache-2.0
"""Acts that cross on the way: whichever arrives first, both nodes end in one state, and it is never the open one."""

import pytest

from comity.agreement.events import EventKind
from comity.agreement.transitions import State
from comity.errors import TransitionError
from comity.ids import PartyId
from comity.node.agree import Recorded
from comity.node.gate import list_open_collections
from tests.unit.node.test_agree import proposal
from tests.unit.node.test_group import check_same
from tests.worlds import World, make_object

BOTH = ("aurelia", "borealia")


def check_closed(world: World) -> None:
    assert list_open_collections(world.nodes["aurelia"], PartyId("borealia")) == []


def test_a_counter_proposal_that_crosses_an_acceptance(world: World) -> None:
    world.add("aurelia", make_object("a"))
    agreement = proposal(world)
    world.deliver()
    world.act("borealia", agreement, EventKind.ACCEPT)
    second = world.propose("aurelia", world.terms(version=2, agreement=agreement, supersedes=agreement, tlp="green"))
    assert isinstance(second, Recorded)
    assert second.event.kind is EventKind.COUNTER
    world.deliver()
    told = check_same(world, agreement, BOTH)
    assert told.state is State.COUNTERED
    assert told.sentence.endswith("(version 1, signed by all, is countered by aurelia: nothing is in force)")
    assert told.confirmed_by == {"borealia"}, "aurelia does not confirm what it replaced"
    check_closed(world)
    with pytest.raises(TransitionError, match="name it by its own hash"):
        world.act_on("borealia", agreement, EventKind.ACCEPT)
    world.act("borealia", second.event.terms, EventKind.ACCEPT)
    world.deliver()
    told = check_same(world, agreement, BOTH)
    assert (told.state, told.latest.version) == (State.IN_FORCE, 2)
    assert world.read("borealia")


def test_a_counter_proposal_refuses_what_it_replaces_and_the_version_in_force_goes_on(world: World) -> None:
    agreement = world.sign_all(world.terms())
    second = world.propose("aurelia", world.terms(version=2, agreement=agreement, supersedes=agreement))
    assert isinstance(second, Recorded)
    assert second.event.kind is EventKind.PROPOSE
    world.deliver()
    third = world.propose(
        "borealia",
        world.terms(version=3, agreement=agreement, supersedes=second.event.terms, title="Exchange, narrower"),
    )
    assert isinstance(third, Recorded)
    assert third.event.kind is EventKind.COUNTER
    world.deliver()
    told = check_same(world, agreement, BOTH)
    assert (told.state, told.current and told.current.version) == (State.IN_FORCE, 1)
    world.act("aurelia", third.event.terms, EventKind.ACCEPT)
    world.deliver()
    told = check_same(world, agreement, BOTH)
    assert (told.state, told.current and told.current.version) == (State.IN_FORCE, 3)


@pytest.mark.parametrize("first", ["withdraw", "accept"])
def test_a_withdrawal_that_crosses_an_acceptance(world: World, first: str) -> None:
    world.add("aurelia", make_object("a"))
    agreement = proposal(world)
    world.deliver()
    acts = [("aurelia", EventKind.WITHDRAW), ("borealia", EventKind.ACCEPT)]
    for name, kind in acts if first == "withdraw" else reversed(acts):
        world.act(name, agreement, kind)
    world.deliver()
    told = check_same(world, agreement, BOTH)
    assert (told.state, told.current) == (State.WITHDRAWN, None)
    check_closed(world)
    again = world.propose("aurelia", world.terms(version=2, agreement=agreement, supersedes=agreement))
    assert isinstance(again, Recorded)
    assert again.event.kind is EventKind.PROPOSE
    world.deliver()
    world.act("borealia", again.event.terms, EventKind.ACCEPT)
    world.deliver()
    assert check_same(world, agreement, BOTH).state is State.IN_FORCE


def test_what_one_signed_it_withdraws_and_what_it_did_not_sign_it_rejects(world: World) -> None:
    agreement = proposal(world)
    world.deliver()
    with pytest.raises(TransitionError, match="so it cannot withdraw: reject it"):
        world.act_on("borealia", agreement, EventKind.WITHDRAW)
    world.act("aurelia", agreement, EventKind.WITHDRAW, text="Under review.")
    world.deliver()
    told = check_same(world, agreement, BOTH)
    assert (told.state, told.sentence) == (State.WITHDRAWN, "withdrawn by aurelia")
    with pytest.raises(TransitionError, match="withdrawn by aurelia"):
        world.act_on("borealia", agreement, EventKind.ACCEPT)


def test_a_suspension_that_crosses_the_last_confirmation_holds(world: World) -> None:
    agreement = proposal(world)
    world.deliver()
    world.act("borealia", agreement, EventKind.ACCEPT)
    world.act("borealia", agreement, EventKind.SUSPEND)
    world.deliver()
    assert check_same(world, agreement, BOTH).state is State.SUSPENDED
    check_closed(world)
    world.act("borealia", agreement, EventKind.RESUME)
    world.deliver()
    assert check_same(world, agreement, BOTH).state is State.IN_FORCE
