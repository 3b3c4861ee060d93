# SPDX-License-Identifier: Apache-2.0
"""Shell: which collections of a partner this node follows, and from where.

A collection's id follows from the agreement, so nobody has to be told what exists: this node asks only for channels of
agreements on its own record, and never learns, or asks for, anything else a partner may hold.
"""

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
from comity.store import Transaction, pulls

__all__ = ["Target", "make_token", "plan_pull"]

_NONCE_BYTES = 16


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


def make_token(node: Node, audience: PartyId) -> str:
    """An access token that this party signs for one request to the node of `audience`, which holds it to its clock."""
    return make_access(
        node.party,
        audience,
        now=node.read_machine_clock(),
        nonce=node.draw(_NONCE_BYTES),
        signers=[node.signers[Role.TRANSPORT]],
    )
