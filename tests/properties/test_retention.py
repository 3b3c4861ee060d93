# SPDX-License-Identifier: Apache-2.0
"""Retention over any receipts, decisions, ends and clocks.

MAXIMUM   nothing is kept beyond the maximum of any rule it came under
DECIDED   what was decided to keep in time is there until its next review, unless another rule has ended it
STRICT    one more rule never keeps an object longer
BACKWARD  a clock that goes back deletes nothing: what is due at a time was due at no earlier one that said otherwise
PROPOSED  whatever the rules delete or announce, the store is asked for
"""

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from comity.agreement.duration import Duration, add_duration, subtract_duration
from comity.agreement.duties import Retention, Survival
from comity.agreement.retention import Clause, Delete, Keep, Review, Rule, find_reach, judge_rules
from comity.ids import AgreementId, Digest, Instant, PartyId
from comity.vocabulary import DUTIES

_DAY = 86_400_000_000
_FIRST, _LAST = (int(datetime(year, 1, 1, tzinfo=UTC).timestamp()) * 1_000_000 for year in (2024, 2034))

instants = st.integers(_FIRST, _LAST).map(Instant) | st.integers(0, 3_650).map(lambda day: Instant(_FIRST + day * _DAY))
durations = st.builds(
    Duration, months=st.integers(0, 40), hours=st.integers(0, 2_000) | st.sampled_from((0, 24, 720))
).filter(lambda duration: bool(duration.months or duration.hours))
retentions = st.builds(Retention, review_after=durations, maximum=st.none() | durations)
survivals = st.builds(
    Survival, duties=st.frozensets(st.sampled_from(sorted(DUTIES))), delete_within=st.none() | durations
)


@st.composite
def rules(draw: st.DrawFn) -> Rule:
    received = draw(instants)
    return Rule(
        agreement=AgreementId("a" * 64),
        terms=Digest(draw(st.sampled_from("abc")) * 64),
        giver=PartyId("aurelia"),
        received_at=received,
        decided_at=draw(st.just(received) | instants.map(lambda at: Instant(max(at, received)))),
        retention=draw(st.none() | retentions),
        survival=draw(survivals),
        ended_at=draw(st.none() | instants),
    )


many = st.lists(rules(), max_size=4)


@given(many, instants)
def test_nothing_is_kept_beyond_a_maximum(came: list[Rule], now: Instant) -> None:
    passed = [
        rule
        for rule in came
        if rule.retention is not None
        and rule.retention.maximum is not None
        and add_duration(rule.received_at, rule.retention.maximum) <= now
    ]
    if passed:
        assert isinstance(judge_rules(came, now=now), Delete)


@given(many, instants)
def test_nothing_is_kept_longer_after_the_end_than_the_terms_say(came: list[Rule], now: Instant) -> None:
    passed = [
        rule
        for rule in came
        if rule.ended_at is not None
        and rule.survival.delete_within is not None
        and add_duration(rule.ended_at, rule.survival.delete_within) <= now
    ]
    if passed:
        assert isinstance(judge_rules(came, now=now), Delete)


@given(many, instants)
def test_what_was_decided_to_keep_is_there_until_its_next_review(came: list[Rule], now: Instant) -> None:
    judged = judge_rules(came, now=now)
    if not isinstance(judged, Delete):
        return
    rule, due = judged.rule, judged.due
    assert due <= now
    match judged.clause:
        case Clause.REVIEW:
            assert rule.retention is not None
            assert due >= add_duration(rule.decided_at, rule.retention.review_after)
            assert due >= add_duration(rule.received_at, rule.retention.review_after)
            if rule.ended_at is not None and "retention" not in rule.survival.duties:
                assert due <= rule.ended_at
        case Clause.MAXIMUM:
            assert rule.retention is not None
            assert rule.retention.maximum is not None
            assert due == add_duration(rule.received_at, rule.retention.maximum)
        case Clause.END:
            assert rule.ended_at is not None
            assert rule.survival.delete_within is not None
            assert due == add_duration(rule.ended_at, rule.survival.delete_within)


@given(many, rules(), instants)
def test_one_more_rule_never_keeps_longer(came: list[Rule], more: Rule, now: Instant) -> None:
    before = judge_rules(came, now=now)
    after = judge_rules([*came, more], now=now)
    if isinstance(before, Delete):
        assert isinstance(after, Delete)
        assert after.due <= before.due
    if isinstance(before, Review):
        assert not isinstance(after, Keep) or (after.until is not None and after.until < before.due)


@given(many, instants, instants)
def test_a_clock_that_goes_back_deletes_nothing(came: list[Rule], one: Instant, other: Instant) -> None:
    earlier, later = sorted((one, other))
    if isinstance(judged := judge_rules(came, now=earlier), Delete):
        again = judge_rules(came, now=later)
        assert again == judged
    match judge_rules(came, now=later):
        case Keep(until=until):
            assert until is None or until > later
            assert not isinstance(judge_rules(came, now=earlier), Delete)
        case Review(due=due):
            assert due > later
        case Delete():
            pass


@given(rules(), instants)
def test_whatever_is_due_the_store_is_asked_for(rule: Rule, now: Instant) -> None:
    if not isinstance(judge_rules([rule], now=now), Delete):
        return
    reach = find_reach(rule.retention, rule.survival, ended_at=rule.ended_at, now=now)
    assert reach is not None
    decided = max(rule.received_at, rule.decided_at)
    assert (reach.received is not None and rule.received_at <= reach.received) or (
        reach.decided is not None and decided <= reach.decided
    )


@given(rules(), instants)
def test_the_store_is_not_asked_for_much_that_is_not_due(rule: Rule, now: Instant) -> None:
    """Five days at most, for how long months are: else each run would read what it leaves alone."""
    reach = find_reach(rule.retention, rule.survival, ended_at=None, now=now)
    if reach is None or rule.retention is None or reach.decided is None:
        return
    later = add_duration(Instant(reach.decided - 5 * _DAY), rule.retention.review_after)
    assert later <= now


@given(instants, durations)
def test_to_subtract_errs_on_the_side_of_too_much(start: Instant, duration: Duration) -> None:
    assert start <= subtract_duration(add_duration(start, duration), duration)


@given(st.integers(-62_135_596_800_000_000, 253_402_300_799_999_999).map(Instant), durations)
def test_to_subtract_knows_no_time_it_cannot_say(now: Instant, duration: Duration) -> None:
    assert subtract_duration(now, duration) <= now + 4 * _DAY
