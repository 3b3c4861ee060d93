# SPDX-License-Identifier: Apache-2.0
"""The few lines that an auditor runs over two visits (docs/howto/verify-a-log.md) say what is so."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from comity.node.heads import split_heads
from tests.worlds import World, make_object

_PAGE = Path(__file__).parents[2] / "docs" / "howto" / "verify-a-log.md"


def hold(world: World, kept: bytes) -> str:
    """What the script says of the log of aurelia and a checkpoint that was kept."""
    (script,) = re.findall(r"```python\n(.*?)```", _PAGE.read_text(), re.DOTALL)
    (world.folder / "script.py").write_text(script)
    (world.folder / "kept").write_bytes(kept)
    command = [sys.executable, str(world.folder / "script.py"), str(world.nodes["aurelia"].folder)]
    return subprocess.run(
        [*command, str(world.folder / "kept")], check=True, capture_output=True, text=True
    ).stdout.strip()


@pytest.mark.parametrize("last", ["of the house", "of a relationship"])
def test_a_head_that_was_kept_is_found_whichever_log_had_the_last_entry(tmp_path: Path, last: str) -> None:
    world = World(tmp_path)
    world.found("aurelia", "borealia")
    world.sign_all(world.terms())
    world.add("aurelia", make_object("a"))
    world.poll("borealia")
    if last == "of a relationship":
        world.add("aurelia", make_object("b"))
        world.poll("borealia")
    kept = (world.nodes["aurelia"].folder / "head").read_bytes()
    assert len(split_heads(kept)) == (2 if last == "of a relationship" else 1)
    world.poll("borealia")
    assert hold(world, kept) == "your checkpoint is in this log"
    assert hold(world, kept.replace(b"\xe2\x80\x94 comity/aurelia ", b"\xe2\x80\x94 comity/aurelia A", 1)) == (
        "NOT THE LOG YOU SAW BEFORE"
    )
    world.close()
