# SPDX-License-Identifier: Apache-2.0
"""The serving process is killed while a partner writes: each envelope, or each part of a long one, is there or not."""

import contextlib
import itertools
import json
import random
import threading
import time
from pathlib import Path
from signal import SIGKILL

import httpx
import pytest

from comity.ids import ObjectId, PartyId
from comity.node.accept import PART_OBJECTS, list_write_collections
from comity.node.parties import create_credential
from tests.e2e.conftest import PATIENCE, rows, start
from tests.worlds import World, make_object, object_id

pytestmark = [pytest.mark.slow, pytest.mark.kill, pytest.mark.e2e]

KILLS = 12
OBJECTS = 40


def make_envelope(number: int) -> bytes:
    return json.dumps({"objects": [make_object(f"{number} {place}") for place in range(OBJECTS)]}).encode()


def test_each_envelope_is_whole_with_its_status_wherever_the_process_is_killed(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.found("aurelia", "borealia")
    world.sign_all(world.terms(giver="borealia", receivers=("aurelia",)), proposer="borealia")
    node = world.nodes["aurelia"]
    (target,) = list_write_collections(node, PartyId("borealia"))
    secret = create_credential(node, PartyId("borealia"))
    world.close()
    headers = {"authorization": f"Bearer {secret}", "content-type": "application/taxii+json;version=2.1"}
    path = f"/taxii2/borealia/collections/{target.id}/objects/"
    chance = random.Random(20_260_101)
    answered = dict[int, str]()
    asked = 0

    def write(url: str, stop: threading.Event) -> None:
        nonlocal asked
        while not stop.is_set():
            number, asked = asked, asked + 1
            try:
                answer = httpx.post(
                    f"{url}{path}", content=make_envelope(number), headers=headers, trust_env=False, timeout=PATIENCE
                )
            except httpx.HTTPError:
                return
            answered[number] = answer.json()["id"]

    cut = 0
    for _ in range(KILLS):
        server, stop = start(node.folder), threading.Event()
        writer = threading.Thread(target=write, args=(server.wait_ready().url, stop))
        before = len(answered)
        writer.start()
        while len(answered) == before:
            time.sleep(0.01)
        time.sleep(chance.uniform(0, 0.1))
        assert server.end(SIGKILL) == -SIGKILL
        stop.set()
        writer.join(PATIENCE)
        cut += asked > len(answered)
    held = {
        name
        for (name,) in rows(node.folder, "SELECT id FROM object JOIN body ON object = pk JOIN arrival USING (object)")
    }
    statuses = {name: json.loads(body) for name, body in rows(node.folder, "SELECT id, body FROM write_status")}
    whole = 0
    for number in range(asked):
        names = {object_id("report", f"{number} {place}") for place in range(OBJECTS)}
        assert names <= held or not names & held, f"envelope {number} is there in part"
        assert names <= held or number not in answered, f"envelope {number} was acknowledged and is not there"
        whole += names <= held
    assert set(answered.values()) <= statuses.keys()
    assert len(statuses) == whole
    assert all(len(status["successes"]) == OBJECTS for status in statuses.values())
    assert rows(node.folder, "SELECT SUM(objects) FROM write_use") == [(whole * OBJECTS,)]
    assert cut


def make_chain(number: int, length: int) -> bytes:
    """Each object refers to the one after it, so that the envelope has to be taken in from its end."""
    refs = [[object_id("report", f"{number} {place + 1}")] for place in range(length - 1)]
    made = [make_object(f"{number} {place}", refs=ref) for place, ref in enumerate([*refs, []])]
    return json.dumps({"objects": made}).encode()


def test_a_long_envelope_is_there_by_whole_parts_and_completed_when_it_is_sent_again(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.found("aurelia", "borealia")
    world.sign_all(world.terms(giver="borealia", receivers=("aurelia",)), proposer="borealia")
    node = world.nodes["aurelia"]
    (target,) = list_write_collections(node, PartyId("borealia"))
    secret = create_credential(node, PartyId("borealia"))
    world.close()
    headers = {"authorization": f"Bearer {secret}", "content-type": "application/taxii+json;version=2.1"}
    path = f"/taxii2/borealia/collections/{target.id}/objects/"
    length, cut = 4 * PART_OBJECTS, 0  # as many as an envelope may hold
    names, data = dict[ObjectId, int](), b""
    for number in itertools.count():
        if number >= 12 and cut >= 4:
            break
        assert number < 100, "no kill fell into the middle"
        server, data = start(node.folder).wait_ready(), make_chain(number, length)

        def write(url: str = server.url, body: bytes = data) -> None:
            with contextlib.suppress(httpx.HTTPError):
                httpx.post(f"{url}{path}", content=body, headers=headers, trust_env=False, timeout=PATIENCE)

        writer, polling = threading.Thread(target=write), threading.Event()

        def poll(url: str = server.url, polling: threading.Event = polling) -> None:
            # While nobody polls the envelope is one part.
            with (
                contextlib.suppress(httpx.HTTPError),
                httpx.Client(headers=headers, trust_env=False, timeout=PATIENCE) as client,
            ):
                while not polling.wait(0.02):
                    client.get(f"{url}{path}")

        poller = threading.Thread(target=poll)
        poller.start()
        writer.start()
        names = {object_id("report", f"{number} {place}"): place for place in range(length)}
        while not (held := _read_held(node.folder, names)) and writer.is_alive():
            time.sleep(0.005)
        assert server.end(SIGKILL) == -SIGKILL
        writer.join(PATIENCE)
        polling.set()
        poller.join(PATIENCE)
        held = _read_held(node.folder, names)
        # Part after part from the end: what is held refers to nothing that is missing.
        assert held
        assert len(held) % PART_OBJECTS == 0
        assert sorted(names[name] for name in held) == [*range(length - len(held), length)]
        cut += len(held) < length
    server = start(node.folder).wait_ready()
    answer = httpx.post(f"{server.url}{path}", content=data, headers=headers, trust_env=False, timeout=PATIENCE)
    assert len(answer.json()["successes"]) == length
    assert server.end() == 0
    assert _read_held(node.folder, names) == set(names)
    assert rows(node.folder, "SELECT COUNT(*) FROM object WHERE id NOT IN (SELECT id FROM tombstone)") == [
        (rows(node.folder, "SELECT COUNT(*) FROM body")[0][0],)
    ]


def _read_held(folder: Path, names: dict[ObjectId, int]) -> set[ObjectId]:
    found = rows(folder, "SELECT id FROM object JOIN body ON object = pk JOIN arrival USING (object)")
    return {ObjectId(name) for (name,) in found if name in names}
