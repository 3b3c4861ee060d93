# SPDX-License-Identifier: Apache-2.0
"""How long a suspension takes while sixteen pollers are being answered, and whether a byte leaves after it.

When the suspension has returned, the whole server is stopped (SIGSTOP) at once. What its pollers still receive had been
handed to the operating system before. Then it runs again: every byte of a page that is received from here on was sent
after the suspension had returned, and there must be none. Another answer than a page must come, or the figure is void.
"""

import json
import random
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from arms import Reader
from processes import stop_tree
from rows import Row, find_rank, make_row

from comity.agreement.people import Role
from comity.cli.control import ask as ask_control
from tests.worlds import badge_path

__all__ = ["measure_stops"]

_POLLERS = 16
_SLOW = 4
"""Of them, where some are slow: an answer to each is half in the server then."""
_QUIET_SECONDS = 0.03
"""For so long nothing must arrive, before nothing is said to be on its way."""
_AFTER_SECONDS = 0.1
_COMMANDS = 10
_PATIENCE_SECONDS = 30.0

Counts = Mapping[str, int]


class _Pollers:
    """The process with the pollers in it."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process

    def count(self) -> Counts:
        """What they have received so far."""
        assert self._process.stdin is not None and self._process.stdout is not None  # noqa: S101, PT018 (both are pipes)
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        counts: Counts = json.loads(self._process.stdout.readline())
        return counts

    def settle(self) -> Counts:
        """What they have received once nothing more arrives."""
        before, counts = None, self.count()
        while before != counts:
            time.sleep(_QUIET_SECONDS)
            before, counts = counts, self.count()
        return counts

    def await_more(self, name: str, count: int) -> None:
        """Return when so many more of `name` have come.

        Raises:
            SystemExit: they do not come.
        """
        wanted, deadline = self.count()[name] + count, time.monotonic() + _PATIENCE_SECONDS
        while self.count()[name] < wanted:
            if time.monotonic() > deadline:
                sys.exit(f"the pollers do not get {count} {name}: {self.count()}")
            time.sleep(0.002)


def measure_stops(reader: Reader, *, suspensions: int) -> list[Row]:
    """Waiting times of the act and of the whole command, and the bytes of pages that left after either."""
    draw = random.Random(1)  # noqa: S311 (moments that are spread, not secrets)
    with _run_pollers(reader, slow=0) as pollers:
        acts = [_suspend(reader, pollers, _act, pause=draw.random() * 0.02) for _ in range(suspensions)]
        commands = [_suspend(reader, pollers, _command, pause=draw.random() * 0.02) for _ in range(_COMMANDS)]
    with _run_pollers(reader, slow=_SLOW) as pollers:
        slow = [_suspend(reader, pollers, _act, pause=0.5) for _ in range(_COMMANDS // 2)]
    return _make_rows(reader, acts, commands, slow)


@dataclass(frozen=True, slots=True)
class _Suspended:
    """Milliseconds until it had returned, bytes of pages that were sent after that, and connections that it cut."""

    wait: float
    bytes_after: int
    cut: int


def _suspend(reader: Reader, pollers: _Pollers, act: Callable[[Reader], None], *, pause: float) -> _Suspended:
    """What came of one suspension, which is lifted again."""
    pollers.await_more("pages", 2 * _POLLERS)
    time.sleep(pause)
    cut = pollers.count()["cut"]
    started = time.perf_counter()
    act(reader)
    wait = (time.perf_counter() - started) * 1e3
    with stop_tree(reader.pid):
        before = pollers.settle()
    time.sleep(_AFTER_SECONDS)
    pollers.await_more("refusals", _POLLERS)
    after = pollers.count()
    for role in (Role.LIAISON, Role.LEGAL):
        _do(reader, "agreement.resume", role)
    return _Suspended(wait, after["page_bytes"] - before["page_bytes"], after["cut"] - cut)


def _make_rows(
    reader: Reader, acts: Sequence[_Suspended], commands: Sequence[_Suspended], slow: Sequence[_Suspended]
) -> list[Row]:
    at = (reader.built.objects, reader.built.agreements, reader.workers, _POLLERS)
    waits = sorted(each.wait for each in acts)
    everything = [*acts, *commands, *slow]
    return [
        make_row(
            "suspend",
            "suspension while 16 poll: wait, 99 %",
            at=at,
            value=find_rank(waits, 0.99),
            unit="ms",
            note=f"median {statistics.median(waits):.1f} ms, longest {waits[-1]:.1f} ms, {len(acts)} suspensions",
            samples=waits,
        ),
        make_row(
            "suspend-command",
            "suspension by the command, start of Python included: wait, median",
            at=at,
            value=statistics.median(each.wait for each in commands),
            unit="ms",
            note=f"longest {max(each.wait for each in commands):.0f} ms, {len(commands)} commands",
        ),
        make_row(
            "suspend-slow",
            f"suspension while {_SLOW} of the 16 read slowly: wait, median",
            at=at,
            value=statistics.median(each.wait for each in slow),
            unit="ms",
            note=f"{len(slow)} suspensions cut {sum(each.cut for each in slow)} connections",
        ),
        make_row(
            "suspend-bytes",
            "bytes of pages that left after a suspension had returned",
            at=at,
            value=sum(each.bytes_after for each in everything),
            unit="bytes",
            note=f"{len(everything)} suspensions, those with slow readers among them",
        ),
    ]


@contextmanager
def _run_pollers(reader: Reader, *, slow: int) -> Iterator[_Pollers]:
    script = Path(__file__).with_name("pollers.py")
    command = [sys.executable, str(script), str(reader.port), reader.built.objects_path, reader.built.secret]
    command += [str(_POLLERS - slow), str(slow)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield _Pollers(process)
        finally:
            process.terminate()


def _act(reader: Reader) -> None:
    _do(reader, "agreement.suspend", Role.LIAISON)


def _do(reader: Reader, operation: str, role: Role) -> None:
    """The act of the person with this role, asked of the serving process as a command asks it."""
    badge = badge_path(reader.built.node, role).read_text(encoding="utf-8")
    reply = ask_control(reader.built.node, operation, {"id": reader.built.agreement, "badge": badge})
    if reply is None or reply.error is not None:
        sys.exit(f"{operation}: {reply}")


def _command(reader: Reader) -> None:
    badge = badge_path(reader.built.node, Role.LIAISON)
    command = [sys.executable, "-m", "comity.cli", "--node", str(reader.built.node), "--as", str(badge)]
    subprocess.run([*command, "agreement", "suspend", reader.built.agreement], check=True, capture_output=True)
