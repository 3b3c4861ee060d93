# SPDX-License-Identifier: Apache-2.0
"""Clients of TAXII that a party has itself, as they are, at its own served console: what programs of its own read."""

from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from taxii2client.common import TokenAuth
from taxii2client.v21 import Server, as_pages

from comity.agreement.people import Role
from comity.console.usable import find_collection
from comity.ids import ObjectId, PartyId, PersonId
from comity.node.programs import make_program
from tests.conformance.clients.asking import Asking, encode_basic
from tests.conformance.clients.elastic import Elastic
from tests.conformance.clients.opencti_connector import OpenCtiConnector, token_header
from tests.conformance.clients.opencti_ingester import OpenCtiIngester
from tests.conformance.clients.others import Poller
from tests.e2e.conftest import serving
from tests.ports import find_port
from tests.worlds import World, make_object, object_id

pytestmark = [pytest.mark.slow, pytest.mark.e2e]

ANALYST = PersonId("aurelia-analyst")
COUNT = 250
INSIDE = "internally-visible-actions"
NAMES = {object_id("report", f"item {n}") for n in range(COUNT)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Own:
    """A served console, and a token of a program that may use what is held inside this party."""

    url: str
    token: str

    @property
    def collection(self) -> str:
        return find_collection(PartyId("aurelia"), INSIDE)


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Own]:
    folder = tmp_path_factory.mktemp("own")
    world = World(folder)
    world.found("aurelia")
    world.register("aurelia", ANALYST, Role.ANALYST)
    world.add("aurelia", *(make_object(f"item {n}") for n in range(COUNT)), make_object("red", tlp="red"))
    made = make_program(world.nodes["aurelia"], ANALYST, name="Sensors", may=(f"use:{INSIDE}",), days=365)
    world.close()
    with (folder / "aurelia" / "node.toml").open("a", encoding="utf-8") as file:
        file.write(f'\n[console]\nlisten = "127.0.0.1:{find_port()}"\n')
    with serving(folder / "aurelia") as server:
        assert server.console is not None
        yield Own(url=server.console, token=made.token)


def test_taxii2_client_reads_all_by_pages_and_one_by_its_id(own: Own) -> None:
    with Server(f"{own.url}/taxii2/", user="sensors", password=own.token) as server:
        (root,) = server.api_roots
        (collection,) = root.collections
        assert (collection.id, collection.can_read, collection.can_write) == (own.collection, True, False)
        pages = list(as_pages(collection.get_objects, per_request=100))
        found = [item["id"] for page in pages for item in page["objects"]]
        assert len(found) == len(NAMES)
        assert set(found) == NAMES
        listed = [item for page in as_pages(collection.get_manifest, per_request=100) for item in page["objects"]]
        assert {item["id"] for item in listed} == NAMES
        one = ObjectId(found[0])
        assert [item["id"] for item in collection.get_object(one)["objects"]] == [one]
        assert len(collection.object_versions(one)["versions"]) == 1
        assert collection.get_objects(added_after=listed[-1]["date_added"]) == {}
    with Server(f"{own.url}/taxii2/", auth=TokenAuth(own.token)) as server:
        assert server.default.collections[0].id == own.collection


def test_the_connector_of_opencti_gets_all(own: Own) -> None:
    connector = OpenCtiConnector(Asking(own.url, token_header(own.token)), {"limit": "70"})
    connector.run("own.*", added_after="1970-01-01T00:00:00.000Z")
    assert connector.asking.errors == []
    assert set(connector.got) == NAMES


def test_the_ingester_of_opencti_loses_nothing_and_asks_for_nothing_twice(own: Own) -> None:
    asking = Asking(own.url, {"Authorization": f"Basic {encode_basic('sensors', own.token)}"})
    ingester = OpenCtiIngester(asking, root=f"{own.url}/taxii2/own/", collection=own.collection, limit=100)
    assert [ingester.turn() for _ in range(5)] == [100, 100, 50, 0, 0]
    assert set(ingester.got) == NAMES


def test_elastic_goes_on_where_it_was_and_starts_over_for_nothing(own: Own) -> None:
    asking = Asking(own.url, token_header(own.token))
    url = f"/taxii2/own/collections/{own.collection}/objects/"
    elastic = Elastic(asking, url, initial="1970-01-01T00:00:00Z", limit=100)
    for _ in range(4):
        elastic.run()
    assert len(elastic.got) == len(set(elastic.got)) == COUNT


def test_pollers_by_the_last_date_get_all(own: Own) -> None:
    asking = Asking(own.url, token_header(own.token))
    poller = Poller(asking, f"/taxii2/own/collections/{own.collection}/objects/", limit=100)
    for _ in range(4):
        poller.run()
    assert set(poller.got) == NAMES
    assert len(poller.got) == COUNT


def test_its_token_opens_nothing_else(own: Own) -> None:
    asking = Asking(own.url, token_header(own.token))
    page = asking.read(f"/taxii2/own/collections/{own.collection}/objects/", {"limit": "1"})
    assert len(page["objects"]) == 1
    assert asking.ask("GET", "/objects.json", {}).status_code != 200
