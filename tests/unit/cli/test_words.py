# SPDX-License-Identifier: Apache-2.0
"""Results as people read them."""

from typing import Any

import pytest

from comity.cli.words.agreements import describe_act, describe_import, describe_status
from comity.cli.words.files import describe_intake
from comity.cli.words.keeping import describe_recovered
from comity.cli.words.layout import columns, fields, outline, printable, shorten_time
from comity.cli.words.objects import describe_explanation

A, B = "a" * 64, "b" * 64
WHOLE = {"bad_count": 1, "notes": [], "already": False}
"""What else is said of a file that was taken in."""


def test_columns_are_aligned_and_end_where_the_words_end() -> None:
    assert columns([("a", "bb", "c"), ("aaa", "b", "")]) == ["a    bb  c", "aaa  b"]
    assert columns([]) == []


def test_absent_fields_are_left_out() -> None:
    assert fields([("name", "x"), ("state", None)]) == ["name  x"]


@pytest.mark.parametrize("text", ["\x1b[2J", "a\nb", "\r", "\u202e", "\x9b31m"])
def test_nothing_of_another_party_can_steer_the_terminal(text: str) -> None:
    shown = printable(f"x{text}y")
    assert shown.isprintable()
    assert text not in shown


def test_letters_of_every_script_stay() -> None:
    assert printable("Überwachung · العراق · 東京") == "Überwachung · العراق · 東京"


def test_a_time_is_shortened_to_the_second() -> None:
    assert shorten_time("2026-11-23T09:00:00.000001Z") == "2026-11-23T09:00:00Z"
    assert shorten_time("2026-11-23T09:00:00Z") == "2026-11-23T09:00:00Z"


def test_any_document_has_an_outline() -> None:
    value = {"type": "report", "refs": ["a", "b"], "parts": [{"id": 1, "on": True}, {"id": 2}], "none": None, "e": []}
    assert outline(value) == [
        "type: report",
        "refs: a, b",
        "parts:",
        "  - id: 1",
        "    on: yes",
        "  - id: 2",
        "none: none",
        "e: none",
    ]


STATUS: dict[str, Any] = {
    "agreement": A,
    "title": "Exchange on the Grey Column",
    "version": 1,
    "terms": A,
    "state": "suspended",
    "sentence": "suspended by borealia since 2026-11-23T09:00:00Z",
    "parties": ["aurelia", "borealia"],
    "valid_from": "2026-01-01T00:00:00.000000Z",
    "valid_until": None,
    "latest": {
        "terms": B,
        "version": 2,
        "signed_by": ["aurelia"],
        "missing": ["borealia"],
        "recognition": {"recognised": False, "clause": "legal_bases", "reason": "none is recognised", "bases": []},
    },
    "current": {
        "terms": A,
        "version": 1,
        "recognition": {
            "recognised": True,
            "clause": None,
            "reason": None,
            "bases": [{"kind": "unsc_resolution", "reference": "S/RES/9101"}],
        },
    },
    "open_questions": [
        {"event": B, "party": "borealia", "clause": "purposes", "text": "Which?\x1b[2J"},
    ],
    "at": None,
    "confirmed_by": ["aurelia"],
    "suspensions": [
        {"party": "borealia", "event": B, "at": "2026-11-23T09:00:00.000000Z", "reason": "Review.", "channel": None},
        {"party": "aurelia", "event": A, "at": "2026-11-23T09:00:00.000000Z", "reason": None, "channel": "other"},
    ],
    "lapses": [{"party": "aurelia", "clause": "legal_bases", "reason": "no legal basis\x1b[2J of aurelia is valid"}],
    "positions": [
        {"party": "aurelia", "kind": "mou", "reference": "M-1\u202e", "positions": {"borealia": "not_recognised"}},
        {"party": "borealia", "kind": "mou", "reference": "M-2", "positions": {}},
    ],
    "reservations": [{"party": "borealia", "clause": "channels.main", "ground": "national_law", "text": "For now\n."}],
    "next_steps": [{"party": "borealia", "act": "resume", "why": "suspended by it"}],
    "gives": [
        {"channel": "main", "to": "borealia", "open": False, "reason": "the agreement is not in force: suspended"},
        {"channel": "other", "to": "borealia", "open": True, "reason": None},
    ],
    "waiting": [{"party": "borealia", "messages": 1, "problem": "did not answer"}],
}


@pytest.mark.parametrize(
    "words",
    [
        "suspended by borealia since",
        "missing     borealia",
        "until further notice",
        "not by this party, legal_bases: none is recognised",
        "by this party: unsc_resolution S/RES/9101",
        "open question bbbbbbbbbbbb of borealia on purposes: Which?\\x1b[2J",
        "suspended by borealia at 2026-11-23T09:00:00Z: Review.",
        "confirmed   aurelia",
        "channel other suspended by aurelia at 2026-11-23T09:00:00Z",
        "suspended by itself for aurelia: no legal basis\\x1b[2J of aurelia is valid",
        "basis of aurelia: mou M-1\\u202e recorded, not recognised by borealia",
        "basis of borealia: mou M-2 recorded, no position",
        "reservation of borealia on channels.main, national_law: For now\\n.",
        "next: borealia can resume (suspended by it)",
        "channel main to borealia: closed, nothing is released (the agreement is not in force: suspended)",
        "channel other to borealia: open",
        "queued for borealia: will be delivered when `comity serve` runs here",
        "(last try: did not answer)",
    ],
)
def test_status_says_everything_that_is_asked_of_it(words: str) -> None:
    assert words in describe_status(STATUS)


def test_a_status_of_then_says_so() -> None:
    text = describe_status({**STATUS, "at": "2026-11-23T09:00:00.000000Z", "gives": [], "waiting": []})
    assert "as it stood on record at 2026-11-23T09:00:00Z" in text
    assert "can be released" not in text


def test_an_import_says_what_became_of_every_message() -> None:
    recorded = {"party": "aurelia", "kind": "propose", "state": "proposed", "sentence": "proposed by aurelia"}
    refused = ["meridia is not a party\x1b[2J of the agreement"]
    text = describe_import({"recorded": [recorded], "known": 2, "refused": refused, "waiting": STATUS["waiting"]})
    assert text.startswith("1 recorded, 2 known already, 1 refused\n  aurelia: propose; proposed by aurelia")
    assert "refused: meridia is not a party\\x1b[2J of the agreement" in text
    assert "queued for borealia" in text


def test_a_refusal_says_why_and_that_nothing_was_signed() -> None:
    text = describe_act({"refused": {"clause": "legal_bases", "reason": "no basis of this party is recognised"}})
    assert "legal_bases: no basis of this party is recognised" in text
    assert "Nothing was signed" in text


def test_a_bad_object_is_named_with_its_place_and_the_good_ones_are_said_to_be_kept() -> None:
    bad = {"index": 3, "id": "report--1", "where": "/created", "message": "no such day"}
    file = {"file": "b.json", "added": ["x", "y"], "known": 0, "bad": [bad], **WHOLE}
    text = describe_intake({"added": 2, "known": 0, "bad": 1, "files": [file]})
    assert "2 added, 0 known already, 1 bad" in text
    assert "b.json object 3 report--1 at /created: no such day" in text
    assert "good objects were kept" in text


def test_nothing_kept_is_not_called_kept() -> None:
    bad = {"index": None, "id": None, "where": "line 1:2", "message": "not JSON"}
    text = describe_intake({"added": 0, "known": 0, "bad": 1, "files": [{"file": "b.json", "bad": [bad], **WHOLE}]})
    assert "b.json at line 1:2: not JSON" in text
    assert "kept" not in text


def test_an_explanation_shows_the_table() -> None:
    reading = {
        "agreement": A,
        "title": "T",
        "channel": "main",
        "decision": "withhold",
        "clause": "regions",
        "reason": "regions is JO; the terms admit IQ",
        "redacted": [],
        "gate": None,
        "history": {"clause": "history", "reason": "taken in before every party had signed"},
        "because": ["location--1"],
        "clauses": [
            {"clause": "types", "test": "in", "holds": True, "found": [["report"]], "allowed": ["report"]},
            {"clause": "regions", "test": "any", "holds": False, "found": [["IQ"], []], "allowed": ["IQ"]},
            {"clause": "kinds", "test": "in", "holds": True, "found": [["arms"]], "allowed": None},
            {"clause": "audience", "test": "within", "holds": True, "found": [], "allowed": ["borealia"]},
        ],
    }
    text = describe_explanation(
        {
            **reading,
            "object": "report--1",
            "to": "borealia",
            "repeats": [],
            "recalled": [],
            "consents": [],
            "readings": [reading],
        }
    )
    assert text.startswith("WITHHOLD: report--1 to borealia\n  regions: regions is JO")
    assert "✓  gate" in text
    assert "✗  history   taken in before every party had signed" in text
    assert "✓  types     report; admits report" in text
    assert "✗  regions   IQ + (not said); admits IQ" in text
    assert "✓  kinds     arms; no limit" in text
    assert "✓  audience  any party; the channel would let it go to borealia" in text
    assert "because it refers to location--1" in text


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"again": ["labels"], "whole": False}, "what TLP:RED marks in aliases stands again in labels, and goes from"),
        ({"again": ["name"], "whole": True}, "stands again in name, which cannot all be removed: it counts for the"),
        ({"again": [], "whole": True}, "is too much to be looked for elsewhere: the marking counts for the whole"),
        ({"tlp": "unmarked", "again": ["name"], "whole": True}, "what marking-definition--1 marks in aliases stands"),
    ],
)
def test_an_explanation_says_why_more_is_removed_than_is_marked(change: dict[str, Any], words: str) -> None:
    repeat = {"marking": "marking-definition--1", "tlp": "red", "marked": ["aliases"], **change}
    verdict: dict[str, Any] = {"decision": "release", "clause": None, "reason": None, "redacted": []}
    told = {
        **verdict,
        "object": "report--1",
        "to": "borealia",
        "repeats": [repeat],
        "recalled": [],
        "consents": [],
        "readings": [],
    }
    assert words in describe_explanation(told)


@pytest.mark.parametrize(
    ("suspended", "words"),
    [
        ([A], ["1 agreement is suspended", "agreement resume"]),
        ([A, B], ["2 agreements are suspended", "agreement resume"]),
        ([], []),
    ],
)
def test_a_recovery_says_how_many_agreements_people_have_to_resume(suspended: list[str], words: list[str]) -> None:
    recovered: dict[str, Any] = {
        "previous": "a/1",
        "origin": "a/2",
        "entry": 7,
        "lost": 3,
        "told": ["borealia"],
        "approvals": [],
        "witnesses": [],
        "cosigning_stopped": False,
        "suspended": suspended,
        "persons": ["anna", "boris"],
        "credentials": ["cordia", "borealia", "cordia"],
    }
    text = describe_recovered(recovered)
    assert "at least 3 entries of it are lost" in text
    assert "anna, boris (comity person remove)" in text
    assert "borealia (1), cordia (2) (comity credential list" in text
    assert "BEFORE YOU SERVE" not in describe_recovered({**recovered, "persons": [], "credentials": []})
    assert all(word in text for word in words)
    assert ("suspended" in text) == bool(suspended)
