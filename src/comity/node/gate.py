# SPDX-License-Identifier: Apache-2.0
"""Shell: whether anything may leave at this moment, in one channel, to one party.

The answer is remembered as long as nothing that it follows from has changed: events, manifests and the clock's next
date (`agreement.lifecycle.split_time`), and this party's own policy, whose file is looked at every time.
"""

from collections.abc import Callable
from dataclasses import dataclass

from comity.agreement.channels import Channel
from comity.agreement.lifecycle import Standing, split_time
from comity.agreement.recognition import Policy
from comity.ids import Instant, PartyId
from comity.node.node import Node
from comity.node.standing import Collection, Dossier, collection_id, find_collection, judge_terms, list_collections
from comity.release.decision import Withhold, decide_gate
from comity.store import Transaction, parties
from comity.store.changes import read_changes

__all__ = ["AskGate", "ask_gate", "ask_gates", "find_open_collection", "list_open_collections"]

AskGate = Callable[[Dossier, Channel, PartyId], Withhold | None]
"""What asks for `ask_gate` of one channel after another."""


@dataclass(frozen=True, slots=True)
class _Answer:
    """What the gate said, by which policy, and the time in which it says the same."""

    withhold: Withhold | None
    policy: Policy
    begun: Instant
    until: Instant


def list_open_collections(node: Node, recipient: PartyId) -> list[Collection]:
    """The collections that `recipient` may poll now."""
    with node.store.read() as transaction:
        changes = read_changes(transaction)
        return [
            item
            for item in list_collections(node, transaction, recipient)
            if _ask(node, transaction, item, changes=changes) is None
        ]


def find_open_collection(
    node: Node,
    transaction: Transaction,
    recipient: PartyId,
    collection: str,
    *,
    changes: int,
    now: Instant | None = None,
) -> Collection | None:
    """The collection with that id if `recipient` may poll it; `changes` are those of the transaction.

    `now` is the time of the act that it is asked for (None: of this very moment): what goes on record at a time was let
    go at that time, however long the act takes and whatever the clock does meanwhile.
    """
    found = find_collection(node, transaction, recipient, collection, changes=changes)
    return None if found is None or _ask(node, transaction, found, changes=changes, now=now) is not None else found


def ask_gate(
    node: Node,
    transaction: Transaction,
    standing: Standing,
    channel: Channel,
    *,
    recipient: PartyId,
    now: Instant | None = None,
) -> Withhold | None:
    """What stops everything from this party to `recipient` in `channel` at this moment, if anything does.

    The state, this party's own recognition, or a party whose manifest has run out: its signatures could be a thief's.
    `now` is the time of the state, where whoever asks has it.
    """
    now = node.clock() if now is None else now
    for party in _find_concerned(standing, node.party, recipient):
        expires_at = parties.read_expiry(transaction, party)
        if expires_at is None or expires_at <= now:
            return Withhold(clause="parties", reason=f"the manifest of {party} has run out; pin its next version")
    terms, joining = standing.current or standing.latest, standing.joining_bases(node.party)
    recognition = judge_terms(node, terms, now=now, joining=joining, towards=recipient)
    return decide_gate(standing, recognition, channel=channel, giver=node.party, receiver=recipient)


def ask_gates(node: Node, transaction: Transaction) -> AskGate:
    """What asks for `ask_gate` of one channel of an agreement after another, within this transaction.

    It takes what is on record of the agreement, the channel and the recipient.
    """
    changes, policy = read_changes(transaction), node.policy()

    def ask(dossier: Dossier, channel: Channel, recipient: PartyId) -> Withhold | None:
        place = _Place(dossier=dossier, channel=channel, recipient=recipient)
        return _remember(node, transaction, place, changes=changes, policy=policy)

    return ask


@dataclass(frozen=True, slots=True, kw_only=True)
class _Place:
    """One channel of one agreement, towards one party."""

    dossier: Dossier
    channel: Channel
    recipient: PartyId


def _ask(
    node: Node, transaction: Transaction, collection: Collection, *, changes: int, now: Instant | None = None
) -> Withhold | None:
    """What `ask_gate` says of the collection, remembered under `changes`."""
    place = _Place(dossier=collection.dossier, channel=collection.channel, recipient=collection.recipient)
    return _remember(node, transaction, place, changes=changes, policy=node.policy(), now=now)


def _remember(
    node: Node, transaction: Transaction, place: _Place, *, changes: int, policy: Policy, now: Instant | None = None
) -> Withhold | None:
    collection = collection_id(place.dossier.id, place.channel.id, giver=node.party, recipient=place.recipient)
    key = f"gate of {place.recipient} {collection}"
    now = node.clock() if now is None else now
    remembered = node.remembered.get(key)
    if remembered is not None and remembered[0] == changes and isinstance(remembered[1], _Answer):
        answer = remembered[1]
        if answer.policy is policy and answer.begun <= now < answer.until:
            return answer.withhold
    # The state at this very time, and no older one that whoever asks may have: the answer is remembered for as long as
    # time alone changes nothing from here on.
    standing = place.dossier.standing(now=now)
    withhold = ask_gate(node, transaction, standing, place.channel, recipient=place.recipient, now=now)
    concerned = _find_concerned(standing, node.party, place.recipient)
    expiries = split_time([parties.read_expiry(transaction, party) for party in concerned], now=now)
    dates = place.dossier.constancy(now=now)
    answer = _Answer(
        withhold=withhold, policy=policy, begun=max(dates[0], expiries[0]), until=min(dates[1], expiries[1])
    )
    node.remembered[key] = (changes, answer)
    return withhold


def _find_concerned(standing: Standing, giver: PartyId, recipient: PartyId) -> list[PartyId]:
    founders = (standing.current or standing.latest).founders
    return sorted((standing.members & {giver, recipient} | founders) - standing.left)
