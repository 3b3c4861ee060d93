# SPDX-License-Identifier: Apache-2.0
"""A feed of MISP on a web server is followed: events come once, anew when they change, never looser than they were."""

import asyncio
import json
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from uuid import UUID

import pytest

from comity.calls import Room, open_client
from comity.errors import PeerUnreachable
from comity.ids import PartyId
from comity.misp import read_manifest
from comity.node import sources
from comity.node.explain import show_object
from comity.node.node import Node
from comity.node.sources import MISP, list_withheld
from comity.node.steps import advance
from comity.sources import Drawn, pull_source
from comity.stix.objects import BundleReading
from tests.sources import follow_source, make_record
from tests.unit.intake.misp_events import Fields, make_attribute, make_event, name_part, tag
from tests.worlds import World

pytestmark = pytest.mark.e2e
TYPES = ("indicator", "observed-data", "ipv4-addr", "network-traffic", "relationship", "report", "grouping", "identity")


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path)
    made.found("aurelia", "borealia")
    yield made
    made.close()


class Quiet(SimpleHTTPRequestHandler):
    """A web server of files that says nothing."""

    def log_message(self, *_: object) -> None:
        """Nothing."""


@pytest.fixture
def served(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    """The folder of a feed, and where it is served."""
    folder = tmp_path / "misp"
    folder.mkdir()
    listener = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder)))
    thread = threading.Thread(target=listener.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    yield folder, f"http://127.0.0.1:{listener.server_address[1]}/"
    listener.shutdown()
    listener.server_close()
    thread.join()


def publish(folder: Path, *events: Fields) -> None:
    manifest = {str(event["uuid"]): {"timestamp": event["timestamp"], "info": event["info"]} for event in events}
    (folder / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    for event in events:
        (folder / f"{event['uuid']}.json").write_text(json.dumps({"Event": event}), encoding="utf-8")


def pull(world: World) -> Drawn:
    async def run() -> Drawn:
        node = world.nodes["borealia"]
        async with open_client(node) as client:
            return await pull_source(client, node, "north", room=Room(1))

    return asyncio.run(run())


def follow(world: World, url: str, *, extra: str = "") -> None:
    record = make_record(types=TYPES, extra=extra)
    follow_source(world, url, record, collection="manifest.json", kind=MISP)


def list_ids(node: Node) -> set[str]:
    with node.store.read() as transaction:
        return {name for (name,) in transaction.rows("SELECT id FROM object")}


def make_feed_event(number: int, *attributes: Fields, **more: object) -> Fields:
    event = make_event(*attributes, uuid=name_part(number), Tag=tag("tlp:green"))
    del event["distribution"]  # as feeds have it
    return event | more  # type: ignore[return-value]


def test_events_come_once_and_anew_when_they_change(world: World, served: tuple[Path, str]) -> None:
    folder, url = served
    first, second = make_feed_event(1, make_attribute(11)), make_feed_event(2, make_attribute(12))
    publish(folder, first, second)
    follow(world, url)
    drawn = pull(world)
    assert (drawn.pages, drawn.bad) == (2, [])
    assert {f"indicator--{name_part(number)}" for number in (11, 12)} <= set(drawn.added)
    assert pull(world).pages == 0
    changed = make_feed_event(2, make_attribute(12), make_attribute(13), timestamp="1703642920")
    publish(folder, first, changed)
    again = pull(world)
    assert again.pages == 1
    assert f"indicator--{name_part(13)}" in again.added
    assert pull(world).pages == 0


def test_what_terms_of_receipt_do_not_admit_is_not_kept(world: World, served: tuple[Path, str]) -> None:
    folder, url = served
    publish(folder, make_feed_event(1, make_attribute(11, Tag=tag("tlp:red")), make_attribute(12)))
    follow(world, url)
    added = set(pull(world).added)
    assert f"indicator--{name_part(12)}" in added
    assert f"indicator--{name_part(11)}" not in added
    assert {item.reason for item in list_withheld(world.nodes["borealia"], "north")} >= {"ceiling"}


def test_a_distribution_narrows_whom_the_terms_of_receipt_let_have_it(world: World, served: tuple[Path, str]) -> None:
    folder, url = served
    publish(folder, make_feed_event(1, make_attribute(11), make_attribute(12, distribution="0")))
    follow(world, url, extra='onward_to = ["meridia"]')
    pull(world)
    borealia, meridia = PartyId("borealia"), PartyId("meridia")
    node = world.nodes["borealia"]
    assert show_object(node, f"indicator--{name_part(11)}").label.audience == frozenset({borealia, meridia})
    assert show_object(node, f"indicator--{name_part(12)}").label.audience == frozenset({borealia})


def test_a_bad_event_and_a_missing_file_hold_no_other_up(world: World, served: tuple[Path, str]) -> None:
    folder, url = served
    publish(folder, *(make_feed_event(number, make_attribute(10 + number)) for number in (1, 2, 3)))
    (folder / f"{name_part(1)}.json").write_text("{", encoding="utf-8")
    (folder / f"{name_part(2)}.json").unlink()
    follow(world, url)
    with pytest.raises(PeerUnreachable, match="404"):
        pull(world)
    node = world.nodes["borealia"]
    assert f"indicator--{name_part(13)}" in list_ids(node)
    assert [(item.reason, item.count) for item in list_withheld(node, "north")] == [("bad", 1)]
    with pytest.raises(PeerUnreachable, match="404"):
        pull(world)  # the bad one is not asked for again
    assert [(item.reason, item.count) for item in list_withheld(node, "north")] == [("bad", 1)]


@pytest.mark.parametrize(
    "text", ["", "[]", '{"x": {}}', f'{{"{name_part(1)}": {{"timestamp": true}}}}', '{"a": 1, "a": 2}']
)
def test_what_is_no_manifest_is_told(world: World, served: tuple[Path, str], text: str) -> None:
    folder, url = served
    (folder / "manifest.json").write_text(text, encoding="utf-8")
    follow(world, url)
    with pytest.raises(PeerUnreachable, match="manifest"):
        pull(world)


def test_an_event_that_became_too_strict_takes_back_what_came_of_it(world: World, served: tuple[Path, str]) -> None:
    """MISP changes the time of the event, and not that of its attributes."""
    folder, url = served
    publish(folder, make_feed_event(1, make_attribute(11)), make_feed_event(2, make_attribute(12)))
    follow(world, url)
    pull(world)
    node, first = world.nodes["borealia"], f"indicator--{name_part(11)}"
    assert show_object(node, first).label.tlp == "green"
    publish(folder, make_feed_event(1, make_attribute(11), Tag=tag("tlp:red"), timestamp="1703642920"))
    pull(world)
    assert show_object(node, first).label.tlp == "red"
    assert show_object(node, f"indicator--{name_part(12)}").label.tlp == "green"


def test_an_event_that_is_too_much_holds_no_other_up(
    world: World, served: tuple[Path, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, url = served
    monkeypatch.setattr(sources, "BundleReading", partial(BundleReading, most=40))
    much = make_feed_event(1, *(make_attribute(100 + number) for number in range(40)))
    publish(folder, much, make_feed_event(2, make_attribute(12)))
    follow(world, url)
    drawn = pull(world)
    assert [bad.detail for bad in drawn.bad if "over 40 objects" in bad.detail]
    assert f"indicator--{name_part(12)}" in list_ids(world.nodes["borealia"])
    assert pull(world).pages == 0


def test_a_long_manifest_is_read_by_steps() -> None:
    listed = {str(UUID(int=number)): {"timestamp": number} for number in range(30_000)}
    steps, count = read_manifest(json.dumps(listed).encode(), "https://x.example/"), 0
    while (done := advance(steps)) is None:
        count += 1
    assert (len(done.result), done.result[str(UUID(int=7))]) == (30_000, 7)
    assert count > 10
