# SPDX-License-Identifier: Apache-2.0
"""How fast this processor is now: what is bounded by its time is held against that, not against another machine's."""

import time

__all__ = ["measure_million"]


def measure_million() -> float:
    """Seconds of the processor to add up a million numbers: of processors that are shared each is slower at times."""
    found = list[float]()
    for _ in range(3):
        started, total = time.process_time(), 0
        for number in range(1_000_000):
            total += number
        found.append(time.process_time() - started)
    return min(found)
