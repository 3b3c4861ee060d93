# SPDX-License-Identifier: Apache-2.0
"""Shell: that a log goes on under another name: told to partners, and kept of partners.

A statement is signed by the party's manifest keys (DSSE): it says which log speaks for the party from here on, which is
of the same weight as which keys do. It is queued for whoever was given something, as they hold what the log before
signed; anybody else is given the file. A repeated statement changes nothing, and none is ever taken back.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from comity.canonical import sha256_digest
from comity.errors import ConflictError, MalformedMessage, VerificationError
from comity.ids import Digest, Instant, PartyId
from comity.node.node import Act, Node
from comity.node.parties import read_manifests
from comity.release.receipt import read_place
from comity.release.recovery import SUCCESSION_TYPE, EndedLog, Succession, format_succession, parse_succession
from comity.signing import Role, format_signed_document, parse_signed_document, sign_document, verify_signed_document
from comity.store import Transaction, receipts, successions
from comity.tlog.note import parse_checkpoint, parse_note

__all__ = ["Followed", "is_succession", "list_successions", "publish_succession", "receive_succession"]

_MAX_OF_A_PARTY = 100


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
    told = successions.read_given(act.transaction)
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
        MalformedMessage: it is none.
        VerificationError: it is not signed by the party that it names, as pinned here.
        ConflictError: the party has said another log follows the same one, or has said so too often.
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
        new = _keep(act, said, envelope)
        # Of one recovery there can be two statements: one for everybody, and one for this party with its logs.
        ended = {each.origin: each.size for each in said.logs}
        if new:
            ended[said.recovery.previous] = said.position
        if ended:
            first = _find_first_lost(act.transaction, said.party, ended)
            receipts.set_aside(act.transaction, said.party, said.recovery.previous, first=first)
            receipts.end_logs(act.transaction, said.party, ended)
        return Followed(succession=said, digest=sha256_digest(envelope), new=new)


def _find_first_lost(transaction: Transaction, giver: PartyId, ended: Mapping[str, int]) -> int:
    """The number of the first disclosure that this party has a receipt for, and its giver's logs have not any more.

    Numbers rise with the entries of all logs together. Where none was lost it is the number that comes next.
    """
    sequence = (receipts.read_last_receipt(transaction, giver) or 0) + 1
    while sequence > 1:
        kept = receipts.read_receipt(transaction, giver, sequence - 1)
        if kept is None:
            break
        proof = read_place(kept.data).proof
        origin = parse_checkpoint(parse_note(proof.checkpoint).text).origin
        if proof.index < ended.get(origin, proof.index + 1):
            break
        sequence -= 1
    return sequence


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
