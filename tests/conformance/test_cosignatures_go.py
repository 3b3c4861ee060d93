# SPDX-License-Identifier: Apache-2.0
"""Cosignatures, verifier keys and consistency proofs held against Go's implementation of notes and trees."""

import base64
import os
import shutil
import subprocess
from hashlib import sha256
from pathlib import Path

import pytest

from comity.errors import BadSignature
from comity.tlog.cosignature import verify_cosignature
from comity.tlog.note import Note, SignatureType, VerifierKey, format_note, format_vkey, parse_note, parse_vkey
from tests.vectors.cosignatures.make import CHECKPOINT, LOG_VKEY, cosign, note, witness_key
from tests.witnesses import History

pytestmark = pytest.mark.slow

SOURCE = Path(__file__).parent / "go" / "cosignature.go"
PACKAGES = "/usr/share/gocode"
"""Where Debian's golang-golang-x-mod-dev puts its packages."""


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    go = shutil.which("go")
    if go is None:
        pytest.skip("Go is not installed: apt-get install golang-go golang-golang-x-mod-dev")
    if not Path(PACKAGES, "src/golang.org/x/mod/sumdb/note").is_dir():
        pytest.skip("golang.org/x/mod is not installed: apt-get install golang-golang-x-mod-dev")
    place = tmp_path_factory.mktemp("go")
    built = place / "cosignature"
    environment = {
        **os.environ,
        "GO111MODULE": "off",
        "GOPATH": PACKAGES,
        "GOCACHE": str(place / "cache"),
        "GOFLAGS": "",
    }
    subprocess.run([go, "build", "-o", built, SOURCE], check=True, timeout=1_800, env=environment)
    return built


def run(program: Path, *arguments: str, given: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    return subprocess.run([program, *arguments], input=given, capture_output=True, timeout=300, check=False)


def test_go_verifies_what_a_witness_of_ours_signs(program: Path) -> None:
    cosigned = format_note(note(cosign("cardia"), cosign("borlund", time=1_800_000_000)))
    done = run(program, "verify", LOG_VKEY, format_vkey(witness_key("borlund")), given=cosigned)
    assert (done.returncode, done.stdout) == (0, b"1800000000\n"), done.stderr


def test_go_refuses_what_was_altered(program: Path) -> None:
    cosigned = format_note(note(cosign("borlund")))
    for altered in (cosigned.replace(b"20852163", b"20852164"), format_note(note(cosign("cardia")))):
        done = run(program, "verify", LOG_VKEY, format_vkey(witness_key("borlund")), given=altered)
        assert done.returncode != 0


def test_what_a_witness_in_go_signs_verifies_here(program: Path) -> None:
    seed = sha256(b"go").hexdigest()
    done = run(program, "sign", "go.example", seed, "1700000000", given=format_note(note()))
    assert done.returncode == 0, done.stderr
    vkey, _, cosigned = done.stdout.partition(b"\n")
    key = parse_vkey(vkey.decode())
    assert (key.name, key.type) == ("go.example", SignatureType.ED25519_COSIGNATURE)
    assert verify_cosignature(parse_note(cosigned), key) == 1_700_000_000
    other = Note(text=CHECKPOINT.replace("163", "164"), signatures=parse_note(cosigned).signatures)
    with pytest.raises(BadSignature):
        verify_cosignature(other, key)


def test_go_reads_the_key_of_a_log(program: Path) -> None:
    log = History(10)
    key = VerifierKey(name=log.origin, type=SignatureType.ED25519, public_key=log.signer.public_key)
    cosigned = format_note(note(cosign("borlund")))
    wrong = run(program, "verify", format_vkey(key)[:-4] + "AAAA", format_vkey(witness_key("borlund")), given=cosigned)
    assert wrong.returncode != 0


def test_go_verifies_the_proofs_that_witnesses_are_given(program: Path) -> None:
    log, fork = History(60), History(60, branch="fork", common=20)

    def ask(old: int, new: int, *, by: History) -> int:
        roots = (log.root(old), by.root(new))
        texts = [base64.b64encode(each).decode() for each in (*roots, *by.proof(old, new))]
        return run(program, "proof", str(old), str(new), *texts).returncode

    for old, new in ((1, 60), (8, 9), (20, 60), (31, 47), (32, 60)):
        assert ask(old, new, by=log) == 0
    for old, new in ((21, 60), (31, 47)):
        assert ask(old, new, by=fork) != 0
