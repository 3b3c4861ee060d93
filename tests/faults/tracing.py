# SPDX-License-Identifier: Apache-2.0
"""Real processes under strace: what they ask of the operating system, in order; and calls that are made to fail."""

import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

from tests.e2e.conftest import environment

__all__ = ["Call", "Inject", "need_strace", "read_calls", "trace"]

_SECONDS = 300.0
_LINE = re.compile(r"(?P<pid>\d+) +(?:<\.\.\. (?P<resumed>\w+) resumed>|(?P<name>\w+)\()(?P<rest>.*)", re.DOTALL)
_RESULT = re.compile(r"= (?P<result>-?\d+|\?|0x[0-9a-f]+)(?:<[^>]*>)?(?: (?P<error>E[A-Z]+) .*)?$")


@dataclass(frozen=True, slots=True)
class Call:
    """One call: by whom, its name, its arguments as strace writes them, and what came back; None while it had not.

    A call that others came between stands twice: where it began, without a result, and where it ended.
    """

    pid: int
    name: str
    arguments: str
    result: int | None
    injected: bool = False


@dataclass(frozen=True, slots=True)
class Inject:
    """The `when`th call of this name on the paths that are traced fails with `error`."""

    name: str
    error: str
    when: int

    def __str__(self) -> str:
        return f"{self.name}:error={self.error}:when={self.when}"


@cache
def _find_problem() -> str | None:
    """Why nothing can be traced here, if so."""
    if shutil.which("strace") is None:
        return "there is no strace here (Debian: apt-get install strace)"
    with tempfile.NamedTemporaryFile() as out:
        done = subprocess.run(
            ["strace", "-f", "-o", out.name, "-e", "inject=close:error=EIO:when=1", "true"],
            capture_output=True,
            text=True,
            timeout=_SECONDS,
            check=False,
        )
        traced = Path(out.name).read_text(encoding="utf-8")
    return None if "INJECTED" in traced else f"no process can be traced here: {done.stderr.strip()[-200:]}"


def need_strace() -> None:
    """Skip the test where nothing can be traced."""
    if problem := _find_problem():
        pytest.skip(problem)


def trace(
    out: Path, calls: Sequence[str], *, paths: Sequence[Path] = (), inject: Inject | None = None, bytes_shown: int = 0
) -> list[str]:
    """What to put before a command so that `calls` of it are written to `out`: those on `paths` alone, if any."""
    command = ["strace", "-f", "--seccomp-bpf", "-yy", "-s", str(bytes_shown), "-o", str(out)]
    command += [part for path in paths for part in ("-P", str(path))]
    command += ["-e", f"trace={','.join(calls)}", *(["-e", f"inject={inject}"] if inject else [])]
    return command


def read_calls(out: Path) -> Iterator[Call]:
    """The calls that were traced, in the order in which they began and ended."""
    begun = dict[int, str]()
    for line in out.read_text(encoding="utf-8", errors="replace").splitlines():
        match = _LINE.match(line)
        if match is None:
            continue
        rest, pid = match["rest"], int(match["pid"])
        if match["resumed"]:
            rest = begun.pop(pid, "") + rest
        elif rest.endswith("<unfinished ...>"):
            begun[pid] = rest.removesuffix("<unfinished ...>")
        result = _RESULT.search(rest)
        yield Call(
            pid=pid,
            name=match["resumed"] or match["name"],
            arguments=rest,
            result=int(result["result"], 0) if result and result["result"] != "?" else None,
            injected="(INJECTED)" in rest,
        )


def run_traced(command: Sequence[str | Path], arguments: Sequence[str | Path]) -> subprocess.CompletedProcess[bytes]:
    """What came of a command under strace."""
    return subprocess.run([*command, *arguments], capture_output=True, timeout=_SECONDS, check=False, env=environment())
