# SPDX-License-Identifier: Apache-2.0
"""A bundle is taken in as its objects are one by one, whatever its parts, and whoever reads in between is told nothing
that the whole bundle forbids."""

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest.mock import patch

from hypothesis import event, given, settings
from hypothesis import strategies as st

from comity.canonical import Json
from comity.ids import PartyId
from comity.node import accept, ingest
from comity.node.accept import Status, accept_in_steps, list_write_collections
from comity.node.ingest import add_in_steps
from comity.node.node import Node
from comity.node.retention import delete
from comity.node.steps import finish
from comity.stix.labels import UNRESOLVED, make_tags
from comity.store import Transaction
from tests.worlds import World, make_object, object_id

BOREALIA = PartyId("borealia")
NAMES = "abcdefg"
STATEMENT = "statement"


@dataclass(frozen=True, slots=True)
class Item:
    """One version of a report, or of the definition of a statement."""

    name: str
    day: int
    tlp: str
    refs: frozenset[str]
    marked: bool

    def make(self) -> dict[str, Json]:
        if self.name == STATEMENT:
            return {
                "type": "marking-definition",
                "spec_version": "2.1",
                "id": object_id("marking-definition", STATEMENT),
                "created": "2025-01-01T00:00:00.000Z",
                "definition_type": "statement",
                "definition": {"statement": "Ashfall"},
            }
        made = make_object(
            self.name, tlp=self.tlp, refs=[object_id("report", ref) for ref in sorted(self.refs)], day=self.day
        )
        if self.marked:
            marks = made["object_marking_refs"]
            assert isinstance(marks, list)
            made["object_marking_refs"] = [*marks, object_id("marking-definition", STATEMENT)]
        return made


ITEMS = st.builds(
    Item,
    name=st.sampled_from(NAMES),
    day=st.integers(1, 3),
    tlp=st.sampled_from(("green", "green", "amber", "red")),
    refs=st.frozensets(st.sampled_from(NAMES), max_size=2),
    marked=st.sampled_from((False, False, False, True)),
)
DEFINITION = st.just(Item(STATEMENT, 1, "green", frozenset(), marked=False))


def bundles(most: int) -> st.SearchStrategy[list[Item]]:
    return st.lists(ITEMS | ITEMS | ITEMS | DEFINITION, max_size=most, unique_by=lambda item: (item.name, item.day))


def encode(*items: Item) -> bytes:
    return json.dumps({"objects": [item.make() for item in items]}).encode()


@contextmanager
def open_world() -> Iterator[World]:
    """Borealia gives Aurelia in one channel, and Aurelia gives Borealia in another."""
    with TemporaryDirectory() as folder, closing(World(Path(folder))) as world:
        world.found("aurelia", "borealia")
        world.sign_all(world.terms(giver="borealia", receivers=("aurelia",), tlp="red"), proposer="borealia")
        world.sign_all(world.terms(types=("report", "marking-definition")))
        yield world


def write(node: Node, *items: Item, alone: Iterable[bool] = ()) -> Status:
    (target,) = list_write_collections(node, BOREALIA)
    said = iter(alone)
    status = finish(
        accept_in_steps(node, encode(*items), giver=BOREALIA, collection=target.id, is_alone=lambda: next(said, False))
    )
    assert isinstance(status, Status)
    return status


def prepare(world: World, own: list[Item], given: list[Item], deleted: set[str]) -> Node:
    """Aurelia's node, holding objects of its own and of Borealia, some deleted again."""
    node = world.nodes["aurelia"]
    for item in own:
        world.add("aurelia", item.make())
    for item in given:
        write(node, item)
    with node.store.read() as transaction:
        held = {name for (name,) in transaction.rows("SELECT DISTINCT id FROM object")}
    for name in sorted(deleted):
        if object_id("report", name) in held:
            delete(node, object_id("report", name), reason="asked to")
    return node


def describe(transaction: Transaction) -> dict[str, object]:
    """All that is held, but for keys, places and times."""
    objects = (
        "SELECT o.id, o.version, o.digest, o.originator, o.received_under IS NULL, o.current, s.body, l.body, b.data"
        " FROM object o JOIN label s ON s.id = o.own_label JOIN label l ON l.id = o.label"
        " JOIN body b ON b.object = o.pk"
    )
    queries = {
        "objects": objects,
        "references": "SELECT o.id, o.version, r.target FROM reference r JOIN object o ON o.pk = r.object",
        "arrivals": "SELECT o.id, o.version, a.giver FROM arrival a JOIN object o ON o.pk = a.object",
        "counts": "SELECT l.body, c.type, c.originator, c.objects FROM label_count c JOIN label l ON l.id = c.label",
        "tombstones": "SELECT id, version, digest, originator FROM tombstone",
        "unkept": "SELECT id, version, substr(reason, 1, 80) FROM unkept",
    }
    return {name: sorted(transaction.rows(sql), key=repr) for name, sql in queries.items()}


def check_places(transaction: Transaction) -> None:
    """Counts are those of the objects; every place is taken once, and none is beyond the last."""
    rows = transaction.rows("SELECT label, type, originator FROM object WHERE current = 1")
    counted = {row[:3]: row[3] for row in transaction.rows("SELECT label, type, originator, objects FROM label_count")}
    assert counted == Counter(rows)
    assert transaction.rows("SELECT pk FROM object WHERE first_seq > seq") == []
    assert (
        transaction.rows(
            "SELECT seq FROM object WHERE seq > (SELECT CAST(value AS INTEGER) FROM meta WHERE name = 'seq')"
        )
        == []
    )
    assert transaction.rows("SELECT id FROM object GROUP BY id HAVING SUM(current) <> 1") == []


@settings(max_examples=20, deadline=None)
@given(
    bundles(4),
    bundles(4),
    st.sets(st.sampled_from(NAMES), max_size=2),
    bundles(9),
    st.tuples(st.integers(1, 4), st.lists(st.booleans(), max_size=9)),
)
def test_an_envelope_is_taken_in_as_its_objects_are_one_by_one(
    own: list[Item], given_before: list[Item], deleted: set[str], sent: list[Item], parts: tuple[int, list[bool]]
) -> None:
    most, alone = parts
    found, failed = [], []
    # A definition is known to be a statement from the moment it is held, and to a whole bundle that it is in.
    first = sorted(sent, key=lambda item: item.name != STATEMENT)
    for envelopes in ([sent] if sent else [], [[item] for item in first]):
        with open_world() as world, patch.object(accept, "PART_OBJECTS", most):
            node = prepare(world, own, given_before, deleted)
            done = [write(node, *envelope, alone=alone) for envelope in envelopes]
            failed.append(sorted(item.id for status in done for item in status.failures))
            with node.store.read() as transaction:
                found.append(describe(transaction))
                check_places(transaction)
    assert found[0] == found[1]
    assert failed[0] == failed[1] == []


def read_labels(node: Node, ids: set[str]) -> dict[tuple[str, str], bytes]:
    with node.store.read() as transaction:
        rows = transaction.rows("SELECT o.id, o.version, l.body FROM object o JOIN label l ON l.id = o.label")
    return {(name, version): body for name, version, body in rows if name in ids}


@settings(max_examples=40, deadline=None)
@given(bundles(5), bundles(9), bundles(3), st.integers(1, 3), st.integers(0, 9))
def test_whoever_reads_between_two_parts_finds_things_judged_as_at_the_end_or_withheld(
    own: list[Item], sent: list[Item], others: list[Item], most: int, when: int
) -> None:
    """Also where something else comes in between two parts: then what the rest refers to was held before it."""
    with open_world() as world, patch.object(ingest, "PART_OBJECTS", most):
        node = prepare(world, own, [], set())
        ids = {str(item.make()["id"]) for item in sent}
        between = list[dict[tuple[str, str], bytes]]()
        given_between = list[dict[str, bytes]]()
        begun = read_labels(node, ids)
        disturbed = False
        for number, _ in enumerate(add_in_steps(node, encode(*sent), tags=make_tags())):
            given_between.append(world.read("borealia"))
            fresh = [item.make() for item in others if item.name not in {one.name for one in sent}]
            if number == when and fresh:
                # From here on what was taken in before may be judged anew: by what came from elsewhere.
                world.add("aurelia", *fresh)
                disturbed = True
            if not disturbed:
                between.append({key: body for key, body in read_labels(node, ids).items() if key not in begun})
        end, given_at_the_end = read_labels(node, ids), world.read("borealia")
        event(f"{len(given_between)} turns")
        if not disturbed:
            for labels in between:
                # What waits for an object of a later part, by way of what is held, is given to nobody.
                settled = {key: body for key, body in labels.items() if UNRESOLVED.encode() not in body}
                assert settled.items() <= end.items()
            held_before = {name for name, _ in begun}
            for given in given_between:
                new = {name: data for name, data in given.items() if name in ids - held_before}
                assert new.items() <= given_at_the_end.items()
        with node.store.read() as transaction:
            check_places(transaction)


@settings(max_examples=15, deadline=None)
@given(bundles(9), st.integers(1, 3), st.integers(1, 6))
def test_an_envelope_that_was_cut_short_is_whole_when_it_comes_again(sent: list[Item], most: int, cut: int) -> None:
    if not sent:
        return
    with open_world() as world, patch.object(accept, "PART_OBJECTS", most):
        node = prepare(world, [], [], set())
        (target,) = list_write_collections(node, BOREALIA)
        turns = accept_in_steps(node, encode(*sent), giver=BOREALIA, collection=target.id)
        for _, _ in zip(range(cut), turns, strict=False):
            pass
        turns.close()
        again = write(node, *sent)
        assert len(again.successes) == len(sent)
        with node.store.read() as transaction:
            found = describe(transaction)
            check_places(transaction)
    with open_world() as world:
        node = prepare(world, [], [], set())
        write(node, *sent)
        with node.store.read() as transaction:
            assert describe(transaction) == found
