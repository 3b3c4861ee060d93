# SPDX-License-Identifier: Apache-2.0
"""Shell: this party's persons, the hashes of their badges, and approvals of acts that wait for a second person.

What is read here is counted nowhere else: an approval of a removed person, or one that has run out, is never returned.
"""

from collections import defaultdict
from dataclasses import dataclass

from comity.agreement.people import Approval, Matter, Person, Role
from comity.ids import AgreementId, Digest, Instant, PersonId
from comity.store.transaction import Row, Transaction

__all__ = [
    "StoredMatter",
    "StoredPerson",
    "add_person",
    "count_approvals",
    "delete_approvals",
    "delete_approvals_of",
    "delete_expired",
    "keep_brought",
    "list_matters",
    "list_persons",
    "put_approval",
    "read_approvals",
    "read_brought",
    "read_matter",
    "read_person",
    "remove_person",
    "renew_person",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredPerson:
    """One person on record, and when it was added and removed (None: still there)."""

    person: Person
    secret_hash: Digest
    added_at: Instant
    removed_at: Instant | None


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredMatter:
    """One act that is approved in part, with its canonical text; `expires_at` is when its first approval ends."""

    kind: str
    agreement: AgreementId | None
    body: bytes
    digest: Digest
    approvals: tuple[Approval, ...]
    expires_at: Instant


_COLUMNS = "id, name, roles, secret, added_at, removed_at"
# The one condition under which an approval counts.
_COUNTS = "expires_at > ? AND person IN (SELECT id FROM person WHERE removed_at IS NULL)"


def add_person(transaction: Transaction, person: Person, *, secret_hash: Digest, now: Instant) -> bool:
    """True when the person is new; False when the id was given before, which changes nothing."""
    roles = " ".join(sorted(person.roles))
    return bool(
        transaction.run(
            "INSERT INTO person VALUES (?, ?, ?, ?, ?, NULL) ON CONFLICT (id) DO NOTHING",
            (person.id, person.name, roles, secret_hash, now),
        )
    )


def read_person(transaction: Transaction, person: PersonId) -> StoredPerson | None:
    """The person on record, removed or not."""
    row = transaction.row(f"SELECT {_COLUMNS} FROM person WHERE id = ?", (person,))
    return _person(row) if row else None


def list_persons(transaction: Transaction) -> list[StoredPerson]:
    """Every person ever added, in the order of adding."""
    return [_person(row) for row in transaction.rows(f"SELECT {_COLUMNS} FROM person ORDER BY added_at, id")]


def renew_person(transaction: Transaction, person: PersonId, *, secret_hash: Digest) -> None:
    """Keep the hash of another badge for the person; the one before is nobody's."""
    transaction.run("UPDATE person SET secret = ? WHERE id = ?", (secret_hash, person))


def remove_person(transaction: Transaction, person: PersonId, *, now: Instant) -> None:
    """The person acts no more from here on; the row stays."""
    transaction.run("UPDATE person SET removed_at = ? WHERE id = ? AND removed_at IS NULL", (now, person))


def put_approval(transaction: Transaction, matter: Matter, approval: Approval, *, expires_at: Instant) -> None:
    """Keep the approval; an earlier one of the same person for the same matter is replaced."""
    transaction.run(
        "INSERT INTO approval (matter, person, role, reason, at, expires_at, kind, agreement, body)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (matter, person) DO UPDATE SET role = excluded.role,"
        " reason = excluded.reason, at = excluded.at, expires_at = excluded.expires_at",
        (
            matter.digest,
            approval.person,
            approval.role.value,
            approval.reason,
            approval.at,
            expires_at,
            matter.kind,
            matter.agreement,
            matter.text,
        ),
    )


def read_approvals(transaction: Transaction, matter: Digest, *, now: Instant) -> list[tuple[Approval, Instant]]:
    """The approvals of the matter that count at `now`, each with its end, oldest first."""
    return [
        (_approval(row), Instant(row[4]))
        for row in transaction.rows(
            "SELECT person, role, reason, at, expires_at FROM approval"
            f" WHERE matter = ? AND {_COUNTS} ORDER BY at, person",
            (matter, now),
        )
    ]


def count_approvals(transaction: Transaction, person: PersonId) -> int:
    """How many approvals of the person are kept."""
    row = transaction.row("SELECT COUNT(*) FROM approval WHERE person = ?", (person,))
    return int(row[0]) if row else 0


def list_matters(transaction: Transaction, *, now: Instant) -> list[StoredMatter]:
    """Every act that has approvals which count at `now`, the one approved first in front."""
    rows = transaction.rows(
        "SELECT matter, kind, agreement, body, MIN(expires_at) FROM approval"
        f" WHERE {_COUNTS} GROUP BY matter ORDER BY MIN(at), matter",
        (now,),
    )
    given = defaultdict[str, list[Approval]](list)
    for row in transaction.rows(
        f"SELECT matter, person, role, reason, at FROM approval WHERE {_COUNTS} ORDER BY at, person", (now,)
    ):
        given[row[0]].append(_approval(row[1:]))
    return [
        StoredMatter(
            kind=kind,
            agreement=None if agreement is None else AgreementId(agreement),
            body=bytes(body),
            digest=Digest(digest),
            approvals=tuple(given[digest]),
            expires_at=Instant(expires_at),
        )
        for digest, kind, agreement, body, expires_at in rows
    ]


def read_matter(transaction: Transaction, matter: Digest, *, now: Instant) -> StoredMatter | None:
    """The act of that name, if it has approvals that count at `now`."""
    return next((item for item in list_matters(transaction, now=now) if item.digest == matter), None)


def keep_brought(transaction: Transaction, matter: Digest, body: bytes) -> None:
    """Keep the bytes that the act was approved by first; what is kept already stays. They go with the last approval."""
    transaction.run("INSERT INTO brought VALUES (?, ?) ON CONFLICT (matter) DO NOTHING", (matter, body))


def read_brought(transaction: Transaction, matter: Digest) -> bytes | None:
    """The bytes that the act was approved by first."""
    row = transaction.row("SELECT body FROM brought WHERE matter = ?", (matter,))
    return None if row is None else bytes(row[0])


def delete_approvals(transaction: Transaction, matter: Digest) -> None:
    """Forget every approval of the matter: the act is done."""
    transaction.run("DELETE FROM approval WHERE matter = ?", (matter,))


def delete_approvals_of(transaction: Transaction, person: PersonId) -> int:
    """Forget what the person has approved and is not done; how many that were."""
    return transaction.run("DELETE FROM approval WHERE person = ?", (person,))


def delete_expired(transaction: Transaction, *, now: Instant) -> None:
    """Forget the approvals that have run out."""
    transaction.run("DELETE FROM approval WHERE expires_at <= ?", (now,))


def _person(row: Row) -> StoredPerson:
    return StoredPerson(
        person=Person(
            id=PersonId(row[0]), name=str(row[1]), roles=frozenset(Role(word) for word in str(row[2]).split())
        ),
        secret_hash=Digest(row[3]),
        added_at=Instant(row[4]),
        removed_at=None if row[5] is None else Instant(row[5]),
    )


def _approval(row: Row) -> Approval:
    return Approval(person=PersonId(row[0]), role=Role(row[1]), reason=row[2], at=Instant(row[3]))
