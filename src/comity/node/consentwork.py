# SPDX-License-Identifier: Apache-2.0
"""Shell: consent as work for people: requests to decide, requests nobody has answered in time, grants that end soon."""

from collections.abc import Iterator, Mapping

from comity.agreement.retention import NOTICE
from comity.agreement.terms import Terms
from comity.agreement.work import WorkItem, WorkKind, start_notice
from comity.ids import Digest, Instant
from comity.letters.bodies import LetterKind
from comity.letters.consent import ConsentRequest
from comity.store import Transaction, consents, letters
from comity.store.consents import StoredGrant
from comity.store.letters import LetterState, StoredLetter

__all__ = ["list_consent_work"]

_HOUR = 3_600_000_000
_REFUSED_SHOWN = 30 * 24 * _HOUR


def list_consent_work(transaction: Transaction, texts: Mapping[Digest, Terms], *, now: Instant) -> Iterator[WorkItem]:
    """What waits of all requests and grants."""
    kind, waiting = LetterKind.CONSENT_REQUEST, {LetterState.OPEN}
    for stored in letters.list_letters(transaction, kind, sent=False, states=waiting):
        yield _make(
            stored,
            texts,
            WorkKind.CONSENT_TO_DECIDE,
            act=f"grant it, refuse it or leave it: consent show {stored.letter.digest[:12]}",
            why=f"{stored.party} asks to pass {_name(stored)} on to {_find_recipient(stored)}",
            due=stored.due_at,
        )
    for stored in letters.list_letters(transaction, kind, sent=False, states={LetterState.REFUSED}):
        if stored.recorded_at > now - _REFUSED_SHOWN:
            yield _make(
                stored,
                texts,
                WorkKind.CONSENT_REFUSED,
                act=f"ask {stored.party} what it means: nothing follows, and it was not answered",
                why=f"{stored.party} asks to pass {_name(stored)} on, which the terms cannot let anybody grant",
                due=None,
            )
    for stored in letters.list_letters(transaction, kind, sent=True, states=waiting):
        if stored.due_at is not None and stored.due_at <= now:
            yield _make(
                stored,
                texts,
                WorkKind.CONSENT_UNANSWERED,
                act=f"ask {stored.party}, or leave it: consent show {stored.letter.digest[:12]}",
                why=f"{stored.party} has not answered whether {_name(stored)} may go to {_find_recipient(stored)}",
                due=stored.due_at,
            )
    soon = Instant(now + NOTICE.hours * _HOUR)
    for grant in consents.list_ending(transaction, now=now, before=soon):
        yield _make_ending(transaction, grant, texts)


def _make_ending(transaction: Transaction, grant: StoredGrant, texts: Mapping[Digest, Terms]) -> WorkItem:
    kept = letters.read_letter(transaction, grant.letter)
    assert kept is not None  # noqa: S101 (letters are kept for good)
    since = max(kept.recorded_at, start_notice(grant.expires_at))
    terms = texts.get(kept.letter.terms)
    who = f"{grant.party} may pass" if grant.sent else "this party may pass"
    return WorkItem(
        kind=WorkKind.CONSENT_ENDS,
        act="nothing: it ends by itself" if grant.sent else "ask anew, or let it end: consent request",
        why=f"{who} {_name(kept)} on to {grant.recipient} until then",
        since=since,
        due=grant.expires_at,
        agreement=grant.agreement,
        title=None if terms is None else terms.title,
        party=grant.party,
        object=kept.letter.about[0].id if len(kept.letter.about) == 1 else None,
        letter=grant.letter,
        count=len(kept.letter.about),
    )


def _make(
    stored: StoredLetter, texts: Mapping[Digest, Terms], kind: WorkKind, *, act: str, why: str, due: Instant | None
) -> WorkItem:
    terms = texts.get(stored.letter.terms)
    return WorkItem(
        kind=kind,
        act=act,
        why=why,
        since=stored.recorded_at,
        due=due,
        agreement=stored.letter.agreement,
        title=None if terms is None else terms.title,
        party=stored.party,
        object=stored.letter.about[0].id if len(stored.letter.about) == 1 else None,
        letter=stored.letter.digest,
        count=len(stored.letter.about),
    )


def _find_recipient(stored: StoredLetter) -> str:
    body = stored.letter.body
    assert isinstance(body, ConsentRequest)  # noqa: S101 (only such letters are listed)
    return body.recipient


def _name(stored: StoredLetter) -> str:
    """The first object that the letter is about, and how many others."""
    ids = list(dict.fromkeys(about.id for about in stored.letter.about))
    return ids[0] if len(ids) == 1 else f"{ids[0]} and {len(ids) - 1} more"
