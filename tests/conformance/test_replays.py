# SPDX-License-Identifier: Apache-2.0
"""The request sequences of clients in the field, replayed against a served node.

Nothing is lost, and what is given twice is given twice because of the client (`tests.conformance.clients`).
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field

import pytest

from comity.ids import Instant, ObjectId, PartyId, format_instant
from comity.node.node import Node
from comity.node.parties import create_credential
from comity.node.poll import MAX_PAGE_OBJECTS
from comity.store.objects import read_current
from tests.conformance.clients.asking import Asking, encode_basic, read_token
from tests.conformance.clients.elastic import Elastic
from tests.conformance.clients.misp import Misp
from tests.conformance.clients.misp import headers as misp_headers
from tests.conformance.clients.opencti_connector import OpenCtiConnector, token_header
from tests.conformance.clients.opencti_ingester import OpenCtiIngester
from tests.conformance.clients.others import Poller, sentinel, splunk, xsoar
from tests.conformance.target import TAXII
from tests.served import Served
from tests.worlds import World, make_object, object_id

ROOT = "/taxii2/borealia/"
SIZES = {"large": 130, "middle": 75, "small": 3, "empty": 0}
LONG_AGO = "2020-01-01T00:00:00Z"


@dataclass
class Site:
    """A served node with several collections, by what they are about."""

    world: World
    served: Served
    password: str
    ids: dict[str, list[str]] = field(default_factory=dict)

    def add(self, about: str, count: int) -> None:
        """More objects in a collection, a second later, all released within one millisecond."""
        ids = self.ids.setdefault(about, [])
        names = [f"{about} {len(ids) + number}" for number in range(count)]

        def act() -> None:
            self.world.tick()
            self.world.add("aurelia", *(make_object(name, subjects=(f"national:{about}",)) for name in names))
            self.world.tick(1_234_567)

        self.served.call(act)
        ids += [object_id("report", name) for name in names]

    def clock(self) -> str:
        """What the clocks of clients say."""
        return format_instant(Instant(self.world.now))

    def asking(self, headers: Mapping[str, str] | None = None) -> Asking:
        """A connection by Basic, unless `headers` are given."""
        basic = {"Authorization": f"Basic {encode_basic('borealia', self.password)}", "Accept": TAXII}
        return Asking(self.served.url, {**basic, **(headers or {})})

    def collection(self, about: str) -> tuple[str, str]:
        """Id and title of a collection."""
        listed = self.asking().read(f"{ROOT}collections/")["collections"]
        (found,) = [item for item in listed if item["title"].startswith(about.title())]
        return found["id"], found["title"]

    def objects(self, about: str) -> str:
        """Where the objects of a collection are."""
        return f"{self.served.url}{ROOT}collections/{self.collection(about)[0]}/objects/"

    @property
    def everything(self) -> list[str]:
        """The ids of all objects of all collections."""
        return [one for ids in self.ids.values() for one in ids]


@pytest.fixture
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    world = World(tmp_path_factory.mktemp("replays"))
    world.found("aurelia", "borealia")
    for about in SIZES:
        world.sign_all(world.terms(subjects=(f"national:{about}",), title=about.title()))
    password = create_credential(world.nodes["aurelia"], PartyId("borealia"))
    with closing(world), Served.start(world.nodes["aurelia"]) as served:
        made = Site(world, served, password)
        for about, size in SIZES.items():
            made.add(about, size) if size else made.ids.setdefault(about, [])
        yield made


def twice(ids: list[str]) -> set[str]:
    return {one for one, count in Counter(ids).items() if count > 1}


# ---- OpenCTI ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("limit", [None, 20])
@pytest.mark.parametrize("scheme", ["basic", "token"])
def test_the_connector_of_opencti_gets_every_collection(site: Site, limit: int | None, scheme: str) -> None:
    asking = site.asking(token_header(site.password) if scheme == "token" else None)
    connector = OpenCtiConnector(asking, {} if limit is None else {"limit": str(limit)})
    last_run, runs = LONG_AGO, list[list[str]]()
    for about in (None, "large", "small", "large"):
        if about:
            site.add(about, 41)
        added_after, last_run = last_run, site.clock()
        before = len(connector.got)
        connector.run("borealia.*", added_after=added_after)
        runs.append(connector.got[before:])
        assert set(connector.got) == set(site.everything)
    assert asking.errors == []
    assert twice(runs[0]) == set()
    if limit is None:
        # What was released during a run came after its beginning, which is the date that the next run sends.
        assert all(twice(run) == set() for run in runs)
        assert max(Counter(connector.got).values()) == 2


def test_the_connector_of_opencti_sends_the_next_of_one_collection_to_another(site: Site) -> None:
    """Without this the test above could be of another client."""
    connector = OpenCtiConnector(site.asking(), {"limit": "20"})
    connector.run("borealia.*", added_after=LONG_AGO)
    first = dict[str, str]()
    for line in connector.asking.sent:
        path, slash, query = line.partition("/objects/")
        if slash:
            first.setdefault(path.rpartition("/")[2], query)
    large = [site.collection(about)[0] for about in ("large", "middle")]
    astray = list(first)[min(list(first).index(one) for one in large) + 1 :]
    assert astray
    assert {one for one, query in first.items() if "next=" in query} == set(astray)
    assert {one for one, query in first.items() if "added_after=" in query} == set(first) - set(astray)


def test_the_connector_of_opencti_finds_a_collection_by_its_title(site: Site) -> None:
    for about in ("middle", "large"):
        connector = OpenCtiConnector(site.asking(), {"limit": "20"})
        connector.run(f"borealia.{site.collection(about)[1]}", added_after=LONG_AGO)
        assert (connector.asking.errors, connector.got) == ([], site.ids[about])


@pytest.mark.parametrize("limit", [None, 30])
@pytest.mark.parametrize("scheme", ["Basic", "Bearer"])
def test_the_ingester_of_opencti_loses_nothing(site: Site, limit: int | None, scheme: str) -> None:
    headers = read_token("Bearer", site.password) if scheme == "Bearer" else None
    identifier, _ = site.collection("large")
    feed = OpenCtiIngester(site.asking(headers), f"{site.served.url}{ROOT}", identifier, limit)
    turns = -(-SIZES["large"] // (limit or MAX_PAGE_OBJECTS))
    for _ in range(turns):
        feed.turn()
    assert feed.got == site.ids["large"]
    for _ in range(3):
        site.add("large", 1)
        for _ in range(2 * turns):
            feed.turn()
    assert set(feed.got) == set(site.ids["large"])
    # It cuts its date to the millisecond, so that what was released in the last one comes again, each time.
    assert twice(feed.got)


def test_the_ingester_of_opencti_stays_where_it_is_when_there_is_nothing(site: Site) -> None:
    identifier, _ = site.collection("empty")
    feed = OpenCtiIngester(site.asking(), f"{site.served.url}{ROOT}", identifier, added_after=LONG_AGO)
    assert [feed.turn(), feed.turn()] == [0, 0]
    site.add("empty", 2)
    assert (feed.turn(), feed.got) == (2, site.ids["empty"])


# ---- MISP ------------------------------------------------------------------------------------------------------------


def test_misp_browses(site: Site) -> None:
    misp = Misp(site.asking(misp_headers("borealia", site.password)), "taxii2/borealia")
    assert len(misp.list_collections()) == len(SIZES)
    for about in ("large", "middle", "small"):
        identifier, _ = site.collection(about)
        assert misp.browse(identifier) == site.ids[about]
        assert misp.look(identifier, site.ids[about][0])["id"] == site.ids[about][0]


def test_misp_pushes_where_it_may(site: Site) -> None:
    back = site.world.terms(giver="borealia", receivers=("aurelia",), title="The way back")
    site.served.call(lambda: site.world.sign_all(back, proposer="borealia"))
    misp = Misp(site.asking(misp_headers("borealia", site.password)), "taxii2/borealia")
    listed = misp.list_collections()
    for item in listed:
        assert misp.push(item["id"], [make_object("pushed")]) == (202 if item["can_write"] else 403)
    assert [item["can_write"] for item in listed].count(True) == 1
    assert site.served.call(lambda: is_held(site.served.node, object_id("report", "pushed")))


def is_held(node: Node, item: ObjectId) -> bool:
    with node.store.read() as transaction:
        return item in read_current(transaction, {item})


# ---- Elastic ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("limit", [None, 40])
@pytest.mark.parametrize("reads_without_looking", [False, True])
@pytest.mark.parametrize("about", ["large", "empty"])
def test_elastic_gets_everything_once(site: Site, limit: int | None, reads_without_looking: bool, about: str) -> None:
    asking = site.asking()
    feed = Elastic(asking, site.objects(about), LONG_AGO, limit, reads_without_looking)
    for more in (0, 45, 0, 1):
        if more:
            site.add(about, more)
        feed.run()
        feed.run()
        assert feed.got == site.ids[about]
    # The older program takes an empty answer for a failure; it loses nothing by it.
    assert bool(asking.errors) is reads_without_looking


# ---- the others ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("who", ["Sentinel", "Splunk", "XSOAR"])
def test_the_others_get_everything_once(site: Site, who: str) -> None:
    for about in ("large", "empty"):
        feed = make_feed(site, who, about)
        for more in (0, 120, 0, 1):
            if more:
                site.add(about, more)
            feed.run()
            feed.run()
            assert feed.got == site.ids[about]


def make_feed(site: Site, who: str, about: str) -> Poller:
    identifier, title = site.collection(about)
    match who:
        case "Sentinel":
            return sentinel(site.asking(), f"{site.served.url}{ROOT}", identifier)
        case "Splunk":
            headers = {"Authorization": f"Basic {encode_basic('splunk', site.password)}", "Accept": TAXII}
            return splunk(site.asking(headers), f"{site.served.url}{ROOT}", identifier)
        case _:
            return xsoar(site.asking(), f"{site.served.url}/taxii2/", title)


@pytest.mark.slow
def test_pages_that_the_bound_of_the_server_makes(site: Site) -> None:
    """Clients that ask for no limit get pages all the same."""
    site.add("small", 2 * MAX_PAGE_OBJECTS)
    connector = OpenCtiConnector(site.asking())
    connector.run("borealia.*", added_after=LONG_AGO)
    assert connector.asking.errors == []
    assert sorted(connector.got) == sorted(site.everything)
    for feed in (Elastic(site.asking(), site.objects("small"), LONG_AGO), make_feed(site, "Sentinel", "small")):
        feed.run()
        feed.run()
        assert feed.got == site.ids["small"]
