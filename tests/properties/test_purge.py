# SPDX-License-Identifier: Apache-2.0
"""Random histories with purges: every proof verifies, the words are gone, and a loss is told from a purge."""

import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from comity.agreement.people import Role
from comity.errors import LogMismatch, NotFoundError
from comity.node import retention
from comity.node.journal import verify_folder
from comity.node.purge import Forgotten, Selection, purge_by_order
from comity.store import Transaction, log, logs
from comity.tlog.merkle import (
    consistency_proof,
    inclusion_proof,
    leaf_hash,
    root_hash,
    verify_consistency,
    verify_inclusion,
)
from tests.worlds import World, make_object, object_id

pytestmark = pytest.mark.slow

STEPS = st.one_of(
    st.tuples(st.just("add"), st.integers(0, 4)),
    st.tuples(st.just("poll"), st.just(0)),
    st.tuples(st.just("delete"), st.integers(0, 4)),
    st.tuples(st.just("purge"), st.sets(st.integers(0, 30), min_size=1)),
)


def raw(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file())


@given(steps=st.lists(STEPS, min_size=3, max_size=14))
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_what_is_purged_is_gone_and_every_proof_stays(steps: list[tuple[str, int | set[int]]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        world = World(Path(folder))
        world.found("aurelia", "borealia")
        world.sign_all(world.terms())
        try:
            play(world, steps)
        finally:
            world.close()


def play(world: World, steps: list[tuple[str, int | set[int]]]) -> None:
    node = world.nodes["aurelia"]
    gone, names, day = dict[int, bytes](), set[int](), 1
    for kind, what in [*steps, ("poll", 0), ("purge", {*range(0, 40, 3)})]:
        match what:
            case set():
                gone |= purge_some(world, frozenset(what))
            case number if kind == "add":
                day += 1
                world.add("aurelia", make_object(f"word{number}", day=day))
                names.add(number)
            case number if kind == "delete" and number in names:
                retention.delete(node, object_id("report", f"word{number}"), reason="wrong")
                names.remove(number)
            case _:
                world.poll("borealia")
        check(world, gone)


def purge_some(world: World, entries: frozenset[int]) -> dict[int, bytes]:
    """The salts that were purged, by entry."""
    node = world.nodes["aurelia"]
    with node.store.read() as transaction:
        openings = log.read_openings(transaction, 0, 1_000)
    done: object = None
    for role in (Role.LIAISON, Role.LEGAL):
        try:
            done = purge_by_order(node, Selection(entries=entries), reason="order", by=world.actor("aurelia", role))
        except NotFoundError:
            return {}
    assert isinstance(done, Forgotten)
    assert done.gone
    return {p: openings[p].salt for item in done.ranges for p in range(item.first, item.last + 1)}


def check(world: World, gone: dict[int, bytes]) -> None:
    node = world.nodes["aurelia"]
    verified = verify_folder(node.folder)
    assert verified.purged == len(gone)
    left = raw(node.folder)
    assert not any(salt in left for salt in gone.values())
    with node.store.read() as transaction:
        for number in (log.HOUSE, *(each.number for each in logs.list_logs(transaction))):
            check_proofs(transaction, number)
        opened = {*log.read_openings(transaction, 0, verified.size)}
    assert opened == {*range(verified.size)} - {*gone}


def check_proofs(transaction: Transaction, number: int) -> None:
    """Every leaf of a log is in its tree, and every tree it had is the beginning of the last."""
    heads = log.read_heads(transaction, number)
    size = heads[-1][0]

    def read_tile(level: int, index: int) -> bytes:
        return log.read_tile(transaction, level, index, number)

    root = root_hash(read_tile, size)
    for place, leaf in enumerate(log.read_leaves(transaction, number, 0, size)):
        proof = inclusion_proof(read_tile, place, size)
        verify_inclusion(leaf_hash(leaf), index=place, size=size, proof=proof, root=root)
    for older, _ in heads:
        proof = consistency_proof(read_tile, older, size)
        verify_consistency(older, size, proof, root_hash(read_tile, older), root)


def test_a_history_that_only_lost_is_not_taken_for_one_that_purged() -> None:
    with tempfile.TemporaryDirectory() as folder:
        world = World(Path(folder))
        world.found("aurelia")
        node = world.nodes["aurelia"]
        with node.store.write() as transaction:
            transaction.run("DELETE FROM log_opening WHERE position = 1")
        with pytest.raises(LogMismatch, match="entry 1 has lost its content, and no purge"):
            verify_folder(node.folder)
        world.close()
