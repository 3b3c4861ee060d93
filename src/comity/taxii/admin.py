# SPDX-License-Identifier: Apache-2.0
"""Shell: what an operator's machines ask a node for, on an address of its own that is never the partners'.

    /health    200 as long as this process answers at all
    /ready     200 when it listens for partners, its store can be read and its certificate is good; else 503 and why
    /metrics   the figures (`taxii.metrics`)

Who can reach the address is told which partners there are and how much they ask: the settings allow loopback alone.
"""

import json
from collections.abc import Awaitable, Callable

from comity.errors import ComityError
from comity.ids import Instant, format_instant
from comity.node.figures import read_figures
from comity.node.node import Node
from comity.taxii.guard import Receive, Scope, Send
from comity.taxii.metrics import CONTENT_TYPE, Metrics

__all__ = ["AdminApp", "find_problems"]


def find_problems(node: Node, *, certificate_expires_at: Instant | None) -> list[str]:
    """Why partners cannot be served now, a sentence each, whether or not anything listens for them."""
    problems = list[str]()
    if certificate_expires_at is not None and certificate_expires_at <= node.clock():
        problems.append(f"its certificate ran out at {format_instant(certificate_expires_at)}")
    try:
        read_figures(node)
    except ComityError as error:
        problems.append(error.detail)
    return problems


class AdminApp:
    """The ASGI application. `find_problems` says why the node is not ready, a sentence each; none when it is.

    `gather`, where it is given, is awaited before the figures are told: other processes have counted too.
    """

    def __init__(
        self,
        metrics: Metrics,
        find_problems: Callable[[], list[str]],
        *,
        gather: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        self._metrics = metrics
        self._find_problems = find_problems
        self._gather = gather

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 (ASGI's signature)
        """Answer one HTTP request (ASGI 3)."""
        if scope["type"] != "http":
            return
        if self._gather is not None and scope["path"] == "/metrics":
            await self._gather()
        status, kind, body = self._answer(scope["method"], scope["path"])
        headers = [
            (b"content-type", kind.encode()),
            (b"content-length", str(len(body)).encode()),
            (b"cache-control", b"no-store"),
        ]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    def _answer(self, method: str, path: str) -> tuple[int, str, bytes]:
        match method, path:
            case "GET" | "HEAD", "/health":
                return 200, "application/json", b'{"status":"ok"}'
            case "GET" | "HEAD", "/ready":
                problems = self._find_problems()
                body = {"status": "not ready", "problems": problems} if problems else {"status": "ready"}
                return 503 if problems else 200, "application/json", json.dumps(body).encode()
            case "GET" | "HEAD", "/metrics":
                return self._format_metrics()
            case _:
                return 404, "application/json", b'{"status":"no such page"}'

    def _format_metrics(self) -> tuple[int, str, bytes]:
        try:
            return 200, CONTENT_TYPE, self._metrics.format()
        except ComityError as error:
            return 503, "application/json", json.dumps({"status": "not ready", "problems": [error.detail]}).encode()
