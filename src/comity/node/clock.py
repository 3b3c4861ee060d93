# SPDX-License-Identifier: Apache-2.0
"""Shell: the one place where this program asks the system for the time and for randomness."""

import secrets
import time

from comity.ids import Instant

__all__ = ["draw_bytes", "read_clock"]


def read_clock() -> Instant:
    """The system's time, in microseconds since 1970-01-01T00:00:00Z."""
    return Instant(time.time_ns() // 1_000)


def draw_bytes(count: int) -> bytes:
    """`count` bytes fit for keys, salts and credentials."""
    return secrets.token_bytes(count)
