# SPDX-License-Identifier: Apache-2.0
"""Shell: which versions of an object a translation is of that names one by `object_modified` (STIX 2.1 §7.1).

Every later version counts too: what is marked in the object since is marked in the translation. One that names no
version is of the newest.
"""

from collections.abc import Iterable, Sequence

from comity.canonical import OBJECT_LIMITS, parse_json
from comity.errors import MalformedError
from comity.ids import Instant, ObjectId, parse_instant
from comity.store import Transaction, objects
from comity.store.objects import NewObject, StoredObject

__all__ = ["find_translated"]

_TRANSLATION = "language-content"


def find_translated(
    transaction: Transaction, versions: Iterable[StoredObject | NewObject], added: Sequence[NewObject]
) -> dict[int, dict[int, StoredObject | NewObject]]:
    """For each translation among `versions` that names a version, by its key: the versions that count, by theirs.

    `added` are those that are not stored yet.
    """
    read = {item.pk: _read(transaction, item) for item in versions if item.type == _TRANSLATION}
    named = {key: found for key, found in read.items() if found is not None}
    if not named:
        return {}
    held: dict[ObjectId, list[StoredObject | NewObject]] = {target: [] for target, _ in named.values()}
    for stored in objects.read_versions_of(transaction, held.keys()):
        held[stored.id].append(stored)
    for new in added:
        if new.id in held:
            held[new.id].append(new)
    return {key: {one.pk: one for one in _choose(held[target], at)} for key, (target, at) in named.items()}


def _choose(held: Sequence[StoredObject | NewObject], at: Instant) -> Iterable[StoredObject | NewObject]:
    """The last of the versions that is not later than `at`, and all that are."""
    begin = max((one.version_at for one in held if one.version_at <= at), default=at)
    return (one for one in held if one.version_at >= begin)


def _read(transaction: Transaction, item: StoredObject | NewObject) -> tuple[ObjectId, Instant] | None:
    """What it translates, and which version of that; None where it names none."""
    data = item.item.data if isinstance(item, NewObject) else objects.read_body(transaction, item.pk)
    match parse_json(data, limits=OBJECT_LIMITS):
        case {"object_ref": str(target), "object_modified": str(modified)}:
            try:
                return ObjectId(target), parse_instant(modified)
            except MalformedError:
                return ObjectId(target), Instant(0)  # of a version that cannot be told: of any
        case _:
            return None
