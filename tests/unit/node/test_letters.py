# SPDX-License-Identifier: Apache-2.0
"""Letters between nodes: signed, in both logs, delivered by the outbox, and answered alike to whoever has no say."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from comity.agreement.events import EventKind
from comity.agreement.people import Role as PersonRole
from comity.errors import ConflictError, MalformedMessage, NotFoundError, UnknownKey, VerificationError
from comity.ids import AgreementId, Digest, ObjectId, PartyId
from comity.letters.letter import About, Draft, Letter, make_letter, parse_letter
from comity.letters.recall import Change, Outcome, Recall, RecallAcknowledgement, Result, Stage
from comity.node import correspond, letterbox
from comity.node.journal import list_entries, verify_store
from comity.node.letterbox import TakenLetter, take_letter
from comity.node.letters import find_letter, send_letter
from comity.node.outbox import list_due
from comity.node.rotation import rotate_keys
from comity.node.soundness import Check, examine_folder
from comity.signing import Role
from comity.store import letters
from comity.store.letters import LetterState
from tests.worlds import World

A, B, M = PartyId("aurelia"), PartyId("borealia"), PartyId("meridia")
ABOUT = (About(id=ObjectId("report--11111111-1111-4111-8111-111111111111"), version="1", digest=Digest("01" * 32)),)
RECALL = Recall(change=Change.WITHDRAW, reason="wrong")


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path)
    made.found(A, B, M)
    yield made
    made.close()


def draft(agreement: str, **fields: object) -> Draft:
    made = Draft(body=RECALL, to=B, agreement=AgreementId(agreement), terms=Digest(agreement), about=ABOUT)
    return replace(made, **fields)  # type: ignore[arg-type]


def send(world: World, said: Draft, *, sender: PartyId = A) -> Letter:
    with world.nodes[sender].act() as act:
        return send_letter(world.nodes[sender], act, said)


def forge(world: World, said: Draft, *, sender: PartyId, signer: PartyId | None = None) -> bytes:
    """A letter that no node keeps."""
    signers = [world.nodes[signer or sender].signers[Role.AGREEMENT]]
    return make_letter(said, sender=sender, at=world.now, nonce=bytes(16), signers=signers)


def read_log(world: World, name: str) -> list[tuple[object, object, object]]:
    """What the letters in a log are: sent or received, of which kind, and to or from whom."""
    entries = list_entries(world.nodes[name], start=0, limit=1_000)
    contents = [entry.content for entry in entries if entry.leaf.type == "letter"]
    return [(said["change"], said["kind"], said["party"]) for said in contents if isinstance(said, dict)]


def count_entries(world: World, name: str) -> int:
    return len(list_entries(world.nodes[name], start=0, limit=1_000))


def test_a_letter_is_in_the_log_of_both_and_answered(world: World) -> None:
    agreement = world.sign_all(world.terms())
    sent = send(world, draft(agreement))
    assert read_log(world, A) == [("send", "recall", "borealia")]
    world.deliver()
    assert read_log(world, B) == [("receive", "recall", "aurelia"), ("send", "recall-acknowledgement", "aurelia")]
    assert read_log(world, A)[1:] == [("receive", "recall-acknowledgement", "borealia")]
    with world.nodes[A].store.read() as transaction:
        kept = find_letter(transaction, sent.digest[:8])
        (answer,) = letters.list_answers(transaction, sent.digest)
    assert (kept.state, kept.answered_by, kept.letter) == (LetterState.CLOSED, answer.letter.digest, sent)
    for name in (A, B):
        verify_store(world.nodes[name].store, origin=f"comity/{name}", party=name)
        assert examine_folder(world.folder / name).is_sound


def test_a_letter_with_another_signature_is_found_in_the_files(world: World) -> None:
    agreement = world.sign_all(world.terms())
    send(world, draft(agreement))
    world.deliver()
    with world.nodes[B].store.write() as transaction:
        transaction.run('UPDATE letter SET envelope = CAST(replace(envelope, \'"sig":"\', \'"sig":"AAAA\') AS BLOB)')
    broken = [item for item in examine_folder(world.folder / B).findings if item.check is Check.SIGNATURES]
    assert [item.where.partition(" ")[0] for item in broken] == ["letter", "letter"]


def test_nothing_of_a_letter_is_left_when_its_act_fails(world: World) -> None:
    agreement = world.sign_all(world.terms())
    before = count_entries(world, A)

    def fail() -> None:
        with world.nodes[A].act() as act:
            send_letter(world.nodes[A], act, draft(agreement))
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert not list_due(world.nodes[A])
    assert count_entries(world, A) == before


def test_a_repeated_letter_changes_nothing(world: World) -> None:
    agreement = world.sign_all(world.terms())
    send(world, draft(agreement))
    (message,) = list_due(world.nodes[A])
    first = correspond.receive_any(world.nodes[B], message.envelope)
    before = count_entries(world, B)
    again = correspond.receive_any(world.nodes[B], message.envelope)
    assert isinstance(first, TakenLetter)
    assert first.new
    assert again == replace(first, new=False)
    assert count_entries(world, B) == before
    assert len(list_due(world.nodes[B])) == 1


def test_a_letter_after_the_agreement_was_suspended_and_ended_is_taken(world: World) -> None:
    agreement = world.sign_all(world.terms())
    world.act(B, agreement, EventKind.SUSPEND)
    world.deliver()
    send(world, draft(agreement))
    world.deliver()
    world.act(B, agreement, EventKind.TERMINATE)
    world.deliver()
    send(world, draft(agreement))
    world.deliver()
    assert len(read_log(world, A)) == 4


def test_whoever_has_no_say_gets_one_answer_whether_there_is_an_agreement_or_not(world: World) -> None:
    """SILENT: meridia, which is pinned, knows the name of the agreement and is no party of it."""
    agreement = world.sign_all(world.terms())
    unknown = "ab" * 32
    said = set[str]()
    before = count_entries(world, B)
    for named in (agreement, unknown):
        with pytest.raises(NotFoundError) as caught:
            take_letter(world.nodes[B], forge(world, draft(named), sender=M))
        said.add(caught.value.detail)
    # A party of it, on a text that is not of it.
    with pytest.raises(NotFoundError) as caught:
        take_letter(world.nodes[B], forge(world, draft(agreement, terms=Digest(unknown)), sender=A))
    said.add(caught.value.detail)
    assert len(said) == 1
    assert count_entries(world, B) == before
    with world.nodes[B].store.read() as transaction:
        assert letters.measure_letters(transaction, M) == (0, 0)


def test_a_letter_on_an_agreement_is_none_on_another(world: World) -> None:
    """Meridia is in an agreement with borealia, and quotes one that is between aurelia and borealia."""
    first = world.sign_all(world.terms())
    world.sign_all(world.terms(receivers=(B, M), title="Another"))
    with pytest.raises(NotFoundError):
        take_letter(world.nodes[B], forge(world, draft(first), sender=M))


def test_forged_letters_are_refused(world: World) -> None:
    agreement = world.sign_all(world.terms())
    good = draft(agreement)
    with pytest.raises(UnknownKey):
        take_letter(world.nodes[B], forge(world, good, sender=A, signer=M))
    with pytest.raises(UnknownKey):
        take_letter(world.nodes[B], forge(world, good, sender=PartyId("nobody"), signer=A))
    with pytest.raises(VerificationError):
        take_letter(world.nodes[B], forge(world, replace(good, to=M), sender=A))
    with pytest.raises(VerificationError):
        take_letter(world.nodes[B], forge(world, replace(good, to=A), sender=B))
    with pytest.raises(MalformedMessage):
        take_letter(world.nodes[B], b"{}")
    assert not read_log(world, B)


def test_an_answer_to_what_was_not_asked_is_refused(world: World) -> None:
    agreement = world.sign_all(world.terms(receivers=(B, M)))
    sent = send(world, draft(agreement))
    done = RecallAcknowledgement(stage=Stage.DONE, results=(Result(outcome=Outcome.ABSENT),))
    answer = draft(agreement, body=done, to=A, answers=sent.digest)
    for said, sender in (
        (replace(answer, answers=Digest("ab" * 32)), B),
        (answer, M),  # it was asked of borealia
        (replace(answer, about=(replace(ABOUT[0], version="2"),)), B),
    ):
        with pytest.raises(NotFoundError):
            take_letter(world.nodes[A], forge(world, said, sender=sender))
    with world.nodes[A].store.read() as transaction:
        assert find_letter(transaction, sent.digest).state is LetterState.OPEN
    take_letter(world.nodes[A], forge(world, answer, sender=B))
    with world.nodes[A].store.read() as transaction:
        assert find_letter(transaction, sent.digest).state is LetterState.CLOSED


def test_one_partner_fills_no_disk(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    agreement = world.sign_all(world.terms())
    monkeypatch.setattr(letterbox, "_MAX_LETTERS_OF_A_PARTY", 2)
    for _ in range(3):
        send(world, draft(agreement))
    messages = list_due(world.nodes[A])
    for message in messages[:2]:
        take_letter(world.nodes[B], message.envelope)
    with pytest.raises(ConflictError):
        take_letter(world.nodes[B], messages[2].envelope)
    # What it has is still known, and said to be.
    assert not take_letter(world.nodes[B], messages[0].envelope).new


def test_a_letter_waits_for_the_date_that_its_terms_set(world: World) -> None:
    agreement = world.sign_all(world.terms(extra='[response_times]\nrecall = "P3D"'))
    sent = send(world, draft(agreement))
    with world.nodes[A].store.read() as transaction:
        assert find_letter(transaction, sent.digest).due_at == world.now + 3 * 86_400_000_000


def test_what_is_signed_can_be_read(world: World) -> None:
    """A letter that a partner's node would refuse is not signed: the act fails, and nothing stays of it."""
    agreement = world.sign_all(world.terms())
    with pytest.raises(MalformedMessage):
        send(world, draft(agreement, body=replace(RECALL, reason="hid\u202eden")))
    assert not list_due(world.nodes[A])


def test_a_letter_under_way_is_signed_by_the_key_that_follows(world: World) -> None:
    """One that a partner could not take before the sender's keys changed is taken after it."""
    agreement = world.sign_all(world.terms())
    sent = send(world, draft(agreement))
    for role in (PersonRole.LIAISON, PersonRole.LEGAL):
        rotate_keys(world.nodes[A], [Role.AGREEMENT], by=world.actor(A, role))
    world.deliver()
    with world.nodes[A].store.read() as transaction:
        assert find_letter(transaction, sent.digest).state is LetterState.CLOSED
    assert parse_letter(letters_of(world, B)[0])[0] == sent


def letters_of(world: World, name: str) -> list[bytes]:
    with world.nodes[name].store.read() as transaction:
        return [kept.envelope for kept in letters.iterate_letters(transaction)]
