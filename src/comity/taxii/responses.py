# SPDX-License-Identifier: Apache-2.0
"""Shell: what goes back for one request: status, headers and body; and the one table from failures to statuses."""

import logging
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from comity.errors import (
    AuthenticationError,
    ComityError,
    ConfigError,
    ConflictError,
    CorruptionError,
    MalformedError,
    NotFoundError,
    RateLimited,
    TransitionError,
    UnavailableError,
    VerificationError,
)
from comity.ids import AgreementId, Digest
from comity.taxii import wire
from comity.taxii.sends import Sending
from comity.taxii.writing import Refused

__all__ = [
    "MOST_AT_ONCE",
    "STATUS",
    "Response",
    "challenge",
    "cut_body",
    "fail",
    "find_status",
    "give",
    "refuse",
    "respond",
    "tell",
]

STATUS: Mapping[type[ComityError], int] = {
    MalformedError: 400,
    AuthenticationError: 404,
    VerificationError: 404,
    NotFoundError: 404,
    TransitionError: 404,
    ConflictError: 404,
    UnavailableError: 503,
    RateLimited: 429,
    ConfigError: 503,
    CorruptionError: 503,
}
"""Class of failure → status. 404 wherever another status would tell that something exists."""

_TITLES = {
    400: "Bad request",
    403: "Forbidden",
    404: "Not found",
    406: "Not acceptable",
    413: "Payload too large",
    415: "Unsupported media type",
    422: "Unprocessable content",
    429: "Too many requests",
    503: "Unavailable",
}
_NO_HEADERS: Mapping[str, str] = {}
_MOST_JOINED = 64 * 1024
MOST_AT_ONCE = 1024 * 1024
"""Bytes of a body that are handed over at once: what is not taken of them is copied, for each reader."""


_log = logging.getLogger("comity.taxii")


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """What goes back, in parts, with its headers as they are sent.

    `sending` is registered until it is out; `stopped` has to be drained before it goes.
    """

    status: int
    body: tuple[bytes, ...]
    headers: tuple[tuple[bytes, bytes], ...]
    sending: Sending | None = None
    stopped: tuple[AgreementId, Digest] | None = None
    objects: int = 0

    def begin(self, sending: Sending, *, besides: tuple[tuple[bytes, bytes], ...] = ()) -> "Response":
        """The same, as an answer that is registered as under way, with headers of this answer alone `besides`."""
        headers = self.headers + besides if besides else self.headers
        return Response(status=self.status, body=self.body, headers=headers, sending=sending, objects=self.objects)


def find_status(error: ComityError) -> int:
    """The status of a failure by the nearest class in STATUS."""
    return next(STATUS[kind] for kind in type(error).__mro__ if kind in STATUS)


def respond(status: int, *body: bytes, headers: Mapping[str, str] = _NO_HEADERS) -> Response:
    """The response; a short body is joined, which costs less than giving its parts one by one."""
    size = sum(map(len, body))
    if body and size <= _MOST_JOINED:
        body = (b"".join(body),)
    named = {
        "content-type": wire.MEDIA_TYPE,
        "content-length": str(size),
        "cache-control": "no-store",
        **headers,
    }
    raw = tuple((name.encode("latin-1"), value.encode("latin-1")) for name, value in named.items())
    return Response(status=status, body=body, headers=raw)


def cut_body(body: Sequence[bytes]) -> deque[bytes | memoryview]:
    """The body in pieces, each small enough to be copied for every reader that does not take it."""
    pieces = deque[bytes | memoryview]()
    for part in body:
        if len(part) <= MOST_AT_ONCE:
            pieces.append(part)
        else:
            whole = memoryview(part)
            pieces.extend(whole[start : start + MOST_AT_ONCE] for start in range(0, len(part), MOST_AT_ONCE))
    return pieces


def give(body: bytes) -> Response:
    """200 with this body."""
    return respond(200, body)


def fail(status: int, description: str = "", *, headers: Mapping[str, str] = _NO_HEADERS) -> Response:
    """An error message of TAXII (§3.6.1)."""
    body = wire.format_error(title=_TITLES[status], status=status, description=description)
    return respond(status, body, headers=headers)


def refuse(error: ComityError) -> Response:
    """The answer to a failure; why is told where that gives nothing away, and everything about it to our log."""
    status = find_status(error)
    if status >= 500:  # noqa: PLR2004 (the class of HTTP statuses that are our fault)
        _log.error("%s: %s", error.code, error.detail)
    wait = error.facts.get("retry_after")
    headers = _NO_HEADERS if wait is None else {"retry-after": str(wait)}
    return fail(status, error.detail if status in {400, 429} else "", headers=headers)


def tell(refused: Refused) -> Response:
    """The answer to a write that was refused."""
    return fail(refused.status, refused.description, headers=dict(refused.headers))


def challenge() -> Response:
    """401, by which a client learns how to authenticate."""
    body = wire.format_error(title="Unauthorized", status=401)
    return respond(401, body, headers={"www-authenticate": 'Basic realm="taxii"'})
