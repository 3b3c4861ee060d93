# SPDX-License-Identifier: Apache-2.0
"""What a server that was just started holds in memory when everything it has was read, plain and compressed."""

import time
from collections.abc import Sequence

from arms import Reader
from processes import read_memory
from rows import Row, make_row

__all__ = ["measure_memory"]


def measure_memory(reader: Reader) -> Sequence[Row]:
    """Resident memory after full polls; and, for information, how long the very first poll took."""
    started = time.perf_counter()
    reader.get(f"{reader.built.objects_path}?limit=1")
    first_seconds = time.perf_counter() - started
    for limit in (1_000, 999):
        for path, _ in reader.read_pages(limit=limit):
            reader.get(path, encoding="gzip")
    found = read_memory(reader.pid)
    at = (reader.built.objects, reader.built.agreements, reader.workers, 1)
    # Pages that several processes share are there once: of one process the two figures are nearly the same.
    held = found.rss if reader.workers == 1 else found.pss
    return [
        make_row(
            "memory",
            "resident memory after full polls",
            at=at,
            value=held / 1e6,
            unit="MB",
            note=f"RSS {found.rss / 1e6:.0f} MB, PSS {found.pss / 1e6:.0f} MB",
        ),
        make_row("first-poll", "the first poll after the start, in which all is released", at=at,
                 value=first_seconds, unit="s"),
    ]  # fmt: skip
