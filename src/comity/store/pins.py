# SPDX-License-Identifier: Apache-2.0
"""Shell: chains of manifests that were pinned for a party before it was pinned anew."""

from comity.ids import Digest, PartyId
from comity.store.transaction import Transaction

__all__ = ["list_before", "put_before"]


def put_before(transaction: Transaction, party: PartyId, *, entry: int) -> int:
    """How many manifests of the party were set apart: all of the chain in force, so that another can take its place.

    `entry` is the position of the log entry that says why.
    """
    moved = transaction.run(
        "INSERT INTO manifest_before SELECT party,"
        " (SELECT COALESCE(MAX(pin) + 1, 0) FROM manifest_before WHERE party = ?1),"
        " version, digest, expires_at, envelope, ?2 FROM manifest WHERE party = ?1",
        (party, entry),
    )
    transaction.run("DELETE FROM manifest WHERE party = ?", (party,))
    return moved


def list_before(transaction: Transaction, party: PartyId | None = None) -> list[tuple[PartyId, int, Digest, bytes]]:
    """Party, pin, digest and signed manifest of all that are set apart, or of those of one party; oldest first."""
    where, given = ("", ()) if party is None else (" WHERE party = ?", (party,))
    rows = transaction.rows(
        f"SELECT party, pin, digest, envelope FROM manifest_before{where} ORDER BY party, pin, version", given
    )
    return [(PartyId(party), pin, Digest(digest), bytes(envelope)) for party, pin, digest, envelope in rows]
