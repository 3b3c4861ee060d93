# SPDX-License-Identifier: Apache-2.0
"""Shell: signed documents and signed events as received, and the outbox of messages not yet delivered.

An event and the messages that carry it are written in one transaction: what is decided is also sent, sooner or later.
"""

import json
from collections.abc import Collection
from dataclasses import dataclass

from comity.agreement.events import Event
from comity.ids import AgreementId, Digest, Instant, PartyId
from comity.store.transaction import Row, Transaction

__all__ = [
    "Pending",
    "add_event",
    "add_terms",
    "add_unheard",
    "count_undelivered",
    "count_unheard",
    "find_agreement_of",
    "find_agreement_told",
    "find_agreements",
    "list_agreements",
    "list_undelivered_events",
    "make_due",
    "mark_delivered",
    "mark_failed",
    "mark_reviewed",
    "measure_unanswered",
    "put_first",
    "put_outbox",
    "read_due",
    "read_envelopes",
    "read_epoch",
    "read_evidence",
    "read_reviews",
    "read_strangers",
    "read_terms",
    "read_texts",
    "read_undelivered",
    "read_unheard",
    "read_versions",
    "remove_undelivered",
    "remove_unheard",
    "replace_envelope",
    "was_told",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pending:
    """One message waiting in the outbox."""

    position: int
    party: PartyId
    envelope: bytes
    attempts: int
    problem: str | None
    added_at: Instant


def read_epoch(transaction: Transaction, agreement: AgreementId) -> int | None:
    """How many events the agreement has; None when it is not on record."""
    row = transaction.row("SELECT epoch FROM agreement WHERE id = ?", (agreement,))
    return int(row[0]) if row else None


def list_agreements(transaction: Transaction) -> list[AgreementId]:
    """Every agreement on record, oldest first."""
    return [AgreementId(row[0]) for row in transaction.rows("SELECT id FROM agreement ORDER BY added_at, id")]


def find_agreements(transaction: Transaction, prefix: str) -> list[AgreementId]:
    """The agreements whose id, or the hash of one of whose versions, begins with `prefix`."""
    return [
        AgreementId(row[0])
        for row in transaction.rows(
            "SELECT id FROM agreement WHERE substr(id, 1, length(?1)) = ?1"
            " UNION SELECT agreement FROM terms WHERE substr(hash, 1, length(?1)) = ?1",
            (prefix,),
        )
    ]


def find_agreement_of(transaction: Transaction, terms_hash: Digest) -> AgreementId | None:
    """The agreement that the text with that hash is a version of; None when it is not on record."""
    row = transaction.row("SELECT agreement FROM terms WHERE hash = ?", (terms_hash,))
    return AgreementId(row[0]) if row else None


def find_agreement_told(transaction: Transaction, terms_hash: Digest) -> AgreementId | None:
    """The agreement that events on a text with that hash are of: a newcomer is told of stops of texts it never got."""
    row = transaction.row("SELECT agreement FROM event WHERE terms = ? LIMIT 1", (terms_hash,))
    return AgreementId(row[0]) if row else None


def read_versions(transaction: Transaction, agreement: AgreementId) -> list[bytes]:
    """The documents of every version on record, as signed."""
    return [
        bytes(row[0])
        for row in transaction.rows(
            "SELECT document FROM terms WHERE agreement = ? ORDER BY version, hash", (agreement,)
        )
    ]


def read_terms(transaction: Transaction, terms_hash: Digest) -> bytes | None:
    """The document with that hash, as signed; None when it is not on record."""
    row = transaction.row("SELECT document FROM terms WHERE hash = ?", (terms_hash,))
    return bytes(row[0]) if row else None


def add_terms(
    transaction: Transaction, terms_hash: Digest, *, agreement: AgreementId, version: int, document: bytes, now: Instant
) -> None:
    """Keep a version's document; a known one is left as it is."""
    transaction.run("INSERT INTO agreement VALUES (?, 0, ?) ON CONFLICT (id) DO NOTHING", (agreement, now))
    transaction.run(
        "INSERT INTO terms VALUES (?, ?, ?, ?) ON CONFLICT (hash) DO NOTHING",
        (terms_hash, agreement, version, document),
    )


def add_event(transaction: Transaction, event: Event, *, envelope: bytes, now: Instant) -> bool:
    """True when the event is new; False when it was on record, which changes nothing."""
    added = transaction.run(
        "INSERT INTO event (digest, agreement, kind, terms, party, at, clause, text, re, envelope, recorded_at)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (digest) DO NOTHING",
        (
            event.digest,
            event.agreement,
            event.kind.value,
            event.terms,
            event.party,
            event.at,
            event.clause,
            event.text,
            event.re,
            envelope,
            now,
        ),
    )
    if added:
        transaction.run("UPDATE agreement SET epoch = epoch + 1 WHERE id = ?", (event.agreement,))
    return bool(added)


def read_envelopes(transaction: Transaction, agreement: AgreementId) -> list[tuple[bytes, Instant]]:
    """The signed messages of an agreement as received, and when this node recorded each, in that order."""
    return [
        (bytes(envelope), Instant(recorded_at))
        for envelope, recorded_at in transaction.rows(
            "SELECT envelope, recorded_at FROM event WHERE agreement = ? ORDER BY position", (agreement,)
        )
    ]


def read_texts(transaction: Transaction, agreement: AgreementId) -> list[tuple[Digest, bytes]]:
    """The document of every version on record, behind the hash it is kept under."""
    rows = transaction.rows("SELECT hash, document FROM terms WHERE agreement = ? ORDER BY version, hash", (agreement,))
    return [(Digest(terms_hash), bytes(document)) for terms_hash, document in rows]


def read_evidence(transaction: Transaction, agreement: AgreementId) -> list[tuple[Digest, bytes, Instant]]:
    """As `read_envelopes`, each behind the digest that its event is kept under."""
    rows = transaction.rows(
        "SELECT digest, envelope, recorded_at FROM event WHERE agreement = ? ORDER BY position", (agreement,)
    )
    return [(Digest(digest), bytes(envelope), Instant(recorded_at)) for digest, envelope, recorded_at in rows]


def add_unheard(transaction: Transaction, event: Event, *, envelope: bytes, now: Instant) -> None:
    """Keep a message that counts for nothing yet; a known one is left as it is."""
    transaction.run(
        "INSERT INTO unheard (digest, agreement, party, envelope, recorded_at) VALUES (?, ?, ?, ?, ?)"
        " ON CONFLICT (digest) DO NOTHING",
        (event.digest, event.agreement, event.party, envelope, now),
    )


def count_unheard(transaction: Transaction, agreement: AgreementId, party: PartyId) -> int:
    """How many messages of `party` on an agreement count for nothing."""
    row = transaction.row("SELECT COUNT(*) FROM unheard WHERE agreement = ? AND party = ?", (agreement, party))
    return int(row[0]) if row else 0


def read_unheard(
    transaction: Transaction, agreement: AgreementId, parties: Collection[PartyId], *, limit: int = -1
) -> list[tuple[bytes, Instant]]:
    """The messages of `parties` that count for nothing, and when each came, in that order; all without a `limit`."""
    if not parties:
        return []
    rows = transaction.rows(
        "SELECT envelope, recorded_at FROM unheard WHERE agreement = ?"
        " AND party IN (SELECT value FROM json_each(?)) ORDER BY position LIMIT ?",
        (agreement, json.dumps(sorted(parties)), limit),
    )
    return [(bytes(envelope), Instant(recorded_at)) for envelope, recorded_at in rows]


def read_strangers(
    transaction: Transaction, since: Instant, *, agreement: AgreementId | None = None
) -> list[tuple[AgreementId, PartyId, int, Instant]]:
    """Who has said something since then of which agreement without being heard: how many messages, and the first."""
    rows = transaction.rows(
        "SELECT agreement, party, COUNT(*), MIN(recorded_at) FROM unheard WHERE ?1 IS NULL OR agreement = ?1"
        " GROUP BY agreement, party HAVING MAX(recorded_at) >= ?2 ORDER BY agreement, party",
        (agreement, since),
    )
    return [(AgreementId(name), PartyId(party), count, Instant(first)) for name, party, count, first in rows]


def remove_unheard(transaction: Transaction, digest: Digest) -> None:
    """Forget a message that is now an event."""
    transaction.run("DELETE FROM unheard WHERE digest = ?", (digest,))


def put_outbox(transaction: Transaction, party: PartyId, event: Digest, *, envelope: bytes, now: Instant) -> None:
    """Queue the message that carries `event` for `party`, due at once; what was queued for it before is not again."""
    if transaction.row("SELECT 1 FROM outbox WHERE event = ? AND party = ?", (event, party)) is None:
        transaction.run(
            "INSERT INTO outbox (party, event, envelope, added_at, due_at) VALUES (?, ?, ?, ?, ?)",
            (party, event, envelope, now, now),
        )


def put_first(transaction: Transaction, party: PartyId, event: Digest, *, envelope: bytes, now: Instant) -> None:
    """Queue the message before all others, due at once; what was queued for `event` and `party` before is not again."""
    if transaction.row("SELECT 1 FROM outbox WHERE event = ? AND party = ?", (event, party)) is None:
        transaction.run(
            "INSERT INTO outbox (position, party, event, envelope, added_at, due_at)"
            " SELECT MIN(0, COALESCE(MIN(position), 0)) - 1, ?, ?, ?, ?, ? FROM outbox",
            (party, event, envelope, now, now),
        )


def remove_undelivered(transaction: Transaction, party: PartyId, event: Digest) -> None:
    """Take the message that carries `event` out of the queue, unless it has arrived."""
    transaction.run("DELETE FROM outbox WHERE event = ? AND party = ? AND delivered_at IS NULL", (event, party))


def replace_envelope(transaction: Transaction, position: int, envelope: bytes) -> None:
    """Let the message in the queue carry other signatures over what it says."""
    transaction.run("UPDATE outbox SET envelope = ? WHERE position = ?", (envelope, position))


def read_due(
    transaction: Transaction,
    *,
    now: Instant,
    limit: int,
    party: PartyId | None = None,
    besides: Collection[PartyId] = (),
    held: Collection[int] = (),
) -> list[Pending]:
    """Messages to try now, oldest first: to `party` alone where one is named, and to none of `besides`.

    Those at the places `held` are left out. Order matters to nobody: the state follows from the set of events.
    """
    rows = transaction.rows(
        "SELECT position, party, envelope, attempts, problem, added_at FROM outbox"
        " WHERE delivered_at IS NULL AND due_at <= ? AND party = COALESCE(?, party)"
        " AND party NOT IN (SELECT value FROM json_each(?)) AND position NOT IN (SELECT value FROM json_each(?))"
        " ORDER BY position LIMIT ?",
        (now, party, json.dumps(sorted(besides)), json.dumps(sorted(held)), limit),
    )
    return [_pending(row) for row in rows]


def read_undelivered(transaction: Transaction) -> list[Pending]:
    """Every message not yet delivered, oldest first."""
    rows = transaction.rows(
        "SELECT position, party, envelope, attempts, problem, added_at FROM outbox WHERE delivered_at IS NULL"
        " ORDER BY position"
    )
    return [_pending(row) for row in rows]


def list_undelivered_events(
    transaction: Transaction, *, place: int | None = None
) -> list[tuple[int, PartyId, AgreementId]]:
    """Of each event not yet delivered the place in the queue, to whom, and of which agreement; `place` alone, if named.

    Letters and manifests, which wait in the same queue, are none.
    """
    # From the messages that wait to the events: few of those that were ever sent are on their way.
    rows = transaction.rows(
        "SELECT o.position, o.party, e.agreement FROM outbox o CROSS JOIN event e"
        f" WHERE o.delivered_at IS NULL{'' if place is None else ' AND o.position = ?'} AND e.digest = o.event",
        () if place is None else (place,),
    )
    return [(int(position), PartyId(party), AgreementId(agreement)) for position, party, agreement in rows]


def count_undelivered(transaction: Transaction) -> int:
    """How many messages are not yet delivered."""
    row = transaction.row("SELECT COUNT(*) FROM outbox WHERE delivered_at IS NULL")
    return int(row[0]) if row else 0


def measure_unanswered(transaction: Transaction, party: PartyId, *, by: PartyId) -> tuple[int, int]:
    """Of how many agreements `party` has said something, and `by` has told it nothing; and in how many bytes.

    What `by` says of an agreement to others is no answer to who is no party of it, and must not show in this count.
    """
    row = transaction.row(
        "SELECT COUNT(DISTINCT agreement), TOTAL(size) FROM"
        " (SELECT agreement, LENGTH(envelope) AS size FROM event WHERE party = ?1"
        " UNION ALL SELECT agreement, LENGTH(envelope) FROM unheard WHERE party = ?1) AS said"
        " WHERE NOT EXISTS (SELECT 1 FROM event AS own JOIN outbox ON outbox.event = own.digest AND outbox.party = ?1"
        " WHERE own.party = ?2 AND own.agreement = said.agreement)",
        (party, by),
    )
    return (int(row[0]), int(row[1])) if row else (0, 0)


def was_told(transaction: Transaction, party: PartyId, agreement: AgreementId, *, by: PartyId) -> bool:
    """Whether `by` has told `party` anything of the agreement."""
    row = transaction.row(
        "SELECT EXISTS (SELECT 1 FROM event JOIN outbox ON outbox.event = event.digest AND outbox.party = ?1"
        " WHERE event.party = ?2 AND event.agreement = ?3)",
        (party, by, agreement),
    )
    return bool(row and row[0])


def make_due(transaction: Transaction, party: PartyId, *, now: Instant) -> None:
    """Let everything undelivered to `party` be due at once."""
    transaction.run("UPDATE outbox SET due_at = ? WHERE party = ? AND delivered_at IS NULL", (now, party))


def mark_delivered(transaction: Transaction, position: int, *, now: Instant) -> None:
    """The partner's node said that it has the message."""
    transaction.run("UPDATE outbox SET delivered_at = ?, problem = NULL WHERE position = ?", (now, position))


def mark_failed(transaction: Transaction, position: int, *, due_at: Instant, problem: str) -> None:
    """A try failed; the next is due at `due_at`."""
    transaction.run(
        "UPDATE outbox SET attempts = attempts + 1, due_at = ?, problem = ? WHERE position = ?",
        (due_at, problem, position),
    )


def mark_reviewed(transaction: Transaction, agreement: AgreementId, *, now: Instant) -> None:
    """A person has reviewed the agreement; a clock that went back takes no later review away."""
    transaction.run(
        "INSERT INTO agreement_review VALUES (?, ?)"
        " ON CONFLICT (agreement) DO UPDATE SET reviewed_at = MAX(reviewed_at, excluded.reviewed_at)",
        (agreement, now),
    )


def read_reviews(transaction: Transaction) -> dict[AgreementId, Instant]:
    """When a person last reviewed each agreement that one has reviewed."""
    rows = transaction.rows("SELECT agreement, reviewed_at FROM agreement_review")
    return {AgreementId(agreement): Instant(reviewed_at) for agreement, reviewed_at in rows}


def _pending(row: Row) -> Pending:
    return Pending(
        position=row[0],
        party=PartyId(row[1]),
        envelope=bytes(row[2]),
        attempts=row[3],
        problem=row[4],
        added_at=Instant(row[5]),
    )
