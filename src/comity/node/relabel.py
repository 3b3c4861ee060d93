# SPDX-License-Identifier: Apache-2.0
"""Shell: the labels that count are renewed: an object's own, joined with those of all that it refers to (CLOSED).

What the join is stands in `stix.references`; here it is found out which objects a change can reach, and only those
whose label really changes take a new place in the order of commit.
"""

from collections.abc import Collection, Mapping, Sequence

from comity.ids import Instant, ObjectId
from comity.stix.labels import Label
from comity.stix.references import Version, settle_labels
from comity.store import Transaction, deletions, objects
from comity.store.objects import StoredObject

__all__ = ["relabel"]


def relabel(
    transaction: Transaction, added: Mapping[ObjectId, Sequence[int]], *, restated: Collection[ObjectId] = ()
) -> None:
    """Renew the label of `added` (new versions by id), of `restated`, and of everything that refers to them.

    What was deleted is restated: what is left of it, and whatever refers to it.
    """
    if not added and not restated:
        return
    versions = objects.read_versions_of(transaction, _find_affected(transaction, added, restated))
    read, outside = _build(transaction, versions)
    settled = settle_labels(read, outside=outside)
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


def _build(transaction: Transaction, versions: Sequence[StoredObject]) -> tuple[list[Version], dict[ObjectId, Label]]:
    """The versions with what each refers to, and the labels that count of what lies outside of them."""
    references = objects.read_references(transaction, [item.pk for item in versions])
    inside = {item.id: item.version_at for item in versions if item.current}
    outside = objects.read_current(
        transaction, {target for targets in references.values() for target in targets if target not in inside}
    )
    known = objects.read_labels(
        transaction, {item.own_label for item in versions} | {item.label for item in outside.values()}
    )
    deleted = _find_deleted(transaction, inside)
    read = [
        Version(
            key=item.pk,
            id=item.id,
            type=item.type,
            own=known[item.own_label],
            references=references.get(item.pk, frozenset()),
            newest=item.current,
            outlived=deleted.get(item.id, inside[item.id]) > inside[item.id],
        )
        for item in versions
    ]
    return read, {name: known[item.label] for name, item in outside.items()}
