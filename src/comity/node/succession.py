# SPDX-License-Identifier: Apache-2.0
"""Shell: that a log goes on under another name: told to partners, and kept of partners.

A statement is signed by the party's manifest keys (DSSE): it says which log speaks for the party from here on, which is
of the same weight as which keys do. It is queued for whoever was given something or can have been, as they hold what
the log before signed, and for the partners who witness it; anybody else is given the file. A repeated statement changes
nothing, and none is ever taken back. A log goes on once: that it goes on as two others is what a fork looks like, and
the second statement is refused and both are kept.

What was seen of a log is not forgotten for it: where the party says to have less left, that is evidence of what it has
lost, and the rest is held against what was seen of that much.
"""

import logging
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

from comity.canonical import sha256_digest
from comity.errors import ConflictError, MalformedMessage, VerificationError
from comity.ids import Digest, Instant, PartyId
from comity.node.lineage import read_chain
from comity.node.node import Act, Node
from comity.node.parties import read_manifests
from comity.release.delivery import Seen
from comity.release.receipt import read_place
from comity.release.recovery import (
    SUCCESSION_TYPE,
    EndedLog,
    Succession,
    format_contradiction,
    format_succession,
    parse_succession,
)
from comity.signing import Role, format_signed_document, parse_signed_document, sign_document, verify_signed_document
from comity.store import Transaction, parties, receipts, successions, witness
from comity.store.witness import StoredEvidence
from comity.tlog.note import parse_checkpoint, parse_note
from comity.tlog.origin import is_house

__all__ = [
    "Followed",
    "find_next",
    "find_previous",
    "is_succession",
    "list_successions",
    "publish_succession",
    "receive_succession",
]

_MAX_OF_A_PARTY = 100

_log = logging.getLogger("comity.node")


@dataclass(frozen=True, slots=True, kw_only=True)
class Followed:
    """A statement that is on record; `new` is False for a repeated one."""

    succession: Succession
    digest: Digest
    new: bool


def publish_succession(
    node: Node, act: Act, said: Succession, *, ended: Mapping[PartyId, Sequence[EndedLog]]
) -> tuple[bytes, tuple[PartyId, ...]]:
    """The statement, signed and kept with the act, and the partners for whom it was queued.

    Each of these is told, of the logs that have `ended`, those of what it was given itself and no other.
    """
    envelope = _sign(node, said)
    _keep(act, said, envelope)
    pinned = {item.id for item in parties.list_parties(act.transaction)} - {node.party}
    witnesses = {each.party for each in node.settings.witnesses if each.party is not None}
    told = sorted({*successions.read_given(act.transaction), *ended, *(witnesses & pinned)})
    for party in told:
        own = _sign(node, replace(said, logs=tuple(ended.get(party, ()))))
        successions.put_outbox(act.transaction, party, own, now=act.now)
    return envelope, tuple(told)


def _sign(node: Node, said: Succession) -> bytes:
    document = sign_document(SUCCESSION_TYPE, format_succession(said), [node.signers[Role.MANIFEST]])
    return format_signed_document(document)


def is_succession(envelope: bytes) -> bool:
    """Whether this is a statement of succession; an event of an agreement is none.

    Raises:
        MalformedMessage: it is no signed document.
    """
    return parse_signed_document(envelope).payload_type == SUCCESSION_TYPE


def receive_succession(node: Node, envelope: bytes) -> Followed:
    """The statement of a pinned party, verified and on record.

    Raises:
        MalformedMessage: it is none, what it says to follow is no log of a house, or it leaves out what follows others.
        VerificationError: it is not signed by the party that it names, as pinned here.
        ConflictError: the party has said another log follows the same one, or another end of it, or has said so too
            often.
    """
    document = parse_signed_document(envelope)
    if document.payload_type != SUCCESSION_TYPE:
        raise MalformedMessage("not a statement of succession", where="/payloadType")
    said = parse_succession(document.payload)
    with node.act() as act:
        if said.party == node.party:
            raise VerificationError("a statement of this node's own came back as another's")
        manifest = read_manifests(act.transaction).get(said.party)
        if manifest is None:
            raise VerificationError(f"{said.party} is not a party this node has pinned")
        # Who has lost a store may have let its manifest run out: that another log follows is believed all the same.
        when = min(act.now, Instant(manifest.expires_at - 1))
        verify_signed_document(document, manifest, role=Role.MANIFEST, payload_type=SUCCESSION_TYPE, now=when)
        known = successions.list_successions(act.transaction, said.party)
        if len(known) >= _MAX_OF_A_PARTY and envelope not in known:
            raise ConflictError(f"{said.party} has said {_MAX_OF_A_PARTY} times that another log follows")
        contradicted = _find_contradicted(act.transaction, said, known)
        new = False
        if contradicted is None:
            new = _keep(act, said, envelope)
            # Of one recovery there can be two statements: one for everybody, and one for this party with its logs.
            _end_logs(act, said)
        else:
            _keep_contradiction(act, said, contradicted, envelope)
    if contradicted is not None:
        raise ConflictError(
            f"{said.party} has said something else of what follows {said.recovery.previous} before. Both statements"
            " are kept: it signed two histories, or put one backup back twice; ask its people"
        )
    return Followed(succession=said, digest=sha256_digest(envelope), new=new)


def find_previous(said: Sequence[Succession], origin: str) -> Succession | None:
    """The statement that the log `origin` follows another, among those of its party."""
    return next((each for each in said if each.recovery.origin == origin), None)


def find_next(said: Sequence[Succession], previous: str) -> Succession | None:
    """The statement that another log follows `previous`, among those of its party."""
    return next((each for each in said if each.recovery.previous == previous), None)


def _find_contradicted(transaction: Transaction, said: Succession, known: Sequence[bytes]) -> bytes | None:
    """The statement on record that this one cannot stand beside; None where it can.

    One that the party said before people pinned it anew binds it no more (`node.pinning`).

    Raises:
        MalformedMessage: it is a new one, of a log that is not called as one of a house: it could be shown to others as
            one that begins anew; or it leaves out what follows a log that ended.
    """
    for envelope in known:
        other = parse_succession(parse_signed_document(envelope).payload)
        if (other.recovery, other.position) == (said.recovery, said.position):
            return None
        same = other.recovery.origin == said.recovery.origin or other.recovery.previous == said.recovery.previous
        if same and _is_of_chain(transaction, envelope, said.party):
            return envelope
    if not is_house(said.recovery.origin):
        raise MalformedMessage(f"{said.recovery.origin} is no name of a house's log", where="/origin")
    if any(each.agreement is None or each.next is None for each in said.logs):
        raise MalformedMessage("a log that ended is named without its agreement, or what follows it", where="/logs")
    return None


def _is_of_chain(transaction: Transaction, envelope: bytes, party: PartyId) -> bool:
    """Whether a statement is signed by a manifest of the party in the chain that is pinned now."""
    document = parse_signed_document(envelope)
    for version in read_chain(transaction, party):
        with suppress(VerificationError):
            when = version.manifest.issued_at
            verify_signed_document(
                document, version.manifest, role=Role.MANIFEST, payload_type=SUCCESSION_TYPE, now=when
            )
            return True
    return False


def _keep_contradiction(act: Act, said: Succession, first: bytes, second: bytes) -> None:
    """Keep both statements as evidence, whose proof is the party's own signatures."""
    found = StoredEvidence(
        pair=sha256_digest(first + b"\n" + second),
        origin=said.recovery.previous,
        noted_at=act.now,
        proved=True,
        evidence=format_contradiction(first, second, noted_at=act.now),
    )
    if witness.add_evidence(act.transaction, found):
        _log.error(
            "%s has signed two statements of what follows its log %s: see `comity witness list`, and tell its other"
            " partners",
            said.party,
            said.recovery.previous,
        )


def _end_logs(act: Act, said: Succession) -> None:
    """Hold what the party's logs show from here on against what was seen of that much of them."""
    party, transaction = said.party, act.transaction
    ended = {
        each.origin: receipts.EndedLog(size=each.size, agreement=each.agreement, next=each.next) for each in said.logs
    }
    ended[said.recovery.previous] = receipts.EndedLog(size=said.position, agreement=None, next=None)
    receipts.end_logs(transaction, party, ended)
    sizes = receipts.read_ended(transaction, party)
    for origin, seen in receipts.read_seen(transaction, party).items():
        held = sizes.get(origin)
        if held is None or seen.size <= held:
            continue
        left = _find_left(transaction, party, origin, held)
        receipts.lose_head(transaction, party, origin, held=held, left=left, now=act.now)
        _log.error(
            "%s has lost the end of its log %s, as it says: of %d entries that it signed for, %d are left. What it has"
            " signed for is kept",
            party,
            origin,
            seen.size,
            held,
        )
    first = receipts.find_first_lost(transaction, party)
    receipts.set_aside(transaction, party, said.recovery.previous, first=first)


def _find_left(transaction: Transaction, party: PartyId, origin: str, held: int) -> Seen | None:
    """The greatest head of a log over what is left of it, of those that receipts were proven in."""
    data = receipts.find_receipt_within(transaction, party, origin, held)
    if data is None:
        return None
    note = read_place(data).proof.checkpoint
    checkpoint = parse_checkpoint(parse_note(note).text)
    return Seen(size=checkpoint.size, root=checkpoint.root, checkpoint=note)


def list_successions(transaction: Transaction, party: PartyId) -> list[Succession]:
    """What a party has said of its log, this one's own included, in the order in which it came."""
    return [
        parse_succession(parse_signed_document(envelope).payload)
        for envelope in successions.list_successions(transaction, party)
    ]


def _keep(act: Act, said: Succession, envelope: bytes) -> bool:
    return successions.add_succession(
        act.transaction, said.recovery.origin, party=said.party, envelope=envelope, now=act.now
    )
