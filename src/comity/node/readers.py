# SPDX-License-Identifier: Apache-2.0
"""Shell: who may read this party's log over HTTP, and what a reader is given: the parts of C2SP tlog-tiles.

Nobody may read the log of the house, nor those of all relationships, until the operator permits a reader by name. It
sees every leaf: to whom this party gave, when, how many objects, under which terms. So it is a body that oversees this
party, and never a partner, which would see what others are given. A permission is a secret of its own: it opens no
collection. Giving and removing one is an entry in the log.

A partner reads the logs of what it was given itself, with what it reads its collections by, and no other.
"""

import hashlib
import re
from contextlib import suppress
from dataclasses import replace

from comity.canonical import canonical_bytes
from comity.errors import (
    AuthenticationError,
    ConflictError,
    CorruptionError,
    MalformedRequest,
    NotFoundError,
    UnavailableError,
)
from comity.ids import Digest, Instant, PartyId, parse_party_id
from comity.node.cosigning import find_cosigned
from comity.node.journal import read_checkpoint
from comity.node.node import Act, Node
from comity.release.disclosure import EntryType, ReaderChange, format_reader_content
from comity.store import log, logs, parties, readers
from comity.store.readers import LogReader
from comity.tlog.tiles import CHECKPOINT, TILE_WIDTH, EntryBundle, TilePart, format_bundle, parse_part

__all__ = [
    "MAX_READER_DAYS",
    "READER_DAYS",
    "LogReader",
    "add_reader",
    "authenticate_reader",
    "find_part",
    "list_readers",
    "read_part",
    "remove_reader",
]

READER_DAYS = 365
"""How long a permission is good unless another span is asked for."""

MAX_READER_DAYS = 3_650

_SECRET_BYTES = 32
_ID_BYTES = 6
_MIN_PREFIX = 4
_MAX_READERS = 100
_MAX_SECRET_CHARACTERS = 8_192
_DAY = 86_400_000_000
_HASH_BYTES = 32
_NAMES = re.compile(r"names/(0|[1-9][0-9]{0,11})", re.ASCII)
_TOKEN = re.compile(r"[0-9a-f]{16}", re.ASCII)


def add_reader(node: Node, name: str, *, days: int = READER_DAYS) -> tuple[str, LogReader]:
    """A new secret by which `name` may read the log for `days`, shown once, and what is kept of it.

    Those that the same name has stay good beside it, so that the reader can change over.

    Raises:
        MalformedRequest: `name` is not one (as an id of a party), or not from 1 to 3650 days.
        ConflictError: `name` is a party that is pinned, or there are 100 permissions that are good.
    """
    parse_party_id(name)
    if not 0 < days <= MAX_READER_DAYS:
        raise MalformedRequest(f"a reader may read for 1 to {MAX_READER_DAYS} days, not {days}", where="--days")
    secret = node.draw(_SECRET_BYTES).hex()
    with node.act() as act:
        if any(item.id == name for item in parties.list_parties(act.transaction)):
            raise ConflictError(
                f"{name} is a party pinned here: whoever reads the log sees to whom else this party gives, when and how"
                " much. Name the body that oversees this party; a partner has receipts for what it is given"
            )
        if sum(item.is_good(act.now) for item in readers.list_readers(act.transaction)) >= _MAX_READERS:
            raise ConflictError(
                f"{_MAX_READERS} permissions are good, which is the bound; `log reader list` shows them"
            )
        reader = LogReader(
            id=node.draw(_ID_BYTES).hex(),
            name=name,
            created_at=act.now,
            expires_at=Instant(act.now + days * _DAY),
            removed_at=None,
            used_day=None,
        )
        readers.add_reader(act.transaction, reader, secret_hash=_hash(secret))
        _record(act, ReaderChange.ADD, reader)
    return secret, reader


def list_readers(node: Node) -> list[LogReader]:
    """Every permission ever given: by name, oldest first."""
    with node.store.read() as transaction:
        return readers.list_readers(transaction)


def remove_reader(node: Node, name: str) -> list[LogReader]:
    """The permissions that let nobody read from here on: all of the reader `name`, or the one whose id begins so.

    An answer that is under way goes on.

    Raises:
        NotFoundError: there is none, or it was removed before.
        MalformedRequest: it fits the ids of several.
    """
    with node.act() as act:
        there = [item for item in readers.list_readers(act.transaction) if item.removed_at is None]
        found = [item for item in there if item.name == name]
        if not found and len(name) >= _MIN_PREFIX:
            found = [item for item in there if item.id.startswith(name.lower())]
            if len(found) > 1:
                raise MalformedRequest(f"{name!r} fits {len(found)} permissions; give more characters")
        if not found:
            raise NotFoundError(f"there is no reader {name!r} to remove; `log reader list` shows those there are")
        for item in found:
            readers.remove_reader(act.transaction, item.id, now=act.now)
            _record(act, ReaderChange.REMOVE, item)
        return [replace(item, removed_at=act.now) for item in found]


def authenticate_reader(node: Node, *, secret: str | None) -> LogReader:
    """The permission that `secret` belongs to.

    Raises:
        AuthenticationError: none that is good; the reason is never told to who asks.
    """
    if secret is None or len(secret) > _MAX_SECRET_CHARACTERS:
        raise AuthenticationError("no permission to read the log was shown")
    now, secret_hash = node.clock(), _hash(secret)
    with node.store.read() as transaction:
        reader = readers.find_reader(transaction, secret_hash)
    if reader is None or not reader.is_good(now):
        raise AuthenticationError("the permission to read the log is not known, has run out, or was removed")
    _note_use(node, reader, day=now // _DAY)
    return reader


def find_part(node: Node, path: str, *, party: PartyId | None = None) -> tuple[int, str]:
    """The number of the log that `path` leads into, and the rest of it: `path` is that below this party's own.

    With `party` only a log of what that party was given.

    Raises:
        NotFoundError: there is none that may be read.
    """
    token, _, rest = path.partition("/")
    if _TOKEN.fullmatch(token) is None:
        if party is None:
            return log.HOUSE, path
        raise NotFoundError("no such log")
    with node.store.read() as transaction:
        found = logs.find_log(transaction, token)
    if found is None or (party is not None and found.recipient != party):
        raise NotFoundError("no such log")
    return found.number, rest


def read_part(node: Node, path: str, number: int = log.HOUSE) -> bytes:
    """What lies at `path` in the log with that number: at most 8 KiB of hashes or 256 entries.

    Everything in it is committed, and under the last signed checkpoint. That carries the lines of the witnesses who
    have cosigned it by then (C2SP tlog-cosignature); the lines after this party's own come and are renewed. A partial
    tile or bundle of any width that the log has grown past is given too: it is a beginning of what is there.

    Raises:
        NotFoundError: the log has no such part.
        CorruptionError: the store has lost some of it.
    """
    if path == CHECKPOINT:
        return node.vouch(_read_cosigned(node, number))
    if number == log.HOUSE and (named := _NAMES.fullmatch(path)) is not None:
        return _read_names(node, int(named[1]))
    match parse_part(path):
        case TilePart(level=level, index=index, width=width):
            return _read_tile(node, number, level, index, width=width)
        case EntryBundle(index=index, width=width):
            return _read_bundle(node, number, index, width=width)
        case None:
            raise NotFoundError("no such part of a log")


def _read_cosigned(node: Node, number: int) -> bytes:
    """The last checkpoint, cosigned or not: a reader must see what was put on record, whichever witness is away."""
    with node.store.read() as transaction:
        cosigned = find_cosigned(transaction, number, at_least=log.read_size(transaction, number))
    if cosigned is not None:
        return cosigned
    return read_checkpoint(node) if number == log.HOUSE else _read_head(node, number)


def _read_head(node: Node, number: int) -> bytes:
    with node.store.read() as transaction:
        head = log.read_head(transaction, number)
    if head is None:
        raise NotFoundError("the log has no entries")
    return head


def _read_tile(node: Node, number: int, level: int, index: int, *, width: int) -> bytes:
    with node.store.read() as transaction:
        hashes = log.read_tile(transaction, level, index, number)[: width * _HASH_BYTES]
    if len(hashes) < width * _HASH_BYTES:
        raise NotFoundError("the log has no such tile")
    return hashes


def _read_bundle(node: Node, number: int, index: int, *, width: int) -> bytes:
    start = index * TILE_WIDTH
    with node.store.read() as transaction:
        if start + width > log.read_size(transaction, number):
            raise NotFoundError("the log has no such entries")
        entries = log.read_leaves(transaction, number, start, start + width)
    if len(entries) < width:
        raise CorruptionError(f"the log has lost entries from {start} to {start + width - 1}; restore a backup")
    return format_bundle(entries)


def _read_names(node: Node, index: int) -> bytes:
    """What opens the entries of one bundle of the house's log that name other logs, a line of JSON for each.

    By it a reader knows which logs there are, and can hold their heads against those that are named: salt and content
    open the commitments in the leaves.
    """
    start = index * TILE_WIDTH
    with node.store.read() as transaction:
        if start >= log.read_size(transaction):
            raise NotFoundError("the log has no such entries")
        found = logs.read_namings(transaction, start, start + TILE_WIDTH)
    return b"".join(
        canonical_bytes({"index": place, "salt": salt.hex(), "content": content.decode("utf-8")}) + b"\n"
        for place, salt, content in found
    )


def _note_use(node: Node, reader: LogReader, *, day: int) -> None:
    if reader.used_day == day:
        return
    # A disk without room keeps nobody from reading.
    with suppress(UnavailableError), node.store.write() as transaction:
        readers.use_reader(transaction, reader.id, day=day)


def _record(act: Act, change: ReaderChange, reader: LogReader) -> None:
    content = format_reader_content(change, reader=reader.name, permission=reader.id, expires_at=reader.expires_at)
    act.record(EntryType.CREDENTIAL, content, terms=None, recipient=None, count=1)


def _hash(secret: str) -> Digest:
    return Digest(hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest())
