# SPDX-License-Identifier: Apache-2.0
"""Shell: what an audit reads of the store that nothing else does: as it lies there, past every digest beside it."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass

from comity.ids import Digest, Instant, ObjectId, PartyId
from comity.store.names import NAMED, list_keys
from comity.store.transaction import Transaction

__all__ = [
    "HeldVersion",
    "StoredCosignature",
    "iterate_cosignatures",
    "iterate_entries_of",
    "read_held_versions",
    "read_label_body",
    "read_receipts_of",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldVersion:
    """One version that is held: its bytes, the digest they are kept under, and that of its label.

    `first_seq` and `added_at` are at which place and when it came in.
    """

    pk: int
    id: ObjectId
    version: str
    digest: Digest
    data: bytes
    first_seq: int
    added_at: Instant
    label: Digest


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredCosignature:
    """What a witness is kept to have said of the head over `size` entries of the log with that number."""

    log: int
    size: int
    witness: str
    timestamp: int
    line: bytes


def iterate_entries_of(transaction: Transaction, kind: str) -> Iterator[tuple[int, bytes, bytes | None]]:
    """Position, leaf and content (None: purged) of every entry of one type, in order.

    A leaf is canonical JSON, so that its type stands at its end.
    """
    rows = transaction.iterate(
        "SELECT e.position, e.leaf, o.content FROM log_entry AS e LEFT JOIN log_opening AS o ON o.position = e.position"
        " WHERE instr(e.leaf, CAST(? AS BLOB)) > 0 ORDER BY e.position",
        (f'"type":"{kind}"}}',),
    )
    return ((int(row[0]), bytes(row[1]), None if row[2] is None else bytes(row[2])) for row in rows)


def read_held_versions(transaction: Transaction, ids: Collection[ObjectId]) -> list[HeldVersion]:
    """Every version held of `ids`, with its bytes."""
    keys, asked = list_keys(ids), set(ids)
    rows = transaction.rows(
        "SELECT o.pk, o.id, o.version, o.digest, b.data, o.first_seq, o.added_at, label.digest FROM object o"
        f" JOIN label ON label.id = o.label JOIN body b ON b.object = o.pk WHERE o.pk IN {NAMED}",
        (keys, keys),
    )
    return [
        HeldVersion(
            pk=row[0],
            id=ObjectId(row[1]),
            version=row[2],
            digest=Digest(row[3]),
            data=bytes(row[4]),
            first_seq=row[5],
            added_at=Instant(row[6]),
            label=Digest(row[7]),
        )
        for row in rows
        if row[1] in asked
    ]


def read_label_body(transaction: Transaction, digest: Digest) -> bytes | None:
    """What lies there as the label with that digest."""
    row = transaction.row("SELECT body FROM label WHERE digest = ?", (digest,))
    return bytes(row[0]) if row else None


def iterate_cosignatures(transaction: Transaction) -> Iterator[StoredCosignature]:
    """Every cosignature that is kept of this party's logs, by log and size."""
    rows = transaction.iterate(
        "SELECT log, size, witness, timestamp, line FROM cosignature ORDER BY log, size, witness"
    )
    return (
        StoredCosignature(log=log, size=size, witness=str(witness), timestamp=timestamp, line=bytes(line))
        for log, size, witness, timestamp, line in rows
    )


def read_receipts_of(transaction: Transaction, giver: PartyId, sequence: int) -> list[bytes]:
    """What is kept of the receipts of that number, those that are evidence alone among them."""
    rows = transaction.rows(
        "SELECT data FROM receipt WHERE giver = ?1 AND sequence = ?2 UNION ALL"
        " SELECT data FROM receipt_set_aside WHERE giver = ?1 AND sequence = ?2",
        (giver, sequence),
    )
    return [bytes(row[0]) for row in rows]
