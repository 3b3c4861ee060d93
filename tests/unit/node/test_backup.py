# SPDX-License-Identifier: Apache-2.0
"""A backup is of one moment and holds what is needed; what was altered is not restored; what is does not start."""

import base64
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from comity.errors import (
    ComityError,
    ConflictError,
    DigestMismatch,
    LogMismatch,
    MalformedMessage,
    NotFoundError,
    RolledBack,
    StoreBusy,
    VerificationError,
)
from comity.node.backup import make_backup, restore_backup
from comity.node.journal import verify_folder
from comity.node.node import Node, open_node
from comity.node.soundness import examine_folder
from comity.store import SqliteStore
from tests.worlds import World, make_object


@pytest.fixture
def world(tmp_path: Path) -> World:
    world = World(tmp_path)
    world.found("aurelia", "borealia")
    world.sign_all(world.terms())
    world.add("aurelia", make_object("a"), make_object("b"))
    world.poll("borealia")
    return world


@pytest.fixture
def node(world: World) -> Node:
    return world.nodes["aurelia"]


def test_a_backup_of_an_open_node_is_of_one_moment_and_is_restored_whole(
    world: World, node: Node, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    size = verify_folder(node.folder).size
    told = list[int]()

    def poll_meanwhile(done: int, of: int) -> None:
        assert 0 <= done <= of
        assert len(told) <= of  # it never begins again
        told.append(done)
        world.poll("borealia")

    monkeypatch.setattr("comity.store.sqlite._COPIED_PAGES", 16)
    backup = make_backup(node.folder, tmp_path / "backup", secrets=False, progress=poll_meanwhile)
    assert len(told) > 3
    assert told == sorted(told)
    assert verify_folder(node.folder).size == size + len(told)
    assert (backup.size, backup.with_keys) == (size, False)
    assert {file.path for file in backup.files} == {"store.db", "node.toml", "recognition.toml"}
    restored = restore_backup(tmp_path / "backup", tmp_path / "again")
    assert restored.backup == backup
    assert verify_folder(tmp_path / "again").size == size
    assert examine_folder(tmp_path / "again").is_sound
    assert sorted(path.name for path in (tmp_path / "again").iterdir()) == [
        "node.toml",
        "recognition.toml",
        "restored",
        "store.db",
    ]


def test_a_backup_of_a_node_that_nobody_has_open(world: World, node: Node, tmp_path: Path) -> None:
    world.close()
    before = {path.name: path.stat().st_mtime_ns for path in node.folder.iterdir()}
    make_backup(node.folder, tmp_path / "backup", secrets=False)
    assert {path.name: path.stat().st_mtime_ns for path in node.folder.iterdir()} == before
    assert restore_backup(tmp_path / "backup", tmp_path / "again").backup.size == verify_folder(node.folder).size


def test_a_node_that_was_just_founded_is_backed_up_too(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.found("aurelia")
    world.close()
    shutil.rmtree(tmp_path / "aurelia" / "badges")
    make_backup(tmp_path / "aurelia", tmp_path / "backup", secrets=True)
    assert restore_backup(tmp_path / "backup", tmp_path / "again").backup.size == 2


def test_what_a_node_asks_of_witnesses_comes_back_with_it(node: Node, tmp_path: Path) -> None:
    """A node that was restored without the policy would take in what nobody has cosigned."""
    policy = b"# north has to be asked first\nquorum none\n"
    (node.folder / "witnesses.policy").write_bytes(policy)
    backup = make_backup(node.folder, tmp_path / "backup", secrets=False)
    assert "witnesses.policy" in {file.path for file in backup.files}
    restore_backup(tmp_path / "backup", tmp_path / "again")
    assert (tmp_path / "again" / "witnesses.policy").read_bytes() == policy


def test_keys_are_in_it_only_when_asked_for(node: Node, tmp_path: Path) -> None:
    make_backup(node.folder, tmp_path / "without", secrets=False)
    make_backup(node.folder, tmp_path / "with", secrets=True)
    secret = (node.folder / "keys" / "log.pem").read_bytes()
    for name, holds in (("without", False), ("with", True)):
        files = [path for path in (tmp_path / name).rglob("*") if path.is_file()]
        assert any(path.read_bytes() == secret for path in files) is holds
        assert not any(path.stat().st_mode & 0o077 for path in [tmp_path / name, *files])


def test_what_is_restored_does_not_start_and_says_what_to_do(world: World, node: Node, tmp_path: Path) -> None:
    make_backup(node.folder, tmp_path / "backup", secrets=True)
    world.close()
    restore_backup(tmp_path / "backup", tmp_path / "again")
    with pytest.raises(RolledBack, match="comity recover"):
        open_node(tmp_path / "again")
    # Not even with the kept checkpoint of that very moment: what was signed after it may have left.
    shutil.copyfile(node.folder / "head", tmp_path / "again" / "head")
    with pytest.raises(RolledBack, match="comity recover"):
        open_node(tmp_path / "again")
    # A version that knows nothing of restoring finds no checkpoint, and refuses as well.
    (tmp_path / "again" / "head").unlink()
    (tmp_path / "again" / "restored").unlink()
    with pytest.raises(RolledBack, match="missing"):
        open_node(tmp_path / "again")


def test_nothing_is_written_over(node: Node, tmp_path: Path) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "x").write_bytes(b"")
    with pytest.raises(ConflictError):
        make_backup(node.folder, tmp_path / "full", secrets=False)
    make_backup(node.folder, tmp_path / "backup", secrets=False)
    with pytest.raises(ConflictError):
        restore_backup(tmp_path / "backup", tmp_path / "full")
    assert [path.name for path in (tmp_path / "full").iterdir()] == ["x"]


def flip(path: Path, at: int = 4_000) -> None:
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(data)


def cut(path: Path, change: int) -> None:
    data = path.read_bytes()
    path.write_bytes(data[:change] if change < 0 else data + b"x" * change)


def rewrite(path: Path, change: dict[str, object]) -> None:
    """The manifest with other words and the old signature."""
    envelope = json.loads(path.read_bytes())
    payload = json.loads(base64.b64decode(envelope["payload"])) | change
    text = json.dumps(payload, separators=(",", ":"), sort_keys=True, ensure_ascii=False).encode()
    path.write_text(json.dumps(envelope | {"payload": base64.b64encode(text).decode()}))


@pytest.mark.parametrize(
    ("spoil", "error"),
    [
        (lambda folder: flip(folder / "store.db"), VerificationError),
        (lambda folder: cut(folder / "store.db", -4_096), VerificationError),
        (lambda folder: cut(folder / "store.db", 1), VerificationError),
        (lambda folder: (folder / "node.toml").write_text("party = 'x'"), VerificationError),
        (lambda folder: (folder / "store.db").unlink(), VerificationError),
        (lambda folder: (folder / "backup.json").unlink(), NotFoundError),
        (lambda folder: rewrite(folder / "backup.json", {"made_at": "2020-01-01T00:00:00.000000Z"}), VerificationError),
        (lambda folder: rewrite(folder / "backup.json", {"with_keys": True}), VerificationError),
        (lambda folder: rewrite(folder / "backup.json", {"more": True}), MalformedMessage),
        (lambda folder: rewrite(folder / "backup.json", {"files": []}), MalformedMessage),
        (lambda folder: rewrite(folder / "backup.json",
                                {"files": [{"path": "../x", "bytes": 1, "digest": "0" * 64}]}), MalformedMessage),
        (lambda folder: rewrite(folder / "backup.json",
                                {"files": [{"path": "/x", "bytes": 1, "digest": "0" * 64}]}), MalformedMessage),
        (lambda folder: (folder / "backup.json").write_bytes(b"x" * 2_000_000), MalformedMessage),
    ],
)  # fmt: skip
def test_what_was_altered_is_not_restored(
    node: Node, tmp_path: Path, spoil: Callable[[Path], object], error: type[ComityError]
) -> None:
    make_backup(node.folder, tmp_path / "backup", secrets=False)
    spoil(tmp_path / "backup")
    with pytest.raises(error):
        restore_backup(tmp_path / "backup", tmp_path / "again")
    assert not (tmp_path / "again").exists()
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


def test_a_backup_by_other_keys_than_the_pinned_ones_is_not_restored(world: World, node: Node, tmp_path: Path) -> None:
    make_backup(node.folder, tmp_path / "backup", secrets=False)
    pinned = world.manifests["borealia"].digest
    with pytest.raises((LogMismatch, DigestMismatch), match="pinned"):
        restore_backup(tmp_path / "backup", tmp_path / "again", digest=pinned)
    restore_backup(tmp_path / "backup", tmp_path / "again", digest=world.manifests["aurelia"].digest)


def test_a_store_that_is_not_sound_is_not_said_to_be_restored(world: World, node: Node, tmp_path: Path) -> None:
    """The digests fit: what is wrong was wrong when it was backed up."""
    with node.store.write() as transaction:
        transaction.run("UPDATE body SET data = CAST('{}' AS BLOB) WHERE object = 1")
    make_backup(node.folder, tmp_path / "backup", secrets=False)
    with pytest.raises(VerificationError, match="not sound: object report--"):
        restore_backup(tmp_path / "backup", tmp_path / "again")
    assert not (tmp_path / "again").exists()


def test_a_store_that_somebody_begins_to_use_is_not_backed_up(world: World, node: Node, tmp_path: Path) -> None:
    world.close()

    def open_and_write(_done: int, _of: int) -> None:
        store = SqliteStore.open(node.folder / "store.db")
        with store.write() as transaction:
            transaction.run("INSERT INTO meta VALUES ('x', 'y') ON CONFLICT DO NOTHING")
        store.close()

    with pytest.raises(StoreBusy):
        make_backup(node.folder, tmp_path / "backup", secrets=False, progress=open_and_write)
    assert not (tmp_path / "backup").exists()
