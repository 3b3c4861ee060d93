# SPDX-License-Identifier: Apache-2.0
"""What is this party's own can be written out as it is held; what came from anybody else never is."""

import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from unittest.mock import patch

import pytest

from comity.ids import PartyId
from comity.node import export
from comity.node.accept import accept_objects, list_write_collections
from comity.node.export import export_part
from comity.node.files import Bytes
from comity.node.intake import Plan, take_file
from comity.node.node import Node
from tests.worlds import World, make_object, object_id

BOREALIA = PartyId("borealia")


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with closing(World(tmp_path)) as world:
        world.found("aurelia", "borealia")
        world.sign_all(world.terms(giver="borealia", receivers=("aurelia",), types=("identity",)), proposer="borealia")
        yield world


def add(node: Node, *objects: bytes) -> None:
    take_file(node, Bytes("own.json", b'{"objects":[' + b",".join(objects) + b"]}"), Plan())


def make(name: str, *, kind: str = "identity", day: int = 1) -> bytes:
    return json.dumps(make_object(name, kind=kind, day=day), indent=1).encode()


def write_for_borealia(node: Node, *objects: bytes) -> None:
    (target,) = list_write_collections(node, BOREALIA)
    accept_objects(node, b'{"objects":[' + b",".join(objects) + b"]}", giver=BOREALIA, collection=target.id)


def exported(node: Node, **said: frozenset[str] | int) -> list[bytes]:
    found, after = list[bytes](), 0
    while True:
        part = export_part(node, after=after, **said)  # type: ignore[arg-type]
        found += [data for _, data in part.objects]
        if part.after is None:
            return found
        assert part.after > after
        after = part.after


def test_own_objects_come_out_byte_for_byte_in_their_newest_version(world: World) -> None:
    node = world.nodes["aurelia"]
    add(node, make("a"), make("b"))
    add(node, make("a", day=9))
    assert exported(node) == [make("b"), make("a", day=9)]


def test_what_came_from_a_partner_never_comes_out(world: World) -> None:
    node = world.nodes["aurelia"]
    write_for_borealia(node, make("theirs"))
    add(node, make("own"))
    assert exported(node) == [make("own")]


def test_what_came_from_a_partner_too_does_not_come_out_any_more(world: World) -> None:
    node = world.nodes["aurelia"]
    add(node, make("both"), make("own"))
    write_for_borealia(node, make("both"))
    assert exported(node) == [make("own")]


def test_it_comes_in_parts_without_loss_or_doubles(world: World) -> None:
    node = world.nodes["aurelia"]
    add(node, *(make(f"n{number}") for number in range(7)))
    for limit in (1, 2, 3, 7, 8):
        with patch.object(export, "_PART_OBJECTS", limit):
            assert len(exported(node)) == 7
        with patch.object(export, "_PART_BYTES", limit * 400):
            assert len(set(exported(node))) == 7


def test_types_and_files_narrow_it(world: World) -> None:
    node = world.nodes["aurelia"]
    add(node, make("a"))
    add(node, make("r", kind="report"))
    assert exported(node, types=frozenset({"report"})) == [make("r", kind="report")]
    assert exported(node, file=1) == [make("a")]
    assert exported(node, file=9) == []
    assert object_id("identity", "a")
