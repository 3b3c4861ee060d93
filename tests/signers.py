# SPDX-License-Identifier: Apache-2.0
"""Signers with fixed keys, and manifests of fictional parties that hold them."""

from collections.abc import Sequence
from hashlib import sha256

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from comity.ids import Digest, Instant, PartyId, parse_instant
from comity.signing import Role, RoleKeys, format_manifest

__all__ = ["EXPIRES", "ISSUED", "NOW", "SeedSigner", "make_payload", "make_role_keys"]

ISSUED = parse_instant("2026-11-23T09:00:00Z")
NOW = parse_instant("2026-12-01T12:00:00Z")
EXPIRES = parse_instant("2027-11-23T09:00:00Z")


class SeedSigner:
    """An Ed25519 key that is the same in every run: its private key is the SHA-256 of a name."""

    def __init__(self, name: str) -> None:
        self._key = Ed25519PrivateKey.from_private_bytes(sha256(name.encode()).digest())

    @property
    def public_key(self) -> bytes:
        return self._key.public_key().public_bytes_raw()

    def sign(self, message: bytes) -> bytes:
        return self._key.sign(message)


def make_role_keys(names: Sequence[str], threshold: int = 1) -> RoleKeys:
    return RoleKeys(keys=tuple(SeedSigner(name).public_key for name in names), threshold=threshold)


def make_payload(
    party: str,
    *,
    version: int = 1,
    previous: Digest | None = None,
    manifest: RoleKeys | None = None,
    agreement: RoleKeys | None = None,
    witness: RoleKeys | None = None,
    issued_at: Instant = ISSUED,
    expires_at: Instant = EXPIRES,
) -> bytes:
    """A manifest's payload; a role not given has one key, named "PARTY ROLE", except that of a witness, which has none.

    Such a manifest is one of before there were witnesses.
    """
    given = {Role.MANIFEST: manifest, Role.AGREEMENT: agreement, Role.WITNESS: witness}
    roles = [role for role in Role if role is not Role.WITNESS or witness is not None]
    return format_manifest(
        party=PartyId(party),
        name=f"Republic of {party.capitalize()}",
        state="XA",
        version=version,
        previous=previous,
        issued_at=issued_at,
        expires_at=expires_at,
        roles={role: given.get(role) or make_role_keys([f"{party} {role}"]) for role in roles},
    )
