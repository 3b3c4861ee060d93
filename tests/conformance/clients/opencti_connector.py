# SPDX-License-Identifier: Apache-2.0
"""The requests of OpenCTI's TAXII connector ("root.*", and "root.title" split at the dot), as its source has them.

One set of query parameters serves all collections and outlives the run. `added_after` is the client's own clock, and
goes when a `next` comes; `next` stays. The first HTTP error ends the API root and loses what was read of it, and the
run counts as done. The first object without `spec_version` turns it to TAXII 2.0, where it looks for `next` no more.
"""

from dataclasses import dataclass, field

import httpx

from tests.conformance.clients.asking import Asking, read_token


@dataclass
class OpenCtiConnector:
    """A connector that stays alive between its runs."""

    asking: Asking
    filters: dict[str, str] = field(default_factory=dict)
    got: list[str] = field(default_factory=list)

    def run(self, collections: str, *, added_after: str) -> None:
        """One run over `ROOT.*` or `ROOT.TITLE`."""
        self.filters["added_after"] = added_after
        root, title = collections.split(".")
        try:
            self.got += self._poll_root(root, title)
        except httpx.HTTPStatusError as error:
            self.asking.errors.append(str(error))

    def _poll_root(self, root: str, title: str) -> list[str]:
        urls = [url for url in self.asking.read("/taxii2/")["api_roots"] if url.split("/")[-2] == root]
        found = list[str]()
        for item in self.asking.read(f"{urls[0]}collections/").get("collections", []):
            if title in {"*", item["title"]}:
                found += self._poll(f"{urls[0]}collections/{item['id']}/objects/")
        return found

    def _poll(self, url: str) -> list[str]:
        page = self.asking.read(url, self.filters)
        ids = list[str]()
        if page.get("objects"):
            assert page["objects"][0]["spec_version"] != "2.0", "it would go on in TAXII 2.0"
        while True:
            ids += [item["id"] for item in page.get("objects", [])]
            if page.get("more") is not True:
                return ids
            self.filters.pop("added_after", None)
            self.filters["next"] = page["next"]
            page = self.asking.read(url, self.filters)


def token_header(secret: str) -> dict[str, str]:
    """Its way with a token."""
    return read_token("Token", secret)
