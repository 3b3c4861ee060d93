# SPDX-License-Identifier: Apache-2.0
"""Shell: acknowledgements: what this party says it knows of what it was given, and what partners say they know.

Each is put into the log before it leaves, and where it arrives. One that no partner took is sent again with the next
pull. One that says no more than the last changes nothing. Where a partner has lost what it gave, and numbers anew, what
was acknowledged of that says nothing of what follows.
"""

import hmac
from dataclasses import dataclass

from comity.errors import NotFoundError
from comity.ids import Digest, Instant, PartyId
from comity.node.node import Act, Node
from comity.node.parties import remember_manifests
from comity.release.acknowledgement import (
    Acknowledgement,
    format_acknowledgement_content,
    parse_acknowledgement,
    sign_acknowledgement,
    verify_acknowledgement,
)
from comity.release.disclosure import EntryType, parse_leaf
from comity.release.receipt import read_place
from comity.signing import Role
from comity.store import Transaction, acknowledgements, log, receipts, waivers
from comity.store.acknowledgements import StoredAcknowledgement
from comity.tlog.merkle import leaf_hash

__all__ = [
    "OVERDUE",
    "Unacknowledged",
    "acknowledge",
    "list_unacknowledged",
    "settle_acknowledgement",
    "take_acknowledgement",
]

OVERDUE = 24 * 3_600_000_000
"""After this time what is not acknowledged is work for people."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Unacknowledged:
    """What is not acknowledged since when: by `party`, or (`sent`) to it, because its node does not take it."""

    party: PartyId
    sent: bool
    count: int
    since: Instant


def acknowledge(node: Node, giver: PartyId) -> tuple[int, bytes] | None:
    """The acknowledgement that has to go to `giver`, and the number it reaches; None where the last one says all.

    It is on record when this returns.
    """
    with node.act() as act:
        number = receipts.read_last_receipt(act.transaction, giver)
        last = _read_sent(act.transaction, giver)
        if number is None or (last is not None and last.sequence >= number):
            waits = last is not None and last.taken_at is None
            return (last.sequence, last.envelope) if last is not None and waits else None
        kept = receipts.read_receipt(act.transaction, giver, number)
        assert kept is not None  # noqa: S101 (it is the last one)
        said = Acknowledgement(
            giver=giver,
            recipient=node.party,
            sequence=number,
            leaf=_hash(kept.data),
            unreceived=receipts.count_unreceived(act.transaction, giver)
            + waivers.count_waived(act.transaction, giver, through=number),
            at=act.now,
        )
        envelope = sign_acknowledgement(said, [node.signers[Role.LOG]])
        _keep(act, giver, envelope, sequence=number, sent=True)
        return number, envelope


def settle_acknowledgement(node: Node, giver: PartyId, sequence: int) -> None:
    """The giver's node has taken it."""
    with node.act() as act:
        acknowledgements.mark_taken(act.transaction, giver, sequence, now=act.now)


def take_acknowledgement(node: Node, envelope: bytes) -> Acknowledgement:
    """What a partner acknowledged, on record here; what says no more than its last one changes nothing.

    Raises:
        MalformedMessage: not an acknowledgement.
        UnknownKey, BadSignature, ThresholdNotMet, Expired: it is not signed by a log key of the party it names.
        NotFoundError: it is for somebody else, or speaks of a disclosure that is not in this log.
    """
    said, signed = parse_acknowledgement(envelope)
    with node.store.read() as transaction:
        manifest = remember_manifests(node, transaction).get(said.recipient)
    if manifest is None or said.giver != node.party:
        raise NotFoundError("an acknowledgement of a stranger, or for somebody else")
    verify_acknowledgement(signed, manifest, now=node.clock())
    with node.act() as act:
        last = acknowledgements.read_acknowledgement(act.transaction, said.recipient, sent=False)
        if last is not None and last.sequence >= said.sequence:
            return said
        leaf = _read_leaf(act.transaction, said.recipient, said.sequence)
        if leaf is None or not hmac.compare_digest(leaf_hash(leaf).hex(), said.leaf):
            raise NotFoundError(f"{said.recipient} acknowledges a disclosure that is not in this log")
        _keep(act, said.recipient, envelope, sequence=said.sequence, sent=False)
    return said


def list_unacknowledged(transaction: Transaction, *, now: Instant) -> list[Unacknowledged]:
    """What has not been acknowledged for longer than OVERDUE, by and to partners.

    Whoever has never acknowledged anything is left out: clients of TAXII do not.
    """
    found = list[Unacknowledged]()
    for item in acknowledgements.list_acknowledgements(transaction):
        since, count = item.recorded_at, 1
        if item.sent and item.taken_at is not None:
            continue
        if not item.sent:
            count = log.read_sequence(transaction, item.party) - item.sequence
            leaf = _read_leaf(transaction, item.party, item.sequence + 1) if count else None
            if leaf is None:
                continue
            since = parse_leaf(leaf).at
        if since <= now - OVERDUE:
            found.append(Unacknowledged(party=item.party, sent=item.sent, count=count, since=since))
    return found


def _read_sent(transaction: Transaction, giver: PartyId) -> StoredAcknowledgement | None:
    """The last one to `giver`, unless it is of a disclosure that the giver has lost: others have its number now."""
    last = acknowledgements.read_acknowledgement(transaction, giver, sent=True)
    kept = None if last is None else receipts.read_receipt(transaction, giver, last.sequence)
    if last is None or kept is None:
        return None
    said, _ = parse_acknowledgement(last.envelope)
    return last if hmac.compare_digest(_hash(kept.data), said.leaf) else None


def _hash(receipt: bytes) -> Digest:
    return Digest(leaf_hash(read_place(receipt).leaf_data).hex())


def _keep(act: Act, party: PartyId, envelope: bytes, *, sequence: int, sent: bool) -> None:
    content = format_acknowledgement_content(envelope, sent=sent, party=party, sequence=sequence)
    act.record(EntryType.ACKNOWLEDGEMENT, content, terms=None, recipient=None, count=1)
    acknowledgements.put_acknowledgement(
        act.transaction,
        StoredAcknowledgement(
            party=party, sent=sent, sequence=sequence, recorded_at=act.now, taken_at=None, envelope=envelope
        ),
    )


def _read_leaf(transaction: Transaction, recipient: PartyId, sequence: int) -> bytes | None:
    position = receipts.find_disclosure(transaction, recipient, sequence)
    if position is None:
        return None
    ((_, leaf),) = log.read_entries(transaction, position, position + 1)
    return leaf
