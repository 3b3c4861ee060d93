# SPDX-License-Identifier: Apache-2.0
"""Each kind of conflict, and beside it the nearest thing that is none."""

import dataclasses
from collections.abc import Sequence

import pytest

from comity.agreement.terms import Terms, parse_terms
from comity.canonical import Json, canonical_bytes, parse_signed_json
from comity.ids import PartyId
from comity.release.conflicts import ConflictKind, Contradiction, describe_witness, find_contradictions
from tests.parties import AURELIA, BOREALIA, MERIDIA, change_channel, change_terms, make_terms

HERE = AURELIA
ONE = make_terms(AURELIA, BOREALIA)
TWO = make_terms(AURELIA, BOREALIA, title="Another")
FROM_MERIDIA = make_terms(MERIDIA, AURELIA, title="What meridia gives")


def change(terms: Terms, **fields: Json) -> Terms:
    return parse_terms(change_terms(terms, **fields))


def find(one: Terms, two: Terms, *, party: PartyId = HERE) -> list[tuple[str, str, str, str]]:
    """Kind, both clauses and the receiver of each contradiction."""
    found = find_contradictions(one, two, party=party)
    return [(item.kind.value, item.clause, item.other_clause, item.receiver) for item in found]


def unread(terms: Terms, *, channels: Sequence[dict[str, Json]] = (), **fields: Json) -> Terms:
    """The terms with a document that says more than this version reads: the duties are told from the document."""
    document = parse_signed_json(terms.document)
    assert isinstance(document, dict)
    document |= fields
    listed = document["channels"]
    assert isinstance(listed, list)
    for channel, more in zip(listed, channels, strict=False):
        assert isinstance(channel, dict)
        channel.update(more)
    return dataclasses.replace(terms, document=canonical_bytes(document))


# --- duties -----------------------------------------------------------------------------------------------------------


def test_equal_duties_are_no_conflict() -> None:
    assert find(ONE, TWO) == []


def test_wider_permitted_actions_undercut_the_narrower_for_each_receiver() -> None:
    wide = change(TWO, permitted_actions="externally-visible-direct-actions")
    duty = ("duties", "permitted_actions", "permitted_actions")
    assert find(ONE, wide) == [(*duty, "borealia"), (*duty, "aurelia")]
    for one, two in ((ONE, wide), (wide, ONE)):
        sentence = find_contradictions(one, two, party=HERE)[0].sentence
        assert f"only internally-visible-actions under {ONE.title!r}" in sentence
        assert "may take externally-visible-direct-actions under 'Another'" in sentence
        assert "borealia can get the same object from aurelia" in sentence


def test_a_use_that_only_one_prohibits_is_named() -> None:
    strict = change(TWO, prohibited_uses=["targeting", "removal"])
    assert find(ONE, strict)[0] == ("duties", "prohibited_uses", "prohibited_uses", "borealia")
    sentence = find_contradictions(ONE, strict, party=HERE)[0].sentence
    assert "removal is prohibited by 'Another'" in sentence
    assert "targeting" not in sentence


@pytest.mark.parametrize(
    ("one", "two", "words"),
    [
        ("P1Y", "P2Y", ("for P1Y at most", "for P2Y at most")),
        ("P1Y", None, ("for P1Y at most", "without a limit")),
    ],
)
def test_retention_that_differs_is_a_conflict(one: str, two: str | None, words: tuple[str, str]) -> None:
    first = unread(ONE, retention={"maximum": one, "no_decision": "delete", "review_after": "P6M"})
    second = TWO if two is None else unread(TWO, retention={"maximum": two})
    assert find(first, second)[0][:3] == ("duties", "retention", "retention")
    sentence = find_contradictions(first, second, party=HERE)[0].sentence
    assert all(word in sentence for word in words)


def test_the_same_retention_is_none() -> None:
    bound: Json = {"maximum": "P1Y"}
    assert find(unread(ONE, retention=bound), unread(TWO, retention=bound)) == []


@pytest.mark.parametrize(
    ("one", "two", "conflicts"),
    [("must", "must-not", 1), ("must-not", "must", 1), ("must", "may", 0), ("may", "must-not", 0), ("must", "must", 0)],
)
def test_naming_the_source_must_not_be_ordered_and_forbidden(one: str, two: str, conflicts: int) -> None:
    first, second = (unread(terms, channels=[{"attribution": word}]) for terms, word in ((ONE, one), (TWO, two)))
    found = find(first, second)
    clause = "channels.aurelia.attribution"
    assert found == [("duties", clause, clause, "borealia")] * conflicts
    for item in find_contradictions(first, second, party=HERE):
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


def admitting(terms: Terms, *originators: PartyId) -> Terms:
    """The terms with channels that also admit what others gave."""
    channels = tuple(
        dataclasses.replace(
            channel,
            scope=dataclasses.replace(channel.scope, originators=channel.scope.originators | set(originators)),
        )
        for channel in terms.channels
    )
    return dataclasses.replace(terms, channels=channels)


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
    (found,) = find_contradictions(PASSES, FROM_MERIDIA, party=HERE)
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


def test_an_excluded_framework_must_not_get_it() -> None:
    source = giving(FROM_MERIDIA, onward="listed", to=["borealia"])  # excludes coalition-dawn
    inside = admitting(change(ONE, framework="coalition-dawn", excluded_frameworks=[]), MERIDIA)
    other = admitting(change(ONE, framework="working-group", excluded_frameworks=[]), MERIDIA)
    assert find(inside, source) == [("onward", "framework", "excluded_frameworks", "borealia")]
    assert find(source, inside) == [("onward", "excluded_frameworks", "framework", "borealia")]
    assert find(other, source) == []


# --- what is held -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "giver", "objects", "words"),
    [
        (ConflictKind.DUTIES, AURELIA, 3, "3 objects (2 labels) would go under both"),
        (ConflictKind.DUTIES, AURELIA, 0, "nothing that is held today would go under both"),
        (ConflictKind.DUTIES, BOREALIA, 0, "what borealia holds of it is not known here"),
        (ConflictKind.ONWARD, MERIDIA, 3, "Of what meridia gave, 3 objects (2 labels) would not go today"),
        (ConflictKind.ONWARD, MERIDIA, 0, "nothing that is held today is concerned"),
    ],
)
def test_what_is_held_today_is_told(kind: ConflictKind, giver: PartyId, objects: int, words: str) -> None:
    (found,) = find_contradictions(PASSES, FROM_MERIDIA, party=HERE)
    told: Contradiction = dataclasses.replace(found, kind=kind, giver=giver)
    assert words in describe_witness(told, party=HERE, labels=2, objects=objects)
