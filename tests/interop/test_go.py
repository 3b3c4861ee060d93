# SPDX-License-Identifier: Apache-2.0
"""Go's own reading of a log (golang.org/x/mod/sumdb, as Debian packages it) finds ours right, and wrong where it is."""

import base64
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from comity.ids import PartyId
from comity.node.journal import list_relationships, read_checkpoint
from comity.node.node import Node
from comity.node.parties import create_credential
from comity.node.readers import add_reader, read_part
from comity.release.disclosure import EntryType
from comity.signing import Role
from comity.store import witness
from comity.tlog.cosignature import sign_cosignature, verify_cosignature
from comity.tlog.note import (
    SignatureType,
    VerifierKey,
    format_signature_line,
    note_key_hash,
    parse_note,
)
from tests.served import Served
from tests.signers import SeedSigner
from tests.vectors.tlog.make import FOLDER as VECTORS
from tests.worlds import World, make_object

HERE = Path(__file__).parent
SOURCES = Path("/usr/share/gocode")
"""Where Debian's golang-golang-x-mod-dev puts its sources: nothing is fetched."""

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif(
        shutil.which("go") is None or not (SOURCES / "src/golang.org/x/mod/sumdb/tlog").is_dir(),
        reason="needs Debian's golang-go and golang-golang-x-mod-dev, which scripts/bootstrap.sh installs",
    ),
]


OTHERWISE = {"note-base64-stray-bits", "consistency-ok-empty"}
"""Go lets base64 with stray bits pass, and takes no proof from the empty tree, from which none is needed."""


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the programs, built by the machine's Go."""
    folder = tmp_path_factory.mktemp("go")
    environment = {**os.environ, "GO111MODULE": "off", "GOPATH": str(SOURCES), "GOCACHE": str(folder / "cache")}
    environment |= {"GOFLAGS": "", "GOPROXY": "off", "CGO_ENABLED": "0"}
    for name in ("readlog", "vectors"):
        source = HERE / name / f"{name}.go"
        subprocess.run(["go", "build", "-o", folder / name, source], env=environment, check=True, timeout=1_800)
    return folder


@pytest.fixture(scope="module")
def readlog(built: Path) -> Path:
    return built / "readlog"


def test_go_judges_every_vector_as_we_do(built: Path) -> None:
    files = [path for path in sorted(VECTORS.glob("*.json")) if not path.name.startswith("checkpoint-")]
    done = subprocess.run([built / "vectors", *files], capture_output=True, text=True, timeout=300, check=True)
    judged = dict(line.split() for line in done.stdout.splitlines())
    ours = {path.name: str("error" not in json.loads(path.read_bytes())["expect"]).lower() for path in files}
    assert len(judged) == len(files) > 70
    assert {name.removesuffix(".json") for name in ours if ours[name] != judged[name]} == OTHERWISE


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    world = World(tmp_path)
    world.found("aurelia")
    with closing(world):
        yield world


def grow(node: Node, size: int, *, times: int) -> None:
    """Let the log have exactly `size` entries, signed for `times` times on the way."""
    for step in range(1, times + 1):
        with node.act() as act:
            row = act.transaction.row("SELECT MAX(size) FROM log_head")
            assert row is not None
            for _ in range((size - int(row[0])) // (times - step + 1)):
                act.record(EntryType.PEOPLE, b"{}", terms=None, recipient=None, count=1)


def spell_key(node: Node, origin: str = "comity/aurelia") -> str:
    """The verifier key of a log of the node (C2SP signed-note)."""
    public = node.signers[Role.LOG].public_key
    text = base64.b64encode(b"\x01" + public).decode()
    return f"{origin}+{note_key_hash(origin, public).hex()}+{text}"


def read(
    readlog: Path,
    served: Served,
    secret: str,
    *,
    key: str = "",
    kept: Path | None = None,
    origin: str = "comity/aurelia",
) -> subprocess.CompletedProcess[str]:
    """The log of an origin lies below `/comity/log/` and what follows `comity/` in it."""
    url = f"{served.url}/comity/log/{origin.removeprefix('comity/')}"
    command = [str(readlog), "-url", url, "-key", key or spell_key(served.node, origin)]
    return subprocess.run(
        [*command, *(["-kept", str(kept)] if kept else [])],
        env={"COMITY_LOG_SECRET": secret},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )


def keep(node: Node, path: Path) -> Path:
    path.write_bytes(read_checkpoint(node))
    return path


@pytest.mark.parametrize("size", [5, 256, 257, 700])
def test_go_verifies_a_served_log(readlog: Path, world: World, tmp_path: Path, size: int) -> None:
    node = world.nodes["aurelia"]
    secret, _ = add_reader(node, "oversight")
    with Served.start(node) as served:
        kept = served.call(lambda: keep(node, tmp_path / "kept"))
        served.call(lambda: grow(node, size, times=3))
        done = read(readlog, served, secret, kept=kept)
    assert done.stderr == ""
    before = int(kept.read_text(encoding="utf-8").splitlines()[1])
    assert done.stdout == (
        f"verified {size} entries, {size} inclusion proofs, and that {before} entries are their beginning\n"
    )


def test_go_verifies_a_log_whose_checkpoint_is_cosigned(readlog: Path, world: World) -> None:
    """The lines of witnesses below the log's own are passed over by who does not know their keys."""
    node, signer = world.nodes["aurelia"], SeedSigner("witness north")
    secret, _ = add_reader(node, "oversight")
    key = VerifierKey(name="north.example", type=SignatureType.ED25519_COSIGNATURE, public_key=signer.public_key)
    grow(node, 5, times=1)
    line = sign_cosignature(parse_note(read_checkpoint(node)).text, key, signer, timestamp=1_800_000_000)
    with node.store.write() as transaction:
        witness.add_cosignatures(
            transaction, 5, [(key.name, 1_800_000_000, format_signature_line(line).encode("utf-8"))]
        )
    note = parse_note(read_part(node, "checkpoint"))
    assert [each.name for each in note.signatures] == ["comity/aurelia", "north.example"]
    assert verify_cosignature(note, key) == 1_800_000_000
    with Served.start(node) as served:
        done = read(readlog, served, secret)
    assert (done.stdout, done.stderr) == ("verified 5 entries, 5 inclusion proofs\n", "")


@pytest.mark.parametrize("who", ["borealia", "oversight"])
def test_go_verifies_the_log_of_a_relationship(readlog: Path, tmp_path: Path, who: str) -> None:
    """Its recipient reads it with the secret that it reads its collections by, an overseer with that of a reader."""
    world = World(tmp_path)
    world.found("aurelia", "borealia")
    world.add("aurelia", make_object("a"))
    world.sign_all(world.terms())
    node = world.nodes["aurelia"]
    for _ in range(260):
        world.poll("borealia")
    secret = create_credential(node, PartyId("borealia")) if who == "borealia" else add_reader(node, who)[0]
    (log,) = list_relationships(node)
    with closing(world), Served.start(node) as served:
        done = read(readlog, served, secret, origin=log.origin)
    assert done.stderr == ""
    assert done.stdout.startswith("verified 260 entries, 260 inclusion proofs")


@pytest.mark.slow
def test_go_verifies_a_log_with_tiles_on_three_levels(readlog: Path, world: World, tmp_path: Path) -> None:
    node = world.nodes["aurelia"]
    secret, _ = add_reader(node, "oversight")
    grow(node, 300, times=1)
    kept = keep(node, tmp_path / "kept")
    grow(node, 65_900, times=2)
    with Served.start(node) as served:
        done = read(readlog, served, secret, kept=kept)
    assert done.stdout == (
        "verified 65900 entries, 65900 inclusion proofs, and that 300 entries are their beginning\n"
    ), done.stderr


@pytest.mark.parametrize(
    ("position", "said"),
    [(100, "NOT VERIFIED: entry 100: "), (270, "NOT VERIFIED: ")],
    ids=["in a full tile", "behind all full tiles, where the checkpoint alone says that something was"],
)
def test_go_finds_what_was_altered(readlog: Path, world: World, position: int, said: str) -> None:
    node = world.nodes["aurelia"]
    secret, _ = add_reader(node, "oversight")
    grow(node, 300, times=1)
    with node.store.write() as transaction:
        for (name,) in transaction.rows(
            "SELECT name FROM sqlite_master WHERE type = 'trigger' AND tbl_name LIKE 'log%'"
        ):
            transaction.run(f"DROP TRIGGER {name}")
        transaction.run(
            "UPDATE log_entry SET leaf = CAST(replace(CAST(leaf AS TEXT), '1', '2') AS BLOB) WHERE position = ?",
            (position,),
        )
    with Served.start(node) as served:
        done = read(readlog, served, secret)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(said)


def test_go_finds_another_history(readlog: Path, world: World, tmp_path: Path) -> None:
    """A store that was put back, and has grown otherwise: what was signed before is no beginning of it."""
    node = world.nodes["aurelia"]
    secret, _ = add_reader(node, "oversight")
    node.close()
    shutil.copytree(node.folder, tmp_path / "copy")
    node = world.open("aurelia")
    grow(node, 40, times=1)
    kept = keep(node, tmp_path / "kept")
    node.close()
    shutil.rmtree(node.folder)
    shutil.copytree(tmp_path / "copy", node.folder)
    node = world.open("aurelia")
    grow(node, 50, times=1)
    with Served.start(node) as served:
        done = read(readlog, served, secret, kept=kept)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("NOT VERIFIED: the checkpoint kept before: ")


def test_go_takes_no_other_key_and_no_other_secret(readlog: Path, world: World) -> None:
    node = world.nodes["aurelia"]
    secret, _ = add_reader(node, "oversight")
    public = node.signers[Role.TRANSPORT].public_key
    other = base64.b64encode(b"\x01" + public).decode()
    with Served.start(node) as served:
        wrong = read(
            readlog, served, secret, key=f"comity/aurelia+{note_key_hash('comity/aurelia', public).hex()}+{other}"
        )
        outside = read(readlog, served, "0" * 64)
    assert "checkpoint: note has no verifiable signatures" in wrong.stderr
    assert "checkpoint: 404" in outside.stderr
