# SPDX-License-Identifier: Apache-2.0
"""Pure: whom a party sends which messages of an agreement to.

Everybody bound gets what is said, from whoever said it. A joiner learns nothing before enough founders have admitted
it; then those who admitted it, this party included, send it the text, its signatures and what stops it. What is found
here is what is to have been sent: whoever sends keeps to once for each message and party (`node.recording`).
"""

from collections.abc import Iterator, Sequence

from comity.agreement.events import CARRIES_TERMS, Event, EventKind
from comity.agreement.lifecycle import Standing
from comity.agreement.record import count_admitting, find_joined, sort_out
from comity.agreement.terms import Terms
from comity.ids import PartyId

__all__ = ["find_addressed"]

_JOINS = frozenset({EventKind.ADMIT, EventKind.ACCEDE})
_BINDS = CARRIES_TERMS | _JOINS
"""The kinds after which somebody may be bound who was not before."""

_ON_THE_WHOLE = frozenset({EventKind.SUSPEND, EventKind.RESUME, EventKind.TERMINATE, EventKind.LEAVE})
"""What is said of the agreement and not of one version."""


def find_addressed(
    versions: Sequence[Terms], events: Sequence[Event], standing: Standing, *, party: PartyId, newest: Sequence[Event]
) -> Iterator[tuple[PartyId, Event]]:
    """Whom `party` is to have sent which of `events`, the `newest` of which have just come on its record.

    Nobody who has left is told anything any more. An event whose text is not on record yet goes when it is.
    """
    known = {terms.hash for terms in versions}
    # Where others come to be bound, all that this party said before goes to them too: a lock made on one side while
    # somebody joined on the other must be known to both.
    for event in events if any(event.kind in _BINDS for event in newest) else newest:
        if event.party == party and event.terms in known:
            addressees = _find_addressees(versions, events, event)
            yield from ((other, event) for other in sorted(addressees - standing.left - {party}))
    yield from _address_joiners(versions, events, standing, party=party)


def _find_addressees(versions: Sequence[Terms], events: Sequence[Event], event: Event) -> frozenset[PartyId]:
    """Whoever is bound by the version that `event` is about, or by an earlier one: they see what becomes of theirs.

    A party that only a later version names is told nothing of what was said before it, except, once all have signed
    that version, what holds for every version: a lock, its lifting, an end.
    """
    number = next(terms.version for terms in versions if terms.hash == event.terms)
    about = [terms for terms in versions if terms.version <= number]
    if event.kind in _ON_THE_WHOLE:
        about.extend(sort_out(versions, events).sealed)
    return frozenset[PartyId]().union(*(terms.founders.union(find_joined(terms, events)) for terms in about))


def _address_joiners(
    versions: Sequence[Terms], events: Sequence[Event], standing: Standing, *, party: PartyId
) -> Iterator[tuple[PartyId, Event]]:
    """What joiners learn by way of those who admitted them; once they are in, only of each other."""
    current = standing.current
    if current is None:
        return
    admitting: dict[PartyId, set[PartyId]] = {}
    for said in standing.admissions:
        if said.kind is EventKind.ADMIT and said.joiner is not None:
            admitting.setdefault(said.joiner, set()).add(said.party)
    numbers = {terms.hash: terms.version for terms in versions}
    admitted = {joiner: founders for joiner, founders in admitting.items() if len(founders) >= count_admitting(current)}
    for joiner, founders in sorted(admitted.items()):
        if joiner in {party, *standing.left} or party not in founders:
            continue
        inside = joiner in standing.members
        for event in events:
            about = numbers.get(event.terms, 0) >= current.version or event.kind in _ON_THE_WHOLE
            told = event.kind in _JOINS if inside else about
            if told and event.party != joiner and event.party in current.founders | admitted.keys():
                yield joiner, event
