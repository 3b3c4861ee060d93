# SPDX-License-Identifier: Apache-2.0
"""Pure: signed documents, and the manifests that say which keys speak for a party.

Decides whether enough distinct keys of a role signed exactly these bytes, and which manifest may follow which.
Does not decide what the bytes say: `agreement.terms`, `exchange` and `release.disclosure` parse their own payloads.
Where private keys live is for `comity.keys`; here a signer is whatever has a public key and can sign.

    document = sign_document("application/vnd.comity.terms+json", payload, [signer])
    verify_signed_document(document, manifest, role=Role.AGREEMENT, payload_type=..., now=now) == payload

A document is signed by its type and its bytes together (DSSE v1, PAE). Signatures are counted by the bytes of the
keys that verify them. The `keyid` in a document is a hint of the sender: it is never looked up, believed or counted.
"""

import base64
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from comity.canonical import SIGNED_LIMITS, Json, Limits, canonical_bytes, parse_json
from comity.errors import (
    BadSignature,
    DigestMismatch,
    Expired,
    MalformedJson,
    MalformedMessage,
    ThresholdNotMet,
    UnknownKey,
)
from comity.ids import Digest, Instant, PartyId, format_instant
from comity.manifest import (
    Manifest,
    Revocation,
    Role,
    RoleKeys,
    format_manifest,
    key_id,
    parse_manifest,
    read_members,
    read_text,
)

__all__ = [
    "MANIFEST_TYPE",
    "Manifest",
    "Revocation",
    "Role",
    "RoleKeys",
    "Signature",
    "SignedDocument",
    "Signer",
    "count_parties",
    "find_signing_keys",
    "format_manifest",
    "format_signed_document",
    "key_id",
    "pae",
    "parse_manifest",
    "parse_signed_document",
    "sign_document",
    "verify_manifest",
    "verify_signature",
    "verify_signed_document",
    "verify_successor",
]

MANIFEST_TYPE = "application/vnd.comity.manifest+json"

_DOCUMENT_LIMITS = Limits(max_bytes=2 << 20, max_depth=3, max_items=256)  # base64 takes 4 bytes for 3
_MAX_SIGNATURES = 32
_MAX_SIGNATURE_BYTES = 4096  # an ML-DSA-44 signature, 2,420 bytes, may stand beside; only Ed25519 is verified


_NO_KEYS = RoleKeys(keys=(), threshold=1)


class Signer(Protocol):
    """Holds one Ed25519 key and signs with it."""

    @property
    def public_key(self) -> bytes:
        """The 32 raw bytes of the public key (RFC 8032 §5.1.5)."""

    def sign(self, message: bytes) -> bytes:
        """The 64-byte signature over `message`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Signature:
    """One signature over a document's PAE."""

    keyid: str  # what the sender says the key is; no authority
    sig: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedDocument:
    """A DSSE envelope: the bytes, their type, and signatures over both. Nothing in it is verified yet."""

    payload_type: str
    payload: bytes
    signatures: tuple[Signature, ...]


def pae(payload_type: str, payload: bytes) -> bytes:
    """The bytes that are signed for a payload of a type (DSSE v1, Pre-Authentication Encoding).

    Lengths count bytes: pae("http://example.com/HelloWorld", b"hello world")
    == b"DSSEv1 29 http://example.com/HelloWorld 11 hello world".
    """
    kind = payload_type.encode("utf-8")
    return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)


def verify_signature(message: bytes, signature: bytes, *, public_key: bytes) -> bytes:
    """The message, after the Ed25519 signature over it has verified (RFC 8032 §5.1.7).

    Raises:
        BadSignature: it does not verify, or the key or the signature is not of Ed25519.
    """
    try:
        Ed25519PublicKey.from_public_bytes(public_key).verify(signature, message)
    except (InvalidSignature, ValueError):
        raise BadSignature(f"the signature by key {key_id(public_key)} does not verify over these bytes") from None
    return message


def sign_document(payload_type: str, payload: bytes, signers: Sequence[Signer]) -> SignedDocument:
    """The payload with one signature by each signer, in their order."""
    message = pae(payload_type, payload)
    signatures = tuple(Signature(keyid=key_id(signer.public_key), sig=signer.sign(message)) for signer in signers)
    return SignedDocument(payload_type=payload_type, payload=payload, signatures=signatures)


def parse_signed_document(data: bytes) -> SignedDocument:
    """The document of a DSSE envelope in JSON: {"payload": BASE64, "payloadType": TEXT, "signatures": [...]}.

    Each signature is {"keyid": TEXT, "sig": BASE64}; there are 1 to 32. Where DSSE lets a reader ignore unknown
    members and lets `keyid` be absent, both are refused here: an envelope is stored as evidence and has one reading.

    Raises:
        MalformedMessage: not strict JSON of that form, base64 that is not canonical, or over a bound.
    """
    try:
        value = parse_json(data, limits=_DOCUMENT_LIMITS)
    except MalformedJson as error:
        raise MalformedMessage(f"not a signed document: {error.detail}", where=error.where) from error
    members = read_members(value, ("payload", "payloadType", "signatures"), where="", error=MalformedMessage)
    payload_type = read_text(members["payloadType"], where="/payloadType", error=MalformedMessage)
    payload = _read_base64(members["payload"], where="/payload", max_bytes=SIGNED_LIMITS.max_bytes)
    listed = members["signatures"]
    if not isinstance(listed, list) or not 1 <= len(listed) <= _MAX_SIGNATURES:
        raise MalformedMessage(f"/signatures is not a list of 1 to {_MAX_SIGNATURES} signatures", where="/signatures")
    signatures = tuple(_read_signature(entry, where=f"/signatures/{i}") for i, entry in enumerate(listed))
    return SignedDocument(payload_type=payload_type, payload=payload, signatures=signatures)


def format_signed_document(document: SignedDocument) -> bytes:
    """The DSSE envelope of a document, as canonical JSON (RFC 8785)."""
    signatures: list[Json] = [{"keyid": each.keyid, "sig": _format_base64(each.sig)} for each in document.signatures]
    payload = _format_base64(document.payload)
    return canonical_bytes({"payload": payload, "payloadType": document.payload_type, "signatures": signatures})


def _format_base64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def _read_base64(value: Json, *, where: str, max_bytes: int) -> bytes:
    try:
        data = base64.b64decode(value, validate=True) if isinstance(value, str) else None
    except ValueError:
        data = None
    # Encoding again refuses the other spellings of the same bytes (RFC 4648 §3.5: unused bits that are not zero).
    if data is None or _format_base64(data) != value:
        raise MalformedMessage(f"{where} is not standard base64 with padding (RFC 4648 §4)", where=where)
    if len(data) > max_bytes:
        raise MalformedMessage(f"{where} holds {len(data)} bytes where at most {max_bytes} are taken", where=where)
    return data


def _read_signature(value: Json, *, where: str) -> Signature:
    members = read_members(value, ("keyid", "sig"), where=where, error=MalformedMessage)
    return Signature(
        keyid=read_text(members["keyid"], where=f"{where}/keyid", error=MalformedMessage),
        sig=_read_base64(members["sig"], where=f"{where}/sig", max_bytes=_MAX_SIGNATURE_BYTES),
    )


def verify_manifest(document: SignedDocument, *, now: Instant, digest: Digest | None = None) -> Manifest:
    """The manifest of a party that is met for the first time, signed by its own MANIFEST role.

    Without `digest`, obtained from the party by another way, this proves only that whoever wrote the manifest holds
    its keys, not who they are. Any version may be the first that is met. `issued_at` is not compared with `now`:
    the order of manifests is that of their versions, and clocks differ.

    Raises:
        BadSignature, UnknownKey, ThresholdNotMet: as `verify_signed_document`, for its own MANIFEST role.
        DigestMismatch: not the manifest that `digest` pins.
        Expired: `now` is not before `expires_at`.
        MalformedManifest: the payload is not a manifest.
    """
    _check_type(document, MANIFEST_TYPE)
    manifest = parse_manifest(document.payload)
    if digest is not None and manifest.digest != digest:
        raise DigestMismatch(f"the manifest has the digest {manifest.digest}, not {digest}; ask the party for its own")
    _check_threshold(document, manifest, Role.MANIFEST)
    _check_time(manifest, now)
    return manifest


def verify_successor(current: Manifest, document: SignedDocument, *, now: Instant) -> Manifest:
    """The manifest that follows `current`: signed by enough MANIFEST keys of the old one and of its own.

    The next version only, so that no rotation in between can be skipped (TUF §5.3.4, §5.3.5). `current` itself may
    have expired: renewing late is still renewing.

    Raises:
        DigestMismatch: another party, not the next version, it does not name `current` as its previous, or it no longer
            says of a key that it is revoked.
        BadSignature, UnknownKey, ThresholdNotMet: as `verify_signed_document`, for the MANIFEST role of either.
        Expired: `now` is not before the new `expires_at`.
        MalformedManifest: the payload is not a manifest.
    """
    _check_type(document, MANIFEST_TYPE)
    successor = parse_manifest(document.payload)
    whose = f"version {current.version} of the manifest of {current.party}"
    if successor.party != current.party:
        raise DigestMismatch(f"a manifest of {successor.party} cannot follow {whose}")
    if successor.version != current.version + 1:
        raise DigestMismatch(f"version {successor.version} cannot follow {whose}; ask for {current.version + 1}")
    if successor.previous != current.digest:
        raise DigestMismatch(f"it follows {successor.previous}, not {current.digest}, which is {whose}; one is forged")
    if not set(current.revoked) <= set(successor.revoked):
        raise DigestMismatch(f"it no longer calls a key revoked that {whose} calls so; a key stays revoked for ever")
    _check_threshold(document, current, Role.MANIFEST)
    _check_threshold(document, successor, Role.MANIFEST)
    _check_time(successor, now)
    return successor


def verify_signed_document(
    document: SignedDocument, manifest: Manifest, *, role: Role, payload_type: str, now: Instant
) -> bytes:
    """The payload, after enough distinct keys of the party's role have signed it as this type.

    Signatures by other keys are passed over: others may have signed the same document.

    Raises:
        Expired: the manifest is past its time.
        BadSignature: another type of document; or too few signed and one said to be by a key of the role is not.
        UnknownKey: no signature by any key of the role.
        ThresholdNotMet: some signed, but too few.
    """
    _check_type(document, payload_type)
    _check_time(manifest, now)
    _check_threshold(document, manifest, role)
    return document.payload


def count_parties(
    document: SignedDocument, manifests: Sequence[Manifest], *, payload_type: str, now: Instant
) -> frozenset[PartyId]:
    """The parties of which enough distinct AGREEMENT keys signed the document as this type.

    A key that two parties list, in whatever role, counts for neither: one hand may not sign for two. A party whose
    manifest has expired does not count.

    Raises:
        BadSignature: the document is of another type.
    """
    _check_type(document, payload_type)
    listed = {(manifest.party, key) for manifest in manifests for of in manifest.roles.values() for key in of.keys}
    owners = Counter(key for _, key in listed)
    signed: set[PartyId] = set()
    for manifest in manifests:
        agreement = manifest.roles[Role.AGREEMENT]
        own = tuple(key for key in agreement.keys if owners[key] == 1)
        if now < manifest.expires_at and len(_signing_keys(document, own)) >= agreement.threshold:
            signed.add(manifest.party)
    return frozenset(signed)


def _check_type(document: SignedDocument, payload_type: str) -> None:
    if document.payload_type != payload_type:
        raise BadSignature(f"signed as {document.payload_type!r}, which says nothing about it as {payload_type!r}")


def _check_time(manifest: Manifest, now: Instant) -> None:
    if now >= manifest.expires_at:
        whose = f"version {manifest.version} of the manifest of {manifest.party}"
        raise Expired(f"{whose} expired at {format_instant(manifest.expires_at)}; ask for the next version")


def _check_threshold(document: SignedDocument, manifest: Manifest, role: Role) -> None:
    role_keys = manifest.roles.get(role, _NO_KEYS)
    signing = _signing_keys(document, role_keys.keys)
    if len(signing) >= role_keys.threshold:
        return
    whose = f"the {role} role of {manifest.party} (manifest version {manifest.version})"
    # The claimed ids choose only between error messages.
    claimed = {signature.keyid for signature in document.signatures}
    gone = next((item for item in manifest.revoked if key_id(item.key) in claimed), None)
    if gone is not None and not signing:
        raise UnknownKey(
            f"key {key_id(gone.key)} of {manifest.party} is revoked since {format_instant(gone.since)}, so what it has"
            " signed is not taken, whatever its date: the party signs it again by its key in force and sends it"
        )
    altered = sorted(key_id(key) for key in role_keys.keys if key not in signing and key_id(key) in claimed)
    if altered:
        raise BadSignature(f"the signature said to be by key {altered[0]} of {whose} does not verify")
    if not signing and document.signatures:
        raise UnknownKey(f"no signature is by a key of {whose}; fetch its newest manifest, or refuse")
    raise ThresholdNotMet(f"{len(signing)} distinct keys of {whose} signed where {role_keys.threshold} must")


def find_signing_keys(document: SignedDocument, manifest: Manifest, *, role: Role) -> tuple[str, ...]:
    """The ids of those keys of the role by which the document is signed, sorted; nothing else is asked."""
    role_keys = manifest.roles.get(role, _NO_KEYS)
    return tuple(sorted(key_id(key) for key in _signing_keys(document, role_keys.keys)))


def _signing_keys(document: SignedDocument, keys: Sequence[bytes]) -> frozenset[bytes]:
    """Those of `keys` by which some signature of the document verifies: each counts once.

    Each key is tried first on what claims to be by it; whatever is claimed, no signature is left out.
    """
    message = pae(document.payload_type, document.payload)
    found: set[bytes] = set()
    for key in keys:
        name = key_id(key)
        claimed = sorted(document.signatures, key=lambda signature: signature.keyid != name)
        if any(_verifies(message, signature.sig, key) for signature in claimed):
            found.add(key)
    return frozenset(found)


def _verifies(message: bytes, signature: bytes, key: bytes) -> bool:
    with suppress(BadSignature):
        verify_signature(message, signature, public_key=key)
        return True
    return False
