# SPDX-License-Identifier: Apache-2.0
"""Requests for information and their answers go between two parties of an agreement in force, and make work."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from comity.agreement.events import EventKind
from comity.agreement.people import Role
from comity.agreement.recognition import Refusal
from comity.agreement.work import WorkItem, WorkKind
from comity.errors import (
    ComityError,
    ConflictError,
    MalformedRequest,
    NotFoundError,
    TransitionError,
    VerificationError,
)
from comity.ids import AgreementId, Digest, PartyId
from comity.letters.letter import LETTER_TYPE, Draft, make_letter, parse_letter
from comity.letters.recall import Change
from comity.letters.request import Reply, ReplyOutcome, Request, Urgency
from comity.node import requested
from comity.node.audit import audit_folder
from comity.node.figures import read_figures
from comity.node.letterbox import take_letter
from comity.node.outbox import list_due, list_waiting
from comity.node.recall import Recalling, recall
from comity.node.requests import (
    Sent,
    answer_request,
    list_requests,
    send_request,
    show_request,
    withdraw_request,
)
from comity.node.work import list_work
from comity.signing import Role as KeyRole
from tests.chains import deliver_to, introduce, pull_all, sign_onward
from tests.worlds import World, make_object, object_id

A, B, C = map(PartyId, ("aurelia", "borealia", "cimbria"))
X, Y = object_id("report", "x"), object_id("report", "y")
HOUR = 3_600_000_000
TIMES = '[response_times]\nrequest = "P2D"'


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """Three nodes; aurelia has given borealia a report."""
    made = World(tmp_path)
    made.found(A, B, C)
    introduce(made, [(A, B), (B, C), (A, C)])
    yield made
    made.close()


def agree(world: World, *, extra: str = "") -> str:
    agreement = sign_onward(world, A, B, listed=[], extra=extra)
    world.add(A, make_object("x"))
    pull_all(world, A, B)
    return agreement


def ask(world: World, agreement: str, *about: str, urgency: Urgency = Urgency.SOON, role: Role = Role.LIAISON) -> Sent:
    done = send_request(
        world.nodes[B],
        agreement,
        to=A,
        question="Was it seen\nafter May?",
        urgency=urgency,
        about=about,
        by=world.actor(B, role),
    )
    assert isinstance(done, Sent), done
    return done


def answer(world: World, name: str, *given: str, text: str | None = "Twice.", declines: bool = False) -> Sent:
    done = answer_request(
        world.nodes[A], name, text=text, objects_given=given, declines=declines, by=world.actor(A, Role.LIAISON)
    )
    assert isinstance(done, Sent), done
    return done


def work(world: World, name: PartyId) -> list[WorkItem]:
    kinds = {WorkKind.REQUEST_TO_ANSWER, WorkKind.REQUEST_UNANSWERED}
    return [item for item in list_work(world.nodes[name]) if item.kind in kinds]


def words_to(world: World, sender: PartyId, party: PartyId) -> list[Digest]:
    """The letters of `sender` to `party` that would be delivered now."""
    due = [item.envelope for item in list_due(world.nodes[sender], party=party)]
    return [parse_letter(envelope)[0].digest for envelope in due if LETTER_TYPE.encode() in envelope]


def write(world: World, sender: PartyId, draft: Draft) -> bytes:
    node = world.nodes[sender]
    keys = [node.signers[KeyRole.AGREEMENT]]
    return make_letter(draft, sender=sender, at=node.clock(), nonce=bytes(16), signers=keys)


def test_a_request_about_an_object_is_answered_by_words_and_by_an_object_that_was_given(world: World) -> None:
    agreement = agree(world)
    sent = ask(world, agreement, X)
    deliver_to(world, B)
    (item,) = work(world, A)
    assert item.kind is WorkKind.REQUEST_TO_ANSWER
    assert item.party == B
    assert item.why.startswith("request of borealia to answer until ")
    world.add(A, make_object("y"))
    with pytest.raises(TransitionError, match="was not given to borealia"):
        answer(world, sent.letter.digest, Y)
    pull_all(world, A, B)
    reply = answer(world, sent.letter.digest[:12], Y)
    assert [about.id for about in reply.letter.about] == [Y]
    assert work(world, A) == []
    deliver_to(world, A)
    shown = show_request(world.nodes[B], reply.letter.digest)
    assert shown.stored.letter.digest == sent.letter.digest
    assert shown.stored.progress == "answered"
    assert [answer.letter.body for answer in shown.answers] == [Reply(outcome=ReplyOutcome.ANSWERED, text="Twice.")]
    assert [about.id for about in shown.stored.letter.about] == [X]
    with pytest.raises(TransitionError, match="answered already"):
        answer(world, sent.letter.digest)
    now = world.nodes[A].clock()
    folders = [world.nodes[name].folder for name in (A, B)]
    world.close()
    for folder in folders:
        assert audit_folder(folder, now=now).findings == ()


@pytest.mark.parametrize(
    ("extra", "urgency", "hours"),
    [
        ("", Urgency.IMMEDIATE, 8),
        ("", Urgency.SOON, 72),
        ("", Urgency.ROUTINE, 168),
        (TIMES, Urgency.IMMEDIATE, 8),
        (TIMES, Urgency.ROUTINE, 48),
    ],
)
def test_an_answer_is_due_by_the_urgency_or_the_terms_whichever_is_earlier(
    world: World, extra: str, urgency: Urgency, hours: int
) -> None:
    ask(world, agree(world, extra=extra), urgency=urgency)
    deliver_to(world, B)
    (asked,) = list_requests(world.nodes[A], limit=9)[1]
    assert asked.stored.due_at == asked.stored.recorded_at + hours * HOUR
    assert work(world, B) == []
    world.tick(hours * HOUR - 60_000_000)
    assert [item.is_overdue(world.nodes[A].clock()) for item in work(world, A)] == [False]
    assert work(world, B) == []
    world.tick(120_000_000)
    assert [item.is_overdue(world.nodes[A].clock()) for item in work(world, A)] == [True]
    (late,) = work(world, B)
    assert late.kind is WorkKind.REQUEST_UNANSWERED
    assert "unanswered since" in late.why


def test_what_cannot_be_answered_is_declined_with_a_reason(world: World) -> None:
    sent = ask(world, agree(world))
    deliver_to(world, B)
    for text, given in ((None, ()), ("No.", (X,))):
        with pytest.raises(MalformedRequest, match="declines"):
            answer(world, sent.letter.digest, *given, text=text, declines=True)
    answer(world, sent.letter.digest, text="The source forbids it.", declines=True)
    deliver_to(world, A)
    assert show_request(world.nodes[B], sent.letter.digest).stored.progress == "declined"


def test_nothing_is_asked_or_answered_under_a_suspended_agreement(world: World) -> None:
    agreement = agree(world)
    sent = ask(world, agreement)
    deliver_to(world, B)
    world.act(A, agreement, EventKind.SUSPEND)
    with pytest.raises(TransitionError, match="not in force"):
        answer(world, sent.letter.digest)
    assert not show_request(world.nodes[A], sent.letter.digest).answers
    deliver_to(world, A)
    with pytest.raises(TransitionError, match="not in force"):
        ask(world, agreement)


def test_an_answer_that_had_not_left_leaves_only_when_the_agreement_is_in_force_again(world: World) -> None:
    agreement = agree(world)
    sent = ask(world, agreement)
    deliver_to(world, B)
    reply = answer(world, sent.letter.digest)
    suspended = world.act(A, agreement, EventKind.SUSPEND)
    assert words_to(world, A, B) == []
    deliver_to(world, A)
    (waiting,) = list_waiting(world.nodes[A])
    assert "suspended by aurelia" in str(waiting.problem)
    assert not show_request(world.nodes[B], sent.letter.digest).answers
    world.act(A, agreement, EventKind.RESUME, re=suspended.event.digest)
    assert words_to(world, A, B) == [reply.letter.digest]
    deliver_to(world, A)
    assert show_request(world.nodes[B], sent.letter.digest).stored.progress == "answered"


def test_a_question_that_waits_keeps_nothing_else_waiting(world: World) -> None:
    """Nor does what takes it back, which its receiver would refuse, as it has not got the question."""
    agreement = agree(world)
    sent = ask(world, agreement)
    world.act(B, agreement, EventKind.TERMINATE)
    withdrawn = withdraw_request(world.nodes[B], sent.letter.digest, by=world.actor(B, Role.LIAISON))
    assert isinstance(withdrawn, Sent)
    assert words_to(world, B, A) == []
    assert deliver_to(world, B) == 1
    assert not list_requests(world.nodes[A], limit=9)[1]


def test_what_is_held_is_no_work_and_what_goes_never_waits_for_nobody(world: World) -> None:
    agreement, node = agree(world), world.nodes[B]
    ask(world, agreement)
    world.act(B, agreement, EventKind.SUSPEND)
    deliver_to(world, B)
    world.tick(2 * HOUR)
    assert not [item for item in list_work(node) if item.kind is WorkKind.UNDELIVERED]
    assert [(item.party, item.messages) for item in list_waiting(node)] == [(A, 1)]
    assert read_figures(node).outbox == 1
    world.act(B, agreement, EventKind.TERMINATE)
    deliver_to(world, B)
    assert not list_due(node)
    assert not list_waiting(node)
    assert read_figures(node).outbox == 0
    assert not [item for item in list_work(node) if item.kind is WorkKind.UNDELIVERED]


def test_what_takes_back_a_question_that_arrived_goes_whatever_became_of_the_agreement(world: World) -> None:
    agreement = agree(world)
    sent = ask(world, agreement)
    deliver_to(world, B)
    world.act(A, agreement, EventKind.SUSPEND)
    deliver_to(world, A)
    withdrawn = withdraw_request(world.nodes[B], sent.letter.digest, by=world.actor(B, Role.LIAISON))
    assert isinstance(withdrawn, Sent)
    assert words_to(world, B, A) == [withdrawn.letter.digest]


def test_only_an_analyst_or_a_liaison_asks(world: World) -> None:
    agreement = agree(world)
    done = send_request(
        world.nodes[B], agreement, to=A, question="?", urgency=Urgency.SOON, by=world.actor(B, Role.LEGAL)
    )
    assert isinstance(done, Refusal)
    world.badges[B, Role.ANALYST] = world.register(B, "ada", Role.ANALYST)
    assert ask(world, agreement, role=Role.ANALYST).approvals


def test_objects_and_partners_of_another_agreement_are_refused(world: World) -> None:
    agreement = agree(world)
    world.add(B, make_object("y"))
    with pytest.raises(MalformedRequest, match="did not come from aurelia"):
        ask(world, agreement, Y)
    other = sign_onward(world, A, B, listed=[], title="Another exchange")
    with pytest.raises(MalformedRequest, match="did not come from aurelia under this agreement"):
        ask(world, other, X)
    with pytest.raises(NotFoundError, match="not both parties"):
        send_request(
            world.nodes[B], agreement, to=C, question="?", urgency=Urgency.SOON, by=world.actor(B, Role.LIAISON)
        )
    for text in ("", "a\u202eb", "x" * 4_001):
        with pytest.raises(MalformedRequest):
            send_request(
                world.nodes[B], agreement, to=A, question=text, urgency=Urgency.SOON, by=world.actor(B, Role.LIAISON)
            )


def test_doubled_and_forged_letters_change_nothing(world: World) -> None:
    agreement = agree(world)
    sent = ask(world, agreement)
    envelopes = [message.envelope for message in list_due(world.nodes[B]) if b"letter" in message.envelope]
    for number in range(2):
        assert [take_letter(world.nodes[A], envelope).new for envelope in envelopes] == [number == 0]
    terms = sent.letter.terms
    body = Reply(outcome=ReplyOutcome.ANSWERED, text="Forged.")
    draft = Draft(
        body=body, to=B, agreement=AgreementId(Digest(agreement)), terms=terms, about=(), answers=sent.letter.digest
    )
    with pytest.raises(NotFoundError):
        take_letter(world.nodes[B], write(world, C, draft))
    node = world.nodes[C]
    keys = [node.signers[KeyRole.AGREEMENT]]
    forged = make_letter(draft, sender=A, at=node.clock(), nonce=bytes(16), signers=keys)
    with pytest.raises(VerificationError):
        take_letter(world.nodes[B], forged)
    assert show_request(world.nodes[B], sent.letter.digest).stored.progress is None
    early = write(world, A, draft)
    assert take_letter(world.nodes[B], early).new
    assert not take_letter(world.nodes[B], early).new
    answer(world, sent.letter.digest, text="A second one.")
    deliver_to(world, A)
    shown = show_request(world.nodes[B], sent.letter.digest)
    assert len(shown.answers) == 2
    assert shown.stored.answered_by == shown.answers[0].letter.digest


def test_a_party_outside_cannot_ask(world: World) -> None:
    agreement = agree(world)
    terms = ask(world, agreement).letter.terms
    body = Request(question="?", urgency=Urgency.SOON)
    draft = Draft(body=body, to=A, agreement=AgreementId(Digest(agreement)), terms=terms, about=())
    with pytest.raises(ComityError, match="not on record here"):
        take_letter(world.nodes[A], write(world, C, draft))
    assert list_requests(world.nodes[A], limit=9)[1] == []


def test_a_partner_with_too_many_open_requests_waits(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(requested, "MAX_OPEN_REQUESTS", 1)
    agreement = agree(world)
    first = ask(world, agreement)
    deliver_to(world, B)
    draft = Draft(
        body=Request(question="More?", urgency=Urgency.SOON),
        to=A,
        agreement=first.letter.agreement,
        terms=first.letter.terms,
        about=(),
    )
    second = write(world, B, draft)
    with pytest.raises(ConflictError, match="wait for an answer"):
        take_letter(world.nodes[A], second)
    assert len(list_requests(world.nodes[A], limit=9)[1]) == 1
    answer(world, first.letter.digest)
    assert take_letter(world.nodes[A], second).new


def test_what_is_over_for_good_waits_for_nobody(world: World) -> None:
    agreement = agree(world)
    ask(world, agreement)
    deliver_to(world, B)
    assert len(work(world, A)) == 1
    world.act(A, agreement, EventKind.TERMINATE)
    deliver_to(world, A)
    world.tick(200 * HOUR)
    assert work(world, A) == work(world, B) == []


def test_a_recall_is_not_answered_by_a_reply(world: World) -> None:
    agree(world)
    done = recall(
        world.nodes[A], X, change=Change.WITHDRAW, versions=(), reason="wrong", by=world.actor(A, Role.LIAISON)
    )
    assert isinstance(done, Recalling)
    (sent,) = done.letters
    draft = Draft(
        body=Reply(outcome=ReplyOutcome.ANSWERED, text="Well."),
        to=A,
        agreement=sent.agreement,
        terms=sent.terms,
        about=(),
        answers=sent.digest,
    )
    with pytest.raises(NotFoundError, match="no request for information"):
        take_letter(world.nodes[A], write(world, B, draft))
