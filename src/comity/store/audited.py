# SPDX-License-Identifier: Apache-2.0
"""Shell: what an audit reads of the store that nothing else does: as it lies there, past every digest beside it."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass

from comity.ids import Digest, Instant, ObjectId, PartyId
from comity.store.names import FIND_ONE, NAMED, list_keys
from comity.store.transaction import Transaction

__all__ = [
    "CameBy",
    "HeldVersion",
    "KeptHead",
    "SaidWord",
    "ShownReceipt",
    "StoredCosignature",
    "has_set_aside",
    "is_said_by_version",
    "iterate_assessments",
    "iterate_came_by",
    "iterate_cosignatures",
    "iterate_decisions",
    "iterate_emptied",
    "iterate_entries_of",
    "iterate_filed_manifests",
    "iterate_heads",
    "iterate_receipts",
    "iterate_said",
    "iterate_set_aside",
    "iterate_shown",
    "list_behind",
    "list_own",
    "list_received_after",
    "list_unnumbered",
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
    ended_by: str | None
    ended_why: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownReceipt:
    """The receipt of a disclosure of `giver`, as it is filed; `arrived`: its page came as well."""

    giver: PartyId
    number: int
    terms: Digest
    at: Instant
    received_at: Instant
    arrived: bool
    data: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class CameBy:
    """A version that came at `at` under these terms by the disclosure of `giver` with this number."""

    giver: PartyId
    number: int
    id: ObjectId
    version: str
    digest: Digest
    terms: Digest
    at: Instant


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptHead:
    """A head of a log of others as it is filed, and how it came: it was `cosigned` here, or `seen`."""

    how: str
    origin: str
    size: int
    root: bytes | None
    checkpoint: bytes


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


def iterate_shown(transaction: Transaction) -> Iterator[ShownReceipt]:
    """Every receipt that is a measure of what follows it, by giver and number."""
    rows = transaction.iterate(
        "SELECT giver, sequence, terms, at, received_at, arrived, data FROM receipt ORDER BY giver, sequence"
    )
    return (
        ShownReceipt(
            giver=PartyId(giver),
            number=int(number),
            terms=Digest(terms),
            at=Instant(at),
            received_at=Instant(received_at),
            arrived=arrived == 1,
            data=bytes(data),
        )
        for giver, number, terms, at, received_at, arrived, data in rows
    )


def iterate_set_aside(transaction: Transaction) -> Iterator[tuple[PartyId, int, bytes]]:
    """Giver, number and bytes of every receipt that is kept as evidence alone."""
    rows = transaction.iterate("SELECT giver, sequence, data FROM receipt_set_aside ORDER BY giver, origin, sequence")
    return ((PartyId(giver), int(number), bytes(data)) for giver, number, data in rows)


def has_set_aside(transaction: Transaction, giver: PartyId, number: int) -> bool:
    """Whether a receipt of that number is kept as evidence alone."""
    found = "SELECT 1 FROM receipt_set_aside WHERE giver = ? AND sequence = ? LIMIT 1"
    return transaction.row(found, (giver, number)) is not None


def iterate_filed_manifests(transaction: Transaction) -> Iterator[tuple[Digest, int, Instant]]:
    """Digest, version and end of every manifest, as it is filed."""
    rows = transaction.iterate(
        "SELECT digest, version, expires_at FROM manifest UNION ALL"
        " SELECT digest, version, expires_at FROM manifest_before ORDER BY digest"
    )
    return ((Digest(digest), int(version), Instant(at)) for digest, version, at in rows)


def iterate_heads(transaction: Transaction) -> Iterator[KeptHead]:
    """Every head of a log of others that is kept as a measure or as evidence, by how it came, origin and size."""
    rows = transaction.iterate(
        "SELECT 'cosigned', origin, size, NULL, checkpoint FROM witnessed_head"
        " UNION ALL SELECT 'cosigned', origin, size, NULL, checkpoint FROM witnessed_earlier"
        " UNION ALL SELECT 'seen', origin, size, root, checkpoint FROM seen_checkpoint"
        " UNION ALL SELECT 'seen', origin, size, NULL, checkpoint FROM lost_head ORDER BY 1, 2, 3"
    )
    return (
        KeptHead(
            how=str(how),
            origin=str(origin),
            size=int(size),
            root=None if root is None else bytes(root),
            checkpoint=bytes(checkpoint),
        )
        for how, origin, size, root, checkpoint in rows
    )


def list_behind(transaction: Transaction) -> list[tuple[str, int, int]]:
    """Logs of others that have not ended, with the greatest tree of a receipt and the smaller head kept as seen."""
    rows = transaction.rows(
        "SELECT r.origin, MAX(r.tree) AS shown, COALESCE(s.size, 0) AS seen FROM receipt AS r"
        " LEFT JOIN seen_checkpoint AS s ON s.party = r.giver AND s.origin = r.origin WHERE NOT EXISTS"
        " (SELECT 1 FROM ended_log AS e WHERE e.party = r.giver AND e.origin = r.origin)"
        " GROUP BY r.giver, r.origin HAVING seen < shown ORDER BY 1"
    )
    return [(str(origin), int(shown), int(seen)) for origin, shown, seen in rows]


def iterate_assessments(transaction: Transaction) -> Iterator[tuple[ObjectId, str, bytes, Instant | None]]:
    """Id, version and bytes of every note that is held, and until when it is kept as good; None where it is as none."""
    rows = transaction.iterate(
        "SELECT o.id, o.version, b.data, a.expires_at FROM object AS o JOIN body AS b ON b.object = o.pk"
        " LEFT JOIN assessment AS a ON a.object = o.pk WHERE o.type = 'note' OR a.object IS NOT NULL ORDER BY o.pk"
    )
    return (
        (ObjectId(name), str(version), bytes(data), None if at is None else Instant(at))
        for name, version, data, at in rows
    )


def iterate_came_by(transaction: Transaction) -> Iterator[CameBy]:
    """Every version that is held and came by a disclosure, by giver and its number."""
    rows = transaction.iterate(
        "SELECT a.giver, a.receipt, o.id, o.version, o.digest, a.terms, a.received_at FROM arrival AS a"
        " JOIN object AS o ON o.pk = a.object WHERE a.receipt IS NOT NULL ORDER BY a.giver, a.receipt"
    )
    return (
        CameBy(
            giver=PartyId(giver),
            number=int(number),
            id=ObjectId(name),
            version=str(version),
            digest=Digest(digest),
            terms=Digest(terms),
            at=Instant(at),
        )
        for giver, number, name, version, digest, terms, at in rows
    )


def iterate_emptied(transaction: Transaction) -> Iterator[tuple[PartyId, int]]:
    """Giver and number of every receipt that a purge has left but the place of (`release.receipt.format_place`)."""
    rows = transaction.iterate(
        "SELECT giver, sequence FROM receipt WHERE instr(data, CAST('\"comity-receipt-place/1\"' AS BLOB)) = 11"
        " ORDER BY giver, sequence"
    )
    return ((PartyId(giver), int(number)) for giver, number in rows)


def list_received_after(
    transaction: Transaction, giver: PartyId, origin: str, first: int, last: int, *, at: Instant
) -> list[int]:
    """The disclosures of `giver` from `first` to `last` in its log `origin` that are kept as received after `at`.

    Three at most.
    """
    rows = transaction.rows(
        "SELECT sequence FROM receipt WHERE giver = ? AND sequence BETWEEN ? AND ? AND received_at > ? AND origin = ?"
        " ORDER BY 1 LIMIT 3",
        (giver, first, last, at, origin),
    )
    return [int(number) for (number,) in rows]


def list_unnumbered(
    transaction: Transaction, ids: Collection[ObjectId], giver: PartyId, terms: Digest
) -> list[tuple[ObjectId, Digest, Instant]]:
    """Id, digest and time of every version held of `ids` that `giver` gave under these terms by no disclosure."""
    keys, asked = list_keys(ids), set(ids)
    rows = transaction.rows(
        "SELECT o.id, o.digest, a.received_at FROM object AS o JOIN arrival AS a ON a.object = o.pk"
        f" WHERE o.pk IN {NAMED} AND a.giver = ? AND a.terms = ? AND a.receipt IS NULL",
        (keys, keys, giver, terms),
    )
    return [(ObjectId(name), Digest(digest), Instant(at)) for name, digest, at in rows if name in asked]


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
        "SELECT object, field, word, rules, person, reason, said_at, ended_at, ended_by, ended_why FROM tag"
        " ORDER BY object, id"
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
            ended_by=None if ended_by is None else str(ended_by),
            ended_why=None if ended_why is None else str(ended_why),
        )
        for name, field, word, rules, person, reason, said_at, ended_at, ended_by, ended_why in rows
    )
