# SPDX-License-Identifier: Apache-2.0
"""Shell: what was deleted, held against the purges that the log has of it.

Each tombstone must be of a purge that says the same of it, each purge must have left one, and what was purged must not
have been held since before. Where the content of a purge was purged itself, its leaf stands for it: it says when, and
under which terms, and each such leaf stands for one tombstone.

All purges are read before the first entry is replayed: whether a version that was given is held no more for a good
reason is said by an entry that comes after that disclosure.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

from comity.canonical import Json, parse_signed_json
from comity.errors import MalformedError
from comity.ids import Digest, Instant, ObjectId, parse_instant
from comity.release.disclosure import EntryType, parse_leaf
from comity.replayed import Deleted
from comity.store import Transaction, audited, deletions
from comity.store.deletions import Tombstone

__all__ = ["PurgeAudit"]

_OTHERS = frozenset({"comity-log-purge/1", "comity-received-purge/1"})

_Version = tuple[str, Instant | str]
"""An id with the time that its version says; with its text, where that says none."""


@dataclass(slots=True)
class _Purge:
    """The last purge of one version, which `says` so much; `digests` are those that all purges of it name."""

    last: int
    at: Instant
    says: tuple[object, ...]
    digests: frozenset[Digest]


class PurgeAudit:
    """The purges of a log, and the tombstones in `transaction`."""

    def __init__(self, transaction: Transaction) -> None:
        self._purges: dict[_Version, _Purge] = {}
        self._lost: dict[tuple[Instant, Digest | None], list[int]] = {}
        self._problems = [*self._read_log(transaction), *self._read_stones(transaction)]

    def find_deleted(self, versions: Collection[tuple[ObjectId, str]]) -> Mapping[tuple[ObjectId, str], Deleted]:
        """Those of these versions whose purge is on record."""
        found = {place: self._purges.get(_tell(*place)) for place in versions}
        return {
            place: Deleted(last=purge.last, digests=purge.digests)
            for place, purge in found.items()
            if purge is not None
        }

    def finish(self) -> Iterator[tuple[int | None, str]]:
        """What does not fit, each behind the position of its entry; None where there is none to name."""
        yield from self._problems

    def _read_log(self, transaction: Transaction) -> Iterator[tuple[int | None, str]]:
        for position, data, content in audited.iterate_entries_of(transaction, EntryType.PURGE):
            leaf = parse_leaf(data)
            if content is None:
                self._lost.setdefault((leaf.at, leaf.terms), []).append(position)
                continue
            match _read(content):
                case {
                    "format": "comity-purge/1",
                    "id": str(name),
                    "version": str(version),
                    "digest": str(digest),
                    "originator": originator,
                    "clause": clause,
                    "reason": reason,
                    "by": by,
                }:
                    key = _tell(name, version)
                    known = self._purges.get(key)
                    digests = frozenset[Digest]() if known is None else known.digests
                    says = digest, originator, leaf.terms, clause, reason, by
                    self._purges[key] = _Purge(position, leaf.at, says, digests | {Digest(digest)})
                case {"format": str(written)} if written in _OTHERS:
                    continue  # of entries, or of receipts: `audit` and `node.purge_received`
                case _:
                    yield position, "the content of this purge is not of a format that this version knows"

    def _read_stones(self, transaction: Transaction) -> Iterator[tuple[int | None, str]]:
        seen = set[_Version]()
        for stone, held in deletions.iterate_tombstones(transaction):
            key, name = _tell(stone.id, stone.version), f"{stone.id} {stone.version}"
            purge = self._purges.get(key) or self._find_lost(key, stone)
            seen.add(key)
            if purge is None:
                yield None, f"{name} has a tombstone, and no purge of it is in the log"
            elif (purge.at, purge.says) != (stone.deleted_at, _describe(stone)):
                yield purge.last, f"{name} has a tombstone that says otherwise than this purge of it"
            elif held:
                yield purge.last, f"{name} was purged by this entry, and is held since before"
        for key, purge in self._purges.items():
            if key not in seen:
                yield purge.last, f"{key[0]} was purged by this entry, in a version that has no tombstone"

    def _find_lost(self, key: _Version, stone: Tombstone) -> _Purge | None:
        """The purge of a tombstone by its leaf alone."""
        positions = self._lost.get((stone.deleted_at, stone.terms))
        if not positions:
            return None
        # What it named nobody can say; that its tombstone says so is the best there is.
        purge = _Purge(positions.pop(), stone.deleted_at, _describe(stone), frozenset({stone.digest}))
        self._purges[key] = purge
        return purge


def _describe(stone: Tombstone) -> tuple[object, ...]:
    return stone.digest, stone.originator, stone.terms, stone.clause, stone.reason, stone.by


def _read(content: bytes) -> Json:
    try:
        return parse_signed_json(content)
    except MalformedError:
        return None


def _tell(name: str, version: str) -> _Version:
    try:
        return name, parse_instant(version)
    except MalformedError:
        return name, version
