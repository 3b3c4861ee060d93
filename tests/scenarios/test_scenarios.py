# SPDX-License-Identifier: Apache-2.0
"""Every bundled scenario holds, its matrix is the reviewed one, and neither would pass a mutant.

After a change that is meant: `comity agreement test tests/scenarios --matrices tests/scenarios/matrices --rewrite`.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from comity.agreement.channels import Channel
from comity.agreement.lifecycle import Obstacle, Standing
from comity.agreement.recognition import Recognised
from comity.agreement.transitions import State
from comity.ids import ObjectId, PartyId
from comity.release.decision import Release
from comity.scenario import views, world
from comity.scenario.expectations import Expectation, ExpectedFlow, ExpectedStanding
from comity.scenario.parse import Scenario, parse_scenario
from comity.scenario.run import run_scenario
from comity.stix.labels import Label, Tags, make_label
from comity.stix.markings import Markings
from comity.stix.objects import StixObject
from comity.stix.references import Version

FOLDER = Path(__file__).parent
FILES = sorted(FOLDER.glob("*.yaml"))
SCENARIOS = {path.stem: parse_scenario(path.read_bytes()) for path in FILES}
AURELIA = PartyId("aurelia")
REAL = re.compile(r"\b(russian?|moscow|kerry|lavrov|syrian?|iraqi?|isis|isil|nato|interpol|europol)\b", re.IGNORECASE)
WIDEST = 120


@pytest.mark.parametrize("name", SCENARIOS)
def test_it_holds_and_its_matrix_is_the_reviewed_one(name: str) -> None:
    outcome = run_scenario(SCENARIOS[name])
    assert outcome.failures == ()
    assert outcome.matrix == (FOLDER / "matrices" / f"{name}.txt").read_text(encoding="utf-8")


def test_there_are_enough_and_no_matrix_is_left_over() -> None:
    assert len(FILES) >= 25
    assert sorted(path.stem for path in (FOLDER / "matrices").glob("*.txt")) == [path.stem for path in FILES]


@pytest.mark.parametrize("path", [*FILES, *sorted((FOLDER / "matrices").glob("*.txt"))], ids=lambda path: path.name)
def test_it_can_be_read_and_names_nobody_real(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert [line for line in text.splitlines() if len(line) > WIDEST] == []
    assert not REAL.search(text)


def test_what_is_asked_leaves_no_state_and_few_clauses_out() -> None:
    asked = [expected for scenario in SCENARIOS.values() for expected in scenario.expectations]
    states = {expected.state for expected in asked if isinstance(expected, ExpectedStanding)}
    decisions = {
        wanted.partition(": ")[2]
        for expected in asked
        if isinstance(expected, ExpectedFlow)
        for wanted, _ in expected.decisions.values()
        if wanted.startswith("withhold")
    }
    assert set(State) - states <= {State.DRAFT}
    assert decisions == {
        "audience",
        "frameworks",
        "handling",
        "history",
        "kinds",
        "legal_bases",
        "markings",
        "originators",
        "person_classes",
        "regions",
        "reservations",
        "sanitise",
        "special_categories",
        "status",
        "subjects",
        "tlp_ceiling",
    }


# --- a scenario that says something else fails ------------------------------------------------------------------------


def flip(expected: Expectation) -> Iterator[Expectation]:
    """The same expectation, each thing it says said otherwise."""
    match expected:
        case ExpectedStanding():
            if expected.state is not None:
                others = [State.PROPOSED if expected.state is not State.PROPOSED else State.IN_FORCE]
                yield from (replace(expected, state=state) for state in others)
            if expected.says is not None:
                yield replace(expected, says=f"{expected.says} and more")
            if expected.owes is not None:
                party = sorted(expected.owes)[:1]
                yield replace(expected, owes={} if party else {AURELIA: "confirm"})
        case ExpectedFlow():
            for name, (wanted, line) in expected.decisions.items():
                other = "release" if wanted != "release" else "withhold: regions"
                yield replace(expected, decisions={**expected.decisions, name: (other, line)})
            if expected.gets is not None:
                yield replace(expected, gets=expected.gets ^ {"something-else"})
                yield from (replace(expected, gets=expected.gets - {name}) for name in expected.gets)


@pytest.mark.parametrize("name", SCENARIOS)
def test_each_thing_it_says_is_looked_at(name: str) -> None:
    scenario = SCENARIOS[name]
    for index, expected in enumerate(scenario.expectations):
        for other in flip(expected):
            changed = list(scenario.expectations)
            changed[index] = other
            failures = run_scenario(replace(scenario, expectations=tuple(changed), matrix=(other.at,))).failures
            assert failures, other
            assert {failure.line for failure in failures} <= set(lines_of(other))


def lines_of(expected: Expectation) -> list[int]:
    inner = [line for _, line in expected.decisions.values()] if isinstance(expected, ExpectedFlow) else []
    return [expected.line, *inner]


@pytest.mark.parametrize("name", SCENARIOS)
def test_each_refusal_it_names_is_looked_at(name: str) -> None:
    scenario = SCENARIOS[name]
    for index, happening in enumerate(scenario.happenings):
        if happening.refused is not None:
            changed = list(scenario.happenings)
            changed[index] = replace(happening, refused=None)
            failures = run_scenario(replace(scenario, happenings=tuple(changed))).failures
            assert happening.line in {failure.line for failure in failures}


# --- a node that decides otherwise fails them -------------------------------------------------------------------------


OBSTACLE = Standing.obstacle


def without_locks(standing: Standing, channel: Channel, giver: PartyId, receiver: PartyId) -> Obstacle | None:
    return OBSTACLE(replace(standing, locks=()), channel, giver, receiver)


def without_lapses(standing: Standing, channel: Channel, giver: PartyId, receiver: PartyId) -> Obstacle | None:
    return OBSTACLE(replace(standing, lapses=()), channel, giver, receiver)


def without_reservations(standing: Standing, channel: Channel, giver: PartyId, receiver: PartyId) -> Obstacle | None:
    return OBSTACLE(replace(standing, reservations=()), channel, giver, receiver)


def own_labels(versions: list[Version], *, outside: dict[ObjectId, Label]) -> dict[int, Label]:
    return {version.key: version.own for version in versions}


def unbounded(
    obj: StixObject,
    markings: Markings,
    tags: Tags,
    *,
    originators: frozenset[PartyId],
    audience: frozenset[PartyId] | None,
    excluded_frameworks: frozenset[str],
) -> Label:
    return make_label(obj, markings, tags, originators=originators, audience=None)


def in_every_framework(
    obj: StixObject,
    markings: Markings,
    tags: Tags,
    *,
    originators: frozenset[PartyId],
    audience: frozenset[PartyId] | None,
    excluded_frameworks: frozenset[str],
) -> Label:
    return make_label(obj, markings, tags, originators=originators, audience=audience)


MUTANTS: dict[str, tuple[object, str, Callable[..., object], set[str]]] = {
    "the decision ignores history": (
        views,
        "decide_history",
        lambda *_, **__: None,
        {"history", "joiner-without-history", "delisted-partner", "accession-by-majority"},
    ),
    "the gate is always open": (
        views,
        "decide_gate",
        lambda *_, **__: None,
        {"two-statements", "partial-suspension", "withdrawn", "not-yet-in-force"},
    ),
    "the gate ignores locks of a channel": (Standing, "obstacle", without_locks, {"partial-suspension"}),
    "the gate ignores what has run out": (Standing, "obstacle", without_lapses, {"basis-lapses"}),
    "the gate ignores reservations": (Standing, "obstacle", without_reservations, {"reservation"}),
    "a label does not stand for references": (
        views,
        "settle_labels",
        own_labels,
        {"report-refers-to-withheld", "regions-of-two-objects", "minors", "two-groups"},
    ),
    "the scope admits everything": (
        views,
        "decide",
        lambda *_, **__: Release(),
        {"kinds", "handling", "redaction", "unknown-marking", "special-category"},
    ),
    "no policy is asked": (
        views,
        "judge",
        lambda *_, **__: Recognised(bases=()),
        {"two-statements", "political-declaration", "expired-assurance"},
    ),
    "what was received is bound by nothing": (
        views,
        "make_label",
        unbounded,
        {"onward-chain", "two-groups", "leaver", "terminated", "excluded-framework"},
    ),
    "no framework is excluded": (views, "make_label", in_every_framework, {"excluded-framework"}),
    "nobody confirms": (world, "find_confirmable", lambda *_: None, set(SCENARIOS) - {"lapsed-proposal"}),
    "lost recognition stops nothing": (world, "find_lost_recognition", lambda *_, **__: None, {"recognition-lost"}),
    "everything can be said": (
        world,
        "check_event",
        lambda *_: None,
        {"lapsed-proposal", "partial-suspension", "leaver", "conflicting-versions"},
    ),
}


@pytest.mark.parametrize("mutant", MUTANTS)
def test_a_mutant_is_caught(mutant: str, monkeypatch: pytest.MonkeyPatch) -> None:
    place, name, otherwise, must_fail = MUTANTS[mutant]
    monkeypatch.setattr(place, name, otherwise)
    assert must_fail <= {name for name, scenario in SCENARIOS.items() if run_scenario(scenario).failures}


def test_what_is_written_in_another_order_comes_to_the_same() -> None:
    for scenario in SCENARIOS.values():
        turned: Scenario = replace(scenario, items=scenario.items[::-1], expectations=scenario.expectations[::-1])
        assert run_scenario(turned).failures == ()
