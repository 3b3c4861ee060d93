# SPDX-License-Identifier: Apache-2.0
"""How long the console takes for each of its pages, in a large store: from the request to the last byte of the answer.

    PYTHONPATH=. .venv/bin/python bench/console_pages.py [--objects N] [--agreements N] [--entries N] [--world DIR]
        [--only WORD] [--rounds N] [--write]

All of it happens in this process: the application, the operations and the node, asked as a browser asks, by somebody of
every role. What is told is the first time and the median of the others. `--write` writes bench/results/console.md.
"""

import argparse
import asyncio
import statistics
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from timeit import timeit
from typing import Any

import httpx

from bench.furnishing import DRAFT, PERSON, SUBJECTS, find_furnished, make_list
from bench.worlds import READER, WRITER, copy_world
from comity.agreement.people import Role
from comity.console.app import ConsoleApp
from comity.console.visit import Visit
from comity.ids import format_instant
from comity.node.clock import read_clock
from comity.node.node import Node, open_node
from comity.node.standing import remember_dossiers
from tests.consoles import URL, Desk, make_person
from tests.worlds import object_id

TARGET = 100.0
TOKEN = "t"  # noqa: S105 (of a session in this process)
RESULTS = Path(__file__).parent / "results" / "console.md"

PAGES = (
    *("/", "/?only=todo", "/?only=ends", "/?only=failed", "/approvals/{matter}"),
    *("/agreements", "/agreements?page=2", "/agreements?party={reader}", "/agreements?state=in+force"),
    *("/agreements/propose", "/agreements/import"),
    *("/agreements/{agreement}", "/agreements/{agreement}/preview", "/agreements/{agreement}/diff"),
    *("/agreements/{agreement}/certificate", "/agreements/{agreement}/messages", "/agreements/{agreement}/terminate"),
    *("/agreements/{open}/admit", "/agreements/{giving}", "/agreements/{giving}/preview", "/agreements/{group}/leave"),
    *("/agreements/{opened}/accede", "/agreements/{offered}"),
    *("/agreements/{offered}/accept", "/agreements/{offered}/preview"),
    *("/objects", "/objects?type=indicator", "/objects?type=identity", "/objects?id={beginning}"),
    *("/objects?originator=meridia", "/objects?tlp=green", "/objects?subject=national:ashfall"),
    *("/objects/{object}", "/objects/{object}/say", "/objects/{object}/say?subjects=national:ashfall&regions=IQ"),
    *("/objects/{received}", "/objects/{given}", "/objects/{person}", "/objects/{actor}", "/objects/{actor}/say"),
    *(
        "/explain?object={object}",
        "/explain?object={object}&to={reader}",
        "/explain?object={object}&to={reader}&reach=1",
    ),
    *("/explain?object={received}", "/explain?object={actor}&to={reader}"),
    *("/matrix", "/matrix?by=types", "/matrix/{reader}"),
    *("/requests", "/requests?side=received", "/requests/send", "/requests/send?object={received}"),
    *("/requests/{asked}", "/requests/{sent}", "/recalls", "/recalls/{recalled}", "/recalls/{recalling}"),
    *("/necessity", "/necessity?waiting=2", "/necessity?object={ill}", "/identity/{person}"),
    *("/retention", "/retention?after={behind}", "/retention/{received}/delete"),
    *("/lists", "/lists?from=50", "/lists/harbour", "/lists/harbour?q=4711", "/rules"),
    *("/assessments", "/assessments?state=ending", "/assessments/{assessment}", "/assessments/write?object={actor}"),
    *("/articles", "/articles/rules", "/articles/1", "/articles/1?from=100", "/articles/1/text", "/articles/2"),
    "/articles/1/delete",
    *("/log", "/log?before=500000", "/log?q=to:{reader}", "/log?q=to:meridia", "/log?q=kind:recall"),
    *("/log?q=object:{given}", "/log?q=object:{person}", "/log?q=under:{agreement}", "/log?q=since:2026-01"),
    *("/log?q=basis:S/RES/9101", "/log.csv", "/log/1", "/log/{entry}", "/log/{entry}/receipt"),
    *("/log/figures", "/log/relationships"),
    *("/intake", "/intake/files/{file}", "/node", "/people", "/audit", "/jobs", "/jobs/{work}", "/me"),
)
"""The address of each page that has something to look up; in braces what is found in the world (`find_places`)."""

UNMEASURED = frozenset({"/intake/take", "/sign-in", "/enrol"})
"""The page of a file that waits in the memory of the process, and those of who is not signed in."""


def main() -> int:
    """How many pages took longer than they should."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--objects", type=int, default=1_000_000)
    parser.add_argument("--agreements", type=int, default=1_000)
    parser.add_argument("--entries", type=int, default=1_000_000, help="in all logs together")
    parser.add_argument("--world", type=Path, help="a folder in which the world is kept for the next run")
    parser.add_argument("--only", default="", help="the pages alone whose address has this in it")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--write", action="store_true")
    asked = parser.parse_args()
    with TemporaryDirectory(dir=".") as scratch:
        kept = asked.world or Path(scratch)
        built = find_furnished(kept, objects=asked.objects, agreements=asked.agreements, entries=asked.entries)
        with closing(open_node(copy_world(built, Path(scratch) / "copy").node)) as node:
            remember_dossiers(node)  # as the process that serves does before its first answer
            draft = (built.folder / DRAFT).read_bytes()
            measured = asyncio.run(_measure(node, draft, only=asked.only, rounds=asked.rounds))
    lines = _format(measured, asked)
    print("\n".join(lines))
    if asked.write:
        RESULTS.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return sum(page.usual > TARGET for page in measured)


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """A page: the first time and the median of the others in milliseconds, and its kilobytes."""

    name: str
    first: float
    usual: float
    size: int


async def _measure(node: Node, draft: bytes, *, only: str, rounds: int) -> list[Measured]:
    """What every page took, or those alone whose address has `only` in it."""
    desk = Desk(node, sessions={TOKEN: make_person(PERSON, *Role)})
    app = ConsoleApp(url=URL, ask=desk.ask, find_person=desk.find_person, door=desk.door)
    key = Visit(person=desk.sessions[TOKEN], token=TOKEN, ask_as=desk.ask).form_key
    headers = {"origin": URL, "sec-fetch-site": "same-origin"}
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url=URL, cookies={"comity": TOKEN}, timeout=600) as client:
        send = partial(client.post, data={"form_key": key}, headers=headers)
        looked = await send("/lists/preview", files={"file": ("f", make_list("2027-01", 100, SUBJECTS))})
        await _wait(client, looked)
        places = await _find_places(client) | {"work": looked.headers["location"].rpartition("/")[2]}
        shown = {name: name.upper() for name in places} | {"reader": READER}
        asks: list[tuple[str, Callable[[], Awaitable[httpx.Response]]]] = [
            (page.format(**shown), partial(client.get, page.format(**places))) for page in PAGES
        ]
        for name, field, data in (
            ("/agreements/propose", "draft", draft),
            ("/lists/preview", "file", make_list("2027-01", 100, SUBJECTS)),
        ):
            asks.append((f"POST {name}", partial(send, name, files={field: ("f", data)})))
        return [await _measure_page(client, name, ask, rounds) for name, ask in asks if only in name]


async def _wait(client: httpx.AsyncClient, begun: httpx.Response) -> None:
    """Until the long work that an answer leads to has ended: so much of it may be under way, and no more."""
    at = begun.headers.get("location", "")
    while at.startswith("/jobs/") and (await client.get(f"{at}.json")).json()["code"] is None:  # noqa: ASYNC110 (as a page asks)
        await asyncio.sleep(0.05)


async def _measure_page(
    client: httpx.AsyncClient, name: str, ask: Callable[[], Awaitable[httpx.Response]], rounds: int
) -> Measured:
    times, size = list[float](), 0
    for _ in range(rounds + 1):
        started = time.perf_counter()
        answer = await ask()
        times.append((time.perf_counter() - started) * 1_000)
        assert answer.status_code in {200, 303}, (name, answer.text)  # noqa: S101 (no figure of an error)
        size = len(answer.content) // 1_000
        await _wait(client, answer)
    return Measured(name=name, first=times[0], usual=statistics.median(times[1:]), size=size)


async def _find_places(client: httpx.AsyncClient) -> dict[str, str]:
    """What the addresses name: one of each kind that there is in the world."""

    async def read(page: str) -> Any:  # noqa: ANN401 (the twin of a page)
        return (await client.get(page)).json()

    item = (await read("/objects.json?type=indicator"))["objects"][0]["id"]
    agreed = {item["title"]: item["agreement"] for item in (await read("/agreements.json"))["agreements"]}
    letters, recalls = await read("/requests.json"), await read("/recalls.json")
    return {
        "reader": READER,
        "agreement": (await read(f"/agreements.json?state=in+force&party={WRITER}"))["agreements"][-1]["agreement"],
        "giving": letters["sent"][0]["agreement"],
        "offered": agreed["Offer 1"],
        "group": agreed["A group"],
        "open": agreed["A pair"],
        "opened": agreed["To join"],
        "object": item,
        "beginning": item[:20],
        "received": (await read("/retention.json"))["objects"][0]["id"],
        "behind": (await read("/retention.json"))["next"],
        "given": recalls["sent"][0]["about"][0]["id"],
        "person": object_id("identity", "person-0"),
        "ill": (await read("/necessity.json"))["undecided"][0]["object"],
        "actor": object_id("intrusion-set", "group-1"),
        "matter": (await read("/work.json"))["matters"][0]["matter"],
        "asked": letters["received"][0]["letter"],
        "sent": letters["sent"][0]["letter"],
        "recalled": recalls["received"][0]["letter"],
        "recalling": recalls["sent"][0]["letter"],
        "assessment": (await read("/assessments.json"))["assessments"][0]["object"],
        "file": str((await read("/intake.json"))["files"][-1]["number"]),
        "entry": str((await read(f"/log.json?q=to:{READER}"))["entries"][-1]["entry"]),
    }


def _add() -> None:
    """What tells how fast the machine is."""
    total = 0
    for number in range(5_000_000):
        total += number


def _format(measured: Sequence[Measured], asked: argparse.Namespace) -> list[str]:
    """The table, in lines."""
    slow = sum(page.usual > TARGET for page in measured)
    return [
        "# How long the console takes for a page",
        "",
        "Written by `bench/console_pages.py --write`. Milliseconds from the request to the last byte, in one process:",
        f"the first time, and the median of {asked.rounds} others. A form that changes nothing is a page too (POST).",
        "Long work is begun by its page, and goes on beside it: what came of it is on a page of its own (/jobs/WORK).",
        "",
        f"{asked.objects:,} objects, {asked.agreements:,} agreements with one partner, {asked.entries:,} log entries.",
        f"{format_instant(read_clock())[:10]}, Python {sys.version.split()[0]}.",
        f"How fast the machine was at the end: five million additions in Python took {timeit(_add, number=1):.2f} s.",
        f"{len(measured) - slow} of {len(measured)} pages take no longer than {TARGET:.0f} ms.",
        "",
        "| page | first | usual | kB |",
        "| --- | ---: | ---: | ---: |",
        *(f"| `{page.name}` | {page.first:.1f} | {page.usual:.1f} | {page.size} |" for page in measured),
    ]


if __name__ == "__main__":
    sys.exit(0 if main() == 0 else 1)
