# SPDX-License-Identifier: Apache-2.0
"""Pure: a number of things, as a person would say it."""

from typing import Final

__all__ = ["name_counted", "say_count"]

_VOWELS: Final = "aeiou"


def say_count(number: int, what: str) -> str:
    """The number with what it counts: 1 entry, 2 entries; `what` is the word for one, whatever stands before it."""
    return f"{number} {name_counted(number, what)}"


def name_counted(number: int, what: str) -> str:
    """What so many of `what` are called, without the number."""
    if number == 1:
        return what
    if what.endswith("y") and what[-2:-1] not in _VOWELS:
        return f"{what[:-1]}ies"
    return f"{what}es" if what.endswith("s") else f"{what}s"
