# SPDX-License-Identifier: Apache-2.0
"""One object goes to one more party while its giver lets it, and to nobody else, and nothing else does."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from comity.agreement.events import EventKind
from comity.agreement.people import Role
from comity.agreement.recognition import Refusal
from comity.agreement.work import WorkKind
from comity.errors import ConflictError, MalformedRequest, NotFoundError, TransitionError
from comity.ids import AgreementId, Digest, Instant, PartyId
from comity.letters.bodies import Body
from comity.letters.consent import ConsentGrant, ConsentRefusal, ConsentRequest, ConsentRevocation
from comity.letters.letter import About, Draft, Letter, make_letter, parse_letter
from comity.letters.recall import Change
from comity.node import consentwork
from comity.node.agree import Recorded
from comity.node.audit import audit_folder
from comity.node.consent import (
    Asked,
    GrantState,
    Said,
    StoredGrant,
    grant_consent,
    list_consents,
    list_consents_of,
    refuse_consent,
    request_consent,
    revoke_consent,
    show_consent,
)
from comity.node.explain import explain, show_object
from comity.node.follow import plan_pull
from comity.node.gate import list_open_collections
from comity.node.granting import Offer
from comity.node.grants import begin_grant, keep_grants
from comity.node.journal import verify_store
from comity.node.letterbox import take_letter
from comity.node.letters import record_letter
from comity.node.outbox import list_due
from comity.node.people import Actor, Waiting
from comity.node.preview import check_terms, compare_versions, preview_terms
from comity.node.recall import list_recalls, recall
from comity.node.soundness import examine_folder
from comity.node.work import list_work
from comity.signing import Role as KeyRole
from comity.signing import SignedDocument
from comity.store import letters, objects
from comity.store.letters import LetterState
from tests.chains import give_all, introduce, pull_all, sign_consent, sign_onward
from tests.worlds import World, make_object, object_id

A, B, C, D = map(PartyId, ("aurelia", "borealia", "cimbria", "meridia"))
X = object_id("report", "x")
Y = object_id("report", "y")
DAY = 86_400_000_000

Act = Callable[[Actor], Said | Waiting | Refusal]


@pytest.fixture
def chain(tmp_path: Path) -> Iterator[World]:
    """Aurelia gives borealia by consent; borealia gives cimbria and meridia, and they have never heard of aurelia."""
    made = World(tmp_path)
    made.found(A, B, C, D)
    introduce(made, [(A, B), (B, C), (B, D), (C, D)])
    sign_consent(made, A, B, extra='[response_times]\nconsent = "P7D"')
    sign_onward(made, B, C, listed=[])
    sign_onward(made, B, D, listed=[])
    yield made
    made.close()


def give(world: World, *names: str) -> None:
    world.add(A, *(make_object(name) for name in names))
    pull_all(world, A, B)
    world.tick()


def as_one(world: World, name: str, act: Act, *, role: Role = Role.LIAISON) -> Said:
    done = act(world.actor(name, role))
    assert isinstance(done, Said), done
    world.tick()
    return done


def as_two(world: World, name: str, act: Act) -> Said:
    waiting = act(world.actor(name, Role.LIAISON))
    assert isinstance(waiting, Waiting), waiting
    return as_one(world, name, act, role=Role.LEGAL)


def ask(world: World, *items: str, name: str = B, to: PartyId = C, until: Instant | None = None) -> Said:
    return as_one(
        world,
        name,
        lambda by: request_consent(
            world.nodes[name], items or (X,), to=to, purpose="exchange", reason="they know more", until=until, by=by
        ),
    )


def grant(world: World, request: Letter, *, name: str = A, until: Instant | None = None, **offer: str) -> Letter:
    what = Offer(until=until or Instant(world.now + 10 * DAY), **offer)
    said = as_two(world, name, lambda by: grant_consent(world.nodes[name], request.digest, what, by=by))
    return said.letters[0]


def revoke(world: World, named: Letter, *, name: str = A, takes_back: bool = False) -> Letter:
    said = as_one(
        world,
        name,
        lambda by: revoke_consent(world.nodes[name], named.digest, reason=None, takes_back=takes_back, by=by),
    )
    return said.letters[0]


def granted(world: World, *items: str, until: Instant | None = None, **offer: str) -> Letter:
    """The grant of aurelia to borealia for cimbria, delivered."""
    (request,) = ask(world, *items).letters
    world.deliver()
    letter = grant(world, request, until=until, **offer)
    world.deliver()
    return letter


def gives(world: World, giver: str, recipient: str) -> set[str]:
    return {item.id for page in give_all(world, giver, recipient).values() for item in page.items}


def only(world: World, name: str, *, sent: bool) -> Asked:
    (asked,) = list_consents(world.nodes[name], limit=100)[0 if sent else 1]
    return asked


def queued(world: World, name: str) -> list[bytes]:
    return [message.envelope for message in list_due(world.nodes[name])]


def forge(
    world: World,
    body: Body,
    *,
    like: Letter,
    sender: str = A,
    to: str = B,
    answers: Digest | None = None,
    agreement: str | None = None,
    terms: Digest | None = None,
    about: tuple[About, ...] | None = None,
) -> bytes:
    """A letter as the node of `sender` would sign it, were it another program."""
    node = world.nodes[sender]
    draft = Draft(
        body=body,
        to=PartyId(to),
        agreement=AgreementId(agreement or like.agreement),
        terms=terms or like.terms,
        about=about or like.about,
        answers=answers,
    )
    return make_letter(
        draft, sender=node.party, at=world.now, nonce=node.draw(16), signers=[node.signers[KeyRole.AGREEMENT]]
    )


def offer_of(world: World, *, recipient: PartyId = C, until: int = 10 * DAY, purpose: str = "exchange") -> ConsentGrant:
    return ConsentGrant(
        recipient=recipient,
        purpose=purpose,
        expires_at=Instant(world.now + until),
        actions="internally-visible-actions",
    )


def check_all(world: World) -> None:
    for name, node in world.nodes.items():
        verify_store(node.store, origin=f"comity/{name}", party=PartyId(name))
        found = examine_folder(world.folder / name)
        assert found.is_sound, found.findings
        audited = audit_folder(world.folder / name, now=world.now)
        assert audited.found == 0, audited.findings


# --- one grant --------------------------------------------------------------------------------------------------------


def test_what_is_granted_goes_to_that_party_and_to_nobody_else(chain: World) -> None:
    give(chain, "x", "y")
    assert gives(chain, B, C) == gives(chain, B, D) == set()
    granted(chain)
    assert gives(chain, B, C) == {X}
    assert gives(chain, B, D) == set()
    assert X in pull_all(chain, B, C)
    assert gives(chain, C, D) == set()
    assert show_object(chain.nodes[B], X).label.audience == frozenset({B, C})
    (one,) = list_consents_of(chain.nodes[B], X)
    assert one.state is GrantState.GOOD
    assert explain(chain.nodes[B], X, to=C).verdict.decision == "release"
    check_all(chain)


def test_a_request_waits_for_people_and_is_answered_once(chain: World) -> None:
    give(chain, "x")
    (request,) = ask(chain).letters
    chain.deliver()
    (work,) = [item for item in list_work(chain.nodes[A]) if item.kind is WorkKind.CONSENT_TO_DECIDE]
    assert work.due is not None
    assert abs(work.due - chain.now) <= 7 * DAY
    assert show_consent(chain.nodes[A], request.digest).given is True
    grant(chain, request)
    assert not [item for item in list_work(chain.nodes[A]) if item.kind is WorkKind.CONSENT_TO_DECIDE]
    with pytest.raises(TransitionError, match="granted"):
        refuse_consent(chain.nodes[A], request.digest, reason=None, by=chain.actor(A, Role.LEGAL))


def test_granting_takes_two_people_and_one_of_them_as_legal(chain: World) -> None:
    give(chain, "x")
    (request,) = ask(chain).letters
    chain.deliver()
    offer = Offer(until=Instant(chain.now + DAY))
    for _ in range(2):
        done = grant_consent(chain.nodes[A], request.digest, offer, by=chain.actor(A, Role.LIAISON))
        assert isinstance(done, Waiting)
    other = Offer(until=Instant(chain.now + 2 * DAY))
    # Another offer is another matter: approvals of different matters never add up.
    assert isinstance(grant_consent(chain.nodes[A], request.digest, other, by=chain.actor(A, Role.LEGAL)), Waiting)
    assert isinstance(grant_consent(chain.nodes[A], request.digest, offer, by=chain.actor(A, Role.LEGAL)), Said)


def test_a_refusal_changes_nothing_but_says_so(chain: World) -> None:
    give(chain, "x")
    (request,) = ask(chain).letters
    chain.deliver()
    as_one(chain, A, lambda by: refuse_consent(chain.nodes[A], request.digest, reason="no", by=by))
    chain.deliver()
    assert only(chain, B, sent=True).stored.progress == "refused"
    assert gives(chain, B, C) == set()
    check_all(chain)


def test_a_sanitised_version_grants_nothing_for_the_original(chain: World) -> None:
    give(chain, "x")
    (request,) = ask(chain).letters
    chain.deliver()
    chain.add(A, make_object("x without its source"))
    offer = Offer(sanitised=object_id("report", "x without its source"))
    as_two(chain, A, lambda by: grant_consent(chain.nodes[A], request.digest, offer, by=by))
    chain.deliver()
    assert only(chain, B, sent=True).stored.progress == "sanitised"
    assert gives(chain, B, C) == set()
    check_all(chain)


def test_a_sanitised_version_is_named_only_to_whom_it_would_be_given(chain: World) -> None:
    give(chain, "x")
    (request,) = ask(chain).letters
    chain.deliver()
    chain.add(A, make_object("for nobody", tlp="red"))
    offer = Offer(sanitised=object_id("report", "for nobody"))
    with pytest.raises(MalformedRequest, match=r"would not be given to borealia.*: tlp_ceiling:"):
        grant_consent(chain.nodes[A], request.digest, offer, by=chain.actor(A, Role.LIAISON))
    assert queued(chain, A) == []
    assert only(chain, A, sent=False).stored.state is LetterState.OPEN


def test_what_refers_to_something_else_stays_bound_by_that(chain: World) -> None:
    chain.add(A, make_object("y"), make_object("x", refs=[Y]))
    pull_all(chain, A, B)
    granted(chain)
    assert gives(chain, B, C) == set()
    granted(chain, Y)
    assert gives(chain, B, C) == {X, Y}


def test_a_newer_version_is_another_one(chain: World) -> None:
    give(chain, "x")
    granted(chain)
    assert gives(chain, B, C) == {X}
    chain.add(A, make_object("x", day=2))
    pull_all(chain, A, B)
    chain.tick()
    assert gives(chain, B, C) == set()
    check_all(chain)


def test_what_comes_again_keeps_its_grant(chain: World) -> None:
    give(chain, "x")
    granted(chain)
    pull_all(chain, A, B)
    assert gives(chain, B, C) == {X}


# --- its end ----------------------------------------------------------------------------------------------------------


def test_a_grant_ends_at_its_time_whatever_has_run(chain: World) -> None:
    give(chain, "x")
    until = Instant(chain.now + DAY)
    granted(chain, until=until)
    chain.now = Instant(until - 1)
    assert gives(chain, B, C) == {X}
    assert [item for item in list_work(chain.nodes[B]) if item.kind is WorkKind.CONSENT_ENDS]
    chain.now = until
    assert gives(chain, B, C) == set()
    assert keep_grants(chain.nodes[B]) == 0  # the poll had done it
    (one,) = list_consents_of(chain.nodes[B], X)
    assert one.state is GrantState.EXPIRED
    check_all(chain)


def test_an_explanation_knows_that_the_time_has_passed(chain: World) -> None:
    give(chain, "x")
    until = Instant(chain.now + DAY)
    granted(chain, until=until)
    chain.now = until
    assert explain(chain.nodes[B], X, to=C).verdict.decision == "withhold"
    assert show_object(chain.nodes[B], X).label.audience == frozenset({B})


def test_a_preview_knows_that_the_time_has_passed(chain: World) -> None:
    """What it shows is what the next poll does, whatever has run since."""
    give(chain, "x")
    until = Instant(chain.now + DAY)
    granted(chain, until=until)
    node = chain.nodes[B]
    (collection,) = list_open_collections(node, C)
    text = collection.terms.hash

    def count() -> list[int]:
        return [flow.counts.released for flow in preview_terms(node, text).flows if flow.counts is not None]

    assert count() == [1]
    chain.now = until
    assert count() == [0]
    chain.now = Instant(until + DAY)
    check_all(chain)


@pytest.mark.parametrize("look", ["check_terms", "compare_versions"])
def test_whatever_counts_labels_knows_that_the_time_has_passed(chain: World, look: str) -> None:
    give(chain, "x")
    until = Instant(chain.now + DAY)
    granted(chain, until=until)
    node = chain.nodes[B]
    (collection,) = list_open_collections(node, C)
    chain.now = until
    if look == "check_terms":
        check_terms(node, chain.terms(giver=B, receivers=(C,), title="Another"))
    else:
        compare_versions(node, collection.terms.hash, collection.terms.hash)
    with node.store.read() as transaction:
        (item,) = objects.read_versions_of(transaction, [X])
        assert objects.read_label(transaction, item.label).audience == frozenset({B})


def test_a_revocation_ends_it_and_nothing_is_taken_back_that_nobody_asks_for(chain: World) -> None:
    give(chain, "x")
    letter = granted(chain)
    pull_all(chain, B, C)
    revoke(chain, letter)
    chain.deliver()
    assert gives(chain, B, C) == set()
    show_object(chain.nodes[C], X)
    assert list_recalls(chain.nodes[B], limit=10) == ([], [])
    with pytest.raises(TransitionError, match="revoked before"):
        revoke(chain, letter)
    check_all(chain)


def test_a_revocation_takes_back_what_was_passed_on(chain: World) -> None:
    give(chain, "x")
    letter = granted(chain)
    pull_all(chain, B, C)
    chain.tick()
    revoke(chain, letter, takes_back=True)
    chain.deliver()
    with pytest.raises(NotFoundError):
        show_object(chain.nodes[C], X)
    ((told,), _) = list_recalls(chain.nodes[B], limit=10)
    assert told.stored.state is LetterState.CLOSED
    show_object(chain.nodes[B], X)  # what borealia holds itself stays
    check_all(chain)


def test_of_two_grants_the_longer_one_counts(chain: World) -> None:
    give(chain, "x")
    first = granted(chain)
    second = granted_again(chain)
    revoke(chain, first)
    chain.deliver()
    assert gives(chain, B, C) == {X}
    revoke(chain, second)
    chain.deliver()
    assert gives(chain, B, C) == set()


def granted_again(world: World) -> Letter:
    """A second grant of the same: asked by a request that was made before the first was answered."""
    (request,) = [
        asked.stored.letter for asked in list_consents(world.nodes[A], limit=10)[1] if asked.stored.state == "closed"
    ]
    data = forge(world, ConsentRequest(recipient=C, purpose="exchange", reason="again"), like=request, sender=B, to=A)
    node = world.nodes[B]
    letter, _ = parse_letter(data)
    with node.act() as act:
        record_letter(act, letter, envelope=data, sent=True, state=LetterState.OPEN)
    take_letter(world.nodes[A], data)
    made = grant(world, letter)
    world.deliver()
    return made


# --- several ways -----------------------------------------------------------------------------------------------------


def test_every_giver_must_let_it_go(chain: World) -> None:
    sign_consent(chain, D, B)
    chain.add(A, make_object("x"))
    chain.add(D, make_object("x"))
    pull_all(chain, A, B)
    pull_all(chain, D, B)
    chain.tick()
    first, second = sorted(ask(chain).letters, key=lambda letter: letter.to)
    assert (first.to, second.to) == (A, D)
    chain.deliver()
    grant(chain, first)
    chain.deliver()
    assert gives(chain, B, C) == set()
    last = grant(chain, second, name=D)
    chain.deliver()
    assert gives(chain, B, C) == {X}
    revoke(chain, last, name=D)
    chain.deliver()
    assert gives(chain, B, C) == set()
    check_all(chain)


def test_a_second_way_without_consent_ends_what_was_granted(chain: World) -> None:
    give(chain, "x")
    granted(chain)
    assert gives(chain, B, C) == {X}
    sign_onward(chain, D, B, listed=[])
    chain.add(D, make_object("x"))
    pull_all(chain, D, B)
    chain.tick()
    assert gives(chain, B, C) == set()


def test_a_second_way_by_consent_waits_for_its_own_grant(chain: World) -> None:
    give(chain, "x")
    granted(chain)
    assert gives(chain, B, C) == {X}
    sign_consent(chain, D, B)
    chain.add(D, make_object("x"))
    pull_all(chain, D, B)
    chain.tick()
    assert gives(chain, B, C) == set()


# --- along a chain ----------------------------------------------------------------------------------------------------


@pytest.fixture
def long(tmp_path: Path) -> Iterator[World]:
    """Aurelia gives borealia, and borealia cimbria, by consent; cimbria gives meridia."""
    made = World(tmp_path)
    made.found(A, B, C, D)
    introduce(made, [(A, B), (B, C), (C, D)])
    sign_consent(made, A, B)
    sign_consent(made, B, C)
    sign_onward(made, C, D, listed=[])
    give(made, "x")
    granted(made)
    pull_all(made, B, C)
    made.tick()
    yield made
    made.close()


def test_who_was_given_it_can_grant_only_what_it_was_granted(long: World) -> None:
    (request,) = ask(long, name=C, to=D).letters
    assert request.to == B
    long.deliver()
    with pytest.raises(TransitionError, match="consent request"):
        grant(long, request, name=B)
    until = Instant(long.now + 5 * DAY)
    (own,) = ask(long, name=B, to=D).letters
    assert own.to == A
    long.deliver()
    grant(long, own, name=A, until=until)
    long.deliver()
    with pytest.raises(TransitionError, match="narrower"):
        grant(long, request, name=B, until=Instant(until + 1))
    passed = grant(long, request, name=B, until=until)
    long.deliver()
    assert gives(long, C, D) == {X}
    # Nobody is told of anybody but whom it asked, and whom it asked for.
    assert A.encode() not in b"".join(answer.envelope for answer in show_consent(long.nodes[C], passed.digest).answers)
    check_all(long)


def test_a_revocation_reaches_everybody_behind(long: World) -> None:
    (request,) = ask(long, name=C, to=D).letters
    (own,) = ask(long, name=B, to=D).letters
    long.deliver()
    until = Instant(long.now + 5 * DAY)
    first = grant(long, own, name=A, until=until)
    long.deliver()
    grant(long, request, name=B, until=until)
    long.deliver()
    pull_all(long, C, D)
    long.tick()
    revoke(long, first, takes_back=True)
    long.deliver()
    assert gives(long, C, D) == set()
    with pytest.raises(NotFoundError):
        show_object(long.nodes[D], X)
    assert gives(long, B, C) == {X}
    check_all(long)


def test_what_was_passed_on_by_a_grant_that_has_run_out_is_taken_back_too(long: World) -> None:
    """Borealia granted for a shorter time than aurelia: what meridia was given in that time it still has."""
    (request,) = ask(long, name=C, to=D).letters
    (own,) = ask(long, name=B, to=D).letters
    long.deliver()
    first = grant(long, own, name=A, until=Instant(long.now + 5 * DAY))
    long.deliver()
    shorter = Instant(long.now + 2 * DAY)
    grant(long, request, name=B, until=shorter)
    long.deliver()
    assert X in pull_all(long, C, D)
    long.now = shorter
    for node in long.nodes.values():
        keep_grants(node)
    revoke(long, first, takes_back=True)
    long.deliver()
    with pytest.raises(NotFoundError):
        show_object(long.nodes[D], X)
    check_all(long)


def test_a_grant_that_rests_on_one_ends_with_it(long: World) -> None:
    (request,) = ask(long, name=C, to=D).letters
    (own,) = ask(long, name=B, to=D).letters
    long.deliver()
    until = Instant(long.now + 5 * DAY)
    grant(long, own, name=A, until=until)
    long.deliver()
    grant(long, request, name=B, until=until)
    long.deliver()
    assert gives(long, C, D) == {X}
    long.now = until
    assert gives(long, C, D) == set()


def test_what_is_left_is_no_wider_than_what_rests_on_it(long: World) -> None:
    """Of two grants for the same the longer one is revoked: what was granted by it does not outlive the shorter one."""
    (first,) = ask(long, name=B, to=D).letters
    long.tick()
    (second,) = ask(long, name=B, to=D).letters
    (request,) = ask(long, name=C, to=D).letters
    long.deliver()
    far, near = Instant(long.now + 9 * DAY), Instant(long.now + 2 * DAY)
    longer = grant(long, first, until=far)
    grant(long, second, until=near)
    long.deliver()
    grant(long, request, name=B, until=far)
    long.deliver()
    assert gives(long, C, D) == {X}
    revoke(long, longer)
    long.deliver()
    assert gives(long, C, D) == set()
    # The shorter one still lets borealia itself give it, and as much be granted.
    (again,) = ask(long, name=C, to=D).letters
    long.deliver()
    grant(long, again, name=B, until=near)
    long.deliver()
    assert gives(long, C, D) == {X}
    long.now = near
    assert gives(long, C, D) == set()
    check_all(long)


def test_a_grant_that_what_is_left_covers_goes_on(long: World) -> None:
    (first,) = ask(long, name=B, to=D).letters
    long.tick()
    (second,) = ask(long, name=B, to=D).letters
    (request,) = ask(long, name=C, to=D).letters
    long.deliver()
    far = Instant(long.now + 9 * DAY)
    revoked, _ = (grant(long, asked, until=far) for asked in (first, second))
    long.deliver()
    grant(long, request, name=B, until=far)
    long.deliver()
    revoke(long, revoked)
    long.deliver()
    assert gives(long, C, D) == {X}


# --- what may not be asked --------------------------------------------------------------------------------------------


def test_what_needs_no_consent_is_not_asked_for(chain: World) -> None:
    give(chain, "x")
    chain.add(B, make_object("own"))
    with pytest.raises(TransitionError, match="own"):
        ask(chain, object_id("report", "own"))
    with pytest.raises(TransitionError, match="came from aurelia itself"):
        ask(chain, to=A)
    with pytest.raises(MalformedRequest, match="which holds it"):
        ask(chain, to=B)
    granted(chain)
    with pytest.raises(TransitionError, match="already"):
        ask(chain)


def test_terms_that_know_no_consent_are_not_asked_under(chain: World) -> None:
    sign_onward(chain, D, C, listed=[])
    chain.add(D, make_object("x"))
    pull_all(chain, D, C)
    chain.tick()
    with pytest.raises(TransitionError, match="know no consent"):
        ask(chain, name=C, to=A)


def test_a_purpose_is_one_of_the_terms(chain: World) -> None:
    give(chain, "x")
    for purpose in ("border_check", "no purpose"):
        with pytest.raises(MalformedRequest, match="purpose"):
            request_consent(
                chain.nodes[B], [X], to=C, purpose=purpose, reason="r", until=None, by=chain.actor(B, Role.LIAISON)
            )


def test_a_grant_is_no_wider_than_asked_and_than_the_terms(chain: World) -> None:
    give(chain, "x")
    until = Instant(chain.now + DAY)
    (request,) = ask(chain, until=until).letters
    chain.deliver()
    by = chain.actor(A, Role.LIAISON)
    for offer in (
        Offer(until=Instant(until + 1)),
        Offer(until=until, actions="externally-visible-direct-actions"),
        Offer(until=Instant(chain.now - 1)),
        Offer(),
        Offer(until=until, sanitised=X),
    ):
        with pytest.raises(MalformedRequest):
            grant_consent(chain.nodes[A], request.digest, offer, by=by)


def test_what_was_not_given_is_not_granted(chain: World) -> None:
    give(chain, "x")
    (request,) = ask(chain).letters
    chain.deliver()
    chain.add(A, make_object("z"))
    held = show_object(chain.nodes[A], object_id("report", "z")).object
    about = (About(id=held.id, version=held.version, digest=held.digest),)
    data = forge(
        chain,
        ConsentRequest(recipient=C, purpose="exchange", reason="guessed"),
        like=request,
        sender=B,
        to=A,
        about=about,
    )
    taken = take_letter(chain.nodes[A], data)
    assert taken.state is LetterState.OPEN  # as one about what is held nowhere
    assert show_consent(chain.nodes[A], taken.letter.digest).given is False
    with pytest.raises(TransitionError, match="log does not show"):
        grant(chain, taken.letter)


WIDE = b"externally-visible-direct-actions"


def offer_wider(world: World) -> bytes:
    """The next version of what aurelia gives borealia under, which lets more be done."""
    (known,) = plan_pull(world.nodes[B], A)
    toml = world.terms(
        version=2,
        agreement=known.terms,
        supersedes=known.terms,
        title=f"{A} to {B}",
        channel_extra=f"originators = {[*world.nodes, 'own']}",
    )
    return toml.replace(b'onward = "none"', b'onward = "originator_consent"').replace(
        b"internally-visible-actions", WIDE
    )


def test_nothing_is_asked_under_a_text_that_whoever_asks_alone_has_signed(chain: World) -> None:
    """It would set what may be granted at the most."""
    give(chain, "x")
    (request,) = ask(chain).letters
    proposed = chain.propose(B, offer_wider(chain))
    assert isinstance(proposed, Recorded), proposed
    chain.deliver()
    body = ConsentRequest(recipient=C, purpose="exchange", reason="cheating")
    data = forge(chain, body, like=request, sender=B, to=A, terms=proposed.event.terms)
    with pytest.raises(NotFoundError):
        take_letter(chain.nodes[A], data)


def test_nothing_is_granted_under_a_text_that_it_was_not_given_under(chain: World) -> None:
    """Nor under one that both have signed since."""
    give(chain, "x")
    (request,) = ask(chain).letters
    proposed = chain.propose(B, offer_wider(chain))
    assert isinstance(proposed, Recorded), proposed
    chain.deliver()
    chain.act(A, proposed.event.terms, EventKind.ACCEPT)
    chain.deliver()
    body = ConsentRequest(recipient=C, purpose="exchange", reason="cheating")
    data = forge(chain, body, like=request, sender=B, to=A, terms=proposed.event.terms)
    taken = take_letter(chain.nodes[A], data)
    assert show_consent(chain.nodes[A], taken.letter.digest).given is False
    with pytest.raises(TransitionError, match="log does not show"):
        grant(chain, taken.letter)
    grant(chain, request)


def test_a_request_that_the_terms_cannot_be_about_is_shown_and_answered_like_any_other(chain: World) -> None:
    give(chain, "x")
    (request,) = ask(chain).letters
    chain.deliver()
    for body in (
        ConsentRequest(recipient=C, purpose="border_check", reason="r"),
        ConsentRequest(recipient=A, purpose="exchange", reason="r"),
        ConsentRequest(recipient=B, purpose="exchange", reason="r"),
    ):
        taken = take_letter(chain.nodes[A], forge(chain, body, like=request, sender=B, to=A))
        assert taken.state is LetterState.REFUSED
        with pytest.raises(TransitionError, match="cannot"):
            grant(chain, taken.letter)


def test_work_reads_the_newest_requests_alone(chain: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each can be long, and a partner can have very many wait: whoever is served waits for who looks at the work."""
    give(chain, "x")
    asked = [ask(chain).letters[0] for _ in range(3)]
    chain.deliver()
    read = list[bytes]()

    def note(envelope: bytes) -> tuple[Letter, SignedDocument]:
        read.append(envelope)
        return parse_letter(envelope)

    monkeypatch.setattr(letters, "parse_letter", note)
    monkeypatch.setattr(consentwork, "_MOST_READ", 1)
    letters.forget_letters()
    found = [item for item in list_work(chain.nodes[A]) if item.kind is WorkKind.CONSENT_TO_DECIDE]
    assert len(read) == 1
    assert {item.letter for item in found} == {request.digest for request in asked}
    assert {item.object for item in found} == {X}
    assert sum(C in item.why for item in found) == 1


# --- letters that lie, repeat and overtake ----------------------------------------------------------------------------


def test_a_grant_that_is_wider_than_asked_has_no_effect(chain: World) -> None:
    give(chain, "x", "y")
    until = Instant(chain.now + 5 * DAY)
    (request,) = ask(chain, until=until).letters
    chain.deliver()
    wrong = (
        offer_of(chain, recipient=D, until=DAY),
        offer_of(chain, purpose="research", until=DAY),
        offer_of(chain, until=6 * DAY),
        ConsentGrant(recipient=C, purpose="exchange", expires_at=until, actions="externally-visible-indirect-actions"),
    )
    for body in wrong:
        taken = take_letter(chain.nodes[B], forge(chain, body, like=request, answers=request.digest))
        assert taken.state is LetterState.REFUSED
        assert gives(chain, B, C) == gives(chain, B, D) == set()
    assert only(chain, B, sent=True).stored.state is LetterState.OPEN


def test_a_version_is_granted_once_in_answer_to_one_request(chain: World) -> None:
    """Else each of ten thousand grants makes the next one, and each page that comes, take longer."""
    give(chain, "x", "y")
    (request,) = ask(chain, X, Y).letters
    chain.deliver()
    (of_x,), (of_y,) = ([item for item in request.about if item.id == name] for name in (X, Y))

    def send(*about: About, until: int) -> LetterState:
        body = offer_of(chain, until=until)
        return take_letter(chain.nodes[B], forge(chain, body, like=request, answers=request.digest, about=about)).state

    assert send(of_x, until=2 * DAY) is LetterState.CLOSED
    assert send(of_x, of_y, until=9 * DAY) is LetterState.REFUSED
    assert gives(chain, B, C) == {X}
    assert send(of_y, until=9 * DAY) is LetterState.CLOSED
    assert gives(chain, B, C) == {X, Y}
    chain.tick(2 * DAY)
    assert gives(chain, B, C) == {Y}
    assert send(of_x, until=9 * DAY) is LetterState.REFUSED
    assert gives(chain, B, C) == {Y}
    check_all(chain)


def test_revocations_of_nothing_are_bounded_and_one_of_a_grant_is_taken_whatever_came(chain: World) -> None:
    """Each of them is read when a grant comes."""
    give(chain, "x")
    (request,) = ask(chain).letters
    chain.deliver()

    def revoke_named(name: str) -> LetterState:
        body = ConsentRevocation(grant=Digest(name), recall=False)
        return take_letter(chain.nodes[B], forge(chain, body, like=request, answers=request.digest)).state

    for number in range(16):
        assert revoke_named(f"{number:064x}") is LetterState.CLOSED
    with pytest.raises(ConflictError):
        revoke_named("f" * 64)
    data = forge(chain, offer_of(chain), like=request, answers=request.digest)
    taken = take_letter(chain.nodes[B], data)
    assert gives(chain, B, C) == {X}
    assert revoke_named(taken.letter.digest) is LetterState.CLOSED
    assert gives(chain, B, C) == set()


def test_a_grant_of_what_was_not_asked_about_is_not_taken(chain: World) -> None:
    give(chain, "x", "y")
    (request,) = ask(chain).letters
    other = ask(chain, Y).letters[0]
    for about in (other.about, (*request.about, *other.about)):
        data = forge(chain, offer_of(chain), like=request, answers=request.digest, about=about)
        with pytest.raises(NotFoundError, match="not asked about"):
            take_letter(chain.nodes[B], data)
    assert gives(chain, B, C) == set()


def test_nobody_but_who_was_asked_grants(chain: World) -> None:
    """Meridia gives borealia other things by consent, and knows the name of the request."""
    give(chain, "x")
    agreement = sign_consent(chain, D, B)
    (request,) = ask(chain).letters
    chain.deliver()
    own = next(iter(plan_pull(chain.nodes[B], D))).terms
    for under, terms in ((agreement, own), (request.agreement, request.terms)):
        data = forge(
            chain, offer_of(chain), like=request, sender=D, answers=request.digest, agreement=under, terms=terms
        )
        with pytest.raises(NotFoundError):
            take_letter(chain.nodes[B], data)
    assert gives(chain, B, C) == set()


def test_a_grant_that_answers_nothing_is_not_taken(chain: World) -> None:
    give(chain, "x")
    (request,) = ask(chain).letters
    data = forge(chain, offer_of(chain), like=request, answers=Digest("0" * 64))
    with pytest.raises(NotFoundError):
        take_letter(chain.nodes[B], data)


def test_a_revocation_that_overtakes_its_grant_counts(chain: World) -> None:
    give(chain, "x")
    (request,) = ask(chain).letters
    chain.deliver()
    letter = grant(chain, request)
    (data,) = queued(chain, A)
    revoke(chain, letter)
    (last,) = [one for one in queued(chain, A) if one != data]
    take_letter(chain.nodes[B], last)
    taken = take_letter(chain.nodes[B], data)
    assert taken.state is LetterState.CLOSED
    assert gives(chain, B, C) == set()
    chain.deliver()
    assert gives(chain, B, C) == set()
    check_all(chain)


def test_letters_that_come_twice_change_nothing(chain: World) -> None:
    give(chain, "x")
    letter = granted(chain)
    answers = show_consent(chain.nodes[B], letter.digest).answers
    revoke(chain, letter)
    chain.deliver()
    assert not take_letter(chain.nodes[B], answers[0].envelope).new
    assert gives(chain, B, C) == set()


def test_a_refusal_ends_no_grant(chain: World) -> None:
    give(chain, "x")
    letter = granted(chain)
    assert letter.answers is not None
    data = forge(chain, ConsentRefusal(), like=letter, answers=letter.answers)
    take_letter(chain.nodes[B], data)
    assert gives(chain, B, C) == {X}
    assert only(chain, B, sent=True).stored.progress == "granted"


def test_a_grant_that_comes_too_late_lets_nothing_go(chain: World) -> None:
    give(chain, "x")
    (request,) = ask(chain).letters
    chain.deliver()
    grant(chain, request, until=Instant(chain.now + DAY))
    chain.tick(2 * DAY)
    chain.deliver()
    assert gives(chain, B, C) == set()
    assert list_consents_of(chain.nodes[B], X) == ()


def test_nobody_revokes_what_another_granted(chain: World) -> None:
    give(chain, "x")
    letter = granted(chain)
    sign_consent(chain, D, B)
    chain.add(D, make_object("y"))
    pull_all(chain, D, B)
    chain.tick()
    (own,) = ask(chain, Y).letters
    body = ConsentRevocation(grant=letter.digest, recall=True)
    take_letter(chain.nodes[B], forge(chain, body, like=own, sender=D, answers=own.digest))
    assert gives(chain, B, C) == {X}


def test_a_revocation_is_taken_beyond_every_bound(chain: World, monkeypatch: pytest.MonkeyPatch) -> None:
    give(chain, "x")
    letter = granted(chain)
    monkeypatch.setattr("comity.node.letterbox._MAX_LETTERS_OF_A_PARTY", 0)
    assert letter.answers is not None
    with pytest.raises(ConflictError):
        take_letter(chain.nodes[B], forge(chain, ConsentRefusal(), like=letter, answers=letter.answers))
    revoke(chain, letter)
    chain.deliver()
    assert gives(chain, B, C) == set()


def test_what_is_recalled_is_given_to_nobody_whoever_consents(chain: World) -> None:
    give(chain, "x")
    granted(chain)
    recall(chain.nodes[A], X, change=Change.WITHDRAW, versions=(), reason="wrong", by=chain.actor(A, Role.LIAISON))
    chain.deliver()
    assert gives(chain, B, C) == set()


def test_who_is_not_asked_learns_nothing(chain: World) -> None:
    give(chain, "x")
    granted(chain)
    for name in (C, D):
        assert list_consents(chain.nodes[name], limit=10) == ([], [])


def test_consent_goes_on_while_the_agreement_is_suspended(chain: World) -> None:
    give(chain, "x")
    letter = granted(chain)
    chain.act(A, letter.agreement, EventKind.SUSPEND)
    chain.deliver()
    revoke(chain, letter)
    chain.deliver()
    assert gives(chain, B, C) == set()


# --- the audit --------------------------------------------------------------------------------------------------------


def test_the_audit_finds_a_disclosure_after_the_end_of_its_consent(
    chain: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    give(chain, "x")
    until = Instant(chain.now + DAY)
    granted(chain, until=until)
    chain.now = until
    monkeypatch.setattr("comity.node.poll.end_run_out", lambda _act, _own: 0)
    assert gives(chain, B, C) == {X}  # a node that does not keep to it
    found = audit_folder(chain.folder / B, now=chain.now).findings
    assert any("consent to that had run out" in finding.problem for finding in found), found


def test_the_audit_finds_a_consent_that_nobody_granted(chain: World) -> None:
    give(chain, "x")
    (request,) = ask(chain).letters
    kept = StoredGrant(
        letter=request.digest,
        request=request.digest,
        sent=False,
        party=A,
        agreement=request.agreement,
        recipient=C,
        purpose="exchange",
        actions="none",
        conditions=None,
        expires_at=Instant(chain.now + DAY),
        state=GrantState.GOOD,
        ended_at=None,
    )
    with chain.nodes[B].act() as act:
        begin_grant(act, B, kept)
    found = audit_folder(chain.folder / B, now=chain.now).findings
    assert any("is not as that letter grants it" in finding.problem for finding in found), found
