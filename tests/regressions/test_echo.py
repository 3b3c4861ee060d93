# SPDX-License-Identifier: Apache-2.0
"""No echo: what comes back is recognised, two ways are one source, and what rests on one's own word is shown to.

Seen elsewhere: an object that came by two feeds counted as two sightings by two sources, and a report that quoted this
party's own report as its confirmation.
"""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from comity.canonical import Json
from comity.cli.words.objects import describe_object
from comity.ids import AgreementId, parse_instant
from comity.node.accept import list_unkept
from comity.node.explain import show_object
from comity.operations import objects as operations
from comity.operations.outcome import Arguments
from tests.regressions.groups import EVERY_TYPE, add, make, pull
from tests.worlds import World, object_id

PARTIES = ("aurelia", "borealia", "meridia")
OWN = make("report", "own word")
LISTED = b'onward = "listed"'
RETENTION = b'\n[retention]\nreview_after = "P1Y"\nmaximum = "P2Y"\nno_decision = "delete"\n'


@pytest.fixture
def ring(tmp_path: Path) -> Iterator[tuple[World, dict[str, AgreementId]]]:
    """Aurelia gives to Borealia, Borealia to Meridia, Meridia to Aurelia; what is Aurelia's may go round."""
    world = World(tmp_path)
    world.found(*PARTIES, at=parse_instant("2026-06-01T00:00:00Z"))
    signed = dict[str, AgreementId]()
    for giver, receiver, onward in (
        ("aurelia", "borealia", ["aurelia", "meridia"]),
        ("borealia", "meridia", ["aurelia"]),
        ("meridia", "aurelia", []),
    ):
        extra = 'originators = ["aurelia", "borealia", "meridia"]'
        if onward:
            extra += f"\nreleasable_to = {json.dumps(onward)}"
        terms = world.terms(
            giver=giver,
            receivers=(receiver,),
            types=EVERY_TYPE,
            title=f"From {giver}",
            channel_extra=extra,
        )
        terms = terms.replace(b'onward = "none"', LISTED if onward else b'onward = "none"')
        terms += RETENTION if giver == "meridia" else b""
        signed[giver] = AgreementId(world.sign_all(terms, proposer=giver))
    yield world, signed
    world.close()


def go_round(world: World, signed: dict[str, AgreementId]) -> None:
    for receiver, giver in (("borealia", "aurelia"), ("meridia", "borealia"), ("aurelia", "meridia")):
        pull(world, receiver, giver=giver, agreement=signed[giver])


def show(world: World, name: str, kind: str = "report", *, at: str = "aurelia") -> dict[str, Json]:
    arguments = Arguments({"id": object_id(kind, name)})
    return operations.show(world.nodes[at], arguments).result


def test_an_object_of_ones_own_that_went_round_is_recognised_and_is_no_second_source(
    ring: tuple[World, dict[str, AgreementId]],
) -> None:
    world, signed = ring
    add(world, "aurelia", OWN)
    before = show_object(world.nodes["aurelia"], str(OWN["id"])).label
    given = world.read("borealia")
    go_round(world, signed)
    shown = show_object(world.nodes["aurelia"], str(OWN["id"]))
    assert shown.label == before
    assert (shown.object.originator, shown.object.received_under, shown.provenance.ways) == ("aurelia", None, ())
    assert [way.giver for way in shown.provenance.returns] == ["meridia"]
    assert world.read("borealia") == given
    told = show(world, "own word")
    assert (told["source"], told["ways"]) == (["aurelia"], [])
    assert "this party gave it before it came back" in describe_object(told)


def test_an_object_by_two_ways_is_one_source_with_the_terms_of_both(
    ring: tuple[World, dict[str, AgreementId]],
) -> None:
    world, signed = ring
    second = AgreementId(
        world.sign_all(
            world.terms(giver="aurelia", receivers=("meridia",), types=EVERY_TYPE, title="Straight"), proposer="aurelia"
        )
    )
    add(world, "aurelia", OWN)
    pull(world, "borealia", giver="aurelia", agreement=signed["aurelia"])
    world.tick()
    pull(world, "meridia", giver="borealia", agreement=signed["borealia"])
    world.tick()
    pull(world, "meridia", giver="aurelia", agreement=second)
    told = show(world, "own word", at="meridia")
    ways = told["ways"]
    assert isinstance(ways, list)
    assert [(way["giver"], way["agreement"], way["channel"]) for way in ways if isinstance(way, dict)] == [
        ("borealia", signed["borealia"], "main"),
        ("aurelia", second, "main"),
    ]
    assert told["source"] == ["aurelia", "borealia", "meridia"]
    words = describe_object(told)
    assert "came by 2 ways: one source, of aurelia, borealia, meridia" in words
    assert len(re.findall(r"prohibited +targeting", words)) == 2
    assert "audience" in words


def test_what_came_by_one_way_carries_what_its_givers_terms_say(ring: tuple[World, dict[str, AgreementId]]) -> None:
    world, signed = ring
    add(world, "meridia", make("report", "theirs"))
    pull(world, "aurelia", giver="meridia", agreement=signed["meridia"])
    told = show(world, "theirs")
    (way,) = told["ways"] if isinstance(told["ways"], list) else []
    assert isinstance(way, dict)
    handling = way["handling"]
    assert isinstance(handling, dict)
    assert way["giver"] == "meridia"
    assert handling["audience"] == ["aurelia"]
    assert handling["originators"] == ["aurelia", "borealia", "meridia"]
    assert handling["permitted_actions"] == "internally-visible-actions"
    assert handling["prohibited_uses"] == ["targeting"]
    assert (handling["review_after"], handling["delete_after"]) == ("P1Y", "P2Y")
    retention = told["retention"]
    assert isinstance(retention, dict)
    assert retention["clause"] == "retention.review_after"
    assert "kept until 2027-" in describe_object(told)


CHANGES: dict[str, dict[str, Json]] = {
    "a later version": {"modified": "2025-06-01T00:00:00.000000Z", "name": "changed"},
    "a revocation": {"modified": "2025-06-01T00:00:00.000000Z", "revoked": True},
    "other bytes": {"name": "changed"},
    "an earlier version": {"modified": "2025-01-01T00:00:00.000000Z", "name": "changed"},
}


@pytest.mark.parametrize("change", CHANGES)
def test_ones_own_object_that_comes_back_changed_is_a_dispute_and_no_update(
    ring: tuple[World, dict[str, AgreementId]], change: str
) -> None:
    """Seen elsewhere: whoever could write an object of an id overwrote it, whosever it was."""
    world, signed = ring
    add(world, "aurelia", OWN)
    given = world.read("borealia")
    add(world, "meridia", {**OWN, **CHANGES[change]})
    intake = pull(world, "aurelia", giver="meridia", agreement=signed["meridia"])
    assert not intake.added
    shown = show_object(world.nodes["aurelia"], str(OWN["id"]))
    assert shown.versions == (OWN["modified"],)
    assert json.loads(shown.data) == OWN
    (dispute,) = shown.provenance.disputes
    assert dispute.giver == "meridia"
    assert world.read("borealia") == given
    assert "DISPUTED" in describe_object(show(world, "own word"))
    assert list_unkept(world.nodes["aurelia"], last=10) == [dispute]


CIRCULAR = {
    "a report on it": [make("report", "theirs", object_refs=[OWN["id"]])],
    "a sighting of it": [make("sighting", "theirs", sighting_of_ref=OWN["id"])],
    "a report on a note on it": [
        make("note", "n", object_refs=[OWN["id"]]),
        make("report", "theirs", object_refs=[object_id("note", "n")]),
    ],
    "derived from it": [
        make("report", "theirs"),
        make(
            "relationship",
            "d",
            relationship_type="derived-from",
            source_ref=object_id("report", "theirs"),
            target_ref=OWN["id"],
        ),
    ],
}


@pytest.mark.parametrize("way", CIRCULAR)
def test_what_rests_on_ones_own_word_is_shown_as_circular(ring: tuple[World, dict[str, AgreementId]], way: str) -> None:
    world, signed = ring
    add(world, "aurelia", OWN)
    pull(world, "borealia", giver="aurelia", agreement=signed["aurelia"])
    pull(world, "meridia", giver="borealia", agreement=signed["borealia"])
    add(world, "meridia", *CIRCULAR[way])
    pull(world, "aurelia", giver="meridia", agreement=signed["meridia"])
    kind = "sighting" if "sighting" in way else "report"
    (chain,) = show_object(world.nodes["aurelia"], object_id(kind, "theirs")).provenance.circles
    assert (chain[0], chain[-1]) == (object_id(kind, "theirs"), OWN["id"])
    assert "CIRCULAR" in describe_object(show(world, "theirs", kind))


def test_what_rests_on_others_is_not_circular(ring: tuple[World, dict[str, AgreementId]]) -> None:
    world, signed = ring
    maker = make("identity", "us")
    add(world, "aurelia", maker)
    add(world, "meridia", maker, make("malware", "m"), make("report", "theirs", created_by_ref=maker["id"]))
    pull(world, "aurelia", giver="meridia", agreement=signed["meridia"])
    assert show_object(world.nodes["aurelia"], object_id("report", "theirs")).provenance.circles == ()
