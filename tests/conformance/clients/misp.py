# SPDX-License-Identifier: Apache-2.0
"""The requests of MISP: browsing a TAXII server, and pushing events to one, as its source has them.

The name of the scheme is in lower case, the key is what Basic sends. Browsing asks for 50 and sends an empty `next` at
first. It sends Content-Type with GET. A push goes through taxii2-client: the bound of the API root, then envelopes.
"""

from dataclasses import dataclass
from typing import Any

from tests.conformance.clients.asking import Asking, encode_basic
from tests.conformance.target import TAXII


def headers(user: str, password: str) -> dict[str, str]:
    """What it sends with every request."""
    return {"Authorization": f"basic {encode_basic(user, password)}", "Accept": TAXII, "Content-Type": TAXII}


@dataclass
class Misp:
    """One TAXII server in MISP's list; `api_root` is written without slashes at its ends."""

    asking: Asking
    api_root: str

    def list_collections(self) -> list[dict[str, Any]]:
        """The collections; none is an error to MISP."""
        return list(self.asking.read(f"/{self.api_root}/collections/")["collections"])

    def browse(self, collection: str) -> list[str]:
        """The ids that somebody sees who goes on to the last page."""
        url, following, ids = f"/{self.api_root}/collections/{collection}/objects/", "", list[str]()
        while True:
            page = self.asking.read(url, {"limit": "50", "next": following})
            ids += [item["id"] for item in page["objects"]]
            following = page.get("next", "")
            if not following:
                return ids

    def look(self, collection: str, object_id: str) -> dict[str, Any]:
        """One object."""
        url = f"/{self.api_root}/collections/{collection}/objects/{object_id}/"
        return dict(self.asking.read(url)["objects"][0])

    def push(self, collection: str, objects: list[dict[str, Any]]) -> int:
        """The status of the answer to an envelope, which it does not wait for."""
        bound = self.asking.read(f"/{self.api_root}/")["max_content_length"]
        assert bound > 0
        url = f"/{self.api_root}/collections/{collection}/objects/"
        return self.asking.ask("POST", url, json={"objects": objects}).status_code
