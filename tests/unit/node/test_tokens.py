# SPDX-License-Identifier: Apache-2.0
"""ID tokens: the one that is right counts; each that differs in one thing does not."""

import hashlib
import hmac
import json
from collections.abc import Callable
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from joserfc.errors import SecurityWarning

from comity.errors import AuthenticationError, UnknownKey
from comity.ids import Instant, parse_instant
from comity.node.accounts import Account, Expected
from comity.node.tokens import verify_id_token
from tests.issuers import encode, make_key, public_jwk, public_pem, sign

NOW = parse_instant("2031-03-04T05:06:07Z")
SECONDS = NOW // 1_000_000
ISSUER, CLIENT, NONCE = "https://sso.aurelia.example", "comity", "n" * 43
EXPECTED = Expected(issuer=ISSUER, client_id=CLIENT, nonce=NONCE)
KEY = make_key("issuer")
KEYS: Any = {"keys": [public_jwk(KEY), public_jwk(make_key("another"), "2")]}
CLAIMS: dict[str, Any] = {
    "iss": ISSUER,
    "sub": "248289761001",
    "aud": CLIENT,
    "nonce": NONCE,
    "iat": SECONDS,
    "exp": SECONDS + 300,
    "auth_time": SECONDS - 5,
    "acr": "phr",
}
HEADER: dict[str, Any] = {"alg": "RS256", "kid": "1", "typ": "JWT"}


def verify(token: str, keys: Any = KEYS, expected: Expected = EXPECTED, now: int = NOW) -> Account:  # noqa: ANN401
    return verify_id_token(token, keys, expected, now=Instant(now))


def forge(*without: str, **claims: Any) -> str:  # noqa: ANN401
    said = {name: value for name, value in {**CLAIMS, **claims}.items() if name not in without}
    return sign(KEY, said, **HEADER)


def test_the_right_one_counts() -> None:
    assert verify(forge()) == Account(issuer=ISSUER, subject="248289761001")


FINE: dict[str, dict[str, Any]] = {
    "for others too, and made for this client": {"aud": ["other", CLIENT], "azp": CLIENT},
    "in a list of one": {"aud": [CLIENT]},
    "named as the party besides": {"azp": CLIENT},
    "a clock that is a minute ahead": {"iat": SECONDS + 60, "auth_time": SECONDS + 60},
    "a clock that is a minute behind": {"exp": SECONDS - 59, "iat": SECONDS - 300},
    "authenticated five minutes ago": {"auth_time": SECONDS - 300},
    "another mail": {"email": "somebody@else.example", "groups": ["admin"]},
}


@pytest.mark.parametrize("fine", FINE)
def test_what_may_differ(fine: str) -> None:
    assert verify(forge(**FINE[fine])).subject == "248289761001"


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "another issuer": ({"iss": "https://sso.meridia.example"}, "another issuer"),
    "the issuer with a stroke": ({"iss": f"{ISSUER}/"}, "another issuer"),
    "no text as the issuer": ({"iss": [ISSUER]}, "another issuer"),
    "another audience": ({"aud": "other"}, "another client"),
    "another audience in a list": ({"aud": ["other"]}, "another client"),
    "a longer audience": ({"aud": f"{CLIENT}-2"}, "another client"),
    "several, for nobody in particular": ({"aud": [CLIENT, "other"]}, "another client"),
    "made for another client": ({"azp": "other"}, "another client"),
    "several, made for another": ({"aud": [CLIENT, "other"], "azp": "other"}, "another client"),
    "another nonce": ({"nonce": "m" * 43}, "another sign-in"),
    "an empty nonce": ({"nonce": ""}, "another sign-in"),
    "a number as the nonce": ({"nonce": 7}, "another sign-in"),
    "expired": ({"exp": SECONDS - 60}, "past its time"),
    "issued long ago": ({"iat": SECONDS - 661}, "past its time"),
    "from the future": ({"iat": SECONDS + 61}, "a time to come"),
    "not yet good": ({"nbf": SECONDS + 61}, "a time to come"),
    "a text as its end": ({"exp": str(SECONDS + 300)}, "until when it is good"),
    "true as its end": ({"exp": True}, "until when it is good"),
    "a text as its beginning": ({"nbf": "now"}, "until when it is good"),
    "authenticated an hour ago": ({"auth_time": SECONDS - 3_600}, "authenticate you anew"),
    "authenticated a second too long ago": ({"auth_time": SECONDS - 361}, "authenticate you anew"),
    "authenticated in the future": ({"auth_time": SECONDS + 61}, "authenticate you anew"),
    "no text as the subject": ({"sub": 7}, "whom it is about"),
    "an empty subject": ({"sub": ""}, "whom it is about"),
    "an endless subject": ({"sub": "x" * 256}, "whom it is about"),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_what_may_not_differ(wrong: str) -> None:
    claims, reason = WRONG[wrong]
    with pytest.raises(AuthenticationError, match=reason):
        verify(forge(**claims))


@pytest.mark.parametrize("name", ["iss", "sub", "aud", "nonce", "iat", "exp", "auth_time"])
def test_what_must_be_there(name: str) -> None:
    with pytest.raises(AuthenticationError):
        verify(forge(name))


def test_a_way_of_authenticating_that_is_demanded() -> None:
    demanding = Expected(issuer=ISSUER, client_id=CLIENT, nonce=NONCE, acr=("phrh", "phr"))
    assert verify(forge(), expected=demanding).subject
    for token in (forge(acr="pwd"), forge("acr"), forge(acr=["phr"]), forge(acr="")):
        with pytest.raises(AuthenticationError, match="in a way that is demanded"):
            verify(token, expected=demanding)


# --- signatures -------------------------------------------------------------------------------------------------------


def swap(token: str, part: int, value: str) -> str:
    parts = token.split(".")
    parts[part] = value
    return ".".join(parts)


def flip(token: str, part: int) -> str:
    text = token.split(".")[part]
    middle = len(text) // 2
    return swap(token, part, text[:middle] + ("A" if text[middle] != "A" else "B") + text[middle + 1 :])


HMAC_KEYS = (public_pem(KEY), json.dumps(public_jwk(KEY)).encode(), b"", b"secret")


@pytest.mark.parametrize(
    "algorithm", ["none", "None", "NONE", "HS256", "HS384", "RS1", "ES256K", "", None, 7, ["RS256"]]
)
def test_no_other_algorithm_counts(algorithm: object) -> None:
    header = {**HEADER, "alg": algorithm}
    for key in (None, KEY, *HMAC_KEYS):
        with pytest.raises(AuthenticationError):
            verify(sign(key, CLAIMS, **header))


def test_a_token_signed_by_the_public_key_as_a_secret_is_none() -> None:
    """The classic confusion; and with a key of that kind in the set, which nobody may rely on either."""
    secret = hmac.new(b"", public_pem(KEY), hashlib.sha256).digest()
    confused: Any = {"keys": [*KEYS["keys"], {"kty": "oct", "k": encode(secret), "kid": "3", "alg": "HS256"}]}
    for key, kid in ((public_pem(KEY), "1"), (secret, "3")):
        with pytest.raises(AuthenticationError, match="no algorithm"):
            verify(sign(key, CLAIMS, alg="HS256", kid=kid), confused)
    for algorithm in ("RS256", "ES256"):
        with pytest.raises((AuthenticationError, UnknownKey)):
            verify(sign(secret, CLAIMS, alg=algorithm, kid="3"), confused)


def test_a_signature_of_another_key_does_not_count() -> None:
    with pytest.raises(AuthenticationError, match="does not verify"):
        verify(sign(make_key("stranger"), CLAIMS, **HEADER))
    with pytest.raises(AuthenticationError, match="does not verify"):
        verify(sign(make_key("another"), CLAIMS, **HEADER))
    assert verify(sign(make_key("another"), CLAIMS, **{**HEADER, "kid": "2"})).subject


@pytest.mark.parametrize("part", [0, 1, 2])
def test_a_letter_that_was_changed_breaks_it(part: int) -> None:
    with pytest.raises((AuthenticationError, UnknownKey)):
        verify(flip(forge(), part))
    with pytest.raises(AuthenticationError):
        verify(swap(forge(), part, ""))


def test_a_key_that_the_token_brings_along_is_not_looked_at() -> None:
    stranger = make_key("stranger")
    for more in (
        {"jwk": public_jwk(stranger, "1")},
        {"jku": "https://evil.example/keys"},
        {"x5u": "https://evil.example/chain"},
    ):
        with pytest.raises(AuthenticationError):
            verify(sign(stranger, CLAIMS, **{**HEADER, **more}))


def test_a_key_that_is_not_published_is_told_apart() -> None:
    for token in (
        sign(KEY, CLAIMS, **{**HEADER, "kid": "3"}),
        sign(KEY, CLAIMS, **{**HEADER, "kid": ["1"]}),
        sign(KEY, CLAIMS, alg="ES256", kid="1"),
        sign(KEY, CLAIMS, alg="RS256"),  # which of the two?
    ):
        with pytest.raises(UnknownKey):
            verify(token)
    keys: Any
    for keys in ({}, {"keys": {}}, {"keys": [7]}, [], None, {"keys": [*KEYS["keys"], public_jwk(KEY)]}):
        with pytest.raises(UnknownKey):
            verify(forge(), keys)


def test_without_a_name_the_only_key_is_meant() -> None:
    assert verify(sign(KEY, CLAIMS, alg="RS256"), {"keys": [public_jwk(KEY, None)]}).subject


@pytest.mark.parametrize("more", [{"use": "enc"}, {"alg": "PS256"}, {"kty": "EC"}, {"crv": "P-256"}])
def test_a_key_for_something_else_is_not_used(more: dict[str, str]) -> None:
    with pytest.raises(UnknownKey):
        verify(forge(), {"keys": [{**public_jwk(KEY), **more}]})


@pytest.mark.parametrize("broken", [{"n": "!"}, {"n": ""}, {"e": 7}, {"n": "AQAB"}])
def test_a_key_that_is_none_raises_nothing_else(broken: dict[str, Any]) -> None:
    with pytest.raises(AuthenticationError):
        verify(forge(), {"keys": [{**public_jwk(KEY), **broken}]})


def test_a_short_key_does_not_count() -> None:
    short = make_key("short", bits=1_024)
    published = public_jwk(short)
    with pytest.raises(AuthenticationError, match="too short"):
        verify(sign(short, CLAIMS, **HEADER), {"keys": [published]})
    with pytest.raises((AuthenticationError, SecurityWarning), match=r"too short|2048"):
        verify(sign(short, CLAIMS, **HEADER), {"keys": [{**published, "n": "A" * 180 + published["n"]}]})


@pytest.mark.parametrize("kind", ["ES256", "Ed25519"])
def test_curves_count(kind: str) -> None:
    key = ec.generate_private_key(ec.SECP256R1()) if kind == "ES256" else Ed25519PrivateKey.generate()
    other = ec.generate_private_key(ec.SECP256R1()) if kind == "ES256" else Ed25519PrivateKey.generate()
    keys: Any = {"keys": [public_jwk(key)]}
    assert verify(sign(key, CLAIMS, alg=kind, kid="1"), keys).subject
    with pytest.raises(AuthenticationError):
        verify(sign(other, CLAIMS, alg=kind, kid="1"), keys)


@pytest.mark.parametrize(
    "header", [{"typ": "at+jwt"}, {"typ": "logout+jwt"}, {"crit": ["x"], "x": 1}, {"b64": False, "crit": ["b64"]}]
)
def test_tokens_of_another_kind_do_not_count(header: dict[str, Any]) -> None:
    with pytest.raises(AuthenticationError, match="another kind"):
        verify(sign(KEY, CLAIMS, **{**HEADER, **header}))


NO_CLAIMS: list[bytes] = [b"", b"[]", b"7", b"null", b"{", b'{"sub":"a","sub":"b"}', b"\xff", b'{"sub":NaN}']


@pytest.mark.parametrize("payload", NO_CLAIMS)
def test_what_is_no_object_does_not_count(payload: bytes) -> None:
    with pytest.raises(AuthenticationError):
        verify(sign(KEY, payload, **HEADER))


@pytest.mark.parametrize(
    "text", ["", ".", "..", "a.b", "a.b.c.d", "a.b.c", "\ud800.b.c", "W10.e30.", "e30.e30.", "x" * 200_000]
)
def test_what_is_no_token_raises_nothing_else(text: str) -> None:
    with pytest.raises((AuthenticationError, UnknownKey)):
        verify(text)


def test_an_endless_token_is_not_read() -> None:
    with pytest.raises(AuthenticationError):
        verify(forge(picture="x" * 20_000))


def test_the_reason_says_nothing_of_the_token() -> None:
    said = list[str]()
    tamper: list[Callable[[], str]] = [lambda: forge(iss="https://secret.example"), lambda: flip(forge(), 2)]
    for make in tamper:
        with pytest.raises(AuthenticationError) as caught:
            verify(make())
        said.append(caught.value.detail)
    assert not any(word in text for text in said for word in ("secret", "248289761001", "eyJ"))
