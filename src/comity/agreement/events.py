# SPDX-License-Identifier: Apache-2.0
"""Pure: what a party can say of an agreement, as values. One event is one signed message (`comity.exchange`)."""

from dataclasses import dataclass
from enum import StrEnum

from comity.agreement.terms import LegalBasis
from comity.ids import AgreementId, Digest, Instant, PartyId

__all__ = ["CARRIES_TERMS", "SIGNS", "STOPS", "TALK", "Event", "EventKind", "Position", "Reservation"]


class EventKind(StrEnum):
    """What a party can say of an agreement."""

    PROPOSE = "propose"
    COUNTER = "counter"
    ACCEPT = "accept"
    CONFIRM = "confirm"
    REJECT = "reject"
    WITHDRAW = "withdraw"
    CLARIFY = "clarify"
    ANSWER = "answer"
    SUSPEND = "suspend"
    RESUME = "resume"
    TERMINATE = "terminate"
    LEAVE = "leave"
    ADMIT = "admit"
    ACCEDE = "accede"


TALK = frozenset({EventKind.CLARIFY, EventKind.ANSWER})
SIGNS = frozenset({EventKind.PROPOSE, EventKind.COUNTER, EventKind.ACCEPT})
"""The kinds by which a party named in a text signs it."""

CARRIES_TERMS = SIGNS | {EventKind.ACCEDE}
"""The kinds that come with the whole document and the sender's signatures over it."""

STOPS = frozenset(
    {
        EventKind.SUSPEND,
        EventKind.TERMINATE,
        EventKind.REJECT,
        EventKind.WITHDRAW,
        EventKind.COUNTER,
        EventKind.LEAVE,
    }
)
"""The kinds that can close a gate: bytes under way must be waited for when one of them is recorded."""


class Position(StrEnum):
    """What a party says of one legal basis in a text."""

    RECOGNISED = "recognised"
    NOT_RECOGNISED = "not_recognised"
    NO_POSITION = "no_position"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reservation:
    """A clause that a party signs with a reservation, and on which ground."""

    clause: str
    ground: str
    text: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One signed event. `digest` is the SHA-256 of its payload and its identity; `at` is the sender's claim.

    `re` is the question that an ANSWER answers, or the SUSPEND that a RESUME lifts; `channel` what a SUSPEND stops
    (None: all of it). `joiner` is whom an ADMIT admits, by the `manifest` that an ACCEDE shows as its own; `bases` are
    what the joiner cites for itself. `positions` are the sender's on the legal bases of the text, in their order.
    """

    digest: Digest
    kind: EventKind
    agreement: AgreementId
    terms: Digest
    party: PartyId
    at: Instant
    clause: str | None = None
    channel: str | None = None
    text: str | None = None
    re: Digest | None = None
    joiner: PartyId | None = None
    manifest: Digest | None = None
    bases: tuple[LegalBasis, ...] = ()
    positions: tuple[Position, ...] = ()
    reservations: tuple[Reservation, ...] = ()
