# SPDX-License-Identifier: Apache-2.0
"""The program in a process of its own that need not read its modules first.

To read them is nine tenths of what a short command costs. The process is forked from one that has read them and did
nothing else; what it has of its surroundings are its arguments, its environment and three files. Of how the program
starts nothing is seen so: `COMITY` starts it as a user does.
"""

import multiprocessing
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from comity.cli import main

__all__ = ["Done", "run_program"]

_FORKS = multiprocessing.get_context("forkserver")
_FORKS.set_forkserver_preload(["comity.cli", "comity.operations.acting"])


class Done(NamedTuple):
    """How a process ended, and the bytes that it wrote."""

    code: int
    out: bytes
    err: bytes


def run_program(arguments: Sequence[str | Path], *, given: bytes, env: Mapping[str, str], seconds: float) -> Done:
    """What became of `comity ARGUMENTS` with `given` on its standard input.

    Raises:
        TimeoutError: it did not end in so many seconds, and was killed.
    """
    with TemporaryDirectory() as folder:
        files = [str(Path(folder) / name) for name in ("given", "out", "err")]
        Path(files[0]).write_bytes(given)
        process = _FORKS.Process(target=_be_program, args=([*map(str, arguments)], files, dict(env), str(Path.cwd())))
        process.start()
        process.join(seconds)
        late = process.exitcode is None
        if late:
            process.kill()
            process.join()
        code = process.exitcode
        process.close()
        if late or code is None:
            raise TimeoutError(f"comity {' '.join(map(str, arguments))} did not end in {seconds} s")
        return Done(code=code, out=Path(files[1]).read_bytes(), err=Path(files[2]).read_bytes())


def _be_program(arguments: list[str], files: list[str], env: dict[str, str], folder: str) -> None:
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(env)
    flags = (os.O_RDONLY, os.O_WRONLY | os.O_CREAT, os.O_WRONLY | os.O_CREAT)
    for number, (path, flag) in enumerate(zip(files, flags, strict=True)):
        opened = os.open(path, flag, 0o600)
        os.dup2(opened, number)
        os.close(opened)
    sys.stdin, sys.stdout, sys.stderr = open(0), open(1, "w"), open(2, "w", errors="backslashreplace")  # noqa: SIM115
    sys.argv = ["comity", *arguments]
    main()
