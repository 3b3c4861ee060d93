# SPDX-License-Identifier: Apache-2.0
"""How many people an act needs: each counts once, in a role that fits, and only for the very same matter."""

import hmac
import itertools
from dataclasses import replace

import pytest

from comity.agreement.people import (
    NEEDS,
    Approval,
    Badge,
    Missing,
    Need,
    Person,
    Role,
    Satisfied,
    choose_role,
    find_need,
    format_badge,
    hash_badge,
    make_matter,
    matches_badge,
    parse_badge,
    parse_role,
    weigh_approvals,
)
from comity.canonical import Json, sha256_digest
from comity.errors import MalformedRequest
from comity.ids import AgreementId, Digest, Instant, PartyId, PersonId

TWO = NEEDS["accept"]
STOP = NEEDS["suspend"]
BADGE = Badge(party=PartyId("aurelia"), person=PersonId("anna"), secret=bytes(range(32)))


def approval(person: str, role: Role, at: int = 0) -> Approval:
    return Approval(person=PersonId(person), role=role, reason=None, at=Instant(at))


def person(*roles: Role) -> Person:
    return Person(id=PersonId("anna"), name="Anna Aalto", roles=frozenset(roles))


def sentence(need: Need, *approvals: Approval) -> str:
    weighed = weigh_approvals(need, approvals)
    assert isinstance(weighed, Missing)
    return weighed.sentence


@pytest.mark.parametrize("kind", ["propose", "counter", "accept", "resume", "accede", "admit", "consent"])
def test_what_binds_or_lets_out_needs_two_one_of_them_legal(kind: str) -> None:
    assert NEEDS[kind] == Need(people=2, roles=(Role.LEGAL, Role.LIAISON), one_as=Role.LEGAL)


@pytest.mark.parametrize(
    "kind", ["terminate", "reject", "withdraw", "leave", "clarify", "answer", "retain", "delete", "suspend"]
)
def test_what_stops_or_talks_needs_one(kind: str) -> None:
    need = NEEDS[kind]
    roles = {Role.LIAISON, Role.LEGAL} | ({Role.OPERATOR} if kind == "suspend" else set())
    assert (need.people, need.one_as, set(need.roles)) == (1, None, roles)


@pytest.mark.parametrize("kind", ["", "Accept", "accept ", "sign", "*"])
def test_a_kind_that_is_not_in_the_table_may_be_done_by_nobody(kind: str) -> None:
    assert find_need(kind) is None


def test_every_set_of_two_approvals_is_weighed_as_the_rule_says() -> None:
    """All pairs of people and roles, in both orders, against the rule written down a second time."""
    for (one, first), (other, second) in itertools.product(itertools.product("ab", Role), repeat=2):
        fitting = {(who, role) for who, role in ((one, first), (other, second)) if role in {Role.LEGAL, Role.LIAISON}}
        enough = len({who for who, _ in fitting}) == 2 and any(role is Role.LEGAL for _, role in fitting)
        weighed = weigh_approvals(TWO, [approval(one, first, 1), approval(other, second, 2)])
        assert isinstance(weighed, Satisfied) == enough, (one, first, other, second)


def test_the_same_person_in_every_role_is_one_person() -> None:
    weighed = weigh_approvals(TWO, [approval("anna", role, number) for number, role in enumerate(Role)])
    assert isinstance(weighed, Missing)
    assert (weighed.people, weighed.role) == (1, None)
    assert isinstance(weigh_approvals(TWO, [approval("anna", Role.LEGAL)] * 5), Missing)


def test_who_acts_as_legal_and_as_liaison_is_counted_as_legal() -> None:
    anna = [approval("anna", Role.LIAISON, 1), approval("anna", Role.LEGAL, 2)]
    weighed = weigh_approvals(TWO, [*anna, approval("boris", Role.LIAISON, 3)])
    assert isinstance(weighed, Satisfied)
    assert [(item.person, item.role) for item in weighed.approvals] == [("boris", Role.LIAISON), ("anna", Role.LEGAL)][
        ::-1
    ]


def test_what_is_missing_is_said() -> None:
    liaison, legal = approval("anna", Role.LIAISON), approval("boris", Role.LEGAL)
    assert sentence(TWO) == "2 different people, one of whom acts as legal"
    assert sentence(TWO, liaison) == "a second person, who acts as legal"
    assert sentence(TWO, legal) == "a second person, who acts as legal or liaison"
    assert sentence(TWO, liaison, approval("carla", Role.LIAISON)) == "one more person, who acts as legal"
    assert sentence(TWO, approval("anna", Role.ANALYST)) == "2 different people, one of whom acts as legal"
    assert sentence(STOP) == "one person, who acts as liaison or legal or operator"


def test_two_liaisons_need_a_third_person_and_not_one_of_them_again() -> None:
    liaisons = [approval("anna", Role.LIAISON), approval("carla", Role.LIAISON)]
    weighed = weigh_approvals(TWO, liaisons)
    assert isinstance(weighed, Missing)
    assert (weighed.people, weighed.role) == (1, Role.LEGAL)
    assert isinstance(weigh_approvals(TWO, [*liaisons, approval("boris", Role.LEGAL)]), Satisfied)


def test_the_order_of_approvals_changes_nothing() -> None:
    given = [approval("anna", Role.LIAISON, 3), approval("boris", Role.LEGAL, 1), approval("carla", Role.LIAISON, 2)]
    assert len({weigh_approvals(TWO, order) for order in itertools.permutations(given)}) == 1


@pytest.mark.parametrize(
    ("roles", "others", "named", "chosen"),
    [
        ({Role.LEGAL, Role.LIAISON}, [], None, Role.LEGAL),
        ({Role.LEGAL, Role.LIAISON}, [Role.LIAISON], None, Role.LEGAL),
        ({Role.LIAISON}, [], None, Role.LIAISON),
        ({Role.LEGAL, Role.LIAISON}, [], Role.LIAISON, Role.LIAISON),
        ({Role.LIAISON}, [], Role.LEGAL, None),
        ({Role.OPERATOR, Role.ANALYST, Role.AUDITOR}, [Role.LEGAL], None, None),
        ({Role.OPERATOR, Role.LEGAL}, [], Role.OPERATOR, None),
        (set(), [], None, None),
    ],
)
def test_the_role_to_act_in_is_held_and_fits(
    roles: set[Role], others: list[Role], named: Role | None, chosen: Role | None
) -> None:
    given = [approval("boris", role) for role in others]
    assert choose_role(TWO, person(*roles), given, named=named) == chosen


def test_a_stop_is_for_the_operator_too() -> None:
    assert choose_role(STOP, person(Role.OPERATOR), []) is Role.OPERATOR
    assert choose_role(STOP, person(Role.ANALYST, Role.AUDITOR), []) is None


def test_roles_are_words_of_a_closed_list() -> None:
    assert [parse_role(role) for role in ("analyst", "liaison", "legal", "auditor", "operator")] == list(Role)
    with pytest.raises(MalformedRequest, match="the roles are analyst, liaison"):
        parse_role("king")


# --- matters ----------------------------------------------------------------------------------------------------------


def test_every_fact_of_a_matter_is_in_its_digest() -> None:
    agreement = AgreementId("a" * 64)
    facts: dict[str, Json] = {"terms": "b" * 64, "clause": None, "text": "x", "re": ["c" * 64]}
    matter = make_matter("resume", agreement=agreement, facts=facts)
    assert matter.digest == sha256_digest(matter.text) == make_matter("resume", agreement=agreement, facts=facts).digest
    others = [
        make_matter("accept", agreement=agreement, facts=facts),
        make_matter("resume", agreement=AgreementId("d" * 64), facts=facts),
        make_matter("resume", agreement=None, facts=facts),
        *(make_matter("resume", agreement=agreement, facts={**facts, name: "y"}) for name in facts),
        *(
            make_matter("resume", agreement=agreement, facts={key: facts[key] for key in facts if key != name})
            for name in facts
        ),
    ]
    assert len({matter.digest, *(other.digest for other in others)}) == len(others) + 1


# --- badges -----------------------------------------------------------------------------------------------------------


def test_a_badge_is_read_as_it_was_written() -> None:
    assert parse_badge(format_badge(BADGE)) == BADGE


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{}",
        b"\xff",
        b"[]",
        format_badge(BADGE)[:-3],
        format_badge(BADGE).replace(b"badge/1", b"badge/2"),
        format_badge(BADGE).replace(b'"anna"', b'"Anna"'),
        format_badge(BADGE).replace(b'"anna"', b"7"),
        format_badge(BADGE).replace(b"1e1f", b"1e"),
        format_badge(BADGE).replace(b"1e1f", b"1E1F"),
        format_badge(BADGE).replace(b"{", b'{"extra":1,'),
        b" " + format_badge(BADGE),
        format_badge(BADGE) * 20,
    ],
    ids=range(13),
)
def test_what_is_no_badge_is_refused_without_showing_it(data: bytes) -> None:
    with pytest.raises(MalformedRequest, match="is not a badge") as refused:
        parse_badge(data)
    assert BADGE.secret.hex()[:8] not in refused.value.detail


def test_the_secret_is_in_no_text_about_a_badge() -> None:
    assert BADGE.secret.hex()[:8] not in repr(BADGE)
    assert repr(BADGE.secret) not in repr(BADGE)


def test_the_hash_of_a_badge_depends_on_all_of_it() -> None:
    others = [
        replace(BADGE, party=PartyId("borealia")),
        replace(BADGE, person=PersonId("boris")),
        replace(BADGE, secret=bytes(32)),
    ]
    assert len({hash_badge(BADGE), *map(hash_badge, others)}) == 4
    assert matches_badge(BADGE, hash_badge(BADGE))
    assert not any(matches_badge(other, hash_badge(BADGE)) for other in others)
    assert not matches_badge(BADGE, Digest("0" * 64))


def test_badges_are_compared_in_constant_time(monkeypatch: pytest.MonkeyPatch) -> None:
    compared = list[tuple[object, object]]()
    real = hmac.compare_digest

    def watch(one: str, other: str) -> bool:
        compared.append((one, other))
        return real(one, other)

    monkeypatch.setattr(hmac, "compare_digest", watch)
    assert matches_badge(BADGE, hash_badge(BADGE))
    assert compared == [(hash_badge(BADGE), hash_badge(BADGE))]
