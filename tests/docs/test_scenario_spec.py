# SPDX-License-Identifier: Apache-2.0
"""docs/spec/scenario.md says what the code reads, and its example holds."""

import re
from pathlib import Path

import pytest

from comity.agreement.events import EventKind
from comity.agreement.transitions import State
from comity.errors import MalformedScenario
from comity.release.clauses import CLAUSES
from comity.scenario.document import MAX_BYTES, MAX_DEPTH, MAX_VALUES
from comity.scenario.expectations import CLAUSE_WORDS
from comity.scenario.happenings import REFUSALS, Short
from comity.scenario.parse import parse_scenario
from comity.scenario.run import run_scenario

DOCUMENT = (Path(__file__).parents[2] / "docs" / "spec" / "scenario.md").read_text(encoding="utf-8")
(EXAMPLE,) = re.findall(r"^```yaml\n(.*?)^```$", DOCUMENT, flags=re.DOTALL | re.MULTILINE)
SECTIONS = dict(re.findall(r"^## ([^\n]+)\n(.*?)(?=^## |\Z)", DOCUMENT, flags=re.DOTALL | re.MULTILINE))


def read_words(section: str, name: str) -> set[str]:
    """Every word in backquotes beside the field `name`."""
    row = next(line for line in section.splitlines() if line.startswith(f"| `{name}`"))
    return set(re.findall(r"`([^`]+)`", row.split(" | ", 1)[1]))


def find_fields(section: str) -> set[str]:
    """The fields that the tables of a section name."""
    opened = re.findall(r"^\| (`[^|]*`) \| ", section, flags=re.MULTILINE)
    return {name for cell in opened for name in re.findall(r"`(\w+)`", cell)}


def find_known(text: str) -> set[str]:
    """The fields that the parser says it knows, where one too many is written."""
    with pytest.raises(MalformedScenario, match="surplus: is not a field") as refused:
        parse_scenario(text.encode())
    return set(refused.value.detail.partition("known are ")[2].split(", "))


def test_the_example_holds() -> None:
    outcome = run_scenario(parse_scenario(EXAMPLE.encode()))
    assert outcome.failures == ()
    assert outcome.checks > 8


def test_the_words_are_those_of_the_code() -> None:
    kinds = read_words(SECTIONS["Events"], "kind")
    assert kinds == {*map(str, EventKind), *map(str, Short)}
    assert read_words(SECTIONS["Events"], "refused") == REFUSALS
    assert read_words(SECTIONS["Expectations"], "state") == set(map(str, State))
    named = re.search(r"^The clauses: (.*?)\n\n", SECTIONS["Expectations"], flags=re.DOTALL | re.MULTILINE)
    assert named is not None
    assert set(re.findall(r"`(\w+)`", named[1])) | {clause.name for clause in CLAUSES} == CLAUSE_WORDS


def test_the_bounds_are_those_that_are_checked() -> None:
    assert f"at most {MAX_BYTES:,} bytes, {MAX_VALUES:,} values" in DOCUMENT
    assert f"{MAX_DEPTH} levels" in DOCUMENT


@pytest.mark.parametrize(
    ("section", "old", "new", "others"),
    [
        (None, "title: One", "surplus: 1\ntitle: One", set()),
        ("Objects", "{<<: *told, type", "{<<: *told, surplus: 1, type", set()),
        ("Events", "{at: 2026-01-20T00:00:00Z, by: all", "{surplus: 1, at: 2026-01-20T00:00:00Z, by: all", {"from"}),
        ("Expectations", "owes: {}}", "owes: {}, surplus: 1}", None),
        ("Expectations", "gets: []}", "gets: [], surplus: 1}", None),
    ],
)
def test_every_field_is_named_and_no_other(section: str | None, old: str, new: str, others: set[str] | None) -> None:
    text = DOCUMENT.partition("\n## ")[0] if section is None else SECTIONS[section]
    known = find_known(EXAMPLE.replace(old, new, 1))
    fields = find_fields(text)
    if others is None:  # one section, two tables: what an agreement has, and what goes
        assert known - {"from"} <= fields
        return
    for_some_kinds = {"from", "joiner", "bases"} if section == "Events" else set()
    assert fields - for_some_kinds == known - for_some_kinds
