# SPDX-License-Identifier: Apache-2.0
"""Shell: salt and content of log entries deleted, by the rule of this node or by order of two people, and on record.

What was purged and its purge are one transaction: no crash leaves content gone without the entry that says so. Every
leaf stays, so that every proof goes on to verify. What the files still hold of it is cleared after that (`retention`):
the write-ahead log can be emptied only when no reader holds it, and until then nothing here says that it is gone.

`search_folder` reads every file of the folder for the salts that were deleted. A salt is 32 random bytes, so that one
that is found anywhere was not overwritten there.
"""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from comity.agreement.people import Approval, make_matter
from comity.agreement.recognition import Refusal
from comity.canonical import Json
from comity.errors import MalformedRequest, NotFoundError
from comity.ids import AgreementId, Instant, ObjectId, PartyId, format_instant
from comity.node.node import Act, Node
from comity.node.people import Actor, Approved, Waiting, approve
from comity.node.retention import check_texts, finish_deletions
from comity.node.standing import find_agreement_id
from comity.node.steps import Steps
from comity.release.disclosure import SALT_BYTES, EntryType, Leaf, parse_leaf
from comity.release.purge import MAX_PURGED, PURGEABLE, Range, Ranges, format_log_purge, merge_ranges, parse_log_purge
from comity.store import Transaction, backups, purges
from comity.store.backups import StoredBackup
from comity.store.raw import list_readable, read_parts

__all__ = [
    "Forgotten",
    "Searched",
    "Selection",
    "StoredBackup",
    "count_selected",
    "find_agreement_named",
    "purge_by_order",
    "purge_due",
    "search_folder",
]

_BATCH = 1_000
"""Entries that the rule purges in one transaction: others wait for no more than these."""

_SCAN = 2_000
_SALTS = 16
"""Of so many entries the salt is looked for in the files: the first and last, and others evenly between."""

_READ_BYTES = 1 << 20
_CONTENT_DAYS = "content_days"
_DAY = 86_400 * 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Which entries an order is about: those that fit everything that is given; something must be.

    `until` is a time: entries recorded before it. `item` is an object that content or listing names.
    """

    until: Instant | None = None
    agreement: AgreementId | None = None
    recipient: PartyId | None = None
    item: ObjectId | None = None
    entries: frozenset[int] = frozenset()

    def facts(self) -> dict[str, Json]:
        """What people approve."""
        return {
            "before": None if self.until is None else format_instant(self.until),
            "agreement": self.agreement,
            "recipient": self.recipient,
            "object": self.item,
            "entries": list[Json](sorted(self.entries)),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Forgotten:
    """What was purged: entry `purge` names `ranges`; None where nothing was due. `more` says that more is to be.

    `gone` is False while a reader keeps something of it in the files. `salts` are some of those deleted, to look for in
    the files and nothing else. `backups` were made before, and hold it still unless somebody destroyed them.
    """

    purge: int | None
    ranges: Ranges
    more: bool
    gone: bool
    salts: tuple[bytes, ...]
    backups: tuple[StoredBackup, ...]
    approvals: tuple[Approval, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Searched:
    """How much was read, for how many salts, and the files in which one was found: none, or it is not gone."""

    files: int
    bytes: int
    salts: int
    found: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Found:
    position: int
    salt: bytes


def purge_by_order(node: Node, selection: Selection, *, reason: str, by: Actor) -> Forgotten | Waiting | Refusal:
    """What became of an order to purge the entries that `selection` names, at most MAX_PURGED of them at once.

    It is an act of two people: what is deleted is evidence, of this party's own acts among others. What came on record
    after the first of them approved is not of it: neither of them can have seen it then.

    Raises:
        MalformedRequest: nothing was selected, or the reason.
        NotFoundError: no entry that has its content and may lose it fits.
    """
    reason = check_texts(reason, None)
    if selection == Selection():
        raise MalformedRequest("say which entries: by date, agreement, recipient, object or number")
    with node.act() as act:
        found = _find(act.transaction, selection, most=MAX_PURGED + 1)
        if not found:
            raise NotFoundError(
                "no entry fits that has its content and may lose it; agreement events, purges of entries and recoveries"
                " keep theirs"
            )
        facts: dict[str, Json] = {**selection.facts(), "reason": reason}
        authorised = approve(act, by, make_matter("purge", agreement=selection.agreement, facts=facts))
        if not isinstance(authorised, Approved):
            return authorised
        carried = authorised.approvals
        first = Instant(min(approval.at for approval in carried) + 1)
        until = first if selection.until is None else min(first, selection.until)
        found = _find(act.transaction, replace(selection, until=until), most=MAX_PURGED + 1)
        if not found:
            raise NotFoundError("what the first approval was of has been purged since, or a clock was put back")
        purge, ranges = _purge(act, found[:MAX_PURGED], rule=None, reason=reason, approvals=carried)
    found, more = found[:MAX_PURGED], len(found) > MAX_PURGED
    done = _describe(node, purge, ranges, found, more=more, gone=finish_deletions(node))
    return replace(done, approvals=carried)


def purge_due(node: Node) -> Forgotten:
    """What the rule of this node purges: entries older than `content_days`, some in one transaction. Again while more.

    Entries are in the order of their commits. The first that is too young ends it, so that a clock which went back for
    a while delays some and purges none too early.
    """
    days = node.settings.content_days
    nothing = Forgotten(purge=None, ranges=(), more=False, gone=True, salts=(), backups=())
    if days is None:
        return nothing
    until = Instant(node.read_machine_clock() - days * _DAY)
    with node.store.read() as transaction:
        if not _find_due(transaction, until, most=1):
            return nothing
    with node.act() as act:
        found = _find_due(act.transaction, until, most=_BATCH + 1)
        purge, ranges = _purge(act, found[:_BATCH], rule=f"{_CONTENT_DAYS} = {days}", reason=None, approvals=())
    more = len(found) > _BATCH
    gone = False if more else finish_deletions(node)
    return _describe(node, purge, ranges, found[:_BATCH], more=more, gone=gone)


def count_selected(node: Node, selection: Selection) -> Ranges:
    """The entries that an order would purge now, at most MAX_PURGED of them.

    Raises:
        MalformedRequest: nothing was selected.
    """
    if selection == Selection():
        raise MalformedRequest("say which entries: by date, agreement, recipient, object or number")
    with node.store.read() as transaction:
        found = _find(transaction, selection, most=MAX_PURGED)
    return merge_ranges(Range(item.position, item.position) for item in found)


def find_agreement_named(node: Node, prefix: str) -> AgreementId:
    """The agreement whose id, or the hash of one of whose versions, begins with `prefix`.

    Raises:
        NotFoundError, MalformedRequest: none, or several.
    """
    with node.store.read() as transaction:
        return find_agreement_id(transaction, prefix)


def search_folder(folder: Path, salts: tuple[bytes, ...]) -> Steps[Searched]:
    """In how many bytes of how many files none of `salts` is, or where one is; a step for each part of a file.

    A file that goes while it is read has nothing in it any more.
    """
    files, read, found = 0, 0, list[str]()
    for path in list_readable(folder):
        files += 1
        for count, holds in _search_file(path, salts):
            read += count
            if holds:
                found.append(str(path.relative_to(folder)))
                break
            yield
    return Searched(files=files, bytes=read, salts=len(salts), found=tuple(found))


def _search_file(path: Path, salts: tuple[bytes, ...]) -> Iterator[tuple[int, bool]]:
    """Of each part of a file, its length and whether one of `salts` ends in it."""
    with suppress(FileNotFoundError):
        tail = b""
        for part in read_parts(path, _READ_BYTES):
            seen = tail + part
            yield len(part), any(salt in seen for salt in salts)
            tail = seen[-(SALT_BYTES - 1) :]


def _purge(
    act: Act, found: list[_Found], *, rule: str | None, reason: str | None, approvals: tuple[Approval, ...]
) -> tuple[int, Ranges]:
    """The entry that says it, and what it names: purged and on record with the act."""
    ranges = merge_ranges(Range(item.position, item.position) for item in found)
    deleted = purges.delete_openings(act.transaction, [item.position for item in found])
    assert deleted == len(found)  # noqa: S101 (they were read in this transaction)
    content = format_log_purge(ranges, rule=rule, reason=reason, approvals=approvals)
    position = act.position
    act.record(EntryType.PURGE, content, terms=None, recipient=None, count=deleted)
    return position, ranges


def _describe(node: Node, purge: int, ranges: Ranges, found: list[_Found], *, more: bool, gone: bool) -> Forgotten:
    with node.store.read() as transaction:
        made = backups.list_backups(transaction)
    step = max(1, len(found) // _SALTS)
    salts = tuple(item.salt for item in [*found[:-1:step][: _SALTS - 1], found[-1]])
    return Forgotten(
        purge=purge,
        ranges=ranges,
        more=more,
        gone=gone,
        salts=salts,
        backups=tuple(made),
    )


def _find(transaction: Transaction, selection: Selection, *, most: int) -> list[_Found]:
    terms = None if selection.agreement is None else purges.read_terms_of(transaction, selection.agreement)

    def fits(position: int, leaf: Leaf) -> bool:
        return (
            (selection.until is None or leaf.at < selection.until)
            and (terms is None or leaf.terms in terms)
            and (selection.recipient is None or leaf.recipient == selection.recipient)
            and (not selection.entries or position in selection.entries)
        )

    found = list[_Found]()
    for position, leaf, salt in _read(transaction, item=selection.item):
        if fits(position, leaf):
            found.append(_Found(position, salt))
        if len(found) == most:
            break
    return found


def _find_due(transaction: Transaction, until: Instant, *, most: int) -> list[_Found]:
    found = list[_Found]()
    for position, leaf, salt in _read(transaction):
        if leaf.at >= until or len(found) == most:
            break
        found.append(_Found(position, salt))
    return found


def _read(transaction: Transaction, *, item: ObjectId | None = None) -> Iterator[tuple[int, Leaf, bytes]]:
    """Every entry that has its content and may lose it, in order."""
    start = 0
    while rows := purges.read_opened(transaction, start, _SCAN, item=item):
        for position, data, salt, content in rows:
            leaf = parse_leaf(data)
            if leaf.type in PURGEABLE and parse_log_purge(leaf, content) is None:
                yield position, leaf, salt
        start = rows[-1][0] + 1
