# SPDX-License-Identifier: Apache-2.0
"""Shell: what is due of what was received, by the texts it came under: a review, or its deletion.

The store proposes what came early enough under each text; the rules (`agreement.retention`) dispose of each. Nothing is
changed here.
"""

import heapq
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from typing import NamedTuple

from comity.agreement.duration import add_duration
from comity.agreement.duties import Retention, Survival
from comity.agreement.lifecycle import Standing
from comity.agreement.receiving import parse_receipt_terms
from comity.agreement.retention import NOTICE, Clause, Delete, Judgement, Keep, Review, Rule, find_reach, judge_rules
from comity.agreement.transitions import State
from comity.ids import AgreementId, Digest, Instant, PartyId
from comity.node.node import Node
from comity.node.standing import Dossier, list_dossiers
from comity.node.steps import Steps
from comity.stix.markings import TLP_IDS
from comity.store import Transaction, arrivals, objects, sources
from comity.store.arrivals import Column
from comity.store.objects import StoredObject

__all__ = [
    "MAX_COUNTED",
    "Due",
    "DueCount",
    "DueCounts",
    "DuePart",
    "Ground",
    "Place",
    "Text",
    "count_due",
    "find_clause",
    "find_due",
    "find_end",
    "judge",
    "look_through_due",
    "read_ground",
]

MAX_COUNTED = 1_000
"""Of what is due so much is counted; a part more, where it comes so."""

_JUDGED = 100
"""Objects that are judged together."""

_READ = 1_000
"""Objects whose ways are read together; partners are answered in between."""

_WAYS = 10_000
"""What is due by how many ways is remembered, while all that is due is looked through."""

_NO_SURVIVAL = Survival(duties=frozenset(), delete_within=None)
_ENDED = frozenset({State.TERMINATED, State.EXPIRED})


class Place(NamedTuple):
    """Where something due stands among the rest: by when it is due, then by the key of the object."""

    due: Instant
    pk: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Due:
    """One version of an object, and what is due of it: a review, or its deletion."""

    object: StoredObject
    judged: Review | Delete


@dataclass(frozen=True, slots=True, kw_only=True)
class DueCount:
    """How many versions the same is due of: by one clause of one text; `judged` is the first of it by date."""

    judged: Review | Delete
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DueCounts:
    """What is due within the time of notice, counted; `more` says that not all of it was.

    `texts` are all that are on record, by hash.
    """

    counts: tuple[DueCount, ...]
    more: bool
    texts: Mapping[Digest, "Text"]


@dataclass(frozen=True, slots=True, kw_only=True)
class DuePart:
    """A part of what is due within the time of notice, the earliest first, and how many there are in all.

    `next` is the place behind which the next part begins (None: there is none). `texts` are all that are on record, by
    hash.
    """

    items: tuple[Due, ...]
    count: int
    next: Place | None
    texts: Mapping[Digest, "Text"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Text:
    """What a text on record says of keeping: a version of an agreement, or the record of a source (`node.sources`).

    A record is its own agreement, has no version, and nobody else is bound by it.
    """

    agreement: AgreementId
    hash: Digest
    title: str
    version: int | None
    retention: Retention | None
    survival: Survival


@dataclass(frozen=True, slots=True)
class Ground:
    """The texts on record, by hash, and when the agreement of each ended; `used` are those under which any came."""

    terms: Mapping[Digest, Text]
    ended_at: Mapping[Digest, Instant | None]
    used: frozenset[Digest]

    def rules(self, came: Iterable[arrivals.Arrival | arrivals.Way]) -> list[Rule]:
        """The rules an object came under. Terms that are not on record set none: nothing is pulled without them."""
        return [
            Rule(
                agreement=terms.agreement,
                terms=terms.hash,
                giver=arrival.giver,
                received_at=arrival.received_at,
                decided_at=arrival.decided_at,
                retention=terms.retention,
                survival=terms.survival,
                ended_at=self.ended_at[terms.hash],
            )
            for arrival in came
            for terms in [self.terms.get(arrival.terms)]
            if terms is not None
        ]


def count_due(node: Node) -> DueCounts:
    """How much is due, or will be within the time of notice; where that is more than MAX_COUNTED, at least so much.

    What is counted of more need not be the earliest: `look_through_due` reads all.
    """
    now = node.clock()
    with node.store.read() as transaction:
        ground = read_ground(node, transaction, now=now)
    found = dict[tuple[Digest, Clause, bool], list[Review | Delete]]()
    seen, more = set[int](), False
    for part in _read_parts(node, ground, until=add_duration(now, NOTICE), now=now):
        if len(seen) >= MAX_COUNTED:
            more = True
            break
        for pk in part.keys() - seen:
            judged = part[pk]
            same = judged.rule.terms, find_clause(judged), isinstance(judged, Delete)
            found.setdefault(same, []).append(judged)
        seen |= part.keys()
    counts = [DueCount(judged=min(same, key=lambda one: one.due), count=len(same)) for same in found.values()]
    return DueCounts(counts=tuple(counts), more=more, texts=ground.terms)


def look_through_due(node: Node, *, after: Place | None, most: int) -> Steps[DuePart]:
    """The next `most` of all that is due, or will be within the time of notice, behind `after`.

    All of it is judged for that, a part at a time, and each in the transaction of its part.
    """
    now = node.clock()
    until = add_duration(now, NOTICE)
    with node.store.read() as transaction:
        ground = read_ground(node, transaction, now=now)
    first, seen, count = list[Place](), set[int](), 0
    for part in _read_parts(node, ground, until=until, now=now):
        new = part.keys() - seen
        seen |= new
        count += len(new)
        # Most of a great part comes behind what is found already.
        last = first[-1].due if len(first) > most else None
        places = [Place(part[pk].due, pk) for pk in new if last is None or part[pk].due <= last]
        first = heapq.nsmallest(most + 1, [*first, *(place for place in places if after is None or place > after)])
        yield
    shown = [place.pk for place in first[:most]]
    with node.store.read() as transaction:
        # What was deleted or decided on since its part was read is not in the list any more.
        found = sorted(_judge_due(transaction, ground, shown, until=until, now=now), key=_find_place)
    return DuePart(
        items=tuple(found),
        count=count,
        next=first[most - 1] if len(first) > most else None,
        texts=ground.terms,
    )


def find_clause(judged: Review | Delete) -> Clause:
    """The clause by which it is due."""
    return judged.clause if isinstance(judged, Delete) else Clause.REVIEW


def find_end(dossier: Dossier, party: PartyId, *, now: Instant) -> Instant | None:
    """When the agreement ended for `party`, by what its node has on record; None while it has not.

    Terminated by anybody, run out, or left by this party. It ends when the event is recorded here, whatever time its
    sender claims; or on the day that the text runs out.
    """

    def ended(standing: Standing) -> bool:
        return standing.state in _ENDED or party in standing.left

    standing = dossier.standing(now=now)
    if not ended(standing):
        return None
    until = None if standing.current is None else standing.current.valid_until
    ends = [at for at in (dossier.since(ended), until) if at is not None and at <= now]
    return min(ends, default=now)


def read_ground(node: Node, transaction: Transaction, *, now: Instant) -> Ground:
    """All texts on record that can say how long something is kept."""
    terms, ended_at = dict[Digest, Text](), dict[Digest, Instant | None]()
    for dossier in list_dossiers(node, transaction):
        end = find_end(dossier, node.party, now=now)
        for version in dossier.versions:
            terms[version.hash] = Text(
                agreement=version.agreement_id,
                hash=version.hash,
                title=version.title,
                version=version.version,
                retention=version.retention,
                survival=version.survival,
            )
            ended_at[version.hash] = end
    for document in sources.list_records(transaction):
        record = parse_receipt_terms(document, party=node.party)
        terms[record.hash] = Text(
            agreement=AgreementId(record.hash),
            hash=record.hash,
            title=record.title,
            version=None,
            retention=record.retention,
            survival=_NO_SURVIVAL,
        )
        ended_at[record.hash] = None
    return Ground(terms, ended_at, arrivals.list_texts(transaction))


def find_due(transaction: Transaction, ground: Ground, *, until: Instant, now: Instant) -> Iterator[Due]:
    """What is due by `until`, judged at `until`, each version once; who stops early has read little."""
    seen = set[int]()
    for terms, column, bound in _list_questions(ground, until=until):
        arrived = arrivals.find_arrived(transaction, terms, column=column, bound=bound)
        fresh = (pk for pk in arrived if pk not in seen)
        # One by one, what is read of each would take longer than what is said of it.
        while part := list(dict.fromkeys(islice(fresh, _JUDGED))):
            seen.update(part)
            yield from _judge_due(transaction, ground, part, until=until, now=now)


def _list_questions(ground: Ground, *, until: Instant) -> Iterator[tuple[Digest, Column, Instant]]:
    """What the store is asked for: under which text, and received or last decided on by when."""
    for terms in (ground.terms[name] for name in sorted(ground.used & ground.terms.keys())):
        reach = find_reach(terms.retention, terms.survival, ended_at=ground.ended_at[terms.hash], now=until)
        if reach is not None and reach.received is not None:
            yield terms.hash, "received_at", reach.received
        if reach is not None and reach.decided is not None:
            yield terms.hash, "decided_at", reach.decided


def _read_parts(node: Node, ground: Ground, *, until: Instant, now: Instant) -> Iterator[dict[int, Review | Delete]]:
    """What is due by `until` of which version, a part at a time; a version can come twice.

    Only the ways it came decide what is due of a version, and those of a page came the same: each is judged once.
    """

    @lru_cache(maxsize=_WAYS)
    def judge_ways(ways: str) -> Review | Delete | None:
        rules = ground.rules(arrivals.split_ways(ways))
        return _find_announced(rules, judge_rules(rules, now=now), until=until)

    with node.store.read() as transaction:
        spared = {held.pk for held in objects.read_versions_of(transaction, TLP_IDS)}
    for terms, column, bound in _list_questions(ground, until=until):
        after: arrivals.Position | None = arrivals.BEGINNING
        while after is not None:
            with node.store.read() as transaction:
                keys, after = arrivals.read_arrived(
                    transaction, terms, column=column, bound=bound, after=after, most=_READ
                )
                came = arrivals.read_ways(transaction, keys)
            judged = {pk: judge_ways(ways) for pk, ways in came.items() if pk not in spared}
            yield {pk: due for pk, due in judged.items() if due is not None}


def _judge_due(
    transaction: Transaction, ground: Ground, keys: Sequence[int], *, until: Instant, now: Instant
) -> Iterator[Due]:
    for held, rules, judgement in judge(transaction, ground, objects.read_objects(transaction, keys), now=now):
        judged = _find_announced(rules, judgement, until=until)
        if judged is not None:
            yield Due(object=held, judged=judged)


def _find_announced(rules: list[Rule], judgement: Judgement, *, until: Instant) -> Review | Delete | None:
    """What there is to say by `until` of what was judged so by these rules."""
    match judgement:
        case Review() | Delete():
            return judgement
        case Keep(until=date) if date is not None and date <= until:
            # Its end is near and no decision can move it: it is announced like a review.
            judged = judge_rules(rules, now=date)
            assert isinstance(judged, Delete)  # noqa: S101 (that is what `until` of what is kept says)
            return judged
        case Keep():
            return None


def _find_place(due: Due) -> Place:
    return Place(due.judged.due, due.object.pk)


def judge(
    transaction: Transaction, ground: Ground, held: Iterable[StoredObject], *, now: Instant
) -> Iterator[tuple[StoredObject, list[Rule], Judgement]]:
    """Each version with the rules it came under and what is due of it; none for what no terms bind."""
    versions = [item for item in held if item.received_under is not None and item.id not in TLP_IDS]
    came = arrivals.read_arrivals(transaction, [item.pk for item in versions])
    for item in versions:
        rules = ground.rules(came.get(item.pk, ()))
        yield item, rules, judge_rules(rules, now=now)
