# SPDX-License-Identifier: Apache-2.0
"""docs/spec/threat-assessment.md and docs/howto/classify.md say what the code reads."""

import json
import re
from pathlib import Path

from comity.classification.assessment import ASSESSMENT_EXTENSION, read_assessment
from comity.classification.lists import parse_subject_list
from comity.classification.rules import Condition, RuleSet, convert_rules
from comity.node.reading import read_in_steps
from comity.node.steps import finish
from comity.stix.objects import BundleReading

_DOCS = Path(__file__).parents[2] / "docs"
_SPEC = (_DOCS / "spec" / "threat-assessment.md").read_text(encoding="utf-8")
_HOWTO = (_DOCS / "howto" / "classify.md").read_text(encoding="utf-8")


def find_block(text: str, language: str) -> str:
    (found,) = re.findall(rf"^```{language}\n(.*?)^```$", text, flags=re.DOTALL | re.MULTILINE)
    return str(found)


def test_the_example_is_an_assessment_by_the_schemas_of_stix_and_by_our_own() -> None:
    example = find_block(_SPEC, "json").encode()
    assert read_assessment(json.loads(example)).threat == "may attack shipping"
    assert finish(read_in_steps(BundleReading(example))).checked.bad == ()


def test_the_table_names_every_field_of_the_extension() -> None:
    fields = json.loads(find_block(_SPEC, "json"))["extensions"][ASSESSMENT_EXTENSION].keys() - {"extension_type"}
    rows = " ".join(line.split("|")[1] for line in _SPEC.splitlines() if line.startswith("| `"))
    assert {name for name in fields if f"`{name}`" not in rows} == set()


def test_the_rules_and_the_list_of_the_how_to_are_such() -> None:
    assert isinstance(convert_rules(find_block(_HOWTO, "toml").encode()), RuleSet)
    assert parse_subject_list(find_block(_HOWTO, "json").encode()).list == "unsc"


def test_the_how_to_names_every_condition() -> None:
    rows = " ".join(line.split("|")[1] for line in _HOWTO.splitlines() if line.startswith("| `"))
    assert {name for name in Condition.__slots__ if f"`{name}`" not in rows} == set()
