# SPDX-License-Identifier: Apache-2.0
"""Shell: statements that a log goes on under another name, as signed, and the queue to partners."""

from comity.ids import Instant, PartyId
from comity.store.transaction import Transaction

__all__ = ["add_succession", "has_succession", "list_successions", "put_outbox", "read_given", "tell_logs"]


def add_succession(transaction: Transaction, origin: str, *, party: PartyId, envelope: bytes, now: Instant) -> bool:
    """Whether the statement is new: one of `origin` that is known is left as it is."""
    return bool(
        transaction.run(
            "INSERT INTO succession VALUES (?, ?, ?, ?) ON CONFLICT (origin) DO NOTHING",
            (origin, party, envelope, now),
        )
    )


def tell_logs(transaction: Transaction, origin: str, envelope: bytes) -> None:
    """Keep the statement that names the logs which ended in the place of the one of the same recovery without them."""
    transaction.run("UPDATE succession SET envelope = ? WHERE origin = ?", (envelope, origin))


def list_successions(transaction: Transaction, party: PartyId) -> list[bytes]:
    """The statements of `party`, in the order in which they were recorded."""
    rows = transaction.rows("SELECT envelope FROM succession WHERE party = ? ORDER BY recorded_at, origin", (party,))
    return [bytes(row[0]) for row in rows]


def has_succession(transaction: Transaction, party: PartyId, origin: str) -> bool:
    """Whether `party` has said that a log of its house goes on as `origin`."""
    return transaction.row("SELECT 1 FROM succession WHERE party = ? AND origin = ?", (party, origin)) is not None


def read_given(transaction: Transaction) -> list[PartyId]:
    """The parties that were given something, by id."""
    return [PartyId(row[0]) for row in transaction.rows("SELECT party FROM recipient_sequence ORDER BY party")]


def put_outbox(transaction: Transaction, party: PartyId, envelope: bytes, *, now: Instant) -> None:
    """Queue a message that carries no event, due at once."""
    transaction.run(
        "INSERT INTO outbox (party, event, envelope, added_at, due_at) VALUES (?, NULL, ?, ?, ?)",
        (party, envelope, now, now),
    )
