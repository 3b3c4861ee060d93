# SPDX-License-Identifier: Apache-2.0
"""Shell: the logs of a node, listed and verified. Reading needs no ownership of the store."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from pathlib import Path

from comity.audit import LoggedEntry, Verified, verify_logs
from comity.canonical import Json, parse_signed_json
from comity.config import load_settings
from comity.counting import say_count
from comity.errors import (
    CorruptionError,
    LogMismatch,
    MalformedError,
    MalformedRequest,
    NotFoundError,
    VerificationError,
)
from comity.ids import AgreementId, Digest, Instant, ObjectId, PartyId
from comity.lineage import verify_chain
from comity.node.heads import split_heads
from comity.node.lineage import read_chain
from comity.node.node import Node
from comity.release.disclosure import Leaf, parse_leaf
from comity.release.query import LogQuery, QualifierName
from comity.signing import Manifest, verify_manifest
from comity.store import SqliteStore, Transaction, entries, log, logs, parties
from comity.tlog.note import Checkpoint, parse_checkpoint, parse_note
from comity.tlog.origin import find_token, first_origin, name_origin

__all__ = [
    "Entry",
    "Relationship",
    "VerifiedLog",
    "find_agreements",
    "find_entry",
    "list_entries",
    "list_relationships",
    "read_checkpoint",
    "read_checkpoint_of",
    "read_own_chain",
    "search_entries",
    "verify_folder",
    "verify_store",
]

_CHUNK = 256
"""Entries that are in memory together, each with the listing of its page, which may be 124 kB."""
_NUMBER_DIGITS = 9
_MIN_PREFIX = 6
_COMMITMENT = re.compile(r"[0-9a-f]{6,64}", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One entry with what it recorded: its content, with the objects of the listing that it names; None once purged.

    `position` counts the entries of all logs; `place` is its place in the log that is called `origin`.
    """

    position: int
    origin: str
    place: int
    leaf: Leaf
    content: Json


def list_entries(node: Node, *, start: int, limit: int) -> list[Entry]:
    """At most `limit` entries from position `start` on, oldest first; a negative `start` counts from the end."""
    with node.store.read() as transaction:
        size = log.count_entries(transaction)
        first = max(0, size + start) if start < 0 else start
        leaves = log.read_entries(transaction, first, first + limit)
        openings = log.read_openings(transaction, first, first + limit)
        places = log.read_places(transaction, first, first + limit)
        origins = {each.number: name_origin(node.party, each.token) for each in logs.list_logs(transaction)}
    return [
        Entry(
            position=position,
            origin=origins.get(places[position][0], node.origin),
            place=places[position][1],
            leaf=parse_leaf(leaf),
            content=_read_content(openings[position]) if position in openings else None,
        )
        for position, leaf in leaves
    ]


def search_entries(node: Node, query: LogQuery, *, before: int | None, limit: int) -> tuple[list[Entry], entries.Found]:
    """At most `limit` entries below position `before` that a query asks for, oldest first, and how far was looked.

    The content of each is without the objects of its listing, which can be a thousand.
    """
    with node.store.read() as transaction:
        wanted = _find_wanted(transaction, query)
        stop = log.count_entries(transaction) if before is None else before
        found = entries.find_entries(transaction, wanted, before=stop, limit=limit)
        rows = entries.read_rows(transaction, found.positions)
        origins = {each.number: name_origin(node.party, each.token) for each in logs.list_logs(transaction)}
    return [
        Entry(
            position=position,
            origin=origins.get(number, node.origin),
            place=place,
            leaf=parse_leaf(leaf),
            content=None if content is None else _read_content(log.Opening(salt=b"", content=_close(content))),
        )
        for position, leaf, (number, place), content in rows
    ], found


def find_agreements(node: Node, listed: Sequence[Entry]) -> dict[Digest, AgreementId]:
    """The agreement of each text that the entries name, of those that are on record."""
    with node.store.read() as transaction:
        return entries.find_agreements(transaction, {entry.leaf.terms for entry in listed if entry.leaf.terms})


def _find_wanted(transaction: Transaction, query: LogQuery) -> entries.Wanted:
    """What an entry has to say: agreements and legal bases stand for the texts that are theirs."""
    under = [entries.list_terms(transaction, value) for value in query.list_wanted(QualifierName.UNDER)]
    not_under = [entries.list_terms(transaction, value) for value in query.list_excluded(QualifierName.UNDER)]
    citing = [entries.list_citing(transaction, value) for value in query.list_wanted(QualifierName.BASIS)]
    not_citing = [entries.list_citing(transaction, value) for value in query.list_excluded(QualifierName.BASIS)]
    texts = set[Digest]().union(*(texts for _, texts in under)) if under else None
    if citing:
        cited = set[Digest]().union(*citing)
        texts = cited if texts is None else texts & cited
    recipients = [PartyId(value) for value in query.list_wanted(QualifierName.TO)]
    return entries.Wanted(
        recipients=recipients or None,
        no_recipients=[PartyId(value) for value in query.list_excluded(QualifierName.TO)],
        terms=texts,
        no_terms=set[Digest]().union(*(texts for _, texts in not_under), *not_citing),
        kinds=query.list_wanted(QualifierName.KIND) or None,
        no_kinds=query.list_excluded(QualifierName.KIND),
        objects=[ObjectId(value) for value in query.list_wanted(QualifierName.OBJECT)],
        no_objects=[ObjectId(value) for value in query.list_excluded(QualifierName.OBJECT)],
        since=query.since,
        until=query.until,
        agreements=set[AgreementId]().union(*(ids for ids, _ in under)) if under else None,
    )


def find_entry(node: Node, name: str) -> Entry:
    """The entry that `name` names: its number from 0, or a beginning of its commitment that no other entry has.

    Raises:
        NotFoundError: there is none.
        MalformedRequest: `name` is neither, or too short, or fits several.
    """
    number = int(name) if name.isascii() and name.isdigit() and len(name) <= _NUMBER_DIGITS else None
    found = [] if number is None else list_entries(node, start=number, limit=1)
    if not found and _COMMITMENT.fullmatch(name):  # which can begin with digits alone
        with node.store.read() as transaction:
            positions = log.find_positions(transaction, name, limit=2)
        if len(positions) > 1:
            raise MalformedRequest(f"{name!r} fits several entries; give more characters")
        found = list_entries(node, start=positions[0], limit=1) if positions else []
    elif number is None:
        raise MalformedRequest(
            f"{name[:80]!r} names no entry; give its number, or at least {_MIN_PREFIX} characters of its commitment"
        )
    if not found:
        raise NotFoundError(f"there is no entry {name} in the log; entries are counted from 0")
    return found[0]


def read_checkpoint(node: Node) -> bytes:
    """The last signed checkpoint of the house's log, as it was signed (C2SP tlog-checkpoint)."""
    with node.store.read() as transaction:
        head = log.read_head(transaction)
    return head if head is not None else split_heads((node.folder / "head").read_bytes())[0]


def read_checkpoint_of(node: Node, name: str) -> bytes:
    """The last signed checkpoint of the log that `name` names: its origin, or the token that it ends in.

    Raises:
        NotFoundError: there is no such log.
    """
    origin = name if "/" in name else name_origin(node.party, name)
    with node.store.read() as transaction:
        number = node.find_log(transaction, origin)
        head = None if number is None else log.read_head(transaction, number)
    if number is None:
        raise NotFoundError(f"there is no log {name}; `log relationships` lists those there are")
    return read_checkpoint(node) if head is None else head


@dataclass(frozen=True, slots=True, kw_only=True)
class Relationship:
    """The log of what is given to one recipient under one agreement, with how many entries it has."""

    origin: str
    agreement: AgreementId
    recipient: PartyId
    size: int
    opened_at: Instant
    closed_at: Instant | None


def list_relationships(node: Node) -> list[Relationship]:
    """The log of every relationship, in the order in which they were opened."""
    with node.store.read() as transaction:
        return [
            Relationship(
                origin=name_origin(node.party, each.token),
                agreement=each.agreement,
                recipient=each.recipient,
                size=log.read_size(transaction, each.number),
                opened_at=each.opened_at,
                closed_at=each.closed_at,
            )
            for each in logs.list_logs(transaction)
        ]


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifiedLog(Verified):
    """What was verified, and by the keys of which manifest: a reader compares its digest with the one it was given."""

    manifest: Digest


def verify_folder(folder: Path, *, digest: Digest | None = None) -> VerifiedLog:
    """What `verify_store` verifies, over the store in `folder`, a node's own or a copy; nothing is written.

    The checkpoint kept outside the store is held against it: a log that was cut short agrees with itself. `digest` is
    that of the party's manifest, from wherever the reader has it; without it the store vouches for its own keys.

    Raises:
        NotFoundError: no node there.
        LogMismatch: what was altered, naming the entry.
        CorruptionError: the file is not even a database.
    """
    settings = load_settings(folder)
    # Read first: the store may grow while this runs, and must then be ahead of what was kept, never behind it.
    kept = _read_kept_heads(folder)
    store = SqliteStore.inspect(folder / "store.db")
    try:
        verified = verify_store(store, origin=first_origin(settings.party), party=settings.party, digest=digest)
        for place, (note, checkpoint) in enumerate(kept):
            _verify_kept_head(store, note, checkpoint, house=place == 0)
        return verified
    finally:
        store.close()


def verify_store(store: SqliteStore, *, origin: str, party: PartyId, digest: Digest | None = None) -> VerifiedLog:
    """Every entry, opening, tile and checkpoint of all logs, against each other and against this party's log key.

    Raises:
        LogMismatch: what was altered, naming the entry; or the keys are not those of the manifest pinned by `digest`.
        CorruptionError: the party's own manifest is missing or damaged.
    """
    with store.read() as transaction:
        chain = read_own_chain(transaction, party, digest=digest)
        there = logs.list_logs(transaction)
        verified = verify_logs(
            _read_all(transaction),
            {number: log.read_heads(transaction, number) for number in (log.HOUSE, *(each.number for each in there))},
            read_tile=lambda level, index, number: log.read_tile(transaction, level, index, number),
            numbers={name_origin(party, each.token): each.number for each in there},
            origin=origin,
            chain=chain,
        )
    said = {field.name: getattr(verified, field.name) for field in fields(verified)}
    return VerifiedLog(**said, manifest=chain[-1].digest)


def read_own_chain(transaction: Transaction, party: PartyId, *, digest: Digest | None) -> list[Manifest]:
    """The manifests of this party in the store, oldest first: the first signed by itself, each other one following.

    A pinned one has to be among them: those before it are named by its digest, those after it follow by its keys.
    """
    pinned = parties.read_pinned(transaction, party)
    try:
        versions = read_chain(transaction, party)
        if pinned is None or not versions or versions[-1].manifest.digest != pinned:
            raise CorruptionError("the store does not hold this party's own manifest; restore a backup")
        # Their times do not matter here: a log is read long after the keys that signed it have run out.
        verify_manifest(versions[0].document, now=versions[0].manifest.issued_at)
        chain = list(verify_chain(versions, now=versions[-1].manifest.issued_at))
    except (MalformedError, VerificationError) as error:
        raise CorruptionError(f"this party's own manifest in the store was altered: {error.detail}") from error
    if digest is not None and digest not in {manifest.digest for manifest in chain}:
        raise LogMismatch(f"the store holds the manifest {chain[-1].digest}, which is not the one pinned")
    return chain


def _read_kept_heads(folder: Path) -> list[tuple[bytes, Checkpoint]]:
    path = folder / "head"
    # A folder that was restored and has not been recovered has the checkpoint of its backup instead.
    if not path.exists() and (folder / "restored").exists():
        path = folder / "restored"
    try:
        return [(note, parse_checkpoint(parse_note(note).text)) for note in split_heads(path.read_bytes())]
    except OSError as error:
        raise LogMismatch(f"the checkpoint kept in {path} is missing ({error.strerror})") from error
    except MalformedError as error:
        raise LogMismatch(f"the checkpoint kept in {path} was altered: {error.detail}") from error


def _verify_kept_head(store: SqliteStore, note: bytes, kept: Checkpoint, *, house: bool) -> None:
    """Return if the checkpoint is one that the store has of its log, that of the house or the one it names."""
    with store.read() as transaction:
        token = find_token(kept.origin)
        found = None if house or token is None else logs.find_log(transaction, token)
        number = log.HOUSE if house else None if found is None else found.number
        size = 0 if number is None else log.read_size(transaction, number)
        held = None if number is None else log.read_head_at(transaction, kept.size, number)
    if kept.size > size:
        raise LogMismatch(
            f"the log {kept.origin} was cut short: this node signed a checkpoint over {say_count(kept.size, 'entry')},"
            f" and {size} are here",
            entry=size,
        )
    if kept.size and held != note:
        raise LogMismatch(
            f"the checkpoint kept outside the store is not the one in its log over {say_count(kept.size, 'entry')}"
        )


def _close(content: bytes) -> bytes:
    """A content that can be read without its listing: one of the first format is kept without its end, which is it."""
    return content + b"]}" if content.endswith(b"[") else content


def _read_content(opening: log.Opening) -> Json:
    content = parse_signed_json(opening.content)
    listing = parse_signed_json(opening.listing) if opening.listing else None
    if isinstance(content, dict) and isinstance(listing, dict):
        content["objects"] = listing["objects"]
    return content


def _read_all(transaction: Transaction) -> Iterator[LoggedEntry]:
    start = 0
    while rows := log.read_logged(transaction, start, start + _CHUNK):
        yield from (LoggedEntry(*entry) for entry in rows)
        start += _CHUNK
