# SPDX-License-Identifier: Apache-2.0
"""A log that was altered anywhere does not verify, and the message names the entry."""

import re
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from comity.config import Address
from comity.errors import CorruptionError, LogMismatch
from comity.ids import PartyId
from comity.node import sealing
from comity.node.founding import found_node
from comity.node.heads import sign_head
from comity.node.journal import verify_folder
from comity.node.node import open_node
from comity.release.disclosure import EntryType
from comity.signing import Role
from comity.store import log
from comity.tlog.merkle import append_leaves, leaf_hash, root_hash
from comity.tlog.note import parse_checkpoint, parse_note
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


def record_one(folder: Path) -> None:
    """One entry more in the log of the house."""
    node = open_node(folder)
    with node.act() as act:
        act.record(EntryType.PEOPLE, b"{}", terms=None, recipient=None, count=1)
    node.close()


@pytest.fixture
def more(original: Path, tmp_path: Path) -> Path:
    """The folder with one entry more, so that the log of the house names the last head of the other."""
    folder = tmp_path / "more"
    shutil.copytree(original, folder)
    record_one(folder)
    return folder


@pytest.fixture
def named(more: Path, tmp_path: Path) -> Path:
    """A copy of that, with no checkpoint kept outside but that of the log of the house."""
    (tmp_path / "named").mkdir()
    return make_copy(more, tmp_path / "named")


@pytest.fixture
def copy(original: Path, tmp_path: Path) -> Path:
    """A copy whose append-only triggers are gone, as for somebody who edits the file."""
    return make_copy(original, tmp_path)


def make_copy(original: Path, tmp_path: Path) -> Path:
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


def alter_leaf(where: str) -> str:
    """A statement that lets disclosures be of another time: their contents still open them."""
    earlier = """CAST(replace(CAST(leaf AS TEXT), '"at":"20', '"at":"19') AS BLOB)"""
    return f"UPDATE log_entry SET leaf = {earlier} WHERE {where}"


def test_the_log_as_it_is_verifies(original: Path) -> None:
    verified = verify_folder(original)
    # Those of the agreement, the opening of the log of the relationship, and its head; beside them that log itself.
    assert (verified.size, verified.house, [each.size for each in verified.logs]) == (308, 8, [300])
    assert verified.disclosures == 300
    # A confirmation is written with the acceptance that calls for it: one act, one checkpoint. So is an opening.
    assert (verified.opened, verified.checkpoints) == (verified.size, verified.size - 2)


@pytest.mark.parametrize(
    ("statement", "entry"),
    [
        (flip("log_entry", "leaf", "position = 17", at=8), 17),
        (flip("log_entry", "leaf", "position = 301", at=40), 301),
        (flip("log_opening", "content", "position = 255", at=30), 255),
        (flip("log_opening", "salt", "position = 256", at=5), 256),
        (flip("log_tile", "hashes", "log = 1 AND level = 0 AND position = 0", at=32 * 100 + 1), 108),
        (alter_leaf("position = 17"), 17),
        (alter_leaf("position = 301"), 301),
        ("INSERT INTO log_tile VALUES (1, 0, 1, zeroblob(32 * 44))", 264),
        ("INSERT INTO log_tile VALUES (0, 0, 0, zeroblob(32 * 8))", 0),
        (flip("log_tile", "hashes", "level = 1 AND position = 0", at=3), 7),
        ("DELETE FROM log_entry WHERE position = 40", 40),
        ("DELETE FROM log_entry WHERE position = 305", 305),
        ("UPDATE log_entry SET log = 0, place = 8 WHERE position = 307", 307),
        ("UPDATE log_entry SET log = 2 WHERE position = 307", 307),
        ("UPDATE log_entry SET leaf = (SELECT leaf FROM log_entry WHERE position = 9) WHERE position = 8", 8),
        ("INSERT INTO log_entry SELECT 308, leaf, log, place + 1 FROM log_entry WHERE position = 307", 308),
    ],
)
def test_an_alteration_is_found_and_the_entry_named(copy: Path, statement: str, entry: int) -> None:
    alter(copy, statement)
    with pytest.raises(LogMismatch) as caught:
        verify_folder(copy)
    assert caught.value.facts["entry"] == entry
    assert re.search(rf"\b{entry}\b", caught.value.detail)


def test_of_entries_that_share_a_checkpoint_all_are_named(copy: Path) -> None:
    alter(copy, "DELETE FROM log_head WHERE log = 1 AND size IN (293, 294)", alter_leaf("position = 302"))
    with pytest.raises(LogMismatch, match="one of its entries from 300 to 302 was altered"):
        verify_folder(copy)


@pytest.mark.parametrize("at", [1, 10, 20, 30, 60, 100, 130])
def test_an_altered_checkpoint_is_found(copy: Path, at: int) -> None:
    alter(copy, flip("log_head", "checkpoint", "size = 200", at=at))
    with pytest.raises(LogMismatch, match="checkpoint over 200 entries"):
        verify_folder(copy)


def cut_short(folder: Path, size: int) -> None:
    """Take the end of the log of the relationship away, so that what is left fits together."""
    alter(
        folder,
        f"DELETE FROM log_head WHERE log = 1 AND size > {size}",
        f"DELETE FROM log_opening WHERE position IN (SELECT position FROM log_entry WHERE log = 1 AND place >= {size})",
        f"DELETE FROM log_entry WHERE log = 1 AND place >= {size}",
        "DELETE FROM recipient_sequence",
    )


def test_a_log_cut_short_is_found_by_the_checkpoint_kept_outside(copy: Path) -> None:
    cut_short(copy, 290)
    with pytest.raises(LogMismatch, match=r"cut short.* 300 .* 290") as caught:
        verify_folder(copy)
    assert caught.value.facts["entry"] == 290


def test_a_log_cut_short_is_found_by_the_heads_that_the_log_of_the_house_names(named: Path) -> None:
    assert verify_folder(named).size == 310
    cut_short(named, 290)
    # What came after it is moved up, and so nothing is missing.
    alter(
        named,
        *(
            f"UPDATE {table} SET position = position - 10 WHERE position >= 308"
            for table in ("log_opening", "log_entry")
        ),
    )
    with pytest.raises(LogMismatch, match=r"has 290 entries before entry 299, which names its head over 300"):
        verify_folder(named)


def rewrite(folder: Path, position: int) -> None:
    """Whoever has the log key lets an entry have another time, and signs every tree of its log anew."""
    node = open_node(folder)
    signer = node.signers[Role.LOG]
    with node.store.write() as transaction:
        for (name,) in transaction.rows("SELECT name FROM sqlite_master WHERE type = 'trigger'"):
            transaction.run(f"DROP TRIGGER {name}")
        transaction.run(
            'UPDATE log_entry SET leaf = CAST(replace(CAST(leaf AS TEXT), \'"at":"20\', \'"at":"19\') AS BLOB)'
            " WHERE position = ?",
            (position,),
        )
        heads = log.read_heads(transaction, 1)
        leaves = log.read_leaves(transaction, 1, 0, heads[-1][0])
        grown = append_leaves(lambda *_: b"", 0, list(map(leaf_hash, leaves)))
        tiles = {(tile.level, tile.index): tile.hashes for tile in grown}
        log.write_tiles(transaction, grown, 1)
        transaction.run("DELETE FROM log_head WHERE log = 1")
        for size, note in heads:
            origin = parse_checkpoint(parse_note(note).text).origin
            root = root_hash(lambda level, index: tiles.get((level, index), b""), size)
            log.add_head(transaction, size, sign_head(origin, size, root, signer=signer), 1)
    node.close()


def test_a_log_written_anew_with_its_key_is_found_by_the_heads_that_the_log_of_the_house_names(more: Path) -> None:
    rewrite(more, 300)
    with pytest.raises(LogMismatch, match="has another root than entry 309 names: it was rewritten"):
        verify_folder(more)


def test_a_log_that_is_missing_is_found(named: Path) -> None:
    alter(named, "DELETE FROM relationship_log")
    with pytest.raises(LogMismatch, match=r"entry 6 opens the log comity/aurelia/[0-9a-f]{16}, which is missing"):
        verify_folder(named)


def test_an_act_that_does_not_name_what_has_grown_is_found(
    original: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The program was changed so that it names no heads: what came before the act could be said to come after it."""
    shutil.copytree(original, tmp_path / "silent")
    monkeypatch.setattr(sealing, "_name_heads", lambda *_, house: None)
    record_one(tmp_path / "silent")
    with pytest.raises(LogMismatch, match=r"entry 308 is the end of an act, .* has grown: its head is not on record"):
        verify_folder(tmp_path / "silent")


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
