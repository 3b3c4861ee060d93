# SPDX-License-Identifier: Apache-2.0
"""Shell: the events on record become the state of an agreement, and the collections that follow from it.

The state is computed, never stored. What was read for an agreement is remembered under its epoch, the count of its
events: one row read tells whether it is still true. The clock and the recognition policy are asked every time.
"""

import hashlib
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from collections.abc import Collection as Several
from dataclasses import dataclass, field
from functools import lru_cache
from typing import cast

from comity.agreement.events import Event
from comity.agreement.lifecycle import Standing, compute_standing, find_constancy
from comity.agreement.recognition import Recognised, Refusal, judge
from comity.agreement.record import find_admitted, sort_out
from comity.agreement.terms import Channel, LegalBasis, Terms, parse_terms
from comity.agreement.transitions import State
from comity.classification.selected import find_selected
from comity.errors import MalformedRequest, NotFoundError
from comity.exchange import parse_message
from comity.ids import AgreementId, Instant, PartyId
from comity.node.node import Node
from comity.store import Transaction, agreements
from comity.store.changes import read_changes

__all__ = [
    "Collection",
    "Dossier",
    "collection_id",
    "find_agreement",
    "find_agreement_id",
    "find_collection",
    "find_places",
    "judge_signing",
    "judge_terms",
    "list_collections",
    "list_dossiers",
    "read_dossier",
    "read_titles",
    "remember_dossiers",
]

_MIN_PREFIX = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Dossier:
    """All that is on record of one agreement.

    Of each event also the message it came in, and when this node recorded it.
    """

    id: AgreementId
    epoch: int
    versions: tuple[Terms, ...]
    events: tuple[Event, ...]
    envelopes: tuple[bytes, ...]
    recorded_at: tuple[Instant, ...]
    # The last standing computed, and the time in which it holds; it follows from the rest.
    computed: list[tuple[Instant, Instant, Standing]] = field(default_factory=list, compare=False, repr=False)
    # When each state that was asked about began; it follows from the rest.
    begun: dict[State, Instant | None] = field(default_factory=dict, compare=False, repr=False)

    def standing(self, *, now: Instant) -> Standing:
        """The state at `now`."""
        for begun, until, standing in self.computed:
            if begun <= now < until:
                return standing
        standing = compute_standing(self.versions, self.events, now=now)
        self.computed[:] = [(*self.constancy(now=now), standing)]
        return standing

    def constancy(self, *, now: Instant) -> tuple[Instant, Instant]:
        """From when until when (not included) time alone changes nothing."""
        return find_constancy(self.versions, self.events, now=now)

    def standing_at(self, at: Instant) -> Standing | None:
        """The state at `at` by what this node had on record then; None when it had nothing."""
        said = self.events_at(at)
        known = {event.terms for event in said}
        versions = [terms for terms in self.versions if terms.hash in known]
        return compute_standing(versions, said, now=at) if versions else None

    def events_at(self, at: Instant) -> tuple[Event, ...]:
        """The events that this node had on record at `at`."""
        return tuple(event for event, recorded in zip(self.events, self.recorded_at, strict=True) if recorded <= at)

    def since(self, holds: Callable[[Standing], bool]) -> Instant | None:
        """When this node recorded the event from which on `holds` was true without a break; None when none did."""
        found: Instant | None = None
        for at in sorted(set(self.recorded_at), reverse=True):
            standing = self.standing_at(at)
            if standing is None or not holds(standing):
                break
            found = at
        return found

    def state_since(self, state: State) -> Instant | None:
        """When this node recorded the event that led to `state`, which is the one now; None where the clock did."""
        if state not in self.begun:
            self.begun[state] = self.since(lambda standing: standing.state is state)
        return self.begun[state]

    def belonging(self) -> tuple[Terms, ...]:
        """The versions that are part of the agreement; whoever is in none of them is told nothing of it."""
        return sort_out(self.versions, self.events).versions

    def left(self) -> frozenset[PartyId]:
        """Who has left for good."""
        return sort_out(self.versions, self.events).left

    def parties(self) -> frozenset[PartyId]:
        """Every party of any version that belongs, and whoever was admitted to one by as many founders as it asks for.

        Whom fewer have admitted is still outside, and must not be able to tell that there is an agreement.
        """
        belonging = self.belonging()
        founders = frozenset[PartyId]().union(*(terms.founders for terms in belonging))
        admitted = {joiner for terms in belonging for joiner, _ in find_admitted(terms, self.events)}
        return founders | {joiner for joiner in admitted if joiner is not None}


@dataclass(frozen=True, slots=True, kw_only=True)
class Collection:
    """A channel in force as one recipient sees it (TAXII 2.1 §5.2)."""

    id: str
    dossier: Dossier
    standing: Standing
    terms: Terms
    channel: Channel
    recipient: PartyId

    @property
    def joined(self) -> bool:
        """Whether the recipient is no founder but a joiner, who gets no history."""
        return self.recipient not in self.terms.founders


@lru_cache(maxsize=16_384)
def collection_id(agreement: AgreementId, channel: str, *, giver: PartyId, recipient: PartyId) -> str:
    """The id of the collection that `giver` offers `recipient` under a channel: both compute it, nobody tells it.

    A UUID in the form of version 4, as TAXII 2.1 §2 asks, from SHA-256 over the four names.
    """
    seed = hashlib.sha256(f"comity-collection/1\n{agreement}\n{channel}\n{giver}\n{recipient}".encode()).digest()
    return str(uuid.UUID(bytes=seed[:16], version=4))


def read_dossier(node: Node, transaction: Transaction, agreement: AgreementId) -> Dossier | None:
    """What is on record of `agreement`; None when nothing is."""
    epoch = agreements.read_epoch(transaction, agreement)
    if epoch is None:
        return None
    remembered = node.remembered.get(agreement)
    if remembered is not None and remembered[0] == epoch and isinstance(remembered[1], Dossier):
        return remembered[1]
    envelopes = agreements.read_envelopes(transaction, agreement)
    # A partner may send a thousand messages on one agreement: each is parsed once, not again with each that follows.
    before = remembered[1] if remembered is not None and isinstance(remembered[1], Dossier) else None
    parsed = {} if before is None else dict(zip(before.envelopes, before.events, strict=True))
    dossier = Dossier(
        id=agreement,
        epoch=epoch,
        versions=tuple(parse_terms(document) for document in agreements.read_versions(transaction, agreement)),
        # Each was verified when it came in, and is not verified again here: `agreement.certificate` does that.
        events=tuple(parsed.get(envelope) or parse_message(envelope).event for envelope, _ in envelopes),
        envelopes=tuple(envelope for envelope, _ in envelopes),
        recorded_at=tuple(recorded for _, recorded in envelopes),
    )
    node.remembered[agreement] = (epoch, dossier)
    return dossier


def list_dossiers(node: Node, transaction: Transaction) -> Sequence[Dossier]:
    """Every agreement on record, oldest first."""
    changes, remembered = read_changes(transaction), node.remembered.get("dossiers")
    if remembered is None or remembered[0] != changes:
        found = (read_dossier(node, transaction, agreement) for agreement in agreements.list_agreements(transaction))
        remembered = node.remembered["dossiers"] = (changes, tuple(dossier for dossier in found if dossier is not None))
    return cast("Sequence[Dossier]", remembered[1])


def remember_dossiers(node: Node) -> None:
    """Read what is on record of every agreement, so that the first who asks need not wait for it."""
    now = node.clock()
    with node.store.read() as transaction:
        for dossier in list_dossiers(node, transaction):
            dossier.state_since(dossier.standing(now=now).state)


def read_titles(
    node: Node, transaction: Transaction, wanted: Iterable[AgreementId], *, now: Instant
) -> dict[AgreementId, str]:
    """What those of the agreements are called that are on record, each by the version that counts."""
    titles = dict[AgreementId, str]()
    for agreement in dict.fromkeys(wanted):
        dossier = read_dossier(node, transaction, agreement)
        if dossier is not None:
            standing = dossier.standing(now=now)
            titles[agreement] = (standing.current or standing.latest).title
    return titles


def find_agreement(node: Node, transaction: Transaction, prefix: str) -> Dossier:
    """The one agreement whose id, or the hash of one of whose versions, begins with `prefix`.

    Raises:
        MalformedRequest: the prefix is too short, or fits several.
        NotFoundError: it fits none.
    """
    dossier = read_dossier(node, transaction, find_agreement_id(transaction, prefix))
    assert dossier is not None  # noqa: S101 (its id was found in this transaction)
    return dossier


def find_agreement_id(transaction: Transaction, prefix: str) -> AgreementId:
    """The id of the agreement that `find_agreement` gives, without reading what is on record of it.

    Raises:
        MalformedRequest, NotFoundError: as there.
    """
    if len(prefix) < _MIN_PREFIX:
        raise MalformedRequest(f"{prefix!r} is too short to name an agreement; give at least {_MIN_PREFIX} characters")
    found = agreements.find_agreements(transaction, prefix.lower())
    if len(found) > 1:
        raise MalformedRequest(f"{prefix!r} fits {len(found)} agreements; give more characters")
    if not found:
        raise NotFoundError(f"no agreement {prefix!r} is on record here; `agreement list` shows those that are")
    return found[0]


def judge_terms(
    node: Node,
    terms: Terms,
    *,
    now: Instant,
    joining: Several[LegalBasis] = (),
    towards: PartyId | None = None,
) -> Recognised | Refusal:
    """What this party's recognition policy says of `terms` at `now`; `joining` are bases it cites beside the text.

    `towards` is the party that something would be given to.
    """
    return judge(node.policy(), terms, party=node.party, now=now, joining=joining, towards=towards)


def judge_signing(node: Node, terms: Terms, *, now: Instant, joining: Several[LegalBasis] = ()) -> Recognised | Refusal:
    """As `judge_terms`, before this party signs: it signs nothing that selects people by religion or ethnicity."""
    return find_selected(terms) or judge_terms(node, terms, now=now, joining=joining)


def list_collections(node: Node, transaction: Transaction, recipient: PartyId) -> list[Collection]:
    """The channels in which this node may give to `recipient`, whether the gate is open or not; by agreement and id.

    The gate is not asked here: `node.gate` asks it.
    """
    now = node.clock()
    return [
        Collection(
            id=name,
            dossier=dossier,
            standing=dossier.standing(now=now),
            terms=terms,
            channel=channel,
            recipient=recipient,
        )
        for name, (dossier, terms, channel) in find_places(
            node, transaction, giver=node.party, recipient=recipient, changes=read_changes(transaction)
        ).items()
    ]


def find_collection(
    node: Node, transaction: Transaction, recipient: PartyId, collection: str, *, changes: int
) -> Collection | None:
    """The collection of `recipient` with that id, if there is one; `changes` is `read_changes` of this transaction."""
    place = find_places(node, transaction, giver=node.party, recipient=recipient, changes=changes).get(collection)
    if place is None:
        return None
    dossier, terms, channel = place
    return Collection(
        id=collection,
        dossier=dossier,
        standing=dossier.standing(now=node.clock()),
        terms=terms,
        channel=channel,
        recipient=recipient,
    )


def find_places(
    node: Node, transaction: Transaction, *, giver: PartyId, recipient: PartyId, changes: int
) -> Mapping[str, tuple[Dossier, Terms, Channel]]:
    """Where each collection of `giver` for `recipient` comes from, whether anything may be given in it or not.

    It does not hang on the clock, nor on the policy. `changes` is `read_changes` of this transaction.
    """
    key = f"collections of {giver} for {recipient}"
    remembered = node.remembered.get(key)
    if remembered is not None and remembered[0] == changes:
        return cast("dict[str, tuple[Dossier, Terms, Channel]]", remembered[1])
    now = node.clock()
    places = {
        collection_id(dossier.id, channel.id, giver=giver, recipient=recipient): (dossier, current, channel)
        for dossier in list_dossiers(node, transaction)
        for standing in [dossier.standing(now=now)]
        for current in [standing.current]
        if current is not None
        for channel in current.channels
        if (giver, recipient) in channel.pairs(standing.members)
    }
    node.remembered[key] = (changes, places)
    return places
