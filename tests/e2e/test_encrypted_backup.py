# SPDX-License-Identifier: Apache-2.0
"""A backup of a node with encrypted keys: restored, recovered and served by who has the passphrase alone."""

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from signal import SIGKILL

import pytest

from comity.agreement.people import Role
from comity.ids import PartyId
from comity.node.gate import list_open_collections
from comity.node.parties import create_credential
from comity.signing import Role as KeyRole
from tests.e2e.conftest import COMITY, PATIENCE, Ended, Serving, comity_as, environment, get
from tests.e2e.program import run_program
from tests.worlds import World, badge_path, make_object, object_id

pytestmark = [pytest.mark.slow, pytest.mark.e2e]

PASSPHRASE = "correct horse battery staple"


@pytest.fixture
def secret_file(tmp_path: Path) -> Path:
    return write_secret(tmp_path / "passphrase", PASSPHRASE)


def write_secret(path: Path, text: str) -> Path:
    path.touch(mode=0o600)
    path.write_text(f"{text}\n", encoding="utf-8")
    return path


def run(folder: Path, secret: Path | None, *arguments: str | Path, by: Role | None = None) -> Ended:
    """`comity --node FOLDER …` with a file that holds a passphrase."""
    command: list[str | Path] = ["--node", folder]
    command += [] if secret is None else ["--key-passphrase-file", secret]
    command += [] if by is None else ["--as", badge_path(folder, by)]
    done = run_program([*command, *arguments], given=b"", env=environment(), seconds=PATIENCE)
    return Ended(code=done.code, out=done.out.decode(), err=done.err.decode())


@contextmanager
def served(folder: Path, secret: Path) -> Iterator[Serving]:
    faults = folder.with_name(f"{folder.name}.faults")
    command: list[str | Path] = [*COMITY, "--node", folder, "--key-passphrase-file", secret]
    with faults.open("ab") as file:
        process = subprocess.Popen(
            [*command, "serve", "--listen", "127.0.0.1:0", "--json"],
            stdout=subprocess.PIPE,
            stderr=file,
            env=environment(),
        )
    server = Serving(process, folder, faults)
    try:
        yield server.wait_ready()
    finally:
        server.end(SIGKILL)


def test_who_has_the_passphrase_restores_and_serves_it(tmp_path: Path, secret_file: Path) -> None:
    world = World(tmp_path)
    world.found("aurelia", "borealia")
    world.sign_all(world.terms())
    world.add("aurelia", make_object("first"))
    node = world.nodes["aurelia"]
    collection = list_open_collections(node, PartyId("borealia"))[0].id
    secret = create_credential(node, PartyId("borealia"))
    world.close()
    folder, backup = tmp_path / "aurelia", tmp_path / "backup"
    path = f"/taxii2/borealia/collections/{collection}/objects/"

    # Keys are encrypted, the node is served, and a backup is made of it meanwhile; then all is lost.
    assert run(folder, None, "party", "protect-keys", "--new-passphrase-file", secret_file).code == 0
    with served(folder, secret_file) as server:
        assert get(f"{server.url}{path}", secret).status_code == 200
        made = run(folder, secret_file, "backup", backup, "--with-keys", "--json")
        assert made.code == 0, made.err
    badges = shutil.copytree(folder / "badges", tmp_path / "badges")
    kept = shutil.copyfile(folder / "head", tmp_path / "kept-head")
    shutil.rmtree(folder)

    # In the backup, and in what is restored from it, the keys are encrypted as they were.
    restored = run(folder, secret_file, "restore", backup, folder, "--json")
    assert restored.code == 0, restored.err
    for place in (backup, folder):
        files = {file.name: file.read_bytes() for file in (place / "keys").iterdir() if file.is_file()}
        assert sum(b"-----BEGIN ENCRYPTED PRIVATE KEY-----" in data for data in files.values()) == len(KeyRole)
        assert not any(b"-----BEGIN PRIVATE KEY-----" in data for data in files.values())
        everything = b"".join(file.read_bytes() for file in place.rglob("*") if file.is_file())
        assert PASSPHRASE.encode() not in everything
    shutil.copytree(badges, folder / "badges")

    # Without the passphrase, or with another one, nobody recovers it or has it sign.
    recover = ("recover", "--reason", "disk lost", "--head", kept, "--json")
    other = write_secret(tmp_path / "other", "another one that is long")
    for wrong in (None, other):
        for role in (Role.LIAISON, Role.LEGAL):
            refused = run(folder, wrong, *recover, by=role)
            assert refused.code not in {0, 9}, refused
            assert "passphrase" in refused.error["message"]
    assert not (folder / "head").exists()
    assert run(folder, secret_file, *recover, by=Role.LIAISON).code == 9
    done = run(folder, secret_file, *recover, by=Role.LEGAL)
    assert done.code == 0, done.err

    (agreement,) = done.result["suspended"]
    for role, code in ((Role.LIAISON, 9), (Role.LEGAL, 0)):
        assert run(folder, secret_file, "agreement", "resume", agreement, by=role).code == code

    # It serves as before, under the log's next name, and the new head is signed by the key that was in the backup.
    with served(folder, secret_file) as server:
        answer = get(f"{server.url}{path}", secret)
        assert answer.status_code == 200
        assert object_id("report", "first") in answer.text
        assert comity_as(Role.LEGAL, folder, "agreement", "list", "--json").code == 0  # by the process that serves
    assert run(folder, None, "log", "verify", "--json").result["origin"] == done.result["origin"]
    assert run(folder, None, "fsck", "--json").result["sound"]
    log = (tmp_path / "aurelia.faults").read_text(encoding="utf-8")
    assert PASSPHRASE not in log
    assert "NOT ENCRYPTED" not in log
    refused = run(folder, other, "serve", "--listen", "127.0.0.1:0", "--json")
    assert (refused.code, refused.error["code"]) == (1, "config")
