# SPDX-License-Identifier: Apache-2.0
"""The speed suite, run at a tiny size: that it runs, and that it stops where an answer is not the right one."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PATH = "/usr/bin:/bin:/usr/sbin:/usr/local/bin"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.e2e,
    pytest.mark.skipif(
        shutil.which("wrk") is None or shutil.which("nginx") is None,
        reason="needs wrk and nginx: apt-get install wrk nginx-light",
    ),
]

WRONG = """
import sys
from pathlib import Path
from arms import ask, run_bare
with run_bare(Path(sys.argv[1]), {"right": b"x" * 10_000}, workers=1) as arms:
    arm = arms["right"]
    ask(arm, concurrency=1, seconds=1)
    print("the right length was taken", flush=True)
    if sys.argv[2] == "length":
        arm.sizes = [20_000]
    else:
        arm.script.write_text(arm.script.read_text().replace('"/right"', '"/wrong"'))
    ask(arm, concurrency=1, seconds=1)
"""


def test_what_was_measured_is_written_with_its_target_and_without_the_name_of_any_place(tmp_path: Path) -> None:
    sizes = ["--objects", "1200", "--agreements", "2", "--rounds", "1", "--concurrency", "4"]
    parts = ["--only", "pages", "--results", str(tmp_path), "--name", "tiny"]
    command = [sys.executable, str(ROOT / "bench" / "all.py"), "--quick", *sizes, *parts]
    ran = subprocess.run(command, capture_output=True, text=True, check=False, timeout=900)
    assert ran.returncode == 0, ran.stderr
    found = json.loads((tmp_path / "tiny.json").read_text(encoding="utf-8"))
    row, over, least = found["rows"]
    assert [one["key"] for one in (over, least)] == ["pages-over-least", "least-pages"]
    assert {one["target"] for one in (over, least)} == {""}
    assert (row["objects"], row["agreements"], row["workers"], row["concurrency"]) == (1_200, 2, 1, 4)
    assert row["value"] > 0
    assert row["ratio"] == pytest.approx(row["value"] / row["its_value"])
    assert (row["target"], row["reached"]) == ("≥ 0.5×", row["ratio"] >= 0.5)
    said = json.dumps(found)
    assert str(ROOT) not in said
    assert str(tmp_path) not in said


@pytest.mark.parametrize("wrong", ["length", "status"])
def test_a_server_that_does_not_give_the_right_answer_is_not_measured(tmp_path: Path, wrong: str) -> None:
    command = [sys.executable, "-c", WRONG, str(tmp_path / "bare"), wrong]
    ran = subprocess.run(
        command, cwd=ROOT / "bench", env={"PATH": PATH}, capture_output=True, text=True, check=False, timeout=600
    )
    assert ran.returncode == 1
    assert ran.stdout == "the right length was taken\n"
    assert "right: not every answer was the right one" in ran.stderr
