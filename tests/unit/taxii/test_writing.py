# SPDX-License-Identifier: Apache-2.0
"""Whose long body is read, and which methods mean anything."""

from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path

import pytest

from comity.agreement.events import EventKind
from comity.ids import PartyId
from comity.node.accept import list_write_collections
from comity.node.parties import create_credential
from comity.taxii import writing
from comity.taxii.wire import MAX_CONTENT_LENGTH, Resource, Route
from comity.taxii.writing import find_bound, is_served
from tests.served import Served, bearer
from tests.worlds import World

OTHERWISE = 2 * 1024 * 1024


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with closing(World(tmp_path)) as made:
        made.found("aurelia", "borealia", "meridia")
        yield made


def bound(world: World, *, who: str | None, root: str, collection: str, length: str | None = None) -> int:
    node = world.nodes["aurelia"]
    headers = {} if who is None else {"authorization": bearer(create_credential(node, PartyId(who)))["Authorization"]}
    headers |= {} if length is None else {"content-length": length}
    route = Route(resource=Resource.OBJECTS, root=root, collection=collection)
    return find_bound(node, route, headers=headers, otherwise=OTHERWISE)


def test_a_long_body_is_read_from_who_may_write_there_and_from_nobody_else(world: World) -> None:
    given = world.sign_all(world.terms(giver="borealia", receivers=("aurelia",)), proposer="borealia")
    (target,) = list_write_collections(world.nodes["aurelia"], PartyId("borealia"))
    for length in (None, str(MAX_CONTENT_LENGTH), "nonsense", "²"):
        assert bound(world, who="borealia", root="borealia", collection=target.id, length=length) == MAX_CONTENT_LENGTH
        for who, root, collection in (
            (None, "borealia", target.id),
            ("meridia", "borealia", target.id),
            ("meridia", "meridia", target.id),
            ("borealia", "meridia", target.id),
            ("borealia", "borealia", "main"),
        ):
            assert bound(world, who=who, root=root, collection=collection, length=length) == OTHERWISE
    world.act("aurelia", given, EventKind.SUSPEND)
    assert bound(world, who="borealia", root="borealia", collection=target.id) == OTHERWISE


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "DELETE", "PUT", "PATCH", "OPTIONS", "get", ""])
def test_a_method_means_something_for_what_it_is_for(method: str) -> None:
    served = {resource for resource in Resource if is_served(method, Route(resource=resource))}
    meant = {
        "GET": set(Resource),
        "HEAD": set(Resource),
        "POST": {Resource.OBJECTS},
        "DELETE": {Resource.OBJECT},
    }
    assert served == meant.get(method, set())


def test_who_says_that_it_sends_little_is_not_asked_who_it_is_before(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Through the application: what a header says has to reach the bound."""
    asked = list[str]()

    def find(_: object, route: Route, *, headers: Mapping[str, str], otherwise: int) -> int:
        asked.append(headers.get("content-length", ""))
        return find_bound(world.nodes["aurelia"], route, headers=headers, otherwise=otherwise)

    monkeypatch.setattr(writing, "find_bound", find)
    with Served.start(world.nodes["aurelia"]) as served:
        served.ask("POST", "/taxii2/borealia/collections/x/objects/", headers={"Content-Length": "2"}, body=b"{}")
    assert asked == ["2"]
