# SPDX-License-Identifier: Apache-2.0
"""Shell: receipts of what this node disclosed, and proofs that its log only grew; each read in one view of the store.

A receipt is made of what is on record whenever it is asked for: nothing is kept for it, and an old disclosure has one
like the last. It is proven in the newest signed tree of its log that a witness cosigned and that holds it, else in the
newest of all. Nothing is written.

Of the house's log, which has disclosures from before there were others, only the tree is shown that it had then.
"""

from dataclasses import dataclass

from comity.errors import MalformedReceipt, NotFoundError
from comity.ids import PartyId
from comity.node.cosigning import find_cosigned
from comity.node.node import Node
from comity.release.disclosure import EntryType, parse_leaf
from comity.release.receipt import compose_receipt
from comity.store import Transaction, agreements, log, logs, receipts
from comity.tlog.merkle import ReadTile, consistency_proof, inclusion_proof
from comity.tlog.note import parse_checkpoint, parse_note
from comity.tlog.proof import LogProof, format_hashes

__all__ = ["Head", "find_head", "give_consistency", "give_receipt", "write_receipt"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """A signed tree of a log: its size, and the checkpoint as it was signed, with the lines of its witnesses."""

    size: int
    checkpoint: bytes


def give_receipt(node: Node, recipient: PartyId, sequence: int) -> bytes:
    """The receipt for the disclosure of that number to `recipient`.

    It names objects by id and digest, and holds nothing of them. So it is given whatever became of the agreement since:
    what is on record as given to a party is no secret from it.

    Raises:
        NotFoundError: there is no such disclosure to this party, or its content was deleted.
    """
    with node.store.read() as transaction:
        position = receipts.find_disclosure(transaction, recipient, sequence)
        if position is None:
            raise NotFoundError("no such receipt")
        return _make(node, transaction, position)


def write_receipt(node: Node, position: int) -> bytes:
    """The receipt for the disclosure that is the entry at `position`.

    Raises:
        NotFoundError: there is no such entry, it is no disclosure, or its content was deleted.
    """
    with node.store.read() as transaction:
        return _make(node, transaction, position)


def give_consistency(node: Node, party: PartyId, origin: str, old_size: int, new_size: int) -> bytes:
    """The proof that the log `origin` of `new_size` entries begins with that of `old_size`, a hash on each line.

    Only for the party that the log is of: others have seen no checkpoint, and learn nothing of how long it is. That of
    the house's log is for a party that has receipts from it, and as far as those can be.

    Raises:
        NotFoundError: there are no such sizes, or the party was given nothing in this log.
    """
    with node.store.read() as transaction:
        number = _find_log_of(node, transaction, party, origin)
        if number is None or not 0 < old_size <= new_size <= _read_most(transaction, number):
            raise NotFoundError("no such proof")
        return format_hashes(consistency_proof(_read_tiles(transaction, number), old_size, new_size))


def find_head(node: Node, transaction: Transaction, number: int, *, at_least: int) -> Head | None:
    """The newest signed tree over `at_least` entries or more that a witness has cosigned, else the newest of all.

    None where the log is shorter, or no such tree of it is shown.
    """
    most = _read_most(transaction, number)
    checkpoint = find_cosigned(transaction, number, at_least=at_least, at_most=most)
    if checkpoint is None:
        checkpoint = log.read_head_at(transaction, most, number)
    if checkpoint is None or most < at_least:
        return None
    size = parse_checkpoint(parse_note(checkpoint).text).size
    return Head(size=size, checkpoint=node.vouch(checkpoint))


def _find_log_of(node: Node, transaction: Transaction, party: PartyId, origin: str) -> int | None:
    """The log of this origin, where it holds disclosures to the party."""
    number = node.find_log(transaction, origin)
    if number is None:
        return None
    if number != log.HOUSE:
        found = logs.read_log(transaction, number)
        return number if found is not None and found.recipient == party else None
    first = receipts.find_disclosure(transaction, party, 1)
    place = None if first is None else log.find_place(transaction, first)
    return number if place is not None and place[0] == log.HOUSE else None


def _read_most(transaction: Transaction, number: int) -> int:
    """The size of the greatest tree of a log that the party it is of is shown."""
    return logs.read_shown_size(transaction) if number == log.HOUSE else log.read_size(transaction, number)


def _make(node: Node, transaction: Transaction, position: int) -> bytes:
    entries = log.read_entries(transaction, position, position + 1)
    place = log.find_place(transaction, position)
    if not entries or place is None:
        raise NotFoundError(f"there is no entry {position} in the log; entries are counted from 0")
    number, index = place
    ((_, data),) = entries
    leaf = parse_leaf(data)
    if leaf.type is not EntryType.DISCLOSURE or leaf.terms is None:
        raise NotFoundError(f"entry {position} is of type {leaf.type}; there are receipts for disclosures")
    opening = log.read_openings(transaction, position, position + 1).get(position)
    if opening is None:
        raise NotFoundError(f"the content of entry {position} was deleted: what was given can no longer be shown")
    head = find_head(node, transaction, number, at_least=index + 1)
    if head is None:
        raise NotFoundError(f"entry {position} is in no tree that a partner is shown")
    hashes = inclusion_proof(_read_tiles(transaction, number), index, head.size)
    try:
        return compose_receipt(
            data,
            salt=opening.salt,
            content=opening.content,
            listing=opening.listing,
            proof=LogProof(index=index, hashes=hashes, checkpoint=head.checkpoint),
            terms=agreements.read_terms(transaction, leaf.terms),
        )
    except MalformedReceipt as error:
        raise NotFoundError(f"there is no receipt for entry {position}: {error.detail}") from error


def _read_tiles(transaction: Transaction, number: int) -> ReadTile:
    return lambda level, index: log.read_tile(transaction, level, index, number)
