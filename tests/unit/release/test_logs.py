# SPDX-License-Identifier: Apache-2.0
"""What the log of the house says of others is read exactly, or refused; a name tells nothing and is always the same."""

import pytest

from comity.canonical import Json, canonical_bytes
from comity.errors import MalformedJson
from comity.ids import AgreementId, Digest, Instant, PartyId
from comity.release.disclosure import EntryType, Leaf
from comity.release.logs import (
    LogOpening,
    NamedHead,
    derive_origin,
    format_heads,
    format_opening,
    parse_heads,
    parse_opening,
)

ORIGIN = "comity/aurelia/0123456789abcdef"
OPENING = LogOpening(origin=ORIGIN, agreement=AgreementId("ab" * 32), recipient=PartyId("borealia"))
HEADS = (
    NamedHead(origin=ORIGIN, size=7, root=b"\x01" * 32),
    NamedHead(origin="comity/aurelia", size=1, root=bytes(32)),
)


def leaf(kind: EntryType, count: int = 1) -> Leaf:
    return Leaf(
        type=kind,
        terms=None,
        recipient=None,
        sequence=None,
        count=count,
        at=Instant(0),
        commitment=Digest("0" * 64),
    )


def test_what_was_written_is_read() -> None:
    assert parse_opening(leaf(EntryType.LOG_OPENING), format_opening(OPENING)) == OPENING
    assert parse_heads(leaf(EntryType.LOG_HEADS, 2), format_heads(HEADS)) == HEADS


def test_other_entries_say_nothing_of_logs() -> None:
    assert parse_opening(leaf(EntryType.PEOPLE), format_opening(OPENING)) is None
    assert parse_heads(leaf(EntryType.LOG_OPENING), format_heads(HEADS)) == ()


@pytest.mark.parametrize(
    "change",
    [
        {"format": "comity-log-opening/2"},
        {"origin": "comity/aurelia/x"},
        {"origin": 1},
        {"agreement": "x"},
        {"recipient": "Borealia"},
        {"more": 1},
    ],
)
def test_another_opening_is_refused(change: dict[str, Json]) -> None:
    said: dict[str, Json] = {
        "format": "comity-log-opening/1",
        "origin": ORIGIN,
        "agreement": "ab" * 32,
        "recipient": "borealia",
    }
    assert parse_opening(leaf(EntryType.LOG_OPENING), canonical_bytes(said)) == OPENING
    with pytest.raises(MalformedJson):
        parse_opening(leaf(EntryType.LOG_OPENING), canonical_bytes({**said, **change}))


@pytest.mark.parametrize(
    "change", [{"size": 0}, {"size": True}, {"size": "7"}, {"root": "01"}, {"origin": "aurelia"}, {"more": 1}]
)
def test_other_heads_are_refused(change: dict[str, Json]) -> None:
    head: dict[str, Json] = {"origin": ORIGIN, "size": 7, "root": "01" * 32}
    good = canonical_bytes({"format": "comity-log-heads/1", "heads": [head]})
    assert parse_heads(leaf(EntryType.LOG_HEADS), good) == HEADS[:1]
    wrong: list[tuple[Json, int]] = [([{**head, **change}], 1), ([head], 2), ([head, head], 2), ([], 0), ("x", 1)]
    for listed, count in wrong:
        data = canonical_bytes({"format": "comity-log-heads/1", "heads": listed})
        with pytest.raises(MalformedJson):
            parse_heads(leaf(EntryType.LOG_HEADS, count), data)


def test_a_name_is_of_one_relationship_in_one_history_and_of_one_secret() -> None:
    def name(key: bytes, house: str, agreement: str, recipient: str) -> str:
        return derive_origin(
            key,
            party=PartyId("aurelia"),
            house=house,
            agreement=AgreementId(agreement),
            recipient=PartyId(recipient),
        )

    first = (b"k" * 32, "comity/aurelia", "ab" * 32, "borealia")
    assert name(*first) == name(*first)
    others = [
        (b"l" * 32, *first[1:]),
        (first[0], ORIGIN, *first[2:]),
        (*first[:2], "cd" * 32, "borealia"),
        (*first[:3], "meridia"),
    ]
    assert len({name(*first), *(name(*other) for other in others)}) == 5
