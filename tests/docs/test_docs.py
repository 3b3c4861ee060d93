# SPDX-License-Identifier: Apache-2.0
"""The documents say what the code does: every error, clause, invariant, module and command, and every example runs."""

import json
import re
import shlex
from pathlib import Path

import click
import pytest

from comity import cli, errors
from comity.agreement.drafting import convert_terms
from comity.agreement.recognition import parse_policy
from comity.agreement.terms import parse_terms
from comity.canonical import canonical_bytes
from comity.cli.session import Session
from comity.errors import ComityError
from comity.operations.reply import find_exit_code
from comity.release.clauses import CLAUSES
from comity.release.disclosure import parse_leaf, verify_opening
from comity.signing import parse_manifest
from comity.taxii.responses import find_status
from comity.tlog.merkle import leaf_hash

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "src" / "comity"
DOCS = ROOT / "docs"
DOCUMENTS = sorted([*ROOT.glob("*.md"), *DOCS.rglob("*.md")])
CLASSES = [found for name in errors.__all__ if isinstance(found := getattr(errors, name), type)]
INVARIANTS = (
    "SAFE",
    "TWO",
    "GATE",
    "LOG-FIRST",
    "WHOLE",
    "ONWARD",
    "DRAIN",
    "LIVE",
    "CURSOR",
    "ONE-MEANING",
    "MONOTONE",
    "DEFAULT-DENY",
    "CLOSED",
    "SILENT",
    "RETAINED",
    "APPEND-ONLY",
    "REACH",
    "PREVIEWED",
    "CHAIN",
    "REPLAY",
    "SHOWN",
)
MAX_README_LINES = 200

Row = tuple[str, ...]


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def read(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def read_rows(text: str) -> list[Row]:
    """The cells of every row of every table."""
    lines = [line for line in text.splitlines() if line.startswith("| ")]
    return [tuple(cell.strip() for cell in line.strip("|").split(" | ")) for line in lines]


def read_blocks(text: str, language: str) -> list[str]:
    """The contents of every fenced block of one language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", text, flags=re.DOTALL | re.MULTILINE)


def find_tests(text: str) -> set[str]:
    return set(re.findall(r"tests/[\w/]+\.py", text))


# --- errors -----------------------------------------------------------------------------------------------------------

ERROR_ROWS = {row[0].strip("`"): row for row in read_rows(read("docs/errors.md")) if row[0].startswith("`")}


def test_every_error_class_has_one_row_and_no_other() -> None:
    assert ERROR_ROWS.keys() == {found.__name__ for found in CLASSES}
    assert read("docs/errors.md").count("\n| `") == len(CLASSES)


@pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: kind.__name__)
def test_the_row_of_an_error_is_true_and_full(kind: type[ComityError]) -> None:
    row = ERROR_ROWS[kind.__name__]
    assert len(row) == 7
    assert all(row)
    assert row[1] == f"`{kind.code}`"
    if kind is ComityError:
        assert row[2:4] == ("none", "none")
        return
    error = kind("a detail")
    assert row[2].split(",")[0] == str(find_status(error))
    assert row[3] == str(int(find_exit_code(error)))


# --- clauses and terms ------------------------------------------------------------------------------------------------


def test_every_clause_is_explained_in_its_order_with_its_test() -> None:
    tests = {clause.test.value for clause in CLAUSES}
    rows = [row for row in read_rows(read("docs/howto/write-an-agreement.md")) if row[1] in tests]
    assert [(row[0].strip("`"), row[1]) for row in rows] == [(clause.name, clause.test.value) for clause in CLAUSES]


@pytest.mark.parametrize("name", ["README.md", "docs/howto/write-an-agreement.md"])
def test_the_terms_in_a_document_are_terms(name: str) -> None:
    texts = [block for block in read_blocks(read(name), "toml") if block.startswith("format")]
    assert len(texts) == 1
    terms = parse_terms(convert_terms(texts[0].encode()))
    assert terms.channels


@pytest.mark.parametrize("name", ["README.md", "docs/howto/run-two-nodes.md"])
def test_the_policy_in_a_document_is_a_policy(name: str) -> None:
    texts = [block for block in read_blocks(read(name), "toml") if "[[recognised]]" in block]
    assert len(texts) == 1
    assert parse_policy(texts[0].encode()).recognised


def test_the_whole_example_uses_every_field_that_terms_have() -> None:
    (text,) = [
        block for block in read_blocks(read("docs/howto/write-an-agreement.md"), "toml") if "[[channels]]" in block
    ]
    with pytest.raises(errors.MalformedTerms) as refused:
        convert_terms(b"surplus = 1\n" + text.encode())
    known = re.search(r"known are (.*)", refused.value.detail)
    assert known is not None
    fields = set(known[1].split(", ")) - {"agreement", "supersedes"}
    assert {name for name in fields if not re.search(rf"^\[*{name}\b", text, flags=re.MULTILINE)} == set()


# --- formats ----------------------------------------------------------------------------------------------------------


def test_the_leaf_in_the_specification_opens_and_hashes_as_it_says() -> None:
    text = read("docs/spec/disclosure-leaf.md")
    leaf, content, listing = (canonical_bytes(json.loads(block)) for block in read_blocks(text, "json"))
    assert f"{len(leaf)} bytes" in text
    salt, tree_hash = (re.search(rf"Its {name}.*?`([0-9a-f]{{64}})`", text) for name in ("salt", "hash in the tree"))
    assert salt is not None
    assert tree_hash is not None
    verify_opening(parse_leaf(leaf), salt=bytes.fromhex(salt[1]), content=content, listing=listing)
    assert leaf_hash(leaf).hex() == tree_hash[1]


def test_the_manifest_in_the_specification_has_the_digest_it_says() -> None:
    text = read("docs/spec/party-manifest.md")
    (block,) = read_blocks(text, "json")
    assert f"`{parse_manifest(canonical_bytes(json.loads(block))).digest}`" in text


# --- architecture -----------------------------------------------------------------------------------------------------


def test_every_invariant_names_a_test_that_is_there() -> None:
    rows = {row[0]: row for row in read_rows(read("ARCHITECTURE.md")) if row[0] in INVARIANTS}
    assert tuple(rows) == INVARIANTS
    for name, row in rows.items():
        assert find_tests(row[2]), name


def test_every_guarantee_names_a_test() -> None:
    rows = [row for row in read_rows(read("THREATMODEL.md")) if re.fullmatch(r"G\d+", row[0])]
    assert [row[0] for row in rows] == [f"G{number}" for number in range(1, len(rows) + 1)]
    assert len(rows) >= 10
    assert all(find_tests(row[2]) for row in rows)


@pytest.mark.parametrize("path", DOCUMENTS, ids=name_of)
def test_every_test_that_a_document_names_is_there(path: Path) -> None:
    assert {name for name in find_tests(path.read_text(encoding="utf-8")) if not (ROOT / name).is_file()} == set()


def test_each_word_of_the_glossary_has_one_meaning_and_is_found_by_its_first_letter() -> None:
    rows = read("docs/GLOSSARY.md").partition("## Words of the standards")[0].splitlines()
    words = [row.split("**")[1].lower() for row in rows if row.startswith("| **")]
    assert len(words) > 100
    assert words == sorted(set(words))


def test_the_rooms_are_those_of_the_tree() -> None:
    (picture,) = [block for block in read_blocks(read("ARCHITECTURE.md"), "") if block.startswith("PURE")]
    named = {line.split()[0] for line in picture.splitlines() if line and line not in {"PURE", "SHELL"}}
    assert {name for name in named if not (PACKAGE / name).exists()} == set()
    whole = tuple(name for name in named if name.endswith("/"))
    there = {str(path.relative_to(PACKAGE)) for path in PACKAGE.rglob("*.py") if path.name != "__init__.py"}
    assert {name for name in there if not name.startswith(whole)} == {name for name in named if not name.endswith("/")}


def test_the_rooms_stand_on_their_floor() -> None:
    (picture,) = [block for block in read_blocks(read("ARCHITECTURE.md"), "") if block.startswith("PURE")]
    floor = ""
    for line in picture.splitlines():
        if line in {"PURE", "SHELL"}:
            floor = line.title()
        elif line and not line.split()[0].endswith("/"):
            text = (PACKAGE / line.split()[0]).read_text(encoding="utf-8")
            assert f'"""{floor}: ' in text, line


# --- decisions, links, commands ---------------------------------------------------------------------------------------


def test_every_decision_is_listed_under_its_title() -> None:
    files = sorted((DOCS / "adr").glob("[0-9]*.md"))
    assert [path.name[:4] for path in files] == [f"{number:04}" for number in range(1, len(files) + 1)]
    listed = [row for row in read_rows(read("docs/adr/README.md")) if row[0].startswith("[0")]
    assert listed == [
        (f"[{path.name[:4]}]({path.name})", path.read_text(encoding="utf-8").splitlines()[0][7:]) for path in files
    ]


@pytest.mark.parametrize("path", sorted((DOCS / "adr").glob("[0-9]*.md")), ids=name_of)
def test_a_decision_says_what_it_was_about_and_what_it_costs(path: Path) -> None:
    heads = re.findall(r"^#+ (.*)$", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
    assert heads[0].startswith(path.name[:4])
    assert heads[1:] == ["Context", "Options", "Decision", "Consequences"]


@pytest.mark.parametrize("path", DOCUMENTS, ids=name_of)
def test_relative_links_lead_somewhere(path: Path) -> None:
    text = re.sub(r"^```.*?^```$", "", path.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)
    targets = [target.split("#")[0] for target in re.findall(r"\]\(([^)\s]+)\)", text) if "://" not in target]
    assert [target for target in targets if target and not (path.parent / target).exists()] == []


def find_commands(text: str) -> list[list[str]]:
    """What is typed after "$ comity" in the console blocks, each as words."""
    lines = [line for block in read_blocks(text, "console") for line in block.splitlines()]
    typed = [line.removeprefix("$ ") for line in lines if line.startswith("$ comity ")]
    return [shlex.split(command.split(" > ")[0], comments=True)[1:] for command in typed]


@pytest.mark.parametrize("path", DOCUMENTS, ids=name_of)
def test_every_command_in_a_document_can_be_typed(path: Path) -> None:
    for words in find_commands(path.read_text(encoding="utf-8")):
        rest = list(words)
        while rest[0] in {"--node", "--as", "--key-passphrase-file"}:
            del rest[:2]
        command: click.Command = cli._comity
        context = click.Context(command)
        while isinstance(command, click.Group):
            found = command.get_command(context, rest.pop(0))
            assert found is not None, words
            command = found
        # Parsing alone: nothing is run. "&" belongs to the shell.
        command.make_context("comity", [word for word in rest if word != "&"], obj=Session())


def test_the_readme_is_short_but_for_the_output_of_the_demo() -> None:
    before, shown, after = re.split(r"<!-- /?demo-output -->", read("README.md"))
    assert before.rstrip().endswith("## What the demo shows")
    assert shown.strip()
    assert (before + after).count("\n") <= MAX_README_LINES
