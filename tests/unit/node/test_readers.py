# SPDX-License-Identifier: Apache-2.0
"""Readers of the log: nobody until permitted, each act on record, gone at once when removed, and no secret kept."""

import apsw
import pytest

from comity.errors import AuthenticationError, ConflictError, CorruptionError, MalformedRequest, NotFoundError
from comity.ids import PartyId
from comity.node import readers
from comity.node.journal import list_entries, read_checkpoint, verify_folder
from comity.node.node import Node
from comity.node.parties import authenticate, create_credential
from comity.node.readers import add_reader, authenticate_reader, list_readers, read_part, remove_reader
from comity.release.disclosure import EntryType, parse_leaf
from comity.tlog.merkle import leaf_hash
from comity.tlog.note import parse_checkpoint, parse_note
from comity.tlog.tiles import parse_bundle
from tests.worlds import World

DAY = 86_400_000_000


@pytest.fixture
def node(world: World) -> Node:
    return world.nodes["aurelia"]


def may_read(node: Node, secret: str | None) -> bool:
    try:
        return authenticate_reader(node, secret=secret).name == "oversight"
    except AuthenticationError:
        return False


def size_of(node: Node) -> int:
    return parse_checkpoint(parse_note(read_checkpoint(node)).text).size


def grow(node: Node, size: int) -> None:
    """Let the log have exactly `size` entries."""
    with node.act() as act:
        for _ in range(size - size_of_open(node)):
            act.record(EntryType.PEOPLE, b"{}", terms=None, recipient=None, count=1)


def size_of_open(node: Node) -> int:
    row = node.store.row("SELECT MAX(size) FROM log_head")
    return int(row[0]) if row else 0


def test_nobody_may_read_until_permitted_and_nobody_else_then(node: Node) -> None:
    partner = create_credential(node, PartyId("borealia"))
    assert not any(may_read(node, secret) for secret in (None, "", "0" * 64, partner, "x" * 10_000))
    secret, _ = add_reader(node, "oversight")
    assert may_read(node, secret)
    assert not any(may_read(node, other) for other in (None, "", secret[:-1], secret.upper(), partner))


def test_a_reader_is_no_partner(node: Node) -> None:
    secret, _ = add_reader(node, "oversight")
    with pytest.raises(AuthenticationError):
        authenticate(node, secret=secret)


@pytest.mark.parametrize("name", ["borealia", "aurelia"])
def test_a_party_that_is_pinned_cannot_be_a_reader(node: Node, name: str) -> None:
    with pytest.raises(ConflictError, match="to whom else this party gives"):
        add_reader(node, name)
    assert list_readers(node) == []


@pytest.mark.parametrize("days", [0, -1, 3_651])
def test_nobody_may_read_for_ever(node: Node, days: int) -> None:
    with pytest.raises(MalformedRequest, match="1 to 3650 days"):
        add_reader(node, "oversight", days=days)


def test_a_permission_is_good_until_its_end_and_no_longer(world: World, node: Node) -> None:
    secret, _ = add_reader(node, "oversight", days=7)
    world.tick(7 * DAY - 1)
    assert may_read(node, secret)
    world.tick(1)
    assert not may_read(node, secret)
    assert [item.is_good(world.now) for item in list_readers(node)] == [False]


def test_a_name_is_removed_with_all_it_has_and_an_id_alone(node: Node) -> None:
    (first, one), (second, _), (third, _) = (add_reader(node, "oversight") for _ in range(3))
    assert [item.id for item in remove_reader(node, one.id[:4].upper())] == [one.id]
    assert [may_read(node, secret) for secret in (first, second, third)] == [False, True, True]
    assert len(remove_reader(node, "oversight")) == 2
    assert not any(may_read(node, secret) for secret in (first, second, third))
    for name in ("oversight", one.id, "abc"):
        with pytest.raises(NotFoundError, match="to remove"):
            remove_reader(node, name)


def test_a_beginning_that_fits_several_removes_none(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    draw = node.draw
    node.draw = lambda count: b"\xab\xcd\xef" + draw(count - 3) if count == 6 else draw(count)
    add_reader(node, "oversight")
    add_reader(node, "parliament")
    with pytest.raises(MalformedRequest, match="fits 2"):
        remove_reader(node, "abcd")
    assert all(item.removed_at is None for item in list_readers(node))


def test_what_was_removed_stays_so_and_stays_listed(node: Node) -> None:
    add_reader(node, "oversight")
    remove_reader(node, "oversight")
    for statement in (
        "UPDATE log_reader SET removed_at = NULL",
        "UPDATE log_reader SET expires_at = expires_at + 1",
        "UPDATE log_reader SET name = 'borealia'",
        "DELETE FROM log_reader",
    ):
        with pytest.raises(apsw.ConstraintError), node.store.write() as transaction:
            transaction.run(statement)
    assert len(list_readers(node)) == 1


def test_both_acts_are_on_record_and_the_secret_is_not(node: Node) -> None:
    secret, reader = add_reader(node, "oversight")
    remove_reader(node, "oversight")
    added, removed = list_entries(node, start=-2, limit=2)
    for entry, change in ((added, "add-reader"), (removed, "remove-reader")):
        assert entry.leaf.type is EntryType.CREDENTIAL
        assert isinstance(entry.content, dict)
        assert (entry.content["change"], entry.content["reader"]) == (change, "oversight")
        assert entry.content["permission"] == reader.id
    node.store.empty_wal()
    assert secret.encode() not in (node.folder / "store.db").read_bytes()
    assert verify_folder(node.folder).size == size_of(node)


def test_the_day_of_use_is_noted(world: World, node: Node) -> None:
    secret, _ = add_reader(node, "oversight")
    assert list_readers(node)[0].used_day is None
    world.tick(3 * DAY)
    may_read(node, secret)
    assert list_readers(node)[0].used_day == world.now // DAY


def test_there_is_a_bound(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readers, "_MAX_READERS", 2)
    add_reader(node, "oversight")
    add_reader(node, "parliament")
    with pytest.raises(ConflictError, match="the bound"):
        add_reader(node, "oversight")
    remove_reader(node, "parliament")
    add_reader(node, "oversight")


@pytest.mark.parametrize("size", [255, 256, 257, 513])
def test_the_parts_are_those_of_the_tree_and_no_others(node: Node, size: int) -> None:
    grow(node, size)
    assert size_of(node) == size
    full, rest = divmod(size, 256)
    for index in range(full):
        bundle = parse_bundle(read_part(node, f"tile/entries/{index:03}"))
        assert len(bundle) == 256
        assert b"".join(leaf_hash(entry) for entry in bundle) == read_part(node, f"tile/0/{index:03}")
    if rest:
        bundle = parse_bundle(read_part(node, f"tile/entries/{full:03}.p/{rest}"))
        assert b"".join(map(leaf_hash, bundle)) == read_part(node, f"tile/0/{full:03}.p/{rest}")
        assert all(parse_leaf(entry) for entry in bundle)
    above = [f"tile/1/000.p/{full}"] if full else []
    assert all(len(read_part(node, path)) == 32 * full for path in above)
    for path in (
        f"tile/entries/{full:03}",
        f"tile/0/{full:03}",
        f"tile/entries/{full:03}.p/{rest + 1}",
        f"tile/0/{full:03}.p/{rest + 1}",
        f"tile/1/000.p/{full + 1}",
        "tile/2/000.p/1",
        f"tile/0/{full + 1:03}.p/1",
        "tile/entries/x034/x028/x797/x018/x963/967",
        "Checkpoint",
        "",
    ):
        with pytest.raises(NotFoundError):
            read_part(node, path)


def test_entries_that_are_lost_are_not_passed_over(node: Node) -> None:
    grow(node, 20)
    with node.store.write() as transaction:
        transaction.run("DROP TRIGGER IF EXISTS log_entry_stays")
        names = [row[0] for row in transaction.rows("SELECT name FROM sqlite_master WHERE type = 'trigger'")]
        for name in (name for name in names if name.startswith("log_entry")):
            transaction.run(f"DROP TRIGGER {name}")
        transaction.run("DELETE FROM log_opening WHERE position = 7")
        transaction.run("DELETE FROM log_entry WHERE position = 7")
    with pytest.raises(CorruptionError, match="lost entries"):
        read_part(node, "tile/entries/000.p/20")
