# SPDX-License-Identifier: Apache-2.0
"""Shell: the last acknowledgement of each partner and to each; every one of them is in the log."""

from dataclasses import dataclass

from comity.ids import Instant, PartyId
from comity.store.transaction import Transaction

__all__ = [
    "StoredAcknowledgement",
    "forget_sent",
    "list_acknowledgements",
    "mark_taken",
    "put_acknowledgement",
    "read_acknowledgement",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredAcknowledgement:
    """The last one to `party` (`sent`), or of it; `taken_at` is when a partner took what was sent, else None."""

    party: PartyId
    sent: bool
    sequence: int
    recorded_at: Instant
    taken_at: Instant | None
    envelope: bytes


def read_acknowledgement(transaction: Transaction, party: PartyId, *, sent: bool) -> StoredAcknowledgement | None:
    """The last one to `party`, or of it."""
    found = _read(transaction, "WHERE party = ? AND sent = ?", (party, int(sent)))
    return found[0] if found else None


def list_acknowledgements(transaction: Transaction) -> list[StoredAcknowledgement]:
    """The last ones of all, by party."""
    return _read(transaction, "ORDER BY party, sent", ())


def put_acknowledgement(transaction: Transaction, item: StoredAcknowledgement) -> None:
    """Keep it in the place of the one before."""
    transaction.run(
        "INSERT OR REPLACE INTO acknowledgement VALUES (?, ?, ?, ?, ?, ?)",
        (item.party, int(item.sent), item.sequence, item.recorded_at, item.taken_at, item.envelope),
    )


def forget_sent(transaction: Transaction, party: PartyId) -> None:
    """Let the next one to `party` be the first of its log; those before are in the log of this party."""
    transaction.run("DELETE FROM acknowledgement WHERE party = ? AND sent = 1", (party,))


def mark_taken(transaction: Transaction, party: PartyId, sequence: int, *, now: Instant) -> None:
    """The partner took what was sent to it up to `sequence`."""
    transaction.run(
        "UPDATE acknowledgement SET taken_at = ? WHERE party = ? AND sent = 1 AND sequence = ? AND taken_at IS NULL",
        (now, party, sequence),
    )


def _read(transaction: Transaction, condition: str, values: tuple[str | int, ...]) -> list[StoredAcknowledgement]:
    return [
        StoredAcknowledgement(
            party=PartyId(party),
            sent=bool(sent),
            sequence=sequence,
            recorded_at=Instant(recorded_at),
            taken_at=None if taken_at is None else Instant(taken_at),
            envelope=bytes(envelope),
        )
        for party, sent, sequence, recorded_at, taken_at, envelope in transaction.rows(
            f"SELECT party, sent, sequence, recorded_at, taken_at, envelope FROM acknowledgement {condition}", values
        )
    ]
