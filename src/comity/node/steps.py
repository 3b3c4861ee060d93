# SPDX-License-Identifier: Apache-2.0
"""Shell: long work in steps: a generator that yields where others may get a turn, and returns what came of it.

It never yields within an act. Who runs it decides how long the others have (`taxii.pace`); what they do in between, the
next step finds done.
"""

import gc
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Generic, TypeAlias, TypeVar

__all__ = ["Done", "Steps", "T", "Tell", "advance", "finish", "set_aside", "tell_nobody"]

T = TypeVar("T")
"""What comes of some long work."""

Steps: TypeAlias = Generator[None, None, T]

Tell: TypeAlias = Callable[[int, int], object]
"""Told how much of how much is done."""


@dataclass(frozen=True, slots=True)
class Done(Generic[T]):
    """There is no further step: what came of all of them."""

    result: T


def advance(steps: Steps[T]) -> Done[T] | None:
    """Run one step; what came of it all, if it was the last.

    A step makes thousands of values that stay until a later one, and none that refer to themselves: Python would spend
    a third of the time of a step looking for such ones, so it looks between steps.
    """
    looks = gc.isenabled()
    gc.disable()
    try:
        next(steps)
    except StopIteration as done:
        return Done(done.value)
    finally:
        if looks:
            gc.enable()
    return None


@contextmanager
def set_aside() -> Iterator[Callable[[], None]]:
    """For work on much at once: what to call between its steps, so that Python does not look through what they made.

    It looks for values that refer to themselves, of which there are none, and for a file of some ten megabytes that
    holds everybody up for tenths of a second.
    """
    was_aside = gc.get_freeze_count() > 0
    try:
        yield gc.freeze
    finally:
        gc.unfreeze()
        if was_aside:  # as a process that serves sets its beginnings aside (`taxii.tuning`)
            gc.freeze()


def tell_nobody(_done: int, _of: int) -> None:
    """For work whose progress nobody watches."""


def finish(steps: Steps[T]) -> T:
    """What comes of it, with no turn for anybody else."""
    while (done := advance(steps)) is None:
        pass
    return done.result
