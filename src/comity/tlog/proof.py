# SPDX-License-Identifier: Apache-2.0
"""Pure: the proof that a log holds an entry, as one text that needs nobody to be asked (C2SP tlog-proof).

Decides whether bytes are such a proof, and whether it leads from an entry to the root in its checkpoint. Does not
decide who signed that checkpoint (`tlog.note`), nor whether enough witnesses have seen it.

    c2sp.org/tlog-proof@v1
    extra b3V0LW9mLWJhbmQ=                                   at most once, and nobody vouches for it
    index 5
    CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=             from the leaf's sibling up, none for a log of one entry

    comity/arvenia
    6
    gSKyXoYZUgZ6jduWYrkDOARinOMGJveXjgMkBTcdPlQ=

    — comity/arvenia Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/...

A proof has one spelling: what is accepted is given back byte for byte by `format_proof`.
"""

import base64
import re
from collections.abc import Sequence
from dataclasses import dataclass

from comity.errors import MalformedNote
from comity.tlog.merkle import Hash, leaf_hash, verify_inclusion
from comity.tlog.note import Checkpoint, Note, parse_checkpoint, parse_note

__all__ = ["LogProof", "format_hashes", "format_proof", "parse_hashes", "parse_proof", "verify_proof"]

_HEADER = "c2sp.org/tlog-proof@v1"
_EXTRA = "extra "
_INDEX = "index "
_HASH_BYTES = 32
_MAX_HASHES = 63  # a tree of 2^63 - 1 leaves is not higher
_MAX_SIZE = 2**63 - 1
_MAX_BYTES = 2_000_000  # a checkpoint is a note of at most 1,000,000; C2SP sets no bound on the rest
_INDEX_TEXT = re.compile(r"0|[1-9][0-9]{0,18}", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class LogProof:
    """A proof as it was read. Nothing in it is verified yet."""

    index: int
    """The entry's place in the log, from 0."""
    hashes: tuple[Hash, ...]
    checkpoint: bytes
    """The signed note, as it was signed, with whatever cosignatures it carries."""
    extra: bytes | None = None
    """What nobody vouches for."""


def parse_proof(data: bytes) -> LogProof:
    """The proof that the bytes are (C2SP tlog-proof). That the checkpoint is one is for `verify_proof` to say.

    Raises:
        MalformedNote: not that, or over a bound; `where` is a line.
    """
    if len(data) > _MAX_BYTES:
        raise MalformedNote(f"a log proof of {len(data)} bytes, where at most {_MAX_BYTES} are taken")
    # The first empty line ends the hashes: a checkpoint begins behind it, and holds another.
    head, separator, checkpoint = data.partition(b"\n\n")
    if not separator:
        raise MalformedNote("a log proof is lines, an empty line, and a checkpoint; the empty line is missing")
    try:
        lines = head.decode("ascii").split("\n")
    except UnicodeDecodeError as error:
        where = f"line {data.count(10, 0, error.start) + 1}"
        raise MalformedNote(f"{where} of the log proof is not ASCII", where=where) from None
    if lines[0] != _HEADER:
        raise MalformedNote(f"line 1 of a log proof is {_HEADER}, the one version that is known", where="line 1")
    extra, at = None, 1
    if len(lines) > 1 and lines[1].startswith(_EXTRA):
        extra, at = _read_base64(lines[1].removeprefix(_EXTRA), where="line 2"), 2
    index = _read_index(lines[at] if len(lines) > at else "", where=f"line {at + 1}")
    return LogProof(index=index, hashes=_read_hashes(lines[at + 1 :], first=at + 2), checkpoint=checkpoint, extra=extra)


def format_proof(proof: LogProof) -> bytes:
    """The bytes of a proof; `parse_proof` gives it back from them.

    Raises:
        MalformedNote: the proof cannot be written: its index, a hash or the checkpoint is not what a proof may hold.
    """
    extra = [] if proof.extra is None else [_EXTRA + _format_base64(proof.extra)]
    lines = [_HEADER, *extra, f"{_INDEX}{proof.index}", *map(_format_base64, proof.hashes), "", ""]
    data = "\n".join(lines).encode("ascii") + proof.checkpoint
    if parse_proof(data) != proof:
        raise MalformedNote("the log proof would be read differently from how it was made: check index and hashes")
    return data


def verify_proof(proof: LogProof, entry: bytes) -> tuple[Note, Checkpoint]:
    """The checkpoint and the note it stands in, after the proof has led from `entry` to its root.

    Who signed the note is NOT checked here: ask `tlog.note.verify_note`, with the log's key.

    Raises:
        MalformedNote: the checkpoint is not one.
        ProofMismatch: the proof does not lead to the root in it.
    """
    note = parse_note(proof.checkpoint)
    checkpoint = parse_checkpoint(note.text)
    verify_inclusion(leaf_hash(entry), proof.index, checkpoint.size, proof.hashes, checkpoint.root)
    return note, checkpoint


def format_hashes(hashes: Sequence[Hash]) -> bytes:
    """The hashes of a proof, a line of base64 each, as in C2SP tlog-proof and tlog-witness."""
    return "".join(_format_base64(each) + "\n" for each in hashes).encode("ascii")


def parse_hashes(data: bytes) -> tuple[Hash, ...]:
    """The hashes that the lines are; none for no bytes.

    A consistency proof has one hash more than a tree is high, at most.

    Raises:
        MalformedNote: a line that is not the base64 of 32 bytes, or too many lines.
    """
    try:
        text = data.decode("ascii")
    except UnicodeDecodeError:
        raise MalformedNote("the hashes of a proof are lines of base64, which is ASCII") from None
    if text and not text.endswith("\n"):
        raise MalformedNote("the last line of the hashes is cut short: each ends with a newline")
    return _read_hashes(text.split("\n")[:-1], first=1, most=_MAX_HASHES + 1)


def _read_index(line: str, *, where: str) -> int:
    text = line.removeprefix(_INDEX)
    # Digits are matched before int(), which would also take "+1" and "1_0".
    if not line.startswith(_INDEX) or _INDEX_TEXT.fullmatch(text) is None or int(text) >= _MAX_SIZE:
        raise MalformedNote(f'{where} of the log proof is not "index" and a number in decimal', where=where)
    return int(text)


def _read_hashes(lines: Sequence[str], *, first: int, most: int = _MAX_HASHES) -> tuple[Hash, ...]:
    if len(lines) > most:
        raise MalformedNote(f"{len(lines)} hashes where a proof has at most {most}")
    hashes = tuple(_read_base64(line, where=f"line {first + place}") for place, line in enumerate(lines))
    for place, each in enumerate(hashes):
        if len(each) != _HASH_BYTES:
            where = f"line {first + place}"
            raise MalformedNote(f"{where} of the proof holds {len(each)} bytes where a hash has 32", where=where)
    return hashes


def _format_base64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def _read_base64(text: str, *, where: str) -> bytes:
    """The bytes of their one standard spelling (RFC 4648 §4, §3.5)."""
    try:
        data = base64.b64decode(text, validate=True)
    except ValueError:
        data = b""
    if not data or _format_base64(data) != text:
        raise MalformedNote(f"{where} of the log proof is not base64 in its one standard spelling", where=where)
    return data
