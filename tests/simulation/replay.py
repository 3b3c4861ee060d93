# SPDX-License-Identifier: Apache-2.0
"""`python -m tests.simulation.replay FILE`: play one history again and say what came of each step.

With `--shorten`, steps are left out of a history that fails for as long as it still fails for the same invariant, and
the file is written anew.
"""

import json
import sys
from pathlib import Path
from typing import Any

from tests.simulation.play import play, read_history, save_history

__all__ = ["main"]


def main(arguments: list[str]) -> int:
    """0 when everything held, 1 with the invariant that did not, 2 without a file."""
    files = [argument for argument in arguments if argument != "--shorten"]
    if len(files) != 1:
        sys.stderr.write("usage: python -m tests.simulation.replay [--shorten] FILE\n")
        return 2
    path = Path(files[0])
    steps = read_history(path)
    if "--shorten" in arguments and (problem := find_problem(steps)) is not None:
        steps = shorten(steps, problem)
        save_history(path, steps, about=problem)
    return tell(steps)


def tell(steps: list[dict[str, Any]]) -> int:
    """0 when everything held; every step is said with what came of it."""
    number = 0
    try:
        for number, (step, outcome) in enumerate(play(steps), start=1):
            sys.stdout.write(f"{number:4} {json.dumps(step)}\n       {outcome}\n")
    except Exception as error:  # noqa: BLE001 (a history may end in whatever a bug raises)
        left = json.dumps(steps[number]) if number < len(steps) else "the end, everything delivered"
        sys.stdout.write(f"{number + 1:4} {left}\n     ✗ {type(error).__name__}: {error}\n")
        return 1
    sys.stdout.write(f"     ✓ {len(steps)} steps, everything held\n")
    return 0


def find_problem(steps: list[dict[str, Any]]) -> str | None:
    """What does not hold in a history; None where everything does."""
    try:
        for _ in play(steps):
            pass
    except Exception as error:  # noqa: BLE001 (a history may end in whatever a bug raises)
        return str(error).partition("\n")[0] or type(error).__name__
    return None


def shorten(steps: list[dict[str, Any]], problem: str) -> list[dict[str, Any]]:
    """A history no step of which can be left out without losing the problem."""
    name = problem.partition(":")[0]
    size = max(1, len(steps) // 2)
    while True:
        place = 1  # the first step founds the nodes
        while place < len(steps):
            shorter = steps[:place] + steps[place + size :]
            if (found := find_problem(shorter)) is not None and found.partition(":")[0] == name:
                steps = shorter
            else:
                place += size
        if size == 1:
            return steps
        size //= 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
