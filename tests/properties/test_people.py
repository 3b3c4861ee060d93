# SPDX-License-Identifier: Apache-2.0
"""TWO: whatever people do, nothing that needs two is signed without two different living people, one acting as legal,
who approved this very text; and what has that is signed.

The machine keeps its own book of who approved what, by the rule as it is written in the design and by nothing of
`agreement.people`.
"""

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from comity.agreement.drafting import convert_terms
from comity.agreement.people import Badge, Person, Role
from comity.agreement.recognition import Refusal
from comity.agreement.terms import parse_terms
from comity.errors import AuthenticationError
from comity.ids import Digest, PersonId
from comity.node import agree, people
from comity.node.agree import Recorded
from comity.node.journal import list_entries, verify_folder
from comity.node.people import Actor, Waiting, identify
from comity.release.disclosure import EntryType
from tests.worlds import World

DAY = 86_400_000_000
PEOPLE = ("anna", "boris", "carla", "dario")
# Few, and more often a liaison: most steps are about two people of whom it is not plain that they are enough.
ROLES = st.sampled_from(
    [
        frozenset({Role.LIAISON}),
        frozenset({Role.LIAISON}),
        frozenset({Role.LEGAL}),
        frozenset({Role.LEGAL, Role.LIAISON}),
        frozenset({Role.OPERATOR, Role.ANALYST, Role.AUDITOR}),
    ]
)
TEXTS = ("amber", "red")
"""Two texts that differ in one word: the TLP ceiling."""


@dataclass
class Somebody:
    """What the machine knows of one person."""

    roles: frozenset[Role]
    badges: list[Badge]  # every one ever made; the last one is good
    removed: bool = False


class PeopleMachine(RuleBasedStateMachine):
    """One party's people come, go, get badges and approve; time passes."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.world = World(Path(self.folder.name))
        self.world.found("aurelia", "borealia")
        self.node = self.world.nodes["aurelia"]
        for role in (Role.LEGAL, Role.LIAISON):
            people.remove_person(self.node, self.world.badges["aurelia", role].person)
        self.known: dict[str, Somebody] = {}
        self.book: dict[str, dict[str, tuple[Role, int]]] = {}  # text -> person -> role and end
        self.signed: set[str] = set()
        self.texts = {parse_terms(convert_terms(self.world.terms(tlp=text))).hash: text for text in TEXTS}

    def teardown(self) -> None:
        self.check_log()
        self.world.close()
        verify_folder(self.node.folder)
        self.folder.cleanup()

    # --- who is there ---

    @initialize(roles=st.lists(ROLES, min_size=2, max_size=3))
    def begin(self, roles: list[frozenset[Role]]) -> None:
        for name, held in zip(PEOPLE, roles, strict=False):
            self.add(name, held)

    @rule(name=st.sampled_from(PEOPLE), roles=ROLES)
    def add_later(self, name: str, roles: frozenset[Role]) -> None:
        self.add(name, roles)

    def add(self, name: str, roles: frozenset[Role]) -> None:
        if name in self.known:
            return
        badge = people.add_person(self.node, Person(id=PersonId(name), name=name, roles=roles))
        self.known[name] = Somebody(roles, [badge])

    @precondition(lambda self: self.known)
    @rule(data=st.data())
    def renew(self, data: st.DataObject) -> None:
        name = data.draw(st.sampled_from(sorted(self.known)))
        if not self.known[name].removed:
            self.known[name].badges.append(people.renew_person(self.node, PersonId(name)))
            self.forget(name)

    @precondition(lambda self: self.known)
    @rule(data=st.data(), really=st.sampled_from((True, False, False)))
    def remove(self, data: st.DataObject, *, really: bool) -> None:
        name = data.draw(st.sampled_from(sorted(self.known)))
        if really and not self.known[name].removed:
            people.remove_person(self.node, PersonId(name))
            self.known[name].removed = True
            self.forget(name)

    def forget(self, name: str) -> None:
        for approvals in self.book.values():
            approvals.pop(name, None)

    @rule(days=st.sampled_from((1, 6, 7, 13, 14)))
    def wait(self, days: int) -> None:
        self.world.tick(days * DAY)

    # --- who approves ---

    @precondition(lambda self: self.known and len(self.signed) < len(TEXTS))
    @rule(data=st.data(), role=st.sampled_from((None, None, Role.LIAISON, Role.LEGAL, Role.OPERATOR)))
    def approve(self, data: st.DataObject, role: Role | None) -> None:
        text = data.draw(st.sampled_from([text for text in TEXTS if text not in self.signed]))
        name = data.draw(st.sampled_from(sorted(self.known)))
        somebody = self.known[name]
        # 0 is the good one, counted from the end.
        place = len(somebody.badges) - 1 - data.draw(st.sampled_from(range(len(somebody.badges))))
        good = not somebody.removed and place == len(somebody.badges) - 1
        try:
            person = identify(self.node, somebody.badges[place])
        except AuthenticationError:
            assert not good
            return
        assert good
        done = agree.propose(self.node, self.world.terms(tlp=text), by=Actor(person=person, role=role))
        self.judge(text, name, role, done)

    def judge(self, text: str, name: str, role: Role | None, done: Recorded | Waiting | Refusal) -> None:
        fitting = self.known[name].roles & {Role.LEGAL, Role.LIAISON}
        if not fitting or (role is not None and role not in fitting):
            assert isinstance(done, Refusal)
            return
        acts_as = role or (Role.LEGAL if Role.LEGAL in fitting else Role.LIAISON)
        book = self.book.setdefault(text, {})
        book[name] = (acts_as, self.world.now + 14 * DAY)
        counted = {who: acts for who, (acts, end) in book.items() if end > self.world.now}
        enough = len(counted) >= 2 and Role.LEGAL in counted.values()
        assert isinstance(done, Recorded) == enough, (counted, done)
        if isinstance(done, Recorded):
            assert {item.person: item.role for item in done.approvals} == counted
            del self.book[text]
            self.signed.add(text)

    # --- what must hold ---

    @invariant()
    def nothing_else_is_signed(self) -> None:
        with self.node.store.read() as transaction:
            row = transaction.row("SELECT COUNT(*) FROM event")
        assert row == (len(self.signed),)

    @invariant()
    def what_waits_is_what_the_book_says(self) -> None:
        waiting = dict[str, set[str]]()
        for item in people.list_matters(self.node):
            assert isinstance(item.facts, dict)
            waiting[self.texts[Digest(str(item.facts["terms"]))]] = {approval.person for approval in item.approvals}
        book = {
            text: {who for who, (_, end) in approvals.items() if end > self.world.now}
            for text, approvals in self.book.items()
        }
        assert waiting == {text: names for text, names in book.items() if names}

    def check_log(self) -> None:
        for entry in list_entries(self.node, start=0, limit=1_000):
            assert isinstance(entry.content, dict)
            if entry.leaf.type is EntryType.AGREEMENT_EVENT:
                approvals = cast("list[dict[str, str]]", entry.content["approvals"])
                assert len({item["person"] for item in approvals}) >= 2
                assert "legal" in {item["role"] for item in approvals}


TestPeople = PeopleMachine.TestCase
TestPeople.settings = settings(
    max_examples=60, stateful_step_count=30, deadline=None, suppress_health_check=list(HealthCheck)
)
