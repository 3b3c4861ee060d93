# SPDX-License-Identifier: Apache-2.0
"""The TAXII 2.1 client that most people use (taxii2-client), as it is, against a served node."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from requests import HTTPError
from taxii2client.common import TokenAuth
from taxii2client.exceptions import AccessError
from taxii2client.v21 import Collection, Server, as_pages

from comity.agreement.events import EventKind
from comity.ids import Instant, PartyId
from comity.node.parties import create_credential
from tests.served import Served
from tests.worlds import World, make_object, object_id

VERSIONED = object_id("report", "versioned")
COUNT = 23
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """A served node, what opens it, and when its objects were released."""

    world: World
    served: Served
    agreement: str
    password: str
    first: Instant

    @contextmanager
    def open(self, **how: object) -> Iterator[Collection]:
        """The one collection that the client is offered."""
        login = how or {"user": "borealia", "password": self.password}
        with Server(f"{self.served.url}/taxii2/", **login) as server:
            (root,) = server.api_roots
            assert server.default is root
            (collection,) = root.collections
            yield collection


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    world = World(tmp_path_factory.mktemp("client"))
    world.found("aurelia", "borealia")
    agreement = world.sign_all(world.terms())
    node = world.nodes["aurelia"]
    first = Instant(world.now - world.now % 1_000_000 + 1_000_000)
    for number in range(COUNT - 1):
        # One object each second, and each at a full second: the client drops the fraction of such a time.
        world.now = Instant(first + number * 1_000_000)
        world.add("aurelia", make_object(f"r{number}", kind=("report", "indicator")[number % 2]))
        world.poll("borealia")
    for version in (1, 2):
        world.tick()
        world.add("aurelia", make_object("versioned", day=version))
        world.poll("borealia")
    password = create_credential(node, PartyId("borealia"))
    with closing(world), Served.start(node) as served:
        yield Site(world=world, served=served, agreement=agreement, password=password, first=first)


def collect(pages: Iterator[dict[str, Any]]) -> list[str]:
    """The ids of all objects of all pages; a client that asks for the first page for ever is stopped."""
    ids = list[str]()
    for count, page in enumerate(pages):
        assert count < 100
        ids += [item["id"] for item in page.get("objects", [])]
    return ids


def test_the_client_reads_discovery_root_and_collection(site: Site) -> None:
    with Server(f"{site.served.url}/taxii2/", user="borealia", password=site.password) as server:
        assert "aurelia" in server.title.lower()
        assert server.default.url == f"{site.served.url}/taxii2/borealia/"
        assert server.default.versions == ["application/taxii+json;version=2.1"]
        assert server.default.max_content_length > 0
        (collection,) = server.default.collections
        assert (collection.can_read, collection.can_write) == (True, False)
        assert collection.media_types == ["application/stix+json;version=2.1"]
        assert "Exchange on Ashfall" in collection.title
        collection.refresh()
        assert collection.id in collection.url


@pytest.mark.parametrize("per_request", [1, 2, 7, COUNT - 1, COUNT, 1_000, 5_000])
@pytest.mark.parametrize("call", ["get_objects", "get_manifest"])
def test_the_client_pages_to_the_end(site: Site, call: str, per_request: int) -> None:
    with site.open() as collection:
        ids = collect(as_pages(getattr(collection, call), per_request=per_request))
    assert len(ids) == len(set(ids)) == COUNT
    assert ids[-1] == VERSIONED


def test_the_client_pages_with_filters(site: Site) -> None:
    with site.open() as collection:
        whole = collection.get_objects(type="report")["objects"]
        assert collect(as_pages(collection.get_objects, per_request=3, type="report")) == [item["id"] for item in whole]
        assert {item["type"] for item in whole} == {"report"}
        both = [object_id("report", "r0"), object_id("indicator", "r1")]
        assert collect(as_pages(collection.get_manifest, per_request=1, id=both)) == both
        every = collect(as_pages(collection.get_objects, per_request=5, version="all"))
        assert len(every) == COUNT + 1
        assert every.count(VERSIONED) == 2


@pytest.mark.parametrize("micros", [-1, 0, 1, 500_000, 999_999, 999_990, 123_000])
def test_the_client_asks_by_time_with_and_without_a_fraction(site: Site, micros: int) -> None:
    after = _EPOCH + timedelta(microseconds=site.first + 10_000_000 + micros)
    passed = 11 if micros >= 0 else 10
    with site.open() as collection:
        whole = collect(as_pages(collection.get_manifest))
        later = collect(as_pages(collection.get_objects, per_request=4, added_after=after))
    assert later == whole[passed:]


def test_the_client_gets_one_object_and_its_versions(site: Site) -> None:
    with site.open() as collection:
        versions = collection.object_versions(VERSIONED)["versions"]
        assert len(versions) == 2
        (last,) = collection.get_object(VERSIONED)["objects"]
        assert (last["id"], last["modified"]) == (VERSIONED, versions[-1])
        (first,) = collection.get_object(VERSIONED, version="first")["objects"]
        assert first["modified"] == versions[0]
        (named,) = collection.get_object(VERSIONED, version=versions[0])["objects"]
        assert named == first
        with pytest.raises(HTTPError, match="404"):
            collection.get_object(object_id("report", "unknown"))


def test_the_client_gets_an_empty_envelope(site: Site) -> None:
    with site.open() as collection:
        assert collection.get_objects(type="malware") == {}
        assert collection.get_manifest(type="malware") == {}
        assert collect(as_pages(collection.get_objects, per_request=2, type="malware")) == []


def test_the_client_can_authenticate_by_token(site: Site) -> None:
    with site.open(auth=TokenAuth(site.password)) as collection:
        assert len(collect(as_pages(collection.get_objects, per_request=10))) == COUNT


def test_the_client_is_told_that_it_is_not_known(site: Site) -> None:
    for login in ({}, {"user": "borealia", "password": "guess"}, {"auth": TokenAuth("guess")}):
        with Server(f"{site.served.url}/taxii2/", **login) as server, pytest.raises(HTTPError, match="401"):
            server.refresh()


def test_the_client_itself_refuses_to_write(site: Site) -> None:
    with site.open() as collection:
        with pytest.raises(AccessError):
            collection.add_objects({"objects": []})
        with pytest.raises(AccessError):
            collection.delete_object(VERSIONED)


def test_the_client_gets_nothing_more_after_a_suspension(site: Site) -> None:
    with site.open() as collection:
        pages = as_pages(collection.get_objects, per_request=5)
        assert len(next(pages)["objects"]) == 5
        site.served.call(lambda: site.world.act("aurelia", site.agreement, EventKind.SUSPEND))
        with pytest.raises(HTTPError, match="404"):
            next(pages)
        with Server(f"{site.served.url}/taxii2/", user="borealia", password=site.password) as server:
            assert server.default.collections == []
        site.served.call(lambda: site.world.act("aurelia", site.agreement, EventKind.RESUME))
        assert len(collect(as_pages(collection.get_objects, per_request=5))) == COUNT
