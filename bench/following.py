# SPDX-License-Identifier: Apache-2.0
"""How soon what one node takes in is stored at a partner that follows it, and what questions that wait cost.

    PYTHONPATH=. .venv/bin/python bench/following.py [--objects 50] [--waits 100] [--workers 1] [--seconds 20]

Two served nodes, each a process of its own. An object is taken in at the giver over its control socket, as `object add`
does it; the time is until another process reads it in the receiver's store. Then so many questions wait at the giver;
its CPU is measured while nothing happens, and while objects come in that whoever waits is not given.
"""

import argparse
import base64
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

import apsw

from comity.cli.control import ask
from comity.ids import PartyId
from comity.node.gate import list_open_collections
from comity.node.parties import add_party, export_manifest, issue_credential
from tests.served import bearer, format_request
from tests.worlds import World, make_object

SETTINGS = "\n[limits]\nrequests_per_second = 1000000\nwaits_per_party = 1000\nwaits = 1000\nconnections = 2000\n"

LONGEST_SECONDS = 60


def main() -> None:
    """Measure and print one line of JSON for each figure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--objects", type=int, default=50)
    parser.add_argument("--waits", type=int, default=100)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=20.0)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        world = World(Path(folder))
        world.found("aurelia", "borealia")
        world.sign_all(world.terms())
        giver, receiver = world.nodes["aurelia"], world.nodes["borealia"]
        secret, _ = issue_credential(giver, PartyId("borealia"), days=1)
        (collection,) = list_open_collections(giver, PartyId("borealia"))
        folders, manifest = {name: node.folder for name, node in world.nodes.items()}, export_manifest(giver)
        (folders["aurelia"] / "node.toml").open("a").write(SETTINGS)
        giver.close()
        serving, url = serve(stack, folders["aurelia"], workers=options.workers)
        add_party(receiver, manifest, digest=None, url=url)
        receiver.close()
        serve(stack, folders["borealia"], workers=1)
        measure_delay(folders, options.objects)
        path = f"/taxii2/borealia/collections/{collection.id}/objects/?added_after=2100-01-01T00:00:00Z"
        question = format_request("GET", path, headers={**bearer(secret), "Prefer": "wait=60"})
        measure_waits(stack, folders["aurelia"], serving, (url, question), options)


def measure_delay(folders: dict[str, Path], count: int) -> None:
    """Print how long each of `count` objects took from one node to the other."""
    seconds = [add_and_wait(folders, f"n{number}", number + 1) for number in range(count + 1)]
    told = sorted(seconds[1:])  # the first one is taken in by a pull, not by a question that waits
    tell(
        "from taken in at the giver to stored at the receiver, ms",
        p50=1_000 * statistics.median(told),
        most=1_000 * told[-1],
        p99=1_000 * told[-(-99 * len(told) // 100) - 1],
        objects=count,
    )


def add_and_wait(folders: dict[str, Path], name: str, count: int) -> float:
    """Seconds until the receiver's store holds `count` objects, the last of them `name`."""
    began = time.monotonic()
    add(folders["aurelia"], name)
    connection = apsw.Connection(
        f"file:{folders['borealia'] / 'store.db'}?mode=ro", flags=apsw.SQLITE_OPEN_READONLY | 0x40
    )
    while next(iter(connection.execute("SELECT COUNT(*) FROM object")))[0] < count:
        time.sleep(0.002)
        if time.monotonic() - began > LONGEST_SECONDS:
            raise SystemExit(f"the object did not come within {LONGEST_SECONDS} s")
    taken = time.monotonic() - began
    time.sleep(0.3)  # so that the next question waits again
    return taken


def measure_waits(
    stack: ExitStack, folder: Path, serving: int, asked: tuple[str, bytes], options: argparse.Namespace
) -> None:
    """Print what the giver's processes use while questions wait; `asked` is where, and what."""
    tell("CPU of the giver without them, ms per s", cpu=measure_cpu(serving, options.seconds / 2))
    host, port = asked[0].split("//")[1].split(":")
    for _ in range(options.waits):
        stack.enter_context(socket.create_connection((host, int(port)))).sendall(asked[1])
    time.sleep(2)
    tell("CPU while they wait, ms per s", cpu=measure_cpu(serving, options.seconds), waits=options.waits)
    began, before, number = time.monotonic(), read_cpu(serving), 0
    while time.monotonic() - began < options.seconds:
        add(folder, f"other{number}", subjects=("national:other",))
        number += 1
        time.sleep(max(0.0, began + number * 0.2 - time.monotonic()))
    used = (read_cpu(serving) - before) / (time.monotonic() - began)
    tell(
        "CPU while objects come in that they are not given, ms per s",
        cpu=1_000 * used,
        per_second=number / options.seconds,
    )


def add(folder: Path, name: str, **how: tuple[str, ...]) -> None:
    """Take one object in at the node that is served."""
    objects = [make_object(name, **how)]  # type: ignore[arg-type] # as its own parameters
    data = json.dumps(
        {"type": "bundle", "id": "bundle--11111111-1111-4111-8111-111111111111", "objects": objects}
    ).encode()
    reply = ask(
        folder, "object.add", {"data": base64.b64encode(data).decode(), "subjects": [], "regions": [], "kinds": []}
    )
    if reply is None or reply.code != 0:
        raise SystemExit(f"the object was not taken in: {reply}")


def serve(stack: ExitStack, folder: Path, *, workers: int) -> tuple[int, str]:
    """The process that serves the node, and where."""
    command = [sys.executable, "-m", "comity.cli", "--node", str(folder), "serve", "--listen", "127.0.0.1:0", "--json"]
    process = subprocess.Popen([*command, "--workers", str(workers)], stdout=subprocess.PIPE)
    stack.callback(process.wait)
    stack.callback(process.terminate)
    if process.stdout is None:
        raise SystemExit("a pipe was asked for")
    return process.pid, str(json.loads(process.stdout.readline())["url"])


def measure_cpu(process: int, seconds: float) -> float:
    """Milliseconds of CPU per second of it and its children."""
    before = read_cpu(process)
    time.sleep(seconds)
    return 1_000 * (read_cpu(process) - before) / seconds


def read_cpu(process: int) -> float:
    """Seconds of CPU of a process and its children that live."""
    children = Path(f"/proc/{process}/task/{process}/children").read_text().split()
    total = 0.0
    for each in [process, *map(int, children)]:
        told = Path(f"/proc/{each}/stat").read_text().rpartition(")")[2].split()
        total += (int(told[11]) + int(told[12])) / os.sysconf("SC_CLK_TCK")
    return total


def tell(what: str, **figures: float) -> None:
    """Print one line."""
    print(json.dumps({"what": what, **{name: round(value, 2) for name, value in figures.items()}}), flush=True)


if __name__ == "__main__":
    main()
