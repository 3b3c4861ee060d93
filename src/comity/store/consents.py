# SPDX-License-Identifier: Apache-2.0
"""Shell: grants of consent, sent and received, with how each stands; what it is about stands with its letter.

good      it lets go what it is about
expired   its time has passed
revoked   whoever granted it has ended it
"""

import json
from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum

from comity.ids import AgreementId, Digest, Instant, ObjectId, PartyId
from comity.letters.letter import About
from comity.store.transaction import Row, Transaction

__all__ = [
    "GrantState",
    "GrantedVersion",
    "StoredGrant",
    "add_grant",
    "end_grant",
    "list_ending",
    "list_granted",
    "list_grants",
    "list_run_out",
    "read_about",
    "read_grant",
]

_COLUMNS = (
    "g.letter, g.request, g.sent, g.party, g.agreement, g.recipient, g.purpose, g.actions, g.conditions, g.expires_at,"
    " g.state, g.ended_at"
)


class GrantState(StrEnum):
    """Whether a grant lets anything go, and if not, why."""

    GOOD = "good"
    EXPIRED = "expired"
    REVOKED = "revoked"


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredGrant:
    """One grant: the names of its letter and of the request that it answers, and what it says.

    `party` is whoever granted it, or, where this party has, to whom. `expires_at` is not included.
    """

    letter: Digest
    request: Digest
    sent: bool
    party: PartyId
    agreement: AgreementId
    recipient: PartyId
    purpose: str
    actions: str
    conditions: str | None
    expires_at: Instant
    state: GrantState
    ended_at: Instant | None

    def is_good(self, now: Instant) -> bool:
        """Whether it lets anything go at `now`, also where nobody has noted yet that its time has passed."""
        return self.state is GrantState.GOOD and now < self.expires_at


@dataclass(frozen=True, slots=True, kw_only=True)
class GrantedVersion:
    """A version of an object, by the digest it was given with, that a grant received is about."""

    id: ObjectId
    digest: Digest
    grant: StoredGrant


def add_grant(transaction: Transaction, grant: StoredGrant) -> None:
    """Keep a grant whose letter is kept."""
    transaction.run(
        "INSERT INTO consent_grant VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            grant.letter,
            grant.request,
            int(grant.sent),
            grant.party,
            grant.agreement,
            grant.recipient,
            grant.purpose,
            grant.actions,
            grant.conditions,
            grant.expires_at,
            grant.state.value,
            grant.ended_at,
        ),
    )


def end_grant(transaction: Transaction, letter: Digest, state: GrantState, *, now: Instant) -> None:
    """Let the grant be over; one that is over by its time can be revoked as well, and nothing is good again."""
    transaction.run(
        "UPDATE consent_grant SET state = ?, ended_at = COALESCE(ended_at, ?) WHERE letter = ?",
        (state.value, now, letter),
    )


def read_grant(transaction: Transaction, letter: Digest) -> StoredGrant | None:
    """The grant whose letter has that name."""
    row = transaction.row(f"SELECT {_COLUMNS} FROM consent_grant g WHERE g.letter = ?", (letter,))
    return None if row is None else _build(row)


def list_grants(transaction: Transaction, request: Digest) -> list[StoredGrant]:
    """The grants that answer the request with that name."""
    rows = transaction.rows(
        f"SELECT {_COLUMNS} FROM consent_grant g WHERE g.request = ? ORDER BY g.expires_at, g.letter", (request,)
    )
    return [_build(row) for row in rows]


def list_run_out(transaction: Transaction, *, now: Instant) -> list[StoredGrant]:
    """The grants that stand as good and whose time has passed."""
    rows = transaction.rows(
        f"SELECT {_COLUMNS} FROM consent_grant g WHERE g.state = 'good' AND g.expires_at <= ?"
        " ORDER BY g.expires_at, g.letter",
        (now,),
    )
    return [_build(row) for row in rows]


def list_ending(transaction: Transaction, *, now: Instant, before: Instant) -> list[StoredGrant]:
    """The grants that are good at `now` and end before `before`, those that end first in front."""
    rows = transaction.rows(
        f"SELECT {_COLUMNS} FROM consent_grant g WHERE g.state = 'good' AND g.expires_at > ? AND g.expires_at < ?"
        " ORDER BY g.expires_at, g.letter",
        (now, before),
    )
    return [_build(row) for row in rows]


def list_granted(
    transaction: Transaction, ids: Collection[ObjectId], *, sent: bool = False, past: bool = False, now: Instant
) -> list[GrantedVersion]:
    """What of `ids` the grants that are good at `now` are about, version by version: those received, or those sent.

    With `past` also those whose time has passed, and that nobody has revoked.
    """
    rows = transaction.rows(
        f"SELECT x.id, x.digest, {_COLUMNS} FROM letter_object x JOIN letter l ON l.position = x.letter"
        " JOIN consent_grant g ON g.letter = l.digest"
        " WHERE x.id IN (SELECT value FROM json_each(?)) AND g.sent = ?"
        " AND (g.state = 'good' AND g.expires_at > ? OR ? AND g.state <> 'revoked') ORDER BY x.id, x.digest, g.letter",
        (json.dumps(sorted(ids)), int(sent), now, int(past)),
    )
    return [GrantedVersion(id=ObjectId(row[0]), digest=Digest(row[1]), grant=_build(row[2:])) for row in rows]


def read_about(transaction: Transaction, letter: Digest) -> tuple[About, ...]:
    """What the letter with that name is about."""
    rows = transaction.rows(
        "SELECT x.id, x.version, x.digest FROM letter_object x JOIN letter l ON l.position = x.letter"
        " WHERE l.digest = ? ORDER BY x.place",
        (letter,),
    )
    return tuple(About(id=ObjectId(row[0]), version=row[1], digest=Digest(row[2])) for row in rows)


def _build(row: Row) -> StoredGrant:
    return StoredGrant(
        letter=Digest(row[0]),
        request=Digest(row[1]),
        sent=bool(row[2]),
        party=PartyId(row[3]),
        agreement=AgreementId(row[4]),
        recipient=PartyId(row[5]),
        purpose=row[6],
        actions=row[7],
        conditions=row[8],
        expires_at=Instant(row[9]),
        state=GrantState(row[10]),
        ended_at=None if row[11] is None else Instant(row[11]),
    )
