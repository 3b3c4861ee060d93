# SPDX-License-Identifier: Apache-2.0
"""Shell: the labels that count are renewed: an object's own, joined with those of all that it refers to (CLOSED).

The label that counts for a version is the strictest of its own, of the newest version of everything it refers to, and,
for a version that is not the newest, of the newest version of itself: what its originator has restricted since, whole
or in one property, is restricted in the older version too. What refers to something not held here is unresolved, and no
terms admit that; nor do any admit an older version whose newest was deleted here, for nobody knows any more what that
one restricted. A translation counts the marking of the property it translates as its own.

References may run in circles: everything in a circle has one label. Circles are found first and labelled in the order
in which they refer to one another, so the cost is that of the references, however long their chains. Only objects whose
label really changes take a new place in the order of commit.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from comity.ids import Instant, ObjectId
from comity.stix.labels import Label, join, with_unresolved
from comity.stix.markings import GranularMarking, tlp_rank
from comity.store import Transaction, deletions, objects
from comity.store.objects import StoredObject

__all__ = ["relabel"]


@dataclass(frozen=True, slots=True)
class _Graph:
    """The versions to label: what each starts from, which of the others it takes in, and which translate."""

    labels: dict[int, Label]
    sources: dict[int, list[int]]
    translations: frozenset[int]


def relabel(
    transaction: Transaction, added: Mapping[ObjectId, Sequence[int]], *, restated: Collection[ObjectId] = ()
) -> None:
    """Renew the label of `added` (new versions by id), of `restated`, and of everything that refers to them.

    What was deleted is restated: what is left of it, and whatever refers to it.
    """
    if not added and not restated:
        return
    versions = objects.read_versions_of(transaction, _find_affected(transaction, added, restated))
    graph = _build(transaction, versions)
    settled = _settle(graph)
    for item in versions:
        label = objects.intern_label(transaction, settled[item.pk])
        if label != item.label:
            objects.set_label(transaction, item.pk, label)


def _find_affected(
    transaction: Transaction, added: Mapping[ObjectId, Sequence[int]], restated: Collection[ObjectId]
) -> set[ObjectId]:
    """`added`, `restated` and, as far as a label can have changed, everything that reaches them."""
    affected = set(added) | set(restated)
    frontier = _find_changed(transaction, added) | set(restated)
    while frontier:
        frontier = set(objects.read_referrers(transaction, frontier)) - affected
        affected |= frontier
    return affected


def _find_changed(transaction: Transaction, added: Mapping[ObjectId, Sequence[int]]) -> set[ObjectId]:
    """Those of `added` whose newest version says or refers to something else than the one before it.

    A new version that says the same leaves the labels of its referrers alone; an identity that a million objects name
    can be corrected without touching them.
    """
    newest: dict[ObjectId, list[StoredObject]] = {}
    for item in objects.read_versions_of(transaction, added):
        newest.setdefault(item.id, []).append(item)
    references = objects.read_references(transaction, [item.pk for items in newest.values() for item in items[-2:]])
    deleted = _find_deleted(transaction, newest)
    changed = set[ObjectId]()
    for name, items in newest.items():
        said = {(item.own_label, references.get(item.pk, frozenset())) for item in items[-2:]}
        first = len(items) == len(added[name]) or name in deleted
        if first or len(added[name]) > 1 or len(said) > 1:
            changed.add(name)
    return changed


def _find_deleted(transaction: Transaction, ids: Collection[ObjectId]) -> dict[ObjectId, Instant]:
    """The newest version of each of `ids` that was ever deleted, where one was."""
    return {name: stones[-1].version_at for name, stones in deletions.read_tombstones(transaction, ids).items()}


def _build(transaction: Transaction, versions: Sequence[StoredObject]) -> _Graph:
    references = objects.read_references(transaction, [item.pk for item in versions])
    inside = {item.id: item for item in versions if item.current}
    outside = objects.read_current(
        transaction, {target for targets in references.values() for target in targets if target not in inside}
    )
    known = objects.read_labels(
        transaction, {item.own_label for item in versions} | {item.label for item in outside.values()}
    )
    deleted = _find_deleted(transaction, inside)
    labels, sources = dict[int, Label](), dict[int, list[int]]()
    for item in versions:
        newest = inside[item.id]
        label = known[item.own_label]
        if item.pk != newest.pk:
            label = replace(label, granular=_unite(label, known[newest.own_label]))
        targets = references.get(item.pk, frozenset())
        settled = [known[outside[target].label] for target in targets if target in outside]
        missing = any(target not in inside and target not in outside for target in targets)
        if missing or deleted.get(item.id, newest.version_at) > newest.version_at:
            label = with_unresolved(label)
        if item.type == "language-content":
            label = _count_granular(label, settled)
        labels[item.pk] = join(label, *settled)
        sources[item.pk] = [inside[target].pk for target in sorted(targets) if target in inside]
        if item.pk != newest.pk:
            sources[item.pk].append(newest.pk)
    translations = frozenset(item.pk for item in versions if item.type == "language-content")
    return _Graph(labels=labels, sources=sources, translations=translations)


def _unite(older: Label, newest: Label) -> tuple[GranularMarking, ...]:
    """The marks on the properties of either."""
    return tuple(sorted({*older.granular, *newest.granular}, key=lambda mark: (mark.property, mark.tlp)))


def _settle(graph: _Graph) -> dict[int, Label]:
    """The label of every version: circle by circle, what is referred to before what refers to it."""
    settled: dict[int, Label] = {}
    for circle in _find_circles(graph.sources):
        members = set(circle)
        reached = [settled[source] for pk in circle for source in graph.sources[pk] if source not in members]
        starts = [
            _count_granular(graph.labels[pk], [settled.get(s, graph.labels[s]) for s in graph.sources[pk]])
            if pk in graph.translations
            else graph.labels[pk]
            for pk in circle
        ]
        common = join(starts[0], *starts[1:], *reached)
        for pk, start in zip(circle, starts, strict=True):
            settled[pk] = join(start, common)
    return settled


def _count_granular(label: Label, translated: Sequence[Label]) -> Label:
    """The label of a translation: the strictest marking on any property of what it translates is on all of it."""
    levels = [mark.tlp for one in translated for mark in one.granular]
    return replace(label, tlp=max([label.tlp, *levels], key=tlp_rank))


def _find_circles(sources: Mapping[int, Sequence[int]]) -> Iterator[list[int]]:
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
            pk, rest = path[-1]
            following = next(rest, None)
            if following is None:
                path.pop()
                if path:
                    self._lead_back(path[-1][0], self._lowest[pk])
                if self._lowest[pk] == self.order[pk]:
                    yield self._take_circle(pk)
            elif following not in self.order:
                path.append(self._enter(following))
            elif following in self._on_stack:
                self._lead_back(pk, self.order[following])

    def _enter(self, pk: int) -> tuple[int, Iterator[int]]:
        self.order[pk] = self._lowest[pk] = len(self.order)
        self._stack.append(pk)
        self._on_stack.add(pk)
        return pk, iter(self._sources[pk])

    def _lead_back(self, pk: int, place: int) -> None:
        self._lowest[pk] = min(self._lowest[pk], place)

    def _take_circle(self, first: int) -> list[int]:
        """Everything that was put on the stack since the circle began with `first`."""
        circle = [self._stack.pop()]
        while circle[-1] != first:
            circle.append(self._stack.pop())
        self._on_stack.difference_update(circle)
        return circle
