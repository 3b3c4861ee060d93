# SPDX-License-Identifier: Apache-2.0
"""Shell: people sign in by passkeys (W3C Web Authentication Level 3), which py_webauthn verifies.

The authenticator verifies who uses it, and holds the passkey by itself: so a sign-in names nobody, and tells nobody who
exists. A passkey is of one console, by the host name in its URL; where that is no name but a number, there are none.
Attestation is not asked for: which make of authenticator somebody has is no matter of this node.

A challenge is kept here, counts once, for five minutes, and for what it was drawn for. An authenticator that counts
must count on: one that goes back may be a copy, is refused, and is on record as that.
"""

import hashlib
import hmac
import ipaddress
import json
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from webauthn import (
    generate_authentication_options,
    generate_registration_options,
    verify_authentication_response,
    verify_registration_response,
)
from webauthn.helpers import base64url_to_bytes, parse_authentication_credential_json, parse_client_data_json
from webauthn.helpers.options_to_json_dict import options_to_json_dict
from webauthn.helpers.structs import (
    AuthenticatorSelectionCriteria,
    PublicKeyCredentialDescriptor,
    ResidentKeyRequirement,
    UserVerificationRequirement,
)
from webauthn.registration.verify_registration_response import VerifiedRegistration

from comity.agreement.people import Person
from comity.canonical import sha256_digest
from comity.errors import AuthenticationError, ConflictError, MalformedRequest, NotFoundError
from comity.ids import PersonId
from comity.node.accounts import counts_as_way_in
from comity.node.invitations import find_invited, redeem
from comity.node.node import Act, Node
from comity.node.people import find_present, normalise_text, record_change
from comity.node.sessions import SignedIn, begin_session, note_failure
from comity.node.tries import Tries, refuse
from comity.release.disclosure import PeopleChange
from comity.store import people, sign_ins
from comity.store.sign_ins import StoredPasskey

__all__ = [
    "Challenges",
    "Console",
    "StoredPasskey",
    "add_passkey",
    "enrol_passkey",
    "find_console",
    "list_passkeys",
    "offer_passkey",
    "offer_passkey_sign_in",
    "remove_passkey",
    "sign_in_by_passkey",
]

_CHALLENGE_BYTES = 32
_UNTIL_BYTES, _SIGNED_BYTES = 8, 32
_CHALLENGE_LIFETIME = 5 * 60 * 1_000_000
_TIMEOUT_MILLISECONDS = 300_000
_MOST_RESPONSE = 32_768
_MOST_CREDENTIAL_BYTES = 1_023
_MOST_PASSKEYS = 20
_MOST_NAME = 60
_SIGN_IN = "sign-in"


@dataclass(frozen=True, slots=True, kw_only=True)
class Console:
    """Of which console passkeys are: its host name (the id of the relying party), and the origin of its pages."""

    host: str
    origin: str


class Challenges:
    """Challenges, each for one purpose, good once and for five minutes.

    One that is drawn is not kept: it says itself until when it is good, under a key of this process. So nobody makes
    this forget those of others by asking for many. Kept is which were answered; a person who answers is found by then.
    """

    def __init__(self) -> None:
        self._key: bytes | None = None
        self._used: dict[bytes, int] = {}

    def draw(self, node: Node, purpose: str) -> bytes:
        """A challenge for this purpose."""
        nonce = node.draw(_CHALLENGE_BYTES)
        until = (node.clock() + _CHALLENGE_LIFETIME).to_bytes(_UNTIL_BYTES, "big")
        return nonce + until + self._sign(node, nonce + until, purpose)

    def take(self, node: Node, challenge: bytes, purpose: str) -> bool:
        """Whether it was drawn for this purpose and is still good; from here on it is not."""
        said, signed = challenge[:-_SIGNED_BYTES], challenge[-_SIGNED_BYTES:]
        now, until = node.clock(), int.from_bytes(said[_CHALLENGE_BYTES:], "big")
        if not hmac.compare_digest(signed, self._sign(node, said, purpose)) or now >= until or challenge in self._used:
            return False
        self._used = {used: end for used, end in self._used.items() if end > now} | {challenge: until}
        return True

    def _sign(self, node: Node, said: bytes, purpose: str) -> bytes:
        self._key = self._key or node.draw(_CHALLENGE_BYTES)
        return hmac.digest(self._key, said + purpose.encode(), "sha256")


def find_console(url: str) -> Console | None:
    """Of what console the passkeys are that is reached by `url`; None where its host is a number."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return Console(host=host, origin=f"{parts.scheme}://{parts.netloc}")
    return None


# --- a passkey comes on record ----------------------------------------------------------------------------------------


def offer_passkey(node: Node, challenges: Challenges, console: Console, person: Person) -> dict[str, Any]:
    """What the browser gives to `navigator.credentials.create` for this person, who was verified by other means."""
    with node.store.read() as transaction:
        there = sign_ins.list_passkeys(transaction, person.id)
    options = generate_registration_options(
        rp_id=console.host,
        rp_name=f"Comity {node.party}",
        user_id=_name_user(node, person.id),
        user_name=person.id,
        user_display_name=person.name,
        challenge=challenges.draw(node, _name_purpose(person.id)),
        timeout=_TIMEOUT_MILLISECONDS,
        authenticator_selection=AuthenticatorSelectionCriteria(
            resident_key=ResidentKeyRequirement.REQUIRED, user_verification=UserVerificationRequirement.REQUIRED
        ),
        exclude_credentials=[PublicKeyCredentialDescriptor(id=item.credential) for item in there],
    )
    return dict[str, Any](options_to_json_dict(options))


def enrol_passkey(
    node: Node, challenges: Challenges, console: Console, *, code: str, response: str, name: str
) -> SignedIn:
    """The person whom the code invited, signed in, who from here on signs in by this passkey.

    Raises:
        AuthenticationError: the code invites nobody.
        MalformedRequest: the response is not of this invitation's challenge and console, or nobody was verified.
        ConflictError: the passkey is known already.
    """
    person = find_invited(node, code)
    passkey = _verify_new(node, challenges, console, person=person.id, response=response, name=name)
    with node.act() as act:
        redeem(act, code, factor=passkey.digest)
        _keep(act, passkey)
        return begin_session(act, node, person, factor="passkey")


def add_passkey(
    node: Node, challenges: Challenges, console: Console, *, person: PersonId, response: str, name: str
) -> StoredPasskey:
    """One more passkey of a person who is signed in.

    Raises:
        NotFoundError: the person was removed.
        MalformedRequest: as `enrol_passkey`.
        ConflictError: the passkey is known already, or the person has 20.
    """
    passkey = _verify_new(node, challenges, console, person=person, response=response, name=name)
    with node.act() as act:
        stored = find_present(act.transaction, person)
        if len(sign_ins.list_passkeys(act.transaction, person)) >= _MOST_PASSKEYS:
            raise ConflictError(f"a person has {_MOST_PASSKEYS} passkeys at most; remove one first")
        record_change(act, PeopleChange.ENROL, stored.person, factor=passkey.digest)
        _keep(act, passkey)
    return passkey


def remove_passkey(node: Node, person: PersonId, digest: str) -> None:
    """Let nobody sign in by this passkey of the person any more.

    Raises:
        NotFoundError: the person has none of it.
        ConflictError: it is the last that the person can sign in by.
    """
    with node.act() as act:
        stored = find_present(act.transaction, person)
        there = sign_ins.list_passkeys(act.transaction, person)
        found = [item for item in there if item.digest == digest]
        if not found:
            raise NotFoundError("there is no such passkey any more")
        others = sign_ins.read_password(act.transaction, person) is not None
        if len(there) == 1 and not others and not counts_as_way_in(node, act.transaction, person):
            raise ConflictError("this is the last that you can sign in by; add another passkey first")
        sign_ins.delete_passkey(act.transaction, found[0].credential)
        record_change(act, PeopleChange.DROP, stored.person, factor=found[0].digest)


def list_passkeys(node: Node, person: PersonId) -> list[StoredPasskey]:
    """The passkeys of the person, oldest first."""
    with node.store.read() as transaction:
        return sign_ins.list_passkeys(transaction, person)


# --- a person signs in ------------------------------------------------------------------------------------------------


def offer_passkey_sign_in(node: Node, challenges: Challenges, console: Console) -> dict[str, Any]:
    """What the browser gives to `navigator.credentials.get`; it names no passkey, so that nothing is told."""
    options = generate_authentication_options(
        rp_id=console.host,
        challenge=challenges.draw(node, _SIGN_IN),
        timeout=_TIMEOUT_MILLISECONDS,
        user_verification=UserVerificationRequirement.REQUIRED,
    )
    return dict[str, Any](options_to_json_dict(options))


def sign_in_by_passkey(
    node: Node, challenges: Challenges, console: Console, tries: Tries, *, response: str
) -> SignedIn:
    """The person, signed in, whose passkey made the response.

    Raises:
        RateLimited: too many tries.
        AuthenticationError: it is of no passkey of a person of this node, or does not verify; which is never told.
    """
    refused = AuthenticationError("not signed in: this passkey is not, or no longer, known here")
    signed_in: SignedIn | None = None
    with node.act() as act:
        stored = _find_passkey(act, response)
        holder = None if stored is None else people.read_person(act.transaction, stored.person)
        if stored is None or holder is None or holder.removed_at is not None:
            # Neither counted nor kept: whoever has no passkey of this node uses nothing up that others need.
            raise refused
        wait = tries.take_key(act.transaction, act.now)
        if wait <= 0:
            signed_in = _let_in(act, node, holder.person, stored, _verify(node, challenges, console, stored, response))
    if wait > 0:
        raise refuse(wait)
    if signed_in is None:
        raise refused
    return signed_in


def _let_in(act: Act, node: Node, person: Person, stored: StoredPasskey, counted: int | None) -> SignedIn | None:
    """The person, signed in by a passkey that verified and `counted` so far; None where it did not, which is noted."""
    # An authenticator that does not count says 0 always (§6.1.1).
    went_back = counted is not None and max(counted, stored.counter) > 0 and counted <= stored.counter
    if counted is None or went_back:
        note_failure(act, stored.person, "copied" if went_back else "refused", factor="passkey")
        return None
    sign_ins.use_passkey(act.transaction, stored.credential, counter=counted, now=act.now)
    return begin_session(act, node, person, factor="passkey")


def _verify_new(
    node: Node, challenges: Challenges, console: Console, *, person: PersonId, response: str, name: str
) -> StoredPasskey:
    """The passkey that the response makes known, not kept yet."""
    given = normalise_text(name, most=_MOST_NAME, where="name")
    challenge = _take_challenge(node, challenges, response, _name_purpose(person))
    verified = None if challenge is None else _read_new(console, challenge, response)
    if verified is None or len(verified.credential_id) > _MOST_CREDENTIAL_BYTES:
        raise MalformedRequest("this passkey could not be verified; load the page again and try once more")
    return StoredPasskey(
        credential=verified.credential_id,
        person=person,
        public_key=verified.credential_public_key,
        digest=sha256_digest(verified.credential_public_key),
        name=given,
        counter=verified.sign_count,
        added_at=node.clock(),
        used_at=None,
    )


def _read_new(console: Console, challenge: bytes, response: str) -> VerifiedRegistration | None:
    try:
        return verify_registration_response(
            credential=response,
            expected_challenge=challenge,
            expected_rp_id=console.host,
            expected_origin=console.origin,
            require_user_verification=True,
        )
    except Exception:  # noqa: BLE001 (CBOR, COSE, X.509 of strangers: whatever a parser raises, nobody is let in)
        return None


def _verify(node: Node, challenges: Challenges, console: Console, stored: StoredPasskey, response: str) -> int | None:
    """What the authenticator counted, if the response is of this passkey, for a challenge of this console."""
    challenge = _take_challenge(node, challenges, response, _SIGN_IN)
    if challenge is None:
        return None
    try:
        credential = parse_authentication_credential_json(response)
        handle = credential.response.user_handle
        if handle is not None and handle != _name_user(node, stored.person):
            return None
        # What was counted before is compared by the caller, who tells a copy from what is no passkey at all.
        return verify_authentication_response(
            credential=credential,
            expected_challenge=challenge,
            expected_rp_id=console.host,
            expected_origin=console.origin,
            credential_public_key=stored.public_key,
            credential_current_sign_count=0,
            require_user_verification=True,
        ).new_sign_count
    except Exception:  # noqa: BLE001 (as above)
        return None


def _take_challenge(node: Node, challenges: Challenges, response: str, purpose: str) -> bytes | None:
    """The challenge that the response answers, if it is one of ours; it is good no more."""
    if len(response) > _MOST_RESPONSE:
        return None
    try:
        said = json.loads(response)["response"]["clientDataJSON"]
        challenge = parse_client_data_json(base64url_to_bytes(said)).challenge
    except Exception:  # noqa: BLE001 (as above)
        return None
    return challenge if challenges.take(node, challenge, purpose) else None


def _find_passkey(act: Act, response: str) -> StoredPasskey | None:
    if len(response) > _MOST_RESPONSE:
        return None
    try:
        credential = parse_authentication_credential_json(response).raw_id
    except Exception:  # noqa: BLE001 (as above)
        return None
    return sign_ins.find_passkey(act.transaction, credential)


def _keep(act: Act, passkey: StoredPasskey) -> None:
    if not sign_ins.add_passkey(act.transaction, passkey):
        raise ConflictError("this passkey is known here already")


def _name_user(node: Node, person: PersonId) -> bytes:
    """What an authenticator knows the person by, from which nothing of the person follows for who does not know it."""
    return hashlib.sha256(f"comity-user/1 {node.party} {person}".encode()).digest()


def _name_purpose(person: PersonId) -> str:
    return f"enrol {person}"
