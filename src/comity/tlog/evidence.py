# SPDX-License-Identifier: Apache-2.0
"""Pure: two checkpoints that one log signed and that cannot both be its history, kept so that anybody can see it.

Decides what such a pair shows to who has nothing but the log's key. Does not decide who made the pair known, nor when:
both are said in it, and neither is believed.

    {"format":"comity-fork-evidence/1","first":NOTE,"second":NOTE,"proof":[BASE64,…],
     "noted_at":"2026-11-23T09:00:00.000000Z","noted_by":"comity/borlund/witness"}

It is a **proof** that the log signed two histories when the sizes are equal and the roots are not, or when a
consistency proof leads to the root of the greater and to another root than the one signed for the smaller: nodes of a
tree cannot be made up. It is an **accusation** when the proof leads nowhere: proofs are not signed, and whoever holds
two checkpoints can put a bad one beside them. It is answered by a proof that the log makes, and only by that.

The two may be of two names of one party's log, where it goes on under another (`tlog.origin`). That is an accusation
too: entries that were lost before a recovery were signed under the name before, and others in their place under the
next. It is answered by the party's statement that the one follows the other, from which entry on.
"""

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from comity.canonical import Json, Limits, canonical_bytes, parse_json
from comity.counting import say_count
from comity.errors import BadSignature, MalformedJson, MalformedNote, MalformedRequest, ProofMismatch, UnknownKey
from comity.ids import Instant, format_instant, parse_instant
from comity.tlog.cosignature import verify_log_signature
from comity.tlog.merkle import Hash, find_old_root, verify_consistency
from comity.tlog.note import Checkpoint, VerifierKey, parse_note

__all__ = [
    "MAX_PROOF_HASHES",
    "ForkEvidence",
    "Shown",
    "Verdict",
    "format_fork_evidence",
    "parse_fork_evidence",
    "verify_fork_evidence",
]

MAX_PROOF_HASHES = 63
"""Of a consistency proof (C2SP tlog-witness): a tree of 2^63 leaves needs no more."""

_FORMAT = "comity-fork-evidence/1"
_MEMBERS = ("format", "first", "second", "proof", "noted_at", "noted_by")
_LIMITS = Limits(max_bytes=1 << 20, max_depth=2, max_items=128)
_MAX_NAME = 255
_HASH_BYTES = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class ForkEvidence:
    """Two checkpoints as the log signed them, the smaller first, and the consistency proof given with the second."""

    first: bytes
    second: bytes
    proof: tuple[Hash, ...]
    noted_at: Instant
    noted_by: str


class Verdict(StrEnum):
    """What evidence shows."""

    PROVED = "proved"
    """The log signed two histories."""
    ACCUSED = "accused"
    """No consistency proof is at hand; the log is asked for one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """What evidence shows, and of which checkpoints."""

    verdict: Verdict
    first: Checkpoint
    second: Checkpoint
    true_root: Hash | None
    """Of the second tree, the root at the size of the first, where a proof shows it."""


def verify_fork_evidence(evidence: ForkEvidence, keys: Sequence[VerifierKey]) -> Shown:
    """What the evidence shows of the log that has one of these keys, which may be of two names of it.

    Raises:
        UnknownKey, BadSignature: one of the two was not signed by the log.
        MalformedNote: one of them is no checkpoint.
        ProofMismatch: the two are of one history, or the first is the greater: this shows nothing.
    """
    first, second = (_verify_signed(note, keys) for note in (evidence.first, evidence.second))
    sizes = f"{first.size} and {second.size} entries"
    if first.size > second.size:
        raise ProofMismatch(f"the checkpoints over {sizes} stand in the wrong order")
    if first.size == second.size and first.origin == second.origin:
        if first.root == second.root:
            raise ProofMismatch(
                f"both checkpoints over {say_count(first.size, 'entry')} have one root: this shows nothing"
            )
        return Shown(verdict=Verdict.PROVED, first=first, second=second, true_root=None)
    if _is_consistent(first, second, evidence.proof):
        raise ProofMismatch(f"the checkpoints over {sizes} are of one history, as the proof beside them shows")
    found = find_old_root(first.size, second.size, evidence.proof, second.root)
    if first.origin != second.origin:
        found = None
    verdict = Verdict.ACCUSED if found is None else Verdict.PROVED
    return Shown(verdict=verdict, first=first, second=second, true_root=found)


def parse_fork_evidence(data: bytes) -> ForkEvidence:
    """The evidence that the bytes of a file are. Nothing in it is verified yet.

    Raises:
        MalformedNote: not strict JSON of that form, or over a bound.
    """
    try:
        value = parse_json(data, limits=_LIMITS)
    except MalformedJson as error:
        raise MalformedNote(f"not evidence of a fork: {error.detail}", where=error.where) from error
    if not isinstance(value, dict) or value.keys() != set(_MEMBERS) or value["format"] != _FORMAT:
        raise MalformedNote(f"not evidence of a fork: an object with exactly {', '.join(_MEMBERS)}, of {_FORMAT}")
    proof, name = value["proof"], value["noted_by"]
    if not isinstance(proof, list) or len(proof) > MAX_PROOF_HASHES:
        raise MalformedNote(f"/proof is not a list of at most {MAX_PROOF_HASHES} hashes", where="/proof")
    if not isinstance(name, str) or not 1 <= len(name) <= _MAX_NAME or not name.isprintable():
        raise MalformedNote("/noted_by is not a name", where="/noted_by")
    return ForkEvidence(
        first=_read_text(value["first"], where="/first").encode(),
        second=_read_text(value["second"], where="/second").encode(),
        proof=tuple(_read_hash(item, where=f"/proof/{place}") for place, item in enumerate(proof)),
        noted_at=_read_instant(value["noted_at"]),
        noted_by=name,
    )


def format_fork_evidence(evidence: ForkEvidence) -> bytes:
    """The bytes of a file that hold the evidence; `parse_fork_evidence` gives it back from them."""
    proof: list[Json] = [base64.b64encode(each).decode("ascii") for each in evidence.proof]
    return canonical_bytes(
        {
            "format": _FORMAT,
            "first": evidence.first.decode(),
            "second": evidence.second.decode(),
            "proof": proof,
            "noted_at": format_instant(evidence.noted_at),
            "noted_by": evidence.noted_by,
        }
    )


def _verify_signed(note: bytes, keys: Sequence[VerifierKey]) -> Checkpoint:
    parsed = parse_note(note)
    failure: UnknownKey | BadSignature = UnknownKey("no key of the log is given")
    for key in keys:
        try:
            return verify_log_signature(parsed, key)
        except (UnknownKey, BadSignature) as error:
            failure = error
    raise failure


def _is_consistent(first: Checkpoint, second: Checkpoint, proof: Sequence[Hash]) -> bool:
    try:
        verify_consistency(first.size, second.size, proof, first.root, second.root)
    except ProofMismatch:
        return False
    return True


def _read_text(value: Json, *, where: str) -> str:
    if not isinstance(value, str):
        raise MalformedNote(f"{where} is not text", where=where)
    return value


def _read_hash(value: Json, *, where: str) -> Hash:
    try:
        data = base64.b64decode(value, validate=True) if isinstance(value, str) else b""
    except ValueError:
        data = b""
    if len(data) != _HASH_BYTES or base64.b64encode(data).decode("ascii") != value:
        raise MalformedNote(f"{where} is not the base64 of a hash of {_HASH_BYTES} bytes", where=where)
    return data


def _read_instant(value: Json) -> Instant:
    try:
        return parse_instant(value if isinstance(value, str) else "")
    except MalformedRequest as error:
        raise MalformedNote(f"/noted_at: {error.detail}", where="/noted_at") from error
