# SPDX-License-Identifier: Apache-2.0
"""How long nobody is answered while the console takes in a large file: the longest pauses of the event loop.

    PYTHONPATH=. .venv/bin/python bench/intake_pauses.py [--megabytes N] [--attributes N] [--only WORD] [--where]

A console is served from this process. Another one brings it a file as a browser does, has it looked through, and taken
in. Meanwhile the loop counts its own turns: what lies between two is a pause, in which partners and people wait.
`--where` says at which line the loop was in the longest. `--write` writes bench/results/intake-pauses.md.
"""

import argparse
import asyncio
import json
import re
import subprocess
import sys
import threading
import time
import traceback
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx

from bench.worlds import make_envelope, make_mixed_envelope
from comity.agreement.people import Role
from comity.config import Address, ConsoleSetting
from comity.console.serving import ConsoleServer
from comity.ids import format_instant
from comity.node.clock import read_clock
from tests.consoles import Desk, make_person
from tests.worlds import World

RESULTS = Path(__file__).parent / "results" / "intake-pauses.md"
TARGET = 0.1
_COOKIE = "t"
_WAIT = 0.001
_NAMESPACE = uuid.UUID("5a2c1f5e-2a86-4a83-9f4b-6f3b0b1c2d3e")


@dataclass
class Pauses:
    """The longest pauses of the loop that this runs on, in seconds, and where it was."""

    longest: list[tuple[float, float, str]] = field(default_factory=list)
    _turned: float = 0.0
    _stack: str = ""

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Count turns until the block ends."""
        task, ended = asyncio.get_running_loop().create_task(self._turn()), threading.Event()
        loop = threading.get_ident()
        self._turned = time.monotonic()
        watcher = threading.Thread(target=self._watch, args=(loop, ended))
        watcher.start()
        try:
            yield
        finally:
            ended.set()
            watcher.join()
            task.cancel()

    async def _turn(self) -> None:
        while True:
            self._turned, worked, self._stack = time.monotonic(), time.thread_time(), ""
            await asyncio.sleep(_WAIT)
            waited = time.monotonic() - self._turned - _WAIT
            if waited > TARGET / 5:
                self.longest.append((time.thread_time() - worked, waited, self._stack))

    def _watch(self, loop: int, ended: threading.Event) -> None:
        while not ended.wait(0.01):
            if time.monotonic() - self._turned > TARGET / 5:
                frames = traceback.extract_stack(sys._current_frames()[loop])  # noqa: SLF001 (the documented name)
                shown = (f"{Path(one.filename).name}:{one.lineno} {one.name}" for one in frames[:-9:-1])
                self._stack = " < ".join(shown)


def make_misp(attributes: int) -> bytes:
    """One event with so many attributes."""
    listed = [
        {
            "uuid": str(uuid.uuid5(_NAMESPACE, str(number))),
            "type": "ip-dst",
            "category": "Network activity",
            "to_ids": True,
            "value": f"203.0.{number // 250 % 250}.{number % 250}",
            "comment": f"seen at toll {number}",
            "timestamp": "1767225600",
            "distribution": "5",
        }
        for number in range(attributes)
    ]
    event = {
        "uuid": str(uuid.uuid5(_NAMESPACE, "event")),
        "info": "Tolls",
        "date": "2026-01-01",
        "published": True,
        "timestamp": "1767225600",
        "distribution": "3",
        "threat_level_id": "2",
        "analysis": "2",
        "Orgc": {"uuid": str(uuid.uuid5(_NAMESPACE, "org")), "name": "Aurelia"},
        "Attribute": listed,
    }
    return json.dumps({"Event": event}).encode()


def make_files(asked: argparse.Namespace) -> dict[str, bytes]:
    """A file of each kind, by what it is called here."""
    many = asked.megabytes * 1_000
    one = json.loads(make_envelope(1, 1))["objects"][0]
    one["description"] = "relay " * (150 * asked.megabytes)  # over the bound of one object from some size on
    return {
        "indicators.json": b'{"type":"bundle",' + make_envelope(0, many)[1:],
        "related.json": b'{"type":"bundle",' + make_mixed_envelope(10_000_000, many)[1:],
        "one.json": json.dumps(one).encode(),
        "event.json": make_misp(asked.attributes),
    }


def bring(url: str, path: Path, pages: list[str]) -> None:
    """What the other process does: bring the file, and wait until what was begun by it has ended."""
    with httpx.Client(base_url=url, cookies={"comity": _COOKIE}, timeout=600, trust_env=False) as client:
        key = _find_key(client, "/intake")
        headers = {"origin": url, "sec-fetch-site": "same-origin"}
        answer = client.post(
            "/intake", data={"form_key": key}, files={"file": (path.name, path.read_bytes())}, headers=headers
        )
        pages.append(_wait(client, answer))
        answer = client.post("/intake/take", data={"form_key": _find_key(client, "/intake/take")}, headers=headers)
        pages.append(_wait(client, answer))


def _find_key(client: httpx.Client, page: str) -> str:
    found = re.search(r'name="form_key" value="([0-9a-f]{64})"', client.get(page).text)
    assert found is not None, page  # noqa: S101 (a pause of nothing must not print)
    return found[1]


def _wait(client: httpx.Client, answer: httpx.Response) -> str:
    assert answer.status_code == 303, (answer.status_code, answer.text[-2_000:])  # noqa: S101, PLR2004
    while True:
        found = client.get(f"{answer.headers['location']}.json")
        if found.status_code != 200:  # noqa: PLR2004
            return found.text[:300]
        if (told := found.json())["result"] is not None:
            return json.dumps({name: told["result"].get(name) for name in ("added_count", "known", "bad_count")})
        time.sleep(0.2)


async def measure(folder: Path, files: dict[str, bytes], *, where: bool) -> list[str]:
    """A row of each file: how large it is, how long all of it took, and the longest pauses."""
    world = World(folder)
    world.found("aurelia")
    node = world.nodes["aurelia"]
    world.register("aurelia", "vera", *Role)
    desk = Desk(node, sessions={_COOKIE: make_person("vera", *Role)})
    setting = ConsoleSetting(listen=Address(host="127.0.0.1", port=0))
    server = ConsoleServer(setting, ask=desk.ask, find_person=desk.find_person, door=desk.door)
    url, rows = await server.start(), list[str]()
    for name, data in files.items():
        path = folder / name
        path.write_bytes(data)
        pauses, started = Pauses(), time.monotonic()
        with pauses.watching():
            other = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "bench.intake_pauses", "--bring", url, str(path), stdout=subprocess.PIPE
            )
            said, _ = await other.communicate()
        assert other.returncode == 0, name  # noqa: S101 (no figure of an error)
        longest = sorted(pauses.longest, reverse=True)
        took = time.monotonic() - started
        over = sum(busy > TARGET for busy, _, _ in longest)
        busiest, waited = (max((one[place] for one in longest), default=0.0) * 1_000 for place in (0, 1))
        rows.append(f"| `{name}` | {len(data) / 1e6:.1f} | {took:.1f} | {busiest:.0f} | {waited:.0f} | {over} |")
        print(rows[-1], said.decode().strip().replace("\n", "; ")[:400])
        for busy, elapsed, stack in longest[: 14 if where else 0]:
            print(f"    {busy * 1_000:.0f} ms ({elapsed * 1_000:.0f}): {stack}")
    await server.stop()
    world.close()
    return rows


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--megabytes", type=int, default=40)
    parser.add_argument("--attributes", type=int, default=40_000)
    parser.add_argument("--only", default="")
    parser.add_argument("--where", action="store_true")
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--bring", nargs=2, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.bring:
        pages = list[str]()
        bring(asked.bring[0], Path(asked.bring[1]), pages)
        print("\n".join(pages))
        return
    files = {name: data for name, data in make_files(asked).items() if asked.only in name}
    with TemporaryDirectory(dir=".") as scratch:
        rows = asyncio.run(measure(Path(scratch), files, where=asked.where))
    lines = [
        "# How long nobody is answered while a large file is taken in",
        "",
        "Written by `bench/intake_pauses.py --write`: a file is brought to the console, looked through and taken in. A",
        "pause is what lies between two turns of the event loop: how much it worked in it, and how long that took,",
        "which is more where other processes have the processor.",
        "",
        f"{format_instant(read_clock())[:10]}, Python {sys.version.split()[0]}.",
        "",
        "| file | MB | all of it, s | longest pause, ms of work | ms | pauses over 100 ms of work |",
        "| --- | ---: | ---: | ---: | ---: | ---: |",
        *rows,
    ]
    if asked.write:
        RESULTS.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
