# SPDX-License-Identifier: Apache-2.0
"""A chain of nodes in network namespaces: a link that is cut, slow or loses, a process that is killed.

Aurelia gives borealia, and borealia gives cimbria, which has nothing from aurelia itself. Each is a real process with a
network of its own (`tests.e2e.networks`), and follows by itself. After each history nothing is lost or there twice, and
`audit` and `fsck` find nothing at any of them.
"""

import itertools
import shutil
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from comity.agreement.people import Role
from comity.ids import PartyId
from comity.node.gate import list_open_collections
from comity.node.parties import add_party, create_credential, export_manifest
from tests.chains import sign_onward
from tests.e2e.conftest import Serving, comity, comity_as, disclosed, entries, rows, wait_until
from tests.e2e.networks import Network, build_network, locate, need_namespaces
from tests.e2e.pollers import bundle, command
from tests.worlds import World, object_id

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

A, B, C = "aurelia", "borealia", "cimbria"
NAMES = (A, B, C)
LINKS = ((A, B), (B, C))
SECONDS = 180.0
"""For whatever has to happen by itself on a machine that has other work."""

BUNDLES, BUNDLE, PACE = 30, 10, 0.1
"""At least so often so many objects, and so many seconds before the next: pages are small, as what is given is new."""

DELAY = 0.05
MOMENTS = (0.0, 0.04, 0.08, 0.12, 0.16, 0.2)
"""Seconds after a page was given: on its way, waiting for its receipt, taken in."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Chain:
    """The three nodes, served, and the network between them."""

    network: Network
    folders: dict[str, Path]
    servers: dict[str, Serving]
    ground: "Ground"
    """What they were before."""

    def add(self, *names: str) -> None:
        """Have aurelia take in objects."""
        assert command(self.folders[A], "object.add", data=bundle(*names)).code == 0

    def held(self, party: str) -> set[str]:
        """The ids of what a party holds."""
        return {row[0] for row in rows(self.folders[party], "SELECT id FROM object")}

    def wait_held(self, *names: str) -> None:
        """Return once borealia and cimbria hold what has these names, and nothing else."""
        for party in (B, C):
            wait_until(lambda party=party: self.held(party) == ids(*names), SECONDS)  # type: ignore[misc]

    def count_given(self) -> int:
        """How many disclosures to borealia aurelia has on record."""
        ((count,),) = rows(self.folders[A], "SELECT COALESCE(MAX(last), 0) FROM recipient_sequence")
        return int(count)

    def wait_under_way(self, moment: float) -> None:
        """Return so many seconds after aurelia has given borealia another page, whose way there takes some time.

        It arrives after `DELAY`; then its receipt is asked for, and at last it is taken in.
        """
        before = self.count_given()
        wait_until(lambda: self.count_given() > before, SECONDS)
        time.sleep(moment)

    def status(self, party: str) -> dict[str, Any]:
        """What `follow status` says of the one channel in which somebody gives to this party."""
        (channel,) = comity(self.folders[party], "follow", "status", "--json").result["channels"]
        assert isinstance(channel, dict)
        return channel

    def wait_status(self, party: str, holds: Callable[[dict[str, Any]], bool]) -> None:
        """Return once `follow status` at this party is such."""
        wait_until(lambda: holds(self.status(party)), SECONDS)


def ids(*names: str) -> set[str]:
    return {object_id("report", name) for name in names}


def is_in_step(status: dict[str, Any]) -> bool:
    return status["failures"] == 0 and status["problem"] is None and status["seconds_behind"] is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """The folders of the nodes, none of them served, as they are before each test."""

    folder: Path
    agreement: str
    collection: str
    secret: str


@pytest.fixture(scope="module")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Ground:
    """Made once; each test has a copy."""
    need_namespaces()
    folder = tmp_path_factory.mktemp("ground")
    world = World(folder)
    world.found(*NAMES)
    for pair in LINKS:
        for name, known in (pair, pair[::-1]):
            digest, manifest = world.manifests[known].digest, export_manifest(world.nodes[known])
            add_party(world.nodes[name], manifest, digest=digest, url=url(known))
    agreement = sign_onward(world, A, B, listed=[C])
    sign_onward(world, B, C, listed=[])
    (collection,) = list_open_collections(world.nodes[A], PartyId(B))
    secret = create_credential(world.nodes[A], PartyId(B))
    world.close()
    for name in NAMES:
        with (folder / name / "node.toml").open("a", encoding="utf-8") as file:
            file.write("[follow]\ninterval_seconds = 1\nwait_seconds = 1\n")
    return Ground(folder=folder, agreement=agreement, collection=collection.id, secret=secret)


@pytest.fixture
def chain(ground: Ground, tmp_path: Path) -> Iterator[Chain]:
    """Three served nodes that hold nothing."""
    folders = {name: tmp_path / name for name in NAMES}
    for name, folder in folders.items():
        shutil.copytree(ground.folder / name, folder)
    with build_network(*NAMES) as network:
        servers = {name: network.start(folder) for name, folder in folders.items()}
        for server in servers.values():
            server.wait_ready()
        yield Chain(network=network, folders=folders, servers=servers, ground=ground)


def url(party: str) -> str:
    host, port = locate(*NAMES)[party]
    return f"http://{host}:{port}"


def check(chain: Chain) -> None:
    """Stop all, and look at what they hold: shown by receipts without a gap, each object once, and all in order."""
    for server in chain.servers.values():
        assert server.end(signal.SIGTERM) == 0, server.faults.read_text(encoding="utf-8")
    for giver, receiver in LINKS:
        folder = chain.folders[receiver]
        ((last,),) = rows(chain.folders[giver], "SELECT last FROM recipient_sequence WHERE party = ?", receiver)
        numbers = [row[0] for row in rows(folder, "SELECT sequence FROM receipt ORDER BY sequence")]
        # From the first that came on; what was given before it and lost on the way, this party never heard of.
        assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
        assert numbers[-1] <= last
        assert rows(folder, "SELECT COUNT(*) FROM refused_page") == [(0,)]
        assert rows(folder, "SELECT object FROM arrival GROUP BY object HAVING COUNT(*) > 1") == []
        assert chain.held(receiver) <= {item.id for item in disclosed(chain.folders[giver], receiver)}
    for folder in chain.folders.values():
        assert comity(folder, "fsck", "--json").result["sound"]
        audited = comity(folder, "audit", "--json")
        assert audited.code == 0, audited.out + audited.err


def add_bundles(chain: Chain, names: list[str], stop: threading.Event) -> None:
    """Have aurelia take in some hundreds of objects, a few at a time, and go on until it is told to stop."""
    for number in itertools.count():
        if number >= BUNDLES and stop.is_set():
            return
        added = [f"object {number} {place}" for place in range(BUNDLE)]
        chain.add(*added)
        names.extend(added)
        time.sleep(PACE)


@contextmanager
def adding(chain: Chain) -> Iterator[list[str]]:
    """The names of what aurelia takes in, until the block ends and all of it is there."""
    names, stop = list[str](), threading.Event()
    thread = threading.Thread(target=add_bundles, args=(chain, names, stop), name="adding")
    thread.start()
    try:
        yield names
    finally:
        stop.set()
        thread.join(SECONDS)
        assert not thread.is_alive()


def test_what_one_releases_reaches_the_last_by_itself(chain: Chain) -> None:
    chain.add("a", "b")
    chain.wait_held("a", "b")
    chain.add("c")
    chain.wait_held("a", "b", "c")
    for party, giver in ((B, A), (C, B)):
        chain.wait_status(party, is_in_step)
        assert chain.status(party)["giver"] == giver
    check(chain)


def test_a_link_that_is_cut_in_the_middle_of_a_catch_up_loses_and_doubles_nothing(chain: Chain) -> None:
    """The cable is pulled while pages are under way, and nobody is told: a question of borealia waits in vain."""
    chain.network.worsen(B, delay=DELAY, loss=0)
    with adding(chain) as names:
        wait_until(lambda: len(chain.held(B)) > 0, SECONDS)
        chain.wait_under_way(1.5 * DELAY)
        chain.network.cut(A)
        chain.add("behind the cut")
        names.append("behind the cut")
    assert len(chain.held(B)) < len(names)
    chain.wait_status(B, lambda status: status["failures"] > 0)
    status = chain.status(B)
    assert url(A) in status["problem"]
    assert status["failed_at"] is not None
    assert status["next_try_at"] is not None
    assert status["seconds_behind"] is None or status["seconds_behind"] > 1
    wait_until(lambda: chain.held(C) == chain.held(B), SECONDS)
    chain.wait_status(C, is_in_step)
    assert len(chain.held(B)) < len(names)
    chain.network.heal(A)
    chain.wait_held(*names)
    chain.wait_status(B, is_in_step)
    assert chain.status(B)["problem"] is None
    check(chain)


def test_a_link_that_is_slow_and_loses_still_keeps_in_step(chain: Chain) -> None:
    wire = chain.network.worsen(A, delay=0.15, loss=0.1)  # 300 ms there and back
    for number in range(5):
        chain.add(f"slow {number}")
    chain.wait_held(*(f"slow {number}" for number in range(5)))
    chain.wait_status(B, is_in_step)
    wait_until(lambda: wire.lost >= 3, SECONDS)
    assert wire.carried > wire.lost
    chain.network.mend(A)
    chain.add("at last")
    chain.wait_held(*(f"slow {number}" for number in range(5)), "at last")
    check(chain)


@pytest.mark.kill
def test_who_is_killed_while_pages_come_goes_on(chain: Chain) -> None:
    chain.network.worsen(A, delay=DELAY, loss=0)
    with adding(chain) as names:
        for moment in MOMENTS:
            chain.wait_under_way(moment)
            assert chain.servers[B].end(signal.SIGKILL) == -signal.SIGKILL
            chain.servers[B] = chain.network.start(chain.folders[B]).wait_ready()
    chain.wait_held(*names)
    chain.wait_status(B, is_in_step)
    check(chain)


def test_after_a_suspension_that_could_not_be_told_nothing_is_given(chain: Chain) -> None:
    page = f"{url(A)}/taxii2/{B}/collections/{chain.ground.collection}/objects/"
    chain.add("before")
    chain.wait_held("before")
    assert chain.network.ask(B, page, chain.ground.secret) == 200
    chain.network.cut(A)
    assert command(chain.folders[A], "agreement.suspend", id=chain.ground.agreement, reason="inquiry").code == 0
    chain.add("after")
    at = len(entries(chain.folders[A]))
    assert suspensions(chain.folders[B]) == 0
    chain.network.heal(A)
    # Whoever asks for borealia, whether it has heard of it or not.
    assert chain.network.ask(B, page, chain.ground.secret) == 404
    wait_until(lambda: suspensions(chain.folders[B]) == 1, SECONDS)
    chain.wait_status(B, lambda status: status["closed"] is not None)
    assert "suspended" in chain.status(B)["closed"]
    assert chain.network.ask(B, page, chain.ground.secret) == 404
    assert [entry.position for entry in entries(chain.folders[A], at) if entry.given] == []
    assert chain.held(B) == chain.held(C) == ids("before")
    assert command(chain.folders[A], "agreement.resume", id=chain.ground.agreement).code == 0
    chain.wait_held("before", "after")
    check(chain)


def suspensions(folder: Path) -> int:
    """How many suspensions are on record."""
    ((count,),) = rows(folder, "SELECT COUNT(*) FROM event WHERE kind = 'suspend'")
    return int(count)


def test_a_recall_reaches_all_once_the_link_is_there_again(chain: Chain) -> None:
    chain.add("wrong", "right")
    chain.wait_held("wrong", "right")
    chain.network.cut(A)
    (wrong,) = ids("wrong")
    sent = comity_as(Role.LIAISON, chain.folders[A], "recall", "send", wrong, "--reason", "wrong", "--json").result
    assert sent["told"] == [B]
    (letter,) = [item["letter"] for item in sent["letters"]]
    assert stages(chain.folders[A]) == [None]
    assert chain.held(B) == chain.held(C) == ids("wrong", "right")
    chain.network.heal(A)
    for party in (A, B):
        wait_until(lambda party=party: stages(chain.folders[party]) == ["done"], SECONDS)  # type: ignore[misc]
    chain.wait_held("right")
    shown = comity(chain.folders[A], "recall", "show", letter, "--json").result
    assert shown["acknowledgements"][-1]["stage"] == "done"
    assert wrong not in {item.id for entry in entries(chain.folders[B])[-1:] for item in entry.given}
    check(chain)


def stages(folder: Path) -> list[str | None]:
    """How far those are whom the node in the folder has told."""
    return [row[0] for row in rows(folder, "SELECT progress FROM letter WHERE kind = 'recall' AND sent = 1")]


def test_nothing_is_left_of_a_network(ground: Ground, tmp_path: Path) -> None:
    """Also where the test that made it failed: not a namespace, nor a process."""
    shutil.copytree(ground.folder / A, tmp_path / A)
    seen = list[Network]()
    with pytest.raises(ZeroDivisionError):
        fail_in_network(tmp_path / A, seen)
    (network,) = seen
    assert [server.process.poll() for server in network.servers] == [0]
    assert not [place for place in Path("/run/netns").iterdir() if place.name.startswith(network.name)]


def fail_in_network(folder: Path, seen: list[Network]) -> None:
    with build_network(*NAMES) as network:
        seen.append(network)
        network.start(folder).wait_ready()
        network.worsen(A, delay=0, loss=0)
        assert network.knock(B, A) == "taken"
        network.cut(A)
        assert "taken" not in network.knock(B, A)
        raise ZeroDivisionError
