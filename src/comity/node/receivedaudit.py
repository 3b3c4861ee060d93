# SPDX-License-Identifier: Apache-2.0
"""Shell: what was received, held against the receipts of its givers and the reviews in the log.

receipts     their numbers run without a gap but for what people let stand (`node.waiving`)
objects      of each that came by a disclosure its receipt is kept
decisions    each to keep an object longer is a review on record, of those very bytes, at that time
"""

from collections.abc import Iterator

from comity.canonical import parse_signed_json
from comity.errors import LogMismatch, MalformedError
from comity.ids import Digest, Instant, ObjectId, PartyId
from comity.release.disclosure import verify_opening
from comity.release.receipt import is_place, parse_receipt
from comity.replayed import ReplayedEntry
from comity.stix.markings import TLP_IDS
from comity.store import Transaction, audited, waivers

__all__ = ["ReceivedAudit"]

_MOST_UNSHOWN = 100


class ReceivedAudit:
    """The reviews of a log, in their order, and what `transaction` holds of others."""

    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction
        self._reviewed = set[tuple[Instant, Digest]]()
        self._lost = set[Instant]()

    def judge(self, entry: ReplayedEntry) -> Iterator[str]:
        """What is wrong with the review."""
        if entry.content is None:
            self._lost.add(entry.leaf.at)
            return
        match parse_signed_json(entry.content):
            case {"format": "comity-review/1", "versions": list(versions)}:
                self._reviewed |= {(entry.leaf.at, Digest(str(version))) for version in versions}
            case _:
                yield "the content of this review is not of the format that this version knows"

    def finish(self) -> Iterator[str]:
        """What is wrong with what is held of others."""
        for name, version, digest, at in audited.iterate_decisions(self._transaction):
            if (at, digest) not in self._reviewed and at not in self._lost:
                yield f"{name} {version} is kept by a decision that no review in the log says"
        for name, giver, number in audited.list_unshown(self._transaction, limit=_MOST_UNSHOWN):
            yield f"{name} came by disclosure {number} of {giver}, and no receipt of that is kept"
        yield from self._find_gaps()
        yield from self._find_disowned()

    def _find_gaps(self) -> Iterator[str]:
        reached: dict[PartyId, int] = {}
        waived = waivers.list_waivers(self._transaction)
        for giver, number in audited.iterate_receipts(self._transaction):
            first, reached[giver] = reached.get(giver, number - 1) + 1, number
            while first < number:
                through = max((one.through for one in waived if one.giver == giver and one.first <= first), default=0)
                if through < first:
                    yield f"of the disclosures of {giver} no receipt of {first} is kept, and one of {number} is"
                    break
                first = through + 1

    def _find_disowned(self) -> Iterator[str]:
        """What its giver's receipt shows, and what is held as if it had come from nobody.

        What was here before its receipt was this party's own, and was taken in no second time. Receipts whose opening
        was purged show nothing any more.
        """
        found = 0
        for giver, number, received_at, data in audited.iterate_shown(self._transaction):
            try:
                given = _read_given(data)
            except (MalformedError, LogMismatch) as error:
                yield f"the receipt of disclosure {number} of {giver} was altered: {error.detail}"
                continue
            owned = audited.list_own(self._transaction, {name for name, _ in given}) if given else []
            for name, digest, added_at in owned:
                disowned = (name, digest) in given and added_at >= received_at and name not in TLP_IDS
                found += disowned
                if disowned and found <= _MOST_UNSHOWN:
                    shown = f"the receipt of disclosure {number} shows that {giver} gave it"
                    yield f"{name} is held as the own, and {shown}"


def _read_given(data: bytes) -> frozenset[tuple[ObjectId, Digest | None]]:
    """What a receipt shows to have been given, by id and digest; nothing where its opening was purged.

    Raises:
        MalformedReceipt, LogMismatch: it is none.
    """
    if is_place(data):
        return frozenset()
    receipt = parse_receipt(data)
    verify_opening(receipt.leaf, salt=receipt.salt, content=receipt.content, listing=receipt.listing)
    return frozenset((item.id, item.digest) for item in receipt.objects)
