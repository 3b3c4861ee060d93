# SPDX-License-Identifier: Apache-2.0
"""A file is cut off by a signal, or nobody hears what came of it: the same command again completes it."""

import json
import os
import signal
import subprocess
import sys
import time
import uuid
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.e2e.conftest import COMITY, PATIENCE, comity, environment, rows, wait_until
from tests.worlds import World

pytestmark = [pytest.mark.slow, pytest.mark.e2e]

COUNT = 1_500
MANY = 12_000
"""Persons of a list that takes a dozen acts: it is far from done when the first of them is seen."""

PERSON = (
    "<INDIVIDUAL><FIRST_NAME>Person {0}</FIRST_NAME><REFERENCE_NUMBER>QDi.{0}</REFERENCE_NUMBER>"
    "<COMMENTS1>Kept the tolls of the ford.</COMMENTS1></INDIVIDUAL>"
)
EVENTS = 12
IN_PYTHON = "import os, sys; os.close(int(sys.argv[1])); os.execv(sys.executable, [sys.executable, *sys.argv[2:]])"
"""A program that is started without one of its streams."""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    world = World(tmp_path)
    world.found("aurelia")
    world.close()
    return tmp_path / "aurelia"


@pytest.fixture(scope="module")
def listed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_list(tmp_path_factory.mktemp("listed") / "list.xml", COUNT)


def write_list(path: Path, count: int) -> Path:
    people = "".join(PERSON.format(number) for number in range(count))
    path.write_text(
        f'<CONSOLIDATED_LIST dateGenerated="2031-03-01"><INDIVIDUALS>{people}</INDIVIDUALS></CONSOLIDATED_LIST>'
    )
    return path


def add(folder: Path, path: Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [*COMITY, "--node", folder, "object", "add", path],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment(),
        # Whoever runs the tests in the background has this one ignored.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509
    )


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_whoever_stops_it_completes_it_by_the_same_command(
    folder: Path, tmp_path: Path, number: signal.Signals
) -> None:
    listed = write_list(tmp_path / "list.xml", MANY)
    process = add(folder, listed)
    wait_until(lambda: process.poll() is not None or bool(rows(folder, "SELECT 1 FROM file WHERE added > 0")))
    process.send_signal(number)
    out, err = process.communicate(timeout=PATIENCE)
    assert out == b""
    assert process.returncode in {130, -number}
    assert err.decode().splitlines()[-1] == "error: interrupted; what was kept before stands"
    ((added, done_at),) = rows(folder, "SELECT added, done_at FROM file")
    assert (0 < added < MANY, done_at) == (True, None)
    done = comity(folder, "object", "add", listed, "--json")
    assert (done.code, json.loads(done.out)["added"]) == (0, MANY - added)
    assert rows(folder, "SELECT COUNT(*), COUNT(DISTINCT id) FROM object") == [(MANY, MANY)]
    assert rows(folder, "SELECT added, known, unread FROM file") == [(MANY, 0, 0)]
    assert comity(folder, "fsck").code == 0


def list_children(pid: int) -> list[int]:
    """The processes that this one has started and that are there."""
    found = list[int]()
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            words = status.read_text().rpartition(")")[2].split()
        except OSError:  # it has ended meanwhile
            continue
        if int(words[1]) == pid:
            found.append(int(status.parent.name))
    return found


@pytest.mark.skipif(find_spec("misp_stix_converter") is None, reason="needs comity[misp]")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_what_converts_ends_with_the_command(folder: Path, tmp_path: Path, number: signal.Signals) -> None:
    def make(kind: str, key: int) -> str:
        return str(uuid.UUID(bytes=uuid.uuid5(uuid.NAMESPACE_OID, f"{kind} {key}").bytes, version=4))

    attributes = [
        {"uuid": make("attribute", key), "type": "ip-dst", "category": "Network activity", "value": f"198.51.100.{key}"}
        for key in range(250)
    ]
    events = [{"uuid": make("event", key), "info": f"Tolls {key}", "Attribute": attributes} for key in range(EVENTS)]
    path = tmp_path / "events.json"
    path.write_text(json.dumps({"response": [{"Event": event} for event in events]}))
    process, started = add(folder, path), list[int]()

    def has_started() -> bool:
        started[:] = list_children(process.pid)
        return process.poll() is not None or bool(started)

    wait_until(has_started)
    time.sleep(0.5)
    process.send_signal(number)
    process.communicate(timeout=PATIENCE)
    assert started
    wait_until(lambda: not any(Path(f"/proc/{child}").exists() for child in started))
    assert comity(folder, "object", "files", "--json").code == 0


@pytest.mark.parametrize("stream", [0, 1, 2])
def test_without_a_stream_it_is_done_all_the_same(folder: Path, listed: Path, stream: int) -> None:
    command = [*COMITY[1:], "--node", str(folder), "object", "add", str(listed)]
    assert COMITY[0] == sys.executable
    done = subprocess.run(
        [sys.executable, "-c", IN_PYTHON, str(stream), *command],
        capture_output=True,
        check=False,
        env=environment(),
        timeout=PATIENCE,
    )
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout == (b"" if stream == 1 else f"{COUNT} added, 0 known already, 0 bad\n".encode())
    assert comity(folder, "fsck").code == 0


def test_what_nobody_reads_is_done_and_not_called_done(folder: Path, listed: Path) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    command = [*COMITY, "--node", str(folder), "object", "add", str(listed)]
    done = subprocess.run(command, stdout=writing, stderr=subprocess.PIPE, check=False, env=environment())
    os.close(writing)
    assert done.returncode == 1
    again = comity(folder, "object", "add", listed, "--json")
    assert (again.code, json.loads(again.out)["files"][0]["already"]) == (0, True)
