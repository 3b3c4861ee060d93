# SPDX-License-Identifier: Apache-2.0
"""Debian's Chromium, and consoles of real nodes that it opens.

Playwright keeps an event loop running in the thread of the tests for as long as the browser is there: no test of the
same module may call `asyncio.run`, so consoles are served on a loop in a thread of their own. With its module the
browser ends, so that tests of other modules may.
"""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, sync_playwright

from tests.e2e.browser.desks import ServedDesk, crowd, furnish, furnish_with_hostile_words
from tests.e2e.browser.rows import fill_with_rows
from tests.worlds import World

CHROMIUM = Path("/usr/bin/chromium")


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """One browser for all tests of a module; each has contexts of its own."""
    if not CHROMIUM.exists():
        pytest.skip(f"there is no {CHROMIUM} here (Debian: apt-get install chromium libatomic1)")
    with sync_playwright() as playwright:
        # As root it cannot put itself into its sandbox. It opens pages of this machine alone. Containers give it little
        # shared memory: it uses files instead.
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM, chromium_sandbox=os.geteuid() != 0, args=["--disable-dev-shm-usage"]
        )
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedDesk]:
    """The console of a node that has something to show on every page."""
    world = World(tmp_path_factory.mktemp("desk"))
    world.found("aurelia", "borealia", "meridia")
    with ServedDesk.start(world, "aurelia", furnish(world)) as served:
        yield served
    world.close()


@pytest.fixture(scope="module")
def hostile_desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedDesk]:
    """The console of a node to which others said what is meant to break its pages."""
    world = World(tmp_path_factory.mktemp("hostile"))
    world.found("aurelia", "borealia")
    with ServedDesk.start(world, "aurelia", furnish_with_hostile_words(world)) as served:
        yield served
    world.close()


@pytest.fixture(scope="module")
def crowded_desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedDesk]:
    """The console of a node with more of everything than a page can show."""
    world = World(tmp_path_factory.mktemp("crowded"))
    world.found("aurelia", "borealia")
    with ServedDesk.start(world, "aurelia", crowd(world)) as served:
        yield served
    world.close()


@pytest.fixture(scope="module")
def long_desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedDesk]:
    """The console of a node with a hundred thousand rows of everything."""
    world = World(tmp_path_factory.mktemp("long"))
    world.found("aurelia", "borealia")
    with ServedDesk.start(world, "aurelia", fill_with_rows(world)) as served:
        yield served
    world.close()
