# SPDX-License-Identifier: Apache-2.0
"""What a scenario says wrongly is named with what was expected, what was found, the clause and the reason."""

from dataclasses import replace

import pytest

from comity.ids import PartyId, parse_instant
from comity.scenario.parse import parse_scenario
from comity.scenario.run import Outcome, run_scenario
from comity.scenario.world import Failure, start_world

HEAD = """\
format: comity-scenario/1
title: A title
story: Somebody does something.
parties: [aurelia, borealia, calderia]
agreements:
  pact: &pact
    form: mou
    parties: [aurelia, borealia]
    purposes: [exchange]
    permitted_actions: none
    validity: {from: 2026-01-01T00:00:00Z}
    reservations: [channels.main]
    legal_bases: &bases
      - {party: aurelia, kind: mou, reference: MOU-1, force: contract}
      - {party: borealia, kind: mou, reference: MOU-1, force: contract}
    channels:
      - &main {id: main, giver: aurelia, receivers: [borealia], types: [report], tlp_ceiling: amber,
               subjects: ["unsc:QDe.901"], regions: [SY], onward: none, history: all}
  next: {replaces: pact, <<: *pact}
objects:
  report: &told
    {type: report, from: aurelia, added: 2026-01-02T00:00:00Z, tlp: amber, subjects: ["unsc:QDe.901"], regions: [SY]}
  red: {<<: *told, tlp: red}
"""
SIGN = "  - {at: 2026-01-20T00:00:00Z, by: all, kind: sign, agreement: pact}\n"
HOLDS = "  - {at: 2026-03-01T00:00:00Z, agreement: pact, state: in force}\n"


def run(events: str = SIGN, expectations: str = HOLDS) -> Outcome:
    return run_scenario(parse_scenario(f"{HEAD}events:\n{events}expectations:\n{expectations}".encode()))


def fail(events: str = SIGN, expectations: str = HOLDS) -> Failure:
    (failure,) = run(events, expectations).failures
    return failure


def test_what_holds_has_no_failures_and_is_counted() -> None:
    flow = "  - {at: 2026-03-01T00:00:00Z, from: aurelia, to: borealia, gets: [report], decisions: {report: release}}\n"
    outcome = run(expectations=HOLDS + flow)
    assert outcome.failures == ()
    assert outcome.checks == 1 + 2 + 2  # an event; a state as two parties see it; a set and a decision


def test_a_wrong_state_is_named_with_its_sentence() -> None:
    (one, other) = run(expectations="  - {at: 2026-03-01T00:00:00Z, agreement: pact, state: suspended}\n").failures
    assert one == Failure(
        line=27,
        expected="pact, as aurelia sees it at 2026-03-01T00:00:00.000000Z: suspended",
        found="in force",
        reason="in force: agreed by all (aurelia, borealia), version 1",
    )
    assert "as borealia sees it" in other.expected


def test_a_wrong_sentence_and_a_wrong_debt_are_named() -> None:
    text = (
        "  - {at: 2026-03-01T00:00:00Z, agreement: pact, seen_by: [aurelia], says: not agreed,\n"
        "     owes: {aurelia: resume}}\n"
    )
    says, owes = run(expectations=text).failures
    assert says.expected.endswith("'not agreed'")
    assert says.found.startswith("in force")
    assert owes.expected.endswith("owes: aurelia (resume)")
    assert owes.found == "nobody anything"


def test_a_wrong_decision_is_named_with_clause_and_reason() -> None:
    text = "  - at: 2026-03-01T00:00:00Z\n    from: aurelia\n    to: borealia\n    decisions:\n      red: release\n"
    failure = fail(expectations=text)
    assert failure == Failure(
        line=31,
        expected="red from aurelia to borealia at 2026-03-01T00:00:00.000000Z: release",
        found="withhold: tlp_ceiling",
        clause="tlp_ceiling",
        reason="found red; the terms admit amber, clear, green",
    )


@pytest.mark.parametrize("wanted", ['"withhold: regions"', '"redact: name"', "release"])
def test_another_clause_is_another_decision(wanted: str) -> None:
    text = f"  - {{at: 2026-03-01T00:00:00Z, from: aurelia, to: borealia, decisions: {{red: {wanted}}}}}\n"
    assert fail(expectations=text).found == "withhold: tlp_ceiling"


@pytest.mark.parametrize(
    ("gets", "why"),
    [
        ("[]", "report: release"),
        ("[report, red]", "red: withhold: tlp_ceiling (found red; the terms admit amber, clear, green)"),
        ("[red]", "red: withhold: tlp_ceiling (found red; the terms admit amber, clear, green)"),
    ],
)
def test_a_wrong_set_explains_its_first_difference(gets: str, why: str) -> None:
    failure = fail(expectations=f"  - {{at: 2026-03-01T00:00:00Z, from: aurelia, to: borealia, gets: {gets}}}\n")
    assert failure.found == "report"
    assert failure.reason == why


def test_what_the_giver_does_not_hold_has_no_decision() -> None:
    text = "  - {at: 2026-03-01T00:00:00Z, from: borealia, to: aurelia, decisions: {report: release}}\n"
    assert fail(expectations=text).found == "borealia does not hold report then"
    early = "  - {at: 2026-01-01T12:00:00Z, from: aurelia, to: borealia, decisions: {report: release}}\n"
    assert fail(expectations=early).found == "aurelia does not hold report then"


def test_an_expectation_is_asked_when_everything_at_its_time_has_happened() -> None:
    before = "  - {at: 2026-01-19T23:59:59.999999Z, agreement: pact, state: draft}\n"
    at = "  - {at: 2026-01-20T00:00:00Z, agreement: pact, state: in force}\n"
    assert run(expectations=at + before).failures == ()


# --- what happens -----------------------------------------------------------------------------------------------------


def test_an_event_that_is_not_possible_fails_with_the_reason() -> None:
    twice = "  - {at: 2026-01-21T00:00:00Z, by: aurelia, kind: accept, agreement: pact}\n"
    failure = fail(SIGN + twice)
    assert failure.line == 26
    assert failure.expected == "aurelia can accept at 2026-01-21T00:00:00.000000Z"
    assert failure.found == "refused: not-in-this-state"
    assert failure.reason is not None
    assert failure.reason.startswith("every party has signed this version")


DRAFT = "  - {at: 2026-03-01T00:00:00Z, agreement: pact, state: draft}\n"


@pytest.mark.parametrize(
    ("written", "found"),
    [
        ("by: calderia, kind: propose, agreement: pact", "refused: legal_bases"),
        ("by: borealia, kind: propose, agreement: next", "refused: not-found"),
        ("by: aurelia, kind: answer, agreement: pact, text: Yes", "refused: not-found"),
        ("by: aurelia, kind: resume, agreement: pact", "refused: not-found"),
    ],
)
def test_what_a_node_refuses_is_no_event(written: str, found: str) -> None:
    assert fail(f"  - {{at: 2026-01-20T00:00:00Z, {written}}}\n", DRAFT).found == found


def test_a_refusal_that_does_not_come_fails_and_the_event_did_not_happen() -> None:
    event = "  - {at: 2026-01-20T00:00:00Z, by: aurelia, kind: propose, agreement: pact, refused: framework}\n"
    failure = fail(event, DRAFT)
    assert failure.expected == "refused: framework"
    assert failure.found == "aurelia can propose at 2026-01-20T00:00:00.000000Z"


def test_another_refusal_than_the_named_one_fails() -> None:
    event = "  - {at: 2026-01-20T00:00:00Z, by: calderia, kind: propose, agreement: pact, refused: framework}\n"
    failure = fail(event, DRAFT)
    assert (failure.expected, failure.found) == ("refused: framework", "refused: legal_bases")


def test_what_is_said_unchecked_is_said_and_the_state_judges_it() -> None:
    event = "  - {at: 2026-02-01T00:00:00Z, by: calderia, kind: suspend, agreement: pact, unchecked: true}\n"
    assert run(SIGN + event).failures == ()  # a stranger's suspension is on record and does not count


def test_messages_arrive_when_the_scenario_says_and_in_order() -> None:
    events = (
        "  - {at: 2026-01-20T08:00:00Z, by: aurelia, kind: propose, agreement: pact, arrives: 2026-01-20T18:00:00Z}\n"
        "  - {at: 2026-01-20T09:00:00Z, by: aurelia, kind: clarify, agreement: pact, clause: form, text: Well}\n"
        "  - {at: 2026-01-20T19:00:00Z, by: borealia, kind: accept, agreement: pact}\n"
    )
    expectations = (
        "  - {at: 2026-01-20T17:00:00Z, agreement: pact, seen_by: [aurelia], state: in clarification}\n"
        "  - {at: 2026-01-20T17:00:00Z, agreement: pact, seen_by: [borealia], state: draft}\n"
        "  - {at: 2026-01-20T18:00:00Z, agreement: pact, state: in clarification}\n"
        "  - {at: 2026-01-20T19:00:00Z, agreement: pact, state: in force}\n"
    )
    assert run(events, expectations).failures == ()


def test_objects_that_come_in_at_the_time_of_signing_are_history() -> None:
    text = f"{HEAD}events:\n{SIGN}expectations:\n".replace(", history: all", "").replace("2026-01-02", "2026-01-20")
    flow = '  - {at: 2026-03-01T00:00:00Z, from: aurelia, to: borealia, decisions: {report: "withhold: history"}}\n'
    assert run_scenario(parse_scenario(f"{text}{flow}".encode())).failures == ()


def test_what_is_pulled_twice_or_given_back_changes_nothing() -> None:
    text = HEAD.replace("objects:\n", EXTRA).replace("onward: none", "onward: listed, releasable_to: [aurelia]")
    events = SIGN + "".join(
        f"  - {{at: 2026-02-0{day}T00:00:00Z, by: {by}, kind: pull, from: {giver}}}\n"
        for day, (by, giver) in enumerate([("borealia", "aurelia"), ("aurelia", "borealia")] * 2, start=1)
    )
    events += "  - {at: 2026-01-20T00:00:00Z, by: all, kind: sign, agreement: back}\n"
    scenario = parse_scenario(f"{text}events:\n{events}expectations:\n{HOLDS}".encode())
    world = start_world(scenario)
    world.advance(parse_instant("2026-03-01T00:00:00Z"))
    assert world.failures == []
    aurelia, borealia = (world.views[party] for party in list(world.views)[:2])
    assert [(held.name, held.originator) for held in borealia.held] == [("report", "aurelia")]
    assert borealia.labels[1].audience == frozenset({PartyId("aurelia"), PartyId("borealia")})
    held = aurelia.find_held("report")
    assert held is not None
    assert (held.originator, held.own.audience) == ("aurelia", None)


EXTRA = """\
  back:
    <<: *pact
    channels:
      - {<<: *main, giver: borealia, receivers: [aurelia], originators: [own, aurelia]}
objects:
"""


def test_the_same_object_in_other_bytes_cannot_be_taken_in() -> None:
    text = HEAD.replace("tlp: amber, subjects", "tlp: amber, granular: {description: red}, subjects")
    both = text.replace("objects:\n", WIDER)
    events = SIGN + (
        "  - {at: 2026-02-01T00:00:00Z, by: borealia, kind: pull, from: aurelia}\n"
        "  - {at: 2026-02-02T00:00:00Z, by: all, kind: sign, agreement: wider}\n"
        "  - {at: 2026-02-03T00:00:00Z, by: borealia, kind: pull, from: aurelia}\n"
    )
    failures = run_scenario(parse_scenario(f"{both}events:\n{events}expectations:\n{HOLDS}".encode())).failures
    assert [failure.reason for failure in failures] == ["borealia holds report in this version with other bytes"]


WIDER = """\
  wider:
    <<: *pact
    channels: [{<<: *main, tlp_ceiling: red}]
objects:
"""


def test_what_was_pulled_stays_under_the_terms_it_came_under() -> None:
    listed = "onward: listed, releasable_to: [calderia], history"
    text = HEAD.replace("onward: none, history", listed).replace("  next: {replaces: pact, <<: *pact}\n", NARROWER)
    events = SIGN + (
        "  - {at: 2026-02-01T00:00:00Z, by: borealia, kind: pull, from: aurelia}\n"
        "  - {at: 2026-02-02T00:00:00Z, by: all, kind: sign, agreement: next}\n"
        "  - {at: 2026-02-03T00:00:00Z, by: borealia, kind: pull, from: aurelia}\n"
    )
    world = start_world(parse_scenario(f"{text}events:\n{events}expectations:\n{HOLDS}".encode()))
    world.advance(parse_instant("2026-03-01T00:00:00Z"))
    assert world.failures == []
    borealia = world.views[PartyId("borealia")]
    assert borealia.labels[1].audience == frozenset({PartyId("borealia"), PartyId("calderia")})


NARROWER = """\
  next:
    replaces: pact
    <<: *pact
    channels: [{<<: *main, onward: none, releasable_to: []}]
"""


@pytest.mark.parametrize("first", ["report", "edited"])
def test_of_several_versions_the_newest_that_may_go_leaves(first: str) -> None:
    edited = "  edited: {<<: *told, updates: report, added: 2026-01-03T00:00:00Z, tlp: green}\n"
    flow = "  - {at: 2026-03-01T00:00:00Z, from: aurelia, to: borealia, gets: [edited], decisions: {report: release}}\n"
    scenario = parse_scenario(f"{HEAD}{edited}events:\n{SIGN}expectations:\n{flow}".encode())
    items = sorted(scenario.items, key=lambda item: item.name != first)
    assert run_scenario(replace(scenario, items=tuple(items))).failures == ()


def test_nobody_else_may_owe_anything() -> None:
    event = "  - {at: 2026-02-01T00:00:00Z, by: aurelia, kind: suspend, agreement: pact}\n"
    text = "  - {at: 2026-03-01T00:00:00Z, agreement: pact, seen_by: [aurelia], owes: {}}\n"
    assert fail(SIGN + event, text).found == "aurelia (resume)"


def test_running_twice_is_running_once() -> None:
    scenario = parse_scenario(f"{HEAD}events:\n{SIGN}expectations:\n{HOLDS}".encode())
    assert run_scenario(scenario) == run_scenario(scenario)
    assert run_scenario(replace(scenario, matrix=(parse_instant("2026-01-01T00:00:00Z"),))).failures == ()
