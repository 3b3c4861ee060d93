# SPDX-License-Identifier: Apache-2.0
"""Shell: long work in steps: a generator that yields where others may get a turn, and returns what came of it.

It never yields within an act. Who runs it decides how long the others have (`taxii.pace`); what they do in between, the
next step finds done.
"""

from collections.abc import Generator
from typing import TypeAlias, TypeVar, cast

__all__ = ["Turns", "finish"]

T = TypeVar("T")

Turns: TypeAlias = Generator[None, None, T]


def finish(turns: Turns[T]) -> T:
    """What comes of it, with no turn for anybody else."""
    while True:
        try:
            next(turns)
        except StopIteration as done:
            return cast("T", done.value)
