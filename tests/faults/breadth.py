# SPDX-License-Identifier: Apache-2.0
"""How many of all failures are tried."""

import os

__all__ = ["read_breadth"]


def read_breadth(usual: int) -> int | None:
    """How many are drawn of each kind: None for all; as many as COMITY_FAULTS says ("all", or a number), else usual."""
    said = os.environ.get("COMITY_FAULTS", "")
    return None if said == "all" else int(said or usual)
