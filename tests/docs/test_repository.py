# SPDX-License-Identifier: Apache-2.0
"""What holds for the repository as a whole, whatever its modules do."""

import ast
import os
import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "src" / "comity"
MODULES = sorted(PACKAGE.rglob("*.py"))
LOCKS = ("run", "demo", "dev")
COMMANDS = ("check", "demo", ".ci/run", "scripts/lock", "scripts/peers")

MAX_LINES = 500
SPDX = "# SPDX-License-Identifier: Apache-2.0"
VAGUE_NAMES = {"utils", "helpers", "common", "core", "manager", "service", "base", "misc"}
ADDRESS = re.compile(r"\bhttps?://")
MACHINE_PATH = re.compile(r"(?<![\w./}~-])/(?:work|root|home)/[\w.]")
NOT_WALKED = {".git", ".venv", "build", "dist", "htmlcov", "__pycache__"}
NOT_TEXT = {".pyc", ".png", ".sqlite"}

PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())


def list_files() -> list[Path]:
    """The files that belong to the repository: as git sees them, or all but what tools leave behind."""
    listed = (
        subprocess.run(
            ["git", "-C", str(ROOT), "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
            capture_output=True,
            check=False,
        )
        if (ROOT / ".git").exists() and shutil.which("git") is not None
        else None
    )
    if listed is not None and listed.returncode == 0:
        files = [ROOT / os.fsdecode(name) for name in listed.stdout.split(b"\0") if name]
    else:
        files = [
            path
            for path in ROOT.rglob("*")
            if not any(part in NOT_WALKED or part.endswith("_cache") for part in path.relative_to(ROOT).parts)
        ]
    return sorted(path for path in files if path.is_file() and path.suffix not in NOT_TEXT)


def find_lines(paths: list[Path], pattern: re.Pattern[str]) -> list[str]:
    """Where the pattern stands, as `path:line: text`."""
    return [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()}"
        for path in paths
        for number, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), start=1)
        if pattern.search(line)
    ]


def dotted_name(path: Path) -> str:
    return ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts)


def read_docstring(path: Path) -> str:
    return ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""


def read_pins(name: str) -> list[Requirement]:
    """What a lock pins; a package that needs another version for another Python stands twice, with a marker each."""
    lines = (ROOT / "requirements" / f"{name}.txt").read_text().splitlines()
    return [Requirement(line.removesuffix("\\").strip()) for line in lines if line and line[0] not in "# "]


def read_lock(name: str) -> dict[str, Requirement]:
    """The packages a lock pins, by normalised name."""
    return {canonicalize_name(pin.name): pin for pin in read_pins(name)}


def read_direct(name: str) -> set[str]:
    """The packages of a lock that pyproject itself asks for, by the lock's own `via` comments."""
    found, current = set(), ""
    for line in (ROOT / "requirements" / f"{name}.txt").read_text().splitlines():
        if line and line[0] not in "# ":
            current = canonicalize_name(line.split("==")[0])
        elif "(pyproject.toml" in line:
            found.add(current)
    return found


def declared(name: str) -> list[Requirement]:
    """What pyproject asks for in the set that a lock is made from."""
    project, groups = PYPROJECT["project"], PYPROJECT["dependency-groups"]
    asked = list(project["dependencies"])
    if name != "run":
        asked += project["optional-dependencies"]["demo"] + groups["build"]
    if name == "dev":
        extras = ("articles", "misp", "oidc", "pdf")
        asked += [entry for extra in extras for entry in project["optional-dependencies"][extra]]
        asked += [entry for entry in groups["dev"] if isinstance(entry, str)]
    return [Requirement(entry) for entry in asked]


def locked_version(pin: Requirement) -> str:
    (specifier,) = pin.specifier
    assert specifier.operator == "=="
    return specifier.version


def test_no_address_stands_where_packages_are_named() -> None:
    named = [path for path in list_files() if path.parent in {ROOT / "requirements", ROOT / "scripts", ROOT / ".ci"}]
    named += [ROOT / "pyproject.toml", ROOT / "check", ROOT / "demo"]
    assert len(named) > len(LOCKS)
    assert find_lines(named, ADDRESS) == []


def test_no_path_of_somebodys_machine() -> None:
    files = list_files()
    assert Path(__file__) in files
    assert find_lines(files, MACHINE_PATH) == []


def test_licence_is_the_first_line() -> None:
    files = [path for path in list_files() if path.suffix == ".py"]
    assert set(MODULES) <= set(files)
    assert [str(path) for path in files if path.read_text(encoding="utf-8").splitlines()[:1] != [SPDX]] == []


@pytest.mark.parametrize("path", MODULES, ids=dotted_name)
def test_module_is_short_and_named_for_something(path: Path) -> None:
    lines = path.read_text(encoding="utf-8").count("\n")
    assert lines <= MAX_LINES, "a room is missing: split it"
    assert path.stem not in VAGUE_NAMES


@pytest.mark.parametrize("path", MODULES, ids=dotted_name)
def test_docstring_names_the_floor(path: Path) -> None:
    docstring = read_docstring(path)
    if path.name == "__init__.py":
        assert docstring
    else:
        assert docstring.startswith(("Pure: ", "Shell: "))


def test_every_pure_module_stands_under_the_purity_contract_and_no_other() -> None:
    contracts = PYPROJECT["tool"]["importlinter"]["contracts"]
    (sources,) = [
        contract["source_modules"] for contract in contracts if "sqlite3" in contract.get("forbidden_modules", ())
    ]
    covered = tuple(f"{source}." for source in sources)
    floors = {dotted_name(path): read_docstring(path).split(":")[0] for path in MODULES if path.name != "__init__.py"}
    pure = {name for name, floor in floors.items() if floor == "Pure"}
    assert {name for name in pure if not f"{name}.".startswith(covered)} == set()
    assert {name for name in floors.keys() - pure if f"{name}.".startswith(covered)} == set()


@pytest.mark.parametrize("name", LOCKS)
def test_lock_is_in_step_with_pyproject(name: str) -> None:
    lock, asked = read_lock(name), declared(name)
    assert read_direct(name) == {canonicalize_name(requirement.name) for requirement in asked}, "run scripts/lock"
    for requirement in asked:
        version = locked_version(lock[canonicalize_name(requirement.name)])
        assert requirement.specifier.contains(version), f"{requirement} is locked at {version}: run scripts/lock"


@pytest.mark.parametrize("name", LOCKS)
def test_every_pin_has_a_hash(name: str) -> None:
    text = (ROOT / "requirements" / f"{name}.txt").read_text()
    assert len(re.findall(r"^\S+==\S+.*\\\n    --hash=sha256:[0-9a-f]{64}", text, re.MULTILINE)) == len(read_pins(name))


def test_the_other_servers_are_locked_at_the_versions_that_the_tests_name() -> None:
    lock = read_lock("peers")
    asked = [line.split("==") for line in (ROOT / "requirements" / "peers.in").read_text().splitlines() if "==" in line]
    assert {package: locked_version(lock[package]) for package, _ in asked} == dict(asked)
    text = (ROOT / "requirements" / "peers.txt").read_text()
    assert len(re.findall(r"^\S+==\S+.*\\\n    --hash=sha256:[0-9a-f]{64}", text, re.MULTILINE)) == len(lock)


def test_locks_agree_on_versions() -> None:
    everything = read_lock("dev")
    for name in ("run", "demo"):
        for package, pin in read_lock(name).items():
            assert locked_version(everything[package]) == locked_version(pin), f"{package}: run scripts/lock"


@pytest.mark.parametrize("name", COMMANDS)
def test_command_can_be_run(name: str) -> None:
    assert os.access(ROOT / name, os.X_OK)
    subprocess.run(["bash", "-n", str(ROOT / name)], check=True)


@pytest.mark.parametrize("text", ["see /" + "work/main", 'open("/' + 'root/x")', "/" + "home/me"])
def test_a_path_of_a_machine_would_be_found(text: str) -> None:
    assert MACHINE_PATH.search(text)


@pytest.mark.parametrize("text", ["api/root/objects", "{base}/root/x", "../work/x", "~/work/x", "/homepage", "/root"])
def test_a_path_of_no_machine_is_let_pass(text: str) -> None:
    assert not MACHINE_PATH.search(text)
