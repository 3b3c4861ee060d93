# SPDX-License-Identifier: Apache-2.0
"""A person at a terminal sees how far long work is; a script sees nothing of it."""

import json
import os
import re
import subprocess
from pathlib import Path

import pytest

from tests.e2e.conftest import COMITY, PATIENCE, environment, serving
from tests.worlds import World, make_object

pytestmark = [pytest.mark.slow, pytest.mark.e2e]

BUNDLE = "bundle--4b2e5f2e-8f0e-4a52-9d0c-111111111118"
COUNT = 12_000
"""Objects of the bundle: a dozen acts, which take longer than the moments between two tellings."""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    world = World(tmp_path)
    world.found("aurelia")
    world.close()
    return tmp_path / "aurelia"


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("bundle") / "many.json"
    many = [make_object(f"finding {number}", kind="identity") for number in range(COUNT)]
    path.write_text(json.dumps({"type": "bundle", "id": BUNDLE, "objects": many}))
    return path


def look_on(folder: Path, *arguments: str | Path) -> tuple[int, str, str]:
    """The exit code, and what came on standard output and on a terminal that is standard error."""
    out, (ours, theirs) = folder / "out.txt", os.openpty()
    try:
        with out.open("wb") as written:
            process = subprocess.Popen(
                [*COMITY, "--node", folder, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=written,
                stderr=theirs,
                env={**environment(), "TERM": "xterm"},
            )
        os.close(theirs)
        seen = bytearray()
        while part := read_part(ours):
            seen += part
        code = process.wait(PATIENCE)
    finally:
        os.close(ours)
    return code, out.read_text(), seen.decode()


def read_part(terminal: int) -> bytes:
    try:
        return os.read(terminal, 1 << 16)
    except OSError:  # nobody has the other end any more (EIO, pty(7))
        return b""


def find_shares(seen: str) -> list[int]:
    return [int(share) for share in re.findall(r"(\d+)%", seen)]


@pytest.mark.parametrize("is_served", [False, True], ids=["alone", "served"])
def test_a_terminal_sees_how_far_a_file_is(folder: Path, bundle: Path, is_served: bool) -> None:
    if is_served:
        with serving(folder):
            code, out, seen = look_on(folder, "object", "add", bundle)
    else:
        code, out, seen = look_on(folder, "object", "add", bundle)
    assert code == 0
    assert f"{COUNT}" in out
    shares = find_shares(seen)
    assert shares == sorted(shares)
    assert [share for share in shares if 0 < share < 100] != []
    assert "taking in" in seen
    assert "%" not in out


def test_a_terminal_sees_how_many_articles_are_read(folder: Path, tmp_path: Path) -> None:
    files = [tmp_path / f"{number}.txt" for number in range(4)]
    for number, file in enumerate(files):
        file.write_text(f"Talks go on\n\nMarch 4, 2031\n\nThe Minister of Tides denied it {number} times in Lisbon.\n")
    code, _, seen = look_on(folder, "article", "add", *files)
    assert code == 0
    assert {25, 50, 75, 100} <= {*find_shares(seen)}


def test_a_script_sees_nothing_of_it(folder: Path, bundle: Path) -> None:
    code, out, seen = look_on(folder, "object", "add", bundle, "--json")
    assert (code, seen) == (0, "")
    assert json.loads(out)["added"] == COUNT
    done = subprocess.run(
        [*COMITY, "--node", folder, "object", "add", bundle],
        capture_output=True,
        check=True,
        env=environment(),
        timeout=PATIENCE,
    )
    assert b"%" not in done.stdout + done.stderr
