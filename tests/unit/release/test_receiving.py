# SPDX-License-Identifier: Apache-2.0
"""What a received object is restricted to by the channel it came in."""

import dataclasses

import pytest

from comity.agreement.terms import parse_terms
from comity.canonical import Json
from comity.ids import PartyId
from comity.release.receiving import Restrictions, find_restrictions, make_unrestricted
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
