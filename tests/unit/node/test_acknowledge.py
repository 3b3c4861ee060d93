# SPDX-License-Identifier: Apache-2.0
"""Acknowledgements: signed by the receiver, in the logs of both, and missed by people when they do not come."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from comity.agreement.work import WorkKind
from comity.errors import BadSignature, MalformedMessage, NotFoundError, UnknownKey
from comity.ids import Digest, PartyId
from comity.node.acknowledge import OVERDUE, acknowledge, settle_acknowledgement, take_acknowledgement
from comity.node.delivery import expect_receipt, keep_missing
from comity.node.journal import list_entries, verify_store
from comity.node.receipts import give_consistency, give_receipt
from comity.node.work import list_work
from comity.release.acknowledgement import parse_acknowledgement, sign_acknowledgement
from comity.release.delivery import find_sizes, verify_next
from comity.signing import Role
from tests.worlds import World, make_object

GIVER, RECEIVER = PartyId("aurelia"), PartyId("borealia")


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path)
    made.found("aurelia", "borealia", "meridia")
    made.add("aurelia", make_object("a"))
    made.sign_all(made.terms())
    yield made
    made.close()


def give(world: World, number: int) -> None:
    """A disclosure of which borealia keeps the receipt."""
    world.poll("borealia")
    expected = expect_receipt(world.nodes["borealia"], GIVER, number)
    data = give_receipt(world.nodes["aurelia"], RECEIVER, number)
    sizes = find_sizes(data, expected.seen)
    proof = b"" if sizes is None else give_consistency(world.nodes["aurelia"], RECEIVER, *sizes)
    keep_missing(world.nodes["borealia"], [verify_next(data, proof, expected, now=world.now)])


def send(world: World) -> bytes:
    made = acknowledge(world.nodes["borealia"], GIVER)
    assert made is not None
    return made[1]


def find_kinds(world: World, name: str) -> list[tuple[WorkKind, int]]:
    return [(item.kind, item.count) for item in list_work(world.nodes[name]) if item.kind is WorkKind.UNACKNOWLEDGED]


def read_log(world: World, name: str) -> list[tuple[object, object]]:
    """What the acknowledgements in a log say: sent or received, and up to where."""
    entries = list_entries(world.nodes[name], start=0, limit=1_000)
    contents = [entry.content for entry in entries if entry.leaf.type == "acknowledgement"]
    return [(content["change"], content["sequence"]) for content in contents if isinstance(content, dict)]


def test_an_acknowledgement_is_in_both_logs_and_both_verify(world: World) -> None:
    assert acknowledge(world.nodes["borealia"], GIVER) is None
    give(world, 1)
    give(world, 2)
    said = take_acknowledgement(world.nodes["aurelia"], send(world))
    assert (said.recipient, said.sequence, said.unreceived) == (RECEIVER, 2, 2)
    assert (read_log(world, "aurelia"), read_log(world, "borealia")) == ([("receive", 2)], [("send", 2)])
    for name in ("aurelia", "borealia"):
        verify_store(world.nodes[name].store, origin=f"comity/{name}", party=PartyId(name))


def test_one_that_was_not_taken_is_sent_again_and_says_the_same(world: World) -> None:
    give(world, 1)
    first = send(world)
    assert send(world) == first
    take_acknowledgement(world.nodes["aurelia"], first)
    settle_acknowledgement(world.nodes["borealia"], GIVER, 1)
    assert acknowledge(world.nodes["borealia"], GIVER) is None
    give(world, 2)
    second = send(world)
    take_acknowledgement(world.nodes["aurelia"], second)
    for again in (first, second, second):
        take_acknowledgement(world.nodes["aurelia"], again)
    assert read_log(world, "aurelia") == [("receive", 1), ("receive", 2)]


def test_one_that_is_not_signed_by_who_it_names_is_refused(world: World) -> None:
    give(world, 1)
    envelope = send(world)
    said, _ = parse_acknowledgement(envelope)
    meridia, borealia = world.nodes["meridia"].signers, world.nodes["borealia"].signers
    for signer in (meridia[Role.LOG], borealia[Role.TRANSPORT], borealia[Role.AGREEMENT]):
        with pytest.raises((UnknownKey, BadSignature)):
            take_acknowledgement(world.nodes["aurelia"], sign_acknowledgement(said, [signer]))
    with pytest.raises((BadSignature, MalformedMessage)):
        take_acknowledgement(world.nodes["aurelia"], envelope.replace(b'"sig":"', b'"sig":"AAAA'))
    assert read_log(world, "aurelia") == []


@pytest.mark.parametrize(
    "change",
    [
        {"giver": PartyId("meridia")},
        {"recipient": PartyId("nobody")},
        {"sequence": 2},
        {"leaf": Digest("0" * 64)},
    ],
)
def test_one_of_what_is_not_in_the_log_is_refused(world: World, change: dict[str, object]) -> None:
    give(world, 1)
    said, _ = parse_acknowledgement(send(world))
    other = replace(said, **change)  # type: ignore[arg-type]
    envelope = sign_acknowledgement(other, [world.nodes["borealia"].signers[Role.LOG]])
    with pytest.raises(NotFoundError):
        take_acknowledgement(world.nodes["aurelia"], envelope)
    assert read_log(world, "aurelia") == []


def test_what_is_not_acknowledged_in_time_is_work_on_both_sides(world: World) -> None:
    give(world, 1)
    world.tick(OVERDUE)
    assert find_kinds(world, "aurelia") == [], "a client of TAXII acknowledges nothing"
    envelope = send(world)
    assert find_kinds(world, "borealia") == []
    world.tick(OVERDUE)
    assert find_kinds(world, "borealia") == [(WorkKind.UNACKNOWLEDGED, 1)]
    take_acknowledgement(world.nodes["aurelia"], envelope)
    settle_acknowledgement(world.nodes["borealia"], GIVER, 1)
    assert (find_kinds(world, "aurelia"), find_kinds(world, "borealia")) == ([], [])
    world.poll("borealia")
    world.poll("borealia")
    world.tick(OVERDUE - 1)
    assert find_kinds(world, "aurelia") == []
    world.tick(1)
    assert find_kinds(world, "aurelia") == [(WorkKind.UNACKNOWLEDGED, 2)]
