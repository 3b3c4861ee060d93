# SPDX-License-Identifier: Apache-2.0
"""Shell: each receipt that is kept, verified again; and what came by a disclosure, held against the receipt of it.

receipts     the leaf is in a tree that a log key of the giver has signed, whether that key is revoked by now or not;
             it is filed under what it says; and where its opening is gone, a purge on record took it
objects      a version that came by a disclosure is among those that its receipt lists, came under those terms, and not
             later; and what a receipt lists is not held as the own, nor as if it had come by no disclosure
"""

from collections.abc import Collection, Iterator
from contextlib import suppress
from dataclasses import dataclass

from comity.canonical import parse_signed_json
from comity.errors import BadSignature, LogMismatch, MalformedError, UnknownKey, VerificationError
from comity.ids import Digest, ObjectId, PartyId
from comity.node.keyaudit import KeyAudit
from comity.release.disclosure import EntryType, Leaf, parse_leaf, verify_opening
from comity.release.receipt import Place, is_place, parse_receipt, read_place
from comity.signing import Role
from comity.stix.markings import TLP_IDS
from comity.store import Transaction, audited
from comity.store.audited import CameBy, ShownReceipt
from comity.tlog.note import verify_note
from comity.tlog.origin import is_origin
from comity.tlog.proof import verify_proof

__all__ = ["ReceiptAudit"]

_MOST_NAMED = 100


@dataclass(frozen=True, slots=True)
class _Read:
    """What a receipt says: the leaf, and what was given, by id and digest; None where its opening was purged."""

    leaf: Leaf
    given: frozenset[tuple[ObjectId, Digest | None]] | None


class ReceiptAudit:
    """The receipts in `transaction`, and what they say of the objects there."""

    def __init__(self, transaction: Transaction, party: PartyId, keys: KeyAudit) -> None:
        self._transaction = transaction
        self._party = party
        self._keys = keys
        self._named = 0

    def finish(self) -> Iterator[str]:
        """What is wrong with them."""
        came = audited.iterate_came_by(self._transaction)
        waiting = next(came, None)
        for kept in audited.iterate_shown(self._transaction):
            ways = list[CameBy]()
            # Both are in the order of their givers and numbers. Of what has no receipt `node.receivedaudit` says so.
            while waiting is not None and (waiting.giver, waiting.number) <= (kept.giver, kept.number):
                ways += [waiting] if (waiting.giver, waiting.number) == (kept.giver, kept.number) else []
                waiting = next(came, None)
            try:
                read = self._verify(kept.giver, kept.data)
            except (MalformedError, VerificationError) as error:
                yield f"the receipt of disclosure {kept.number} of {kept.giver} was altered: {error.detail}"
                continue
            yield from self._bound(self._judge(kept, read, ways))
        for giver, number, data in audited.iterate_set_aside(self._transaction):
            try:
                self._verify(giver, data)
            except (MalformedError, VerificationError) as error:
                yield f"the receipt of disclosure {number} of {giver} that was set aside was altered: {error.detail}"
        yield from self._find_emptied()

    def _bound(self, problems: Iterator[str]) -> Iterator[str]:
        for problem in problems:
            self._named += 1
            if self._named <= _MOST_NAMED:
                yield problem

    def _verify(self, giver: PartyId, data: bytes) -> _Read:
        """What the receipt says, once it is one that `giver` has signed.

        Raises:
            MalformedError, VerificationError: it is none.
        """
        if is_place(data):
            place, given = read_place(data), None
        else:
            receipt = parse_receipt(data)
            verify_opening(receipt.leaf, salt=receipt.salt, content=receipt.content, listing=receipt.listing)
            place = Place(leaf_data=receipt.leaf_data, proof=receipt.proof)
            given = frozenset((item.id, item.digest) for item in receipt.objects)
        self._verify_signed(place, giver)
        return _Read(parse_leaf(place.leaf_data), given)

    def _verify_signed(self, place: Place, giver: PartyId) -> None:
        note, checkpoint = verify_proof(place.proof, place.leaf_data)
        if not is_origin(checkpoint.origin, giver):
            raise LogMismatch(f"it is of the log {checkpoint.origin}, which is none of {giver}")
        for key in {key for manifest in self._keys.chain_of(giver) for key in manifest.roles[Role.LOG].keys}:
            with suppress(UnknownKey, BadSignature):
                verify_note(note, checkpoint.origin, key)
                return
        raise LogMismatch(f"no log key of {giver} has signed its checkpoint")

    def _judge(self, kept: ShownReceipt, read: _Read, ways: Collection[CameBy]) -> Iterator[str]:
        what = f"the receipt of disclosure {kept.number} of {kept.giver}"
        says = read.leaf.recipient, read.leaf.sequence, read.leaf.terms, read.leaf.at
        if says != (self._party, kept.number, kept.terms, kept.at):
            yield f"{what} is kept as another one than it is"
        # Where a giver lost entries its numbers came again: what the first of them listed may be set aside.
        for way in () if ways and audited.has_set_aside(self._transaction, kept.giver, kept.number) else ways:
            if not kept.arrived:
                yield f"{way.id} came by disclosure {kept.number} of {kept.giver}, which is kept as not received"
            elif read.given is not None and (way.id, way.digest) not in read.given:
                yield f"{way.id} {way.version} is kept as given by {kept.giver}, and {what} does not list it"
            elif way.terms != read.leaf.terms or way.at > kept.received_at:
                yield f"{way.id} {way.version} came under other terms, or later, than {what} shows"
        if kept.arrived and read.given:
            yield from self._find_disowned(kept, read.given, what)

    def _find_disowned(
        self, kept: ShownReceipt, given: frozenset[tuple[ObjectId, Digest | None]], what: str
    ) -> Iterator[str]:
        """What the receipt lists, and is held as if it had come from nobody, or by no disclosure.

        What was here before its receipt was this party's own, and was taken in no second time.
        """
        ids = {name for name, _ in given if name not in TLP_IDS}
        for name, digest, added_at in audited.list_own(self._transaction, ids):
            if (name, digest) in given and added_at >= kept.received_at:
                shown = f"the receipt of disclosure {kept.number} shows that {kept.giver} gave it"
                yield f"{name} is held as the own, and {shown}"
        for name, digest, came_at in audited.list_unnumbered(self._transaction, ids, kept.giver, kept.terms):
            if (name, digest) in given and came_at <= kept.received_at:
                yield f"{name} is held as come by no disclosure, and {what} lists it"

    def _find_emptied(self) -> Iterator[str]:
        """Receipts that have lost their opening by no purge on record."""
        purged: dict[str, list[tuple[int, int]]] = {}
        for _, _, content in audited.iterate_entries_of(self._transaction, EntryType.PURGE):
            if content is None:
                return  # it may have been the purge of any of them
            with suppress(MalformedError):  # of what cannot be read its own judge says so
                match parse_signed_json(content):
                    case {"format": "comity-received-purge/1", "giver": str(giver), "receipts": list(ranges)}:
                        spans = [each for each in ranges if isinstance(each, list)]
                        purged.setdefault(giver, []).extend((int(str(a)), int(str(b))) for a, b in spans)
                    case _:
                        continue
        for giver, number in audited.iterate_emptied(self._transaction):
            if not any(first <= number <= last for first, last in purged.get(giver, ())):
                yield f"the receipt of disclosure {number} of {giver} has lost its content by no purge on record"
