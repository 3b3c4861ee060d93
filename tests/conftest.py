# SPDX-License-Identifier: Apache-2.0
"""Settings that every test shares."""

import os

import pytest
from hypothesis import HealthCheck, settings

# A deadline measures the machine, not the law: a busy one would fail true properties; so does how long it takes to make
# examples. The blob printed with a failing example replays it anywhere.
settings.register_profile(
    "comity",
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    print_blob=True,
    # The same examples for the same code, so that a change is to blame for what fails; others by COMITY_EXPLORE.
    derandomize=not os.environ.get("COMITY_EXPLORE"),
)
settings.load_profile("comity")


def pytest_addoption(parser: pytest.Parser) -> None:
    """`./check` runs what is marked `alone` after all the others, with nothing beside it."""
    parser.addoption(
        "--alone", choices=("too", "not", "only"), default="too", help="what becomes of the tests marked `alone`"
    )


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what `--alone` says."""
    choice = config.getoption("alone")
    if choice == "too":
        return
    kept = [item for item in items if (item.get_closest_marker("alone") is not None) == (choice == "only")]
    config.hook.pytest_deselected(items=[item for item in items if item not in {*kept}])
    items[:] = kept
