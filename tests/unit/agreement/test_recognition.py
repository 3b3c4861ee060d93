# SPDX-License-Identifier: Apache-2.0
"""A party recognises what its policy names, cites for itself, and only while it is valid."""

from dataclasses import replace

import pytest

from comity.agreement.events import Position
from comity.agreement.recognition import Recognised, Refusal, judge, parse_policy, take_positions
from comity.agreement.terms import Terms, parse_terms
from comity.canonical import Json
from comity.errors import MalformedTerms
from comity.ids import Instant, PartyId, parse_instant
from tests.parties import AURELIA, BASIS, BOREALIA, MERIDIA, change_terms, make_terms

NOW = parse_instant("2026-06-01T00:00:00Z")
POLICY = f'[[recognised]]\nkind = "unsc_resolution"\nreference = "{BASIS}"\n'
ANY = '[[recognised]]\nkind = "unsc_resolution"\nreference = "*"\n'
OTHER_KIND = f'[[recognised]]\nkind = "treaty"\nreference = "{BASIS}"\n'
NOT = f'[[not_recognised]]\nkind = "unsc_resolution"\nreference = "{BASIS}"\n'
OTHER = '[[recognised]]\nkind = "unsc_resolution"\nreference = "S/RES/910"\n'


def decide(toml: str, terms: Terms, *, party: PartyId = AURELIA, now: Instant = NOW) -> Recognised | Refusal:
    return judge(parse_policy(toml.encode()), terms, party=party, now=now)


def with_bases(*bases: dict[str, str]) -> Terms:
    return parse_terms(change_terms(make_terms(), legal_bases=[{**base} for base in bases]))


def cite(party: PartyId, reference: str = BASIS, **fields: str) -> dict[str, str]:
    return {"party": party, "kind": "unsc_resolution", "reference": reference, "force": "decides"} | fields


@pytest.mark.parametrize("toml", [POLICY, ANY, OTHER + POLICY])
def test_a_basis_of_ones_own_that_the_policy_names_is_recognised(toml: str) -> None:
    judged = decide(toml, make_terms())
    assert isinstance(judged, Recognised)
    assert [(basis.party, basis.reference) for basis in judged.bases] == [(AURELIA, BASIS)]


@pytest.mark.parametrize("toml", ["", OTHER, OTHER_KIND, 'refused_frameworks = ["coalition-dawn"]\n'])
def test_what_the_policy_does_not_name_is_refused(toml: str) -> None:
    judged = decide(toml, make_terms())
    assert isinstance(judged, Refusal)
    assert judged.clause == "legal_bases"
    assert f"(unsc_resolution {BASIS})" in judged.reason


def test_the_refusal_tells_what_would_be_recognised() -> None:
    judged = decide(OTHER_KIND, make_terms())
    assert isinstance(judged, Refusal)
    assert judged.reason.endswith(f"its policy recognises: treaty {BASIS}")


def test_the_basis_of_another_is_of_no_use() -> None:
    terms = with_bases(cite(BOREALIA))
    judged = decide(ANY, terms)
    assert judged == Refusal(clause="legal_bases", reason="the terms cite no legal basis for aurelia")
    assert isinstance(decide(ANY, terms, party=BOREALIA), Recognised)
    assert isinstance(decide(ANY, terms, party=MERIDIA), Refusal)


def test_one_recognised_basis_is_enough_and_only_those_are_given() -> None:
    judged = decide(POLICY, with_bases(cite(AURELIA, "S/RES/9999"), cite(AURELIA), cite(BOREALIA)))
    assert isinstance(judged, Recognised)
    assert [basis.reference for basis in judged.bases] == [BASIS]


@pytest.mark.parametrize(
    ("at", "recognised"),
    [
        ("2025-12-31T23:59:59.999999Z", False),
        ("2026-01-01T00:00:00Z", True),
        ("2026-12-31T23:59:59.999999Z", True),
        ("2027-01-01T00:00:00Z", False),
    ],
)
def test_a_basis_counts_while_it_is_valid(at: str, recognised: bool) -> None:
    limited = cite(AURELIA, valid_from="2026-01-01T00:00:00Z", valid_until="2027-01-01T00:00:00Z")
    judged = decide(POLICY, with_bases(limited), now=parse_instant(at))
    assert isinstance(judged, Recognised) == recognised
    if isinstance(judged, Refusal):
        assert "outside its validity" in judged.reason


def test_a_basis_that_ran_out_leaves_those_that_did_not() -> None:
    judged = decide(ANY, with_bases(cite(AURELIA, "S/RES/9100", valid_until="2026-02-01T00:00:00Z"), cite(AURELIA)))
    assert isinstance(judged, Recognised)
    assert [basis.reference for basis in judged.bases] == [BASIS]


def test_a_framework_that_the_party_stays_out_of_is_refused_before_any_basis() -> None:
    toml = 'refused_frameworks = ["coalition-dawn"]\n' + ANY
    framed = parse_terms(change_terms(make_terms(), framework="coalition-dawn", excluded_frameworks=None))
    judged = decide(toml, framed)
    assert isinstance(judged, Refusal)
    assert judged.clause == "framework"
    assert "'coalition-dawn'" in judged.reason
    assert isinstance(decide(toml, make_terms(framework="harbour-round-table")), Recognised)
    assert isinstance(decide(toml, make_terms()), Recognised)


NOT_ANY = '[[not_recognised]]\nkind = "unsc_resolution"\nreference = "*"\n'


@pytest.mark.parametrize(
    ("toml", "position"),
    [
        (POLICY, Position.RECOGNISED),
        (ANY, Position.RECOGNISED),
        (NOT, Position.NOT_RECOGNISED),
        (NOT_ANY, Position.NOT_RECOGNISED),
        (ANY + NOT, Position.NOT_RECOGNISED),
        (POLICY + NOT_ANY, Position.RECOGNISED),
        (OTHER, Position.NO_POSITION),
        ("", Position.NO_POSITION),
    ],
)
def test_the_position_on_one_reference_goes_before_the_one_on_its_kind(toml: str, position: Position) -> None:
    terms = make_terms()
    assert take_positions(parse_policy(toml.encode()), terms) == (position, position)
    assert isinstance(decide(toml, terms), Recognised) == (position is Position.RECOGNISED)


def test_positions_are_taken_on_every_basis_in_its_order() -> None:
    terms = with_bases(cite(BOREALIA, "S/RES/910"), cite(AURELIA), cite(AURELIA, "S/RES/1"))
    positions = take_positions(parse_policy((POLICY + NOT.replace(BASIS, "S/RES/910")).encode()), terms)
    assert positions == (Position.NOT_RECOGNISED, Position.RECOGNISED, Position.NO_POSITION)


DEMAND = '[[demanded_assurances]]\nkind = "no_torture"\nof = "{of}"\n'


def assure(*given_by: PartyId, until: str = "2027-01-01T00:00:00Z", kind: str = "no_torture") -> Terms:
    given: list[Json] = [
        {"kind": kind, "given_by": party, "document": "7" * 64, "valid_until": until} for party in given_by
    ]
    return parse_terms(change_terms(make_terms(AURELIA, BOREALIA, MERIDIA), assurances=given))


@pytest.mark.parametrize(
    ("of", "terms", "refused"),
    [
        ("borealia", assure(BOREALIA), False),
        ("borealia", assure(MERIDIA), True),
        ("borealia", make_terms(AURELIA, BOREALIA, MERIDIA), True),
        ("borealia", assure(BOREALIA, kind="fair_trial"), True),
        ("borealia", assure(BOREALIA, until="2026-06-01T00:00:00Z"), True),
        ("borealia", assure(BOREALIA, until="2026-06-01T00:00:00.000001Z"), False),
        ("*", assure(BOREALIA, MERIDIA), False),
        ("*", assure(BOREALIA), True),
        ("cimbria", make_terms(AURELIA, BOREALIA), False),
        ("aurelia", make_terms(AURELIA, BOREALIA), False),
    ],
)
def test_a_demanded_assurance_must_be_there_and_hold(of: str, terms: Terms, refused: bool) -> None:
    judged = decide(POLICY + DEMAND.format(of=of), terms)
    assert isinstance(judged, Refusal) == refused
    if isinstance(judged, Refusal):
        assert (judged.clause, "demanded_assurances" in judged.reason) == ("assurances", True)


def test_what_is_demanded_of_every_other_is_demanded_of_a_joiner_too_which_no_text_has_it_of() -> None:
    policy, terms = parse_policy((POLICY + DEMAND.format(of="*")).encode()), assure(BOREALIA, MERIDIA)
    assert isinstance(judge(policy, terms, party=AURELIA, now=NOW, towards=BOREALIA), Recognised)
    judged = judge(policy, terms, party=AURELIA, now=NOW, towards=PartyId("tavria"))
    assert isinstance(judged, Refusal)
    assert "of tavria" in judged.reason


def test_a_joiner_is_judged_by_the_bases_it_cites_itself() -> None:
    (basis, *_) = with_bases(cite(BOREALIA)).legal_bases
    policy, terms, joiner = parse_policy(POLICY.encode()), make_terms(), PartyId("tavria")
    assert isinstance(judge(policy, terms, party=joiner, now=NOW), Refusal)
    judged = judge(policy, terms, party=joiner, now=NOW, joining=[replace(basis, party=joiner)])
    assert isinstance(judged, Recognised)
    assert isinstance(judge(policy, terms, party=joiner, now=NOW, joining=[basis]), Refusal)


def test_nothing_is_called_lawful() -> None:
    judged = [decide(toml, make_terms()) for toml in ("", OTHER, OTHER_KIND)]
    reasons = [refusal.reason for refusal in judged if isinstance(refusal, Refusal)]
    assert len(reasons) == len(judged)
    assert not any("lawful" in reason for reason in reasons)


@pytest.mark.parametrize(
    ("toml", "where"),
    [
        ("recognized = []", "line 1"),
        ('[[recognised]]\nkind = "unsc_resolution"\n', "line 1"),
        ('[[recognised]]\nkind = "resolution"\nreference = "*"\n', "line 2"),
        (POLICY + '\n[[recognised]]\nkind = "treaty"\nreference = ""\n', "line 7"),
        (POLICY + "force = 1\n", "line 4"),
        ('refused_frameworks = "coalition-dawn"', "line 1"),
        ("refused_frameworks = [1]", "line 1"),
        ("recognised = []", "line 1"),
        ("=", "line 1"),
        (POLICY + NOT, "line 4"),
        ('[[not_recognised]]\nkind = "mood"\nreference = "*"\n', "line 2"),
        ('[[demanded_assurances]]\nkind = "no_torture"\nof = "Every One"\n', "line 3"),
        ('[[demanded_assurances]]\nkind = "kindness"\nof = "*"\n', "line 2"),
        ('[[demanded_assurances]]\nkind = "no_torture"\n', "line 1"),
    ],
)
def test_a_policy_that_is_not_understood_is_refused_with_its_line(toml: str, where: str) -> None:
    with pytest.raises(MalformedTerms) as refused:
        parse_policy(toml.encode())
    assert refused.value.where == where


def test_a_policy_holds_what_it_says() -> None:
    policy = parse_policy(('refused_frameworks = ["coalition-dawn"]\n' + POLICY + OTHER).encode())
    assert policy.recognised == {("unsc_resolution", BASIS), ("unsc_resolution", "S/RES/910")}
    assert policy.refused_frameworks == {"coalition-dawn"}
