# SPDX-License-Identifier: Apache-2.0
"""Leaves: canonical, hiding, binding."""

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from comity.canonical import parse_signed_json
from comity.errors import LogMismatch, MalformedError
from comity.ids import Digest, Instant, ObjectId, PartyId
from comity.release.disclosure import (
    MAX_ENTRY_BYTES,
    Answer,
    DisclosedObject,
    EntryType,
    Leaf,
    commit_content,
    format_disclosure,
    format_leaf,
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
