# SPDX-License-Identifier: Apache-2.0
"""Shell: what strangers say of an agreement that is on record here, kept apart from it.

It may be right and too early: an acceptance by who is named in a version that has not come yet. It may be a question
whether the agreement exists, and that gets no answer: the sender is judged by what it has said itself and by nothing
else, as it would be if there were no agreement (`node.correspond`). What is kept apart costs whoever is bound nothing:
it is read when a stranger speaks, and when somebody new is named.
"""

from comity.agreement.events import Event
from comity.agreement.terms import Terms, parse_terms
from comity.exchange import parse_message
from comity.ids import PartyId
from comity.node.node import Act
from comity.node.standing import Dossier
from comity.store import agreements

__all__ = ["Unheard", "read_alone", "take_heard"]

Unheard = tuple[Event, Terms | None, bytes]
"""A message kept apart: what it says, the text it carries, if any, and its bytes."""


def read_alone(act: Act, dossier: Dossier, party: PartyId) -> Dossier | None:
    """All that `party`, who is in no version that belongs, has said of the agreement; None when that is nothing.

    What came before the first version is on record beside it, and what came later is kept apart.
    """
    kept = [
        (envelope, recorded)
        for event, envelope, recorded in zip(dossier.events, dossier.envelopes, dossier.recorded_at, strict=True)
        if event.party == party
    ]
    kept += [
        (envelope, recorded)
        for other, envelope, recorded in agreements.read_unheard(act.transaction, dossier.id)
        if other == party
    ]
    if not kept:
        return None
    said = [parse_message(envelope) for envelope, _ in kept]
    documents = {message.document: None for message in said if message.document is not None}
    return Dossier(
        id=dossier.id,
        epoch=0,
        versions=tuple(parse_terms(document) for document in documents),
        events=tuple(message.event for message in said),
        envelopes=tuple(envelope for envelope, _ in kept),
        recorded_at=tuple(recorded for _, recorded in kept),
    )


def take_heard(act: Act, dossier: Dossier) -> list[Unheard]:
    """The messages kept apart whose senders are parties by now, in the order they came in; kept apart no more.

    Each was verified when it came.
    """
    parties = dossier.parties()
    taken = list[Unheard]()
    for party, envelope, _ in agreements.read_unheard(act.transaction, dossier.id):
        if party in parties:
            message = parse_message(envelope)
            agreements.remove_unheard(act.transaction, message.event.digest)
            terms = None if message.document is None else parse_terms(message.document)
            taken.append((message.event, terms, envelope))
    return taken
