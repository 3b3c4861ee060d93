# SPDX-License-Identifier: Apache-2.0
"""Any bytes are a letter or malformed; what is written is what is read; and only its sender can have said it."""

from contextlib import suppress
from dataclasses import replace
from functools import partial
from unicodedata import normalize

from hypothesis import given, settings
from hypothesis import strategies as st

from comity.errors import MalformedMessage, VerificationError
from comity.ids import AgreementId, Digest, Instant, ObjectId
from comity.letters.bodies import Body, is_answer
from comity.letters.consent import ConsentGrant, ConsentRefusal, ConsentRequest, ConsentRevocation, Sanitised
from comity.letters.letter import LETTER_TYPE, About, Draft, make_letter, parse_letter, verify_letter
from comity.letters.recall import Change, Outcome, Recall, RecallAcknowledgement, Result, Stage
from comity.letters.request import Reply, ReplyOutcome, Request, RequestWithdrawal, Urgency
from comity.signing import format_signed_document, parse_signed_document, sign_document
from comity.vocabulary import ACTIONS_ORDER
from tests.parties import AURELIA, BOREALIA, MANIFESTS, MERIDIA, SIGNERS
from tests.properties.test_parsers_agreement import altered, damaged
from tests.signers import NOW

DIGESTS = st.binary(min_size=32, max_size=32).map(lambda data: Digest(data.hex()))
VERSIONS = st.integers(0, 99).map(lambda number: f"2026-01-01T00:00:{number:02}.000Z")
LINES = st.text(
    st.characters(categories=("L", "N", "P", "Zs"), exclude_characters="\u3000\u2000"), min_size=1, max_size=80
).map(partial(normalize, "NFC"))
"""As `node.people.normalise_text` leaves what people say: what is signed is in that form."""

SAID = st.none() | LINES
TIMES = st.none() | st.integers(0, 2**50).map(Instant)
ABOUT = st.builds(
    About, id=st.uuids(version=4).map(lambda name: ObjectId(f"report--{name}")), version=VERSIONS, digest=DIGESTS
)
ENVELOPE = make_letter(
    Draft(
        body=Recall(change=Change.WITHDRAW, reason="wrong"),
        to=BOREALIA,
        agreement=AgreementId("ab" * 32),
        terms=Digest("ab" * 32),
        about=(
            About(id=ObjectId("report--11111111-1111-4111-8111-111111111111"), version="1", digest=Digest("01" * 32)),
        ),
    ),
    sender=AURELIA,
    at=NOW,
    nonce=bytes(16),
    signers=SIGNERS[AURELIA],
)


def _draw_request(draw: st.DrawFn, about: tuple[About, ...]) -> tuple[tuple[About, ...], Body]:
    """Something that is said of a question, and what it is about."""
    match draw(st.sampled_from(["ask", "take back", "answer", "decline"])):
        case "ask":
            question = Request(question=draw(LINES), urgency=draw(st.sampled_from(Urgency)))
            return about[: draw(st.integers(0, len(about)))], question
        case "take back":
            return (), RequestWithdrawal(request=draw(DIGESTS))
        case "answer":
            return about, Reply(outcome=ReplyOutcome.ANSWERED, text=draw(SAID))
        case _:
            return (), Reply(outcome=ReplyOutcome.DECLINED, text=draw(LINES))


@st.composite
def drafts(draw: st.DrawFn) -> Draft:
    about = tuple(draw(st.lists(ABOUT, min_size=1, max_size=4, unique=True)))
    body: Body
    match draw(
        st.sampled_from(
            ["withdraw", "correct", "acknowledge", "ask", "grant", "instead", "refuse", "revoke", "request"]
        )
    ):
        case "withdraw":
            body = Recall(change=Change.WITHDRAW, reason=draw(LINES))
        case "correct":
            about = tuple(dict.fromkeys(replace(item, id=about[0].id) for item in about))
            body = Recall(change=Change.CORRECT, reason=draw(LINES), newer="2027-01-01T00:00:00Z")
        case "ask":
            body = ConsentRequest(recipient=MERIDIA, purpose="exchange", reason=draw(LINES), until=draw(TIMES))
        case "grant":
            actions = draw(st.sampled_from(ACTIONS_ORDER))
            body = ConsentGrant(
                recipient=MERIDIA, purpose="warning", expires_at=Instant(1), actions=actions, conditions=draw(SAID)
            )
        case "instead":
            sanitised = Sanitised(id=about[0].id, version=draw(VERSIONS))
            body = ConsentGrant(recipient=MERIDIA, purpose="warning", sanitised=sanitised)
        case "refuse":
            body = ConsentRefusal(reason=draw(SAID))
        case "request":
            about, body = _draw_request(draw, about)
        case "revoke":
            body = ConsentRevocation(grant=draw(DIGESTS), recall=draw(st.booleans()), reason=draw(SAID))
        case _:
            ends = [Result(outcome=item) for item in Outcome if item not in {Outcome.KEPT, Outcome.STOPPED}]
            kept = LINES.map(lambda reason: Result(outcome=Outcome.KEPT, reason=reason))
            results = st.lists(st.sampled_from(ends) | kept, min_size=len(about), max_size=len(about))
            body = RecallAcknowledgement(stage=draw(st.sampled_from(Stage)), results=tuple(draw(results)))
    return Draft(
        body=body,
        to=BOREALIA,
        agreement=AgreementId(draw(DIGESTS)),
        terms=draw(DIGESTS),
        about=about,
        answers=None if isinstance(body, Recall | ConsentRequest | Request | RequestWithdrawal) else draw(DIGESTS),
    )


@settings(max_examples=200)
@given(drafts(), st.integers(0, 2**50), st.binary(min_size=16, max_size=16))
def test_what_is_written_is_what_is_read(draft: Draft, at: int, nonce: bytes) -> None:
    envelope = make_letter(draft, sender=AURELIA, at=Instant(at), nonce=nonce, signers=SIGNERS[AURELIA])
    letter = verify_letter(*parse_letter(envelope), MANIFESTS[AURELIA], to=BOREALIA, now=NOW)
    said = (letter.body, letter.to, letter.agreement, letter.terms, letter.about, letter.answers, letter.at)
    assert said == (draft.body, draft.to, draft.agreement, draft.terms, draft.about, draft.answers, at)
    assert is_answer(letter.kind) == (letter.answers is not None)


@settings(max_examples=300)
@given(altered(parse_signed_document(ENVELOPE).payload))
def test_a_payload_that_its_sender_altered_and_signed_is_a_letter_or_malformed(payload: bytes) -> None:
    envelope = format_signed_document(sign_document(LETTER_TYPE, payload, SIGNERS[AURELIA]))
    with suppress(MalformedMessage, VerificationError):
        letter = verify_letter(*parse_letter(envelope), MANIFESTS[AURELIA], to=BOREALIA, now=NOW)
        assert letter.sender == AURELIA
        assert letter.about


@settings(max_examples=300)
@given(st.binary(max_size=200) | damaged(ENVELOPE))
def test_any_bytes_are_a_letter_or_malformed_and_a_damaged_one_says_nothing_else(data: bytes) -> None:
    try:
        letter = verify_letter(*parse_letter(data), MANIFESTS[AURELIA], to=BOREALIA, now=NOW)
    except (MalformedMessage, VerificationError):
        return
    assert letter == parse_letter(ENVELOPE)[0]
