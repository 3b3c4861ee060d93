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
from typing import cast

from comity.agreement.channels import Channel
from comity.agreement.lifecycle import Standing
from comity.agreement.terms import Terms
from comity.agreement.transitions import State
from comity.errors import NotFoundError, UnavailableError
from comity.ids import AgreementId, ObjectId, PartyId
from comity.node.gate import AskGate, ask_gates
from comity.node.grants import keep_grants
from comity.node.node import Node
from comity.node.parties import find_party
from comity.node.standing import Collection as Offer
from comity.node.standing import Dossier, list_collections, list_dossiers
from comity.node.steps import Steps
from comity.node.tagging import keep_lapsed
from comity.release.decision import Redact, Release, Withhold, decide
from comity.release.facets import FACETS, Inventory, Place
from comity.release.history import Threshold, admits_history, find_threshold
from comity.release.preview import Flow, Verdicts, judge, list_flows, pick_labels, sort_labels
from comity.release.redaction import redact
from comity.release.sieve import Sieve
from comity.store import Transaction, browsing, counts, feeds, objects
from comity.store.browsing import Position
from comity.store.changes import read_changes
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
_MOST_ATTEMPTS = 3
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
    """One flow of this party's, and where its agreement stands; each is itself alone."""

    dossier: Dossier
    standing: Standing
    terms: Terms
    channel: Channel
    flow: Flow
    is_limited: bool

    def find_closed(self, ask: AskGate) -> Way | None:
        """What is said of what it would let go, if its gate is closed now."""
        if ask(self.dossier, self.channel, self.flow.receiver) is None:
            return None
        return Way.SUSPENDED if self.standing.state is State.SUSPENDED else Way.CLOSED


def find_matrix(node: Node, axis: str, *, after: PartyId | None, limit: int) -> Steps[Matrix]:
    """At most `limit` parties behind `after`, and what each would get now, by what objects say to the axis.

    What is held is read once; others get their turn between two parties.

    Raises:
        UnavailableError: agreements changed all the while.
    """
    keep_grants(node)
    keep_lapsed(node)
    for _ in range(_MOST_ATTEMPTS):
        found = yield from _try_matrix(node, axis, after=after, limit=limit)
        if found is not None:
            return found
    raise UnavailableError("agreements changed while this was worked out; ask again")


def _try_matrix(node: Node, axis: str, *, after: PartyId | None, limit: int) -> Steps[Matrix | None]:
    """The matrix; None when what it was read from changed in between."""
    with node.store.read() as transaction:
        changes, channels = read_changes(transaction), _list_channels(node, transaction)
        parties = sorted({item.flow.receiver for item in channels if after is None or item.flow.receiver > after})
        inventory = counts.read_inventory(transaction)
    held, sieve = _Held(inventory), _find_sieve(node, inventory, changes=changes)
    words, rows = _sort_words(inventory, held, axis), list[Row]()
    for party in parties[:limit]:
        yield
        with node.store.read() as transaction:
            here, now = [item for item in channels if item.flow.receiver == party], node.clock()
            # An agreement begins and ends by dates as well.
            moved = any(item.dossier.standing(now=now) != item.standing for item in here)
            if moved or read_changes(transaction) != changes:
                return None
            fates = _Fates(node, transaction, sieve, here)
            cells = (_make_cell(transaction, fates, held, labels) for labels in words.labels)
            rows.append(Row(party=party, cells=tuple(cells)))
    return Matrix(
        columns=words.columns,
        more_columns=words.more,
        rows=tuple(rows),
        next=parties[limit - 1] if len(parties) > limit else None,
    )


def _find_sieve(node: Node, inventory: Inventory, *, changes: int) -> Sieve:
    """The sieve of what is held, remembered: a label stands for the same words as long as it is there."""
    remembered = node.remembered.get("sieve")
    sieve = cast("Sieve", remembered[1]) if remembered is not None and remembered[0] == changes else None
    if sieve is None or sieve.labels != tuple(inventory.labels):
        node.remembered["sieve"] = (changes, sieve := Sieve(inventory))
    return sieve


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
        ask = ask_gates(node, transaction)
        offered = {name: _describe_offer(ask, offer) for name, offer in offers.items()}
        if collection is not None and collection not in offered:
            raise NotFoundError(f"{party} has no collection {collection!r} here")
        first = next((item for item in offered.values() if item.gate is None), None)
        chosen = first if collection is None else offered[collection]
        found, following = tuple[Shown, ...](), None
        if chosen is not None and chosen.gate is None:
            found, following = _fill(node, transaction, offers[chosen.id], before=before, limit=limit)
    return SeenAs(party=party, collections=tuple(offered.values()), collection=chosen, objects=found, next=following)


# --- the matrix -------------------------------------------------------------------------------------------------------


def _list_channels(node: Node, transaction: Transaction) -> list[_Channel]:
    """The channels that bind this party to give, whether anything goes in them now or not."""
    now, found = node.clock(), list[_Channel]()
    for dossier in list_dossiers(node, transaction):
        standing = dossier.standing(now=now)
        terms = standing.current
        if standing.state not in _BINDING or terms is None:
            continue
        for flow in list_flows(terms, members=standing.members, head=0, floors={}, giver=node.party):
            channel = terms.channel(flow.channel)
            assert channel is not None  # noqa: S101 (the flow is one of these terms)
            found.append(
                _Channel(
                    dossier=dossier,
                    standing=standing,
                    terms=terms,
                    channel=channel,
                    flow=replace(flow, history=Threshold()),
                    is_limited=flow.history.is_limit,
                )
            )
    return found


class _Held:
    """How many objects carry each label, and one place of each."""

    def __init__(self, inventory: Inventory) -> None:
        self.sizes = Counter[int]()
        self.places: dict[int, Place] = {}
        for place in inventory.places:
            self.sizes[place[0]] += place[-1]
            if place[-1]:
                self.places[place[0]] = place


@dataclass(frozen=True, slots=True, kw_only=True)
class _Words:
    """The columns, how many more there would be, and the labels of each."""

    columns: tuple[Column, ...]
    more: int
    labels: tuple[Sequence[int], ...]


def _sort_words(inventory: Inventory, held: _Held, axis: str) -> _Words:
    """The words that most objects say to the axis; an object that says several counts for each."""
    place = FACETS.index(AXES[axis])
    said = {key: facet.groups for key, facet in inventory.facets.items() if facet.clause == AXES[axis]}
    spoken: dict[str, frozenset[str] | tuple[None]] = {
        key: frozenset[str]().union(*groups) or (None,) for key, groups in said.items()
    }
    labels, amounts = defaultdict[str | None, list[int]](list), Counter[str | None]()
    for label, facets in inventory.labels.items():
        for word in spoken[facets[place]]:
            labels[word].append(label)
            amounts[word] += held.sizes[label]
    order = sorted(amounts, key=lambda word: (-amounts[word], word or ""))
    chosen = order[:_MOST_COLUMNS]
    return _Words(
        columns=tuple(Column(word=word, objects=amounts[word]) for word in chosen),
        more=len(order) - len(chosen),
        labels=tuple(labels[word] for word in chosen),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Part:
    """Labels (`release.sieve`) of which the same becomes, by the same channel: `clause` is what holds them back."""

    way: Way
    channel: _Channel
    clause: str | None
    labels: int

    @property
    def rank(self) -> tuple[int, int]:
        """How much it lets go: of several parts that a label is in, the one with the highest rank counts.

        Of those that let nothing go it is the one whose clause stands last in the table: it comes nearest.
        """
        return -_ORDER[self.way], _CLAUSES.get(self.clause or "", len(_CLAUSES))


_ORDER = {way: place for place, way in enumerate(Way)}
_CLAUSES = {name: place for place, name in enumerate(FACETS)}


class _Fates:
    """What becomes of each label on the way to one party: the most that any channel lets go of it, and by which.

    `parts` are those channels' parts alone, and `of` is the place of its part among them, by label.
    """

    def __init__(self, node: Node, transaction: Transaction, sieve: Sieve, channels: Sequence[_Channel]) -> None:
        ask = ask_gates(node, transaction)
        parts = [part for channel in channels for part in _split(transaction, ask, sieve, channel)]
        parts.sort(key=lambda part: part.rank)
        told, counted = 0, list[tuple[_Part, int]]()
        for part in reversed(parts):
            if left := part.labels & ~told:
                counted.append((part, left))
                told |= left
        self.parts = [part for part, _ in reversed(counted)]
        self.of: dict[int, int] = {}
        for number, (_, labels) in enumerate(reversed(counted)):
            self.of.update(dict.fromkeys(sieve.list_labels(labels), number))


def _split(transaction: Transaction, ask: AskGate, sieve: Sieve, channel: _Channel) -> Iterator[_Part]:
    """What one channel does with every label in use. The gate is asked where it matters alone."""
    scope, recipient = channel.flow.scope, channel.flow.receiver
    found = sieve.sort(scope, recipient=recipient)
    withheld, released = defaultdict[str, int](int, found.refused), defaultdict[Way, int](int)
    admitted = [labels & found.admitted for labels in sieve.marked.values() if labels & found.admitted]
    firsts = [sieve.find_first(labels) for labels in admitted]
    known = objects.read_labels(transaction, firsts) if firsts else {}
    for first, labels in zip(firsts, admitted, strict=True):
        match decide(scope, known[first], recipient=recipient):
            case Withhold(clause=clause):
                withheld[clause] |= labels
            case Release():
                released[Way.FULL] |= labels
            case Redact():
                released[Way.REDACTED] |= labels
    for clause, labels in withheld.items():
        yield _Part(way=Way.NONE, channel=channel, clause=clause, labels=labels)
    closed = channel.find_closed(ask) if released else None
    if closed is not None:
        released = defaultdict(int, {closed: released[Way.FULL] | released[Way.REDACTED]})
    for way, labels in released.items():
        yield _Part(way=way, channel=channel, clause="status" if closed else None, labels=labels)


def _judge(transaction: Transaction, inventory: Inventory, flow: Flow) -> Verdicts:
    found = sort_labels(inventory, flow)
    picked = pick_labels(inventory, found)
    known = objects.read_labels(transaction, picked.values()) if picked else {}
    return judge(inventory, flow, found, labels={facet: known[label] for facet, label in picked.items()})


def _make_cell(transaction: Transaction, fates: _Fates, held: _Held, labels: Collection[int]) -> Cell:
    sizes, of, here = held.sizes, fates.of, [0] * len(fates.parts)
    for label in labels:
        here[of[label]] += sizes[label]
    amounts = Counter[Way]()
    for part, size in zip(fates.parts, here, strict=True):
        amounts[part.way] += size
    told = [(size, part) for part, size in zip(fates.parts, here, strict=True) if size]
    told.sort(key=lambda item: (_ORDER[item[1].way], -item[0], item[1].channel.dossier.id))
    best = told[0][1].way if told else Way.NONE
    chosen = {number for number, part in enumerate(fates.parts) if part.way is best}
    example = next((label for label in labels if of[label] in chosen and sizes[label]), None)
    gone = [part for _, part in told if part.way in {Way.FULL, Way.REDACTED}]
    return Cell(
        way=best,
        full=amounts[Way.FULL],
        redacted=amounts[Way.REDACTED],
        waiting=amounts[Way.SUSPENDED] + amounts[Way.CLOSED],
        withheld=amounts[Way.NONE],
        is_most=any(part.channel.is_limited for part in gone),
        reasons=tuple(_give_reason(part, size) for size, part in told[:_MOST_REASONS]),
        example=None if example is None else _find_example(transaction, held.places[example]),
    )


def _give_reason(part: _Part, size: int) -> Reason:
    return Reason(
        agreement=part.channel.dossier.id,
        title=part.channel.terms.title,
        channel=part.channel.channel.id,
        clause=part.clause,
        objects=size,
    )


def _find_example(transaction: Transaction, place: Place) -> ObjectId | None:
    found = counts.read_samples(transaction, place, thresholds=(), limit=1)
    return found[0].id if found else None


# --- as one party would see it ----------------------------------------------------------------------------------------


def _describe_offer(ask: AskGate, offer: Offer) -> Offered:
    gate = ask(offer.dossier, offer.channel, offer.recipient)
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
