# SPDX-License-Identifier: Apache-2.0
"""RETRACTED: whatever two partners write and take back in whatever order, each takes back its own and learns nothing.

In one world meridia writes too, under the same ids; in the other it does not. What borealia is told is the same in
both. Cimbria is given what both wrote, at any time.
"""

import json
from collections.abc import Iterator
from itertools import count

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from comity.canonical import Json
from comity.ids import Digest, Instant, ObjectId, PartyId, parse_instant
from comity.node.accept import Status, accept_objects, list_write_collections, read_status
from comity.node.audit import audit_folder
from comity.node.poll import VersionChoice
from comity.node.retraction import Retraction, retract
from tests.chains import introduce, sign_onward
from tests.worlds import World, make_object, object_id

pytestmark = pytest.mark.slow

A, B, C, D = map(PartyId, ("aurelia", "borealia", "cimbria", "meridia"))
DAY = 86_400_000_000
Kept = dict[tuple[ObjectId, Instant], tuple[Digest, frozenset[str]]]
"""Each version held, with the digest of its bytes and by whom it came."""

_EXAMPLES = count()

choices = st.one_of(
    st.just(VersionChoice(last=False, every=True)),
    st.builds(VersionChoice, last=st.booleans(), first=st.booleans()),
    st.builds(
        lambda days: VersionChoice(last=False, exact=frozenset(map(day, days))), st.sets(st.integers(1, 4), min_size=1)
    ),
)
writes = st.tuples(st.sampled_from([B, D]), st.sampled_from("xyz"), st.integers(1, 3), st.sampled_from([None, None, 7]))
steps = st.lists(
    st.one_of(
        writes,
        st.tuples(st.sampled_from([B, B, D]), st.sampled_from("xyz"), choices),
        st.just(("read",)),
    ),
    min_size=2,
    max_size=12,
)


def day(number: int) -> Instant:
    return Instant(parse_instant("2025-01-01T00:00:00Z") + number * DAY)


@pytest.fixture(scope="module")
def worlds(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[World, World]]:
    made = []
    for name in ("having", "lacking"):
        world = World(tmp_path_factory.mktemp(name))
        world.found(A, B, C, D)
        introduce(world, [(A, C)])
        for giver in (B, D):
            sign_onward(world, giver, A, listed=[C])
        sign_onward(world, A, C, listed=[])
        made.append(world)
    yield made[0], made[1]
    for world in made:
        audited = audit_folder(world.nodes[A].folder, now=world.now)
        assert audited.found == 0, audited.findings
        world.close()


def read_kept(world: World) -> Kept:
    with world.nodes[A].store.read() as transaction:
        rows = transaction.rows(
            "SELECT o.id, o.version_at, o.digest, (SELECT group_concat(a.giver) FROM arrival a WHERE a.object = o.pk)"
            " FROM object o"
        )
    return {
        (ObjectId(name), Instant(at)): (Digest(digest), frozenset((by or "").split(",")))
        for name, at, digest, by in rows
    }


def write(world: World, giver: PartyId, item: dict[str, Json]) -> list[object]:
    """What the writer is told, now and when it asks again; without what is random or a time."""
    (target,) = list_write_collections(world.nodes[A], giver)
    done = accept_objects(world.nodes[A], json.dumps({"objects": [item]}).encode(), giver=giver, collection=target.id)
    assert isinstance(done, Status)
    again = read_status(world.nodes[A], party=giver, name=done.id)
    return [(each.successes, each.failures, each.pendings) for each in (done, again)]


def take_back(world: World, giver: PartyId, item: ObjectId, versions: VersionChoice) -> None:
    """Nothing is gone but what came from that giver; and with all versions, all of it."""
    before = read_kept(world)
    (target,) = list_write_collections(world.nodes[A], giver)
    done = retract(world.nodes[A], giver=giver, collection=target.id, item=item, versions=versions)
    assert isinstance(done, Retraction)
    after = read_kept(world)
    gone = before.keys() - after.keys()
    assert {place: said for place, said in before.items() if place not in gone} == after
    assert all(name == item and giver in before[name, at][1] for name, at in gone)
    assert {at for _, at in gone} == {one.version_at for one in done.versions}
    if versions.every:
        assert not [place for place, (_, by) in after.items() if place[0] == item and giver in by]
    given = {ObjectId(name) for name in world.read(C)}
    assert given <= {name for name, _ in after}


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(steps)
def test_each_takes_back_its_own_and_is_told_the_same_whatever_others_gave(
    worlds: tuple[World, World], script: list[tuple[object, ...]]
) -> None:
    example = next(_EXAMPLES)
    told = []
    for world, silent in zip(worlds, (False, True), strict=True):
        heard = list[object]()
        for step in script:
            world.tick()
            match step:
                case (str() as giver, str(name), int(number), confidence):
                    if giver == D and silent:
                        continue
                    more: dict[str, Json] = {} if confidence is None else {"confidence": 7}
                    said = write(world, PartyId(giver), make_object(f"{name} {example}", day=number, more=more))
                    heard += said if giver == B else []
                case (str() as giver, str(name), VersionChoice() as versions):
                    if giver == D and silent:
                        continue
                    take_back(world, PartyId(giver), object_id("report", f"{name} {example}"), versions)
                case _:
                    world.read(C)
        told.append(heard)
    assert told[0] == told[1]
