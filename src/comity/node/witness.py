# SPDX-License-Identifier: Apache-2.0
"""Shell: a witness at work: a head is compared with the last one of its log, kept, and only then cosigned.

Comparing and keeping are one transaction, and the answer is made after its COMMIT: of two requests that race, one sees
what the other kept. A crash between COMMIT and answer leaves a head that was kept and not cosigned: the log is told its
size when it asks again. What is kept never goes back, which the schema of the store enforces as well.

A node is the witness of its partners' logs, each for the partner itself alone: whoever else asks is told nothing, not
even whose log is witnessed. What contradicts a head is kept as evidence, in the store and as a file.
"""

import logging
import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from comity.canonical import sha256_digest
from comity.errors import MalformedError, MalformedNote, NotFoundError, ProofMismatch
from comity.ids import Digest, Instant, PartyId
from comity.node.node import Node
from comity.signing import Manifest, Role, Signer, parse_manifest, parse_signed_document
from comity.store import SqliteStore, Transaction, logs, parties, witness
from comity.store.witness import StoredEvidence, StoredHead
from comity.tlog.cosignature import sign_cosignature
from comity.tlog.evidence import ForkEvidence, Verdict, format_fork_evidence, verify_fork_evidence
from comity.tlog.note import SignatureType, VerifierKey, parse_checkpoint, parse_note
from comity.tlog.origin import first_origin, name_origin, parse_origin
from comity.tlog.witness import (
    AddCheckpoint,
    Cosign,
    Decision,
    Reason,
    Refused,
    Seen,
    WitnessAnswer,
    decide_checkpoint,
    format_answer,
    parse_add_checkpoint,
)

__all__ = [
    "Cosigner",
    "StoredEvidence",
    "StoredHead",
    "add_checkpoint",
    "find_log_keys",
    "find_witness_keys",
    "list_evidence",
    "list_other_log_keys",
    "list_witnessed",
    "name_witness",
    "read_own_log_key",
    "take_checkpoint",
    "write_evidence",
]

_SECOND = 1_000_000
_FOLDER = "evidence"
_MAX_LOGS = 1_024
"""Of one partner: one for each relationship, all again with each recovery, and who has its key can name any number."""

_log = logging.getLogger("comity.witness")


@dataclass(frozen=True, slots=True, kw_only=True)
class Cosigner:
    """A key that a witness cosigns with, and what signs with it."""

    key: VerifierKey
    signer: Signer


def name_witness(party: PartyId) -> str:
    """The name under which a party's node cosigns (C2SP tlog-cosignature)."""
    return f"comity/{party}/witness"


def find_log_keys(manifest: Manifest, *, origin: str | None = None) -> tuple[VerifierKey, ...]:
    """The keys that sign the heads of the party's logs: of its house's first one, or of that with this origin.

    Raises:
        NotFoundError: no log of the party has that origin.
    """
    name = first_origin(manifest.party) if origin is None else origin
    try:
        owner = parse_origin(name)
    except MalformedError as error:
        raise NotFoundError(error.detail) from error
    if owner != manifest.party:
        raise NotFoundError(f"{name} is no log of {manifest.party}")
    return tuple(
        VerifierKey(name=name, type=SignatureType.ED25519, public_key=key) for key in manifest.roles[Role.LOG].keys
    )


def find_witness_keys(manifest: Manifest) -> tuple[VerifierKey, ...]:
    """The keys by which the party's node cosigns heads of other logs; none where its manifest names none."""
    role_keys = manifest.roles.get(Role.WITNESS)
    return tuple(
        VerifierKey(name=name_witness(manifest.party), type=SignatureType.ED25519_COSIGNATURE, public_key=key)
        for key in (role_keys.keys if role_keys else ())
    )


def read_own_log_key(node: Node) -> VerifierKey:
    """The key that signs the heads of this node's logs, as that of its house's: what a stand-alone witness is given."""
    return VerifierKey(name=node.origin, type=SignatureType.ED25519, public_key=node.signers[Role.LOG].public_key)


def list_other_log_keys(node: Node) -> list[VerifierKey]:
    """The same key as that of each log of a relationship: for a witness that knows logs by their origins alone."""
    with node.store.read() as transaction:
        there = logs.list_logs(transaction)
    key = read_own_log_key(node)
    return [replace(key, name=name_origin(node.party, each.token)) for each in there if each.closed_at is None]


def add_checkpoint(node: Node, party: PartyId, body: bytes) -> WitnessAnswer:
    """The answer to a partner that asks for a cosignature over the head of its own log.

    Raises:
        NotFoundError: the head is of another log, or this node has no key to cosign with.
        MalformedNote: the body is no such request.
        StoreFull: it could not be kept, and was not cosigned.
    """
    signer = node.signers.get(Role.WITNESS)
    if signer is None:
        raise NotFoundError("this node has no witness key; its manifest was made before there were witnesses")
    with node.store.read() as transaction:
        pinned = parties.read_party(transaction, party)
    if pinned is None:
        raise NotFoundError(f"{party} is not pinned here")
    request = parse_add_checkpoint(body)
    origin = request.checkpoint.origin
    keys = find_log_keys(parse_manifest(parse_signed_document(pinned.envelope).payload), origin=origin)
    with node.store.read() as transaction:
        known = witness.list_origins(transaction, first_origin(party))
    if origin not in known and len(known) >= _MAX_LOGS:
        _log.error("the log %s is not witnessed: %s has had %d of them here already", origin, party, len(known))
        return format_answer(Refused(reason=Reason.FORBIDDEN))
    key = VerifierKey(
        name=name_witness(node.party), type=SignatureType.ED25519_COSIGNATURE, public_key=signer.public_key
    )
    return take_checkpoint(
        node.store,
        request,
        keys=keys,
        cosigners=[Cosigner(key=key, signer=signer)],
        now=node.clock(),
        folder=node.folder,
    )


def take_checkpoint(
    store: SqliteStore,
    request: AddCheckpoint,
    *,
    keys: Sequence[VerifierKey],
    cosigners: Sequence[Cosigner],
    now: Instant,
    folder: Path,
) -> WitnessAnswer:
    """The answer to a request, by a witness that keeps its heads in `store`; `keys` are those of the log.

    Raises:
        StoreFull: the head could not be kept, and was not cosigned.
    """
    with store.write() as transaction:
        decision = decide_checkpoint(request, keys=keys, seen=_read_seen(transaction, request.checkpoint.origin))
        found = _keep(transaction, request, decision, keys=keys, now=now, name=cosigners[0].key.name)
    if found is not None:
        _tell(folder, *found)
    if isinstance(decision, Refused):
        return format_answer(decision)
    timestamp = now // _SECOND
    text = request.note.text
    return format_answer(
        decision, [sign_cosignature(text, each.key, each.signer, timestamp=timestamp) for each in cosigners]
    )


def list_witnessed(store: SqliteStore) -> list[StoredHead]:
    """The last head of every log that was cosigned here, by origin."""
    with store.read() as transaction:
        return witness.list_seen(transaction)


def list_evidence(store: SqliteStore) -> list[StoredEvidence]:
    """All evidence that was kept here, oldest first."""
    with store.read() as transaction:
        return witness.list_evidence(transaction)


def write_evidence(folder: Path, found: StoredEvidence) -> Path:
    """The file with the evidence below `folder`, written if it is not there; a crash leaves all of it or none."""
    path = _find_path(folder, found.pair, proved=found.proved)
    if path.exists():
        return path
    path.parent.mkdir(mode=0o700, exist_ok=True)
    temporary = path.with_suffix(".new")
    handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(found.evidence)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
    return path


def _read_seen(transaction: Transaction, origin: str) -> Seen | None:
    note = witness.read_seen(transaction, origin)
    return None if note is None else Seen(checkpoint=parse_checkpoint(parse_note(note).text), note=note)


def _keep(
    transaction: Transaction,
    request: AddCheckpoint,
    decision: Decision,
    *,
    keys: Sequence[VerifierKey],
    now: Instant,
    name: str,
) -> tuple[StoredEvidence, list[Digest]] | None:
    """Keep what the decision asks to be kept; given back is new evidence, and which accusations it took the room of."""
    match decision:
        case Cosign(seen=head):
            last = _read_seen(transaction, head.checkpoint.origin)
            # The head that is known already, perhaps signed by another key of the log, is not written again.
            if last is None or last.checkpoint != head.checkpoint:
                kept = StoredHead(
                    origin=head.checkpoint.origin, size=head.checkpoint.size, checkpoint=head.note, cosigned_at=now
                )
                witness.put_seen(transaction, kept)
            return None
        case Refused(against=Seen() as against, signed=Seen() as signed):
            evidence = ForkEvidence(
                first=against.note, second=signed.note, proof=request.proof, noted_at=now, noted_by=name
            )
            return _keep_evidence(transaction, evidence, keys=keys)
        case Refused():
            return None


def _keep_evidence(
    transaction: Transaction, evidence: ForkEvidence, *, keys: Sequence[VerifierKey]
) -> tuple[StoredEvidence, list[Digest]] | None:
    try:
        shown = verify_fork_evidence(evidence, keys)
    except (MalformedNote, ProofMismatch):
        return None  # a proof that is too long beside heads of one history: it shows nothing
    texts = (parse_note(note).text.encode() for note in (evidence.first, evidence.second))
    found = StoredEvidence(
        pair=sha256_digest(b"\n".join(texts)),
        origin=shown.first.origin,
        noted_at=evidence.noted_at,
        proved=shown.verdict is Verdict.PROVED,
        evidence=format_fork_evidence(evidence),
    )
    if not witness.add_evidence(transaction, found):
        return None
    return found, witness.forget_accusations(transaction, found)


def _tell(folder: Path, found: StoredEvidence, forgotten: Sequence[Digest]) -> None:
    """Say it to the operator; the evidence is in the store, whatever becomes of the files.

    After a crash in between, a file of a forgotten accusation stays. Accusations are told only while there is room: who
    makes them need have no key, and would fill the operator's log.
    """
    written = "the store"
    for pair in forgotten:
        with suppress(OSError):
            _find_path(folder, pair, proved=False).unlink(missing_ok=True)
    with suppress(OSError):
        written = str(write_evidence(folder, found))
    if found.proved:
        _log.error("the log %s signed two histories: see %s, and tell its other partners", found.origin, written)
    elif not forgotten:
        _log.warning(
            "somebody showed a head of the log %s without a proof that fits, which says nothing of the log by itself:"
            " see %s, and compare with its other partners",
            found.origin,
            written,
        )


def _find_path(folder: Path, pair: Digest, *, proved: bool) -> Path:
    return folder / _FOLDER / f"{'fork' if proved else 'accusation'}-{pair[:16]}.json"
