# SPDX-License-Identifier: Apache-2.0
"""Shell: what an audit reads of the store that nothing else does: as it lies there, past every digest beside it."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass

from comity.ids import Digest, Instant, ObjectId, PartyId
from comity.store.names import FIND_ONE, NAMED, list_keys
from comity.store.transaction import Transaction

__all__ = [
    "HeldVersion",
    "SaidWord",
    "StoredCosignature",
    "is_said_by_version",
    "iterate_cosignatures",
    "iterate_decisions",
    "iterate_entries_of",
    "iterate_receipts",
    "iterate_said",
    "iterate_shown",
    "list_own",
    "list_unshown",
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


@dataclass(frozen=True, slots=True, kw_only=True)
class SaidWord:
    """A word that is or was said of an object here, by a person (as kept beside it) or a set of rules (its digest)."""

    object: str
    field: str
    word: str
    rules: str | None
    person: str | None
    reason: str | None
    said_at: Instant
    ended_at: Instant | None


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


def iterate_decisions(transaction: Transaction) -> Iterator[tuple[ObjectId, str, Digest, Instant]]:
    """Id, version, digest and time of every decision to keep what came from elsewhere."""
    rows = transaction.iterate(
        "SELECT DISTINCT o.id, o.version, o.digest, a.decided_at FROM arrival AS a JOIN object AS o ON o.pk = a.object"
        " WHERE a.decided_at <> a.received_at"
    )
    return ((ObjectId(name), str(version), Digest(digest), Instant(at)) for name, version, digest, at in rows)


def iterate_receipts(transaction: Transaction) -> Iterator[tuple[PartyId, int]]:
    """Giver and number of every receipt that is a measure of what follows it, in this order."""
    rows = transaction.iterate("SELECT giver, sequence FROM receipt ORDER BY giver, sequence")
    return ((PartyId(giver), int(sequence)) for giver, sequence in rows)


def list_unshown(transaction: Transaction, *, limit: int) -> list[tuple[ObjectId, PartyId, int]]:
    """At most `limit` objects that came by a disclosure of which no receipt is kept: id, giver and its number."""
    rows = transaction.rows(
        "SELECT o.id, a.giver, a.receipt FROM arrival AS a JOIN object AS o ON o.pk = a.object"
        " WHERE a.receipt IS NOT NULL"
        " AND NOT EXISTS (SELECT 1 FROM receipt AS r WHERE r.giver = a.giver AND r.sequence = a.receipt)"
        " AND NOT EXISTS (SELECT 1 FROM receipt_set_aside AS r WHERE r.giver = a.giver AND r.sequence = a.receipt)"
        " ORDER BY 2, 3, 1 LIMIT ?",
        (limit,),
    )
    return [(ObjectId(name), PartyId(giver), int(number)) for name, giver, number in rows]


def iterate_shown(transaction: Transaction) -> Iterator[tuple[PartyId, int, Instant, bytes]]:
    """Giver, number, time of receipt and bytes of every receipt whose page came as well."""
    rows = transaction.iterate(
        "SELECT giver, sequence, received_at, data FROM receipt WHERE arrived = 1 ORDER BY giver, sequence"
    )
    return ((PartyId(giver), int(number), Instant(at), bytes(data)) for giver, number, at, data in rows)


def list_own(transaction: Transaction, ids: Collection[ObjectId]) -> list[tuple[ObjectId, Digest, Instant]]:
    """Id, digest and time of every version held of `ids` of which no row says that it ever came from elsewhere."""
    keys, asked = list_keys(ids), set(ids)
    rows = transaction.rows(
        f"SELECT o.id, o.digest, o.added_at FROM object AS o WHERE o.pk IN {NAMED}"
        " AND NOT EXISTS (SELECT 1 FROM arrival AS a WHERE a.object = o.pk)"
        " AND NOT EXISTS (SELECT 1 FROM came_back AS c WHERE c.object = o.pk)",
        (keys, keys),
    )
    return [(ObjectId(name), Digest(digest), Instant(at)) for name, digest, at in rows if name in asked]


def is_said_by_version(transaction: Transaction, word: SaidWord) -> bool:
    """Whether some version of the object says the word without this party's words, or one is deleted that may have."""
    found = transaction.row(
        "SELECT 1 FROM object o JOIN said s ON s.object = o.pk, json_each(s.tags, '$.' || ?2) w"
        f" WHERE o.pk IN {FIND_ONE.format('?1')} AND o.id = ?1 AND w.value = ?3"
        " UNION ALL SELECT 1 FROM tombstone WHERE id = ?1 LIMIT 1",
        (word.object, word.field, word.word),
    )
    return found is not None


def iterate_said(transaction: Transaction) -> Iterator[SaidWord]:
    """Every word that is or was said of an object that is held, by object."""
    rows = transaction.iterate(
        "SELECT object, field, word, rules, person, reason, said_at, ended_at FROM tag ORDER BY object, id"
    )
    return (
        SaidWord(
            object=str(name),
            field=str(field),
            word=str(word),
            rules=None if rules is None else str(rules),
            person=None if person is None else str(person),
            reason=None if reason is None else str(reason),
            said_at=Instant(said_at),
            ended_at=None if ended_at is None else Instant(ended_at),
        )
        for name, field, word, rules, person, reason, said_at, ended_at in rows
    )
