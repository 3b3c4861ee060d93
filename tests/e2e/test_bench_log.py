# SPDX-License-Identifier: Apache-2.0
"""The benchmark of the log, run at a tiny size: that it measures what it says, and names no place."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

pytestmark = [pytest.mark.slow, pytest.mark.e2e]


def test_what_the_log_costs_is_written_with_its_targets(tmp_path: Path) -> None:
    sizes = ["--entries", "1200", "--sizes", "300", "70000", "--rounds", "1", "--appends", "4", "--proofs", "2"]
    command = [sys.executable, str(ROOT / "bench" / "log.py"), *sizes, "--results", str(tmp_path)]
    ran = subprocess.run(command, capture_output=True, text=True, check=False, timeout=900, cwd=tmp_path)
    assert ran.returncode == 0, ran.stderr
    found = json.loads((tmp_path / "log.json").read_text(encoding="utf-8"))
    rows = found["rows"]
    assert all(row["value"] > 0 for row in rows)
    assert {row["entries"] for row in rows} >= {300, 70_000}
    (leaf,) = (row for row in rows if row["work"] == "an entry of a page: its leaf")
    assert (leaf["reached"], leaf["target"]) == (leaf["value"] <= 300, 300)
    held = [row for row in rows if row["against"] and row["target"]]
    assert held
    assert all(row["ratio"] == pytest.approx(row["value"] / row["its_value"]) for row in held)
    assert all(row["reached"] == (row["ratio"] <= row["target"]) for row in held)
    said = json.dumps(found) + (tmp_path / "README.md").read_text(encoding="utf-8")
    assert str(ROOT) not in said
    assert str(tmp_path) not in said
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith("bench-log")] == []
