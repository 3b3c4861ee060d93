# SPDX-License-Identifier: Apache-2.0
"""What is asked, and asking it: a served node, nginx, an application that does nothing; and wrk, which asks."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
from processes import find_port, read_cpu, run
from worlds import Built

__all__ = ["Arm", "Asked", "Reader", "ask", "run_bare", "run_comity", "run_nginx"]

_BARE = """
import json, os, pathlib, signal, socket, sys
import uvicorn

SAID = {path: pathlib.Path(file).read_bytes() for path, file in json.loads(sys.argv[3]).items()}

async def app(scope, receive, send):
    body = SAID[scope["path"]]
    headers = [(b"content-type", b"application/taxii+json;version=2.1"), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})

# Named as TCP, else asyncio leaves Nagle's algorithm on and every answer waits for 40 ms.
listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
listener.bind(("127.0.0.1", int(sys.argv[1])))
listener.listen(128)
children = []
for _ in range(int(sys.argv[2])):
    if (child := os.fork()) == 0:
        named = {"log_config": None, "access_log": False, "lifespan": "off", "loop": "asyncio", "http": "httptools"}
        uvicorn.Server(uvicorn.Config(app, **named)).run(sockets=[listener])
        os._exit(0)
    children.append(child)
signal.signal(signal.SIGTERM, lambda *_: [os.kill(child, signal.SIGKILL) for child in children])
for child in children:
    os.waitpid(child, 0)
"""
_NGINX = """
{user}worker_processes 2; daemon off; pid {folder}/pid; error_log {folder}/error.log;
events {{ worker_connections 256; }}
http {{
  access_log off; sendfile off; output_buffers 2 1m; keepalive_requests 100000000;
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
  server {{ listen 127.0.0.1:{port}; root {folder}/html; }}
}}
"""
_ASK = """
local paths, headers = {{{paths}}}, {{{headers}}}
local requests, i, vary = {{}}, 0, {vary}
init = function(args)
  i = tonumber(args[1])
  for place, path in ipairs(paths) do requests[place] = wrk.format("GET", path, headers) end
end
request = function()
  i = i + 1
  local place = (i - 1) % #paths + 1
  if not vary then return requests[place] end
  return wrk.format("GET", paths[place] .. math.floor((i - 1) / #paths) % 1000 + 1, headers)
end
done = function(summary, latency)
  local errors = summary.errors
  local bad = errors.connect + errors.read + errors.write + errors.status + errors.timeout
  io.write(string.format('\\n@{{"answers":%d,"bytes":%d,"microseconds":%d,"bad":%d,"p50":%d,"p99":%d}}\\n',
    summary.requests, summary.bytes, summary.duration, bad, latency:percentile(50), latency:percentile(99)))
end
"""
_MOST_SECONDS = 60
"""For so long an answer is waited for that does not come in the time that was to be measured."""
_MOST_HEAD = 1_000
"""Bytes that the head of an answer may have."""


@dataclass(slots=True, kw_only=True)
class Arm:
    """Paths of one server, asked in turn; `sizes` are the bytes of the body that each of them gives.

    No path is begun again before all others have been asked.
    """

    name: str
    port: int
    pid: int
    script: Path
    sizes: Sequence[int]
    place: int = 0

    @property
    def mean(self) -> float:
        """Bytes of a body."""
        return sum(self.sizes) / len(self.sizes)


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What came of asking for some seconds: answers a second, server's CPU for each, and waiting times."""

    rate: float
    cpu_microseconds: float
    p50_ms: float
    p99_ms: float


def make_arm(
    folder: Path,
    name: str,
    *,
    port: int,
    pid: int,
    paths: Mapping[str, int],
    headers: Mapping[str, str],
    vary: bool = False,
) -> Arm:
    """An arm for `paths`, each with the bytes of its body; with `vary`, a number from 1 to 1,000 is put behind each."""
    listed = ",".join(json.dumps(each) for each in paths)
    named = ",".join(f"[{json.dumps(key)}]={json.dumps(value)}" for key, value in headers.items())
    script = folder / f"{name}.lua"
    script.write_text(_ASK.format(paths=listed, headers=named, vary=str(vary).lower()), encoding="utf-8")
    return Arm(name=name, port=port, pid=pid, script=script, sizes=[*paths.values()])


def ask(arm: Arm, *, concurrency: int, seconds: float) -> Asked:
    """What comes of asking.

    Raises:
        SystemExit: an answer was not 200, or not as long as the good one.
    """
    before = read_cpu(arm.pid)
    options = ["-t1", f"-c{concurrency}", f"-d{max(1, round(seconds))}s", "--timeout", "60s", "-s", str(arm.script)]
    command = ["wrk", *options, f"http://127.0.0.1:{arm.port}", "--", str(arm.place)]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    used = read_cpu(arm.pid) - before
    found = json.loads(said.rpartition("\n@")[2])
    answers = found["answers"]
    if not answers and not found["bad"] and seconds < _MOST_SECONDS:
        return ask(arm, concurrency=concurrency, seconds=seconds * 4)
    arm.place += answers + concurrency
    # What is on its way when the time is up counts among the bytes and not among the answers.
    least, most = answers * arm.mean * 0.97, (answers + concurrency) * (arm.mean * 1.03 + _MOST_HEAD)
    if found["bad"] or not answers or not least <= found["bytes"] <= most:
        sys.exit(f"{arm.name}: not every answer was the right one ({arm.mean:.0f} bytes each were expected):\n{said}")
    return Asked(
        rate=answers / (found["microseconds"] / 1e6),
        cpu_microseconds=used / answers * 1e6,
        p50_ms=found["p50"] / 1e3,
        p99_ms=found["p99"] / 1e3,
    )


# ---- servers ---------------------------------------------------------------------------------------------------------


@dataclass(slots=True, kw_only=True)
class Reader:
    """The partner that reads a served node, with one connection."""

    built: Built
    port: int
    pid: int
    workers: int
    client: httpx.Client = field(repr=False)

    def get(self, path: str, *, encoding: str = "identity") -> httpx.Response:
        """The answer.

        Raises:
            SystemExit: it is not 200.
        """
        answer = self.client.get(path, headers={"Accept-Encoding": encoding})
        if answer.status_code != httpx.codes.OK:
            sys.exit(f"{path}: {answer.status_code} {answer.text[:300]}")
        return answer

    def read_pages(self, *, most: int | None = None, limit: int = 1_000) -> Iterator[tuple[str, bytes]]:
        """Path and body of each page from the first on."""
        path, count = f"{self.built.objects_path}?limit={limit}", 0
        while path and count != most:
            body = self.get(path).content
            yield path, body
            count += 1
            # `next` stands before the objects: a page need not be parsed to be followed.
            head = body[:300].decode("utf-8", "replace")
            cursor = head.split('"next":"', 1)[1].split('"', 1)[0] if '"more":true' in head else ""
            path = f"{self.built.objects_path}?limit={limit}&next={cursor}" if cursor else ""

    def arm(
        self, folder: Path, name: str, paths: Mapping[str, int], *, encoding: str = "identity", vary: bool = False
    ) -> Arm:
        """The node, asked for `paths`."""
        headers = {"Authorization": f"Bearer {self.built.secret}", "Accept-Encoding": encoding}
        return make_arm(folder, name, port=self.port, pid=self.pid, paths=paths, headers=headers, vary=vary)


@contextmanager
def run_comity(built: Built, *, workers: int, log: Path) -> Iterator[Reader]:
    """The node, served by so many processes, and its reader."""
    port = find_port()
    command = [sys.executable, "-m", "comity.cli", "--node", built.node, "serve", "--listen", f"127.0.0.1:{port}"]
    command += ["--workers", workers] if workers > 1 else []
    headers = {"Authorization": f"Bearer {built.secret}"}
    with (
        run(command, port, log=log) as pid,
        httpx.Client(base_url=f"http://127.0.0.1:{port}", headers=headers, timeout=300) as client,
    ):
        yield Reader(built=built, port=port, pid=pid, workers=workers, client=client)


@contextmanager
def run_nginx(folder: Path, bodies: Mapping[str, bytes]) -> Iterator[Arm]:
    """The bodies as files, by the settings that were found fastest."""
    (folder / "html").mkdir(parents=True)
    for name, body in bodies.items():
        (folder / "html" / name).write_bytes(body)
    port, user = find_port(), "user root; " if os.geteuid() == 0 else ""
    (folder / "nginx.conf").write_text(_NGINX.format(user=user, folder=folder, port=port), encoding="utf-8")
    with run(["nginx", "-e", folder / "error.log", "-c", folder / "nginx.conf"], port) as pid:
        paths = {f"/{name}": len(body) for name, body in bodies.items()}
        yield make_arm(folder, "nginx", port=port, pid=pid, paths=paths, headers={})


@contextmanager
def run_bare(folder: Path, bodies: Mapping[str, bytes], *, workers: int) -> Iterator[Mapping[str, Arm]]:
    """An ASGI application on uvicorn that says one thing for each name, at once; an arm for each of them."""
    folder.mkdir(parents=True)
    for name, body in bodies.items():
        (folder / name).write_bytes(body)
    said = json.dumps({f"/{name}": str(folder / name) for name in bodies})
    (folder / "bare.py").write_text(_BARE, encoding="utf-8")
    port = find_port()
    with run([sys.executable, folder / "bare.py", port, workers, said], port, log=folder / "log") as pid:
        yield {
            name: make_arm(folder, name, port=port, pid=pid, paths={f"/{name}": len(body)}, headers={})
            for name, body in bodies.items()
        }
