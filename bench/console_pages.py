# SPDX-License-Identifier: Apache-2.0
"""How long the console takes for each of its pages, in a large store: from the request to the last byte of the answer.

    PYTHONPATH=. .venv/bin/python bench/console_pages.py [--objects N] [--agreements N] [--world DIR] [--write]

All of it happens in this process: the application, the operations and the node, asked as a browser asks, by somebody of
every role. What is told is the first time and the median of the others. `--write` writes bench/results/console.md.
"""

import argparse
import asyncio
import statistics
import sys
import time
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx

from bench.worlds import READER, copy_world, find_world
from comity.agreement.people import Role
from comity.console.app import ConsoleApp
from comity.ids import format_instant
from comity.node.clock import read_clock
from comity.node.node import open_node
from comity.node.standing import remember_dossiers
from tests.consoles import URL, Desk, make_person

ROUNDS = 5
TARGET = 100.0
RESULTS = Path(__file__).parent / "results" / "console.md"


def list_pages(agreement: str, item: str) -> list[str]:
    """The address of each page that has something to look up."""
    of, held = f"/agreements/{agreement}", f"/objects/{item}"
    return [
        *("/", "/agreements", "/agreements?page=2", of, f"{of}/preview", f"{of}/diff", f"{of}/certificate"),
        *("/objects", "/objects?type=indicator", f"/objects?id={item[:20]}", held),
        *(f"/explain?object={item}", f"/explain?object={item}&to={READER}"),
        *("/matrix", "/matrix?by=types", f"/matrix/{READER}"),
        *("/log", f"/log?q=to:{READER}", "/log/1", "/log/figures", "/log/relationships"),
        *("/node", "/people", "/intake", "/audit", "/jobs", "/me"),
    ]


async def measure(app: ConsoleApp) -> list[tuple[str, float, float, int]]:
    """Of each page its address, the first time and the median of the others in milliseconds, and its kilobytes."""
    measured = list[tuple[str, float, float, int]]()
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url=URL, cookies={"comity": "t"}, timeout=600) as client:
        agreement = (await client.get("/agreements.json")).json()["agreements"][0]["agreement"]
        item = (await client.get("/objects.json")).json()["objects"][0]["id"]
        for address in list_pages(agreement, item):
            times = list[float]()
            for _ in range(ROUNDS + 1):
                started = time.perf_counter()
                answer = await client.get(address)
                times.append((time.perf_counter() - started) * 1_000)
            assert answer.status_code in {200, 303}, (address, answer.status_code)  # noqa: S101 (no figure of an error)
            name = address.replace(agreement, "ID").replace(item, "OBJECT").replace(item[:20], "BEGINNING")
            measured.append((name, times[0], statistics.median(times[1:]), len(answer.content) // 1_000))
    return measured


def main() -> int:
    """How many pages took longer than they should."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--objects", type=int, default=1_000_000)
    parser.add_argument("--agreements", type=int, default=1_000)
    parser.add_argument("--world", type=Path, help="a folder in which the world is kept for the next run")
    parser.add_argument("--write", action="store_true")
    asked = parser.parse_args()
    with TemporaryDirectory(dir=".") as scratch:
        built = copy_world(
            find_world(asked.world or Path(scratch), objects=asked.objects, agreements=asked.agreements),
            Path(scratch) / "copy",
        )
        with closing(open_node(built.folder / "aurelia")) as node:
            remember_dossiers(node)  # as the process that serves does before its first answer
            desk = Desk(node, sessions={"t": make_person("vera", *Role)})
            app = ConsoleApp(url=URL, ask=desk.ask, find_person=desk.find_person, door=desk.door)
            measured = asyncio.run(measure(app))
    rows = [f"| `{name}` | {first:.1f} | {usual:.1f} | {size} |" for name, first, usual, size in measured]
    slow = [name for name, _, usual, _ in measured if usual > TARGET]
    lines = [
        "# How long the console takes for a page",
        "",
        "Written by `bench/console_pages.py --write`. Milliseconds from the request to the last byte, in one process:",
        f"the first time, and the median of {ROUNDS} others.",
        "",
        f"{asked.objects:,} objects and {asked.agreements:,} agreements, all of these with one partner.",
        f"{format_instant(read_clock())[:10]}, Python {sys.version.split()[0]}.",
        f"{len(measured) - len(slow)} of {len(measured)} pages take no longer than {TARGET:.0f} ms.",
        "",
        "| page | first | usual | kB |",
        "| --- | ---: | ---: | ---: |",
        *rows,
    ]
    print("\n".join(lines))
    if asked.write:
        RESULTS.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return len(slow)


if __name__ == "__main__":
    sys.exit(0 if main() == 0 else 1)
