# SPDX-License-Identifier: Apache-2.0
"""The program as a user runs it, in processes of its own, and a store read without the program's own words for it."""

import base64
import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import apsw
import httpx
import pytest

from comity.agreement.people import Role
from comity.operations.reply import Exit
from tests.e2e.program import run_program
from tests.worlds import badge_path

COMITY = (sys.executable, "-m", "comity.cli")
PATIENCE = 120.0
"""Seconds for whatever has to come true, on a machine that has other work: only what never comes takes as long."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """What one process came to."""

    code: int
    out: str
    err: str

    @property
    def result(self) -> dict[str, Any]:
        """The one JSON document on standard output; then standard error is empty."""
        assert self.err == ""
        value = json.loads(self.out)
        assert isinstance(value, dict)
        return value

    @property
    def error(self) -> dict[str, Any]:
        """The one JSON document on standard error; then standard output is empty."""
        assert self.out == ""
        value = json.loads(self.err)
        assert list(value) == ["error"]
        return dict(value["error"])


def environment() -> dict[str, str]:
    """This process's environment without what would name a node or an address."""
    return {name: value for name, value in os.environ.items() if not name.startswith("COMITY_")}


def comity(folder: Path, *arguments: str | Path, given: bytes = b"", seconds: float = PATIENCE) -> Ended:
    """`comity --node FOLDER …`, with `given` on its standard input, by as many of its people as it takes."""
    done = comity_as(Role.LIAISON, folder, *arguments, given=given, seconds=seconds)
    waits = done.code == Exit.WAITING
    return comity_as(Role.LEGAL, folder, *arguments, given=given, seconds=seconds) if waits else done


def comity_as(role: Role, folder: Path, *arguments: str | Path, given: bytes = b"", seconds: float = PATIENCE) -> Ended:
    """The same, by the one person with this role, if the node in the folder has any."""
    badge = badge_path(folder, role)
    who: list[str | Path] = ["--as", badge] if badge.exists() else []
    done = run_program(["--node", folder, *who, *arguments], given=given, env=environment(), seconds=seconds)
    return Ended(code=done.code, out=done.out.decode(), err=done.err.decode())


@dataclass(slots=True)
class Serving:
    """A node's serving process. What it writes to standard error goes to `faults`."""

    process: subprocess.Popen[bytes]
    folder: Path
    faults: Path
    url: str = ""
    console: str | None = None

    def wait_ready(self) -> "Serving":
        """Itself, once it has said where it listens."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, self.faults.read_text(encoding="utf-8")
        ready = json.loads(line)
        self.url, self.console = str(ready["url"]), ready.get("console")
        return self

    def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Its exit code, after a signal to it alone."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        try:
            return self.process.wait(PATIENCE)
        finally:
            if self.process.poll() is None:
                self.process.kill()
                self.process.wait()
            if self.process.stdout is not None:
                self.process.stdout.close()


def start(folder: Path, faults: Path | None = None, *, workers: int = 1) -> Serving:
    """`comity serve` on a free port of the loopback interface, just started; by so many workers."""
    faults = faults or folder.with_name(f"{folder.name}.faults")
    with faults.open("ab") as file:
        process = subprocess.Popen(
            [*COMITY, "--node", folder, "serve", "--listen", "127.0.0.1:0", "--json", "--workers", str(workers)],
            stdout=subprocess.PIPE,
            stderr=file,
            env=environment(),
        )
    return Serving(process, folder, faults)


@contextmanager
def serving(folder: Path, faults: Path | None = None, *, workers: int = 1) -> Iterator[Serving]:
    """The serving process of the node in `folder`, ready, until the block ends."""
    server = start(folder, faults, workers=workers)
    try:
        yield server.wait_ready()
    finally:
        server.end(signal.SIGTERM)


@pytest.fixture
def serve() -> Iterator[Callable[..., Serving]]:
    """Serve nodes until the test ends."""
    servers = list[Serving]()

    def serve_one(folder: Path, workers: int = 1) -> Serving:
        servers.append(start(folder, workers=workers))
        return servers[-1].wait_ready()

    yield serve_one
    for server in servers:
        server.end(signal.SIGKILL)


def get(url: str, secret: str | None, **parameters: str) -> httpx.Response:
    """The answer to a TAXII request by whoever has `secret`."""
    headers = {} if secret is None else {"authorization": f"Bearer {secret}"}
    return httpx.get(url, headers=headers, params=parameters, timeout=PATIENCE, trust_env=False)


def wait_until(holds: Callable[[], bool], seconds: float = PATIENCE) -> None:
    """Return once `holds` says so."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "what was waited for did not happen"
        time.sleep(0.05)


# --- the store, read by plain SQL -------------------------------------------------------------------------------------


def rows(folder: Path, sql: str, *parameters: str | int) -> list[tuple[Any, ...]]:
    """The rows of a query on the store of the node in `folder`, which may be served meanwhile."""
    connection = apsw.Connection(f"file:{folder / 'store.db'}?mode=ro", flags=apsw.SQLITE_OPEN_READONLY | 0x40)
    try:
        connection.set_busy_timeout(60_000)
        return list(connection.execute(sql, parameters))
    finally:
        connection.close()


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """How much is in a store."""

    objects: int
    bodies: int
    entries: int
    events: int
    parties: int
    terms: int


def count(folder: Path) -> Counts:
    """How much the store of the node in `folder` holds."""
    tables = {
        "objects": "object",
        "bodies": "body",
        "entries": "log_entry",
        "events": "event",
        "parties": "party",
        "terms": "terms",
    }
    return Counts(**{name: rows(folder, f"SELECT COUNT(*) FROM {table}")[0][0] for name, table in tables.items()})


@dataclass(frozen=True, slots=True, order=True)
class Given:
    """One object as it was given, or as the log says it was."""

    id: str
    version: str
    digest: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One entry of a log: its leaf and its content."""

    position: int
    leaf: dict[str, Any]
    content: dict[str, Any]

    @property
    def given(self) -> tuple[Given, ...]:
        """The objects of a disclosure that left as bytes, in order."""
        listed = self.content.get("objects", [])
        return tuple(Given(item["id"], item["version"], item["digest"]) for item in listed if item["digest"])


def entries(folder: Path, start_at: int = 0) -> list[Entry]:
    """The log of the node in `folder` from entry `start_at` on."""
    found = rows(
        folder,
        "SELECT e.position, e.leaf, o.content, COALESCE(l.data, CAST('{}' AS BLOB)) FROM log_entry e"
        " JOIN log_opening o USING (position) LEFT JOIN log_listing l ON l.id = o.listing"
        " WHERE e.position >= ? ORDER BY e.position",
        start_at,
    )
    return [
        Entry(position=position, leaf=json.loads(leaf), content=json.loads(content) | json.loads(listing))
        for position, leaf, content, listing in found
    ]


def disclosed(folder: Path, recipient: str) -> set[Given]:
    """What the log of the node in `folder` says that `recipient` was given, as bytes."""
    return {item for entry in entries(folder) if entry.leaf["recipient"] == recipient for item in entry.given}


def read_objects(text: bytes) -> Iterator[Given]:
    """The whole objects of an envelope or bundle, also of one cut short, with the digest of their bytes.

    This reads the received bytes by itself, so that it cannot share a mistake with what wrote them.
    """
    decoder = json.JSONDecoder()
    whole = text.decode("utf-8", "ignore")
    position = whole.find("[", whole.find('"objects"')) + 1
    while position:
        while whole[position : position + 1] in {" ", "\n", "\r", "\t", ","}:
            position += 1
        try:
            value, end = decoder.raw_decode(whole, position)
        except json.JSONDecodeError:
            return
        yield Given(value["id"], value.get("modified", value.get("created", "")), digest(whole[position:end].encode()))
        position = end


def digest(data: bytes) -> str:
    """SHA-256, in hexadecimal."""
    return hashlib.sha256(data).hexdigest()


def read_payload(envelope: bytes) -> tuple[str, dict[str, Any]]:
    """The digest of what a signed document says, and what it says; no signature is looked at."""
    payload = base64.b64decode(json.loads(envelope)["payload"], validate=True)
    return digest(payload), json.loads(payload)
