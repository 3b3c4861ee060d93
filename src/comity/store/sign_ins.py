# SPDX-License-Identifier: Apache-2.0
"""Shell: what this party's people sign in by: invitations, passwords, passkeys, accounts at an OpenID provider.

And their sessions, and what happened at the door.

No secret is kept here that opens anything by itself: hashes of codes and tokens, public keys, and what is sealed.
"""

from dataclasses import dataclass

from comity.ids import Digest, Instant, PersonId
from comity.store.transaction import Row, Transaction

__all__ = [
    "DoorRecord",
    "StoredAccount",
    "StoredPasskey",
    "StoredPassword",
    "StoredSession",
    "add_account",
    "add_passkey",
    "add_record",
    "add_session",
    "delete_account",
    "delete_factors",
    "delete_invitation",
    "delete_old_sessions",
    "delete_passkey",
    "delete_session",
    "delete_sessions_of",
    "find_account",
    "find_invitation",
    "find_passkey",
    "find_session",
    "list_accounts",
    "list_invitations",
    "list_last_sign_ins",
    "list_passkeys",
    "list_passwords",
    "list_records",
    "list_sessions",
    "put_invitation",
    "put_password",
    "read_password",
    "use_account",
    "use_code",
    "use_passkey",
    "use_session",
]

_KEPT = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredPassword:
    """What a person signs in by with a password; `counter` is the last step of 30 seconds whose code was used."""

    person: PersonId
    sealed: bytes
    counter: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredPasskey:
    """One passkey; `public_key` is in COSE, `digest` its SHA-256, `counter` what the authenticator counted last."""

    credential: bytes
    person: PersonId
    public_key: bytes
    digest: Digest
    name: str
    counter: int
    added_at: Instant
    used_at: Instant | None


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredAccount:
    """What a person is known by at an OpenID provider: the issuer, and what it calls the person."""

    person: PersonId
    issuer: str
    subject: str
    added_at: Instant
    used_at: Instant | None


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredSession:
    """One session; `hash` is that of its token, `id` what people call it, `factor` what the person came in by."""

    hash: Digest
    id: str
    person: PersonId
    factor: str
    began_at: Instant
    used_at: Instant


@dataclass(frozen=True, slots=True, kw_only=True)
class DoorRecord:
    """What happened at the door; `person` is None where nobody of the name that was typed is on record."""

    at: Instant
    person: PersonId | None
    what: str
    factor: str | None
    failed: bool


def put_invitation(transaction: Transaction, person: PersonId, *, code_hash: Digest, expires_at: Instant) -> None:
    """Keep the invitation; an earlier one of the person is good no more."""
    transaction.run("INSERT OR REPLACE INTO invitation VALUES (?, ?, ?)", (person, code_hash, expires_at))


def find_invitation(transaction: Transaction, code_hash: Digest) -> tuple[PersonId, Instant] | None:
    """Whom the code with this hash invites, and until when."""
    row = transaction.row("SELECT person, expires_at FROM invitation WHERE hash = ?", (code_hash,))
    return (PersonId(row[0]), Instant(row[1])) if row else None


def list_invitations(transaction: Transaction) -> dict[PersonId, Instant]:
    """Who is invited, and until when."""
    return {PersonId(row[0]): Instant(row[1]) for row in transaction.rows("SELECT person, expires_at FROM invitation")}


def delete_invitation(transaction: Transaction, person: PersonId) -> None:
    """Let the person be invited no more."""
    transaction.run("DELETE FROM invitation WHERE person = ?", (person,))


def put_password(transaction: Transaction, password: StoredPassword, *, now: Instant) -> None:
    """Keep what the person signs in by; what was there before counts no more."""
    values = (password.person, password.sealed, password.counter, now)
    transaction.run("INSERT OR REPLACE INTO password VALUES (?, ?, ?, ?)", values)


def read_password(transaction: Transaction, person: PersonId) -> StoredPassword | None:
    """What the person signs in by with a password."""
    row = transaction.row("SELECT person, sealed, counter FROM password WHERE person = ?", (person,))
    return StoredPassword(person=PersonId(row[0]), sealed=bytes(row[1]), counter=int(row[2])) if row else None


def use_code(transaction: Transaction, person: PersonId, *, counter: int) -> None:
    """Note the step whose code was used; it is later than the one before."""
    transaction.run("UPDATE password SET counter = ? WHERE person = ?", (counter, person))


def list_passwords(transaction: Transaction) -> set[PersonId]:
    """Who has a password."""
    return {PersonId(row[0]) for row in transaction.rows("SELECT person FROM password")}


_PASSKEY = "SELECT credential, person, public_key, digest, name, counter, added_at, used_at FROM passkey"


def add_passkey(transaction: Transaction, passkey: StoredPasskey) -> bool:
    """True when the passkey is kept; False when its credential is known already, which changes nothing."""
    return bool(
        transaction.run(
            "INSERT INTO passkey VALUES (?, ?, ?, ?, ?, ?, ?, NULL) ON CONFLICT (credential) DO NOTHING",
            (
                passkey.credential,
                passkey.person,
                passkey.public_key,
                passkey.digest,
                passkey.name,
                passkey.counter,
                passkey.added_at,
            ),
        )
    )


def find_passkey(transaction: Transaction, credential: bytes) -> StoredPasskey | None:
    """The passkey with this credential id."""
    row = transaction.row(f"{_PASSKEY} WHERE credential = ?", (credential,))
    return _passkey(row) if row else None


def list_passkeys(transaction: Transaction, person: PersonId | None = None) -> list[StoredPasskey]:
    """The passkeys of the person, or of everybody, oldest first."""
    where, values = ("", ()) if person is None else (" WHERE person = ?", (person,))
    return [_passkey(row) for row in transaction.rows(f"{_PASSKEY}{where} ORDER BY added_at, digest", values)]


def use_passkey(transaction: Transaction, credential: bytes, *, counter: int, now: Instant) -> None:
    """Note what the authenticator counted, and when."""
    transaction.run("UPDATE passkey SET counter = ?, used_at = ? WHERE credential = ?", (counter, now, credential))


def delete_passkey(transaction: Transaction, credential: bytes) -> None:
    """Let nobody sign in by the passkey any more."""
    transaction.run("DELETE FROM passkey WHERE credential = ?", (credential,))


_ACCOUNT = "SELECT person, issuer, subject, added_at, used_at FROM account"


def add_account(transaction: Transaction, account: StoredAccount) -> bool:
    """True when the account is kept; False when it is somebody's already, or the person has one: nothing is changed."""
    values = (account.person, account.issuer, account.subject, account.added_at)
    return bool(transaction.run("INSERT INTO account VALUES (?, ?, ?, ?, NULL) ON CONFLICT DO NOTHING", values))


def find_account(transaction: Transaction, issuer: str, subject: str) -> StoredAccount | None:
    """The account that this issuer calls so, by every character."""
    row = transaction.row(f"{_ACCOUNT} WHERE issuer = ? AND subject = ?", (issuer, subject))
    return _account(row) if row else None


def list_accounts(transaction: Transaction, person: PersonId | None = None) -> list[StoredAccount]:
    """The account of the person, if there is one, or of everybody."""
    where, values = ("", ()) if person is None else (" WHERE person = ?", (person,))
    return [_account(row) for row in transaction.rows(f"{_ACCOUNT}{where} ORDER BY person", values)]


def use_account(transaction: Transaction, person: PersonId, *, now: Instant) -> None:
    """Note when the account was used last."""
    transaction.run("UPDATE account SET used_at = ? WHERE person = ?", (now, person))


def delete_account(transaction: Transaction, person: PersonId) -> None:
    """Let nobody sign in by the account of the person any more."""
    transaction.run("DELETE FROM account WHERE person = ?", (person,))


def delete_factors(transaction: Transaction, person: PersonId) -> None:
    """Let the person sign in by nothing any more: no password, no passkey, no account, no invitation."""
    for table in ("password", "passkey", "account", "invitation"):
        transaction.run(f"DELETE FROM {table} WHERE person = ?", (person,))


_SESSION = "SELECT hash, id, person, factor, began_at, used_at FROM session"


def add_session(transaction: Transaction, session: StoredSession) -> None:
    """Keep a session."""
    values = (session.hash, session.id, session.person, session.factor, session.began_at, session.used_at)
    transaction.run("INSERT INTO session VALUES (?, ?, ?, ?, ?, ?)", values)


def find_session(transaction: Transaction, token_hash: Digest) -> StoredSession | None:
    """The session whose token has this hash, over or not."""
    row = transaction.row(f"{_SESSION} WHERE hash = ?", (token_hash,))
    return _session(row) if row else None


def list_sessions(transaction: Transaction, person: PersonId | None = None) -> list[StoredSession]:
    """The sessions that are kept, of the person or of everybody, oldest first, those that are over among them."""
    where, values = ("", ()) if person is None else (" WHERE person = ?", (person,))
    return [_session(row) for row in transaction.rows(f"{_SESSION}{where} ORDER BY began_at, id", values)]


def use_session(transaction: Transaction, token_hash: Digest, *, now: Instant) -> None:
    """Note when the session was used last."""
    transaction.run("UPDATE session SET used_at = ? WHERE hash = ?", (now, token_hash))


def delete_session(transaction: Transaction, token_hash: Digest) -> bool:
    """True when the session was there and is no more."""
    return bool(transaction.run("DELETE FROM session WHERE hash = ?", (token_hash,)))


def delete_sessions_of(transaction: Transaction, person: PersonId) -> int:
    """How many sessions of the person were there and are no more."""
    return transaction.run("DELETE FROM session WHERE person = ?", (person,))


def delete_old_sessions(transaction: Transaction, *, began_by: Instant, used_by: Instant) -> None:
    """Forget the sessions that began, or were used last, at these times or before."""
    transaction.run("DELETE FROM session WHERE began_at <= ? OR used_at <= ?", (began_by, used_by))


def add_record(transaction: Transaction, record: DoorRecord) -> None:
    """Keep what happened; of what failed and of what did not the newest 10,000 each: neither hides the other."""
    transaction.run(
        "INSERT INTO sign_in (at, person, what, factor, failed) VALUES (?, ?, ?, ?, ?)",
        (record.at, record.person, record.what, record.factor, int(record.failed)),
    )
    transaction.run(
        "DELETE FROM sign_in WHERE failed = ?1 AND id <="
        " (SELECT id FROM sign_in WHERE failed = ?1 ORDER BY id DESC LIMIT 1 OFFSET ?2)",
        (int(record.failed), _KEPT),
    )


def list_records(transaction: Transaction, person: PersonId | None = None, *, limit: int) -> list[DoorRecord]:
    """The newest records of the person, or of everybody and nobody, the newest first."""
    where, values = ("", ()) if person is None else (" WHERE person = ?", (person,))
    rows = transaction.rows(
        f"SELECT at, person, what, factor, failed FROM sign_in{where} ORDER BY id DESC LIMIT ?", (*values, limit)
    )
    return [
        DoorRecord(
            at=Instant(row[0]),
            person=None if row[1] is None else PersonId(row[1]),
            what=str(row[2]),
            factor=row[3],
            failed=bool(row[4]),
        )
        for row in rows
    ]


def list_last_sign_ins(transaction: Transaction) -> dict[PersonId, Instant]:
    """When each person signed in last, as far as it is kept."""
    rows = transaction.rows(
        "SELECT person, (SELECT at FROM sign_in WHERE person = of.person AND what = 'sign-in' ORDER BY id DESC LIMIT 1)"
        " FROM (SELECT id AS person FROM person) AS of"
    )
    return {PersonId(row[0]): Instant(row[1]) for row in rows if row[1] is not None}


def _passkey(row: Row) -> StoredPasskey:
    return StoredPasskey(
        credential=bytes(row[0]),
        person=PersonId(row[1]),
        public_key=bytes(row[2]),
        digest=Digest(row[3]),
        name=str(row[4]),
        counter=int(row[5]),
        added_at=Instant(row[6]),
        used_at=None if row[7] is None else Instant(row[7]),
    )


def _account(row: Row) -> StoredAccount:
    return StoredAccount(
        person=PersonId(row[0]),
        issuer=str(row[1]),
        subject=str(row[2]),
        added_at=Instant(row[3]),
        used_at=None if row[4] is None else Instant(row[4]),
    )


def _session(row: Row) -> StoredSession:
    return StoredSession(
        hash=Digest(row[0]),
        id=str(row[1]),
        person=PersonId(row[2]),
        factor=str(row[3]),
        began_at=Instant(row[4]),
        used_at=Instant(row[5]),
    )
