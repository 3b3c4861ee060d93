# SPDX-License-Identifier: Apache-2.0
"""Shell: what strangers say of an agreement that is on record here, kept apart from it.

It may be right and too early: an acceptance by who is named in a version that has not come yet. It may be a question
whether the agreement exists, and that gets no answer: the sender is judged by what it has said itself and by nothing
else, as it would be if there were no agreement (`node.correspond`). What is kept apart costs whoever is bound nothing:
it is read when its sender speaks again, and when its sender is a party.
"""

from typing import cast

from comity.agreement.events import Event
from comity.agreement.terms import Terms, parse_terms
from comity.exchange import parse_message
from comity.ids import Instant, PartyId
from comity.node.node import Act, Node
from comity.node.standing import Dossier
from comity.store import agreements

__all__ = ["Unheard", "read_alone", "read_heard"]

_COUNT_BITS = 20
_MOST_AT_ONCE = 100
"""A bound on what one act takes; the next one on the agreement goes on."""

Unheard = tuple[Event, Terms | None, bytes]
"""A message kept apart: what it says, the text it carries, if any, and its bytes."""


def read_alone(node: Node, act: Act, dossier: Dossier, party: PartyId) -> Dossier | None:
    """All that `party`, who is in no version that belongs, has said of the agreement; None when it signed no text.

    What came before the first version is on record beside it, and what came later is kept apart.
    """
    count, key = agreements.count_unheard(act.transaction, dossier.id, party), f"{dossier.id} as {party} has it"
    known, remembered = (dossier.epoch << _COUNT_BITS) + count, node.remembered.get(key)
    if remembered is not None and remembered[0] == known:
        return cast("Dossier | None", remembered[1])
    alone = _read_alone(act, dossier, party)
    node.remembered[key] = (known, alone)
    return alone


def read_heard(act: Act, dossier: Dossier) -> list[Unheard]:
    """The messages kept apart whose senders are parties by now, in the order they came in, at most _MOST_AT_ONCE.

    Each was verified when it came.
    """
    waiting = agreements.read_strangers(act.transaction, Instant(0), agreement=dossier.id)
    senders = {party for _, party, _, _ in waiting}
    parties = senders & dossier.parties() if senders else frozenset[PartyId]()
    heard = list[Unheard]()
    for envelope, _ in agreements.read_unheard(act.transaction, dossier.id, parties, limit=_MOST_AT_ONCE):
        message = parse_message(envelope)
        terms = None if message.document is None else parse_terms(message.document)
        heard.append((message.event, terms, envelope))
    return heard


def _read_alone(act: Act, dossier: Dossier, party: PartyId) -> Dossier | None:
    kept = [
        (envelope, recorded)
        for event, envelope, recorded in zip(dossier.events, dossier.envelopes, dossier.recorded_at, strict=True)
        if event.party == party
    ]
    kept += agreements.read_unheard(act.transaction, dossier.id, {party})
    said = [parse_message(envelope) for envelope, _ in kept]
    documents = {message.document: None for message in said if message.document is not None}
    if not documents:
        return None
    return Dossier(
        id=dossier.id,
        epoch=0,
        versions=tuple(parse_terms(document) for document in documents),
        events=tuple(message.event for message in said),
        envelopes=tuple(envelope for envelope, _ in kept),
        recorded_at=tuple(recorded for _, recorded in kept),
    )
