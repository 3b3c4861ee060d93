# SPDX-License-Identifier: Apache-2.0
"""An operator keeps, passes on or makes away with what was received against the log, and the audit names it."""

import asyncio
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from comity import peers
from comity.agreement.people import Role
from comity.canonical import canonical_bytes
from comity.ids import PartyId
from comity.letters.recall import Change
from comity.node import recalled, retention, withdrawal
from comity.node.follow import plan_pull
from comity.node.parties import add_party, export_manifest
from comity.node.purge_received import purge_received
from comity.node.recall import Recalling, recall
from comity.node.receive import Received, receive_page
from comity.release.receipt import format_place, is_place, parse_receipt
from comity.store import objects
from tests.chains import give_all, introduce, pull_all, sign_onward
from tests.served import Served
from tests.unit.node.test_audit import Forgery
from tests.unit.node.test_beside import edit, examine, problems
from tests.worlds import World, make_object, object_id

A, B, C = PartyId("aurelia"), PartyId("borealia"), PartyId("meridia")
X = object_id("report", "x")
VERSION = "2025-01-02T00:00:00.000000Z"
DAY = 86_400_000_000
REVIEWED = 'retention = { review_after = "P90D", maximum = "P300D", no_decision = "delete" }'


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """Aurelia gives Borealia, which passes it on to Meridia."""
    made = World(tmp_path)
    made.found(A, B, C)
    introduce(made, [(A, B), (B, C)])
    sign_onward(made, A, B, listed=[C], extra=REVIEWED)
    sign_onward(made, B, C, listed=[], extra=REVIEWED)
    yield made
    made.close()


def pull(world: World) -> None:
    """Borealia pulls from Aurelia, with receipts."""
    world.tick()
    with Served.start(world.nodes[A]) as served:
        add_party(world.nodes[B], export_manifest(world.nodes[A]), digest=None, url=served.url)
        for pulled in asyncio.run(peers.pull(world.nodes[B], A)):
            assert pulled.refused is None
    world.tick()


def recall_by_aurelia(world: World) -> None:
    by = world.actor(A, Role.LIAISON)
    done = recall(world.nodes[A], X, change=Change.WITHDRAW, versions=(), reason="wrong", by=by)
    assert isinstance(done, Recalling)


def test_what_is_kept_as_received_after_it_was_acknowledged_is_named(world: World) -> None:
    """All that says when it came is moved alike, so that its terms would let it be kept for longer."""
    world.add(A, make_object("x"))
    pull(world)
    pull(world)
    world.add(A, make_object("y"))
    pull(world)
    assert problems(world, B) == []
    columns = {"receipt": ["received_at"], "object": ["added_at"], "arrival": ["received_at", "decided_at"]}
    moved = {table: ", ".join(f"{name} = {name} + {30 * DAY}" for name in names) for table, names in columns.items()}
    edit(world, *(f"UPDATE {table} SET {values}" for table, values in moved.items()), name=B)
    found = problems(world, B)
    assert [each.partition(" was acknowledged at")[0] for each in found] == [
        "disclosure 1 of aurelia",
        "disclosure 2 of aurelia",
    ]
    assert all("kept as received later" in each for each in found)


def test_what_is_pulled_kept_and_acknowledged_is_clean(world: World) -> None:
    world.add(A, make_object("x"), make_object("y"))
    pull(world)
    world.add(A, make_object("z"))
    pull(world)
    retention.keep(world.nodes[B], X, reason="needed")
    pull_all(world, B, C)
    assert [problems(world, name) for name in (A, B, C)] == [[], [], []]
    assert examine(world, B).open == {}


def forge(data: bytes, member: str, old: str, new: str) -> bytes:
    """The receipt with one text in it told otherwise; `old` empty: with another first character."""
    value = json.loads(data)
    said = value[member]
    altered = said.replace(old, new, 1) if old else ("1" if said[0] == "0" else "0") + said[1:]
    assert altered != said
    return canonical_bytes({**value, member: altered})


@pytest.mark.parametrize("arrived", [0, 1])
@pytest.mark.parametrize(
    ("member", "old", "new"),
    [
        ("proof", "index 0", "index 1"),
        ("proof", "\n\n— comity/aurelia", "\n\n— comity/borealia"),
        ("leaf", '"recipient":"borealia"', '"recipient":"meridia"'),
        ("salt", "", ""),
    ],
)
def test_a_receipt_that_its_giver_has_not_signed_is_found(
    world: World, arrived: int, member: str, old: str, new: str
) -> None:
    """What shows what was given has to be what its giver signed, for as long as it is kept."""
    world.add(A, make_object("x"))
    pull(world)
    (data,) = world.nodes[B].store.row("SELECT data FROM receipt WHERE sequence = 1") or ()
    forged = forge(data, member, old, new)
    edit(world, "UPDATE receipt SET data = ?, arrived = ?", values=(forged, arrived), name=B)
    assert any("the receipt of disclosure 1 of aurelia was altered" in each for each in problems(world, B))


def test_a_signature_of_another_under_a_receipt_is_found(world: World) -> None:
    world.add(A, make_object("x"))
    pull(world)
    (data,) = world.nodes[B].store.row("SELECT data FROM receipt") or ()
    proof = json.loads(data)["proof"]
    end = proof[-12:]
    forged = forge(data, "proof", end, "A" * 8 + end[8:])
    edit(world, "UPDATE receipt SET data = ?", values=(forged,), name=B)
    found = [each for each in problems(world, B) if "no log key of aurelia has signed its checkpoint" in each]
    assert found


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        ("UPDATE receipt SET terms = 'ab'", "is kept as another one than it is"),
        ("UPDATE receipt SET at = at + 1", "is kept as another one than it is"),
        ("UPDATE receipt SET arrived = 0", f"{X} came by disclosure 1 of aurelia, which is kept as not received"),
        ("UPDATE receipt SET received_at = received_at - 1", f"{X} {VERSION} came under other terms, or later"),
        ("UPDATE arrival SET receipt = NULL", f"{X} is held as come by no disclosure"),
        ("UPDATE arrival SET receipt = 2", f"{X} {VERSION} is kept as given by aurelia"),
        ("UPDATE arrival SET received_at = received_at + 1, decided_at = decided_at + 1", "came under other terms, or"),
        ("UPDATE arrival SET terms = 'ab'", f"{X} {VERSION} came under other terms, or later"),
        ("DELETE FROM arrival", f"{X} is held as the own"),
    ],
)
def test_what_came_is_kept_as_its_receipt_shows_it(world: World, statement: str, said: str) -> None:
    """From which disclosure, under which terms and when: the terms and the time say until when it may be kept."""
    world.add(A, make_object("x"))
    pull(world)
    world.add(A, make_object("y"))
    pull(world)
    assert problems(world, B) == []
    name = f"(SELECT pk FROM object WHERE id = '{X}')"
    where = "sequence = 1" if " receipt SET" in statement else f"object = {name}"
    edit(world, f"{statement} WHERE {where}", name=B)
    assert any(said in each for each in problems(world, B)), problems(world, B)


def test_a_receipt_that_lost_its_content_by_no_purge_is_found(world: World) -> None:
    world.add(A, make_object("x"))
    pull(world)
    world.add(A, make_object("y"))
    pull(world)
    until = world.now
    for role in (Role.LIAISON, Role.LEGAL):
        purge_received(world.nodes[B], A, until=until, reason="order 12", by=world.actor(B, role))
    assert problems(world, B) == []
    (data,) = world.nodes[B].store.row("SELECT data FROM receipt WHERE sequence = 2") or ()
    assert is_place(data)
    world.add(A, make_object("z"))
    pull(world)
    (data,) = world.nodes[B].store.row("SELECT data FROM receipt WHERE sequence = 3") or ()
    place = format_place(parse_receipt(data))
    edit(world, "UPDATE receipt SET data = ? WHERE sequence = 3", values=(place,), name=B)
    assert problems(world, B) == ["the receipt of disclosure 3 of aurelia has lost its content by no purge on record"]


def test_a_recall_that_was_not_carried_out_is_found_by_what_went_on(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The letter is on record and answered, and the object goes to others all the same."""
    world.add(A, make_object("x"))
    pull_all(world, A, B)
    world.tick()
    recall_by_aurelia(world)
    monkeypatch.setattr(recalled, "stop", lambda *_, **__: None)
    monkeypatch.setattr(recalled, "delete_versions", lambda *_, **__: ())
    world.deliver()
    assert problems(world, B) == []
    world.tick()
    assert X in pull_all(world, B, C)
    (found,) = examine(world, B).findings
    assert (
        found.problem == f"{X} was disclosed in the version 2025-01-02T00:00:00.000000Z though aurelia had recalled it"
    )


def test_a_recall_of_what_came_afterwards_is_none(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A page under way when its giver recalled what is in it: the receiver answered that it did not hold it.

    It is not taken in any more (`test_recall.py`); logs of earlier versions hold that it was, and passed on.
    """
    monkeypatch.setattr(withdrawal.Stopped, "check", lambda *_: None)
    world.add(A, make_object("x"))
    ((name, page),) = give_all(world, A, B).items()
    world.tick()
    recall_by_aurelia(world)
    world.deliver()
    world.tick()
    (target,) = [item for item in plan_pull(world.nodes[B], A) if item.collection == name]
    way = Received(giver=A, terms=target.terms, channel=target.channel, collection=target.collection, added_after=None)
    receive_page(world.nodes[B], b'{"objects":[' + b",".join(item.data for item in page.items) + b"]}", way)
    world.tick()
    assert X in pull_all(world, B, C)
    assert problems(world, B) == []


def test_what_was_received_and_is_given_as_if_it_were_the_own_is_found(world: World) -> None:
    """Whoever writes the label of an own object to it lifts the terms that it came under."""
    world.add(A, make_object("x"))
    pull_all(world, A, B)
    world.add(B, make_object("own"))
    own = f"(SELECT label FROM object WHERE id = '{object_id('report', 'own')}')"
    edit(world, f"UPDATE object SET label = {own}, own_label = {own} WHERE id = '{X}'", name=B)
    world.tick()
    pull_all(world, B, C)
    (found,) = examine(world, B).findings
    assert "it had come from elsewhere before, and the label restricts it to nobody" in found.problem


@pytest.mark.parametrize("forged", ["audience", "excluded"])
def test_what_was_received_and_goes_to_whom_its_terms_do_not_list_is_found(tmp_path: Path, forged: str) -> None:
    """Label, grounds, decision and the terms it goes under agree: those that it came under do not."""
    made = World(tmp_path)
    made.found(A, B, C)
    introduce(made, [(A, B), (B, C)])
    excluded = 'excluded_frameworks = ["Pact of Nowhere"]'
    sign_onward(made, A, B, listed=[] if forged == "audience" else [C], extra=excluded if forged == "excluded" else "")
    sign_onward(made, B, C, listed=[])
    made.add(A, make_object("x"))
    pull_all(made, A, B)
    made.tick()
    assert pull_all(made, B, C) == set()
    with made.nodes[B].store.write() as transaction:
        (held,) = objects.read_versions_of(transaction, [X])
        label = objects.read_label(transaction, held.label)
        other = replace(label, audience=frozenset({B, C}), excluded_frameworks=frozenset())
        key = objects.intern_label(transaction, other)
        objects.set_own_label(transaction, held.pk, key)
        objects.set_labels(transaction, [(held.pk, key)])
    made.tick()
    assert pull_all(made, B, C) == {X}
    (found,) = examine(made, B).findings
    said = "let it go to meridia" if forged == "audience" else "terms that exclude Pact of Nowhere"
    assert said in found.problem
    made.close()


def test_the_very_page_that_was_the_own_is_decided_anew_once_it_came_from_elsewhere(world: World) -> None:
    """Its label was put back to what it had been: page and grounds are those of the first time."""
    world.add(B, make_object("x"))
    before = world.nodes[B].store.row(f"SELECT label, own_label FROM object WHERE id = '{X}'")
    assert before is not None
    world.tick()
    Forgery(name="x", recipient=C).record(world.nodes[B], agreement_with(world, C))
    world.tick()
    world.add(A, make_object("x"))
    pull_all(world, A, B)
    world.tick()
    assert problems(world, B) == []
    edit(world, f"UPDATE object SET label = {before[0]}, own_label = {before[1]} WHERE id = '{X}'", name=B)
    Forgery(name="x", recipient=C).record(world.nodes[B], agreement_with(world, C))
    (found,) = examine(world, B).findings
    assert "it had come from elsewhere before, and the label restricts it to nobody" in found.problem


def agreement_with(world: World, recipient: str) -> str:
    """The id of the agreement under which Borealia gives to this party."""
    row = world.nodes[B].store.row(
        "SELECT agreement FROM terms WHERE instr(document, ?) > 0", (f"borealia to {recipient}".encode(),)
    )
    assert row is not None
    return str(row[0])


def test_what_was_given_before_it_came_from_elsewhere_was_the_own(world: World) -> None:
    """The same page again, decided again after somebody gave the same object: by then its label says so."""
    world.add(B, make_object("x"))
    pull_all(world, B, C)
    world.tick()
    world.add(A, make_object("x"))
    pull_all(world, A, B)
    world.tick()
    pull_all(world, B, C)
    assert problems(world, B) == []


def test_what_was_received_and_is_held_as_if_nobody_had_given_it_is_found(world: World) -> None:
    """Every row that says where it came from is gone, its label is that of an own one. Its giver signed a receipt."""
    world.add(A, make_object("x"), make_object("y"))
    pull(world)
    world.add(B, make_object("own"))
    own = f"(SELECT label FROM object WHERE id = '{object_id('report', 'own')}')"
    edit(
        world,
        f"UPDATE object SET label = {own}, own_label = {own}, received_under = NULL, originator = 'borealia'"
        f" WHERE id = '{X}'",
        f"DELETE FROM arrival WHERE object = (SELECT pk FROM object WHERE id = '{X}')",
        name=B,
    )
    world.tick()
    pull_all(world, B, C)
    (found,) = examine(world, B).findings
    assert found.problem == f"{X} is held as the own, and the receipt of disclosure 1 shows that aurelia gave it"


def test_what_was_the_own_before_it_came_back_is_no_finding(world: World) -> None:
    world.add(B, make_object("x"), make_object("z"))
    pull_all(world, B, C)
    world.add(A, make_object("x"), make_object("y"))
    pull(world)
    assert problems(world, B) == []


def test_what_was_here_before_a_receipt_of_it_can_be_the_own(world: World) -> None:
    """No row says that it came: what a page holds that is outside of its terms is not taken in, and has a receipt."""
    world.add(B, make_object("x"))
    world.add(A, make_object("x"), make_object("y"))
    pull(world)
    edit(world, f"DELETE FROM arrival WHERE object = (SELECT pk FROM object WHERE id = '{X}')", name=B)
    assert problems(world, B) == []
    edit(world, f"UPDATE object SET added_at = added_at + 3600000000 WHERE id = '{X}'", name=B)
    assert any("is held as the own" in problem for problem in problems(world, B))


def test_a_receipt_that_was_altered_is_found(world: World) -> None:
    world.add(A, make_object("x"), make_object("y"))
    pull(world)
    other = object_id("report", "other")
    edit(world, f"UPDATE receipt SET data = CAST(replace(data, '{X}', '{other}') AS BLOB)", name=B)
    assert any("the receipt of disclosure 1 of aurelia was altered" in problem for problem in problems(world, B))


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        ("UPDATE arrival SET decided_at = decided_at + 1", "is kept by a decision that no review in the log says"),
        (
            "DELETE FROM receipt WHERE sequence = 2",
            "of the disclosures of aurelia no receipt of 2 is kept, and one of 3",
        ),
        (
            "DELETE FROM receipt WHERE sequence = 3",
            "this party acknowledged disclosure 3 of aurelia, and keeps no receipt",
        ),
        ("UPDATE arrival SET receipt = 7", "came by disclosure 7 of aurelia, and no receipt of that is kept"),
    ],
)
def test_what_is_held_of_others_is_as_receipts_and_reviews_say(world: World, statement: str, said: str) -> None:
    for name in "xyz":
        world.add(A, make_object(name))
        pull(world)
    retention.keep(world.nodes[B], X, reason="needed")
    assert problems(world, B) == []
    edit(world, statement, name=B)
    assert any(said in problem for problem in problems(world, B)), problems(world, B)
