# SPDX-License-Identifier: Apache-2.0
"""A recall along a chain of served nodes: a partner that is away, processes that are killed, and polls that race it.

Aurelia gives borealia, borealia gives cimbria, and cimbria has never heard of aurelia.
"""

import asyncio
import contextlib
import random
import signal
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import apsw
import httpx
import pytest

from comity.agreement.people import Role
from comity.exchange import make_access
from comity.ids import PartyId
from comity.node.audit import audit_folder
from comity.node.clock import read_clock
from comity.node.node import open_node
from comity.node.standing import collection_id
from comity.signing import Role as KeyRole
from tests.chains import introduce, sign_onward
from tests.e2e.conftest import (
    PATIENCE,
    Serving,
    comity,
    comity_as,
    entries,
    environment,
    read_payload,
    rows,
    start,
    wait_until,
)
from tests.worlds import World, make_object, object_id

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

A, B, C = "aurelia", "borealia", "cimbria"
NAMES = (A, B, C)
COUNT = 12
IDS = [object_id("report", str(number)) for number in range(COUNT)]


@pytest.fixture
def folders(tmp_path: Path) -> dict[str, Path]:
    """Three nodes, not served, with objects at aurelia and agreements along the chain."""
    world = World(tmp_path)
    world.found(*NAMES)
    introduce(world, [(A, B), (B, C)])
    sign_onward(world, A, B, listed=[C])
    sign_onward(world, B, C, listed=[])
    world.add(A, *(make_object(str(number)) for number in range(COUNT)))
    world.close()
    for name, other in ((C, A), (A, C)):
        connection = apsw.Connection(str(tmp_path / name / "store.db"))
        connection.execute("DELETE FROM party WHERE id = ?", (other,))
        connection.close()
    return {name: tmp_path / name for name in NAMES}


def tell(folders: dict[str, Path], server: Serving) -> None:
    """Let those who know the party of this server have its address."""
    party = server.folder.name
    for name, folder in folders.items():
        if name == party or {name, party} == {A, C}:
            continue
        manifest = folder.with_name(f"{party}.manifest")
        digest = comity(server.folder, "party", "export", manifest, "--json").result["digest"]
        done = comity(folder, "party", "add", manifest, "--digest", digest, "--url", server.url, "--json")
        assert done.code == 0, done.err


@contextlib.contextmanager
def served(folders: dict[str, Path], *, workers: int = 1) -> Iterator[dict[str, Serving]]:
    """The nodes, served; aurelia's and borealia's by so many processes."""
    servers = {name: start(folder, workers=1 if name == C else workers) for name, folder in folders.items()}
    try:
        for server in servers.values():
            server.wait_ready()
            tell(folders, server)
        yield servers
    finally:
        for server in servers.values():
            server.end(signal.SIGKILL)


def pull_along(folders: dict[str, Path]) -> None:
    """Let all get everything, by this command or by their own following, whichever is first."""
    for name, giver in ((B, A), (C, B)):
        done = comity(folders[name], "pull", giver, "--json")
        assert done.code == 0, done.err
        wait_until(partial(holds_all, folders[name]))


def holds_all(folder: Path) -> bool:
    return held(folder) == {*IDS}


def send(folders: dict[str, Path], item: str) -> dict[str, Any]:
    return comity_as(Role.LIAISON, folders[A], "recall", "send", item, "--reason", "wrong", "--json").result


def stages(folder: Path) -> list[str | None]:
    """How far those are whom the node in the folder has told, without the program's words for it."""
    return [row[0] for row in rows(folder, "SELECT progress FROM letter WHERE kind = 'recall' AND sent = 1")]


def held(folder: Path) -> set[str]:
    return {row[0] for row in rows(folder, "SELECT id FROM object")}


def check(folders: dict[str, Path]) -> None:
    for folder in folders.values():
        audited = audit_folder(folder, now=read_clock())
        assert audited.found == 0, (folder.name, audited.findings)


def test_along_a_chain_with_a_partner_that_is_away(folders: dict[str, Path]) -> None:
    with served(folders) as servers:
        pull_along(folders)
        servers[C].end(signal.SIGTERM)
        done = send(folders, IDS[0])
        assert [letter["to"] for letter in done["letters"]] == [B]
        wait_until(lambda: stages(folders[A]) == ["settled"])
        assert held(folders[B]) == {*IDS[1:]}
        assert held(folders[C]) == {*IDS}
        kinds = {item["kind"] for item in comity(folders[B], "work", "--json").result["items"]}
        assert "recall-unacknowledged" in kinds
        servers[C] = start(folders[C]).wait_ready()
        tell(folders, servers[C])
        wait_until(lambda: stages(folders[A]) == ["done"])
        assert held(folders[C]) == {*IDS[1:]}
        shown = comity(folders[A], "recall", "show", done["letters"][0]["letter"], "--json").result
        assert [item["stage"] for item in shown["acknowledgements"]] == ["settled", "done"]
        # Aurelia is told nothing of cimbria, nor cimbria of aurelia.
        for folder, stranger in ((folders[A], C), (folders[C], A)):
            assert not [row for row in rows(folder, "SELECT envelope FROM letter") if stranger.encode() in read(row[0])]
    check(folders)


def read(envelope: bytes) -> bytes:

    return str(read_payload(envelope)).encode()


@pytest.mark.kill
def test_processes_that_are_killed_on_the_way(folders: dict[str, Path]) -> None:
    """Wherever a node dies, it has stopped and will tell, or has not heard yet; in the end all have acknowledged."""
    chance = random.Random(2026)
    with served(folders) as servers:
        pull_along(folders)
        for item in IDS:
            victim = chance.choice(NAMES[1:])
            process = subprocess.Popen(
                [
                    *(sys.executable, "-m", "comity.cli", "--node", folders[A]),
                    *("--as", folders[A] / "badges" / "liaison.badge", "recall", "send", item, "--reason", "wrong"),
                ],
                stdout=subprocess.DEVNULL,
                env=environment(),
            )
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(chance.uniform(0.3, 1.2))
            servers[victim].end(signal.SIGKILL)
            assert process.wait(PATIENCE) == 0
            check_one(folders[victim], item)
            servers[victim] = start(folders[victim]).wait_ready()
            tell(folders, servers[victim])
        wait_until(lambda: set(stages(folders[A])) == {"done"})
        assert len(stages(folders[A])) == COUNT
        assert held(folders[B]) == held(folders[C]) == set()
    check(folders)


def check_one(folder: Path, item: str) -> None:
    """Either nothing of the letter is there and the object is, or all that follows from it at once, in one commit."""
    came = rows(
        folder,
        "SELECT l.digest FROM letter l JOIN letter_object o ON o.letter = l.position WHERE o.id = ? AND l.sent = 0"
        " AND l.kind = 'recall'",
        item,
    )
    recalled = rows(folder, "SELECT 1 FROM recalled WHERE id = ?", item)
    answered = [] if not came else rows(folder, "SELECT 1 FROM letter WHERE answers = ?", came[0][0])
    assert bool(came) == bool(recalled) == bool(answered) == (item not in held(folder))


@pytest.mark.parametrize("workers", [1, 2])
def test_no_disclosure_commits_after_a_recall_that_races_it(folders: dict[str, Path], workers: int) -> None:
    """Borealia asks for everything again and again by eight connections, while aurelia recalls one after another."""
    with served(folders, workers=workers) as servers:
        pull_along(folders)
        servers[B].end(signal.SIGTERM)
        node = open_node(folders[B])
        signer = node.signers[KeyRole.TRANSPORT]
        node.close()
        agreement = next(row[0] for row in rows(folders[A], "SELECT agreement FROM feed WHERE recipient = 'borealia'"))
        name = collection_id(agreement, "main", giver=PartyId(A), recipient=PartyId(B))
        answers = asyncio.run(race(folders, servers[A], name, signer))
    assert answers > COUNT
    log = entries(folders[A])
    recalls = {
        item["id"]: entry.position
        for entry in log
        if entry.leaf["type"] == "recall"
        for item in entry.content["objects"]
    }
    assert recalls.keys() == {*IDS}
    disclosures = [entry for entry in log if entry.leaf["type"] == "disclosure"]
    assert len(disclosures) > COUNT
    for entry in disclosures:
        for given in entry.given:
            assert entry.position < recalls[given.id]
    told = {
        (row[0], row[1])
        for row in rows(folders[A], "SELECT o.id, l.party FROM letter_object o JOIN letter l ON l.position = o.letter")
    }
    assert told == {(item, B) for item in IDS}
    with served(folders, workers=workers):
        wait_until(lambda: set(stages(folders[A])) == {"done"})
    check(folders)


async def race(folders: dict[str, Path], server: Serving, name: str, signer: Any) -> int:  # noqa: ANN401
    """How many answers came while everything was recalled."""
    done, count = False, 0

    async def ask(client: httpx.AsyncClient) -> None:
        nonlocal count
        while not done:
            token = make_access(PartyId(B), PartyId(A), now=read_clock(), nonce=random.randbytes(16), signers=[signer])
            url = f"{server.url}/taxii2/{B}/collections/{name}/objects/"
            answer = await client.get(
                url,
                headers={"authorization": f"Bearer {token}", "accept": "application/taxii+json;version=2.1"},
                params={"match[version]": "all"},
            )
            assert answer.status_code in {200, 429}, answer.text
            count += answer.status_code == 200

    async with httpx.AsyncClient(timeout=PATIENCE, trust_env=False) as client:
        asking = [asyncio.create_task(ask(client)) for _ in range(8)]
        for item in IDS:
            await asyncio.to_thread(send, folders, item)
        done = True
        await asyncio.gather(*asking)
    return count
