# SPDX-License-Identifier: Apache-2.0
"""What a purge takes from the log is gone from every file, is on record, and nothing else is missing; proofs stay."""

import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from comity.agreement.people import Role
from comity.agreement.recognition import Refusal
from comity.errors import LogMismatch, MalformedRequest, NotFoundError
from comity.ids import Instant, PartyId
from comity.node import purge, retention
from comity.node.audit import audit_folder
from comity.node.journal import find_entry, list_entries, verify_folder
from comity.node.node import Node
from comity.node.people import Actor, Waiting, identify
from comity.node.purge import Forgotten, Selection, purge_by_order, purge_due, search_folder
from comity.node.soundness import examine_folder
from comity.node.steps import finish
from comity.release.disclosure import EntryType
from comity.release.purge import Range, format_log_purge, size_of
from comity.store import SqliteStore, log
from tests.unit.test_audit import alter
from tests.worlds import World, make_object, object_id

DAY = 86_400 * 1_000_000


@pytest.fixture
def world(tmp_path: Path) -> World:
    """Disclosures on three days, of other objects each."""
    world = World(tmp_path)
    world.found("aurelia", "borealia")
    world.sign_all(world.terms())
    for name in ("first", "second", "third"):
        world.add("aurelia", make_object(name))
        world.poll("borealia")
        world.poll("borealia")
        world.tick(DAY)
    return world


@pytest.fixture
def node(world: World) -> Node:
    return world.nodes["aurelia"]


def order(world: World, selection: Selection, reason: str = "order 12") -> Forgotten:
    node = world.nodes["aurelia"]
    first = purge_by_order(node, selection, reason=reason, by=world.actor("aurelia", Role.LIAISON))
    assert isinstance(first, Waiting), first
    done = purge_by_order(node, selection, reason=reason, by=world.actor("aurelia", Role.LEGAL))
    assert isinstance(done, Forgotten), done
    return done


def disclosures(node: Node) -> list[int]:
    return [item.position for item in list_entries(node, start=0, limit=99) if item.leaf.recipient is not None]


def openings(node: Node) -> dict[int, log.Opening]:
    with node.store.read() as transaction:
        return log.read_openings(transaction, 0, 99)


def raw(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file())


def test_what_two_people_order_is_gone_and_on_record(world: World, node: Node) -> None:
    before, kept = disclosures(node), openings(node)
    doomed = [kept[position] for position in before[:4]]
    assert all(item.salt in raw(node.folder) and item.content in raw(node.folder) for item in doomed)
    done = order(world, Selection(until=Instant(node.clock() - DAY)))
    positions = {p for item in done.ranges for p in range(item.first, item.last + 1)}
    assert {*before[:4]} <= positions
    assert not {*before[4:]} & positions
    assert done.gone
    left = raw(node.folder)
    assert not any(item.salt in left or item.content in left for item in doomed)
    # The list of the last disclosures is another one: the one that only purged entries named has gone too.
    assert not any(item.listing in left for item in doomed)
    assert openings(node)[before[4]] == kept[before[4]]
    assert purge_entry(node, done) == {
        "approvals": ["aurelia-legal", "aurelia-liaison"],
        "reason": "order 12",
        "ranges": [[item.first, item.last] for item in done.ranges],
    }
    verified = verify_folder(node.folder)
    assert (verified.purged, verified.opened) == (len(positions), verified.size - len(positions))
    assert verified.disclosures == len(before)
    assert examine_folder(node.folder).is_sound
    assert find_entry(node, str(before[0])).content is None
    with node.store.read() as transaction:
        ((grounds,), (used,)) = transaction.rows(
            "SELECT COUNT(*) FROM log_grounds UNION ALL SELECT COUNT(DISTINCT grounds) FROM log_opening"
        )
    assert grounds == used == 1
    # The node goes on, and so does the log.
    world.poll("borealia")
    assert verify_folder(node.folder).size == verified.size + 1


def purge_entry(node: Node, done: Forgotten) -> dict[str, object]:
    assert done.purge is not None
    entry = find_entry(node, str(done.purge))
    assert entry.leaf.type is EntryType.PURGE
    assert isinstance(entry.content, dict)
    approvals = entry.content["approvals"]
    assert isinstance(approvals, list)
    return {
        "approvals": [item["person"] for item in approvals if isinstance(item, dict)],
        "reason": entry.content["reason"],
        "ranges": entry.content["ranges"],
    }


def test_a_policy_goes_with_the_last_disclosure_that_was_decided_by_it(world: World, node: Node) -> None:
    path, before = node.folder / "recognition.toml", disclosures(node)
    kept = path.read_text(encoding="utf-8")
    path.write_text(f"# since the affair of the grey heron\n{kept}", encoding="utf-8")
    world.add("aurelia", make_object("fourth"))
    world.poll("borealia")
    path.write_text(kept, encoding="utf-8")
    world.tick(DAY)
    world.add("aurelia", make_object("fifth"))
    world.poll("borealia")
    assert b"grey heron" in raw(node.folder)
    assert order(world, Selection(entries=frozenset(before))).gone
    assert b"grey heron" in raw(node.folder)  # the fourth was decided by it, and that can be decided again
    assert order(world, Selection(until=Instant(node.clock() - 1))).gone
    assert b"grey heron" not in raw(node.folder)
    with node.store.read() as transaction:
        assert transaction.rows("SELECT COUNT(*) FROM log_policy") == [(1,)]
    world.poll("borealia")
    assert audit_folder(node.folder, now=node.clock()).found == 0
    assert verify_folder(node.folder).size > 0


def test_one_person_alone_purges_nothing(world: World, node: Node) -> None:
    before = raw(node.folder / "keys"), openings(node)
    selection = Selection(recipient=PartyId("borealia"))
    for _ in range(2):
        done = purge_by_order(node, selection, reason="order 12", by=world.actor("aurelia", Role.LEGAL))
        assert isinstance(done, Waiting)
    assert (raw(node.folder / "keys"), openings(node)) == before
    # Another order, or another reason, is another matter: the approvals do not add up.
    other = Selection(until=node.clock())
    for chosen, reason in ((other, "order 12"), (selection, "order 13")):
        again = purge_by_order(node, chosen, reason=reason, by=world.actor("aurelia", Role.LIAISON))
        assert isinstance(again, Waiting)
    assert openings(node) == before[1]


def test_what_came_on_record_after_the_first_approval_is_not_of_the_order(world: World, node: Node) -> None:
    selection = Selection(recipient=PartyId("borealia"))
    before = disclosures(node)
    first = purge_by_order(node, selection, reason="order 12", by=world.actor("aurelia", Role.LIAISON))
    assert isinstance(first, Waiting)
    world.tick(DAY)
    world.add("aurelia", make_object("fourth"))
    world.poll("borealia")
    done = purge_by_order(node, selection, reason="order 12", by=world.actor("aurelia", Role.LEGAL))
    assert isinstance(done, Forgotten)
    assert set(disclosures(node)) - set(before) <= set(openings(node))
    assert set(before).isdisjoint(openings(node))


def test_a_person_of_another_role_is_refused(world: World, node: Node) -> None:
    badge = world.register("aurelia", "aurelia-analyst", Role.ANALYST)
    done = purge_by_order(
        node, Selection(until=node.clock()), reason="order 12", by=Actor(person=identify(node, badge))
    )
    assert isinstance(done, Refusal)


@pytest.mark.parametrize("what", ["agreement", "recipient", "object", "entry"])
def test_what_is_selected_is_purged_and_nothing_else(world: World, node: Node, what: str) -> None:
    before = disclosures(node)
    world.add("aurelia", make_object("fourth"))
    with node.store.read() as transaction:
        agreement = transaction.rows("SELECT id FROM agreement")[0][0]
    selection, wanted = {
        "agreement": (Selection(agreement=agreement), {*before}),
        "recipient": (Selection(recipient=PartyId("borealia")), {*before}),
        "object": (Selection(item=object_id("report", "second")), {*before[2:]}),
        "entry": (Selection(entries=frozenset({before[1], 0})), {before[1], 0}),
    }[what]
    done = order(world, selection)
    assert {p for item in done.ranges for p in range(item.first, item.last + 1)} == wanted
    assert verify_folder(node.folder).purged == len(wanted)
    assert len({*done.salts}) == len(done.salts) == len(wanted)


def test_agreement_events_and_purges_of_entries_keep_their_content(world: World, node: Node) -> None:
    everything = Selection(until=Instant(node.clock() + DAY))
    order(world, everything)
    left = {p: item.leaf.type for p, item in enumerate(list_entries(node, start=0, limit=99)) if item.content}
    kept = {EntryType.AGREEMENT_EVENT, EntryType.PURGE, EntryType.LOG_OPENING, EntryType.LOG_HEADS}
    assert {*left.values()} == kept
    with pytest.raises(NotFoundError, match="keep theirs"):
        order(world, everything)


def test_an_object_deleted_by_rule_can_lose_its_purge_entry_too(world: World, node: Node) -> None:
    retention.delete(node, object_id("report", "first"), reason="wrong")
    last = max(each.position for each in list_entries(node, start=0, limit=99) if each.leaf.type is EntryType.PURGE)
    order(world, Selection(entries=frozenset({last})))
    assert find_entry(node, str(last)).content is None
    assert verify_folder(node.folder).purged == 1


def test_an_order_that_selects_nothing_or_gives_no_reason_is_refused(world: World, node: Node) -> None:
    by = world.actor("aurelia", Role.LEGAL)
    with pytest.raises(MalformedRequest, match="say which entries"):
        purge_by_order(node, Selection(), reason="order 12", by=by)
    with pytest.raises(MalformedRequest, match="reason"):
        purge_by_order(node, Selection(until=Instant(1)), reason=" ", by=by)
    with pytest.raises(NotFoundError):
        purge_by_order(node, Selection(until=Instant(1)), reason="order 12", by=by)


def with_days(node: Node, days: int) -> None:
    node.settings = replace(node.settings, content_days=days)


def test_the_rule_purges_what_is_older_and_nothing_else(world: World, node: Node) -> None:
    before = disclosures(node)
    assert purge_due(node).ranges == ()  # without a rule nothing
    with_days(node, 3)
    purge_due(node)  # of people, who were registered a little earlier
    assert {*before} <= {*openings(node)}
    world.tick(1)
    done = purge_due(node)
    assert done.gone
    assert {*before} - {*openings(node)} == {*before[:2]}
    assert done.purge is not None
    content = find_entry(node, str(done.purge)).content
    assert isinstance(content, dict)
    assert (content["rule"], content["reason"], content["approvals"]) == ("content_days = 3", None, [])
    again = verify_folder(node.folder).size
    assert purge_due(node).ranges == ()
    assert verify_folder(node.folder).size == again


def test_the_rule_goes_by_batches_and_each_is_on_record(
    world: World, node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(purge, "_BATCH", 3)
    with_days(node, 1)
    world.tick(9 * DAY)
    done = [purge_due(node)]
    while done[-1].more:
        assert not done[-1].gone
        done.append(purge_due(node))
    assert len(done) > 2
    assert done[-1].gone
    assert verify_folder(node.folder).purged == sum(len([*range(r.first, r.last + 1)]) for d in done for r in d.ranges)
    assert {*openings(node)} & {*disclosures(node)} == set()


def test_a_clock_that_went_back_purges_nothing_too_early(world: World, node: Node) -> None:
    with_days(node, 2)
    world.now = Instant(world.now - 300 * DAY)
    assert purge_due(node).ranges == ()


def test_while_a_reader_holds_the_log_it_is_not_said_to_be_gone(world: World, node: Node) -> None:
    """The promise is about files: until the reader has gone, the write-ahead log has what was deleted."""
    salt = openings(node)[disclosures(node)[0]].salt
    reader = SqliteStore.inspect(node.folder / "store.db")
    with reader.read() as transaction:
        log.read_size(transaction)
        done = order(world, Selection(until=node.clock()))
        assert not done.gone
        assert salt in raw(node.folder)
        assert finish(search_folder(node.folder, (salt,))).found
        assert any("retention run" in item.do for item in examine_folder(node.folder).findings)
    reader.close()
    # What `serve` does twice a minute, and `retention run`.
    assert retention.delete_due(node).gone
    assert salt not in raw(node.folder)
    assert finish(search_folder(node.folder, done.salts)).found == ()


def test_a_crash_after_the_commit_leaves_the_rest_to_the_next_run(
    world: World, node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = openings(node)
    doomed = [kept[position] for position in disclosures(node)]

    def die(_: Node) -> bool:
        raise KeyboardInterrupt

    monkeypatch.setattr(purge, "finish_deletions", die)
    with pytest.raises(KeyboardInterrupt):
        order(world, Selection(until=node.clock()))
    node.close()
    node = world.open("aurelia")
    # The purge is on record and what it took is not readable any more, though it may lie in the files.
    assert verify_folder(node.folder).purged > 0
    assert any("retention run" in item.do for item in examine_folder(node.folder).findings)
    assert retention.delete_due(node).gone
    left = raw(node.folder)
    assert not any(item.salt in left or item.listing in left for item in doomed)
    assert examine_folder(node.folder).is_sound


def test_the_search_finds_a_salt_wherever_it_lies(tmp_path: Path) -> None:
    salt = bytes(range(32))
    (tmp_path / "sub").mkdir()
    (tmp_path / "a").write_bytes(b"x" * ((1 << 20) - 5) + salt + b"y" * 50)
    (tmp_path / "sub" / "b").write_bytes(salt)
    (tmp_path / "c").write_bytes(salt[:-1] + b"!" + b"z" * (1 << 20))
    done = finish(search_folder(tmp_path, (b"\xff" * 32, salt)))
    assert (done.found, done.files, done.salts) == (("a", "sub/b"), 3, 2)


def test_a_search_leaves_the_store_its_locks_so_that_nothing_committed_is_lost(world: World, node: Node) -> None:
    """Who opens the store while it is in use deletes the write-ahead log of one that has no locks any more."""
    world.add("aurelia", make_object("before"))
    finish(search_folder(node.folder, (bytes(32),)))
    look = (
        "import sqlite3, sys; c = sqlite3.connect(sys.argv[1]); c.execute('SELECT * FROM meta').fetchall(); c.close()"
    )
    subprocess.run([sys.executable, "-c", look, str(node.folder / "store.db")], check=True)
    world.add("aurelia", make_object("after"))
    # As after a kill: what is not in these files is lost.
    killed = node.folder.with_name("killed")
    shutil.copytree(node.folder, killed)
    with closing(sqlite3.connect(killed / "store.db")) as store:
        found = store.execute("SELECT COUNT(*) FROM object WHERE id = ?", (object_id("report", "after"),))
        assert found.fetchone() == (1,)


# --- what audit takes for a purge, and what it does not ---------------------------------------------------------------


def drop_triggers(folder: Path) -> None:
    connection = sqlite3.connect(folder / "store.db")
    for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
        connection.execute(f"DROP TRIGGER {name}")
    connection.commit()
    connection.close()


@pytest.fixture
def purged(world: World, node: Node) -> Path:
    """A node with one purge of two disclosures in the middle; closed, its triggers gone."""
    before = disclosures(node)
    order(world, Selection(entries=frozenset(before[2:4])))
    world.poll("borealia")
    world.close()
    drop_triggers(node.folder)
    assert verify_folder(node.folder).purged == 2
    return node.folder


@pytest.mark.parametrize("which", ["before", "after", "event", "purge"])
def test_a_loss_that_no_purge_names_is_refused(purged: Path, which: str) -> None:
    connection = sqlite3.connect(purged / "store.db")
    missing = [row[0] for row in connection.execute(
        "SELECT position FROM log_entry WHERE position NOT IN (SELECT position FROM log_opening)"
    )]  # fmt: skip
    named = connection.execute("SELECT position FROM log_entry WHERE CAST(leaf AS TEXT) LIKE '%\"purge\"}'").fetchone()
    event = connection.execute(
        "SELECT MIN(position) FROM log_entry WHERE CAST(leaf AS TEXT) LIKE '%event\"}'"
    ).fetchone()
    connection.close()
    lost = {"before": missing[0] - 1, "after": missing[-1] + 1, "event": event[0], "purge": named[0]}[which]
    alter(purged, f"DELETE FROM log_opening WHERE position = {lost}")
    with pytest.raises(LogMismatch, match="lost its content") as caught:
        verify_folder(purged)
    # Without the purge's own content nothing names what it purged.
    assert caught.value.facts["entry"] == (missing[0] if which == "purge" else lost)


def test_content_that_is_there_though_its_purge_is_on_record_is_refused(purged: Path) -> None:
    connection = sqlite3.connect(purged / "store.db")
    (missing,) = connection.execute(
        "SELECT MIN(position) FROM log_entry WHERE position NOT IN (SELECT position FROM log_opening)"
    ).fetchone()
    connection.execute(
        "INSERT INTO log_opening SELECT ?, salt, content, listing, grounds FROM log_opening LIMIT 1", (missing,)
    )
    connection.commit()
    connection.close()
    with pytest.raises(LogMismatch):
        verify_folder(purged)


def record_purge(node: Node, ranges: tuple[Range, ...]) -> None:
    """What a node could say that does not keep to its own rules: its log key signs it."""
    content = format_log_purge(ranges, rule=None, reason="x")
    with node.act() as act:
        act.record(EntryType.PURGE, content, terms=None, recipient=None, count=size_of(ranges))


def forget(node: Node, position: int) -> None:
    with node.store.write() as transaction:
        transaction.run("DELETE FROM log_opening WHERE position = ?", (position,))


def test_a_purge_cannot_be_on_record_before_what_it_purges(world: World, node: Node) -> None:
    size = verify_folder(node.folder).size
    record_purge(node, (Range(size + 1, size + 1),))
    world.poll("borealia")
    forget(node, size + 1)
    with pytest.raises(LogMismatch, match="come after it") as caught:
        verify_folder(node.folder)
    assert caught.value.facts["entry"] == size


def test_no_purge_takes_what_an_agreement_recorded(node: Node) -> None:
    events = [i.position for i in list_entries(node, start=0, limit=99) if i.leaf.type is EntryType.AGREEMENT_EVENT]
    record_purge(node, (Range(events[0], events[0]),))
    forget(node, events[0])
    with pytest.raises(LogMismatch, match="which no purge may take") as caught:
        verify_folder(node.folder)
    assert caught.value.facts["entry"] == events[0]


def test_a_purge_that_was_recorded_and_not_done_is_refused(node: Node) -> None:
    position = disclosures(node)[1]
    record_purge(node, (Range(position, position),))
    with pytest.raises(LogMismatch, match="though its purge is on record") as caught:
        verify_folder(node.folder)
    assert caught.value.facts["entry"] == position
