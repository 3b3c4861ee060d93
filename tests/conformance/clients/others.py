# SPDX-License-Identifier: Apache-2.0
"""The requests of clients whose source is closed or whose way is plain, as their documents describe them.

Microsoft Sentinel: the URL of an API root and the id of a collection; Basic and nothing else; goes on by `next`, then
by date. Cortex XSOAR: discovery, the default API root, a collection by its title, pages of 100, its own date. Splunk:
as Sentinel, with a user name that means something to Splunk alone, and a URL without the last slash.
"""

from dataclasses import dataclass, field
from urllib.parse import urljoin

from tests.conformance.clients.asking import Asking


@dataclass
class Poller:
    """A client that reads one collection, page after page, and begins the next time where it ended."""

    asking: Asking
    url: str
    limit: int | None = None
    added_after: str | None = None
    got: list[str] = field(default_factory=list)

    def run(self) -> None:
        """Everything that is there and was not yet."""
        query = {"added_after": self.added_after, "limit": self.limit, "next": None}
        while True:
            answer = self.asking.ask("GET", self.url, {name: text for name, text in query.items() if text is not None})
            answer.raise_for_status()
            body = answer.json()
            self.got += [item["id"] for item in body.get("objects", [])]
            self.added_after = answer.headers.get("X-TAXII-Date-Added-Last", self.added_after)
            if not body.get("more"):
                return
            query["next"] = body["next"]


def sentinel(asking: Asking, root: str, collection: str) -> Poller:
    """A connector of Sentinel: the API root is written with or without its last slash."""
    return Poller(asking, f"{root.rstrip('/')}/collections/{collection}/objects/")


def splunk(asking: Asking, root: str, collection: str) -> Poller:
    """A feed of Splunk, of one collection."""
    return Poller(asking, f"{root.rstrip('/')}/collections/{collection}/objects")


def xsoar(asking: Asking, discovery: str, title: str) -> Poller:
    """A feed of XSOAR: from the discovery URL to the collection of that title."""
    found = asking.read(discovery)
    root = urljoin(discovery, found["default"])
    listed = asking.read(f"{root}collections/")["collections"]
    (collection,) = [item for item in listed if item["title"] == title]
    return Poller(asking, f"{root}collections/{collection['id']}/objects/", limit=100)
