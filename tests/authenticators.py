# SPDX-License-Identifier: Apache-2.0
"""An authenticator in a test: real keys and real signatures, as WebAuthn Level 3 says, and what a bad one would do."""

import base64
import hashlib
import json
import struct
from dataclasses import dataclass, field
from typing import Any

import cbor2
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

__all__ = ["Authenticator"]

_PRESENT, _VERIFIED, _ATTESTED = 0x01, 0x04, 0x40


def _encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _decode(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def _make_key(kind: str) -> ec.EllipticCurvePrivateKey | Ed25519PrivateKey:
    return ec.generate_private_key(ec.SECP256R1()) if kind == "ES256" else Ed25519PrivateKey.generate()


@dataclass
class Authenticator:
    """One passkey. `counts` says whether it counts its uses; the rest is what a test changes to do it wrong."""

    kind: str = "ES256"
    counts: bool = True
    verifies: bool = True
    origin: str | None = None
    rp: str | None = None
    counter: int = 0
    credential: bytes = b"credential-of-a-test"
    handle: bytes = b""
    key: ec.EllipticCurvePrivateKey | Ed25519PrivateKey = field(init=False)

    def __post_init__(self) -> None:
        self.key = _make_key(self.kind)

    def create(self, options: dict[str, Any], *, origin: str) -> str:
        """What `navigator.credentials.create` gives, as JSON."""
        self.handle = _decode(options["user"]["id"])
        public = self._describe_key()
        attested = bytes(16) + struct.pack(">H", len(self.credential)) + self.credential + cbor2.dumps(public)
        data = self._make_data(options["rp"]["id"], _ATTESTED) + attested
        client = self._make_client("webauthn.create", options["challenge"], origin)
        attestation = cbor2.dumps({"fmt": "none", "attStmt": {}, "authData": data})
        return self._answer({"clientDataJSON": _encode(client), "attestationObject": _encode(attestation)})

    def get(self, options: dict[str, Any], *, origin: str) -> str:
        """What `navigator.credentials.get` gives, as JSON."""
        data = self._make_data(options["rpId"], 0)
        client = self._make_client("webauthn.get", options["challenge"], origin)
        message = data + hashlib.sha256(client).digest()
        match self.key:
            case Ed25519PrivateKey():
                signature = self.key.sign(message)
            case _:
                signature = self.key.sign(message, ec.ECDSA(hashes.SHA256()))
        return self._answer(
            {
                "clientDataJSON": _encode(client),
                "authenticatorData": _encode(data),
                "signature": _encode(signature),
                "userHandle": _encode(self.handle),
            }
        )

    def _make_data(self, rp: str, flags: int) -> bytes:
        self.counter += self.counts
        flags |= _PRESENT | (_VERIFIED if self.verifies else 0)
        return hashlib.sha256((self.rp or rp).encode()).digest() + struct.pack(">BI", flags, self.counter)

    def _make_client(self, kind: str, challenge: str, origin: str) -> bytes:
        said = {"type": kind, "challenge": challenge, "origin": self.origin or origin, "crossOrigin": False}
        return json.dumps(said).encode()

    def _answer(self, response: dict[str, str]) -> str:
        name = _encode(self.credential)
        return json.dumps({"id": name, "rawId": name, "type": "public-key", "response": response})

    def _describe_key(self) -> dict[int, int | bytes]:
        """The public key in COSE (RFC 9053)."""
        match self.key:
            case Ed25519PrivateKey():
                return {1: 1, 3: -8, -1: 6, -2: self.key.public_key().public_bytes_raw()}
            case _:
                numbers = self.key.public_key().public_numbers()
                return {1: 2, 3: -7, -1: 1, -2: numbers.x.to_bytes(32, "big"), -3: numbers.y.to_bytes(32, "big")}
