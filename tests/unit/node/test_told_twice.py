# SPDX-License-Identifier: Apache-2.0
"""Statements of a party that would have two histories, or tell its recovery again: the first one stands."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from comity.errors import ConflictError, NotFoundError
from comity.ids import AgreementId, Digest, Instant
from comity.node import kept
from comity.node import succession as node_succession
from comity.node.parties import add_party, export_manifest
from comity.node.succession import list_successions, receive_succession
from comity.node.witness import list_evidence
from comity.release.recovery import EndedLog, verify_contradiction
from comity.store import receipts, successions
from comity.store.receipts import EndedLog as Row
from comity.tlog.note import parse_checkpoint, parse_note
from comity.tlog.origin import next_origin
from comity.tlog.witness import Seen
from tests.unit.node.test_delivery import GIVER
from tests.unit.node.test_origins import FIRST, NEXT, OTHER, copy_store, go_on, put_back, sizes, state
from tests.unit.node.test_succession import AGREEMENT, give, last, own_log, say, seen
from tests.unit.node.test_witness import BOREALIA, PartnerLog, ask
from tests.worlds import World

LEGACY = next_origin(BOREALIA, b"\x0a" * 8)


def said(world: World) -> list[str]:
    with world.nodes["aurelia"].store.read() as transaction:
        return [each.recovery.origin for each in list_successions(transaction, BOREALIA)]


def keep(world: World, envelope: bytes, *, origin: str) -> None:
    """A statement that was believed before such ones were refused."""
    with world.nodes["aurelia"].store.write() as transaction:
        successions.add_succession(
            transaction, origin, party=BOREALIA, envelope=envelope, now=Instant(world.now + len(origin))
        )


# --- a witness --------------------------------------------------------------------------------------------------------


def test_a_statement_that_begins_nowhere_opens_no_second_history(world: World) -> None:
    one, two = PartnerLog(world, 40, common=10, branch="one"), go_on(world, 40, common=10)
    assert ask(world, one.request(0, 20))[0] == 200
    with pytest.raises(ConflictError, match="is known here as comity/borealia"):
        receive_succession(world.nodes["aurelia"], state(world, position=0, previous=OTHER))
    with pytest.raises(NotFoundError):
        ask(world, two.request(0, 20))
    assert ask(world, one.request(20, 30))[0] == 200
    assert (said(world), sizes(world)) == ([], {FIRST: 30})


def test_one_that_begins_nowhere_and_was_believed_before_is_not_cosigned(world: World) -> None:
    keep(world, state(world, position=0, previous=OTHER), origin=NEXT)
    with pytest.raises(NotFoundError):
        ask(world, go_on(world, 40).request(0, 20))
    assert ask(world, PartnerLog(world, 20).request(0, 12))[0] == 200


def test_statements_in_a_circle_are_refused_and_a_proof(world: World) -> None:
    node = world.nodes["aurelia"]
    assert ask(world, PartnerLog(world, 40).request(0, 10))[0] == 200
    receive_succession(node, state(world, position=10, size=10))
    back = state(world, position=15, origin=FIRST, previous=NEXT, size=15)
    with pytest.raises(ConflictError, match="has said something else"):
        receive_succession(node, back)
    (found,) = list_evidence(node.store)
    assert found.proved
    assert len(verify_contradiction(found.evidence, list(world.manifests.values()))) == 2
    assert ask(world, PartnerLog(world, 40).request(10, 20))[0] == 422
    assert ask(world, go_on(world, 40, common=10).request(10, 20))[0] == 200


def test_a_circle_that_was_believed_before_leaves_the_name_before_over(world: World) -> None:
    assert ask(world, PartnerLog(world, 40).request(0, 10))[0] == 200
    keep(world, state(world, position=10, size=10), origin=NEXT)
    keep(world, state(world, position=15, origin=FIRST, previous=NEXT, size=15), origin=FIRST)
    assert ask(world, PartnerLog(world, 40).request(10, 20))[0] == 422
    assert ask(world, go_on(world, 40, common=10).request(10, 20))[0] == 200


def test_a_circle_over_three_names_is_refused(world: World) -> None:
    node = world.nodes["aurelia"]
    receive_succession(node, state(world, position=10))
    receive_succession(node, state(world, position=14, origin=OTHER, previous=NEXT))
    for origin in (FIRST, NEXT):
        with pytest.raises(ConflictError):
            receive_succession(node, state(world, position=16, origin=origin, previous=OTHER, size=15))
    assert set(said(world)) == {NEXT, OTHER}


def test_a_name_that_was_cosigned_or_seen_is_none_that_follows(world: World) -> None:
    node = world.nodes["aurelia"]
    with node.store.write() as transaction:
        receipts.end_logs(transaction, BOREALIA, {OTHER: Row(size=1, agreement=None, next=None)})
    with pytest.raises(ConflictError, match="the name of a log already"):
        receive_succession(node, state(world, position=15, origin=OTHER))
    log = go_on(world, 20)
    note = log.checkpoint(5)
    (node.folder / kept.FOLDER).mkdir(exist_ok=True)
    kept.write_kept(node.folder, Seen(checkpoint=parse_checkpoint(parse_note(note).text), note=note))
    with pytest.raises(ConflictError, match="the name of a log already"):
        receive_succession(node, state(world, position=15))
    assert said(world) == []


def test_what_a_witness_cosigned_stands_though_its_store_was_put_back(world: World, tmp_path: Path) -> None:
    """The same statement is taken again, what follows it too, and no other."""
    node = world.nodes["aurelia"]
    assert ask(world, PartnerLog(world, 40).request(0, 10))[0] == 200
    copy = copy_store(world, tmp_path / "copy")
    first = state(world, position=15)
    receive_succession(world.nodes["aurelia"], first)
    assert ask(world, go_on(world, 40, common=15).request(10, 20))[0] == 200
    put_back(world, copy)
    node = world.nodes["aurelia"]
    with pytest.raises(ConflictError, match="was cosigned here as going on as"):
        receive_succession(node, state(world, position=15, origin=OTHER))
    assert receive_succession(node, first).new
    put_back(world, copy)
    node = world.nodes["aurelia"]
    assert receive_succession(node, state(world, position=18, origin=OTHER, previous=NEXT, size=18)).new


def test_a_name_of_before_is_gone_on_from_where_it_was_cosigned(world: World) -> None:
    """Then the first name is none that is cosigned beside it."""
    node, log = world.nodes["aurelia"], PartnerLog(world, 40)
    log.origin = LEGACY
    onward = state(world, position=15, previous=LEGACY)
    with pytest.raises(ConflictError, match="is known here as"):
        receive_succession(node, onward)
    assert ask(world, log.request(0, 10))[0] == 200
    receive_succession(node, onward)
    assert ask(world, go_on(world, 40, common=15).request(10, 20))[0] == 200
    with pytest.raises(NotFoundError):
        ask(world, PartnerLog(world, 40, branch="one", common=5).request(0, 10))
    with pytest.raises(ConflictError):
        receive_succession(node, state(world, position=15, origin=OTHER))


# --- a receiver -------------------------------------------------------------------------------------------------------


@pytest.fixture
def given(tmp_path: Path) -> Iterator[World]:
    """Aurelia gave borealia four pages."""
    made = World(tmp_path)
    made.found("aurelia", "borealia")
    made.sign_all(made.terms())
    add_party(made.nodes["borealia"], export_manifest(made.nodes["aurelia"]), digest=None, url="http://127.0.0.1:1")
    for name in "abcd":
        give(made, name)
    yield made
    made.close()


Y, Z = next_origin(GIVER, b"\x11" * 8), next_origin(GIVER, b"\x22" * 8)


def rows(world: World) -> object:
    with world.nodes["borealia"].store.read() as transaction:
        return (
            receipts.read_ended_logs(transaction, GIVER),
            receipts.read_bound(transaction, GIVER),
            receipts.list_lost(transaction, GIVER),
        )


@pytest.mark.parametrize("change", [{"size": 2}, {"next": Z}, {"agreement": AgreementId(Digest("cd" * 32))}])
def test_a_recovery_that_is_told_again_otherwise_is_a_proof_and_changes_nothing(
    given: World, change: dict[str, object]
) -> None:
    node, ended = given.nodes["borealia"], EndedLog(origin=own_log(given), size=4, agreement=AGREEMENT, next=Y)
    receive_succession(node, say(given, position=1_000))
    receive_succession(node, first := say(given, ended, position=1_000))
    before = rows(given), seen(given)
    for same in (first, say(given, position=1_000)):
        assert not receive_succession(node, same).new
    with pytest.raises(ConflictError, match="has said something else"):
        receive_succession(node, say(given, replace(ended, **change), position=1_000))  # type: ignore[arg-type]
    assert (rows(given), seen(given)) == before
    assert last(given) == 4
    (found,) = list_evidence(node.store)
    one, other = verify_contradiction(found.evidence, list(given.manifests.values()))
    assert one.logs != other.logs


def test_what_follows_is_not_ended_by_the_recovery_that_it_follows_from(given: World) -> None:
    node, log = given.nodes["borealia"], own_log(given)
    receive_succession(node, say(given, EndedLog(origin=log, size=4, next=Y), position=1_000))
    before = rows(given)
    with pytest.raises(ConflictError, match="has said something else"):
        receive_succession(node, say(given, EndedLog(origin=Y, size=0, next=Z), position=1_000))
    assert len(list_evidence(node.store)) == 1
    more = EndedLog(origin=next_origin(GIVER, b"\x33" * 8), size=0, next=Z)
    with pytest.raises(ConflictError, match="has named other logs"):
        receive_succession(node, say(given, more, position=1_000))
    assert rows(given) == before


def test_what_follows_is_no_log_that_is_known(given: World) -> None:
    node, log, never = given.nodes["borealia"], own_log(given), next_origin(GIVER, b"\x33" * 8)
    with node.store.write() as transaction:
        receipts.end_logs(transaction, GIVER, {Z: Row(size=1, agreement=AGREEMENT, next=None)})
    before = rows(given)
    for ended in (
        [EndedLog(origin=log, size=4, next=log)],
        [EndedLog(origin=log, size=4, next=Z)],
        [EndedLog(origin=never, size=0, next=log)],
        [EndedLog(origin=log, size=4, next=Y), EndedLog(origin=Y, size=0, next=never)],
        [EndedLog(origin=log, size=4, next=Y), EndedLog(origin=never, size=0, next=Y)],
        [EndedLog(origin="comity/aurelia/house/" + "0" * 16, size=4, next=Y)],
    ):
        with pytest.raises(ConflictError, match="which is known already"):
            receive_succession(node, say(given, *ended, position=1_000))
    with pytest.raises(ConflictError, match="another end of"):
        receive_succession(node, say(given, EndedLog(origin=Z, size=0, next=Y), position=1_000))
    assert rows(given) == before


def test_what_follows_was_seen_before_the_statement_came(given: World) -> None:
    """Of a log that nothing was seen of, for the same agreement: it changes nothing."""
    node, log = given.nodes["borealia"], own_log(given)
    row = node.store.row("SELECT agreement FROM seen_checkpoint")
    assert row is not None
    ended = EndedLog(origin=Z, size=0, agreement=AgreementId(Digest(str(row[0]))), next=log)
    receive_succession(node, say(given, ended, position=1_000))
    with node.store.read() as transaction:
        assert set(receipts.read_bound(transaction, GIVER).values()) == {log}


def test_so_many_ends_are_kept_of_a_party(given: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(node_succession, "_MAX_ENDED", 3)
    node = given.nodes["borealia"]
    names = [next_origin(GIVER, number.to_bytes(8)) for number in range(8)]
    many = [EndedLog(origin=names[each], size=0, next=names[each + 4]) for each in range(4)]
    before = rows(given)
    with pytest.raises(ConflictError, match="has ended 3 logs"):
        receive_succession(node, say(given, *many, position=1_000))
    assert rows(given) == before
    receive_succession(node, say(given, *many[:3], position=1_000))
