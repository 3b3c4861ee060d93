# SPDX-License-Identifier: Apache-2.0
"""Shell: TAXII 2.1 servers that are no nodes, feeds of MISP, and the records under which what they give is taken in."""

from collections.abc import Mapping
from dataclasses import dataclass

from comity.ids import Digest, Instant, PartyId
from comity.store.transaction import Row, Transaction

__all__ = [
    "MISP",
    "TAXII",
    "StoredSource",
    "WithheldThere",
    "add_withheld",
    "delete_source",
    "is_originator",
    "list_record_hashes",
    "list_records",
    "list_sources",
    "list_withheld",
    "put_event",
    "put_source",
    "read_events",
    "read_source",
    "set_position",
]

TAXII = "taxii"
MISP = "misp"
"""The kinds of sources."""

_COLUMNS = (
    "s.name, s.url, s.collection, s.record, r.document, s.scheme, s.credential, s.position, s.advanced_at, s.kind"
    " FROM source s JOIN source_record r ON r.hash = s.record"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredSource:
    """A source: its API root and collection, or the folder of a feed of MISP; its record, and how far this node is.

    `scheme` is how the credential in the file `credential` is shown; both None: none is. `position` is the `date_added`
    up to which everything was taken in, `advanced_at` when it got there.
    """

    name: str
    url: str
    collection: str
    record: Digest
    document: bytes
    scheme: str | None
    credential: str | None
    position: Instant | None = None
    advanced_at: Instant | None = None
    kind: str = TAXII


@dataclass(frozen=True, slots=True, kw_only=True)
class WithheldThere:
    """What a source gave that was not kept, by the reason; `last_id` is the last one, and why where it is "bad"."""

    reason: str
    count: int
    last_id: str
    last_at: Instant


def put_source(transaction: Transaction, source: StoredSource, *, now: Instant) -> None:
    """Follow the source from here on, under its record; it goes on where it was, if it is the same collection."""
    transaction.run(
        "INSERT INTO source_record VALUES (?, ?, ?, ?) ON CONFLICT (hash) DO NOTHING",
        (source.record, source.name, source.document, now),
    )
    before = read_source(transaction, source.name)
    same = before is not None and (before.url, before.collection) == (source.url, source.collection)
    position, advanced_at = (before.position, before.advanced_at) if before is not None and same else (None, None)
    if not same:
        _forget_events(transaction, source.name)
    transaction.run(
        "INSERT OR REPLACE INTO source (name, url, collection, record, scheme, credential, position, advanced_at, kind)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            source.name,
            source.url,
            source.collection,
            source.record,
            source.scheme,
            source.credential,
            position,
            advanced_at,
            source.kind,
        ),
    )


def delete_source(transaction: Transaction, name: str) -> None:
    """Follow it no more. Its record stays: objects were taken in under it."""
    transaction.run("DELETE FROM source WHERE name = ?", (name,))
    _forget_events(transaction, name)


def _forget_events(transaction: Transaction, name: str) -> None:
    transaction.run("DELETE FROM source_event WHERE source = ?", (name,))


def read_events(transaction: Transaction, name: str) -> dict[str, int]:
    """The events of a feed that were taken in, by UUID: the time of each, in seconds since 1970."""
    return dict(transaction.rows("SELECT uuid, at FROM source_event WHERE source = ?", (name,)))


def put_event(transaction: Transaction, name: str, uuid: str, at: int) -> None:
    """The event, as of that time, was taken in, in the transaction that takes it in."""
    transaction.run("INSERT OR REPLACE INTO source_event VALUES (?, ?, ?)", (name, uuid, at))


def read_source(transaction: Transaction, name: str) -> StoredSource | None:
    """The source of that name, if it is followed."""
    row = transaction.row(f"SELECT {_COLUMNS} WHERE s.name = ?", (name,))
    return None if row is None else _build(row)


def list_sources(transaction: Transaction) -> list[StoredSource]:
    """All of them, by name."""
    return [_build(row) for row in transaction.rows(f"SELECT {_COLUMNS} ORDER BY s.name")]


def list_records(transaction: Transaction) -> list[bytes]:
    """Every record there ever was, as it was recorded."""
    return [row[0] for row in transaction.rows("SELECT document FROM source_record ORDER BY hash")]


def list_record_hashes(transaction: Transaction) -> list[str]:
    """The hash under which each of them is kept."""
    return [str(row[0]) for row in transaction.rows("SELECT hash FROM source_record ORDER BY hash")]


def set_position(transaction: Transaction, name: str, position: Instant, *, now: Instant) -> None:
    """Everything up to and with `position` was taken in, in the transaction that takes it in. It never goes back."""
    transaction.run(
        "UPDATE source SET position = ?, advanced_at = ? WHERE name = ? AND (position IS NULL OR position < ?)",
        (position, now, name, position),
    )


def add_withheld(transaction: Transaction, name: str, withheld: Mapping[str, tuple[int, str]], *, now: Instant) -> None:
    """Count what was not let in, by reason: how many, and the id of the last."""
    transaction.run_many(
        "INSERT INTO source_withheld VALUES (?, ?, ?, ?, ?) ON CONFLICT (source, reason) DO UPDATE SET"
        " count = count + excluded.count, last_id = excluded.last_id, last_at = excluded.last_at",
        [(name, reason, count, last, now) for reason, (count, last) in withheld.items()],
    )


def list_withheld(transaction: Transaction, name: str) -> list[WithheldThere]:
    """What was not let in of one source, by reason."""
    rows = transaction.rows(
        "SELECT reason, count, last_id, last_at FROM source_withheld WHERE source = ? ORDER BY reason", (name,)
    )
    return [WithheldThere(reason=row[0], count=row[1], last_id=row[2], last_at=Instant(row[3])) for row in rows]


def is_originator(transaction: Transaction, party: PartyId) -> bool:
    """Whether a record, of whatever time, lets the party stand for a source."""
    row = transaction.row(
        "SELECT 1 FROM source_record WHERE json_extract(CAST(document AS TEXT), '$.originator') = ?", (party,)
    )
    return row is not None


def _build(row: Row) -> StoredSource:
    return StoredSource(
        name=row[0],
        url=row[1],
        collection=row[2],
        record=Digest(row[3]),
        document=row[4],
        scheme=row[5],
        credential=row[6],
        position=None if row[7] is None else Instant(row[7]),
        advanced_at=None if row[8] is None else Instant(row[8]),
        kind=row[9],
    )
