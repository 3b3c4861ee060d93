# SPDX-License-Identifier: Apache-2.0
"""Log proofs as text: what is accepted is spelled in one way, leads to the root, and every mutation of it fails."""

from dataclasses import replace
from pathlib import Path

import pytest

from comity.errors import BadSignature, ComityError, MalformedNote, ProofMismatch, UnknownKey
from comity.tlog.merkle import inclusion_proof, leaf_hash, root_hash
from comity.tlog.note import Checkpoint, format_checkpoint, format_note, sign_note, verify_note
from comity.tlog.proof import LogProof, format_hashes, format_proof, parse_hashes, parse_proof, verify_proof
from tests.signers import SeedSigner
from tests.trees import TileStore
from tests.vectors.proofs.make import vectors

VECTORS = Path(__file__).parents[2] / "vectors" / "proofs"
ENTRY = (VECTORS / "entry").read_bytes()
GOOD = (VECTORS / "good.tlog-proof").read_bytes()
ORIGIN = "arvenia.example/log"
LOG = SeedSigner("arvenia log")

# The example of C2SP tlog-proof as it stands there, with signatures cut short and an `extra` that is no base64.
C2SP_HEAD = (
    b"c2sp.org/tlog-proof@v1\n"
    b"index 73894\n"
    b"gSKyXoYZUgZ6jduWYrkDOARinOMGJveXjgMkBTcdPlQ=\n"
    b"B95lDa8R83lS8n0eG+o0buTxRKQTYFi//1U8anccXmA=\n"
    b"EKNzoDWG8LGC0Yp9o+sv3qllpMP9uHQ9B20KNL+Q1zs=\n"
    b"RoopEkOdqkYqMB4MJXrbt/hMjOxsVn0IrWjpz1ZMMes=\n"
    b"AHCioX9nLjsrse6YhjRRmk1WUEirVOLLRoOQ6vfO5vk=\n"
    b"\n"
    b"example.com/fancylog\n109482\nsFodV/vSp5O8n9a8QpW6PRY97tfOSW5bsc2Xl/EQi08=\n\n"
)


def verify(data: bytes, entry: bytes = ENTRY) -> Checkpoint:
    """What a reader does: parse, lead to the root, ask who signed."""
    note, checkpoint = verify_proof(parse_proof(data), entry)
    verify_note(note, ORIGIN, LOG.public_key)
    return checkpoint


def test_a_good_proof_leads_to_a_signed_root() -> None:
    assert verify(GOOD).size == 11
    proof = parse_proof(GOOD)
    assert (proof.index, len(proof.hashes), proof.extra) == (5, 4, None)
    assert format_proof(proof) == GOOD


def test_extra_is_read_and_vouched_for_by_nobody() -> None:
    data = (VECTORS / "good-extra.tlog-proof").read_bytes()
    assert verify(data).size == 11
    assert parse_proof(data).extra == b"age-v1.2.1"
    assert format_proof(parse_proof(data)) == data


def test_the_text_of_the_specification_is_read_line_by_line() -> None:
    proof = parse_proof(C2SP_HEAD)
    assert proof.index == 73894
    assert len(proof.hashes) == 5
    assert proof.checkpoint.startswith(b"example.com/fancylog\n109482\n")


@pytest.mark.parametrize("path", sorted(VECTORS.glob("bad-*.tlog-proof")), ids=lambda path: path.stem)
def test_one_mutation_is_refused(path: Path) -> None:
    with pytest.raises((MalformedNote, ProofMismatch)):
        verify(path.read_bytes())


def test_vectors_are_what_their_maker_makes() -> None:
    assert {path.name: path.read_bytes() for path in VECTORS.iterdir() if path.is_file() and path.suffix != ".py"} == (
        vectors()
    )
    assert len(list(VECTORS.glob("bad-*.tlog-proof"))) == 28


def test_another_entry_is_refused() -> None:
    with pytest.raises(ProofMismatch):
        verify(GOOD, ENTRY + b" ")


def test_every_flipped_bit_of_a_proof_is_refused() -> None:
    for place in range(len(GOOD)):
        for bit in range(8):
            changed = bytearray(GOOD)
            changed[place] ^= 1 << bit
            with pytest.raises((MalformedNote, ProofMismatch, UnknownKey, BadSignature)):
                verify(bytes(changed))


@pytest.mark.parametrize("size", range(1, 41))
def test_every_entry_of_every_small_tree_is_proven(size: int) -> None:
    entries = [b"%d" % number for number in range(40)]
    store = TileStore([[leaf_hash(entry) for entry in entries]])
    text = format_checkpoint(Checkpoint(origin=ORIGIN, size=size, root=root_hash(store.read, size)))
    checkpoint = format_note(sign_note(text, ORIGIN, LOG))
    for index in range(size):
        hashes = inclusion_proof(store.read, index, size)
        data = format_proof(LogProof(index=index, hashes=hashes, checkpoint=checkpoint))
        assert verify(data, entries[index]).size == size
        with pytest.raises(ProofMismatch):
            verify(data, entries[(index + 1) % 40])


@pytest.mark.parametrize(
    "change",
    [{"index": -1}, {"index": 2**63}, {"hashes": (b"short",)}, {"hashes": (bytes(32),) * 64}, {"extra": b""}],
)
def test_what_could_not_be_read_again_is_not_written(change: dict[str, object]) -> None:
    with pytest.raises(MalformedNote):
        format_proof(replace(parse_proof(GOOD), **change))  # type: ignore[arg-type]


def test_a_proof_is_bounded() -> None:
    with pytest.raises(MalformedNote, match="at most"):
        parse_proof(GOOD + bytes(2_000_000))


# --- lines of hashes ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [0, 1, 64])
def test_hashes_are_read_as_they_were_written(count: int) -> None:
    hashes = tuple(bytes([number]) * 32 for number in range(count))
    assert parse_hashes(format_hashes(hashes)) == hashes


@pytest.mark.parametrize(
    "data",
    [
        b"\n",
        b"AAAA\n",
        format_hashes([bytes(32)])[:-1],
        format_hashes([bytes(32)]) + b"\n",
        format_hashes([bytes(32)] * 65),
        b"\xc3\xa4\n",
        format_hashes([bytes(32)]).replace(b"=", b""),
    ],
)
def test_other_lines_are_refused(data: bytes) -> None:
    with pytest.raises(ComityError):
        parse_hashes(data)
