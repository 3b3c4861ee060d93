# SPDX-License-Identifier: Apache-2.0
"""Pure: whether a witness may cosign a head, and how it is asked and answers (C2SP tlog-witness, add-checkpoint).

Decides from a request, the keys of the log that it names, and the last head that was cosigned. Does not keep that head,
nor sign (`node.witness`): who asks here must keep what `Cosign` holds, on the disk, before the cosignature leaves, and
let no other request be decided in between.

    old 20852014
    PlRNCrwHpqhGrupue0L7gxbjbMiKA9temvuZZDDpkaw=

    example.com/behind-the-sofa
    20852163
    CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=

    — example.com/behind-the-sofa Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/...
"""

import base64
import re
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias

from comity.errors import BadSignature, MalformedNote, ProofMismatch, UnknownKey
from comity.tlog.cosignature import verify_log_signature
from comity.tlog.evidence import MAX_PROOF_HASHES
from comity.tlog.merkle import EMPTY_ROOT, Hash, verify_consistency
from comity.tlog.note import (
    Checkpoint,
    Note,
    NoteSignature,
    VerifierKey,
    format_note,
    format_signature_line,
    parse_checkpoint,
    parse_note,
    parse_signature_lines,
)

__all__ = [
    "MAX_REQUEST_BYTES",
    "AddCheckpoint",
    "Cosign",
    "Decision",
    "Reason",
    "Refused",
    "Seen",
    "WitnessAnswer",
    "decide_checkpoint",
    "decide_followed",
    "find_told_size",
    "format_add_checkpoint",
    "format_answer",
    "parse_add_checkpoint",
    "parse_cosignatures",
    "parse_size",
]

MAX_REQUEST_BYTES = 128 * 1024
"""63 hashes, and a checkpoint with 16 signatures of 5 kB, which is what every reader of notes has to take."""

_SIZE = re.compile(r"0|[1-9][0-9]{0,18}", re.ASCII)
_MAX_SIZE = 2**63 - 1
_HASH_BYTES = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class AddCheckpoint:
    """What a log asks a witness for. Nothing in it is verified yet."""

    old_size: int
    proof: tuple[Hash, ...]
    note: Note
    checkpoint: Checkpoint


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """The last head of a log that this witness cosigned, and the note as the log signed it."""

    checkpoint: Checkpoint
    note: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Cosign:
    """The head may be cosigned once `seen` is kept in the place of the one before."""

    seen: Seen


class Reason(StrEnum):
    """Why a head is not cosigned."""

    UNKNOWN_LOG = "unknown-log"
    """No log of that name is witnessed here."""
    FORBIDDEN = "forbidden"
    """No key of the log signed it."""
    OLD_SIZE = "old-size"
    """The old size is over that of the checkpoint."""
    CONFLICT = "conflict"
    """The old size is not that of the last head cosigned here, or the head of that size is another."""
    UNPROCESSABLE = "unprocessable"
    """The proof does not lead from the last head to this one."""
    STOPPED = "stopped"
    """This witness may have cosigned more than it remembers, and cosigns nothing by this key."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """The head is not cosigned; `size` is that of the last one that was.

    `against` is a head of the log that this one contradicts, and `signed` this one as the log signed it: together with
    the proof they are evidence (`tlog.evidence`), and worth being kept.
    """

    reason: Reason
    size: int = 0
    against: Seen | None = None
    signed: Seen | None = None


Decision: TypeAlias = Cosign | Refused

_STATUS = {
    Reason.UNKNOWN_LOG: 404,
    Reason.FORBIDDEN: 403,
    Reason.OLD_SIZE: 400,
    Reason.CONFLICT: 409,
    Reason.UNPROCESSABLE: 422,
    Reason.STOPPED: 503,
}
_TEXT = "text/plain; charset=utf-8"
_TEXT_SIZE = "text/x.tlog.size"


@dataclass(frozen=True, slots=True, kw_only=True)
class WitnessAnswer:
    """An answer over HTTP."""

    status: int
    media_type: str
    body: bytes


def parse_add_checkpoint(body: bytes) -> AddCheckpoint:
    """The request that a body is: the old size, at most 63 hashes, an empty line, a checkpoint.

    Raises:
        MalformedNote: not that, or over a bound.
    """
    if len(body) > MAX_REQUEST_BYTES:
        raise MalformedNote(f"a request of {len(body)} bytes, where at most {MAX_REQUEST_BYTES} are taken")
    head, separator, signed = body.partition(b"\n\n")
    lines = head.decode("utf-8", errors="replace").split("\n")
    word, _, digits = lines[0].partition(" ")
    if not separator or word != "old":
        raise MalformedNote("a request is: old SIZE, lines of hashes, an empty line, a checkpoint", where="line 1")
    if len(lines) - 1 > MAX_PROOF_HASHES:
        raise MalformedNote(f"{len(lines) - 1} hashes of a proof where at most {MAX_PROOF_HASHES} are taken")
    note = parse_note(signed)
    return AddCheckpoint(
        old_size=_read_size(digits),
        proof=tuple(_read_hash(line, where=f"line {place}") for place, line in enumerate(lines[1:], start=2)),
        note=note,
        checkpoint=parse_checkpoint(note.text),
    )


def format_add_checkpoint(old_size: int, proof: Sequence[Hash], checkpoint: bytes) -> bytes:
    """The body of a request for the signed `checkpoint`; `parse_add_checkpoint` reads it."""
    lines = [f"old {old_size}", *(base64.b64encode(each).decode("ascii") for each in proof)]
    return "\n".join(lines).encode() + b"\n\n" + checkpoint


def decide_checkpoint(
    request: AddCheckpoint,
    *,
    keys: Sequence[VerifierKey],
    seen: Seen | None,
    earlier: Callable[[], Sequence[VerifierKey]] = tuple,
) -> Decision:
    """Whether the head may be cosigned, in the order of checks of the specification.

    `keys` are those of the log that the checkpoint names, none for a log that is not witnessed; `seen` is the last head
    of that log that was cosigned, None if none was; of a log that goes on from another under another name, it is the
    last one of that. `earlier` gives the keys that signed its heads before: who has one of them alone is told how much
    has been cosigned since, as it may be a store that was put back, and gets nothing signed.

    Raises:
        MalformedNote: a key that is none of a log.
    """
    new = request.checkpoint
    if not keys:
        return Refused(reason=Reason.UNKNOWN_LOG)
    signed = _find_signed(request, keys)
    last = Checkpoint(origin=new.origin, size=0, root=EMPTY_ROOT) if seen is None else seen.checkpoint
    if signed is None:
        behind = seen is not None and _find_signed(request, earlier()) is not None
        return Refused(reason=Reason.CONFLICT if behind else Reason.FORBIDDEN, size=last.size)
    # Two roots for one size are a proof, whatever else is wrong with the request.
    forked = seen is not None and new.size == last.size and new.root != last.root
    against = seen if forked else None
    if request.old_size > new.size:
        return Refused(reason=Reason.OLD_SIZE, size=last.size, against=against, signed=signed)
    if request.old_size != last.size or (new.size == last.size and new.root != last.root and not request.proof):
        return Refused(reason=Reason.CONFLICT, size=last.size, against=against, signed=signed)
    try:
        verify_consistency(last.size, new.size, request.proof, last.root, new.root)
    except ProofMismatch:
        contradicted = seen if forked or new.size > last.size else None
        return Refused(reason=Reason.UNPROCESSABLE, size=last.size, against=contradicted, signed=signed)
    return Cosign(seen=signed)


def decide_followed(
    request: AddCheckpoint, *, keys: Sequence[VerifierKey], last: Seen | None, least: int = 0
) -> Refused:
    """Why the head of a log that goes on under another name is not cosigned.

    `last` is the last head that was cosigned of what it goes on as, or of itself; `least` how many entries it has at
    least. Who goes on with the old name is told that: what is greater contradicts `last`.

    Raises:
        MalformedNote: a key that is none of a log.
    """
    signed, size = _find_signed(request, keys), max(least, 0 if last is None else last.checkpoint.size)
    if signed is None:
        return Refused(reason=Reason.FORBIDDEN, size=size)
    if signed.checkpoint.size <= size:
        return Refused(reason=Reason.CONFLICT, size=size)
    return Refused(reason=Reason.UNPROCESSABLE, size=size, against=last, signed=signed)


def format_answer(
    decision: Decision, cosignatures: Sequence[NoteSignature] = (), *, tells_size: bool = False
) -> WitnessAnswer:
    """The answer to a decision; `cosignatures` are those made where it is `Cosign`, and kept before.

    With `tells_size` one that is forbidden has the size as well, on a second line: for whoever is known to be the log's
    party by something else than the head.
    """
    match decision:
        case Cosign():
            body = "".join(map(format_signature_line, cosignatures)).encode()
            return WitnessAnswer(status=200, media_type=_TEXT, body=body)
        case Refused(reason=Reason.CONFLICT, size=size):
            return WitnessAnswer(status=409, media_type=_TEXT_SIZE, body=f"{size}\n".encode())
        case Refused(reason=Reason.FORBIDDEN as reason, size=size) if tells_size:
            return WitnessAnswer(status=403, media_type=_TEXT, body=f"{reason}\n{size}\n".encode())
        case Refused(reason=reason):
            return WitnessAnswer(status=_STATUS[reason], media_type=_TEXT, body=f"{reason}\n".encode())


def parse_cosignatures(body: bytes) -> tuple[NoteSignature, ...]:
    """The signature lines of an answer with the status 200; whether they are a witness's is not looked at.

    Raises:
        MalformedNote: not that, or over a bound.
    """
    if len(body) > MAX_REQUEST_BYTES:
        raise MalformedNote(f"an answer of {len(body)} bytes, where at most {MAX_REQUEST_BYTES} are taken")
    return parse_signature_lines(body)


def find_told_size(body: bytes) -> int:
    """The size in an answer with the status 403, where it tells one; else 0."""
    first, _, rest = body.partition(b"\n")
    with suppress(MalformedNote):
        return parse_size(rest) if first == Reason.FORBIDDEN.encode() else 0
    return 0


def parse_size(body: bytes) -> int:
    """The size in an answer with the status 409.

    Raises:
        MalformedNote: not a size in decimal and a newline.
    """
    if not body.endswith(b"\n"):
        raise MalformedNote("an answer that is not a size and a newline")
    return _read_size(body[:-1].decode("utf-8", errors="replace"))


def _find_signed(request: AddCheckpoint, keys: Sequence[VerifierKey]) -> Seen | None:
    """The head with the line by which the log signed it alone: what others signed beside is not kept."""
    for key in keys:
        with suppress(UnknownKey, BadSignature):
            checkpoint = verify_log_signature(request.note, key)
            line = next(
                each for each in request.note.signatures if (each.name, each.key_hash) == (key.name, key.key_hash)
            )
            return Seen(checkpoint=checkpoint, note=format_note(Note(text=request.note.text, signatures=(line,))))
    return None


def _read_size(digits: str) -> int:
    if _SIZE.fullmatch(digits) is None or int(digits) > _MAX_SIZE:
        raise MalformedNote("the size is not in decimal, 0 to 2^63 - 1", where="line 1")
    return int(digits)


def _read_hash(line: str, *, where: str) -> Hash:
    try:
        data = base64.b64decode(line, validate=True)
    except ValueError:
        data = b""
    if len(data) != _HASH_BYTES or base64.b64encode(data).decode("ascii") != line:
        raise MalformedNote(f"{where} of the request is not the base64 of a hash of 32 bytes", where=where)
    return data
