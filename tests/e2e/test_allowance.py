# SPDX-License-Identifier: Apache-2.0
"""What one partner or source brings in on a day is bounded; then it pauses, goes on the next day, and loses nothing."""

import asyncio
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from comity import following, pages
from comity.calls import Room, open_client
from comity.cli.words.follow import describe_followed
from comity.cli.words.sources import list_sources
from comity.errors import QuotaReached
from comity.following import Follower
from comity.ids import Instant, PartyId
from comity.node import allowance, follow
from comity.node.allowance import check_allowance
from comity.node.node import Node
from comity.node.parties import add_party, export_manifest
from comity.node.sources import list_followed_sources, list_withheld
from comity.operations.follow import show_status
from comity.operations.outcome import Arguments
from comity.operations.sources import list_all
from comity.peers import pull
from comity.sources import Drawn, pull_source
from comity.taxii.metrics import _tell_followed
from tests.e2e.conftest import PATIENCE
from tests.served import Served
from tests.sources import Held, TaxiiServer, follow_source, serve_taxii
from tests.worlds import World, make_object

pytestmark = [pytest.mark.slow, pytest.mark.e2e]

DAY = 86_400_000_000
AURELIA = PartyId("aurelia")


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """Aurelia and meridia each give to borealia."""
    made = World(tmp_path / "world")
    made.folder.mkdir()
    made.found("aurelia", "borealia", "meridia")
    for giver in ("aurelia", "meridia"):
        made.sign_all(made.terms(giver=giver, title=f"From {giver}"), proposer=giver)
    made.now = Instant(made.now // DAY * DAY + DAY + DAY // 2)
    yield made
    made.close()


def allow(node: Node, **much: Any) -> None:  # noqa: ANN401
    node.settings = replace(node.settings, follow=replace(node.settings.follow, **much))


def know(world: World, giver: str, url: str) -> None:
    add_party(world.nodes["borealia"], export_manifest(world.nodes[giver]), digest=None, url=url)


def count(node: Node) -> int:
    row = node.store.row("SELECT COUNT(*) FROM object")
    assert row is not None
    return int(row[0])


def show(node: Node) -> dict[str, follow.Progress]:
    return {item.giver: item.progress for item in [*follow.list_followed(node), *list_followed_sources(node)]}


def follow_until(node: Node, holds: Callable[[], bool], seconds: float = PATIENCE) -> None:
    async def run() -> None:
        task, began = asyncio.create_task(Follower(node).follow_always()), time.monotonic()
        try:
            while not holds():
                assert time.monotonic() - began < seconds, (show(node), count(node))
                assert not task.done()
                await asyncio.sleep(0.02)
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    asyncio.run(run())


def status(node: Node) -> dict[str, Any]:
    return dict(show_status(node, Arguments({})).result or {})


def names(*each: str) -> list[dict[str, Any]]:
    return [make_object(name) for name in each]


def test_a_partner_pauses_goes_on_the_next_day_and_nothing_is_lost(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    node = world.nodes["borealia"]
    monkeypatch.setattr(pages, "_PAGE_OBJECTS", 2)
    allow(node, objects_per_day=3)
    world.add("aurelia", *names(*"abcdef"))
    world.add("meridia", *names("m"))
    with Served.start(world.nodes["aurelia"]) as served, Served.start(world.nodes["meridia"]) as other:
        know(world, "aurelia", served.url)
        know(world, "meridia", other.url)
        follow_until(node, lambda: show(node)["aurelia"].paused_until is not None and count(node) == 5)
        paused = show(node)["aurelia"]
        # The page that went beyond it is kept whole; that is no failure, and the other partner goes on.
        assert (paused.failures, paused.problem, paused.paused_until) == (0, None, world.now // DAY * DAY + DAY)
        assert show(node)["meridia"].paused_until is None
        said = status(node)
        assert "PAUSED" in describe_followed(said)
        assert [item["paused_until"] is not None for item in said["channels"]] == [True, False]
        figures = {
            sample.labels["giver"]: sample.value
            for family in _tell_followed(follow.list_followed(node))
            if "paused" in family.name
            for sample in family.samples
        }
        assert figures == {"aurelia": (world.now // DAY * DAY + DAY) / 1_000_000}
        # Nothing is asked of it meanwhile, by hand neither.
        asked = served.call(lambda: world.nodes["aurelia"].store.row("SELECT last FROM recipient_sequence"))
        with pytest.raises(QuotaReached, match="may give 3"):
            asyncio.run(pull(node, AURELIA))
        assert asked == served.call(lambda: world.nodes["aurelia"].store.row("SELECT last FROM recipient_sequence"))
        assert asked == (2,)
        world.tick(DAY)
        assert "PAUSED" not in describe_followed(status(node))
        follow_until(node, lambda: count(node) == 7 and show(node)["aurelia"].in_step_at is not None)
        assert show(node)["aurelia"].paused_until is None
    with node.store.read() as transaction:
        assert transaction.rows("SELECT sequence, arrived FROM receipt WHERE giver = 'aurelia'") == [
            (number, 1) for number in (1, 2, 3)
        ]


def test_it_goes_on_by_itself(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    node, waits = world.nodes["borealia"], list[float]()
    monkeypatch.setattr(pages, "_PAGE_OBJECTS", 2)
    allow(node, objects_per_day=3)
    world.add("aurelia", *names(*"abcdefg"))

    def note(at: Node, giver: str, collections: Any) -> float:  # noqa: ANN401
        waits.append(allowance.note_paused(at, giver, collections))
        world.tick(int(waits[-1] * 1_000_000))
        return 0.05

    monkeypatch.setattr(following, "note_paused", note)
    with Served.start(world.nodes["aurelia"]) as served:
        know(world, "aurelia", served.url)
        follow_until(node, lambda: count(node) == 7)
    assert waits[0] == 43_200


def test_bytes_are_bounded_as_objects_are(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    node = world.nodes["borealia"]
    monkeypatch.setattr(pages, "_PAGE_OBJECTS", 1)
    allow(node, bytes_per_day=1)
    world.add("aurelia", *names(*"ab"))
    with Served.start(world.nodes["aurelia"]) as served:
        know(world, "aurelia", served.url)
        with pytest.raises(QuotaReached):
            asyncio.run(pull(node, AURELIA))
    assert count(node) == 1


def draw(node: Node) -> Drawn:
    async def run() -> Drawn:
        async with open_client(node) as client:
            return await pull_source(client, node, "north", room=Room(1))

    return asyncio.run(run())


@pytest.mark.parametrize("names_next", [True, False])
@pytest.mark.parametrize("sorted_by_date", [True, False])
def test_a_source_gets_further_each_day_also_where_it_has_to_begin_again(
    world: World, names_next: bool, sorted_by_date: bool
) -> None:
    """A `next` is not kept over a day: what comes again costs nothing, nor does what is not let in."""
    if not names_next and not sorted_by_date:
        pytest.skip("without `next` and without order nobody can read on")
    node = world.nodes["borealia"]
    allow(node, objects_per_day=2)
    held = [Held(value=make_object(f"o{number}"), at=Instant(number + 1)) for number in range(9)]
    held += [Held(value=make_object(f"red {number}", tlp="red"), at=Instant(20 + number)) for number in range(9)]
    held += [Held(value=make_object(f"p{number}"), at=Instant(40 + number)) for number in range(3)]
    server = TaxiiServer(held=held if sorted_by_date else [*held[5:], *held[:5]], page=2, names_next=names_next)
    with serve_taxii(server):
        follow_source(world, server.url)
        before = 0
        for _ in range(12):
            try:
                draw(node)
            except QuotaReached:
                assert 0 < count(node) - before <= 3
                before = count(node)
                world.tick(DAY)
            else:
                break
        else:
            pytest.fail("it never came to its end")
    assert count(node) == 12
    with node.store.read() as transaction:
        assert transaction.row("SELECT COUNT(*) FROM arrival") == (12,)
    assert {item.reason for item in list_withheld(node, "north")} == {"ceiling"}


def test_a_source_is_shown_as_paused(world: World) -> None:
    node = world.nodes["borealia"]
    allow(node, objects_per_day=2)
    held = [Held(value=make_object(f"o{number}"), at=Instant(number + 1)) for number in range(5)]
    server = TaxiiServer(held=held, page=2)
    with serve_taxii(server):
        follow_source(world, server.url)
        follow_until(node, lambda: show(node)["source:north"].paused_until is not None)
        asked = len(server.asked)
        assert (count(node), show(node)["source:north"].failures) == (2, 0)
        listed: Any = list_all(node, Arguments({})).result
        assert "PAUSED" in list_sources(listed)
        assert listed["sources"][0]["paused_until"] is not None
        with pytest.raises(QuotaReached):
            draw(node)
        assert len(server.asked) == asked
        world.tick(DAY)
        assert "PAUSED" not in list_sources(dict(list_all(node, Arguments({})).result or {}))
        check_allowance(node, "source:north")
