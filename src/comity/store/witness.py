# SPDX-License-Identifier: Apache-2.0
"""Shell: the tables of witnesses: what this party has cosigned of other logs, and what others have of its own."""

from collections.abc import Sequence
from dataclasses import dataclass

from comity.ids import Digest, Instant
from comity.store.log import HOUSE
from comity.store.transaction import Transaction

__all__ = [
    "MAX_EVIDENCE",
    "StoredEvidence",
    "StoredHead",
    "add_cosignatures",
    "add_evidence",
    "count_cosigned_logs",
    "find_next_name",
    "forget_accusations",
    "list_evidence",
    "list_next_names",
    "list_origins",
    "list_problems",
    "list_seen",
    "name_next",
    "put_problem",
    "put_seen",
    "read_cosigned_at",
    "read_cosigned_size",
    "read_cosigners",
    "read_head_within",
    "read_lines",
    "read_seen",
]

MAX_EVIDENCE = 16
"""Of one log, each of proofs and of accusations: whoever has its key can make any number of the first, and whoever was
given heads of it of the second."""

_SIZES_KEPT = 64

_DAY = 86_400_000_000
_DAYS_KEPT = 64
"""Of one log, days on which it grew: a backup that is older than so many has nothing to be held against."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredHead:
    """The last head of a log that was cosigned here, as its log signed it."""

    origin: str
    size: int
    checkpoint: bytes
    cosigned_at: Instant


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredEvidence:
    """Two heads of a log that contradict one another; `pair` is a digest over what both say."""

    pair: Digest
    origin: str
    noted_at: Instant
    proved: bool
    evidence: bytes


def read_seen(transaction: Transaction, origin: str) -> bytes | None:
    """The last head of the log that was cosigned here; None if none was."""
    row = transaction.row("SELECT checkpoint FROM witnessed_head WHERE origin = ?", (origin,))
    return bytes(row[0]) if row else None


def put_seen(transaction: Transaction, head: StoredHead) -> None:
    """Keep the head in the place of the one before; the schema refuses one that goes back.

    That stays where it was the last of its day.
    """
    transaction.run(
        "INSERT INTO witnessed_earlier SELECT origin, size, checkpoint, cosigned_at FROM witnessed_head"
        " WHERE origin = ? AND cosigned_at / ? < ? / ? AND size < ? ON CONFLICT DO NOTHING",
        (head.origin, _DAY, head.cosigned_at, _DAY, head.size),
    )
    transaction.run(
        "DELETE FROM witnessed_earlier WHERE origin = ?1 AND size NOT IN"
        " (SELECT size FROM witnessed_earlier WHERE origin = ?1 ORDER BY size DESC LIMIT ?2)",
        (head.origin, _DAYS_KEPT),
    )
    transaction.run(
        "INSERT INTO witnessed_head VALUES (?, ?, ?, ?) ON CONFLICT (origin) DO UPDATE SET"
        " size = excluded.size, checkpoint = excluded.checkpoint, cosigned_at = excluded.cosigned_at",
        (head.origin, head.size, head.checkpoint, head.cosigned_at),
    )


def read_head_within(transaction: Transaction, origin: str, size: int) -> bytes | None:
    """The greatest head of the log that was cosigned here over at most `size` entries, of those that are kept."""
    row = transaction.row(
        "SELECT checkpoint FROM (SELECT size, checkpoint FROM witnessed_head WHERE origin = ?1 UNION ALL"
        " SELECT size, checkpoint FROM witnessed_earlier WHERE origin = ?1)"
        " WHERE size <= ?2 ORDER BY size DESC LIMIT 1",
        (origin, size),
    )
    return bytes(row[0]) if row else None


def name_next(transaction: Transaction, origin: str, *, previous: str) -> None:
    """Remember that the log `previous` goes on as `origin`; each goes on once."""
    transaction.run("INSERT INTO witnessed_name VALUES (?, ?) ON CONFLICT (origin) DO NOTHING", (origin, previous))


def find_next_name(transaction: Transaction, previous: str) -> str | None:
    """What the log that was called `previous` goes on as, as far as it was cosigned here."""
    row = transaction.row("SELECT origin FROM witnessed_name WHERE previous = ?", (previous,))
    return str(row[0]) if row else None


def list_next_names(transaction: Transaction) -> list[tuple[str, str]]:
    """What each log goes on as that was cosigned here under two names, and what it was called before."""
    rows = transaction.rows("SELECT origin, previous FROM witnessed_name ORDER BY origin")
    return [(str(origin), str(previous)) for origin, previous in rows]


def list_seen(transaction: Transaction) -> list[StoredHead]:
    """The last head of every log that was cosigned here, by origin."""
    return [
        StoredHead(origin=origin, size=size, checkpoint=bytes(checkpoint), cosigned_at=Instant(at))
        for origin, size, checkpoint, at in transaction.rows("SELECT * FROM witnessed_head ORDER BY origin")
    ]


def list_origins(transaction: Transaction, first: str) -> list[str]:
    """The origins of logs that were cosigned here and are `first` or begin with it and a slash."""
    rows = transaction.rows(
        "SELECT origin FROM witnessed_head WHERE origin = ?1 OR substr(origin, 1, length(?1) + 1) = ?1 || '/'", (first,)
    )
    return [str(row[0]) for row in rows]


def add_evidence(transaction: Transaction, found: StoredEvidence) -> bool:
    """Whether the evidence is kept from here on: not where it is already, nor beside as many proofs.

    An accusation is kept whatever there is: `forget_accusations` makes room after it.
    """
    kept = transaction.row("SELECT count(*) FROM fork_evidence WHERE origin = ? AND proved", (found.origin,))
    if found.proved and kept is not None and kept[0] >= MAX_EVIDENCE:
        return False
    added = transaction.run(
        "INSERT INTO fork_evidence VALUES (?, ?, ?, ?, ?) ON CONFLICT (pair, proved) DO NOTHING",
        (found.pair, int(found.proved), found.origin, found.noted_at, found.evidence),
    )
    return added > 0


def forget_accusations(transaction: Transaction, last: StoredEvidence) -> list[Digest]:
    """The oldest accusations of the log of `last` over the bound, deleted; never `last` itself, nor a proof."""
    rows = transaction.rows(
        "SELECT pair FROM fork_evidence WHERE origin = ? AND NOT proved"
        " ORDER BY pair = ? DESC, noted_at DESC, pair LIMIT -1 OFFSET ?",
        (last.origin, last.pair, MAX_EVIDENCE),
    )
    transaction.run_many("DELETE FROM fork_evidence WHERE pair = ? AND NOT proved", rows)
    return [Digest(pair) for (pair,) in rows]


def list_evidence(transaction: Transaction) -> list[StoredEvidence]:
    """All evidence, oldest first."""
    return [
        StoredEvidence(
            pair=Digest(pair), origin=origin, noted_at=Instant(at), proved=bool(proved), evidence=bytes(evidence)
        )
        for pair, proved, origin, at, evidence in transaction.rows(
            "SELECT pair, proved, origin, noted_at, evidence FROM fork_evidence ORDER BY noted_at, pair"
        )
    ]


def read_cosigned_size(transaction: Transaction, witness: str, *, log: int = HOUSE) -> int:
    """The size of the last head of an own log that the witness of this name cosigned; 0 if none."""
    row = transaction.row("SELECT MAX(size) FROM cosignature WHERE log = ? AND witness = ?", (log, witness))
    return int(row[0] or 0) if row else 0


def read_cosigned_at(transaction: Transaction, witness: str) -> int | None:
    """When the witness of this name cosigned the last head of the house's log that it did, in seconds since 1970."""
    row = transaction.row(
        "SELECT timestamp FROM cosignature WHERE log = ? AND witness = ? ORDER BY size DESC LIMIT 1", (HOUSE, witness)
    )
    return int(row[0]) if row else None


def count_cosigned_logs(transaction: Transaction, witness: str) -> int:
    """Of how many logs of relationships the witness of this name has cosigned a head."""
    row = transaction.row(
        "SELECT COUNT(DISTINCT log) FROM cosignature WHERE log <> ? AND witness = ?", (HOUSE, witness)
    )
    return int(row[0]) if row else 0


def read_cosigners(transaction: Transaction, size: int) -> dict[str, int]:
    """Who cosigned the head of the house's log of this size, and when, in seconds since 1970."""
    rows = transaction.rows("SELECT witness, timestamp FROM cosignature WHERE log = ? AND size = ?", (HOUSE, size))
    return dict(rows)


def read_lines(transaction: Transaction, log: int = HOUSE) -> list[tuple[int, str, int, bytes]]:
    """Size, witness, time and signature line of every cosignature of a log that is kept; the greatest size first.

    The time is in seconds since 1970.
    """
    return [
        (size, name, timestamp, bytes(line))
        for size, name, timestamp, line in transaction.rows(
            "SELECT size, witness, timestamp, line FROM cosignature WHERE log = ? ORDER BY size DESC, witness", (log,)
        )
    ]


def add_cosignatures(
    transaction: Transaction, size: int, lines: Sequence[tuple[str, int, bytes]], *, log: int = HOUSE
) -> None:
    """Keep what witnesses said of the head of a log: witness, time, line. Of older sizes only some are kept."""
    transaction.run_many(
        "INSERT INTO cosignature VALUES (?, ?, ?, ?, ?) ON CONFLICT (log, size, witness) DO UPDATE SET"
        " timestamp = excluded.timestamp, line = excluded.line",
        [(log, size, name, timestamp, line) for name, timestamp, line in lines],
    )
    transaction.run_many("DELETE FROM witness_problem WHERE witness = ?", [(name,) for name, _, _ in lines])
    transaction.run(
        "DELETE FROM cosignature WHERE log = ?1 AND size NOT IN"
        " (SELECT DISTINCT size FROM cosignature WHERE log = ?1 ORDER BY size DESC LIMIT ?2)",
        (log, _SIZES_KEPT),
    )


def put_problem(transaction: Transaction, witness: str, problem: str, *, now: Instant) -> None:
    """Note why the witness of this name did not cosign when it was asked last."""
    transaction.run(
        "INSERT INTO witness_problem VALUES (?, ?, ?) ON CONFLICT (witness) DO UPDATE SET"
        " at = excluded.at, problem = excluded.problem",
        (witness, now, problem),
    )


def list_problems(transaction: Transaction) -> dict[str, tuple[Instant, str]]:
    """Every witness that did not cosign when it was asked last: when, and why."""
    rows = transaction.rows("SELECT witness, at, problem FROM witness_problem")
    return {name: (Instant(at), problem) for name, at, problem in rows}
