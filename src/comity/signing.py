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
import re
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import product
from types import MappingProxyType
from typing import Protocol, TypeVar

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from comity.canonical import SIGNED_LIMITS, Json, Limits, canonical_bytes, parse_json, parse_signed_json, sha256_digest
from comity.ed25519 import is_small_order
from comity.errors import (
    BadSignature,
    DigestMismatch,
    Expired,
    MalformedError,
    MalformedJson,
    MalformedManifest,
    MalformedMessage,
    MalformedRequest,
    ThresholdNotMet,
    UnknownKey,
)
from comity.ids import Digest, Instant, PartyId, format_instant, parse_digest, parse_instant, parse_party_id

__all__ = [
    "MANIFEST_TYPE",
    "Manifest",
    "Role",
    "RoleKeys",
    "Signature",
    "SignedDocument",
    "Signer",
    "count_parties",
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

_T = TypeVar("_T")
_FORMAT = "comity-manifest/1"
_MEMBERS = ("format", "party", "name", "state", "version", "previous", "issued_at", "expires_at", "roles")
_DOCUMENT_LIMITS = Limits(max_bytes=2 << 20, max_depth=3, max_items=256)  # base64 takes 4 bytes for 3
_MAX_SIGNATURES = 32
_MAX_SIGNATURE_BYTES = 4096  # an ML-DSA-44 signature, 2,420 bytes, may stand beside; only Ed25519 is verified
_MAX_TEXT = 200
_MAX_ROLE_KEYS = 16  # bounds the work of one document: 32 signatures by 16 keys
_STATE = re.compile(r"[A-Z]{2}", re.ASCII)
_KEY = re.compile(r"[0-9a-f]{64}", re.ASCII)


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


class Role(StrEnum):
    """What a key of a party may be used for; a key serves one role only."""

    MANIFEST = "manifest"
    AGREEMENT = "agreement"
    LOG = "log"
    TRANSPORT = "transport"
    WITNESS = "witness"
    """May be left out of a manifest: who has no such key cosigns no heads."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RoleKeys:
    """The keys of one role, and how many distinct ones must sign."""

    keys: tuple[bytes, ...]  # raw public keys of 32 bytes, all different
    threshold: int


_NO_KEYS = RoleKeys(keys=(), threshold=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """One version of a party's statement of its keys."""

    party: PartyId
    name: str
    state: str | None  # ISO 3166-1 alpha-2; None for an organisation
    version: int  # from 1, one more with each successor
    previous: Digest | None  # the digest of the version before; None in version 1
    issued_at: Instant
    expires_at: Instant
    roles: Mapping[Role, RoleKeys] = field(hash=False)  # every role, WITNESS where the party has one; read-only
    digest: Digest  # the SHA-256 of the signed payload


def pae(payload_type: str, payload: bytes) -> bytes:
    """The bytes that are signed for a payload of a type (DSSE v1, Pre-Authentication Encoding).

    Lengths count bytes: pae("http://example.com/HelloWorld", b"hello world")
    == b"DSSEv1 29 http://example.com/HelloWorld 11 hello world".
    """
    kind = payload_type.encode("utf-8")
    return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)


def key_id(public_key: bytes) -> str:
    """The id of a key: SHA-256 of its raw bytes in hexadecimal; always computed, never taken from a message."""
    return sha256_digest(public_key)


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
    members = _read_members(value, ("payload", "payloadType", "signatures"), where="", error=MalformedMessage)
    payload_type = _read_text(members["payloadType"], where="/payloadType", error=MalformedMessage)
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
    members = _read_members(value, ("keyid", "sig"), where=where, error=MalformedMessage)
    return Signature(
        keyid=_read_text(members["keyid"], where=f"{where}/keyid", error=MalformedMessage),
        sig=_read_base64(members["sig"], where=f"{where}/sig", max_bytes=_MAX_SIGNATURE_BYTES),
    )


def _read_members(value: Json, names: Collection[str], *, where: str, error: type[MalformedError]) -> dict[str, Json]:
    """The object that has exactly the members `names`."""
    if not isinstance(value, dict):
        raise error(f"{where or 'the value'} is not an object", where=where or "1:1")
    for name in sorted(value.keys() ^ set(names)):
        problem = "is missing" if name in names else f"is not known; the members are {', '.join(names)}"
        raise error(f"{where}/{name} {problem}", where=f"{where}/{name}")
    return value


def _read_text(value: Json, *, where: str, error: type[MalformedError]) -> str:
    if not isinstance(value, str) or not 1 <= len(value) <= _MAX_TEXT or not value.isprintable():
        raise error(f"{where} is not printable text of 1 to {_MAX_TEXT} characters", where=where)
    return value


def format_manifest(
    *,
    party: PartyId,
    name: str,
    state: str | None,
    version: int,
    previous: Digest | None,
    issued_at: Instant,
    expires_at: Instant,
    roles: Mapping[Role, RoleKeys],
) -> bytes:
    """The canonical payload of a manifest; what it gives, `parse_manifest` accepts.

    Raises:
        MalformedManifest: what `parse_manifest` would refuse.
        MalformedJson: text or a number that JSON cannot hold.
    """
    listed: dict[str, Json] = {
        role.value: {"keys": [key.hex() for key in of.keys], "threshold": of.threshold} for role, of in roles.items()
    }
    value: Json = {
        "format": _FORMAT,
        "party": party,
        "name": name,
        "state": state,
        "version": version,
        "previous": previous,
        "issued_at": format_instant(issued_at),
        "expires_at": format_instant(expires_at),
        "roles": listed,
    }
    payload = canonical_bytes(value)
    parse_manifest(payload)
    return payload


def parse_manifest(payload: bytes) -> Manifest:
    """The manifest that canonical JSON bytes hold. Who signed it is not looked at here: see `verify_manifest`.

        {"format":"comity-manifest/1","party":"arvenia","name":"Republic of Arvenia","state":"XA","version":1,
         "previous":null,"issued_at":"2026-11-23T09:00:00.000000Z","expires_at":"2027-11-23T09:00:00.000000Z",
         "roles":{"agreement":{"keys":["<64 hex digits>"],"threshold":1},"log":{},"manifest":{},"transport":{}}}

    Raises:
        MalformedManifest: not that, a member missing or unknown, a key that serves two roles, is listed twice or is
            of small order, a threshold out of reach, version 1 with a previous or a later one without.
    """
    try:
        value = parse_signed_json(payload)
    except MalformedJson as error:
        raise MalformedManifest(f"not a manifest: {error.detail}", where=error.where) from error
    members = _read_members(value, _MEMBERS, where="", error=MalformedManifest)
    if members["format"] != _FORMAT:
        raise MalformedManifest(f'/format is not "{_FORMAT}"; this version of Comity reads no other', where="/format")
    state = members["state"]
    if state is not None and not (isinstance(state, str) and _STATE.fullmatch(state)):
        raise MalformedManifest("/state is neither null nor two capital letters (ISO 3166-1 alpha-2)", where="/state")
    version, previous = members["version"], members["previous"]
    if type(version) is not int or version < 1:
        raise MalformedManifest("/version is not an integer from 1", where="/version")
    if (version == 1) is not (previous is None):
        raise MalformedManifest("/previous must be null in version 1, and only there", where="/previous")
    issued_at = _convert(parse_instant, members["issued_at"], where="/issued_at")
    expires_at = _convert(parse_instant, members["expires_at"], where="/expires_at")
    if issued_at >= expires_at:
        raise MalformedManifest("/expires_at is not after /issued_at", where="/expires_at")
    return Manifest(
        party=_convert(parse_party_id, members["party"], where="/party"),
        name=_read_text(members["name"], where="/name", error=MalformedManifest),
        state=state,
        version=version,
        previous=None if previous is None else _convert(parse_digest, previous, where="/previous"),
        issued_at=issued_at,
        expires_at=expires_at,
        roles=_read_roles(members["roles"]),
        digest=sha256_digest(payload),
    )


def _convert(parse: Callable[[str], _T], value: Json, *, where: str) -> _T:
    try:
        return parse(value if isinstance(value, str) else "")
    except MalformedRequest as error:
        raise MalformedManifest(f"{where}: {error.detail}", where=where) from error


def _read_roles(value: Json) -> Mapping[Role, RoleKeys]:
    left_out = isinstance(value, dict) and Role.WITNESS.value not in value
    listed = [role for role in Role if role is not Role.WITNESS or not left_out]
    members = _read_members(value, [role.value for role in listed], where="/roles", error=MalformedManifest)
    roles = {role: _read_role_keys(members[role.value], where=f"/roles/{role.value}") for role in listed}
    keys = [key for role_keys in roles.values() for key in role_keys.keys]
    for index, key in enumerate(keys):
        if key in keys[:index]:
            raise MalformedManifest(f"key {key_id(key)} is listed twice; make one for each use", where="/roles")
    return MappingProxyType(roles)


def _read_role_keys(value: Json, *, where: str) -> RoleKeys:
    members = _read_members(value, ("keys", "threshold"), where=where, error=MalformedManifest)
    listed, threshold = members["keys"], members["threshold"]
    if not isinstance(listed, list) or not 1 <= len(listed) <= _MAX_ROLE_KEYS:
        raise MalformedManifest(f"{where}/keys is not a list of 1 to {_MAX_ROLE_KEYS} keys", where=f"{where}/keys")
    keys = tuple(_read_key(text, where=f"{where}/keys/{index}") for index, text in enumerate(listed))
    if type(threshold) is not int or not 1 <= threshold <= len(keys):
        raise MalformedManifest(f"{where}/threshold is not from 1 to {len(keys)}", where=f"{where}/threshold")
    return RoleKeys(keys=keys, threshold=threshold)


def _read_key(value: Json, *, where: str) -> bytes:
    if not isinstance(value, str) or _KEY.fullmatch(value) is None:
        raise MalformedManifest(f"{where} is not an Ed25519 key in 64 lower-case hexadecimal digits", where=where)
    key = bytes.fromhex(value)
    if is_small_order(key):
        raise MalformedManifest(f"{where} is a key of small order: anybody can sign for it", where=where)
    return key


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
        DigestMismatch: another party, not the next version, or it does not name `current` as its previous.
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
    altered = sorted(key_id(key) for key in role_keys.keys if key not in signing and key_id(key) in claimed)
    if altered:
        raise BadSignature(f"the signature said to be by key {altered[0]} of {whose} does not verify")
    if not signing and document.signatures:
        raise UnknownKey(f"no signature is by a key of {whose}; fetch its newest manifest, or refuse")
    raise ThresholdNotMet(f"{len(signing)} distinct keys of {whose} signed where {role_keys.threshold} must")


def _signing_keys(document: SignedDocument, keys: Sequence[bytes]) -> frozenset[bytes]:
    """Those of `keys` by which some signature of the document verifies: each counts once."""
    message = pae(document.payload_type, document.payload)
    found: set[bytes] = set()
    for key, signature in product(keys, document.signatures):
        with suppress(BadSignature):
            verify_signature(message, signature.sig, public_key=key)
            found.add(key)
    return frozenset(found)
