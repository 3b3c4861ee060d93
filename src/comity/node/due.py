# SPDX-License-Identifier: Apache-2.0
"""Shell: what is due of what was received, by the texts it came under: a review, or its deletion.

The store proposes what came early enough under each text; the rules (`agreement.retention`) dispose of each. Nothing is
changed here.
"""

import heapq
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import NamedTuple

from comity.agreement.duration import add_duration
from comity.agreement.duties import Retention, Survival
from comity.agreement.lifecycle import Standing
from comity.agreement.receiving import parse_receipt_terms
from comity.agreement.retention import NOTICE, Delete, Judgement, Keep, Review, Rule, find_reach, judge_rules
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
    "MAX_LISTED",
    "Due",
    "DuePart",
    "Ground",
    "Place",
    "Reviews",
    "Text",
    "find_due",
    "find_end",
    "judge",
    "list_reviews",
    "look_through_due",
    "read_ground",
]

MAX_LISTED = 1_000
_JUDGED = 100
"""Objects that are judged together."""

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
class Reviews:
    """Something of what is due within the time of notice, `items` by when; `more` says that it is not all.

    `texts` are all that are on record, by hash.
    """

    items: tuple[Due, ...]
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

    def rules(self, came: Iterable[arrivals.Arrival]) -> list[Rule]:
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


def list_reviews(node: Node) -> Reviews:
    """Some objects whose review or deletion is due, or will be within the time of notice; at most MAX_LISTED.

    Where there are more, these need not be the earliest: `look_through_due` reads all.
    """
    now = node.clock()
    with node.store.read() as transaction:
        ground = read_ground(node, transaction, now=now)
        found = list[Due]()
        more = False
        # The store is asked for what is due when the notice has run; what is due now is among it.
        for due in find_due(transaction, ground, until=add_duration(now, NOTICE), now=now):
            if len(found) == MAX_LISTED:
                more = True
                break
            found.append(due)
    items = tuple(sorted(found, key=_find_place))
    return Reviews(items=items, more=more, texts=ground.terms)


def look_through_due(node: Node, *, after: Place | None, most: int) -> Steps[DuePart]:
    """The next `most` of all that is due, or will be within the time of notice, behind `after`.

    All of it is judged for that, a part at a time, and each in the transaction of its part.
    """
    now = node.clock()
    until = add_duration(now, NOTICE)
    with node.store.read() as transaction:
        ground = read_ground(node, transaction, now=now)
    first, seen, count = list[Due](), set[int](), 0
    for found in _read_parts(node, ground, until=until, now=now):
        new = [due for due in found if due.object.pk not in seen]
        seen |= {due.object.pk for due in new}
        count += len(new)
        wanted = (due for due in new if after is None or _find_place(due) > after)
        first = heapq.nsmallest(most + 1, [*first, *wanted], key=_find_place)
        yield
    items = tuple(first[:most])
    return DuePart(
        items=items,
        count=count,
        next=_find_place(items[-1]) if items and len(first) > most else None,
        texts=ground.terms,
    )


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


def _read_parts(node: Node, ground: Ground, *, until: Instant, now: Instant) -> Iterator[list[Due]]:
    """All that is due by `until`, a part at a time; a version can come twice."""
    for terms, column, bound in _list_questions(ground, until=until):
        after: arrivals.Position | None = arrivals.BEGINNING
        while after is not None:
            with node.store.read() as transaction:
                keys, after = arrivals.read_arrived(transaction, terms, column=column, bound=bound, after=after)
                found = list(_judge_due(transaction, ground, keys, until=until, now=now))
            yield found


def _judge_due(
    transaction: Transaction, ground: Ground, keys: Sequence[int], *, until: Instant, now: Instant
) -> Iterator[Due]:
    for held, rules, judgement in judge(transaction, ground, objects.read_objects(transaction, keys), now=now):
        match judgement:
            case Review() | Delete():
                yield Due(object=held, judged=judgement)
            case Keep(until=date) if date is not None and date <= until:
                # Its end is near and no decision can move it: it is announced like a review.
                yield Due(object=held, judged=_announce(rules, until=date))
            case Keep():
                continue


def _find_place(due: Due) -> Place:
    return Place(due.judged.due, due.object.pk)


def _announce(rules: list[Rule], *, until: Instant) -> Delete:
    judged = judge_rules(rules, now=until)
    assert isinstance(judged, Delete)  # noqa: S101 (`until` is the date on which it will be)
    return judged


def judge(
    transaction: Transaction, ground: Ground, held: Iterable[StoredObject], *, now: Instant
) -> Iterator[tuple[StoredObject, list[Rule], Judgement]]:
    """Each version with the rules it came under and what is due of it; none for what no terms bind."""
    versions = [item for item in held if item.received_under is not None and item.id not in TLP_IDS]
    came = arrivals.read_arrivals(transaction, [item.pk for item in versions])
    for item in versions:
        rules = ground.rules(came.get(item.pk, ()))
        yield item, rules, judge_rules(rules, now=now)
