# SPDX-License-Identifier: Apache-2.0
"""A recall reaches every holder along a chain, each stops at once, settles as its terms say, and acknowledges."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from comity.agreement.events import EventKind
from comity.agreement.people import Role
from comity.agreement.recognition import Refusal
from comity.agreement.work import WorkKind
from comity.canonical import Json
from comity.errors import ConflictError, MalformedRequest, NotFoundError, TransitionError
from comity.ids import AgreementId, Digest, Instant, ObjectId, PartyId
from comity.letters.letter import About, Draft, Letter, make_letter
from comity.letters.recall import Change, Outcome, Recall, RecallAcknowledgement, Stage
from comity.node import correspond, letterbox, purge, recalled, retention, withdrawal
from comity.node.agree import Recorded
from comity.node.audit import audit_folder
from comity.node.explain import explain, show_object
from comity.node.follow import plan_pull
from comity.node.gate import list_open_collections
from comity.node.ingest import Intake
from comity.node.journal import list_entries, verify_store
from comity.node.letterbox import take_letter
from comity.node.outbox import list_due, settle
from comity.node.people import Actor, identify
from comity.node.poll import Page, PollRequest, Selection, poll
from comity.node.recall import (
    KeptRecalled,
    Recalling,
    Told,
    keep_recalled,
    list_recalls,
    recall,
    recall_revoked,
    show_recall,
)
from comity.node.recalled import DECISION_TIME, settle_due
from comity.node.receive import Received, receive_page
from comity.node.soundness import examine_folder
from comity.node.upkeep import keep_up
from comity.node.work import list_work
from comity.release.disclosure import Answer
from comity.signing import Role as KeyRole
from comity.signing import SignedDocument, parse_signed_document
from comity.store import Transaction, letters, objects, recalls
from comity.store.letters import LetterState, StoredLetter
from tests.chains import deliver_to, give_all, introduce, pull_all, sign_onward
from tests.worlds import World, make_object, object_id

A, B, C, D = map(PartyId, ("aurelia", "borealia", "cimbria", "meridia"))
X = object_id("report", "x")
DAY = 86_400_000_000
RETENTION = '[retention]\nreview_after = "P6M"\nno_decision = "delete"'


@pytest.fixture
def chain(tmp_path: Path) -> Iterator[World]:
    """Four nodes; aurelia gives borealia, borealia gives cimbria, and cimbria has never heard of aurelia."""
    made = World(tmp_path)
    made.found(A, B, C, D)
    introduce(made, [(A, B), (B, C), (C, D), (B, D), (A, D)])
    yield made
    made.close()


def pass_on(world: World, *, extra: str = "", first: dict[str, Json] | None = None) -> tuple[str, str]:
    """The agreements, with an object that went from aurelia to borealia and on to cimbria."""
    there = sign_onward(world, A, B, listed=[C, D], extra=extra)
    on = sign_onward(world, B, C, listed=[], extra=extra)
    world.add(A, first or make_object("x"))
    assert X in pull_all(world, A, B)
    world.tick()
    assert X in pull_all(world, B, C)
    world.tick()
    return there, on


def withdraw(
    world: World, name: str = A, *, change: Change = Change.WITHDRAW, versions: tuple[str, ...] = ()
) -> Recalling:
    done = recall(
        world.nodes[name], X, change=change, versions=versions, reason="not true", by=world.actor(name, Role.LIAISON)
    )
    assert isinstance(done, Recalling), done
    return done


def sent(world: World, name: str = A) -> list[Told]:
    return list_recalls(world.nodes[name], limit=100)[0]


def received(world: World, name: str) -> list[Told]:
    return list_recalls(world.nodes[name], limit=100)[1]


def stages(world: World, name: str = A) -> list[str | None]:
    """How far the receivers of what `name` recalled are, newest first."""
    return [told.stored.progress for told in sent(world, name)]


def is_held(world: World, name: str, item: ObjectId = X) -> bool:
    try:
        show_object(world.nodes[name], item)
    except NotFoundError:
        return False
    return True


def gives(world: World, giver: str, recipient: str) -> set[str]:
    return set(world.read(recipient, giver=giver))


def types_of(world: World, name: str) -> list[str]:
    return [entry.leaf.type.value for entry in list_entries(world.nodes[name], start=0, limit=10_000)]


def check_all(world: World) -> None:
    for name, node in world.nodes.items():
        verify_store(node.store, origin=f"comity/{name}", party=PartyId(name))
        found = examine_folder(world.folder / name)
        assert found.is_sound, found.findings
        audited = audit_folder(world.folder / name, now=world.now)
        assert audited.found == 0, audited.findings


# --- along a chain ----------------------------------------------------------------------------------------------------


def test_everybody_along_the_chain_stops_deletes_and_says_so(chain: World) -> None:
    pass_on(chain)
    done = withdraw(chain)
    assert [letter.to for letter in done.letters] == [B]
    assert gives(chain, A, B) == set()
    chain.deliver()
    assert stages(chain) == ["done"]
    (told,) = sent(chain)
    assert told.stored.state is LetterState.CLOSED
    # Borealia settled its own part before cimbria had answered, and said so; then that all is done.
    assert [
        answer.letter.body.stage for answer in told.answers if isinstance(answer.letter.body, RecallAcknowledgement)
    ] == [
        Stage.SETTLED,
        Stage.DONE,
    ]
    for name in (B, C):
        assert not is_held(chain, name)
        assert [result.outcome for told in received(chain, name) for result in told.results] == [Outcome.DELETED]
    assert gives(chain, B, C) == set()
    check_all(chain)


def test_cimbria_learns_nothing_of_aurelia_nor_aurelia_of_cimbria(chain: World) -> None:
    """Neither the first agreement, nor its party, nor the words of the recall pass; and who is behind is not named."""
    there, on = pass_on(chain)
    withdraw(chain)
    seen = dict[str, bytes]()
    while due := [(node, message) for node in chain.nodes.values() for message in list_due(node)]:
        for node, message in due:
            seen[message.party] = seen.get(message.party, b"") + parse_signed_document(message.envelope).payload
            correspond.receive_any(chain.nodes[message.party], message.envelope)
            settle(node, message, problem=None)
    assert not [word for word in (there, "aurelia", "not true") if word.encode() in seen[C]]
    assert not [word for word in (on, "cimbria") if word.encode() in seen[A]]


def test_no_disclosure_of_it_commits_after_the_recall(chain: World) -> None:
    """What was under way when it was recalled is told of: each disclosure is before the entry, and has its letter."""
    sign_onward(chain, A, B, listed=[C])
    chain.add(A, make_object("x"), make_object("y"))
    given = chain.poll(B)
    assert {item.id for item in given.items} == {X, object_id("report", "y")}
    withdraw(chain)
    assert {item.id for item in chain.poll(B).items} == {object_id("report", "y")}
    kinds = types_of(chain, A)
    assert kinds.index("recall") > kinds.index("disclosure")
    assert [letter.stored.party for letter in sent(chain)] == [B]


def test_what_refers_to_it_is_withheld_too_and_explained(chain: World) -> None:
    sign_onward(chain, A, B, listed=[])
    chain.add(A, make_object("x"), make_object("about", refs=[X]))
    assert len(chain.read(B)) == 2
    withdraw(chain)
    assert chain.read(B) == {}
    said = explain(chain.nodes[A], X, to=B)
    assert (said.verdict.clause, "was recalled" in str(said.verdict.reason)) == ("markings", True)
    about = explain(chain.nodes[A], object_id("report", "about"), to=B)
    assert X in about.readings[0].because


def test_who_was_never_given_it_is_not_told(chain: World) -> None:
    pass_on(chain)
    sign_onward(chain, A, D, listed=[])
    chain.poll(D, limit=1)  # disclosed: the same object
    sign_onward(chain, B, D, listed=[])  # released to nobody yet, as nobody asked
    assert {letter.to for letter in withdraw(chain).letters} == {B, D}
    chain.deliver()
    assert {told.stored.party for told in sent(chain, B)} == {C}


def test_who_was_told_of_it_by_id_and_version_alone_is_not_told(chain: World) -> None:
    """What left in a manifest was no object, so there is nothing to recall."""
    sign_onward(chain, A, B, listed=[])
    chain.add(A, make_object("x"))
    (collection,) = list_open_collections(chain.nodes[A], B)
    request = PollRequest(
        recipient=B, collection=collection.id, answer=Answer.MANIFEST, selection=Selection(after=Instant(0))
    )
    assert [item.id for item in poll(chain.nodes[A], request).items] == [X]
    assert withdraw(chain).letters == ()


def test_under_each_agreement_that_it_was_given_under(chain: World) -> None:
    first = sign_onward(chain, A, B, listed=[])
    second = sign_onward(chain, A, B, listed=[], title="Another")
    chain.add(A, make_object("x"))
    pull_all(chain, A, B)
    assert {letter.agreement for letter in withdraw(chain).letters} == {first, second}
    chain.deliver()
    assert stages(chain) == ["done", "done"]


def test_a_recall_is_told_when_the_agreement_is_suspended_or_over(chain: World) -> None:
    there, on = pass_on(chain)
    chain.act(B, there, EventKind.SUSPEND)
    chain.act(C, on, EventKind.TERMINATE)
    chain.deliver()
    withdraw(chain)
    chain.deliver()
    assert stages(chain) == ["done"]
    assert not is_held(chain, C)


def test_a_holder_that_deleted_it_before_still_passes_the_recall_on(chain: World) -> None:
    pass_on(chain)
    retention.delete(chain.nodes[B], X, reason="no room")
    withdraw(chain)
    chain.deliver()
    assert stages(chain) == ["done"]
    assert not is_held(chain, C)


@pytest.mark.parametrize("first", [A, D])
def test_each_that_gave_what_was_deleted_can_still_recall_it(chain: World, first: PartyId) -> None:
    """Borealia had it from two, passed it on and deleted it; one of the two is away, and the other recalls."""
    sign_onward(chain, A, B, listed=[C])
    sign_onward(chain, D, B, listed=[C])
    sign_onward(chain, B, C, listed=[])
    for name in (A, D):
        chain.add(name, make_object("x"))
    for giver in (first, D if first == A else A):
        assert X in pull_all(chain, giver, B)
        chain.tick()
    assert X in pull_all(chain, B, C)
    chain.tick()
    retention.delete(chain.nodes[B], X, reason="no room")
    withdraw(chain)
    chain.deliver()
    assert stages(chain) == ["done"]
    assert not is_held(chain, C)
    check_all(chain)


def test_what_one_gives_terms_deleted_can_be_recalled_by_the_other(chain: World) -> None:
    """The tombstone names the first giver, and the terms of the second, which set the earlier date."""
    sign_onward(chain, A, B, listed=[C])
    sign_onward(chain, D, B, listed=[C], extra=RETENTION)
    sign_onward(chain, B, C, listed=[])
    for name in (A, D):
        chain.add(name, make_object("x"))
        assert X in pull_all(chain, name, B)
        chain.tick()
    assert X in pull_all(chain, B, C)
    chain.tick(400 * DAY)
    assert retention.delete_due(chain.nodes[B]).stones
    withdraw(chain)
    chain.deliver()
    assert not is_held(chain, C)
    check_all(chain)


def test_the_originator_recalls_what_it_has_deleted(chain: World) -> None:
    pass_on(chain)
    retention.delete(chain.nodes[A], X, reason="no room")
    assert [letter.to for letter in withdraw(chain).letters] == [B]
    chain.deliver()
    assert not is_held(chain, B)
    intake = chain.add(A, make_object("x"))
    assert intake.added == ()
    assert "was recalled on" in intake.bad[0].detail


def test_a_holder_recalls_what_it_passed_on(chain: World) -> None:
    pass_on(chain)
    withdraw(chain, B)
    chain.deliver()
    assert is_held(chain, A)
    assert is_held(chain, B)
    assert not is_held(chain, C)
    assert gives(chain, A, B) == {X}


# --- away, doubled, out of order, forged ------------------------------------------------------------------------------


def test_a_partner_that_is_away_is_shown_until_it_has_acknowledged(chain: World) -> None:
    pass_on(chain, extra='[response_times]\nrecall = "P1D"')
    withdraw(chain)
    deliver_to(chain, A)
    deliver_to(chain, B, away=[C])
    assert stages(chain) == ["settled"]
    assert stages(chain, B) == [None]
    chain.tick(2 * DAY)
    assert sent(chain, B)[0].stored.due_at is not None
    assert is_held(chain, C)
    chain.deliver()
    assert (stages(chain), stages(chain, B)) == (["done"], ["done"])


def test_letters_doubled_and_out_of_order_come_to_the_same(chain: World) -> None:
    pass_on(chain, extra=RETENTION)
    withdraw(chain)
    deliver_to(chain, A)
    first = list_due(chain.nodes[B])
    chain.tick(DECISION_TIME)
    deliver_to(chain, B)
    chain.tick(DECISION_TIME)
    for name in (C, B):
        keep_up(chain.nodes[name])
        deliver_to(chain, name)
    chain.deliver()
    assert stages(chain) == ["done"]
    before = types_of(chain, A)
    for message in [message for message in first if message.party == A] * 2:
        correspond.receive_any(chain.nodes[A], message.envelope)
    assert types_of(chain, A) == before
    assert stages(chain) == ["done"]


def test_an_acknowledgement_that_says_less_comes_late_and_changes_nothing(chain: World) -> None:
    pass_on(chain)
    withdraw(chain)
    deliver_to(chain, A)
    (early,) = [message for message in list_due(chain.nodes[B]) if message.party == A]
    settle(chain.nodes[B], early, problem="lost on its way")
    deliver_to(chain, B, away=[A])
    deliver_to(chain, C)
    assert deliver_to(chain, B) == 1
    assert stages(chain) == ["done"]
    take_letter(chain.nodes[A], early.envelope)
    assert stages(chain) == ["done"]
    (told,) = sent(chain)
    assert told.stored.state is LetterState.CLOSED


def forge(
    world: World,
    body: Recall,
    *,
    sender: PartyId,
    to: PartyId,
    agreement: str,
    about: tuple[About, ...],
    terms: str | None = None,
) -> None:
    text = Digest(terms or agreement)
    draft = Draft(body=body, to=to, agreement=AgreementId(agreement), terms=text, about=about)
    signers = [world.nodes[sender].signers[KeyRole.AGREEMENT]]
    envelope = make_letter(draft, sender=sender, at=world.now, nonce=world.nodes[sender].draw(16), signers=signers)
    take_letter(world.nodes[to], envelope)


def about_of(world: World, name: str, item: ObjectId = X) -> tuple[About, ...]:
    with world.nodes[name].store.read() as transaction:
        held = objects.read_versions_of(transaction, [item])
    return tuple(About(id=one.id, version=one.version, digest=one.digest) for one in held)


WITHDRAWN = Recall(change=Change.WITHDRAW, reason="go away")


def test_nobody_recalls_what_somebody_else_gave(chain: World) -> None:
    """Meridia is in an agreement with borealia, and names an object that it knows borealia has, from aurelia."""
    pass_on(chain)
    between = sign_onward(chain, D, B, listed=[])
    about = about_of(chain, B)
    forge(chain, WITHDRAWN, sender=D, to=B, agreement=between, about=about)
    assert gives(chain, B, C) == {X}
    (told,) = received(chain, B)
    assert told.stored.state is LetterState.REFUSED
    # It is answered as for an object that borealia never had: meridia cannot tell.
    unknown = (replace(about[0], id=object_id("report", "unheard-of")),)
    forge(chain, WITHDRAWN, sender=D, to=B, agreement=between, about=unknown)
    other, told = received(chain, B)
    assert other.stored.state is LetterState.CLOSED
    assert other.answers[0].letter.body == told.answers[0].letter.body


def test_a_party_of_the_same_agreement_recalls_nothing_that_another_gave(chain: World) -> None:
    """Meridia was given it too, under the very text, and asks borealia to stop."""
    agreement = chain.sign_all(chain.terms(receivers=(B, D)))
    chain.add(A, make_object("x"))
    pull_all(chain, A, B)
    pull_all(chain, A, D)
    forge(chain, WITHDRAWN, sender=D, to=B, agreement=agreement, about=about_of(chain, B))
    assert is_held(chain, B)
    assert received(chain, B)[0].stored.state is LetterState.REFUSED
    forge(chain, WITHDRAWN, sender=A, to=B, agreement=agreement, about=about_of(chain, B))
    assert not is_held(chain, B)


def test_nobody_recalls_under_another_agreement_than_the_one_it_was_given_under(chain: World) -> None:
    pass_on(chain)
    other = sign_onward(chain, A, B, listed=[], title="Another")
    forge(chain, WITHDRAWN, sender=A, to=B, agreement=other, about=about_of(chain, B))
    assert gives(chain, B, C) == {X}


def test_nobody_recalls_under_a_text_that_it_alone_has_signed(chain: World) -> None:
    """The terms leave it to people for two weeks; by what aurelia only proposes it would be deleted at once."""
    there, _ = pass_on(chain, extra=RETENTION)
    proposed = chain.propose(A, chain.terms(version=2, agreement=there, supersedes=there))
    assert isinstance(proposed, Recorded), proposed
    chain.deliver()
    about = about_of(chain, B)
    with pytest.raises(NotFoundError):
        forge(chain, WITHDRAWN, sender=A, to=B, agreement=there, about=about, terms=proposed.event.terms)
    assert is_held(chain, B)
    forge(chain, WITHDRAWN, sender=A, to=B, agreement=there, about=about)
    assert is_held(chain, B)
    assert gives(chain, B, C) == set()


def test_other_bytes_than_those_given_are_not_recalled(chain: World) -> None:
    there, _ = pass_on(chain)
    about = (replace(about_of(chain, B)[0], digest=Digest("ab" * 32)),)
    forge(chain, WITHDRAWN, sender=A, to=B, agreement=there, about=about)
    assert gives(chain, B, C) == {X}


def test_what_this_party_took_in_by_itself_is_not_recalled_by_a_partner_that_gave_the_same(chain: World) -> None:
    sign_onward(chain, A, B, listed=[C])
    sign_onward(chain, B, C, listed=[])
    chain.add(B, make_object("x"))
    chain.add(A, make_object("x"))
    pull_all(chain, A, B)
    withdraw(chain)
    chain.deliver()
    assert stages(chain) == ["done"]
    assert is_held(chain, B)
    with chain.nodes[B].store.read() as transaction:
        assert recalls.read_recalled(transaction, [X]) == {}


def test_what_came_back_to_its_originator_is_not_recalled_from_it(chain: World) -> None:
    """A circle: aurelia to borealia to cimbria to meridia, and meridia gives aurelia what is aurelia's."""
    pass_on(chain)
    sign_onward(chain, A, B, listed=[C, D, A], title="Wider")
    withdraw(chain)
    chain.deliver()
    assert stages(chain) == ["done"]
    assert is_held(chain, A)


def test_a_circle_ends(chain: World) -> None:
    """Aurelia to borealia, then to cimbria and meridia, and back to borealia, which holds it still, and is told."""
    for giver, receiver in ((A, B), (B, C), (C, D), (D, B)):
        listed = [name for name in (A, B, C, D) if name != receiver]
        sign_onward(chain, giver, receiver, listed=listed, extra=RETENTION)
    chain.add(A, make_object("x"))
    for giver, receiver in ((A, B), (B, C), (C, D), (D, B)):
        assert X in pull_all(chain, giver, receiver)
    withdraw(chain)
    chain.deliver()
    assert [len(sent(chain, name)) for name in (A, B, C, D)] == [1, 1, 1, 1]
    assert sorted(told.stored.progress or "" for told in received(chain, B)) == ["stopped", "stopped"]
    chain.tick(DECISION_TIME)
    for name in (D, B, C):
        keep_up(chain.nodes[name])
    chain.deliver()
    assert [stages(chain, name) for name in (A, B, C, D)] == [["done"]] * 4


def test_what_stops_something_is_taken_beyond_the_bound(chain: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever else its giver has sent; and once it is stopped, no more of the same is kept."""
    there, _ = pass_on(chain, extra=RETENTION)
    monkeypatch.setattr(letterbox, "_MAX_LETTERS_OF_A_PARTY", 0)
    about = about_of(chain, B)
    with pytest.raises(ConflictError):
        forge(chain, WITHDRAWN, sender=A, to=B, agreement=there, about=(replace(about[0], digest=Digest("ab" * 32)),))
    assert gives(chain, B, C) == {X}
    forge(chain, WITHDRAWN, sender=A, to=B, agreement=there, about=about)
    assert gives(chain, B, C) == set()
    with pytest.raises(ConflictError):
        forge(chain, WITHDRAWN, sender=A, to=B, agreement=there, about=about)


# --- what becomes of it ----------------------------------------------------------------------------------------------


def test_terms_with_a_review_leave_it_to_people_until_a_date(chain: World) -> None:
    pass_on(chain, extra=RETENTION)
    withdraw(chain)
    chain.deliver()
    assert stages(chain) == ["stopped"]
    assert is_held(chain, B)
    assert gives(chain, B, C) == set()
    chain.tick(DECISION_TIME - 10 * 1_000_000)
    keep_up(chain.nodes[B])
    assert is_held(chain, B)
    chain.tick(11 * 1_000_000)
    for name in (B, C):
        keep_up(chain.nodes[name])
        assert not is_held(chain, name)
    chain.deliver()
    assert stages(chain) == ["done"]
    check_all(chain)


def wait_for_people(world: World, *names: str) -> None:
    """Each of these objects is held by borealia, recalled by a letter of its own, and waits for its people."""
    wait_under(world, sign_onward(world, A, B, listed=[], extra=RETENTION), *names)


def wait_under(world: World, there: str, *names: str) -> None:
    """The same, under an agreement that is there."""
    world.add(A, *(make_object(name) for name in names))
    pull_all(world, A, B)
    for name in names:
        about = about_of(world, B, object_id("report", name))
        forge(world, WITHDRAWN, sender=A, to=B, agreement=there, about=about)


@pytest.fixture
def looked(monkeypatch: pytest.MonkeyPatch) -> list[Digest]:
    """The letters that were looked at, of which one look reads one at a time."""
    seen = list[Digest]()
    plain = recalled._is_due

    def note(transaction: Transaction, stored: StoredLetter, *, now: Instant) -> bool:
        seen.append(stored.letter.digest)
        return plain(transaction, stored, now=now)

    monkeypatch.setattr(recalled, "_is_due", note)
    monkeypatch.setattr(recalled, "_LOOKED_AT", 1)
    return seen


def test_one_look_reads_as_much_however_many_letters_wait(chain: World, looked: list[Digest]) -> None:
    """A partner can have very many wait, each as long as a letter can be, and everybody else waits for the look."""
    wait_for_people(chain, "x", "y", "z")
    for count in range(1, 7):
        assert settle_due(chain.nodes[B]) == 0
        assert len(looked) == count
    assert len(set(looked)) == 3
    retention.delete(chain.nodes[B], X, reason="recalled")
    assert sum(settle_due(chain.nodes[B]) for _ in range(3)) == 1


def test_what_is_past_its_date_is_looked_at_first(chain: World, looked: list[Digest]) -> None:
    there = sign_onward(chain, A, B, listed=[], extra=RETENTION)
    wait_under(chain, there, "x")
    settle_due(chain.nodes[B])
    chain.tick(DECISION_TIME // 2)
    wait_under(chain, there, "y", "z")
    settle_due(chain.nodes[B])  # the next one to be looked at is not the first
    chain.tick(DECISION_TIME // 2)
    settle_due(chain.nodes[B])
    assert [is_held(chain, B, object_id("report", name)) for name in ("x", "y", "z")] == [False, True, True]
    chain.tick(DECISION_TIME // 2)
    for held in (1, 0):
        settle_due(chain.nodes[B])
        assert sum(is_held(chain, B, object_id("report", name)) for name in ("x", "y", "z")) <= held
    assert len(looked) <= 8


def test_work_names_recalls_without_reading_a_letter(chain: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each can be long, and there can be very many: whoever is served meanwhile waits for who looks at the work."""
    between = sign_onward(chain, D, B, listed=[])
    wait_for_people(chain, "x", "y")
    chain.add(A, make_object("z"))
    pull_all(chain, A, B)
    other = object_id("report", "z")
    forge(chain, WITHDRAWN, sender=D, to=B, agreement=between, about=about_of(chain, B, other))
    withdraw(chain)

    def read(envelope: bytes) -> tuple[Letter, SignedDocument]:
        raise AssertionError(envelope)

    monkeypatch.setattr(letters, "parse_letter", read)
    letters.forget_letters()
    found = {name: [(item.kind, item.object, item.count) for item in list_work(chain.nodes[name])] for name in (A, B)}
    assert (WorkKind.RECALL_UNACKNOWLEDGED, X, 1) in found[A]
    assert (WorkKind.RECALL_TO_DECIDE, X, 1) in found[B]
    assert (WorkKind.RECALL_REFUSED, other, 1) in found[B]


def test_a_person_lets_it_be_deleted_before_its_date(chain: World) -> None:
    pass_on(chain, extra=RETENTION)
    withdraw(chain)
    chain.deliver()
    for name in (B, C):
        retention.delete(chain.nodes[name], X, reason="recalled")
        keep_up(chain.nodes[name])
    chain.deliver()
    assert stages(chain) == ["done"]


@pytest.mark.parametrize("before", [True, False])
def test_what_somebody_keeps_is_given_to_nobody_and_said_to_be_kept(chain: World, before: bool) -> None:
    pass_on(chain, extra="" if before else RETENTION)

    def keep() -> None:
        done = keep_recalled(chain.nodes[B], X, reason="evidence in\na case", by=chain.actor(B, Role.LEGAL))
        assert isinstance(done, KeptRecalled), done

    if before:
        keep()
    withdraw(chain)
    chain.deliver()
    if not before:
        assert stages(chain) == ["stopped"]
        keep()
        assert received(chain, B)[0].stored.progress == "settled"
        chain.tick(DECISION_TIME)
        keep_up(chain.nodes[C])
    chain.deliver()
    assert stages(chain) == ["done"]
    assert is_held(chain, B)
    assert gives(chain, B, C) == set()
    (result,) = received(chain, B)[0].results
    assert (result.outcome, result.reason) == (Outcome.KEPT, "evidence in a case")
    (told,) = sent(chain)
    body = told.answers[-1].letter.body
    assert isinstance(body, RecallAcknowledgement)
    assert body.results == (result,)
    check_all(chain)


def test_a_recalled_version_does_not_come_in_again(chain: World) -> None:
    """Meridia had it too, and has not heard of the recall when it gives it to borealia."""
    pass_on(chain)
    sign_onward(chain, A, D, listed=[B])
    pull_all(chain, A, D)
    sign_onward(chain, D, B, listed=[])
    withdraw(chain)
    deliver_to(chain, A, away=[D])
    assert not is_held(chain, B)
    assert pull_all(chain, D, B) == {X}
    assert not is_held(chain, B)
    chain.deliver()
    assert stages(chain) == ["done", "done"]
    assert stages(chain, D) == ["done"]


def test_a_version_that_was_stopped_and_comes_again_stays_stopped(chain: World) -> None:
    """Also when it comes by another way, whose terms say something else of it, and when its pattern was read since."""
    pass_on(chain, extra=RETENTION)
    sign_onward(chain, A, D, listed=[B, C])
    pull_all(chain, A, D)
    sign_onward(chain, D, B, listed=[C])
    withdraw(chain)
    deliver_to(chain, A, away=[D])
    assert gives(chain, B, C) == set()
    assert pull_all(chain, D, B) == {X}
    chain.add(B, make_object("x"))
    assert is_held(chain, B)
    assert gives(chain, B, C) == set()
    assert explain(chain.nodes[B], X, to=C).verdict.clause == "markings"


def take_in(world: World, giver: str, receiver: str, pages: dict[str, Page]) -> list[Intake]:
    """What became at the receiver of pages that were disclosed before."""
    plan = {item.collection: item for item in plan_pull(world.nodes[receiver], PartyId(giver))}
    return [
        receive_page(
            world.nodes[receiver],
            b'{"objects":[' + b",".join(item.data for item in page.items) + b"]}",
            Received(
                giver=plan[name].giver,
                terms=plan[name].terms,
                channel=plan[name].channel,
                collection=name,
                added_after=None,
            ),
        )
        for name, page in pages.items()
    ]


def test_a_letter_that_overtakes_the_page_stops_what_is_on_it(chain: World) -> None:
    """The page was disclosed before the recall, and is taken in after the letter was answered."""
    sign_onward(chain, A, B, listed=[C])
    sign_onward(chain, B, C, listed=[])
    chain.add(A, make_object("x"), make_object("y"))
    pages = give_all(chain, A, B)
    chain.tick()
    withdraw(chain)
    chain.deliver()
    assert stages(chain) == ["done"]
    (intake,) = take_in(chain, A, B, pages)
    assert [bad.id for bad in intake.bad] == [X]
    assert "recalled by whoever gives it before it came" in intake.bad[0].detail
    assert not is_held(chain, B)
    assert gives(chain, B, C) == {object_id("report", "y")}
    check_all(chain)


def test_nobody_keeps_out_what_others_give(chain: World) -> None:
    """Meridia recalls what it never gave, before aurelia gives it."""
    there = sign_onward(chain, D, B, listed=[C])
    sign_onward(chain, A, B, listed=[C])
    chain.add(A, make_object("x"))
    pages = give_all(chain, A, B)
    forge(chain, WITHDRAWN, sender=D, to=B, agreement=there, about=about_of(chain, A))
    take_in(chain, A, B, pages)
    assert is_held(chain, B)


# --- corrections -----------------------------------------------------------------------------------------------------


def test_a_correction_replaces_older_versions_where_the_newer_is_held(chain: World) -> None:
    pass_on(chain)
    chain.add(A, make_object("x", day=2, more={"name": "corrected"}))
    done = withdraw(chain, change=Change.CORRECT)
    assert (len(done.versions), done.newer) == (1, "2025-01-03T00:00:00.000000Z")
    chain.deliver()
    assert stages(chain) == ["stopped"]
    assert gives(chain, A, B) == {X}
    pull_all(chain, A, B)
    keep_up(chain.nodes[B])
    chain.deliver()
    assert stages(chain) == ["settled"]
    pull_all(chain, B, C)
    keep_up(chain.nodes[C])
    chain.deliver()
    assert stages(chain) == ["done"]
    for name in (B, C):
        assert [told.results[0].outcome for told in received(chain, name)] == [Outcome.REPLACED]
        assert show_object(chain.nodes[name], X).versions == ("2025-01-03T00:00:00.000000Z",)
    check_all(chain)


def test_who_does_not_pull_has_the_old_version_deleted_in_the_end(chain: World) -> None:
    pass_on(chain)
    chain.add(A, make_object("x", day=2))
    withdraw(chain, change=Change.CORRECT)
    chain.deliver()
    chain.tick(DECISION_TIME)
    for name in (B, C):
        keep_up(chain.nodes[name])
    chain.deliver()
    assert stages(chain) == ["done"]
    assert not is_held(chain, B)


def test_a_revoked_version_corrects_by_itself(chain: World) -> None:
    pass_on(chain)
    chain.add(A, make_object("x", day=2, more={"revoked": True}), make_object("z", more={"revoked": True}))
    assert recall_revoked(chain.nodes[A]) == 1
    assert recall_revoked(chain.nodes[A]) == 0
    chain.deliver()
    pull_all(chain, A, B)
    keep_up(chain.nodes[B])
    pull_all(chain, B, C)
    keep_up(chain.nodes[C])
    chain.deliver()
    assert stages(chain) == ["done"]
    assert show_object(chain.nodes[C], X).versions == ("2025-01-03T00:00:00.000000Z",)


def test_a_version_that_says_something_of_revoking_is_not_revoked(chain: World) -> None:
    pass_on(chain)
    chain.add(A, make_object("x", day=2, more={"revoked": False}))
    assert recall_revoked(chain.nodes[A]) == 0
    assert sent(chain) == []


def test_what_is_too_much_for_a_letter_is_told_in_several(chain: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(withdrawal, "MAX_ABOUT", 2)
    sign_onward(chain, A, B, listed=[])
    for day in range(1, 6):
        chain.add(A, make_object("x", day=day))
        pull_all(chain, A, B)
    assert [len(letter.about) for letter in withdraw(chain).letters] == [2, 2, 1]
    chain.deliver()
    assert stages(chain) == ["done"] * 3
    assert not is_held(chain, B)


def test_one_version_of_several(chain: World) -> None:
    pass_on(chain)
    chain.add(A, make_object("x", day=2))
    pull_all(chain, A, B)
    withdraw(chain, versions=("2025-01-02T00:00:00.000000Z",))
    assert gives(chain, A, B) == {X}
    chain.deliver()
    assert show_object(chain.nodes[B], X).versions == ("2025-01-03T00:00:00.000000Z",)


# --- who, and what is refused ----------------------------------------------------------------------------------------


def test_one_person_recalls_who_is_analyst_liaison_or_legal(chain: World) -> None:
    pass_on(chain)
    node = chain.nodes[A]
    olga, anna = chain.register(A, "olga", Role.OPERATOR, Role.AUDITOR), chain.register(A, "anna", Role.ANALYST)
    by = Actor(person=identify(node, olga))
    assert isinstance(recall(node, X, change=Change.WITHDRAW, versions=(), reason="r", by=by), Refusal)
    assert gives(chain, A, B) == {X}
    by = Actor(person=identify(node, anna))
    done = recall(node, X, change=Change.WITHDRAW, versions=(), reason="r", by=by)
    assert isinstance(done, Recalling)
    assert [(item.person, item.role) for item in done.approvals] == [("anna", Role.ANALYST)]


def test_what_cannot_be_recalled_is_refused(chain: World) -> None:
    pass_on(chain)
    node, by = chain.nodes[A], chain.actor(A, Role.LIAISON)

    def attempt(prefix: str = X, *, change: Change = Change.WITHDRAW, version: str = "", reason: str = "r") -> None:
        recall(node, prefix, change=change, versions=[version] if version else [], reason=reason, by=by)

    with pytest.raises(NotFoundError):
        attempt("report--00000000")
    with pytest.raises(NotFoundError):
        attempt(version="2031-01-01T00:00:00Z")
    with pytest.raises(MalformedRequest):
        attempt(version="yesterday")
    with pytest.raises(MalformedRequest):
        attempt(reason=" ")
    with pytest.raises(TransitionError):
        attempt(change=Change.CORRECT)
    attempt()
    with pytest.raises(TransitionError):
        attempt()


def test_show_and_its_prefix(chain: World) -> None:
    pass_on(chain)
    (letter,) = withdraw(chain).letters
    chain.deliver()
    shown = show_recall(chain.nodes[A], letter.digest[:10])
    assert isinstance(shown, Told)
    assert shown.stored.letter == letter
    (told,) = received(chain, B)
    assert [caused.party for caused in told.caused] == [C]
    with pytest.raises(NotFoundError):
        show_recall(chain.nodes[A], told.answers[0].letter.digest)
    with pytest.raises(NotFoundError):
        show_recall(chain.nodes[A], "ab" * 8)
    with pytest.raises(MalformedRequest):
        show_recall(chain.nodes[A], "a")


def test_who_was_given_what_the_log_has_forgotten_is_told_all_the_same(chain: World) -> None:
    pass_on(chain)
    selection = purge.Selection(item=X)
    for role in (Role.LIAISON, Role.LEGAL):
        purge.purge_by_order(chain.nodes[A], selection, reason="order", by=chain.actor(A, role))
    assert [letter.to for letter in withdraw(chain).letters] == [B]
    chain.deliver()
    assert stages(chain) == ["done"]


def test_nothing_is_done_twice_by_time_alone(chain: World) -> None:
    pass_on(chain)
    withdraw(chain)
    chain.deliver()
    before = {name: types_of(chain, name) for name in chain.nodes}
    chain.tick(400 * DAY)
    for node in chain.nodes.values():
        assert settle_due(node) == 0
        assert recall_revoked(node) == 0
    assert {name: types_of(chain, name) for name in chain.nodes} == before


def test_a_version_given_in_part_is_recalled_by_the_bytes_that_left(chain: World) -> None:
    """Borealia holds an object without what its terms do not admit, and knows it by the digest of that."""
    more: dict[str, Json] = {
        "description": "secret",
        "granular_markings": [
            {"marking_ref": "marking-definition--e828b379-4e03-4974-9ac4-e53a884c97c1", "selectors": ["description"]}
        ],
    }
    toml = chain.terms(tlp="amber", channel_extra='sanitise = "tear_line_allowed"')
    chain.sign_all(toml)
    chain.add(A, make_object("x", more=more))
    assert pull_all(chain, A, B) == {X}
    assert about_of(chain, A) != about_of(chain, B)
    withdraw(chain)
    chain.deliver()
    assert not is_held(chain, B)


def test_the_time_is_kept(chain: World) -> None:
    pass_on(chain, extra=RETENTION)
    withdraw(chain)
    chain.deliver()
    (told,) = received(chain, B)
    assert told.stored.recorded_at == Instant(chain.now)
