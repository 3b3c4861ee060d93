# SPDX-License-Identifier: Apache-2.0
"""Shell: requests for information as work for people: to answer until a time, and unanswered by partners since one.

What was asked under an agreement that is over for good can be answered no more, and waits for nobody.
"""

from collections.abc import Iterator, Sequence

from comity.agreement.transitions import State
from comity.agreement.work import WorkItem, WorkKind
from comity.ids import Instant, format_instant
from comity.letters.bodies import LetterKind
from comity.node.standing import Dossier
from comity.store import Transaction, letters
from comity.store.letters import LetterState, StoredLetter

__all__ = ["list_request_work"]

_OVER = frozenset({State.TERMINATED, State.EXPIRED})


def list_request_work(transaction: Transaction, dossiers: Sequence[Dossier], *, now: Instant) -> Iterator[WorkItem]:
    """What waits of all requests."""
    known = {dossier.id: dossier for dossier in dossiers}
    for sent in (False, True):
        for stored in letters.list_letters(transaction, LetterKind.REQUEST, sent=sent, states={LetterState.OPEN}):
            dossier = known.get(stored.letter.agreement)
            standing = None if dossier is None else dossier.standing(now=now)
            if standing is None or standing.state in _OVER:
                continue
            title = (standing.current or standing.latest).title
            overdue = stored.due_at is not None and stored.due_at <= now
            if not sent:
                yield _make_received(stored, title=title)
            elif overdue:
                yield _make_sent(stored, title=title)


def _make_received(stored: StoredLetter, *, title: str) -> WorkItem:
    until = "" if stored.due_at is None else f" until {format_instant(stored.due_at)}"
    return WorkItem(
        kind=WorkKind.REQUEST_TO_ANSWER,
        act=f"answer it, or decline with a reason: request show {stored.letter.digest[:12]}",
        why=f"request of {stored.party} to answer{until}",
        since=stored.recorded_at,
        due=stored.due_at,
        agreement=stored.letter.agreement,
        title=title,
        party=stored.party,
        letter=stored.letter.digest,
    )


def _make_sent(stored: StoredLetter, *, title: str) -> WorkItem:
    return WorkItem(
        kind=WorkKind.REQUEST_UNANSWERED,
        act=f"ask {stored.party}, or leave it: request show {stored.letter.digest[:12]}",
        why=f"{stored.party} has not answered a request, unanswered since {format_instant(stored.recorded_at)}",
        since=stored.recorded_at,
        due=stored.due_at,
        agreement=stored.letter.agreement,
        title=title,
        party=stored.party,
        letter=stored.letter.digest,
    )
