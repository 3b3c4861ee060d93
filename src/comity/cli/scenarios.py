# SPDX-License-Identifier: Apache-2.0
"""Shell: scenario files, read, run and held against the matrices that were reviewed. No node is needed.

A file that cannot be read as a scenario fails like one that does not hold, and the others are still run.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from comity.cli.session import read_input, write_new
from comity.errors import MalformedRequest, MalformedScenario, NotFoundError
from comity.operations.reply import Json
from comity.scenario.parse import parse_scenario
from comity.scenario.run import Outcome, run_scenario
from comity.scenario.world import Failure

__all__ = ["find_files", "run_files"]

_ENDINGS = {".yaml", ".yml"}
_MAX_FILES = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Reviewed:
    """A folder with a matrix for each scenario, by the scenario's name; `rewrite` takes what is found as reviewed."""

    folder: Path
    rewrite: bool


def find_files(paths: Sequence[str]) -> list[Path]:
    """The files that are named, and the scenario files that lie directly in the folders that are named.

    Raises:
        NotFoundError: there is no such file, or none in the folder.
        MalformedRequest: too many.
    """
    try:
        return _find_files(paths)
    except OSError as error:
        raise NotFoundError(f"{error.filename} cannot be looked into: {error.strerror or error}") from error


def _find_files(paths: Sequence[str]) -> list[Path]:
    found = list[Path]()
    for path in map(Path, paths):
        if not path.is_dir():
            found.append(path)
            continue
        inside = sorted(each for each in path.iterdir() if each.suffix in _ENDINGS and each.is_file())
        if not inside:
            raise NotFoundError(f"there is no scenario in {path}; scenario files end in .yaml")
        found += inside
    if len(found) > _MAX_FILES:
        raise MalformedRequest(f"{len(found)} scenarios are more than {_MAX_FILES}; name fewer folders")
    if missing := [str(path) for path in found if not path.is_file()]:
        raise NotFoundError(f"there is no file {missing[0]}")
    return found


def run_files(paths: Sequence[str], *, matrices: str | None, rewrite: bool) -> dict[str, Json]:
    """What came of each scenario: {"held", "failed", "scenarios": […]}.

    Raises:
        NotFoundError, MalformedRequest: a file or folder that was named is not there, or cannot be read or written.
    """
    reviewed = None if matrices is None else Reviewed(folder=Path(matrices), rewrite=rewrite)
    results = [_run_file(path, reviewed) for path in find_files(paths)]
    failed = sum(1 for result in results if not result["held"])
    listed: list[Json] = [*results]
    return {"held": len(results) - failed, "failed": failed, "scenarios": listed}


def _run_file(path: Path, reviewed: Reviewed | None) -> dict[str, Json]:
    try:
        scenario = parse_scenario(read_input(str(path)))
    except MalformedScenario as error:
        body: dict[str, Json] = {"code": error.code, "where": error.where, "message": error.detail}
        return _describe(path, title=None, outcome=None, failures=[], error=body)
    outcome = run_scenario(scenario)
    failures = list(outcome.failures)
    if reviewed is not None and (changed := _compare(path, outcome.matrix, reviewed)):
        failures.append(changed)
    return _describe(path, title=scenario.title, outcome=outcome, failures=failures, error=None)


def _compare(path: Path, matrix: str, reviewed: Reviewed) -> Failure | None:
    """The first line in which the matrix is not the reviewed one."""
    file = reviewed.folder / f"{path.stem}.txt"
    if reviewed.rewrite:
        write_new(str(file), matrix)
        return None
    if not file.is_file():
        return Failure(line=1, expected=f"a reviewed matrix in {file}", found="no such file; write it with --rewrite")
    # What an editor saved in another encoding is another matrix, and is named by its first line.
    before, after = read_input(str(file)).decode("utf-8", "replace").splitlines(), matrix.splitlines()
    pairs = zip([*before, *[""] * len(after)], [*after, *[""] * len(before)], strict=False)
    for number, (old, new) in enumerate(pairs, start=1):
        if old != new:
            return Failure(line=1, expected=f"{file}, line {number}: {old.strip()}", found=new.strip() or "nothing")
    return None


def _describe(
    path: Path,
    *,
    title: str | None,
    outcome: Outcome | None,
    failures: Sequence[Failure],
    error: dict[str, Json] | None,
) -> dict[str, Json]:
    return {
        "file": str(path),
        "title": title,
        "held": error is None and not failures,
        "checks": 0 if outcome is None else outcome.checks,
        "failures": [
            {
                "line": failure.line,
                "expected": failure.expected,
                "found": failure.found,
                "clause": failure.clause,
                "reason": failure.reason,
            }
            for failure in failures
        ],
        "error": error,
        "matrix": None if outcome is None else outcome.matrix,
    }
