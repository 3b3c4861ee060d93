# SPDX-License-Identifier: Apache-2.0
"""One of a thing is said as one: in a word, and wherever a command or a page says how many there are."""

import re
from pathlib import Path

import pytest

import comity
from comity.counting import name_counted, say_count

SOURCE = Path(comity.__file__).parent
SAID = sorted(
    path for where in ("cli/commands/*.py", "cli/words/*.py", "console/templates/*.html") for path in SOURCE.glob(where)
)
KINDS = (
    "agreements answers bytes channels characters checkpoints clauses columns disclosures drafts entries events files"
    " groups hashes logs messages objects pages parties people persons receipts records seconds times versions"
    " witnesses words"
)
COUNTED = re.compile(rf"\}}\}}? (?:log |more |new |open |refused |smaller )?(?:{'|'.join(KINDS.split())})\b")


@pytest.mark.parametrize(
    ("number", "what", "said"),
    [
        (1, "entry", "1 entry"),
        (0, "entry", "0 entries"),
        (2, "entry", "2 entries"),
        (1, "open draft", "1 open draft"),
        (12, "open draft", "12 open drafts"),
        (2, "day", "2 days"),
        (2, "witness", "2 witnesses"),
        (1_000, "object", "1000 objects"),
    ],
)
def test_a_number_is_said_with_what_it_counts(number: int, what: str, said: str) -> None:
    assert say_count(number, what) == said
    assert f"{number} {name_counted(number, what)}" == said


@pytest.mark.parametrize("file", SAID, ids=lambda path: path.name)
def test_no_word_for_many_stands_behind_a_number_that_can_be_one(file: Path) -> None:
    lines = file.read_text(encoding="utf-8").splitlines()
    assert [line for line in lines if COUNTED.search(line) and " == 1" not in line] == []


@pytest.mark.parametrize("file", sorted(SOURCE.rglob("*.py")), ids=lambda path: path.name)
def test_no_head_of_a_log_is_over_many_entries_whatever_its_size(file: Path) -> None:
    assert re.findall(r"\bover \{[^}]*\} entries", file.read_text(encoding="utf-8")) == []
