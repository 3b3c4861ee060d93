# SPDX-License-Identifier: Apache-2.0
"""Processes that are started, watched and stopped: a whole tree counts as one server."""

import contextlib
import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = ["Memory", "find_port", "list_tree", "read_cpu", "read_memory", "run", "stop_tree"]

_TICKS = os.sysconf("SC_CLK_TCK")
_START_SECONDS, _STOP_SECONDS = 120.0, 30.0


@dataclass(frozen=True, slots=True)
class Memory:
    """Bytes that a tree of processes holds: each one's resident set added up, and with shared pages counted once."""

    rss: int
    pss: int


@contextmanager
def run(
    command: Sequence[Any], port: int, *, environment: Mapping[str, str] | None = None, log: Path | None = None
) -> Iterator[int]:
    """A process until the block ends; it listens when the block begins.

    Raises:
        SystemExit: it ended, or did not listen in time.
    """
    with (log or Path(os.devnull)).open("ab") as said:
        named = {**os.environ, **(environment or {})}
        words = [str(word) for word in command]
        process = subprocess.Popen(words, stdout=said, stderr=said, env=named)
    try:
        deadline = time.monotonic() + _START_SECONDS
        while not _listens(port):
            if process.poll() is not None or time.monotonic() > deadline:
                raise SystemExit(f"{words[0]} does not serve; it said:\n{log.read_text() if log else ''}")
            time.sleep(0.02)
        yield process.pid
    finally:
        _end(process)


def find_port() -> int:
    """A free port of the loopback."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def list_tree(pid: int) -> list[int]:
    """The process and all that came of it, parents first."""
    tree = [pid]
    for parent in tree:
        for task in Path(f"/proc/{parent}/task").glob("*"):
            with contextlib.suppress(OSError):
                tree += map(int, (task / "children").read_text().split())
    return tree


def read_cpu(pid: int) -> float:
    """Seconds of processor that the tree has used, in the system as well as in user mode, those that ended included."""
    used = 0
    for each in list_tree(pid):
        with contextlib.suppress(OSError):
            fields = Path(f"/proc/{each}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
            used += sum(map(int, fields[11:15]))  # utime, stime, and those of children that were waited for
    return used / _TICKS


def read_memory(pid: int) -> Memory:
    """What the tree holds now."""
    rss = pss = 0
    for each in list_tree(pid):
        with contextlib.suppress(OSError):
            lines = Path(f"/proc/{each}/smaps_rollup").read_text(encoding="ascii").splitlines()
            found = {line.split(":")[0]: int(line.split()[1]) * 1024 for line in lines[1:]}
            rss, pss = rss + found["Rss"], pss + found["Pss"]
    return Memory(rss, pss)


@contextmanager
def stop_tree(pid: int) -> Iterator[None]:
    """Nothing of the tree runs in the block: what its partners still receive had left it before."""
    stopped = list_tree(pid)
    for each in stopped:
        os.kill(each, signal.SIGSTOP)
    try:
        yield
    finally:
        for each in reversed(stopped):
            os.kill(each, signal.SIGCONT)


def _end(process: "subprocess.Popen[bytes]") -> None:
    """Ask it to end, and make it and all that came of it end if it does not."""
    tree = list_tree(process.pid)
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        for pid in reversed(tree):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        process.wait()


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
