# SPDX-License-Identifier: Apache-2.0
"""docs/spec/classification.md says what the code reads."""

import re
from pathlib import Path

from comity.stix.labels import CLASSIFICATION_EXTENSION, Tags, make_tags, read_tags
from comity.stix.objects import parse_bundle, parse_object
from comity.vocabulary import HANDLING, KINDS, PERSON_CLASSES, SPECIAL_CATEGORIES
from examples.make_bundle import EXAMPLES

_ROOT = Path(__file__).parents[2]
_TEXT = (_ROOT / "docs" / "spec" / "classification.md").read_text(encoding="utf-8")


def read_rows() -> dict[str, frozenset[str]]:
    """Field -> every word in backquotes beside it."""
    rows = re.findall(r"^\| `(\w+)` \| (.*?) \|", _TEXT, flags=re.MULTILINE)
    return {field: frozenset(re.findall(r"`(\w+)`", words)) for field, words in rows}


def test_the_example_is_an_object_of_the_bundle() -> None:
    example = re.search(r"```json\n(.*?)```", _TEXT, flags=re.DOTALL)
    assert example is not None
    obj, value = parse_object(example[1].encode())
    bundle = parse_bundle((_ROOT / "examples" / "bundle.json").read_bytes())
    assert obj.id == EXAMPLES["released"]
    assert value in [one for _, one in bundle.good]
    assert read_tags(value) != make_tags()


def test_the_table_names_every_field_and_word() -> None:
    rows = read_rows()
    assert rows.keys() == set(Tags.__slots__)
    assert rows["kinds"] == KINDS
    assert rows["person_classes"] == PERSON_CLASSES
    assert rows["special_categories"] == SPECIAL_CATEGORIES
    assert rows["handling"] == HANDLING


def test_the_id_of_the_extension_is_the_one_that_is_read() -> None:
    assert _TEXT.count(CLASSIFICATION_EXTENSION) == 1
