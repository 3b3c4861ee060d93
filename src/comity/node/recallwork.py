# SPDX-License-Identifier: Apache-2.0
"""Shell: recalls as work for people: not acknowledged by partners, to be decided on here, and refused.

Who was told and has not acknowledged stands here from the first moment on, and until it has. Who has stopped giving it
and has not settled it stands here once the date that the terms set has passed.
"""

from collections.abc import Iterator, Mapping

from comity.agreement.terms import Terms
from comity.agreement.work import WorkItem, WorkKind
from comity.ids import Digest, Instant
from comity.letters.bodies import LetterKind
from comity.letters.recall import Stage
from comity.node.recalled import find_deadline
from comity.store import Transaction, letters, recalls, retractions
from comity.store.letters import Filed, LetterState
from comity.store.retractions import Retraction

__all__ = ["list_recall_work"]

_DECIDE = "keep it, with a reason, or delete it: recall keep, retention delete; what nobody keeps is deleted"
_REFUSED_SHOWN = 30 * 86_400 * 1_000_000


def list_recall_work(transaction: Transaction, texts: Mapping[Digest, Terms], *, now: Instant) -> Iterator[WorkItem]:
    """What waits of all recalls."""
    waiting = {LetterState.OPEN, LetterState.ANSWERED}
    for stored in letters.list_filed(transaction, LetterKind.RECALL, sent=True, states=waiting):
        if stored.progress is None or (stored.due_at is not None and stored.due_at <= now):
            yield _make_sent(stored, texts)
    undecided = recalls.find_undecided(transaction)
    for stored in letters.list_filed(transaction, LetterKind.RECALL, sent=False, states={LetterState.OPEN}):
        if stored.digest in undecided:
            yield _make(
                stored,
                texts,
                WorkKind.RECALL_TO_DECIDE,
                act=_DECIDE,
                why=f"{stored.party} has recalled {_name(stored)}",
                due=find_deadline(stored),
            )
    for item in retractions.list_waiting(transaction):
        yield _make_retracted(item, texts)
    refused, since = {LetterState.REFUSED}, Instant(now - _REFUSED_SHOWN)
    for stored in letters.list_filed(transaction, LetterKind.RECALL, sent=False, states=refused, since=since):
        yield _make(
            stored,
            texts,
            WorkKind.RECALL_REFUSED,
            act=f"ask {stored.party} why: it was answered as if nothing of it were held, and nothing follows",
            why=f"{stored.party} has recalled {_name(stored)}, which it did not give under this agreement",
            due=None,
        )


def _make_sent(stored: Filed, texts: Mapping[Digest, Terms]) -> WorkItem:
    if stored.progress is None:
        why = f"{stored.party} has not acknowledged the recall of {_name(stored)}"
    elif stored.progress == Stage.STOPPED:
        why = f"{stored.party} has stopped giving {_name(stored)}, and has not said what became of it"
    else:
        why = f"{stored.party} has settled {_name(stored)}, and not everybody to whom it had passed it on has"
    act = f"see that its node answers, or ask {stored.party}: recall show {stored.digest[:12]}"
    return _make(stored, texts, WorkKind.RECALL_UNACKNOWLEDGED, act=act, why=why, due=stored.due_at)


def _make_retracted(item: Retraction, texts: Mapping[Digest, Terms]) -> WorkItem:
    terms = texts.get(item.terms)
    return WorkItem(
        kind=WorkKind.RECALL_TO_DECIDE,
        act=_DECIDE,
        why=f"{item.giver} has taken back {item.object}, which it had written here",
        since=item.at,
        due=item.due_at,
        agreement=item.agreement,
        title=None if terms is None else terms.title,
        party=item.giver,
        object=item.object,
        letter=item.name,
        count=len(item.versions),
    )


def _make(
    stored: Filed,
    texts: Mapping[Digest, Terms],
    kind: WorkKind,
    *,
    act: str,
    why: str,
    due: Instant | None,
) -> WorkItem:
    terms = texts.get(stored.terms)
    return WorkItem(
        kind=kind,
        act=act,
        why=why,
        since=stored.recorded_at,
        due=due,
        agreement=stored.agreement,
        title=None if terms is None else terms.title,
        party=stored.party,
        object=stored.first if stored.versions == 1 else None,
        letter=stored.digest,
        count=stored.versions,
    )


def _name(stored: Filed) -> str:
    """The first object that the letter is about, and how many others."""
    return stored.first if stored.objects == 1 else f"{stored.first} and {stored.objects - 1} more"
