# SPDX-License-Identifier: Apache-2.0
"""Pure: all that is on record of an agreement, sorted out: from here on nothing depends on the order it came in.

belongs  a version is part of the agreement if it is the first one, whose hash is the agreement's id; or if it is
         the next one after one that belongs, and a party of that one, or who joined it, signed it. Whoever is in
         none of them can say what it likes about an agreement whose id it learned: nothing of it counts.
sealed   every party of a version that belongs has signed it. Signatures are never taken back, so what is sealed
         stays sealed: a late event can add to it and not undo it.
head     the newest sealed version, if the sealed ones form one line in which each replaces the one before; with two
         lines there is no head, and nothing is in force. Proposals never sealed are steps of a line.
refused  a party of a version has rejected or withdrawn it, countered it, or signed it with a reservation that the
         text does not allow. A refused head is closed, and the one before does not come back: that may give more.
joined   a party signed the text that others founded, without a reservation that the text does not allow, and those
         whom the text asks have admitted it by the manifest it shows. Whom the text asks never changes: the founders,
         whether they have left or not.
left     for good: who has left an agreement comes back by another one.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from comity.agreement.events import SIGNS, Event, EventKind
from comity.agreement.terms import Terms
from comity.ids import Digest, PartyId

__all__ = [
    "Record",
    "count_admitting",
    "find_admitted",
    "find_head",
    "find_joined",
    "find_members",
    "find_parties",
    "sort_out",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """The events, each once, and what follows from the set of them.

    `versions` are those that belong, oldest first. `signers` and
    `refused` are of each version on record, by its hash; `refused` says how. `stoppers` are those whose suspensions and
    terminations count.
    """

    events: tuple[Event, ...]
    versions: tuple[Terms, ...]
    sealed: tuple[Terms, ...]
    signers: Mapping[Digest, frozenset[PartyId]]
    refused: Mapping[Digest, Mapping[PartyId, EventKind]]
    stoppers: frozenset[PartyId]
    ended_by: frozenset[PartyId]
    left: frozenset[PartyId]


def sort_out(versions: Sequence[Terms], events: Sequence[Event]) -> Record:
    """The record that `versions` (at least one) and `events` are; neither order nor repetition changes it."""
    said = tuple({event.digest: event for event in events}.values())
    known = {terms.hash: terms for terms in versions}
    ordered = tuple(sorted(known.values(), key=lambda terms: (terms.version, terms.hash)))
    signers = {terms.hash: find_parties(terms, said, SIGNS) for terms in ordered}
    belonging = _find_belonging(ordered, said, signers)
    sealed = tuple(terms for terms in belonging if signers[terms.hash] == terms.founders)
    stoppers = frozenset[PartyId]().union(
        *(terms.founders | find_joined(terms, said).keys() for terms in (*belonging[:1], *sealed))
    )
    left = stoppers & {event.party for event in said if event.kind is EventKind.LEAVE}
    ended = stoppers & {event.party for event in said if event.kind is EventKind.TERMINATE}
    # Asked of every version that the sender is bound by, so that none sealed later brings back what was ended.
    between_two = [terms.founders for terms in (*belonging[:1], *sealed) if not terms.structure.group]
    ended_by = ended & frozenset[PartyId]().union(*between_two)
    return Record(
        events=said,
        versions=belonging,
        sealed=sealed,
        signers=signers,
        refused={terms.hash: _find_refusals(terms, said, known) for terms in ordered},
        stoppers=stoppers,
        ended_by=ended_by,
        left=left | ended,
    )


def find_parties(terms: Terms, events: Iterable[Event], kinds: frozenset[EventKind]) -> frozenset[PartyId]:
    """The parties of `terms` that said one of `kinds` about it. Others may say it too; it does not count."""
    return terms.founders & {event.party for event in events if event.kind in kinds and event.terms == terms.hash}


def find_head(record: Record) -> Terms | None:
    """The newest sealed version, when each sealed one descends from the one sealed before it; else None."""
    supersedes = {terms.hash: terms.supersedes for terms in record.versions}
    for earlier, later in pairwise(record.sealed):
        step = later.supersedes
        while step is not None and step != earlier.hash:
            step = supersedes.get(step)
        if step is None:
            return None
    return record.sealed[-1] if record.sealed else None


def find_members(record: Record, terms: Terms) -> frozenset[PartyId]:
    """Who is bound by `terms`: its founders and those who joined it, without those who left."""
    return terms.founders.union(find_joined(terms, record.events)) - record.left


def find_joined(terms: Terms, events: Iterable[Event]) -> dict[PartyId, Event]:
    """Who joined `terms` beside its founders, each with the event by which it signed the text."""
    said = [event for event in events if event.terms == terms.hash]
    admitted = find_admitted(terms, said)
    joined: dict[PartyId, Event] = {}
    for event in sorted(said, key=lambda event: event.digest):
        if event.kind is not EventKind.ACCEDE or event.party in terms.founders or not _allows(terms, event):
            continue
        if (event.party, event.manifest) in admitted:
            joined.setdefault(event.party, event)
    return joined


def find_admitted(terms: Terms, events: Iterable[Event]) -> frozenset[tuple[PartyId | None, Digest | None]]:
    """Whom as many founders as the text asks for have admitted to `terms`, each by the same manifest."""
    admitting: dict[tuple[PartyId | None, Digest | None], set[PartyId]] = {}
    for event in events:
        if event.kind is EventKind.ADMIT and event.terms == terms.hash and event.party in terms.founders:
            admitting.setdefault((event.joiner, event.manifest), set()).add(event.party)
    needed = count_admitting(terms)
    return frozenset(joiner for joiner, founders in admitting.items() if 0 < needed <= len(founders))


def count_admitting(terms: Terms) -> int:
    """How many founders must admit a joiner; 0 where nobody can join."""
    founders = len(terms.founders)
    return {"closed": 0, "any_member": 1, "majority": founders // 2 + 1, "unanimous": founders}[
        terms.structure.accession
    ]


def _find_refusals(terms: Terms, events: Iterable[Event], known: Mapping[Digest, Terms]) -> dict[PartyId, EventKind]:
    """The founders that refuse `terms`, and how; a reservation that the text does not allow is a rejection."""
    refused: dict[PartyId, EventKind] = {}
    for event in sorted(events, key=lambda event: (event.kind, event.digest)):
        if event.party in terms.founders and (how := _refuses(event, terms, known)) is not None:
            refused.setdefault(event.party, how)
    return refused


def _refuses(event: Event, terms: Terms, known: Mapping[Digest, Terms]) -> EventKind | None:
    if event.kind is EventKind.COUNTER and event.terms in known and known[event.terms].supersedes == terms.hash:
        return EventKind.COUNTER
    if event.terms != terms.hash:
        return None
    if event.kind in {EventKind.REJECT, EventKind.WITHDRAW}:
        return event.kind
    return EventKind.REJECT if event.kind in SIGNS and not _allows(terms, event) else None


def _allows(terms: Terms, event: Event) -> bool:
    """Whether the text allows every reservation that the event makes."""
    return terms.reservable.issuperset(reservation.clause for reservation in event.reservations)


def _find_belonging(
    ordered: Sequence[Terms], events: Sequence[Event], signers: Mapping[Digest, frozenset[PartyId]]
) -> tuple[Terms, ...]:
    """The versions that belong, oldest first, so that the first one is in front.

    A version that arrives before the one it replaces waits: it belongs as soon as that one does. A party that is first
    named in a later version does not have the ones before: its first is the oldest on its record, and no other may
    stand alone there. Who has left is not asked here: a version that others sealed must not fall because one of its
    signers leaves. What a leaver dates later than that is not kept (`node.correspond`).
    """
    belonging: dict[Digest, Terms] = {}
    headless = all(terms.agreement is not None for terms in ordered)
    for terms in ordered:
        replaced = None if terms.supersedes is None else belonging.get(terms.supersedes)
        first = terms.version == ordered[0].version if headless else terms.agreement is None
        if first or (
            replaced is not None
            and replaced.version + 1 == terms.version
            and replaced.agreement_id == terms.agreement_id
            and not signers[terms.hash].isdisjoint(replaced.founders | find_joined(replaced, events).keys())
        ):
            belonging[terms.hash] = terms
    return tuple(belonging.values())
