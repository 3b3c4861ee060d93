# SPDX-License-Identifier: Apache-2.0
"""Shell: a person signs in by a password and a second factor.

    begin    counts the try and reads what there is to verify: of an unknown or removed person, and of one without a
             password, something that nothing fits
    verify   Argon2id, which takes its time; uses nothing of the node, so that it may run in a thread of its own
    finish   reads again, in the transaction that begins the session, and uses the code up

Whatever was wrong, name, password or code, all three are done and the answer is the same.
"""

import hmac
from dataclasses import dataclass, field

from comity.errors import AuthenticationError, MalformedRequest
from comity.ids import PersonId, parse_person_id
from comity.node.invitations import name_seal
from comity.node.node import Node
from comity.node.passwords import Kept, find_step, open_sealed, stand_in, verify_password
from comity.node.sessions import SignedIn, begin_session, note_failure
from comity.node.tries import Tries
from comity.store import Transaction, people, sign_ins
from comity.store.people import StoredPerson
from comity.store.sign_ins import StoredPassword

__all__ = ["Attempt", "begin_sign_in", "finish_sign_in", "is_known", "is_marked", "mark_browser", "sign_in"]

_NOBODY = PersonId("-")
"""An id that no person has (`ids.parse_person_id`)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One try: the name as typed, and what is to be verified."""

    name: str
    known: PersonId | None
    sealed: bytes | None = field(repr=False)
    kept: Kept = field(repr=False)

    def verify(self, password: str) -> bool:
        """Whether the password fits; the same work for everybody."""
        return verify_password(self.kept.hash, password)


def begin_sign_in(node: Node, tries: Tries, name: str) -> Attempt:
    """The try of whoever says to be `name`.

    Raises:
        RateLimited: too many tries, of that name or of all; nothing may be verified.
    """
    tries.begin(node, name)
    nobody = stand_in()
    with node.store.read() as transaction:
        person, stored = _find(transaction, name)
    kept = None if stored is None else _open(node, stored)
    return Attempt(
        name=name,
        known=None if person is None else person.person.id,
        sealed=None if stored is None or kept is None else stored.sealed,
        kept=kept or nobody,
    )


def finish_sign_in(node: Node, tries: Tries, attempt: Attempt, *, matches: bool, code: str) -> SignedIn:
    """The person, signed in, if the password `matches` and the code is one that was not used.

    Raises:
        AuthenticationError: not so. What was wrong is never told.
    """
    signed_in: SignedIn | None = None
    with node.act() as act:
        person, stored = _find(act.transaction, attempt.name)
        after = -1 if stored is None else stored.counter
        step = find_step(attempt.kept.secret, code, now=node.read_machine_clock(), after=after)
        # What was verified must be what counts: the person may have been removed or invited anew in between.
        same = stored is not None and attempt.sealed is not None and stored.sealed == attempt.sealed
        if matches and same and step is not None and person is not None:
            sign_ins.use_code(act.transaction, person.person.id, counter=step)
            signed_in = begin_session(act, node, person.person, factor="password")
            tries.succeed(node, act.transaction, attempt.name)
        else:
            note_failure(act, attempt.known, "refused", factor="password")
    if signed_in is None:
        raise AuthenticationError("not signed in: the name, the password or the code is not right")
    return signed_in


def sign_in(node: Node, tries: Tries, *, name: str, password: str, code: str) -> SignedIn:
    """All three at once, for who can wait.

    Raises:
        RateLimited, AuthenticationError: as the parts.
    """
    attempt = begin_sign_in(node, tries, name)
    return finish_sign_in(node, tries, attempt, matches=attempt.verify(password), code=code)


def mark_browser(node: Node, person: PersonId) -> str:
    """What a browser keeps in which this person has signed in: it has an allowance of tries that no stranger uses up.

    It lets nobody in, and names nobody.
    """
    said = f"comity-known-browser/1\n{node.party}\n{person}".encode()
    return hmac.digest(node.keyring.open_sealing(), said, "sha256").hex()


def is_marked(node: Node, name: str, mark: str) -> bool:
    """Whether the person of this name has signed in before in the browser that shows `mark` (empty: it shows none)."""
    if not mark:
        return False  # nor is the key made that seals, before anybody has enrolled
    try:
        person = parse_person_id(name)
    except MalformedRequest:
        return False
    return hmac.compare_digest(mark_browser(node, person).encode(), mark.encode("utf-8", "surrogatepass"))


def is_known(node: Node, mark: str) -> bool:
    """Whether anybody who is a person of this node has signed in before in the browser that shows `mark`."""
    if not mark:
        return False
    with node.store.read() as transaction:
        persons = [stored.person.id for stored in people.list_persons(transaction) if stored.removed_at is None]
    return any(is_marked(node, person, mark) for person in persons)


def _find(transaction: Transaction, name: str) -> tuple[StoredPerson | None, StoredPassword | None]:
    """The person on record and what it signs in by; both are read whether there is one or not."""
    try:
        wanted = parse_person_id(name)
    except MalformedRequest:
        wanted = _NOBODY
    person, stored = people.read_person(transaction, wanted), sign_ins.read_password(transaction, wanted)
    if person is None or person.removed_at is not None:
        return None, None
    return person, stored


def _open(node: Node, stored: StoredPassword) -> Kept | None:
    match open_sealed(node.keyring.open_sealing(), stored.sealed, to=name_seal(node, stored.person)):
        case {"hash": str(hashed), "secret": str(secret)}:
            return Kept(hash=hashed, secret=bytes.fromhex(secret))
        case _:
            # Restored without the folder of keys: this person is to be invited anew.
            return None
