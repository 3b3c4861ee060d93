# SPDX-License-Identifier: Apache-2.0
"""Shell: what partners took back over TAXII, as the log has it, held against what is kept of it.

An entry must name a retraction that is kept and says the very same; each that is kept must have one entry, unless the
content of such an entry was purged.
"""

from collections.abc import Iterator

from comity.ids import Digest
from comity.node.retraction import Retraction
from comity.release.disclosure import DisclosedObject, EntryType
from comity.release.letters import format_retraction
from comity.replayed import ReplayedEntry
from comity.store import Transaction, retractions

__all__ = ["RetractionAudit"]


class RetractionAudit:
    """The entries of retractions, in their order, held against what `transaction` keeps."""

    def __init__(self, transaction: Transaction) -> None:
        self._kept = {item.name: item for item in retractions.iterate_retractions(transaction)}
        self._logged = set[Digest]()
        self._purged = False

    def note_purged(self, entry: ReplayedEntry) -> None:
        """The content of this entry is gone: it may have been one of a retraction."""
        self._purged = self._purged or entry.leaf.type is EntryType.RECALL

    def judge(self, named: Digest, entry: ReplayedEntry) -> Iterator[str]:
        """What is wrong with an entry that names that retraction."""
        kept = self._kept.get(named)
        if kept is None:
            yield f"the retraction {named[:12]} is in the log and not kept"
            return
        if named in self._logged:
            yield f"the retraction {named[:12]} is in the log twice"
        self._logged.add(named)
        if entry.content != _format(kept) or (entry.leaf.terms, entry.leaf.at) != (kept.terms, kept.at):
            yield f"the retraction {named[:12]} is kept as another one than this entry says"

    def finish(self) -> Iterator[str]:
        """What is wrong with those that no entry has named."""
        for name, kept in self._kept.items():
            if name not in self._logged and not self._purged:
                yield f"the retraction {name[:12]} of {kept.giver} is in no entry of the log"


def _format(kept: Retraction) -> bytes:
    return format_retraction(
        name=kept.name,
        giver=kept.giver,
        agreement=kept.agreement,
        channel=kept.channel,
        item=kept.object,
        asked=kept.asked,
        objects=[DisclosedObject(id=kept.object, version=one.version, digest=one.digest) for one in kept.versions],
    )
