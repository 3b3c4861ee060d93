# SPDX-License-Identifier: Apache-2.0
"""Pure: what waits for a party, from the facts of each agreement, oldest first.

    sort_work([…, *list_agreement_work(facts, party=…, now=…)])  ->  (WorkItem(kind=STEP, act="answer", due=…), …)

Work with a date shows itself a time of notice before it (`agreement.retention.NOTICE`), and stays until it is done:
after its date it is overdue. A step that a party owes has the date that the terms give it: the event that made it its
turn, as recorded here, and the response time that the step names.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from comity.agreement.duration import add_duration
from comity.agreement.lifecycle import Standing
from comity.agreement.moves import NextStep
from comity.agreement.retention import NOTICE
from comity.agreement.terms import Terms
from comity.agreement.transitions import State
from comity.ids import AgreementId, Digest, Instant, ObjectId, PartyId

__all__ = ["AgreementFacts", "WorkItem", "WorkKind", "find_horizon", "list_agreement_work", "sort_work", "start_notice"]

_CLOSED = frozenset({State.TERMINATED, State.EXPIRED})


class WorkKind(StrEnum):
    """What sort of thing waits."""

    STEP = "step"
    RETENTION_REVIEW = "retention-review"
    DELETION = "deletion"
    DELETED = "deleted"
    AGREEMENT_REVIEW = "agreement-review"
    AGREEMENT_END = "agreement-end"
    BASIS_END = "basis-end"
    ASSURANCE_END = "assurance-end"
    MANIFEST_END = "manifest-end"
    UNDELIVERED = "undelivered"
    UNACKNOWLEDGED = "unacknowledged"
    STRANGER = "stranger"
    UNPARSABLE_PATTERN = "unparsable-pattern"
    NO_RECEIPT = "no-receipt"
    WITHOUT_RECEIPT = "without-receipt"
    LOG_LOST = "log-lost"
    """A partner says that its log has fewer entries left than it signed for."""
    NOT_COSIGNING = "not-cosigning"
    """This node may have cosigned more than it knows of, and cosigns nothing."""
    RECALL_UNACKNOWLEDGED = "recall-unacknowledged"
    RECALL_TO_DECIDE = "recall-to-decide"
    RECALL_REFUSED = "recall-refused"
    CONSENT_TO_DECIDE = "consent-to-decide"
    CONSENT_UNANSWERED = "consent-unanswered"
    CONSENT_REFUSED = "consent-refused"
    CONSENT_ENDS = "consent-ends"
    REQUEST_TO_ANSWER = "request-to-answer"
    REQUEST_UNANSWERED = "request-unanswered"
    LIST_CHANGED = "list-changed"
    NECESSITY_TO_DECIDE = "necessity-to-decide"
    SUBJECT_TO_DECIDE = "subject-to-decide"
    RULES_TO_APPLY = "rules-to-apply"
    ASSESSMENT_ENDS = "assessment-ends"
    ARTICLE_TO_REVIEW = "article-to-review"
    REPORT_TO_MAKE = "report-to-make"


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkItem:
    """One thing that waits: what to do (`act`) and why.

    `since` is when it began to wait, `due` by when it has to be done (None: no date). `agreement`, `party`, `object`
    and `letter` say what it is about, where it is about one; `count` how many things it stands for. What a partner took
    back over TAXII is named as a letter is.
    """

    kind: WorkKind
    act: str
    why: str
    since: Instant
    due: Instant | None = None
    agreement: AgreementId | None = None
    title: str | None = None
    party: PartyId | None = None
    object: ObjectId | None = None
    letter: Digest | None = None
    count: int = 1

    def is_overdue(self, now: Instant) -> bool:
        """Whether its date has come."""
        return self.due is not None and self.due <= now


@dataclass(frozen=True, slots=True, kw_only=True)
class AgreementFacts:
    """How an agreement stands, and when this node recorded what matters of it.

    `turns` are the steps somebody owes, each with when the event that made it so was recorded. `reviewed_at` is when a
    person last reviewed the agreement; `known_since` when the version that counts came on record.
    """

    agreement: AgreementId
    standing: Standing
    turns: Mapping[NextStep, Instant]
    reviewed_at: Instant | None
    known_since: Instant


def sort_work(items: Iterable[WorkItem]) -> tuple[WorkItem, ...]:
    """Oldest first; of equally old ones the one with the earlier date."""
    return tuple(
        sorted(
            items,
            key=lambda item: (
                item.since,
                item.due is None,
                item.due or item.since,
                item.kind,
                item.agreement or "",
                item.party or "",
                item.act,
                item.why,
            ),
        )
    )


def list_agreement_work(facts: AgreementFacts, *, party: PartyId, now: Instant) -> list[WorkItem]:
    """What waits for `party` in one agreement."""
    items = _list_owed(facts, party=party, now=now)
    terms = facts.standing.current
    if terms is None or facts.standing.state in _CLOSED or party not in facts.standing.members:
        return items
    return [*items, *_list_reviews(facts, terms, now=now), *_list_ends(facts, terms, party=party, now=now)]


def start_notice(due: Instant) -> Instant:
    """When work that is due at `due` shows itself; no earlier than can be written."""
    return Instant(max(0, due - NOTICE.hours * 3_600_000_000))


def find_horizon(now: Instant) -> Instant:
    """What is due by then shows itself at `now`: the other way round."""
    return Instant(now + NOTICE.hours * 3_600_000_000)


def _list_owed(facts: AgreementFacts, *, party: PartyId, now: Instant) -> list[WorkItem]:
    """The steps that `party` owes. What every party signed sets their dates; before that, what is proposed."""
    standing = facts.standing
    times = (standing.current or standing.latest).response_times
    items = list[WorkItem]()
    for step, since in facts.turns.items():
        if step.party != party or step.act == "renew":
            continue  # what has run out is shown with its date: see `_list_ends`
        time = None if step.response is None else times.get(step.response)
        due = None if time is None else add_duration(since, time)
        items.append(_make(facts, WorkKind.STEP, act=step.act, why=step.why, due=due, since=min(since, now)))
    return items


def _list_reviews(facts: AgreementFacts, terms: Terms, *, now: Instant) -> list[WorkItem]:
    """The next date of review that has come near and nobody has done; one review does for all dates before it."""
    for due in sorted(terms.reviews):
        begins = start_notice(due)
        done = facts.reviewed_at is not None and facts.reviewed_at >= begins
        if due < facts.known_since or done or begins > now:
            continue
        why = f"version {terms.version} names this date for a review"
        act = "review the agreement and say so: agreement review"
        return [_make(facts, WorkKind.AGREEMENT_REVIEW, act=act, why=why, due=due)]
    return []


def _list_ends(facts: AgreementFacts, terms: Terms, *, party: PartyId, now: Instant) -> list[WorkItem]:
    standing = facts.standing
    items = list[WorkItem]()
    if terms.valid_until is not None and start_notice(terms.valid_until) <= now:
        act = "propose the next version, or let it end"
        why = f"version {terms.version} is valid until then"
        items.append(_make(facts, WorkKind.AGREEMENT_END, act=act, why=why, due=terms.valid_until))
    lapsed = {(lapse.party, lapse.clause) for lapse in standing.lapses}
    for member in sorted(standing.members):
        act = "renew it in a next version" if member == party else f"ask {member} to renew it"
        cited = [basis for basis in terms.legal_bases if basis.party == member]
        for basis in (*cited, *standing.joining_bases(member)):
            if _is_near(basis.valid_until, lapsed=(member, "legal_bases") in lapsed, now=now):
                why = f"the basis {basis.kind} {basis.reference} of {member} is valid until then"
                items.append(_make(facts, WorkKind.BASIS_END, act=act, why=why, due=basis.valid_until, party=member))
        for assurance in terms.assurances:
            if assurance.given_by == member and _is_near(assurance.valid_until, lapsed=True, now=now):
                why = f"the assurance {assurance.kind} of {member} is valid until then"
                due = assurance.valid_until
                items.append(_make(facts, WorkKind.ASSURANCE_END, act=act, why=why, due=due, party=member))
    return items


def _is_near(until: Instant | None, *, lapsed: bool, now: Instant) -> bool:
    """Whether what ends at `until` ends within the notice, or has ended and nothing has taken its place."""
    return until is not None and start_notice(until) <= now and (until > now or lapsed)


def _make(
    facts: AgreementFacts,
    kind: WorkKind,
    *,
    act: str,
    why: str,
    due: Instant | None,
    since: Instant | None = None,
    party: PartyId | None = None,
) -> WorkItem:
    """One thing about the agreement; without `since` it has waited since its notice began."""
    begins = since if since is not None or due is None else start_notice(due)
    assert begins is not None  # noqa: S101 (what has no date says since when)
    title = (facts.standing.current or facts.standing.latest).title
    return WorkItem(
        kind=kind, act=act, why=why, since=begins, due=due, agreement=facts.agreement, title=title, party=party
    )
