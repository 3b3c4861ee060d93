# SPDX-License-Identifier: Apache-2.0
"""The tables of the log: what they give back, also of entries that were made by versions before."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from comity.ids import PartyId
from comity.store import SqliteStore, log


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


def test_the_last_number_of_a_party_is_kept(store: SqliteStore) -> None:
    party = PartyId("borealia")
    with store.write() as transaction:
        assert log.read_sequence(transaction, party) == 0
        log.write_sequences(transaction, {party: 7})
        log.write_sequences(transaction, {party: 9})
        assert log.read_sequence(transaction, party) == 9
