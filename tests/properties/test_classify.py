# SPDX-License-Identifier: Apache-2.0
"""Laws of what a party says of objects: on those of others it only keeps back; it is undone whole; PREVIEWED."""

import json
from collections import defaultdict
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, find, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from comity.agreement.channels import Scope
from comity.agreement.people import Role
from comity.agreement.recognition import Refusal
from comity.classification.lists import parse_subject_list
from comity.errors import MalformedRequest
from comity.ids import PartyId
from comity.node import ingest
from comity.node.audit import audit_folder
from comity.node.classify import Classified, foresee_said, say, take_back
from comity.node.lists import Decided, Loaded, decide_subject, load_list
from comity.node.people import Waiting
from comity.release.clauses import CLAUSES, admits_groups
from comity.stix.labels import OVERFULL, QUESTIONED, UNSPECIFIED, Label, Tags, join_tags, make_tags
from comity.stix.worded import classify_own, classify_received, find_said
from comity.store import objects
from tests.strategies import labels, tags
from tests.worlds import World, make_object, object_id

_FEW = settings(
    max_examples=100,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    phases=[Phase.generate],
    database=None,
)
NOTHING = make_tags()
B = PartyId("borealia")
GROWING = ("subjects", "regions", "kinds", "person_classes", "special_categories", "handling")


def admits(scope: Scope, label: Label, recipient: PartyId) -> bool:
    return all(admits_groups(clause.test, clause.found(label), clause.allowed(scope, recipient)) for clause in CLAUSES)


def of_one(label: Label, said: Tags) -> Label:
    """The label of one object of which `said` is said."""
    return classify_own(label, said, NOTHING)


@st.composite
def cases(draw: st.DrawFn) -> tuple[Label, Tags, Tags, Scope]:
    """A label, what its giver and what this party says, and a scope over just these words: many are admitted."""
    said, words = draw(tags()), draw(tags())
    label = replace(draw(labels()), markings=frozenset(), tlp="green", audience=None, excluded_frameworks=frozenset())

    def some(field: str) -> frozenset[str]:
        pool = getattr(said, field) | getattr(words, field)
        return pool if draw(st.booleans()) else draw(st.frozensets(st.sampled_from(sorted(pool)))) if pool else pool

    scope = Scope(
        types=label.types,
        tlp_ceiling="amber",
        markings=frozenset(),
        originators=label.originators,
        subjects=some("subjects"),
        regions=some("regions"),
        kinds=None if draw(st.booleans()) else some("kinds"),
        person_classes=some("person_classes"),
        special_categories=some("special_categories"),
        handling=some("handling"),
        onward_to=frozenset(),
        excluded_frameworks=frozenset(),
    )
    return of_one(label, said), said, words, scope


@_FEW
@given(cases())
def test_words_on_what_others_gave_admit_it_nowhere_it_was_not_admitted(case: tuple[Label, Tags, Tags, Scope]) -> None:
    plain, said, words, scope = case
    after = classify_received(plain, said, words)
    assert not admits(scope, after, B) or admits(scope, plain, B)
    assert after == OVERFULL or (after.audience, after.originators) == (plain.audience, plain.originators)
    assert after == OVERFULL or all(getattr(after, name) >= getattr(plain, name) for name in GROWING)


@_FEW
@given(cases())
def test_words_that_name_safeguards_never_let_anything_go(case: tuple[Label, Tags, Tags, Scope]) -> None:
    plain, said, words, scope = case
    safeguards = {name: getattr(words, name) for name in ("person_classes", "special_categories", "handling")}
    after = classify_own(plain, said, make_tags(**safeguards))
    assert not admits(scope, after, B) or admits(scope, plain, B)


def test_the_cases_hold_many_that_are_admitted() -> None:
    """The laws above say something: words on what others gave do keep it back, and do leave it where it goes."""
    for wanted in ((True, True), (True, False)):
        find(
            cases(),
            lambda case, wanted=wanted: (  # type: ignore[misc]
                (admits(case[3], case[0], B), admits(case[3], classify_received(*case[:3]), B)) == wanted
                and case[2] != NOTHING
            ),
            settings=settings(max_examples=5_000, phases=[Phase.generate], suppress_health_check=list(HealthCheck)),
        )


@_FEW
@given(labels(), tags(), tags())
def test_taken_off_nothing_else_is_gone(label: Label, said: Tags, words: Tags) -> None:
    plain = of_one(label, said)
    if plain == OVERFULL:
        return
    assert find_said(plain) == said
    for classify in (classify_own, classify_received):
        there = classify(plain, said, words)
        assert there == OVERFULL or classify(there, said, NOTHING) == plain


NAMES = ("a", "b", "c")
WORDS = [
    ("subjects", "national:ashfall"),
    ("subjects", "national:other"),
    ("regions", "IQ"),
    ("regions", "JO"),
    ("kinds", "arms"),
    ("handling", "H1"),
    ("special_categories", "health"),
]
LISTED = ("national:ashfall", "national:other", "national:third")


class Desk(RuleBasedStateMachine):
    """Aurelia and what it says of its own objects; b refers to a. The model knows words, and no label."""

    @initialize()
    def begin(self) -> None:
        self.folder = TemporaryDirectory()
        self.world = World(Path(self.folder.name))
        self.world.found("aurelia", "borealia")
        self.world.sign_all(self.world.terms(subjects=["national:ashfall"], regions=["IQ"]))
        self.node = self.world.nodes["aurelia"]
        self.plain: dict[str, Tags] = {}
        self.words: defaultdict[str, set[tuple[str, str]]] = defaultdict(set)
        self.days: dict[str, int] = {}
        self.questioned: set[str] = set()
        self.listed: set[str] | None = None
        self.version = 0
        for name in NAMES:
            self._add(name, NOTHING)

    def teardown(self) -> None:
        if hasattr(self, "world"):
            assert audit_folder(self.world.folder / "aurelia", now=self.world.now).found == 0
            self.world.close()
            self.folder.cleanup()

    def _add(self, name: str, said: Tags) -> None:
        value = make_object(
            name,
            subjects=[],
            regions=[],
            refs=[object_id("report", "a")] if name == "b" else [],
            day=self.days.setdefault(name, 1),
        )
        intake = ingest.add_objects(self.node, json.dumps(value).encode(), tags=said)
        assert not intake.bad

    @rule(name=st.sampled_from(NAMES), word=st.sampled_from(WORDS))
    def said(self, name: str, word: tuple[str, str]) -> None:
        self.world.tick()
        words = {word[0]: [word[1]]}
        if word[0] == "subjects" and self.listed is not None and word[1] not in self.listed:
            with pytest.raises(MalformedRequest):
                foresee_said(self.node, object_id("report", name), words)
            return
        before = set(self.world.read("borealia"))
        foreseen = foresee_said(self.node, object_id("report", name), words)
        done = say(
            self.node, object_id("report", name), words, reason="r", by=self.world.actor("aurelia", Role.LIAISON)
        )
        assert isinstance(done, Classified)
        self.words[name].add(word)
        after = set(self.world.read("borealia"))
        gained = {item for effect in foreseen for item in effect.gained}
        lost = {item for effect in foreseen for item, _ in effect.lost}
        assert (after - before, before - after) == (gained, lost)

    @rule(name=st.sampled_from(NAMES), data=st.data())
    def taken_back(self, name: str, data: st.DataObject) -> None:
        if self.words[name]:
            word = data.draw(st.sampled_from(sorted(self.words[name])))
            done: Classified | Waiting | Refusal | None = None
            for role in (Role.LIAISON, Role.LEGAL):
                if done is None or isinstance(done, Waiting):
                    by = self.world.actor("aurelia", role)
                    done = take_back(self.node, object_id("report", name), {word[0]: [word[1]]}, reason="r", by=by)
            assert isinstance(done, Classified)
            self.words[name].remove(word)

    @rule(name=st.sampled_from(NAMES), word=st.sampled_from(WORDS[:4]))
    def comes_again_with_more(self, name: str, word: tuple[str, str]) -> None:
        more = make_tags(**{word[0]: [word[1]]})
        self._add(name, more)
        self.plain[name] = join_tags(self.plain.get(name, NOTHING), more)

    @rule(name=st.sampled_from(NAMES))
    def a_later_version_comes(self, name: str) -> None:
        self.days[name] += 1
        self._add(name, NOTHING)
        self.plain[name] = NOTHING

    @rule(listed=st.sets(st.sampled_from(LISTED), min_size=1))
    def a_list_is_loaded(self, listed: set[str]) -> None:
        self.version += 1
        value: dict[str, Any] = {
            "format": "comity-subject-list/1",
            "list": "national",
            "version": f"{self.version:06}",
            "entries": [{"subject": one, "kind": "entity", "names": [f"Name of {one}"]} for one in sorted(listed)],
        }
        listing = parse_subject_list(json.dumps(value).encode())
        done = load_list(self.node, listing, reason="r", by=self.world.actor("aurelia"))
        assert isinstance(done, Loaded)
        self.questioned |= (self.listed or set()) - listed
        self.listed = listed

    @rule(data=st.data())
    def people_decide(self, data: st.DataObject) -> None:
        if self.questioned:
            subject = data.draw(st.sampled_from(sorted(self.questioned)))
            done: object = None
            for role in (Role.LIAISON, Role.LEGAL):
                done = decide_subject(self.node, subject, "keep", reason="r", by=self.world.actor("aurelia", role))
            assert isinstance(done, Decided)
            self.questioned.remove(subject)

    @invariant()
    def labels_are_what_is_said(self) -> None:
        if not hasattr(self, "world"):
            return
        for name in NAMES:
            with self.node.store.read() as transaction:
                item = objects.read_current(transaction, [object_id("report", name)])[object_id("report", name)]
                label = objects.read_label(transaction, item.own_label)
            said = join_tags(
                self.plain.get(name, NOTHING),
                make_tags(**{field: [w for f, w in self.words[name] if f == field] for field, _ in WORDS}),
            )
            assert find_said(label) == said
            assert label.kinds == (said.kinds or {UNSPECIFIED})
            assert len(label.subjects) == len(label.regions) == 1
            assert (QUESTIONED in label.markings) == bool(said.subjects & self.questioned)


def test_labels_are_what_is_said_whatever_is_said_and_taken_back() -> None:
    run_state_machine_as_test(
        Desk,
        settings=settings(
            max_examples=12,
            stateful_step_count=15,
            deadline=None,
            database=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        ),
    )
