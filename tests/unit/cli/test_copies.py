# SPDX-License-Identifier: Apache-2.0
"""A copy of a node without its keys, as an auditor has it: its log is read there, and nothing else is done."""

import shutil
from pathlib import Path

import pytest

from tests.unit.cli.conftest import Comity, Party
from tests.unit.cli.test_commands import propose

READS = (
    ("log", "show", "0"),
    ("log", "show", "1"),
    ("log", "list", "--last", "9"),
    ("log", "figures"),
    ("log", "checkpoint"),
    ("log", "relationships"),
    ("log", "prove", "1"),
    ("log", "refused"),
)


@pytest.fixture
def copy(aurelia: Party, terms: Path, tmp_path: Path) -> Path:
    """The three files that an auditor is given."""
    propose(aurelia, terms)
    folder = tmp_path / "visit"
    folder.mkdir()
    for name in ("node.toml", "head", "store.db"):
        shutil.copy2(aurelia.folder / name, folder / name)
    return folder


def read_files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.parametrize("command", READS, ids=" ".join)
def test_its_log_is_read_as_at_the_node_and_nothing_is_written(
    aurelia: Party, comity: Comity, copy: Path, command: tuple[str, ...]
) -> None:
    before = read_files(copy)
    for form in ((), ("--json",)):
        there = aurelia.do(*command, *form)
        here = comity("--node", copy, *command, *form)
        assert (here.code, here.out, here.err) == (0, there.out, "")
    assert read_files(copy) == before


def test_an_entry_that_is_not_there_is_not_found(comity: Comity, copy: Path) -> None:
    assert comity("--node", copy, "log", "show", "999").code == 5


@pytest.mark.parametrize("command", [("person", "list"), ("agreement", "list")], ids=" ".join)
def test_all_else_asks_for_the_keys(comity: Comity, copy: Path, command: tuple[str, ...]) -> None:
    done = comity("--node", copy, *command, "--json")
    assert (done.code, done.error["code"]) == (1, "config")
    assert "private key" in done.error["message"]


def test_a_node_with_its_keys_is_opened_and_owned(aurelia: Party, comity: Comity, terms: Path) -> None:
    """A store that is older than its last checkpoint is not read as if it were the newest."""
    old = (aurelia.folder / "store.db").read_bytes()
    propose(aurelia, terms)
    (aurelia.folder / "store.db").write_bytes(old)
    assert comity("--node", aurelia.folder, "log", "list", "--json").error["code"] == "rolled-back"
