# SPDX-License-Identifier: Apache-2.0
"""Shell: who would get what of all that is held: every party by what objects say, and all of it as one party would see.

The matrix is decided by label, as a preview is (`release.preview`): the work grows with the labels in use and the
channels, not with the objects. What channels say of history is not counted there; a cell that hangs on it says so.
What one party would get is decided for each object, by the decision that a poll asks, with the bytes that would go.
Nothing is released or put on record by either.
"""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from comity.agreement.transitions import State
from comity.errors import NotFoundError
from comity.ids import AgreementId, ObjectId, PartyId
from comity.node.gate import ask_gate
from comity.node.grants import keep_grants
from comity.node.node import Node
from comity.node.parties import find_party
from comity.node.standing import Collection as Offer
from comity.node.standing import list_collections, list_dossiers
from comity.node.tagging import keep_lapsed
from comity.release.decision import Redact, Release, Withhold, decide
from comity.release.facets import FACETS, Inventory, Place
from comity.release.history import Threshold, admits_history, find_threshold
from comity.release.preview import Flow, Verdicts, judge, list_flows, pick_labels, sort_labels
from comity.release.redaction import redact
from comity.store import Transaction, browsing, counts, feeds, objects
from comity.store.browsing import Position
from comity.store.objects import StoredObject

__all__ = [
    "AXES",
    "Cell",
    "Column",
    "Matrix",
    "Offered",
    "Position",
    "Reason",
    "Row",
    "SeenAs",
    "Shown",
    "State",
    "Way",
    "find_matrix",
    "see_as",
]

AXES: Mapping[str, str] = {
    "tlp": "tlp_ceiling",
    "subjects": "subjects",
    "types": "types",
    "originators": "originators",
    "regions": "regions",
    "kinds": "kinds",
}
"""What columns can be, and the clause that it is said to."""

_MOST_COLUMNS = 30
_MOST_REASONS = 3
_BINDING = frozenset({State.AGREED, State.IN_FORCE, State.SUSPENDED})


class Way(StrEnum):
    """The most that goes of what a cell is about."""

    FULL = "full"
    REDACTED = "redacted"
    SUSPENDED = "suspended"
    CLOSED = "closed"
    NONE = "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    """A channel and what it does with so many objects: the clause that refuses them, or None where it lets them go."""

    agreement: AgreementId
    title: str
    channel: str
    clause: str | None
    objects: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """What one party would get of what is held under one word.

    `waiting` would go if the gate of their channel were open; `is_most` says that history may hold back some of what is
    counted. `example` is one of the objects that `way` is said of.
    """

    way: Way
    full: int
    redacted: int
    waiting: int
    withheld: int
    is_most: bool
    reasons: tuple[Reason, ...]
    example: ObjectId | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One word, and how many objects say it; None: they say nothing."""

    word: str | None
    objects: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One party, with a cell for each column."""

    party: PartyId
    cells: tuple[Cell, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Matrix:
    """Some of the parties that channels lead to; `next` is the last of them where there are more."""

    columns: tuple[Column, ...]
    more_columns: int
    rows: tuple[Row, ...]
    next: PartyId | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Offered:
    """A collection of a party, and what keeps it closed now."""

    id: str
    agreement: AgreementId
    title: str
    channel: str
    gate: Withhold | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """An object as a party would get it: the very bytes, and what of it was removed."""

    id: ObjectId
    type: str
    version: str
    data: bytes
    removed: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenAs:
    """A part of one collection of a party, the last taken in first; `next` is where to go on, None at the end."""

    party: PartyId
    collections: tuple[Offered, ...]
    collection: Offered | None
    objects: tuple[Shown, ...]
    next: Position | None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Channel:
    """One flow of this party's, under which agreement, and whether its gate is open; each is itself alone."""

    agreement: AgreementId
    title: str
    flow: Flow
    is_limited: bool
    closed: Way | None


def find_matrix(node: Node, axis: str, *, after: PartyId | None, limit: int) -> Matrix:
    """At most `limit` parties behind `after`, and what each would get now, by what objects say to the axis."""
    keep_grants(node)
    keep_lapsed(node)
    with node.store.read() as transaction:
        channels = _list_channels(node, transaction)
        parties = sorted({item.flow.receiver for item in channels if after is None or item.flow.receiver > after})
        shown = parties[:limit]
        inventory = counts.read_inventory(transaction)
        words = _sort_words(inventory, axis)
        places = defaultdict[int, list[Place]](list)
        for place in inventory.places:
            places[place[0]].append(place)
        rows = list[Row]()
        for party in shown:
            towards = [item for item in channels if item.flow.receiver == party]
            fates = _Fates(transaction, inventory, towards)
            cells = (_make_cell(transaction, fates, places, labels) for labels in words.labels)
            rows.append(Row(party=party, cells=tuple(cells)))
    more = parties[limit - 1] if len(parties) > limit else None
    return Matrix(columns=words.columns, more_columns=words.more, rows=tuple(rows), next=more)


def see_as(node: Node, party: PartyId, *, collection: str | None, before: Position | None, limit: int) -> SeenAs:
    """What a poll of the collection would give the party now, at most `limit` objects; None: of the first that is open.

    The newest version of each. The list may be shorter than `limit` and go on (`store.browsing`).

    Raises:
        NotFoundError: the party, or no such collection of it.
    """
    find_party(node, party)
    keep_grants(node)
    keep_lapsed(node)
    with node.store.read() as transaction:
        offers = {offer.id: offer for offer in list_collections(node, transaction, party)}
        offered = {name: _describe_offer(node, transaction, offer) for name, offer in offers.items()}
        if collection is not None and collection not in offered:
            raise NotFoundError(f"{party} has no collection {collection!r} here")
        first = next((item for item in offered.values() if item.gate is None), None)
        chosen = first if collection is None else offered[collection]
        found, following = tuple[Shown, ...](), None
        if chosen is not None and chosen.gate is None:
            found, following = _fill(node, transaction, offers[chosen.id], before=before, limit=limit)
    return SeenAs(
        party=party,
        collections=tuple(offered.values()),
        collection=chosen,
        objects=found,
        next=following,
    )


# --- the matrix -------------------------------------------------------------------------------------------------------


def _list_channels(node: Node, transaction: Transaction) -> list[_Channel]:
    """The channels that bind this party to give, whether anything goes in them now or not."""
    now, found = node.clock(), list[_Channel]()
    for dossier in list_dossiers(node, transaction):
        standing = dossier.standing(now=now)
        terms = standing.current
        if standing.state not in _BINDING or terms is None:
            continue
        closed = Way.SUSPENDED if standing.state is State.SUSPENDED else Way.CLOSED
        for flow in list_flows(terms, members=standing.members, head=0, floors={}, giver=node.party):
            channel = terms.channel(flow.channel)
            assert channel is not None  # noqa: S101 (the flow is one of these terms)
            shut = ask_gate(node, transaction, standing, channel, recipient=flow.receiver)
            found.append(
                _Channel(
                    agreement=dossier.id,
                    title=terms.title,
                    flow=replace(flow, history=Threshold()),
                    is_limited=flow.history.is_limit,
                    closed=None if shut is None else closed,
                )
            )
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class _Words:
    """The columns, how many more there would be, and the labels of each."""

    columns: tuple[Column, ...]
    more: int
    labels: tuple[Sequence[int], ...]


def _sort_words(inventory: Inventory, axis: str) -> _Words:
    """The words that most objects say to the axis; an object that says several counts for each."""
    place, held = FACETS.index(AXES[axis]), Counter[int]()
    for item in inventory.places:
        held[item[0]] += item[-1]
    said = {key: facet.groups for key, facet in inventory.facets.items() if facet.clause == AXES[axis]}
    spoken: dict[str, frozenset[str] | tuple[None]] = {
        key: frozenset[str]().union(*groups) or (None,) for key, groups in said.items()
    }
    labels, amounts = defaultdict[str | None, list[int]](list), Counter[str | None]()
    for label, facets in inventory.labels.items():
        for word in spoken[facets[place]]:
            labels[word].append(label)
            amounts[word] += held[label]
    order = sorted(amounts, key=lambda word: (-amounts[word], word or ""))
    chosen = order[:_MOST_COLUMNS]
    return _Words(
        columns=tuple(Column(word=word, objects=amounts[word]) for word in chosen),
        more=len(order) - len(chosen),
        labels=tuple(labels[word] for word in chosen),
    )


class _Fates:
    """What becomes of each label on the way to one party: the most that any channel lets go of it, and by which."""

    def __init__(self, transaction: Transaction, inventory: Inventory, channels: Sequence[_Channel]) -> None:
        self.best: dict[int, tuple[Way, _Channel]] = {}
        self.refused: dict[int, tuple[str, _Channel]] = {}
        for channel in channels:
            verdicts = _judge(transaction, inventory, channel.flow)
            for label, decision in verdicts.released.items():
                way = channel.closed or (Way.FULL if isinstance(decision, Release) else Way.REDACTED)
                if label not in self.best or _ORDER[way] < _ORDER[self.best[label][0]]:
                    self.best[label] = way, channel
            for label, clause in verdicts.withheld.items():
                # The clause that stands last in the table is that of the channel which comes nearest to let it go.
                if label not in self.refused or _rank(clause) > _rank(self.refused[label][0]):
                    self.refused[label] = clause, channel


_ORDER = {way: place for place, way in enumerate(Way)}
_CLAUSES = {name: place for place, name in enumerate(FACETS)}


def _rank(clause: str) -> int:
    return _CLAUSES.get(clause, len(_CLAUSES))


def _judge(transaction: Transaction, inventory: Inventory, flow: Flow) -> Verdicts:
    found = sort_labels(inventory, flow)
    picked = pick_labels(inventory, found)
    known = objects.read_labels(transaction, picked.values()) if picked else {}
    return judge(inventory, flow, found, labels={facet: known[label] for facet, label in picked.items()})


def _make_cell(
    transaction: Transaction, fates: _Fates, places: Mapping[int, Sequence[Place]], labels: Collection[int]
) -> Cell:
    amounts, reasons, limited = Counter[Way](), Counter[tuple[Way, str | None, _Channel]](), False
    first: dict[Way, Place] = {}
    for label in labels:
        way, channel, clause = _tell_fate(fates, label)
        size = sum(place[-1] for place in places[label])
        amounts[way] += size
        if size:
            first.setdefault(way, places[label][0])
        if channel is not None:
            reasons[way, clause, channel] += size
            limited = limited or (channel.is_limited and way in {Way.FULL, Way.REDACTED})
    best = min((way for way in amounts if amounts[way]), key=_ORDER.__getitem__, default=Way.NONE)
    return Cell(
        way=best,
        full=amounts[Way.FULL],
        redacted=amounts[Way.REDACTED],
        waiting=amounts[Way.SUSPENDED] + amounts[Way.CLOSED],
        withheld=amounts[Way.NONE],
        is_most=limited,
        reasons=tuple(_list_reasons(reasons)),
        example=_find_example(transaction, first.get(best)),
    )


def _tell_fate(fates: _Fates, label: int) -> tuple[Way, _Channel | None, str | None]:
    if label in fates.best:
        way, channel = fates.best[label]
        return way, channel, "status" if way in {Way.SUSPENDED, Way.CLOSED} else None
    if label in fates.refused:
        clause, channel = fates.refused[label]
        return Way.NONE, channel, clause
    return Way.NONE, None, None


def _list_reasons(reasons: Mapping[tuple[Way, str | None, _Channel], int]) -> Iterator[Reason]:
    """What opens or closes the most, what lets go first."""
    order = sorted(reasons.items(), key=lambda item: (_ORDER[item[0][0]], -item[1], item[0][2].agreement))
    for (_, clause, channel), size in order[:_MOST_REASONS]:
        yield Reason(
            agreement=channel.agreement,
            title=channel.title,
            channel=channel.flow.channel,
            clause=clause,
            objects=size,
        )


def _find_example(transaction: Transaction, place: Place | None) -> ObjectId | None:
    if place is None:
        return None
    found = counts.read_samples(transaction, place, thresholds=(), limit=1)
    return found[0].id if found else None


# --- as one party would see it ----------------------------------------------------------------------------------------


def _describe_offer(node: Node, transaction: Transaction, offer: Offer) -> Offered:
    gate = ask_gate(node, transaction, offer.standing, offer.channel, recipient=offer.recipient)
    return Offered(
        id=offer.id,
        agreement=offer.dossier.id,
        title=offer.terms.title,
        channel=offer.channel.id,
        gate=gate,
    )


def _fill(
    node: Node, transaction: Transaction, offer: Offer, *, before: Position | None, limit: int
) -> tuple[tuple[Shown, ...], Position | None]:
    flows = list_flows(offer.terms, members={node.party, offer.recipient}, head=0, floors={}, giver=node.party)
    flow = next(item for item in flows if (item.channel, item.receiver) == (offer.channel.id, offer.recipient))
    inventory = counts.read_inventory(transaction)
    admitted = _judge(transaction, inventory, replace(flow, history=Threshold())).released
    places = [place[:3] for place in inventory.places if place[0] in admitted]
    part = browsing.list_at_places(transaction, places, before=before, limit=limit)
    feed = feeds.read_feed(transaction, offer.dossier.id, offer.channel.id, offer.recipient)
    floor = objects.read_head_seq(transaction) if feed is None else feed.floor
    threshold = find_threshold(offer.channel.history, floor=floor, joined=offer.joined)
    labels = objects.read_labels(transaction, {item.label for item in part.objects})
    scope, shown = offer.channel.scope_for(node.party), list[Shown]()
    for item in part.objects:
        decision = decide(scope, labels[item.label], recipient=offer.recipient)
        late = admits_history(threshold, first_seq=item.first_seq, added_at=item.added_at)
        if late and not isinstance(decision, Withhold):
            shown.append(_show(item, decision, objects.read_body(transaction, item.pk)))
    following = part.next
    if following is not None and threshold.after_seq is not None and following.first_seq <= threshold.after_seq:
        following = None  # what is older came in before all had signed
    return tuple(shown), following


def _show(item: StoredObject, decision: Release | Redact, data: bytes) -> Shown:
    match decision:
        case Release():
            return Shown(id=item.id, type=item.type, version=item.version, data=data, removed=())
        case Redact(properties=properties, only=only):
            left = redact(data, properties, only=only)
            return Shown(id=item.id, type=item.type, version=item.version, data=left.data, removed=left.removed)
