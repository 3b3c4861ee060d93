# SPDX-License-Identifier: Apache-2.0
"""Deletions in a process that is killed in the middle of them, and by the process that serves.

After a kill each object is whole without a purge on record, or gone with exactly one.
"""

import json
import random
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from comity.ids import PartyId
from comity.node import receive
from comity.node.follow import plan_pull
from comity.node.journal import verify_folder
from comity.node.parties import add_party, export_manifest
from tests.e2e.conftest import comity, entries, environment, rows, serving, wait_until
from tests.worlds import World, make_object

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

OBJECTS = 400
MARK = "the-marked-words "
DAY = 86_400_000_000

RUN = """
import sys
from pathlib import Path
from comity.ids import Instant
from comity.node.node import open_node
from comity.node.retention import delete_due

node = open_node(Path(sys.argv[1]))
late = node.clock() + 91 * 86_400_000_000
node.clock = lambda: Instant(late)
print("ready", flush=True)
while delete_due(node, most=7).more:
    pass
node.close()
"""


def fill(folder: Path, *, retention: str, count: int = OBJECTS) -> Path:
    """The folder of a node that has received many objects, each of which refers to the one before it."""
    world = World(folder)
    world.found("aurelia", "borealia")
    node = world.nodes["borealia"]
    digest = world.manifests["aurelia"].digest
    add_party(node, export_manifest(world.nodes["aurelia"]), digest=digest, url="http://127.0.0.1:1")
    world.sign_all(world.terms(extra=retention))
    (target,) = plan_pull(node, PartyId("aurelia"))
    made = [make_object(str(number), more={"description": MARK * 50}) for number in range(count)]
    made += [make_object(f"about {item['name']}", refs=[str(item["id"])]) for item in made[::10]]
    received = receive.Received(
        giver=target.giver,
        terms=target.terms,
        channel=target.channel,
        collection=target.collection,
        added_after=None,
    )
    assert not receive.receive_page(node, json.dumps({"objects": made}).encode(), received).bad
    world.close()
    return node.folder


@pytest.mark.kill
def test_a_kill_leaves_each_object_whole_and_unrecorded_or_gone_and_on_record(tmp_path: Path) -> None:
    folder = fill(tmp_path, retention='retention = { review_after = "P90D", no_decision = "delete" }')
    everything = {row[0] for row in rows(folder, "SELECT id FROM object")}
    chance = random.Random(2026)
    partial, finished = 0, False
    for _ in range(40):
        process = subprocess.Popen(
            [sys.executable, "-c", RUN, folder], stdout=subprocess.PIPE, env=environment(), text=True
        )
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        time.sleep(chance.uniform(0.005, 0.08))
        process.kill()
        finished = process.wait() == 0
        process.stdout.close()
        held = check(folder, everything)
        partial += 0 < len(held) < len(everything)
        if finished:
            break
    assert partial >= 3, "no kill fell into the middle"
    if not finished:
        subprocess.run([sys.executable, "-c", RUN, folder], check=True, env=environment(), stdout=subprocess.DEVNULL)
    assert check(folder, everything) == set()
    left = b"".join(path.read_bytes() for path in folder.iterdir() if path.is_file())
    assert MARK.encode() not in left


def check(folder: Path, everything: set[str]) -> set[str]:
    """The ids of the objects held: whole, and without a purge; every other one has one purge, and nothing else."""
    held = {row[0] for row in rows(folder, "SELECT id FROM object")}
    whole = {
        row[0]
        for row in rows(folder, "SELECT id FROM object JOIN body ON body.object = pk JOIN arrival a ON a.object = pk")
    }
    stones = {row[0] for row in rows(folder, "SELECT id FROM tombstone")}
    purged = Counter(entry.content["id"] for entry in entries(folder) if entry.leaf["type"] == "purge")
    assert held == whole
    assert set(purged) == stones == everything - held
    assert set(purged.values()) <= {1}
    for table in ("body", "reference", "release", "arrival"):
        assert rows(folder, f"SELECT 1 FROM {table} WHERE object NOT IN (SELECT pk FROM object)") == []
    verify_folder(folder)
    return held


def test_the_serving_process_deletes_what_is_due_by_itself(tmp_path: Path) -> None:
    folder = fill(tmp_path, retention='retention = { review_after = "PT1H", no_decision = "delete" }', count=150)
    before = len(rows(folder, "SELECT id FROM object"))
    move_back(folder, hours=2)
    with serving(folder):
        wait_until(lambda: rows(folder, "SELECT COUNT(*) FROM object") == [(0,)])
        listed = comity(folder, "work", "--json").result["items"]
    assert [(item["kind"], item["count"]) for item in listed] == [("deleted", before)]
    assert len([entry for entry in entries(folder) if entry.leaf["type"] == "purge"]) == before
    assert MARK.encode() not in b"".join(path.read_bytes() for path in folder.iterdir() if path.is_file())


def move_back(folder: Path, *, hours: int) -> None:
    """Everything came so much earlier than it did: nobody waits an hour in a test."""
    program = (
        "import sys, apsw; c = apsw.Connection(sys.argv[1]);"
        " c.execute('UPDATE arrival SET received_at = received_at - ?1, decided_at = decided_at - ?1',"
        " (int(sys.argv[2]) * 3_600_000_000,))"
    )
    subprocess.run([sys.executable, "-c", program, folder / "store.db", str(hours)], check=True, env=environment())
