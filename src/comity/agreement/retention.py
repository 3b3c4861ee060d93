# SPDX-License-Identifier: Apache-2.0
"""Pure: how long what was received may be kept, and what is due at a time.

    judge_rules([rule], now=…)  ->  Keep(until=…, …) | Review(due=…, …) | Delete(due=…, clause="retention.maximum", …)

A rule is one way an object came: under which terms, when, and what has happened since. Four dates follow from it:

review     received + `retention.review_after`, or the last decision to keep + `review_after`, whichever is later. No
           decision by then is a decision to delete (`no_decision`).
maximum    received + `retention.maximum`. No decision moves it, and no end of the agreement.
end        the end of the agreement as recorded here + `survival.within`, where the material is to be deleted.
after it   where `retention` is not among the duties that outlive the agreement, a review that falls after the end is
           not owed any more. One that fell before it is: what becomes of an object must not depend on when this ran.

Of several rules every one counts, and the earliest date wins. Terms count as they were when the object came: a later
version of the agreement neither lengthens nor shortens them.

`find_reach` says the same of many objects at once, so that a store can propose those that are due. It errs on the side
of proposing; `judge_rules` decides. Not here: what is no subject of these rules at all, which is what this party took
in by itself (`node.retention`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from comity.agreement.duration import Duration, add_duration, subtract_duration
from comity.agreement.duties import Retention, Survival
from comity.ids import AgreementId, Digest, Instant, PartyId

__all__ = [
    "NOTICE",
    "Clause",
    "Delete",
    "Judgement",
    "Keep",
    "Reach",
    "Review",
    "Rule",
    "find_reach",
    "judge_rules",
]

NOTICE = Duration(months=0, hours=30 * 24)
"""How long before its date a review is work."""

_RETENTION = "retention"
_EVER = Instant(2**62)


class Clause(StrEnum):
    """By which clause of the terms an object is deleted."""

    REVIEW = "retention.review_after"
    MAXIMUM = "retention.maximum"
    END = "survival.within"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One way an object came, and the rule it came under.

    `decided_at` is when it was last decided to keep it, else when it came. `ended_at` is the end of the agreement as
    this party has it on record; None while it has not ended.
    """

    agreement: AgreementId
    terms: Digest
    giver: PartyId
    received_at: Instant
    decided_at: Instant
    retention: Retention | None
    survival: Survival
    ended_at: Instant | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Keep:
    """Nothing is due; `until` is the date on which something will be (None: never), and `clause` names it."""

    until: Instant | None
    clause: Clause | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Review:
    """Somebody has to decide before `due`, or it is deleted."""

    due: Instant
    rule: Rule


@dataclass(frozen=True, slots=True, kw_only=True)
class Delete:
    """It was to be deleted at `due`, by `clause`."""

    due: Instant
    clause: Clause
    rule: Rule


Judgement = Keep | Review | Delete


@dataclass(frozen=True, slots=True, kw_only=True)
class Reach:
    """What can be due under one rule: received by `received`, or last decided on by `decided`; None: by no date."""

    received: Instant | None
    decided: Instant | None


def judge_rules(rules: Sequence[Rule], *, now: Instant) -> Judgement:
    """What is due at `now` of an object that came under `rules`; without any, it is kept."""
    dated = [(due, clause, rule) for rule in rules for due, clause in [_find_date(rule)] if due is not None]
    if not dated:
        return Keep(until=None, clause=None)
    due, clause, rule = min(dated, key=lambda item: (item[0], item[1], item[2].terms, item[2].giver))
    if now >= due:
        return Delete(due=due, clause=clause, rule=rule)
    if clause is Clause.REVIEW and add_duration(now, NOTICE) >= due:
        return Review(due=due, rule=rule)
    return Keep(until=due, clause=clause)


def find_reach(
    retention: Retention | None, survival: Survival, *, ended_at: Instant | None, now: Instant
) -> Reach | None:
    """What can be due by `now` under a rule; None when nothing can. Nothing that is due lies beyond it."""
    received: Instant | None = None
    if retention is not None and retention.maximum is not None:
        received = subtract_duration(now, retention.maximum)
    within = survival.delete_within
    if ended_at is not None and within is not None and add_duration(ended_at, within) <= now:
        received = _EVER
    decided: Instant | None = None
    if retention is not None:
        stops = ended_at is not None and _RETENTION not in survival.duties
        decided = subtract_duration(
            min(now, ended_at) if stops and ended_at is not None else now, retention.review_after
        )
    return None if received is None and decided is None else Reach(received=received, decided=decided)


def _find_date(rule: Rule) -> tuple[Instant | None, Clause]:
    """The next date of the rule, and the clause that sets it; a review only where it comes before every deletion."""
    last, clause = _find_last(rule)
    review = _find_review(rule)
    if review is not None and (last is None or review < last):
        return review, Clause.REVIEW
    return last, clause


def _find_last(rule: Rule) -> tuple[Instant | None, Clause]:
    """The date that no decision moves."""
    dates = list[tuple[Instant, Clause]]()
    if rule.retention is not None and rule.retention.maximum is not None:
        dates.append((add_duration(rule.received_at, rule.retention.maximum), Clause.MAXIMUM))
    if rule.ended_at is not None and rule.survival.delete_within is not None:
        dates.append((add_duration(rule.ended_at, rule.survival.delete_within), Clause.END))
    return min(dates, default=(None, Clause.END))


def _find_review(rule: Rule) -> Instant | None:
    if rule.retention is None:
        return None
    after = rule.retention.review_after
    # A clock that went back between receipt and decision brings no review forward.
    due = max(add_duration(rule.received_at, after), add_duration(rule.decided_at, after))
    over = rule.ended_at is not None and _RETENTION not in rule.survival.duties and due > rule.ended_at
    return None if over else due
