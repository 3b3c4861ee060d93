# SPDX-License-Identifier: Apache-2.0
"""Each import contract is seen to break: a copy of the sources with one import too many."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LINT_IMPORTS = Path(sys.executable).with_name("lint-imports")

FLOORS = "Each unit imports only what is below it"
RELEASE = "Inside release"
LETTERS = "Inside letters"
PURE = "The pure floor touches no file, socket, clock, thread, randomness or logging"
CYCLES = "No cycles, also not for typing"
STATE = "One door to state and keys: the node, and the witness that is none"
DECISION = "One door to a decision"
REEXPORT = "The package release hands out no decision"

pytestmark = pytest.mark.slow


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A checkout's `src` and `pyproject.toml`, to break."""
    shutil.copytree(ROOT / "src", tmp_path / "src", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def find_broken(checkout: Path) -> list[str]:
    """The names of the contracts that do not hold there."""
    done = subprocess.run(
        [str(LINT_IMPORTS), "--no-logo", "--no-cache"],
        cwd=checkout,
        env={**os.environ, "PYTHONPATH": str(checkout / "src"), "COLUMNS": "500"},
        capture_output=True,
        text=True,
        check=False,
    )
    verdicts = re.findall(r"^(.+) (KEPT|BROKEN)$", done.stdout, re.MULTILINE)
    assert verdicts, done.stdout + done.stderr
    broken = [name for name, verdict in verdicts if verdict == "BROKEN"]
    assert bool(broken) == bool(done.returncode)
    return broken


def append(path: Path, line: str) -> None:
    path.parent.mkdir(exist_ok=True)
    (path.parent / "__init__.py").touch()  # outside a package no contract sees a module; ruff (INP001) refuses that
    with path.open("a", encoding="utf-8") as file:
        file.write(f"\n{line}\n")


def test_nothing_is_broken(copy: Path) -> None:
    assert find_broken(copy) == []


@pytest.mark.parametrize(
    ("module", "line", "contract"),
    [
        ("stix/objects.py", "import comity.release.clauses", FLOORS),
        ("stix/objects.py", "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import comity.node", FLOORS),
        ("stix/objects.py", "import comity.agreement.terms", FLOORS),
        ("store/sqlite.py", "import comity.keys", FLOORS),
        ("helpers.py", "", FLOORS),
        ("release/clauses.py", "import comity.release.decision", RELEASE),
        ("release/reach.py", "import comity.release.proof", RELEASE),
        ("release/anything.py", "", RELEASE),
        ("canonical.py", "import os.path", PURE),
        ("stix/labels.py", "from time import time", PURE),
        ("release/decision.py", "from logging import getLogger", PURE),
        ("signing.py", "import apsw", PURE),
        ("audit.py", "import comity.config", PURE),
        ("scenario/run.py", "from pathlib import Path", PURE),
        ("scenario/run.py", "import comity.node.standing", FLOORS),
        ("store/transaction.py", "import comity.store.feeds", CYCLES),
        ("cli/anything.py", "from comity.store import SqliteStore", STATE),
        ("taxii/anything.py", "import comity.store.feeds", STATE),
        ("audit.py", "import comity.keys", STATE),
        ("certificate.py", "import comity.keys", STATE),
        ("taxii/anything.py", "from comity.release.decision import decide", DECISION),
        ("node/ingest.py", "import comity.release.decision", DECISION),
        ("node/ingest.py", "import comity.release.preview", DECISION),
        ("release/facets.py", "import comity.release.decision", RELEASE),
        ("letters/recall.py", "import comity.letters.bodies", LETTERS),
        ("letters/anything.py", "", LETTERS),
        ("release/__init__.py", "from comity.release.decision import decide", REEXPORT),
    ],
)
def test_contract_breaks(copy: Path, module: str, line: str, contract: str) -> None:
    append(copy / "src" / "comity" / module, line)
    assert any(name.startswith(contract) for name in find_broken(copy))
