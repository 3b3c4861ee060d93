# SPDX-License-Identifier: Apache-2.0
"""Makes the vectors of the log, one file for one mutation of something valid: `python -m tests.vectors.tlog.make`.

A vector is {"desc", "in", "expect"}. In `in`, `act` says what is done with the rest. Hashes are in hexadecimal; a note
is text, or base64 where it is none; a key is the 32 bytes of Ed25519, in base64. `expect` is {"error": code} or what
the act gives. Trees have the leaves "0", "1", "2" and so on, in decimal.
"""

import base64
import json
from collections.abc import Sequence
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

from comity.canonical import Json
from comity.tlog.merkle import leaf_hash
from comity.tlog.note import Checkpoint, Note, format_checkpoint, format_note, note_key_hash, sign_note
from tests.signers import SeedSigner
from tests.trees import NaiveTree

FOLDER = Path(__file__).parent
LEAVES = [leaf_hash(str(number).encode()) for number in range(1_025)]
TREE = NaiveTree(LEAVES)
OTHER = NaiveTree([leaf_hash(b"other"), *LEAVES[1:]])
ORIGIN = "arvenia.example/log"
LOG, STRANGER = SeedSigner("arvenia log"), SeedSigner("a stranger")
TEXT = format_checkpoint(Checkpoint(origin=ORIGIN, size=70_000, root=TREE.root(70)))
GO_NOTE = (
    "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n\n"
    "— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n"
)
GO_KEY = "GlzZBxQ8OExB6DDFvOEqqIF+xWSaqr8sMTiLNbLXRNY="
C2SP_NOTE = (
    "Ognuno sta solo sul cuor della terra\ntrafitto da un raggio di sole:\n\ned è subito sera.\n\n"
    "— quasimodo.example/salvatore "
    "NnugSzTjtVAewIS+Z/iJhUPeFDkO/5QQ2i5ddnGITLlC+EhfLW9oJKONrMouFSQU0xMcXxj99ihAQwaqP3ZekRwNtIc=\n"
)
Vector = tuple[str, dict[str, Json], dict[str, Json]]


def flip(data: bytes) -> bytes:
    return bytes([data[0] ^ 1]) + data[1:]


def inclusion(
    desc: str,
    index: int,
    size: int,
    proof: Sequence[bytes] | None = None,
    *,
    good: bool = False,
    leaf: bytes | None = None,
    root: bytes | None = None,
) -> Vector:
    """A proof for the leaf at `index`; what is not said is right."""
    if leaf is None:
        leaf = LEAVES[index]
    found = TREE.root(size) if root is None else root
    given: dict[str, Json] = {"act": "verify_inclusion", "leaf_hash": leaf.hex(), "index": index, "size": size}
    given |= {"proof": _hex(TREE.path(index, size) if proof is None else proof), "root": found.hex()}
    return desc, given, {"root": found.hex()} if good else {"error": "proof-mismatch"}


def consistency(
    desc: str,
    old: int,
    new: int,
    proof: Sequence[bytes],
    *,
    good: bool = False,
    roots: tuple[bytes, bytes] | None = None,
) -> Vector:
    before, after = roots or (TREE.root(old), TREE.root(new))
    given: dict[str, Json] = {"act": "verify_consistency", "old_size": old, "new_size": new, "proof": _hex(proof)}
    given |= {"old_root": before.hex(), "new_root": after.hex()}
    return desc, given, {"root": after.hex()} if good else {"error": "proof-mismatch"}


def _hex(proof: Sequence[bytes]) -> list[Json]:
    return [item.hex() for item in proof]


def inclusion_vectors() -> dict[str, Vector]:
    path = TREE.path(4, 11)
    return {
        "inclusion-ok": inclusion("leaf 4 of 11", 4, 11, good=True),
        "inclusion-ok-alone": inclusion("the only leaf: nothing is needed", 0, 1, (), good=True),
        "inclusion-ok-last": inclusion("the last of 1,025: the proof is one hash", 1_024, 1_025, good=True),
        "inclusion-ok-first-of-many": inclusion("the first of 1,025", 0, 1_025, good=True),
        "inclusion-leaf-other": inclusion("the hash of another leaf", 4, 11, path, leaf=LEAVES[5]),
        "inclusion-index-other": inclusion("its neighbour's index", 5, 11, path, leaf=LEAVES[4]),
        "inclusion-size-other": inclusion("a size at which the path is longer", 4, 17, path, root=TREE.root(11)),
        "inclusion-root-of-next-size": inclusion("the root of the next size", 4, 11, path, root=TREE.root(12)),
        "inclusion-root-flipped": inclusion("one bit of the root", 4, 11, path, root=flip(TREE.root(11))),
        "inclusion-hash-flipped": inclusion("one bit of one hash", 4, 11, (path[0], flip(path[1]), *path[2:])),
        "inclusion-hashes-swapped": inclusion("two hashes in each other's place", 4, 11, (path[1], path[0], *path[2:])),
        "inclusion-hash-missing": inclusion("without its last hash", 4, 11, path[:-1]),
        "inclusion-hash-missing-first": inclusion("without its first hash", 4, 11, path[1:]),
        "inclusion-hash-twice": inclusion("its last hash again", 4, 11, (*path, path[-1])),
        "inclusion-hash-of-root-beside": inclusion("the root at its end", 4, 11, (*path, TREE.root(11))),
        "inclusion-hash-short": inclusion("a hash of 31 bytes", 4, 11, (path[0][:-1], *path[1:])),
        "inclusion-hash-long": inclusion(
            "leaf and first hash, cut apart one byte before",
            4,
            11,
            (LEAVES[4][-1:] + path[0], *path[1:]),
            leaf=LEAVES[4][:-1],
        ),
        "inclusion-empty": inclusion("no proof where one is needed", 4, 11, ()),
        "inclusion-not-empty": inclusion("a proof for the only leaf", 0, 1, (LEAVES[0],)),
        "inclusion-index-beyond": inclusion("a leaf behind the last", 11, 11, path, leaf=LEAVES[4]),
        "inclusion-index-negative": inclusion("a leaf before the first", -1, 11, path, leaf=LEAVES[10]),
        "inclusion-size-zero": inclusion("a leaf of the empty tree", 0, 0, (), root=TREE.root(0)),
        "inclusion-leaf-without-prefix": inclusion(
            "the SHA-256 of the leaf, without the zero byte", 4, 11, path, leaf=sha256(b"4").digest()
        ),
    }


def consistency_vectors() -> dict[str, Vector]:
    proof, whole = TREE.proof(6, 11), TREE.proof(8, 11)
    return {
        "consistency-ok": consistency("from 6 to 11", 6, 11, proof, good=True),
        "consistency-ok-full": consistency("from 8, a full tree, whose root is not sent", 8, 11, whole, good=True),
        "consistency-ok-same": consistency("a tree with itself", 11, 11, (), good=True),
        "consistency-ok-empty": consistency("from the empty tree", 0, 11, (), good=True),
        "consistency-ok-long": consistency("from 1,000 to 1,025", 1_000, 1_025, TREE.proof(1_000, 1_025), good=True),
        "consistency-rewritten": consistency(
            "the first leaf is another one", 6, 11, OTHER.proof(6, 11), roots=(TREE.root(6), OTHER.root(11))
        ),
        "consistency-old-root-other": consistency(
            "the old root of another size", 6, 11, proof, roots=(TREE.root(5), TREE.root(11))
        ),
        "consistency-new-root-other": consistency(
            "the new root of another size", 6, 11, proof, roots=(TREE.root(6), TREE.root(12))
        ),
        "consistency-roots-swapped": consistency(
            "old root and new in each other's place", 6, 11, proof, roots=(TREE.root(11), TREE.root(6))
        ),
        "consistency-same-other-root": consistency(
            "one size, two roots", 11, 11, (), roots=(TREE.root(11), OTHER.root(11))
        ),
        "consistency-same-with-proof": consistency("a proof where none is needed", 11, 11, proof),
        "consistency-empty-with-proof": consistency("a proof from the empty tree", 0, 11, proof),
        "consistency-empty-other-root": consistency(
            "an empty tree with a root that is not its own", 0, 11, (), roots=(TREE.root(1), TREE.root(11))
        ),
        "consistency-shrinks": consistency("from the larger to the smaller", 11, 6, proof),
        "consistency-old-size-other": consistency(
            "the old size is another", 7, 11, proof, roots=(TREE.root(6), TREE.root(11))
        ),
        "consistency-new-size-other": consistency(
            "the new size is another", 6, 17, proof, roots=(TREE.root(6), TREE.root(11))
        ),
        "consistency-negative": consistency(
            "from less than nothing", -1, 11, proof, roots=(TREE.root(1), TREE.root(11))
        ),
        "consistency-hash-flipped": consistency("one bit of one hash", 6, 11, (flip(proof[0]), *proof[1:])),
        "consistency-hash-missing": consistency("without its last hash", 6, 11, proof[:-1]),
        "consistency-hash-twice": consistency("its last hash again", 6, 11, (*proof, proof[-1])),
        "consistency-hashes-swapped": consistency(
            "two hashes in each other's place", 6, 11, (proof[1], proof[0], *proof[2:])
        ),
        "consistency-empty-proof": consistency("no proof where one is needed", 6, 11, ()),
        "consistency-full-with-root": consistency(
            "the old root is sent where it is known", 8, 11, (TREE.root(8), *whole)
        ),
        "consistency-hash-short": consistency("a hash of 31 bytes", 6, 11, (proof[0][:-1], *proof[1:])),
    }


def note(
    desc: str, data: str | bytes, error: str | None = None, *, name: str = ORIGIN, key: str | None = None
) -> Vector:
    """A note that the key has to have signed."""
    public = key or base64.b64encode(LOG.public_key).decode()
    spelled: dict[str, Json] = {"note": data} if isinstance(data, str) else {"base64": base64.b64encode(data).decode()}
    given: dict[str, Json] = {"act": "verify_note", **spelled, "name": name, "key": public}
    if error is not None:
        return desc, given, {"error": error}
    assert isinstance(data, str)
    return desc, given, {"text": data[: data.rindex("\n\n") + 1]}


def note_vectors() -> dict[str, Vector]:
    signed = sign_note(TEXT, ORIGIN, LOG)
    text, lines = format_note(signed).decode(), sign_note(TEXT, "witness.example/w", STRANGER).signatures
    line = text[len(TEXT) + 1 :]
    beside = Note(text=TEXT, signatures=(*lines, *signed.signatures))
    known = replace(signed.signatures[0], key_hash=note_key_hash(ORIGIN, LOG.public_key))
    forged = Note(text=TEXT, signatures=(replace(known, signature=bytes(64)),))
    both = Note(text=TEXT, signatures=(*forged.signatures, *signed.signatures))
    payload = line.split(" ")[2].rstrip("\n")
    raw = base64.b64decode(payload)
    bad = "malformed-note"
    return {
        "note-ok": note("a checkpoint, signed by its log", text),
        "note-ok-go": note("the example of golang.org/x/mod/sumdb/note", GO_NOTE, name="PeterNeumann", key=GO_KEY),
        "note-ok-beside": note("a witness has signed, too", format_note(beside).decode()),
        "note-c2sp": note("the example of C2SP signed-note, whose key is not this one", C2SP_NOTE, "unknown-key"),
        "note-stranger": note(
            "signed by another key of that name", format_note(sign_note(TEXT, ORIGIN, STRANGER)).decode(), "unknown-key"
        ),
        "note-other-name": note(
            "signed under another name", format_note(sign_note(TEXT, "other.example/log", LOG)).decode(), "unknown-key"
        ),
        "note-text-changed": note("one more entry", text.replace("70000", "70001"), "bad-signature"),
        "note-text-longer": note(
            "a line more before the signature", text.replace("\n\n", "\nmore\n\n", 1), "bad-signature"
        ),
        "note-signature-flipped": note(
            "one bit of the signature",
            text.replace(payload, base64.b64encode(raw[:-1] + bytes([raw[-1] ^ 1])).decode()),
            "bad-signature",
        ),
        "note-signature-short": note(
            "a signature of 63 bytes", text.replace(payload, base64.b64encode(raw[:-1]).decode()), "bad-signature"
        ),
        "note-one-bad-of-two": note(
            "a line of the key that fails, before one that holds", format_note(both).decode(), "bad-signature"
        ),
        "note-key-hash-other": note(
            "the key hash of another key",
            text.replace(payload, base64.b64encode(bytes(4) + raw[4:]).decode()),
            "unknown-key",
        ),
        "note-name-other": note(
            "the key hash of the log beside another name", text.replace("— arvenia", "— arvania"), "unknown-key"
        ),
        "note-empty": note("nothing", "", bad),
        "note-no-signature": note("a text and a blank line", TEXT + "\n", bad),
        "note-no-blank-line": note("no line between text and signature", TEXT + line, bad),
        "note-no-last-newline": note("cut by its last newline", text[:-1], bad),
        "note-behind-signature": note("a blank line behind the signature", text + "\n", bad),
        "note-carriage-returns": note("lines end as on Windows", text.replace("\n", "\r\n"), bad),
        "note-tab": note("a tab in the text", text.replace("arvenia.example/log\n7", "arvenia.example/log\t\n7"), bad),
        "note-nul": note("a zero byte in the text", text.replace("70000", "70\x00000"), bad),
        "note-not-utf-8": note("a byte that is not UTF-8", text.encode().replace(b"70000", b"7\xff000"), bad),
        "note-surrogate": note("a lone surrogate as bytes", text.encode().replace(b"70000", b"7\xed\xa0\x80000"), bad),
        "note-hyphen": note("a hyphen for the dash", text.replace("—", "-"), bad),
        "note-two-spaces": note("two spaces before the name", text.replace("— ", "—  "), bad),
        "note-name-with-plus": note("a plus in the name", text.replace("— arvenia", "— arvenia+1"), bad),
        "note-name-with-space": note(
            "a space of Unicode in the name", text.replace("— arvenia", "— arv\u2003enia"), bad
        ),
        "note-no-name": note("no name", text.replace(f"— {ORIGIN}", "—"), bad),
        "note-base64-unpadded": note("base64 without its padding", text.replace(payload, payload.rstrip("=")), bad),
        "note-base64-stray-bits": note(
            "base64 with bits that say nothing", text.replace(payload, _stray(payload)), bad
        ),
        "note-base64-other-alphabet": note(
            "base64 of URLs", text.replace(payload, base64.urlsafe_b64encode(b"\xff" * 68).decode()), bad
        ),
        "note-signature-empty": note(
            "a key hash and no signature", text.replace(payload, base64.b64encode(raw[:4]).decode()), bad
        ),
        "note-101-signatures": note("101 signature lines", text + line * 100, bad),
        "note-trailing-space": note("a space behind the signature", text[:-1] + " \n", bad),
    }


def _stray(payload: str) -> str:
    """The same bytes in base64, with a bit set that is thrown away."""
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    body = payload.rstrip("=")
    return body[:-1] + alphabet[alphabet.index(body[-1]) + 1] + payload[len(body) :]


def checkpoint(desc: str, text: str, *, good: bool = False) -> Vector:
    lines = text.split("\n")
    expect: dict[str, Json] = {"error": "malformed-note"}
    if good:
        expect = {"origin": lines[0], "size": int(lines[1]), "root": base64.b64decode(lines[2]).hex()}
    return desc, {"act": "parse_checkpoint", "text": text}, expect


def checkpoint_vectors() -> dict[str, Vector]:
    origin, _, root, _ = TEXT.split("\n")

    def sized(size: str) -> str:
        return f"{origin}\n{size}\n{root}\n"

    return {
        "checkpoint-ok": checkpoint("origin, size, root", TEXT, good=True),
        "checkpoint-ok-c2sp": checkpoint(
            "the example of C2SP tlog-checkpoint",
            "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n",
            good=True,
        ),
        "checkpoint-ok-empty-log": checkpoint("of no entry", sized("0"), good=True),
        "checkpoint-ok-largest": checkpoint("the largest size", sized(str(2**63 - 1)), good=True),
        "checkpoint-size-too-large": checkpoint("2^63 entries", sized(str(2**63)), good=False),
        "checkpoint-size-leading-zero": checkpoint("a zero before the size", sized("070000")),
        "checkpoint-size-plus": checkpoint("a sign before the size", sized("+70000")),
        "checkpoint-size-minus": checkpoint("less than no entry", sized("-1")),
        "checkpoint-size-space": checkpoint("a space before the size", sized(" 70000")),
        "checkpoint-size-underscore": checkpoint("a size as programmers write it", sized("70_000")),
        "checkpoint-size-hexadecimal": checkpoint("a size in hexadecimal", sized("0x11170")),
        "checkpoint-size-exponent": checkpoint("a size as a float", sized("7e4")),
        "checkpoint-size-other-digits": checkpoint("digits of another script", sized("\u0667\u0660")),
        "checkpoint-size-missing": checkpoint("no size", sized("")),
        "checkpoint-root-short": checkpoint(
            "a root of 31 bytes", f"{origin}\n70000\n{base64.b64encode(bytes(31)).decode()}\n"
        ),
        "checkpoint-root-unpadded": checkpoint("a root without its padding", TEXT.replace("=\n", "\n")),
        "checkpoint-root-stray-bits": checkpoint("a root with bits that say nothing", TEXT.replace(root, _stray(root))),
        "checkpoint-root-hexadecimal": checkpoint("a root in hexadecimal", f"{origin}\n70000\n{'ab' * 32}\n"),
        "checkpoint-origin-empty": checkpoint("no origin", f"\n70000\n{root}\n"),
        "checkpoint-origin-tab": checkpoint("a tab in the origin", TEXT.replace("arvenia", "arv\tenia")),
        "checkpoint-extension": checkpoint("a line more", TEXT + "more\n"),
        "checkpoint-line-missing": checkpoint("without its root", f"{origin}\n70000\n"),
        "checkpoint-no-last-newline": checkpoint("cut by its last newline", TEXT[:-1]),
        "checkpoint-carriage-returns": checkpoint("lines end as on Windows", TEXT.replace("\n", "\r\n")),
    }


def vectors() -> dict[str, bytes]:
    """File name to file."""
    made = inclusion_vectors() | consistency_vectors() | note_vectors() | checkpoint_vectors()
    return {
        f"{name}.json": json.dumps({"desc": desc, "in": given, "expect": expect}, indent=1, ensure_ascii=False).encode()
        + b"\n"
        for name, (desc, given, expect) in made.items()
    }


def main() -> None:
    for path in FOLDER.glob("*.json"):
        path.unlink()
    for name, content in vectors().items():
        (FOLDER / name).write_bytes(content)


if __name__ == "__main__":
    main()
