# SPDX-License-Identifier: Apache-2.0
"""Shell: what a node takes of another party's messages: who has a say, and how much of it is kept."""

from comity.agreement.events import CARRIES_TERMS, SIGNS, STOPS, Event, EventKind
from comity.agreement.terms import Terms
from comity.errors import ConflictError, NotFoundError, VerificationError
from comity.ids import PartyId
from comity.node.node import Act, Node
from comity.node.standing import Dossier
from comity.store import agreements

__all__ = ["check_taken", "is_stranger"]

_MAX_EVENTS_OF_A_PARTY = 1_000
"""Per agreement: far above any negotiation, and a bound on what a hostile partner can make this node keep."""

_MAX_BYTES_OF_A_PARTY = 32 * 1024 * 1024
_MAX_VERSIONS = 100
_MAX_UNANSWERED = 100
"""Proposals of one partner that this party has not answered in any way."""

_MAX_BYTES_UNANSWERED = 8 * 1024 * 1024
"""All that is on record stands in memory too, parsed: nobody fills it before people of this party have said a word."""


def is_stranger(event: Event, terms: Terms | None, dossier: Dossier) -> bool:
    """Whether the sender is no party as far as is known here.

    A first version speaks for itself: the agreement is named by its hash, so that whoever signs it as a party is one,
    whatever others who learned that name said before.
    """
    founds = terms is not None and terms.version == 1 and event.kind in SIGNS and event.party in terms.founders
    return event.party not in dossier.parties() and not founds


def check_taken(node: Node, act: Act, event: Event, *, dossier: Dossier | None, terms: Terms | None) -> None:
    """Whether the event can be kept beside what `dossier` holds.

    Raises:
        NotFoundError, VerificationError, ConflictError: it cannot.
    """
    if terms is None and dossier is None:
        raise NotFoundError("the agreement of this event is not on record here")
    _check_members(node, event, dossier=dossier, terms=terms)
    _check_bounds(node, act, event, dossier=dossier, terms=terms)


def _check_members(node: Node, event: Event, *, dossier: Dossier | None, terms: Terms | None) -> None:
    """Both this party and the sender belong to the agreement: as on record, or, for a first proposal, as in its text.

    A text that names an agreement on record is no way into it: whoever is not yet a party of any version is heard when
    a version that names it has come from one who is. The text of a group that can be joined may come to a party that is
    not in it yet: nothing is given under it before that party has signed and was admitted.
    """
    named = terms.founders if terms else frozenset[PartyId]()
    members = dossier.parties() if dossier else named
    if terms is not None and terms.version == 1:
        members |= named  # its hash is the agreement's id: whatever came before it, this is the text that founds it
    elif dossier is not None and terms is not None:
        _check_order(dossier, terms)
    texts = [*(dossier.versions if dossier else ()), *([terms] if terms else ())]
    invited = any(text.structure.accession != "closed" for text in texts)
    if event.party not in members:
        if event.kind is EventKind.ACCEDE and dossier is not None:
            raise NotFoundError(f"{event.party} is not admitted by enough parties here yet")
        raise VerificationError(f"{event.party} is not a party of the agreement")
    if node.party not in members | named and not invited:
        raise VerificationError(f"{node.party} is not a party of the agreement")


def _check_order(dossier: Dossier, terms: Terms) -> None:
    """Where the first version is not on record, nothing is put before the oldest that is but what that one replaces.

    Else whoever was a party once could let a text of its own stand for the first, and all later ones would fall.

    Raises:
        NotFoundError: what replaces the text is not on record (yet).
    """
    oldest = min(known.version for known in dossier.versions)
    replaced = {known.supersedes for known in dossier.versions}
    if terms.version < oldest and terms.hash not in replaced and oldest > 1:
        raise NotFoundError("this text is older than all that is on record here of the agreement, and none replaces it")


def _check_bounds(node: Node, act: Act, event: Event, *, dossier: Dossier | None, terms: Terms | None) -> None:
    """What one partner can make this node keep is bounded; what stops something is taken, whatever came before it.

    Raises:
        ConflictError: the partner has reached a bound.
    """
    if dossier is not None and event.kind in STOPS - {EventKind.COUNTER} and _stops_more(event, dossier):
        return
    waiting, size = agreements.measure_unanswered(act.transaction, event.party, by=node.party)
    if size >= _MAX_BYTES_UNANSWERED and not (
        dossier is not None and agreements.was_told(act.transaction, event.party, dossier.id, by=node.party)
    ):
        raise ConflictError(f"{event.party} has {_MAX_BYTES_UNANSWERED} bytes here that wait for an answer")
    if dossier is None:
        if waiting >= _MAX_UNANSWERED:
            raise ConflictError(f"{event.party} has {_MAX_UNANSWERED} proposals here that wait for an answer")
        return
    sizes = [
        len(envelope)
        for known, envelope in zip(dossier.events, dossier.envelopes, strict=True)
        if known.party == event.party
    ]
    if len(sizes) >= _MAX_EVENTS_OF_A_PARTY or sum(sizes) >= _MAX_BYTES_OF_A_PARTY:
        raise ConflictError(f"{event.party} has reached the bound of events on this agreement")
    if terms is None or terms.hash in {known.hash for known in dossier.versions}:
        return
    if _is_after_leaving(event, dossier):
        raise ConflictError(f"{event.party} has left this agreement; a new text of it is not kept")
    if terms.version > 1 and _count_versions(event.party, dossier) >= _MAX_VERSIONS:
        raise ConflictError(f"this agreement has {_MAX_VERSIONS} versions; negotiate a new one")


def _count_versions(party: PartyId, dossier: Dossier) -> int:
    """The versions that belong, and what `party` signed besides. What strangers claimed is no bound for others."""
    signed = {event.terms for event in dossier.events if event.party == party and event.kind in CARRIES_TERMS}
    return len(signed | {terms.hash for terms in dossier.belonging()})


def _is_after_leaving(event: Event, dossier: Dossier) -> bool:
    """Whether a party says, by its own date, something later than that it has left for good.

    What it dates earlier may have been overtaken on its way, and the others have it: refusing it here would part the
    records for ever.
    """
    if event.party not in dossier.left():
        return False
    left = [known.at for known in dossier.events if (known.kind, known.party) == (EventKind.LEAVE, event.party)]
    return event.at > max(left, default=event.at)


def _stops_more(event: Event, dossier: Dossier) -> bool:
    """Whether the stop is about a text on record, and stops what its sender has not stopped already.

    That many there can be: what is over the bound for events is one stop of each kind for each text and channel.
    """
    known = next((terms for terms in dossier.versions if terms.hash == event.terms), None)
    if known is None or not (event.channel is None or known.channel(event.channel)):
        return False
    said = [item for item in dossier.events if item.party == event.party]
    if event.kind is EventKind.SUSPEND:
        lifted = {item.re for item in said if item.kind is EventKind.RESUME}
        held = {item.channel for item in said if item.kind is event.kind and item.digest not in lifted}
        return held.isdisjoint({None, event.channel})
    return (event.kind, event.terms) not in {(item.kind, item.terms) for item in said}
