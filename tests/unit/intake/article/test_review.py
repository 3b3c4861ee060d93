# SPDX-License-Identifier: Apache-2.0
"""The last decision on a draft counts; what can be corrected of each is what the table says."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from comity.articles import read_rules
from comity.errors import MalformedRequest
from comity.ids import Instant
from comity.intake.article.gazetteer import EMPTY
from comity.intake.article.numbering import Numbered, number_drafts
from comity.intake.article.reading import read_article
from comity.intake.article.review import (
    Decision,
    State,
    Step,
    check_correction,
    find_fields,
    is_shared,
    review_drafts,
    revise_drafts,
)
from comity.intake.article.text import Source, parse_plain
from tests.intake.annotated import RETRIEVED

TEXT = b"""Talks

March 4, 2031

Russian Foreign Minister Ivan Petrov denied reports that Germany had paid the rebels in Lisbon. Call +49 30 1234567,
or 198.51.100.7, or http://a.example/x with 3f79bb7b435b05321651daefd374cdc681dc06faa65e374e38337b88ca046dea.
"""
DRAFTS = number_drafts(read_article(parse_plain(TEXT, source=Source(retrieved_at=RETRIEVED)), read_rules(), EMPTY))
STATES = {Step.CONFIRM: State.CONFIRMED, Step.STRIKE: State.STRUCK}


def find(start: str) -> Numbered:
    (found,) = [item for item in DRAFTS if item.draft.key.startswith(start)]
    return found


def decide(number: int, step: Step, at: int = 0, field: str | None = None, value: str | None = None) -> Decision:
    return Decision(number=number, step=step, at=Instant(at), by="anna (legal)", field=field, value=value)


@given(st.lists(st.tuples(st.integers(1, len(DRAFTS)), st.sampled_from([*STATES]))))
def test_the_last_decision_on_a_draft_counts(said: list[tuple[int, Step]]) -> None:
    decisions = [decide(number, step, at) for at, (number, step) in enumerate(said)]
    last = {number: (at, STATES[step]) for at, (number, step) in enumerate(said)}
    for each in review_drafts(DRAFTS, decisions):
        at, state = last.get(each.item.number, (None, State.OPEN))
        assert (each.state, None if each.last is None else each.last.at) == (state, at)


def test_a_correction_changes_no_state_and_a_restoration_no_decision() -> None:
    number = find("person/").number
    steps = [
        decide(number, Step.CONFIRM),
        decide(number, Step.CORRECT, field="name", value="A"),
        decide(number, Step.CORRECT, field="name", value="B"),
        decide(number, Step.CORRECT, field="role", value="Minister"),
    ]
    each = review_drafts(DRAFTS, steps)[number - 1]
    assert (each.state, {name: one.value for name, one in each.corrections.items()}) == (
        State.CONFIRMED,
        {"name": "B", "role": "Minister"},
    )
    again = review_drafts(DRAFTS, [*steps, decide(number, Step.RESTORE)])[number - 1]
    assert (again.state, again.corrections) == (State.CONFIRMED, {})


@pytest.mark.parametrize(
    ("start", "fields"),
    [
        ("person/", ("name", "role", "stands-for")),
        ("place/DE", ("name", "stands-for")),
        ("statement/", ("stance", "speaker", "stands-for")),
        ("claim/", ("stands-for",)),
        ("opinion/", ("opinion", "speaker", "stands-for")),
        ("observable/ipv4", ("value", "stands-for")),
        ("observable/phone", ("value", "stands-for")),
        ("observable/sha256", ("stands-for",)),
    ],
)
def test_each_type_has_its_fields(start: str, fields: tuple[str, ...]) -> None:
    assert find_fields(find(start).draft) == fields


@pytest.mark.parametrize(
    ("start", "value", "good"),
    [
        ("observable/ipv4", "198.51.100.8", True),
        ("observable/ipv4", "198.51.100.800", False),
        ("observable/ipv4", "http://a.example/", False),
        ("observable/phone", "+49301234568", True),
        ("observable/url", "http://b.example/", True),
        ("observable/url", "http://b.example/ http://c.example/", False),
    ],
)
def test_an_observable_stays_one_of_its_type(start: str, value: str, good: bool) -> None:
    item = find(start)
    by_number = {one.number: one for one in DRAFTS}
    if good:
        check_correction(item, "value", value, drafts=by_number, rules=read_rules())
        return
    with pytest.raises(MalformedRequest, match="is no"):
        check_correction(item, "value", value, drafts=by_number, rules=read_rules())


def test_without_corrections_every_draft_is_as_it_was_read() -> None:
    drafts, held = revise_drafts(review_drafts(DRAFTS, []), read_rules().stances)
    assert (drafts, held) == ({item.draft.key: item.draft for item in DRAFTS}, {})


def test_what_is_shared_is_an_object_of_its_own_once_it_is_corrected() -> None:
    place = find("place/DE")
    reviewed = review_drafts(DRAFTS, [decide(place.number, Step.CORRECT, field="name", value="Deutschland")])
    drafts, _ = revise_drafts(reviewed, read_rules().stances)
    assert is_shared(place.draft)
    assert not is_shared(drafts["place/DE"])
