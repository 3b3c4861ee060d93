# SPDX-License-Identifier: Apache-2.0
"""Leaves: canonical, hiding, binding."""

import dataclasses
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from comity.agreement.people import Approval, Role
from comity.canonical import Json, canonical_bytes, parse_signed_json, sha256_digest
from comity.errors import LogMismatch, MalformedError, MalformedJson
from comity.ids import Digest, Instant, ObjectId, PartyId, PersonId, format_instant
from comity.release import disclosure
from comity.release.disclosure import (
    MAX_ENTRY_BYTES,
    NOT_SHARED,
    OF_NO_TERMS,
    Answer,
    EntryType,
    Leaf,
    PeopleChange,
    commit_content,
    format_disclosure,
    format_event_content,
    format_leaf,
    format_listing,
    format_people_content,
    parse_leaf,
    verify_opening,
)

SALT = bytes(range(32))
GROUNDS = Digest("ab" * 32)
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
    listing = format_listing([(ObjectId("report--x"), "v", None, ())])
    content = format_disclosure(
        answer=Answer.OBJECTS, channel="main", epoch=3, grounds=GROUNDS, listing=sha256_digest(listing)
    )
    leaf = format_leaf(dataclasses.replace(LEAF, commitment=commit_content(SALT, content)))
    assert b"report--x" in listing
    assert b"report--x" not in leaf
    assert sha256_digest(listing).encode() not in leaf


@given(
    st.lists(
        st.tuples(
            st.uuids().map(lambda uuid: ObjectId(f"report--{uuid}")),
            st.sampled_from(("2026-01-01T00:00:00.000Z", "1970-01-01T00:00:00Z")),
            st.none() | st.binary(max_size=3).map(sha256_digest),
            st.lists(st.text(max_size=5), max_size=3, unique=True).map(lambda names: tuple(sorted(names))),
        ),
        max_size=4,
    ),
    st.sampled_from(Answer),
    st.text(max_size=5),
    st.integers(0, 2**40),
)
def test_a_disclosure_and_its_listing_are_canonical(
    objects: list[tuple[ObjectId, str, Digest | None, tuple[str, ...]]], answer: Answer, channel: str, epoch: int
) -> None:
    listing: Json = {
        "format": "comity-listing/1",
        "objects": [
            {"id": item, "version": version, "digest": digest, "redacted": list[Json](redacted)}
            for item, version, digest, redacted in objects
        ],
    }
    assert format_listing(objects) == canonical_bytes(listing)
    digest = sha256_digest(format_listing(objects))
    content: Json = {
        "format": "comity-disclosure/3",
        "grounds": GROUNDS,
        "answer": answer.value,
        "channel": channel,
        "epoch": epoch,
        "listing": digest,
    }
    assert format_disclosure(
        answer=answer, channel=channel, epoch=epoch, grounds=GROUNDS, listing=digest
    ) == canonical_bytes(content)


@given(
    st.sampled_from(EntryType),
    st.none() | st.just(Digest("ab" * 32)),
    st.none() | st.sampled_from((PartyId("a"), PartyId("borealia-cert.2"))),
    st.none() | st.integers(1, 2**53 - 1),
    st.integers(0, 2**53 - 1),
    st.integers(0, 2**52),
)
def test_a_leaf_is_canonical(  # noqa: PLR0917 (as many as a leaf has members)
    kind: EntryType, terms: Digest | None, recipient: PartyId | None, sequence: int | None, count: int, at: int
) -> None:
    leaf = dataclasses.replace(
        LEAF, type=kind, terms=terms, recipient=recipient, sequence=sequence, count=count, at=Instant(at)
    )
    whole: Json = {
        "format": "comity-leaf/1",
        "type": kind.value,
        "terms": terms,
        "recipient": recipient,
        "sequence": sequence,
        "count": count,
        "at": format_instant(leaf.at),
        "commitment": leaf.commitment,
    }
    assert format_leaf(leaf) == canonical_bytes(whole)


def test_only_the_salt_and_content_it_was_made_with_open_a_leaf() -> None:
    assert verify_opening(LEAF, salt=SALT, content=b"content") == b"content"


def test_the_listing_is_the_one_that_the_content_names() -> None:
    listing = format_listing([(ObjectId("report--x"), "v", None, ())])
    content = format_disclosure(
        answer=Answer.OBJECTS, channel="main", epoch=3, grounds=GROUNDS, listing=sha256_digest(listing)
    )
    leaf = dataclasses.replace(LEAF, commitment=commit_content(SALT, content))
    assert verify_opening(leaf, salt=SALT, content=content, listing=listing) == content
    for other in (b"", listing + b" ", format_listing([(ObjectId("report--y"), "v", None, ())])):
        with pytest.raises(LogMismatch, match="listing"):
            verify_opening(leaf, salt=SALT, content=content, listing=other)


def test_content_that_names_no_listing_has_none() -> None:
    with pytest.raises(LogMismatch, match="listing"):
        verify_opening(LEAF, salt=SALT, content=b"content", listing=b"{}")
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


# --- read fast --------------------------------------------------------------------------------------------------------

_VALUES = (
    *(b"", b'"', b"\\", b"null", b"0", b"7", b"00", b"07", b"-1", b"1e3", b"1.0", b"true", b" ", b"\n", b"}"),
    *(b"9" * 15, b"9" * 16, b"9" * 17, b"9" * 18, b"borealia", b"Borealia", b"-b", b"b.", b"b" * 63, b"b" * 64, b"b c"),
    *(b"caf\xc3\xa9", b"e\xcc\x81", b"\xff", b"\\u0062", b"a" * 64, b"A" * 64, b"a" * 63, b"people", b"nothing"),
    *(b"2026-02-30T00:00:00Z", b"2026-11-23T09:00:00Z", b"2026-11-23T09:00:00.1Z", b"comity-leaf/2"),
)
_PIECES = st.sampled_from(_VALUES)
_LEAVES = st.builds(
    Leaf,
    type=st.sampled_from(EntryType),
    terms=st.none() | st.just(Digest("9c" * 32)),
    recipient=st.none() | st.sampled_from([PartyId("borealia"), PartyId("a"), PartyId("b-1.c")]),
    sequence=st.none() | st.integers(0, 2**53),
    count=st.integers(0, 2**53),
    at=st.integers(0, 2**51).map(Instant),
    commitment=st.just(Digest("0a" * 32)),
)


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """A leaf with pieces of it taken out and others put in."""
    data = format_leaf(draw(_LEAVES))
    for _ in range(draw(st.integers(0, 2))):
        start = draw(st.integers(0, len(data)))
        data = data[:start] + draw(_PIECES) + data[start + draw(st.integers(0, 12)) :]
    return data


def read(data: bytes) -> Leaf | str:
    try:
        return parse_leaf(data)
    except MalformedJson as error:
        return error.detail


def check_reading(data: bytes) -> None:
    fast = read(data)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(disclosure, "_LEAF", re.compile("(?!)"))
        assert read(data) == fast, data


@given(damaged())
def test_a_leaf_is_read_fast_where_it_is_read_the_same(data: bytes) -> None:
    check_reading(data)


def test_each_member_is_read_fast_where_it_is_read_the_same() -> None:
    members = format_leaf(LEAF)[1:-1].split(b",")
    for place, member in enumerate(members):
        name = member.partition(b":")[0]
        for value in (form % value for value in _VALUES for form in (b"%s", b'"%s"')):
            check_reading(b"{" + b",".join([*members[:place], name + b":" + value, *members[place + 1 :]]) + b"}")


@given(
    st.sampled_from(Answer),
    st.text(max_size=8) | st.sampled_from(["main", "a b", "x" * 129, 'q"', "é", "e\u0301"]),
    st.integers(0, 2**53),
    st.sampled_from([Digest("ab" * 32), Digest("AB" * 32), Digest("ab")]),
    st.sampled_from([b"", b" ", b"}", b'{"listing":"' + b"cd" * 32 + b'"}']),
)
def test_a_listing_is_found_fast_where_it_is_found_the_same(
    answer: Answer, channel: str, epoch: int, listing: Digest, behind: bytes
) -> None:
    try:
        content = (
            format_disclosure(answer=answer, channel=channel, epoch=epoch, grounds=GROUNDS, listing=listing) + behind
        )
    except MalformedError:
        return
    fast = disclosure._find_listing(content)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(disclosure, "USUAL_CONTENT", re.compile(b"(?!)"))
        assert disclosure._find_listing(content) == fast


@pytest.mark.parametrize("member", [b'"count"', b'"sequence"'])
def test_true_is_no_number(member: bytes) -> None:
    data = format_leaf(LEAF)
    start = data.index(member) + len(member) + 1
    with pytest.raises(MalformedJson, match="wrong kind"):
        parse_leaf(data[:start] + b"true" + data[data.index(b",", start) :])
