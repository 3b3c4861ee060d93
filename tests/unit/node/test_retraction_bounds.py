# SPDX-License-Identifier: Apache-2.0
"""However many versions one partner takes back at once: the work grows with them and no faster, and stays legible."""

import json
from collections import Counter
from typing import Any

import pytest

from comity.agreement.people import Role
from comity.canonical import SIGNED_LIMITS, canonical_bytes
from comity.errors import MalformedRequest
from comity.ids import Instant
from comity.letters.recall import Outcome
from comity.node import retention, retraction
from comity.node.accept import read_status
from comity.node.audit import audit_folder
from comity.node.journal import list_entries
from comity.node.recall import keep_recalled, list_taken_back
from comity.node.retraction import Retraction, settle_retractions_due
from comity.node.sealing import Act
from comity.node.upkeep import keep_up
from comity.node.withdrawal import DECISION_TIME
from comity.release.disclosure import EntryType
from comity.store import Transaction, objects
from tests.chains import pull_all
from tests.unit.node import test_retraction as single
from tests.unit.node.test_retraction import (
    DAY,
    RETENTION,
    A,
    B,
    C,
    X,
    check_all,
    held_days,
    outcomes,
    sign,
    take_back,
    write,
)
from tests.worlds import World, make_object, object_id

world = single.world
MANY = 1_000


def versions(many: int) -> list[dict[str, Any]]:
    return [make_object("x", day=number) for number in range(many)]


def settled(world: World) -> Retraction:
    (kept, *_) = list_taken_back(world.nodes[A], limit=1)
    return kept.retraction


def retraction_entries(world: World) -> list[Any]:
    entries = list_entries(world.nodes[A], start=0, limit=10_000)
    found: list[Any] = [entry.content for entry in entries if entry.leaf.type is EntryType.RECALL]
    return [content for content in found if content["format"] == "comity-retraction/1"]


def test_a_thousand_versions_take_statements_and_rows_in_proportion(world: World, ran: Counter[str]) -> None:
    sign(world)
    write(world, *versions(MANY))
    ran.clear()
    done = take_back(world)
    assert len(done.versions) == MANY
    assert ran["statements"] < 30 * MANY
    assert ran["rows"] < 30 * MANY
    ran.clear()
    keep_up(world.nodes[A])
    assert held_days(world) == []
    assert ran["statements"] < 30 * MANY
    assert ran["rows"] < 30 * MANY


def test_what_waits_for_people_is_looked_at_in_a_few_statements(world: World, ran: Counter[str]) -> None:
    sign(world, extra=RETENTION)
    write(world, *versions(MANY))
    take_back(world)
    ran.clear()
    assert settle_retractions_due(world.nodes[A]) == 0
    assert ran["statements"] < 20
    assert ran["rows"] < 5 * MANY


def test_all_stop_in_the_act_and_the_rest_is_deleted_by_upkeep(world: World) -> None:
    """No entry is too long, no version goes anywhere in between, and the writer is told the same all along."""
    sign(world)
    shown = write(world, *versions(MANY))
    write(world, make_object("x", day=MANY))
    node = world.nodes[A]
    assert X in pull_all(world, A, C)
    told = [read_status(node, party=B, name=shown.id)]
    done = take_back(world)
    assert Counter(outcomes(done)) == {Outcome.DELETED: 500, Outcome.STOPPED: 501}
    assert world.read(C) == {}
    told.append(read_status(node, party=B, name=shown.id))
    named = [[item["version"] for item in content["objects"]] for content in retraction_entries(world)]
    assert [len(part) for part in named] == [500, 500, 1]
    assert [version for part in named for version in part] == [one.version for one in done.versions]
    check_all(world)
    for left in (1, 0, 0):
        keep_up(node)
        world.tick()
        assert len(held_days(world)) == left
        assert world.read(C) == {}
    assert settled(world).due_at is None
    told.append(read_status(node, party=B, name=shown.id))
    assert told[0] == told[1] == told[2]
    assert take_back(world).versions == ()
    check_all(world)


def test_no_entry_of_many_versions_deleted_before_passes_the_limit(world: World) -> None:
    sign(world)
    for number in range(2):
        write(world, *versions(MANY * 2)[number * MANY : (number + 1) * MANY])
    with world.nodes[A].act() as act:
        held = objects.read_versions_of(act.transaction, [X])
        retention.delete_versions(act, held, reason="no room", by=None)
    done = take_back(world)
    assert len(done.versions) == MANY * 2
    with world.nodes[A].store.read() as transaction:
        (longest,) = transaction.row("SELECT MAX(length(content)) FROM log_opening") or (0,)
    assert longest < SIGNED_LIMITS.max_bytes // 8
    assert len(retraction_entries(world)) == 4
    audited = audit_folder(world.folder / A, now=world.now)
    assert audited.found == 0, audited.findings


def test_what_is_kept_by_people_in_between_is_kept(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retraction, "_MOST", 2)
    sign(world)
    write(world, *versions(5))
    take_back(world)
    keep_recalled(world.nodes[A], X, reason="evidence", by=world.actor(A, Role.LIAISON))
    assert outcomes(settled(world)) == [Outcome.DELETED] * 2 + [Outcome.KEPT] * 3
    keep_up(world.nodes[A])
    assert len(held_days(world)) == 3
    check_all(world)


def test_at_its_date_a_batch_is_deleted_at_a_time(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retraction, "_MOST", 2)
    sign(world, extra=RETENTION)
    write(world, *versions(5), make_object("y"))
    take_back(world)
    take_back(world, object_id("report", "y"))
    world.tick(15 * DAY)
    left = list[int]()
    for _ in range(4):
        keep_up(world.nodes[A])
        left.append(len(held_days(world)))
    assert left == [3, 1, 0, 0]
    assert not single.is_held(world, A, object_id("report", "y"))
    check_all(world)


@pytest.mark.parametrize(
    ("places", "said"),
    [
        ((range(2), range(4, 5)), "do not name every version"),
        ((range(2), range(2), range(2, 4), range(4, 5)), "is in the log twice"),
        ((range(2), range(3, 1, -1), range(4, 5)), "is kept as another one"),
        ((range(2), range(2, 4), range(4, 5), range(0)), "is kept as another one"),
        ((range(2), range(2, 4), range(4, 5)), ""),
        ((range(5),), ""),
    ],
)
def test_the_audit_sees_entries_that_are_not_all_and_each_once(
    world: World, monkeypatch: pytest.MonkeyPatch, places: tuple[range, ...], said: str
) -> None:
    """The mutants that leave a part out, put one on record again, or put one out of order."""
    sign(world)
    write(world, *versions(5))
    with world.nodes[A].store.read() as transaction:
        held = objects.read_versions_of(transaction, [X])
    plain = Act.record

    def record(self: Act, kind: EntryType, content: bytes, **facts: Any) -> int | None:  # noqa: ANN401 (as it comes)
        if b"comity-retraction/1" not in content:
            return plain(self, kind, content, **facts)
        said = json.loads(content)
        for part in places:
            said["objects"] = [{"id": X, "version": held[at].version, "digest": held[at].digest} for at in part]
            plain(self, kind, canonical_bytes(said), **{**facts, "count": len(part)})
        return None

    monkeypatch.setattr(Act, "record", record)
    take_back(world)
    found = single.findings(world)
    assert said in found if said else not found


def test_nothing_illegible_goes_on_record(world: World) -> None:
    node = world.nodes[A]
    before = len(list_entries(node, start=0, limit=10_000))
    over = b"x" * (SIGNED_LIMITS.max_bytes + 1)

    def record() -> None:
        with node.act() as act:
            act.record(EntryType.RECALL, b"{}", terms=None, recipient=None, count=0)
            act.record(EntryType.RECALL, over[:-1], terms=None, recipient=None, count=0)
            act.record(EntryType.RECALL, over, terms=None, recipient=None, count=0)

    with pytest.raises(MalformedRequest, match="an entry of the log holds at most"):
        record()
    assert len(list_entries(node, start=0, limit=10_000)) == before


def test_one_look_reads_as_much_however_much_waits_and_what_is_late_first(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A partner can have as much wait as it may write in two weeks, and everybody else waits for the look."""
    sign(world, extra=RETENTION)
    names = ("x", "y", "z")
    write(world, *(make_object(name) for name in names))
    for name in names:
        take_back(world, object_id("report", name))
    looked, plain = list[Retraction](), retraction._is_due

    def note(transaction: Transaction, stored: Retraction, *, now: Instant) -> bool:
        looked.append(stored)
        return plain(transaction, stored, now=now)

    monkeypatch.setattr(retraction, "_is_due", note)
    monkeypatch.setattr(retraction, "_LOOKED_AT", 1)
    node = world.nodes[A]
    for count in range(1, 7):
        assert settle_retractions_due(node) == 0
        assert len(looked) == count
    assert len({item.name for item in looked}) == 3
    retention.delete(node, X, reason="recalled")
    assert sum(settle_retractions_due(node) for _ in range(3)) == 1
    world.tick(DECISION_TIME)
    assert [settle_retractions_due(node) for _ in range(3)] == [1, 1, 0]
