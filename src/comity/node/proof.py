# SPDX-License-Identifier: Apache-2.0
"""Shell: one entry of this node's log, shown to be in it, and held once more against all that binds it.

The proof is into the newest signed tree of its log that a witness cosigned, else into the newest of all. It is for this
party's own people: what a partner is shown of which log is decided in `node.receipts`. The log as a whole is verified
by `node.journal.verify_store`, and what was decided by the audit; neither is done here.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from comity.counting import say_count
from comity.errors import ComityError, NotFoundError, VerificationError
from comity.ids import Instant
from comity.node.cosigning import find_cosigned, list_witnesses
from comity.node.journal import read_own_chain
from comity.node.node import Node
from comity.node.receipts import write_receipt
from comity.release.disclosure import EntryType, parse_leaf, verify_opening
from comity.release.receipt import parse_receipt, verify_receipt
from comity.signing import Manifest, Role
from comity.store import log
from comity.tlog.cosignature import verify_cosignature
from comity.tlog.merkle import Hash, inclusion_proof, leaf_hash, verify_inclusion
from comity.tlog.note import Checkpoint, Note, VerifierKey, parse_checkpoint, parse_note, verify_note

__all__ = ["Check", "Checked", "EntryProof", "prove_entry"]

_SECOND = 1_000_000


class Check(StrEnum):
    """What an entry is held against."""

    OPENING = "opening"
    INCLUSION = "inclusion"
    CHECKPOINT = "checkpoint"
    WITNESS = "witness"
    RECEIPT = "receipt"


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """What one check came to: it holds, it does not, or (None) there is nothing left to hold it against."""

    check: Check
    holds: bool | None
    said: str
    witness: str | None = None
    at: Instant | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class EntryProof:
    """An entry's leaf, the way from it to the root of a signed tree, and what came of checking each part.

    `index` is its place in its log, `note` the checkpoint as it was signed, with the lines of the witnesses.
    """

    position: int
    index: int
    leaf: bytes
    hash: Hash
    hashes: tuple[Hash, ...]
    note: bytes
    checkpoint: Checkpoint
    checks: tuple[Checked, ...]

    @property
    def holds(self) -> bool:
        """Whether nothing was found that does not hold."""
        return all(each.holds is not False for each in self.checks)


def prove_entry(node: Node, position: int) -> EntryProof:
    """The proof of the entry at `position`, checked.

    Raises:
        NotFoundError: there is no such entry.
        CorruptionError: the party's own manifest in the store is damaged.
    """
    with node.store.read() as transaction:
        entries = log.read_entries(transaction, position, position + 1)
        place = log.find_place(transaction, position)
        if not entries or place is None:
            raise NotFoundError(f"there is no entry {position} in the log; entries are counted from 0")
        (number, index), ((_, leaf),) = place, entries
        opening = log.read_openings(transaction, position, position + 1).get(position)
        note = find_cosigned(transaction, number, at_least=index + 1) or log.read_head(transaction, number)
        if note is None:
            raise NotFoundError(f"no head of the log of entry {position} is in the store; restore a backup")
        checkpoint = parse_checkpoint(parse_note(note).text)
        hashes = inclusion_proof(
            lambda level, tile: log.read_tile(transaction, level, tile, number), index, checkpoint.size
        )
        chain = read_own_chain(transaction, node.party, digest=None)
    parsed = parse_note(note)
    checks = [
        _check_opening(leaf, opening),
        _check_inclusion(leaf, index, checkpoint, hashes),
        _check_signature(parsed, checkpoint, chain),
        *_check_witnesses(node, parsed),
        *_check_receipt(node, position, leaf, chain, purged=opening is None),
    ]
    return EntryProof(
        position=position,
        index=index,
        leaf=leaf,
        hash=leaf_hash(leaf),
        hashes=hashes,
        note=note,
        checkpoint=checkpoint,
        checks=tuple(checks),
    )


def _try(check: Check, said: str, hold: Callable[[], object]) -> Checked:
    """What the check came to; what is thrown by it is what does not hold."""
    try:
        hold()
    except ComityError as error:
        return Checked(check=check, holds=False, said=error.detail)
    return Checked(check=check, holds=True, said=said)


def _check_opening(leaf: bytes, opening: log.Opening | None) -> Checked:
    if opening is None:
        return Checked(check=Check.OPENING, holds=None, said="the content was deleted; the commitment still binds it")
    return _try(
        Check.OPENING,
        "salt and content open the commitment in the leaf",
        lambda: verify_opening(parse_leaf(leaf), salt=opening.salt, content=opening.content, listing=opening.listing),
    )


def _check_inclusion(leaf: bytes, index: int, checkpoint: Checkpoint, hashes: Sequence[Hash]) -> Checked:
    lead = "1 hash leads" if len(hashes) == 1 else f"{len(hashes)} hashes lead"
    return _try(
        Check.INCLUSION,
        f"{lead} from the leaf to the root of the tree of {say_count(checkpoint.size, 'entry')}",
        lambda: verify_inclusion(leaf_hash(leaf), index, checkpoint.size, hashes, checkpoint.root),
    )


def _check_signature(note: Note, checkpoint: Checkpoint, chain: Sequence[Manifest]) -> Checked:
    """Whether a log key of one of this party's manifests signed the head: an old log was signed by an old key."""
    for manifest in reversed(chain):
        for key in manifest.roles[Role.LOG].keys:
            try:
                verify_note(note, checkpoint.origin, key)
            except VerificationError:
                continue
            said = f"signed by a log key of version {manifest.version} of this party's manifest"
            return Checked(check=Check.CHECKPOINT, holds=True, said=said)
    said = "it carries no signature of a log key that this party's manifests name"
    return Checked(check=Check.CHECKPOINT, holds=False, said=said)


def _check_witnesses(node: Node, note: Note) -> list[Checked]:
    """What each witness in the settings said of this head."""
    return [_check_witness(each.name, each.keys, note) for each in list_witnesses(node)]


def _check_witness(name: str, keys: Sequence[VerifierKey], note: Note) -> Checked:
    if not any(line.name == name for line in note.signatures):
        said = "it has not cosigned this head"
        return Checked(check=Check.WITNESS, holds=None, said=said, witness=name)
    problem = "no key of it is known here"
    for key in keys:
        try:
            at = verify_cosignature(note, key)
        except ComityError as error:
            problem = error.detail
            continue
        said = "it cosigned this head"
        return Checked(check=Check.WITNESS, holds=True, said=said, witness=name, at=Instant(at * _SECOND))
    return Checked(check=Check.WITNESS, holds=False, said=problem, witness=name)


def _check_receipt(node: Node, position: int, leaf: bytes, chain: Sequence[Manifest], *, purged: bool) -> list[Checked]:
    """Of a disclosure: whether the receipt for it shows what `comity verify` asks of one."""
    try:
        if purged or parse_leaf(leaf).type is not EntryType.DISCLOSURE:
            return []
        data = write_receipt(node, position)
    except ComityError as error:
        return [Checked(check=Check.RECEIPT, holds=None, said=error.detail)]
    return [
        _try(
            Check.RECEIPT,
            "a receipt made anew shows the same: leaf, opening, listing and terms fit one another",
            lambda: verify_receipt(parse_receipt(data), manifests=chain),
        )
    ]
