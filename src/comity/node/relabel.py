# SPDX-License-Identifier: Apache-2.0
"""Shell: the labels that count are renewed: an object's own, joined with those of all that it refers to (CLOSED).

What the join is stands in `stix.references`; here it is found out which objects a change can reach, and only those
whose label really changes take a new place in the order of commit.
"""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence

from comity.ids import Instant, ObjectId
from comity.node.translations import find_translated
from comity.stix.labels import Label
from comity.stix.references import Version, settle_labels
from comity.store import Transaction, deletions, objects
from comity.store.objects import NewObject, StoredObject

__all__ = ["find_others", "foresee", "relabel"]


def relabel(
    transaction: Transaction, added: Sequence[NewObject] = (), *, restated: Collection[ObjectId] = ()
) -> dict[int, int]:
    """The labels of `added` by their keys, to be stored with them; those of all that refers to them are renewed.

    So are those of `restated` and of what refers to them. What was deleted is restated: what is left of it, and
    whatever refers to it. What `added` supersedes has been marked so.
    """
    if not added and not restated:
        return {}
    affected = _find_affected(transaction, added, restated)
    stored = objects.read_versions_of(transaction, affected - {item.id for item in added if item.first})
    settled = _settle(transaction, added, stored)
    keys = objects.LabelKeys(transaction)
    now = [(item.pk, item.label, keys.find(settled[item.pk])) for item in stored]
    objects.set_labels(transaction, [(pk, label) for pk, before, label in now if label != before])
    return {item.pk: keys.find(settled[item.pk]) for item in added}


def foresee(transaction: Transaction, restated: Mapping[int, Label]) -> dict[int, Label]:
    """The labels that would count if versions had these own labels, by key, where they are others; nothing is changed.

    It is what `relabel` would come to, of the same objects.
    """
    ids = {item.id for item in objects.read_objects(transaction, restated.keys())}
    if not ids:
        return {}
    stored = objects.read_versions_of(transaction, _find_affected(transaction, (), ids))
    settled = _settle(transaction, (), stored, restated=restated)
    known = objects.read_labels(transaction, {item.label for item in stored})
    return {item.pk: settled[item.pk] for item in stored if settled[item.pk] != known[item.label]}


def find_others(transaction: Transaction, ids: Collection[ObjectId]) -> set[int]:
    """The versions of `ids`, by key, whose label that counts is another one than `relabel` would come to."""
    stored = objects.read_versions_of(transaction, ids)
    settled = _settle(transaction, (), stored)
    known = objects.read_labels(transaction, {item.label for item in stored})
    return {item.pk for item in stored if item.label in known and settled[item.pk] != known[item.label]}


def _find_affected(
    transaction: Transaction, added: Sequence[NewObject], restated: Collection[ObjectId]
) -> set[ObjectId]:
    """`added`, `restated` and, as far as a label can have changed, everything that reaches them."""
    affected = {item.id for item in added} | set(restated)
    frontier = _find_changed(transaction, added) | set(restated)
    while frontier:
        frontier = set(objects.read_referrers(transaction, frontier)) - affected
        affected |= frontier
    return affected


def _find_changed(transaction: Transaction, added: Sequence[NewObject]) -> set[ObjectId]:
    """Those of `added` whose newest version says or refers to something else than the one before it.

    A new version that says the same leaves the labels of its referrers alone; an identity that a million objects name
    can be corrected without touching them.
    """
    changed = {item.id for item in added if item.first}
    followed = {item.id for item in added if not item.first}
    if not followed:
        return changed
    newest: dict[ObjectId, list[StoredObject | NewObject]] = {}
    stored = objects.read_versions_of(transaction, followed)
    versions: list[StoredObject | NewObject] = [*stored, *(one for one in added if not one.first)]
    for item in versions:
        newest.setdefault(item.id, []).append(item)
    references = _read_references(transaction, added, stored)
    deleted = _find_deleted(transaction, newest)
    for name, items in newest.items():
        last = sorted(items, key=lambda item: item.version_at)[-2:]
        said = {(item.own_label, references.get(item.pk, frozenset())) for item in last}
        several = sum(isinstance(item, NewObject) for item in items) > 1
        if name in deleted or several or len(said) > 1:
            changed.add(name)
    return changed


def _find_deleted(transaction: Transaction, ids: Collection[ObjectId]) -> dict[ObjectId, Instant]:
    """The newest version of each of `ids` that was ever deleted, where one was."""
    return {name: stones[-1].version_at for name, stones in deletions.read_tombstones(transaction, ids).items()}


def _read_references(
    transaction: Transaction, added: Sequence[NewObject], stored: Sequence[StoredObject]
) -> dict[int, frozenset[ObjectId]]:
    held = objects.read_references(transaction, [item.pk for item in stored])
    return held | {item.pk: item.item.references for item in added}


def _settle(
    transaction: Transaction,
    added: Sequence[NewObject],
    stored: Sequence[StoredObject],
    *,
    restated: Mapping[int, Label] | None = None,
) -> dict[int, Label]:
    """The label that counts for each version, from what each refers to and the labels of what lies outside of them.

    Those of `restated` count as if they had these own labels.
    """
    said = restated or {}
    plain = _find_plain(transaction, added)
    bound = [item for item in added if item.id not in plain]
    versions: list[StoredObject | NewObject] = [*stored, *bound]
    references = _read_references(transaction, bound, stored)
    inside = {item.id: item.version_at for item in versions if item.current}
    beyond = {target for targets in references.values() for target in targets if target not in inside}
    outside = objects.read_current_labels(transaction, beyond - plain.keys())
    outside |= {name: plain[name].own_label for name in beyond & plain.keys()}
    own = {item.own_label for item in stored} | {item.own_label for item in added}
    translated = find_translated(transaction, versions, added)
    older = _choose_older(translated, {item.pk for item in versions})
    known = objects.read_labels(transaction, own | {*outside.values(), *older.values()})
    deleted = _find_deleted(transaction, inside)
    read = [
        Version(
            key=item.pk,
            id=item.id,
            type=item.type,
            own=said[item.pk] if item.pk in said else known[item.own_label],
            references=references.get(item.pk, frozenset()),
            newest=item.current,
            outlived=bool(deleted) and deleted.get(item.id, inside[item.id]) > inside[item.id],
            translates=frozenset(translated.get(item.pk, ())),
        )
        for item in versions
    ]
    settled = settle_labels(
        read,
        outside={name: known[label] for name, label in outside.items()},
        translated={key: known[label] for key, label in older.items()},
    )
    return settled | {item.pk: known[item.own_label] for item in plain.values()}


def _choose_older(
    translated: Mapping[int, Mapping[int, StoredObject | NewObject]], keys: Collection[int]
) -> dict[int, int]:
    """The labels of what is translated, by key, where it is not among `keys` itself."""
    return {
        key: one.label if isinstance(one, StoredObject) else one.own_label
        for each in translated.values()
        for key, one in each.items()
        if key not in keys
    }


def _find_plain(transaction: Transaction, added: Sequence[NewObject]) -> dict[ObjectId, NewObject]:
    """Those of `added` whose label that counts is their own: they refer to nothing, and no other version was ever held.

    Most of what comes are such, and there is nothing to settle of them.
    """
    plain = {item.id: item for item in added if item.first and not item.item.references}
    if len(plain) < len(added) and len({item.id for item in added}) < len(added):
        several = [name for name, count in Counter(item.id for item in added).items() if count > 1]
        plain = {name: item for name, item in plain.items() if name not in several}
    deleted = _find_deleted(transaction, plain)
    return {name: item for name, item in plain.items() if name not in deleted} if deleted else plain
