# SPDX-License-Identifier: Apache-2.0
"""Each call by which a real process changes files fails in turn: the k-th of each kind, with EIO and with ENOSPC.

strace makes them fail, in the program as a user runs it, on the files of the node and of its backup alone. What calls
there are is found by running each command twice without a failure. After each failure the program has said what
happened in the words of an error, never of a bug; an act that was acknowledged is on record, one that was not is there
whole or not at all; the node opens, `fsck` and `audit` find nothing, and its log goes on from what it was.

There are some twelve hundred, each with two errors. COMITY_FAULTS=all tries all, which takes an hour, and
COMITY_FAULTS=30 so many of each command; without it a few are tried, drawn from one seed, the first syncs and renames
among them. Where no process may be traced the tests are skipped, and say so.
"""

import json
import os
import random
import re
import shutil
import signal
import subprocess
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from comity.agreement.people import Role
from comity.ids import PartyId
from comity.node.gate import list_open_collections
from comity.node.parties import create_credential
from comity.node.rotation import rotate_keys
from comity.signing import Role as KeyRole
from tests.e2e.conftest import (
    COMITY,
    Serving,
    comity,
    disclosed,
    entries,
    environment,
    get,
    read_objects,
    serving,
    wait_until,
)
from tests.faults.breadth import read_breadth
from tests.faults.folders import check_sound, read_tables
from tests.faults.tracing import Inject, need_strace, read_calls, trace
from tests.worlds import World, badge_path, make_object, object_id

pytestmark = [pytest.mark.slow, pytest.mark.e2e]

SEED = 20_261_127
SAMPLE = 2
"""Failures that are tried of each command beside those that are always tried."""

CHANGING = (
    *("write", "pwrite64", "writev", "fsync", "fdatasync", "ftruncate", "fallocate", "openat", "mkdir", "mkdirat"),
    *("rename", "renameat", "renameat2", "link", "linkat", "unlink", "unlinkat", "rmdir", "fchmod", "chmod"),
    *("sendfile", "copy_file_range"),
)
ALWAYS = {"fdatasync", "rename"}
ERRORS = ("EIO", "ENOSPC")
_PATH = re.compile(r'[<"](?P<path>/[^">]*)[>"]')


@dataclass(frozen=True, slots=True)
class Ground:
    """A node to begin from, and what it is called with."""

    folder: Path
    agreement: str
    collection: str
    secret: str

    def begin(self, place: Path) -> Path:
        """A copy of it; its backup and its new neighbours go to the same place."""
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir()
        shutil.copytree(self.folder, place / "aurelia")
        return place / "aurelia"


@pytest.fixture(scope="module")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Ground:
    need_strace()
    world = World(tmp_path_factory.mktemp("syscalls"))
    world.found("aurelia", "borealia")
    agreement = world.sign_all(world.terms())
    world.add("aurelia", *[make_object(name) for name in ("a", "b")])
    for _ in range(2):
        world.poll("borealia")
    node = world.nodes["aurelia"]
    collection = list_open_collections(node, PartyId("borealia"))[0].id
    secret = create_credential(node, PartyId("borealia"))
    # The first of the two who are asked has said yes.
    rotate_keys(node, list(KeyRole), by=world.actor("aurelia", Role.LIAISON))
    world.close()
    (world.folder / "bundle").write_text(
        json.dumps({"type": "bundle", "id": object_id("bundle", "x"), "objects": [make_object("new")]})
    )
    return Ground(node.folder, agreement, collection, secret)


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """What is run: by whom, and how many log entries it makes."""

    arguments: tuple[str, ...]
    entries: int
    by: Role = Role.LIAISON
    exits: tuple[int, ...] = (0,)
    makes: str | None = None
    """What it makes beside the node's folder: there whole, or not at all."""


COMMANDS = {
    "suspend": Command(arguments=("agreement", "suspend", "AGREEMENT"), entries=1),
    "add objects": Command(arguments=("object", "add", "BUNDLE"), entries=0),
    "delete": Command(arguments=("retention", "delete", object_id("report", "a"), "--reason", "asked for"), entries=1),
    "rotate": Command(
        arguments=("party", "rotate", "agreement", "log", "manifest", "transport", "witness"), entries=1, by=Role.LEGAL
    ),
    "protect": Command(arguments=("party", "protect-keys", "--new-passphrase-file", "PHRASE"), entries=0),
    "credential": Command(arguments=("credential", "create", "borealia"), entries=1),
    "back up": Command(arguments=("backup", "PLACE/backup", "--with-keys"), entries=0, makes="backup"),
    "found": Command(
        arguments=("init", "PLACE/new", "--party", "meridia", "--name", "Meridia"), entries=0, makes="new"
    ),
}


def run(ground: Ground, command: Command, place: Path, before: Sequence[str]) -> subprocess.CompletedProcess[bytes]:
    folder = place / "aurelia"
    named = {
        "AGREEMENT": ground.agreement,
        "BUNDLE": str(ground.folder.parent / "bundle"),
        "PHRASE": str(place / "phrase"),
    }
    arguments = [named.get(word, word.replace("PLACE", str(place))) for word in command.arguments]
    (place / "phrase").write_text("a long enough passphrase for keys\n")
    (place / "phrase").chmod(0o600)
    node: list[str | Path] = (
        [] if command.arguments[0] == "init" else ["--node", folder, "--as", badge_path(folder, command.by)]
    )
    return subprocess.run(
        [*before, *COMITY, *node, *arguments, "--json"],
        capture_output=True,
        timeout=300,
        check=False,
        env=environment(),
    )


def find_paths(place: Path, act: Callable[[list[str]], object]) -> list[Path]:
    """The paths below `place` that a process changes or opens."""
    act(trace(place.with_name("calls"), CHANGING))
    named = {match["path"] for call in read_calls(place.with_name("calls")) for match in _PATH.finditer(call.arguments)}
    paths = sorted(Path(path) for path in named if path.startswith(f"{place}/") and "/badges" not in path)
    assert paths
    return paths


def count_calls(out: Path) -> Counter[str]:
    return Counter(call.name for call in read_calls(out) if call.result is not None)


def choose(calls: Counter[str], name: str) -> Iterator[Inject]:
    """The failures that are tried."""
    every = [
        Inject(call, error, when)
        for call, times in sorted(calls.items())
        for when in range(1, times + 1)
        for error in ERRORS
    ]
    breadth = read_breadth(SAMPLE)
    if breadth is None:
        yield from every
        return
    chance = random.Random(f"{SEED} {name}")
    wanted = [inject for inject in every if inject.name in ALWAYS and inject.error == "EIO"]
    yield from wanted[:3]
    yield from chance.sample(every, min(breadth, len(every)))


def check_error(done: subprocess.CompletedProcess[bytes]) -> None:
    """An error in its own words: not that of a bug."""
    assert b"Traceback" not in done.stderr, done.stderr.decode()
    error = json.loads(done.stderr.splitlines()[-1])["error"]
    assert error["code"] not in {"error", "bug"}, error
    assert error["message"], error


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_is_done_or_not_whichever_call_fails(ground: Ground, tmp_path: Path, name: str) -> None:
    command, place = COMMANDS[name], tmp_path / "place"
    begun = read_tables(ground.folder)

    def act(before: Sequence[str]) -> subprocess.CompletedProcess[bytes]:
        ground.begin(place)
        return run(ground, command, place, before)

    paths = find_paths(place, act)
    out = tmp_path / "calls"
    done = act(trace(out, CHANGING, paths=paths))
    assert done.returncode in command.exits, done
    assert len(entries(place / "aurelia")) == len(begun["log_entry"]) + command.entries
    tried = 0
    for inject in choose(count_calls(out), name):
        done = act(trace(out, CHANGING, paths=paths, inject=inject))
        try:
            check_outcome(ground, command, place, done)
        except BaseException as error:
            error.add_note(f"{inject}: exit {done.returncode}: {done.stderr.decode()[-1000:]}")
            raise
        tried += any(call.injected for call in read_calls(out))
    assert tried, "nothing failed"


def check_outcome(ground: Ground, command: Command, place: Path, done: subprocess.CompletedProcess[bytes]) -> None:
    folder = place / "aurelia"
    begun = len(read_tables(ground.folder)["log_entry"])
    made = len(entries(folder)) - begun
    if done.returncode in command.exits:
        assert made == command.entries, "it was acknowledged, and is not on record"
    else:
        check_error(done)
        assert made in {0, command.entries}, "it is on record in part"
    check_sound(folder, since=read_tables(ground.folder), key_file=place / "phrase")
    if command.makes is not None:
        there = (place / command.makes).exists()
        assert there or done.returncode != 0
        if there and command.makes == "new":
            check_sound(place / "new", since={})


# --- a node that is served --------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Served:
    """What a caller has of a node that was served while calls failed."""

    started: bool
    answers: list[httpx.Response]
    code: int


def serve_and_poll(ground: Ground, place: Path, before: Sequence[str]) -> Served:
    folder = ground.begin(place)
    faults = place / "faults"
    with faults.open("ab") as file:
        process = subprocess.Popen(
            [*before, *COMITY, "--node", folder, "serve", "--listen", "127.0.0.1:0", "--json"],
            stdout=subprocess.PIPE,
            stderr=file,
            env=environment(),
        )
    server = Serving(process, folder, faults)
    answers = list[httpx.Response]()
    assert process.stdout is not None
    line = process.stdout.readline()
    try:
        if line:
            url = f"{json.loads(line)['url']}/taxii2/borealia/collections/{ground.collection}/objects/"
            answers += [get(url, ground.secret) for _ in range(4)]
    finally:
        if line and process.poll() is None:
            (served,) = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text(encoding="utf-8").split()
            os.kill(int(served), signal.SIGTERM)
        code = server.end(signal.Signals.SIGCONT)
    return Served(bool(line), answers, code)


def test_a_served_node_gives_nothing_that_is_not_on_record_whichever_call_fails(ground: Ground, tmp_path: Path) -> None:
    place, out = tmp_path / "place", tmp_path / "calls"
    paths = find_paths(place, lambda before: serve_and_poll(ground, place, before))
    served = serve_and_poll(ground, place, trace(out, CHANGING, paths=paths))
    assert [answer.status_code for answer in served.answers] == [200] * 4
    failures = 0
    for inject in choose(count_calls(out), "serve"):
        served = serve_and_poll(ground, place, trace(out, CHANGING, paths=paths, inject=inject))
        try:
            check_served(ground, place, served)
        except BaseException as error:
            error.add_note(f"{inject}: {served}: {(place / 'faults').read_text(encoding='utf-8')[-2000:]}")
            raise
        failures += not served.started or any(answer.status_code != 200 for answer in served.answers)
    assert failures, "no failure reached who polled"


def check_served(ground: Ground, place: Path, served: Served) -> None:
    folder = place / "aurelia"
    assert "Traceback" not in (place / "faults").read_text(encoding="utf-8")
    assert {answer.status_code for answer in served.answers} <= {200, 503}
    received = [answer for answer in served.answers if answer.status_code == 200]
    sent = {item for answer in received for item in read_objects(answer.content)}
    assert sent <= disclosed(folder, "borealia")
    made = len(entries(folder)) - len(read_tables(ground.folder)["log_entry"])
    assert len(received) <= made <= len(served.answers)
    check_sound(folder, since=read_tables(ground.folder))


def test_an_act_of_which_the_disk_cannot_say_that_it_has_it_is_called_uncertain(ground: Ground, tmp_path: Path) -> None:
    """It was told as neither done nor undone, and rightly: what dies before its next commit leaves it in the log."""
    folder = ground.begin(tmp_path / "place")
    with serving(folder) as server:
        # The write-ahead log has begun: what is reported failed is not its first line but what is written last.
        assert comity(folder, "credential", "create", "borealia", "--json").code == 0
        since = read_tables(folder)
        command = trace(tmp_path / "calls", ["fdatasync"], paths=[folder / "store.db-wal"])
        command.remove("--seccomp-bpf")  # not for a process that runs already
        attached = [*command, "-e", "inject=fdatasync:error=EIO", "-p", str(server.process.pid)]
        tracer = subprocess.Popen(attached, stderr=subprocess.DEVNULL)
        try:
            wait_until(lambda: is_traced(server.process.pid))
            done = comity(folder, "agreement", "suspend", ground.agreement, "--json")
        finally:
            server.end(signal.SIGKILL)
            tracer.wait(120)
    assert (done.code, done.error["code"]) == (1, "store-uncertain")
    assert "do it again only if it is not" in done.error["message"]
    assert len(entries(folder)) == len(since["log_entry"]) + 1
    again = comity(folder, "agreement", "suspend", ground.agreement, "--json")
    assert "has suspended it already" in again.error["message"]
    check_sound(folder, since=since)


def is_traced(pid: int) -> bool:
    """Whether all of its threads are: they are taken one after another."""
    threads = Path(f"/proc/{pid}/task").glob("*/status")
    return not any("TracerPid:\t0\n" in status.read_text(encoding="utf-8") for status in threads)
