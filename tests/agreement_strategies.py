# SPDX-License-Identifier: Apache-2.0
"""Hypothesis strategies for agreements: versions, in one line and in rival ones, and sets of events on them."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from hypothesis import strategies as st

from comity.agreement.events import Event, EventKind
from comity.agreement.terms import Terms
from comity.canonical import sha256_digest
from comity.ids import Digest, Instant, PartyId, parse_instant
from tests.parties import AURELIA, BOREALIA, MERIDIA, make_terms

__all__ = [
    "FIRST",
    "LATER",
    "NOWS",
    "PARTIES",
    "RIVAL",
    "SECOND",
    "SHORT",
    "THREE",
    "VERSIONS",
    "event",
    "event_sets",
    "events",
    "identify",
    "sign_all",
    "version_sets",
]

PARTIES = (AURELIA, BOREALIA, MERIDIA)

FIRST = make_terms(AURELIA, BOREALIA)
SECOND = make_terms(AURELIA, BOREALIA, replaces=FIRST, title="Exchange on Ashfall, wider")
RIVAL = make_terms(AURELIA, BOREALIA, replaces=FIRST, title="Exchange on Ashfall, other")
THREE = make_terms(*PARTIES, replaces=SECOND, title="Exchange on Ashfall, three")
LATER = make_terms(AURELIA, BOREALIA, replaces=SECOND, valid_from="2030-01-01T00:00:00Z")
SHORT = make_terms(AURELIA, BOREALIA, replaces=FIRST, valid_until="2027-01-01T00:00:00Z")

VERSIONS = (FIRST, SECOND, RIVAL, THREE, LATER, SHORT)
"""One agreement: two lines from the first version, one that a third party joins, one not begun, one run out."""

NOWS = tuple(parse_instant(f"{year}-06-01T00:00:00Z") for year in (2025, 2026, 2028, 2031, 2040))
_EPOCH = parse_instant("2026-02-01T00:00:00Z")


def event(
    kind: EventKind,
    party: PartyId,
    terms: Terms,
    *,
    at: Instant = _EPOCH,
    clause: str | None = None,
    text: str | None = None,
    **fields: Any,  # noqa: ANN401 (the other fields of an event)
) -> Event:
    """An event whose digest follows from all that it says."""
    clause = "validity" if clause is None and kind is EventKind.CLARIFY else clause
    text = "text" if text is None and kind in {EventKind.CLARIFY, EventKind.ANSWER} else text
    return identify(
        Event(
            digest=Digest(""),
            kind=kind,
            agreement=terms.agreement_id,
            terms=terms.hash,
            party=party,
            at=at,
            clause=clause,
            text=text,
            **fields,
        )
    )


def identify(said: Event) -> Event:
    """The event with the digest of what it says."""
    return replace(said, digest=sha256_digest(repr(replace(said, digest=Digest(""))).encode()))


def sign_all(terms: Terms) -> list[Event]:
    """Every party's signature and confirmation."""
    kinds = (EventKind.ACCEPT, EventKind.CONFIRM)
    return [event(kind, party.id, terms) for kind in kinds for party in terms.parties]


def events(versions: Sequence[Terms] = VERSIONS) -> st.SearchStrategy[Event]:
    """Any kind by any party, by its right or not, on any version; answers and liftings of nothing."""
    return st.builds(
        event,
        st.sampled_from(EventKind),
        st.sampled_from(PARTIES),
        st.sampled_from(versions),
        at=st.integers(0, 3).map(lambda seconds: Instant(_EPOCH + seconds * 1_000_000)),
        re=st.none(),
    )


def version_sets() -> st.SearchStrategy[list[Terms]]:
    """Some versions, nearly always with the first."""
    some = st.lists(st.sampled_from(VERSIONS[1:]), unique_by=lambda terms: terms.hash, max_size=4)
    return st.one_of(some.map(lambda more: [FIRST, *more]), some.filter(bool))


@st.composite
def event_sets(draw: st.DrawFn, versions: Sequence[Terms] = VERSIONS) -> list[Event]:
    """Events that are likely to seal a version, with stops, liftings (also by others) and answers among them."""
    said = draw(st.lists(events(versions), max_size=6))
    for terms in draw(st.lists(st.sampled_from(versions), max_size=3, unique_by=lambda terms: terms.hash)):
        kinds = st.sampled_from((EventKind.PROPOSE, EventKind.ACCEPT))
        said += [event(draw(kinds), party.id, terms) for party in terms.parties]
        said += [event(EventKind.CONFIRM, party.id, terms) for party in terms.parties if draw(st.integers(0, 9))]
    for earlier in list(said):
        if earlier.kind in {EventKind.SUSPEND, EventKind.CLARIFY} and draw(st.booleans()):
            kind = EventKind.RESUME if earlier.kind is EventKind.SUSPEND else EventKind.ANSWER
            party = draw(st.sampled_from((earlier.party, *PARTIES)))
            version = next(terms for terms in versions if terms.hash == earlier.terms)
            said.append(event(kind, party, version, re=earlier.digest))
    return draw(st.permutations(said))
