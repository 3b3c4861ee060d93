# SPDX-License-Identifier: Apache-2.0
"""A letter is what its sender signed, for one receiver; of another form, kind or shape it is refused."""

import json
from dataclasses import replace
from typing import Any

import pytest

from comity.canonical import Json, canonical_bytes, sha256_digest
from comity.errors import BadSignature, Expired, MalformedMessage, ThresholdNotMet, UnknownKey, VerificationError
from comity.exchange import endorse_message
from comity.ids import AgreementId, Digest, Instant, ObjectId, PartyId
from comity.letters.bodies import Body, LetterKind, find_kind, is_answer, is_stop
from comity.letters.consent import ConsentGrant, ConsentRefusal, ConsentRequest, ConsentRevocation
from comity.letters.letter import LETTER_TYPE, MAX_ABOUT, About, Draft, Letter, make_letter, parse_letter, verify_letter
from comity.letters.recall import (
    MAX_KEPT_REASON,
    Change,
    Outcome,
    Recall,
    RecallAcknowledgement,
    Result,
    Stage,
)
from comity.letters.request import Reply, ReplyOutcome, Request, RequestWithdrawal, Urgency
from comity.signing import Signer, format_signed_document, parse_signed_document, sign_document
from tests.parties import AURELIA, BOREALIA, MANIFESTS, MERIDIA, SIGNERS, STRANGER
from tests.signers import EXPIRES, NOW

TERMS, ANSWERED = Digest("ab" * 32), Digest("cd" * 32)
ABOUT = (
    About(
        id=ObjectId("report--11111111-1111-4111-8111-111111111111"),
        version="2026-01-01T00:00:00.000Z",
        digest=Digest("01" * 32),
    ),
    About(
        id=ObjectId("report--11111111-1111-4111-8111-111111111111"),
        version="2026-01-02T00:00:00.000Z",
        digest=Digest("02" * 32),
    ),
)
BODIES: dict[LetterKind, Body] = {
    LetterKind.RECALL: Recall(change=Change.CORRECT, reason="the region\nwas wrong", newer="2026-01-03T00:00:00.000Z"),
    LetterKind.RECALL_ACKNOWLEDGEMENT: RecallAcknowledgement(
        stage=Stage.DONE,
        results=(Result(outcome=Outcome.DELETED), Result(outcome=Outcome.KEPT, reason="held as evidence")),
    ),
    LetterKind.CONSENT_REQUEST: ConsentRequest(recipient=MERIDIA, purpose="exchange", reason="asked for", until=NOW),
    LetterKind.CONSENT_GRANT: ConsentGrant(
        recipient=MERIDIA, purpose="exchange", expires_at=NOW, actions="internally-visible-actions", conditions="Care."
    ),
    LetterKind.CONSENT_REFUSAL: ConsentRefusal(reason="not yet"),
    LetterKind.CONSENT_REVOCATION: ConsentRevocation(grant=TERMS, recall=True, reason="it was misused"),
    LetterKind.REQUEST: Request(question="When,\nand where?", urgency=Urgency.SOON),
    LetterKind.REPLY: Reply(outcome=ReplyOutcome.ANSWERED, text="In June."),
    LetterKind.REQUEST_WITHDRAWAL: RequestWithdrawal(request=TERMS),
}


def draft(body: Body, **fields: Any) -> Draft:  # noqa: ANN401
    about = () if isinstance(body, RequestWithdrawal) else ABOUT
    made = Draft(body=body, to=BOREALIA, agreement=AgreementId(TERMS), terms=TERMS, about=about)
    answers = ANSWERED if is_answer(find_kind(body)) else None
    return replace(made, answers=answers, **fields)


def send(body: Body, *, sender: PartyId = AURELIA, signers: tuple[Signer, ...] | None = None, **fields: Any) -> bytes:  # noqa: ANN401
    keys = tuple(SIGNERS[sender]) if signers is None else signers
    return make_letter(draft(body, **fields), sender=sender, at=NOW, nonce=bytes(range(16)), signers=keys)


def change(envelope: bytes, **fields: Json) -> bytes:
    """The letter with other members, signed again; None takes one out."""
    payload = json.loads(parse_signed_document(envelope).payload) | fields
    payload = {name: value for name, value in payload.items() if value is not None}
    return format_signed_document(sign_document(LETTER_TYPE, canonical_bytes(payload), SIGNERS[AURELIA]))


def verify(envelope: bytes, *, to: PartyId = BOREALIA, by: PartyId = AURELIA, now: Instant = NOW) -> Letter:
    return verify_letter(*parse_letter(envelope), MANIFESTS[by], to=to, now=now)


@pytest.mark.parametrize("kind", LetterKind)
def test_a_letter_says_what_was_said(kind: LetterKind) -> None:
    envelope = send(BODIES[kind])
    letter = verify(envelope)
    assert letter == Letter(
        digest=sha256_digest(parse_signed_document(envelope).payload),
        sender=AURELIA,
        to=BOREALIA,
        agreement=AgreementId(TERMS),
        terms=TERMS,
        at=NOW,
        about=() if kind is LetterKind.REQUEST_WITHDRAWAL else ABOUT,
        answers=ANSWERED if is_answer(kind) else None,
        body=BODIES[kind],
    )
    assert letter.kind is kind


def test_another_key_of_the_sender_does_not_make_another_letter() -> None:
    envelope = send(BODIES[LetterKind.RECALL])
    endorsed = endorse_message(envelope, [STRANGER])
    assert endorsed != envelope
    assert verify(endorsed) == verify(envelope)


def test_who_signed_and_for_whom() -> None:
    body = BODIES[LetterKind.RECALL]
    with pytest.raises(UnknownKey):
        verify(send(body, signers=tuple(SIGNERS[BOREALIA])))
    with pytest.raises(ThresholdNotMet):
        verify(send(body, signers=tuple(SIGNERS[AURELIA][:1])))
    with pytest.raises(VerificationError):
        verify(send(body), to=MERIDIA)
    with pytest.raises(VerificationError):
        verify(send(body), by=MERIDIA)
    with pytest.raises(VerificationError):
        verify(send(body, to=AURELIA), to=AURELIA)


def test_signed_as_something_else_it_is_no_letter() -> None:
    document = parse_signed_document(send(BODIES[LetterKind.RECALL]))
    other = sign_document("application/vnd.comity.event+json", document.payload, SIGNERS[AURELIA])
    with pytest.raises(MalformedMessage):
        parse_letter(format_signed_document(other))
    letter, _ = parse_letter(send(BODIES[LetterKind.RECALL]))
    with pytest.raises(BadSignature):
        verify_letter(letter, other, MANIFESTS[AURELIA], to=BOREALIA, now=NOW)


@pytest.mark.parametrize("kind", LetterKind)
def test_only_what_stops_something_is_believed_of_a_party_whose_manifest_has_run_out(kind: LetterKind) -> None:
    envelope = send(BODIES[kind])
    if is_stop(kind):
        assert verify(envelope, now=EXPIRES).kind is kind
    else:
        with pytest.raises(Expired):
            verify(envelope, now=EXPIRES)


@pytest.mark.parametrize(
    ("fields", "where"),
    [
        ({"kind": "rumour"}, "/kind"),
        ({"format": "comity-letter/2"}, "/format"),
        ({"nonce": "00"}, "/nonce"),
        ({"about": []}, "/about"),
        ({"about": [{"id": "report", "version": "1", "digest": TERMS}]}, "/about/0/id"),
        ({"about": [{"id": ABOUT[0].id, "version": "1" * 65, "digest": TERMS}]}, "/about/0/version"),
        ({"about": [{"id": ABOUT[0].id, "version": "1", "digest": TERMS, "more": 1}]}, "/about/0/more"),
        ({"answers": ANSWERED}, "/answers"),
        ({"more": 1}, "/more"),
        ({"body": {"change": "forget", "reason": "x"}}, "/body/change"),
        ({"body": {"change": "withdraw"}}, "/body/reason"),
        ({"body": {"change": "withdraw", "reason": "x", "newer": "2026"}}, "/body/newer"),
        ({"body": {"change": "correct", "reason": "x"}}, "/body/newer"),
        ({"body": {"change": "correct", "reason": "x", "newer": ABOUT[0].version}}, "/about"),
        ({"body": {"change": "withdraw", "reason": "x\u202ey"}}, "/body/reason"),
        ({"to": None}, "/to"),
    ],
)
def test_a_recall_of_another_form_is_refused(fields: dict[str, Json], where: str) -> None:
    with pytest.raises(MalformedMessage) as caught:
        parse_letter(change(send(BODIES[LetterKind.RECALL]), **fields))
    assert caught.value.where == where


@pytest.mark.parametrize(
    ("body", "where"),
    [
        ({"stage": "gone", "results": [{"outcome": "deleted"}] * 2}, "/body/stage"),
        ({"stage": "done", "results": [{"outcome": "deleted"}]}, "/body/results"),
        ({"stage": "done", "results": [{"outcome": "stopped"}] * 2}, "/body/results"),
        ({"stage": "done", "results": [{"outcome": "kept"}] * 2}, "/body/results/0/reason"),
        ({"stage": "done", "results": [{"outcome": "deleted", "reason": "x"}] * 2}, "/body/results/0/reason"),
        (
            {"stage": "done", "results": [{"outcome": "kept", "reason": "x" * (MAX_KEPT_REASON + 1)}] * 2},
            "/body/results/0/reason",
        ),
    ],
)
def test_an_acknowledgement_of_another_form_is_refused(body: dict[str, Json], where: str) -> None:
    with pytest.raises(MalformedMessage) as caught:
        parse_letter(change(send(BODIES[LetterKind.RECALL_ACKNOWLEDGEMENT]), body=body))
    assert caught.value.where == where


def test_an_answer_names_what_it_answers() -> None:
    with pytest.raises(MalformedMessage):
        parse_letter(change(send(BODIES[LetterKind.RECALL_ACKNOWLEDGEMENT]), answers=None))


def test_what_it_is_about_is_bounded_and_named_once() -> None:
    most = tuple(replace(ABOUT[0], version=f"2026-{number}") for number in range(MAX_ABOUT))
    body = Recall(change=Change.WITHDRAW, reason="all of it")
    assert verify(send(body, about=most)).about == most
    with pytest.raises(MalformedMessage):
        parse_letter(send(body, about=(*most, ABOUT[1])))
    with pytest.raises(MalformedMessage):
        parse_letter(send(body, about=(ABOUT[0], ABOUT[0])))


def test_a_correction_is_about_one_object() -> None:
    other = replace(ABOUT[1], id=ObjectId("report--22222222-2222-4222-8222-222222222222"))
    with pytest.raises(MalformedMessage):
        parse_letter(send(BODIES[LetterKind.RECALL], about=(ABOUT[0], other)))


def test_the_longest_acknowledgement_can_be_signed() -> None:
    """What a node may have to say of the most that a letter is about fits into a signed document."""
    most = tuple(replace(ABOUT[0], version=f"2026-{number}") for number in range(MAX_ABOUT))
    kept = Result(outcome=Outcome.KEPT, reason="\U0001f600" * MAX_KEPT_REASON)
    said = RecallAcknowledgement(stage=Stage.DONE, results=(kept,) * MAX_ABOUT)
    assert verify(send(said, about=most)).body == said


def test_the_stages_are_in_order() -> None:
    assert [stage.rank for stage in (Stage.STOPPED, Stage.SETTLED, Stage.DONE)] == [0, 1, 2]
