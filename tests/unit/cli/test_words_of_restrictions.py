# SPDX-License-Identifier: Apache-2.0
"""What an object may not do by the way it came, in words."""

from typing import Any

import pytest

from comity.cli.words.objects import describe_explanation


@pytest.mark.parametrize(
    ("row", "text"),
    [
        (
            {
                "clause": "audience",
                "test": "within",
                "found": [["cimbria", "zubria"]],
                "allowed": ["cimbria", "meridia"],
            },
            "✗  audience    cimbria, zubria; the channel would let it go to cimbria, meridia",
        ),
        (
            {"clause": "frameworks", "test": "only", "found": [["coalition-dawn"]], "allowed": []},
            "✗  frameworks  coalition-dawn excluded; the terms exclude none",
        ),
        (
            {"clause": "frameworks", "test": "only", "found": [], "allowed": ["coalition-dusk\x1b[2J"]},
            "✗  frameworks  none excluded; the terms exclude coalition-dusk\\x1b[2J",
        ),
    ],
)
def test_what_was_found_and_what_would_be_allowed(row: dict[str, Any], text: str) -> None:
    filler: dict[str, Any] = {
        "clause": "frameworks" if row["clause"] == "audience" else "types",
        "test": "only",
        "found": [],
    }
    reading = {
        "agreement": "0" * 64,
        "title": "T",
        "channel": "main",
        "decision": "withhold",
        "clause": row["clause"],
        "reason": "why",
        "redacted": [],
        "gate": None,
        "history": None,
        "because": [],
        "clauses": [{"holds": False, **row}, {"holds": True, "allowed": [], **filler}],
    }
    told = describe_explanation(
        {
            **reading,
            "object": "report--1",
            "to": "cimbria",
            "repeats": [],
            "recalled": [],
            "consents": [],
            "readings": [reading],
        }
    )
    assert text in told
