# SPDX-License-Identifier: Apache-2.0
"""A disk without room: nothing is half done, nothing leaves that cannot be put on record, and room mends everything."""

import json
import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from comity.ids import PartyId
from comity.node.gate import list_open_collections
from comity.node.parties import create_credential
from tests.e2e.conftest import (
    PATIENCE,
    Ended,
    Given,
    comity,
    count,
    disclosed,
    entries,
    get,
    read_objects,
    rows,
    serving,
    start,
    wait_until,
)
from tests.worlds import World, make_object, object_id

pytestmark = [pytest.mark.slow, pytest.mark.e2e]

DISK_BYTES = 12 * 1024 * 1024
OBJECTS = 40
MARK = "what-must-not-leave"


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A small file system of its own, in memory."""
    if shutil.which("mount") is None:
        pytest.skip("there is no program here to mount a file system with")
    place = tmp_path / "disk"
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES},mode=0700", "comity-test", str(place)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)
    if done.returncode != 0:
        pytest.skip(f"a file system cannot be mounted here: {done.stderr.strip()}")
    try:
        yield place
    finally:
        # Lazily where something still holds it: it must be gone from the tree whatever happened.
        if subprocess.run(["umount", place], capture_output=True, timeout=PATIENCE, check=False).returncode != 0:
            subprocess.run(["umount", "--lazy", place], timeout=PATIENCE, check=True)


@dataclass(frozen=True, slots=True)
class Small:
    """A node on the small disk, with an agreement in force."""

    folder: Path
    agreement: str
    collection: str
    secret: str

    @property
    def ballast(self) -> Path:
        return self.folder.with_name("ballast")

    def fill(self, room: int) -> None:
        """Leave `room` bytes."""
        state = os.statvfs(self.folder)
        with self.ballast.open("wb") as file:
            os.posix_fallocate(file.fileno(), 0, state.f_bavail * state.f_bsize - room)

    def free(self) -> None:
        self.ballast.unlink()

    def do(self, *arguments: str, given: bytes = b"") -> Ended:
        return comity(self.folder, *arguments, "--json", given=given)

    def poll(self, url: str) -> httpx.Response:
        return get(f"{url}/taxii2/borealia/collections/{self.collection}/objects/", self.secret)


@pytest.fixture
def small(disk: Path) -> Small:
    world = World(disk)
    world.found("aurelia", "borealia")
    agreement = world.sign_all(world.terms())
    world.add("aurelia", *[make_object(f"o{number}", more={"description": MARK}) for number in range(OBJECTS)])
    node = world.nodes["aurelia"]
    collection = list_open_collections(node, PartyId("borealia"))[0].id
    secret = create_credential(node, PartyId("borealia"))
    world.close()
    return Small(node.folder, agreement, collection, secret)


def bundle(name: str, objects: int, size: int) -> bytes:
    """A bundle of `objects` objects of about `size` bytes each."""
    made = [make_object(f"{name}{number}", more={"description": "x" * size}) for number in range(objects)]
    return json.dumps({"type": "bundle", "id": object_id("bundle", name), "objects": made}).encode()


def check_full(done: Ended) -> None:
    """The words of StoreFull: what happened, and what to do."""
    assert (done.code, done.error["code"]) == (1, "store-full")
    assert "nothing of this step was kept" in done.error["message"]
    assert "Free space on its disk and do it again" in done.error["message"]


def check_mended(small: Small) -> None:
    """With room again everything works, and the log verifies with the checkpoint beside it."""
    before = count(small.folder)
    added = small.do("object", "add", "-", given=bundle("big", 20, 50_000))
    assert added.result["added"] == 20
    assert count(small.folder).objects == before.objects + 20
    assert small.do("agreement", "suspend", small.agreement).result["state"] == "suspended"
    assert small.do("agreement", "resume", small.agreement).result["state"] == "in force"
    # The heads of logs that had grown are named with the first of the two.
    kinds = [entry.leaf["type"] for entry in entries(small.folder, before.entries)]
    assert [kind for kind in kinds if kind != "log-heads"] == ["agreement-event"] * 2
    assert small.do("log", "verify").result["size"] == before.entries + len(kinds)
    kept = (small.folder / "head").read_bytes()
    assert rows(small.folder, "SELECT checkpoint FROM log_head WHERE log = 0 ORDER BY size DESC LIMIT 1") == [(kept,)]


@pytest.mark.parametrize("room", [800 * 1024, 256 * 1024, 32 * 1024, 0])
def test_what_does_not_fit_is_not_kept_in_part(small: Small, room: int) -> None:
    before = count(small.folder)
    small.fill(room)
    for _ in range(2):
        check_full(small.do("object", "add", "-", given=bundle("big", 20, 50_000)))
        assert count(small.folder) == before
    assert small.do("object", "show", object_id("report", "o1")).result["originator"] == "aurelia"
    assert small.do("log", "verify").result["size"] == before.entries
    small.free()
    check_mended(small)


def test_an_act_is_said_to_be_done_exactly_when_it_is(small: Small) -> None:
    """An act and the note that its message could not be delivered are two commits; only the first is the act."""
    codes = list[int]()
    for room in range(128 * 1024, 0, -12 * 1024):
        before = count(small.folder)
        small.fill(room)
        ((suspended,),) = rows(small.folder, "SELECT COUNT(*) % 2 FROM event WHERE kind IN ('suspend', 'resume')")
        done = small.do("agreement", "resume" if suspended else "suspend", small.agreement)
        codes.append(done.code)
        small.free()
        assert count(small.folder).events - before.events == (done.code == 0)
        assert count(small.folder).entries - before.entries == (done.code == 0)
        if done.code:
            check_full(done)
    assert {*codes} == {0, 1}
    assert small.do("log", "verify").code == 0


def test_a_poll_that_cannot_be_logged_gives_nothing(small: Small, tmp_path: Path) -> None:
    with serving(small.folder, tmp_path / "faults") as server:
        assert small.poll(server.url).status_code == 200
        received = list[Given](read_objects(small.poll(server.url).content))
        assert len(received) == OBJECTS
        small.fill(256 * 1024)
        answers = [small.poll(server.url) for _ in range(30)]
        good = [answer for answer in answers if answer.status_code == 200]
        assert good
        assert len(good) < len(answers)
        check_nothing_left([answer for answer in answers if answer.status_code != 200])
        disclosures = [entry for entry in entries(small.folder) if entry.leaf["type"] == "disclosure"]
        assert len(disclosures) == 2 + len(good)
        assert {item for answer in good for item in read_objects(answer.content)} <= disclosed(small.folder, "borealia")

        small.free()
        small.fill(0)
        base = f"{server.url}/taxii2/borealia/collections/{small.collection}"
        paths = ("objects/", "manifest/", f"objects/{received[0].id}/", f"objects/{received[0].id}/versions/")
        # What the write-ahead log has kept of its own room is used up first.
        wait_until(lambda: get(f"{base}/{paths[2]}", small.secret).status_code == 503)
        before = count(small.folder)
        check_nothing_left([get(f"{base}/{path}", small.secret, **{"match[version]": "all"}) for path in paths])
        assert count(small.folder) == before
        # What needs no record is answered all the same.
        assert get(f"{server.url}/taxii2/borealia/collections/", small.secret).status_code == 200
        assert small.do("object", "show", received[0].id).result["originator"] == "aurelia"
        assert small.do("agreement", "status", small.agreement).result["state"] == "in force"
        check_full(small.do("object", "add", "-", given=bundle("big", 20, 50_000)))
        assert count(small.folder) == before

        small.free()
        assert small.poll(server.url).status_code == 200
        check_mended(small)
        assert small.poll(server.url).status_code == 200
    assert b"Traceback" not in (tmp_path / "faults").read_bytes()


def check_nothing_left(answers: Sequence[httpx.Response]) -> None:
    """Each is the one answer for "try later", without a byte of content."""
    assert {answer.status_code for answer in answers} == {503}
    assert {answer.content for answer in answers} == {b'{"title":"Unavailable","http_status":"503"}'}
    assert not any(name.startswith("x-taxii-date-added") for answer in answers for name in answer.headers)


@pytest.mark.parametrize("room", [64 * 1024, 16 * 1024, 0])
def test_a_node_that_has_no_room_to_start_says_so_or_serves(small: Small, tmp_path: Path, room: int) -> None:
    before = count(small.folder)
    small.fill(room)
    server = start(small.folder, tmp_path / "faults")
    try:
        assert server.process.stdout is not None
        if line := server.process.stdout.readline():
            server.url = json.loads(line)["url"]
            assert small.poll(server.url).status_code in {200, 503}
            assert server.end() == 0
        else:
            assert server.process.wait(PATIENCE) == 1
            error = json.loads((tmp_path / "faults").read_bytes())["error"]
            assert error["code"] == "store-full"
    finally:
        server.end()
    small.free()
    assert (tmp_path / "faults").read_bytes().count(b"Traceback") == 0
    assert count(small.folder).objects == before.objects
    check_mended(small)


def test_a_node_that_has_no_room_is_not_made_in_part(disk: Path) -> None:
    filler = disk / "ballast"
    codes = list[int]()
    for room in (200 * 1024, 64 * 1024, 0):
        with filler.open("wb") as file:
            state = os.statvfs(disk)
            os.posix_fallocate(file.fileno(), 0, state.f_bavail * state.f_bsize - room)
        done = comity(disk, "init", disk / "new", "--party", "aurelia", "--name", "Aurelia", "--json")
        codes.append(done.code)
        if done.code:
            assert done.code == 1
            assert done.error["code"] in {"store-full", "config"}
            assert any(words in done.error["message"] for words in (str(disk / "new"), "nothing of this step was kept"))
            assert {path.name for path in disk.iterdir()} == {"ballast"}
    assert codes[-1] == 1
    filler.unlink()
    assert comity(disk, "init", disk / "new", "--party", "aurelia", "--name", "Aurelia", "--json").code == 0


def test_a_purge_is_said_to_be_done_exactly_when_it_is(small: Small, tmp_path: Path) -> None:
    """Content is never gone without the entry that says so, and an order carried out is never called undone."""
    with serving(small.folder, tmp_path / "faults") as server:
        for _ in range(12):
            assert small.poll(server.url).status_code == 200
    given = [entry for entry in entries(small.folder) if entry.leaf["type"] == "disclosure"]
    codes = list[int]()
    for number, room in enumerate(range(132 * 1024, 0, -12 * 1024)):
        before = small.do("log", "verify").result["purged"]
        small.fill(room)
        done = small.do("purge", "order", "--entry", str(given[number].position), "--reason", f"order {number}")
        codes.append(done.code)
        small.free()
        verified = small.do("log", "verify")
        assert verified.code == 0
        assert verified.result["purged"] - before == (done.code == 0)
        if done.code:
            check_full(done)
    assert {*codes} == {0, 1}
    assert small.do("retention", "run").result["gone"]
    assert small.do("fsck").result["sound"]


def test_a_backup_that_does_not_fit_is_not_made_and_readers_go_on(small: Small, tmp_path: Path) -> None:
    with serving(small.folder, tmp_path / "faults") as server:
        assert small.poll(server.url).status_code == 200
        small.fill(300 * 1024)
        done = small.do("backup", str(small.folder.with_name("backup")))
        assert (done.code, done.error["code"]) == (1, "store-full")
        assert {path.name for path in small.folder.parent.iterdir()} == {"aurelia", "borealia", "ballast"}
        assert small.poll(server.url).status_code == 200
        elsewhere = small.do("backup", str(tmp_path / "backup"))
        assert (elsewhere.code, elsewhere.result["noted"]) == (0, True)
    small.free()
    small.fill(200 * 1024)  # the write-ahead log has gone with the process
    done = small.do("restore", str(tmp_path / "backup"), str(small.folder.with_name("again")))
    assert (done.code, done.error["code"]) == (1, "store-full")
    assert {path.name for path in small.folder.parent.iterdir()} == {"aurelia", "borealia", "ballast"}
    small.free()
    assert small.do("restore", str(tmp_path / "backup"), str(small.folder.with_name("again"))).code == 0
