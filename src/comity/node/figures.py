# SPDX-License-Identifier: Apache-2.0
"""Shell: the figures of a node that an operator watches: counts and dates, and nothing of any object."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from comity.agreement.transitions import State
from comity.ids import Instant, PartyId
from comity.node.follow import Followed, list_followed
from comity.node.node import Node
from comity.node.outbox import find_held
from comity.node.parties import read_manifests
from comity.node.sources import list_followed_sources
from comity.node.standing import list_dossiers
from comity.store import Transaction, agreements, log

__all__ = ["Figures", "read_figures"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """How much is on record, what waits, and what runs out when. `manifests` has this party's own among them.

    `outbox` is without what goes never, as its agreement is over.

    `followed` are the channels that are followed, those that are closed now left out.
    """

    log_entries: int
    outbox: int
    agreements: Mapping[State, int]
    manifests: Mapping[PartyId, Instant]
    followed: Sequence[Followed] = ()


def read_figures(node: Node) -> Figures:
    """The figures at this moment.

    Raises:
        UnavailableError, CorruptionError: the store cannot be read.
    """
    now = node.clock()
    followed = [item for item in list_followed(node) if item.closed is None] + list_followed_sources(node)
    with node.store.read() as transaction:
        states = Counter(dossier.standing(now=now).state for dossier in list_dossiers(node, transaction))
        return Figures(
            log_entries=log.count_entries(transaction),
            outbox=agreements.count_undelivered(transaction) - _count_never(node, transaction),
            agreements={state: states[state] for state in State},
            manifests={party: manifest.expires_at for party, manifest in read_manifests(transaction).items()},
            followed=followed,
        )


def _count_never(node: Node, transaction: Transaction) -> int:
    return sum(held.ever for held in find_held(node, transaction).values())
