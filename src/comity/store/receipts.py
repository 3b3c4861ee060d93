# SPDX-License-Identifier: Apache-2.0
"""Shell: where a disclosure is in this party's log; and the receipts, checkpoints and refused pages of partners.

What was seen of a partner's log is never taken back. Of one that ended with fewer entries than were seen, the greatest
head goes to `lost_head`, and what is left is held against the greatest one that a receipt has within them.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from comity.ids import AgreementId, Digest, Instant, PartyId
from comity.release.delivery import Seen
from comity.store.transaction import Transaction

__all__ = [
    "EndedLog",
    "KeptReceipt",
    "LatestReceipt",
    "LostHead",
    "RefusedPage",
    "SeenLogs",
    "add_receipts",
    "add_refused",
    "count_unreceived",
    "end_logs",
    "find_disclosure",
    "find_first_lost",
    "find_receipt_within",
    "forget_logs",
    "list_lost",
    "list_refused",
    "lose_head",
    "read_agreements",
    "read_bound",
    "read_ended",
    "read_ended_logs",
    "read_last_receipt",
    "read_latest",
    "read_past",
    "read_receipt",
    "read_seen",
    "set_aside",
    "sum_seen",
    "write_seen",
]

_SPAN = 1_024
"""Entries between two marks of a party (migration 0013)."""

_MOST_REFUSED = 4
"""Pages kept for each giver and part to blame: no evidence pushes out another, and none fills the disk."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptReceipt:
    """A receipt of a partner as it was verified, without its terms; `arrived` says whether its page came as well.

    Its leaf is at `place` in the log `origin`, as a tree of `tree` entries shows.
    """

    giver: PartyId
    sequence: int
    terms: Digest
    at: Instant
    received_at: Instant
    arrived: bool
    data: bytes
    origin: str
    place: int
    tree: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LatestReceipt:
    """The receipt for the last disclosure of a partner that one was kept of: of when it is, and when it came."""

    sequence: int
    at: Instant
    received_at: Instant


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenLogs:
    """How many logs of a partner were seen, each in one history, and when one of them was seen to have grown last."""

    logs: int
    seen_at: Instant


@dataclass(frozen=True, slots=True, kw_only=True)
class EndedLog:
    """A log of a partner that has ended with `size` entries: which agreement it is for, and what follows, if told."""

    size: int
    agreement: AgreementId | None
    next: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class LostHead:
    """A head of a partner's log over `size` entries, as it was signed; of them the partner says to have `held` left."""

    party: PartyId
    origin: str
    size: int
    checkpoint: bytes
    held: int
    noted_at: Instant


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


def read_latest(transaction: Transaction, giver: PartyId) -> LatestReceipt | None:
    """The receipt for the last disclosure of `giver` that one was kept of."""
    row = transaction.row(
        "SELECT sequence, at, received_at FROM receipt WHERE giver = ? ORDER BY sequence DESC LIMIT 1", (giver,)
    )
    return None if row is None else LatestReceipt(sequence=row[0], at=Instant(row[1]), received_at=Instant(row[2]))


def sum_seen(transaction: Transaction) -> dict[PartyId, SeenLogs]:
    """What was seen of the logs of each partner; a head that did not fit the one before is not among it."""
    rows = transaction.rows("SELECT party, COUNT(*), MAX(seen_at) FROM seen_checkpoint GROUP BY party")
    return {PartyId(party): SeenLogs(logs=count, seen_at=Instant(at)) for party, count, at in rows}


def count_unreceived(transaction: Transaction, giver: PartyId) -> int:
    """How many disclosures of `giver` are known by their receipts alone."""
    row = transaction.row("SELECT COUNT(*) FROM receipt WHERE giver = ? AND arrived = 0", (giver,))
    return 0 if row is None else int(row[0])


def read_receipt(transaction: Transaction, giver: PartyId, sequence: int) -> KeptReceipt | None:
    """The receipt that `giver` gave for its disclosure of that number."""
    row = transaction.row(
        "SELECT terms, at, received_at, arrived, data, origin, place, tree FROM receipt"
        " WHERE giver = ? AND sequence = ?",
        (giver, sequence),
    )
    if row is None:
        return None
    terms, at, received_at, arrived, data, origin, place, tree = row
    return KeptReceipt(
        giver=giver,
        sequence=sequence,
        terms=Digest(terms),
        at=Instant(at),
        received_at=Instant(received_at),
        arrived=bool(arrived),
        data=bytes(data),
        origin=origin,
        place=place,
        tree=tree,
    )


def add_receipts(transaction: Transaction, receipts: Iterable[KeptReceipt]) -> None:
    """Keep receipts that were verified, each of a number that none is kept of yet."""
    transaction.run_many(
        "INSERT INTO receipt (giver, sequence, terms, at, received_at, arrived, data, origin, place, tree)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        [
            (
                item.giver,
                item.sequence,
                item.terms,
                item.at,
                item.received_at,
                int(item.arrived),
                item.data,
                item.origin,
                item.place,
                item.tree,
            )
            for item in receipts
        ],
    )


def find_first_lost(transaction: Transaction, giver: PartyId) -> int:
    """The number of the first disclosure with a receipt whose leaf is beyond the end of a log of the giver that ended.

    Numbers rise with the entries of all logs together. Where none was lost it is the number that comes next. Looked at
    are the receipts that were lost and one more, by their places alone.
    """
    row = transaction.row(
        "SELECT sequence FROM receipt INDEXED BY receipt_by_log WHERE giver = ?1 AND NOT EXISTS"
        " (SELECT 1 FROM ended_log AS e WHERE e.party = ?1 AND e.origin = receipt.origin AND receipt.place >= e.size)"
        " ORDER BY sequence DESC LIMIT 1",
        (giver,),
    )
    if row is not None:
        return int(row[0]) + 1
    first = transaction.row("SELECT MIN(sequence) FROM receipt WHERE giver = ?", (giver,))
    return 1 if first is None or first[0] is None else int(first[0])


def find_receipt_within(transaction: Transaction, giver: PartyId, origin: str, size: int) -> bytes | None:
    """The receipt from the log `origin` with the greatest tree of at most `size` entries; None where there is none."""
    row = transaction.row(
        "SELECT data FROM receipt WHERE giver = ? AND origin = ? AND tree <= ? ORDER BY tree DESC LIMIT 1",
        (giver, origin, size),
    )
    return None if row is None else bytes(row[0])


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


def end_logs(transaction: Transaction, party: PartyId, ended: Mapping[str, EndedLog]) -> None:
    """Remember with how many entries logs of `party` ended, and which agreement's they were; the first size stands."""
    transaction.run_many(
        "INSERT INTO ended_log (party, origin, size, agreement, next) VALUES (?1, ?2, ?3,"
        " COALESCE((SELECT agreement FROM seen_checkpoint WHERE party = ?1 AND origin = ?2), ?4), ?5)"
        " ON CONFLICT (party, origin) DO UPDATE SET"
        " agreement = COALESCE(agreement, excluded.agreement), next = COALESCE(next, excluded.next)",
        [(party, origin, each.size, each.agreement, each.next) for origin, each in ended.items()],
    )


def lose_head(
    transaction: Transaction, party: PartyId, origin: str, *, held: int, left: Seen | None, now: Instant
) -> None:
    """Keep the greatest head that was seen of a log as evidence, of which the party has `held` entries left.

    What it shows from here on is held against `left`, the greatest one seen within them; None where there is none.
    """
    transaction.run(
        "INSERT INTO lost_head SELECT party, origin, size, checkpoint, ?, ? FROM seen_checkpoint"
        " WHERE party = ? AND origin = ? ON CONFLICT DO NOTHING",
        (held, now, party, origin),
    )
    if left is None:
        transaction.run("DELETE FROM seen_checkpoint WHERE party = ? AND origin = ?", (party, origin))
    else:
        transaction.run(
            "UPDATE seen_checkpoint SET size = ?, root = ?, checkpoint = ? WHERE party = ? AND origin = ?",
            (left.size, left.root, left.checkpoint, party, origin),
        )


def list_lost(transaction: Transaction, party: PartyId | None = None) -> list[LostHead]:
    """What partners have said to have lost of logs that they signed heads of; of one of them, with `party`."""
    rows = transaction.rows(
        "SELECT party, origin, size, checkpoint, held, noted_at FROM lost_head WHERE ?1 IS NULL OR party = ?1"
        " ORDER BY noted_at, party, origin, size",
        (party,),
    )
    return [
        LostHead(
            party=PartyId(giver),
            origin=str(origin),
            size=int(size),
            checkpoint=bytes(checkpoint),
            held=int(held),
            noted_at=Instant(at),
        )
        for giver, origin, size, checkpoint, held, at in rows
    ]


def forget_logs(transaction: Transaction, party: PartyId) -> None:
    """Let what was seen of logs of `party`, and where they ended, be no measure of those that begin anew."""
    for table in ("seen_checkpoint", "ended_log"):
        transaction.run(f"DELETE FROM {table} WHERE party = ?", (party,))


def read_ended(transaction: Transaction, party: PartyId) -> dict[str, int]:
    """The logs of `party` that have ended, and with how many entries."""
    return {origin: each.size for origin, each in read_ended_logs(transaction, party).items()}


def read_ended_logs(transaction: Transaction, party: PartyId) -> dict[str, EndedLog]:
    """The logs of `party` that have ended, each with its agreement and what follows it, by its origin."""
    rows = transaction.rows("SELECT origin, size, agreement, next FROM ended_log WHERE party = ?", (party,))
    return {
        str(origin): EndedLog(
            size=int(size),
            agreement=None if agreement is None else AgreementId(Digest(agreement)),
            next=None if after is None else str(after),
        )
        for origin, size, agreement, after in rows
    }


def read_agreements(transaction: Transaction, party: PartyId) -> dict[str, str | None]:
    """The agreement that each log of `party` that was seen is for, None for one of others too, by its origin."""
    rows = transaction.rows("SELECT origin, agreement FROM seen_checkpoint WHERE party = ?", (party,))
    return {str(origin): None if agreement is None else str(agreement) for origin, agreement in rows}


def read_seen(transaction: Transaction, party: PartyId) -> dict[str, Seen]:
    """The largest checkpoint that was seen of each log of `party`, by its origin."""
    rows = transaction.rows("SELECT origin, size, root, checkpoint FROM seen_checkpoint WHERE party = ?", (party,))
    return {
        str(origin): Seen(size=int(size), root=bytes(root), checkpoint=bytes(checkpoint))
        for origin, size, root, checkpoint in rows
    }


def read_bound(transaction: Transaction, party: PartyId) -> dict[Digest, str]:
    """The log of `party` that disclosures under these terms are in, by what was seen, by the hash of the terms.

    Where that ended it is the one that was told to follow it.
    """
    rows = transaction.rows(
        "SELECT terms.hash, log.origin FROM (SELECT agreement, origin FROM seen_checkpoint AS s WHERE party = ?1"
        " AND NOT EXISTS (SELECT 1 FROM ended_log AS e WHERE e.party = s.party AND e.origin = s.origin)"
        " UNION SELECT agreement, next FROM ended_log AS e WHERE party = ?1 AND next IS NOT NULL"
        " AND NOT EXISTS (SELECT 1 FROM ended_log AS n WHERE n.party = e.party AND n.origin = e.next)) AS log"
        " JOIN terms ON terms.agreement = log.agreement",
        (party,),
    )
    return {Digest(terms): str(origin) for terms, origin in rows}


def read_past(transaction: Transaction, party: PartyId) -> dict[Digest, frozenset[str]]:
    """The logs of `party` that ended which disclosures under these terms were in, by the hash of the terms."""
    found: dict[Digest, frozenset[str]] = {}
    rows = transaction.rows(
        "SELECT terms.hash, ended_log.origin FROM ended_log JOIN terms USING (agreement) WHERE party = ?", (party,)
    )
    for terms, origin in rows:
        found[Digest(terms)] = found.get(Digest(terms), frozenset()) | {str(origin)}
    return found


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
