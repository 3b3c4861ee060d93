# SPDX-License-Identifier: Apache-2.0
"""Who asked takes a request back, and nobody waits any more; what a request is about shows nothing of what is held."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from comity.agreement.events import EventKind
from comity.agreement.people import Role
from comity.agreement.recognition import Refusal
from comity.agreement.work import WorkKind
from comity.errors import ComityError, NotFoundError, TransitionError
from comity.ids import AgreementId, Digest, ObjectId, PartyId
from comity.letters.letter import About, Draft, make_letter
from comity.letters.request import Request, RequestWithdrawal, Urgency
from comity.node import letterbox, requests
from comity.node.audit import audit_folder
from comity.node.letterbox import take_letter
from comity.node.outbox import list_due
from comity.node.requests import (
    Asked,
    LetterState,
    Sent,
    answer_request,
    send_request,
    show_request,
    withdraw_request,
)
from comity.node.work import list_work
from comity.signing import Role as KeyRole
from comity.store import objects
from tests.chains import deliver_to, introduce, pull_all, sign_onward
from tests.worlds import World, make_object, object_id

A, B, C = map(PartyId, ("aurelia", "borealia", "cimbria"))
X = object_id("report", "x")
DAY = 86_400_000_000


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """Aurelia gives borealia, and cimbria gives aurelia."""
    made = World(tmp_path)
    made.found(A, B, C)
    introduce(made, [(A, B), (A, C)])
    yield made
    made.close()


def agree(world: World) -> str:
    agreement = sign_onward(world, A, B, listed=[])
    world.add(A, make_object("x"))
    pull_all(world, A, B)
    return agreement


def ask(world: World, agreement: str, *about: str) -> str:
    done = send_request(
        world.nodes[B],
        agreement,
        to=A,
        question="When?",
        urgency=Urgency.SOON,
        about=about,
        by=world.actor(B, Role.LIAISON),
    )
    assert isinstance(done, Sent)
    return done.letter.digest


def withdraw(world: World, name: str) -> Sent:
    done = withdraw_request(world.nodes[B], name, by=world.actor(B, Role.LIAISON))
    assert isinstance(done, Sent), done
    return done


def answer(world: World, name: str) -> Sent:
    done = answer_request(world.nodes[A], name, text="In June.", by=world.actor(A, Role.LIAISON))
    assert isinstance(done, Sent), done
    return done


def works(world: World, name: PartyId) -> list[WorkKind]:
    kinds = {WorkKind.REQUEST_TO_ANSWER, WorkKind.REQUEST_UNANSWERED}
    return [item.kind for item in list_work(world.nodes[name]) if item.kind in kinds]


def stands(world: World, party: PartyId, name: str) -> tuple[LetterState, str | None, int]:
    asked = show_request(world.nodes[party], name)
    return asked.stored.state, asked.stored.progress, len(asked.answers)


def check(world: World) -> None:
    for name in (A, B):
        audited = audit_folder(world.nodes[name].folder, now=world.now)
        assert audited.findings == ()


WITHDRAWN = (LetterState.CLOSED, "withdrawn", 0)


# --- taken back -------------------------------------------------------------------------------------------------------


def test_it_makes_no_work_on_either_side_any_more(world: World) -> None:
    name = ask(world, agree(world), X)
    deliver_to(world, B)
    world.tick(4 * DAY)
    assert (works(world, A), works(world, B)) == ([WorkKind.REQUEST_TO_ANSWER], [WorkKind.REQUEST_UNANSWERED])
    sent = withdraw(world, name[:12])
    assert (works(world, B), stands(world, B, name)) == ([], WITHDRAWN)
    assert works(world, A) == [WorkKind.REQUEST_TO_ANSWER]
    deliver_to(world, B)
    assert (works(world, A), stands(world, A, name)) == ([], WITHDRAWN)
    for party in (A, B):
        shown = show_request(world.nodes[party], sent.letter.digest)
        assert shown.stored.letter.digest == name
        assert shown.withdrawal is not None
        assert shown.withdrawal.letter == sent.letter
    with pytest.raises(TransitionError, match="was taken back"):
        answer(world, name)
    with pytest.raises(TransitionError, match="was taken back"):
        withdraw(world, name)
    check(world)


def test_it_says_nothing_but_which(world: World) -> None:
    name = ask(world, agree(world), X)
    letter = withdraw(world, name).letter
    assert (letter.body, letter.about) == (RequestWithdrawal(request=Digest(name)), ())


@pytest.mark.parametrize("kind", [EventKind.SUSPEND, EventKind.TERMINATE])
def test_also_when_the_agreement_is_in_force_no_more(world: World, kind: EventKind) -> None:
    agreement = agree(world)
    name = ask(world, agreement)
    deliver_to(world, B)
    world.act(A, agreement, kind)
    world.deliver()
    withdraw(world, name)
    world.deliver()
    assert (stands(world, A, name), stands(world, B, name)) == (WITHDRAWN, WITHDRAWN)


def test_what_is_answered_stays_answered(world: World) -> None:
    name = ask(world, agree(world))
    deliver_to(world, B)
    answer(world, name)
    deliver_to(world, A)
    with pytest.raises(TransitionError, match="is answered already"):
        withdraw(world, name)


def test_an_answer_that_crosses_it_is_kept_and_counts_where_it_was_first(world: World) -> None:
    name = ask(world, agree(world))
    deliver_to(world, B)
    answer(world, name)
    withdraw(world, name)
    world.deliver()
    assert stands(world, A, name) == (LetterState.CLOSED, "answered", 1)
    assert stands(world, B, name) == (LetterState.CLOSED, "withdrawn", 1)
    check(world)


def test_one_that_overtakes_its_request_is_taken_once_that_has_come(world: World) -> None:
    name = ask(world, agree(world))
    withdraw(world, name)
    *_, request, withdrawal = list_due(world.nodes[B])
    with pytest.raises(NotFoundError):
        take_letter(world.nodes[A], withdrawal.envelope)
    assert take_letter(world.nodes[A], request.envelope).new
    assert [take_letter(world.nodes[A], withdrawal.envelope).new for _ in range(2)] == [True, False]
    assert stands(world, A, name) == WITHDRAWN


def test_only_who_asked_takes_it_back(world: World) -> None:
    agreement = agree(world)
    name = ask(world, agreement)
    deliver_to(world, B)
    with pytest.raises(NotFoundError, match="only borealia takes it back"):
        withdraw_request(world.nodes[A], name, by=world.actor(A, Role.LIAISON))
    refused = withdraw_request(world.nodes[B], name, by=world.actor(B, Role.LEGAL))
    assert isinstance(refused, Refusal)
    other = sign_onward(world, A, C, listed=[])
    second = sign_onward(world, A, B, listed=[], title="Second")
    letter = show_request(world.nodes[A], name).stored.letter
    for sender, under in ((C, other), (B, second)):
        draft = Draft(
            body=RequestWithdrawal(request=Digest(name)),
            to=A,
            agreement=AgreementId(Digest(under)),
            terms=Digest(under),
            about=(),
        )
        with pytest.raises(ComityError):
            take_letter(world.nodes[A], write(world, sender, draft))
    # A reply, or a request of this party's own, is no request of who takes it back.
    reply = answer(world, name)
    draft = Draft(
        body=RequestWithdrawal(request=reply.letter.digest),
        to=A,
        agreement=letter.agreement,
        terms=letter.terms,
        about=(),
    )
    with pytest.raises(NotFoundError):
        take_letter(world.nodes[A], write(world, B, draft))


def write(world: World, sender: PartyId, draft: Draft) -> bytes:
    node = world.nodes[sender]
    keys = [node.signers[KeyRole.AGREEMENT]]
    return make_letter(draft, sender=sender, at=node.clock(), nonce=bytes(16), signers=keys)


def test_a_letter_of_another_kind_is_not_taken_back(world: World) -> None:
    letter = withdraw(world, ask(world, agree(world))).letter
    world.deliver()
    body = RequestWithdrawal(request=letter.digest)
    draft = Draft(body=body, to=A, agreement=letter.agreement, terms=letter.terms, about=())
    with pytest.raises(NotFoundError):
        take_letter(world.nodes[A], write(world, B, draft))


def test_it_is_taken_though_its_sender_has_reached_the_bound(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    name = ask(world, agree(world))
    deliver_to(world, B)
    monkeypatch.setattr(letterbox, "_MAX_LETTERS_OF_A_PARTY", 0)
    withdraw(world, name)
    deliver_to(world, B)
    assert stands(world, A, name) == WITHDRAWN


def test_the_audit_sees_one_that_takes_back_what_was_not_asked(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The mutant that believes whatever it takes back."""
    name = ask(world, agree(world))
    letter = withdraw(world, name).letter
    draft = Draft(
        body=RequestWithdrawal(request=Digest("0" * 64)),
        to=A,
        agreement=letter.agreement,
        terms=letter.terms,
        about=(),
    )
    monkeypatch.setattr("comity.node.requested._find_taken_back", lambda *_: show_request(world.nodes[B], name).stored)
    monkeypatch.setattr("comity.node.requested.letters.settle_letter", lambda *_, **__: None)
    take_letter(world.nodes[A], write(world, B, draft))
    (finding,) = audit_folder(world.nodes[A].folder, now=world.now).findings
    assert "it takes back what its sender has not asked" in str(finding)


# --- what a request is about ------------------------------------------------------------------------------------------


def about_of(world: World, party: PartyId, item: ObjectId) -> About:
    with world.nodes[party].store.read() as transaction:
        (one,) = objects.read_versions_of(transaction, [item])
    return About(id=one.id, version=one.version, digest=one.digest)


def receive(world: World, agreement: str, *about: About) -> Asked:
    """What aurelia's people see of a request by borealia, whose node lets it ask about anything."""
    draft = Draft(
        body=Request(question="When?", urgency=Urgency.SOON),
        to=A,
        agreement=AgreementId(Digest(agreement)),
        terms=Digest(agreement),
        about=about,
    )
    taken = take_letter(world.nodes[A], write(world, B, draft))
    world.tick()
    return show_request(world.nodes[A], taken.letter.digest)


def test_what_it_was_given_and_what_it_gave_is_known(world: World) -> None:
    agreement = agree(world)
    back = sign_onward(world, B, A, listed=[])
    world.add(B, make_object("of borealia"))
    pull_all(world, B, A)
    given, own = about_of(world, B, X), about_of(world, A, object_id("report", "of borealia"))
    assert receive(world, agreement, given).known == frozenset({given})
    assert receive(world, back, own).known == frozenset({own})


def test_whether_anything_else_is_held_plays_no_part(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Held and released to nobody, to another, under another agreement, in other bytes; or not held at all."""
    agreement = agree(world)
    sign_onward(world, C, A, listed=[])
    sign_onward(world, A, C, listed=[])
    world.add(C, make_object("of cimbria"))
    pull_all(world, C, A)
    world.add(A, make_object("kept", tlp="red"), make_object("for cimbria", subjects=["national:other"]))
    held = [about_of(world, A, object_id("report", name)) for name in ("of cimbria", "kept", "for cimbria")]
    other_bytes = About(id=X, version=about_of(world, A, X).version, digest=Digest("0" * 64))
    absent = About(id=object_id("report", "absent"), version="2025-01-02T00:00:00.000000Z", digest=Digest("0" * 64))
    no_time = About(id=X, version="no time", digest=Digest("0" * 64))
    for about in (*held, other_bytes, absent, no_time):
        assert receive(world, agreement, about).known == frozenset()
    items = [item for item in list_work(world.nodes[A]) if item.kind is WorkKind.REQUEST_TO_ANSWER]
    assert len({(item.act.rpartition(" ")[0], item.why.rpartition("until")[0], item.count) for item in items}) == 1


def test_what_was_given_under_another_agreement_is_not_known_under_this_one(world: World) -> None:
    agree(world)
    second = sign_onward(world, A, B, listed=[], title="Second")
    assert receive(world, second, about_of(world, B, X)).known == frozenset()


def test_of_a_request_of_its_own_nothing_is_looked_up(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    name = ask(world, agree(world), X)
    monkeypatch.setattr(requests, "_find_known", lambda *_: pytest.fail("it was looked up"))
    assert show_request(world.nodes[B], name).known is None
