# SPDX-License-Identifier: Apache-2.0
"""What waits for a party's people: whose turn it is, since when and until when, and what runs out."""

import json
from typing import Any, cast

import pytest

from comity.agreement.events import EventKind
from comity.agreement.lifecycle import Standing
from comity.agreement.work import WorkItem, WorkKind, sort_work
from comity.errors import MalformedRequest, TransitionError
from comity.ids import Instant, PartyId, format_instant
from comity.node import agree, receive
from comity.node.follow import plan_pull
from comity.node.journal import list_entries
from comity.node.parties import add_party, export_manifest
from comity.node.retention import delete_due
from comity.node.sources import Source, find_source, receive_in_steps
from comity.node.standing import Dossier
from comity.node.steps import finish
from comity.node.work import list_work, review_agreement
from tests.sources import follow_source
from tests.worlds import World, make_object

BUNDLE = "bundle--91a7b528-80eb-42ed-a74d-c6fbd5a26116"
DAY = 86_400_000_000
TIMES = 'response_times = { acceptance = "P10D", clarification = "P2D" }'


def work(world: World, name: str, *kinds: WorkKind) -> list[WorkItem]:
    return [item for item in list_work(world.nodes[name]) if not kinds or item.kind in kinds]


def acts(world: World, name: str) -> list[str]:
    return [item.act for item in work(world, name, WorkKind.STEP)]


def propose(world: World, **fields: Any) -> str:  # noqa: ANN401 (the fields of a world's terms)
    recorded = world.propose("aurelia", world.terms(**fields))
    assert isinstance(recorded, agree.Recorded)
    return recorded.event.agreement


def test_nothing_waits_where_nothing_is_owed(world: World) -> None:
    assert list_work(world.nodes["aurelia"]) == ()
    world.sign_all(world.terms())
    assert list_work(world.nodes["aurelia"]) == list_work(world.nodes["borealia"]) == ()


def test_a_step_is_due_from_when_its_event_was_recorded_here_and_not_from_what_its_sender_says(world: World) -> None:
    propose(world, extra=TIMES)
    world.tick(5 * DAY)
    world.deliver()
    received = world.now
    (item,) = work(world, "borealia")
    assert (item.kind, item.act) == (WorkKind.STEP, "accept, counter or reject")
    assert (item.since, item.due) == (received, received + 10 * DAY)
    assert not item.is_overdue(Instant(received + 10 * DAY - 1))
    assert item.is_overdue(Instant(received + 10 * DAY))
    assert work(world, "aurelia") == []


def test_a_step_without_a_response_time_has_no_date(world: World) -> None:
    propose(world)
    world.deliver()
    (item,) = work(world, "borealia")
    assert item.due is None
    assert not item.is_overdue(Instant(world.now + 10_000 * DAY))


def test_a_question_is_the_turn_of_who_proposed_until_it_is_answered(world: World) -> None:
    agreement = propose(world, extra=TIMES)
    world.deliver()
    world.tick(DAY)
    world.act("borealia", agreement, EventKind.CLARIFY, clause="validity", text="Until when?")
    world.deliver()
    asked = world.now
    world.tick(DAY)
    (item,) = work(world, "aurelia")
    assert (item.act, item.since, item.due) == ("answer", asked, asked + 2 * DAY)
    world.act("aurelia", agreement, EventKind.ANSWER, text="Until it ends.")
    world.deliver()
    assert work(world, "aurelia") == []
    # Asked again later, the time runs from the later question.
    world.tick(DAY)
    world.act("borealia", agreement, EventKind.CLARIFY, clause="validity", text="And then?")
    world.deliver()
    assert work(world, "aurelia")[0].since == world.now


def test_what_every_party_signed_sets_the_times_of_its_next_version(world: World) -> None:
    agreement = world.sign_all(world.terms(extra=TIMES))
    hurried = 'response_times = { acceptance = "PT1H" }'
    signed = world.propose(
        "aurelia",
        world.terms(extra=hurried, version=2, agreement=agreement, supersedes=agreement),
    )
    assert isinstance(signed, agree.Recorded)
    world.deliver()
    (item,) = work(world, "borealia")
    assert item.due == world.now + 10 * DAY


def test_a_suspension_waits_for_who_holds_it(world: World) -> None:
    agreement = world.sign_all(world.terms())
    world.act("borealia", agreement, EventKind.SUSPEND)
    world.deliver()
    assert (acts(world, "borealia"), acts(world, "aurelia")) == (["resume"], [])


def test_a_review_date_is_work_from_thirty_days_before_until_somebody_reviews(world: World) -> None:
    dates = [Instant(world.now + days * DAY) for days in (100, 120, 300)]
    listed = json.dumps([format_instant(date) for date in dates])
    toml = world.terms().replace(b"[validity]", f"[validity]\nreviews = {listed}".encode())
    agreement = world.sign_all(toml)
    world.now = Instant(dates[0] - 30 * DAY - 1)
    assert work(world, "aurelia") == []
    world.tick(1)
    (item,) = work(world, "aurelia")
    assert (item.kind, item.due, item.since) == (WorkKind.AGREEMENT_REVIEW, dates[0], world.now)
    world.now = Instant(dates[0] + DAY)
    (late,) = work(world, "aurelia")
    assert late.is_overdue(world.now)
    before = len(list_entries(world.nodes["aurelia"], start=0, limit=99))
    outbox = count_messages(world)
    review_agreement(world.nodes["aurelia"], agreement, reason="Still needed.", by="L. Officer")
    # Within the notice of the second date too: one look does for both.
    assert work(world, "aurelia") == []
    (entry,) = list_entries(world.nodes["aurelia"], start=before, limit=99)
    content = cast("dict[str, Any]", entry.content)
    assert entry.leaf.type == "review"
    assert entry.leaf.terms == agreement
    assert (content["agreement"], content["reason"], content["by"]) == (agreement, "Still needed.", "L. Officer")
    assert count_messages(world) == outbox, "a partner was told"
    assert work(world, "borealia") != []
    world.now = Instant(dates[2] - 30 * DAY)
    assert [item.due for item in work(world, "aurelia")] == [dates[2]]


def count_messages(world: World) -> int:
    with world.nodes["aurelia"].store.read() as transaction:
        return int(transaction.rows("SELECT COUNT(*) FROM outbox")[0][0])


def test_only_what_all_signed_is_reviewed_and_with_a_reason(world: World) -> None:
    agreement = propose(world)
    with pytest.raises(TransitionError, match="every party signed"):
        review_agreement(world.nodes["aurelia"], agreement, reason="Early.")
    world.deliver()
    world.act("borealia", agreement, EventKind.ACCEPT)
    world.deliver()
    with pytest.raises(MalformedRequest):
        review_agreement(world.nodes["aurelia"], agreement, reason=" ")


def test_an_end_is_announced_thirty_days_before_and_not_after_it(world: World) -> None:
    until = Instant(world.now + 100 * DAY)
    world.sign_all(world.terms(until=format_instant(until)))
    world.now = Instant(until - 30 * DAY - 1)
    assert work(world, "aurelia") == []
    world.tick(1)
    (item,) = work(world, "aurelia", WorkKind.AGREEMENT_END)
    assert item.due == until
    world.now = until
    assert work(world, "aurelia", WorkKind.AGREEMENT_END) == []


def test_a_basis_or_an_assurance_that_runs_out_is_announced_and_stays_until_it_is_renewed(world: World) -> None:
    until = Instant(world.now + 100 * DAY)
    assurance = "\n".join(
        [
            "[[assurances]]",
            'kind = "no_torture"',
            'given_by = "borealia"',
            f'document = "{"a" * 64}"',
            f'valid_until = "{format_instant(until)}"',
            "[[channels]]",
        ]
    )
    basis = f'force = "decides"\nvalid_until = "{format_instant(until)}"'
    toml = world.terms().replace(b"[[channels]]", assurance.encode()).replace(b'force = "decides"', basis.encode(), 1)
    world.sign_all(toml)
    world.now = Instant(until - 30 * DAY - 1)
    assert work(world, "aurelia") == []
    for now in (until - 30 * DAY, until):
        world.now = Instant(now)
        kinds = {(item.kind, item.party, item.act) for item in work(world, "aurelia")}
        assert kinds == {
            (WorkKind.BASIS_END, "aurelia", "renew it in a next version"),
            (WorkKind.ASSURANCE_END, "borealia", "ask borealia to renew it"),
        }
    assert all(item.is_overdue(world.now) for item in work(world, "aurelia"))


def test_a_basis_that_ran_out_beside_another_one_is_no_work(world: World) -> None:
    until = format_instant(Instant(world.now + 100 * DAY))
    second = (
        '[[legal_bases]]\nparty = "aurelia"\nkind = "unsc_resolution"\nreference = "S/RES/9101"\nparagraph = "OP 4"\n'
        f'force = "decides"\nvalid_until = "{until}"\n[[channels]]'
    )
    world.sign_all(world.terms().replace(b"[[channels]]", second.encode()))
    world.tick(99 * DAY)
    assert [item.kind for item in work(world, "aurelia")] == [WorkKind.BASIS_END]
    world.tick(DAY)
    assert work(world, "aurelia") == []


def test_a_manifest_that_runs_out_is_work_for_whoever_knows_it(world: World) -> None:
    ends = world.manifests["borealia"].expires_at
    world.now = Instant(ends - 30 * DAY - DAY)
    assert work(world, "aurelia") == []
    world.tick(2 * DAY)
    for name in ("aurelia", "borealia"):
        assert {item.party for item in work(world, name, WorkKind.MANIFEST_END)} == {"aurelia", "borealia"}
    world.now = Instant(ends + DAY)
    assert all(item.is_overdue(world.now) for item in work(world, "aurelia"))


def test_messages_that_nobody_took_for_an_hour_are_work(world: World) -> None:
    propose(world)
    world.tick(3_600_000_000 - 1)
    assert work(world, "aurelia") == []
    world.tick(1)
    (item,) = work(world, "aurelia")
    assert (item.kind, item.party, item.count) == (WorkKind.UNDELIVERED, "borealia", 1)
    world.deliver()
    assert work(world, "aurelia") == []


def test_reviews_and_deletions_of_objects_are_one_line_for_each_text(world: World) -> None:
    node = world.nodes["borealia"]
    digest = world.manifests["aurelia"].digest
    add_party(node, export_manifest(world.nodes["aurelia"]), digest=digest, url="http://127.0.0.1:1")
    world.sign_all(world.terms(extra='retention = { review_after = "P90D", no_decision = "delete" }'))
    (target,) = plan_pull(node, PartyId("aurelia"))
    received = receive.Received(
        giver=target.giver,
        terms=target.terms,
        channel=target.channel,
        collection=target.collection,
        added_after=None,
    )
    for names in ("ab", "c"):
        data = json.dumps({"objects": [make_object(name) for name in names]}).encode()
        receive.receive_page(node, data, received)
        world.tick(DAY)
    start = Instant(world.now - 2 * DAY)
    world.now = Instant(start + 70 * DAY)
    (item,) = work(world, "borealia")
    assert (item.kind, item.count, item.due) == (WorkKind.RETENTION_REVIEW, 3, start + 90 * DAY)
    world.now = Instant(start + 90 * DAY)
    kinds = {item.kind: item.count for item in work(world, "borealia")}
    assert kinds == {WorkKind.DELETION: 2, WorkKind.RETENTION_REVIEW: 1}
    delete_due(node)
    kinds = {item.kind: item.count for item in work(world, "borealia")}
    assert kinds == {WorkKind.DELETED: 2, WorkKind.RETENTION_REVIEW: 1}
    world.tick(DAY)
    delete_due(node)
    world.tick(6 * DAY)
    assert {item.kind: item.count for item in work(world, "borealia")} == {WorkKind.DELETED: 1}
    world.tick(DAY)
    assert work(world, "borealia") == []


def test_what_a_source_gave_is_reviewed_and_deleted_by_its_own_record(world: World) -> None:
    """A record is no agreement: nothing leads to one, and nobody else's work is lost over it."""
    node = world.nodes["borealia"]
    assert isinstance(follow_source(world, "https://x.example/"), Source)
    page = json.dumps({"type": "bundle", "id": BUNDLE, "objects": [make_object("a")]}).encode()
    assert finish(receive_in_steps(node, find_source(node, "north"), page, position=None)).added
    world.tick(350 * DAY)
    (item,) = work(world, "borealia")
    assert (item.kind, item.agreement, item.title, item.party) == (
        WorkKind.RETENTION_REVIEW,
        None,
        None,
        "north-cert",
    )
    assert "the record of a source, Open reports of the North CERT" in item.why
    world.tick(20 * DAY)
    assert [item.kind for item in work(world, "borealia")] == [WorkKind.DELETION]
    delete_due(node)
    assert [item.kind for item in work(world, "borealia")] == [WorkKind.DELETED]


def test_the_oldest_comes_first_and_of_those_the_one_due_first() -> None:
    def item(since: int, due: int | None, act: str = "x") -> WorkItem:
        limit = None if due is None else Instant(due)
        return WorkItem(kind=WorkKind.STEP, act=act, why="y", since=Instant(since), due=limit)

    made = [item(2, 3), item(1, None), item(1, 9), item(1, 5), item(3, 1)]
    expected = [item(1, 5), item(1, 9), item(1, None), item(2, 3), item(3, 1)]
    assert list(sort_work(made)) == list(sort_work(reversed(made))) == expected


def test_the_questions_of_a_partner_cost_no_more_than_one_pass(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    agreement = world.sign_all(world.terms())
    for clause in ("purposes", "parties", "form", "validity"):
        world.tick()
        world.act_on("borealia", agreement, EventKind.CLARIFY, clause=clause, text="Why?")
        world.deliver()
    asked, read = list[Instant](), Dossier.standing_at

    def count(dossier: Dossier, at: Instant) -> Standing | None:
        asked.append(at)
        return read(dossier, at)

    monkeypatch.setattr(Dossier, "standing_at", count)
    steps = work(world, "aurelia", WorkKind.STEP)
    assert len({step.since for step in steps}) == len(steps) == 4, "each since its own question"
    assert len(asked) == len(set(asked)), "no time is looked at twice"
