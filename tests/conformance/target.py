# SPDX-License-Identifier: Apache-2.0
"""The server that the suite of the standard is run against: a node of its own, or whatever the environment names.

    COMITY_TAXII_URL=http://127.0.0.1:5000/taxii2/ COMITY_TAXII_USER=… COMITY_TAXII_PASSWORD=… \\
        .venv/bin/python -m pytest tests/conformance/test_standard.py

COMITY_TAXII_URL is the discovery resource. COMITY_TAXII_COLLECTION is the id of a collection with a few objects, some
of them in several versions; without it the one that gives the most is taken. The suite adds and deletes objects of its
own where the collection says that it may; if it says that it may not, in the first other one that says that it may.
"""

import os
import uuid
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn
from urllib.parse import urljoin

import httpx
import pytest

from comity.canonical import Json
from comity.ids import PartyId
from comity.node.parties import create_credential
from tests.served import Served
from tests.worlds import World, make_object, object_id

__all__ = ["NOWHERE", "TAXII", "Target", "lack", "make_id", "make_material", "open_target"]

TAXII = "application/taxii+json;version=2.1"
NOWHERE = "00000000-0000-4000-8000-000000000000"
_MAX_PAGES = 100
_SECONDS = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A TAXII 2.1 server, somebody it knows, one collection that this somebody may read, and one that it may write."""

    client: httpx.Client
    discovery: str
    root: str
    collection: str
    written: str
    """The same, or another; of a server on which nothing can be written, the same."""

    @property
    def is_comity(self) -> bool:
        """Whether this is a node of Comity, which does a few things otherwise: docs/taxii-divergences.md."""
        return str(self.get(self.discovery).json().get("title", "")).startswith("Comity node of ")

    @property
    def id(self) -> str:
        """The id of the collection."""
        return self.collection.rstrip("/").rpartition("/")[2]

    @property
    def objects(self) -> str:
        """Where its objects are."""
        return f"{self.collection}objects/"

    @property
    def manifest(self) -> str:
        """Where its manifest is."""
        return f"{self.collection}manifest/"

    def url(self, resource: str, *, object_id: str) -> str:
        """Where a resource is, by its name in the standard."""
        return {
            "discovery": self.discovery,
            "api root": self.root,
            "collections": f"{self.root}collections/",
            "collection": self.collection,
            "manifest": self.manifest,
            "objects": self.objects,
            "object": f"{self.objects}{object_id}/",
            "versions": f"{self.objects}{object_id}/versions/",
        }[resource]

    def get(self, url: str, /, **query: str | int) -> httpx.Response:
        """The answer to GET; `match_type` stands for `match[type]`."""
        return self.client.get(url, params=_name_matches(query))

    def read(self, url: str, /, **query: str | int) -> dict[str, Any]:
        """What a successful answer holds."""
        answer = self.get(url, **query)
        assert answer.status_code == 200, f"{answer.status_code} {answer.text[:200]}"
        body = answer.json()
        assert isinstance(body, dict)
        return body

    def pages(self, url: str, /, **query: str | int) -> Iterator[dict[str, Any]]:
        """Page after page by `next`, the filters repeated (TAXII 2.1 §3.4)."""
        body = self.read(url, **query)
        yield body
        for _ in range(_MAX_PAGES):
            if not body.get("more"):
                return
            assert body.get("next"), "more is true and there is no next"
            body = self.read(url, **query, next=body["next"])
            yield body
        raise AssertionError(f"over {_MAX_PAGES} pages: the same one again and again?")

    def list(self, url: str, /, **query: str | int) -> list[dict[str, Any]]:
        """The objects of all pages."""
        return [item for page in self.pages(url, **query) for item in page.get("objects", [])]


def make_material() -> list[list[dict[str, Json]]]:
    """What a server has to hold for the whole suite, in the order in which it comes in: one list, one moment."""
    numbered = [[make_object(f"r{number}"), make_object(f"i{number}", kind="indicator")] for number in range(4)]
    versions = [[make_object("versioned", day=day)] for day in (1, 2, 3)]
    who = make_object("who", kind="identity")
    kept = {name: who[name] for name in ("extensions", "object_marking_refs", "spec_version")}
    statement: dict[str, Json] = {
        **kept,
        "type": "marking-definition",
        "id": object_id("marking-definition", "statement"),
        "created": "2025-01-01T00:00:00.000000Z",
        "definition_type": "statement",
        "definition": {"statement": "Handle with care"},
    }
    address: dict[str, Json] = {**kept, "type": "ipv4-addr", "id": object_id("ipv4-addr", "a"), "value": "192.0.2.7"}
    return [*numbered, *versions, [who], [statement], [address]]


@contextmanager
def open_target(folder: Path) -> Iterator[Target]:
    """The server that the environment names; without one, a node of Comity made in `folder`."""
    if os.environ.get("COMITY_TAXII_URL"):
        user, password = os.environ.get("COMITY_TAXII_USER", ""), os.environ.get("COMITY_TAXII_PASSWORD", "")
        yield from _find(os.environ["COMITY_TAXII_URL"], user, password, os.environ.get("COMITY_TAXII_COLLECTION"))
        return
    world = World(folder)
    world.found("aurelia", "borealia")
    types = ("indicator", "report", "identity", "ipv4-addr", "marking-definition")
    world.sign_all(world.terms(types=types))
    for objects in make_material():
        world.add("aurelia", *objects)
        world.tick()
        world.poll("borealia")
    # What borealia gives: there it may write.
    world.sign_all(world.terms(giver="borealia", receivers=("aurelia",), title="The way back"), proposer="borealia")
    # Only now: `poll` reads the first collection, and which one that is would be chance.
    world.sign_all(world.terms(subjects=("national:other",), title="Another collection"))
    node = world.nodes["aurelia"]
    password = create_credential(node, PartyId("borealia"))
    with closing(world), Served.start(node) as served:
        yield from _find(f"{served.url}/taxii2/", "borealia", password, None)


def _find(discovery: str, user: str, password: str, collection: str | None) -> Iterator[Target]:
    headers = {"Accept": TAXII}
    with httpx.Client(auth=(user, password), headers=headers, timeout=_SECONDS, follow_redirects=False) as client:
        found = client.get(discovery).json()
        root = urljoin(discovery, found.get("default") or found["api_roots"][0])
        listed = client.get(f"{root}collections/").json().get("collections", [])
        if collection is None:
            collection = max(
                (item for item in listed if item["can_read"]), key=lambda item: _count(client, root, item)
            )["id"]
        says = {item["id"]: item["can_write"] for item in listed}
        others = [name for name, can_write in says.items() if can_write]
        written = others[0] if others and not says.get(collection, True) else collection
        yield Target(
            client=client,
            discovery=discovery,
            root=root,
            collection=f"{root}collections/{collection}/",
            written=f"{root}collections/{written}/",
        )


def _count(client: httpx.Client, root: str, collection: dict[str, Any]) -> int:
    return len(client.get(f"{root}collections/{collection['id']}/objects/").json().get("objects", []))


def _name_matches(query: dict[str, str | int]) -> dict[str, str]:
    return {f"match[{name[6:]}]" if name.startswith("match_") else name: str(value) for name, value in query.items()}


def lack(what: str) -> NoReturn:
    """Skip the test where somebody's server holds nothing of the kind; a node made for the suite has to."""
    if os.environ.get("COMITY_TAXII_URL"):
        pytest.skip(what)
    raise AssertionError(what)


def make_id(kind: str) -> str:
    """A STIX id that nobody has."""
    return f"{kind}--{uuid.uuid4()}"
