# SPDX-License-Identifier: Apache-2.0
"""Pure: the kinds of letters, and for each kind what its body says, whether it is an answer, and who reads it.

The one table of kinds: a kind is a word of `LetterKind`, a class among `Body`, and a row in each `match` here. What a
node does with a kind stands in one place too (`node.letterbox`).
"""

from enum import StrEnum
from typing import assert_never

from comity.agreement.reader import Reader
from comity.canonical import Json
from comity.letters.consent import (
    ConsentGrant,
    ConsentRefusal,
    ConsentRequest,
    ConsentRevocation,
    describe_grant,
    describe_refusal,
    describe_request,
    describe_revocation,
    read_grant,
    read_refusal,
    read_request,
    read_revocation,
)
from comity.letters.recall import (
    Recall,
    RecallAcknowledgement,
    describe_acknowledgement,
    describe_recall,
    read_acknowledgement,
    read_recall,
)
from comity.letters.request import (
    Reply,
    Request,
    RequestWithdrawal,
    describe_question,
    describe_reply,
    describe_withdrawal,
    read_question,
    read_reply,
    read_withdrawal,
)

__all__ = [
    "Body",
    "LetterKind",
    "describe_body",
    "find_kind",
    "find_response",
    "find_wanted_time",
    "is_answer",
    "is_stop",
    "needs_objects",
    "read_body",
]


class LetterKind(StrEnum):
    """What a letter is."""

    RECALL = "recall"
    RECALL_ACKNOWLEDGEMENT = "recall-acknowledgement"
    CONSENT_REQUEST = "consent-request"
    CONSENT_GRANT = "consent-grant"
    CONSENT_REFUSAL = "consent-refusal"
    CONSENT_REVOCATION = "consent-revocation"
    REQUEST = "request"
    REPLY = "reply"
    REQUEST_WITHDRAWAL = "request-withdrawal"


Consent = ConsentRequest | ConsentGrant | ConsentRefusal | ConsentRevocation

Body = Recall | RecallAcknowledgement | Consent | Request | Reply | RequestWithdrawal
"""What a letter says, by its kind."""


def read_body(kind: LetterKind, fields: Reader, *, count: int) -> Body:  # noqa: PLR0911 (one for each kind)
    """The body of a letter of `kind` that is about `count` versions of objects.

    Raises:
        MalformedError: a field is missing or wrong.
    """
    match kind:
        case LetterKind.RECALL:
            return read_recall(fields)
        case LetterKind.RECALL_ACKNOWLEDGEMENT:
            return read_acknowledgement(fields, count=count)
        case LetterKind.CONSENT_REQUEST:
            return read_request(fields)
        case LetterKind.CONSENT_GRANT:
            return read_grant(fields)
        case LetterKind.CONSENT_REFUSAL:
            return read_refusal(fields)
        case LetterKind.CONSENT_REVOCATION:
            return read_revocation(fields)
        case LetterKind.REQUEST:
            return read_question(fields)
        case LetterKind.REPLY:
            return read_reply(fields, count=count)
        case LetterKind.REQUEST_WITHDRAWAL:
            return read_withdrawal(fields, count=count)
        case _:
            assert_never(kind)


def describe_body(body: Body) -> dict[str, Json]:  # noqa: PLR0911 (one for each kind)
    """The body as it is written."""
    match body:
        case Recall():
            return describe_recall(body)
        case RecallAcknowledgement():
            return describe_acknowledgement(body)
        case ConsentRequest():
            return describe_request(body)
        case ConsentGrant():
            return describe_grant(body)
        case ConsentRefusal():
            return describe_refusal(body)
        case ConsentRevocation():
            return describe_revocation(body)
        case Request():
            return describe_question(body)
        case Reply():
            return describe_reply(body)
        case RequestWithdrawal():
            return describe_withdrawal(body)
        case _:
            assert_never(body)


def find_kind(body: Body) -> LetterKind:  # noqa: PLR0911 (one for each kind)
    """The kind of a letter with that body."""
    match body:
        case Recall():
            return LetterKind.RECALL
        case RecallAcknowledgement():
            return LetterKind.RECALL_ACKNOWLEDGEMENT
        case ConsentRequest():
            return LetterKind.CONSENT_REQUEST
        case ConsentGrant():
            return LetterKind.CONSENT_GRANT
        case ConsentRefusal():
            return LetterKind.CONSENT_REFUSAL
        case ConsentRevocation():
            return LetterKind.CONSENT_REVOCATION
        case Request():
            return LetterKind.REQUEST
        case Reply():
            return LetterKind.REPLY
        case RequestWithdrawal():
            return LetterKind.REQUEST_WITHDRAWAL
        case _:
            assert_never(body)


def is_answer(kind: LetterKind) -> bool:
    """Whether a letter of that kind names the letter that it answers; the others name none."""
    match kind:
        case LetterKind.RECALL | LetterKind.CONSENT_REQUEST | LetterKind.REQUEST | LetterKind.REQUEST_WITHDRAWAL:
            return False
        case (
            LetterKind.RECALL_ACKNOWLEDGEMENT
            | LetterKind.CONSENT_GRANT
            | LetterKind.CONSENT_REFUSAL
            | LetterKind.CONSENT_REVOCATION
            | LetterKind.REPLY
        ):
            return True
        case _:
            assert_never(kind)


def is_stop(kind: LetterKind) -> bool:
    """Whether a letter of that kind stops something: then it is believed also of a party whose manifest has run out."""
    match kind:
        case LetterKind.RECALL | LetterKind.CONSENT_REVOCATION:
            return True
        case (
            LetterKind.RECALL_ACKNOWLEDGEMENT
            | LetterKind.CONSENT_REQUEST
            | LetterKind.CONSENT_GRANT
            | LetterKind.CONSENT_REFUSAL
            | LetterKind.REQUEST
            | LetterKind.REPLY
            | LetterKind.REQUEST_WITHDRAWAL
        ):
            return False
        case _:
            assert_never(kind)


def find_response(kind: LetterKind) -> str | None:
    """The word by which terms say how soon a letter of that kind is to be answered (`vocabulary.RESPONSES`), if any."""
    match kind:
        case LetterKind.RECALL:
            return "recall"
        case LetterKind.CONSENT_REQUEST:
            return "consent"
        case LetterKind.REQUEST:
            return "request"
        case (
            LetterKind.RECALL_ACKNOWLEDGEMENT
            | LetterKind.CONSENT_GRANT
            | LetterKind.CONSENT_REFUSAL
            | LetterKind.CONSENT_REVOCATION
            | LetterKind.REPLY
            | LetterKind.REQUEST_WITHDRAWAL
        ):
            return None
        case _:
            assert_never(kind)


def needs_objects(kind: LetterKind) -> bool:
    """Whether a letter of that kind is about one version of an object at least."""
    match kind:
        case LetterKind.REQUEST | LetterKind.REPLY | LetterKind.REQUEST_WITHDRAWAL:
            return False
        case (
            LetterKind.RECALL
            | LetterKind.RECALL_ACKNOWLEDGEMENT
            | LetterKind.CONSENT_REQUEST
            | LetterKind.CONSENT_GRANT
            | LetterKind.CONSENT_REFUSAL
            | LetterKind.CONSENT_REVOCATION
        ):
            return True
        case _:
            assert_never(kind)


def find_wanted_time(body: Body) -> int | None:
    """How soon the sender wants an answer, in microseconds from when the letter is on record, if it says so."""
    match body:
        case Request():
            return body.urgency.time
        case (
            Recall()
            | RecallAcknowledgement()
            | ConsentRequest()
            | ConsentGrant()
            | ConsentRefusal()
            | ConsentRevocation()
            | Reply()
            | RequestWithdrawal()
        ):
            return None
        case _:
            assert_never(body)
