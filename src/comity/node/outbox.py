# SPDX-License-Identifier: Apache-2.0
"""Shell: messages on their way to partners. What a partner's node has not acknowledged is tried again, for ever.

What is said in words by a request or its answer is information given: it is held while nothing may be said under its
agreement (`node.requests`), and goes when that is in force again. Where the agreement is over for good it stays, goes
never, and waits for nobody. Whatever stops something, or is about what was given before, waits for nothing.

What was said of an agreement to its members goes to none of them any more that has left a group: a text that was
proposed while that one was away is not for it.
"""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final, NamedTuple

from comity.agreement.events import EventKind
from comity.agreement.transitions import State
from comity.errors import NotFoundError, TransitionError
from comity.ids import AgreementId, Instant, PartyId
from comity.letters.bodies import LetterKind
from comity.letters.request import RequestWithdrawal
from comity.node.node import Node
from comity.node.requests import check_open
from comity.node.standing import Dossier, read_dossier
from comity.store import Transaction, agreements, letters, parties
from comity.store.letters import Undelivered

__all__ = ["Held", "Outgoing", "Waiting", "find_held", "is_held", "list_due", "list_waiting", "settle"]

_FIRST_WAIT = 1_000_000
_LONGEST_WAIT = 300_000_000
_BATCH = 100

_ASKING: Final = frozenset({LetterKind.REQUEST, LetterKind.REPLY, LetterKind.REQUEST_WITHDRAWAL})
_OVER: Final = frozenset({State.TERMINATED, State.EXPIRED})


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


class Held(NamedTuple):
    """Why a message may not go now; `ever`: nor at any other time, as its agreement is over."""

    reason: str
    ever: bool


def list_due(node: Node, *, party: PartyId | None = None, besides: Collection[PartyId] = ()) -> list[Outgoing]:
    """Some of the messages whose time has come, oldest first: to `party` alone where one is named, not to `besides`."""
    with node.store.read() as transaction:
        urls = {item.id: item.url for item in parties.list_parties(transaction)}
        due = agreements.read_due(
            transaction,
            now=node.clock(),
            limit=_BATCH,
            party=party,
            besides=besides,
            held=find_held(node, transaction),
        )
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


def is_held(node: Node, message: Outgoing) -> bool:
    """Whether the message that was due may not go now: what it says is said under no agreement not in force."""
    with node.store.read() as transaction:
        return bool(find_held(node, transaction, place=message.position))


def list_waiting(node: Node) -> list[Waiting]:
    """Who has not acknowledged what, by party; without what goes never."""
    with node.store.read() as transaction:
        undelivered = agreements.read_undelivered(transaction)
        held = find_held(node, transaction)
    found: dict[PartyId, Waiting] = {}
    for item in undelivered:
        obstacle = held.get(item.position, Held(item.problem or "", ever=False))
        if not obstacle.ever:
            count = found[item.party].messages if item.party in found else 0
            found[item.party] = Waiting(party=item.party, messages=count + 1, problem=obstacle.reason or None)
    return [found[party] for party in sorted(found)]


def settle(node: Node, message: Outgoing, *, problem: str | None) -> None:
    """Note how a try went: without a `problem` it is delivered, else the next try waits twice as long, to 5 minutes."""
    with node.act() as act:
        if problem is None:
            agreements.mark_delivered(act.transaction, message.position, now=act.now)
            return
        wait = min(_FIRST_WAIT << min(message.attempts, 16), _LONGEST_WAIT)
        agreements.mark_failed(act.transaction, message.position, due_at=Instant(act.now + wait), problem=problem)


def find_held(node: Node, transaction: Transaction, *, place: int | None = None) -> dict[int, Held]:
    """The places in the queue of what may not be said now, and why; `place` alone, where one is named.

    What takes back a question that its receiver has not got waits with it: else it would be refused, and keep what
    stands behind it.
    """
    held, obstacles = dict[int, Held](), dict[tuple[AgreementId, PartyId], Held | None]()
    for letter in letters.list_undelivered(transaction, _ASKING, place=place):
        channel = letter.agreement, letter.party
        if channel not in obstacles:  # the same for all of them, of which there can be thousands
            obstacles[channel] = _find_obstacle(node, transaction, *channel)
        obstacle = obstacles[channel]
        if obstacle is not None and not _takes_back_what_arrived(transaction, letter):
            held[letter.place] = obstacle
    return held | _find_unsaid(node, transaction, place=place)


def _find_unsaid(node: Node, transaction: Transaction, *, place: int | None) -> dict[int, Held]:
    """The places of what was said of an agreement before this party knew that whom it was for has left it."""
    unsaid, gone = dict[int, Held](), dict[AgreementId, frozenset[PartyId]]()
    for position, party, agreement in agreements.list_undelivered_events(transaction, place=place):
        if agreement not in gone:
            dossier = read_dossier(node, transaction, agreement)
            gone[agreement] = frozenset() if dossier is None else _find_gone(dossier)
        if party in gone[agreement]:
            unsaid[position] = Held(f"{party} has left this agreement", ever=True)
    return unsaid


def _find_gone(dossier: Dossier) -> frozenset[PartyId]:
    """Who has left a group; whoever ends what is between two is told that the other has ended it too."""
    return dossier.left() & {event.party for event in dossier.events if event.kind is EventKind.LEAVE}


def _takes_back_what_arrived(transaction: Transaction, letter: Undelivered) -> bool:
    if letter.kind is not LetterKind.REQUEST_WITHDRAWAL:
        return False
    stored = letters.read_letter(transaction, letter.digest)
    assert stored is not None  # noqa: S101 (it was listed in this transaction)
    body = stored.letter.body
    assert isinstance(body, RequestWithdrawal)  # noqa: S101 (its kind says so)
    return not letters.is_undelivered(transaction, body.request)


def _find_obstacle(node: Node, transaction: Transaction, agreement: AgreementId, partner: PartyId) -> Held | None:
    dossier, now = read_dossier(node, transaction, agreement), node.clock()
    if dossier is None:
        return Held("the agreement of a letter is not on record here", ever=False)
    try:
        check_open(node, dossier, partner, now=now)
    except (NotFoundError, TransitionError) as error:
        standing = dossier.standing(now=now)
        over = standing.state in _OVER or not standing.left.isdisjoint({partner, node.party})
        return Held(error.detail, ever=over)
    return None
