# SPDX-License-Identifier: Apache-2.0
"""The gate and the scope: total, default-deny, and every refusal says which clause and why."""

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from comity.agreement.lifecycle import Standing, State
from comity.agreement.recognition import Recognised, Refusal
from comity.agreement.terms import Scope
from comity.ids import PartyId
from comity.release.decision import Redact, Release, Withhold, decide, decide_gate
from comity.stix.labels import Label
from comity.stix.markings import TLP_ORDER, GranularMarking

BOREALIA = PartyId("borealia")
SCOPE = Scope(
    types=frozenset({"report"}),
    tlp_ceiling="amber",
    markings=frozenset(),
    originators=frozenset({PartyId("aurelia")}),
    subjects=frozenset({"national:ashfall"}),
    regions=frozenset({"IQ"}),
    kinds=None,
    person_classes=frozenset(),
    special_categories=frozenset(),
    handling=frozenset(),
    framework="coalition-dawn",
)
LABEL = Label(
    types=frozenset({"report"}),
    tlp="green",
    markings=frozenset(),
    originators=frozenset({PartyId("aurelia")}),
    subjects=frozenset({frozenset({"national:ashfall"})}),
    regions=frozenset({frozenset({"IQ", "SY"})}),
    kinds=frozenset({"unspecified"}),
    person_classes=frozenset(),
    special_categories=frozenset(),
    handling=frozenset(),
    audience=None,
    excluded_frameworks=frozenset(),
    granular=(),
)
RECOGNISED = Recognised(bases=())


class Fixed(Standing):
    """A standing of which only state and sentence are asked."""

    def __init__(self, state: State) -> None:
        object.__setattr__(self, "state", state)
        object.__setattr__(self, "sentence", f"is {state}")


@pytest.mark.parametrize("state", [state for state in State if state is not State.IN_FORCE])
def test_the_gate_is_closed_in_every_state_but_one(state: State) -> None:
    closed = decide_gate(Fixed(state), RECOGNISED)
    assert isinstance(closed, Withhold)
    assert closed.clause == "status"
    assert str(state) in closed.reason


def test_the_gate_is_open_when_in_force_and_recognised() -> None:
    assert decide_gate(Fixed(State.IN_FORCE), RECOGNISED) is None


@pytest.mark.parametrize("standing", [None, Fixed(State.IN_FORCE)])
@pytest.mark.parametrize("recognition", [None, Refusal(clause="legal_bases", reason="none is recognised")])
def test_the_gate_is_closed_without_a_recognised_basis_or_without_an_agreement(
    standing: Standing | None, recognition: Refusal | None
) -> None:
    assert isinstance(decide_gate(standing, recognition), Withhold)


def test_what_fits_is_released() -> None:
    assert decide(SCOPE, LABEL, recipient=BOREALIA) == Release()


@pytest.mark.parametrize(
    ("change", "clause", "words"),
    [
        ({"tlp": "red"}, "tlp_ceiling", ("red", "amber")),
        ({"tlp": "unmarked"}, "tlp_ceiling", ("unmarked",)),
        ({"regions": frozenset({frozenset({"IQ"}), frozenset({"TR"})})}, "regions", ("TR", "IQ")),
        ({"subjects": frozenset({frozenset[str]()})}, "subjects", ("nothing is said", "national:ashfall")),
        ({"markings": frozenset({"unknown:marking-definition--x"})}, "markings", ("unknown:", "admit none")),
        ({"audience": frozenset[PartyId]()}, "audience", ("borealia", "originator")),
        ({"audience": frozenset({PartyId("aurelia")})}, "audience", ("borealia", "originator")),
        ({"excluded_frameworks": frozenset({"coalition-dawn"})}, "frameworks", ("coalition-dawn", "excludes")),
    ],
)
def test_a_refusal_names_the_clause_and_what_would_be_admitted(
    change: dict[str, object], clause: str, words: tuple[str, ...]
) -> None:
    decision = decide(SCOPE, dataclasses.replace(LABEL, **change), recipient=BOREALIA)  # type: ignore[arg-type]
    assert isinstance(decision, Withhold)
    assert decision.clause == clause
    for word in words:
        assert word in decision.reason


@given(st.lists(st.tuples(st.sampled_from(["name", "description", "labels"]), st.sampled_from(TLP_ORDER))))
def test_exactly_the_properties_marked_above_the_ceiling_are_removed(marks: list[tuple[str, str]]) -> None:
    granular = tuple(GranularMarking(property=name, tlp=tlp) for name, tlp in marks)
    decision = decide(SCOPE, dataclasses.replace(LABEL, granular=granular), recipient=BOREALIA)
    refused = {name for name, tlp in marks if tlp in {"amber+strict", "red", "unmarked"}}
    assert decision == (Redact(properties=frozenset(refused)) if refused else Release())
