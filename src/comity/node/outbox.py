# SPDX-License-Identifier: Apache-2.0
"""Shell: messages on their way to partners. What a partner's node has not acknowledged is tried again, for ever."""

from collections.abc import Collection
from dataclasses import dataclass

from comity.ids import Instant, PartyId
from comity.node.node import Node
from comity.store import agreements, parties

__all__ = ["Outgoing", "Waiting", "list_due", "list_waiting", "settle"]

_FIRST_WAIT = 1_000_000
_LONGEST_WAIT = 300_000_000
_BATCH = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Outgoing:
    """One message to deliver now; `url` is None while nobody has said where the partner's node is."""

    position: int
    party: PartyId
    url: str | None
    envelope: bytes
    attempts: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """A partner that has not acknowledged messages: how many, and what happened at the last try."""

    party: PartyId
    messages: int
    problem: str | None


def list_due(node: Node, *, party: PartyId | None = None, besides: Collection[PartyId] = ()) -> list[Outgoing]:
    """Some of the messages whose time has come, oldest first: to `party` alone where one is named, not to `besides`."""
    with node.store.read() as transaction:
        urls = {item.id: item.url for item in parties.list_parties(transaction)}
        due = agreements.read_due(transaction, now=node.clock(), limit=_BATCH, party=party, besides=besides)
    return [
        Outgoing(
            position=item.position,
            party=item.party,
            url=urls.get(item.party),
            envelope=item.envelope,
            attempts=item.attempts,
        )
        for item in due
    ]


def list_waiting(node: Node) -> list[Waiting]:
    """Who has not acknowledged what, by party."""
    with node.store.read() as transaction:
        undelivered = agreements.read_undelivered(transaction)
    found: dict[PartyId, Waiting] = {}
    for item in undelivered:
        count = found[item.party].messages if item.party in found else 0
        found[item.party] = Waiting(party=item.party, messages=count + 1, problem=item.problem)
    return [found[party] for party in sorted(found)]


def settle(node: Node, message: Outgoing, *, problem: str | None) -> None:
    """Note how a try went: without a `problem` it is delivered, else the next try waits twice as long, to 5 minutes."""
    with node.act() as act:
        if problem is None:
            agreements.mark_delivered(act.transaction, message.position, now=act.now)
            return
        wait = min(_FIRST_WAIT << min(message.attempts, 16), _LONGEST_WAIT)
        agreements.mark_failed(act.transaction, message.position, due_at=Instant(act.now + wait), problem=problem)
