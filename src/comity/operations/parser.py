# SPDX-License-Identifier: Apache-2.0
"""Shell: the program that reads patterns: a process of its own, started by the one that asks (`operations.checking`).

It is no command. A line of its standard input is a JSON list of patterns; the line that answers it holds a list of what
is wrong with each, null for nothing, and whether there will be another answer. It knows of no node and holds no file of
one: whatever a pattern brings the parser to, time, memory or a fault, ends here. Each has so much time of the
processor, however busy the machine is; what took too long, or made the parser fail, is refused, and as the parser may
then be in any state, the answer ends with it and so does the process. It also ends after very many characters, as the
parser remembers something of each, and with the process whose number is its argument.
"""

import json
import os
import resource
import signal
import sys
from collections.abc import Callable
from types import FrameType

from comity.operations.parent import die_with

__all__ = ["PATTERN_SECONDS", "main"]

PATTERN_SECONDS = 10.0
"""Of the processor, for one pattern: the longest that is parsed at all takes one to two."""

_MEMORY_BYTES = 1024 * 1024 * 1024
_CHARACTERS = 4_000_000
_NICENESS = 10
"""Whoever polls goes first."""


class _TookTooLong(Exception):
    pass


def main() -> None:
    """Answer until the input ends."""
    die_with(int(sys.argv[1]))
    from comity.stix.grammar import find_pattern_problem

    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    signal.signal(signal.SIGVTALRM, _stop)
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY_BYTES, _MEMORY_BYTES))
    os.nice(_NICENESS)
    read = 0
    for line in sys.stdin.buffer:
        patterns: list[str] = json.loads(line)
        answers, goes_on = _answer(patterns, find_pattern_problem)
        read += sum(map(len, patterns))
        goes_on = goes_on and read <= _CHARACTERS
        sys.stdout.write(json.dumps([answers, goes_on]) + "\n")
        sys.stdout.flush()
        if not goes_on:
            return


def _answer(patterns: list[str], parse: Callable[[str], object]) -> tuple[list[str | None], bool]:
    """What is wrong with each, up to the first that the parser did not get through."""
    answers = list[str | None]()
    for pattern in patterns:
        try:
            signal.setitimer(signal.ITIMER_VIRTUAL, PATTERN_SECONDS)
            problem = parse(pattern)
            signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        except _TookTooLong:
            return [*answers, f"the parser took longer than {PATTERN_SECONDS:g} seconds; write a simpler one"], False
        except Exception as error:  # noqa: BLE001 (whatever this was: a pattern that is not known to parse is refused)
            signal.setitimer(signal.ITIMER_VIRTUAL, 0)
            return [*answers, f"the parser failed on it ({type(error).__name__}); write another one"], False
        answers.append(None if problem is None else str(problem))
    return answers, True


def _stop(number: int, frame: FrameType | None) -> None:  # noqa: ARG001 (as signal calls it)
    raise _TookTooLong


if __name__ == "__main__":
    main()
