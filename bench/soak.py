# SPDX-License-Identifier: Apache-2.0
"""A node under load for minutes, by one process or by workers: does it give, record and stop as it promises?

Sixteen clients of the partner ask without a pause: pages of any size, manifests, one object, plain and compressed, from
the beginning or from any position they were given; some read slowly. Meanwhile objects come in, by command and over
TAXII from the partner, and the agreement is suspended and resumed by turns, by command and by the partner's message.

At the end it is held against the log:

- it is contiguous, verifies, and numbers each recipient's entries without a gap;
- every answer that a client received is in it, with the same ids, versions and digests, as often as it was received;
- no disclosure stands between a suspension and its resumption;
- after no suspension had returned was anything given that was asked for then, and of an answer that nobody read no more
  came than lay in the kernel's queues.

Ends with exit code 1 if anything of that is not so, and says what.
"""

import argparse
import base64
import bisect
import gzip
import hashlib
import json
import random
import signal
import statistics
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from comity.agreement.events import EventKind  # noqa: E402 (the tests' worlds are found from the checkout's root)
from comity.node.outbox import list_due, settle  # noqa: E402
from tests.e2e.conftest import Given, Serving, comity, read_objects, rows, start  # noqa: E402
from tests.e2e.pollers import Client, Ground, build_ground, command  # noqa: E402
from tests.e2e.test_kill import check_kept_head  # noqa: E402
from tests.served import format_request  # noqa: E402
from tests.worlds import make_object  # noqa: E402

POLLERS = 16
LIMITS = "[limits]\nrequests_per_second = 1000000\nconnections_per_address = 500\nbytes_per_minute = 1000000000000\n"
MOST_CURSORS = 10_000
A_MOMENT = 0.2
"""For what lay in the kernel when a suspension had returned, and for a thread here to be woken and read it."""

TOGETHER = 500
"""Entries of the log that are looked at in one go."""


@dataclass(slots=True)
class Soak:
    """What happened. `problems` are what must not have. What was received is kept by its digest: it is much."""

    ground: Ground
    url: str
    received: Counter[bytes] = field(default_factory=Counter)
    cursors: list[str] = field(default_factory=list)
    statuses: Counter[int] = field(default_factory=Counter)
    stopped: list[tuple[float, float]] = field(default_factory=list)
    asked: list[tuple[float, float, int]] = field(default_factory=list)
    seconds: dict[str, list[float]] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)
    over: threading.Event = field(default_factory=threading.Event)

    def spend(self, name: str, act: Callable[[], object]) -> None:
        """Do it, and keep how long it took."""
        started = time.monotonic()
        act()
        self.seconds.setdefault(name, []).append(time.monotonic() - started)


def main() -> None:
    """Build, serve, load, look."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="comity-soak-") as name:
        ground = build_ground(Path(name) / "world")
        ground.set(LIMITS)
        server = start(ground.folder, workers=options.workers).wait_ready()
        soak = Soak(ground, server.url)
        try:
            load(soak, seconds=options.minutes * 60, seed=options.seed)
        finally:
            code = server.end(signal.SIGTERM)
        check(soak, server, code)
        ground.world.close()
    tell(soak)
    sys.exit(1 if soak.problems else 0)


def load(soak: Soak, *, seconds: float, seed: int) -> None:
    """Everything at once, until the time is over."""
    acts: list[Callable[[random.Random], None]] = [
        *[lambda chance: poll(soak, chance)] * POLLERS,
        lambda chance: take_in(soak, chance),
        lambda chance: write(soak, chance),
        lambda chance: stop_and_go(soak, chance),
    ]
    threads = [
        threading.Thread(target=run, args=(soak, act, random.Random(seed * 1_000 + number)))  # noqa: S311 (repeatable)
        for number, act in enumerate(acts)
    ]
    for thread in threads:
        thread.start()
    soak.over.wait(seconds)
    soak.over.set()
    for thread in threads:
        thread.join(60)
        if thread.is_alive():
            soak.problems.append("somebody still waits for an answer after a minute")


def run(soak: Soak, act: Callable[[random.Random], None], chance: random.Random) -> None:
    """Do it again and again; a failure of the test itself ends everything."""
    try:
        while not soak.over.is_set():
            act(chance)
    except Exception as error:  # noqa: BLE001 (it is told at the end)
        soak.problems.append(f"{type(error).__name__}: {error}")
        soak.over.set()


# ---- the partner's clients -------------------------------------------------------------------------------------------


def poll(soak: Soak, chance: random.Random) -> None:
    """Some requests on one connection; a slow reader reads one answer and goes."""
    slow = chance.random() < 0.02  # noqa: PLR2004 (one in fifty)
    try:
        with Client(soak.url, buffer=8_192 if slow else None) as client:
            for _ in range(1 if slow else chance.randrange(1, 40)):
                ask(soak, client, chance)
    except (ConnectionError, TimeoutError):
        soak.statuses[0] += 1


def ask(soak: Soak, client: Client, chance: random.Random) -> None:
    """One request, and what came of it."""
    resource = "manifest" if chance.random() < 0.1 else "objects"  # noqa: PLR2004 (one in ten)
    query = f"?limit={int(90 ** chance.random())}"
    if soak.cursors and chance.random() < 0.5:  # noqa: PLR2004 (half of them)
        query += f"&next={chance.choice(soak.cursors)}"
    headers = {"Authorization": f"Bearer {soak.ground.secret}"}
    if zipped := chance.random() < 0.3:  # noqa: PLR2004 (three in ten)
        headers["Accept-Encoding"] = "gzip"
    path = soak.ground.path.replace("/objects/", f"/{resource}/")
    answer = client.ask(format_request("GET", path + query, headers=headers))
    if answer.status == httpx.codes.NOT_FOUND:
        time.sleep(0.02)  # who is given nothing must not take the time of who will be
    body = gzip.decompress(answer.body) if zipped and answer.body.startswith(b"\x1f\x8b") else answer.body
    with soak.lock:
        soak.statuses[answer.status] += 1
        soak.asked.append((answer.asked, answer.ended, answer.status))
        if answer.status == httpx.codes.OK:
            value = json.loads(body)
            note(soak, resource, body, value)


def note(soak: Soak, resource: str, body: bytes, value: dict[str, object]) -> None:
    """Keep what was given."""
    if resource == "manifest":
        listed = value.get("objects", [])
        assert isinstance(listed, list)  # noqa: S101 (TAXII 2.1 §5.3)
        given = tuple(Given(item["id"], item["version"], "") for item in listed)
    else:
        given = tuple(read_objects(body)) if "objects" in value else ()
    if given:
        soak.received[name(resource, given)] += 1
    cursor = value.get("next")
    if isinstance(cursor, str) and len(soak.cursors) < MOST_CURSORS:
        soak.cursors.append(cursor)


def name(resource: str, given: Sequence[Given]) -> bytes:
    """What a page is known by: which resource, and of each object id, version and digest, in order."""
    text = json.dumps([resource, [(item.id, item.version, item.digest) for item in given]])
    return hashlib.sha256(text.encode()).digest()


# ---- what changes meanwhile ------------------------------------------------------------------------------------------


def take_in(soak: Soak, chance: random.Random) -> None:
    """Objects by command."""
    made = [
        make_object(f"in {chance.getrandbits(64)}", more={"description": "z" * chance.randrange(2_000)})
        for _ in range(chance.randrange(1, 30))
    ]
    data = base64.b64encode(json.dumps({"objects": made}).encode()).decode()
    soak.spend("object add", lambda: command(soak.ground.folder, "object.add", data=data))
    time.sleep(chance.uniform(0, 0.5))


def write(soak: Soak, chance: random.Random) -> None:
    """Objects that the partner writes over TAXII, where it may: else its try is one more request."""
    made = [make_object(f"written {chance.getrandbits(64)}") for _ in range(3)]
    headers = {
        "authorization": f"Bearer {soak.ground.secret}",
        "content-type": "application/taxii+json;version=2.1",
        "accept": "application/taxii+json;version=2.1",
    }
    listed = httpx.get(f"{soak.url}/taxii2/borealia/collections/", headers=headers, timeout=30, trust_env=False)
    for collection in listed.json().get("collections", []) if listed.status_code == httpx.codes.OK else []:
        if collection["can_write"]:
            url = f"{soak.url}/taxii2/borealia/collections/{collection['id']}/objects/"
            data = json.dumps({"objects": made})
            soak.spend(
                "objects written",
                lambda url=url, data=data: httpx.post(url, headers=headers, content=data, timeout=30, trust_env=False),  # type: ignore[misc]
            )
    time.sleep(chance.uniform(0.1, 0.6))


def stop_and_go(soak: Soak, chance: random.Random) -> None:
    """A suspension and its end, by command or by the partner's message; one answer that nobody reads is under way."""
    time.sleep(chance.uniform(0.1, 1.5))
    by_message, unread = chance.random() < 0.5, chance.random() < 0.3  # noqa: PLR2004 (half, three in ten)
    act = say if by_message else order
    with Client(soak.url, buffer=4_096) as client:
        if unread:
            client.send(soak.ground.request())
            client.left += client.socket.recv(256)
        name = f"suspend by {'message' if by_message else 'command'}{', a reader that does not read' if unread else ''}"
        soak.spend(name, lambda: act(soak, EventKind.SUSPEND))
        begun = time.monotonic()
        if unread:
            check_unread(soak, client)
    time.sleep(max(0.0, begun + A_MOMENT + chance.uniform(0, 0.5) - time.monotonic()))
    soak.stopped.append((begun, time.monotonic()))
    soak.spend("resume", lambda: act(soak, EventKind.RESUME))


def check_unread(soak: Soak, client: Client) -> None:
    """What comes after a suspension had returned is what the kernel had then."""
    queued, before = client.count_queued(), len(client.left)
    after = len(client.read_all()) - before
    if after > queued:
        soak.problems.append(f"{after - queued} bytes left after a suspension had returned")


def order(soak: Soak, kind: EventKind) -> None:
    """An act of this party."""
    reply = command(soak.ground.folder, f"agreement.{kind}", id=soak.ground.agreement)
    if reply.code:
        raise RuntimeError(f"{kind}: {reply.error}")


def say(soak: Soak, kind: EventKind) -> None:
    """An act of the partner, which returns when its message is acknowledged."""
    ground = soak.ground
    node = ground.world.nodes["borealia"]
    ground.world.act_on("borealia", ground.agreement, kind)
    for message in list_due(node):
        answer = httpx.post(f"{soak.url}/comity/exchange/", content=message.envelope, timeout=60, trust_env=False)
        if answer.status_code != httpx.codes.ACCEPTED:
            raise RuntimeError(f"a message was answered {answer.status_code}")
        settle(node, message, problem=None)


# ---- afterwards ------------------------------------------------------------------------------------------------------


def check(soak: Soak, server: Serving, code: int) -> None:
    """Add what is not as promised to the problems."""
    faults = server.faults.read_text(encoding="utf-8")
    if code or faults:
        soak.problems.append(f"the serving process ended with {code}; it said: {faults[:2_000]}")
    begins = [begun for begun, _ in soak.stopped]
    for asked, answered, status in soak.asked:
        place = bisect.bisect(begins, asked) - 1
        if status == httpx.codes.OK and place >= 0 and answered < soak.stopped[place][1]:
            soak.problems.append(f"given {asked - begins[place]:.3f} s after a suspension had returned")
    verified = comity(soak.ground.folder, "log", "verify", "--json", seconds=600)
    if verified.code:
        soak.problems.append(f"the log does not verify: {verified.err}")
    check_log(soak)


def check_log(soak: Soak) -> None:
    """Read the log from its first entry to its last, and hold what was received against it."""
    size, suspensions, closed, sequences, left = 0, 0, False, Counter[str](), Counter(soak.received)
    while found := read_entries(soak.ground.folder, size):
        for leaf, content in found:
            kind = content.get("kind") if leaf["type"] == "agreement-event" else None
            suspensions += kind == "suspend"
            closed = (closed or kind == "suspend") and kind != "resume"
            if leaf["recipient"] is None:
                continue
            if closed:
                soak.problems.append(f"entry {size} and on: a disclosure while the agreement was suspended")
            sequences[leaf["recipient"]] += 1
            if leaf["sequence"] != sequences[leaf["recipient"]]:
                soak.problems.append(f"the entry {leaf['sequence']} of {leaf['recipient']} is out of its order")
            given = [Given(item["id"], item["version"], item["digest"] or "") for item in content["objects"]]
            left[name(content["answer"], given)] -= 1
        size += len(found)
    if missing := sum(count for count in left.values() if count > 0):
        soak.problems.append(f"{missing} answers were received that are not in the log")
    try:
        check_kept_head(soak.ground.folder)
    except AssertionError as error:
        soak.problems.append(f"the file head: {error}")
    print(f"{size} log entries, {suspensions} suspensions, {sum(sequences.values())} disclosures")


def read_entries(folder: Path, start_at: int) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """Leaf and content of some entries, which must be there one after the other."""
    found = rows(
        folder,
        "SELECT e.position, e.leaf, o.content, COALESCE(l.data, CAST('{}' AS BLOB)) FROM log_entry e"
        " JOIN log_opening o USING (position) LEFT JOIN log_listing l ON l.id = o.listing"
        " WHERE e.position >= ? ORDER BY e.position LIMIT ?",
        start_at,
        TOGETHER,
    )
    if [row[0] for row in found] != [*range(start_at, start_at + len(found))]:
        raise AssertionError(f"the log has a gap behind entry {start_at}")
    return [(json.loads(leaf), json.loads(content) | json.loads(listing)) for _, leaf, content, listing in found]


def tell(soak: Soak) -> None:
    """What was measured, and what is wrong."""
    print(f"{sum(soak.received.values())} answers with objects received; statuses {dict(soak.statuses)}")
    for name, seconds in sorted(soak.seconds.items()):
        ordered = sorted(seconds)
        last = ordered[min(len(ordered) - 1, int(len(ordered) * 0.99))]
        print(f"{name}: {len(ordered)} times, p50 {statistics.median(ordered) * 1e3:.0f} ms, p99 {last * 1e3:.0f} ms")
    print("\n".join(f"PROBLEM: {problem}" for problem in soak.problems) or "nothing is wrong")


if __name__ == "__main__":
    main()
