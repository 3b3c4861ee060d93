# SPDX-License-Identifier: Apache-2.0
"""Pure: the manifest in which a party says which keys speak for it, in which role, and which never again.

Its bytes, as canonical JSON, and what they say. Who signed it, and which manifest may follow which, is for
`comity.signing`.
"""

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import TypeVar

from comity.canonical import Json, canonical_bytes, parse_signed_json, sha256_digest
from comity.ed25519 import is_small_order
from comity.errors import MalformedError, MalformedJson, MalformedManifest, MalformedRequest
from comity.ids import Digest, Instant, PartyId, format_instant, parse_digest, parse_instant, parse_party_id

__all__ = [
    "MAX_REVOKED",
    "MAX_TLS_KEYS",
    "Manifest",
    "Revocation",
    "Role",
    "RoleKeys",
    "format_manifest",
    "key_id",
    "parse_manifest",
    "read_members",
    "read_text",
]

MAX_REVOKED = 64
"""How many keys one party can call revoked, over all its manifests."""

MAX_TLS_KEYS = 8
"""How many keys the server of one party's node can show by its manifest."""

_T = TypeVar("_T")
_FORMAT = "comity-manifest/1"
_MEMBERS = ("format", "party", "name", "state", "version", "previous", "issued_at", "expires_at", "roles")
_REVOKED = "revoked"
_TLS = "tls"
_MAX_TEXT = 200
_MAX_ROLE_KEYS = 16  # bounds the work of one document: 32 signatures by 16 keys
_STATE = re.compile(r"[A-Z]{2}", re.ASCII)
_KEY = re.compile(r"[0-9a-f]{64}", re.ASCII)


class Role(StrEnum):
    """What a key of a party may be used for; a key serves one role only."""

    MANIFEST = "manifest"
    AGREEMENT = "agreement"
    LOG = "log"
    TRANSPORT = "transport"
    WITNESS = "witness"
    """May be left out of a manifest: who has no such key cosigns no heads."""


_ROLES_OF_NOTES = (Role.LOG, Role.WITNESS)


@dataclass(frozen=True, slots=True, kw_only=True)
class RoleKeys:
    """The keys of one role, and how many distinct ones must sign."""

    keys: tuple[bytes, ...]  # raw public keys of 32 bytes, all different
    threshold: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Revocation:
    """A key that is in other hands: whatever it has signed since then counts for nothing."""

    key: bytes
    since: Instant


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
    revoked: tuple[Revocation, ...] = ()  # every key this party has ever called revoked; none of them in `roles`
    tls: tuple[Digest, ...] = ()  # SHA-256 of each public key (RFC 5280 §4.1.2.7, DER) that its server may show; or any
    digest: Digest  # the SHA-256 of the signed payload


def key_id(public_key: bytes) -> str:
    """The id of a key: SHA-256 of its raw bytes in hexadecimal; always computed, never taken from a message."""
    return sha256_digest(public_key)


def format_manifest(  # noqa: PLR0913 (one for each member of the document)
    *,
    party: PartyId,
    name: str,
    state: str | None,
    version: int,
    previous: Digest | None,
    issued_at: Instant,
    expires_at: Instant,
    roles: Mapping[Role, RoleKeys],
    revoked: Collection[Revocation] = (),
    tls: Collection[Digest] = (),
) -> bytes:
    """The canonical payload of a manifest; what it gives, `parse_manifest` accepts.

    Raises:
        MalformedManifest: what `parse_manifest` would refuse.
        MalformedJson: text or a number that JSON cannot hold.
    """
    listed: dict[str, Json] = {
        role.value: {"keys": [key.hex() for key in of.keys], "threshold": of.threshold} for role, of in roles.items()
    }
    value: dict[str, Json] = {
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
    if revoked:
        value[_REVOKED] = [{"key": item.key.hex(), "since": format_instant(item.since)} for item in revoked]
    if tls:
        value[_TLS] = list[Json](tls)
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
            of small order, a threshold out of reach, or over 1 for log or witness; version 1 with a previous or a later
            one without; a revoked key that serves a role or is listed twice; digests of TLS keys that are none.
    """
    try:
        value = parse_signed_json(payload)
    except MalformedJson as error:
        raise MalformedManifest(f"not a manifest: {error.detail}", where=error.where) from error
    optional = [name for name in (_REVOKED, _TLS) if isinstance(value, dict) and name in value]
    names = (*_MEMBERS, *optional)
    members = read_members(value, names, where="", error=MalformedManifest)
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
    roles = _read_roles(members["roles"])
    return Manifest(
        party=_convert(parse_party_id, members["party"], where="/party"),
        name=read_text(members["name"], where="/name", error=MalformedManifest),
        state=state,
        version=version,
        previous=None if previous is None else _convert(parse_digest, previous, where="/previous"),
        issued_at=issued_at,
        expires_at=expires_at,
        roles=roles,
        revoked=_read_revoked(members[_REVOKED], roles) if _REVOKED in members else (),
        tls=_read_tls(members[_TLS]) if _TLS in members else (),
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
    members = read_members(value, [role.value for role in listed], where="/roles", error=MalformedManifest)
    roles = {role: _read_role_keys(members[role.value], where=f"/roles/{role.value}") for role in listed}
    keys = [key for role_keys in roles.values() for key in role_keys.keys]
    for index, key in enumerate(keys):
        if key in keys[:index]:
            raise MalformedManifest(f"key {key_id(key)} is listed twice; make one for each use", where="/roles")
    for role in _ROLES_OF_NOTES:
        # A line of a note is one key's, and who reads notes asks for one: more would be promised and asked by nobody.
        if role in roles and roles[role].threshold > 1:
            where = f"/roles/{role.value}/threshold"
            raise MalformedManifest(f"{where} is over 1: checkpoints are signed by one key", where=where)
    return MappingProxyType(roles)


def _read_revoked(value: Json, roles: Mapping[Role, RoleKeys]) -> tuple[Revocation, ...]:
    where = f"/{_REVOKED}"
    if not isinstance(value, list) or not 1 <= len(value) <= MAX_REVOKED:
        raise MalformedManifest(f"{where} is not a list of 1 to {MAX_REVOKED} keys", where=where)
    used = {key for role_keys in roles.values() for key in role_keys.keys}
    found = list[Revocation]()
    for index, item in enumerate(value):
        place = f"{where}/{index}"
        members = read_members(item, ("key", "since"), where=place, error=MalformedManifest)
        key = _read_key(members["key"], where=f"{place}/key")
        if key in used:
            raise MalformedManifest(f"key {key_id(key)} is revoked and listed again; make another", where=place)
        used.add(key)
        found.append(Revocation(key=key, since=_convert(parse_instant, members["since"], where=f"{place}/since")))
    return tuple(found)


def _read_tls(value: Json) -> tuple[Digest, ...]:
    where = f"/{_TLS}"
    if not isinstance(value, list) or not 1 <= len(value) <= MAX_TLS_KEYS:
        raise MalformedManifest(f"{where} is not a list of 1 to {MAX_TLS_KEYS} digests", where=where)
    found = tuple(_convert(parse_digest, item, where=f"{where}/{index}") for index, item in enumerate(value))
    if len(set(found)) < len(found):
        raise MalformedManifest(f"{where} lists a digest twice", where=where)
    return found


def _read_role_keys(value: Json, *, where: str) -> RoleKeys:
    members = read_members(value, ("keys", "threshold"), where=where, error=MalformedManifest)
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


def read_members(value: Json, names: Collection[str], *, where: str, error: type[MalformedError]) -> dict[str, Json]:
    """The object that has exactly the members `names`."""
    if not isinstance(value, dict):
        raise error(f"{where or 'the value'} is not an object", where=where or "1:1")
    for name in sorted(value.keys() ^ set(names)):
        problem = "is missing" if name in names else f"is not known; the members are {', '.join(names)}"
        raise error(f"{where}/{name} {problem}", where=f"{where}/{name}")
    return value


def read_text(value: Json, *, where: str, error: type[MalformedError]) -> str:
    """Printable text of 1 to 200 characters."""
    if not isinstance(value, str) or not 1 <= len(value) <= _MAX_TEXT or not value.isprintable():
        raise error(f"{where} is not printable text of 1 to {_MAX_TEXT} characters", where=where)
    return value
