# SPDX-License-Identifier: Apache-2.0
"""Shell: a witness at work: a head is compared with the last one of its log, kept, and only then cosigned.

Comparing and keeping are one transaction, and the answer is made after its COMMIT: of two requests that race, one sees
what the other kept. A crash between COMMIT and answer leaves a head that was kept and not cosigned: the log is told its
size when it asks again. What is kept never goes back, which the schema of the store enforces as well.

A node is the witness of its partners' logs, each for the partner itself alone: whoever else asks is told nothing, not
even whose log is witnessed. What contradicts a head is kept as evidence, in the store and as a file.

A log that goes on under another name is the same log: it is cosigned under the next one only when its party has said so
and it contains what was cosigned under the one before, as far as the party says to have it left; and never again under
the one before. What it says to have lost stays kept here. All that a decision goes by is read in the transaction that
decides.
"""

import logging
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

from comity.canonical import sha256_digest
from comity.errors import MalformedError, MalformedNote, NotFoundError, ProofMismatch, StoreFull
from comity.ids import Digest, Instant, PartyId
from comity.node.kept import FOLDER, find_last, may_cosign, name_next, read_greatest, write_kept
from comity.node.lineage import read_chain
from comity.node.node import Node
from comity.node.succession import find_next, find_previous, find_root, list_successions
from comity.release.recovery import Succession
from comity.signing import Manifest, Role, Signer, parse_manifest, parse_signed_document
from comity.store import SqliteStore, Transaction, logs, parties, witness
from comity.store.witness import StoredEvidence, StoredHead
from comity.tlog.cosignature import sign_cosignature
from comity.tlog.evidence import ForkEvidence, Verdict, format_fork_evidence, verify_fork_evidence
from comity.tlog.note import SignatureType, VerifierKey, parse_checkpoint, parse_note
from comity.tlog.origin import first_origin, is_house, name_origin, parse_origin
from comity.tlog.witness import (
    AddCheckpoint,
    Cosign,
    Decision,
    Reason,
    Refused,
    Seen,
    WitnessAnswer,
    decide_checkpoint,
    decide_followed,
    format_answer,
    parse_add_checkpoint,
)

__all__ = [
    "Cosigner",
    "StoredEvidence",
    "StoredHead",
    "Watched",
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Watched:
    """What a witness goes by for the log of a request, read in the transaction that decides.

    `keys` sign its heads, none where it is not witnessed; `earlier` gives those that did before. `has_room` is False
    for one more log of a party that has too many. `previous` is the log that it goes on from, where it was not cosigned
    under this name yet, and `start` the head of that which it has to contain. `next` is what it goes on as itself, if
    it does, and then has `least` entries at least. `is_unsure` where nobody has said that it goes on from another: what
    does not follow is then no log that is known here.
    """

    keys: tuple[VerifierKey, ...]
    earlier: Callable[[], Sequence[VerifierKey]] = tuple
    has_room: bool = True
    previous: str | None = None
    start: Seen | None = None
    next: str | None = None
    least: int = 0
    is_unsure: bool = False


def add_checkpoint(node: Node, party: PartyId, body: bytes) -> WitnessAnswer:
    """The answer to a partner that asks for a cosignature over the head of its own log.

    Raises:
        NotFoundError: the head is of another log, or this node has no key to cosign with.
        MalformedNote: the body is no such request.
        StoreFull: it could not be kept, and was not cosigned.
        CorruptionError: what was cosigned before cannot be read.
    """
    signer = node.signers.get(Role.WITNESS)
    if signer is None:
        raise NotFoundError("this node has no witness key; its manifest was made before there were witnesses")
    request = parse_add_checkpoint(body)
    key = VerifierKey(
        name=name_witness(node.party), type=SignatureType.ED25519_COSIGNATURE, public_key=signer.public_key
    )
    return take_checkpoint(
        node.store,
        request,
        watch=lambda transaction: _watch(transaction, node.folder, party, request.checkpoint.origin),
        cosigners=[Cosigner(key=key, signer=signer)],
        now=node.clock(),
        folder=node.folder,
        # Who asks has shown a credential of the party: how much of its own log was cosigned is no secret from it.
        tells_size=True,
    )


def take_checkpoint(
    store: SqliteStore,
    request: AddCheckpoint,
    *,
    watch: Callable[[Transaction], Watched],
    cosigners: Sequence[Cosigner],
    now: Instant,
    folder: Path,
    tells_size: bool = False,
) -> WitnessAnswer:
    """The answer to a request, by a witness that keeps its heads in `store` and in `folder`.

    `watch` says what it goes by.

    Raises:
        StoreFull: the head could not be kept, and was not cosigned.
        CorruptionError: what was cosigned before cannot be read.
    """
    found, key = None, cosigners[0].key
    with _writing(folder), store.write() as transaction:
        watched = watch(transaction)
        if may_cosign(transaction, folder, key):
            decision = _decide(transaction, folder, request, watched)
            found = _keep(transaction, folder, request, decision, watched=watched, now=now, name=key.name)
        else:
            decision = Refused(reason=Reason.STOPPED)
            _log.error(
                "%s may have cosigned more than is known here, and cosigns nothing by this key: its store was put back,"
                " its log was recovered, or %s is gone. Let it have another key (`comity party rotate witness`)",
                key.name,
                folder / FOLDER,
            )
    if found is not None:
        _tell(folder, *found)
    if isinstance(decision, Refused):
        return format_answer(decision, tells_size=tells_size)
    timestamp = now // _SECOND
    text = request.note.text
    return format_answer(
        decision, [sign_cosignature(text, each.key, each.signer, timestamp=timestamp) for each in cosigners]
    )


@contextmanager
def _writing(folder: Path) -> Iterator[None]:
    """A file that cannot be written is a disk without room: nothing was kept, and nothing is cosigned."""
    try:
        yield
    except OSError as error:
        raise StoreFull(f"{folder / FOLDER} cannot be written ({error.strerror or error})") from error


def _watch(transaction: Transaction, folder: Path, party: PartyId, origin: str) -> Watched:
    """What this node goes by for a log of a partner: its manifest, and what it has said of its logs' names.

    Raises:
        NotFoundError: it is no log of the party, or one of its house that it has not spoken of.
    """
    pinned = parties.read_party(transaction, party)
    if pinned is None:
        raise NotFoundError(f"{party} is not pinned here")
    keys = find_log_keys(parse_manifest(parse_signed_document(pinned.envelope).payload), origin=origin)
    first = first_origin(party)
    said = [each for each in list_successions(transaction, party) if each.recovery.origin != first]
    before, after = find_previous(said, origin), find_next(said, origin)
    last = find_last(transaction, folder, origin) if after is None else _find_last(said, origin)
    if origin == first and find_root(party, said) != first:
        raise NotFoundError(f"{party} has said that the log of its house goes on from another name than {first}")
    unspoken = is_house(origin) and not _is_rooted(transaction, folder, party, said, origin)
    # What was cosigned once goes on, though the store that had the statement was put back.
    if unspoken and read_greatest(transaction, folder, origin) is None:
        raise NotFoundError(f"{party} has not said that the log of its house goes on as {origin}")
    known = witness.list_origins(transaction, first)
    if origin not in known and len(known) >= _MAX_LOGS:
        _log.error("the log %s is not witnessed: %s has had %d of them here already", origin, party, len(known))
    return Watched(
        keys=keys,
        earlier=lambda: _find_earlier(transaction, party, origin),
        has_room=origin in known or len(known) < _MAX_LOGS,
        previous=None if before is None else before.recovery.previous,
        start=None if origin in known else _find_start(transaction, said, origin),
        next=None if last == origin else last,
        least=0 if after is None else after.position,
    )


def _is_rooted(transaction: Transaction, folder: Path, party: PartyId, said: Sequence[Succession], origin: str) -> bool:
    """Whether the log is the house's first, or goes on from that or from one that was cosigned, by what was said."""
    for _ in said:
        before = find_previous(said, origin)
        if before is None:
            break
        origin = before.recovery.previous
        if read_greatest(transaction, folder, origin) is not None:
            return True
    return origin == first_origin(party)


def _find_earlier(transaction: Transaction, party: PartyId, origin: str) -> tuple[VerifierKey, ...]:
    """The log keys of all manifests of the party that were pinned one after the other."""
    chain = (version.manifest for version in read_chain(transaction, party))
    return tuple(key for manifest in chain for key in find_log_keys(manifest, origin=origin))


def _find_start(transaction: Transaction, said: Sequence[Succession], origin: str) -> Seen | None:
    """The greatest head that was cosigned under a name before, of what its party says to have left of it."""
    most: int | None = None
    for _ in said:
        before = find_previous(said, origin)
        if before is None:
            break
        origin, most = before.recovery.previous, before.position if most is None else min(most, before.position)
        note = witness.read_head_within(transaction, origin, most)
        last = witness.read_seen(transaction, origin)
        if last is not None and last != note:
            _log.error("%s says that it has lost entries that were cosigned here; see `witness list`", origin)
        if note is not None:
            return Seen(checkpoint=parse_checkpoint(parse_note(note).text), note=note)
    return None


def _find_last(said: Sequence[Succession], origin: str) -> str:
    """What a log is called by the last of the statements that follow one another from it."""
    for _ in said:
        after = find_next(said, origin)
        if after is None:
            break
        origin = after.recovery.origin
    return origin


def _decide(transaction: Transaction, folder: Path, request: AddCheckpoint, watched: Watched) -> Decision:
    origin = request.checkpoint.origin
    seen = read_greatest(transaction, folder, origin)
    if watched.next is not None:
        last = read_greatest(transaction, folder, watched.next) or seen
        return decide_followed(request, keys=watched.keys, last=last, least=watched.least)
    if seen is None and not watched.has_room:
        return Refused(reason=Reason.FORBIDDEN)
    decision = decide_checkpoint(request, keys=watched.keys, seen=seen or watched.start, earlier=watched.earlier)
    if isinstance(decision, Refused) and seen is None and watched.is_unsure:
        return _doubt(decision, request, watched)
    return decision


def _doubt(decision: Refused, request: AddCheckpoint, watched: Watched) -> Refused:
    """The refusal of a log under another name that nobody has spoken of, where it is one that may still follow."""
    if decision.reason is Reason.FORBIDDEN or (
        decision.reason is Reason.CONFLICT and decision.size <= request.checkpoint.size and decision.against is None
    ):
        return decision
    _log.error(
        "the log %s does not contain what was cosigned of %s: if its party says that it has lost entries and goes on"
        " under that name, add it by `comity witness add-log`",
        request.checkpoint.origin,
        watched.previous,
    )
    return Refused(reason=Reason.UNKNOWN_LOG)


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


def _keep(
    transaction: Transaction,
    folder: Path,
    request: AddCheckpoint,
    decision: Decision,
    *,
    watched: Watched,
    now: Instant,
    name: str,
) -> tuple[StoredEvidence, list[Digest]] | None:
    """Keep what the decision asks to be kept; given back is new evidence, and which accusations it took the room of."""
    match decision:
        case Cosign(seen=head):
            _keep_head(transaction, folder, head, previous=watched.previous, now=now)
            return None
        case Refused(against=Seen() as against, signed=Seen() as signed):
            evidence = ForkEvidence(
                first=against.note, second=signed.note, proof=request.proof, noted_at=now, noted_by=name
            )
            both = {against.checkpoint.origin, signed.checkpoint.origin}
            keys = [replace(key, name=origin) for origin in both for key in (*watched.keys, *watched.earlier())]
            return _keep_evidence(transaction, evidence, keys=keys)
        case Refused():
            return None


def _keep_head(transaction: Transaction, folder: Path, head: Seen, *, previous: str | None, now: Instant) -> None:
    origin = head.checkpoint.origin
    if previous is not None:
        name_next(transaction, folder, origin, previous=previous)
    note = witness.read_seen(transaction, origin)
    # The head that is known already, perhaps signed by another key of the log, is not written again.
    if note is not None and parse_checkpoint(parse_note(note).text) == head.checkpoint:
        return
    witness.put_seen(
        transaction, StoredHead(origin=origin, size=head.checkpoint.size, checkpoint=head.note, cosigned_at=now)
    )
    write_kept(folder, head)


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
