# SPDX-License-Identifier: Apache-2.0
"""Leaves: canonical, hiding, binding."""

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from comity.agreement.people import Approval, Role
from comity.canonical import canonical_bytes, parse_signed_json
from comity.errors import LogMismatch, MalformedError, MalformedJson
from comity.ids import Digest, Instant, ObjectId, PartyId, PersonId
from comity.release.disclosure import (
    MAX_ENTRY_BYTES,
    NOT_SHARED,
    OF_NO_TERMS,
    Answer,
    DisclosedObject,
    EntryType,
    Leaf,
    PeopleChange,
    commit_content,
    format_disclosure,
    format_event_content,
    format_leaf,
    format_people_content,
    parse_leaf,
    verify_opening,
)

SALT = bytes(range(32))
LEAF = Leaf(
    type=EntryType.DISCLOSURE,
    terms=Digest("1" * 64),
    recipient=PartyId("borealia"),
    sequence=7,
    count=2,
    at=Instant(1_795_424_400_000_000),
    commitment=commit_content(SALT, b"content"),
)


def test_a_leaf_is_read_back_as_it_was_written() -> None:
    for leaf in (LEAF, dataclasses.replace(LEAF, type=EntryType.AGREEMENT_EVENT, recipient=None, sequence=None)):
        assert parse_leaf(format_leaf(leaf)) == leaf
        assert len(format_leaf(leaf)) < MAX_ENTRY_BYTES


PEOPLE = dataclasses.replace(LEAF, type=EntryType.PEOPLE, terms=None, recipient=None, sequence=None, count=1)


def test_only_what_happens_under_no_agreement_has_no_terms() -> None:
    assert parse_leaf(format_leaf(PEOPLE)) == PEOPLE
    assert b'"terms":null' in format_leaf(PEOPLE)


@pytest.mark.parametrize("kind", sorted(set(EntryType) - NOT_SHARED))
def test_terms_are_there_where_they_must_be_and_nowhere_else(kind: EntryType) -> None:
    wrong = LEAF.terms if kind in OF_NO_TERMS else None
    with pytest.raises(MalformedJson, match="terms"):
        parse_leaf(format_leaf(dataclasses.replace(PEOPLE, type=kind, terms=wrong)))


def test_the_record_of_an_event_without_approvals_is_as_it_always_was() -> None:
    facts = {"event": Digest("2" * 64), "kind": "accept", "party": PartyId("borealia"), "agreement": "3" * 64}
    before = canonical_bytes({"format": "comity-event-record/1", **facts})
    assert format_event_content(**facts) == before  # type: ignore[arg-type]


def test_approvals_and_people_stand_in_the_content() -> None:
    approval = Approval(person=PersonId("anna"), role=Role.LEGAL, reason="Read.", at=LEAF.at)
    content = format_event_content(
        event=Digest("2" * 64), kind="accept", party=PartyId("aurelia"), agreement="3" * 64, approvals=[approval]
    )
    assert (
        b'"approvals":[{"at":"2026-11-23T09:00:00.000000Z","person":"anna","reason":"Read.","role":"legal"}]' in content
    )
    people = format_people_content(
        PeopleChange.ADD, person=PersonId("anna"), name="Anna Aalto", roles={Role.LIAISON, Role.LEGAL}
    )
    assert parse_signed_json(people) == {
        "format": "comity-people-record/1",
        "change": "add",
        "person": "anna",
        "name": "Anna Aalto",
        "roles": ["legal", "liaison"],
    }


def test_a_leaf_says_nothing_of_what_was_given() -> None:
    item = DisclosedObject(id=ObjectId("report--x"), version="v", digest=None)
    content = format_disclosure(answer=Answer.OBJECTS, channel="main", epoch=3, objects=[item])
    leaf = format_leaf(dataclasses.replace(LEAF, commitment=commit_content(SALT, content)))
    assert b"report--x" in content
    assert b"report--x" not in leaf
    assert isinstance(parse_signed_json(content), dict)


def test_only_the_salt_and_content_it_was_made_with_open_a_leaf() -> None:
    assert verify_opening(LEAF, salt=SALT, content=b"content") == b"content"
    for salt, content in (
        (SALT, b"contenu"),
        (SALT[1:], b"\x00content"),
        (bytes(32), b"content"),
        (SALT[:-1], b"content"),
    ):
        with pytest.raises(LogMismatch):
            verify_opening(LEAF, salt=salt, content=content)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'"count":2', b'"count":2.0'),
        (b'"count":2', b'"count":"2"'),
        (b'"type":"disclosure"', b'"type":"gift"'),
        (b'"sequence":7,', b""),
        (b'{"at"', b'{"a":1,"at"'),
        (b"borealia", b"Borealia"),
        (b"comity-leaf/1", b"comity-leaf/2"),
        (b'"count":2', b'"count": 2'),
    ],
)
def test_a_leaf_of_another_form_is_refused(old: bytes, new: bytes) -> None:
    data = format_leaf(LEAF)
    assert old in data
    with pytest.raises(MalformedError):
        parse_leaf(data.replace(old, new))


@given(st.binary(max_size=300))
def test_any_bytes_are_a_leaf_or_malformed(data: bytes) -> None:
    with pytest.raises(MalformedError):
        parse_leaf(data)
