# SPDX-License-Identifier: Apache-2.0
"""The tables of the log: what they give back, also of entries that were made by versions before."""

import hashlib
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from comity.ids import PartyId
from comity.store import SqliteStore, Transaction, log
from comity.tlog.merkle import append_leaves, leaf_hash


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteStore]:
    store = SqliteStore.open(tmp_path / "store.db")
    yield store
    store.close()


def test_a_content_of_the_first_format_is_whole_with_its_listing(store: SqliteStore) -> None:
    content = b'{"answer":"objects","channel":"main","epoch":2,"format":"comity-disclosure/1","objects":['
    rest = b'{"digest":null,"id":"report--x","redacted":[],"version":"v"}]}'
    with store.write() as transaction:
        opening = log.Opening(salt=b"s" * 32, content=content)
        log.add_entries(transaction, 0, [log.Entry(leaf=b"leaf", opening=opening, listing=log.Text(rest))], [0])
        assert log.read_openings(transaction, 0, 1) == {0: log.Opening(salt=b"s" * 32, content=content + rest)}


def test_a_listing_is_kept_once(store: SqliteStore) -> None:
    listing = log.Text(b'{"format":"comity-listing/1","objects":[]}')
    opening = log.Opening(salt=b"s" * 32, content=b'{"listing":"a"}')
    with store.write() as transaction:
        listed = log.Entry(leaf=b"leaf", opening=opening, listing=listing)
        log.add_entries(transaction, 0, [listed, log.Entry(leaf=b"leaf", opening=opening)], [0, 1])
        log.add_entries(transaction, 2, [listed], [2])
        found = log.read_openings(transaction, 0, 9)
        assert [found[position].listing for position in range(3)] == [listing.data, b"", listing.data]
        assert transaction.row("SELECT count(*) FROM log_listing") == (1,)


def test_grounds_and_their_policy_are_kept_once(store: SqliteStore) -> None:
    opening, policy = log.Opening(salt=b"s" * 32, content=b"{}"), log.Text(b"recognised = []")
    first = log.Grounds(text=log.Text(b'{"floor":1}'), policy=policy)
    second = log.Grounds(text=log.Text(b'{"floor":2}'), policy=policy)
    with store.write() as transaction:
        for position, grounds in enumerate((first, second, first)):
            entry = log.Entry(leaf=b"leaf", opening=opening, grounds=grounds)
            log.add_entries(transaction, position, [entry], [position])
        found = log.read_grounds(transaction, 0, 9)
        assert [found[position] for position in range(3)] == [first.text.data, second.text.data, first.text.data]
        assert log.read_policy(transaction, policy.digest) == policy.data
        assert log.read_policy(transaction, first.digest) is None
        assert transaction.row("SELECT count(*) FROM log_grounds") == (2,)
        assert transaction.row("SELECT count(*) FROM log_policy") == (1,)


def grow(transaction: Transaction, start: int, stop: int) -> list[bytes]:
    """Let the log have leaves from `start` on, and the tiles with them; the hashes that came."""
    leaves = [str(place).encode() for place in range(start, stop)]
    entries = [log.Entry(leaf=leaf, opening=log.Opening(salt=b"s" * 32, content=b"{}")) for leaf in leaves]
    log.add_entries(transaction, start, entries, range(start, stop))
    hashes = list(map(leaf_hash, leaves))
    log.write_tiles(transaction, append_leaves(partial(log.read_tile, transaction), start, hashes))
    return hashes


@pytest.mark.parametrize("sizes", [(1, 2, 255, 256), (256, 257, 600), (1, 300, 512, 513), (700,)])
def test_leaves_that_fill_no_tile_are_read_as_one_and_kept_once(store: SqliteStore, sizes: tuple[int, ...]) -> None:
    with store.write() as transaction:
        hashes = list[bytes]()
        for size in sizes:
            hashes += grow(transaction, len(hashes), size)
            for index in range(-(-size // 256)):
                held = b"".join(hashes[256 * index : 256 * (index + 1)])
                assert log.read_tile(transaction, 0, index) == held
            assert log.read_tile(transaction, 0, -(-size // 256)) == b""
            kept = transaction.rows("SELECT level, length(hashes) FROM log_tile WHERE log = 0 ORDER BY level, position")
            full = size // 256
            assert kept == [(0, 8192)] * full + [(1, 32 * full)] * bool(full)


def test_a_tile_that_grew_with_each_entry_is_kept_no_more(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    store = SqliteStore.open(path)
    with store.write() as transaction:
        hashes = grow(transaction, 0, 300)
        # As it was kept before: what stood there when the log had 290 entries.
        transaction.run("INSERT INTO log_tile VALUES (0, 0, 1, ?)", (b"".join(hashes[256:290]),))
        (script,) = (Path(log.__file__).parent / "migrations").glob("*_last_leaves.sql")
        digest = hashlib.sha256(script.read_bytes()).hexdigest()
        assert transaction.run("DELETE FROM migration WHERE digest = ?", (digest,)) == 1
    store.close()
    store = SqliteStore.open(path)
    with store.read() as transaction:
        assert log.read_tile(transaction, 0, 1) == b"".join(hashes[256:])
        assert log.read_tile(transaction, 0, 0) == b"".join(hashes[:256])
    store.close()


def test_the_last_number_of_a_party_is_kept(store: SqliteStore) -> None:
    party = PartyId("borealia")
    with store.write() as transaction:
        assert log.read_sequence(transaction, party) == 0
        log.write_sequences(transaction, {party: 7})
        log.write_sequences(transaction, {party: 9})
        assert log.read_sequence(transaction, party) == 9
