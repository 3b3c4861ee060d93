# SPDX-License-Identifier: Apache-2.0
"""The requests of the TAXII ingester inside OpenCTI, one for each turn, as its source has them.

It keeps a cursor and a date. While there is more it sends both; after the last page the cursor goes, and the date is
that of the header, cut to the millisecond as JavaScript does. An empty answer moves nothing but drops the cursor.
"""

from dataclasses import dataclass, field

from tests.conformance.clients.asking import Asking


@dataclass
class OpenCtiIngester:
    """The feed of one collection."""

    asking: Asking
    root: str
    collection: str
    limit: int | None = None
    cursor: str | None = None
    added_after: str | None = None
    got: list[str] = field(default_factory=list)

    def turn(self) -> int:
        """How many objects one turn brought."""
        query = {"next": self.cursor, "added_after": self.added_after, "limit": self.limit}
        url = f"{self.root.rstrip('/')}/collections/{self.collection}/objects/"
        answer = self.asking.ask("GET", url, {name: value for name, value in query.items() if value is not None})
        answer.raise_for_status()
        body = answer.json()
        objects = body.get("objects") or []
        if not objects:
            self.cursor = None
        elif body.get("more") and body.get("next"):
            self.cursor = body["next"]
        else:
            whole, _, fraction = answer.headers["x-taxii-date-added-last"].removesuffix("Z").partition(".")
            self.cursor, self.added_after = None, f"{whole}.{fraction[:3]}Z"
        self.got += [item["id"] for item in objects]
        return len(objects)
