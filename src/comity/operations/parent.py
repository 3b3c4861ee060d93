# SPDX-License-Identifier: Apache-2.0
"""Shell: a process that ends with the one that started it."""

import ctypes
import os
import signal
import sys

__all__ = ["die_with"]

_PR_SET_PDEATHSIG = 1


def die_with(parent: int) -> None:
    """Let the operating system kill this process when its parent ends, also while this one is busy."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        sys.exit(1)  # it ended before it could be watched
