# SPDX-License-Identifier: Apache-2.0
"""The folder of a node after a failure: read without the program's own words for it, and examined with them."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import apsw

from comity.ids import Instant
from comity.node.audit import audit_folder
from comity.node.clock import read_clock
from comity.node.heads import split_heads
from comity.node.node import open_node
from comity.node.soundness import Grade, examine_folder
from tests.faults.faulty import PlainConnection

__all__ = ["check_sound", "read_tables"]

Tables = Mapping[str, Sequence[tuple[Any, ...]]]


def read_tables(folder: Path) -> dict[str, list[tuple[Any, ...]]]:
    """Every row of every table, as another process sees them at this moment."""
    connection = PlainConnection(f"file:{folder / 'store.db'}?mode=ro", flags=apsw.SQLITE_OPEN_READONLY | 0x40)
    try:
        names = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        return {name: sorted(connection.execute(f'SELECT * FROM "{name}"'), key=repr) for name in names}
    finally:
        connection.close()


def check_sound(folder: Path, *, since: Tables, now: Instant | None = None, key_file: Path | None = None) -> None:
    """The node opens, `fsck` and `audit` find nothing, and its logs go on from what they were in `since`.

    The checkpoints outside the store are some that the store holds. A folder that was restored does not open, which is
    right. Encrypted keys are opened by what is in `key_file`.
    """
    if not (folder / "restored").exists():
        unlock = None if key_file is None else lambda: key_file.read_bytes().strip()
        open_node(folder, unlock).close()
    examined = examine_folder(folder)
    broken = [finding for finding in examined.findings if finding.grade is Grade.BROKEN]
    assert not broken, broken
    audit = audit_folder(folder, now=now or read_clock())
    assert not audit.findings, audit.findings
    after = read_tables(folder)
    for table in ("log_entry", "log_head"):
        assert set(since.get(table, ())) <= set(after[table]), f"{table}: what was there is not there any more"
    heads = {note for *_, note in after["log_head"]}
    assert not heads or (folder / "restored").exists() or set(split_heads((folder / "head").read_bytes())) <= heads
