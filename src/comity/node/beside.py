# SPDX-License-Identifier: Apache-2.0
"""Shell: all that an audit holds against the log beside its disclosures, entry by entry.

letters, recalls, consents        `node.letteraudit`
receipts, heads of others         `node.receiptaudit`, `node.headaudit`
acknowledgements, cosignatures    `node.ackaudit`
manifests in force                `node.keyaudit`
deletions                         `node.purgeaudit`
"""

from collections.abc import Iterator

from comity.config import Settings
from comity.errors import CorruptionError, MalformedError
from comity.ids import Instant, format_instant
from comity.node.accessaudit import AccessAudit
from comity.node.ackaudit import AckAudit
from comity.node.decidedaudit import DecidedAudit
from comity.node.draftaudit import DraftAudit
from comity.node.headaudit import HeadAudit
from comity.node.keyaudit import KeyAudit
from comity.node.letteraudit import LetterAudit
from comity.node.peopleaudit import PeopleAudit
from comity.node.purgeaudit import PurgeAudit
from comity.node.receiptaudit import ReceiptAudit
from comity.node.receivedaudit import ReceivedAudit
from comity.node.tagaudit import TagAudit
from comity.release.disclosure import EntryType
from comity.replayed import ReplayedEntry
from comity.store import Transaction

__all__ = ["Beside"]


class Beside:
    """The entries of a log, in their order, held against what is in `transaction` beside it."""

    def __init__(self, transaction: Transaction, settings: Settings) -> None:
        self.keys = KeyAudit(transaction)
        self.purges = PurgeAudit(transaction)
        self.letters = LetterAudit(transaction, self.keys)
        self._acknowledged = AckAudit(transaction, settings.party, self.keys, settings)
        self._people = PeopleAudit(transaction, settings.party)
        self._access = AccessAudit(transaction)
        self._received = ReceivedAudit(transaction)
        self._receipts = ReceiptAudit(transaction, settings.party, self.keys)
        self._heads = HeadAudit(transaction, self.keys)
        self._tags = TagAudit(transaction)
        self._drafts = DraftAudit(transaction)
        self._decided = DecidedAudit(transaction)
        self._last = Instant(0)
        self._judges = {
            EntryType.AGREEMENT_EVENT: (self._people.judge,),
            EntryType.PEOPLE: (self._people.judge,),
            EntryType.PURGE: (self._people.judge,),
            EntryType.RECOVERY: (self._people.judge,),
            EntryType.CLASSIFICATION: (self._people.judge, self._tags.judge, self._drafts.judge, self._decided.judge),
            EntryType.SOURCE: (self._people.judge, self._access.judge),
            EntryType.CREDENTIAL: (self._access.judge,),
            EntryType.REVIEW: (self._received.judge,),
            EntryType.DISCLOSURE: (self.letters.judge, self._acknowledged.judge),
            EntryType.LETTER: (self.letters.judge, self._people.judge),
            EntryType.RECALL: (self.letters.judge, self._people.judge),
            EntryType.CONSENT: (self.letters.judge,),
            EntryType.ACKNOWLEDGEMENT: (self._acknowledged.judge, self._people.judge),
            EntryType.KEY_ROTATION: (self.keys.judge, self._people.judge),
        }

    @property
    def unverified(self) -> int:
        """Cosignatures by witnesses whose keys are not known here, after `finish`."""
        return self._acknowledged.unknown

    def judge(self, entry: ReplayedEntry) -> Iterator[tuple[int | None, str]]:
        """What is wrong with the entry, behind its position; those before it must have been judged."""
        self._people.note(entry)
        if entry.leaf.at < self._last:
            last = format_instant(self._last)
            yield entry.position, f"it was recorded at {format_instant(entry.leaf.at)}, and one before it at {last}"
        self._last = max(self._last, entry.leaf.at)
        for judge in self._judges.get(entry.leaf.type, ()):
            try:
                for problem in judge(entry):
                    yield entry.position, problem
            except MalformedError as error:
                yield entry.position, f"its content cannot be read: {error.detail}"

    def finish(self) -> Iterator[tuple[int | None, str]]:
        """What is wrong with what no entry has named, each behind the position of an entry, if one is concerned."""
        for each in (
            self.letters,
            self._acknowledged,
            self.keys,
            self._people,
            self._access,
            self._received,
            self._receipts,
            self._heads,
            self._tags,
            self._drafts,
            self._decided,
        ):
            try:
                for problem in each.finish():
                    yield None, problem
            except (ValueError, LookupError, TypeError, CorruptionError) as error:
                yield None, f"what is kept beside the log cannot be read, and the rest of its kind was not: {error!r}"
        yield from self.purges.finish()
