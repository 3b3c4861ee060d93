# SPDX-License-Identifier: Apache-2.0
"""Shell: what an ID token says (OpenID Connect Core 1.0 §3.1.3.7), if it is the provider's, for this console, and new.

joserfc verifies the signature, by a key of the provider's that this module has chosen and by an algorithm of a list:
never `none`, never one by which whoever can verify can sign. What the token claims is judged here.

It needs the extra `oidc`: only what is loaded where a provider is configured imports it.
"""

import hmac
from collections.abc import Mapping
from typing import Any, cast

from joserfc import jwk, jws
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, OKPKey, RSAKey

from comity.canonical import OBJECT_LIMITS, Json, parse_json
from comity.errors import AuthenticationError, MalformedError, UnknownKey
from comity.ids import Instant
from comity.node.accounts import MAX_AGE_SECONDS, Account, Expected

__all__ = ["verify_id_token"]

_SKEW_SECONDS = 60
_ISSUED_SECONDS = 600
_SECOND = 1_000_000
_MOST_TOKEN = 16_384
_MOST_KEYS = 100
_MOST_SUBJECT = 255
_LEAST_RSA_BITS = 2_048
_TYPES = frozenset({None, "JWT"})

_ALGORITHMS: Mapping[str, tuple[str, str | None]] = {
    **{f"{family}{bits}": ("RSA", None) for family in ("RS", "PS") for bits in (256, 384, 512)},
    "ES256": ("EC", "P-256"),
    "ES384": ("EC", "P-384"),
    "ES512": ("EC", "P-521"),
    "Ed25519": ("OKP", "Ed25519"),
}
"""Algorithm → type and curve of the keys it is used with (RFC 7518 §3.1, RFC 9864)."""


def verify_id_token(token: str, keys: Json, expected: Expected, *, now: Instant) -> Account:
    """Whom the token is about; `keys` is the JWK Set of the issuer, as it came.

    Raises:
        UnknownKey: signed by a key that is not among them: they may have been read before it was.
        AuthenticationError: anything else; the message says what, and nothing of the token.
    """
    try:
        extracted = jws.extract_compact(token[: _MOST_TOKEN + 1].encode("utf-8", "surrogatepass"))
        key = _find_key(keys, extracted.headers())
        verified = jws.deserialize_compact(token, key, algorithms=list(_ALGORITHMS))
        claims = parse_json(verified.payload or b"", limits=OBJECT_LIMITS)
    except (JoseError, MalformedError, ValueError, TypeError) as error:
        # The names of joserfc's errors say what was wrong; what they say besides can quote the token.
        raise _refuse(f"its signature does not verify ({type(error).__name__})") from error
    if not isinstance(claims, dict):
        raise _refuse("it holds no claims")
    for problem in (_find_stranger(claims, expected), _find_staleness(claims, int(now) // _SECOND)):
        if problem is not None:
            raise _refuse(problem)
    if expected.acr and claims.get("acr") not in expected.acr:
        raise _refuse("you were not authenticated in a way that is demanded here; use the stronger one it offers")
    return Account(issuer=expected.issuer, subject=_read_subject(claims))


def _find_key(keys: Json, header: object) -> RSAKey | ECKey | OKPKey:
    """The one key of the set that the header names, or the only one that fits its algorithm."""
    if not isinstance(header, dict):
        raise _refuse("it is a token of another kind")
    algorithm, kid = header.get("alg"), header.get("kid")
    wanted = _ALGORITHMS.get(algorithm) if isinstance(algorithm, str) else None
    if wanted is None:
        raise _refuse("it is signed by no algorithm that counts here")
    if header.get("typ") not in _TYPES or "b64" in header or "crit" in header:
        raise _refuse("it is a token of another kind")
    listed = keys.get("keys") if isinstance(keys, dict) else None
    found = [
        item
        for item in (listed if isinstance(listed, list) else [])[:_MOST_KEYS]
        if isinstance(item, dict)
        and (item.get("kty"), item.get("crv")) == wanted
        and item.get("use", "sig") == "sig"
        and item.get("alg", algorithm) == algorithm
        and (kid is None or item.get("kid") == kid)
    ]
    if len(found) != 1:
        raise UnknownKey("the provider signed by a key that is not, or not only once, among those it publishes")
    public = {name: value for name, value in found[0].items() if name in {"kty", "crv", "n", "e", "x", "y"}}
    modulus = public.get("n", "")
    if wanted[0] == "RSA" and not (isinstance(modulus, str) and len(modulus) * 6 >= _LEAST_RSA_BITS):
        raise _refuse("it is signed by a key that is too short to count")
    key = jwk.import_key(cast("dict[str, Any]", public))
    assert isinstance(key, RSAKey | ECKey | OKPKey)  # noqa: S101 (its type was looked at)
    if isinstance(key, RSAKey) and key.raw_value.key_size < _LEAST_RSA_BITS:
        # Zeros before a short one made it look long.
        raise _refuse("it is signed by a key that is too short to count")
    return key


def _find_stranger(claims: Mapping[str, Json], expected: Expected) -> str | None:
    """Why the token is not of this issuer, for this console and this sign-in."""
    audience, nonce = claims.get("aud"), claims.get("nonce")
    listed = audience if isinstance(audience, list) else [audience]
    party = claims.get("azp", None if len(listed) > 1 else expected.client_id)
    if claims.get("iss") != expected.issuer:
        return "it is of another issuer"
    if expected.client_id not in listed or party != expected.client_id:
        return "it is for another client"
    if not isinstance(nonce, str) or not hmac.compare_digest(nonce.encode("utf-8", "replace"), expected.nonce.encode()):
        return "it is of another sign-in"
    return None


def _find_staleness(claims: Mapping[str, Json], now: int) -> str | None:
    """Why the token, or the authentication that it speaks of, is not of now; in whole seconds since 1970."""
    issued, ends, begins = (_read_time(claims.get(name)) for name in ("iat", "exp", "nbf"))
    authenticated = _read_time(claims.get("auth_time"))
    if issued is None or ends is None or ("nbf" in claims and begins is None):
        return "it does not say when it was issued and until when it is good"
    if now >= ends + _SKEW_SECONDS or now - issued > _ISSUED_SECONDS + _SKEW_SECONDS:
        return "it is past its time; are the clocks right?"
    if max(issued, begins or issued) > now + _SKEW_SECONDS:
        return "it is of a time to come; are the clocks right?"
    if authenticated is None:
        return "it does not say when you were authenticated (auth_time)"
    if not now - MAX_AGE_SECONDS - _SKEW_SECONDS <= authenticated <= now + _SKEW_SECONDS:
        return "the provider did not authenticate you anew; sign out there, and sign in again"
    return None


def _read_subject(claims: Mapping[str, Json]) -> str:
    subject = claims.get("sub")
    if not isinstance(subject, str) or not 0 < len(subject) <= _MOST_SUBJECT or not subject.isascii():
        raise _refuse("it does not say whom it is about")
    return subject


def _read_time(value: Json) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _refuse(reason: str) -> AuthenticationError:
    return AuthenticationError(f"not signed in: what the provider said does not count: {reason}")
