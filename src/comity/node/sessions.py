# SPDX-License-Identifier: Apache-2.0
"""Shell: who is signed in to the console: sessions, their ends, and what happened at the door.

A session is a token of 256 random bits that the browser holds, and of which the store keeps the SHA-256. It ends after
30 minutes without a request and after 12 hours in any case; when the person or whoever controls the folder ends it; and
when the person is removed, gets another badge or is invited anew. A person has 20 at most: the oldest ends.

A session says that a person asks, and no more. What an act needs is decided where it is done (`node.people`): a person
with two sessions is one person.
"""

import hashlib
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field

from comity.agreement.people import Person
from comity.errors import NotFoundError, UnavailableError
from comity.ids import Digest, Instant, PersonId
from comity.node.node import Act, Node
from comity.node.people import drop_programs, find_present
from comity.store import people, sign_ins
from comity.store.sign_ins import DoorRecord, StoredSession

__all__ = [
    "IDLE",
    "LONGEST",
    "MOST_SESSIONS",
    "DoorRecord",
    "SignedIn",
    "StoredSession",
    "WaysIn",
    "begin_session",
    "end_session",
    "end_sessions",
    "end_token",
    "find_session",
    "find_session_of",
    "has_password",
    "hash_secret",
    "list_records",
    "list_sessions",
    "note_failure",
    "note_program",
    "read_ways_in",
    "sign_out",
]

IDLE = Instant(30 * 60 * 1_000_000)
LONGEST = Instant(12 * 3_600 * 1_000_000)
MOST_SESSIONS = 20
_NOTED = 60 * 1_000_000
_TOKEN_BYTES = 32
_ID_BYTES = 4
_MOST_TOKEN = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedIn:
    """A person who is signed in, and the token that says so; it can be read here and never again."""

    person: Person
    token: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class WaysIn:
    """By what one person can sign in, until when the person is invited, and when the last sign-in was.

    `account` is the issuer of the account at an OpenID provider.
    """

    password: bool
    passkeys: int
    account: str | None
    invited_until: Instant | None
    last_at: Instant | None


def begin_session(act: Act, node: Node, person: Person, *, factor: str) -> SignedIn:
    """A new session of the person, in the transaction in which it was verified who that is."""
    token = node.draw(_TOKEN_BYTES).hex()
    _forget_old(act)
    for oldest in sign_ins.list_sessions(act.transaction, person.id)[: -(MOST_SESSIONS - 1)]:
        sign_ins.delete_session(act.transaction, oldest.hash)
    session = StoredSession(
        hash=hash_secret(token),
        id=node.draw(_ID_BYTES).hex(),
        person=person.id,
        factor=factor,
        began_at=act.now,
        used_at=act.now,
    )
    sign_ins.add_session(act.transaction, session)
    _note(act, person.id, "sign-in", factor=factor)
    return SignedIn(person=person, token=token)


def find_session(node: Node, token: str) -> Person | None:
    """Whose session the token is of; None: of nobody's, or it has ended. That it was used is noted once a minute."""
    found = find_session_of(node, token)
    if found is None:
        return None
    session, person = found
    if node.clock() - session.used_at >= _NOTED:
        # A disk without room, or a store that is busy, keeps nobody from reading.
        with suppress(UnavailableError), node.store.write() as transaction:
            sign_ins.use_session(transaction, session.hash, now=node.clock())
    return person


def find_session_of(node: Node, token: str) -> tuple[StoredSession, Person] | None:
    """The session that the token is of, and its person, while it has not ended."""
    if len(token) != _MOST_TOKEN:
        return None
    now = node.clock()
    with node.store.read() as transaction:
        session = sign_ins.find_session(transaction, hash_secret(token))
        stored = None if session is None else people.read_person(transaction, session.person)
    if session is None or stored is None or stored.removed_at is not None or not _is_good(session, now):
        return None
    return session, stored.person


def list_sessions(node: Node, person: PersonId | None = None) -> list[StoredSession]:
    """The sessions that have not ended, of the person or of everybody, oldest first."""
    with node.store.read() as transaction:
        listed = sign_ins.list_sessions(transaction, person)
    return [session for session in listed if _is_good(session, node.clock())]


def end_token(node: Node, token: str) -> None:
    """End the session of this token, if there is one."""
    with node.act() as act:
        session = sign_ins.find_session(act.transaction, hash_secret(token))
        if session is not None:
            sign_ins.delete_session(act.transaction, session.hash)
            _note(act, session.person, "sign-out", factor=session.factor)


def end_session(node: Node, person: PersonId, session: str) -> None:
    """End the person's session of this id.

    Raises:
        NotFoundError: the person has none of it.
    """
    with node.act() as act:
        found = [item for item in sign_ins.list_sessions(act.transaction, person) if item.id == session]
        if not found:
            raise NotFoundError("there is no such session any more")
        sign_ins.delete_session(act.transaction, found[0].hash)
        _note(act, person, "end", factor=found[0].factor)


def end_sessions(node: Node, person: PersonId) -> int:
    """How many sessions of the person were ended: all. Programs of the person go on.

    Raises:
        NotFoundError: no such person, or removed.
    """
    with node.act() as act:
        find_present(act.transaction, person)
        _forget_old(act)
        ended = sign_ins.delete_sessions_of(act.transaction, person)
        if ended:
            _note(act, person, "end-all", factor=None)
    node.shut_out[person] += 1
    return ended


def sign_out(node: Node, person: PersonId) -> tuple[int, int]:
    """How many sessions, and how many programs, of the person were ended: all.

    Raises:
        NotFoundError: no such person, or removed.
    """
    with node.act() as act:
        stored = find_present(act.transaction, person)
        _forget_old(act)
        ended, stopped = sign_ins.delete_sessions_of(act.transaction, person), drop_programs(act, stored.person)
        if ended or stopped:
            _note(act, person, "end-all", factor=None)
    node.shut_out[person] += 1
    return ended, stopped


def note_program(act: Act, person: PersonId, *, ended: bool) -> None:
    """Keep that a program of the person was made, or ended."""
    _note(act, person, "end" if ended else "made", factor="program")


def note_failure(act: Act, person: PersonId | None, what: str, *, factor: str) -> None:
    """Keep that somebody was not let in; `person` is None where nobody of the name is on record."""
    _note(act, person, what, factor=factor, failed=True)


def list_records(node: Node, person: PersonId | None = None, *, limit: int = 100) -> list[DoorRecord]:
    """What happened at the door last, the newest first."""
    with node.store.read() as transaction:
        return sign_ins.list_records(transaction, person, limit=limit)


def read_ways_in(node: Node) -> dict[PersonId, WaysIn]:
    """By what each person on record can sign in."""
    with node.store.read() as transaction:
        persons = [stored.person.id for stored in people.list_persons(transaction)]
        passwords = sign_ins.list_passwords(transaction)
        passkeys = Counter(item.person for item in sign_ins.list_passkeys(transaction))
        accounts = {item.person: item.issuer for item in sign_ins.list_accounts(transaction)}
        invited, last = sign_ins.list_invitations(transaction), sign_ins.list_last_sign_ins(transaction)
    now = node.clock()
    return {
        person: WaysIn(
            password=person in passwords,
            passkeys=passkeys[person],
            account=accounts.get(person),
            invited_until=invited[person] if invited.get(person, now) > now else None,
            last_at=last.get(person),
        )
        for person in persons
    }


def has_password(node: Node, person: PersonId) -> bool:
    """Whether the person can sign in by a password."""
    with node.store.read() as transaction:
        return sign_ins.read_password(transaction, person) is not None


def hash_secret(secret: str) -> Digest:
    """The SHA-256 of a token or code of 256 random bits, by which it is found without being kept."""
    return Digest(hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest())


def _is_good(session: StoredSession, now: Instant) -> bool:
    return now < session.began_at + LONGEST and now < session.used_at + IDLE


def _forget_old(act: Act) -> None:
    began_by, used_by = Instant(act.now - LONGEST), Instant(act.now - IDLE)
    sign_ins.delete_old_sessions(act.transaction, began_by=began_by, used_by=used_by)


def _note(act: Act, person: PersonId | None, what: str, *, factor: str | None, failed: bool = False) -> None:
    record = DoorRecord(at=act.now, person=person, what=what, factor=factor, failed=failed)
    sign_ins.add_record(act.transaction, record)
