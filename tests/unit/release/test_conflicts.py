# SPDX-License-Identifier: Apache-2.0
"""Each kind of conflict, and beside it the nearest thing that is none."""

import dataclasses
from collections.abc import Sequence

import pytest

from comity.agreement.terms import Terms, parse_terms
from comity.canonical import Json
from comity.ids import PartyId
from comity.release.conflicts import ConflictKind, Contradiction, Side, describe_witness, find_contradictions
from comity.release.preview import list_flows
from tests.parties import AURELIA, BOREALIA, MERIDIA, change_channel, change_terms, make_terms

HERE = AURELIA
ONE = make_terms(AURELIA, BOREALIA)
TWO = make_terms(AURELIA, BOREALIA, title="Another")
FROM_MERIDIA = make_terms(MERIDIA, AURELIA, title="What meridia gives")


def change(terms: Terms, **fields: Json) -> Terms:
    return parse_terms(change_terms(terms, **fields))


def open_side(terms: Terms, *joiners: PartyId) -> Side:
    return Side(terms=terms, flows=list_flows(terms, members=terms.founders | {*joiners}, head=0, floors={}))


def contradict(one: Terms, two: Terms, *, party: PartyId = HERE) -> tuple[Contradiction, ...]:
    return find_contradictions(open_side(one), open_side(two), party=party)


def find(one: Terms, two: Terms, *, party: PartyId = HERE) -> list[tuple[str, str, str, str]]:
    """Kind, both clauses and the receiver of each contradiction."""
    found = contradict(one, two, party=party)
    return [(item.kind.value, item.clause, item.other_clause, item.receiver) for item in found]


def keep(terms: Terms, **retention: Json) -> Terms:
    """The terms with a rule of retention."""
    return change(terms, retention={"no_decision": "delete", **retention})


# --- duties -----------------------------------------------------------------------------------------------------------


def test_equal_duties_are_no_conflict() -> None:
    assert find(ONE, TWO) == []


def test_wider_permitted_actions_undercut_the_narrower_for_each_receiver() -> None:
    wide = change(TWO, permitted_actions="externally-visible-direct-actions")
    duty = ("duties", "permitted_actions", "permitted_actions")
    assert find(ONE, wide) == [(*duty, "borealia"), (*duty, "aurelia")]
    for one, two in ((ONE, wide), (wide, ONE)):
        sentence = contradict(one, two)[0].sentence
        assert f"only internally-visible-actions under {ONE.title!r}" in sentence
        assert "may take externally-visible-direct-actions under 'Another'" in sentence
        assert "borealia can get the same object from aurelia" in sentence


def test_a_use_that_only_one_prohibits_is_named() -> None:
    strict = change(TWO, prohibited_uses=["targeting", "removal"])
    assert find(ONE, strict)[0] == ("duties", "prohibited_uses", "prohibited_uses", "borealia")
    sentence = contradict(ONE, strict)[0].sentence
    assert "removal is prohibited by 'Another'" in sentence
    assert "targeting" not in sentence


@pytest.mark.parametrize(
    ("one", "two", "words"),
    [
        (
            {"review_after": "P6M", "maximum": "P1Y"},
            {"review_after": "P6M", "maximum": "P2Y"},
            ("for P1Y at most, reviewed after P6M, under", "for P2Y at most, reviewed after P6M, under"),
        ),
        ({"review_after": "P6M", "maximum": "P1Y"}, None, ("for P1Y at most", "without a limit under")),
        (
            {"review_after": "P6M"},
            {"review_after": "P3M"},
            ("a limit, reviewed after P6M,", "a limit, reviewed after P3M,"),
        ),
        (
            {"review_after": "P6M"},
            {"review_after": "P6M", "maximum": "P1Y"},
            ("a limit, reviewed after P6M,", "for P1Y at"),
        ),
    ],
)
def test_retention_that_differs_is_a_conflict(
    one: dict[str, Json], two: dict[str, Json] | None, words: tuple[str, str]
) -> None:
    first = keep(ONE, **one)
    second = TWO if two is None else keep(TWO, **two)
    assert find(first, second)[0][:3] == ("duties", "retention", "retention")
    sentence = contradict(first, second)[0].sentence
    assert all(word in sentence for word in words), sentence


def test_the_same_retention_is_none_however_it_is_written() -> None:
    one, two = keep(ONE, review_after="P6M", maximum="P1Y"), keep(TWO, review_after="P6M", maximum="P12M")
    assert find(one, two) == []


@pytest.mark.parametrize(
    ("one", "two", "conflicts"),
    [("must", "must-not", 1), ("must-not", "must", 1), ("must", "may", 0), ("may", "must-not", 0), ("must", "must", 0)],
)
def test_naming_the_source_must_not_be_ordered_and_forbidden(one: str, two: str, conflicts: int) -> None:
    first, second = (change_channel(terms, AURELIA, attribution=word) for terms, word in ((ONE, one), (TWO, two)))
    found = find(first, second)
    clause = "channels.aurelia.attribution"
    assert found == [("duties", clause, clause, "borealia")] * conflicts
    for item in contradict(first, second):
        assert f"must name the source under {(ONE if one == 'must' else TWO).title!r}" in item.sentence


def test_duties_that_differ_do_not_matter_where_no_object_can_go_under_both() -> None:
    wide = change(TWO, permitted_actions="none")
    for fields in ({"types": ["tool"]}, {"kinds": ["arms"]}):
        apart = wide
        for name in (AURELIA, BOREALIA):
            apart = change_channel(apart, name, **fields)  # type: ignore[arg-type]
        one = change_channel(change_channel(ONE, AURELIA, kinds=["strategic"]), BOREALIA, kinds=["strategic"])
        assert find(one, apart) == []
    one_subject = change_channel(wide, AURELIA, subjects=["national:other"], regions=["JO"])
    assert ("duties", "permitted_actions", "permitted_actions", "borealia") in find(ONE, one_subject)


def test_what_others_give_each_other_is_none_of_this_partys_business() -> None:
    third = make_terms(BOREALIA, MERIDIA)
    wide = change(make_terms(AURELIA, BOREALIA, MERIDIA), permitted_actions="none")
    assert find(third, wide, party=AURELIA) == []
    assert len(find(third, wide, party=BOREALIA)) == 2
    assert find(ONE, change(make_terms(AURELIA, MERIDIA), permitted_actions="none")) == []


# --- onward -----------------------------------------------------------------------------------------------------------


CIMBRIA = PartyId("cimbria")


def admitting(terms: Terms, *originators: PartyId, channel: PartyId = AURELIA) -> Terms:
    """The terms with a channel that also admits what others gave."""
    return change_channel(terms, channel, originators=["own", *originators])


def giving(terms: Terms, *, onward: str, to: Sequence[str] = ()) -> Terms:
    """The terms with a rule for what meridia gives."""
    fields: dict[str, Json] = {"onward": onward, **({"releasable_to": [*to]} if to else {})}
    return change_channel(terms, MERIDIA, **fields)


PASSES = admitting(ONE, MERIDIA)
UNDERCUTS = ("onward", "channels.aurelia.originators", "channels.meridia.onward", "borealia")


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        (giving(FROM_MERIDIA, onward="none"), [UNDERCUTS]),
        (giving(FROM_MERIDIA, onward="listed", to=["cimbria"]), [UNDERCUTS]),
        (giving(FROM_MERIDIA, onward="listed", to=["borealia"]), []),
        (giving(FROM_MERIDIA, onward="originator_consent"), []),
    ],
)
def test_passing_on_what_the_giver_does_not_allow(source: Terms, expected: list[tuple[str, ...]]) -> None:
    assert find(PASSES, source) == expected
    backwards = [(kind, theirs, ours, receiver) for kind, ours, theirs, receiver in expected]
    assert find(source, PASSES) == backwards


def test_the_sentence_names_both_and_who_must_not_get_it() -> None:
    (found,) = contradict(PASSES, FROM_MERIDIA)
    assert (found.giver, found.receiver, found.flow.channel, found.other_flow.channel) == (
        MERIDIA,
        BOREALIA,
        "aurelia",
        "meridia",
    )
    assert "'What meridia gives'" in found.sentence
    assert ONE.title in found.sentence
    assert "must not go to borealia" in found.sentence


def test_a_channel_for_own_objects_passes_nothing_on() -> None:
    assert find(ONE, FROM_MERIDIA) == []


def test_what_may_be_of_several_originators_goes_only_where_all_of_them_do() -> None:
    several = admitting(FROM_MERIDIA, CIMBRIA, channel=MERIDIA)
    assert find(PASSES, several) == []
    assert find(admitting(ONE, MERIDIA, CIMBRIA), several) == [UNDERCUTS]


def test_a_joiner_gets_what_members_get() -> None:
    """A channel to members passes on to whoever has joined, and not before."""
    group = change_channel(change(ONE, structure={"kind": "group"}), AURELIA, receivers=["members"])
    one, source = admitting(group, MERIDIA), open_side(giving(FROM_MERIDIA, onward="listed", to=["borealia"]))
    assert find_contradictions(open_side(one), source, party=HERE) == ()
    (found,) = find_contradictions(open_side(one, PartyId("dacia")), source, party=HERE)
    assert (found.receiver, "must not go to dacia" in found.sentence) == ("dacia", True)


def test_giving_back_is_not_passing_on() -> None:
    assert find(admitting(make_terms(AURELIA, MERIDIA, title="Back"), MERIDIA), FROM_MERIDIA) == []


def test_what_is_given_back_is_the_givers_own_to_pass_on_and_to_use() -> None:
    inside = change(make_terms(AURELIA, MERIDIA), framework="coalition-dawn", excluded_frameworks=[])
    back = change_channel(inside, AURELIA, onward="listed", releasable_to=["cimbria"])
    assert find(admitting(back, MERIDIA), FROM_MERIDIA) == []


def test_what_the_scope_of_the_giver_cannot_hold_is_not_passed_on() -> None:
    assert find(PASSES, change_channel(FROM_MERIDIA, MERIDIA, types=["tool"])) == []


def test_a_receiver_must_not_be_let_pass_on_to_others_either() -> None:
    source = giving(FROM_MERIDIA, onward="listed", to=["borealia"])
    sink = admitting(change_channel(ONE, AURELIA, onward="listed", releasable_to=["cimbria"]), MERIDIA)
    assert find(sink, source) == [("onward", "channels.aurelia.releasable_to", "channels.meridia.onward", "borealia")]
    fine = giving(FROM_MERIDIA, onward="listed", to=["borealia", "cimbria"])
    assert find(sink, fine) == []


# --- frameworks -------------------------------------------------------------------------------------------------------

INSIDE = change(ONE, framework="coalition-dawn", excluded_frameworks=[])
SOURCE = giving(FROM_MERIDIA, onward="listed", to=["borealia"])  # excludes coalition-dawn


def test_an_excluded_framework_must_not_get_it() -> None:
    inside = admitting(INSIDE, MERIDIA)
    other = admitting(change(ONE, framework="working-group", excluded_frameworks=[]), MERIDIA)
    assert find(inside, SOURCE) == [("framework", "framework", "excluded_frameworks", "borealia")]
    assert find(SOURCE, inside) == [("framework", "excluded_frameworks", "framework", "borealia")]
    assert "channel aurelia, admits what meridia gives" in contradict(inside, SOURCE)[0].sentence
    assert find(other, SOURCE) == []


def test_what_no_channel_inside_passes_on_must_not_be_used_there_either() -> None:
    (found,) = contradict(INSIDE, SOURCE)
    assert (found.kind, found.clause, found.other_clause) == (
        ConflictKind.FRAMEWORK,
        "framework",
        "excluded_frameworks",
    )
    assert "what meridia gives aurelia" in found.sentence
    assert "must not be used within 'coalition-dawn'" in found.sentence
    assert find(SOURCE, INSIDE) == [("framework", "excluded_frameworks", "framework", "borealia")]


def test_a_framework_that_only_others_are_in_or_that_the_giver_is_in_itself_is_no_conflict() -> None:
    others = change(make_terms(BOREALIA, MERIDIA), framework="coalition-dawn", excluded_frameworks=[])
    assert find(others, SOURCE) == []
    together = change(make_terms(AURELIA, MERIDIA), framework="coalition-dawn", excluded_frameworks=[])
    assert find(together, SOURCE) == []
    assert find(INSIDE, SOURCE, party=MERIDIA) == []


# --- what is held -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "giver", "objects", "words"),
    [
        (ConflictKind.DUTIES, AURELIA, 3, "3 objects (2 labels) would go under both"),
        (ConflictKind.DUTIES, AURELIA, 0, "nothing that is held today would go under both"),
        (ConflictKind.DUTIES, BOREALIA, 0, "what borealia holds of it is not known here"),
        (ConflictKind.ONWARD, MERIDIA, 3, "Of what meridia gave, 3 objects (2 labels) would not go today"),
        (ConflictKind.ONWARD, MERIDIA, 0, "nothing that is held today is concerned"),
        (ConflictKind.FRAMEWORK, MERIDIA, 3, "3 objects (2 labels) would not go today, by the frameworks alone"),
        (ConflictKind.FRAMEWORK, MERIDIA, 0, "Nothing that is held today is kept from going there"),
    ],
)
def test_what_is_held_today_is_told(kind: ConflictKind, giver: PartyId, objects: int, words: str) -> None:
    (found,) = contradict(PASSES, FROM_MERIDIA)
    told: Contradiction = dataclasses.replace(found, kind=kind, giver=giver)
    assert words in describe_witness(told, party=HERE, labels=2, objects=objects)
