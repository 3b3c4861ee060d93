# SPDX-License-Identifier: Apache-2.0
"""Any bytes give a value or the one kind of error a parser may raise; what is read is written back as it was."""

from hypothesis import example, given
from hypothesis import strategies as st

from comity.errors import MalformedNote, MalformedPolicy, VerificationError
from comity.tlog.cosignature import verify_cosignature
from comity.tlog.evidence import format_fork_evidence, parse_fork_evidence, verify_fork_evidence
from comity.tlog.note import Note, format_note, format_vkey, parse_note, parse_vkey
from comity.tlog.policy import parse_trust_policy, verify_quorum
from comity.tlog.witness import (
    decide_checkpoint,
    format_add_checkpoint,
    parse_add_checkpoint,
    parse_cosignatures,
    parse_size,
)
from tests.unit.tlog.test_evidence import GOOD as EVIDENCE
from tests.vectors.cosignatures.make import LATTICE, LOG_VKEY, cosign, lattice_line, listing, note, witness_key
from tests.witnesses import History

LOG = History(40)
REQUEST = LOG.request(11, 30)
POLICY = listing("group two 2 borlund cardia", "group all all two delmar", "quorum all").encode()
COSIGNED = format_note(note(cosign("borlund"), cosign("cardia"), cosign("delmar"), lattice_line()))


def mutate(data: bytes) -> st.SearchStrategy[bytes]:
    """The bytes with a few of them replaced, left out or put in."""
    cuts = st.tuples(st.integers(0, len(data)), st.integers(0, 3), st.binary(max_size=3))

    def apply(changes: list[tuple[int, int, bytes]]) -> bytes:
        changed = data
        for place, length, instead in changes:
            changed = changed[:place] + instead + changed[place + length :]
        return changed

    return st.lists(cuts, min_size=1, max_size=3).map(apply)


@given(st.binary(max_size=200) | mutate(REQUEST))
@example(REQUEST)
@example(b"old 0\n\n")
def test_any_bytes_are_a_request_or_malformed(data: bytes) -> None:
    try:
        request = parse_add_checkpoint(data)
    except MalformedNote:
        return
    assert format_add_checkpoint(request.old_size, request.proof, format_note(request.note)) == data
    decide_checkpoint(request, keys=[LOG.key], seen=None)


@given(st.binary(max_size=200) | mutate(POLICY))
@example(POLICY)
def test_any_bytes_are_a_policy_or_malformed(data: bytes) -> None:
    try:
        policy = parse_trust_policy(data)
    except MalformedPolicy:
        return
    try:
        found = verify_quorum(parse_note(COSIGNED), policy)
    except VerificationError:
        return
    assert policy.quorum is None or found.timestamps


@given(st.text(max_size=100) | mutate(LOG_VKEY.encode()).map(lambda data: data.decode("utf-8", errors="replace")))
@example(format_vkey(LATTICE))
@example(LOG_VKEY)
def test_any_text_is_a_verifier_key_or_malformed_and_keys_have_one_spelling(text: str) -> None:
    try:
        key = parse_vkey(text)
    except MalformedNote:
        return
    assert format_vkey(key) == text


@given(st.binary(max_size=200) | mutate(EVIDENCE.encode()))
@example(EVIDENCE.encode())
def test_any_bytes_are_evidence_or_malformed(data: bytes) -> None:
    try:
        evidence = parse_fork_evidence(data)
    except MalformedNote:
        return
    assert parse_fork_evidence(format_fork_evidence(evidence)) == evidence
    try:
        verify_fork_evidence(evidence, [LOG.key])
    except (MalformedNote, VerificationError):
        return


@given(st.binary(max_size=200))
@example(b"12\n")
def test_any_answer_is_read_or_malformed(data: bytes) -> None:
    for parse in (parse_size, parse_cosignatures):
        try:
            parse(data)
        except MalformedNote:
            continue


@given(st.integers(0, 1), st.integers(0, 71), st.integers(0, 7))
def test_no_flipped_bit_of_a_cosignature_verifies(which: int, place: int, bit: int) -> None:
    key, line = (witness_key("borlund"), cosign("borlund")) if which else (LATTICE, lattice_line())
    flipped = bytearray(line.signature)
    flipped[place] ^= 1 << bit
    altered = type(line)(name=line.name, key_hash=line.key_hash, signature=bytes(flipped))
    text = note().text
    assert verify_cosignature(Note(text=text, signatures=(line,)), key)
    try:
        verify_cosignature(Note(text=text, signatures=(altered,)), key)
    except VerificationError:
        return
    raise AssertionError(f"bit {bit} of byte {place} does not count")
