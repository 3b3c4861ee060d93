# SPDX-License-Identifier: Apache-2.0
"""What is wrong in a node's folder is said, with where it is; a sound one has nothing to say; nothing is written."""

import re
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import apsw
import pytest

from comity.agreement.events import EventKind
from comity.errors import ConfigError, StoreBusy
from comity.ids import Instant
from comity.node import retention, soundness
from comity.node.soundness import Check, Examination, Grade, examine_folder
from comity.store import SqliteStore
from comity.store.relations import RELATIONS
from tests.worlds import World, make_object, object_id


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A node that has had everything: an agreement, versions, references, disclosures, a suspension, a deletion."""
    folder = tmp_path_factory.mktemp("sound")
    world = World(folder)
    world.found("aurelia", "borealia")
    agreement = world.sign_all(world.terms())
    world.add("aurelia", make_object("a"), make_object("b", refs=[object_id("report", "a")]))
    world.add("aurelia", make_object("a", day=2), make_object("c"))
    for _ in range(3):
        world.poll("borealia")
    world.act("aurelia", agreement, EventKind.SUSPEND)
    world.deliver()
    world.act("aurelia", agreement, EventKind.RESUME)
    world.deliver()
    retention.delete(world.nodes["aurelia"], object_id("report", "c"), reason="wrong")
    world.close()
    return folder / "aurelia"


@pytest.fixture
def copy(original: Path, tmp_path: Path) -> Path:
    """A copy whose triggers are gone, as for somebody who edits the file."""
    folder = tmp_path / "copy"
    shutil.copytree(original, folder)
    connection = sqlite3.connect(folder / "store.db")
    for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
        connection.execute(f"DROP TRIGGER {name}")
    connection.commit()
    connection.close()
    return folder


def alter(folder: Path, *statements: str) -> None:
    connection = sqlite3.connect(folder / "store.db")
    for statement in (one for several in statements for one in several.split("; ")):
        assert connection.execute(statement).rowcount > 0, statement
    connection.commit()
    connection.close()


def broken(folder: Path) -> list[tuple[Check, str]]:
    done = examine_folder(folder)
    found = [(item.check, f"{item.where}: {item.what}") for item in done.findings if item.grade is Grade.BROKEN]
    assert done.is_sound == (not found)
    return found


def snapshot(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_a_sound_node_has_nothing_to_say_and_is_left_as_it_was(original: Path) -> None:
    before = snapshot(original)
    steps = list[Check]()
    done = examine_folder(original, lambda check, _done, _of: steps.append(check))
    assert done == Examination(findings=(), objects=3, events=done.events, entries=done.entries)
    assert (done.events, done.entries) == (6, 15)
    assert {*steps} == {*Check}
    assert snapshot(original) == before


def test_a_node_that_is_open_is_examined_too(original: Path, tmp_path: Path) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(original, folder)
    store = SqliteStore.open(folder / "store.db")
    try:
        with store.write() as transaction:
            transaction.run("UPDATE change_count SET value = value + 1")
        assert examine_folder(folder).findings == ()
    finally:
        store.close()


TWICE = (
    "INSERT INTO object SELECT 99, id, version, version_at, type, spec_version, digest, originator, received_under,"
    " own_label, label, 99, current, added_at, first_seq FROM object WHERE pk = 2;"
    " INSERT INTO name_recent SELECT key, 99 FROM name_recent WHERE object = 2"
)
RETRACTION = "INSERT INTO retraction VALUES (1, 'x', 1, 'borealia', 'x', 'x', 'main', 'x', 'all', NULL)"
LETTER = (
    "INSERT INTO letter VALUES (9, 'x', 1, 'borealia', 'recall', 'a', 'x', 'y', 'y', 'open', NULL, NULL, 'y', 1, x'00')"
)
"""One that nobody signed, on terms and letters that there are not."""

CAME = (
    "INSERT INTO arrival SELECT pk, (SELECT MIN(hash) FROM terms), 'borealia', added_at, added_at, NULL FROM object"
    " WHERE pk = 2"
)
STONE = (
    "INSERT INTO tombstone SELECT 'report--x', version_at + 1, version, digest, originator, NULL, NULL, NULL, NULL, 1,"
    " NULL, NULL FROM object WHERE pk = 2"
)
RECEIPT = (
    "INSERT INTO receipt (giver, sequence, terms, at, received_at, arrived, data, origin, place, tree)"
    " SELECT 'borealia', 1, 'x', 1, 1, 1, CAST(json_object('proof', 'c2sp.org/tlog-proof@v1' || char(10)"
    " || 'index 4' || char(10) || char(10) || 'comity/b/01' || char(10) || '9' || char(10)) AS BLOB), '{}', {}, {}"
)
"""One that is kept under another place than its proof has."""
SEEN = (
    "INSERT INTO seen_checkpoint VALUES ('borealia', 'comity/b/00', NULL, 7, x'00', x'00', 1);"
    " INSERT INTO ended_log VALUES ('borealia', 'comity/b/00', 6, NULL, NULL)"
)

BREAKS = [
    ("UPDATE body SET data = CAST('{}' AS BLOB) WHERE object = 1", Check.OBJECTS, r"object report--"),
    ("DELETE FROM body WHERE object = 1", Check.RELATIONS, "not in body"),
    ("INSERT INTO body VALUES (99, x'00')", Check.RELATIONS, "body 99"),
    ("INSERT INTO reference VALUES (99, 'report--x')", Check.RELATIONS, "reference 99"),
    ("INSERT INTO arrival VALUES (99, 'x', 'borealia', 1, 1, NULL)", Check.RELATIONS, "arrival 99"),
    ("INSERT INTO arrival SELECT pk, 'x', 'borealia', 1, 1, NULL FROM object LIMIT 1", Check.RELATIONS, "under x"),
    ("UPDATE object SET received_under = (SELECT MIN(hash) FROM terms) WHERE pk = 2", Check.RELATIONS,
     "kept as received, and not how it came in"),
    (CAME, Check.RELATIONS, "this party's own, and had come from elsewhere"),
    ("UPDATE object SET version_at = version_at - 1 WHERE pk = 2", Check.RELATIONS,
     "object .* kept under another time"),
    (STONE, Check.RELATIONS, "tombstone .* kept under another time"),
    ("INSERT INTO came_before SELECT 'note--x', 1, hash, 'borealia', NULL FROM terms LIMIT 1", Check.RELATIONS,
     "came_before note--x from borealia: it was not deleted"),
    ("INSERT INTO came_before SELECT id, version_at, 'x', 'borealia', NULL FROM object LIMIT 1", Check.RELATIONS,
     "came_before .*: its terms"),
    ("INSERT INTO clashed VALUES ('note--x', 1, 'borealia', 'x', 'x')", Check.RELATIONS,
     "clashed note--x from borealia: its"),
    ("INSERT INTO came_back VALUES (99, 'x', 'borealia', 1)", Check.RELATIONS, "came_back 99"),
    ("INSERT INTO came_back SELECT pk, 'x', 'borealia', 1 FROM object LIMIT 1", Check.RELATIONS, "under x"),
    ("INSERT INTO said VALUES (99, '{}')", Check.RELATIONS, "said 99"),
    ("INSERT INTO assessment VALUES (99, 1, 0)", Check.RELATIONS, "assessment 99"),
    ("INSERT INTO from_file VALUES (99, 1, 'row 2', 1)", Check.RELATIONS, "99 of file"),
    ("INSERT INTO from_file SELECT pk, 99, 'row 2', 1 FROM object LIMIT 1", Check.RELATIONS, "of file 99"),
    ("INSERT INTO saying_of VALUES (99, 1)", Check.RELATIONS, "99 of saying 1"),
    ("INSERT INTO saying_of SELECT pk, 99 FROM object LIMIT 1", Check.RELATIONS, "of saying 99"),
    ("INSERT INTO article_draft VALUES (99, 1, '{}')", Check.RELATIONS, "draft 1 of article 99"),
    ("INSERT INTO article_decision VALUES (7, 99, 1, 'confirm', NULL, NULL, NULL, 1, 'x')", Check.RELATIONS,
     "decision 7 on draft 1 of article 99"),
    ("INSERT INTO saying VALUES (1, x'00', x'00')", Check.RELATIONS, "saying 1"),
    ("UPDATE release SET object = 99 WHERE object = (SELECT MAX(object) FROM release)", Check.RELATIONS, "object 99"),
    ("DELETE FROM feed", Check.RELATIONS, "its feed is not in feed"),
    ("UPDATE feed SET last_at = 1", Check.RELATIONS, "later than its last release"),
    ("UPDATE feed SET agreement = 'x'", Check.RELATIONS, "feed x main"),
    ("UPDATE object SET current = 1 WHERE current = 0", Check.RELATIONS, "a newer one is held"),
    ("UPDATE object SET current = 0 WHERE pk = 2", Check.RELATIONS, "none of its versions"),
    (TWICE, Check.RELATIONS, "another row holds the same version"),
    ("UPDATE object SET id = 'report--x' WHERE pk = 2", Check.RELATIONS, "not found by its id"),
    ("DELETE FROM name_recent", Check.RELATIONS, "not found by its id"),
    ("INSERT INTO name VALUES (1, 99)", Check.RELATIONS, "name 99"),
    ("INSERT INTO name_recent VALUES (1, 99)", Check.RELATIONS, "name_recent 99"),
    ("UPDATE label_count SET objects = objects + 1", Check.RELATIONS, "counts other objects"),
    ("DELETE FROM label_count", Check.RELATIONS, "counts other objects"),
    ("UPDATE object SET label = 77 WHERE pk = 2", Check.RELATIONS, "its label is not in label"),
    ("UPDATE object SET own_label = 77 WHERE pk = 2", Check.RELATIONS, "its own_label is not in label"),
    ("UPDATE label_word SET label = 77", Check.RELATIONS, "label_word 77"),
    ("DELETE FROM facet WHERE id = (SELECT MAX(id) FROM facet)", Check.RELATIONS, "not in facet"),
    ("UPDATE label SET body = CAST('{}' AS BLOB)", Check.CONTENTS, "label"),
    ("UPDATE log_listing SET data = CAST('{}' AS BLOB)", Check.CONTENTS, "log_listing"),
    ("INSERT INTO log_listing VALUES (99, x'00', x'00')", Check.RELATIONS, "no entry names it"),
    ("UPDATE log_grounds SET data = CAST('{}' AS BLOB)", Check.CONTENTS, "log_grounds"),
    ("UPDATE log_policy SET data = CAST('' AS BLOB)", Check.CONTENTS, "log_policy"),
    ("INSERT INTO log_grounds VALUES (99, x'00', x'00')", Check.RELATIONS, "no entry names it"),
    ("UPDATE log_opening SET listing = 99 WHERE listing IS NOT NULL", Check.RELATIONS, "its listing is not in"),
    ("UPDATE log_opening SET grounds = 99 WHERE grounds IS NOT NULL", Check.RELATIONS, "its grounds is not in"),
    ("INSERT INTO log_opening VALUES (99, x'00', x'00', NULL, NULL)", Check.RELATIONS, "entry 99"),
    ("INSERT INTO log_tile VALUES (0, 0, 7, x'00')", Check.RELATIONS, "0/7"),
    ("INSERT INTO log_tile VALUES (1, 0, 7, x'00')", Check.RELATIONS, "0/7"),
    ("INSERT INTO log_tile VALUES (9, 0, 0, x'00')", Check.RELATIONS, "log_tile log 9"),
    ("INSERT INTO log_head VALUES (9, 1, x'00')", Check.RELATIONS, "log_head log 9"),
    ("UPDATE log_entry SET log = 9 WHERE position = (SELECT MAX(position) FROM log_entry)", Check.RELATIONS,
     "log_entry log 9"),
    ("INSERT INTO cosignature VALUES (9, 1, 'x', 1, x'00')", Check.RELATIONS, "cosignature log 9"),
    ("INSERT INTO cosignature VALUES (0, 99, 'x', 1, x'00')", Check.RELATIONS, "log 0 over 99 by x"),
    ("UPDATE relationship_log SET agreement = 'x'", Check.RELATIONS, "its agreement is not in agreement"),
    ("DELETE FROM relationship_log", Check.LOG, "which is missing"),
    ("UPDATE recipient_sequence SET last = last + 1", Check.RELATIONS, "recipient_sequence borealia"),
    ("DELETE FROM recipient_sequence", Check.RELATIONS, "recipient_sequence borealia"),
    ("UPDATE terms SET document = CAST(replace(document, 'Ashfall', 'Ashfell') AS BLOB)", Check.CONTENTS, "terms"),
    ("UPDATE terms SET agreement = 'x'", Check.RELATIONS, "its agreement is not in agreement"),
    ("UPDATE event SET terms = 'x' WHERE position = 1", Check.SIGNATURES, "filed under something"),
    ("UPDATE event SET agreement = 'x' WHERE position = 1", Check.RELATIONS, "its agreement is not in"),
    ("UPDATE event SET envelope = CAST(replace(envelope, '\"sig\":\"', '\"sig\":\"AAAA') AS BLOB)", Check.SIGNATURES,
     "event"),
    ("UPDATE event SET envelope = x'00' WHERE position = 2", Check.SIGNATURES, "cannot be read"),
    ("DELETE FROM event WHERE position = 2", Check.RELATIONS, "another number of events"),
    ("DELETE FROM event WHERE position = 2", Check.RELATIONS, "5 events, 6 entries"),
    ("UPDATE outbox SET event = 'x'", Check.RELATIONS, "its event is not in event"),
    ("UPDATE outbox SET envelope = x'00'", Check.RELATIONS, "not the event it names"),
    (LETTER, Check.RELATIONS, "its terms is not in terms"),
    (LETTER, Check.RELATIONS, "its answers is not in letter"),
    (LETTER, Check.RELATIONS, "its because is not in cause_on_record"),
    (LETTER, Check.RELATIONS, "its answered_by is not in letter"),
    (LETTER, Check.RELATIONS, "not in the outbox"),
    (LETTER, Check.RELATIONS, "1 letters, 0 entries"),
    (f"{LETTER}; UPDATE outbox SET event = 'x', party = 'meridia'", Check.RELATIONS, "to meridia: it goes to another"),
    (LETTER, Check.SIGNATURES, "cannot be read"),
    ("INSERT INTO letter_object VALUES (9, 0, 'x', '1', 'x')", Check.RELATIONS, "letter_object 9 on x"),
    ("INSERT INTO recall_result VALUES ('x', 0, 'stopped', NULL, NULL, 0)", Check.RELATIONS, "recall_result x"),
    ("INSERT INTO recalled VALUES ('x', 1, '1', 'x', 'withdraw', NULL, 'r', 'y', 1)", Check.RELATIONS, "recalled x"),
    (RETRACTION, Check.RELATIONS, "its agreement is not in agreement"),
    (RETRACTION, Check.RELATIONS, "its terms is not in terms"),
    ("INSERT INTO retraction_version VALUES ('x', 0, 1, '1', 'x', 'stopped', NULL, NULL)",
     Check.RELATIONS, "retraction_version x"),
    ("UPDATE manifest SET envelope = (SELECT envelope FROM manifest WHERE party = 'aurelia')",
     Check.SIGNATURES, "of borealia"),
    ("UPDATE party SET manifest = 'x' WHERE id = 'borealia'", Check.RELATIONS, "party borealia"),
    ("INSERT INTO credential VALUES ('c', 'h', 'nobody', 1, NULL, NULL, NULL)", Check.RELATIONS, "credential c"),
    ("INSERT INTO pull_position VALUES ('nobody', 'c', 1)", Check.RELATIONS, "nobody c"),
    ("INSERT INTO succession VALUES ('comity/x/00', 'x', x'00', 1)", Check.RELATIONS, "comity/x/00"),
    ("INSERT INTO succession VALUES ('comity/borealia/00', 'borealia', x'00', 1)", Check.SIGNATURES, "has not signed"),
    ("INSERT INTO ended_log VALUES ('x', 'comity/x/00', 1, NULL, NULL)", Check.RELATIONS, "comity/x/00"),
    ("INSERT INTO lost_head VALUES ('x', 'comity/x/01', 2, x'00', 1, 1)", Check.RELATIONS, "comity/x/01"),
    (RECEIPT.format("comity/b/00", 4, 9), Check.RELATIONS, "receipt borealia 1: the place that it is found by"),
    (RECEIPT.format("comity/b/01", 5, 9), Check.RELATIONS, "receipt borealia 1: the place that it is found by"),
    (RECEIPT.format("comity/b/01", 4, 8), Check.RELATIONS, "receipt borealia 1: the place that it is found by"),
    (SEEN, Check.RELATIONS, "comity/b/00: it has more entries than its log ended with"),
    ("DELETE FROM change_count", Check.RELATIONS, "not one row"),
    ("DELETE FROM meta WHERE name = 'cursor_key'", Check.RELATIONS, "cursors"),
    ("UPDATE log_opening SET content = x'00' WHERE position = 3", Check.LOG, "entry 3"),
    ("DELETE FROM log_opening WHERE position = 3", Check.LOG, "entry 3"),
    ("UPDATE log_entry SET leaf = x'00' WHERE position = 3", Check.LOG, "entry 3"),
    ("INSERT INTO log_tile VALUES (0, 0, 0, x'00')", Check.LOG, "entry 0"),
    ("DELETE FROM log_head", Check.LOG, "checkpoint"),
]  # fmt: skip


@pytest.mark.parametrize(("statement", "check", "words"), BREAKS)
def test_what_is_broken_is_found_and_named(copy: Path, statement: str, check: Check, words: str) -> None:
    alter(copy, statement)
    found = broken(copy)
    assert any(kind is check and re.search(words, text) for kind, text in found), found


def test_every_relation_is_broken_by_a_test() -> None:
    """A relation that no line above breaks could be one that never finds anything."""
    assert len(RELATIONS) <= sum(check is Check.RELATIONS for _, check, _ in BREAKS)


def test_a_page_that_was_overwritten_is_found(copy: Path) -> None:
    data = bytearray((copy / "store.db").read_bytes())
    data[4096 * 9 : 4096 * 10] = b"\x05" * 4096
    (copy / "store.db").write_bytes(data)
    assert any(check is Check.DATABASE for check, _ in broken(copy))


def test_a_file_that_is_no_database_is_one_finding(copy: Path) -> None:
    (copy / "store.db").write_bytes(b"not a database" * 1_000)
    assert [(check, "damaged" in text) for check, text in broken(copy)] == [(Check.DATABASE, True)]


def test_a_log_cut_short_and_a_missing_head_are_found(copy: Path) -> None:
    (copy / "head").unlink()
    assert [check for check, _ in broken(copy)] == [Check.LOG]


def test_a_store_of_an_earlier_version_is_not_called_broken(copy: Path) -> None:
    with closing(sqlite3.connect(copy / "store.db")) as store:
        store.execute("DROP TABLE clashed")
    with pytest.raises(apsw.SQLError):
        examine_folder(copy)
    alter(copy, "DELETE FROM migration WHERE number = (SELECT MAX(number) FROM migration)")
    with pytest.raises(ConfigError, match=r"written by an earlier version of Comity.*no such table: clashed"):
        examine_folder(copy)


def test_keys_that_others_can_read_or_that_are_gone(copy: Path) -> None:
    next((copy / "keys").iterdir()).chmod(0o644)
    assert [check for check, _ in broken(copy)] == [Check.KEYS]
    shutil.rmtree(copy / "keys")
    done = examine_folder(copy)
    assert done.is_sound
    assert [(item.grade, item.where) for item in done.findings] == [(Grade.NOTICE, "keys")]


def test_modes_and_leavings_are_told(copy: Path) -> None:
    (copy / "store.db").chmod(0o644)
    copy.chmod(0o755)
    (copy / "head.new").write_bytes(b"")
    done = examine_folder(copy)
    assert done.is_sound
    assert [item.where for item in done.findings] == [str(copy), "head.new", "store.db"]
    assert f"chmod 600 {copy / 'store.db'}" in {item.do for item in done.findings}


def test_what_is_deleted_and_perhaps_not_gone_is_told(copy: Path) -> None:
    alter(copy, "INSERT INTO meta VALUES ('deletion-unfinished', 'yes')")
    assert ["retention run" in item.do for item in examine_folder(copy).findings] == [True]


def test_a_clock_that_went_back_is_told(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(soundness, "read_clock", lambda: Instant(1))
    done = examine_folder(copy)
    assert done.is_sound
    assert ["clock" in item.what for item in done.findings] == [True]


def test_many_faults_of_one_kind_are_counted(copy: Path) -> None:
    connection = sqlite3.connect(copy / "store.db")
    connection.executemany("INSERT INTO body VALUES (?, x'00')", [(number,) for number in range(100, 150)])
    connection.commit()
    connection.close()
    found = [item for item in examine_folder(copy).findings if item.check is Check.RELATIONS]
    assert len(found) == 21
    assert (found[-1].where, found[-1].count) == ("30 more", 30)


def test_a_store_that_somebody_begins_to_use_is_not_judged(copy: Path) -> None:
    """Read without its locks, what was read of it could be of two moments."""

    def open_and_write(check: Check, _done: int, _of: int) -> None:
        if check is Check.OBJECTS:
            store = SqliteStore.open(copy / "store.db")
            with store.write() as transaction:
                transaction.run("INSERT INTO meta VALUES ('x', 'y') ON CONFLICT DO NOTHING")
            store.close()

    with pytest.raises(StoreBusy, match="do it again"):
        examine_folder(copy, open_and_write)
