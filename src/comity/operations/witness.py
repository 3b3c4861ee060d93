# SPDX-License-Identifier: Apache-2.0
"""Shell: witnesses as results: who has cosigned what, and what contradicts it."""

import base64
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from comity.errors import MalformedError, MalformedNote, MalformedRequest
from comity.ids import format_instant, parse_digest
from comity.node import cosigning, witness
from comity.node.cosigning import WitnessState
from comity.node.node import Node
from comity.node.witness import StoredEvidence, StoredHead, find_log_keys
from comity.operations.outcome import Arguments, Outcome
from comity.operations.reply import Json
from comity.release.recovery import CONTRADICTION, Succession
from comity.signing import Manifest, parse_manifest, parse_signed_document, verify_manifest
from comity.tlog.evidence import ForkEvidence, Shown, parse_fork_evidence
from comity.tlog.note import SignatureType, VerifierKey, format_vkey, parse_vkey
from comity.tlog.origin import is_house, parse_origin

__all__ = [
    "describe_contradiction",
    "describe_evidence",
    "describe_heads",
    "describe_verdict",
    "find_keys",
    "is_contradiction",
    "list_all",
    "read_evidence",
    "read_manifest",
]

_EVIDENCE: Final = b'"format":"comity-fork-evidence/1"'
_GIVE: Final = "give a file of the folder `evidence`, as `witness list`, or `witness show DIR`, names it"


def list_all(node: Node, _: Arguments) -> Outcome:
    """The witnesses of the own log, the logs that are witnessed here, and evidence."""
    head = cosigning.read_own_head(node)
    return Outcome(
        result={
            "size": 0 if head is None else head.size,
            "log": format_vkey(witness.read_own_log_key(node)),
            "logs": list[Json]([format_vkey(key) for key in witness.list_other_log_keys(node)]),
            "witnesses": list[Json]([_describe_state(state) for state in cosigning.list_states(node)]),
            "witnessed": describe_heads(witness.list_witnessed(node.store)),
            "evidence": describe_evidence(node.folder, witness.list_evidence(node.store)),
        }
    )


def describe_heads(heads: Sequence[StoredHead]) -> Json:
    """The last head of each log that was cosigned."""
    return [
        {
            "origin": head.origin,
            "size": head.size,
            "cosigned_at": format_instant(head.cosigned_at),
            "checkpoint": head.checkpoint.decode(),
        }
        for head in heads
    ]


def describe_evidence(folder: Path, found: Sequence[StoredEvidence]) -> Json:
    """Each piece of evidence, with its file, written again where it was not there."""
    return [
        {
            "origin": one.origin,
            "proved": one.proved,
            "noted_at": format_instant(one.noted_at),
            "file": _write_evidence(folder, one),
        }
        for one in found
    ]


def describe_verdict(shown: Shown) -> dict[str, Json]:
    """What evidence shows."""
    return {
        "verdict": shown.verdict.value,
        "origin": shown.first.origin,
        "second_origin": shown.second.origin,
        "first_size": shown.first.size,
        "first_root": base64.b64encode(shown.first.root).decode(),
        "second_size": shown.second.size,
        "second_root": base64.b64encode(shown.second.root).decode(),
        "true_root": None if shown.true_root is None else base64.b64encode(shown.true_root).decode(),
    }


def describe_contradiction(first: Succession, second: Succession) -> dict[str, Json]:
    """What two statements of one party show that cannot stand beside one another."""
    return {
        "verdict": "proved",
        "origin": first.recovery.previous,
        "statements": [
            {"party": said.party, "origin": said.recovery.origin, "position": said.position} for said in (first, second)
        ],
    }


def is_contradiction(data: bytes) -> bool:
    """Whether evidence is of two statements, and not of two heads."""
    return f'"format":"{CONTRADICTION}"'.encode() in data


def read_evidence(data: bytes) -> ForkEvidence:
    """The two heads in a file. Nothing in it is verified yet.

    Raises:
        MalformedNote: it is no such file, or one that was altered.
    """
    try:
        return parse_fork_evidence(data)
    except MalformedNote as error:
        if _EVIDENCE in data:
            raise
        found = error.detail.removeprefix("not evidence of a fork: ")
        raise MalformedNote(f"this is no evidence of a fork, but another file ({found}); {_GIVE}") from error


def find_keys(
    manifest: bytes | None, *, origins: Sequence[str], digest: str | None, vkey: str | None
) -> tuple[VerifierKey, ...]:
    """The keys of the log with these names: those in the manifest of its party, or the one that was named.

    Raises:
        NotFoundError: no log of the party has that origin.
        MalformedRequest: neither or both are given, or the key is none of a log.
        VerificationError: the manifest is not signed by itself, or not the one pinned.
    """
    if (manifest is None) is (vkey is None):
        raise MalformedRequest("name the log whose heads these are: by --manifest FILE, or by --log VKEY")
    if vkey is not None:
        key = parse_vkey(vkey)
        if key.type is SignatureType.ED25519_COSIGNATURE:
            raise MalformedRequest(f"the key of {key.name} is that of a witness, not of a log", where="--log")
        # A log that goes on under another name is signed by the key of its party (`tlog.origin`).
        own = [name for name in origins if is_house(name) and is_house(key.name)]
        same = [name for name in own if parse_origin(name) == parse_origin(key.name)]
        return tuple(replace(key, name=name) for name in {key.name, *same})
    verified = read_manifest(manifest, digest=digest)
    return tuple(key for origin in origins for key in find_log_keys(verified, origin=origin))


def read_manifest(data: bytes | None, *, digest: str | None) -> Manifest:
    """The manifest in a file, signed by itself.

    Raises:
        MalformedRequest: none is given, or the file is no manifest.
        VerificationError: it is not signed by itself, or not the one pinned.
    """
    if data is None:
        raise MalformedRequest("what a party stated is verified by its manifest: give --manifest FILE")
    try:
        document = parse_signed_document(data)
        # Its times do not matter here: evidence is looked at long after the keys that signed it have run out.
        issued_at = parse_manifest(document.payload).issued_at
    except MalformedError as error:
        detail = f"this is not a manifest: {error.detail}; `party export` at the party's node writes it"
        raise MalformedRequest(detail, where="--manifest") from error
    return verify_manifest(document, now=issued_at, digest=None if digest is None else parse_digest(digest))


def _write_evidence(folder: Path, one: StoredEvidence) -> str | None:
    try:
        return str(witness.write_evidence(folder, one))
    except OSError:
        return None  # it is in the store all the same


def _describe_state(state: WitnessState) -> Json:
    known, last = state.witness, state.problem
    return {
        "name": known.name,
        "party": known.party,
        "url": known.url,
        "keys": [format_vkey(key) for key in known.keys],
        "size": state.size,
        "shown": known.logs.value,
        "cosigned_at": None if state.at is None else format_instant(state.at),
        "logs": state.logs,
        "problem": known.problem or (last[1] if last else None),
        "problem_at": None if last is None or known.problem else format_instant(last[0]),
    }
