# SPDX-License-Identifier: Apache-2.0
"""Partners are followed by themselves: from where it stopped, with pauses, each apart from the others."""

import asyncio
import gzip
import json
import signal
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest

from comity import following
from comity.agreement.events import EventKind
from comity.agreement.people import Role
from comity.following import Follower
from comity.ids import Instant, PartyId
from comity.node import follow
from comity.node.clock import read_clock
from comity.node.node import Node
from comity.node.parties import add_party, export_manifest
from comity.node.receipts import give_receipt
from comity.taxii import receipts as served_receipts
from tests.e2e.conftest import PATIENCE, Serving, comity, comity_as, rows, wait_until
from tests.served import Served
from tests.sources import Held, TaxiiServer, make_record, say, serve_taxii
from tests.worlds import World, make_object, object_id

pytestmark = [pytest.mark.slow, pytest.mark.e2e]

Serve = Callable[..., Serving]
Cheat = Callable[[BaseHTTPRequestHandler, dict[str, str]], None]
GIVERS = ("aurelia", "meridia")
AT_MOST = 20.0
"""Seconds, on a machine that has other work: who waits for an answer gives up after 30, and asks again after 60."""


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """Aurelia and meridia each give to borealia."""
    made = World(tmp_path / "world")
    made.folder.mkdir()
    made.found("aurelia", "borealia", "meridia")
    for giver in GIVERS:
        made.sign_all(made.terms(giver=giver, title=f"From {giver}"), proposer=giver)
    yield made
    made.close()


def know(world: World, giver: str, url: str) -> None:
    """Let borealia know where the node of `giver` is."""
    add_party(world.nodes["borealia"], export_manifest(world.nodes[giver]), digest=None, url=url)


def count_objects(node: Node) -> int:
    row = node.store.row("SELECT COUNT(*) FROM object")
    assert row is not None
    return int(row[0])


async def follow_until(node: Node, holds: Callable[[], bool], seconds: float = PATIENCE) -> float:
    """In how many seconds `holds` came true while the node followed its partners."""
    task, began = asyncio.create_task(Follower(node).follow_always()), time.monotonic()
    try:
        while not holds():
            assert time.monotonic() - began < seconds, show(node)
            assert not task.done()
            await asyncio.sleep(0.02)
        return time.monotonic() - began
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def show(node: Node) -> dict[str, follow.Progress]:
    """How it stands with the one channel of each giver."""
    return {item.giver: item.progress for item in follow.list_followed(node)}


def run(node: Node, holds: Callable[[], bool], seconds: float = PATIENCE) -> float:
    return asyncio.run(follow_until(node, holds, seconds))


def silent() -> socket.socket:
    """A server that takes connections and says nothing."""
    listener = socket.create_server(("127.0.0.1", 0))
    listener.listen(16)
    return listener


def test_what_partners_release_comes_in_and_nothing_twice(world: World) -> None:
    node = world.nodes["borealia"]
    world.add("aurelia", make_object("a"), make_object("b"))
    with Served.start(world.nodes["aurelia"]) as served:
        know(world, "aurelia", served.url)
        run(node, lambda: count_objects(node) == 2)
        # A question that still waits there when its asker is gone would be given what comes next.
        wait_until(lambda: served.call(lambda: len(served.server.app.waits)) == 0)
        served.call(lambda: world.add("aurelia", make_object("c")))
        world.tick()
        # Another process, as it were: it goes on where the first one stopped.
        run(node, lambda: count_objects(node) == 3)
        given = served.call(lambda: world.nodes["aurelia"].store.row("SELECT last FROM recipient_sequence"))
    with node.store.read() as transaction:
        receipts = transaction.rows("SELECT sequence, arrived FROM receipt")
    assert given == (2,)  # each object was disclosed once
    assert receipts == [(1, 1), (2, 1)]


def test_what_is_released_while_a_question_waits_is_here_at_once(world: World) -> None:
    """In both of its channels; in the order of the receipts, and each object given once."""
    node, aurelia = world.nodes["borealia"], world.nodes["aurelia"]
    world.sign_all(world.terms(title="Second", subjects=("national:other",)))

    async def follow_news(served: Served) -> list[float]:
        task, delays = asyncio.create_task(Follower(node).follow_always()), list[float]()
        try:
            for number in range(5):
                while served.call(lambda: len(served.server.app.waits)) < 2:  # noqa: ASYNC110 (it is on another loop)
                    await asyncio.sleep(0.05)
                both = make_object(f"a{number}"), make_object(f"b{number}", subjects=("national:other",))
                world.tick()
                served.call(lambda both=both: world.add("aurelia", *both))  # type: ignore[misc]
                began = time.monotonic()
                while count_objects(node) < 2 * (number + 1):
                    assert time.monotonic() - began < PATIENCE, show(node)
                    await asyncio.sleep(0.01)
                delays.append(time.monotonic() - began)
            return delays
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    with Served.start(aurelia) as served:
        know(world, "aurelia", served.url)
        delays = asyncio.run(follow_news(served))
        released = served.call(lambda: aurelia.store.row("SELECT COUNT(*) FROM release"))
        given = served.call(lambda: aurelia.store.row("SELECT last FROM recipient_sequence"))
    assert sorted(delays)[2] < 1
    assert max(delays) < AT_MOST
    assert released == (10,)
    with node.store.read() as transaction:
        arrived: list[tuple[int, int]] = transaction.rows("SELECT arrived, COUNT(*) FROM receipt GROUP BY arrived")
        assert transaction.rows("SELECT COUNT(*) FROM refused_page") == [(0,)]
    assert dict(arrived)[1] == 10
    assert given == (sum(count for _, count in arrived),)


def test_a_partner_that_says_nothing_holds_up_no_other(world: World) -> None:
    node = world.nodes["borealia"]
    world.add("aurelia", make_object("a"))
    with closing(silent()) as listener, Served.start(world.nodes["aurelia"]) as served:
        know(world, "meridia", f"http://127.0.0.1:{listener.getsockname()[1]}")
        know(world, "aurelia", served.url)
        assert run(node, lambda: count_objects(node) == 1) < AT_MOST


def test_a_failure_is_kept_with_its_time_and_the_next_try(world: World) -> None:
    node = world.nodes["borealia"]
    with closing(silent()) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    know(world, "aurelia", url)
    run(node, lambda: show(node)[PartyId("aurelia")].failures >= 2)
    progress = show(node)[PartyId("aurelia")]
    assert progress.problem is not None
    assert url in progress.problem
    assert (progress.failed_at, progress.in_step_at) == (world.now, None)
    assert progress.due_at is not None
    longest = 1_000_000 * 2**progress.failures
    assert longest // 2 - 1 <= progress.due_at - world.now <= longest
    world.add("aurelia", make_object("a"))
    with Served.start(world.nodes["aurelia"]) as served:
        know(world, "aurelia", served.url)
        run(node, lambda: show(node)[PartyId("aurelia")].in_step_at is not None)
    assert show(node)[PartyId("aurelia")] == follow.Progress(taken_at=world.now, in_step_at=world.now)


def test_a_partner_that_cheats_is_seen_and_the_other_goes_on(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    node = world.nodes["borealia"]

    def cheat(giver: Node, recipient: PartyId, sequence: int) -> bytes:
        return b"{}" if giver.party == "meridia" else give_receipt(giver, recipient, sequence)

    monkeypatch.setattr(served_receipts, "give_receipt", cheat)
    world.add("aurelia", make_object("a"))
    world.add("meridia", make_object("m"))
    with Served.start(world.nodes["aurelia"]) as one, Served.start(world.nodes["meridia"]) as two:
        know(world, "meridia", two.url)
        know(world, "aurelia", one.url)
        run(node, lambda: count_objects(node) == 1 and show(node)[PartyId("meridia")].failures >= 1)
    assert "refused, and nothing of it kept" in str(show(node)[PartyId("meridia")].problem)
    with node.store.read() as transaction:
        assert transaction.rows("SELECT id FROM object") == [(object_id("report", "a"),)]


def cheat_with(
    body: bytes,
    *,
    status: int = 200,
    kind: str = "application/taxii+json;version=2.1",
    **headers: Any,  # noqa: ANN401 (texts, as `say`)
) -> Cheat:
    def answer(handler: BaseHTTPRequestHandler, _: dict[str, str]) -> None:
        more: dict[str, Any] = {name.replace("_", "-"): text for name, text in headers.items()}
        if handler.path == "/taxii2/":
            say(handler, b'{"title":"x","default":"/taxii2/borealia/","api_roots":["/taxii2/borealia/"]}')
        else:
            say(handler, body, status=status, kind=kind, **more)

    return answer


def at_discovery(body: bytes, **how: Any) -> Cheat:  # noqa: ANN401 (as `say`)
    return lambda handler, _: say(handler, body, **how)


PAGE = json.dumps({"objects": [make_object("outside", subjects=("national:other",))]}).encode()
LAST: dict[str, Any] = {"X_TAXII_Date_Added_Last": "2026-01-01T00:00:00.000000Z"}
CHEATS: dict[str, tuple[Cheat, str]] = {
    "discovery leads elsewhere": (
        at_discovery(b"", status=302, Location="http://other.example/taxii2/"),
        "leads elsewhere",
    ),
    "discovery names another host": (
        at_discovery(b'{"title":"x","default":"https://other.example/"}'),
        "on another host",
    ),
    "discovery names another port": (at_discovery(b'{"title":"x","default":"http://127.0.0.1:1/"}'), "on another host"),
    "discovery names a file": (at_discovery(b'{"title":"x","default":"file:///etc/passwd"}'), "on another host"),
    "discovery is none": (at_discovery(b"[" * 50_000), "not a TAXII 2.1 discovery resource"),
    "a page leads elsewhere": (cheat_with(b"", status=307, Location="file:///etc/passwd"), "leads elsewhere"),
    "a page is a bomb": (cheat_with(gzip.compress(bytes(64 << 20)), Content_Encoding="gzip"), "over 33554432 bytes"),
    "a page of another type": (cheat_with(PAGE, kind="text/html", **LAST), "another content type"),
    "a page without a number": (cheat_with(PAGE, **LAST), "without the number"),
    "a page without a receipt": (cheat_with(PAGE, comity_receipt="1", **LAST), "refused"),
    "a page of yesterday's date": (cheat_with(PAGE, X_TAXII_Date_Added_Last="yesterday"), "no timestamp"),
    "a page that fails": (cheat_with(b"", status=500), "answered 500"),
}


@pytest.mark.parametrize("name", CHEATS)
def test_whatever_a_partner_answers_is_noted_and_nothing_of_it_is_kept(world: World, name: str) -> None:
    node, (answer, said) = world.nodes["borealia"], CHEATS[name]
    world.add("aurelia", make_object("a"))
    with serve_taxii(TaxiiServer(answer=answer)) as bad, Served.start(world.nodes["aurelia"]) as good:
        know(world, "meridia", bad.url.removesuffix("/api1/"))
        know(world, "aurelia", good.url)
        run(node, lambda: count_objects(node) == 1 and show(node)[PartyId("meridia")].failures >= 1)
    assert said in str(show(node)[PartyId("meridia")].problem)
    with node.store.read() as transaction:
        assert transaction.rows("SELECT id FROM object") == [(object_id("report", "a"),)]
        assert transaction.rows("SELECT party FROM pull_position") == [("aurelia",)]


@pytest.mark.parametrize("applied", [{}, {"Preference_Applied": "wait=30"}])
def test_who_does_not_wait_is_not_asked_again_and_again(
    world: World, applied: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether it does not know how to, or only says that it did."""
    node = world.nodes["borealia"]
    server = TaxiiServer(answer=cheat_with(b"{}", **applied))
    monkeypatch.setattr(following, "_AT_ONCE_SECONDS", AT_MOST)
    reached = list[float]()

    def stays() -> bool:
        if len(server.asked) >= 3 and not reached:
            reached.append(time.monotonic())
        return bool(reached) and time.monotonic() > reached[0] + 3

    with serve_taxii(server):
        know(world, "meridia", server.url.removesuffix("/api1/"))
        run(node, stays)
    assert show(node)[PartyId("meridia")].in_step_at is not None
    assert len(server.asked) == 3  # for the API root, for what is there, and whether it would wait


def test_what_is_suspended_is_not_followed_and_goes_on_when_it_is_resumed(world: World) -> None:
    node = world.nodes["borealia"]
    (agreement,) = {item.agreement for item in follow.list_followed(node) if item.giver == "aurelia"}
    world.act("borealia", agreement, EventKind.SUSPEND)
    assert follow.list_givers(node) == []
    with Served.start(world.nodes["aurelia"]) as served:
        know(world, "aurelia", served.url)
        served.call(lambda: world.add("aurelia", make_object("a")))
        with pytest.raises(AssertionError):
            run(node, lambda: count_objects(node) > 0, seconds=1.5)
        served.call(lambda: world.act("borealia", agreement, EventKind.RESUME))
        run(node, lambda: count_objects(node) == 1)


# --- the program ------------------------------------------------------------------------------------------------------


def status(folder: Path) -> dict[str, dict[str, Any]]:
    """What `follow status` says of each giver."""
    return {item["giver"]: item for item in comity(folder, "follow", "status", "--json").result["channels"]}


def bundle(*names: str) -> bytes:
    objects = [make_object(name) for name in names]
    return json.dumps(
        {"type": "bundle", "id": f"bundle--{object_id('x', '-'.join(names))[3:]}", "objects": objects}
    ).encode()


@pytest.mark.parametrize("workers", [1, 2])
def test_two_served_nodes_are_in_step_by_themselves(world: World, serve: Serve, tmp_path: Path, workers: int) -> None:
    folders = {name: node.folder for name, node in world.nodes.items()}
    world.close()
    giver = serve(folders["aurelia"], workers)
    manifest = tmp_path / "aurelia.json"
    assert comity(folders["aurelia"], "party", "export", manifest).code == 0
    serve(folders["borealia"])
    assert comity(folders["borealia"], "party", "add", manifest, "--url", giver.url).code == 0
    file = tmp_path / "bundle.json"
    file.write_bytes(bundle("a", "b"))
    assert comity(folders["aurelia"], "object", "add", file).code == 0
    wait_until(lambda: rows(folders["borealia"], "SELECT COUNT(*) FROM object") == [(2,)])
    wait_until(lambda: status(folders["borealia"])["aurelia"]["seconds_behind"] is not None)
    time.sleep(1)
    for number in range(3):  # whichever worker the question waits at
        file.write_bytes(bundle(f"c{number}"))
        assert comity(folders["aurelia"], "object", "add", file).code == 0
        began = time.monotonic()
        wait_until(lambda number=number: rows(folders["borealia"], "SELECT COUNT(*) FROM object") == [(3 + number,)])  # type: ignore[misc]
        assert time.monotonic() - began < AT_MOST
    shown = status(folders["borealia"])
    assert (shown["aurelia"]["problem"], shown["aurelia"]["failures"]) == (None, 0)
    assert "is not known" in shown["meridia"]["closed"]
    text = comity(folders["borealia"], "follow", "status").out
    assert "in step" in text
    assert "not followed: the address" in text


@pytest.mark.kill
def test_a_node_that_is_killed_while_it_follows_loses_nothing_and_takes_nothing_twice(
    world: World, serve: Serve
) -> None:
    folders = {name: node.folder for name, node in world.nodes.items()}
    # Who asks has the clock of the system: what it shows is good for minutes only, and the test may take longer.
    world.nodes["aurelia"].clock = read_clock
    with Served.start(world.nodes["aurelia"]) as giver:
        know(world, "aurelia", giver.url)
        world.nodes["borealia"].close()
        for turn in range(6):
            receiver = serve(folders["borealia"])
            for number in range(4):
                giver.call(lambda name=f"k{turn} {number}": world.add("aurelia", make_object(name)))  # type: ignore[misc]
                world.tick()
                time.sleep(0.03 * turn)
            receiver.end(signal.SIGKILL)
        serve(folders["borealia"])
        wait_until(lambda: rows(folders["borealia"], "SELECT COUNT(*) FROM object") == [(24,)])
        given = giver.call(lambda: world.nodes["aurelia"].store.row("SELECT last FROM recipient_sequence"))
        wait_until(lambda: rows(folders["borealia"], "SELECT MAX(sequence) FROM receipt") == [given])
    assert rows(folders["borealia"], "SELECT COUNT(*) FROM arrival") == [(24,)]
    assert rows(folders["borealia"], "SELECT COUNT(*) FROM refused_page") == [(0,)]
    # From the first that came on, none is left out.
    ((count, first, last),) = rows(folders["borealia"], "SELECT COUNT(*), MIN(sequence), MAX(sequence) FROM receipt")
    assert count == last - first + 1
    world.nodes.pop("borealia")


def test_a_source_is_added_by_two_people_and_followed(world: World, serve: Serve, tmp_path: Path) -> None:
    folder, record = world.nodes["borealia"].folder, tmp_path / "north.toml"
    record.write_bytes(make_record(types=("report",)))
    world.close()
    server = TaxiiServer()
    server.held = [Held(value=make_object("a"), at=Instant(1)), Held(value=make_object("b", tlp="red"), at=Instant(2))]
    with serve_taxii(server):
        serve(folder)
        words = ("source", "add", "north", "--url", server.url, "--collection", "c", "--terms", record)
        assert comity_as(Role.LIAISON, folder, *words).code == 9
        assert comity(folder, "source", "list").out == "no source is followed\n"
        done = comity_as(Role.LEGAL, folder, *words)
        assert done.code == 0, done.err
        assert "counts as       of north-cert" in done.out
        wait_until(lambda: rows(folder, "SELECT id FROM object") == [(object_id("report", "a"),)])
        wait_until(lambda: status(folder)["source:north"]["in_step_at"] is not None)
        assert "withheld so far: 1 marked over the ceiling" in comity(folder, "source", "list").out
        pulled = comity(folder, "source", "pull", "north", "--json").result
        assert (pulled["added"], pulled["withheld"][0]["reason"]) == ([], "ceiling")
        assert "from north-cert under" in comity(folder, "object", "show", object_id("report", "a")).out
        assert comity(folder, "source", "drop", "north").code == 0
        assert comity(folder, "source", "pull", "north").code == 5
        asked = len(server.asked)
        time.sleep(1.5)
        assert len(server.asked) == asked
    assert comity(folder, "log", "verify").code == 0
    assert comity(folder, "audit").code == 0
    assert comity(folder, "fsck").code == 0
