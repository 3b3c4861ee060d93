# SPDX-License-Identifier: Apache-2.0
"""A store that is older than what this node has signed is not served: its log would go on in two ways (APPEND-ONLY)."""

import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from signal import SIGKILL

import pytest

from tests.e2e.conftest import COMITY, PATIENCE, Ended, Serving, comity, count, environment, get, rows
from tests.worlds import World, make_object

pytestmark = [pytest.mark.slow, pytest.mark.e2e]

KEPT = ("store.db", "head")


@dataclass(frozen=True, slots=True)
class History:
    """A node, and copies of its store and its kept checkpoint at two earlier times."""

    folder: Path
    empty: Path
    early: Path

    def restore(self, name: str, moment: Path) -> None:
        """Put back one file as it was."""
        shutil.copyfile(moment / name, self.folder / name)


@pytest.fixture
def history(tmp_path: Path) -> History:
    """Three moments of a node's life: as founded, with one agreement, and after a disclosure; each closed properly."""
    world = World(tmp_path)
    world.found("aurelia", "borealia")
    folder = world.nodes["aurelia"].folder
    moments = [keep(world, tmp_path / "empty")]
    world.sign_all(world.terms())
    world.add("aurelia", make_object("a"), make_object("b"))
    moments.append(keep(world, tmp_path / "early"))
    assert len(world.read("borealia")) == 2
    world.close()
    return History(folder, *moments)


def keep(world: World, place: Path) -> Path:
    """A copy of what the node of aurelia keeps, made while nobody has it open."""
    folder = world.nodes["aurelia"].folder
    world.nodes["aurelia"].close()
    place.mkdir()
    for name in KEPT:
        shutil.copyfile(folder / name, place / name)
    world.open("aurelia")
    return place


def serve_in_vain(folder: Path) -> Ended:
    """`comity serve`, expected not to start."""
    command: list[str | Path] = [*COMITY, "--node", folder, "serve", "--listen", "127.0.0.1:0", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False, env=environment())
    return Ended(code=done.returncode, out=done.stdout, err=done.stderr)


def refuse(folder: Path) -> list[dict[str, object]]:
    """The errors of everything that would open the store, none of which may change it."""
    before = {path.name: path.read_bytes() for path in folder.iterdir() if path.name in KEPT}
    done = [
        serve_in_vain(folder),
        comity(folder, "agreement", "list", "--json"),
        comity(folder, "object", "add", "-", "--json", given=b"{}"),
    ]
    assert [item.code for item in done] == [7, 7, 7]
    assert {path.name: path.read_bytes() for path in folder.iterdir() if path.name in KEPT} == before
    return [item.error for item in done]


def test_an_older_store_beside_a_newer_checkpoint_does_not_open(history: History) -> None:
    history.restore("store.db", history.early)
    for error in refuse(history.folder):
        assert error["code"] == "rolled-back"
        assert "the store holds 6 entries of the log comity/aurelia" in str(error["message"])
        assert "a checkpoint over 8" in str(error["message"])
        assert "put the newest store back if there is one, else restore the newest backup" in str(error["message"])
    told = comity(history.folder, "log", "verify", "--json")
    assert (told.code, told.error["facts"]) == (7, {"entry": 6})


def test_a_store_as_founded_beside_a_newer_checkpoint_does_not_open(history: History) -> None:
    history.restore("store.db", history.empty)
    assert {error["code"] for error in refuse(history.folder)} == {"rolled-back"}


def test_a_store_that_was_killed_and_put_back_does_not_open(history: History, serve: Callable[[Path], Serving]) -> None:
    """The same, when the process was killed and has left its own files beside the store."""
    server = serve(history.folder)
    assert comity(history.folder, "agreement", "suspend", find_agreement(history.folder), "--json").code == 0
    server.end(SIGKILL)
    for name in ("store.db-wal", "store.db-shm"):
        (history.folder / name).unlink()
    history.restore("store.db", history.early)
    assert {error["code"] for error in refuse(history.folder)} == {"rolled-back"}


def test_a_store_of_another_history_does_not_open(history: History, tmp_path: Path) -> None:
    """As many entries as were signed for, but other ones: the log went on from an older copy."""
    history.restore("store.db", history.early)
    fork = tmp_path / "fork"
    shutil.copytree(history.folder, fork)
    shutil.copyfile(history.early / "head", fork / "head")
    for verb in ("suspend", "resume"):
        assert comity(fork, "agreement", verb, find_agreement(fork), "--json").code == 0
    assert comity(fork, "log", "verify", "--json").result["size"] == 8
    shutil.copyfile(fork / "store.db", history.folder / "store.db")
    for error in refuse(history.folder):
        assert error["code"] == "rolled-back"
        assert "not of one history" in str(error["message"])
        assert "Restore both from one backup" in str(error["message"])
    told = comity(history.folder, "log", "verify", "--json")
    assert told.error["code"] == "log-mismatch"


def test_without_the_checkpoint_nothing_shows_that_the_store_is_the_newest(history: History) -> None:
    (history.folder / "head").unlink()
    for error in refuse(history.folder):
        assert error["code"] == "rolled-back"
        assert f"{history.folder / 'head'} is missing" in str(error["message"])
        assert "same backup" in str(error["message"])
    assert comity(history.folder, "log", "verify").code == 7


@pytest.mark.parametrize("content", [b"", b"comity/aurelia\n1\n", b"\xff" * 200], ids=["empty", "cut", "noise"])
def test_a_damaged_checkpoint_is_named(history: History, content: bytes) -> None:
    (history.folder / "head").write_bytes(content)
    for error in refuse(history.folder):
        assert error["code"] == "corrupt"
        assert str(history.folder / "head") in str(error["message"])
        assert "backup" in str(error["message"])


@pytest.mark.parametrize("moment", ["empty", "early"])
def test_a_checkpoint_behind_the_store_is_what_a_crash_leaves(
    history: History, moment: str, serve: Callable[[Path], Serving]
) -> None:
    """A crash between COMMIT and the write of the file: the store is ahead, and the next act mends it."""
    newest = (history.folder / "head").read_bytes()
    history.restore("head", getattr(history, moment))
    before = count(history.folder)
    assert comity(history.folder, "log", "verify", "--json").result["size"] == before.entries
    server = serve(history.folder)
    assert get(f"{server.url}/taxii2/", None).status_code == 401
    assert count(history.folder) == before
    suspended = comity(history.folder, "agreement", "suspend", find_agreement(history.folder), "--json")
    assert suspended.result["state"] == "suspended"
    kept = (history.folder / "head").read_bytes()
    assert kept != newest
    assert rows(history.folder, "SELECT checkpoint FROM log_head WHERE log = 0 ORDER BY size DESC LIMIT 1") == [(kept,)]
    assert server.end() == 0
    assert comity(history.folder, "log", "verify", "--json").result["size"] == before.entries + 1


def find_agreement(folder: Path) -> str:
    ((agreement,),) = rows(folder, "SELECT id FROM agreement")
    return str(agreement)
