# SPDX-License-Identifier: Apache-2.0
"""Shell: people sign in by an account at the OpenID provider that the settings name, if they name one.

What the provider says makes nobody a person and gives nobody a role: an account counts for the one person who has
changed an invitation for it, and is known by its issuer and subject (OpenID Connect Core 1.0 §5.7), never by a name or
an address in its claims. A person has one account; another one takes another invitation.

Not here: that the provider said it of whoever is there (`node.tokens`, `console.provider`).
"""

import hashlib
from dataclasses import dataclass, field

from comity.errors import AuthenticationError, ConflictError, NotFoundError
from comity.ids import PersonId
from comity.node.invitations import redeem
from comity.node.node import Node
from comity.node.people import find_present, record_change
from comity.node.sessions import SignedIn, begin_session
from comity.release.disclosure import PeopleChange
from comity.store import Transaction, people, sign_ins
from comity.store.sign_ins import StoredAccount

__all__ = [
    "MAX_AGE_SECONDS",
    "Account",
    "Expected",
    "StoredAccount",
    "counts_as_way_in",
    "enrol_account",
    "find_account_of",
    "name_account",
    "remove_account",
    "sign_in_by_account",
]

MAX_AGE_SECONDS = 300
"""How long ago the provider may have authenticated the person: a session there that is older proves nobody here."""

_FACTOR = "openid"


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """Who somebody is at a provider, as a token of it that was verified says."""

    issuer: str
    subject: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """What a token must say: of which issuer it is, for whom, for which sign-in, and how the person was authenticated.

    `acr` is empty where no way of authenticating is demanded.
    """

    issuer: str
    client_id: str
    nonce: str = field(repr=False)
    acr: tuple[str, ...] = ()


def enrol_account(node: Node, code: str, account: Account) -> SignedIn:
    """The person whom the code invited, signed in, who from here on signs in by this account.

    Raises:
        AuthenticationError: the code invites nobody.
        ConflictError: the account is somebody's already.
    """
    with node.act() as act:
        person = redeem(act, code, factor=name_account(account.issuer, account.subject))
        kept = StoredAccount(
            person=person.id, issuer=account.issuer, subject=account.subject, added_at=act.now, used_at=None
        )
        if not sign_ins.add_account(act.transaction, kept):
            raise ConflictError("this account is known here already; sign in with it, or take another to enrol")
        return begin_session(act, node, person, factor=_FACTOR)


def sign_in_by_account(node: Node, account: Account) -> SignedIn:
    """The person, signed in, whose account it is.

    Raises:
        AuthenticationError: nobody's who is a person of this node; which is never told.
    """
    with node.act() as act:
        stored = sign_ins.find_account(act.transaction, account.issuer, account.subject)
        holder = None if stored is None else people.read_person(act.transaction, stored.person)
        if stored is None or holder is None or holder.removed_at is not None:
            # Nothing is kept of it: who has an account there and is nobody here pushes out nothing.
            raise AuthenticationError(
                "not signed in: this account is not, or no longer, known here. Who has an invitation enrols with it"
            )
        sign_ins.use_account(act.transaction, stored.person, now=act.now)
        return begin_session(act, node, holder.person, factor=_FACTOR)


def remove_account(node: Node, person: PersonId) -> None:
    """Let nobody sign in by the account of the person any more.

    Raises:
        NotFoundError: the person has none.
        ConflictError: it is all that the person can sign in by.
    """
    with node.act() as act:
        stored = find_present(act.transaction, person)
        found = sign_ins.list_accounts(act.transaction, person)
        if not found:
            raise NotFoundError("there is no such account any more")
        others = sign_ins.list_passkeys(act.transaction, person)
        if not others and sign_ins.read_password(act.transaction, person) is None:
            raise ConflictError("this is all that you can sign in by; add a passkey first")
        sign_ins.delete_account(act.transaction, person)
        factor = name_account(found[0].issuer, found[0].subject)
        record_change(act, PeopleChange.DROP, stored.person, factor=factor)


def find_account_of(node: Node, person: PersonId) -> StoredAccount | None:
    """The account by which the person signs in."""
    with node.store.read() as transaction:
        found = sign_ins.list_accounts(transaction, person)
    return found[0] if found else None


def counts_as_way_in(node: Node, transaction: Transaction, person: PersonId) -> bool:
    """Whether the person can sign in by an account as the settings are: one at the provider that they name."""
    console = node.settings.console
    issuer = None if console is None or console.oidc is None else console.oidc.issuer
    return any(item.issuer == issuer for item in sign_ins.list_accounts(transaction, person))


def name_account(issuer: str, subject: str) -> str:
    """What the log calls an account: whoever does not know it cannot read it there."""
    said = f"comity-account/1\n{issuer}\n{subject}"
    return f"{_FACTOR}:{hashlib.sha256(said.encode()).hexdigest()}"
