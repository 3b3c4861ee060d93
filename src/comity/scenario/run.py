# SPDX-License-Identifier: Apache-2.0
"""Pure: a scenario run from its first event to its last expectation: what is not as it says, and its release matrix.

    run_scenario(parse_scenario(b"format: comity-scenario/1 …"))  ->  Outcome(checks=14, failures=(), matrix="…")

An expectation is asked when everything up to its time, and at it, has happened.
"""

from dataclasses import dataclass

from comity.agreement.lifecycle import Standing
from comity.agreement.moves import find_next_steps
from comity.ids import AgreementId, Instant, PartyId, format_instant
from comity.release.verdict import Verdict
from comity.scenario.expectations import ExpectedFlow, ExpectedStanding, format_verdict
from comity.scenario.matrix import draw_head, draw_matrix
from comity.scenario.parse import Scenario
from comity.scenario.world import Failure, World, start_world

__all__ = ["Outcome", "run_scenario"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What came of a scenario: how many things it says were looked at, those that are not so, and its matrix."""

    checks: int
    failures: tuple[Failure, ...]
    matrix: str


def run_scenario(scenario: Scenario) -> Outcome:
    """The outcome; nothing raises that a scenario can say."""
    world = start_world(scenario)
    times = scenario.matrix or tuple(sorted({expected.at for expected in scenario.expectations}))
    moments = sorted({*times, *(expected.at for expected in scenario.expectations)})
    checks, failures, drawn = len(scenario.happenings), list[Failure](), [draw_head(scenario)]
    for now in moments:
        world.advance(now)
        for expected in scenario.expectations:
            if expected.at == now:
                found = _check(world, expected)
                checks += len(found)
                failures += [failure for failure in found if failure is not None]
        if now in times:
            drawn.append(draw_matrix(world, now))
    world.advance(max([*moments, *(happening.at for happening in scenario.happenings)]))
    ordered = sorted([*world.failures, *failures], key=lambda failure: failure.line)
    return Outcome(checks=checks, failures=tuple(ordered), matrix="\n".join(drawn))


def _check(world: World, expected: ExpectedStanding | ExpectedFlow) -> list[Failure | None]:
    """One entry for each thing that is expected; None where it is so."""
    match expected:
        case ExpectedStanding():
            return _check_standing(world, expected)
        case ExpectedFlow():
            return _check_flow(world, expected)


# --- standing ---------------------------------------------------------------------------------------------------------


def _check_standing(world: World, expected: ExpectedStanding) -> list[Failure | None]:
    agreement = world.scenario.agreements[expected.agreement].agreement_id
    seers = expected.seen_by or tuple(sorted(_find_bound(world, agreement)))
    found = list[Failure | None]()
    for party in seers:
        standing = world.views[party].standing(agreement, now=expected.at)
        found += _check_one_standing(expected, party, standing)
    return found


def _find_bound(world: World, agreement: AgreementId) -> frozenset[PartyId]:
    """The parties of every version."""
    versions = [terms for terms in world.scenario.agreements.values() if terms.agreement_id == agreement]
    return frozenset[PartyId]().union(*(terms.founders for terms in versions))


def _check_one_standing(expected: ExpectedStanding, party: PartyId, standing: Standing | None) -> list[Failure | None]:
    what = f"{expected.agreement}, as {party} sees it at {format_instant(expected.at)}"
    state = "draft" if standing is None else standing.state.value
    sentence = "nothing is on record" if standing is None else standing.sentence
    found = list[Failure | None]()
    if expected.state is not None:
        found.append(
            None
            if expected.state.value == state
            else Failure(line=expected.line, expected=f"{what}: {expected.state.value}", found=state, reason=sentence)
        )
    if expected.says is not None:
        right = expected.says in sentence
        found.append(
            None if right else Failure(line=expected.line, expected=f"{what}: {expected.says!r}", found=sentence)
        )
    if expected.owes is not None:
        found.append(_check_owed(expected, what, standing))
    return found


def _check_owed(expected: ExpectedStanding, what: str, standing: Standing | None) -> Failure | None:
    """Exactly these parties have a next step; what is said of one is an act of its, or all of them with "; "."""
    owed: dict[PartyId, list[str]] = {}
    for step in () if standing is None else find_next_steps(standing):
        owed.setdefault(step.party, []).append(step.act)
    wanted = expected.owes or {}
    right = wanted.keys() == owed.keys() and all(act == "; ".join(owed[party]) for party, act in wanted.items())
    if right:
        return None
    return Failure(
        line=expected.line,
        expected=f"{what} owes: {_list_owed({party: [act] for party, act in wanted.items()})}",
        found=_list_owed(owed),
    )


def _list_owed(owed: dict[PartyId, list[str]]) -> str:
    return ", ".join(f"{party} ({'; '.join(acts)})" for party, acts in sorted(owed.items())) or "nobody anything"


# --- flow -------------------------------------------------------------------------------------------------------------


def _check_flow(world: World, expected: ExpectedFlow) -> list[Failure | None]:
    found = [
        _check_decision(world, expected, name, wanted, line=line) for name, (wanted, line) in expected.decisions.items()
    ]
    if expected.gets is not None:
        found.append(_check_gets(world, expected, expected.gets))
    return found


def _check_decision(world: World, expected: ExpectedFlow, name: str, wanted: str, *, line: int) -> Failure | None:
    verdict = _decide(world, expected, name)
    if verdict is None:
        what = _name_flow(expected, name)
        return Failure(line=line, expected=f"{what} {wanted}", found=f"{expected.giver} does not hold {name} then")
    shown = format_verdict(verdict)
    if shown == wanted:
        return None
    return Failure(
        line=line,
        expected=f"{_name_flow(expected, name)} {wanted}",
        found=shown,
        clause=verdict.clause,
        reason=verdict.reason,
    )


def _decide(world: World, expected: ExpectedFlow, name: str) -> Verdict | None:
    view = world.views[expected.giver]
    held = view.find_held(name)
    if held is None:
        return None
    under = _find_under(world, expected)
    return view.find_verdict(held, expected.receiver, now=expected.at, under=under, channel=expected.channel)


def _check_gets(world: World, expected: ExpectedFlow, wanted: frozenset[str]) -> Failure | None:
    """The set of what leaves; where it is not the expected one, the first difference is explained."""
    under = _find_under(world, expected)
    offers = world.views[expected.giver].list_offers(
        expected.receiver, now=expected.at, under=under, channel=expected.channel
    )
    gets = frozenset(offer.held.name for offer in offers)
    if gets == wanted:
        return None
    first = min(gets ^ wanted)
    verdict = _decide(world, expected, first)
    why = f"{first}: {expected.giver} does not hold it" if verdict is None else f"{first}: {format_verdict(verdict)}"
    return Failure(
        line=expected.line,
        expected=f"{expected.receiver} gets of {expected.giver} at {_time(expected.at)}: {_list(wanted)}",
        found=_list(gets),
        clause=None if verdict is None else verdict.clause,
        reason=why if verdict is None or verdict.reason is None else f"{why} ({verdict.reason})",
    )


def _find_under(world: World, expected: ExpectedFlow) -> AgreementId | None:
    return None if expected.under is None else world.scenario.agreements[expected.under].agreement_id


def _name_flow(expected: ExpectedFlow, name: str) -> str:
    under = "" if expected.under is None else f" under {expected.under}"
    return f"{name} from {expected.giver} to {expected.receiver}{under} at {_time(expected.at)}:"


def _time(instant: Instant) -> str:
    return format_instant(instant)


def _list(words: frozenset[str]) -> str:
    return ", ".join(sorted(words)) or "nothing"
