# SPDX-License-Identifier: Apache-2.0
"""Each way an object came is told with what its giver's receipt and terms say, and nothing that is not known."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from comity.ids import Instant, PartyId
from comity.node import receive
from comity.node.delivery import expect_receipt
from comity.node.explain import show_object
from comity.node.follow import plan_pull
from comity.node.gate import list_open_collections
from comity.node.parties import add_party, export_manifest
from comity.node.provenance import Way
from comity.node.receipts import give_receipt
from comity.release.delivery import verify_next
from tests.worlds import World, make_object, object_id

GIVER, RECEIVER = PartyId("aurelia"), PartyId("borealia")


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """Aurelia gives to Borealia in two channels, of which the second names whom it may go on to."""
    made = World(tmp_path)
    made.found("aurelia", "borealia", "meridia")
    terms = made.terms(title="Two channels")
    head, mark, channel = terms.partition(b"[[channels]]")
    side = channel.replace(b'id = "main"', b'id = "side"')
    listed = side.replace(b'onward = "none"', b'onward = "listed"\nreleasable_to = ["meridia"]')
    made.sign_all(head + mark + channel + b"\n" + mark + listed)
    made.add("aurelia", make_object("a"))
    add_party(made.nodes["borealia"], export_manifest(made.nodes["aurelia"]), digest=None, url="http://127.0.0.1:1")
    yield made
    made.close()


def take(world: World, channel: str, *, shows: bool) -> Way:
    """The way that the object came by, when Borealia has taken in the page of one channel, with its receipt or not."""
    node, now = world.nodes["borealia"], world.now
    target = next(item for item in plan_pull(node, GIVER) if item.channel.id == channel)
    page = b'{"objects":[' + world.poll("borealia").items[0].data + b"]}"
    received = receive.Received(
        giver=GIVER,
        terms=target.terms,
        channel=target.channel,
        collection=target.collection,
        added_after=Instant(now),
    )
    if shows:
        receipt = give_receipt(world.nodes["aurelia"], RECEIVER, 1)
        shown = verify_next(receipt, b"", expect_receipt(node, GIVER, 1), now=now)
        receive.receive_shown(node, page, received, shown)
    else:
        receive.receive_page(node, page, received)
    (way,) = show_object(node, object_id("report", "a")).provenance.ways
    assert (way.giver, way.terms, way.agreement, way.at) == (GIVER, target.terms, target.agreement, now)
    return way


def test_the_channel_of_a_way_is_that_of_the_givers_receipt(world: World) -> None:
    first = world.poll("borealia")
    assert first.sequence == 1
    channel = next(
        item.channel.id
        for item in plan_pull(world.nodes["borealia"], GIVER)
        if item.collection == world_collection(world)
    )
    way = take(world, channel, shows=True)
    assert (way.channel, way.receipt) == (channel, 1)
    assert way.handling is not None
    assert way.handling.audience == ({"borealia", "meridia"} if channel == "side" else {"borealia"})


def world_collection(world: World) -> str:
    """The id of the collection that `World.poll` reads."""
    return list_open_collections(world.nodes["aurelia"], RECEIVER)[0].id


def test_without_a_receipt_no_channel_is_guessed_among_several(world: World) -> None:
    way = take(world, "side", shows=False)
    assert (way.channel, way.receipt, way.handling) == (None, None, None)
