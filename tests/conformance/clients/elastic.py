# SPDX-License-Identifier: Apache-2.0
"""The requests of Elastic's integration for custom threat intelligence, as its program has them.

It never looks at `more`: it goes on while `next` is there and not empty, with nothing but `next` (and `limit`). After
each answer its position is the last date in the headers, or none when there is none: then it begins at its first
interval again. Until 1 June 2026 it read `objects` without looking; a failure leaves its position as it was.
"""

from dataclasses import dataclass, field
from typing import Any

import httpx

from tests.conformance.clients.asking import Asking


@dataclass
class Elastic:
    """One feed: the URL of a collection's objects; `initial` is now, less the first interval."""

    asking: Asking
    url: str
    initial: str
    limit: int | None = None
    reads_without_looking: bool = False
    position: str | None = None
    got: list[str] = field(default_factory=list)

    def run(self) -> None:
        """One interval."""
        limit = {} if self.limit is None else {"limit": str(self.limit)}
        query: dict[str, str] | None = {"added_after": self.position or self.initial, **limit}
        while query is not None:
            answer = self.asking.ask("GET", self.url.rstrip("/") + "/", query)
            body = self._read(answer)
            if body is None:
                return
            self.position = answer.headers.get("X-Taxii-Date-Added-Last")
            query = {"next": body["next"], **limit} if body.get("next") else None

    def _read(self, answer: httpx.Response) -> dict[str, Any] | None:
        if answer.status_code not in {200, 206}:
            self.asking.errors.append(answer.text)
            return None
        body = dict(answer.json())
        if self.reads_without_looking and "objects" not in body:
            self.asking.errors.append("no such key: objects")
            return None
        self.got += [item["id"] for item in body.get("objects", [])]
        return body
