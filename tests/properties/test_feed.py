# SPDX-License-Identifier: Apache-2.0
"""The feed as a state machine: whatever is taken in, deleted, signed, amended, suspended, resumed, polled or lost.

SAFE       every disclosed object was admitted by the terms whose hash stands beside it in the log
CLOSED     and so was everything it refers to
GATE       nothing is disclosed while the agreement is not in force
LIVE       polling to the end gives everything that is admitted now
CURSOR     release times rise strictly, and any page size gives the same concatenation
LOG-FIRST  what was received is in the log
"""

import contextlib
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from comity.agreement.events import EventKind
from comity.agreement.terms import parse_terms
from comity.canonical import Json
from comity.errors import NotFoundError, TransitionError
from comity.ids import AgreementId, Instant, ObjectId, PartyId
from comity.node import agree
from comity.node.journal import list_entries, verify_store
from comity.node.pages import Pages, Released
from comity.node.poll import Page, PollRequest, Selection, VersionChoice, poll
from comity.node.retention import delete
from comity.node.standing import collection_id, find_agreement
from comity.release.decision import Withhold, decide
from comity.release.disclosure import Answer, EntryType
from comity.store import feeds, objects
from comity.store.objects import COLUMNS, build_object
from tests.worlds import World, make_object, object_id

BOREALIA = PartyId("borealia")
SUBJECTS = ("national:ashfall", "national:tidewater")
REGIONS = ("IQ", "JO", "SY")
TLPS = ("clear", "green", "green", "amber", "red", None)
NAMES = tuple("abcdef")
scopes = st.fixed_dictionaries(
    {
        "subjects": st.sampled_from([SUBJECTS[:1], SUBJECTS[:1], SUBJECTS, SUBJECTS[1:]]),
        "regions": st.sampled_from([REGIONS[:1], REGIONS[:1], REGIONS, REGIONS[1:2]]),
        "tlp": st.sampled_from(("green", "amber", "amber", "clear")),
    }
)
said_subjects = st.sampled_from([SUBJECTS[:1], SUBJECTS[:1], SUBJECTS, SUBJECTS[1:], ()])
said_regions = st.sampled_from([REGIONS[:1], REGIONS[:1], REGIONS, REGIONS[1:2], ()])
ingested = st.fixed_dictionaries(
    {
        "name": st.sampled_from(NAMES),
        "tlp": st.sampled_from(TLPS),
        "subjects": said_subjects,
        "regions": said_regions,
        "refs": st.just(frozenset[str]()) | st.frozensets(st.sampled_from(NAMES[:3]), max_size=2),
    }
)
Version = tuple[str, str]


class FeedMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.temporary = tempfile.TemporaryDirectory()
        self.world = World(Path(self.temporary.name))
        self.agreement: AgreementId | None = None
        self.versions: list[str] = []
        self.proposed = False
        self.locks: set[str] = set()
        self.client: set[Version] = set()
        self.cursor = Instant(0)
        self.day = 0
        self.refers: dict[tuple[Json, Json], frozenset[ObjectId]] = {}

    @initialize(
        scope=scopes,
        signed=st.sampled_from((True, True, True, False)),
        items=st.lists(ingested, min_size=2, max_size=5),
    )
    def found(self, scope: dict[str, object], signed: bool, items: list[dict[str, Any]]) -> None:
        self.world.found("aurelia", "borealia")
        self.propose(scope)
        if signed:
            self.accept()
        self.ingest(items)

    def teardown(self) -> None:
        if self.agreement is not None:
            verify_store(self.world.nodes["aurelia"].store, origin="comity/aurelia", party=PartyId("aurelia"))
        self.world.close()
        self.temporary.cleanup()

    # ---- what happens to the giver --------------------------------------------------------------------------------

    @rule(items=st.lists(ingested, min_size=1, max_size=3))
    def take_in(self, items: list[dict[str, Any]]) -> None:
        self.ingest(items)

    def ingest(self, items: list[dict[str, Any]]) -> None:
        for item in items:
            self.day += 1
            targets = frozenset(object_id("report", ref) for ref in item.pop("refs"))
            made = make_object(**item, refs=targets, day=self.day)
            intake = self.world.add("aurelia", made)
            assert not intake.bad
            assert len(intake.added) == 1
            self.refers[made["id"], made["modified"]] = targets

    @rule(name=st.sampled_from(NAMES[:3]))  # what others refer to
    def delete(self, name: str) -> None:
        with contextlib.suppress(NotFoundError):
            delete(self.world.nodes["aurelia"], object_id("report", name), reason="Found to be wrong.")

    @rule(microseconds=st.sampled_from((0, 1, 1_000_000)))
    def wait(self, microseconds: int) -> None:
        self.world.tick(microseconds)

    @precondition(lambda self: not self.proposed)
    @rule(scope=scopes, signed=st.sampled_from((True, True, False)))
    def amend(self, scope: dict[str, object], signed: bool) -> None:
        self.propose(scope)
        if signed:
            self.accept()

    def propose(self, scope: dict[str, object]) -> None:
        version = len(self.versions) + 1
        toml = self.world.terms(
            **scope,  # type: ignore[arg-type]
            version=version,
            agreement=self.agreement,
            supersedes=self.versions[-1] if self.versions else None,
        )
        recorded = self.world.propose("aurelia", toml)
        assert isinstance(recorded, agree.Recorded)
        self.agreement = recorded.event.agreement
        self.versions.append(recorded.event.terms)
        self.proposed = True
        self.world.deliver()

    @precondition(lambda self: self.proposed)
    @rule()
    def accept_at_last(self) -> None:
        self.accept()

    def accept(self) -> None:
        self.world.act("borealia", self.versions[-1], EventKind.ACCEPT)
        self.proposed = False
        self.world.deliver()

    @precondition(lambda self: self.is_signed())
    @rule(name=st.sampled_from(("aurelia", "borealia")))
    def suspend(self, name: str) -> None:
        if name in self.locks:
            return
        self.world.act(name, self.agreement or "", EventKind.SUSPEND)
        self.locks.add(name)
        self.world.deliver()

    @precondition(lambda self: bool(self.locks))
    @rule()
    def resume(self) -> None:
        for name in sorted(self.locks):
            self.world.act(name, self.agreement or "", EventKind.RESUME)
        self.locks.clear()
        self.world.deliver()

    @precondition(lambda self: len(self.locks) == 1)
    @rule()
    def try_to_lift_the_lock_of_another(self) -> None:
        (other,) = {"aurelia", "borealia"} - self.locks
        try:
            self.world.act(other, self.agreement or "", EventKind.RESUME)
        except TransitionError:
            return
        raise AssertionError("a party lifted a lock it does not hold")

    # ---- what the recipient does ----------------------------------------------------------------------------------

    @rule(limit=st.integers(1, 4))
    def poll(self, limit: int) -> None:
        page = self.ask(after=self.cursor, limit=limit)
        if page is not None:
            self.take(page)

    @rule(limit=st.integers(1, 4))
    def poll_and_lose_the_answer(self, limit: int) -> None:
        self.ask(after=self.cursor, limit=limit)

    @precondition(lambda self: self.is_open())
    @rule(limit=st.integers(1, 4))
    def drain(self, limit: int) -> None:
        more = True
        while more:
            page = self.ask(after=self.cursor, limit=limit)
            assert page is not None
            self.take(page)
            more = page.more
        missing = self.admitted() - self.client
        assert not missing, f"LIVE: {missing} are admitted now and never reached the client"

    @precondition(lambda self: self.is_open())
    @rule(limit=st.integers(1, 3))
    def read_all_again(self, limit: int) -> None:
        whole = self.ask(after=Instant(0), limit=1_000)
        assert whole is not None
        assert not whole.more
        pieces, after = list[Released](), Instant(0)
        while True:
            page = self.ask(after=after, limit=limit)
            assert page is not None
            pieces.extend(page.items)
            if not page.more:
                break
            after = page.items[-1].at
        assert pieces == list(whole.items), "CURSOR: another page size gives another concatenation"
        assert {(item.id, item.version) for item in whole.items} >= self.admitted()

    # ---- the oracle -----------------------------------------------------------------------------------------------

    def ask(self, *, after: Instant, limit: int) -> Page | None:
        """A page, or None when there is nothing for who asks; GATE and CURSOR are checked on the way."""
        agreement = self.agreement or AgreementId("0" * 64)
        request = PollRequest(
            recipient=BOREALIA,
            collection=collection_id(agreement, "main", giver=PartyId("aurelia"), recipient=BOREALIA),
            answer=Answer.OBJECTS,
            selection=Selection(after=after, versions=VersionChoice(every=True)),
            limit=limit,
        )
        try:
            page = poll(self.world.nodes["aurelia"], request)
        except NotFoundError:
            assert not self.is_open(), "LIVE: in force, and yet nothing is served"
            return None
        assert self.is_open(), "GATE: served while not in force"
        times = [item.at for item in page.items]
        assert times == sorted(set(times)), "CURSOR: release times do not rise strictly"
        assert not times or times[0] > after
        assert len(times) <= limit
        self.check_log(page)
        self.check_memory(request)
        return page

    def check_memory(self, request: PollRequest) -> None:
        """MEMORY: what was put together before is what would be put together now."""
        node = self.world.nodes["aurelia"]
        for versions in (VersionChoice(every=True), VersionChoice()):
            asked = replace(request, selection=replace(request.selection, versions=versions))
            remembered = poll(node, asked)
            memory = node.pages, node.remembered
            node.pages, node.remembered = Pages(0), {}
            fresh = poll(node, asked)
            node.pages, node.remembered = memory
            assert (remembered.items, remembered.more) == (fresh.items, fresh.more), f"MEMORY: {versions}"

    def check_log(self, page: Page) -> None:
        """LOG-FIRST and SAFE for one page."""
        if not page.items:
            return
        last = list_entries(self.world.nodes["aurelia"], start=-2, limit=2)
        # With the first of a relationship the head of its log is named behind it.
        entry = last[-2] if last[-1].leaf.type is EntryType.LOG_HEADS else last[-1]
        assert entry.leaf.type is EntryType.DISCLOSURE
        assert entry.leaf.recipient == BOREALIA
        assert entry.leaf.terms == page.terms == self.signed_version()
        content = cast("dict[str, list[dict[str, str]]]", entry.content)
        logged = [(item["id"], item["version"]) for item in content["objects"]]
        assert logged == [(item.id, item.version) for item in page.items], "LOG-FIRST: the log says something else"
        assert set(logged) <= self.admitted(current_only=False), "SAFE: disclosed and not admitted by the terms"

    def take(self, page: Page) -> None:
        self.client |= {(item.id, item.version) for item in page.items}
        if page.items:
            self.cursor = page.items[-1].at

    def admitted(self, *, current_only: bool = True) -> set[Version]:
        """What the terms in force admit now, found without the labels that the node computed (CLOSED).

        An object is admitted when its own label is, the newest version of itself is, and everything it refers to is.
        """
        node = self.world.nodes["aurelia"]
        with node.store.read() as transaction:
            dossier = find_agreement(node, transaction, self.agreement or "")
            terms = next(item for item in dossier.versions if item.hash == self.signed_version())
            scope = parse_terms(terms.document).channels[0].scope_for(PartyId("aurelia"))
            held = [build_object(row) for row in transaction.rows(f"SELECT {COLUMNS} FROM object o")]
            fit = {
                (item.id, item.version)
                for item in held
                if not isinstance(
                    decide(scope, objects.read_label(transaction, item.own_label), recipient=BOREALIA), Withhold
                )
            }
        newest = {item.id: (item.id, item.version) for item in sorted(held, key=lambda item: item.version_at)}
        refused = {(item.id, item.version) for item in held} - fit
        while True:
            more = {
                version
                for version in fit - refused
                if newest[version[0]] in refused
                or any(newest.get(target) is None or newest[target] in refused for target in self.refers[version])
            }
            if not more:
                break
            refused |= more
        return {version for version in fit - refused if not current_only or version == newest[version[0]]}

    def signed_version(self) -> str:
        return self.versions[-2] if self.proposed else self.versions[-1]

    def is_signed(self) -> bool:
        return len(self.versions) > (1 if self.proposed else 0)

    def is_open(self) -> bool:
        return self.is_signed() and not self.locks

    @invariant()
    def both_nodes_agree_on_the_state(self) -> None:
        if self.agreement is None:
            return
        states = set()
        for node in self.world.nodes.values():
            with node.store.read() as transaction:
                standing = find_agreement(node, transaction, self.agreement).standing(now=self.world.now)
            states.add((standing.state, standing.sentence))
        assert len(states) == 1


class SlowFeedMachine(FeedMachine):
    """The same where a feed catches up by two objects at once."""

    def __init__(self) -> None:
        super().__init__()
        self.patch = pytest.MonkeyPatch()
        self.patch.setattr(feeds, "_MOST_AT_ONCE", 2)

    def teardown(self) -> None:
        self.patch.undo()
        super().teardown()


TestFeed = FeedMachine.TestCase
TestFeed.settings = settings(
    max_examples=60, stateful_step_count=50, deadline=None, suppress_health_check=list(HealthCheck)
)
TestSlowFeed = SlowFeedMachine.TestCase
TestSlowFeed.settings = TestFeed.settings
