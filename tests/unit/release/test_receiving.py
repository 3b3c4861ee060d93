# SPDX-License-Identifier: Apache-2.0
"""What a received object is restricted to by the channel it came in."""

import dataclasses
from typing import Any

import pytest

from comity.agreement.channels import Channel
from comity.agreement.terms import parse_terms
from comity.canonical import Json
from comity.ids import PartyId
from comity.release.receiving import Restrictions, find_outside, find_restrictions, make_unrestricted
from comity.stix.labels import Label
from tests.parties import AURELIA, BOREALIA, MERIDIA, change_terms, make_terms

TERMS = make_terms(AURELIA, BOREALIA, MERIDIA)


@pytest.mark.parametrize(
    ("said", "originators", "audience"),
    [
        ({"onward": "none"}, {AURELIA}, {BOREALIA}),
        ({"onward": "originator_consent"}, {AURELIA}, {BOREALIA}),
        ({"onward": "listed", "releasable_to": ["cimbria"]}, {AURELIA}, {BOREALIA, "cimbria"}),
        ({"onward": "none", "originators": ["meridia", "own"]}, {AURELIA, MERIDIA}, {BOREALIA}),
        ({"onward": "none", "originators": ["cimbria", "meridia"]}, {"cimbria", MERIDIA}, {BOREALIA}),
    ],
)
def test_originators_and_audience_are_what_the_channel_says(
    said: dict[str, Json], originators: set[PartyId], audience: set[PartyId]
) -> None:
    (channel, *_) = parse_terms(change_terms(TERMS, channels=[channel_saying(said)])).channels
    found = find_restrictions(channel, giver=AURELIA, receiver=BOREALIA)
    assert found == Restrictions(
        originators=frozenset(originators),
        audience=frozenset(audience),
        excluded_frameworks=frozenset({"coalition-dawn"}),
        grows=said["onward"] == "originator_consent",
    )


def test_in_a_channel_of_the_members_it_is_the_givers() -> None:
    channel = dataclasses.replace(TERMS.channels[0], giver=None, receivers=None)
    found = find_restrictions(channel, giver=MERIDIA, receiver=AURELIA)
    assert found.originators == {MERIDIA}
    assert found.audience == frozenset({AURELIA})


def test_nobodys_terms_bind_an_object_at_its_originator() -> None:
    found = make_unrestricted(AURELIA)
    assert found.originators == {AURELIA}
    assert found.audience is None
    assert not found.excluded_frameworks


@pytest.mark.parametrize(
    ("words", "clause"),
    [
        ({}, None),
        ({"types": frozenset({"malware"})}, "types"),
        ({"types": frozenset({"marking-definition"})}, None),
        ({"tlp": "red"}, "tlp_ceiling"),
        ({"tlp": "unmarked"}, None),
        ({"kinds": frozenset({"financing"})}, "kinds"),
        ({"kinds": frozenset({"unspecified"})}, None),
        ({"person_classes": frozenset({"victim"})}, "person_classes"),
        ({"special_categories": frozenset({"health"})}, "special_categories"),
        ({"handling": frozenset({"H3"})}, "handling"),
        # What the giver's people said of it, or the definition of a statement, may let it go all the same.
        ({"subjects": frozenset({frozenset[str]()})}, None),
        ({"regions": frozenset({frozenset({"FR"})})}, None),
        ({"markings": frozenset({"marking-definition--5e57c739-391a-4eb3-b6be-7d15ca92d5ed"})}, None),
    ],
)
def test_what_an_object_says_of_itself_shows_that_it_was_not_to_be_given(
    words: dict[str, Any], clause: str | None
) -> None:
    (channel, *_) = parse_terms(
        change_terms(TERMS, channels=[channel_saying({"onward": "none", "kinds": ["indicator"]})])
    ).channels
    label = dataclasses.replace(make_admitted(channel), **words)
    found = find_outside(label, channel, giver=AURELIA, receiver=BOREALIA)
    said = None if clause is None else f"outside of the terms it was given under: {clause} admits no "
    assert found == said or (said is not None and found is not None and found.startswith(said))


def make_admitted(channel: Channel) -> Label:
    """The own label of an object that the channel admits."""
    scope = channel.scope_for(AURELIA)
    return Label(
        types=frozenset({min(scope.types)}),
        tlp=scope.tlp_ceiling,
        markings=frozenset(),
        originators=frozenset({AURELIA}),
        subjects=frozenset({frozenset({min(scope.subjects)})}),
        regions=frozenset({frozenset({min(scope.regions)})}),
        kinds=frozenset({min(scope.kinds or {"unspecified"})}),
        person_classes=frozenset(),
        special_categories=frozenset(),
        handling=frozenset(),
        audience=frozenset({BOREALIA}),
        excluded_frameworks=frozenset({"coalition-dawn"}),
        granular=(),
    )


def channel_saying(said: dict[str, Json]) -> dict[str, Json]:
    """A channel from Aurelia to Borealia, as JSON."""
    return {
        "id": "main",
        "giver": "aurelia",
        "receivers": ["borealia"],
        "types": ["report"],
        "tlp_ceiling": "amber",
        "subjects": ["unsc:QDe.901"],
        "regions": ["IQ"],
        **said,
    }
