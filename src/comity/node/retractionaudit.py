# SPDX-License-Identifier: Apache-2.0
"""Shell: what partners took back over TAXII, as the log has it, held against what is kept of it.

An entry must name a retraction that is kept and says the very same of a stretch of its versions. Each version of a
retraction that is kept must be in one entry, and a retraction of none has one entry; unless the content of such an
entry was purged.
"""

from collections.abc import Collection, Iterator, Sequence

from comity.ids import Digest
from comity.node.retraction import Retracted, Retraction
from comity.release.disclosure import DisclosedObject, EntryType
from comity.release.letters import format_retraction
from comity.replayed import ReplayedEntry
from comity.store import Transaction, retractions

__all__ = ["RetractionAudit"]


class RetractionAudit:
    """The entries of retractions, in their order, held against what `transaction` keeps."""

    def __init__(self, transaction: Transaction) -> None:
        self._kept = {item.name: item for item in retractions.iterate_retractions(transaction)}
        self._logged: dict[Digest, set[int]] = {}
        self._purged = False

    def note_purged(self, entry: ReplayedEntry) -> None:
        """The content of this entry is gone: it may have been one of a retraction."""
        self._purged = self._purged or entry.leaf.type is EntryType.RECALL

    def judge(self, named: Digest, listed: Collection[tuple[str, str]], entry: ReplayedEntry) -> Iterator[str]:
        """What is wrong with an entry that names that retraction, and of it the `listed` ids and versions."""
        kept = self._kept.get(named)
        if kept is None:
            yield f"the retraction {named[:12]} is in the log and not kept"
            return
        begin = _find_place(kept, listed)
        part = kept.versions[begin : begin + len(listed)]
        places = set(range(begin, begin + len(part)))
        if named in self._logged and (not places or places & self._logged[named]):
            yield f"the retraction {named[:12]} is in the log twice"
        self._logged.setdefault(named, set()).update(places)
        is_whole = bool(part) or not kept.versions
        said = (entry.content, entry.leaf.terms, entry.leaf.at)
        if not is_whole or said != (_format(kept, part), kept.terms, kept.at):
            yield f"the retraction {named[:12]} is kept as another one than this entry says"

    def finish(self) -> Iterator[str]:
        """What is wrong with those that no entry has named."""
        for name, kept in self._kept.items():
            if self._purged:
                return
            if name not in self._logged:
                yield f"the retraction {name[:12]} of {kept.giver} is in no entry of the log"
            elif len(self._logged[name]) < len(kept.versions):
                yield f"of the retraction {name[:12]} of {kept.giver} the entries of the log do not name every version"


def _find_place(kept: Retraction, listed: Collection[tuple[str, str]]) -> int:
    """The place of the first that is listed; the end where none of the retraction's is."""
    places = (at for at, one in enumerate(kept.versions) if (kept.object, one.version) in listed)
    return next(places, len(kept.versions))


def _format(kept: Retraction, part: Sequence[Retracted]) -> bytes:
    return format_retraction(
        name=kept.name,
        giver=kept.giver,
        agreement=kept.agreement,
        channel=kept.channel,
        item=kept.object,
        asked=kept.asked,
        objects=[DisclosedObject(id=kept.object, version=one.version, digest=one.digest) for one in part],
    )
