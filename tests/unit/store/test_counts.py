# SPDX-License-Identifier: Apache-2.0
"""The counts are those of the objects, whatever was taken in, replaced, relabelled or taken away."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from comity.ids import Instant
from comity.release.facets import TABLE, find_facets
from comity.release.history import Threshold, admits_history
from comity.store import SqliteStore, Transaction, migration, objects
from comity.store.counts import read_inventory, read_samples
from tests.worlds import World, make_object, object_id


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path)
    made.found("aurelia", "borealia")
    yield made
    made.close()


def count_objects(transaction: Transaction) -> Counter[tuple[int, str, str]]:
    """The counts by the objects themselves."""
    rows = transaction.rows("SELECT label, type, originator FROM object WHERE current = 1")
    return Counter((row[0], row[1], row[2]) for row in rows)


def read_counts(transaction: Transaction) -> dict[tuple[int, str, str], int]:
    return {place[:3]: place[4] for place in read_inventory(transaction).places}


steps = st.lists(
    st.tuples(st.sampled_from("abc"), st.sampled_from(("green", "amber")), st.sampled_from(("", "a", "b"))),
    min_size=1,
    max_size=8,
)


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(steps)
def test_counts_are_those_of_the_objects(
    tmp_path_factory: pytest.TempPathFactory, listed: list[tuple[str, str, str]]
) -> None:
    world = World(tmp_path_factory.mktemp("counts"))
    world.found("aurelia")
    for day, (name, tlp, ref) in enumerate(listed, start=1):
        refs = [object_id("report", ref)] if ref else []
        world.add("aurelia", make_object(name, tlp=tlp, refs=refs, day=day % 4 + 1))
        with world.nodes["aurelia"].store.read() as transaction:
            assert read_counts(transaction) == count_objects(transaction)
    world.close()


def test_what_is_taken_away_is_counted_no_more(world: World) -> None:
    world.add("aurelia", make_object("a"), make_object("b"))
    with world.nodes["aurelia"].store.write() as transaction:
        transaction.run("DELETE FROM object WHERE id = ?", (object_id("report", "a"),))
        assert read_counts(transaction) == count_objects(transaction)
        transaction.run("DELETE FROM object")
        assert read_counts(transaction) == {}


def test_a_label_is_read_from_its_body_where_its_facets_are_missing(world: World) -> None:
    world.add("aurelia", make_object("a"), make_object("b", tlp="amber"))
    with world.nodes["aurelia"].store.write() as transaction:
        before = read_inventory(transaction)
        transaction.run("UPDATE label SET facets = '' WHERE id = (SELECT MIN(label) FROM object)")
        after = read_inventory(transaction)
    said = [
        {label: [inventory.facets[key] for key in keys] for label, keys in inventory.labels.items()}
        for inventory in (before, after)
    ]
    assert said[0] == said[1]
    assert all(after.facets[keys[0]].clause == TABLE for keys in after.labels.values())


def test_labels_are_read_from_their_bodies_where_they_were_stored_under_another_table(world: World) -> None:
    world.add("aurelia", make_object("a"))
    with world.nodes["aurelia"].store.write() as transaction:
        transaction.run("UPDATE facet SET said = 'table types' WHERE clause = 'table'")
        transaction.run("UPDATE facet SET clause = 'abandoned' WHERE clause = 'regions'")
        inventory = read_inventory(transaction)
        ((label, keys),) = inventory.labels.items()
        known = [clause for clause, _ in find_facets(objects.read_label(transaction, label))]
    assert [inventory.facets[key].clause for key in keys] == known


def test_what_is_held_is_told_apart_by_when_it_was_taken_in(world: World) -> None:
    times = list[Instant]()
    for name in "abc":
        world.tick()
        times.append(world.now)
        world.add("aurelia", make_object(name))
    with world.nodes["aurelia"].store.read() as transaction:
        middle = objects.read_current(transaction, [object_id("report", "b")])[object_id("report", "b")]
        limits = [Threshold(after_seq=middle.first_seq), Threshold(since=times[1])]
        inventory = read_inventory(transaction, history=[Threshold(), *limits, limits[0]])
        assert inventory.thresholds == tuple(limits)
        found = {
            place[3:]: [sample.id for sample in read_samples(transaction, place, thresholds=limits, limit=9)]
            for place in inventory.places
        }
    names = {("00", 1): "a", ("01", 1): "b", ("11", 1): "c"}
    assert found == {told: [object_id("report", name)] for told, name in names.items()}


thresholds = st.builds(
    Threshold,
    after_seq=st.none() | st.integers(0, 12),
    since=st.none() | st.integers(-1, 7).map(lambda seconds: Instant(seconds * 1_000_000)),
)


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from(("green", "amber")), st.integers(0, 2)), max_size=6),
    st.lists(thresholds, max_size=4),
)
def test_history_is_told_as_each_object_alone_says(
    tmp_path_factory: pytest.TempPathFactory, listed: list[tuple[str, str, int]], history: list[Threshold]
) -> None:
    world = World(tmp_path_factory.mktemp("history"))
    world.found("aurelia")
    start = world.now
    for day, (name, tlp, seconds) in enumerate(listed, start=1):
        world.tick(seconds * 1_000_000)
        world.add("aurelia", make_object(name, tlp=tlp, day=day))
    shifted = [
        Threshold(after_seq=each.after_seq, since=None if each.since is None else Instant(start + each.since))
        for each in history
    ]
    with world.nodes["aurelia"].store.read() as transaction:
        inventory = read_inventory(transaction, history=shifted)
        held = objects.read_current(transaction, [object_id("report", name) for name in "abc"]).values()
        samples = {
            (sample.id, place[:4])
            for place in inventory.places
            for sample in read_samples(transaction, place, thresholds=inventory.thresholds, limit=9)
        }
    expected = [
        (
            item.id,
            (
                item.label,
                item.type,
                item.originator,
                "".join(
                    str(int(admits_history(each, first_seq=item.first_seq, added_at=item.added_at)))
                    for each in inventory.thresholds
                ),
            ),
        )
        for item in held
    ]
    assert Counter({place[:4]: place[4] for place in inventory.places}) == Counter(place for _, place in expected)
    assert samples == set(expected)
    assert set(inventory.thresholds) == {each for each in shifted if each.is_limit}
    world.close()


def test_as_many_thresholds_as_there_can_be_feeds_are_told_apart(world: World) -> None:
    world.add("aurelia", make_object("a"))
    many = [Threshold(after_seq=place) for place in range(64 * 31)]
    with world.nodes["aurelia"].store.read() as transaction:
        (place,) = read_inventory(transaction, history=many).places
        assert place[3] == "1" + "0" * (len(many) - 1)
        assert len(read_samples(transaction, place, thresholds=many, limit=9)) == 1


def test_samples_are_few_and_the_newest_first(world: World) -> None:
    for name in "abcd":
        world.tick()
        world.add("aurelia", make_object(name))
    with world.nodes["aurelia"].store.read() as transaction:
        (place,) = read_inventory(transaction).places
        samples = read_samples(transaction, place, thresholds=(), limit=2)
    assert [sample.id for sample in samples] == [object_id("report", name) for name in "dc"]


def test_samples_are_found_without_reading_the_objects(world: World) -> None:
    world.add("aurelia", make_object("a"))
    with world.nodes["aurelia"].store.read() as transaction:
        plan = transaction.rows(
            "EXPLAIN QUERY PLAN SELECT id, version FROM object INDEXED BY object_by_count WHERE current = 1"
            " AND label = 1 AND type = 'x' AND originator = 'y' AND first_seq > 0 AND added_at < 9"
            " ORDER BY first_seq DESC LIMIT 1"
        )
        counted = transaction.rows(
            "EXPLAIN QUERY PLAN SELECT label, first_seq > 1 AND added_at > 2 AS late, COUNT(*)"
            " FROM object INDEXED BY object_by_count WHERE current = 1 GROUP BY label, type, originator, late"
        )
    assert [row[3].startswith("SEARCH object USING INDEX object_by_count") for row in plan] == [True]
    assert "COVERING INDEX object_by_count" in counted[0][3]


def test_a_store_of_the_first_schema_is_counted_when_it_is_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, world: World
) -> None:
    world.add("aurelia", make_object("a"), make_object("b", tlp="amber"))
    path = tmp_path / "old" / "store.db"
    path.parent.mkdir()
    shipped = migration._load()
    with monkeypatch.context() as patched:
        patched.setattr(migration, "_load", lambda: shipped[:1])
        old = SqliteStore.open(path)
    with world.nodes["aurelia"].store.read() as source, old.write() as transaction:
        labels = source.rows("SELECT id, digest, partly_marked, body FROM label")
        transaction.run_many("INSERT INTO label VALUES (?, ?, ?, ?)", labels)
        names = ", ".join(row[1] for row in transaction.rows("PRAGMA table_info(object)"))
        rows = source.rows(f"SELECT {names} FROM object")
        transaction.run_many(f"INSERT INTO object VALUES ({', '.join('?' * len(rows[0]))})", rows)
    old.close()
    store = SqliteStore.open(path)
    with store.read() as transaction:
        assert read_counts(transaction) == count_objects(transaction)
        assert sum(read_counts(transaction).values()) == 2
        inventory = read_inventory(transaction)
        assert all(inventory.facets[keys[0]].clause == TABLE for keys in inventory.labels.values())
    store.close()
