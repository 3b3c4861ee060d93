# SPDX-License-Identifier: Apache-2.0
"""The gate and the scope: total, default-deny, and every refusal says which clause and why."""

import dataclasses
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from comity.agreement.channels import History
from comity.agreement.events import Event, EventKind, Reservation
from comity.agreement.lifecycle import Standing, compute_standing
from comity.agreement.recognition import Recognised, Refusal
from comity.agreement.terms import Channel, Scope, Terms, parse_terms
from comity.agreement.transitions import State
from comity.canonical import Json
from comity.ids import Instant, PartyId, parse_instant
from comity.release.decision import Redact, Release, Withhold, decide, decide_gate, decide_history
from comity.release.history import find_threshold
from comity.stix.labels import Label
from comity.stix.markings import TLP_ORDER, GranularMarking
from tests.agreement_strategies import event, sign_all
from tests.parties import AURELIA, BOREALIA, MERIDIA, change_terms, make_terms

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
    onward_to=frozenset({PartyId("meridia")}),
    excluded_frameworks=frozenset({"coalition-dusk"}),
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


TERMS = make_terms(AURELIA, BOREALIA, MERIDIA)
(CHANNEL, *_) = TERMS.channels
AGREED = tuple(sign_all(TERMS))
NOW = parse_instant("2026-06-01T00:00:00Z")


def stand(*said: Event, terms: Terms = TERMS, now: Instant = NOW) -> Standing:
    return compute_standing([terms], said, now=now)


def ask(
    standing: Standing | None,
    recognition: Recognised | Refusal | None = RECOGNISED,
    *,
    channel: Channel = CHANNEL,
    giver: PartyId = AURELIA,
    receiver: PartyId = BOREALIA,
) -> Withhold | None:
    return decide_gate(standing, recognition, channel=channel, giver=giver, receiver=receiver)


@pytest.mark.parametrize("state", [state for state in State if state is not State.IN_FORCE])
def test_the_gate_is_closed_in_every_state_but_one(state: State) -> None:
    closed = ask(dataclasses.replace(stand(*AGREED), state=state, sentence=f"is {state}"))
    assert isinstance(closed, Withhold)
    assert closed.clause == "status"
    assert str(state) in closed.reason


def test_the_gate_is_open_when_in_force_and_recognised() -> None:
    assert ask(stand(*AGREED)) is None


@pytest.mark.parametrize("standing", [None, stand(*AGREED)], ids=["none", "in force"])
@pytest.mark.parametrize("recognition", [None, Refusal(clause="legal_bases", reason="none is recognised")])
def test_the_gate_is_closed_without_a_recognised_basis_or_without_an_agreement(
    standing: Standing | None, recognition: Refusal | None
) -> None:
    assert isinstance(ask(standing, recognition), Withhold)


@pytest.mark.parametrize(
    ("giver", "receiver"),
    [(BOREALIA, AURELIA), (AURELIA, AURELIA), (AURELIA, PartyId("tavria")), (PartyId("tavria"), BOREALIA)],
)
def test_the_gate_is_closed_to_whom_the_channel_does_not_name(giver: PartyId, receiver: PartyId) -> None:
    closed = ask(stand(*AGREED), giver=giver, receiver=receiver)
    assert isinstance(closed, Withhold)
    assert closed.clause == "parties"


def test_a_suspended_channel_is_closed_and_the_others_are_open() -> None:
    standing = stand(*AGREED, event(EventKind.SUSPEND, MERIDIA, TERMS, channel=CHANNEL.id))
    closed = ask(standing)
    assert isinstance(closed, Withhold)
    assert (closed.clause, "meridia" in closed.reason) == ("status", True)
    assert ask(standing, channel=TERMS.channels[1], giver=BOREALIA, receiver=AURELIA) is None


def test_a_reservation_closes_its_channel_for_who_made_it_and_for_nobody_else() -> None:
    allowing = parse_terms(change_terms(TERMS, reservations=[f"channels.{CHANNEL.id}.regions"]))
    reserved = Reservation(clause=f"channels.{CHANNEL.id}.regions", ground="national_law", text=None)
    said = [
        dataclasses.replace(one, reservations=(reserved,)) if one.party == BOREALIA else one
        for one in sign_all(allowing)
        if one.kind is EventKind.ACCEPT
    ] + [one for one in sign_all(allowing) if one.kind is EventKind.CONFIRM]
    standing = stand(*said, terms=allowing)
    closed = ask(standing)
    assert isinstance(closed, Withhold)
    assert closed.clause == "reservations"
    assert ask(standing, receiver=MERIDIA) is None
    assert ask(standing, channel=allowing.channels[1], giver=BOREALIA, receiver=AURELIA) is None


@pytest.mark.parametrize(("before", "open_"), [(1, True), (0, False)])
def test_what_ran_out_closes_the_gate_for_one_party_at_its_very_instant(before: int, open_: bool) -> None:
    bases = json.loads(TERMS.document)["legal_bases"]
    until = "2026-06-01T00:00:00Z"
    limited = parse_terms(change_terms(TERMS, legal_bases=[{**bases[0], "valid_until": until}, *bases[1:]]))
    standing = stand(*sign_all(limited), terms=limited, now=Instant(NOW - before))
    assert (ask(standing) is None) == open_
    assert (ask(standing, channel=limited.channels[1], giver=BOREALIA, receiver=AURELIA) is None) == open_
    assert ask(standing, channel=limited.channels[1], giver=BOREALIA, receiver=MERIDIA) is None
    given: Json = {"kind": "no_torture", "given_by": AURELIA, "document": "7" * 64, "valid_until": until}
    assured = parse_terms(change_terms(TERMS, assurances=[given]))
    closed = ask(stand(*sign_all(assured), terms=assured, now=Instant(NOW - before)))
    assert (closed is None) == open_
    assert closed is None or closed.clause == "assurances"


def test_what_fits_is_released() -> None:
    assert decide(SCOPE, LABEL, recipient=BOREALIA) == Release()
    restricted = dataclasses.replace(
        LABEL,
        audience=SCOPE.onward_to | {BOREALIA, PartyId("cimbria")},
        excluded_frameworks=SCOPE.excluded_frameworks,
    )
    assert decide(SCOPE, restricted, recipient=BOREALIA) == Release()


@pytest.mark.parametrize(
    ("change", "clause", "words"),
    [
        ({"tlp": "red"}, "tlp_ceiling", ("red", "amber")),
        ({"tlp": "unmarked"}, "tlp_ceiling", ("unmarked",)),
        ({"regions": frozenset({frozenset({"IQ"}), frozenset({"TR"})})}, "regions", ("TR", "IQ")),
        ({"subjects": frozenset({frozenset[str]()})}, "subjects", ("nothing is said", "national:ashfall")),
        ({"markings": frozenset({"unknown:marking-definition--x"})}, "markings", ("unknown:", "admit none")),
        ({"audience": frozenset[PartyId]()}, "audience", ("to borealia, meridia:", "originator")),
        ({"audience": frozenset({PartyId("meridia")})}, "audience", ("to borealia:", "originator")),
        ({"audience": frozenset({BOREALIA})}, "audience", ("to meridia:", "originator")),
        ({"excluded_frameworks": frozenset({"coalition-dawn"})}, "frameworks", ("exclude coalition-dawn", "do not")),
        (
            {"excluded_frameworks": frozenset({"coalition-dawn", "coalition-dusk"})},
            "frameworks",
            ("exclude coalition-dawn,", "do not"),
        ),
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


MARKED = dataclasses.replace(
    LABEL,
    granular=(GranularMarking(property="description", tlp="red"), GranularMarking(property="labels", tlp="green")),
)


def test_without_tear_lines_an_object_goes_whole_or_not_at_all() -> None:
    scope = dataclasses.replace(SCOPE, sanitise="none")
    assert decide(scope, LABEL, recipient=BOREALIA) == Release()
    withheld = decide(scope, MARKED, recipient=BOREALIA)
    assert isinstance(withheld, Withhold)
    assert (withheld.clause, "description" in withheld.reason) == ("sanitise", True)


def test_of_tear_lines_alone_nothing_goes_that_is_not_marked_for_it() -> None:
    scope = dataclasses.replace(SCOPE, sanitise="tear_line_required")
    assert decide(scope, MARKED, recipient=BOREALIA) == Redact(
        properties=frozenset({"description"}), only=frozenset({"labels"})
    )
    for label in (LABEL, dataclasses.replace(LABEL, granular=MARKED.granular[:1])):
        withheld = decide(scope, label, recipient=BOREALIA)
        assert isinstance(withheld, Withhold)
        assert withheld.clause == "sanitise"


def test_a_property_that_only_repeats_what_is_marked_elsewhere_is_no_tear_line() -> None:
    scope = dataclasses.replace(SCOPE, sanitise="tear_line_required")
    repeat = GranularMarking(property="x_note", tlp="amber", repeats=True)
    decision = decide(scope, dataclasses.replace(MARKED, granular=(*MARKED.granular, repeat)), recipient=BOREALIA)
    assert decision == Redact(properties=frozenset({"description"}), only=frozenset({"labels"}))


@pytest.mark.parametrize(("attribution", "goes"), [("may", True), ("must", True), ("must-not", False)])
def test_who_made_an_object_goes_unless_the_terms_forbid_it(attribution: str, goes: bool) -> None:
    decision = decide(dataclasses.replace(SCOPE, attribution=attribution), LABEL, recipient=BOREALIA)
    assert decision == (Release() if goes else Redact(properties=frozenset({"created_by_ref"})))


@pytest.mark.parametrize("sanitise", ["none", "tear_line_allowed", "tear_line_required"])
def test_no_way_of_sanitising_lets_through_what_a_clause_refuses(sanitise: str) -> None:
    scope = dataclasses.replace(SCOPE, sanitise=sanitise, attribution="must-not")
    decision = decide(scope, dataclasses.replace(MARKED, tlp="red"), recipient=BOREALIA)
    assert isinstance(decision, Withhold)
    assert decision.clause == "tlp_ceiling"


@pytest.mark.parametrize(
    ("history", "joined", "old", "new"),
    [
        (History(), False, False, True),
        (History(all=True), False, True, True),
        (History(since=Instant(NOW - 5)), False, True, True),
        (History(since=Instant(NOW - 4)), False, False, True),
        (History(all=True), True, False, True),
        (History(since=Instant(NOW - 5)), True, False, True),
    ],
)
def test_history_is_what_came_in_before_all_had_signed(history: History, joined: bool, old: bool, new: bool) -> None:
    """An object at place 7, five microseconds old, and one at place 8: the last signature came at place 7."""
    threshold = find_threshold(history, floor=7, joined=joined)
    for seq, at, admitted in ((7, NOW - 5, old), (8, NOW, new)):
        decided = decide_history(threshold, first_seq=seq, added_at=Instant(at))
        assert (decided is None) == admitted
        assert decided is None or decided.clause == "history"
