# SPDX-License-Identifier: Apache-2.0
"""What is read of a feed is the same wherever the reading begins, and what is not asked for is not read."""

from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from comity.ids import Instant, ObjectId, parse_instant
from comity.store import SqliteStore, feeds
from comity.store.feeds import Feed, Selection, VersionChoice
from comity.store.transaction import Row, SqlValue
from tests.worlds import World, make_object, object_id

TYPES = ("report", "indicator", "malware", "tool")
DAYS = [Instant(parse_instant("2025-01-01T00:00:00Z") + day * 86_400_000_000) for day in (1, 2, 3)]


@pytest.fixture(scope="module")
def feed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[SqliteStore, Feed]]:
    """One with many reports and few of anything else, several versions, in an order that is not that of their ids."""
    world = World(tmp_path_factory.mktemp("feeds"))
    world.found("aurelia", "borealia")
    world.sign_all(world.terms(types=TYPES))
    for day in (1, 2, 3):
        names = [f"n{number * 7 % 40}" for number in range(0, 40, day)]
        few = [make_object(f"few{day}", kind=kind, day=day) for kind in TYPES[1:]]
        world.add("aurelia", *(make_object(name, day=day) for name in names), *few)
        world.poll("borealia")
    store = world.nodes["aurelia"].store
    with store.read() as transaction:
        (key,) = transaction.row("SELECT id FROM feed") or (0,)
        found = feeds._read_feed(transaction, "id = ?", (key,))
    assert found is not None
    yield store, found
    world.close()


ids = st.sampled_from([object_id("report", f"n{number}") for number in range(5)] + [object_id("tool", "few2")])
selections = st.builds(
    Selection,
    after=st.sampled_from((0, 1, 2)).map(Instant),
    ids=st.frozensets(ids, max_size=3),
    types=st.frozensets(st.sampled_from((*TYPES, "identity")), max_size=3),
    spec_versions=st.frozensets(st.sampled_from(("2.0", "2.1")), max_size=2),
    versions=st.just(VersionChoice(every=True, last=False))
    | st.builds(
        VersionChoice, last=st.booleans(), first=st.booleans(), exact=st.frozensets(st.sampled_from(DAYS), min_size=1)
    ),
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(selection=selections, limit=st.sampled_from((1, 3, 1_000)), skip=st.integers(0, 30))
def test_where_the_reading_begins_does_not_change_what_is_read(
    feed: tuple[SqliteStore, Feed], selection: Selection, limit: int, skip: int
) -> None:
    store, opened = feed
    with store.read() as transaction, pytest.MonkeyPatch.context() as patch:
        times = [at for (at,) in transaction.rows("SELECT at FROM release ORDER BY at")]
        asked = Selection(
            after=Instant(times[skip] if selection.after else 0),
            ids=selection.ids,
            types=selection.types,
            spec_versions=selection.spec_versions,
            versions=selection.versions,
        )
        found = feeds.read_candidates(transaction, opened, asked, limit=limit, bytes_enough=1 << 20)
        patch.setattr(feeds, "_find_source", lambda *_, **__: "release r JOIN object o ON o.pk = r.object")
        assert found == feeds.read_candidates(transaction, opened, asked, limit=limit, bytes_enough=1 << 20)


class Planned:
    """A transaction that says how SQLite would read."""

    def __init__(self, store: SqliteStore) -> None:
        self._store = store
        self.plan = list[str]()

    def row(self, sql: str, parameters: list[SqlValue]) -> Row | None:
        with self._store.read() as transaction:
            return transaction.row(sql, parameters)

    def iterate(self, sql: str, parameters: list[SqlValue]) -> Iterator[Row]:
        with self._store.read() as transaction:
            self.plan = [str(row[3]) for row in transaction.rows(f"EXPLAIN QUERY PLAN {sql}", parameters)]
        return iter(())


@pytest.mark.parametrize(
    ("selection", "index"),
    [
        (Selection(after=Instant(0), ids=frozenset({ObjectId("report--x")})), "id=?"),
        (Selection(after=Instant(0), types=frozenset({"tool"})), "object_by_type"),
        (Selection(after=Instant(0), types=frozenset({"identity"})), "object_by_type"),
        (Selection(after=Instant(0), types=frozenset({"report"})), "SEARCH r USING PRIMARY KEY"),
        (Selection(after=Instant(0), spec_versions=frozenset({"2.0"})), "object_by_spec_version"),
        (Selection(after=Instant(0), spec_versions=frozenset({"2.0", "2.1"})), "SEARCH r USING PRIMARY KEY"),
        (
            Selection(after=Instant(0), versions=VersionChoice(last=False, exact=frozenset({DAYS[0]}))),
            "object_by_version_at",
        ),
        (Selection(after=Instant(0)), "SEARCH r USING PRIMARY KEY"),
    ],
)
def test_few_are_found_by_an_index(feed: tuple[SqliteStore, Feed], selection: Selection, index: str) -> None:
    store, opened = feed
    planned = Planned(store)
    feeds.read_candidates(planned, opened, selection, limit=10, bytes_enough=None)  # type: ignore[arg-type] # reads only
    assert index in planned.plan[0]
    assert not any(step.startswith(("SCAN o", "SCAN r")) for step in planned.plan)


def test_whether_something_new_was_released_before_is_not_asked_of_all_that_was(feed: tuple[SqliteStore, Feed]) -> None:
    store, opened = feed
    asked = list[str]()

    class Heard:
        def row(self, sql: str, parameters: list[SqlValue]) -> Row | None:
            with store.read() as transaction:
                asked.extend(str(row[3]) for row in transaction.rows(f"EXPLAIN QUERY PLAN {sql}", parameters))
            return None

    feeds._was_any_released(Heard(), opened, reach=opened.through)  # type: ignore[arg-type] # reads only
    assert asked[0].startswith("SEARCH o ")
    assert "seq>?" in asked[0]
