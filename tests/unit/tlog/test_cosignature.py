# SPDX-License-Identifier: Apache-2.0
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey

from comity.errors import BadSignature, ComityError, MalformedNote, UnknownKey
from comity.signing import verify_signature
from comity.tlog.cosignature import MAX_TIMESTAMP, sign_cosignature, verify_cosignature, verify_log_signature
from comity.tlog.note import (
    Note,
    SignatureType,
    VerifierKey,
    format_note,
    format_signature_line,
    format_vkey,
    parse_note,
    parse_signature_lines,
    parse_vkey,
    sign_note,
)
from comity.tlog.policy import parse_trust_policy, verify_quorum
from tests.vectors.cosignatures.make import (
    CHECKPOINT,
    FOLDER,
    LATTICE,
    LOG,
    ORIGIN,
    TIME,
    WITNESSES,
    cosign,
    note,
    vectors,
    witness_key,
)

VECTORS = sorted(FOLDER.glob("*.json"))
BORLUND = witness_key("borlund")
LOG_KEY = VerifierKey(name=ORIGIN, type=SignatureType.ED25519, public_key=LOG.public_key)
# The example in C2SP tlog-cosignature; the keys are not published with it.
C2SP_COSIGNED = (
    "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n\n"
    "— example.com/behind-the-sofa "
    "Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=\n"
    "— witness.example.com/w1 jWbPPwAAAABkGFDLEZMHwSRaJNiIDoe9DYn/zXcrtPHeolMI5OWXEhZCB9dlrDJsX3b2oyin1nPZqhf5nNo0xUe+"
    "mbIUBkBIfZ+qnA==\n"
).encode()


class Lattice:
    """Signs with ML-DSA-44; its signatures differ from run to run."""

    key = MLDSA44PrivateKey.from_seed_bytes(bytes(32))
    public_key = key.public_key().public_bytes_raw()

    def sign(self, message: bytes) -> bytes:
        return self.key.sign(message)


# --- vectors ------------------------------------------------------------------------------------------------------


def act_on_cosignature(given: dict[str, Any]) -> dict[str, object]:
    return {"timestamp": verify_cosignature(parse_note(given["note"].encode()), parse_vkey(given["vkey"]))}


def act_on_vkey(given: dict[str, Any]) -> dict[str, object]:
    key = parse_vkey(given["vkey"])
    assert format_vkey(key) == given["vkey"]
    return {"type": key.type}


def act_on_policy(given: dict[str, Any]) -> dict[str, object]:
    policy = parse_trust_policy(given["policy"].encode())
    return {"logs": len(policy.logs), "witnesses": len(policy.witnesses)}


def act_on_quorum(given: dict[str, Any]) -> dict[str, object]:
    policy = parse_trust_policy(given["policy"].encode())
    return {"timestamps": verify_quorum(parse_note(given["note"].encode()), policy).timestamps}


ACTS: dict[str, Callable[[dict[str, Any]], dict[str, object]]] = {
    "verify_cosignature": act_on_cosignature,
    "parse_vkey": act_on_vkey,
    "parse_trust_policy": act_on_policy,
    "verify_quorum": act_on_quorum,
}


@pytest.mark.parametrize("path", VECTORS, ids=lambda path: path.stem)
def test_vector(path: Path) -> None:
    vector = json.loads(path.read_bytes())
    try:
        found = ACTS[vector["in"]["act"]](vector["in"])
    except ComityError as error:
        found = {"error": error.code}
    assert found == vector["expect"], vector["desc"]


def test_vectors_are_what_their_maker_makes() -> None:
    assert {path.name: path.read_bytes() for path in VECTORS} == vectors()


# --- what is signed -----------------------------------------------------------------------------------------------


def test_an_ed25519_cosignature_is_over_the_two_lines_and_the_checkpoint() -> None:
    line = cosign("borlund")
    message = b"cosignature/v1\ntime 1679315147\n" + CHECKPOINT.encode()
    assert line.signature[:8] == (1679315147).to_bytes(8, "big")
    assert verify_signature(message, line.signature[8:], public_key=BORLUND.public_key) == message


def test_an_ml_dsa_cosignature_is_over_names_time_size_and_root() -> None:
    line = sign_cosignature(CHECKPOINT, LATTICE, Lattice(), timestamp=TIME)
    message = (
        b"subtree/v1\n\0"
        b"\x16comity/borlund/witness"
        + TIME.to_bytes(8, "big")
        + b"\x0ecomity/arvenia"
        + bytes(8)
        + (20852163).to_bytes(8, "big")
        + bytes.fromhex("0ac5186a91863e8e1d90c808014aa89bf5da8e3ee1d9f07630f0378f68f1ab62")
    )
    Lattice.key.public_key().verify(line.signature[8:], message)
    assert len(line.signature) == 8 + 2420
    assert verify_cosignature(note(line), LATTICE) == TIME


def test_the_c2sp_example_has_the_form_of_a_cosignature() -> None:
    parsed = parse_note(C2SP_COSIGNED)
    line = parsed.signatures[1]
    assert len(line.signature) == 8 + 64
    assert int.from_bytes(line.signature[:8], "big") == 1679315147
    assert format_note(parsed) == C2SP_COSIGNED


def test_what_is_cosigned_verifies_also_after_the_way_over_the_wire() -> None:
    whole = parse_note(format_note(note(cosign("borlund"), cosign("cardia", time=7))))
    assert verify_cosignature(whole, BORLUND) == TIME
    assert verify_cosignature(whole, witness_key("cardia")) == 7


def test_the_latest_time_is_the_last_that_fits() -> None:
    assert verify_cosignature(note(cosign("borlund", time=MAX_TIMESTAMP)), BORLUND) == MAX_TIMESTAMP
    for time in (-1, MAX_TIMESTAMP + 1):
        with pytest.raises(MalformedNote, match="time of a cosignature"):
            cosign("borlund", time=time)


def test_nothing_but_a_checkpoint_is_cosigned() -> None:
    for text in ("free text\n", CHECKPOINT + "extension\n", CHECKPOINT[:-1], ""):
        with pytest.raises(MalformedNote):
            cosign("borlund", text=text)


def test_a_key_of_a_log_does_not_cosign() -> None:
    with pytest.raises(MalformedNote, match="not one of a witness"):
        sign_cosignature(CHECKPOINT, LOG_KEY, LOG, timestamp=TIME)
    relabelled = replace(cosign("borlund"), name=LOG_KEY.name, key_hash=LOG_KEY.key_hash)
    with pytest.raises(BadSignature):
        verify_cosignature(note(relabelled, log=False), LOG_KEY)


def test_a_name_too_long_for_ml_dsa_is_refused() -> None:
    key = replace(LATTICE, name="w" * 256)
    with pytest.raises(MalformedNote, match="256 bytes"):
        sign_cosignature(CHECKPOINT, key, Lattice(), timestamp=TIME)
    key = replace(LATTICE, name="w" * 255)
    assert verify_cosignature(note(sign_cosignature(CHECKPOINT, key, Lattice(), timestamp=1)), key) == 1


# --- what a log signed --------------------------------------------------------------------------------------------


def test_a_log_signs_with_its_plain_key_or_as_an_ml_dsa_cosigner_of_itself() -> None:
    assert verify_log_signature(note(), LOG_KEY).size == 20852163
    own = replace(LATTICE, name=ORIGIN)
    signed = note(sign_cosignature(CHECKPOINT, own, Lattice(), timestamp=0), log=False)
    assert verify_log_signature(signed, own).size == 20852163


def test_a_witness_key_is_not_that_of_a_log() -> None:
    key = replace(BORLUND, name=ORIGIN)
    signed = note(sign_cosignature(CHECKPOINT, key, WITNESSES["borlund"], timestamp=1), log=False)
    with pytest.raises(MalformedNote, match="that of a witness"):
        verify_log_signature(signed, key)


def test_a_checkpoint_under_another_origin_is_not_the_logs() -> None:
    text = CHECKPOINT.replace("arvenia", "aurelia")
    with pytest.raises(UnknownKey, match="comity/aurelia"):
        verify_log_signature(Note(text=text, signatures=sign_note(text, ORIGIN, LOG).signatures), LOG_KEY)


# --- lines without a note -----------------------------------------------------------------------------------------


def test_signature_lines_are_read_as_a_witness_answers_them() -> None:
    lines = (cosign("borlund"), cosign("cardia"))
    assert parse_signature_lines("".join(map(format_signature_line, lines)).encode()) == lines


@pytest.mark.parametrize("data", [b"", b"\n", b"x\n", "— a AAAAAAA=".encode(), b"x\n\n\xe2\x80\x94 a AAAAAAA=\n"])
def test_what_is_not_signature_lines_is_refused(data: bytes) -> None:
    with pytest.raises(MalformedNote):
        parse_signature_lines(data)
