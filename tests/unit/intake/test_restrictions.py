# SPDX-License-Identifier: Apache-2.0
"""The strictest of what a container and its parts say."""

import json

from hypothesis import given
from hypothesis import strategies as st

from comity.canonical import Json
from comity.ids import PartyId
from comity.intake.restrictions import OPEN, Restriction, define_markings, find_markings, join_restrictions, make_uuid
from comity.stix.markings import TLP2_RED, TLP_IDS, read_markings
from comity.vocabulary import TLP_LEVELS

PARTIES = [PartyId("aurelia"), PartyId("borealia"), PartyId("meridia")]
LEVELS = st.sampled_from([None, *TLP_LEVELS])
PAPS = st.sampled_from([None, "green", "amber", "red"])
RESTRICTIONS = st.builds(
    Restriction,
    tlp=LEVELS,
    pap=PAPS,
    foreign=st.frozensets(st.sampled_from(["iep:x", "nato:y"])),
    audience=st.none() | st.frozensets(st.sampled_from(PARTIES)),
)


def admits(restriction: Restriction, party: PartyId) -> bool:
    return restriction.audience is None or party in restriction.audience


@given(st.lists(RESTRICTIONS, min_size=1, max_size=4), st.sampled_from(PARTIES))
def test_a_join_is_as_strict_as_each(parts: list[Restriction], party: PartyId) -> None:
    joined = join_restrictions(OPEN, *parts)
    order = [None, *TLP_LEVELS]
    for part in parts:
        assert order.index(joined.tlp) >= order.index(part.tlp)
        assert [None, "green", "amber", "red"].index(joined.pap) >= [None, "green", "amber", "red"].index(part.pap)
        assert joined.foreign >= part.foreign
        assert not admits(joined, party) or admits(part, party)
    assert joined.tlp in {part.tlp for part in parts}
    assert admits(joined, party) == all(admits(part, party) for part in parts)


@given(RESTRICTIONS, RESTRICTIONS)
def test_a_join_does_not_depend_on_the_order(first: Restriction, second: Restriction) -> None:
    assert join_restrictions(first, second) == join_restrictions(second, first)


def test_every_marking_is_defined_or_known_to_all() -> None:
    restriction = Restriction(tlp="red", pap="amber", foreign=frozenset({"tlp:ex:chr", "iep:x"}))
    refs = find_markings(restriction)
    defined = {json.loads(text)["id"] for text in define_markings([restriction, restriction])}
    assert refs[0] == TLP2_RED
    assert len(refs) == 4
    assert set(refs) - set(TLP_IDS) == defined


def test_a_foreign_marking_is_one_that_nobody_can_name() -> None:
    restriction = Restriction(tlp="clear", foreign=frozenset({"tlp:ex:chr"}))
    refs = list[Json](find_markings(restriction))
    value: dict[str, Json] = {"type": "identity", "id": "identity--x", "object_marking_refs": refs}
    definition = json.loads(define_markings([restriction])[0])
    read = read_markings(value, definitions={})
    assert read.tlp == "clear"
    assert read.others == {f"unknown:{definition['id']}"}
    assert "definition_type" not in definition


def test_the_same_words_are_the_same_definition() -> None:
    assert define_markings([Restriction(foreign=frozenset({"a"}))]) == define_markings(
        [Restriction(foreign=frozenset({"a"}), tlp="red")]
    )
    assert make_uuid("a", "b") != make_uuid("a b") != make_uuid("ab")
