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

__all__ = ["Body", "LetterKind", "describe_body", "find_kind", "find_response", "is_answer", "is_stop", "read_body"]


class LetterKind(StrEnum):
    """What a letter is."""

    RECALL = "recall"
    RECALL_ACKNOWLEDGEMENT = "recall-acknowledgement"
    CONSENT_REQUEST = "consent-request"
    CONSENT_GRANT = "consent-grant"
    CONSENT_REFUSAL = "consent-refusal"
    CONSENT_REVOCATION = "consent-revocation"


Body = Recall | RecallAcknowledgement | ConsentRequest | ConsentGrant | ConsentRefusal | ConsentRevocation
"""What a letter says, by its kind."""


def read_body(kind: LetterKind, fields: Reader, *, count: int) -> Body:
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
        case _:
            assert_never(kind)


def describe_body(body: Body) -> dict[str, Json]:
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
        case _:
            assert_never(body)


def find_kind(body: Body) -> LetterKind:
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
        case _:
            assert_never(body)


def is_answer(kind: LetterKind) -> bool:
    """Whether a letter of that kind names the letter that it answers; the others name none."""
    match kind:
        case LetterKind.RECALL | LetterKind.CONSENT_REQUEST:
            return False
        case (
            LetterKind.RECALL_ACKNOWLEDGEMENT
            | LetterKind.CONSENT_GRANT
            | LetterKind.CONSENT_REFUSAL
            | LetterKind.CONSENT_REVOCATION
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
        case (
            LetterKind.RECALL_ACKNOWLEDGEMENT
            | LetterKind.CONSENT_GRANT
            | LetterKind.CONSENT_REFUSAL
            | LetterKind.CONSENT_REVOCATION
        ):
            return None
        case _:
            assert_never(kind)
