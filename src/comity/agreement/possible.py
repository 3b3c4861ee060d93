# SPDX-License-Identifier: Apache-2.0
"""Pure: which acts a party could do on an agreement as it stands, each held against what would refuse it.

    find_possible_acts(standing, party, now=now) -> (PossibleAct(kind=SUSPEND), PossibleAct(kind=TERMINATE), …)

Who could be admitted to a group, and whether the party could join one, is asked beside. What needs a text of terms (a
next version) is not here, nor what a node says by itself (a confirmation). Nor is what the party's own policy
recognises, and who of its people may act.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from comity.agreement.events import TALK, Event, EventKind
from comity.agreement.lifecycle import Standing
from comity.agreement.moves import check_event, choose_terms
from comity.agreement.terms import clause_names
from comity.errors import ComityError
from comity.ids import Digest, Instant, PartyId

__all__ = ["PossibleAct", "can_accede", "find_admissible", "find_possible_acts"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PossibleAct:
    """One act; `channel` is what it would stop or let go on (None: all of it), `question` the one that it answers."""

    kind: EventKind
    channel: str | None = None
    question: Digest | None = None


def find_possible_acts(standing: Standing, party: PartyId, *, now: Instant) -> tuple[PossibleAct, ...]:
    """What `party` could do at `now`, in the order in which people think of it: signing, talking, stopping, ending."""
    return tuple(
        act for act, lock in _list_acts(standing, party) if _is_possible(standing, party, act, lock=lock, now=now)
    )


def find_admissible(
    standing: Standing, party: PartyId, manifests: Mapping[PartyId, Digest], *, now: Instant
) -> tuple[PartyId, ...]:
    """Whom `party` could admit at `now` by the manifest that it knows, in the order of their ids."""
    return tuple(
        joiner
        for joiner, manifest in sorted(manifests.items())
        if joiner != party and _can_join(standing, EventKind.ADMIT, party, joiner=joiner, manifest=manifest, now=now)
    )


def can_accede(standing: Standing, party: PartyId, manifest: Digest, *, now: Instant) -> bool:
    """Whether `party` could sign as a joiner at `now`; whether the bases that it cites are enough, the act says."""
    return _can_join(standing, EventKind.ACCEDE, party, joiner=None, manifest=manifest, now=now)


def _can_join(
    standing: Standing, kind: EventKind, party: PartyId, *, joiner: PartyId | None, manifest: Digest, now: Instant
) -> bool:
    terms = standing.current or standing.latest
    draft = Event(
        digest=terms.hash,
        kind=kind,
        agreement=terms.agreement_id,
        terms=terms.hash,
        party=party,
        at=now,
        joiner=joiner,
        manifest=manifest,
    )
    try:
        check_event(standing, draft, terms)
    except ComityError:
        return False
    return True


def _list_acts(standing: Standing, party: PartyId) -> Iterator[tuple[PossibleAct, Digest | None]]:
    """Every act that there could be; with the suspension that it would lift."""
    for kind in (EventKind.ACCEPT, EventKind.REJECT, EventKind.WITHDRAW, EventKind.CLARIFY):
        yield PossibleAct(kind=kind), None
    for question in standing.open_questions:
        yield PossibleAct(kind=EventKind.ANSWER, question=question.digest), None
    channels = [channel.id for channel in choose_terms(EventKind.SUSPEND, standing).channels]
    for channel in (None, *channels):
        yield PossibleAct(kind=EventKind.SUSPEND, channel=channel), None
    own = [lock for lock in standing.locks if lock.party == party]
    if own:
        # Without a channel all that the party holds is lifted.
        yield PossibleAct(kind=EventKind.RESUME), own[0].event
    for name in sorted({lock.channel for lock in own if lock.channel is not None}):
        yield (
            PossibleAct(kind=EventKind.RESUME, channel=name),
            next(lock.event for lock in own if lock.channel == name),
        )
    for kind in (EventKind.TERMINATE, EventKind.LEAVE):
        yield PossibleAct(kind=kind), None


def _is_possible(standing: Standing, party: PartyId, act: PossibleAct, *, lock: Digest | None, now: Instant) -> bool:
    terms = choose_terms(act.kind, standing)
    draft = Event(
        digest=terms.hash,
        kind=act.kind,
        agreement=terms.agreement_id,
        terms=terms.hash,
        party=party,
        at=now,
        clause=clause_names(terms)[0] if act.kind is EventKind.CLARIFY else None,
        channel=act.channel if act.kind is EventKind.SUSPEND else None,
        text="?" if act.kind in TALK else None,
        re=act.question or lock,
    )
    try:
        check_event(standing, draft, terms)
    except ComityError:
        return False
    return True
