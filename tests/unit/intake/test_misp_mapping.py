# SPDX-License-Identifier: Apache-2.0
"""Who the organisations and groups of a MISP are here."""

import pytest

from comity.errors import MalformedRequest
from comity.ids import PartyId
from comity.intake.misp_mapping import MispMapping, parse_misp_mapping

GROUP = "5a9f9c3e-0b7c-4a2b-9a39-0f3a0f6c1c11"
GOOD = f"""
format = "comity-misp-mapping/1"
[distribution]
community = ["borealia"]
all = ["borealia", "meridia"]
[sharing_groups]
"{GROUP.upper()}" = ["meridia"]
[organisations]
"{GROUP}" = "borealia"
"""


def test_what_a_mapping_says() -> None:
    mapping = parse_misp_mapping(GOOD.encode())
    assert mapping.reach_level("community") == frozenset({PartyId("borealia")})
    assert mapping.reach_level("all") == frozenset({PartyId("borealia"), PartyId("meridia")})
    assert mapping.sharing_groups == {GROUP: {"meridia"}}
    assert mapping.organisations == {GROUP: "borealia"}


def test_what_no_mapping_names_reaches_nobody() -> None:
    for mapping in (MispMapping(), parse_misp_mapping(b'format = "comity-misp-mapping/1"')):
        assert mapping.reach_level("all") is None
        for level in ("community", "connected", "missing", "0", "7", "organisation"):
            assert mapping.reach_level(level) == frozenset()


def test_any_must_be_said() -> None:
    text = 'format = "comity-misp-mapping/1"\n[distribution]\nconnected = "any"\n'
    assert parse_misp_mapping(text.encode()).reach_level("connected") is None


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ('format = "comity-misp-mapping/2"', "format"),
        (GOOD + "[other]\n", "other"),
        (GOOD.replace("community", "organisation"), "organisation"),
        (GOOD.replace('"borealia"]', '"Borealia!"]'), "party id"),
        (GOOD.replace(GROUP.upper(), "all of us"), "UUID"),
        (GOOD.replace('all = ["borealia", "meridia"]', 'all = "all"'), "all"),
        ("format = ", "line 1"),
    ],
)
def test_a_bad_mapping_says_where(wrong: str, said: str) -> None:
    with pytest.raises(MalformedRequest, match=said):
        parse_misp_mapping(wrong.encode())
