# SPDX-License-Identifier: Apache-2.0
"""Shell: requests of partners for information, their answers to those of this party, and what they take back.

They are on record whether the agreement is in force or not: it may have been when they were sent. Nothing is answered
under one that is not (`node.requests`).
"""

from comity.errors import ConflictError, NotFoundError
from comity.letters.bodies import LetterKind
from comity.letters.letter import Letter
from comity.letters.request import Reply, RequestWithdrawal
from comity.node.node import Act
from comity.store import letters
from comity.store.letters import LetterState, StoredLetter

__all__ = ["MAX_OPEN_REQUESTS", "WITHDRAWN", "is_withdrawable", "take_reply", "take_request", "take_withdrawal"]

WITHDRAWN = "withdrawn"
"""How a request stands that was taken back, in the place of an outcome."""

MAX_OPEN_REQUESTS = 100
"""Of one partner: what it asks beyond that is taken once some of them are answered."""


def take_request(act: Act, letter: Letter) -> None:
    """A request, on record already: it waits for people.

    Raises:
        ConflictError: so many of its sender wait that no more are taken.
    """
    if letters.count_open(act.transaction, letter.sender, LetterKind.REQUEST) > MAX_OPEN_REQUESTS:
        raise ConflictError(f"{MAX_OPEN_REQUESTS} requests of {letter.sender} wait for an answer already")


def take_reply(act: Act, letter: Letter, body: Reply) -> None:
    """An answer, on record already; the first that comes is the one that counts.

    That the request was sent to its sender under this agreement was asked before (`node.letterbox`).

    Raises:
        NotFoundError: what it answers is no request.
    """
    request = None if letter.answers is None else letters.read_letter(act.transaction, letter.answers)
    if request is None or request.letter.kind is not LetterKind.REQUEST:
        raise NotFoundError("it answers what is no request for information")
    close = LetterState.CLOSED
    letters.settle_letter(act.transaction, letter.digest, close, progress=body.outcome, answered_by=None)
    if request.state is LetterState.OPEN:
        letters.settle_letter(
            act.transaction, request.letter.digest, close, progress=body.outcome, answered_by=letter.digest
        )


def take_withdrawal(act: Act, letter: Letter, body: RequestWithdrawal) -> None:
    """What takes a request back, on record already: nobody has to answer it. One that was answered stays so.

    Raises:
        NotFoundError: its sender asked nothing by that name under this agreement, or the request has not come yet.
    """
    request = _find_taken_back(act, letter, body)
    if request is None:
        raise NotFoundError("it takes back what its sender has not asked under this agreement")
    letters.settle_letter(act.transaction, letter.digest, LetterState.CLOSED, progress=None, answered_by=None)
    if request.state is LetterState.OPEN:
        letters.settle_letter(
            act.transaction, body.request, LetterState.CLOSED, progress=WITHDRAWN, answered_by=letter.digest
        )


def is_withdrawable(act: Act, letter: Letter, body: RequestWithdrawal) -> bool:
    """Whether the letter takes back something that waits here: then it makes less work, and is not one too many."""
    request = _find_taken_back(act, letter, body)
    return request is not None and request.state is LetterState.OPEN


def _find_taken_back(act: Act, letter: Letter, body: RequestWithdrawal) -> StoredLetter | None:
    request = letters.read_letter(act.transaction, body.request)
    if request is None or request.sent or request.letter.kind is not LetterKind.REQUEST:
        return None
    asked = request.letter.sender, request.letter.agreement
    return request if asked == (letter.sender, letter.agreement) else None
