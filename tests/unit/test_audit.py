# SPDX-License-Identifier: Apache-2.0
"""A log that was altered anywhere does not verify, and the message names the entry."""

import re
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from comity.config import Address
from comity.errors import CorruptionError, LogMismatch
from comity.ids import PartyId
from comity.node.founding import found_node
from comity.node.journal import verify_folder
from tests.worlds import World, make_object

Change = Callable[[sqlite3.Connection], object]


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A node's folder with some 300 entries: more than one tile."""
    folder = tmp_path_factory.mktemp("log")
    world = World(folder)
    world.found("aurelia", "borealia")
    world.sign_all(world.terms())
    world.add("aurelia", make_object("a"), make_object("b"))
    for _ in range(300):
        world.poll("borealia")
    world.close()
    return folder / "aurelia"


@pytest.fixture
def copy(original: Path, tmp_path: Path) -> Path:
    """A copy whose append-only triggers are gone, as for somebody who edits the file."""
    for name in ("node.toml", "head"):
        (tmp_path / name).write_bytes((original / name).read_bytes())
    source, target = sqlite3.connect(original / "store.db"), sqlite3.connect(tmp_path / "store.db")
    source.backup(target)
    target.execute("PRAGMA journal_mode=DELETE")
    for (name,) in target.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
        target.execute(f"DROP TRIGGER {name}")
    target.commit()
    source.close()
    target.close()
    return tmp_path


def alter(folder: Path, *statements: str) -> None:
    connection = sqlite3.connect(folder / "store.db")
    for statement in statements:
        connection.execute(statement)
    connection.commit()
    connection.close()


def flip(table: str, column: str, where: str, *, at: int) -> str:
    """A statement that changes one bit of the byte at `at` (from 1) of a blob."""
    return (
        f"UPDATE {table} SET {column} = CAST(substr({column}, 1, {at - 1}) || "
        f"CASE WHEN substr({column}, {at}, 1) = x'30' THEN x'31' ELSE x'30' END || substr({column}, {at + 1}) AS BLOB)"
        f" WHERE {where}"
    )


def test_the_log_as_it_is_verifies(original: Path) -> None:
    verified = verify_folder(original)
    assert verified.size == 306
    assert verified.disclosures == 300
    # A confirmation is written with the acceptance that calls for it: one act, one checkpoint.
    assert (verified.opened, verified.checkpoints) == (verified.size, verified.size - 1)


@pytest.mark.parametrize(
    ("statement", "entry"),
    [
        (flip("log_entry", "leaf", "position = 17", at=8), 17),
        (flip("log_entry", "leaf", "position = 301", at=40), 301),
        (flip("log_opening", "content", "position = 255", at=30), 255),
        (flip("log_opening", "salt", "position = 256", at=5), 256),
        (flip("log_tile", "hashes", "level = 0 AND position = 0", at=32 * 100 + 1), 100),
        (flip("log_tile", "hashes", "level = 0 AND position = 1", at=32 * 3 + 7), 259),
        (flip("log_tile", "hashes", "level = 1 AND position = 0", at=3), 0),
        ("DELETE FROM log_entry WHERE position = 40", 40),
        ("DELETE FROM log_entry WHERE position = 305", 305),
        ("UPDATE log_entry SET leaf = (SELECT leaf FROM log_entry WHERE position = 9) WHERE position = 8", 8),
        ("INSERT INTO log_entry SELECT 306, leaf FROM log_entry WHERE position = 305", 306),
    ],
)
def test_an_alteration_is_found_and_the_entry_named(copy: Path, statement: str, entry: int) -> None:
    alter(copy, statement)
    with pytest.raises(LogMismatch) as caught:
        verify_folder(copy)
    assert caught.value.facts["entry"] == entry
    assert re.search(rf"\b{entry}\b", caught.value.detail)


@pytest.mark.parametrize("at", [1, 10, 20, 30, 60, 100, 130])
def test_an_altered_checkpoint_is_found(copy: Path, at: int) -> None:
    alter(copy, flip("log_head", "checkpoint", "size = 200", at=at))
    with pytest.raises(LogMismatch, match="checkpoint over 200 entries"):
        verify_folder(copy)


def test_a_log_cut_short_is_found_by_the_checkpoint_kept_outside(copy: Path) -> None:
    alter(
        copy,
        "DELETE FROM log_head WHERE size > 290",
        "DELETE FROM log_entry WHERE position >= 290",
        "DELETE FROM log_opening WHERE position >= 290",
        f"UPDATE log_tile SET hashes = substr(hashes, 1, {32 * (290 - 256)}) WHERE level = 0 AND position = 1",
        "DELETE FROM recipient_sequence",
    )
    with pytest.raises(LogMismatch, match=r"cut short.* 306 .* 290") as caught:
        verify_folder(copy)
    assert caught.value.facts["entry"] == 290


def test_content_that_is_gone_is_found(copy: Path) -> None:
    alter(copy, "DELETE FROM log_opening WHERE position = 40")
    with pytest.raises(LogMismatch, match="no purge of it is on record") as caught:
        verify_folder(copy)
    assert caught.value.facts["entry"] == 40


def test_a_log_signed_by_another_key_is_not_this_partys_log(
    copy: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Somebody without the log key puts a manifest of the same name in place, with keys of his own."""
    pinned = verify_folder(copy).manifest
    other = tmp_path_factory.mktemp("other") / "aurelia"
    found_node(other, party=PartyId("aurelia"), name="Aurelia", state=None, listen=Address(host="127.0.0.1", port=1))
    source = sqlite3.connect(other / "store.db")
    digest, envelope = source.execute("SELECT digest, envelope FROM manifest").fetchone()
    source.close()
    connection = sqlite3.connect(copy / "store.db")
    connection.execute("UPDATE manifest SET digest = ?, envelope = ? WHERE party = 'aurelia'", (digest, envelope))
    connection.execute("UPDATE party SET manifest = ? WHERE id = 'aurelia'", (digest,))
    connection.commit()
    connection.close()
    with pytest.raises(LogMismatch, match="log key"):
        verify_folder(copy)
    with pytest.raises(LogMismatch, match="pinned"):
        verify_folder(copy, digest=pinned)
    alter(copy, "UPDATE manifest SET envelope = CAST(replace(envelope, 'a', 'b') AS BLOB) WHERE party = 'aurelia'")
    with pytest.raises((LogMismatch, CorruptionError)):
        verify_folder(copy)
