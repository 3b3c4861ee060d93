# SPDX-License-Identifier: Apache-2.0
"""What is older than a version that may not come here goes to nobody, in whichever order they come."""

import json
from collections.abc import Iterator, Sequence
from itertools import permutations
from pathlib import Path

import pytest

from comity.canonical import Json
from comity.node import accept, sources
from comity.node.explain import explain, show_object
from comity.node.follow import plan_pull
from comity.node.ingest import Intake
from comity.node.receive import Received, receive_page
from comity.node.sources import Source
from comity.node.steps import finish
from comity.release.usable import find_obstacle
from comity.store import objects
from tests.chains import give_all, introduce, sign_onward
from tests.sources import follow_source, make_record
from tests.unit.node.test_consent import A, B, C, D, X, check_all, gives
from tests.worlds import World, make_object, object_id

GREEN, RED = make_object("x"), make_object("x", day=2, tlp="red")
NEWER = make_object("x", day=3)
Y = object_id("report", "y")


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """Aurelia and cimbria give borealia what meridia may have too, up to amber."""
    made = World(tmp_path)
    made.found(A, B, C, D)
    introduce(made, [(A, B), (B, C), (B, D)])
    for name in (A, C):
        sign_onward(made, name, B, listed=[D])
    sign_onward(made, B, D, listed=[])
    yield made
    made.close()


def take(world: World, giver: str, *items: dict[str, Json], title: str | None = None) -> Intake:
    """A page of these from a node that keeps to no terms."""
    targets = plan_pull(world.nodes[B], world.nodes[giver].party)
    (target,) = (each for each in targets if each.title == (title or f"{giver} to {B}"))
    received = Received(
        giver=target.giver,
        terms=target.terms,
        channel=target.channel,
        collection=target.collection,
        added_after=None,
    )
    data = json.dumps({"objects": [*items]}).encode()
    intake = receive_page(world.nodes[B], data, received)
    world.tick()
    return intake


def give_versions(world: World) -> set[Json]:
    """The versions of x that borealia gives meridia."""
    pages = give_all(world, B, D).values()
    return {json.loads(item.data)["modified"] for page in pages for item in page.items if item.id == X}


@pytest.mark.parametrize("order", list(permutations((GREEN, RED))))
@pytest.mark.parametrize("at_once", [True, False])
def test_nothing_goes_that_a_newer_version_restricts_which_may_not_come(
    world: World, order: Sequence[dict[str, Json]], at_once: bool
) -> None:
    for page in [order] if at_once else [[item] for item in order]:
        take(world, A, *page)
    assert gives(world, B, D) == set()
    assert explain(world.nodes[B], X, to=D).verdict.decision == "withhold"
    check_all(world)


@pytest.mark.parametrize("order", list(permutations((GREEN, RED, NEWER))))
def test_a_newer_version_than_that_goes_and_the_older_one_does_not(
    world: World, order: Sequence[dict[str, Json]]
) -> None:
    for item in order:
        take(world, A, item)
    assert give_versions(world) == {NEWER["modified"]}


def test_the_reason_is_said_and_holds_for_what_refers_to_it(world: World) -> None:
    take(world, A, RED, make_object("y", refs=[X]))
    take(world, A, GREEN)
    node = world.nodes[B]
    for name in (X, Y):
        verdict = explain(node, name, to=D).verdict
        assert verdict.clause == "markings"
        assert verdict.reason is not None
        assert "came after a version that its giver may not give here, and is no newer" in verdict.reason
        said = find_obstacle(show_object(node, name).label, acts=False)
        assert said == "it is no newer than a version that may not come here, or refers to one that is not"
    assert gives(world, B, D) == set()


def test_what_one_giver_may_not_give_overtakes_nothing_that_another_gives(world: World) -> None:
    take(world, A, RED)
    take(world, C, GREEN)
    assert gives(world, B, D) == {X}


def test_what_comes_after_all_overtakes_nothing_any_more(world: World) -> None:
    """Other terms let it come, and then its own label binds what is older."""
    originators = f"originators = {[*world.nodes, 'own']}"
    for giver, receiver, title in ((A, B, "more"), (B, D, "on")):
        onward = f'onward = "listed"\nreleasable_to = ["{D}"]' if giver == A else 'onward = "none"'
        toml = world.terms(giver=giver, receivers=(receiver,), title=title, tlp="red", channel_extra=originators)
        world.sign_all(toml.replace(b'onward = "none"', onward.encode()), proposer=giver)
    take(world, A, RED)
    assert take(world, A, RED, title="more").added == (X,)
    take(world, A, GREEN)
    assert give_versions(world) == {RED["modified"]}
    with world.nodes[B].store.read() as transaction:
        held = objects.read_versions_of(transaction, [X])
        labels = objects.read_labels(transaction, {item.label for item in held})
    assert [(label.tlp, label.markings) for label in labels.values()] == [("red", frozenset())]
    check_all(world)


def test_what_a_partner_writes_is_held_to_the_same_and_it_is_not_told(world: World) -> None:
    node = world.nodes[B]
    (target,) = accept.list_write_collections(node, A)
    stray, older = (
        accept.accept_objects(node, json.dumps({"objects": [item]}).encode(), giver=A, collection=target.id)
        for item in (RED, GREEN)
    )
    assert isinstance(stray, accept.Status)
    assert isinstance(older, accept.Status)
    assert [(one.failures == (), one.successes == ()) for one in (stray, older)] == [(False, True), (True, False)]
    assert gives(world, B, D) == set()


@pytest.mark.parametrize("later", [[GREEN], [make_object("x", tlp="clear"), GREEN]])
def test_a_source_is_held_to_the_same(world: World, later: list[dict[str, Json]]) -> None:
    toml = world.terms(giver=B, receivers=(D,), title="of sources", channel_extra='originators = ["north-cert"]')
    world.sign_all(toml, proposer=B)
    source = follow_source(world, "http://127.0.0.1:1/", make_record(extra=f'onward_to = ["{D}"]'))
    assert isinstance(source, Source)
    for page in ([RED, make_object("other")], later):
        data = json.dumps({"objects": page}).encode()
        finish(sources.receive_in_steps(world.nodes[B], source, data, position=None))
        world.tick()
    assert gives(world, B, D) == {object_id("report", "other")}
    check_all(world)
