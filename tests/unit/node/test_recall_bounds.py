# SPDX-License-Identifier: Apache-2.0
"""However many versions a letter recalls: the work grows with them and no faster, each settled as it would be alone."""

from collections import Counter

from comity.agreement.people import Role
from comity.ids import PartyId
from comity.letters.recall import Change, Outcome, Result, Stage
from comity.node import recalled, retention
from comity.node.recall import keep_recalled
from comity.node.recalled import DECISION_TIME, settle_due
from comity.store import objects, recalls
from tests.chains import deliver_to, pull_all, sign_onward
from tests.unit.node import test_recall as single
from tests.unit.node.test_recall import RETENTION, A, B, C, D, X, received, stages, withdraw
from tests.worlds import World, make_object

chain = single.chain
MANY = 40


def give_many(world: World, *, extra: str = "") -> None:
    sign_onward(world, A, B, listed=[C, D], extra=extra)
    for day in range(MANY):
        world.add(A, make_object("x", day=day))
        assert X in pull_all(world, A, B)
        world.tick()


def count_held(world: World, name: PartyId = B) -> int:
    with world.nodes[name].store.read() as transaction:
        return len(objects.read_versions_of(transaction, [X]))


def outcomes(world: World) -> list[Outcome]:
    (told,) = received(world, B)
    with world.nodes[B].store.read() as transaction:
        return [result.outcome for result in recalls.read_results(transaction, told.stored.letter.digest)]


def test_many_versions_take_statements_and_rows_in_proportion(chain: World, ran: Counter[str]) -> None:
    give_many(chain)
    withdraw(chain)
    ran.clear()
    assert deliver_to(chain, A) == 1
    assert (count_held(chain), outcomes(chain)) == (0, [Outcome.DELETED] * MANY)
    assert ran["statements"] < 30 * MANY
    assert ran["rows"] < 30 * MANY


def test_what_waits_for_people_is_looked_at_in_a_few_statements(chain: World, ran: Counter[str]) -> None:
    give_many(chain, extra=RETENTION)
    withdraw(chain)
    deliver_to(chain, A)
    assert outcomes(chain) == [Outcome.STOPPED] * MANY
    ran.clear()
    assert settle_due(chain.nodes[B]) == 0
    assert ran["statements"] < MANY
    assert ran["rows"] < 10 * MANY


def test_each_is_settled_as_it_would_be_alone(chain: World) -> None:
    give_many(chain)
    withdraw(chain, change=Change.CORRECT)
    deliver_to(chain, A)
    assert (count_held(chain), outcomes(chain)) == (1, [Outcome.REPLACED] * (MANY - 1))
    deliver_to(chain, B)
    assert stages(chain) == [Stage.DONE]


def test_what_is_kept_by_people_is_kept_of_all(chain: World) -> None:
    give_many(chain, extra=RETENTION)
    withdraw(chain)
    deliver_to(chain, A)
    keep_recalled(chain.nodes[B], X, reason="evidence", by=chain.actor(B, Role.LIAISON))
    assert (count_held(chain), outcomes(chain)) == (MANY, [Outcome.KEPT] * MANY)


def test_only_what_is_stopped_still_is_judged_and_in_its_place(chain: World) -> None:
    give_many(chain, extra=RETENTION)
    withdraw(chain)
    deliver_to(chain, A)
    node = chain.nodes[B]
    (told,) = received(chain, B)
    with node.act() as act:
        held = objects.read_versions_of(act.transaction, [X])
        digest = told.stored.letter.digest
        places = {place for place, about in enumerate(told.stored.letter.about) if about.digest == held[0].digest}
        recalls.settle_results(
            act.transaction, digest, {7: Result(outcome=Outcome.KEPT, reason="evidence")}, now=act.now
        )
        retention.delete_versions(act, held[:1], reason="no room", by=None)
        recalled.settle(node, act, digest)
    assert len(places) == 1
    wanted = {7: Outcome.KEPT} | dict.fromkeys(places, Outcome.DELETED)
    assert outcomes(chain) == [wanted.get(place, Outcome.STOPPED) for place in range(MANY)]
    chain.tick(DECISION_TIME)
    assert settle_due(node) == 1
    assert outcomes(chain) == [Outcome.KEPT if place == 7 else Outcome.DELETED for place in range(MANY)]
    assert count_held(chain) == 1
