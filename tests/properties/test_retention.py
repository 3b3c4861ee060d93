# SPDX-License-Identifier: Apache-2.0
"""Retention over any receipts, decisions, ends and clocks.

MAXIMUM   nothing is kept beyond the maximum of any rule it came under
DECIDED   what was decided to keep in time is there until its next review, unless another rule has ended it
STRICT    one more rule never keeps an object longer
BACKWARD  a clock that goes back deletes nothing: what is due at a time was due at no earlier one that said otherwise
PROPOSED  whatever the rules delete or announce, the store is asked for
"""

import json
import tempfile
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from comity.agreement.duration import Duration, add_duration, subtract_duration
from comity.agreement.duties import Retention, Survival
from comity.agreement.events import EventKind
from comity.agreement.retention import Clause, Delete, Keep, Review, Rule, find_reach, judge_rules
from comity.errors import NotFoundError, TransitionError
from comity.ids import AgreementId, Digest, Instant, PartyId
from comity.node.follow import Target, plan_pull
from comity.node.journal import verify_store
from comity.node.parties import add_party, export_manifest
from comity.node.receive import Received, receive_page
from comity.node.retention import delete_due, keep
from comity.vocabulary import DUTIES
from tests.worlds import World, make_object, object_id

DAY = 86_400_000_000
_FIRST, _LAST = (int(datetime(year, 1, 1, tzinfo=UTC).timestamp()) * 1_000_000 for year in (2024, 2034))

instants = st.integers(_FIRST, _LAST).map(Instant) | st.integers(0, 3_650).map(lambda day: Instant(_FIRST + day * DAY))
durations = st.builds(
    Duration, months=st.integers(0, 40), hours=st.integers(0, 2_000) | st.sampled_from((0, 24, 720))
).filter(lambda duration: bool(duration.months or duration.hours))
retentions = st.builds(Retention, review_after=durations, maximum=st.none() | durations)
survivals = st.builds(
    Survival, duties=st.frozensets(st.sampled_from(sorted(DUTIES))), delete_within=st.none() | durations
)


@st.composite
def make_rules(draw: st.DrawFn) -> Rule:
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


many = st.lists(make_rules(), max_size=4)


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


@given(many, make_rules(), instants)
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


@given(make_rules(), instants)
def test_whatever_is_due_the_store_is_asked_for(rule: Rule, now: Instant) -> None:
    if not isinstance(judge_rules([rule], now=now), Delete):
        return
    reach = find_reach(rule.retention, rule.survival, ended_at=rule.ended_at, now=now)
    assert reach is not None
    decided = max(rule.received_at, rule.decided_at)
    assert (reach.received is not None and rule.received_at <= reach.received) or (
        reach.decided is not None and decided <= reach.decided
    )


@given(make_rules(), instants)
def test_the_store_is_not_asked_for_much_that_is_not_due(rule: Rule, now: Instant) -> None:
    """Five days at most, for how long months are: else each run would read what it leaves alone."""
    reach = find_reach(rule.retention, rule.survival, ended_at=None, now=now)
    if reach is None or rule.retention is None or reach.decided is None:
        return
    later = add_duration(Instant(reach.decided - 5 * DAY), rule.retention.review_after)
    assert later <= now


@given(instants, durations)
def test_to_subtract_errs_on_the_side_of_too_much(start: Instant, duration: Duration) -> None:
    assert start <= subtract_duration(add_duration(start, duration), duration)


@given(st.integers(-62_135_596_800_000_000, 253_402_300_799_999_999).map(Instant), durations)
def test_to_subtract_knows_no_time_it_cannot_say(now: Instant, duration: Duration) -> None:
    assert subtract_duration(now, duration) <= now + 4 * DAY


# --- on real nodes ----------------------------------------------------------------------------------------------------

TEXTS = ((50, 120, 30), (80, None, None), (None, None, 20))
"""Of each agreement: days to review, days at most, days after its end; None where it says nothing."""


@dataclass
class Item:
    """What the model knows of an object: how it came, and when it was last decided to keep it."""

    own: bool
    came: dict[int, Instant] = field(default_factory=dict)
    decided: Instant | None = None


class RetentionMachine(RuleBasedStateMachine):
    """A node that receives, keeps, deletes, hears of ends, and whose clock goes anywhere, against a model in days."""

    def __init__(self) -> None:
        super().__init__()
        self.temporary = tempfile.TemporaryDirectory()
        self.world = World(Path(self.temporary.name))
        self.targets: list[Target] = []
        self.ended: dict[int, Instant] = {}
        self.items: dict[str, Item] = {}
        self.purges = 0

    @initialize()
    def found(self) -> None:
        self.world.found("aurelia", "borealia")
        node = self.world.nodes["borealia"]
        add_party(
            node,
            export_manifest(self.world.nodes["aurelia"]),
            digest=self.world.manifests["aurelia"].digest,
            url="http://127.0.0.1:1",
        )
        for number, (review, maximum, within) in enumerate(TEXTS):
            clauses = list[str]()
            if review is not None:
                most = f', maximum = "P{maximum}D"' if maximum is not None else ""
                clauses.append(f'retention = {{ review_after = "P{review}D"{most}, no_decision = "delete" }}')
            if within is not None:
                clauses.append(f'survival = {{ duties = ["retention"], material = "delete", within = "P{within}D" }}')
            agreement = self.world.sign_all(self.world.terms(extra="\n".join(clauses), title=f"Exchange {number}"))
            self.targets += [target for target in plan_pull(node, PartyId("aurelia")) if target.agreement == agreement]

    def teardown(self) -> None:
        verify_store(self.world.nodes["borealia"].store, origin="comity/borealia", party=PartyId("borealia"))
        self.world.close()
        self.temporary.cleanup()

    @rule(name=st.sampled_from("abc"), text=st.sampled_from((0, 1, 2)))
    def receive(self, name: str, text: int) -> None:
        target = self.targets[text]
        received = Received(
            giver=target.giver,
            terms=target.terms,
            channel=target.channel,
            collection=target.collection,
            added_after=None,
        )
        data = json.dumps({"objects": [make_object(name)]}).encode()
        assert not receive_page(self.world.nodes["borealia"], data, received).bad
        self.items.setdefault(name, Item(own=False)).came.setdefault(text, self.world.now)

    @rule(name=st.sampled_from("cd"))
    def take_in(self, name: str) -> None:
        if name not in self.items and not self.world.add("borealia", make_object(name)).bad:
            self.items[name] = Item(own=True)

    @rule(name=st.sampled_from("abcd"))
    def keep(self, name: str) -> None:
        try:
            keep(self.world.nodes["borealia"], object_id("report", name), reason="Needed for a case.")
        except (TransitionError, NotFoundError):
            item = self.items.get(name)
            assert item is None or item.own or self.find_due(item)[1] != "review" or self.is_due(item)
            return
        item = self.items[name]
        assert not item.own
        assert not self.is_due(item), "kept after its date"
        item.decided = max(self.world.now, item.decided or self.world.now)

    @rule(text=st.sampled_from((0, 1, 2)))
    def end(self, text: int) -> None:
        if text not in self.ended:
            self.world.act("aurelia", self.targets[text].agreement, EventKind.TERMINATE)
            self.world.deliver()
            self.ended[text] = self.world.now

    @rule(days=st.sampled_from((1, 10, 20, 30, 49, 50, 80)) | st.integers(-40, 90))
    def move_the_clock(self, days: int) -> None:
        # Never to before the node was made: its manifest would not have been issued.
        self.world.now = Instant(max(self.world.now + days * DAY, self.world.manifests["borealia"].issued_at))

    @rule(most=st.sampled_from((1, 100)))
    def run(self, most: int) -> None:
        while True:
            purged = delete_due(self.world.nodes["borealia"], most=most)
            for stone in purged.stones:
                name = next(name for name in self.items if object_id("report", name) == stone.id)
                assert not self.items[name].own, "own material was deleted by a partner's terms"
                assert self.is_due(self.items[name]), "deleted early"
                del self.items[name]
                self.purges += 1
            if not purged.more:
                break
        assert purged.gone
        overdue = [name for name, item in self.items.items() if not item.own and self.is_due(item)]
        assert not overdue, "kept beyond its date"

    def find_due(self, item: Item) -> tuple[Instant, str]:
        """The earliest date of any rule, and which it is."""
        dates = [(Instant(2**62), "never")]
        for text, received in item.came.items():
            review, maximum, within = TEXTS[text]
            if review is not None:
                dates.append((Instant(max(received, item.decided or received) + review * DAY), "review"))
            if maximum is not None:
                dates.append((Instant(received + maximum * DAY), "maximum"))
            if within is not None and text in self.ended:
                dates.append((Instant(self.ended[text] + within * DAY), "end"))
        return min(dates, key=lambda date: (date[0], date[1] == "review"))

    def is_due(self, item: Item) -> bool:
        return self.find_due(item)[0] <= self.world.now

    @invariant()
    def what_is_kept_is_whole_and_what_is_gone_is_on_record(self) -> None:
        node = self.world.nodes.get("borealia")
        if node is None:
            return
        with node.store.read() as transaction:
            rows = transaction.rows("SELECT o.id FROM object o JOIN body b ON b.object = o.pk WHERE o.current = 1")
            leaves = [json.loads(bytes(row[0])) for row in transaction.rows("SELECT leaf FROM log_entry")]
        assert {row[0] for row in rows} == {object_id("report", name) for name in self.items}
        assert sum(leaf["type"] == "purge" for leaf in leaves) == self.purges


TestRetention = RetentionMachine.TestCase
TestRetention.settings = settings(
    max_examples=40, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck)
)
