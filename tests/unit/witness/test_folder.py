# SPDX-License-Identifier: Apache-2.0
"""A witness that is no node: whose keys it takes, under which names a log goes on, and what it knows of its past."""

import logging
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from comity.config import Address
from comity.errors import NotFoundError
from comity.ids import PartyId
from comity.node.kept import FOLDER
from comity.store import SqliteStore
from comity.tlog.note import format_vkey
from comity.tlog.origin import house_origin, next_origin
from comity.witness.folder import Witness, add_log, found_witness, inspect_witness, open_witness
from tests.signers import SeedSigner
from tests.witnesses import History

ARVENIA = PartyId("arvenia")
FIRST, NEXT, AFTER = (
    "comity/arvenia",
    house_origin(ARVENIA, b"\x01" * 8),
    house_origin(ARVENIA, b"\x02" * 8),
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    found_witness(tmp_path / "north", name="north.example", listen=Address(host="127.0.0.1", port=0))
    add_log(tmp_path / "north", format_vkey(History(1).key))
    return tmp_path / "north"


@pytest.fixture
def north(folder: Path) -> Iterator[Witness]:
    witness = open_witness(folder)
    yield witness
    witness.close()


def ask(witness: Witness, body: bytes) -> tuple[int, bytes]:
    answer = witness.add_checkpoint(body)
    return answer.status, answer.body


def go_on(length: int, *, common: int, origin: str = NEXT) -> History:
    return History(length, branch="next", common=common, origin=origin)


# --- a further name of one log ------------------------------------------------------------------------------------


def test_a_log_goes_on_under_another_name_with_what_was_cosigned_of_it(north: Witness) -> None:
    """Nobody has to say so: the tree does. The name before is over then."""
    log, after = History(20), go_on(30, common=15)
    assert ask(north, log.request(0, 12))[0] == 200
    assert ask(north, after.request(0, 20)) == (409, b"12\n")
    assert ask(north, after.request(12, 20))[0] == 200
    assert ask(north, log.request(12, 13)) == (409, b"20\n")
    assert ask(north, after.request(20, 30))[0] == 200
    # And once more.
    last = History(40, branch="next", common=30, origin=AFTER)
    last.tiles = History(40, branch="next", common=15).tiles
    assert ask(north, last.request(0, 35)) == (409, b"30\n")
    assert ask(north, last.request(30, 35))[0] == 200
    for one in (log, after):
        assert ask(north, one.request(12, 14)) == (409, b"35\n")
    assert ask(north, after.request(30, 30)) == (409, b"35\n")


def test_a_fork_under_another_name_is_no_log_that_is_known(
    north: Witness, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Copied, renamed, and told to nobody: two logs of one owner with one beginning."""
    log, fork = History(20), go_on(30, common=5)
    assert ask(north, log.request(0, 12))[0] == 200
    assert ask(north, fork.request(0, 10))[0] == 404  # it cannot contain what was cosigned
    assert ask(north, fork.request(0, 20)) == (409, b"12\n")
    with caplog.at_level(logging.ERROR, "comity.witness"):
        assert ask(north, fork.request(12, 20))[0] == 404
        assert ask(north, fork.request(12, 12))[0] == 404
    assert "does not contain what was cosigned of comity/arvenia" in caplog.text
    assert [(head.origin, head.size) for head in inspect_witness(folder).heads] == [(FIRST, 12)]
    assert ask(north, log.request(12, 20))[0] == 200


def test_one_that_has_lost_entries_goes_on_once_whoever_runs_the_witness_has_added_it(
    north: Witness, folder: Path
) -> None:
    log, after = History(20), go_on(30, common=8)
    assert ask(north, log.request(0, 12))[0] == 200
    add_log(folder, format_vkey(after.key))
    assert ask(north, after.request(0, 10))[0] == 200
    assert ask(north, after.request(10, 30))[0] == 200
    assert ask(north, log.request(12, 13)) == (409, b"30\n")
    assert ask(north, log.request(12, 20)) == (409, b"30\n")


def test_the_logs_of_relationships_begin_anew(north: Witness) -> None:
    log, other = History(20), History(20, branch="other", origin=next_origin(ARVENIA, bytes(8)))
    assert ask(north, log.request(0, 12))[0] == 200
    assert ask(north, other.request(0, 5))[0] == 200
    assert ask(north, History(20, origin="comity/borlund/house/0101010101010101").request(0, 5))[0] == 404


def test_a_log_of_no_party_of_comity_is_taken_as_it_is(north: Witness, folder: Path) -> None:
    log = History(20, origin="log.example/house/0101010101010101")
    add_log(folder, format_vkey(log.key))
    assert ask(north, log.request(0, 12))[0] == 200
    assert ask(north, log.request(12, 20))[0] == 200


# --- keys -------------------------------------------------------------------------------------------------------------


def test_a_key_that_was_followed_gets_nothing_cosigned_and_is_told_the_size(north: Witness, folder: Path) -> None:
    log, after = History(30), History(30, key_name="arvenia log 2")
    assert ask(north, log.request(0, 12))[0] == 200
    assert ask(north, after.request(12, 13))[0] == 403
    add_log(folder, format_vkey(after.key))
    assert ask(north, log.request(12, 13))[0] == 200  # the next one has signed nothing yet
    assert ask(north, after.request(13, 20))[0] == 200
    assert ask(north, log.request(20, 21)) == (409, b"20\n")
    other = History(30, branch="other", origin=next_origin(ARVENIA, bytes(8)))
    assert ask(north, other.request(0, 5))[0] == 403  # another log of the party, by the key from before
    other.signer = SeedSigner("arvenia log 2")
    assert ask(north, other.request(0, 5))[0] == 200


# --- a store that was put back ----------------------------------------------------------------------------------------


def test_a_store_that_was_put_back_does_not_make_it_forget(folder: Path, tmp_path: Path) -> None:
    log, fork = History(100), History(100, branch="fork", common=5)
    witness = open_witness(folder)
    assert ask(witness, log.request(0, 5))[0] == 200
    witness.close()
    shutil.copyfile(folder / "store.db", tmp_path / "copy")
    witness = open_witness(folder)
    assert ask(witness, log.request(5, 50))[0] == 200
    witness.close()
    for name in ("store.db-wal", "store.db-shm"):
        (folder / name).unlink(missing_ok=True)
    shutil.copyfile(tmp_path / "copy", folder / "store.db")
    witness = open_witness(folder)
    assert ask(witness, fork.request(5, 50)) == (409, b"50\n")
    assert ask(witness, log.request(50, 60))[0] == 200
    witness.close()


def test_a_store_that_was_put_back_does_not_make_it_forget_a_name(folder: Path, tmp_path: Path) -> None:
    log, after = History(60), go_on(60, common=15)
    witness = open_witness(folder)
    assert ask(witness, log.request(0, 5))[0] == 200
    witness.close()
    shutil.copyfile(folder / "store.db", tmp_path / "copy")
    witness = open_witness(folder)
    assert ask(witness, after.request(5, 20))[0] == 200
    witness.close()
    for name in ("store.db-wal", "store.db-shm"):
        (folder / name).unlink(missing_ok=True)
    shutil.copyfile(tmp_path / "copy", folder / "store.db")
    witness = open_witness(folder)
    assert ask(witness, log.request(5, 18)) == (409, b"20\n")
    assert ask(witness, log.request(5, 50))[0] == 422
    assert ask(witness, after.request(20, 60))[0] == 200
    witness.close()


@pytest.mark.parametrize("lost", ["store.db", FOLDER])
def test_without_what_it_has_cosigned_it_does_not_start_and_tells_nobody_to_put_it_back(
    folder: Path, lost: str
) -> None:
    open_witness(folder).close()
    path = folder / lost
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    with pytest.raises(NotFoundError, match="comity witness init") as failed:
        open_witness(folder)
    assert "Do not put a copy from before in its place" in failed.value.detail
    assert "restore" not in failed.value.detail


def test_one_of_before_there_were_files_begins_with_what_it_has(folder: Path) -> None:
    witness = open_witness(folder)
    assert ask(witness, History(20).request(0, 5))[0] == 200
    witness.close()
    shutil.rmtree(folder / FOLDER)
    store = SqliteStore.open(folder / "store.db")
    with store.write() as transaction:
        transaction.run("DELETE FROM meta WHERE name = 'witness-kept'")
    store.close()
    witness = open_witness(folder)
    assert len(list((folder / FOLDER).iterdir())) == 1
    assert ask(witness, History(20).request(5, 9))[0] == 200
    witness.close()
