# SPDX-License-Identifier: Apache-2.0
"""Lists of subjects: what a version says, what the next one changes, and which names select."""

import json
from typing import Any

import pytest

from comity.classification.lists import compare_lists, format_entry, index_names, parse_entry, parse_subject_list
from comity.errors import MalformedRequest

ENTRY: dict[str, Any] = {
    "subject": "unsc:QDe.901",
    "kind": "entity",
    "names": ["Marrow Ford"],
    "aliases": [{"name": "MF Group", "quality": "good"}, {"name": "The Ford", "quality": "low"}],
}
LIST: dict[str, Any] = {"format": "comity-subject-list/1", "list": "unsc", "version": "2026-03-01", "entries": [ENTRY]}


def make(**fields: Any) -> bytes:  # noqa: ANN401
    return json.dumps({**LIST, **fields}).encode()


def test_a_version_is_read_and_each_entry_written_again_the_same() -> None:
    listed = parse_subject_list(make())
    (entry,) = listed.entries.values()
    assert (listed.list, listed.version, entry.subject, entry.names) == (
        "unsc",
        "2026-03-01",
        "unsc:QDe.901",
        ("Marrow Ford",),
    )
    assert parse_entry(format_entry(entry)) == entry
    assert parse_subject_list(make(version="2026-03-02")).digest != listed.digest


def test_names_select_but_not_those_of_low_quality() -> None:
    listed = parse_subject_list(make())
    assert index_names(listed.entries.values()) == {
        "marrow ford": frozenset({"unsc:QDe.901"}),
        "mf group": frozenset({"unsc:QDe.901"}),
    }


def test_an_alias_that_says_what_many_people_are_selects_nobody() -> None:
    listed = parse_subject_list(make(entries=[{**ENTRY, "aliases": [{"name": "Muslims", "quality": "good"}]}]))
    assert index_names(listed.entries.values()).keys() == {"marrow ford"}


def test_who_is_there_no_more_has_left() -> None:
    before = parse_subject_list(
        make(entries=[ENTRY, {**ENTRY, "subject": "unsc:QDe.902"}, {**ENTRY, "subject": "unsc:QDe.903"}])
    )
    after = parse_subject_list(
        make(
            entries=[
                ENTRY,
                {**ENTRY, "subject": "unsc:QDe.903", "names": ["Other"]},
                {**ENTRY, "subject": "unsc:QDe.9"},
            ]
        )
    )
    changes = compare_lists(before.forms, after.forms)
    assert (changes.listed, changes.delisted, changes.changed) == (
        ("unsc:QDe.9",),
        ("unsc:QDe.902",),
        ("unsc:QDe.903",),
    )


@pytest.mark.parametrize(
    ("data", "match"),
    [
        (b"", "not a list"),
        (b"[]", "table"),
        (make(format="x"), "format"),
        (make(list="UN SC"), "list"),
        (make(entries=[]), "entries"),
        (make(entries=[ENTRY, ENTRY]), "twice"),
        (make(entries=[{**ENTRY, "subject": "national:x"}]), "unsc:reference"),
        (make(entries=[{**ENTRY, "kind": "group"}]), "kind"),
        (make(entries=[{**ENTRY, "names": []}]), "names"),
        (make(entries=[{**ENTRY, "score": 3}]), "score"),
        (make(entries=[{**ENTRY, "names": ["Kurdish people"]}]), "religion or an ethnicity"),
        (make(entries=[{**ENTRY, "aliases": [{"name": "x", "quality": "fair"}]}]), "quality"),
    ],
)
def test_what_is_no_list_is_told_with_its_place(data: bytes, match: str) -> None:
    with pytest.raises(MalformedRequest, match=match):
        parse_subject_list(data)
