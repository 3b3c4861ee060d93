# SPDX-License-Identifier: Apache-2.0
"""Qualifiers in one line: what each may say, and that nothing in them is guessed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from comity.errors import MalformedRequest
from comity.ids import parse_instant
from comity.release.disclosure import EntryType
from comity.release.query import LogQuery, Qualifier, QualifierName, parse_query

OBJECT = "report--6a1f2c1e-0000-4000-8000-000000000001"


def test_every_qualifier_is_read() -> None:
    query = parse_query(
        f'to:borealia  -to:meridia under:3f2a9c object:{OBJECT} basis:"S/RES/9101 (2026)" kind:log-heads'
    )
    assert query.list_wanted(QualifierName.TO) == ["borealia"]
    assert query.list_excluded(QualifierName.TO) == ["meridia"]
    assert query.list_wanted(QualifierName.UNDER) == ["3f2a9c"]
    assert query.list_wanted(QualifierName.OBJECT) == [OBJECT]
    assert query.list_wanted(QualifierName.BASIS) == ["S/RES/9101 (2026)"]
    assert query.qualifiers[-1] == Qualifier(QualifierName.KIND, "log-heads", excluded=False)


@pytest.mark.parametrize("text", ["", " ", "\t\n"])
def test_nothing_asks_for_everything(text: str) -> None:
    assert parse_query(text) == LogQuery()


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("2026", "2026-01-01T00:00:00Z"),
        ("2026-03", "2026-03-01T00:00:00Z"),
        ("2026-03-05", "2026-03-05T00:00:00Z"),
        ("2026-03-05T06:07:08.5Z", "2026-03-05T06:07:08.5Z"),
    ],
)
def test_times_are_their_first_moment(text: str, at: str) -> None:
    query = parse_query(f"since:{text} until:{text}")
    assert query.since == query.until == parse_instant(at)
    assert query.qualifiers == ()


@pytest.mark.parametrize(
    "text",
    [
        "borealia",
        "to:",
        'to:""',
        'to:"borealia"x',
        "To:borealia",
        "recipient:borealia",
        ":borealia",
        "--to:borealia",
        "to:Borealia!",
        "under:3f2a",
        "under:XYZXYZ",
        "object:report",
        "kind:disclosures",
        "since:2026-13",
        "since:now",
        "-since:2026",
        "since:2026 since:2027",
        'basis:"open',
        "to:a " * 21,
        "to:" + "a" * 2_000,
    ],
)
def test_what_is_no_qualifier_is_refused_with_those_there_are(text: str) -> None:
    with pytest.raises(MalformedRequest) as caught:
        parse_query(text)
    if len(text) < 2_000 and text.count("to:a ") < 21:
        for name in QualifierName:
            assert f"{name}:" in caught.value.detail


def test_an_unknown_kind_lists_those_there_are() -> None:
    with pytest.raises(MalformedRequest, match=", ".join(sorted(EntryType))):
        parse_query("kind:nothing")


@given(st.text(max_size=100))
def test_any_text_is_a_query_or_refused(text: str) -> None:
    try:
        query = parse_query(text)
    except MalformedRequest:
        return
    assert text.count(":") >= len(query.qualifiers)


@given(
    st.lists(st.tuples(st.booleans(), st.text(alphabet=st.characters(exclude_characters='"'), min_size=1)), max_size=8)
)
def test_a_quoted_value_comes_back_as_it_was(values: list[tuple[bool, str]]) -> None:
    query = parse_query(" ".join(f'{"-" * excluded}basis:"{value}"' for excluded, value in values))
    assert [(item.excluded, item.value) for item in query.qualifiers] == values
