# SPDX-License-Identifier: Apache-2.0
"""Shell: where a disclosure is in this party's log; and the receipts, checkpoints and refused pages of partners."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from comity.ids import AgreementId, Digest, Instant, PartyId
from comity.release.delivery import Seen
from comity.store.transaction import Transaction

__all__ = [
    "KeptReceipt",
    "RefusedPage",
    "add_receipts",
    "add_refused",
    "count_unreceived",
    "end_logs",
    "find_disclosure",
    "forget_logs",
    "list_refused",
    "read_bound",
    "read_ended",
    "read_last_receipt",
    "read_receipt",
    "read_seen",
    "set_aside",
    "write_seen",
]

_SPAN = 1_024
"""Entries between two marks of a party (migration 0013)."""

_MOST_REFUSED = 4
"""Pages kept for each giver and part to blame: no evidence pushes out another, and none fills the disk."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptReceipt:
    """A receipt of a partner as it was verified, without its terms; `arrived` says whether its page came as well."""

    giver: PartyId
    sequence: int
    terms: Digest
    at: Instant
    received_at: Instant
    arrived: bool
    data: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class RefusedPage:
    """What a partner sent and was not taken in: which part did not match, and the bytes."""

    at: Instant
    giver: PartyId
    terms: Digest
    channel: str
    part: str
    reason: str
    page: bytes
    receipt: bytes
    proof: bytes


def find_disclosure(transaction: Transaction, party: PartyId, sequence: int) -> int | None:
    """The position in the log of the disclosure to `party` of that number; None when there is none.

    Looks at some two thousand entries at most, however long the log is.
    """
    after = transaction.row(
        "SELECT sequence, position FROM disclosure_mark WHERE party = ? AND sequence >= ? ORDER BY sequence LIMIT 1",
        (party, sequence),
    )
    before = transaction.row(
        "SELECT position FROM disclosure_mark WHERE party = ? AND sequence < ? ORDER BY sequence DESC LIMIT 1",
        (party, sequence),
    )
    # A leaf is canonical, so that these members stand side by side.
    said = f'"recipient":"{party}","sequence":{sequence},"terms"'.encode()
    spans = list[tuple[int, int]]()
    if after is not None:
        spans.append((after[1] - _SPAN, after[1] + 1))
    if before is not None:
        spans.append((before[0], before[0] + _SPAN))
    for start, stop in spans:
        row = transaction.row(
            "SELECT position FROM log_entry WHERE position >= ? AND position < ? AND instr(leaf, ?) > 0 LIMIT 1",
            (start, stop, said),
        )
        if row is not None:
            return int(row[0])
    return None


def read_last_receipt(transaction: Transaction, giver: PartyId) -> int | None:
    """The number of the last disclosure of `giver` that a receipt was kept of; None before the first."""
    row = transaction.row("SELECT MAX(sequence) FROM receipt WHERE giver = ?", (giver,))
    return None if row is None or row[0] is None else int(row[0])


def count_unreceived(transaction: Transaction, giver: PartyId) -> int:
    """How many disclosures of `giver` are known by their receipts alone."""
    row = transaction.row("SELECT COUNT(*) FROM receipt WHERE giver = ? AND arrived = 0", (giver,))
    return 0 if row is None else int(row[0])


def read_receipt(transaction: Transaction, giver: PartyId, sequence: int) -> KeptReceipt | None:
    """The receipt that `giver` gave for its disclosure of that number."""
    row = transaction.row(
        "SELECT terms, at, received_at, arrived, data FROM receipt WHERE giver = ? AND sequence = ?", (giver, sequence)
    )
    if row is None:
        return None
    terms, at, received_at, arrived, data = row
    return KeptReceipt(
        giver=giver,
        sequence=sequence,
        terms=Digest(terms),
        at=Instant(at),
        received_at=Instant(received_at),
        arrived=bool(arrived),
        data=bytes(data),
    )


def add_receipts(transaction: Transaction, receipts: Iterable[KeptReceipt]) -> None:
    """Keep receipts that were verified, each of a number that none is kept of yet."""
    transaction.run_many(
        "INSERT INTO receipt VALUES (?, ?, ?, ?, ?, ?, ?)",
        [
            (item.giver, item.sequence, item.terms, item.at, item.received_at, int(item.arrived), item.data)
            for item in receipts
        ],
    )


def set_aside(transaction: Transaction, giver: PartyId, origin: str, *, first: int) -> int:
    """How many receipts of `giver` from the number `first` on are kept as evidence alone.

    `origin` is the house's log that it has lost the end of, with those of relationships beside it.
    """
    transaction.run(
        "INSERT INTO receipt_set_aside SELECT giver, ?1, sequence, terms, at, received_at, arrived, data FROM receipt"
        " WHERE giver = ?2 AND sequence >= ?3 ON CONFLICT DO NOTHING",
        (origin, giver, first),
    )
    return transaction.run("DELETE FROM receipt WHERE giver = ? AND sequence >= ?", (giver, first))


def end_logs(transaction: Transaction, party: PartyId, ended: Mapping[str, int]) -> None:
    """Remember with how many entries logs of `party` ended; what was seen of them is no measure of what is left."""
    transaction.run_many(
        "INSERT INTO ended_log VALUES (?, ?, ?) ON CONFLICT (party, origin) DO UPDATE SET size = excluded.size"
        " WHERE excluded.size < ended_log.size",
        [(party, origin, size) for origin, size in ended.items()],
    )
    transaction.run_many(
        "DELETE FROM seen_checkpoint WHERE party = ? AND origin = ?", [(party, origin) for origin in ended]
    )


def forget_logs(transaction: Transaction, party: PartyId) -> None:
    """Let what was seen of logs of `party`, and where they ended, be no measure of those that begin anew."""
    for table in ("seen_checkpoint", "ended_log"):
        transaction.run(f"DELETE FROM {table} WHERE party = ?", (party,))


def read_ended(transaction: Transaction, party: PartyId) -> dict[str, int]:
    """The logs of `party` that have ended, and with how many entries."""
    rows = transaction.rows("SELECT origin, size FROM ended_log WHERE party = ?", (party,))
    return {str(origin): int(size) for origin, size in rows}


def read_seen(transaction: Transaction, party: PartyId) -> dict[str, Seen]:
    """The largest checkpoint that was seen of each log of `party`, by its origin."""
    rows = transaction.rows("SELECT origin, size, root, checkpoint FROM seen_checkpoint WHERE party = ?", (party,))
    return {
        str(origin): Seen(size=int(size), root=bytes(root), checkpoint=bytes(checkpoint))
        for origin, size, root, checkpoint in rows
    }


def read_bound(transaction: Transaction, party: PartyId) -> dict[Digest, str]:
    """The log of `party` that disclosures under these terms are in, by what was seen, by the hash of the terms."""
    rows = transaction.rows(
        "SELECT terms.hash, seen_checkpoint.origin FROM seen_checkpoint JOIN terms USING (agreement)"
        " WHERE party = ? AND NOT EXISTS (SELECT 1 FROM ended_log AS e"
        " WHERE e.party = seen_checkpoint.party AND e.origin = seen_checkpoint.origin)",
        (party,),
    )
    return {Digest(terms): str(origin) for terms, origin in rows}


def write_seen(
    transaction: Transaction,
    party: PartyId,
    origin: str,
    seen: Seen,
    *,
    agreement: AgreementId | None,
    now: Instant,
) -> None:
    """Remember a checkpoint that was found consistent with the one before; a smaller one changes nothing.

    `agreement` is the one whose disclosures the log is for; None where it is for others too.
    """
    transaction.run(
        "INSERT INTO seen_checkpoint VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (party, origin) DO UPDATE SET"
        " agreement = COALESCE(seen_checkpoint.agreement, excluded.agreement), size = excluded.size,"
        " root = excluded.root, checkpoint = excluded.checkpoint, seen_at = excluded.seen_at"
        " WHERE excluded.size > seen_checkpoint.size",
        (party, origin, agreement, seen.size, seen.root, seen.checkpoint, now),
    )


def add_refused(transaction: Transaction, page: RefusedPage) -> bool:
    """Whether the evidence was kept: the first few of each giver and part are."""
    row = transaction.row("SELECT COUNT(*) FROM refused_page WHERE giver = ? AND part = ?", (page.giver, page.part))
    if row is not None and row[0] >= _MOST_REFUSED:
        return False
    transaction.run(
        "INSERT INTO refused_page (at, giver, terms, channel, part, reason, page, receipt, proof)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            page.at,
            page.giver,
            page.terms,
            page.channel,
            page.part,
            page.reason,
            page.page,
            page.receipt,
            page.proof,
        ),
    )
    return True


def list_refused(transaction: Transaction) -> list[RefusedPage]:
    """What is kept of refused pages, oldest first."""
    return [
        RefusedPage(
            at=Instant(at),
            giver=PartyId(giver),
            terms=Digest(terms),
            channel=channel,
            part=part,
            reason=reason,
            page=bytes(page),
            receipt=bytes(receipt),
            proof=bytes(proof),
        )
        for at, giver, terms, channel, part, reason, page, receipt, proof in transaction.rows(
            "SELECT at, giver, terms, channel, part, reason, page, receipt, proof FROM refused_page ORDER BY position"
        )
    ]
