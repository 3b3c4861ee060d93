# SPDX-License-Identifier: Apache-2.0
"""Shell: what was received, held against the receipts of its givers and the reviews in the log.

receipts     their numbers run without a gap but for what people let stand (`node.waiving`)
objects      of each that came by a disclosure its receipt is kept
             (what it says of the object: `node.receiptaudit`)
decisions    each to keep an object longer is a review on record, of those very bytes, at that time
"""

from collections.abc import Iterator

from comity.canonical import parse_signed_json
from comity.ids import Digest, Instant, PartyId
from comity.replayed import ReplayedEntry
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
