# SPDX-License-Identifier: Apache-2.0
"""Aurelia, who gives to Meridia under terms that admit every type up to TLP:AMBER."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.regressions.groups import EVERY_TYPE
from tests.worlds import World


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path)
    made.found("aurelia", "meridia")
    made.sign_all(made.terms(receivers=("meridia",), types=EVERY_TYPE))
    yield made
    made.close()
