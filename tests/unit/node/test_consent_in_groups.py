# SPDX-License-Identifier: Apache-2.0
"""Consent of an originator in one group, to pass on in another of which whoever asks is a member too."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from comity.agreement.events import EventKind
from comity.ids import Instant, PartyId
from comity.letters.letter import Letter
from comity.node.consent import list_consents
from comity.store import objects
from tests.chains import introduce, pull_all
from tests.unit.node.test_consent import DAY, A, B, C, D, X, ask, check_all, gives, grant, revoke
from tests.worlds import World, make_object

E = PartyId("egeria")


@dataclass(frozen=True, slots=True, kw_only=True)
class Groups:
    """Aurelia, borealia and egeria pass on by consent in the first; borealia, cimbria and meridia are in the second."""

    world: World
    first: str
    second: str

    def ask_and_grant(self, *, until: Instant | None = None) -> Letter:
        """Aurelia's consent that borealia passes x on to cimbria."""
        (request,) = ask(self.world).letters
        self.world.deliver()
        letter = grant(self.world, request, until=until)
        self.world.deliver()
        return letter

    def leave(self, name: str, agreement: str) -> None:
        self.world.act(name, agreement, EventKind.LEAVE)
        self.world.deliver()
        self.world.tick()

    def find_givers(self, receiver: str) -> set[str]:
        """Who gives `receiver` x now."""
        return {giver for giver in (A, B, C, D, E) if giver != receiver and X in gives(self.world, giver, receiver)}


def sign_group(world: World, members: Sequence[str], *, title: str, onward: str) -> str:
    """The id of a group in which each gives all others whatever it may."""
    toml = world.terms(
        giver=members[0],
        receivers=members[1:],
        title=title,
        extra='structure = {kind = "group", accession = "any_member"}',
        channel_extra=f"originators = {[*world.nodes, 'own']}",
    )
    receivers = f'receivers = ["{members[1]}", "{members[2]}"]'
    for before, after in (
        (f'giver = "{members[0]}"', 'giver = "members"'),
        (receivers, 'receivers = ["members"]'),
        ('onward = "none"', f'onward = "{onward}"'),
    ):
        assert before.encode() in toml
        toml = toml.replace(before.encode(), after.encode())
    return world.sign_all(toml, proposer=members[0])


@pytest.fixture
def groups(tmp_path: Path) -> Iterator[Groups]:
    world = World(tmp_path)
    world.found(A, B, C, D, E)
    introduce(world, [(A, B), (A, E), (B, E), (B, C), (B, D), (C, D)])
    first = sign_group(world, (A, B, E), title="The first", onward="originator_consent")
    second = sign_group(world, (B, C, D), title="The second", onward="none")
    world.add(A, make_object("x"))
    for name in (B, E):
        assert pull_all(world, A, name) == {X}
    world.tick()
    yield Groups(world=world, first=first, second=second)
    world.close()


def test_it_is_for_one_more_party_of_the_other_group_and_moves_nothing_in_the_first(groups: Groups) -> None:
    groups.ask_and_grant()
    assert pull_all(groups.world, B, C) == {X}
    assert [groups.find_givers(name) for name in (C, D, E, B)] == [{B}, set(), {A}, {A}]
    check_all(groups.world)


def test_a_revocation_takes_it_back_from_who_has_left_the_other_group(groups: Groups) -> None:
    letter = groups.ask_and_grant()
    assert pull_all(groups.world, B, C) == {X}
    groups.leave(C, groups.second)
    assert groups.find_givers(C) == set()
    revoke(groups.world, letter, takes_back=True)
    groups.world.deliver()
    with groups.world.nodes[C].store.read() as transaction:
        assert objects.read_versions_of(transaction, [X]) == []
    check_all(groups.world)


@pytest.mark.parametrize("who", [A, B])
def test_it_ends_at_its_time_and_is_revoked_whoever_has_left_the_first_group(groups: Groups, who: str) -> None:
    letter = groups.ask_and_grant(until=Instant(groups.world.now + 2 * DAY))
    groups.leave(who, groups.first)
    assert groups.find_givers(D) == set()
    groups.world.tick(2 * DAY)
    assert groups.find_givers(C) == set()
    revoke(groups.world, letter, takes_back=True)
    groups.world.deliver()
    assert list_consents(groups.world.nodes[B], limit=1)[0][0].grants[0].state == "revoked"
    assert groups.find_givers(C) == set()


def test_a_member_that_joins_gets_nothing_that_was_granted_to_another(groups: Groups) -> None:
    world = groups.world
    groups.ask_and_grant()
    assert groups.find_givers(C) == {B}
    world.admit(B, groups.second, E)
    world.deliver()
    world.accede(E, groups.second)
    world.deliver()
    world.tick()
    introduce(world, [(C, E), (D, E)])
    pull_all(world, B, C)
    assert groups.find_givers(D) == set()
    assert groups.find_givers(E) == {A}
    check_all(world)
