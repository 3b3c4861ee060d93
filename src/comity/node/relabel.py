# SPDX-License-Identifier: Apache-2.0
"""Shell: the labels that count are renewed: an object's own, joined with those of all that it refers to (CLOSED).

The label that counts for a version is the strictest of its own, of the newest version of everything it refers to, and,
for a version that is not the newest, of the newest version of itself: what its originator has restricted since is
restricted in the older version too. What refers to something not held here is unresolved, and no terms admit that.

References may run in circles, so the labels are the least fixed point of these rules over everything that can reach a
changed object. Only objects whose label really changes take a new place in the order of commit.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from comity.ids import ObjectId
from comity.stix.labels import Label, join, with_unresolved
from comity.store import Transaction, objects
from comity.store.objects import StoredObject

__all__ = ["relabel"]


@dataclass(frozen=True, slots=True)
class _Graph:
    """The versions to label: what each starts from, what each takes in, and who takes it in."""

    labels: dict[int, Label]
    users: dict[int, list[int]]
    sources: dict[int, list[int]]


def relabel(transaction: Transaction, added: Mapping[ObjectId, Sequence[int]]) -> None:
    """Renew the label of `added` (new versions by id) and of everything that refers to them, near or far."""
    if not added:
        return
    versions = objects.read_versions_of(transaction, _find_affected(transaction, added))
    graph = _build(transaction, versions)
    _settle(graph)
    for item in versions:
        label = objects.intern_label(transaction, graph.labels[item.pk])
        if label != item.label:
            objects.set_label(transaction, item.pk, label)


def _find_affected(transaction: Transaction, added: Mapping[ObjectId, Sequence[int]]) -> set[ObjectId]:
    """`added` and, as far as a label can have changed, everything that reaches it."""
    affected = set(added)
    frontier = _find_changed(transaction, added)
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
    changed = set[ObjectId]()
    for name, items in newest.items():
        said = {(item.own_label, references.get(item.pk, frozenset())) for item in items[-2:]}
        if len(items) == len(added[name]) or len(added[name]) > 1 or len(said) > 1:
            changed.add(name)
    return changed


def _build(transaction: Transaction, versions: Sequence[StoredObject]) -> _Graph:
    references = objects.read_references(transaction, [item.pk for item in versions])
    inside = {item.id: item.pk for item in versions if item.current}
    outside = objects.read_current(
        transaction, {target for targets in references.values() for target in targets if target not in inside}
    )
    known = objects.read_labels(
        transaction, {item.own_label for item in versions} | {item.label for item in outside.values()}
    )
    graph = _Graph(labels={}, users={}, sources={})
    for item in versions:
        label = known[item.own_label]
        sources = [] if item.current else [inside[item.id]]
        settled = list[Label]()
        for target in references.get(item.pk, frozenset()):
            if target in inside:
                sources.append(inside[target])
            elif target in outside:
                settled.append(known[outside[target].label])
            else:
                label = with_unresolved(label)
        graph.labels[item.pk] = join(label, *settled)
        graph.sources[item.pk] = sources
        for source in sources:
            graph.users.setdefault(source, []).append(item.pk)
    return graph


def _settle(graph: _Graph) -> None:
    """Join until nothing changes: `join` only ever adds, so this ends."""
    waiting = set(graph.labels)
    while waiting:
        pk = waiting.pop()
        label = join(graph.labels[pk], *(graph.labels[source] for source in graph.sources[pk]))
        if label != graph.labels[pk]:
            graph.labels[pk] = label
            waiting.update(graph.users.get(pk, ()))
