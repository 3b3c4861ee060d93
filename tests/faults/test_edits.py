# SPDX-License-Identifier: Apache-2.0
"""Whoever can write the file of a store alters one value of it, or takes one row away, and `audit` or `fsck` names it.

The triggers that refuse it are dropped and put back. Every column of every table that has a row is altered, but for
what is listed in SILENT with the reason why nobody is deceived by it, or why nobody could tell.
"""

import random
import shutil
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from comity.errors import ComityError
from comity.ids import Instant
from comity.node.audit import audit_folder
from comity.node.soundness import examine_folder
from tests.faults.breadth import read_breadth
from tests.faults.lived import B, live

pytestmark = [pytest.mark.slow]

COPY = "copied out of what was signed, or found again by it, and read from there where something is decided or shown"
PROPOSES = "proposes what may be given: the decision is made of the label, so that at most something is withheld"
LOCAL = "how far this node is, what waits and what it counts: no entry says it, and nobody is told"
OWN_WORD = "this party's own word, of which no entry says anything; what others signed of it is verified"
SECRET = "the hash of a secret, which is in no entry: another lets in whoever controls the folder, who comes in anyhow"
ORDER = "the order alone, which stays as it was"
OPEN = "not found missing, but what could not be decided again without it is told"

SILENT: Mapping[str, str] = {
    **dict.fromkeys(["event.at", "event.clause", "event.re", "event.text", "disclosure_mark", "terms.version"], COPY),
    **dict.fromkeys(["label.facets", "label.partly_marked", "label_word", "facet", "feed", "release"], PROPOSES),
    **dict.fromkeys(["object.seq", "object.first_seq", "said"], PROPOSES),
    **dict.fromkeys(["agreement.added_at", "change_count", "meta", "migration", "following", "pull_position"], LOCAL),
    **dict.fromkeys(["pull_use", "write_use", "write_status", "credential.used_day", "log_reader.used_day"], LOCAL),
    **dict.fromkeys(["letter.state", "letter.progress", "letter.due_at", "relationship_log", "seen_checkpoint"], LOCAL),
    **dict.fromkeys(
        ["outbox", "acknowledgement.sent", "acknowledgement.taken_at", "witnessed_head.cosigned_at"], LOCAL
    ),
    **dict.fromkeys(["letter.because emptied", "letter.answered_by emptied"], LOCAL),
    **dict.fromkeys(["party.name", "party.state", "party.url", "party.added_at", "person.name"], OWN_WORD),
    **dict.fromkeys(["object.added_at", "receipt.received_at", "receipt.arrived", "recall_result"], OWN_WORD),
    **dict.fromkeys(["tombstone.receipt", "tombstone.place", "recalled.newer", "tag.list", "tag.version"], OWN_WORD),
    **dict.fromkeys(["came_before.* deleted", "came_before.receipt", "clashed", "overtaking"], OWN_WORD),
    **dict.fromkeys(["list_entry.entry", "list_entry.subject"], OWN_WORD),
    **dict.fromkeys(["credential.hash", "log_reader.hash", "person.secret"], SECRET),
    **dict.fromkeys(["letter_object.place", "letter.position", "subject_list.id", "tag.id", "event.position"], ORDER),
    "log_policy": OPEN,
    "log_head": "of an act that is over: that of every cosignature is asked for, and the last one of each log",
    "cosignature": "what a witness has said it keeps itself; without it fewer count, and none is made up",
}
"""Tables, and columns of tables, of which a changed value need not be named."""


@dataclass(frozen=True, slots=True)
class Edit:
    """One row of a table is deleted, or one column of it altered or emptied."""

    table: str
    column: str
    how: str

    @property
    def names(self) -> set[str]:
        """By which it can be listed."""
        name = f"{self.table}.{self.column}"
        return {self.table, name, f"{name} {self.how}"}


@dataclass(frozen=True, slots=True)
class Lived:
    """The folder of a node that has done much, what is wrong with it, and when it is."""

    folder: Path
    now: Instant

    def examine(self, folder: Path) -> list[str]:
        """What `audit` and `fsck` find."""
        try:
            found = [finding.problem for finding in audit_folder(folder, now=self.now).findings]
        except ComityError as error:
            found = [error.detail]
        return found + [item.what for item in examine_folder(folder).findings]


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory) -> Lived:
    folder = tmp_path_factory.mktemp("lived")
    return Lived(folder / B, live(folder))


def list_edits(folder: Path) -> Iterator[Edit]:
    """Every column of every table that has a row, and every such table."""
    with closing(sqlite3.connect(folder / "store.db")) as store:
        tables = store.execute("SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'")
        used = [name for (name,) in sorted(tables) if store.execute(f'SELECT 1 FROM "{name}"').fetchone() is not None]
        for table in used:
            columns = store.execute(f'PRAGMA table_info("{table}")').fetchall()
            yield Edit(table, "*", "deleted")
            yield from (Edit(table, column[1], "altered") for column in columns)
            yield from (Edit(table, column[1], "emptied") for column in columns if not column[3])


def alter(value: Any) -> Any:  # noqa: ANN401 (whatever SQLite holds)
    """Another value of the same kind."""
    match value:
        case None:
            return 1
        case int():
            return value + 1
        case bytes():
            return value[:-1] + bytes([value[-1] ^ 1]) if value else b"x"
        case _:
            half = len(value) // 2
            return value[:half] + ("1" if value[half : half + 1] != "1" else "2") + value[half + 1 :]


def make(edit: Edit, folder: Path) -> bool:
    """Whether there was something to edit that the schema can hold otherwise."""
    draw = random.Random(str(edit))
    with closing(sqlite3.connect(folder / "store.db", isolation_level=None)) as store:
        store.execute("PRAGMA ignore_check_constraints = ON")
        triggers = store.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'").fetchall()
        for name, _ in triggers:
            store.execute(f'DROP TRIGGER "{name}"')
        where, keys = find_keys(store, edit.table)
        key = draw.choice(keys)
        made = run(store, edit, where, key)
        for _, text in triggers:
            store.execute(text)
        return made


def find_keys(store: sqlite3.Connection, table: str) -> tuple[str, Sequence[tuple[Any, ...]]]:
    """The condition that names a row, and what names each."""
    primary = [row[1] for row in store.execute(f'PRAGMA table_info("{table}")') if row[5]]
    names = primary or ["rowid"]
    rows = store.execute(f'SELECT {", ".join(names)} FROM "{table}"').fetchall()
    return " AND ".join(f"{name} IS ?" for name in names), rows


def run(store: sqlite3.Connection, edit: Edit, where: str, key: tuple[Any, ...]) -> bool:
    if edit.how == "deleted":
        return store.execute(f'DELETE FROM "{edit.table}" WHERE {where}', key).rowcount > 0
    (before,) = store.execute(f'SELECT "{edit.column}" FROM "{edit.table}" WHERE {where}', key).fetchone()
    after = None if edit.how == "emptied" else alter(before)
    if after == before:
        return False
    try:
        store.execute(f'UPDATE "{edit.table}" SET "{edit.column}" = ? WHERE {where}', (after, *key))
    except sqlite3.IntegrityError:
        return False
    return True


def test_what_is_edited_in_a_store_is_named(lived: Lived, tmp_path: Path) -> None:
    assert lived.examine(lived.folder) == []
    edits = [edit for edit in list_edits(lived.folder) if not SILENT.keys() & edit.names]
    count, place = read_breadth(40), tmp_path / "copy"
    silent = list[Edit]()
    for edit in edits if count is None else random.Random(len(edits)).sample(edits, count):
        shutil.rmtree(place, ignore_errors=True)
        shutil.copytree(lived.folder, place)
        if make(edit, place) and not lived.examine(place):
            silent.append(edit)
    assert silent == []
