# SPDX-License-Identifier: Apache-2.0
"""An old disclosure is found in a long log by few reads; kept receipts stay as they came."""

import random
from collections.abc import Iterator
from pathlib import Path

import apsw
import pytest

from comity.ids import Digest, Instant, PartyId
from comity.release.delivery import Seen
from comity.release.disclosure import EntryType, Leaf, format_leaf
from comity.store import SqliteStore, log
from comity.store.receipts import (
    EndedLog,
    KeptReceipt,
    RefusedPage,
    add_receipts,
    add_refused,
    end_logs,
    find_disclosure,
    find_first_lost,
    list_refused,
    read_last_receipt,
    read_receipt,
    read_seen,
    write_seen,
)
from comity.store.sqlite import SqliteTransaction

GIVER, NOW = PartyId("aurelia"), Instant(1_790_000_000_000_000)
TERMS = Digest("0" * 64)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteStore]:
    store = SqliteStore.open(tmp_path / "store.db")
    yield store
    store.close()


def leaf(party: str | None, sequence: int | None) -> bytes:
    return format_leaf(
        Leaf(
            type=EntryType.PEOPLE if party is None else EntryType.DISCLOSURE,
            terms=None if party is None else TERMS,
            recipient=None if party is None else PartyId(party),
            sequence=sequence,
            count=1,
            at=NOW,
            commitment=TERMS,
        )
    )


def disclose(transaction: SqliteTransaction, *parties: str | None) -> None:
    """One act with these disclosures, and an entry of another kind for each None."""
    row = transaction.row("SELECT COUNT(*) FROM log_entry")
    assert row is not None
    last, entries = dict[PartyId, int](), []
    for party in parties:
        sequence = None
        if party is not None:
            name = PartyId(party)
            sequence = last[name] = last.get(name, log.read_sequence(transaction, name)) + 1
        entries.append(log.Entry(leaf=leaf(party, sequence), opening=log.Opening(salt=b"", content=b"")))
    log.add_entries(transaction, row[0], entries, range(row[0], row[0] + len(entries)))
    log.write_sequences(transaction, last)


@pytest.mark.parametrize("seed", range(2))
def test_every_disclosure_of_every_history_is_found(store: SqliteStore, seed: int) -> None:
    draw = random.Random(seed)
    weights = {"borealia": 100, "meridia": 3, "party-x": 1, None: 30}
    with store.write() as transaction:
        for _ in range(1_000):
            disclose(transaction, *draw.choices([*weights], [*weights.values()], k=draw.choice([1, 1, 1, 8, 32])))
        placed = {
            (row[1], row[2]): row[0]
            for row in transaction.rows(
                "SELECT position, json_extract(CAST(leaf AS TEXT), '$.recipient'),"
                " json_extract(CAST(leaf AS TEXT), '$.sequence') FROM log_entry"
            )
        }
        for (party, sequence), position in placed.items():
            if party is not None and (party != "borealia" or sequence % 7 == 0):
                assert find_disclosure(transaction, PartyId(party), sequence) == position
        for party in ("borealia", "meridia", "party-x", "nobody", "bore"):
            last = log.read_sequence(transaction, PartyId(party))
            assert find_disclosure(transaction, PartyId(party), last + 1) is None
            assert find_disclosure(transaction, PartyId(party), 0) is None


def test_little_is_read_for_one_disclosure_among_many_of_others(store: SqliteStore) -> None:
    with store.write() as transaction:
        for _ in range(40):
            disclose(transaction, "meridia", *["borealia"] * 999)
    asked = list[str]()
    with store.read() as transaction:
        assert find_disclosure(transaction, PartyId("meridia"), 20) == 19_000
        asked += [row[0] for row in transaction.rows("SELECT sequence FROM disclosure_mark WHERE party = 'borealia'")]
    assert len(asked) < 45


def test_disclosures_of_a_store_before_are_found(store: SqliteStore) -> None:
    with store.write() as transaction:
        disclose(transaction, "borealia", None, "borealia", "meridia")
        transaction.run("DELETE FROM disclosure_mark")
        script = Path(__file__).parents[3] / "src/comity/store/migrations/0013_receipts.sql"
        start = script.read_text().index("INSERT INTO disclosure_mark\n")
        transaction.run(script.read_text()[start:].partition(";")[0])
        assert find_disclosure(transaction, PartyId("borealia"), 2) == 2
        assert find_disclosure(transaction, PartyId("meridia"), 1) == 3


# --- what partners gave -------------------------------------------------------------------------------------------


def kept(sequence: int, data: bytes = b"{}", *, origin: str = "comity/aurelia", place: int = 0) -> KeptReceipt:
    return KeptReceipt(
        giver=GIVER,
        sequence=sequence,
        terms=TERMS,
        at=NOW,
        received_at=NOW,
        arrived=True,
        data=data,
        origin=origin,
        place=place,
        tree=place + 1,
    )


def test_what_was_lost_is_found_by_places_alone(store: SqliteStore) -> None:
    """The query goes by an index from the last number down, and reads no receipt."""
    with store.write() as transaction:
        assert find_first_lost(transaction, GIVER) == 1
        add_receipts(transaction, (kept(number, place=number, origin=f"log {number % 2}") for number in range(3, 40)))
        assert find_first_lost(transaction, GIVER) == 40
        end_logs(transaction, GIVER, {"log 0": EndedLog(size=20, agreement=None, next=None)})
        assert find_first_lost(transaction, GIVER) == 40  # the last of the other log is there
        end_logs(transaction, GIVER, {"log 1": EndedLog(size=30, agreement=None, next=None)})
        assert find_first_lost(transaction, GIVER) == 30
        for size in (25, 35):  # an end is never moved
            end_logs(transaction, GIVER, {"log 1": EndedLog(size=size, agreement=None, next=None)})
            assert find_first_lost(transaction, GIVER) == 30
        transaction.run("UPDATE ended_log SET size = 0")
        assert find_first_lost(transaction, GIVER) == 3
        plan = transaction.rows(
            "EXPLAIN QUERY PLAN SELECT sequence FROM receipt INDEXED BY receipt_by_log WHERE giver = 'x' AND NOT EXISTS"
            " (SELECT 1 FROM ended_log AS e WHERE e.party = 'x' AND e.origin = receipt.origin"
            " AND receipt.place >= e.size) ORDER BY sequence DESC LIMIT 1"
        )
        assert "COVERING INDEX receipt_by_log (giver=?)" in str(plan)
        assert "TEMP B-TREE" not in str(plan)


def test_a_receipt_is_kept_once_and_as_it_came(store: SqliteStore) -> None:
    with store.write() as transaction:
        assert read_last_receipt(transaction, GIVER) is None
        add_receipts(transaction, [kept(4), kept(5)])
        assert read_last_receipt(transaction, GIVER) == 5
        assert read_receipt(transaction, GIVER, 4) == kept(4)
        assert read_receipt(transaction, GIVER, 6) is None
        assert read_receipt(transaction, PartyId("meridia"), 4) is None
        with pytest.raises(apsw.ConstraintError):
            add_receipts(transaction, [kept(5, b"other")])
        with pytest.raises(apsw.ConstraintError):
            transaction.run("UPDATE receipt SET data = x'00'")


def test_a_smaller_checkpoint_changes_nothing_of_what_was_seen(store: SqliteStore) -> None:
    large, small = (Seen(size=size, root=bytes(32), checkpoint=b"note") for size in (9, 8))
    with store.write() as transaction:
        assert read_seen(transaction, GIVER) == {}
        for origin, seen in (("one", large), ("two", small), ("one", small)):
            write_seen(transaction, GIVER, origin, seen, agreement=None, now=NOW)
        assert read_seen(transaction, GIVER) == {"one": large, "two": small}


def test_evidence_is_bounded_for_each_giver_and_part(store: SqliteStore) -> None:
    def page(part: str, giver: str) -> RefusedPage:
        return RefusedPage(
            at=NOW,
            giver=PartyId(giver),
            terms=TERMS,
            channel="main",
            part=part,
            reason="because",
            page=b"page",
            receipt=b"receipt",
            proof=b"proof",
        )

    with store.write() as transaction:
        assert [add_refused(transaction, page("listing", "aurelia")) for _ in range(6)] == [True] * 4 + [False] * 2
        assert add_refused(transaction, page("sequence", "aurelia"))
        assert add_refused(transaction, page("listing", "borealia"))
        assert len(list_refused(transaction)) == 6
        assert list_refused(transaction)[0] == page("listing", "aurelia")
