# SPDX-License-Identifier: Apache-2.0
"""Shell: how a person comes to sign in: an invitation by whoever controls the folder, and what it is changed for.

An invitation is a code of 256 random bits, good once and for 24 hours, of which the store keeps the SHA-256. There are
no default credentials: the first person comes in this way too. Who is invited anew has lost something, so that what the
person signed in by before ends at once, and so do the person's sessions.

The code is changed for a passkey (`node.passkeys`) or for a password with a second factor. The secret of the second
factor is offered each time anew, sealed: who saw an earlier offer does not know the one that is taken.

Each of these is an entry in the log. No secret is.
"""

import base64
import re
from dataclasses import dataclass, field

from comity.agreement.people import Person
from comity.errors import AuthenticationError, MalformedRequest
from comity.ids import Instant, PersonId
from comity.node.node import Act, Node
from comity.node.passwords import (
    SECRET_BYTES,
    check_password,
    find_step,
    make_uri,
    open_sealed,
    seal,
    show_secret,
)
from comity.node.people import drop_programs, find_present, record_change
from comity.node.sessions import SignedIn, begin_session, hash_secret
from comity.release.disclosure import PeopleChange
from comity.store import people, sign_ins
from comity.store.sign_ins import StoredPassword

__all__ = [
    "INVITED_FOR",
    "Invitation",
    "Offer",
    "enrol_password",
    "find_invited",
    "invite_person",
    "name_seal",
    "offer_password",
    "prepare_password",
    "redeem",
]

INVITED_FOR = Instant(24 * 3_600 * 1_000_000)
_CODE_BYTES = 32
_CODE = re.compile(r"[A-Z2-7]{52}", re.ASCII)
_MOST_CODE = 200
_GROUP = 4
_OFFERED_FOR = 30 * 60 * 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Invitation:
    """A code, which can be read here and never again, and until when it is good."""

    person: Person
    code: str = field(repr=False)
    expires_at: Instant


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """The secret of a second factor that may be taken: as text, as a URI for a picture, and sealed."""

    secret: str = field(repr=False)
    uri: str = field(repr=False)
    sealed: str = field(repr=False)


def invite_person(node: Node, person: PersonId) -> Invitation:
    """A new invitation; earlier ones, what the person signed in by, the person's sessions and programs are dead.

    So is what the person approved and is not done.

    Raises:
        NotFoundError: no such person, or removed.
    """
    letters = base64.b32encode(node.draw(_CODE_BYTES)).decode().rstrip("=")
    with node.act() as act:
        stored = find_present(act.transaction, person)
        expires_at = Instant(act.now + INVITED_FOR)
        sign_ins.delete_factors(act.transaction, person)
        sign_ins.delete_sessions_of(act.transaction, person)
        drop_programs(act, stored.person)
        # What was approved by whoever had what is dead from here on carries no act any more.
        people.delete_approvals_of(act.transaction, person)
        code_hash = hash_secret(letters)
        sign_ins.put_invitation(act.transaction, person, code_hash=code_hash, expires_at=expires_at)
        record_change(act, PeopleChange.INVITE, stored.person)
    node.shut_out[person] += 1
    code = "-".join(letters[start : start + _GROUP] for start in range(0, len(letters), _GROUP))
    return Invitation(person=stored.person, code=code, expires_at=expires_at)


def find_invited(node: Node, code: str) -> Person:
    """Whom the code invites. Nothing is changed by looking.

    Raises:
        AuthenticationError: nobody, or no longer; which of these is never told.
    """
    letters, now = _read_code(code), node.clock()
    with node.store.read() as transaction:
        found = sign_ins.find_invitation(transaction, hash_secret(letters))
        stored = None if found is None else people.read_person(transaction, found[0])
    if found is None or found[1] <= now or stored is None or stored.removed_at is not None:
        raise _refuse()
    return stored.person


def offer_password(node: Node, code: str) -> Offer:
    """The secret of a second factor, drawn for this page alone.

    Raises:
        AuthenticationError: the code invites nobody.
    """
    person = find_invited(node, code)
    secret = node.draw(SECRET_BYTES)
    data: dict[str, str | int] = {"secret": secret.hex(), "until": node.clock() + _OFFERED_FOR}
    sealed = seal(node.keyring.open_sealing(), data, to=_name_offer(code), draw=node.draw)
    return Offer(
        secret=show_secret(secret), uri=make_uri(secret, person=person.id, party=node.party), sealed=sealed.hex()
    )


def prepare_password(node: Node, code: str, password: str) -> str:
    """The password in the form in which it is hashed, if the person may have it.

    Raises:
        AuthenticationError: the code invites nobody.
        MalformedRequest: too short, too long, or easy to guess.
    """
    person = find_invited(node, code)
    return check_password(password, {person.id, person.name, node.party, *person.name.split()})


def enrol_password(node: Node, code: str, *, hashed: str, sealed: str, second: str) -> SignedIn:
    """The person, signed in, who from here on signs in by the password with this hash and by codes of what was offered.

    Raises:
        AuthenticationError: the code invites nobody.
        MalformedRequest: `second` is not the code that the app shows now, or the offer is too old.
    """
    key = node.keyring.open_sealing()
    secret, until = _open_offer(key, code, sealed)
    with node.act() as act:
        if until <= act.now:
            raise MalformedRequest("this page is too old; begin again with the invitation")
        step = find_step(secret, second, now=node.read_machine_clock(), after=0)
        if step is None:
            raise MalformedRequest("this is not the code that the app shows now; is the clock of its device right?")
        person = redeem(act, code, factor="password")
        data: dict[str, str | int] = {"hash": hashed, "secret": secret.hex()}
        kept = seal(key, data, to=name_seal(node, person.id), draw=node.draw)
        sign_ins.put_password(act.transaction, StoredPassword(person=person.id, sealed=kept, counter=step), now=act.now)
        return begin_session(act, node, person, factor="password")


def redeem(act: Act, code: str, *, factor: str) -> Person:
    """Whom the code invited, which is good no more; on record with what it was changed for, in the same transaction.

    Raises:
        AuthenticationError: nobody, or no longer.
    """
    found = sign_ins.find_invitation(act.transaction, hash_secret(_read_code(code)))
    stored = None if found is None else people.read_person(act.transaction, found[0])
    if found is None or found[1] <= act.now or stored is None or stored.removed_at is not None:
        raise _refuse()
    sign_ins.delete_invitation(act.transaction, stored.person.id)
    record_change(act, PeopleChange.ENROL, stored.person, factor=factor)
    return stored.person


def name_seal(node: Node, person: PersonId) -> str:
    """For what a password is sealed: one person of one party."""
    return f"comity-password/1 {node.party} {person}"


def _name_offer(code: str) -> str:
    return f"comity-offer/1 {hash_secret(_read_code(code))}"


def _open_offer(key: bytes, code: str, sealed: str) -> tuple[bytes, int]:
    try:
        data = open_sealed(key, bytes.fromhex(sealed), to=_name_offer(code))
    except ValueError:
        data = None
    match data:
        case {"secret": str(secret), "until": int(until)}:
            return bytes.fromhex(secret), until
        case _:
            raise MalformedRequest("this page is of another invitation; begin again")


def _read_code(code: str) -> str:
    letters = "".join(code[:_MOST_CODE].replace("-", "").split()).upper()
    if _CODE.fullmatch(letters) is None:
        raise _refuse()
    return letters


def _refuse() -> AuthenticationError:
    return AuthenticationError(
        "this invitation is not, or no longer, good: it counts once and for 24 hours. Ask whoever controls the node for"
        " another (`comity person invite`)"
    )
