# SPDX-License-Identifier: Apache-2.0
"""Shell: where could such an object end up, over every agreement known here?

Counted is what every party signed and what is not ended: also what is suspended or not valid yet, because it can come
in force without anybody signing again. Proposals count when they are asked for. Agreements of others that are not on
record here are not known and not counted.
"""

import threading
from collections.abc import Collection
from dataclasses import dataclass

from comity.agreement.terms import Terms
from comity.agreement.transitions import State
from comity.errors import CertificateRefused, NotFoundError
from comity.ids import PartyId
from comity.node.node import Node
from comity.node.standing import Dossier, list_dossiers
from comity.release.proof import Proved, verify_reach
from comity.release.reach import Consent, Edge, Question, Reach, compute_reach, read_edges
from comity.store import parties

__all__ = ["Answer", "Counted", "Known", "Reached", "certify", "find_reach", "read_known"]

_PROVING = threading.Lock()
"""z3 keeps one context for the whole process, so proofs take turns."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Counted:
    """A version that counts, who is bound by it, and where its agreement stands."""

    terms: Terms
    members: frozenset[PartyId]
    state: State


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What this node knows: the versions that count, and every party that is pinned or named in one."""

    counted: tuple[Counted, ...]
    parties: frozenset[PartyId]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reached:
    """A party that could be given an object of `originator`, by a shortest chain."""

    party: PartyId
    originator: PartyId
    chain: tuple[Edge, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """Who could be given such an object, who never, and what that rests on: one reach for each originator.

    A party is in neither list when it alone could be the originator. `reaches` are the certificate.
    """

    reached: tuple[Reached, ...]
    never: tuple[PartyId, ...]
    reaches: tuple[Reach, ...]
    edges: tuple[Edge, ...]


def read_known(node: Node, *, proposed: bool) -> Known:
    """What counts at this moment; `proposed` adds versions that not every party signed and nobody rejected."""
    with node.store.read() as transaction:
        counted = tuple(
            item for dossier in list_dossiers(node, transaction) for item in _count(node, dossier, proposed=proposed)
        )
        pinned = {known.id for known in parties.list_parties(transaction)}
    named = {party for item in counted for party in item.members}
    return Known(counted=counted, parties=frozenset(pinned | named))


def find_reach(known: Known, question: Question, *, originators: Collection[PartyId], consent: Consent) -> Answer:
    """Where an object that fits `question` could end up; no `originators` means that any known party could be it.

    Raises:
        NotFoundError: an originator is not known here.
        MalformedRequest: there is too much to follow.
    """
    if unknown := sorted(set(originators) - known.parties):
        raise NotFoundError(f"{unknown[0]} is no party that this node has pinned or that an agreement here names")
    begins = sorted(originators or known.parties)
    edges = tuple(edge for item in known.counted for edge in read_edges(item.terms, item.members, consent=consent))
    reaches = tuple(compute_reach(edges, question, originator=party) for party in begins)
    shortest: dict[PartyId, Reached] = {}
    for reach in reaches:
        for party, chain in reach.chains.items():
            if party not in shortest or len(chain) < len(shortest[party].chain):
                shortest[party] = Reached(party=party, originator=reach.originator, chain=chain)
    asked = known.parties - (set(begins) if len(begins) == 1 else set())
    return Answer(
        reached=tuple(shortest[party] for party in sorted(shortest)),
        never=tuple(sorted(asked - shortest.keys())),
        reaches=reaches,
        edges=edges,
    )


def certify(answer: Answer, reach: Reach) -> Proved:
    """What z3 confirms of one reach of `answer`. It may take long: call it in a thread of its own.

    Raises:
        NotInstalled: z3 is not there.
        CertificateRefused: it does not confirm all of it.
    """
    with _PROVING:
        try:
            return verify_reach(reach, answer.edges)
        except CertificateRefused as error:
            problem = error.detail
    # Raised anew: the other one's traceback holds expressions of z3, and they must be gone before the next turn.
    raise CertificateRefused(problem)


def _count(node: Node, dossier: Dossier, *, proposed: bool) -> list[Counted]:
    now = node.clock()
    standing = dossier.standing(now=now)
    if standing.state is State.TERMINATED:
        return []
    versions = [] if standing.current is None else [standing.current]
    if proposed and standing.latest != standing.current and not standing.refused_by:
        versions.append(standing.latest)
    return [
        Counted(
            terms=terms,
            members=standing.members if terms is standing.current else terms.founders - standing.left,
            state=standing.state,
        )
        for terms in versions
        if terms.valid_until is None or now < terms.valid_until
    ]
