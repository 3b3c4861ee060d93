# SPDX-License-Identifier: Apache-2.0
"""What is held is gone through by indexes, a bounded part at a time, whatever is held."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import pytest

from comity.ids import ObjectId
from comity.node.explain import show_object
from comity.stix.labels import OVERFULL, UNDECIDED
from comity.store import Transaction, browsing, objects
from comity.store.assessments import list_assessments
from comity.store.browsing import Position, Wanted, list_newest, list_referrers, list_releases
from comity.store.transaction import Row, SqlValue
from tests.worlds import World, make_object, object_id


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path)
    made.found("aurelia", "borealia")
    made.sign_all(made.terms())
    made.add(
        "aurelia",
        make_object("y"),
        *(make_object(f"x{number}", refs=[object_id("report", "y")]) for number in range(9)),
    )
    made.read("borealia")
    yield made
    made.close()


class Spy:
    """A transaction that keeps how each of its queries is carried out."""

    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction
        self.plans: list[str] = []

    def rows(self, sql: str, parameters: Sequence[SqlValue] = ()) -> list[Row]:
        self.plans += [str(row[3]) for row in self._transaction.rows(f"EXPLAIN QUERY PLAN {sql}", parameters)]
        return self._transaction.rows(sql, parameters)

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 (whatever else a transaction has)
        return getattr(self._transaction, name)


@contextmanager
def spy(world: World) -> Iterator[tuple[Transaction, list[str]]]:
    with world.nodes["aurelia"].store.read() as transaction:
        watched = Spy(transaction)
        yield cast("Transaction", watched), watched.plans


@pytest.mark.parametrize("places", [0, 200])
@pytest.mark.parametrize(
    "wanted", [Wanted(), Wanted(type="report"), Wanted(tlp="green", subject="national:ashfall", originator="aurelia")]
)
def test_no_list_goes_through_all_objects(
    world: World, monkeypatch: pytest.MonkeyPatch, wanted: Wanted, places: int
) -> None:
    monkeypatch.setattr(browsing, "MOST_PLACES", places)
    with spy(world) as (transaction, plans):
        first = list_newest(transaction, wanted, before=None, limit=3)
        assert len(first.objects) == 3
        second = list_newest(transaction, wanted, before=first.next, limit=3)
        assert not {item.pk for item in first.objects} & {item.pk for item in second.objects}
    assert plans
    assert not [plan for plan in plans if plan.startswith("SCAN o")], plans


def test_what_is_around_an_object_is_found_by_indexes(world: World) -> None:
    y = ObjectId(object_id("report", "y"))
    with spy(world) as (transaction, plans):
        held = objects.read_current(transaction, [y])[y]
        assert len(list_referrers(transaction, y, limit=4)) == 4
        assert len(list_referrers(transaction, y, limit=100)) == 9
        (released,) = list_releases(transaction, [held.pk], limit=10)
        assert released.recipient == "borealia"
    assert not [plan for plan in plans if plan.startswith(("SCAN o", "SCAN r", "SCAN f"))], plans


def test_a_part_ends_where_as_much_as_one_may_was_looked_at(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.add("aurelia", *(make_object(f"red{number}", tlp="red") for number in range(9)))
    monkeypatch.setattr(browsing, "MOST_PLACES", 0)
    monkeypatch.setattr(browsing, "MOST_LOOKED_AT", 4)
    with world.nodes["aurelia"].store.read() as transaction:
        part = list_newest(transaction, Wanted(tlp="green"), before=None, limit=100)
        assert part.objects == ()
        assert part.next is not None
        found, following = list[int](), cast("Position | None", part.next)
        for _ in range(10):
            if following is None:
                break
            part = list_newest(transaction, Wanted(tlp="green"), before=following, limit=100)
            found += [item.pk for item in part.objects]
            following = part.next
    assert len(found) == len(set(found)) == 10
    assert found == sorted(found, reverse=True)


def test_what_waits_for_a_decision_is_found_by_its_label(world: World) -> None:
    world.add("aurelia", make_object("ill", refs=[object_id("report", "y")]) | {"x_health": "an illness"})
    with spy(world) as (transaction, plans):
        assert objects.find_marked(transaction, UNDECIDED) == {object_id("report", "ill")}
        assert list_assessments(transaction) == []
    assert not [plan for plan in plans if plan.startswith("SCAN o")], plans


def test_what_waits_is_found_where_its_label_had_too_many_words(world: World) -> None:
    many = [
        make_object(f"m{number}", subjects=[f"national:s{number}-{one}" for one in range(40)]) for number in range(16)
    ]
    world.add("aurelia", *many)
    refs = [object_id("report", f"m{number}") for number in range(16)]
    world.add("aurelia", make_object("ill", refs=refs) | {"x_health": "an illness"})
    node = world.nodes["aurelia"]
    assert show_object(node, object_id("report", "ill")).label == OVERFULL
    with node.store.read() as transaction:
        assert objects.find_marked(transaction, UNDECIDED) == {object_id("report", "ill")}
