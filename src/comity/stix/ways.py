# SPDX-License-Identifier: Apache-2.0
"""Pure: the ways to the references inside an object, at any depth.

find_references({"a": [{"b_ref": "x--…"}]})     yields (["a", 0, "b_ref"], "x--…")
format_pointer(["a", 0, "b_ref"]) == "/a/0/b_ref"
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from comity.canonical import Json

__all__ = ["find_references", "format_pointer"]

_REFERENCES: Final = ("_ref", "_refs")


def find_references(value: Json) -> Iterator[tuple[list[str | int], Json]]:
    """Every member of a JSON object inside `value` whose name is one of a reference: the way to it, and what it is.

    The way changes with the next one; nothing is made of it for what is passed, whose names can be long. The depth was
    bounded.
    """
    path: list[str | int] = []
    walks = [iter(_list_inside(value))]
    while walks:
        step = next(walks[-1], None)
        if step is None:
            walks.pop()
            if path:
                path.pop()
            continue
        name, item = step
        path.append(name)
        if isinstance(name, str) and name.endswith(_REFERENCES):
            yield path, item
        walks.append(iter(_list_inside(item)))


def _list_inside(value: Json) -> Iterable[tuple[str | int, Json]]:
    if isinstance(value, dict):
        return value.items()
    return enumerate(value) if isinstance(value, list) else ()


def format_pointer(path: Sequence[str | int]) -> str:
    """The JSON pointer of what lies at the end of the way (RFC 6901)."""
    return "".join([f"/{_escape(step) if isinstance(step, str) else step}" for step in path])


def _escape(name: str) -> str:
    """One step of a JSON pointer (RFC 6901 §3)."""
    return name.replace("~", "~0").replace("/", "~1")
