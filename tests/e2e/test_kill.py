# SPDX-License-Identifier: Apache-2.0
"""The serving process is killed at random moments of its work, fifty times, and the record is looked at each time.

With workers it is so as well, half as often. COMITY_FAULTS=all kills four times as often.

What anyone has received, to the last object of an answer that was cut short, is in the log by id, version and digest of
its bytes (LOG-FIRST). The log agrees with itself and with the checkpoint outside the store, and continues the one from
before the kill (APPEND-ONLY): every head that anyone was given, alone or in a receipt, is one of it to the end. No page
is between a suspension and its resumption (GATE). A bundle is in or not. At last `fsck` and `audit` find nothing.
"""

import base64
import contextlib
import json
import os
import random
import socket
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from signal import SIGKILL
from typing import Any

import pytest

from comity.agreement.people import Role
from comity.cli.control import ask
from comity.errors import UnavailableError
from comity.ids import PartyId
from comity.node.gate import list_open_collections
from comity.node.heads import split_heads
from comity.node.journal import verify_folder
from comity.node.parties import create_credential
from comity.node.readers import add_reader
from comity.operations.reply import Exit, Reply
from comity.tlog.proof import parse_proof
from tests.e2e.conftest import (
    PATIENCE,
    Entry,
    Given,
    comity,
    entries,
    get,
    read_objects,
    rows,
    serving,
    start,
    wait_until,
)
from tests.e2e.pollers import find_workers, is_gone
from tests.worlds import World, badge_path, make_object

pytestmark = [pytest.mark.slow, pytest.mark.kill, pytest.mark.e2e]

SEED = 20_260_101
KILLS = 200 if os.environ.get("COMITY_FAULTS") == "all" else 50
OBJECTS = 2_000
BUNDLE = 60
FILLING = "What is known of the Ashfall Column, its depots and its tolls. " * 20
START_UP = 0.2
"""The share of kills that hit the process while it starts."""

AT_ONCE = 0.1
"""The share of those that serve whose time begins before anything was answered, however busy the machine is."""

WRITING = 0.5
"""The share of the others that wait for the next moment in which the store is being written."""

Page = tuple[str, tuple[Given, ...]]
"""Which TAXII resource, and what was in it, in order."""


@dataclass(slots=True)
class Field:
    """The node, who calls it, and all that they have seen of it."""

    folder: Path
    agreement: str
    collection: str
    secret: str
    admitted: set[str]
    reader: str
    heads: set[bytes] = field(default_factory=set)
    """Every checkpoint that came whole, from the log or in a receipt."""

    whole: list[Page] = field(default_factory=list)
    partial: list[Page] = field(default_factory=list)
    cursors: list[str] = field(default_factory=list)
    bundles: dict[int, bool] = field(default_factory=dict)
    """Each bundle whose taking in was asked for: whether that was acknowledged."""

    acts: Counter[str] = field(default_factory=Counter)


@pytest.fixture
def ground(tmp_path: Path) -> Field:
    """A node with many objects and an agreement in force, not served yet."""
    world = World(tmp_path)
    world.found("aurelia", "borealia")
    agreement = world.sign_all(world.terms())
    # Every eighth object is large, so that a page is more than the operating system takes over at once.
    made = [
        make_object(f"object {number}", more={"description": FILLING * (1 if number % 8 else 24)})
        for number in range(OBJECTS)
    ]
    intake = world.add("aurelia", *made)
    assert len(intake.added) == OBJECTS
    node = world.nodes["aurelia"]
    collection = list_open_collections(node, PartyId("borealia"))[0].id
    secret = create_credential(node, PartyId("borealia"))
    reader, _ = add_reader(node, "oversight")
    world.close()
    return Field(node.folder, agreement, collection, secret, set(intake.added), reader)


def make_bundle(number: int) -> list[dict[str, Any]]:
    """Objects that refer to one another in a chain, so that taking them in gives labels twice."""
    made: list[dict[str, Any]] = []
    for place in range(BUNDLE):
        refs = [str(made[-1]["id"])] if made else []
        made.append(make_object(f"bundle {number} object {place}", refs=refs, more={"description": FILLING}))
    return made


def bundle_ids(number: int) -> set[str]:
    return {str(item["id"]) for item in make_bundle(number)}


# --- who calls --------------------------------------------------------------------------------------------------------


def read_answer(url: str, path: str, secret: str, *, pause: float) -> tuple[bytes, bytes]:
    """Head and body of an answer as far as they came; `pause` makes a reader that takes its time."""
    host, _, port = url.removeprefix("http://").partition(":")
    data = bytearray()
    with socket.socket() as caller, contextlib.suppress(OSError):
        caller.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16_384)
        caller.settimeout(PATIENCE)
        caller.connect((host, int(port)))
        lines = [f"GET {path} HTTP/1.1", f"Host: {host}", f"Authorization: Bearer {secret}", "Connection: close"]
        caller.sendall(("\r\n".join(lines) + "\r\n\r\n").encode())
        while part := caller.recv(32_768):
            data += part
            time.sleep(pause)
    head, _, body = bytes(data).partition(b"\r\n\r\n")
    return head, body


def read_manifest(body: bytes) -> Iterator[Given]:
    """What a manifest that came whole says; it carries no objects, so there are no digests."""
    with contextlib.suppress(json.JSONDecodeError):
        for item in json.loads(body).get("objects", []):
            yield Given(item["id"], item["version"], "")


def poll_always(ground: Field, url: str, stop: threading.Event, *, seed: int) -> None:
    """One client of the partner: pages of any size, from the start or from any cursor it ever got."""
    chance = random.Random(seed)
    cursor: str | None = None
    while not stop.is_set():
        resource = "manifest" if chance.random() < 0.1 else "objects"
        if chance.random() < 0.3:
            cursor = chance.choice(ground.cursors) if ground.cursors and chance.random() < 0.6 else None
        limit = chance.choice([1_000, int(1_000 ** chance.random()), int(1_000 ** chance.random())])
        path = f"/taxii2/borealia/collections/{ground.collection}/{resource}/?limit={limit}"
        pause = chance.choice([0.0, 0.0, 0.002])
        head, body = read_answer(url, f"{path}&next={cursor}" if cursor else path, ground.secret, pause=pause)
        cursor = note(ground, resource, head, body)
        if not head:
            time.sleep(0.02)


def note(ground: Field, resource: str, head: bytes, body: bytes) -> str | None:
    """Keep what came; the cursor to go on from."""
    ground.acts[head[9:12].decode() or "none"] += 1
    if not head.startswith(b"HTTP/1.1 200 "):
        return None
    (length,) = (int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
    read = read_manifest if resource == "manifest" else read_objects
    given = tuple(read(body))
    if len(body) < length:
        ground.partial.append((resource, given))
        return None
    if given:
        ground.whole.append((resource, given))
    cursor: str | None = json.loads(body).get("next")
    if cursor:
        ground.cursors.append(cursor)
    return cursor


def read_log_always(ground: Field, url: str, stop: threading.Event, *, seed: int) -> None:
    """Who reads the log, and the partner that asks for receipts: both keep every head that they are given."""
    chance = random.Random(seed)
    while not stop.is_set():
        head, body = read_answer(url, "/comity/log/aurelia/checkpoint", ground.reader, pause=0)
        if head.startswith(b"HTTP/1.1 200 ") and is_whole(head, body):
            ground.heads.add(body)
        number = chance.randint(1, len(ground.whole) + 1)
        head, body = read_answer(url, f"/comity/receipts/{number}", ground.secret, pause=0)
        if head.startswith(b"HTTP/1.1 200 ") and is_whole(head, body):
            ground.heads.add(parse_proof(json.loads(body)["proof"].encode()).checkpoint)
        time.sleep(chance.uniform(0, 0.02))


def is_whole(head: bytes, body: bytes) -> bool:
    (length,) = (int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
    return len(body) == length


def act_always(ground: Field, stop: threading.Event, *, seed: int) -> None:
    """This party's own people: objects are taken in, the agreement is suspended and resumed."""
    chance = random.Random(seed)
    do(ground, "agreement.resume", id=ground.agreement)
    while not stop.is_set():
        time.sleep(chance.uniform(0, 0.1))
        if chance.random() < 0.6:
            number = len(ground.bundles)
            ground.bundles[number] = False
            data = base64.b64encode(json.dumps({"objects": make_bundle(number)}).encode()).decode()
            reply = do(ground, "object.add", data=data)
            ground.bundles[number] = reply is not None and reply.code == 0
        else:
            do(ground, "agreement.suspend", id=ground.agreement)
            time.sleep(chance.uniform(0, 0.05))
            do(ground, "agreement.resume", id=ground.agreement)


def do(ground: Field, operation: str, **arguments: str) -> Reply | None:
    """What the serving process answered; None when it was killed meanwhile."""
    reply = None
    with contextlib.suppress(UnavailableError):
        for role in (Role.LIAISON, Role.LEGAL):
            badge = badge_path(ground.folder, role).read_text(encoding="utf-8")
            reply = ask(ground.folder, operation, {**arguments, "badge": badge})
            if reply is None or reply.code != Exit.WAITING:
                break
    ground.acts[f"{operation} {'cut' if reply is None else reply.code}"] += 1
    return reply


# --- what must hold ---------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Record:
    """The log as far as it was read, and what is gathered from it."""

    folder: Path
    agreement: str
    size: int = 0
    heads: list[tuple[int, int, bytes]] = field(default_factory=list)
    sequence: int = 0
    open: bool = True
    pages: Counter[Page] = field(default_factory=Counter)
    events: Counter[str] = field(default_factory=Counter)

    def read_on(self) -> None:
        """Take in what was logged since the last time; the log must continue where it stopped."""
        for number, size, head in self.heads:
            where = "SELECT checkpoint FROM log_head WHERE log = ? AND size = ?"
            assert rows(self.folder, where, number, size) == [(head,)]
        for entry in entries(self.folder, self.size):
            assert entry.position == self.size
            self.size += 1
            self._take(entry)
        self.heads = rows(self.folder, "SELECT log, MAX(size), checkpoint FROM log_head GROUP BY log")
        assert sum(size for _, size, _ in self.heads) == self.size

    def _take(self, entry: Entry) -> None:
        if entry.leaf["type"] == "agreement-event":
            self.events[entry.content["kind"]] += 1
            self.open = {"suspend": False, "resume": True}.get(entry.content["kind"], self.open)
            return
        if entry.leaf["type"] in {"people", "credential", "log-opening", "log-heads", "reader"}:
            return
        assert self.open, f"entry {entry.position} is a disclosure while the agreement was suspended"
        self.sequence += 1
        assert (entry.leaf["recipient"], entry.leaf["sequence"]) == ("borealia", self.sequence)
        listed = entry.content["objects"]
        assert entry.leaf["count"] == len(listed)
        given = tuple(Given(item["id"], item["version"], item["digest"] or "") for item in listed)
        self.pages[entry.content["answer"], given] += 1


def check_kept_head(folder: Path) -> None:
    """The checkpoint outside the store is one that the store holds: the last, or an earlier one."""
    for kept in split_heads((folder / "head").read_bytes()):
        size = int(kept.split(b"\n")[1])
        assert (kept,) in rows(folder, "SELECT checkpoint FROM log_head WHERE size = ?", size)


def check_heads(ground: Field) -> None:
    """Every head that was given to anybody is one of the log, as it was given."""
    held = {note for (note,) in rows(ground.folder, "SELECT checkpoint FROM log_head")}
    lost = ground.heads - held
    assert not lost, f"{len(lost)} heads that were given are not of this log"


def check_received(ground: Field, record: Record) -> None:
    """Each answer has an entry of its own, and what came of an answer that was cut is the beginning of an entry."""
    seen = Counter(ground.whole)
    missing = {page for page, times in seen.items() if record.pages[page] < times}
    assert not missing, f"{len(missing)} answers are not on record"
    for kind in ("suspend", "resume"):
        assert record.events[kind] >= ground.acts[f"agreement.{kind} 0"], "what was said to be done is not on record"
    for resource, given in ground.partial:
        assert is_beginning(given, [page for answer, page in record.pages if answer == resource])


def is_beginning(given: Sequence[Given], pages: Sequence[Sequence[Given]]) -> bool:
    return any(tuple(page[: len(given)]) == tuple(given) for page in pages)


def check_bundles(ground: Field, numbers: Sequence[int]) -> None:
    """Each bundle is held whole or not at all, and whole once that was said."""
    held = {name for (name,) in rows(ground.folder, "SELECT id FROM object JOIN body ON object = pk")}
    for number in numbers:
        names = bundle_ids(number)
        assert not held & names or names <= held, f"bundle {number} is there in part"
        assert names <= held or not ground.bundles[number], f"bundle {number} was acknowledged and is not there"
        if names <= held:
            ground.admitted |= names


def wait_for_the_moment(folder: Path, chance: random.Random) -> None:
    """Return at some moment, or, half of the times, as soon as the store's files change after it."""
    time.sleep(chance.uniform(0.1, 0.6))
    if chance.random() > WRITING:
        return
    before, deadline = stamp(folder), time.monotonic() + 1
    while stamp(folder) == before and time.monotonic() < deadline:
        pass


def stamp(folder: Path) -> list[int]:
    """When each of the store's files was last written."""
    names = (f"{folder}/store.db", f"{folder}/store.db-wal")
    return [os.stat(name).st_mtime_ns if os.path.exists(name) else 0 for name in names]  # noqa: PTH110, PTH116 (fast)


def live(ground: Field, chance: random.Random, *, workers: int) -> bool:
    """One life of the serving process, to its sudden end; whether it came to serve."""
    server, pages, heads = start(ground.folder, workers=workers), len(ground.whole), len(ground.heads)
    stop = threading.Event()
    callers = list[threading.Thread]()
    try:
        if chance.random() < START_UP:
            time.sleep(chance.uniform(0, 0.5))
            return False
        url = server.wait_ready().url
        for seed in (chance.random(), chance.random()):
            callers.append(threading.Thread(target=poll_always, args=(ground, url, stop), kwargs={"seed": seed}))
        reading = {"seed": chance.random()}
        callers.append(threading.Thread(target=read_log_always, args=(ground, url, stop), kwargs=reading))
        callers.append(threading.Thread(target=act_always, args=(ground, stop), kwargs={"seed": chance.random()}))
        for caller in callers:
            caller.start()
        if chance.random() > AT_ONCE:
            wait_until(lambda: len(ground.whole) > pages + 1 and len(ground.heads) > heads + 1)
        wait_for_the_moment(ground.folder, chance)
        return True
    finally:
        children = find_workers(server.process.pid)
        assert server.end(SIGKILL) == -SIGKILL
        wait_until(lambda: all(is_gone(child) for child in children))
        stop.set()
        for caller in callers:
            caller.join(PATIENCE)
            assert not caller.is_alive()


@pytest.mark.parametrize(("workers", "kills"), [(1, KILLS), (2, KILLS // 2)])
def test_whatever_was_received_is_on_record_wherever_the_process_is_killed(
    ground: Field, workers: int, kills: int
) -> None:
    chance = random.Random(SEED)
    record = Record(ground.folder, ground.agreement)
    served, asked = 0, 0
    for _ in range(kills):
        served += live(ground, chance, workers=workers)
        check_kept_head(ground.folder)
        check_heads(ground)
        record.read_on()
        assert verify_folder(ground.folder).size == record.size
        check_received(ground, record)
        check_bundles(ground, range(asked, len(ground.bundles)))
        asked = len(ground.bundles)
    check_bundles(ground, range(asked))
    # The test has tried what it is for: answers and acts were cut, and enough went through in between.
    assert kills // 2 < served < kills
    assert ground.partial
    assert len(ground.whole) >= served
    assert len(ground.heads) >= served
    assert ground.acts["agreement.suspend 0"]
    assert any(name.endswith(" cut") for name in ground.acts)
    # A cursor from before a kill is as good as one from after it, and nothing that came was a failure of the node.
    assert not {"400", "500", "503"} & ground.acts.keys()
    check_everything_is_there(ground)


def check_everything_is_there(ground: Field) -> None:
    """After all of it the node serves, and polling to the end brings every object that is admitted (LIVE)."""
    with serving(ground.folder) as server:
        do(ground, "agreement.resume", id=ground.agreement)
        url = f"{server.url}/taxii2/borealia/collections/{ground.collection}/objects/"
        received, cursor = set[str](), dict[str, str]()
        while True:
            answer = get(url, ground.secret, **cursor)
            assert answer.status_code == 200
            received |= {item.id for item in read_objects(answer.content)}
            if not answer.json().get("more"):
                break
            cursor = {"next": answer.json()["next"]}
        assert received == ground.admitted
        assert server.end() == 0
    check_heads(ground)
    assert comity(ground.folder, "fsck", "--json").result["sound"]
    assert comity(ground.folder, "audit", "--json", seconds=600).code == 0
