# SPDX-License-Identifier: Apache-2.0
"""Shell: all that an audit holds against the log beside its disclosures, entry by entry.

letters, recalls, consents        `node.letteraudit`
acknowledgements, cosignatures    `node.ackaudit`
manifests in force                `node.keyaudit`
deletions                         `node.purgeaudit`
"""

from collections.abc import Iterator

from comity.config import Settings
from comity.node.ackaudit import AckAudit
from comity.node.keyaudit import KeyAudit
from comity.node.letteraudit import LetterAudit
from comity.node.purgeaudit import PurgeAudit
from comity.release.disclosure import EntryType
from comity.replayed import ReplayedEntry
from comity.store import Transaction

__all__ = ["Beside"]


class Beside:
    """The entries of a log, in their order, held against what is in `transaction` beside it."""

    def __init__(self, transaction: Transaction, settings: Settings) -> None:
        self.keys = KeyAudit(transaction)
        self.purges = PurgeAudit(transaction)
        self._letters = LetterAudit(transaction)
        self._acknowledged = AckAudit(transaction, settings.party, self.keys, settings)
        self._judges = {
            EntryType.DISCLOSURE: (self._letters.judge, self._acknowledged.judge),
            EntryType.LETTER: (self._letters.judge,),
            EntryType.RECALL: (self._letters.judge,),
            EntryType.CONSENT: (self._letters.judge,),
            EntryType.ACKNOWLEDGEMENT: (self._acknowledged.judge,),
            EntryType.KEY_ROTATION: (self.keys.judge,),
        }

    def judge(self, entry: ReplayedEntry) -> Iterator[tuple[int | None, str]]:
        """What is wrong with the entry, behind its position; those before it must have been judged."""
        for judge in self._judges.get(entry.leaf.type, ()):
            for problem in judge(entry):
                yield entry.position, problem

    def finish(self) -> Iterator[tuple[int | None, str]]:
        """What is wrong with what no entry has named, each behind the position of an entry, if one is concerned."""
        for each in (self._letters, self._acknowledged, self.keys):
            for problem in each.finish():
                yield None, problem
        yield from self.purges.finish()
