# SPDX-License-Identifier: Apache-2.0
"""Makes the vectors of log proofs, one file for one mutation of a good one: `python -m tests.vectors.proofs.make`.

All are about the entry in the file `entry`, which is number 5 in a log of 11. Keys are fixed (`tests.signers`) and
Ed25519 is deterministic, so every run gives the same bytes.
"""

import base64
from pathlib import Path

from comity.tlog.merkle import inclusion_proof, leaf_hash, root_hash
from comity.tlog.note import Checkpoint, format_checkpoint, format_note, sign_note
from comity.tlog.proof import LogProof, format_proof
from tests.signers import SeedSigner
from tests.trees import TileStore

FOLDER = Path(__file__).parent
ORIGIN = "arvenia.example/log"
LOG = SeedSigner("arvenia log")
_ENTRIES = [b"entry %d of arvenia\n" % number for number in range(11)]
_PLACE, _SIZE = 5, 11


def checkpoint(store: TileStore, size: int) -> bytes:
    """The signed checkpoint over the first `size` entries."""
    text = format_checkpoint(Checkpoint(origin=ORIGIN, size=size, root=root_hash(store.read, size)))
    return format_note(sign_note(text, ORIGIN, LOG))


def vectors() -> dict[str, bytes]:
    """File name to file."""
    store = TileStore([[leaf_hash(entry) for entry in _ENTRIES]])
    hashes, head = inclusion_proof(store.read, _PLACE, _SIZE), checkpoint(store, _SIZE)
    good = format_proof(LogProof(index=_PLACE, hashes=hashes, checkpoint=head))
    with_extra = format_proof(LogProof(index=_PLACE, hashes=hashes, checkpoint=head, extra=b"age-v1.2.1"))
    files = {"good": good, "good-extra": with_extra}
    files |= {f"bad-{name}": data for name, data in (_change_lines(good) | _change_whole(good, store)).items()}
    return {"entry": _ENTRIES[_PLACE]} | {f"{name}.tlog-proof": data for name, data in files.items()}


def _change_lines(good: bytes) -> dict[str, bytes]:
    """One line of the head set anew, taken out or put in."""
    lines = good.decode().split("\n")
    header, sibling = lines[0], lines[2]
    decoded = base64.b64decode(sibling)

    def put(place: int, *new: str, instead: int = 1) -> bytes:
        return "\n".join([*lines[:place], *new, *lines[place + instead :]]).encode()

    return {
        "header-version": put(0, "c2sp.org/tlog-proof@v2"),
        "header-space": put(0, header + " "),
        "header-missing": put(0),
        "index-missing": put(1),
        "index-plus": put(1, "index +5"),
        "index-zero-first": put(1, "index 05"),
        "index-underscore": put(1, "index 0_5"),
        "index-negative": put(1, "index -5"),
        "index-huge": put(1, "index 9223372036854775807"),
        "index-other": put(1, "index 4"),
        "index-beyond": put(1, "index 11"),
        "index-twice": put(2, "index 5", instead=0),
        "extra-after-index": put(2, "extra YWdl", instead=0),
        "extra-twice": put(1, "extra YWdl", "extra YWdl", instead=0),
        "extra-empty": put(1, "extra ", instead=0),
        "extra-padding": put(1, "extra YWd", instead=0),
        "hash-flipped": put(2, base64.b64encode(bytes([decoded[0] ^ 1]) + decoded[1:]).decode()),
        "hash-short": put(2, base64.b64encode(decoded[:31]).decode()),
        "hash-spelling": put(2, sibling[:-2] + chr(ord(sibling[-2]) + 1) + "="),
        "hash-missing": put(2),
        "hash-more": put(2, sibling, instead=0),
        "hashes-swapped": put(2, lines[3], sibling, instead=2),
    }


def _change_whole(good: bytes, store: TileStore) -> dict[str, bytes]:
    head = good[: good.index(b"\n\n") + 2]
    return {
        "crlf": good.replace(b"\n", b"\r\n"),
        "empty-line-missing": good.replace(b"\n\n", b"\n", 1),
        "empty-line-twice": good.replace(b"\n\n", b"\n\n\n", 1),
        "checkpoint-missing": head,
        "checkpoint-other-size": head + checkpoint(store, 10),
        "checkpoint-unsigned": good[: good.rindex(b"\n\n") + 2],
    }


def main() -> None:
    for name, content in vectors().items():
        (FOLDER / name).write_bytes(content)


if __name__ == "__main__":
    main()
