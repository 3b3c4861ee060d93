# SPDX-License-Identifier: Apache-2.0
"""What a partner wrote over TAXII it can take back: it stops, is told on, settled, on record; and nothing else is."""

import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from comity.agreement.events import EventKind
from comity.agreement.people import Role
from comity.agreement.work import WorkKind
from comity.canonical import Json, sha256_digest
from comity.errors import MalformedRequest, NotFoundError
from comity.ids import Instant, ObjectId, PartyId, parse_instant
from comity.letters.recall import Outcome
from comity.node import receive, retention, retraction, withdrawal
from comity.node.accept import OverQuota, Status, accept_objects, list_write_collections, read_status
from comity.node.audit import audit_folder
from comity.node.delivery import expect_receipt
from comity.node.explain import show_object
from comity.node.follow import plan_pull
from comity.node.journal import list_entries, verify_store
from comity.node.patterns import keep_said, list_due, show_in_steps
from comity.node.poll import VersionChoice
from comity.node.recall import TakenBack, keep_recalled, list_recalls, list_taken_back, show_recall
from comity.node.receipts import give_receipt
from comity.node.retraction import Retraction, retract
from comity.node.soundness import examine_folder
from comity.node.steps import finish
from comity.node.upkeep import keep_up
from comity.node.work import list_work
from comity.release.delivery import verify_next
from comity.stix.grammar import find_pattern_problem
from comity.store import Transaction, retractions
from tests.chains import introduce, pull_all, sign_onward
from tests.worlds import World, make_object, object_id

A, B, C, D = map(PartyId, ("aurelia", "borealia", "cimbria", "meridia"))
X = object_id("report", "x")
ALL = VersionChoice(last=False, every=True)
DAY = 86_400_000_000
KEPT_AND_NOT = {D: ["clashes"], B: ["kept", "clashes"]}
RETENTION = '[retention]\nreview_after = "P6M"\nno_decision = "delete"'


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """Borealia writes to aurelia, which passes on to cimbria; meridia gives aurelia too."""
    made = World(tmp_path)
    made.found(A, B, C, D)
    introduce(made, [(A, B), (A, C), (A, D)])
    yield made
    made.close()


def sign(world: World, *, extra: str = "") -> str:
    there = sign_onward(world, B, A, listed=[C], extra=extra)
    sign_onward(world, A, C, listed=[])
    return there


def write(world: World, *objects: dict[str, Any], giver: PartyId = B) -> Status:
    (target,) = list_write_collections(world.nodes[A], giver)
    data = json.dumps({"objects": objects}).encode()
    done = accept_objects(world.nodes[A], data, giver=giver, collection=target.id)
    assert isinstance(done, Status)
    world.tick()
    return done


def take_back(
    world: World, item: ObjectId = X, *, giver: PartyId = B, versions: VersionChoice | None = ALL
) -> Retraction:
    (target,) = list_write_collections(world.nodes[A], giver)
    done = retract(world.nodes[A], giver=giver, collection=target.id, item=item, versions=versions)
    assert isinstance(done, Retraction), done
    world.tick()
    (kept, *_) = list_taken_back(world.nodes[A], limit=1)
    assert kept.retraction.name == done.name
    return kept.retraction


def pull_shown(world: World) -> None:
    """Aurelia pulls what borealia's node gives it, with its receipt."""
    page = b'{"objects":[' + b",".join(item.data for item in world.poll(A, giver=B).items) + b"]}"
    expected = expect_receipt(world.nodes[A], B, 1)
    data = give_receipt(world.nodes[B], A, 1)
    shown = verify_next(data, b"", expected, now=world.now)
    (target,) = plan_pull(world.nodes[A], B)
    received = receive.Received(
        giver=B, terms=target.terms, channel=target.channel, collection=target.collection, added_after=None
    )
    receive.receive_shown(world.nodes[A], page, received, shown)


def outcomes(item: Retraction) -> list[Outcome]:
    return [one.result.outcome for one in item.versions]


def is_held(world: World, name: str = A, item: ObjectId = X) -> bool:
    try:
        show_object(world.nodes[name], item)
    except NotFoundError:
        return False
    return True


def held_days(world: World, item: ObjectId = X) -> list[str]:
    with world.nodes[A].store.read() as transaction:
        rows = transaction.rows("SELECT version FROM object WHERE id = ? ORDER BY version_at", (item,))
    return [version[:10] for (version,) in rows]


def day(number: int) -> Instant:
    return Instant(parse_instant("2025-01-01T00:00:00Z") + number * DAY)


def check_all(world: World) -> None:
    for name, node in world.nodes.items():
        verify_store(node.store, origin=f"comity/{name}", party=PartyId(name))
        found = examine_folder(world.folder / name)
        assert found.is_sound, found.findings
        audited = audit_folder(world.folder / name, now=world.now)
        assert audited.found == 0, audited.findings


# --- what it wrote ----------------------------------------------------------------------------------------------------


def test_what_it_wrote_stops_is_deleted_and_is_taken_back_along_the_chain(world: World) -> None:
    sign(world)
    write(world, make_object("x"), make_object("stays"))
    assert X in pull_all(world, A, C)
    done = take_back(world)
    assert outcomes(done) == [Outcome.DELETED]
    assert not is_held(world)
    assert set(world.read(C)) == {object_id("report", "stays")}
    world.deliver()
    assert not is_held(world, C)
    assert is_held(world, C, object_id("report", "stays"))
    (told,) = list_recalls(world.nodes[A], limit=10)[0]
    assert (told.stored.party, told.stored.because, told.stored.progress) == (C, done.name, "done")
    check_all(world)


def test_who_has_it_from_there_does_not_learn_who_took_it_back(world: World) -> None:
    there = sign(world)
    write(world, make_object("x"))
    pull_all(world, A, C)
    done = take_back(world)
    (told,) = list_recalls(world.nodes[A], limit=10)[0]
    for word in (B, there, done.name):
        assert word.encode() not in told.stored.envelope


def test_it_is_on_record_in_the_act_that_stops_it(world: World) -> None:
    there = sign(world)
    write(world, make_object("x"))
    before = len(list_entries(world.nodes[A], start=0, limit=10_000))
    done = take_back(world)
    after = list_entries(world.nodes[A], start=0, limit=10_000)[before:]
    assert [entry.leaf.type.value for entry in after][:2] == ["recall", "purge"]
    said: Any = after[0].content
    assert (said["format"], said["retraction"], said["giver"], said["agreement"], said["object"], said["asked"]) == (
        "comity-retraction/1",
        done.name,
        B,
        there,
        X,
        "all",
    )
    assert [item["version"] for item in said["objects"]] == [done.versions[0].version]


def test_what_was_taken_back_does_not_come_in_again_and_a_newer_version_does(world: World) -> None:
    sign(world)
    write(world, make_object("x"))
    take_back(world)
    assert write(world, make_object("x")).failures == ()
    assert not is_held(world)
    write(world, make_object("x", day=2))
    assert held_days(world) == ["2025-01-03"]


def test_what_refers_to_it_is_withheld(world: World) -> None:
    sign(world)
    write(world, make_object("x"), make_object("about", refs=[X]))
    assert len(world.read(C)) == 2
    take_back(world)
    assert world.read(C) == {}


def test_it_is_taken_back_though_it_was_deleted_here_before(world: World) -> None:
    sign(world)
    write(world, make_object("x"))
    pull_all(world, A, C)
    retention.delete(world.nodes[A], X, reason="no room")
    assert outcomes(take_back(world)) == [Outcome.DELETED]
    world.deliver()
    assert not is_held(world, C)
    check_all(world)


def test_it_is_taken_back_though_another_gave_it_first_and_it_was_deleted(world: World) -> None:
    sign(world)
    sign_onward(world, D, A, listed=[C])
    write(world, make_object("x"), giver=D)
    write(world, make_object("x"))
    assert X in pull_all(world, A, C)
    retention.delete(world.nodes[A], X, reason="no room")
    assert outcomes(take_back(world)) == [Outcome.DELETED]
    world.deliver()
    assert not is_held(world, C)
    check_all(world)


@pytest.mark.parametrize("pattern", ["[a:b == 1]]", "[a:b = 1] WITHIN 5 SECONDS"])
def test_what_is_still_to_be_read_of_it_is_read_so_that_its_status_shows_nothing(world: World, pattern: str) -> None:
    """Whether it was kept, and deleted, or clashed with what another gave: its writer is told the same all along."""
    sign(world)
    sign_onward(world, D, A, listed=[C])
    node = world.nodes[A]
    given: tuple[tuple[PartyId, dict[str, Json]], ...] = ((D, {}), (B, {"pattern": pattern}))
    for giver, more in given:
        shown = [
            write(world, make_object(name, kind="indicator", more=more), giver=giver) for name in KEPT_AND_NOT[giver]
        ]
    for name in KEPT_AND_NOT[B]:
        take_back(world, object_id("indicator", name))
    kept, clashing = (object_id("indicator", name) for name in KEPT_AND_NOT[B])
    assert is_held(world, A, kept)
    assert (kept in world.read(C), clashing in world.read(C)) == (False, True)

    def told() -> list[tuple[int, int, list[str]]]:
        read = [read_status(node, party=B, name=status.id) for status in shown]
        return [(len(each.successes), len(each.pendings), [item.message for item in each.failures]) for each in read]

    assert told() == [(0, 1, [])] * 2
    while due := list_due(node):
        said = {item.id: find_pattern_problem(item.text) for item in due}
        keep_said(node, {key: None if problem is None else str(problem) for key, problem in said.items()})
        finish(show_in_steps(node))
    after = told()
    assert after[0] == after[1]
    assert bool(after[0][2]) is pattern.endswith("]]")
    keep_up(node)
    assert not is_held(world, A, kept)
    assert told() == after
    assert clashing in world.read(C)
    check_all(world)


# --- which versions (TAXII 2.1 §3.4.1) --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("versions", "left"),
    [
        (ALL, []),
        (VersionChoice(), [1, 2]),
        (VersionChoice(last=False, first=True), [2, 3]),
        (VersionChoice(first=True), [2]),
        (VersionChoice(last=False, exact=frozenset({day(2), day(9)})), [1, 3]),
        (None, [1, 2, 3]),
    ],
)
def test_the_versions_that_are_asked_for(world: World, versions: VersionChoice | None, left: list[int]) -> None:
    sign(world)
    for number in (1, 2, 3):
        write(world, make_object("x", day=number))
    take_back(world, versions=versions)
    assert held_days(world) == [f"2025-01-0{number + 1}" for number in left]
    check_all(world)


@pytest.mark.parametrize("versions", [ALL, VersionChoice(), VersionChoice(last=False, first=True)])
def test_the_same_again_changes_nothing_and_tells_nobody(world: World, versions: VersionChoice) -> None:
    sign(world)
    for number in (1, 2, 3):
        write(world, make_object("x", day=number))
    pull_all(world, A, C)
    take_back(world, versions=versions)
    world.deliver()
    held, told = held_days(world), len(list_recalls(world.nodes[A], limit=10)[0])
    assert take_back(world, versions=versions).versions == ()
    assert (held_days(world), len(list_recalls(world.nodes[A], limit=10)[0])) == (held, told)
    check_all(world)


# --- what it did not write --------------------------------------------------------------------------------------------


def test_what_others_gave_stays(world: World) -> None:
    sign(world)
    sign_onward(world, D, A, listed=[C])
    write(world, make_object("x"), giver=D)
    assert take_back(world).versions == ()
    assert is_held(world)
    assert X in world.read(C)


def test_what_clashed_stays_as_it_is_held(world: World) -> None:
    sign(world)
    sign_onward(world, D, A, listed=[C])
    write(world, make_object("x"), giver=D)
    write(world, make_object("x", more={"confidence": 3}))  # other bytes of the same version
    write(world, make_object("x", day=2))  # a newer version of another's object
    assert take_back(world).versions == ()
    assert held_days(world) == ["2025-01-02"]
    assert X in world.read(C)


def test_what_is_this_partys_own_stays(world: World) -> None:
    sign(world)
    world.add(A, make_object("x"))
    assert take_back(world).versions == ()
    write(world, make_object("x"))
    assert take_back(world).versions == ()
    assert is_held(world)
    with world.nodes[A].store.read() as transaction:
        assert transaction.rows("SELECT 1 FROM arrival") == []


def test_what_it_was_given_itself_stays(world: World) -> None:
    sign(world)
    sign_onward(world, A, B, listed=[])
    world.add(A, make_object("x"))
    assert X in world.read(B)
    write(world, make_object("x"))  # it only comes back
    assert take_back(world).versions == ()
    assert X in world.read(B)


def test_what_it_gave_under_another_agreement_stays(world: World) -> None:
    sign(world)
    write(world, make_object("x"))
    other = world.sign_all(world.terms(giver=B, receivers=(A,), title="Other"), proposer=B)
    targets = {target.dossier.id: target for target in list_write_collections(world.nodes[A], B)}
    done = retract(world.nodes[A], giver=B, collection=targets[other].id, item=X, versions=ALL)  # type: ignore[index]
    assert isinstance(done, Retraction)
    assert done.versions == ()
    assert is_held(world)


def test_what_another_party_of_the_same_agreement_gave_stays(world: World) -> None:
    second = '[[channels]]\nid = "other"\ngiver = "meridia"\nreceivers = ["aurelia"]\ntypes = ["report"]\n'
    second += (
        'tlp_ceiling = "amber"\nsubjects = ["national:ashfall"]\nregions = ["IQ"]\nonward = "none"\nhistory = "all"'
    )
    world.sign_all(world.terms(giver=B, receivers=(A, D), channel_extra=second), proposer=B)
    write(world, make_object("x"), giver=D)
    assert take_back(world).versions == ()
    assert is_held(world)
    assert outcomes(take_back(world, giver=D)) == [Outcome.DELETED]


def test_what_came_from_its_node_with_a_receipt_takes_a_letter(world: World) -> None:
    """A password is enough to write and to take back; what a node disclosed is recalled by what it signs."""
    sign(world)
    world.add(B, make_object("x"))
    pull_shown(world)
    assert is_held(world)
    assert take_back(world).versions == ()
    assert is_held(world)
    retention.delete(world.nodes[A], X, reason="no room")
    assert take_back(world).versions == ()


def test_a_marking_of_tlp_is_everybodys(world: World) -> None:
    sign(world)
    marking = ObjectId(str(make_object("x")["object_marking_refs"][0]))  # type: ignore[index]
    assert take_back(world, marking).versions == ()


# --- people -----------------------------------------------------------------------------------------------------------


def test_under_terms_with_a_review_people_decide(world: World) -> None:
    sign(world, extra=RETENTION)
    write(world, make_object("x"))
    done = take_back(world)
    assert outcomes(done) == [Outcome.STOPPED]
    assert world.read(C) == {}
    (item,) = [item for item in list_work(world.nodes[A]) if item.kind is WorkKind.RECALL_TO_DECIDE]
    assert (item.party, item.due) == (B, done.due_at)
    assert done.due_at == done.at + 14 * DAY
    keep_recalled(world.nodes[A], X, reason="evidence", by=world.actor(A, Role.LIAISON))
    (kept, *_) = list_taken_back(world.nodes[A], limit=1)
    assert [(one.result.outcome, one.result.reason) for one in kept.retraction.versions] == [(Outcome.KEPT, "evidence")]
    assert kept.retraction.due_at is None
    assert not [item for item in list_work(world.nodes[A]) if item.kind is WorkKind.RECALL_TO_DECIDE]
    world.tick(30 * DAY)
    keep_up(world.nodes[A])
    assert is_held(world)
    assert world.read(C) == {}
    check_all(world)


@pytest.mark.parametrize(("times", "days"), [("", 14), ('[response_times]\nrecall = "P2D"\n', 2)])
def test_what_nobody_decides_on_is_deleted_at_its_date(world: World, times: str, days: int) -> None:
    sign(world, extra=times + RETENTION)
    write(world, make_object("x"))
    done = take_back(world)
    world.now = Instant(done.at + days * DAY - 1)
    keep_up(world.nodes[A])
    assert is_held(world)
    world.tick(1)
    keep_up(world.nodes[A])
    assert not is_held(world)
    check_all(world)


def test_it_is_shown_to_people(world: World) -> None:
    sign(world)
    write(world, make_object("x"))
    done = take_back(world)
    shown = show_recall(world.nodes[A], done.name[:6])
    assert isinstance(shown, TakenBack)
    assert shown.retraction == done
    with pytest.raises(NotFoundError):
        show_recall(world.nodes[A], "0" * 64)


# --- bounds, and where nothing may be taken back ----------------------------------------------------------------------


def test_it_may_ask_as_often_a_day_as_it_may_write_objects(world: World) -> None:
    sign(world)
    node = world.nodes[A]
    node.settings = dataclasses.replace(node.settings, write_objects_per_day=2)
    write(world, make_object("x"), make_object("y"))
    (target,) = list_write_collections(node, B)
    take_back(world, object_id("report", "not here"))
    take_back(world)
    before = len(list_entries(node, start=0, limit=10_000))
    over = retract(node, giver=B, collection=target.id, item=object_id("report", "y"), versions=ALL)
    assert isinstance(over, OverQuota)
    assert 0 < over.retry_after <= 86_400
    assert len(list_entries(node, start=0, limit=10_000)) == before
    assert is_held(world, A, object_id("report", "y"))
    world.tick(over.retry_after * 1_000_000)
    assert outcomes(take_back(world, object_id("report", "y"))) == [Outcome.DELETED]


def test_nothing_is_taken_back_where_nothing_may_be_written(world: World) -> None:
    there = sign(world)
    write(world, make_object("x"))
    (target,) = list_write_collections(world.nodes[A], B)
    world.act(A, there, EventKind.SUSPEND)
    with pytest.raises(NotFoundError):
        retract(world.nodes[A], giver=B, collection=target.id, item=X, versions=ALL)
    with pytest.raises(NotFoundError):
        retract(world.nodes[A], giver=D, collection=target.id, item=X, versions=ALL)
    assert is_held(world)


def test_where_nothing_is_found_the_log_is_not_searched(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """To search it takes as long as it is long: that must not show whether others gave the object."""
    sign(world)
    sign_onward(world, D, A, listed=[C])
    write(world, make_object("x"), giver=D)
    assert X in world.read(C)
    asked = list[withdrawal.Wanted]()

    def find(transaction: Transaction, wanted: withdrawal.Wanted) -> list[withdrawal.Given]:
        asked.append(wanted)
        return withdrawal.find_given(transaction, wanted)

    monkeypatch.setattr(retraction, "find_given", find)
    take_back(world)
    assert asked == [{}]


# --- the audit --------------------------------------------------------------------------------------------------------


def findings(world: World) -> str:
    return "\n".join(str(item) for item in audit_folder(world.folder / A, now=world.now).findings)


def test_the_audit_sees_a_retraction_that_is_not_as_the_log_has_it(world: World) -> None:
    sign(world)
    write(world, make_object("x"))
    done = take_back(world)
    with world.nodes[A].store.write() as transaction:
        transaction.run("DROP TRIGGER retraction_kept")
        transaction.run("UPDATE retraction SET giver = 'meridia'")
    assert f"the retraction {done.name[:12]} is kept as another one" in findings(world)
    with world.nodes[A].store.write() as transaction:
        transaction.run("DROP TRIGGER retraction_stays")
        transaction.run("DELETE FROM retraction")
    assert f"the retraction {done.name[:12]} is in the log and not kept" in findings(world)


def test_the_audit_sees_a_retraction_that_is_not_in_the_log(world: World) -> None:
    sign(world)
    write(world, make_object("x"))
    done = take_back(world)
    with world.nodes[A].store.write() as transaction:
        retractions.add_retraction(transaction, dataclasses.replace(done, name=sha256_digest(b"other"), versions=()))
    assert "is in no entry of the log" in findings(world)


def test_the_audit_sees_what_was_given_after_it_was_taken_back(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The mutant that takes back and goes on giving."""
    sign(world, extra=RETENTION)
    write(world, make_object("x"))
    monkeypatch.setattr(retraction, "mark_stopped", lambda act, items: None)
    take_back(world)
    assert X in world.read(C)
    assert "after it had been recalled" in findings(world)


def test_a_prefix_that_fits_several_is_told(world: World) -> None:
    sign(world)
    with world.nodes[A].store.read() as transaction:
        assert retraction.find_retraction(transaction, "abc") is None
    names = [take_back(world, object_id("report", f"n{number}")).name for number in range(3)]
    with world.nodes[A].store.write() as transaction:
        transaction.run("DROP TRIGGER retraction_kept")
        for number, name in enumerate(names):
            transaction.run("UPDATE retraction SET name = ? WHERE name = ?", (f"abcdef{number}" + name[7:], name))
    with world.nodes[A].store.read() as transaction, pytest.raises(MalformedRequest, match="several"):
        retraction.find_retraction(transaction, "abcdef")
