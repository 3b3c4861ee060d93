# SPDX-License-Identifier: Apache-2.0
"""RECALLED: whatever way an object took, and however letters are lost, doubled and overtaken, a recall ends everywhere.

Five real nodes, every one of which gives every other what it holds: circles, and several ways to each. Objects go along
random pulls, before, while and after their recall is under way. Once all letters are delivered nobody but the
originator holds them, nobody gives them to anybody, and everybody has acknowledged.
"""

from collections.abc import Iterator
from contextlib import suppress
from random import Random

import pytest

from comity.agreement.events import EventKind
from comity.agreement.people import Role
from comity.agreement.work import WorkKind
from comity.errors import ComityError, TransitionError
from comity.ids import ObjectId, PartyId
from comity.letters.bodies import LetterKind
from comity.letters.recall import Change, Outcome
from comity.node import correspond
from comity.node.audit import audit_folder
from comity.node.outbox import list_due, settle
from comity.node.recall import Recalling, recall
from comity.node.work import list_work
from comity.store import letters, objects, recalls
from comity.store.letters import LetterState
from tests.chains import give_all, introduce, pull_all, sign_onward
from tests.worlds import World, make_object, object_id

pytestmark = pytest.mark.slow

NAMES = ("aurelia", "borealia", "cimbria", "meridia", "ostania")
OBJECTS = 3


AGREEMENTS: dict[tuple[str, str], str] = {}
"""Between giver and receiver, once the world is made."""


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    made = World(tmp_path_factory.mktemp("recalls"))
    made.found(*NAMES)
    pairs = [(giver, receiver) for giver in NAMES for receiver in NAMES if giver != receiver]
    introduce(made, [(one, other) for one, other in pairs if one < other])
    for giver, receiver in pairs:
        listed = [name for name in NAMES if name != receiver]
        AGREEMENTS[giver, receiver] = sign_onward(made, giver, receiver, listed=listed)
    yield made
    made.close()


def post(world: World, random: Random, name: str) -> None:
    """Some of the messages of `name` on their way: in any order, some twice, some lost and to be tried again."""
    messages = list_due(world.nodes[name])
    random.shuffle(messages)
    for message in messages:
        lost = random.random() < 0.3
        # Of half of those that are lost it is the answer that is: the message came.
        times = random.choice((0, 1)) if lost else random.choice((1, 1, 2))
        try:
            for _ in range(times):
                correspond.receive_any(world.nodes[message.party], message.envelope)
        except ComityError as error:
            settle(world.nodes[name], message, problem=error.detail)
        else:
            settle(world.nodes[name], message, problem="lost" if lost else None)


def pull(world: World, giver: str, receiver: str) -> None:
    """A pull; none where the agreement is suspended."""
    with suppress(TransitionError):
        pull_all(world, giver, receiver)


def holders(world: World, item: ObjectId) -> set[str]:
    found = set[str]()
    for name, node in world.nodes.items():
        with node.store.read() as transaction:
            if objects.read_versions_of(transaction, [item]):
                found.add(name)
    return found


def check_stopped(world: World, name: str, item: ObjectId) -> None:
    """From the moment on at which a node has it as recalled, no feed of it gives it."""
    with world.nodes[name].store.read() as transaction:
        if not recalls.read_recalled(transaction, [item]):
            return
    for receiver in NAMES:
        given = {one.id for page in give_all(world, name, receiver).values() for one in page.items}
        assert item not in given


@pytest.mark.parametrize("seed", range(10))
def test_a_recall_ends_everywhere(world: World, seed: int) -> None:
    random = Random(seed)
    originator = random.choice(NAMES)
    made = [f"{seed} {number}" for number in range(OBJECTS)]
    ids = [object_id("report", name) for name in made]
    world.add(originator, *(make_object(name) for name in made))
    pairs = [(giver, receiver) for giver in NAMES for receiver in NAMES if giver != receiver]
    left = [*ids]
    giver, receiver = random.choice(pairs)
    for _ in range(random.randint(10, 40)):
        step = random.random()
        if step < 0.55:
            pull(world, *random.choice(pairs))
        elif step < 0.7 and left:
            item = left.pop()
            by = world.actor(originator, Role.LIAISON)
            node = world.nodes[originator]
            done = recall(node, item, change=Change.WITHDRAW, versions=(), reason="wrong", by=by)
            assert isinstance(done, Recalling)
        else:
            post(world, random, random.choice(NAMES))
        world.tick(random.randint(1, 400_000_000))
        check_stopped(world, random.choice(NAMES), random.choice(ids))
    kept = left
    world.act(receiver, AGREEMENTS[giver, receiver], EventKind.SUSPEND)
    for _ in range(200):
        if not any(list_due(node) for node in world.nodes.values()):
            break
        post(world, random, random.choice(NAMES))
        world.tick(400_000_000)
    world.deliver()
    for item in set(ids) - set(kept):
        check_ended(world, originator, item)
    for item in kept:
        assert originator in holders(world, item)
    world.act(receiver, AGREEMENTS[giver, receiver], EventKind.RESUME)
    world.deliver()


def check_ended(world: World, originator: str, item: ObjectId) -> None:
    assert holders(world, item) == {originator}
    for name, node in world.nodes.items():
        check_stopped(world, name, item)
        with node.store.read() as transaction:
            sent = letters.list_about(transaction, item, LetterKind.RECALL, sent=True)
            came = letters.list_about(transaction, item, LetterKind.RECALL, sent=False)
            told = {stored.party for stored in sent}
            assert {stored.state for stored in sent} <= {LetterState.CLOSED}
            # Refused: by whom a node had given it, who gave it back and recalled it before its giver had.
            assert {stored.state for stored in came} <= {LetterState.CLOSED, LetterState.REFUSED}
            results = [recalls.read_results(transaction, stored.letter.digest) for stored in came]
        assert {result.outcome for each in results for result in each} <= {Outcome.DELETED, Outcome.ABSENT}
        # Whoever was given it was told by its giver.
        assert {other for other in NAMES if was_given(world, node.party, other, item)} <= told
    assert not [
        waiting
        for node in world.nodes.values()
        for waiting in list_work(node)
        if waiting.kind in {WorkKind.RECALL_UNACKNOWLEDGED, WorkKind.RECALL_TO_DECIDE}
    ]


def was_given(world: World, giver: PartyId, recipient: str, item: ObjectId) -> bool:
    """Whether the log of `giver` says so, read without the code under test."""
    with world.nodes[giver].store.read() as transaction:
        rows = transaction.rows(
            "SELECT e.leaf, l.data FROM log_entry e JOIN log_opening o USING (position)"
            " JOIN log_listing l ON l.id = o.listing"
        )
    return any(f'"recipient":"{recipient}"'.encode() in leaf and item.encode() in data for leaf, data in rows)


def test_the_logs_of_all_are_as_they_should_be(world: World) -> None:
    for name, node in world.nodes.items():
        audited = audit_folder(node.folder, now=world.now)
        assert audited.found == 0, (name, audited.findings)
