# SPDX-License-Identifier: Apache-2.0
"""Pure: the labels that count: an object's own, joined with those of all that it refers to (promise CLOSED).

The label that counts for a version is the strictest of its own, of the newest version of everything it refers to, and,
for a version that is not the newest, of the newest version of itself: what its originator has restricted since, whole
or in one property, is restricted in the older version too. What refers to something not held is unresolved, and no
terms admit that; nor do any admit an older version whose newest was deleted, for nobody knows any more what that one
restricted. A translation counts the marking of the property it translates as its own; of an object of which it names
an older version, also what that one restricts.

References may run in circles: everything in a circle has one label. Circles are found first and labelled in the order
in which they refer to one another, so the cost is that of the references, however long their chains.

Not here: the join itself (`stix.labels`), and which objects of a store a change can reach (`node.relabel`).
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from comity.ids import ObjectId
from comity.stix.labels import Label, join, with_unresolved
from comity.stix.markings import tlp_rank
from comity.stix.worded import unite_granular

__all__ = ["Version", "find_circles", "settle_labels"]

_PASSES = 3


class Version(NamedTuple):
    """One version of an object: its `own` label and what it refers to; `key` tells it from every other version.

    `outlived` says that a newer version of it was held, and is not any more; `translates` are the keys of the versions
    that a translation is of, where it names one.
    """

    key: int
    id: ObjectId
    type: str
    own: Label
    references: frozenset[ObjectId]
    newest: bool
    outlived: bool = False
    translates: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class _Graph:
    """The versions to label: what each starts from, which of the others it takes in, and which translate."""

    labels: dict[int, Label]
    sources: dict[int, list[int]]
    translations: frozenset[int]


class _Joins:
    """Joins of labels, each made once: a thousand objects that come together are told apart by few labels.

    Labels are told apart by which object they are, so that to look one up costs nothing; what is made here is made
    once for equal ones too.
    """

    def __init__(self) -> None:
        # A pair is kept with what came of it: what is kept cannot give its place in memory to another.
        self._joined: dict[tuple[int, int], tuple[Label, Label, Label]] = {}
        self._unresolved: dict[int, tuple[Label, Label]] = {}
        self._made: dict[Label, Label] = {}

    def join(self, label: Label, others: Iterable[Label]) -> Label:
        """`stix.labels.join`."""
        for other in others:
            if other is label:
                continue
            found = self._joined.get((id(label), id(other)))
            if found is None:
                made = join(label, other)
                found = label, other, self._made.setdefault(made, made)
                self._joined[id(label), id(other)] = found
            label = found[2]
        return label

    def with_unresolved(self, label: Label) -> Label:
        """`stix.labels.with_unresolved`."""
        found = self._unresolved.get(id(label))
        if found is None:
            made = with_unresolved(label)
            found = label, self._made.setdefault(made, made)
            self._unresolved[id(label)] = found
        return found[1]


def settle_labels(
    versions: Sequence[Version], *, outside: Mapping[ObjectId, Label], translated: Mapping[int, Label] | None = None
) -> dict[int, Label]:
    """The label that counts for each of `versions`, by its key.

    Every version of an object is among them, or none. `outside` are the labels that count of the newest versions of
    what they refer to beyond themselves; what is in neither is not held. `translated` are those of what they translate
    beyond themselves, by key.
    """
    joins = _Joins()
    return _settle(_build(versions, outside, translated or {}, joins), joins)


def _build(
    versions: Sequence[Version], outside: Mapping[ObjectId, Label], translated: Mapping[int, Label], joins: _Joins
) -> _Graph:
    inside = {item.id: item for item in versions if item.newest}
    labels, sources = dict[int, Label](), dict[int, list[int]]()
    for item in versions:
        newest = inside[item.id]
        label = item.own
        if item.key != newest.key:
            label = replace(label, granular=unite_granular(label, newest.own))
        within = [inside[target].key for target in item.references if target in inside]
        settled = [outside[target] for target in item.references if target not in inside and target in outside]
        if len(within) + len(settled) < len(item.references) or item.outlived:
            label = joins.with_unresolved(label)
        if item.type == "language-content":
            settled += [translated[key] for key in sorted(item.translates) if key in translated]
            within += sorted(item.translates - translated.keys() - {*within})
            label = _count_granular(label, settled)
        labels[item.key] = joins.join(label, settled)
        sources[item.key] = sorted(within)
        if item.key != newest.key:
            sources[item.key].append(newest.key)
    translations = frozenset(item.key for item in versions if item.type == "language-content")
    return _Graph(labels=labels, sources=sources, translations=translations)


def _settle(graph: _Graph, joins: _Joins) -> dict[int, Label]:
    """The label of every version: circle by circle, what is referred to before what refers to it."""
    settled: dict[int, Label] = {}
    left = _settle_alone(graph, joins, settled)
    for circle in find_circles({key: [one for one in graph.sources[key] if one not in settled] for key in left}):
        members = set(circle)
        reached = [settled[source] for key in circle for source in graph.sources[key] if source not in members]
        starts = [
            _count_granular(graph.labels[key], [settled.get(s, graph.labels[s]) for s in graph.sources[key]])
            if key in graph.translations
            else graph.labels[key]
            for key in circle
        ]
        common = joins.join(starts[0], (*starts[1:], *reached))
        for key, start in zip(circle, starts, strict=True):
            settled[key] = joins.join(start, (common,))
    return settled


def _settle_alone(graph: _Graph, joins: _Joins, settled: dict[int, Label]) -> list[int]:
    """What is left when what is in no circle and at the end of no long chain has its label in `settled`.

    Most of what comes together refers to little, or to what came before it: looked through a few times, nothing is left
    that has to be walked.
    """
    left = [*graph.sources]
    for _ in range(_PASSES):
        looked_through, left = left, []
        for key in looked_through:
            sources = [settled[source] for source in graph.sources[key] if source in settled]
            if len(sources) < len(graph.sources[key]):
                left.append(key)
                continue
            label = graph.labels[key]
            settled[key] = joins.join(_count_granular(label, sources) if key in graph.translations else label, sources)
    return left


def _count_granular(label: Label, translated: Sequence[Label]) -> Label:
    """The label of a translation: the strictest marking on any property of what it translates is on all of it."""
    levels = [mark.tlp for one in translated for mark in one.granular]
    return replace(label, tlp=max([label.tlp, *levels], key=tlp_rank))


def find_circles(sources: Mapping[int, Sequence[int]]) -> Iterator[list[int]]:
    """The strongly connected components, each after all that it leads to (Tarjan 1972, without recursion)."""
    search = _Search(sources)
    for root in sources:
        if root not in search.order:
            yield from search.walk(root)


class _Search:
    """One depth-first walk over everything; `lowest` is the earliest place on the stack that a node leads back to."""

    def __init__(self, sources: Mapping[int, Sequence[int]]) -> None:
        self.order: dict[int, int] = {}
        self._sources = sources
        self._lowest: dict[int, int] = {}
        self._stack: list[int] = []
        self._on_stack: set[int] = set()

    def walk(self, root: int) -> Iterator[list[int]]:
        path = [self._enter(root)]
        while path:
            key, rest = path[-1]
            following = next(rest, None)
            if following is None:
                path.pop()
                if path:
                    self._lead_back(path[-1][0], self._lowest[key])
                if self._lowest[key] == self.order[key]:
                    yield self._take_circle(key)
            elif following not in self.order:
                path.append(self._enter(following))
            elif following in self._on_stack:
                self._lead_back(key, self.order[following])

    def _enter(self, key: int) -> tuple[int, Iterator[int]]:
        self.order[key] = self._lowest[key] = len(self.order)
        self._stack.append(key)
        self._on_stack.add(key)
        return key, iter(self._sources[key])

    def _lead_back(self, key: int, place: int) -> None:
        self._lowest[key] = min(self._lowest[key], place)

    def _take_circle(self, first: int) -> list[int]:
        """Everything that was put on the stack since the circle began with `first`."""
        circle = [self._stack.pop()]
        while circle[-1] != first:
            circle.append(self._stack.pop())
        self._on_stack.difference_update(circle)
        return circle
