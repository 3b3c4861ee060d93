# SPDX-License-Identifier: Apache-2.0
"""What a request and a reply may say."""

from typing import Any

import pytest

from comity.agreement.reader import Reader
from comity.errors import MalformedMessage
from comity.ids import Digest
from comity.letters.bodies import LetterKind, describe_body, is_stop, read_body
from comity.letters.request import Reply, ReplyOutcome, Request, RequestWithdrawal, Urgency

HOUR = 3_600_000_000


def read(kind: LetterKind, value: dict[str, Any], *, count: int = 0) -> object:
    fields = Reader(value, "", MalformedMessage).open()
    body = read_body(kind, fields, count=count)
    fields.close()
    return body


@pytest.mark.parametrize(
    ("kind", "body", "count"),
    [
        (LetterKind.REQUEST, Request(question="When?\n\tWhere?", urgency=Urgency.SOON), 0),
        (LetterKind.REPLY, Reply(outcome=ReplyOutcome.ANSWERED, text="In June."), 0),
        (LetterKind.REPLY, Reply(outcome=ReplyOutcome.ANSWERED), 2),
        (LetterKind.REPLY, Reply(outcome=ReplyOutcome.DECLINED, text="No."), 0),
        (LetterKind.REQUEST_WITHDRAWAL, RequestWithdrawal(request=Digest("0" * 64)), 0),
    ],
)
def test_what_is_written_is_read(kind: LetterKind, body: Request | Reply | RequestWithdrawal, count: int) -> None:
    assert read(kind, describe_body(body), count=count) == body
    assert not is_stop(kind)


@pytest.mark.parametrize(
    ("kind", "value", "count"),
    [
        (LetterKind.REQUEST, {"urgency": "soon"}, 1),
        (LetterKind.REQUEST, {"urgency": "soon", "question": "  \n"}, 1),
        (LetterKind.REQUEST, {"urgency": "now", "question": "?"}, 1),
        (LetterKind.REQUEST, {"urgency": "soon", "question": "x" * 4_001}, 1),
        (LetterKind.REQUEST, {"urgency": "soon", "question": "a\u202eb"}, 1),
        (LetterKind.REQUEST, {"urgency": "soon", "question": "?", "more": 1}, 1),
        (LetterKind.REPLY, {"outcome": "answered"}, 0),
        (LetterKind.REPLY, {"outcome": "answered", "text": " "}, 1),
        (LetterKind.REPLY, {"outcome": "declined"}, 0),
        (LetterKind.REPLY, {"outcome": "declined", "text": "No."}, 1),
        (LetterKind.REPLY, {"outcome": "perhaps", "text": "No."}, 0),
        (LetterKind.REQUEST_WITHDRAWAL, {}, 0),
        (LetterKind.REQUEST_WITHDRAWAL, {"request": "3f2a"}, 0),
        (LetterKind.REQUEST_WITHDRAWAL, {"request": "0" * 64, "reason": "No."}, 0),
        (LetterKind.REQUEST_WITHDRAWAL, {"request": "0" * 64}, 1),
    ],
)
def test_what_says_too_little_or_too_much_is_refused(kind: LetterKind, value: dict[str, Any], count: int) -> None:
    with pytest.raises(MalformedMessage):
        read(kind, value, count=count)


def test_the_urgencies_are_eight_hours_three_days_and_seven() -> None:
    assert [urgency.time for urgency in Urgency] == [8 * HOUR, 72 * HOUR, 168 * HOUR]
