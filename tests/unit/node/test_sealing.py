# SPDX-License-Identifier: Apache-2.0
"""What is remembered of the ends of logs is never believed against the store: heads are those of what is in it."""

import os
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from comity.errors import CorruptionError, StoreUncertain
from comity.ids import AgreementId, Digest, PartyId
from comity.node import sealing
from comity.node.journal import verify_store
from comity.node.node import Node, join_node, open_node
from comity.release.disclosure import Answer, EntryType, format_disclosure
from comity.store import SqliteStore, log
from tests.worlds import World

P = PartyId("borealia")
_LISTING = log.Text(b'{"format":"comity-listing/1","objects":[]}')
_TERMS = Digest("9c" * 32)


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    made = World(tmp_path)
    made.found("aurelia")
    yield made.nodes["aurelia"]
    made.close()


def record(node: Node, *numbers: int) -> None:
    """One act with a disclosure in the log of each of these relationships."""
    with node.act(keeps_head=False) as act:
        for number in numbers:
            content = format_disclosure(
                answer=Answer.OBJECTS, channel="main", epoch=3, grounds=_TERMS, listing=_LISTING.digest
            )
            act.record(
                EntryType.DISCLOSURE,
                content,
                terms=_TERMS,
                recipient=P,
                count=0,
                listing=_LISTING,
                agreement=AgreementId(f"{number:02x}" * 32),
            )


def name_heads(node: Node) -> None:
    """An act in which the house's log names the heads of all that have grown."""
    with node.act() as act:
        act.names_heads = True


def check(node: Node, *sizes: int) -> None:
    """The store is one history, and the logs of the relationships have grown to so many entries."""
    node.keep_head()
    verify_store(node.store, origin=node.origin, party=node.party)
    with node.store.read() as transaction:
        assert tuple(log.read_size(transaction, number) for number in range(1, len(sizes) + 1)) == sizes


def test_heads_that_are_signed_one_by_one_are_those_of_the_tree_across_the_edges_of_tiles(node: Node) -> None:
    record(node, *[1] * 250)
    for _ in range(10):
        record(node, 1)
    record(node, *[1] * 252)
    for _ in range(4):
        record(node, 1)
    check(node, 516)


def test_of_many_logs_those_that_are_forgotten_are_read_anew(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sealing, "_MOST_EDGES", 1)
    for _ in range(3):
        record(node, 1, 2)
        record(node, 2)
        record(node, 3, 1)
    check(node, 6, 6, 3)


def test_after_an_act_that_was_undone_the_next_stands_on_what_is_in_the_store(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    record(node, 1)
    commit = SqliteStore._commit

    def fail(_: SqliteStore) -> None:
        raise StoreUncertain("the disk failed")

    for undone, good in (((1,), (1,)), ((1, 2), (2, 1)), ((2, 1), (1,)), ((3,), (4, 3))):
        monkeypatch.setattr(SqliteStore, "_commit", fail)
        with pytest.raises(StoreUncertain):
            record(node, *undone)
        monkeypatch.setattr(SqliteStore, "_commit", commit)
        record(node, *good)
    check(node, 4, 1, 1, 1)


def test_what_another_process_has_written_is_what_the_next_stands_on(node: Node) -> None:
    lock, turns = node.share()
    joined = join_node(node.folder, node.settings, lock=os.dup(lock), turns=os.dup(turns), passphrase=None)
    joined.clock = node.clock
    with closing(joined):
        for one in (node, joined, joined, node, joined, node):
            record(one, 1)
        check(joined, 6)
    check(node, 6)


def test_a_store_that_is_opened_again_goes_on(node: Node) -> None:
    record(node, 1)
    folder = node.folder
    node.close()
    with closing(open_node(folder)) as again:
        record(again, 1)
        check(again, 2)


@pytest.mark.parametrize("count", [3, 258])
@pytest.mark.parametrize("names", [False, True])
def test_what_was_altered_in_the_store_is_not_signed_over(node: Node, count: int, *, names: bool) -> None:
    record(node, *[1] * (count - 1))
    record(node, 1)
    folder = node.folder
    node.close()
    with closing(SqliteStore.open(folder / "store.db")) as store, store.write() as transaction:
        transaction.run("DROP TRIGGER log_entry_kept")
        transaction.run(
            "UPDATE log_entry SET leaf = CAST(replace(CAST(leaf AS TEXT), 'borealia', 'corvinia') AS BLOB)"
            " WHERE log = 1 AND place = ?",
            (count - 2,),
        )
        before = log.read_sizes(transaction)
    with closing(open_node(folder)) as again:
        with pytest.raises(CorruptionError, match=f"another root over {count} entries"):
            name_heads(again) if names else record(again, 1)
        with again.store.read() as transaction:
            assert log.read_sizes(transaction) == before
