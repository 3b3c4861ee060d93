# SPDX-License-Identifier: Apache-2.0
"""Pure: where each object of a small graph stands in a picture by layers, and how its links run.

The object that was asked for is in the middle column; what it refers to is to its right, what refers to it to its left.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

__all__ = ["HEIGHT", "MOST_DRAWN", "WIDTH", "Drawing", "Line", "Node", "draw_layers"]

MOST_DRAWN = 60
"""Objects; over that a table says more than a picture."""

WIDTH, HEIGHT = 168, 34
"""Of one object's box."""

_GAP_X, _GAP_Y, _MARGIN = 72, 12, 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """One object: its box's upper left corner."""

    id: str
    x: int
    y: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One link, from who refers to what it refers to, as the path of an SVG."""

    source: str
    target: str
    path: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawing:
    """The whole picture; `height` and `width` hold all of it."""

    nodes: tuple[Node, ...]
    lines: tuple[Line, ...]
    width: int
    height: int


def draw_layers(layers: Mapping[str, int], links: Sequence[tuple[str, str]]) -> Drawing | None:
    """The picture of the objects with their layers; None where there are more than MOST_DRAWN, or one alone.

    The same for the same input. In a layer an object stands near the middle of what it is linked with in the layers
    that were placed before, and boxes never overlap.
    """
    if not 1 < len(layers) <= MOST_DRAWN:
        return None
    columns = defaultdict[int, list[str]](list)
    for name, layer in layers.items():
        columns[layer].append(name)
    near = defaultdict[str, list[str]](list)
    for source, target in links:
        near[source].append(target)
        near[target].append(source)
    tallest = max(map(len, columns.values()))
    first, places = min(columns), dict[str, Node]()
    for layer in sorted(columns, key=lambda column: (abs(column), column)):
        order = sorted(columns[layer], key=lambda name: (_find_middle(near[name], places), name))
        top = _MARGIN + (tallest - len(order)) * (HEIGHT + _GAP_Y) // 2
        for row, name in enumerate(order):
            x = _MARGIN + (layer - first) * (WIDTH + _GAP_X)
            places[name] = Node(id=name, x=x, y=top + row * (HEIGHT + _GAP_Y))
    lines = tuple(
        Line(source=source, target=target, path=_run(places[source], places[target]))
        for source, target in links
        if source in places and target in places
    )
    across, down = max(columns) - first + 1, tallest
    return Drawing(
        nodes=tuple(places[name] for name in layers),
        lines=lines,
        width=2 * _MARGIN + across * WIDTH + (across - 1) * _GAP_X,
        height=2 * _MARGIN + down * HEIGHT + (down - 1) * _GAP_Y,
    )


def _find_middle(near: Sequence[str], places: Mapping[str, Node]) -> float:
    """The height at which what it is linked with stands, on average; the top where none of it is placed yet."""
    heights = [places[name].y for name in near if name in places]
    return sum(heights) / len(heights) if heights else 0.0


def _run(source: Node, target: Node) -> str:
    """A curve from the side of one box that faces the other to the side of that one."""
    begins, ends = source.y + HEIGHT // 2, target.y + HEIGHT // 2
    if source.x == target.x:
        side = source.x + WIDTH
        return f"M{side} {begins} C{side + 40} {begins} {side + 40} {ends} {side} {ends}"
    start, stop = (source.x + WIDTH, target.x) if source.x < target.x else (source.x, target.x + WIDTH)
    half = (start + stop) // 2
    return f"M{start} {begins} C{half} {begins} {half} {ends} {stop} {ends}"
