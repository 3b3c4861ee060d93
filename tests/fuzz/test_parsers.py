# SPDX-License-Identifier: Apache-2.0
"""No bytes break a parser: what is kept in the corpus, what is long, and what Atheris thinks of in twenty seconds."""

import os
import subprocess
import sys
import tracemalloc
from importlib.util import find_spec
from pathlib import Path

import pytest

from comity.errors import ComityError, CorruptionError, MalformedRequest, UnavailableError
from comity.operations.reply import parse_reply
from comity.release.facets import parse_facet
from tests.fuzz.drive import CORPUS, read_corpus
from tests.fuzz.strains import STRAINS
from tests.fuzz.targets import MOST, TARGETS, Finding, Target, attempt, find_parsers

ROOT = Path(__file__).parents[2]
KEPT = [(name, file, data) for name in TARGETS for file, data in read_corpus(name)]
_MEBIBYTE = 1 << 20
_LARGE = 1 << 14
_MOST_MEMORY = 24 * _MEBIBYTE
"""For an input of 16 KiB: far from what any needs, and far from what a careless one takes."""


def fail_with(error: Exception) -> Target:
    def read(_: bytes) -> object:
        raise error

    return Target(name="planted", read=read, raises=frozenset({"MalformedRequest"}))


# --- the harness ------------------------------------------------------------------------------------------------------


def test_every_parser_is_a_target_and_has_a_corpus() -> None:
    assert set(find_parsers()) <= set(TARGETS)
    assert {"tlog.note.parse_note", "tlog.tiles.parse_part", "stix.labels.parse_label", "canonical.parse_json"} <= set(
        TARGETS
    )
    assert {folder.name for folder in CORPUS.iterdir()} >= set(TARGETS)
    assert {name for name, _, _ in KEPT} == set(TARGETS)


def test_the_corpus_is_small() -> None:
    assert sum(len(data) for _, _, data in KEPT) < 200_000


def test_every_parser_accepts_something_of_its_corpus() -> None:
    """Else what is fuzzed is the first line of it alone."""
    accepted = set[str]()
    for name, _, data in KEPT:
        try:
            TARGETS[name].read(data)
        except ComityError:
            continue
        accepted.add(name)
    assert accepted == set(TARGETS)


@pytest.mark.parametrize("error", [ValueError("x"), KeyError("x"), RecursionError(), CorruptionError("not named")])
def test_what_a_parser_does_not_name_is_a_finding(error: Exception) -> None:
    with pytest.raises(Finding, match=f"planted raised {type(error).__name__}"):
        attempt(fail_with(error), b"")


def test_what_it_names_is_none() -> None:
    attempt(fail_with(MalformedRequest("named")), b"")


def test_what_takes_too_long_is_a_finding() -> None:
    slow = Target(name="planted", read=lambda data: sum(range(10**7)), raises=frozenset())
    with pytest.raises(Finding, match="took"):
        attempt(slow, b"", most=0.02, least=0)


# --- bytes ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "file", "data"), KEPT, ids=[f"{name}-{file}" for name, file, _ in KEPT])
def test_what_is_kept_breaks_nothing(name: str, file: str, data: bytes) -> None:
    attempt(TARGETS[name], data)
    for end in range(min(len(data), 200)):
        attempt(TARGETS[name], data[:end])


@pytest.mark.slow
@pytest.mark.parametrize("name", TARGETS)
def test_what_is_long_takes_no_long_time(name: str) -> None:
    for make in STRAINS.values():
        attempt(TARGETS[name], make(_MEBIBYTE))


@pytest.mark.slow
@pytest.mark.parametrize("name", TARGETS)
def test_what_is_long_takes_no_memory_to_speak_of(name: str) -> None:
    for strain, make in STRAINS.items():
        data = make(_LARGE)
        tracemalloc.start()
        try:
            attempt(TARGETS[name], data, most=20 * MOST)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert peak < _MOST_MEMORY, f"{strain}: {peak >> 20} MiB"


@pytest.mark.slow
@pytest.mark.skipif(find_spec("atheris") is None, reason="needs atheris, which has wheels for Linux on x86-64 alone")
def test_twenty_seconds_of_any_bytes_find_nothing(tmp_path: Path) -> None:
    """Longer: scripts/fuzz."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.fuzz.drive", "--seconds", "20", "--keep", tmp_path],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{ROOT}"},
        capture_output=True,
        text=True,
        errors="replace",
        timeout=900,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4_000:] + done.stdout
    assert "stat::number_of_executed_units" in done.stderr


# --- what was found once ----------------------------------------------------------------------------------------------


def test_a_reply_that_is_too_deep_is_none() -> None:
    with pytest.raises(UnavailableError, match="cannot be read"):
        parse_reply(b"[" * 100_000)


def test_a_facet_that_nobody_wrote_is_damage_of_the_store() -> None:
    with pytest.raises(CorruptionError, match="altered"):
        parse_facet("subjects", "a \\x\n")
