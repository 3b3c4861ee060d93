# SPDX-License-Identifier: Apache-2.0
"""Which acts a party is offered: those that would not be refused, and all of them."""

import pytest

from comity.agreement.events import Event, EventKind
from comity.agreement.lifecycle import compute_standing
from comity.agreement.possible import find_possible_acts
from comity.ids import PartyId, parse_instant
from tests.agreement_strategies import FIRST, GROUP, event, sign_all
from tests.parties import AURELIA, BOREALIA, MERIDIA

NOW = parse_instant("2026-06-01T00:00:00Z")
PROPOSED = event(EventKind.PROPOSE, AURELIA, FIRST)
ACCEPTED = event(EventKind.ACCEPT, BOREALIA, FIRST)
QUESTION = event(EventKind.CLARIFY, BOREALIA, FIRST, clause="parties", text="All of IQ?")
AGREED = (PROPOSED, ACCEPTED, *(event(EventKind.CONFIRM, party, FIRST) for party in (AURELIA, BOREALIA)))
CHANNELS = [channel.id for channel in FIRST.channels]
ALL_STOPPED = event(EventKind.SUSPEND, BOREALIA, FIRST)
ONE_STOPPED = event(EventKind.SUSPEND, BOREALIA, FIRST, channel=CHANNELS[0])
REJECTED = event(EventKind.REJECT, BOREALIA, FIRST)
TERMINATED = event(EventKind.TERMINATE, AURELIA, FIRST)


def offer(party: PartyId, *said: Event) -> list[str]:
    """Each act, with the channel behind it."""
    acts = find_possible_acts(compute_standing((FIRST,), said, now=NOW), party, now=NOW)
    return [act.kind.value + (f" {act.channel}" if act.channel else "") for act in acts]


SUSPENDS = ["suspend", *(f"suspend {name}" for name in CHANNELS)]


@pytest.mark.parametrize(
    ("said", "party", "acts"),
    [
        ((PROPOSED,), BOREALIA, ["accept", "reject", "clarify"]),
        ((PROPOSED,), AURELIA, ["reject", "withdraw", "clarify"]),
        ((PROPOSED,), MERIDIA, []),
        ((PROPOSED, QUESTION), AURELIA, ["reject", "withdraw", "clarify", "answer"]),
        (AGREED, AURELIA, ["clarify", *SUSPENDS, "terminate"]),
        (AGREED, MERIDIA, []),
        ((*AGREED, ALL_STOPPED), AURELIA, ["clarify", *SUSPENDS, "terminate"]),
        ((*AGREED, ALL_STOPPED), BOREALIA, ["clarify", "resume", "terminate"]),
        (
            (*AGREED, ONE_STOPPED),
            BOREALIA,
            [
                "clarify",
                *(item for item in SUSPENDS if item != f"suspend {CHANNELS[0]}"),
                "resume",
                f"resume {CHANNELS[0]}",
                "terminate",
            ],
        ),
        ((PROPOSED, REJECTED), BOREALIA, [*SUSPENDS, "terminate"]),
        ((*AGREED, TERMINATED), AURELIA, []),
    ],
)
def test_what_a_party_is_offered(said: tuple[Event, ...], party: PartyId, acts: list[str]) -> None:
    assert offer(party, *said) == acts


def test_each_open_question_can_be_answered() -> None:
    other = event(EventKind.CLARIFY, BOREALIA, FIRST, clause="purposes", text="Which?")
    standing = compute_standing((FIRST,), (PROPOSED, QUESTION, other), now=NOW)
    asked = {act.question for act in find_possible_acts(standing, AURELIA, now=NOW) if act.kind is EventKind.ANSWER}
    assert asked == {QUESTION.digest, other.digest}


def test_a_group_is_left_and_an_agreement_between_two_is_ended() -> None:
    standing = compute_standing((GROUP,), sign_all(GROUP), now=NOW)
    kinds = {act.kind for act in find_possible_acts(standing, AURELIA, now=NOW)}
    assert EventKind.LEAVE in kinds
    assert EventKind.TERMINATE not in kinds
