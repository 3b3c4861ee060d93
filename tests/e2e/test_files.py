# SPDX-License-Identifier: Apache-2.0
"""A long file is taken in within a bound of memory, by the serving process too, and goes on wherever it was killed."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from signal import SIGKILL

import pytest

from tests.e2e.conftest import COMITY, PATIENCE, Serving, comity, environment, rows, wait_until
from tests.worlds import World, make_object

pytestmark = [pytest.mark.slow, pytest.mark.e2e]

_MEBIBYTE = 1 << 20
LONG = (200 if os.environ.get("COMITY_FAULTS") == "all" else 80) * _MEBIBYTE
"""More than is taken in whole (`node.intake.WHOLE_BYTES`), and than may go over the control socket."""

FILLING = "What is known of the Ashfall Column, its depots and its tolls. " * 300
MOST_KIB = 200 * 1024
MEASURE = """
import sys
from contextlib import closing
from pathlib import Path
from comity.node.files import PathFile
from comity.node.intake import Plan, take_file
from comity.node.node import open_node
with closing(open_node(Path(sys.argv[1]))) as node:
    done = take_file(node, PathFile(Path(sys.argv[2]), name="long.json"), Plan())
most = next(line.split()[1] for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
print(done.added_count, done.bad_count, most)
"""
"""`ru_maxrss` would count what the process had that started this one."""


@pytest.fixture(scope="module")
def long(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, int]:
    """A bundle of over 64 MiB with one bad object in it, and how many good ones it has."""
    path, count = tmp_path_factory.mktemp("long") / "long.json", 0
    with path.open("wb") as file:
        file.write(b'{"type":"bundle","id":"bundle--4b2e5f2e-8f0e-4a52-9d0c-111111111119","objects":[{"type":"x"}')
        while file.tell() < LONG:
            made = make_object(f"long {count}", kind="identity", more={"description": f"{count} {FILLING}"})
            file.write(b",\n" + json.dumps(made).encode())
            count += 1
        file.write(b"]}")
    return path, count


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    world = World(tmp_path)
    world.found("aurelia")
    world.close()
    return tmp_path / "aurelia"


def test_a_long_file_is_taken_in_within_a_bound_of_memory(folder: Path, long: tuple[Path, int]) -> None:
    path, count = long
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, folder, path], capture_output=True, check=True, env=environment(), timeout=600
    )
    added, bad, most = map(int, done.stdout.split())
    assert (added, bad) == (count, 1)
    assert most < MOST_KIB


def test_wherever_it_is_killed_it_goes_on(folder: Path, long: tuple[Path, int]) -> None:
    path, count = long
    kills = list[int]()
    for part in (0, 0.05, 0.2, 0.4):
        process = subprocess.Popen(
            [*COMITY, "--node", folder, "object", "add", path], stdout=subprocess.DEVNULL, env=environment()
        )
        time.sleep(0.5)
        wait_until(lambda: process.poll() is not None or count_added(folder) >= part * count, seconds=600)  # noqa: B023
        process.send_signal(SIGKILL)
        if process.wait() == -SIGKILL:
            kills += [item[0] for item in rows(folder, "SELECT added FROM file")]
    done = comity(folder, "object", "add", path, "--json", seconds=600)
    assert done.code == 1
    ((added, known, unread, done_at),) = rows(folder, "SELECT added, known, unread, done_at FROM file")
    assert (added, known, unread, done_at is not None) == (count, 0, 1, True)
    assert rows(folder, "SELECT COUNT(*), COUNT(DISTINCT id) FROM object") == [(count, count)]
    assert rows(folder, "SELECT COUNT(*) FROM from_file WHERE added = 1") == [(count,)]
    assert kills == sorted(kills)
    assert kills
    assert kills[-1] > 0
    assert comity(folder, "fsck", seconds=600).code == 0


def count_added(folder: Path) -> int:
    """How many objects of the one file are in, once it is known."""
    return sum(row[0] for row in rows(folder, "SELECT added FROM file"))


def test_a_serving_process_reads_a_long_file_by_its_path_and_says_meanwhile_how_far_it_is(
    folder: Path, long: tuple[Path, int], serve: Callable[..., Serving]
) -> None:
    path, count = long
    serve(folder)
    process = subprocess.Popen(
        [*COMITY, "--node", folder, "object", "add", path, "--json"], stdout=subprocess.PIPE, env=environment()
    )
    seen = set[int]()

    def look() -> bool:
        done = comity(folder, "object", "files", "--json")
        (file,) = json.loads(done.out)["files"] or [{"records": 0, "done_at": None}]
        seen.add(file["records"])
        return file["done_at"] is not None

    wait_until(look, seconds=300)
    out, _ = process.communicate(timeout=PATIENCE)
    said = json.loads(out)
    assert (said["added"], said["bad"], said["files"][0]["taken"]["name"]) == (count, 1, path.name)
    assert len(seen) > 2
    again = comity(folder, "object", "add", path, "--json", seconds=300)
    assert json.loads(again.out)["files"][0]["already"]
