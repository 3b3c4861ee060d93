# SPDX-License-Identifier: Apache-2.0
"""Shell: the tables of the logs. Entries, tiles and heads are written in the transaction of the act itself.

The hashes of the last leaves, which fill no tile yet, are nowhere but in these leaves: a tile that grew with each entry
would have to be written anew with it.

There is the log of the house, HOUSE, and one for each relationship: an agreement and one recipient. An entry has two
numbers. Its `position` counts the entries of all logs in the order of their commits, and nobody outside sees it; its
`place` counts those of its log, and is what proofs speak of.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from comity.canonical import sha256_digest
from comity.ids import AgreementId, Digest, PartyId
from comity.store.transaction import Transaction
from comity.tlog.merkle import Tile, leaf_hash
from comity.tlog.tiles import TILE_WIDTH

__all__ = [
    "HOUSE",
    "Entry",
    "Grounds",
    "Opening",
    "Text",
    "add_entries",
    "add_head",
    "count_entries",
    "find_place",
    "find_positions",
    "read_end",
    "read_entries",
    "read_events",
    "read_grounds",
    "read_head",
    "read_head_at",
    "read_heads",
    "read_leaves",
    "read_logged",
    "read_openings",
    "read_places",
    "read_policy",
    "read_sequence",
    "read_size",
    "read_sizes",
    "read_tile",
    "write_sequences",
    "write_tiles",
]

HOUSE = 0
"""The number of the log of the house."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Opening:
    """What opens a leaf's commitment, with the listing that the content names; absent once purged."""

    salt: bytes
    content: bytes
    listing: bytes = b""


@dataclass(frozen=True, slots=True)
class Text:
    """What many entries may name by its digest: it is kept once for all of them."""

    data: bytes
    digest: Digest = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "digest", sha256_digest(self.data))


@dataclass(frozen=True, slots=True, kw_only=True)
class Grounds:
    """What a disclosure was decided by (`release.grounds`), and the policy that it names."""

    text: Text
    policy: Text

    @property
    def digest(self) -> Digest:
        """The digest of the grounds."""
        return self.text.digest


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A leaf with its opening, for a log; of a disclosure also the listing that its content names, and its grounds."""

    leaf: bytes
    opening: Opening
    log: int = HOUSE
    listing: Text | None = None
    grounds: Grounds | None = None


def read_size(transaction: Transaction, number: int = HOUSE) -> int:
    """The number of entries under the last head of one log."""
    row = transaction.row("SELECT MAX(size) FROM log_head WHERE log = ?", (number,))
    return int(row[0] or 0) if row else 0


def read_sizes(transaction: Transaction) -> dict[int, int]:
    """The number of entries of each log that has any: the greatest size, by steps from log to log of its index."""
    rows = transaction.rows(
        "WITH each(number) AS (SELECT MIN(log) FROM log_head UNION ALL"
        " SELECT (SELECT MIN(log) FROM log_head WHERE log > number) FROM each WHERE number IS NOT NULL)"
        " SELECT number, (SELECT MAX(size) FROM log_head WHERE log = number) FROM each WHERE number IS NOT NULL"
    )
    return {int(number): int(size) for number, size in rows}


def count_entries(transaction: Transaction) -> int:
    """The number of entries of all logs together, which is the position of the next."""
    row = transaction.row("SELECT MAX(position) + 1 FROM log_entry")
    return int(row[0] or 0) if row else 0


def read_end(transaction: Transaction, number: int) -> tuple[int, bytes | None]:
    """The number of entries under the last head of one log, which is the place of its next, and that head."""
    row = transaction.row("SELECT size, checkpoint FROM log_head WHERE log = ? ORDER BY size DESC LIMIT 1", (number,))
    return (int(row[0]), bytes(row[1])) if row else (0, None)


def find_place(transaction: Transaction, position: int) -> tuple[int, int] | None:
    """The log of the entry at `position`, and its place in it."""
    row = transaction.row("SELECT log, place FROM log_entry WHERE position = ?", (position,))
    return None if row is None else (int(row[0]), int(row[1]))


def read_tile(transaction: Transaction, level: int, index: int, number: int = HOUSE) -> bytes:
    """The hashes of one tile of a log, 32 bytes each; empty when there is none."""
    row = transaction.row(
        "SELECT hashes FROM log_tile WHERE log = ? AND level = ? AND position = ?", (number, level, index)
    )
    if row is not None:
        return bytes(row[0])
    if level:
        return b""
    return b"".join(map(leaf_hash, read_leaves(transaction, number, index * TILE_WIDTH, (index + 1) * TILE_WIDTH)))


def add_entries(transaction: Transaction, first: int, entries: Sequence[Entry], places: Sequence[int]) -> None:
    """Append `entries` from position `first` on, each at its place in its log."""
    listings = {entry.listing.digest: entry.listing for entry in entries if entry.listing is not None}
    grounds = {entry.grounds.digest: entry.grounds for entry in entries if entry.grounds is not None}
    policies = {known.policy.digest: known.policy for known in grounds.values()}
    listed = {digest: _keep(transaction, "log_listing", listing) for digest, listing in listings.items()}
    grounded = {digest: _keep(transaction, "log_grounds", known.text) for digest, known in grounds.items()}
    for policy in policies.values():
        _keep(transaction, "log_policy", policy)
    transaction.run_many(
        "INSERT INTO log_entry (position, leaf, log, place) VALUES (?, ?, ?, ?)",
        [
            (position, entry.leaf, entry.log, place)
            for position, (entry, place) in enumerate(zip(entries, places, strict=True), start=first)
        ],
    )
    transaction.run_many(
        "INSERT INTO log_opening VALUES (?, ?, ?, ?, ?)",
        [
            (
                position,
                entry.opening.salt,
                entry.opening.content,
                None if entry.listing is None else listed[entry.listing.digest],
                None if entry.grounds is None else grounded[entry.grounds.digest],
            )
            for position, entry in enumerate(entries, start=first)
        ],
    )


def _keep(transaction: Transaction, table: str, text: Text) -> int:
    digest = bytes.fromhex(text.digest)
    row = transaction.row(f"SELECT id FROM {table} WHERE digest = ?", (digest,))
    if row is not None:
        return int(row[0])
    return transaction.insert(f"INSERT INTO {table} (digest, data) VALUES (?, ?)", (digest, text.data))


def write_tiles(transaction: Transaction, tiles: Sequence[Tile], number: int = HOUSE) -> None:
    """Write tiles of a log that are new or have grown, but for the one that the last leaves have not filled yet."""
    transaction.run_many(
        "INSERT INTO log_tile VALUES (?, ?, ?, ?)"
        " ON CONFLICT (log, level, position) DO UPDATE SET hashes = excluded.hashes",
        [(number, tile.level, tile.index, tile.hashes) for tile in tiles if tile.level or tile.is_full],
    )


def add_head(transaction: Transaction, size: int, checkpoint: bytes, number: int = HOUSE) -> None:
    """Keep the signed checkpoint of a log of `size` entries."""
    transaction.run("INSERT INTO log_head VALUES (?, ?, ?)", (number, size, checkpoint))


def read_head(transaction: Transaction, number: int = HOUSE) -> bytes | None:
    """The last signed checkpoint of a log, as it was signed; None for an empty one."""
    row = transaction.row("SELECT checkpoint FROM log_head WHERE log = ? ORDER BY size DESC LIMIT 1", (number,))
    return bytes(row[0]) if row else None


def read_head_at(transaction: Transaction, size: int, number: int = HOUSE) -> bytes | None:
    """The signed checkpoint over exactly `size` entries of a log, if one was signed."""
    row = transaction.row("SELECT checkpoint FROM log_head WHERE log = ? AND size = ?", (number, size))
    return bytes(row[0]) if row else None


def read_heads(transaction: Transaction, number: int = HOUSE) -> list[tuple[int, bytes]]:
    """Every signed checkpoint of a log with the size it is filed under, smallest first."""
    rows = transaction.rows("SELECT size, checkpoint FROM log_head WHERE log = ? ORDER BY 1", (number,))
    return [(size, bytes(note)) for size, note in rows]


def read_leaves(transaction: Transaction, number: int, start: int, stop: int) -> list[bytes]:
    """The leaves of one log at places start ≤ p < stop, in order."""
    rows = transaction.rows(
        "SELECT leaf FROM log_entry WHERE log = ? AND place >= ? AND place < ? ORDER BY place", (number, start, stop)
    )
    return [bytes(row[0]) for row in rows]


def read_entries(transaction: Transaction, start: int, stop: int) -> list[tuple[int, bytes]]:
    """The leaves at positions start ≤ p < stop, in order."""
    return [
        (position, bytes(leaf))
        for position, leaf in transaction.rows(
            "SELECT position, leaf FROM log_entry WHERE position >= ? AND position < ? ORDER BY position",
            (start, stop),
        )
    ]


def read_events(transaction: Transaction, agreement: AgreementId) -> list[tuple[int, bytes, Opening | None]]:
    """The entries that record an event of `agreement`: place, leaf, opening (None: it is missing); in order.

    An entry is one of it by a text of it in the leaf or by its name in the content: one that was altered, or lost its
    content, must not look as if it were about nothing.

    A leaf is canonical JSON, so that its type stands at its end, and an index has those of this type. Nothing is parsed
    here: bytes that were altered must not keep the others from being read.
    """
    return [
        (place, bytes(leaf), None if salt is None else Opening(salt=bytes(salt), content=bytes(content)))
        for place, leaf, salt, content in transaction.rows(
            # An event has no listing. It is in the log of the house.
            "SELECT place, leaf, salt, content FROM log_entry LEFT JOIN log_opening USING (position)"
            """ WHERE CAST(leaf AS TEXT) LIKE '%"type":"agreement-event"}'"""
            " AND (instr(CAST(content AS TEXT), ?1) > 0 OR EXISTS (SELECT 1 FROM terms WHERE terms.agreement = ?1"
            " AND instr(CAST(leaf AS TEXT), terms.hash) > 0)) ORDER BY position",
            (agreement,),
        )
    ]


def read_places(transaction: Transaction, start: int, stop: int) -> dict[int, tuple[int, int]]:
    """The log of each entry at positions start ≤ p < stop, and its place in it."""
    rows = transaction.rows(
        "SELECT position, log, place FROM log_entry WHERE position >= ? AND position < ?", (start, stop)
    )
    return {position: (number, place) for position, number, place in rows}


def find_positions(transaction: Transaction, commitment: str, *, limit: int) -> list[int]:
    """The positions of at most `limit` entries whose commitment begins with `commitment`."""
    rows = transaction.rows(
        "SELECT position FROM log_entry"
        " WHERE substr(json_extract(CAST(leaf AS TEXT), '$.commitment'), 1, length(?1)) = ?1"
        " ORDER BY position LIMIT ?2",
        (commitment, limit),
    )
    return [int(row[0]) for row in rows]


def read_openings(transaction: Transaction, start: int, stop: int) -> dict[int, Opening]:
    """The openings not purged at positions start ≤ p < stop."""
    rows = transaction.rows(
        "SELECT position, salt, content, listing FROM log_opening WHERE position >= ? AND position < ?", (start, stop)
    )
    listings = _read_listings(transaction, {row[3] for row in rows} - {None})
    return {
        position: _build_opening(bytes(salt), bytes(content), listings.get(listing, b""))
        for position, salt, content, listing in rows
    }


def _read_listings(transaction: Transaction, keys: Collection[int]) -> dict[int, bytes]:
    """Each listing once: many entries name the same one, and it can be some hundred kilobytes."""
    found = dict[int, bytes]()
    for key in keys:
        row = transaction.row("SELECT data FROM log_listing WHERE id = ?", (key,))
        found[key] = bytes(row[0]) if row else b""
    return found


def read_grounds(transaction: Transaction, start: int, stop: int) -> dict[int, bytes]:
    """What the disclosures at positions start ≤ p < stop were decided by, of those that have it on record."""
    rows = transaction.rows(
        "SELECT o.position, g.data FROM log_opening o JOIN log_grounds g ON g.id = o.grounds"
        " WHERE o.position >= ? AND o.position < ?",
        (start, stop),
    )
    return {position: bytes(data) for position, data in rows}


def read_policy(transaction: Transaction, digest: Digest) -> bytes | None:
    """The text of this party's policy with that digest, as it was when something was decided by it."""
    row = transaction.row("SELECT data FROM log_policy WHERE digest = ?", (bytes.fromhex(digest),))
    return bytes(row[0]) if row else None


def _build_opening(salt: bytes, content: bytes, listing: bytes) -> Opening:
    content, listing = _join_listing(content, listing)
    return Opening(salt=salt, content=content, listing=listing)


def _join_listing(content: bytes, listing: bytes) -> tuple[bytes, bytes]:
    """Content and listing; a content of the first format is kept without its end, which is its listing."""
    return (content + listing, b"") if content.endswith(b"[") else (content, listing)


def read_logged(
    transaction: Transaction, start: int, stop: int
) -> list[tuple[int, bytes, tuple[bytes, bytes, bytes] | None, int, int]]:
    """The entries of all logs at positions start ≤ p < stop, in order, for who reads all there are.

    Position, leaf; salt, content and listing if not purged; number of the log, and place in it.
    """
    rows = transaction.rows(
        "SELECT e.position, e.leaf, o.salt, o.content, o.listing, e.log, e.place FROM log_entry e"
        " LEFT JOIN log_opening o ON o.position = e.position"
        " WHERE e.position >= ? AND e.position < ? ORDER BY e.position",
        (start, stop),
    )
    listings = _read_listings(transaction, {row[4] for row in rows} - {None})
    return [
        (
            position,
            leaf,
            None if salt is None else (salt, *_join_listing(content, listings.get(listing, b""))),
            number,
            place,
        )
        for position, leaf, salt, content, listing, number, place in rows
    ]


def read_sequence(transaction: Transaction, party: PartyId) -> int:
    """The number of this party's last disclosure; 0 when it was given nothing."""
    row = transaction.row("SELECT last FROM recipient_sequence WHERE party = ?", (party,))
    return int(row[0]) if row else 0


def write_sequences(transaction: Transaction, last: Mapping[PartyId, int]) -> None:
    """Keep the number of each party's last disclosure, in the transaction of that disclosure: no gap can arise."""
    transaction.run_many(
        "INSERT INTO recipient_sequence VALUES (?, ?) ON CONFLICT (party) DO UPDATE SET last = excluded.last",
        list(last.items()),
    )
