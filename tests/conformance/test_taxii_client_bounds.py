# SPDX-License-Identifier: Apache-2.0
"""taxii2-client where it meets the server's own bound on a page, its refusals, and its other calls."""

from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from requests import HTTPError
from taxii2client.common import TokenAuth
from taxii2client.exceptions import TAXIIServiceException
from taxii2client.v21 import ApiRoot, Collection, Server, as_pages

from comity.ids import PartyId
from comity.node.parties import create_credential
from comity.node.poll import MAX_PAGE_OBJECTS
from tests.served import Served
from tests.worlds import World, make_object, object_id

COUNT = 2 * MAX_PAGE_OBJECTS + 7
TWICE = object_id("report", "r3")
NOWHERE = "00000000-0000-4000-8000-000000000000"


@pytest.fixture(scope="module")
def collection(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Collection]:
    """The client's view of a collection of several pages, reached by a token."""
    world = World(tmp_path_factory.mktemp("bounds"))
    world.found("aurelia", "borealia")
    world.sign_all(world.terms())
    world.add("aurelia", *(make_object(f"r{number}") for number in range(COUNT)))
    world.poll("borealia")
    world.tick()
    world.add("aurelia", make_object("r3", day=2))
    password = create_credential(world.nodes["aurelia"], PartyId("borealia"))
    with (
        closing(world),
        Served.start(world.nodes["aurelia"]) as served,
        Server(f"{served.url}/taxii2/", auth=TokenAuth(password)) as server,
    ):
        (found,) = server.default.collections
        yield found


def collect(pages: Iterator[dict[str, Any]]) -> list[str]:
    ids = list[str]()
    for count, page in enumerate(pages):
        assert count < 100
        ids += [item["id"] for item in page.get("objects", [])]
    return ids


@pytest.mark.parametrize("call", ["get_objects", "get_manifest"])
@pytest.mark.parametrize("per_request", [0, 400, MAX_PAGE_OBJECTS, MAX_PAGE_OBJECTS + 1, 5_000])
def test_pages_below_and_above_the_bound(
    collection: Collection, call: str, per_request: int, caplog: pytest.LogCaptureFixture
) -> None:
    ids = collect(as_pages(getattr(collection, call), per_request=per_request))
    assert len(ids) == len(set(ids)) == COUNT
    assert ids[-1] == TWICE
    # It says so when it gets less than it asked for, and goes on with that.
    assert bool(caplog.records) is (per_request not in {400, MAX_PAGE_OBJECTS})


@pytest.mark.parametrize("digits", range(7))
def test_added_after_as_text(collection: Collection, digits: int) -> None:
    dates = [record["date_added"] for record in collection.get_manifest(limit=9)["objects"]]
    whole, _, fraction = dates[4].removesuffix("Z").partition(".")
    text = f"{whole}.{fraction[:digits]}Z" if digits else f"{whole}Z"
    given = collection.get_manifest(limit=1, added_after=text)["objects"]
    expected = next(date for date in dates if date > f"{whole}.{fraction[:digits]:0<6}Z")
    assert given[0]["date_added"] == expected


def test_added_after_of_another_time_zone(collection: Collection) -> None:
    last = collection.get_manifest(id=TWICE)["objects"][0]["date_added"]
    there = datetime.fromisoformat(last).astimezone(timezone(timedelta(hours=3))) - timedelta(microseconds=1)
    assert [item["id"] for item in collection.get_objects(added_after=there)["objects"]] == [TWICE]
    assert collection.get_objects(added_after=datetime(2036, 1, 1, tzinfo=UTC)) == {}


def test_every_match_filter(collection: Collection) -> None:
    both = [object_id("report", "r1"), TWICE]
    assert {item["id"] for item in collection.get_objects(id=both)["objects"]} == set(both)
    assert collection.get_objects(id=both, type="indicator") == {}
    assert len(collection.get_objects(id=both, type=["report", "indicator"], spec_version="2.1")["objects"]) == 2
    assert len(collection.get_objects(id=both, version="all")["objects"]) == 3
    assert len(collection.get_objects(id=both, version=["first", "last"])["objects"]) == 3
    first = datetime(2025, 1, 2, tzinfo=UTC)
    assert [item["modified"] for item in collection.get_object(TWICE, version=first)["objects"]] == [
        "2025-01-02T00:00:00.000000Z"
    ]
    assert len(collection.object_versions(TWICE, limit=1)["versions"]) == 1
    assert len(collection.object_versions(TWICE, spec_version="2.1")["versions"]) == 2


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ({"limit": -1}, 400),
        ({"added_after": "yesterday"}, 400),
        ({"version": ["all", "last"]}, 400),
        ({"type": "Not A Type"}, 400),
        ({"id": "nonsense"}, 400),
        ({"next": "nonsense"}, 400),
    ],
)
def test_a_mistake_is_an_error_that_says_its_status(collection: Collection, query: dict[str, Any], status: int) -> None:
    for call in (collection.get_objects, collection.get_manifest):
        with pytest.raises(HTTPError, match=str(status)):
            call(**query)


def test_what_is_not_there_is_an_error(collection: Collection) -> None:
    root = ApiRoot(collection.url.partition("collections/")[0], conn=collection._conn)
    with pytest.raises(HTTPError, match="404"):
        root.get_status(NOWHERE)
    with pytest.raises(HTTPError, match="404"):
        collection.object_versions(object_id("report", "unknown"))
    with pytest.raises(HTTPError, match="404"):
        Collection(collection.url.replace(collection.id, NOWHERE), conn=collection._conn).refresh()
    with pytest.raises(HTTPError, match="406"):
        collection.get_objects(accept="application/taxii+json;version=2.0")
    with pytest.raises(TAXIIServiceException):
        collection.get_objects(accept="*/*")  # it looks for what it asked for in the answer's own media type


def test_what_it_read_it_reads_again(collection: Collection) -> None:
    before = dict(collection._raw)
    collection.refresh()
    assert collection._raw == before
    root = ApiRoot(collection.url.partition("collections/")[0], conn=collection._conn)
    root.refresh()
    assert [item.id for item in root.collections] == [collection.id]
    assert root.versions == ["application/taxii+json;version=2.1"]


def test_it_writes_where_it_may(collection: Collection) -> None:
    if not collection.can_write:
        pytest.skip("the collection says can_write false")
    status = collection.add_objects({"objects": [make_object("written")]}, timeout=60)
    assert (status.status, status.total_count, status.failure_count) == ("complete", 1, 0)
    root = ApiRoot(collection.url.partition("collections/")[0], conn=collection._conn)
    assert root.get_status(status.id).id == status.id
    collection.delete_object(object_id("report", "written"))
    with pytest.raises(HTTPError, match="404"):
        collection.get_object(object_id("report", "written"))
