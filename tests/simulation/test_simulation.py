# SPDX-License-Identifier: Apache-2.0
"""Histories of two to eight nodes on a bad network, made up by Hypothesis, the same ones in every run.

`COMITY_SIMULATION_EXAMPLES=2000 .venv/bin/pytest tests/simulation` plays more of them, and other ones each time.
"""

import os

import pytest
from hypothesis import HealthCheck, Phase, settings

from tests.simulation.machine import History
from tests.simulation.writing import LetterHistory

_EXAMPLES = os.environ.get("COMITY_SIMULATION_EXAMPLES")


def make_settings(examples: int, *, steps: int) -> settings:
    return settings(
        max_examples=int(_EXAMPLES or examples),
        stateful_step_count=steps,
        derandomize=_EXAMPLES is None,
        database=None,
        deadline=None,
        # A history is made shorter by leaving out steps (`tests.simulation.replay --shorten`), which is quicker.
        phases=(Phase.generate,),
        report_multiple_bugs=False,
        suppress_health_check=list(HealthCheck),
    )


TestHistories = History.TestCase
TestHistories.pytestmark = [pytest.mark.slow]  # type: ignore[attr-defined] # pytest reads it
TestHistories.settings = make_settings(60, steps=30)

TestLetters = LetterHistory.TestCase
TestLetters.pytestmark = [pytest.mark.slow]  # type: ignore[attr-defined] # pytest reads it
TestLetters.settings = make_settings(60, steps=40)
