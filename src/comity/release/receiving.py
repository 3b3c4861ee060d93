# SPDX-License-Identifier: Apache-2.0
"""Pure: what a received object is restricted to by the channel it came in.

Neither the object nor the wire says what terms its giver had received it under. It need not: the giver passes on only
in a channel that restricts as much (`release.clauses`), so the last hop's restrictions hold all of those before.

    originators          all that the channel admits, because it may be of any of them; of the giver alone as a rule
    audience             the receiver, and those whom the channel lists; never wider than the giver had it
    excluded_frameworks  those of the terms; never fewer than the giver had it with

Where passing on needs the originator's consent the audience is the receiver alone, and whom the giver grants
(`node.grants`). What a giver does that does not keep to these clauses no receiver can see. What an object says of
itself it can (`find_outside`).

What a source gives that signs no agreements is restricted by this party's own terms of receipt (`agreement.receiving`):
to this party and those that they list, and of what they do not admit nothing is taken in at all.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from typing import Final

from comity.agreement.channels import Channel
from comity.agreement.receiving import ReceiptTerms
from comity.ids import PartyId
from comity.release.clauses import read_findings
from comity.stix.labels import OVERFULL, UNSPECIFIED, Label, intersect_audiences, is_overfull
from comity.stix.markings import STATEMENT, TLP_ORDER, Markings, tlp_rank

__all__ = [
    "Restrictions",
    "bind",
    "count_as",
    "find_carriers",
    "find_outside",
    "find_restrictions",
    "find_unfit",
    "make_unrestricted",
    "needs_consent",
    "restrict_received",
]

_UNMARKED: Final = TLP_ORDER[-1]
_DEFINITION: Final = "marking-definition"
_DEFINITIONS: Final = frozenset({_DEFINITION})
_SAID: Final = frozenset({"types", "tlp_ceiling", "kinds", "person_classes", "special_categories", "handling"})
"""The clauses that an object breaks at its giver too if it breaks them by itself: what people add to it, or what it
refers to, can only make it break more. Subjects and regions are not among them, for there one word more can help; nor
are markings, since the definition of a statement may come later than what it marks.
"""
_UNSAID: Final = {
    "kinds": frozenset({frozenset({UNSPECIFIED})}),
    "tlp_ceiling": frozenset({frozenset({_UNMARKED})}),
}
"""What is found of an object of which nobody has said, by clause. Many tools write objects without a marking; what has
none is held, and goes nowhere from here.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Restrictions:
    """What the label of an object says of the way it came; `audience` None means any party.

    `unmarked` is the TLP that an object counts as on which nothing at all is marked; None: it stays without any.
    `grows` says that the audience of a version is wider by whomever its giver has granted.
    """

    originators: frozenset[PartyId]
    audience: frozenset[PartyId] | None
    excluded_frameworks: frozenset[str]
    unmarked: str | None = None
    grows: bool = False


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
        grows=channel.onward == "originator_consent",
    )


def bind(label: Label, restrictions: Restrictions) -> Label:
    """The label of what is held to these restrictions too."""
    if label == OVERFULL:
        return label
    made = replace(
        label,
        originators=label.originators | restrictions.originators,
        audience=intersect_audiences(label.audience, restrictions.audience),
        excluded_frameworks=label.excluded_frameworks | restrictions.excluded_frameworks,
    )
    return OVERFULL if is_overfull(made) else made


def find_carriers(channels: Iterable[Channel], *, giver: PartyId, receiver: PartyId, kind: str) -> tuple[Channel, ...]:
    """The channels of a text in which `giver` can have given `receiver` an object of the type `kind`."""
    return tuple(
        channel
        for channel in channels
        if channel.giver in {None, giver}
        and (channel.receivers is None or receiver in channel.receivers)
        and kind in channel.scope.types
    )


def needs_consent(carriers: Collection[Channel]) -> bool:
    """Whether what came in one of these channels may be passed on to whom its giver grants, whichever it came in."""
    return bool(carriers) and all(channel.onward == "originator_consent" for channel in carriers)


def find_outside(label: Label, channel: Channel, *, giver: PartyId, receiver: PartyId) -> str | None:
    """Which clause an object shows by itself to be broken, and by what; None where it may be within the terms.

    `label` is its own, made of its bytes alone. Whoever gives what this finds has not kept to the terms, whatever its
    people say of the object. A marking definition is never found: without it nothing that it marks is understood.
    """
    if label.types == _DEFINITIONS:
        return None
    for finding in read_findings(channel.scope_for(giver), label, recipient=receiver):
        if finding.clause in _SAID and not finding.holds and finding.found != _UNSAID.get(finding.clause):
            said = ", ".join(sorted({word for group in finding.found for word in group})) or "nothing"
            return f"outside of the terms it was given under: {finding.clause} admits no {said}"
    return None


def restrict_received(terms: ReceiptTerms, *, receiver: PartyId) -> Restrictions:
    """Those of what a source gives, by the terms of receipt of `receiver`."""
    return Restrictions(
        originators=frozenset({terms.originator}),
        audience=frozenset({receiver}) | terms.onward_to,
        excluded_frameworks=frozenset(),
        unmarked=terms.unmarked,
    )


def count_as(markings: Markings, unmarked: str | None) -> Markings:
    """The markings that count: with the TLP `unmarked`, where there is one and nothing at all is marked.

    A marking that is not understood is one: an object that carries it stays without a TLP.
    """
    if unmarked is None or markings.tlp != _UNMARKED or markings.others or markings.granular:
        return markings
    return replace(markings, tlp=unmarked)


def find_unfit(terms: ReceiptTerms, kind: str, markings: Markings) -> str | None:
    """Why an object of that type and with those markings is not taken in; None where it is.

    "type", "ceiling", "unmarked" or "marking" (one that is not understood). A marking definition always is: without it
    nothing that it marks is understood.
    """
    if kind == _DEFINITION:
        return None
    if kind not in terms.types:
        return "type"
    counted = count_as(markings, terms.unmarked)
    if counted.others - {STATEMENT}:
        return "marking"
    if counted.tlp == _UNMARKED:
        return "unmarked"
    levels = [counted.tlp, *(mark.tlp for mark in counted.granular)]
    return "ceiling" if max(map(tlp_rank, levels)) > tlp_rank(terms.tlp_ceiling) else None
