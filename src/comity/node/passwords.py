# SPDX-License-Identifier: Apache-2.0
"""Shell: a password and the second factor beside it: what may be one, how both are kept, and whether they are given.

A password is kept as Argon2id (RFC 9106) makes it; the second factor is a code that changes every 30 seconds (RFC
6238). Both lie in the store sealed with AES-256-GCM under a key of the keys folder (`keys.Keyring.open_sealing`), for
this person alone: what is sealed for one opens for nobody else.

Not here: who tries how often (`node.tries`), and that a code counts once (the store keeps the last and goes on).
"""

import base64
import hmac
import json
import unicodedata
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import lru_cache

import pyotp
from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from comity.errors import MalformedRequest
from comity.ids import Instant

__all__ = [
    "SECRET_BYTES",
    "Kept",
    "check_password",
    "find_step",
    "hash_password",
    "make_uri",
    "open_sealed",
    "seal",
    "show_secret",
    "stand_in",
    "verify_password",
]

SECRET_BYTES = 20
"""Of the secret of the second factor: as long as the hash that RFC 6238 uses it with."""

_LEAST, _MOST_BYTES = 12, 1_024
_LEAST_OWN = 6
_STEP = 30 * 1_000_000
_DIGITS = 6
_NONCE = 12

_HASHER = PasswordHasher()
"""Argon2id with 64 MiB, three passes and four lanes: the second choice of RFC 9106 §4."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """The hash of a password, and the secret of the second factor."""

    hash: str = field(repr=False)
    secret: bytes = field(repr=False)


def check_password(password: str, words: Iterable[str]) -> str:
    """The password in Unicode form NFC; `words` are those that it may not consist of.

    Raises:
        MalformedRequest: under 12 characters, over 1,024 bytes, no text, or easy to guess.
    """
    normal = _normalise(password)
    if len(normal) < _LEAST or len(normal.encode("utf-8", "surrogatepass")) > _MOST_BYTES:
        raise MalformedRequest(f"a password has at least {_LEAST} characters and at most {_MOST_BYTES} bytes")
    if any(unicodedata.category(char) in {"Cs", "Cc"} for char in normal):
        raise MalformedRequest("a password holds characters that are text")
    rest = normal.casefold()
    for word in sorted((word.casefold() for word in words if word), key=len, reverse=True):
        rest = rest.replace(word, "")
    if len(set(rest)) < _LEAST_OWN:
        raise MalformedRequest(
            "this password is the name of the person or the party, or the same few characters again and again; choose"
            " another, as four words that have nothing to do with each other"
        )
    return normal


def hash_password(password: str) -> str:
    """What is kept of a password; takes the time and the 64 MiB that guessing is to take."""
    return _HASHER.hash(_normalise(password).encode())


def verify_password(hashed: str, password: str) -> bool:
    """Whether `hashed` is of the password. It takes the same time either way, and uses nothing of a node."""
    data = _normalise(password).encode("utf-8", "surrogatepass")
    too_long = len(data) > _MOST_BYTES
    try:
        _HASHER.verify(hashed, b"" if too_long else data)
    except (VerificationError, InvalidHashError):
        return False
    return not too_long


@lru_cache(maxsize=1)
def stand_in() -> Kept:
    """What is verified where there is nothing to verify, so that it takes the same time; nobody's password fits it."""
    return Kept(hash=hash_password("\0"), secret=bytes(SECRET_BYTES))


def find_step(secret: bytes, code: str, *, now: Instant, after: int) -> int | None:
    """The step of 30 seconds that the code is of: this one, the one before or the next, if it is later than `after`."""
    totp = pyotp.TOTP(show_secret(secret))
    given = "".join(code.split()).encode("utf-8", "surrogatepass")
    this, found = now // _STEP, None
    for step in (this - 1, this, this + 1):
        same = hmac.compare_digest(totp.generate_otp(step).encode(), given)
        if same and step > after:
            found = step
    return found if len(given) == _DIGITS else None


def show_secret(secret: bytes) -> str:
    """The secret as an authenticator app takes it (RFC 4648 base 32)."""
    return base64.b32encode(secret).decode()


def make_uri(secret: bytes, *, person: str, party: str) -> str:
    """The secret as an authenticator app reads it from a picture."""
    return pyotp.TOTP(show_secret(secret)).provisioning_uri(name=person, issuer_name=f"Comity {party}")


def seal(key: bytes, data: dict[str, str | int], *, to: str, draw: Callable[[int], bytes]) -> bytes:
    """The data as only `key` opens it, and only for what `to` says."""
    nonce = draw(_NONCE)
    return nonce + AESGCM(key).encrypt(nonce, json.dumps(data).encode(), to.encode())


def open_sealed(key: bytes, sealed: bytes, *, to: str) -> dict[str, str | int] | None:
    """What was sealed; None where it was sealed under another key, for something else, or was altered."""
    try:
        found = json.loads(AESGCM(key).decrypt(sealed[:_NONCE], sealed[_NONCE:], to.encode()))
    except (InvalidTag, ValueError):
        return None
    return found if isinstance(found, dict) else None


def _normalise(password: str) -> str:
    return unicodedata.normalize("NFC", password)
