# SPDX-License-Identifier: Apache-2.0
"""Pure: what a request for information says, what answers it, and what takes it back.

    {"question":"Was it seen after May?","urgency":"soon"}
    {"outcome":"answered","text":"Twice, in June."}
    {"outcome":"declined","text":"The source does not allow it."}
    {"request":"3f2a…"}

A request is about the versions of objects that its letter names, or about none. An answer names the versions that its
sender has given the asker as the answer, or says something, or both; one that declines says why, and names none. Who
asked takes the request back by naming it, and says nothing beside: so it gives nobody anything.

Not here: who may ask and answer (`node.requests`).
"""

from dataclasses import dataclass
from enum import StrEnum

from comity.agreement.reader import Reader
from comity.canonical import Json
from comity.ids import Digest

__all__ = [
    "Reply",
    "ReplyOutcome",
    "Request",
    "RequestWithdrawal",
    "Urgency",
    "describe_question",
    "describe_reply",
    "describe_withdrawal",
    "read_question",
    "read_reply",
    "read_withdrawal",
]

_MICROSECONDS_OF_AN_HOUR = 3_600_000_000


class Urgency(StrEnum):
    """How soon an answer is wanted: within 8 hours, 3 days, or 7 days."""

    IMMEDIATE = "immediate"
    SOON = "soon"
    ROUTINE = "routine"

    @property
    def time(self) -> int:
        """Microseconds from when the request is on record."""
        hours = {Urgency.IMMEDIATE: 8, Urgency.SOON: 3 * 24, Urgency.ROUTINE: 7 * 24}
        return hours[self] * _MICROSECONDS_OF_AN_HOUR


class ReplyOutcome(StrEnum):
    """Whether a request was answered."""

    ANSWERED = "answered"
    DECLINED = "declined"


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What is asked, and how soon an answer is wanted."""

    question: str
    urgency: Urgency


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What is answered; `text` of one that declines is the reason, and is there always."""

    outcome: ReplyOutcome
    text: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestWithdrawal:
    """Which request its sender takes back: the name of the letter."""

    request: Digest


def read_question(fields: Reader) -> Request:
    """The request that the fields of a body say.

    Raises:
        MalformedError: a field is missing or wrong.
    """
    question = fields.maybe_prose("question")
    if question is None or not question.strip():
        raise fields.refuse("question", "is missing")
    return Request(question=question, urgency=Urgency(fields.word("urgency", [*Urgency])))


def describe_question(body: Request) -> dict[str, Json]:
    """The body as it is written."""
    return {"question": body.question, "urgency": body.urgency.value}


def read_reply(fields: Reader, *, count: int) -> Reply:
    """The answer that the fields of a body say, in a letter about `count` versions of objects.

    Raises:
        MalformedError: a field is missing or wrong.
    """
    outcome = ReplyOutcome(fields.word("outcome", [*ReplyOutcome]))
    text = fields.maybe_prose("text")
    if text is not None and not text.strip():
        raise fields.refuse("text", "says nothing")
    match outcome:
        case ReplyOutcome.ANSWERED:
            if text is None and count == 0:
                raise fields.refuse("text", "is missing: an answer says something or names an object")
        case ReplyOutcome.DECLINED:
            if text is None or count > 0:
                raise fields.refuse("text", "says why, of an answer that declines, which names no object")
    return Reply(outcome=outcome, text=text)


def describe_reply(body: Reply) -> dict[str, Json]:
    """The body as it is written."""
    text: dict[str, Json] = {} if body.text is None else {"text": body.text}
    return {"outcome": body.outcome.value, **text}


def read_withdrawal(fields: Reader, *, count: int) -> RequestWithdrawal:
    """The withdrawal that the fields of a body say, in a letter about `count` versions of objects.

    Raises:
        MalformedError: a field is missing or wrong.
    """
    if count:
        raise fields.refuse("request", "names what is taken back; the letter is about no object")
    return RequestWithdrawal(request=fields.digest("request"))


def describe_withdrawal(body: RequestWithdrawal) -> dict[str, Json]:
    """The body as it is written."""
    return {"request": body.request}
