# SPDX-License-Identifier: Apache-2.0
"""What a node can be asked to do is there, and is loaded when it should be."""

import inspect
import json
import subprocess
import sys
from pathlib import Path

import pytest

from comity.cli import run
from comity.operations.table import OPERATIONS, find_operation


@pytest.mark.parametrize("name", OPERATIONS)
def test_every_operation_takes_a_node_and_arguments(name: str) -> None:
    operation = find_operation(name)
    assert operation is not None
    types = list(inspect.get_annotations(operation).values())
    assert [getattr(one, "__name__", one) for one in types] == ["Node", "Arguments", "Outcome"]


def test_what_is_no_operation_is_not_looked_for() -> None:
    assert find_operation("os:system") is None
    assert find_operation("__init__:x") is None


def list_loaded(arguments: list[str]) -> set[str]:
    """The modules of operations that a command loads in a process of its own."""
    script = (
        "import json, sys; from comity.cli import run; run(sys.argv[1:]);"
        " print(json.dumps([name for name in sys.modules if name.startswith('comity.operations.')]))"
    )
    done = subprocess.run([sys.executable, "-c", script, *arguments], capture_output=True, text=True, check=True)
    return set(json.loads(done.stdout.splitlines()[-1]))


ALL = {f"comity.operations.{where.partition(':')[0]}" for where in OPERATIONS.values()}


def test_the_process_that_serves_loads_all_before_it_opens_anything(tmp_path: Path) -> None:
    """Else it could load code of another version later on, when that has been put in the place of its own."""
    assert list_loaded(["--node", str(tmp_path / "nothing"), "serve"]) >= ALL


def test_a_command_does_not_load_what_others_need(tmp_path: Path) -> None:
    assert run(["init", str(tmp_path / "aurelia"), "--party", "aurelia", "--name", "Aurelia"]) == 0
    loaded = list_loaded(["--node", str(tmp_path / "aurelia"), "log", "list"])
    assert "comity.operations.journal" in loaded
    assert len(loaded & ALL) < len(ALL) / 4
