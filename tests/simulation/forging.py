# SPDX-License-Identifier: Apache-2.0
"""Messages that no node would sign: by a party that does not keep to the rules, or by who is no party at all."""

from collections.abc import Mapping, Sequence
from typing import Any

from comity.agreement.drafting import convert_terms
from comity.agreement.events import CARRIES_TERMS, Event, EventKind
from comity.agreement.terms import Terms, parse_terms
from comity.exchange import make_message
from comity.ids import AgreementId, Digest, Instant, PartyId
from comity.signing import Signer
from tests.simulation.drafts import write_terms
from tests.simulation.template import manifests

__all__ = ["TALK_OF_STRANGERS", "forge_message", "make_claim"]

TALK_OF_STRANGERS: Sequence[tuple[EventKind, Mapping[str, Any]]] = (
    (EventKind.PROPOSE, {}),
    (EventKind.CLARIFY, {"clause": "purposes", "text": "Is it there?"}),
    (EventKind.SUSPEND, {}),
)
"""What somebody says of an agreement that is not its own, to see what comes of it."""


def make_claim(named: Sequence[str], agreement: AgreementId, *, title: str) -> Terms:
    """A text that names itself the next version of an agreement of which no more than the id is known."""
    toml = write_terms(
        {"founders": list(named)}, manifests(), title=title, version=2, agreement=agreement, supersedes=agreement
    )
    return parse_terms(convert_terms(toml))


def forge_message(
    name: str,
    kind: EventKind,
    terms: Terms,
    *,
    at: Instant,
    nonce: bytes,
    signer: Signer,
    **words: Any,  # noqa: ANN401 (the fields of an event)
) -> bytes:
    """What `name` says of `terms`, well signed."""
    event = Event(
        digest=Digest("0" * 64),
        kind=kind,
        agreement=terms.agreement_id,
        terms=terms.hash,
        party=PartyId(name),
        at=at,
        **words,
    )
    document = terms.document if kind in CARRIES_TERMS else None
    return make_message(event, nonce=nonce, signers=[signer], document=document)
