# SPDX-License-Identifier: Apache-2.0
import base64
from dataclasses import replace

import pytest

from comity.errors import BadSignature, MalformedNote, UnknownKey
from comity.tlog.note import (
    Checkpoint,
    Note,
    NoteSignature,
    format_checkpoint,
    format_note,
    note_key_hash,
    parse_checkpoint,
    parse_note,
    sign_note,
    verify_note,
)
from tests.signers import SeedSigner

# The example of golang.org/x/mod/sumdb/note, which C2SP signed-note describes.
GO_NOTE = (
    "If you think cryptography is the answer to your problem,\n"
    "then you don't know what your problem is.\n"
    "\n"
    "— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n"
).encode()
GO_KEY = base64.b64decode("ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW")[1:]
# The examples in C2SP signed-note and C2SP tlog-checkpoint.
C2SP_NOTE = (
    "Ognuno sta solo sul cuor della terra\n"
    "trafitto da un raggio di sole:\n"
    "\n"
    "ed è subito sera.\n"
    "\n"
    "— quasimodo.example/salvatore "
    "NnugSzTjtVAewIS+Z/iJhUPeFDkO/5QQ2i5ddnGITLlC+EhfLW9oJKONrMouFSQU0xMcXxj99ihAQwaqP3ZekRwNtIc=\n"
).encode()
C2SP_CHECKPOINT = "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n"
ROOT = base64.b64decode("CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=")
ORIGIN = "arvenia.example/log"
LOG = SeedSigner("arvenia log")
B64 = base64.b64encode(bytes(5)).decode()


def note_of(text: str, *names: str) -> bytes:
    return (text + "\n" + "".join(f"— {name} {B64}\n" for name in names)).encode()


# --- notes --------------------------------------------------------------------------------------------------------


def test_the_go_example_verifies() -> None:
    note = parse_note(GO_NOTE)
    assert note_key_hash("PeterNeumann", GO_KEY).hex() == "c74f20a3"
    assert verify_note(note, "PeterNeumann", GO_KEY) == GO_NOTE.decode().partition("\n\n")[0] + "\n"
    assert format_note(note) == GO_NOTE


def test_the_c2sp_example_has_a_blank_line_in_its_text() -> None:
    note = parse_note(C2SP_NOTE)
    assert note.text.endswith("sole:\n\ned è subito sera.\n")
    assert [signature.name for signature in note.signatures] == ["quasimodo.example/salvatore"]
    assert note.signatures[0].key_hash == bytes.fromhex("367ba04b")
    assert len(note.signatures[0].signature) == 64
    assert format_note(note) == C2SP_NOTE


def test_a_key_hash_depends_on_name_type_and_key() -> None:
    hashes = {
        note_key_hash("a", GO_KEY),
        note_key_hash("b", GO_KEY),
        note_key_hash("a", GO_KEY, algorithm=4),
        note_key_hash("a", LOG.public_key),
    }
    assert len(hashes) == 4


def test_what_is_signed_verifies_also_after_the_way_over_the_wire() -> None:
    note = sign_note(C2SP_CHECKPOINT, ORIGIN, LOG)
    assert verify_note(parse_note(format_note(note)), ORIGIN, LOG.public_key) == C2SP_CHECKPOINT


def test_another_key_or_name_is_unknown() -> None:
    note = sign_note(C2SP_CHECKPOINT, ORIGIN, LOG)
    with pytest.raises(UnknownKey, match=r"arvenia\.example/other"):
        verify_note(note, "arvenia.example/other", LOG.public_key)
    with pytest.raises(UnknownKey):
        verify_note(note, ORIGIN, SeedSigner("borlund log").public_key)


def test_a_line_of_another_name_is_not_that_of_the_key_whose_hash_it_bears() -> None:
    note = sign_note(C2SP_CHECKPOINT, ORIGIN, LOG)
    renamed = replace(note.signatures[0], name="borlund.example/log")
    with pytest.raises(UnknownKey):
        verify_note(replace(note, signatures=(renamed,)), ORIGIN, LOG.public_key)


def test_another_text_under_the_same_signature_is_refused() -> None:
    note = sign_note(C2SP_CHECKPOINT, ORIGIN, LOG)
    with pytest.raises(BadSignature, match=ORIGIN):
        verify_note(replace(note, text=C2SP_CHECKPOINT.replace("163", "164")), ORIGIN, LOG.public_key)


def test_a_forged_key_hash_is_refused_by_the_key_itself() -> None:
    forger = SeedSigner("forger")
    made = sign_note(C2SP_CHECKPOINT, ORIGIN, forger)
    line = replace(made.signatures[0], key_hash=note_key_hash(ORIGIN, LOG.public_key))
    with pytest.raises(BadSignature):
        verify_note(replace(made, signatures=(line,)), ORIGIN, LOG.public_key)


def test_lines_of_others_beside_are_passed_over() -> None:
    note = sign_note(C2SP_CHECKPOINT, ORIGIN, LOG)
    witness = sign_note(C2SP_CHECKPOINT, "witness.example", SeedSigner("witness")).signatures[0]
    broken = replace(witness, signature=b"\x00")
    both = replace(note, signatures=(witness, *note.signatures, broken))
    assert verify_note(both, ORIGIN, LOG.public_key) == C2SP_CHECKPOINT


def test_a_known_key_that_fails_once_spoils_the_note() -> None:
    # "If a signature from a known key fails to verify, clients SHOULD reject the whole note."
    note = sign_note(C2SP_CHECKPOINT, ORIGIN, LOG)
    broken = replace(note.signatures[0], signature=bytes(64))
    for signatures in ((*note.signatures, broken), (broken, *note.signatures)):
        with pytest.raises(BadSignature):
            verify_note(replace(note, signatures=signatures), ORIGIN, LOG.public_key)


@pytest.mark.parametrize(
    ("data", "where"),
    [
        (b"", ""),
        (b"text\n", ""),
        (b"text\n\n", "line 3"),
        (b"text\n\n\n", "line 4"),
        (note_of("text\n"), "line 3"),
        (note_of("text", "a"), ""),
        (note_of("text\n", "a")[:-1], ""),
        (note_of("text\n", "a", "")[:-1] + b" \n", "line 4"),
        (note_of("te\rxt\n", "a"), "line 1"),
        (note_of("te\x00xt\n", "a"), "line 1"),
        (note_of("text\n\tx\n", "a"), "line 2"),
        (note_of("text\n", "a+b"), "line 3"),
        (note_of("text\n", "a b"), "line 3"),
        (note_of("text\n", "a\u00a0b"), "line 3"),
        (note_of("text\n", "a\u2028b"), "line 3"),
        (note_of("text\n", "a", ""), "line 4"),
        (note_of("text\n", "a").replace("—".encode(), b"-"), "line 3"),
        (note_of("text\n", "a").replace(B64.encode(), b"AAAAAA=="), "line 3"),
        (note_of("text\n", "a").replace(B64.encode(), b"AAAAAAB="), "line 3"),
        (note_of("text\n", "a").replace(B64.encode(), b"AAAAAAA"), "line 3"),
        (note_of("text\n", "a").replace(B64.encode(), b"AAAA_AA="), "line 3"),
        (note_of("text\n", "a").replace(B64.encode(), b"AAAA\xc3\xa9AA="), "line 3"),
        (b"\xff" + note_of("text\n", "a"), "byte 0"),
    ],
)
def test_a_malformed_note_is_refused_with_the_place(data: bytes, where: str) -> None:
    with pytest.raises(MalformedNote) as caught:
        parse_note(data)
    assert caught.value.where == where


def test_a_hundred_signatures_are_taken() -> None:
    names = [f"witness{number}" for number in range(101)]
    assert len(parse_note(note_of("text\n", *names[:100])).signatures) == 100
    with pytest.raises(MalformedNote, match="101 signature lines"):
        parse_note(note_of("text\n", *names))


def test_a_note_over_a_million_bytes_is_refused() -> None:
    signature = note_of("", "a")
    assert parse_note(b"x" * (1_000_000 - len(signature) - 1) + b"\n" + signature).signatures
    with pytest.raises(MalformedNote, match="1000001 bytes"):
        parse_note(b"x" * (1_000_000 - len(signature)) + b"\n" + signature)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("text", "a"),
        ("", "a"),
        ("te\x07xt\n", "a"),
        ("te\ud800xt\n", "a"),
        ("text\n", ""),
        ("text\n", "a b"),
        ("text\n", "a+b"),
        ("text\n", "a\n— b AAAA"),
        ("text\n", "\ud800"),
    ],
)
def test_what_could_not_be_read_is_not_signed(text: str, name: str) -> None:
    with pytest.raises(MalformedNote):
        sign_note(text, name, LOG)


def test_a_note_that_would_be_read_differently_is_not_written() -> None:
    line = NoteSignature(name="a", key_hash=b"12345", signature=b"6")
    with pytest.raises(MalformedNote, match="read differently"):
        format_note(Note(text="text\n", signatures=(line,)))
    with pytest.raises(MalformedNote):
        format_note(Note(text="text\n", signatures=()))


# --- checkpoints --------------------------------------------------------------------------------------------------


def test_the_c2sp_checkpoint_is_read_and_written() -> None:
    checkpoint = Checkpoint(origin="example.com/behind-the-sofa", size=20_852_163, root=ROOT)
    assert parse_checkpoint(C2SP_CHECKPOINT) == checkpoint
    assert format_checkpoint(checkpoint) == C2SP_CHECKPOINT


@pytest.mark.parametrize("size", ["0", "1", "9", "10", "9223372036854775807"])
def test_sizes_in_plain_decimal_are_taken(size: str) -> None:
    assert parse_checkpoint(C2SP_CHECKPOINT.replace("20852163", size)).size == int(size)


@pytest.mark.parametrize(
    "size",
    [
        "",
        "+1",
        "-1",
        "-0",
        "00",
        "01",
        "1_0",
        " 1",
        "1 ",
        "1.0",
        "1e3",
        "0x1",
        "٣",
        "²",
        "9223372036854775808",
        "9" * 5000,
    ],
)
def test_sizes_in_any_other_way_are_refused(size: str) -> None:
    with pytest.raises(MalformedNote) as caught:
        parse_checkpoint(C2SP_CHECKPOINT.replace("20852163", size))
    assert caught.value.where == "line 2"


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("", "line 1"),
        ("\n\n\n", "line 1"),
        (C2SP_CHECKPOINT[:-1], "line 1"),
        (C2SP_CHECKPOINT + "extension\n", "line 1"),
        (C2SP_CHECKPOINT + "\n", "line 1"),
        (C2SP_CHECKPOINT + "x", "line 1"),
        (C2SP_CHECKPOINT.replace("example", "exam\tple"), "line 1"),
        (C2SP_CHECKPOINT.replace("q2I=", "q2J="), "line 3"),
        (C2SP_CHECKPOINT.replace("q2I=", "q2I"), "line 3"),
        (C2SP_CHECKPOINT.replace("q2I=", "q2I=\r"), "line 3"),
        (C2SP_CHECKPOINT.replace("CsUY", ""), "line 3"),
        (C2SP_CHECKPOINT.replace("/", "_"), "line 3"),
        (C2SP_CHECKPOINT.replace("q2I=", "é2I="), "line 3"),
    ],
)
def test_a_malformed_checkpoint_is_refused_with_the_line(text: str, where: str) -> None:
    with pytest.raises(MalformedNote) as caught:
        parse_checkpoint(text)
    assert caught.value.where == where


@pytest.mark.parametrize(
    "checkpoint",
    [
        Checkpoint(origin="", size=1, root=ROOT),
        Checkpoint(origin="a\nb", size=1, root=ROOT),
        Checkpoint(origin="a\x1fb", size=1, root=ROOT),
        Checkpoint(origin="a", size=-1, root=ROOT),
        Checkpoint(origin="a", size=2**63, root=ROOT),
        Checkpoint(origin="a", size=1, root=ROOT[:-1]),
    ],
)
def test_a_checkpoint_that_could_not_be_read_is_not_written(checkpoint: Checkpoint) -> None:
    with pytest.raises(MalformedNote):
        format_checkpoint(checkpoint)
