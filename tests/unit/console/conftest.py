# SPDX-License-Identifier: Apache-2.0
"""Two nodes with an agreement, and the console of one of them."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.consoles import Desk
from tests.worlds import World


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path)
    made.found("aurelia", "borealia")
    yield made
    made.close()


@pytest.fixture
def desk(world: World) -> Desk:
    return Desk(world.nodes["aurelia"])
