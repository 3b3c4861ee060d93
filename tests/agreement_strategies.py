# SPDX-License-Identifier: Apache-2.0
"""Hypothesis strategies for agreements: versions, in one line and in rival ones, and sets of events on them."""

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import Any

from hypothesis import strategies as st

from comity.agreement.events import CARRIES_TERMS, SIGNS, Event, EventKind, Reservation
from comity.agreement.terms import LegalBasis, Terms, parse_terms
from comity.canonical import Json, sha256_digest
from comity.ids import Digest, Instant, PartyId, parse_instant
from tests.parties import AURELIA, BOREALIA, MERIDIA, change_terms, make_terms

__all__ = [
    "FIRST",
    "GROUP",
    "GROUPS",
    "LATER",
    "NOWS",
    "OTHER_MANIFEST",
    "PARTIES",
    "RIVAL",
    "SECOND",
    "SHORT",
    "TAVRIA",
    "TAVRIA_MANIFEST",
    "THREE",
    "VERSIONS",
    "WIDER",
    "Case",
    "cases",
    "event",
    "event_sets",
    "events",
    "identify",
    "join",
    "reserve",
    "sign_all",
]

TAVRIA = PartyId("tavria")
PARTIES = (AURELIA, BOREALIA, MERIDIA, TAVRIA)
TAVRIA_MANIFEST, OTHER_MANIFEST = Digest("5" * 64), Digest("6" * 64)

FIRST = make_terms(AURELIA, BOREALIA)
SECOND = make_terms(AURELIA, BOREALIA, replaces=FIRST, title="Exchange on Ashfall, wider")
RIVAL = make_terms(AURELIA, BOREALIA, replaces=FIRST, title="Exchange on Ashfall, other")
THREE = make_terms(AURELIA, BOREALIA, MERIDIA, replaces=SECOND, title="Exchange on Ashfall, three")
LATER = make_terms(AURELIA, BOREALIA, replaces=SECOND, valid_from="2030-01-01T00:00:00Z")
SHORT = make_terms(AURELIA, BOREALIA, replaces=FIRST, valid_until="2027-01-01T00:00:00Z")

VERSIONS = (FIRST, SECOND, RIVAL, THREE, LATER, SHORT)
"""One agreement: two lines from the first version, one that a third party joins, one not begun, one run out."""

_THREE_BASES: list[Json] = json.loads(make_terms(AURELIA, BOREALIA, MERIDIA).document)["legal_bases"]
_ALL: Json = {
    **json.loads(FIRST.document)["channels"][0],
    "id": "all",
    "giver": "members",
    "receivers": ["members"],
}
_CHANNELS: list[Json] = [*json.loads(make_terms(AURELIA, BOREALIA, MERIDIA).document)["channels"], _ALL]

GROUP = parse_terms(
    change_terms(
        make_terms(AURELIA, BOREALIA, MERIDIA),
        structure={"kind": "group", "accession": "majority"},
        reservations=["channels.aurelia", "channels.all.regions"],
        assurances=[
            {
                "kind": "no_torture",
                "given_by": BOREALIA,
                "document": "7" * 64,
                "valid_until": "2027-01-01T00:00:00Z",
            }
        ],
        legal_bases=[*_THREE_BASES[:2], {**_THREE_BASES[2], "valid_until": "2030-01-01T00:00:00Z"}],  # type: ignore[dict-item]
        channels=_CHANNELS,
    )
)
WIDER = parse_terms(
    change_terms(
        make_terms(AURELIA, BOREALIA, MERIDIA, replaces=GROUP, title="Exchange on Ashfall, open"),
        structure={"kind": "group", "accession": "any_member"},
        channels=_CHANNELS,
    )
)
GROUPS = (GROUP, WIDER)
"""One group that a fourth party can join: by two of its founders, and by one; in the first, time ends something."""

_JOINING = LegalBasis(
    party=TAVRIA,
    kind="mou",
    reference="M-1",
    paragraph=None,
    force="contract",
    valid_from=None,
    valid_until=None,
)

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


def join(terms: Terms, *, by: Collection[PartyId], manifest: Digest = TAVRIA_MANIFEST) -> list[Event]:
    """Tavria's accession to a group, and the admissions by some of its founders."""
    accession = event(EventKind.ACCEDE, TAVRIA, terms, manifest=manifest, bases=(_JOINING,))
    admissions = [event(EventKind.ADMIT, party, terms, joiner=TAVRIA, manifest=TAVRIA_MANIFEST) for party in sorted(by)]
    return [accession, *admissions]


def reserve(said: Sequence[Event], party: PartyId, clause: str) -> list[Event]:
    """The same events, but that `party` signs with a reservation."""
    made = (Reservation(clause=clause, ground="national_law", text=None),)
    return [
        identify(replace(one, reservations=made)) if one.party == party and one.kind in CARRIES_TERMS else one
        for one in said
    ]


_manifests = st.sampled_from((TAVRIA_MANIFEST, TAVRIA_MANIFEST, OTHER_MANIFEST))


@st.composite
def events(draw: st.DrawFn, versions: Sequence[Terms] = VERSIONS) -> Event:
    """Any kind by any party, by its right or not, on any version; answers and liftings of nothing."""
    kind, terms = draw(st.sampled_from(EventKind)), draw(st.sampled_from(versions))
    party = draw(st.sampled_from(PARTIES))
    fields: dict[str, Any] = {}
    if kind is EventKind.SUSPEND and draw(st.booleans()):
        fields["channel"] = draw(st.sampled_from([channel.id for channel in terms.channels]))
    if kind is EventKind.ADMIT:
        fields = {"joiner": draw(st.sampled_from((TAVRIA, TAVRIA, MERIDIA))), "manifest": draw(_manifests)}
    if kind is EventKind.ACCEDE:
        fields = {"manifest": draw(_manifests), "bases": draw(st.sampled_from(((), (_JOINING,))))}
    if kind in SIGNS | {EventKind.ACCEDE} and not draw(st.integers(0, 3)):
        clause = draw(st.sampled_from(("channels.aurelia", "channels.all.regions", "purposes")))
        fields["reservations"] = (Reservation(clause=clause, ground="national_law", text=None),)
    at = Instant(_EPOCH + draw(st.integers(0, 3)) * 1_000_000)
    return event(kind, party, terms, at=at, **fields)


@st.composite
def event_sets(draw: st.DrawFn, versions: Sequence[Terms] = VERSIONS) -> list[Event]:
    """Events that are likely to seal a version, with stops, liftings (also by others) and answers among them."""
    said = draw(st.lists(events(versions), max_size=6))
    for terms in draw(st.lists(st.sampled_from(versions), max_size=3, unique_by=lambda terms: terms.hash)):
        kinds = st.sampled_from((EventKind.PROPOSE, EventKind.ACCEPT))
        said += [event(draw(kinds), party.id, terms) for party in terms.parties]
        said += [event(EventKind.CONFIRM, party.id, terms) for party in terms.parties if draw(st.integers(0, 9))]
        if terms.structure.accession != "closed" and draw(st.booleans()):
            said += join(terms, by=draw(st.sets(st.sampled_from(sorted(terms.founders)), min_size=1)))
    for earlier in list(said):
        if earlier.kind in {EventKind.SUSPEND, EventKind.CLARIFY} and draw(st.booleans()):
            kind = EventKind.RESUME if earlier.kind is EventKind.SUSPEND else EventKind.ANSWER
            party = draw(st.sampled_from((earlier.party, *PARTIES)))
            version = next(terms for terms in versions if terms.hash == earlier.terms)
            said.append(event(kind, party, version, re=earlier.digest))
    return draw(st.permutations(said))


@dataclass(frozen=True, slots=True)
class Case:
    """One agreement: the versions on record, what was said of them, and what else could be said."""

    versions: list[Terms]
    said: list[Event]
    more: list[Event]


@st.composite
def cases(draw: st.DrawFn, lines: Sequence[Sequence[Terms]] = (VERSIONS, GROUPS)) -> Case:
    """Some versions of one of the agreements, nearly always with the first."""
    line = draw(st.sampled_from(lines))
    some = draw(st.lists(st.sampled_from(line[1:]), unique_by=lambda terms: terms.hash, max_size=4))
    versions = some if some and not draw(st.integers(0, 9)) else [line[0], *some]
    more = draw(events(line).map(lambda one: [one]) | event_sets(line))
    return Case(versions, draw(event_sets(line)), more)
