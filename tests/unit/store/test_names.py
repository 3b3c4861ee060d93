# SPDX-License-Identifier: Apache-2.0
"""Objects are found by their ids, recent or not, and ids that share a key are told apart; an older store is moved."""

import ast
import hashlib
import re
import uuid
from collections.abc import Iterator
from importlib import resources
from pathlib import Path

import apsw
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from comity.ids import ObjectId
from comity.node import retention
from comity.node.explain import show_object
from comity.node.journal import verify_folder
from comity.node.soundness import examine_folder
from comity.store import SqliteStore, audited, names, objects
from tests.worlds import World, make_object, object_id

MIGRATION = "0021_names.sql"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteStore]:
    opened = SqliteStore.open(tmp_path / "store.db")
    yield opened
    opened.close()


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path)
    made.found("aurelia", "borealia")
    yield made
    made.close()


def make_id(number: int) -> ObjectId:
    return ObjectId(f"report--{uuid.UUID(bytes=hashlib.sha256(b'%d' % number).digest()[:16], version=4)}")


def find(store: SqliteStore, name: ObjectId) -> list[int]:
    keys = names.list_keys([name])
    with store.read() as transaction:
        return sorted(row for (row,) in transaction.rows(f"SELECT * FROM {names.NAMED}", (keys, keys)))


def count(store: SqliteStore) -> tuple[int, int]:
    """How many ids are recent, and how many are not."""
    with store.read() as transaction:
        rows = transaction.rows("SELECT COUNT(*) FROM name_recent UNION ALL SELECT COUNT(*) FROM name")
        return rows[0][0], rows[1][0]


@settings(max_examples=20, deadline=None)
@given(parts=st.lists(st.sampled_from((1, 2, 5, 900, 2_000)), min_size=1, max_size=12), first=st.integers(0, 300))
def test_every_object_is_found_wherever_its_name_stands(
    tmp_path_factory: pytest.TempPathFactory, parts: list[int], first: int
) -> None:
    store = SqliteStore.open(tmp_path_factory.mktemp("names") / "store.db")
    with pytest.MonkeyPatch.context() as patch:
        # A round of 512 objects, which the parts go through several times.
        patch.setattr(names, "_ROUND", 512)
        patch.setattr(names, "_STRETCH", (1 << 62) // 512)
        row = first
        for part in parts:
            with store.write() as transaction:
                names.add_names(transaction, [*map(make_id, range(row, row + part))], range(row, row + part))
            row += part
            recent, settled = count(store)
            assert recent <= max(part, 512)
            assert recent + settled == row - first
    for number in {first, row - 1, *range(first, row, 97)}:
        assert find(store, make_id(number)) == [number]
    assert find(store, make_id(row)) == []
    with store.write() as transaction:
        for number in range(first, row, 3):
            names.drop_name(transaction, make_id(number), number)
    assert sum(count(store)) == sum(number % 3 != first % 3 for number in range(first, row))
    store.close()


def test_of_a_part_that_is_longer_than_a_round_nothing_stays_recent(store: SqliteStore) -> None:
    most = names._ROUND + 5
    with store.write() as transaction:
        names.add_names(transaction, [*map(make_id, range(most))], range(7, 7 + most))
    assert count(store)[1] == most - count(store)[0]
    assert count(store)[0] == 0


def test_ids_that_share_a_key_are_told_apart(world: World) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(names, "tell_key", lambda _: 7)
        world.add("aurelia", make_object("a"), make_object("b", refs=[object_id("report", "a")]))
        again = world.add("aurelia", make_object("a"), make_object("a", day=2), make_object("c"))
        assert (len(again.added), again.known, again.bad) == (2, 1, ())
        node, a, b = world.nodes["aurelia"], object_id("report", "a"), object_id("report", "b")
        with node.store.read() as transaction:
            assert [item.id for item in objects.read_versions_of(transaction, {a})] == [a, a]
            assert objects.read_current(transaction, {b}).keys() == {b}
            assert objects.read_held(transaction, {b, object_id("report", "d")}) == {b}
            assert objects.read_current_labels(transaction, {a}).keys() == {a}
            assert {held.id for held in audited.read_held_versions(transaction, {b})} == {b}
        retention.delete(node, b, reason="wrong")
        with node.store.read() as transaction:
            assert objects.read_held(transaction, {a, b}) == {a}


def list_statements(source: str) -> Iterator[str]:
    """The texts in a module, with what is put into them left out."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value
        if isinstance(node, ast.JoinedStr):
            yield "".join(str(part.value) if isinstance(part, ast.Constant) else "…" for part in node.values)


BY_ID = re.compile(r"\b(?:FROM|JOIN) object(?: (?:AS )?(?!WHERE|ON|JOIN|CROSS|ORDER|INDEXED)(\w+))?\b")


def test_no_statement_looks_for_an_id_without_its_key() -> None:
    """There is no index of the ids: such a statement would read all objects. Say `pk IN` NAMED or FIND_ONE too."""
    assert is_slow("SELECT 1 FROM object o WHERE o.id = ?")
    assert is_slow("SELECT 1 FROM release r JOIN object AS n ON n.pk = r.object AND n.id IN (…)")
    assert is_slow("SELECT 1 FROM object WHERE id = ?")
    assert not is_slow("SELECT o.id FROM object o WHERE o.pk IN … AND o.id = ?")
    root = Path(str(resources.files("comity")))
    slow = [
        f"{path.relative_to(root)}: {text}"
        for path in sorted(root.rglob("*.py"))
        for text in list_statements(path.read_text(encoding="utf-8"))
        if is_slow(text)
    ]
    assert slow == []


def is_slow(text: str) -> bool:
    """Whether it compares the id of an object, and finds no row by a key."""
    named = {match[1] for match in BY_ID.finditer(text)}
    return "pk IN" not in text and any(
        re.search(rf"(?<![.\w])(?:{alias}\.id) (?:=|IN)" if alias else r"(?<![.\w])id (?:=|IN)", text)
        for alias in named
    )


def make_before(folder: Path) -> dict[str, list[tuple[object, ...]]]:
    """The store in `folder` as the version before made it, by its own scripts; what is in its tables of objects."""
    path = folder / "store.db"
    before = folder / "before.db"
    scripts = sorted(
        (one for one in (resources.files("comity.store") / "migrations").iterdir()), key=lambda one: one.name
    )
    connection = apsw.Connection(str(before))
    connection.execute("CREATE TABLE migration (number INTEGER PRIMARY KEY, digest TEXT NOT NULL) STRICT")
    for script in (one for one in scripts if one.name.endswith(".sql") and one.name < MIGRATION):
        connection.execute(script.read_text())
    connection.execute(f"ATTACH '{path}' AS made")
    tables = [name for (name,) in connection.execute("SELECT name FROM main.sqlite_master WHERE type = 'table'")]
    with connection:
        for table in sorted(tables, key=lambda one: one in {"label_count", "change_count", "feed"}):
            connection.execute(f"DELETE FROM main.{table}") if "log_" not in table and table != "event" else None
            columns = ", ".join(row[1] for row in connection.execute(f"PRAGMA main.table_info({table})"))
            connection.execute(f"INSERT INTO main.{table} ({columns}) SELECT {columns} FROM made.{table}")
        (number,) = (number for number, one in enumerate(scripts, start=1) if one.name == MIGRATION)
        connection.execute("DELETE FROM main.migration WHERE number >= ?", (number,))
    held = {table: [*connection.execute(f"SELECT * FROM {table} ORDER BY 1")] for table in ("object", "body")}
    connection.close()
    for old in (path, path.with_name("store.db-wal"), path.with_name("store.db-shm")):
        old.unlink(missing_ok=True)
    before.chmod(0o600)
    before.rename(path)
    return held


def read_schema(path: Path) -> set[str]:
    connection = apsw.Connection(str(path))
    found = {str(sql) for (sql,) in connection.execute("SELECT sql FROM sqlite_master WHERE sql IS NOT NULL")}
    connection.close()
    return found


def test_a_store_of_the_version_before_is_moved_whole(world: World, tmp_path: Path) -> None:
    world.sign_all(world.terms())
    world.add("aurelia", make_object("a"), make_object("b", refs=[object_id("report", "a")]))
    world.add("aurelia", make_object("a", day=2), make_object("c"))
    world.poll("borealia")
    retention.delete(world.nodes["aurelia"], object_id("report", "c"), reason="wrong")
    folder = world.nodes["aurelia"].folder
    world.nodes["aurelia"].close()
    held = make_before(folder)
    node = world.open("aurelia")
    with node.store.read() as transaction:
        for table, rows in held.items():
            assert transaction.rows(f"SELECT * FROM {table} ORDER BY 1") == rows
        assert len(objects.read_versions_of(transaction, {object_id("report", "a")})) == 2
    assert examine_folder(folder).findings == ()
    assert verify_folder(folder).size > 0
    assert world.add("aurelia", make_object("a"), make_object("a", day=3)).known == 1
    assert show_object(node, object_id("report", "b")).object.id == object_id("report", "b")
    assert examine_folder(folder).findings == ()
    node.close()
    SqliteStore.open(tmp_path / "fresh.db").close()
    assert read_schema(folder / "store.db") == read_schema(tmp_path / "fresh.db")
