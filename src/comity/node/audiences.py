# SPDX-License-Identifier: Apache-2.0
"""Shell: whom objects may ever reach, as a file or this party's people say of each, whatever terms admit."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Final, TypeAlias

from comity.ids import ObjectId, PartyId
from comity.store import Transaction, objects
from comity.store.objects import StoredObject

__all__ = ["NO_AUDIENCES", "Audiences", "find_audiences"]

Audiences: TypeAlias = Mapping[ObjectId, frozenset[PartyId] | None]
"""Whom objects may ever reach, by id, beside what they came under; None: any party. Of others nothing is said."""

NO_AUDIENCES: Final[Audiences] = MappingProxyType({})
"""Nothing is said of whom anything may reach."""


def find_audiences(
    transaction: Transaction, held: Mapping[ObjectId, Sequence[StoredObject]], audiences: Audiences
) -> Audiences:
    """What is said of each object, or else whom the newest version of it that is `held` may reach."""
    newest = {name: versions[-1].own_label for name, versions in held.items() if name not in audiences}
    labels = objects.read_labels(transaction, set(newest.values())) if newest else {}
    return {**audiences, **{name: labels[key].audience for name, key in newest.items()}}
