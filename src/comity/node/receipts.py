# SPDX-License-Identifier: Apache-2.0
"""Shell: receipts of what this node disclosed, and proofs that its log only grew; each read in one view of the store.

A receipt is made of what is on record whenever it is asked for: nothing is kept for it, and an old disclosure has one
like the last. It is proven in the newest signed tree that a witness cosigned and that holds it, else in the newest of
all. Nothing is written.
"""

from dataclasses import dataclass

from comity.errors import MalformedReceipt, NotFoundError
from comity.ids import PartyId
from comity.node.cosigning import find_cosigned
from comity.node.node import Node
from comity.release.disclosure import EntryType, parse_leaf
from comity.release.receipt import compose_receipt
from comity.store import Transaction, agreements, log, receipts
from comity.tlog.merkle import ReadTile, consistency_proof, inclusion_proof
from comity.tlog.note import parse_checkpoint, parse_note
from comity.tlog.proof import LogProof, format_hashes

__all__ = ["Head", "find_head", "give_consistency", "give_receipt", "write_receipt"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """A signed tree: its size, and the checkpoint as it was signed, with the lines of witnesses where there are any."""

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
        return _make(transaction, position)


def write_receipt(node: Node, position: int) -> bytes:
    """The receipt for the disclosure that is entry `position` of this node's log.

    Raises:
        NotFoundError: there is no such entry, it is no disclosure, or its content was deleted.
    """
    with node.store.read() as transaction:
        return _make(transaction, position)


def give_consistency(node: Node, party: PartyId, old_size: int, new_size: int) -> bytes:
    """The proof that the log of `new_size` entries begins with that of `old_size`, a hash on each line.

    Only for a party that was given something: others have seen no checkpoint, and learn nothing of how long the log is.

    Raises:
        NotFoundError: nothing was disclosed to this party, or there are no such sizes.
    """
    with node.store.read() as transaction:
        if not (0 < old_size <= new_size <= log.read_size(transaction) and log.read_sequence(transaction, party)):
            raise NotFoundError("no such proof")
        return format_hashes(consistency_proof(_read_tiles(transaction), old_size, new_size))


def find_head(transaction: Transaction, *, at_least: int) -> Head | None:
    """The newest signed tree over `at_least` entries or more that a witness has cosigned, else the newest of all.

    None where the log is shorter.
    """
    checkpoint = find_cosigned(transaction, at_least=at_least) or log.read_head(transaction)
    if checkpoint is None:
        return None
    size = parse_checkpoint(parse_note(checkpoint).text).size
    return None if size < at_least else Head(size=size, checkpoint=checkpoint)


def _make(transaction: Transaction, position: int) -> bytes:
    entries = log.read_entries(transaction, position, position + 1)
    opening = log.read_openings(transaction, position, position + 1).get(position)
    head = find_head(transaction, at_least=position + 1)
    if not entries or head is None:
        raise NotFoundError(f"there is no entry {position} in the log; entries are counted from 0")
    ((_, data),) = entries
    leaf = parse_leaf(data)
    if leaf.type is not EntryType.DISCLOSURE or leaf.terms is None:
        raise NotFoundError(f"entry {position} is of type {leaf.type}; there are receipts for disclosures")
    if opening is None:
        raise NotFoundError(f"the content of entry {position} was deleted: what was given can no longer be shown")
    hashes = inclusion_proof(_read_tiles(transaction), position, head.size)
    try:
        return compose_receipt(
            data,
            salt=opening.salt,
            content=opening.content,
            listing=opening.listing,
            proof=LogProof(index=position, hashes=hashes, checkpoint=head.checkpoint),
            terms=agreements.read_terms(transaction, leaf.terms),
        )
    except MalformedReceipt as error:
        raise NotFoundError(f"there is no receipt for entry {position}: {error.detail}") from error


def _read_tiles(transaction: Transaction) -> ReadTile:
    return lambda level, index: log.read_tile(transaction, level, index)
