# SPDX-License-Identifier: Apache-2.0
"""What came several ways is bound by each of them, also when it was deleted and comes again by one alone."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from comity.canonical import Json
from comity.errors import TransitionError
from comity.ids import Instant
from comity.node import retention, sources, usable
from comity.node.explain import explain
from comity.node.sources import Source
from comity.node.steps import finish
from comity.node.usable import Question
from comity.store import objects
from tests.chains import introduce, pull_all, sign_consent, sign_onward
from tests.sources import follow_source
from tests.unit.node.test_consent import A, B, C, D, X, ask, check_all, gives, grant, granted, revoke
from tests.worlds import World, make_object

DAY = 86_400_000_000


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """All give to borealia, which gives cimbria and meridia whatever it may."""
    made = World(tmp_path)
    made.found(A, B, C, D)
    introduce(made, [(A, B), (B, C), (B, D)])
    for name in (C, D):
        sign_onward(made, B, name, listed=[])
    yield made
    made.close()


def give(world: World, name: str) -> None:
    world.add(name, make_object("x"))
    assert pull_all(world, name, B) == {X}
    world.tick()


def delete(world: World) -> None:
    retention.delete(world.nodes[B], X, reason="no need of it")
    world.tick()


def read_source(world: World, *items: dict[str, Json]) -> Source:
    """The source that borealia follows, and a page of it taken in."""
    source = follow_source(world, "http://127.0.0.1:1/")
    assert isinstance(source, Source)
    data = json.dumps({"objects": [*items]}).encode()
    intake = finish(sources.receive_in_steps(world.nodes[B], source, data, position=None))
    assert not intake.bad, intake.bad
    world.tick()
    return source


# --- deleted, and given again -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("order", [(A, C), (C, A)])
def test_the_strictest_way_binds_what_was_deleted_and_comes_again_by_another(
    world: World, order: Sequence[str]
) -> None:
    """Aurelia lets it go to nobody, cimbria to meridia; whoever gave it first gives it again."""
    sign_onward(world, A, B, listed=[])
    sign_onward(world, C, B, listed=[D])
    for name in order:
        give(world, name)
    assert gives(world, B, D) == set()
    delete(world)
    assert pull_all(world, order[0], B) == {X}
    assert gives(world, B, D) == set()
    assert explain(world.nodes[B], X, to=D).verdict.clause == "audience"
    delete(world)
    assert pull_all(world, order[0], B) == {X}
    assert gives(world, B, D) == set()
    check_all(world)


def test_what_was_deleted_by_the_terms_of_one_is_bound_by_them_when_the_other_gives_it_again(world: World) -> None:
    sign_onward(world, C, B, listed=[D])
    rule = '[retention]\nreview_after = "P30D"\nmaximum = "P60D"\nno_decision = "delete"'
    sign_onward(world, A, B, listed=[], extra=rule)
    for name in (C, A):
        give(world, name)
    world.tick(61 * DAY)
    world.nodes[B].read_machine_clock = lambda: world.now
    assert [stone.id for stone in retention.delete_due(world.nodes[B]).stones] == [X]
    assert pull_all(world, C, B) == {X}
    assert gives(world, B, D) == set()
    check_all(world)


def test_a_newer_version_is_bound_by_who_gives_it_alone(world: World) -> None:
    sign_onward(world, A, B, listed=[])
    sign_onward(world, C, B, listed=[D])
    for name in (C, A):
        give(world, name)
    delete(world)
    world.add(C, make_object("x", day=2))
    pull_all(world, C, B)
    assert gives(world, B, D) == {X}


def test_excluded_frameworks_bind_what_comes_again(world: World) -> None:
    sign_onward(world, A, B, listed=[D], extra='excluded_frameworks = ["coalition"]')
    sign_onward(world, C, B, listed=[D])
    for name in (C, A):
        give(world, name)
    delete(world)
    pull_all(world, C, B)
    assert gives(world, B, D) == set()
    assert explain(world.nodes[B], X, to=D).verdict.clause == "frameworks"
    check_all(world)


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_grant_lets_nothing_go_that_a_way_of_before_keeps_back(world: World, when: str) -> None:
    sign_consent(world, A, B)
    give(world, A)
    letter = granted(world) if when == "before" else None
    assert gives(world, B, C) == (set() if letter is None else {X})
    sign_onward(world, D, B, listed=[])
    give(world, D)
    delete(world)
    pull_all(world, A, B)
    world.tick()
    assert gives(world, B, C) == set()
    if letter is None:
        with pytest.raises(TransitionError, match="meridia under terms that know no consent"):
            ask(world)
    else:
        revoke(world, letter)
        world.deliver()
    check_all(world)


def test_a_grant_for_each_way_lets_go_what_was_deleted_and_came_again(world: World) -> None:
    for name in (A, D):
        sign_consent(world, name, B)
        give(world, name)
    delete(world)
    pull_all(world, A, B)
    world.tick()
    first, second = sorted(ask(world).letters, key=lambda letter: letter.to)
    world.deliver()
    grant(world, first)
    world.deliver()
    assert gives(world, B, C) == set()
    last = grant(world, second, name=D)
    world.deliver()
    assert gives(world, B, C) == {X}
    delete(world)
    pull_all(world, A, B)
    assert gives(world, B, C) == {X}
    revoke(world, last, name=D)
    world.deliver()
    assert gives(world, B, C) == set()
    check_all(world)


def test_programs_may_use_what_comes_again_for_no_more_than_before(world: World) -> None:
    sign_onward(world, A, B, listed=[])
    toml = world.terms(giver=C, receivers=(B,), title="more", channel_extra=f"originators = {[*world.nodes]}")
    world.sign_all(toml.replace(b'"internally-visible-actions"', b'"externally-visible-direct-actions"'), proposer=C)
    question = Question(actions="externally-visible-direct-actions")
    node = world.nodes[B]

    def list_used() -> list[str]:
        while usable.learn(node, question.actions):
            pass
        return [item.id for item in usable.list_part(node, question, after=0, until=10, limit=10).items]

    give(world, C)
    assert list_used() == [X]
    give(world, A)
    assert list_used() == []
    delete(world)
    assert pull_all(world, C, B) == {X}
    assert list_used() == []
    with node.store.read() as transaction:
        (held,) = objects.read_versions_of(transaction, [X])
    assert usable.find_use(node, held)[question.actions] is not None


# --- a source beside a partner ----------------------------------------------------------------------------------------


def test_nobody_consents_for_a_source_and_people_are_told_so(world: World) -> None:
    sign_consent(world, A, B)
    read_source(world, make_object("x"))
    give(world, A)
    with pytest.raises(TransitionError, match="north-cert, a source that signs no agreements"):
        ask(world)


def test_a_grant_that_comes_after_a_source_gave_the_same_is_taken(world: World) -> None:
    sign_consent(world, A, B)
    give(world, A)
    (request,) = ask(world).letters
    world.deliver()
    read_source(world, make_object("x"))
    grant(world, request)
    world.deliver()
    assert gives(world, B, C) == set()
    check_all(world)


def test_a_grant_that_runs_out_stops_nothing_else_where_a_source_gave_the_same(world: World) -> None:
    """Every poll ends first what has run out: one that fails then would leave everybody without an answer."""
    sign_consent(world, A, B)
    give(world, A)
    for to, days in ((C, 5), (D, 30)):
        (request,) = ask(world, to=to).letters
        world.deliver()
        grant(world, request, until=Instant(world.now + days * DAY))
        world.deliver()
    assert gives(world, B, C) == gives(world, B, D) == {X}
    read_source(world, make_object("x"))
    world.add(B, make_object("own"))
    world.tick(6 * DAY)
    assert X not in gives(world, B, C) | gives(world, B, D)
    assert len(gives(world, B, C)) == 1
    check_all(world)
