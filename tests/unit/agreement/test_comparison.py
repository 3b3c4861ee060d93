# SPDX-License-Identifier: Apache-2.0
"""Two texts, clause by clause."""

from comity.agreement.comparison import TextChange, compare_texts
from comity.agreement.terms import parse_terms
from tests.parties import AURELIA, BOREALIA, MERIDIA, change_channel, change_terms, make_terms

FIRST = make_terms()


def test_a_text_does_not_differ_from_itself() -> None:
    assert compare_texts(FIRST, FIRST) == ()


def test_added_and_removed_words_are_named_by_their_clause() -> None:
    later = change_channel(FIRST, "aurelia", regions=["IQ", "JO"])
    (change,) = compare_texts(FIRST, later)
    assert change == TextChange(clause="channels.aurelia.regions", before=("IQ", "SY"), after=("IQ", "JO"))
    assert (change.added, change.removed) == (("JO",), ("SY",))


def test_a_field_of_the_gate_and_one_inside_another_are_named() -> None:
    later = parse_terms(
        change_terms(
            FIRST,
            permitted_actions="none",
            validity={"from": "2026-01-01T00:00:00Z", "until": "2030-01-01T00:00:00Z"},
        )
    )
    found = {change.clause: (change.removed, change.added) for change in compare_texts(FIRST, later)}
    assert found["permitted_actions"] == (("internally-visible-actions",), ("none",))
    assert found["validity.until"][1] == ("2030-01-01T00:00:00Z",)


def test_a_clause_that_is_there_and_empty_is_not_one_that_is_absent() -> None:
    """No person classes at all is something else than the usual ones."""
    later = change_channel(FIRST, "aurelia", person_classes=[])
    (change,) = compare_texts(FIRST, later)
    assert (change.clause, change.before, change.after) == ("channels.aurelia.person_classes", None, ())
    assert (change.added, change.removed) == ((), ())


def test_the_order_of_words_is_no_difference() -> None:
    assert compare_texts(FIRST, change_channel(FIRST, "aurelia", regions=["SY", "IQ"])) == ()


def test_a_party_that_comes_brings_its_channel_its_basis_and_its_manifest() -> None:
    changes = {change.clause: change for change in compare_texts(FIRST, make_terms(AURELIA, BOREALIA, MERIDIA))}
    assert changes["channels.meridia.giver"].before is None
    assert changes["parties.meridia.manifest"].before is None
    assert changes["channels.aurelia.receivers"].added == ("meridia",)
    (basis,) = changes["legal_bases"].added
    assert '"party":"meridia"' in basis
    assert changes["legal_bases"].removed == ()
    backwards = {change.clause: change for change in compare_texts(make_terms(AURELIA, BOREALIA, MERIDIA), FIRST)}
    assert backwards.keys() == changes.keys()
    assert all(backwards[clause].removed == change.added for clause, change in changes.items())
