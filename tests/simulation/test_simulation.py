# SPDX-License-Identifier: Apache-2.0
"""Histories of two to eight nodes on a bad network, made up by Hypothesis, the same ones in every run.

`COMITY_SIMULATION_EXAMPLES=2000 .venv/bin/pytest tests/simulation` plays more of them, and other ones each time; those
of letters are numbered, and `COMITY_SIMULATION_SEED` is the first of them.
"""

import os

import pytest
from hypothesis import HealthCheck, Phase, settings

from tests.simulation.machine import History
from tests.simulation.play import LAST_FAILURE, save_history, set_stage
from tests.simulation.writing import walk

_EXAMPLES = os.environ.get("COMITY_SIMULATION_EXAMPLES")
_FIRST = int(os.environ.get("COMITY_SIMULATION_SEED", "0"))

TestHistories = History.TestCase
TestHistories.pytestmark = [pytest.mark.slow]  # type: ignore[attr-defined] # pytest reads it
TestHistories.settings = settings(
    max_examples=int(_EXAMPLES or 60),
    stateful_step_count=30,
    derandomize=_EXAMPLES is None,
    database=None,
    deadline=None,
    # A history is made shorter by leaving out steps (`tests.simulation.replay --shorten`), which is quicker.
    phases=(Phase.generate,),
    report_multiple_bugs=False,
    suppress_health_check=list(HealthCheck),
)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(_FIRST, _FIRST + int(_EXAMPLES or 45)))
def test_letters(seed: int) -> None:
    """A history of letters, by its seed; it is saved when it fails."""
    with set_stage() as stage:
        try:
            walk(stage, seed, steps=50)
        except Exception as error:  # noqa: BLE001 (a history may end in whatever a bug raises)
            path = LAST_FAILURE.with_name(f"letters-{seed}.json")
            save_history(path, stage.simulation.history, about=str(error).partition("\n")[0])
            pytest.fail(f"{error}\nkept as {path}; play it again: python -m tests.simulation.replay {path}")
