# SPDX-License-Identifier: Apache-2.0
"""Shell: the OpenID provider by which people may sign in: where they are sent, and what it says when they come back.

The authorization code flow (OpenID Connect Core 1.0 §3.1) with PKCE (RFC 7636, S256), state and nonce. What one sign-in
needs to know is sealed into a cookie of the browser that began it, under a key of this process: so nothing is kept of
the many that are begun, and nobody else's browser can end one. It counts once, for ten minutes.

The issuer alone is called: by the client of every outbound call (`calls`), which follows no redirect and takes no proxy
from the environment, within few seconds and bytes, at addresses of the issuer's own origin, whatever it publishes.
"""

import asyncio
import base64
import hashlib
import hmac
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from typing import Protocol
from urllib.parse import quote, urlencode, urlsplit

import httpx

from comity.calls import open_client, read_body
from comity.canonical import OBJECT_LIMITS, Json, parse_json
from comity.errors import AuthenticationError, ConfigError, MalformedError, PeerUnreachable, UnknownKey
from comity.ids import Instant
from comity.node.accounts import MAX_AGE_SECONDS, Account, Expected
from comity.node.node import Node
from comity.node.passwords import open_sealed, seal
from comity.node.tries import Tries
from comity.openid import OidcSetting, read_client_secret

__all__ = ["FLOW_SECONDS", "RETURN_PATH", "Flow", "Provider", "Verify"]

RETURN_PATH = "/sign-in/openid/return"
"""To where the provider sends people back; with the URL of the console before it, this is known to it by heart."""

FLOW_SECONDS = 600
_SECOND = 1_000_000
_KEPT = 3_600 * _SECOND
_AGAIN = 5 * _SECOND
_CALL_SECONDS = 10.0
_AT_ONCE = 8
_DRAWN_BYTES = 32
_MOST_ANSWER = 64 * 1024
_MOST_KEYS = 256 * 1024
_MOST_NEXT, _MOST_CODE, _MOST_TOKEN = 500, 200, 64
"""What is kept in the cookie, which browsers keep up to some 4 KiB."""

_MOST_COOKIE = 4_096
_SEALED_FOR = "comity-openid-flow/1"
_CODE = re.compile(r"[ -~]{1,2048}", re.ASCII)
_ERROR = re.compile(r"[a-z_]{1,60}", re.ASCII)
_ENDPOINTS = ("authorization_endpoint", "token_endpoint", "jwks_uri")
_AGAIN_SAID = "begin again here, in this browser, and within ten minutes"


class Verify(Protocol):
    """How an ID token is verified (`node.tokens`, which is loaded where a provider is configured)."""

    def __call__(self, token: str, keys: Json, expected: Expected, *, now: Instant) -> Account:
        """Whom the token is about."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Flow:
    """One sign-in that was begun in one browser: where it leads, and what it must be ended by.

    `code` is that of an invitation, if it is to enrol, else empty; `earlier` the token of the session that the browser
    had. `known` is whoever is no stranger: who has an invitation, or in whose browser somebody signed in before.
    """

    issuer: str
    state: str = field(repr=False)
    nonce: str = field(repr=False)
    verifier: str = field(repr=False)
    to: str
    code: str = field(repr=False)
    earlier: str = field(repr=False)
    known: bool
    until: int


@dataclass(frozen=True, slots=True, kw_only=True)
class _Published:
    """What the issuer says of itself (OpenID Connect Discovery 1.0 §3), read at a time."""

    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    names_itself: bool
    takes_basic: bool
    read_at: Instant


class Provider:
    """The provider of one console, which people reach by `url`.

    Raises:
        ConfigError: the client secret cannot be used.
    """

    def __init__(self, node: Node, setting: OidcSetting, *, url: str, verify: Verify) -> None:
        read_client_secret(setting.secret)
        self.name = setting.name
        self._node = node
        self._setting = setting
        self._return_url = f"{url}{RETURN_PATH}"
        self._verify = verify
        self._tries, self._tries_of_known = Tries("accounts"), Tries("accounts of known")
        self._key: bytes | None = None
        self._used: dict[str, int] = {}
        self._published: _Published | None = None
        self._keys: tuple[Instant, Json] | None = None
        self._failed: tuple[int, str] = (0, "")
        self._reading = asyncio.Lock()
        self._calling = asyncio.Semaphore(_AT_ONCE)

    async def begin(self, *, to: str, known: bool, code: str = "", earlier: str = "") -> tuple[str, str]:
        """The address at the provider to which the person goes, and what the browser keeps until it comes back.

        Whoever is `known` has tries that no stranger uses up.

        Raises:
            PeerUnreachable: the provider does not answer, or not as one.
        """
        published = await self._discover()
        draw = self._node.draw
        state, nonce, verifier = (_encode(draw(_DRAWN_BYTES)) for _ in range(3))
        flow = Flow(
            issuer=self._setting.issuer,
            state=state,
            nonce=nonce,
            verifier=verifier,
            to=to if len(to) <= _MOST_NEXT else "/",
            code=code[:_MOST_CODE],
            earlier=earlier if len(earlier) <= _MOST_TOKEN else "",
            known=known,
            until=self._node.clock() + FLOW_SECONDS * _SECOND,
        )
        asked = {
            "response_type": "code",
            "scope": "openid",
            "client_id": self._setting.client_id,
            "redirect_uri": self._return_url,
            "state": state,
            "nonce": nonce,
            "code_challenge": _encode(hashlib.sha256(verifier.encode()).digest()),
            "code_challenge_method": "S256",
            "max_age": str(MAX_AGE_SECONDS),
            **({"acr_values": " ".join(self._setting.acr)} if self._setting.acr else {}),
        }
        joint = "&" if "?" in published.authorization_endpoint else "?"
        sealed = seal(self._find_key(), asdict(flow), to=_SEALED_FOR, draw=draw)
        return f"{published.authorization_endpoint}{joint}{urlencode(asked)}", _encode(sealed)

    def take(self, kept: str, said: list[tuple[str, str]]) -> Flow:
        """The sign-in that the browser began, of which somebody brings what the provider said; it counts no more.

        Raises:
            AuthenticationError: it began in another browser, is over, or was ended before.
            RateLimited: too many come back at once; it counts still.
        """
        answer = dict(said)
        flow = self._open(kept)
        # A state that is not this browser's ends nothing: another site could end what is under way by a link.
        if (
            flow is None
            or len(answer) != len(said)
            or not hmac.compare_digest(answer.get("state", "").encode("utf-8", "replace"), flow.state.encode())
        ):
            raise AuthenticationError(f"not signed in: this sign-in did not begin in this browser; {_AGAIN_SAID}")
        now = self._node.clock()
        if now >= flow.until or flow.state in self._used:
            raise AuthenticationError(f"not signed in: this sign-in is over; {_AGAIN_SAID}")
        # Before anything is kept of it: strangers can end as many as they begin.
        (self._tries_of_known if flow.known else self._tries).begin_key(self._node)
        self._used = {used: end for used, end in self._used.items() if end > now} | {flow.state: flow.until}
        return flow

    async def finish(self, flow: Flow, said: Mapping[str, str]) -> Account:
        """Who the person is at the provider, by what it said in the address to which it sent the browser back.

        Raises:
            AuthenticationError: another provider, nobody was authenticated, or what it says does not count.
            PeerUnreachable: it does not answer, or not as a provider.
        """
        published = await self._discover()
        # Whose answer it is (RFC 9207): required from a provider that says it tells, and never another's.
        if flow.issuer != self._setting.issuer or said.get("iss", flow.issuer) != flow.issuer:
            raise AuthenticationError("not signed in: another provider answered; begin again, and tell the operator")
        if published.names_itself and "iss" not in said:
            raise AuthenticationError("not signed in: the answer does not name its provider; tell the operator")
        if "error" in said or not _CODE.fullmatch(said.get("code", "")):
            error = said.get("error", "")
            reason = f" ({error})" if _ERROR.fullmatch(error) else ""
            raise AuthenticationError(
                f"not signed in: {self.name} did not let you in{reason}; try again, or ask there why"
            )
        token = await self._exchange(published, said["code"], flow.verifier)
        expected = Expected(
            issuer=flow.issuer, client_id=self._setting.client_id, nonce=flow.nonce, acr=self._setting.acr
        )
        keys = await self._read_keys(published, besides=None)
        with suppress(UnknownKey):
            return self._verify(token, keys, expected, now=self._node.read_machine_clock())
        # The provider may have another key since its keys were read: they are read anew, once.
        keys = await self._read_keys(published, besides=keys)
        try:
            return self._verify(token, keys, expected, now=self._node.read_machine_clock())
        except UnknownKey as error:
            raise AuthenticationError(f"not signed in: {error.detail}; try again, or tell the operator") from error

    def _open(self, kept: str) -> Flow | None:
        if not 0 < len(kept) <= _MOST_COOKIE:
            return None
        with suppress(ValueError, TypeError):
            data = open_sealed(self._find_key(), _decode(kept), to=_SEALED_FOR)
            return None if data is None else Flow(**data)  # type: ignore[arg-type]  # what this process has sealed
        return None

    def _find_key(self) -> bytes:
        self._key = self._key or self._node.draw(_DRAWN_BYTES)
        return self._key

    async def _discover(self) -> _Published:
        """What the issuer publishes, read once an hour."""
        async with self._reading:
            now = self._node.clock()
            if self._published is None or now >= self._published.read_at + _KEPT:
                with self._remembering():
                    url = f"{self._setting.issuer.rstrip('/')}/.well-known/openid-configuration"
                    self._published = self._read_published(await self._get(url, most=_MOST_ANSWER), now)
            return self._published

    def _read_published(self, said: Mapping[str, Json], now: Instant) -> _Published:
        if said.get("issuer") != self._setting.issuer:
            raise self._blame("it says that it is another issuer than the one in node.toml, to the letter")
        found = dict[str, str]()
        for name in _ENDPOINTS:
            url = said.get(name)
            if not isinstance(url, str) or not self._is_own(url):
                raise self._blame(f"its {name} is not at its own address, and is not used")
            found[name] = url
        challenges, ways = (
            said.get("code_challenge_methods_supported"),
            said.get("token_endpoint_auth_methods_supported"),
        )
        if isinstance(challenges, list) and "S256" not in challenges:
            raise self._blame("it does not know PKCE with S256")
        return _Published(
            **found,
            names_itself=said.get("authorization_response_iss_parameter_supported") is True,
            # The one that holds where nothing is said (Discovery §3).
            takes_basic=not isinstance(ways, list) or "client_secret_basic" in ways,
            read_at=now,
        )

    def _is_own(self, url: str) -> bool:
        """Whether the address is of the issuer's own origin, and of a form that everybody reads in the same way."""
        if not re.fullmatch(r"[!#-;=?-\[\]_a-z~]{1,2000}", url, re.ASCII) or "#" in url or "@" in url:
            return False
        try:
            own, other = (
                (parts.scheme, parts.hostname, parts.port) for parts in map(urlsplit, (self._setting.issuer, url))
            )
        except ValueError:
            return False
        return own == other

    async def _read_keys(self, published: _Published, *, besides: Json) -> Json:
        """The keys of the issuer, read once an hour, and anew if those that are kept are the ones in `besides`."""
        async with self._reading:
            now = self._node.clock()
            if self._keys is None or now >= self._keys[0] + _KEPT or self._keys[1] is besides:
                with self._remembering():
                    self._keys = (now, dict(await self._get(published.jwks_uri, most=_MOST_KEYS)))
            return self._keys[1]

    async def _exchange(self, published: _Published, code: str, verifier: str) -> str:
        """The ID token that the code stands for (§3.1.3)."""
        try:
            client, secret = self._setting.client_id, read_client_secret(self._setting.secret)
        except ConfigError as error:
            # Where the file lies is for the operator, who is told when the node is started.
            raise self._blame("its client secret cannot be read here") from error
        fields = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": self._return_url,
            "code_verifier": verifier,
        }
        headers = dict[str, str]()
        if published.takes_basic:
            pair = f"{quote(client, safe='')}:{quote(secret, safe='')}"
            headers["authorization"] = f"Basic {base64.b64encode(pair.encode()).decode()}"
        else:
            fields |= {"client_id": client, "client_secret": secret}
        status, said = await self._call(
            "POST", published.token_endpoint, most=_MOST_ANSWER, data=fields, headers=headers
        )
        token = said.get("id_token")
        if status in {httpx.codes.BAD_REQUEST, httpx.codes.UNAUTHORIZED}:
            told = said.get("error")
            reason = f" ({told})" if isinstance(told, str) and _ERROR.fullmatch(told) else ""
            raise AuthenticationError(
                f"not signed in: {self.name} did not take its own answer back{reason}; begin again"
            )
        if status != httpx.codes.OK or not isinstance(token, str):
            raise self._blame(f"it answered {status}, and not with an ID token")
        return token

    @contextmanager
    def _remembering(self) -> Iterator[None]:
        """What failed is told again for some seconds without asking: strangers can have it asked for."""
        until, problem = self._failed
        if self._node.clock() < until:
            raise PeerUnreachable(problem)
        try:
            yield
        except PeerUnreachable as error:
            self._failed = (self._node.clock() + _AGAIN, error.detail)
            raise

    async def _get(self, url: str, *, most: int) -> Mapping[str, Json]:
        status, said = await self._call("GET", url, most=most)
        if status != httpx.codes.OK:
            raise self._blame(f"{url} answered {status}")
        return said

    async def _call(
        self,
        method: str,
        url: str,
        *,
        most: int,
        data: dict[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> tuple[int, Mapping[str, Json]]:
        """The status and the JSON object of an answer.

        Raises:
            PeerUnreachable: none, a redirect, over a bound, or no object.
        """
        known = {"accept": "application/json", "accept-encoding": "identity", **(headers or {})}
        try:
            async with (
                self._calling,
                asyncio.timeout(_CALL_SECONDS),
                open_client(self._node) as client,
                client.stream(method, url, data=data, headers=known) as answer,
            ):
                body = await read_body(answer, most=most)
            said = parse_json(body.content, limits=OBJECT_LIMITS)
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
            raise self._blame(f"it did not answer ({str(error) or type(error).__name__})") from error
        except PeerUnreachable as error:
            raise self._blame(error.detail) from error
        except MalformedError as error:
            raise self._blame("it did not answer in JSON") from error
        if not isinstance(said, dict):
            raise self._blame("it did not answer with a JSON object")
        return body.status_code, said

    def _blame(self, reason: str) -> PeerUnreachable:
        return PeerUnreachable(
            f"{self.name} cannot be used now: {reason}. Sign in another way, or try later; if it stays so, tell the"
            " operator of this node"
        )


def _encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _decode(text: str) -> bytes:
    return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
