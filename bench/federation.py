# SPDX-License-Identifier: Apache-2.0
"""What it costs to be in step: to catch up on many objects, and to serve ten partners that follow, and a hundred.

    PYTHONPATH=. .venv/bin/python bench/federation.py [--objects 100000] [--partners 10 100] [--rounds 10] [--only PART]

catch-up    one node takes in what another has: pages shown by receipts, and stored durably; the same pages without
            receipts; and a client that asks for the pages and does nothing with them. Each begins anew.
partners    so many partners of one served node wait, each under an agreement of its own; an object that all of them
            are given comes in; until the last has it. CPU is the server's, beside that of the same partners while
            nothing comes, and while objects come that none of them is given.
"""

import argparse
import asyncio
import json
import socket
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path

import httpx
from following import add, measure_cpu, read_cpu, serve, tell

from comity.calls import Room, open_client
from comity.ids import PartyId, parse_instant
from comity.node.clock import read_clock
from comity.node.follow import Target, plan_pull
from comity.node.gate import list_open_collections
from comity.node.ingest import add_objects
from comity.node.node import Node
from comity.node.parties import add_party, export_manifest, issue_credential
from comity.node.receive import Received, receive_page
from comity.pages import make_headers, name_page
from comity.peers import find_root, pull_targets
from comity.stix.labels import make_tags
from tests.served import bearer, format_request
from tests.worlds import World, make_object

SETTINGS = (
    "\n[limits]\nrequests_per_second = 1000000\nbytes_per_minute = 1000000000000\nconnections = 2000\nwaits = 2000\n"
    "connections_per_address = 2000\n"
)
AURELIA = PartyId("aurelia")
TAKEN_TOGETHER = 1_000


def main() -> None:
    """Measure and print one line of JSON for each figure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--objects", type=int, default=100_000)
    parser.add_argument("--partners", type=int, nargs="+", default=[10, 100])
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--only", choices=("catch-up", "partners"))
    options = parser.parse_args()
    if options.only != "partners":
        measure_catching_up(options.objects)
    if options.only != "catch-up":
        for count in options.partners:
            measure_partners(count, options.rounds)


# --- to catch up ------------------------------------------------------------------------------------------------------


def measure_catching_up(count: int) -> None:
    """Print how long it takes to take in `count` objects, in each of the three ways."""
    for name, take in (("a bare poll", poll_bare), ("without receipts", take_unshown), ("with receipts", take_shown)):
        with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
            world = World(Path(folder))
            world.found("aurelia", "borealia")
            world.sign_all(world.terms())
            giver, receiver = world.nodes["aurelia"], world.nodes["borealia"]
            receiver.clock = read_clock  # its access tokens are good for a minute, by the clock of who is served
            for first in range(0, count, TAKEN_TOGETHER):
                objects = [make_object(f"n{first + number}") for number in range(min(TAKEN_TOGETHER, count - first))]
                data = json.dumps(
                    {"type": "bundle", "id": "bundle--11111111-1111-4111-8111-111111111111", "objects": objects}
                )
                add_objects(giver, data.encode(), tags=make_tags())
            manifest = export_manifest(giver)
            (giver.folder / "node.toml").open("a").write(SETTINGS)
            giver.close()
            process, url = serve(stack, giver.folder, workers=1)
            add_party(receiver, manifest, digest=None, url=url)
            before, began, own = read_cpu(process), time.monotonic(), time.process_time()
            taken = asyncio.run(take(receiver))
            seconds = time.monotonic() - began
            if taken != count:
                raise SystemExit(f"{taken} of {count} objects came")
            tell(
                f"catch up, {name}",
                objects=taken,
                seconds=seconds,
                per_second=taken / seconds,
                receiver_cpu=time.process_time() - own,
                giver_cpu=read_cpu(process) - before,
            )
            receiver.close()


async def take_shown(node: Node) -> int:
    """How many objects came, each page shown by its receipt."""
    targets = plan_pull(node, AURELIA)
    async with open_client(node) as client:
        root = await find_root(client, node, targets[0])
        pulled = await pull_targets(client, node, targets, root=root, room=Room(1))
    return sum(len(item.added) for item in pulled)


async def take_unshown(node: Node) -> int:
    """How many objects came, as they are taken in where nobody asks for receipts."""

    def take(target: Target, answer: httpx.Response) -> int:
        received = Received(
            giver=target.giver,
            terms=target.terms,
            channel=target.channel,
            collection=target.collection,
            added_after=None,
        )
        return len(receive_page(node, answer.content, received).added)

    return await ask_to_the_end(node, take)


async def poll_bare(node: Node) -> int:
    """How many objects are in the pages, of which nothing is kept."""
    return await ask_to_the_end(node, lambda _, answer: answer.content.count(b'"spec_version"'))


async def ask_to_the_end(node: Node, take: Callable[[Target, httpx.Response], int]) -> int:
    """The sum of what `take` gives of each page."""
    (target,), total, reached = plan_pull(node, AURELIA), 0, None
    async with httpx.AsyncClient(trust_env=False, timeout=60) as client:
        root = await find_root(client, node, target)
        while True:
            url, parameters = name_page(target, root, reached)
            answer = await client.get(url, params=parameters, headers=make_headers(node, target))
            if answer.content == b"{}":
                return total
            total += take(target, answer)
            reached = parse_instant(answer.headers["x-taxii-date-added-last"])


# --- partners that wait -----------------------------------------------------------------------------------------------


def measure_partners(count: int, rounds: int) -> None:
    """Print what `count` partners in step cost the node that they follow."""
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        node, asked = build_partners(Path(folder), count)
        (node.folder / "node.toml").open("a").write(SETTINGS)
        node.close()
        process, url = serve(stack, node.folder, workers=1)
        host, port = url.split("//")[1].split(":")
        waiting = [stack.enter_context(socket.create_connection((host, int(port)))) for _ in asked]
        positions = ["1970-01-01T00:00:00.000000Z"] * count
        ask(waiting, asked, positions)
        time.sleep(1)
        idle = measure_cpu(process, 10)
        before, began = read_cpu(process), time.monotonic()
        for number in range(50):
            add(node.folder, f"other{number}", subjects=("national:other",))
            time.sleep(0.2)
        in_vain = 1_000 * (read_cpu(process) - before) / (time.monotonic() - began)
        delays, before = list[float](), read_cpu(process)
        for number in range(rounds):
            began = time.monotonic()
            add(node.folder, f"n{number}")
            positions = [read_position(connection) for connection in waiting]
            delays.append(time.monotonic() - began)
            ask(waiting, asked, positions)
            time.sleep(0.3)
        used = (read_cpu(process) - before) / rounds
        tell(
            f"{count} partners in step",
            idle_cpu_ms_per_second=idle,
            cpu_ms_per_second_of_five_objects_not_given=in_vain,
            cpu_ms_of_one_object_given_to_all=1_000 * used,
            ms_until_the_last_has_it=1_000 * sorted(delays)[len(delays) // 2],
        )


def build_partners(folder: Path, count: int) -> tuple[Node, list[tuple[str, str]]]:
    """A node with so many partners, and the path and the secret of each."""
    world = World(folder / "aurelia")
    world.folder.mkdir()
    world.found("aurelia")
    node, asked = world.nodes["aurelia"], list[tuple[str, str]]()
    for number in range(count):
        name = f"partner{number}"
        world.nodes = {"aurelia": node}
        other = World(folder / name)
        other.folder.mkdir()
        other.found(name)
        for mine, theirs in ((world, other), (other, world)):
            (known,) = (each for each in mine.nodes.values())
            (met,) = (each for each in theirs.nodes.values())
            add_party(known, export_manifest(met), digest=theirs.manifests[met.party].digest, url=None)
        world.nodes[name], world.manifests[name] = other.nodes[name], other.manifests[name]
        world.badges |= other.badges
        world.now = max(world.now, other.now)
        other.nodes[name].clock = node.clock
        world.sign_all(world.terms(receivers=(name,), title=f"Exchange {number}"))
        secret, _ = issue_credential(node, PartyId(name), days=1)
        (collection,) = list_open_collections(node, PartyId(name))
        asked.append((f"/taxii2/{name}/collections/{collection.id}/objects/", secret))
        other.close()
    return node, asked


def ask(waiting: Sequence[socket.socket], asked: Sequence[tuple[str, str]], positions: Sequence[str]) -> None:
    """Let each partner ask for what is behind its position, and wait for it."""
    for connection, (path, secret), position in zip(waiting, asked, positions, strict=True):
        headers = {**bearer(secret), "Prefer": "wait=60"}
        connection.sendall(format_request("GET", f"{path}?added_after={position}", headers=headers))


def read_position(connection: socket.socket) -> str:
    """The date of the last object in the answer, all of which is read."""
    received = bytearray()
    while b"\r\n\r\n" not in received:
        received += connection.recv(65_536)
    head, _, body = bytes(received).partition(b"\r\n\r\n")
    fields = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:])
    length = int(fields[b"content-length"])
    while len(body) < length:
        body += connection.recv(65_536)
    return fields[b"x-taxii-date-added-last"].decode().upper()


if __name__ == "__main__":
    main()
