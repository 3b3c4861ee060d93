# SPDX-License-Identifier: Apache-2.0
"""Shell: versions that could not be kept, each the newest of its object that its giver ever gave so."""

import json
from collections.abc import Collection, Mapping
from typing import NamedTuple

from comity.ids import Digest, Instant, ObjectId, PartyId
from comity.store.transaction import Transaction

__all__ = ["Overtaking", "drop_overtaking", "put_overtaking", "read_overtaking"]


class Overtaking(NamedTuple):
    """One version that was not kept: what is older than it is overtaken."""

    version_at: Instant
    digest: Digest


def put_overtaking(transaction: Transaction, giver: PartyId, found: Mapping[ObjectId, Overtaking]) -> None:
    """Keep each of `found`, by id, in the place of what is known of its object."""
    transaction.run_many(
        "INSERT OR REPLACE INTO overtaking VALUES (?, ?, ?, ?)",
        [(giver, name, one.version_at, one.digest) for name, one in found.items()],
    )


def drop_overtaking(transaction: Transaction, giver: PartyId, ids: Collection[ObjectId]) -> None:
    """Nothing that `giver` gives overtakes what is held of `ids` any more."""
    transaction.run(
        "DELETE FROM overtaking WHERE giver = ? AND id IN (SELECT value FROM json_each(?))",
        (giver, json.dumps(sorted(ids))),
    )


def read_overtaking(transaction: Transaction, giver: PartyId, ids: Collection[ObjectId]) -> dict[ObjectId, Overtaking]:
    """What `giver` gave of `ids` and could not be kept, by id; what nothing is known of is absent."""
    if transaction.row("SELECT 1 FROM overtaking WHERE giver = ? LIMIT 1", (giver,)) is None:
        return {}
    rows = transaction.rows(
        "SELECT id, version_at, digest FROM overtaking WHERE giver = ? AND id IN (SELECT value FROM json_each(?))",
        (giver, json.dumps(sorted(ids))),
    )
    return {ObjectId(row[0]): Overtaking(Instant(row[1]), Digest(row[2])) for row in rows}
