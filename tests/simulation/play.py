# SPDX-License-Identifier: Apache-2.0
"""A history, kept as a JSON file and played with every invariant checked after every step."""

import json
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.simulation.invariants import Invariants
from tests.simulation.simulation import Simulation, Step
from tests.simulation.template import scratch

__all__ = ["LAST_FAILURE", "Stage", "play", "read_history", "save_history", "set_stage"]

LAST_FAILURE = Path(__file__).parents[2] / ".simulation" / "last-failure.json"
"""Where a history that fails is kept; those of letters lie beside it."""

_FORMAT = "comity-history/1"


@dataclass(frozen=True, slots=True)
class Stage:
    """A simulation under way and what is held against it."""

    simulation: Simulation
    invariants: Invariants

    def take(self, step: Step) -> str:
        """What came of one step, everything checked after it.

        Raises:
            AssertionError: an invariant, or the step came to something else than its `comes_to` says.
        """
        outcome = self.simulation.take({key: value for key, value in step.items() if key != "comes_to"})
        self.invariants.check()
        expected = step.get("comes_to")
        assert expected is None or outcome.startswith(expected), f"{step} came to: {outcome}"
        return outcome

    def end(self) -> None:
        """Everything healed and delivered; whoever may get something gets it; all dates pass; all of it is checked."""
        self.simulation.settle()
        self.invariants.check_end()
        self._pull_all({"limit": 100})
        # Longer than people have to decide what becomes of what was recalled, and than any grant is good.
        self.take({"do": "advance", "hours": 16 * 24})
        self.simulation.settle()
        self._pull_all({"limit": 100, "anew": True})
        self.invariants.check_over()

    def _pull_all(self, words: Step) -> None:
        for giver in self.simulation.names:
            for name in self.simulation.names:
                if name != giver:
                    outcome = self.take({"do": "pull", "by": name, "from": giver, **words})
                    self.invariants.check_live(giver, name, outcome)


@contextmanager
def set_stage() -> Iterator[Stage]:
    """A stage without nodes: the first step founds them."""
    with tempfile.TemporaryDirectory(dir=scratch(), prefix="comity-history-") as folder:
        simulation = Simulation(Path(folder))
        with closing(simulation):
            yield Stage(simulation, Invariants(simulation))


def play(steps: Sequence[Step]) -> Iterator[tuple[Step, str]]:
    """Each step with what came of it; the end is played too.

    Raises:
        AssertionError: an invariant that does not hold.
    """
    with set_stage() as stage:
        for step in steps:
            yield step, stage.take(step)
        stage.end()


def read_history(path: Path) -> list[dict[str, Any]]:
    """The steps in a file."""
    document = json.loads(path.read_text(encoding="utf-8"))
    assert document["format"] == _FORMAT, f"{path} is not a history ({_FORMAT})"
    return list(document["steps"])


def save_history(path: Path, steps: Sequence[Step], *, about: str) -> None:
    """Write a history, one step a line."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = ",\n".join(f"  {json.dumps(step)}" for step in steps)
    head = f'{{"format": "{_FORMAT}",\n "about": {json.dumps(about)},\n "steps": [\n'
    path.write_text(f"{head}{lines}\n ]}}\n", encoding="utf-8")
