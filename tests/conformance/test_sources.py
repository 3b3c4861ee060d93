# SPDX-License-Identifier: Apache-2.0
"""Sources of the field: what medallion and OpenTAXII hold comes in whole and once, however they read the standard."""

import asyncio
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import httpx
import pytest

from comity.calls import Room, open_client
from comity.node.accept import list_unkept
from comity.node.node import Node
from comity.node.sources import Source, list_followed_sources, list_withheld
from comity.sources import Drawn, pull_source
from tests.conformance.peers import make_venv, serve_medallion, serve_opentaxii
from tests.conformance.target import TAXII
from tests.sources import follow_source, make_record
from tests.worlds import World, make_object, object_id

pytestmark = [pytest.mark.slow, pytest.mark.e2e]

Serve = Callable[[Path, Sequence[Sequence[Mapping[str, Any]]]], AbstractContextManager[Mapping[str, str]]]
ENVELOPES = [[make_object(f"r{turn} {number}") for number in range(7)] for turn in range(5)]
OVER = [make_object("secret", tlp="red"), make_object("unmarked", tlp=None)]


def serve_small_pages(
    folder: Path, material: Sequence[Sequence[Mapping[str, Any]]]
) -> AbstractContextManager[Mapping[str, str]]:
    return serve_medallion(folder, material, page=3)


SERVERS: Mapping[str, Serve] = {
    "medallion": serve_medallion,
    "medallion, pages of 3": serve_small_pages,
}


@pytest.fixture(scope="module", autouse=True)
def installed() -> None:
    problem = make_venv()
    if problem is not None:
        pytest.skip(f"the other servers could not be installed: {problem}")


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path / "world")
    made.folder.mkdir()
    made.found("borealia")
    yield made
    made.close()


def draw(node: Node) -> Drawn:
    async def run() -> Drawn:
        async with open_client(node) as client:
            return await pull_source(client, node, "north", room=Room(1))

    return asyncio.run(run())


def read_ids(node: Node) -> list[str]:
    with node.store.read() as transaction:
        return sorted(row[0] for row in transaction.rows("SELECT id FROM object"))


def find_root(named: Mapping[str, str]) -> str:
    """The API root that the server offers."""
    answer = httpx.get(
        named["COMITY_TAXII_URL"],
        auth=(named["COMITY_TAXII_USER"], named["COMITY_TAXII_PASSWORD"]),
        headers={"Accept": TAXII},
        trust_env=False,
        timeout=60,
    )
    root = json.loads(answer.content)["default"]
    return str(httpx.URL(named["COMITY_TAXII_URL"]).join(root))


@pytest.mark.parametrize("name", SERVERS)
def test_all_of_it_comes_in_once_and_what_is_added_comes_next(world: World, tmp_path: Path, name: str) -> None:
    node = world.nodes["borealia"]
    with SERVERS[name](tmp_path, [*ENVELOPES, OVER]) as named:
        secret = node.folder / "north.secret"
        secret.write_text(f"{named['COMITY_TAXII_USER']}:{named['COMITY_TAXII_PASSWORD']}")
        secret.chmod(0o600)
        root, collection = find_root(named), named["COMITY_TAXII_COLLECTION"]
        followed = follow_source(
            world, root, make_record(), collection=collection, credential="north.secret", scheme="basic"
        )
        assert isinstance(followed, Source)
        first = draw(node)
        wanted = sorted(object_id("report", f"r{turn} {number}") for turn in range(5) for number in range(7))
        assert (read_ids(node), first.bad) == (wanted, [])
        assert {(item.reason, item.count) for item in list_withheld(node, "north")} == {("ceiling", 1), ("unmarked", 1)}
        again = draw(node)
        assert (again.added, again.bad) == ([], [])
        post(root, collection, named, make_object("late"), make_object("r0 0", day=9))
        world.tick(60_000_000)
        late = draw(node)
        assert sorted(late.added) == sorted([object_id("report", "late"), object_id("report", "r0 0")])
        with node.store.read() as transaction:
            assert transaction.rows("SELECT COUNT(*) FROM arrival") == [(len(wanted) + 2,)]
            (position,) = transaction.rows("SELECT position FROM source")
        assert position[0] is not None


def test_what_opentaxii_changes_in_an_object_is_seen_and_not_kept(world: World, tmp_path: Path) -> None:
    """Version 0.9.3 gives each object its type in the place of its `spec_version`: what it gives is no STIX 2.1."""
    node = world.nodes["borealia"]
    with serve_opentaxii(tmp_path, ENVELOPES) as named:
        secret = node.folder / "north.secret"
        secret.write_text(f"{named['COMITY_TAXII_USER']}:{named['COMITY_TAXII_PASSWORD']}")
        secret.chmod(0o600)
        collection = named["COMITY_TAXII_COLLECTION"]
        follow_source(world, find_root(named), collection=collection, credential="north.secret", scheme="basic")
        first = draw(node)
    assert (read_ids(node), len(first.bad)) == ([], 35)
    assert {item.where.rpartition("/")[2] for item in first.bad} == {"spec_version"}
    (withheld,) = list_withheld(node, "north")
    assert (withheld.reason, withheld.count) == ("bad", 35)
    assert "2.1" in withheld.last_id
    listed = list_unkept(node, last=100)
    assert {item.id for item in listed} == {
        object_id("report", f"r{turn} {number}") for turn in range(5) for number in range(7)
    }
    assert all("spec_version" in item.reason for item in listed)
    (followed,) = list_followed_sources(node)
    assert followed.position is not None


def post(root: str, collection: str, named: Mapping[str, str], *objects: Mapping[str, Any]) -> None:
    """Add to what the server holds."""
    httpx.post(
        f"{root}collections/{collection}/objects/",
        json={"objects": objects},
        headers={"Content-Type": TAXII, "Accept": TAXII},
        auth=(named["COMITY_TAXII_USER"], named["COMITY_TAXII_PASSWORD"]),
        trust_env=False,
        timeout=60,
    )
