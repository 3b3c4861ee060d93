# SPDX-License-Identifier: Apache-2.0
"""Shell: consent as work for people: requests to decide, requests nobody has answered in time, grants that end soon."""

from collections.abc import Iterator, Mapping

from comity.agreement.retention import NOTICE
from comity.agreement.terms import Terms
from comity.agreement.work import WorkItem, WorkKind, start_notice
from comity.ids import Digest, Instant, ObjectId
from comity.letters.bodies import LetterKind
from comity.letters.consent import ConsentRequest
from comity.store import Transaction, consents, letters
from comity.store.consents import StoredGrant
from comity.store.letters import Filed, LetterState

__all__ = ["list_consent_work"]

_HOUR = 3_600_000_000
_REFUSED_SHOWN = 30 * 24 * _HOUR
_MOST_READ = 50
"""Of the requests that wait, the newest, it is said for whom they ask: that stands in the letter, which can be long."""


def list_consent_work(transaction: Transaction, texts: Mapping[Digest, Terms], *, now: Instant) -> Iterator[WorkItem]:
    """What waits of all requests and grants."""
    kind, waiting = LetterKind.CONSENT_REQUEST, {LetterState.OPEN}
    for place, stored in enumerate(letters.list_filed(transaction, kind, sent=False, states=waiting)):
        to = f" to {_find_recipient(transaction, stored)}" if place < _MOST_READ else ""
        yield _make(
            stored,
            texts,
            WorkKind.CONSENT_TO_DECIDE,
            act=f"grant it, refuse it or leave it: consent show {stored.digest[:12]}",
            why=f"{stored.party} asks to pass {_name(stored)} on{to}",
            due=stored.due_at,
        )
    refused, since = {LetterState.REFUSED}, Instant(now - _REFUSED_SHOWN)
    for stored in letters.list_filed(transaction, kind, sent=False, states=refused, since=since):
        yield _make(
            stored,
            texts,
            WorkKind.CONSENT_REFUSED,
            act=f"ask {stored.party} what it means: nothing follows, and it was not answered",
            why=f"{stored.party} asks to pass {_name(stored)} on, which the terms cannot let anybody grant",
            due=None,
        )
    for stored in letters.list_filed(transaction, kind, sent=True, states=waiting):
        if stored.due_at is not None and stored.due_at <= now:
            yield _make(
                stored,
                texts,
                WorkKind.CONSENT_UNANSWERED,
                act=f"ask {stored.party}, or leave it: consent show {stored.digest[:12]}",
                why=f"{stored.party} has not answered whether {_name(stored)} may go"
                f" to {_find_recipient(transaction, stored)}",
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
    ids = [*dict.fromkeys(about.id for about in kept.letter.about)]
    who = f"{grant.party} may pass" if grant.sent else "this party may pass"
    return WorkItem(
        kind=WorkKind.CONSENT_ENDS,
        act="nothing: it ends by itself" if grant.sent else "ask anew, or let it end: consent request",
        why=f"{who} {_describe(ids[0], len(ids))} on to {grant.recipient} until then",
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
    stored: Filed, texts: Mapping[Digest, Terms], kind: WorkKind, *, act: str, why: str, due: Instant | None
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


def _find_recipient(transaction: Transaction, filed: Filed) -> str:
    stored = letters.read_letter(transaction, filed.digest)
    assert stored is not None  # noqa: S101 (letters are kept for good)
    assert isinstance(stored.letter.body, ConsentRequest)  # noqa: S101 (only such letters are listed)
    return stored.letter.body.recipient


def _name(stored: Filed) -> str:
    return _describe(stored.first, stored.objects)


def _describe(first: ObjectId, count: int) -> str:
    """The first object that the letter is about, and how many others."""
    return first if count == 1 else f"{first} and {count - 1} more"
