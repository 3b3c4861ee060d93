# SPDX-License-Identifier: Apache-2.0
"""Shell: who may come in, held against the log: credentials of partners, readers of the logs, and sources.

Each that is kept must be as an entry put it on record, down to its end and its revocation, and each entry must have
left one. Where the content of an entry was purged, its time stands for one that was made, or revoked, just then.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from comity.canonical import Json, parse_signed_json
from comity.ids import Instant, format_instant
from comity.release.disclosure import EntryType
from comity.replayed import ReplayedEntry
from comity.store import Transaction, parties, readers, sources

__all__ = ["AccessAudit"]


@dataclass(slots=True)
class _Right:
    """What lets somebody in: whose it is, its end as it is written, from when, and until when if it was revoked."""

    of: str
    expires_at: str | None
    since: Instant
    until: Instant | None = None


class AccessAudit:
    """The entries of a log, in their order, held against who may come in by `transaction`."""

    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction
        self._rights: dict[tuple[str, str], _Right] = {}
        self._lost = Counter[Instant]()
        self._sources: dict[str, tuple[str, str, str] | None] = {}
        self._records = set[str]()

    def judge(self, entry: ReplayedEntry) -> Iterator[str]:
        """What is wrong with the entry; those before it must have been judged."""
        if entry.content is None:
            self._lost[entry.leaf.at] += 1
            return
        said = parse_signed_json(entry.content)
        known = (
            self._note_source(said) if entry.leaf.type is EntryType.SOURCE else self._note_right(said, entry.leaf.at)
        )
        if not known:
            yield "what this entry says of who may come in is not of the format that this version knows, or out of turn"

    def finish(self) -> Iterator[str]:
        """What is wrong with those who may come in."""
        kept = {
            ("credential", one.id): _Right(one.party, _say(one.expires_at), one.created_at, one.revoked_at)
            for one in parties.list_credentials(self._transaction)
        } | {
            ("reader", one.id): _Right(one.name, _say(one.expires_at), one.created_at, one.removed_at)
            for one in readers.list_readers(self._transaction)
        }
        for key, right in sorted(kept.items()):
            if not self._is_on_record(self._rights.get(key), right):
                yield f"the {key[0]} {key[1]} of {right.of} is kept otherwise than the log has put it on record"
        for key in sorted(self._rights.keys() - kept.keys()):
            yield f"the {key[0]} {key[1]} of {self._rights[key].of} is in the log and not kept"
        followed = {one.name: (one.url, one.collection, one.record) for one in sources.list_sources(self._transaction)}
        on_record = {name: said for name, said in self._sources.items() if said is not None}
        for name in sorted(followed.keys() | on_record.keys()):
            if followed.get(name) != on_record.get(name):
                yield f"the source {name} is not followed as the log has put it on record"
        for record in sources.list_record_hashes(self._transaction):
            if record not in self._records:
                yield f"the terms of receipt {record[:12]} are kept, and in no entry of the log"

    def _is_on_record(self, known: _Right | None, right: _Right) -> bool:
        """Whether the right is as the entries say, as far as they still have their content."""
        if known == right:
            return True
        if known is None:
            if not self._lost[right.since]:
                return False
            self._lost[right.since] -= 1
            known = _Right(right.of, right.expires_at, right.since)
        if known.until is None and right.until is not None and self._lost[right.until]:
            self._lost[right.until] -= 1
            known.until = right.until
        return known == right

    def _note_right(self, said: Json, at: Instant) -> bool:
        match said:
            case {
                "format": "comity-credential-record/1",
                "change": "create" | "revoke" as change,
                "party": str(of),
                "credential": str(name),
                "expires_at": (str() | None) as expires_at,
            }:
                return self._note(("credential", name), _Right(of, expires_at, at), ends=change == "revoke")
            case {
                "format": "comity-reader-record/1",
                "change": "add-reader" | "remove-reader" as change,
                "reader": str(of),
                "permission": str(name),
                "expires_at": str(expires_at),
            }:
                return self._note(("reader", name), _Right(of, expires_at, at), ends=change == "remove-reader")
            case _:
                return False

    def _note(self, key: tuple[str, str], right: _Right, *, ends: bool) -> bool:
        known = self._rights.get(key)
        if not ends:
            self._rights[key] = right
            return known is None
        if known is None:  # the entry that made it has lost its content
            return bool(self._lost)
        known.until = right.since
        return True

    def _note_source(self, said: Json) -> bool:
        match said:
            case {
                "format": "comity-source/1",
                "source": str(name),
                "url": str(url),
                "collection": str(collection),
                "record": (str() | None) as record,
            }:
                self._sources[name] = None if record is None else (url, collection, record)
                self._records |= set() if record is None else {record}
                return True
            case _:
                return False


def _say(at: Instant | None) -> str | None:
    return None if at is None else format_instant(at)
