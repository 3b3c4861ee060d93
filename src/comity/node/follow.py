# SPDX-License-Identifier: Apache-2.0
"""Shell: which collections of a partner this node follows, from where, and how it went.

A collection's id follows from the agreement, so nobody has to be told what exists: this node asks only for channels of
agreements on its own record, and never learns, or asks for, anything else a partner may hold.

How far behind this node is nobody here can know: what a partner has released and not told is not known. What is known
is when it last had nothing more; whatever is missing here was released after that.
"""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

from comity.agreement.channels import Channel
from comity.agreement.lifecycle import Obstacle, Standing
from comity.agreement.terms import Terms
from comity.agreement.transitions import State
from comity.errors import NotFoundError, TransitionError
from comity.exchange import make_access
from comity.ids import AgreementId, Digest, Instant, PartyId
from comity.node.node import Node
from comity.node.parties import find_party
from comity.node.standing import Dossier, collection_id, list_dossiers
from comity.signing import Role
from comity.store import Transaction, parties, pulls
from comity.store.changes import read_changes
from comity.store.parties import StoredParty
from comity.store.pulls import Progress

__all__ = [
    "REFUSED",
    "Followed",
    "Progress",
    "Target",
    "find_pause",
    "leave_out_named",
    "list_followed",
    "list_givers",
    "make_token",
    "note_failed",
    "note_in_step",
    "plan_pull",
    "read_plan_mark",
]

REFUSED = "refused, and nothing of it kept"
"""How the problem of a channel begins where a page was refused; behind it stand terms, channels and objects."""

_NONCE_BYTES = 16
_MAX_PROBLEM = 500
_LONGEST_PAUSE = 300.0
_LEAST_BETWEEN_NOTES = 10_000_000
"""Microseconds between two notes that a channel is in step: a partner that waits says so again and again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """One channel to pull: its collection at the partner's node, and the `date_added` reached so far."""

    url: str
    giver: PartyId
    agreement: AgreementId
    title: str
    terms: Digest
    channel: Channel
    collection: str
    added_after: Instant | None


def plan_pull(node: Node, giver: PartyId) -> list[Target]:
    """The channels in force in which `giver` gives to this party.

    This node's own recognition is not asked: it decides what this party gives, not what it may be given.

    Raises:
        NotFoundError: the partner is not pinned, its node's address is unknown, or no agreement lets it give here.
        TransitionError: there are such agreements, and none is in force; says why.
    """
    known = find_party(node, giver)
    if known.url is None:
        raise NotFoundError(f"the address of {giver}'s node is not known; set it with `party add FILE --url URL`")
    targets, closed = list[Target](), list[str]()
    with node.store.read() as transaction:
        for dossier, standing, channel in _find_given(node, transaction, giver):
            terms = standing.current or standing.latest
            if obstacle := standing.obstacle(channel, giver, node.party):
                closed.append(_say_closed(standing, terms, channel, obstacle))
                continue
            name = collection_id(dossier.id, channel.id, giver=giver, recipient=node.party)
            targets.append(
                Target(
                    url=known.url,
                    giver=giver,
                    agreement=dossier.id,
                    title=terms.title,
                    terms=terms.hash,
                    channel=channel,
                    collection=name,
                    added_after=pulls.read_position(transaction, giver, name),
                )
            )
    if targets:
        return targets
    if closed:
        raise TransitionError(f"nothing can be pulled from {giver}: {'; '.join(dict.fromkeys(closed))}")
    raise NotFoundError(f"no agreement on record lets {giver} give this party anything")


def _say_closed(standing: Standing, terms: Terms, channel: Channel, obstacle: Obstacle) -> str:
    if standing.state is not State.IN_FORCE:
        return f"{terms.title}: {standing.sentence}"
    return f"{terms.title}, channel {channel.id}: {obstacle.reason}"


def _find_given(node: Node, transaction: Transaction, giver: PartyId) -> Iterator[tuple[Dossier, Standing, Channel]]:
    """The channels that let `giver` give to this party, once both are members."""
    for dossier in list_dossiers(node, transaction):
        standing = dossier.standing(now=node.clock())
        terms = standing.current or standing.latest
        for channel in terms.channels:
            if (giver, node.party) in channel.pairs(standing.members | terms.founders):
                yield dossier, standing, channel


@dataclass(frozen=True, slots=True, kw_only=True)
class Followed:
    """How it stands with one channel in which a partner gives to this party; `closed` is why nothing is asked for.

    Of a source (`node.sources`) the record stands in the place of the agreement, its collection in that of the channel.
    """

    giver: str
    agreement: str
    title: str
    channel: str
    collection: str
    position: Instant | None
    progress: Progress
    closed: str | None


def list_givers(node: Node) -> list[PartyId]:
    """The partners that may give to this party now, and whose nodes are known."""
    with node.store.read() as transaction:
        partners = [item.id for item in parties.list_parties(transaction) if item.url and item.id != node.party]
        return [giver for giver in partners if _may_give(node, transaction, giver)]


def list_followed(node: Node) -> list[Followed]:
    """Every channel in which a partner gives to this party, by partner, whether it is open now or not."""
    given = defaultdict[str, list[tuple[Dossier, Standing, Channel]]](list)
    with node.store.read() as transaction:
        for giver, found in _list_given(node, transaction):
            given[giver].append(found)
        return [
            _describe(node, transaction, partner, found)
            for partner in parties.list_parties(transaction)
            for found in given[partner.id]
        ]


def _list_given(node: Node, transaction: Transaction) -> Iterator[tuple[PartyId, tuple[Dossier, Standing, Channel]]]:
    """Every channel that lets somebody give to this party, and whom: as `_find_given`, for all in one pass."""
    now = node.clock()
    for dossier in list_dossiers(node, transaction):
        standing = dossier.standing(now=now)
        terms = standing.current or standing.latest
        for channel in terms.channels:
            pairs = channel.pairs(standing.members | terms.founders)
            for giver in {giver for giver, receiver in pairs if receiver == node.party}:
                yield giver, (dossier, standing, channel)


def _describe(
    node: Node, transaction: Transaction, partner: StoredParty, found: tuple[Dossier, Standing, Channel]
) -> Followed:
    dossier, standing, channel = found
    terms = standing.current or standing.latest
    obstacle = standing.obstacle(channel, partner.id, node.party)
    closed = None if obstacle is None else _say_closed(standing, terms, channel, obstacle)
    if closed is None and partner.url is None:
        closed = f"the address of {partner.id}'s node is not known; set it with `party add FILE --url URL`"
    name = collection_id(dossier.id, channel.id, giver=partner.id, recipient=node.party)
    return Followed(
        giver=partner.id,
        agreement=dossier.id,
        title=terms.title,
        channel=channel.id,
        collection=name,
        position=pulls.read_position(transaction, partner.id, name),
        progress=pulls.read_progress(transaction, partner.id, name),
        closed=closed,
    )


def read_plan_mark(node: Node) -> int:
    """A number that is another one whenever what may be followed may have changed, but by the clock alone."""
    return read_changes(node.store)


def note_in_step(node: Node, giver: str, collection: str) -> None:
    """The giver had nothing more in the collection. Where that was noted some seconds ago it stays as it is."""
    with node.store.read() as transaction:
        known = pulls.read_progress(transaction, giver, collection)
    recent = known.in_step_at is not None and 0 <= node.clock() - known.in_step_at < _LEAST_BETWEEN_NOTES
    # What came in since must be told to be all, and what failed to be past.
    if recent and known.problem is None and (known.taken_at or 0) <= (known.in_step_at or 0):
        return
    with node.act() as act:
        pulls.note_in_step(act.transaction, giver, collection, now=act.now)


def note_failed(node: Node, giver: str, collection: str, problem: str, *, fraction: float) -> float:
    """In how many seconds to try again. `fraction`, from 0 to 1, is drawn at random."""
    with node.act() as act:
        failures = pulls.note_failure(act.transaction, giver, collection, now=act.now, problem=problem[:_MAX_PROBLEM])
        seconds = find_pause(failures, fraction)
        pulls.set_due(act.transaction, giver, collection, Instant(act.now + int(seconds * 1_000_000)))
    return seconds


def leave_out_named(problem: str) -> str:
    """The problem without what a refusal names, for who may not read agreements."""
    before, refused, _ = problem.partition(REFUSED)
    return before + refused


def find_pause(failures: int, fraction: float) -> float:
    """Seconds before the next try after so many failures: doubled for each, to five minutes; half of it by chance.

    Without chance all who failed together, because one node was away, would come back together.
    """
    longest = min(2.0 ** min(failures, 16), _LONGEST_PAUSE)
    return longest * (0.5 + 0.5 * fraction)


def _may_give(node: Node, transaction: Transaction, giver: PartyId) -> bool:
    return any(
        standing.obstacle(channel, giver, node.party) is None
        for _, standing, channel in _find_given(node, transaction, giver)
    )


def make_token(node: Node, audience: PartyId) -> str:
    """An access token that this party signs for one request to the node of `audience`, which holds it to its clock."""
    return make_access(
        node.party,
        audience,
        now=node.read_machine_clock(),
        nonce=node.draw(_NONCE_BYTES),
        signers=[node.signers[Role.TRANSPORT]],
    )
