# SPDX-License-Identifier: Apache-2.0
"""What all replayed clients do: send a request as it is written down, and raise what is no success."""

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx

__all__ = ["Asking", "encode_basic", "read_token"]

_MAX_REQUESTS = 300


@dataclass
class Asking:
    """A client's connection: its headers, where it is connected to, and what went wrong."""

    base: str
    headers: Mapping[str, str]
    errors: list[str] = field(default_factory=list)
    sent: list[str] = field(default_factory=list)

    def ask(self, method: str, url: str, query: Mapping[str, Any] | None = None, **more: Any) -> httpx.Response:  # noqa: ANN401
        """The answer, whatever it is."""
        assert len(self.sent) < _MAX_REQUESTS, "it asks for ever"
        target = url if url.startswith("http") else self.base + url
        headers = {**self.headers, **more.pop("headers", {})}
        answer = httpx.request(method, target, params=query or None, headers=headers, timeout=60, **more)
        self.sent.append(f"{method} {answer.request.url.raw_path.decode()}")
        return answer

    def read(self, url: str, query: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """What a success holds.

        Raises:
            httpx.HTTPStatusError: it is none.
        """
        answer = self.ask("GET", url, query)
        answer.raise_for_status()
        return dict(answer.json())


def encode_basic(user: str, password: str) -> str:
    """What follows the name of the scheme (RFC 7617)."""
    return base64.b64encode(f"{user}:{password}".encode()).decode()


def read_token(scheme: str, secret: str) -> dict[str, str]:
    """The header that carries a token."""
    return {"Authorization": f"{scheme} {secret}"}
