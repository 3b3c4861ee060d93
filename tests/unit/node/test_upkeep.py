# SPDX-License-Identifier: Apache-2.0
"""What happens without anybody acting: confirmations, recognition that was lost, bases and assurances that ran out."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from comity.agreement.events import EventKind
from comity.agreement.transitions import State
from comity.errors import ConfigError, TransitionError
from comity.ids import Instant, PartyId, format_instant
from comity.node.gate import list_open_collections
from comity.node.upkeep import keep_up
from tests.unit.node.test_agree import proposal, standing
from tests.unit.node.test_group import check_same, stand
from tests.worlds import BASIS, World, make_object

BOREALIA, MERIDIA = PartyId("borealia"), PartyId("meridia")
SECOND = 1_000_000


@pytest.fixture
def three(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path)
    made.found("aurelia", "borealia", "meridia")
    yield made
    made.close()


def set_policy(world: World, name: str, text: str) -> str:
    """Give `name` another policy; the one before."""
    path = world.folder / name / "recognition.toml"
    before = path.read_text()
    path.write_text(text)
    return before


# --- confirmations ----------------------------------------------------------------------------------------------------


def test_signed_by_all_is_not_in_force_while_one_node_does_not_recognise_it(world: World) -> None:
    agreement = proposal(world)
    world.deliver()
    world.add("aurelia", make_object("a"))
    policy = set_policy(world, "aurelia", "")
    world.act("borealia", agreement, EventKind.ACCEPT)
    world.deliver()
    told = check_same(world, agreement, ("aurelia", "borealia"))
    assert told.state is State.AGREED
    assert told.sentence.endswith("waits for the confirmation of aurelia")
    assert list_open_collections(world.nodes["aurelia"], BOREALIA) == []
    assert keep_up(world.nodes["aurelia"]) == ()
    world.tick()
    set_policy(world, "aurelia", policy)
    (recorded,) = keep_up(world.nodes["aurelia"])
    assert (recorded.event.kind, recorded.event.party, recorded.new) == (EventKind.CONFIRM, "aurelia", True)
    assert recorded.standing.state is State.IN_FORCE
    world.deliver()
    assert check_same(world, agreement, ("aurelia", "borealia")).state is State.IN_FORCE
    assert world.read("borealia")
    assert keep_up(world.nodes["aurelia"]) == ()


def test_a_policy_that_cannot_be_read_loses_no_message_and_confirms_nothing(world: World) -> None:
    agreement = proposal(world)
    world.deliver()
    set_policy(world, "aurelia", "not a policy at all")
    world.act("borealia", agreement, EventKind.ACCEPT)
    world.deliver()
    assert standing(world, "aurelia", agreement) is State.AGREED


def test_no_confirmation_brings_in_force_what_was_stopped_meanwhile(world: World) -> None:
    agreement = proposal(world)
    world.deliver()
    policy = set_policy(world, "aurelia", "")
    world.act("borealia", agreement, EventKind.ACCEPT)
    world.act("borealia", agreement, EventKind.SUSPEND)
    world.deliver()
    world.tick()
    set_policy(world, "aurelia", policy)
    keep_up(world.nodes["aurelia"])
    world.deliver()
    assert check_same(world, agreement, ("aurelia", "borealia")).state is State.SUSPENDED


def test_a_last_signature_that_comes_after_the_end_is_recorded_and_confirms_nothing(world: World) -> None:
    until = Instant(world.now + 10 * SECOND)
    agreement = proposal(world, world.terms(until=format_instant(until)))
    world.deliver()
    world.act("borealia", agreement, EventKind.ACCEPT)
    world.now = until
    world.deliver()
    told = check_same(world, agreement, ("aurelia", "borealia"))
    assert (told.state, told.confirmed_by) == (State.EXPIRED, frozenset({BOREALIA}))


# --- recognition that was lost ----------------------------------------------------------------------------------------


def test_what_a_party_recognises_no_more_it_suspends_by_itself_and_only_it_resumes(world: World) -> None:
    agreement = world.sign_all(world.terms())
    world.add("aurelia", make_object("a"))
    policy = set_policy(world, "borealia", "")
    (recorded,) = keep_up(world.nodes["borealia"])
    assert recorded.stops
    assert (recorded.event.kind, recorded.standing.state) == (EventKind.SUSPEND, State.SUSPENDED)
    assert (recorded.event.text or "").startswith("suspended by itself: borealia recognises none of the bases")
    assert keep_up(world.nodes["borealia"]) == (), "once is enough"
    world.deliver()
    (lock,) = check_same(world, agreement, ("aurelia", "borealia")).locks
    assert (lock.party, lock.reason) == ("borealia", recorded.event.text)
    assert list_open_collections(world.nodes["aurelia"], BOREALIA) == []
    world.tick()
    set_policy(world, "borealia", policy)
    assert keep_up(world.nodes["borealia"]) == ()
    assert standing(world, "borealia", agreement) is State.SUSPENDED
    with pytest.raises(TransitionError, match="only borealia"):
        world.act_on("aurelia", agreement, EventKind.RESUME)
    world.act("borealia", agreement, EventKind.RESUME)
    world.deliver()
    assert check_same(world, agreement, ("aurelia", "borealia")).state is State.IN_FORCE


def test_what_was_resumed_and_is_still_not_recognised_is_suspended_again(world: World) -> None:
    agreement = world.sign_all(world.terms())
    set_policy(world, "aurelia", "")
    keep_up(world.nodes["aurelia"])
    world.act("aurelia", agreement, EventKind.RESUME)
    assert list_open_collections(world.nodes["aurelia"], BOREALIA) == [], "each poll asks the policy by itself"
    assert [recorded.standing.state for recorded in keep_up(world.nodes["aurelia"])] == [State.SUSPENDED]


def test_what_else_a_party_recognises_is_not_told_to_partners(world: World) -> None:
    world.sign_all(world.terms())
    set_policy(world, "borealia", '[[recognised]]\nkind = "mou"\nreference = "Memorandum with Meridia"\n')
    (recorded,) = keep_up(world.nodes["borealia"])
    assert BASIS in (recorded.event.text or "")
    assert "Meridia" not in (recorded.event.text or "")


def test_a_reference_too_long_to_be_told_keeps_no_suspension_from_partners(world: World) -> None:
    for name in ("aurelia", "borealia"):
        set_policy(world, name, '[[recognised]]\nkind = "unsc_resolution"\nreference = "*"\n')
    world.sign_all(world.terms(title="Long").replace(BASIS.encode(), b"R" * 4_000))
    world.sign_all(world.terms())
    set_policy(world, "aurelia", "")
    assert [recorded.standing.state for recorded in keep_up(world.nodes["aurelia"])] == [State.SUSPENDED] * 2


def test_upkeep_with_a_policy_that_cannot_be_read_says_so(world: World) -> None:
    world.sign_all(world.terms())
    set_policy(world, "aurelia", "not a policy at all")
    with pytest.raises(ConfigError, match=r"recognition\.toml"):
        keep_up(world.nodes["aurelia"])


def test_upkeep_with_nothing_due_writes_nothing(world: World) -> None:
    world.sign_all(world.terms())
    before = (world.nodes["aurelia"].folder / "head").read_bytes()
    assert keep_up(world.nodes["aurelia"]) == ()
    assert (world.nodes["aurelia"].folder / "head").read_bytes() == before


# --- what ran out -----------------------------------------------------------------------------------------------------


def limit_basis(world: World, toml: bytes, party: str, until: Instant) -> bytes:
    """The terms with an end to the basis of `party`."""
    cited = f'party = "{party}"\n'.encode()
    assert toml.count(cited) == 1
    return toml.replace(cited, cited + f'valid_until = "{format_instant(until)}"\n'.encode())


def test_a_basis_ends_at_its_instant_for_who_cites_it_and_the_others_go_on(three: World) -> None:
    until = Instant(three.now + 10 * SECOND)
    toml = limit_basis(three, three.terms(receivers=("borealia", "meridia")), "meridia", until)
    agreement = three.sign_all(toml)
    three.add("aurelia", make_object("a"))
    three.now = Instant(until - 1)
    assert three.read("meridia").keys() == three.read("borealia").keys() != set()
    three.now = until
    assert list_open_collections(three.nodes["aurelia"], MERIDIA) == []
    assert three.read("borealia")
    told = check_same(three, agreement, ("aurelia", "borealia", "meridia"))
    assert told.state is State.IN_FORCE
    assert "meridia is suspended by itself: no legal basis of meridia is valid" in told.sentence
    assert all(keep_up(node) == () for node in three.nodes.values()), "every node computes it: nothing is to be said"


def test_an_assurance_ends_at_its_instant(three: World) -> None:
    until = Instant(three.now + 10 * SECOND)
    given = (
        f'[[assurances]]\nkind = "no_torture"\ngiven_by = "meridia"\ndocument = "{"7" * 64}"\n'
        f'valid_until = "{format_instant(until)}"\n'
    )
    agreement = three.sign_all(three.terms(receivers=("borealia", "meridia")) + b"\n" + given.encode())
    three.add("aurelia", make_object("a"))
    three.now = Instant(until - 1)
    assert three.read("meridia")
    three.now = until
    assert list_open_collections(three.nodes["aurelia"], MERIDIA) == []
    assert three.read("borealia")
    (lapse,) = stand(three, "borealia", agreement).lapses
    assert (lapse.party, lapse.clause) == ("meridia", "assurances")


def test_of_two_one_lapses_and_the_agreement_is_suspended_by_itself(world: World) -> None:
    until = Instant(world.now + 10 * SECOND)
    agreement = world.sign_all(limit_basis(world, world.terms(), "borealia", until))
    world.now = until
    told = check_same(world, agreement, ("aurelia", "borealia"))
    assert (told.state, told.locks) == (State.SUSPENDED, ())
    assert told.sentence.startswith("suspended by itself: no legal basis of borealia")
