# SPDX-License-Identifier: Apache-2.0
"""How fast a served node gives what it holds, held against nginx giving the same bytes from files.

    .venv/bin/python bench/taxii.py                          10,000 objects, one agreement, 5 rounds
    .venv/bin/python bench/taxii.py --objects 100000 --agreements 100 --rounds 7

It founds two nodes in a temporary folder, lets them agree, takes in STIX objects of about 1 kB, serves the giver with
`comity serve`, reads every page once, lets nginx serve those bytes, and asks both in turns with wrk. Policy, gate and
decision are on, and every answer is in the durable log before it leaves. It needs `wrk` and `nginx` (Debian: wrk,
nginx-light), and the loopback.

    page      pages of 1,000 objects, as they are
    gzip      the same pages, compressed; held against nginx giving them plain
    object    one object by its id; held against an ASGI application on the same server that says the same at once

The ratio is Comity's answers a second over those of what it is held against, round by round; medians are printed. CPU
is that of the server's process, in microseconds for each answer.
"""

import argparse
import json
import os
import platform
import random
import re
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from comity.ids import Instant, PartyId, format_instant  # noqa: E402 (the tests' worlds are found from the checkout's root)
from comity.node.ingest import add_objects  # noqa: E402
from comity.node.parties import create_credential  # noqa: E402
from comity.node.standing import list_collections  # noqa: E402
from comity.stix.labels import make_tags  # noqa: E402
from tests.worlds import World  # noqa: E402

GIVER, RECEIVER = "aurelia", PartyId("borealia")
SUBJECT = "national:ashfall"
WORDS = (
    "relay",
    "staging",
    "beacon",
    "archive",
    "mirror",
    "gateway",
    "sector",
    "convoy",
    "ledger",
    "harbour",
    "signal",
)
CONCURRENCY = (16, 1)
BARE = """
async def app(scope, receive, send):
    if scope["type"] != "http":
        return
    body = open({path!r}, "rb").read() if not hasattr(app, "body") else app.body
    app.body = body
    headers = [(b"content-type", b"application/taxii+json;version=2.1"), (b"content-length", str(len(body)).encode())]
    await send({{"type": "http.response.start", "status": 200, "headers": headers}})
    await send({{"type": "http.response.body", "body": body}})
"""
NGINX = """
{user}worker_processes 2; daemon off; pid {folder}/pid; error_log {folder}/error.log;
events {{ worker_connections 256; }}
http {{
  access_log off; sendfile off; output_buffers 2 1m; keepalive_requests 100000000;
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
  server {{ listen 127.0.0.1:{port}; root {folder}/html; }}
}}
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Arm:
    """Something to be asked: where, for which paths, with which header lines, and the process whose time is taken."""

    port: int
    script: Path
    pid: int


def main() -> None:
    """Build, serve, ask in turns, print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--objects", type=int, default=10_000)
    parser.add_argument("--agreements", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=3)
    parser.add_argument("--json", type=Path, help="also write what was measured to this file")
    options = parser.parse_args()
    for needed in ("wrk", "nginx"):
        if shutil.which(needed) is None:
            parser.error(f"{needed} is not installed; on Debian: apt-get install wrk nginx-light")
    with tempfile.TemporaryDirectory(prefix="comity-bench-") as name, ExitStack() as stack:
        folder = Path(name)
        collection, secret = build(folder, objects=options.objects, agreements=options.agreements)
        arms = {key: stack.enter_context(arm) for key, arm in serve(folder, collection, secret)}
        measured = measure(arms, rounds=options.rounds, seconds=options.seconds)
    head = {"objects": options.objects, "agreements": options.agreements, "machine": platform.machine()}
    print_table(measured)
    if options.json:
        options.json.write_text(json.dumps({**head, "measured": measured}, indent=1) + "\n", encoding="utf-8")


# ---- what is served --------------------------------------------------------------------------------------------------


def build(folder: Path, *, objects: int, agreements: int) -> tuple[str, str]:
    """The collection with all the objects in it, and the secret by which it is read."""
    started = time.perf_counter()
    world = World(folder)
    world.found(GIVER, RECEIVER)
    node = world.nodes[GIVER]
    for first in range(0, objects, 1_000):
        items = [make_indicator(number) for number in range(first, min(objects, first + 1_000))]
        data = json.dumps({"type": "bundle", "id": f"bundle--{uuid.UUID(int=first)}", "objects": items}).encode()
        tags = make_tags(subjects=[SUBJECT], regions=["IQ"], kinds=["indicator"])
        assert not add_objects(node, data, tags=tags).bad  # noqa: S101 (a benchmark of nothing must not print)
    world.sign_all(world.terms())
    with node.store.read() as transaction:
        (collection,) = list_collections(node, transaction, RECEIVER)
    for number in range(1, agreements):
        world.sign_all(world.terms(subjects=(f"national:group-{number}",), title=f"Exchange {number}"))
    secret = create_credential(node, RECEIVER)
    world.close()
    with (folder / GIVER / "node.toml").open("a", encoding="utf-8") as settings:
        settings.write(f"[limits]\nrequests_per_second = {10**9}\nbytes_per_minute = {2**50}\n")
    print(f"{objects} objects, {agreements} agreements, in {time.perf_counter() - started:.0f} s")
    return collection.id, secret


def make_indicator(number: int) -> dict[str, Any]:
    """An object of about 1 kB, the same every time."""
    draw = random.Random(number)  # noqa: S311 (the same objects every time)
    at = format_instant(Instant(1_767_225_600_000_000 + number * 1_000_000))
    address = ".".join(str(draw.randrange(256)) for _ in range(4))
    return {
        "type": "indicator",
        "spec_version": "2.1",
        "id": f"indicator--{uuid.UUID(int=draw.getrandbits(128), version=4)}",
        "created": at,
        "modified": at,
        "name": f"{draw.choice(WORDS).title()} {draw.choice(WORDS)} {number}",
        "description": " ".join(draw.choice(WORDS) for _ in range(60)),
        "pattern": f"[ipv4-addr:value = '{address}' OR file:hashes.'SHA-256' = '{draw.getrandbits(256):064x}']",
        "pattern_type": "stix",
        "valid_from": at,
        "indicator_types": [draw.choice(("malicious-activity", "anomalous-activity", "attribution"))],
        "confidence": draw.randrange(101),
        "object_marking_refs": ["marking-definition--bab4a63c-aed9-4cf5-a766-dfca5abac2bb"],
    }


# ---- who is asked ----------------------------------------------------------------------------------------------------


def serve(folder: Path, collection: str, secret: str) -> Iterator[tuple[str, Any]]:
    """Each arm, not yet started, behind its name; the later ones serve what the first one answered."""
    served = Served(folder, collection, secret)
    yield "comity", served.run()
    pages, sample = served.read()
    yield "nginx", run_nginx(folder, pages)
    yield "gzip", served.ask("gzip", served.paths, encoding="gzip")
    yield "object", served.ask("object", [f"{served.base}{sample['id']}/"])
    yield "bare", run_bare(folder, json.dumps({"objects": [sample]}).encode())


class Served:
    """The giver's node in a process of its own."""

    def __init__(self, folder: Path, collection: str, secret: str) -> None:
        self.folder, self.secret, self.port, self.pid = folder, secret, find_port(), 0
        self.base = f"/taxii2/{RECEIVER}/collections/{collection}/objects/"
        self.paths = list[str]()

    @contextmanager
    def run(self) -> Iterator[Arm]:
        """Serve; the paths of the pages are filled in by `read`."""
        command = [sys.executable, "-m", "comity.cli", "--node", self.folder / GIVER, "serve"]
        with run([*command, "--listen", f"127.0.0.1:{self.port}"], self.port) as self.pid:
            self.read()
            with self.ask("page", self.paths) as arm:
                yield arm

    def read(self) -> tuple[list[bytes], dict[str, Any]]:
        """Every full page, and an object."""
        client = httpx.Client(base_url=f"http://127.0.0.1:{self.port}", headers={"Accept-Encoding": "identity"})
        client.headers["Authorization"] = f"Bearer {self.secret}"
        pages, self.paths, path = list[bytes](), list[str](), self.base
        with client:
            while path:
                answer = client.get(path).raise_for_status()
                body = answer.json()
                pages.append(answer.content)
                self.paths.append(path)
                path = f"{self.base}?next={body['next']}" if body.get("more") else ""
        return pages, body["objects"][0]

    @contextmanager
    def ask(self, name: str, paths: list[str], *, encoding: str = "identity") -> Iterator[Arm]:
        """The same server, asked for these paths."""
        headers = {"Authorization": f"Bearer {self.secret}", "Accept-Encoding": encoding}
        yield Arm(port=self.port, script=write_script(self.folder / name, paths, headers), pid=self.pid)


@contextmanager
def run_nginx(folder: Path, pages: list[bytes]) -> Iterator[Arm]:
    """The pages as files, by the settings that were found fastest."""
    (folder / "html").mkdir()
    for number, page in enumerate(pages):
        (folder / "html" / f"{number}.json").write_bytes(page)
    port = find_port()
    (folder / "nginx.conf").write_text(
        NGINX.format(user="user root; " if os.geteuid() == 0 else "", folder=folder, port=port), encoding="utf-8"
    )
    paths = [f"/{number}.json" for number in range(len(pages))]
    with run(["nginx", "-e", folder / "error.log", "-c", folder / "nginx.conf"], port) as pid:
        yield Arm(port=port, script=write_script(folder / "static", paths, {}), pid=pid)


@contextmanager
def run_bare(folder: Path, body: bytes) -> Iterator[Arm]:
    """An ASGI application on uvicorn that says one thing at once."""
    (folder / "said.json").write_bytes(body)
    (folder / "bare.py").write_text(BARE.format(path=str(folder / "said.json")), encoding="utf-8")
    port = find_port()
    command = [sys.executable, "-m", "uvicorn", "--app-dir", folder, "bare:app", "--port", str(port)]
    options = ["--log-level", "critical", "--no-access-log", "--loop", "asyncio", "--http", "httptools"]
    with run([*command, *options], port) as pid:
        yield Arm(port=port, script=write_script(folder / "bare", ["/"], {}), pid=pid)


@contextmanager
def run(command: list[Any], port: int) -> Iterator[int]:
    """A process until the block ends; it listens when the block begins."""
    process = subprocess.Popen([str(word) for word in command], stdout=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 10
        while not listens(port) and time.monotonic() < deadline:
            time.sleep(0.05)
        yield process.pid
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(10)


def listens(port: int) -> bool:
    """Whether somebody takes connections there."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def find_port() -> int:
    """A free port of the loopback."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def write_script(path: Path, paths: list[str], headers: Mapping[str, str]) -> Path:
    """The script by which wrk asks for the paths in turn."""
    listed = ",".join(json.dumps(each) for each in paths)
    named = ",".join(f"[{json.dumps(name)}]={json.dumps(value)}" for name, value in headers.items())
    script = path.with_suffix(".lua")
    script.write_text(
        f"local paths, headers, i = {{{listed}}}, {{{named}}}, 0\n"
        'request = function() i = i + 1; return wrk.format("GET", paths[i % #paths + 1], headers) end\n',
        encoding="utf-8",
    )
    return script


# ---- asking ----------------------------------------------------------------------------------------------------------

PAIRS = (("page", "comity", "nginx"), ("gzip", "gzip", "nginx"), ("object", "object", "bare"))


def measure(arms: Mapping[str, Arm], *, rounds: int, seconds: int) -> list[dict[str, Any]]:
    """For each pair and concurrency the medians over the rounds."""
    measured = list[dict[str, Any]]()
    for concurrency in CONCURRENCY:
        taken = [
            {name: ask(arm, concurrency=concurrency, seconds=seconds) for name, arm in arms.items()}
            for _ in range(rounds + 1)
        ][1:]  # the first round fills caches
        for work, one, other in PAIRS:
            measured.append(
                {
                    "work": work,
                    "concurrency": concurrency,
                    "answers_per_second": statistics.median(each[one][0] for each in taken),
                    "against": other,
                    "its_answers_per_second": statistics.median(each[other][0] for each in taken),
                    "ratio": statistics.median(each[one][0] / each[other][0] for each in taken),
                    "cpu_microseconds": statistics.median(each[one][1] for each in taken),
                }
            )
    return measured


def ask(arm: Arm, *, concurrency: int, seconds: int) -> tuple[float, float]:
    """Answers a second, and microseconds of the server's processor for each.

    Raises:
        SystemExit: an answer was not 200.
    """
    before = read_cpu(arm.pid)
    command = ["wrk", "-t1", f"-c{concurrency}", f"-d{seconds}s", "-s", str(arm.script), f"http://127.0.0.1:{arm.port}"]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    used = read_cpu(arm.pid) - before
    if "Non-2xx" in said or "Socket errors" in said:
        sys.exit(f"not every answer was good:\n{said}")
    answers = int(re.search(r"(\d+) requests in", said)[1])  # type: ignore[index]
    rate = float(re.search(r"Requests/sec:\s+([\d.]+)", said)[1])  # type: ignore[index]
    return rate, used / answers * 1e6


def read_cpu(pid: int) -> float:
    """Seconds of processor that the process has used; children (nginx's workers) are not counted."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def print_table(measured: list[dict[str, Any]]) -> None:
    """One line for each work."""
    print("| work | at once | answers/s | held against | its answers/s | ratio | CPU µs |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for row in measured:
        print(
            f"| {row['work']} | {row['concurrency']} | {row['answers_per_second']:.0f} | {row['against']}"
            f" | {row['its_answers_per_second']:.0f} | {row['ratio']:.2f} | {row['cpu_microseconds']:.0f} |"
        )


if __name__ == "__main__":
    main()
