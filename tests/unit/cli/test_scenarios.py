# SPDX-License-Identifier: Apache-2.0
"""`comity agreement test`: without a node, with an exit code that a pipeline understands."""

import json
import shutil
from pathlib import Path

import pytest

from comity.cli import run
from comity.operations.reply import Exit

SCENARIOS = Path(__file__).parents[2] / "scenarios"
ONE = SCENARIOS / "kinds.yaml"
HOWTO = Path(__file__).parents[3] / "docs" / "howto" / "test-an-agreement.md"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two scenarios that hold."""
    for name in ("kinds", "handling"):
        shutil.copy(SCENARIOS / f"{name}.yaml", tmp_path)
    return tmp_path


def spoil(folder: Path) -> None:
    path = folder / "kinds.yaml"
    path.write_text(path.read_text().replace("gets: [passports, journey]", "gets: [passports]"))


def test_the_bundled_scenarios_hold(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["agreement", "test", str(SCENARIOS), "--matrices", str(SCENARIOS / "matrices")]) == Exit.DONE
    out = capsys.readouterr().out
    count = len(list(SCENARIOS.glob("*.yaml")))
    assert out.count("holds  ") == count
    assert f"{count} of {count} scenarios hold" in out


def test_files_and_folders_can_be_mixed(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["agreement", "test", str(ONE), str(folder), "--json"]) == Exit.DONE
    result = json.loads(capsys.readouterr().out)
    assert (result["held"], result["failed"]) == (3, 0)
    assert [Path(one["file"]).name for one in result["scenarios"]] == ["kinds.yaml", "handling.yaml", "kinds.yaml"]
    assert set(result["scenarios"][0]) == {"file", "title", "held", "checks", "failures", "error", "matrix"}
    assert result["scenarios"][0]["matrix"] == (SCENARIOS / "matrices" / "kinds.txt").read_text()


def test_one_that_does_not_hold_says_why_and_the_exit_code_is_1(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    spoil(folder)
    assert run(["agreement", "test", str(folder)]) == Exit.FAILED
    out = capsys.readouterr().out
    assert "FAILS  " in out
    assert "    expected  borealia gets of aurelia at 2026-01-21T00:00:00.000000Z: passports\n" in out
    assert "    found     journey, passports\n" in out
    assert "    because   journey: release\n" in out
    assert "1 of 2 scenarios hold" in out


def test_a_file_that_is_no_scenario_fails_with_its_line_and_the_others_run(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "bad.yaml").write_text("format: comity-scenario/1\ntitle: A title\nstory: It ends.\nparties: [aurelia]\n")
    assert run(["agreement", "test", str(folder), "--json"]) == Exit.FAILED
    result = json.loads(capsys.readouterr().out)
    assert (result["held"], result["failed"]) == (2, 1)
    assert result["scenarios"][0]["error"] == {
        "code": "malformed-scenario",
        "where": "line 4",
        "message": "line 4: parties: must be a list of 2 to 32 tables",
    }
    assert run(["agreement", "test", str(folder)]) == Exit.FAILED
    assert "not a scenario\n  line 4: parties: must be" in capsys.readouterr().out


def test_the_matrix_is_printed_as_it_is_reviewed(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["agreement", "test", "--matrix", str(ONE)]) == Exit.DONE
    assert capsys.readouterr().out.rstrip("\n") == (SCENARIOS / "matrices" / "kinds.txt").read_text().rstrip("\n")


def test_a_matrix_that_was_reviewed_must_be_the_one_that_is_found(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    matrices = folder / "matrices"
    matrices.mkdir()
    command = ["agreement", "test", str(folder), "--matrices", str(matrices)]
    assert run(command) == Exit.FAILED
    assert "no such file; write it with --rewrite" in capsys.readouterr().out
    assert run([*command, "--rewrite"]) == Exit.DONE
    assert run(command) == Exit.DONE
    file = matrices / "kinds.txt"
    file.write_text(file.read_text().replace("withhold: kinds", "release        "))
    capsys.readouterr()
    assert run(command) == Exit.FAILED
    out = capsys.readouterr().out
    assert "accounts" in out
    assert "found     accounts" in out
    assert run([*command, "--rewrite"]) == Exit.DONE
    assert file.read_text() == (SCENARIOS / "matrices" / "kinds.txt").read_text()


def test_a_matrix_that_lost_its_end_is_another(folder: Path) -> None:
    matrices = folder / "matrices"
    matrices.mkdir()
    command = ["agreement", "test", str(folder), "--matrices", str(matrices)]
    assert run([*command, "--rewrite"]) == Exit.DONE
    file = matrices / "kinds.txt"
    file.write_text(file.read_text() + "one more line\n")
    assert run(command) == Exit.FAILED
    file.write_text("\n".join(file.read_text().splitlines()[:-3]) + "\n")
    assert run(command) == Exit.FAILED


def test_a_matrix_that_was_saved_in_another_encoding_is_another(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    matrices = folder / "matrices"
    matrices.mkdir()
    command = ["agreement", "test", str(folder), "--matrices", str(matrices)]
    assert run([*command, "--rewrite"]) == Exit.DONE
    file = matrices / "kinds.txt"
    file.write_text(file.read_text(), encoding="utf-16")
    assert run(command) == Exit.FAILED
    assert "kinds.txt, line 1:" in capsys.readouterr().out


def test_what_is_printed_of_reviewing_runs_as_printed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "scenarios").mkdir()
    shutil.copy(ONE, tmp_path / "scenarios")
    monkeypatch.chdir(tmp_path)
    printed = HOWTO.read_text().partition("## Have the matrix reviewed")[2].partition("```\n\n")[0]
    commands = [line.removeprefix("$ ").split() for line in printed.splitlines() if line.startswith("$ ")]
    for name, *arguments in commands:
        if name == "mkdir":
            Path(arguments[-1]).mkdir()
        else:
            assert run(arguments) == Exit.DONE
    assert commands


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["nowhere.yaml"], Exit.NOT_FOUND, "there is no file nowhere.yaml"),
        (["{folder}/empty"], Exit.NOT_FOUND, "there is no scenario in"),
        (["{folder}", "--rewrite"], Exit.USAGE, "--rewrite needs --matrices DIR"),
        (["{folder}", "--matrices", "{folder}/missing", "--rewrite"], Exit.USAGE, "cannot be written"),
    ],
)
def test_what_cannot_be_run_says_so(
    folder: Path, arguments: list[str], code: Exit, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "empty").mkdir()
    assert run(["agreement", "test", *(one.format(folder=folder) for one in arguments)]) == code
    assert message in capsys.readouterr().err
