# SPDX-License-Identifier: Apache-2.0
"""Shell: who is pinned, by which manifest, and who is asking.

A party is pinned by the digest of its manifest, which people compare over another channel. Later manifests follow by
the chain rule alone: signed by the old threshold and the new one (`signing.verify_successor`).
"""

import hashlib
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import cast

from comity.errors import (
    AuthenticationError,
    ConflictError,
    CorruptionError,
    MalformedRequest,
    NotFoundError,
    UnavailableError,
    VerificationError,
)
from comity.exchange import verify_access
from comity.ids import Digest, Instant, PartyId, format_instant
from comity.lineage import Version
from comity.node.lineage import check_keys, put_manifest, revoke_good_credentials
from comity.node.node import Act, Node
from comity.release.disclosure import CredentialChange, EntryType, format_credential_content
from comity.signing import Manifest, SignedDocument, parse_manifest, parse_signed_document, verify_manifest
from comity.signing import verify_successor as verify_next
from comity.store import Transaction, agreements, parties, sources
from comity.store.changes import read_changes
from comity.store.parties import StoredCredential

__all__ = [
    "CREDENTIAL_DAYS",
    "MAX_CREDENTIAL_DAYS",
    "KnownParty",
    "StoredCredential",
    "add_party",
    "authenticate",
    "check_url",
    "create_credential",
    "export_manifest",
    "find_manifest",
    "find_party",
    "issue_credential",
    "list_credentials",
    "list_parties",
    "read_cursor_key",
    "read_manifests",
    "read_node_key",
    "remember_manifests",
    "revoke_credential",
    "revoke_good_credentials",
]

CREDENTIAL_DAYS = 365
"""How long a credential is good unless another span is asked for."""

MAX_CREDENTIAL_DAYS = 3_650

_SECRET_BYTES = 32
_ID_BYTES = 6
_MIN_PREFIX = 4
_MAX_CREDENTIALS = 20
_SHOWN = 10
_DAY = 86_400_000_000
_MAX_CREDENTIAL_CHARACTERS = 8_192


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownParty:
    """One pinned party and where its node is, if known."""

    manifest: Manifest
    url: str | None


def export_manifest(node: Node) -> bytes:
    """This party's own signed manifest, to be given to partners; its digest goes by another channel."""
    with node.store.read() as transaction:
        own = parties.read_party(transaction, node.party)
    if own is None:
        raise CorruptionError("the store does not hold this party's own manifest; restore a backup")
    return own.envelope


def find_manifest(node: Node, party: PartyId, *, number: int | None = None, at: Instant | None = None) -> bytes:
    """The signed manifest of a party as received: the one with that number, and the newest that was issued by `at`.

    Those from before the party was pinned anew count too. Its numbers may have begun again: the newest is meant.

    Raises:
        NotFoundError: the party is not pinned here, or no such manifest is kept; the others are named.
    """
    with node.store.read() as transaction:
        kept = [envelope for who, _, _, envelope in parties.list_manifests(transaction) if who == party]
    if not kept:
        raise NotFoundError(f"{party} is not a party this node knows; `party list` shows those that are")
    read = [(parse_manifest(parse_signed_document(envelope).payload), envelope) for envelope in kept]
    fitting = [
        envelope
        for manifest, envelope in read
        if number in {None, manifest.version} and (at is None or manifest.issued_at <= at)
    ]
    if not fitting:
        there = ", ".join(f"{each.version} of {format_instant(each.issued_at)}" for each, _ in read[-_SHOWN:])
        raise NotFoundError(f"no such manifest of {party} is kept here; kept are, by number: {there}")
    return fitting[-1]


def add_party(node: Node, envelope: bytes, *, digest: Digest | None, url: str | None) -> Manifest:
    """The manifest now pinned for its party.

    A party not seen before needs its `digest`; a known one is followed by the chain rule, or only its `url` is set when
    the manifest is the pinned one.

    Raises:
        MalformedMessage, MalformedManifest: the file.
        VerificationError: digest, signatures, expiry or chain.
        ConflictError: the manifest claims to be this node's own party.
        MalformedRequest: a new party without a digest, or a URL that is not http or https.
    """
    document, clean = parse_signed_document(envelope), check_url(url)
    with node.act() as act:
        claimed = parse_manifest(document.payload)
        if claimed.party == node.party:
            raise ConflictError(f"{claimed.party} is this node's own party; a partner cannot have the same id")
        if sources.is_originator(act.transaction, claimed.party):
            raise ConflictError(f"{claimed.party} stands for a source here (`source list`), and can be no partner")
        known = parties.read_party(act.transaction, claimed.party)
        if known is not None and known.manifest == claimed.digest and digest in {None, claimed.digest}:
            manifest = claimed
        elif known is None:
            manifest = _verify_first(document, claimed, digest=digest, node=node)
        else:
            current = parse_manifest(parse_signed_document(known.envelope).payload)
            manifest = _verify_later(current, document, now=act.now)
            put_manifest(act, Version(manifest=manifest, envelope=envelope), before=current, url=clean)
            return manifest
        check_keys(act.transaction, manifest)
        parties.put_party(act.transaction, manifest, envelope=envelope, url=clean, now=act.now)
        # What waits for this party is worth a try at once: its address or its keys may be what was missing.
        agreements.make_due(act.transaction, manifest.party, now=act.now)
    return manifest


def check_url(url: str | None) -> str | None:
    """The URL of a node, without a last slash.

    Raises:
        MalformedRequest: it is none of http or https.
    """
    if url is not None and not url.startswith(("https://", "http://")):
        raise MalformedRequest(f"{url!r} is not a URL of a node; it begins with https:// (or http:// on loopback)")
    return url.rstrip("/") if url else None


def _verify_later(current: Manifest, document: SignedDocument, *, now: Instant) -> Manifest:
    try:
        return verify_next(current, document, now=now)
    except VerificationError as error:
        said = (
            f"{error.detail}. If {current.party} has lost its keys, so that nothing can follow from what is pinned, two"
            " people pin it anew: `party repin`"
        )
        raise type(error)(said, **error.facts) from error


def list_parties(node: Node) -> list[KnownParty]:
    """Every pinned party, this node's own among them, by id."""
    with node.store.read() as transaction:
        return [
            KnownParty(manifest=parse_manifest(parse_signed_document(item.envelope).payload), url=item.url)
            for item in parties.list_parties(transaction)
        ]


def find_party(node: Node, party: PartyId) -> KnownParty:
    """The pinned party.

    Raises:
        NotFoundError: not pinned here.
    """
    for known in list_parties(node):
        if known.manifest.party == party:
            return known
    raise NotFoundError(f"{party} is not a party this node knows; pin it with `party add FILE --digest D`")


def read_manifests(transaction: Transaction) -> dict[PartyId, Manifest]:
    """The manifest in use of every pinned party.

    Their signatures were verified when they were pinned, and are not verified again here.
    """
    return {
        item.id: parse_manifest(parse_signed_document(item.envelope).payload)
        for item in parties.list_parties(transaction)
    }


def create_credential(node: Node, party: PartyId, *, days: int = CREDENTIAL_DAYS) -> str:
    """A new secret for `party`, 64 characters, good for `days`; shown once, only its hash is kept.

    Those that the party has stay good beside it, until they run out or are revoked.

    Raises:
        NotFoundError: the party is not pinned here.
        MalformedRequest: not from 1 to 3650 days.
        ConflictError: the party has too many that are good.
    """
    secret, _ = issue_credential(node, party, days=days)
    return secret


def issue_credential(node: Node, party: PartyId, *, days: int) -> tuple[str, StoredCredential]:
    """As `create_credential`, with what is kept of it."""
    if not 0 < days <= MAX_CREDENTIAL_DAYS:
        raise MalformedRequest(f"a credential is good for 1 to {MAX_CREDENTIAL_DAYS} days, not {days}", where="--days")
    find_party(node, party)
    secret = node.draw(_SECRET_BYTES).hex()
    with node.act() as act:
        good = [item for item in parties.list_credentials(act.transaction, party) if item.is_good(act.now)]
        if len(good) >= _MAX_CREDENTIALS:
            raise ConflictError(
                f"{party} has {len(good)} credentials that are good, which is the bound; `credential list` shows them."
                " Revoke those that are not used"
            )
        credential = StoredCredential(
            id=node.draw(_ID_BYTES).hex(),
            party=party,
            created_at=act.now,
            expires_at=Instant(act.now + days * _DAY),
            revoked_at=None,
            used_day=None,
        )
        parties.add_credential(act.transaction, credential, secret_hash=_hash(secret))
        _record(act, CredentialChange.CREATE, credential)
    return secret, credential


def list_credentials(node: Node, party: PartyId | None = None) -> list[StoredCredential]:
    """Every credential ever given, or those given to `party`: by party, oldest first."""
    with node.store.read() as transaction:
        return parties.list_credentials(transaction, party)


def revoke_credential(node: Node, name: str) -> StoredCredential:
    """The credential whose id is, or begins with, `name`: from here on it lets nobody in.

    An answer that is under way goes on; to stop that, suspend the agreement.

    Raises:
        NotFoundError: there is none, or it was revoked before.
        MalformedRequest: it fits several, or is too short.
    """
    if len(name) < _MIN_PREFIX:
        raise MalformedRequest(f"{name!r} is too short to name a credential; give at least {_MIN_PREFIX} characters")
    with node.act() as act:
        found = [item for item in parties.list_credentials(act.transaction) if item.id.startswith(name.lower())]
        if len(found) > 1:
            raise MalformedRequest(f"{name!r} fits {len(found)} credentials; give more characters")
        if not found or found[0].revoked_at is not None:
            raise NotFoundError(f"there is no credential {name!r} to revoke; `credential list` shows those there are")
        parties.revoke_credential(act.transaction, found[0].id, now=act.now)
        _record(act, CredentialChange.REVOKE, found[0])
        return replace(found[0], revoked_at=act.now)


def authenticate(node: Node, *, secret: str | None, shown_at: Instant | None = None) -> PartyId:
    """The party that `secret` belongs to: a credential given to it, or an access token it signed.

    `shown_at` is when whoever waits since then showed it (None: now). A token has its minute then and not now, but a
    credential, and the keys that a token is signed by, have to be good now.

    Raises:
        AuthenticationError: neither; the reason is never told to who asks.
    """
    if secret is None or len(secret) > _MAX_CREDENTIAL_CHARACTERS:
        raise AuthenticationError("no credential was given")
    now, secret_hash = node.clock(), _hash(secret)
    credential = _find_credential(node, secret_hash)
    if credential is None:
        with node.store.read() as transaction:
            manifests = remember_manifests(node, transaction)
        return verify_access(secret, manifests, audience=node.party, now=now if shown_at is None else shown_at)
    if not credential.is_good(now):
        raise AuthenticationError("the credential has run out, or was revoked")
    _note_use(node, credential, secret_hash, day=now // _DAY)
    return credential.party


def _find_credential(node: Node, secret_hash: Digest) -> StoredCredential | None:
    """The credential with this hash, remembered. What is none is not: anybody could fill the memory with it."""
    key = f"credential {secret_hash}"
    remembered = node.remembered.get(key)
    if remembered is not None and remembered[0] == read_changes(node.store):
        return cast("StoredCredential", remembered[1])
    with node.store.read() as transaction:
        changes = read_changes(transaction)
        credential = parties.find_credential(transaction, secret_hash)
    if credential is not None:
        node.remembered[key] = (changes, credential)
    return credential


def remember_manifests(node: Node, transaction: Transaction) -> Mapping[PartyId, Manifest]:
    """What `read_manifests` gives, remembered: with a hundred partners to parse all of them takes milliseconds."""
    changes, remembered = read_changes(transaction), node.remembered.get("manifests")
    if remembered is None or remembered[0] != changes:
        remembered = node.remembered["manifests"] = (changes, read_manifests(transaction))
    return cast("dict[PartyId, Manifest]", remembered[1])


def read_cursor_key(node: Node) -> bytes:
    """The key that binds this node's cursors to party, collection and filters.

    Raises:
        CorruptionError: it is missing.
    """
    with node.store.read() as transaction:
        return read_node_key(transaction)


def read_node_key(transaction: Transaction) -> bytes:
    """The secret of this node's store, 32 bytes: whatever is made with it has a domain line of its own.

    Raises:
        CorruptionError: it is missing.
    """
    return parties.read_node_key(transaction)


def _verify_first(document: SignedDocument, claimed: Manifest, *, digest: Digest | None, node: Node) -> Manifest:
    if digest is None:
        raise MalformedRequest(
            f"{claimed.party} is new here: give --digest, as you received it from the party over another channel"
        )
    return verify_manifest(document, now=node.clock(), digest=digest)


def _note_use(node: Node, credential: StoredCredential, secret_hash: Digest, *, day: int) -> None:
    """Note the day, once a day: a write for each request would cost more than what it tells is worth."""
    if credential.used_day == day:
        return
    # A disk without room must not turn a partner away here: what the request leads to finds it full by itself.
    with suppress(UnavailableError), node.store.write() as transaction:
        parties.use_credential(transaction, credential.id, day=day)
    node.remembered.pop(f"credential {secret_hash}", None)


def _record(act: Act, change: CredentialChange, credential: StoredCredential) -> None:
    content = format_credential_content(
        change, party=credential.party, credential=credential.id, expires_at=credential.expires_at
    )
    act.record(EntryType.CREDENTIAL, content, terms=None, recipient=None, count=1)


def _hash(secret: str) -> Digest:
    return Digest(hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest())
