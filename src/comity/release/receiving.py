# SPDX-License-Identifier: Apache-2.0
"""Pure: what a received object is restricted to by the channel it came in.

Neither the object nor the wire says what terms its giver had received it under. It need not: the giver passes on only
in a channel that restricts as much (`release.clauses`), so the last hop's restrictions hold all of those before.

    originators          all that the channel admits, because it may be of any of them; of the giver alone as a rule
    audience             the receiver, and those whom the channel lists; never wider than the giver had it
    excluded_frameworks  those of the terms; never fewer than the giver had it with

Where passing on needs the originator's consent the audience is the receiver alone. What a giver does that does not keep
to the clauses no receiver can see.
"""

from dataclasses import dataclass

from comity.agreement.channels import Channel
from comity.ids import PartyId

__all__ = ["Restrictions", "find_restrictions", "make_unrestricted"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Restrictions:
    """What the label of an object says of the way it came; `audience` None means any party."""

    originators: frozenset[PartyId]
    audience: frozenset[PartyId] | None
    excluded_frameworks: frozenset[str]


def make_unrestricted(originator: PartyId) -> Restrictions:
    """Those of an object at its originator: nobody's terms bind it there."""
    return Restrictions(originators=frozenset({originator}), audience=None, excluded_frameworks=frozenset())


def find_restrictions(channel: Channel, *, giver: PartyId, receiver: PartyId) -> Restrictions:
    """Those of what `giver` gives `receiver` in `channel`, as the receiver holds it."""
    scope = channel.scope_for(giver)
    return Restrictions(
        originators=scope.originators,
        audience=frozenset({receiver}) | scope.onward_to,
        excluded_frameworks=scope.excluded_frameworks,
    )
