# SPDX-License-Identifier: Apache-2.0
"""How fast this processor is now: what is bounded by its time is held against that, not against another machine's."""

import time
from collections.abc import Callable

__all__ = ["measure_least", "measure_million"]


def measure_least(work: Callable[[], object]) -> float:
    """Seconds of the processor that the work takes: it is shared, and Python looks through its memory now and then."""
    found = list[float]()
    for _ in range(3):
        started = time.process_time()
        work()
        found.append(time.process_time() - started)
    return min(found)


def measure_million() -> float:
    """Seconds of the processor to add up a million numbers."""

    def add_up() -> None:
        total = 0
        for number in range(1_000_000):
            total += number

    return measure_least(add_up)
