# SPDX-License-Identifier: Apache-2.0
"""An OpenID provider in a test that says whatever the test wants, over real HTTP on this machine.

It signs by `cryptography` alone, so that it can sign what no library of tokens would. What a provider does when nobody
bends it is tested with a real one (`tests/e2e/browser/oidc_provider.py`).
"""

import base64
import hashlib
import hmac
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

__all__ = ["CLIENT", "SECRET", "Issuer", "encode", "make_key", "public_jwk", "serve_issuer", "sign"]

CLIENT, SECRET = "comity-console", "a-client-secret-of-a-test"

PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | Ed25519PrivateKey


def encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


@lru_cache(maxsize=16)
def make_key(name: str, *, bits: int = 2_048) -> rsa.RSAPrivateKey:
    """One key for each name: they take their time."""
    return rsa.generate_private_key(public_exponent=65_537, key_size=bits)


def public_jwk(key: PrivateKey, kid: str | None = "1", **more: str) -> dict[str, Any]:
    match key:
        case rsa.RSAPrivateKey():
            numbers = key.public_key().public_numbers()
            said = {"kty": "RSA", "n": _number(numbers.n), "e": _number(numbers.e)}
        case ec.EllipticCurvePrivateKey():
            point = key.public_key().public_numbers()
            size = (key.curve.key_size + 7) // 8
            said = {"kty": "EC", "crv": "P-256", "x": _number(point.x, size), "y": _number(point.y, size)}
        case Ed25519PrivateKey():
            said = {"kty": "OKP", "crv": "Ed25519", "x": encode(key.public_key().public_bytes_raw())}
        case _:
            raise AssertionError(key)
    return {**said, "use": "sig", **({} if kid is None else {"kid": kid}), **more}


def sign(key: PrivateKey | bytes | None, claims: Any, **header: Any) -> str:  # noqa: ANN401
    """A token with this header and these claims; by bytes as HMAC, by nothing without a signature."""
    payload = claims if isinstance(claims, bytes) else json.dumps(claims).encode()
    said = f"{encode(json.dumps(header).encode())}.{encode(payload)}"
    data = said.encode()
    match key:
        case None:
            signature = b""
        case bytes():
            signature = hmac.digest(key, data, hashlib.sha256)
        case rsa.RSAPrivateKey():
            signature = key.sign(data, padding.PKCS1v15(), hashes.SHA256())
        case ec.EllipticCurvePrivateKey():
            r, s = decode_dss_signature(key.sign(data, ec.ECDSA(hashes.SHA256())))
            signature = r.to_bytes(32, "big") + s.to_bytes(32, "big")
        case Ed25519PrivateKey():
            signature = key.sign(data)
        case _:
            raise AssertionError(key)
    return f"{said}.{encode(signature)}"


def public_pem(key: rsa.RSAPrivateKey) -> bytes:
    """What a confused verifier would take for the secret of an HMAC."""
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    return key.public_key().public_bytes(serialization.Encoding.PEM, form)


def _number(value: int, size: int | None = None) -> str:
    return encode(value.to_bytes(size or (value.bit_length() + 7) // 8, "big"))


Answer = tuple[int, dict[str, str], bytes]


@dataclass
class Issuer:
    """What the provider says, and what it was asked: (method, path, fields, headers)."""

    url: str
    key: rsa.RSAPrivateKey = field(default_factory=lambda: make_key("issuer"))
    kid: str = "1"
    claims: dict[str, Any] = field(default_factory=dict)
    published: dict[str, Any] = field(default_factory=dict)
    answers: dict[str, Answer] = field(default_factory=dict)
    asked: list[tuple[str, str, dict[str, str], dict[str, str]]] = field(default_factory=list)
    make_token: Callable[["Issuer"], str] = lambda self: sign(self.key, self.claims, alg="RS256", kid=self.kid)

    def count(self, path: str) -> int:
        return sum(asked == path for _, asked, _, _ in self.asked)

    def answer(self, path: str) -> Answer:
        """What is asked for under a path, unless `answers` has another answer to it."""
        if path in self.answers:
            return self.answers[path]
        said: Any
        match path:
            case "/.well-known/openid-configuration":
                said = {
                    "issuer": self.url,
                    "authorization_endpoint": f"{self.url}/authorize",
                    "token_endpoint": f"{self.url}/token",
                    "jwks_uri": f"{self.url}/keys",
                    **self.published,
                }
            case "/keys":
                said = {"keys": [public_jwk(self.key, self.kid)]}
            case "/token":
                said = {"access_token": "none of ours", "token_type": "Bearer", "id_token": self.make_token(self)}
            case _:
                return 404, {}, b"{}"
        return 200, {"content-type": "application/json"}, json.dumps(said).encode()


@contextmanager
def serve_issuer() -> Iterator[Issuer]:
    """A provider that answers until the block ends."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._answer({})

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", "0"))).decode()
            self._answer(dict(parse_qsl(body)))

        def _answer(self, fields: dict[str, str]) -> None:
            headers = {name.lower(): value for name, value in self.headers.items()}
            issuer.asked.append((self.command, self.path, fields, headers))
            status, more, body = issuer.answer(self.path)
            self.send_response(status)
            for name, value in {"content-length": str(len(body)), **more}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (the library's name)
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    issuer = Issuer(url=f"http://127.0.0.1:{server.server_address[1]}")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield issuer
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
